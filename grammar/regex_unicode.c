/* Sets of characters that the Unicode database knows: categories and cases from utf8proc, scripts
 * and binary properties from PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "grammar/regex_in.h"

#include "base/text.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define CODE_POINT_LAST 0x10FFFF
#define EMPTY_FIRST 0x40000 /* the planes that are set aside, without any character: */
#define EMPTY_LAST 0xDFFFF  /* of one category, Cn */
#define CASED_LAST 0x1FFFF  /* no character beyond has another case */

/* ---- categories ---- */

static bool is_of(int32_t cp, uint32_t categories)
{
	return (categories >> utf8proc_category(cp) & 1) != 0;
}

/* Ranges of all from `first` on that are asked for. */
static void ranges_add(struct pattern *p, int32_t first, bool (*asked)(int32_t, uint32_t),
		       uint32_t categories)
{
	int32_t begun = -1;
	for (int32_t cp = first; cp <= CODE_POINT_LAST; cp++) {
		bool in = asked(cp, categories);
		if (in && begun < 0)
			begun = cp;
		if (!in && begun >= 0) {
			pattern_range_add(p, (uint32_t)begun, (uint32_t)cp - 1);
			begun = -1;
		}
		cp = cp == EMPTY_FIRST ? EMPTY_LAST : cp;
	}
	if (begun >= 0)
		pattern_range_add(p, (uint32_t)begun, CODE_POINT_LAST);
}

void regex_category_add(struct pattern *p, uint32_t categories)
{
	ranges_add(p, 0, is_of, categories);
}

#define BIT(name) (1u << UTF8PROC_CATEGORY_##name)
#define PUNCTUATION (BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO))
#define SEPARATORS (BIT(ZS) | BIT(ZL) | BIT(ZP) | BIT(CC))
#define SYMBOLS (BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO))

_Static_assert(BIT(CN) == REGEX_UNASSIGNED && BIT(ND) == REGEX_DIGITS, "utf8proc's numbers");

/* Circled and squared letters are alphabetic symbols: words to some. */
static bool is_plain(int32_t cp, uint32_t categories)
{
	bool letter = (cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F189);
	return !letter && is_of(cp, categories);
}

void regex_plain_add(struct pattern *p)
{
	ranges_add(p, 0x80, is_plain, PUNCTUATION | SEPARATORS | SYMBOLS);
}

void regex_letters_add(struct pattern *p)
{
	ranges_add(p, 0x80, is_of,
		   BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO) | BIT(ND) | BIT(NL));
}

/* ---- properties ---- */

static const struct {
	const char *name, *is;
} long_names[] = {
	{ "Letter", "L" },
	{ "Cased_Letter", "L&" },
	{ "LC", "L&" },
	{ "Uppercase_Letter", "Lu" },
	{ "Lowercase_Letter", "Ll" },
	{ "Titlecase_Letter", "Lt" },
	{ "Modifier_Letter", "Lm" },
	{ "Other_Letter", "Lo" },
	{ "Mark", "M" },
	{ "Combining_Mark", "M" },
	{ "Nonspacing_Mark", "Mn" },
	{ "Spacing_Mark", "Mc" },
	{ "Enclosing_Mark", "Me" },
	{ "Number", "N" },
	{ "Decimal_Number", "Nd" },
	{ "digit", "Nd" },
	{ "Letter_Number", "Nl" },
	{ "Other_Number", "No" },
	{ "Punctuation", "P" },
	{ "punct", "P" },
	{ "Connector_Punctuation", "Pc" },
	{ "Dash_Punctuation", "Pd" },
	{ "Open_Punctuation", "Ps" },
	{ "Close_Punctuation", "Pe" },
	{ "Initial_Punctuation", "Pi" },
	{ "Final_Punctuation", "Pf" },
	{ "Other_Punctuation", "Po" },
	{ "Symbol", "S" },
	{ "Math_Symbol", "Sm" },
	{ "Currency_Symbol", "Sc" },
	{ "Modifier_Symbol", "Sk" },
	{ "Other_Symbol", "So" },
	{ "Separator", "Z" },
	{ "Space_Separator", "Zs" },
	{ "Line_Separator", "Zl" },
	{ "Paragraph_Separator", "Zp" },
	{ "Other", "C" },
	{ "Control", "Cc" },
	{ "cntrl", "Cc" },
	{ "Format", "Cf" },
	{ "Surrogate", "Cs" },
	{ "Private_Use", "Co" },
	{ "Unassigned", "Cn" },
};

