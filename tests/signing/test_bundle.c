/* OMS bundles: golden ones, the verdict table, and statements that are rightly signed and wrong. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OMS "tests/vectors/oms/"

static int open_file(const char *sig, const char *pem, struct signing_manifest *m, struct err *e)
{
	struct buf text = { 0 };
	struct signing_public pub;
	cr_assert_eq(signing_public_read(pem, &pub, e), 0, "%s", e->text);
	read_whole(sig, &text);
	int result = signing_bundle_open(text.bytes, text.len, &pub, m, e);
	buf_free(&text);
	return result;
}

Test(signing_bundle, golden_bundles_verify_on_every_curve)
{
	static const char *const curve[] = { "p256", "p384", "p521" };
	struct err e = { 0 };
	struct buf statement = { 0 }, root = { 0 };
	read_whole(OMS "statement.json", &statement);
	read_whole(OMS "root.hex", &root);
	for (size_t i = 0; i < 3; i++) {
		struct signing_manifest m;
		struct signing_report r;
		char sig[80], pem[80], hex[65];
		snprintf(sig, sizeof sig, OMS "%s.sig", curve[i]);
		snprintf(pem, sizeof pem, OMS "%s.pub.pem", curve[i]);
		expect(0, open_file(sig, pem, &m, &e));
		digest_hex(&m.root, hex);
		cr_assert(text_starts(root.bytes, hex), "%s", curve[i]);
		cr_assert_str_eq(m.model_name, "demo-model");
		cr_assert_eq(m.payload.len, statement.len);
		cr_assert_arr_eq(m.payload.bytes, statement.bytes, statement.len);
		expect(0, check_folder(&r, &m, OMS "demo-model", 0, &e));
		cr_assert(r.ok && r.count == 0 && m.file_count == 10, "%zu files, %zu differences",
			  m.file_count, r.count);
		signing_report_free(&r);
		signing_manifest_free(&m);
	}
	buf_free(&statement);
	buf_free(&root);
}

Test(signing_bundle, the_reference_implementations_model_verifies)
{
	struct err e = { 0 };
	struct signing_manifest m;
	struct signing_report r;
	expect(0, open_file(OMS "v1.1.0-elliptic-key/model.sig", OMS "v1.1.0.pub.pem", &m, &e));
	expect(0, check_folder(&r, &m, OMS "v1.1.0-elliptic-key", 0, &e));
	cr_assert(r.ok);
	signing_report_free(&r);
	signing_manifest_free(&m);
}

Test(signing_bundle, another_key_or_curve_never_verifies)
{
	static const char *const curve[] = { "p256", "p384", "p521" };
	struct err e = { 0 };
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 3; j++) {
			struct signing_manifest m;
			char sig[80], pem[80];
			snprintf(sig, sizeof sig, OMS "%s.sig", curve[i]);
			snprintf(pem, sizeof pem, OMS "%s.pub.pem", curve[j]);
			if (i != j)
				expect(ERR_VERIFY, open_file(sig, pem, &m, &e));
		}
	struct signing_manifest m;
	expect(ERR_INPUT, open_file(OMS "ed25519.sig", OMS "ed25519.pub.pem", &m, &e)); /* not an OMS key */
}

/* Ours against those of the specification's schema, model_signing and cosign, which verdicts.tsv states. We
 * refuse what one of the first two refuses; what only cosign refuses is its own restriction. */
