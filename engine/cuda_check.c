/* What the GPU does not compute in this version is refused by name, and so is a library that lacks
 * an operation which the model needs. */
#include "engine/cuda.h"
#include "kernels/attend_room.h"

#include <stdio.h>

/* What stands against a layer; NULL: nothing. */
static const char *layer_lacks(const struct model_layer *l)
{
	if (l->mixer == MODEL_MIX_DELTA)
		return "layers of the gated delta rule";
	if (l->index != MODEL_INDEX_NONE)
		return "sparse attention";
	if (l->ffn == MODEL_FFN_BOTH)
		return "experts beside a dense network";
	if (l->residual == MODEL_SHORTCUT_BEGIN || l->residual == MODEL_SHORTCUT_END)
		return "shortcuts between layers";
	return NULL;
}

static const char *gate_lacks(const struct model_config *c)
{
	if (c->gate.experts == 0)
		return NULL;
	if (c->zero_experts > 0)
		return "experts that return their input";
	if (c->experts_on_input)
		return "weights on what experts read";
	return NULL;
}

static const char *model_lacks(const struct cuda *m)
{
	const struct model_config *c = &m->config;
	if (m->kind == KERNEL_CACHE_INT8)
		return "an int8 cache";
	if (c->index_top_k > 0)
		return "sparse attention";
	if (c->per_layer > 0)
		return "inputs of each layer";
	for (uint32_t i = 0; i < c->layers; i++) {
		const char *why = layer_lacks(&c->layer[i]);
		if (why != NULL)
			return why;
	}
	return gate_lacks(c);
}

static bool has_mixer(const struct model_config *c, enum model_mixer mixer)
{
	for (uint32_t i = 0; i < c->layers; i++)
		if (c->layer[i].mixer == mixer)
			return true;
	return false;
}

static bool has_gates(const struct model_config *c)
{
	bool any = c->value_scale < 1 || c->value_scale > 1;
	for (uint32_t i = 0; i < c->layers; i++)
		any = any || c->layer[i].gate != MODEL_OUT_NONE;
	return any;
}

static int operations_check(const struct cuda *m, struct err *e)
{
	const struct model_config *c = &m->config;
	const struct {
		const char *name;
		bool needed;
	} all[] = {
		{ "close_rows", true },
		{ "product", true },
		{ "attend", true },
		{ "gqa_place", has_mixer(c, MODEL_MIX_GQA) },
		{ "mla_place", has_mixer(c, MODEL_MIX_MLA) },
		{ "norm_rows", c->q_rank > 0 },
		{ "gate_value", has_gates(c) },
		{ "moe_gate", c->gate.experts > 0 },
		{ "sort_slots", c->gate.experts > 0 },
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (all[i].needed)
			TRY(device_supports(m->device, all[i].name, e));
	}
	return 0;
}

static bool attention_fits(const struct cuda *m, const struct attend_args *a)
{
	return device_attend_room(a) <= device_info(m->device)->shared_bytes;
}

/* What a block of attention keeps in shared memory, of which devices have 99 to 227 KiB. */
static int attention_check(const struct cuda *m, struct err *e)
{
	for (uint32_t i = 0; i < m->config.layers; i++) {
		struct attend_args a = cuda_attend_shape(m, i, 1);
		uint32_t wide = a.wide > a.value ? a.wide : a.value, room = device_attend_room(&a);
		char less[60] = "";
		if (wide > DEVICE_ATTEND_WIDTH || a.tail > DEVICE_ATTEND_WIDTH)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: heads of more than %d "
				       "numbers on the GPU (%.32s)",
				       DEVICE_ATTEND_WIDTH, m->config.model_type);
		if (attention_fits(m, &a))
			continue;
		a.cache = KERNEL_CACHE_BF16;
		if (m->kind == KERNEL_CACHE_F32 && attention_fits(m, &a))
			snprintf(less, sizeof less, "; --cache bf16 needs %u",
				 device_attend_room(&a));
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: attention to %s of %u numbers in %s "
			       "on the GPU %.100s (%.32s): it needs %u bytes of shared memory, a "
			       "block has %llu%s",
			       a.latent ? "latents" : "keys", a.wide + a.tail,
			       m->kind == KERNEL_CACHE_F32 ? "f32" : "bf16", m->name,
			       m->config.model_type, room,
			       (unsigned long long)device_info(m->device)->shared_bytes, less);
	}
	return 0;
}

int cuda_check(const struct cuda *m, struct err *e)
{
	const char *why = model_lacks(m);
	if (why != NULL)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: %s on the GPU (%.32s)", why,
			       m->config.model_type);
	TRY(attention_check(m, e));
	return operations_check(m, e);
}
