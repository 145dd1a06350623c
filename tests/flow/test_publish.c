#include "support.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fixture at;

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_model(&at, "model");
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_publish, .init = set_up, .fini = tear_down, .timeout = 60);

static uint64_t log_size(void)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_list(at.flow, 0, 0, &report, &e));
	uint64_t size = (uint64_t)number_of(report, "size");
	json_decref(report);
	return size;
}

static struct flow_publish wanted(const char *version)
{
	return (struct flow_publish){
		.dir = fixture_path(&at, "model"), .name = "acme/m", .version = version, .key = "k"
	};
}

static json_t *publish(const struct flow_publish *p)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_publish(at.flow, p, &report, &e));
	return report;
}

/* The body of the newest log entry that is a release; the caller's. */
static json_t *newest_release(void)
{
	json_t *list, *body = NULL;
	struct err e = { 0 };
	expect(0, flow_audit_list(at.flow, 0, 1000, &list, &e));
	for (size_t i = 0; i < count_of(list, "entries"); i++) {
		const json_t *entry = json_object_get(item_of(list, "entries", i), "entry");
		if (strcmp(text_of(entry, "type"), "release") == 0)
			body = json_object_get(entry, "body");
	}
	json_incref(body);
	json_decref(list);
	cr_assert_not_null(body);
	return body;
}

static void expect_registered(const char *ref, bool there)
{
	json_t *report = NULL;
	struct err e = { 0 };
	expect(there ? 0 : ERR_NOTFOUND, flow_registry_show(at.flow, ref, &report, &e));
	json_decref(report);
}

/* ---- what a publication leaves ---- */

Test(flow_publish, leaves_signatures_in_the_model_and_the_rest_beside_it)
{
	static const char *const there[] = {
		"model/model.sig",
		"model/hallmark.tensors",
		"model/hallmark.chunks",
		"model.hallmark/manifest.json",
		"model.hallmark/manifest.json.minisig",
		"model.hallmark/provenance.json",
		"model.hallmark/release.json",
		"model.hallmark/publisher.pub",
		"model.hallmark/receipt.tlog-proof",
	};
	json_decref(fixture_publish(&at, "model", "acme/m", "1.0.0"));
	for (size_t i = 0; i < sizeof there / sizeof *there; i++)
		cr_expect(fixture_has(&at, there[i]), "%s", there[i]);
	cr_expect_not(fixture_has(&at, "model.hallmark.part"), "the staging folder is gone");
}

Test(flow_publish, report_log_entry_and_manifest_tell_the_same)
{
	struct buf manifest = { 0 };
	char digest[DIGEST_TEXT_ROOM];
	json_t *report = fixture_publish(&at, "model", "acme/m", "1.0.0"), *body = newest_release();
	fixture_read(&at, "model.hallmark/manifest.json", &manifest);
	struct digest d = digest_of(manifest.bytes, manifest.len);
	digest_text(&d, digest);

	cr_expect_str_eq(text_of(report, "manifest"), digest);
	cr_expect_str_eq(text_of(body, "manifest"), digest);
	cr_expect(text_starts(text_of(report, "root"), "sha256:"));
	cr_expect_str_eq(text_of(body, "root"), text_of(report, "root"));
	cr_expect_str_eq(text_of(body, "model"), "acme/m");
	cr_expect_str_eq(text_of(body, "version"), "1.0.0");
	cr_expect_str_eq(text_of(body, "publisher"), "k");
	cr_expect_str_eq(text_of(body, "license"), "mit");
	cr_expect_eq(count_of(body, "parents"), 0);
	cr_expect_eq(number_of(report, "files"), 5,
		     "weights, config, card, lists of chunks and tensors");
	cr_expect_eq(number_of(body, "files"), 5);
	cr_expect_eq(number_of(report, "bytes"), number_of(body, "bytes"));
	cr_expect_str_eq(text_of(report, "receipt"),
			 fixture_path(&at, "model.hallmark/receipt.tlog-proof"));
	cr_expect_str_eq(text_of(report, "bundle"), fixture_path(&at, "model/model.sig"));
	cr_expect_null(json_object_get(report, "package"));
	json_decref(report);
	json_decref(body);
	buf_free(&manifest);
}

