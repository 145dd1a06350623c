/* Private: attention over sixteen lanes; attn_avx2.c and attn_avx512.c compile it. attn.c is the
 * canonical form and says the order of operations. Bound: multiply-add (all heads of a call share
 * a cache row). Scores put heads into lanes, those of each query position side by side (the queries
 * are transposed into a panel), so that a cache row is read where it lies; values put dimensions
 * into lanes. */
#include "kernels/attn.h"
#include "kernels/ops.h"
#include "kernels/simd.h"

#include "base/check.h"

#include <math.h>

/* Sums of a value tile: heads times vectors of sixteen dimensions. */
#define VALUE_SUMS (SIMD_TOKENS == 12 ? 16 : 4)

#ifdef __AVX512F__
INLINE v16 v16_from_bf16(const void *p)
{
	__m256i h = _mm256_loadu_si256((const __m256i *)p);
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

INLINE v16 v16_from_s8(const void *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
#else
INLINE __m256 v8_from_bf16(const void *p)
{
	__m128i h = _mm_loadu_si128((const __m128i *)p);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

INLINE v16 v16_from_bf16(const void *p)
{
	return v16_of(v8_from_bf16(p), v8_from_bf16((const char *)p + 16));
}

INLINE v16 v16_from_s8(const void *p)
{
	__m128i b = _mm_loadu_si128((const __m128i *)p);
	return v16_of(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b)),
	              _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(b, 8))));
}
#endif

/* Values [k, k+16) of a part, k a multiple of 16; zero from its end on. */
INLINE v16 part_load(const enum kernel_cache cache, const unsigned char *part, uint32_t width,
                     uint32_t k)
{
	unsigned char rest[32] = { 0 };
	uint32_t n = width - k < 16 ? width - k : 16, size = cache == KERNEL_CACHE_BF16 ? 2 : 1;
	const unsigned char *at = part + (size_t)k * size;
	if (cache == KERNEL_CACHE_F32)
		return v16_load_n((const float *)(const void *)part + k, n);
	if (n < 16) {
		memcpy(rest, at, (size_t)n * size);
		at = rest;
	}
	if (cache == KERNEL_CACHE_BF16)
		return v16_from_bf16(at);
	uint16_t half;
	memcpy(&half, part + (width + 1) / 2 * 2 + k / KERNEL_GROUP * 2, 2);
	__m128 scale = _mm_cvtph_ps(_mm_cvtsi32_si128(half));
	return v16_mul(v16_from_s8(at), v16_set1(_mm_cvtss_f32(scale)));
}

struct split {
	const struct attn_view *a;
	float *query;               /* [wide+tail][16] */
	float *p;                   /* [256 + room][16] */
	float *sum;                 /* [16][wide], running */
	float *key;                 /* [SIMD_TOKENS][key_stride], recalled */
	size_t key_stride;
	const unsigned char *row[KERNEL_SPLIT + SIMD_TOKENS];
	uint32_t heads;             /* of a query position: lane r * heads + h is head h of row r */
	uint32_t n;                 /* positions that the last row attends, ... */
	uint32_t end[16];           /* and each lane */
	v16 largest, total;         /* of each lane, running */
	float keep[16], take[16];
	bool first;
};

static uint32_t lanes_of(const struct split *s) { return s->heads * s->a->rows; }

static void split_query(struct split *s)
{
	const struct attn_view *a = s->a;
	memset(s->query, 0, 16 * sizeof(float) * (a->wide + a->tail));
	for (uint32_t lane = 0; lane < lanes_of(s); lane++) {
		uint32_t r = lane / s->heads, h = lane % s->heads;
		const float *query = a->query + r * a->query_row + h * a->query_stride;
		for (uint32_t k = 0; k < a->wide; k++)
			s->query[16 * k + lane] = query[k];
		for (uint32_t k = 0; k < a->tail; k++)
			s->query[16 * (a->wide + k) + lane] = a->query_tail[h * a->query_tail_stride + k];
	}
}

/* Row addresses of the split; the last is repeated to fill the last tile. */
static void split_rows(struct split *s, uint32_t first)
{
	const struct attn_view *a = s->a;
	uint32_t left = a->positions + a->rows - 1 - first;
	s->n = left < KERNEL_SPLIT ? left : KERNEL_SPLIT;
	for (uint32_t lane = 0; lane < 16; lane++) {
		uint32_t r = lane < lanes_of(s) ? lane / s->heads : a->rows - 1;
		uint32_t all = a->positions + r - first;
		s->end[lane] = all < KERNEL_SPLIT ? all : KERNEL_SPLIT;
	}
	for (uint32_t j = 0; j < s->n; j++)
		s->row[j] = attn_row(a, first + j);
	for (uint32_t j = s->n; j < s->n + SIMD_TOKENS; j++)
		s->row[j] = s->row[s->n - 1];
}

/* In the place of positions after a row's own: its last score again, which changes no maximum, not
 * even a NaN; then what weighs nothing. */
