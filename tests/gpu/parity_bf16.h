/* For parity of products of the fast regime: weights and rows that are rounded to bf16 before they are
 * multiplied, and sums of those in double. */
#ifndef TESTS_GPU_PARITY_BF16_H
#define TESTS_GPU_PARITY_BF16_H

#include "kernels/number.h"
#include "tests/gpu/parity.h"

#include <math.h>

#define ERROR 0x1p-14 /* of f32 sums, as a share of their terms' sizes */

/* Weights on both sides: as the form multiplies them, and as they are. */
struct weights {
	struct device_matrix at;
	float *rounded, *exact; /* [rows][columns] */
	struct parity_buffer bias;
};

static inline float nearest(float v) { return number_from_bf16(number_to_bf16(v)); }

static inline struct weights make_weights(struct parity *p, enum kernel_format f, uint32_t rows,
					  uint32_t columns)
{
	bool exact = f == KERNEL_BF16 || f == KERNEL_F16 || f == KERNEL_F32;
	struct kernel_matrix *m = parity_matrix(p, f, rows, columns, 1 / sqrtf((float)columns));
	size_t n = (size_t)rows * columns;
	struct weights w = { .at = parity_device_matrix(p, m),
			     .exact = parity_host(p, n * sizeof(float)),
			     .bias = parity_f32(p, "bias", rows, 1) };
	for (uint32_t r = 0; r < rows; r++)
		kernel_matrix_row(m, r, w.exact + (size_t)r * columns);
	w.rounded = exact ? w.exact : parity_host(p, n * sizeof(float));
	for (size_t i = 0; i < n && !exact; i++)
		w.rounded[i] = nearest(w.exact[i]);
	return w;
}

/* Rows of x, poison between them and in their padding. */
struct rows {
	struct parity_buffer x;
	uint32_t stride;
};

static inline struct rows make_rows(struct parity *p, uint32_t count, uint32_t columns)
{
	struct rows r = { .stride = columns + parity_below(p, 6) };
	r.x = parity_output(p, "x", (size_t)count * r.stride * sizeof(float));
	for (size_t i = 0; i < (size_t)count * columns; i++)
		((float *)r.x.host)[i / columns * r.stride + i % columns] = parity_normal(p);
	parity_upload(p, &r.x);
	return r;
}

static inline const float *row_at(const struct rows *r, uint32_t i)
{
	return (const float *)r->x.host + (size_t)i * r->stride;
}

/* The sum of one output; size: of its terms' magnitudes. */
static inline double sum_of(const struct weights *w, uint32_t row, const float *x, bool as_multiplied,
			    double *size)
{
	const float *v = (as_multiplied ? w->rounded : w->exact) + (size_t)row * w->at.columns;
	double sum = (double)((float *)w->bias.host)[row];
	*size = fabs(sum);
	for (uint32_t k = 0; k < w->at.columns; k++) {
		double term = (double)v[k] * (double)(as_multiplied ? nearest(x[k]) : x[k]);
		sum += term;
		*size += fabs(term);
	}
	return sum;
}

#endif
