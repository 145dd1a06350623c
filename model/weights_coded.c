/* The plan of matrices that are stored in codes: which tensors make up X.weight.
 *
 * Where the folder has X.weight in a plain type, that is it, whatever quantization_config says of
 * X. Else the codes and what lies beside them are found by the names of the format (codes.c). The
 * shape of the scales tells which of the config's groups they are of. */
#include "model/weights_loader.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool model_coded_surplus(const struct loader *l, const char *name)
{
	return l->c->quantisation != MODEL_QUANT_NONE && model_codes_surplus(name);
}

/* X of l->name, which is "X.weight". */
static struct codes_place place_of(const struct loader *l)
{
	return (struct codes_place){ .tensors = l->tensors,
				     .quant = &l->c->quant,
				     .name = l->name,
				     .stem = (int)(strlen(l->name) - strlen("weight")),
				     .e = l->e };
}

bool model_coded_has(const struct loader *l)
{
	struct codes_place at = place_of(l);
	const struct code_rule *rule;
	if (!text_ends(l->name, ".weight"))
		return false;
	for (size_t i = 0; (rule = model_codes_at(i)) != NULL; i++)
		if (rule->method == l->c->quant.method && model_codes_beside(&at, rule->suffix))
			return true;
	return false;
}

static void use(struct loader *l, const struct model_tensor *t)
{
	if (t)
		l->used[t - model_tensors_at(l->tensors, 0)] = true;
}

static int coded_keep(struct loader *l, const struct coded *o)
{
	if (l->coded_count == l->coded_room) {
		size_t room = l->coded_room * 2 + 64;
		struct coded *more = realloc(l->coded, room * sizeof *more);
		if (!more)
			return err_set(l->e, ERR_NOMEM, "list of tensors");
		l->coded = more;
		l->coded_room = room;
	}
	l->coded[l->coded_count++] = *o;
	return 0;
}

/* What is decoded row by row. */
static bool has_rows(const struct model_item *it)
{
	return it->stack == 0 && (it->kind == ITEM_MATRIX || it->kind == ITEM_KV_B);
}

/* A plain matrix that is adapted. */
static int plain_take(struct loader *l, const struct model_item *item, struct coded *o)
{
	const struct model_tensor *t = model_tensors_find(l->tensors, l->name);
	struct codes_place at = place_of(l);
	if (!t || !model_dtype_is_float(t->dtype) || t->dtype == MODEL_F8_E4M3)
		return 0; /* refused as without an adapter */
	if (model_dtype_block(t->dtype) > 1 || text_ends(t->file, ".gguf"))
		return err_set(l->e, ERR_UNSUPPORTED,
			       "%s: not available in this version: an adapter over a GGUF file",
			       t->file);
	o->set.codes = t;
	o->set.coding = (struct model_coding){ .form = CODE_FLOATS,
					       .dtype = t->dtype,
					       .rows = item->rows,
					       .columns = item->columns,
					       .after = 1 };
	use(l, t);
	TRY(model_codes_shape(&at, t, item->rows, item->columns));
	return 1;
}

static int codes_take(struct loader *l, const struct model_item *item, const struct code_rule *rule,
		      struct coded *o)
{
	struct codes_place at = place_of(l);
	use(l, o->set.codes);
	TRY(model_codes_parts(&at, rule, &o->set));
	for (int p = 0; p < CODING_PARTS; p++)
		use(l, o->set.beside[p]);
	TRY(model_codes_set(&at, rule, item->rows, item->columns, &o->set));
	return 1;
}

/* Whether blocks of `size` of n are blocks of 128. */
static bool is_block(uint32_t size, uint32_t n)
{
	return size == KERNEL_FP8_BLOCK || (size >= n && n <= KERNEL_FP8_BLOCK);
}

/* FP8 that stays so, by the names that the plan knows. */
static bool is_native(const struct coded *o)
{
	const struct model_coding *c = &o->set.coding;
	bool one = c->block_rows >= c->rows && c->block_columns >= c->columns;
	if (c->form != CODE_FLOATS || o->low || o->set.beside[PART_ZERO])
		return false;
	return one || (is_block(c->block_rows, c->rows) && is_block(c->block_columns, c->columns));
}

int model_coded_repeat(struct loader *l, struct model_item *it)
{
	const struct model_tensor *t = it->tensor;
	if (t->bytes * 8 != model_dtype_bits(t->dtype))
		return 0;
	const struct coded o = { .set = { .codes = t,
					  .coding = { .form = CODE_ONE,
						      .dtype = t->dtype,
						      .rows = it->rows,
						      .columns = it->columns,
						      .after = 1 } } };
	TRY(coded_keep(l, &o));
	it->dtype = MODEL_F32;
	it->coded = (uint32_t)l->coded_count;
	return 0;
}

/* Codes that a kernel's q4 reads as they are. */
static bool is_narrow(const struct loader *l, const struct model_item *it, const struct coded *o)
{
	const struct model_coding *c = &o->set.coding;
	bool gptq = c->form == CODE_GPTQ && l->c->quant.symmetric && !l->c->quant.ordered;
	bool fields =
		c->form == CODE_FIELDS && !o->set.beside[PART_ZERO] && !o->set.beside[PART_GROUP];
	return (gptq || fields) && c->bits == 4 && !o->low && it->kind == ITEM_MATRIX &&
	       o->set.beside[PART_SCALE]->dtype == MODEL_F16 &&
	       c->block_columns % KERNEL_GROUP == 0 && c->columns % KERNEL_GROUP == 0 &&
	       model_plan_format(l, it->class, MODEL_Q4_0) == KERNEL_Q4;
}

