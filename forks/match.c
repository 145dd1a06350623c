#include "forks/match.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY UINT16_MAX
#define SAMPLED 8      /* units that are looked for in a block before all are */
#define PROBE_WIDTH 64 /* numbers of a vector that are enough to probe by */
#define PROBES_MAX 2
#define PROBE_BLOCKS 2             /* blocks that a probe may name */
#define ALL_BLOCKS 4               /* as many are looked at without probes, */
#define ALL_PAIRS 2048             /* or so many pairs of both models */
#define PROBE_PRODUCTS 5000000000u /* a tenth of a second on a core */

static bool class_fits(const struct sketch_block *b, uint32_t parts, enum match_class c)
{
	switch (c) {
	case MATCH_MLP3:
		return b->kind != FORK_ATTENTION && parts == 3;
	case MATCH_MLP2:
		return b->kind != FORK_ATTENTION && parts == 2;
	default:
		return b->kind == FORK_ATTENTION && parts == 2;
	}
}

struct ranked {
	double product;
	uint16_t unit;
};

static int by_product(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->product != y->product)
		return x->product > y->product ? -1 : 1;
	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static int block_rank(struct match_block *m, struct arena *arena)
{
	struct ranked r[SKETCH_UNITS];

	m->rank = arena_array(arena, m->of->kept, sizeof *m->rank);
	if (!m->rank)
		return ERR_NOMEM;
	for (uint32_t u = 0; u < m->of->kept; u++) {
		double product = 1;

		for (uint32_t p = 0; p < m->parts; p++)
			product *= (double)m->part[p].norm[u];
		if (product > 0)
			r[m->live++] = (struct ranked){ product, (uint16_t)u };
	}
	qsort(r, m->live, sizeof *r, by_product);
	for (uint32_t i = 0; i < m->live; i++)
		m->rank[i] = r[i].unit;
	return 0;
}

/* Whether the block is of the class; *m then describes it. */
static bool block_take(struct match_block *m, const struct fork_view *v, uint32_t i,
		       enum match_class c)
{
	const struct sketch_block *b = &v->sketch->block[i];

	*m = (struct match_block){ .index = i, .of = b };
	if (b->component != FORK_BODY || b->kept == 0 || b->kept > SKETCH_UNITS)
		return false;
	for (uint32_t p = 0; p < b->parts; p++)
		if (v->part[i][p].width > 0)
			m->part[m->parts++] = v->part[i][p];
	return class_fits(b, m->parts, c);
}

int fork_match_set(struct match_set *out, const struct fork_view *v, enum match_class c,
		   struct err *e)
{
	uint32_t last = UINT32_MAX;

	*out = (struct match_set){ 0 };
	out->at = arena_array(&out->arena, v->sketch->blocks + 1, sizeof *out->at);
	for (uint32_t i = 0; out->at && i < v->sketch->blocks; i++) {
		bool taken = block_take(&out->at[out->count], v, i, c);

		out->layers += taken && v->sketch->block[i].layer != last;
		last = taken ? v->sketch->block[i].layer : last;
		out->count += taken;
	}
	return out->at ? 0 : err_set(e, ERR_NOMEM, "out of memory for blocks");
}

int fork_match_rank(struct match_set *s, struct err *e)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (block_rank(&s->at[i], &s->arena) < 0)
			return err_set(e, ERR_NOMEM, "out of memory for %u blocks", s->count);
	return 0;
}

void fork_match_set_free(struct match_set *s)
{
	arena_free(&s->arena);
	*s = (struct match_set){ 0 };
}

int fork_match_rooms(struct match_room **out, const struct pool *pool, uint32_t blocks,
		     struct err *e)
{
	unsigned n = pool_threads(pool);
	bool good;

	*out = calloc(n, sizeof **out);
	good = *out != NULL;
	for (unsigned i = 0; good && i < n; i++) {
		struct match_room *r = &(*out)[i];

		for (uint32_t p = 0; p < ROLE_PARTS; p++)
			good &= (r->sum[p] = malloc(sizeof(int32_t) * SKETCH_UNITS *
						    SKETCH_UNITS)) != NULL;
		r->gathered = calloc((size_t)SAMPLED * SKETCH_RAW, sizeof *r->gathered);
		r->hit = calloc(blocks + 1, sizeof *r->hit);
		r->probed = calloc(blocks + 1, sizeof *r->probed);
		r->near = calloc((size_t)blocks + 1, PROBES_MAX * sizeof *r->near);
		good &= r->gathered && r->hit && r->probed && r->near;
	}
	if (good)
		return 0;
	fork_match_rooms_free(*out, pool);
	*out = NULL;
	return err_set(e, ERR_NOMEM, "out of memory for matching %u blocks", blocks);
}

