/* Releases read back: verified and shown. A failed verification is a report with ok false, not an
 * error. */
#include "base/text.h"
#include "flow/artifact.h"

#include <stdio.h>
#include <string.h>

static int read_bundle(struct source *s, struct buf *out, struct err *e)
{
	int rc = source_read_file(s, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, out, e);
	return rc == ERR_NOTFOUND ? err_set(e, rc,
					    "%s has no " SIGNING_BUNDLE
					    ": it is not a signed release",
					    s->label)
				  : rc;
}

/* With an Ed25519 key alone: the manifest's own signature beside covers what the bundle signs. */
static int open_by_minisign(const struct buf *bundle, struct source *beside,
			    const struct signing_public *key, struct signing_manifest *m,
			    struct err *e)
{
	struct buf text = { 0 };
	int rc = beside ? source_read_file(beside, FLOW_MANIFEST ".minisig", FLOW_ARTIFACT_BYTES,
					   &text, e)
			: ERR_NOTFOUND;
	if (rc == ERR_NOTFOUND)
		return err_set(e, rc,
			       "an Ed25519 key checks " FLOW_MANIFEST ".minisig, which is not "
			       "beside the model: give the publisher's key document or PEM");
	TRY_OUT(rc);
	TRY_OUT(signing_bundle_open(bundle->bytes, bundle->len, NULL, m, e));
	rc = signing_minisign_check(key->ed25519, m->payload.bytes, m->payload.len, text.bytes,
				    text.len, e);
	if (rc < 0)
		signing_manifest_free(m);
out:
	buf_free(&text);
	return rc;
}

/* No key of t fits. Wrong is what names a trusted key, or is none of the key that was given; a
 * signature by somebody else was not checked. */
static int no_signer(const struct buf *bundle, const char *label, const struct flow_trust *t,
		     struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct signing_public *key = &t->of[i].key;
		if (t->of[i].given)
			return err_set(e, ERR_VERIFY, "%s/" SIGNING_BUNDLE ": %s", label, e->text);
		if (signing_bundle_names(bundle->bytes, bundle->len, key))
			return err_set(e, ERR_VERIFY,
				       "%s/" SIGNING_BUNDLE
				       ": the signature is not by the key of %s, which it names",
				       label, flow_key_label(key));
	}
	return err_set(e, ERR_NOTFOUND,
		       "%s/" SIGNING_BUNDLE ": none of the %zu trusted keys made this signature: if "
		       "you trust its publisher, `hallmark key import FILE`, or give --key FILE",
		       label, t->count);
}

/* The first key of one kind that made the signature. A key that was given answers for itself. */
static int find_signer(const struct buf *bundle, struct source *beside, const struct flow_trust *t,
		       bool p256, struct signing_manifest *m, size_t *signer, struct err *e)
{
	struct err why = { 0 };
	int rc = ERR_VERIFY;
	for (size_t i = 0; rc == ERR_VERIFY && i < t->count; i++) {
		const struct signing_public *key = &t->of[i].key;
		if (key->has_p256 != p256)
			continue;
		rc = p256 ? signing_bundle_open(bundle->bytes, bundle->len, key, m, &why)
			  : open_by_minisign(bundle, beside, key, m, &why);
		*signer = i;
		if (rc < 0)
			err_set(e, rc, "%s", why.text);
		if (rc == ERR_NOTFOUND && !t->of[i].given)
			rc = ERR_VERIFY; /* nothing for it to check: the next one may */
	}
	return rc;
}

int flow_bundle_open(struct source *s, struct source *beside, const struct flow_trust *t,
		     struct signing_manifest *m, size_t *signer, struct err *e)
{
	struct buf bundle = { 0 };
	int rc = 0;
	TRY_OUT(read_bundle(s, &bundle, e));
	rc = find_signer(&bundle, beside, t, true, m, signer, e);
	if (rc == ERR_VERIFY) /* an Ed25519 key alone says less: only where no other fits */
		rc = find_signer(&bundle, beside, t, false, m, signer, e);
	if (rc == ERR_VERIFY)
		rc = no_signer(&bundle, s->label, t, e);
out:
	buf_free(&bundle);
	return rc;
}

static void add_check(json_t *report, const char *name, bool ok, const char *detail)
{
	json_array_append_new(json_object_get(report, "checks"),
			      json_pack("{s:s,s:b,s:s}", "name", name, "ok", ok, "detail", detail));
	if (!ok)
		json_object_set_new(report, "ok", json_false());
}

