#include "forks/nulls.h"

#include "forks/fit.h"
#include "forks/mantel.h"
#include "forks/special.h"
#include "forks/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 4999      /* of a null pair */
#define FEW_ACROSS 12   /* pairs with blocks of another width, where the own are fewer */
#define FEW_FISHER 0.01 /* own pairs deviate below these, where they are few */
#define FEW_LEAST 0.002
#define FEW_KS 0.001
#define TABLE_HIDDEN 2048 /* the largest of the table */

const char *fork_null_reason(unsigned reason)
{
	static const char *const text[NULL_REASONS] = {
		[NULL_NO_PAIRS] = "the model has no two independent blocks of this kind and shape",
		[NULL_ONE_ORDER] = "blocks of several layers have one order of units",
		[NULL_DEVIATES] = "p-values of the model's own null pairs are not uniform",
		[NULL_NOT_TABLED] = "too few null pairs, and no table of nulls for this shape",
		[NULL_STRUCTURED] = "many blocks of this kind and shape are structured",
		[NULL_OTHERS] = "too few null pairs, and blocks of another kind deviate",
	};

	return reason < NULL_REASONS ? text[reason] : NULL;
}

const struct fork_calibration *fork_calibration_of(const struct fork_sketch *s,
						   enum fork_statistic statistic,
						   const struct sketch_block *b)
{
	for (size_t i = 0; s->calibrations && i < s->calibrations->count; i++) {
		const struct fork_calibration *c = &s->calibrations->at[i];

		if (c->statistic == statistic && c->kind == b->kind && c->units == b->units &&
		    c->hidden == b->hidden)
			return c;
	}
	return NULL;
}

bool fork_null_refuted(const struct fork_sketch *s, enum fork_statistic statistic,
		       const struct sketch_block *b)
{
	const struct fork_calibration *c = fork_calibration_of(s, statistic, b);

	if (b->unfit > BLOCK_FEW)
		return true;
	return c && !c->passed &&
	       !(c->reason && (strcmp(c->reason, fork_null_reason(NULL_NO_PAIRS)) == 0 ||
			       strcmp(c->reason, fork_null_reason(NULL_NOT_TABLED)) == 0));
}

const char *fork_null_structure(const struct fork_sketch *s, const struct sketch_block *b)
{
	static const enum null_reason structure[] = { NULL_ONE_ORDER, NULL_STRUCTURED };
	const struct fork_calibration *c = fork_calibration_of(s, FORK_S1, b);

	for (size_t i = 0; c && c->reason && i < sizeof structure / sizeof *structure; i++)
		if (strcmp(c->reason, fork_null_reason(structure[i])) == 0)
			return fork_null_reason(structure[i]);
	return NULL;
}

static double log_distance(uint64_t x, uint64_t y) { return fabs(log((double)x / (double)y)); }

const struct null_row *fork_null_row(enum fork_statistic statistic, uint32_t parts, uint64_t first,
				     uint64_t hidden)
{
	const struct null_row *best = NULL;
	double least = 0;

	if (first == 0 || hidden == 0)
		return NULL;
	for (size_t i = 0; i < fork_null_rows; i++) {
		const struct null_row *row = &fork_null_table[i];
		uint64_t h = hidden < TABLE_HIDDEN ? hidden : TABLE_HIDDEN;
		double far_units = log_distance(first, row->units),
		       far_hidden = log_distance(h, row->hidden);

		if (row->statistic != statistic || row->parts != parts ||
		    fmax(far_units, far_hidden) > log(2) + 1e-9)
			continue;
		if (best && far_units + far_hidden >= least)
			continue;
		best = row;
		least = far_units + far_hidden;
	}
	return best;
}

