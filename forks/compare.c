/* Comparison as a ladder of tests: digests, tensor values, S1, S2. The first that decides ends
 * it. */
#include "forks/calibrate.h"
#include "forks/diff.h"
#include "forks/s1.h"
#include "forks/s2.h"
#include "forks/special.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Tests that state a p-value (S1, S2): the correction holds whether or not the second is run. */
#define RUNGS 2
#define DRAWS_MAX (1u << 22) /* draws for one block, raise_draws: some seconds */

/* The blocks of both models side by side. */
struct scan {
	const struct fork_model *ma, *mb;
	struct sites a, b;
	struct fork_old *out;
	const struct site **in_a, **in_b; /* [blocks] */
	uint64_t *exceed;                 /* [blocks] */
	double *p, *z;                    /* [blocks] of the rung at hand */
	bool draw;                        /* the calibration passed: p-values are stated */
};

static int scan_open(struct scan *s, struct err *e)
{
	size_t room;

	TRY(fork_sites_find(s->ma->tensors, &s->a, e));
	TRY(fork_sites_find(s->mb->tensors, &s->b, e));
	room = (s->a.count < s->b.count ? s->a.count : s->b.count) + 1;
	s->in_a = calloc(room, sizeof(*s->in_a));
	s->in_b = calloc(room, sizeof(*s->in_b));
	s->exceed = calloc(room, sizeof(*s->exceed));
	s->p = calloc(room, sizeof(*s->p));
	s->z = calloc(room, sizeof(*s->z));
	s->out->block = calloc(room, sizeof(*s->out->block));
	if (!s->in_a || !s->in_b || !s->exceed || !s->p || !s->z || !s->out->block)
		return err_set(e, ERR_NOMEM, "out of memory for %zu blocks", room);
	return 0;
}

static void scan_close(struct scan *s)
{
	free(s->in_a);
	free(s->in_b);
	free(s->exceed);
	free(s->p);
	free(s->z);
	fork_sites_free(&s->a);
	fork_sites_free(&s->b);
}

static int block_matrix(const struct scan *s, size_t i, struct s1_matrix *m, struct err *e)
{
	struct features fa = { 0 }, fb = { 0 };
	int r;

	TRY(fork_features_load(s->ma, s->in_a[i], &fa, e));
	r = fork_features_load(s->mb, s->in_b[i], &fb, e);
	if (r == 0)
		r = fork_s1_matrix_open(m, &fa, &fb, e);
	fork_features_free(&fa);
	fork_features_free(&fb);
	return r;
}

/* Extend a block's test to `draws` permutations. A block may be extended only while no draw has
 * exceeded the observed trace. Then p stays super-uniform whichever blocks are chosen: p <= t
 * implies that the longer or the shorter test of that block, taken alone, gives p <= t. */
static void block_draw(struct scan *s, size_t i, const struct s1_matrix *m, uint32_t draws)
{
	struct fork_old_block *block = &s->out->block[i];

	s->exceed[i] += fork_s1_exceed(m, s->out->seed, PHILOX_COMPARE, (uint32_t)i,
				       (uint32_t)block->draws, draws);
	s->out->draws += draws - block->draws;
	block->draws = draws;
	block->p = fork_s1_p(s->exceed[i], draws);
}

/* Score the block whose sites are in_a[blocks], in_b[blocks]; a constant one is skipped. */
static int block_score(struct scan *s, struct err *e)
{
	struct fork_old *out = s->out;
	const struct site *site = s->in_a[out->blocks];
	struct s1_matrix matrix = { 0 };
	struct s1_moments m;

	TRY(block_matrix(s, out->blocks, &matrix, e));
	m = fork_s1_moments(&matrix);
	if (m.constant) {
		out->skipped_blocks++;
	} else {
		out->block[out->blocks] =
			(struct fork_old_block){ .layer = site->layer,
						 .expert = site->expert,
						 .shared = site->shared,
						 .trace = m.trace,
						 .expectation = m.expectation,
						 .variance = m.variance,
						 .z = m.z,
						 .p = 1,
						 .cosine = m.trace / (3.0 * matrix.units) };
		if (s->draw)
			block_draw(s, out->blocks, &matrix, S1_DRAWS);
		out->blocks++;
	}
	fork_s1_matrix_free(&matrix);
	return 0;
}

