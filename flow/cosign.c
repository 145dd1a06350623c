/* Several signers of one release. A bundle holds one signature, so each further signer makes a
 * bundle of its own, model.sig.N beside the model (N from 2), over the very bytes of the manifest
 * that was signed first: made anew in another folder it would have another name in it, and be
 * another document. publisher.pub.N says whose it is. A co-signer vouches for the content; what the
 * release is called only its publisher says. */
#include "base/file.h"
#include "base/text.h"
#include "flow/artifact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNERS_MAX 64

bool flow_beside_numbered(const char *name)
{
	static const char *const stems[] = { SIGNING_BUNDLE ".", FLOW_PUBLISHER "." };
	uint64_t n;
	for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
		const char *digits = name + strlen(stems[i]);
		if (text_starts(name, stems[i]) &&
		    text_parse_u64(digits, strlen(digits), &n) == 0)
			return n >= 2 && n <= SIGNERS_MAX;
	}
	return false;
}

/* ---- read ---- */

/* The trusted key that made a bundle, or NULL. */
static const struct flow_publisher *signer_of(const struct buf *bundle, const struct flow_trust *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct signing_manifest its;
		if (!t->of[i].key.has_p256 ||
		    signing_bundle_open(bundle->bytes, bundle->len, &t->of[i].key, &its, NULL) < 0)
			continue;
		signing_manifest_free(&its);
		return &t->of[i];
	}
	return NULL;
}

/* Whether a good signature counts: once for each key, and while that key lasts. Nothing proves when
 * a further signature was made. */
static bool counts(const struct flow_signed *of, const struct flow_publisher *signer,
		   const bool *seen, struct flow_verdict *out)
{
	const char *label = flow_key_label(&signer->key);
	struct err ended = { 0 };
	if (seen[signer - of->trust->of])
		snprintf(out->detail, sizeof out->detail, "%.200s, who is counted already", label);
	else if (flow_key_ended(&signer->key, of->now_us, &ended) < 0)
		snprintf(out->detail, sizeof out->detail, "%.300s: it does not count", ended.text);
	else
		snprintf(out->detail, sizeof out->detail, "%.200s", label);
	return !seen[signer - of->trust->of] && !ended.text[0];
}

static bool names_trusted(const struct buf *bundle, const struct flow_trust *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (signing_bundle_names(bundle->bytes, bundle->len, &t->of[i].key))
			return true;
	return false;
}

/* NULL: the bundle counts for nobody. */
static const struct flow_publisher *judge(const struct buf *bundle, const struct flow_signed *of,
					  const bool *seen, struct flow_verdict *out)
{
	const struct signing_manifest *m = of->manifest;
	struct signing_manifest its = { .file = NULL };
	struct err why = { 0 };
	int rc = signing_bundle_open(bundle->bytes, bundle->len, NULL, &its, &why);
	out->ok = rc == 0 && its.payload.len == m->payload.len &&
		  memcmp(its.payload.bytes, m->payload.bytes, m->payload.len) == 0;
	signing_manifest_free(&its);
	if (!out->ok) {
		snprintf(out->detail, sizeof out->detail, "%s",
			 rc < 0 ? why.text : "signs another manifest");
		return NULL;
	}
	const struct flow_publisher *signer = signer_of(bundle, of->trust);
	if (signer)
		return counts(of, signer, seen, out) ? signer : NULL;
	out->ok = !names_trusted(bundle, of->trust);
	snprintf(out->detail, sizeof out->detail, "%s",
		 out->ok ? "by no key that is trusted here: it does not count"
			 : "says that it is by a trusted key, and is not");
	return NULL;
}

int flow_signers_each(struct source *beside, const struct flow_signed *of,
		      void (*visit)(void *ctx, const struct flow_verdict *v,
				    const struct flow_publisher *signer),
		      void *ctx, struct err *e)
{
	int rc = 0;
	bool *seen = calloc(of->trust->count, sizeof *seen);
	if (!seen)
		return err_set(e, ERR_NOMEM, "out of memory");
	seen[of->first - of->trust->of] = true;
	for (int n = 2; beside && n <= SIGNERS_MAX; n++) {
		char name[32];
		struct flow_verdict verdict = { .name = name };
		struct buf bundle = { 0 };
		snprintf(name, sizeof name, SIGNING_BUNDLE ".%d", n);
		rc = source_read_file(beside, name, FLOW_ARTIFACT_BYTES, &bundle, e);
		if (rc == 0) {
			const struct flow_publisher *signer = judge(&bundle, of, seen, &verdict);
			visit(ctx, &verdict, signer);
			if (signer)
				seen[signer - of->trust->of] = true;
		}
		buf_free(&bundle);
		if (rc < 0 && rc != ERR_NOTFOUND)
			break;
		rc = 0;
	}
	free(seen);
	return rc;
}

