/* Private: integer products over sixteen lanes; matmul_int_*.c compile it. matmul_int.c is the
 * canonical form. Bound: memory for few rows, then the dot product. All sums inside a group are
 * exact, so how they are formed is each set's own:
 *
 *   with vpdpbusd    u8 weights (code + 128, or a nibble) times s8 inputs, begun at -128 (or -8)
 *                    times the sum of the inputs
 *   Q8 without       weights as even and odd bytes in 16 bits, inputs widened and split likewise
 *                    when they are packed; vpmaddwd cannot overflow
 *   Q4 without       vpmaddubsw: four steps of two nibbles reach at most 8 * 2 * 15 * 127 < 2^15 */
#include "kernels/layout.h"
#include "kernels/ops.h"
#include "kernels/tile_simd.h"

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define HAS_DOT 1
#else
#define HAS_DOT 0
#endif

/* A packed row of a step: codes of two groups, scales [2] f32, starts [2] s32. */
#define CODE_BYTES(F) (HAS_DOT || (F) == KERNEL_Q4 ? 64 : 128)
#define ROW_STEP(F) (CODE_BYTES(F) + 16)

/* A row after the other: what is read lies in one run. */
INLINE void pack_rows(const enum kernel_format f, const struct kernel_matrix *w,
                      const struct kernel_rows *x, uint32_t row, uint32_t rows, uint32_t k,
                      uint32_t steps, unsigned char *to)
{
	size_t wide = kernel_quant_columns(w->columns), groups = wide / KERNEL_GROUP;
	for (uint32_t t = 0; t < rows; t++) {
		size_t at = x->pick ? x->pick[row + t] : row + t;
		const int8_t *code = x->quant->code + at * wide + k;
		const float *scale = x->quant->scale + at * groups + k / KERNEL_GROUP;
		const int32_t *start = x->quant->start + at * groups + k / KERNEL_GROUP;
		unsigned char *put = to + t * (size_t)ROW_STEP(f);
		for (uint32_t s = 0; s < steps; s++, put += rows * (size_t)ROW_STEP(f)) {
			int32_t begin[2] = { start[2 * s], start[2 * s + 1] };
			if (f == KERNEL_Q4)
				begin[0] /= 16, begin[1] /= 16;
			for (int j = 0; j < 16 && CODE_BYTES(f) != 64; j++) {
				const int8_t *c = code + 4 * j;
				const int16_t split[4] = { c[0], c[2], c[1], c[3] };
				memcpy(put + 8 * j, split, 8);
			}
			if (CODE_BYTES(f) == 64)
				memcpy(put, code, 64);
			code += PAIR_K;
			memcpy(put + CODE_BYTES(f), scale + 2 * s, 8);
			memcpy(put + CODE_BYTES(f) + 8, begin, 8);
		}
	}
}

/* One group of P panels: sum[p*T+t]. group: the codes of the first panel. */
INLINE void q8_group(const unsigned char *group, size_t panel_bytes, const unsigned char *x,
                     i16 *sum, const int P, const int T)
{
	UNROLL for (int s = 0; s < 8; s++) {
		UNROLL for (int p = 0; p < P; p++) {
			i16 w = i16_load(group + (size_t)p * panel_bytes + 64 * s);
#if HAS_DOT
			UNROLL for (int t = 0; t < T; t++)
				i16_dot_at(&sum[p * T + t], w, x + t * ROW_STEP(KERNEL_Q8) + 4 * s);
#else
			i16 even = i16_even_bytes(w), odd = i16_odd_bytes(w);
			UNROLL for (int t = 0; t < T; t++) {
				const unsigned char *c = x + t * ROW_STEP(KERNEL_Q8) + 8 * s;
				i16 *to = &sum[p * T + t];
				*to = i16_add(*to, i16_madd(even, i16_set1(c)));
				*to = i16_add(*to, i16_madd(odd, i16_set1(c + 4)));
				i16_settle(to);
			}
#endif
		}
	}
}

INLINE void q4_group(const unsigned char *group, size_t panel_bytes, const unsigned char *x,
                     i16 *sum, const int P, const int T)
{
#if !HAS_DOT
	i16 half[4 * TILE_ROWS];
	UNROLL for (int i = 0; i < P * T; i++)
		half[i] = i16_zero();
#endif
	UNROLL for (int s = 0; s < 4; s++) {
		UNROLL for (int p = 0; p < P; p++) {
			i16 w = i16_load(group + (size_t)p * panel_bytes + 64 * s);
			i16 low = i16_low_nibbles(w), high = i16_high_nibbles(w);
			UNROLL for (int t = 0; t < T; t++) {
				const unsigned char *c = x + t * ROW_STEP(KERNEL_Q4) + 8 * s;
#if HAS_DOT
				i16_dot_at(&sum[p * T + t], low, c);
				i16_dot_at(&sum[p * T + t], high, c + 4);
#else
				i16 *to = &half[p * T + t];
				*to = i16_add16(*to, i16_maddubs(low, i16_set1(c)));
				*to = i16_add16(*to, i16_maddubs(high, i16_set1(c + 4)));
				i16_settle(to);
#endif
			}
		}
	}
#if !HAS_DOT
	UNROLL for (int i = 0; i < P * T; i++)
		sum[i] = i16_add(sum[i], i16_madd(half[i], i16_ones16()));
#endif
}

