/* Identity files, key documents, and public keys in other tools' forms. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world w;

static void set_up(void) { world_open(&w); }

static void tear_down(void) { world_close(&w); }

TestSuite(signing_keys, .init = set_up, .fini = tear_down);

static unsigned mode_of(const char *name)
{
	struct stat st;
	cr_assert_eq(stat(world_path(&w, name), &st), 0);
	return st.st_mode & 07777;
}

Test(signing_keys, secret_files_are_private)
{
	cr_assert_eq(mode_of("keys/k.key"), 0600);
	cr_assert_eq(mode_of("keys/k.pub"), 0644);
	cr_assert_eq(mode_of("keys"), 0700);
}

Test(signing_keys, opens_only_with_its_passphrase)
{
	struct err e = { 0 };
	struct signing_identity *id = NULL;
	struct buf text = { 0 };
	char dir[128];
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	expect(0, signing_identity_create(dir, "p", "correct horse", &w.env, &e));
	cr_assert_eq(mode_of("keys/p.key"), 0600);
	expect(ERR_INPUT, signing_identity_open(&id, dir, "p", "correct hors", &e));
	expect(ERR_INPUT, signing_identity_open(&id, dir, "p", NULL, &e));
	cr_assert_null(id);
	expect(0, signing_identity_open(&id, dir, "p", "correct horse", &e));
	cr_assert_str_eq(signing_identity_public(id)->name, "p");
	signing_identity_close(id);

	/* A changed header is bound to the secret: still the wrong passphrase, never another key. */
	read_whole(world_path(&w, "keys/p.key"), &text);
	char *body = strchr(text.bytes, '\n') + 1;
	body[20] = body[20] == 'A' ? 'B' : 'A'; /* inside the key number */
	world_write(&w, "keys/p.key", text.bytes, text.len);
	expect(ERR_INPUT, signing_identity_open(&id, dir, "p", "correct horse", &e));
	buf_free(&text);
}

Test(signing_keys, refuses_bad_names_and_existing_ones)
{
	static const struct {
		const char *name;
		int result;
	} rows[] = {
		{ "", ERR_INPUT },
		{ ".hidden", ERR_INPUT },
		{ "A", ERR_INPUT },
		{ "a/b", ERR_INPUT },
		{ "..", ERR_INPUT },
		{ "a b", ERR_INPUT },
		{ "\xc3\xa4", ERR_INPUT },
		{ "k", ERR_CONFLICT },
		{ "k.2_x-y", 0 },
		{ "0123456789012345678901234567890123456789012345678901234567890123", ERR_INPUT },
		{ "012345678901234567890123456789012345678901234567890123456789012", 0 },
	};
	struct err e = { 0 };
	char dir[128];
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int result = signing_identity_create(dir, rows[i].name, NULL, &w.env, &e);
		cr_assert_eq(result, rows[i].result, "\"%s\": %d", rows[i].name, result);
	}
	struct signing_identity *id = NULL;
	expect(ERR_INPUT, signing_identity_open(&id, dir, "../keys/k", NULL, &e));
	expect(ERR_NOTFOUND, signing_identity_open(&id, dir, "absent", NULL, &e));
}

/* Change every character of the secret file in turn: none may open. */
Test(signing_keys, any_damage_to_the_secret_file_is_noticed)
{
	struct err e = { 0 };
	struct buf text = { 0 };
	char dir[128];
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	read_whole(world_path(&w, "keys/k.key"), &text);
	const char *line = strchr(text.bytes, '\n') + 1;
	for (size_t i = (size_t)(line - text.bytes); i < text.len; i++) {
		struct signing_identity *id = NULL;
		char kept = text.bytes[i];
		text.bytes[i] = kept == 'A' ? 'Q' : 'A';
		world_write(&w, "keys/k.key", text.bytes, text.len);
		cr_assert_lt(signing_identity_open(&id, dir, "k", NULL, &e), 0, "character %zu", i);
		text.bytes[i] = kept;
	}
	for (size_t len = 0; len < text.len; len += 7) {
		struct signing_identity *id = NULL;
		world_write(&w, "keys/k.key", text.bytes, len);
		expect(ERR_INPUT, signing_identity_open(&id, dir, "k", NULL, &e));
	}
	buf_free(&text);
}

