#include "base/unicode.h"

#include <utf8proc.h>

bool unicode_is_space(uint32_t cp)
{
	return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
	       (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
	       cp == 0x205F || cp == 0x3000;
}

/* ---- characters newer than the reference library's tables ----
 *
 * Its normalisation forms rest on the tables of Unicode 9, its punctuation on those of Unicode 8:
 * models are trained on what it makes of a text, so later characters are nothing special here. */

/* With a decomposition or a combining class since; and 11930, 11935, whose pair composes. 11A7
 * stands before the first trailing consonant and composes with nothing: utf8proc 2.8.0 drops it
 * behind a syllable. */
static const struct unicode_range formless[] = {
	{ 0x7FD, 0x7FD },     { 0x898, 0x89F },     { 0x8CA, 0x8D3 },     { 0x9FE, 0x9FE },
	{ 0xC3C, 0xC3C },     { 0xD3B, 0xD3C },     { 0xEBA, 0xEBA },     { 0xECE, 0xECE },
	{ 0x11A7, 0x11A7 },   { 0x1715, 0x1715 },   { 0x1ABF, 0x1ACE },   { 0x1DF6, 0x1DFA },
	{ 0x32FF, 0x32FF },   { 0xA7F2, 0xA7F4 },   { 0xA82C, 0xA82C },   { 0xAB69, 0xAB69 },
	{ 0x10781, 0x10785 }, { 0x10787, 0x107B0 }, { 0x107B2, 0x107BA }, { 0x10D24, 0x10D27 },
	{ 0x10EAB, 0x10EAC }, { 0x10EFD, 0x10EFF }, { 0x10F46, 0x10F50 }, { 0x10F82, 0x10F85 },
	{ 0x11070, 0x11070 }, { 0x1133B, 0x1133B }, { 0x1145E, 0x1145E }, { 0x11839, 0x1183A },
	{ 0x11930, 0x11930 }, { 0x11935, 0x11935 }, { 0x11938, 0x11938 }, { 0x1193D, 0x1193E },
	{ 0x11943, 0x11943 }, { 0x119E0, 0x119E0 }, { 0x11A34, 0x11A34 }, { 0x11A47, 0x11A47 },
	{ 0x11A99, 0x11A99 }, { 0x11D42, 0x11D42 }, { 0x11D44, 0x11D45 }, { 0x11D97, 0x11D97 },
	{ 0x11F41, 0x11F42 }, { 0x16FF0, 0x16FF1 }, { 0x1E030, 0x1E06D }, { 0x1E08F, 0x1E08F },
	{ 0x1E130, 0x1E136 }, { 0x1E2AE, 0x1E2AE }, { 0x1E2EC, 0x1E2EF }, { 0x1E4EC, 0x1E4EF },
	{ 0x1F16C, 0x1F16C }, { 0x1FBF0, 0x1FBF9 },
};
static const struct unicode_range not_punctuation[] = {
	{ 0x61D, 0x61D },     { 0x9FD, 0x9FD },     { 0xA76, 0xA76 },     { 0xC77, 0xC77 },
	{ 0xC84, 0xC84 },     { 0x1B7D, 0x1B7E },   { 0x2E43, 0x2E4F },   { 0x2E52, 0x2E5D },
	{ 0x10EAD, 0x10EAD }, { 0x10F55, 0x10F59 }, { 0x10F86, 0x10F89 }, { 0x1144B, 0x1144F },
	{ 0x1145A, 0x1145B }, { 0x1145D, 0x1145D }, { 0x11660, 0x1166C }, { 0x116B9, 0x116B9 },
	{ 0x1183B, 0x1183B }, { 0x11944, 0x11946 }, { 0x119E2, 0x119E2 }, { 0x11A3F, 0x11A46 },
	{ 0x11A9A, 0x11A9C }, { 0x11A9E, 0x11AA2 }, { 0x11B00, 0x11B09 }, { 0x11C41, 0x11C45 },
	{ 0x11C70, 0x11C71 }, { 0x11EF7, 0x11EF8 }, { 0x11F43, 0x11F4F }, { 0x11FFF, 0x11FFF },
	{ 0x12FF1, 0x12FF2 }, { 0x16E97, 0x16E9A }, { 0x16FE2, 0x16FE2 }, { 0x1E95E, 0x1E95F },
};

bool unicode_within(uint32_t cp, const struct unicode_range *table, size_t count)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (cp > table[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && cp >= table[low].first;
}

bool unicode_has_form(uint32_t cp)
{
	return !unicode_within(cp, formless, sizeof formless / sizeof *formless);
}

/* ---- categories ---- */

static utf8proc_category_t category(uint32_t cp) { return utf8proc_category((utf8proc_int32_t)cp); }

bool unicode_is_numeric(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

bool unicode_is_punctuation(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	bool ascii = cp < 0x7F && cp > 0x20 && !(cp >= '0' && cp <= '9') &&
		     !((cp | 32) >= 'a' && (cp | 32) <= 'z');
	if (cp == 0x166D || cp == 0x111C9) /* punctuation in Unicode 8, not now */
		return true;
	return ascii || (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO &&
			 !unicode_within(cp, not_punctuation,
					 sizeof not_punctuation / sizeof *not_punctuation));
}

bool unicode_is_word(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	bool circled = (cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F149) ||
		       (cp >= 0x1F150 && cp <= 0x1F169) || (cp >= 0x1F170 && cp <= 0x1F189);
	return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) ||
	       c == UTF8PROC_CATEGORY_PC || circled || cp == 0x200C || cp == 0x200D;
}

uint32_t unicode_last(const char *s, size_t len, size_t *size)
{
	size_t at = len - 1;
	uint32_t cp = 0xFFFD;
	while (at > 0 && len - at < 4 && ((unsigned char)s[at] & 0xC0) == 0x80)
		at--;
	*size = len - at;
	if (text_utf8_decode(s + at, len - at, &cp) <= 0)
		*size = 1;
	return cp;
}

bool unicode_ends_with_word(const char *s, size_t len)
{
	size_t size;
	return len && unicode_is_word(unicode_last(s, len, &size));
}

bool unicode_starts_with_word(const char *s, size_t len)
{
	uint32_t cp;
	return len && text_utf8_decode(s, len, &cp) > 0 && unicode_is_word(cp);
}

size_t unicode_spaces_at_end(const char *s, size_t len)
{
	size_t at = len, size;
	while (at > 0 && unicode_is_space(unicode_last(s, at, &size)))
		at -= size;
	return len - at;
}

size_t unicode_spaces_at_start(const char *s, size_t len)
{
	size_t at = 0;
	uint32_t cp;
	for (int n;
	     at < len && (n = text_utf8_decode(s + at, len - at, &cp)) > 0 && unicode_is_space(cp);)
		at += (size_t)n;
	return at;
}
