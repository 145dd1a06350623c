/* Releases read back: what verification says of each change, and what a reference may be. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fixture at;
static char root[DIGEST_TEXT_ROOM]; /* of the release acme/m@1.0.0, which lies in dir/model */

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_toy(&at, "model", &(struct toy){ .seed = 1, .experts = 2, .card = "a card\n" });
	json_t *report = fixture_publish(&at, "model", "acme/m", "1.0.0");
	snprintf(root, sizeof root, "%s", text_of(report, "root"));
	json_decref(report);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_release, .init = set_up, .fini = tear_down, .timeout = 60);

static json_t *verify(const char *ref)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, fixture_verify(at.flow, ref, NULL, false, &report, &e));
	return report;
}

static const json_t *check_of(const json_t *report, const char *name)
{
	return item_with(report, "checks", "name", name);
}

/* ---- verification ---- */

Test(flow_release, what_was_published_verifies_with_every_check)
{
	json_t *report = verify(fixture_path(&at, "model"));
	cr_expect(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(report, "signer"), "k");
	cr_expect_str_eq(text_of(report, "root"), root);
	cr_expect_eq(count_of(report, "failures"), 0);
	cr_expect_str_eq(text_of(report, "model"), "acme/m");
	cr_expect_str_eq(text_of(report, "version"), "1.0.0");
	static const char *const names[] = { "signature",  "files",   "minisign", "release",
					     "provenance", "receipt", "name" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		cr_expect(truth_of(check_of(report, names[i]), "ok"), "%s", names[i]);
	cr_expect_eq(count_of(report, "checks"), sizeof names / sizeof *names);
	json_decref(report);
	report = verify("acme/m");
	cr_expect(truth_of(report, "ok"));
	cr_expect_eq(count_of(report, "checks"), 1 + sizeof names / sizeof *names);
	cr_expect(truth_of(check_of(report, "registered"), "ok"),
		  "a name is checked against the registry");
	json_decref(report);
}

enum change { FLIP, DELETE, RENAME, ADD, CUT };
static const struct {
	enum change change;
	const char *file, *tensor, *expected, *found;
} changes[] = {
	{ FLIP, "README.md", "", "sha256:", "sha256:" },
	{ FLIP, "config.json", "", "sha256:", "sha256:" },
	{ FLIP, "model.safetensors", "model.", "sha256:", "sha256:" },
	{ DELETE, "README.md", "", "sha256:", "" },
	{ RENAME, "README.md", "", "sha256:", "" },
	{ ADD, "extra.txt", "", "", "" },
	{ CUT, "model.safetensors", "", "sha256:", "" },
	{ FLIP, "hallmark.tensors", "", "sha256:", "sha256:" },
	{ DELETE, "hallmark.chunks", "", "sha256:", "" },
};

static void make_change(enum change change, const char *file)
{
	char name[200], other[220];
	uint64_t bytes = 0;
	snprintf(name, sizeof name, "copy/%s", file);
	snprintf(other, sizeof other, "copy/%s.renamed", file);
	if (change == ADD)
		fixture_text(&at, name, "x");
	else
		cr_assert_eq(file_size(fixture_path(&at, name), &bytes, NULL), 0, "%s", name);
	if (change == FLIP)
		fixture_flip(&at, name, bytes - 1);
	if (change == DELETE)
		fixture_delete(&at, name);
	if (change == RENAME)
		fixture_move(&at, name, other);
	if (change == CUT)
		cr_assert_eq(truncate(fixture_path(&at, name), (off_t)bytes / 2), 0);
}

Test(flow_release, every_change_is_named_with_file_and_tensor)
{
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		fixture_copy(&at, "model", "copy");
		make_change(changes[i].change, changes[i].file);
		json_t *report = verify(fixture_path(&at, "copy"));
		const json_t *failure = item_with(report, "failures", "path", changes[i].file);
		cr_expect_not(truth_of(report, "ok"), "row %zu", i);
		cr_expect(truth_of(check_of(report, "signature"), "ok"), "row %zu", i);
		cr_expect_not(truth_of(check_of(report, "files"), "ok"), "row %zu", i);
		cr_assert(failure, "row %zu: %s is not named", i, changes[i].file);
		cr_expect(text_starts(text_of(failure, "tensor"), changes[i].tensor), "row %zu: %s",
			  i, text_of(failure, "tensor"));
		cr_expect(text_starts(text_of(failure, "expected"), changes[i].expected),
			  "row %zu: %s", i, text_of(failure, "expected"));
		cr_expect(text_starts(text_of(failure, "found"), changes[i].found), "row %zu: %s",
			  i, text_of(failure, "found"));
		json_decref(report);
		fixture_delete(&at, "copy");
	}
}

