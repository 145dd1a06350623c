/* Countries of Africa, without Egypt. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- South Africa */

/* Date of birth, serial, citizenship (0 to 2), 8 or 9 (since 1986), Luhn's check digit. */
static bool za_id(const char *v, size_t n) { return check_yymmdd(v) && check_luhn(v, n); }

static const char *const words_za[] = { "id number",          "identity number", "id no", "sa id",
					"identiteitsnommer*", "rsa id",          NULL };
static const char *const words_za_tax[] = { "tax",  "tax ref*",   "income tax",
					    "sars", "belasting*", NULL };
static const char *const words_passport[] = { "passport*", "passeport*", "pasipoti", "جواز", NULL };

static const struct kind za[] = {
	{ .name = "za.id",
	  .version = 2,
	  .form = "#{10}[012][89]#",
	  .groups = "6 4 2 1|6 4 3",
	  .check = za_id,
	  NEEDS(NO_VETO, NOTHING, NO_VETO),
	  .words = words_za,
	  .what = "South African identity number",
	  .source = "Identification Act 68 of 1997",
	  .example = "8001015009087" },
	{ .name = "za.tax",
	  .version = 1,
	  .form = "[01239]#{9}",
	  .groups = "4 3 3|3 3 4",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_za_tax,
	  .what = "South African tax reference number",
	  .source = "South African Revenue Service",
	  .example = "tax reference 0001339050" },
	{ .name = "za.passport",
	  .version = 1,
	  .form = "[ADMT]#{8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "South African passport",
	  .source = "Department of Home Affairs",
	  .example = "passport A01234567" },
	{ 0 },
};

/* ---- Nigeria */

static bool ng_nin(const char *v, size_t n) { return !check_same(v, n) && check_verhoeff(v, n); }

static const char *const words_ng_nin[] = { "nin", "national identification", "national identity",
					    "nimc", NULL };
static const char *const words_ng_bvn[] = { "bvn", "bank verification", NULL };
static const char *const words_ng_tin[] = { "tin", "tax identification", "firs", "jtb", NULL };
static const char *const words_licence[] = { WORDS_DRIVER, "licen*", NULL };

static const struct kind ng[] = {
	{ .name = "ng.nin",
	  .version = 2,
	  .form = "#{11}",
	  .groups = "4 3 4|4 4 3",
	  .check = ng_nin,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ng_nin,
	  .what = "Nigerian national identification number",
	  .source = "National Identity Management Commission; check digit by Verhoeff",
	  .example = "NIN: 98765432102" },
	{ .name = "ng.bvn",
	  .version = 1,
	  .form = "22#{9}",
	  .groups = "4 3 4|4 4 3|3 4 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ng_bvn,
	  .what = "Nigerian bank verification number",
	  .source = "Nigeria Inter-Bank Settlement System; no public check digit",
	  .example = "BVN 22123456789" },
	{ .name = "ng.tin",
	  .version = 1,
	  .form = "#{10}|#{12}",
	  .groups = "8-4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ng_tin,
	  .what = "Nigerian tax number",
	  .source = "Federal Inland Revenue Service, Joint Tax Board",
	  .example = "TIN 12345678-0001" },
	{ .name = "ng.driver_licence",
	  .version = 1,
	  .form = "AAA#{5}AA##",
	  .groups = "3 5 4|3 5 2 2",
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_licence,
	  .what = "Nigerian driver licence",
	  .source = "Federal Road Safety Corps",
	  .example = "driver's licence ABC12345AA12" },
	{ .name = "ng.passport",
	  .version = 1,
	  .form = "[AB]#{8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Nigerian passport",
	  .source = "Nigeria Immigration Service",
	  .example = "passport B50123456" },
	{ 0 },
};

/* ---- East Africa */

/* The year and day of birth are in front. */
static bool tz_nida(const char *v, size_t n)
{
	int year = check_number(v, 4);
	(void)n;
	return year >= 1900 && year < 2050 &&
	       check_date(year, check_number(v + 4, 2), check_number(v + 6, 2));
}

static bool rw_nid(const char *v, size_t n)
{
	int year = check_number(v + 1, 4);
	(void)n;
	return year >= 1900 && year < 2050;
}

static const char *const words_ke_pin[] = { "kra", "pin", "tax*", NULL };
static const char *const words_ke_id[] = { "national id*",  "kenyan id",    "zimbabwean id",
					   "kitambulisho*", "maisha namba", NULL };
static const char *const words_tz[] = { "nida", "nin", "national id*", "kitambulisho*", NULL };
static const char *const words_ug[] = { "nin", "nira", "national id*", "ndaga muntu", NULL };
static const char *const words_rw[] = { "indangamuntu", "nid", "national id*", "carte d'identité",
					NULL };
static const char *const words_nrc[] = { "nrc", "national registration", "national id*", NULL };

