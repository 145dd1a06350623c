/* The key document: an identity's public half, signed by both its keys, so that neither can be
 * swapped alone.
 *
 * A DSSE v1 envelope in one line of JSON, payloadType
 * "application/vnd.hallmark.key+json;version=1". Its payload is canonical JSON (RFC 8785):
 *
 *     {"created":"2026-01-31T12:00:00Z",
 *      "keys":{"ecdsa-p256":{"keyid":HEX,"public":PEM},"ed25519":{"keyid":HEX,"public":HEX}},
 *      "kind":"key","name":NAME,"version":1}
 *
 * signatures[0] is ECDSA P-256 with SHA-256 (ASN.1 DER), signatures[1] is Ed25519, both over the
 * PAE; keyid names the key. Valid: exactly these members, key ids that match, PEM in its one
 * spelling, both signatures good. */
#include "base/limits.h"
#include "base/text.h"
#include "signing/dsse.h"
#include "signing/ecdsa.h"
#include "signing/keys.h"

#include <sodium.h>
#include <string.h>

#define DOCUMENT_TYPE "application/vnd.hallmark.key+json;version=1"

static int keyid(const char *keytype, const char *scheme, const char *public_text, char out[65],
		 struct err *e)
{
	struct buf text = { 0 };
	json_t *o = json_pack("{s:s,s:{s:s},s:s}", "keytype", keytype, "keyval", "public",
			      public_text, "scheme", scheme);
	int result = o ? json_write_canonical(o, &text, e)
		       : err_set(e, ERR_NOMEM, "out of memory for a key id");
	if (result == 0) {
		struct digest d = digest_of(text.bytes, text.len);
		digest_hex(&d, out);
	}
	json_decref(o);
	buf_free(&text);
	return result;
}

int signing_keys_fill_ids(struct signing_public *pub, struct err *e)
{
	char hex[65];
	const char *scheme = NULL;
	if (pub->has_p256) {
		TRY(signing_ecdsa_scheme(pub->p256_pem, &scheme, e));
		TRY(keyid("ecdsa", scheme, pub->p256_pem, pub->p256_keyid, e));
	}
	text_hex(pub->ed25519, 32, hex);
	if (pub->has_ed25519)
		TRY(keyid("ed25519", KEYS_ED25519_SCHEME, hex, pub->ed25519_keyid, e));
	return 0;
}

static json_t *payload_json(const struct signing_public *pub, int64_t time_us)
{
	char created[32], hex[65];
	text_time_rfc3339(time_us, created);
	text_hex(pub->ed25519, 32, hex);
	struct obj o = { 0 }, keys = { 0 }, ecdsa = { 0 }, ed25519 = { 0 };
	obj_text(&ecdsa, "keyid", pub->p256_keyid);
	obj_text(&ecdsa, "public", pub->p256_pem);
	obj_text(&ed25519, "keyid", pub->ed25519_keyid);
	obj_text(&ed25519, "public", hex);
	obj_object(&keys, "ecdsa-p256", &ecdsa);
	obj_object(&keys, "ed25519", &ed25519);
	obj_text(&o, "created", created);
	obj_object(&o, "keys", &keys);
	obj_text(&o, "kind", "key");
	obj_text(&o, "name", pub->name);
	obj_int(&o, "version", 1);
	return obj_take(&o);
}

static int sign_both(const struct signing_public *pub, const struct buf *payload,
		     const uint8_t p256[32], const uint8_t ed25519[64], struct buf *out,
		     struct err *e)
{
	struct buf pae = { 0 }, der = { 0 };
	uint8_t signature[64];
	signing_dsse_pae(&pae, DOCUMENT_TYPE, payload->bytes, payload->len);
	int result = buf_done(&pae, e);
	if (result == 0)
		result = signing_ecdsa_sign(p256, pae.bytes, pae.len, &der, e);
	if (result == 0)
		result = buf_done(&der, e);
	if (result == 0) {
		crypto_sign_detached(signature, NULL, (const uint8_t *)pae.bytes, pae.len, ed25519);
		struct dsse_signature both[] = {
			{ pub->p256_keyid, der.bytes, der.len },
			{ pub->ed25519_keyid, signature, sizeof signature },
		};
		signing_dsse_write(out, DOCUMENT_TYPE, payload->bytes, payload->len, both, 2);
		buf_add_byte(out, '\n');
		result = buf_done(out, e);
	}
	buf_free(&pae);
	buf_free(&der);
	return result;
}

int signing_keys_document_make(struct signing_public *pub, const uint8_t p256[32],
			       const uint8_t ed25519[64], int64_t time_us, struct err *e)
{
	struct buf payload = { 0 }, text = { 0 };
	json_t *o = payload_json(pub, time_us);
	int result = o ? json_write_canonical(o, &payload, e)
		       : err_set(e, ERR_NOMEM, "out of memory for a key document");
	if (result == 0)
		result = sign_both(pub, &payload, p256, ed25519, &text, e);
	if (result == 0 && text.len >= sizeof pub->document)
		result = err_set(e, ERR_INPUT, "a key document of %zu bytes", text.len);
	if (result == 0)
		memcpy(pub->document, text.bytes, text.len + 1);
	json_decref(o);
	buf_free(&payload);
	buf_free(&text);
	return result;
}

