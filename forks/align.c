/* The map of blocks by aligned units: for each block of b the block of a whose units at the same
 * even places are most like its own. A pair's score is its trace less the mean of traces where the
 * units are shifted against each other, which is what it would be for units that do not answer each
 * other; the traces' spread tells whether it is more than chance. Only units at even places are
 * looked at: the order of those at odd ones is untouched evidence. */
#include "forks/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCREENED 16    /* even places that are looked at in every pair */
#define STRIP_APART 32 /* zeros behind a strip: rows a power of two apart share cache lines */
#define CLOSER 3       /* blocks of a that are then looked at whole */
#define SHIFTS 8       /* shifted traces of these */
#define SCORE_LEAST 5  /* spreads above the mean */

struct aligned {
	uint32_t a, b; /* in the sets */
	double score;  /* mean cosine above that of shifted units */
};

struct align {
	struct fork_view va, vb;
	struct match_set a, b;
	const struct match_block *usual; /* of a's set: as most are */
	int16_t *strip[2];               /* [blocks] of a's set and of b's, strips_width each */
	uint32_t strips_width;
	int32_t *screened;     /* [blocks of b's set][blocks of a's set] */
	struct aligned *best;  /* [blocks of b's set] a UINT32_MAX: none */
	bool *of_a, *of_b;     /* [blocks] paired already */
	struct rung_pair *all; /* [alls] found, repeated ones too */
	size_t alls;
	struct rung_map *map;
};

void fork_rung_free(struct rung *r)
{
	free(r->block);
	*r = (struct rung){ 0 };
}

void fork_map_free(struct rung_map *m)
{
	for (size_t i = 0; m->unit && i < m->pairs; i++)
		free(m->unit[i]);
	free(m->unit);
	free(m->pair);
	free(m->layer);
	*m = (struct rung_map){ 0 };
}

/* Even places that both have. */
static uint32_t evens(const struct match_block *a, const struct match_block *b)
{
	uint32_t first = a->of->first < b->of->first ? a->of->first : b->of->first;

	return (first + 1) / 2;
}

/* Sum of the products of every `step`-th of a's `count` units at even places with b's, `shift`
 * such places on, the last with the first. */
static int64_t shifted_trace(const struct match_block *a, const struct match_block *b,
			     uint32_t count, uint32_t step, uint32_t shift)
{
	uint32_t n = count / step;
	int64_t sum = 0;

	for (uint32_t p = 0; p < a->parts; p++) {
		const struct view_part *x = &a->part[p], *y = &b->part[p];
		struct dots_side u = { x->v, n - shift, 2 * step * x->width },
				 v = { y->v + (size_t)shift * 2 * step * y->width, n - shift,
				       2 * step * y->width };

		sum += fork_dots_trace(&u, &v, fork_view_width(x, y));
		u.v += (size_t)u.rows * u.stride;
		v.v = y->v;
		u.rows = v.rows = shift;
		sum += fork_dots_trace(&u, &v, fork_view_width(x, y));
	}
	return sum;
}

/* ---- every pair of blocks, by few units ---- */

/* The trace over some units less that of their neighbours. */
static int64_t screen_pair(const struct match_block *a, const struct match_block *b)
{
	uint32_t n = evens(a, b), step = (n + SCREENED - 1) / SCREENED;

	return shifted_trace(a, b, n, step, 0) - shifted_trace(a, b, n, step, 1);
}

/* Most blocks of a class have one shape. Their pairs are screened by one product of matrices: a row
 * of a's has the units that are looked at, of all parts one behind the other, a row of b's their
 * differences from the next. Sums of SCREENED * ROLE_PARTS products of a unit vector and such a
 * difference stay below 2^31. */
static bool same_strip(const struct match_block *x, const struct match_block *y)
{
	if (x->parts != y->parts || evens(x, x) != evens(y, y))
		return false;
	for (uint32_t p = 0; p < x->parts; p++)
		if (x->part[p].width != y->part[p].width)
			return false;
	return true;
}

