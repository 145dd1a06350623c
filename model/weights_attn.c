/* Attention weights of a layer, for both kinds. */
#include "model/weights_loader.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* ---- latent attention ---- */

/* kv_b rows of one head: `nope` key rows, which are transposed, then `value` rows. FP8 blocks run
 * across heads, so there the values are scaled once and packed from f32. */
int item_pack_kv_b(struct loader *l, const struct item *it, uint64_t head,
		   const unsigned char *bytes, unsigned char *scratch, struct err *e)
{
	const struct model_config *c = l->c;
	uint32_t per_head = c->nope + c->value;
	size_t first = (size_t)head * per_head, size = item_element_bytes(it), rank = c->kv_rank;
	unsigned char *turned = scratch + per_head * rank * 4;
	if (it->dtype == MODEL_F64 || it->dtype == MODEL_F8_E4M3) {
		float *wide = (float *)(void *)scratch;
		size_t blocks = (rank + MODEL_FP8_BLOCK - 1) / MODEL_FP8_BLOCK;
		model_dtype_widen(it->dtype, bytes, per_head * rank, wide);
		for (size_t i = 0; it->scale != NULL && i < per_head * rank; i++)
			wide[i] *= it->scale[(first + i / rank) / MODEL_FP8_BLOCK * blocks +
					     i % rank / MODEL_FP8_BLOCK];
		bytes = scratch;
		size = 4;
	}
	for (size_t k = 0; k < rank; k++) {
		for (size_t i = 0; i < c->nope; i++)
			memcpy(turned + (k * c->nope + i) * size, bytes + (i * rank + k) * size,
			       size);
	}
	struct kernel_stored_rows key = { .stored = item_stored(it),
					  .value = turned,
					  .stride_bytes = c->nope * size };
	struct kernel_stored_rows value = { .stored = key.stored,
					    .value = bytes + c->nope * rank * size,
					    .stride_bytes = rank * size };
	check(c->nope > 0 && rank > 0);
	uint64_t all = rank * c->nope,
		 at = l->kernels->pack(&it->to.mla->key_up[head], 0, c->kv_rank, &key);
	if (at != all)
		return item_refuse(it, first + at % c->nope, at / c->nope, e);
	all = c->value * (uint64_t)rank;
	at = l->kernels->pack(&it->to.mla->value_up[head], 0, c->value, &value);
	return at == all ? 0 : item_refuse(it, first + c->nope + at / rank, at % rank, e);
}

static int add_kv_b(struct loader *l, uint32_t layer, struct mla_weights *w)
{
	const struct model_config *c = l->c;
	w->key_up = calloc(c->heads, sizeof *w->key_up);
	w->value_up = calloc(c->heads, sizeof *w->value_up);
	if (w->key_up == NULL || w->value_up == NULL)
		return err_set(l->e, ERR_NOMEM, "heads");
	loader_name(l, layer, "self_attn.kv_b_proj.weight");
	const struct item it = { .kind = ITEM_KV_B,
				 .class = WEIGHT_LATENT,
				 .rows = c->heads * (c->nope + c->value),
				 .columns = c->kv_rank,
				 .to.mla = w };
	return loader_add(l, &it, NULL, 2);
}

static int add_mla(struct loader *l, uint32_t layer, struct mla_weights *w)
{
	const struct model_config *c = l->c;
	uint32_t q_rows = c->heads * (c->nope + c->rope_head), kv_rows = c->kv_rank + c->rope_head;
	if (c->q_rank == 0) {
		TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_proj.weight", q_rows,
				  c->hidden, &w->q));
	} else {
		TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_a_proj.weight",
				  c->q_rank, c->hidden, &w->q_a));
		TRY(loader_floats(l, layer, "self_attn.q_a_layernorm.weight", c->q_rank,
				  &w->q_norm));
		TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_b_proj.weight", q_rows,
				  c->q_rank, &w->q));
	}
	TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.kv_a_proj_with_mqa.weight",
			  kv_rows, c->hidden, &w->kv_a));
	TRY(loader_floats(l, layer, "self_attn.kv_a_layernorm.weight", c->kv_rank, &w->kv_norm));
	TRY(add_kv_b(l, layer, w));
	TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.o_proj.weight", c->hidden,
			  c->heads * c->value, &w->o));
	if (c->bias_qkv) {
		if (c->q_rank != 0)
			TRY(loader_floats(l, layer, "self_attn.q_a_proj.bias", c->q_rank,
					  &w->q_bias));
		TRY(loader_floats(l, layer, "self_attn.kv_a_proj_with_mqa.bias", kv_rows,
				  &w->kv_bias));
	}
	return c->bias_o ? loader_floats(l, layer, "self_attn.o_proj.bias", c->hidden, &w->o_bias)
			 : 0;
}