/* Walk both lists; blocks are paired by name and must have one shape. */
static int scan_blocks(struct scan *s, struct err *e)
{
	size_t i = 0, j = 0;

	while (i < s->a.count || j < s->b.count) {
		const struct site *a = i < s->a.count ? &s->a.at[i] : NULL,
				  *b = j < s->b.count ? &s->b.at[j] : NULL;
		int order = !a ? 1 : !b ? -1 : fork_site_order(a, b);

		i += order <= 0;
		j += order >= 0;
		if (order != 0 || !fork_site_usable(a) || a->units != b->units ||
		    a->hidden != b->hidden) {
			s->out->skipped_blocks++;
			continue;
		}
		s->in_a[s->out->blocks] = a;
		s->in_b[s->out->blocks] = b;
		TRY(block_score(s, e));
	}
	return 0;
}

/* A p-value below the smallest normal double is raised to it: still an upper bound. */
static double p_of_log(double log_p) { return fmin(fmax(exp(log_p), DBL_MIN), 1); }

/* p-values of all blocks combined. */
struct combined {
	double p, fisher, smallest, stouffer;
};

static struct combined combine(const double *p, const double *z, size_t count)
{
	double log_sum = 0, z_sum = 0, n = (double)count;
	struct combined out = { .smallest = 1 };

	for (size_t i = 0; i < count; i++) {
		log_sum += log(p[i]);
		z_sum += z[i];
		out.smallest = fmin(out.smallest, p[i]);
	}
	out.stouffer = z_sum / sqrt(n);
	out.fisher = p_of_log(fork_special_chi_square_log_tail(-2 * log_sum, 2 * n));
	out.smallest = fmin(1, n * out.smallest);
	out.p = fmin(1, 2 * fmin(out.fisher, out.smallest));
	return out;
}

static void combine_s1(struct scan *s)
{
	struct fork_old *out = s->out;
	struct combined c;

	for (size_t i = 0; i < out->blocks; i++) {
		s->p[i] = out->block[i].p;
		s->z[i] = out->block[i].z;
	}
	c = combine(s->p, s->z, out->blocks);
	out->fisher = c.fisher;
	out->smallest = c.smallest;
	out->stouffer = c.stouffer;
	out->s1_p = c.p;
	out->p_value = fmin(1, RUNGS * c.p);
}

/* Dependence in a few blocks disappears in Fisher's sum, and Bonferroni's bound cannot fall below
 * blocks / (1 + draws): so the block with the largest z gets more draws, until it can reject at
 * alpha. */
static int raise_draws(struct scan *s, double alpha, struct err *e)
{
	struct fork_old *out = s->out;
	double wanted = ceil(2 * RUNGS * (double)out->blocks / alpha);
	uint32_t draws = wanted < DRAWS_MAX ? (uint32_t)wanted : DRAWS_MAX;
	struct s1_matrix matrix = { 0 };
	size_t best = 0;

	for (size_t i = 1; i < out->blocks; i++)
		if (out->block[i].z > out->block[best].z)
			best = i;
	if (out->p_value <= alpha || s->exceed[best] > 0 || draws <= out->block[best].draws)
		return 0;
	TRY(block_matrix(s, best, &matrix, e));
	block_draw(s, best, &matrix, draws);
	fork_s1_matrix_free(&matrix);
	combine_s1(s);
	return 0;
}

static int block_score_s2(struct scan *s, size_t i, struct err *e)
{
	struct fork_s2 *out = &s->out->s2;
	struct features fa = { 0 }, fb = { 0 };
	struct s2_gram a, b;
	struct s2_score score;
	int r = fork_features_load(s->ma, s->in_a[i], &fa, e);

	if (r == 0)
		r = fork_features_load(s->mb, s->in_b[i], &fb, e);
	if (r == 0) {
		fork_s2_gram_fill(&a, &fa);
		fork_s2_gram_fill(&b, &fb);
		score = fork_s2_score(&a, &b, s->out->seed, PHILOX_COMPARE_S2, (uint32_t)i,
				      S2_DRAWS);
		s->p[i] = score.p;
		s->z[i] = score.z;
		out->effect += score.effect / (double)s->out->blocks;
		out->draws += S2_DRAWS;
	}
	fork_features_free(&fa);
	fork_features_free(&fb);
	return r;
}