static void describe(double *p, size_t count, struct fork_calibration *out)
{
	uint64_t below_05 = 0, below_005 = 0;

	for (size_t i = 0; i < count; i++) {
		below_05 += p[i] < 0.05;
		below_005 += p[i] < 0.005;
	}
	out->pairs = count;
	out->ks_p = fork_special_ks_tail(fork_special_ks_distance(p, count), count);
	out->below_05 = (double)below_05 / (double)count;
	out->below_005 = (double)below_005 / (double)count;
}

void fork_null_judge(double *p, size_t count, struct fork_calibration *out)
{
	uint64_t low, high;
	double n = (double)count, below;

	out->passed = false;
	if (count == 0)
		return;
	describe(p, count, out);
	below = round(out->below_005 * n);
	fork_special_binomial_interval(count, 0.005, 0.999, &low, &high);
	out->passed = count >= NULL_PAIRS_MIN && out->ks_p > 0.01 &&
		      fabs(out->below_05 - 0.05) <= 3 * sqrt(0.05 * 0.95 / n) &&
		      below >= (double)low && below <= (double)high;
}

/* Fewer pairs than judging their distribution takes: p[count], described already, sorted. */
static bool few_deviate(const double *p, size_t count, double ks_p)
{
	double log_sum = 0, n = (double)count;

	for (size_t i = 0; i < count; i++)
		log_sum += log(p[i]);
	return fork_special_chi_square_log_tail(-2 * log_sum, 2 * n) < log(FEW_FISHER) ||
	       n * p[0] < FEW_LEAST || ks_p < FEW_KS;
}

/* ---- null pairs of one kind and shape ---- */

struct null_pair {
	uint32_t moved, still; /* blocks; the same: even units against their neighbours */
};

struct null_group {
	const struct fork_sketch *s;
	const struct sketch_block *like;
	uint32_t *member; /* [members] fit blocks, one of each cluster */
	size_t members;
	struct null_pair pair[NULL_PAIRS];
	size_t pairs, aligned; /* aligned: how many are of two blocks */
	bool one_order, structured;
};

static bool is_like(const struct sketch_block *a, const struct sketch_block *b)
{
	return a->kind == b->kind && a->units == b->units && a->hidden == b->hidden;
}

/* How many layers the fit blocks like g->like are in: of one cluster, or of all. */
static uint32_t count_layers(const struct null_group *g, uint32_t cluster)
{
	uint32_t count = 0, last = UINT32_MAX;

	for (size_t i = 0; i < g->s->blocks; i++) {
		const struct sketch_block *b = &g->s->block[i];

		if (!is_like(b, g->like) || b->unfit || b->layer == last ||
		    (cluster != UINT32_MAX && b->cluster != cluster))
			continue;
		count++;
		last = b->layer;
	}
	return count;
}

/* A cluster over a third of the layers is a structure that initialisation gave them: a repeated
 * layer is in two or three. */
static void collect_members(struct null_group *g)
{
	uint32_t layers = count_layers(g, UINT32_MAX), all = 0, structured = 0;

	for (size_t i = 0; i < g->s->blocks; i++)
		if (is_like(&g->s->block[i], g->like)) {
			all++;
			structured += g->s->block[i].unfit > BLOCK_FEW;
		}
	g->structured = structured * 4 > all;

	for (size_t i = 0; i < g->s->blocks; i++) {
		const struct sketch_block *b = &g->s->block[i];
		bool known = !is_like(b, g->like) || b->unfit;
		uint32_t span;

		for (size_t k = 0; !known && k < g->members; k++)
			known = g->s->block[g->member[k]].cluster == b->cluster;
		if (known)
			continue;
		g->member[g->members++] = (uint32_t)i;
		span = count_layers(g, b->cluster);
		g->one_order = g->one_order || (span > 1 && span * 3 > layers);
	}
}

static void add_pair(struct null_group *g, uint32_t moved, uint32_t still)
{
	if (g->pairs < NULL_PAIRS)
		g->pair[g->pairs++] = (struct null_pair){ moved, still };
}

