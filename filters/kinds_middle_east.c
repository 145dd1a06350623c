/* Turkey, Israel, the Gulf, Iran, Jordan, Egypt. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- Turkey */

/* d10 = 7 (d1 + d3 + d5 + d7 + d9) - (d2 + d4 + d6 + d8), d11 = the sum of all; both mod 10. */
static bool tr_id(const char *v, size_t n)
{
	int odd = check_weighted(v, "101010101"), even = check_weighted(v, "01010101");
	int ten = ((7 * odd - even) % 10 + 10) % 10;
	(void)n;
	return v[9] - '0' == ten && v[10] - '0' == (odd + even + ten) % 10;
}

/* Each digit plus its place from the right (mod 10), times a power of two (mod 9, 0 as 9). */
static bool tr_vkn(const char *v, size_t n)
{
	int sum = 0;
	(void)n;
	for (int i = 0; i < 9; i++) {
		int a = (v[i] - '0' + 9 - i) % 10, b = a * (1 << (9 - i)) % 9;
		sum += a && !b ? 9 : b;
	}
	return !check_same(v, 9) && v[9] - '0' == (10 - sum % 10) % 10;
}

static const char *const words_tr_id[] = { "tckn",    "tc kimlik*",    "t.c. kimlik*",
					   "kimlik*", "vatandaşlık*",  "tc no",
					   "kişi*",   "turkish id",    "türk kimlik*",
					   "tc",      "nüfus cüzdan*", NULL };
static const char *const words_tr_vkn[] = { "vkn", "vergi*", "tax id*", "tax number", NULL };
static const char *const words_tr_passport[] = { "pasaport*", "passport*", NULL };

static const struct kind tr[] = {
	{ .name = "tr.id",
	  .version = 2,
	  .form = "[1-9]#{10}",
	  .groups = "3 3 3 2",
	  .check = tr_id,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_tr_id,
	  .what = "Turkish identity number (TCKN)",
	  .source = "General Directorate of Civil Registration; law 5490",
	  .example = "TC Kimlik No: 10000000146" },
	{ .name = "tr.vkn",
	  .version = 1,
	  .form = "#{10}",
	  .groups = "3 3 4|3 3 2 2",
	  .check = tr_vkn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_tr_vkn,
	  .what = "Turkish tax number (VKN)",
	  .source = "Revenue Administration",
	  .example = "VKN 4540536920" },
	{ .name = "tr.passport",
	  .version = 1,
	  .form = "[SUZ]#{8}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_tr_passport,
	  .what = "Turkish passport",
	  .source = "General Directorate of Civil Registration",
	  .example = "pasaport no U12345678" },
	{ 0 },
};

/* ---- Israel */

static const char *const words_il[] = { "תעודת זהות", "מספר זהות",       "ת.ז",
					"ת\"ז",       "teudat zehut",    "israeli id",
					"id number",  "identity number", "id no",
					NULL };
static const char *const words_il_company[] = {
	"ח.פ", "ח\"פ", "עוסק מורשה", "company number", "company registration", NULL
};
static const char *const words_il_passport[] = { "דרכון", "passport*", NULL };

static const struct kind il[] = {
	{ .name = "il.id",
	  .version = 1,
	  .form = "#{9}",
	  .groups = "8-1|1 7 1|3 3 3",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_il,
	  .what = "Israeli identity number",
	  .source = "Population and Immigration Authority: Luhn over nine digits",
	  .example = "תעודת זהות 039337423" },
	{ .name = "il.company",
	  .version = 1,
	  .form = "5#{8}",
	  .groups = "2 6 1|2 7|8-1",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_il_company,
	  .what = "Israeli company number",
	  .source = "Corporations Authority",
	  .example = "company number 516179157" },
	{ .name = "il.passport",
	  .version = 1,
	  .form = "[1-9]#{6,7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_il_passport,
	  .what = "Israeli passport",
	  .source = "Population and Immigration Authority",
	  .example = "דרכון 12345678" },
	{ 0 },
};

/* ---- the Gulf */

/* 784, year of birth, serial; Luhn's check digit. */
static bool ae_id(const char *v, size_t n)
{
	int year = check_number(v + 3, 4);
	return year >= 1900 && year < 2050 && check_luhn(v, n);
}

/* Century (2: the 1900s, 3: the 2000s), date of birth, serial, weights 2 1 6 3 7 9 10 5 8 4 2. */
static bool kw_id(const char *v, size_t n)
{
	(void)n;
	return check_date((v[0] == '2' ? 1900 : 2000) + check_number(v + 1, 2),
			  check_number(v + 3, 2), check_number(v + 5, 2)) &&
	       v[11] - '0' == 11 - check_weighted(v, "216379:5842") % 11;
}

static bool bh_cpr(const char *v, size_t n)
{
	int month = check_number(v + 2, 2);
	(void)n;
	return month >= 1 && month <= 12;
}

static const char *const words_ae[] = { "emirates id", "eid",          "الهوية الإماراتية",
					"رقم الهوية",  "بطاقة الهوية", NULL };
static const char *const words_ae_trn[] = { "trn",           "tax registration",    "vat",
					    "الرقم الضريبي", "رقم التسجيل الضريبي", NULL };
static const char *const words_sa[] = { "الهوية الوطنية", "رقم الهوية", "هوية",      "إقامة",
					"الإقامة",        "اقامة",      "الاقامة",   "iqama*",
					"national id",    "saudi id",   "id number", NULL };
static const char *const words_sa_vat[] = { "vat", "الرقم الضريبي", "ضريبة القيمة المضافة", "tax",
					    NULL };
