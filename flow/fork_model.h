/* Private to flow/: a checkpoint folder opened for comparison, and what its card declares. */
#ifndef FLOW_FORK_MODEL_H
#define FLOW_FORK_MODEL_H

#include "flow/card.h"
#include "flow/home.h"
#include "forks/forks.h"
#include "model/tensors.h"

#define FLOW_FORK_ALPHA 1e-3 /* the chance of one false accusation that an audit accepts */

struct flow_fork_model {
	struct flow_ref ref;
	/* Of a registered release, what must lie there; else NULL. Memory of its own: `verified`
	 * points to it, and this structure is moved. */
	struct signing_manifest *manifest;
	struct source *verified; /* the same read through it; else NULL */
	struct source *source;   /* the one to read: verified, or that of ref */
	struct model_tensors *tensors;
	json_t *config;
	struct fork_model model; /* views of the above */
	struct flow_card card;
	struct digest tokenizer;     /* of tokenizer.json; zero when absent */
	struct digest chat_template; /* of the template's text; zero when absent */
};

/* *out must stay where it is until it is closed: its sources borrow its parts. */
int flow_fork_model_open(struct flow *f, const char *ref, struct flow_fork_model *out,
			 struct err *e) MUST_USE;
void flow_fork_model_close(struct flow_fork_model *m);

/* Its root as a release, signed or not: one content has one name. */
int flow_fork_model_root(const struct flow_fork_model *m, struct digest *root,
			 struct err *e) MUST_USE;

/* Contradictions between what the suspect's card declares and what was measured against one
 * candidate, appended to findings as {kind, detail}. parent_name: the candidate's registered name
 * or folder. */
int flow_fork_findings(const struct flow_fork_model *parent, const char *parent_name,
		       const struct flow_fork_model *suspect, const struct fork_comparison *c,
		       json_t *findings, struct err *e) MUST_USE;

#endif
