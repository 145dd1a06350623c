/* Names of mixtures of experts. */
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
}; /* clang-format on */

const struct model_names model_names_gpt_oss = { .own = gpt_oss };
const struct model_names model_names_mixtral = { .own = mixtral };
