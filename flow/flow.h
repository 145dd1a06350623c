/* Flow: the meeting place. Each use of the product is one page of code here. Reports are JSON
 * documents (new references) with the fields of docs/formats.md, section 11. */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include <stdbool.h>
#include <stdint.h>

/* ---- the state folder ---- */

struct flow; /* an open state folder: database, log, registry, trust */
struct flow_options {
	const char *home;      /* NULL: $HALLMARK_HOME, else as docs/formats.md says */
	const struct env *env; /* borrowed */
	bool read_only,
		quiet; /* no lock, nothing created (ERR_NOTFOUND: no state); no progress bars */
	const char *passphrase; /* for the keys opened by name; NULL: none */
	const char *command;    /* whom others wait for: "release create"; NULL: not said */
	unsigned wait_s;        /* how long to wait for another process that writes here */
	const char *origin;     /* a new log's name; ERR_CONFLICT where it has another; or NULL */
	bool clock_ok;          /* take a clock that jumped ahead of the log */
	bool alone;             /* write ourselves, never through another process's door */
	bool many;              /* records come many at once: audit_options.journal */
};
/* Opens, creating what is missing (a log key and a log on the first use), brings tables of earlier
 * versions up, completes or undoes what a crash left behind; or writes through another process's
 * door. ERR_CONFLICT: another writes, and did so for wait_s; ERR_UNSUPPORTED: a newer program did.
 * Any number of threads may use the verbs that only read, beside one that writes. */
int flow_open(struct flow **out, const struct flow_options *o, struct err *e) MUST_USE;
void flow_close(struct flow *f);

/* ---- registry ---- */

int flow_registry_list(struct flow *f, json_t **report, struct err *e) MUST_USE;
int flow_registry_show(struct flow *f, const char *ref, json_t **report, struct err *e) MUST_USE;
int flow_registry_alias(struct flow *f, const char *ref, const char *alias, json_t **report,
			struct err *e) MUST_USE;
int flow_registry_affected(struct flow *f, const char *ref, json_t **report,
			   struct err *e) MUST_USE;
/* All of the index as a document that is the same for the same log. */
int flow_registry_export(struct flow *f, json_t **report, struct err *e) MUST_USE;
/* Recreate head, entries and index of a missing state.db from log/; or where that is there, write a
 * log/ again that is missing or an old copy. Called instead of flow_open. Report: {size, releases,
 * forks, undisclosable, erased, lost, undisclosable_entries}. */
int flow_registry_rebuild(const struct flow_options *o, json_t **report, struct err *e) MUST_USE;

/* ---- policy ---- */

/* Report: {ok, problems:[{line, column, text}]}. */
int flow_policy_check(const char *path, json_t **report, struct err *e) MUST_USE;
/* Report: {ok, passed, failures:[...]}. */
int flow_policy_test(const char *path, json_t **report, struct err *e) MUST_USE;
int flow_policy_compile(const char *path, struct buf *bundle, struct err *e) MUST_USE;
/* name NULL: {packs [{name, version, rules: how many}]}; else what policy_describe says of one
 * built-in pack. ERR_NOTFOUND. */
int flow_policy_packs(const char *name, json_t **report, struct err *e) MUST_USE;
/* As policy_detectors. */
int flow_policy_detectors(const char *name, json_t **report, struct err *e) MUST_USE;
/* Texts through the output rules. pieces [count]: cut sizes in turn; NULL: whole.
 * Report: {action, findings, output, held_max}. */
struct flow_scanner;
int flow_scanner_open(struct flow_scanner **out, const char *policy_path, struct err *e) MUST_USE;
int flow_scanner_scan(struct flow_scanner *s, const void *text, size_t len, const uint32_t *pieces,
		      size_t count, json_t **report, struct err *e) MUST_USE;
void flow_scanner_close(struct flow_scanner *s);

/* ---- the log ---- */

/* path: a log folder or NULL (of the state folder). vkey NULL: the state folder's own. f may be
 * NULL when both are given. Report: {ok, size, root, origin, problems}. */
