/* A folder that another publisher signed, published again by us. Their bundle and what lay beside
 * it are kept in DIR.hallmark/upstream/, and their release is a parent of ours: a signature is
 * evidence, and the first one says where the model came from. */
#include "base/file.h"
#include "base/text.h"
#include "flow/artifact.h"

#include <stdio.h>
#include <string.h>

#define UPSTREAM_FILES_MAX 1000

/* Whether a key of this state folder made the bundle, or the bundle says so: one of ours that is
 * damaged is no other publisher's. */
static int is_own(struct flow *f, const struct buf *bundle, bool *own, struct err *e)
{
	struct flow_trust t;
	TRY(flow_trust_load(f, NULL, &t, e));
	*own = false;
	for (size_t i = 0; i < t.count && !*own; i++)
		*own = t.of[i].own &&
		       signing_bundle_names(bundle->bytes, bundle->len, &t.of[i].key);
	flow_trust_free(&t);
	return 0;
}

/* What the first release is called: by its own statement where it has one, else the folder's name
 * that it was signed under. */
static void name_first(struct source *beside, const struct signing_manifest *m,
		       struct flow_first *out)
{
	struct signing_named named = { .model = "" };
	flow_named_read(beside, m, &named);
	snprintf(out->name, sizeof out->name, "%s", named.model[0] ? named.model : m->model_name);
	snprintf(out->version, sizeof out->version, "%s", named.version);
	snprintf(out->license, sizeof out->license, "%s", named.license);
	out->root = m->root;
	out->readable = text_utf8_valid(out->name, strlen(out->name));
}

int flow_first_find(struct flow *f, struct source *model, const char *dir, struct flow_first *out,
		    struct err *e)
{
	struct buf bundle = { 0 };
	struct signing_manifest m = { 0 };
	struct source *beside = NULL;
	struct err why = { 0 };
	bool own = false;
	*out = (struct flow_first){ .found = false };
	int rc = source_read_file(model, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &bundle, e);
	if (rc == ERR_NOTFOUND) {
		rc = 0;
		goto out;
	}
	TRY_OUT(rc);
	TRY_OUT(is_own(f, &bundle, &own, e));
	out->found = !own;
	if (own || signing_bundle_open(bundle.bytes, bundle.len, NULL, &m, &why) < 0)
		goto out;
	TRY_OUT(flow_beside_open(dir, &beside, e));
	name_first(beside, &m, out);
out:
	source_close(beside);
	signing_manifest_free(&m);
	buf_free(&bundle);
	return rc;
}

static int copy_one(struct source *from, const char *name, const char *folder, struct err *e)
{
	char path[LIMIT_PATH_BYTES], above[LIMIT_PATH_BYTES];
	struct buf text = { 0 };
	int rc = 0;
	TRY_OUT(file_join(path, folder, name, e));
	snprintf(above, sizeof above, "%.*s", (int)(strrchr(path, '/') - path), path);
	TRY_OUT(file_make_dirs(above, 0755, e));
	TRY_OUT(source_read_file(from, name, FLOW_ARTIFACT_BYTES, &text, e));
	TRY_OUT(file_write_durable(path, text.bytes ? text.bytes : "", text.len, 0644, e));
out:
	buf_free(&text);
	return rc;
}

int flow_beside_copy(struct source *from, bool (*wanted)(const char *name), const char *folder,
		     struct err *e)
{
	struct file_tree there = { 0 };
	int rc = 0;
	TRY_OUT(source_list(from, NULL, 0, &there, e));
	if (there.count > UPSTREAM_FILES_MAX)
		TRY_OUT(err_set(e, ERR_INPUT, "%s: more than %d files beside a model", from->label,
				UPSTREAM_FILES_MAX));
	for (size_t i = 0; i < there.count; i++) {
		const struct file_entry *f = &there.entry[i];
		if (wanted(f->name) && f->kind == FILE_REGULAR)
			TRY_OUT(copy_one(from, f->name, folder, e));
	}
out:
	file_tree_free(&there);
	return rc;
}

static bool is_upstream(const char *name) { return text_starts(name, FLOW_UPSTREAM "/"); }

int flow_first_keep(struct source *model, const char *dir, bool found, const char *staging,
		    struct err *e)
{
	char upstream[LIMIT_PATH_BYTES];
	struct source *beside = NULL;
	int rc = 0;
	TRY_OUT(file_join(upstream, staging, FLOW_UPSTREAM, e));
	TRY_OUT(flow_beside_open(dir, &beside, e));
	if (found)
		TRY_OUT(copy_one(model, SIGNING_BUNDLE, upstream, e));
	if (beside)
		TRY_OUT(flow_beside_copy(beside, found ? flow_beside_known : is_upstream,
					 found ? upstream : staging, e));
out:
	source_close(beside);
	return rc;
}
