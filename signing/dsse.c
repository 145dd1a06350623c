#include "signing/dsse.h"
#include "base/limits.h"
#include "base/text.h"
#include "signing/signing.h"

#include <string.h>

void signing_dsse_pae(struct buf *out, const char *payload_type, const void *payload, size_t len)
{
	buf_printf(out, "DSSEv1 %zu %s %zu ", strlen(payload_type), payload_type, len);
	buf_add(out, payload, len);
}

void signing_dsse_write(struct buf *out, const char *payload_type, const void *payload, size_t len,
			const struct dsse_signature *signature, size_t count)
{
	buf_add_text(out, "{\"payload\":\"");
	text_base64(out, payload, len);
	buf_add_text(out, "\",\"payloadType\":");
	text_json_string(out, payload_type, strlen(payload_type));
	buf_add_text(out, ",\"signatures\":[");
	for (size_t i = 0; i < count; i++) {
		buf_add_text(out, i ? ",{\"sig\":\"" : "{\"sig\":\"");
		text_base64(out, signature[i].bytes, signature[i].len);
		buf_printf(out, "\",\"keyid\":\"%s\"}", signature[i].keyid);
	}
	buf_add_text(out, "]}");
}

/* Padded base64 in the standard alphabet, or (url_safe) in the URL alphabet; never a mixture. */
static int decode(const char *text, bool url_safe, struct buf *out, struct err *e)
{
	size_t len = strlen(text);
	bool url = url_safe && strpbrk(text, "-_") && !strpbrk(text, "+/");
	struct buf standard = { 0 };
	if (url) {
		buf_add(&standard, text, len);
		for (size_t i = 0; i < standard.len; i++)
			standard.bytes[i] = standard.bytes[i] == '-'   ? '+'
					    : standard.bytes[i] == '_' ? '/'
								       : standard.bytes[i];
		text = standard.bytes;
	}
	int result = url && standard.failed ? ERR_NOMEM : text_unbase64(out, text, len);
	buf_free(&standard);
	if (result == 0)
		result = buf_done(out, e);
	return result < 0 ? err_set(e, result, "envelope: not canonical padded base64") : 0;
}

static int read_signature(const json_t *s, bool url_safe, struct buf *out, struct err *e)
{
	static const char *const keys[] = { "sig", "keyid", NULL };
	const char *sig = NULL;
	const json_t *keyid = json_object_get(s, "keyid");
	if (!json_is_object(s))
		return err_set(e, ERR_INPUT, "envelope: a signature is not an object");
	TRY(json_only_keys(s, keys, "signature", e));
	TRY(json_get_string(s, "sig", &sig, "signature", e));
	if (keyid && !json_is_null(keyid) && !json_is_string(keyid))
		return err_set(e, ERR_INPUT, "signature: \"keyid\" is neither text nor null");
	TRY(decode(sig, url_safe, out, e));
	return out->len ? 0 : err_set(e, ERR_INPUT, "signature: empty");
}

/* Native types end in ";version=N": what differs only there is known, but later than we are. */
static int check_type(const char *found, const char *expected, struct err *e)
{
	const char *version = strstr(expected, ";version=");
	size_t kind = version ? (size_t)(version - expected) + strlen(";version=") : 0;
	if (strcmp(found, expected) == 0)
		return 0;
	if (version && strncmp(found, expected, kind) == 0 && found[kind])
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: version %.20s of this document "
			       "(this program reads version %s)",
			       found + kind, expected + kind);
	return err_set(e, ERR_INPUT, "envelope: expected payloadType %s, found \"%.100s\"",
		       expected, found);
}

