/* The policy verbs: check, test, compile, scan. The policy room is pure; files are read here. */
#include "base/file.h"
#include "base/limits.h"
#include "flow/home.h"
#include "flow/policy.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUNDLE_MAGIC "HMPOLICY1\n"

/* Other policy files named in extends, relative to the one that names them. */
struct near {
	char dir[LIMIT_PATH_BYTES];
	struct buf *files; /* gets the path of each, with a NUL behind it; or NULL */
};

static int read_near(const struct near *n, const char *path, struct buf *out, struct err *e)
{
	if (n->files)
		buf_add(n->files, path, strlen(path) + 1);
	return file_read(path, LIMIT_TOML_BYTES, out, e);
}

static int read_pack(void *ctx, const char *name, struct buf *out, struct err *e)
{
	const struct near *n = ctx;
	char path[LIMIT_PATH_BYTES + 300];
	if (strstr(name, "..") || name[0] == '/' || strlen(name) > 200)
		return err_set(e, ERR_INPUT, "pack name \"%.200s\": expected packs/NAME", name);
	snprintf(path, sizeof path, "%s/%s.toml", n->dir, name);
	return read_near(n, path, out, e);
}

static int read_text(void *ctx, const char *name, struct buf *out, struct err *e)
{
	const struct near *n = ctx;
	char path[LIMIT_PATH_BYTES + 300];
	snprintf(path, sizeof path, "%s/%s", n->dir, name);
	return read_near(n, path, out, e);
}

static int parse_file(const char *path, struct buf *files, struct policy **out,
		      struct policy_problems *problems, struct err *e)
{
	struct buf text = { 0 };
	struct near n = { .files = files };
	const char *slash = strrchr(path, '/');
	snprintf(n.dir, sizeof n.dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	TRY(file_read(path, LIMIT_TOML_BYTES, &text, e));
	int rc = policy_parse(out, text.bytes ? text.bytes : "", text.len,
			      &(struct policy_packs){ read_pack, read_text, &n }, problems, e);
	buf_free(&text);
	return rc;
}

static json_t *list_problems(const struct policy_problems *p)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < p->count; i++) {
		struct obj o = { 0 };
		obj_int(&o, "line", p->item[i].line);
		obj_int(&o, "column", p->item[i].column);
		obj_text(&o, "text", p->item[i].text);
		arr_object(&list, &o);
	}
	return arr_take(&list);
}

/* What the policy changes of its packs. */
static void report_overrides(struct obj *o, const struct policy *p)
{
	json_t *d = NULL;
	struct err e = { 0 };
	if (policy_describe(p, &d, &e) == 0)
		obj_share(o, "overrides", json_object_get(d, "overrides"));
	else
		obj_add(o, "overrides", NULL);
	json_decref(d);
}

/* What nobody looks at, which may be meant so: rules: how many look at each phase; uncovered: the
 * phases without one; remarks: the same in sentences. */
static void report_coverage(struct obj *o, const struct policy *p)
{
	static const char *const part[POLICY_PHASES] = {
		[POLICY_INPUT] = "what people and earlier turns say",
		[POLICY_CONTENT] = "the text of an answer",
		[POLICY_REASONING] = "a model's reasoning",
		[POLICY_TOOL_ARGUMENTS] = "names and arguments of a model's calls",
		[POLICY_TOOL_RESULTS] = "what tools answer",
		[POLICY_METADATA] = "the definitions of tools",
	};
	struct obj rules = { 0 };
	struct arr uncovered = { 0 }, remarks = { 0 };
	size_t count[POLICY_PHASES];
	policy_coverage(p, count);
	for (int i = 0; i < POLICY_PHASES; i++) {
		const char *name = policy_phase_name((enum policy_phase)i);
		char text[160];
		obj_count(&rules, name, count[i]);
		if (count[i])
			continue;
		arr_text(&uncovered, name);
		snprintf(text, sizeof text, "no rule looks at %s (%s): it passes unchanged", name,
			 part[i]);
		arr_text(&remarks, text);
	}
	obj_object(o, "rules", &rules);
	obj_array(o, "uncovered", &uncovered);
	obj_array(o, "remarks", &remarks);
}

/* What only the whole shows: a bundle that is too large, rules that do not fit together. */
static int check_whole(const struct policy *p, struct policy_problems *problems, struct err *e)
{
	struct buf bundle = { 0 };
	struct policy_profile *x = NULL;
	struct err why = { 0 };
	int rc = policy_compile(p, &bundle, &why);
	if (rc == 0)
		rc = policy_load(&x, bundle.bytes, bundle.len, &why);
	policy_profile_free(x);
	buf_free(&bundle);
	if (rc == ERR_INPUT || rc == ERR_UNSUPPORTED)
		return policy_problem_add(problems, 1, 1, why.text, e);
	return rc < 0 ? err_set(e, rc, "%s", why.text) : 0;
}

