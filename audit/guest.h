/* Private to audit/: a process that writes through another's door (guest.c). */
#ifndef AUDIT_GUEST_H
#define AUDIT_GUEST_H

#include "audit/audit.h"

struct audit_guest;

/* ERR_NOTFOUND: there is no door. ERR_UNAVAILABLE: it closes, or is full. */
int audit_guest_enter(struct audit_guest **out, const char *home, const char *command,
		      struct err *e) MUST_USE;
void audit_guest_leave(struct audit_guest *g); /* NULL is fine */
const char *audit_guest_worker(const struct audit_guest *g);
const char *audit_guest_host(const struct audit_guest *g); /* the host's own worker */
bool audit_guest_orphan(struct audit_guest *g); /* the host is gone, with nothing of ours in hand */

/* What the log's own functions of these names do, done by the host. ERR_UNAVAILABLE: it is gone. */
int audit_guest_ready(struct audit_guest *g, struct err *e) MUST_USE;
int audit_guest_reserve(struct audit_guest *g, uint64_t *n, struct err *e) MUST_USE;
int audit_guest_append(struct audit_guest *g, const struct audit_record *r,
		       struct audit_receipt *out, struct err *e) MUST_USE;
int audit_guest_stop(struct audit_guest *g, struct audit_receipt *out, struct err *e) MUST_USE;
struct erase_request {
	const char *subject; /* or NULL, and then: */
	uint64_t index;
	const char *ground, *actor;
};
int audit_guest_erase(struct audit_guest *g, const struct erase_request *x,
		      struct audit_receipt *out, struct err *e) MUST_USE;

#endif
