/* A checkpoint opened for comparison: as it was registered, or as it lies there. */
#include "flow/fork_model.h"
#include "flow/fork_adapter.h"
#include "model/adapter.h"
#include "model/gguf.h"

#include <stdlib.h>

/* A registered release is read as it was registered, or not at all. */
static int open_registered(struct flow_fork_model *m, struct err *e)
{
	struct buf bundle = { 0 };
	int rc = 0;
	m->manifest = calloc(1, sizeof *m->manifest);
	if (!m->manifest)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	TRY_OUT(source_read_file(m->ref.source, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &bundle, e));
	TRY_OUT(signing_bundle_open(bundle.bytes, bundle.len, NULL, m->manifest, e));
	TRY_OUT(flow_ref_check(&m->ref, m->manifest, e));
	TRY_OUT(signing_source_open(&m->verified, m->manifest, m->ref.source, e));
	m->source = m->verified;
out:
	buf_free(&bundle);
	return rc;
}

static int open_plain(struct flow_fork_model *m, struct err *e)
{
	TRY(flow_ref_plain(&m->ref, e));
	m->source = m->ref.source;
	return 0;
}

/* Weights are read without a config too, but not beside one that is broken. */
static int config_read(struct flow_fork_model *m, struct source *from, struct err *e)
{
	struct buf b = { 0 };
	uint64_t bytes;
	if (source_size(from, "config.json", &bytes, NULL) == ERR_NOTFOUND)
		return 0;
	int rc = source_read_file(from, "config.json", MIB(8), &b, e);
	if (rc == 0)
		rc = json_read_as(&m->facts.config, b.bytes, b.len, MIB(8), LIMIT_JSON_DEPTH,
				  JSON_PYTHON, e);
	buf_free(&b);
	return rc < 0 ? err_prefix(e, "%s/config.json", m->ref.path) : 0;
}

static int open_parts(struct flow_fork_model *m, struct err *e)
{
	TRY(m->ref.registered ? open_registered(m, e) : open_plain(m, e));
	TRY(model_gguf_loose(&m->gguf, m->source, e));
	struct source *from = m->gguf ? m->gguf : m->source;
	m->facts.gguf = m->gguf != NULL;
	TRY(config_read(m, from, e));
	TRY(model_values_open(&m->values, from, m->facts.config, e));
	m->facts.adapter = m->adapter = model_adapter_is(m->source);
	m->model = (struct fork_model){ .values = m->values, .config = m->facts.config };
	TRY(flow_fork_facts_read(&m->facts, m->source, from, e));
	flow_fork_count(&m->facts, m->values);
	return m->adapter ? flow_fork_adapter_card(m, e) : 0;
}

int flow_fork_model_tokens(struct flow_fork_model *m, struct err *e)
{
	if (m->token)
		return 0;
	TRY(flow_fork_tokens(m->gguf ? m->gguf : m->source, &m->token, &m->model.tokens, e));
	m->model.token = m->token;
	return 0;
}

int flow_fork_model_open(struct flow *f, const char *ref, struct flow_fork_model *out,
			 struct err *e)
{
	*out = (struct flow_fork_model){ 0 };
	TRY(flow_ref_open(f, ref, &out->ref, e));
	int rc = open_parts(out, e);
	if (rc < 0)
		flow_fork_model_close(out);
	return rc;
}

void flow_fork_model_close(struct flow_fork_model *m)
{
	flow_fork_facts_free(&m->facts);
	free(m->token);
	model_values_close(m->values);
	source_close(m->gguf);
	source_close(m->verified);
	if (m->manifest)
		signing_manifest_free(m->manifest);
	free(m->manifest);
	flow_ref_free(&m->ref);
	*m = (struct flow_fork_model){ 0 };
}

/* Whether a trusted key signed all that lies there; then its root. */
static int signed_root(struct flow *f, struct flow_fork_model *m, const struct flow_trust *t,
		       struct digest *root, struct err *e)
{
	struct signing_manifest manifest = { 0 };
	struct signing_report report = { 0 };
	struct err why = { 0 };
	size_t signer;
	int rc = flow_bundle_open(m->source, m->ref.beside, t, &manifest, &signer, &why);
	bool readable = rc == 0;
	if (rc == ERR_NOMEM || rc == ERR_IO)
		TRY_OUT(err_set(e, rc, "%s", why.text));
	rc = 0;
	if (!readable || digest_equal(&manifest.root, root))
		goto out;
	TRY_OUT(signing_manifest_check(&report, &manifest, m->source, f->quiet ? SIGNING_QUIET : 0,
				       e));
	if (report.ok)
		*root = manifest.root;
out:
	signing_report_free(&report);
	signing_manifest_free(&manifest);
	return rc;
}

int flow_fork_model_root(struct flow *f, struct flow_fork_model *m, struct digest *root,
			 struct err *e)
{
	struct flow_trust trust = { 0 };
	if (m->manifest) {
		*root = m->manifest->root;
		return 0;
	}
	TRY(flow_root_of(m->source, root, e));
	int rc = flow_trust_load(f, NULL, &trust, e);
	if (rc == ERR_NOTFOUND)
		return 0; /* no key is trusted here */
	TRY(rc);
	rc = signed_root(f, m, &trust, root, e);
	flow_trust_free(&trust);
	return rc;
}
