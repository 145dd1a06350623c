/* The list of what a model consists of. Every tensor of the folder is used exactly once or is among
 * the known extras; every name, type and shape is checked here, before any weight is read. */
#include "model/weights_loader.h"

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

/* ones: dimensions of 1 count for nothing, as in biases [1, n] and scalars of rank 0. */
static bool is_shape(const struct model_tensor *t, const uint32_t *shape, int rank, bool ones)
{
	int at = 0;
	for (int i = 0; i < rank; i++) {
		while (ones && at < t->rank && t->shape[at] == 1)
			at++;
		if (ones && shape[i] == 1)
			continue;
		if (at == t->rank || t->shape[at++] != shape[i])
			return false;
	}
	while (ones && at < t->rank && t->shape[at] == 1)
		at++;
	return at == t->rank;
}

/* The tensor l->name, which must have this shape. */
static int expect(struct loader *l, const uint32_t *shape, int rank, bool ones,
		  const struct model_tensor **out)
{
	const struct model_tensor *t = *out = find(l, l->name);
	char want[100], has[200];
	uint64_t wide[8] = { 0 };
	if (t == NULL)
		return err_set(l->e, ERR_INPUT, "tensor %s is missing", l->name);
	if (is_shape(t, shape, rank, ones))
		return 0;
	for (int i = 0; i < rank; i++)
		wide[i] = shape[i];
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
	if (t->turn > 0 && (it->parts != 1 || it->stack > 0 || it->kind > ITEM_MATRIX))
		return err_set(l->e, ERR_UNSUPPORTED,
			       "%s: not available in this version: tensor %s with rows in pairs",
			       t->file, t->name);
	bool coded = l->c->quantisation == MODEL_QUANT_CODED && it->stack == 0;
	if (fp8 && l->c->quantisation != MODEL_QUANT_FP8 && !coded)
		return err_set(l->e, ERR_INPUT,
			       "%s: tensor %s is F8_E4M3 without quantization_config of it in "
			       "config.json",
			       t->file, t->name);
	if (fp8 && it->kind != ITEM_MATRIX && it->kind != ITEM_KV_B)
		return err_set(l->e, ERR_UNSUPPORTED, "not available in this version: %s as %s",
			       t->name, model_dtype_name(t->dtype));
	return 0;
}

/* The fewest rows of a matrix that are whole panels of each of its parts. */
static uint32_t unit_rows(const struct model_item *it)
{
	uint32_t period = 0, in_all = 0, turn = model_item_turn(it);
	if (turn > 0) { /* whole heads */
		uint32_t heads = KERNEL_PANEL / (turn & (~turn + 1));
		heads = heads > 0 ? heads : 1;
		return turn * heads < it->rows ? turn * heads : it->rows;
	}
	for (uint32_t i = 0; i < it->parts; i++) {
		period += it->part[i].take;
		in_all |= it->part[i].take;
	}
	if (it->parts == 1 || in_all % KERNEL_PANEL == 0)
		return KERNEL_PANEL;
	uint32_t periods = KERNEL_PANEL / (in_all & (~in_all + 1)); /* by the lowest bit */
	return (uint64_t)periods * period < it->rows ? periods * period : it->rows;
}

/* Set the units in which the tensor is filled. */
static void units_set(const struct loader *l, struct model_item *it)
{
	const struct model_config *c = l->c;
	uint64_t row = model_dtype_bytes(it->dtype, it->columns);
	if (it->kind == ITEM_BLOCKS)
		row = it->columns / 2;
	it->group_bytes = it->tensor == NULL ? 0 : it->tensor->bytes;
	bool stacked = it->stack > 0 && (it->kind == ITEM_MATRIX || it->kind == ITEM_BLOCKS ||
					 it->kind == ITEM_TRANSPOSED);
	if (it->coded || stacked)
		it->group_bytes = it->rows * row;
	it->unit_bytes = it->group_bytes;
	if (it->kind == ITEM_MATRIX || it->kind == ITEM_TIED || it->kind == ITEM_BLOCKS)
		it->unit_bytes = unit_rows(it) * row;
	if (it->kind == ITEM_KV_B)
		it->unit_bytes = (c->nope + c->value) * row;
	if (it->kind == ITEM_BLOCK_SCALES)
		it->unit_bytes = 1;
}

int model_plan_push(struct loader *l, struct model_item *it)
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

/* NAME_scale_inv or NAME_scale of the last item: one scale, or one for each block of 128 rows and
 * 128 columns. */
static int fp8_scales_find(struct loader *l, const struct model_tensor *t, struct model_item *it)
{
	const uint32_t shape[] = { it->stack, it->rows, it->columns };
	bool stack = it->stack > 0;
	snprintf(l->name, sizeof l->name, "%s_scale", t->name);
	if (model_tensors_find(l->tensors, l->name) == NULL)
		snprintf(l->name, sizeof l->name, "%s_scale_inv", t->name);
	it->tensor = find(l, l->name);
	if (it->tensor == NULL)
		return err_set(l->e, ERR_INPUT, "%s: tensor %s is F8_E4M3 and %s is missing",
			       t->file, t->name, l->name);
	it->dtype = it->tensor->dtype;
	if (it->dtype != MODEL_F32 && it->dtype != MODEL_BF16 && it->dtype != MODEL_F16)
		return err_set(l->e, ERR_UNSUPPORTED, "%s: tensor %s is %s, not F32, BF16 or F16",
			       it->tensor->file, l->name, model_dtype_name(it->dtype));
	if (l->c->quantisation == MODEL_QUANT_CODED)
		TRY(model_coded_repeat(l, it));
	return it->coded ? 0
			 : expect(l, stack ? shape : shape + 1, stack ? 3 : 2, false, &it->tensor);
}