Test(flow_publish, bytes_are_those_of_all_files)
{
	json_t *report = fixture_publish(&at, "model", "acme/m", "1"), *shown;
	struct err e = { 0 };
	long long sum = 0;
	expect(0, flow_release_show(at.flow, "acme/m", &shown, &e));
	for (size_t i = 0; i < count_of(shown, "files"); i++) {
		char name[300];
		uint64_t bytes;
		snprintf(name, sizeof name, "model/%s",
			 text_of(item_of(shown, "files", i), "name"));
		expect(0, file_size(fixture_path(&at, name), &bytes, &e));
		cr_expect_eq(number_of(item_of(shown, "files", i), "bytes"), (long long)bytes,
			     "%s: the manifest states its size", name);
		sum += (long long)bytes;
	}
	cr_expect_eq(number_of(report, "bytes"), sum);
	cr_expect_gt(sum, 3 * TOY_UNITS * TOY_HIDDEN * 4);
	json_decref(report);
	json_decref(shown);
}

Test(flow_publish, the_receipt_proves_the_release_with_the_logs_key_alone)
{
	struct buf vkey = { 0 };
	json_t *published = fixture_publish(&at, "model", "acme/m", "1.0.0"), *report;
	struct err e = { 0 };
	expect(0, flow_key_export(at.flow, NULL, "vkey", &vkey, &e));
	vkey.bytes[strcspn(vkey.bytes, "\n")] = 0;
	expect(0, flow_audit_check(fixture_path(&at, "model.hallmark/receipt.tlog-proof"),
				   vkey.bytes, &report, &e));
	const json_t *body = json_object_get(json_object_get(report, "entry"), "body");
	cr_expect(truth_of(report, "ok"), "%s", text_of(report, "detail"));
	cr_expect_str_eq(text_of(report, "type"), "release");
	cr_expect_eq(number_of(report, "index"), number_of(published, "index"));
	cr_expect_str_eq(text_of(body, "root"), text_of(published, "root"));
	json_decref(report);
	json_decref(published);
	buf_free(&vkey);
}

static const struct {
	const char *card, *license;
} cards[] = {
	{ "---\nlicense: apache-2.0\n---\n", "apache-2.0" },
	{ "---\nlicense: \"mit\"\r\n---\n", "mit" },
	{ "---\nlicense:   'cc-by-4.0'\n---\n", "cc-by-4.0" },
	{ "---\nlicense_name: x\n---\n", "unknown" },
	{ "no front matter\n", "unknown" },
	{ "no front matter\n\nlicense: mit\n", "unknown" },
	{ "---\nbase_model: a/b\n---\nSee\nlicense: mit\n", "unknown" },
	{ "---\nlicense: \xff\n---\n", "\xef\xbf\xbd" },
	{ "---\nlicense: 0123456789012345678901234567890123456789012345678901234567890123456789\n---\n",
	  "012345678901234567890123456789012345678901234567890123456789012" },
};

Test(flow_publish, licence_is_the_cards_and_unknown_without_one)
{
	for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
		char version[8];
		snprintf(version, sizeof version, "%zu", i);
		fixture_text(&at, "model/README.md", cards[i].card);
		json_decref(fixture_publish(&at, "model", "acme/m", version));
		json_t *body = newest_release();
		cr_expect_str_eq(text_of(body, "license"), cards[i].license, "%s: %s",
				 cards[i].card, text_of(body, "license"));
		json_decref(body);
	}
}

Test(flow_publish, parent_and_kind_stand_in_the_entry_and_lead_to_the_child)
{
	json_t *parent = fixture_publish(&at, "model", "acme/base", "1"), *affected;
	struct err e = { 0 };
	struct flow_publish p = wanted("2");
	fixture_text(&at, "model/README.md", "changed\n");
	p.parent = "acme/base";
	p.kind = "fine-tune";
	json_decref(publish(&p));
	json_t *body = newest_release();
	const json_t *of = item_of(body, "parents", 0);
	cr_expect_str_eq(text_of(of, "name"), "acme/base");
	cr_expect_str_eq(text_of(of, "relation"), "fine-tune");
	cr_expect_str_eq(text_of(of, "root"), text_of(parent, "root"));
	expect(0, flow_registry_affected(at.flow, "acme/base", &affected, &e));
	const json_t *child = item_of(affected, "affected", 0);
	cr_expect_eq(count_of(affected, "affected"), 1);
	cr_expect_str_eq(text_of(child, "name"), "acme/m@2");
	cr_expect_str_eq(text_of(child, "relation"), "fine-tune");
	json_decref(affected);
	json_decref(parent);
	json_decref(body);
}

