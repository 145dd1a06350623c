/* European countries outside the Union: the United Kingdom, Switzerland, Norway, Iceland. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- United Kingdom */

/* Weights 10 to 2; 11 minus the rest, 11 is 0 and 10 is never given out. */
static bool uk_nhs(const char *v, size_t n)
{
	int r = 11 - check_weighted(v, ":98765432") % 11;
	return !check_same(v, n) && r != 10 && v[9] - '0' == r % 11;
}

/* Scotland: the day of birth in front. */
static bool uk_chi(const char *v, size_t n)
{
	return check_date(0, check_number(v + 2, 2), check_number(v, 2)) && uk_nhs(v, n);
}

/* Prefixes that are not given out. */
static bool uk_nino(const char *v, size_t n)
{
	(void)n;
	return !check_listed("BG GB KN NK NT TN ZZ", v, 2);
}

static bool uk_utr(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 10) && v[0] == "21987654321"[check_weighted(v + 1, "6789:5432") % 11];
}

/* Weights 8 to 2, the last two digits whole: divisible by 97; since 2010 also with 55 more. Three
 * digits more are a branch. */
static bool uk_vat_digits(const char *v)
{
	int sum = check_weighted(v, "8765432") + check_number(v + 7, 2);
	return !check_same(v, 7) && (sum % 97 == 0 || (v[0] != '0' && (sum + 55) % 97 == 0));
}

static bool uk_vat(const char *v, size_t n)
{
	if (n == 7) /* government departments, health authorities */
		return (check_number(v + 4, 3) < 500) == (v[2] == 'G');
	return uk_vat_digits(v[0] >= 'A' ? v + 2 : v);
}

/* Five of the name (then 9), decade, month (50 more for women), day, year, initials. */
static bool uk_driving(const char *v, size_t n)
{
	int month = check_number(v + 6, 2), day = check_number(v + 8, 2);
	(void)n;
	for (int i = 1; i < 5; i++)
		if (v[i - 1] == '9' && v[i] != '9')
			return false;
	month = month > 50 ? month - 50 : month;
	return check_date(0, month, day) && !(v[11] == '9' && v[12] != '9');
}

/* Weights 2 to 13 over what follows the check letter, mod 23. */
static bool uk_upn(const char *v, size_t n)
{
	static const char letters[] = "ABCDEFGHJKLMNPQRTUVWXYZ";
	int sum = 0;
	for (size_t i = 1; i < n; i++) {
		const char *p = strchr(letters, v[i]);
		if (v[i] >= 'A' && !p)
			return false;
		sum += (int)(i + 1) * (p ? (int)(p - letters) : v[i] - '0');
	}
	return v[0] == letters[sum % 23] && strchr("23489", v[1]);
}

static const char *const words_uk_nhs[] = { "nhs", "nhs number", "health and care number",
					    "h&c number", NULL };
static const char *const words_uk_chi[] = { "chi", "community health", NULL };
static const char *const words_uk_nino[] = { "nino",      "national insurance",
					     "ni number", "ni no",
					     "ins no",    NULL };
static const char *const words_uk_utr[] = {
	"utr", "taxpayer reference", "self assessment", "tax reference", "hmrc", NULL
};
static const char *const words_uk_vat[] = { "vat", "vat reg*", "vat number", NULL };
static const char *const words_uk_driving[] = { WORDS_DRIVER, "licence number", "dvla", "dva",
						NULL };
static const char *const words_uk_passport[] = { "passport*", NULL };
static const char *const words_uk_sort[] = { "sort code", "sortcode", "sort-code", NULL };

static const char *const words_uk_account[] = {
	"account number", "account no", "acc no", "a/c no", "acct no", "bank account", NULL
};
static const char *const words_uk_both[] = { "account*", "sort code", "bank*", NULL };
static const char *const words_uk_upn[] = { "upn", "pupil number", "unique pupil", NULL };

