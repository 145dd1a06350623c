/* Messages in the form that a template wants, and the canaries that find the form out. */
#include "engine/history.h"

#include "base/json.h"
#include "base/limits.h"
#include "template/template.h"

#include <string.h>

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for the messages");
}

/* ---- calls ---- */

/* json.dumps as templates know it. */
static int dump(const json_t *v, struct buf *out, struct err *e)
{
	static const char template[] = "{{ value | tojson }}";
	json_t *vars = json_pack("{sO}", "value", v);
	int rc = vars ? template_render(template, sizeof template - 1, vars, 0, out, NULL, e)
		      : no_memory(e);
	json_decref(vars);
	return rc;
}

/* The arguments of one call in the wanted form; text that is no JSON object stays text. */
static int shape_arguments(json_t *function, enum history_arguments form, struct err *e)
{
	json_t *v = json_object_get(function, "arguments"), *made = NULL;
	struct err ignored = { 0 };
	struct buf text = { 0 };
	int rc = 0;
	if (form == HISTORY_ARGUMENTS_OBJECT && json_is_string(v)) {
		if (json_read_as(&made, json_string_value(v), json_string_length(v),
				 LIMIT_REQUEST_BYTES, LIMIT_REQUEST_DEPTH, JSON_WIDE, &ignored) == 0 &&
		    !json_is_object(made)) {
			json_decref(made);
			made = NULL;
		}
	} else if (form == HISTORY_ARGUMENTS_TEXT && json_is_object(v)) {
		rc = dump(v, &text, e);
		made = rc == 0 ? json_stringn(text.bytes, text.len) : NULL;
	}
	buf_free(&text);
	if (rc == 0 && made && json_object_set_new(function, "arguments", made) < 0)
		rc = no_memory(e);
	return rc;
}

/* ---- ids ---- */

/* What the ids of the history are called now, and how many calls came before. */
struct ids {
	enum reply_ids form;
	json_t *now; /* id -> id */
	unsigned calls;
};

static int rename_id(json_t *in, const char *key, const char *id, struct err *e)
{
	return json_object_set_new(in, key, json_string(id)) < 0 ? no_memory(e) : 0;
}

/* A call's id. One that fits is kept. Where clients use an id again, the last call with it
 * counts. */
static int shape_call_id(struct ids *ids, json_t *call, struct err *e)
{
	const char *id = json_string_value(json_object_get(call, "id"));
	const char *name =
		json_string_value(json_object_get(json_object_get(call, "function"), "name"));
	char made[REPLY_ID_BYTES];
	unsigned index = ids->calls++;
	if (!id)
		return 0;
	if (!reply_id_fits(ids->form, id)) {
		struct digest from = digest_of(id, strlen(id));
		reply_id_make(ids->form, &from, name ? name : "", index, made);
		if (json_object_set_new(ids->now, id, json_string(made)) < 0)
			return no_memory(e);
		return rename_id(call, "id", made, e);
	}
	json_object_del(ids->now, id);
	return 0;
}

/* The id in a tool's answer: that of its call, or, without one, made of the id alone. */
static int shape_answer_id(const struct ids *ids, json_t *message, struct err *e)
{
	const char *id = json_string_value(json_object_get(message, "tool_call_id"));
	const char *now = id ? json_string_value(json_object_get(ids->now, id)) : NULL;
	char made[REPLY_ID_BYTES];
	if (now)
		return rename_id(message, "tool_call_id", now, e);
	if (!id || ids->form != REPLY_IDS_NINE || reply_id_fits(ids->form, id))
		return 0;
	struct digest from = digest_of(id, strlen(id));
	reply_id_make(ids->form, &from, "", 0, made);
	return rename_id(message, "tool_call_id", made, e);
}

/* ---- content ---- */

/* A list of text parts becomes their text; other kinds of parts are refused. */
static int shape_content(json_t *message, bool parts, struct err *e)
{
	const json_t *content = json_object_get(message, "content"), *part;
	struct buf text = { 0 };
	size_t i;
	if (!json_is_array(content))
		return 0;
	json_array_foreach((json_t *)content, i, part) {
		const char *type = json_string_value(json_object_get(part, "type"));
		const char *s = json_string_value(json_object_get(part, "text"));
		if (!s || (type && strcmp(type, "text") != 0)) {
			buf_free(&text);
			return err_set(
				e, ERR_UNSUPPORTED,
				"not available in this version: message content of type %.40s",
				type ? type : "(none)");
		}
		buf_add_text(&text, s);
	}
	int rc = text.failed ? no_memory(e) : 0;
	const char *bytes = text.bytes ? text.bytes : "";
	json_t *joined = rc < 0 || parts ? NULL : json_stringn(bytes, text.len);
	if (rc == 0 && !parts && json_object_set_new(message, "content", joined) < 0)
		rc = no_memory(e);
	buf_free(&text);
	return rc;
}

