/* The interpreter of call programs (enum step_op). It decides byte by byte without backtracking;
 * when a program fails, the caller drops what was staged. */
#include "reply/reply_in.h"

#include <string.h>

/* Members of {"name": ..., "arguments": ...}. */
enum field {
	FIELD_NONE,
	FIELD_KEY,
	FIELD_NAME,      /* the value of this one must begin, or is being read */
	FIELD_ARGUMENTS, /* an object, or a string that holds one */
	FIELD_TEXT,      /* such a string is being read */
	FIELD_OTHER,     /* known and not needed */
};

void reply_call_begin(struct call *c, const struct call_step *program, struct parts *out,
		      uint32_t first)
{
	struct buf word = c->word, late = c->late;
	buf_clear(&word);
	buf_clear(&late);
	*c = (struct call){
		.program = program, .out = out, .first = first, .word = word, .late = late
	};
}

void reply_call_free(struct call *c)
{
	buf_free(&c->word);
	buf_free(&c->late);
}

/* ---- what a call gives ---- */

static bool give_arguments(struct call *c, const char *s, size_t len)
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

bool reply_call_name(struct call *c, const char *name, size_t len)
{
	if (len == 0 || len > REPLY_NAME_BYTES || c->first + c->count >= REPLY_CALLS_MAX)
		return false;
	reply_parts_add(c->out, REPLY_CALL_NAME, c->first + c->count++, 0, name, len);
	c->named = true;
	return c->late.len == 0 || give_arguments(c, c->late.bytes, c->late.len);
}

static void next_call(struct call *c)
{
	c->named = c->begun = c->ended = c->member = false;
	buf_clear(&c->late);
	c->scan = (struct json_scan){ 0 };
}

static bool add_word(struct call *c, const char *s, size_t len, size_t most)
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
		next_call(c);
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

/* ---- {"name": ..., "arguments": ...} ---- */