static const char *const words_gulf[] = {
	"civil id", "البطاقة المدنية", "الرقم المدني",    "qid",        "qatar id",
	"cpr",      "الرقم الشخصي",    "البطاقة الشخصية", "رقم الهوية", NULL
};

static const struct kind gulf[] = {
	{ .name = "ae.emirates_id",
	  .version = 1,
	  .form = "784[12]#{11}",
	  .groups = "3 4 7 1",
	  .check = ae_id,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .words = words_ae,
	  .what = "Emirates ID",
	  .source =
		  "Federal Authority for Identity and Citizenship; 784 is the country in ISO 3166-1",
	  .example = "784-1980-1234567-8" },
	{ .name = "ae.trn",
	  .version = 1,
	  .form = "100#{12}",
	  .groups = "3 4 4 4|3 3 3 3 3",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ae_trn,
	  .what = "Emirati tax registration number",
	  .source = "Federal Tax Authority",
	  .example = "TRN 100123456700003" },
	{ .name = "sa.id",
	  .version = 1,
	  .form = "[12]#{9}",
	  .groups = "1 3 3 3",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_sa,
	  .what = "Saudi identity number or residence permit (iqama)",
	  .source = "Ministry of Interior: 1 citizen, 2 resident, Luhn's check digit",
	  .example = "رقم الهوية 1012345672" },
	{ .name = "sa.vat",
	  .version = 1,
	  .form = "3#{13}3",
	  .groups = "3 3 3 3 3",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_sa_vat,
	  .what = "Saudi VAT number",
	  .source = "Zakat, Tax and Customs Authority",
	  .example = "VAT 310122393500003" },
	{ .name = "kw.civil_id",
	  .version = 1,
	  .form = "[23]#{11}",
	  .groups = "1 6 5",
	  .check = kw_id,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_gulf,
	  .what = "Kuwaiti civil number",
	  .source = "Public Authority for Civil Information",
	  .example = "285010112358" },
	{ .name = "qa.qid",
	  .version = 1,
	  .form = "[23]#{10}",
	  .groups = "3 3 5",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_gulf,
	  .what = "Qatari identity number",
	  .source = "Ministry of Interior: century, year, country, serial; no public check digit",
	  .example = "QID 28563412345" },
	{ .name = "bh.cpr",
	  .version = 1,
	  .form = "#{9}",
	  .check = bh_cpr,
	  NEEDS(WORD, NEVER, NEVER),
	  .words = words_gulf,
	  .what = "Bahraini personal number",
	  .source = "Information & eGovernment Authority: year, month, serial",
	  .example = "CPR 850112345" },
	{ 0 },
};

/* ---- Iran, Jordan, Egypt */

/* Weights 10 to 2; a rest below 2 is the check digit, else 11 minus it. */
static bool ir_national(const char *v, size_t n)
{
	int rest = check_weighted(v, ":98765432") % 11;
	(void)n;
	return !check_same(v, 10) && v[9] - '0' == (rest < 2 ? rest : 11 - rest);
}

/* Century, date of birth, governorate; the check digit's rule is not published. */
static bool eg_id(const char *v, size_t n)
{
	static const char governorates[] =
		"01 02 03 04 11 12 13 14 15 16 17 18 19 21 22 23 24 25 26 27 "
		"28 29 31 32 33 34 35 88";
	(void)n;
	return check_listed(governorates, v + 7, 2) &&
	       check_date((v[0] == '2' ? 1900 : 2000) + check_number(v + 1, 2),
			  check_number(v + 3, 2), check_number(v + 5, 2));
}

static const char *const words_ir[] = { "کد ملی",        "شماره ملی",   "کدملی", "melli*",
					"national code", "national id", NULL };
static const char *const words_jo[] = { "الرقم الوطني", "national number", "national id", NULL };
static const char *const words_eg[] = { "الرقم القومي", "رقم قومي",  "بطاقة الرقم القومي",
					"national id",  "id number", NULL };
static const char *const words_eg_tax[] = { "الرقم الضريبي",    "رقم التسجيل الضريبي",
					    "البطاقة الضريبية", "tax id*",
					    "tax reg*",         NULL };

static const struct kind other[] = {
	{ .name = "ir.national_code",
	  .version = 1,
	  .form = "#{10}",
	  .groups = "3-6-1",
	  .check = ir_national,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_ir,
	  .what = "Iranian national code",
	  .source = "National Organization for Civil Registration",
	  .example = "کد ملی 0013542419" },
	{ .name = "jo.national",
	  .version = 1,
	  .form = "[29]#{9}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_jo,
	  .what = "Jordanian national number",
	  .source = "Civil Status and Passports Department",
	  .example = "الرقم الوطني 9851012345" },
	{ .name = "eg.national_id",
	  .version = 1,
	  .form = "[23]#{13}",
	  .groups = "1 6 2 5|1 2 2 2 2 5|7 7",
	  .check = eg_id,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_eg,
	  .what = "Egyptian national number",
	  .source = "Civil Status Organization: century, date, governorate, serial",
	  .example = "29001011234567" },
	{ .name = "eg.tax",
	  .version = 1,
	  .form = "#{9}",
	  .groups = "3-3-3",
	  NEEDS(LABEL, LABEL, LABEL),
	  .words = words_eg_tax,
	  .what = "Egyptian tax number",
	  .source = "Egyptian Tax Authority",
	  .example = "tax ID 100-531-385" },
	{ 0 },
};

const struct kind *const kind_tables_middle_east[] = { tr, il, gulf, other, NULL };
