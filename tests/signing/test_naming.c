/* Release statements: what they bind, and that one of another release, name or key does not pass. */
#include "support.h"

#include "base/limits.h"
#include "base/text.h"

#include <string.h>

static struct world w;
static struct signing_manifest m;
static struct signing_named named;
static struct err e;

static void set_up(void)
{
	world_open(&w);
	world_model(&w);
	world_sign(&w, &m);
}

static void tear_down(void)
{
	signing_manifest_free(&m);
	world_close(&w);
}

TestSuite(signing_naming, .init = set_up, .fini = tear_down);

static const struct signing_parent parent = { "acme/base", "1.0", "fine-tune", "MIT", { { 7 } } };

static void make(struct buf *out)
{
	const struct signing_release r = { .model = "acme/bank",
					   .version = "1.0.0",
					   .kind = "fine-tune",
					   .license = "apache-2.0",
					   .parent = &parent,
					   .parents = 1,
					   .created_us = w.time_us };
	expect(0, signing_release_make(w.id, &m, &r, out, &e));
}

static int open_text(const struct buf *text, const struct signing_manifest *of)
{
	return signing_release_open(text->bytes, text->len, signing_identity_public(w.id), of, &named,
				    &e);
}

/* The statement inside; the caller's. */
static json_t *statement_of(const struct buf *text)
{
	struct buf payload = { 0 };
	json_t *s;
	expect(0, signing_dsse_open(text->bytes, text->len, "application/vnd.in-toto+json",
				    signing_identity_public(w.id), 1, 1, &payload, &e));
	expect(0, json_read(&s, payload.bytes, payload.len, MIB(1), 16, &e));
	buf_free(&payload);
	return s;
}

static void seal(const json_t *s, struct buf *out)
{
	struct buf payload = { 0 };
	expect(0, json_write_canonical(s, &payload, &e));
	buf_clear(out);
	expect(0, signing_dsse_seal(w.id, "application/vnd.in-toto+json", payload.bytes, payload.len, out,
				    &e));
	buf_free(&payload);
}

Test(signing_naming, a_statement_says_what_it_was_told)
{
	struct buf text = { 0 };
	make(&text);
	expect(0, open_text(&text, &m));
	cr_expect_str_eq(named.model, "acme/bank");
	cr_expect_str_eq(named.version, "1.0.0");
	cr_expect_str_eq(named.publisher, "k");
	cr_expect_str_eq(named.kind, "fine-tune");
	cr_expect_str_eq(named.license, "apache-2.0");
	cr_expect(digest_equal(&named.root, &m.root));
	json_t *s = statement_of(&text);
	const json_t *p = json_array_get(
		json_object_get(json_object_get(s, "predicate"), "parents"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(p, "name")), "acme/base");
	cr_expect_str_eq(json_string_value(json_object_get(p, "version")), "1.0");
	cr_expect_str_eq(json_string_value(json_object_get(p, "relation")), "fine-tune");
	cr_expect(text_starts(json_string_value(json_object_get(p, "root")), "sha256:07"));
	json_decref(s);
	buf_free(&text);
}

/* What is changed in a statement that its signer signs again. */
static void other_version(json_t *s)
{
	json_object_set_new(json_object_get(s, "predicate"), "version", json_string("2"));
}
static void other_subject(json_t *s)
{
	json_object_set_new(json_array_get(json_object_get(s, "subject"), 0), "name",
			    json_string("acme/bank@2"));
}
static void other_root(json_t *s)
{
	struct digest d = digest_of("x", 1);
	json_object_set_new(json_object_get(s, "predicate"), "root", json_digest(&d));
}
static void no_manifest(json_t *s) { json_array_remove(json_object_get(s, "subject"), 1); }
static void other_manifest(json_t *s)
{
	json_object_set_new(json_object_get(json_array_get(json_object_get(s, "subject"), 1), "digest"),
			    "sha256", json_string("00"));
}
static void twice(json_t *s)
{
	json_t *list = json_object_get(s, "subject");
	json_array_append(list, json_array_get(list, 0));
}
static void other_keys(json_t *s)
{
	json_object_set_new(json_object_get(json_object_get(s, "predicate"), "keyids"), "ecdsa-p256",
			    json_string("00"));
}
static void other_type(json_t *s)
{
	json_object_set_new(s, "predicateType", json_string("urn:hallmark:badge:v1"));
}
static void later_type(json_t *s)
{
	json_object_set_new(s, "predicateType", json_string("urn:hallmark:release:v2"));
}
static void no_model(json_t *s) { json_object_del(json_object_get(s, "predicate"), "model"); }
static void more(json_t *s)
{
	json_object_set_new(json_object_get(s, "predicate"), "mdf", json_object());
	json_object_set_new(s, "note", json_true());
	json_array_append_new(json_object_get(s, "subject"),
			      json_pack("{s:s,s:{s:s}}", "name", "oci", "digest", "sha256", "ab"));
}

static const struct {
	const char *row;
	void (*change)(json_t *s);
	int rc;
} changes[] = {
	{ "another version in the predicate", other_version, ERR_VERIFY },
	{ "another version in the subject", other_subject, ERR_VERIFY },
	{ "another root", other_root, ERR_VERIFY },
	{ "no manifest", no_manifest, ERR_VERIFY },
	{ "another manifest", other_manifest, ERR_VERIFY },
	{ "a subject twice", twice, ERR_VERIFY },
	{ "other keys", other_keys, ERR_VERIFY },
	{ "another predicate", other_type, ERR_VERIFY },
	{ "a later predicate", later_type, ERR_UNSUPPORTED },
	{ "no model", no_model, ERR_INPUT },
	{ "members and subjects of later", more, 0 },
};

Test(signing_naming, what_contradicts_itself_is_refused_though_its_signer_signed_it)
{
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct buf text = { 0 };
		make(&text);
		json_t *s = statement_of(&text);
		changes[i].change(s);
		seal(s, &text);
		int rc = open_text(&text, &m);
		cr_expect_eq(rc, changes[i].rc, "%s: %d (%s)", changes[i].row, rc, e.text);
		cr_expect_eq(named.model[0] != 0, rc == 0, "%s: nothing of it is kept", changes[i].row);
		json_decref(s);
		buf_free(&text);
	}
}

Test(signing_naming, another_release_or_key_is_not_named_by_it)
{
	struct buf text = { 0 };
	struct signing_manifest other;
	struct signing_identity *id;
	char dir[128];
	make(&text);
	world_text(&w, "model/config.json", "{\"changed\":1}");
	world_sign(&w, &other);
	expect(ERR_VERIFY, open_text(&text, &other));
	signing_manifest_free(&other);

	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	expect(0, signing_identity_create(dir, "other", NULL, &w.env, &e));
	expect(0, signing_identity_open(&id, dir, "other", NULL, &e));
	expect(ERR_VERIFY, signing_release_open(text.bytes, text.len, signing_identity_public(id), &m,
						&named, &e));
	signing_identity_close(id);
	size_t signatures = (size_t)(strstr(text.bytes, "\"signatures\"") - text.bytes);
	for (size_t i = 20; i < signatures + 60; i += 41) { /* the key id at its end is a hint */
		text.bytes[i] ^= 1;
		cr_expect_lt(open_text(&text, &m), 0, "byte %zu", i);
		text.bytes[i] ^= 1;
	}
	buf_free(&text);
}
