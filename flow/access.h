/* Flow: tokens, made and revoked in the log and in the table that servers read. */
#ifndef FLOW_ACCESS_H
#define FLOW_ACCESS_H

#include "access/access.h"
#include "flow/flow.h"

/* Who acts, and why; reason may be NULL. */
struct flow_actor {
	const char *name, *reason;
	const char *person; /* whose token it is to be: by name, of which a handle is kept; or NULL */
};

/* Make a token of this grant, whose id and time are filled in. The secret is told here, once.
 * ERR_CONFLICT: a token in use has the name. Report: the grant, and {index} of its record. */
int flow_token_new(struct flow *f, struct access_grant *g, const struct flow_actor *by,
		   char secret[ACCESS_SECRET_ROOM], json_t **report, struct err *e) MUST_USE;
/* By id or name. It is refused from the next request on, whatever comes of the record; where that
 * could not be made, the error says so, and doing it again makes it. Report: likewise; index null:
 * it was revoked before. */
int flow_token_revoke(struct flow *f, const char *which, const struct flow_actor *by,
		      json_t **report, struct err *e) MUST_USE;
int flow_token_list(struct flow *f, json_t **report, struct err *e) MUST_USE;
int flow_token_usage(struct flow *f, int64_t from_us, int64_t to_us, json_t **report,
		     struct err *e) MUST_USE;

/* For serving: the tokens of the state folder, kept up to date. Store, clock and count of changes
 * are filled in. Closed before f. */
int flow_access_open(struct flow *f, const struct access_options *o, struct access **out,
		     struct err *e) MUST_USE;

#endif