/* A creation that was cut off between the two files: the secret stays what it is. */
Test(signing_keys, a_secret_without_its_document_is_completed_and_never_replaced)
{
	struct err e = { 0 };
	struct signing_identity *id = NULL;
	struct buf before = { 0 }, after = { 0 };
	char dir[128];
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	expect(0, signing_identity_create(dir, "p", "correct horse", &w.env, &e));
	read_whole(world_path(&w, "keys/p.key"), &before);
	cr_assert_eq(unlink(world_path(&w, "keys/p.pub")), 0);
	expect(ERR_NOTFOUND, signing_identity_open(&id, dir, "p", "correct horse", &e));
	expect(ERR_CONFLICT, signing_identity_create(dir, "p", NULL, &w.env, &e));
	expect(ERR_CONFLICT, signing_identity_create(dir, "p", "other", &w.env, &e));
	cr_expect_not(file_exists(world_path(&w, "keys/p.pub")));
	expect(0, signing_identity_create(dir, "p", "correct horse", &w.env, &e));
	expect(0, signing_identity_open(&id, dir, "p", "correct horse", &e));
	signing_identity_close(id);
	read_whole(world_path(&w, "keys/p.key"), &after);
	cr_expect(after.len == before.len && memcmp(after.bytes, before.bytes, after.len) == 0);
	buf_free(&before);
	buf_free(&after);
}

Test(signing_keys, a_secret_that_lies_open_is_not_taken_for_one_under_a_passphrase)
{
	struct err e = { 0 };
	struct signing_identity *id = NULL;
	char dir[128];
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	expect(0, signing_identity_create(dir, "p", NULL, &w.env, &e));
	cr_assert_eq(unlink(world_path(&w, "keys/p.pub")), 0);
	expect(ERR_CONFLICT, signing_identity_create(dir, "p", "correct horse", &w.env, &e));
	cr_expect_not(file_exists(world_path(&w, "keys/p.pub")));
	expect(0, signing_identity_create(dir, "p", NULL, &w.env, &e));
	expect(0, signing_identity_open(&id, dir, "p", NULL, &e));
	signing_identity_close(id);
}

/* ---- many at once ---- */

struct maker {
	pthread_t thread;
	int rc;
};

static void *make_one(void *arg)
{
	struct maker *m = arg;
	struct env env = env_system();
	char dir[128];
	snprintf(dir, sizeof dir, "%s/keys", w.dir);
	m->rc = signing_identity_create(dir, "same", NULL, &env, NULL);
	return NULL;
}

Test(signing_keys, of_many_that_make_the_same_name_one_does)
{
	struct maker maker[8];
	struct err e = { 0 };
	struct signing_identity *id = NULL;
	char dir[128];
	int made = 0;
	for (size_t i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&maker[i].thread, NULL, make_one, &maker[i]), 0);
	for (size_t i = 0; i < 8; i++) {
		pthread_join(maker[i].thread, NULL);
		cr_expect(maker[i].rc == 0 || maker[i].rc == ERR_CONFLICT, "%d", maker[i].rc);
		made += maker[i].rc == 0;
	}
	cr_expect_eq(made, 1, "%d", made);
	snprintf(dir, sizeof dir, "%s/keys", w.dir);
	expect(0, signing_identity_open(&id, dir, "same", NULL, &e));
	signing_identity_close(id);
}

Test(signing_keys, the_document_of_another_key_is_refused)
{
	struct err e = { 0 };
	struct signing_identity *id = NULL;
	struct buf text = { 0 };
	char dir[128];
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	expect(0, signing_identity_create(dir, "other", NULL, &w.env, &e));
	read_whole(world_path(&w, "keys/other.pub"), &text);
	world_write(&w, "keys/k.pub", text.bytes, text.len);
	expect(ERR_VERIFY, signing_identity_open(&id, dir, "k", NULL, &e));
	buf_free(&text);
}

