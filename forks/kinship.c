/* What squared distances between models say of one of them. Changes of weights by different
 * trainings are nearly orthogonal in so many dimensions, so that squares add up along a tree of
 * descent, as lengths along branches do; where branches part is a matter of three squares. A mix
 * lies in the plane of its parents instead, where the mean of a base's children also lies: that is
 * as far from the base as the squares between the children say, a mix is not. */
#include "forks/kinship.h"

#include <math.h>
#include <string.h>

#define WEIGHT_LEAST 0.1   /* share of a model that counts as mixed in */
#define RESIDUAL_MOST 0.25 /* of the square that a common base would leave */
#define NOISE 0.02 /* cosine that changes may have by chance and by the rounding of sketches */
#define BRANCH_MOST 0.35 /* share of the way back to where lines part that is still none */

/* Solve m w = r, both n long and m symmetric, positive; false: nearly singular. Cholesky. */
static bool solve(double m[KIN_MOST][KIN_MOST], double *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		double diagonal = m[i][i];

		for (uint32_t j = 0; j <= i; j++) {
			double sum = m[i][j];

			for (uint32_t k = 0; k < j; k++)
				sum -= m[i][k] * m[j][k];
			if (i == j && sum <= 1e-6 * diagonal)
				return false;
			m[i][j] = i == j ? sqrt(sum) : sum / m[j][j];
		}
		for (uint32_t k = 0; k < i; k++)
			r[i] -= m[i][k] * r[k];
		r[i] /= m[i][i];
	}
	for (uint32_t i = n; i-- > 0;) {
		for (uint32_t k = i + 1; k < n; k++)
			r[i] -= m[k][i] * r[k];
		r[i] /= m[i][i];
	}
	return true;
}

/* <x_i - x_0, x_j - x_0> */
static double inner(const struct kin_squares *s, uint32_t zero, uint32_t i, uint32_t j)
{
	return (kin_square(s, zero, i) + kin_square(s, zero, j) - kin_square(s, i, j)) / 2;
}

bool fork_kin_fit(const struct kin_squares *s, struct kin_fit *f)
{
	uint32_t zero = f->model[0], y = s->models - 1, n = f->count - 1;
	double m[KIN_MOST][KIN_MOST] = { 0 }, w[KIN_MOST] = { 0 }, fitted = 0, r[KIN_MOST] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		r[i] = w[i] = inner(s, zero, f->model[i + 1], y);
		for (uint32_t j = 0; j <= i; j++)
			m[i][j] = inner(s, zero, f->model[i + 1], f->model[j + 1]);
	}
	if (!solve(m, w, n))
		return false;
	f->weight[0] = 1;
	for (uint32_t i = 0; i < n; i++) {
		f->weight[i + 1] = w[i];
		f->weight[0] -= w[i];
		fitted += w[i] * r[i];
	}
	f->residual = fmax(0, kin_square(s, zero, y) - fitted);
	return isfinite(f->residual);
}

/* Sum over the pairs of |w_i w_j| d_ij, over count - 1: what is left of a model from which all of
 * these have come, each by itself. */
static double base_square(const struct kin_squares *s, const struct kin_fit *f)
{
	double sum = 0;
	uint32_t count = 0;

	for (uint32_t i = 0; i < f->count; i++) {
		count += fabs(f->weight[i]) >= WEIGHT_LEAST;
		for (uint32_t j = 0; j < i; j++)
			sum += fabs(f->weight[i] * f->weight[j]) *
			       kin_square(s, f->model[i], f->model[j]);
	}
	return count > 1 ? sum / (count - 1) : 0;
}

/* Whether a base of two of the mix's parents is known that has no part of its own in the mix: it
 * has been asked, and the suspect, if it were a third child of it, would be explained by it. */
static bool has_base(const struct kin_squares *s, const struct kin_fit *f, uint32_t i, uint32_t j)
{
	double apart = kin_square(s, f->model[i], f->model[j]);

	for (uint32_t o = 0; o + 1 < s->models; o++) {
		double weight = 0;

		for (uint32_t k = 0; k < f->count; k++)
			weight = f->model[k] == o ? fabs(f->weight[k]) : weight;
		if (o != f->model[i] && o != f->model[j] && weight < 1 - WEIGHT_LEAST &&
		    isfinite(kin_square(s, o, s->models - 1)) &&
		    apart > 0.8 * (kin_square(s, o, f->model[i]) + kin_square(s, o, f->model[j])))
			return true;
	}
	return false;
}

