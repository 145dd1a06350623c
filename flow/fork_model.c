/* What a fork declares (its card and files) beside what its weights say; contradictions become
 * findings. Source of the finding names: docs/formats.md, "findings". */
#include "base/text.h"
#include "flow/fork_model.h"

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
	int rc = source_read_file(m->source, name, bytes_max, out, &why);
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
	if (rc == 1 && json_read(&config, b->bytes, b->len, MIB(8), LIMIT_JSON_DEPTH, &none) == 0) {
		const char *text = json_string_value(json_object_get(config, "chat_template"));
		if (text)
			m->chat_template = digest_of(text, strlen(text));
	}
	json_decref(config);
	return rc < 0 ? rc : 0;
}

static int read_texts(struct flow_fork_model *m, struct err *e)
{
	struct buf b = { 0 };
	int rc = read_text(m, "tokenizer.json", LIMIT_JSON_BYTES, &b, e);
	if (rc == 1)
		m->tokenizer = digest_of(b.bytes, b.len);
	TRY_OUT(rc);
	rc = read_text(m, "chat_template.jinja", LIMIT_TEMPLATE_BYTES, &b, e);
	if (rc == 1)
		m->chat_template = digest_of(b.bytes, b.len);
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
	TRY(model_tensors_open(&m->tensors, m->source, e));
	int rc = source_read_file(m->source, "config.json", MIB(8), &b, e);
	if (rc == 0)
		rc = json_read(&m->config, b.bytes, b.len, MIB(8), LIMIT_JSON_DEPTH, e);
	buf_free(&b);
	if (rc < 0)
		return err_prefix(e, "%s/config.json", m->ref.path);
	m->model = (struct fork_model){ m->tensors, m->source, m->config };
	flow_card_read(m->source, &m->card);
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
	json_decref(m->config);
	model_tensors_close(m->tensors);
	source_close(m->verified);
	if (m->manifest)
		signing_manifest_free(m->manifest);
	free(m->manifest);
	flow_ref_free(&m->ref);
	*m = (struct flow_fork_model){ 0 };
}

int flow_fork_model_root(const struct flow_fork_model *m, struct digest *root, struct err *e)
{
	struct signing_range *range = NULL;
	size_t count = 0;
	if (m->ref.registered) {
		*root = m->manifest->root;
		return 0;
	}
	TRY(flow_ranges_of(m->tensors, &range, &count, e));
	int rc = signing_root_of(m->source, range, count, root, e);
	free(range);
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

/* Keys whose change alters what the model computes, whatever the weights are. */
static void config_findings(const json_t *a, const json_t *b, json_t *findings)
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
		if (x == y || (x && y && json_equal(x, y)))
			continue;
		char *from = x ? json_dumps(x, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		char *to = y ? json_dumps(y, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		add(findings, "F-CONFIG", "%s is %.100s in the parent and %.100s here", keys[i],
		    from ? from : "absent", to ? to : "absent");
		free(from);
		free(to);
	}
}

static bool declares(const struct flow_fork_model *m, const char *parent_name)
{
	size_t n = strcspn(parent_name, "@");
	return strlen(m->card.base) == n && strncmp(m->card.base, parent_name, n) == 0;
}

int flow_fork_findings(const struct flow_fork_model *parent, const char *parent_name,
		       const struct flow_fork_model *suspect, const struct fork_comparison *c,
		       json_t *findings, struct err *e)
{
	bool derived = c->verdict == FORK_IDENTICAL || c->verdict == FORK_DEPENDENT;
	if (derived && !suspect->card.base[0])
		add(findings, "F-PARENT-MISSING",
		    "the card declares no base model; the weights depend on %s (p %.3g, effect %.3f)",
		    parent_name, c->p_value, c->effect);
	else if (derived && !declares(suspect, parent_name))
		add(findings, "F-PARENT-WRONG",
		    "the card declares %s; the weights depend on %s (p %.3g, effect %.3f)",
		    suspect->card.base, parent_name, c->p_value, c->effect);
	else if (c->verdict == FORK_NO_EVIDENCE && declares(suspect, parent_name))
		add(findings, "F-PARENT-WRONG",
		    "the card declares %s; the weights show no dependence on it (p %.3g, effect %.3f over "
		    "%zu blocks)",
		    suspect->card.base, c->p_value, c->effect, c->blocks);
	if (derived) {
		config_findings(parent->config, suspect->config, findings);
		if (!digest_equal(&parent->tokenizer, &suspect->tokenizer))
			add(findings, "F-TOKENIZER", "tokenizer.json differs from that of %s",
			    parent_name);
		if (!digest_equal(&parent->chat_template, &suspect->chat_template))
			add(findings, "F-TEMPLATE", "the chat template differs from that of %s",
			    parent_name);
		if (strcmp(suspect->card.relation, "finetune") == 0 && c->changed > 0 &&
		    c->rounding > 0.99)
			add(findings, "F-RELATION",
			    "declared as finetune; every changed matrix fits rounding to 8 bits");
	}
	return json_ok(findings, e);
}
