/* The exact rungs: S1 and S5 (forks/trace.h), S2 (forks/mantel.h) over pairs of blocks.
 *
 * Of each pair one block's units are permuted: a's, if a's own calibration for that kind and shape
 * passed and the block is fit; where a says too little (a single block, too few units), b's, if b's
 * did; else the pair is not judged. One side whose order is exchangeable makes the test exact
 * whatever the other side is. So a suspect b cannot spoil its blocks until no p may be stated: a's
 * calibration alone is asked first. Where a's blocks show structure b is not asked: what a has by
 * its initialisation b may have by the same, and have passed by chance. */
#include "forks/combine.h"
#include "forks/fit.h"
#include "forks/mantel.h"
#include "forks/nulls.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXTENDED_MAX (1u << 20) /* draws for one block: a second */
#define HALVES 3

union exact_room {
	struct trace trace;
	struct mantel mantel;
};

struct exact {
	const struct fork_sketch *a, *b;
	enum fork_statistic statistic;
	const struct rung_how *how;
	struct fork_view view[2]; /* of a, of b; S2 needs none */
	enum rung_half half;
	enum philox_domain domain;
	uint32_t draws; /* of a block, at most */
	struct rung *out;
	union exact_room *room; /* [threads] */
	uint32_t *hits;         /* [blocks] */
	uint32_t *group;        /* [blocks] whose order is permuted: forks/combine.h */
};

/* Why the order of this block's units is no null hypothesis; NULL: it is one. */
static const char *refuse_side(const struct fork_sketch *s, const struct sketch_block *b,
			       enum fork_statistic statistic)
{
	const struct fork_calibration *c = fork_calibration_of(s, statistic, b);

	if (b->unfit)
		return fork_unfit_reason(b->unfit);
	if (!c)
		return "not calibrated for blocks of this kind and shape";
	return c->passed ? NULL : c->reason ? c->reason : "its calibration did not pass";
}

/* The block of a (of b: which 1) of pair i, in the rung's view. */
static struct trace_side exact_side(const struct exact *x, uint32_t i, int which)
{
	uint32_t at = which ? x->out->block[i].pair.b : x->out->block[i].pair.a;
	struct trace_side side = { .block = &(which ? x->b : x->a)->block[at] };

	if (x->view[which].part)
		memcpy(side.part, x->view[which].part[at], sizeof side.part);
	return side;
}

static struct trace_p exact_test(const struct exact *x, bool swapped, uint32_t i, uint32_t most,
				 union exact_room *room)
{
	struct rung_block *r = &x->out->block[i];
	struct trace_side moved = exact_side(x, i, swapped), still = exact_side(x, i, !swapped);
	struct trace_p p = { 0 };
	uint32_t units;
	bool constant;

	if (x->statistic == FORK_S2) {
		fork_mantel_fill(&room->mantel, moved.block, still.block);
		units = room->mantel.units;
		constant = units > 0 && room->mantel.constant;
		r->effect = room->mantel.effect;
		if (units > 0 && !constant && !r->skipped)
			p = fork_mantel_draw(&room->mantel, x->how->seed, x->domain, i, most);
		r->z = room->mantel.z;
	} else {
		fork_trace_fill(&room->trace, &moved, &still, x->half);
		units = room->trace.units;
		constant = units > 0 && room->trace.constant;
		r->effect = units > 0 ? room->trace.effect : 0;
		r->z = units > 0 ? room->trace.z : 0;
		if (units > 0 && !constant && !r->skipped)
			p = fork_trace_test(&room->trace, x->how->seed, x->domain, i, most);
	}
	if (units == 0)
		r->skipped = "too few units or no parts that both have";
	else if (constant && !r->skipped)
		r->skipped = "every order of its units gives the same sum";
	return p;
}

static void exact_pair(const struct exact *x, uint32_t i, uint32_t most, union exact_room *room)
{
	struct rung_block *r = &x->out->block[i];
	const struct sketch_block *a = &x->a->block[r->pair.a], *b = &x->b->block[r->pair.b];
	struct trace_p p;
	bool swapped;

	r->skipped = refuse_side(x->a, a, x->statistic);
	swapped = r->skipped && !fork_null_refuted(x->a, x->statistic, a) &&
		  !refuse_side(x->b, b, x->statistic);
	if (swapped)
		r->skipped = NULL;
	x->group[i] = swapped ? (uint32_t)x->a->blocks + b->cluster : a->cluster;
	p = exact_test(x, swapped, i, most, room);
	r->judged = !r->skipped;
	r->log_p = p.log_p;
	r->draws = p.draws;
	x->hits[i] = p.hits;
}

