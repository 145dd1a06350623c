/* A model to be served: its bytes as a source that checks each of them against the signed manifest
 * as it is read, so that nothing is used before it was verified. */
#include "base/source.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

struct flow_model {
	struct flow_ref ref;
	struct signing_manifest manifest; /* when signed */
	struct source *verified;          /* of ref's source, when signed; else NULL */
	struct digest root;               /* of the manifest, signed or computed */
	char signer[128];
};

int flow_model_plain(struct flow_model *m, struct err *e)
{
	source_close(m->verified);
	m->verified = NULL;
	signing_manifest_free(&m->manifest);
	m->manifest = (struct signing_manifest){ 0 };
	m->signer[0] = 0;
	TRY(flow_ref_plain(&m->ref, e));
	return flow_root_of(m->ref.source, &m->root, e);
}

/* A signature that cannot be read does not verify; one that is not there was not checked. */
static int read_manifest(struct flow_model *m, const struct flow_trust *t, size_t *signer,
			 struct err *e)
{
	int rc = flow_bundle_open(m->ref.source, m->ref.beside, t, &m->manifest, signer, e);
	if (rc == 0)
		rc = flow_ref_check(&m->ref, &m->manifest, e);
	return rc == ERR_INPUT ? ERR_VERIFY : rc;
}

/* What release verify finds besides the files, which are compared as they are read. Whoever gives a
 * key for one model knows whose name that may be. */
static int check_release(struct flow *f, const char *ref, const char *key, struct err *e)
{
	const struct flow_verify v = { .ref = ref, .key = key, .quiet = true, .unhashed = true };
	json_t *report;
	const json_t *check;
	size_t i;
	TRY(flow_release_verify(f, &v, &report, e));
	int rc = 0;
	json_array_foreach(json_object_get(report, "checks"), i, check) {
		const char *name = json_string_value(json_object_get(check, "name"));
		bool known = key && name && strcmp(name, "name") == 0;
		if (rc == 0 && !known && !json_is_true(json_object_get(check, "ok")))
			rc = err_set(e, ERR_VERIFY, "%s",
				     json_string_value(json_object_get(check, "detail")));
	}
	json_decref(report);
	return rc;
}

static int check_signature(struct flow_model *m, struct flow *f, const char *ref, const char *key,
			   struct err *e)
{
	struct flow_trust t = { 0 };
	size_t signer = 0;
	int rc;
	TRY_OUT(flow_trust_load(f, key, &t, e));
	TRY_OUT(read_manifest(m, &t, &signer, e));
	TRY_OUT(check_release(f, ref, key, e));
	const struct signing_public *p = &t.of[signer].key;
	snprintf(m->signer, sizeof m->signer, "%s", flow_key_label(p));
	m->root = m->manifest.root;
out:
	flow_trust_free(&t);
	return rc;
}

/* Signed: every byte read is checked. Unsigned only where that is allowed. */
static int open_source(struct flow_model *m, struct flow *f, const char *ref, const char *key,
		       bool unsigned_ok, struct err *e)
{
	int rc = check_signature(m, f, ref, key, e);
	if (rc == 0)
		return signing_source_open(&m->verified, &m->manifest, m->ref.source, e);
	if (unsigned_ok)
		return flow_model_plain(m, e);
	err_prefix(e,
		   "%s cannot be served (sign it, import its publisher's key, or give --unsigned)",
		   m->ref.path);
	return rc;
}

int flow_model_open(struct flow_model **out, struct flow *f, const char *ref, const char *key,
		    bool unsigned_ok, struct err *e)
{
	struct flow_model *m = calloc(1, sizeof *m);
	int rc;
	*out = NULL;
	if (!m)
		return err_set(e, ERR_NOMEM, "out of memory");
	TRY_OUT(flow_ref_open(f, ref, &m->ref, e));
	TRY_OUT(open_source(m, f, ref, key, unsigned_ok, e));
	*out = m;
	return 0;
out:
	flow_model_close(m);
	return rc;
}

struct source *flow_model_source(const struct flow_model *m)
{
	return m->verified ? m->verified : m->ref.source;
}

const struct digest *flow_model_root(const struct flow_model *m) { return &m->root; }
const char *flow_model_signer(const struct flow_model *m) { return m->signer; }

void flow_model_close(struct flow_model *m)
{
	if (!m)
		return;
	source_close(m->verified);
	signing_manifest_free(&m->manifest);
	flow_ref_free(&m->ref);
	free(m);
}