/* The JSON string in word as text; NULL if it is none. */
static json_t *word_text(const struct call *c)
{
	json_t *j = json_loadb(c->word.bytes, c->word.len, JSON_DECODE_ANY, NULL);
	if (!json_is_string(j)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static bool is_object(const char *s, size_t len)
{
	struct json_scan scan = { 0 };
	enum taken t = TAKE_MORE;
	size_t i = 0;
	for (; i < len && t == TAKE_MORE; i++)
		t = reply_json_scan_byte(&scan, (unsigned char)s[i]);
	while (i < len && reply_json_blank((unsigned char)s[i]))
		i++;
	return t == TAKE_DONE && i == len && s[strspn(s, " \t\r\n")] == '{';
}

static bool end_key(struct call *c)
{
	static const struct {
		const char *key;
		enum field field;
	} known[] = {
		{ "\"name\"", FIELD_NAME },
		{ "\"function\"", FIELD_NAME },
		{ "\"arguments\"", FIELD_ARGUMENTS },
		{ "\"parameters\"", FIELD_ARGUMENTS },
		{ "\"id\"", FIELD_OTHER },
		{ "\"type\"", FIELD_OTHER },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(c->word.bytes, known[i].key) == 0) {
			c->field = (uint8_t)known[i].field;
			buf_clear(&c->word);
			return !(c->field == FIELD_NAME && c->named) &&
			       !(c->field == FIELD_ARGUMENTS && c->ended);
		}
	return false;
}

/* A value has ended with this byte. */
static bool end_value(struct call *c)
{
	enum field field = (enum field)c->field;
	json_t *text = field == FIELD_NAME || field == FIELD_TEXT ? word_text(c) : NULL;
	const char *s = json_string_value(text);
	size_t len = json_string_length(text);
	bool good = true;
	if (field == FIELD_NAME)
		good = s && reply_call_name(c, s, len);
	else if (field == FIELD_TEXT)
		good = s && is_object(s, len) && give_arguments(c, s, len);
	c->ended |= field == FIELD_ARGUMENTS || field == FIELD_TEXT;
	c->field = FIELD_NONE;
	c->reading = false;
	buf_clear(&c->word);
	json_decref(text);
	return good;
}

static bool begin_value(struct call *c, unsigned char byte)
{
	if (c->field == FIELD_ARGUMENTS && byte == '"')
		c->field = FIELD_TEXT;
	return byte == (c->field == FIELD_ARGUMENTS ? '{' : '"') || c->field == FIELD_OTHER;
}

/* A byte of a value that the scanner has taken. */
static bool value_byte(struct call *c, unsigned char byte)
{
	const char s = (char)byte;
	if (c->field == FIELD_ARGUMENTS && !give_arguments(c, &s, 1))
		return false;
	if ((c->field == FIELD_NAME || c->field == FIELD_TEXT) &&
	    !add_word(c, &s, 1, REPLY_WORD_BYTES))
		return false;
	return c->scan.depth != 1 || !reply_json_scan_after_value(&c->scan) || end_value(c);
}

static bool begin_object(struct call *c, unsigned char byte)
{
	next_call(c);
	buf_clear(&c->word);
	c->field = FIELD_NONE;
	c->reading = false;
	return byte == '{';
}

static enum taken object_byte(struct call *c, unsigned char byte)
{
	struct json_scan *s = &c->scan;
	const char text = (char)byte;
	if (s->depth == 0 && !begin_object(c, byte))
		return TAKE_FAIL;
	bool key = s->depth == 1 && reply_json_scan_wants_key(s) && byte == '"';
	bool value = s->depth == 1 && reply_json_scan_wants_value(s) && !reply_json_blank(byte);
	enum taken t = reply_json_scan_byte(s, byte);
	if (t == TAKE_FAIL)
		return t;
	if (t == TAKE_DONE)
		return c->named && c->ended ? t : TAKE_FAIL;
	if (key) {
		c->field = FIELD_KEY;
		c->reading = false;
	}
	if (c->field == FIELD_KEY) {
		if (!add_word(c, &text, 1, REPLY_NAME_BYTES))
			return TAKE_FAIL;
		return reply_json_scan_in_string(s) || end_key(c) ? TAKE_MORE : TAKE_FAIL;
	}
	if (value && !begin_value(c, byte))
		return TAKE_FAIL;
	c->reading |= value;
	return c->reading && !value_byte(c, byte) ? TAKE_FAIL : TAKE_MORE;
}

/* ---- members written as <arg_key>, <arg_value> ---- */

static bool give_text(struct call *c, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)s[i];
		char out[8] = { s[i] };
		const char *at = b == '\n' ? "\\n" : b == '\t' ? "\\t" : b == '\r' ? "\\r" : out;
		if (b == '"' || b == '\\') {
			out[0] = '\\', out[1] = s[i];
		} else if (b < 0x20 && at == out) {
			memcpy(out, "\\u00", 4);
			out[4] = (char)('0' + (b >> 4)), out[5] = "0123456789abcdef"[b & 15];
		}
		if (!give_arguments(c, at, strnlen(at, sizeof out)))
			return false;
	}
	return true;
}

/* Bytes of a value: kept while they may still be JSON, then given as a string. */
static bool put_value(struct call *c, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (c->bare && !give_text(c, s + i, 1))
			return false;
		if (c->bare)
			continue;
		c->bare = reply_json_scan_byte(&c->scan, (unsigned char)s[i]) == TAKE_FAIL;
		if (!add_word(c, s + i, 1, REPLY_WORD_BYTES))
			return false;
		if (c->bare &&
		    !(give_arguments(c, "\"", 1) && give_text(c, c->word.bytes, c->word.len)))
			return false;
	}
	return true;
}

static bool put_key(struct call *c, const char *s, size_t len)
{
	return add_word(c, s, len, REPLY_WORD_BYTES);
}

static bool end_member_key(struct call *c)
{
	bool good = give_arguments(c, c->member ? ", \"" : "{\"", c->member ? 3 : 2) &&
		    give_text(c, c->word.bytes, c->word.len) && give_arguments(c, "\": ", 3);
	c->member = true;
	c->bare = false;
	c->scan = (struct json_scan){ 0 };
	buf_clear(&c->word);
	return good;
}

static bool end_member_value(struct call *c)
{
	const char *s = c->word.bytes;
	size_t len = c->word.len;
	bool good = true;
	if (!c->bare && reply_json_scan_whole(&c->scan)) {
		for (; reply_json_blank((unsigned char)*s); s++)
			len--;
		while (reply_json_blank((unsigned char)s[len - 1]))
			len--;
		good = give_arguments(c, s, len);
	} else {
		good = (c->bare || (give_arguments(c, "\"", 1) && give_text(c, s, len))) &&
		       give_arguments(c, "\"", 1);
	}
	buf_clear(&c->word);
	return good;
}

