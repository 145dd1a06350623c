/* Null pairs come from one model: different experts of a layer, which were initialised
 * independently and trained on the same data; from a model without experts, MLPs of different
 * layers. If the p-values of these pairs are not uniform, the statistic is not valid for this kind
 * of weights, and no p-value is stated. */
#include "forks/calibrate.h"

#include "forks/s1.h"
#include "forks/s2.h"
#include "forks/special.h"

#include <math.h>
#include <stdlib.h>

#define GROUP_MAX 31u /* blocks of one group held in memory: 465 pairs */

struct pairs {
	double *p;
	size_t count, room;
	uint64_t seed;
	bool mantel; /* S2, else S1 */
};

/* Judge p[count] (sorted here, in place): fills everything of *out but the seed. */
static void judge_pairs(double *p, size_t count, struct fork_old_calibration *out)
{
	uint64_t below_05 = 0, below_005 = 0, low, high;
	double n = (double)count;

	out->pairs = count;
	out->ks_p = out->below_05 = out->below_005 = 0;
	out->passed = false;
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		below_05 += p[i] < 0.05;
		below_005 += p[i] < 0.005;
	}
	fork_special_binomial_interval(count, 0.005, 0.999, &low, &high);
	out->ks_p = fork_special_ks_tail(fork_special_ks_distance(p, count), count);
	out->below_05 = (double)below_05 / n;
	out->below_005 = (double)below_005 / n;
	out->passed = count >= CALIBRATION_PAIRS_MIN && out->ks_p > 0.01 &&
		      fabs(out->below_05 - 0.05) <= 3 * sqrt(0.05 * 0.95 / n) && below_005 >= low &&
		      below_005 <= high;
}

static int pair_score(struct pairs *out, const struct features *a, const struct features *b,
		      struct err *e)
{
	struct s1_matrix m;
	uint64_t exceed;

	TRY(fork_s1_matrix_open(&m, a, b, e));
	if (!fork_s1_moments(&m).constant) {
		exceed = fork_s1_exceed(&m, out->seed, PHILOX_CALIBRATE, (uint32_t)out->count, 0,
					S1_DRAWS);
		out->p[out->count++] = fork_s1_p(exceed, S1_DRAWS);
	}
	fork_s1_matrix_free(&m);
	return 0;
}

static void pair_score_s2(struct pairs *out, const struct s2_gram *a, const struct s2_gram *b)
{
	uint32_t stream = (uint32_t)out->count;

	out->p[out->count++] =
		fork_s2_score(a, b, out->seed, PHILOX_CALIBRATE_S2, stream, S2_NULL_DRAWS).p;
}

/* A block's data for its statistic: features for S1, inner products for S2. */
struct member {
	struct features f;
	struct s2_gram *gram; /* S2 only; the features are then dropped */
};

static int member_load(const struct fork_model *m, const struct site *site, bool mantel,
		       struct member *out, struct err *e)
{
	TRY(fork_features_load(m, site, &out->f, e));
	if (!mantel)
		return 0;
	out->gram = aligned_alloc(_Alignof(struct s2_gram), sizeof(*out->gram));
	if (!out->gram)
		return err_set(e, ERR_NOMEM, "out of memory for the inner products of a block");
	fork_s2_gram_fill(out->gram, &out->f);
	fork_features_free(&out->f);
	return 0;
}

/* Score up to `quota` pairs of blocks of equal shape. */
static int group_score(const struct fork_model *m, const struct site *const *site, size_t count,
		       size_t quota, struct pairs *out, struct err *e)
{
	struct member member[GROUP_MAX] = { 0 };
	size_t end = out->count + quota;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = member_load(m, site[i], out->mantel, &member[i], e);
	for (size_t i = 1; i < count && r == 0; i++)
		for (size_t j = 0; j < i && r == 0 && out->count < end; j++)
			if (out->mantel)
				pair_score_s2(out, member[j].gram, member[i].gram);
			else
				r = pair_score(out, &member[j].f, &member[i].f, e);
	for (size_t i = 0; i < count; i++) {
		fork_features_free(&member[i].f);
		free(member[i].gram);
	}
	return r;
}

static bool is_group(const struct site *first, const struct site *s, bool experts)
{
	if (!fork_site_usable(s) || s->units != first->units || s->hidden != first->hidden)
		return false;
	return experts ? s->expert != UINT32_MAX && s->layer == first->layer
		       : s->expert == UINT32_MAX && !s->shared;
}

/* The first blocks of the group of `first`, no more than `most`; returns how many. */
static size_t group_collect(const struct sites *sites, const struct site *first, bool experts,
			    size_t most, const struct site *member[GROUP_MAX])
{
	size_t count = 0;

	for (size_t i = (size_t)(first - sites->at); i < sites->count && count < most; i++) {
		if (experts && sites->at[i].layer != first->layer)
			break;
		if (is_group(first, &sites->at[i], experts))
			member[count++] = &sites->at[i];
	}
	return count;
}

/* The first block of the next layer that has experts (or of the only group of MLPs). */
static const struct site *group_next(const struct sites *sites, const struct site *last,
				     bool experts)
{
	for (size_t i = last ? (size_t)(last - sites->at) : 0; i < sites->count; i++) {
		const struct site *s = &sites->at[i];

		if (is_group(s, s, experts) && (!last || (experts && s->layer > last->layer)))
			return s;
	}
	return NULL;
}

/* The smallest number of blocks that gives so many pairs. */
static size_t group_size(size_t quota)
{
	size_t n = 2;

	while (n < GROUP_MAX && n * (n - 1) / 2 < quota)
		n++;
	return n;
}

static int groups_score(const struct fork_model *m, const struct sites *sites, bool experts,
			struct pairs *out, struct err *e)
{
	const struct site *member[GROUP_MAX], *first = NULL;
	size_t groups = 0, quota;
	int r = 0;

	while ((first = group_next(sites, first, experts)) != NULL)
		groups++;
	if (groups == 0)
		return 0;
	quota = (CALIBRATION_PAIRS + groups - 1) / groups;
	out->room = groups * quota;
	out->p = calloc(out->room, sizeof(*out->p));
	if (!out->p)
		return err_set(e, ERR_NOMEM, "out of memory for %zu null pairs", out->room);
	while (r == 0 && (first = group_next(sites, first, experts)) != NULL) {
		size_t count = group_collect(sites, first, experts, group_size(quota), member);

		r = group_score(m, member, count, quota, out, e);
	}
	return r;
}

static int calibrate(const struct fork_model *m, bool mantel, uint64_t seed,
		     struct fork_old_calibration *out, struct err *e)
{
	struct pairs pairs = { .seed = seed, .mantel = mantel };
	struct sites sites;
	bool experts = false;
	int r;

	*out = (struct fork_old_calibration){ .seed = seed };
	TRY(fork_sites_find(m->tensors, &sites, e));
	for (size_t i = 0; i < sites.count; i++)
		experts = experts ||
			  (fork_site_usable(&sites.at[i]) && sites.at[i].expert != UINT32_MAX);
	r = groups_score(m, &sites, experts, &pairs, e);
	if (r == 0)
		judge_pairs(pairs.p, pairs.count, out);
	free(pairs.p);
	fork_sites_free(&sites);
	return r;
}

int fork_old_calibrate(const struct fork_model *m, uint64_t seed, struct fork_old_calibration *out,
		       struct err *e)
{
	return calibrate(m, false, seed, out, e);
}

int fork_calibrate_s2(const struct fork_model *m, uint64_t seed, struct fork_old_calibration *out,
		      struct err *e)
{
	return calibrate(m, true, seed, out, e);
}
