/* China, Hong Kong, Taiwan, Japan, Korea. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- China */

/* Whether two digits are a province of GB/T 2260. */
static bool cn_province(const char *v)
{
	static const char codes[] =
		"11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 "
		"50 51 52 53 54 61 62 63 64 65 71 81 82 83";
	return check_listed(codes, v, 2);
}

/* GB 11643: six digits of the place, date of birth, serial, check character of ISO 7064 MOD 11-2.
 * Cards of foreign permanent residents (since 2023): 9, the province, a country, then the same. */
static bool cn_resident_id(const char *v, size_t n)
{
	(void)n;
	int year = check_number(v + 6, 4);
	return cn_province(v[0] == '9' ? v + 1 : v) && year >= 1880 && year < 2050 &&
	       check_date(year, check_number(v + 10, 2), check_number(v + 12, 2)) &&
	       v[17] == "10X98765432"[check_weighted(v, "79:584216379:5842") % 11];
}

/* The form before 1999: two digits of the year, no check character. */
static bool cn_resident_15(const char *v, size_t n)
{
	(void)n;
	return cn_province(v) && check_date(1900 + check_number(v + 6, 2), check_number(v + 8, 2),
					    check_number(v + 10, 2));
}

/* GB 32100: registration department and category, place, organization code, check character. */
static bool cn_uscc(const char *v, size_t n)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY",
			  departments[] =
				  "11 12 13 19 21 29 31 32 33 34 35 39 41 49 51 52 53 59 61 "
				  "62 69 71 72 79 81 89 91 92 93 A1 A9 N1 N2 N3 N9 Y1";
	static const int weight[] = {
		1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28
	};
	(void)n;
	if (!check_listed(departments, v, 2) ||
	    (!cn_province(v + 2) && memcmp(v + 2, "100000", 6) != 0))
		return false;
	int sum = 0;
	for (int i = 0; i < 17; i++)
		sum += (int)(strchr(alphabet, v[i]) - alphabet) * weight[i];
	return v[17] == alphabet[(31 - sum % 31) % 31];
}

static const char *const words_cn_id[] = { "身份证",   "身份證",    "证件号",       "公民身份号码",
					   "居民身份", "id card",   "resident id",  "identity card",
					   "id no",    "id number", "shenfenzheng", "sfz",
					   NULL };
static const char *const words_cn_uscc[] = { "统一社会信用代码", "信用代码", "税号",
					     "纳税人识别号",     "营业执照", "uscc",
					     "social credit",    "tax id",   NULL };
static const char *const words_cn_passport[] = { "护照", "護照", "passport*", NULL };
static const char *const words_cn_permit[] = {
	"回乡证", "通行证", "通行證", "台胞证", "home return permit", "travel permit", NULL
};

static const struct kind cn[] = {
	{ .name = "cn.resident_id",
	  .version = 2,
	  .form = "[1-9]#{16}[0-9X]",
	  .groups = "6 8 4",
	  .check = cn_resident_id,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .what = "Chinese resident identity number (GB 11643)",
	  .source = "GB 11643-1999; GB/T 2260",
	  .example = "11010519491231002X" },
	{ .name = "cn.resident_id",
	  .version = 2,
	  .form = "[1-8]#{14}",
	  .groups = "6 6 3",
	  .check = cn_resident_15,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_cn_id,
	  .what = "Chinese resident identity number of the first generation",
	  .source = "GB 11643-1989",
	  .example = "身份证号 110105491231002" },
	{ .name = "cn.uscc",
	  .version = 2,
	  .form = "[1-9ANY][1-9]#{6}[0-9A-HJ-NPQRTUWXY]{10}",
	  .groups = "2 6 9 1|2 6 10|4 4 4 4 2",
	  .check = cn_uscc,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_cn_uscc,
	  .what = "Chinese unified social credit code",
	  .source = "GB 32100-2015",
	  .example = "91350100M000100Y43" },
	{ .name = "cn.passport",
	  .version = 1,
	  .form = "[EGDSPHMK]#{8}|[DSP]#{7}|[DEKPS][A-HJ-NP-Z]#{7}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_cn_passport,
	  .what = "Chinese passport",
	  .source = "National Immigration Administration: numbers of ordinary, service and "
		    "diplomatic passports",
	  .example = "护照 E12345678" },
	{ .name = "cn.permit",
	  .version = 1,
	  .form = "[HM]#{8}|[HM]#{10}|#{8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_cn_permit,
	  .what = "mainland travel permit of residents of Hong Kong, Macau and Taiwan",
	  .source = "National Immigration Administration",
	  .example = "回乡证 H01234567" },
	{ 0 },
};