/* Text up to the terminator, in which '<' is only the first byte. */
static enum taken until(struct call *c, const char *end, unsigned char byte)
{
	bool key = c->program[c->at].op == STEP_KEY;
	const char text = (char)byte;
	bool (*put)(struct call *, const char *, size_t) = key ? put_key : put_value;
	size_t matched = c->matched;
	if (text == end[matched]) {
		c->matched++;
		if (end[c->matched])
			return TAKE_MORE;
		c->matched = 0;
		c->at++;
		return (key ? end_member_key(c) : end_member_value(c)) ? TAKE_DONE : TAKE_FAIL;
	}
	c->matched = text == *end;
	if (matched && !put(c, end, matched))
		return TAKE_FAIL;
	return c->matched || put(c, &text, 1) ? TAKE_MORE : TAKE_FAIL;
}

/* ---- the machine ---- */

static bool close_members(struct call *c)
{
	c->ended = true;
	return give_arguments(c, c->member ? "}" : "{}", c->member ? 1 : 2);
}

/* Steps that need no further byte. */
static enum taken settle(struct call *c)
{
	for (;;) {
		const struct call_step *s = &c->program[c->at];
		if (s->op == STEP_DONE)
			return TAKE_DONE;
		if (s->op == STEP_CLOSE) {
			if (!close_members(c))
				return TAKE_FAIL;
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
	const char text = (char)byte;
	if (!c->begun) {
		c->scan = (struct json_scan){ 0 };
		if (byte != '{')
			return TAKE_FAIL;
	}
	enum taken t = reply_json_scan_byte(&c->scan, byte);
	if (t == TAKE_FAIL || !give_arguments(c, &text, 1))
		return TAKE_FAIL;
	c->ended = t == TAKE_DONE;
	if (c->ended)
		c->at++;
	return t;
}

/* A step that takes this byte. DONE: the step is over. */
static enum taken take(struct call *c, const struct call_step *s, unsigned char byte)
{
	const char text = (char)byte;
	enum taken t;
	switch (s->op) {
	case STEP_LITERAL:
		if (text != s->text[c->matched++])
			return TAKE_FAIL;
		if (s->text[c->matched])
			return TAKE_MORE;
		c->matched = 0;
		c->at++;
		return TAKE_DONE;
	case STEP_OBJECT:
		t = object_byte(c, byte);
		if (t == TAKE_DONE)
			c->at++;
		return t;
	case STEP_ARGUMENTS:
		return arguments_byte(c, byte);
	case STEP_KEY:
	case STEP_VALUE:
		return until(c, s->text, byte);
	case STEP_NAME:
	case STEP_LABEL:
	case STEP_ID:
		return add_word(c, &text, 1, REPLY_NAME_BYTES + 32) ? TAKE_MORE : TAKE_FAIL;
	default:
		return TAKE_FAIL;
	}
}

enum taken reply_call_byte(struct call *c, unsigned char byte)
{
	c->fed++;
	for (;;) {
		const struct call_step *s = &c->program[c->at];
		bool word = s->op == STEP_NAME || s->op == STEP_LABEL || s->op == STEP_ID;
		if (s->op == STEP_BLANK && reply_json_blank(byte))
			return TAKE_MORE;
		if (s->op == STEP_BLANK) {
			c->at++;
		} else if (s->op == STEP_ROUTE) {
			c->at = (char)byte == *s->text ? s->to : (uint8_t)(c->at + 1);
		} else if (s->op == STEP_GOTO) {
			c->at = s->to;
		} else if (word && !reply_bare(byte)) {
			if (!end_word(c, s->op))
				return TAKE_FAIL;
		} else {
			enum taken t = take(c, s, byte);
			return t == TAKE_DONE ? settle(c) : t;
		}
	}
}

bool reply_call_may_end(struct call *c)
{
	for (uint8_t at = c->at;;) {
		const struct call_step *s = &c->program[at];
		if (s->op == STEP_GOTO)
			at = s->to;
		else if (s->op == STEP_BLANK || s->op == STEP_ROUTE)
			at++;
		else
			return s->op == STEP_END;
	}
}
