/* Audit: who writes. One process at a time holds HOME/log/lock and writes. Others wait for it, or,
 * where it has opened its door, write through it. */
#ifndef AUDIT_DOOR_H
#define AUDIT_DOOR_H

#include "audit/audit.h"

/* The right to write, held, or a guest's place at the door of who holds it. */
struct audit_claim;

struct audit_claiming {
	const char *home;      /* the state folder; HOME/log exists */
	const char *command;   /* what others are told of us: "release create"; NULL: nothing */
	const struct env *env; /* borrowed */
	bool alone;            /* hold it; be nobody's guest */
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
/* Whether somebody holds it now, and who, as above; of a state folder that is there. Others are
 * held up for no longer than a look takes. */
#define AUDIT_WHO_ROOM 160
bool audit_claim_holder(const char *home, char who[AUDIT_WHO_ROOM]);
/* Whether another process writes for its holder; false for NULL. */
bool audit_claim_is_guest(const struct audit_claim *claim);
/* The worker of the process that writes for this log, or NULL: it writes itself. Borrowed. */
const char *audit_log_host(const struct audit_log *log);
/* Whether that process is gone, with nothing of ours in hand: what it did not record may be given
 * to the next, after a claim and an opening anew. */
bool audit_log_orphan(const struct audit_log *log);

/* Let others write through this log (borrowed), each as a worker of its own, while it is open.
 * Their audit_log_open takes their claim and reads like any reader; what it appends is done here.
 * ERR_IO: the file system has no sockets; then they wait for this process to end. */
struct audit_door;
int audit_door_open(struct audit_door **out, struct audit_log *log, struct err *e) MUST_USE;
/* What guests have sent is done first; others are told that we ended. Before audit_log_close; NULL
 * is fine. */
void audit_door_close(struct audit_door *door);

#endif