static const struct kind uk[] = {
	{ .name = "uk.nhs",
	  .version = 2,
	  .form = "#{10}",
	  .groups = "3 3 4",
	  .check = uk_nhs,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_uk_nhs,
	  .what = "British NHS number (Northern Ireland: health and care number)",
	  .source = "NHS Data Dictionary, NHS number",
	  .example = "943 476 5919" },
	{ .name = "uk.chi",
	  .version = 1,
	  .form = "[0-3]#[01]#{7}",
	  .groups = "6-4",
	  .check = uk_chi,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_uk_chi,
	  .what = "Scottish health number (CHI)",
	  .source = "NHS Scotland, Community Health Index",
	  .example = "CHI 0101851235" },
	{ .name = "uk.nino",
	  .version = 2,
	  .form = "[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]#{6}[A-D]",
	  .groups = "2 2 2 2 1|2 6 1|2 7|8 1",
	  .check = uk_nino,
	  NEEDS(NO_VETO, NO_VETO, NO_VETO),
	  .words = words_uk_nino,
	  .what = "British national insurance number",
	  .source = "HMRC, National Insurance Manual NIM39110",
	  .example = "AA 12 34 56 B" },
	{ .name = "uk.utr",
	  .version = 1,
	  .form = "#{10}|#{10}K",
	  .groups = "5 5",
	  .check = uk_utr,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_uk_utr,
	  .what = "British unique taxpayer reference",
	  .source = "HMRC, check of the UTR",
	  .example = "UTR 1955839661" },
	{ .name = "uk.vat",
	  .version = 1,
	  .form = "GB#{9}|GB#{12}|GBGD###|GBH[A]###",
	  .groups = "2 3 4 2|2 3 3 3|2 9|2 3 4 2 3|5 4 2",
	  .check = uk_vat,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_uk_vat,
	  .what = "British VAT number",
	  .source = "HMRC, VAT notice 700; check modulo 97",
	  .example = "GB 980 7806 84" },
	{ .name = "uk.vat",
	  .version = 1,
	  .form = "#{9}|#{12}",
	  .groups = "3 4 2|3 3 3|3 4 2 3",
	  .check = uk_vat,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_uk_vat,
	  .what = "British VAT number without country",
	  .source = "HMRC, VAT notice 700; check modulo 97",
	  .example = "VAT number 980 7806 84" },
	{ .name = "uk.driving_licence",
	  .version = 1,
	  .form = "A[A-Z9]{4}#{6}[A-Z9]{2}#AA|A[A-Z9]{4}#{6}[A-Z9]{2}#AA##",
	  .groups = "5 6 5|5 6 2 3|5 6 5 2|5 6 2 1 2",
	  .check = uk_driving,
	  NEEDS(NOTHING, NOTHING, NO_VETO),
	  .words = words_uk_driving,
	  .what = "British driving licence",
	  .source = "DVLA, structure of the driver number",
	  .example = "MORGA657054SM9IJ" },
	{ .name = "uk.driving_licence",
	  .version = 1,
	  .form = "#{8}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_uk_driving,
	  .what = "driving licence of Northern Ireland",
	  .source = "Driver & Vehicle Agency",
	  .example = "driving licence 12345678" },
	{ .name = "uk.passport",
	  .version = 1,
	  .form = "#{9}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_uk_passport,
	  .what = "British passport",
	  .source = "HM Passport Office",
	  .example = "passport number 925665416" },
	{ .name = "uk.sort_code",
	  .version = 1,
	  .form = "#{6}",
	  .groups = "2 2 2",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_uk_sort,
	  .what = "British sort code of a bank",
	  .source = "Pay.UK",
	  .example = "sort code 20-00-00" },
	{ .name = "uk.account",
	  .version = 1,
	  .form = "#{8}",
	  .groups = "4 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_uk_account,
	  .what = "British bank account",
	  .source = "Pay.UK, vocabulary of account numbers",
	  .example = "account number 55779911" },
	{ .name = "uk.account",
	  .version = 1,
	  .form = "#{14}",
	  .groups = "2-2-2 8|6 8",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_uk_both,
	  .what = "British sort code and bank account",
	  .source = "Pay.UK",
	  .example = "account 20-00-00 55779911" },
	{ .name = "uk.upn",
	  .version = 1,
	  .form = "[A-HJ-NP-RT-Z]#{12}|[A-HJ-NP-RT-Z]#{11}A",
	  .check = uk_upn,
	  NEEDS(NO_VETO, NEVER, WORD),
	  .words = words_uk_upn,
	  .what = "British unique pupil number",
	  .source = "Department for Education, UPN guide",
	  .example = "B801200005001" },
	{ 0 },
};

/* ---- Switzerland */

/* The check digit of EAN-13. */
static bool ch_ahv(const char *v, size_t n)
{
	(void)n;
	return v[12] - '0' == (10 - check_weighted(v, "131313131313") % 10) % 10;
}

static bool ch_uid(const char *v, size_t n)
{
	(void)n;
	return v[11] - '0' == (11 - check_weighted(v + 3, "54327654") % 11) % 11;
}

static const char *const words_ch_ahv[] = { "ahv*", "avs",        "sozialversicherung*",
					    "oasi", "numéro avs", NULL };
static const char *const words_ch_uid[] = {
	"uid", "ide", "idi", "mwst*", "tva", "iva", "handelsregister*", NULL
};
static const char *const words_ch_passport[] = {
	"pass nr",   "passnummer*",      "reisepass*",       "passeport*", "passaporto*",
	"passport*", "identitätskarte*", "carte d'identité", NULL
};

