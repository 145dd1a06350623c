/* Which slots a layer has, and their shapes: both follow from struct model_layer and the config. A
 * slot one of whose dimensions is 0 does not exist. */
#include "model/names.h"

enum dim { /* clang-format off */
	D_NONE, D_ONE, D_HIDDEN, D_VOCAB, D_NORM_BIAS, D_HEAD_BIAS, D_INPUTS, D_INPUTS_ALL, D_INPUT_NORM,
	/* of a layer */
	D_BEFORE, D_AFTER, D_FFN_BEFORE, D_FFN_AFTER, D_BEFORE_BIAS, D_FFN_BEFORE_BIAS, D_SCALAR,
	D_Q_A, D_Q, D_Q_IN, D_KV_A, D_KV_B, D_KV_RANK, D_K, D_V, D_O, D_Q_NORM, D_K_NORM,
	D_Q_BIAS, D_K_BIAS, D_V_BIAS, D_KV_BIAS, D_O_BIAS, D_SINKS, D_OUT_GATE,
	D_INDEX_Q, D_INDEX_K, D_INDEX_HEADS,
	D_GATE_A, D_GATE, D_GATE_IN, D_BETA, D_DECAY_A, D_DECAY, D_DECAY_IN, D_CONV, D_CONV_QK,
	D_CONV_V, D_DT, D_DELTA_NORM,
	D_ROUTER, D_ROUTER_BIAS, D_SHARED_GATE, D_ROUTER_SCALE, D_EXPERT_SCALE, D_EXPERTS_NORM,
	/* of a network */
	D_WIDTH, D_GATED, D_WIDTH_BIAS, D_GATED_BIAS, D_DOWN_BIAS, D_ACT,
	DIMS
};

