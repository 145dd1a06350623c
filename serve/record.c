/* The end of a chat: its decision, the record in the log, and the proof for the client. */
#include "base/build.h"
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

/* ---- the decision ---- */

static void add_buf(struct buf *all, const struct buf *b)
{
	buf_add(all, b->bytes ? b->bytes : "", b->len);
}

static struct digest emitted_digest(const struct serve_completion *ch)
{
	struct buf all = { 0 };
	add_buf(&all, &ch->emitted);
	add_buf(&all, &ch->thoughts);
	for (unsigned i = 0; i < ch->calls; i++) {
		add_buf(&all, &ch->call[i].name);
		add_buf(&all, &ch->call[i].arguments);
	}
	struct digest d = digest_of(all.bytes ? all.bytes : "", all.len);
	buf_free(&all);
	return d;
}

static json_t *text_json(const struct buf *b)
{
	return json_from_text(b->bytes ? b->bytes : "", b->len);
}

/* The text alone, or {content, reasoning, tool_calls} where there was more. */
static json_t *output_json(const struct serve_completion *ch)
{
	if (!ch->thoughts.len && !ch->calls)
		return text_json(&ch->emitted);
	struct obj o = { 0 };
	struct arr calls = { 0 };
	for (unsigned i = 0; i < ch->calls; i++) {
		struct obj call = { 0 };
		obj_text(&call, "id", ch->call[i].id);
		obj_add(&call, "name", text_json(&ch->call[i].name));
		obj_add(&call, "arguments", text_json(&ch->call[i].arguments));
		arr_object(&calls, &call);
	}
	obj_add(&o, "content", text_json(&ch->emitted));
	obj_add(&o, "reasoning", text_json(&ch->thoughts));
	obj_array(&o, "tool_calls", &calls);
	return obj_take(&o);
}

const char *serve_record_finish(const struct serve_chat *c, unsigned i)
{
	const char *own = i < c->choices ? c->choice[i].finish_reason : NULL;
	return c->finish_reason ? c->finish_reason : own ? own : "error";
}

/* What was scanned, request first, then choice by choice, whatever came when. */
static int join_notes(struct serve_chat *c, struct err *e)
{
	for (unsigned i = 0; i < c->choices; i++) {
		TRY(serve_completion_note(&c->choice[i], e));
		TRY(serve_notes_join(&c->notes, &c->choice[i].notes, e));
	}
	c->decision.scans = &c->notes.scans;
	c->decision.interventions = c->notes.interventions;
	return 0;
}

static int decide_choices(struct serve_chat *c, struct err *e)
{
	for (unsigned i = 0; i < c->request.n; i++) {
		struct decision_choice *d = &c->decision.choice[i];
		d->finish_reason = serve_record_finish(c, i);
		d->emitted = emitted_digest(&c->choice[i]);
		d->output = output_json(&c->choice[i]);
		TRY(json_ok(d->output, e));
	}
	return 0;
}

/* ---- what is kept ---- */

static bool is_changed(const struct serve_notes *n) { return n->redacted || n->stopped; }

/* Whoever knows the rest of a request finds the masked number in it from the digest of the whole:
 * where the policy wants what it changed to be forgotten, that is not kept either. */
static const struct digest *body_digest(const struct serve_chat *c)
{
	if (c->given.given)
		return c->given.body;
	return c->notes.discreet && is_changed(&c->notes) ? NULL : &c->body_digest;
}

/* Why the request is not kept; NULL: it is. */
static const char *why_not_kept(const struct serve_chat *c)
{
	if (c->notes.discreet && c->notes.stopped)
		return "nothing of it has passed the rules";
	if (!c->choices && !c->notes.stopped)
		return "it was refused before an answer began";
	return NULL;
}

/* The request as a replay needs it: nothing that changes no answer, and, where the policy keeps
 * only what it has cleaned, what the model has seen. */
static int write_request(const struct serve_chat *c, struct buf *out, struct err *e)
{
	struct api_request q = c->request; /* shares all of it */
	if (c->notes.discreet) {
		q.messages = c->messages;
		q.tools = c->tools;
		q.template_kwargs = c->kwargs;
		q.prompt = c->prompt;
		q.bare = c->bare;
	}
	return api_request_write(&q, out, e);
}

static int keep_request(const struct serve_chat *c, struct decision *d, struct err *e)
{
	struct buf text = { 0 };
	enum policy_content keeps = serve_keeps(serve_chat_profile(c));
	d->keeps_nothing = keeps == POLICY_NONE;
	for (unsigned i = 0; i < c->choices && keeps != POLICY_FULL; i++)
		d->hides_ids |= is_changed(&c->choice[i].notes);
	d->not_kept = why_not_kept(c);
	if (!c->service->recording || d->keeps_nothing || d->not_kept)
		return 0;
	int rc = write_request(c, &text, e);
	if (rc == 0 && text.len > LIMIT_RETAINED_BYTES)
		d->not_kept = "it is longer than 4 MiB";
	else if (rc == 0)
		rc = json_ok(d->request = json_from_text(text.bytes, text.len), e);
	buf_free(&text);
	return rc;
}

