#!/usr/bin/env python3
# peer: stdnum
"""The member states' numbers beside python-stdnum: kinds_witness.py."""

import importlib

from kinds_witness import K, compare, date, two

# ---- what a check asks beyond the witness, and what it takes beyond it


def at_date(v):
    day, month = two(v, 4), two(v, 6)
    return date(0, month, day) or (13 <= month <= 15 and 1 <= day <= 31)


def be_real(v, century):
    month, day = two(v, 2) % 20, two(v, 4)
    return day == 0 or date(century + two(v, 0), month, day) if month else day <= 31


def be_born(v):
    rest = [97 - int(c + v[:9]) % 97 == two(v, 9) for c in ("", "2")]
    return (rest[0] and be_real(v, 1900)) or (rest[1] and be_real(v, 2000))


def be_to_come(v):
    return be_born(v) and two(v, 0) > 26 and (two(v, 2) <= 12)


def be_bis_to_come(v):
    return be_born(v) and two(v, 0) > 26 and (20 <= two(v, 2) <= 32 or 40 <= two(v, 2) <= 52)


def cz_person(v):
    v = v.replace("CZ", "")
    if len(v) == 9:
        return not v.endswith("000") and (two(v, 0) < 54 or two(v, 0) >= 80) and two(v, 2) % 50 <= 12
    plus = two(v, 2) % 50 > 12
    return two(v, 2) % 50 <= 32 and not (plus and not 4 <= two(v, 0) < 54) and not (
        int(v[:9]) % 11 == 10 and not 54 <= two(v, 0) <= 85)


def cz_payer(v):
    return len(v) != 12 or cz_person(v)


def sk_payer(v):
    return v[2] != "0" and v[4] in "234789" and int(v[2:]) % 11 == 0


def thrice(v):
    return not any(v[i] == v[i + 1] == v[i + 2] for i in range(8))


def dk_to_come(v):
    year, seventh = two(v, 4), v[6]
    return year > 25 and (seventh in "49" and year <= 36 or seventh in "5678" and year <= 57) and date(
        2000 + year, two(v, 2), two(v, 0))


def es_entity(v):
    v = v.replace("ES", "")
    if v[0] in "KNPQRSW" and v[-1].isdigit() or v[0] in "ABEH" and v[-1].isalpha():
        return v[0] == "K" and v[-1].isalpha()
    return True


def fr_person(v):
    month = two(v, 3)
    known = 1 <= month <= 12 and v[5:7] != "00"
    return v[0] in "123478" and (known or 20 <= month <= 42 or month >= 50)


def hetu_for_a_time(v):
    return int(v[7:10]) >= 900 and HETU.is_valid(v, True)


def si_years(v):
    return v[7:9] == "50" and (int(v[4:7]) < 100 or int(v[4:7]) >= 850)


def se_serial(v):
    return v[-4:-1] != "000" and (len(v) < 12 or v[:2] in ("18", "19", "20"))


HETU = importlib.import_module("stdnum.fi.hetu")

