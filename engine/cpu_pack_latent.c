/* Packing the up-projections of latent attention. */
#include "engine/cpu.h"

#include "base/check.h"

#include <string.h>

/* kv_b rows of one head: `nope` key rows, which are transposed, then `value` rows. FP8 blocks run
 * across heads, so there the values are scaled once and packed from f32. */
int cpu_pack_kv_b(struct cpu *m, const struct model_item *it, uint64_t head,
		  const unsigned char *bytes, unsigned char *scratch, struct err *e)
{
	const struct model_config *c = &m->config;
	uint32_t per_head = c->nope + c->value;
	size_t first = (size_t)head * per_head, size = cpu_pack_element(it), rank = c->kv_rank;
	const float *scale = cpu_item_scale(m, it);
	const struct layer_weights *w = &m->weights.layer[it->layer];
	unsigned char *transposed = scratch + per_head * rank * 4;
	if (it->dtype == MODEL_F64 || model_item_widens(it)) {
		float *wide = (float *)(void *)scratch;
		size_t blocks = (rank + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
		model_dtype_widen(it->dtype, bytes, per_head * rank, wide);
		for (size_t i = 0; scale != NULL && i < per_head * rank; i++)
			wide[i] *= scale[(first + i / rank) / KERNEL_FP8_BLOCK * blocks +
					 i % rank / KERNEL_FP8_BLOCK];
		bytes = scratch;
		size = 4;
	}
	for (size_t k = 0; k < rank; k++) {
		for (size_t i = 0; i < c->nope; i++)
			memcpy(transposed + (k * c->nope + i) * size, bytes + (i * rank + k) * size,
			       size);
	}
	struct kernel_stored_rows key = { .stored = cpu_pack_stored(it),
					  .value = transposed,
					  .stride_bytes = c->nope * size };
	struct kernel_stored_rows value = { .stored = key.stored,
					    .value = bytes + c->nope * rank * size,
					    .stride_bytes = rank * size };
	check(c->nope > 0 && rank > 0);
	uint64_t all = rank * c->nope, at = m->kernels->pack(&w->key_up[head], 0, c->kv_rank, &key);
	if (at != all)
		return cpu_pack_refuse(it, first + at % c->nope, at / c->nope, e);
	all = c->value * (uint64_t)rank;
	at = m->kernels->pack(&w->value_up[head], 0, c->value, &value);
	return at == all ? 0 : cpu_pack_refuse(it, first + c->nope + at / rank, at % rank, e);
}
