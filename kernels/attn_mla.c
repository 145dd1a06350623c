/* Latent attention: canonical form. For each head and each split of 256 positions, in position
 * order: s_j = scale * sum_k q_k row_j_k (latent, then rope, k ascending);  m = max s;  p_j =
 * exp(s_j - m);  l = sum p; o = sum_j p_j row_j[0..latent) and the running result (M, L, O) takes
 * each in: with N = max(M, m), a = exp(M - N), b = exp(m - N), L = fma(l, b, L*a), O = fma(o, b,
 * O*a). The answer is O / L. */
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>

size_t kernel_mla_scratch(uint32_t latent, uint32_t rope)
{
	size_t wide = ((size_t)latent + 15) / 16 * 16;
	return 16 * ((size_t)latent + rope) + 16 * (KERNEL_SPLIT + 16) + 16 * wide;
}

static const float *cache_row(const struct kernel_mla *a, uint32_t j)
{
	return a->page[j / KERNEL_PAGE] + (size_t)(j % KERNEL_PAGE) * (a->latent + a->rope);
}

static float score(const struct kernel_mla *a, uint32_t head, uint32_t j)
{
	const float *q = a->query + head * a->query_stride,
		    *r = a->query_rope + head * a->query_rope_stride;
	const float *c = cache_row(a, j);
	float sum = 0;
	for (uint32_t k = 0; k < a->latent; k++)
		sum = fmaf(q[k], c[k], sum);
	for (uint32_t k = 0; k < a->rope; k++)
		sum = fmaf(r[k], c[a->latent + k], sum);
	return sum * a->scale;
}

/* p_j for the n positions from `first`; returns their sum. */
static float soften(const struct kernel_mla *a, uint32_t head, uint32_t first, uint32_t n, float *p,
		    float *largest)
{
	float sum = 0;
	for (uint32_t j = 0; j < n; j++) {
		p[j] = score(a, head, first + j);
		*largest = j == 0 || !(*largest > p[j]) ? p[j] : *largest;
	}
	for (uint32_t j = 0; j < n; j++) {
		p[j] = number_exp(p[j] - *largest);
		sum += p[j];
	}
	return sum;
}

static void head_run(const struct kernel_mla *a, uint32_t head)
{
	float p[KERNEL_SPLIT], *out = a->out + head * a->out_stride, largest = 0, total = 0;
	for (uint32_t first = 0; first < a->positions; first += KERNEL_SPLIT) {
		uint32_t n =
			a->positions - first < KERNEL_SPLIT ? a->positions - first : KERNEL_SPLIT;
		float m = 0, l = soften(a, head, first, n, p, &m);
		float now = first == 0 || !(largest > m) ? m : largest;
		float keep = number_exp(largest - now), take = number_exp(m - now);
		for (uint32_t d = 0; d < a->latent; d++) {
			float o = 0;
			for (uint32_t j = 0; j < n; j++)
				o = fmaf(p[j], cache_row(a, first + j)[d], o);
			out[d] = first == 0 ? o : fmaf(o, take, out[d] * keep);
		}
		total = first == 0 ? l : fmaf(l, take, total * keep);
		largest = now;
	}
	for (uint32_t d = 0; d < a->latent; d++)
		out[d] /= total;
}

void attn_mla_plain(const struct kernel_mla *a, uint32_t heads)
{
	for (uint32_t h = 0; h < heads; h++)
		head_run(a, h);
}