static const struct {
	enum weight_class class;
	enum dim rows, columns;
	bool gain;
} rules[MODEL_SLOTS] = {
	[SLOT_EMBED] = { WEIGHT_EMBED, D_VOCAB, D_HIDDEN, false },
	[SLOT_HEAD] = { WEIGHT_HEAD, D_VOCAB, D_HIDDEN, false },
	[SLOT_NORM] = { WEIGHT_VECTOR, D_HIDDEN, D_ONE, true },
	[SLOT_NORM_BIAS] = { WEIGHT_VECTOR, D_NORM_BIAS, D_ONE, false },
	[SLOT_HEAD_BIAS] = { WEIGHT_VECTOR, D_HEAD_BIAS, D_ONE, false },
	[SLOT_INPUTS_EMBED] = { WEIGHT_EMBED, D_VOCAB, D_INPUTS_ALL, false },
	[SLOT_INPUTS_PROJECTION] = { WEIGHT_DENSE, D_INPUTS_ALL, D_HIDDEN, false },
	[SLOT_INPUTS_NORM] = { WEIGHT_VECTOR, D_INPUTS, D_ONE, true },

	[SLOT_ATTN_NORM] = { WEIGHT_VECTOR, D_BEFORE, D_ONE, true },
	[SLOT_ATTN_AFTER] = { WEIGHT_VECTOR, D_AFTER, D_ONE, true },
	[SLOT_FFN_NORM] = { WEIGHT_VECTOR, D_FFN_BEFORE, D_ONE, true },
	[SLOT_FFN_AFTER] = { WEIGHT_VECTOR, D_FFN_AFTER, D_ONE, true },
	[SLOT_ATTN_NORM_BIAS] = { WEIGHT_VECTOR, D_BEFORE_BIAS, D_ONE, false },
	[SLOT_FFN_NORM_BIAS] = { WEIGHT_VECTOR, D_FFN_BEFORE_BIAS, D_ONE, false },
	[SLOT_LAYER_SCALAR] = { WEIGHT_VECTOR, D_SCALAR, D_ONE, false },
	[SLOT_INPUT_GATE] = { WEIGHT_DENSE, D_INPUTS, D_HIDDEN, false },
	[SLOT_INPUT_UP] = { WEIGHT_DENSE, D_HIDDEN, D_INPUTS, false },
	[SLOT_INPUT_NORM] = { WEIGHT_VECTOR, D_INPUT_NORM, D_ONE, true },

	[SLOT_Q_A] = { WEIGHT_ATTENTION, D_Q_A, D_HIDDEN, false },
	[SLOT_Q] = { WEIGHT_ATTENTION, D_Q, D_Q_IN, false },
	[SLOT_KV_A] = { WEIGHT_ATTENTION, D_KV_A, D_HIDDEN, false },
	[SLOT_KV_B] = { WEIGHT_LATENT, D_KV_B, D_KV_RANK, false },
	[SLOT_K] = { WEIGHT_ATTENTION, D_K, D_HIDDEN, false },
	[SLOT_V] = { WEIGHT_ATTENTION, D_V, D_HIDDEN, false },
	[SLOT_O] = { WEIGHT_ATTENTION, D_HIDDEN, D_O, false },
	[SLOT_Q_NORM] = { WEIGHT_VECTOR, D_Q_NORM, D_ONE, true },
	[SLOT_K_NORM] = { WEIGHT_VECTOR, D_K_NORM, D_ONE, true },
	[SLOT_KV_NORM] = { WEIGHT_VECTOR, D_KV_RANK, D_ONE, true },
	[SLOT_Q_BIAS] = { WEIGHT_VECTOR, D_Q_BIAS, D_ONE, false },
	[SLOT_K_BIAS] = { WEIGHT_VECTOR, D_K_BIAS, D_ONE, false },
	[SLOT_V_BIAS] = { WEIGHT_VECTOR, D_V_BIAS, D_ONE, false },
	[SLOT_KV_BIAS] = { WEIGHT_VECTOR, D_KV_BIAS, D_ONE, false },
	[SLOT_O_BIAS] = { WEIGHT_VECTOR, D_O_BIAS, D_ONE, false },
	[SLOT_SINKS] = { WEIGHT_VECTOR, D_SINKS, D_ONE, false },
	[SLOT_OUT_GATE] = { WEIGHT_ATTENTION, D_OUT_GATE, D_HIDDEN, false },
	[SLOT_INDEX_Q] = { WEIGHT_ATTENTION, D_INDEX_Q, D_Q_IN, false },
	[SLOT_INDEX_K] = { WEIGHT_ATTENTION, D_INDEX_K, D_HIDDEN, false },
	[SLOT_INDEX_WEIGHTS] = { WEIGHT_ROUTER, D_INDEX_HEADS, D_HIDDEN, false },
	[SLOT_INDEX_NORM] = { WEIGHT_VECTOR, D_INDEX_K, D_ONE, true },
	[SLOT_INDEX_NORM_BIAS] = { WEIGHT_VECTOR, D_INDEX_K, D_ONE, false },

	[SLOT_DELTA_GATE_A] = { WEIGHT_ATTENTION, D_GATE_A, D_HIDDEN, false },
	[SLOT_DELTA_GATE] = { WEIGHT_ATTENTION, D_GATE, D_GATE_IN, false },
	[SLOT_DELTA_BETA] = { WEIGHT_LATENT, D_BETA, D_HIDDEN, false },
	[SLOT_DELTA_DECAY_A] = { WEIGHT_LATENT, D_DECAY_A, D_HIDDEN, false },
	[SLOT_DELTA_DECAY] = { WEIGHT_LATENT, D_DECAY, D_DECAY_IN, false },
	[SLOT_DELTA_CONV_Q] = { WEIGHT_VECTOR, D_CONV_QK, D_CONV, false },
	[SLOT_DELTA_CONV_K] = { WEIGHT_VECTOR, D_CONV_QK, D_CONV, false },
	[SLOT_DELTA_CONV_V] = { WEIGHT_VECTOR, D_CONV_V, D_CONV, false },
	[SLOT_DELTA_A] = { WEIGHT_VECTOR, D_BETA, D_ONE, false },
	[SLOT_DELTA_DT] = { WEIGHT_VECTOR, D_DECAY, D_ONE, false },
	[SLOT_DELTA_NORM] = { WEIGHT_VECTOR, D_DELTA_NORM, D_ONE, true },

	[SLOT_ROUTER] = { WEIGHT_ROUTER, D_ROUTER, D_HIDDEN, false },
	[SLOT_ROUTER_BIAS] = { WEIGHT_VECTOR, D_ROUTER_BIAS, D_ONE, false },
	[SLOT_SHARED_GATE] = { WEIGHT_ROUTER, D_SHARED_GATE, D_HIDDEN, false },
	[SLOT_ROUTER_SCALE] = { WEIGHT_VECTOR, D_ROUTER_SCALE, D_ONE, false },
	[SLOT_EXPERT_SCALE] = { WEIGHT_VECTOR, D_EXPERT_SCALE, D_ONE, false },
	[SLOT_EXPERTS_NORM] = { WEIGHT_VECTOR, D_EXPERTS_NORM, D_ONE, true },
	[SLOT_EXPERTS_AFTER] = { WEIGHT_VECTOR, D_EXPERTS_NORM, D_ONE, true },
	[SLOT_DENSE_AFTER] = { WEIGHT_VECTOR, D_EXPERTS_NORM, D_ONE, true },

	/* the class is that of the role */
	[SLOT_GATE] = { WEIGHT_CLASSES, D_GATED, D_HIDDEN, false },
	[SLOT_UP] = { WEIGHT_CLASSES, D_WIDTH, D_HIDDEN, false },
	[SLOT_DOWN] = { WEIGHT_CLASSES, D_HIDDEN, D_WIDTH, false },
	[SLOT_GATE_BIAS] = { WEIGHT_VECTOR, D_GATED_BIAS, D_ONE, false },
	[SLOT_UP_BIAS] = { WEIGHT_VECTOR, D_WIDTH_BIAS, D_ONE, false },
	[SLOT_DOWN_BIAS] = { WEIGHT_VECTOR, D_DOWN_BIAS, D_ONE, false },
	[SLOT_ACT] = { WEIGHT_VECTOR, D_ACT, D_ONE, false },
}; /* clang-format on */

