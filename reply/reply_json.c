/* A JSON value recognised one byte at a time (RFC 8259), without keeping it. */
#include "reply/reply_in.h"

#include <string.h>

enum { /* clang-format off */
	S_VALUE,       /* a value must begin */
	S_FIRST_ITEM,  /* behind [ */
	S_FIRST_KEY,   /* behind { */
	S_KEY,         /* behind , in an object */
	S_COLON, S_AFTER, S_STRING, S_ESCAPE, S_HEX, S_LITERAL,
	S_MINUS, S_ZERO, S_DIGITS, S_POINT, S_FRACTION, S_E, S_SIGN, S_EXPONENT,
	S_END,
}; /* clang-format on */

bool reply_json_blank(unsigned char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

size_t reply_json_escape(unsigned char c, char out[8])
{
	static const char from[] = "\"\\\n\t\r", to[] = "\"\\ntr";
	const char *named = c ? strchr(from, c) : NULL;
	if (named) {
		out[0] = '\\';
		out[1] = to[named - from];
		return 2;
	}
	out[0] = (char)c;
	if (c >= 0x20)
		return 1;
	memcpy(out, "\\u00", 4);
	out[4] = (char)('0' + (c >> 4));
	out[5] = "0123456789abcdef"[c & 15];
	return 6;
}

bool reply_json_scan_in_string(const struct json_scan *s)
{
	return s->state == S_STRING || s->state == S_ESCAPE || s->state == S_HEX;
}

bool reply_json_scan_wants_key(const struct json_scan *s)
{
	return s->state == S_FIRST_KEY || s->state == S_KEY;
}

bool reply_json_scan_wants_value(const struct json_scan *s) { return s->state == S_VALUE; }

bool reply_json_scan_after_value(const struct json_scan *s) { return s->state == S_AFTER; }

static bool number_may_end(const struct json_scan *s)
{
	return s->state == S_ZERO || s->state == S_DIGITS || s->state == S_FRACTION ||
	       s->state == S_EXPONENT;
}

bool reply_json_scan_whole(const struct json_scan *s)
{
	return s->state == S_END || (s->depth == 0 && number_may_end(s));
}

static enum taken ended(struct json_scan *s)
{
	s->state = s->depth ? S_AFTER : S_END;
	return s->depth ? TAKE_MORE : TAKE_DONE;
}

static enum taken open_level(struct json_scan *s, bool array)
{
	if (s->depth == REPLY_JSON_DEPTH)
		return TAKE_FAIL;
	s->arrays = array ? s->arrays | UINT64_C(1) << s->depth
			  : s->arrays & ~(UINT64_C(1) << s->depth);
	s->depth++;
	s->state = array ? S_FIRST_ITEM : S_FIRST_KEY;
	return TAKE_MORE;
}

static bool in_array(const struct json_scan *s) { return s->arrays >> (s->depth - 1) & 1; }

static enum taken close_level(struct json_scan *s, bool array)
{
	if (!s->depth || in_array(s) != array)
		return TAKE_FAIL;
	s->depth--;
	return ended(s);
}

static enum taken begin_string(struct json_scan *s, bool key)
{
	s->key = key;
	s->state = S_STRING;
	return TAKE_MORE;
}

static enum taken begin_value(struct json_scan *s, unsigned char c)
{
	switch (c) {
	case '{':
		return open_level(s, false);
	case '[':
		return open_level(s, true);
	case '"':
		return begin_string(s, false);
	case '-':
		s->state = S_MINUS;
		return TAKE_MORE;
	case '0':
		s->state = S_ZERO;
		return TAKE_MORE;
	case 't':
		s->literal = "rue";
		break;
	case 'f':
		s->literal = "alse";
		break;
	case 'n':
		s->literal = "ull";
		break;
	default:
		s->state = S_DIGITS;
		return c >= '1' && c <= '9' ? TAKE_MORE : TAKE_FAIL;
	}
	s->state = S_LITERAL;
	return TAKE_MORE;
}

static enum taken after_value(struct json_scan *s, unsigned char c)
{
	if (c == '}' || c == ']')
		return close_level(s, c == ']');
	if (c != ',' || !s->depth)
		return TAKE_FAIL;
	s->state = in_array(s) ? S_VALUE : S_KEY;
	return TAKE_MORE;
}

static enum taken string_byte(struct json_scan *s, unsigned char c)
{
	if (s->state == S_HEX) {
		bool hex = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
		s->state = --s->hex ? S_HEX : S_STRING;
		return hex ? TAKE_MORE : TAKE_FAIL;
	}
	if (s->state == S_ESCAPE) {
		s->state = c == 'u' ? S_HEX : S_STRING;
		s->hex = 4;
		return c && strchr("\"\\/bfnrtu", c) ? TAKE_MORE : TAKE_FAIL;
	}
	if (c == '\\')
		s->state = S_ESCAPE;
	if (c == '"' && s->key)
		s->state = S_COLON;
	else if (c == '"')
		return ended(s);
	return c < 0x20 && !s->lenient ? TAKE_FAIL : TAKE_MORE;
}

/* The next state of a number, or S_END if the byte is not of it. */
static uint8_t number_state(uint8_t state, unsigned char c)
{
	bool digit = c >= '0' && c <= '9', e = (c | 32) == 'e';
	switch (state) {
	case S_MINUS:
		return c == '0' ? S_ZERO : digit ? S_DIGITS : S_END;
	case S_ZERO:
		return c == '.' ? S_POINT : e ? S_E : S_END;
	case S_DIGITS:
		return digit ? S_DIGITS : c == '.' ? S_POINT : e ? S_E : S_END;
	case S_POINT:
		return digit ? S_FRACTION : S_END;
	case S_FRACTION:
		return digit ? S_FRACTION : e ? S_E : S_END;
	case S_E:
		return c == '+' || c == '-' ? S_SIGN : digit ? S_EXPONENT : S_END;
	default:
		return digit ? S_EXPONENT : S_END; /* S_SIGN, S_EXPONENT */
	}
}

static enum taken number_byte(struct json_scan *s, unsigned char c)
{
	uint8_t state = number_state(s->state, c);
	if (state != S_END) {
		s->state = state;
		return TAKE_MORE;
	}
	if (!number_may_end(s))
		return TAKE_FAIL;
	s->state = s->depth ? S_AFTER : S_END;
	return reply_json_scan_byte(s, c);
}

enum taken reply_json_scan_byte(struct json_scan *s, unsigned char c)
{
	if (reply_json_scan_in_string(s))
		return string_byte(s, c);
	if (s->state == S_LITERAL) {
		if (*s->literal++ != (char)c)
			return TAKE_FAIL;
		return *s->literal ? TAKE_MORE : ended(s);
	}
	if (s->state >= S_MINUS && s->state <= S_EXPONENT)
		return number_byte(s, c);
	if (reply_json_blank(c))
		return TAKE_MORE;
	switch (s->state) {
	case S_FIRST_ITEM:
		return c == ']' ? close_level(s, true) : begin_value(s, c);
	case S_VALUE:
		return begin_value(s, c);
	case S_FIRST_KEY:
		if (c == '}')
			return close_level(s, false);
		/* fall through */
	case S_KEY:
		return c == '"' ? begin_string(s, true) : TAKE_FAIL;
	case S_COLON:
		s->state = S_VALUE;
		return c == ':' ? TAKE_MORE : TAKE_FAIL;
	case S_AFTER:
		return after_value(s, c);
	default:
		return TAKE_FAIL; /* behind the end */
	}
}