static int copy_key(const json_t *keys, const char *kind, const char **public_text, const char **id,
		    struct err *e)
{
	static const char *const members[] = { "keyid", "public", NULL };
	json_t *k = NULL;
	TRY(json_get_object(keys, kind, &k, "key document", e));
	TRY(json_only_keys(k, members, "key document", e));
	TRY(json_get_string(k, "public", public_text, "key document", e));
	return json_get_string(k, "keyid", id, "key document", e);
}

static int read_keys(const json_t *keys, struct signing_public *pub, struct err *e)
{
	static const char *const kinds[] = { "ecdsa-p256", "ed25519", NULL };
	const char *pem = NULL, *hex = NULL, *p256_id = NULL, *ed25519_id = NULL, *scheme = NULL;
	uint8_t unused[32];
	TRY(json_only_keys(keys, kinds, "key document", e));
	TRY(copy_key(keys, "ecdsa-p256", &pem, &p256_id, e));
	TRY(copy_key(keys, "ed25519", &hex, &ed25519_id, e));
	TRY(signing_ecdsa_read(pem, strlen(pem), pub->p256_pem, &scheme, unused, e));
	if (!scheme || strcmp(scheme, "ecdsa-sha2-nistp256") != 0 ||
	    strcmp(pem, pub->p256_pem) != 0)
		return err_set(
			e, ERR_INPUT,
			"key document: \"ecdsa-p256\" is not a P-256 key in its usual spelling");
	if (text_unhex(hex, strlen(hex), pub->ed25519, 32) < 0)
		return err_set(e, ERR_INPUT,
			       "key document: \"ed25519\" is not 64 lower-case hex digits");
	pub->has_p256 = pub->has_ed25519 = true;
	TRY(signing_keys_fill_ids(pub, e));
	if (strcmp(p256_id, pub->p256_keyid) != 0 || strcmp(ed25519_id, pub->ed25519_keyid) != 0)
		return err_set(e, ERR_INPUT, "key document: a key id that is not that of its key");
	return 0;
}

static int read_payload(const json_t *o, struct signing_public *pub, struct err *e)
{
	static const char *const members[] = { "created", "keys", "kind", "name", "version", NULL };
	const char *kind = NULL, *name = NULL, *created = NULL;
	uint64_t version = 0;
	json_t *keys = NULL;
	TRY(json_only_keys(o, members, "key document", e));
	TRY(json_get_string(o, "kind", &kind, "key document", e));
	TRY(json_get_u64(o, "version", &version, "key document", e));
	if (strcmp(kind, "key") != 0)
		return err_set(e, ERR_INPUT, "key document: kind \"%.60s\", expected \"key\"",
			       kind);
	if (version != 1)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: key document version %llu",
			       (unsigned long long)version);
	TRY(json_get_string(o, "created", &created, "key document", e));
	TRY(json_get_string(o, "name", &name, "key document", e));
	TRY(signing_keys_check_name(name, e));
	memcpy(pub->name, name, strlen(name) + 1);
	TRY(json_get_object(o, "keys", &keys, "key document", e));
	return read_keys(keys, pub, e);
}

static int check_both(const struct dsse *d, const struct signing_public *pub, struct err *e)
{
	if (d->count != 2 || d->signature[1].len != 64)
		return err_set(e, ERR_INPUT,
			       "key document: expected two signatures, ECDSA then Ed25519");
	TRY(signing_ecdsa_check(pub->p256_pem, d->pae.bytes, d->pae.len, d->signature[0].bytes,
				d->signature[0].len, e));
	if (signing_ed25519_check(pub->ed25519, d->pae.bytes, d->pae.len,
				  (const uint8_t *)d->signature[1].bytes) < 0)
		return err_set(e, ERR_VERIFY, "the Ed25519 signature is not by this key");
	return 0;
}

/* The keys come out of the payload that they sign: the document proves that both secrets agreed to
 * the binding, not whose they are. */
int signing_keys_document_read(const char *text, size_t len, struct signing_public *pub,
			       struct err *e)
{
	json_t *envelope = NULL, *payload = NULL;
	struct dsse d = { .count = 0 };
	memset(pub, 0, sizeof *pub);
	if (len >= sizeof pub->document)
		return err_set(e, ERR_INPUT, "a key document of %zu bytes", len);
	int result = json_read(&envelope, text, len, KEYS_DOCUMENT_BYTES, LIMIT_JSON_DEPTH, e);
	if (result == 0)
		result = signing_dsse_read(envelope, DOCUMENT_TYPE, false, &d, e);
	if (result == 0)
		result = json_read(&payload, d.payload.bytes, d.payload.len, KEYS_DOCUMENT_BYTES,
				   LIMIT_JSON_DEPTH, e);
	if (result == 0)
		result = read_payload(payload, pub, e);
	if (result == 0)
		result = check_both(&d, pub, e);
	if (result == 0)
		memcpy(pub->document, text, len);
	signing_dsse_free(&d);
	json_decref(payload);
	json_decref(envelope);
	return result < 0 ? err_prefix(e, "key document") : 0;
}
