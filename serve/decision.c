/* The decision record: 36 fields in fixed order, each committed under its own salt. The table of
 * fields is frozen in docs/formats.md and checked by the log (audit/types.c); absent is null. A
 * replay makes them anew and compares. */
#include "serve/decision.h"

#include "base/canonical.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_BYTES 4096 /* that the texts of a short answer's fields fit in */

/* Receipts can be asked for by others than the one who was answered, and hold salts: a field that
 * is shown must not tell what was said, to whom, or how much of it was withheld. Why each of the
 * others stays closed: docs/formats.md, section 6. */
const char *const serve_decision_shown[] = {
	"model_root",
	"model_signer",
	"weights_format",
	"tokenizer",
	"template",
	"engine_build",
	"kernel_set",
	"kernel_regimes",
	"policy_bundle",
	"policy_mode",
	"finish_reason",
	"backend",
	"parameters_without_effect",
	NULL,
};

/* ---- values ----
 *
 * Written as they are committed, in canonical JSON: the members of an object stand in the order of
 * their keys. */

/* Little-endian u32 ids, as docs/formats.md says. */
static void put_ids_digest(struct buf *out, const char *key, const uint32_t *id, size_t count)
{
	struct buf b = { 0 };
	for (size_t i = 0; i < count; i++)
		buf_add_u32le(&b, id[i]);
	struct digest d = digest_of(b.bytes ? b.bytes : "", b.len);
	out->failed |= b.failed;
	buf_free(&b);
	json_put_digest(out, key, &d);
}

/* "" is absent too. */
static void put_some(struct buf *out, const char *key, const char *s)
{
	json_put_text(out, key, s && *s ? s : NULL);
}

json_t *serve_decision_adapter(const struct digest *root, const char *signer)
{
	struct obj o = { 0 };
	obj_add(&o, "root", json_digest(root));
	obj_text(&o, "signer", signer && *signer ? signer : NULL);
	return obj_take(&o);
}

/* The files' own type, or how it was packed and cached where that was asked for, and what was
 * merged into it. */
static void put_weights_format(struct buf *out, const struct decision *d)
{
	const struct answer_model *m = &d->model;
	bool usual =
		!m->packed || (strcmp(m->packed, "stored") == 0 && strcmp(m->cache, "f32") == 0);
	if (usual && !d->adapter) {
		put_some(out, NULL, m->matrices);
		return;
	}
	json_put_open(out, NULL, '{');
	if (d->adapter) {
		json_put_open(out, "adapter", '{');
		json_put_digest(out, "root", d->adapter);
		put_some(out, "signer", d->adapter_signer);
		json_put_close(out, '}');
	}
	json_put_text(out, "cache", m->cache);
	json_put_text(out, "matrices", m->matrices);
	json_put_text(out, "packed", m->packed);
	json_put_close(out, '}');
}

static json_t *template_kwargs(const struct decision *d)
{
	struct obj o = { 0 };
	const char *key;
	json_t *value;
	obj_text(&o, "clock", "created");
	json_object_foreach(d->asked->template_kwargs, key, value)
		obj_share(&o, key, value);
	return obj_take(&o);
}

static void put_texts(struct buf *out, const char *key, const char *const *text, size_t count)
{
	json_put_open(out, key, '[');
	for (size_t i = 0; i < count; i++)
		json_put_text(out, NULL, text[i]);
	json_put_close(out, ']');
}

static void put_ids(struct buf *out, const char *key, const uint32_t *id, size_t count)
{
	json_put_open(out, key, '[');
	for (size_t i = 0; i < count; i++)
		json_put_int(out, NULL, id[i]);
	json_put_close(out, ']');
}

static void put_biases(struct buf *out, const struct api_request *q)
{
	json_put_open(out, "logit_bias", '[');
	for (size_t i = 0; i < q->bias_count; i++) {
		json_put_open(out, NULL, '[');
		json_put_int(out, NULL, q->bias[i].id);
		json_put_real(out, NULL, (double)q->bias[i].bias);
		json_put_close(out, ']');
	}
	json_put_close(out, ']');
}