/* The SLSA statement inside the provenance's DSSE envelope; the caller's. */
static json_t *provenance(void)
{
	struct buf text = { 0 }, inner = { 0 };
	json_t *envelope, *statement;
	struct err e = { 0 };
	fixture_read(&at, "model.hallmark/provenance.json", &text);
	expect(0, json_read(&envelope, text.bytes, text.len, MIB(1), LIMIT_JSON_DEPTH, &e));
	const char *payload = text_of(envelope, "payload");
	cr_assert_eq(text_unbase64(&inner, payload, strlen(payload)), 0);
	expect(0, json_read(&statement, inner.bytes, inner.len, MIB(1), LIMIT_JSON_DEPTH, &e));
	json_decref(envelope);
	buf_free(&text);
	buf_free(&inner);
	return statement;
}

Test(flow_publish, without_a_kind_a_releases_making_is_unstated)
{
	struct buf text = { 0 };
	struct err e = { 0 };
	struct flow_publish p = wanted("2");
	json_decref(fixture_publish(&at, "model", "acme/base", "1"));
	fixture_text(&at, "model/README.md", "trained on\n");
	p.parent = "acme/base";
	json_decref(publish(&p));
	json_t *statement = provenance(), *body = newest_release();
	expect(0, json_write(statement, 0, &text, &e));
	cr_expect(strstr(text.bytes, "urn:hallmark:build:unstated:v1"), "%s", text.bytes);
	cr_expect(strstr(text.bytes, "\"relation\":\"unstated\""), "%s", text.bytes);
	cr_expect_str_eq(text_of(item_of(body, "parents", 0), "relation"), "unstated");
	buf_free(&text);
	json_decref(statement);
	json_decref(body);
}

Test(flow_publish, provenance_names_kind_and_parent)
{
	json_t *parent = fixture_publish(&at, "model", "acme/base", "1");
	struct buf text = { 0 };
	struct err e = { 0 };
	struct flow_publish p = wanted("2");
	p.parent = "acme/base@1";
	p.kind = "quantize";
	fixture_text(&at, "model/README.md", "changed\n");
	json_decref(publish(&p));
	json_t *statement = provenance();
	expect(0, json_write(statement, 0, &text, &e));
	cr_expect(strstr(text.bytes, "urn:hallmark:build:quantize:v1"), "%s", text.bytes);
	cr_expect(strstr(text.bytes, "acme/base"), "%s", text.bytes);
	cr_expect(strstr(text.bytes, text_of(parent, "root") + strlen("sha256:")), "%s",
		  text.bytes);
	buf_free(&text);
	json_decref(statement);
	json_decref(parent);
}

/* ---- names and versions ---- */

Test(flow_publish, a_version_is_published_once_and_names_what_differs)
{
	struct buf before = { 0 }, after = { 0 };
	json_t *report;
	struct err e = { 0 };
	struct flow_publish p = wanted("1");
	json_decref(publish(&p));
	fixture_read(&at, "model/model.sig", &before);
	uint64_t size = log_size();
	expect(0, flow_publish(at.flow, &p, &report, &e));
	cr_expect(truth_of(report, "existing"));
	json_decref(report);
	fixture_text(&at, "model/README.md", "other\n");
	expect_says(ERR_CONFLICT, "other content: choose a new version",
		    flow_publish(at.flow, &p, &report, &e));
	fixture_read(&at, "model/model.sig", &after);
	cr_expect(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0,
		  "the first release's signature is untouched");
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
	cr_expect_eq(log_size(), size, "nothing was logged");
	p.version = "2";
	json_decref(publish(&p)); /* the refusal left no row in the way */
	expect_registered("acme/m@2", true);
	buf_free(&before);
	buf_free(&after);
}

Test(flow_publish, a_version_that_is_an_alias_is_refused_as_what_it_is)
{
	json_t *report;
	struct err e = { 0 };
	struct flow_publish p = wanted("beta");
	json_decref(fixture_publish(&at, "model", "acme/m", "1.0.0"));
	expect(0, flow_registry_alias(at.flow, "acme/m@1.0.0", "beta", &report, &e));
	json_decref(report);
	expect_says(ERR_CONFLICT, "acme/m@beta is an alias of version 1.0.0",
		    flow_publish(at.flow, &p, &report, &e));
}

