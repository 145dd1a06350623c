/* minisign signature files: four lines,
 *
 *     untrusted comment: TEXT                       at most 1,024 bytes, not signed
 *     base64 of alg[2] || key number[8] || sig[64]
 *     trusted comment: TEXT                         at most 8,192 bytes
 *     base64 of global[64]                          Ed25519 over sig || TEXT
 *
 * alg "ED": sig is over BLAKE2b-512 of the file (written here); "Ed": over the file itself (read
 * only). Valid: both signatures good, comments printable, nothing after the fourth line. Source:
 * minisign, "signature format". */
#include "base/text.h"
#include "signing/keys.h"

#include <sodium.h>
#include <string.h>

#define UNTRUSTED "untrusted comment: "
#define TRUSTED "trusted comment: "
#define UNTRUSTED_MAX 1024
#define TRUSTED_MAX 8192
#define SIG_BYTES 74

static bool printable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') ||
		    s[i] == 0x7f) /* minisign writes tabs */
			return false;
	return text_utf8_valid(s, len);
}

static void prehash(const void *bytes, size_t len, uint8_t out[64])
{
	crypto_generichash_blake2b(out, 64, bytes, len, NULL, 0);
}

/* sig || comment, which the global signature covers. */
static int global_message(const uint8_t sig[64], const char *comment, size_t len, struct buf *out,
			  struct err *e)
{
	buf_add(out, sig, 64);
	buf_add(out, comment, len);
	return buf_done(out, e);
}

int signing_minisign(const struct signing_identity *id, const void *bytes, size_t len,
		     const char *trusted_comment, struct buf *out, struct err *e)
{
	uint8_t head[SIG_BYTES] = "ED", hash[64], global[64];
	struct buf message = { 0 };
	size_t comment = strlen(trusted_comment);
	if (comment > TRUSTED_MAX || !printable(trusted_comment, comment))
		return err_set(e, ERR_INPUT, "trusted comment: expected at most %d printable bytes",
			       TRUSTED_MAX);
	signing_keys_number(signing_identity_public(id), head + 2);
	prehash(bytes, len, hash);
	signing_ed25519(id, hash, sizeof hash, head + 10);
	int rc = global_message(head + 10, trusted_comment, comment, &message, e);
	if (rc == 0) {
		signing_ed25519(id, message.bytes, message.len, global);
		buf_printf(out, UNTRUSTED "signature by hallmark key %s\n",
			   signing_identity_public(id)->name);
		text_base64(out, head, sizeof head);
		buf_printf(out, "\n" TRUSTED "%s\n", trusted_comment);
		text_base64(out, global, sizeof global);
		buf_add_text(out, "\n");
		rc = buf_done(out, e);
	}
	buf_free(&message);
	return rc;
}

/* ---- reading ---- */

struct line {
	const char *text;
	size_t len;
};

/* Exactly four lines; the last newline may be missing, and lines may end in CR LF. */
static int split(const char *text, size_t len, struct line line[4], struct err *e)
{
	for (int i = 0; i < 4; i++) {
		const char *end = len ? memchr(text, '\n', len) : NULL;
		size_t n = end ? (size_t)(end - text) : len;
		if (n == 0)
			return err_set(e, ERR_INPUT, "minisign signature: line %d is missing",
				       i + 1);
		line[i] = (struct line){ text, n - (text[n - 1] == '\r') };
		n += end != NULL;
		text += n;
		len -= n;
	}
	return len == 0 ? 0 : err_set(e, ERR_INPUT, "minisign signature: more than four lines");
}

/* Cut the comment's label off. */
static int comment_of(struct line *l, const char *label, size_t most, struct err *e)
{
	size_t n = strlen(label);
	if (l->len < n || memcmp(l->text, label, n) != 0)
		return err_set(e, ERR_INPUT, "minisign signature: expected \"%s\"", label);
	l->text += n;
	l->len -= n;
	if (l->len > most || !printable(l->text, l->len))
		return err_set(e, ERR_INPUT,
			       "minisign signature: a comment is too long or not printable");
	return 0;
}

static int decode(const struct line *l, uint8_t *out, size_t bytes, struct err *e)
{
	struct buf b = { 0 };
	bool ok = text_unbase64(&b, l->text, l->len) == 0 && b.len == bytes;
	if (ok)
		memcpy(out, b.bytes, bytes);
	buf_free(&b);
	return ok ? 0
		  : err_set(e, ERR_INPUT, "minisign signature: a line is not base64 of %zu bytes",
			    bytes);
}

static int check_file(const uint8_t key[32], const void *bytes, size_t len,
		      const uint8_t head[SIG_BYTES], struct err *e)
{
	uint8_t hash[64];
	int rc;
	if (memcmp(head, "ED", 2) == 0) {
		prehash(bytes, len, hash);
		rc = signing_ed25519_check(key, hash, sizeof hash, head + 10);
	} else if (memcmp(head, "Ed", 2) == 0) {
		rc = signing_ed25519_check(key, bytes, len, head + 10);
	} else {
		return err_set(e, ERR_UNSUPPORTED, "minisign signature: unknown algorithm");
	}
	return rc == 0 ? 0
		       : err_set(e, ERR_VERIFY,
				 "minisign: the signature does not fit the file and the key");
}

int signing_minisign_check(const uint8_t public_key[32], const void *bytes, size_t len,
			   const char *signature_text, size_t signature_len, struct err *e)
{
	struct line line[4];
	uint8_t head[SIG_BYTES], global[64];
	struct buf message = { 0 };
	signing_keys_start();
	TRY(split(signature_text, signature_len, line, e));
	TRY(comment_of(&line[0], UNTRUSTED, UNTRUSTED_MAX, e));
	TRY(comment_of(&line[2], TRUSTED, TRUSTED_MAX, e));
	TRY(decode(&line[1], head, sizeof head, e));
	TRY(decode(&line[3], global, sizeof global, e));
	TRY(check_file(public_key, bytes, len, head, e));
	int rc = global_message(head + 10, line[2].text, line[2].len, &message, e);
	if (rc == 0 && signing_ed25519_check(public_key, message.bytes, message.len, global) < 0)
		rc = err_set(e, ERR_VERIFY, "minisign: the trusted comment was changed");
	buf_free(&message);
	return rc;
}