/* The adapter's part for l->name; embeddings have none. */
static const struct model_low_rank *low_of(const struct loader *l, const struct model_item *item)
{
	const struct model_adapter *a = l->order->adapter;
	return a && item->class != WEIGHT_EMBED ? model_adapter_find(a, l->name) : NULL;
}

int model_plan_coded(struct loader *l, const struct model_item *item)
{
	struct codes_place at = place_of(l);
	struct coded o = { 0 };
	if (!has_rows(item) || !text_ends(l->name, ".weight"))
		return 0;
	o.low = low_of(l, item);
	const struct code_rule *rule = o.low || l->c->quantisation == MODEL_QUANT_CODED
					       ? model_codes_rule(&at, &o.set.codes)
					       : NULL;
	if (!rule && !o.low)
		return 0;
	int rc = rule ? codes_take(l, item, rule, &o) : plain_take(l, item, &o);
	if (rc <= 0 || is_native(&o))
		return rc < 0 ? rc : 0;
	if (o.low)
		TRY(model_adapter_fits(o.low, l->name, item->rows, item->columns, l->e));
	o.set.coding.narrow = rule && is_narrow(l, item, &o);
	TRY(coded_keep(l, &o));
	struct model_item it = *item;
	it.tensor = o.set.codes;
	it.dtype = o.set.coding.narrow ? MODEL_Q4_0 : MODEL_F32;
	it.format = model_plan_format(l, it.class, rule ? it.dtype : o.set.codes->dtype);
	it.phase = 1;
	it.coded = (uint32_t)l->coded_count;
	TRY(model_plan_push(l, &it));
	return 1;
}

int model_coded_merged(struct loader *l)
{
	const struct model_adapter *a = l->order->adapter;
	if (!a)
		return 0;
	bool *merged = calloc(a->count + 1, sizeof *merged);
	int rc = merged ? 0 : err_set(l->e, ERR_NOMEM, "list of tensors");
	for (size_t k = 0; rc == 0 && k < l->coded_count; k++)
		if (l->coded[k].low)
			merged[l->coded[k].low - a->part] = true;
	for (size_t i = 0; rc == 0 && i < a->count; i++)
		if (!merged[i])
			rc = err_set(l->e, ERR_INPUT,
				     "%s: tensor %s is for another base: none has a matrix "
				     "%s.weight of its own in this one",
				     a->part[i].a->file, a->part[i].a->name, a->part[i].module);
	free(merged);
	return rc;
}

int model_coded_bias(struct loader *l, const struct model_tensor *t)
{
	const struct codes_place at = { .tensors = l->tensors,
					.name = t->name,
					.stem = (int)(strlen(t->name) - strlen("bias")) };
	const struct coded o = { .set = { .codes = t,
					  .beside = { [PART_ZERO] = t },
					  .coding = { .form = CODE_NONE } } };
	if (l->c->quant.method != QUANT_GPTQ || !text_ends(t->name, ".bias") ||
	    !model_codes_beside(&at, "qweight") || (CODES_ANY_FLOAT & 1u << t->dtype) == 0)
		return 0;
	TRY(coded_keep(l, &o));
	return 1;
}

/* ---- while reading ---- */

uint64_t model_coded_bytes(const struct loader *l)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < l->coded_count; i++) {
		sum += model_coding_bytes(&l->coded[i].set.coding);
		for (int p = 0; p < CODING_PARTS; p++)
			sum += l->coded[i].set.beside[p] ? l->coded[i].set.beside[p]->bytes : 0;
	}
	return sum;
}

int model_coded_place(struct loader *l)
{
	for (size_t i = 0; i < l->coded_count; i++)
		for (int p = 0; p < CODING_PARTS; p++) {
			const struct model_tensor *t = l->coded[i].set.beside[p];
			if (!t)
				continue;
			l->coded[i].kept[p] = calloc(t->bytes + 1, 1);
			if (!l->coded[i].kept[p])
				return err_set(l->e, ERR_NOMEM, "tensor %s", t->name);
		}
	return 0;
}

int model_coded_open(struct loader *l)
{
	for (size_t i = 0; i < l->coded_count; i++) {
		struct coded *o = &l->coded[i];
		struct coding_bytes part[CODING_PARTS];
		for (int p = 0; p < CODING_PARTS; p++)
			part[p] = (struct coding_bytes){ o->set.beside[p], o->kept[p] };
		TRY(model_coding_open(&o->set.coding, part, l->e));
		for (int p = 0; p < CODING_PARTS; p++) {
			free(o->kept[p]);
			o->kept[p] = NULL;
		}
	}
	return 0;
}

void model_coded_close(struct loader *l)
{
	for (size_t i = 0; i < l->coded_count; i++) {
		model_coding_close(&l->coded[i].set.coding);
		for (int p = 0; p < CODING_PARTS; p++)
			free(l->coded[i].kept[p]);
	}
	free(l->coded);
	l->coded = NULL;
	l->coded_count = 0;
}
