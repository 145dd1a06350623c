/* A text that is JSON, character by character. A unit is what the views get as one character: a
 * character as it stands, or inside a string a whole escape (\n, \", \u00e9, a pair of surrogates).
 * Where a unit stands decides what a rule may do to it:
 *
 *   MARK  { } [ ] : , white space and the quotes of strings: they hold the value together, and stay
 *   TEXT  what a string holds
 *   BARE  numbers, true, false, null, and whatever else stands outside strings
 *
 * What is no JSON is read the same way: brackets that match nothing, escapes that are none, strings
 * that do not end. Everything but marks can be withheld in every state, so that a text which only
 * looks like JSON hides nothing. */
#include "filters/json.h"

#include "base/text.h"

#include <string.h>

/* The code unit of an escape \uXXXX at s. */
static bool read_unit(const char *s, uint32_t *out)
{
	*out = 0;
	for (int i = 2; i < 6; i++) {
		const char c = s[i];
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (v < 0)
			return false;
		*out = *out << 4 | (uint32_t)v;
	}
	return true;
}

/* What may still become an escape \uXXXX: "\", "\u", "\u0" ... */
static bool may_become_unit(const char *s, size_t len)
{
	if (len >= 6 || (len > 1 && s[1] != 'u') || (len > 0 && s[0] != '\\'))
		return false;
	for (size_t i = 2; i < len; i++)
		if (!strchr("0123456789abcdefABCDEF", s[i]) || !s[i])
			return false;
	return true;
}

/* \uXXXX, with the other half of a pair where there is one. */
static bool take_unicode(const char *s, size_t len, bool final, struct json_unit *u)
{
	uint32_t low;
	if (!final && may_become_unit(s, len))
		return false;
	if (len < 6 || !read_unit(s, &u->cp)) {
		u->cp = '\\';
		u->n = 1;
		return true;
	}
	u->n = 6;
	if (u->cp >= 0xD800 && u->cp < 0xDC00) {
		if (!final && may_become_unit(s + 6, len - 6))
			return false;
		if (len >= 12 && s[6] == '\\' && s[7] == 'u' && read_unit(s + 6, &low) &&
		    low >= 0xDC00 && low < 0xE000) {
			u->cp = 0x10000 + ((u->cp - 0xD800) << 10) + (low - 0xDC00);
			u->n = 12;
		}
	}
	if (u->cp >= 0xD800 && u->cp < 0xE000)
		u->cp = 0xFFFD;
	return true;
}

static bool take_escape(const char *s, size_t len, bool final, struct json_unit *u)
{
	static const char name[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *found = len > 1 && s[1] ? strchr(name, s[1]) : NULL;
	if (len < 2 && !final)
		return false;
	if (len > 1 && s[1] == 'u')
		return take_unicode(s, len, final, u);
	u->cp = found ? (uint32_t)means[found - name] : '\\';
	u->n = found ? 2 : 1;
	return true;
}

bool filter_unit(bool *in_string, bool json, const char *s, size_t len, bool final,
		 struct json_unit *u)
{
	*u = (struct json_unit){ .part = JSON_TEXT };
	if (json && *in_string && s[0] == '\\')
		return take_escape(s, len, final, u);
	int n = text_utf8_decode(s, len, &u->cp);
	if (n == 0 && !final)
		return false;
	if (n <= 0) {
		u->cp = 0xFFFD;
		u->ill = true;
	}
	u->n = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : len;
	if (!json)
		return true;
	if (u->cp == '"' && !u->ill) {
		*in_string = !*in_string;
		u->part = JSON_MARK;
	} else if (!*in_string) {
		bool mark = u->cp && u->cp < 0x80 && strchr("{}[]:, \t\r\n", (int)u->cp);
		u->part = mark ? JSON_MARK : JSON_BARE;
	}
	return true;
}

/* ---- where keys are */

static struct json_level *level(struct json_place *p)
{
	return p->depth > 0 && p->depth <= JSON_DEPTH ? &p->level[p->depth - 1] : NULL;
}

void filter_json_mark(struct json_place *p, uint32_t cp)
{
	if (cp == '"') {
		p->in_string = !p->in_string;
		p->in_key = p->in_string && p->key_next;
		return;
	}
	if (cp == '{' || cp == '[') {
		p->depth++;
		if (level(p))
			*level(p) = (struct json_level){ .object = cp == '{' };
	} else if ((cp == '}' || cp == ']') && p->depth > 0) {
		p->depth--;
	}
	if (cp == '{' || cp == ',')
		p->key_next = cp == '{' || (level(p) && level(p)->object);
	else if (cp == ':' || cp == '[' || cp == '}' || cp == ']')
		p->key_next = false;
}

bool filter_json_too_deep(const struct json_place *p) { return p->depth > JSON_DEPTH; }

unsigned filter_json_count_key(struct json_place *p)
{
	return level(p) ? ++level(p)->changed : 1;
}
