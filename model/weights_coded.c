/* The plan of matrices that are stored in codes: which tensors make up X.weight.
 *
 * Where the folder has X.weight in a plain type, that is it, whatever quantization_config says of
 * X. Else the codes and what lies beside them are found by the names of the format. The shape of
 * the scales tells which of the config's groups they are of. */
#include "model/weights_loader.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor beside the codes: its name behind "X.", and the types it may have. */
struct part_rule {
	const char *suffix;
	unsigned types; /* bit for each model_dtype */
	bool needed;
};

struct code_rule {
	enum model_quant_method method;
	const char *suffix; /* of the codes */
	enum model_dtype type;
	enum model_code_form form;
	bool is_float;
	unsigned bits; /* 0: as one of the groups says */
	struct part_rule part[CODING_PARTS];
};

#define T(type) (1u << MODEL_##type)
#define ANY_FLOAT (T(F16) | T(BF16) | T(F32))

/* clang-format off */
static const struct code_rule rules[] = {
	{ QUANT_COMPRESSED, "weight_packed", MODEL_I32, CODE_FIELDS, false, 0,
	  { [PART_SCALE] = { "weight_scale", ANY_FLOAT, true },
	    [PART_ZERO] = { "weight_zero_point", T(I8) | T(I32), false },
	    [PART_GROUP] = { "weight_g_idx", T(I32), false },
	    [PART_SHAPE] = { "weight_shape", T(I64) | T(I32), true } } },
	{ QUANT_COMPRESSED, "weight_packed", MODEL_U8, CODE_E2M1, true, 4,
	  { [PART_SCALE] = { "weight_scale", T(F8_E4M3), true },
	    [PART_WHOLE_SCALE] = { "weight_global_scale", T(F32), true } } },
	{ QUANT_COMPRESSED, "weight", MODEL_I8, CODE_BYTES, false, 0,
	  { [PART_SCALE] = { "weight_scale", ANY_FLOAT, true },
	    [PART_ZERO] = { "weight_zero_point", T(I8), false },
	    [PART_GROUP] = { "weight_g_idx", T(I32), false } } },
	{ QUANT_COMPRESSED, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", ANY_FLOAT, true },
	    [PART_ZERO] = { "weight_zero_point", T(F8_E4M3) | ANY_FLOAT, false } } },
	{ QUANT_FP8, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", ANY_FLOAT, true } } },
	{ QUANT_FP8, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale_inv", ANY_FLOAT, true } } },
	{ QUANT_MODELOPT, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", ANY_FLOAT, true } } },
	{ QUANT_MODELOPT, "weight", MODEL_U8, CODE_E2M1, true, 4,
	  { [PART_SCALE] = { "weight_scale", T(F8_E4M3), true },
	    [PART_WHOLE_SCALE] = { "weight_scale_2", T(F32), true } } },
	{ QUANT_GPTQ, "qweight", MODEL_I32, CODE_GPTQ, false, 0,
	  { [PART_SCALE] = { "scales", ANY_FLOAT, true },
	    [PART_ZERO] = { "qzeros", T(I32), true },
	    [PART_GROUP] = { "g_idx", T(I32), false } } },
	{ QUANT_AWQ, "qweight", MODEL_I32, CODE_AWQ, false, 4,
	  { [PART_SCALE] = { "scales", ANY_FLOAT, true },
	    [PART_ZERO] = { "qzeros", T(I32), true } } },
	{ QUANT_BITSANDBYTES, "weight", MODEL_U8, CODE_TABLE, false, 4,
	  { [PART_SCALE] = { "weight.absmax", T(U8) | T(F32), true },
	    [PART_MAP] = { "weight.quant_map", T(F32), true },
	    [PART_NESTED] = { "weight.nested_absmax", T(F32), false },
	    [PART_NESTED_MAP] = { "weight.nested_quant_map", T(F32), false },
	    [PART_STATE] = { "weight.quant_state.bitsandbytes__nf4", T(U8), true } } },
	{ QUANT_BITSANDBYTES, "weight", MODEL_U8, CODE_TABLE, false, 4,
	  { [PART_SCALE] = { "weight.absmax", T(U8) | T(F32), true },
	    [PART_MAP] = { "weight.quant_map", T(F32), true },
	    [PART_NESTED] = { "weight.nested_absmax", T(F32), false },
	    [PART_NESTED_MAP] = { "weight.nested_quant_map", T(F32), false },
	    [PART_STATE] = { "weight.quant_state.bitsandbytes__fp4", T(U8), true } } },
	{ QUANT_BITSANDBYTES, "weight", MODEL_I8, CODE_BYTES, false, 8,
	  { [PART_SCALE] = { "SCB", T(F32), true } } },
};

/* Of activations, of the cache, and of how they were found: not used. */
static const char *const surplus[] = {
	"input_scale", "input_zero_point", "input_global_scale", "output_scale",
	"output_zero_point", "activation_scale", "k_scale", "v_scale", "q_scale", "weight_format",
};
/* clang-format on */

bool model_coded_surplus(const struct loader *l, const char *name)
{
	const char *last = strrchr(name, '.');
	if (l->c->quantisation == MODEL_QUANT_NONE || last == NULL)
		return false;
	for (size_t i = 0; i < sizeof surplus / sizeof *surplus; i++)
		if (strcmp(last + 1, surplus[i]) == 0)
			return true;
	return false;
}

/* ---- shapes ---- */

static uint64_t blocks_of(uint64_t n, uint64_t size) { return (n + size - 1) / size; }

static int shape_refuse(struct loader *l, const struct model_tensor *t, uint64_t rows,
			uint64_t columns)
{
	return err_set(
		l->e, ERR_INPUT,
		"%s: tensor %s is %s of rank %d, %llu values: by the config it must be [%llu, "
		"%llu]",
		t->file, t->name, model_dtype_name(t->dtype), t->rank,
		(unsigned long long)(t->bytes * 8 / model_dtype_bits(t->dtype)),
		(unsigned long long)rows, (unsigned long long)columns);
}

/* [rows, columns]; [rows] for one column; [] or [1] for one value. */
static bool is_shaped(const struct model_tensor *t, uint64_t rows, uint64_t columns)
{
	if (t->rank == 2)
		return t->shape[0] == rows && t->shape[1] == columns;
	if (t->rank == 1)
		return t->shape[0] == rows && columns == 1;
	return t->rank == 0 && rows == 1 && columns == 1;
}

static int shape_check(struct loader *l, const struct model_tensor *t, uint64_t rows,
		       uint64_t columns)
{
	return is_shaped(t, rows, columns) ? 0 : shape_refuse(l, t, rows, columns);
}

/* The codes themselves: words of the packed forms, half-bytes, or one for each value. */
static int codes_check(struct loader *l, const struct model_coding *c, const struct model_tensor *t)
{
	uint64_t rows = c->rows, columns = c->columns;
	switch (c->form) {
	case CODE_FIELDS:
		return shape_check(l, t, rows, blocks_of(columns * c->bits, 32));
	case CODE_E2M1:
		return shape_check(l, t, rows, columns / 2);
	case CODE_TABLE:
		return t->rank == 2 && t->shape[0] == 1 ? shape_check(l, t, 1, rows * columns / 2)
							: shape_check(l, t, rows * columns / 2, 1);
	case CODE_GPTQ:
		return shape_check(l, t, columns * c->bits / 32, rows);
	case CODE_AWQ:
		return shape_check(l, t, columns, rows / 8);
	default:
		return shape_check(l, t, rows, columns);
	}
}

/* Forms whose words cannot hold a part of a row or column. */
static int whole_check(struct loader *l, const struct model_coding *c, const struct model_tensor *t)
{
	uint32_t per = c->bits ? 32 / c->bits : 8;
	bool rows = c->form != CODE_GPTQ && c->form != CODE_AWQ,
	     columns = c->form == CODE_AWQ || c->form == CODE_FIELDS;
	if (c->form == CODE_FLOATS || c->form == CODE_BYTES)
		return 0;
	if (c->form == CODE_E2M1 || c->form == CODE_TABLE)
		per = 2;
	if ((rows || c->rows % per == 0) && (columns || c->columns % per == 0))
		return 0;
	return err_set(l->e, ERR_UNSUPPORTED,
		       "%s: tensor %s: [%u, %u] are no whole words of codes: not available in this "
		       "version",
		       t->file, t->name, c->rows, c->columns);
}

/* ---- groups ---- */

/* Whether the scales can be those of the group; sets the blocks. */
static bool group_fits(struct model_coding *c, const struct model_quant_group *g,
		       const struct model_tensor *scale)
{
	uint64_t rows, columns;
	bool turned = c->form == CODE_GPTQ || c->form == CODE_AWQ;
	c->block_rows = g->block_rows ? g->block_rows : c->rows;
	c->block_columns = g->block_columns ? g->block_columns : c->columns;
	if (c->block_columns > c->columns)
		c->block_columns = c->columns;
	rows = blocks_of(c->rows, c->block_rows);
	columns = blocks_of(c->columns, c->block_columns);
	return turned ? is_shaped(scale, columns, rows) && scale->rank == 2
		      : is_shaped(scale, rows, columns);
}

/* Find the group of the config that the codes and scales are of. */
static int group_find(struct loader *l, const struct code_rule *rule, struct model_coding *c,
		      const struct model_tensor *codes, const struct model_tensor *scale)
{
	const struct model_quant *q = &l->c->quant;
	const struct model_quant_group *near = NULL;
	for (uint32_t i = 0; i < q->groups; i++) {
		const struct model_quant_group *g = &q->group[i];
		bool same =
			g->is_float == rule->is_float && (rule->bits == 0 || rule->bits == g->bits);
		if (rule->form == CODE_FIELDS)
			same = same && codes->rank == 2 &&
			       codes->shape[1] == blocks_of((uint64_t)c->columns * g->bits, 32);
		if (!same)
			continue;
		c->bits = g->bits;
		if (group_fits(c, g, scale))
			return 0;
		near = near ? near : g;
	}
	if (near == NULL)
		return err_set(l->e, ERR_INPUT,
			       "%s: tensor %s is %s [%llu, %llu], as no group of "
			       "quantization_config says",
			       codes->file, codes->name, model_dtype_name(codes->dtype),
			       (unsigned long long)(codes->rank > 0 ? codes->shape[0] : 1),
			       (unsigned long long)(codes->rank > 1 ? codes->shape[1] : 1));
	c->bits = near->bits;
	group_fits(c, near, scale);
	bool turned = c->form == CODE_GPTQ || c->form == CODE_AWQ;
	uint64_t rows = blocks_of(c->rows, c->block_rows),
		 columns = blocks_of(c->columns, c->block_columns);
	return shape_refuse(l, scale, turned ? columns : rows, turned ? rows : columns);
}

/* AWQ and FP4 have no shorter last group; the others may. */
static int division_check(struct loader *l, const struct model_coding *c,
			  const struct model_tensor *codes)
{
	bool whole = c->form == CODE_AWQ || c->form == CODE_E2M1;
	if (!whole || c->columns % c->block_columns == 0)
		return 0;
	return err_set(l->e, ERR_INPUT,
		       "%s: tensor %s: groups of %u, as quantization_config says, do not divide %u "
		       "columns",
		       codes->file, codes->name, c->block_columns, c->columns);
}

/* Whether zero points must be there, by the groups: all of these codes have them. */
static bool zeros_needed(const struct loader *l, const struct code_rule *rule)
{
	bool any = false;
	for (uint32_t i = 0; i < l->c->quant.groups; i++) {
		const struct model_quant_group *g = &l->c->quant.group[i];
		if (g->is_float == rule->is_float && g->symmetric)
			return false;
		any = any || g->is_float == rule->is_float;
	}
	return any;
}

static int parts_check(struct loader *l, const struct code_rule *rule, struct coded *o)
{
	const struct model_coding *c = &o->coding;
	const struct model_tensor *zero = o->beside[PART_ZERO];
	uint64_t rows = blocks_of(c->rows, c->block_rows),
		 columns = blocks_of(c->columns, c->block_columns);
	if (zero && c->form == CODE_GPTQ)
		TRY(shape_check(l, zero, columns, (uint64_t)c->rows * c->bits / 32));
	else if (zero && c->form == CODE_AWQ)
		TRY(shape_check(l, zero, columns, c->rows / 8));
	else if (zero && zero->dtype == MODEL_I32)
		TRY(shape_check(l, zero, blocks_of(rows * c->bits, 32), columns));
	else if (zero)
		TRY(shape_check(l, zero, rows, columns));
	if (!zero && rule->part[PART_ZERO].suffix && zeros_needed(l, rule))
		return err_set(l->e, ERR_INPUT, "%s: tensor %s has no zero points beside it",
			       o->codes->file, o->codes->name);
	if (o->beside[PART_GROUP])
		TRY(shape_check(l, o->beside[PART_GROUP], c->columns, 1));
	else if (c->form == CODE_GPTQ && l->c->quant.ordered)
		return err_set(l->e, ERR_INPUT, "%s: tensor %s has no g_idx beside it",
			       o->codes->file, o->codes->name);
	if (o->beside[PART_SHAPE])
		TRY(shape_check(l, o->beside[PART_SHAPE], 2, 1));
	if (o->beside[PART_WHOLE_SCALE])
		TRY(shape_check(l, o->beside[PART_WHOLE_SCALE], 1, 1));
	return 0;
}

static int table_check(struct loader *l, const struct coded *o)
{
	bool nested = o->beside[PART_SCALE]->dtype == MODEL_U8;
	if (nested != (o->beside[PART_NESTED] != NULL) ||
	    nested != (o->beside[PART_NESTED_MAP] != NULL))
		return err_set(l->e, ERR_INPUT,
			       "%s: tensor %s is %s, and nested_absmax and nested_quant_map are%s "
			       "both beside it",
			       o->codes->file, o->beside[PART_SCALE]->name,
			       model_dtype_name(o->beside[PART_SCALE]->dtype),
			       nested ? " not" : "");
	TRY(shape_check(l, o->beside[PART_MAP], 16, 1));
	return nested ? shape_check(l, o->beside[PART_NESTED_MAP], 256, 1) : 0;
}

/* ---- finding ---- */

/* The tensor "X.SUFFIX", or NULL. */
static const struct model_tensor *beside(const struct loader *l, int stem, const char *suffix)
{
	char name[400];
	snprintf(name, sizeof name, "%.*s%s", stem, l->name, suffix);
	return model_tensors_find(l->tensors, name);
}

bool model_coded_has(const struct loader *l)
{
	int stem = (int)strlen(l->name) - (int)strlen("weight");
	if (!text_ends(l->name, ".weight"))
		return false;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].method == l->c->quant.method && beside(l, stem, rules[i].suffix))
			return true;
	return false;
}

