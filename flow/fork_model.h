/* Private to flow/: a checkpoint folder opened for comparison, and what its card declares. */
#ifndef FLOW_FORK_MODEL_H
#define FLOW_FORK_MODEL_H

#include "flow/card.h"
#include "flow/home.h"
#include "forks/forks.h"
#include "model/tensors.h"

#define FLOW_FORK_ALPHA 1e-3 /* the chance of one false accusation that an audit accepts */

/* What is kept of a model beside its weights. */
struct flow_fork_facts {
	json_t *config;
	bool gguf; /* config and tokenizer are made from a GGUF file: not its maker's own texts */
	struct flow_card card;
	struct digest tokenizer;     /* of tokenizer.json; zero when absent */
	struct digest chat_template; /* of the template's text; zero when absent */
};
void flow_fork_facts_free(struct flow_fork_facts *x);

struct flow_fork_model {
	struct flow_ref ref;
	/* Of a registered release, what must lie there; else NULL. Memory of its own: `verified`
	 * points to it, and this structure is moved. */
	struct signing_manifest *manifest;
	struct source *verified; /* the same read through it; else NULL */
	struct source *source;   /* the one to read: verified, or that of ref */
	struct source *gguf;     /* a GGUF file as a folder; NULL: source is one */
	struct model_tensors *tensors;
	struct flow_fork_facts facts;
	struct fork_model model; /* views of the above */
};

/* *out must stay where it is until it is closed: its sources borrow its parts. */
int flow_fork_model_open(struct flow *f, const char *ref, struct flow_fork_model *out,
			 struct err *e) MUST_USE;
void flow_fork_model_close(struct flow_fork_model *m);

/* Its root: of the manifest that was verified; of any other folder or package that of a manifest
 * that a trusted key signed and that all of its files match, else the one that it would be
 * published with. So one content has one name, as a model that is served has. */
int flow_fork_model_root(struct flow *f, struct flow_fork_model *m, struct digest *root,
			 struct err *e) MUST_USE;

/* A comparison's numbers, as far as they outlive its models. */
struct flow_fork_measure {
	enum fork_verdict verdict;
	const char *rung; /* that decided; NULL: none did */
	bool tested;      /* else there is no p-value */
	double p_value, effect, relative_l2, rounding;
	uint64_t changed;
	size_t blocks;
};
struct flow_fork_measure flow_fork_measure_of(const struct fork_comparison *c);
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
