/* minisign signature files. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIR "tests/vectors/minisign/"

static struct err e;

Test(signing_minisign, golden_signatures_verify)
{
	static const char *const names[] = { DIR "message.bin.minisig", DIR "message.legacy.minisig" };
	struct buf message = { 0 };
	struct signing_public pub;
	expect(0, signing_public_read(DIR "minisign.pub", &pub, &e));
	read_whole(DIR "message.bin", &message);
	for (size_t i = 0; i < 2; i++) {
		struct buf sig = { 0 };
		read_whole(names[i], &sig);
		expect(0, signing_minisign_check(pub.ed25519, message.bytes, message.len, sig.bytes, sig.len,
						 &e));
		message.bytes[3] ^= 1;
		expect(ERR_VERIFY, signing_minisign_check(pub.ed25519, message.bytes, message.len, sig.bytes,
							  sig.len, &e));
		message.bytes[3] ^= 1;
		expect(ERR_VERIFY, signing_minisign_check(pub.ed25519, message.bytes, message.len - 1,
							  sig.bytes, sig.len, &e));
		pub.ed25519[0] ^= 1;
		expect(ERR_VERIFY, signing_minisign_check(pub.ed25519, message.bytes, message.len, sig.bytes,
							  sig.len, &e));
		pub.ed25519[0] ^= 1;
		buf_free(&sig);
	}
	buf_free(&message);
}

/* Characters of the untrusted comment and of the key number (8 bytes after the algorithm) are not signed. */
static bool is_signed(const struct buf *sig, size_t i)
{
	size_t line = strcspn(sig->bytes, "\n") + 1, at = i - line;
	return i >= line && (at < 2 || at >= 14) && sig->bytes[i] != '\n' && sig->bytes[i] != '=';
}

Test(signing_minisign, ours_verify_and_any_change_is_refused)
{
	struct world w;
	struct buf sig = { 0 };
	world_open(&w);
	const uint8_t *key = signing_identity_public(w.id)->ed25519;
	expect(0, signing_minisign(w.id, "message", 7, "timestamp:1700000000\tfile:m", &sig, &e));
	expect(0, signing_minisign_check(key, "message", 7, sig.bytes, sig.len, &e));
	expect(ERR_VERIFY, signing_minisign_check(key, "massage", 7, sig.bytes, sig.len, &e));
	for (size_t i = 0; i < sig.len; i++) {
		char kept = sig.bytes[i];
		sig.bytes[i] = kept == 'A' ? 'Q' : 'A';
		if (is_signed(&sig, i))
			cr_assert_lt(signing_minisign_check(key, "message", 7, sig.bytes, sig.len, &e), 0,
				     "character %zu", i);
		sig.bytes[i] = kept;
	}
	buf_free(&sig);
	world_close(&w);
}

Test(signing_minisign, comments_are_bounded_and_printable)
{
	struct world w;
	struct buf sig = { 0 };
	char *long_one = malloc(8194);
	world_open(&w);
	memset(long_one, 'x', 8193);
	long_one[8193] = '\0';
	expect(ERR_INPUT, signing_minisign(w.id, "m", 1, long_one, &sig, &e));
	expect(ERR_INPUT, signing_minisign(w.id, "m", 1, "two\nlines", &sig, &e));
	expect(ERR_INPUT, signing_minisign(w.id, "m", 1, "\x1b[2J", &sig, &e));
	expect(0, signing_minisign(w.id, "m", 1, long_one + 1, &sig, &e));
	expect(0, signing_minisign_check(signing_identity_public(w.id)->ed25519, "m", 1, sig.bytes, sig.len,
					 &e));
	buf_free(&sig);
	free(long_one);
	world_close(&w);
}

Test(signing_minisign, malformed_files_are_refused)
{
	struct buf good = { 0 }, message = { 0 }, text = { 0 };
	struct signing_public pub;
	expect(0, signing_public_read(DIR "minisign.pub", &pub, &e));
	read_whole(DIR "message.bin", &message);
	read_whole(DIR "message.bin.minisig", &good);
	for (size_t len = 0; len + 1 < good.len; len++)
		cr_assert_lt(signing_minisign_check(pub.ed25519, message.bytes, message.len, good.bytes, len,
						    &e),
			     0, "cut at %zu", len);
	buf_add(&text, good.bytes, good.len);
	buf_add_text(&text, "more\n");
	expect(ERR_INPUT,
	       signing_minisign_check(pub.ed25519, message.bytes, message.len, text.bytes, text.len, &e));
	char *algorithm = strchr(good.bytes, '\n') + 1;
	memcpy(algorithm, "RVG", 3); /* "EQ" and so on: no algorithm of minisign */
	expect(ERR_UNSUPPORTED,
	       signing_minisign_check(pub.ed25519, message.bytes, message.len, good.bytes, good.len, &e));
	buf_free(&good);
	buf_free(&message);
	buf_free(&text);
}
