/* The decision record: 29 fields in fixed order, each committed under its own salt. Values are
 * canonical JSON; absent is null. The table of fields is frozen in docs/formats.md; a replay
 * recomputes them and compares. */
#include "base/text.h"
#include "flow/service.h"

#include <stdlib.h>
#include <string.h>

const char *const flow_decision_names[FLOW_DECISION_FIELDS] = {
	[FIELD_SUBJECT] = "subject",
	[FIELD_CLIENT] = "client",
	[FIELD_REQUEST_BYTES] = "request_bytes_digest",
	[FIELD_PROMPT_IDS] = "prompt_ids_digest",
	[FIELD_PROMPT_COUNT] = "prompt_count",
	[FIELD_MODEL_ROOT] = "model_root",
	[FIELD_MODEL_SIGNER] = "model_signer",
	[FIELD_WEIGHTS_FORMAT] = "weights_format",
	[FIELD_TOKENIZER] = "tokenizer",
	[FIELD_TEMPLATE] = "template",
	[FIELD_TEMPLATE_KWARGS] = "template_kwargs",
	[FIELD_ENGINE_BUILD] = "engine_build",
	[FIELD_KERNEL_SET] = "kernel_set",
	[FIELD_KERNEL_REGIMES] = "kernel_regimes",
	[FIELD_POLICY_BUNDLE] = "policy_bundle",
	[FIELD_POLICY_MODE] = "policy_mode",
	[FIELD_SAMPLING] = "sampling",
	[FIELD_CONSTRAINT] = "constraint",
	[FIELD_SCANS] = "scans",
	[FIELD_OUTPUT_IDS] = "output_ids_digest",
	[FIELD_EMITTED_BYTES] = "emitted_bytes_digest",
	[FIELD_OUTPUT_COUNT] = "output_count",
	[FIELD_FINISH_REASON] = "finish_reason",
	[FIELD_INTERVENTIONS] = "interventions",
	[FIELD_ROUTING] = "routing_digest",
	[FIELD_LOGITS] = "logits_digest",
	[FIELD_BACKEND] = "backend",
	[FIELD_PARAMETERS_WITHOUT_EFFECT] = "parameters_without_effect",
	[FIELD_TIMING] = "timing",
};

static const char *end_name(enum filter_end end)
{
	static const char *const names[] = { "open", "complete", "blocked", "engine_limit",
					     "disconnected" };
	return names[end];
}

static json_t *range(uint64_t from, uint64_t to)
{
	return from < to ? json_pack("[I,I]", (json_int_t)from, (json_int_t)to) : NULL;
}

/* Ranges of [0, released) that were handed out as they were: what the findings leave. */
static json_t *emitted_ranges(const struct filter_record *r)
{
	json_t *list = json_array();
	uint64_t at = 0;
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		if (r->finding[i].action <= FILTER_NOTICE)
			continue;
		json_array_append_new(list, range(at, r->finding[i].start));
		at = r->finding[i].end;
	}
	json_array_append_new(list, range(at, r->released));
	return list;
}

static json_t *withheld_ranges(const struct filter_record *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		if (x->action <= FILTER_NOTICE)
			continue;
		json_array_append_new(list,
				      json_pack("{s:I,s:I,s:s,s:s,s:I}", "start",
						(json_int_t)x->start, "end", (json_int_t)x->end,
						"rules", x->rules, "action",
						filter_action_name(x->action), "replacement",
						(json_int_t)x->replacement_len));
	}
	return list;
}

/* {phase, index, seen, ...}: the truthful scan record. */
static json_t *scan_json(const char *phase, size_t index, const struct filter_record *r)
{
	json_t *o = json_pack("{s:s,s:I,s:I,s:o,s:o,s:o,s:I,s:o,s:o}", "phase", phase, "index",
			      (json_int_t)index, "seen", (json_int_t)r->seen, "seen_digest",
			      flow_json_digest(&r->seen_digest), "scanned", json_array(), "emitted",
			      emitted_ranges(r), "emitted_bytes", (json_int_t)r->emitted_bytes,
			      "emitted_digest", flow_json_digest(&r->emitted_digest), "withheld",
			      withheld_ranges(r));
	if (!o)
		return NULL;
	json_array_append_new(json_object_get(o, "scanned"), range(0, r->scanned));
	json_object_set_new(o, "hold_bound", json_integer((json_int_t)r->hold_bound));
	json_object_set_new(o, "ill_formed", json_integer((json_int_t)r->ill_formed));
	json_object_set_new(o, "end", json_string(end_name(r->end)));
	json_object_set_new(o, "offset",
			    json_integer((json_int_t)(r->end == FILTER_BLOCKED ? r->end_offset
									       : r->released)));
	return o;
}

