/* Private to audit/: from a record to the bytes of its entry. */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include "audit/audit.h"

/* A record made ready outside the log's locks. */
struct record {
	const struct audit_record *from; /* borrowed */
	bool committed;                  /* type with commitments */
	struct buf plain;                /* canonical JSON that the vault seals; empty for clear types */
	struct digest root;              /* over the field commitments */
};

/* Check the type and its parts, draw salts, commit to the values (kept by reference). */
int audit_record_prepare(const struct audit_record *from, const struct env *env, struct record *out,
			 struct err *e) MUST_USE;
void audit_record_free(struct record *r); /* wipes its text; jansson has no wiping allocator */

/* Append the canonical entry. cipher may be NULL. ERR_INPUT over LIMIT_ENTRY_BYTES. */
int audit_record_entry(const struct record *r, const char *worker, uint64_t n, int64_t time_us,
		       const struct digest *cipher, struct buf *out, struct err *e) MUST_USE;

/* types.c */
bool audit_record_type_known(const char *type);
bool audit_record_type_committed(const char *type);
/* The fields that the type has, in its order: else ERR_INPUT. */
int audit_record_fields_check(const char *type, const struct audit_field *field, size_t count,
			      struct err *e) MUST_USE;

/* Parse and check the members of an entry's canonical JSON. What this version does not know is not
 * an error: an unknown type has `unread`, and so has a later version, whose form is not looked at.
 */
struct record_head {
	json_t *entry;             /* owned */
	const char *type, *worker; /* both "", n and time_us 0: a later version that lacks one */
	uint64_t n, version;
	int64_t time_us;
	bool unread;
	bool committed, sealed; /* of version 1; sealed: it has a cipher */
};
int audit_record_parse(const void *entry, size_t len, struct record_head *out,
		       struct err *e) MUST_USE;
/* ERR_UNSUPPORTED, by name, where an entry of version 1 is needed. */
int audit_record_known_version(const struct record_head *head, struct err *e) MUST_USE;

#endif
