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
 * and where they are stated "expires":TIME, "log":VKEY (of the log that its releases stand in),
 * "models":[PATTERN...] (models.c), "previous":HEX (Ed25519 key id of the key that it follows).
 *
 * signatures[0] is ECDSA P-256 with SHA-256 (ASN.1 DER), signatures[1] is Ed25519, both over the
 * PAE; keyid names the key. With "previous", signatures[2] is that key's Ed25519. Valid: these
 * members, key ids that match, PEM in its one spelling, the first two signatures good. Members and
 * further signatures that a reader does not know are passed over. */
#include "base/limits.h"
#include "base/text.h"
#include "signing/dsse.h"
#include "signing/ecdsa.h"
#include "signing/keys.h"

#include <sodium.h>
#include <stdio.h>
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

static void add_terms(struct obj *o, const struct signing_public *pub)
{
	struct arr models = { 0 };
	char expires[32];
	for (const char *p = pub->models; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		arr_add(&models, json_stringn(p, len));
		p += len;
	}
	text_time_rfc3339(pub->expires_us, expires);
	if (pub->expires_us)
		obj_text(o, "expires", expires);
	if (pub->log[0])
		obj_text(o, "log", pub->log);
	if (pub->models[0])
		obj_array(o, "models", &models);
	if (pub->previous[0])
		obj_text(o, "previous", pub->previous);
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
	add_terms(&o, pub);
	return obj_take(&o);
}

static int sign_all(const struct signing_public *pub, const struct keys_document *how,
		    const struct buf *payload, struct buf *out, struct err *e)
{
	struct buf pae = { 0 }, der = { 0 };
	uint8_t own[64], before[64];
	struct dsse_signature s[3] = {
		{ pub->p256_keyid, NULL, 0 },
		{ pub->ed25519_keyid, own, sizeof own },
		{ pub->previous, before, sizeof before },
	};
	int rc = 0;
	signing_dsse_pae(&pae, DOCUMENT_TYPE, payload->bytes, payload->len);
	TRY_OUT(buf_done(&pae, e));
	TRY_OUT(signing_ecdsa_sign(how->p256, pae.bytes, pae.len, &der, e));
	TRY_OUT(buf_done(&der, e));
	s[0].bytes = der.bytes;
	s[0].len = der.len;
	crypto_sign_detached(own, NULL, (const uint8_t *)pae.bytes, pae.len, how->ed25519);
	if (how->previous)
		signing_ed25519(how->previous, pae.bytes, pae.len, before);
	signing_dsse_write(out, DOCUMENT_TYPE, payload->bytes, payload->len, s,
			   how->previous ? 3 : 2);
	buf_add_byte(out, '\n');
	rc = buf_done(out, e);
out:
	buf_free(&pae);
	buf_free(&der);
	return rc;
}

int signing_keys_document_make(struct signing_public *pub, const struct keys_document *how,
			       struct err *e)
{
	struct buf payload = { 0 }, text = { 0 };
	json_t *o = payload_json(pub, how->time_us);
	int rc = o ? 0 : err_set(e, ERR_NOMEM, "out of memory for a key document");
	TRY_OUT(rc);
	TRY_OUT(json_write_canonical(o, &payload, e));
	TRY_OUT(sign_all(pub, how, &payload, &text, e));
	if (text.len >= sizeof pub->document)
		TRY_OUT(err_set(e, ERR_INPUT, "a key document of %zu bytes", text.len));
	memcpy(pub->document, text.bytes, text.len + 1);
out:
	json_decref(o);
	buf_free(&payload);
	buf_free(&text);
	return rc;
}

static int copy_key(const json_t *keys, const char *kind, const char **public_text, const char **id,
		    struct err *e)
{
	json_t *k = NULL;
	TRY(json_get_object(keys, kind, &k, "key document", e));
	TRY(json_get_string(k, "public", public_text, "key document", e));
	return json_get_string(k, "keyid", id, "key document", e);
}

