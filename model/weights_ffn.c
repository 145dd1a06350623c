/* The plan of a feed-forward half: one dense network, or router, experts and shared expert. */
#include "model/weights_loader.h"

#include <stdio.h>

/* Names of the three matrices. */
struct names {
	const char *gate, *up, *down;
};

static const struct names usual = { "gate_proj", "up_proj", "down_proj" };
static const struct names mixtral = { "w1", "w3", "w2" };

/* expert: whose; or MODEL_NO_EXPERT. */
static int add_ffn(struct loader *l, enum weight_class class, uint32_t layer, const char *part,
		   const struct names *n, uint32_t width, uint32_t expert)
{
	const char *const names[3] = { n->gate, n->up, n->down };
	static const enum model_slot slots[3] = { SLOT_GATE, SLOT_UP, SLOT_DOWN };
	char name[80];
	for (int i = 0; i < 3; i++) {
		bool down = slots[i] == SLOT_DOWN;
		const struct model_item it = { .kind = ITEM_MATRIX,
					       .class = class,
					       .rows = down ? l->c->hidden : width,
					       .columns = down ? width : l->c->hidden,
					       .layer = layer,
					       .slot = slots[i],
					       .expert = expert };
		snprintf(name, sizeof name, "%s.%s.weight", part, names[i]);
		model_plan_name(l, layer, name);
		TRY(model_plan_add(l, &it, NULL, 2));
	}
	return 0;
}

static int add_dense(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	TRY(add_ffn(l, WEIGHT_DENSE, layer, "mlp", &usual, c->ffn, MODEL_NO_EXPERT));
	if (!c->bias_ffn)
		return 0;
	TRY(model_plan_floats(l, layer, "mlp.gate_proj.bias", SLOT_GATE_BIAS, c->ffn));
	TRY(model_plan_floats(l, layer, "mlp.up_proj.bias", SLOT_UP_BIAS, c->ffn));
	return model_plan_floats(l, layer, "mlp.down_proj.bias", SLOT_DOWN_BIAS, c->hidden);
}

static int add_router(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	const char *name = c->experts == MODEL_EXPERTS_MIXTRAL ? "block_sparse_moe.gate.weight"
			   : c->experts == MODEL_EXPERTS_FUSED ? "mlp.router.weight"
							       : "mlp.gate.weight";
	TRY(model_plan_matrix(l, WEIGHT_ROUTER, layer, name, SLOT_ROUTER, c->gate.experts,
			      c->hidden));
	if (c->gate.kind == KERNEL_GATE_SOFTMAX)
		return 0;
	name = c->gate.kind == KERNEL_GATE_TOPK ? "mlp.router.bias"
						: "mlp.gate.e_score_correction_bias";
	return model_plan_floats(l, layer, name, SLOT_ROUTER_BIAS, c->gate.experts);
}

static int add_shared(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	if (c->shared_width == 0)
		return 0;
	if (!c->shared_gated)
		return add_ffn(l, WEIGHT_SHARED, layer, "mlp.shared_experts", &usual,
			       c->shared_width, MODEL_NO_EXPERT);
	TRY(model_plan_matrix(l, WEIGHT_ROUTER, layer, "mlp.shared_expert_gate.weight",
			      SLOT_SHARED_GATE, 1, c->hidden));
	return add_ffn(l, WEIGHT_SHARED, layer, "mlp.shared_expert", &usual, c->shared_width,
		       MODEL_NO_EXPERT);
}

static int add_moe(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	bool other = c->experts == MODEL_EXPERTS_MIXTRAL;
	char part[60];
	TRY(add_router(l, layer));
	if (c->experts == MODEL_EXPERTS_FUSED)
		return model_plan_fused(l, layer);
	for (uint32_t i = 0; i < c->gate.experts; i++) {
		snprintf(part, sizeof part, "%s.experts.%u", other ? "block_sparse_moe" : "mlp", i);
		TRY(add_ffn(l, WEIGHT_EXPERT, layer, part, other ? &mixtral : &usual,
			    c->expert_width, i));
	}
	return add_shared(l, layer);
}

int model_plan_ffn(struct loader *l, uint32_t layer)
{
	return model_layer_is_moe(l->c, layer) ? add_moe(l, layer) : add_dense(l, layer);
}