static bool is_usual(const struct align *s, const struct match_block *b)
{
	return same_strip(s->usual, b);
}

static const struct match_block *find_usual(const struct match_set *set)
{
	const struct match_block *usual = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		uint32_t same = 0;

		for (uint32_t k = i; k < set->count; k++)
			same += same_strip(&set->at[i], &set->at[k]);
		if (same > most) {
			most = same;
			usual = &set->at[i];
		}
	}
	return usual;
}

/* to = x - y; sixteen numbers at a time. */
static void strip_difference(const int16_t *x, const int16_t *y, uint32_t width, int16_t *to)
{
	for (uint32_t k = 0; k < width; k += 16)
		for (uint32_t l = k; l < k + 16; l++)
			to[l] = (int16_t)(x[l] - y[l]);
}

static void strip_units(const struct match_block *b, bool differences, int16_t *to)
{
	uint32_t n = evens(b, b), step = (n + SCREENED - 1) / SCREENED, count = n / step;

	for (uint32_t p = 0; p < b->parts; p++) {
		const int16_t *v = b->part[p].v;
		uint32_t width = b->part[p].width;
		size_t apart = (size_t)2 * step * width;

		for (uint32_t i = 0; i < count; i++, to += width) {
			const int16_t *x = v + i * apart;
			if (differences)
				strip_difference(x, v + (i + 1) % count * apart, width, to);
			else
				memcpy(to, x, width * sizeof *to);
		}
	}
}

static int strips_open(struct align *s, struct err *e)
{
	const struct match_set *set[2] = { &s->a, &s->b };

	s->usual = find_usual(&s->a);
	s->strips_width = STRIP_APART;
	for (uint32_t p = 0; p < s->usual->parts; p++)
		s->strips_width += SCREENED * s->usual->part[p].width;
	s->screened = calloc((size_t)s->a.count * s->b.count, sizeof *s->screened);
	for (int i = 0; i < 2; i++) {
		s->strip[i] = calloc((size_t)set[i]->count * s->strips_width, sizeof(int16_t));
		if (!s->strip[i] || !s->screened)
			return err_set(e, ERR_NOMEM, "out of memory for %u blocks", set[i]->count);
		for (uint32_t k = 0; k < set[i]->count && evens(s->usual, s->usual) > 1; k++)
			if (is_usual(s, &set[i]->at[k]))
				strip_units(&set[i]->at[k], i == 1,
					    s->strip[i] + (size_t)k * s->strips_width);
	}
	return 0;
}

static void strips_free(struct align *s)
{
	free(s->strip[0]);
	free(s->strip[1]);
	free(s->screened);
	s->strip[0] = s->strip[1] = NULL;
	s->screened = NULL;
}

static void strips_multiply(void *ctx, struct part part)
{
	struct align *s = ctx;
	uint32_t width = s->strips_width;
	struct dots_side x = { s->strip[1] + (size_t)part.begin * width, part.end - part.begin,
			       width },
			 y = { s->strip[0], s->a.count, width };

	fork_dots(&x, &y, width, s->screened + (size_t)part.begin * s->a.count);
}

static int64_t screen(const struct align *s, uint32_t i, uint32_t j)
{
	if (evens(&s->a.at[i], &s->b.at[j]) < 2)
		return INT64_MIN;
	if (is_usual(s, &s->a.at[i]) && is_usual(s, &s->b.at[j]))
		return s->screened[(size_t)j * s->a.count + i];
	return screen_pair(&s->a.at[i], &s->b.at[j]);
}

/* ---- closer ---- */

/* Of the traces of n units whose vectors fill all dimensions: what a few shifts show may be less by
 * chance. */
static double least_variance(const struct match_block *a, const struct match_block *b, uint32_t n)
{
	double sum = 0, one = (double)SKETCH_ONE * SKETCH_ONE;

	for (uint32_t p = 0; p < a->parts; p++)
		sum += n / (double)fork_view_width(&a->part[p], &b->part[p]);
	return sum * one * one;
}