static void exact_work(void *ctx, struct part part)
{
	const struct exact *x = ctx;

	for (uint32_t i = part.begin; i < part.end; i++)
		exact_pair(x, i, x->draws, &x->room[part.worker]);
}

/* Dependence of a single block disappears in Fisher's sum, and Bonferroni's bound cannot fall below
 * blocks / draws: the block with the largest z that no draw has reached gets as many as could
 * reject, if that is a number to be had. */
static void exact_extend(const struct exact *x)
{
	struct rung *r = x->out;
	double wanted = ceil(4 * (double)r->judged / x->how->alpha);
	uint32_t best = UINT32_MAX;

	if (r->judged == 0 || !(x->how->alpha > 0) || r->log_p <= log(x->how->alpha) ||
	    wanted > EXTENDED_MAX || wanted <= x->draws)
		return;
	for (uint32_t i = 0; i < r->blocks; i++)
		if (r->block[i].judged && r->block[i].draws == x->draws && x->hits[i] == 0 &&
		    (best == UINT32_MAX || r->block[i].z > r->block[best].z))
			best = i;
	if (best == UINT32_MAX)
		return;
	exact_pair(x, best, (uint32_t)wanted, &x->room[0]);
	fork_rung_combine(r, x->group);
}

static int exact_run(struct exact *x, const struct rung_pair *pair, size_t pairs, struct err *e)
{
	int rc = 0;

	*x->out = (struct rung){ .run = true };
	if (pairs == 0)
		return 0;
	x->out->block = calloc(pairs, sizeof *x->out->block);
	x->room = calloc(pool_threads(x->how->pool), sizeof *x->room);
	x->hits = calloc(pairs, sizeof *x->hits);
	x->group = calloc(pairs, sizeof *x->group);
	if (!x->out->block || !x->room || !x->hits || !x->group)
		TRY_OUT(err_set(e, ERR_NOMEM, "out of memory for %zu pairs of blocks", pairs));
	x->out->blocks = pairs;
	for (size_t i = 0; i < pairs; i++)
		x->out->block[i].pair = pair[i];
	pool_run_in_order(x->how->pool, (uint32_t)pairs, exact_work, x);
	fork_rung_combine(x->out, x->group);
	exact_extend(x);
out:
	if (rc < 0) {
		free(x->out->block);
		x->out->block = NULL;
		x->out->blocks = 0;
	}
	free(x->room);
	free(x->hits);
	free(x->group);
	return rc;
}

int fork_s1_rung(const struct fork_sketch *a, const struct fork_sketch *b,
		 const struct rung_pair *pair, size_t pairs, enum rung_view view,
		 enum rung_half half, const struct rung_how *how, struct rung *out, struct err *e)
{
	struct exact x = { .a = a,
			   .b = b,
			   .statistic = view == RUNG_TOKEN ? FORK_S5 : FORK_S1,
			   .how = how,
			   .half = half,
			   .domain = PHILOX_TEST + HALVES * view + half,
			   .draws = TRACE_DRAWS,
			   .out = out };
	int rc;

	TRY(fork_views_open(&x.view[0], &x.view[1], a, b, view, e));
	rc = exact_run(&x, pair, pairs, e);
	fork_view_close(&x.view[0]);
	fork_view_close(&x.view[1]);
	return rc;
}

int fork_s2_rung(const struct fork_sketch *a, const struct fork_sketch *b,
		 const struct rung_pair *pair, size_t pairs, const struct rung_how *how,
		 struct rung *out, struct err *e)
{
	struct exact x = { .a = a,
			   .b = b,
			   .statistic = FORK_S2,
			   .how = how,
			   .domain = PHILOX_TEST + 2 * HALVES,
			   .draws = MANTEL_DRAWS,
			   .out = out };

	return exact_run(&x, pair, pairs, e);
}
