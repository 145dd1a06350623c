/* The member states' numbers: published or invented values that are right, and the same with a wrong
 * check digit, a date that is none or a form that is not theirs. */
#include "tests/filters/kind_values.h"

#include <stdint.h>

static const struct kind_values rows[] = {
	/* west */
	{ "at.svnr", "1237010180 1244311344", "2237010180 1237310280 0237010180" },
	{ "at.tax", "591199013", "591199014 991199013" },
	{ "at.vat", "ATU13585627", "ATU13585626 ATX13585627" },
	{ "be.nn", "85073003328 17073003384 00010100105", "85073003329 85133003328 85073203302" },
	{ "be.bis", "98472899765 01490700185", "98472899766 98072899765" },
	{ "be.vat", "BE0403019261 BE428759497 0403170701", "BE431150351 BE0403019262 2403170701" },
	{ "be.id_card", "591191706458 000001103271", "000001103225 591191706459" },
	{ "de.tax_id", "36574261809 86095742719 14326908732 65929970489",
	  "36574261808 06574261809 12345678903 11145678904" },
	{ "de.tax_number", "18181508155 4151081508156", "123456789" },
	{ "de.vat_id", "DE136695976 DE315916822", "DE136695978 DE036695976" },
	{ "de.pension", "15070649C103 42070649J537 65170839J003",
	  "15070649C104 15320649C103 15071349C103" },
	{ "de.health", "A123456780 O144933383", "A123456781 O144933384" },
	{ "de.passport", "C01X00T478 C0VYGGTJ18 C01X00T47", "C01X00T479 L01X00T478 C01X0OT47" },
	{ "de.id_card", "T220001293 L06H4HHVF8 T22000129", "T220001294 A220001293" },
	{ "de.licence", "B072RRE2I55 J010000SD51", "B072RRE2I45 J010000SD61" },
	{ "de.doctor", "123456601 838382202", "123457601" },
	{ "de.azr", "160303065843", "16030306584" },
	{ "fr.nir", "295109912611193 253072B07300470 253072A07300443 2951099126111",
	  "295109912611199 295139912611193 595109912611193 253072C07300470" },
	{ "fr.spi", "3023217600053 0701987765493", "3023217600054 9023217600053" },
	{ "fr.vat", "FR23334175221 FRK7399859412 FR4Z123456782 FR40303265045",
	  "FR84323140391 FR23334175222 FRIO123456782" },
	{ "fr.company", "404833048 73282932000074 35600000049837",
	  "404833047 73282932000079 35600000049838" },
	{ "fr.foreigner", "7503123456", "750312345" },
	{ "ie.pps", "6433435F 6433435FT 6433435FW 6433435OA 6433435IH 1234567T",
	  "6433435E 6433435OB 6433435XA" },
	{ "ie.vat", "IE6433435F IE6433435OA IE8D79739I", "IE6433435E IE8D79738J IE8Z79739J" },
	{ "lu.matricule", "1893120105732", "1893120105731 1893120105742 1893130105732" },
	{ "lu.vat", "LU15027442", "LU15027443" },
	{ "nl.bsn", "111222333 682569926 01234560", "111252333 111222334 000000000" },
	{ "nl.education", "101222331", "100252333 111222331" },
	{ "nl.vat", "NL004495445B01 NL002455799B11",
	  "NL123456789B90 NL002455799B12 NL004495445B00" },
	{ "nl.document", "XR1001R58 EM0000000", "EM000000O E00000000" },
	{ "nl.foreigner", "2234567890", "223456789" },
	/* south */
	{ "cy.tin", "10259033P", "10259033Z 12259033P" },
	{ "cy.vat", "CY10259033P", "CY10259033Z CY70259033P" },
	{ "cy.id_card", "6123456", "61234" },
	{ "es.nif", "54362315K 12345678Z 1234567L M1234567L",
	  "54362315Z 12345678A 54362315 M1234567A" },
	{ "es.nie", "X2482300W X5253868R Z3241768S", "X2482300A A2482300W" },
	{ "es.cif", "J99216582 B64717838 A13585625 P0800000B",
	  "J99216583 B6471783I P08000002 I99216582" },
	{ "es.vat", "ESB64717838 ES54362315K ESX5253868R", "ESB64717839 ES54362315Z ESI64717838" },
	{ "es.nuss", "281234567840 080123456774", "281234567841 991234567840" },
	{ "gr.afm", "094259216 023456780", "123456781 000000000" },
	{ "gr.vat", "EL094259216 GR023456780", "EL123456781" },
	{ "gr.amka", "01013099997 17034005060", "01013099999 01133099997" },
	{ "gr.id_card", "AB123456 123456", "ABC123456 12345" },
	{ "hr.oib", "33392005961 93612895786", "33392005962 3339200596" },
	{ "hr.vat", "HR33392005961", "HR33392005962" },
	{ "hr.jmbg", "0101985330000", "0101985330001 3202985330000 0101985500000" },
	{ "hr.mbo", "123456789", "12345678" },
	{ "it.fiscal", "RCCMNL83S18D969H RSSMRA85T10A562S RSSOEU85T10A597E RCCMNLUPSMUDVSVO",
	  "RCCMNL83S18D969G RCCMNL83S32D969H RCCMNL83F18D969H" },
	{ "it.vat", "00743110157 IT00743110157", "00743110158 00743119157 IT00000000000" },
	{ "mt.id_card", "0123456M 123M", "0123456C 12M" },
	{ "mt.tin", "123456789", "12345678" },
	{ "mt.vat", "MT11679112 MT20200019", "MT11679113 MT01679112" },
	{ "pt.nif", "501964843 123456789", "501964842 012345678" },
	{ "pt.vat", "PT501964843", "PT501964842" },
	{ "pt.cc", "000000000ZZ4 123456789ZZ1", "000000000ZZ3 123456789ZZ2" },
	{ "pt.bi", "123456789", "123456788" },
	{ "pt.niss", "12345678902", "12345678903 32345678902" },
	{ "pt.sns", "123456789", "12345678" },
	{ "si.emso", "0101006500006 2310969506510", "0101006500007 0113006500006 0101006300006" },
	{ "si.tax", "50223054 15012557", "50223055 00223054" },
	{ "si.vat", "SI50223054", "SI50223055" },
	{ "si.company", "9331310000 5300231", "9331320000" },
	{ "si.health", "012345678", "01234567" },
	/* east */
	{ "bg.egn", "8032056031 7523169263 6101057509", "7523169264 8019010008 8013056031" },
	{ "bg.pnf", "7111042925", "7111042922 711104292" },
	{ "bg.company", "175074752 1750747520019", "175074751" },
	{ "bg.vat", "BG175074752 BG7523169263", "BG175074751" },
	{ "cz.birth_number", "7103192745 530610941 5406109412 0561021230 991231123",
	  "7103192746 1103492745 590312123 321224000" },
	{ "cz.insured", "7103192746", "71031927" },
	{ "cz.company", "25123891", "25123890" },
	{ "cz.vat", "CZ25123891 CZ7103192745 CZ640903926", "CZ25123890 CZ95123891 CZ640903927" },
	{ "hu.tax", "8071592153", "8071592154 7071592153" },
	{ "hu.taj", "123456788", "123456789" },
	{ "hu.personal", "18501011231 30501011243", "18501011239 18513011231" },
	{ "hu.company", "12892312241", "12892313241 12892312299" },
	{ "hu.vat", "HU12892312", "HU12892313" },
	{ "pl.pesel", "44051401359 02070803628 02270803624",
	  "44051401358 44053201359 44134501359" },
	{ "pl.nip", "8567346215 1234563218", "8567346216" },
	{ "pl.vat", "PL8567346215", "PL8567346216" },
	{ "pl.regon", "192598184 123456785 12345678512347", "192598183 12345678612342" },
	{ "pl.id_card", "ABA300000 ABS123456", "ABA400000" },
	{ "pl.passport", "ZS0000177", "ZS0000187" },
	{ "ro.cnp", "1630615123457", "1630615123458 1631315123457 1630615993457 0630615123457" },
	{ "ro.cui", "18547290", "18547291" },
	{ "ro.vat", "RO18547290", "RO18547291" },
	{ "sk.birth_number", "7103192745 991231123", "7103192746" },
	{ "sk.company", "36421928", "36421929" },
	{ "sk.tax", "2022749619", "2022749618 2012749619" },
	{ "sk.vat", "SK2022749619", "SK2022749618" },
	/* north */
	{ "dk.cpr", "2110625629 0101074023 2510745796", "5110625629 3102625629 2902015629" },
	{ "dk.cvr", "13585628", "13585627" },
	{ "dk.vat", "DK13585628", "DK13585627" },
	{ "ee.code", "36805280109 37605030299", "36805280108 36813280109 06805280109" },
	{ "ee.company", "12345678", "12345679 32345674" },
	{ "ee.vat", "EE100594102 EE100931558", "EE100594103" },
	{ "fi.hetu", "131052308T 010594Y9032 010516B903X 131052A308T",
	  "131052308U 321052308T 131352308T 131052001K" },
	{ "fi.company", "20774740", "20774741" },
	{ "fi.vat", "FI20774740", "FI20774741" },
	{ "lv.code", "16117519997 32867300679", "16117519998 16137519997 31117519997" },
	{ "lv.company", "40003521600", "40003521601" },
	{ "lv.vat", "LV40003521600 LV16117519997", "LV40003521601" },
	{ "lt.code", "33309240064 38703181745", "33309240164 33313240064 93309240064" },
	{ "lt.company", "119511515 111111113", "119511516" },
	{ "lt.vat", "LT119511515 LT100001919017 LT100004801610", "LT100001919018 LT119511525" },
	{ "se.person", "8803200016 8112189876 198112189876 7010632391 200501011233",
	  "8803200018 8113189876 198113189876 8112930005 218112189876" },
	{ "se.org", "5560360793", "5560360794 5510360793" },
	{ "se.vat", "SE556036079301", "SE556036079401 SE556036079302" },
	/* the Union */
	{ "eu.passport", "12AB34567 AB123456 U1234567 AAA123456 12345678", "123456 ABCD12345" },
	{ "eu.id_card", "CA12345AB 123456AB AB1234567 X4RTBPFW4 123456789012",
	  "AB12345 IDENTITES" },
	{ "eu.residence_permit", "RX1234567 A12345678 7503123456", "RESIDENCE" },
	{ "eu.health_card", "80380000300012345678", "80999000300012345678 70380000300012345678" },
	{ "eu.oss_vat", "EU372022452 IM2760000001", "EU999022452 EU37202245" },
	{ "xi.vat", "XI110305878", "XI110305879" },
};

