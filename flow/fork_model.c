/* What a fork declares (its card and files) beside what its weights say; contradictions become
 * findings. Source of the finding names: docs/formats.md, "findings". */
#include "base/decimal.h"
#include "base/text.h"
#include "flow/fork_model.h"
#include "model/gguf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* 1 with the text, 0 where there is none of use. ERR_VERIFY: not the one that was signed, which
 * must not count as absent: the suspect would be told to differ from it. */
static int read_text(struct flow_fork_model *m, const char *name, size_t bytes_max, struct buf *out,
		     struct err *e)
{
	struct err why = { 0 };
	buf_clear(out);
	int rc = source_read_file(m->gguf ? m->gguf : m->source, name, bytes_max, out, &why);
	if (rc == ERR_VERIFY)
		return err_set(e, rc, "%s", why.text);
	return rc == 0;
}

/* The template that tokenizer_config.json holds, where no file of its own does. */
static int read_old_template(struct flow_fork_model *m, struct buf *b, struct err *e)
{
	struct err none;
	json_t *config = NULL;
	int rc = read_text(m, "tokenizer_config.json", MIB(8), b, e);
	if (rc == 1 && json_read_as(&config, b->bytes, b->len, MIB(8), LIMIT_JSON_DEPTH,
				    JSON_PYTHON, &none) == 0) {
		const char *text = json_string_value(json_object_get(config, "chat_template"));
		if (text)
			m->facts.chat_template = digest_of(text, strlen(text));
	}
	json_decref(config);
	return rc < 0 ? rc : 0;
}

static int read_texts(struct flow_fork_model *m, struct err *e)
{
	struct buf b = { 0 };
	int rc = read_text(m, "tokenizer.json", LIMIT_JSON_BYTES, &b, e);
	if (rc == 1)
		m->facts.tokenizer = digest_of(b.bytes, b.len);
	TRY_OUT(rc);
	rc = read_text(m, "chat_template.jinja", LIMIT_TEMPLATE_BYTES, &b, e);
	if (rc == 1)
		m->facts.chat_template = digest_of(b.bytes, b.len);
	else if (rc == 0)
		rc = read_old_template(m, &b, e);
out:
	buf_free(&b);
	return rc < 0 ? rc : 0;
}

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

static int open_parts(struct flow_fork_model *m, struct err *e)
{
	struct buf b = { 0 };
	TRY(m->ref.registered ? open_registered(m, e) : open_plain(m, e));
	TRY(model_gguf_folder(&m->gguf, m->source, e));
	struct source *from = m->gguf ? m->gguf : m->source;
	m->facts.gguf = m->gguf != NULL;
	TRY(model_tensors_open(&m->tensors, from, e));
	int rc = source_read_file(from, "config.json", MIB(8), &b, e);
	if (rc == 0)
		rc = json_read_as(&m->facts.config, b.bytes, b.len, MIB(8), LIMIT_JSON_DEPTH,
				  JSON_PYTHON, e);
	buf_free(&b);
	if (rc < 0)
		return err_prefix(e, "%s/config.json", m->ref.path);
	m->model = (struct fork_model){ m->tensors, m->source, m->facts.config };
	flow_card_read(m->source, &m->facts.card);
	return read_texts(m, e);
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
	model_tensors_close(m->tensors);
	source_close(m->gguf);
	source_close(m->verified);
	if (m->manifest)
		signing_manifest_free(m->manifest);
	free(m->manifest);
	flow_ref_free(&m->ref);
	*m = (struct flow_fork_model){ 0 };
}