static int read_members(const json_t *envelope, const char *payload_type, bool url_safe,
			struct dsse *out, struct err *e)
{
	static const char *const keys[] = { "payload", "payloadType", "signatures", NULL };
	const char *payload = NULL;
	json_t *signatures = NULL;
	TRY(json_only_keys(envelope, keys, "envelope", e));
	TRY(json_get_string(envelope, "payloadType", &out->payload_type, "envelope", e));
	TRY(check_type(out->payload_type, payload_type, e));
	TRY(json_get_string(envelope, "payload", &payload, "envelope", e));
	TRY(json_get_array(envelope, "signatures", &signatures, "envelope", e));
	out->count = json_array_size(signatures);
	if (out->count == 0 || out->count > DSSE_SIGNATURES_MAX) {
		size_t found = out->count;
		out->count = 0;
		return err_set(e, ERR_INPUT, "envelope: %zu signatures, expected 1 to %d", found,
			       DSSE_SIGNATURES_MAX);
	}
	for (size_t i = 0; i < out->count; i++)
		TRY(read_signature(json_array_get(signatures, i), url_safe, &out->signature[i], e));
	TRY(decode(payload, url_safe, &out->payload, e));
	signing_dsse_pae(&out->pae, out->payload_type, out->payload.bytes, out->payload.len);
	return buf_done(&out->pae, e);
}

int signing_dsse_read(const json_t *envelope, const char *payload_type, bool url_safe,
		      struct dsse *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	int result = read_members(envelope, payload_type, url_safe, out, e);
	if (result < 0)
		signing_dsse_free(out);
	return result;
}

void signing_dsse_free(struct dsse *d)
{
	for (size_t i = 0; i < d->count; i++)
		buf_free(&d->signature[i]);
	buf_free(&d->payload);
	buf_free(&d->pae);
	d->count = 0;
}

int signing_dsse_seal(const struct signing_identity *id, const char *payload_type,
		      const void *payload, size_t len, struct buf *out, struct err *e)
{
	uint8_t signature[64];
	struct buf pae = { 0 };
	signing_dsse_pae(&pae, payload_type, payload, len);
	int result = buf_done(&pae, e);
	if (result == 0) {
		signing_ed25519(id, pae.bytes, pae.len, signature);
		struct dsse_signature s = { signing_identity_public(id)->ed25519_keyid, signature,
					    sizeof signature };
		signing_dsse_write(out, payload_type, payload, len, &s, 1);
		result = buf_done(out, e);
	}
	buf_free(&pae);
	return result;
}

static bool signed_by(const struct dsse *d, const struct signing_public *key)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->signature[i].len == 64 &&
		    signing_ed25519_check(key->ed25519, d->pae.bytes, d->pae.len,
					  (const uint8_t *)d->signature[i].bytes) == 0)
			return true;
	return false;
}

/* Distinct public keys with a valid signature: a key listed twice, or two signatures by one key,
 * count once. */
static int count_signers(const struct dsse *d, const struct signing_public *keys, size_t count)
{
	int signers = 0;
	for (size_t i = 0; i < count; i++) {
		bool again = !keys[i].has_ed25519;
		for (size_t j = 0; j < i && !again; j++)
			again = keys[j].has_ed25519 &&
				memcmp(keys[i].ed25519, keys[j].ed25519, 32) == 0;
		if (!again && signed_by(d, &keys[i]))
			signers++;
	}
	return signers;
}

int signing_dsse_open(const void *envelope, size_t len, const char *payload_type,
		      const struct signing_public *keys, size_t count, int threshold,
		      struct buf *payload, struct err *e)
{
	json_t *root = NULL;
	struct dsse d = { .count = 0 };
	if (threshold <= 0)
		return err_set(e, ERR_INPUT, "a threshold of %d signatures", threshold);
	TRY(json_read(&root, envelope, len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, e));
	int result = signing_dsse_read(root, payload_type, true, &d, e);
	if (result == 0) {
		int signers = count_signers(&d, keys, count);
		if (signers < threshold)
			result = err_set(e, ERR_VERIFY,
					 "envelope: %d of %d needed signatures by known keys",
					 signers, threshold);
	}
	if (result == 0) {
		buf_add(payload, d.payload.bytes, d.payload.len);
		result = buf_done(payload, e);
	}
	signing_dsse_free(&d);
	json_decref(root);
	return result;
}
