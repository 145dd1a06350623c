#include "kernels/truth.h"

#include "base/check.h"

#include <math.h>

/* Input k of row i: for the integer formats as it was quantised. */
static double input(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t i,
		    uint32_t k)
{
	size_t at = x->pick ? x->pick[i] : i, wide = kernel_quant_columns(w->columns);
	if (!kernel_is_integer(w->format))
		return (double)x->value[at * x->stride + k];
	return (double)x->quant->code[at * wide + k] *
	       (double)x->quant->scale[(at * wide + k) / KERNEL_INPUT_BLOCK];
}

void kernel_truth_matmul(const struct kernel_matrix *w, const struct kernel_rows *x, double *out)
{
	for (uint32_t i = 0; i < x->count; i++) {
		for (uint32_t row = 0; row < w->rows; row++) {
			double sum = 0;
			for (uint32_t k = 0; k < w->columns; k++)
				sum += (double)kernel_matrix_at(w, row, k) * input(w, x, i, k);
			out[(size_t)i * w->rows + row] = sum;
		}
	}
}

void kernel_truth_rmsnorm(const float *x, const float *gain, uint32_t n, double eps, double *out)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	for (uint32_t i = 0; i < n; i++)
		out[i] = (double)x[i] / sqrt(sum / n + eps) * (double)gain[i];
}

void kernel_truth_silu_mul(const float *gate, const float *up, uint32_t n, double *out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = (double)gate[i] / (1 + exp(-(double)gate[i])) * (double)up[i];
}

#define WIDTH_MOST 4096

static const unsigned char *cache_row(const void *const *page, size_t row_bytes, uint32_t j)
{
	return (const unsigned char *)page[j / KERNEL_PAGE] + j % KERNEL_PAGE * row_bytes;
}

static double dot(const float *q, enum kernel_cache c, const void *part, uint32_t n)
{
	float key[WIDTH_MOST];
	double sum = 0;
	check(n <= WIDTH_MOST);
	kernel_cache_load(c, part, n, key);
	for (uint32_t k = 0; k < n; k++)
		sum += (double)q[k] * (double)key[k];
	return sum;
}

/* out += p * part */
static void weigh(double p, enum kernel_cache c, const void *part, uint32_t n, double *out)
{
	float value[WIDTH_MOST];
	check(n <= WIDTH_MOST);
	kernel_cache_load(c, part, n, value);
	for (uint32_t d = 0; d < n; d++)
		out[d] += p * (double)value[d];
}

static double mla_score(const struct kernel_mla *a, uint32_t head, uint32_t j)
{
	const unsigned char *c = cache_row(a->page, a->row_bytes, j);
	double sum = dot(a->query + head * a->query_stride, a->cache, c, a->latent);
	sum += dot(a->query_rope + head * a->query_rope_stride, a->cache,
		   c + kernel_cache_bytes(a->cache, a->latent), a->rope);
	return sum * (double)a->scale;
}

void kernel_truth_attn_mla(const struct kernel_mla *a, uint32_t heads, double *out)
{
	for (uint32_t h = 0; h < heads; h++) {
		double largest = -INFINITY, total = 0;
		for (uint32_t j = 0; j < a->positions; j++)
			largest = fmax(largest, mla_score(a, h, j));
		for (uint32_t d = 0; d < a->latent; d++)
			out[h * a->latent + d] = 0;
		for (uint32_t j = 0; j < a->positions; j++) {
			double p = exp(mla_score(a, h, j) - largest);
			total += p;
			weigh(p, a->cache, cache_row(a->page, a->row_bytes, j), a->latent,
			      out + h * a->latent);
		}
		for (uint32_t d = 0; d < a->latent; d++)
			out[h * a->latent + d] /= total;
	}
}

static double gqa_score(const struct kernel_gqa *a, uint32_t head, uint32_t j)
{
	const unsigned char *key = cache_row(a->page, a->row_bytes, j) + a->key_at;
	return dot(a->query + head * a->query_stride, a->cache, key, a->head) * (double)a->scale;
}

void kernel_truth_attn_gqa(const struct kernel_gqa *a, uint32_t heads, double *out)
{
	for (uint32_t h = 0; h < heads; h++) {
		double total = a->sink == NULL ? 0 : exp((double)a->sink[h]);
		for (uint32_t d = 0; d < a->head; d++)
			out[h * a->head + d] = 0;
		for (uint32_t j = a->first; j < a->positions; j++) {
			double p = exp(gqa_score(a, h, j));
			total += p;
			weigh(p, a->cache, cache_row(a->page, a->row_bytes, j) + a->value_at,
			      a->head, out + h * a->head);
		}
		for (uint32_t d = 0; d < a->head; d++)
			out[h * a->head + d] /= total;
	}
}

void kernel_truth_clamped_mul(const float *gate, const float *up, uint32_t n, double *out)
{
	for (uint32_t i = 0; i < n; i++) {
		double g = fmin((double)gate[i], 7), u = fmax(fmin((double)up[i], 7), -7);
		out[i] = (u + 1) * g / (1 + exp(-1.702 * g));
	}
}

void kernel_truth_softmax(const float *score, uint32_t n, double *p)
{
	double largest = -INFINITY, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		largest = fmax(largest, (double)score[i]);
	for (uint32_t i = 0; i < n; i++)
		sum += p[i] = exp((double)score[i] - largest);
	for (uint32_t i = 0; i < n; i++)
		p[i] /= sum;
}
