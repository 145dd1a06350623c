/* Request fields that shape an answer: tools, what it must match, and the template's switches. */
#include "base/json.h"
#include "api/request_read.h"

#include <string.h>

#define NAME_BYTES_MAX 64u
#define CONSTRAINT_BYTES_MAX (256u << 10)

/* ---- tools ---- */

static bool is_function_name(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);
	for (size_t i = 0; i < len; i++)
		if (!strchr("_-.", s[i]) && !(s[i] >= '0' && s[i] <= '9') &&
		    !(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z'))
			return false;
	return len > 0 && len <= NAME_BYTES_MAX;
}

static const char *tool_name(const json_t *tool)
{
	return json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
}

static bool is_named(const json_t *tools, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		const char *other = tool_name(json_array_get(tools, i));
		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static int bad_tool(size_t i, const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "\"tools\", item %zu: %s", i, what);
}

static int read_function(const json_t *function, size_t i, struct err *e)
{
	static const char *const keys[] = { "name", "description", "parameters", "strict", NULL };
	const json_t *text = json_object_get(function, "description"),
		     *schema = json_object_get(function, "parameters"),
		     *strict = json_object_get(function, "strict");
	if (!json_is_object(function))
		return bad_tool(i, "\"function\" is not an object", e);
	TRY(json_only_keys(function, keys, "the function of a tool", e));
	if (!is_function_name(json_object_get(function, "name")))
		return bad_tool(i,
				"\"name\" is not 1 to 64 letters, digits, \"_\", \"-\" and \".\"",
				e);
	if (text && !json_is_null(text) && !json_is_string(text))
		return bad_tool(i, "\"description\" is not a string", e);
	if (schema && !json_is_null(schema) && !json_is_object(schema))
		return bad_tool(i, "\"parameters\" is not an object", e);
	if (strict && !json_is_null(strict) && !json_is_boolean(strict))
		return bad_tool(i, "\"strict\" is neither true nor false", e);
	return 0;
}

static int read_tool(const json_t *tools, size_t i, struct err *e)
{
	static const char *const keys[] = { "type", "function", NULL };
	const json_t *tool = json_array_get(tools, i);
	const char *type = json_string_value(json_object_get(tool, "type"));
	if (!json_is_object(tool) || !type)
		return bad_tool(i, "expected {\"type\": \"function\", \"function\": {...}}", e);
	if (strcmp(type, "function") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: tools of type \"%.40s\"", type);
	TRY(json_only_keys(tool, keys, "a tool", e));
	TRY(read_function(json_object_get(tool, "function"), i, e));
	if (is_named(tools, i, tool_name(tool)))
		return bad_tool(i, "another tool has the same name", e);
	return 0;
}

int api_read_tools(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t count = json_array_size(v);
	if (!json_is_array(v))
		return api_read_unexpected(name, "a list", e);
	if (count > API_TOOLS)
		return err_set(e, ERR_INPUT, "\"tools\": %zu of them; at most %u are taken", count,
			       API_TOOLS);
	for (size_t i = 0; i < count; i++)
		TRY(read_tool(v, i, e));
	if (count == 0)
		return api_read_note(r, name, e);
	r->tools = (json_t *)v; /* of root */
	return 0;
}

int api_read_tool_choice(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const words[] = { "auto", "none", "required" };
	static const char *const keys[] = { "type", "function", NULL };
	static const char *const inner[] = { "name", NULL };
	const char *word = json_string_value(v);
	const json_t *function = json_object_get(v, "function");
	for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i]) == 0) {
			r->tool_choice = (enum api_tool_choice)i;
			return 0;
		}
	}
	const char *type = json_string_value(json_object_get(v, "type"));
	if (type && strcmp(type, "function") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: tool_choice of type \"%.40s\"",
			       type);
	if (!type || !is_function_name(json_object_get(function, "name")))
		return api_read_unexpected(
			name,
			"\"auto\", \"none\", \"required\" or {\"type\": \"function\", "
			"\"function\": {\"name\": ...}}",
			e);
	TRY(json_only_keys(v, keys, name, e));
	TRY(json_only_keys(function, inner, "the function of tool_choice", e));
	r->tool_choice = API_TOOLS_NAMED;
	r->tool_name = json_string_value(json_object_get(function, "name"));
	return 0;
}