int flow_decision_note(struct flow_chat *c, const char *phase, size_t index,
		       const struct filter_record *r, struct err *e)
{
	int failed = json_array_append_new(c->scans, scan_json(phase, index, r));
	for (size_t i = 0; i < r->findings; i++) {
		const struct filter_finding *x = &r->finding[i];
		json_t *o =
			json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "rule", x->rules, "phase", phase,
				  "index", (json_int_t)index, "start", (json_int_t)x->start, "end",
				  (json_int_t)x->end, "action", filter_action_name(x->action));
		failed |= json_array_append_new(c->interventions, o);
		if (!c->outcome && !r->shadow && x->action > FILTER_NOTICE)
			c->outcome = "redacted";
	}
	return failed ? err_set(e, ERR_NOMEM, "out of memory for the record of a scan") : 0;
}

/* ---- field values ---- */

static int set(struct flow_chat *c, enum flow_decision_field f, json_t *value, struct err *e)
{
	struct buf b = { 0 };
	int rc =
		value ? json_write_canonical(value, &b, e) : err_set(e, ERR_NOMEM, "out of memory");
	json_decref(value);
	if (rc == 0 && !(c->field[f].value = arena_copy(&c->values, b.bytes, b.len)))
		rc = err_set(e, ERR_NOMEM, "out of memory");
	buf_free(&b);
	return rc;
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

static int model_fields(struct flow_chat *c, struct err *e)
{
	const struct flow_service *s = c->service;
	const struct engine_facts *m = engine_info(s->engine);
	TRY(set(c, FIELD_MODEL_ROOT, flow_json_digest(&s->root), e));
	if (s->signer[0])
		TRY(set(c, FIELD_MODEL_SIGNER, json_string(s->signer), e));
	TRY(set(c, FIELD_WEIGHTS_FORMAT, json_string(m->weights), e));
	TRY(set(c, FIELD_TOKENIZER, flow_json_digest(&m->tokenizer), e));
	TRY(set(c, FIELD_TEMPLATE, flow_json_digest(&m->chat_template), e));
	TRY(set(c, FIELD_TEMPLATE_KWARGS, json_pack("{s:s}", "clock", "created"), e));
	TRY(set(c, FIELD_ENGINE_BUILD, json_string(FLOW_BUILD_ID), e));
	TRY(set(c, FIELD_KERNEL_SET, json_string(m->kernel_set), e));
	TRY(set(c, FIELD_KERNEL_REGIMES, json_pack("[s]", "canonical"), e));
	if (s->profile)
		TRY(set(c, FIELD_POLICY_BUNDLE, flow_json_digest(&s->profile->bundle), e));
	return set(c, FIELD_POLICY_MODE,
		   json_string(s->profile ? policy_mode_name(s->profile->mode) : "off"), e);
}

static int request_fields(struct flow_chat *c, struct err *e)
{
	const struct flow_request *q = &c->request;
	char seed[32];
	if (c->client[0])
		TRY(set(c, FIELD_CLIENT, json_string(c->client), e));
	TRY(set(c, FIELD_REQUEST_BYTES, flow_json_digest(&c->body_digest), e));
	struct digest prompt = ids_digest(c->prompt.id, c->prompt.count);
	TRY(set(c, FIELD_PROMPT_IDS, flow_json_digest(&prompt), e));
	TRY(set(c, FIELD_PROMPT_COUNT, json_integer((json_int_t)c->prompt.count), e));
	snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
	json_t *stop = json_array();
	for (size_t i = 0; i < q->stop_count; i++)
		json_array_append_new(stop, json_string(q->stop[i]));
	TRY(set(c, FIELD_SAMPLING,
		json_pack("{s:f,s:f,s:f,s:I,s:I,s:s,s:o,s:n}", "temperature", q->temperature,
			  "top_p", q->top_p, "min_p", q->min_p, "top_k", (json_int_t)q->top_k,
			  "max_tokens", (json_int_t)q->tokens_max, "seed", seed, "stop", stop,
			  "watermark"),
		e));
	return set(c, FIELD_PARAMETERS_WITHOUT_EFFECT, json_deep_copy(q->without_effect), e);
}

static int answer_fields(struct flow_chat *c, struct err *e)
{
	size_t count = 0;
	const uint32_t *id = c->session ? engine_session_ids(c->session, &count) : NULL;
	struct digest d = ids_digest(id, count);
	if (c->filter)
		TRY(flow_decision_note(c, "output", 0, filter_stream_record(c->filter), e));
	TRY(set(c, FIELD_SCANS, json_incref(c->scans), e));
	TRY(set(c, FIELD_OUTPUT_IDS, flow_json_digest(&d), e));
	d = digest_of(c->emitted.bytes ? c->emitted.bytes : "", c->emitted.len);
	TRY(set(c, FIELD_EMITTED_BYTES, flow_json_digest(&d), e));
	TRY(set(c, FIELD_OUTPUT_COUNT, json_integer((json_int_t)count), e));
	TRY(set(c, FIELD_FINISH_REASON, json_string(c->finish_reason), e));
	TRY(set(c, FIELD_INTERVENTIONS, json_incref(c->interventions), e));
	if (count) {
		d = digest_of(engine_session_logits(c->session),
			      sizeof(float) * engine_info(c->service->engine)->vocab);
		TRY(set(c, FIELD_LOGITS, flow_json_digest(&d), e));
	}
	TRY(set(c, FIELD_BACKEND, json_string("engine"), e));
	return set(c, FIELD_TIMING,
		   json_pack("{s:I,s:I}", "admitted_us", (json_int_t)c->created_us, "ended_us",
			     (json_int_t)c->ended_us),
		   e);
}

int flow_decision_fields(struct flow_chat *c, struct err *e)
{
	for (size_t i = 0; i < FLOW_DECISION_FIELDS; i++)
		c->field[i].name = flow_decision_names[i];
	c->ended_us = env_now_us(c->service->flow->env);
	TRY(request_fields(c, e));
	TRY(model_fields(c, e));
	TRY(answer_fields(c, e));
	if (!c->outcome)
		c->outcome = "completed";
	return 0;
}

static json_t *id_list(const uint32_t *id, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_integer((json_int_t)id[i]));
	return list;
}