int flow_policy_check(const char *path, json_t **report, struct err *e)
{
	struct policy *p = NULL;
	struct policy_problems problems = { 0 };
	int rc = parse_file(path, NULL, &p, &problems, e);
	if (rc == ERR_INPUT && problems.count)
		rc = 0;
	if (rc == 0 && p)
		rc = check_whole(p, &problems, e);
	if (rc == 0) {
		struct obj o = { 0 };
		obj_bool(&o, "ok", problems.count == 0);
		obj_add(&o, "problems", list_problems(&problems));
		if (p && !problems.count) {
			report_coverage(&o, p);
			report_overrides(&o, p);
		}
		rc = obj_done(&o, report, e);
	}
	policy_free(p);
	policy_problems_free(&problems);
	return rc;
}

/* As parse_file, with the first problem in the error. */
static int parse_or_say(const char *path, struct buf *files, struct policy **out, struct err *e)
{
	struct policy_problems problems = { 0 };
	int rc = parse_file(path, files, out, &problems, e);
	if (rc == ERR_INPUT && problems.count)
		rc = err_set(e, ERR_INPUT, "%s line %d: %s%s", path, problems.item[0].line,
			     problems.item[0].text,
			     problems.count > 1 ? " (and more: see `hallmark policy check`)" : "");
	policy_problems_free(&problems);
	return rc;
}

int flow_policy_test(const char *path, json_t **report, struct err *e)
{
	struct policy *p = NULL;
	json_t *failures = NULL;
	uint64_t passed = 0;
	TRY(parse_or_say(path, NULL, &p, e));
	int rc = policy_test(p, &passed, &failures, e);
	policy_free(p);
	TRY(rc);
	*report = json_pack("{s:b,s:I,s:o}", "ok", json_array_size(failures) == 0, "passed",
			    (json_int_t)passed, "failures", failures);
	return json_ok(*report, e);
}

int flow_policy_compile(const char *path, struct buf *bundle, struct err *e)
{
	struct policy *p = NULL;
	TRY(parse_or_say(path, NULL, &p, e));
	int rc = policy_compile(p, bundle, e);
	policy_free(p);
	return rc;
}

/* What a policy that extends one built-in pack consists of. */
static int describe_pack(const char *name, json_t **out, struct err *e)
{
	struct policy *p;
	struct policy_problems problems = { 0 };
	char text[300];
	snprintf(text, sizeof text,
		 "[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\nextends = [\"%s\"]\n",
		 name);
	int rc = policy_parse(&p, text, strlen(text), NULL, &problems, e);
	policy_problems_free(&problems);
	if (rc == 0) {
		rc = policy_describe(p, out, e);
		policy_free(p);
	}
	return rc;
}

/* The whole name of a built-in pack, given with or without "packs/". */
static const char *pack_named(const char *name)
{
	const char *full;
	for (size_t i = 0; (full = policy_pack_name(i)); i++)
		if (strcmp(full, name) == 0 || strcmp(full + strlen("packs/"), name) == 0)
			return full;
	return NULL;
}

static int list_packs(json_t **report, struct err *e)
{
	struct arr list = { 0 };
	struct obj o = { 0 };
	int rc = 0;
	for (size_t i = 0; rc == 0 && policy_pack_name(i); i++) {
		json_t *d = NULL;
		struct obj x = { 0 };
		rc = describe_pack(policy_pack_name(i), &d, e);
		const json_t *self = json_array_get(json_object_get(d, "packs"), 0);
		obj_share(&x, "name", json_object_get(self, "name"));
		obj_share(&x, "version", json_object_get(self, "version"));
		obj_count(&x, "rules", json_array_size(json_object_get(d, "rules")));
		arr_object(&list, &x);
		json_decref(d);
	}
	obj_array(&o, "packs", &list);
	if (rc < 0) {
		obj_free(&o);
		return rc;
	}
	return obj_done(&o, report, e);
}

int flow_policy_packs(const char *name, json_t **report, struct err *e)
{
	if (!name)
		return list_packs(report, e);
	const char *full = pack_named(name);
	if (!full)
		return err_set(e, ERR_NOTFOUND,
			       "there is no built-in pack \"%.60s\"; see `hallmark policy packs`",
			       name);
	return describe_pack(full, report, e);
}

int flow_policy_detectors(const char *name, json_t **report, struct err *e)
{
	return policy_detectors(name, report, e);
}

static bool is_bundle(const struct buf *file)
{
	return file->len >= sizeof BUNDLE_MAGIC &&
	       memcmp(file->bytes, BUNDLE_MAGIC, sizeof BUNDLE_MAGIC - 1) == 0;
}

/* TOML is compiled, a bundle taken as it is; bundle receives the bytes whose digest the profile
 * carries. */
