/* Request fields that say what may be called, and what only the whole request shows. */
#include "base/json.h"
#include "api/request_read.h"

#include <string.h>

#define NAME_BYTES_MAX 64u

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

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for the request");
}

static int bad_tool(size_t i, const char *member, const char *kind, const char *what, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"tools\", item %zu: %s", i, what), kind,
		      "tools[%zu]%s", i, member);
}

/* The members of o that are known and not null, in their order (new reference). */
static json_t *known_members(const json_t *o, const char *const *keys)
{
	json_t *out = json_object(), *v;
	const char *key;
	int failed = !out;
	json_object_foreach((json_t *)o, key, v) {
		const char *const *k = keys;
		while (*k && strcmp(*k, key) != 0)
			k++;
		if (*k && !json_is_null(v))
			failed |= json_object_set(out, key, v);
	}
	if (!failed)
		return out;
	json_decref(out);
	return NULL;
}

static const char *const function_keys[] = { "name", "description", "parameters", "strict", NULL };

static int check_flat(struct api_request *r, const json_t *tool, size_t i, const char *schema,
		      struct err *e)
{
	const json_t *text = api_read_member(tool, "description"),
		     *form = api_read_member(tool, schema),
		     *strict = api_read_member(tool, "strict");
	if (!is_function_name(json_object_get(tool, "name")))
		return bad_tool(i, ".name", "invalid_value",
				"\"name\" is not 1 to 64 letters, digits, \"_\", \"-\" and \".\"",
				e);
	if (text && !json_is_string(text))
		return bad_tool(i, ".description", "invalid_type",
				"\"description\" is not a string", e);
	if (form && !json_is_object(form))
		return bad_tool(i, "", "invalid_type", "its schema is not an object", e);
	if (strict && !json_is_boolean(strict))
		return bad_tool(i, ".strict", "invalid_type",
				"\"strict\" is neither true nor false", e);
	if (is_named(r->tools, i, json_string_value(json_object_get(tool, "name"))))
		return bad_tool(i, ".name", "invalid_value", "another tool has the same name", e);
	return 0;
}

/* The tools of shapes that have nothing around the function. */
static int add_flat(struct api_request *r, const json_t *tool, size_t i,
		    const struct api_flat_tools *how, struct err *e)
{
	const char *keys[] = { "type", "name", "description", "strict", how->schema, NULL };
	const char *type = json_string_value(api_read_member(tool, "type"));
	json_t *schema = api_read_member(tool, how->schema);
	if (!json_is_object(tool))
		return bad_tool(i, "", "invalid_type", "expected an object", e);
	if (strcmp(type ? type : how->untyped, how->type) != 0)
		return err_at(e,
			      err_set(e, ERR_UNSUPPORTED,
				      "not available in this version: tools of type \"%.40s\"",
				      type ? type : "(none)"),
			      "unsupported_value", "tools[%zu].type", i);
	TRY(check_flat(r, tool, i, how->schema, e));
	json_t *inner = known_members(tool, function_keys);
	bool failed = !inner;
	if (schema && strcmp(how->schema, "parameters") != 0)
		failed = failed || json_object_set(inner, "parameters", schema) < 0;
	json_t *outer = json_pack("{s:s,s:o}", "type", "function", "function", inner);
	failed = json_array_append_new(r->tools, outer) < 0 || failed;
	return failed ? no_memory(e) : api_read_others(r, tool, keys, "tools", e);
}

int api_read_flat_tools(struct api_request *r, const char *name, const json_t *v,
			const struct api_flat_tools *how, struct err *e)
{
	size_t count = json_array_size(v);
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list", e);
	if (count > API_TOOLS)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": %zu of them; at most %u are taken",
				      name, count, API_TOOLS),
			      "array_above_max_length", "%s", name);
	if (count == 0)
		return api_read_note(r, name, e);
	r->tools = json_array();
	for (size_t i = 0; r->tools && i < count; i++)
		TRY(add_flat(r, json_array_get(v, i), i, how, e));
	return r->tools ? 0 : no_memory(e);
}

static int check_function(struct api_request *r, const json_t *function, size_t i, struct err *e)
{
	const json_t *text = api_read_member(function, "description"),
		     *schema = api_read_member(function, "parameters"),
		     *strict = api_read_member(function, "strict");
	if (!json_is_object(function))
		return bad_tool(i, ".function", "invalid_type", "\"function\" is not an object", e);
	if (!is_function_name(json_object_get(function, "name")))
		return bad_tool(i, ".function.name", "invalid_value",
				"\"name\" is not 1 to 64 letters, digits, \"_\", \"-\" and \".\"",
				e);
	if (text && !json_is_string(text))
		return bad_tool(i, ".function.description", "invalid_type",
				"\"description\" is not a string", e);
	if (schema && !json_is_object(schema))
		return bad_tool(i, ".function.parameters", "invalid_type",
				"\"parameters\" is not an object", e);
	if (strict && !json_is_boolean(strict))
		return bad_tool(i, ".function.strict", "invalid_type",
				"\"strict\" is neither true nor false", e);
	if (is_named(r->tools, i, json_string_value(json_object_get(function, "name"))))
		return bad_tool(i, ".function.name", "invalid_value",
				"another tool has the same name", e);
	return api_read_others(r, function, function_keys, "tools.function", e);
}

