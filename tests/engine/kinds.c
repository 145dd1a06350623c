#include "kinds.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 5
#define COMMON \
	"\"hidden_size\":80,\"intermediate_size\":112,\"num_hidden_layers\":5,\"num_attention_heads\":6," \
	"\"vocab_size\":190,\"max_position_embeddings\":700,\"rms_norm_eps\":1e-5,\"rope_theta\":10000," \
	"\"eos_token_id\":1,"

static const char llama[] = "{" COMMON "\"model_type\":\"llama\",\"num_key_value_heads\":2,\"head_dim\":16}";
static const char moe[] = "{" COMMON "\"model_type\":\"qwen3_moe\",\"num_key_value_heads\":2,\"head_dim\":16,"
	"\"num_experts\":10,\"num_experts_per_tok\":3,\"moe_intermediate_size\":48,\"norm_topk_prob\":true,"
	"\"decoder_sparse_step\":1,\"mlp_only_layers\":[]}";
static const char mla[] = "{" COMMON "\"model_type\":\"deepseek_v3\",\"num_key_value_heads\":6,"
	"\"q_lora_rank\":40,\"kv_lora_rank\":32,\"qk_nope_head_dim\":16,\"qk_rope_head_dim\":8,"
	"\"v_head_dim\":12,\"n_routed_experts\":8,\"num_experts_per_tok\":2,\"n_shared_experts\":1,"
	"\"moe_intermediate_size\":48,\"n_group\":1,\"topk_group\":1,\"first_k_dense_replace\":1,"
	"\"num_nextn_predict_layers\":0,\"topk_method\":\"noaux_tc\",\"scoring_func\":\"sigmoid\"}";

/* ---- edits ---- */

static void parallel(struct model_config *c)
{
	c->norm = MODEL_NORM_LAYER;
	c->norm_bias = c->bias_head = c->bias_qkv = c->bias_o = c->bias_ffn = c->ungated = true;
	c->activation = MODEL_ACT_GELU;
	c->logits_scale = 0.25f;
	for (int i = 0; i < LAYERS; i++) {
		c->layer[i].residual = i == 4 ? MODEL_SEQUENTIAL : MODEL_PARALLEL;
		c->layer[i].ffn_norm_before = i % 2 == 0;
		c->layer[i].rope = i == 3 ? MODEL_NO_ROPE : 0;
	}
}

static void sandwich(struct model_config *c)
{
	c->activation = MODEL_ACT_GELU_TANH;
	c->embed_scale = 2.5f;
	c->residual_scale = 0.7f;
	c->attention_softcap = 3;
	c->logits_softcap = 2;
	c->ropes[1] = c->ropes[0];
	c->ropes[1].theta = 500;
	c->ropes[1].size = 8;
	c->rope_count = 2;
	for (int i = 0; i < LAYERS; i++) {
		c->layer[i].norm_after = c->layer[i].ffn_norm_after = true;
		c->layer[i].qk_norm = MODEL_QK_HEAD;
		c->layer[i].rope = i % 2 != 0;
		c->layer[i].window = i % 2 != 0 ? 9 : 0;
		c->layer[i].scale = 0.4f;
	}
}

static void after_alone(struct model_config *c)
{
	for (int i = 0; i < LAYERS; i++) {
		c->layer[i].norm_before = c->layer[i].ffn_norm_before = false;
		c->layer[i].norm_after = c->layer[i].ffn_norm_after = true;
		c->layer[i].qk_norm = MODEL_QK_FULL;
	}
}

/* Of several widths, with inputs of their own; the last two read an earlier one's cache, one of
 * them that of a window. */
static void shared_caches(struct model_config *c)
{
	c->activation = MODEL_ACT_GELU_TANH;
	c->per_layer = 24;
	c->layer_scalar = true;
	for (int i = 0; i < LAYERS; i++) {
		struct model_layer *l = &c->layer[i];
		bool full = i % 2 != 0;
		l->qk_norm = MODEL_QK_HEAD;
		l->value_norm = true;
		l->values_are_keys = full;
		l->head = l->value = full ? 32 : 16;
		l->kv_heads = full ? 1 : 3;
		l->window = full ? 0 : 7;
		l->width = i < 3 ? 112 : 176;
		l->cache = (uint32_t)(i < 3 ? i : i - 2);
	}
	c->ropes[1] = c->ropes[0];
	c->ropes[1].size = 32;
	c->rope_count = 2;
	c->layer[1].rope = c->layer[3].rope = 1;
}