Test(flow_release, a_changed_byte_is_named_with_its_tensor)
{
	uint64_t bytes;
	fixture_copy(&at, "model", "copy");
	cr_assert_eq(file_size(fixture_path(&at, "copy/model.safetensors"), &bytes, NULL), 0);
	fixture_flip(&at, "copy/model.safetensors", bytes - 1); /* the last tensor's last byte */
	fixture_flip(&at, "copy/model.safetensors",
		     bytes - 6 * TOY_UNITS * TOY_HIDDEN * 4 - 1); /* the embedding's */
	json_t *report = verify(fixture_path(&at, "copy"));
	cr_expect_eq(count_of(report, "failures"), 2);
	cr_expect(item_with(report, "failures", "tensor",
			    "model.layers.0.mlp.experts.1.down_proj.weight"));
	cr_expect(item_with(report, "failures", "tensor", "model.embed_tokens.weight"));
	json_decref(report);
}

Test(flow_release, extra_files_are_let_pass_only_when_asked)
{
	json_t *report;
	struct err e = { 0 };
	const char *folder = fixture_path(&at, "model");
	fixture_text(&at, "model/extra.txt", "x");
	report = verify(folder);
	cr_expect_not(truth_of(report, "ok"));
	json_decref(report);
	expect(0, fixture_verify(at.flow, folder, NULL, true, &report, &e));
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
	fixture_flip(&at, "model/README.md", 0);
	expect(0, fixture_verify(at.flow, folder, NULL, true, &report, &e));
	cr_expect_not(truth_of(report, "ok"), "what is signed must still be there as signed");
	json_decref(report);
}

Test(flow_release, an_unsigned_folder_was_not_checked)
{
	json_t *report;
	struct err e = { 0 };
	fixture_model(&at, "plain");
	expect_says(ERR_NOTFOUND, "is not a signed release",
		    fixture_verify(at.flow, fixture_path(&at, "plain"), NULL, false, &report, &e));
	cr_expect_null(report);
}

static const struct {
	const char *text, *words;
} bundles[] = {
	{ "", "model.sig" },
	{ "{", "model.sig" },
	{ "[]", "" },
	{ "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"}", "" },
};

Test(flow_release, a_bundle_that_is_none_is_a_failed_signature)
{
	for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
		fixture_text(&at, "model/model.sig", bundles[i].text);
		json_t *report = verify(fixture_path(&at, "model"));
		cr_expect_not(truth_of(report, "ok"), "row %zu", i);
		cr_expect_not(truth_of(check_of(report, "signature"), "ok"), "row %zu", i);
		cr_expect(text_of(check_of(report, "signature"), "detail")[0], "row %zu: says why",
			  i);
		json_decref(report);
	}
}

Test(flow_release, a_changed_signature_is_no_trusted_keys)
{
	struct buf b = { 0 };
	fixture_read(&at, "model/model.sig", &b);
	char *payload = strstr(b.bytes, "\"payload\"");
	cr_assert_not_null(payload);
	fixture_flip(&at, "model/model.sig", (uint64_t)(payload - b.bytes) + 200);
	json_t *report = verify(fixture_path(&at, "model"));
	cr_expect_not(truth_of(report, "ok"));
	cr_expect_not(truth_of(check_of(report, "signature"), "ok"));
	json_decref(report);
	buf_free(&b);
}

