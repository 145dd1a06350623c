/* From tensors to packed panels. Every tensor of the folder is used exactly once or is on the short
 * list of known extras; every name and shape is checked before any computation. */
#include "engine/model.h"
#include "engine/tensors.h"

#include "base/limits.h"
#include "base/progress.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES MIB(8)

struct loader {
	struct engine_tensors *tensors;
	const struct model_config *c;
	struct model_weights *w;
	bool *used; /* [count] */
	struct progress progress;
	char name[300];
	struct err *e;
};

/* ---- single tensors ---- */

static const struct engine_tensor *lookup(struct loader *l, const char *name)
{
	const struct engine_tensor *t = engine_tensors_find(l->tensors, name);
	if (t != NULL)
		l->used[t - engine_tensors_at(l->tensors, 0)] = true;
	return t;
}

/* The tensor l->name, which must be [rows, columns], or [columns] for rows 0. */
static int expect(struct loader *l, uint32_t rows, uint32_t columns,
		  const struct engine_tensor **out)
{
	const struct engine_tensor *t = *out = lookup(l, l->name);
	if (t == NULL)
		return err_set(l->e, ERR_INPUT, "tensor %s is missing", l->name);
	if (rows == 0 && (t->rank != 1 || t->shape[0] != columns))
		return err_set(l->e, ERR_INPUT, "%s: tensor %s must be [%u] by the config", t->file,
			       t->name, columns);
	if (rows != 0 && (t->rank != 2 || t->shape[0] != rows || t->shape[1] != columns))
		return err_set(l->e, ERR_INPUT, "%s: tensor %s must be [%u, %u] by the config",
			       t->file, t->name, rows, columns);
	return 0;
}

static int load_vector(struct loader *l, uint32_t n, float **out)
{
	const struct engine_tensor *t;
	TRY(expect(l, 0, n, &t));
	*out = malloc(n * sizeof **out);
	if (*out == NULL)
		return err_set(l->e, ERR_NOMEM, "tensor %s", l->name);
	l->w->bytes += n * sizeof **out;
	progress_add(&l->progress, t->bytes);
	return engine_tensors_read(l->tensors, t, 0, 1, *out, l->e);
}

static enum kernel_format packed_format(enum engine_dtype d)
{
	return d == ENGINE_BF16 ? KERNEL_BF16 : d == ENGINE_F8_E4M3 ? KERNEL_FP8 : KERNEL_F32;
}

static size_t element_bytes(enum kernel_format f)
{
	return f == KERNEL_F32 ? 4 : f == KERNEL_BF16 ? 2 : 1;
}

static bool is_finite_at(enum kernel_format f, const unsigned char *v, size_t i)
{
	if (f == KERNEL_F32)
		/* exponent bits, little-endian */
		return (v[4 * i + 3] & 0x7f) != 0x7f || (v[4 * i + 2] & 0x80) == 0;
	if (f == KERNEL_BF16)
		return (v[2 * i + 1] & 0x7f) != 0x7f || (v[2 * i] & 0x80) == 0;
	return (v[i] & 0x7f) != 0x7f;
}

static int finite_check(const struct engine_tensor *t, enum kernel_format f, const unsigned char *v,
			size_t n, uint64_t first, struct err *e)
{
	size_t i = 0;
	while (i < n && is_finite_at(f, v, i))
		i++;
	if (i == n)
		return 0;
	uint64_t columns = engine_tensor_columns(t), at = first * columns + i;
	return err_set(e, ERR_INPUT,
		       "%s: tensor %s has a non-finite value at row %llu, column %llu", t->file,
		       t->name, (unsigned long long)(at / columns),
		       (unsigned long long)(at % columns));
}

/* Rows in the form that is packed: stored bytes where the format keeps them, else f32. */
static int read_rows(struct loader *l, const struct engine_tensor *t, enum kernel_format f,
		     uint64_t row, uint64_t rows, void *out)
{
	progress_add(&l->progress, t->bytes / engine_tensor_rows(t) * rows);
	if (f == KERNEL_F32 && t->dtype != ENGINE_F32)
		return engine_tensors_read(l->tensors, t, row, rows, out, l->e);
	TRY(engine_tensors_bytes(l->tensors, t, row, rows, out, l->e));
	return finite_check(t, f, out, rows * engine_tensor_columns(t), row, l->e);
}

