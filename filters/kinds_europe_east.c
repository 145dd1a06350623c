/* The east of Europe and the west of Central Asia: Ukraine, Russia, Belarus, Moldova, Kazakhstan,
 * Uzbekistan, the Western Balkans. */
#include "filters/kinds_world.h"

/* ---- Ukraine, Russia, Belarus, Moldova, Kazakhstan, Uzbekistan */

/* Five digits are the days since 31 December 1899. */
static bool ua_rntrc(const char *v, size_t n)
{
	static const int weight[] = { -1, 5, 7, 9, 4, 6, 10, 5, 7 };
	int rest = check_sum(v, 9, weight) % 11;
	(void)n;
	return !check_same(v, 10) && v[9] - '0' == (rest + 11) % 11 % 10;
}

/* Weights 1 to 7; from 30 to 60 million 7 1 2 ... 6; where the rest is 10, two more each. */
static bool ua_edrpou(const char *v, size_t n)
{
	bool middle = v[0] >= '3' && v[0] <= '5';
	int rest = check_weighted(v, middle ? "7123456" : "1234567") % 11;
	(void)n;
	if (rest == 10)
		rest = check_weighted(v, middle ? "9345678" : "3456789") % 11 % 10;
	return !check_same(v, 8) && v[7] - '0' == rest;
}

/* Date of birth, serial, ICAO's 7 3 1. */
static bool ua_unzr(const char *v, size_t n)
{
	int year = check_number(v, 4);
	(void)n;
	return year >= 1900 && year < 2050 &&
	       check_date(year, check_number(v + 4, 2), check_number(v + 6, 2)) &&
	       v[12] - '0' == check_weighted(v, "731731731731") % 10;
}

static bool ru_snils(const char *v, size_t n)
{
	int rest = check_weighted(v, "987654321") % 101;
	return !check_same(v, n - 2) && check_number(v + 9, 2) == (rest == 100 ? 0 : rest);
}

static bool ru_inn(const char *v, size_t n)
{
	static const int w[] = { 3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8 };
	if (check_same(v, n))
		return false;
	if (n == 10)
		return v[9] - '0' == check_sum(v, 9, w + 2) % 11 % 10;
	return v[10] - '0' == check_sum(v, 10, w + 1) % 11 % 10 &&
	       v[11] - '0' == check_sum(v, 11, w) % 11 % 10;
}

/* The number without its last digit, mod 11 or 13, of that the last digit. */
static bool ru_ogrn(const char *v, size_t n)
{
	int modulus = n == 13 ? 11 : 13, rest = 0;
	for (size_t i = 0; i + 1 < n; i++)
		rest = (rest * 10 + v[i] - '0') % modulus;
	return v[n - 1] - '0' == rest % 10;
}

static bool by_personal(const char *v, size_t n)
{
	int sum = 0;
	for (size_t i = 0; i + 1 < n; i++)
		sum += check_base36(v[i]) * ("731"[i % 3] - '0');
	return check_date(0, check_number(v + 3, 2), check_number(v + 1, 2)) &&
	       v[n - 1] - '0' == sum % 10;
}

static bool md_idnp(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 12) && v[12] - '0' == check_weighted(v, "731731731731") % 10;
}

/* Date of birth, century and sex, serial; weights 1 to 11, where the rest is 10, 3 to 11, 1, 2. */
static bool kz_iin(const char *v, size_t n)
{
	static const int first[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 },
			 second[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2 };
	int rest = check_sum(v, 11, first) % 11;
	(void)n;
	if (rest == 10)
		rest = check_sum(v, 11, second) % 11;
	return check_yymmdd(v) && v[11] - '0' == rest;
}

/* Century and sex, ddmmyy, place, serial, ICAO's 7 3 1. */
static bool uz_pinfl(const char *v, size_t n)
{
	(void)n;
	return check_date(0, check_number(v + 3, 2), check_number(v + 1, 2)) &&
	       v[13] - '0' == check_weighted(v, "7317317317317") % 10;
}

static const char *const words_ua_tax[] = { "рнокпп",
					    "ірнокпп",
					    "іпн",
					    "ідентифікаційний код",
					    "ідентифікаційний номер",
					    "податковий номер",
					    "rnokpp",
					    "rntrc",
					    "tax id*",
					    "инн",
					    NULL };
