/* What comes in is filtered before the model sees it: messages, earlier calls and the template's
 * variables by the input rules, what tools answered by those for tool results, tool definitions by
 * those for metadata, or by the input rules where there are none. Names and ids link things, so
 * that a rule that would change one ends the request. */
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

/* A request may have so many findings, looked at every so many bytes, and so many texts: all of
 * them stand in its record, and a record that is refused would leave the request without one. */
#define FINDINGS_MAX 10000u
#define SCANS_MAX 10000u
#define SCAN_PIECE KIB(64)

const struct policy_profile *serve_chat_profile(const struct serve_chat *c)
{
	return c->bundle->profile;
}

const struct filter_set *serve_rules(const struct serve_chat *c, enum policy_phase phase)
{
	const struct filter_set *set = serve_bundle_rules(c->bundle, phase);
	return set ? set : c->service->none;
}

bool serve_shadowed(const struct serve_chat *c)
{
	const struct policy_profile *p = serve_chat_profile(c);
	return p && p->mode == POLICY_SHADOW;
}

/* ---- one text ---- */

static int push_text(struct serve_chat *c, struct filter_stream *f, const char *text, size_t len,
		     struct buf *clean, struct err *e)
{
	struct cleared out;
	int rc = FILTER_OPEN;
	for (size_t at = 0; rc == FILTER_OPEN && at < len; at += SCAN_PIECE) {
		size_t n = len - at < SCAN_PIECE ? len - at : SCAN_PIECE;
		TRY(rc = filter_stream_push(f, text + at, n, &out, e));
		buf_add(clean, out.bytes, out.len);
		size_t found = filter_stream_record(f)->findings;
		if (rc == FILTER_OPEN &&
		    json_array_size(c->notes.interventions) + found > FINDINGS_MAX) {
			filter_stream_abort(f);
			return FILTER_LIMIT;
		}
	}
	if (rc != FILTER_OPEN)
		return rc;
	TRY(rc = filter_stream_end(f, &out, e));
	buf_add(clean, out.bytes, out.len);
	return rc;
}

/* Filter one text; `clean` receives what the rules leave of it. how: enum filter_how. */
static int scan_text(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		     unsigned how, const char *text, size_t len, struct buf *clean, struct err *e)
{
	struct filter_stream *f;
	buf_clear(clean);
	if (c->notes.scan_count >= SCANS_MAX)
		return FILTER_LIMIT;
	TRY(filter_stream_open(&f, serve_rules(c, phase),
			       how | (serve_shadowed(c) ? FILTER_SHADOW : 0), e));
	int rc = push_text(c, f, text, len, clean, e);
	if (rc >= 0) {
		int noted = serve_notes_add(&c->notes, where, filter_stream_record(f), e);
		rc = noted < 0 ? noted : rc;
	}
	filter_stream_close(f);
	if (rc >= 0 && buf_done(clean, e) < 0)
		rc = ERR_NOMEM;
	return rc;
}

static bool is_same(const struct buf *clean, const char *text, size_t len)
{
	return clean->len == len &&
	       (len == 0 || (text != NULL && memcmp(clean->bytes, text, len) == 0));
}

/* Filter a string and replace it by what the rules leave of it. */
static int scan_string(struct serve_chat *c, enum policy_phase phase,
		       const struct serve_scan *where, json_t *string, struct err *e)
{
	struct buf clean = { 0 };
	int rc = scan_text(c, phase, where, 0, json_string_value(string),
			   json_string_length(string), &clean, e);
	if (rc == FILTER_COMPLETE &&
	    json_string_setn_nocheck(string, clean.bytes ? clean.bytes : "", clean.len) < 0)
		rc = err_set(e, ERR_NOMEM, "out of memory");
	buf_free(&clean);
	return rc;
}

/* Filter a text that cannot be changed: a rule that would change it ends the request. */
static int scan_fixed(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		      const char *text, size_t len, struct err *e)
{
	struct buf clean = { 0 };
	int rc = scan_text(c, phase, where, 0, text, len, &clean, e);
	if (rc == FILTER_COMPLETE && !is_same(&clean, text, len))
		rc = FILTER_BLOCKED;
	buf_free(&clean);
	return rc;
}

/* ---- JSON ---- */

/* Filter the member `key` of an object as the JSON text that it is, and replace it by what the
 * rules leave of it. Keys link things: a rule that would change one ends the request. */