/* Every single changed character makes the key document unreadable. */
Test(signing_keys, any_change_of_the_document_is_refused)
{
	struct err e = { 0 };
	struct buf text = { 0 };
	struct signing_public pub;
	read_whole(world_path(&w, "keys/k.pub"), &text);
	expect(0, signing_public_read(world_path(&w, "keys/k.pub"), &pub, &e));
	cr_assert_str_eq(pub.name, "k");
	cr_assert_str_eq(pub.document, text.bytes);
	for (size_t i = 0; i + 1 < text.len; i += 3) {
		char kept = text.bytes[i];
		if (strstr(text.bytes, "\"keyid\":\"") &&
		    text.bytes + i > strstr(text.bytes, "\"signatures\"") && strchr("0123456789abcdef", kept))
			continue; /* the envelope's key ids are hints, not trusted and not needed */
		text.bytes[i] = kept == 'x' ? 'y' : 'x';
		world_write(&w, "changed.pub", text.bytes, text.len);
		cr_assert_lt(signing_public_read(world_path(&w, "changed.pub"), &pub, &e), 0, "character %zu",
			     i);
		text.bytes[i] = kept;
	}
	buf_free(&text);
}

/* What `openssl pkey -pubout` prints: header, lines of 64 columns, footer, one final newline. */
Test(signing_keys, pem_is_in_the_one_spelling_of_openssl)
{
	struct err e = { 0 };
	struct buf pem = { 0 };
	const struct signing_public *pub = signing_identity_public(w.id);
	struct signing_public again;
	expect(0, signing_public_export(pub, SIGNING_PEM, NULL, &pem, &e));
	cr_assert(text_starts(pem.bytes, "-----BEGIN PUBLIC KEY-----\n"));
	cr_assert(text_ends(pem.bytes, "\n-----END PUBLIC KEY-----\n"));
	cr_assert_eq(pem.len, 27u + 64 + 1 + 60 + 1 + 25);
	cr_assert_eq(strchr(pem.bytes + 27, '\n') - (pem.bytes + 27), 64);
	world_write(&w, "k.pem", pem.bytes, pem.len);
	expect(0, signing_public_read(world_path(&w, "k.pem"), &again, &e));
	cr_assert_str_eq(again.p256_pem, pub->p256_pem);
	cr_assert_str_eq(again.p256_keyid, pub->p256_keyid);
	cr_assert(again.has_p256 && !again.has_ed25519 && !again.name[0]);
	expect(ERR_INPUT, signing_public_export(&again, SIGNING_SSH, "x", &pem, &e));
	expect(ERR_INPUT, signing_public_export(&again, SIGNING_DOCUMENT, NULL, &pem, &e));
	buf_free(&pem);
}

Test(signing_keys, minisign_and_ssh_forms_hold_the_same_key)
{
	struct err e = { 0 };
	struct buf text = { 0 }, blob = { 0 };
	const struct signing_public *pub = signing_identity_public(w.id);
	struct signing_public again;
	expect(0, signing_public_export(pub, SIGNING_MINISIGN, NULL, &text, &e));
	world_write(&w, "k.minisign", text.bytes, text.len);
	expect(0, signing_public_read(world_path(&w, "k.minisign"), &again, &e));
	cr_assert_arr_eq(again.ed25519, pub->ed25519, 32);
	cr_assert_str_eq(again.ed25519_keyid, pub->ed25519_keyid);
	buf_clear(&text);

	expect(ERR_INPUT, signing_public_export(pub, SIGNING_SSH, "two words", &text, &e));
	expect(ERR_INPUT, signing_public_export(pub, SIGNING_VKEY, NULL, &text, &e));
	expect(0, signing_public_export(pub, SIGNING_SSH, "me@example", &text, &e));
	cr_assert(text_starts(text.bytes, "ssh-ed25519 ") && text_ends(text.bytes, " me@example\n"));
	char *base64 = text.bytes + 12;
	cr_assert_eq(text_unbase64(&blob, base64, strcspn(base64, " ")), 0);
	cr_assert_eq(blob.len, 51u);
	cr_assert_arr_eq(blob.bytes, "\0\0\0\x0bssh-ed25519\0\0\0\x20", 19);
	cr_assert_arr_eq(blob.bytes + 19, pub->ed25519, 32);
	buf_clear(&text);

	expect(0, signing_public_export(pub, SIGNING_VKEY, "example.org/log", &text, &e));
	cr_assert(text_starts(text.bytes, "example.org/log+"));
	buf_free(&text);
	buf_free(&blob);
}

