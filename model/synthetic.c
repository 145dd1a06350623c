/* Random weights of the kinds and sizes that a config asks for, made in packed form: for every
 * format, width and spread that occurs a few panels are packed from random values, and each panel
 * of a matrix is a copy of one of them, chosen by seed, matrix and panel. So it is as fast as
 * memory, takes nothing beside the weights, and does not depend on threads. Values have a standard
 * deviation near 1/sqrt(columns), a power of two; norm gains are 1, other vectors are small. */
#include "model/weights_loader.h"

#include "base/check.h"
#include "base/limits.h"
#include "model/config_shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 64   /* panels to choose from: 1024 rows */
#define EXPONENTS 16 /* standard deviations 2^0 to 2^-15 */

/* Packed panels to choose from. */
struct samples {
	struct kernel_matrix matrix; /* [SAMPLES * 16, columns] */
	unsigned exponent;
	struct samples *next;
};

struct inventor {
	struct loader *l;
	uint64_t seed;
	struct samples *samples;
	/* the matrix at work */
	struct kernel_matrix *w;
	const struct samples *from;
	uint64_t key;
};

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Near normal with variance 1: the sum of four uniform 16-bit numbers. */
static float normal(uint64_t bits)
{
	uint32_t sum = (uint32_t)(bits & 0xffff) + (uint32_t)(bits >> 16 & 0xffff) +
		       (uint32_t)(bits >> 32 & 0xffff) + (uint32_t)(bits >> 48);
	return ((float)sum - 131070.0f) * (1.0f / 37837.0f);
}

/* The power of two next to 1/sqrt(columns). */
static unsigned exponent_for(uint32_t columns)
{
	unsigned e = 0;
	while (e + 1 < EXPONENTS && (uint64_t)2 << (2 * e) < columns)
		e++;
	return e;
}

/* Row i of the samples into a format but MXFP4. */
static bool wide_row(const struct inventor *v, struct samples *s, uint32_t row, float *value)
{
	uint32_t n = s->matrix.columns;
	for (size_t i = 0; i < (size_t)KERNEL_PANEL * n; i++)
		value[i] = normal(mix(v->seed ^ mix(row * (uint64_t)n + i))) /
			   (float)(1u << s->exponent);
	const struct kernel_stored_rows in = { KERNEL_FROM_F32, value, n * sizeof *value, NULL, 0 };
	return v->l->kernels->pack(&s->matrix, row, KERNEL_PANEL, &in) ==
	       (uint64_t)KERNEL_PANEL * n;
}

/* E2M1 codes are near 3 in the mean, so their scale is smaller by that. */
static bool mx_row(const struct inventor *v, struct samples *s, uint32_t row, unsigned char *bytes)
{
	size_t block = s->matrix.columns / 2, scale = s->matrix.columns / KERNEL_GROUP;
	unsigned char *scales = bytes + KERNEL_PANEL * block;
	for (size_t i = 0; i < KERNEL_PANEL * block; i++)
		bytes[i] = (unsigned char)mix(v->seed ^ mix(row * block + i));
	for (size_t i = 0; i < KERNEL_PANEL * scale; i++)
		scales[i] = (unsigned char)(127 - 1 - s->exponent - (mix(i ^ row ^ v->seed) & 1));
	const struct kernel_mxfp4_rows in = { bytes, scales, block, scale };
	return v->l->kernels->pack_mxfp4(&s->matrix, row, KERNEL_PANEL, &in) ==
	       (uint64_t)KERNEL_PANEL * s->matrix.columns;
}

static int samples_make(struct inventor *v, enum kernel_format f, uint32_t columns,
			unsigned exponent, struct samples **out)
{
	struct samples *s = *out = calloc(1, sizeof *s);
	float *value = malloc(KERNEL_PANEL * sizeof *value * columns);
	int r = s == NULL || value == NULL ? err_set(v->l->e, ERR_NOMEM, "random values") : 0;
	if (s != NULL) {
		s->exponent = exponent;
		s->next = v->samples;
		v->samples = s;
	}
	if (r == 0)
		r = kernel_matrix_alloc(&s->matrix, f, SAMPLES * KERNEL_PANEL, columns, v->l->e);
	for (uint32_t row = 0; r == 0 && row < SAMPLES * KERNEL_PANEL; row += KERNEL_PANEL)
		check(f == KERNEL_MXFP4 ? mx_row(v, s, row, (unsigned char *)value)
					: wide_row(v, s, row, value));
	free(value);
	return r;
}

static int samples_for(struct inventor *v, enum kernel_format f, uint32_t columns,
		       unsigned exponent, const struct samples **out)
{
	struct samples *s = v->samples;
	while (s != NULL &&
	       (s->matrix.format != f || s->matrix.columns != columns || s->exponent != exponent))
		s = s->next;
	if (s == NULL)
		TRY(samples_make(v, f, columns, exponent, &s));
	*out = s;
	return 0;
}

static void panels_fill(void *ctx, struct part part)
{
	struct inventor *v = ctx;
	size_t bytes = v->w->panel_bytes;
	for (uint32_t panel = part.begin; panel < part.end; panel++)
		memcpy(v->w->panel + panel * bytes,
		       v->from->matrix.panel + mix(v->key + panel) % SAMPLES * bytes, bytes);
}

