/* What an assistant's message of the history says of its reasoning, as clients send it back:
 * members of three names, content parts, or the list of details of a router. It becomes one
 * text, `reasoning_content`, so that there is one text for the rules to read and one for the
 * template to see. */
#include "api/request_read.h"

#include <string.h>

static int not_text(size_t index, const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "\"messages\", item %zu: \"%s\" is not an assistant's text",
		       index, what);
}

/* A string, or a list of {"text": string}: what Mistral's parts hold. */
static bool add_text(const json_t *v, struct buf *out)
{
	const json_t *one;
	size_t i;
	bool good = json_is_string(v) || json_is_array(v);
	if (json_is_string(v))
		buf_add(out, json_string_value(v), json_string_length(v));
	json_array_foreach((json_t *)v, i, one) {
		const json_t *text = json_object_get(one, "text");
		good = good && json_is_string(text);
		if (good)
			buf_add(out, json_string_value(text), json_string_length(text));
	}
	return good;
}

bool api_read_is_thought(const char *type)
{
	return strcmp(type, "thinking") == 0 || strcmp(type, "reasoning") == 0;
}

int api_read_thought_part(const json_t *part, size_t index, struct buf *out, struct err *e)
{
	static const char *const keys[] = { "thinking", "text", "reasoning" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *v = json_object_get(part, keys[i]);
		if (v && !json_is_null(v))
			return add_text(v, out) ? 0 : not_text(index, keys[i], e);
	}
	return err_set(e, ERR_INPUT, "\"messages\", item %zu: a part of reasoning without its text",
		       index);
}

/* The texts of a list of {"type": "reasoning.text", "text"} or {..., "summary"}; encrypted ones
 * have none. */
static int read_details(const json_t *list, size_t index, struct buf *out, struct err *e)
{
	static const char *const keys[] = { "text", "summary" };
	const json_t *one;
	size_t i;
	if (!json_is_array(list))
		return not_text(index, "reasoning_details", e);
	json_array_foreach((json_t *)list, i, one)
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
			const json_t *v = json_object_get(one, keys[k]);
			if (json_is_string(v))
				buf_add(out, json_string_value(v), json_string_length(v));
		}
	return 0;
}

/* Take this text as the message's reasoning, unless there is one already: then it has no effect,
 * and where it is another text the record says so. */
static int offer(struct api_request *r, const char *note, const struct buf *text, struct buf *out,
		 struct err *e)
{
	bool same = text->len == out->len &&
		    (!text->len || memcmp(text->bytes, out->bytes, text->len) == 0);
	if (!text->len || same)
		return 0;
	if (out->len)
		return api_read_note(r, note, e);
	buf_add(out, text->bytes, text->len);
	return buf_done(out, e);
}

int api_read_thought(struct api_request *r, const json_t *message, size_t index,
		     const struct buf *parts, json_t **out, struct err *e)
{
	static const struct {
		const char *key, *note;
	} members[] = { { "reasoning_content", "messages.reasoning_content" },
			{ "reasoning", "messages.reasoning" },
			{ "thinking", "messages.thinking" },
			{ "reasoning_details", "messages.reasoning_details" } };
	const char *role = json_string_value(json_object_get(message, "role"));
	bool assistant = role && strcmp(role, "assistant") == 0;
	struct buf said = { 0 }, one = { 0 };
	int rc = 0;
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		const json_t *v = json_object_get(message, members[i].key);
		bool details = strcmp(members[i].key, "reasoning_details") == 0;
		if (!v || json_is_null(v))
			continue;
		buf_clear(&one);
		if (!assistant || (!details && !json_is_string(v)))
			TRY_OUT(not_text(index, members[i].key, e));
		if (details)
			TRY_OUT(read_details(v, index, &one, e));
		else
			buf_add(&one, json_string_value(v), json_string_length(v));
		TRY_OUT(buf_done(&one, e));
		TRY_OUT(offer(r, members[i].note, &one, &said, e));
	}
	TRY_OUT(offer(r, "messages.content.thinking", parts, &said, e));
	*out = said.len ? json_stringn_nocheck(said.bytes, said.len) : NULL;
	if (said.len && !*out)
		rc = err_set(e, ERR_NOMEM, "out of memory for the request");
out:
	buf_free(&said);
	buf_free(&one);
	return rc;
}
