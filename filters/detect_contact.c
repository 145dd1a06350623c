/* Detectors of contacts and places. Rows of one name and version act together. */
#include "filters/detect.h"
#include "filters/near.h"

#define SHAPE(name, version, regex, check)                      \
	{                                                       \
		name, version, regex, check, NULL, false, false \
	}

#define L "(?<![0-9A-Za-z_])(?<![0-9][.,-])"
#define R "(?![0-9A-Za-z_])(?![.,-][0-9])"

static const char email[] =
	"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?@"
	"(?:[\\p{L}0-9](?:[\\p{L}0-9-]{0,61}[\\p{L}0-9])?\\.){1,4}"
	"(?:xn--[A-Za-z0-9-]{1,59}|[A-Za-z]{2,24}|"
	"[^\\x00-\\x7f\\P{L}]{2,12})"
	"(?![A-Za-z0-9-])";

/* The host has a dot, so that scheme://host in a manual does not match; the rest ends at a space, a
 * quote or a bracket. */
static const char url[] =
	"(?<![A-Za-z0-9_])(?i)https?://"
	"(?:[\\p{L}0-9](?:[\\p{L}0-9-]{0,61}[\\p{L}0-9])?\\.){1,5}[\\p{L}0-9-]{2,24}"
	"(?::[0-9]{1,5})?(?:[/?#][^\\s\"'<>()\\[\\]{}]{0,256})?";

/* ---- telephone numbers: runs of groups, each taken whole. A long run of digits has one reading,
 * not one for each way to cut it; the check chooses the groups. */
#define BETWEEN "[ ().\\/-]{1,4}+"
static const char phone[] =
	"(?<![0-9A-Za-z_+])(?<![0-9][.\\/-])(?<![A-Za-z]-)"
	"(?:\\(?\\+ ?)?\\(?[0-9]{1,19}+(?:" BETWEEN "[0-9]{1,19}+){0,10}"
	"(?:[ ,;]{0,2}(?i:extension|extn?|durchwahl|dw|poste|int|app|wew|klapka|toestel|x)[.:]? ?"
	"[0-9]{1,5}+)?" NEAR_AHEAD;
static const char phone_plus[] =
	"(?<=[A-Za-z]-)\\+[0-9]{1,19}+(?:" BETWEEN "[0-9]{1,19}+){0,10}" NEAR_AHEAD;

static const struct detector table[] = {
	SHAPE("phone", 2, phone, detect_phone),
	SHAPE("phone", 2, phone_plus, detect_phone),
	SHAPE("email", 1, email, detect_email),
	SHAPE("ip", 1,
	      "(?<![0-9A-Za-z_.-])(?:[0-9]{1,3}\\.){3}[0-9]{1,3}(?![0-9A-Za-z_-])(?!\\.[0-9A-Za-z])",
	      detect_ip),
	SHAPE("mac", 1,
	      "(?<![0-9A-Za-z_:-])(?i)[0-9A-F]{2}"
	      "(?:(?::[0-9A-F]{2}){5}|(?:-[0-9A-F]{2}){5})(?![0-9A-Z_:-])",
	      detect_mac),
	SHAPE("mac", 1,
	      "(?<![0-9A-Za-z_.])(?i)(?:[0-9A-F]{4}\\.){2}[0-9A-F]{4}(?![0-9A-Z_]|\\.[0-9A-Z])",
	      detect_mac),
	SHAPE("url", 1, url, NULL),
	SHAPE("crypto.btc", 1, "(?<![0-9A-Za-z_])[13][1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z_])",
	      detect_base58),
	SHAPE("crypto.btc", 1, "(?<![0-9A-Za-z_])(?i)bc1[02-9ac-hj-np-z]{11,71}(?![0-9A-Z_])",
	      detect_bech32),
	SHAPE("uk.vehicle", 1,
	      L "(?i)[A-HJ-PR-Y]{2}(?:0[2-9]|[12][0-9]|5[1-9]|[67][0-9])[ -]?[A-HJ-PR-Z]{3}" R,
	      NULL),
};

const struct detector *filter_detector_contact(size_t i)
{
	return i < sizeof table / sizeof *table ? &table[i] : NULL;
}