static int add_fp8_scales(struct loader *l)
{
	const size_t parent = l->plan.count - 1;
	const struct model_item *of = &l->plan.item[parent];
	struct model_item it = *of;
	it.kind = ITEM_FP8_SCALES;
	it.class = WEIGHT_VECTOR;
	it.rows = (of->rows + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	it.columns = (of->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	it.parent = parent;
	it.phase = of->format == KERNEL_FP8;
	for (uint32_t i = 0; i < it.parts; i++)
		it.part[i].take = (it.part[i].take + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	TRY(fp8_scales_find(l, of->tensor, &it));
	return model_plan_push(l, &it);
}

/* Invented weights of a config with blocks of FP8: those that such models are published with. */
static bool is_invented_fp8(const struct loader *l, const struct model_item *it)
{
	bool of_layers = it->class == WEIGHT_ATTENTION ||
			 (it->class >= WEIGHT_DENSE && it->class <= WEIGHT_EXPERT);
	return l->tensors == NULL && l->c->quantisation == MODEL_QUANT_FP8 &&
	       it->kind == ITEM_MATRIX && of_layers;
}

int model_plan_add(struct loader *l, const struct model_item *item, const uint32_t *shape, int rank)
{
	struct model_item it = *item;
	int coded = l->tensors ? model_plan_coded(l, item) : 0;
	if (coded != 0)
		return coded < 0 ? coded : 0;
	it.dtype = it.kind == ITEM_BLOCKS || it.kind == ITEM_BLOCK_SCALES ? MODEL_U8 : MODEL_BF16;
	it.dtype = is_invented_fp8(l, &it) ? MODEL_F8_E4M3 : it.dtype;
	it.phase = it.kind == ITEM_BLOCK_SCALES ? 0 : it.kind == ITEM_TIED ? 2 : 1;
	if (l->tensors != NULL) {
		TRY(expect(l, shape, rank, it.kind == ITEM_FLOATS, &it.tensor));
		it.dtype = it.tensor->dtype;
		TRY(type_check(l, &it));
	}
	bool widened =
		it.dtype == MODEL_F8_E4M3 && model_item_widens(&it) && it.kind == ITEM_MATRIX;
	it.format = model_plan_format(l, it.class, widened ? MODEL_F32 : it.dtype);
	if (it.tensor != NULL && it.tensor->made == MODEL_COMPLETE)
		it.add = 0;
	TRY(model_plan_push(l, &it));
	return it.dtype == MODEL_F8_E4M3 && l->tensors ? add_fp8_scales(l) : 0;
}

int model_plan_scalars(struct loader *l, const struct model_item *it)
{
	const uint32_t one = 1;
	struct scalars of = { .item = l->plan.count };
	for (uint32_t i = 0; l->tensors != NULL && i < it->rows; i++) {
		struct model_item part = *it;
		TRY(model_plan_name_at(l, it->part[0].slot, it->layer, i));
		TRY(expect(l, &one, 1, true, &of.tensor[i]));
		part.tensor = of.tensor[i];
		TRY(type_check(l, &part));
	}
	struct scalars *more = realloc(l->scalars, (l->scalars_count + 1) * sizeof *more);
	if (more == NULL)
		return err_set(l->e, ERR_NOMEM, "list of tensors");
	l->scalars = more;
	l->scalars[l->scalars_count++] = of;
	struct model_item whole = *it;
	whole.dtype = MODEL_F32;
	whole.format = KERNEL_F32;
	whole.phase = ITEM_PHASES; /* read by itself */
	return model_plan_push(l, &whole);
}

/* ---- all ---- */

/* Count the values of the tensor for each format. */
static void formats_count(struct model_formats *f, const struct model_item *it)
{
	bool matrix = it->kind == ITEM_MATRIX || it->kind == ITEM_KV_B ||
		      it->kind == ITEM_TRANSPOSED || it->kind == ITEM_BLOCKS;
	if (it->kind == ITEM_FLOATS)
		f->used[it->class] |= 1u << KERNEL_F32;
	if (!matrix)
		return;
	f->used[it->class] |= 1u << it->format;
	if (it->class != WEIGHT_EMBED)
		f->values[it->format] +=
			(uint64_t)it->rows * it->columns * (it->stack > 0 ? it->stack : 1);
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
		formats_count(&p->formats, &p->item[i]);
		if (l->tensors && p->item[i].unit_bytes > unit)
			unit = p->item[i].unit_bytes;
		if (p->item[i].coded && p->item[i].tensor->bytes > unit)
			unit = p->item[i].tensor->bytes;
	}
	p->reading_bytes =
		p->threads * SOURCE_GRANULE + (2 * p->threads + 2) * unit + model_coded_bytes(l);
}
