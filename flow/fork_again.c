/* Audit again what was audited before, against what was registered since: a base that comes later
 * shows what its forks are. Of each subject the newest entry counts; one that nothing new came
 * after is left alone, and a result that stays the same is no new entry. A subject whose files are
 * gone is compared by its kept sketch, with what the entry says that its card declared. */
#include "flow/fork_audit.h"
#include "flow/fork.h"
#include "flow/fork_cache.h"

#include <stdlib.h>
#include <string.h>

struct again {
	struct flow *flow;
	uint64_t seed;
	uint64_t newest;     /* index of the newest release */
	json_t *subjects;    /* {subject, name, report, was: verdict and parent of the entry} */
	json_t *unavailable; /* {name, reason} */
	uint64_t unchanged, current;
};

static int visit_release(void *again, const struct registry_release *r, struct err *e)
{
	struct again *a = again;
	(void)e;
	a->newest = a->newest > r->log_index ? a->newest : r->log_index;
	return 0;
}

/* The roots of a list as one text, in the order of the list. */
static void add_roots(struct buf *out, const json_t *list)
{
	const json_t *item;
	size_t i;
	json_array_foreach(list, i, item) {
		const char *root = json_string_value(json_object_get(item, "root"));
		buf_printf(out, "%s ", root ? root : "");
	}
	buf_add_text(out, ";");
}

/* What an entry is about, without numbers: they move with the number of candidates. */
static void add_result(struct buf *out, const json_t *o)
{
	const char *verdict = json_string_value(json_object_get(o, "verdict"));
	const json_t *finding;
	size_t i;
	buf_printf(out, "%s;", verdict ? verdict : "");
	add_roots(out, json_object_get(o, "parents"));
	json_array_foreach(json_object_get(o, "findings"), i, finding) {
		const char *kind = json_string_value(json_object_get(finding, "kind"));
		buf_printf(out, "%s ", kind ? kind : "");
	}
}

static int is_same(const json_t *entry, const json_t *report, bool *same, struct err *e)
{
	struct buf was = { 0 }, is = { 0 };
	int rc = 0;
	add_result(&was, entry);
	add_result(&is, report);
	TRY_OUT(buf_done(&was, e));
	TRY_OUT(buf_done(&is, e));
	*same = strcmp(was.bytes, is.bytes) == 0;
out:
	buf_free(&was);
	buf_free(&is);
	return rc;
}

static int examine(struct again *a, const json_t *entry, const struct digest *root, json_t **report,
		   struct err *e)
{
	char folder[LIMIT_PATH_BYTES], text[DIGEST_TEXT_ROOM];
	struct registry_release r;
	struct err why = { 0 };
	const struct flow_fork_question kept = { .suspect = text, .seed = a->seed },
					lies = { .suspect = folder, .seed = a->seed };
	digest_text(root, text);
	if (registry_find(a->flow->registry, text, &r, &why) == 0 && r.location[0] &&
	    flow_fork_examine(a->flow, &kept, report, &why) == 0)
		return 0;
	TRY(registry_location(a->flow->registry, root, folder, e));
	if (folder[0] && flow_fork_examine(a->flow, &lies, report, &why) == 0) {
		const char *is = json_string_value(json_object_get(*report, "subject"));
		if (is && strcmp(is, text) == 0)
			return 0;
		json_decref(*report);
		*report = NULL;
	}
	return flow_fork_examine_kept(a->flow, entry, a->seed, report, e);
}

static int add_subject(struct again *a, const json_t *entry, json_t *report, struct err *e)
{
	struct obj o = { 0 }, was = { 0 };
	const json_t *first = json_array_get(json_object_get(entry, "parents"), 0);
	json_t *item;
	obj_share(&was, "verdict", json_object_get(entry, "verdict"));
	obj_add(&was, "parent", first ? json_incref(json_object_get(first, "name")) : json_null());
	obj_share(&o, "name", json_object_get(entry, "subject_name"));
	obj_share(&o, "verdict", json_object_get(report, "verdict"));
	obj_share(&o, "parent", json_object_get(report, "parent"));
	obj_object(&o, "was", &was);
	obj_share(&o, "report", report);
	TRY(obj_done(&o, &item, e));
	json_array_append_new(a->subjects, item);
	return 0;
}

static int audit_subject(struct again *a, const json_t *entry, struct err *e)
{
	const char *text = json_string_value(json_object_get(entry, "subject"));
	json_int_t index = json_integer_value(json_object_get(entry, "index"));
	struct digest root;
	struct err why = { 0 };
	json_t *report = NULL;
	bool same = false;
	TRY(digest_parse(text ? text : "", &root, e));
	if ((uint64_t)index > a->newest) {
		a->current++;
		return 0;
	}
	int rc = examine(a, entry, &root, &report, &why);
	if (rc == ERR_NOMEM)
		return err_set(e, rc, "%s", why.text);
	if (rc < 0) {
		json_t *item =
			json_pack("{s:O,s:o}", "name", json_object_get(entry, "subject_name"),
				  "reason", json_text_lossy(why.text));
		json_array_append_new(a->unavailable, item);
		return 0;
	}
	rc = is_same(entry, report, &same, e);
	a->unchanged += same;
	if (rc == 0 && !same)
		rc = add_subject(a, entry, report, e);
	json_decref(report);
	return rc;
}

/* Whether a later entry has the same subject. */
static bool is_superseded(const json_t *forks, size_t i)
{
	const char *subject =
		json_string_value(json_object_get(json_array_get(forks, i), "subject"));
	for (size_t k = i + 1; k < json_array_size(forks); k++) {
		const char *other =
			json_string_value(json_object_get(json_array_get(forks, k), "subject"));
		if (subject && other && strcmp(subject, other) == 0)
			return true;
	}
	return false;
}

static int audit_all(struct again *a, struct err *e)
{
	json_t *all;
	int rc = 0;
	TRY(registry_each(a->flow->registry, visit_release, a, e));
	TRY(registry_export(a->flow->registry, &all, e));
	const json_t *forks = json_object_get(all, "forks");
	for (size_t i = 0; rc == 0 && i < json_array_size(forks); i++)
		if (!is_superseded(forks, i))
			rc = audit_subject(a, json_array_get(forks, i), e);
	json_decref(all);
	return rc;
}

int flow_fork_examine_again(struct flow *f, uint64_t seed, json_t **report, struct err *e)
{
	struct again a = {
		.flow = f, .seed = seed, .subjects = json_array(), .unavailable = json_array()
	};
	struct obj o = { 0 };
	*report = NULL;
	int rc = audit_all(&a, e);
	obj_add(&o, "changed", a.subjects);
	obj_add(&o, "unavailable", a.unavailable);
	obj_count(&o, "unchanged", a.unchanged);
	obj_count(&o, "current", a.current);
	if (rc < 0) {
		obj_free(&o);
		return rc;
	}
	return obj_done(&o, report, e);
}