/* The form's text, with CR LF where asked, read back as a public key. */
static int read_again(const char *text, bool crlf, struct signing_public *out, struct err *e)
{
	struct buf b = { 0 };
	for (; *text; text++) {
		if (*text == '\n' && crlf)
			buf_add_byte(&b, '\r');
		buf_add_byte(&b, (unsigned char)*text);
	}
	world_write(&w, "again", b.bytes, b.len);
	buf_free(&b);
	return signing_public_read(world_path(&w, "again"), out, e);
}

Test(signing_keys, bare_keys_are_read_with_either_end_of_line)
{
	static const enum signing_form forms[] = { SIGNING_PEM, SIGNING_SSH, SIGNING_MINISIGN };
	const struct signing_public *pub = signing_identity_public(w.id);
	struct signing_public again;
	struct err e = { 0 };
	for (size_t i = 0; i < 6; i++) {
		struct buf text = { 0 };
		enum signing_form form = forms[i / 2];
		expect(0, signing_public_export(pub, form, "me", &text, &e));
		expect(0, read_again(text.bytes, i % 2, &again, &e));
		cr_expect_eq(again.has_p256, form == SIGNING_PEM);
		cr_expect_eq(again.has_ed25519, form != SIGNING_PEM);
		cr_expect_str_eq(form == SIGNING_PEM ? again.p256_keyid : again.ed25519_keyid,
				 form == SIGNING_PEM ? pub->p256_keyid : pub->ed25519_keyid);
		buf_free(&text);
	}
	expect(ERR_UNSUPPORTED, read_again("ssh-rsa AAAAB3NzaC1yc2E= me\n", false, &again, &e));
	expect(ERR_INPUT, read_again("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me\n", false, &again, &e));
	expect(ERR_INPUT, read_again("ssh-ed25519 \n", false, &again, &e));
}

Test(signing_keys, reads_the_keys_of_other_tools)
{
	static const struct {
		const char *path;
		int result;
		bool p256, ed25519;
	} rows[] = {
		{ "tests/vectors/oms/p256.pub.pem", 0, true, false },
		{ "tests/vectors/oms/p384.pub.pem", 0, true, false },
		{ "tests/vectors/oms/p521.pub.pem", 0, true, false },
		{ "tests/vectors/oms/ed25519.pub.pem", 0, false, true },
		{ "tests/vectors/minisign/minisign.pub", 0, false, true },
		{ "tests/vectors/minisign/message.bin", ERR_INPUT, false, false },
		{ "tests/vectors/oms/statement.json", ERR_INPUT, false, false },
		{ "tests/vectors/oms/none.pem", ERR_NOTFOUND, false, false },
	};
	struct signing_public pub;
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int result = signing_public_read(rows[i].path, &pub, &e);
		cr_assert_eq(result, rows[i].result, "%s: %d (%s)", rows[i].path, result, e.text);
		if (result == 0)
			cr_assert(pub.has_p256 == rows[i].p256 && pub.has_ed25519 == rows[i].ed25519, "%s",
				  rows[i].path);
	}
}

Test(signing_keys, derived_keys_differ_by_purpose_and_repeat)
{
	uint8_t a[32], b[32], c[32];
	signing_derive(w.id, "one", a);
	signing_derive(w.id, "one", b);
	signing_derive(w.id, "two", c);
	cr_assert_arr_eq(a, b, 32);
	cr_assert_arr_neq(a, c, 32);
}

Test(signing_keys, ed25519_signatures_are_bound_to_key_and_bytes)
{
	uint8_t sig[64], key[32];
	signing_ed25519(w.id, "message", 7, sig);
	memcpy(key, signing_identity_public(w.id)->ed25519, 32);
	cr_assert_eq(signing_ed25519_check(key, "message", 7, sig), 0);
	cr_assert_eq(signing_ed25519_check(key, "massage", 7, sig), ERR_VERIFY);
	sig[63] ^= 1;
	cr_assert_eq(signing_ed25519_check(key, "message", 7, sig), ERR_VERIFY);
	sig[63] ^= 1;
	key[0] ^= 1;
	cr_assert_eq(signing_ed25519_check(key, "message", 7, sig), ERR_VERIFY);
}