static void put_seed(struct buf *out, int64_t seed)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", (long long)seed);
	json_put_text(out, "seed", text);
}

static void put_real_unless(struct buf *out, const char *key, double v, double usual)
{
	if (v != usual)
		json_put_real(out, key, v);
}

/* Parameters added in later versions are written only where they have an effect, so that older
 * records keep their value. */
static void put_sampling(struct buf *out, const struct decision *d)
{
	const struct api_request *q = d->asked;
	json_put_open(out, NULL, '{');
	if (q->ban_count)
		put_texts(out, "bad_words", q->ban, q->ban_count);
	put_real_unless(out, "frequency_penalty", q->frequency, 0);
	if (json_array_size(d->from_model))
		json_put_value(out, "from_model", d->from_model);
	if (q->ignore_eos)
		json_put_bool(out, "ignore_eos", true);
	if (q->hides_reasoning)
		json_put_bool(out, "include_reasoning", false);
	if (q->bias_count)
		put_biases(out, q);
	json_put_int(out, "max_tokens", (int64_t)q->tokens_max);
	json_put_real(out, "min_p", q->min_p);
	if (q->tokens_min)
		json_put_int(out, "min_tokens", (int64_t)q->tokens_min);
	if (q->n > 1)
		json_put_int(out, "n", q->n);
	put_real_unless(out, "presence_penalty", q->presence, 0);
	put_real_unless(out, "repetition_penalty", q->repetition, 1);
	put_seed(out, d->seed);
	put_texts(out, "stop", q->stop, q->stop_count);
	if (q->stop_ids)
		put_ids(out, "stop_token_ids", q->stop_id, q->stop_ids);
	json_put_real(out, "temperature", q->temperature);
	json_put_int(out, "top_k", (int64_t)q->top_k);
	if (q->logprobs)
		json_put_int(out, "top_logprobs", (int64_t)q->top_logprobs);
	json_put_real(out, "top_p", q->top_p);
	json_put_null(out, "watermark");
	json_put_close(out, '}');
}

static void put_constraint(struct buf *out, const struct answer_facts *a)
{
	if (!a->has_constraint) {
		json_put_null(out, NULL);
		return;
	}
	json_put_open(out, NULL, '{');
	json_put_digest(out, "digest", &a->constraint);
	json_put_text(out, "from", a->constraint_field);
	json_put_close(out, '}');
}

/* ---- the answer: a value, or with several choices a list with one for each ---- */

static void put_output_ids_digest(struct buf *out, const char *key, const struct decision *d,
				  unsigned i)
{
	const struct answer_choice_facts *f = &d->answer.choice[i];
	/* Whoever knows the rest of what was drawn finds the masked number from the digest. */
	if (d->model.knows_ids && !d->hides_ids)
		put_ids_digest(out, key, f->id, f->count);
	else
		json_put_null(out, key);
}

static void put_emitted_digest(struct buf *out, const char *key, const struct decision *d,
			       unsigned i)
{
	json_put_digest(out, key, &d->choice[i].emitted);
}

static void put_count(struct buf *out, const char *key, const struct decision *d, size_t count)
{
	if (d->model.knows_ids)
		json_put_int(out, key, (int64_t)count);
	else
		json_put_null(out, key);
}

static void put_output_count(struct buf *out, const char *key, const struct decision *d, unsigned i)
{
	put_count(out, key, d, d->answer.choice[i].count);
}

static void put_finish_reason(struct buf *out, const char *key, const struct decision *d,
			      unsigned i)
{
	put_some(out, key, d->choice[i].finish_reason);
}

static void put_logits_digest(struct buf *out, const char *key, const struct decision *d,
			      unsigned i)
{
	const struct answer_choice_facts *f = &d->answer.choice[i];
	json_put_digest(out, key, f->has_logits ? &f->logits : NULL);
}

static void put_output(struct buf *out, const char *key, const struct decision *d, unsigned i)
{
	json_put_value(out, key, d->choice[i].output);
}

static void put_output_ids(struct buf *out, const char *key, const struct decision *d, unsigned i)
{
	put_ids(out, key, d->answer.choice[i].id, d->answer.choice[i].count);
}

