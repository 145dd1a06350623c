/* The body of POST /v1/messages: what is said are blocks, and the results of calls are blocks of
 * the user. Fields that have another meaning than in chat are here; how tokens are drawn is read as
 * there. Source: Anthropic API reference, Messages; the types of its Python client. */
#include "api/request_turns.h"

#include <string.h>

static const char list[] = "messages";

/* ---- blocks ---- */

static int bad_block(size_t index, const char *what, struct err *e)
{
	return api_item_bad(list, index, ".content", "invalid_value", what, e);
}

static int text_of(const json_t *block, const char *key, size_t index, const json_t **out,
		   struct err *e)
{
	*out = api_read_member(block, key);
	return json_is_string(*out) ? 0 : bad_block(index, "a block without its text", e);
}

static int read_text(struct api_turns *t, const json_t *block, const char *role, size_t index,
		     struct err *e)
{
	static const char *const keys[] = { "type", "text", NULL };
	const json_t *text;
	TRY(text_of(block, "text", index, &text, e));
	TRY(api_turns_say(t, role, text, e));
	return api_read_others(t->r, block, keys, "messages.content", e);
}

static int read_thinking(struct api_turns *t, const json_t *block, size_t index, struct err *e)
{
	static const char *const keys[] = { "type", "thinking", "signature", NULL };
	const json_t *text;
	TRY(text_of(block, "thinking", index, &text, e));
	TRY(api_turns_think(t, json_string_value(text), json_string_length(text), e));
	return api_read_others(t->r, block, keys, "messages.content", e);
}

static int read_use(struct api_turns *t, const json_t *block, size_t index, struct err *e)
{
	static const char *const keys[] = { "type", "id", "name", "input", NULL };
	const json_t *id, *name, *input = api_read_member(block, "input");
	TRY(api_item_name(list, index, block, "id", &id, e));
	TRY(api_item_name(list, index, block, "name", &name, e));
	if (!json_is_object(input))
		return bad_block(index, "\"input\" of a call is not an object", e);
	TRY(api_turns_call(t, id, name, input, e));
	return api_read_others(t->r, block, keys, "messages.content", e);
}

/* Of a result: a string, or blocks of text. */
static int join_result(struct api_request *r, const json_t *content, size_t index, struct buf *out,
		       struct err *e)
{
	static const char *const keys[] = { "type", "text", NULL };
	const json_t *block, *text;
	size_t i;
	if (json_is_string(content))
		buf_add(out, json_string_value(content), json_string_length(content));
	else if (content && !json_is_array(content))
		return bad_block(index, "a result is neither a string nor a list", e);
	json_array_foreach((json_t *)content, i, block) {
		const char *type = json_string_value(json_object_get(block, "type"));
		if (!type)
			return bad_block(index, "a block without \"type\"", e);
		if (strcmp(type, "text") != 0)
			return api_item_later(list, index, "results of type", type, e);
		TRY(text_of(block, "text", index, &text, e));
		if (i)
			buf_add_byte(out, '\n');
		buf_add(out, json_string_value(text), json_string_length(text));
		TRY(api_read_others(r, block, keys, "messages.content.content", e));
	}
	return buf_done(out, e);
}

static int read_result(struct api_turns *t, const json_t *block, size_t index, struct err *e)
{
	static const char *const keys[] = { "type", "tool_use_id", "content", "is_error", NULL };
	const json_t *id, *failed = api_read_member(block, "is_error");
	struct buf text = { 0 };
	TRY(api_item_name(list, index, block, "tool_use_id", &id, e));
	if (failed && !json_is_boolean(failed))
		return bad_block(index, "\"is_error\" is neither true nor false", e);
	if (json_is_true(failed)) /* templates have no word for it: its text says it */
		TRY(api_read_note(t->r, "messages.content.is_error", e));
	int rc = join_result(t->r, api_read_member(block, "content"), index, &text, e);
	if (rc == 0)
		rc = api_turns_result(t, id, &text, e);
	buf_free(&text);
	return rc < 0 ? rc : api_read_others(t->r, block, keys, "messages.content", e);
}

static int read_block(struct api_turns *t, const json_t *block, const char *role, size_t index,
		      struct err *e)
{
	const char *type = json_string_value(json_object_get(block, "type"));
	bool assistant = strcmp(role, "assistant") == 0, user = strcmp(role, "user") == 0;
	if (!type)
		return bad_block(index, "expected blocks {\"type\": ...}", e);
	if (strcmp(type, "text") == 0)
		return read_text(t, block, role, index, e);
	if (assistant && strcmp(type, "thinking") == 0)
		return read_thinking(t, block, index, e);
	if (assistant && strcmp(type, "redacted_thinking") == 0)
		return api_read_note(t->r, "messages.content.redacted_thinking", e);
	if (assistant && strcmp(type, "tool_use") == 0)
		return read_use(t, block, index, e);
	if (user && strcmp(type, "tool_result") == 0)
		return read_result(t, block, index, e);
	if (strcmp(type, "thinking") == 0 || strcmp(type, "tool_use") == 0 ||
	    strcmp(type, "tool_result") == 0 || strcmp(type, "redacted_thinking") == 0)
		return bad_block(index, "a block that this role does not have", e);
	return api_item_later(list, index, "content blocks of type", type, e);
}

static int read_content(struct api_turns *t, const json_t *content, const char *role, size_t index,
			struct err *e)
{
	const json_t *block;
	size_t i;
	TRY(api_turns_content(t, list, role, content, index, e));
	json_array_foreach((json_t *)content, i, block)
		TRY(read_block(t, block, role, index, e));
	return 0;
}