/* ---- what a document says beside its keys ---- */

Test(signing_keys, a_document_keeps_what_it_was_told)
{
	struct err e = { 0 };
	struct signing_public pub;
	struct signing_identity *heir;
	char dir[128];
	const struct signing_terms terms = {
		.models = "acme/*,acme-labs/m",
		.log = "example.org/log+00000000+AAAA",
		.previous = w.id,
		.expires_us = 1893456000000000, /* 2030 */
	};
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	expect(0, signing_publisher_create(dir, "heir", NULL, &terms, &w.env, &e));
	expect(0, signing_public_read(world_path(&w, "keys/heir.pub"), &pub, &e));
	cr_expect_str_eq(pub.models, terms.models);
	cr_expect_str_eq(pub.log, terms.log);
	cr_expect_eq(pub.expires_us, terms.expires_us);
	cr_expect_str_eq(pub.previous, signing_identity_public(w.id)->ed25519_keyid);
	cr_expect(signing_public_follows(&pub, signing_identity_public(w.id)));
	cr_expect_not(signing_public_follows(signing_identity_public(w.id), &pub));
	expect(0, signing_identity_open(&heir, dir, "heir", NULL, &e));
	cr_expect_str_eq(signing_identity_public(heir)->models, terms.models);
	signing_identity_close(heir);

	/* Named, but not by that key's signature. */
	char text[sizeof pub.document];
	memcpy(text, pub.document, sizeof text);
	char *third = strrchr(text, '{') + strlen("{\"sig\":\"") + 10;
	*third = *third == 'A' ? 'B' : 'A';
	expect(0, signing_public_parse(text, strlen(text), &pub, &e));
	cr_expect_not(signing_public_follows(&pub, signing_identity_public(w.id)));
}

Test(signing_keys, a_document_without_terms_has_none)
{
	const struct signing_public *pub = signing_identity_public(w.id);
	cr_expect(!pub->models[0] && !pub->log[0] && !pub->previous[0] && pub->expires_us == 0);
}

Test(signing_keys, terms_that_cannot_stand_in_a_document_make_no_key)
{
	struct err e = { 0 };
	char dir[128], log[600];
	memset(log, 'x', sizeof log);
	log[sizeof log - 1] = 0;
	snprintf(dir, sizeof dir, "%s", world_path(&w, "keys"));
	const struct signing_terms terms[] = { { .models = "acme" }, { .log = log } };
	for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
		expect(ERR_INPUT, signing_publisher_create(dir, "x", NULL, &terms[i], &w.env, &e));
		cr_expect_not(file_exists(world_path(&w, "keys/x.key")));
	}
}

static void add_base64(struct buf *out, const void *bytes, size_t len)
{
	text_base64(out, bytes, len);
	buf_add_text(out, "\"}");
}

static void key_id(const char *type, const char *scheme, const char *key, char out[65])
{
	struct buf text = { 0 };
	struct err e = { 0 };
	json_t *o = json_pack("{s:s,s:{s:s},s:s}", "keytype", type, "keyval", "public", key,
			      "scheme", scheme);
	expect(0, json_write_canonical(o, &text, &e));
	struct digest d = digest_of(text.bytes, text.len);
	digest_hex(&d, out);
	json_decref(o);
	buf_free(&text);
}

/* A document made by another program: its own P-256 key, w.id's Ed25519, and members added to what we
 * know. more_keys, more: JSON members that begin with a comma, or ""; more_signatures likewise. */
