/* The decision record: 29 fields in fixed order, each committed under its own salt. Values are
 * canonical JSON; absent is null. The table of fields is frozen in docs/formats.md; a replay
 * recomputes them and compares. */
#include "base/text.h"
#include "serve/service.h"

#include <stdlib.h>
#include <string.h>

/* ---- field values ---- */

static int set(struct serve_chat *c, enum serve_decision_field f, json_t *value, struct err *e)
{
	json_decref(c->field[f].value);
	c->field[f].value = value;
	return json_ok(value, e);
}

/* Little-endian u32 ids, as docs/formats.md says. */
static struct digest ids_digest(const uint32_t *id, size_t count)
{
	struct buf b = { 0 };
	for (size_t i = 0; i < count; i++)
		buf_add_u32le(&b, id[i]);
	struct digest d = digest_of(b.bytes ? b.bytes : "", b.len);
	buf_free(&b);
	return d;
}

/* The files' own type, or how it was packed and cached where that was asked for. */
static json_t *weights_format(const struct serve_service *s, const struct engine_facts *m)
{
	if (strcmp(s->weights, "stored") == 0 && strcmp(s->cache, "f32") == 0)
		return json_string(m->weights);
	return json_pack("{s:s,s:s,s:s}", "packed", s->weights, "matrices", m->weights, "cache",
			 m->cache);
}

static int model_fields(struct serve_chat *c, struct err *e)
{
	const struct serve_service *s = c->service;
	const struct engine_facts *m = engine_info(s->engine);
	TRY(set(c, FIELD_MODEL_ROOT, json_digest(&s->root), e));
	if (s->signer[0])
		TRY(set(c, FIELD_MODEL_SIGNER, json_string(s->signer), e));
	TRY(set(c, FIELD_WEIGHTS_FORMAT, weights_format(s, m), e));
	TRY(set(c, FIELD_TOKENIZER, json_digest(&m->tokenizer), e));
	TRY(set(c, FIELD_TEMPLATE, json_digest(&m->chat_template), e));
	json_t *kwargs = json_pack("{s:s}", "clock", "created");
	if (kwargs && c->request.template_kwargs)
		json_object_update(kwargs, c->request.template_kwargs);
	TRY(set(c, FIELD_TEMPLATE_KWARGS, kwargs, e));
	TRY(set(c, FIELD_ENGINE_BUILD, json_string(FLOW_BUILD_ID), e));
	TRY(set(c, FIELD_KERNEL_SET, json_string(m->kernel_set), e));
	TRY(set(c, FIELD_KERNEL_REGIMES, json_pack("[s]", m->numerics), e));
	if (s->profile)
		TRY(set(c, FIELD_POLICY_BUNDLE, json_digest(&s->profile->bundle), e));
	return set(c, FIELD_POLICY_MODE,
		   json_string(s->profile ? policy_mode_name(s->profile->mode) : "off"), e);
}

/* Parameters that came later stand here only where they have an effect: a record of before them
 * has the same value. */
