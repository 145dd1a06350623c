/* The decision record: 35 fields in fixed order, each committed under its own salt. The table of
 * fields is frozen in docs/formats.md and checked by the log (audit/types.c); absent is null. A
 * replay makes them anew and compares. */
#include "serve/decision.h"

#include <string.h>

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

/* ---- values ---- */

/* Little-endian u32 ids, as docs/formats.md says. */
static json_t *ids_digest(const uint32_t *id, size_t count)
{
	struct buf b = { 0 };
	for (size_t i = 0; i < count; i++)
		buf_add_u32le(&b, id[i]);
	struct digest d = digest_of(b.bytes ? b.bytes : "", b.len);
	bool whole = !b.failed;
	buf_free(&b);
	return whole ? json_digest(&d) : NULL;
}

static json_t *digest_or_null(const struct digest *d) { return d ? json_digest(d) : json_null(); }

/* "" is absent too. */
static json_t *text_or_null(const char *s)
{
	return s && *s ? json_from_text(s, strlen(s)) : json_null();
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
static json_t *weights_format(const struct decision *d)
{
	const struct answer_model *m = &d->model;
	struct obj o = { 0 };
	bool usual =
		!m->packed || (strcmp(m->packed, "stored") == 0 && strcmp(m->cache, "f32") == 0);
	if (usual && !d->adapter)
		return text_or_null(m->matrices);
	obj_text(&o, "packed", m->packed);
	obj_text(&o, "matrices", m->matrices);
	obj_text(&o, "cache", m->cache);
	if (d->adapter)
		obj_add(&o, "adapter", serve_decision_adapter(d->adapter, d->adapter_signer));
	return obj_take(&o);
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

/* Parameters added in later versions are written only where they have an effect, so that older
 * records keep their value. */
static void sampling_more(const struct api_request *q, struct obj *o)
{
	struct arr bias = { 0 }, ids = { 0 }, ban = { 0 };
	for (size_t i = 0; i < q->stop_ids; i++)
		arr_count(&ids, q->stop_id[i]);
	for (size_t i = 0; i < q->bias_count; i++)
		arr_add(&bias,
			json_pack("[I,f]", (json_int_t)q->bias[i].id, (double)q->bias[i].bias));
	for (size_t i = 0; i < q->ban_count; i++)
		arr_text(&ban, q->ban[i]);
	if (q->n > 1)
		obj_count(o, "n", q->n);
	if (q->frequency != 0)
		obj_real(o, "frequency_penalty", q->frequency);
	if (q->presence != 0)
		obj_real(o, "presence_penalty", q->presence);
	if (q->repetition != 1)
		obj_real(o, "repetition_penalty", q->repetition);
	if (q->bias_count)
		obj_array(o, "logit_bias", &bias);
	if (q->stop_ids)
		obj_array(o, "stop_token_ids", &ids);
	if (q->hides_reasoning)
		obj_bool(o, "include_reasoning", false);
	if (q->ban_count)
		obj_array(o, "bad_words", &ban);
	if (q->tokens_min)
		obj_count(o, "min_tokens", q->tokens_min);
	if (q->ignore_eos)
		obj_bool(o, "ignore_eos", true);
	if (q->logprobs)
		obj_count(o, "top_logprobs", q->top_logprobs);
}

static void add_seed(struct obj *o, int64_t seed)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", (long long)seed);
	obj_text(o, "seed", text);
}

static json_t *sampling(const struct decision *d)
{
	const struct api_request *q = d->asked;
	struct obj o = { 0 };
	struct arr stop = { 0 };
	for (size_t i = 0; i < q->stop_count; i++)
		arr_text(&stop, q->stop[i]);
	obj_real(&o, "temperature", q->temperature);
	obj_real(&o, "top_p", q->top_p);
	obj_real(&o, "min_p", q->min_p);
	obj_count(&o, "top_k", q->top_k);
	obj_count(&o, "max_tokens", q->tokens_max);
	add_seed(&o, d->seed);
	obj_array(&o, "stop", &stop);
	obj_null(&o, "watermark");
	sampling_more(q, &o);
	if (json_array_size(d->from_model))
		obj_share(&o, "from_model", d->from_model);
	return obj_take(&o);
}

static json_t *constraint(const struct answer_facts *a)
{
	struct obj o = { 0 };
	if (!a->has_constraint)
		return json_null();
	obj_add(&o, "digest", json_digest(&a->constraint));
	obj_text(&o, "from", a->constraint_field);
	return obj_take(&o);
}

/* ---- the answer: a value, or with several choices a list with one for each ---- */

static json_t *output_ids_digest(const struct decision *d, unsigned i)
{
	const struct answer_choice_facts *f = &d->answer.choice[i];
	/* Whoever knows the rest of what was drawn finds the masked number from the digest. */
	return d->model.knows_ids && !d->hides_ids ? ids_digest(f->id, f->count) : json_null();
}

static json_t *emitted_digest(const struct decision *d, unsigned i)
{
	return json_digest(&d->choice[i].emitted);
}

static json_t *output_count(const struct decision *d, unsigned i)
{
	return d->model.knows_ids ? json_integer((json_int_t)d->answer.choice[i].count)
				  : json_null();
}

static json_t *finish_reason(const struct decision *d, unsigned i)
{
	return text_or_null(d->choice[i].finish_reason);
}

static json_t *logits_digest(const struct decision *d, unsigned i)
{
	const struct answer_choice_facts *f = &d->answer.choice[i];
	return digest_or_null(f->has_logits ? &f->logits : NULL);
}

static json_t *output(const struct decision *d, unsigned i)
{
	return json_incref(d->choice[i].output);
}

static json_t *id_list(const uint32_t *id, size_t count)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < count; i++)
		arr_count(&list, id[i]);
	return arr_take(&list);
}

