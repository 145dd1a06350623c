/* One answer, read as cheaply as its times allow: a thousand streams give tens of thousands of
 * events a second, so an event is looked at for a member that holds text, and parsed only where it
 * holds a count or an error. */
#include "base/limits.h"
#include "lab/load.h"

#include <string.h>

#define BODY_BYTES MIB(16) /* of a plain answer */

/* Behind `"name":` of the first such member; NULL: none. In a string of JSON the quotes would be
 * escaped, so that this is a member's name. */
static const char *find_member(const char *s, size_t len, const char *name)
{
	const char *at = memmem(s, len, name, strlen(name));
	const char *end = s + len;
	if (!at)
		return NULL;
	at += strlen(name);
	while (at < end && *at == ' ')
		at++;
	return at < end ? at : NULL;
}

static bool has_text(const struct load_shape *shape, const char *s, size_t len)
{
	for (const char *const *name = shape->text; *name; name++) {
		const char *v = find_member(s, len, *name);
		if (v && s + len - v > 1 && *v == '"' && v[1] != '"')
			return true;
	}
	return false;
}

static bool is_last(const struct load_shape *shape, const char *s, size_t len)
{
	for (const char *const *end = shape->end; *end; end++)
		if (memmem(s, len, *end, strlen(*end)))
			return true;
	return false;
}

static void fault(struct load_shot *s, enum load_fault fault, const char *why)
{
	if (s->fault)
		return;
	s->fault = fault;
	snprintf(s->why, sizeof s->why, "%.159s", why ? why : "");
}

static uint64_t count_at(const json_t *usage, const char *key, const char *other, uint64_t before)
{
	json_int_t n = json_integer_value(json_object_get(usage, key));
	if (n <= 0)
		n = json_integer_value(json_object_get(usage, other));
	return n > 0 ? (uint64_t)n : before;
}

/* At the top, or in what an event is about; the last of them counts. */
static void take_usage(struct load_shot *s, const json_t *document)
{
	static const char *const within[] = { "response", "message" };
	const json_t *usage = json_object_get(document, "usage");
	for (size_t i = 0; i < sizeof within / sizeof *within && !usage; i++)
		usage = json_object_get(json_object_get(document, within[i]), "usage");
	s->prompt_tokens = count_at(usage, "prompt_tokens", "input_tokens", s->prompt_tokens);
	s->tokens = count_at(usage, "completion_tokens", "output_tokens", s->tokens);
}

/* {"error": {"message"}} or {"error": "..."}, also in a response; NULL: none. */
static const char *error_of(const json_t *document)
{
	const json_t *error = json_object_get(document, "error");
	if (!error || json_is_null(error))
		error = json_object_get(json_object_get(document, "response"), "error");
	if (json_is_null(error))
		error = NULL;
	const json_t *message = json_object_get(error, "message");
	if (json_is_string(error))
		return json_string_value(error);
	return json_is_string(message) ? json_string_value(message) : error ? "" : NULL;
}

static void read_document(struct load_shot *s, const char *bytes, size_t len)
{
	json_t *document = NULL;
	struct err why = { 0 };
	if (json_read_as(&document, bytes, len, BODY_BYTES, LIMIT_JSON_DEPTH, JSON_WIDE, &why) <
		    0 ||
	    !json_is_object(document)) {
		fault(s, LOAD_MALFORMED, why.text[0] ? why.text : "not an object");
	} else {
		const char *error = error_of(document);
		if (error)
			fault(s, s->plain ? LOAD_MALFORMED : LOAD_ERROR_EVENT, error);
		take_usage(s, document);
	}
	json_decref(document);
}

struct taking {
	struct load_shot *shot;
	int64_t now;
	struct quantiles *gap;
};

/* Whether it is worth parsing: a count or an error that is not null. */
static bool tells_more(const struct load_shape *shape, const char *bytes, size_t len)
{
	const char *usage = find_member(bytes, len, "\"usage\":");
	const char *error = find_member(bytes, len, "\"error\":");
	return (usage && *usage == '{') || (error && *error != 'n') ||
	       (shape->failure && memmem(bytes, len, shape->failure, strlen(shape->failure)));
}

static int take_event(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct taking *t = ctx;
	struct load_shot *s = t->shot;
	(void)e;
	s->done = s->done || is_last(s->shape, bytes, len);
	if (len == 6 && memcmp(bytes, "[DONE]", 6) == 0)
		return 0;
	if (!len || *bytes != '{' || bytes[len - 1] != '}')
		fault(s, LOAD_MALFORMED, "an event that is no JSON object");
	if (has_text(s->shape, bytes, len)) {
		if (s->first_us)
			quantiles_add(t->gap, (uint64_t)(t->now - s->last_us));
		else
			s->first_us = t->now;
		s->last_us = t->now;
		s->pieces++;
	}
	if (tells_more(s->shape, bytes, len))
		read_document(s, bytes, len);
	return 0;
}

void load_answer_take(struct load_shot *s, const void *bytes, size_t len, int64_t now,
		      struct quantiles *gap)
{
	struct taking t = { s, now, gap };
	struct err why = { 0 };
	s->moved_us = now;
	if (s->status == 200 && !s->plain) {
		if (events_push(&s->events, bytes, len, take_event, &t, &why) < 0)
			fault(s, LOAD_MALFORMED, why.text);
		return;
	}
	if (s->body.len + len > BODY_BYTES)
		fault(s, LOAD_MALFORMED, "an answer of more than 16 MiB");
	else
		buf_add(&s->body, bytes, len);
}

static void read_refusal(struct load_shot *s)
{
	json_t *document = NULL;
	struct err why;
	const char *error = NULL;
	if (s->body.len && json_read(&document, s->body.bytes, s->body.len, BODY_BYTES,
				     LIMIT_JSON_DEPTH, &why) == 0)
		error = error_of(document);
	fault(s, LOAD_STATUS, error ? error : "");
	json_decref(document);
}

void load_answer_end(struct load_shot *s)
{
	if (s->status != 200)
		read_refusal(s);
	else if (s->plain)
		read_document(s, s->body.bytes ? s->body.bytes : "", s->body.len);
	else if (!s->done)
		fault(s, LOAD_INCOMPLETE, "the stream has no end: its last event did not come");
}