/* ---- reasoning ---- */

static const char *const thought_names[] = { "reasoning_content", "reasoning", "thinking" };
#define THOUGHT_NAMES (sizeof thought_names / sizeof *thought_names)

/* Content that would stand beside reasoning goes behind it, as the template does with content
 * that stands alone. */
static json_t *joined_thought(const json_t *thought, const json_t *content)
{
	struct buf b = { 0 };
	buf_add(&b, json_string_value(thought), json_string_length(thought));
	buf_add_text(&b, "\n\n");
	buf_add(&b, json_string_value(content), json_string_length(content));
	json_t *all = b.failed ? NULL : json_stringn(b.bytes, b.len);
	buf_free(&b);
	return all;
}

static int shape_thought(const struct engine_history_form *f, json_t *message, struct err *e)
{
	json_t *content = json_object_get(message, "content"), *thought = NULL;
	for (size_t i = 0; i < THOUGHT_NAMES && !json_string_length(thought); i++)
		thought = json_object_get(message, thought_names[i]);
	if (!json_string_length(thought))
		return 0;
	if (f->thought_parts && json_is_string(content)) {
		json_t *parts = json_pack("[{s:s,s:O},{s:s,s:O}]", "type", "thinking", "thinking",
					  thought, "type", "text", "text", content);
		return json_object_set_new(message, "content", parts) < 0 ? no_memory(e) : 0;
	}
	bool calls = json_array_size(json_object_get(message, "tool_calls")) > 0;
	bool joins = f->thought_alone && calls && json_string_length(content) > 0;
	thought = joins ? joined_thought(thought, content) : json_incref(thought);
	int failed = thought ? 0 : -1;
	if (joins)
		failed |= json_object_set_new(message, "content", json_string(""));
	for (size_t i = 0; i < THOUGHT_NAMES && !failed; i++)
		failed |= json_object_set(message, thought_names[i], thought);
	json_decref(thought);
	return failed ? no_memory(e) : 0;
}

/* ---- one call in a message ---- */

/* The answers right behind `from` to the call with this id move to the end of out. */
static int take_answers(json_t *messages, size_t from, const char *id, json_t *out, struct err *e)
{
	while (from < json_array_size(messages)) {
		json_t *m = json_array_get(messages, from);
		const char *its = json_string_value(json_object_get(m, "tool_call_id"));
		const char *role = json_string_value(json_object_get(m, "role"));
		if (!role || strcmp(role, "tool") != 0)
			break;
		if (!id || !its || strcmp(id, its) != 0) {
			from++;
			continue;
		}
		if (json_array_append(out, m) < 0)
			return no_memory(e);
		json_array_remove(messages, from);
	}
	return 0;
}

/* A message's calls one by one, each in a message of its own with its answers behind it; the first
 * keeps content and reasoning. The message stands at `at`, and is taken out. */
static int split_message(json_t *messages, size_t at, json_t *out, struct err *e)
{
	json_t *message = json_incref(json_array_get(messages, at)), *call;
	json_t *calls = json_incref(json_object_get(message, "tool_calls"));
	size_t k;
	int rc = 0;
	json_array_remove(messages, at);
	json_array_foreach(calls, k, call) {
		json_t *one = json_pack("[O]", call);
		json_t *m = k == 0 ? json_copy(message)
				   : json_pack("{s:s,s:s}", "role", "assistant", "content", "");
		if (json_object_set_new(m, "tool_calls", one) < 0 ||
		    json_array_append_new(out, m) < 0)
			TRY_OUT(no_memory(e));
		const char *id = json_string_value(json_object_get(call, "id"));
		TRY_OUT(take_answers(messages, at, id, out, e));
	}
out:
	json_decref(calls);
	json_decref(message);
	return rc;
}

static int split_calls(json_t *messages, struct err *e)
{
	json_t *out = json_array();
	int rc = out ? 0 : no_memory(e);
	while (rc == 0 && json_array_size(messages) > 0) {
		json_t *m = json_array_get(messages, 0);
		if (json_array_size(json_object_get(m, "tool_calls")) > 1) {
			rc = split_message(messages, 0, out, e);
			continue;
		}
		if (json_array_append(out, m) < 0)
			rc = no_memory(e);
		json_array_remove(messages, 0);
	}
	if (rc == 0 && json_array_extend(messages, out) < 0)
		rc = no_memory(e);
	json_decref(out);
	return rc;
}

/* ---- messages ---- */