static int compare_s2(struct scan *s, struct err *e)
{
	struct fork_s2 *out = &s->out->s2;
	struct combined c;

	*out = (struct fork_s2){ .run = true, .p = 1, .fisher = 1, .smallest = 1 };
	TRY(fork_calibrate_s2(s->ma, s->out->seed, &out->calibration, e));
	for (size_t i = 0; i < s->out->blocks; i++)
		TRY(block_score_s2(s, i, e));
	if (!out->calibration.passed)
		return 0;
	c = combine(s->p, s->z, s->out->blocks);
	out->p = c.p;
	out->fisher = c.fisher;
	out->smallest = c.smallest;
	out->stouffer = c.stouffer;
	s->out->p_value = fmin(1, RUNGS * fmin(s->out->s1_p, c.p));
	return 0;
}

static int compare_blocks(const struct fork_model *a, const struct fork_model *b, double alpha,
			  struct fork_old *out, struct err *e)
{
	struct scan s = { .ma = a, .mb = b, .out = out, .draw = out->calibration.passed };
	int r = scan_open(&s, e);

	if (r == 0)
		r = scan_blocks(&s, e);
	for (size_t i = 0; r == 0 && i < out->blocks; i++)
		out->effect += out->block[i].cosine / (double)out->blocks;
	if (r == 0 && s.draw && out->blocks > 0) {
		combine_s1(&s);
		r = raise_draws(&s, alpha, e);
		if (r == 0 && out->p_value > alpha)
			r = compare_s2(&s, e);
	}
	scan_close(&s);
	return r;
}

static void take_diff(struct fork_old *out, const struct diff *d)
{
	out->tensor = d->tensor;
	out->tensors = d->count;
	out->same = d->same;
	out->changed = d->changed;
	out->added = d->added;
	out->removed = d->removed;
	out->reshaped = d->reshaped;
	out->relative_l2 = d->norm > 0 ? sqrt(d->difference / d->norm) : 0;
	out->rounding =
		d->changed_matrices > 0 ? (double)d->rounded / (double)d->changed_matrices : 0;
}

static void conclude(struct fork_old *out, double alpha)
{
	if (out->blocks == 0 || !out->calibration.passed)
		out->verdict = FORK_INCONCLUSIVE;
	else
		out->verdict = out->p_value <= alpha ? FORK_DEPENDENT : FORK_NO_EVIDENCE;
}

int fork_old_compare(const struct fork_model *a, const struct fork_model *b, double alpha,
		     uint64_t seed, const struct fork_old_calibration *calibration,
		     struct fork_old *out, struct err *e)
{
	struct diff d;
	int r = 0;

	*out = (struct fork_old){
		.p_value = 1, .s1_p = 1, .fisher = 1, .smallest = 1, .seed = seed
	};
	if (!(alpha > 0 && alpha < 1))
		return err_set(e, ERR_INPUT, "alpha must lie between 0 and 1, not %g", alpha);
	if (!a->tensors || !b->tensors)
		return err_set(e, ERR_UNSUPPORTED, "weights of another form than the candidate's");
	TRY(fork_diff_models(a, b, &d, e));
	take_diff(out, &d);
	if (calibration)
		out->calibration = *calibration;
	if (out->tensors > 0 && out->same == out->tensors) {
		out->verdict = FORK_IDENTICAL;
		out->p_value = 0;
		out->effect = 1;
		return 0;
	}
	if (!calibration)
		r = fork_old_calibrate(a, seed, &out->calibration, e);
	if (r == 0)
		r = compare_blocks(a, b, alpha, out, e);
	if (r < 0)
		fork_old_free(out);
	else
		conclude(out, alpha);
	return r;
}

void fork_old_free(struct fork_old *c)
{
	free(c->tensor);
	free(c->block);
	c->tensor = NULL;
	c->block = NULL;
	c->tensors = c->blocks = 0;
}