static void split_mask(struct split *s, bool repeat)
{
	for (uint32_t lane = 0; lane < lanes_of(s); lane++) {
		for (uint32_t j = s->end[lane]; j < s->n; j++)
			s->p[16 * (size_t)j + lane] =
				repeat ? s->p[16 * (size_t)(s->end[lane] - 1) + lane] : -INFINITY;
	}
}

INLINE void keys_recall(const enum kernel_cache cache, const struct split *s,
                        const unsigned char *const *row)
{
	const struct attn_view *a = s->a;
	for (int t = 0; t < SIMD_TOKENS; t++) {
		float *to = s->key + (size_t)t * s->key_stride;
		for (uint32_t k = 0; k < a->wide; k += 16)
			v16_store(to + k, part_load(cache, row[t] + a->key_at, a->wide, k));
		for (uint32_t k = 0; k < a->tail; k += 16)
			v16_store(to + a->wide + k, part_load(cache, row[t] + a->tail_at, a->tail, k));
	}
}

/* Keys of a tile as f32: where they lie, or recalled. */
static void split_keys(const struct split *s, const unsigned char *const *row, const float **key)
{
	if (s->a->cache == KERNEL_CACHE_BF16)
		keys_recall(KERNEL_CACHE_BF16, s, row);
	else if (s->a->cache == KERNEL_CACHE_INT8)
		keys_recall(KERNEL_CACHE_INT8, s, row);
	for (int t = 0; t < SIMD_TOKENS; t++)
		key[t] = s->a->cache == KERNEL_CACHE_F32
		                 ? (const float *)(const void *)(row[t] + s->a->key_at)
		                 : s->key + (size_t)t * s->key_stride;
}

static void split_scores(struct split *s)
{
	uint32_t width = s->a->wide + s->a->tail;
	v16 scale = v16_set1(s->a->scale);
	for (uint32_t j = 0; j < s->n; j += SIMD_TOKENS) {
		const float *key[SIMD_TOKENS];
		v16 sum[SIMD_TOKENS];
		split_keys(s, &s->row[j], key);
		UNROLL for (int t = 0; t < SIMD_TOKENS; t++)
			sum[t] = v16_zero();
		for (uint32_t k = 0; k < width; k++) {
			v16 q = v16_load(s->query + 16 * (size_t)k);
			UNROLL for (int t = 0; t < SIMD_TOKENS; t++)
				sum[t] = v16_fma(q, v16_set1(key[t][k]), sum[t]);
		}
		UNROLL for (int t = 0; t < SIMD_TOKENS; t++)
			v16_store(s->p + 16 * (size_t)(j + (uint32_t)t), v16_mul(sum[t], scale));
	}
}

static void split_soften(struct split *s)
{
	split_mask(s, true);
	v16 m = v16_load(s->p), l = v16_zero();
	for (uint32_t j = 1; j < s->n; j++)
		m = v16_max(m, v16_load(s->p + 16 * (size_t)j));
	split_mask(s, false);
	for (uint32_t j = 0; j < s->n; j++) {
		v16 p = v16_exp(v16_sub(v16_load(s->p + 16 * (size_t)j), m));
		v16_store(s->p + 16 * (size_t)j, p);
		l = v16_add(l, p);
	}
	v16 now = s->first ? m : v16_max(s->largest, m);
	v16 keep = v16_exp(v16_sub(s->largest, now)), take = v16_exp(v16_sub(m, now));
	v16_store(s->keep, keep);
	v16_store(s->take, take);
	s->total = s->first ? l : v16_fma(l, take, v16_mul(s->total, keep));
	s->largest = now;
}

/* Dimensions [d, d + 16*wide) of `heads` lanes from h. */
INLINE void value_tile(const enum kernel_cache cache, struct split *s, uint32_t h, const int heads,
                       uint32_t d, const int wide, size_t stride)
{
	v16 sum[VALUE_SUMS];
	size_t at = s->a->value_at;
	UNROLL for (int i = 0; i < heads * wide; i++)
		sum[i] = v16_zero();
	uint32_t j = 0;
	for (; j < s->end[0]; j++) { /* what all rows attend */
		const float *p = s->p + 16 * (size_t)j + h;
		UNROLL for (int v = 0; v < wide; v++) {
			v16 w = part_load(cache, s->row[j] + at, s->a->value, d + 16 * (uint32_t)v);
			UNROLL for (int i = 0; i < heads; i++)
				sum[i * wide + v] = v16_fma(v16_set1(p[i]), w, sum[i * wide + v]);
		}
	}
	for (; j < s->n; j++) {
		const float *p = s->p + 16 * (size_t)j + h;
		UNROLL for (int v = 0; v < wide; v++) {
			v16 w = part_load(cache, s->row[j] + at, s->a->value, d + 16 * (uint32_t)v);
			UNROLL for (int i = 0; i < heads; i++) {
				if (j < s->end[h + (uint32_t)i])
					sum[i * wide + v] = v16_fma(v16_set1(p[i]), w, sum[i * wide + v]);
			}
		}
	}
	UNROLL for (int i = 0; i < heads; i++) {
		UNROLL for (int v = 0; v < wide; v++) {
			float *to = s->sum + (h + (uint32_t)i) * stride + d + 16 * v;
			v16 o = sum[i * wide + v];
			if (!s->first)
				o = v16_fma(o, v16_set1(s->take[h + (uint32_t)i]),
				            v16_mul(v16_load(to), v16_set1(s->keep[h + (uint32_t)i])));
			v16_store(to, o);
		}
	}
}

