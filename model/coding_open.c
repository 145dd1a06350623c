/* What lies beside the codes: from stored bytes to the arrays that decoding reads. Every value is
 * checked here, so that decoding cannot fail. */
#include "model/coding.h"

#include "base/check.h"
#include "base/json.h"
#include "base/limits.h"
#include "kernels/number.h"

#include <stdlib.h>
#include <string.h>

#define NO_NUMBER_OF_E8M0 255

static uint32_t row_blocks(const struct model_coding *c)
{
	return (c->rows + c->block_rows - 1) / c->block_rows;
}

static uint32_t groups_of(const struct model_coding *c)
{
	return (c->columns + c->block_columns - 1) / c->block_columns;
}

uint64_t model_coding_bytes(const struct model_coding *c)
{
	if (c->block_rows == 0 || c->block_columns == 0)
		return 0;
	return ((uint64_t)row_blocks(c) * groups_of(c) * 2 + c->columns) * 4;
}

static int bad(const struct coding_bytes *p, struct err *e, uint64_t at, double value,
	       const char *why)
{
	check(p->tensor);
	return err_set(e, ERR_INPUT, "%s: tensor %s has %.9g at %llu: %s", p->tensor->file,
		       p->tensor->name, value, (unsigned long long)at, why);
}

static uint64_t count_of(const struct coding_bytes *p)
{
	return p->tensor->bytes * 8 / model_dtype_bits(p->tensor->dtype);
}

static int floats_take(const struct coding_bytes *p, float **out, struct err *e)
{
	size_t n = (size_t)count_of(p);
	*out = calloc(n + 1, sizeof **out);
	if (!*out)
		return err_set(e, ERR_NOMEM, "tensor %s", p->tensor->name);
	if (p->tensor->dtype == MODEL_U8) {
		for (size_t i = 0; i < n; i++) {
			uint8_t power = p->bytes[i];
			if (power == NO_NUMBER_OF_E8M0)
				return bad(p, e, i, power, "no number as E8M0");
			(*out)[i] = number_from_e8m0(power);
		}
		return 0;
	}
	model_dtype_widen(p->tensor->dtype, p->bytes, n, *out);
	for (size_t i = 0; i < n; i++)
		if (!number_is_finite((*out)[i]))
			return bad(p, e, i, (double)(*out)[i], "not finite");
	return 0;
}

static int64_t integer_at(const struct coding_bytes *p, size_t i)
{
	int64_t wide;
	int32_t narrow;
	if (p->tensor->dtype == MODEL_I64) {
		memcpy(&wide, p->bytes + 8 * i, 8);
		return wide;
	}
	memcpy(&narrow, p->bytes + 4 * i, 4);
	return narrow;
}

/* ---- scales ---- */

/* [groups][rows] to [rows][groups]. */
static int turn(float **v, uint32_t groups, uint32_t rows, struct err *e)
{
	float *to = calloc((size_t)groups * rows + 1, sizeof *to);
	if (!to)
		return err_set(e, ERR_NOMEM, "scales");
	for (size_t g = 0; g < groups; g++)
		for (size_t r = 0; r < rows; r++)
			to[r * groups + g] = (*v)[g * rows + r];
	free(*v);
	*v = to;
	return 0;
}

static bool is_turned(const struct model_coding *c)
{
	return c->form == CODE_GPTQ || c->form == CODE_AWQ;
}

/* One scale for the whole tensor, by which the others are divided, or which they are multiplied
 * with: once, in f32. */
static int whole_scale(struct model_coding *c, const struct coding_bytes *p, struct err *e)
{
	float *one = NULL;
	size_t n = (size_t)row_blocks(c) * groups_of(c);
	int rc = floats_take(p, &one, e);
	float whole = rc == 0 ? one[0] : 1;
	free(one);
	TRY(rc);
	if (c->whole_divides && !(whole > 0 || whole < 0))
		return bad(p, e, 0, (double)whole, "a divisor");
	for (size_t i = 0; i < n; i++) {
		c->scale[i] = c->whole_divides ? c->scale[i] / whole : c->scale[i] * whole;
		if (!number_is_finite(c->scale[i]))
			return bad(p, e, i, (double)whole, "the scale at this place overflows");
	}
	return 0;
}