int api_read_parallel(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool parallel = true;
	TRY(api_read_bool(name, v, &parallel, e));
	r->one_call = !parallel;
	return 0;
}

/* ---- constraints ---- */

static int set_constraint(struct api_request *r, const char *name, enum api_constraint_kind kind,
			  const json_t *v, struct err *e)
{
	if (r->constraint != API_CONSTRAINT_NONE)
		return err_set(e, ERR_INPUT, "\"%s\" and \"%s\": an answer matches one of them",
			       r->constraint_field, name);
	r->constraint = kind;
	r->constraint_field = name;
	if (json_is_string(v))
		buf_add(&r->constraint_text, json_string_value(v), json_string_length(v));
	else if (v)
		TRY(json_write(v, 0, &r->constraint_text, e));
	if (r->constraint_text.len > CONSTRAINT_BYTES_MAX)
		return err_set(e, ERR_INPUT, "\"%s\" is longer than %u KiB", name,
			       CONSTRAINT_BYTES_MAX >> 10);
	return buf_done(&r->constraint_text, e);
}

/* {"type": "json_schema", "json_schema": {"name", "schema", ...}} */
static int read_json_schema(struct api_request *r, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "name", "description", "schema", "strict", NULL };
	const json_t *o = json_object_get(v, "json_schema");
	const json_t *schema = json_object_get(o, "schema");
	if (!json_is_object(o) || !json_is_object(schema))
		return api_read_unexpected("response_format",
					   "\"json_schema\": {\"schema\": {...}}", e);
	TRY(json_only_keys(o, keys, "json_schema", e));
	return set_constraint(r, "response_format", API_CONSTRAINT_SCHEMA, schema, e);
}

int api_read_response_format(struct api_request *r, const char *name, const json_t *v,
			     struct err *e)
{
	static const char *const keys[] = { "type", "json_schema", NULL };
	const char *type = json_string_value(json_object_get(v, "type"));
	if (!type)
		return api_read_unexpected(name, "an object with a \"type\"", e);
	TRY(json_only_keys(v, keys, name, e));
	if (strcmp(type, "text") == 0)
		return api_read_note(r, name, e);
	if (strcmp(type, "json_object") == 0)
		return set_constraint(r, "response_format", API_CONSTRAINT_OBJECT, NULL, e);
	if (strcmp(type, "json_schema") == 0)
		return read_json_schema(r, v, e);
	return err_set(e, ERR_UNSUPPORTED,
		       "not available in this version: response_format \"%.40s\"", type);
}

int api_read_guided_json(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	(void)name;
	if (!json_is_object(v) && !json_is_string(v))
		return api_read_unexpected("guided_json", "a schema, as object or text", e);
	return set_constraint(r, "guided_json", API_CONSTRAINT_SCHEMA, v, e);
}

int api_read_guided_regex(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	(void)name;
	if (!json_is_string(v))
		return api_read_unexpected("guided_regex", "a string", e);
	return set_constraint(r, "guided_regex", API_CONSTRAINT_REGEX, v, e);
}

int api_read_guided_choice(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *one;
	(void)name;
	if (!json_array_size(v))
		return api_read_unexpected("guided_choice", "a list of strings", e);
	json_array_foreach(v, i, one) {
		if (!json_is_string(one))
			return api_read_unexpected("guided_choice", "a list of strings", e);
	}
	return set_constraint(r, "guided_choice", API_CONSTRAINT_CHOICE, v, e);
}

int api_read_guided_grammar(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	(void)name;
	if (!json_is_string(v))
		return api_read_unexpected("guided_grammar", "a string", e);
	return set_constraint(r, "guided_grammar", API_CONSTRAINT_GRAMMAR, v, e);
}