int serve_record_decide(struct serve_chat *c, struct err *e)
{
	const struct serve_service *s = c->service;
	const struct policy_profile *p = serve_chat_profile(c);
	struct decision *d = &c->decision;
	*d = (struct decision){ .client = c->client,
				.subject = c->subject,
				.body_digest = body_digest(c),
				.asked = &c->request,
				.from_model = c->from_model,
				.seed = c->seed,
				.created_us = c->created_us,
				.ended_us = c->created_us + env_steady_us(flow_env(s->flow)) -
					    c->begun_us,
				.root = serve_root(s),
				.signer = serve_signer(s),
				.adapter = serve_adapter_root(s),
				.adapter_signer = serve_adapter_signer(s),
				.build = build_id(),
				.backend = s->who->backend,
				.shape = api_shape_name(c->request.shape),
				.bundle = p ? &p->bundle : NULL,
				.mode = p ? policy_mode_name(p->mode) : "off" };
	s->who->model(s->self, &d->model);
	if (c->answer)
		s->who->facts(c->answer, &d->answer);
	TRY(join_notes(c, e));
	TRY(decide_choices(c, e));
	TRY(keep_request(c, d, e));
	if (!c->outcome)
		c->outcome = c->notes.stopped == FILTER_LIMIT ? "engine_limit"
			     : c->notes.stopped               ? "blocked"
			     : c->notes.redacted              ? "redacted"
							      : "completed";
	d->outcome = c->outcome;
	if (strcmp(d->outcome, "aborted") == 0 || strcmp(d->outcome, "error") == 0) {
		d->ended_by = c->ended_by;
		d->ended_why = c->ended_why;
	}
	serve_measure_rules(c);
	return 0;
}

/* ---- the record ---- */

/* Append a `lost` record: the client was told the number, so that it must not become an unexplained
 * gap. */
static void append_lost(struct serve_chat *c)
{
	json_t *body = json_pack("{s:s}", "refused", "decision");
	struct audit_record r = { .type = "lost", .n = c->n, .body = body };
	struct err ignored;
	if (body) /* where this fails too, the gap stays, and audit verify reports it */
		(void)!flow_append(c->service->flow, &r, true, &c->receipt, &ignored);
	json_decref(body);
}

/* line: of the receipt, appended. */
static int append_decision(struct serve_chat *c, const struct decision_fields *f,
			   const char *retained, struct buf *line, struct err *e)
{
	char bundle[DIGEST_TEXT_ROOM];
	struct audit_record r = { .type = "decision",
				  .n = c->n,
				  .field = f->field,
				  .field_count = f->count,
				  .text = f->text,
				  .outcome = c->decision.outcome,
				  .subject = c->subject[0] ? c->subject : NULL,
				  .retained_text = retained };
	if (c->decision.bundle) {
		digest_text(c->decision.bundle, bundle);
		r.bundle = bundle;
	}
	return flow_append_line(c->service->flow, &r, &c->receipt, line, e);
}

/* ---- why rules ended it ---- */

static bool is_listed(const json_t *list, const char *id, size_t len)
{
	const json_t *one;
	size_t i;
	json_array_foreach((json_t *)list, i, one)
		if (json_string_length(one) == len && memcmp(json_string_value(one), id, len) == 0)
			return true;
	return false;
}

/* The ids of "a,b", each once. */
static int list_rules(json_t *list, const char *ids)
{
	int failed = 0;
	for (size_t len; *ids; ids += len + (ids[len] == ',')) {
		len = strcspn(ids, ",");
		if (len && !is_listed(list, ids, len))
			failed |= json_array_append_new(list, json_stringn(ids, len));
	}
	return failed;
}

/* The rules that ended a chat: those that block; or the last that found something in a text that
 * may not change. */
static json_t *ending_rules(const struct serve_chat *c)
{
	json_t *out = json_array(), *one;
	const json_t *found = c->notes.interventions;
	int failed = !out;
	size_t i;
	json_array_foreach((json_t *)found, i, one) {
		const char *action = json_string_value(json_object_get(one, "action"));
		if (action && strcmp(action, filter_action_name(FILTER_BLOCK)) == 0)
			failed |= list_rules(out, json_string_value(json_object_get(one, "rule")));
	}
	one = json_array_get(found, json_array_size(found) - 1);
	if (!failed && one && !json_array_size(out) && c->notes.stopped == FILTER_BLOCKED)
		failed |= list_rules(out, json_string_value(json_object_get(one, "rule")));
	if (!failed)
		return out;
	json_decref(out);
	return NULL;
}

