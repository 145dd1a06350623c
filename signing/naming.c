/* The release statement, release.json: name, version and root of a release under one signature.
 *
 * In-toto Statement v1 in canonical JSON, in a DSSE envelope of payload type
 * "application/vnd.in-toto+json" with the identity's Ed25519:
 *
 *     {"_type":"https://in-toto.io/Statement/v1",
 *      "predicateType":"urn:hallmark:release:v1",
 *      "subject":[{"name":"acme/bank@1.0.0","digest":{"sha256":ROOT}},
 *                 {"name":"manifest","digest":{"sha256":SHA-256 of the signed manifest}}],
 *      "predicate":{"model":"acme/bank","version":"1.0.0","root":"sha256:ROOT","publisher":NAME,
 *          "keyids":{"ecdsa-p256":HEX,"ed25519":HEX},"created":TIME,"kind":KIND,"license":TEXT,
 *          "parents":[{"name":...,"version":...,"root":...,"relation":...,"license":...}],
 *          "documents":{}}}
 *
 * Valid for a manifest and a key: the signature is by that key, both subjects and the predicate
 * state the same name, root and manifest, and keyids are the key's. The in-toto rules match a
 * subject by its digest alone; here the name counts as well. Subjects, members and documents that a
 * reader does not know are passed over. The OMS statement cannot say any of this: its subject is
 * the basename of a folder, which verifiers must not rely on. */
#include "base/limits.h"
#include "base/text.h"
#include "signing/dsse.h"
#include "signing/statement.h"

#include <stdio.h>
#include <string.h>

#define PREDICATE "urn:hallmark:release:v"
#define PREDICATE_TYPE PREDICATE "1"
#define WHAT "release.json"

/* ---- written ---- */

static void add_subject(struct arr *list, const char *name, const struct digest *d)
{
	struct obj o = { 0 };
	obj_text(&o, "name", name);
	signing_statement_digest(&o, d);
	arr_object(list, &o);
}

static void add_parents(struct obj *o, const struct signing_release *r)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < r->parents; i++) {
		const struct signing_parent *p = &r->parent[i];
		struct obj parent = { 0 };
		obj_text(&parent, "name", p->name);
		if (p->version)
			obj_text(&parent, "version", p->version);
		obj_add(&parent, "root", json_digest(&p->root));
		obj_text(&parent, "relation", p->relation);
		if (p->license)
			obj_text(&parent, "license", p->license);
		arr_object(&list, &parent);
	}
	obj_array(o, "parents", &list);
}

static void add_predicate(struct obj *o, const struct signing_public *pub,
			  const struct signing_release *r, const struct digest *root)
{
	struct obj p = { 0 }, keyids = { 0 }, documents = { .json = json_object() };
	char created[32];
	text_time_rfc3339(r->created_us, created);
	obj_text(&keyids, "ecdsa-p256", pub->p256_keyid);
	obj_text(&keyids, "ed25519", pub->ed25519_keyid);
	obj_text(&p, "model", r->model);
	obj_text(&p, "version", r->version);
	obj_add(&p, "root", json_digest(root));
	obj_text(&p, "publisher", pub->name);
	obj_object(&p, "keyids", &keyids);
	obj_text(&p, "created", created);
	obj_text(&p, "kind", r->kind);
	obj_text(&p, "license", r->license);
	add_parents(&p, r);
	obj_object(&p, "documents", &documents);
	obj_object(o, "predicate", &p);
}

int signing_release_make(const struct signing_identity *id, const struct signing_manifest *m,
			 const struct signing_release *r, struct buf *out, struct err *e)
{
	struct digest manifest = digest_of(m->payload.bytes, m->payload.len);
	struct obj o = { 0 };
	struct arr subjects = { 0 };
	struct buf text = { 0 };
	char name[400];
	json_t *statement = NULL;
	int rc = 0;
	snprintf(name, sizeof name, "%s@%s", r->model, r->version);
	add_subject(&subjects, name, &m->root);
	add_subject(&subjects, "manifest", &manifest);
	obj_text(&o, "_type", STATEMENT_TYPE);
	obj_text(&o, "predicateType", PREDICATE_TYPE);
	obj_array(&o, "subject", &subjects);
	add_predicate(&o, signing_identity_public(id), r, &m->root);
	TRY_OUT(obj_done(&o, &statement, e));
	TRY_OUT(json_write_canonical(statement, &text, e));
	TRY_OUT(signing_dsse_seal(id, STATEMENT_PAYLOAD_TYPE, text.bytes, text.len, out, e));
out:
	json_decref(statement);
	buf_free(&text);
	return rc;
}

/* ---- read back ---- */

