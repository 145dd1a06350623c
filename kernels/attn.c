/* Attention by online softmax: canonical form. For each head and each split of 256 positions, in
 * position order (k ascending; latent, then rope):
 *
 *   s_j = scale * sum_k q_k key_j_k    m = max s    p_j = exp(s_j - m)    l = sum p
 *   o   = sum_j p_j value_j
 *
 * and the running result (M, L, O) takes each split in:
 *
 *   N = max(M, m)    a = exp(M - N)    b = exp(m - N)
 *   L = fma(l, b, L*a)    O = fma(o, b, O*a)    M = N
 *
 * A sink s comes last: N = max(M, s), L = L*exp(M - N) + exp(s - N), O = O*exp(M - N).
 * The answer is O / L. Source: arXiv 2112.05682. */
#include "kernels/attn.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>

static size_t scratch_floats(size_t key, size_t value)
{
	return 16 * key + 16 * (KERNEL_SPLIT + 16) + 16 * ((value + 15) / 16 * 16) +
	       16 * (key + 32);
}

size_t kernel_mla_scratch(uint32_t latent, uint32_t rope)
{
	return scratch_floats((size_t)latent + rope, latent);
}

size_t kernel_gqa_scratch(uint32_t head) { return scratch_floats(head, head); }

struct attn_view kernel_attn_view_mla(const struct kernel_mla *a)
{
	return (struct attn_view){
		.rows = 1,
		.wide = a->latent,
		.tail = a->rope,
		.value = a->latent,
		.query = a->query,
		.query_tail = a->query_rope,
		.query_stride = a->query_stride,
		.query_tail_stride = a->query_rope_stride,
		.out_stride = a->out_stride,
		.page = a->page,
		.cache = a->cache,
		.row = a->row_bytes,
		.tail_at = kernel_cache_bytes(a->cache, a->latent),
		.positions = a->positions,
		.scale = a->scale,
		.out = a->out,
		.scratch = a->scratch,
	};
}

struct attn_view kernel_attn_view_gqa(const struct kernel_gqa *a)
{
	return (struct attn_view){
		.rows = a->rows > 1 ? a->rows : 1,
		.query_row = a->query_row,
		.out_row = a->out_row,
		.wide = a->head,
		.value = a->head,
		.query = a->query,
		.query_stride = a->query_stride,
		.out_stride = a->out_stride,
		.page = a->page,
		.cache = a->cache,
		.row = a->row_bytes,
		.key_at = a->key_at,
		.value_at = a->value_at,
		.first = a->first,
		.positions = a->positions,
		.scale = a->scale,
		.sink = a->sink,
		.out = a->out,
		.scratch = a->scratch,
	};
}

static float score(const struct attn_view *a, uint32_t head, uint32_t j)
{
	const float *q = a->query + head * a->query_stride;
	float *key = a->scratch, sum = 0;
	kernel_cache_load(a->cache, attn_row(a, j) + a->key_at, a->wide, key);
	for (uint32_t k = 0; k < a->wide; k++)
		sum = fmaf(q[k], key[k], sum);
	if (a->tail > 0)
		kernel_cache_load(a->cache, attn_row(a, j) + a->tail_at, a->tail, key);
	for (uint32_t k = 0; k < a->tail; k++)
		sum = fmaf(a->query_tail[head * a->query_tail_stride + k], key[k], sum);
	return sum * a->scale;
}

/* p_j of n positions from `first` on, and their maximum; returns their sum. */
static float soften(const struct attn_view *a, uint32_t head, uint32_t first, uint32_t n, float *p,
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

/* o_d = sum_j p_j value_j_d, j ascending */
static void weigh_values(const struct attn_view *a, uint32_t first, uint32_t n, const float *p,
			 float *value, float *o)
{
	for (uint32_t d = 0; d < a->value; d++)
		o[d] = 0;
	for (uint32_t j = 0; j < n; j++) {
		kernel_cache_load(a->cache, attn_row(a, first + j) + a->value_at, a->value, value);
		for (uint32_t d = 0; d < a->value; d++)
			o[d] = fmaf(p[j], value[d], o[d]);
	}
}

static void head_run(const struct attn_view *a, uint32_t head)
{
	float p[KERNEL_SPLIT], *out = a->out + head * a->out_stride, largest = 0, total = 0;
	float *o = a->scratch + a->value;
	for (uint32_t first = a->first; first < a->positions; first += KERNEL_SPLIT) {
		uint32_t n =
			a->positions - first < KERNEL_SPLIT ? a->positions - first : KERNEL_SPLIT;
		float m = 0, l = soften(a, head, first, n, p, &m);
		float now = first == a->first || !(largest > m) ? m : largest;
		float keep = number_exp(largest - now), take = number_exp(m - now);
		weigh_values(a, first, n, p, a->scratch, o);
		for (uint32_t d = 0; d < a->value; d++)
			out[d] = first == a->first ? o[d] : fmaf(o[d], take, out[d] * keep);
		total = first == a->first ? l : fmaf(l, take, total * keep);
		largest = now;
	}
	if (a->sink != NULL) {
		float now = largest > a->sink[head] ? largest : a->sink[head];
		float keep = number_exp(largest - now);
		total = total * keep + number_exp(a->sink[head] - now);
		for (uint32_t d = 0; d < a->value; d++)
			out[d] *= keep;
	}
	for (uint32_t d = 0; d < a->value; d++)
		out[d] /= total;
}

static void view_run(struct attn_view view, uint32_t heads)
{
	for (uint32_t r = 0; r < view.rows; r++) {
		for (uint32_t h = 0; h < heads; h++)
			head_run(&view, h);
		view.query += view.query_row;
		view.out += view.out_row;
		view.positions++;
	}
}

void kernel_attn_mla_plain(const struct kernel_mla *a, uint32_t heads)
{
	view_run(kernel_attn_view_mla(a), heads);
}

void kernel_attn_gqa_plain(const struct kernel_gqa *a, uint32_t heads)
{
	view_run(kernel_attn_view_gqa(a), heads);
}
