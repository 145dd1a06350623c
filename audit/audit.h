/* Audit: the transparency log. RFC 6962 tree, C2SP tiles and checkpoint, salted commitments,
 * erasable vault; where its parts lie, what an entry holds and how it may grow: docs/formats.md, 1,
 * 4 and 5. A record is acknowledged only after its checkpoint is durable. Sources: RFC 6962, RFC
 * 9162 section 2.1, C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof. */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/json.h"
#include "base/store.h"
#include "signing/signing.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- records --------------------------------------------------------------------------------- */

/* A type of record. field: NULL-terminated, in the order of their commitments; NULL: any. */
struct audit_type {
	const char *name;
	bool committed;
	const char *const *field;
};
const struct audit_type *audit_type_find(const char *name); /* NULL: unknown */

/* One committed field; value is borrowed, NULL means absent (commits to `null`). */
struct audit_field {
	const char *name;
	json_t *value;
};

#define AUDIT_NEXT UINT64_MAX /* the next number, which nobody is told before the record is there */

/* What to append. Clear types (genesis, config, release, ...) carry `body`; committed types
 * (decision, erasure, ...) carry `field` in their type's order. All of it is borrowed. */
struct audit_record {
	const char *type;
	uint64_t n;   /* worker's running number, from audit_log_reserve, or AUDIT_NEXT */
	json_t *body; /* object, or NULL for committed types */
	const struct audit_field *field;
	size_t field_count;
	const char *const *text; /* each field's value in canonical JSON; NULL: in its value */
	const char *bundle;      /* policy bundle digest text, or NULL */
	const char *outcome;     /* "completed", "redacted", ...; NULL for clear types */
	const char *subject;     /* keyed handle whose key seals the row; NULL: a key of its own */
	json_t *retained;        /* kept in the vault beside the fields (for replay), or NULL */
	const char *retained_text; /* the same in canonical JSON; NULL: in retained */
};

/* The result of an acknowledged append. */
struct audit_receipt {
	uint64_t index; /* in the log */
	uint64_t n;
	struct digest leaf; /* leaf hash of the entry */
};

/* Runs inside the append's transaction, after the entry is inserted, for rows that must share its
 * fate. entry is the parsed canonical JSON, borrowed. A negative result refuses the record, and
 * undoes what was done for it. Run over all entries in order, it rebuilds the rows. */
struct audit_hook {
	int (*apply)(void *ctx, struct store_tx *tx, uint64_t index, const json_t *entry,
		     struct err *e);
	/* Runs when the log's tables are made or brought up, in their transaction; or NULL. */
	int (*schema)(struct store_tx *tx, struct err *e);
	void *ctx;
	bool (*concerns)(const char *type); /* false: apply does nothing; NULL: it may for any */
};

/* ---- the log ---- */

struct audit_log;

struct audit_options {
	const char *home;    /* state folder */
	struct store *store; /* state.db, borrowed */
	struct store *keys;  /* keys.db, borrowed; NULL when read_only and there is none */
	const struct signing_identity *key; /* the log's, borrowed */
	/* The vault's, from which what wraps its subject keys derives, and the one before it, of
	 * which an opening for writing makes no use but to wrap again; borrowed. NULL: the log's.
	 */
	const struct signing_identity *vault, *vault_before;
	const char *origin;        /* the log's name: vkey name, first checkpoint line */
	struct audit_hook hook;    /* may be {0} */
	const struct env *env;     /* borrowed */
	struct audit_claim *claim; /* to write (audit/door.h), borrowed; NULL: taken here */
	bool read_only; /* no lock, no append; what a killed process left in its journal is taken in */
	bool journal, mend; /* sealed records go to HOME/journal first; private to audit/ */
	/* Write log/ again from state.db where its checkpoint is missing, damaged or older than
	 * what was published, which is refused otherwise. ERR_CONFLICT: it is none of these. */
	bool rewrite;
	bool clock_ok; /* take a clock that jumped ahead: audit/clock.c */
};

/* The name of the log of a state folder, given once to its genesis, into out[256]: from the
 * database, or where that has no log from the checkpoint. ERR_NOTFOUND: there is no log yet. It
 * counts when the log is opened under it: the checkpoint must be signed in that name. */
int audit_log_name(struct store *store, const char *log_dir, char out[256], struct err *e) MUST_USE;

/* Open, or create; recovers from a crash at any step. ERR_CONFLICT: another process
 * writes. ERR_VERIFY: stored state contradicts itself (says where); nothing is signed then. */
int audit_log_open(struct audit_log **out, const struct audit_options *o, struct err *e) MUST_USE;
void audit_log_close(struct audit_log *log); /* NULL is fine */

/* This process's worker id (random hex, in every entry; borrowed) and its next number, without gaps
 * from 0 (the start record). No number is given twice, not even after a crash, once the worker has
 * started: it is reserved durably, in blocks, and one that never comes to a record is named in a
 * `lost` entry. May fail as an append does. */
const char *audit_log_worker(const struct audit_log *log);
int audit_log_reserve(struct audit_log *log, uint64_t *n, struct err *e) MUST_USE;

/* Append and wait until the checkpoint that covers it is durable. Many threads may call it at once:
 * what queues while one batch is made durable is the next, of up to 1,024. ERR_UNAVAILABLE: queue
 * full or fail-stop; ERR_IO: storage failed, nothing was acknowledged. ERR_CONFLICT: read_only, or
 * the hook refuses the record. */