static int take_text(const json_t *o, const char *key, char *out, size_t room, struct err *e)
{
	const char *text = NULL;
	TRY(json_get_string(o, key, &text, WHAT, e));
	if (strlen(text) >= room)
		return err_set(e, ERR_INPUT, WHAT ": \"%s\" is longer than %zu bytes", key,
			       room - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* The subject of that name has that digest, and is there once. */
static int check_subject(const json_t *statement, const char *name, const struct digest *d,
			 struct err *e)
{
	json_t *subjects = NULL, *s;
	char hex[65];
	size_t i, found = 0;
	digest_hex(d, hex);
	TRY(json_get_array(statement, "subject", &subjects, WHAT, e));
	json_array_foreach(subjects, i, s)
	{
		const char *its = json_string_value(json_object_get(s, "name"));
		const char *sha256 = json_string_value(
			json_object_get(json_object_get(s, "digest"), "sha256"));
		if (!its || strcmp(its, name) != 0)
			continue;
		found++;
		if (!sha256 || strcmp(sha256, hex) != 0)
			return err_set(e, ERR_VERIFY,
				       WHAT ": signs another %.300s than lies here", name);
	}
	return found == 1 ? 0
			  : err_set(e, ERR_VERIFY, WHAT ": %zu subjects named %.300s", found, name);
}

static int check_keyids(const json_t *predicate, const struct signing_public *key, struct err *e)
{
	json_t *ids = NULL;
	const char *p256 = NULL, *ed25519 = NULL;
	TRY(json_get_object(predicate, "keyids", &ids, WHAT, e));
	TRY(json_get_string(ids, "ecdsa-p256", &p256, WHAT, e));
	TRY(json_get_string(ids, "ed25519", &ed25519, WHAT, e));
	if ((key->has_p256 && strcmp(p256, key->p256_keyid) != 0) ||
	    strcmp(ed25519, key->ed25519_keyid) != 0)
		return err_set(e, ERR_VERIFY, WHAT ": states other keys than its signer's");
	return 0;
}

static int read_predicate(const json_t *predicate, struct signing_named *out, struct err *e)
{
	const char *root = NULL;
	TRY(take_text(predicate, "model", out->model, sizeof out->model, e));
	TRY(take_text(predicate, "version", out->version, sizeof out->version, e));
	TRY(take_text(predicate, "publisher", out->publisher, sizeof out->publisher, e));
	TRY(take_text(predicate, "kind", out->kind, sizeof out->kind, e));
	TRY(take_text(predicate, "license", out->license, sizeof out->license, e));
	TRY(take_text(predicate, "created", out->created, sizeof out->created, e));
	TRY(json_get_string(predicate, "root", &root, WHAT, e));
	return digest_parse(root, &out->root, e);
}

static int read_statement(const json_t *s, const struct signing_public *key,
			  const struct signing_manifest *m, struct signing_named *out,
			  struct err *e)
{
	struct digest manifest = digest_of(m->payload.bytes, m->payload.len);
	const char *type = NULL, *predicate_type = NULL;
	json_t *predicate = NULL;
	char name[400];
	TRY(json_get_string(s, "_type", &type, WHAT, e));
	TRY(json_get_string(s, "predicateType", &predicate_type, WHAT, e));
	if (strcmp(type, STATEMENT_TYPE) == 0 && text_starts(predicate_type, PREDICATE) &&
	    strcmp(predicate_type, PREDICATE_TYPE) != 0)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: %.60s",
			       predicate_type);
	if (strcmp(type, STATEMENT_TYPE) != 0 || strcmp(predicate_type, PREDICATE_TYPE) != 0)
		return err_set(e, ERR_VERIFY, WHAT ": a statement of type %.100s", predicate_type);
	TRY(json_get_object(s, "predicate", &predicate, WHAT, e));
	TRY(read_predicate(predicate, out, e));
	snprintf(name, sizeof name, "%s@%s", out->model, out->version);
	TRY(check_subject(s, name, &m->root, e));
	TRY(check_subject(s, "manifest", &manifest, e));
	if (!digest_equal(&out->root, &m->root))
		return err_set(e, ERR_VERIFY, WHAT ": states another root than its subject");
	return check_keyids(predicate, key, e);
}

int signing_release_open(const void *text, size_t len, const struct signing_public *key,
			 const struct signing_manifest *m, struct signing_named *out, struct err *e)
{
	struct buf payload = { 0 };
	json_t *statement = NULL;
	int rc = 0;
	memset(out, 0, sizeof *out);
	TRY_OUT(signing_dsse_open(text, len, STATEMENT_PAYLOAD_TYPE, key, 1, 1, &payload, e));
	TRY_OUT(json_read(&statement, payload.bytes, payload.len, LIMIT_JSON_BYTES,
			  LIMIT_JSON_DEPTH, e));
	TRY_OUT(read_statement(statement, key, m, out, e));
out:
	json_decref(statement);
	buf_free(&payload);
	if (rc < 0)
		memset(out, 0, sizeof *out);
	return rc;
}