/* Pairs of members, near ones in the list first, so that each is in about as many. */
static void collect_aligned(struct null_group *g, bool of_one_layer)
{
	for (size_t far = 1; far < g->members && g->pairs < NULL_PAIRS; far++)
		for (size_t i = 0; i + far < g->members; i++) {
			uint32_t x = g->member[i], y = g->member[i + far];

			if ((g->s->block[x].layer == g->s->block[y].layer) == of_one_layer)
				add_pair(g, i % 2 ? x : y, i % 2 ? y : x);
		}
}

/* Blocks of other widths, where there are few of this one: the order of units is as free there. */
static void collect_across(struct null_group *g)
{
	size_t end = g->pairs + FEW_ACROSS;

	for (size_t k = 0; k < g->members; k++)
		for (size_t i = 0; i < g->s->blocks && g->pairs < end; i++) {
			const struct sketch_block *b = &g->s->block[i];

			if (!b->unfit && b->kind == g->like->kind && b->hidden == g->like->hidden &&
			    b->units != g->like->units && b->parts == g->like->parts &&
			    b->cluster != g->s->block[g->member[k]].cluster)
				add_pair(g, g->member[k], (uint32_t)i);
		}
}

static void collect_pairs(struct null_group *g, enum fork_statistic statistic)
{
	g->pairs = 0;
	collect_aligned(g, false);
	collect_aligned(g, true);
	if (g->pairs < FEW_ACROSS)
		collect_across(g);
	g->aligned = g->pairs;
	for (size_t k = 0; statistic != FORK_S2 && g->aligned < NULL_PAIRS_MIN && k < g->members;
	     k++)
		add_pair(g, g->member[k], g->member[k]);
}

/* ---- their p-values ---- */

union null_room {
	struct trace trace;
	struct mantel mantel;
};

struct null_scores {
	const struct null_group *g;
	enum fork_statistic statistic;
	uint64_t seed;
	uint32_t stream;       /* of the first pair */
	union null_room *room; /* [threads] */
	double *p;             /* [pairs]; negative: nothing to test */
};

/* Uniform where the null hypothesis holds: a sequential p is one of few numbers, and this is drawn
 * between it and the next smaller one. */
static double smoothed(struct trace_p p, uint64_t seed, uint32_t stream)
{
	struct philox g = philox_open(seed, PHILOX_TIES, stream, 0);
	double share = (double)(philox_next(&g) >> 11) * 0x1p-53, n = (double)p.draws, low, high;

	low = p.hits / (n + 1);
	high = p.hits == TRACE_HITS ? p.hits / n : (p.hits + 1) / (n + 1);
	return high - share * (high - low);
}

static double trace_score(const struct null_scores *n, const struct null_pair *pair,
			  uint32_t stream, struct trace *t)
{
	enum rung_view view = n->statistic == FORK_S5 ? RUNG_TOKEN : RUNG_RAW;
	const struct sketch_block *blocks = n->g->s->block;
	struct trace_side moved = fork_trace_side(&blocks[pair->moved], view),
			  still = fork_trace_side(&blocks[pair->still], view);
	struct sketch_block shorter = blocks[pair->still];
	bool neighbours = pair->moved == pair->still;

	/* Without its first unit each unit is at its neighbour's place. */
	for (uint32_t p = 0; neighbours && p < shorter.parts; p++)
		if (still.part[p].width > 0) {
			still.part[p].v += still.part[p].width;
			still.part[p].norm++;
		}
	shorter.first -= neighbours;
	still.block = &shorter;
	fork_trace_fill(t, &moved, &still, neighbours ? RUNG_EVEN : RUNG_ALL);
	if (t->units == 0 || t->constant)
		return -1;
	return smoothed(fork_trace_draw(t, n->seed, PHILOX_NULL + view, stream, DRAWS), n->seed,
			stream);
}