static void use(struct loader *l, const struct model_tensor *t)
{
	if (t)
		l->used[t - model_tensors_at(l->tensors, 0)] = true;
}

static int parts_find(struct loader *l, int stem, const struct code_rule *rule, struct coded *o)
{
	for (int p = 0; p < CODING_PARTS; p++) {
		const struct part_rule *want = &rule->part[p];
		const struct model_tensor *t = want->suffix ? beside(l, stem, want->suffix) : NULL;
		if (!t && want->needed)
			return err_set(l->e, ERR_INPUT,
				       "%s: tensor %s is there and %.*s%s is missing",
				       o->codes->file, o->codes->name, stem, l->name, want->suffix);
		if (t && (want->types & 1u << t->dtype) == 0)
			return err_set(l->e, ERR_UNSUPPORTED,
				       "%s: tensor %s is %s, not a supported type of it", t->file,
				       t->name, model_dtype_name(t->dtype));
		o->beside[p] = t;
		use(l, t);
	}
	return 0;
}

/* The rule whose codes are there; of two that differ by names alone, the one whose parts are. */
static const struct code_rule *rule_find(struct loader *l, int stem, struct coded *o)
{
	const struct code_rule *found = NULL;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct code_rule *rule = &rules[i];
		const struct model_tensor *t =
			rule->method == l->c->quant.method ? beside(l, stem, rule->suffix) : NULL;
		bool whole = true;
		if (!t || t->dtype != rule->type)
			continue;
		for (int p = 0; p < CODING_PARTS; p++)
			whole = whole &&
				(!rule->part[p].needed || beside(l, stem, rule->part[p].suffix));
		if (found && !whole)
			continue;
		found = rule;
		o->codes = t;
		if (whole)
			break;
	}
	return found;
}