/* ---- messages ---- */

static int read_message(struct api_turns *t, const json_t *message, size_t index, struct err *e)
{
	static const char *const keys[] = { "role", "content", NULL };
	static const char *const roles[] = { "user", "assistant", "system" };
	const char *role = json_string_value(api_read_member(message, "role"));
	if (!role)
		return api_item_bad(list, index, ".role", "invalid_type",
				    "\"role\" is not a string", e);
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		if (strcmp(role, roles[i]) != 0)
			continue;
		TRY(read_content(t, api_read_member(message, "content"), roles[i], index, e));
		return api_read_others(t->r, message, keys, list, e);
	}
	return err_at(e,
		      err_set(e, ERR_INPUT, "\"messages\", item %zu: unknown role \"%.40s\"", index,
			      role),
		      "invalid_value", "messages[%zu].role", index);
}

/* The text before the conversation. */
static int read_system(struct api_turns *t, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "type", "text", NULL };
	const json_t *block, *text;
	size_t i;
	if (json_is_string(v))
		return api_turns_say(t, "system", v, e);
	if (v && !json_is_array(v))
		return api_read_mistyped("system", "a string or a list of blocks of text", e);
	json_array_foreach((json_t *)v, i, block) {
		const char *type = json_string_value(json_object_get(block, "type"));
		text = api_read_member(block, "text");
		if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
			return api_read_unexpected("system", "a string or a list of blocks of text",
						   e);
		TRY(api_turns_say(t, "system", text, e));
		TRY(api_read_others(t->r, block, keys, "system", e));
	}
	return 0;
}

static int read_turns(struct api_turns *t, struct err *e)
{
	const json_t *messages = api_read_member(t->r->root, list), *message;
	size_t i;
	TRY(read_system(t, api_read_member(t->r->root, "system"), e));
	json_array_foreach((json_t *)messages, i, message)
		TRY(read_message(t, message, i, e));
	return api_turns_end(t, e);
}

int api_blocks_done(struct api_request *r, struct err *e)
{
	const json_t *messages = api_read_member(r->root, list);
	size_t count = json_array_size(messages);
	struct api_turns t = { .r = r };
	if (!messages)
		return api_read_missing(list, e);
	if (!r->tokens_max && !r->prompt_only)
		return api_read_missing("max_tokens", e);
	if (count == 0)
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"messages\": expected a list of at least one message"),
			      json_is_array(messages) ? "empty_array" : "invalid_type", "messages");
	const char *last =
		json_string_value(api_read_member(json_array_get(messages, count - 1), "role"));
	if (last && strcmp(last, "assistant") == 0)
		return api_item_later(list, count - 1, "a last message of the role", last, e);
	int rc = read_turns(&t, e);
	api_turns_free(&t);
	return rc;
}

/* ---- fields ---- */

/* Read once all fields are known. */
static int read_later(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	(void)r, (void)name, (void)v, (void)e;
	return 0;
}

static int read_temperature(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_real(name, v, 0, 1, &r->temperature, e);
}

static int read_tools(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const struct api_flat_tools how = { "input_schema", "custom", "custom" };
	return api_read_flat_tools(r, name, v, &how, e);
}

static int read_tool_choice(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "type", "name", "disable_parallel_tool_use", NULL };
	static const char *const types[] = { "auto", "any", "none", "tool" };
	const char *type = json_string_value(api_read_member(v, "type"));
	const json_t *one = api_read_member(v, keys[2]), *tool = api_read_member(v, "name");
	size_t i = 0;
	while (type && i < sizeof types / sizeof *types && strcmp(type, types[i]) != 0)
		i++;
	if (!type || i == sizeof types / sizeof *types)
		return api_read_unexpected(name,
					   "{\"type\": \"auto\", \"any\", \"tool\" or "
					   "\"none\"}",
					   e);
	if (one)
		TRY(api_read_bool("tool_choice.disable_parallel_tool_use", one, &r->one_call, e));
	r->tool_choice = i == 0   ? API_TOOLS_AUTO
			 : i == 1 ? API_TOOLS_REQUIRED
			 : i == 2 ? API_TOOLS_NONE
				  : API_TOOLS_NAMED;
	if (r->tool_choice == API_TOOLS_NAMED) {
		if (!json_string_length(tool))
			return api_read_mistyped("tool_choice.name", "the name of a tool", e);
		r->tool_name = json_string_value(tool);
	}
	return api_read_others(r, v, keys, name, e);
}

/* {"effort", "format"} */
static int read_config(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "effort", "format", NULL };
	const json_t *effort = api_read_member(v, keys[0]), *format = api_read_member(v, keys[1]);
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object", e);
	if (effort)
		TRY(api_read_effort(r, "output_config.effort", effort, e));
	if (format)
		TRY(api_read_format(r, "output_config.format", format, e));
	return api_read_others(r, v, keys, name, e);
}

const struct api_field api_blocks_fields[] = {
	{ "messages", read_later },
	{ "system", read_later },
	{ "temperature", read_temperature },
	{ "tools", read_tools },
	{ "tool_choice", read_tool_choice },
	{ "thinking", api_read_thinking },
	{ "output_config", read_config },
	{ "output_format", api_read_format },
	{ "chat_template_kwargs", api_read_kwargs },
	{ "container", api_read_nothing },
	{ "mcp_servers", api_read_nothing },
	/* a message is one answer, and has no place for these */
	{ "n", api_read_only_one },
	{ "logprobs", api_read_only_false },
	{ "top_logprobs", api_read_only_false },
	{ "functions", api_read_nothing },
	{ "function_call", api_read_nothing },
	{ NULL, NULL },
};