static void put_each(struct buf *out, const char *key, const struct decision *d,
		     void (*put)(struct buf *, const char *, const struct decision *, unsigned))
{
	if (d->asked->n == 1) {
		put(out, key, d, 0);
		return;
	}
	json_put_open(out, key, '[');
	for (unsigned i = 0; i < d->asked->n; i++)
		put(out, NULL, d, i);
	json_put_close(out, ']');
}

/* ---- the fields ---- */

/* Where the text of the next one goes; a lack of memory is found at the end. */
static struct buf *field(struct decision_fields *f, const char *name)
{
	if (f->count)
		buf_add_byte(&f->all, '\0'); /* ends the one before */
	f->field[f->count++] = (struct audit_field){ .name = name };
	return &f->all;
}

static void add_request(const struct decision *d, struct decision_fields *f)
{
	const struct answer_facts *a = &d->answer;
	put_some(field(f, "subject"), NULL, d->subject);
	put_some(field(f, "client"), NULL, d->client);
	json_put_digest(field(f, "request_bytes_digest"), NULL, d->body_digest);
	struct buf *ids = field(f, "prompt_ids_digest");
	if (d->model.knows_ids)
		put_ids_digest(ids, NULL, a->prompt, a->prompt_count);
	else
		json_put_null(ids, NULL);
	put_count(field(f, "prompt_count"), NULL, d, a->prompt_count);
}

/* ERR_INPUT: what the client gave its template has no canonical form. */
static int add_model(const struct decision *d, struct decision_fields *f, struct err *e)
{
	const struct answer_model *m = &d->model;
	json_put_digest(field(f, "model_root"), NULL, d->root);
	put_some(field(f, "model_signer"), NULL, d->signer);
	put_weights_format(field(f, "weights_format"), d);
	json_put_digest(field(f, "tokenizer"), NULL, m->tokenizer);
	json_put_digest(field(f, "template"), NULL, m->chat_template);
	json_t *kwargs = template_kwargs(d);
	int rc = json_write_canonical(kwargs, field(f, "template_kwargs"), e);
	json_decref(kwargs);
	if (rc < 0) {
		err_prefix(e, "field \"template_kwargs\"");
		return rc;
	}
	put_some(field(f, "engine_build"), NULL, d->build);
	put_some(field(f, "kernel_set"), NULL, m->kernels);
	if (m->regime)
		put_texts(field(f, "kernel_regimes"), NULL, &m->regime, 1);
	else
		json_put_null(field(f, "kernel_regimes"), NULL);
	json_put_digest(field(f, "policy_bundle"), NULL, d->bundle);
	put_some(field(f, "policy_mode"), NULL, d->mode);
	put_sampling(field(f, "sampling"), d);
	put_constraint(field(f, "constraint"), &d->answer);
	return 0;
}

/* Of the request, then of the schema that its answer follows. A replay was given both. */
json_t *serve_decision_unused(const struct decision *d)
{
	const struct answer_facts *a = &d->answer;
	if (!json_array_size(a->without_effect))
		return json_incref(d->asked->without_effect);
	json_t *out = json_deep_copy(d->asked->without_effect), *one, *other;
	size_t i, k;
	json_array_foreach((json_t *)a->without_effect, i, one) {
		bool known = false;
		json_array_foreach(out, k, other)
			known = known || json_equal(one, other);
		if (!known)
			json_array_append_new(out, json_copy(one));
	}
	return out;
}

static void add_answer(const struct decision *d, struct decision_fields *f)
{
	struct buf *scans = field(f, "scans");
	json_put_open(scans, NULL, '[');
	if (d->scans)
		buf_add(scans, d->scans->bytes, d->scans->len);
	json_put_close(scans, ']');
	put_each(field(f, "output_ids_digest"), NULL, d, put_output_ids_digest);
	put_each(field(f, "emitted_bytes_digest"), NULL, d, put_emitted_digest);
	put_each(field(f, "output_count"), NULL, d, put_output_count);
	put_each(field(f, "finish_reason"), NULL, d, put_finish_reason);
	json_put_value(field(f, "interventions"), NULL, d->interventions);
	json_put_null(field(f, "routing_digest"), NULL);
	put_each(field(f, "logits_digest"), NULL, d, put_logits_digest);
	put_some(field(f, "backend"), NULL, d->backend);
	json_t *unused = serve_decision_unused(d);
	json_put_value(field(f, "parameters_without_effect"), NULL, unused);
	json_decref(unused);
	struct buf *timing = field(f, "timing");
	json_put_open(timing, NULL, '{');
	json_put_int(timing, "admitted_us", d->created_us);
	json_put_int(timing, "ended_us", d->ended_us);
	json_put_close(timing, '}');
}

