/* What a fork declares (its card and files) beside what its weights say; contradictions become
 * findings. Source of the finding names: docs/formats.md, "findings". */
#include "flow/fork_findings.h"
#include "base/decimal.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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

struct flow_fork_measure flow_fork_measure_of(const struct fork_old *c)
{
	return (struct flow_fork_measure){
		.verdict = c->verdict,
		.rung = fork_old_rung(c),
		.tested = fork_old_tested(c),
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
