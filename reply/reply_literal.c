/* Values as Python writes them, made JSON one byte at a time: (key=value, ...), [..], (..), {..},
 * strings with either mark, True, False, None. Gemma's are alike: {key:value}, keys without
 * marks, strings between two fences. What is no literal (a name, a call, an expression) is
 * refused; Gemma's bare words are strings. */
#include "reply/reply_in.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { /* clang-format off */
	L_BEGIN,    /* the first bracket must come */
	L_VALUE,    /* a value, or the end of the level */
	L_NEED,     /* a value */
	L_KEY,      /* a key, or the end of the level */
	L_BARE_KEY, /* inside a key without marks */
	L_SEP,      /* behind a key */
	L_FENCE,    /* inside the fence that begins a string */
	L_QUOTE,    /* behind the first mark of a string */
	L_QUOTES,   /* behind its second */
	L_STRING, L_ESCAPE, L_DIGITS,
	L_WORD,     /* inside a number or word */
	L_AFTER,    /* behind a value */
}; /* clang-format on */

#define DEPTH_MAX 32

void reply_literal_begin(struct literal *l, const char *fence)
{
	*l = (struct literal){ .fence = fence };
}

static bool at_bit(uint64_t bits, uint8_t depth) { return bits >> (depth - 1) & 1; }

static uint64_t with_bit(uint64_t bits, uint8_t depth, bool on)
{
	uint64_t bit = UINT64_C(1) << (depth - 1);
	return on ? bits | bit : bits & ~bit;
}

/* The level that a parenthesis opened as the outermost: arguments by name. */
static bool is_dict(const struct literal *l) { return at_bit(l->dict, l->depth); }

static bool open_level(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	if (l->depth == DEPTH_MAX)
		return false;
	bool named = l->depth == 0 && byte == '(';
	bool dict = byte == '{' || (named && c->program[c->at].op == STEP_KWARGS);
	l->depth++;
	l->dict = with_bit(l->dict, l->depth, dict);
	l->tuple = with_bit(l->tuple, l->depth, byte == '(');
	l->filled = with_bit(l->filled, l->depth, false);
	l->state = dict ? L_KEY : L_VALUE;
	return reply_call_give(c, dict ? "{" : "[", 1);
}

static enum taken close_level(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	bool dict = is_dict(l), tuple = at_bit(l->tuple, l->depth);
	if (byte != (tuple ? ')' : dict ? '}' : ']') || !reply_call_give(c, dict ? "}" : "]", 1))
		return TAKE_FAIL;
	l->depth--;
	l->state = L_AFTER;
	return l->depth ? TAKE_MORE : TAKE_DONE;
}

/* An element begins: what stands between it and the one before. */
static bool begin_element(struct call *c)
{
	struct literal *l = &c->literal;
	bool more = at_bit(l->filled, l->depth);
	l->filled = with_bit(l->filled, l->depth, true);
	return !more || reply_call_give(c, ", ", 2);
}

/* ---- words ---- */

static bool word_byte(unsigned char c, bool gemma)
{
	return gemma ? c != ',' && c != ']' && c != '}'
		     : reply_bare(c) && c != '/' && c != '$' && c != '@' && c != ':';
}

static bool is_number(const char *s, size_t len)
{
	struct json_scan scan = { 0 };
	for (size_t i = 0; i < len; i++)
		if (reply_json_scan_byte(&scan, (unsigned char)s[i]) == TAKE_FAIL)
			return false;
	return (*s == '-' || (*s >= '0' && *s <= '9')) && reply_json_scan_whole(&scan);
}

static bool end_word(struct call *c)
{
	static const char *const words[][2] = {
		{ "True", "true" }, { "False", "false" }, { "None", "null" },
		{ "true", "true" }, { "false", "false" }, { "null", "null" },
	};
	const char *s = c->word.bytes;
	size_t len = c->word.len;
	bool gemma = c->literal.fence != NULL, good = false, known = false;
	while (len && reply_json_blank((unsigned char)s[len - 1]))
		len--;
	if (len > 1 && *s == '+' && is_number(s + 1, len - 1))
		s++, len--;
	for (size_t i = 0; i < sizeof words / sizeof *words && !known; i++)
		if (strlen(words[i][0]) == len && memcmp(words[i][0], s, len) == 0) {
			good = reply_call_give(c, words[i][1], strlen(words[i][1]));
			known = true;
		}
	if (!known && is_number(s, len))
		good = reply_call_give(c, s, len);
	else if (!known && gemma)
		good = reply_call_give(c, "\"", 1) && reply_call_text(c, s, len) &&
		       reply_call_give(c, "\"", 1);
	buf_clear(&c->word);
	c->literal.state = L_AFTER;
	return good;
}