static int read_keys(const json_t *keys, struct signing_public *pub, struct err *e)
{
	const char *pem = NULL, *hex = NULL, *p256_id = NULL, *ed25519_id = NULL, *scheme = NULL;
	uint8_t unused[32];
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

/* A text that may be absent into out[room]. */
static int read_text(const json_t *o, const char *key, char *out, size_t room, struct err *e)
{
	const char *text = NULL;
	if (!json_object_get(o, key))
		return 0;
	TRY(json_get_string(o, key, &text, "key document", e));
	if (strlen(text) >= room)
		return err_set(e, ERR_INPUT, "key document: \"%s\" is longer than %zu bytes", key,
			       room - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int read_models(const json_t *o, struct signing_public *pub, struct err *e)
{
	json_t *list = NULL, *item;
	size_t i, at = 0;
	if (!json_object_get(o, "models"))
		return 0;
	TRY(json_get_array(o, "models", &list, "key document", e));
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		if (!text || strchr(text, ',') || at + strlen(text) + 2 > sizeof pub->models)
			return err_set(e, ERR_INPUT,
				       "key document: \"models\" is no list of patterns of at most "
				       "%zu bytes",
				       sizeof pub->models - 1);
		at += (size_t)snprintf(pub->models + at, sizeof pub->models - at, "%s%s",
				       at ? "," : "", text);
	}
	return at ? signing_models_check(pub->models, e) : 0;
}

/* What a document may say beside its keys. */
static int read_terms(const json_t *o, struct signing_public *pub, struct err *e)
{
	uint8_t unused[32];
	char expires[64] = "";
	TRY(read_text(o, "expires", expires, sizeof expires, e));
	TRY(read_text(o, "log", pub->log, sizeof pub->log, e));
	TRY(read_text(o, "previous", pub->previous, sizeof pub->previous, e));
	TRY(read_models(o, pub, e));
	if (pub->previous[0] && text_unhex(pub->previous, strlen(pub->previous), unused, 32) < 0)
		return err_set(e, ERR_INPUT, "key document: \"previous\" is not a key id");
	if (expires[0] && text_time_parse(expires, &pub->expires_us) < 0)
		return err_set(e, ERR_INPUT, "key document: \"expires\" is not a time");
	return 0;
}

static int read_payload(const json_t *o, struct signing_public *pub, struct err *e)
{
	const char *kind = NULL, *name = NULL, *created = NULL;
	uint64_t version = 0;
	json_t *keys = NULL;
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
	TRY(read_terms(o, pub, e));
	TRY(json_get_object(o, "keys", &keys, "key document", e));
	return read_keys(keys, pub, e);
}

static int check_both(const struct dsse *d, const struct signing_public *pub, struct err *e)
{
	if (d->count < 2 || d->signature[1].len != 64)
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

int signing_public_parse(const char *text, size_t len, struct signing_public *out, struct err *e)
{
	return signing_keys_document_read(text, len, out, e);
}

bool signing_public_follows(const struct signing_public *next, const struct signing_public *before)
{
	json_t *envelope = NULL;
	struct dsse d = { .count = 0 };
	bool signed_by = false;
	if (!next->previous[0] || !before->has_ed25519 ||
	    strcmp(next->previous, before->ed25519_keyid) != 0)
		return false;
	if (json_read(&envelope, next->document, strlen(next->document), KEYS_DOCUMENT_BYTES,
		      LIMIT_JSON_DEPTH, NULL) == 0 &&
	    signing_dsse_read(envelope, DOCUMENT_TYPE, false, &d, NULL) == 0)
		for (size_t i = 2; i < d.count; i++)
			signed_by = signed_by ||
				    (d.signature[i].len == 64 &&
				     signing_ed25519_check(
					     before->ed25519, d.pae.bytes, d.pae.len,
					     (const uint8_t *)d.signature[i].bytes) == 0);
	signing_dsse_free(&d);
	json_decref(envelope);
	return signed_by;
}