void flow_fork_facts_free(struct flow_fork_facts *x)
{
	json_decref(x->config);
	*x = (struct flow_fork_facts){ 0 };
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

static void add(json_t *findings, const char *kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(json_t *findings, const char *kind, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	/* A quotation may be cut inside a character; the finding must stand all the same. */
	json_array_append_new(findings, json_pack("{s:s,s:o}", "kind", kind, "detail",
						  json_text_lossy(text)));
}

/* A config that was made says a number as it may, and not all that one says that was written. */
static bool same_value(const json_t *x, const json_t *y, bool made)
{
	double a = json_number_value(x), b = json_number_value(y);
	if (x == y || (x && y && json_equal(x, y)))
		return true;
	if (!made)
		return false;
	return !json_is_number(x) || !json_is_number(y) || !(a < b || a > b);
}

/* Keys whose change alters what the model computes, whatever the weights are. */
static void config_findings(const json_t *a, const json_t *b, bool made, json_t *findings)
{
	static const char *const keys[] = {
		"rope_theta",
		"rope_scaling",
		"rope_parameters",
		"rms_norm_eps",
		"eos_token_id",
		"bos_token_id",
		"routed_scaling_factor",
		"num_experts_per_tok",
		"norm_topk_prob",
		"max_position_embeddings",
	};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
		if (same_value(x, y, made))
			continue;
		char *from = x ? json_dumps(x, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		char *to = y ? json_dumps(y, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		add(findings, "F-CONFIG", "%s is %.100s in the parent and %.100s here", keys[i],
		    from ? from : "absent", to ? to : "absent");
		free(from);
		free(to);
	}
}

/* ---- what was measured ---- */

struct flow_fork_measure flow_fork_measure_of(const struct fork_comparison *c)
{
	return (struct flow_fork_measure){
		.verdict = c->verdict,
		.rung = fork_comparison_rung(c),
		.tested = fork_comparison_tested(c),
		.p_value = c->p_value,
		.effect = c->effect,
		.relative_l2 = c->relative_l2,
		.rounding = c->rounding,
		.changed = c->changed,
		.blocks = c->blocks,
	};
}

bool flow_fork_derived(const struct flow_fork_measure *m)
{
	return m->verdict == FORK_IDENTICAL || m->verdict == FORK_DEPENDENT;
}

json_t *flow_fork_p_value(const struct flow_fork_measure *m)
{
	return m->tested ? json_real(decimal_round(m->p_value, DECIMAL_DIGITS)) : json_null();
}

static bool declares(const struct flow_card *card, const char *parent_name)
{
	char model[256];
	snprintf(model, sizeof model, "%.*s", (int)strcspn(parent_name, "@"), parent_name);
	return flow_card_declares(card, model);
}

/* The numbers behind a finding, in brackets. */
static const char *numbers(const struct flow_fork_measure *m, bool presumed, char out[160])
{
	const char *first = presumed ? "; it was registered first" : "";
	if (m->verdict == FORK_IDENTICAL)
		snprintf(out, 160, "(every tensor is the same%s)", first);
	else
		snprintf(out, 160, "(p %.4g, effect %.4g over %zu blocks%s)",
			 decimal_round(m->p_value, DECIMAL_DIGITS),
			 decimal_round(m->effect, DECIMAL_DIGITS), m->blocks, first);
	return out;
}

/* Every base that the card names, as far as there is room. */
static const char *bases(const struct flow_card *card, char out[256])
{
	size_t used = 0;
	for (size_t i = 0; i < card->bases && used < 256; i++)
		used += (size_t)snprintf(out + used, 256 - used, "%s%s", i ? ", " : "",
					 card->base[i]);
	return out;
}

static void parent_findings(const struct flow_fork_other *other, const struct flow_card *card,
			    const struct flow_fork_measure *m, json_t *findings)
{
	const char *name = other->name;
	char said[256] = "", figures[160];
	bool derived = flow_fork_derived(m), declared = declares(card, name);
	numbers(m, other->presumed, figures);
	if (derived && card->bases == 0)
		add(findings, "F-PARENT-MISSING",
		    "the card declares no base model; the weights depend on %s %s", name, figures);
	else if (derived && !declared)
		add(findings, "F-PARENT-WRONG", "the card declares %s; the weights depend on %s %s",
		    bases(card, said), name, figures);
	else if (m->verdict == FORK_NO_EVIDENCE && declared)
		add(findings, "F-PARENT-WRONG",
		    "the card declares %.*s; the weights show no dependence on it %s",
		    (int)strcspn(name, "@"), name, figures);
}

int flow_fork_findings(const struct flow_fork_other *other, const struct flow_fork_facts *suspect,
		       const struct flow_fork_measure *m, json_t *findings, struct err *e)
{
	const struct flow_fork_facts *parent = other->facts;
	if (!other->own)
		parent_findings(other, &suspect->card, m, findings);
	if (!flow_fork_derived(m))
		return json_ok(findings, e);
	bool made = parent->gguf || suspect->gguf;
	config_findings(parent->config, suspect->config, made, findings);
	if (!made && !digest_equal(&parent->tokenizer, &suspect->tokenizer))
		add(findings, "F-TOKENIZER", "tokenizer.json differs from that of %s", other->name);
	if (!digest_equal(&parent->chat_template, &suspect->chat_template))
		add(findings, "F-TEMPLATE", "the chat template differs from that of %s",
		    other->name);
	if (strcmp(suspect->card.relation, "finetune") == 0 && m->changed > 0 && m->rounding > 0.99)
		add(findings, "F-RELATION",
		    "declared as finetune; every changed matrix fits rounding to 8 bits");
	return json_ok(findings, e);
}