static const char *const words_ua_edrpou[] = { "єдрпоу", "едрпоу", "edrpou", NULL };
static const char *const words_ua_unzr[] = { "унзр", "номер запису", "unzr", NULL };
static const char *const words_ua_passport[] = { "паспорт*", "id-картк*", "passport*", NULL };
static const char *const words_ru_snils[] = { "снилс", "snils", "пенсионн*", "страховой номер",
					      NULL };
static const char *const words_ru_inn[] = { "инн", "inn",
					    "идентификационный номер налогоплательщика", NULL };
static const char *const words_ru_ogrn[] = { "огрн", "огрнип", "ogrn*", NULL };
static const char *const words_ru_passport[] = { "паспорт*", "загранпаспорт*", "passport*", NULL };
static const char *const words_ru_driver[] = { "водительск*", "удостоверени*", WORDS_DRIVER, NULL };
static const char *const words_ru_oms[] = { "омс", "полис*", "oms", NULL };
static const char *const words_by[] = { "личный номер", "идентификационный номер", "асабісты нумар",
					"personal number", NULL };
static const char *const words_md[] = { "idnp", "cod personal", "cnp", "idno", NULL };
static const char *const words_kz[] = { "иин", "жсн", "iin", "бин", "bin", NULL };
static const char *const words_uz[] = { "пинфл", "pinfl", "jshshir", "жшшир", NULL };

static const struct kind east[] = {
	{ .name = "ua.tax",
	  .version = 1,
	  .form = "#{10}",
	  .check = ua_rntrc,
	  NEEDS(WORD, NEVER, WORD),
	  .words = words_ua_tax,
	  .what = "Ukrainian taxpayer number (РНОКПП)",
	  .source = "State Tax Service of Ukraine",
	  .example = "РНОКПП 1759013776" },
	{ .name = "ua.edrpou",
	  .version = 1,
	  .form = "#{8}",
	  .check = ua_edrpou,
	  NEEDS(WORD, NEVER, NEVER),
	  .words = words_ua_edrpou,
	  .what = "Ukrainian code of an organization (ЄДРПОУ)",
	  .source = "State Statistics Service of Ukraine",
	  .example = "ЄДРПОУ 32855961" },
	{ .name = "ua.unzr",
	  .version = 1,
	  .form = "[12]#{12}",
	  .groups = "8-5",
	  .check = ua_unzr,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_ua_unzr,
	  .what = "Ukrainian demographic register number (УНЗР)",
	  .source = "Cabinet of Ministers of Ukraine, resolution 784 of 2017",
	  .example = "УНЗР 19850312-12341" },
	{ .name = "ua.passport",
	  .version = 1,
	  .form = "#{9}|AA#{6}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_ua_passport,
	  .what = "Ukrainian passport",
	  .source = "State Migration Service of Ukraine",
	  .example = "паспорт 001234567" },
	{ .name = "ru.snils",
	  .version = 1,
	  .form = "#{11}",
	  .groups = "3-3-3 2|3-3-3-2|3 3 3 2",
	  .check = ru_snils,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_ru_snils,
	  .what = "Russian pension insurance number (СНИЛС)",
	  .source = "Pension Fund of Russia, order 1033p of 2010",
	  .example = "112-233-445 95" },
	{ .name = "ru.inn",
	  .version = 1,
	  .form = "#{10}|#{12}",
	  .groups = "2 2 6|2 2 5 1|4 6 2",
	  .check = ru_inn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ru_inn,
	  .what = "Russian taxpayer number (ИНН)",
	  .source = "Federal Tax Service, order ММВ-7-6/435@ of 2012",
	  .example = "ИНН 500100732259" },
	{ .name = "ru.ogrn",
	  .version = 1,
	  .form = "[1-9]#{12}|[34]#{14}",
	  .groups = "1 2 2 2 5 1|1 2 2 7 1",
	  .check = ru_ogrn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ru_ogrn,
	  .what = "Russian registration number of companies and sole traders (ОГРН, ОГРНИП)",
	  .source = "Ministry of Finance, order 165n of 2017",
	  .example = "ОГРН 1022200525819" },
	{ .name = "ru.passport",
	  .version = 1,
	  .form = "#{10}|#{9}",
	  .groups = "4 6|2 2 6|2 7",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ru_passport,
	  .what = "Russian passport",
	  .source = "Government decree 828 of 1997; passports for travel: series and number",
	  .example = "паспорт 45 04 123456" },
	{ .name = "ru.driver_licence",
	  .version = 1,
	  .form = "#{10}|##AA#{6}",
	  .groups = "4 6|2 2 6",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ru_driver,
	  .what = "Russian driver licence",
	  .source = "Ministry of the Interior, order 365 of 2014",
	  .example = "водительское удостоверение 77 16 123456" },
	{ .name = "ru.oms",
	  .version = 1,
	  .form = "#{16}",
	  .groups = "4 4 4 4",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ru_oms,
	  .what = "Russian health insurance policy (ОМС)",
	  .source = "Ministry of Health, order 108n of 2019; Luhn's check digit",
	  .example = "полис ОМС 7752320826001239" },
	{ .name = "by.personal",
	  .version = 1,
	  .form = "[1-6]#{6}[A-CEHKM]###PB#|[1-6]#{6}[A-CEHKM]###B[A]#|[1-6]#{6}[A-CEHKM]###BI#",
	  .groups = "7 1 3 2 1",
	  .check = by_personal,
	  NEEDS(NOTHING, NOTHING, WORD),
	  .words = words_by,
	  .what = "Belarusian personal number",
	  .source = "Ministry of Internal Affairs of Belarus; check digit 7 3 1",
	  .example = "3120385A001PB3" },
	{ .name = "md.idnp",
	  .version = 1,
	  .form = "[0-2]#{12}",
	  .check = md_idnp,
	  NEEDS(WORD, NEVER, WORD),
	  .words = words_md,
	  .what = "Moldovan personal or company code (IDNP, IDNO)",
	  .source = "Public Services Agency of Moldova",
	  .example = "IDNO 1008600038413" },
	{ .name = "kz.iin",
	  .version = 1,
	  .form = "#{6}[0-6]#{5}",
	  .groups = "6 6|6 1 5|3 3 3 3",
	  .check = kz_iin,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_kz,
	  .what = "Kazakh individual number (ИИН)",
	  .source = "Law 223-III on national registers of identification numbers",
	  .example = "ИИН 850312300012" },
	{ .name = "uz.pinfl",
	  .version = 1,
	  .form = "[3-6]#{13}",
	  .check = uz_pinfl,
	  NEEDS(WORD, NEVER, WORD),
	  .words = words_uz,
	  .what = "Uzbek personal number (ПИНФЛ)",
	  .source = "Ministry of Internal Affairs of Uzbekistan",
	  .example = "ПИНФЛ 31203850010012" },
	{ 0 },
};

