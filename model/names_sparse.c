/* Names of the families of family_sparse.c. */
#include "model/names.h"

#include <stddef.h>

/* clang-format off */
static const struct model_name llama4[] = {
	{ ROLE_LAYER, "feed_forward.router.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_DENSE, "feed_forward.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_DENSE, "feed_forward.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "feed_forward.down_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_SHARED, "feed_forward.shared_expert.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_SHARED, "feed_forward.shared_expert.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_SHARED, "feed_forward.shared_expert.down_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_EXPERT, "feed_forward.experts.gate_up_proj", .slot = { SLOT_GATE, SLOT_UP },
	  .turned = true },
	{ ROLE_EXPERT, "feed_forward.experts.down_proj", .slot = { SLOT_DOWN }, .turned = true },
	{ .name = NULL },
};

static const struct model_name longcat[] = {
	{ ROLE_LAYER, "input_layernorm.$.weight", .slot = { SLOT_ATTN_NORM } },
	{ ROLE_LAYER, "post_attention_layernorm.$.weight", .slot = { SLOT_FFN_NORM } },
	{ ROLE_ATTENTION, "self_attn.$.q_a_proj.weight", .slot = { SLOT_Q_A } },
	{ ROLE_LATENT, "self_attn.$.q_a_proj.bias", .slot = { SLOT_Q_BIAS } },
	{ ROLE_LATENT, "self_attn.$.q_a_layernorm.weight", .slot = { SLOT_Q_NORM } },
	{ ROLE_LATENT, "self_attn.$.q_b_proj.weight", .slot = { SLOT_Q } },
	{ ROLE_ATTENTION, "self_attn.$.kv_a_proj_with_mqa.weight", .slot = { SLOT_KV_A } },
	{ ROLE_ATTENTION, "self_attn.$.kv_a_proj_with_mqa.bias", .slot = { SLOT_KV_BIAS } },
	{ ROLE_ATTENTION, "self_attn.$.kv_a_layernorm.weight", .slot = { SLOT_KV_NORM } },
	{ ROLE_ATTENTION, "self_attn.$.kv_b_proj.weight", .slot = { SLOT_KV_B } },
	{ ROLE_ATTENTION, "self_attn.$.o_proj.weight", .slot = { SLOT_O } },
	{ ROLE_ATTENTION, "self_attn.$.o_proj.bias", .slot = { SLOT_O_BIAS } },
	{ ROLE_DENSE, "mlps.$.gate_proj.weight", .slot = { SLOT_GATE } },
	{ ROLE_DENSE, "mlps.$.up_proj.weight", .slot = { SLOT_UP } },
	{ ROLE_DENSE, "mlps.$.down_proj.weight", .slot = { SLOT_DOWN } },
	{ ROLE_LAYER, "mlp.router.classifier.weight", .slot = { SLOT_ROUTER } },
	{ ROLE_LAYER, "mlp.router.e_score_correction_bias", .slot = { SLOT_ROUTER_BIAS } },
	{ .name = NULL },
};

static const struct model_name mimo[] = {
	{ ROLE_ATTENTION, "self_attn.attention_sink_bias", .slot = { SLOT_SINKS } },
	{ .name = NULL },
}; /* clang-format on */

static const char *const mimo_extra[] = { "model.mtp.", NULL };
static const char *const longcat_extra[] = { "model.mtp.", NULL };

const struct model_names model_names_llama4 = { .own = llama4 };
const struct model_names model_names_longcat = { .own = longcat,
						 .pairs = true,
						 .extra = longcat_extra };
const struct model_names model_names_mimo = { .own = mimo, .extra = mimo_extra };
