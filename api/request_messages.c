/* The field `messages`: who said what. A message is read into a clean copy that holds only what a
 * chat template may see; members that nobody knows have no effect. The older form of calls
 * (function_call, role "function") becomes the later one. */
#include "base/json.h"
#include "base/limits.h"
#include "api/request_turns.h"

#include <string.h>

#define NAME_BYTES_MAX 256u
#define CALLS_MAX 128u /* of one message; as many as a reply may hold */

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for the request");
}

static int bad(size_t index, const char *member, const char *kind, const char *what, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"messages\", item %zu: %s", index, what), kind,
		      "messages[%zu]%s", index, member);
}

static int later(size_t index, const char *member, const char *what, const char *value,
		 struct err *e)
{
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED, "not available in this version: %s \"%.40s\"",
			      what, value),
		      "unsupported_value", "messages[%zu]%s", index, member);
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
	const json_t *v = api_read_member(message, "role");
	const char *role = json_string_value(v);
	if (!role)
		return bad(index, ".role", v ? "invalid_type" : "missing_required_parameter",
			   "\"role\" is not a string", e);
	if (strcmp(role, "developer") == 0)
		role = "system";
	if (strcmp(role, "function") == 0)
		role = "tool";
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(role, known[i]) == 0) {
			*out = known[i];
			return 0;
		}
	}
	return err_at(e,
		      err_set(e, ERR_INPUT, "\"messages\", item %zu: unknown role \"%.40s\"", index,
			      role),
		      "invalid_value", "messages[%zu].role", index);
}

/* ---- content ---- */

/* What the parts of one content say. */
struct said {
	struct buf text, thought;
	bool spoke; /* a part of text was there */
};

/* The text of a part; NULL: it is none. A refusal is what an assistant said, too. */
static const json_t *text_of_part(const json_t *part, const char *type, bool assistant)
{
	static const char *const types[] = { "text", "input_text", "output_text" };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(type, types[i]) == 0)
			return api_read_member(part, "text");
	return assistant && strcmp(type, "refusal") == 0 ? api_read_member(part, "refusal") : NULL;
}

bool api_is_media(const char *type)
{
	static const char *const types[] = { "image_url",   "image",     "input_image",
					     "input_audio", "audio_url", "audio",
					     "video_url",   "video",     "file",
					     "input_file",  "document" };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* {"type": "text", "text": ...} appended to what was said; of an assistant reasoning too. */
static int read_part(struct api_request *r, const json_t *part, size_t index, bool assistant,
		     struct said *said, struct err *e)
{
	static const char *const keys[] = { "type", "text", "refusal", NULL };
	const char *type = json_string_value(json_object_get(part, "type"));
	if (type && api_is_media(type))
		return later(index, ".content", "content parts of type", type, e);
	if (type && assistant && api_read_is_thought(type))
		return api_read_thought_part(part, index, &said->thought, e);
	const json_t *text = json_is_string(part) ? part
			     : type               ? text_of_part(part, type, assistant)
						  : NULL;
	if (!json_is_string(text))
		return bad(index, ".content", "invalid_value",
			   "expected parts {\"type\": \"text\", \"text\": string}", e);
	if (said->spoke)
		buf_add_byte(&said->text, '\n');
	said->spoke = true;
	buf_add(&said->text, json_string_value(text), json_string_length(text));
	return json_is_object(part) ? api_read_others(r, part, keys, "messages.content", e) : 0;
}

static int join_parts(struct api_request *r, const json_t *parts, size_t index, bool assistant,
		      struct said *said, struct err *e)
{
	size_t i;
	json_t *part;
	if (json_array_size(parts) == 0)
		return bad(index, ".content", "empty_array", "no content", e);
	json_array_foreach(parts, i, part)
		TRY(read_part(r, part, index, assistant, said, e));
	TRY(buf_done(&said->thought, e));
	return buf_done(&said->text, e);
}

/* Only an assistant's message may be without: it called tools, reasoned, or said nothing. */
static int read_content(struct api_request *r, const json_t *message, size_t index, json_t **out,
			json_t **thought, struct err *e)
{
	json_t *content = api_read_member(message, "content");
	bool assistant = is_role(message, "assistant");
	struct said said = { 0 };
	int rc = 0;
	if (assistant && !content)
		content = api_read_member(message, "refusal");
	if (json_is_array(content))
		TRY_OUT(join_parts(r, content, index, assistant, &said, e));
	TRY_OUT(api_read_thought(r, message, index, &said.thought, thought, e));
	if (!json_is_string(content) && !json_is_array(content) && (content || !assistant))
		TRY_OUT(bad(index, ".content", "invalid_type",
			    "\"content\" is neither a string nor a list", e));
	*out = json_is_string(content)
		       ? json_incref(content)
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
	json_t *v = api_read_member(o, key);
	size_t len = json_string_length(v);
	const char *kind = !v                     ? "missing_required_parameter"
			   : !json_is_string(v)   ? "invalid_type"
			   : len > NAME_BYTES_MAX ? "string_above_max_length"
						  : "invalid_value";
	if (!json_is_string(v) || len == 0 || len > NAME_BYTES_MAX)
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"messages\", item %zu: \"%s\" is not a string of 1 to %u "
				      "bytes",
				      index, key, NAME_BYTES_MAX),
			      kind, "messages[%zu].%s", index, key);
	*out = v;
	return 0;
}

