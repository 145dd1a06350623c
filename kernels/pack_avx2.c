/* Packing in AVX2, for every vector set; pack.c has the canonical form. Sixteen rows go together,
 * 64 values of K at a time: each row is brought to the words that it has in the panel, then words
 * change places, rows for steps. Bound: memory, nearly. */
#include "base/check.h"
#include "kernels/layout.h"
#include "kernels/ops.h"
#include "kernels/pack.h"

#include <immintrin.h>
#include <string.h>

#define CHUNK 64

struct chunk {
	_Alignas(64) float value[KERNEL_PANEL][CHUNK];
	_Alignas(64) unsigned char word[KERNEL_PANEL][4 * CHUNK]; /* as in the panel */
	const unsigned char *row[KERNEL_PANEL];                   /* the words of each row */
	__m256i most;                                             /* largest magnitudes, as bits */
};

static size_t stored_bytes(enum kernel_stored s)
{
	return s == KERNEL_FROM_F32 ? 4 : s == KERNEL_FROM_E4M3 ? 1 : 2;
}

static bool is_raw(enum kernel_format f, enum kernel_stored s)
{
	return (f == KERNEL_F32 && s == KERNEL_FROM_F32) || (f == KERNEL_F16 && s == KERNEL_FROM_F16) ||
	       (f == KERNEL_BF16 && s == KERNEL_FROM_BF16) || f == KERNEL_FP8;
}

/* Bytes that 64 values of a row take in a panel, scales apart. */
static size_t word_bytes(enum kernel_format f)
{
	switch (f) {
	case KERNEL_F32: return 256;
	case KERNEL_BF16:
	case KERNEL_F16: return 128;
	case KERNEL_Q4: return 32;
	default: return 64;
	}
}

/* ---- source to f32 ---- */

static inline __m256 decode(enum kernel_stored s, const unsigned char *v)
{
	if (s == KERNEL_FROM_F32)
		return _mm256_loadu_ps((const float *)(const void *)v);
	if (s == KERNEL_FROM_E4M3) { /* f16 with the same exponent field, whose bias is 8 larger */
		__m128i b = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)v));
		__m128i sign = _mm_slli_epi16(_mm_and_si128(b, _mm_set1_epi16(0x80)), 8);
		__m128i rest = _mm_slli_epi16(_mm_and_si128(b, _mm_set1_epi16(0x7f)), 7);
		return _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(sign, rest)),
				     _mm256_set1_ps(256));
	}
	__m128i h = _mm_loadu_si128((const __m128i *)(const void *)v);
	if (s == KERNEL_FROM_F16)
		return _mm256_cvtph_ps(h);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* A NaN of E4M3 would decode to a number, so it is looked for in the bytes. */
static bool has_nan(const unsigned char *v)
{
	const __m256i all = _mm256_set1_epi8(0x7f);
	__m256i a = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)v), all);
	__m256i b = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)(v + 32)), all);
	a = _mm256_or_si256(_mm256_cmpeq_epi8(a, all), _mm256_cmpeq_epi8(b, all));
	return _mm256_movemask_epi8(a) != 0;
}

static inline __attribute__((always_inline)) void decode_as(struct chunk *c, uint32_t lane,
							    const enum kernel_stored s,
							    const unsigned char *v,
							    const float *scale)
{
	const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
	size_t bytes = 8 * stored_bytes(s);
	__m256i most = c->most;
	for (size_t j = 0; j < CHUNK / 8; j++) {
		__m256 x = decode(s, v + j * bytes);
		if (scale != NULL)
			x = _mm256_mul_ps(x, _mm256_set1_ps(*scale));
		most = _mm256_max_epu32(most, _mm256_and_si256(_mm256_castps_si256(x), magnitude));
		_mm256_store_ps(c->value[lane] + 8 * j, x);
	}
	if (s == KERNEL_FROM_E4M3 && has_nan(v))
		most = magnitude;
	c->most = most;
}

static void decode_row(struct chunk *c, uint32_t lane, enum kernel_stored s, const unsigned char *v,
		       const float *scale)
{
	if (s == KERNEL_FROM_BF16)
		decode_as(c, lane, KERNEL_FROM_BF16, v, NULL);
	else if (s == KERNEL_FROM_F32)
		decode_as(c, lane, KERNEL_FROM_F32, v, NULL);
	else if (s == KERNEL_FROM_F16)
		decode_as(c, lane, KERNEL_FROM_F16, v, NULL);
	else
		decode_as(c, lane, KERNEL_FROM_E4M3, v, scale);
}