Test(flow_release, a_minisign_signature_of_something_else_fails_by_itself)
{
	struct buf b = { 0 };
	fixture_read(&at, "model.hallmark/manifest.json.minisig", &b);
	const char *line = strchr(b.bytes, '\n');
	fixture_flip(&at, "model.hallmark/manifest.json.minisig", (uint64_t)(line - b.bytes) + 60);
	json_t *report = verify(fixture_path(&at, "model"));
	cr_expect(truth_of(check_of(report, "signature"), "ok"));
	cr_expect(truth_of(check_of(report, "files"), "ok"));
	cr_expect_not(truth_of(check_of(report, "minisign"), "ok"));
	cr_expect_not(truth_of(report, "ok"));
	json_decref(report);
	buf_free(&b);
	fixture_delete(&at, "model.hallmark");
	report = verify(fixture_path(&at, "model"));
	cr_expect(truth_of(report, "ok"), "what lies beside a model may be left behind");
	cr_expect_null(check_of(report, "minisign"));
	json_decref(report);
}

/* ---- whose key ---- */

Test(flow_release, a_strangers_release_needs_the_strangers_key)
{
	struct fixture other;
	struct buf pem = { 0 };
	json_t *report;
	struct err e = { 0 };
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&other);
	fixture_key(&other, "k");
	expect(0, flow_key_export(other.flow, "k", "pem", &pem, &e));
	fixture_write(&at, "k.pem", pem.bytes, pem.len);

	expect_says(ERR_NOTFOUND, "hallmark key import",
		    fixture_verify(other.flow, fixture_path(&at, "model"), NULL, false, &report, &e));
	cr_expect_null(report, "signed by a stranger is not wrong");

	/* A key given is the only one that counts, own keys do not help. */
	expect(0, fixture_verify(at.flow, fixture_path(&at, "model"), fixture_path(&at, "k.pem"),
				 false, &report, &e));
	cr_expect_not(truth_of(report, "ok"));
	json_decref(report);
	buf_free(&pem);
	fixture_remove(&other);
}

Test(flow_release, a_key_file_alone_verifies_without_a_state_folder)
{
	static const struct {
		const char *form, *signer;
	} rows[] = { { "pem", "" }, { "document", "k" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf key = { 0 };
		json_t *report;
		struct err e = { 0 };
		expect(0, flow_key_export(at.flow, "k", rows[i].form, &key, &e));
		fixture_write(&at, "key", key.bytes, key.len);
		const struct flow_verify v = { .ref = fixture_path(&at, "model"),
					       .key = fixture_path(&at, "key"),
					       .name = "acme/m",
					       .quiet = true };
		expect(0, flow_release_verify(NULL, &v, &report, &e));
		cr_expect(truth_of(report, "ok"), "%s", rows[i].form);
		cr_expect_str_eq(text_of(report, "model"), "acme/m",
				 "%s: publisher.pub has the half that signed it", rows[i].form);
		if (rows[i].signer[0])
			cr_expect_str_eq(text_of(report, "signer"), rows[i].signer);
		else
			cr_expect_eq(strlen(text_of(report, "signer")), 64,
				     "a PEM has no name: its key id");
		cr_expect(truth_of(check_of(report, "minisign"), "ok"), "%s", rows[i].form);
		cr_expect(truth_of(check_of(report, "receipt"), "ok"), "%s", rows[i].form);
		json_decref(report);
		buf_free(&key);
	}
}

Test(flow_release, without_any_key_it_cannot_be_checked)
{
	json_t *report;
	struct err e = { 0 };
	expect_says(ERR_NOTFOUND, "hallmark key import",
		    fixture_verify(NULL, fixture_path(&at, "model"), NULL, false, &report, &e));
	cr_expect_null(report);
	expect(ERR_NOTFOUND, fixture_verify(NULL, fixture_path(&at, "model"),
					    fixture_path(&at, "none.pem"), false, &report, &e));
	fixture_text(&at, "bad.pem", "hello\n");
	expect(ERR_INPUT, fixture_verify(NULL, fixture_path(&at, "model"),
					 fixture_path(&at, "bad.pem"), false, &report, &e));
	cr_expect_null(report, "could not check is not: checked, and wrong");
}

Test(flow_release, a_minisign_key_checks_what_lies_beside)
{
	struct buf key = { 0 };
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_key_export(at.flow, "k", "minisign", &key, &e));
	fixture_write(&at, "k.minisign", key.bytes, key.len);
	const char *model = fixture_path(&at, "model"), *file = fixture_path(&at, "k.minisign");
	expect(0, fixture_verify(at.flow, model, file, false, &report, &e));
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
	fixture_flip(&at, "model.hallmark/manifest.json.minisig", 80);
	int rc = fixture_verify(at.flow, model, file, false, &report, &e);
	cr_expect(rc == 0 && !truth_of(report, "ok"), "%d (%s)", rc, e.text);
	json_decref(report);
	fixture_delete(&at, "model.hallmark/manifest.json.minisig");
	expect_says(ERR_NOTFOUND, "manifest.json.minisig",
		    fixture_verify(at.flow, model, file, false, &report, &e));
	buf_free(&key);
}