static const struct kind ch[] = {
	{ .name = "ch.ahv",
	  .version = 1,
	  .form = "756#{10}",
	  .groups = "3.4.4.2|3 4 4 2",
	  .check = ch_ahv,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .words = words_ch_ahv,
	  .what = "Swiss social security number (AHV, AVS)",
	  .source = "Zentrale Ausgleichsstelle; check digit of EAN-13",
	  .example = "756.9217.0769.85" },
	{ .name = "ch.uid",
	  .version = 1,
	  .form = "CHE#{9}",
	  .groups = "3-3.3.3|3 3 3 3|3-9",
	  .check = ch_uid,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .words = words_ch_uid,
	  .what = "Swiss enterprise number (UID, IDE)",
	  .source = "Bundesamt für Statistik; eCH-0097",
	  .example = "CHE-116.281.710" },
	{ .name = "ch.passport",
	  .version = 1,
	  .form = "[ACEFSX]#{7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_ch_passport,
	  .what = "Swiss passport or identity card",
	  .source = "Bundesamt für Polizei fedpol",
	  .example = "Pass Nr. X1234567" },
	{ 0 },
};

/* ---- Norway, Iceland */

/* Day (40 more: D number), month (40, 65 or 80 more: synthetic and help numbers), year. */
static bool no_date(const char *v)
{
	int day = check_number(v, 2), month = check_number(v + 2, 2);
	month = month > 80 ? month - 80 : month > 65 ? month - 65 : month > 40 ? month - 40 : month;
	return check_date(0, month, day > 40 ? day - 40 : day);
}

static bool no_fnr(const char *v, size_t n)
{
	int a = (11 - check_weighted(v, "376189452") % 11) % 11,
	    b = (11 - check_weighted(v, "5432765432") % 11) % 11;
	(void)n;
	return no_date(v) && v[9] - '0' == a && v[10] - '0' == b;
}

static bool no_org(const char *v, size_t n)
{
	if (v[0] == 'N')
		v += 2;
	(void)n;
	return v[8] - '0' == (11 - check_weighted(v, "32765432") % 11) % 11;
}

static bool no_account(const char *v, size_t n)
{
	return !check_same(v, n) && v[10] - '0' == (11 - check_weighted(v, "5432765432") % 11) % 11;
}

/* Day (40 more: organizations), month, year, serial, check digit, century. */
static bool is_kennitala(const char *v, size_t n)
{
	int day = check_number(v, 2);
	(void)n;
	return check_date(0, check_number(v + 2, 2), day > 40 ? day - 40 : day) &&
	       v[8] - '0' == (11 - check_weighted(v, "32765432") % 11) % 11;
}

static const char *const words_no_fnr[] = { "fødselsnummer*", "fødselsnr*",   "fnr",
					    "personnummer*",  "d-nummer*",    "personnr*",
					    "national id*",   "birth number", NULL };
static const char *const words_no_org[] = { "organisasjonsnummer*", "org.nr", "orgnr", "org nr",
					    "foretaksregisteret",   "mva",    NULL };
static const char *const words_no_account[] = { "kontonummer*", "kontonr*",       "konto",
						"bank account", "account number", NULL };
static const char *const words_is[] = { "kennitala*", "kt", "kt.", "kennitölu*", NULL };

static const struct kind nordic[] = {
	{ .name = "no.fnr",
	  .version = 1,
	  .form = "[0-7]#{10}",
	  .groups = "6 5|6-5",
	  .check = no_fnr,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_no_fnr,
	  .what = "Norwegian birth number or D number",
	  .source = "Skatteetaten, folkeregisterforskriften § 2-2",
	  .example = "f\u00f8dselsnummer 15108695088" },
	{ .name = "no.org",
	  .version = 1,
	  .form = "[1-9]#{8}",
	  .groups = "3 3 3",
	  .check = no_org,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_no_org,
	  .what = "Norwegian organization number",
	  .source = "Brønnøysundregistrene",
	  .example = "org.nr. 988 077 917" },
	{ .name = "no.org",
	  .version = 1,
	  .form = "[1-9]#{8}MV[A]|NO[1-9]#{8}MV[A]|NO[1-9]#{8}",
	  .groups = "3 3 3 3|9 3|2 9 3|2 3 3 3 3|2 3 3 3|2 9",
	  .check = no_org,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_no_org,
	  .what = "Norwegian VAT number",
	  .source = "Brønnøysundregistrene, Skatteetaten",
	  .example = "NO 995 525 828 MVA" },
	{ .name = "no.account",
	  .version = 1,
	  .form = "#{11}",
	  .groups = "4.2.5|4 2 5",
	  .check = no_account,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_no_account,
	  .what = "Norwegian bank account",
	  .source = "Finans Norge, Bits: check digit modulo 11",
	  .example = "8601.11.17947" },
	{ .name = "is.kennitala",
	  .version = 1,
	  .form = "[0-7]#[01]#{6}[09]",
	  .groups = "6 4",
	  .check = is_kennitala,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_is,
	  .what = "Icelandic identity number (kennitala)",
	  .source = "Þjóðskrá Íslands",
	  .example = "120174-3399" },
	{ 0 },
};

const struct kind *const kind_tables_europe[] = { uk, ch, nordic, NULL };