static int load_profile(const char *path, struct buf *files, struct policy_profile **out,
			struct buf *bundle, struct err *e)
{
	struct policy *p = NULL;
	if (files)
		buf_add(files, path, strlen(path) + 1);
	int rc = file_read(path, LIMIT_BUNDLE_BYTES, bundle, e);
	if (rc == 0 && !is_bundle(bundle)) {
		buf_clear(bundle);
		rc = parse_or_say(path, files, &p, e);
		if (rc == 0)
			rc = policy_compile(p, bundle, e);
		policy_free(p);
	}
	return rc < 0 ? rc : policy_load(out, bundle->bytes, bundle->len, e);
}

static int bundle_path(const struct flow *f, const char *digest, char *out, struct err *e)
{
	char name[96];
	const char *hex = strchr(digest, ':');
	snprintf(name, sizeof name, "policy/%.64s.bundle", hex ? hex + 1 : digest);
	return flow_path(f, name, out, e);
}

int flow_policy_find(const struct flow *f, const char *digest, char *out, struct err *e)
{
	struct buf bundle = { 0 };
	struct digest want, found;
	TRY(digest_parse(digest, &want, e));
	TRY(bundle_path(f, digest, out, e));
	int rc = file_read(out, LIMIT_BUNDLE_BYTES, &bundle, e);
	found = digest_of(bundle.bytes ? bundle.bytes : "", bundle.len);
	buf_free(&bundle);
	if (rc == ERR_NOTFOUND)
		return err_set(e, ERR_NOTFOUND, "%s is not there: the policy bundle was not kept",
			       out);
	if (rc == 0 && !digest_equal(&want, &found))
		return err_set(e, ERR_VERIFY, "%s is not the bundle that its name says", out);
	return rc;
}

static int keep_bundle(struct flow *f, const struct digest *digest, const struct buf *bundle,
		       struct err *e)
{
	char text[DIGEST_TEXT_ROOM], path[LIMIT_PATH_BYTES];
	digest_text(digest, text);
	TRY(bundle_path(f, text, path, e));
	return file_create_immutable(path, NULL, bundle->bytes, bundle->len, 0644, e);
}

int flow_policy_open(struct flow *f, const char *path, bool keep, struct buf *files,
		     struct policy_profile **out, struct err *e)
{
	struct buf bundle = { 0 };
	int rc = load_profile(path, files, out, &bundle, e);
	if (rc == 0 && keep)
		rc = keep_bundle(f, &(*out)->bundle, &bundle, e);
	buf_free(&bundle);
	return rc;
}

/* ---- a policy that is to take force while others serve ---- */

/* Files, by what a change of one of them changes: those that are not there too. */
int flow_policy_stamp(const struct buf *files, struct digest *out, struct err *e)
{
	struct buf said = { 0 };
	for (size_t at = 0; at < files->len; at += strlen(files->bytes + at) + 1) {
		struct stat st = { 0 };
		const char *path = files->bytes + at;
		int there = stat(path, &st) == 0;
		buf_printf(&said, "%s %d %llu %llu %lld %lld.%09ld\n", path, there,
			   (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			   (long long)st.st_size, (long long)st.st_mtim.tv_sec,
			   (long)st.st_mtim.tv_nsec);
	}
	int rc = buf_done(&said, e);
	if (rc == 0)
		*out = digest_of(said.bytes ? said.bytes : "", said.len);
	buf_free(&said);
	return rc;
}

/* What its author wrote beside the rules holds. */
static int check_tests(const struct policy *p, const char *path, struct err *e)
{
	json_t *failures = NULL;
	uint64_t passed = 0;
	TRY(policy_test(p, &passed, &failures, e));
	const json_t *first = json_array_get(failures, 0);
	size_t count = json_array_size(failures);
	const char *rule = json_string_value(json_object_get(first, "rule"));
	int rc = !count ? 0
			: err_set(e, ERR_DENIED,
				  "%s: %zu of its own tests fail, the first of rule %.100s: see "
				  "`hallmark policy test`",
				  path, count, rule ? rule : "(unknown)");
	json_decref(failures);
	return rc;
}

static int load_tested(const char *path, struct buf *files, struct policy_profile **out,
		       struct buf *bundle, struct err *e)
{
	struct policy *p = NULL;
	if (is_bundle(bundle))
		return policy_load(out, bundle->bytes, bundle->len, e);
	buf_clear(bundle);
	TRY(parse_or_say(path, files, &p, e));
	int rc = policy_compile(p, bundle, e);
	if (rc == 0)
		rc = policy_load(out, bundle->bytes, bundle->len, e);
	if (rc == 0 && (*out)->mode == POLICY_ENFORCE)
		rc = check_tests(p, path, e);
	policy_free(p);
	return rc;
}

/* A file that is written meanwhile may be half of one rule set and half of another. */
static int load_still(const char *path, struct buf *files, struct policy_profile **out,
		      struct buf *bundle, struct err *e)
{
	struct digest before, after;
	buf_add(files, path, strlen(path) + 1);
	size_t first = files->len;
	TRY(flow_policy_stamp(files, &before, e));
	TRY(file_read(path, LIMIT_BUNDLE_BYTES, bundle, e));
	TRY(load_tested(path, files, out, bundle, e));
	struct buf own = { .bytes = files->bytes, .len = first };
	TRY(flow_policy_stamp(&own, &after, e));
	return digest_equal(&before, &after)
		       ? 0
		       : err_set(e, ERR_CONFLICT, "%s changed while it was read: load it again", path);
}

int flow_policy_open_next(struct flow *f, const char *path, const struct flow_policy_next *how,
			  struct policy_profile **out, struct err *e)
{
	struct buf bundle = { 0 };
	*out = NULL;
	int rc = load_still(path, how->files, out, &bundle, e);
	if (rc == 0)
		rc = how->accept(how->ctx, *out, e);
	if (rc == 0)
		rc = keep_bundle(f, &(*out)->bundle, &bundle, e);
	buf_free(&bundle);
	if (rc < 0) {
		policy_profile_free(*out);
		*out = NULL;
	}
	return rc;
}

/* [{rule, detector, start, end, action}] of a record. */
static json_t *list_findings(const struct filter_record *r)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < r->findings; i++) {
		const struct filter_finding *x = &r->finding[i];
		struct obj o = { 0 };
		obj_text(&o, "rule", x->rules);
		obj_text(&o, "detector", x->detector);
		obj_count(&o, "start", x->start);
		obj_count(&o, "end", x->end);
		obj_text(&o, "action", filter_action_name(x->action));
		arr_object(&list, &o);
	}
	return arr_take(&list);
}