/* The score over all even places; below 0 where it is no more than chance. */
static double score(const struct match_block *a, const struct match_block *b)
{
	uint32_t n = evens(a, b), shifts = n - 1 < SHIFTS ? n - 1 : SHIFTS;
	double sum = 0, squares = 0, mean, spread, trace;

	if (n < SKETCH_UNITS_MIN / 2)
		return -1;
	for (uint32_t s = 1; s <= shifts; s++) {
		double t = (double)shifted_trace(a, b, n, 1, s * n / (shifts + 1));

		sum += t;
		squares += t * t;
	}
	mean = sum / shifts;
	spread = sqrt(fmax((squares - sum * mean) / (shifts - 1), least_variance(a, b, n)));
	trace = (double)shifted_trace(a, b, n, 1, 0) - mean;
	if (trace <= SCORE_LEAST * spread || trace <= 0)
		return -1;
	return trace / (n * a->parts) / SKETCH_ONE / SKETCH_ONE;
}

static void find_best(const struct align *s, uint32_t j, struct aligned *out)
{
	const struct match_set *a = &s->a;
	uint32_t closer[CLOSER], count = 0;
	int64_t least[CLOSER];

	for (uint32_t i = 0; i < a->count; i++) {
		int64_t v = screen(s, i, j);
		uint32_t at;

		if (count == CLOSER && v <= least[CLOSER - 1])
			continue;
		at = count < CLOSER ? count++ : CLOSER - 1;
		for (; at > 0 && least[at - 1] < v; at--) {
			least[at] = least[at - 1];
			closer[at] = closer[at - 1];
		}
		least[at] = v;
		closer[at] = i;
	}
	for (uint32_t i = 0; i < count; i++) {
		double value = score(&a->at[closer[i]], &s->b.at[j]);

		if (value > out->score) {
			out->score = value;
			out->a = closer[i];
		}
	}
}

static void align_look(void *ctx, struct part part)
{
	struct align *s = ctx;

	for (uint32_t j = part.begin; j < part.end; j++) {
		s->best[j] = (struct aligned){ .a = UINT32_MAX, .b = j };
		find_best(s, j, &s->best[j]);
	}
}

static int by_score(const void *x, const void *y)
{
	const struct aligned *p = x, *q = y;

	if (p->score != q->score)
		return p->score > q->score ? -1 : 1;
	return p->b < q->b ? -1 : p->b > q->b;
}

/* One block of b for one of a, the likest first: a test over the pairs then counts no evidence
 * twice. All that were found are kept in `all` too, for the layers. */
static void align_pair(struct align *s)
{
	struct rung_map *m = s->map;

	qsort(s->best, s->b.count, sizeof *s->best, by_score);
	for (uint32_t j = 0; j < s->b.count; j++) {
		const struct aligned *f = &s->best[j];
		struct rung_pair pair;

		if (f->a == UINT32_MAX)
			continue;
		pair = (struct rung_pair){ s->a.at[f->a].index, s->b.at[f->b].index };
		s->all[s->alls++] = pair;
		if (s->of_a[pair.a])
			continue;
		s->of_a[pair.a] = s->of_b[pair.b] = true;
		m->pair[m->pairs++] = pair;
	}
}

static int align_class(struct align *s, enum match_class c, struct pool *pool, struct err *e)
{
	TRY(fork_match_set(&s->a, &s->va, c, e));
	TRY(fork_match_set(&s->b, &s->vb, c, e));
	s->map->tried += (uint64_t)s->a.count * s->b.count;
	if (s->a.count == 0 || s->b.count == 0)
		return 0;
	TRY(strips_open(s, e));
	pool_run_in_order(pool, s->b.count, strips_multiply, s);
	pool_run_in_order(pool, s->b.count, align_look, s);
	align_pair(s);
	return 0;
}

