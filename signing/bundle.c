/* The OMS v1.0 bundle, model.sig: one line of JSON with exactly these members,
 *
 *     {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
 *      "verificationMaterial":{"publicKey":{"hint":HINT},"tlogEntries":[]},
 *      "dsseEnvelope":{"payload":BASE64,"payloadType":"application/vnd.in-toto+json",
 *                      "signatures":[{"sig":BASE64,"keyid":""}]}}
 *
 * HINT is the SHA-256 of the PEM text of the public key. The signature is ASN.1 DER ECDSA over the
 * PAE. Valid: no other member but an empty timestampVerificationData and, from older signers,
 * publicKey.rawBytes and keyDetails; one signature; canonical padded standard base64; the hint of
 * the given key. */
#include "base/limits.h"
#include "signing/dsse.h"
#include "signing/ecdsa.h"
#include "signing/keys.h"
#include "signing/statement.h"

#include <string.h>

#define MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define WHAT "bundle"

static void key_hint(const struct signing_public *key, char out[65])
{
	struct digest d = digest_of(key->p256_pem, strlen(key->p256_pem));
	digest_hex(&d, out);
}

int signing_bundle_make(const struct signing_identity *id, const struct signing_manifest *m,
			struct buf *out, struct err *e)
{
	struct buf pae = { 0 }, der = { 0 };
	char hint[65];
	signing_dsse_pae(&pae, STATEMENT_PAYLOAD_TYPE, m->payload.bytes, m->payload.len);
	int result = buf_done(&pae, e);
	if (result == 0)
		result = signing_keys_ecdsa_sign(id, pae.bytes, pae.len, &der, e);
	if (result == 0)
		result = buf_done(&der, e);
	if (result == 0) {
		struct dsse_signature s = { "", der.bytes, der.len };
		key_hint(signing_identity_public(id), hint);
		buf_printf(out,
			   "{\"mediaType\":\"" MEDIA_TYPE
			   "\",\"verificationMaterial\":{\"publicKey\":{\"hint\":\"%s\"},"
			   "\"tlogEntries\":[]},\"dsseEnvelope\":",
			   hint);
		signing_dsse_write(out, STATEMENT_PAYLOAD_TYPE, m->payload.bytes, m->payload.len,
				   &s, 1);
		buf_add_text(out, "}");
		result = buf_done(out, e);
	}
	buf_free(&pae);
	buf_free(&der);
	return result;
}

/* Log entries and timestamps would be claims that nobody here checks. */
static int check_empty(const json_t *material, struct err *e)
{
	static const char *const keys[] = { "rfc3161Timestamps", NULL };
	const json_t *entries = json_object_get(material, "tlogEntries");
	const json_t *stamps = json_object_get(material, "timestampVerificationData");
	if (entries && !json_is_array(entries))
		return err_set(e, ERR_INPUT, WHAT ": \"tlogEntries\" is not a list");
	if (json_array_size(entries))
		return err_set(
			e, ERR_UNSUPPORTED,
			"not available in this version: transparency log entries in a bundle");
	if (stamps && !json_is_object(stamps))
		return err_set(e, ERR_INPUT,
			       WHAT ": \"timestampVerificationData\" is not an object");
	TRY(json_only_keys(stamps, keys, WHAT, e));
	stamps = json_object_get(stamps, "rfc3161Timestamps");
	if (stamps && !json_is_array(stamps))
		return err_set(e, ERR_INPUT, WHAT ": \"rfc3161Timestamps\" is not a list");
	if (json_array_size(stamps))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: timestamps in a bundle");
	return 0;
}