static int scales_open(struct model_coding *c, const struct coding_bytes *in, struct err *e)
{
	c->groups = groups_of(c);
	TRY(floats_take(&in[PART_SCALE], &c->scale, e));
	if (is_turned(c))
		TRY(turn(&c->scale, c->groups, c->rows, e));
	return in[PART_WHOLE_SCALE].tensor ? whole_scale(c, &in[PART_WHOLE_SCALE], e) : 0;
}

/* ---- zero points ---- */

/* Words of fields along the rows: GPTQ [groups][rows * bits / 32]. Those of the first format of
 * files are stored less one: one is added to every field of a word at once, with its carries, as
 * what converts the formats subtracts it. */
static void gptq_zeros(struct model_coding *c, const struct coding_bytes *p)
{
	uint32_t per = 32 / c->bits, mask = (1u << c->bits) - 1, words = c->rows / per,
		 ones = 0xffffffffu / mask;
	for (size_t g = 0; g < c->groups; g++)
		for (uint32_t r = 0; r < c->rows; r++) {
			uint32_t word = (uint32_t)integer_at(p, g * words + r / per);
			word += c->zero_less_one ? ones : 0;
			c->zero[r * c->groups + g] = (float)(word >> r % per * c->bits & mask);
		}
}

static void awq_zeros(struct model_coding *c, const struct coding_bytes *p)
{
	static const unsigned place[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };
	for (size_t g = 0; g < c->groups; g++)
		for (uint32_t r = 0; r < c->rows; r++) {
			uint32_t word = (uint32_t)integer_at(p, g * (c->rows / 8) + r / 8);
			c->zero[r * c->groups + g] = (float)(word >> 4 * place[r % 8] & 15u);
		}
}

/* As fields along the row blocks: [row blocks * bits / 32, rounded up][groups]. */
static void field_zeros(struct model_coding *c, const struct coding_bytes *p)
{
	uint32_t per = 32 / c->bits, mask = (1u << c->bits) - 1, blocks = row_blocks(c);
	int offset = 1 << (c->bits - 1);
	for (uint32_t r = 0; r < blocks; r++)
		for (size_t g = 0; g < c->groups; g++) {
			uint32_t word = (uint32_t)integer_at(p, r / per * c->groups + g);
			c->zero[r * c->groups + g] =
				(float)((int)(word >> r % per * c->bits & mask) - offset);
		}
}

/* One i8 each, or a float of a float's zero. */
static int plain_zeros(struct model_coding *c, const struct coding_bytes *p, size_t n,
		       struct err *e)
{
	unsigned bits = c->form == CODE_FIELDS ? c->bits : 8;
	int most = (1 << (bits - 1)) - 1;
	for (size_t i = 0; i < n; i++) {
		if (p->tensor->dtype == MODEL_I8)
			c->zero[i] = (float)(signed char)p->bytes[i];
		else
			model_dtype_widen(p->tensor->dtype,
					  p->bytes + i * model_dtype_bits(p->tensor->dtype) / 8, 1,
					  &c->zero[i]);
		if (!(c->zero[i] >= (float)(-most - 1) && c->zero[i] <= (float)most))
			return bad(p, e, i, (double)c->zero[i],
				   "a zero point outside the codes' range");
	}
	return 0;
}

static int zeros_open(struct model_coding *c, const struct coding_bytes *p, struct err *e)
{
	size_t n = (size_t)row_blocks(c) * c->groups;
	c->zero = calloc(n + 1, sizeof *c->zero);
	if (!c->zero)
		return err_set(e, ERR_NOMEM, "tensor %s", p->tensor->name);
	if (c->form == CODE_GPTQ)
		gptq_zeros(c, p);
	else if (c->form == CODE_AWQ)
		awq_zeros(c, p);
	else if (p->tensor->dtype == MODEL_I32)
		field_zeros(c, p);
	else
		return plain_zeros(c, p, n, e);
	return 0;
}

/* ---- groups ---- */

/* Which group a column belongs to; not kept where they lie one after another. All -1: they were
 * never given. */