Test(filters_kinds_eu, published_values_pass_and_their_misprints_do_not)
{
	kind_rows_hold(rows, sizeof rows / sizeof *rows);
}

Test(filters_kinds_eu, every_kind_of_the_tables_has_values)
{
	kind_tables_have_rows(kind_tables_eu, rows, sizeof rows / sizeof *rows);
}

/* ---- how often a chance value passes */

static uint64_t seed = 20261130;

static unsigned below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((seed >> 33) % n);
}

#define DIGITS UINT64_C(0x3FF)

static bool one_of(uint64_t set) { return (set & (set - 1)) == 0; }

/* A random digit where the form has digits, a random letter where it has letters; a letter that the
 * form names, as in a prefix, stays. */
static void chance_value(const struct kind_shape *s, char *v)
{
	unsigned n = s->least + below((unsigned)(s->most - s->least) + 1);
	for (unsigned i = 0; i < n; i++) {
		bool digit = (s->at[i] & DIGITS) != 0, letter = (s->at[i] & ~DIGITS) != 0;
		unsigned k = digit && letter ? below(36) : digit ? below(10) : 10 + below(26);
		for (unsigned bit = 10; letter && !digit && one_of(s->at[i]) && bit < 36; bit++)
			if (s->at[i] >> bit & 1)
				k = bit;
		v[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[k];
	}
	v[n] = 0;
}

static bool is_length(const struct kind *k, unsigned n)
{
	struct kind_shape shape[KIND_SHAPES_MAX];
	size_t shapes;
	struct err e = { 0 };
	cr_assert(kind_form(k->form, shape, &shapes, &e) == 0, "%s", e.text);
	for (size_t i = 0; i < shapes; i++)
		if (shape[i].least <= n && n <= shape[i].most)
			return true;
	return false;
}

#define CHANCES 50000

static double share_that_passes(const struct kind *k, bool *digits_only)
{
	struct kind_shape shape[KIND_SHAPES_MAX];
	size_t shapes, passed = 0;
	struct err e = { 0 };
	char v[KIND_LENGTH_MAX + 1];
	cr_assert(kind_form(k->form, shape, &shapes, &e) == 0, "%s", e.text);
	*digits_only = true;
	for (size_t i = 0; i < shapes; i++)
		for (unsigned c = 0; c < shape[i].most; c++)
			*digits_only &= (shape[i].at[c] & ~DIGITS) == 0;
	for (int i = 0; i < CHANCES; i++) {
		chance_value(&shape[below((unsigned)shapes)], v);
		passed += kind_form_takes(k, v) && (!k->check || k->check(v, strlen(v)));
	}
	return (double)passed / CHANCES;
}

/* Half a thousandth is left for the spread of the measurement. */
Test(filters_kinds_eu, needs_follow_the_measured_chance)
{
	for (const struct kind *const *t = kind_tables_eu; *t; t++)
		for (const struct kind *k = *t; k->name; k++) {
			bool digits;
			double share = share_that_passes(k, &digits);
			bool nothing = k->bare == NEED_NOTHING || k->grouped == NEED_NOTHING;
			cr_expect(!nothing || share < 0.0015, "%s: %.4f need nothing", k->name,
				  share);
			bool wordless = k->bare == NEED_NOTHING || k->bare == NEED_NO_VETO;
			cr_expect(!(digits && wordless) || share < 0.0025,
				  "%s: %.4f of bare digits need no word", k->name, share);
			cr_expect(k->check || (k->bare >= NEED_WORD && k->grouped >= NEED_WORD),
				  "%s: without a check, a word decides", k->name);
			cr_expect(!digits || k->bare >= NEED_WORD || !is_length(k, 11),
				  "%s: eleven digits need a word", k->name);
		}
}

Test(filters_kinds_eu, document_names_every_kind)
{
	FILE *f = fopen("docs/identifiers.md", "r");
	cr_assert(f);
	static char text[1 << 17];
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	cr_assert(n > 0 && n < sizeof text - 1);
	for (const struct kind *const *t = kind_tables_eu; *t; t++)
		for (const struct kind *k = *t; k->name; k++) {
			char cell[64];
			snprintf(cell, sizeof cell, "| `%s` |", k->name);
			cr_expect(strstr(text, cell), "docs/identifiers.md has no row of %s",
				  k->name);
		}
}
