/* What findings and lineage keep of a comparison. */
#include "flow/fork_findings.h"

#include <math.h>
#include <string.h>

#define NARROWED 0.002 /* relative: BF16 leaves less than 2^-9 of a value */

struct flow_fork_measure flow_fork_measure_of(const struct fork_comparison *c)
{
	const struct fork_measured *m = &c->measured;
	/* Other rungs than these put layers or units side by side that stand elsewhere. */
	bool in_place = c->rung && (strcmp(c->rung, "values") == 0 || strcmp(c->rung, "s1") == 0);
	uint64_t rounded = 0;
	for (int k = FORK_ROUNDED_NOT + 1; k < FORK_ROUNDINGS; k++)
		rounded += m->rounded[k];
	return (struct flow_fork_measure){
		.verdict = c->verdict,
		.rung = c->rung,
		.tested = c->tested,
		.can_see = c->power.can_see,
		.p_value = c->p_value,
		.effect = c->effect,
		.relative_l2 = c->relative_l2,
		.rounding = m->changed ? (double)rounded / (double)m->changed : 0,
		.share = NAN,
		.changed = m->changed,
		.resaved = in_place && m->run && m->relative_l2 < NARROWED &&
			   c->added + c->removed + c->reshaped == 0,
		.frozen = m->frozen,
		.blocks = c->blocks,
	};
}

bool flow_fork_derived(const struct flow_fork_measure *m)
{
	return m->verdict == FORK_IDENTICAL || m->verdict == FORK_DEPENDENT;
}
