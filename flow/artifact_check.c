/* What lies beside a release whose signature is good: whether it says of it what it should. */
#include "base/text.h"
#include "flow/artifact.h"

#include <stdio.h>
#include <string.h>

static void say(struct flow_verdict *out, const char *name, bool ok, const char *detail)
{
	out->name = name;
	out->ok = ok;
	snprintf(out->detail, sizeof out->detail, "%s", detail);
}

/* The key document of the signer adds what the trusted key does not have: the Ed25519 half, of a
 * key that came as PEM, and the log. Each half has signed the document. */
void flow_check_publisher(struct flow_beside *of, const struct buf *text, struct flow_verdict *out)
{
	struct signing_public p;
	struct err why = { 0 };
	int rc = signing_public_parse(text->bytes, text->len, &p, &why);
	if (rc == ERR_UNSUPPORTED)
		return say(out, "publisher", true, why.text); /* of later programs: adds nothing */
	if (rc < 0)
		return say(out, "publisher", false, why.text);
	if (of->key.has_p256 ? strcmp(p.p256_pem, of->key.p256_pem) != 0
			     : memcmp(p.ed25519, of->key.ed25519, sizeof p.ed25519) != 0)
		return say(out, "publisher", false,
			   FLOW_PUBLISHER " is of another key than the one that signed");
	if (!of->key.has_ed25519) {
		memcpy(p.name, of->key.name, sizeof p.name);
		of->key = p;
	}
	if (!of->key.log[0])
		memcpy(of->key.log, p.log, sizeof p.log);
}

void flow_check_manifest(struct flow_beside *of, const struct buf *text, struct flow_verdict *out)
{
	const struct buf *payload = &of->manifest->payload;
	if (text->len != payload->len || memcmp(text->bytes, payload->bytes, text->len) != 0)
		say(out, "manifest", false,
		    FLOW_MANIFEST " is not the manifest that " SIGNING_BUNDLE " signs");
}

void flow_check_minisign(struct flow_beside *of, const struct buf *text, struct flow_verdict *out)
{
	const struct buf *signs = &of->manifest->payload;
	struct err why = { 0 };
	if (!of->key.has_ed25519)
		return;
	bool ok = signing_minisign_check(of->key.ed25519, signs->bytes, signs->len, text->bytes,
					 text->len, &why) == 0;
	say(out, "minisign", ok, ok ? "Ed25519 signature of the manifest is good" : why.text);
}

void flow_check_release(struct flow_beside *of, const struct buf *text, struct flow_verdict *out)
{
	struct err why = { 0 };
	char detail[400];
	if (!of->key.has_ed25519)
		return say(out, "release", false,
			   FLOW_RELEASE " cannot be checked: without " FLOW_PUBLISHER
					", the signer's Ed25519 key is not known");
	if (signing_release_open(text->bytes, text->len, &of->key, of->manifest, &of->named, &why) <
	    0)
		return say(out, "release", false, why.text);
	snprintf(detail, sizeof detail, "%s@%s, signed on %s", of->named.model, of->named.version,
		 of->named.created);
	say(out, "release", true, detail);
}

void flow_check_provenance(struct flow_beside *of, const struct buf *text, struct flow_verdict *out)
{
	struct err why = { 0 };
	if (!of->key.has_ed25519)
		return say(out, "provenance", false,
			   FLOW_PROVENANCE " cannot be checked: without " FLOW_PUBLISHER
					   ", the signer's Ed25519 key is not known");
	bool ok = signing_provenance_check(text->bytes, text->len, &of->key, of->manifest,
					   &of->named, &why) == 0;
	say(out, "provenance", ok, ok ? "of the files and the manifest that are signed" : why.text);
}

/* ---- the receipt ---- */

/* The origin in the checkpoint that ends a proof, and that of a verifier key. */
static bool same_log(const struct buf *proof, const char *vkey)
{
	const char *gap = proof->len ? strstr(proof->bytes, "\n\n") : NULL;
	size_t name = strcspn(vkey, "+");
	return gap && strcspn(gap + 2, "\n") == name && strncmp(gap + 2, vkey, name) == 0;
}

static int check_entry(struct flow_beside *of, const json_t *entry, struct err *e)
{
	const json_t *body = json_object_get(entry, "body"), *time;
	struct digest manifest = digest_of(of->manifest->payload.bytes, of->manifest->payload.len);
	char root[DIGEST_TEXT_ROOM], signs[DIGEST_TEXT_ROOM];
	const char *stated = json_string_value(json_object_get(body, "root"));
	const char *type = json_string_value(json_object_get(entry, "type"));
	const char *listed = json_string_value(json_object_get(body, "manifest"));
	const char *model = json_string_value(json_object_get(body, "model"));
	const char *version = json_string_value(json_object_get(body, "version"));
	digest_text(&of->manifest->root, root);
	digest_text(&manifest, signs);
	if (!type || strcmp(type, "release") != 0 || !stated || strcmp(stated, root) != 0 ||
	    !listed || strcmp(listed, signs) != 0)
		return err_set(e, ERR_VERIFY, "the log's entry is not of this release");
	if (of->named.model[0] && (!model || strcmp(model, of->named.model) != 0 || !version ||
				   strcmp(version, of->named.version) != 0))
		return err_set(e, ERR_VERIFY, "the log has this release under another name");
	time = json_object_get(entry, "time_us");
	of->logged_us = json_is_integer(time) ? json_integer_value(time) : 0;
	return 0;
}

static int check_proof(struct flow_beside *of, const struct buf *text, uint64_t *index,
		       struct err *e)
{
	struct buf entry = { 0 };
	json_t *o = NULL;
	int rc = 0;
	TRY_OUT(audit_proof_extra(text->bytes, text->len, &entry, e));
	TRY_OUT(audit_proof_check(text->bytes, text->len, entry.bytes, entry.len, of->key.log,
				  index, e));
	TRY_OUT(json_read(&o, entry.bytes, entry.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, e));
	TRY_OUT(check_entry(of, o, e));
out:
	json_decref(o);
	buf_free(&entry);
	return rc;
}

void flow_check_receipt(struct flow_beside *of, const struct buf *text, struct flow_verdict *out)
{
	struct err why = { 0 };
	uint64_t index = 0;
	char detail[400];
	if (!of->key.log[0])
		return say(out, "receipt", true,
			   "not checked: the publisher's key names no log; give `audit verify "
			   "--receipt` the log's key");
	if (!same_log(text, of->key.log))
		return say(out, "receipt", true,
			   "not checked: of another log than the publisher's key names");
	if (check_proof(of, text, &index, &why) < 0)
		return say(out, "receipt", false, why.text);
	snprintf(detail, sizeof detail, "entry %llu of the publisher's log %.*s",
		 (unsigned long long)index, (int)strcspn(of->key.log, "+"), of->key.log);
	say(out, "receipt", true, detail);
}