static int coded_check(struct loader *l, const struct code_rule *rule, struct coded *o)
{
	struct model_coding *c = &o->coding;
	if (c->form == CODE_TABLE) {
		c->block_rows = c->rows;
		c->block_columns = c->columns;
		TRY(whole_check(l, c, o->codes));
		TRY(codes_check(l, c, o->codes));
		return table_check(l, o);
	}
	TRY(group_find(l, rule, c, o->codes, o->beside[PART_SCALE]));
	TRY(division_check(l, c, o->codes));
	TRY(whole_check(l, c, o->codes));
	TRY(codes_check(l, c, o->codes));
	return parts_check(l, rule, o);
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
	if (!t || !model_dtype_is_float(t->dtype) || t->dtype == MODEL_F8_E4M3)
		return 0; /* refused as without an adapter */
	if (model_dtype_block(t->dtype) > 1 || text_ends(t->file, ".gguf"))
		return err_set(l->e, ERR_UNSUPPORTED,
			       "%s: not available in this version: an adapter over a GGUF file",
			       t->file);
	o->codes = t;
	o->coding = (struct model_coding){ .form = CODE_FLOATS,
					   .dtype = t->dtype,
					   .rows = item->rows,
					   .columns = item->columns,
					   .after = 1 };
	use(l, t);
	TRY(shape_check(l, t, item->rows, item->columns));
	return 1;
}