void fork_match_rooms_free(struct match_room *r, const struct pool *pool)
{
	for (unsigned i = 0; r && i < pool_threads(pool); i++) {
		for (uint32_t p = 0; p < ROLE_PARTS; p++)
			free(r[i].sum[p]);
		free(r[i].gathered);
		free(r[i].hit);
		free(r[i].probed);
		free(r[i].near);
	}
	free(r);
}

static inline int32_t magnitude(int32_t v) { return v < 0 ? (v == INT32_MIN ? INT32_MAX : -v) : v; }

/* Of sums [rows][columns]: where each row and each column has its only largest magnitude. */
static void nearest(const int32_t *sum, uint32_t rows, uint32_t columns, uint16_t *row,
		    uint16_t *column)
{
	int32_t best[SKETCH_UNITS] = { 0 };

	for (uint32_t i = 0; i < columns; i++)
		column[i] = NOBODY;
	for (uint32_t j = 0; j < rows; j++) {
		int32_t most = 0;

		row[j] = NOBODY;
		for (uint32_t i = 0; i < columns; i++) {
			int32_t m = magnitude(sum[(size_t)j * columns + i]);

			if (m >= most) {
				row[j] = m > most ? (uint16_t)i : NOBODY;
				most = m;
			}
			if (m >= best[i]) {
				column[i] = m > best[i] ? (uint16_t)j : NOBODY;
				best[i] = m;
			}
		}
	}
}

static struct dots_side side_of(const struct view_part *p, uint32_t rows)
{
	return (struct dots_side){ p->v, rows, p->width };
}

static void match_parts(struct match_room *r, const struct match_block *a,
			const struct match_block *b)
{
	for (uint32_t p = 0; p < a->parts; p++) {
		struct dots_side x = side_of(&b->part[p], b->of->kept),
				 y = side_of(&a->part[p], a->of->kept);

		fork_dots(&x, &y, fork_view_width(&a->part[p], &b->part[p]), r->sum[p]);
		nearest(r->sum[p], x.rows, y.rows, r->row[p], r->column[p]);
	}
}

/* Whether the signs at (unit of b, unit of a) fit: `at` in the sums. */
static bool signs_fit(const struct match_room *r, uint32_t parts, size_t at)
{
	if (parts == 3 && r->sum[0][at] < 0)
		return false;
	return (r->sum[parts - 2][at] < 0) == (r->sum[parts - 1][at] < 0);
}

uint32_t fork_match_count(struct match_room *r, const struct match_block *a,
			  const struct match_block *b)
{
	uint32_t count = 0;

	match_parts(r, a, b);
	for (uint32_t j = 0; j < b->of->kept; j++) {
		uint32_t i = r->row[0][j], p = 0;

		while (p < a->parts && i != NOBODY && r->row[p][j] == i && r->column[p][i] == j)
			p++;
		count += p == a->parts && signs_fit(r, p, (size_t)j * a->of->kept + i);
	}
	return count;
}

void fork_match_units(struct match_room *r, const struct match_block *a,
		      const struct match_block *b, uint32_t *unit)
{
	uint32_t rows = b->of->kept, columns = a->of->kept;
	uint16_t row[SKETCH_UNITS], column[SKETCH_UNITS];

	match_parts(r, a, b);
	for (size_t at = 0; at < (size_t)rows * columns; at++) {
		bool fit = signs_fit(r, a->parts, at);
		int64_t all = 0;

		for (uint32_t p = 0; p < a->parts; p++)
			all += magnitude(r->sum[p][at]);
		r->sum[0][at] = fit ? (int32_t)(all / ROLE_PARTS) : 0;
	}
	nearest(r->sum[0], rows, columns, row, column);
	for (uint32_t j = 0; j < rows; j++) {
		uint32_t alone = 0;

		unit[j] = UINT32_MAX;
		if (row[j] == NOBODY || column[row[j]] != j)
			continue;
		for (uint32_t p = 0; p < a->parts; p++)
			alone += r->row[p][j] == row[j];
		if (alone >= 2)
			unit[j] = row[j];
	}
}