/* What a model wrote that is no object, such as the arguments of a call that was cut off: a client
 * sends it back with the tool's complaint. The name is the one that pydantic-ai shows it under. */
static int read_broken(const json_t *text, json_t **out, struct err *e)
{
	*out = json_pack("{s:O}", "INVALID_JSON", text);
	return *out ? 0 : no_memory(e);
}

/* Nothing, "" and "null" are what models write for no arguments. */
int api_read_arguments(struct api_request *r, const json_t *v, json_t **out, struct err *e)
{
	const char *text = json_string_value(v);
	struct err why = { 0 };
	if (!v || !text || !*text || strcmp(text, "null") == 0) {
		*out = json_object();
		return *out ? 0 : no_memory(e);
	}
	TRY(api_read_shape(r, text, json_string_length(v), e));
	int rc = json_read_as(out, text, json_string_length(v), LIMIT_REQUEST_BYTES,
			      LIMIT_REQUEST_DEPTH, JSON_WIDE, &why);
	if (rc == 0 && json_is_object(*out))
		return 0;
	if (rc == 0)
		json_decref(*out);
	*out = NULL;
	return rc == ERR_NOMEM ? no_memory(e) : read_broken(v, out, e);
}

/* The text of an object, or the object; the engine gives templates the form that they expect. */
static int read_arguments(struct api_request *r, const json_t *function, size_t index, json_t **out,
			  struct err *e)
{
	json_t *v = api_read_member(function, "arguments");
	if (json_is_object(v)) {
		*out = json_incref(v);
		return 0;
	}
	if (v && !json_is_string(v))
		return bad(index, ".tool_calls", "invalid_type",
			   "\"arguments\" of a tool call is not a string", e);
	return api_read_arguments(r, v, out, e);
}