static const struct kind east[] = {
	{ .name = "ke.pin",
	  .version = 1,
	  .form = "[AP]0#{8}A",
	  NEEDS(NO_VETO, NEVER, WORD),
	  .words = words_ke_pin,
	  .what = "Kenyan tax number (KRA PIN)",
	  .source = "Kenya Revenue Authority: A person, P company; no public check letter",
	  .example = "A004416331M" },
	{ .name = "ke.id",
	  .version = 1,
	  .form = "[1-9]#{6,8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_ke_id,
	  .what = "Kenyan identity card",
	  .source = "National Registration Bureau",
	  .example = "national ID 27345618" },
	{ .name = "tz.nida",
	  .version = 1,
	  .form = "[12]#{19}",
	  .groups = "8-5-5-2",
	  .check = tz_nida,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_tz,
	  .what = "Tanzanian national identification number",
	  .source = "National Identification Authority (NIDA)",
	  .example = "19850312-14121-00001-23" },
	{ .name = "ug.nin",
	  .version = 1,
	  .form = "C[FM]#{5}X{7}",
	  NEEDS(WORD, NEVER, NEVER),
	  .words = words_ug,
	  .what = "Ugandan national identification number",
	  .source = "National Identification and Registration Authority (NIRA)",
	  .example = "NIN CM84027103CKXE" },
	{ .name = "rw.nid",
	  .version = 1,
	  .form = "[123]#{4}[78]#{10}",
	  .groups = "1 4 1 7 1 2",
	  .check = rw_nid,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_rw,
	  .what = "Rwandan identity number",
	  .source = "National Identification Agency",
	  .example = "1 1985 8 0012345 0 17" },
	{ .name = "zm.nrc",
	  .version = 1,
	  .form = "#{8}[1-3]",
	  .groups = "6/2/1",
	  NEEDS(LABEL, NO_VETO, NEVER),
	  .words = words_nrc,
	  .what = "Zambian national registration card",
	  .source = "Department of National Registration",
	  .example = "123456/78/1" },
	{ .name = "zw.id",
	  .version = 1,
	  .form = "#{8,9}A##",
	  .groups = "2-9|2-10|2-6-1-2|2-7-1-2|2 6 1 2|2 7 1 2",
	  NEEDS(LABEL, NO_VETO, NEVER),
	  .words = words_ke_id,
	  .what = "Zimbabwean identity number",
	  .source = "Registrar General's Department",
	  .example = "63-123456A75" },
	{ 0 },
};

/* ---- Ghana, Maghreb, Mauritius */

static bool gh_tin(const char *v, size_t n)
{
	int sum = check_weighted(v + 1, "123456789") % 11;
	(void)n;
	return v[10] == "0123456789X"[sum];
}

/* Base 36, weights 14 to 2, mod 17; the date of birth stands behind the letter of the name. */
static bool mu_nid(const char *v, size_t n)
{
	int sum = 0;
	(void)n;
	for (int i = 0; i < 13; i++)
		sum += (14 - i) * check_base36(v[i]);
	return check_date(0, check_number(v + 3, 2), check_number(v + 1, 2)) &&
	       check_base36(v[13]) == (17 - sum % 17) % 17;
}

static const char *const words_gh[] = { "ghana card", "ghanacard", "nia", NULL };
static const char *const words_gh_tin[] = { "tin", "gra", "tax*", NULL };
static const char *const words_ma[] = {
	"cin", "cine", "cnie", "carte nationale", "carte d'identité", "البطاقة الوطنية", NULL
};
static const char *const words_tn[] = { "cin", "carte d'identité", "بطاقة التعريف", "رقم بطاقة",
					NULL };
static const char *const words_dz[] = { "nin", "numéro d'identification national",
					"الرقم التعريفي الوطني", "رقم التعريف الوطني", NULL };
static const char *const words_mu[] = { "nic", "national id*", NULL };

static const struct kind west[] = {
	{ .name = "gh.card",
	  .version = 1,
	  .form = "GH[A]#{10}",
	  .groups = "3-9-1",
	  NEEDS(NOTHING, NOTHING, NO_VETO),
	  .words = words_gh,
	  .what = "Ghana Card",
	  .source = "National Identification Authority",
	  .example = "GHA-712345678-9" },
	{ .name = "gh.tin",
	  .version = 1,
	  .form = "[CGPQV]00#{7}[0-9X]",
	  .check = gh_tin,
	  NEEDS(NOTHING, NEVER, WORD),
	  .words = words_gh_tin,
	  .what = "Ghanaian tax number",
	  .source = "Ghana Revenue Authority",
	  .example = "C0000803561" },
	{ .name = "ma.cin",
	  .version = 1,
	  .form = "A{1,2}#{5,6}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_ma,
	  .what = "Moroccan identity card",
	  .source = "Direction générale de la sûreté nationale",
	  .example = "CIN BE123456" },
	{ .name = "tn.cin",
	  .version = 1,
	  .form = "[01]#{7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_tn,
	  .what = "Tunisian identity card",
	  .source = "Ministry of the Interior",
	  .example = "CIN 09123456" },
	{ .name = "dz.nin",
	  .version = 1,
	  .form = "1#{17}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_dz,
	  .what = "Algerian national identification number",
	  .source = "Ministry of the Interior, decree 10-210",
	  .example = "NIN 109850312001234567" },
	{ .name = "mu.nic",
	  .version = 1,
	  .form = "A#{12}X",
	  .check = mu_nid,
	  NEEDS(NOTHING, NEVER, NO_VETO),
	  .words = words_mu,
	  .what = "Mauritian identity number",
	  .source = "Civil Status Division; check character mod 17",
	  .example = "D0209950102359" },
	{ 0 },
};

const struct kind *const kind_tables_africa[] = { za, ng, east, west, NULL };
