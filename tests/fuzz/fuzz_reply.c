/* The input is a reply; its first bytes choose syntax, start, tools, how it ends and in which pieces it
 * comes. Whole and in pieces it must give the same parts, content and reasoning be the text at their place,
 * arguments be JSON objects when nothing was given out early, and nothing may be lost. */
#include "reply/reply.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* All events as one text: part and call as bytes, then the text of equal ones together. */
struct heard {
	struct buf all, arguments;
	int part;
	uint32_t call;
	size_t bytes;
};

/* Numbers beyond 64 bits, lone surrogates and ill-formed UTF-8 are JSON, and not for this reader. */
static bool reader_knows(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if ((unsigned char)b->bytes[i] >= 0x80 || (b->bytes[i] >= '0' && b->bytes[i] <= '9') ||
		    memcmp(b->bytes + i, "\\u", 2) == 0)
			return false;
	return true;
}

static void end_arguments(struct heard *h, bool whole)
{
	const struct buf *b = &h->arguments;
	if (whole && h->part == REPLY_CALL_ARGUMENTS) {
		json_t *j = json_loadb(b->bytes, b->len, 0, NULL);
		check(json_is_object(j) || (!j && !reader_knows(b)));
		json_decref(j);
	}
	buf_clear(&h->arguments);
}

static void hear(struct heard *h, const struct reply_event *event, size_t count, const char *text,
		 bool whole)
{
	for (size_t i = 0; i < count; i++) {
		const struct reply_event *v = &event[i];
		check(v->len && v->call < 128);
		if (v->part == REPLY_CONTENT || v->part == REPLY_REASONING)
			check(memcmp(text + v->begin, v->text, v->len) == 0);
		if ((int)v->part != h->part || v->call != h->call) {
			end_arguments(h, whole);
			buf_add_byte(&h->all, (unsigned char)v->part);
			buf_add_byte(&h->all, (unsigned char)v->call);
		}
		h->part = (int)v->part;
		h->call = v->call;
		h->bytes += v->len;
		buf_add(&h->all, v->text, v->len);
		if (v->part == REPLY_CALL_ARGUMENTS)
			buf_add(&h->arguments, v->text, v->len);
	}
}

enum { REASONS = 1, EARLY = 2, CUT = 4, TOOLS = 8, UNBEGUN = 16, FRAMED = 32 };

static json_t *tools(void)
{
	static const char text[] =
		"[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"},"
		"\"b\":{\"type\":\"integer\"},\"c\":{\"type\":[\"string\",\"null\"]},\"d\":{\"type\":\"array\"},"
		"\"e\":{\"$ref\":\"#/properties/e\"},\"f\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"object\"}]}}}}}]";
	static json_t *list;
	if (!list)
		list = json_loads(text, 0, NULL);
	check(list != NULL);
	return list;
}

static struct heard read_text(enum reply_syntax s, unsigned how, const char *text, size_t len, size_t piece)
{
	struct heard h = { .part = -1 };
	struct reply *r;
	const struct reply_event *event;
	struct err e;
	size_t count;
	bool whole = !(how & (EARLY | CUT));
	struct reply_options o = { .syntax = s,
				   .reasoning = how & REASONS,
				   .tools = how & TOOLS ? tools() : NULL,
				   .framed = how & FRAMED,
				   .unbegun = how & UNBEGUN ? 40 : 0 };
	check(reply_open(&r, &o, &e) == 0);
	if (how & EARLY)
		reply_hold(r, how >> 6);
	for (size_t at = 0; at < len; at += piece) {
		check(reply_push(r, text + at, piece < len - at ? piece : len - at, &event, &count, &e) == 0);
		hear(&h, event, count, text, whole && len < 4096);
	}
	check(reply_end(r, how & CUT, &event, &count, &e) == 0);
	hear(&h, event, count, text, whole && len < 4096);
	end_arguments(&h, whole && len < 4096);
	reply_close(r);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 3)
		return 0;
	enum reply_syntax s = (enum reply_syntax)(data[0] % REPLY_SYNTAXES);
	const char *text = (const char *)data + 3;
	len -= 3;
	struct heard whole = read_text(s, data[1], text, len, len ? len : 1);
	struct heard cut = read_text(s, data[1], text, len, 1u + data[2]);
	struct heard bytes = read_text(s, data[1], text, len, 1);
	check(whole.all.len == cut.all.len && whole.all.len == bytes.all.len);
	if (whole.all.len) {
		check(memcmp(whole.all.bytes, cut.all.bytes, whole.all.len) == 0);
		check(memcmp(whole.all.bytes, bytes.all.bytes, whole.all.len) == 0);
	}
	if (s == REPLY_SYNTAX_PLAIN)
		check(whole.bytes == len);
	buf_free(&whole.all), buf_free(&cut.all), buf_free(&bytes.all);
	buf_free(&whole.arguments), buf_free(&cut.arguments), buf_free(&bytes.arguments);
	return 0;
}
