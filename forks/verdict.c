/* What the tests and the tensors of a comparison come to. */
#include "forks/detail.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

double fork_ladder_log_p(const struct fork_detail *d)
{
	return fmin(0, d->test[d->best].log_p + log(FORK_TESTS));
}

void fork_verdict_draw(struct fork_comparison *c)
{
	const struct fork_detail *d = c->detail;
	const struct fork_test_result *best = &d->test[d->best];

	c->tested = false;
	for (int t = 0; t < FORK_TESTS; t++)
		c->tested |= d->test[t].tested;
	c->log_p = c->tested ? fork_ladder_log_p(d) : 0;
	c->p_value = fmax(exp(c->log_p), DBL_MIN);
	c->rung = c->tested ? fork_test_name(d->best) : NULL;
	c->blocks = best->judged;
	c->verdict = c->tested ? FORK_NO_EVIDENCE : FORK_INCONCLUSIVE;
	if (d->same_all) {
		c->verdict = FORK_IDENTICAL;
		c->tested = false;
		c->log_p = -INFINITY;
		c->p_value = 0;
		c->effect = 1;
		c->relative_l2 = 0;
	} else if (d->stream.found) {
		c->verdict = FORK_INCONCLUSIVE;
	} else if (c->tested && c->log_p <= log(d->alpha)) {
		c->verdict = FORK_DEPENDENT;
		return;
	} else if (c->identical > 0) {
		c->verdict = FORK_CONTAINS;
	}
	if (c->verdict == FORK_IDENTICAL || c->verdict == FORK_CONTAINS)
		c->rung = "values";
}

void fork_comparison_free(struct fork_comparison *c)
{
	if (c->detail) {
		free(c->detail->block);
		arena_free(&c->detail->arena);
	}
	free(c->detail);
	*c = (struct fork_comparison){ 0 };
}
