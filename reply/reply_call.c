/* The interpreter of call programs (enum step_op). It decides byte by byte without backtracking;
 * when a program fails, the caller drops what was staged. */
#include "reply/reply_in.h"

#include <string.h>

void reply_call_begin(struct call *c, const struct call_step *program, uint8_t at,
		      struct parts *out, uint32_t first)
{
	struct buf word = c->word, late = c->late, id = c->id;
	const json_t *tools = c->tools;
	buf_clear(&word);
	buf_clear(&late);
	buf_clear(&id);
	*c = (struct call){ .program = program,
			    .at = at,
			    .out = out,
			    .first = first,
			    .tools = tools,
			    .word = word,
			    .late = late,
			    .id = id };
}

void reply_call_free(struct call *c)
{
	buf_free(&c->word);
	buf_free(&c->late);
	buf_free(&c->id);
}

/* ---- what a call gives ---- */

bool reply_call_give(struct call *c, const char *s, size_t len)
{
	if (!c->named) {
		buf_add(&c->late, s, len);
		c->out->failed |= c->late.failed;
		return c->late.len <= REPLY_WORD_BYTES;
	}
	reply_parts_add(c->out, REPLY_CALL_ARGUMENTS, c->first + c->count - 1, 0, s, len);
	c->begun = true;
	c->delivered = c->fed;
	return true;
}

bool reply_call_text(struct call *c, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char out[8];
		if (!reply_call_give(c, out, reply_json_escape((unsigned char)s[i], out)))
			return false;
	}
	return true;
}

enum taken reply_call_json(struct call *c, unsigned char byte)
{
	const char text = (char)byte;
	bool raw = byte < 0x20 && reply_json_scan_in_string(&c->scan);
	enum taken t = reply_json_scan_byte(&c->scan, byte);
	bool good = t != TAKE_FAIL &&
		    (raw ? reply_call_text(c, &text, 1) : reply_call_give(c, &text, 1));
	return good ? t : TAKE_FAIL;
}

bool reply_call_json_text(struct call *c, const char *s, size_t len)
{
	c->scan = (struct json_scan){ .lenient = true };
	for (size_t i = 0; i < len; i++)
		if (reply_call_json(c, (unsigned char)s[i]) == TAKE_FAIL)
			return false;
	return true;
}

bool reply_call_name(struct call *c, const char *name, size_t len)
{
	bool known;
	if (len == 0 || len > REPLY_NAME_BYTES || c->first + c->count >= REPLY_CALLS_MAX)
		return false;
	c->parameters = reply_tool_parameters(c->tools, name, len, &known);
	if (c->lone && c->tools && !known)
		return false;
	reply_parts_add(c->out, REPLY_CALL_NAME, c->first + c->count++, 0, name, len);
	c->named = true;
	return c->late.len == 0 || reply_call_give(c, c->late.bytes, c->late.len);
}

void reply_call_next(struct call *c)
{
	c->named = c->begun = c->ended = c->member = c->whole = c->open = false;
	buf_clear(&c->late);
	buf_clear(&c->id);
	c->scan = (struct json_scan){ .lenient = true };
}

bool reply_call_word(struct call *c, const char *s, size_t len, size_t most)
{
	buf_add(&c->word, s, len);
	c->out->failed |= c->word.failed;
	return c->word.len <= most;
}

/* ---- words ---- */

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

bool reply_bare(unsigned char c)
{
	return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || c >= 0x80 ||
	       (c && strchr("_-.:/$@+", c));
}

/* functions.NAME:INDEX; the prefix is not always there. */
static bool name_of_id(struct call *c)
{
	const char *s = c->word.bytes;
	size_t len = c->word.len, prefix = strlen("functions."), digits = 0;
	while (digits < len && is_digit((unsigned char)s[len - 1 - digits]))
		digits++;
	if (digits == 0 || digits == len || s[len - 1 - digits] != ':')
		return false;
	size_t whole = len;
	const char *id = s;
	len -= digits + 1;
	if (len >= prefix && memcmp(s, "functions.", prefix) == 0)
		s += prefix, len -= prefix;
	if (!reply_call_name(c, s, len))
		return false;
	reply_parts_id(c->out, id, whole);
	return true;
}