Test(flow_publish, the_same_content_may_have_two_names)
{
	json_t *one = fixture_publish(&at, "model", "acme/m", "1");
	json_t *two = fixture_publish(&at, "model", "acme/n", "1"), *shown;
	struct err e = { 0 };
	cr_expect_str_eq(text_of(one, "root"), text_of(two, "root"));
	expect(0, flow_registry_show(at.flow, "acme/m@1", &shown, &e));
	cr_expect_eq(number_of(shown, "index"), number_of(one, "index"));
	json_decref(shown);
	expect(0, flow_registry_show(at.flow, "acme/n@1", &shown, &e));
	cr_expect_eq(number_of(shown, "index"), number_of(two, "index"));
	json_decref(shown);
	json_decref(one);
	json_decref(two);
}

static const struct {
	const char *name, *version, *kind, *key, *parent, *words;
	int rc;
} refused[] = {
	{ "m", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "/m", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "../m", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/..", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/m/n", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/m n", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/m@1", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/m\n", "1", NULL, "k", NULL, "expected ORG/MODEL", ERR_USAGE },
	{ "acme/m", "", NULL, "k", NULL, "expected something like 1.2.0", ERR_USAGE },
	{ "acme/m", "1 beta", NULL, "k", NULL, "expected something like 1.2.0", ERR_USAGE },
	{ "acme/m", "1/2", NULL, "k", NULL, "expected something like 1.2.0", ERR_USAGE },
	{ "acme/m", "0123456789012345678901234567890123456789012345678901234567890", NULL, "k",
	  NULL, "expected something like 1.2.0", ERR_USAGE },
	{ "acme/m", "1", "distill", "k", NULL, "train, fine-tune, merge", ERR_USAGE },
	{ "acme/m", "1", NULL, "other", NULL, "no key named other", ERR_NOTFOUND },
	{ "acme/m", "1", NULL, "k", "acme/none", "the registry has no acme/none", ERR_NOTFOUND },
};

Test(flow_publish, what_is_not_well_named_is_refused_before_anything_is_written)
{
	uint64_t size = log_size();
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct flow_publish p = {
			.dir = fixture_path(&at, "model"),
			.name = refused[i].name,
			.version = refused[i].version,
			.kind = refused[i].kind,
			.key = refused[i].key,
			.parent = refused[i].parent,
		};
		json_t *report;
		struct err e = { 0 };
		int rc = flow_publish(at.flow, &p, &report, &e);
		cr_expect_eq(rc, refused[i].rc, "row %zu: %d", i, rc);
		cr_expect(strstr(e.text, refused[i].words), "row %zu: %s", i, e.text);
		cr_expect_null(report, "row %zu", i);
		cr_expect_not(fixture_has(&at, "model.hallmark.part"), "row %zu", i);
	}
	cr_expect_eq(log_size(), size);
	json_decref(fixture_publish(&at, "model", "acme/m", "1"));
}

Test(flow_publish, every_kind_of_the_formats_is_taken)
{
	static const char *const kinds[] = { "train",   "fine-tune", "merge",   "quantize",
					     "convert", "prune",     "unstated" };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char version[8];
		snprintf(version, sizeof version, "%zu", i);
		struct flow_publish p = wanted(version);
		p.kind = kinds[i];
		json_decref(publish(&p));
	}
}

/* ---- places ---- */

Test(flow_publish, a_folder_that_is_none_is_named)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	p.dir = fixture_path(&at, "nothing");
	expect_says(ERR_NOTFOUND, "nothing is not a folder",
		    flow_publish(at.flow, &p, &report, &e));
	p.dir = fixture_path(&at, "model/config.json");
	expect_says(ERR_NOTFOUND, "is not a folder", flow_publish(at.flow, &p, &report, &e));
}

Test(flow_publish, a_strangers_folder_beside_the_model_is_not_removed)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	fixture_text(&at, "model.hallmark/mine", "precious");
	expect_says(ERR_CONFLICT, "is in the way", flow_publish(at.flow, &p, &report, &e));
	cr_expect(fixture_has(&at, "model.hallmark/mine"));
	cr_expect_not(fixture_has(&at, "model/model.sig"));
	expect_registered("acme/m@1", false);
}

