#!/usr/bin/env python3
# peer: stdnum
"""The numbers of further countries beside python-stdnum: kinds_witness.py."""

from kinds_witness import K, compare, date, two, witness

# ---- what a check asks beyond the witness, and what it takes beyond it


def luhn(v):
    return sum(sum(divmod(int(c) * (1 + i % 2), 10)) for i, c in enumerate(reversed(v))) % 10 == 0


def years(v):
    return all(v[i : i + 2] in ("19", "20") for i in range(0, len(v), 4))


CN_PROVINCES = {int(p) for p in "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 "
                "53 54 61 62 63 64 65 71 81 82 83".split()}


def cn_place(v):
    return two(v, 1 if v[0] == "9" else 0) in CN_PROVINCES and 1880 <= int(v[6:10]) < 2050


def cn_sum(v):
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    rest = sum(int(c) * w for c, w in zip(v, weights)) % 11
    return cn_place(v) and v[17] == "10X98765432"[rest] and date(int(v[6:10]), two(v, 10), two(v, 12))


def cn_department(v):
    pairs = "11 12 13 19 21 29 31 32 33 34 35 39 41 49 51 52 53 59 61 62 69 71 72 79 81 89 91 92 93".split()
    return v[:2] in pairs and (two(v, 2) in CN_PROVINCES or v[2:8] == "100000")


def kr_new(v):
    """Numbers without check digit need more, but a word is there."""
    year = (1900 if v[6] in "1256" else 2000) + two(v, 0)
    return v[6] in "12345678" and year < 2050 and date(year, two(v, 2), two(v, 4))


def kr_sum(v):
    rest = sum(int(c) * w for c, w in zip(v, (1, 3, 7, 1, 3, 7, 1, 3, 5))) + int(v[8]) * 5 // 10
    return (rest + int(v[9])) % 10 == 0


def tw_by_five(v):
    total = sum(sum(divmod(int(c) * w, 10)) for c, w in zip(v, (1, 2, 1, 2, 1, 2, 4, 1)))
    return len(set(v)) > 1 and (total % 5 == 0 or v[6] == "7" and (total + 1) % 5 == 0)


def gstin_of_any_holder(v):
    total = 0
    for i, c in enumerate(v[:14]):
        total += sum(divmod(int(c, 36) * (1 + i % 2), 36))
    state = two(v, 0)
    return (1 <= state <= 38 or state in (97, 99)) and int(v[14], 36) == -total % 36


def sg_to_come(v):
    return v[0] in "12" and v[:2] == "20" and 2026 < int(v[:4]) < 2050 and v[9] == "ZKCMDNERGWH"[
        sum(int(c) * w for c, w in zip(v, (10, 8, 6, 4, 9, 7, 5, 3, 1))) % 11]


def nik(v):
    day = two(v, 6) - (40 if two(v, 6) > 40 else 0)
    provinces = {11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 31, 32, 33, 34, 35, 36, 51, 52, 53, 61, 62, 63, 64,
                 65, 71, 72, 73, 74, 75, 76, 81, 82, 91, 92, 93, 94, 95, 96, 97}
    place = two(v, 0) in provinces and (1 <= two(v, 2) <= 39 or 71 <= two(v, 2) <= 79)
    return place and v[4:6] != "00" and v[12:] != "0000" and date(2000 + two(v, 10), two(v, 8), day)


TH_PROVINCES = {p for a, b in ((10, 27), (30, 58), (60, 67), (70, 77), (80, 86), (90, 96))
                for p in range(a, b + 1)}


def za_refugee(v):
    return v[10] == "2" and v[11] in "89" and luhn(v) and date(2000 + two(v, 0), two(v, 2), two(v, 4))


def us_older_groups(v):
    return v[0] == "9" and (50 <= two(v, 3) <= 65 or v[3:5] == "93")


def us_district(v):
    d = two(v, 0)
    return len(set(v)) > 1 and (d <= 12 or 21 <= d <= 32 or 61 <= d <= 72 or d == 80)


CURP = witness("mx.curp")


def curp_digit(v):
    alphabet = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ"
    return str(-sum(alphabet.index(c) * (18 - i) for i, c in enumerate(v)) % 10)


def curp_of_neither_sex(v):
    man = v[:10] + "H" + v[11:17]
    return v[10] == "X" and CURP(man + curp_digit(man)) and v[17] == curp_digit(v[:17])