/* ---- f32 to words ---- */

static __m256i load_i(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static void store_i(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }

static __m256i round_bf16(__m256 v)
{
	__m256i b = _mm256_castps_si256(v);
	__m256i odd = _mm256_and_si256(_mm256_srli_epi32(b, 16), _mm256_set1_epi32(1));
	b = _mm256_add_epi32(_mm256_add_epi32(b, _mm256_set1_epi32(0x7fff)), odd);
	return _mm256_srli_epi32(b, 16);
}

static void halves_row(enum kernel_format f, const float *v, unsigned char *word)
{
	for (size_t j = 0; j < CHUNK; j += 16) {
		__m256 a = _mm256_load_ps(v + j), b = _mm256_load_ps(v + j + 8);
		__m256i h;
		if (f == KERNEL_BF16)
			h = _mm256_permute4x64_epi64(
				_mm256_packus_epi32(round_bf16(a), round_bf16(b)), 0xd8);
		else
			h = _mm256_set_m128i(_mm256_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT),
					     _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
		store_i(word + 2 * j, h);
	}
}

/* round(v * inverse) of 32 values, as bytes in order. */
static __m256i round_group(const float *v, float inverse)
{
	__m256i n[4];
	for (size_t j = 0; j < 4; j++)
		n[j] = _mm256_cvtps_epi32(
			_mm256_mul_ps(_mm256_load_ps(v + 8 * j), _mm256_set1_ps(inverse)));
	__m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]),
					   _mm256_packs_epi32(n[2], n[3]));
	return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static float across(__m256 a, bool largest)
{
	__m128 x = _mm256_castps256_ps128(a), y = _mm256_extractf128_ps(a, 1);
	x = largest ? _mm_max_ps(x, y) : _mm_min_ps(x, y);
	y = _mm_movehl_ps(x, x);
	x = largest ? _mm_max_ps(x, y) : _mm_min_ps(x, y);
	y = _mm_shuffle_ps(x, x, 1);
	return _mm_cvtss_f32(largest ? _mm_max_ps(x, y) : _mm_min_ps(x, y));
}

/* The largest and least value of a group, zero included: its scale is made from them. */
static void extremes(const float *v, float *high, float *low)
{
	__m256 most = _mm256_setzero_ps(), least = most;
	for (size_t j = 0; j < KERNEL_GROUP; j += 8) {
		most = _mm256_max_ps(_mm256_load_ps(v + j), most);
		least = _mm256_min_ps(_mm256_load_ps(v + j), least);
	}
	*high = across(most, true);
	*low = across(least, false);
}

/* The scales of one group for all rows, as f16 to `scale`, and the inverses of those rounded
 * scales. */
static void group_scales(enum kernel_format f, const struct chunk *c, size_t k,
			 unsigned char *scale, float *inverse)
{
	_Alignas(32) float high[KERNEL_PANEL], low[KERNEL_PANEL];
	const __m256 minus = _mm256_set1_ps(-0.0f);
	for (size_t i = 0; i < KERNEL_PANEL; i++)
		extremes(c->value[i] + k, &high[i], &low[i]);
	for (size_t i = 0; i < KERNEL_PANEL; i += 8) {
		__m256 h = _mm256_load_ps(high + i), l = _mm256_load_ps(low + i), d;
		__m256 negated = _mm256_xor_ps(l, minus);
		if (f == KERNEL_Q8)
			d = _mm256_div_ps(_mm256_max_ps(negated, h), _mm256_set1_ps(127));
		else
			d = _mm256_mul_ps(
				_mm256_blendv_ps(l, h, _mm256_cmp_ps(h, negated, _CMP_GE_OQ)),
				_mm256_set1_ps(-0.125f));
		__m128i half = _mm256_cvtps_ph(d, _MM_FROUND_TO_NEAREST_INT);
		_mm_storeu_si128((__m128i *)(void *)(scale + 2 * i), half);
		d = _mm256_cvtph_ps(half);
		__m256 some = _mm256_cmp_ps(d, _mm256_setzero_ps(), _CMP_NEQ_OQ);
		_mm256_storeu_ps(inverse + i,
				 _mm256_and_ps(_mm256_div_ps(_mm256_set1_ps(1), d), some));
	}
}

