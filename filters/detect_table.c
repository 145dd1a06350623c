/* The detectors that are patterns: invisible text here, contacts and places in detect_contact.c.
 * Numbers and codes are kinds (kind.h), secrets have tables of their own; a name is looked up in
 * all of them. */
#include "filters/detect.h"

#include "base/text.h"
#include "filters/filters.h"
#include "filters/number.h"
#include "filters/secret.h"

#include <string.h>

static const struct detector table[] = {
	{ .name = "unicode.tags",
	  .version = 1,
	  .regex = "\\x{1F3F4}[\\x{E0020}-\\x{E007E}]{0,8}\\x{E007F}?|"
		   "[\\x{E0001}\\x{E0020}-\\x{E007F}]{1,64}",
	  .check = detect_tags,
	  .raw = true,
	  .what = "text hidden in tag characters",
	  .source = "UTS #51, section 3.4 (emoji tag sequences)",
	  .example = "\U000E0068\U000E0069" },
	{ .name = "unicode.selectors",
	  .version = 1,
	  .regex = "[\\x{FE00}-\\x{FE0F}\\x{E0100}-\\x{E01EF}]{2,64}"
		   "|(?<=[\\x{FE00}-\\x{FE0F}\\x{E0100}-\\x{E01EF}])"
		   "[\\x{FE00}-\\x{FE0F}\\x{E0100}-\\x{E01EF}]",
	  .check = detect_selectors,
	  .raw = true,
	  .what = "bytes hidden in variation selectors",
	  .source = "Unicode Standard, section 23.4 (variation selectors)",
	  .example = "a\uFE01\uFE02" },
	{ .name = "unicode.bidi",
	  .version = 1,
	  .regex = "[\\x{202D}\\x{202E}][^\\x{202C}\\n]{0,256}\\x{202C}?",
	  .check = detect_bidi,
	  .raw = true,
	  .what = "text turned round by a direction override",
	  .source = "UAX #9, section 2.2 (explicit overrides)",
	  .example = "\u202Eterces\u202C" },
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
