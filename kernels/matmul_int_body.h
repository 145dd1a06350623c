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

/* A packed row of a step, which is a block of inputs: two pairs of groups, each of codes and
 * starts [2] s32, then the scale as f32, and 12 bytes without meaning. */
#define CODE_BYTES(F) (HAS_DOT || (F) == KERNEL_Q4 ? 32 : 64) /* of a group */
#define ROW_START(F) (2 * CODE_BYTES(F))
#define ROW_PAIR(F) (ROW_START(F) + 8)
#define ROW_SCALE(F) (2 * ROW_PAIR(F))
#define ROW_STEP(F) (ROW_SCALE(F) + 16)

INLINE void pack_pair(const enum kernel_format f, const int8_t *code, const int32_t *start,
                      unsigned char *to)
{
	int32_t begin[2] = { start[0], start[1] };
	if (f == KERNEL_Q4)
		begin[0] /= 16, begin[1] /= 16;
	for (int j = 0; j < PAIR_K / 4 && CODE_BYTES(f) != 32; j++) {
		const int8_t *c = code + 4 * j;
		const int16_t split[4] = { c[0], c[2], c[1], c[3] };
		memcpy(to + 8 * j, split, 8);
	}
	if (CODE_BYTES(f) == 32)
		memcpy(to, code, PAIR_K);
	memcpy(to + ROW_START(f), begin, 8);
}

/* A row after the other: what is read lies in one run. */
INLINE void pack_rows(const enum kernel_format f, const struct kernel_matrix *w,
                      const struct kernel_rows *x, uint32_t row, uint32_t rows, uint32_t k,
                      uint32_t steps, unsigned char *to)
{
	for (uint32_t t = 0; t < rows; t++) {
		size_t at = (x->pick ? x->pick[row + t] : row + t) * kernel_quant_columns(w->columns) + k;
		unsigned char *put = to + t * (size_t)ROW_STEP(f);
		for (uint32_t s = 0; s < steps; s++, put += rows * (size_t)ROW_STEP(f)) {
			for (int pair = 0; pair < 2; pair++, at += PAIR_K)
				pack_pair(f, x->quant->code + at, x->quant->start + at / KERNEL_GROUP,
				          put + pair * ROW_PAIR(f));
			memcpy(put + ROW_SCALE(f), x->quant->scale + at / KERNEL_INPUT_BLOCK - 1, 4);
		}
	}
}