static double mantel_score(const struct null_scores *n, const struct null_pair *pair,
			   uint32_t stream, struct mantel *m)
{
	fork_mantel_fill(m, &n->g->s->block[pair->moved], &n->g->s->block[pair->still]);
	if (m->units == 0 || m->constant)
		return -1;
	return smoothed(fork_mantel_draw(m, n->seed, PHILOX_NULL + 2, stream, DRAWS), n->seed,
			stream);
}

static void score_work(void *ctx, struct part part)
{
	struct null_scores *n = ctx;

	for (uint32_t i = part.begin; i < part.end; i++) {
		union null_room *room = &n->room[part.worker];
		uint32_t stream = n->stream + i;

		n->p[i] = n->statistic == FORK_S2
				  ? mantel_score(n, &n->g->pair[i], stream, &room->mantel)
				  : trace_score(n, &n->g->pair[i], stream, &room->trace);
	}
}

/* ---- calibrations ---- */

/* By the model's own p[count], sorted here. */
static enum null_reason conclude(const struct null_group *g, double *p, size_t count,
				 struct fork_calibration *out)
{
	const struct null_row *row =
		fork_null_row(out->statistic, g->like->parts, g->like->first, out->hidden);

	if (g->structured)
		return NULL_STRUCTURED;
	if (g->one_order)
		return NULL_ONE_ORDER;
	if (g->aligned == 0 || count == 0)
		return NULL_NO_PAIRS;
	fork_null_judge(p, count, out);
	if (count >= NULL_PAIRS_MIN)
		return out->passed ? NULL_PASSED : NULL_DEVIATES;
	if (few_deviate(p, count, out->ks_p))
		return NULL_DEVIATES;
	if (!row)
		return NULL_NOT_TABLED;
	out->table_pairs = row->pairs;
	out->passed = true;
	return NULL_PASSED;
}

/* The pairs' p-values to n->p; returns how many have one. */
static size_t score_pairs(struct null_group *g, struct null_scores *n, struct pool *pool)
{
	size_t count = 0;

	collect_pairs(g, n->statistic);
	if (g->one_order || g->structured)
		g->pairs = 0;
	pool_run_in_order(pool, (uint32_t)g->pairs, score_work, n);
	for (size_t i = 0; i < g->pairs; i++)
		if (n->p[i] >= 0)
			n->p[count++] = n->p[i];
	n->stream += (uint32_t)g->pairs;
	return count;
}

static void calibrate_group(struct null_group *g, struct null_scores *n, struct pool *pool,
			    struct fork_calibration *out)
{
	size_t count = score_pairs(g, n, pool);

	*out = (struct fork_calibration){ .statistic = n->statistic,
					  .kind = g->like->kind,
					  .units = g->like->units,
					  .hidden = g->like->hidden,
					  .seed = n->seed };
	out->reason = fork_null_reason(conclude(g, n->p, count, out));
}

/* Whether a block before it has its kind and shape. */
static bool is_known(const struct fork_sketch *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_like(&s->block[k], &s->block[i]))
			return true;
	return false;
}

static int by_shape(const void *x, const void *y)
{
	const struct fork_calibration *a = x, *b = y;
	const uint64_t key[][2] = { { a->statistic, b->statistic },
				    { a->kind, b->kind },
				    { a->units, b->units },
				    { a->hidden, b->hidden } };

	for (size_t k = 0; k < sizeof key / sizeof *key; k++)
		if (key[k][0] != key[k][1])
			return key[k][0] < key[k][1] ? -1 : 1;
	return 0;
}

static void calibrate_shape(struct null_group *g, struct null_scores *n, struct pool *pool,
			    struct fork_calibrations *out)
{
	static const enum fork_statistic statistic[] = { FORK_S1, FORK_S5, FORK_S2 };

	g->members = 0;
	g->one_order = g->structured = false;
	collect_members(g);
	for (size_t k = 0; k < sizeof statistic / sizeof *statistic; k++) {
		n->statistic = statistic[k];
		if (statistic[k] != FORK_S5 || g->s->tokens > 0)
			calibrate_group(g, n, pool, &out->at[out->count++]);
	}
}

