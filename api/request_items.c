/* The body of POST /v1/responses: what was said and done are items of a list. Nothing is stored, so
 * that a request says all of it. Fields that have another meaning than in chat are here; how tokens
 * are drawn is read as there. Sources: OpenAI API reference, Responses; the Open Responses
 * specification; the types of OpenAI's Python client. */
#include "api/request_turns.h"

#include <string.h>

#define METADATA_MAX 16

static const char list[] = "input";

/* ---- parts ---- */

/* The text of a part; NULL: it is none. A refusal is what an assistant said, too. */
static const json_t *text_of_part(const json_t *part, const char *type)
{
	static const char *const types[] = { "input_text", "output_text", "text" };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(type, types[i]) == 0)
			return api_read_member(part, "text");
	return strcmp(type, "refusal") == 0 ? api_read_member(part, "refusal") : NULL;
}

static int read_part(const json_t *part, size_t index, const char *member, const json_t **out,
		     struct err *e)
{
	const char *type = json_string_value(json_object_get(part, "type"));
	if (type && api_is_media(type))
		return api_item_later(list, index, "content parts of type", type, e);
	*out = type ? text_of_part(part, type) : NULL;
	if (json_is_string(*out))
		return 0;
	return api_item_bad(list, index, member, "invalid_value",
			    "expected parts {\"type\": \"input_text\", \"text\": string}", e);
}

static int note_part(struct api_request *r, const json_t *part, struct err *e)
{
	static const char *const keys[] = { "type",        "text",     "refusal",
					    "annotations", "logprobs", NULL };
	return api_read_others(r, part, keys, "input.content", e);
}

/* ---- items ---- */

static int read_content(struct api_turns *t, const json_t *content, const char *role, size_t index,
			struct err *e)
{
	const json_t *part, *text;
	size_t i;
	TRY(api_turns_content(t, list, role, content, index, e));
	json_array_foreach((json_t *)content, i, part) {
		TRY(read_part(part, index, ".content", &text, e));
		TRY(api_turns_say(t, role, text, e));
		TRY(note_part(t->r, part, e));
	}
	return 0;
}

/* An assistant's items without a pause are one message; each message of others is its own. */
static int read_message(struct api_turns *t, const json_t *item, size_t index, struct err *e)
{
	static const char *const keys[] = {
		"type", "role", "content", "id", "status", "phase", NULL
	};
	static const struct {
		const char *role, *as;
	} roles[] = { { "user", "user" },
		      { "assistant", "assistant" },
		      { "system", "system" },
		      { "developer", "system" } };
	const char *role = json_string_value(api_read_member(item, "role"));
	if (!role)
		return api_item_bad(list, index, ".role", "invalid_type",
				    "\"role\" is not a string", e);
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		if (strcmp(role, roles[i].role) != 0)
			continue;
		if (strcmp(role, "assistant") != 0)
			TRY(api_turns_end(t, e));
		TRY(read_content(t, api_read_member(item, "content"), roles[i].as, index, e));
		return api_read_others(t->r, item, keys, list, e);
	}
	return err_at(e,
		      err_set(e, ERR_INPUT, "\"input\", item %zu: unknown role \"%.40s\"", index,
			      role),
		      "invalid_value", "input[%zu].role", index);
}

static int read_call(struct api_turns *t, const json_t *item, size_t index, struct err *e)
{
	static const char *const keys[] = { "type",      "id",     "call_id", "name",
					    "arguments", "status", NULL };
	const json_t *id, *name, *text = api_read_member(item, "arguments");
	json_t *arguments = NULL;
	TRY(api_item_name(list, index, item, "call_id", &id, e));
	TRY(api_item_name(list, index, item, "name", &name, e));
	if (text && !json_is_string(text))
		return api_item_bad(list, index, ".arguments", "invalid_type",
				    "\"arguments\" is not a string", e);
	TRY(api_read_arguments(t->r, text, &arguments, e));
	int rc = api_turns_call(t, id, name, arguments, e);
	json_decref(arguments);
	return rc < 0 ? rc : api_read_others(t->r, item, keys, list, e);
}