static void whole_dims(const struct model_config *c, uint32_t *d)
{
	d[D_ONE] = 1;
	d[D_HIDDEN] = c->hidden;
	d[D_VOCAB] = c->vocab;
	d[D_NORM_BIAS] = c->norm_bias ? c->hidden : 0;
	d[D_HEAD_BIAS] = c->bias_head ? c->vocab : 0;
	d[D_INPUTS] = c->per_layer;
	d[D_INPUTS_ALL] = c->per_layer * c->layers;
	d[D_INPUT_NORM] = c->per_layer > 0 ? c->hidden : 0;
}

static void norm_dims(const struct model_config *c, const struct model_layer *y, uint32_t *d)
{
	d[D_BEFORE] = y->norm_before ? c->hidden : 0;
	d[D_AFTER] = y->norm_after ? c->hidden : 0;
	d[D_FFN_BEFORE] = y->ffn_norm_before ? c->hidden : 0;
	d[D_FFN_AFTER] = y->ffn_norm_after ? c->hidden : 0;
	d[D_BEFORE_BIAS] = c->norm_bias ? d[D_BEFORE] : 0;
	d[D_FFN_BEFORE_BIAS] = c->norm_bias ? d[D_FFN_BEFORE] : 0;
	d[D_SCALAR] = c->layer_scalar;
}

static void latent_dims(const struct model_config *c, const struct model_layer *y, uint32_t *d)
{
	d[D_Q] = y->heads * (c->nope + c->rope_head);
	d[D_Q_A] = d[D_Q_NORM] = c->q_rank;
	d[D_Q_IN] = c->q_rank > 0 ? c->q_rank : c->hidden;
	d[D_KV_A] = c->kv_rank + c->rope_head;
	d[D_KV_RANK] = c->kv_rank;
	d[D_KV_B] = y->heads * (c->nope + c->value);
	d[D_O] = y->heads * c->value;
	d[D_Q_BIAS] = c->bias_qkv ? c->q_rank : 0;
	d[D_KV_BIAS] = c->bias_qkv ? d[D_KV_A] : 0;
	if (y->index == MODEL_INDEX_OWN) {
		d[D_INDEX_Q] = c->index_heads * c->index_head;
		d[D_INDEX_K] = c->index_head;
		d[D_INDEX_HEADS] = c->index_heads;
	}
}

static void grouped_dims(const struct model_config *c, const struct model_layer *y, bool own,
			 uint32_t *d)
{
	bool full = y->qk_norm == MODEL_QK_FULL;
	d[D_Q] = y->heads * y->head;
	d[D_Q_IN] = c->hidden;
	d[D_K] = own ? y->kv_heads * y->head : 0;
	d[D_V] = own && !y->values_are_keys ? y->kv_heads * y->value : 0;
	d[D_O] = y->heads * y->value;
	if (full || y->qk_norm == MODEL_QK_HEAD) {
		d[D_Q_NORM] = full ? d[D_Q] : y->head;
		d[D_K_NORM] = !own ? 0 : full ? d[D_K] : y->head;
	}
	d[D_Q_BIAS] = c->bias_qkv ? d[D_Q] : 0;
	d[D_K_BIAS] = c->bias_qkv ? d[D_K] : 0;
	d[D_V_BIAS] = c->bias_qkv ? d[D_V] : 0;
}

