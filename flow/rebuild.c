/* Registry rebuild: the log is the truth. Recreates a missing state.db from the published log
 * folder; what the vault held is gone and is listed as no longer disclosable. Runs where flow_open
 * cannot: there is no head to open. */
#include "base/file.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

static int count_rows(struct store *s, const char *sql, json_int_t *out, struct err *e)
{
	struct store_stmt *st;
	TRY(store_prepare(s, sql, &st, e));
	int rc = store_step(st, e);
	if (rc == 1)
		*out = store_i64(st, 0);
	store_finish(st);
	return rc < 0 ? rc : 0;
}

/* The records whose content the lost vault held: their commitments stand, nothing opens them. */
static int list_undisclosable(struct store *s, json_t *list, struct err *e)
{
	struct store_stmt *st;
	int rc;
	TRY(store_prepare(
		s,
		"SELECT l.idx, l.type FROM log_entry l LEFT JOIN vault v ON v.idx = l.idx "
		"WHERE v.idx IS NULL AND l.type IN ('decision', 'incident', 'operator', "
		"'erasure') ORDER BY l.idx",
		&st, e));
	while ((rc = store_step(st, e)) == 1)
		json_array_append_new(list,
				      json_pack("{s:I,s:s}", "index", (json_int_t)store_i64(st, 0),
						"type", store_text(st, 1)));
	store_finish(st);
	return rc;
}

static int describe(struct flow *f, uint64_t lost, json_t **report, struct err *e)
{
	json_t *list = NULL, *exported = NULL;
	struct buf text = { 0 };
	json_int_t entries = 0;
	TRY(count_rows(f->store, "SELECT count(*) FROM log_entry", &entries, e));
	int rc = registry_export(f->registry, &text, e);
	if (rc == 0)
		rc = json_read(&exported, text.bytes, text.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH,
			       e);
	if (rc == 0) {
		list = json_pack("{s:I,s:I,s:I,s:I,s:[]}", "size", entries, "releases",
				 (json_int_t)json_array_size(json_object_get(exported, "releases")),
				 "forks",
				 (json_int_t)json_array_size(json_object_get(exported, "forks")),
				 "undisclosable", (json_int_t)lost, "undisclosable_entries");
		rc = json_ok(list, e);
		if (rc == 0)
			rc = list_undisclosable(f->store,
						json_object_get(list, "undisclosable_entries"), e);
	}
	json_decref(exported);
	buf_free(&text);
	if (rc < 0) {
		json_decref(list);
		list = NULL;
	}
	*report = list;
	return rc;
}

static int rebuild(struct flow *f, json_t **report, struct err *e)
{
	uint64_t lost = 0;
	TRY(flow_home_stores(f, e));
	struct audit_options o = {
		.home = f->home,
		.store = f->log_store,
		.key = f->log_key,
		.origin = f->origin,
		.hook = { registry_apply, f->registry },
		.env = f->env,
	};
	TRY(audit_rebuild(&o, f->vkey, &lost, e));
	return describe(f, lost, report, e);
}

int flow_registry_rebuild(const struct flow_options *o, json_t **report, struct err *e)
{
	struct flow *f = NULL;
	char path[LIMIT_PATH_BYTES];
	*report = NULL;
	TRY(flow_home_alloc(&f, o, e));
	int rc = flow_path(f, "log/checkpoint", path, e);
	if (rc == 0 && !file_exists(path))
		rc = err_set(e, ERR_NOTFOUND, "no log in %s: nothing to rebuild from", f->home);
	if (rc == 0)
		rc = flow_path(f, "state.db", path, e);
	if (rc == 0 && file_exists(path))
		rc = err_set(e, ERR_CONFLICT,
			     "%s exists: move it away first; rebuild makes a new one", path);
	if (rc == 0)
		rc = rebuild(f, report, e);
	flow_close(f);
	return rc;
}