/* Rows beyond the last are zero, so a last panel that is not full is packed anew. */
static int rest_fill(struct inventor *v)
{
	uint32_t n = v->w->rows % KERNEL_PANEL, columns = v->w->columns;
	float *value = malloc(KERNEL_PANEL * sizeof *value * columns);
	const struct kernel_stored_rows in = { KERNEL_FROM_F32, value, columns * sizeof *value,
					       NULL, 0 };
	if (value == NULL)
		return err_set(v->l->e, ERR_NOMEM, "random values");
	for (uint32_t i = 0; i < n; i++)
		kernel_matrix_row(&v->from->matrix, i, value + (size_t)i * columns);
	check(v->l->kernels->pack(v->w, v->w->rows - n, n, &in) == (uint64_t)n * columns);
	free(value);
	return 0;
}

static int matrix_fill(struct inventor *v, const struct item *it, struct kernel_matrix *w,
		       uint64_t key)
{
	/* embeddings are rows, not sums; scores of experts are spread wider than the rest */
	unsigned exponent = it->class == WEIGHT_EMBED ? 0 : exponent_for(w->columns);
	if (it->class == WEIGHT_ROUTER && exponent > 0)
		exponent--;
	v->w = w;
	v->key = mix(v->seed ^ mix(key));
	TRY(samples_for(v, w->format, w->columns, exponent, &v->from));
	pool_run(v->l->pool, kernel_panels(w), panels_fill, v);
	return w->rows % KERNEL_PANEL == 0 ? 0 : rest_fill(v);
}

static void floats_fill(struct inventor *v, float *to, size_t n, bool gain, uint64_t key)
{
	for (size_t i = 0; i < n; i++)
		to[i] = gain ? 1 : 0.02f * normal(mix(v->seed ^ mix(key) ^ i));
}

static void biases_fill(struct inventor *v, const struct item *it, uint64_t key)
{
	size_t n = it->columns / it->count;
	for (uint32_t i = 0; i < v->l->c->gate.experts; i++) {
		struct ffn_weights *w = &it->to.expert[i];
		floats_fill(v, it->count == 1 ? w->down_bias : w->gate_bias, n, false, key + i);
		if (it->count == 2)
			floats_fill(v, w->up_bias, n, false, ~(key + i));
	}
}

static int item_fill(struct inventor *v, const struct item *it, uint64_t key)
{
	uint32_t rows, columns;
	struct kernel_matrix *w;
	if (it->kind == ITEM_FLOATS)
		floats_fill(v, *it->to.floats, it->columns, it->gain, key << 20);
	if (it->kind == ITEM_BIASES)
		biases_fill(v, it, key << 20);
	for (size_t i = 0; (w = loader_part(v->l, it, i, &rows, &columns)) != NULL; i++)
		TRY(matrix_fill(v, it, w, (key << 20) + i));
	return 0;
}

static void samples_free(struct inventor *v)
{
	while (v->samples != NULL) {
		struct samples *next = v->samples->next;
		kernel_matrix_free(&v->samples->matrix);
		free(v->samples);
		v->samples = next;
	}
}

int model_weights_invent(struct model_weights *w, const struct weights_order *o, uint64_t seed,
			 struct err *e)
{
	struct loader l = { .c = o->config,
			    .packing = o->packing,
			    .memory_max = o->memory_max,
			    .quiet = o->quiet,
			    .kernels = o->kernels,
			    .pool = o->pool,
			    .w = w,
			    .e = e };
	struct inventor v = { .l = &l, .seed = mix(seed) };
	*w = (struct model_weights){ 0 };
	int r = loader_plan(&l);
	if (r == 0)
		r = loader_alloc(&l);
	for (size_t i = 0; r == 0 && i < l.count; i++)
		r = item_fill(&v, &l.item[i], i + 1);
	samples_free(&v);
	free(l.item);
	if (r < 0)
		model_weights_free(w, o->config);
	return r;
}

/* ---- configs ---- */

int model_config_shape(struct model_config *c, const char *shape, uint32_t layers, bool as_is,
		       struct err *e)
{
	const struct shape *s = NULL;
	struct buf text = { 0 };
	char head[60];
	for (size_t i = 0; model_shape_at(i) != NULL && s == NULL; i++)
		s = strcmp(model_shape_at(i)->name, shape) == 0 ? model_shape_at(i) : NULL;
	if (s == NULL)
		return err_set(e, ERR_INPUT,
			       "no shape %.60s: there are deepseek-v2-lite, qwen3-30b-a3b, "
			       "mixtral-8x7b, olmoe and gpt-oss-20b",
			       shape);
	if (layers > s->layers)
		return err_set(e, ERR_INPUT, "%u layers asked for, %s has %u", layers, s->name,
			       s->layers);
	snprintf(head, sizeof head, "{\"num_hidden_layers\":%u,", layers == 0 ? s->layers : layers);
	buf_add_text(&text, head);
	buf_add_text(&text, s->config);
	buf_add_text(&text, as_is ? s->as_is : "");
	buf_add_text(&text, "}");
	int r = buf_done(&text, e);
	if (r == 0)
		r = model_config_parse(c, text.bytes, text.len, NULL, 0, e);
	buf_free(&text);
	return r;
}