static int groups_open(struct model_coding *c, const struct coding_bytes *p, struct err *e)
{
	bool none = true, ordered = true;
	c->group_of = malloc(((size_t)c->columns + 1) * sizeof *c->group_of);
	if (!c->group_of)
		return err_set(e, ERR_NOMEM, "tensor %s", p->tensor->name);
	for (uint32_t k = 0; k < c->columns; k++)
		none = none && integer_at(p, k) == -1;
	for (uint32_t k = 0; k < c->columns; k++) {
		int64_t g = none ? k / c->block_columns : integer_at(p, k);
		if (g < 0 || g >= c->groups)
			return bad(p, e, k, (double)g, "no such group");
		c->group_of[k] = (uint32_t)g;
		ordered = ordered && c->group_of[k] == k / c->block_columns;
	}
	if (ordered) {
		free(c->group_of);
		c->group_of = NULL;
	}
	return 0;
}

static int shape_check(const struct model_coding *c, const struct coding_bytes *p, struct err *e)
{
	const uint32_t want[2] = { c->rows, c->columns };
	for (size_t i = 0; i < 2; i++)
		if (integer_at(p, i) != want[i])
			return err_set(e, ERR_INPUT, "%s: tensor %s has %lld at %zu, not %u",
				       p->tensor->file, p->tensor->name,
				       (long long)integer_at(p, i), i, want[i]);
	return 0;
}

/* ---- tables of 4 bits ---- */

/* The text that tells what the codes were made from. */
struct table_state {
	json_int_t block, nested_block, rows, columns;
	double offset;
};

static int state_read(const struct coding_bytes *p, bool nested, struct table_state *s,
		      struct err *e)
{
	json_t *root = NULL;
	int rc = json_read_as(&root, (const char *)p->bytes, p->tensor->bytes, LIMIT_JSON_BYTES,
			      LIMIT_JSON_DEPTH, JSON_PYTHON, e);
	if (rc < 0)
		return err_prefix(e, "%s: tensor %s", p->tensor->file, p->tensor->name);
	const json_t *shape = json_object_get(root, "shape");
	s->block = json_integer_value(json_object_get(root, "blocksize"));
	s->nested_block = json_integer_value(json_object_get(root, "nested_blocksize"));
	s->offset = json_number_value(json_object_get(root, "nested_offset"));
	s->rows = json_integer_value(json_array_get(shape, 0));
	s->columns = json_integer_value(json_array_get(shape, 1));
	bool two = json_array_size(shape) == 2;
	json_decref(root);
	if (s->block < 1 || s->block > 1 << 20)
		rc = err_set(e, ERR_INPUT, "%s: tensor %s: blocksize %lld", p->tensor->file,
			     p->tensor->name, (long long)s->block);
	else if (nested && (s->nested_block < 1 || s->nested_block > 1 << 20))
		rc = err_set(e, ERR_INPUT, "%s: tensor %s: nested_blocksize %lld", p->tensor->file,
			     p->tensor->name, (long long)s->nested_block);
	else if (!two)
		rc = err_set(e, ERR_INPUT, "%s: tensor %s: shape is not of two numbers",
			     p->tensor->file, p->tensor->name);
	return rc;
}

int model_coding_table_shape(const struct coding_bytes *p, uint32_t *rows, uint32_t *columns,
			     struct err *e)
{
	struct table_state s = { 0 };
	TRY(state_read(p, false, &s, e));
	if (s.rows < 1 || s.columns < 1 || s.rows > UINT32_MAX || s.columns > UINT32_MAX)
		return err_set(e, ERR_INPUT, "%s: tensor %s: shape [%lld, %lld]", p->tensor->file,
			       p->tensor->name, (long long)s.rows, (long long)s.columns);
	*rows = (uint32_t)s.rows;
	*columns = (uint32_t)s.columns;
	return 0;
}

static int many(const struct coding_bytes *p, uint64_t want, struct err *e)
{
	return count_of(p) == want
		       ? 0
		       : err_set(e, ERR_INPUT, "%s: tensor %s has %llu values, not %llu",
				 p->tensor->file, p->tensor->name, (unsigned long long)count_of(p),
				 (unsigned long long)want);
}