/* Add the tool as templates and rules get it. tool: what is around the function; NULL: nothing. */
static int add_function(struct api_request *r, const json_t *tool, const json_t *function, size_t i,
			struct err *e)
{
	static const char *const keys[] = { "type", "function", NULL };
	TRY(check_function(r, function, i, e));
	json_t *inner = known_members(function, function_keys);
	json_t *outer = tool ? known_members(tool, keys) : json_pack("{s:s}", "type", "function");
	bool failed = json_object_set_new(outer, "function", inner) < 0;
	failed = json_array_append_new(r->tools, failed ? NULL : json_incref(outer)) < 0;
	json_decref(outer);
	return failed ? no_memory(e) : tool ? api_read_others(r, tool, keys, "tools", e) : 0;
}

static int read_tool(struct api_request *r, const json_t *tool, size_t i, struct err *e)
{
	const char *type = json_string_value(json_object_get(tool, "type"));
	if (!json_is_object(tool) || !type)
		return bad_tool(i, "", "invalid_type",
				"expected {\"type\": \"function\", \"function\": {...}}", e);
	if (strcmp(type, "function") != 0)
		return err_at(e,
			      err_set(e, ERR_UNSUPPORTED,
				      "not available in this version: tools of type \"%.40s\"",
				      type),
			      "unsupported_value", "tools[%zu].type", i);
	return add_function(r, tool, json_object_get(tool, "function"), i, e);
}

/* Of `tools`, or of `functions`, which lack what is around them. */
static int read_list(struct api_request *r, const char *name, const json_t *v, bool old,
		     struct err *e)
{
	size_t count = json_array_size(v);
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list", e);
	if (count > API_TOOLS)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": %zu of them; at most %u are taken",
				      name, count, API_TOOLS),
			      "array_above_max_length", "%s", name);
	if (count == 0)
		return api_read_note(r, name, e);
	if (r->tools)
		return api_read_unexpected(name, "\"tools\" or \"functions\", not both", e);
	r->tools = json_array();
	for (size_t i = 0; r->tools && i < count; i++) {
		const json_t *one = json_array_get(v, i);
		TRY(old ? add_function(r, NULL, one, i, e) : read_tool(r, one, i, e));
	}
	return r->tools ? 0 : no_memory(e);
}

int api_read_tools(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return read_list(r, name, v, false, e);
}

/* The older form of tools: an answer calls one of them at most. */
int api_read_functions(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	TRY(read_list(r, name, v, true, e));
	r->old_calls = r->one_call = json_array_size(v) > 0;
	return 0;
}

static int name_tool(struct api_request *r, const char *field, const json_t *name, struct err *e)
{
	if (!is_function_name(name))
		return api_read_unexpected(
			field,
			"\"auto\", \"none\", \"required\" or {\"type\": \"function\", "
			"\"function\": {\"name\": ...}}",
			e);
	r->tool_choice = API_TOOLS_NAMED;
	r->tool_name = json_string_value(name);
	return 0;
}

/* "auto", "none" or {"name": ...} */
int api_read_function_call(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *word = json_string_value(v);
	if (!word)
		return name_tool(r, name, json_object_get(v, "name"), e);
	if (strcmp(word, "auto") != 0 && strcmp(word, "none") != 0)
		return api_read_unexpected(name, "\"auto\", \"none\" or {\"name\": ...}", e);
	r->tool_choice = strcmp(word, "none") == 0 ? API_TOOLS_NONE : API_TOOLS_AUTO;
	return 0;
}

/* A word, or {"type": word}. */
static bool take_word(struct api_request *r, const char *word)
{
	static const struct {
		const char *word;
		enum api_tool_choice choice;
	} words[] = { { "auto", API_TOOLS_AUTO },
		      { "none", API_TOOLS_NONE },
		      { "required", API_TOOLS_REQUIRED },
		      { "any", API_TOOLS_REQUIRED } }; /* Mistral's, Anthropic's */
	for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i].word) == 0) {
			r->tool_choice = words[i].choice;
			return true;
		}
	}
	return false;
}

/* The name that an item of a list of allowed tools gives, as `tools` or flat; NULL: none. */
static const json_t *allowed_name(const json_t *item)
{
	const json_t *function = api_read_member(item, "function");
	const json_t *name = api_read_member(function ? function : item, "name");
	return is_function_name(name) ? name : NULL;
}

/* {"mode": "auto" or "required", "tools": [{"type", "function": {"name"}}]}: of the request's
 * tools only these are there for this answer. */
