/* The list of what a model consists of. Every tensor of the folder is used exactly once or is among
 * the known extras; every name, type and shape is checked here, before any weight is read. */
#include "model/weights_loader.h"

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

static int type_check(struct loader *l, const struct model_item *it)
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

/* Set the units in which the tensor is filled. */
static void units_set(const struct loader *l, struct model_item *it)
{
	const struct model_config *c = l->c;
	uint64_t row = (uint64_t)it->columns * model_dtype_bits(it->dtype) / 8;
	if (it->kind == ITEM_BLOCKS)
		row = it->columns / 2;
	it->group_bytes = it->tensor == NULL ? 0 : it->tensor->bytes;
	it->unit_bytes = it->group_bytes;
	if (it->kind == ITEM_MATRIX || it->kind == ITEM_TIED)
		it->unit_bytes = KERNEL_PANEL * row;
	if (it->kind == ITEM_KV_B)
		it->unit_bytes = (c->nope + c->value) * row;
	if (it->kind == ITEM_TRANSPOSED || it->kind == ITEM_BLOCKS)
		it->group_bytes = it->unit_bytes = it->rows * row;
	if (it->kind == ITEM_BLOCKS)
		it->unit_bytes = KERNEL_PANEL * it->count * row;
	if (it->kind == ITEM_BLOCK_SCALES)
		it->unit_bytes = 1;
}

static int push(struct loader *l, struct model_item *it)
{
	if (l->plan.count == l->capacity) {
		size_t room = l->capacity * 2 + 256;
		struct model_item *more = realloc(l->plan.item, room * sizeof *more);
		if (more == NULL)
			return err_set(l->e, ERR_NOMEM, "list of tensors");
		l->plan.item = more;
		l->capacity = room;
	}
	units_set(l, it);
	l->plan.item[l->plan.count++] = *it;
	return 0;
}