/* The expression of one or more such characters, as PCRE2 writes it. */
static bool property_expression(const char *name, char *out, size_t room)
{
	static const struct {
		const char *prefix, *as;
	} kinds[] = { { "General_Category=", "" },
		      { "gc=", "" },
		      { "Script=", "sc:" },
		      { "sc=", "sc:" },
		      { "Script_Extensions=", "scx:" },
		      { "scx=", "scx:" } };
	const char *as = "";
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (text_starts(name, kinds[i].prefix)) {
			as = kinds[i].as;
			name += strlen(kinds[i].prefix);
			break;
		}
	}
	for (size_t i = 0; *as == '\0' && i < sizeof long_names / sizeof *long_names; i++) {
		if (strcmp(name, long_names[i].name) == 0)
			name = long_names[i].is;
	}
	if (*name == '\0' || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_&"
					  "0123456789") != strlen(name))
		return false;
	int n = strcmp(name, "Assigned") == 0 ? snprintf(out, room, "\\P{Cn}++")
		: strcmp(name, "ASCII") == 0  ? snprintf(out, room, "[\\x{0}-\\x{7f}]++")
					      : snprintf(out, room, "\\p{%s%s}++", as, name);
	return n > 0 && (size_t)n < room;
}

/* Every scalar value but NUL, in order, as UTF-8; of the empty planes one for all. */
static unsigned char *all_characters(size_t *len)
{
	unsigned char *text = malloc(0x7F + 0x780 * 2 + 0xF000 * 3 + 0x100000 * 4);
	size_t n = 0;
	for (uint32_t cp = 1; text != NULL && cp <= CODE_POINT_LAST; cp++) {
		if (cp < 0xD800 || cp > 0xDFFF)
			n += (size_t)text_utf8_encode(cp, (char *)text + n);
		cp = cp == EMPTY_FIRST ? EMPTY_LAST : cp;
	}
	*len = n;
	return text;
}

static uint32_t character_at(const unsigned char *text, size_t len, size_t at)
{
	uint32_t cp = CODE_POINT_LAST + 1;
	if (at < len)
		text_utf8_decode(text + at, len - at, &cp);
	return cp;
}

static void matches_add(struct pattern *p, const pcre2_code *code)
{
	size_t len;
	unsigned char *text = all_characters(&len);
	pcre2_match_data *found = pcre2_match_data_create(1, NULL);
	if (text == NULL || found == NULL)
		p->failed = ERR_NOMEM;
	for (size_t at = 0; p->failed == 0 && at < len;) {
		if (pcre2_match(code, text, len, at, PCRE2_NO_UTF_CHECK, found, NULL) < 0)
			break;
		size_t *where = pcre2_get_ovector_pointer(found);
		uint32_t lo = character_at(text, len, where[0]),
			 hi = character_at(text, len, where[1]) - 1;
		pattern_range_add(p, lo, hi);
		at = where[1];
	}
	pcre2_match_data_free(found);
	free(text);
}

bool regex_property_add(struct pattern *p, const char *name)
{
	char expression[128];
	int why;
	size_t where;
	if (!property_expression(name, expression, sizeof expression))
		return false;
	pcre2_code *code = pcre2_compile((const unsigned char *)expression, PCRE2_ZERO_TERMINATED,
					 PCRE2_UTF, &why, &where, NULL);
	if (code == NULL)
		return false;
	matches_add(p, code);
	pcre2_code_free(code);
	return true;
}

/* ---- cases ---- */