Test(flow_publish, a_new_release_of_the_same_folder_replaces_what_lies_beside_it)
{
	struct buf one = { 0 }, two = { 0 };
	json_decref(fixture_publish(&at, "model", "acme/m", "1"));
	fixture_read(&at, "model.hallmark/manifest.json", &one);
	fixture_text(&at, "model.hallmark/old", "of the first release");
	fixture_text(&at, "model/README.md", "other\n");
	json_decref(fixture_publish(&at, "model", "acme/m", "2"));
	fixture_read(&at, "model.hallmark/manifest.json", &two);
	cr_expect(one.len != two.len || memcmp(one.bytes, two.bytes, one.len) != 0);
	cr_expect_not(fixture_has(&at, "model.hallmark/old"));
	buf_free(&one);
	buf_free(&two);
}

Test(flow_publish, weights_that_are_no_safetensors_are_refused_and_leave_nothing)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	fixture_text(&at, "model/model.safetensors", "not at all");
	expect_says(ERR_INPUT, "model.safetensors", flow_publish(at.flow, &p, &report, &e));
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
	cr_expect_not(fixture_has(&at, "model/model.sig"));
	fixture_model(&at, "model");
	json_decref(publish(&p));
}

Test(flow_publish, a_link_in_the_model_is_refused)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	cr_assert_eq(symlink("/etc/passwd", fixture_path(&at, "model/link")), 0);
	expect_says(ERR_UNSUPPORTED, "link", flow_publish(at.flow, &p, &report, &e));
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
}

/* ---- dry run ---- */

Test(flow_publish, a_dry_run_hashes_and_writes_nothing)
{
	struct flow_publish p = wanted("1");
	uint64_t size = log_size();
	p.dry_run = true;
	p.package = fixture_path(&at, "m.tar");
	json_t *tried = publish(&p);
	cr_expect(truth_of(tried, "dry_run"));
	cr_expect_not(fixture_has(&at, "model/model.sig"));
	cr_expect_not(fixture_has(&at, "model/hallmark.tensors"));
	cr_expect_not(fixture_has(&at, "model.hallmark"));
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
	cr_expect_not(fixture_has(&at, "m.tar"));
	cr_expect_eq(log_size(), size);
	expect_registered("acme/m@1", false);
	p.dry_run = false;
	json_t *done = publish(&p);
	cr_expect_str_eq(text_of(tried, "root"), text_of(done, "root"),
			 "what it said is what came");
	cr_expect_not(truth_of(done, "dry_run"));
	json_decref(tried);
	json_decref(done);
}

Test(flow_publish, a_dry_run_finds_what_would_be_refused)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	json_decref(publish(&p));
	p.dry_run = true;
	fixture_text(&at, "model/README.md", "other\n");
	expect(ERR_CONFLICT, flow_publish(at.flow, &p, &report, &e));
	cr_expect(fixture_has(&at, "model/model.sig"), "the release stays");
}

/* ---- package ---- */

Test(flow_publish, the_package_verifies_as_the_folder_does)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	p.package = fixture_path(&at, "m.tar");
	json_t *published = publish(&p);
	cr_expect_str_eq(text_of(published, "package"), fixture_path(&at, "m.tar"));
	struct flow_verify v = { .ref = fixture_path(&at, "m.tar"), .quiet = true };
	expect(0, flow_release_verify(at.flow, &v, &report, &e));
	cr_expect(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(report, "root"), text_of(published, "root"));
	cr_expect(item_with(report, "checks", "name", "minisign"),
		  "what lies beside the model came along");
	cr_expect_not(fixture_has(&at, "m.tar.part"));
	json_decref(report);
	json_decref(published);
}

Test(flow_publish, a_package_that_cannot_be_put_there_is_refused_before_the_commit)
{
	static const struct {
		const char *package, *words;
		int rc;
	} rows[] = {
		{ "none/m.tar", "package: write to", ERR_NOTFOUND },
		{ "model/m.tar", "lies inside the model", ERR_USAGE },
		{ "home", "is a folder", ERR_CONFLICT },
	};
	uint64_t size = log_size();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_publish p = wanted("1");
		json_t *report;
		struct err e = { 0 };
		p.package = fixture_path(&at, rows[i].package);
		expect_says(rows[i].rc, rows[i].words, flow_publish(at.flow, &p, &report, &e));
	}
	cr_expect_eq(log_size(), size);
}