/* Which of b's units are asked: every `step`-th by rank. */
static uint32_t asked(const struct match_block *b, uint32_t i, uint32_t of)
{
	return b->rank[(uint64_t)i * b->live / of];
}

static struct dots_side gather_asked(struct match_room *r, const struct match_block *b, uint32_t p,
				     uint32_t count, uint32_t of)
{
	uint32_t width = b->part[p].width < SKETCH_RAW ? b->part[p].width : SKETCH_RAW;

	for (uint32_t i = 0; i < count; i++)
		memcpy(r->gathered + (size_t)i * width,
		       b->part[p].v + (size_t)asked(b, i, of) * b->part[p].width,
		       width * sizeof *r->gathered);
	return (struct dots_side){ r->gathered, count, width };
}

/* Whether some of b's units have the same nearest unit of a by each part: most blocks are done with
 * after two parts. */
static bool sample_finds(struct match_room *r, const struct match_block *a,
			 const struct match_block *b)
{
	uint32_t count = b->live < SAMPLED ? b->live : SAMPLED, least = a->parts == 3 ? 1 : 2,
		 found = count;

	for (uint32_t p = 0; p < a->parts && found >= least; p++) {
		struct dots_side x = gather_asked(r, b, p, count, count),
				 y = side_of(&a->part[p], a->of->kept);
		uint32_t width = x.stride < y.stride ? x.stride : y.stride;

		fork_dots(&x, &y, width, r->sum[p]);
		found = 0;
		for (uint32_t i = 0; i < count; i++) {
			uint16_t at =
				(uint16_t)fork_dots_largest(r->sum[p] + (size_t)i * y.rows, y.rows);

			if (p > 0 && r->row[0][i] != at)
				at = NOBODY;
			r->row[0][i] = at;
			found += at != NOBODY;
		}
	}
	return found >= least;
}

/* Mark in r->probed the blocks of a with the units nearest to some of b's by the first part. */
static void probe(struct match_room *r, const struct match_set *a, uint32_t skip,
		  const struct match_block *b, uint32_t probes)
{
	struct dots_side x = gather_asked(r, b, 0, probes, 2 * probes);

	for (uint32_t i = 0; i < a->count; i++) {
		struct dots_side y = side_of(&a->at[i].part[0], a->at[i].of->kept);
		uint32_t width = x.stride < y.stride ? x.stride : y.stride;

		fork_dots(&x, &y, width < PROBE_WIDTH ? width : PROBE_WIDTH, r->sum[0]);
		for (uint32_t k = 0; k < probes; k++) {
			const int32_t *s = r->sum[0] + (size_t)k * y.rows;

			r->near[(size_t)k * a->count + i] =
				i == skip ? -1 : magnitude(s[fork_dots_largest(s, y.rows)]);
		}
	}
	for (uint32_t k = 0; k < probes; k++)
		for (uint32_t n = 0; n < PROBE_BLOCKS && n < a->count; n++) {
			int32_t *s = r->near + (size_t)k * a->count;
			uint32_t at = 0;

			for (uint32_t i = 1; i < a->count; i++)
				at = s[i] > s[at] ? i : at;
			r->probed[at] |= s[at] > 0;
			s[at] = -1;
		}
}

uint32_t fork_match_probes(const struct match_set *a, const struct match_set *b)
{
	uint64_t units = 1, most;

	if (a->count <= ALL_BLOCKS || (uint64_t)a->count * b->count <= ALL_PAIRS)
		return 0;
	for (uint32_t i = 0; i < a->count; i++)
		units += a->at[i].of->kept;
	most = PROBE_PRODUCTS / (units * PROBE_WIDTH * (b->count + 1u));
	return most < 1 ? 1 : most > PROBES_MAX ? PROBES_MAX : (uint32_t)most;
}

void fork_match_search(struct match_room *r, const struct match_set *a, uint32_t skip,
		       const struct match_block *b, uint32_t probes)
{
	r->hits = 0;
	if (b->live < 2)
		return;
	for (uint32_t i = 0; i < a->count; i++)
		r->probed[i] = probes == 0 && i != skip;
	if (probes > 0)
		probe(r, a, skip, b, probes);
	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t agree;

		if (!r->probed[i] || !sample_finds(r, &a->at[i], b))
			continue;
		agree = fork_match_count(r, &a->at[i], b);
		if (agree > 0)
			r->hit[r->hits++] = (struct match_hit){ i, agree };
	}
}