int flow_audit_verify(struct flow *f, const char *path, const char *vkey, json_t **report,
		      struct err *e) MUST_USE;
int flow_audit_list(struct flow *f, uint64_t first, uint64_t count, json_t **report,
		    struct err *e) MUST_USE;
/* disclose: fields of the vault too. */
int flow_audit_show(struct flow *f, uint64_t index, bool disclose, json_t **report,
		    struct err *e) MUST_USE;
/* The .tlog-proof of an entry, which it carries. disclose: with the fields that the vault holds,
 * those of `shown` (NULL-terminated names) in clear and the others closed; NULL: all in clear. */
int flow_audit_proof(struct flow *f, uint64_t index, bool disclose, const char *const *shown,
		     struct buf *out, struct err *e) MUST_USE;
/* As one short line: the entry, a dot, and its .tlog-proof without it, both in base64. */
int flow_audit_proof_line(struct flow *f, uint64_t index, struct buf *out, struct err *e) MUST_USE;
/* A receipt file, checked with a verifier key alone. Report: {ok, index, type, entry, fields,
 * detail}. */
int flow_audit_check(const char *receipt_path, const char *vkey, json_t **report,
		     struct err *e) MUST_USE;
/* Erase what the vault holds of an entry: {erased, index, operator}; or of a person, by the name
 * that requests gave or by its handle: {subject: the handle, records, index}. ERR_NOTFOUND. */
struct flow_erase {
	const char *subject; /* NULL: the entry `index` */
	uint64_t index;
	const char *ground, *actor;
	bool look_only; /* of a person: only count */
};
int flow_audit_erase(struct flow *f, const struct flow_erase *q, json_t **report,
		     struct err *e) MUST_USE;

/* What recovery did at flow_open: {completed, undone, failed}: folders, and why not. Borrowed. */
const json_t *flow_recovered(const struct flow *f);

/* ---- for serving ---- */

/* Borrowed until flow_close. */
const struct env *flow_env(const struct flow *f);
struct audit_log *flow_log(const struct flow *f);
const char *flow_home(const struct flow *f); /* the state folder */
bool flow_quiet(const struct flow *f);
/* The process ends: what another program holds is waited for a moment, no longer each time. */
void flow_hurry(struct flow *f);
bool flow_read_only(const struct flow *f);
/* Let other commands write through this process. ERR_IO: no sockets on this file system. */
int flow_door_open(struct flow *f, struct err *e) MUST_USE;

/* Append a record with this process's next number; the first is preceded by a start record. body or
 * fields as in audit.h; r->n is set here, unless reserved says that it was before. */
struct audit_record;
struct audit_receipt;
int flow_append(struct flow *f, struct audit_record *r, bool reserved, struct audit_receipt *out,
		struct err *e) MUST_USE;
/* The same with a reserved number; and its receipt as flow_audit_proof_line gives it, appended. */
int flow_append_line(struct flow *f, const struct audit_record *r, struct audit_receipt *out,
		     struct buf *line, struct err *e) MUST_USE;
int flow_start(struct flow *f, struct err *e) MUST_USE; /* the start record, if not yet written */

/* A model as a source whose every byte is checked as it is read, when it is signed by `key` (NULL:
 * a trusted one). unsigned_ok: else as it is, its root computed. ERR_VERIFY, ERR_NOTFOUND. */
struct flow_model;
struct source;
int flow_model_open(struct flow_model **out, struct flow *f, const char *ref, const char *key,
		    bool unsigned_ok, struct err *e) MUST_USE;
/* From here on as it is, whatever was signed. Its source changes. */
int flow_model_plain(struct flow_model *m, struct err *e) MUST_USE;
/* Borrowed. signer: "" when unsigned. */
struct source *flow_model_source(const struct flow_model *m);
const struct digest *flow_model_root(const struct flow_model *m);
const char *flow_model_signer(const struct flow_model *m);
void flow_model_close(struct flow_model *m); /* NULL is fine */

#endif