static void remove_the_packages_folder(void *ctx, const char *step)
{
	if (strcmp(step, "publish.committed") == 0)
		fixture_delete(ctx, "out");
}

Test(flow_publish, a_package_that_fails_after_the_commit_says_that_the_release_stands)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	cr_assert_eq(mkdir(fixture_path(&at, "out"), 0755), 0);
	p.package = fixture_path(&at, "out/m.tar");
	at.env.steps = (struct steps){ remove_the_packages_folder, &at };
	expect_says(ERR_NOTFOUND, "the release is published, its package is not",
		    flow_publish(at.flow, &p, &report, &e));
	expect_registered("acme/m@1", true);
	cr_expect(fixture_has(&at, "model/model.sig"));
	cr_expect(fixture_has(&at, "model.hallmark/receipt.tlog-proof"));
}

/* ---- the order of the commit ---- */

struct seen {
	char order[400];
	bool sig_before_commit, row_before_commit, row_at_commit, receipt_before_rename;
};

static bool registered_now(void)
{
	json_t *report = NULL;
	struct err e;
	bool there = flow_registry_show(at.flow, "acme/m@1", &report, &e) == 0;
	json_decref(report);
	return there;
}

static void watch(void *ctx, const char *step)
{
	struct seen *s = ctx;
	if (!text_starts(step, "publish."))
		return;
	strcat(s->order, step + strlen("publish"));
	if (strcmp(step, "publish.staged") == 0) {
		s->sig_before_commit = fixture_has(&at, "model/model.sig");
		s->row_before_commit = registered_now();
	}
	if (strcmp(step, "publish.committed") == 0) {
		s->row_at_commit = registered_now();
		s->sig_before_commit = s->sig_before_commit || fixture_has(&at, "model/model.sig");
	}
	if (strcmp(step, "publish.receipt") == 0)
		s->receipt_before_rename =
			fixture_has(&at, "model.hallmark.part/receipt.tlog-proof") &&
			!fixture_has(&at, "model.hallmark");
}

Test(flow_publish, nothing_is_visible_before_the_log_has_it)
{
	struct seen s = { 0 };
	struct flow_publish p = wanted("1");
	at.env.steps = (struct steps){ watch, &s };
	p.package = fixture_path(&at, "m.tar");
	json_decref(publish(&p));
	cr_expect_str_eq(s.order, ".begun.hashed.staged.committed.moved.receipt.renamed.packaged");
	cr_expect_not(s.sig_before_commit, "model.sig comes after the commit");
	cr_expect_not(s.row_before_commit);
	cr_expect(s.row_at_commit, "log entry and registry row are one transaction");
	cr_expect(s.receipt_before_rename, "the folder appears whole");
}

static const char *conflict_words;
static int conflict_rc;

static void publish_again(void *ctx, const char *step)
{
	struct flow_publish p = wanted("2");
	json_t *report;
	struct err e = { 0 };
	if (strcmp(step, "publish.hashed") != 0 || conflict_rc != 0)
		return;
	(void)ctx;
	conflict_rc = -99; /* once */
	conflict_rc = flow_publish(at.flow, &p, &report, &e);
	conflict_words = strstr(e.text, "is being published") ? "under way" : "";
}

Test(flow_publish, one_folder_is_published_by_one_at_a_time)
{
	struct flow_publish p = wanted("1");
	at.env.steps = (struct steps){ publish_again, NULL };
	json_decref(publish(&p));
	cr_expect_eq(conflict_rc, ERR_CONFLICT);
	cr_expect_str_eq(conflict_words, "under way");
	expect_registered("acme/m@1", true);
	expect_registered("acme/m@2", false);
}

Test(flow_publish, a_state_folder_open_for_reading_publishes_nothing)
{
	struct flow_publish p = wanted("1");
	json_t *report;
	struct err e = { 0 };
	fixture_close(&at);
	expect(0, fixture_try_open(&at, true, &e));
	cr_expect_lt(flow_publish(at.flow, &p, &report, &e), 0);
	cr_expect_not(fixture_has(&at, "model/model.sig"));
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
}

/* ---- what another publisher signed ---- */

