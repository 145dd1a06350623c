/* The plan of gpt_oss's experts: one tensor for all, gate and up interleaved.
 *
 *   stored wide   experts.gate_up_proj [E, H, 2I], experts.down_proj [E, I, H]: transposed
 *   MXFP4         NAME_blocks [E, rows, K/32, 16] u8, low nibble first, NAME_scales [E, rows, K/32]
 *                 u8: value = LUT[nibble] * 2^(scale - 127); scale 255 is not a number
 *   both          experts.gate_up_proj_bias [E, 2I], experts.down_proj_bias [E, H]
 *
 * MXFP4 values are exact in bf16. Source: OCP Microscaling Formats 1.0. */
#include "model/weights_loader.h"

#include <stdio.h>

#define MX_BYTES 16 /* of a block of 32 codes */

static int add_wide(struct loader *l, uint32_t layer, const char *name, struct model_item *it)
{
	const uint32_t shape[] = { l->c->gate.experts, it->columns, it->rows };
	it->kind = ITEM_TRANSPOSED;
	model_plan_name(l, layer, name);
	return model_plan_add(l, it, shape, 3);
}

static int add_blocks(struct loader *l, uint32_t layer, const char *name, struct model_item *it)
{
	const uint32_t experts = l->c->gate.experts, groups = it->columns / KERNEL_GROUP;
	const uint32_t shape[] = { experts, it->rows, groups, MX_BYTES };
	char part[60];
	if (it->columns % KERNEL_GROUP != 0)
		return err_set(l->e, ERR_INPUT, "%s: %u columns are not whole MXFP4 blocks", name,
			       it->columns);
	it->kind = ITEM_BLOCKS;
	snprintf(part, sizeof part, "%s_blocks", name);
	model_plan_name(l, layer, part);
	TRY(model_plan_add(l, it, shape, 4));
	const struct model_item scales = { .kind = ITEM_BLOCK_SCALES,
					   .class = WEIGHT_VECTOR,
					   .rows = experts * it->rows,
					   .columns = groups,
					   .parent = l->plan.count - 1,
					   .layer = layer,
					   .slot = it->slot,
					   .expert = MODEL_NO_EXPERT };
	snprintf(part, sizeof part, "%s_scales", name);
	model_plan_name(l, layer, part);
	return model_plan_add(l, &scales, shape, 3);
}

static int add_biases(struct loader *l, uint32_t layer, const char *name,
		      const struct model_item *of)
{
	const uint32_t shape[] = { l->c->gate.experts, of->rows };
	struct model_item it = *of;
	char part[60];
	it.kind = ITEM_BIASES;
	it.class = WEIGHT_VECTOR;
	it.rows = l->c->gate.experts;
	it.columns = of->rows;
	snprintf(part, sizeof part, "%s_bias", name);
	model_plan_name(l, layer, part);
	return model_plan_add(l, &it, shape, 2);
}

static int add_part(struct loader *l, uint32_t layer, const char *name, struct model_item *it)
{
	TRY(l->c->quantisation == MODEL_QUANT_MXFP4 ? add_blocks(l, layer, name, it)
						    : add_wide(l, layer, name, it));
	return l->c->bias_expert ? add_biases(l, layer, name, it) : 0;
}

int model_plan_fused(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	struct model_item up = { .class = WEIGHT_EXPERT,
				 .rows = 2 * c->expert_width,
				 .columns = c->hidden,
				 .count = 2,
				 .layer = layer,
				 .slot = SLOT_GATE_UP,
				 .expert = MODEL_NO_EXPERT };
	struct model_item down = { .class = WEIGHT_EXPERT,
				   .rows = c->hidden,
				   .columns = c->expert_width,
				   .count = 1,
				   .layer = layer,
				   .slot = SLOT_DOWN,
				   .expert = MODEL_NO_EXPERT };
	TRY(add_part(l, layer, "mlp.experts.gate_up_proj", &up));
	return add_part(l, layer, "mlp.experts.down_proj", &down);
}