/* ---- a name and the folder it stands for ---- */

Test(flow_release, a_name_does_not_verify_with_what_another_release_left_there)
{
	fixture_text(&at, "model/README.md", "the second\n");
	json_decref(fixture_publish(&at, "model", "acme/m", "2.0.0"));
	json_t *report = verify("acme/m@1.0.0");
	cr_expect_not(truth_of(report, "ok"));
	cr_expect_not(truth_of(check_of(report, "registered"), "ok"));
	cr_expect(strstr(text_of(check_of(report, "registered"), "detail"), "another release"),
		  "%s", text_of(check_of(report, "registered"), "detail"));
	json_decref(report);
	report = verify("acme/m@2.0.0");
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
}

Test(flow_release, a_reference_finds_the_release_by_every_name_it_has)
{
	char relative[300], here[LIMIT_PATH_BYTES];
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_registry_alias(at.flow, "acme/m", "stable", &report, &e));
	json_decref(report);
	fixture_toy(&at, "model2", &(struct toy){ .seed = 2, .experts = 1 });
	json_decref(fixture_publish(&at, "model2", "acme/m", "2.0.0"));
	cr_assert_not_null(getcwd(here, sizeof here));
	cr_assert_eq(chdir(at.dir), 0);
	snprintf(relative, sizeof relative, "home/../model");
	const char *const refs[] = { fixture_path(&at, "model"), relative, "acme/m@1.0.0",
				     "acme/m@stable", root };
	for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
		report = verify(refs[i]);
		cr_expect(truth_of(report, "ok"), "%s", refs[i]);
		cr_expect_str_eq(text_of(report, "root"), root, "%s", refs[i]);
		json_decref(report);
	}
	report = verify("acme/m");
	cr_expect_str_neq(text_of(report, "root"), root, "a bare name is the highest version");
	json_decref(report);
	cr_assert_eq(chdir(here), 0);
}

static const struct {
	const char *ref;
	int rc;
	const char *words;
} hostile[] = {
	{ "", ERR_NOTFOUND, "" },
	{ "acme", ERR_NOTFOUND, "the registry has no acme" },
	{ "acme/m@", ERR_NOTFOUND, "the registry has no" },
	{ "acme/m@1.0.0@1", ERR_NOTFOUND, "the registry has no" },
	{ "acme/m@' OR '1'='1", ERR_NOTFOUND, "the registry has no" },
	{ "acme/m\n", ERR_NOTFOUND, "the registry has no" },
	{ "acme/m%", ERR_NOTFOUND, "the registry has no" },
	{ "../../etc/shadow-none", ERR_NOTFOUND, "the registry has no" },
	{ "sha256:", ERR_NOTFOUND, "the registry has no" },
	{ "sha256:0000000000000000000000000000000000000000000000000000000000000000", ERR_NOTFOUND,
	  "the registry has no" },
	{ "oci://registry/acme/m", ERR_UNSUPPORTED, "oci://" },
	{ "hf://acme/m", ERR_UNSUPPORTED, "hf://" },
	{ "modelscope://acme/m", ERR_UNSUPPORTED, "modelscope://" },
	{ "/dev/null/x", ERR_NOTFOUND, "the registry has no" },
	{ "none.gguf", ERR_NOTFOUND,
	  "the registry has no none.gguf, and there is no such folder or file" },
};

