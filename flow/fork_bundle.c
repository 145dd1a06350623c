/* The bundle of an audit: what a stranger needs to check its report, and to compute it again.
 *
 *   report.json          the report as it was logged, canonical JSON
 *   report.html          the same for people: flow_page of it
 *   comparisons.jsonl    a line of canonical JSON for each comparison that the report rests on,
 *                        {root, name, comparison}, with every block and tensor
 *   receipt.tlog-proof   of the log's entry, with the entry in it
 *
 * Nothing else signs it: the entry has the digest of report.json, which has the digest of
 * comparisons.jsonl; the page follows from the report; and the receipt is signed by the log's key.
 * It lies in HOME/forks/audits/INDEX, INDEX being the entry's. */
#include "flow/fork_bundle.h"
#include "flow/fork.h"
#include "flow/home.h"
#include "flow/page.h"

#include <inttypes.h>
#include <string.h>

/* What is added to a report once it is logged. */
static const char *const bundle_later[] = { "index", "receipt", "bundle" };

static int bundle_digest(const struct buf *bytes, json_t **out, struct err *e)
{
	struct digest d = digest_of(bytes->bytes, bytes->len);
	*out = json_digest(&d);
	return json_ok(*out, e);
}

int flow_fork_bundle_lines(json_t *report, struct buf *lines, struct err *e)
{
	const json_t *all = json_object_get(report, "comparisons"), *one;
	size_t i;
	json_t *digest;
	struct obj o = { 0 };
	if (!all)
		return 0;
	json_array_foreach(all, i, one) {
		TRY(json_write_canonical(one, lines, e));
		buf_add_byte(lines, '\n');
	}
	TRY(buf_done(lines, e));
	TRY(bundle_digest(lines, &digest, e));
	obj_count(&o, "count", json_array_size(all));
	obj_add(&o, "digest", digest);
	json_object_set_new(report, "comparisons", obj_take(&o));
	return json_ok(json_object_get(report, "comparisons"), e);
}

/* The sentences above the tables. */
static void bundle_lead(const json_t *report, struct buf *out)
{
	const char *parent = json_string_value(json_object_get(report, "parent"));
	const char *meaning = json_string_value(json_object_get(report, "meaning"));
	buf_printf(out, "Verdict: %s.", json_string_value(json_object_get(report, "verdict")));
	if (parent)
		buf_printf(out, " It depends on %s.", parent);
	buf_printf(out, " %zu findings.\n%s\n",
		   json_array_size(json_object_get(report, "findings")), meaning ? meaning : "");
	buf_add_text(out, "Every number can be computed again from the models: hallmark fork "
			  "audit --verify BUNDLE.\n");
}

/* The members in the order in which a person asks for them, whatever order they lie in. */
static int bundle_ordered(const json_t *report, json_t **out, struct err *e)
{
	static const char *const first[] = {
		"verdict", "subject_name", "subject",     "registered_as", "parent",
		"about",   "p_value",      "log10_p",     "effect",        "relative_l2",
		"rung",    "findings",     "parents",     "siblings",      "candidates",
		"alpha",   "correction",   "hypotheses",  "identical",     "shared_components",
		"power",   "statistics",   "calibration", "not_run",       "unavailable",
	};
	const char *key;
	json_t *member;
	struct obj o = { 0 };
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		if (json_object_get(report, first[i]))
			obj_share(&o, first[i], json_object_get(report, first[i]));
	json_object_foreach((json_t *)report, key, member)
		if (!json_object_get(o.json, key))
			json_object_set(o.json, key, member);
	return obj_done(&o, out, e);
}

