#include "forks/combine.h"
#include "forks/special.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static struct rung rung_of(const double *log_p, size_t count)
{
	struct rung r = { .run = true, .blocks = count };

	r.block = calloc(count + 1, sizeof *r.block);
	cr_assert(r.block);
	for (size_t i = 0; i < count; i++)
		r.block[i] = (struct rung_block){
			.log_p = log_p[i], .z = 1, .effect = 0.5, .draws = 10, .judged = true
		};
	return r;
}

Test(forks_combine, fisher_and_bonferroni_are_what_the_books_say)
{
	/* Chi-square of 6 degrees at -2 ln(0.1 * 0.2 * 0.3) is 10.2320: P = 0.11522. */
	const double log_p[] = { log(0.1), log(0.2), log(0.3) };
	struct rung r = rung_of(log_p, 3);

	fork_rung_combine(&r, NULL);
	cr_expect(fabs(exp(r.log_fisher) - 0.11522) < 1e-5, "%.6f", exp(r.log_fisher));
	cr_expect(fabs(exp(r.log_smallest) - 0.3) < 1e-12);
	cr_expect(fabs(exp(r.log_p) - 2 * 0.11522) < 2e-5);
	cr_expect(fabs(r.stouffer - 3 / sqrt(3)) < 1e-12);
	cr_expect(r.judged == 3 && r.skipped == 0 && r.draws == 30 && r.effect == 0.5);
	free(r.block);
}

Test(forks_combine, hundreds_of_extremes_stay_finite)
{
	static double log_p[700];
	struct rung r;

	for (size_t i = 0; i < 700; i++)
		log_p[i] = i % 2 ? -1167 : -3e-5;
	r = rung_of(log_p, 700);
	fork_rung_combine(&r, NULL);
	/* The tail of chi-square is x^(k-1) e^-x / (k-1)! times nearly 1: x = 350 * 1167, k = 700. */
	cr_expect(isfinite(r.log_p));
	cr_expect(fabs(r.log_fisher - (699 * log(408450.0105) - 408450.0105 -
				       fork_special_log_gamma(700) - log1p(-699 / 408450.0105))) <
			  1e-3 * 408450,
		  "%.6f", r.log_fisher);
	free(r.block);
}

Test(forks_combine, copies_count_once)
{
	static const uint32_t same[] = { 4, 4, 4, 4, 4, 4, 4, 4 },
			      own[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	double log_p[8];
	struct rung r;
	double alone;

	for (size_t i = 0; i < 8; i++)
		log_p[i] = log(0.02);
	r = rung_of(log_p, 8);
	fork_rung_combine(&r, NULL);
	alone = r.log_fisher;
	cr_expect(alone < -14, "%g", alone);
	fork_rung_combine(&r, own);
	cr_expect_eq(r.log_fisher, alone);
	fork_rung_combine(&r, same);
	cr_expect(fabs(exp(r.log_fisher) - 0.16) < 1e-12, "%g", exp(r.log_fisher));
	free(r.block);
}

Test(forks_combine, nothing_judged_states_nothing)
{
	const double log_p[] = { -40, -50 };
	struct rung r = rung_of(log_p, 2);

	r.block[0].judged = r.block[1].judged = false;
	fork_rung_combine(&r, NULL);
	cr_expect(r.log_p == 0 && r.log_fisher == 0 && r.judged == 0 && r.skipped == 2);
	cr_expect_eq(r.effect, 0.5);
	free(r.block);
}