int audit_log_append(struct audit_log *log, const struct audit_record *r, struct audit_receipt *out,
		     struct err *e) MUST_USE;

/* Append the stop record, after all others: the worker's last number, those that were given and
 * have no record, and those that were reserved and never given. */
int audit_log_stop(struct audit_log *log, struct audit_receipt *out, struct err *e) MUST_USE;

/* 0 while the log takes records; ERR_UNAVAILABLE after a storage fault, or while the clock is over
 * a day ahead: what cannot be recorded must not be begun. Asking opens the log again, from the
 * disk, when it is time for a try. */
int audit_log_ready(struct audit_log *log, struct err *e) MUST_USE;

uint64_t audit_log_size(const struct audit_log *log);
const char *audit_log_origin(const struct audit_log *log);
int audit_log_vkey(const struct audit_log *log, struct buf *out, struct err *e) MUST_USE;

/* Entry bytes by index, appended to out. ERR_VERIFY: they do not have their published hash. */
int audit_log_entry(struct audit_log *log, uint64_t index, struct buf *out, struct err *e) MUST_USE;
/* The index of a worker's record with number n; ERR_NOTFOUND. */
int audit_log_find(struct audit_log *log, const char *worker, uint64_t n, uint64_t *index,
		   struct err *e) MUST_USE;

/* The .tlog-proof of an entry at the current checkpoint, appended to out. extra may be NULL. */
int audit_log_proof(struct audit_log *log, uint64_t index, const void *extra, size_t extra_len,
		    struct buf *out, struct err *e) MUST_USE;

/* ---- vault ---- */

/* Fields with salts, and what was retained, of a committed record:
 * {"fields":[{"name","salt","value"}...],"retained":...}. ERR_NOTFOUND: erased or lost. */
int audit_vault_read(struct audit_log *log, uint64_t index, json_t **out, struct err *e) MUST_USE;
/* After its ERR_NOTFOUND for a sealed record: the same, with a sentence that says why: erased by
 * which entry, lost. Looks at every entry after it. */
int audit_vault_why(struct audit_log *log, uint64_t index, struct err *e) MUST_USE;

/* The id of the key that wraps what is in keys.db, "" where nothing is, or the log's key does. */
#define VAULT_KEK_ROOM 17
int audit_vault_kek(struct store *keys, char id[VAULT_KEK_ROOM], struct err *e) MUST_USE;

/* Erase ciphertext, salts and subject keys of a subject (or of one index when subject is NULL),
 * scrub the databases, and append an erasure entry and the operator record of who asked. ground:
 * "request", "court", "retention" or "mistake"; other text is the reason of a request. actor: a
 * name, of which the log gets a keyed handle. ERR_NOTFOUND: the vault holds nothing of it.
 * ERR_UNAVAILABLE: logged, and completed by the next opening: a reader held old pages, or the key
 * could not be destroyed, and until then the log takes nothing more. */
int audit_vault_erase(struct audit_log *log, const char *subject, uint64_t index,
		      const char *ground, const char *actor, struct audit_receipt *out,
		      struct err *e) MUST_USE;

/* Recompute an entry's field root from disclosed fields; entry: canonical bytes. May ERR_VERIFY. */
int audit_fields_check(const void *entry, size_t len, const json_t *fields, struct err *e) MUST_USE;

/* Close the fields that are not named in `open` (NULL-terminated): each becomes {"commitment"}.
 * fields as audit_vault_read gives them. */
int audit_fields_close(json_t *fields, const char *const *open, struct err *e) MUST_USE;

/* ---- verifying, with nothing but a verifier key; of whole logs: audit/whole.h ---- */

/* Check a .tlog-proof of entry bytes offline. 0, ERR_INPUT (malformed) or ERR_VERIFY. index may be
 * NULL. */
int audit_proof_check(const void *proof, size_t len, const void *entry, size_t entry_len,
		      const char *vkey, uint64_t *index, struct err *e) MUST_USE;

/* The `extra` bytes of a .tlog-proof (unauthenticated), appended. ERR_NOTFOUND without one. */
int audit_proof_extra(const void *proof, size_t len, struct buf *out, struct err *e) MUST_USE;

/* RFC 6962 inclusion and consistency, for others' trees. path [count]. 0 or ERR_VERIFY. */
int audit_inclusion_check(uint64_t index, uint64_t size, const struct digest *leaf,
			  const struct digest *path, size_t count,
			  const struct digest *root) MUST_USE;
int audit_consistency_check(uint64_t old_size, uint64_t size, const struct digest *old_root,
			    const struct digest *root, const struct digest *path,
			    size_t count) MUST_USE;

/* Whether text is a verifier key of a known form: 0 or ERR_INPUT. */
int audit_vkey_check(const char *vkey, struct err *e) MUST_USE;

/* Signed note: sign text with the identity under name; check one with a vkey, append its text. */
int audit_note_sign(const struct signing_identity *id, const char *name, const char *text,
		    size_t len, struct buf *out, struct err *e) MUST_USE;
int audit_note_open(const void *note, size_t len, const char *vkey, struct buf *text,
		    struct err *e) MUST_USE;

#endif