static void delta_dims(const struct model_config *c, uint32_t *d)
{
	const struct model_delta *t = &c->delta;
	uint32_t key = t->key_heads * t->key, value = t->value_heads * t->value;
	d[D_Q] = d[D_K] = d[D_CONV_QK] = key;
	d[D_Q_IN] = c->hidden;
	d[D_V] = d[D_O] = d[D_CONV_V] = d[D_GATE] = value;
	d[D_GATE_A] = t->gate_rank;
	d[D_GATE_IN] = t->gate_rank > 0 ? t->gate_rank : c->hidden;
	d[D_BETA] = t->value_heads;
	d[D_DECAY_A] = t->decay_rank;
	d[D_DECAY] = t->by_channel ? key : t->value_heads;
	d[D_DECAY_IN] = t->decay_rank > 0 ? t->decay_rank : c->hidden;
	d[D_CONV] = t->conv;
	d[D_DELTA_NORM] = t->value;
}

static void experts_dims(const struct model_config *c, const struct model_layer *y, uint32_t *d)
{
	d[D_ROUTER] = c->gate.experts;
	d[D_ROUTER_BIAS] = c->router_bias ? c->gate.experts : 0;
	d[D_SHARED_GATE] = c->shared_gated;
	if (y->ffn != MODEL_FFN_BOTH || y->residual != MODEL_SEQUENTIAL)
		return;
	d[D_ROUTER_SCALE] = d[D_EXPERTS_NORM] = c->hidden;
	d[D_EXPERT_SCALE] = c->gate.experts;
}

static void network_dims(const struct model_config *c, const struct model_layer *y,
			 enum model_role role, uint32_t *d)
{
	bool expert = role == ROLE_EXPERT, bias = expert ? c->bias_expert : c->bias_ffn;
	d[D_WIDTH] = expert ? c->expert_width : role == ROLE_SHARED ? c->shared_width : y->width;
	d[D_GATED] = c->ungated ? 0 : d[D_WIDTH];
	d[D_WIDTH_BIAS] = bias ? d[D_WIDTH] : 0;
	d[D_GATED_BIAS] = bias ? d[D_GATED] : 0;
	d[D_DOWN_BIAS] = bias && d[D_WIDTH] > 0 ? c->hidden : 0;
	d[D_ACT] = role == ROLE_DENSE && c->activation == MODEL_ACT_XIELU ? 4 : 0;
}

enum model_role model_slot_role(const struct model_config *c, uint32_t layer, enum model_slot slot)
{
	const struct model_layer *y = &c->layer[layer];
	bool query = slot == SLOT_Q || slot == SLOT_Q_NORM || slot == SLOT_Q_BIAS;
	if (model_slot_is_whole(slot))
		return ROLE_WHOLE;
	if (slot >= SLOT_GATE)
		return y->ffn == MODEL_FFN_EXPERTS ? ROLE_SHARED : ROLE_DENSE;
	if (slot < SLOT_Q_A || slot >= SLOT_ROUTER)
		return ROLE_LAYER;
	if (y->mixer == MODEL_MIX_DELTA)
		return ROLE_DELTA;
	return y->mixer == MODEL_MIX_MLA && c->q_rank > 0 && query ? ROLE_LATENT : ROLE_ATTENTION;
}

static void layer_dims(const struct model_config *c, uint32_t layer, enum model_role role,
		       uint32_t *d)
{
	const struct model_layer *y = &c->layer[layer];
	norm_dims(c, y, d);
	if (role == ROLE_DELTA)
		delta_dims(c, d);
	else if (y->mixer == MODEL_MIX_MLA)
		latent_dims(c, y, d);
	else
		grouped_dims(c, y, y->cache == layer, d);
	d[D_O_BIAS] = c->bias_o && role != ROLE_DELTA ? c->hidden : 0;
	d[D_SINKS] = y->sinks ? y->heads : 0;
	if (role == ROLE_ATTENTION && y->gate != MODEL_OUT_NONE)
		d[D_OUT_GATE] = y->gate == MODEL_OUT_HEAD ? y->heads : d[D_O];
	if (y->ffn != MODEL_FFN_DENSE)
		experts_dims(c, y, d);
	network_dims(c, y, role, d);
}

bool model_slot_shape(const struct model_config *c, uint32_t layer, enum model_role role,
		      enum model_slot slot, struct slot_shape *out)
{
	static const enum weight_class network[] = { [ROLE_DENSE] = WEIGHT_DENSE,
						     [ROLE_SHARED] = WEIGHT_SHARED,
						     [ROLE_EXPERT] = WEIGHT_EXPERT };
	uint32_t d[DIMS] = { 0 };
	enum weight_class class = rules[slot].class;
	whole_dims(c, d);
	if (role != ROLE_WHOLE)
		layer_dims(c, layer, role, d);
	*out = (struct slot_shape){
		.class = class == WEIGHT_CLASSES ? network[role] : class,
		.gain = rules[slot].gain,
		.rows = d[rules[slot].rows],
		.columns = d[rules[slot].columns],
	};
	return out->rows > 0 && out->columns > 0;
}
