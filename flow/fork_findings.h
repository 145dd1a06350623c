/* Private to flow/: contradictions between what a model declares and what was measured.
 *
 * A finding never rests on silence: that the weights show nothing is held against a card only where
 * the statistics could have seen it, and only where another parent was found. */
#ifndef FLOW_FORK_FINDINGS_H
#define FLOW_FORK_FINDINGS_H

#include "flow/flow.h"
#include "flow/fork.h"
#include "flow/fork_facts.h"
#include "forks/forks.h"

/* A comparison's numbers, as far as they outlive its models. */
struct flow_fork_measure {
	enum fork_verdict verdict;
	const char *rung; /* that decided; NULL: none did */
	bool tested;      /* else there is no p-value */
	bool can_see;     /* a dependence between these two would have been found */
	double p_value, effect, relative_l2;
	double rounding; /* share of the changed matrices that are the candidate's, rounded */
	double share;    /* of a merge, that the candidate has in it; NaN: not measured */
	uint64_t changed;
	bool resaved;    /* tensor by tensor the candidate's, but for another type's rounding */
	uint64_t frozen; /* matrices that are the same, while others changed */
	size_t blocks;
};
struct flow_fork_measure flow_fork_measure_of(const struct fork_comparison *c);
bool flow_fork_derived(const struct flow_fork_measure *m); /* identical or dependent */

/* Whom a suspect was compared with, or could not be. All borrowed. */
struct flow_fork_other {
	const struct flow_fork_facts *facts;     /* NULL: not read, and nothing is said of them */
	const struct flow_fork_measure *measure; /* NULL: not compared */
	const char *name;                        /* as it is told: registered name, or folder */
	const json_t
		*models;     /* [names] every model that its content is registered as; NULL: none */
	const char *license; /* of its release, or NULL */
	bool parent;         /* found to be one of the suspect */
	bool firm;     /* the direction is recorded, declared or measured; else asked or presumed */
	bool presumed; /* by the order of registration alone */
	bool own;      /* another version of the suspect's own model: no card names that */
	bool ancestor; /* of the nearest parent, as the registry has it */
};

struct flow_fork_case {
	const struct flow_fork_facts *suspect;
	const char *name; /* as it was given: for the commands that recompute */
	bool released;    /* that is a registered release's */
	uint64_t seed;
	const struct flow_fork_other *other; /* parents first, the nearest of them first */
	size_t others;
	const json_t *registered; /* [names] every registered model; NULL: only those of others */
};

/* Append what the suspect's declarations contradict: {kind, severity, detail, numbers, rung,
 * recompute}; kinds: flow_findings. */
int flow_fork_findings(const struct flow_fork_case *c, json_t *findings, struct err *e) MUST_USE;

/* ---- for the parts of it, flow/fork_*.c ---- */

enum flow_severity { FLOW_NOTE, FLOW_WARNING, FLOW_CONTRADICTION };
struct flow_told {
	const struct flow_fork_case *c;
	json_t *list;
	bool failed; /* out of memory */
};
/* One more, with the numbers of the comparison with `about` (NULL: of none). */
void flow_tell(struct flow_told *t, const char *kind, enum flow_severity severity,
	       const struct flow_fork_other *about, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* How the files beside the weights differ from the parent's, whose facts are known. */
void flow_tell_config(struct flow_told *t, const struct flow_fork_other *parent);
void flow_tell_texts(struct flow_told *t, const struct flow_fork_other *parent);
/* What its licence leaves out of its parents'; what it says of its size and name. */
void flow_tell_licence(struct flow_told *t);
void flow_tell_claims(struct flow_told *t);

/* The same model saved again, be it in another type, its card with it: it declares what that one
 * declares. */
bool flow_fork_is_copy(const struct flow_fork_case *c, const struct flow_fork_other *o);
/* A declared base that the weights show nothing of, although they would. */
bool flow_fork_unseen(const struct flow_fork_case *c, const struct flow_fork_other *o);
/* What the suspect is called in public: by its card, else by the registry; NULL: not known. */
const char *flow_fork_public_name(const struct flow_fork_case *c);

#endif