Test(flow_release, references_that_mean_nothing_are_refused_by_what_they_are)
{
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		json_t *report;
		struct err e = { 0 };
		int rc = fixture_verify(at.flow, hostile[i].ref, NULL, false, &report, &e);
		cr_expect_eq(rc, hostile[i].rc, "%s: %d (%s)", hostile[i].ref, rc, e.text);
		cr_expect(strstr(e.text, hostile[i].words), "%s: %s", hostile[i].ref, e.text);
		cr_expect_null(report);
		rc = flow_release_show(at.flow, hostile[i].ref, &report, &e);
		cr_expect_eq(rc, hostile[i].rc, "%s: %d (%s)", hostile[i].ref, rc, e.text);
	}
}

Test(flow_release, a_very_long_reference_is_refused)
{
	char ref[9000];
	json_t *report;
	struct err e = { 0 };
	memset(ref, 'a', sizeof ref);
	ref[4] = '/';
	ref[sizeof ref - 1] = 0;
	expect(ERR_NOTFOUND, fixture_verify(at.flow, ref, NULL, false, &report, &e));
	ref[600] = '@';
	expect(ERR_NOTFOUND, fixture_verify(at.flow, ref, NULL, false, &report, &e));
}

Test(flow_release, a_registered_release_that_is_not_here_says_so)
{
	json_t *report;
	struct err e = { 0 };
	fixture_move(&at, "model", "elsewhere");
	expect_says(ERR_NOTFOUND, "model",
		    fixture_verify(at.flow, "acme/m", NULL, false, &report, &e));
	expect_says(ERR_NOTFOUND, "neither a folder nor a file of weights or a package",
		    fixture_verify(NULL, "acme/m", NULL, false, &report, &e));
}

/* ---- packages ---- */

static size_t entries_in(const char *dir)
{
	DIR *d = opendir(dir);
	size_t count = 0;
	cr_assert_not_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count - 2; /* . and .. */
}

static void publish_package(void)
{
	const struct flow_publish p = { .dir = fixture_path(&at, "model"),
					.name = "acme/m",
					.version = "1.0.1",
					.key = "k",
					.package = fixture_path(&at, "m.tar") };
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
}

Test(flow_release, a_package_verifies_and_leaves_nothing_unpacked)
{
	publish_package();
	cr_assert_eq(mkdir(fixture_path(&at, "tmp"), 0755), 0);
	cr_assert_eq(setenv("TMPDIR", fixture_path(&at, "tmp"), 1), 0);
	json_t *report = verify(fixture_path(&at, "m.tar"));
	cr_expect(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(report, "root"), root);
	json_decref(report);
	cr_expect_eq(entries_in(fixture_path(&at, "tmp")), 0);
}

static const struct {
	const char *what;
	long offset; /* of the byte changed; negative: bytes cut from the end; 0: the file replaced */
	const char *text; /* no package at all: nothing to check */
} packages[] = {
	{ "a name in a header", 3, NULL },
	{ "half of it", -6000, NULL },
	{ "no archive", 0, "hello\n" },
	{ "nothing", 0, "" },
	{ "compressed", 0, "\x1f\x8b\x08 and so on" },
};

Test(flow_release, a_package_that_is_damaged_fails_and_leaves_nothing)
{
	cr_assert_eq(mkdir(fixture_path(&at, "tmp"), 0755), 0);
	cr_assert_eq(setenv("TMPDIR", fixture_path(&at, "tmp"), 1), 0);
	publish_package();
	for (size_t i = 0; i < sizeof packages / sizeof *packages; i++) {
		uint64_t bytes;
		fixture_copy(&at, "m.tar", "bad.tar");
		cr_assert_eq(file_size(fixture_path(&at, "bad.tar"), &bytes, NULL), 0);
		if (packages[i].text)
			fixture_text(&at, "bad.tar", packages[i].text);
		else if (packages[i].offset < 0)
			cr_assert_eq(truncate(fixture_path(&at, "bad.tar"),
					      (off_t)bytes + packages[i].offset),
				     0);
		else
			fixture_flip(&at, "bad.tar", (uint64_t)packages[i].offset);
		json_t *report;
		struct err e = { 0 };
		int rc = fixture_verify(at.flow, fixture_path(&at, "bad.tar"), NULL, false, &report, &e);
		cr_expect_eq(rc, packages[i].text ? ERR_UNSUPPORTED : 0, "%s: %d", packages[i].what, rc);
		cr_expect(rc < 0 ? strstr(e.text, "no package") != NULL : !truth_of(report, "ok"), "%s",
			  packages[i].what);
		cr_expect(rc < 0 || text_of(item_of(report, "checks", 0), "detail")[0], "%s: says why",
			  packages[i].what);
		json_decref(report);
		cr_expect_eq(entries_in(fixture_path(&at, "tmp")), 0, "%s", packages[i].what);
	}
}