static int read_allowed(struct api_request *r, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "type", "mode", "tools", NULL };
	const char *mode = json_string_value(api_read_member(v, "mode"));
	const json_t *tools = api_read_member(v, "tools");
	bool required = mode && strcmp(mode, "required") == 0;
	if (!required && !(mode && strcmp(mode, "auto") == 0))
		return api_read_unexpected("tool_choice.allowed_tools.mode",
					   "\"auto\" or \"required\"", e);
	bool named = json_array_size(tools) > 0 && json_array_size(tools) <= API_TOOLS;
	for (size_t i = 0; i < json_array_size(tools); i++)
		named = named && allowed_name(json_array_get(tools, i));
	if (!named)
		return api_read_unexpected("tool_choice.allowed_tools.tools",
					   "a list of at most 128 {\"type\": \"function\", "
					   "\"function\": {\"name\": ...}}",
					   e);
	r->tool_choice = required ? API_TOOLS_REQUIRED : API_TOOLS_AUTO;
	r->allowed = tools;
	return api_read_others(r, v, keys, "tool_choice.allowed_tools", e);
}

int api_read_tool_choice(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "type", "function", "name", NULL };
	static const char *const inner[] = { "name", NULL };
	const json_t *function = api_read_member(v, "function");
	const char *type = json_string_value(json_object_get(v, "type"));
	if (take_word(r, json_string_value(v)) || take_word(r, type))
		return 0;
	if (type && strcmp(type, "allowed_tools") == 0)
		return read_allowed(r, api_read_member(v, type) ? api_read_member(v, type) : v, e);
	if (type && strcmp(type, "function") != 0)
		return err_at(
			e,
			err_set(e, ERR_UNSUPPORTED,
				"not available in this version: tool_choice of type \"%.40s\"",
				type),
			"unsupported_value", "tool_choice.type");
	TRY(name_tool(r, name, json_object_get(type ? function ? function : v : NULL, "name"), e));
	TRY(api_read_others(r, v, keys, name, e));
	return api_read_others(r, function, inner, "tool_choice.function", e);
}

int api_read_parallel(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool parallel = true;
	TRY(api_read_bool(name, v, &parallel, e));
	r->one_call = !parallel;
	return 0;
}

/* ---- the whole ---- */

static int not_together(const char *name, const char *kind, const char *why, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"%s\" %s", name, why), kind, "%s", name);
}

static int no_such_tool(const char *field, const char *name, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"%s\": no tool is named \"%s\"", field, name),
		      "invalid_value", "%s", field);
}

/* Leave the tools that are allowed, in the order of `tools`. */
static int keep_allowed(struct api_request *r, struct err *e)
{
	const json_t *allowed = r->allowed;
	json_t *kept = json_array();
	bool failed = !kept;
	for (size_t i = 0; i < json_array_size(allowed); i++) {
		const char *name = json_string_value(allowed_name(json_array_get(allowed, i)));
		if (!is_named(r->tools, json_array_size(r->tools), name)) {
			json_decref(kept);
			return no_such_tool("tool_choice", name, e);
		}
	}
	for (size_t i = 0; i < json_array_size(r->tools); i++) {
		json_t *tool = json_array_get(r->tools, i);
		const char *name = tool_name(tool);
		bool keep = false;
		for (size_t k = 0; k < json_array_size(allowed); k++)
			keep |= strcmp(name, json_string_value(allowed_name(
						     json_array_get(allowed, k)))) == 0;
		failed |= keep && json_array_append(kept, tool) < 0;
	}
	json_decref(r->tools);
	r->tools = kept;
	return failed ? no_memory(e) : 0;
}

/* Without tools nothing is chosen: "auto" and "none" say just that. */
static int check_choice(struct api_request *r, struct err *e)
{
	const char *name =
		api_read_member(r->root, "tool_choice") ? "tool_choice" : "function_call";
	bool forced = r->tool_choice == API_TOOLS_REQUIRED || r->tool_choice == API_TOOLS_NAMED;
	if (!r->tools && (forced || r->allowed))
		return not_together(name, "invalid_value", "is allowed only with \"tools\"", e);
	if (r->tool_name && !is_named(r->tools, json_array_size(r->tools), r->tool_name))
		return no_such_tool(name, r->tool_name, e);
	if (r->allowed)
		TRY(keep_allowed(r, e));
	if (!r->tools && api_read_member(r->root, name))
		return api_read_note(r, name, e);
	if (forced && r->constraint)
		TRY(api_read_note(r, r->constraint_field, e));
	if ((forced || r->constraint) && r->ignore_eos)
		return not_together("ignore_eos", "invalid_value",
				    ": an answer with a form must be able to end", e);
	return 0;
}

int api_read_together(struct api_request *r, struct err *e)
{
	if (r->top_logprobs && !r->logprobs)
		return not_together("top_logprobs", "invalid_value",
				    "is allowed only with \"logprobs\": true", e);
	if (r->tokens_max && r->tokens_min > r->tokens_max)
		return not_together("min_tokens", "invalid_value", "is more than \"max_tokens\"",
				    e);
	TRY(check_choice(r, e));
	if (r->greedy)
		r->temperature = 0;
	if (r->tool_choice == API_TOOLS_NONE) {
		json_decref(r->tools);
		r->tools = NULL;
	}
	return api_read_switches_done(r, e);
}
