/* config.json: any bytes are refused or give a config whose sizes are within their bounds. */
#include "base/check.h"
#include "model/config.h"
#include "model/rope.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Frequencies are numbers, and the notes are lines of plain text. */
static void check_parts(const struct model_config *c)
{
	struct rope_table t;
	check(rope_table_open(&t, &c->ropes[0], NULL) == 0);
	check(isfinite(t.factor) && isfinite(model_attention_scale(c)));
	for (uint32_t i = 0; i < t.half; i++)
		check(isfinite(t.inverse[i]));
	rope_table_close(&t);
	size_t n = strnlen(c->notes, sizeof c->notes);
	check(n < sizeof c->notes && (n == 0 || c->notes[n - 1] == '\n'));
	for (size_t i = 0; i < n; i++)
		check(c->notes[i] == '\n' || (c->notes[i] >= ' ' && c->notes[i] <= '~'));
}

/* The same bytes as generation_config.json: refused, or defaults within their bounds. */
static void check_generation(const uint8_t *data, size_t len)
{
	static const char llama[] =
		"{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":64,"
		"\"intermediate_size\":64,\"num_hidden_layers\":1,\"num_attention_heads\":1,\"num_key_value_heads\":1,"
		"\"rms_norm_eps\":1e-6,\"vocab_size\":100,\"max_position_embeddings\":64,\"hidden_act\":\"silu\"}";
	struct model_config c;
	const struct model_generation *g = &c.generation;
	if (model_config_parse(&c, llama, sizeof llama - 1, (const char *)data, len, NULL) < 0)
		return;
	check(g->temperature >= 0 && g->temperature <= 2 && g->top_p >= 0 && g->top_p <= 1);
	check(g->min_p >= 0 && g->min_p <= 1 && g->top_k <= INT32_MAX && g->tokens_max <= INT32_MAX);
	check(!g->has_repetition || (g->repetition > 0 && g->repetition <= 10));
	check(!g->has_tokens_max || g->tokens_max > 0);
	check_parts(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct model_config c;
	check_generation(data, len);
	if (model_config_parse(&c, (const char *)data, len, NULL, 0, NULL) < 0)
		return 0;
	check(c.hidden > 0 && c.layers > 0 && c.vocab > 0 && c.all.heads > 0);
	check(c.ropes[0].size > 0 && c.ropes[0].size % 2 == 0);
	if (c.all.mixer == MODEL_MIX_MLA)
		check(c.kv_rank > 0);
	else
		check(c.all.head > 0 && c.ropes[0].size <= c.all.head && c.all.heads % c.all.kv_heads == 0);
	check(c.gate.experts <= KERNEL_EXPERTS && c.gate.top_k <= KERNEL_TOP_K && c.gate.top_k <= c.gate.experts);
	check(c.gate.experts == 0 || c.gate.experts % c.gate.groups == 0);
	for (uint32_t i = 0; i < c.eos_count; i++)
		check(c.eos[i] < c.vocab);
	check_parts(&c);
	return 0;
}