static int shape_message(const struct engine_history_form *f, struct ids *ids, json_t *message,
			 struct err *e)
{
	json_t *call;
	size_t k;
	TRY(shape_content(message, f->parts, e));
	TRY(shape_thought(f, message, e));
	json_array_foreach(json_object_get(message, "tool_calls"), k, call) {
		TRY(shape_call_id(ids, call, e));
		TRY(shape_arguments(json_object_get(call, "function"), f->arguments, e));
	}
	return shape_answer_id(ids, message, e);
}

int engine_history_shape(const struct engine_history_form *f, json_t *messages, struct err *e)
{
	struct ids ids = { .form = f->ids, .now = json_object() };
	int rc = ids.now ? 0 : no_memory(e);
	json_t *message;
	size_t i;
	if (rc == 0 && f->one_call)
		rc = split_calls(messages, e);
	json_array_foreach(messages, i, message) {
		if (rc == 0 && !json_is_object(message))
			rc = err_set(e, ERR_INPUT, "message %zu is not an object", i);
		if (rc == 0)
			rc = shape_message(f, &ids, message, e);
	}
	json_decref(ids.now);
	return rc;
}

/* ---- probing ---- */

#define THOUGHT "canary thought"
#define PART "canary part"
#define VALUE "twig"
#define CALL "{\"canary\": \"" VALUE "\"}"

struct prober {
	engine_history_render *render;
	const void *self;
};

static size_t occurrences(const struct buf *text, const char *what)
{
	size_t n = 0, len = strlen(what);
	const char *at = text->bytes, *end = at + text->len;
	for (; at && (at = memmem(at, (size_t)(end - at), what, len)); at += len)
		n++;
	return n;
}

/* How often the rendering of messages (consumed) holds what; -1 if the template refuses them. */
static int canary(const struct prober *p, json_t *messages, bool with_tools, const char *what)
{
	struct buf text = { 0 };
	struct err ignored = { 0 };
	json_t *tools = with_tools
				? json_pack("[{s:s,s:{s:s,s:s,s:{s:s,s:{}}}}]", "type", "function",
					    "function", "name", "canary_call", "description",
					    "sings", "parameters", "type", "object", "properties")
				: NULL;
	int n = -1;
	if (messages && (tools || !with_tools) &&
	    p->render(p->self, messages, tools, &text, &ignored) == 0)
		n = (int)occurrences(&text, what);
	json_decref(messages);
	json_decref(tools);
	buf_free(&text);
	return n;
}

/* A user, a call with these arguments (consumed) and this id, and what the tool answered. */
static json_t *call_canary(json_t *arguments, const char *id, const char *content,
			   const char *thought)
{
	json_t *m = json_pack("[{s:s,s:s},{s:s,s:s,s:[{s:s,s:s,s:{s:s,s:o}}]},{s:s,s:s,s:s,s:s}]",
			      "role", "user", "content", "canary", "role", "assistant", "content",
			      content, "tool_calls", "id", id, "type", "function", "function",
			      "name", "canary_call", "arguments", arguments, "role", "tool",
			      "tool_call_id", id, "name", "canary_call", "content", "seed");
	for (size_t i = 0; thought && i < THOUGHT_NAMES; i++)
		json_object_set_new(json_array_get(m, 1), thought_names[i], json_string(thought));
	return m;
}

/* The same without the tool's answer: not every template has a place for it. */
static json_t *lone_call_canary(json_t *arguments, const char *id)
{
	json_t *m = call_canary(arguments, id, "", NULL);
	json_array_remove(m, 2);
	return m;
}

static const char *const sample_ids[] = {
	[REPLY_IDS_CALL] = "call_0123456789abcdef01234567",
	[REPLY_IDS_NINE] = "a1B2c3D4e",
	[REPLY_IDS_FUNCTION] = "functions.canary_call:0",
};
static const char *const other_ids[] = {
	[REPLY_IDS_CALL] = "call_123456789abcdef012345678",
	[REPLY_IDS_NINE] = "b1B2c3D4e",
	[REPLY_IDS_FUNCTION] = "functions.canary_call:1",
};

/* A family that has ids of its own is taken at its word; else the first kind that the template
 * renders. */
static enum reply_ids probe_ids(const struct prober *p, enum reply_ids ids)
{
	static const enum reply_ids kinds[] = { REPLY_IDS_CALL, REPLY_IDS_NINE };
	for (size_t i = 0; i < 2 && ids == REPLY_IDS_CALL; i++)
		for (int bare = 0; bare < 2; bare++) {
			json_t *arguments = json_pack("{ss}", "canary", VALUE);
			const char *id = sample_ids[kinds[i]];
			json_t *m = bare ? lone_call_canary(arguments, id)
					 : call_canary(arguments, id, "", NULL);
			if (canary(p, m, !bare, CALL) >= 0)
				return kinds[i];
		}
	return ids;
}

