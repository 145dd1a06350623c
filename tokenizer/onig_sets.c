/* Sets of characters that Oniguruma has names for, as members of a PCRE2 class.
 *
 * Each ends in a property or a single character, never in what a following hyphen would make a
 * range of (the translator writes that hyphen as \-). */
#include "tokenizer/onig.h"

#include <string.h>

#define WHITE                             \
	"\\t-\\r \\x{85}\\x{A0}\\x{1680}" \
	"\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
/* Marks, numbers of letters and letters in circles count: property Alphabetic, but for the marks
 * and the circles that PCRE2's Unicode version may lack. */
#define WORD                                                   \
	"\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}" \
	"\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
/* Outside a class, characters below U+0100 are looked up in a table of Latin-1, to which
 * superscripts and fractions are word characters. */
#define BARE_WORD WORD "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
#define HEX "0-9A-Fa-f"
#define VISIBLE "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"

static const struct onig_escape escapes[] = {
	{ 's', WHITE, "[" WHITE "]" },
	{ 'S', "^" WHITE, "[^" WHITE "]" },
	{ 'w', WORD, "[" BARE_WORD "]" },
	{ 'W', "^" WORD, "[^" BARE_WORD "]" },
	{ 'd', "\\p{Nd}", "\\p{Nd}" },
	{ 'D', "\\P{Nd}", "\\P{Nd}" },
	{ 'h', HEX, "[" HEX "]" },
	{ 'H', "^" HEX, "[^" HEX "]" },
	{ 'b', "\\x08",
	  "(?:(?<=[" BARE_WORD "])(?![" BARE_WORD "])|(?<![" BARE_WORD "])(?=[" BARE_WORD "]))" },
	{ 'B', NULL,
	  "(?:(?<=[" BARE_WORD "])(?=[" BARE_WORD "])|(?<![" BARE_WORD "])(?![" BARE_WORD "]))" },
	{ 'v', "\\x0B", "\\x0B" },
	{ 'A', NULL, "\\A" },
	{ 'Z', NULL, "\\Z" },
	{ 'z', NULL, "\\z" },
	{ 'R', NULL, "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])" },
	{ 'N', NULL, "[^\\n]" },
	{ 'O', NULL, "(?s:.)" },
};

struct named {
	const char *name, *inside;
};

static const struct named posix[] = {
	{ "alpha", "\\p{Alphabetic}" },
	{ "digit", "\\p{Nd}" },
	{ "alnum", "\\p{Alphabetic}\\p{Nd}" },
	{ "upper", "\\p{Uppercase}" },
	{ "lower", "\\p{Lowercase}" },
	{ "space", WHITE },
	{ "punct", "\\p{P}\\p{S}" },
	{ "cntrl", "\\p{Cc}" },
	{ "blank", "\\t\\p{Zs}" },
	{ "xdigit", HEX },
	{ "word", WORD },
	{ "graph", VISIBLE },
	{ "print", VISIBLE "\\p{Zs}" },
	{ "ascii", "\\x00-\\x7F" },
};

/* Names of properties that PCRE2 knows only in short, or means otherwise; without case, spaces,
 * hyphens and underscores. Others pass through and are refused there if unknown. */
static const struct named properties[] = {
	{ "letter", "\\p{L}" },
	{ "casedletter", "\\p{L&}" },
	{ "lc", "\\p{L&}" },
	{ "uppercaseletter", "\\p{Lu}" },
	{ "lowercaseletter", "\\p{Ll}" },
	{ "titlecaseletter", "\\p{Lt}" },
	{ "modifierletter", "\\p{Lm}" },
	{ "otherletter", "\\p{Lo}" },
	{ "mark", "\\p{M}" },
	{ "combiningmark", "\\p{M}" },
	{ "nonspacingmark", "\\p{Mn}" },
	{ "spacingmark", "\\p{Mc}" },
	{ "enclosingmark", "\\p{Me}" },
	{ "number", "\\p{N}" },
	{ "decimalnumber", "\\p{Nd}" },
	{ "letternumber", "\\p{Nl}" },
	{ "othernumber", "\\p{No}" },
	{ "punctuation", "\\p{P}" },
	{ "punct", "\\p{P}" },
	{ "connectorpunctuation", "\\p{Pc}" },
	{ "dashpunctuation", "\\p{Pd}" },
	{ "openpunctuation", "\\p{Ps}" },
	{ "closepunctuation", "\\p{Pe}" },
	{ "initialpunctuation", "\\p{Pi}" },
	{ "finalpunctuation", "\\p{Pf}" },
	{ "otherpunctuation", "\\p{Po}" },
	{ "symbol", "\\p{S}" },
	{ "mathsymbol", "\\p{Sm}" },
	{ "currencysymbol", "\\p{Sc}" },
	{ "modifiersymbol", "\\p{Sk}" },
	{ "othersymbol", "\\p{So}" },
	{ "separator", "\\p{Z}" },
	{ "spaceseparator", "\\p{Zs}" },
	{ "lineseparator", "\\p{Zl}" },
	{ "paragraphseparator", "\\p{Zp}" },
	{ "other", "\\p{C}" },
	{ "control", "\\p{Cc}" },
	{ "cntrl", "\\p{Cc}" },
	{ "format", "\\p{Cf}" },
	{ "unassigned", "\\p{Cn}" },
	{ "privateuse", "\\p{Co}" },
	{ "assigned", "\\P{Cn}" },
	{ "alpha", "\\p{Alphabetic}" },
	{ "alnum", "\\p{Alphabetic}\\p{Nd}" },
	{ "upper", "\\p{Uppercase}" },
	{ "lower", "\\p{Lowercase}" },
	{ "digit", "\\p{Nd}" },
	{ "space", WHITE },
	{ "blank", "\\t\\p{Zs}" },
	{ "xdigit", HEX },
	{ "word", WORD },
	{ "graph", VISIBLE },
	{ "print", VISIBLE "\\p{Zs}" },
};

const struct onig_escape *onig_escape_of(char name)
{
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
		if (escapes[i].name == name)
			return &escapes[i];
	return NULL;
}

const char *onig_posix_set(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof posix / sizeof *posix; i++)
		if (strlen(posix[i].name) == len && memcmp(posix[i].name, name, len) == 0)
			return posix[i].inside;
	return NULL;
}

const char *onig_property_set(const char *name, size_t len)
{
	char plain[40];
	size_t n = 0;
	for (size_t i = 0; i < len && n + 1 < sizeof plain; i++)
		if (name[i] != ' ' && name[i] != '_' && name[i] != '-')
			plain[n++] =
				(char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 32 : name[i]);
	plain[n] = 0;
	for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
		if (strcmp(properties[i].name, plain) == 0)
			return properties[i].inside;
	return NULL;
}