/* ---- Hong Kong */

/* Letters A = 10 ..., a missing first letter is 36; weights 9 to 1; sum divisible by 11. */
static bool hk_id(const char *v, size_t n)
{
	int sum = n == 8 ? 9 * 36 : 9 * check_base36(v[n - 9]);
	for (size_t i = 0; i < 8; i++) {
		int k = check_base36(v[n - 8 + i]);
		sum += (int)(8 - i) * k;
	}
	return sum % 11 == 0;
}

static const char *const words_hk_id[] = { "hkid*",   "身份證",        "身份证",
					   "id card", "identity card", "hong kong id",
					   "id no",   "id number",     NULL };

static const struct kind hk[] = {
	{ .name = "hk.id",
	  .version = 1,
	  .form = "A{1,2}#{6}[0-9A]",
	  .groups = "7(1|8(1|7 1|8 1",
	  .check = hk_id,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_hk_id,
	  .what = "Hong Kong identity card",
	  .source = "Immigration Department, check digit as published in its guide to employers",
	  .example = "HKID A123456(3)" },
	{ 0 },
};

/* ---- Taiwan */

/* The letter is a place, as two digits; weights 1 9 8 ... 1 1. Old residence permits have a second
 * letter, whose ones count. */
static bool tw_id(const char *v, size_t n)
{
	static const char place[] = "1011121314151617341819202122352324252627282932303133";
	const char *p = place + 2 * (v[0] - 'A');
	(void)n;
	int sum = p[0] - '0' + 9 * (p[1] - '0');
	sum += 8 * (v[1] >= 'A' ? place[2 * (v[1] - 'A') + 1] - '0' : v[1] - '0');
	return (sum + check_weighted(v + 2, "76543211")) % 10 == 0;
}

/* Weights 1 2 1 2 1 2 4 1, digit sums; divisible by 5 since 2023 (by 10 before); a 7 in place seven
 * counts as 0 or 1. */
static bool tw_ubn(const char *v, size_t n)
{
	int sum = 0;
	(void)n;
	for (int i = 0; i < 8; i++) {
		int p = (v[i] - '0') * ("12121241"[i] - '0');
		sum += p / 10 + p % 10;
	}
	return !check_same(v, 8) && (sum % 5 == 0 || (v[6] == '7' && (sum + 1) % 5 == 0));
}

static const char *const words_tw_id[] = { "身分證",      "身份證",  "居留證", "居留证", "統一證號",
					   "national id", "id card", "arc",    "id no",  NULL };
static const char *const words_tw_ubn[] = {
	"統一編號", "統編", "ubn", "tax id", "gui number", NULL
};

static const struct kind tw[] = {
	{ .name = "tw.id",
	  .version = 1,
	  .form = "A[1289]#{8}|A[A-D]#{8}",
	  .groups = "1 9",
	  .check = tw_id,
	  NEEDS(NO_VETO, WORD, WORD),
	  .words = words_tw_id,
	  .what = "Taiwanese identity card or residence permit",
	  .source = "Ministry of the Interior, National Immigration Agency",
	  .example = "A123456789" },
	{ .name = "tw.ubn",
	  .version = 1,
	  .form = "#{8}",
	  .check = tw_ubn,
	  NEEDS(WORD, NEVER, NEVER),
	  .words = words_tw_ubn,
	  .what = "Taiwanese unified business number",
	  .source = "Ministry of Finance, rule of April 2023",
	  .example = "統一編號 04595257" },
	{ .name = "tw.passport",
	  .version = 1,
	  .form = "[123]#{8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_cn_passport,
	  .what = "Taiwanese passport",
	  .source = "Bureau of Consular Affairs",
	  .example = "護照 300123456" },
	{ 0 },
};

/* ---- Japan */

/* Ordinance 85 of 2014: weights 6 5 4 3 2 7 6 5 4 3 2; a rest of 0 or 1 gives 0. */
static bool jp_my_number(const char *v, size_t n)
{
	int rest = check_weighted(v, "65432765432") % 11;
	(void)n;
	return !check_same(v, 12) && !check_years(v, n) &&
	       v[11] - '0' == (rest <= 1 ? 0 : 11 - rest);
}