def cuit_more(v):
    rest = sum(int(c) * w for c, w in zip(v, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) % 11
    return v[:2] in ("25", "26") and v[10] == "09987654321"[rest]


def ruc_more(v):
    rest = sum(int(c) * w for c, w in zip(v, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) % 11
    return v[:2] == "16" and int(v[10]) == (11 - rest) % 10


def no_date(v):
    """Synthetic and help numbers have 40, 65 or 80 more in the month; the century is not looked at."""
    month, day = two(v, 2), two(v, 0)
    month -= 80 if month > 80 else 65 if month > 65 else 40 if month > 40 else 0
    a = -sum(int(c) * w for c, w in zip(v, (3, 7, 6, 1, 8, 9, 4, 5, 2))) % 11
    b = -sum(int(c) * w for c, w in zip(v, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) % 11
    return v[0] < "8" and date(0, month, day - 40 if day > 40 else day) and v[9:] == f"{a}{b}"


def tfn_of_eight(v):
    return len(v) == 8 and len(set(v)) > 1 and sum(
        int(c) * w for c, w in zip(v, (10, 7, 8, 4, 6, 3, 5, 1))) % 11 == 0


def ogrn_low_digit(v):
    return len(v) == 15 and v[0] in "34" and int(v[:-1]) % 13 % 10 == int(v[-1])


def uk_vat_2010(v):
    v = v.replace("GB", "")
    total = sum(int(c) * w for c, w in zip(v, (8, 7, 6, 5, 4, 3, 2))) + two(v, 7)
    return len(set(v[:7])) > 1 and (total % 97 == 0 or v[0] != "0" and (total + 55) % 97 == 0)


def upn_any_place(v):
    letters = "ABCDEFGHJKLMNPQRTUVWXYZ"
    total = sum((i + 2) * (letters.index(c) if c in letters else int(c)) for i, c in enumerate(v[1:]))
    return v[0] == letters[total % 23] and v[1] in "23489"


def mixed(v):
    return len(set(v)) > 1


TABLE = [
    K("cn.resident_id", "身份证", "cn.ric", "110105%###X 310104%#### 110101######[01]#####", 1, cn_place,
      besides=cn_sum, why="places that no longer are, and those of foreigners"),
    K("cn.uscc", "信用代码", "cn.uscc", "91[134]1####[0123456789ABCDEFGHJKLMNPQRTUWXY]#M##[01]####Y# "
      "9[123][1234][12]##############", 1, cn_department,
      why="department, category and place are known ones"),
    K("jp.my_number", "マイナンバー", "jp.in_", "############", 1, lambda v: mixed(v) and not years(v),
      why="one digit throughout, lists of years"),
    K("jp.corporate_number", "法人番号", "jp.cn", "[123456789]############", 1),
    K("kr.rrn", "주민등록", "kr.rrn", "y####### y[1234]######", 1, kr_new, besides=kr_new,
      why="numbers since October 2020 have no check digit; births of 1900 to 2049"),
    K("kr.brn", "사업자", "kr.brn", "##########", 0, kr_sum, why="the check digit is checked"),
    K("tw.ubn", "統一編號", "tw.ubn", "######## ######7#", 1, mixed, besides=tw_by_five,
      why="divisible by five since April 2023"),
    K("in.aadhaar", "आधार", "in_.aadhaar", "############", 1, lambda v: not years(v), why="lists of years"),
    K("in.vid", "VID", "in_.vid", "################", 1, lambda v: not years(v), why="lists of years"),
    K("in.pan", "PAN", "in_.pan", "@@@@@####@ @@@[ABCFGHJLKPT]@####@"),
    K("in.gstin", "GSTIN", "in_.gstin", "[0123]#@@@[ACFHPT]@####@[12]Z# 27@@@P@####@1Z#", 1,
      besides=gstin_of_any_holder, why="the holder's kind inside the number is not looked at"),
    K("in.voter_id", "EPIC", "in_.epic", "@@@#######", 1),
    K("pk.cnic", "CNIC", "pk.cnic", "#############", 0, lambda v: len(set(v[5:12])) > 1,
      why="one digit throughout the serial"),
    K("sg.uen", "UEN", "sg.uen", "########@ 19#######@ 20#######@ T16[RLS][FPL]####@", 0,
      besides=lambda v: len(v) == 10 and sg_to_come(v), why="the year is not compared with today's"),
    K("my.mykad", "MyKad", "my.nric", "y###### ############"),
    K("id.nik", "NIK", "id.nik", "31[07][1234567]##d#### [13]#####d####", 0, nik, besides=nik,
      why="regencies are not listed; provinces of 2022 are"),
    K("id.npwp", "NPWP", "id.npwp", "############### 0###############", 0,
      lambda v: len(set(v[-15:-6])) > 1, why="one digit throughout"),
    K("th.id", "เลขประจำตัวประชาชน", "th.pin", "#############", 1, lambda v: two(v, 1) in TH_PROVINCES,
      why="provinces that there are"),
    K("th.tax", "ผู้เสียภาษี", "th.moa", "0############", 1, mixed),
    K("vn.tax", "mã số thuế", "vn.mst", "########## #############", 0),
    K("tr.id", "TC kimlik", "tr.tckimlik", "###########", 2),
    K("tr.vkn", "VKN", "tr.vkn", "##########", 1),
    K("il.id", "תעודת זהות", "il.idnr", "#########", 1),
    K("il.company", "ח.פ", "il.hp", "[35]########", 1),
    K("za.id", "identity number", "za.idnr", "y####[012][89]# ##########[012]##", 1, lambda v: v[11] in "89",
      besides=za_refugee, why="8 or 9 since 1986; 2 is a refugee"),
    K("za.tax", "tax reference", "za.tin", "##########", 1),
    K("ke.pin", "KRA PIN", "ke.pin", "[APQ]0########@", 0),
    K("gh.tin", "TIN", "gh.tin", "[CGPQVA]00########", 1),
    K("mu.nic", "NIC", "mu.nid", "@d#######", 1),
    K("us.ssn", "SSN", "us.ssn", "#########", 0, lambda v: v not in ("123456789",) and mixed(v)),
    K("us.itin", "ITIN", "us.itin", "9######## #########", 0, besides=us_older_groups,
      why="groups 50 to 65 since 2012; 93 is an adopted child's"),
    K("us.ein", "EIN", "us.ein", "#########", 0, mixed),
    K("us.ptin", "PTIN", "us.ptin", "P######## R########"),
    K("us.aba", "routing", "us.rtn", "#########", 1, us_district, why="districts of the Federal Reserve"),
    K("ca.sin", "SIN", "ca.sin", "#########", 1, mixed),
    K("ca.business_number", "business number", "ca.bn", "[123456789]########", 1, mixed),
    K("ca.bc_phn", "PHN", "ca.bc_phn", "9#########", 1),
    K("mx.curp", "CURP", "mx.curp", "@@@[AEIOU]y[HMX]DF@@@## VZXYy[HM]NL@@@##", 1,
      besides=curp_of_neither_sex, why="X of neither sex since 2023"),
    K("mx.rfc", "RFC", "mx.rfc", "@@@y### @@@Xy### XQZ######[12][23]#"),
    K("br.cpf", "CPF", "br.cpf", "###########", 2, mixed),
    K("br.cnpj", "CNPJ", "br.cnpj", "############## @#@#####0001## ##@@@###[01]#@@##", 2, mixed),
    K("ar.cuit", "CUIT", "ar.cuit", "[235][034567]#########", 1, besides=cuit_more,
      why="25 and 26 are given out too"),
    K("ar.cbu", "CBU", "ar.cbu", "#######0############## 28505909400904181352##", 2, mixed),
    K("cl.rut", "RUT", "cl.rut", "[123456789]####### [123456789]######[0K] [123456789]########", 1,
      lambda v: len(set(v[:-1])) > 1, why="one digit throughout"),
    K("uy.rut", "RUT", "uy.rut", "[012]#######001#", 1),
    K("py.ruc", "RUC", "py.ruc", "[123456789]######## [123456789]#######", 1),
    K("co.nit", "NIT", "co.nit", "[123456789]#########", 1, lambda v: len(set(v[:9])) > 1),
    K("pe.ruc", "RUC", "pe.ruc", "[12][0567]#########", 1, besides=ruc_more, why="16 is given out too"),
    K("ec.ci", "cédula", "ec.ci", "[012]#########", 1, mixed),
    K("ec.ruc", "RUC", "ec.ruc", "[012]#[0123456789]######[0123456789]001", 0),
    K("ve.rif", "RIF", "ve.rif", "[VEJPG]#########", 1),
    K("do.cedula", "cédula", "do.cedula", "4##########", 1, mixed),
    K("uk.nhs", "NHS", "gb.nhs", "##########", 1, mixed),
    K("uk.utr", "UTR", "gb.utr", "##########", 0, mixed),
    K("uk.vat", "VAT", "gb.vat", "######### GB######### GB############", 2, uk_vat_2010,
      why="a rest of 55 is of no rule"),
    K("uk.upn", "UPN", "gb.upn", "[ABCDEFGHJKLMNPQRTUVWXYZ]8########### [ABC][23489]###########",
      1, besides=upn_any_place, why="local authorities come and go"),
    K("ch.ahv", "AHV", "ch.ssn", "756##########", 1),
    K("ch.uid", "UID", "ch.uid", "CHE#########", 1),
    K("no.fnr", "fødselsnummer", "no.fodselsnummer", "d##### ###########", 2, besides=no_date,
      why="synthetic numbers, and the century is not looked at"),
    K("no.org", "orgnr", "no.orgnr", "[123456789]########", 1),
    K("no.account", "kontonummer", "no.kontonr", "[123456789]##########", 1, mixed),
    K("is.kennitala", "kennitala", "is_.kennitala", "d##[0123456789][09] d###[09]", 0),
    K("ua.tax", "РНОКПП", "ua.rntrc", "##########", 1, mixed),
    K("ua.edrpou", "ЄДРПОУ", "ua.edrpou", "########", 1, mixed),
    K("ru.inn", "ИНН", "ru.inn", "########## ############", 2, mixed),
    K("ru.ogrn", "ОГРН", "ru.ogrn", "[123456789]############ [34]##############", 1, besides=ogrn_low_digit,
      why="of a rest above nine the last digit counts"),
    K("md.idnp", "IDNP", "md.idno", "[012]############", 1, mixed),
    K("au.abn", "ABN", "au.abn", "[123456789]##########", 2),
    K("au.acn", "ACN", "au.acn", "#########", 1, mixed),
    K("au.tfn", "TFN", "au.tfn", "######### ########", 1, lambda v: len(v) == 9 and mixed(v),
      besides=tfn_of_eight, why="eight digits have weights of their own"),
    K("nz.ird", "IRD", "nz.ird", "[123456789]####### 1########", 1),
]

compare(TABLE)