INLINE void int_tile(const enum kernel_format f, const struct tile *a, const int P, const int T)
{
	const unsigned char *panel = a->panel, *x = a->x;
	const size_t bytes = a->w->panel_bytes;
	const int code_bytes = CODE_BYTES(f), row = ROW_STEP(f);
	v16 total[4 * TILE_ROWS];
	tile_load(a, total, P, T);
	for (uint32_t step = 0; step * PAIR_K < a->k; step++) {
		tile_ahead(a, step, P);
		for (int g = 0; g < 2; g++) {
			i16 sum[4 * TILE_ROWS];
			UNROLL for (int t = 0; t < T; t++) {
				i16 start = i16_set1(x + t * row + code_bytes + 8 + 4 * g);
				UNROLL for (int p = 0; p < P; p++)
					sum[p * T + t] = start;
			}
			if (f == KERNEL_Q8)
				q8_group(panel + 512 * g, bytes, x + code_bytes / 2 * g, sum, P, T);
			else
				q4_group(panel + 256 * g, bytes, x + 32 * g, sum, P, T);
			UNROLL for (int p = 0; p < P; p++) {
				v16 d = v16_f16(panel + (size_t)p * bytes + 32 * g +
				                (f == KERNEL_Q8 ? Q8_SCALES : Q4_SCALES));
				UNROLL for (int t = 0; t < T; t++) {
					float scale;
					memcpy(&scale, x + t * row + code_bytes + 4 * g, 4);
					total[p * T + t] = v16_fma(i16_to_f32(sum[p * T + t]),
					                           v16_mul(d, v16_set1(scale)),
					                           total[p * T + t]);
				}
			}
		}
		panel += f == KERNEL_Q8 ? Q8_PAIR : Q4_PAIR;
		x += T * row;
	}
	tile_store(a, total, P, T);
}

INLINE void q8_tile(const struct tile *a, const int P, const int T)
{
	int_tile(KERNEL_Q8, a, P, T);
}

INLINE void q4_tile(const struct tile *a, const int P, const int T)
{
	int_tile(KERNEL_Q4, a, P, T);
}


static void q8_pack(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
                    uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to)
{
	pack_rows(KERNEL_Q8, w, x, row, rows, k, steps, to);
}

static void q4_pack(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
                    uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to)
{
	pack_rows(KERNEL_Q4, w, x, row, rows, k, steps, to);
}

#if SIMD_LEAN
#define INT_OPS(F) TILE_ONE(F, 1) TILE_ONE(F, 2)
#define INT_FORM(F) TILE_IS_ONE(F, 1), TILE_IS_ONE(F, 2)
#elif defined(__AVX512F__)
#define INT_OPS(F) \
	TILE_ONE(F, 1) TILE_TWO(F, 4, 2) TILE_TWO(F, 2, 3) TILE_TWO(F, 2, 4) TILE_TWO(F, 2, 6) \
	TILE_ONE(F, 8) TILE_ONE(F, 10) TILE_ONE(F, 12)
#define INT_FORM(F) \
	TILE_IS_ONE(F, 1), TILE_IS_TWO(F, 4, 2), TILE_IS_TWO(F, 2, 3), TILE_IS_TWO(F, 2, 4), \
	TILE_IS_TWO(F, 2, 6), TILE_IS_ONE(F, 8), TILE_IS_ONE(F, 10), TILE_IS_ONE(F, 12)
#else
#define INT_OPS(F) TILE_TWO(F, 4, 1) TILE_TWO(F, 2, 2) TILE_ONE(F, 3) TILE_ONE(F, 4) TILE_ONE(F, 6)
#define INT_FORM(F) \
	TILE_IS_TWO(F, 4, 1), TILE_IS_TWO(F, 2, 2), TILE_IS_ONE(F, 3), TILE_IS_ONE(F, 4), \
	TILE_IS_ONE(F, 6)
#endif

INT_OPS(q8)
INT_OPS(q4)

static const struct tile_form q8_form = { PAIR_K, Q8_PAIR, ROW_STEP(KERNEL_Q8), q8_pack,
	{ INT_FORM(q8) } };
static const struct tile_form q4_form = { PAIR_K, Q4_PAIR, ROW_STEP(KERNEL_Q4), q4_pack,
	{ INT_FORM(q4) } };

void SIMD_NAME(matmul_q8)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                          const struct kernel_rows *x, float *out, size_t out_stride)
{
	tile_matmul(&q8_form, w, panel, panels, x, out, out_stride);
}

void SIMD_NAME(matmul_q4)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                          const struct kernel_rows *x, float *out, size_t out_stride)
{
	tile_matmul(&q4_form, w, panel, panels, x, out, out_stride);
}