static int join_output(struct api_request *r, const json_t *output, size_t index, struct buf *out,
		       struct err *e)
{
	const json_t *part, *text;
	size_t i;
	if (json_is_string(output))
		buf_add(out, json_string_value(output), json_string_length(output));
	else if (!json_is_array(output))
		return api_item_bad(list, index, ".output", "invalid_type",
				    "\"output\" is neither a string nor a list", e);
	json_array_foreach((json_t *)output, i, part) {
		TRY(read_part(part, index, ".output", &text, e));
		if (i)
			buf_add_byte(out, '\n');
		buf_add(out, json_string_value(text), json_string_length(text));
		TRY(note_part(r, part, e));
	}
	return buf_done(out, e);
}

static int read_output(struct api_turns *t, const json_t *item, size_t index, struct err *e)
{
	static const char *const keys[] = { "type", "id", "call_id", "output", "status", NULL };
	const json_t *id;
	struct buf text = { 0 };
	TRY(api_item_name(list, index, item, "call_id", &id, e));
	int rc = join_output(t->r, api_read_member(item, "output"), index, &text, e);
	if (rc == 0)
		rc = api_turns_result(t, id, &text, e);
	buf_free(&text);
	return rc < 0 ? rc : api_read_others(t->r, item, keys, list, e);
}

/* The texts of a list of {"type", "text"}. */
static int think(struct api_turns *t, const json_t *parts, size_t index, size_t *bytes,
		 struct err *e)
{
	const json_t *part;
	size_t i;
	if (parts && !json_is_array(parts))
		return api_item_bad(list, index, "", "invalid_type",
				    "the parts of reasoning are not a list", e);
	json_array_foreach((json_t *)parts, i, part) {
		const json_t *text = api_read_member(part, "text");
		if (!json_is_string(text))
			return api_item_bad(list, index, "", "invalid_value",
					    "a part of reasoning without its text", e);
		*bytes += json_string_length(text);
		TRY(api_turns_think(t, json_string_value(text), json_string_length(text), e));
	}
	return 0;
}

/* What was thought, or its summary where that is all there is. */
static int read_reasoning(struct api_turns *t, const json_t *item, size_t index, struct err *e)
{
	static const char *const keys[] = { "type", "id", "status", "content", "summary", NULL };
	const json_t *summary = api_read_member(item, "summary");
	size_t bytes = 0;
	TRY(think(t, api_read_member(item, "content"), index, &bytes, e));
	if (bytes && json_array_size(summary))
		TRY(api_read_note(t->r, "input.summary", e));
	else if (!bytes)
		TRY(think(t, summary, index, &bytes, e));
	return api_read_others(t->r, item, keys, list, e);
}

static int read_item(struct api_turns *t, const json_t *item, size_t index, struct err *e)
{
	static const struct {
		const char *type;
		int (*read)(struct api_turns *t, const json_t *item, size_t index, struct err *e);
	} types[] = { { "message", read_message },
		      { "function_call", read_call },
		      { "function_call_output", read_output },
		      { "reasoning", read_reasoning } };
	const char *type = json_string_value(api_read_member(item, "type"));
	if (!json_is_object(item))
		return api_item_bad(list, index, "", "invalid_type", "expected an object", e);
	if (!type && api_read_member(item, "role"))
		type = "message";
	if (!type)
		return api_item_bad(list, index, ".type", "missing_required_parameter",
				    "\"type\" is missing", e);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(type, types[i].type) == 0)
			return types[i].read(t, item, index, e);
	return api_item_later(list, index, "items of type", type, e);
}

static int read_turns(struct api_turns *t, const json_t *input, struct err *e)
{
	const json_t *instructions = api_read_member(t->r->root, "instructions"), *item;
	size_t i;
	if (instructions) {
		TRY(api_turns_say(t, "system", instructions, e));
		TRY(api_turns_end(t, e));
	}
	if (json_is_string(input))
		TRY(api_turns_say(t, "user", input, e));
	json_array_foreach((json_t *)input, i, item)
		TRY(read_item(t, item, i, e));
	return api_turns_end(t, e);
}

