/* The fast twin of the BF16 product: inputs are rounded to bf16 and pairs of K multiply at once.
 * vdpbf16ps flushes denormals and adds in its own order, so its bits are not those of the canonical
 * sets; they are the same for any batch and any machine that has it. */
#include "kernels/number.h"
#include "kernels/ops.h"
#include "kernels/tile_simd.h"

INLINE void fast_tile(const struct tile *a, const int P, const int T)
{
	const unsigned char *panel = a->panel, *x = a->x;
	__m512 sum[4 * TILE_ROWS];
	tile_load(a, sum, P, T);
	for (uint32_t k = 0; k < a->k; k += 32) {
		uint32_t n = a->k - k < 32 ? (a->k - k + 1) / 2 : 16;
		tile_prefetch(a, tile_prefetch_at(a, k / 32), P, 0, 16);
		for (uint32_t i = 0; i < n; i++) {
			UNROLL for (int p = 0; p < P; p++) {
				__m512i w = _mm512_load_si512(panel + (size_t)p * a->w->panel_bytes + 64 * i);
				UNROLL for (int t = 0; t < T; t++) {
					int32_t pair;
					memcpy(&pair, x + 64 * t + 4 * i, 4);
					sum[p * T + t] = _mm512_dpbf16_ps(sum[p * T + t], (__m512bh)w,
					                                  (__m512bh)_mm512_set1_epi32(pair));
				}
			}
		}
		panel += 1024;
		x += 64 * T;
	}
	tile_store(a, sum, P, T);
}

static void fast_pack(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
                      uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to)
{
	for (uint32_t t = 0; t < rows; t++) {
		const float *v = x->value + (x->pick ? x->pick[row + t] : row + t) * x->stride;
		for (uint32_t s = 0; s < steps; s++) {
			uint32_t at = k + 32 * s, left = w->columns - at;
			__m512 low = v16_load_n(v + at, left);
			__m512 high = left > 16 ? v16_load_n(v + at + 16, left - 16) : v16_zero();
			__m512bh pair = _mm512_cvtne2ps_pbh(high, low);
			memcpy(to + ((size_t)s * rows + t) * 64, &pair, 64);
		}
	}
}

#if SIMD_LEAN
#define TILES(TILE, F) TILE(F, 1, 1, TILE_NEAR)
#else
#define TILES(TILE, F) \
	TILE(F, 1, 1, TILE_NEAR) \
	TILE(F, 2, 4, TILE_NEAR) \
	TILE(F, 4, 4, TILE_NEAR) \
	TILE(F, 6, 2, TILE_FAR) \
	TILE(F, 8, 2, TILE_FAR) \
	TILE(F, 10, 2, TILE_FAR) \
	TILE(F, 12, 2, TILE_FAR)
#endif

TILES(TILE_FUNCTIONS, fast)

static const struct tile_form form = { 32, 1024, 64, fast_pack, { TILES(TILE_ENTRY, fast) } };

void kernel_matmul_bf16_bf16(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			     const struct kernel_rows *x, float *out, size_t out_stride)
{
	kernel_tile_matmul(&form, w, panel, panels, x, out, out_stride);
}