/* ---- made ---- */

struct cosigning {
	const struct flow_cosign *want;
	struct flow_ref ref;
	struct flow_trust trust;
	struct signing_manifest manifest;
	struct signing_identity *key;
	int number;    /* of the bundle, 1: model.sig itself */
	bool existing; /* this key has signed it already */
	int lock;      /* on the folder: two signers must not take one number */
	char folder[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
};

static bool is_by(const struct cosigning *c, struct source *s, const char *name)
{
	const struct signing_public *key = signing_identity_public(c->key);
	struct signing_manifest its;
	struct buf bundle = { 0 };
	bool by = source_read_file(s, name, FLOW_ARTIFACT_BYTES, &bundle, NULL) == 0 &&
		  signing_bundle_open(bundle.bytes, bundle.len, key, &its, NULL) == 0;
	if (by)
		signing_manifest_free(&its);
	buf_free(&bundle);
	return by;
}

/* The bundle that is this key's already, or the first free number. */
static int find_number(struct cosigning *c, struct err *e)
{
	char name[32];
	uint64_t bytes;
	c->number = 1;
	c->existing = is_by(c, c->ref.source, SIGNING_BUNDLE);
	while (!c->existing && ++c->number <= SIGNERS_MAX) {
		snprintf(name, sizeof name, SIGNING_BUNDLE ".%d", c->number);
		int rc = source_size(c->ref.beside, name, &bytes, e);
		if (rc == ERR_NOTFOUND)
			return 0;
		TRY(rc);
		c->existing = is_by(c, c->ref.beside, name);
	}
	return c->number <= SIGNERS_MAX
		       ? 0
		       : err_set(e, ERR_CONFLICT, "%s has %d signers already", c->want->dir,
				 SIGNERS_MAX);
}

static int open_release(struct cosigning *c, struct flow *f, struct err *e)
{
	size_t signer;
	TRY(flow_identity(f, c->want->key, &c->key, e));
	TRY(flow_key_lasts(f, signing_identity_public(c->key), e));
	TRY(flow_ref_open(f, c->want->dir, &c->ref, e));
	if (!c->ref.is_folder)
		return err_set(e, ERR_USAGE,
			       "%s is a package, which is not written to: unpack it first",
			       c->want->dir);
	if (!c->ref.beside)
		return err_set(e, ERR_NOTFOUND,
			       "nothing lies beside %s, where a further signature would: it is "
			       "no release of hallmark",
			       c->want->dir);
	snprintf(c->folder, sizeof c->folder, "%s", c->ref.beside->label);
	if (file_lock_folder(c->ref.path, &c->lock, e) == ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT, "%s is being signed by another process",
			       c->want->dir);
	TRY(flow_trust_load(f, NULL, &c->trust, e));
	TRY(flow_bundle_open(c->ref.source, c->ref.beside, &c->trust, &c->manifest, &signer, e));
	return find_number(c, e);
}

/* Where the bundle lies until it is logged: the log must not name one that was never on disk. */
static int staged_path(const struct cosigning *c, char *out, struct err *e)
{
	char name[64];
	snprintf(name, sizeof name, SIGNING_BUNDLE ".%.16s.part",
		 signing_identity_public(c->key)->p256_keyid);
	return file_join(out, c->folder, name, e);
}

/* What a run that was cut off had staged: it may be logged, so it is what comes into place. */
static bool read_staged(const struct cosigning *c, const char *path, struct buf *bundle)
{
	const struct buf *payload = &c->manifest.payload;
	struct signing_manifest its;
	bool same = file_read(path, FLOW_ARTIFACT_BYTES, bundle, NULL) == 0 &&
		    signing_bundle_open(bundle->bytes, bundle->len, signing_identity_public(c->key),
					&its, NULL) == 0;
	if (same) {
		same = its.payload.len == payload->len &&
		       memcmp(its.payload.bytes, payload->bytes, payload->len) == 0;
		signing_manifest_free(&its);
	}
	if (!same)
		buf_clear(bundle);
	return same;
}

/* The key first, over what a crash left of that number: the bundle is what takes it. */
static int stage(const struct cosigning *c, const char *staged, bool *again, struct buf *bundle,
		 struct err *e)
{
	const char *document = signing_identity_public(c->key)->document;
	char name[32], path[LIMIT_PATH_BYTES];
	snprintf(name, sizeof name, FLOW_PUBLISHER ".%d", c->number);
	TRY(file_join(path, c->folder, name, e));
	TRY(file_write_durable(path, document, strlen(document), 0644, e));
	*again = read_staged(c, staged, bundle);
	if (*again)
		return 0;
	TRY(signing_bundle_make(c->key, &c->manifest, bundle, e));
	return file_write_durable(staged, bundle->bytes, bundle->len, 0644, e);
}

static bool is_of(const struct buf *entry, const struct digest *bundle)
{
	char text[DIGEST_TEXT_ROOM];
	json_t *o = NULL;
	if (json_read(&o, entry->bytes, entry->len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, NULL) < 0)
		return false;
	const char *type = json_string_value(json_object_get(o, "type"));
	const char *digest =
		json_string_value(json_object_get(json_object_get(o, "body"), "digest"));
	digest_text(bundle, text);
	bool is = type && strcmp(type, "attestation") == 0 && digest && strcmp(digest, text) == 0;
	json_decref(o);
	return is;
}

/* The latest first: it was the last thing that the run which was cut off did. */
static int find_logged(struct flow *f, const struct buf *bundle, bool *found, uint64_t *index,
		       struct err *e)
{
	struct digest d = digest_of(bundle->bytes, bundle->len);
	struct buf entry = { 0 };
	int rc = 0;
	*found = false;
	for (uint64_t i = audit_log_size(f->log); rc == 0 && !*found && i-- > 0;) {
		buf_clear(&entry);
		rc = audit_log_entry(f->log, i, &entry, e);
		*found = rc == 0 && is_of(&entry, &d);
		*index = i;
	}
	buf_free(&entry);
	return rc;
}

static int log_signature(const struct cosigning *c, struct flow *f, const struct buf *bundle,
			 uint64_t *index, struct err *e)
{
	struct digest d = digest_of(bundle->bytes, bundle->len);
	struct audit_receipt receipt = { 0 };
	struct obj o = { 0 };
	json_t *body;
	obj_text(&o, "kind", "signature");
	obj_add(&o, "subject", json_digest(&c->manifest.root));
	obj_add(&o, "digest", json_digest(&d));
	obj_text(&o, "issuer", signing_identity_public(c->key)->p256_keyid);
	obj_null(&o, "expires");
	TRY(obj_done(&o, &body, e));
	int rc = flow_append(f, &(struct audit_record){ .type = "attestation", .body = body }, false,
			     &receipt, e);
	json_decref(body);
	*index = receipt.index;
	return rc;
}

/* Staged, logged, moved into place: cut off anywhere, the next run goes on with the same bundle. */
static int sign(struct cosigning *c, struct flow *f, uint64_t *index, struct err *e)
{
	char staged[LIMIT_PATH_BYTES], name[32];
	struct buf bundle = { 0 };
	bool again = false, logged = false;
	int rc = 0;
	snprintf(name, sizeof name, SIGNING_BUNDLE ".%d", c->number);
	TRY_OUT(file_join(c->path, c->folder, name, e));
	TRY_OUT(staged_path(c, staged, e));
	TRY_OUT(stage(c, staged, &again, &bundle, e));
	env_step(f->env, "cosign.staged");
	if (again)
		TRY_OUT(find_logged(f, &bundle, &logged, index, e));
	if (!logged)
		TRY_OUT(log_signature(c, f, &bundle, index, e));
	env_step(f->env, "cosign.logged");
	TRY_OUT(file_rename_durable(staged, c->path, e));
out:
	buf_free(&bundle);
	return rc;
}

static int cosign(struct cosigning *c, struct flow *f, json_t **report, struct err *e)
{
	struct obj o = { 0 };
	uint64_t index = 0;
	TRY(open_release(c, f, e));
	if (!c->existing)
		TRY(sign(c, f, &index, e));
	obj_add(&o, "root", json_digest(&c->manifest.root));
	obj_text(&o, "signer", signing_identity_public(c->key)->name);
	obj_int(&o, "number", c->number);
	if (!c->existing) {
		obj_add(&o, "bundle", json_text_lossy(c->path));
		obj_count(&o, "index", index);
	}
	obj_bool(&o, "existing", c->existing);
	return obj_done(&o, report, e);
}

int flow_release_sign(struct flow *f, const struct flow_cosign *want, json_t **report,
		      struct err *e)
{
	const struct flow_verify v = { .ref = want->dir, .quiet = flow_quiet(f) };
	struct cosigning c = { .want = want, .lock = -1 };
	json_t *verified = NULL;
	int rc = 0;
	*report = NULL;
	TRY_OUT(flow_release_verify(f, &v, &verified, e));
	if (!json_is_true(json_object_get(verified, "ok")))
		TRY_OUT(err_set(e, ERR_VERIFY,
				"%s does not verify, and is not signed: see `hallmark release "
				"verify`",
				want->dir));
	TRY_OUT(cosign(&c, f, report, e));
out:
	json_decref(verified);
	file_unlock(c.lock);
	signing_identity_close(c.key);
	signing_manifest_free(&c.manifest);
	flow_trust_free(&c.trust);
	flow_ref_free(&c.ref);
	return rc;
}
