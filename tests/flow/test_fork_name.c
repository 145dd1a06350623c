/* One content has one name: what a fork audit calls the suspect is the root that publishing it gives, so that
 * the edges of the registry meet. */
#include "support.h"
#include "flow/fork.h"

#include "base/source.h"
#include "signing/release.h"

#include <stdlib.h>
#include <string.h>

static struct fixture at;
static const struct toy original = { .seed = 1, .experts = 25 },
			child = { .seed = 1, .experts = 25, .noise = 0.3, .noise_seed = 5 };

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_toy(&at, "a", &original);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_fork_name, .init = set_up, .fini = tear_down, .timeout = 120);

/* The subject that the log has for it; good until the next call. */
static const char *audited(const char *ref)
{
	static char subject[80];
	json_t *report, *list;
	struct err e = { 0 };
	expect(0, flow_audit_fork(at.flow, ref, NULL, 7, &report, &e));
	expect(0, flow_audit_list(at.flow, (uint64_t)number_of(report, "index"), 1, &list, &e));
	const json_t *body =
		json_object_get(json_object_get(item_of(list, "entries", 0), "entry"), "body");
	snprintf(subject, sizeof subject, "%s", text_of(body, "subject"));
	json_decref(list);
	json_decref(report);
	return subject;
}

static json_t *affected(const char *ref)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_registry_affected(at.flow, ref, &report, &e));
	return report;
}

Test(flow_fork_name, a_release_audited_as_a_fork_is_itself)
{
	struct err e = { 0 };
	json_t *report, *a = NULL;
	struct flow_publish p = { fixture_path(&at, "a"), "acme/a", "1", "k",
				  .package = fixture_path(&at, "a.tar") };
	expect(0, flow_publish(at.flow, &p, &a, &e));
	const char *root = text_of(a, "root");
	cr_expect_str_eq(audited("acme/a@1"), root, "by its name");
	cr_expect_str_eq(audited(fixture_path(&at, "a")), root, "by its folder");
	cr_expect_str_eq(audited(fixture_path(&at, "a.tar")), root, "by its package");
	fixture_toy(&at, "copy", &original);
	cr_expect_str_eq(audited(fixture_path(&at, "copy")), root, "by the same files, unsigned");
	report = affected("acme/a");
	cr_expect_eq(count_of(report, "affected"), 0, "it is no descendant of itself");
	json_decref(report);
	json_decref(a);
}

Test(flow_fork_name, edges_meet_along_a_chain_of_forks)
{
	json_t *a = fixture_publish(&at, "a", "acme/a", "1"), *b, *report;
	fixture_toy(&at, "b", &child);
	b = fixture_publish(&at, "b", "acme/b", "1");
	cr_expect_str_eq(audited("acme/b@1"), text_of(b, "root"));
	fixture_toy(&at, "c", &child);
	fixture_text(&at, "c/README.md", "another card\n");
	char c[80];
	snprintf(c, sizeof c, "%s", audited(fixture_path(&at, "c")));
	cr_expect_str_neq(c, text_of(b, "root"), "another card is another release");
	report = affected("acme/a");
	const json_t *first = item_of(report, "affected", 0), *second = item_of(report, "affected", 1);
	cr_expect_eq(count_of(report, "affected"), 2);
	cr_expect_str_eq(text_of(first, "root"), text_of(b, "root"));
	cr_expect_eq(number_of(first, "depth"), 1);
	cr_expect_str_eq(text_of(second, "root"), c);
	cr_expect_eq(number_of(second, "depth"), 2);
	json_decref(report);
	json_decref(a);
	json_decref(b);
}

static void served(const char *folder, char root[DIGEST_TEXT_ROOM])
{
	struct err e = { 0 };
	struct flow_model *m;
	expect(0, flow_model_open(&m, at.flow, fixture_path(&at, folder), NULL, true, &e));
	digest_text(flow_model_root(m), root);
	flow_model_close(m);
}