static int check_hint(const json_t *public_key, const struct signing_public *key, struct err *e)
{
	static const char *const keys[] = { "hint", "rawBytes", "keyDetails", NULL };
	const char *hint = NULL;
	char expected[65];
	TRY(json_only_keys(public_key, keys, "publicKey", e));
	if (!json_object_get(public_key, "hint") && json_object_get(public_key, "rawBytes"))
		return json_get_string(public_key, "rawBytes", &hint, "publicKey", e);
	TRY(json_get_string(public_key, "hint", &hint, "publicKey", e));
	if (!key)
		return 0;
	key_hint(key, expected);
	if (strcmp(hint, expected) != 0)
		return err_set(e, ERR_VERIFY,
			       "signed by another key: the bundle names %.64s, the key given is %s",
			       hint, expected);
	return 0;
}

static int check_material(const json_t *root, const struct signing_public *key, struct err *e)
{
	static const char *const keys[] = { "publicKey", "tlogEntries", "timestampVerificationData",
					    NULL };
	json_t *material = NULL, *public_key = NULL;
	TRY(json_get_object(root, "verificationMaterial", &material, WHAT, e));
	if (json_object_get(material, "certificate") ||
	    json_object_get(material, "x509CertificateChain"))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: bundles signed with certificates");
	TRY(json_only_keys(material, keys, "verificationMaterial", e));
	TRY(json_get_object(material, "publicKey", &public_key, WHAT, e));
	TRY(check_empty(material, e));
	return check_hint(public_key, key, e);
}

static int open_envelope(const json_t *root, const struct signing_public *key,
			 struct signing_manifest *m, struct err *e)
{
	json_t *envelope = NULL;
	struct dsse d;
	TRY(json_get_object(root, "dsseEnvelope", &envelope, WHAT, e));
	TRY(signing_dsse_read(envelope, STATEMENT_PAYLOAD_TYPE, false, &d, e));
	int result = d.count == 1 ? 0
				  : err_set(e, ERR_INPUT, WHAT ": %zu signatures, expected one",
					    d.count);
	if (result == 0 && key)
		result = signing_ecdsa_check(key->p256_pem, d.pae.bytes, d.pae.len,
					     d.signature[0].bytes, d.signature[0].len, e);
	if (result == 0)
		result = signing_statement_read(d.payload.bytes, d.payload.len, m, e);
	signing_dsse_free(&d);
	return result;
}

static int open_root(const json_t *root, const struct signing_public *key,
		     struct signing_manifest *m, struct err *e)
{
	static const char *const keys[] = { "mediaType", "verificationMaterial", "dsseEnvelope",
					    NULL };
	const char *type = NULL;
	TRY(json_only_keys(root, keys, WHAT, e));
	TRY(json_get_string(root, "mediaType", &type, WHAT, e));
	if (strcmp(type, MEDIA_TYPE) != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: bundle type %.100s", type);
	TRY(check_material(root, key, e));
	return open_envelope(root, key, m, e);
}

bool signing_bundle_names(const void *bundle, size_t len, const struct signing_public *key)
{
	json_t *root = NULL;
	char expected[65];
	if (!key->has_p256 ||
	    json_read(&root, bundle, len, LIMIT_MANIFEST_BYTES, LIMIT_JSON_DEPTH, NULL) < 0)
		return false;
	const json_t *material = json_object_get(root, "verificationMaterial");
	const char *hint = json_string_value(
		json_object_get(json_object_get(material, "publicKey"), "hint"));
	key_hint(key, expected);
	bool names = !hint || strcmp(hint, expected) == 0;
	json_decref(root);
	return names;
}

int signing_bundle_open(const void *bundle, size_t len, const struct signing_public *key,
			struct signing_manifest *m, struct err *e)
{
	json_t *root = NULL;
	*m = (struct signing_manifest){ .file = NULL };
	if (key && !key->has_p256)
		return err_set(
			e, ERR_INPUT,
			"this public key has no ECDSA half, which release bundles are signed with");
	TRY(json_read(&root, bundle, len, LIMIT_MANIFEST_BYTES, LIMIT_JSON_DEPTH, e));
	int result = open_root(root, key, m, e);
	json_decref(root);
	return result;
}
