/* Native signed documents and provenance. */
#include "support.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE "application/vnd.hallmark.test+json;version=1"
#define KEYS 3

static struct world w;
static struct err e;
static struct signing_identity *id[KEYS];
static struct signing_public pub[KEYS];

static void set_up(void)
{
	char dir[128], name[16];
	world_open(&w);
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	for (int i = 0; i < KEYS; i++) {
		snprintf(name, sizeof name, "n%d", i);
		expect(0, signing_identity_create(dir, name, NULL, &w.env, &e));
		expect(0, signing_identity_open(&id[i], dir, name, NULL, &e));
		pub[i] = *signing_identity_public(id[i]);
	}
}

static void tear_down(void)
{
	for (int i = 0; i < KEYS; i++)
		signing_identity_close(id[i]);
	world_close(&w);
}

TestSuite(signing_dsse, .init = set_up, .fini = tear_down);

/* One envelope with the signatures of these keys ("012"), over one payload. */
static void seal(const char *keys, struct buf *out)
{
	json_t *all = NULL;
	buf_clear(out);
	for (; *keys; keys++) {
		struct buf one = { 0 };
		json_t *envelope = NULL;
		expect(0, signing_dsse_seal(id[*keys - '0'], TYPE, "{\"a\":1}", 7, &one, &e));
		expect(0, json_read(&envelope, one.bytes, one.len, MIB(1), 8, &e));
		buf_free(&one);
		if (!all) {
			all = envelope;
			continue;
		}
		json_array_extend(json_object_get(all, "signatures"),
				  json_object_get(envelope, "signatures"));
		json_decref(envelope);
	}
	expect(0, json_write(all, 0, out, &e));
	json_decref(all);
}

Test(signing_dsse, distinct_keys_count_towards_the_threshold)
{
	static const struct {
		const char *signers, *known;
		int threshold, result;
	} rows[] = {
		{ "0", "0", 1, 0 },           { "0", "1", 1, ERR_VERIFY },  { "0", "", 1, ERR_VERIFY },
		{ "0", "0", 2, ERR_VERIFY },  { "00", "0", 2, ERR_VERIFY }, { "00", "00", 2, ERR_VERIFY },
		{ "0", "00", 2, ERR_VERIFY }, { "01", "01", 2, 0 },         { "01", "012", 3, ERR_VERIFY },
		{ "012", "012", 3, 0 },       { "01", "0", 1, 0 },          { "12", "01", 2, ERR_VERIFY },
		{ "0", "0", 0, ERR_INPUT },   { "0", "0", -1, ERR_INPUT },
	};
	struct buf text = { 0 }, payload = { 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct signing_public known[KEYS];
		size_t count = strlen(rows[i].known);
		for (size_t k = 0; k < count; k++)
			known[k] = pub[rows[i].known[k] - '0'];
		seal(rows[i].signers, &text);
		buf_clear(&payload);
		int result = signing_dsse_open(text.bytes, text.len, TYPE, known, count, rows[i].threshold,
					       &payload, &e);
		cr_assert_eq(result, rows[i].result, "row %zu: %d (%s)", i, result, e.text);
		cr_assert_eq(payload.len, result == 0 ? 7u : 0u, "row %zu: payload before its verification",
			     i);
	}
	buf_free(&text);
	buf_free(&payload);
}

Test(signing_dsse, the_payload_type_is_part_of_what_is_signed)
{
	struct buf text = { 0 }, payload = { 0 };
	seal("0", &text);
	expect(ERR_INPUT,
	       signing_dsse_open(text.bytes, text.len, "application/other", pub, 1, 1, &payload, &e));
	char *at = strstr(text.bytes, "version=1");
	cr_assert_not_null(at);
	at[8] = '2';
	expect(ERR_VERIFY,
	       signing_dsse_open(text.bytes, text.len, "application/vnd.hallmark.test+json;version=2", pub, 1,
				 1, &payload, &e));
	cr_assert_eq(payload.len, 0u);
	buf_free(&text);
	buf_free(&payload);
}