/* ---- the Western Balkans */

/* ddmmyyy, region, serial; weights 7 6 5 4 3 2 twice; 10 and 11 are 0. */
static bool rs_jmbg(const char *v, size_t n)
{
	int rest = 11 - check_weighted(v, "765432765432") % 11, year = check_number(v + 4, 3);
	(void)n;
	return (year >= 870 || year < 50) &&
	       check_date(year >= 870 ? 1000 + year : 2000 + year, check_number(v + 2, 2),
			  check_number(v, 2)) &&
	       v[12] - '0' == (rest > 9 ? 0 : rest);
}

static const char *const words_rs[] = { "jmbg",         "јмбг", "матични број",
					"matični broj", "jmb",  "матичен број",
					"ембг",         "embg", NULL };
static const char *const words_al[] = { "nid", "numri personal", "nr personal", "personal number",
					NULL };

static const struct kind balkans[] = {
	{ .name = "rs.jmbg",
	  .version = 1,
	  .form = "[0-3]#[01]#{10}",
	  .check = rs_jmbg,
	  NEEDS(NO_VETO, NEVER, WORD),
	  .words = words_rs,
	  .what = "personal number of Serbia, Bosnia, Montenegro and North Macedonia (JMBG)",
	  .source = "Law on the unique master citizen number",
	  .example = "0101985710016" },
	{ .name = "al.nid",
	  .version = 1,
	  .form = "[0-9A-T]#{8}A",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_al,
	  .what = "Albanian personal number",
	  .source = "Law 10129 on civil status",
	  .example = "numri personal J50312001W" },
	{ 0 },
};

const struct kind *const kind_tables_europe_east[] = { east, balkans, NULL };