static void values(struct model_config *c)
{
	c->activation = MODEL_ACT_XIELU;
	c->ungated = true;
	c->value_scale = 0.6f;
	c->temper = (struct model_temper){ .beta = 0.3, .length = 5, .shift = 1 };
	for (int i = 0; i < LAYERS; i++) {
		struct model_layer *l = &c->layer[i];
		l->value = i == 2 ? 40 : 8;
		l->sinks = i != 1;
		l->chunk = i % 2 != 0 ? 0 : 11;
		l->tempered = i % 2 != 0;
		l->qk_norm = i < 3 ? MODEL_QK_PLAIN : MODEL_QK_HEAD;
		l->qk_norm_late = true;
	}
}

static void gates(struct model_config *c)
{
	c->activation = MODEL_ACT_RELU2;
	for (int i = 0; i < LAYERS; i++)
		c->layer[i].gate = i == 2 ? MODEL_OUT_NONE : i % 2 != 0 ? MODEL_OUT_HEAD : MODEL_OUT_WIDE;
}

/* A dense network beside the experts. */
static void both(struct model_config *c)
{
	c->gate.scaling = 1;
	for (int i = 0; i < LAYERS; i++) {
		c->layer[i].ffn = i == 1 ? MODEL_FFN_DENSE : i == 3 ? MODEL_FFN_EXPERTS : MODEL_FFN_BOTH;
		c->layer[i].ffn_norm_after = true;
	}
}

static void floored(struct model_config *c)
{
	c->router_bias = true;
	c->gate.floor = 0.4f;
	c->shared_width = 64;
	c->shared_gated = true;
}

/* Experts whose answer is added two branches later; and latent attention without rotation, and with
 * queries that grow. */
static void shortcut(struct model_config *c)
{
	c->shared_width = 0;
	c->temper = (struct model_temper){ .beta = 0.3, .length = 5 };
	for (int i = 0; i < LAYERS; i++) {
		struct model_layer *l = &c->layer[i];
		bool begin = i % 2 == 0 && i < 4;
		l->residual = begin ? MODEL_SHORTCUT_BEGIN : i < 4 ? MODEL_SHORTCUT_END : MODEL_SEQUENTIAL;
		l->ffn = begin ? MODEL_FFN_BOTH : MODEL_FFN_DENSE;
		l->width = 112;
		l->rope = i == 1 ? MODEL_NO_ROPE : 0;
		l->tempered = i >= 3;
		l->gate = i == 4 ? MODEL_OUT_HEAD : MODEL_OUT_NONE;
	}
}

/* ---- all ---- */

static const struct {
	const char *name, *config;
	void (*edit)(struct model_config *c);
} kinds[] = {
	{ KIND "parallel", llama, parallel },   { KIND "sandwich", llama, sandwich },
	{ KIND "after", llama, after_alone },   { KIND "shared caches", llama, shared_caches },
	{ KIND "values", llama, values },       { KIND "gates", llama, gates },
	{ KIND "both", moe, both },             { KIND "floored", moe, floored },
	{ KIND "shortcut", mla, shortcut },
};

const char *kind_at(size_t i)
{
	return i < sizeof kinds / sizeof kinds[0] ? kinds[i].name : NULL;
}

struct engine *kind_open(const char *name, const struct engine_options *o, backend_opener *open)
{
	struct model_config *c = malloc(sizeof *c);
	struct engine *m;
	struct err e = { 0 };
	size_t i = 0;
	while (kind_at(i) != NULL && strcmp(kind_at(i), name) != 0)
		i++;
	cr_assert(kind_at(i) != NULL && c != NULL, "%s", name);
	cr_assert_eq(model_config_parse(c, kinds[i].config, strlen(kinds[i].config), NULL, 0, &e), 0, "%s", e.text);
	kinds[i].edit(c);
	cr_assert_eq(engine_open_invented(&m, c, 5, o, open, &e), 0, "%s: %s", name, e.text);
	free(c);
	return m;
}
