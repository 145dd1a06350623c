/* The arguments of a call as text that rules can read: inside JSON strings an escape that stands
 * for an ordinary character becomes that character (\u0034 is 4, \/ is /). The value stays the
 * same, and a rule that looks for a card number finds it however it was written. What must stay
 * escaped stays as it was: quotes, backslashes, control characters, halves of a pair that has no
 * other half. */
#include "base/text.h"
#include "serve/completion.h"

#include <string.h>

static bool is_ordinary(uint32_t c) { return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f; }

/* The four digits of an escape \uXXXX at s. */
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

/* The escape at s[0..len), whole or not: 0 when more is needed, else how many bytes were read;
 * what they become is appended. */
static size_t take_escape(const char *s, size_t len, struct buf *out)
{
	char utf8[4];
	uint32_t c, low;
	if (len < 2 || (s[1] == 'u' && len < 6))
		return 0;
	if (s[1] == '/') {
		buf_add_byte(out, '/');
		return 2;
	}
	if (s[1] != 'u' || !read_unit(s, &c)) {
		buf_add(out, s, 2);
		return 2;
	}
	size_t used = 6;
	if (c >= 0xd800 && c < 0xdc00) {
		if (len < 12 && memcmp(s + 6, "\\u", len - 6 < 2 ? len - 6 : 2) == 0)
			return 0;
		if (len >= 12 && s[6] == '\\' && s[7] == 'u' && read_unit(s + 6, &low) &&
		    low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			used = 12;
		}
	}
	if (!is_ordinary(c) || (c >= 0xd800 && c < 0xe000))
		buf_add(out, s, used);
	else
		buf_add(out, utf8, (size_t)text_utf8_encode(c, utf8));
	return used;
}

/* Up to where all is decided; the rest waits in u->held. */
static void run(struct serve_unescape *u, struct buf *out, bool last)
{
	const char *s = u->held.bytes;
	size_t at = 0, len = u->held.len;
	while (at < len) {
		size_t used = 1;
		if (u->in_string && s[at] == '\\') {
			used = take_escape(s + at, len - at, out);
			if (used == 0)
				break;
		} else {
			u->in_string ^= s[at] == '"';
			buf_add_byte(out, (unsigned char)s[at]);
		}
		at += used;
	}
	if (last && at < len) {
		buf_add(out, s + at, len - at);
		at = len;
	}
	buf_drop(&u->held, at);
}

int serve_unescape_push(struct serve_unescape *u, const char *text, size_t len, struct buf *out,
			struct err *e)
{
	buf_clear(out);
	buf_add(&u->held, text, len);
	TRY(buf_done(&u->held, e));
	run(u, out, false);
	return buf_done(out, e);
}

int serve_unescape_end(struct serve_unescape *u, struct buf *out, struct err *e)
{
	buf_clear(out);
	run(u, out, true);
	u->in_string = false;
	return buf_done(out, e);
}