/* ---- keys ---- */

static bool end_bare_key(struct call *c)
{
	size_t len = c->word.len;
	while (len && reply_json_blank((unsigned char)c->word.bytes[len - 1]))
		len--;
	bool good = len && reply_call_give(c, "\"", 1) && reply_call_text(c, c->word.bytes, len) &&
		    reply_call_give(c, "\"", 1);
	buf_clear(&c->word);
	c->literal.state = L_SEP;
	return good;
}

static bool bare_keys(const struct literal *l) { return l->fence || at_bit(l->tuple, l->depth); }

static bool separator(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	l->state = L_NEED;
	return byte == (at_bit(l->tuple, l->depth) ? '=' : ':') && reply_call_give(c, ": ", 2);
}

/* ---- strings ---- */

static bool begin_string(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	bool fence = l->fence && (char)byte == *l->fence;
	l->quote = fence ? 0 : (char)byte;
	l->triple = false;
	l->quotes = 0;
	l->matched = fence ? 1 : 0;
	l->state = fence ? L_FENCE : l->fence ? L_STRING : L_QUOTE;
	return (fence || byte == '"' || byte == '\'') && reply_call_give(c, "\"", 1);
}

static bool end_string(struct call *c)
{
	struct literal *l = &c->literal;
	l->state = is_dict(l) && l->key ? L_SEP : L_AFTER;
	l->key = false;
	return reply_call_give(c, "\"", 1);
}

/* Whether a digit of base 16 was taken. */
static bool hex_digit(struct literal *l, unsigned char byte)
{
	int digit = text_hex_digit(byte);
	if (digit >= 0)
		l->code = l->code << 4 | (uint32_t)digit;
	return digit >= 0;
}

static bool give_code(struct call *c, uint32_t code)
{
	char out[16];
	if (code > 0x10FFFF)
		return false;
	if (code > 0xFFFF) {
		code -= 0x10000;
		snprintf(out, sizeof out, "\\u%04x\\u%04x", 0xD800 + (code >> 10),
			 0xDC00 + (code & 0x3FF));
	} else {
		snprintf(out, sizeof out, "\\u%04x", code);
	}
	return reply_call_give(c, out, strlen(out));
}

static bool escape_byte(struct call *c, unsigned char byte)
{
	/* Python would keep the backslash before '/', which JSON may have */
	static const char from[] = "nrtbfav0'\"\\/", to[] = "\n\r\t\b\f\a\v\0'\"\\/";
	struct literal *l = &c->literal;
	const char text[2] = { '\\', (char)byte };
	const char *at = byte ? strchr(from, byte) : NULL;
	l->state = L_STRING;
	if (byte == '\n')
		return true;
	if (at)
		return reply_call_text(c, to + (at - from), 1);
	if (byte == 'x' || byte == 'u' || byte == 'U') {
		l->digits = byte == 'x' ? 2 : byte == 'u' ? 4 : 8;
		l->code = 0;
		l->state = L_DIGITS;
		return true;
	}
	return reply_call_text(c, text, 2); /* Python keeps the backslash */
}

static bool digits_byte(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	if (!hex_digit(l, byte))
		return false;
	if (--l->digits)
		return true;
	l->state = L_STRING;
	return give_code(c, l->code);
}

static bool fenced_byte(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	const char text = (char)byte;
	if (text == l->fence[l->matched]) {
		if (l->fence[++l->matched])
			return true;
		l->matched = 0;
		return end_string(c);
	}
	size_t matched = l->matched;
	l->matched = text == *l->fence;
	return (!matched || reply_call_text(c, l->fence, matched)) &&
	       (l->matched || reply_call_text(c, &text, 1));
}

static bool string_byte(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	const char text = (char)byte;
	if (!l->quote)
		return fenced_byte(c, byte);
	if (text == l->quote && ++l->quotes == (l->triple ? 3 : 1)) {
		l->quotes = 0;
		return end_string(c);
	}
	if (text == l->quote)
		return true;
	while (l->quotes && reply_call_text(c, &l->quote, 1))
		l->quotes--;
	if (byte == '\\') {
		l->state = L_ESCAPE;
		return true;
	}
	return reply_call_text(c, &text, 1);
}

/* Behind the marks that begin a string: one, two (it is empty) or three. */
static bool quotes_byte(struct call *c, unsigned char byte, bool *again)
{
	struct literal *l = &c->literal;
	bool mark = (char)byte == l->quote;
	*again = !mark;
	if (l->state == L_QUOTE) {
		l->state = mark ? L_QUOTES : L_STRING;
		return true;
	}
	if (!mark)
		return end_string(c);
	l->triple = true;
	l->state = L_STRING;
	return true;
}