#define STRICTER "stricter than both: "
static const struct {
	const char *variant;
	int result;
	const char *why;
} verdicts[] = {
	{ "00-minimal", 0, "valid" },
	{ "01-extra-resource", 0, "descriptors admit extra members" },
	{ "02-no-ignore_paths", 0, "optional" },
	{ "03-resource-annotations", 0, "descriptors admit extra members" },
	{ "11-subject-unknown", 0, "an in-toto subject may say more; only cosign minds" },
	{ "12-subject-second-digest", 0, "an in-toto subject may have more digests" },
	{ "13-subject-own-digest", 0, "an in-toto subject may have more digests" },
	{ "20-predicate-extra", ERR_INPUT, "the schema closes the predicate" },
	{ "21-serialization-extra", ERR_INPUT, "the schema closes the serialization" },
	{ "30-sig-extra", ERR_INPUT, "the schema closes the signature" },
	{ "34-pk-extra", ERR_INPUT, "model_signing refuses unknown bundle fields" },
	{ "40-keyid-absent", 0, "a hint, optional" },
	{ "42-keyid-abc", 0, "a hint, never trusted; only cosign minds" },
	{ "44-tsdata-empty", 0, "empty timestamp data claims nothing" },
	{ "51-hint-wrong", ERR_VERIFY, "the bundle names another key" },
	{ "60-component-order", 0, "hashed in the listed order" },
	{ "62-reversed-sorted-root", ERR_VERIFY, "the root is not that of the listed order" },
	{ "66-digest-upper", ERR_INPUT, "digests have one spelling" },
	{ "70-payload-pretty", 0, "the signed bytes count, not their layout" },
	{ "72-base64url", ERR_INPUT, "OMS uses the standard alphabet" },
	{ "73-base64-unpadded", ERR_INPUT, "base64 has one spelling" },
	{ "77-big-numbers", ERR_INPUT, STRICTER "an integer beyond 64 bits is refused, never rounded" },
	{ "79-payload-trailing-nl", 0, "JSON may end in white space" },
	{ "81-two-sigs-first-bad", ERR_INPUT, "exactly one signature" },
	{ "83-other-payloadType", ERR_INPUT, "another kind of document" },
	{ "85-mediaType-0.4", ERR_UNSUPPORTED, "another version of the bundle" },
};

/* The table above must cover verdicts.tsv and agree with the rule it states. */
static void check_row(const char *name, bool schema_ok, bool model_signing_ok)
{
	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
		if (strcmp(verdicts[i].variant, name) == 0) {
			bool refuse =
				!schema_ok || !model_signing_ok || strncmp(verdicts[i].why, STRICTER, 8) == 0;
			cr_assert_eq(verdicts[i].result < 0, refuse, "%s", name);
			return;
		}
	cr_assert_fail("%s has no verdict", name);
}

Test(signing_bundle, variants_get_the_verdict_with_a_reason)
{
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
		struct signing_manifest m;
		char sig[120];
		snprintf(sig, sizeof sig, OMS "variants/%s.sig", verdicts[i].variant);
		int result = open_file(sig, OMS "p256.pub.pem", &m, &e);
		cr_assert_eq(result, verdicts[i].result, "%s: %d (%s), but: %s", verdicts[i].variant, result,
			     e.text, verdicts[i].why);
		if (result == 0)
			signing_manifest_free(&m);
	}
	struct buf table = { 0 };
	read_whole(OMS "variants/verdicts.tsv", &table);
	char *at = NULL, *line = strtok_r(table.bytes, "\n", &at);
	size_t rows = 0;
	while ((line = strtok_r(NULL, "\n", &at))) {
		char name[64], schema[8], reference[8];
		cr_assert_eq(sscanf(line, "%63s %7s %7s", name, schema, reference), 3);
		check_row(name, strcmp(schema, "ok") == 0, strcmp(reference, "ok") == 0);
		rows++;
	}
	cr_assert_eq(rows, sizeof verdicts / sizeof *verdicts);
	buf_free(&table);
}

/* ---- rightly signed, wrong in what they say ---- */