static bool end_word(struct call *c, enum step_op op)
{
	bool good = c->word.len > 0;
	if (op != STEP_LABEL)
		reply_call_next(c);
	if (good && op == STEP_NAME)
		good = reply_call_name(c, c->word.bytes, c->word.len);
	else if (good && op == STEP_ID)
		good = name_of_id(c);
	else if (good && c->named)
		reply_parts_id(c->out, c->word.bytes, c->word.len);
	buf_clear(&c->word);
	c->at++;
	return good;
}

/* ---- one of several literals ---- */

/* Go on with the texts of the step at hand and its OR. DONE: *which is whole. FAIL: none is left.
 */
static enum taken match(struct call *c, unsigned char byte, uint8_t *which)
{
	const struct call_step *s = &c->program[c->at];
	uint32_t alive = 0;
	for (uint8_t i = 0; i == 0 || s[i].op == STEP_OR; i++) {
		bool was = c->matched == 0 || c->alive >> i & 1;
		if (!was || s[i].text[c->matched] != (char)byte)
			continue;
		if (!s[i].text[c->matched + 1]) {
			*which = i;
			c->matched = 0;
			return TAKE_DONE;
		}
		alive |= UINT32_C(1) << i;
	}
	if (alive) {
		c->alive = alive;
		c->matched++;
	}
	return alive ? TAKE_MORE : TAKE_FAIL;
}

/* The bytes that match took so far. */
static const char *matched_text(const struct call *c)
{
	uint8_t i = 0;
	while (!(c->alive >> i & 1))
		i++;
	return c->program[c->at + i].text;
}

static bool put_text(struct call *c, const char *s, size_t len)
{
	enum step_op op = c->program[c->at].op;
	if (op == STEP_KEY)
		return reply_call_word(c, s, len, REPLY_WORD_BYTES);
	for (size_t i = 0; i < len; i++)
		if (!reply_member_byte(c, op, (unsigned char)s[i]))
			return false;
	return true;
}

/* Text up to a terminator, of which each byte that it begins with stands nowhere else in it. */
static enum taken until(struct call *c, unsigned char byte)
{
	const struct call_step *s = &c->program[c->at];
	const char text = (char)byte;
	uint8_t which;
	size_t matched = c->matched;
	enum taken t = match(c, byte, &which);
	if (t == TAKE_FAIL && matched) {
		c->matched = 0;
		if (!put_text(c, matched_text(c), matched))
			return TAKE_FAIL;
		t = match(c, byte, &which);
	}
	if (t == TAKE_FAIL)
		return put_text(c, &text, 1) ? TAKE_MORE : TAKE_FAIL;
	if (t == TAKE_MORE)
		return t;
	c->at = s->op == STEP_KEY ? (uint8_t)(c->at + 1) : s[which].to;
	bool good = s->op == STEP_KEY ? reply_member_key(c) : reply_member_end(c, s->op);
	return good ? TAKE_DONE : TAKE_FAIL;
}

/* ---- the machine ---- */

static bool no_arguments(struct call *c)
{
	c->ended = c->whole = true;
	return reply_call_give(c, "{}", 2);
}

/* Steps that need no further byte. */
static enum taken settle(struct call *c)
{
	for (;;) {
		const struct call_step *s = &c->program[c->at];
		if (s->op == STEP_DONE)
			return TAKE_DONE;
		if (s->op == STEP_CLOSE) {
			if (!reply_members_close(c))
				return TAKE_FAIL;
			c->at++;
		} else if (s->op == STEP_OPEN) {
			c->open = true;
			c->at++;
		} else if (s->op == STEP_GOTO) {
			c->at = s->to;
		} else {
			return TAKE_MORE;
		}
	}
}

static enum taken arguments_byte(struct call *c, unsigned char byte)
{
	if (!c->begun) {
		c->scan = (struct json_scan){ .lenient = true };
		if (byte != '{')
			return TAKE_FAIL;
	}
	return reply_call_json(c, byte);
}

