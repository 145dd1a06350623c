/* Memory of all weights: counted for the whole plan, compared with what there is, and taken before
 * anything is read; and where each item of the plan has its part of it. */
#include "engine/cpu.h"

#include "base/check.h"
#include "base/machine.h"

#include <stddef.h>
#include <stdlib.h>

/* ---- places ---- */

/* Where a network has it. */
static const size_t ffn_at[MODEL_SLOTS] = {
	[SLOT_GATE] = offsetof(struct ffn_weights, gate),
	[SLOT_UP] = offsetof(struct ffn_weights, up),
	[SLOT_DOWN] = offsetof(struct ffn_weights, down),
	[SLOT_GATE_BIAS] = offsetof(struct ffn_weights, gate_bias),
	[SLOT_UP_BIAS] = offsetof(struct ffn_weights, up_bias),
	[SLOT_DOWN_BIAS] = offsetof(struct ffn_weights, down_bias),
};

static bool is_of_ffn(enum model_slot s) { return s >= SLOT_GATE && s <= SLOT_DOWN_BIAS; }

/* The matrix, or the pointer to the vector, of an item's i-th part. */
static void *place_of(struct cpu *m, const struct model_item *it, size_t i)
{
	enum model_slot slot = it->part[i % it->parts].slot;
	uint32_t expert = it->stack > 0 ? (uint32_t)(i / it->parts) : it->expert;
	bool whole = model_slot_is_whole(slot);
	struct layer_weights *w = &m->weights.layer[whole ? m->config.layers : it->layer];
	if (is_of_ffn(slot)) {
		bool one = expert == MODEL_NO_EXPERT;
		return (char *)(one ? &w->ffn : &w->expert[expert]) + ffn_at[slot];
	}
	if (slot == SLOT_KEY_UP || slot == SLOT_VALUE_UP)
		return slot == SLOT_KEY_UP ? &w->key_up[expert] : &w->value_up[expert];
	return it->kind == ITEM_FLOATS ? (void *)&w->vector[slot] : &w->matrix[slot];
}

static size_t places(const struct model_item *it)
{
	return (size_t)it->parts * (it->stack > 0 ? it->stack : 1);
}

float **cpu_vector(struct cpu *m, const struct model_item *it, size_t i, size_t *n)
{
	if (it->kind != ITEM_FLOATS || i >= places(it))
		return NULL;
	*n = (size_t)model_part_rows(it, (uint32_t)(i % it->parts)) * it->columns;
	return place_of(m, it, i);
}

struct kernel_matrix *cpu_part(struct cpu *m, const struct model_item *it, size_t i, uint32_t *rows,
			       uint32_t *columns)
{
	const struct model_config *c = &m->config;
	*columns = it->columns;
	if (it->kind == ITEM_KV_B) {
		struct layer_weights *w = &m->weights.layer[it->layer];
		bool key = i % 2 == 0;
		*rows = key ? c->kv_rank : c->value;
		*columns = key ? c->nope : c->kv_rank;
		return i >= 2 * (size_t)c->layer[it->layer].heads ? NULL
		       : key                                      ? &w->key_up[i / 2]
								  : &w->value_up[i / 2];
	}
	if (it->kind != ITEM_MATRIX && it->kind != ITEM_TRANSPOSED && it->kind != ITEM_BLOCKS)
		return NULL;
	*rows = model_part_rows(it, (uint32_t)(i % it->parts));
	return i < places(it) ? place_of(m, it, i) : NULL;
}

/* ---- counting ---- */

/* Of one number each where nothing is packed. */
static uint64_t item_values(const struct model_item *it)
{
	return (uint64_t)it->rows * it->columns * (it->stack > 0 ? it->stack : 1);
}

/* Bytes that an item takes permanently. */
static uint64_t item_bytes(struct cpu *m, const struct model_item *it)
{
	uint64_t sum = it->kind == ITEM_FLOATS ? item_values(it) * sizeof(float) : 0;
	uint32_t rows, columns;
	for (size_t i = 0; cpu_part(m, it, i, &rows, &columns) != NULL; i++)
		sum += kernel_format_bytes(it->format, rows, columns);
	return sum;
}