/* Scales that are codes of 8 bits themselves: map[code] * scale of its block + offset, in f32. */
static int nested_scales(struct model_coding *c, const struct coding_bytes *in,
			 const struct table_state *s, struct err *e)
{
	size_t n = (size_t)count_of(&in[PART_SCALE]);
	float *map = NULL, *outer = NULL;
	int rc = many(&in[PART_NESTED], (n + (size_t)s->nested_block - 1) / (size_t)s->nested_block,
		      e);
	if (rc == 0)
		rc = floats_take(&in[PART_NESTED_MAP], &map, e);
	if (rc == 0)
		rc = floats_take(&in[PART_NESTED], &outer, e);
	c->scale = malloc((n + 1) * sizeof *c->scale);
	if (rc == 0 && !c->scale)
		rc = err_set(e, ERR_NOMEM, "tensor %s", in[PART_SCALE].tensor->name);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		c->scale[i] = map[in[PART_SCALE].bytes[i]] * outer[i / (size_t)s->nested_block];
		c->scale[i] += (float)s->offset;
		if (!number_is_finite(c->scale[i]))
			rc = bad(&in[PART_SCALE], e, i, (double)c->scale[i], "not finite");
	}
	free(map);
	free(outer);
	return rc;
}

static int table_open(struct model_coding *c, const struct coding_bytes *in, struct err *e)
{
	struct table_state s = { 0 };
	float *map = NULL;
	bool nested = in[PART_NESTED].tensor != NULL;
	uint64_t values = (uint64_t)c->rows * c->columns;
	const struct coding_bytes *state = &in[PART_STATE];
	TRY(state_read(state, nested, &s, e));
	if (s.rows != c->rows || s.columns != c->columns)
		return err_set(e, ERR_INPUT, "%s: tensor %s: shape [%lld, %lld], not [%u, %u]",
			       state->tensor->file, state->tensor->name, (long long)s.rows,
			       (long long)s.columns, c->rows, c->columns);
	c->flat = (uint32_t)s.block;
	check(c->flat > 0); /* state_read */
	TRY(many(&in[PART_SCALE], (values + c->flat - 1) / c->flat, e));
	int rc = floats_take(&in[PART_MAP], &map, e);
	if (rc == 0)
		memcpy(c->table, map, sizeof c->table);
	free(map);
	TRY(rc);
	return nested ? nested_scales(c, in, &s, e) : floats_take(&in[PART_SCALE], &c->scale, e);
}

/* ---- what blocks of their own hold ---- */

/* Zero points and groups are as the config says, so that neither is needed. */
static int narrow_check(struct model_coding *c, const struct coding_bytes *in, struct err *e)
{
	size_t n = (size_t)row_blocks(c) * c->groups;
	for (size_t i = 0; in[PART_ZERO].tensor && i < n; i++)
		if (c->zero[i] < 8 || c->zero[i] > 8)
			return bad(&in[PART_ZERO], e, i % c->groups * c->rows + i / c->groups,
				   (double)c->zero[i], "a zero point that is not 8, as sym says");
	for (uint32_t k = 0; c->group_of && k < c->columns; k++)
		if (c->group_of[k] != k / c->block_columns)
			return bad(&in[PART_GROUP], e, k, c->group_of[k],
				   "out of order, which desc_act denies");
	free(c->zero);
	free(c->group_of);
	c->zero = NULL;
	c->group_of = NULL;
	return 0;
}

/* ---- vectors that say nothing ---- */

static int nothing_check(const struct coding_bytes *p, struct err *e)
{
	float *v = NULL;
	int rc = floats_take(p, &v, e);
	for (size_t i = 0; rc == 0 && i < count_of(p); i++)
		if (v[i] < 0 || v[i] > 0)
			rc = bad(p, e, i, (double)v[i], "a bias that the model does not have");
	free(v);
	return rc;
}

/* ---- whole ---- */

int model_coding_open(struct model_coding *c, const struct coding_bytes in[CODING_PARTS],
		      struct err *e)
{
	if (c->form == CODE_TABLE)
		return table_open(c, in, e);
	if (c->form == CODE_NONE)
		return nothing_check(&in[PART_ZERO], e);
	if (in[PART_SHAPE].tensor)
		TRY(shape_check(c, &in[PART_SHAPE], e));
	if (in[PART_SCALE].tensor)
		TRY(scales_open(c, in, e));
	if (in[PART_ZERO].tensor)
		TRY(zeros_open(c, &in[PART_ZERO], e));
	if (in[PART_GROUP].tensor)
		TRY(groups_open(c, &in[PART_GROUP], e));
	return c->narrow ? narrow_check(c, in, e) : 0;
}

void model_coding_close(struct model_coding *c)
{
	free(c->scale);
	free(c->zero);
	free(c->group_of);
	c->scale = c->zero = NULL;
	c->group_of = NULL;
}
