/* A bundle of an audit checked: first what needs no model, whether it is what was logged; then
 * every number of it computed again from the models at hand. What the registry says of lineage may
 * have grown since, and is not computed again. */
#include "base/text.h"
#include "flow/fork.h"
#include "flow/fork_bundle.h"
#include "flow/home.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct bundle_check {
	struct flow *flow; /* or NULL */
	const char *dir, *vkey;
	json_t *report;          /* report.json; NULL until read */
	struct buf text, lines;  /* report.json and comparisons.jsonl as they lie there */
	json_t *checks;          /* [{name, ok, detail}] */
	json_t *again, *missing; /* names of what was computed again, and of what is not here */
	bool ok;
};

static void bundle_say(struct bundle_check *b, const char *name, bool ok, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
static void bundle_say(struct bundle_check *b, const char *name, bool ok, const char *fmt, ...)
{
	char detail[400];
	va_list args;
	va_start(args, fmt);
	vsnprintf(detail, sizeof detail, fmt, args);
	va_end(args);
	json_array_append_new(b->checks, json_pack("{s:s,s:b,s:o}", "name", name, "ok", ok,
						   "detail", json_text_lossy(detail)));
	b->ok = b->ok && ok;
}

static int bundle_get(struct bundle_check *b, const char *name, struct buf *out, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	TRY(file_join(path, b->dir, name, e));
	return file_read(path, FLOW_BUNDLE_BYTES, out, e);
}

static bool bundle_digest_is(const json_t *said, const struct buf *bytes)
{
	struct digest want, found = digest_of(bytes->bytes, bytes->len);
	struct err none;
	const char *text = json_string_value(said);
	return text && digest_parse(text, &want, &none) == 0 && digest_equal(&want, &found);
}

/* ---- what needs no model ---- */

static int check_receipt_of(struct bundle_check *b, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	json_t *r;
	TRY(file_join(path, b->dir, FLOW_BUNDLE_RECEIPT, e));
	TRY(flow_audit_check(path, b->vkey, &r, e));
	const json_t *entry = json_object_get(r, "entry"), *body = json_object_get(entry, "body"),
		     *type = json_object_get(entry, "type");
	if (!json_is_true(json_object_get(r, "ok")))
		bundle_say(b, "receipt", false, "%s",
			   json_string_value(json_object_get(r, "detail")));
	else if (!json_is_string(type) || strcmp(json_string_value(type), "fork") != 0)
		bundle_say(b, "receipt", false, "of another kind of entry than an audit's");
	else
		bundle_say(b, "receipt", true, "the log has this audit as entry %lld",
			   (long long)json_integer_value(json_object_get(r, "index")));
	if (bundle_digest_is(json_object_get(body, "report"), &b->text))
		bundle_say(b, "report", true, "it is the report that was logged");
	else
		bundle_say(b, "report", false,
			   FLOW_BUNDLE_REPORT
			   " is not the report whose digest the log's entry has");
	json_decref(r);
	return 0;
}

static int check_page(struct bundle_check *b, struct err *e)
{
	struct buf page = { 0 }, there = { 0 };
	int rc = 0;
	TRY_OUT(flow_fork_bundle_page(b->report, &page, e));
	TRY_OUT(bundle_get(b, FLOW_BUNDLE_PAGE, &there, e));
	if (page.len == there.len && memcmp(page.bytes, there.bytes, page.len) == 0)
		bundle_say(b, "page", true, "it shows the report");
	else
		bundle_say(b, "page", false, FLOW_BUNDLE_PAGE " is not the page of this report");
out:
	buf_free(&page);
	buf_free(&there);
	return rc;
}

static int check_stored(struct bundle_check *b, struct err *e)
{
	TRY(bundle_get(b, FLOW_BUNDLE_REPORT, &b->text, e));
	TRY(bundle_get(b, FLOW_BUNDLE_LINES, &b->lines, e));
	int rc = json_read(&b->report, b->text.bytes, b->text.len, FLOW_BUNDLE_BYTES,
			   LIMIT_JSON_DEPTH, e);
	if (rc < 0)
		return err_prefix(e, "%s/" FLOW_BUNDLE_REPORT, b->dir);
	TRY(check_receipt_of(b, e));
	const json_t *said = json_object_get(b->report, "comparisons");
	bool same = bundle_digest_is(json_object_get(said, "digest"), &b->lines);
	bundle_say(b, "comparisons", same, "%s",
		   same ? "they are those of the report"
			: FLOW_BUNDLE_LINES " is not what the report's digest says");
	return check_page(b, e);
}

/* ---- what is computed again ---- */

static const json_t *row_of(const json_t *rows, const json_t *root)
{
	size_t i;
	const json_t *row;
	json_array_foreach(rows, i, row)
		if (json_equal(json_object_get(row, "root"), root))
			return row;
	return NULL;
}

static const char *row_name(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	return name ? name : "a candidate without a name";
}

/* The numbers of one candidate. What Holm makes of them depends on all candidates, and is compared
 * where all are here. */
static void check_row(struct bundle_check *b, const json_t *said, const json_t *found, bool all)
{
	static const char *const alone[] = { "p_value", "log_p",       "effect",
					     "rung",    "relative_l2", NULL };
	static const char *const together[] = { "verdict", "threshold", NULL };
	const char *const *lists[] = { alone, all ? together : NULL };
	for (size_t l = 0; l < 2; l++)
		for (const char *const *key = lists[l]; key && *key; key++) {
			const json_t *x = json_object_get(said, *key),
				     *y = json_object_get(found, *key);
			if (x == y || (x && y && json_equal(x, y)))
				continue;
			char *from = x ? json_dumps(x, JSON_ENCODE_ANY) : NULL,
			     *to = y ? json_dumps(y, JSON_ENCODE_ANY) : NULL;
			bundle_say(b, row_name(said), false,
				   "%s is %.80s in the bundle, %.80s here", *key,
				   from ? from : "absent", to ? to : "absent");
			free(from);
			free(to);
			return;
		}
	json_array_append(b->again, json_object_get(said, "name"));
}

static int check_rows(struct bundle_check *b, const json_t *again, struct err *e)
{
	const json_t *said = json_object_get(b->report, "candidates"), *row,
		     *here = json_object_get(again, "candidates");
	bool all = true;
	size_t i;
	json_array_foreach(said, i, row)
		if (!row_of(here, json_object_get(row, "root"))) {
			json_array_append(b->missing, json_object_get(row, "name"));
			all = false;
		}
	json_array_foreach(said, i, row) {
		const json_t *found = row_of(here, json_object_get(row, "root"));
		if (found)
			check_row(b, row, found, all);
	}
	return json_ok(b->again, e);
}

/* Every block and tensor of the comparisons that are in the bundle. */
static int check_lines(struct bundle_check *b, const json_t *again, struct err *e)
{
	const json_t *here = json_object_get(again, "comparisons");
	for (const char *at = b->lines.bytes, *end; at && *at; at = end + 1) {
		json_t *line;
		struct buf text = { 0 };
		end = strchr(at, '\n');
		if (!end)
			return err_set(e, ERR_INPUT,
				       "%s/" FLOW_BUNDLE_LINES ": the last line has no end",
				       b->dir);
		TRY(json_read(&line, at, (size_t)(end - at), FLOW_BUNDLE_BYTES, LIMIT_JSON_DEPTH,
			      e));
		const json_t *found = row_of(here, json_object_get(line, "root"));
		int rc = found ? json_write_canonical(found, &text, e) : 0;
		if (rc == 0 && found &&
		    (text.len != (size_t)(end - at) || memcmp(text.bytes, at, text.len) != 0))
			bundle_say(b, row_name(line), false,
				   "blocks or tensors give other numbers here than in the bundle");
		buf_free(&text);
		json_decref(line);
		TRY(rc);
	}
	return 0;
}

/* As it would be read from report.json: 1.0 is written 1. */
static int as_read(json_t **report, struct err *e)
{
	struct buf text = { 0 };
	json_t *read = NULL;
	int rc = json_write_canonical(*report, &text, e);
	if (rc == 0)
		rc = json_read(&read, text.bytes, text.len, FLOW_BUNDLE_BYTES, LIMIT_JSON_DEPTH, e);
	buf_free(&text);
	json_decref(*report);
	*report = read;
	return rc;
}

static int check_again(struct bundle_check *b, const char *suspect, struct err *e)
{
	const json_t *subject = json_object_get(b->report, "subject"), *row;
	const char *seed = json_string_value(json_object_get(b->report, "seed"));
	struct flow_fork_question q = {
		.suspect = suspect ? suspect : json_string_value(subject),
		.lists = true,
	};
	struct err why = { 0 };
	json_t *only = json_array(), *again = NULL;
	size_t i;
	json_array_foreach(json_object_get(b->report, "candidates"), i, row)
		json_array_append(only, json_object_get(row, "root"));
	q.only = only;
	int rc = json_ok(only, e);
	if (rc == 0 && (!q.suspect || !seed || text_parse_u64(seed, strlen(seed), &q.seed) < 0))
		rc = err_set(e, ERR_INPUT, "%s/" FLOW_BUNDLE_REPORT ": no subject or no seed",
			     b->dir);
	if (rc == 0)
		rc = flow_fork_examine(b->flow, &q, &again, &why);
	json_decref(only);
	if (rc == ERR_NOTFOUND) {
		json_array_append_new(b->missing, json_text_lossy(why.text));
		return 0;
	}
	if (rc < 0)
		return err_set(e, rc, "%s", why.text);
	rc = as_read(&again, e);
	if (rc < 0)
		return rc;
	if (!json_equal(subject, json_object_get(again, "subject")))
		bundle_say(b, "subject", false, "the model given is another one: its root is %s",
			   json_string_value(json_object_get(again, "subject")));
	else
		rc = check_rows(b, again, e);
	if (rc == 0 && b->ok)
		rc = check_lines(b, again, e);
	json_decref(again);
	return rc;
}

int flow_fork_bundle_verify(struct flow *f, const char *dir, const char *suspect, const char *vkey,
			    json_t **report, struct err *e)
{
	struct bundle_check b = { .flow = f,
				  .dir = dir,
				  .vkey = vkey ? vkey
					  : f  ? f->vkey
					       : NULL,
				  .checks = json_array(),
				  .again = json_array(),
				  .missing = json_array(),
				  .ok = true };
	int rc = 0;
	*report = NULL;
	if (!b.vkey)
		TRY_OUT(err_set(e, ERR_USAGE,
				"no verifier key: --vkey FILE, as `key export --log` gives it"));
	TRY_OUT(check_stored(&b, e));
	if (b.ok && f)
		TRY_OUT(check_again(&b, suspect, e));
	struct obj o = { 0 };
	obj_bool(&o, "ok", b.ok);
	obj_share(&o, "checks", b.checks);
	obj_share(&o, "computed_again", b.again);
	obj_share(&o, "missing", b.missing);
	rc = obj_done(&o, report, e);
out:
	json_decref(b.report);
	json_decref(b.checks);
	json_decref(b.again);
	json_decref(b.missing);
	buf_free(&b.text);
	buf_free(&b.lines);
	return rc;
}