Test(flow_release, a_changed_tensor_in_a_package_is_found)
{
	struct buf b = { 0 };
	publish_package();
	fixture_read(&at, "m.tar", &b);
	size_t header = 0; /* of tar, in blocks of 512 bytes */
	while (header + 512 <= b.len && strcmp(b.bytes + header, "model.safetensors") != 0)
		header += 512;
	cr_assert_lt(header + 8000, b.len);
	fixture_flip(&at, "m.tar", header + 8000);
	json_t *report = verify(fixture_path(&at, "m.tar"));
	const json_t *failure = item_of(report, "failures", 0);
	cr_expect_not(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(failure, "path"), "model.safetensors");
	cr_expect(text_starts(text_of(failure, "tensor"), "model."), "%s",
		  text_of(failure, "tensor"));
	json_decref(report);
	buf_free(&b);
}

/* ---- showing ---- */

Test(flow_release, show_lists_the_signed_files_and_claims_no_more)
{
	json_t *report;
	struct err e = { 0 };
	fixture_flip(&at, "model/README.md", 0); /* showing hashes nothing */
	expect(0, flow_release_show(at.flow, "acme/m", &report, &e));
	cr_expect_str_eq(text_of(report, "root"), root);
	cr_expect(json_is_false(json_object_get(report, "verified")));
	cr_expect_eq(count_of(report, "files"), 5);
	cr_expect(text_starts(text_of(item_with(report, "files", "name", "README.md"), "digest"),
			      "sha256:"));
	json_decref(report);
	fixture_model(&at, "plain");
	expect(ERR_NOTFOUND, flow_release_show(at.flow, fixture_path(&at, "plain"), &report, &e));
}

/* ---- what a release is called ---- */

static json_t *verify_as(const char *name, const char *key)
{
	const struct flow_verify v = {
		.ref = fixture_path(&at, "model"), .key = key, .name = name, .quiet = true
	};
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_release_verify(at.flow, &v, &report, &e));
	return report;
}

static const struct {
	const char *name;
	bool ok;
} asked[] = {
	{ "acme/m", true },	     { "acme/m@1.0.0", true }, { "acme/m@1.0.1", false },
	{ "acme/m@1.0", false },     { "acme/mm", false },     { "acme", false },
	{ "acme/m@1.0.0x", false },  { "", false },	       { "bigbank/m", false },
};

Test(flow_release, the_name_that_is_asked_for_is_demanded)
{
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		json_t *report = verify_as(asked[i].name, NULL);
		cr_expect_eq(truth_of(report, "ok"), asked[i].ok, "%s", asked[i].name);
		cr_expect_eq(truth_of(check_of(report, "name"), "ok"), asked[i].ok, "%s",
			     asked[i].name);
		json_decref(report);
	}
}

Test(flow_release, a_release_without_its_statement_has_no_name_and_fails)
{
	fixture_delete(&at, "model.hallmark/release.json");
	json_t *report = verify(fixture_path(&at, "model"));
	cr_expect_not(truth_of(report, "ok"));
	cr_expect(strstr(text_of(check_of(report, "release"), "detail"), "is missing"));
	cr_expect(json_is_null(json_object_get(report, "model")));
	json_decref(report);

	/* As stock tools leave it: signed, and called nothing. */
	fixture_delete(&at, "model.hallmark");
	report = verify(fixture_path(&at, "model"));
	cr_expect(truth_of(report, "ok"));
	cr_expect(strstr(text_of(check_of(report, "release"), "detail"),
			 "no name and version are signed"));
	cr_expect(json_is_null(json_object_get(report, "model")));
	cr_expect(json_is_null(json_object_get(report, "version")));
	json_decref(report);
	report = verify_as("acme/m", NULL);
	cr_expect_not(truth_of(report, "ok"), "the name that was asked for is nowhere signed");
	json_decref(report);
}

