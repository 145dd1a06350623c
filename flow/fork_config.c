/* Where the config of a fork, and the texts beside it, say something else than its parent's. */
#include "flow/fork_findings.h"

#include <stdlib.h>

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
static void config_findings(struct flow_told *t, const struct flow_fork_other *p, bool made)
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
	const json_t *a = p->facts->config, *b = t->c->suspect->config;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
		if (same_value(x, y, made))
			continue;
		char *from = x ? json_dumps(x, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		char *to = y ? json_dumps(y, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		flow_tell(t, "F-CONFIG", FLOW_NOTE, p, "%s is %.100s in the parent and %.100s here",
			  keys[i], from ? from : "absent", to ? to : "absent");
		free(from);
		free(to);
	}
}

void flow_tell_config(struct flow_told *t, const struct flow_fork_other *p)
{
	config_findings(t, p, p->facts->gguf || t->c->suspect->gguf);
}

void flow_tell_texts(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_fork_facts *a = p->facts, *b = t->c->suspect;
	if (!a->gguf && !b->gguf && !digest_equal(&a->tokenizer, &b->tokenizer))
		flow_tell(t, "F-TOKENIZER", FLOW_NOTE, p, "tokenizer.json differs from that of %s",
			  p->name);
	if (!digest_equal(&a->chat_template, &b->chat_template))
		flow_tell(t, "F-TEMPLATE", FLOW_NOTE, p,
			  "the chat template differs from that of %s", p->name);
}
