/* Which tensors are one value: codes with what lies beside them, else each tensor by itself. */
#include "model/values_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gathering {
	struct model_values *v;
	bool *used; /* [tensors] part of a value that was found */
	struct err *e;
};

static size_t index_of(const struct gathering *g, const struct model_tensor *t)
{
	return (size_t)(t - model_tensors_at(g->v->tensors, 0));
}

/* ---- one tensor ---- */

/* Types that a row of a value is read from. */
static bool has_values(const struct model_tensor *t, uint64_t columns)
{
	switch (t->dtype) {
	case MODEL_F8_E5M2:
	case MODEL_F8_E8M0:
	case MODEL_F4:
		break;
	default:
		if (!model_dtype_is_float(t->dtype))
			return false;
	}
	return columns % model_dtype_block(t->dtype) == 0;
}

static int matrix_set(struct gathering *g, struct model_value *w)
{
	uint64_t bytes;
	w->columns = w->rank > 0 ? w->shape[w->rank - 1] : 1;
	w->rows = 1;
	for (int i = 0; i + 1 < w->rank; i++)
		w->rows *= w->shape[i];
	if (w->rows > 0 && __builtin_mul_overflow(w->columns, w->rows * sizeof(float), &bytes))
		return err_set(g->e, ERR_INPUT, "tensor %s is too large", w->name);
	return 0;
}

static int plain_add(struct gathering *g, const struct model_tensor *t)
{
	struct value_item *it = &g->v->item[g->v->count++];
	struct model_value *w = &it->value;
	*it = (struct value_item){ .matrices = 1, .stored = { t } };
	w->name = t->name;
	w->rank = t->rank;
	memcpy(w->shape, t->shape, sizeof w->shape);
	TRY(matrix_set(g, w));
	w->made = t->made;
	w->parts = 1;
	w->floats = has_values(t, w->columns);
	snprintf(w->form, sizeof w->form, "%s", model_dtype_name(t->dtype));
	return 0;
}

/* ---- codes ---- */

/* The size of blocks of which k cover n: a power of two, else all alike; 0: none. */
static uint32_t block_of(uint64_t n, uint64_t k)
{
	if (k == 1)
		return (uint32_t)n;
	for (uint32_t size = 8; k > 0 && size <= 1u << 20; size *= 2)
		if ((n + size - 1) / size == k)
			return size;
	return k > 0 && n % k == 0 ? (uint32_t)(n / k) : 0;
}

/* [..] of one matrix: scales of all, of each row, or of blocks. */
static bool blocks_guess(struct model_coding *c, const uint64_t *shape, int rank)
{
	uint64_t down = rank > 0 ? shape[0] : 1, across = rank > 1 ? shape[1] : 1;
	if (rank > 2)
		return false;
	c->block_rows = block_of(c->rows, down);
	c->block_columns = block_of(c->columns, across);
	return c->block_rows > 0 && c->block_columns > 0;
}

/* FP8 and what its scales are called. */
static const struct model_tensor *scale_of(const struct gathering *g, const struct model_tensor *t)
{
	static const char *const ends[] = { "_scale_inv", "_scale" };
	static const char *const instead[] = { "scale_weight", "scale" };
	char name[2 * LIMIT_NAME_BYTES];
	const struct model_tensor *s = NULL;
	for (size_t i = 0; !s && i < 2; i++) {
		snprintf(name, sizeof name, "%s%s", t->name, ends[i]);
		s = model_tensors_find(g->v->tensors, name);
	}
	for (size_t i = 0; !s && i < 2 && text_ends(t->name, ".weight"); i++) {
		snprintf(name, sizeof name, "%.*s%s", (int)strlen(t->name) - 6, t->name,
			 instead[i]);
		s = model_tensors_find(g->v->tensors, name);
	}
	return s;
}

/* 1: t is FP8 with scales, and was added. */
static int fp8_add(struct gathering *g, const struct model_tensor *t)
{
	const struct model_tensor *s = scale_of(g, t);
	if ((t->dtype != MODEL_F8_E4M3 && t->dtype != MODEL_F8_E5M2) || !s || t->rank < 2 ||
	    !has_values(s, 1))
		return 0;
	TRY(plain_add(g, t));
	struct value_item *it = &g->v->item[g->v->count - 1];
	struct model_value *w = &it->value;
	uint64_t rows = w->shape[w->rank - 2];
	if (rows > UINT32_MAX || w->columns > UINT32_MAX || w->rows == 0)
		return 1;
	it->coding = (struct model_coding){ .form = CODE_FLOATS,
					    .dtype = t->dtype,
					    .rows = (uint32_t)rows,
					    .columns = (uint32_t)w->columns,
					    .after = 1 };
	it->matrices = w->rows / rows;
	it->each[PART_SCALE] = w->rank == 3 && s->rank > 0 && s->shape[0] == it->matrices;
	bool each = it->each[PART_SCALE];
	if (!blocks_guess(&it->coding, s->shape + each, s->rank - each) || w->rank > 3) {
		w->floats = false;
		snprintf(w->form, sizeof w->form, "%s, scales of another shape",
			 model_dtype_name(t->dtype));
		return 1;
	}
	it->coded = true;
	it->beside[PART_SCALE] = s;
	it->stored[1] = s;
	w->parts = 2;
	g->used[index_of(g, s)] = true;
	snprintf(w->form, sizeof w->form, "%s with scales", model_dtype_name(t->dtype));
	return 1;
}

/* ---- whole ---- */

static int by_name(const void *a, const void *b)
{
	const struct value_item *x = a, *y = b;
	return strcmp(x->value.name, y->value.name);
}

static int all_add(struct gathering *g)
{
	size_t n = model_tensors_count(g->v->tensors);
	for (size_t i = 0; i < n; i++) {
		int rc = fp8_add(g, model_tensors_at(g->v->tensors, i));
		TRY(rc);
		g->used[i] = g->used[i] || rc > 0;
	}
	for (size_t i = 0; i < n; i++)
		if (!g->used[i])
			TRY(plain_add(g, model_tensors_at(g->v->tensors, i)));
	return 0;
}

int model_values_gather(struct model_values *v, const json_t *config, struct err *e)
{
	size_t n = model_tensors_count(v->tensors);
	struct gathering g = { .v = v, .e = e };
	(void)config;
	g.used = calloc(n + 1, sizeof *g.used);
	v->item = calloc(n + 1, sizeof *v->item);
	int rc = g.used && v->item ? all_add(&g) : err_set(e, ERR_NOMEM, "list of values");
	free(g.used);
	TRY(rc);
	qsort(v->item, v->count, sizeof *v->item, by_name);
	for (size_t i = 0; i < v->count; i++)
		v->item[i].value.stored = v->item[i].stored;
	return 0;
}