static json_t *output_ids(const struct decision *d, unsigned i)
{
	return id_list(d->answer.choice[i].id, d->answer.choice[i].count);
}

static json_t *each_choice(const struct decision *d,
			   json_t *(*value)(const struct decision *, unsigned))
{
	if (d->asked->n == 1)
		return value(d, 0);
	struct arr list = { 0 };
	for (unsigned i = 0; i < d->asked->n; i++)
		arr_add(&list, value(d, i));
	return arr_take(&list);
}

/* ---- the fields ---- */

/* value is taken; NULL is a lack of memory, found at the end. */
static void add(struct decision_fields *f, const char *name, json_t *value)
{
	f->field[f->count++] = (struct audit_field){ name, value };
}

static void add_request(const struct decision *d, struct decision_fields *f)
{
	const struct answer_facts *a = &d->answer;
	bool ids = d->model.knows_ids;
	add(f, "subject", text_or_null(d->subject));
	add(f, "client", text_or_null(d->client));
	add(f, "request_bytes_digest", digest_or_null(d->body_digest));
	add(f, "prompt_ids_digest", ids ? ids_digest(a->prompt, a->prompt_count) : json_null());
	add(f, "prompt_count", ids ? json_integer((json_int_t)a->prompt_count) : json_null());
}

static void add_model(const struct decision *d, struct decision_fields *f)
{
	const struct answer_model *m = &d->model;
	add(f, "model_root", digest_or_null(d->root));
	add(f, "model_signer", text_or_null(d->signer));
	add(f, "weights_format", weights_format(d));
	add(f, "tokenizer", digest_or_null(m->tokenizer));
	add(f, "template", digest_or_null(m->chat_template));
	add(f, "template_kwargs", template_kwargs(d));
	add(f, "engine_build", text_or_null(d->build));
	add(f, "kernel_set", text_or_null(m->kernels));
	add(f, "kernel_regimes", m->regime ? json_pack("[s]", m->regime) : json_null());
	add(f, "policy_bundle", digest_or_null(d->bundle));
	add(f, "policy_mode", text_or_null(d->mode));
	add(f, "sampling", sampling(d));
	add(f, "constraint", constraint(&d->answer));
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
	add(f, "scans", json_incref(d->scans));
	add(f, "output_ids_digest", each_choice(d, output_ids_digest));
	add(f, "emitted_bytes_digest", each_choice(d, emitted_digest));
	add(f, "output_count", each_choice(d, output_count));
	add(f, "finish_reason", each_choice(d, finish_reason));
	add(f, "interventions", json_incref(d->interventions));
	add(f, "routing_digest", json_null());
	add(f, "logits_digest", each_choice(d, logits_digest));
	add(f, "backend", text_or_null(d->backend));
	add(f, "parameters_without_effect", serve_decision_unused(d));
	struct obj timing = { 0 };
	obj_int(&timing, "admitted_us", d->created_us);
	obj_int(&timing, "ended_us", d->ended_us);
	add(f, "timing", obj_take(&timing));
}

