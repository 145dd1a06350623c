/* Audit: what derives from the key of handles, which keys.db holds. Not while read-only. */
#ifndef AUDIT_KEYED_H
#define AUDIT_KEYED_H

#include "audit/audit.h"

/* What records say in place of the name of who acted: "handle:" and 32 hex digits. */
#define AUDIT_ACTOR_ROOM 40
int audit_actor_handle(struct audit_log *log, const char *name, char out[AUDIT_ACTOR_ROOM],
		       struct err *e) MUST_USE;
/* 128 secret bits of this state folder for a purpose; the same while keys.db is. */
int audit_log_secret(struct audit_log *log, const char *purpose, uint8_t out[16],
		     struct err *e) MUST_USE;

#endif
