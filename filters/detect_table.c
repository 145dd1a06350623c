/* The detectors; rows of one name and version act together. What changes the finds of a row gets
 * the next version, beside the old row: bundles of before then keep their meaning. Bounds: L and R
 * keep a value out of identifiers and decimals; Chinese, Japanese and other letters may touch it,
 * for those scripts write no spaces. */
#include "filters/detect.h"

#include "base/text.h"
#include "filters/filters.h"
#include "filters/number.h"
#include "filters/secret.h"

#include <string.h>

#define L "(?<![0-9A-Za-z_])(?<![0-9][.,-])"
#define R "(?![0-9A-Za-z_])(?![.,-][0-9])"
#define S "[ -]?"
static const char *const words_ssn[] = { "ssn", "social security", "ss#", "ssns", NULL };
static const char *const words_aba[] = { "aba", "routing", "rtn", "transit", NULL };
static const char *const words_npi[] = { "npi", "provider", "practitioner", NULL };
static const char *const words_acn[] = { "acn", "company", NULL };
static const char *const words_brn[] = { "business", "registration", "\uc0ac\uc5c5\uc790", NULL };

static const char *const words_in_pan[] = { "pan", "permanent account", "income tax", NULL };

/* Prefixes that are not given out: D F I Q U V at the front, O second, and BG GB NK KN TN NT ZZ. */
static const char nino[] =
	L "(?i)(?!BG|GB|NK|KN|TN|NT|ZZ)"
	  "[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]" R;

#define SHAPE(name, version, regex, check)                      \
	{                                                       \
		name, version, regex, check, NULL, false, false \
	}