/* Whether the template takes an object apart: it holds the value, and not as Python prints a
 * dict. */
static bool takes_object(const struct prober *p, const char *id, bool tools)
{
	json_t *m = lone_call_canary(json_pack("{ss}", "canary", VALUE), id);
	json_incref(m);
	bool held = canary(p, m, tools, VALUE) > 0;
	return canary(p, m, tools, "{'canary'") == 0 && held;
}

static enum history_arguments probe_arguments(const struct prober *p, const char *id)
{
	for (int tools = 1; tools >= 0; tools--) {
		if (takes_object(p, id, tools))
			return HISTORY_ARGUMENTS_OBJECT;
		if (canary(p, lone_call_canary(json_string(CALL), id), tools, CALL) == 1)
			return HISTORY_ARGUMENTS_TEXT;
	}
	return HISTORY_ARGUMENTS_ANY;
}

/* Arguments in the form that was found. */
static json_t *sample_arguments(enum history_arguments form, const char *value)
{
	return form == HISTORY_ARGUMENTS_TEXT ? json_sprintf("{\"canary\": \"%s\"}", value)
					      : json_pack("{ss}", "canary", value);
}

/* Two calls in one message, and their answers: whether the second is refused, or left out. */
static bool takes_one_call(const struct prober *p, const struct engine_history_form *f)
{
	const char *id = sample_ids[f->ids], *other = other_ids[f->ids];
	json_t *one = call_canary(sample_arguments(f->arguments, VALUE), id, "", NULL);
	json_t *two = call_canary(sample_arguments(f->arguments, VALUE), id, "", NULL);
	json_t *second = json_pack("{s:s,s:s,s:{s:s,s:o}}", "id", other, "type", "function",
				   "function", "name", "canary_call", "arguments",
				   sample_arguments(f->arguments, "branch"));
	json_t *answer = json_pack("{s:s,s:s,s:s,s:s}", "role", "tool", "tool_call_id", other,
				   "name", "canary_call", "content", "seed");
	json_array_append_new(json_object_get(json_array_get(two, 1), "tool_calls"), second);
	json_array_append_new(two, answer);
	bool takes = canary(p, one, true, VALUE) > 0;
	return canary(p, two, true, "branch") < 1 && takes;
}

/* A user and an assistant whose content (consumed) follows. */
static json_t *answer_canary(json_t *content, const char *thought)
{
	json_t *m = json_pack("[{s:s,s:s},{s:s,s:o}]", "role", "user", "content", "canary", "role",
			      "assistant", "content", content);
	for (size_t i = 0; thought && i < THOUGHT_NAMES; i++)
		json_object_set_new(json_array_get(m, 1), thought_names[i], json_string(thought));
	return m;
}

/* Whether the template takes a list of parts apart: it holds the text once, and not as Python
 * prints a list. */
static bool takes_list(const struct prober *p, json_t *messages, const char *what)
{
	json_incref(messages);
	bool once = canary(p, messages, false, what) == 1;
	return canary(p, messages, false, "'type'") == 0 && once;
}

static void probe_thoughts(const struct prober *p, struct engine_history_form *f)
{
	const char *id = sample_ids[f->ids];
	if (canary(p, answer_canary(json_string("nut"), THOUGHT), false, THOUGHT) < 1)
		f->thought_parts =
			takes_list(p,
				   answer_canary(json_pack("[{s:s,s:s},{s:s,s:s}]", "type",
							   "thinking", "thinking", THOUGHT, "type",
							   "text", "text", "nut"),
						 NULL),
				   THOUGHT);
	json_t *both = call_canary(json_pack("{ss}", "canary", VALUE), id, "nut", THOUGHT);
	json_t *alone = call_canary(json_pack("{ss}", "canary", VALUE), id, "", THOUGHT);
	bool refused = canary(p, both, true, THOUGHT) < 0;
	f->thought_alone = canary(p, alone, true, THOUGHT) > 0 && refused;
}

void engine_history_probe(struct engine_history_form *f, engine_history_render *render,
			  const void *self, enum reply_ids ids)
{
	const struct prober p = { render, self };
	f->ids = probe_ids(&p, ids);
	f->arguments = probe_arguments(&p, sample_ids[f->ids]);
	f->one_call = takes_one_call(&p, f);
	f->parts = takes_list(&p,
			      json_pack("[{s:s,s:[{s:s,s:s}]}]", "role", "user", "content", "type",
					"text", "text", PART),
			      PART);
	probe_thoughts(&p, f);
}
