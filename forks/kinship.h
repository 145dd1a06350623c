/* Fits of one model by others, from squared distances alone. Private to forks/. */
#ifndef FORKS_KINSHIP_H
#define FORKS_KINSHIP_H

#include "forks/mix.h"

#define KIN_MOST FORK_MIX_PARENTS

/* [models][models], symmetric; the last is what is asked about. */
struct kin_squares {
	const double *square;
	uint32_t models;
};
static inline double kin_square(const struct kin_squares *s, uint32_t i, uint32_t j)
{
	return s->square[(size_t)i * s->models + j];
}

struct kin_fit {
	uint32_t model[KIN_MOST], count; /* given */
	double weight[KIN_MOST];         /* they sum to 1 */
	double residual;                 /* square that is left */
};
/* Least squares. False: the models are nearly in one place, or a square is not finite. */
bool fork_kin_fit(const struct kin_squares *s, struct kin_fit *f);
/* Whether the fit is better than a common base of its models explains. */
bool fork_kin_mixed(const struct kin_squares *s, const struct kin_fit *f);

#endif
