/* Registry: models, releases, forks and their lineage edges. An index, not a truth: every row is
 * written by registry_apply from a log entry, so that replaying the log gives the same rows and the
 * same export.
 *
 * Entry bodies it understands (ordered fields in docs/formats.md):
 *   release   {model, version, root, manifest, bundle, publisher, keyid, license,
 *              parents:[{name, root, relation}], files, bytes}
 *   fork      {subject, subject_name, parent, parent_name, declared, relation, verdict, p_value,
 *              effect, findings:[{kind, detail}], report}
 *   registry  {model, alias, root}: an alias moves
 * Other types are ignored. Local folders are not part of the log: they stand in table location,
 * outside the export. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "base/digest.h"
#include "base/json.h"
#include "base/store.h"

#include <stdint.h>

struct registry;

/* Create the tables if needed. store is borrowed; the caller serialises use. */
int registry_open(struct registry **out, struct store *store, struct err *e) MUST_USE;
void registry_close(struct registry *r);

/* Log hook: write the rows that entry stands for. tx is the store of the running transaction.
 * ERR_CONFLICT: that model and version exist with another root. */
int registry_apply(void *registry, struct store *tx, uint64_t index, const json_t *entry,
		   struct err *e) MUST_USE;

struct registry_release {
	char model[256], version[64], publisher[64], license[64], keyid[65];
	struct digest root, manifest;
	uint64_t log_index, files, bytes;
	char location[4096]; /* local folder, or "" */
};

/* "org/model" (newest), "org/model@1.2.0", "org/model@alias", "sha256:..." (root). ERR_NOTFOUND. */
int registry_find(struct registry *r, const char *ref, struct registry_release *out,
		  struct err *e) MUST_USE;

/* Remember where a release lies on this machine. */
int registry_locate(struct registry *r, const struct digest *root, const char *folder,
		    struct err *e) MUST_USE;

/* Everything, ordered, as canonical JSON: {"releases":[...],"forks":[...],"aliases":[...]}. Same
 * log, same bytes. */
int registry_export(struct registry *r, struct buf *out, struct err *e) MUST_USE;

/* Every release, in log order: returns 1 and fills out for the i-th, 0 past the end. */
int registry_release_at(struct registry *r, uint64_t i, struct registry_release *out,
			struct err *e) MUST_USE;

/* Descendants of a root along fork edges and declared parents, as JSON array of {name, root,
 * relation, depth}. */
int registry_affected(struct registry *r, const struct digest *root, json_t **out,
		      struct err *e) MUST_USE;

#endif
