/* Weights of a model as a whole: the list, its memory, reading, and freeing. */
#include "model/weights_loader.h"

#include "base/limits.h"
#include "base/machine.h"
#include "kernels/number.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static bool is_floats(const struct item *it)
{
	return it->kind == ITEM_FLOATS || it->kind == ITEM_BIASES;
}

/* Bytes an item takes for good. */
static uint64_t item_bytes(const struct loader *l, const struct item *it)
{
	uint64_t sum = is_floats(it) ? (uint64_t)it->rows * it->columns * 4 : 0;
	uint32_t rows, columns;
	for (size_t i = 0; loader_part(l, it, i, &rows, &columns) != NULL; i++)
		sum += kernel_format_bytes(it->format, rows, columns);
	return sum;
}

/* And while the rest is loaded. */
static uint64_t item_bytes_passing(const struct item *it)
{
	return it->kind == ITEM_BLOCK_SCALES ? (uint64_t)it->rows * it->columns
	       : it->kind == ITEM_FP8_SCALES ? (uint64_t)it->rows * it->columns * 4
					     : 0;
}

static uint64_t buffers_bytes(const struct loader *l)
{
	uint64_t unit = 0, threads = pool_threads(l->pool);
	for (size_t i = 0; i < l->count && l->tensors != NULL; i++)
		unit = l->item[i].unit_bytes > unit ? l->item[i].unit_bytes : unit;
	return threads * (SOURCE_GRANULE + l->scratch_bytes) + (threads + 2) * unit;
}

static const char *advice(const struct loader *l)
{
	return l->packing == MODEL_PACKING_Q4   ? "load a smaller model"
	       : l->packing == MODEL_PACKING_Q8 ? "try --weights q4"
						: "try --weights q8 or q4";
}

static int room_check(const struct loader *l, uint64_t passing)
{
	uint64_t need = l->w->bytes + passing + buffers_bytes(l), most = l->memory_max;
	uint64_t has = machine_memory();
	bool limited = most > 0 && most < has;
	has = limited ? most : has;
	if (need <= has)
		return 0;
	return err_set(l->e, ERR_NOMEM, "the weights need %.2f GB of memory, %.2f GB %s: %s",
		       (double)need / 1e9, (double)has / 1e9,
		       limited ? "are allowed" : "are available", advice(l));
}

/* Bytes of its matrices in the store. */
static uint64_t item_store_bytes(const struct loader *l, const struct item *it)
{
	uint64_t sum = 0;
	uint32_t rows, columns;
	for (size_t i = 0; loader_part(l, it, i, &rows, &columns) != NULL; i++)
		sum += kernel_store_bytes(it->format, rows, columns);
	return sum;
}

static int parts_alloc(struct loader *l, const struct item *it)
{
	uint32_t rows, columns;
	struct kernel_matrix *w;
	for (size_t i = 0; (w = loader_part(l, it, i, &rows, &columns)) != NULL; i++) {
		TRY(kernel_matrix_place(w, &l->w->store, it->format, rows, columns, l->e));
		l->w->used[it->class] |= 1u << it->format;
		if (it->class != WEIGHT_EMBED)
			l->w->values[it->format] += (uint64_t)rows * columns;
	}
	return 0;
}

static int item_alloc(struct loader *l, struct item *it)
{
	if (it->kind == ITEM_FLOATS) {
		l->w->used[it->class] |= 1u << KERNEL_F32;
		*it->to.floats = malloc(it->columns * sizeof(float));
		return *it->to.floats != NULL ? 0 : err_set(l->e, ERR_NOMEM, "a vector");
	}
	if (it->kind == ITEM_BLOCK_SCALES && l->tensors != NULL) {
		unsigned char **to = &l->item[it->parent].mx_scale;
		*to = malloc((size_t)it->rows * it->columns);
		return *to != NULL ? 0 : err_set(l->e, ERR_NOMEM, "scales of experts");
	}
	return parts_alloc(l, it);
}

int loader_alloc(struct loader *l)
{
	uint64_t passing = 0, store = 0;
	for (size_t i = 0; i < l->count; i++) {
		l->w->bytes += item_bytes(l, &l->item[i]);
		store += item_store_bytes(l, &l->item[i]);
		passing += l->tensors == NULL ? 0 : item_bytes_passing(&l->item[i]);
	}
	TRY(room_check(l, passing));
	TRY(kernel_store_open(&l->w->store, store, l->e));
	for (size_t i = 0; i < l->count; i++)
		TRY(item_alloc(l, &l->item[i]));
	return 0;
}

/* ---- whole ---- */

static void loader_free(struct loader *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->item[i].scale);
		free(l->item[i].mx_scale);
	}
	free(l->item);
	free(l->used);
	model_tensors_close(l->tensors);
}

static void progress_begin(struct loader *l)
{
	uint64_t total = 0;
	for (size_t i = 0; i < l->count; i++)
		total += l->item[i].group_bytes == 0 ? 0 : l->item[i].tensor->bytes;
	progress_start(&l->progress, "loading", total, l->quiet);
}

/* Native FP8 keeps its block scales beside the panels. */
static void scales_keep(struct loader *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct item *it = &l->item[i];
		if (it->kind != ITEM_FP8_SCALES || l->item[it->parent].format != KERNEL_FP8)
			continue;
		memcpy(l->item[it->parent].to.matrix->scale, l->item[it->parent].scale,
		       (size_t)it->rows * it->columns * sizeof(float));
	}
}

static int load(struct loader *l)
{
	TRY(loader_plan(l));
	TRY(loader_alloc(l));
	progress_begin(l);
	int r = loader_read(l);
	progress_end(&l->progress);
	scales_keep(l);
	return r;
}

int model_weights_load(struct model_weights *w, const struct weights_order *o, struct source *src,
		       struct err *e)
{
	struct loader l = { .c = o->config,
			    .packing = o->packing,
			    .memory_max = o->memory_max,
			    .quiet = o->quiet,
			    .kernels = o->kernels,
			    .pool = o->pool,
			    .w = w,
			    .e = e };
	*w = (struct model_weights){ 0 };
	TRY(model_tensors_open(&l.tensors, src, e));
	l.used = calloc(model_tensors_count(l.tensors) + 1, sizeof *l.used);
	int r = l.used == NULL ? err_set(e, ERR_NOMEM, "tensor directory") : load(&l);
	loader_free(&l);
	if (r < 0)
		model_weights_free(w, o->config);
	return r;
}

void model_weights_free(struct model_weights *w, const struct model_config *c)
{
	for (uint32_t i = 0; w->layer != NULL && i < c->layers; i++) {
		struct layer_weights *layer = &w->layer[i];
		free(layer->attn_norm);
		free(layer->ffn_norm);
		loader_attention_free(layer, c);
		loader_ffn_free(layer, c);
	}
	free(w->layer);
	free(w->norm);
	kernel_matrix_free(&w->embed);
	kernel_matrix_free(&w->head);
	kernel_store_close(&w->store);
	*w = (struct model_weights){ 0 };
}
