/* Flow: forks: two models compared, one audited against those registered, its evidence kept. */
#ifndef FLOW_FORK_H
#define FLOW_FORK_H

#include "flow/flow.h"

struct flow_fork_look {
	uint64_t seed;
	bool lists;     /* every block and tensor */
	bool all_rungs; /* whichever decides */
	bool quiet;     /* no progress bar */
};
/* Two folders or REFs; f may be NULL for folders. */
int flow_fork_compare(struct flow *f, const char *a, const char *b,
		      const struct flow_fork_look *how, json_t **report, struct err *e) MUST_USE;
/* What is asked of an audit. All borrowed. */
struct flow_fork_question {
	const char *suspect, *parent; /* parent: the only candidate; NULL: every one */
	uint64_t seed;
	const json_t *only; /* roots as text: no candidates but these; NULL: all */
	bool lists; /* the report gets `comparisons` [{root, name, comparison}]: every block and
		       tensor of those that matter */
};
/* Against every registered release (or one). Report as above plus {declared, candidates, ...}.
 * Nothing is written but the cache, so that f may be open for reading only. */
int flow_fork_examine(struct flow *f, const struct flow_fork_question *q, json_t **report,
		      struct err *e) MUST_USE;
/* Log such a report, with the lineage edges that follow; adds {index, receipt} to it. suspect: as
 * above, remembered for the next function; or NULL. */
int flow_fork_record(struct flow *f, json_t *report, const char *suspect, struct err *e) MUST_USE;
/* What was audited before, where releases were registered since. Report: {changed [{name, verdict,
 * parent, was {verdict, parent}, report}], unavailable [{name, reason}], unchanged, current}, of
 * which each report can be logged as above. */
int flow_fork_examine_again(struct flow *f, uint64_t seed, json_t **report, struct err *e) MUST_USE;
/* The two of them. */
int flow_audit_fork(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		    json_t **report, struct err *e) MUST_USE;
/* Verdicts that a report may have; ended by NULL. */
const char *const *flow_fork_verdict_names(void);
/* What an audit's report rests on lies in HOME/forks/audits/INDEX: flow/fork_bundle.c. A copy of
 * it; ERR_CONFLICT where `to` is there. */
int flow_fork_bundle_copy(const char *from, const char *to, struct err *e) MUST_USE;
/* Check such a folder with a verifier key (NULL: f's own), and compute its numbers again from the
 * models at hand. suspect NULL: a registered one. f NULL: nothing is computed again. Report: {ok,
 * checks [{name, ok, detail}], computed_again [names], missing [names]}. */
int flow_fork_bundle_verify(struct flow *f, const char *dir, const char *suspect, const char *vkey,
			    json_t **report, struct err *e) MUST_USE;
/* Report: {passed, pairs: in this model, seed, calibrations}. */
int flow_fork_calibrate(struct flow *f, const char *ref, const struct flow_fork_look *how,
			json_t **report, struct err *e) MUST_USE;
int flow_fork_tree(struct flow *f, json_t **report, struct err *e) MUST_USE;
/* Make the sketch that audits compare with, of a REF, unless it is kept already. f may be open for
 * reading only. */
int flow_fork_keep(struct flow *f, const char *ref, struct err *e) MUST_USE;
/* Every kind of finding and what it says, in the order of docs/formats.md; ended by kind NULL. */
struct flow_finding {
	const char *kind, *says;
};
const struct flow_finding *flow_findings(void);
const char *const *flow_severities(void); /* the least first; ended by NULL */

#endif
