/* Audit: who writes. One process at a time holds HOME/log/lock and writes; others wait for it. */
#ifndef AUDIT_DOOR_H
#define AUDIT_DOOR_H

#include "audit/audit.h"

/* The right to write, held. */
struct audit_claim;

struct audit_claiming {
	const char *home;      /* the state folder; HOME/log exists */
	const char *command;   /* what others are told of us: "release create"; NULL: nothing */
	const struct env *env; /* borrowed */
	unsigned wait_ms;      /* how long to wait for the holder; 0: not at all */
	/* Called once when there is something to wait for; may be NULL. who: "`hallmark serve`
	 * (process 1234)", or "another process". */
	void (*waiting)(void *ctx, const char *who);
	void *ctx;
};

/* ERR_CONFLICT: held by another process all that time; the sentence names it. */
int audit_claim_take(struct audit_claim **out, const struct audit_claiming *how,
		     struct err *e) MUST_USE;
/* After the log is closed; NULL is fine. */
void audit_claim_drop(struct audit_claim *claim);

#endif