/* Step s of a group of P panels: sum[p*T+t]. group: the codes of the first panel. */
INLINE void q8_step(const unsigned char *group, size_t panel_bytes, const unsigned char *x, int s,
                    i16 *sum, const int P, const int T)
{
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

/* half: 16-bit sums, which only sets without vpdpbusd use. */
INLINE void q4_step(const unsigned char *group, size_t panel_bytes, const unsigned char *x, int s,
                    i16 *sum, i16 *half, const int P, const int T)
{
	UNROLL for (int p = 0; p < P; p++) {
		i16 w = i16_load(group + (size_t)p * panel_bytes + 64 * s);
		i16 low = i16_low_nibbles(w), high = i16_high_nibbles(w);
		UNROLL for (int t = 0; t < T; t++) {
			const unsigned char *c = x + t * ROW_STEP(KERNEL_Q4) + 8 * s;
#if HAS_DOT
			(void)half;
			i16_dot_at(&sum[p * T + t], low, c);
			i16_dot_at(&sum[p * T + t], high, c + 4);
#else
			i16 *to = &half[p * T + t];
			(void)sum;
			*to = i16_add16(*to, i16_maddubs(low, i16_set1(c)));
			*to = i16_add16(*to, i16_maddubs(high, i16_set1(c + 4)));
			i16_settle(to);
#endif
		}
	}
}

/* One row reads line by line with one instruction, whose strides the machine then foresees. */
INLINE void q8_group(const unsigned char *group, size_t panel_bytes, const unsigned char *x,
                     i16 *sum, const int P, const int T)
{
	if (P * T == 1) {
		ROLL for (int s = 0; s < 8; s++)
			q8_step(group, panel_bytes, x, s, sum, P, T);
	} else {
		UNROLL for (int s = 0; s < 8; s++)
			q8_step(group, panel_bytes, x, s, sum, P, T);
	}
}

INLINE void q4_group(const unsigned char *group, size_t panel_bytes, const unsigned char *x,
                     i16 *sum, const int P, const int T)
{
	i16 half[4 * TILE_ROWS];
	UNROLL for (int i = 0; i < P * T; i++)
		half[i] = i16_zero();
	if (P * T == 1) {
		ROLL for (int s = 0; s < 4; s++)
			q4_step(group, panel_bytes, x, s, sum, half, P, T);
	} else {
		UNROLL for (int s = 0; s < 4; s++)
			q4_step(group, panel_bytes, x, s, sum, half, P, T);
	}
#if !HAS_DOT
	UNROLL for (int i = 0; i < P * T; i++)
		sum[i] = i16_add(sum[i], i16_madd(half[i], i16_ones16()));
#endif
}

/* The sums of group g of a pair, which begins at panel and x. */
INLINE void int_sums(const enum kernel_format f, const struct tile *a, const unsigned char *panel,
                     const unsigned char *x, const int g, i16 *sum, const int P, const int T)
{
	const int scales = f == KERNEL_Q8 ? Q8_SCALES : Q4_SCALES;
	const unsigned char *codes = panel + g * scales / 2;
	const size_t bytes = a->w->panel_bytes;
	UNROLL for (int t = 0; t < T; t++) {
		i16 start = i16_set1(x + t * ROW_STEP(f) + ROW_START(f) + 4 * g);
		UNROLL for (int p = 0; p < P; p++)
			sum[p * T + t] = start;
	}
	if (f == KERNEL_Q8)
		q8_group(codes, bytes, x + CODE_BYTES(f) * g, sum, P, T);
	else
		q4_group(codes, bytes, x + CODE_BYTES(f) * g, sum, P, T);
}

/* block += d_w * the sums of group g. */
INLINE void int_scale(const enum kernel_format f, const struct tile *a, const unsigned char *panel,
                      const int g, const i16 *sum, v16 *block, const int P, const int T)
{
	const unsigned char *scale = panel + (f == KERNEL_Q8 ? Q8_SCALES : Q4_SCALES) + 32 * g;
	UNROLL for (int p = 0; p < P; p++) {
		v16 d = v16_f16(scale + (size_t)p * a->w->panel_bytes);
		UNROLL for (int t = 0; t < T; t++)
			block[p * T + t] = v16_fma(i16_to_f32(sum[p * T + t]), d, block[p * T + t]);
	}
}

/* Sums of a step, up to which both groups of a pair wait for their scales, so that a panel is read
 * from its begin to its end: memory answers up to a tenth faster. More find no registers. */
#if defined(__AVX512F__)
#define ORDERLY 8
#else
#define ORDERLY 4
#endif

INLINE void int_tile(const enum kernel_format f, const struct tile *a, const int P, const int T)
{
	const int pair_bytes = f == KERNEL_Q8 ? Q8_PAIR : Q4_PAIR, lines = pair_bytes / 64;
	const unsigned char *panel = a->panel, *x = a->x;
	v16 total[4 * TILE_ROWS];
	tile_load(a, total, P, T);
	for (uint32_t step = 0; step * KERNEL_INPUT_BLOCK < a->k; step++) {
		const unsigned char *ahead = tile_ahead(a, step);
		v16 block[4 * TILE_ROWS];
		UNROLL for (int i = 0; i < P * T; i++)
			block[i] = v16_zero();
		const int pairs = a->k - step * KERNEL_INPUT_BLOCK > PAIR_K ? 2 : 1;
		for (int pair = 0; pair < pairs; pair++, panel += pair_bytes, x += ROW_PAIR(f)) {
			i16 sum[2][4 * TILE_ROWS];
			const int wait = P * T <= ORDERLY;
			UNROLL for (int g = 0; g < 2; g++) {
				tile_ask(a, ahead, P, lines * pair + g * (lines / 2), lines / 2 + g);
				int_sums(f, a, panel, x, g, sum[g], P, T);
				if (!wait)
					int_scale(f, a, panel, g, sum[g], block, P, T);
			}
			UNROLL for (int g = 0; g < 2 && wait; g++)
				int_scale(f, a, panel, g, sum[g], block, P, T);
		}
		x += (2 - pairs) * ROW_PAIR(f);
		UNROLL for (int t = 0; t < T; t++) { /* x is now at the scale of its block */
			float scale;
			memcpy(&scale, x + t * ROW_STEP(f), 4);
			UNROLL for (int p = 0; p < P; p++)
				total[p * T + t] = v16_fma(block[p * T + t], v16_set1(scale), total[p * T + t]);
		}
		__asm__ volatile("" : : "r"(total) : "memory"); /* it stays there: registers are for sums */
		x += T * ROW_STEP(f) - ROW_SCALE(f);
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

/* Up to how many rows leave the core waiting for memory. */
#if defined(__AVX512VNNI__)
#define LIGHT_q8 4
#define LIGHT_q4 3
#elif defined(__AVX512F__)
#define LIGHT_q8 1
#define LIGHT_q4 1
#else
#define LIGHT_q8 0
#define LIGHT_q4 0
#endif
#define SOON(F, T) ((T) > LIGHT_##F ? TILE_FAR : TILE_NEAR)
#define INT_ONE(F, T) TILE_IS_ONE(F, T, SOON(F, T))
#define INT_TWO(F, P, T) TILE_IS_TWO(F, P, T, SOON(F, T))

#if SIMD_LEAN
#define INT_OPS(F) TILE_ONE(F, 1) TILE_ONE(F, 2)
#define INT_FORM(F) INT_ONE(F, 1), INT_ONE(F, 2)
#elif defined(__AVX512F__)
#define INT_OPS(F) \
	TILE_ONE(F, 1) TILE_ONE(F, 2) TILE_ONE(F, 3) TILE_ONE(F, 4) TILE_TWO(F, 2, 6) \
	TILE_ONE(F, 8) TILE_ONE(F, 10) TILE_ONE(F, 12)
#define INT_FORM(F) \
	INT_ONE(F, 1), INT_ONE(F, 2), INT_ONE(F, 3), INT_ONE(F, 4), INT_TWO(F, 2, 6), \
	INT_ONE(F, 8), INT_ONE(F, 10), INT_ONE(F, 12)
#else
#define INT_OPS(F) TILE_TWO(F, 4, 1) TILE_TWO(F, 2, 2) TILE_ONE(F, 3) TILE_ONE(F, 4) TILE_ONE(F, 6)
#define INT_FORM(F) \
	INT_TWO(F, 4, 1), INT_TWO(F, 2, 2), INT_ONE(F, 3), INT_ONE(F, 4), INT_ONE(F, 6)
#endif

INT_OPS(q8)
INT_OPS(q4)

static const struct tile_form q8_form = { KERNEL_INPUT_BLOCK, 2 * Q8_PAIR, ROW_STEP(KERNEL_Q8),
	q8_pack, { INT_FORM(q8) } };
static const struct tile_form q4_form = { KERNEL_INPUT_BLOCK, 2 * Q4_PAIR, ROW_STEP(KERNEL_Q4),
	q4_pack, { INT_FORM(q4) } };

void SIMD_NAME(matmul_q8)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                          const struct kernel_rows *x, float *out, size_t out_stride)
{
	kernel_tile_matmul(&q8_form, w, panel, panels, x, out, out_stride);
}

void SIMD_NAME(matmul_q4)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                          const struct kernel_rows *x, float *out, size_t out_stride)
{
	kernel_tile_matmul(&q4_form, w, panel, panels, x, out, out_stride);
}
