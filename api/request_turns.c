/* Messages made of blocks and items. The text of a message is gathered until the other side speaks:
 * adding to a message that is there already would copy it once for each of its blocks. */
#include "api/request_turns.h"
#include "base/limits.h"

#include <string.h>

#define NAME_BYTES_MAX 256u
#define CALLS_MAX 128u /* of one message; as many as a reply may hold */

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for the request");
}

/* ---- errors ---- */

int api_item_bad(const char *list, size_t index, const char *member, const char *kind,
		 const char *what, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"%s\", item %zu: %s", list, index, what), kind,
		      "%s[%zu]%s", list, index, member);
}

int api_item_later(const char *list, size_t index, const char *what, const char *type,
		   struct err *e)
{
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED, "not available in this version: %s \"%.40s\"",
			      what, type),
		      "unsupported_value", "%s[%zu]", list, index);
}

int api_item_name(const char *list, size_t index, const json_t *o, const char *key,
		  const json_t **out, struct err *e)
{
	const json_t *v = api_read_member(o, key);
	size_t len = json_string_length(v);
	const char *kind = !v                     ? "missing_required_parameter"
			   : !json_is_string(v)   ? "invalid_type"
			   : len > NAME_BYTES_MAX ? "string_above_max_length"
						  : "invalid_value";
	*out = v;
	if (json_is_string(v) && len > 0 && len <= NAME_BYTES_MAX)
		return 0;
	return err_at(e,
		      err_set(e, ERR_INPUT,
			      "\"%s\", item %zu: \"%s\" is not a string of 1 to %u bytes", list,
			      index, key, NAME_BYTES_MAX),
		      kind, "%s[%zu].%s", list, index, key);
}

/* ---- messages ---- */

static int set_text(json_t *message, const char *key, const struct buf *text)
{
	return json_object_set_new(message, key,
				   json_stringn_nocheck(text->bytes ? text->bytes : "", text->len));
}

static int add_message(struct api_request *r, json_t *message, struct err *e)
{
	if (json_array_append_new(r->messages, message) < 0)
		return no_memory(e);
	if (json_array_size(r->messages) <= LIMIT_MESSAGES)
		return 0;
	return err_at(e,
		      err_set(e, ERR_INPUT, "more than %u messages, calls' results among them",
			      LIMIT_MESSAGES),
		      "array_above_max_length", "messages");
}

int api_turns_end(struct api_turns *t, struct err *e)
{
	const char *role = t->role;
	int failed = 0;
	if (!role)
		return 0;
	TRY(buf_done(&t->text, e));
	TRY(buf_done(&t->thought, e));
	json_t *message = json_pack("{s:s}", "role", role);
	failed |= set_text(message, "content", &t->text);
	if (t->thought.len)
		failed |= set_text(message, "reasoning_content", &t->thought);
	if (t->calls)
		failed |= json_object_set(message, "tool_calls", t->calls);
	json_decref(t->calls);
	t->calls = NULL;
	t->role = NULL;
	t->spoke = false;
	buf_clear(&t->text);
	buf_clear(&t->thought);
	if (failed) {
		json_decref(message);
		return no_memory(e);
	}
	return add_message(t->r, message, e);
}

void api_turns_free(struct api_turns *t)
{
	buf_free(&t->text);
	buf_free(&t->thought);
	json_decref(t->calls);
}

static int take_turn(struct api_turns *t, const char *role, struct err *e)
{
	if (t->role && strcmp(t->role, role) != 0)
		TRY(api_turns_end(t, e));
	t->role = role;
	return 0;
}

int api_turns_say(struct api_turns *t, const char *role, const json_t *text, struct err *e)
{
	TRY(take_turn(t, role, e));
	if (t->spoke)
		buf_add_byte(&t->text, '\n');
	t->spoke = true;
	buf_add(&t->text, json_string_value(text), json_string_length(text));
	return buf_done(&t->text, e);
}

int api_turns_content(struct api_turns *t, const char *list, const char *role,
		      const json_t *content, size_t index, struct err *e)
{
	if (json_is_string(content))
		return api_turns_say(t, role, content, e);
	if (!json_is_array(content))
		return api_item_bad(list, index, ".content", "invalid_type",
				    "\"content\" is neither a string nor a list", e);
	if (json_array_size(content) == 0 && strcmp(role, "assistant") != 0)
		return api_item_bad(list, index, ".content", "empty_array", "no content", e);
	return 0;
}

int api_turns_think(struct api_turns *t, const char *text, size_t len, struct err *e)
{
	TRY(take_turn(t, "assistant", e));
	buf_add(&t->thought, text, len);
	return buf_done(&t->thought, e);
}

int api_turns_call(struct api_turns *t, const json_t *id, const json_t *name,
		   const json_t *arguments, struct err *e)
{
	TRY(take_turn(t, "assistant", e));
	if (!t->calls)
		t->calls = json_array();
	if (json_array_size(t->calls) >= CALLS_MAX)
		return err_at(e,
			      err_set(e, ERR_INPUT, "more than %u calls in one message", CALLS_MAX),
			      "array_above_max_length", "messages");
	json_t *call = json_pack("{s:O,s:s,s:{s:O,s:O}}", "id", id, "type", "function", "function",
				 "name", name, "arguments", arguments);
	return json_array_append_new(t->calls, call) < 0 ? no_memory(e) : 0;
}

int api_turns_result(struct api_turns *t, const json_t *id, const struct buf *text, struct err *e)
{
	TRY(api_turns_end(t, e));
	json_t *message = json_pack("{s:s}", "role", "tool");
	/* in the order of chat's: a template may print all of a message */
	int failed = set_text(message, "content", text);
	failed |= json_object_set(message, "tool_call_id", (json_t *)id);
	if (!failed)
		return add_message(t->r, message, e);
	json_decref(message);
	return no_memory(e);
}