/* ---- policy scan ---- */

struct flow_scanner {
	struct policy_profile *profile;
	struct filter_set *none; /* when the policy has no output rule */
};

int flow_scanner_open(struct flow_scanner **out, const char *policy_path, struct err *e)
{
	struct buf bundle = { 0 };
	struct flow_scanner *s = calloc(1, sizeof *s);
	*out = NULL;
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = load_profile(policy_path, NULL, &s->profile, &bundle, e);
	if (rc == 0)
		rc = filter_set_build(&s->none, NULL, 0, e);
	buf_free(&bundle);
	if (rc < 0) {
		flow_scanner_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

static const char *strongest(const struct filter_record *r)
{
	int best = -1;
	for (size_t i = 0; i < r->findings; i++)
		if ((int)r->finding[i].action > best)
			best = (int)r->finding[i].action;
	return best < 0 ? "none" : filter_action_name((enum filter_action)best);
}

static int feed(struct filter_stream *f, const char *text, size_t len, const uint32_t *pieces,
		size_t count, struct buf *out, struct err *e)
{
	struct cleared c;
	int rc = FILTER_OPEN;
	for (size_t at = 0, i = 0; at < len && rc == FILTER_OPEN; i++) {
		size_t n = pieces ? pieces[i % count] : len;
		n = n < len - at ? n : len - at;
		rc = filter_stream_push(f, text + at, n, &c, e);
		if (rc >= 0)
			buf_add(out, c.bytes, c.len);
		at += n;
	}
	if (rc == FILTER_OPEN) {
		rc = filter_stream_end(f, &c, e);
		if (rc >= 0)
			buf_add(out, c.bytes, c.len);
	}
	return rc < 0 ? rc : buf_done(out, e);
}

int flow_scanner_scan(struct flow_scanner *s, const void *text, size_t len, const uint32_t *pieces,
		      size_t count, json_t **report, struct err *e)
{
	struct filter_set *set = s->profile->set[POLICY_CONTENT];
	struct filter_stream *f = NULL;
	struct buf out = { 0 };
	TRY(filter_stream_open(&f, set ? set : s->none, s->profile->mode == POLICY_SHADOW, e));
	int rc = feed(f, text, len, pieces, count, &out, e);
	if (rc == 0) {
		const struct filter_record *r = filter_stream_record(f);
		struct obj o = { 0 };
		obj_text(&o, "action", strongest(r));
		obj_text(&o, "end", filter_end_name(r->end));
		obj_add(&o, "findings", list_findings(r));
		obj_bytes(&o, "output", out.bytes, out.len);
		obj_count(&o, "held_max", filter_stream_held_max(f));
		rc = obj_done(&o, report, e);
	}
	filter_stream_close(f);
	buf_free(&out);
	return rc;
}

void flow_scanner_close(struct flow_scanner *s)
{
	if (!s)
		return;
	policy_profile_free(s->profile);
	filter_set_free(s->none);
	free(s);
}
