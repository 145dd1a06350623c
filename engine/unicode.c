#include "engine/unicode.h"

#include <utf8proc.h>

bool unicode_is_space(uint32_t cp)
{
	return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
	       (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
	    cp == 0x205F ||
	       cp == 0x3000;
}

static utf8proc_category_t category(uint32_t cp)
{
	return utf8proc_category((utf8proc_int32_t)cp);
}

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
	return ascii || (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO);
}

bool unicode_is_word(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	bool circled = (cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F149) ||
	               (cp >= 0x1F150 && cp <= 0x1F169) || (cp >= 0x1F170 && cp <= 0x1F189);
	return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) || c == UTF8PROC_CATEGORY_PC ||
	       circled ||
	       cp == 0x200C || cp == 0x200D;
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
	for (int n; at < len && (n = text_utf8_decode(s + at, len - at, &cp)) > 0 && unicode_is_space(cp);)
		at += (size_t)n;
	return at;
}

int unicode_lower(uint32_t cp, uint32_t out[3])
{
	if (cp == 0x130) {
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
	return 1;
}

int unicode_upper(uint32_t cp, uint32_t out[3])
{
	if (cp == 0xDF) {
		out[0] = out[1] = 'S';
		return 2;
	}
	out[0] = (uint32_t)utf8proc_toupper((utf8proc_int32_t)cp);
	return 1;
}
