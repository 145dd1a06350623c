/* What there is to list: the slots of the model and of each layer, one tensor for one or several of
 * them, as the names say.
 *
 * All experts in one tensor: [E, rows, columns], or transposed [E, columns, rows], or as MXFP4:
 * NAME_blocks [E, rows, columns/32, 16] u8, low nibble first, and NAME_scales [E, rows, columns/32]
 * u8: value = LUT[nibble] * 2^(scale - 127); scale 255 is not a number. MXFP4 values are exact in
 * bf16. Source: OCP Microscaling Formats 1.0. */
#include "model/weights_loader.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MX_BYTES 16 /* of a block of 32 codes */

/* ---- one tensor ---- */

static uint32_t periods_of(const struct loader *l, const struct model_name *n, uint32_t layer,
			   uint32_t rows)
{
	switch (n->split) {
	case SPLIT_HEADS:
		return l->c->layer[layer].heads;
	case SPLIT_KEY_HEADS:
		return l->c->delta.key_heads;
	case SPLIT_ROWS:
		return rows;
	case SPLIT_FLAT:
		break;
	}
	return 1;
}

/* A norm's gain may be stored minus one; a router's input is scaled by hidden^-1/2 too. */
static void floats_set(const struct model_config *c, struct model_item *it, enum model_slot slot,
		       bool gain)
{
	it->kind = ITEM_FLOATS;
	it->gain = gain || slot == SLOT_LAYER_SCALAR || slot == SLOT_ROUTER_SCALE ||
		   slot == SLOT_EXPERT_SCALE;
	it->add = gain && c->norm_plus_one && slot != SLOT_DELTA_NORM ? 1 : 0;
	double factor = slot == SLOT_ROUTER_SCALE ? 1 / sqrt((double)c->hidden) : 1;
	if (c->latent_scaled && slot == SLOT_Q_NORM)
		factor = sqrt((double)c->hidden / c->q_rank);
	if (c->latent_scaled && slot == SLOT_KV_NORM)
		factor = sqrt((double)c->hidden / c->kv_rank);
	it->factor = (float)factor;
}

/* The item of a row: parts and shape. */
static void item_make(const struct loader *l, const struct model_name *n, uint32_t layer,
		      uint32_t expert, struct model_item *it)
{
	bool stacked = n->role == ROLE_EXPERT && strchr(n->name, '*') == NULL;
	struct slot_shape shape;
	*it = (struct model_item){ .layer = layer, .expert = expert };
	for (int i = 0; i < MODEL_PARTS && (i == 0 || n->slot[i] != 0); i++) {
		check(model_slot_shape(l->c, layer, n->role, n->slot[i], &shape));
		uint32_t periods = periods_of(l, n, layer, shape.rows);
		check(shape.rows % periods == 0);
		it->part[it->parts++] = (struct model_part){ n->slot[i], shape.rows / periods };
		it->rows += shape.rows;
	}
	it->class = shape.class;
	it->columns = shape.columns;
	it->stack = stacked ? l->c->gate.experts - l->c->zero_experts : 0;
	it->kind = n->slot[0] == SLOT_KV_B ? ITEM_KV_B : n->turned ? ITEM_TRANSPOSED : ITEM_MATRIX;
	if (shape.class == WEIGHT_VECTOR)
		floats_set(l->c, it, n->slot[0], shape.gain);
}

static int add_blocks(struct loader *l, struct model_item *it)
{
	const uint32_t groups = it->columns / KERNEL_GROUP;
	const uint32_t shape[] = { it->stack, it->rows, groups, MX_BYTES };
	char name[sizeof l->name];
	memcpy(name, l->name, sizeof name);
	if (it->columns % KERNEL_GROUP != 0)
		return err_set(l->e, ERR_INPUT, "%s: %u columns are not whole MXFP4 blocks", name,
			       it->columns);
	it->kind = ITEM_BLOCKS;
	snprintf(l->name, sizeof l->name, "%.280s_blocks", name);
	TRY(model_plan_add(l, it, shape, 4));
	struct model_item scales = *it;
	scales.kind = ITEM_BLOCK_SCALES;
	scales.class = WEIGHT_VECTOR;
	scales.columns = groups;
	scales.parent = l->plan.count - 1;
	snprintf(l->name, sizeof l->name, "%.280s_scales", name);
	return model_plan_add(l, &scales, shape, 3);
}

/* Keys and values of the latent apart, each of all heads; the keys are transposed already. */
static int add_heads(struct loader *l, const struct model_item *kv)
{
	const struct model_config *c = l->c;
	for (int i = 0; i < 2; i++) {
		struct model_item it = *kv;
		enum model_slot slot = i == 0 ? SLOT_KEY_UP : SLOT_VALUE_UP;
		it.kind = ITEM_MATRIX;
		it.stack = c->layer[kv->layer].heads;
		it.rows = i == 0 ? c->kv_rank : c->value;
		it.columns = i == 0 ? c->nope : c->kv_rank;
		it.part[0] = (struct model_part){ slot, it.rows };
		const uint32_t shape[] = { it.stack, it.rows, it.columns };
		model_plan_name_of(l, slot, kv->layer);
		TRY(model_plan_add(l, &it, shape, 3));
	}
	return 0;
}