Test(flow_release, another_releases_statement_names_nothing)
{
	fixture_copy(&at, "model", "other");
	fixture_text(&at, "other/README.md", "changed\n");
	json_decref(fixture_publish(&at, "other", "acme/other", "1"));
	static const char *const swapped[] = { "release.json", "manifest.json",
					       "receipt.tlog-proof", "provenance.json" };
	static const char *const check[] = { "release", "manifest", "receipt", "provenance" };
	for (size_t i = 0; i < sizeof swapped / sizeof *swapped; i++) {
		char from[80], to[80];
		snprintf(from, sizeof from, "other.hallmark/%s", swapped[i]);
		snprintf(to, sizeof to, "model.hallmark/%s", swapped[i]);
		fixture_copy(&at, to, "kept");
		fixture_copy(&at, from, to);
		json_t *report = verify(fixture_path(&at, "model"));
		cr_expect_not(truth_of(report, "ok"), "%s", swapped[i]);
		cr_expect(check_of(report, check[i]), "%s", swapped[i]);
		cr_expect_not(truth_of(check_of(report, check[i]), "ok"), "%s", swapped[i]);
		json_decref(report);
		fixture_copy(&at, "kept", to);
	}
	json_t *report = verify(fixture_path(&at, "model"));
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
}

Test(flow_release, provenance_that_its_signer_did_not_make_fails_and_is_made_anew)
{
	static const char *const forged[] = {
		"", "{}", "[]", "changed", "other key", "other name"
	};
	struct err e = { 0 };
	fixture_copy(&at, "model", "other");
	fixture_key(&at, "k2");
	json_t *report;
	const struct flow_publish p = {
		.dir = fixture_path(&at, "other"), .name = "acme/m", .version = "1.0.1", .key = "k2"
	};
	fixture_copy(&at, "model", "again");
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	json_decref(fixture_publish(&at, "again", "acme/m", "1.0.2"));
	for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
		static const char name[] = "model.hallmark/provenance.json";
		if (i == 5)
			fixture_copy(&at, "again.hallmark/provenance.json", name);
		else if (i == 4)
			fixture_copy(&at, "other.hallmark/provenance.json", name);
		else if (i == 3)
			fixture_flip(&at, name, 40);
		else
			fixture_text(&at, name, forged[i]);
		report = verify(fixture_path(&at, "model"));
		cr_expect_not(truth_of(report, "ok"), "%s", forged[i]);
		cr_expect(check_of(report, "provenance"), "%s", forged[i]);
		cr_expect_not(truth_of(check_of(report, "provenance"), "ok"), "%s", forged[i]);
		json_decref(report);
		json_decref(fixture_publish(&at, "model", "acme/m", "1.0.0"));
		report = verify(fixture_path(&at, "model"));
		cr_expect(truth_of(report, "ok"), "%s", forged[i]);
		json_decref(report);
	}
}