static void put_device(struct buf *out, const struct answer_model *m)
{
	if (!m->device.backend) {
		json_put_null(out, NULL);
		return;
	}
	json_put_open(out, NULL, '{');
	json_put_text(out, "backend", m->device.backend);
	put_some(out, "driver", m->device.driver);
	json_put_digest(out, "library_digest", m->device.library);
	put_some(out, "name", m->device.name);
	json_put_close(out, '}');
}

/* What ended an answer before its end. */
static void put_ended(struct buf *out, const struct decision *d)
{
	if (!d->ended_by) {
		json_put_null(out, NULL);
		return;
	}
	json_put_open(out, NULL, '{');
	json_put_text(out, "by", d->ended_by);
	put_some(out, "reason", d->ended_why);
	json_put_close(out, '}');
}

/* What does not exist here yet is null; its form is fixed in docs/formats.md. */
static void add_route(const struct decision *d, struct decision_fields *f)
{
	struct buf *route = field(f, "route");
	json_put_open(route, NULL, '{');
	json_put_text(route, "shape", d->shape);
	json_put_close(route, '}');
	json_put_null(field(f, "conversation"), NULL);
	json_put_null(field(f, "upstream"), NULL);
	json_put_null(field(f, "verdicts"), NULL);
	json_put_null(field(f, "shadow"), NULL);
	put_device(field(f, "device"), &d->model);
	put_ended(field(f, "ended"), d);
}

int serve_decision_fields(const struct decision *d, struct decision_fields *out, struct err *e)
{
	*out = (struct decision_fields){ 0 };
	buf_reserve(&out->all, FIELDS_BYTES);
	add_request(d, out);
	int rc = add_model(d, out, e);
	add_answer(d, out);
	add_route(d, out);
	if (rc == 0 && out->all.failed)
		rc = err_set(e, ERR_NOMEM, "out of memory for the record");
	if (rc < 0) {
		serve_decision_fields_free(out);
		return rc;
	}
	const char *at = out->all.bytes;
	for (size_t i = 0; i < out->count; at += strlen(at) + 1)
		out->text[i++] = at;
	return 0;
}

void serve_decision_fields_free(struct decision_fields *f)
{
	buf_free(&f->all);
	f->count = 0;
}

int serve_decision_retained(const struct decision *d, struct buf *out, struct err *e)
{
	const struct answer_model *m = &d->model;
	if (d->keeps_nothing)
		return 0;
	json_put_open(out, NULL, '{');
	json_put_int(out, "context_max", (int64_t)m->context_max);
	json_put_int(out, "created_us", d->created_us);
	json_put_open(out, "engine", '{');
	json_put_text(out, "cache", m->cache);
	json_put_digest(out, "choice", m->choice);
	json_put_text(out, "numerics", m->numerics);
	json_put_text(out, "weights", m->packed);
	json_put_close(out, '}');
	json_put_text(out, "not_kept", d->not_kept);
	put_each(out, "output", d, put_output);
	if (d->hides_ids)
		json_put_null(out, "output_ids");
	else
		put_each(out, "output_ids", d, put_output_ids);
	if (d->request)
		json_put_value(out, "request", d->request);
	else
		json_put_null(out, "request");
	put_seed(out, d->seed);
	json_put_close(out, '}');
	return buf_done(out, e);
}

void serve_decision_free(struct decision *d)
{
	for (unsigned i = 0; i < API_CHOICES; i++)
		json_decref(d->choice[i].output);
	json_decref(d->request);
	*d = (struct decision){ 0 };
}
