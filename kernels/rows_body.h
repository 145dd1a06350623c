/* Private: row operations over sixteen lanes; rows_avx2.c and rows_avx512.c compile it. rows.c is
 * the canonical form. */
#include "kernels/gate.h"
#include "kernels/ops.h"
#include "kernels/simd.h"

#include <math.h>

void SIMD_NAME(rmsnorm)(const float *x, const float *gain, uint32_t n, float eps, float *out)
{
	v16 sum = v16_zero();
	for (uint32_t i = 0; i < n; i += 16) {
		v16 a = v16_load_n(x + i, n - i);
		sum = v16_fma(a, a, sum);
	}
	v16 scale = v16_set1(1.0f / sqrtf(v16_sum(sum) / (float)n + eps));
	for (uint32_t i = 0; i < n; i += 16)
		v16_store_n(out + i, v16_mul(v16_mul(v16_load_n(x + i, n - i), scale), v16_load_n(gain + i,
		                                                                                  n - i)),
		                                                                                  n - i);
}

void SIMD_NAME(silu_mul)(float *gate, const float *up, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 16) {
		v16 g = v16_load_n(gate + i, n - i);
		v16 s = v16_div(g, v16_add(v16_set1(1.0f), v16_exp(v16_sub(v16_zero(), g))));
		v16_store_n(gate + i, v16_mul(s, v16_load_n(up + i, n - i)), n - i);
	}
}

void SIMD_NAME(clamped_mul)(float *gate, const float *up, uint32_t n)
{
	v16 most = v16_set1(7.0f), one = v16_set1(1.0f);
	for (uint32_t i = 0; i < n; i += 16) {
		v16 g = v16_min(v16_load_n(gate + i, n - i), most);
		v16 u = v16_min(v16_max(v16_load_n(up + i, n - i), v16_set1(-7.0f)), most);
		v16 s = v16_div(g, v16_add(one, v16_exp(v16_mul(g, v16_set1(-1.702f)))));
		v16_store_n(gate + i, v16_mul(s, v16_add(u, one)), n - i);
	}
}

void SIMD_NAME(weighted_sum)(const float *const *row, const float *weight, uint32_t count,
                             uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i += 16) {
		v16 sum = v16_mul(v16_set1(weight[0]), v16_load_n(row[0] + i, n - i));
		for (uint32_t r = 1; r < count; r++)
			sum = v16_add(sum, v16_mul(v16_set1(weight[r]), v16_load_n(row[r] + i, n - i)));
		v16_store_n(out + i, sum, n - i);
	}
}

void SIMD_NAME(add)(float *x, const float *y, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 16)
		v16_store_n(x + i, v16_add(v16_load_n(x + i, n - i), v16_load_n(y + i, n - i)), n - i);
}

void SIMD_NAME(rope_half)(float *x, uint32_t n, const float *cosine, const float *sine)
{
	uint32_t half = n / 2;
	for (uint32_t i = 0; i < half; i += 16) {
		v16 a = v16_load_n(x + i, half - i), b = v16_load_n(x + i + half, half - i);
		v16 c = v16_load_n(cosine + i, half - i), s = v16_load_n(sine + i, half - i);
		v16_store_n(x + i, v16_sub(v16_mul(a, c), v16_mul(b, s)), half - i);
		v16_store_n(x + i + half, v16_add(v16_mul(a, s), v16_mul(b, c)), half - i);
	}
}

#define PART 2048

/* The largest of a part; NaN is passed over. */
INLINE float part_max(const float *x, uint32_t n, float least)
{
	float lane[16], largest = least;
	v16 m = v16_set1(least);
	uint32_t i = 0;
	for (; i + 16 <= n; i += 16)
		m = v16_max(v16_load(x + i), m);
	v16_store(lane, m);
	for (uint32_t k = 0; k < 16; k++)
		largest = lane[k] > largest ? lane[k] : largest;
	for (; i < n; i++)
		largest = x[i] > largest ? x[i] : largest;
	return largest;
}

/* Part by part; the first place of the largest is looked for in its part alone. */
uint32_t SIMD_NAME(argmax)(const float *x, uint32_t n)
{
	uint32_t best = 0;
	for (uint32_t i = 0; i < n; i += PART) {
		uint32_t len = n - i < PART ? n - i : PART;
		float largest = part_max(x + i, len, x[best]);
		if (!(largest > x[best]))
			continue;
		for (best = i; x[best] < largest || x[best] != x[best];)
			best++;
	}
	return best;
}

void SIMD_NAME(weigh)(const float *x, uint32_t n, float largest, float temperature, float *out)
{
	v16 top = v16_set1(largest), t = v16_set1(temperature);
	for (uint32_t i = 0; i < n; i += 16)
		v16_store_n(out + i, v16_exp(v16_div(v16_sub(v16_load_n(x + i, n - i), top), t)), n - i);
}

void SIMD_NAME(moe_gate)(const struct kernel_gate *g, const float *score, uint32_t tokens,
                         uint16_t *expert, float *weight)
{
	const struct gate_ops o = { SIMD_NAME(argmax), SIMD_NAME(weigh) };
	kernel_gate_run(&o, g, score, tokens, expert, weight);
}