/* A sentence for the person who asked. */
static const char *ending_message(const struct serve_chat *c)
{
	bool limit = c->notes.stopped == FILTER_LIMIT;
	if (!c->choices)
		return limit ? "The request could not be checked within the limits of this "
			       "service's rules, and was not answered."
			     : "A rule of this service matched the request, and it was not "
			       "answered.";
	return limit ? "The answer could not be checked within the limits of this service's "
		       "rules, and ends here."
		     : "A rule of this service matched the answer, and it ends here.";
}

static void add_ending(struct obj *o, const struct serve_chat *c)
{
	if (!c->notes.stopped)
		return;
	obj_text(o, "message", ending_message(c));
	obj_add(o, "rules", ending_rules(c));
}

/* {record, index, leaf, receipt, without_effect, message, rules}: where the record stands, the
 * proof that it stands there, what of the request changed nothing, and why rules ended it. */
static int make_proof(const struct serve_chat *c, const struct buf *line, json_t **out,
		      struct err *e)
{
	struct obj o = { 0 };
	obj_text(&o, "record", c->record);
	obj_count(&o, "index", c->receipt.index);
	obj_add(&o, "leaf", json_digest(&c->receipt.leaf));
	obj_text(&o, "receipt", line->bytes);
	json_t *unused = serve_decision_unused(&c->decision);
	if (json_array_size(unused))
		obj_share(&o, "without_effect", unused);
	json_decref(unused);
	add_ending(&o, c);
	return obj_done(&o, out, e);
}

static int make_result(struct serve_chat *c, const struct buf *line, struct err *e)
{
	const struct answer_facts *a = &c->decision.answer;
	struct obj o = { 0 };
	struct arr finish = { 0 };
	json_t *proof;
	uint64_t count = 0, thought = 0;
	TRY(make_proof(c, line, &proof, e));
	for (unsigned i = 0; i < c->request.n; i++)
		arr_text(&finish, serve_record_finish(c, i));
	for (unsigned i = 0; i < a->choices; i++)
		count += a->choice[i].count;
	for (unsigned i = 0; i < c->choices; i++)
		thought += serve_completion_reasoned(&c->choice[i]);
	obj_text(&o, "finish_reason", serve_record_finish(c, 0));
	obj_array(&o, "finish_reasons", &finish);
	obj_count(&o, "prompt_tokens", a->prompt_count);
	obj_count(&o, "completion_tokens", count);
	obj_count(&o, "cached_tokens", a->cached);
	obj_count(&o, "reasoning_tokens", thought < count ? thought : count);
	obj_text(&o, "stopped_by", c->choices ? c->choice[0].stopped_by : NULL);
	obj_int(&o, "seed", c->seed);
	obj_int(&o, "ended", c->decision.ended_us / 1000000);
	obj_add(&o, "hallmark", proof);
	return obj_done(&o, &c->result, e);
}

/* What is recorded. */
struct prepared {
	struct serve_chat *c;
	struct decision_fields fields;
	struct buf retained;
};

static int prepare(void *self, struct err *e)
{
	struct prepared *p = self;
	TRY(serve_record_decide(p->c, e));
	if (!p->c->service->recording)
		return 0;
	TRY(serve_decision_fields(&p->c->decision, &p->fields, e));
	return serve_decision_retained(&p->c->decision, &p->retained, e);
}

/* Whoever begins and cancels a hundred answers a second has as many records made: while others
 * wait for the passes, one after another. What has begun is recorded, whoever is gone: the job is
 * its own, and nobody cancels it. */
static int prepare_beside(struct prepared *p, struct err *e)
{
	struct aside_job job = { 0 };
	struct serve_beside where = p->c->beside;
	where.job = &job;
	where.wait_us = 0;
	where.heavy = false;
	where.company = serve_has_company(p->c);
	int rc = serve_beside(&where, prepare, p, e);
	if (p->c->beside.job)
		p->c->beside.job->cpu_us += job.cpu_us;
	return rc;
}

int serve_record_append(struct serve_chat *c, struct err *e)
{
	struct prepared p = { .c = c };
	struct buf line = { 0 };
	c->recorded = true;
	int rc = prepare_beside(&p, e);
	if (!c->service->recording)
		return rc;
	if (rc == 0)
		rc = append_decision(c, &p.fields, p.retained.bytes, &line, e);
	else
		append_lost(c);
	serve_decision_fields_free(&p.fields);
	buf_free(&p.retained);
	if (rc == 0)
		rc = make_result(c, &line, e);
	buf_free(&line);
	return rc;
}