Test(flow_release, a_key_may_not_sign_another_organisations_name)
{
	struct fixture other;
	struct buf key = { 0 };
	json_t *report;
	struct err e = { 0 };
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&other);
	expect(0, flow_key_export(at.flow, "k", "document", &key, &e));
	fixture_write(&at, "k.pub", key.bytes, key.len);
	fixture_write(&other, "k.pub", key.bytes, key.len);
	const struct flow_import w = { .path = fixture_path(&other, "k.pub") };
	expect(0, flow_key_import(other.flow, &w, &report, &e));
	json_decref(report);
	expect(0, fixture_verify(other.flow, fixture_path(&at, "model"), NULL, false, &report, &e));
	cr_expect_not(truth_of(report, "ok"));
	cr_expect(truth_of(check_of(report, "signature"), "ok"));
	cr_expect(strstr(text_of(check_of(report, "name"), "detail"), "may sign k/* only"), "%s",
		  text_of(check_of(report, "name"), "detail"));
	json_decref(report);
	fixture_text(&other, "home/trust.toml",
		     "[[publisher]]\nname = \"k\"\ndocument = \"trust/k.pub\"\n"
		     "models = [\"acme/*\"]\n");
	expect(0, fixture_verify(other.flow, fixture_path(&at, "model"), NULL, false, &report, &e));
	cr_expect(truth_of(report, "ok"));
	json_decref(report);

	/* A key that is given may sign the name that is asked for. */
	report = verify_as(NULL, fixture_path(&at, "k.pub"));
	cr_expect_not(truth_of(report, "ok"));
	json_decref(report);
	report = verify_as("acme/m", fixture_path(&at, "k.pub"));
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
	buf_free(&key);
	fixture_remove(&other);
}

Test(flow_release, an_expired_key_vouches_for_what_the_log_had_before)
{
	json_t *report;
	struct err e = { 0 };
	const struct flow_key k = { .name = "acme", .expires = "2026-12-31" };
	const struct flow_publish p = {
		.dir = fixture_path(&at, "dated"), .name = "acme/d", .version = "1", .key = "acme"
	};
	fixture_model(&at, "dated");
	expect(0, flow_key_new(at.flow, &k, &report, &e));
	json_decref(report);
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	at.time_us = 1798761600000000; /* 2027-01-01 */
	report = verify(p.dir);
	cr_expect(truth_of(report, "ok"));
	cr_expect(strstr(text_of(check_of(report, "key"), "detail"),
			 "expired on 2026-12-31T00:00:00Z; its log has the release since"),
		  "%s", text_of(check_of(report, "key"), "detail"));
	json_decref(report);
	fixture_delete(&at, "dated.hallmark/receipt.tlog-proof");
	report = verify(p.dir);
	cr_expect_not(truth_of(report, "ok"));
	cr_expect(strstr(text_of(check_of(report, "key"), "detail"), "nothing proves"));
	json_decref(report);
}

Test(flow_release, show_tells_the_name_and_every_size)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_release_show(at.flow, fixture_path(&at, "model"), &report, &e));
	cr_expect_str_eq(text_of(report, "model"), "acme/m");
	cr_expect_str_eq(text_of(report, "version"), "1.0.0");
	cr_expect_str_eq(text_of(report, "publisher"), "k");
	for (size_t i = 0; i < count_of(report, "files"); i++)
		cr_expect_gt(number_of(item_of(report, "files", i), "bytes"), 0);
	json_decref(report);
}

/* ---- what lies beside, inside ---- */

Test(flow_release, what_lies_beside_may_lie_inside_as_tar_leaves_it)
{
	json_t *report;
	struct err e = { 0 };
	fixture_copy(&at, "model", "hub");
	fixture_copy(&at, "model.hallmark", "hub/.hallmark");
	report = verify(fixture_path(&at, "hub"));
	cr_expect(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(report, "model"), "acme/m");
	cr_expect(truth_of(check_of(report, "minisign"), "ok"));
	json_decref(report);
	expect(0, flow_release_show(at.flow, fixture_path(&at, "hub"), &report, &e));
	cr_expect_str_eq(text_of(report, "version"), "1.0.0");
	json_decref(report);

	/* Nothing of the model is read from there. */
	fixture_move(&at, "hub/config.json", "hub/.hallmark/config.json");
	report = verify(fixture_path(&at, "hub"));
	cr_expect_not(truth_of(report, "ok"));
	cr_expect(item_with(report, "failures", "path", "config.json"));
	json_decref(report);
}

Test(flow_release, what_is_unknown_beside_a_model_is_named)
{
	fixture_text(&at, "model.hallmark/badge.json", "{}");
	json_t *report = verify(fixture_path(&at, "model"));
	cr_expect(truth_of(report, "ok"), "later programs put more there");
	cr_expect(strstr(text_of(check_of(report, "beside"), "detail"), "badge.json"));
	json_decref(report);
}