static const struct detector table[] = {
	SHAPE("cn.resident_id", 1, L "[1-9][0-9]{16}[0-9Xx]" R, detect_cn_id),
	SHAPE("cn.uscc", 1, L "[0-9ANY][0-9A-HJ-NPQRTUWXY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}" R,
	      detect_cn_uscc),
	{ "us.ssn", 1, L "(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4}|[0-9]{9})" R,
	  detect_us_ssn, words_ssn, true, false },
	{ "us.aba", 1, L "[0-9]{4}-?[0-9]{4}-?[0-9]" R, detect_us_aba, words_aba, false, false },
	{ "us.npi", 1, L "[12][0-9]{3}" S "[0-9]{3}" S "[0-9]{3}" R, detect_us_npi, words_npi, true,
	  false },
	SHAPE("us.itin", 1,
	      L "9[0-9]{2}([- ])(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9])[- ][0-9]{4}" R, NULL),
	SHAPE("us.dea", 1, L "[ABCDEFGHJKLMPRSTUX][A-Z9][0-9]{7}" R, detect_us_dea),
	SHAPE("uk.nhs", 1, L "[0-9]{3}" S "[0-9]{3}" S "[0-9]{4}" R, detect_uk_nhs),
	SHAPE("uk.nino", 1, nino, NULL),
	SHAPE("br.cpf", 1, L "[0-9]{3}\\.?[0-9]{3}\\.?[0-9]{3}-?[0-9]{2}" R, detect_br_cpf),
	SHAPE("br.cnpj", 1, L "[0-9]{2}\\.?[0-9]{3}\\.?[0-9]{3}/?[0-9]{4}-?[0-9]{2}" R,
	      detect_br_cnpj),
	SHAPE("in.aadhaar", 1, L "[2-9][0-9]{3}(?:[ :-]?)[0-9]{4}(?:[ :-]?)[0-9]{4}" R,
	      detect_in_aadhaar),
	SHAPE("in.gstin", 1, L "[0-3][0-9][A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z]" R,
	      detect_in_gstin),
	{ "in.pan", 1, L "[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]" R, NULL, words_in_pan, false,
	  false },
	SHAPE("ng.nin", 1, L "[0-9]{11}" R, detect_ng_nin),
	SHAPE("za.id", 1, L "[0-9]{13}" R, detect_za_id),
	SHAPE("ca.sin", 1, L "[1-9][0-9]{2}([ -])[0-9]{3}[ -][0-9]{3}" R, detect_luhn_whole),
	SHAPE("tr.id", 1, L "[1-9][0-9]{10}" R, detect_tr_id),
	SHAPE("th.id", 1, L "[1-8]" S "[0-9]{4}" S "[0-9]{5}" S "[0-9]{2}" S "[0-9]" R,
	      detect_th_id),
	SHAPE("kr.rrn", 1, L "[0-9]{6}-?[0-9]{7}" R, detect_kr_rrn),
	{ "kr.brn", 1, L "[0-9]{3}-?[0-9]{2}-?[0-9]{5}" R, detect_kr_brn, words_brn, false, false },
	SHAPE("sg.nric", 1, L "[STFGM][0-9]{7}[A-Z]" R, detect_sg_nric),
	SHAPE("sg.uen", 1, L "(?:[0-9]{8}|(?:19|20)[0-9]{7}|[TSR][0-9]{2}[A-Z]{2}[0-9]{4})[A-Z]" R,
	      detect_sg_uen),
	SHAPE("au.abn", 1, L "[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}" R, detect_au_abn),
	{ "au.acn", 1, L "[0-9]{3}" S "[0-9]{3}" S "[0-9]{3}" R, detect_au_acn, words_acn, true,
	  false },
	SHAPE("au.tfn", 1, L "[0-9]{3}([ -])[0-9]{3}[ -][0-9]{3}" R, detect_au_tfn),
	SHAPE("au.medicare", 1, L "[2-6][0-9]{3}" S "[0-9]{5}" S "[0-9]" R, detect_au_medicare),
	{ "unicode.tags", 1,
	  "\\x{1F3F4}[\\x{E0020}-\\x{E007E}]{0,8}\\x{E007F}?|[\\x{E0001}\\x{E0020}-\\x{E007F}]{1,64}",
	  detect_tags, NULL, false, true },
	{ "unicode.selectors", 1,
	  "[\\x{FE00}-\\x{FE0F}\\x{E0100}-\\x{E01EF}]{2,64}"
	  "|(?<=[\\x{FE00}-\\x{FE0F}\\x{E0100}-\\x{E01EF}])[\\x{FE00}-\\x{FE0F}\\x{E0100}-\\x{E01EF}]",
	  detect_selectors, NULL, false, true },
	{ "unicode.bidi", 1, "[\\x{202D}\\x{202E}][^\\x{202C}\\n]{0,256}\\x{202C}?", detect_bidi,
	  NULL, false, true },
};

const struct detector *filter_detector_at(size_t i)
{
	size_t n = sizeof table / sizeof *table;
	return i < n ? &table[i] : filter_detector_contact(i - n);
}

static bool named(const struct detector *d, const char *name, size_t len)
{
	return strlen(d->name) == len && memcmp(d->name, name, len) == 0;
}

unsigned filter_detector_version(const char *name)
{
	unsigned newest = 0;
	const struct detector *d;
	for (size_t i = 0; (d = filter_detector_at(i)); i++)
		if (named(d, name, strlen(name)) && d->version > newest)
			newest = d->version;
	if (filter_kind_version(name) > newest)
		newest = filter_kind_version(name);
	return newest ? newest : filter_secret_version(name);
}

bool filter_detector_is(const struct detector *d, const char *asked)
{
	const char *slash = strchr(asked, '/');
	uint64_t version;
	if (!slash)
		return named(d, asked, strlen(asked)) &&
		       d->version == filter_detector_version(asked);
	return named(d, asked, (size_t)(slash - asked)) &&
	       text_parse_u64(slash + 1, strlen(slash + 1), &version) == 0 && version == d->version;
}

bool filter_detector_known(const char *name)
{
	for (size_t i = 0; filter_detector_at(i); i++)
		if (filter_detector_is(filter_detector_at(i), name))
			return true;
	for (size_t i = 0; kind_at(i); i++)
		if (filter_kind_is(kind_at(i), name))
			return true;
	for (size_t i = 0; filter_secret_at(i); i++)
		if (filter_secret_is(filter_secret_at(i), name))
			return true;
	return false;
}
