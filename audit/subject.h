/* Audit: persons. A person whose data is in a request is the log's subject: what is kept of the
 * request is sealed under a key of that person, and erased with it. */
#ifndef AUDIT_SUBJECT_H
#define AUDIT_SUBJECT_H

#include "audit/audit.h"

/* What records say in place of a name: "handle:" and 32 hex digits, its HMAC under a key of
 * keys.db without which nobody can say whose it is. name: UTF-8, 1..256 bytes, no control
 * characters. ERR_INPUT: it is not. Any thread. */
#define AUDIT_HANDLE_ROOM 40
int audit_subject_handle(struct audit_log *log, const char *name, char out[AUDIT_HANDLE_ROOM],
			 struct err *e) MUST_USE;
/* How many records are sealed under the key of the person with this handle. */
int audit_subject_count(struct audit_log *log, const char *handle, uint64_t *count,
			struct err *e) MUST_USE;

#endif
