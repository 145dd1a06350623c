/* The list of what a model consists of. Every tensor of the folder is used exactly once or is among
 * the known extras; every name, type and shape is checked here, before any weight is read. */
#include "model/weights_loader.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one tensor ---- */

static const struct model_tensor *find(struct loader *l, const char *name)
{
	const struct model_tensor *t = model_tensors_find(l->tensors, name);
	if (t != NULL)
		l->used[t - model_tensors_at(l->tensors, 0)] = true;
	return t;
}

static void shape_text(const uint64_t *shape, int rank, char *out, size_t room)
{
	size_t at = 0;
	*out = '\0';
	for (int i = 0; i < rank && at < room; i++)
		at += (size_t)snprintf(out + at, room - at, i == 0 ? "%llu" : ", %llu",
				       (unsigned long long)shape[i]);
}

/* The tensor l->name, which must have this shape. */
static int expect(struct loader *l, const uint32_t *shape, int rank,
		  const struct model_tensor **out)
{
	const struct model_tensor *t = *out = find(l, l->name);
	char want[100], has[200];
	uint64_t wide[8] = { 0 };
	if (t == NULL)
		return err_set(l->e, ERR_INPUT, "tensor %s is missing", l->name);
	bool same = t->rank == rank;
	for (int i = 0; i < rank; i++) {
		wide[i] = shape[i];
		same = same && t->shape[i] == shape[i];
	}
	if (same)
		return 0;
	shape_text(wide, rank, want, sizeof want);
	shape_text(t->shape, t->rank, has, sizeof has);
	return err_set(l->e, ERR_INPUT, "%s: tensor %s must be [%s] by the config, it is [%s]",
		       t->file, t->name, want, has);
}

static int type_check(struct loader *l, const struct item *it)
{
	const struct model_tensor *t = it->tensor;
	bool fp8 = t->dtype == MODEL_F8_E4M3;
	if (it->kind == ITEM_BLOCKS || it->kind == ITEM_BLOCK_SCALES)
		return t->dtype == MODEL_U8
			       ? 0
			       : err_set(l->e, ERR_INPUT, "%s: tensor %s is %s, not U8", t->file,
					 t->name, model_dtype_name(t->dtype));
	if (!model_dtype_is_float(t->dtype))
		return err_set(l->e, ERR_UNSUPPORTED,
			       "%s: tensor %s is %s, not a supported weight type", t->file, t->name,
			       model_dtype_name(t->dtype));
	if (fp8 && l->c->quantisation != MODEL_QUANT_FP8)
		return err_set(
			l->e, ERR_INPUT,
			"%s: tensor %s is F8_E4M3 without quantization_config in config.json",
			t->file, t->name);
	if (fp8 && it->kind != ITEM_MATRIX && it->kind != ITEM_KV_B)
		return err_set(l->e, ERR_UNSUPPORTED, "not available in this version: %s as %s",
			       t->name, model_dtype_name(t->dtype));
	return 0;
}

/* How much of the tensor is packed at once, and what that needs beside it. */
static void units_set(struct loader *l, struct item *it)
{
	const struct model_config *c = l->c;
	uint64_t row = (uint64_t)it->columns * model_dtype_bits(it->dtype) / 8,
		 scratch = KERNEL_PANEL * (uint64_t)it->columns * 4;
	if (it->kind == ITEM_BLOCKS)
		row = it->columns / 2;
	it->group_bytes = it->tensor == NULL ? 0 : it->tensor->bytes;
	it->unit_bytes = it->group_bytes;
	if (it->kind == ITEM_MATRIX || it->kind == ITEM_TIED)
		it->unit_bytes = KERNEL_PANEL * row;
	if (it->kind == ITEM_KV_B)
		it->unit_bytes = (c->nope + c->value) * row;
	if (it->kind == ITEM_TURNED || it->kind == ITEM_BLOCKS)
		it->group_bytes = it->unit_bytes = it->rows * row;
	if (it->kind == ITEM_BLOCKS)
		it->unit_bytes = KERNEL_PANEL * it->count * row;
	if (it->kind == ITEM_BLOCK_SCALES)
		it->unit_bytes = 1;
	if (it->kind == ITEM_KV_B)
		scratch = ((uint64_t)c->nope + c->value) * c->kv_rank * 8;
	if (it->kind == ITEM_TIED)
		scratch += kernel_format_bytes(it->format, KERNEL_PANEL, it->columns);
	l->scratch_bytes = scratch > l->scratch_bytes ? scratch : l->scratch_bytes;
}