static void group_words(enum kernel_format f, struct chunk *c, size_t g, unsigned char *scale)
{
	float inverse[KERNEL_PANEL];
	group_scales(f, c, g * KERNEL_GROUP, scale, inverse);
	for (size_t i = 0; i < KERNEL_PANEL; i++) {
		__m256i b = round_group(c->value[i] + g * KERNEL_GROUP, inverse[i]);
		if (f == KERNEL_Q8) {
			b = _mm256_max_epi8(b, _mm256_set1_epi8(-127));
			store_i(c->word[i] + 32 * g, _mm256_xor_si256(b, _mm256_set1_epi8(-128)));
			continue;
		}
		b = _mm256_add_epi8(b, _mm256_set1_epi8(8));
		b = _mm256_min_epi8(_mm256_max_epi8(b, _mm256_setzero_si256()),
				    _mm256_set1_epi8(15));
		b = _mm256_or_si256(b, _mm256_srli_epi64(b, 28)); /* codes 4 to 7 above 0 to 3 */
		b = _mm256_permutevar8x32_epi32(b, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
		_mm_storeu_si128((__m128i *)(void *)(c->word[i] + 16 * g),
				 _mm256_castsi256_si128(b));
	}
}

/* ---- words to the panel ---- */

/* Eight words of eight rows: word s of all rows goes to `to` + 64 s. */
static void turn_8x8(const unsigned char *const *row, size_t at, unsigned char *to)
{
	__m256i a[8], b[8];
	for (int i = 0; i < 8; i += 2) {
		__m256i x = load_i(row[i] + at), y = load_i(row[i + 1] + at);
		a[i] = _mm256_unpacklo_epi32(x, y);
		a[i + 1] = _mm256_unpackhi_epi32(x, y);
	}
	for (int i = 0; i < 8; i += 4) {
		b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
		b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
		b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
		b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		store_i(to + 64 * i, _mm256_permute2x128_si256(b[i], b[i + 4], 0x20));
		store_i(to + 64 * (i + 4), _mm256_permute2x128_si256(b[i], b[i + 4], 0x31));
	}
}

/* Sixteen words of two f16 each, to [2][16] f16. */
static void split_halves(unsigned char *at)
{
	__m256i a = load_i(at), b = load_i(at + 32), low = _mm256_set1_epi32(0xffff);
	__m256i even = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
	__m256i odd = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
	store_i(at, _mm256_permute4x64_epi64(even, 0xd8));
	store_i(at + 32, _mm256_permute4x64_epi64(odd, 0xd8));
}

static void turn(enum kernel_format f, const struct chunk *c, unsigned char *to)
{
	for (size_t at = 0; at < word_bytes(f); at += 32) {
		turn_8x8(c->row, at, to + 16 * at);
		turn_8x8(c->row + 8, at, to + 16 * at + 32);
		for (size_t s = 0; s < 8 && f == KERNEL_F16; s++)
			split_halves(to + 16 * at + 64 * s);
	}
}

/* ---- panels ---- */

/* Words that the panel takes unchanged; only their size matters. They are copied first: rows of the
 * source are often a power of two apart, and would evict each other from the first-level cache
 * before they are transposed. */
static void raw_words(struct chunk *c, enum kernel_format f, const unsigned char *v,
		      unsigned char *word)
{
	if (f == KERNEL_FP8 && has_nan(v))
		c->most = _mm256_set1_epi32(0x7fffffff);
	for (size_t at = 0; at < word_bytes(f); at += 32) {
		__m256i x = load_i(v + at);
		store_i(word + at, x);
		if (f == KERNEL_FP8)
			continue;
		if (f == KERNEL_F16) { /* an exponent of ones */
			const __m256i ones = _mm256_set1_epi16(0x7c00);
			x = _mm256_cmpeq_epi16(_mm256_and_si256(x, ones), ones);
			if (_mm256_movemask_epi8(x) != 0)
				c->most = _mm256_set1_epi32(0x7fffffff);
			continue;
		}
		__m256i magnitude = _mm256_set1_epi32(f == KERNEL_BF16 ? 0x7fff0000 : 0x7fffffff);
		c->most = _mm256_max_epu32(c->most, _mm256_and_si256(x, magnitude));
		if (f == KERNEL_BF16)
			c->most = _mm256_max_epu32(
				c->most, _mm256_and_si256(_mm256_slli_epi32(x, 16), magnitude));
	}
}

/* Row i + lane from k on: at the source, or a copy with zeros beyond K. */
static const unsigned char *source(struct chunk *c, const struct kernel_matrix *w,
				   const struct kernel_stored_rows *from, uint32_t i, uint32_t lane,
				   uint32_t k)
{
	size_t bytes = stored_bytes(from->stored), left = w->columns - k;
	const unsigned char *v = (const unsigned char *)from->value +
				 (size_t)(i + lane) * from->stride_bytes + k * bytes;
	if (left >= CHUNK)
		return v;
	memset(c->word[lane], 0, CHUNK * bytes);
	memcpy(c->word[lane], v, left * bytes);
	return c->word[lane];
}

static const float *scale_of(const struct kernel_stored_rows *from, uint32_t row, uint32_t i,
			     uint32_t k)
{
	if (from->stored != KERNEL_FROM_E4M3 || from->block_scale == NULL)
		return NULL;
	size_t below = (row + i) / KERNEL_FP8_BLOCK - row / KERNEL_FP8_BLOCK;
	return from->block_scale + below * from->block_stride + k / KERNEL_FP8_BLOCK;
}

static void chunk_put(struct chunk *c, const struct kernel_matrix *w, uint32_t row, uint32_t i,
		      uint32_t n, uint32_t k, const struct kernel_stored_rows *from,
		      unsigned char *to)
{
	enum kernel_format f = w->format;
	for (uint32_t lane = 0; lane < n; lane++) {
		const unsigned char *v = source(c, w, from, i, lane, k);
		if (is_raw(f, from->stored))
			raw_words(c, f, v, c->word[lane]);
		else
			decode_row(c, lane, from->stored, v, scale_of(from, row, i + lane, k));
	}
	if (!is_raw(f, from->stored)) {
		for (uint32_t lane = 0; lane < KERNEL_PANEL; lane++) {
			c->row[lane] = f == KERNEL_F32 ? (const unsigned char *)c->value[lane]
						       : c->word[lane];
			if (f == KERNEL_BF16 || f == KERNEL_F16)
				halves_row(f, c->value[lane], c->word[lane]);
		}
		for (size_t g = 0; g < 2 && kernel_is_integer(f); g++)
			group_words(f, c, g, to + 32 * g + (f == KERNEL_Q8 ? Q8_SCALES : Q4_SCALES));
	}
	turn(f, c, to);
}

static bool refused(const struct chunk *c, enum kernel_format f)
{
	uint32_t most[8], limit = pack_limit(f);
	memcpy(most, &c->most, sizeof most);
	for (int i = 0; i < 8; i++) {
		if (most[i] >= limit)
			return true;
	}
	return false;
}

/* One panel, rows [i, i+n) of the source. */
static bool panel_put(struct kernel_matrix *w, unsigned char *p, uint32_t row, uint32_t i,
		      uint32_t n, const struct kernel_stored_rows *from)
{
	struct chunk c;
	_Alignas(64) unsigned char last[KERNEL_PANEL * 4 * CHUNK];
	size_t bytes = layout_panel_bytes(w->format, CHUNK), done = 0;
	c.most = _mm256_setzero_si256();
	memset(c.value, 0, sizeof c.value);
	memset(c.word, 0, sizeof c.word);
	for (uint32_t lane = 0; lane < KERNEL_PANEL; lane++)
		c.row[lane] = c.word[lane];
	for (uint32_t k = 0; k < w->columns; k += CHUNK, done += bytes) {
		bool whole = done + bytes <= w->panel_bytes;
		chunk_put(&c, w, row, i, n, k, from, whole ? p + done : last);
		if (!whole)
			memcpy(p + done, last, w->panel_bytes - done);
	}
	return !refused(&c, w->format);
}

uint64_t kernel_pack_avx2(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			  const struct kernel_stored_rows *from)
{
	kernel_pack_check(w, row, rows, from);
	for (uint32_t i = 0; i < rows; i += KERNEL_PANEL) {
		uint32_t n = rows - i < KERNEL_PANEL ? rows - i : KERNEL_PANEL;
		unsigned char *p = w->panel + (row + i) / KERNEL_PANEL * w->panel_bytes;
		if (!panel_put(w, p, row, i, n, from))
			return kernel_pack_refused(w, row, i, n, from);
	}
	return (uint64_t)rows * w->columns;
}
