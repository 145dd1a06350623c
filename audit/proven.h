/* Audit: records that are proved as they are appended. */
#ifndef AUDIT_PROVEN_H
#define AUDIT_PROVEN_H

#include "audit/audit.h"

/* A record's entry and the .tlog-proof at the checkpoint that was signed with it, as
 * audit_log_entry and audit_log_proof give them. */
struct audit_proven {
	struct buf entry, proof;
};
/* As audit_log_append; and what proves the record to others, from memory. Both are empty before,
 * and the caller's to free, also after an error. */
int audit_log_append_proven(struct audit_log *log, const struct audit_record *r,
			    struct audit_receipt *out, struct audit_proven *proven,
			    struct err *e) MUST_USE;

#endif