/* NAME_scale_inv of the last item: a scale for each block of 128 rows and 128 columns. */
static int add_fp8_scales(struct loader *l)
{
	const struct model_item *of = &l->plan.item[l->plan.count - 1];
	const struct model_tensor *t = of->tensor;
	uint32_t shape[] = { (of->rows + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK,
			     (of->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK };
	struct model_item it = { .kind = ITEM_FP8_SCALES,
				 .class = WEIGHT_VECTOR,
				 .rows = shape[0],
				 .columns = shape[1],
				 .parent = l->plan.count - 1,
				 .layer = of->layer,
				 .slot = of->slot,
				 .expert = of->expert,
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
	return push(l, &it);
}

int model_plan_add(struct loader *l, const struct model_item *item, const uint32_t *shape, int rank)
{
	const uint32_t matrix[] = { item->rows, item->columns };
	struct model_item it = *item;
	it.dtype = it.kind == ITEM_BLOCKS || it.kind == ITEM_BLOCK_SCALES ? MODEL_U8 : MODEL_BF16;
	it.phase = it.kind == ITEM_BLOCK_SCALES ? 0 : it.kind == ITEM_TIED ? 2 : 1;
	if (l->tensors != NULL) {
		TRY(expect(l, shape == NULL ? matrix : shape, shape == NULL ? 2 : rank,
			   &it.tensor));
		it.dtype = it.tensor->dtype;
		TRY(type_check(l, &it));
	}
	it.format = model_plan_format(l, it.class, it.dtype);
	TRY(push(l, &it));
	return it.dtype == MODEL_F8_E4M3 ? add_fp8_scales(l) : 0;
}

void model_plan_name(struct loader *l, uint32_t layer, const char *part)
{
	snprintf(l->name, sizeof l->name, "%slayers.%u.%s", l->prefix, layer, part);
}

static int add_floats(struct loader *l, uint32_t layer, enum model_slot slot, uint32_t n)
{
	const struct model_item it = { .kind = ITEM_FLOATS,
				       .class = WEIGHT_VECTOR,
				       .gain = text_ends(l->name, "norm.weight"),
				       .rows = 1,
				       .columns = n,
				       .layer = layer,
				       .slot = slot,
				       .expert = MODEL_NO_EXPERT };
	return model_plan_add(l, &it, &n, 1);
}

static int add_matrix(struct loader *l, enum weight_class class, uint32_t layer,
		      enum model_slot slot, uint32_t rows, uint32_t columns)
{
	const struct model_item it = { .kind = ITEM_MATRIX,
				       .class = class,
				       .rows = rows,
				       .columns = columns,
				       .layer = layer,
				       .slot = slot,
				       .expert = MODEL_NO_EXPERT };
	return model_plan_add(l, &it, NULL, 2);
}

int model_plan_floats(struct loader *l, uint32_t layer, const char *part, enum model_slot slot,
		      uint32_t n)
{
	model_plan_name(l, layer, part);
	return add_floats(l, layer, slot, n);
}

int model_plan_matrix(struct loader *l, enum weight_class class, uint32_t layer, const char *part,
		      enum model_slot slot, uint32_t rows, uint32_t columns)
{
	model_plan_name(l, layer, part);
	return add_matrix(l, class, layer, slot, rows, columns);
}

/* ---- whole ---- */

/* Tied: one matrix serves as embeddings and head where both are packed alike. Quantised, the head
 * is one of its own, so that embeddings keep their values. A stored head must repeat them. */
static int add_tied(struct loader *l)
{
	const struct model_config *c = l->c;
	size_t embed = l->plan.count;
	TRY(add_matrix(l, WEIGHT_EMBED, 0, SLOT_EMBED, c->vocab, c->hidden));
	struct model_item *it = &l->plan.item[embed];
	if (model_plan_format(l, WEIGHT_HEAD, it->dtype) == it->format) {
		it->class = WEIGHT_HEAD;
		it->slot = SLOT_HEAD;
	} else {
		snprintf(l->name, sizeof l->name, "%sembed_tokens.weight", l->prefix);
		TRY(add_matrix(l, WEIGHT_HEAD, 0, SLOT_HEAD, c->vocab, c->hidden));
	}
	snprintf(l->name, sizeof l->name, "lm_head.weight");
	if (l->tensors == NULL || model_tensors_find(l->tensors, l->name) == NULL)
		return 0;
	const struct model_item head = { .kind = ITEM_TIED,
					 .class = WEIGHT_EMBED,
					 .rows = c->vocab,
					 .columns = c->hidden,
					 .parent = embed,
					 .slot = SLOT_HEAD,
					 .expert = MODEL_NO_EXPERT };
	return model_plan_add(l, &head, NULL, 2);
}

static int add_ends(struct loader *l)
{
	const struct model_config *c = l->c;
	snprintf(l->name, sizeof l->name, "%sembed_tokens.weight", l->prefix);
	if (c->tied) {
		TRY(add_tied(l));
	} else {
		TRY(add_matrix(l, WEIGHT_EMBED, 0, SLOT_EMBED, c->vocab, c->hidden));
		snprintf(l->name, sizeof l->name, "lm_head.weight");
		TRY(add_matrix(l, WEIGHT_HEAD, 0, SLOT_HEAD, c->vocab, c->hidden));
	}
	snprintf(l->name, sizeof l->name, "%snorm.weight", l->prefix);
	return add_floats(l, 0, SLOT_NORM, c->hidden);
}

/* Tensors that are in the file and not part of the model: old buffers, and in some families layers
 * for multi-token prediction, as many as the config says. */
static bool known_extra(const struct loader *l, const char *name)
{
	static const char *const buffers[] = { ".rotary_emb.inv_freq", ".rotary_emb.cos_cached",
					       ".rotary_emb.sin_cached" };
	const struct model_config *c = l->c;
	size_t start = strlen(l->prefix);
	char *end;
	for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
		if (text_ends(name, buffers[i]))
			return true;
	if (c->extra_layers > 0 && text_starts(name, "mtp."))
		return true;
	if (!text_starts(name, l->prefix) || !text_starts(name + start, "layers."))
		return false;
	unsigned long layer = strtoul(name + start + strlen("layers."), &end, 10);
	return *end == '.' && layer >= c->layers && layer - c->layers < c->extra_layers;
}

static int check_unused(struct loader *l)
{
	for (size_t i = 0; i < model_tensors_count(l->tensors); i++) {
		const struct model_tensor *t = model_tensors_at(l->tensors, i);
		if (!l->used[i] && !known_extra(l, t->name))
			return err_set(l->e, ERR_INPUT,
				       "%s: tensor %s is not part of %s by the config", t->file,
				       t->name, l->c->model_type);
	}
	return 0;
}

/* Count the values of the tensor for each format. */
static void formats_count(struct model_formats *f, const struct model_config *c,
			  const struct model_item *it)
{
	bool fused = it->kind == ITEM_TRANSPOSED || it->kind == ITEM_BLOCKS;
	bool matrix = fused || it->kind == ITEM_MATRIX || it->kind == ITEM_KV_B;
	if (it->kind == ITEM_FLOATS)
		f->used[it->class] |= 1u << KERNEL_F32;
	if (!matrix)
		return;
	f->used[it->class] |= 1u << it->format;
	if (it->class != WEIGHT_EMBED)
		f->values[it->format] +=
			(uint64_t)it->rows * it->columns * (fused ? c->gate.experts : 1);
}

/* Add up the memory of reading: a buffer a thread, and units that cross the border of two
 * pieces. */
void model_plan_sum(struct loader *l)
{
	struct model_plan *p = &l->plan;
	uint64_t unit = 0;
	p->config = l->c;
	p->threads = pool_threads(l->order->pool);
	p->packing = l->order->packing;
	p->memory_max = l->order->memory_max;
	for (size_t i = 0; i < p->count; i++) {
		formats_count(&p->formats, l->c, &p->item[i]);
		if (l->tensors && p->item[i].unit_bytes > unit)
			unit = p->item[i].unit_bytes;
	}
	p->reading_bytes = p->threads * SOURCE_GRANULE + (p->threads + 2) * unit;
}

/* A model saved without its head names its tensors without "model.". */
static const char *find_prefix(const struct loader *l)
{
	bool bare = l->tensors && !model_tensors_find(l->tensors, "model.embed_tokens.weight") &&
		    model_tensors_find(l->tensors, "embed_tokens.weight");
	return bare ? "" : "model.";
}

int model_plan_make(struct loader *l)
{
	const struct model_config *c = l->c;
	l->prefix = find_prefix(l);
	TRY(add_ends(l));
	for (uint32_t i = 0; i < c->layers; i++) {
		TRY(model_plan_floats(l, i, "input_layernorm.weight", SLOT_ATTN_NORM, c->hidden));
		TRY(model_plan_floats(l, i, "post_attention_layernorm.weight", SLOT_FFN_NORM,
				      c->hidden));
		TRY(model_plan_attention(l, i));
		TRY(model_plan_ffn(l, i));
	}
	return l->tensors ? check_unused(l) : 0;
}