int flow_decision_retained(const struct flow_chat *c, struct buf *out, struct err *e)
{
	size_t count = 0;
	const uint32_t *id = c->session ? engine_session_ids(c->session, &count) : NULL;
	size_t prompt =
		c->session ? c->prompt.count : 0; /* a refused prompt may be of any length */
	char seed[32];
	snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
	json_t *o =
		json_pack("{s:s%,s:s%,s:o,s:o,s:s,s:I,s:I}", "request", c->body.bytes, c->body.len,
			  "output", c->emitted.bytes ? c->emitted.bytes : "", c->emitted.len,
			  "prompt_ids", id_list(c->prompt.id, prompt), "output_ids",
			  id_list(id, count), "seed", seed, "created_us", (json_int_t)c->created_us,
			  "context_max", (json_int_t)c->service->context_max);
	int rc = flow_json_ok(o, e);
	if (rc == 0)
		rc = json_write_canonical(o, out, e);
	json_decref(o);
	return rc;
}

/* What the client gets: where the record stands, and the proof that it stands there. */
static int make_result(struct flow_chat *c, struct err *e)
{
	struct buf entry = { 0 }, proof = { 0 }, coded = { 0 };
	size_t count = 0;
	if (c->session)
		engine_session_ids(c->session, &count);
	int rc = audit_log_entry(c->service->flow->log, c->receipt.index, &entry, e);
	if (rc == 0)
		rc = audit_log_proof(c->service->flow->log, c->receipt.index, entry.bytes,
				     entry.len, &proof, e);
	if (rc == 0) {
		text_base64(&coded, proof.bytes, proof.len);
		c->result = json_pack("{s:s,s:I,s:I,s:I,s:{s:s,s:I,s:o,s:s}}", "finish_reason",
				      c->finish_reason, "prompt_tokens",
				      (json_int_t)c->prompt.count, "completion_tokens",
				      (json_int_t)count, "seed", (json_int_t)c->seed, "hallmark",
				      "record", c->record, "index", (json_int_t)c->receipt.index,
				      "leaf", flow_json_digest(&c->receipt.leaf), "receipt",
				      coded.bytes ? coded.bytes : "");
		rc = flow_json_ok(c->result, e);
	}
	buf_free(&entry);
	buf_free(&proof);
	buf_free(&coded);
	return rc;
}

/* The number was told to the client: it must not become a gap that nobody can explain. */
static void append_lost(struct flow_chat *c)
{
	json_t *body = json_pack("{s:s}", "refused", "decision");
	struct audit_record r = { .type = "lost", .n = c->n, .body = body };
	struct err ignored;
	if (body) /* where this fails too, the gap stays, and audit verify reports it */
		(void)!flow_append(c->service->flow, &r, true, &c->receipt, &ignored);
	json_decref(body);
}

int flow_decision_append(struct flow_chat *c, struct err *e)
{
	struct buf retained = { 0 };
	char bundle[DIGEST_TEXT_ROOM];
	c->recorded = true;
	int rc = flow_decision_fields(c, e);
	if (!c->service->recording)
		return rc;
	if (c->service->profile)
		digest_text(&c->service->profile->bundle, bundle);
	if (rc == 0)
		rc = flow_decision_retained(c, &retained, e);
	if (rc < 0) {
		append_lost(c);
	} else {
		struct audit_record r = {
			.type = "decision",
			.n = c->n,
			.field = c->field,
			.field_count = FLOW_DECISION_FIELDS,
			.bundle = c->service->profile ? bundle : NULL,
			.outcome = c->outcome,
			.retained = retained.bytes,
		};
		rc = flow_append(c->service->flow, &r, true, &c->receipt, e);
	}
	buf_wipe(&retained);
	return rc < 0 ? rc : make_result(c, e);
}