/* A statement over one file "f" with a right root, %s where rows put something. */
#define D "0000000000000000000000000000000000000000000000000000000000000000"
#define ROOT1 "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925" /* SHA-256 of 32 zeros */
#define ROOT2 "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b" /* of 64 */
#define HEAD(root)                                                    \
	"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":" \
	"[{\"name\":\"m\",\"digest\":{\"sha256\":\"" root             \
	"\"}}],\"predicateType\":\"https://model_signing/signature/v1.0\",\"predicate\":{\"resources\":["
#define SERIAL "\"serialization\":{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":false}"
#define TAIL "]," SERIAL "}}"
#define F(name) "{\"name\":\"" name "\",\"digest\":\"" D "\",\"algorithm\":\"sha256\"}"
#define BIG(extra) "{\"name\":\"f\",\"digest\":\"" D "\",\"algorithm\":\"sha256\"," extra "}"
#define CHUNKS(size, count)                                                                                \
	"\"chunks\":{\"algorithm\":\"sha256-rfc6962\",\"size\":" size ",\"count\":" count ",\"root\":\"" D \
	"\"}"

static const struct {
	const char *row, *statement;
	int result;
} statements[] = {
	{ "as it should be", HEAD(ROOT1) F("f") TAIL, 0 },
	{ "with chunks", HEAD(ROOT1) BIG("\"size\":4194304," CHUNKS("4194304", "1")) TAIL, 0 },
	{ "another root", HEAD(D) F("f") TAIL, ERR_VERIFY },
	{ "duplicate names", HEAD(ROOT2) F("f") "," F("f") TAIL, ERR_INPUT },
	{ "no file", HEAD("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") TAIL,
	  ERR_INPUT },
	{ "absolute name", HEAD(ROOT1) F("/f") TAIL, ERR_INPUT },
	{ "parent folder", HEAD(ROOT1) F("a/../f") TAIL, ERR_INPUT },
	{ "dot component", HEAD(ROOT1) F("./f") TAIL, ERR_INPUT },
	{ "empty component", HEAD(ROOT1) F("a//f") TAIL, ERR_INPUT },
	{ "trailing slash", HEAD(ROOT1) F("f/") TAIL, ERR_INPUT },
	{ "newline in a name", HEAD(ROOT1) F("f\\n") TAIL, ERR_INPUT },
	{ "NUL in a name", HEAD(ROOT1) F("f\\u0000g") TAIL, ERR_INPUT },
	{ "lone surrogate", HEAD(ROOT1) F("f\\ud800") TAIL, ERR_INPUT },
	{ "single file", HEAD(ROOT1) F(".") TAIL, ERR_UNSUPPORTED },
	{ "unknown member",
	  "{\"x\":1,"
	  "\"_type\":\"https://in-toto.io/Statement/v1\"}",
	  ERR_INPUT },
	{ "duplicate member", "{\"_type\":\"x\",\"_type\":\"https://in-toto.io/Statement/v1\"}", ERR_INPUT },
	{ "no members", "{}", ERR_INPUT },
	{ "a list", "[]", ERR_INPUT },
	{ "trailing bytes", HEAD(ROOT1) F("f") TAIL "{}", ERR_INPUT },
	{ "byte-order mark", "\xef\xbb\xbf" HEAD(ROOT1) F("f") TAIL, ERR_INPUT },
	{ "chunk count of another size", HEAD(ROOT1) BIG("\"size\":4194305," CHUNKS("4194304", "1")) TAIL,
	  ERR_INPUT },
	{ "chunks of another size", HEAD(ROOT1) BIG("\"size\":4194304," CHUNKS("65536", "64")) TAIL,
	  ERR_UNSUPPORTED },
	{ "chunks without size", HEAD(ROOT1) BIG(CHUNKS("4194304", "1")) TAIL, ERR_INPUT },
	{ "negative size", HEAD(ROOT1) BIG("\"size\":-1") TAIL, ERR_INPUT },
	{ "another algorithm",
	  HEAD(ROOT1) "{\"name\":\"f\",\"digest\":\"" D "\",\"algorithm\":\"blake2b\"}" TAIL, ERR_INPUT },
};

Test(signing_bundle, rightly_signed_statements_are_still_read_strictly)
{
	struct world w;
	struct err e = { 0 };
	world_open(&w);
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
		struct signing_manifest crafted = { .file = NULL }, m;
		struct buf sig = { 0 };
		buf_add_text(&crafted.payload, statements[i].statement);
		expect(0, signing_bundle_make(w.id, &crafted, &sig, &e));
		int result = signing_bundle_open(sig.bytes, sig.len, signing_identity_public(w.id), &m, &e);
		cr_assert_eq(result, statements[i].result, "%s: %d (%s)", statements[i].row, result, e.text);
		if (result == 0)
			signing_manifest_free(&m);
		buf_free(&crafted.payload);
		buf_free(&sig);
	}
	world_close(&w);
}

/* Any single changed character of a bundle of ours fails, or leaves the statement exactly as signed. */
Test(signing_bundle, any_change_of_the_text_is_refused)
{
	struct world w;
	struct err e = { 0 };
	struct signing_manifest m, again;
	struct buf sig = { 0 };
	world_open(&w);
	world_model(&w);
	world_sign(&w, &m);
	read_whole(world_path(&w, "model/model.sig"), &sig);
	for (size_t i = 0; i < sig.len; i += 5) {
		char kept = sig.bytes[i];
		sig.bytes[i] = kept == 'A' ? 'B' : 'A';
		cr_assert_lt(signing_bundle_open(sig.bytes, sig.len, signing_identity_public(w.id), &again,
						 &e),
			     0, "character %zu", i);
		sig.bytes[i] = kept;
	}
	expect(0, signing_bundle_open(sig.bytes, sig.len, signing_identity_public(w.id), &again, &e));
	cr_assert(digest_equal(&again.root, &m.root));
	signing_manifest_free(&again);
	signing_manifest_free(&m);
	buf_free(&sig);
	world_close(&w);
}