static int sampling_more(const struct api_request *q, json_t *o, struct err *e)
{
	json_t *bias = json_array(), *ban = json_array();
	int failed = !bias || !ban;
	for (size_t i = 0; i < q->bias_count; i++)
		failed |= json_array_append_new(bias, json_pack("[I,f]", (json_int_t)q->bias[i].id,
								(double)q->bias[i].bias));
	for (size_t i = 0; i < q->ban_count; i++)
		failed |= json_array_append_new(ban, json_string(q->ban[i]));
	if (q->n > 1)
		failed |= json_object_set_new(o, "n", json_integer(q->n));
	if (q->frequency != 0)
		failed |= json_object_set_new(o, "frequency_penalty", json_real(q->frequency));
	if (q->presence != 0)
		failed |= json_object_set_new(o, "presence_penalty", json_real(q->presence));
	if (q->repetition != 1)
		failed |= json_object_set_new(o, "repetition_penalty", json_real(q->repetition));
	if (q->bias_count)
		failed |= json_object_set(o, "logit_bias", bias);
	if (q->ban_count)
		failed |= json_object_set(o, "bad_words", ban);
	if (q->tokens_min)
		failed |= json_object_set_new(o, "min_tokens", json_integer(q->tokens_min));
	if (q->ignore_eos)
		failed |= json_object_set_new(o, "ignore_eos", json_true());
	if (q->logprobs)
		failed |= json_object_set_new(o, "top_logprobs", json_integer(q->top_logprobs));
	json_decref(bias);
	json_decref(ban);
	return failed ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

static int sampling_field(struct serve_chat *c, struct err *e)
{
	const struct api_request *q = &c->request;
	char seed[32];
	snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
	json_t *stop = json_array();
	for (size_t i = 0; i < q->stop_count; i++)
		json_array_append_new(stop, json_string(q->stop[i]));
	json_t *o = json_pack("{s:f,s:f,s:f,s:I,s:I,s:s,s:o,s:n}", "temperature", q->temperature,
			      "top_p", q->top_p, "min_p", q->min_p, "top_k", (json_int_t)q->top_k,
			      "max_tokens", (json_int_t)q->tokens_max, "seed", seed, "stop", stop,
			      "watermark");
	TRY(json_ok(o, e));
	int rc = sampling_more(q, o, e);
	if (rc < 0)
		json_decref(o);
	return rc < 0 ? rc : set(c, FIELD_SAMPLING, o, e);
}

static int request_fields(struct serve_chat *c, struct err *e)
{
	if (c->client[0])
		TRY(set(c, FIELD_CLIENT, json_string(c->client), e));
	TRY(set(c, FIELD_REQUEST_BYTES, json_digest(&c->body_digest), e));
	struct digest prompt = ids_digest(c->prompt.id, c->prompt.count);
	TRY(set(c, FIELD_PROMPT_IDS, json_digest(&prompt), e));
	TRY(set(c, FIELD_PROMPT_COUNT, json_integer((json_int_t)c->prompt.count), e));
	TRY(sampling_field(c, e));
	if (c->constraint) {
		struct digest d = engine_constraint_digest(c->constraint);
		TRY(set(c, FIELD_CONSTRAINT,
			json_pack("{s:o,s:s}", "digest", json_digest(&d), "from",
				  c->constraint_field),
			e));
	}
	return set(c, FIELD_PARAMETERS_WITHOUT_EFFECT, json_deep_copy(c->request.without_effect),
		   e);
}

/* ---- the answer: a value, or with several choices a list with one for each ---- */

static struct digest emitted_digest(const struct serve_completion *ch)
{
	struct buf all = { 0 };
	buf_add(&all, ch->emitted.bytes ? ch->emitted.bytes : "", ch->emitted.len);
	buf_add(&all, ch->thoughts.bytes ? ch->thoughts.bytes : "", ch->thoughts.len);
	for (unsigned i = 0; i < ch->calls; i++) {
		const struct serve_call *call = &ch->call[i];
		buf_add(&all, call->name.bytes ? call->name.bytes : "", call->name.len);
		buf_add(&all, call->arguments.bytes ? call->arguments.bytes : "",
			call->arguments.len);
	}
	struct digest d = digest_of(all.bytes ? all.bytes : "", all.len);
	buf_free(&all);
	return d;
}

static json_t *answer_value(const struct serve_chat *c, enum serve_decision_field f, unsigned i)
{
	const struct serve_completion *ch = &c->choice[i];
	size_t count = 0;
	const uint32_t *id = ch->session ? engine_session_ids(ch->session, &count) : NULL;
	struct digest d;
	switch (f) {
	case FIELD_OUTPUT_IDS:
		d = ids_digest(id, count);
		return json_digest(&d);
	case FIELD_EMITTED_BYTES:
		d = emitted_digest(ch);
		return json_digest(&d);
	case FIELD_OUTPUT_COUNT:
		return json_integer((json_int_t)count);
	case FIELD_FINISH_REASON:
		return json_string(serve_completion_finish(c, i));
	default: /* FIELD_LOGITS */
		if (!count)
			return json_null();
		d = digest_of(engine_session_logits(ch->session),
			      sizeof(float) * engine_info(c->service->engine)->vocab);
		return json_digest(&d);
	}
}

static int answer_field(struct serve_chat *c, enum serve_decision_field f, struct err *e)
{
	if (c->request.n == 1)
		return set(c, f, answer_value(c, f, 0), e);
	json_t *list = json_array();
	for (unsigned i = 0; i < c->request.n; i++)
		json_array_append_new(list, answer_value(c, f, i));
	return set(c, f, list, e);
}

/* What was scanned, request first, then choice by choice, whatever came when. */
static int notes_fields(struct serve_chat *c, struct err *e)
{
	for (unsigned i = 0; i < c->choices; i++) {
		struct serve_completion *ch = &c->choice[i];
		TRY(serve_completion_note(ch, e));
		if (json_array_extend(c->notes.scans, ch->notes.scans) < 0 ||
		    json_array_extend(c->notes.interventions, ch->notes.interventions) < 0)
			return err_set(e, ERR_NOMEM, "out of memory");
		c->notes.redacted |= ch->notes.redacted;
		if (!c->notes.stopped)
			c->notes.stopped = ch->notes.stopped;
	}
	TRY(set(c, FIELD_SCANS, json_incref(c->notes.scans), e));
	return set(c, FIELD_INTERVENTIONS, json_incref(c->notes.interventions), e);
}

static int answer_fields(struct serve_chat *c, struct err *e)
{
	static const enum serve_decision_field each[] = { FIELD_OUTPUT_IDS, FIELD_EMITTED_BYTES,
							  FIELD_OUTPUT_COUNT, FIELD_FINISH_REASON,
							  FIELD_LOGITS };
	TRY(notes_fields(c, e));
	for (size_t i = 0; i < sizeof each / sizeof *each; i++)
		TRY(answer_field(c, each[i], e));
	TRY(set(c, FIELD_BACKEND, json_string("engine"), e));
	return set(c, FIELD_TIMING,
		   json_pack("{s:I,s:I}", "admitted_us", (json_int_t)c->created_us, "ended_us",
			     (json_int_t)c->ended_us),
		   e);
}

const char *serve_completion_finish(const struct serve_chat *c, unsigned i)
{
	const char *own = i < c->choices ? c->choice[i].finish_reason : NULL;
	return c->finish_reason ? c->finish_reason : own ? own : "error";
}

int serve_decision_fields(struct serve_chat *c, struct err *e)
{
	for (size_t i = 0; i < SERVE_DECISION_FIELDS; i++)
		c->field[i].name = audit_type_find("decision")->field[i];
	c->ended_us = env_now_us(c->service->flow->env);
	TRY(request_fields(c, e));
	TRY(model_fields(c, e));
	TRY(answer_fields(c, e));
	if (!c->outcome)
		c->outcome = c->notes.stopped == FILTER_LIMIT ? "engine_limit"
			     : c->notes.stopped               ? "blocked"
			     : c->notes.redacted              ? "redacted"
							      : "completed";
	return 0;
}

static json_t *id_list(const uint32_t *id, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_integer((json_int_t)id[i]));
	return list;
}