/* Bytes that an item takes only while loading. */
static uint64_t item_bytes_passing(const struct model_item *it)
{
	if (it->tensor == NULL)
		return 0;
	return it->kind == ITEM_BLOCK_SCALES ? item_values(it)
	       : it->kind == ITEM_FP8_SCALES ? item_values(it) * sizeof(float)
					     : 0;
}

/* Bytes of its matrices in the store. */
static uint64_t item_store_bytes(struct cpu *m, const struct model_item *it)
{
	uint64_t sum = 0;
	uint32_t rows, columns;
	for (size_t i = 0; cpu_part(m, it, i, &rows, &columns) != NULL; i++)
		sum += kernel_store_bytes(it->format, rows, columns);
	return sum;
}

/* What packing an item needs beside its bytes. */
static uint64_t item_scratch_bytes(const struct model_config *c, const struct model_item *it)
{
	uint64_t scratch = KERNEL_PANEL * (uint64_t)it->columns * 4;
	if (it->kind == ITEM_KV_B)
		scratch = ((uint64_t)c->nope + c->value) * c->kv_rank * 8;
	if (it->kind == ITEM_TIED)
		scratch += kernel_format_bytes(it->format, KERNEL_PANEL, it->columns);
	return scratch;
}

static const char *advice(const struct model_plan *p)
{
	return p->packing == MODEL_PACKING_Q4   ? "load a smaller model"
	       : p->packing == MODEL_PACKING_Q8 ? "try --weights q4"
						: "try --weights q8 or q4";
}

static int memory_check(const struct model_plan *p, uint64_t need, struct err *e)
{
	uint64_t has = machine_memory(), most = p->memory_max;
	bool limited = most > 0 && most < has;
	has = limited ? most : has;
	if (need <= has)
		return 0;
	return err_set(e, ERR_NOMEM, "the weights need %.2f GB of memory, %.2f GB %s: %s",
		       (double)need / 1e9, (double)has / 1e9,
		       limited ? "are allowed" : "are available", advice(p));
}

/* ---- taking ---- */

static int floats_alloc(float **out, size_t n, struct err *e)
{
	*out = malloc((n + 1) * sizeof **out);
	return *out ? 0 : err_set(e, ERR_NOMEM, "a vector");
}

static int vectors_alloc(struct cpu *m, const struct model_item *it, struct err *e)
{
	float **v;
	size_t n;
	for (size_t i = 0; (v = cpu_vector(m, it, i, &n)) != NULL; i++)
		TRY(floats_alloc(v, n, e));
	return 0;
}

static int parts_alloc(struct cpu *m, const struct model_item *it, struct err *e)
{
	uint32_t rows, columns;
	struct kernel_matrix *w;
	for (size_t i = 0; (w = cpu_part(m, it, i, &rows, &columns)) != NULL; i++)
		TRY(kernel_matrix_place(w, &m->weights.store, it->format, rows, columns, e));
	return 0;
}

static int item_alloc(struct cpu *m, const struct model_item *it, struct err *e)
{
	struct cpu_loading *l = &m->loading;
	size_t n = (size_t)item_values(it);
	switch (it->kind) {
	case ITEM_FLOATS:
		return vectors_alloc(m, it, e);
	case ITEM_BLOCK_SCALES:
		l->mx_scale[it->parent] = it->tensor ? malloc(n) : NULL;
		return l->mx_scale[it->parent] || !it->tensor
			       ? 0
			       : err_set(e, ERR_NOMEM, "scales of experts");
	case ITEM_FP8_SCALES:
		return l->plan->item[it->parent].format == KERNEL_FP8
			       ? 0
			       : floats_alloc(&l->scale[it->parent], n, e);
	default:
		return parts_alloc(m, it, e);
	}
}