TABLE = [
    K("at.svnr", "SVNR", "at.vnr", "####d [123456789]###d", 0, at_date, why="the date is one"),
    K("at.tax", "Steuernummer", "at.tin", "#########", 1),
    K("at.vat", "UID", "at.uid", "ATU########", 1),
    K("be.nn", "rijksregisternummer", "be.nn", "y##### ###########", 2, be_born, besides=be_to_come,
      why="a day above 31 is no unknown day; the year is not compared with today's"),
    K("be.bis", "bis-nummer", "be.bis", "##[234]######## m#####", 2, be_born, besides=be_bis_to_come,
      why="as be.nn"),
    K("be.vat", "BTW", "be.vat", "BE0######### BE1######### BE######### 0######### 1#########", 2),
    K("be.id_card", "identiteitskaart", "be.eid", "############", 2),
    K("bg.egn", "ЕГН", "bg.egn", "m#### y####", 1, lambda v: two(v, 2) <= 52),
    K("bg.pnf", "ЛНЧ", "bg.pnf", "##########", 1),
    K("bg.company", "ЕИК", "bg.vat", "#########", 1),
    K("bg.vat", "ДДС", "bg.vat", "BG######### BG##########", 1),
    K("cy.vat", "VAT", "cy.vat", "CY########@", 0, lambda v: v[2] in "013459",
      why="the first digits given out"),
    K("cz.birth_number", "rodné číslo", "cz.rc", "m#### y#### y###", 1, cz_person,
      why="000 is no serial; ten was written as 0 until 1985; months above 20 since 2004"),
    K("sk.birth_number", "rodné číslo", "sk.rc", "m#### y#### y###", 1, cz_person,
      why="as cz.birth_number"),
    K("cz.vat", "DIČ", "cz.dic", "CZ######## CZ6######## CZm####", 1, cz_payer, why="as cz.birth_number"),
    K("sk.vat", "DIČ", "sk.dph", "SK##########", 1, sk_payer, why="a birth number is none"),
    K("de.tax_id", "IdNr", "de.idnr", "###########", 1, thrice, why="no digit thrice in a row"),
    K("de.vat_id", "USt-IdNr", "de.vat", "DE#########", 1),
    K("dk.cpr", "CPR", "dk.cpr", "d#### ##########", besides=dk_to_come,
      why="the year is not compared with today's"),
    K("dk.cvr", "CVR", "dk.cvr", "########", 1),
    K("dk.vat", "VAT", "dk.cvr", "DK########", 1),
    K("ee.code", "isikukood", "ee.ik", "[12345678]y#### #y####", 1),
    K("ee.company", "registrikood", "ee.registrikood", "########", 1),
    K("ee.vat", "KMKR", "ee.kmkr", "EE#########", 1),
    K("es.nif", "NIF", "es.dni", "########@"),
    K("es.nif", "NIF", "es.nif", "[KLM]#######@"),
    K("es.nie", "NIE", "es.nie", "[XYZ]#######@"),
    K("es.cif", "CIF", "es.cif", "@#######[0123456789ABCDEFGHIJ]", 0, es_entity,
      why="public bodies have letters, companies digits"),
    K("es.vat", "NIF", "es.nif", "ES@#######[0123456789ABCDEFGHIJ] ES########@ ES[XYZKLM]#######@", 0,
      es_entity, why="as es.cif"),
    K("fi.hetu", "HETU", "fi.hetu", "d-###! d[ABCDEFUVWXY]###! d+###!", besides=hetu_for_a_time,
      why="numbers from 900 on, given for a time, are persons' too"),
    K("fi.company", "Y-tunnus", "fi.ytunnus", "########", 1),
    K("fi.vat", "VAT", "fi.alv", "FI########", 1),
    K("fr.nir", "sécurité sociale", "fr.nir",
      "############### [12]####2[AB]######## [12]##0########### [12]##6##########", 2, fr_person,
      why="sex, month and department are checked"),
    K("fr.spi", "numéro fiscal", "fr.nif", "[0123]############", 3),
    K("fr.vat", "TVA", "fr.tva", "FR########### FR[0123456789ABCDEFGHJ]@######### FR@##########", 2),
    K("fr.company", "SIREN", "fr.siren", "#########", 1),
    K("fr.company", "SIRET", "fr.siret", "##############", 1),
    K("gr.afm", "ΑΦΜ", "gr.vat", "#########", 1),
    K("gr.vat", "ΑΦΜ", "gr.vat", "EL#########", 1),
    K("gr.amka", "ΑΜΚΑ", "gr.amka", "d##### ###########", 1),
    K("hr.oib", "OIB", "hr.oib", "###########", 1),
    K("hr.vat", "PDV", "hr.oib", "HR###########", 1),
    K("hu.vat", "adószám", "hu.anum", "HU########", 1),
    K("ie.pps", "PPS", "ie.pps", "#######@ #######@[ABHWTX]"),
    K("ie.vat", "VAT", "ie.vat", "IE#######@ IE#######@[ABCDEFGHI] IE#@#####@"),
    K("it.fiscal", "codice fiscale", "it.codicefiscale",
      "@@@@@@##[ABCDEHLMPRST][0123456]#@###@ @@@@@@[LMNPQRSTUV]#[ABCDEHLMPRST][0L1M]#@[L#]##@"),
    K("it.vat", "partita IVA", "it.iva", "########### #######[01]###", 1),
    K("it.vat", "partita IVA", "it.iva", "IT#######[01]###", 1),
    K("lt.code", "asmens kodas", "lt.asmens", "[123456789]y####", 1, lambda v: v[0] not in "78",
      why="births before 2100"),
    K("lt.company", "įmonės kodas", "lt.pvm", "[123]######1#", 1),
    K("lt.vat", "PVM", "lt.pvm", "LT#######1# LT##########1#", 1),
    K("lu.vat", "TVA", "lu.tva", "LU########", 2),
    K("lv.code", "personas kods", "lv.pvn", "d[012]####", 1),
    K("lv.company", "reģistrācijas numurs", "lv.pvn", "[456789]##########", 1),
    K("lv.vat", "PVN", "lv.pvn", "LV[456789]########## LVd[012]####", 1),
    K("mt.vat", "VAT", "mt.vat", "MT########", 2),
    K("nl.bsn", "BSN", "nl.bsn", "#########", 1),
    K("nl.education", "onderwijsnummer", "nl.onderwijsnummer", "10#######", 1),
    K("nl.vat", "btw", "nl.btw", "NL#########B##", 2),
    K("nl.document", "paspoort", "nl.identiteitskaartnummer", "@@#@#@### @@######[0123456789A]"),
    K("pl.pesel", "PESEL", "pl.pesel", "m##### y#####", 1),
    K("pl.nip", "NIP", "pl.nip", "##########", 1, lambda v: v[0] != "0", why="none begins with 0"),
    K("pl.vat", "NIP", "pl.nip", "PL##########", 1, lambda v: v[2] != "0", why="none begins with 0"),
    K("pl.regon", "REGON", "pl.regon", "######### ##############", 1),
    K("pt.nif", "NIF", "pt.nif", "#########", 1),
    K("pt.vat", "NIF", "pt.nif", "PT#########", 1),
    K("pt.cc", "cartão de cidadão", "pt.cc", "#########@@# #########@##", 1),
    K("ro.cnp", "CNP", "ro.cnp", "[123456789]y[01234]#####", 1),
    K("ro.cui", "CUI", "ro.cui", "########## ######## ######", 1),
    K("ro.vat", "CUI", "ro.cui", "RO########## RO########", 1),
    K("se.person", "personnummer", "se.personnummer", "y-#### %-#### y+#### y#### %####", 1, se_serial,
      why="000 is no serial; from 1800 to 2099"),
    K("se.org", "organisationsnummer", "se.orgnr", "##[23456789]#######", 1, lambda v: v[0] not in "04",
      why="the first digits given out"),
    K("se.vat", "VAT", "se.vat", "SE##########01"),
    K("si.emso", "EMŠO", "si.emso", "j50####", 1, si_years,
      why="years from 1850 to 2099"),
    K("si.tax", "davčna številka", "si.ddv", "########", 1),
    K("si.vat", "ddv", "si.ddv", "SI########", 1),
    K("eu.oss_vat", "VAT", "eu.oss", "EU###022452 EU[03457]##022452 IM[03457]#########"),
    K("xi.vat", "VAT", "gb.vat", "XI######### XI############", 2),
]

compare(TABLE)