static enum taken literal_byte(struct call *c, const struct call_step *s, unsigned char byte)
{
	if (!c->begun) {
		reply_literal_begin(&c->literal, s->text);
		if (byte != (s->op == STEP_KWARGS ? '(' : '{'))
			return TAKE_FAIL;
	}
	return reply_literal_byte(c, byte);
}

/* A step that takes this byte. DONE: the step is over. */
static enum taken take(struct call *c, const struct call_step *s, unsigned char byte)
{
	const char text = (char)byte;
	enum taken t;
	uint8_t which;
	switch (s->op) {
	case STEP_LITERAL:
	case STEP_ONE:
		t = match(c, byte, &which);
		if (t == TAKE_DONE)
			c->at = s->op == STEP_ONE ? s[which].to : (uint8_t)(c->at + 1);
		return t;
	case STEP_OBJECT:
	case STEP_KEYED:
		t = reply_object_byte(c, byte);
		break;
	case STEP_ARGUMENTS:
		t = arguments_byte(c, byte);
		break;
	case STEP_KWARGS:
	case STEP_BRACES:
		t = literal_byte(c, s, byte);
		break;
	case STEP_KEY:
	case STEP_VALUE:
	case STEP_LINES:
	case STEP_STRING:
		return until(c, byte);
	case STEP_NAME:
	case STEP_LABEL:
	case STEP_ID:
		return reply_call_word(c, &text, 1, REPLY_NAME_BYTES + 32) ? TAKE_MORE : TAKE_FAIL;
	default:
		return TAKE_FAIL;
	}
	if (t == TAKE_DONE) {
		c->ended = c->whole = true;
		c->at++;
	}
	return t;
}

/* A step that this byte passes without being taken. */
static enum taken pass(struct call *c, const struct call_step *s, unsigned char byte)
{
	bool word = s->op == STEP_NAME || s->op == STEP_LABEL || s->op == STEP_ID;
	if (s->op == STEP_BLANK || s->op == STEP_QUOTE) {
		c->at++;
	} else if (s->op == STEP_ROUTE || s->op == STEP_EMPTY) {
		bool here = (char)byte == *s->text;
		c->at = here ? s->to : (uint8_t)(c->at + 1);
		return here && s->op == STEP_EMPTY && !no_arguments(c) ? TAKE_FAIL : TAKE_DONE;
	} else if (s->op == STEP_GOTO || s->op == STEP_CLOSE || s->op == STEP_OPEN) {
		return settle(c) == TAKE_FAIL ? TAKE_FAIL : TAKE_DONE;
	} else if (word && !reply_bare(byte)) {
		return end_word(c, s->op) ? TAKE_DONE : TAKE_FAIL;
	} else {
		return TAKE_MORE;
	}
	return TAKE_DONE;
}

enum taken reply_call_byte(struct call *c, unsigned char byte)
{
	c->fed++;
	for (;;) {
		const struct call_step *s = &c->program[c->at];
		if (s->op == STEP_BLANK && reply_json_blank(byte))
			return TAKE_MORE;
		if (s->op == STEP_QUOTE && (byte == '"' || byte == '\'')) {
			c->at++;
			return TAKE_MORE;
		}
		enum taken t = pass(c, s, byte);
		if (t == TAKE_FAIL)
			return t;
		if (t == TAKE_MORE) {
			t = take(c, s, byte);
			return t == TAKE_DONE ? settle(c) : t;
		}
	}
}

bool reply_call_end(struct call *c)
{
	const struct call_step *s = &c->program[c->at];
	if (s->op == STEP_VALUE || s->op == STEP_LINES || s->op == STEP_STRING) {
		bool text = c->matched == 1; /* more of a terminator is no text */
		return (!text || put_text(c, matched_text(c), 1)) && reply_member_end(c, s->op) &&
		       reply_members_close(c);
	}
	if (c->whole || (s->op == STEP_OBJECT && c->named && c->ended && !c->lone))
		return true;
	if (c->open && s->op != STEP_KEY)
		return reply_members_close(c);
	for (;; s++) {
		if (s->op == STEP_EMPTY)
			return c->named && no_arguments(c);
		if (s->op != STEP_BLANK && s->op != STEP_ROUTE)
			return s->op == STEP_END;
	}
}
