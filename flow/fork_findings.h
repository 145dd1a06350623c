/* Private to flow/: contradictions between what a model declares and what was measured. */
#ifndef FLOW_FORK_FINDINGS_H
#define FLOW_FORK_FINDINGS_H

#include "flow/fork_facts.h"
#include "forks/old.h"

/* A comparison's numbers, as far as they outlive its models. */
struct flow_fork_measure {
	enum fork_verdict verdict;
	const char *rung; /* that decided; NULL: none did */
	bool tested;      /* else there is no p-value */
	double p_value, effect, relative_l2, rounding;
	uint64_t changed;
	size_t blocks;
};
struct flow_fork_measure flow_fork_measure_of(const struct fork_old *c);
bool flow_fork_derived(const struct flow_fork_measure *m); /* identical or dependent */
/* The p-value as it is told: a number, or null. */
json_t *flow_fork_p_value(const struct flow_fork_measure *m);

/* Whom a suspect was compared with. */
struct flow_fork_other {
	const struct flow_fork_facts *facts;
	const char *name; /* registered name or folder */
	bool own;         /* another version of the suspect's own model: no card names that */
	bool presumed;    /* the parent, as far as the order of registration tells */
};
/* Contradictions between what the suspect's card declares and what was measured against one
 * candidate, appended to findings as {kind, detail}. */
int flow_fork_findings(const struct flow_fork_other *other, const struct flow_fork_facts *suspect,
		       const struct flow_fork_measure *m, json_t *findings, struct err *e) MUST_USE;

#endif