static json_t *output_ids(const struct serve_completion *ch)
{
	size_t count = 0;
	const uint32_t *id = ch->session ? engine_session_ids(ch->session, &count) : NULL;
	return id_list(id, count);
}

static json_t *text_json(const struct buf *b)
{
	return json_stringn(b->bytes ? b->bytes : "", b->len);
}

/* The text alone, or {content, reasoning, tool_calls} where there was more. */
static json_t *output_json(const struct serve_completion *ch)
{
	if (!ch->thoughts.len && !ch->calls)
		return text_json(&ch->emitted);
	json_t *calls = json_array();
	for (unsigned i = 0; i < ch->calls; i++)
		json_array_append_new(calls,
				      json_pack("{s:s,s:o,s:o}", "id", ch->call[i].id, "name",
						text_json(&ch->call[i].name), "arguments",
						text_json(&ch->call[i].arguments)));
	return json_pack("{s:o,s:o,s:o}", "content", text_json(&ch->emitted), "reasoning",
			 text_json(&ch->thoughts), "tool_calls", calls);
}

static json_t *each_choice(const struct serve_chat *c,
			   json_t *(*value)(const struct serve_completion *))
{
	if (c->request.n == 1)
		return value(&c->choice[0]);
	json_t *list = json_array();
	for (unsigned i = 0; i < c->request.n; i++)
		json_array_append_new(list, value(&c->choice[i]));
	return list;
}