static int load_scales(struct loader *l, const struct engine_tensor *t, struct kernel_matrix *w)
{
	char name[320];
	float *scale;
	snprintf(name, sizeof name, "%s_scale_inv", t->name);
	(void)lookup(l, name);
	TRY(engine_tensors_scales(l->tensors, t, &scale, l->e));
	memcpy(w->scale, scale,
	       sizeof *scale * (size_t)((w->rows + 127) / 128) * ((w->columns + 127) / 128));
	free(scale);
	return 0;
}

static int supported(struct loader *l, const struct engine_tensor *t)
{
	if (t->dtype == ENGINE_F8_E4M3 && l->c->quantisation != MODEL_QUANT_FP8)
		return err_set(
			l->e, ERR_INPUT,
			"%s: tensor %s is F8_E4M3 without quantization_config in config.json",
			t->file, t->name);
	return 0;
}

static int pack_rows(struct loader *l, const struct engine_tensor *t, struct kernel_matrix *w)
{
	size_t row_bytes = w->columns * element_bytes(w->format), step = READ_BYTES / row_bytes + 1;
	step = step < w->rows ? step : w->rows;
	unsigned char *rows = malloc(step * row_bytes + 8);
	int r = rows == NULL ? err_set(l->e, ERR_NOMEM, "tensor %s", t->name) : 0;
	for (uint32_t at = 0; r == 0 && at < w->rows; at += (uint32_t)step) {
		size_t n = w->rows - at < step ? w->rows - at : step;
		r = read_rows(l, t, w->format, at, n, rows);
		for (size_t i = 0; r == 0 && i < n; i++)
			kernel_matrix_put(w, at + (uint32_t)i, rows + i * row_bytes);
	}
	free(rows);
	return r;
}

static int load_matrix(struct loader *l, uint32_t rows, uint32_t columns, struct kernel_matrix *w)
{
	const struct engine_tensor *t;
	TRY(expect(l, rows, columns, &t));
	TRY(supported(l, t));
	TRY(kernel_matrix_alloc(w, packed_format(t->dtype), rows, columns, l->e));
	l->w->bytes += kernel_matrix_bytes(w);
	l->w->formats |= 1u << w->format;
	TRY(pack_rows(l, t, w));
	return w->format == KERNEL_FP8 ? load_scales(l, t, w) : 0;
}

PRINTF_LIKE(2, 3) static const char *named(struct loader *l, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(l->name, sizeof l->name, fmt, args);
	va_end(args);
	return l->name;
}

/* "model.layers.L.PART" */
static void in_layer(struct loader *l, uint32_t layer, const char *part)
{
	named(l, "model.layers.%u.%s", layer, part);
}

static int layer_vector(struct loader *l, uint32_t layer, const char *part, uint32_t n, float **out)
{
	in_layer(l, layer, part);
	return load_vector(l, n, out);
}

static int layer_matrix(struct loader *l, uint32_t layer, const char *part, uint32_t rows,
			uint32_t columns, struct kernel_matrix *w)
{
	in_layer(l, layer, part);
	return load_matrix(l, rows, columns, w);
}

/* ---- latent attention ---- */

/* kv_b rows of one head: `nope` key rows, which are transposed, then `value` rows. FP8 blocks run
 * across heads, so there the values are scaled once and kept as f32. */
