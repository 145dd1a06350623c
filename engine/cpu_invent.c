/* Random weights made in packed form: for every format, width and spread that occurs the samples
 * (model/synthetic.h) are packed once, and the panels of matrices are copies of them. So it is as
 * fast as memory and takes nothing beside the weights. */
#include "engine/cpu.h"

#include "base/check.h"
#include "model/synthetic.h"

#include <stdlib.h>
#include <string.h>

/* Packed panels to choose from. */
struct cpu_samples {
	struct kernel_matrix matrix; /* [MODEL_SAMPLES * 16, columns] */
	unsigned exponent;
	uint64_t seed;
	struct cpu_samples *next;
};

/* One matrix at work. */
struct invention {
	struct kernel_matrix *w;
	const struct cpu_samples *from;
	uint64_t seed, key;
};

/* All blocks of an FP8 matrix have one scale. */
static void scales_set(struct kernel_matrix *w, unsigned exponent)
{
	size_t blocks = ((size_t)w->rows + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK *
			(((size_t)w->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK);
	for (size_t i = 0; w->format == KERNEL_FP8 && i < blocks; i++)
		w->scale[i] = 1.0f / (float)(1u << exponent);
}

static void samples_pack(struct cpu *m, struct cpu_samples *s, uint32_t sample, float *value)
{
	uint32_t n = s->matrix.columns, row = sample * KERNEL_PANEL;
	size_t block = n / 2, scale = n / KERNEL_GROUP;
	unsigned char *bytes = (unsigned char *)value;
	const struct kernel_stored_rows wide = { KERNEL_FROM_F32, value, n * sizeof *value, NULL,
						 0 };
	const struct kernel_mxfp4_rows mx = { bytes, bytes + KERNEL_PANEL * block, block, scale };
	const struct kernel_stored_rows coded = { KERNEL_FROM_E4M3, bytes, n, NULL, 0 };
	uint64_t done;
	if (s->matrix.format == KERNEL_MXFP4) {
		model_sample_mxfp4(s->seed, sample, s->exponent, n, bytes);
		done = m->kernels->pack_mxfp4(&s->matrix, row, KERNEL_PANEL, &mx);
	} else if (s->matrix.format == KERNEL_FP8) {
		model_sample_e4m3(s->seed, sample, n, bytes);
		done = m->kernels->pack(&s->matrix, row, KERNEL_PANEL, &coded);
	} else {
		model_sample_rows(s->seed, sample, s->exponent, n, value);
		done = m->kernels->pack(&s->matrix, row, KERNEL_PANEL, &wide);
	}
	check(done == (uint64_t)KERNEL_PANEL * n);
}

static int samples_make(struct cpu *m, enum kernel_format f, uint32_t columns, unsigned exponent,
			uint64_t seed, const struct cpu_samples **out, struct err *e)
{
	struct cpu_samples *s = calloc(1, sizeof *s);
	float *value = malloc(KERNEL_PANEL * sizeof *value * columns);
	int rc = 0;
	if (!s || !value) {
		free(s);
		rc = err_set(e, ERR_NOMEM, "random values");
		goto out;
	}
	*s = (struct cpu_samples){ .exponent = exponent, .seed = seed, .next = m->loading.samples };
	m->loading.samples = s;
	TRY_OUT(kernel_matrix_alloc(&s->matrix, f, MODEL_SAMPLES * KERNEL_PANEL, columns, e));
	scales_set(&s->matrix, exponent);
	for (uint32_t i = 0; i < MODEL_SAMPLES; i++)
		samples_pack(m, s, i, value);
	*out = s;
out:
	free(value);
	return rc;
}

static int samples_for(struct cpu *m, enum kernel_format f, uint32_t columns, unsigned exponent,
		       uint64_t seed, const struct cpu_samples **out, struct err *e)
{
	const struct cpu_samples *s = m->loading.samples;
	while (s && (s->matrix.format != f || s->matrix.columns != columns ||
		     s->exponent != exponent || s->seed != seed))
		s = s->next;
	*out = s;
	return s ? 0 : samples_make(m, f, columns, exponent, seed, out, e);
}

static void panels_copy(void *ctx, struct part part)
{
	const struct invention *v = ctx;
	size_t bytes = v->w->panel_bytes;
	for (uint32_t panel = part.begin; panel < part.end; panel++)
		memcpy(v->w->panel + panel * bytes,
		       v->from->matrix.panel + model_sample_pick(v->seed, v->key, panel) * bytes,
		       bytes);
}

/* Rows beyond the last are zero, so a last panel that is not full is packed anew; FP8 codes are not
 * made from values. */
static int rest_pack(struct cpu *m, const struct invention *v, struct err *e)
{
	uint32_t n = v->w->rows % KERNEL_PANEL, columns = v->w->columns;
	float *value = malloc(KERNEL_PANEL * sizeof *value * columns);
	bool coded = v->w->format == KERNEL_FP8;
	const struct kernel_stored_rows in = { coded ? KERNEL_FROM_E4M3 : KERNEL_FROM_F32, value,
					       columns * (coded ? 1 : sizeof *value), NULL, 0 };
	if (!value)
		return err_set(e, ERR_NOMEM, "random values");
	for (uint32_t i = 0; i < n && !coded; i++)
		kernel_matrix_row(&v->from->matrix, i, value + (size_t)i * columns);
	if (coded)
		model_sample_e4m3(v->seed, 0, columns, (unsigned char *)value);
	check(m->kernels->pack(v->w, v->w->rows - n, n, &in) == (uint64_t)n * columns);
	free(value);
	return 0;
}

static int matrix_invent(struct cpu *m, const struct model_item *it, struct kernel_matrix *w,
			 uint64_t seed, uint64_t key, struct err *e)
{
	struct invention v = { .w = w, .seed = seed, .key = key };
	unsigned exponent = model_sample_exponent(it->class, w->columns);
	TRY(samples_for(m, w->format, w->columns, exponent, seed, &v.from, e));
	scales_set(w, exponent);
	pool_run(m->pool, kernel_panels(w), panels_copy, &v);
	return w->rows % KERNEL_PANEL == 0 ? 0 : rest_pack(m, &v, e);
}

int cpu_invent(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
	       struct err *e)
{
	struct cpu *m = cpu_of_keeper(k);
	uint32_t rows, columns;
	struct kernel_matrix *w;
	float **v;
	size_t n;
	for (size_t i = 0; (v = cpu_vector(m, it, i, &n)) != NULL; i++)
		model_sample_floats(seed, model_sample_key(number, i), it->gain, n, *v);
	for (size_t i = 0; (w = cpu_part(m, it, i, &rows, &columns)) != NULL; i++)
		TRY(matrix_invent(m, it, w, seed, model_sample_key(number, i), e));
	return 0;
}

void cpu_samples_free(struct cpu_samples *s)
{
	while (s) {
		struct cpu_samples *next = s->next;
		kernel_matrix_free(&s->matrix);
		free(s);
		s = next;
	}
}
