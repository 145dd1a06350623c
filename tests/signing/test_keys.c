/* Identity files, key documents, and public keys in other tools' forms. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

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
	expect(ERR_VERIFY, signing_identity_open(&id, dir, "p", "correct hors", &e));
	expect(ERR_VERIFY, signing_identity_open(&id, dir, "p", NULL, &e));
	cr_assert_null(id);
	expect(0, signing_identity_open(&id, dir, "p", "correct horse", &e));
	cr_assert_str_eq(signing_identity_public(id)->name, "p");
	signing_identity_close(id);

	/* A changed header is bound to the secret: still the wrong passphrase, never another key. */
	read_whole(world_path(&w, "keys/p.key"), &text);
	char *body = strchr(text.bytes, '\n') + 1;
	body[20] = body[20] == 'A' ? 'B' : 'A'; /* inside the key number */
	world_write(&w, "keys/p.key", text.bytes, text.len);
	expect(ERR_VERIFY, signing_identity_open(&id, dir, "p", "correct horse", &e));
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
