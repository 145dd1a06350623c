/* Feed-forward weights of a layer: one dense network, or router, experts and shared expert. */
#include "model/weights_loader.h"

#include <stdio.h>
#include <stdlib.h>

/* Names of the three matrices. */
struct names {
	const char *gate, *up, *down;
};

static const struct names usual = { "gate_proj", "up_proj", "down_proj" };
static const struct names mixtral = { "w1", "w3", "w2" };

static int add_ffn(struct loader *l, enum weight_class class, uint32_t layer, const char *part,
		   const struct names *n, uint32_t width, struct ffn_weights *w)
{
	char name[80];
	snprintf(name, sizeof name, "%s.%s.weight", part, n->gate);
	TRY(loader_matrix(l, class, layer, name, width, l->c->hidden, &w->gate));
	snprintf(name, sizeof name, "%s.%s.weight", part, n->up);
	TRY(loader_matrix(l, class, layer, name, width, l->c->hidden, &w->up));
	snprintf(name, sizeof name, "%s.%s.weight", part, n->down);
	return loader_matrix(l, class, layer, name, l->c->hidden, width, &w->down);
}

static int add_dense(struct loader *l, uint32_t layer, struct ffn_weights *w)
{
	const struct model_config *c = l->c;
	TRY(add_ffn(l, WEIGHT_DENSE, layer, "mlp", &usual, c->ffn, w));
	if (!c->bias_ffn)
		return 0;
	TRY(loader_floats(l, layer, "mlp.gate_proj.bias", c->ffn, &w->gate_bias));
	TRY(loader_floats(l, layer, "mlp.up_proj.bias", c->ffn, &w->up_bias));
	return loader_floats(l, layer, "mlp.down_proj.bias", c->hidden, &w->down_bias);
}

static int add_router(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	const struct model_config *c = l->c;
	const char *name = c->experts == MODEL_EXPERTS_MIXTRAL ? "block_sparse_moe.gate.weight"
			   : c->experts == MODEL_EXPERTS_FUSED ? "mlp.router.weight"
							       : "mlp.gate.weight";
	TRY(loader_matrix(l, WEIGHT_ROUTER, layer, name, c->gate.experts, c->hidden, &w->router));
	if (c->gate.kind == KERNEL_GATE_SOFTMAX)
		return 0;
	name = c->gate.kind == KERNEL_GATE_TOPK ? "mlp.router.bias"
						: "mlp.gate.e_score_correction_bias";
	return loader_floats(l, layer, name, c->gate.experts, &w->router_bias);
}

static int add_shared(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	const struct model_config *c = l->c;
	if (c->shared_width == 0)
		return 0;
	if (!c->shared_gated)
		return add_ffn(l, WEIGHT_SHARED, layer, "mlp.shared_experts", &usual,
			       c->shared_width, &w->ffn);
	TRY(loader_matrix(l, WEIGHT_ROUTER, layer, "mlp.shared_expert_gate.weight", 1, c->hidden,
			  &w->shared_gate));
	return add_ffn(l, WEIGHT_SHARED, layer, "mlp.shared_expert", &usual, c->shared_width,
		       &w->ffn);
}

static int add_moe(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	const struct model_config *c = l->c;
	bool other = c->experts == MODEL_EXPERTS_MIXTRAL;
	char part[60];
	w->expert = calloc(c->gate.experts, sizeof *w->expert);
	if (w->expert == NULL)
		return err_set(l->e, ERR_NOMEM, "experts");
	TRY(add_router(l, layer, w));
	if (c->experts == MODEL_EXPERTS_FUSED)
		return loader_fused(l, layer, w);
	for (uint32_t i = 0; i < c->gate.experts; i++) {
		snprintf(part, sizeof part, "%s.experts.%u", other ? "block_sparse_moe" : "mlp", i);
		TRY(add_ffn(l, WEIGHT_EXPERT, layer, part, other ? &mixtral : &usual,
			    c->expert_width, &w->expert[i]));
	}
	return add_shared(l, layer, w);
}

int loader_ffn(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	return model_layer_is_moe(l->c, layer) ? add_moe(l, layer, w)
					       : add_dense(l, layer, &w->ffn);
}

static void free_ffn(struct ffn_weights *w)
{
	kernel_matrix_free(&w->gate);
	kernel_matrix_free(&w->up);
	kernel_matrix_free(&w->down);
	free(w->gate_bias);
	free(w->up_bias);
	free(w->down_bias);
}

void loader_ffn_free(struct layer_weights *w, const struct model_config *c)
{
	free_ffn(&w->ffn);
	kernel_matrix_free(&w->router);
	kernel_matrix_free(&w->shared_gate);
	free(w->router_bias);
	for (uint32_t i = 0; w->expert != NULL && i < c->gate.experts; i++)
		free_ffn(&w->expert[i]);
	free(w->expert);
}