static int codes_take(struct loader *l, const struct model_item *item, const struct code_rule *rule,
		      struct coded *o)
{
	int stem = (int)strlen(l->name) - (int)strlen("weight");
	o->coding = (struct model_coding){
		.form = rule->form,
		.dtype = rule->type,
		.rows = item->rows,
		.columns = item->columns,
		.bits = rule->bits,
		.zero_less_one = l->c->quant.zero_less_one,
		.whole_divides = rule->method == QUANT_COMPRESSED,
		.after = rule->method == QUANT_BITSANDBYTES && rule->form == CODE_BYTES
				 ? 0.007874015718698502f /* 1 / 127, as bitsandbytes writes it */
				 : 1,
	};
	use(l, o->codes);
	TRY(parts_find(l, stem, rule, o));
	TRY(coded_check(l, rule, o));
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
	const struct model_coding *c = &o->coding;
	bool one = c->block_rows >= c->rows && c->block_columns >= c->columns;
	if (c->form != CODE_FLOATS || o->low || o->beside[PART_ZERO])
		return false;
	return one || (is_block(c->block_rows, c->rows) && is_block(c->block_columns, c->columns));
}

int model_coded_repeat(struct loader *l, struct model_item *it)
{
	const struct model_tensor *t = it->tensor;
	if (t->bytes * 8 != model_dtype_bits(t->dtype))
		return 0;
	const struct coded o = { .codes = t,
				 .coding = { .form = CODE_ONE,
					     .dtype = t->dtype,
					     .rows = it->rows,
					     .columns = it->columns,
					     .after = 1 } };
	TRY(coded_keep(l, &o));
	it->dtype = MODEL_F32;
	it->coded = (uint32_t)l->coded_count;
	return 0;
}