static int layers_alloc(struct cpu *m, struct err *e)
{
	const struct model_config *c = &m->config;
	struct layer_weights *w = m->weights.layer = calloc(c->layers + 1, sizeof *w);
	if (!w)
		return err_set(e, ERR_NOMEM, "layers");
	for (uint32_t i = 0; i < c->layers; i++, w++) {
		const struct model_layer *l = &c->layer[i];
		if (l->ffn != MODEL_FFN_DENSE) {
			w->expert = calloc(c->gate.experts, sizeof *w->expert);
			if (!w->expert)
				return err_set(e, ERR_NOMEM, "experts");
		}
		if (l->mixer != MODEL_MIX_MLA)
			continue;
		w->key_up = calloc(l->heads, sizeof *w->key_up);
		w->value_up = calloc(l->heads, sizeof *w->value_up);
		if (!w->key_up || !w->value_up)
			return err_set(e, ERR_NOMEM, "heads");
	}
	return 0;
}

static int loading_open(struct cpu_loading *l, const struct model_plan *p, struct err *e)
{
	l->plan = p;
	l->items = p->count;
	l->scale = calloc(p->count, sizeof *l->scale);
	l->mx_scale = calloc(p->count, sizeof *l->mx_scale);
	return l->scale && l->mx_scale ? 0 : err_set(e, ERR_NOMEM, "list of tensors");
}

int cpu_place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	struct cpu *m = cpu_of_keeper(k);
	uint64_t passing = 0, store = 0, bytes = 0;
	*scratch = 0;
	TRY(loading_open(&m->loading, p, e));
	TRY(layers_alloc(m, e));
	for (size_t i = 0; i < p->count; i++) {
		uint64_t some = item_scratch_bytes(&m->config, &p->item[i]);
		bytes += item_bytes(m, &p->item[i]);
		store += item_store_bytes(m, &p->item[i]);
		passing += item_bytes_passing(&p->item[i]);
		*scratch = some > *scratch ? some : *scratch;
	}
	if (!m->passes)
		TRY(memory_check(p, bytes + passing + p->reading_bytes + p->threads * *scratch, e));
	TRY(kernel_store_open(&m->weights.store, store, e));
	for (size_t i = 0; i < p->count; i++)
		TRY(item_alloc(m, &p->item[i], e));
	m->backend.weight_bytes = bytes;
	for (int f = 0; f < KERNEL_FORMATS; f++)
		m->quantises |= m->kernels->quantised[f] && p->formats.values[f] > 0;
	return 0;
}

/* ---- giving back ---- */

static void loading_free(struct cpu_loading *l)
{
	for (size_t i = 0; i < l->items; i++) {
		if (l->scale)
			free(l->scale[i]);
		if (l->mx_scale)
			free(l->mx_scale[i]);
	}
	free(l->scale);
	free(l->mx_scale);
	cpu_samples_free(l->samples);
	*l = (struct cpu_loading){ 0 };
}

int cpu_finish(struct model_keeper *k, struct err *e)
{
	loading_free(&cpu_of_keeper(k)->loading);
	return cpu_delta_ready(cpu_of_keeper(k), e);
}

static void ffn_free(struct ffn_weights *w)
{
	kernel_matrix_free(&w->gate);
	kernel_matrix_free(&w->up);
	kernel_matrix_free(&w->down);
	free(w->gate_bias);
	free(w->up_bias);
	free(w->down_bias);
}

static void layer_free(struct layer_weights *w, uint32_t experts, uint32_t heads)
{
	for (int i = 0; i < MODEL_SLOTS; i++) {
		kernel_matrix_free(&w->matrix[i]);
		free(w->vector[i]);
	}
	for (uint32_t h = 0; h < heads; h++) {
		if (w->key_up != NULL)
			kernel_matrix_free(&w->key_up[h]);
		if (w->value_up != NULL)
			kernel_matrix_free(&w->value_up[h]);
	}
	free(w->key_up);
	free(w->value_up);
	ffn_free(&w->ffn);
	for (uint32_t i = 0; w->expert != NULL && i < experts; i++)
		ffn_free(&w->expert[i]);
	free(w->expert);
}

void cpu_weights_free(struct cpu *m)
{
	const struct model_config *c = &m->config;
	struct cpu_weights *w = &m->weights;
	loading_free(&m->loading);
	for (uint32_t i = 0; w->layer != NULL && i <= c->layers; i++)
		layer_free(&w->layer[i], c->gate.experts, i < c->layers ? c->layer[i].heads : 0);
	free(w->layer);
	kernel_store_close(&w->store);
}