/* As few recalls of a value as registers allow: all heads at once where they are many. */
INLINE void values_run(const enum kernel_cache cache, struct split *s, uint32_t heads,
                       size_t stride)
{
	uint32_t value = s->a->value, d;
	if (SIMD_TOKENS == 12 && heads > 4) {
		for (uint32_t h = 0; h < heads; h += 8) {
			for (d = 0; d + 32 <= value; d += 32)
				value_tile(cache, s, h, VALUE_SUMS / 2, d, 2, stride);
			for (; d < value; d += 16)
				value_tile(cache, s, h, VALUE_SUMS / 2, d, 1, stride);
		}
		return;
	}
	for (uint32_t h = 0; h < heads; h += 4) {
		for (d = 0; d + 4 * VALUE_SUMS <= value; d += 4 * VALUE_SUMS)
			value_tile(cache, s, h, 4, d, VALUE_SUMS / 4, stride);
		for (; d < value; d += 16)
			value_tile(cache, s, h, 4, d, 1, stride);
	}
}

static void split_values(struct split *s, uint32_t heads, size_t stride)
{
	if (s->a->cache == KERNEL_CACHE_F32)
		values_run(KERNEL_CACHE_F32, s, heads, stride);
	else if (s->a->cache == KERNEL_CACHE_BF16)
		values_run(KERNEL_CACHE_BF16, s, heads, stride);
	else
		values_run(KERNEL_CACHE_INT8, s, heads, stride);
}

static void split_sink(struct split *s, size_t stride)
{
	float sink[16] = { 0 };
	for (uint32_t lane = 0; lane < lanes_of(s); lane++)
		sink[lane] = s->a->sink[lane % s->heads];
	v16 v = v16_load(sink), now = v16_max(s->largest, v);
	v16 keep = v16_exp(v16_sub(s->largest, now));
	s->total = v16_add(v16_mul(s->total, keep), v16_exp(v16_sub(v, now)));
	v16_store(s->keep, keep);
	for (uint32_t lane = 0; lane < lanes_of(s); lane++) {
		v16 factor = v16_set1(s->keep[lane]);
		for (uint32_t d = 0; d < s->a->value; d += 16)
			v16_store(s->sum + lane * stride + d,
			          v16_mul(v16_load(s->sum + lane * stride + d), factor));
	}
}

static void split_give(const struct split *s, size_t stride)
{
	const struct attn_view *a = s->a;
	float total[16];
	v16_store(total, s->total);
	for (uint32_t lane = 0; lane < lanes_of(s); lane++) {
		float *out = a->out + lane / s->heads * a->out_row + lane % s->heads * a->out_stride;
		v16 l = v16_set1(total[lane]);
		for (uint32_t d = 0; d < a->value; d += 16)
			v16_store_n(out + d, v16_div(v16_load(s->sum + lane * stride + d), l),
			            a->value - d);
	}
}

static void view_run(const struct attn_view *a, uint32_t heads)
{
	size_t stride = ((size_t)a->value + 15) / 16 * 16;
	struct split s = { .a = a, .query = a->scratch, .heads = heads, .largest = v16_zero(),
		.total = v16_zero(), .first = true };
	s.p = s.query + 16 * (size_t)(a->wide + a->tail);
	s.sum = s.p + (size_t)16 * (KERNEL_SPLIT + 16);
	s.key = s.sum + 16 * stride;
	s.key_stride = a->wide + a->tail + 16;
	check(lanes_of(&s) <= KERNEL_HEADS && (a->rows == 1 || a->tail == 0) &&
	      (a->positions - 1 - a->first) / KERNEL_SPLIT ==
	              (a->positions + a->rows - 2 - a->first) / KERNEL_SPLIT);
	split_query(&s);
	for (uint32_t first = a->first; first < a->positions; first += KERNEL_SPLIT) {
		split_rows(&s, first);
		split_scores(&s);
		split_soften(&s);
		split_values(&s, lanes_of(&s), stride);
		s.first = false;
	}
	if (a->sink != NULL)
		split_sink(&s, stride);
	split_give(&s, stride);
}

void SIMD_NAME(attn_mla)(const struct kernel_mla *a, uint32_t heads)
{
	struct attn_view view = kernel_attn_view_mla(a);
	view_run(&view, heads);
}

void SIMD_NAME(attn_gqa)(const struct kernel_gqa *a, uint32_t heads)
{
	struct attn_view view = kernel_attn_view_gqa(a);
	view_run(&view, heads);
}
