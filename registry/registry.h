/* Registry: models, releases, forks and their lineage edges. An index, not a truth: every row is
 * written by registry_apply from a log entry, so that replaying the log gives the same rows and the
 * same export.
 *
 * Entry bodies it reads (docs/formats.md, section 5); members beside these are kept:
 *   release   {model, version, root, manifest, bundle, publisher, keyid, license,
 *              parents:[{name, root, relation}], files, bytes}
 *   fork      {subject, subject_name, verdict,
 *              parents:[{root, name, weight, verdict, p_value, effect, rung, basis}], ...}
 *   registry  {event, actor, model, alias, root, gate}: an alias moves
 * Other types and events are ignored. Local folders are not part of the log: they stand in table
 * location, outside the export. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "base/digest.h"
#include "base/json.h"
#include "base/store.h"

#include <stdbool.h>
#include <stdint.h>

struct registry;

/* store is borrowed. For any thread. ERR_UNSUPPORTED: a newer program wrote its tables. */
int registry_open(struct registry **out, struct store *store, struct err *e) MUST_USE;
void registry_close(struct registry *r);

/* Log hook: make the tables, or bring them up. */
int registry_schema(struct store_tx *tx, struct err *e) MUST_USE;

/* Log hook: write the rows that entry stands for, in the running transaction. ERR_CONFLICT: that
 * model and version exist with another root. */
int registry_apply(void *registry, struct store_tx *tx, uint64_t index, const json_t *entry,
		   struct err *e) MUST_USE;
bool registry_concerns(const char *type); /* whether such entries stand for any */

struct registry_release {
	char model[256], version[64], publisher[64], license[64], keyid[65];
	struct digest root, manifest;
	uint64_t log_index, files, bytes;
	char location[4096]; /* local folder, or "" */
};

/* "org/model" (its highest version), "org/model@1.2.0", "org/model@alias", "sha256:..." (root).
 * ERR_NOTFOUND. */
int registry_find(struct registry *r, const char *ref, struct registry_release *out,
		  struct err *e) MUST_USE;

/* Remember where a release, or what else has that root, lies on this machine. */
int registry_locate(struct registry *r, const struct digest *root, const char *folder,
		    struct err *e) MUST_USE;

/* The folder, of a release or of anything else with a root; "" where none is remembered.
 * out[LIMIT_PATH_BYTES]. */
int registry_location(struct registry *r, const struct digest *root, char *out,
		      struct err *e) MUST_USE;

/* Everything, ordered and out of one snapshot: {"releases":[...],"forks":[...],"aliases":[...],
 * "edges":[...]} as docs/formats.md, section 11, has it, a new reference. Same log, same canonical
 * bytes. */
int registry_export(struct registry *r, json_t **out, struct err *e) MUST_USE;

/* Call visit for every release, in log order, out of one snapshot. Its release is borrowed; what it
 * returns other than 0 ends the walk, and is returned. */
int registry_each(struct registry *r,
		  int (*visit)(void *ctx, const struct registry_release *release, struct err *e),
		  void *ctx, struct err *e) MUST_USE;

/* Descendants of a root along fork edges and declared parents, as JSON array of {name, root,
 * relation, depth}. Nothing is its own descendant. */
int registry_affected(struct registry *r, const struct digest *root, json_t **out,
		      struct err *e) MUST_USE;

/* How the edges say that root descends from ancestor. */
enum registry_descent {
	REGISTRY_UNRELATED,
	REGISTRY_PRESUMED, /* the direction is only that of registration, at one edge or more */
	REGISTRY_FIRM,     /* declared, measured or asserted all the way; or it is the ancestor */
};
int registry_descent(struct registry *r, const struct digest *root, const struct digest *ancestor,
		     enum registry_descent *out, struct err *e) MUST_USE;

/* ---- publications under way: of this machine, not of the log ---- */

struct registry_pending {
	char dir[4096], package[4096]; /* full paths; package "" for none */
	char model[256], version[64];
	struct digest root; /* once everything is staged */
	bool has_root;
};
/* ERR_CONFLICT: one of that folder is under way. root is not taken. */
int registry_pending_begin(struct registry *r, const struct registry_pending *p,
			   struct err *e) MUST_USE;
int registry_pending_root(struct registry *r, const char *dir, const struct digest *root,
			  struct err *e) MUST_USE;
int registry_pending_forget(struct registry *r, const char *dir, struct err *e) MUST_USE;
/* 1 with the first whose folder sorts after that one ("" to begin), 0 past the last. after may be
 * out->dir. */
int registry_pending_next(struct registry *r, const char *after, struct registry_pending *out,
			  struct err *e) MUST_USE;

#endif