/* Where kv_b is not there, and the two in its place are. */
static bool is_apart(struct loader *l, const struct model_item *it)
{
	char name[sizeof l->name];
	if (it->kind != ITEM_KV_B || l->tensors == NULL || model_plan_has(l, ""))
		return false;
	memcpy(name, l->name, sizeof name);
	model_plan_name_of(l, SLOT_KEY_UP, it->layer);
	bool apart = model_plan_has(l, "");
	memcpy(l->name, name, sizeof name);
	return apart;
}

/* Add the tensor of a row, l->name. */
static int row_add(struct loader *l, const struct model_name *n, uint32_t layer, uint32_t expert)
{
	struct model_item it;
	item_make(l, n, layer, expert, &it);
	const uint32_t shape[] = { it.stack, it.rows, it.columns },
		       turned[] = { it.stack, it.columns, it.rows };
	int rank = it.kind == ITEM_FLOATS && it.columns == 1 ? 1 : 2;
	if (it.stack > 0 && it.kind != ITEM_FLOATS && l->c->quantisation == MODEL_QUANT_MXFP4)
		return add_blocks(l, &it);
	if (it.part[0].slot == SLOT_ACT)
		return model_plan_scalars(l, &it);
	if (is_apart(l, &it))
		return add_heads(l, &it);
	return it.stack > 0 ? model_plan_add(l, &it, n->turned ? turned : shape, rank + 1)
			    : model_plan_add(l, &it, shape + 1, rank);
}

/* ---- slots ---- */

/* Slots [from, end) of a layer, as far as they exist and no other tensor has brought them. All: for
 * all experts, a tensor has brought them. */
static int slots_add(struct loader *l, uint32_t layer, enum model_slot from, enum model_slot end,
		     uint32_t expert, bool *all)
{
	bool done[MODEL_SLOTS] = { false };
	for (unsigned s = from; s < (unsigned)end; s++) {
		enum model_slot slot = (enum model_slot)s;
		enum model_role role = expert != MODEL_NO_EXPERT
					       ? ROLE_EXPERT
					       : model_slot_role(l->c, layer, slot);
		struct slot_shape shape;
		if (done[s] || (all != NULL && all[s]) ||
		    !model_slot_shape(l->c, layer, role, slot, &shape))
			continue;
		const struct model_name *n = model_plan_row(l, slot, role, layer, expert, done);
		bool stacked = all != NULL && strchr(n->name, '*') == NULL;
		TRY(row_add(l, n, layer, stacked ? MODEL_NO_EXPERT : expert));
		for (int i = 0; i < MODEL_PARTS && (i == 0 || n->slot[i] != 0); i++)
			(stacked ? all : done)[n->slot[i]] = true;
	}
	return 0;
}

static int layer_add(struct loader *l, uint32_t layer)
{
	enum model_ffn ffn = l->c->layer[layer].ffn;
	bool all[MODEL_SLOTS] = { false };
	TRY(slots_add(l, layer, SLOT_ATTN_NORM, MODEL_SLOTS, MODEL_NO_EXPERT, NULL));
	uint32_t experts = ffn == MODEL_FFN_DENSE ? 0 : l->c->gate.experts - l->c->zero_experts;
	for (uint32_t i = 0; i < experts; i++)
		TRY(slots_add(l, layer, SLOT_GATE, MODEL_SLOTS, i, all));
	return 0;
}

/* ---- whole ---- */

static int add_whole(struct loader *l, enum model_slot slot)
{
	struct slot_shape shape;
	if (!model_slot_shape(l->c, 0, ROLE_WHOLE, slot, &shape))
		return 0;
	return row_add(l, model_plan_row(l, slot, ROLE_WHOLE, 0, MODEL_NO_EXPERT, NULL), 0,
		       MODEL_NO_EXPERT);
}

/* Tied: one matrix serves as embeddings and head where both are packed alike. Quantised, the head
 * is one of its own, so that embeddings keep their values. A stored head must repeat them. */
static int add_tied(struct loader *l)
{
	size_t embed = l->plan.count;
	TRY(add_whole(l, SLOT_EMBED));
	struct model_item head = l->plan.item[embed];
	const uint32_t shape[] = { head.rows, head.columns };
	head.class = WEIGHT_HEAD;
	head.part[0].slot = SLOT_HEAD;
	if (model_plan_format(l, WEIGHT_HEAD, head.dtype) == head.format)
		l->plan.item[embed] = head;
	else
		TRY(model_plan_add(l, &head, shape, 2));
	model_plan_row(l, SLOT_HEAD, ROLE_WHOLE, 0, MODEL_NO_EXPERT, NULL);
	if (l->tensors == NULL || !model_plan_has(l, ""))
		return 0;
	head.kind = ITEM_TIED;
	head.class = WEIGHT_EMBED;
	head.parent = embed;
	return model_plan_add(l, &head, shape, 2);
}

int model_plan_make(struct loader *l)
{
	model_plan_prefix(l);
	if (l->c->tied) {
		TRY(add_tied(l));
	} else {
		TRY(add_whole(l, SLOT_EMBED));
		TRY(add_whole(l, SLOT_HEAD));
	}
	for (unsigned s = SLOT_NORM; model_slot_is_whole((enum model_slot)s); s++)
		TRY(add_whole(l, (enum model_slot)s));
	for (uint32_t i = 0; i < l->c->layers; i++)
		TRY(layer_add(l, i));
	return l->tensors != NULL ? model_plan_unused(l) : 0;
}