/* ---- grouped queries ---- */

static int add_biases(struct loader *l, uint32_t layer, struct gqa_weights *w)
{
	const struct model_config *c = l->c;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	if (c->bias_qkv) {
		TRY(loader_floats(l, layer, "self_attn.q_proj.bias", q, &w->q_bias));
		TRY(loader_floats(l, layer, "self_attn.k_proj.bias", kv, &w->k_bias));
		TRY(loader_floats(l, layer, "self_attn.v_proj.bias", kv, &w->v_bias));
	}
	if (c->bias_o)
		TRY(loader_floats(l, layer, "self_attn.o_proj.bias", c->hidden, &w->o_bias));
	return c->sinks ? loader_floats(l, layer, "self_attn.sinks", c->heads, &w->sinks) : 0;
}

static int add_gqa(struct loader *l, uint32_t layer, struct gqa_weights *w)
{
	const struct model_config *c = l->c;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	bool whole = c->qk_norm == MODEL_QK_FULL;
	TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.q_proj.weight", q, c->hidden,
			  &w->q));
	TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.k_proj.weight", kv, c->hidden,
			  &w->k));
	TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.v_proj.weight", kv, c->hidden,
			  &w->v));
	TRY(loader_matrix(l, WEIGHT_ATTENTION, layer, "self_attn.o_proj.weight", c->hidden, q,
			  &w->o));
	if (c->qk_norm != MODEL_QK_NONE) {
		TRY(loader_floats(l, layer, "self_attn.q_norm.weight", whole ? q : c->head,
				  &w->q_norm));
		TRY(loader_floats(l, layer, "self_attn.k_norm.weight", whole ? kv : c->head,
				  &w->k_norm));
	}
	return add_biases(l, layer, w);
}

/* ---- both ---- */

int loader_attention(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	return l->c->attention == MODEL_ATTN_MLA ? add_mla(l, layer, &w->mla)
						 : add_gqa(l, layer, &w->gqa);
}

static void free_mla(struct mla_weights *w, const struct model_config *c)
{
	struct kernel_matrix *one[] = { &w->q_a, &w->q, &w->kv_a, &w->o };
	float *vector[] = { w->q_norm, w->kv_norm, w->q_bias, w->kv_bias, w->o_bias };
	for (size_t i = 0; i < sizeof one / sizeof one[0]; i++)
		kernel_matrix_free(one[i]);
	for (size_t i = 0; i < sizeof vector / sizeof vector[0]; i++)
		free(vector[i]);
	for (uint32_t h = 0; h < c->heads; h++) {
		if (w->key_up != NULL)
			kernel_matrix_free(&w->key_up[h]);
		if (w->value_up != NULL)
			kernel_matrix_free(&w->value_up[h]);
	}
	free(w->key_up);
	free(w->value_up);
}

static void free_gqa(struct gqa_weights *w)
{
	struct kernel_matrix *one[] = { &w->q, &w->k, &w->v, &w->o };
	float *vector[] = { w->q_norm, w->k_norm, w->q_bias, w->k_bias,
			    w->v_bias, w->o_bias, w->sinks };
	for (size_t i = 0; i < sizeof one / sizeof one[0]; i++)
		kernel_matrix_free(one[i]);
	for (size_t i = 0; i < sizeof vector / sizeof vector[0]; i++)
		free(vector[i]);
}

void loader_attention_free(struct layer_weights *w, const struct model_config *c)
{
	free_mla(&w->mla, c);
	free_gqa(&w->gqa);
}