static int split_head(struct loader *l, const struct engine_tensor *t, uint32_t head,
		      struct mla_weights *w, unsigned char *rows, unsigned char *column)
{
	const struct model_config *c = l->c;
	struct kernel_matrix *key = &w->key_up[head], *value = &w->value_up[head];
	enum kernel_format f = t->dtype == ENGINE_BF16 ? KERNEL_BF16 : KERNEL_F32;
	size_t bytes = element_bytes(f), row_bytes = c->kv_rank * bytes;
	uint32_t per_head = c->nope + c->value;
	TRY(kernel_matrix_alloc(key, f, c->kv_rank, c->nope, l->e));
	TRY(kernel_matrix_alloc(value, f, c->value, c->kv_rank, l->e));
	l->w->bytes += kernel_matrix_bytes(key) + kernel_matrix_bytes(value);
	l->w->formats |= 1u << f;
	TRY(read_rows(l, t, f, (uint64_t)head * per_head, per_head, rows));
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
	in_layer(l, layer, "self_attn.kv_b_proj.weight");
	TRY(expect(l, c->heads * (c->nope + c->value), c->kv_rank, &t));
	TRY(supported(l, t));
	snprintf(scale, sizeof scale, "%s_scale_inv", t->name);
	(void)lookup(l, scale);
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
		TRY(layer_matrix(l, layer, "self_attn.q_proj.weight", q_rows, c->hidden, &w->q));
	} else {
		TRY(layer_matrix(l, layer, "self_attn.q_a_proj.weight", c->q_rank, c->hidden,
				 &w->q_a));
		TRY(layer_vector(l, layer, "self_attn.q_a_layernorm.weight", c->q_rank,
				 &w->q_norm));
		TRY(layer_matrix(l, layer, "self_attn.q_b_proj.weight", q_rows, c->q_rank, &w->q));
	}
	TRY(layer_matrix(l, layer, "self_attn.kv_a_proj_with_mqa.weight", kv_rows, c->hidden,
			 &w->kv_a));
	TRY(layer_vector(l, layer, "self_attn.kv_a_layernorm.weight", c->kv_rank, &w->kv_norm));
	TRY(load_kv_b(l, layer, w));
	TRY(layer_matrix(l, layer, "self_attn.o_proj.weight", c->hidden, c->heads * c->value,
			 &w->o));
	if (c->bias_qkv) {
		if (c->q_rank != 0)
			TRY(layer_vector(l, layer, "self_attn.q_a_proj.bias", c->q_rank,
					 &w->q_bias));
		TRY(layer_vector(l, layer, "self_attn.kv_a_proj_with_mqa.bias", kv_rows,
				 &w->kv_bias));
	}
	return c->bias_o ? layer_vector(l, layer, "self_attn.o_proj.bias", c->hidden, &w->o_bias)
			 : 0;
}

/* ---- feed-forward ---- */

static int load_ffn(struct loader *l, uint32_t layer, const char *part, uint32_t width,
		    struct ffn_weights *w)
{
	char name[80];
	snprintf(name, sizeof name, "%s.gate_proj.weight", part);
	TRY(layer_matrix(l, layer, name, width, l->c->hidden, &w->gate));
	snprintf(name, sizeof name, "%s.up_proj.weight", part);
	TRY(layer_matrix(l, layer, name, width, l->c->hidden, &w->up));
	snprintf(name, sizeof name, "%s.down_proj.weight", part);
	return layer_matrix(l, layer, name, l->c->hidden, width, &w->down);
}

static int load_moe(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	const struct model_config *c = l->c;
	char part[60];
	w->expert = calloc(c->gate.experts, sizeof *w->expert);
	if (w->expert == NULL)
		return err_set(l->e, ERR_NOMEM, "experts");
	TRY(layer_matrix(l, layer, "mlp.gate.weight", c->gate.experts, c->hidden, &w->router));
	for (uint32_t i = 0; i < c->gate.experts; i++) {
		snprintf(part, sizeof part, "mlp.experts.%u", i);
		TRY(load_ffn(l, layer, part, c->expert_width, &w->expert[i]));
	}
	return c->shared_width == 0
		       ? 0
		       : load_ffn(l, layer, "mlp.shared_experts", c->shared_width, &w->ffn);
}

static int load_layer(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	TRY(layer_vector(l, layer, "input_layernorm.weight", l->c->hidden, &w->attn_norm));
	TRY(layer_vector(l, layer, "post_attention_layernorm.weight", l->c->hidden, &w->ffn_norm));
	TRY(load_mla(l, layer, &w->mla));
	return model_layer_is_moe(l->c, layer) ? load_moe(l, layer, w)
					       : load_ffn(l, layer, "mlp", l->c->ffn, &w->ffn);
}

/* ---- whole ---- */