int fork_map_layers(struct rung_map *m, const struct rung_pair *pair, size_t pairs,
		    const struct fork_sketch *a, const struct fork_sketch *b, struct err *e)
{
	size_t room = (size_t)a->layers * b->layers + 1;
	uint32_t *votes = calloc(room, sizeof *votes);

	if (!votes)
		return err_set(e, ERR_NOMEM, "out of memory for a map of %u layers", b->layers);
	for (size_t i = 0; i < pairs; i++) {
		uint32_t x = a->block[pair[i].a].layer, y = b->block[pair[i].b].layer;

		if (x < a->layers && y < b->layers)
			votes[(size_t)y * a->layers + x]++;
	}
	for (uint32_t y = 0; y < b->layers; y++) {
		uint32_t most = 0;

		m->layer[y] = -1;
		for (uint32_t x = 0; x < a->layers; x++)
			if (votes[(size_t)y * a->layers + x] > most) {
				most = votes[(size_t)y * a->layers + x];
				m->layer[y] = (int32_t)x;
			}
	}
	free(votes);
	return 0;
}

/* Blocks that nothing was found for, in layers that are known: those of equal kind and index. */
static void align_rest(struct align *s, const struct fork_sketch *a, const struct fork_sketch *b)
{
	struct rung_map *m = s->map;

	for (uint32_t j = 0; j < b->blocks; j++) {
		const struct sketch_block *y = &b->block[j];

		if (s->of_b[j] || y->component != FORK_BODY || y->layer >= m->layers ||
		    m->layer[y->layer] < 0)
			continue;
		for (uint32_t i = 0; i < a->blocks && !s->of_b[j]; i++) {
			const struct sketch_block *x = &a->block[i];

			if (s->of_a[i] || x->component != FORK_BODY || x->kind != y->kind ||
			    x->index != y->index || x->layer != (uint32_t)m->layer[y->layer])
				continue;
			s->of_a[i] = s->of_b[j] = true;
			m->pair[m->pairs++] = (struct rung_pair){ i, j };
		}
	}
}

static int by_b(const void *x, const void *y)
{
	const struct rung_pair *p = x, *q = y;

	return p->b < q->b ? -1 : p->b > q->b;
}

static int align_open(struct align *s, const struct fork_sketch *a, const struct fork_sketch *b,
		      enum rung_view view, struct err *e)
{
	struct rung_map *m = s->map;

	m->layers = b->layers;
	m->layer = calloc((size_t)b->layers + 1, sizeof *m->layer);
	m->pair = calloc(b->blocks + 1, sizeof *m->pair);
	s->best = calloc(b->blocks + 1, sizeof *s->best);
	s->all = calloc(b->blocks + 1, sizeof *s->all);
	s->of_a = calloc(a->blocks + 1, sizeof *s->of_a);
	s->of_b = calloc(b->blocks + 1, sizeof *s->of_b);
	if (!m->layer || !m->pair || !s->best || !s->all || !s->of_a || !s->of_b)
		return err_set(e, ERR_NOMEM, "out of memory for a map of %zu blocks", b->blocks);
	return fork_views_open(&s->va, &s->vb, a, b, view, e);
}

int fork_map_aligned(const struct fork_sketch *a, const struct fork_sketch *b, enum rung_view view,
		     const struct rung_how *how, struct rung_map *out, struct err *e)
{
	struct align s = { .map = out };
	int rc;

	*out = (struct rung_map){ 0 };
	TRY_OUT(align_open(&s, a, b, view, e));
	for (enum match_class c = 0; c < MATCH_CLASSES; c++) {
		rc = align_class(&s, c, how->pool, e);
		fork_match_set_free(&s.a);
		fork_match_set_free(&s.b);
		strips_free(&s);
		if (rc < 0)
			goto out;
	}
	TRY_OUT(fork_map_layers(out, s.all, s.alls, a, b, e));
	align_rest(&s, a, b);
	qsort(out->pair, out->pairs, sizeof *out->pair, by_b);
out:
	fork_view_close(&s.va);
	fork_view_close(&s.vb);
	free(s.best);
	free(s.all);
	free(s.of_a);
	free(s.of_b);
	if (rc < 0)
		fork_map_free(out);
	return rc;
}