static int scan_json(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		     json_t *in, const char *key, struct err *e)
{
	struct buf text = { 0 }, clean = { 0 };
	const json_t *v = json_object_get(in, key);
	json_t *left = NULL;
	if (!v)
		return FILTER_COMPLETE;
	int rc = json_write(v, 0, &text, e);
	if (rc == 0)
		rc = scan_text(c, phase, where, FILTER_JSON | FILTER_KEYS_STAY, text.bytes,
			       text.len, &clean, e);
	if (rc == FILTER_COMPLETE && !is_same(&clean, text.bytes, text.len)) {
		TRY_OUT(json_read_written(&left, clean.bytes, clean.len, SIZE_MAX,
					  LIMIT_REQUEST_DEPTH, e));
		if (json_object_set_new_nocheck(in, key, left) < 0)
			TRY_OUT(err_set(e, ERR_NOMEM, "out of memory"));
		rc = FILTER_COMPLETE;
	}
out:
	buf_free(&text);
	buf_free(&clean);
	return rc;
}

/* ---- messages ---- */

static int scan_ids(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		    const json_t *o, const char *const *key, size_t keys, struct err *e)
{
	int rc = FILTER_COMPLETE;
	for (size_t i = 0; i < keys && rc == FILTER_COMPLETE; i++) {
		const json_t *v = json_object_get(o, key[i]);
		struct serve_scan here = *where;
		here.member = key[i];
		if (v)
			rc = scan_fixed(c, phase, &here, json_string_value(v),
					json_string_length(v), e);
	}
	return rc;
}

