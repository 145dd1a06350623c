/* The field `messages`: who said what. A message is read into a clean copy that holds only what a
 * chat template may see; members that this version does not know are refused by name. */
#include "base/json.h"
#include "base/limits.h"
#include "api/request_read.h"

#include <string.h>

#define NAME_BYTES_MAX 256u
#define CALLS_MAX 128u /* of one message; as many as a reply may hold */

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for the request");
}

static int bad(size_t index, const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "\"messages\", item %zu: %s", index, what);
}

static bool is_role(const json_t *message, const char *role)
{
	const char *is = json_string_value(json_object_get(message, "role"));
	return is && strcmp(is, role) == 0;
}

/* The role as templates know it: no released one treats "developer" otherwise than "system". */
static int read_role(const json_t *message, size_t index, const char **out, struct err *e)
{
	static const char *const known[] = { "system", "user", "assistant", "tool" };
	const char *role = json_string_value(json_object_get(message, "role"));
	if (!role)
		return bad(index, "\"role\" is not a string", e);
	if (strcmp(role, "function") == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: messages of role \"%s\"", role);
	if (strcmp(role, "developer") == 0)
		role = "system";
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(role, known[i]) == 0) {
			*out = known[i];
			return 0;
		}
	}
	return err_set(e, ERR_INPUT, "\"messages\", item %zu: unknown role \"%.40s\"", index, role);
}

/* ---- content ---- */

/* What the parts of one content say. */
struct said {
	struct buf text, thought;
	bool spoke; /* a part of text was there */
};

/* {"type": "text", "text": ...} appended to what was said; of an assistant reasoning too. */
static int read_part(const json_t *part, size_t index, bool assistant, struct said *said,
		     struct err *e)
{
	static const char *const later[] = { "image_url", "input_audio", "file", "refusal" };
	static const char *const keys[] = { "type", "text", NULL };
	const char *type = json_string_value(json_object_get(part, "type"));
	const json_t *text = json_object_get(part, "text");
	for (size_t i = 0; type && i < sizeof later / sizeof *later; i++)
		if (strcmp(type, later[i]) == 0)
			return err_set(
				e, ERR_UNSUPPORTED,
				"not available in this version: content parts of type \"%s\"",
				type);
	if (type && assistant && api_read_is_thought(type))
		return api_read_thought_part(part, index, &said->thought, e);
	if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
		return bad(index, "expected parts {\"type\": \"text\", \"text\": string}", e);
	TRY(json_only_keys(part, keys, "a content part", e));
	if (said->spoke)
		buf_add_byte(&said->text, '\n');
	said->spoke = true;
	buf_add(&said->text, json_string_value(text), json_string_length(text));
	return 0;
}

static int join_parts(const json_t *parts, size_t index, bool assistant, struct said *said,
		      struct err *e)
{
	size_t i;
	json_t *part;
	if (json_array_size(parts) == 0)
		return bad(index, "no content", e);
	json_array_foreach(parts, i, part)
		TRY(read_part(part, index, assistant, said, e));
	TRY(buf_done(&said->thought, e));
	return buf_done(&said->text, e);
}

/* Only an assistant's message that calls tools, or that has reasoned, may be without. */
static int read_content(struct api_request *r, const json_t *message, size_t index, json_t **out,
			json_t **thought, struct err *e)
{
	const json_t *content = json_object_get(message, "content");
	bool assistant = is_role(message, "assistant");
	bool none = !content || json_is_null(content);
	struct said said = { 0 };
	int rc = 0;
	if (json_is_array(content))
		TRY_OUT(join_parts(content, index, assistant, &said, e));
	TRY_OUT(api_read_thought(r, message, index, &said.thought, thought, e));
	bool may_lack =
		assistant && (*thought || json_array_size(json_object_get(message, "tool_calls")));
	if (!json_is_string(content) && !json_is_array(content) && !(none && may_lack))
		TRY_OUT(bad(index, "\"content\" is neither a string nor a list", e));
	*out = json_is_string(content)
		       ? json_incref((json_t *)content)
		       : json_stringn_nocheck(said.text.bytes ? said.text.bytes : "",
					      said.text.len);
	rc = *out ? 0 : no_memory(e);
out:
	buf_free(&said.text);
	buf_free(&said.thought);
	return rc;
}

/* ---- tool calls of an earlier answer ---- */

/* A string member of 1..NAME_BYTES_MAX bytes. */
static int read_name(const json_t *o, const char *key, size_t index, json_t **out, struct err *e)
{
	json_t *v = json_object_get(o, key);
	size_t len = json_string_length(v);
	if (!json_is_string(v) || len == 0 || len > NAME_BYTES_MAX)
		return err_set(e, ERR_INPUT,
			       "\"messages\", item %zu: \"%s\" is not a string of 1 to %u bytes",
			       index, key, NAME_BYTES_MAX);
	*out = v;
	return 0;
}

/* The text of a JSON object; the engine gives templates the form that they expect. */
static int read_arguments(struct api_request *r, const json_t *function, size_t index, json_t **out,
			  struct err *e)
{
	const json_t *v = json_object_get(function, "arguments");
	struct err why = { 0 };
	if (!json_is_string(v))
		return bad(index, "\"arguments\" of a tool call is not a string", e);
	if (json_string_length(v) == 0) {
		*out = json_object();
		return *out ? 0 : no_memory(e);
	}
	TRY(api_read_shape(r, json_string_value(v), json_string_length(v), e));
	int rc = json_read_as(out, json_string_value(v), json_string_length(v), LIMIT_REQUEST_BYTES,
			      LIMIT_JSON_DEPTH, JSON_WIDE, &why);
	if (rc == 0 && json_is_object(*out))
		return 0;
	return rc == ERR_NOMEM ? no_memory(e)
			       : bad(index, "\"arguments\" of a tool call is not a JSON object", e);
}