static int add_call(struct api_request *r, json_t *id, const json_t *function, size_t index,
		    json_t *out, struct err *e)
{
	static const char *const inner[] = { "name", "arguments", NULL };
	json_t *name = NULL, *arguments = NULL;
	TRY(api_read_others(r, function, inner, "messages.tool_calls.function", e));
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

static int read_call(struct api_request *r, const json_t *call, size_t index, json_t *out,
		     struct err *e)
{
	static const char *const keys[] = { "id", "type", "function", "index", NULL };
	const json_t *function = api_read_member(call, "function");
	const char *type = json_string_value(json_object_get(call, "type"));
	json_t *id;
	if (type && strcmp(type, "function") != 0)
		return later(index, ".tool_calls", "tool calls of type", type, e);
	if (!json_is_object(call) || !json_is_object(function))
		return bad(index, ".tool_calls", "invalid_type",
			   "expected tool calls {\"id\", \"type\", \"function\"}", e);
	TRY(api_read_others(r, call, keys, "messages.tool_calls", e));
	TRY(read_name(call, "id", index, &id, e));
	return add_call(r, id, function, index, out, e);
}

/* The id of a call in the older form, which has none, by the message that it stands in (new
 * reference). */
static json_t *old_id(size_t index)
{
	char id[40];
	snprintf(id, sizeof id, "call_%024zx", index);
	return json_string(id);
}

static int read_old_call(struct api_request *r, const json_t *function, size_t index, json_t *out,
			 struct err *e)
{
	if (!json_is_object(function))
		return bad(index, ".function_call", "invalid_type",
			   "\"function_call\" is not an object", e);
	json_t *id = old_id(index);
	int rc = id ? add_call(r, id, function, index, out, e) : no_memory(e);
	json_decref(id);
	return rc;
}

static int read_calls(struct api_request *r, const json_t *message, size_t index, json_t *clean,
		      struct err *e)
{
	const json_t *calls = api_read_member(message, "tool_calls");
	const json_t *old = api_read_member(message, "function_call");
	size_t i;
	json_t *call, *list;
	if (calls && (!json_is_array(calls) || json_array_size(calls) > CALLS_MAX))
		return bad(index, ".tool_calls",
			   json_is_array(calls) ? "array_above_max_length" : "invalid_type",
			   "\"tool_calls\" is not a list of at most 128 calls", e);
	if (json_array_size(calls) == 0 && !old)
		return 0;
	if (!is_role(message, "assistant"))
		return bad(index, ".tool_calls", "invalid_value",
			   "\"tool_calls\" of a message that is not an assistant's", e);
	list = json_array();
	if (json_object_set_new(clean, "tool_calls", list) < 0)
		return no_memory(e);
	json_array_foreach(calls, i, call)
		TRY(read_call(r, call, index, list, e));
	return json_array_size(list) || !old ? 0 : read_old_call(r, old, index, list, e);
}

/* ---- messages ---- */

static int copy_member(json_t *clean, const char *key, json_t *v, struct err *e)
{
	return json_object_set(clean, key, v) < 0 ? no_memory(e) : 0;
}

/* The call that a message of role "function" answers: the last one that was made. */
static int answer_old_call(struct api_request *r, size_t index, json_t *clean, struct err *e)
{
	for (size_t i = json_array_size(r->messages); i-- > 0;) {
		const json_t *calls = json_object_get(json_array_get(r->messages, i), "tool_calls");
		json_t *last = json_array_get(calls, json_array_size(calls) - 1);
		if (last)
			return copy_member(clean, "tool_call_id", json_object_get(last, "id"), e);
	}
	return bad(index, "", "invalid_value", "no call comes before the answer of a function", e);
}

/* What a tool's message says of its call. */
static int read_extras(struct api_request *r, const json_t *message, size_t index, json_t *clean,
		       struct err *e)
{
	json_t *name = api_read_member(message, "name"), *v;
	bool old = is_role(message, "function");
	if (name && !json_is_string(name))
		return bad(index, ".name", "invalid_type", "\"name\" is not a string", e);
	if (!old && !is_role(message, "tool"))
		return name ? api_read_note(r, "messages.name", e) : 0;
	if (old) {
		TRY(answer_old_call(r, index, clean, e));
	} else {
		TRY(read_name(message, "tool_call_id", index, &v, e));
		TRY(copy_member(clean, "tool_call_id", v, e));
	}
	return name ? copy_member(clean, "name", name, e) : 0;
}

/* Members that would change the prompt, with a value that says that they should. */
static int check_members(const json_t *message, size_t index, struct err *e)
{
	static const char *const asked[] = { "audio", "tools", "prefix", "partial" };
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		const json_t *v = api_read_member(message, asked[i]);
		size_t size = json_string_length(v) + json_array_size(v) + json_object_size(v);
		if (size || json_is_true(v))
			return err_at(e,
				      err_set(e, ERR_UNSUPPORTED,
					      "not available in this version: \"%s\" of a message",
					      asked[i]),
				      "unsupported_parameter", "messages[%zu].%s", index, asked[i]);
	}
	return 0;
}

static int note_members(struct api_request *r, const json_t *message, struct err *e)
{
	static const char *const read[] = { "role",          "content",      "name",
					    "tool_calls",    "tool_call_id", "reasoning_content",
					    "reasoning",     "thinking",     "reasoning_details",
					    "function_call", "refusal",      NULL };
	if (api_read_member(message, "refusal") && api_read_member(message, "content"))
		TRY(api_read_note(r, "messages.refusal", e));
	return api_read_others(r, message, read, "messages", e);
}

static int fill_message(struct api_request *r, const json_t *message, size_t index, json_t *clean,
			struct err *e)
{
	const char *role = NULL;
	json_t *text = NULL, *thought = NULL;
	TRY(read_role(message, index, &role, e));
	TRY(check_members(message, index, e));
	TRY(note_members(r, message, e));
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
		return bad(index, "", "invalid_type", "expected an object", e);
	json_t *clean = json_object();
	int rc = clean ? fill_message(r, message, index, clean, e) : no_memory(e);
	if (rc == 0 && json_array_append(r->messages, clean) < 0)
		rc = no_memory(e);
	json_decref(clean);
	if (rc < 0 && e && !e->at[0])
		err_at(e, rc, "invalid_value", "messages[%zu]", index);
	return rc;
}

int api_read_messages(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *message;
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list of at least one message", e);
	if (json_array_size(v) == 0)
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"messages\": expected a list of at least one message"),
			      "empty_array", "messages");
	if (json_array_size(v) > LIMIT_MESSAGES)
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"messages\": %zu of them; at most %u are taken",
				      json_array_size(v), LIMIT_MESSAGES),
			      "array_above_max_length", "messages");
	json_array_foreach(v, i, message)
		TRY(read_message(r, message, i, e));
	return 0;
}