/* With tied embeddings a stored head must repeat them byte for byte. */
static int check_tied(struct loader *l)
{
	const struct engine_tensor *head = lookup(l, "lm_head.weight");
	const struct engine_tensor *embed =
		engine_tensors_find(l->tensors, "model.embed_tokens.weight");
	if (head == NULL)
		return 0;
	bool same = head->dtype == embed->dtype && head->bytes == embed->bytes &&
		    head->rank == embed->rank && head->shape[1] == embed->shape[1];
	size_t step = engine_tensor_columns(embed) * 8 + 1;
	unsigned char *a = malloc(step), *b = malloc(step);
	int r = a == NULL || b == NULL ? err_set(l->e, ERR_NOMEM, "lm_head.weight") : 0;
	for (uint64_t i = 0; r == 0 && same && i < engine_tensor_rows(head); i++) {
		r = engine_tensors_bytes(l->tensors, head, i, 1, a, l->e);
		if (r == 0)
			r = engine_tensors_bytes(l->tensors, embed, i, 1, b, l->e);
		same = r != 0 || memcmp(a, b, head->bytes / head->shape[0]) == 0;
	}
	free(a);
	free(b);
	return r == 0 && !same ? err_set(l->e, ERR_INPUT,
					 "lm_head.weight differs from the embeddings it is tied to")
			       : r;
}

/* Stale buffers and layers of next-token prediction are no part of the model. */
static bool known_extra(const struct model_config *c, const char *name)
{
	if (text_ends(name, ".rotary_emb.inv_freq") || text_starts(name, "mtp."))
		return true;
	if (!text_starts(name, "model.layers."))
		return false;
	char *end;
	unsigned long layer = strtoul(name + strlen("model.layers."), &end, 10);
	return *end == '.' && layer >= c->layers;
}

static int check_unused(struct loader *l)
{
	for (size_t i = 0; i < engine_tensors_count(l->tensors); i++) {
		const struct engine_tensor *t = engine_tensors_at(l->tensors, i);
		if (!l->used[i] && !known_extra(l->c, t->name))
			return err_set(l->e, ERR_INPUT,
				       "%s: tensor %s is not part of %s by the config", t->file,
				       t->name, l->c->model_type);
	}
	return 0;
}

static int load_all(struct loader *l)
{
	const struct model_config *c = l->c;
	struct model_weights *w = l->w;
	named(l, "model.embed_tokens.weight");
	TRY(load_matrix(l, c->vocab, c->hidden, c->tied ? &w->head : &w->embed));
	if (c->tied) {
		TRY(check_tied(l));
	} else {
		named(l, "lm_head.weight");
		TRY(load_matrix(l, c->vocab, c->hidden, &w->head));
	}
	named(l, "model.norm.weight");
	TRY(load_vector(l, c->hidden, &w->norm));
	w->layer = calloc(c->layers, sizeof *w->layer);
	if (w->layer == NULL)
		return err_set(l->e, ERR_NOMEM, "layers");
	for (uint32_t i = 0; i < c->layers; i++)
		TRY(load_layer(l, i, &w->layer[i]));
	return check_unused(l);
}

int model_weights_load(struct model_weights *w, const struct model_config *c, struct source *src,
		       bool quiet, struct err *e)
{
	struct loader l = { .c = c, .w = w, .e = e };
	uint64_t total = 0;
	*w = (struct model_weights){ 0 };
	TRY(engine_tensors_open(&l.tensors, src, e));
	l.used = calloc(engine_tensors_count(l.tensors) + 1, sizeof *l.used);
	int r = l.used == NULL ? err_set(e, ERR_NOMEM, "tensor directory") : 0;
	for (size_t i = 0; i < engine_tensors_count(l.tensors); i++)
		total += engine_tensors_at(l.tensors, i)->bytes;
	progress_start(&l.progress, "loading", total, quiet);
	if (r == 0)
		r = load_all(&l);
	progress_end(&l.progress);
	free(l.used);
	engine_tensors_close(l.tensors);
	if (r < 0)
		model_weights_free(w, c);
	return r;
}

static void free_ffn(struct ffn_weights *w)
{
	kernel_matrix_free(&w->gate);
	kernel_matrix_free(&w->up);
	kernel_matrix_free(&w->down);
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

void model_weights_free(struct model_weights *w, const struct model_config *c)
{
	for (uint32_t i = 0; w->layer != NULL && i < c->layers; i++) {
		struct layer_weights *layer = &w->layer[i];
		free(layer->attn_norm);
		free(layer->ffn_norm);
		free_mla(&layer->mla, c);
		free_ffn(&layer->ffn);
		kernel_matrix_free(&layer->router);
		for (uint32_t j = 0; layer->expert != NULL && j < c->gate.experts; j++)
			free_ffn(&layer->expert[j]);
		free(layer->expert);
	}
	free(w->layer);
	free(w->norm);
	kernel_matrix_free(&w->embed);
	kernel_matrix_free(&w->head);
	*w = (struct model_weights){ 0 };
}