static int read_call(struct api_request *r, const json_t *call, size_t index, json_t *out,
		     struct err *e)
{
	static const char *const keys[] = { "id", "type", "function", "index", NULL };
	static const char *const inner[] = { "name", "arguments", NULL };
	const json_t *function = json_object_get(call, "function");
	const char *type = json_string_value(json_object_get(call, "type"));
	json_t *id, *name, *arguments = NULL;
	if (!json_is_object(call) || !json_is_object(function))
		return bad(index, "expected tool calls {\"id\", \"type\", \"function\"}", e);
	if (type && strcmp(type, "function") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: tool calls of type \"%.40s\"", type);
	TRY(json_only_keys(call, keys, "a tool call", e));
	TRY(json_only_keys(function, inner, "the function of a tool call", e));
	TRY(read_name(call, "id", index, &id, e));
	TRY(read_name(function, "name", index, &name, e));
	int rc = read_arguments(r, function, index, &arguments, e);
	json_t *clean = rc < 0 ? NULL
			       : json_pack("{s:O,s:s,s:{s:O,s:O}}", "id", id, "type", "function",
					   "function", "name", name, "arguments", arguments);
	json_decref(arguments);
	if (rc < 0)
		return rc;
	return json_array_append_new(out, clean) < 0 ? no_memory(e) : 0;
}

static int read_calls(struct api_request *r, const json_t *message, size_t index, json_t *clean,
		      struct err *e)
{
	const json_t *calls = json_object_get(message, "tool_calls");
	size_t i;
	json_t *call, *list;
	if (!calls || json_is_null(calls))
		return 0;
	if (!json_is_array(calls) || json_array_size(calls) > CALLS_MAX)
		return bad(index, "\"tool_calls\" is not a list of at most 128 calls", e);
	if (json_array_size(calls) == 0)
		return 0;
	if (!is_role(message, "assistant"))
		return bad(index, "\"tool_calls\" of a message that is not an assistant's", e);
	list = json_array();
	if (json_object_set_new(clean, "tool_calls", list) < 0)
		return no_memory(e);
	json_array_foreach(calls, i, call)
		TRY(read_call(r, call, index, list, e));
	return 0;
}

/* ---- messages ---- */

static int copy_member(json_t *clean, const char *key, json_t *v, struct err *e)
{
	return json_object_set(clean, key, v) < 0 ? no_memory(e) : 0;
}

/* What a tool's message says of its call. */
static int read_extras(struct api_request *r, const json_t *message, size_t index, json_t *clean,
		       struct err *e)
{
	json_t *name = json_object_get(message, "name"), *v;
	if (name && !json_is_null(name) && !json_is_string(name))
		return bad(index, "\"name\" is not a string", e);
	if (is_role(message, "tool")) {
		TRY(read_name(message, "tool_call_id", index, &v, e));
		TRY(copy_member(clean, "tool_call_id", v, e));
		if (json_is_string(name))
			TRY(copy_member(clean, "name", name, e));
	} else if (json_is_string(name)) {
		TRY(api_read_note(r, "messages.name", e));
	}
	return 0;
}

/* Members that clients send back from an earlier answer; only their absence (null or an empty list)
 * is understood. */
static int check_members(const json_t *message, struct err *e)
{
	static const char *const read[] = { "role",       "content",      "name",
					    "tool_calls", "tool_call_id", "reasoning_content",
					    "reasoning",  "thinking",     "reasoning_details" };
	static const char *const empty[] = { "refusal", "audio", "function_call", "annotations" };
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)message, key, v) {
		bool fine = json_is_null(v);
		for (size_t i = 0; i < sizeof read / sizeof *read; i++)
			fine |= strcmp(key, read[i]) == 0;
		for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
			fine |= strcmp(key, empty[i]) == 0 && json_is_array(v) &&
				json_array_size(v) == 0;
		if (!fine)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: \"%.100s\" of a message",
				       key);
	}
	return 0;
}

static int fill_message(struct api_request *r, const json_t *message, size_t index, json_t *clean,
			struct err *e)
{
	const char *role = NULL;
	json_t *text = NULL, *thought = NULL;
	TRY(read_role(message, index, &role, e));
	TRY(check_members(message, e));
	int rc = read_content(r, message, index, &text, &thought, e);
	if (rc == 0 && json_object_set_new(clean, "role", json_string(role)) < 0)
		rc = no_memory(e);
	if (rc == 0 && json_object_set(clean, "content", text) < 0)
		rc = no_memory(e);
	if (rc == 0 && thought)
		rc = copy_member(clean, "reasoning_content", thought, e);
	json_decref(text);
	json_decref(thought);
	TRY(rc);
	TRY(read_extras(r, message, index, clean, e));
	return read_calls(r, message, index, clean, e);
}

static int read_message(struct api_request *r, const json_t *message, size_t index, struct err *e)
{
	if (!json_is_object(message))
		return bad(index, "expected an object", e);
	json_t *clean = json_object();
	int rc = clean ? fill_message(r, message, index, clean, e) : no_memory(e);
	if (rc == 0 && json_array_append(r->messages, clean) < 0)
		rc = no_memory(e);
	json_decref(clean);
	return rc;
}

int api_read_messages(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *message;
	if (!json_is_array(v) || json_array_size(v) == 0)
		return api_read_unexpected(name, "a list of at least one message", e);
	if (json_array_size(v) > LIMIT_MESSAGES)
		return err_set(e, ERR_INPUT, "\"messages\": %zu of them; at most %u are taken",
			       json_array_size(v), LIMIT_MESSAGES);
	json_array_foreach(v, i, message)
		TRY(read_message(r, message, i, e));
	return 0;
}
