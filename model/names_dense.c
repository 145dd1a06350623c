/* Names of dense families that have their own. */
#include "model/names.h"

#include <stddef.h>

/* clang-format off */
/* Norms on both sides of each branch; gemma4 has experts beside the dense network too. */
static const struct model_name gemma[] = {
	{ ROLE_LAYER, "pre_feedforward_layernorm.weight", .slot = { SLOT_FFN_NORM } },
	{ .name = NULL },
};
static const struct model_name gemma4[] = {
	{ ROLE_LAYER, "pre_feedforward_layernorm.weight", .slot = { SLOT_FFN_NORM } },
	{ ROLE_LAYER, "router.proj.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_EXPERT, "experts.gate_up_proj", .slot = { SLOT_GATE, SLOT_UP } },
	{ ROLE_EXPERT, "experts.down_proj", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};
static const struct model_name glm4[] = {
	{ ROLE_LAYER, "post_self_attn_layernorm.weight", .slot = { SLOT_ATTN_AFTER } },
	{ ROLE_LAYER, "post_mlp_layernorm.weight", .slot = { SLOT_FFN_AFTER } },
	{ ROLE_DENSE, "mlp.gate_up_proj.weight", .slot = { SLOT_GATE, SLOT_UP } },
	{ .name = NULL },
};
static const struct model_name phi3[] = {
	{ ROLE_ATTENTION, "self_attn.qkv_proj.weight", .slot = { SLOT_Q, SLOT_K, SLOT_V } },
	{ ROLE_DENSE, "mlp.gate_up_proj.weight", .slot = { SLOT_GATE, SLOT_UP } },
	{ .name = NULL },
};
static const struct model_name apertus[] = {
	{ ROLE_LAYER, "attention_layernorm.weight", .slot = { SLOT_ATTN_NORM } },
	{ ROLE_LAYER, "feedforward_layernorm.weight", .slot = { SLOT_FFN_NORM } },
	{ .name = NULL },
};
static const struct model_name hunyuan[] = {
	{ ROLE_ATTENTION, "self_attn.query_layernorm.weight", .slot = { SLOT_Q_NORM } },
	{ ROLE_ATTENTION, "self_attn.key_layernorm.weight", .slot = { SLOT_K_NORM } },
	{ ROLE_LAYER, "mlp.gate.wg.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_SHARED, "mlp.shared_mlp.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_SHARED, "mlp.shared_mlp.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_SHARED, "mlp.shared_mlp.down_proj.weight", .slot = { SLOT_DOWN } },
	{ .name = NULL },
};
static const struct model_name gpt_neox[] = {
	{ ROLE_WHOLE, "embed_in.weight", .slot = { SLOT_EMBED } },
	{ ROLE_WHOLE, "/embed_out.weight", .slot = { SLOT_HEAD } },
	{ ROLE_WHOLE, "final_layer_norm.weight", .slot = { SLOT_NORM } },
	{ ROLE_WHOLE, "final_layer_norm.bias", .slot = { SLOT_NORM_BIAS } },
	{ ROLE_ATTENTION, "attention.query_key_value.weight", .slot = { SLOT_Q, SLOT_K, SLOT_V },
	  SPLIT_HEADS },
	{ ROLE_ATTENTION, "attention.query_key_value.bias",
	  .slot = { SLOT_Q_BIAS, SLOT_K_BIAS, SLOT_V_BIAS }, SPLIT_HEADS },
	{ ROLE_ATTENTION, "attention.q_k_v.weight", .slot = { SLOT_Q, SLOT_K, SLOT_V } },
	{ ROLE_ATTENTION, "attention.q_k_v.bias",
	  .slot = { SLOT_Q_BIAS, SLOT_K_BIAS, SLOT_V_BIAS } }, /* of GGUF files */
	{ ROLE_ATTENTION, "attention.dense.weight", .slot = { SLOT_O } },
	{ ROLE_ATTENTION, "attention.dense.bias", .slot = { SLOT_O_BIAS } },
	{ ROLE_DENSE, "mlp.dense_h_to_4h.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "mlp.dense_h_to_4h.bias", .slot = { SLOT_UP_BIAS } },
	{ ROLE_DENSE, "mlp.dense_4h_to_h.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "mlp.dense_4h_to_h.bias", .slot = { SLOT_DOWN_BIAS } },
	{ .name = NULL },
};
static const struct model_name exaone[] = {
	{ ROLE_WHOLE, "wte.weight", .slot = { SLOT_EMBED } },
	{ ROLE_WHOLE, "ln_f.weight", .slot = { SLOT_NORM } },
	{ ROLE_LAYER, "ln_1.weight", .slot = { SLOT_ATTN_NORM } },
	{ ROLE_LAYER, "ln_2.weight", .slot = { SLOT_FFN_NORM } },
	{ ROLE_ATTENTION, "attn.attention.q_proj.weight", .slot = { SLOT_Q } },
	{ ROLE_ATTENTION, "attn.attention.q_proj.bias", .slot = { SLOT_Q_BIAS } },
	{ ROLE_ATTENTION, "attn.attention.k_proj.weight", .slot = { SLOT_K } },
	{ ROLE_ATTENTION, "attn.attention.k_proj.bias", .slot = { SLOT_K_BIAS } },
	{ ROLE_ATTENTION, "attn.attention.v_proj.weight", .slot = { SLOT_V } },
	{ ROLE_ATTENTION, "attn.attention.v_proj.bias", .slot = { SLOT_V_BIAS } },
	{ ROLE_ATTENTION, "attn.attention.out_proj.weight", .slot = { SLOT_O } },
	{ ROLE_ATTENTION, "attn.attention.out_proj.bias", .slot = { SLOT_O_BIAS } },
	{ ROLE_DENSE, "mlp.c_fc_0.weight", .slot = { SLOT_GATE } },
	{ ROLE_DENSE, "mlp.c_fc_0.bias", .slot = { SLOT_GATE_BIAS } },
	{ ROLE_DENSE, "mlp.c_fc_1.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "mlp.c_fc_1.bias", .slot = { SLOT_UP_BIAS } },
	{ ROLE_DENSE, "mlp.c_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "mlp.c_proj.bias", .slot = { SLOT_DOWN_BIAS } },
	{ .name = NULL },
};
static const struct model_name phi[] = {
	{ ROLE_WHOLE, "final_layernorm.weight", .slot = { SLOT_NORM } },
	{ ROLE_WHOLE, "final_layernorm.bias", .slot = { SLOT_NORM_BIAS } },
	{ ROLE_ATTENTION, "self_attn.dense.weight", .slot = { SLOT_O } },
	{ ROLE_ATTENTION, "self_attn.dense.bias", .slot = { SLOT_O_BIAS } },
	{ ROLE_ATTENTION, "self_attn.q_layernorm.weight", .slot = { SLOT_Q_NORM } },
	{ ROLE_ATTENTION, "self_attn.k_layernorm.weight", .slot = { SLOT_K_NORM } },
	{ ROLE_DENSE, "mlp.fc1.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "mlp.fc1.bias", .slot = { SLOT_UP_BIAS } },
	{ ROLE_DENSE, "mlp.fc2.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "mlp.fc2.bias", .slot = { SLOT_DOWN_BIAS } },
	{ .name = NULL },
};
static const struct model_name starcoder2[] = {
	{ ROLE_DENSE, "mlp.c_fc.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "mlp.c_fc.bias", .slot = { SLOT_UP_BIAS } },
	{ ROLE_DENSE, "mlp.c_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_DENSE, "mlp.c_proj.bias", .slot = { SLOT_DOWN_BIAS } },
	{ .name = NULL },
}; /* clang-format on */

/* Causal masks of old files; not biases. */
static const char *const masks[] = { ".attention.bias", ".attention.masked_bias", NULL };

const struct model_names model_names_gemma = { .own = gemma };
const struct model_names model_names_gemma4 = { .own = gemma4 };
const struct model_names model_names_glm4 = { .own = glm4 };
const struct model_names model_names_phi3 = { .own = phi3 };
const struct model_names model_names_apertus = { .own = apertus };
const struct model_names model_names_hunyuan = { .own = hunyuan };
const struct model_names model_names_gpt_neox = { .base = "gpt_neox.",
						  .own = gpt_neox,
						  .ends = masks };
const struct model_names model_names_exaone = { .base = "transformer.",
						.layers = "h.",
						.own = exaone };
const struct model_names model_names_phi = { .own = phi };
const struct model_names model_names_starcoder2 = { .own = starcoder2 };
