/* Private: row operations over sixteen lanes; rows_avx2.c and rows_avx512.c compile it. rows.c is
 * the canonical form. */
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
