#include "forks/view.h"

#include <math.h>
#include <stdlib.h>

/* Which columns of a and of b are the same tokens. */
struct columns {
	uint32_t of_a[SKETCH_TOKENS], of_b[SKETCH_TOKENS], count;
};

static void columns_find(struct columns *c, const struct fork_sketch *a,
			 const struct fork_sketch *b)
{
	uint32_t i = 0, j = 0;

	c->count = 0;
	if (a->tokens_by_id != b->tokens_by_id)
		return;
	while (i < a->tokens && j < b->tokens) {
		uint64_t x = a->token[i], y = b->token[j];

		if (x == y) {
			c->of_a[c->count] = i;
			c->of_b[c->count++] = j;
		}
		i += x <= y;
		j += y <= x;
	}
}

/* The columns of one vector, less their mean, of length 1. */
static void gather(int16_t *out, const int16_t *in, const uint32_t *column, uint32_t count)
{
	double mean = 0, squares = 0, scale;

	for (uint32_t i = 0; i < count; i++)
		mean += in[column[i]];
	mean /= count;
	for (uint32_t i = 0; i < count; i++)
		squares += (in[column[i]] - mean) * (in[column[i]] - mean);
	if (squares < count) /* no more than the rounding to fixed point */
		return;
	scale = SKETCH_ONE / sqrt(squares);
	for (uint32_t i = 0; i < count; i++)
		out[i] = (int16_t)lrint((in[column[i]] - mean) * scale);
}

static int view_gather(struct fork_view *v, const uint32_t *column, uint32_t count, struct err *e)
{
	uint32_t width = (count + 15) / 16 * 16;
	size_t rows = 0;
	int16_t *out;

	for (size_t i = 0; i < v->sketch->blocks; i++)
		rows += (size_t)v->sketch->block[i].kept * ROLE_PARTS;
	out = v->gathered = calloc(rows * width + 1, sizeof *out);
	if (!out)
		return err_set(e, ERR_NOMEM, "out of memory for the tokens in common");
	for (size_t i = 0; i < v->sketch->blocks; i++) {
		const struct sketch_block *b = &v->sketch->block[i];

		for (uint32_t p = 0; p < b->parts; p++) {
			const struct sketch_part *from = &b->part[p];

			if (!from->token || from->token_width < v->sketch->tokens)
				continue;
			v->part[i][p] = (struct view_part){ out, width };
			for (uint32_t u = 0; u < b->kept; u++, out += width)
				gather(out, from->token + (size_t)u * from->token_width, column,
				       count);
		}
	}
	return 0;
}

/* column NULL: the vectors as the sketch has them. */
static int view_open(struct fork_view *v, const struct fork_sketch *s, enum rung_view view,
		     const uint32_t *column, uint32_t count, struct err *e)
{
	v->sketch = s;
	v->part = calloc(s->blocks + 1, sizeof *v->part);
	if (!v->part)
		return err_set(e, ERR_NOMEM, "out of memory for %zu blocks", s->blocks);
	if (column)
		return count < VIEW_TOKENS_MIN ? 0 : view_gather(v, column, count, e);
	for (size_t i = 0; i < s->blocks; i++)
		for (uint32_t p = 0; p < s->block[i].parts; p++) {
			const struct sketch_part *from = &s->block[i].part[p];

			v->part[i][p] =
				view == RUNG_RAW
					? (struct view_part){ from->raw, from->raw_width }
					: (struct view_part){ from->token,
							      from->token ? from->token_width : 0 };
		}
	return 0;
}

int fork_views_open(struct fork_view *va, struct fork_view *vb, const struct fork_sketch *a,
		    const struct fork_sketch *b, enum rung_view view, struct err *e)
{
	struct columns c = { .count = 0 };
	bool some = false;
	int rc;

	*va = *vb = (struct fork_view){ 0 };
	if (view == RUNG_TOKEN) {
		columns_find(&c, a, b);
		some = c.count < VIEW_TOKENS_MIN || c.count != a->tokens || c.count != b->tokens;
	}
	TRY_OUT(view_open(va, a, view, some ? c.of_a : NULL, c.count, e));
	TRY_OUT(view_open(vb, b, view, some ? c.of_b : NULL, c.count, e));
	return 0;
out:
	fork_view_close(va);
	fork_view_close(vb);
	return rc;
}

void fork_view_close(struct fork_view *v)
{
	free(v->part);
	free(v->gathered);
	*v = (struct fork_view){ 0 };
}