/* The later spelling of the four above: {"json": ...} and so on. */
int api_read_structured(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const struct {
		const char *key;
		api_field_reader *read;
	} forms[] = { { "json", api_read_guided_json },
		      { "regex", api_read_guided_regex },
		      { "choice", api_read_guided_choice },
		      { "grammar", api_read_guided_grammar } };
	static const char *const keys[] = { "json", "regex", "choice", "grammar", NULL };
	if (!json_is_object(v))
		return api_read_unexpected(name, "an object", e);
	TRY(json_only_keys(v, keys, name, e));
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		const json_t *one = json_object_get(v, forms[i].key);
		if (one && !json_is_null(one))
			TRY(forms[i].read(r, forms[i].key, one, e));
	}
	return 0;
}

/* ---- the template's switches ---- */

static int set_switch(struct api_request *r, const char *key, const json_t *v, struct err *e)
{
	if (!r->template_kwargs)
		r->template_kwargs = json_object();
	const json_t *other = json_object_get(r->template_kwargs, key);
	if (other && !json_equal(other, v))
		return err_set(e, ERR_INPUT, "\"%s\" is given twice, with two values", key);
	if (json_object_set(r->template_kwargs, key, (json_t *)v) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return 0;
}

int api_read_effort(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const words[] = { "none", "minimal", "low", "medium", "high", "max" };
	const char *word = json_string_value(v);
	(void)name;
	for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return set_switch(r, "reasoning_effort", v, e);
	return api_read_unexpected("reasoning_effort", "none, minimal, low, medium, high or max",
				   e);
}

/* No free text: it would stand in the prompt without having been filtered. */
int api_read_kwargs(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const switches[] = { "enable_thinking",   "thinking",
						"clear_thinking",    "keep_past_thinking",
						"preserve_thinking", "tools_in_user_message" };
	const char *key;
	json_t *one;
	if (!json_is_object(v))
		return api_read_unexpected(name, "an object", e);
	json_object_foreach((json_t *)v, key, one)
	{
		bool known = false, ignored;
		json_int_t budget;
		for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
			known |= strcmp(key, switches[i]) == 0;
		if (known)
			TRY(api_read_bool(key, one, &ignored, e));
		else if (strcmp(key, "thinking_budget") == 0)
			TRY(api_read_integer(key, one, 0, INT32_MAX, &budget, e));
		else if (strcmp(key, "reasoning_effort") == 0)
			TRY(api_read_effort(r, key, one, e));
		else
			return err_set(
				e, ERR_UNSUPPORTED,
				"not available in this version: chat_template_kwargs \"%.100s\"",
				key);
		TRY(set_switch(r, key, one, e));
	}
	return json_object_size(v) ? 0 : api_read_note(r, name, e);
}

/* ---- the whole ---- */

int api_read_together(struct api_request *r, struct err *e)
{
	bool forced = r->tool_choice == API_TOOLS_REQUIRED || r->tool_choice == API_TOOLS_NAMED;
	if (r->top_logprobs && !r->logprobs)
		return err_set(e, ERR_INPUT,
			       "\"top_logprobs\" is allowed only with \"logprobs\": true");
	if (r->tokens_max && r->tokens_min > r->tokens_max)
		return err_set(e, ERR_INPUT, "\"min_tokens\" is more than \"max_tokens\"");
	if (!r->tools && json_object_get(r->root, "tool_choice") &&
	    !json_is_null(json_object_get(r->root, "tool_choice")) &&
	    r->tool_choice != API_TOOLS_NONE)
		return err_set(e, ERR_INPUT, "\"tool_choice\" is allowed only with \"tools\"");
	if (r->tool_name && !is_named(r->tools, json_array_size(r->tools), r->tool_name))
		return err_set(e, ERR_INPUT, "\"tool_choice\": no tool is named \"%s\"",
			       r->tool_name);
	if (forced && r->constraint)
		TRY(api_read_note(r, r->constraint_field, e));
	if ((forced || r->constraint) && r->ignore_eos)
		return err_set(e, ERR_INPUT,
			       "\"ignore_eos\": an answer with a form must be able to end");
	if (r->tool_choice == API_TOOLS_NONE)
		r->tools = NULL;
	return 0;
}