static void foreign_document(const char *type, const char *version, const char *more_keys,
			     const char *more, const char *more_signatures, struct buf *out)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	char pem[400], p256_id[65], hex[65], escaped[500] = "";
	uint8_t der[100], ed25519[64];
	size_t der_len = sizeof der;
	struct buf payload = { 0 }, pae = { 0 };
	cr_assert(key && bio && c && PEM_write_bio_PUBKEY(bio, key));
	pem[BIO_read(bio, pem, sizeof pem - 1)] = 0;
	for (const char *s = pem; *s; s++)
		strcat(escaped, *s == '\n' ? "\\n" : (char[]){ *s, 0 });
	key_id("ecdsa", "ecdsa-sha2-nistp256", pem, p256_id);
	text_hex(signing_identity_public(w.id)->ed25519, 32, hex);
	buf_printf(&payload,
		   "{\"created\":\"2026-01-31T12:00:00Z\",\"keys\":{\"ecdsa-p256\":{\"keyid\":\"%s\","
		   "\"public\":\"%s\"},\"ed25519\":{\"keyid\":\"%s\",\"public\":\"%s\"}%s},"
		   "\"kind\":\"key\",\"name\":\"other\",\"version\":%s%s}",
		   p256_id, escaped, signing_identity_public(w.id)->ed25519_keyid, hex, more_keys,
		   version, more);
	buf_printf(&pae, "DSSEv1 %zu %s %zu %s", strlen(type), type, payload.len, payload.bytes);
	cr_assert(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSign(c, der, &der_len, (uint8_t *)pae.bytes, pae.len) == 1);
	signing_ed25519(w.id, pae.bytes, pae.len, ed25519);
	buf_add_text(out, "{\"payload\":\"");
	text_base64(out, payload.bytes, payload.len);
	buf_printf(out, "\",\"payloadType\":\"%s\",\"signatures\":[{\"sig\":\"", type);
	add_base64(out, der, der_len);
	buf_add_text(out, ",{\"sig\":\"");
	add_base64(out, ed25519, sizeof ed25519);
	buf_printf(out, "%s]}", more_signatures);
	EVP_MD_CTX_free(c);
	BIO_free(bio);
	EVP_PKEY_free(key);
	buf_free(&payload);
	buf_free(&pae);
}

#define KEY_TYPE "application/vnd.hallmark.key+json;version="
static const struct {
	const char *row, *type, *version, *more_keys, *more, *more_signatures, *words;
	int rc;
} documents[] = {
	{ "plain", KEY_TYPE "1", "1", "", "", "", "", 0 },
	{ "a member of later", KEY_TYPE "1", "1", "", ",\"zz\":{\"a\":[1]}", "", "", 0 },
	{ "a key of later", KEY_TYPE "1", "1", ",\"ml-dsa\":{\"public\":\"x\"}", "", "", "", 0 },
	{ "a third signature", KEY_TYPE "1", "1", "", "", ",{\"sig\":\"AAAA\"}", "", 0 },
	{ "a later version", KEY_TYPE "2", "2", "", "", "", "version 2 of this document",
	  ERR_UNSUPPORTED },
	{ "a later version inside", KEY_TYPE "1", "2", "", "", "", "key document version 2",
	  ERR_UNSUPPORTED },
	{ "another type", "application/json", "1", "", "", "", "expected payloadType", ERR_INPUT },
	{ "expires, no time", KEY_TYPE "1", "1", "", ",\"expires\":\"2027-02-31\"", "", "expires",
	  ERR_INPUT },
	{ "expires, a number", KEY_TYPE "1", "1", "", ",\"expires\":1", "", "expires", ERR_INPUT },
	{ "models, no list", KEY_TYPE "1", "1", "", ",\"models\":\"a/b\"", "", "models", ERR_INPUT },
	{ "models, no pattern", KEY_TYPE "1", "1", "", ",\"models\":[\"a\"]", "", "models",
	  ERR_INPUT },
	{ "models, two in one", KEY_TYPE "1", "1", "", ",\"models\":[\"a/b,c/d\"]", "", "models",
	  ERR_INPUT },
	{ "previous, no key id", KEY_TYPE "1", "1", "", ",\"previous\":\"x\"", "", "previous",
	  ERR_INPUT },
};

Test(signing_keys, documents_of_later_programs_read_or_say_that_they_are_newer)
{
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		struct buf text = { 0 };
		struct err e = { 0 };
		struct signing_public pub;
		foreign_document(documents[i].type, documents[i].version, documents[i].more_keys,
				 documents[i].more, documents[i].more_signatures, &text);
		world_write(&w, "other.pub", text.bytes, text.len);
		int rc = signing_public_read(world_path(&w, "other.pub"), &pub, &e);
		cr_expect_eq(rc, documents[i].rc, "%s: %d (%s)", documents[i].row, rc, e.text);
		cr_expect(strstr(e.text, documents[i].words), "%s: %s", documents[i].row, e.text);
		buf_free(&text);
	}
}