/* A name that is no text is told from others by its bytes. */
static json_t *name_of_file(const char *path)
{
	char text[4 * LIMIT_PATH_BYTES];
	if (text_utf8_valid(path, strlen(path)))
		return json_string(path);
	text_escape(text, sizeof text, path, strlen(path), false);
	return json_string(text);
}

static void add_failures(json_t *report, const struct signing_report *r)
{
	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(json_object_get(report, "failures"),
				      json_pack("{s:o,s:s?,s:s?,s:s?}", "path",
						name_of_file(r->difference[i].path), "tensor",
						r->difference[i].tensor, "expected",
						r->difference[i].expected, "found",
						r->difference[i].found));
}

/* One of those that lie beside the model. *there: whether it does. */
static int check_artifact(const struct flow_artifact *a, struct source *beside,
			  struct flow_beside *of, bool *there, json_t *report, struct err *e)
{
	struct buf text = { 0 };
	struct flow_verdict verdict = { 0 };
	int rc = source_read_file(beside, a->name, FLOW_ARTIFACT_BYTES, &text, e);
	*there = rc == 0;
	if (rc == 0)
		a->check(of, &text, &verdict);
	if (verdict.name)
		add_check(report, verdict.name, verdict.ok, verdict.detail);
	buf_free(&text);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* What lies there and is of no kind that is known here is of later programs, or a stranger's: it
 * vouches for nothing, and is named. */
static int report_unknown(struct source *beside, json_t *report, struct err *e)
{
	struct file_tree there = { 0 };
	const char *first = NULL;
	char detail[400];
	size_t count = 0;
	TRY(source_list(beside, NULL, 0, &there, e));
	for (size_t i = 0; i < there.count; i++)
		if (!flow_beside_known(there.entry[i].name)) {
			first = first ? first : there.entry[i].name;
			count++;
		}
	snprintf(detail, sizeof detail, "%zu files beside the model are unknown and unchecked: %.200s%s",
		 count, first ? first : "", count > 1 ? ", ..." : "");
	if (count)
		add_check(report, "beside", true, detail);
	file_tree_free(&there);
	return 0;
}

/* A folder that another tool signed has nothing beside it, and no name; with anything of ours
 * there, the statement that names it must not be missing. */
static int check_artifacts(struct source *beside, struct flow_beside *of, json_t *report,
			   struct err *e)
{
	const struct flow_artifact *missing = NULL;
	bool any = false;
	for (size_t i = 0; beside && i < FLOW_ARTIFACTS; i++) {
		const struct flow_artifact *a = &flow_artifacts[i];
		bool there = false;
		if (!a->check)
			continue;
		TRY(check_artifact(a, beside, of, &there, report, e));
		any = any || there;
		if (a->demanded && !there)
			missing = a;
	}
	if (beside)
		TRY(report_unknown(beside, report, e));
	if (any && missing)
		add_check(report, "release", false,
			  FLOW_RELEASE " is missing beside the model: no name and version are "
				       "signed");
	else if (!any)
		add_check(report, "release", true,
			  "nothing lies beside the model: no name and version are signed");
	return 0;
}

/* The name that the release has: one that its signer may give, and the one that was asked for. */
static void check_name(const struct flow_publisher *signer, const struct signing_named *named,
		       const char *wanted, json_t *report)
{
	char is[sizeof named->model + sizeof named->version + 1];
	char detail[sizeof((struct err *)0)->text];
	struct err why = { 0 };
	snprintf(is, sizeof is, "%s@%s", named->model, named->version);
	size_t model = strlen(named->model);
	bool asked = wanted && model && strncmp(wanted, is, model) == 0 &&
		     (!wanted[model] || strcmp(wanted, is) == 0);
	if (model) {
		json_object_set_new(report, "model", json_string(named->model));
		json_object_set_new(report, "version", json_string(named->version));
	}
	if (wanted && !asked) {
		snprintf(detail, sizeof detail, "expected %.250s, the release is %s", wanted,
			 model ? is : "not named by anything that is signed");
		add_check(report, "name", false, detail);
	} else if (model && !(asked && signer->given) &&
		   flow_trust_allows(signer, named->model, &why) < 0) {
		add_check(report, "name", false, why.text);
	} else if (model) {
		snprintf(detail, sizeof detail, "%s, %s", is,
			 asked ? "as asked for" : "which this key may sign");
		add_check(report, "name", true, detail);
	}
}

/* A key that has ended vouches for what its publisher's log had before. */
static void check_expiry(const struct flow_beside *of, int64_t now_us, json_t *report)
{
	char ended[32], logged[32], detail[200];
	int64_t expires = of->key.expires_us;
	if (expires == 0 || now_us < expires)
		return;
	bool before = of->logged_us != 0 && of->logged_us < expires;
	text_time_rfc3339(expires, ended);
	text_time_rfc3339(of->logged_us, logged);
	snprintf(detail, sizeof detail, "the signer's key expired on %s%s%s", ended,
		 before ? "; its log has the release since "
			: ", and nothing proves that the signature is older",
		 before ? logged : "");
	add_check(report, "key", before, detail);
}

/* A registered release must be the one that was registered under that name. */
static void check_registered(const struct flow_ref *r, const struct signing_manifest *m,
			     json_t *report)
{
	struct err why = { 0 };
	bool same = flow_ref_check(r, m, &why) == 0;
	if (r->registered)
		add_check(report, "registered", same,
			  same ? "its root is the one in the registry" : why.text);
}

static int check_files(const struct flow_ref *ref, const struct signing_manifest *m,
		       const struct flow_verify *v, json_t *report, struct err *e)
{
	struct signing_report r = { 0 };
	char detail[160];
	TRY(signing_manifest_check(&r, m, ref->source,
				   (v->ignore_unsigned ? SIGNING_IGNORE_UNSIGNED : 0) |
					   (v->quiet ? SIGNING_QUIET : 0),
				   e));
	if (r.unchecked && r.unchecked == r.count && json_is_true(json_object_get(report, "ok"))) {
		int rc = err_set(e, ERR_UNSUPPORTED, "%s", r.difference[0].found);
		signing_report_free(&r);
		return rc;
	}
	if (r.ok)
		snprintf(detail, sizeof detail, "%zu files, %llu bytes hashed", m->file_count,
			 (unsigned long long)r.bytes);
	else
		snprintf(detail, sizeof detail, "%zu differences from the signed manifest",
			 r.count);
	add_check(report, "files", r.ok, detail);
	add_failures(report, &r);
	signing_report_free(&r);
	return 0;
}

static void add_signer(void *ctx, const struct flow_verdict *v, const struct flow_publisher *signer)
{
	json_t *report = ctx;
	add_check(report, v->name, v->ok, v->detail);
	if (signer)
		json_array_append_new(json_object_get(report, "signers"),
				      json_string(flow_key_label(&signer->key)));
}

static int verify_ref(const struct flow_ref *ref, const struct flow_trust *t,
		      const struct flow_verify *v, int64_t now_us, json_t *report, struct err *e)
{
	struct signing_manifest m = { 0 };
	size_t signer = 0;
	int rc = flow_bundle_open(ref->source, ref->beside, t, &m, &signer, e);
	if (rc == ERR_VERIFY || rc == ERR_INPUT) {
		add_check(report, "signature", false, e->text);
		rc = 0;
		goto out;
	}
	TRY_OUT(rc);
	const struct signing_public *key = &t->of[signer].key;
	struct flow_beside beside = { .key = *key, .manifest = &m };
	json_object_set_new(report, "signer",
			    json_string(flow_key_label(key)));
	json_object_set_new(report, "root", json_digest(&m.root));
	add_check(report, "signature", true,
		  key->has_p256 ? "OpenSSF Model Signing v1.0 bundle, ECDSA"
				: "Ed25519 signature of the manifest; the bundle's ECDSA signature "
				  "needs another key");
	check_registered(ref, &m, report);
	if (!v->unhashed)
		TRY_OUT(check_files(ref, &m, v, report, e));
	TRY_OUT(check_artifacts(ref->beside, &beside, report, e));
	check_name(&t->of[signer], &beside.named, v->name, report);
	json_array_append_new(json_object_get(report, "signers"),
			      json_string(flow_key_label(key)));
	const struct flow_signed by = {
		.trust = t, .manifest = &m, .first = &t->of[signer], .now_us = now_us
	};
	TRY_OUT(flow_signers_each(ref->beside, &by, add_signer, report, e));
	check_expiry(&beside, now_us, report);
out:
	signing_manifest_free(&m);
	return rc;
}

/* What cannot be opened as a package is a failed verification. */
static int unopened(json_t **report, struct err *e)
{
	struct obj o = { 0 }, check = { 0 };
	struct arr checks = { 0 }, failures = { 0 }, signers = { .json = json_array() };
	obj_text(&check, "name", "package");
	obj_bool(&check, "ok", false);
	obj_text(&check, "detail", e->text);
	arr_object(&checks, &check);
	obj_bool(&o, "ok", false);
	obj_null(&o, "signer");
	obj_array(&o, "signers", &signers);
	obj_null(&o, "model");
	obj_null(&o, "version");
	obj_null(&o, "root");
	obj_array(&o, "checks", &checks);
	obj_array(&o, "failures", &failures);
	return obj_done(&o, report, e);
}

int flow_release_verify(struct flow *f, const struct flow_verify *v, json_t **report, struct err *e)
{
	struct flow_ref r;
	struct flow_trust t = { 0 };
	struct env env = env_system();
	*report = NULL;
	int rc = flow_ref_open(f, v->ref, &r, e);
	if (rc == ERR_INPUT || rc == ERR_VERIFY)
		return unopened(report, e);
	TRY_OUT(rc);
	TRY_OUT(flow_trust_load(f, v->key, &t, e));
	*report = json_pack("{s:b,s:n,s:[],s:n,s:n,s:n,s:[],s:[]}", "ok", true, "signer",
			    "signers", "model", "version", "root", "checks", "failures");
	TRY_OUT(json_ok(*report, e));
	TRY_OUT(verify_ref(&r, &t, v, env_now_us(f ? f->env : &env), *report, e));
out:
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	flow_trust_free(&t);
	flow_ref_free(&r);
	return rc;
}

static json_t *list_files(const struct signing_manifest *m)
{
	json_t *files = json_array();
	for (size_t i = 0; i < m->file_count; i++)
		json_array_append_new(files, json_pack("{s:s,s:I,s:o}", "name", m->file[i].name,
						       "bytes", (json_int_t)m->file[i].bytes,
						       "digest", json_digest(&m->file[i].digest)));
	return files;
}

void flow_named_read(struct source *beside, const struct signing_manifest *m,
		     struct signing_named *out)
{
	struct buf key = { 0 }, text = { 0 };
	struct signing_public p;
	if (beside &&
	    source_read_file(beside, FLOW_PUBLISHER, FLOW_ARTIFACT_BYTES, &key, NULL) == 0 &&
	    source_read_file(beside, FLOW_RELEASE, FLOW_ARTIFACT_BYTES, &text, NULL) == 0 &&
	    signing_public_parse(key.bytes, key.len, &p, NULL) == 0)
		(void)!signing_release_open(text.bytes, text.len, &p, m, out, NULL);
	buf_free(&key);
	buf_free(&text);
}

int flow_release_show(struct flow *f, const char *ref, json_t **report, struct err *e)
{
	struct flow_ref r;
	struct signing_manifest m = { 0 };
	struct signing_named named = { .model = "" };
	struct obj o = { 0 };
	struct buf bundle = { 0 };
	TRY(flow_ref_open(f, ref, &r, e));
	int rc = 0;
	TRY_OUT(read_bundle(r.source, &bundle, e));
	rc = signing_bundle_open(bundle.bytes, bundle.len, NULL, &m, e);
	if (rc < 0)
		TRY_OUT(err_prefix(e, "%s/" SIGNING_BUNDLE, r.source->label));
	flow_named_read(r.beside, &m, &named);
	bool is_named = named.model[0];
	obj_text(&o, "name", m.model_name);
	obj_text(&o, "model", is_named ? named.model : NULL);
	obj_text(&o, "version", is_named ? named.version : NULL);
	obj_text(&o, "publisher", is_named ? named.publisher : NULL);
	obj_text(&o, "kind", is_named ? named.kind : NULL);
	obj_add(&o, "root", json_digest(&m.root));
	obj_bool(&o, "verified", false);
	obj_add(&o, "files", list_files(&m));
	TRY_OUT(obj_done(&o, report, e));
out:
	signing_manifest_free(&m);
	buf_free(&bundle);
	flow_ref_free(&r);
	return rc;
}