static json_t *device(const struct answer_model *m)
{
	struct obj o = { 0 };
	if (!m->device.backend)
		return json_null();
	obj_text(&o, "backend", m->device.backend);
	obj_add(&o, "name", text_or_null(m->device.name));
	obj_add(&o, "driver", text_or_null(m->device.driver));
	obj_add(&o, "library_digest", digest_or_null(m->device.library));
	return obj_take(&o);
}

/* What ended an answer before its end. */
static json_t *ended(const struct decision *d)
{
	struct obj o = { 0 };
	if (!d->ended_by)
		return json_null();
	obj_text(&o, "by", d->ended_by);
	obj_add(&o, "reason", text_or_null(d->ended_why));
	return obj_take(&o);
}

/* What does not exist here yet is null; its form is fixed in docs/formats.md. */
static void add_route(const struct decision *d, struct decision_fields *f)
{
	add(f, "route", json_pack("{s:s}", "shape", d->shape));
	add(f, "conversation", json_null());
	add(f, "upstream", json_null());
	add(f, "verdicts", json_null());
	add(f, "shadow", json_null());
	add(f, "device", device(&d->model));
	add(f, "ended", ended(d));
}

int serve_decision_fields(const struct decision *d, struct decision_fields *out, struct err *e)
{
	*out = (struct decision_fields){ 0 };
	add_request(d, out);
	add_model(d, out);
	add_answer(d, out);
	add_route(d, out);
	for (size_t i = 0; i < out->count; i++)
		if (!out->field[i].value) {
			serve_decision_fields_free(out);
			return err_set(e, ERR_NOMEM, "out of memory for the record");
		}
	return 0;
}

void serve_decision_fields_free(struct decision_fields *f)
{
	for (size_t i = 0; i < f->count; i++)
		json_decref(f->field[i].value);
	f->count = 0;
}

int serve_decision_retained(const struct decision *d, json_t **out, struct err *e)
{
	const struct answer_model *m = &d->model;
	struct obj o = { 0 }, engine = { 0 };
	*out = NULL;
	if (d->keeps_nothing)
		return 0;
	obj_text(&engine, "weights", m->packed);
	obj_text(&engine, "cache", m->cache);
	obj_text(&engine, "numerics", m->numerics);
	obj_add(&engine, "choice", digest_or_null(m->choice));
	obj_add(&o, "request", d->request ? json_incref(d->request) : json_null());
	obj_text(&o, "not_kept", d->not_kept);
	obj_add(&o, "output", each_choice(d, output));
	obj_add(&o, "output_ids", d->hides_ids ? json_null() : each_choice(d, output_ids));
	add_seed(&o, d->seed);
	obj_int(&o, "created_us", d->created_us);
	obj_count(&o, "context_max", m->context_max);
	obj_object(&o, "engine", &engine);
	return obj_done(&o, out, e);
}

void serve_decision_free(struct decision *d)
{
	for (unsigned i = 0; i < API_CHOICES; i++)
		json_decref(d->choice[i].output);
	json_decref(d->request);
	json_decref(d->scans);
	json_decref(d->interventions);
	*d = (struct decision){ 0 };
}
