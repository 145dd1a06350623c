#include "forks/view.h"

#include <math.h>
#include <stdlib.h>

static double token_scale(const struct sketch_part *p, uint32_t kept)
{
	double raw = 0, token = 0;

	for (uint32_t u = 0; u < kept; u++) {
		raw += (double)p->norm[u] * (double)p->norm[u];
		token += (double)p->token_norm[u] * (double)p->token_norm[u];
	}
	return token > 0 ? sqrt(raw / token) : 1;
}

/* Token vectors over these columns alone. */
static int view_restrict(struct fork_view *v, const uint8_t *column, uint32_t count, struct err *e)
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
			if (!b->part[p].token)
				continue;
			fork_sketch_restrict(&b->part[p], b->kept, column, count, out);
			v->part[i][p] = (struct view_part){ out, width, b->part[p].token_norm,
							    token_scale(&b->part[p], b->kept) };
			out += (size_t)b->kept * width;
		}
	}
	return 0;
}

static int view_open(struct fork_view *v, const struct fork_sketch *s, struct err *e)
{
	v->sketch = s;
	v->part = calloc(s->blocks + 1, sizeof *v->part);
	return v->part ? 0 : err_set(e, ERR_NOMEM, "out of memory for %zu blocks", s->blocks);
}

/* The vectors as the sketch has them. */
static void view_whole(struct fork_view *v, enum rung_view view)
{
	for (size_t i = 0; i < v->sketch->blocks; i++)
		for (uint32_t p = 0; p < v->sketch->block[i].parts; p++) {
			const struct sketch_part *from = &v->sketch->block[i].part[p];
			struct view_part *part = &v->part[i][p];

			*part = fork_view_part(from, view);
			if (view == RUNG_TOKEN && from->token)
				part->scale = token_scale(from, v->sketch->block[i].kept);
		}
}

int fork_views_open(struct fork_view *va, struct fork_view *vb, const struct fork_sketch *a,
		    const struct fork_sketch *b, enum rung_view view, struct err *e)
{
	struct fork_common c = fork_sketch_common(a, b);
	int rc;

	*va = *vb = (struct fork_view){ 0 };
	TRY_OUT(view_open(va, a, e));
	TRY_OUT(view_open(vb, b, e));
	if (view == RUNG_TOKEN && c.count < VIEW_TOKENS_MIN)
		return 0;
	if (view == RUNG_TOKEN && !c.all) {
		TRY_OUT(view_restrict(va, c.a, c.count, e));
		TRY_OUT(view_restrict(vb, c.b, c.count, e));
		return 0;
	}
	view_whole(va, view);
	view_whole(vb, view);
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