int serve_decision_retained(const struct serve_chat *c, json_t **out, struct err *e)
{
	const struct serve_service *s = c->service;
	const struct engine_facts *facts = engine_info(s->engine);
	size_t prompt = c->choices ? c->prompt.count : 0; /* a refused one may be of any length */
	char seed[32];
	snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
	*out = json_pack("{s:s%,s:o,s:o,s:o,s:s,s:I,s:I,s:{s:s,s:s,s:s,s:o}}", "request",
			 c->body.bytes, c->body.len, "output", each_choice(c, output_json),
			 "prompt_ids", id_list(c->prompt.id, prompt), "output_ids",
			 each_choice(c, output_ids), "seed", seed, "created_us",
			 (json_int_t)c->created_us, "context_max", (json_int_t)s->context_max,
			 "engine", "weights", s->weights, "cache", s->cache, "numerics",
			 facts->numerics, "choice", json_digest(&facts->choice));
	return json_ok(*out, e);
}

static size_t output_count(const struct serve_completion *ch)
{
	size_t count = 0;
	if (ch->session)
		engine_session_ids(ch->session, &count);
	return count;
}

/* What the client gets: where the record stands, and the proof that it stands there. */
static int make_result(struct serve_chat *c, struct err *e)
{
	struct buf entry = { 0 }, proof = { 0 }, coded = { 0 };
	size_t count = 0;
	const struct engine_session *first = c->choice[0].session;
	uint32_t cached = first ? engine_session_cached(first) : 0;
	json_t *finish = json_array();
	for (unsigned i = 0; i < c->request.n; i++)
		json_array_append_new(finish, json_string(serve_completion_finish(c, i)));
	for (unsigned i = 0; i < c->choices; i++)
		count += output_count(&c->choice[i]);
	int rc = audit_log_entry(c->service->flow->log, c->receipt.index, &entry, e);
	if (rc == 0)
		rc = audit_log_proof(c->service->flow->log, c->receipt.index, entry.bytes,
				     entry.len, &proof, e);
	if (rc == 0) {
		text_base64(&coded, proof.bytes, proof.len);
		c->result =
			json_pack("{s:s,s:O,s:I,s:I,s:I,s:I,s:{s:s,s:I,s:o,s:s}}", "finish_reason",
				  serve_completion_finish(c, 0), "finish_reasons", finish,
				  "prompt_tokens", (json_int_t)c->prompt.count, "completion_tokens",
				  (json_int_t)count, "cached_tokens", (json_int_t)cached, "seed",
				  (json_int_t)c->seed, "hallmark", "record", c->record, "index",
				  (json_int_t)c->receipt.index, "leaf",
				  json_digest(&c->receipt.leaf), "receipt",
				  coded.bytes ? coded.bytes : "");
		rc = json_ok(c->result, e);
	}
	json_decref(finish);
	buf_free(&entry);
	buf_free(&proof);
	buf_free(&coded);
	return rc;
}

/* The number was told to the client: it must not become a gap that nobody can explain. */
static void append_lost(struct serve_chat *c)
{
	json_t *body = json_pack("{s:s}", "refused", "decision");
	struct audit_record r = { .type = "lost", .n = c->n, .body = body };
	struct err ignored;
	if (body) /* where this fails too, the gap stays, and audit verify reports it */
		(void)!flow_append(c->service->flow, &r, true, &c->receipt, &ignored);
	json_decref(body);
}

int serve_decision_append(struct serve_chat *c, struct err *e)
{
	json_t *retained = NULL;
	char bundle[DIGEST_TEXT_ROOM];
	c->recorded = true;
	int rc = serve_decision_fields(c, e);
	if (!c->service->recording)
		return rc;
	if (c->service->profile)
		digest_text(&c->service->profile->bundle, bundle);
	if (rc == 0)
		rc = serve_decision_retained(c, &retained, e);
	if (rc < 0) {
		append_lost(c);
	} else {
		struct audit_record r = {
			.type = "decision",
			.n = c->n,
			.field = c->field,
			.field_count = SERVE_DECISION_FIELDS,
			.bundle = c->service->profile ? bundle : NULL,
			.outcome = c->outcome,
			.retained = retained,
		};
		rc = flow_append(c->service->flow, &r, true, &c->receipt, e);
	}
	json_decref(retained);
	return rc < 0 ? rc : make_result(c, e);
}