static int push(struct loader *l, struct item *it)
{
	if (l->count == l->room) {
		size_t room = l->room * 2 + 256;
		struct item *more = realloc(l->item, room * sizeof *more);
		if (more == NULL)
			return err_set(l->e, ERR_NOMEM, "list of tensors");
		l->item = more;
		l->room = room;
	}
	units_set(l, it);
	l->item[l->count++] = *it;
	return 0;
}

/* NAME_scale_inv of the last item: a scale for each block of 128 rows and 128 columns. */
static int add_fp8_scales(struct loader *l)
{
	struct item *of = &l->item[l->count - 1];
	const struct model_tensor *t = of->tensor;
	uint32_t shape[] = { (of->rows + MODEL_FP8_BLOCK - 1) / MODEL_FP8_BLOCK,
			     (of->columns + MODEL_FP8_BLOCK - 1) / MODEL_FP8_BLOCK };
	struct item it = { .kind = ITEM_FP8_SCALES,
			   .class = WEIGHT_VECTOR,
			   .rows = shape[0],
			   .columns = shape[1],
			   .parent = l->count - 1,
			   .phase = of->format == KERNEL_FP8 };
	snprintf(l->name, sizeof l->name, "%s_scale_inv", t->name);
	if (model_tensors_find(l->tensors, l->name) == NULL)
		return err_set(l->e, ERR_INPUT, "%s: tensor %s is F8_E4M3 and %s is missing",
			       t->file, t->name, l->name);
	TRY(expect(l, shape, 2, &it.tensor));
	it.dtype = it.tensor->dtype;
	if (it.dtype != MODEL_F32 && it.dtype != MODEL_BF16)
		return err_set(l->e, ERR_UNSUPPORTED, "%s: tensor %s is %s, not F32 or BF16",
			       it.tensor->file, l->name, model_dtype_name(it.dtype));
	of->scale = calloc((size_t)shape[0] * shape[1] + 1, sizeof *of->scale);
	return of->scale == NULL ? err_set(l->e, ERR_NOMEM, "tensor %s", l->name) : push(l, &it);
}

int loader_add(struct loader *l, const struct item *item, const uint32_t *shape, int rank)
{
	const uint32_t matrix[] = { item->rows, item->columns };
	struct item it = *item;
	it.dtype = it.kind == ITEM_BLOCKS || it.kind == ITEM_BLOCK_SCALES ? MODEL_U8 : MODEL_BF16;
	it.phase = it.kind == ITEM_BLOCK_SCALES ? 0 : it.kind == ITEM_TIED ? 2 : 1;
	if (l->tensors != NULL) {
		TRY(expect(l, shape == NULL ? matrix : shape, shape == NULL ? 2 : rank,
			   &it.tensor));
		it.dtype = it.tensor->dtype;
		TRY(type_check(l, &it));
	}
	it.format = loader_format(l, it.class, it.dtype);
	TRY(push(l, &it));
	return it.dtype == MODEL_F8_E4M3 ? add_fp8_scales(l) : 0;
}

void loader_name(struct loader *l, uint32_t layer, const char *part)
{
	snprintf(l->name, sizeof l->name, "model.layers.%u.%s", layer, part);
}

static int add_floats(struct loader *l, uint32_t n, float **out)
{
	const struct item it = { .kind = ITEM_FLOATS,
				 .class = WEIGHT_VECTOR,
				 .gain = text_ends(l->name, "norm.weight"),
				 .rows = 1,
				 .columns = n,
				 .to.floats = out };
	return loader_add(l, &it, &n, 1);
}

static int add_matrix(struct loader *l, enum weight_class class, uint32_t rows, uint32_t columns,
		      struct kernel_matrix *w)
{
	const struct item it = { .kind = ITEM_MATRIX,
				 .class = class,
				 .rows = rows,
				 .columns = columns,
				 .to.matrix = w };
	return loader_add(l, &it, NULL, 2);
}

int loader_floats(struct loader *l, uint32_t layer, const char *part, uint32_t n, float **out)
{
	loader_name(l, layer, part);
	return add_floats(l, n, out);
}

int loader_matrix(struct loader *l, enum weight_class class, uint32_t layer, const char *part,
		  uint32_t rows, uint32_t columns, struct kernel_matrix *w)
{
	loader_name(l, layer, part);
	return add_matrix(l, class, rows, columns, w);
}

/* ---- whole ---- */

/* Tied: one matrix serves as embeddings and head where both are packed alike. Quantised, the head
 * is one of its own, so that embeddings keep their values. A stored head must repeat them. */
