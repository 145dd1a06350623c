/* A call as one JSON object: {"name": ..., "arguments": ...}, in any order, with further members;
 * the arguments an object, a string that holds one, null or not there. Or {NAME: ARGUMENTS}. */
#include "reply/reply_in.h"

#include <string.h>

enum field {
	FIELD_NONE,
	FIELD_KEY,
	FIELD_NAME,      /* the value of this one must begin, or is being read */
	FIELD_ID,        /* kept if it is a string */
	FIELD_ARGUMENTS, /* an object, null, or a string that holds one */
	FIELD_TEXT,      /* such a string is being read */
	FIELD_OTHER,     /* not needed */
};

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
	struct json_scan scan = { .lenient = true };
	enum taken t = TAKE_MORE;
	size_t i = 0;
	for (; i < len && t == TAKE_MORE; i++)
		t = reply_json_scan_byte(&scan, (unsigned char)s[i]);
	while (i < len && reply_json_blank((unsigned char)s[i]))
		i++;
	return t == TAKE_DONE && i == len && s[strspn(s, " \t\r\n")] == '{';
}

/* Arguments that are the text of an object, or no text. */
static bool give_held(struct call *c, const char *s, size_t len)
{
	struct json_scan outer = c->scan;
	bool good = len == 0 ? reply_call_give(c, "{}", 2)
			     : is_object(s, len) && reply_call_json_text(c, s, len);
	c->scan = outer;
	return good;
}

static enum field field_of(const struct call *c)
{
	static const struct {
		const char *key;
		enum field field;
	} known[] = {
		{ "\"name\"", FIELD_NAME },
		{ "\"function\"", FIELD_NAME },
		{ "\"tool_name\"", FIELD_NAME },
		{ "\"arguments\"", FIELD_ARGUMENTS },
		{ "\"parameters\"", FIELD_ARGUMENTS },
		{ "\"id\"", FIELD_ID },
		{ "\"tool_call_id\"", FIELD_ID },
		{ "\"type\"", FIELD_OTHER },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(c->word.bytes, known[i].key) == 0)
			return known[i].field;
	return c->lone ? FIELD_NONE : FIELD_OTHER;
}

static bool end_key(struct call *c)
{
	bool good = true;
	if (c->program[c->at].op == STEP_KEYED) {
		json_t *name = c->named ? NULL : word_text(c);
		good = name &&
		       reply_call_name(c, json_string_value(name), json_string_length(name));
		json_decref(name);
		c->field = FIELD_ARGUMENTS;
	} else {
		c->field = (uint8_t)field_of(c);
	}
	buf_clear(&c->word);
	return good && c->field != FIELD_NONE && !(c->field == FIELD_NAME && c->named) &&
	       !(c->field == FIELD_ARGUMENTS && c->ended);
}

/* A value has ended with this byte. */
static bool end_value(struct call *c)
{
	enum field field = (enum field)c->field;
	bool kept = field == FIELD_NAME || field == FIELD_TEXT || field == FIELD_ID;
	json_t *text = kept ? word_text(c) : NULL;
	const char *s = json_string_value(text);
	size_t len = json_string_length(text);
	bool good = true;
	if (field == FIELD_NAME)
		good = s && reply_call_name(c, s, len);
	else if (field == FIELD_TEXT)
		good = s && give_held(c, s, len);
	else if (field == FIELD_ID && s)
		buf_add(&c->id, s, len);
	if (good && c->named && c->id.len) {
		reply_parts_id(c->out, c->id.bytes, c->id.len);
		buf_clear(&c->id);
	}
	c->ended |= field == FIELD_ARGUMENTS || field == FIELD_TEXT;
	c->field = FIELD_NONE;
	c->reading = false;
	buf_clear(&c->word);
	c->out->failed |= c->id.failed;
	json_decref(text);
	return good;
}

static bool begin_value(struct call *c, unsigned char byte)
{
	if (c->field == FIELD_ARGUMENTS && byte == '"')
		c->field = FIELD_TEXT;
	if (c->field == FIELD_ARGUMENTS && byte == 'n') /* null: as if it were not there */
		c->field = FIELD_OTHER;
	if (c->field == FIELD_ID && byte != '"')
		c->field = FIELD_OTHER;
	if (c->field == FIELD_NAME && byte == '{' && c->base == 1) { /* "function": {...} */
		c->base = 2;
		c->field = FIELD_NONE;
		return true;
	}
	c->reading = true;
	return c->field == FIELD_OTHER || byte == (c->field == FIELD_ARGUMENTS ? '{' : '"');
}

/* A byte of a value that the scanner has taken. */
static bool value_byte(struct call *c, unsigned char byte, bool in_string)
{
	char at[8] = { (char)byte };
	size_t len = in_string && byte < 0x20 ? reply_json_escape(byte, at) : 1;
	if (c->field == FIELD_ARGUMENTS && !reply_call_give(c, at, len))
		return false;
	if ((c->field == FIELD_NAME || c->field == FIELD_TEXT || c->field == FIELD_ID) &&
	    !reply_call_word(c, at, len, REPLY_WORD_BYTES))
		return false;
	return c->scan.depth != c->base || !reply_json_scan_after_value(&c->scan) || end_value(c);
}

static bool begin_object(struct call *c, unsigned char byte)
{
	reply_call_next(c);
	buf_clear(&c->word);
	c->field = FIELD_NONE;
	c->reading = false;
	c->base = 1;
	return byte == '{';
}

static bool end_object(struct call *c)
{
	return c->named && (c->ended || (!c->lone && reply_call_give(c, "{}", 2)));
}

enum taken reply_object_byte(struct call *c, unsigned char byte)
{
	struct json_scan *s = &c->scan;
	const char text = (char)byte;
	if (s->depth == 0 && !begin_object(c, byte))
		return TAKE_FAIL;
	bool key = s->depth == c->base && reply_json_scan_wants_key(s) && byte == '"';
	bool value =
		s->depth == c->base && reply_json_scan_wants_value(s) && !reply_json_blank(byte);
	bool in_string = reply_json_scan_in_string(s);
	if (value && !begin_value(c, byte))
		return TAKE_FAIL;
	enum taken t = reply_json_scan_byte(s, byte);
	if (t == TAKE_FAIL)
		return t;
	if (t == TAKE_DONE)
		return end_object(c) ? t : TAKE_FAIL;
	if (c->base == 2 && s->depth == 1)
		c->base = 1;
	if (key) {
		c->field = FIELD_KEY;
		c->reading = false;
		buf_clear(&c->word);
	}
	if (c->field == FIELD_KEY) {
		if (in_string && byte < 0x20)
			return TAKE_FAIL;
		if (!reply_call_word(c, &text, 1, REPLY_NAME_BYTES))
			return TAKE_FAIL;
		return reply_json_scan_in_string(s) || end_key(c) ? TAKE_MORE : TAKE_FAIL;
	}
	return c->reading && !value_byte(c, byte, in_string) ? TAKE_FAIL : TAKE_MORE;
}