/* ---- the machine ---- */

static enum taken begin_value(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	bool gemma = l->fence != NULL;
	if (l->state == L_VALUE && strchr(")]}", byte) && byte)
		return close_level(c, byte);
	if (!is_dict(l) && !begin_element(c))
		return TAKE_FAIL;
	if (byte && (strchr("[{", byte) || (byte == '(' && !gemma)))
		return open_level(c, byte) ? TAKE_MORE : TAKE_FAIL;
	if (byte == '"' || (byte == '\'' && !gemma) || (gemma && (char)byte == *l->fence))
		return begin_string(c, byte) ? TAKE_MORE : TAKE_FAIL;
	l->state = L_WORD;
	buf_clear(&c->word);
	const char text = (char)byte;
	return word_byte(byte, gemma) && reply_call_word(c, &text, 1, REPLY_WORD_BYTES) ? TAKE_MORE
											: TAKE_FAIL;
}

static enum taken begin_key(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	const char text = (char)byte;
	if (byte == ')' || byte == '}')
		return close_level(c, byte);
	if (!begin_element(c))
		return TAKE_FAIL;
	bool marked = byte == '"' || byte == '\'' || (l->fence && text == *l->fence);
	if (marked && !at_bit(l->tuple, l->depth)) {
		l->key = true; /* a separator follows this string */
		return begin_string(c, byte) ? TAKE_MORE : TAKE_FAIL;
	}
	if (!bare_keys(l) || !reply_bare(byte) || byte == ':')
		return TAKE_FAIL;
	l->state = L_BARE_KEY;
	buf_clear(&c->word);
	return reply_call_word(c, &text, 1, REPLY_NAME_BYTES) ? TAKE_MORE : TAKE_FAIL;
}

static enum taken after(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	if (byte != ',')
		return close_level(c, byte);
	l->state = is_dict(l) ? L_KEY : L_VALUE;
	return TAKE_MORE;
}

static bool in_string(const struct literal *l)
{
	return l->state >= L_FENCE && l->state <= L_DIGITS;
}

static enum taken in_string_byte(struct call *c, unsigned char byte, bool *again)
{
	struct literal *l = &c->literal;
	bool good;
	*again = false;
	if (l->state == L_FENCE) {
		good = (char)byte == l->fence[l->matched++];
		if (good && !l->fence[l->matched]) {
			l->matched = 0;
			l->state = L_STRING;
		}
	} else if (l->state == L_QUOTE || l->state == L_QUOTES) {
		good = quotes_byte(c, byte, again);
	} else if (l->state == L_ESCAPE) {
		good = escape_byte(c, byte);
	} else if (l->state == L_DIGITS) {
		good = digits_byte(c, byte);
	} else {
		good = string_byte(c, byte);
	}
	return good ? TAKE_MORE : TAKE_FAIL;
}

static enum taken outside(struct call *c, unsigned char byte)
{
	switch (c->literal.state) {
	case L_BEGIN:
		return open_level(c, byte) ? TAKE_MORE : TAKE_FAIL;
	case L_VALUE:
	case L_NEED:
		return begin_value(c, byte);
	case L_KEY:
		return begin_key(c, byte);
	case L_SEP:
		return separator(c, byte) ? TAKE_MORE : TAKE_FAIL;
	default:
		return after(c, byte);
	}
}

enum taken reply_literal_byte(struct call *c, unsigned char byte)
{
	struct literal *l = &c->literal;
	const char text = (char)byte;
	for (bool again = true; again;) {
		again = false;
		if (in_string(l)) {
			enum taken t = in_string_byte(c, byte, &again);
			if (t == TAKE_FAIL || !again)
				return t;
		} else if (l->state == L_WORD) {
			if (word_byte(byte, l->fence != NULL))
				return reply_call_word(c, &text, 1, REPLY_WORD_BYTES) ? TAKE_MORE
										      : TAKE_FAIL;
			again = true;
			if (!end_word(c))
				return TAKE_FAIL;
		} else if (l->state == L_BARE_KEY) {
			if (reply_bare(byte) && byte != ':')
				return reply_call_word(c, &text, 1, REPLY_NAME_BYTES) ? TAKE_MORE
										      : TAKE_FAIL;
			again = true;
			if (!end_bare_key(c))
				return TAKE_FAIL;
		} else if (reply_json_blank(byte) && l->state != L_BEGIN) {
			return TAKE_MORE;
		} else {
			return outside(c, byte);
		}
	}
	return TAKE_FAIL;
}
