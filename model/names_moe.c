/* Names of mixtures of experts, and of hybrids. */
#include "model/names.h"

#include <stddef.h>

/* clang-format off */
static const struct model_name gpt_oss[] = {
	{ ROLE_LAYER, "mlp.router.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_LAYER, "mlp.router.bias", .slot = { SLOT_ROUTER_BIAS } },
	{ ROLE_EXPERT, "mlp.experts.gate_up_proj", .slot = { SLOT_GATE, SLOT_UP }, SPLIT_ROWS,
	  .turned = true },
	{ ROLE_EXPERT, "mlp.experts.gate_up_proj_bias", .slot = { SLOT_GATE_BIAS, SLOT_UP_BIAS },
	  SPLIT_ROWS },
	{ ROLE_EXPERT, "mlp.experts.down_proj", .slot = { SLOT_DOWN }, .turned = true },
	{ ROLE_EXPERT, "mlp.experts.down_proj_bias", .slot = { SLOT_DOWN_BIAS } },
	{ .name = NULL },
};

static const struct model_name mixtral[] = {
	{ ROLE_LAYER, "block_sparse_moe.gate.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w1.weight", .slot = { SLOT_GATE } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w3.weight", .slot = { SLOT_UP } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w2.weight", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};

static const struct model_name minimax_m2[] = {
	{ ROLE_LAYER, "block_sparse_moe.gate.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_LAYER, "block_sparse_moe.e_score_correction_bias", .slot = { SLOT_ROUTER_BIAS } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w1.weight", .slot = { SLOT_GATE } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w3.weight", .slot = { SLOT_UP } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w2.weight", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};

static const struct model_name ernie4_5_moe[] = {
	{ ROLE_LAYER, "mlp.moe_statics.e_score_correction_bias", .slot = { SLOT_ROUTER_BIAS } },
	{ .name = NULL },
};

static const struct model_name granitemoe[] = {
	{ ROLE_LAYER, "block_sparse_moe.router.layer.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_EXPERT, "block_sparse_moe.input_linear.weight", .slot = { SLOT_GATE, SLOT_UP } },
	{ ROLE_EXPERT, "block_sparse_moe.output_linear.weight", .slot = { SLOT_DOWN } },
	{ ROLE_SHARED, "shared_mlp.input_linear.weight", .slot = { SLOT_GATE, SLOT_UP } },
	{ ROLE_SHARED, "shared_mlp.output_linear.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "shared_mlp.input_linear.weight", .slot = { SLOT_GATE, SLOT_UP } },
	{ ROLE_DENSE, "shared_mlp.output_linear.weight", .slot = { SLOT_DOWN } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.gate_up_proj", .slot = { SLOT_GATE, SLOT_UP } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.down_proj", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};

static const struct model_name qwen3_next[] = {
	{ ROLE_ATTENTION, "self_attn.q_proj.weight", .slot = { SLOT_Q, SLOT_OUT_GATE }, SPLIT_HEADS },
	{ ROLE_DELTA, "linear_attn.in_proj_qkvz.weight",
	  .slot = { SLOT_Q, SLOT_K, SLOT_V, SLOT_DELTA_GATE }, SPLIT_KEY_HEADS },
	{ ROLE_DELTA, "linear_attn.in_proj_qkv.weight", .slot = { SLOT_Q, SLOT_K, SLOT_V } },
	{ ROLE_DELTA, "linear_attn.in_proj_ba.weight", .slot = { SLOT_DELTA_BETA, SLOT_DELTA_DECAY },
	  SPLIT_KEY_HEADS },
	{ ROLE_DELTA, "linear_attn.conv1d.weight",
	  .slot = { SLOT_DELTA_CONV_Q, SLOT_DELTA_CONV_K, SLOT_DELTA_CONV_V } },
	{ .name = NULL },
};

static const struct model_name qwen3_5[] = {
	{ ROLE_ATTENTION, "self_attn.q_proj.weight", .slot = { SLOT_Q, SLOT_OUT_GATE }, SPLIT_HEADS },
	{ ROLE_DELTA, "linear_attn.in_proj_qkv.weight", .slot = { SLOT_Q, SLOT_K, SLOT_V } },
	{ ROLE_DELTA, "linear_attn.conv1d.weight",
	  .slot = { SLOT_DELTA_CONV_Q, SLOT_DELTA_CONV_K, SLOT_DELTA_CONV_V } },
	{ ROLE_EXPERT, "mlp.experts.gate_up_proj", .slot = { SLOT_GATE, SLOT_UP } },
	{ ROLE_EXPERT, "mlp.experts.down_proj", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};

static const struct model_name qwen3_vl_moe[] = {
	{ ROLE_EXPERT, "mlp.experts.gate_up_proj", .slot = { SLOT_GATE, SLOT_UP }, .turned = true },
	{ ROLE_EXPERT, "mlp.experts.down_proj", .slot = { SLOT_DOWN }, .turned = true },
	{ .name = NULL },
};

static const struct model_name kimi_linear[] = {
	{ ROLE_DELTA, "self_attn.q_proj.weight", .slot = { SLOT_Q } },
	{ ROLE_DELTA, "self_attn.k_proj.weight", .slot = { SLOT_K } },
	{ ROLE_DELTA, "self_attn.v_proj.weight", .slot = { SLOT_V } },
	{ ROLE_DELTA, "self_attn.o_proj.weight", .slot = { SLOT_O } },
	{ ROLE_DELTA, "self_attn.g_a_proj.weight", .slot = { SLOT_DELTA_GATE_A } },
	{ ROLE_DELTA, "self_attn.g_b_proj.weight", .slot = { SLOT_DELTA_GATE } },
	{ ROLE_DELTA, "self_attn.b_proj.weight", .slot = { SLOT_DELTA_BETA } },
	{ ROLE_DELTA, "self_attn.f_a_proj.weight", .slot = { SLOT_DELTA_DECAY_A } },
	{ ROLE_DELTA, "self_attn.f_b_proj.weight", .slot = { SLOT_DELTA_DECAY } },
	{ ROLE_DELTA, "self_attn.q_conv1d.weight", .slot = { SLOT_DELTA_CONV_Q } },
	{ ROLE_DELTA, "self_attn.k_conv1d.weight", .slot = { SLOT_DELTA_CONV_K } },
	{ ROLE_DELTA, "self_attn.v_conv1d.weight", .slot = { SLOT_DELTA_CONV_V } },
	{ ROLE_DELTA, "self_attn.A_log", .slot = { SLOT_DELTA_A } },
	{ ROLE_DELTA, "self_attn.dt_bias", .slot = { SLOT_DELTA_DT } },
	{ ROLE_DELTA, "self_attn.o_norm.weight", .slot = { SLOT_DELTA_NORM } },
	{ ROLE_LAYER, "block_sparse_moe.gate.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_LAYER, "block_sparse_moe.gate.e_score_correction_bias",
	  .slot = { SLOT_ROUTER_BIAS } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w1.weight", .slot = { SLOT_GATE } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w3.weight", .slot = { SLOT_UP } },
	{ ROLE_EXPERT, "block_sparse_moe.experts.*.w2.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "mlp.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_DENSE, "mlp.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "mlp.down_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "block_sparse_moe.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_DENSE, "block_sparse_moe.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "block_sparse_moe.down_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_SHARED, "block_sparse_moe.shared_experts.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_SHARED, "block_sparse_moe.shared_experts.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_SHARED, "block_sparse_moe.shared_experts.down_proj.weight", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};

static const struct model_name bailing_hybrid[] = {
	{ ROLE_WHOLE, "word_embeddings.weight", .slot = { SLOT_EMBED } },
	{ ROLE_ATTENTION, "attention.q_a_proj.weight", .slot = { SLOT_Q_A } },
	{ ROLE_LATENT, "attention.q_a_proj.bias", .slot = { SLOT_Q_BIAS } },
	{ ROLE_LATENT, "attention.q_a_layernorm.weight", .slot = { SLOT_Q_NORM } },
	{ ROLE_LATENT, "attention.q_b_proj.weight", .slot = { SLOT_Q } },
	{ ROLE_ATTENTION, "attention.q_proj.weight", .slot = { SLOT_Q } },
	{ ROLE_ATTENTION, "attention.kv_a_proj_with_mqa.weight", .slot = { SLOT_KV_A } },
	{ ROLE_ATTENTION, "attention.kv_a_proj_with_mqa.bias", .slot = { SLOT_KV_BIAS } },
	{ ROLE_ATTENTION, "attention.kv_a_layernorm.weight", .slot = { SLOT_KV_NORM } },
	{ ROLE_ATTENTION, "attention.kv_b_proj.weight", .slot = { SLOT_KV_B } },
	{ ROLE_ATTENTION, "attention.dense.weight", .slot = { SLOT_O } },
	{ ROLE_ATTENTION, "attention.dense.bias", .slot = { SLOT_O_BIAS } },
	{ ROLE_ATTENTION, "attention.g_proj.weight", .slot = { SLOT_OUT_GATE } },
	{ ROLE_DELTA, "attention.q_proj.weight", .slot = { SLOT_Q } },
	{ ROLE_DELTA, "attention.k_proj.weight", .slot = { SLOT_K } },
	{ ROLE_DELTA, "attention.v_proj.weight", .slot = { SLOT_V } },
	{ ROLE_DELTA, "attention.dense.weight", .slot = { SLOT_O } },
	{ ROLE_DELTA, "attention.g_proj.weight", .slot = { SLOT_DELTA_GATE } },
	{ ROLE_DELTA, "attention.b_proj.weight", .slot = { SLOT_DELTA_BETA } },
	{ ROLE_DELTA, "attention.f_proj.weight", .slot = { SLOT_DELTA_DECAY } },
	{ ROLE_DELTA, "attention.q_conv1d.weight", .slot = { SLOT_DELTA_CONV_Q } },
	{ ROLE_DELTA, "attention.k_conv1d.weight", .slot = { SLOT_DELTA_CONV_K } },
	{ ROLE_DELTA, "attention.v_conv1d.weight", .slot = { SLOT_DELTA_CONV_V } },
	{ ROLE_DELTA, "attention.A_log", .slot = { SLOT_DELTA_A } },
	{ ROLE_DELTA, "attention.dt_bias", .slot = { SLOT_DELTA_DT } },
	{ ROLE_DELTA, "attention.o_norm.weight", .slot = { SLOT_DELTA_NORM } },
	{ ROLE_LAYER, "mlp.gate.expert_bias", .slot = { SLOT_ROUTER_BIAS } },
	{ .name = NULL },
}; /* clang-format on */

/* For prediction further ahead. */
static const char *const ahead[] = { "mtp.", NULL };

const struct model_names model_names_gpt_oss = { .own = gpt_oss };
const struct model_names model_names_mixtral = { .own = mixtral };
const struct model_names model_names_minimax_m2 = { .own = minimax_m2, .extra = ahead };
const struct model_names model_names_ernie4_5_moe = { .own = ernie4_5_moe, .extra = ahead };
const struct model_names model_names_granitemoe = { .own = granitemoe };
const struct model_names model_names_qwen3_vl_moe = { .own = qwen3_vl_moe };
const struct model_names model_names_qwen3_next = { .own = qwen3_next, .extra = ahead };
const struct model_names model_names_qwen3_5 = { .own = qwen3_5, .extra = ahead };
const struct model_names model_names_kimi_linear = { .own = kimi_linear };
const struct model_names model_names_bailing_hybrid = { .own = bailing_hybrid };