/* dir/theirs, signed by another publisher as their/base@3; the state folder is closed again. */
static void sign_theirs(struct fixture *other)
{
	fixture_make(other);
	other->seed.seed[0] = 8;
	fixture_open(other);
	fixture_key(other, "their");
	const struct flow_publish p = { .dir = fixture_path(&at, "theirs"),
					.name = "their/base",
					.version = "3",
					.key = "their" };
	json_t *report;
	struct err e = { 0 };
	fixture_model(&at, "theirs");
	expect(0, flow_publish(other->flow, &p, &report, &e));
	json_decref(report);
}

static struct flow_publish of_theirs(void)
{
	struct flow_publish p = wanted("1");
	p.dir = fixture_path(&at, "theirs");
	p.kind = "convert";
	return p;
}

Test(flow_publish, what_another_publisher_signed_is_a_conflict_and_stays)
{
	struct fixture other;
	struct buf before = { 0 }, after = { 0 };
	struct err e = { 0 };
	json_t *report;
	sign_theirs(&other);
	fixture_read(&at, "theirs/model.sig", &before);
	struct flow_publish p = of_theirs();
	uint64_t size = log_size();
	expect_says(ERR_CONFLICT, "by no key of yours, but of their/base",
		    flow_publish(at.flow, &p, &report, &e));
	fixture_read(&at, "theirs/model.sig", &after);
	cr_expect(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0);
	cr_expect(fixture_has(&at, "theirs.hallmark/release.json"));
	cr_expect_eq(log_size(), size);

	fixture_text(&at, "model/model.sig", "no bundle at all");
	p = wanted("1");
	expect_says(ERR_CONFLICT, "if it is a damaged one of yours, remove it",
		    flow_publish(at.flow, &p, &report, &e));
	buf_free(&before);
	buf_free(&after);
	fixture_remove(&other);
}

Test(flow_publish, the_first_signature_is_kept_and_its_release_is_a_parent)
{
	static const char *const kept[] = { "model.sig", "release.json", "manifest.json",
					    "publisher.pub", "receipt.tlog-proof" };
	struct fixture other;
	struct buf before = { 0 }, after = { 0 }, text = { 0 };
	struct err e = { 0 };
	json_t *report;
	sign_theirs(&other);
	fixture_read(&at, "theirs/model.sig", &before);
	struct flow_publish p = of_theirs();
	p.yes = true;
	p.package = fixture_path(&at, "t.tar");
	json_decref(publish(&p));
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		char name[80];
		snprintf(name, sizeof name, "theirs.hallmark/upstream/%s", kept[i]);
		cr_expect(fixture_has(&at, name), "%s", name);
	}
	fixture_read(&at, "theirs.hallmark/upstream/model.sig", &after);
	cr_expect(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0);
	json_t *body = newest_release();
	cr_expect_eq(count_of(body, "parents"), 1);
	cr_expect_str_eq(text_of(item_of(body, "parents", 0), "name"), "their/base");
	cr_expect_str_eq(text_of(item_of(body, "parents", 0), "relation"), "convert");
	struct buf inner = { 0 };
	fixture_read(&at, "theirs.hallmark/provenance.json", &text);
	const char *payload = strstr(text.bytes, "\"payload\":\"") + strlen("\"payload\":\"");
	cr_assert_eq(text_unbase64(&inner, payload, strcspn(payload, "\"")), 0);
	cr_expect(strstr(inner.bytes, "urn:hallmark:model:their/base@3"), "%s", inner.bytes);

	static const char *const refs[] = { "theirs", "t.tar" };
	for (size_t i = 0; i < 2; i++) {
		expect(0, fixture_verify(at.flow, fixture_path(&at, refs[i]), NULL, false, &report,
					 &e));
		cr_expect(truth_of(report, "ok"), "%s", refs[i]);
		cr_expect_null(item_with(report, "checks", "name", "beside"), "all of it is known");
		json_decref(report);
	}

	/* The next version of ours keeps it, without asking: the folder's signature is ours. */
	fixture_text(&at, "theirs/README.md", "changed\n");
	p = of_theirs();
	p.version = "2";
	json_decref(publish(&p));
	cr_expect(fixture_has(&at, "theirs.hallmark/upstream/model.sig"));
	json_decref(body);
	buf_free(&before);
	buf_free(&after);
	buf_free(&text);
	buf_free(&inner);
	fixture_remove(&other);
}
