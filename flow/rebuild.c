/* Registry rebuild: the log is the truth. Recreates a missing state.db from the published log
 * folder; what the vault held is gone and is listed as no longer disclosable. Or, where state.db is
 * there, writes a log folder again that is missing or an old copy. Runs where flow_open cannot. */
#include "audit/whole.h"
#include "base/file.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

static json_int_t count(const json_t *all, const char *list)
{
	return (json_int_t)json_array_size(json_object_get(all, list));
}

static int describe(struct flow *f, const struct audit_rebuilt *r, json_t **report, struct err *e)
{
	json_int_t erased = 0, lost = 0;
	json_t *all, *item;
	size_t i;
	json_array_foreach(r->undisclosable, i, item) {
		const char *gone = json_string_value(json_object_get(item, "gone"));
		bool meant = gone && strcmp(gone, "erased") == 0;
		erased += meant;
		lost += !meant;
	}
	TRY(registry_export(f->registry, &all, e));
	*report = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:O}", "size", (json_int_t)r->size,
			    "releases", count(all, "releases"), "forks", count(all, "forks"),
			    "undisclosable", erased + lost, "erased", erased, "lost", lost,
			    "undisclosable_entries", r->undisclosable);
	json_decref(all);
	return json_ok(*report, e);
}

static int rewrite_log(struct flow *f, struct audit_rebuilt *out, struct err *e)
{
	struct audit_options o = flow_log_options(f);
	o.rewrite = true;
	TRY(audit_log_open(&f->log, &o, e));
	out->size = audit_log_size(f->log);
	out->undisclosable = json_array();
	return json_ok(out->undisclosable, e);
}

static int rebuild(struct flow *f, bool there, json_t **report, struct err *e)
{
	struct audit_rebuilt rebuilt;
	TRY(flow_home_stores(f, e));
	struct audit_options o = flow_log_options(f);
	int rc = audit_rebuild(&o, f->vkey, &rebuilt, e);
	if (rc == ERR_CONFLICT && there)
		rc = rewrite_log(f, &rebuilt, e);
	if (rc == 0)
		rc = describe(f, &rebuilt, report, e);
	json_decref(rebuilt.undisclosable);
	return rc;
}

/* A database that was begun and not filled would stand in the way of the next attempt. */
static void take_back(const char *path)
{
	static const char *const suffix[] = { "", "-wal", "-shm" };
	char name[LIMIT_PATH_BYTES + 8];
	for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
		struct err ignored;
		snprintf(name, sizeof name, "%s%s", path, suffix[i]);
		(void)!file_remove_tree(name, &ignored);
	}
}

/* At least one of the two is there; whether state.db is. */
static int check_places(const struct flow *f, bool *there, struct err *e)
{
	bool log = false;
	TRY(flow_home_look(f, "state.db", there, e));
	TRY(flow_home_look(f, "log/checkpoint", &log, e));
	if (!*there && !log)
		return err_set(e, ERR_NOTFOUND, "no log in %s: nothing to rebuild from", f->home);
	return 0;
}

int flow_registry_rebuild(const struct flow_options *o, json_t **report, struct err *e)
{
	struct flow *f = NULL;
	char database[LIMIT_PATH_BYTES];
	bool there = true;
	int rc;
	struct flow_options alone = *o;
	*report = NULL;
	alone.alone = true;
	TRY(flow_home_alloc(&f, &alone, e));
	TRY_OUT(flow_path(f, "state.db", database, e));
	TRY_OUT(check_places(f, &there, e));
	there = true; /* or made while we waited */
	TRY_OUT(flow_home_claim(f, e));
	TRY_OUT(check_places(f, &there, e));
	rc = rebuild(f, there, report, e);
out:
	if (rc < 0 && !there)
		take_back(database); /* while nobody else may write: it could be theirs */
	flow_close(f);
	return rc;
}
