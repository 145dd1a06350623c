/* Public keys in the forms of other tools. Read by content: a key document, PEM, a line of OpenSSH,
 * or a minisign public key (one line of base64 of "Ed" || key number[8] || key[32], after an
 * optional comment line); lines may end in CR LF.  Sources: RFC 5958 and 7468, RFC 4253 section
 * 6.6, minisign, C2SP signed-note. */
#include "base/file.h"
#include "base/text.h"
#include "signing/ecdsa.h"
#include "signing/keys.h"

#include <string.h>

#define COMMENT "untrusted comment:"
#define MINISIGN_BYTES 42
#define SSH_TYPE "ssh-ed25519"

static int read_pem(const struct buf *text, struct signing_public *out, struct err *e)
{
	const char *scheme = NULL;
	TRY(signing_ecdsa_read(text->bytes, text->len, out->p256_pem, &scheme, out->ed25519, e));
	out->has_p256 = scheme != NULL;
	out->has_ed25519 = scheme == NULL;
	return signing_keys_fill_ids(out, e);
}

static int read_minisign(const struct buf *text, struct signing_public *out, struct err *e)
{
	const char *line = text->bytes;
	struct buf key = { 0 };
	if (text_starts(line, COMMENT)) {
		line = strchr(line, '\n');
		if (!line++)
			return err_set(e, ERR_INPUT, "a comment and no key");
	}
	size_t len = strcspn(line, "\r\n");
	if (line[len + strspn(line + len, "\r\n")])
		return err_set(e, ERR_INPUT, "text after the key");
	int result = text_unbase64(&key, line, len) < 0 || key.len != MINISIGN_BYTES ||
				     memcmp(key.bytes, "Ed", 2) != 0
			     ? err_set(e, ERR_INPUT,
				       "neither a key document nor a public key in PEM, OpenSSH's "
				       "or minisign's form")
			     : 0;
	if (result == 0) {
		memcpy(out->ed25519, key.bytes + 10, 32);
		out->has_ed25519 = true;
		result = signing_keys_fill_ids(out, e);
	}
	buf_free(&key);
	return result;
}

/* "ssh-ed25519 BASE64 [COMMENT]", BASE64 of u32 11, "ssh-ed25519", u32 32, key. */
static int read_ssh(const struct buf *text, struct signing_public *out, struct err *e)
{
	static const uint8_t head[] = "\0\0\0\013" SSH_TYPE "\0\0\0 ";
	const char *line = text->bytes + strlen(SSH_TYPE " ");
	struct buf key = { 0 };
	if (!text_starts(text->bytes, SSH_TYPE " "))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: keys of OpenSSH other than " SSH_TYPE);
	int result = 0;
	if (text_unbase64(&key, line, strcspn(line, " \r\n")) < 0 ||
	    key.len != sizeof head - 1 + 32 || memcmp(key.bytes, head, sizeof head - 1) != 0)
		result = err_set(e, ERR_INPUT, "not a key of OpenSSH: the line is damaged");
	if (result == 0) {
		memcpy(out->ed25519, key.bytes + sizeof head - 1, 32);
		out->has_ed25519 = true;
		result = signing_keys_fill_ids(out, e);
	}
	buf_free(&key);
	return result;
}

static int read_any(const struct buf *text, struct signing_public *out, struct err *e)
{
	if (!text->bytes || strlen(text->bytes) != text->len)
		return err_set(e, ERR_INPUT, "not text");
	if (text->bytes[0] == '{')
		return signing_keys_document_read(text->bytes, text->len, out, e);
	if (strstr(text->bytes, "-----BEGIN ")) /* some tools describe the key before it */
		return read_pem(text, out, e);
	if (text_starts(text->bytes, "ssh-") || text_starts(text->bytes, "ecdsa-sha2-") ||
	    text_starts(text->bytes, "sk-"))
		return read_ssh(text, out, e);
	return read_minisign(text, out, e);
}

