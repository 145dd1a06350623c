/* What comes in is filtered before the model sees it: messages and earlier calls by the input
 * rules, what tools answered by those for tool results, tool definitions by those for metadata, or
 * by the input rules where there are none. Names and ids link things, so that a rule that would
 * change one ends the request. */
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

/* A request may have so many findings, looked at every so many bytes, and so many texts: all of
 * them stand in its record, and a record that is refused would leave the request without one. */
#define FINDINGS_MAX 10000u
#define SCANS_MAX    10000u
#define SCAN_PIECE KIB(64)

const struct filter_set *serve_rules(const struct serve_service *s, enum policy_phase phase)
{
	const struct policy_profile *p = s->profile;
	return p && p->mode != POLICY_OFF && p->set[phase] ? p->set[phase] : s->none;
}

bool serve_shadowed(const struct serve_service *s)
{
	return s->profile && s->profile->mode == POLICY_SHADOW;
}

enum policy_content serve_keeps(const struct serve_service *s)
{
	return s->profile ? s->profile->content : POLICY_FULL;
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

/* When the scan of a text is recorded. */
enum note { NOTE, NOTE_UNCHANGED, NOTE_FOUND };

static bool is_noted(enum note note, bool changed, const struct filter_record *r)
{
	return note == NOTE		? true
	       : note == NOTE_UNCHANGED ? !changed
					: changed || r->findings > 0;
}

/* Filter one text; `clean` receives what the rules leave of it. */
static int scan_text(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		     const char *text, size_t len, enum note note, struct buf *clean,
		     struct err *e)
{
	struct filter_stream *f;
	buf_clear(clean);
	if (json_array_size(c->notes.scans) >= SCANS_MAX)
		return FILTER_LIMIT;
	TRY(filter_stream_open(&f, serve_rules(c->service, phase), serve_shadowed(c->service), e));
	int rc = push_text(c, f, text, len, clean, e);
	bool changed = rc >= 0 && (rc != FILTER_COMPLETE || clean->len != len ||
				   (len && !clean->failed && memcmp(clean->bytes, text, len) != 0));
	if (rc >= 0 && is_noted(note, changed, filter_stream_record(f))) {
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
		       const struct serve_scan *where, json_t *string, enum note note,
		       struct err *e)
{
	struct buf clean = { 0 };
	int rc = scan_text(c, phase, where, json_string_value(string), json_string_length(string),
			   note, &clean, e);
	if (rc == FILTER_COMPLETE &&
	    json_string_setn_nocheck(string, clean.bytes ? clean.bytes : "", clean.len) < 0)
		rc = err_set(e, ERR_NOMEM, "out of memory");
	buf_free(&clean);
	return rc;
}

/* Filter a text that cannot be changed: a rule that would change it ends the request. */
static int scan_fixed(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		      const char *text, size_t len, enum note note, struct err *e)
{
	struct buf clean = { 0 };
	int rc = scan_text(c, phase, where, text, len, note, &clean, e);
	if (rc == FILTER_COMPLETE && !is_same(&clean, text, len))
		rc = FILTER_BLOCKED;
	buf_free(&clean);
	return rc;
}

/* ---- JSON: its strings, numbers and keys one by one ---- */

struct walk {
	struct serve_chat *c;
	enum policy_phase phase;
	struct serve_scan where; /* item counts them */
	struct buf *all;         /* collect only: each of them, and a line break */
};

static int visit_text(struct walk *w, const char *text, size_t len, json_t *string, struct err *e)
{
	if (w->all) {
		buf_add(w->all, text, len);
		buf_add_byte(w->all, '\n');
		return FILTER_COMPLETE;
	}
	int rc = string ? scan_string(w->c, w->phase, &w->where, string, NOTE_FOUND, e)
			: scan_fixed(w->c, w->phase, &w->where, text, len, NOTE_FOUND, e);
	w->where.item++;
	return rc;
}

/* A card needs no quotes. *clean: the string that the rules leave of a number; NULL: the number may
 * stay. */
static int visit_number(struct walk *w, const json_t *number, json_t **clean, struct err *e)
{
	struct buf text = { 0 };
	json_t *string = NULL;
	int rc = json_write(number, 0, &text, e);
	*clean = NULL;
	if (rc == 0)
		rc = json_ok(string = json_stringn(text.bytes, text.len), e);
	if (rc == 0)
		rc = visit_text(w, text.bytes, text.len, string, e);
	if (rc == FILTER_COMPLETE && strcmp(json_string_value(string), text.bytes) != 0)
		*clean = json_incref(string);
	json_decref(string);
	buf_free(&text);
	return rc;
}

static int visit(struct walk *w, json_t *v, int depth, struct err *e);

/* v stands in an object under key, or in an array (key NULL). */
static int visit_member(struct walk *w, json_t *in, const char *key, size_t i, json_t *v, int depth,
			struct err *e)
{
	json_t *clean = NULL;
	if (!json_is_number(v))
		return visit(w, v, depth, e);
	int rc = visit_number(w, v, &clean, e);
	if (clean && (key ? json_object_set_new_nocheck(in, key, clean)
			  : json_array_set_new(in, i, clean)) < 0)
		return err_set(e, ERR_NOMEM, "out of memory");
	return rc;
}

/* depth is bounded: the request's reader took no deeper document. */
static int visit(struct walk *w, json_t *v, int depth, struct err *e)
{
	const char *key;
	json_t *inner;
	size_t i;
	int rc = FILTER_COMPLETE;
	if (depth > LIMIT_JSON_DEPTH)
		return err_set(e, ERR_INPUT, "the body is nested too deep");
	if (json_is_string(v))
		return visit_text(w, json_string_value(v), json_string_length(v), v, e);
	json_array_foreach(v, i, inner) {
		rc = visit_member(w, v, NULL, i, inner, depth + 1, e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	json_object_foreach(v, key, inner) {
		rc = visit_text(w, key, strlen(key), NULL, e);
		if (rc == FILTER_COMPLETE)
			rc = visit_member(w, v, key, 0, inner, depth + 1, e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	return rc;
}

/* Filter all of it as one text; only if the rules would change something, each part by itself, of
 * which the record has those where a rule found something. */
static int scan_json(struct serve_chat *c, enum policy_phase phase, const struct serve_scan *where,
		     json_t *v, struct err *e)
{
	struct buf all = { 0 }, clean = { 0 };
	struct walk w = { .c = c, .phase = phase, .where = *where, .all = &all };
	int rc = visit(&w, v, 0, e);
	if (rc == FILTER_COMPLETE && buf_done(&all, e) < 0)
		rc = ERR_NOMEM;
	if (rc == FILTER_COMPLETE)
		rc = scan_text(c, phase, where, all.bytes ? all.bytes : "", all.len, NOTE_UNCHANGED,
			       &clean, e);
	bool same = rc == FILTER_COMPLETE && is_same(&clean, all.bytes, all.len);
	buf_free(&all);
	buf_free(&clean);
	if (rc < 0 || same)
		return rc;
	w.all = NULL;
	w.where.item = 0;
	if (!w.where.member)
		w.where.member = "string";
	return visit(&w, v, 0, e);
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
					json_string_length(v), NOTE, e);
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
		struct serve_scan where = { "input", index, "arguments", i };
		int rc = scan_ids(c, POLICY_INPUT, &where, call, id, 1, e);
		if (rc == FILTER_COMPLETE)
			rc = scan_ids(c, POLICY_INPUT, &where, function, name, 1, e);
		if (rc == FILTER_COMPLETE)
			rc = scan_json(c, POLICY_INPUT, &where,
				       json_object_get(function, "arguments"), e);
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
	int rc = scan_string(c, phase, &where, json_object_get(message, "content"), NOTE, e);
	if (rc == FILTER_COMPLETE && thought) {
		struct serve_scan there = where;
		there.member = "reasoning_content";
		rc = scan_string(c, phase, &there, thought, NOTE, e);
	}
	if (rc == FILTER_COMPLETE)
		rc = scan_ids(c, phase, &where, message, ids, 2, e);
	return rc == FILTER_COMPLETE ? scan_calls(c, index, message, e) : rc;
}

static int scan_tools(struct serve_chat *c, struct err *e)
{
	const struct policy_profile *p = c->service->profile;
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
			rc = scan_json(c, phase, &where, function, e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	return FILTER_COMPLETE;
}

/* What was kept has passed the rules, and what they found is known. */
static int take_passed(struct serve_chat *c, struct err *e)
{
	c->tools = json_deep_copy(c->request.tools);
	if (json_array_extend(c->notes.scans, c->given.scans) < 0 ||
	    json_array_extend(c->notes.interventions, c->given.interventions) < 0 ||
	    (c->request.tools && !c->tools))
		return err_set(e, ERR_NOMEM, "out of memory");
	return FILTER_COMPLETE;
}

int serve_scan_request(struct serve_chat *c, struct err *e)
{
	size_t i;
	json_t *message;
	c->messages = json_deep_copy(c->request.messages);
	if (!c->messages)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (c->given.scans)
		return take_passed(c, e);
	json_array_foreach(c->messages, i, message) {
		int rc = scan_message(c, i, message, e);
		if (rc != FILTER_COMPLETE)
			return rc;
	}
	return c->request.tools ? scan_tools(c, e) : FILTER_COMPLETE;
}