/* The first digit is 9 minus the sum (weights 2 1 2 1 ..., mod 9); a T may stand before it. */
static bool jp_corporate(const char *v, size_t n)
{
	v += n - 13;
	return v[0] - '0' == 9 - check_weighted(v + 1, "212121212121") % 9;
}

/* The first two digits are the public safety commission, the next two the year of the licence,
 * the eleventh a check digit: weights 5 4 3 2 7 6 5 4 3 2, a rest of 0 or 1 gives 0. */
static bool jp_driver(const char *v, size_t n)
{
	int rest = check_weighted(v, "5432765432") % 11;
	(void)n;
	return !check_same(v, 12) && v[10] - '0' == (rest <= 1 ? 0 : 11 - rest);
}

static const char *const words_jp_my[] = { "マイナンバー", "個人番号", "my number",
					   "individual number", NULL };
static const char *const words_jp_corporate[] = {
	"法人番号",         "登録番号", "インボイス", "適格請求書",
	"corporate number", "houjin",   "hojin",      NULL
};
static const char *const words_jp_driver[] = { "運転免許", "免許証", "免許番号", WORDS_DRIVER,
					       NULL };
static const char *const words_jp_passport[] = { "旅券", "パスポート", "passport*", NULL };
static const char *const words_jp_residence[] = { "在留カード", "residence card", "zairyu*", NULL };
static const char *const words_jp_pension[] = { "基礎年金番号", "年金番号", "pension number",
						NULL };

static const struct kind jp[] = {
	{ .name = "jp.my_number",
	  .version = 1,
	  .form = "#{12}",
	  .groups = "4 4 4",
	  .check = jp_my_number,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_jp_my,
	  .what = "Japanese individual number (My Number)",
	  .source = "Ministry of Internal Affairs, ordinance 85 of 2014, article 5",
	  .example = "マイナンバー 1234 5678 9018" },
	{ .name = "jp.corporate_number",
	  .version = 1,
	  .form = "[1-9]#{12}",
	  .groups = "1 4 4 4|1 12",
	  .check = jp_corporate,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_jp_corporate,
	  .what = "Japanese corporate number",
	  .source =
		  "Ministry of Finance, ordinance on the designation of corporate numbers, article 2",
	  .example = "法人番号 5835678256246" },
	{ .name = "jp.corporate_number",
	  .version = 1,
	  .form = "T[1-9]#{12}",
	  .groups = "1 13|1 1 4 4 4|2 4 4 4",
	  .check = jp_corporate,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_jp_corporate,
	  .what = "Japanese registration number of qualified invoices",
	  .source = "National Tax Agency, qualified invoice system",
	  .example = "T5835678256246" },
	{ .name = "jp.driver_licence",
	  .version = 1,
	  .form = "[1-9]#{11}",
	  .groups = "4 4 4",
	  .check = jp_driver,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_jp_driver,
	  .what = "Japanese driver licence",
	  .source = "National Police Agency, numbers of driver licences",
	  .example = "運転免許証番号 301234567810" },
	{ .name = "jp.passport",
	  .version = 1,
	  .form = "[MTN][A-Z]#{7}",
	  .groups = "2 7",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_jp_passport,
	  .what = "Japanese passport",
	  .source = "Ministry of Foreign Affairs; ICAO Doc 9303",
	  .example = "旅券番号 TR1234567" },
	{ .name = "jp.residence_card",
	  .version = 1,
	  .form = "^AA#{8}AA",
	  .groups = "2 8 2",
	  NEEDS(NO_VETO, LABEL, LABEL),
	  .words = words_jp_residence,
	  .what = "Japanese residence card",
	  .source = "Immigration Services Agency, numbers of residence cards",
	  .example = "AB12345678CD" },
	{ .name = "jp.pension",
	  .version = 1,
	  .form = "#{10}",
	  .groups = "4 6",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_jp_pension,
	  .what = "Japanese basic pension number",
	  .source = "Japan Pension Service",
	  .example = "基礎年金番号 1234-567890" },
	{ 0 },
};

/* ---- Korea */

/* The seventh digit is century and sex: 1 2 5 6 the 1900s, 3 4 7 8 the 2000s; from 5 foreigners. */
static bool kr_born(const char *v)
{
	int year = (strchr("1256", v[6]) ? 1900 : 2000) + check_number(v, 2);
	return year < 2050 && check_date(year, check_number(v + 2, 2), check_number(v + 4, 2));
}

