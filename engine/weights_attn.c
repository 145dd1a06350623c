/* Attention weights of a layer, for both kinds. */
#include "engine/loader.h"

#include <stdlib.h>
#include <string.h>

/* ---- latent attention ---- */

/* kv_b rows of one head: `nope` key rows, which are transposed, then `value` rows. FP8 blocks run
 * across heads, so there the values are scaled once and kept as f32. */
static int split_head(struct loader *l, const struct engine_tensor *t, uint32_t head,
		      struct mla_weights *w, unsigned char *rows, unsigned char *column)
{
	const struct model_config *c = l->c;
	struct kernel_matrix *key = &w->key_up[head], *value = &w->value_up[head];
	enum kernel_format f = t->dtype == ENGINE_BF16 ? KERNEL_BF16 : KERNEL_F32;
	size_t bytes = loader_element_bytes(f), row_bytes = c->kv_rank * bytes;
	uint32_t per_head = c->nope + c->value;
	TRY(loader_matrix_alloc(l, f, c->kv_rank, c->nope, key));
	TRY(loader_matrix_alloc(l, f, c->value, c->kv_rank, value));
	TRY(loader_rows(l, t, f, (uint64_t)head * per_head, per_head, rows));
	for (uint32_t k = 0; k < c->kv_rank; k++) {
		for (uint32_t i = 0; i < c->nope; i++)
			memcpy(column + i * bytes, rows + i * row_bytes + k * bytes, bytes);
		kernel_matrix_put(key, k, column);
	}
	for (uint32_t i = 0; i < c->value; i++)
		kernel_matrix_put(value, i, rows + (c->nope + i) * row_bytes);
	return 0;
}

static int load_kv_b(struct loader *l, uint32_t layer, struct mla_weights *w)
{
	const struct model_config *c = l->c;
	const struct engine_tensor *t;
	char scale[320];
	int r = 0;
	loader_name(l, layer, "self_attn.kv_b_proj.weight");
	const uint32_t shape[] = { c->heads * (c->nope + c->value), c->kv_rank };
	TRY(loader_expect(l, shape, 2, &t));
	TRY(loader_supported(l, t));
	snprintf(scale, sizeof scale, "%s_scale_inv", t->name);
	(void)loader_find(l, scale);
	w->key_up = calloc(c->heads, sizeof *w->key_up);
	w->value_up = calloc(c->heads, sizeof *w->value_up);
	unsigned char *rows = malloc((size_t)(c->nope + c->value) * c->kv_rank * 4),
		      *column = malloc(c->nope * (size_t)4);
	if (w->key_up == NULL || w->value_up == NULL || rows == NULL || column == NULL)
		r = err_set(l->e, ERR_NOMEM, "tensor %s", t->name);
	for (uint32_t h = 0; r == 0 && h < c->heads; h++)
		r = split_head(l, t, h, w, rows, column);
	free(rows);
	free(column);
	return r;
}

static int load_mla(struct loader *l, uint32_t layer, struct mla_weights *w)
{
	const struct model_config *c = l->c;
	uint32_t q_rows = c->heads * (c->nope + c->rope_head), kv_rows = c->kv_rank + c->rope_head;
	if (c->q_rank == 0) {
		TRY(loader_layer_matrix(l, layer, "self_attn.q_proj.weight", q_rows, c->hidden,
					&w->q));
	} else {
		TRY(loader_layer_matrix(l, layer, "self_attn.q_a_proj.weight", c->q_rank, c->hidden,
					&w->q_a));
		TRY(loader_layer_vector(l, layer, "self_attn.q_a_layernorm.weight", c->q_rank,
					&w->q_norm));
		TRY(loader_layer_matrix(l, layer, "self_attn.q_b_proj.weight", q_rows, c->q_rank,
					&w->q));
	}
	TRY(loader_layer_matrix(l, layer, "self_attn.kv_a_proj_with_mqa.weight", kv_rows, c->hidden,
				&w->kv_a));
	TRY(loader_layer_vector(l, layer, "self_attn.kv_a_layernorm.weight", c->kv_rank,
				&w->kv_norm));
	TRY(load_kv_b(l, layer, w));
	TRY(loader_layer_matrix(l, layer, "self_attn.o_proj.weight", c->hidden, c->heads * c->value,
				&w->o));
	if (c->bias_qkv) {
		if (c->q_rank != 0)
			TRY(loader_layer_vector(l, layer, "self_attn.q_a_proj.bias", c->q_rank,
						&w->q_bias));
		TRY(loader_layer_vector(l, layer, "self_attn.kv_a_proj_with_mqa.bias", kv_rows,
					&w->kv_bias));
	}
	return c->bias_o ? loader_layer_vector(l, layer, "self_attn.o_proj.bias", c->hidden,
					       &w->o_bias)
			 : 0;
}

/* ---- grouped queries ---- */

static int load_biases(struct loader *l, uint32_t layer, struct gqa_weights *w)
{
	const struct model_config *c = l->c;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	if (c->bias_qkv) {
		TRY(loader_layer_vector(l, layer, "self_attn.q_proj.bias", q, &w->q_bias));
		TRY(loader_layer_vector(l, layer, "self_attn.k_proj.bias", kv, &w->k_bias));
		TRY(loader_layer_vector(l, layer, "self_attn.v_proj.bias", kv, &w->v_bias));
	}
	if (c->bias_o)
		TRY(loader_layer_vector(l, layer, "self_attn.o_proj.bias", c->hidden, &w->o_bias));
	return c->sinks ? loader_layer_vector(l, layer, "self_attn.sinks", c->heads, &w->sinks) : 0;
}

static int load_gqa(struct loader *l, uint32_t layer, struct gqa_weights *w)
{
	const struct model_config *c = l->c;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	bool whole = c->qk_norm == MODEL_QK_FULL;
	TRY(loader_layer_matrix(l, layer, "self_attn.q_proj.weight", q, c->hidden, &w->q));
	TRY(loader_layer_matrix(l, layer, "self_attn.k_proj.weight", kv, c->hidden, &w->k));
	TRY(loader_layer_matrix(l, layer, "self_attn.v_proj.weight", kv, c->hidden, &w->v));
	TRY(loader_layer_matrix(l, layer, "self_attn.o_proj.weight", c->hidden, q, &w->o));
	if (c->qk_norm != MODEL_QK_NONE) {
		TRY(loader_layer_vector(l, layer, "self_attn.q_norm.weight", whole ? q : c->head,
					&w->q_norm));
		TRY(loader_layer_vector(l, layer, "self_attn.k_norm.weight", whole ? kv : c->head,
					&w->k_norm));
	}
	return load_biases(l, layer, w);
}

/* ---- both ---- */

int loader_attention(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	return l->c->attention == MODEL_ATTN_MLA ? load_mla(l, layer, &w->mla)
						 : load_gqa(l, layer, &w->gqa);
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
