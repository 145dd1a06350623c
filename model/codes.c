#include "model/codes.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct code_rule rules[] = {
	{ QUANT_COMPRESSED, "weight_packed", MODEL_I32, CODE_FIELDS, false, 0,
	  { [PART_SCALE] = { "weight_scale", CODES_ANY_FLOAT, true },
	    [PART_ZERO] = { "weight_zero_point", CODES_TYPE(I8) | CODES_TYPE(I32), false },
	    [PART_GROUP] = { "weight_g_idx", CODES_TYPE(I32), false },
	    [PART_SHAPE] = { "weight_shape", CODES_TYPE(I64) | CODES_TYPE(I32), true } } },
	{ QUANT_COMPRESSED, "weight_packed", MODEL_U8, CODE_E2M1, true, 4,
	  { [PART_SCALE] = { "weight_scale", CODES_TYPE(F8_E4M3), true },
	    [PART_WHOLE_SCALE] = { "weight_global_scale", CODES_TYPE(F32), true } } },
	{ QUANT_COMPRESSED, "weight", MODEL_I8, CODE_BYTES, false, 0,
	  { [PART_SCALE] = { "weight_scale", CODES_ANY_FLOAT, true },
	    [PART_ZERO] = { "weight_zero_point", CODES_TYPE(I8), false },
	    [PART_GROUP] = { "weight_g_idx", CODES_TYPE(I32), false } } },
	{ QUANT_COMPRESSED, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", CODES_ANY_FLOAT, true },
	    [PART_ZERO] = { "weight_zero_point", CODES_TYPE(F8_E4M3) | CODES_ANY_FLOAT, false } } },
	{ QUANT_FP8, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", CODES_ANY_FLOAT, true } } },
	{ QUANT_FP8, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale_inv", CODES_ANY_FLOAT, true } } },
	{ QUANT_MODELOPT, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", CODES_ANY_FLOAT, true } } },
	{ QUANT_MODELOPT, "weight", MODEL_U8, CODE_E2M1, true, 4,
	  { [PART_SCALE] = { "weight_scale", CODES_TYPE(F8_E4M3), true },
	    [PART_WHOLE_SCALE] = { "weight_scale_2", CODES_TYPE(F32), true } } },
	{ QUANT_GPTQ, "qweight", MODEL_I32, CODE_GPTQ, false, 0,
	  { [PART_SCALE] = { "scales", CODES_ANY_FLOAT, true },
	    [PART_ZERO] = { "qzeros", CODES_TYPE(I32), true },
	    [PART_GROUP] = { "g_idx", CODES_TYPE(I32), false } } },
	{ QUANT_AWQ, "qweight", MODEL_I32, CODE_AWQ, false, 4,
	  { [PART_SCALE] = { "scales", CODES_ANY_FLOAT, true },
	    [PART_ZERO] = { "qzeros", CODES_TYPE(I32), true } } },
	{ QUANT_BITSANDBYTES, "weight", MODEL_U8, CODE_TABLE, false, 4,
	  { [PART_SCALE] = { "weight.absmax", CODES_TYPE(U8) | CODES_TYPE(F32), true },
	    [PART_MAP] = { "weight.quant_map", CODES_TYPE(F32), true },
	    [PART_NESTED] = { "weight.nested_absmax", CODES_TYPE(F32), false },
	    [PART_NESTED_MAP] = { "weight.nested_quant_map", CODES_TYPE(F32), false },
	    [PART_STATE] = { "weight.quant_state.bitsandbytes__nf4", CODES_TYPE(U8), true } } },
	{ QUANT_BITSANDBYTES, "weight", MODEL_U8, CODE_TABLE, false, 4,
	  { [PART_SCALE] = { "weight.absmax", CODES_TYPE(U8) | CODES_TYPE(F32), true },
	    [PART_MAP] = { "weight.quant_map", CODES_TYPE(F32), true },
	    [PART_NESTED] = { "weight.nested_absmax", CODES_TYPE(F32), false },
	    [PART_NESTED_MAP] = { "weight.nested_quant_map", CODES_TYPE(F32), false },
	    [PART_STATE] = { "weight.quant_state.bitsandbytes__fp4", CODES_TYPE(U8), true } } },
	{ QUANT_BITSANDBYTES, "weight", MODEL_I8, CODE_BYTES, false, 8,
	  { [PART_SCALE] = { "SCB", CODES_TYPE(F32), true } } },
};

/* Of activations, of the cache, and of how they were found: not used. */
static const char *const surplus[] = {
	"input_scale", "input_zero_point", "input_global_scale", "output_scale",
	"output_zero_point", "activation_scale", "k_scale", "v_scale", "q_scale", "weight_format",
};
/* clang-format on */

const struct code_rule *model_codes_at(size_t i)
{
	return i < sizeof rules / sizeof *rules ? &rules[i] : NULL;
}

bool model_codes_surplus(const char *name)
{
	const char *last = strrchr(name, '.');
	for (size_t i = 0; last && i < sizeof surplus / sizeof *surplus; i++)
		if (strcmp(last + 1, surplus[i]) == 0)
			return true;
	return false;
}

/* ---- shapes ---- */

static uint64_t blocks_of(uint64_t n, uint64_t size) { return (n + size - 1) / size; }

static int shape_refuse(const struct codes_place *at, const struct model_tensor *t, uint64_t rows,
			uint64_t columns)
{
	return err_set(
		at->e, ERR_INPUT,
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

int model_codes_shape(const struct codes_place *at, const struct model_tensor *t, uint64_t rows,
		      uint64_t columns)
{
	return is_shaped(t, rows, columns) ? 0 : shape_refuse(at, t, rows, columns);
}

/* The codes themselves: words of the packed forms, half-bytes, or one for each value. */
static int codes_check(const struct codes_place *at, const struct model_coding *c,
		       const struct model_tensor *t)
{
	uint64_t rows = c->rows, columns = c->columns;
	switch (c->form) {
	case CODE_FIELDS:
		return model_codes_shape(at, t, rows, blocks_of(columns * c->bits, 32));
	case CODE_E2M1:
		return model_codes_shape(at, t, rows, columns / 2);
	case CODE_TABLE:
		return t->rank == 2 && t->shape[0] == 1
			       ? model_codes_shape(at, t, 1, rows * columns / 2)
			       : model_codes_shape(at, t, rows * columns / 2, 1);
	case CODE_GPTQ:
		return model_codes_shape(at, t, columns * c->bits / 32, rows);
	case CODE_AWQ:
		return model_codes_shape(at, t, columns, rows / 8);
	default:
		return model_codes_shape(at, t, rows, columns);
	}
}

/* Forms whose words cannot hold a part of a row or column. */
static int whole_check(const struct codes_place *at, const struct model_coding *c,
		       const struct model_tensor *t)
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
	return err_set(at->e, ERR_UNSUPPORTED,
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
static int group_find(const struct codes_place *at, const struct code_rule *rule,
		      struct model_coding *c, const struct model_tensor *codes,
		      const struct model_tensor *scale)
{
	const struct model_quant *q = at->quant;
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
		return err_set(at->e, ERR_INPUT,
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
	return shape_refuse(at, scale, turned ? columns : rows, turned ? rows : columns);
}

/* AWQ and FP4 have no shorter last group; the others may. */
static int division_check(const struct codes_place *at, const struct model_coding *c,
			  const struct model_tensor *codes)
{
	bool whole = c->form == CODE_AWQ || c->form == CODE_E2M1;
	if (!whole || c->columns % c->block_columns == 0)
		return 0;
	return err_set(at->e, ERR_INPUT,
		       "%s: tensor %s: groups of %u, as quantization_config says, do not divide %u "
		       "columns",
		       codes->file, codes->name, c->block_columns, c->columns);
}

/* Whether zero points must be there, by the groups: all of these codes have them. */
static bool zeros_needed(const struct codes_place *at, const struct code_rule *rule)
{
	bool any = false;
	for (uint32_t i = 0; i < at->quant->groups; i++) {
		const struct model_quant_group *g = &at->quant->group[i];
		if (g->is_float == rule->is_float && g->symmetric)
			return false;
		any = any || g->is_float == rule->is_float;
	}
	return any;
}

static int parts_check(const struct codes_place *at, const struct code_rule *rule,
		       struct model_codes *o)
{
	const struct model_coding *c = &o->coding;
	const struct model_tensor *zero = o->beside[PART_ZERO];
	uint64_t rows = blocks_of(c->rows, c->block_rows),
		 columns = blocks_of(c->columns, c->block_columns);
	if (zero && c->form == CODE_GPTQ)
		TRY(model_codes_shape(at, zero, columns, (uint64_t)c->rows * c->bits / 32));
	else if (zero && c->form == CODE_AWQ)
		TRY(model_codes_shape(at, zero, columns, c->rows / 8));
	else if (zero && zero->dtype == MODEL_I32)
		TRY(model_codes_shape(at, zero, blocks_of(rows * c->bits, 32), columns));
	else if (zero)
		TRY(model_codes_shape(at, zero, rows, columns));
	if (!zero && rule->part[PART_ZERO].suffix && zeros_needed(at, rule))
		return err_set(at->e, ERR_INPUT, "%s: tensor %s has no zero points beside it",
			       o->codes->file, o->codes->name);
	if (o->beside[PART_GROUP])
		TRY(model_codes_shape(at, o->beside[PART_GROUP], c->columns, 1));
	else if (c->form == CODE_GPTQ && at->quant->ordered)
		return err_set(at->e, ERR_INPUT, "%s: tensor %s has no g_idx beside it",
			       o->codes->file, o->codes->name);
	if (o->beside[PART_SHAPE])
		TRY(model_codes_shape(at, o->beside[PART_SHAPE], 2, 1));
	if (o->beside[PART_WHOLE_SCALE])
		TRY(model_codes_shape(at, o->beside[PART_WHOLE_SCALE], 1, 1));
	return 0;
}

static int table_check(const struct codes_place *at, const struct model_codes *o)
{
	bool nested = o->beside[PART_SCALE]->dtype == MODEL_U8;
	if (nested != (o->beside[PART_NESTED] != NULL) ||
	    nested != (o->beside[PART_NESTED_MAP] != NULL))
		return err_set(at->e, ERR_INPUT,
			       "%s: tensor %s is %s, and nested_absmax and nested_quant_map are%s "
			       "both beside it",
			       o->codes->file, o->beside[PART_SCALE]->name,
			       model_dtype_name(o->beside[PART_SCALE]->dtype),
			       nested ? " not" : "");
	TRY(model_codes_shape(at, o->beside[PART_MAP], 16, 1));
	return nested ? model_codes_shape(at, o->beside[PART_NESTED_MAP], 256, 1) : 0;
}

/* ---- finding ---- */

const struct model_tensor *model_codes_beside(const struct codes_place *at, const char *suffix)
{
	char name[2 * LIMIT_NAME_BYTES];
	snprintf(name, sizeof name, "%.*s%s", at->stem, at->name, suffix);
	return model_tensors_find(at->tensors, name);
}

bool model_codes_whole(const struct codes_place *at, const struct code_rule *rule)
{
	for (int p = 0; p < CODING_PARTS; p++)
		if (rule->part[p].needed && !model_codes_beside(at, rule->part[p].suffix))
			return false;
	return true;
}

const struct code_rule *model_codes_rule(const struct codes_place *at,
					 const struct model_tensor **codes)
{
	const struct code_rule *found = NULL;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct code_rule *rule = &rules[i];
		const struct model_tensor *t = rule->method == at->quant->method
						       ? model_codes_beside(at, rule->suffix)
						       : NULL;
		if (!t || t->dtype != rule->type)
			continue;
		bool whole = model_codes_whole(at, rule);
		if (found && !whole)
			continue;
		found = rule;
		*codes = t;
		if (whole)
			break;
	}
	return found;
}

int model_codes_parts(const struct codes_place *at, const struct code_rule *rule,
		      struct model_codes *o)
{
	for (int p = 0; p < CODING_PARTS; p++) {
		const struct part_rule *want = &rule->part[p];
		const struct model_tensor *t =
			want->suffix ? model_codes_beside(at, want->suffix) : NULL;
		if (!t && want->needed)
			return err_set(at->e, ERR_INPUT,
				       "%s: tensor %s is there and %.*s%s is missing",
				       o->codes->file, o->codes->name, at->stem, at->name,
				       want->suffix);
		if (t && (want->types & 1u << t->dtype) == 0)
			return err_set(at->e, ERR_UNSUPPORTED,
				       "%s: tensor %s is %s, not a supported type of it", t->file,
				       t->name, model_dtype_name(t->dtype));
		o->beside[p] = t;
	}
	return 0;
}

static int codes_whole_check(const struct codes_place *at, const struct code_rule *rule,
			     struct model_codes *o)
{
	struct model_coding *c = &o->coding;
	if (c->form == CODE_TABLE) {
		c->block_rows = c->rows;
		c->block_columns = c->columns;
		TRY(whole_check(at, c, o->codes));
		TRY(codes_check(at, c, o->codes));
		return table_check(at, o);
	}
	TRY(group_find(at, rule, c, o->codes, o->beside[PART_SCALE]));
	TRY(division_check(at, c, o->codes));
	TRY(whole_check(at, c, o->codes));
	TRY(codes_check(at, c, o->codes));
	return parts_check(at, rule, o);
}

int model_codes_set(const struct codes_place *at, const struct code_rule *rule, uint32_t rows,
		    uint32_t columns, struct model_codes *o)
{
	o->coding = (struct model_coding){
		.form = rule->form,
		.dtype = rule->type,
		.rows = rows,
		.columns = columns,
		.bits = rule->bits,
		.zero_less_one = at->quant->zero_less_one,
		.whole_divides = rule->method == QUANT_COMPRESSED,
		.after = rule->method == QUANT_BITSANDBYTES && rule->form == CODE_BYTES
				 ? 0.007874015718698502f /* 1 / 127, as bitsandbytes writes it */
				 : 1,
	};
	return codes_whole_check(at, rule, o);
}
