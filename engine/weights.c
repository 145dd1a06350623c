/* From tensors to packed panels. Every tensor of the folder is used exactly once or is on the short
 * list of known extras; every name and shape is checked before any computation. */
#include "engine/loader.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define READ_BYTES MIB(8)

/* ---- single tensors ---- */

const struct engine_tensor *loader_find(struct loader *l, const char *name)
{
	const struct engine_tensor *t = engine_tensors_find(l->tensors, name);
	if (t != NULL)
		l->used[t - engine_tensors_at(l->tensors, 0)] = true;
	return t;
}

static void shape_text(const uint32_t *shape, int rank, char *out, size_t room)
{
	size_t at = 0;
	for (int i = 0; i < rank && at < room; i++)
		at += (size_t)snprintf(out + at, room - at, i == 0 ? "%u" : ", %u", shape[i]);
}

int loader_expect(struct loader *l, const uint32_t *shape, int rank,
		  const struct engine_tensor **out)
{
	const struct engine_tensor *t = *out = loader_find(l, l->name);
	char want[100];
	if (t == NULL)
		return err_set(l->e, ERR_INPUT, "tensor %s is missing", l->name);
	bool same = t->rank == rank;
	for (int i = 0; i < rank && same; i++)
		same = t->shape[i] == shape[i];
	shape_text(shape, rank, want, sizeof want);
	return same ? 0
		    : err_set(l->e, ERR_INPUT, "%s: tensor %s must be [%s] by the config", t->file,
			      t->name, want);
}

static int load_vector(struct loader *l, uint32_t n, float **out)
{
	const struct engine_tensor *t;
	TRY(loader_expect(l, &n, 1, &t));
	*out = malloc(n * sizeof **out);
	if (*out == NULL)
		return err_set(l->e, ERR_NOMEM, "tensor %s", l->name);
	l->w->bytes += n * sizeof **out;
	progress_add(&l->progress, t->bytes);
	return engine_tensors_read(l->tensors, t, 0, 1, *out, l->e);
}

enum kernel_format loader_format(const struct engine_tensor *t)
{
	enum engine_dtype d = t->dtype;
	return d == ENGINE_BF16 ? KERNEL_BF16 : d == ENGINE_F8_E4M3 ? KERNEL_FP8 : KERNEL_F32;
}

size_t loader_element_bytes(enum kernel_format f)
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

int loader_rows(struct loader *l, const struct engine_tensor *t, enum kernel_format f, uint64_t row,
		uint64_t rows, void *out)
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
	(void)loader_find(l, name);
	TRY(engine_tensors_scales(l->tensors, t, &scale, l->e));
	memcpy(w->scale, scale,
	       sizeof *scale * (size_t)((w->rows + 127) / 128) * ((w->columns + 127) / 128));
	free(scale);
	return 0;
}

int loader_supported(struct loader *l, const struct engine_tensor *t)
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
	size_t row_bytes = w->columns * loader_element_bytes(w->format),
	       step = READ_BYTES / row_bytes + 1;
	step = step < w->rows ? step : w->rows;
	unsigned char *rows = malloc(step * row_bytes + 8);
	int r = rows == NULL ? err_set(l->e, ERR_NOMEM, "tensor %s", t->name) : 0;
	for (uint32_t at = 0; r == 0 && at < w->rows; at += (uint32_t)step) {
		size_t n = w->rows - at < step ? w->rows - at : step;
		r = loader_rows(l, t, w->format, at, n, rows);
		for (size_t i = 0; r == 0 && i < n; i++)
			kernel_matrix_put(w, at + (uint32_t)i, rows + i * row_bytes);
	}
	free(rows);
	return r;
}

int loader_matrix_alloc(struct loader *l, enum kernel_format f, uint32_t rows, uint32_t columns,
			struct kernel_matrix *w)
{
	TRY(kernel_matrix_alloc(w, f, rows, columns, l->e));
	l->w->bytes += kernel_matrix_bytes(w);
	l->w->formats |= 1u << f;
	return 0;
}

static int load_matrix(struct loader *l, uint32_t rows, uint32_t columns, struct kernel_matrix *w)
{
	const struct engine_tensor *t;
	TRY(loader_expect(l, (const uint32_t[]){ rows, columns }, 2, &t));
	TRY(loader_supported(l, t));
	TRY(loader_matrix_alloc(l, loader_format(t), rows, columns, w));
	TRY(pack_rows(l, t, w));
	return w->format == KERNEL_FP8 ? load_scales(l, t, w) : 0;
}

void loader_name(struct loader *l, uint32_t layer, const char *part)
{
	snprintf(l->name, sizeof l->name, "model.layers.%u.%s", layer, part);
}

int loader_layer_vector(struct loader *l, uint32_t layer, const char *part, uint32_t n, float **out)
{
	loader_name(l, layer, part);
	return load_vector(l, n, out);
}

int loader_layer_matrix(struct loader *l, uint32_t layer, const char *part, uint32_t rows,
			uint32_t columns, struct kernel_matrix *w)
{
	loader_name(l, layer, part);
	return load_matrix(l, rows, columns, w);
}

static int load_layer(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	TRY(loader_layer_vector(l, layer, "input_layernorm.weight", l->c->hidden, &w->attn_norm));
	TRY(loader_layer_vector(l, layer, "post_attention_layernorm.weight", l->c->hidden,
				&w->ffn_norm));
	TRY(loader_attention(l, layer, w));
	return loader_ffn(l, layer, w);
}

/* ---- whole ---- */

/* With tied embeddings a stored head must repeat them byte for byte. */
static int check_tied(struct loader *l)
{
	const struct engine_tensor *head = loader_find(l, "lm_head.weight");
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
	snprintf(l->name, sizeof l->name, "model.embed_tokens.weight");
	TRY(load_matrix(l, c->vocab, c->hidden, c->tied ? &w->head : &w->embed));
	if (c->tied) {
		TRY(check_tied(l));
	} else {
		snprintf(l->name, sizeof l->name, "lm_head.weight");
		TRY(load_matrix(l, c->vocab, c->hidden, &w->head));
	}
	snprintf(l->name, sizeof l->name, "model.norm.weight");
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

void model_weights_free(struct model_weights *w, const struct model_config *c)
{
	for (uint32_t i = 0; w->layer != NULL && i < c->layers; i++) {
		struct layer_weights *layer = &w->layer[i];
		free(layer->attn_norm);
		free(layer->ffn_norm);
		loader_attention_free(layer, c);
		loader_ffn_free(layer, c);
	}
	free(w->layer);
	free(w->norm);
	kernel_matrix_free(&w->embed);
	kernel_matrix_free(&w->head);
	*w = (struct model_weights){ 0 };
}
