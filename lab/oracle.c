/* Oracle cases: miniature models with the logits, expert choices and greedy continuations that an
 * exact engine must give.
 *
 *   CASE/expected.json              logit_std, prefix_len, greedy_len, moe_layers
 *   CASE/expected.safetensors       input_ids [B,S], logits [B,S,V] F64, greedy [B,G],
 *                                   moe.L.expert_ids [B,S,k]
 *   DUMP/CASE/computed.safetensors  logits F32, greedy and moe.L.expert_ids I32, same shapes */
#include "base/file.h"
#include "base/limits.h"
#include "engine/pass.h"
#include "model/tensors.h"
#include "lab/lab.h"
#include "lab/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOE_LAYERS_MAX 256

struct oracle {
	struct source *source;
	struct engine *engine;
	struct model_tensors *expected;
	json_t *meta;
	uint64_t b, s, v, prefix, greedy_len;
	uint32_t k, moe_layers;
	int32_t *input, *greedy; /* [b][s], [b][greedy_len] */
	float *logits;           /* [b][s][v] */
	int32_t *expert;         /* [moe_layers][b][s][k] */
	uint64_t layer[MOE_LAYERS_MAX];
	double worst, tolerance;
	char wrong[160]; /* first exact value that differs, or "" */
};

static int load_expected(struct oracle *o, struct err *e)
{
	struct buf b = { 0 };
	uint64_t bytes;
	unsigned char len[8];
	TRY(source_read_file(o->source, "expected.json", MIB(4), &b, e));
	int rc = json_read(&o->meta, b.bytes, b.len, MIB(4), LIMIT_JSON_DEPTH, e);
	buf_free(&b);
	TRY(rc);
	TRY(source_size(o->source, "expected.safetensors", &bytes, e));
	TRY(source_read(o->source, "expected.safetensors", 0, len, 8, e));
	uint64_t n = 0;
	for (int i = 7; i >= 0; i--)
		n = n << 8 | len[i];
	if (n > MIB(16))
		return err_set(e, ERR_INPUT, "expected.safetensors: header of %llu bytes",
			       (unsigned long long)n);
	char *head = malloc(n + 8);
	rc = head ? source_read(o->source, "expected.safetensors", 0, head, n + 8, e)
		  : err_set(e, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = model_tensors_parse(&o->expected, "expected.safetensors", head, n + 8, bytes,
					 e);
	free(head);
	return rc;
}

/* The bytes of a tensor of this type and rank; *out is malloc'ed. */
static int read_tensor(struct oracle *o, const char *name, enum model_dtype type, int rank,
		       const struct model_tensor **t, void **out, struct err *e)
{
	*t = model_tensors_find(o->expected, name);
	if (!*t || (*t)->dtype != type || (*t)->rank != rank)
		return err_set(e, ERR_INPUT, "expected.safetensors: no %s of type %s and rank %d",
			       name, model_dtype_name(type), rank);
	void *bytes = malloc((*t)->bytes + 1);
	if (!bytes)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = source_read(o->source, (*t)->file, (*t)->begin, bytes, (*t)->bytes, e);
	if (rc < 0) {
		free(bytes);
		return rc;
	}
	*out = bytes;
	return 0;
}

static int allocate(struct oracle *o, struct err *e)
{
	const struct engine_facts *m = engine_info(o->engine);
	const struct model_tensor *t;
	void *ids;
	TRY(read_tensor(o, "input_ids", MODEL_I32, 2, &t, &ids, e));
	o->input = ids;
	o->b = t->shape[0];
	o->s = t->shape[1];
	o->v = m->vocab;
	o->k = m->experts_per_token;
	o->moe_layers = m->moe_layers;
	const json_t *layers = json_object_get(o->meta, "moe_layers");
	if (json_array_size(layers) != o->moe_layers || o->moe_layers > MOE_LAYERS_MAX)
		return err_set(e, ERR_INPUT,
			       "expected.json lists %zu expert layers, the model has %u",
			       json_array_size(layers), o->moe_layers);
	for (uint32_t i = 0; i < o->moe_layers; i++)
		o->layer[i] = (uint64_t)json_integer_value(json_array_get(layers, i));
	TRY(json_get_u64(o->meta, "prefix_len", &o->prefix, "expected.json", e));
	TRY(json_get_u64(o->meta, "greedy_len", &o->greedy_len, "expected.json", e));
	if (o->b == 0 || o->s == 0 || o->b > 64 || o->s > 4096 || o->prefix > o->s ||
	    o->prefix == 0 || o->greedy_len > 4096)
		return err_set(e, ERR_INPUT, "expected.safetensors: shapes out of range");
	o->logits = calloc(o->b * o->s * o->v, sizeof *o->logits);
	o->expert = calloc(o->moe_layers * o->b * o->s * o->k + 1, sizeof *o->expert);
	o->greedy = calloc(o->b * o->greedy_len + 1, sizeof *o->greedy);
	return o->logits && o->expert && o->greedy ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int compute_row(struct oracle *o, uint64_t row, uint16_t *expert, struct err *e)
{
	struct engine_sequence *q;
	const uint32_t *ids = (const uint32_t *)(o->input + row * o->s);
	TRY(engine_sequence_open(&q, o->engine, (uint32_t)o->s, e));
	struct engine_feed feed = { .sequence = q,
				    .token = ids,
				    .count = (uint32_t)o->s,
				    .logits = o->logits + row * o->s * o->v,
				    .all = true,
				    .expert = expert };
	int rc = engine_forward(o->engine, &feed, 1, e);
	engine_sequence_close(q);
	for (uint32_t l = 0; rc == 0 && l < o->moe_layers; l++)
		for (uint64_t i = 0; i < o->s * o->k; i++)
			o->expert[((uint64_t)l * o->b + row) * o->s * o->k + i] =
				expert[(uint64_t)l * o->s * o->k + i];
	return rc;
}

static int compute_greedy(struct oracle *o, uint64_t row, struct err *e)
{
	struct engine_sampling greedy = { .tokens_max = (uint32_t)o->greedy_len,
					  .top_p = 1,
					  .ignore_eos = true };
	struct engine_sequence *q;
	float *logits = malloc(o->v * sizeof *logits);
	void *scratch = malloc(o->v * 8);
	int rc = logits && scratch ? engine_sequence_open(&q, o->engine,
							  (uint32_t)(o->prefix + o->greedy_len), e)
				   : err_set(e, ERR_NOMEM, "out of memory");
	bool open = rc == 0;
	struct engine_feed feed = { .sequence = open ? q : NULL,
				    .token = (const uint32_t *)(o->input + row * o->s),
				    .count = (uint32_t)o->prefix,
				    .logits = logits };
	uint32_t next = 0;
	for (uint64_t i = 0; rc == 0 && i < o->greedy_len; i++) {
		rc = engine_forward(o->engine, &feed, 1, e);
		if (rc < 0)
			break;
		next = engine_sample(o->engine, logits, (uint32_t)o->v, (uint32_t)o->v, &greedy,
				     (uint32_t)(o->prefix + i), scratch);
		o->greedy[row * o->greedy_len + i] = (int32_t)next;
		feed.token = &next;
		feed.count = 1;
	}
	if (open)
		engine_sequence_close(q);
	free(logits);
	free(scratch);
	return rc;
}

static int compute(struct oracle *o, struct err *e)
{
	uint16_t *expert = calloc((uint64_t)o->moe_layers * o->s * o->k + 1, sizeof *expert);
	int rc = expert ? 0 : err_set(e, ERR_NOMEM, "out of memory");
	for (uint64_t row = 0; rc == 0 && row < o->b; row++) {
		rc = compute_row(o, row, expert, e);
		if (rc == 0)
			rc = compute_greedy(o, row, e);
	}
	free(expert);
	return rc;
}

/* ---- comparing ---- */

static int compare_logits(struct oracle *o, const char *name, struct err *e)
{
	const struct model_tensor *t;
	void *logits;
	TRY(read_tensor(o, "logits", MODEL_F64, 3, &t, &logits, e));
	const double *want = logits;
	uint64_t count = o->b * o->s * o->v;
	double std = json_number_value(json_object_get(o->meta, "logit_std"));
	if (t->bytes != count * 8)
		snprintf(o->wrong, sizeof o->wrong, "logits: shape differs");
	for (uint64_t i = 0; i < count && !o->wrong[0]; i++) {
		double err = fabs((double)o->logits[i] - want[i]);
		if (!(err <= o->worst))
			o->worst = isfinite(err) ? err : HUGE_VAL;
	}
	free(logits);
	o->tolerance = (strstr(name, "fp8") ? 3e-4 : 1e-4) * std;
	if (strcmp(engine_info(o->engine)->device, "cuda") == 0)
		o->tolerance *= 2; /* its products round rows to 17 bits */
	return 0;
}

static int compare_ids(struct oracle *o, const char *name, int rank, int32_t *got, uint64_t count,
		       struct err *e)
{
	const struct model_tensor *t;
	void *ids;
	TRY(read_tensor(o, name, MODEL_I32, rank, &t, &ids, e));
	const int32_t *want = ids;
	if (t->bytes != count * 4)
		snprintf(o->wrong, sizeof o->wrong, "%s: shape differs", name);
	for (uint64_t i = 0; i < count && !o->wrong[0]; i++)
		if (want[i] != got[i])
			snprintf(o->wrong, sizeof o->wrong, "%s[%llu]: expected %d, found %d", name,
				 (unsigned long long)i, want[i], got[i]);
	free(ids);
	return 0;
}

static int compare(struct oracle *o, const char *name, struct err *e)
{
	char tensor[64];
	uint64_t per_layer = o->b * o->s * o->k;
	TRY(compare_logits(o, name, e));
	TRY(compare_ids(o, "greedy", 2, o->greedy, o->b * o->greedy_len, e));
	for (uint32_t l = 0; l < o->moe_layers; l++) {
		snprintf(tensor, sizeof tensor, "moe.%llu.expert_ids",
			 (unsigned long long)o->layer[l]);
		TRY(compare_ids(o, tensor, 3, o->expert + l * per_layer, per_layer, e));
	}
	return 0;
}

/* ---- dumping ---- */

static void head_entry(struct buf *head, const char *name, const char *type, const uint64_t *shape,
		       int rank, uint64_t *at, uint64_t bytes)
{
	buf_printf(head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", *at ? "," : "{", name, type);
	for (int i = 0; i < rank; i++)
		buf_printf(head, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
	buf_printf(head, "],\"data_offsets\":[%llu,", (unsigned long long)*at);
	*at += bytes;
	buf_printf(head, "%llu]}", (unsigned long long)*at);
}

static int dump_case(struct oracle *o, const char *dump, const char *name, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES], tensor[64];
	struct buf head = { 0 }, file = { 0 };
	uint64_t at = 0, per_layer = o->b * o->s * o->k;
	TRY(file_join(dir, dump, name, e));
	TRY(file_make_dirs(dir, 0755, e));
	TRY(file_join(path, dir, "computed.safetensors", e));
	head_entry(&head, "logits", "F32", (uint64_t[]){ o->b, o->s, o->v }, 3, &at,
		   o->b * o->s * o->v * 4);
	head_entry(&head, "greedy", "I32", (uint64_t[]){ o->b, o->greedy_len }, 2, &at,
		   o->b * o->greedy_len * 4);
	for (uint32_t l = 0; l < o->moe_layers; l++) {
		snprintf(tensor, sizeof tensor, "moe.%llu.expert_ids",
			 (unsigned long long)o->layer[l]);
		head_entry(&head, tensor, "I32", (uint64_t[]){ o->b, o->s, o->k }, 3, &at,
			   per_layer * 4);
	}
	buf_add_text(&head, "}");
	buf_add_u64le(&file, head.len);
	buf_add(&file, head.bytes, head.len);
	buf_add(&file, o->logits, o->b * o->s * o->v * 4);
	buf_add(&file, o->greedy, o->b * o->greedy_len * 4);
	buf_add(&file, o->expert, o->moe_layers * per_layer * 4);
	int rc = buf_done(&head, e);
	if (rc == 0)
		rc = buf_done(&file, e);
	if (rc == 0)
		rc = file_write_durable(path, file.bytes, file.len, 0644, e);
	buf_free(&head);
	buf_free(&file);
	return rc;
}

static void oracle_free(struct oracle *o)
{
	if (o->engine)
		engine_close(o->engine);
	model_tensors_close(o->expected);
	source_close(o->source);
	json_decref(o->meta);
	free(o->input);
	free(o->greedy);
	free(o->logits);
	free(o->expert);
}

int lab_oracle_run(const struct lab_selftest *t, const char *name, json_t *cases, struct err *e)
{
	const struct serve_compute how = { .device = t->device, .threads = t->threads };
	struct engine_options options;
	struct oracle o = { 0 };
	struct err why = { 0 };
	char path[LIMIT_PATH_BYTES];
	TRY(serve_compute_read(&how, &options, e));
	options.quiet = true;
	TRY(file_join(path, t->oracles, name, e));
	int rc = source_open_folder(&o.source, path, &why);
	if (rc == 0)
		rc = load_expected(&o, &why);
	if (rc == 0)
		rc = engine_open(&o.engine, o.source, &options, &why);
	if (rc == 0)
		rc = allocate(&o, &why);
	if (rc == 0)
		rc = compute(&o, &why);
	if (rc == 0)
		rc = compare(&o, name, &why);
	bool ok = rc == 0 && o.worst <= o.tolerance && !o.wrong[0];
	json_array_append_new(cases, json_pack("{s:s,s:b,s:f,s:f,s:s}", "name", name, "ok", ok,
					       "max_error", isfinite(o.worst) ? o.worst : 1e300,
					       "tolerance", o.tolerance, "detail",
					       rc < 0 ? why.text : o.wrong));
	rc = rc == 0 && t->dump ? dump_case(&o, t->dump, name, e) : 0;
	oracle_free(&o);
	return rc;
}