/* Extra weights, adapters, folders of parts, what is left out, weights of no kind that is known. */
Test(flow_fork_name, what_is_served_unsigned_has_the_name_that_publishing_gives)
{
	static const struct {
		const char *file, *of; /* a copy of `of`, or a text */
	} rows[] = { { "a/README.md", NULL },
		     { "a/adapter/adapter_model.safetensors", "a/model.safetensors" },
		     { "a/model.gguf", NULL },
		     { "a/.cache/huggingface/x", NULL },
		     { "a/.DS_Store", NULL },
		     { "a/hallmark.tensors", NULL } };
	char root[DIGEST_TEXT_ROOM], version[4];
	fixture_toy(&at, "other", &(struct toy){ .seed = 4, .experts = 1 });
	json_decref(fixture_publish(&at, "other", "acme/other", "1"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char command[3 * LIMIT_PATH_BYTES];
		snprintf(command, sizeof command, "mkdir -p $(dirname %s)", fixture_path(&at, rows[i].file));
		cr_assert_eq(system(command), 0);
		if (rows[i].of)
			fixture_copy(&at, rows[i].of, rows[i].file);
		else
			fixture_text(&at, rows[i].file, rows[i].file);
		fixture_delete(&at, "a/model.sig");
		served("a", root);
		cr_expect_str_eq(audited(fixture_path(&at, "a")), root, "row %zu", i);
		snprintf(version, sizeof version, "%zu", i);
		json_t *a = fixture_publish(&at, "a", "acme/a", version);
		cr_expect_str_eq(text_of(a, "root"), root, "row %zu: %s", i, rows[i].file);
		json_decref(a);
	}
}

/* A signature over the same files without their tensors, as other signers make it. */
static void sign_as_others(const char *folder, char root[DIGEST_TEXT_ROOM])
{
	struct signing_identity *id;
	struct signing_manifest m;
	struct source *s;
	struct buf bundle = { 0 };
	struct err e = { 0 };
	char file[100];
	expect(0, signing_identity_open(&id, fixture_path(&at, "home/keys"), "k", NULL, &e));
	expect(0, source_open_folder(&s, fixture_path(&at, folder), &e));
	const struct signing_making how = {
		.source = s, .name = folder, .staging = fixture_path(&at, folder), .quiet = true
	};
	expect(0, signing_manifest_make(&m, &how, &e));
	expect(0, signing_bundle_make(id, &m, &bundle, &e));
	snprintf(file, sizeof file, "%s/model.sig", folder);
	fixture_write(&at, file, bundle.bytes, bundle.len);
	digest_text(&m.root, root);
	buf_free(&bundle);
	signing_manifest_free(&m);
	source_close(s);
	signing_identity_close(id);
}

Test(flow_fork_name, a_signature_names_the_content_only_while_all_of_it_matches)
{
	char root[DIGEST_TEXT_ROOM], plain[DIGEST_TEXT_ROOM];
	json_decref(fixture_publish(&at, "a", "acme/a", "1"));
	fixture_toy(&at, "b", &child);
	snprintf(plain, sizeof plain, "%s", audited(fixture_path(&at, "b")));
	sign_as_others("b", root);
	cr_expect_str_neq(root, plain);
	cr_expect_str_eq(audited(fixture_path(&at, "b")), root);
	fixture_text(&at, "b/README.md", "not signed\n");
	const char *now = audited(fixture_path(&at, "b"));
	cr_expect(strcmp(now, root) != 0 && strcmp(now, plain) != 0, "it is neither: %s", now);
	fixture_delete(&at, "b/README.md");
	fixture_delete(&at, "home/keys/k.pub");
	fixture_delete(&at, "home/keys/k.key");
	cr_expect_str_eq(audited(fixture_path(&at, "b")), plain, "nobody here trusts that signature");
}

/* Names that no release may have do not keep a folder from being audited. */
Test(flow_fork_name, a_suspect_may_be_called_what_it_likes)
{
	json_decref(fixture_publish(&at, "a", "acme/a", "1"));
	fixture_toy(&at, "odd", &child);
	fixture_text(&at, "odd/Notes", "x");
	fixture_text(&at, "odd/notes", "y");
	cr_expect(strncmp(audited(fixture_path(&at, "odd")), "sha256:", 7) == 0);
}