static int scan_calls(struct serve_chat *c, size_t index, json_t *message, struct err *e)
{
	static const char *const id[] = { "id" }, *const name[] = { "name" };
	size_t i;
	json_t *call;
	json_array_foreach(json_object_get(message, "tool_calls"), i, call) {
		json_t *function = json_object_get(call, "function");
		struct serve_scan where = {
			.phase = "input", .index = index, .member = "arguments", .item = i
		};
		int rc = scan_ids(c, POLICY_INPUT, &where, call, id, 1, e);
		if (rc == FILTER_COMPLETE)
			rc = scan_ids(c, POLICY_INPUT, &where, function, name, 1, e);
		if (rc == FILTER_COMPLETE)
			rc = scan_json(c, POLICY_INPUT, &where, function, "arguments", e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	return FILTER_COMPLETE;
}

static int scan_message(struct serve_chat *c, size_t index, json_t *message, struct err *e)
{
	static const char *const ids[] = { "name", "tool_call_id" };
	bool tool = strcmp(json_string_value(json_object_get(message, "role")), "tool") == 0;
	enum policy_phase phase = tool ? POLICY_TOOL_RESULTS : POLICY_INPUT;
	struct serve_scan where = { .phase = policy_phase_name(phase), .index = index };
	json_t *thought = json_object_get(message, "reasoning_content");
	int rc = scan_string(c, phase, &where, json_object_get(message, "content"), e);
	if (rc == FILTER_COMPLETE && thought) {
		struct serve_scan there = where;
		there.member = "reasoning_content";
		rc = scan_string(c, phase, &there, thought, e);
	}
	if (rc == FILTER_COMPLETE)
		rc = scan_ids(c, phase, &where, message, ids, 2, e);
	return rc == FILTER_COMPLETE ? scan_calls(c, index, message, e) : rc;
}

static int scan_tools(struct serve_chat *c, struct err *e)
{
	const struct policy_profile *p = serve_chat_profile(c);
	enum policy_phase phase = p && p->set[POLICY_METADATA] ? POLICY_METADATA : POLICY_INPUT;
	struct serve_scan where = { .phase = policy_phase_name(phase), .member = "tool" };
	json_t *tool;
	c->tools = json_deep_copy(c->request.tools);
	if (!c->tools)
		return err_set(e, ERR_NOMEM, "out of memory");
	json_array_foreach(c->tools, where.index, tool) {
		static const char *const name[] = { "name" };
		json_t *function = json_object_get(tool, "function");
		int rc = scan_ids(c, phase, &where, function, name, 1, e);
		if (rc == FILTER_COMPLETE)
			rc = scan_json(c, phase, &where, tool, "function", e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	return FILTER_COMPLETE;
}

/* Whether a variable of the template may hold what somebody said. */
static bool says(const char *name, const json_t *v)
{
	return (json_is_string(v) && strcmp(name, "reasoning_effort") != 0) || json_is_array(v) ||
	       json_is_object(v);
}

/* Variables of the template: as tool definitions are, they are what a client's program says. */
static int scan_kwargs(struct serve_chat *c, struct err *e)
{
	struct serve_scan where = { .phase = policy_phase_name(POLICY_INPUT), .member = "kwargs" };
	const char *name;
	json_t *v;
	bool any = false;
	json_object_foreach(c->kwargs, name, v)
		any |= says(name, v);
	if (!any)
		return FILTER_COMPLETE;
	json_t *around = json_pack("{s:O}", "kwargs", c->kwargs);
	int rc = around ? scan_json(c, POLICY_INPUT, &where, around, "kwargs", e)
			: err_set(e, ERR_NOMEM, "out of memory");
	json_decref(c->kwargs);
	c->kwargs = json_incref(json_object_get(around, "kwargs"));
	json_decref(around);
	return rc;
}

/* ---- a completion's prompt ---- */

/* The text of ids, which is what the rules read: as ids anything would pass them. */
static int spell_ids(const struct serve_chat *c, const json_t *ids, struct buf *out, struct err *e)
{
	struct buf all = { 0 };
	const json_t *one;
	size_t i;
	json_array_foreach((json_t *)ids, i, one) {
		uint32_t id = (uint32_t)json_integer_value(one);
		buf_add(&all, &id, sizeof id);
	}
	int rc = buf_done(&all, e);
	if (rc == 0)
		rc = serve_decode(c->service, (const void *)all.bytes, all.len / sizeof(uint32_t),
				  out, e);
	buf_free(&all);
	return rc == ERR_INPUT ? err_at(e, rc, "invalid_value", "prompt") : rc;
}

/* Ids go to the model as they are where no rule changes their text; else what is left of the text
 * does, as it stands: the ids had all that a tokenizer adds. */
static int scan_ids_prompt(struct serve_chat *c, const struct serve_scan *where, struct err *e)
{
	struct buf text = { 0 };
	int rc = spell_ids(c, c->request.prompt, &text, e);
	if (rc == 0)
		rc = scan_text(c, POLICY_INPUT, where, 0, text.bytes, text.len, &c->echo, e);
	if (rc == FILTER_COMPLETE && c->notes.redacted) {
		json_decref(c->prompt);
		c->prompt = json_stringn(c->echo.bytes ? c->echo.bytes : "", c->echo.len);
		c->bare = true;
		if (!c->prompt)
			rc = err_set(e, ERR_NOMEM, "out of memory");
	}
	buf_free(&text);
	return rc;
}

static int scan_prompt(struct serve_chat *c, struct err *e)
{
	const struct serve_scan where = { .phase = policy_phase_name(POLICY_INPUT),
					  .member = "prompt" };
	if (!json_is_string(c->prompt))
		return scan_ids_prompt(c, &where, e);
	int rc = scan_string(c, POLICY_INPUT, &where, c->prompt, e);
	if (rc == FILTER_COMPLETE)
		buf_add(&c->echo, json_string_value(c->prompt), json_string_length(c->prompt));
	return rc;
}

/* Which has passed the rules: as a text, where it is sent back. */
static int take_prompt(struct serve_chat *c, struct err *e)
{
	if (json_is_string(c->prompt))
		buf_add(&c->echo, json_string_value(c->prompt), json_string_length(c->prompt));
	else if (c->prompt)
		TRY(spell_ids(c, c->prompt, &c->echo, e));
	return buf_done(&c->echo, e);
}

/* What was kept has passed the rules, and what they found is known. */
static int take_passed(struct serve_chat *c, struct err *e)
{
	TRY(take_prompt(c, e));
	c->tools = json_deep_copy(c->request.tools);
	if (c->request.tools && !c->tools)
		return err_set(e, ERR_NOMEM, "out of memory");
	TRY(serve_notes_add_given(&c->notes, c->given.scans, c->given.interventions, e));
	return FILTER_COMPLETE;
}

int serve_scan_request(struct serve_chat *c, struct err *e)
{
	size_t i;
	json_t *message;
	int rc = FILTER_COMPLETE;
	c->messages = json_deep_copy(c->request.messages);
	c->kwargs = json_deep_copy(c->request.template_kwargs);
	c->prompt = json_deep_copy(c->request.prompt);
	c->bare = c->request.bare;
	if (!c->messages || (c->request.template_kwargs && !c->kwargs) ||
	    (c->request.prompt && !c->prompt))
		return err_set(e, ERR_NOMEM, "out of memory");
	if (c->given.scans)
		return take_passed(c, e);
	json_array_foreach(c->messages, i, message) {
		rc = scan_message(c, i, message, e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	if (c->prompt)
		rc = scan_prompt(c, e);
	if (rc == FILTER_COMPLETE && c->request.tools)
		rc = scan_tools(c, e);
	return rc == FILTER_COMPLETE ? scan_kwargs(c, e) : rc;
}
