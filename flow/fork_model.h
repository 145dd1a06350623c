/* Private to flow/: a checkpoint folder opened for comparison, and what its card declares. */
#ifndef FLOW_FORK_MODEL_H
#define FLOW_FORK_MODEL_H

#include "flow/fork_facts.h"
#include "flow/home.h"
#include "forks/forks.h"

#define FLOW_FORK_ALPHA 1e-3 /* the chance of one false accusation that an audit accepts */

struct flow_fork_model {
	struct flow_ref ref;
	/* Of a registered release, what must lie there; else NULL. Memory of its own: `verified`
	 * points to it, and this structure is moved. */
	struct signing_manifest *manifest;
	struct source *verified; /* the same read through it; else NULL */
	struct source *source;   /* the one to read: verified, or that of ref */
	struct source *gguf;     /* a GGUF file as a folder; NULL: source is one */
	struct model_values *values;
	bool adapter;             /* it is a LoRA adapter: of its base it holds nothing */
	struct fork_token *token; /* NULL until they are asked for */
	struct flow_fork_facts facts;
	struct fork_model model; /* views of the above */
};

/* *out must stay where it is until it is closed: its sources borrow its parts. */
int flow_fork_model_open(struct flow *f, const char *ref, struct flow_fork_model *out,
			 struct err *e) MUST_USE;
void flow_fork_model_close(struct flow_fork_model *m);

/* Read its tokens, once, into m->model; none where its tokenizer is of a form that is not read. */
int flow_fork_model_tokens(struct flow_fork_model *m, struct err *e) MUST_USE;

/* Its root: of the manifest that was verified; of any other folder or package that of a manifest
 * that a trusted key signed and that all of its files match, else the one that it would be
 * published with. So one content has one name, as a model that is served has. */
int flow_fork_model_root(struct flow *f, struct flow_fork_model *m, struct digest *root,
			 struct err *e) MUST_USE;

/* fork_tokens.c: the vocabulary that a folder has, ascending by hash; malloc'ed. */
int flow_fork_tokens(struct source *s, struct fork_token **out, size_t *count,
		     struct err *e) MUST_USE;

#endif
