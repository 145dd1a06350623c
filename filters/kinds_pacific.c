/* Australia and New Zealand. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- Australia */

/* Two check digits from 11 on, the first one less, weights 10 1 3 5 ... 19: divisible by 89. */
static bool au_abn(const char *v, size_t n)
{
	static const int weight[] = { 10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 };
	return memcmp(v, "10", 2) > 0 && (check_sum(v, n, weight) - 10) % 89 == 0;
}

static bool au_acn(const char *v, size_t n)
{
	return !check_same(v, n) && v[8] - '0' == (10 - check_weighted(v, "87654321") % 10) % 10;
}

/* Nine digits: weights 1 4 3 7 5 8 6 9 10; old ones of eight: 10 7 8 4 6 3 5 1; divisible by 11. */
static bool au_tfn(const char *v, size_t n)
{
	return !check_same(v, n) && check_weighted(v, n == 9 ? "14375869:" : ":7846351") % 11 == 0;
}

/* Weights 1 3 7 9 1 3 7 9; behind the check digit the issue and, on some, the person. */
static bool au_medicare(const char *v, size_t n)
{
	(void)n;
	return v[8] - '0' == check_weighted(v, "13791379") % 10;
}

static const char *const words_au_abn[] = { "abn", "australian business", "business number", NULL };
static const char *const words_au_acn[] = { "acn", "arbn", "company number", "company", NULL };
static const char *const words_au_tfn[] = { "tfn", "tax file", NULL };
static const char *const words_au_medicare[] = { "medicare*", NULL };
static const char *const words_au_ihi[] = { "ihi", "healthcare identifier", "my health record",
					    NULL };
static const char *const words_au_crn[] = { "crn", "centrelink", "customer reference", NULL };
static const char *const words_driver[] = { WORDS_DRIVER, "licence number", "licence no", NULL };
static const char *const words_passport[] = { "passport*", "uruwhenua", NULL };

static const struct kind au[] = {
	{ .name = "au.abn",
	  .version = 2,
	  .form = "[1-9]#{10}",
	  .groups = "2 3 3 3",
	  .check = au_abn,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_au_abn,
	  .what = "Australian business number",
	  .source = "Australian Business Register, format of the ABN",
	  .example = "51 824 753 556" },
	{ .name = "au.acn",
	  .version = 2,
	  .form = "#{9}",
	  .groups = "3 3 3",
	  .check = au_acn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_au_acn,
	  .what = "Australian company number",
	  .source = "Australian Securities & Investments Commission",
	  .example = "ACN 005 499 981" },
	{ .name = "au.tfn",
	  .version = 2,
	  .form = "#{8,9}",
	  .groups = "3 3 3|3 3 2|2 3 3",
	  .check = au_tfn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_au_tfn,
	  .what = "Australian tax file number",
	  .source = "Australian Taxation Office",
	  .example = "TFN 876 543 210" },
	{ .name = "au.medicare",
	  .version = 2,
	  .form = "[2-6]#{9,10}",
	  .groups = "4 5 1|4 5 1 1|4 5 2|10/1|10-1",
	  .check = au_medicare,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_au_medicare,
	  .what = "Australian Medicare card",
	  .source = "Services Australia; METeOR 270101",
	  .example = "2123 45670 1" },
	{ .name = "au.ihi",
	  .version = 1,
	  .form = "80036#{11}",
	  .groups = "4 4 4 4",
	  .check = check_luhn,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .words = words_au_ihi,
	  .what = "Australian healthcare identifier",
	  .source = "Healthcare Identifiers Act 2010; ISO 7812 with Luhn's check digit",
	  .example = "8003 6080 0004 5922" },
	{ .name = "au.crn",
	  .version = 1,
	  .form = "#{9}A",
	  .groups = "3 3 3 1|3 3 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_au_crn,
	  .what = "Australian Centrelink reference",
	  .source = "Services Australia",
	  .example = "Centrelink CRN 204 837 165A" },
	{ .name = "au.driver_licence",
	  .version = 1,
	  .form = "#{6,10}|A#{5,6}|A#{4}A|#{4}AA|AA#{2}AA",
	  .groups = "3 3 3|4 4|2 3 3",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_driver,
	  .what = "Australian or New Zealand driver licence",
	  .source = "road authorities of the states; no public check digits",
	  .example = "driver licence 12345678" },
	{ .name = "au.passport",
	  .version = 1,
	  .form = "A#{7}|[PR]A#{7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Australian passport",
	  .source = "Australian Passport Office",
	  .example = "passport PA1234567" },
	{ 0 },
};

/* ---- New Zealand */

/* Weights 3 2 7 6 5 4 3 2 over eight digits; where the check is 10, 7 4 3 2 5 2 7 6. */
static bool nz_ird(const char *v, size_t n)
{
	char whole[10] = "000000000";
	memcpy(whole + 9 - n, v, n);
	int value = check_number(whole, 9), r = (11 - check_weighted(whole, "32765432") % 11) % 11;
	if (r == 10)
		r = (11 - check_weighted(whole, "74325276") % 11) % 11;
	return value > 10000000 && value < 150000000 && whole[8] - '0' == r;
}

/* Letters count from 1 without I and O; weights 7 to 2. The old form ends in a digit modulo 11, the
 * new one in a letter modulo 23. */
static bool nz_nhi(const char *v, size_t n)
{
	static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ";
	int sum = 0;
	for (size_t i = 0; i + 1 < n; i++) {
		const char *p = strchr(letters, v[i]);
		if (v[i] >= 'A' && !p)
			return false;
		sum += (int)(7 - i) * (p ? (int)(p - letters) + 1 : v[i] - '0');
	}
	if (v[6] >= 'A')
		return v[6] == letters[23 - sum % 23 - 1];
	return sum % 11 != 0 && v[6] - '0' == (11 - sum % 11) % 10;
}

static const char *const words_nz_ird[] = { "ird", "inland revenue", "tax number", NULL };
static const char *const words_nz_nhi[] = { "nhi", "national health index", NULL };

static const struct kind nz[] = {
	{ .name = "nz.ird",
	  .version = 1,
	  .form = "[1-9]#{7,8}",
	  .groups = "2-3-3|3-3-3|2 3 3|3 3 3",
	  .check = nz_ird,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_nz_ird,
	  .what = "New Zealand tax number (IRD)",
	  .source = "Inland Revenue, RWT and NRWT specification",
	  .example = "IRD 49-091-850" },
	{ .name = "nz.nhi",
	  .version = 1,
	  .form = "[A-HJ-NP-Z]{3}#{4}|[A-HJ-NP-Z]{3}##[A-HJ-NP-Z]{2}",
	  .groups = "3 4",
	  .check = nz_nhi,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_nz_nhi,
	  .what = "New Zealand health number (NHI)",
	  .source = "HISO 10046",
	  .example = "NHI ZAA0067" },
	{ .name = "nz.account",
	  .version = 1,
	  .form = "[0-3]#{14,15}",
	  .groups = "2-4-7-2|2-4-7-3",
	  NEEDS(NEVER, NOTHING, NEVER),
	  .what = "New Zealand bank account",
	  .source = "Payments NZ: bank, branch, account, suffix",
	  .example = "12-3140-0171323-50" },
	{ .name = "nz.passport",
	  .version = 1,
	  .form = "AA#{6}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "New Zealand passport",
	  .source = "Department of Internal Affairs",
	  .example = "passport LH123456" },
	{ 0 },
};

const struct kind *const kind_tables_pacific[] = { au, nz, NULL };