int flow_fork_bundle_page(const json_t *report, struct buf *out, struct err *e)
{
	struct buf lead = { 0 }, title = { 0 };
	json_t *ordered = NULL;
	bundle_lead(report, &lead);
	buf_printf(&title, "Fork audit of %s",
		   json_string_value(json_object_get(report, "subject_name")));
	int rc = buf_done(&lead, e);
	if (rc == 0)
		rc = buf_done(&title, e);
	if (rc == 0)
		rc = bundle_ordered(report, &ordered, e);
	if (rc == 0)
		rc = flow_page(title.bytes, lead.bytes, ordered, out, e);
	json_decref(ordered);
	buf_free(&lead);
	buf_free(&title);
	return rc;
}

static int bundle_put(const char *dir, const char *name, const void *bytes, size_t len,
		      struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	TRY(file_join(path, dir, name, e));
	return file_write_durable(path, bytes, len, 0644, e);
}

static int bundle_write(struct flow *f, const json_t *report, uint64_t index,
			const struct buf *lines, const char *dir, struct err *e)
{
	struct buf text = { 0 }, page = { 0 }, receipt = { 0 };
	json_t *logged = json_copy((json_t *)report), *read = NULL;
	int rc = 0;
	TRY_OUT(json_ok(logged, e));
	for (size_t i = 0; i < sizeof bundle_later / sizeof *bundle_later; i++)
		json_object_del(logged, bundle_later[i]);
	TRY_OUT(json_write_canonical(logged, &text, e));
	TRY_OUT(json_read(&read, text.bytes, text.len, FLOW_BUNDLE_BYTES, LIMIT_JSON_DEPTH, e));
	TRY_OUT(flow_fork_bundle_page(read, &page, e));
	TRY_OUT(flow_audit_proof(f, index, false, NULL, &receipt, e));
	TRY_OUT(file_make_dirs(dir, 0755, e));
	TRY_OUT(bundle_put(dir, FLOW_BUNDLE_REPORT, text.bytes, text.len, e));
	TRY_OUT(bundle_put(dir, FLOW_BUNDLE_PAGE, page.bytes, page.len, e));
	TRY_OUT(bundle_put(dir, FLOW_BUNDLE_LINES, lines->bytes, lines->len, e));
	TRY_OUT(bundle_put(dir, FLOW_BUNDLE_RECEIPT, receipt.bytes, receipt.len, e));
out:
	json_decref(logged);
	json_decref(read);
	buf_free(&text);
	buf_free(&page);
	buf_free(&receipt);
	return rc;
}

int flow_fork_bundle_keep(struct flow *f, json_t *report, const struct buf *lines, struct err *e)
{
	char name[64], dir[LIMIT_PATH_BYTES], part[LIMIT_PATH_BYTES];
	uint64_t index = (uint64_t)json_integer_value(json_object_get(report, "index"));
	snprintf(name, sizeof name, "forks/audits/%" PRIu64, index);
	TRY(flow_path(f, name, dir, e));
	TRY(flow_path_beside(dir, ".part", part, e));
	TRY(file_remove_tree(part, e)); /* of a process that died */
	TRY(bundle_write(f, report, index, lines, part, e));
	TRY(file_rename_durable(part, dir, e));
	json_object_set_new(report, "bundle", json_text_lossy(dir));
	return json_ok(json_object_get(report, "bundle"), e);
}

int flow_fork_bundle_copy(const char *from, const char *to, struct err *e)
{
	static const char *const names[] = { FLOW_BUNDLE_REPORT, FLOW_BUNDLE_PAGE,
					     FLOW_BUNDLE_LINES, FLOW_BUNDLE_RECEIPT };
	struct buf bytes = { 0 };
	int rc = 0;
	if (file_exists(to))
		return err_set(e, ERR_CONFLICT, "%s: already there, nothing was written", to);
	TRY(file_make_dirs(to, 0755, e));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[LIMIT_PATH_BYTES];
		buf_clear(&bytes);
		TRY_OUT(file_join(path, from, names[i], e));
		TRY_OUT(file_read(path, FLOW_BUNDLE_BYTES, &bytes, e));
		TRY_OUT(bundle_put(to, names[i], bytes.bytes, bytes.len, e));
	}
out:
	buf_free(&bytes);
	return rc;
}
