/* Private to flow/: sketches of models, kept by root. What is kept may be deleted at any time; what
 * is registered can be compared from it when its files are gone. */
#ifndef FLOW_FORK_CACHE_H
#define FLOW_FORK_CACHE_H

#include "base/progress.h"
#include "flow/fork_model.h"

/* The kept sketch of that root. ERR_NOTFOUND: there is none, or none that can be read. */
int flow_fork_sketch_kept(struct flow *f, const struct digest *root, struct fork_sketch **out,
			  struct err *e) MUST_USE;

bool flow_fork_sketch_is_kept(const struct flow *f, const struct digest *root);

/* The kept one, else made of the model, which has that root, and kept; f NULL, or a folder that
 * cannot be written: not kept. pool and bar (of the bytes read) may be NULL. For any number of
 * processes at once, also where f is open for reading only. */
int flow_fork_sketch(struct flow *f, struct flow_fork_model *m, const struct digest *root,
		     struct pool *pool, struct progress *bar, struct fork_sketch **out,
		     struct err *e) MUST_USE;
/* Bytes that a sketch reads of it. */
uint64_t flow_fork_model_bytes(const struct flow_fork_model *m);

#endif
