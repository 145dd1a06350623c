#include "oracle.h"

#include "base/json.h"
#include "base/limits.h"
#include "model/tensors.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void *bytes_of(struct source *s, struct model_tensors *t, const char *name, enum model_dtype type)
{
	const struct model_tensor *w = model_tensors_find(t, name);
	struct err e = { 0 };
	cr_assert_not_null(w, "%s", name);
	cr_assert_eq(w->dtype, type, "%s", name);
	void *p = malloc(w->bytes);
	cr_assert_eq(source_read(s, w->file, w->begin, p, w->bytes, &e), 0, "%s", e.text);
	return p;
}

static json_t *json_file(struct source *s, const char *name)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	json_t *o;
	cr_assert_eq(source_read_file(s, name, MIB(1), &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&o, b.bytes, b.len, MIB(1), LIMIT_JSON_DEPTH, &e), 0, "%s", e.text);
	buf_free(&b);
	return o;
}

static uint32_t number(const json_t *o, const char *key)
{
	cr_assert(json_is_integer(json_object_get(o, key)), "%s", key);
	return (uint32_t)json_integer_value(json_object_get(o, key));
}

static void experts_open(struct oracle *o, struct source *s, struct model_tensors *t, const json_t *layers)
{
	o->moe_layers = (uint32_t)json_array_size(layers);
	for (uint32_t i = 0; i < o->moe_layers; i++) {
		char name[64];
		snprintf(name, sizeof name, "moe.%d.expert_ids",
		         (int)json_integer_value(json_array_get(layers, i)));
		int32_t *ids = bytes_of(s, t, name, MODEL_I32);
		size_t n = model_tensors_find(t, name)->bytes;
		o->top_k = (uint32_t)model_tensors_find(t, name)->shape[2];
		o->expert = realloc(o->expert, (i + 1) * n);
		memcpy((char *)o->expert + i * n, ids, n);
		free(ids);
	}
}

void oracle_open(struct oracle *o, const char *name)
{
	struct source *s;
	struct model_tensors *t;
	struct memory_source m;
	struct err e = { 0 };
	*o = (struct oracle){ 0 };
	snprintf(o->dir, sizeof o->dir, "tests/vectors/oracles/%s", name);
	cr_assert_eq(source_open_folder(&s, o->dir, &e), 0, "%s", e.text);
	json_t *j = json_file(s, "expected.json");
	o->logit_std = json_number_value(json_object_get(j, "logit_std"));
	o->batch = number(j, "batch"), o->length = number(j, "seq_len"), o->vocab = number(j, "vocab_size");
	o->prefix = number(j, "prefix_len"), o->greedy_count = number(j, "greedy_len");
	memory_init(&m);
	cr_assert_eq(source_read_file(s, "expected.safetensors", MIB(64), memory_add(&m,
	                                                                             "model.safetensors"),
	                                                                             &e), 0);
	cr_assert_eq(model_tensors_open(&t, &m.source, &e), 0, "%s", e.text);
	o->input = bytes_of(&m.source, t, "input_ids", MODEL_I32);
	o->logits = bytes_of(&m.source, t, "logits", MODEL_F64);
	o->greedy = bytes_of(&m.source, t, "greedy", MODEL_I32);
	experts_open(o, &m.source, t, json_object_get(j, "moe_layers"));
	model_tensors_close(t);
	memory_free(&m);
	json_decref(j);
	source_close(s);
}

void oracle_close(struct oracle *o)
{
	free(o->input);
	free(o->logits);
	free(o->greedy);
	free(o->expert);
}