static bool is_refuted(const struct fork_calibration *c)
{
	return c->reason == fork_null_reason(NULL_STRUCTURED) ||
	       c->reason == fork_null_reason(NULL_ONE_ORDER) ||
	       (c->reason == fork_null_reason(NULL_DEVIATES) && c->pairs >= NULL_PAIRS_MIN &&
		c->ks_p < FEW_KS);
}

/* The table is of models whose weights began as independent numbers. It stands for no kind with few
 * pairs of its own where another kind of the same model shows that they did not. */
static void take_back_tabled(struct fork_calibrations *all)
{
	for (size_t i = 0; i < all->count; i++)
		for (size_t k = 0; all->at[i].table_pairs > 0 && k < all->count; k++)
			if (all->at[k].statistic == all->at[i].statistic &&
			    is_refuted(&all->at[k])) {
				all->at[i].table_pairs = 0;
				all->at[i].passed = false;
				all->at[i].reason = fork_null_reason(NULL_OTHERS);
			}
}

static int calibrate_all(struct fork_sketch *s, struct null_group *g, struct null_scores *n,
			 struct pool *pool, struct err *e)
{
	struct fork_calibrations *all = arena_alloc(&s->arena, sizeof *all);
	size_t shapes = 0;

	for (size_t i = 0; i < s->blocks; i++)
		shapes += !is_known(s, i);
	if (all)
		all->at = arena_array(&s->arena, shapes * 3 + 1, sizeof *all->at);
	if (!all || !all->at)
		return err_set(e, ERR_NOMEM, "out of memory for %zu calibrations", shapes * 3);
	for (size_t i = 0; i < s->blocks; i++)
		if (!is_known(s, i)) {
			g->like = &s->block[i];
			calibrate_shape(g, n, pool, all);
		}
	take_back_tabled(all);
	qsort(all->at, all->count, sizeof *all->at, by_shape);
	s->calibrations = all;
	return 0;
}

static void null_close(struct null_group *g, struct null_scores *n)
{
	if (g)
		free(g->member);
	free(g);
	free(n->room);
	free(n->p);
}

static int null_open(struct null_group **out, struct null_scores *n, const struct fork_sketch *s,
		     uint64_t seed, struct pool *pool, struct err *e)
{
	struct null_group *g = calloc(1, sizeof *g);

	*out = g;
	*n = (struct null_scores){ .g = g, .seed = seed };
	n->room = calloc(pool_threads(pool), sizeof *n->room);
	n->p = calloc(NULL_PAIRS, sizeof *n->p);
	if (g)
		g->member = calloc(s->blocks + 1, sizeof *g->member);
	if (!g || !g->member || !n->room || !n->p)
		return err_set(e, ERR_NOMEM, "out of memory for the null pairs of a model");
	g->s = s;
	return 0;
}

int fork_null_scores(const struct fork_sketch *s, const struct sketch_block *like,
		     enum fork_statistic statistic, uint64_t seed, struct pool *pool, double **p,
		     size_t *count, struct err *e)
{
	struct null_group *g;
	struct null_scores n;
	int rc = null_open(&g, &n, s, seed, pool, e);

	*p = NULL;
	*count = 0;
	if (rc == 0) {
		g->like = like;
		n.statistic = statistic;
		collect_members(g);
		*count = score_pairs(g, &n, pool);
		*p = n.p;
		n.p = NULL;
	}
	null_close(g, &n);
	return rc;
}

int fork_sketch_calibrate(struct fork_sketch *s, uint64_t seed, struct pool *pool, struct err *e)
{
	struct null_group *g;
	struct null_scores n;
	int rc = null_open(&g, &n, s, seed, pool, e);

	if (rc == 0)
		rc = fork_fit_blocks(s, seed, pool, e);
	if (rc == 0)
		rc = calibrate_all(s, g, &n, pool, e);
	null_close(g, &n);
	return rc;
}