int signing_public_read_text(const char *path, struct signing_public *out, struct buf *text,
			     struct err *e)
{
	struct buf read = { 0 };
	int rc = 0;
	signing_keys_start();
	memset(out, 0, sizeof *out);
	TRY_OUT(file_read(path, KEYS_DOCUMENT_BYTES, &read, e));
	rc = read_any(&read, out, e);
	if (rc < 0)
		err_prefix(e, "%s", path);
	buf_add_buf(text, &read);
	if (rc == 0)
		rc = buf_done(text, e);
out:
	buf_free(&read);
	return rc;
}

int signing_public_read(const char *path, struct signing_public *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = signing_public_read_text(path, out, &text, e);
	buf_free(&text);
	return rc;
}

/* Names travel as the comment or first field of a line: no space, no '+', nothing unprintable. */
static int check_line_name(const char *name, struct err *e)
{
	for (const char *c = name ? name : ""; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '+')
			name = NULL;
	if (!name || !*name)
		return err_set(
			e, ERR_INPUT,
			"a key name of printable characters without spaces or '+' is needed here");
	return 0;
}

static void export_ssh(const struct signing_public *pub, const char *name, struct buf *out)
{
	struct buf blob = { 0 };
	buf_add_u32be(&blob, 11);
	buf_add_text(&blob, "ssh-ed25519");
	buf_add_u32be(&blob, 32);
	buf_add(&blob, pub->ed25519, 32);
	buf_add_text(out, "ssh-ed25519 ");
	text_base64(out, blob.bytes, blob.len);
	buf_printf(out, " %s\n", name);
	out->failed = out->failed || blob.failed;
	buf_free(&blob);
}

static void export_minisign(const struct signing_public *pub, struct buf *out)
{
	uint8_t key[MINISIGN_BYTES] = "Ed";
	signing_keys_number(pub, key + 2);
	memcpy(key + 10, pub->ed25519, 32);
	buf_add_text(out, COMMENT " minisign public key ");
	for (int i = 9; i >= 2; i--) /* minisign shows the number as a little-endian integer */
		buf_printf(out, "%02X", key[i]);
	buf_add_byte(out, '\n');
	text_base64(out, key, sizeof key);
	buf_add_byte(out, '\n');
}

/* "<name>+<hash>+<key>", where hash is SHA-256(name || 0x0a || 0x01 || key)[0:4] and key is
 * base64(0x01 || key). */
static void export_vkey(const struct signing_public *pub, const char *name, struct buf *out)
{
	struct buf text = { 0 };
	uint8_t key[33] = { 1 };
	char hash[9];
	memcpy(key + 1, pub->ed25519, 32);
	buf_printf(&text, "%s\n", name);
	buf_add(&text, key, sizeof key);
	struct digest d = digest_of(text.bytes, text.len);
	text_hex(d.bytes, 4, hash);
	buf_printf(out, "%s+%s+", name, hash);
	text_base64(out, key, sizeof key);
	buf_add_byte(out, '\n');
	out->failed = out->failed || text.failed;
	buf_free(&text);
}

int signing_public_export(const struct signing_public *pub, enum signing_form form,
			  const char *name, struct buf *out, struct err *e)
{
	bool ecdsa = form == SIGNING_PEM;
	if (form == SIGNING_DOCUMENT ? !pub->document[0]
	    : ecdsa                  ? !pub->has_p256
				     : !pub->has_ed25519)
		return err_set(e, ERR_INPUT, "this public key has no %s",
			       form == SIGNING_DOCUMENT ? "key document"
			       : ecdsa                  ? "ECDSA half"
							: "Ed25519 half");
	if (form == SIGNING_SSH || form == SIGNING_VKEY)
		TRY(check_line_name(name, e));
	switch (form) {
	case SIGNING_PEM:
		buf_add_text(out, pub->p256_pem);
		break;
	case SIGNING_SSH:
		export_ssh(pub, name, out);
		break;
	case SIGNING_MINISIGN:
		export_minisign(pub, out);
		break;
	case SIGNING_VKEY:
		export_vkey(pub, name, out);
		break;
	case SIGNING_DOCUMENT:
		buf_add_text(out, pub->document);
		break;
	}
	return buf_done(out, e);
}