static bool holds(const struct pattern *p, uint32_t from, uint32_t end, uint32_t cp)
{
	for (uint32_t i = from; i < end; i++) {
		if (p->range[i].lo <= cp && cp <= p->range[i].hi)
			return true;
	}
	return false;
}

/* Both engines take a and b for two cases of one letter: each is the other's simple mapping, and
 * neither both beyond ASCII and in it. */
static bool is_pair(int32_t a, int32_t b)
{
	bool mapped = (utf8proc_tolower(a) == b && utf8proc_toupper(b) == a) ||
		      (utf8proc_toupper(a) == b && utf8proc_tolower(b) == a);
	return mapped && (a < 0x80) == (b < 0x80);
}

static void fold_character(struct pattern *p, int32_t cp)
{
	int32_t other[] = { utf8proc_tolower(cp), utf8proc_toupper(cp) };
	for (int i = 0; i < 2; i++) {
		if (other[i] != cp && is_pair(cp, other[i]))
			pattern_range_add(p, (uint32_t)other[i], (uint32_t)other[i]);
	}
}

/* All that have a simple mapping in common with a character of the set. */
static void fold_wide(struct pattern *p, uint32_t from, uint32_t end)
{
	uint8_t *key = calloc(CASED_LAST / 8 + 1, 1);
	if (key == NULL)
		p->failed = ERR_NOMEM;
	for (int pass = 0; pass < 2; pass++) {
		for (int32_t cp = 0; cp <= CASED_LAST && p->failed == 0; cp++) {
			int32_t upper = utf8proc_toupper(cp), lower = utf8proc_tolower(cp);
			int32_t fold = utf8proc_tolower(upper);
			bool dotted = cp == 0x130 || cp == 0x131;
			if (upper == cp && lower == cp)
				continue;
			fold = dotted ? 'i' : cp == 0x17F ? 's' : fold;
			if (pass == 0 && holds(p, from, end, (uint32_t)cp))
				key[fold / 8] |= (uint8_t)(1 << fold % 8);
			if (pass == 1 && (key[fold / 8] >> fold % 8 & 1) != 0)
				pattern_range_add(p, (uint32_t)cp, (uint32_t)cp);
		}
	}
	free(key);
}

/* The same of ASCII, without a search. */
static void fold_ascii_wide(struct pattern *p, uint32_t from, uint32_t end)
{
	static const struct {
		uint32_t ascii, other;
	} more[] = { { 'k', 0x212A }, { 's', 0x17F }, { 'i', 0x130 }, { 'i', 0x131 } };
	for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
		if (holds(p, from, end, more[i].ascii) || holds(p, from, end, more[i].ascii - 32))
			pattern_range_add(p, more[i].other, more[i].other);
	}
}

static bool is_ascii(const struct pattern *p, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end; i++) {
		if (p->range[i].hi >= 0x80)
			return false;
	}
	return true;
}

uint64_t regex_fold_cost(const struct pattern *p, uint32_t from, bool wide)
{
	uint64_t cost = 1;
	for (uint32_t i = from; i < p->ranges; i++) {
		struct pattern_range r = p->range[i];
		cost += r.lo > CASED_LAST ? 1 : (r.hi < CASED_LAST ? r.hi : CASED_LAST) - r.lo + 1;
	}
	return wide && !is_ascii(p, from, p->ranges)
		       ? 2 * CASED_LAST * (uint64_t)(p->ranges - from + 1)
		       : cost;
}

void regex_fold(struct pattern *p, uint32_t from, bool wide)
{
	uint32_t end = p->ranges;
	if (wide && is_ascii(p, from, end)) {
		fold_ascii_wide(p, from, end);
	} else if (wide) {
		fold_wide(p, from, end);
		return;
	}
	for (uint32_t i = from; i < end && p->failed == 0; i++) {
		struct pattern_range r = p->range[i];
		for (uint32_t cp = r.lo; cp <= r.hi && cp <= CASED_LAST && p->failed == 0; cp++)
			fold_character(p, (int32_t)cp);
	}
}