static int add_tied(struct loader *l)
{
	const struct model_config *c = l->c;
	struct model_weights *w = l->w;
	size_t embed = l->count;
	TRY(add_matrix(l, WEIGHT_EMBED, c->vocab, c->hidden, &w->embed));
	struct item *it = &l->item[embed];
	if (loader_format(l, WEIGHT_HEAD, it->dtype) == it->format) {
		it->class = WEIGHT_HEAD;
		it->to.matrix = &w->head;
	} else {
		snprintf(l->name, sizeof l->name, "model.embed_tokens.weight");
		TRY(add_matrix(l, WEIGHT_HEAD, c->vocab, c->hidden, &w->head));
	}
	snprintf(l->name, sizeof l->name, "lm_head.weight");
	if (l->tensors == NULL || model_tensors_find(l->tensors, l->name) == NULL)
		return 0;
	const struct item head = { .kind = ITEM_TIED,
				   .class = WEIGHT_EMBED,
				   .rows = c->vocab,
				   .columns = c->hidden,
				   .parent = embed };
	return loader_add(l, &head, NULL, 2);
}

static int add_ends(struct loader *l)
{
	const struct model_config *c = l->c;
	snprintf(l->name, sizeof l->name, "model.embed_tokens.weight");
	if (c->tied) {
		TRY(add_tied(l));
	} else {
		TRY(add_matrix(l, WEIGHT_EMBED, c->vocab, c->hidden, &l->w->embed));
		snprintf(l->name, sizeof l->name, "lm_head.weight");
		TRY(add_matrix(l, WEIGHT_HEAD, c->vocab, c->hidden, &l->w->head));
	}
	snprintf(l->name, sizeof l->name, "model.norm.weight");
	return add_floats(l, c->hidden, &l->w->norm);
}

/* Stale buffers and layers of next-token prediction are no part of the model. */
static bool known_extra(const struct model_config *c, const char *name)
{
	if (text_ends(name, ".rotary_emb.inv_freq") || text_starts(name, "mtp."))
		return true;
	if (!text_starts(name, "model.layers."))
		return false;
	char *end;
	unsigned long layer = strtoul(name + strlen("model.layers."), &end, 10);
	return *end == '.' && layer >= c->layers;
}

static int check_unused(struct loader *l)
{
	for (size_t i = 0; i < model_tensors_count(l->tensors); i++) {
		const struct model_tensor *t = model_tensors_at(l->tensors, i);
		if (!l->used[i] && !known_extra(l->c, t->name))
			return err_set(l->e, ERR_INPUT,
				       "%s: tensor %s is not part of %s by the config", t->file,
				       t->name, l->c->model_type);
	}
	return 0;
}

int loader_plan(struct loader *l)
{
	const struct model_config *c = l->c;
	TRY(add_ends(l));
	l->w->layer = calloc(c->layers, sizeof *l->w->layer);
	if (l->w->layer == NULL)
		return err_set(l->e, ERR_NOMEM, "layers");
	for (uint32_t i = 0; i < c->layers; i++) {
		struct layer_weights *w = &l->w->layer[i];
		TRY(loader_floats(l, i, "input_layernorm.weight", c->hidden, &w->attn_norm));
		TRY(loader_floats(l, i, "post_attention_layernorm.weight", c->hidden,
				  &w->ffn_norm));
		TRY(loader_attention(l, i, w));
		TRY(loader_ffn(l, i, w));
	}
	return l->tensors == NULL ? 0 : check_unused(l);
}

static struct kernel_matrix *fused_part(const struct item *it, size_t i)
{
	struct ffn_weights *w = &it->to.expert[i / it->count];
	return it->count == 1 ? &w->down : i % 2 == 0 ? &w->gate : &w->up;
}

struct kernel_matrix *loader_part(const struct loader *l, const struct item *it, size_t i,
				  uint32_t *rows, uint32_t *columns)
{
	const struct model_config *c = l->c;
	*rows = it->rows;
	*columns = it->columns;
	if (it->kind == ITEM_MATRIX)
		return i == 0 ? it->to.matrix : NULL;
	if (it->kind == ITEM_KV_B) {
		bool key = i % 2 == 0;
		*rows = key ? c->kv_rank : c->value;
		*columns = key ? c->nope : c->kv_rank;
		return i >= 2 * (size_t)c->heads ? NULL
		       : key                     ? &it->to.mla->key_up[i / 2]
						 : &it->to.mla->value_up[i / 2];
	}
	if (it->kind != ITEM_TURNED && it->kind != ITEM_BLOCKS)
		return NULL;
	*rows = it->rows / it->count;
	return i < (size_t)c->gate.experts * it->count ? fused_part(it, i) : NULL;
}