Test(signing_dsse, malformed_envelopes_are_refused)
{
	static const char *const rows[] = {
		"",
		"{}",
		"[]",
		"{\"payload\":\"\",\"payloadType\":\"" TYPE "\",\"signatures\":[]}",
		"{\"payload\":\"e30=\",\"payloadType\":\"" TYPE "\",\"signatures\":[{\"sig\":\"\"}]}",
		"{\"payload\":\"e30\",\"payloadType\":\"" TYPE "\",\"signatures\":[{\"sig\":\"AAAA\"}]}",
		"{\"payload\":\"e31=\",\"payloadType\":\"" TYPE "\",\"signatures\":[{\"sig\":\"AAAA\"}]}",
		"{\"payload\":\"e30=\",\"payload\":\"e30=\",\"payloadType\":\"" TYPE
		"\",\"signatures\":[{\"sig\":\"AAAA\"}]}",
		"{\"payload\":\"e30=\",\"payloadType\":\"" TYPE
		"\",\"signatures\":[{\"sig\":\"AAAA\"}],\"x\":1}",
		"{\"payload\":\"e30=\",\"payloadType\":\"" TYPE
		"\",\"signatures\":[{\"sig\":\"AAAA\",\"x\":1}]}",
		"{\"payload\":\"e30=\",\"payloadType\":\"" TYPE
		"\",\"signatures\":[{\"sig\":\"AAAA\",\"keyid\":1}]}",
		"{\"payload\":1,\"payloadType\":\"" TYPE "\",\"signatures\":[{\"sig\":\"AAAA\"}]}",
	};
	struct buf payload = { 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_assert_eq(signing_dsse_open(rows[i], strlen(rows[i]), TYPE, pub, 1, 1, &payload, &e),
			     ERR_INPUT, "row %zu", i);
	buf_free(&payload);
}

/* Every file is a subject with its name; parents keep their order, also one without licence. */
Test(signing_dsse, provenance_binds_names_manifest_and_parents)
{
	struct signing_manifest m;
	struct signing_parent parents[2] = {
		{ "org/base", "1.0", "base", "MIT", { { 1 } } },
		{ "org/adapter", NULL, "merge", NULL, { { 2 } } },
	};
	static const char *const uris[] = { "urn:hallmark:model:org/base@1.0",
					    "urn:hallmark:model:org/adapter" };
	const struct signing_release release = { .model = "acme/m",
						 .version = "2",
						 .kind = "merge",
						 .license = "MIT",
						 .parent = parents,
						 .parents = 2,
						 .created_us = w.time_us };
	struct buf text = { 0 }, payload = { 0 };
	json_t *root = NULL;
	world_model(&w);
	world_sign(&w, &m);
	expect(0, signing_provenance(id[0], &m, &release, &text, &e));
	expect(0, signing_dsse_open(text.bytes, text.len, "application/vnd.in-toto+json", pub, 1, 1, &payload,
				    &e));
	expect(0, json_read(&root, payload.bytes, payload.len, MIB(1), 16, &e));
	json_t *subject = json_object_get(root, "subject");
	cr_assert_eq(json_array_size(subject), m.file_count);
	for (size_t i = 0; i < m.file_count; i++)
		cr_assert_str_eq(json_string_value(json_object_get(json_array_get(subject, i), "name")),
				 m.file[i].name);
	json_t *build = json_object_get(json_object_get(root, "predicate"), "buildDefinition");
	cr_assert_str_eq(json_string_value(json_object_get(build, "buildType")),
			 "urn:hallmark:build:merge:v1");
	json_t *needs = json_object_get(build, "resolvedDependencies");
	cr_assert_eq(json_array_size(needs), 3u);
	for (size_t i = 0; i < 2; i++) {
		const json_t *parent = json_array_get(needs, i + 1);
		cr_assert_str_eq(json_string_value(json_object_get(parent, "name")), parents[i].name);
		cr_assert_str_eq(json_string_value(json_object_get(parent, "uri")), uris[i]);
	}
	json_t *external = json_object_get(build, "externalParameters");
	cr_assert_eq(json_object_size(external), 2u);
	cr_assert_str_eq(json_string_value(json_object_get(external, "model")), "acme/m");
	cr_assert_str_eq(json_string_value(json_object_get(external, "version")), "2");
	json_t *notes = json_object_get(json_array_get(needs, 2), "annotations");
	cr_assert_str_eq(json_string_value(json_object_get(notes, "relation")), "merge");
	cr_assert_null(json_object_get(notes, "license"));
	struct digest d = digest_of(m.payload.bytes, m.payload.len);
	char hex[65];
	digest_hex(&d, hex);
	json_t *digests = json_object_get(json_array_get(needs, 0), "digest");
	cr_assert_str_eq(json_string_value(json_object_get(digests, "sha256")), hex);
	json_decref(root);
	buf_free(&text);
	buf_free(&payload);
	signing_manifest_free(&m);
}
