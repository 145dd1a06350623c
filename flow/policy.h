/* Flow: policies for use, read from files; what is served by them is kept for replays. */
#ifndef FLOW_POLICY_H
#define FLOW_POLICY_H

#include "flow/flow.h"

struct digest;
struct policy_profile;

/* A policy for use: TOML is compiled, a bundle taken as it is. keep: the bundle is kept in the
 * state folder by its digest, so that flow_policy_find finds it for a replay. files: gets the paths
 * of all that it was read from, each with a NUL behind it, on failure too; or NULL. */
int flow_policy_open(struct flow *f, const char *path, bool keep, struct buf *files,
		     struct policy_profile **out, struct err *e) MUST_USE;
/* The same for one that is to replace another in use, and kept only then: where it enforces, its
 * own tests pass (ERR_DENIED), and its file stands still meanwhile (ERR_CONFLICT). */
struct flow_policy_next {
	struct buf *files; /* as above */
	/* Says last whether it may; a negative result is that of the opening. */
	int (*accept)(void *ctx, const struct policy_profile *p, struct err *e);
	void *ctx;
};
int flow_policy_open_next(struct flow *f, const char *path, const struct flow_policy_next *how,
			  struct policy_profile **out, struct err *e) MUST_USE;
/* A digest that changes with any of these files. */
int flow_policy_stamp(const struct buf *files, struct digest *out, struct err *e) MUST_USE;
/* The path of a kept bundle, by digest text ("sha256:..."). out[LIMIT_PATH_BYTES]. ERR_NOTFOUND;
 * ERR_VERIFY: the file is not what its name says. */
int flow_policy_find(const struct flow *f, const char *digest, char *out, struct err *e) MUST_USE;

#endif