/* Two digits of the place, up to 96; weights 2 ... 9 2 ... 5; of foreigners two more. */
static bool kr_rrn(const char *v, size_t n)
{
	int more = v[6] >= '5' ? 2 : 0;
	(void)n;
	return kr_born(v) && (more || check_number(v + 7, 2) <= 96) &&
	       v[12] - '0' == (11 + more - check_weighted(v, "234567892345") % 11) % 10;
}

/* Numbers given since October 2020 have no check digit; anybody's number may be changed to one. */
static bool kr_rrn_new(const char *v, size_t n)
{
	(void)n;
	return kr_born(v);
}

static bool kr_brn(const char *v, size_t n)
{
	int sum = check_weighted(v, "137137135") + 5 * (v[8] - '0') / 10;
	(void)n;
	return memcmp(v, "101", 3) >= 0 && memcmp(v + 3, "00", 2) != 0 &&
	       memcmp(v + 5, "0000", 4) != 0 && v[9] - '0' == (10 - sum % 10) % 10;
}

/* Corporate registration: weights 1 2 1 2 ..., mod 10. */
static bool kr_corporate(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 13) &&
	       v[12] - '0' == (10 - check_weighted(v, "121212121212") % 10) % 10;
}

static const char *const words_kr_rrn[] = { "주민등록*",
					    "주민번호*",
					    "rrn",
					    "resident registration",
					    "jumin*",
					    "외국인등록*",
					    "foreigner registration",
					    "alien registration",
					    NULL };
static const char *const words_kr_brn[] = { "사업자*",         "business registration",
					    "business number", "brn",
					    "business",        NULL };
static const char *const words_kr_corporate[] = { "법인등록*", "corporate registration", NULL };
static const char *const words_kr_driver[] = { "운전면허*", "면허번호*", "면허증*", WORDS_DRIVER,
					       NULL };
static const char *const words_kr_passport[] = { "여권*", "passport*", NULL };

static const struct kind kr[] = {
	{ .name = "kr.rrn",
	  .version = 2,
	  .form = "#{6}[1-8]#{6}",
	  .groups = "6-7",
	  .check = kr_rrn,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_kr_rrn,
	  .what = "Korean resident or foreigner registration number",
	  .source = "Resident Registration Act, enforcement rules, article 2",
	  .example = "960121-1021413" },
	{ .name = "kr.rrn",
	  .version = 2,
	  .form = "#{6}[1-8]#{6}",
	  .groups = "6-7",
	  .check = kr_rrn_new,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_kr_rrn,
	  .what = "Korean resident registration number as given since October 2020, without check "
		  "digit",
	  .source = "Resident Registration Act, enforcement rules, change of October 2020",
	  .example = "210305-3648193" },
	{ .name = "kr.brn",
	  .version = 2,
	  .form = "[1-9]#{9}",
	  .groups = "3 2 5",
	  .check = kr_brn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_kr_brn,
	  .what = "Korean business registration number",
	  .source = "National Tax Service",
	  .example = "사업자등록번호 220-81-62517" },
	{ .name = "kr.corporate_number",
	  .version = 1,
	  .form = "[1-9]#{12}",
	  .groups = "6 7",
	  .check = kr_corporate,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_kr_corporate,
	  .what = "Korean corporate registration number",
	  .source = "Supreme Court, rules on registration numbers of corporations",
	  .example = "법인등록번호 130111-0006246" },
	{ .name = "kr.driver_licence",
	  .version = 1,
	  .form = "1[1-9]#{10}|2[0-68]#{10}",
	  .groups = "2 2 6 2",
	  NEEDS(WORD, NO_VETO, LABEL),
	  .words = words_kr_driver,
	  .what = "Korean driver licence",
	  .source =
		  "Road Traffic Act, enforcement rules: region, year, serial, two check digits whose "
		  "rule is not public",
	  .example = "11-22-123456-12" },
	{ .name = "kr.passport",
	  .version = 1,
	  .form = "[DGMORS]#{8}|[DGMORS]###A####",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_kr_passport,
	  .what = "Korean passport",
	  .source = "Ministry of Foreign Affairs, numbers of passports since December 2021",
	  .example = "여권번호 M123A4567" },
	{ 0 },
};

const struct kind *const kind_tables_east_asia[] = { cn, hk, tw, jp, kr, NULL };