int api_items_done(struct api_request *r, struct err *e)
{
	const json_t *input = api_read_member(r->root, list);
	struct api_turns t = { .r = r };
	if (!input)
		return api_read_missing(list, e);
	if (!json_is_string(input) && !json_is_array(input))
		return api_read_mistyped(list, "a string or a list of items", e);
	if (json_is_array(input) && json_array_size(input) == 0)
		return err_at(e, err_set(e, ERR_INPUT, "\"input\": expected at least one item"),
			      "empty_array", "input");
	if (r->top_logprobs && !r->logprobs) {
		r->top_logprobs = 0;
		TRY(api_read_note(r, "top_logprobs", e));
	}
	int rc = read_turns(&t, input, e);
	api_turns_free(&t);
	if (rc == 0 && !json_array_size(r->messages)) /* reasoning without its text */
		rc = api_read_unexpected(list, "an item that says something", e);
	return rc;
}

/* ---- fields ---- */

/* Read once all fields are known. */
static int read_later(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	(void)r, (void)name, (void)v, (void)e;
	return 0;
}

static int read_instructions(struct api_request *r, const char *name, const json_t *v,
			     struct err *e)
{
	(void)r;
	return json_is_string(v) ? 0 : api_read_mistyped(name, "a string", e);
}

static int read_tools(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const struct api_flat_tools how = { "parameters", "function", "" };
	return api_read_flat_tools(r, name, v, &how, e);
}

/* {"format", "verbosity"} */
static int read_text(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "format", NULL };
	const json_t *format = api_read_member(v, "format");
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object", e);
	if (format)
		TRY(api_read_format(r, "text.format", format, e));
	return api_read_others(r, v, keys, name, e);
}

/* What else an answer should hold: nothing of it but log-probabilities is there here. */
static int read_include(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const json_t *one;
	size_t i;
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list of strings", e);
	json_array_foreach((json_t *)v, i, one) {
		const char *word = json_string_value(one);
		if (!word)
			return api_read_mistyped(name, "a list of strings", e);
		if (strcmp(word, "message.output_text.logprobs") == 0)
			r->logprobs = true;
		else
			TRY(api_read_note(r, name, e));
	}
	return 0;
}

/* They come back with the answer. */
static int read_metadata(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	(void)r;
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object of at most 16 strings", e);
	if (json_object_size(v) > METADATA_MAX)
		return api_read_unexpected(name, "an object of at most 16 strings", e);
	json_object_foreach((json_t *)v, key, one)
		if (!json_is_string(one))
			return api_read_mistyped(name, "an object of strings", e);
	return 0;
}

static int read_truncation(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *word = json_string_value(v);
	(void)r;
	if (!word)
		return api_read_mistyped(name, "a string", e);
	return strcmp(word, "disabled") == 0 ? 0 : api_read_refused(name, word, e);
}

static int read_store(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool store = false;
	(void)r;
	TRY(api_read_bool(name, v, &store, e));
	return store ? api_read_refused(name, "true: nothing is kept for a later request", e) : 0;
}

static int read_calls_max(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t most = 0;
	TRY(api_read_integer(name, v, 1, INT32_MAX, &most, e));
	return api_read_note(r, name, e);
}

const struct api_field api_items_fields[] = {
	{ "input", read_later },
	{ "instructions", read_instructions },
	{ "max_output_tokens", api_read_tokens_max },
	{ "tools", read_tools },
	{ "tool_choice", api_read_tool_choice },
	{ "parallel_tool_calls", api_read_parallel },
	{ "max_tool_calls", read_calls_max },
	{ "text", read_text },
	{ "reasoning", api_read_reasoning },
	{ "chat_template_kwargs", api_read_kwargs },
	{ "include", read_include },
	{ "top_logprobs", api_read_top_logprobs },
	{ "metadata", read_metadata },
	{ "truncation", read_truncation },
	{ "store", read_store },
	{ "previous_response_id", api_read_nothing },
	{ "conversation", api_read_nothing },
	{ "background", api_read_nothing },
	{ "prompt", api_read_nothing },
	/* a response is one answer */
	{ "n", api_read_only_one },
	{ "functions", api_read_nothing },
	{ "function_call", api_read_nothing },
	{ NULL, NULL },
};
