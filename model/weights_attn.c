/* The plan of a layer's attention, for both kinds. */
#include "model/weights_loader.h"

/* ---- latent attention ---- */

static int add_kv_b(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	model_plan_name(l, layer, "self_attn.kv_b_proj.weight");
	const struct model_item it = { .kind = ITEM_KV_B,
				       .class = WEIGHT_LATENT,
				       .rows = c->heads * (c->nope + c->value),
				       .columns = c->kv_rank,
				       .layer = layer,
				       .slot = SLOT_KV_B,
				       .expert = MODEL_NO_EXPERT };
	return model_plan_add(l, &it, NULL, 2);
}

static int add_mla(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	uint32_t q_rows = c->heads * (c->nope + c->rope_head), kv_rows = c->kv_rank + c->rope_head;
	if (c->q_rank == 0) {
		TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_proj.weight", SLOT_Q,
				      q_rows, c->hidden));
	} else {
		TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_a_proj.weight",
				      SLOT_Q_A, c->q_rank, c->hidden));
		TRY(model_plan_floats(l, layer, "self_attn.q_a_layernorm.weight", SLOT_Q_NORM,
				      c->q_rank));
		TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_b_proj.weight",
				      SLOT_Q, q_rows, c->q_rank));
	}
	TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.kv_a_proj_with_mqa.weight",
			      SLOT_KV_A, kv_rows, c->hidden));
	TRY(model_plan_floats(l, layer, "self_attn.kv_a_layernorm.weight", SLOT_KV_NORM,
			      c->kv_rank));
	TRY(add_kv_b(l, layer));
	TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.o_proj.weight", SLOT_O,
			      c->hidden, c->heads * c->value));
	if (c->bias_qkv) {
		if (c->q_rank != 0)
			TRY(model_plan_floats(l, layer, "self_attn.q_a_proj.bias", SLOT_Q_BIAS,
					      c->q_rank));
		TRY(model_plan_floats(l, layer, "self_attn.kv_a_proj_with_mqa.bias", SLOT_KV_BIAS,
				      kv_rows));
	}
	return c->bias_o ? model_plan_floats(l, layer, "self_attn.o_proj.bias", SLOT_O_BIAS,
					     c->hidden)
			 : 0;
}

/* ---- grouped queries ---- */

static int add_biases(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	if (c->bias_qkv) {
		TRY(model_plan_floats(l, layer, "self_attn.q_proj.bias", SLOT_Q_BIAS, q));
		TRY(model_plan_floats(l, layer, "self_attn.k_proj.bias", SLOT_K_BIAS, kv));
		TRY(model_plan_floats(l, layer, "self_attn.v_proj.bias", SLOT_V_BIAS, kv));
	}
	if (c->bias_o)
		TRY(model_plan_floats(l, layer, "self_attn.o_proj.bias", SLOT_O_BIAS, c->hidden));
	return c->sinks ? model_plan_floats(l, layer, "self_attn.sinks", SLOT_SINKS, c->heads) : 0;
}

static int add_gqa(struct loader *l, uint32_t layer)
{
	const struct model_config *c = l->c;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	bool whole = c->qk_norm == MODEL_QK_FULL;
	TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_proj.weight", SLOT_Q, q,
			      c->hidden));
	TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.k_proj.weight", SLOT_K, kv,
			      c->hidden));
	TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.v_proj.weight", SLOT_V, kv,
			      c->hidden));
	TRY(model_plan_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.o_proj.weight", SLOT_O,
			      c->hidden, q));
	if (c->qk_norm != MODEL_QK_NONE) {
		TRY(model_plan_floats(l, layer, "self_attn.q_norm.weight", SLOT_Q_NORM,
				      whole ? q : c->head));
		TRY(model_plan_floats(l, layer, "self_attn.k_norm.weight", SLOT_K_NORM,
				      whole ? kv : c->head));
	}
	return add_biases(l, layer);
}

/* ---- both ---- */

int model_plan_attention(struct loader *l, uint32_t layer)
{
	return l->c->attention == MODEL_ATTN_MLA ? add_mla(l, layer) : add_gqa(l, layer);
}