bool fork_kin_mixed(const struct kin_squares *s, const struct kin_fit *f)
{
	uint32_t most = UINT32_MAX, second = UINT32_MAX;

	for (uint32_t i = 0; i < f->count; i++) {
		if (f->weight[i] < WEIGHT_LEAST)
			continue;
		if (most == UINT32_MAX || f->weight[i] > f->weight[most]) {
			second = most;
			most = i;
		} else if (second == UINT32_MAX || f->weight[i] > f->weight[second]) {
			second = i;
		}
	}
	if (second == UINT32_MAX)
		return false;
	return f->residual <= RESIDUAL_MOST * base_square(s, f) || has_base(s, f, most, second);
}

static bool contains(const struct kin_fit *f, uint32_t model)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (f->model[i] == model)
			return true;
	return false;
}

static bool comparable(const struct kin_squares *s, const struct kin_fit *f, uint32_t model)
{
	bool all = isfinite(kin_square(s, model, s->models - 1));

	for (uint32_t i = 0; i < f->count; i++)
		all &= isfinite(kin_square(s, f->model[i], model));
	return all;
}

/* Add to the fit the model that explains most, as long as one has a weight that counts. */
static void fit_more(const struct kin_squares *s, struct kin_fit *f)
{
	while (f->count < KIN_MOST) {
		struct kin_fit best = { .residual = f->residual };

		for (uint32_t i = 0; i + 1 < s->models; i++) {
			struct kin_fit more = *f;

			if (contains(f, i) || !comparable(s, f, i))
				continue;
			more.model[more.count++] = i;
			if (fork_kin_fit(s, &more) && more.residual < best.residual &&
			    fabs(more.weight[more.count - 1]) >= WEIGHT_LEAST)
				best = more;
		}
		if (best.count == 0)
			return;
		*f = best;
	}
}

/* Share of the square between x and the suspect that lies between x and where the line from the
 * suspect to any third model leaves. What descends from the suspect itself says nothing. */
static double branch_of(const struct kin_squares *s, uint32_t x)
{
	uint32_t y = s->models - 1;
	double own = kin_square(s, x, y), most = 0;

	for (uint32_t c = 0; c < y; c++) {
		double to_x = kin_square(s, x, c), to_y = kin_square(s, c, y), branch, rest;

		if (c == x || !isfinite(to_x) || !isfinite(to_y) || own <= 0)
			continue;
		branch = (own + to_x - to_y) / 2 / own - NOISE * sqrt(to_x / own);
		rest = (own + to_y - to_x) / 2 / own;
		if (rest >= WEIGHT_LEAST && branch > most)
			most = branch;
	}
	return fmin(most, 1);
}

/* Whether the nearest lies between x and the suspect. */
static bool beyond(const struct kin_squares *s, uint32_t nearest, uint32_t x)
{
	uint32_t y = s->models - 1;
	double here = kin_square(s, nearest, y), there = kin_square(s, nearest, x),
	       aside = (here + there - kin_square(s, x, y)) / 2;

	return isfinite(aside) &&
	       aside <= BRANCH_MOST * fmin(here, there) + NOISE * sqrt(here * there);
}

bool fork_kinship(const double *square, size_t models, struct fork_kinship *out)
{
	struct kin_squares s = { square, (uint32_t)models };
	uint32_t y = (uint32_t)models - 1, nearest = UINT32_MAX;
	struct kin_fit fit = { .count = 1 };
	bool mixed, child;

	for (uint32_t i = 0; models > 1 && i < y; i++) {
		double d = kin_square(&s, i, y);

		out[i] = (struct fork_kinship){ .l2 = isfinite(d) ? sqrt(fmax(0, d)) : NAN };
		if (isfinite(d) && (nearest == UINT32_MAX || d < kin_square(&s, nearest, y)))
			nearest = i;
	}
	if (nearest == UINT32_MAX)
		return false;
	fit.model[0] = nearest;
	fit.weight[0] = 1;
	fit.residual = kin_square(&s, nearest, y);
	fit_more(&s, &fit);
	mixed = fork_kin_mixed(&s, &fit);
	child = branch_of(&s, nearest) <= BRANCH_MOST;
	for (uint32_t i = 0; i < y; i++) {
		if (!isfinite(out[i].l2))
			continue;
		out[i].branch = branch_of(&s, i);
		if (mixed)
			continue;
		if (i == nearest)
			out[i].kin = child ? FORK_KIN_PARENT : FORK_KIN_SIBLING;
		else if (child && beyond(&s, nearest, i))
			out[i].kin = FORK_KIN_BEYOND;
		else if (!child && out[i].branch > BRANCH_MOST)
			out[i].kin = FORK_KIN_SIBLING;
	}
	for (uint32_t i = 0; mixed && i < fit.count; i++) {
		struct fork_kinship *k = &out[fit.model[i]];

		if (fabs(fit.weight[i]) < WEIGHT_LEAST)
			continue;
		k->kin = FORK_KIN_MIXED;
		k->weight = fit.weight[i];
	}
	return true;
}