/* Codes that a kernel's q4 reads as they are. */
static bool is_narrow(const struct loader *l, const struct model_item *it, const struct coded *o)
{
	const struct model_coding *c = &o->coding;
	bool gptq = c->form == CODE_GPTQ && l->c->quant.symmetric && !l->c->quant.ordered;
	bool fields = c->form == CODE_FIELDS && !o->beside[PART_ZERO] && !o->beside[PART_GROUP];
	return (gptq || fields) && c->bits == 4 && !o->low && it->kind == ITEM_MATRIX &&
	       o->beside[PART_SCALE]->dtype == MODEL_F16 && c->block_columns % KERNEL_GROUP == 0 &&
	       c->columns % KERNEL_GROUP == 0 &&
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
	int stem = (int)strlen(l->name) - (int)strlen("weight");
	struct coded o = { 0 };
	if (!has_rows(item) || !text_ends(l->name, ".weight"))
		return 0;
	o.low = low_of(l, item);
	const struct code_rule *rule =
		o.low || l->c->quantisation == MODEL_QUANT_CODED ? rule_find(l, stem, &o) : NULL;
	if (!rule && !o.low)
		return 0;
	int rc = rule ? codes_take(l, item, rule, &o) : plain_take(l, item, &o);
	if (rc <= 0 || is_native(&o))
		return rc < 0 ? rc : 0;
	if (o.low)
		TRY(model_adapter_fits(o.low, l->name, item->rows, item->columns, l->e));
	o.coding.narrow = rule && is_narrow(l, item, &o);
	TRY(coded_keep(l, &o));
	struct model_item it = *item;
	it.tensor = o.codes;
	it.dtype = o.coding.narrow ? MODEL_Q4_0 : MODEL_F32;
	it.format = model_plan_format(l, it.class, rule ? it.dtype : o.codes->dtype);
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
	static const char end[] = "bias";
	int stem = (int)strlen(t->name) - (int)strlen(end);
	const struct coded o = {
		.codes = t,
		.beside = { [PART_ZERO] = t },
		.coding = { .form = CODE_NONE },
	};
	snprintf(l->name, sizeof l->name, "%s", t->name);
	if (l->c->quant.method != QUANT_GPTQ || !text_ends(t->name, ".bias") ||
	    !beside(l, stem, "qweight") || (ANY_FLOAT & 1u << t->dtype) == 0)
		return 0;
	TRY(coded_keep(l, &o));
	return 1;
}

/* ---- while reading ---- */

uint64_t model_coded_bytes(const struct loader *l)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < l->coded_count; i++) {
		sum += model_coding_bytes(&l->coded[i].coding);
		for (int p = 0; p < CODING_PARTS; p++)
			sum += l->coded[i].beside[p] ? l->coded[i].beside[p]->bytes : 0;
	}
	return sum;
}

int model_coded_place(struct loader *l)
{
	for (size_t i = 0; i < l->coded_count; i++)
		for (int p = 0; p < CODING_PARTS; p++) {
			const struct model_tensor *t = l->coded[i].beside[p];
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
			part[p] = (struct coding_bytes){ o->beside[p], o->kept[p] };
		TRY(model_coding_open(&o->coding, part, l->e));
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
		model_coding_close(&l->coded[i].coding);
		for (int p = 0; p < CODING_PARTS; p++)
			free(l->coded[i].kept[p]);
	}
	free(l->coded);
	l->coded = NULL;
	l->coded_count = 0;
}
