#include "kernels/kernels.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The cache's types and sides: what they recall, and attention over them. */

static const char *const names[KERNEL_CACHES] = { "f32", "bf16", "int8" };

#define PART_MOST (64 * 4 * 112)

Test(attention, cache_parts_recall_within_their_step)
{
	static float x[64][100], back[100];
	static unsigned char part[PART_MOST + 4];
	for (uint32_t n = 1; n <= 100; n += n < 40 ? 1 : 7) {
		for (int c = 0; c < 2 * KERNEL_CACHES; c++) {
			enum kernel_cache cache = (enum kernel_cache)(c / 2);
			enum kernel_side side = (enum kernel_side)(c % 2);
			size_t bytes = kernel_cache_bytes(cache, side, n);
			cr_assert(bytes % 64 == 0 && bytes <= PART_MOST);
			memset(part, 0x5a, sizeof part);
			for (uint32_t j = 0; j < 64; j++) {
				fill(x[j], n);
				for (uint32_t i = 0; i < n && i < 32; i++)
					x[j][i] *= 1e-6f; /* a group of its own, with a subnormal scale */
				kernel_cache_store(cache, side, x[j], n, j, part);
			}
			cr_assert_eq(part[bytes], 0x5a, "%s of %u writes past its end", names[c / 2], n);
			for (uint32_t j = 0; j < 64; j++) {
				kernel_cache_load(cache, side, part, n, j, back);
				for (uint32_t i = 0; i < n; i++) {
					float most = 0, v = x[j][i];
					for (uint32_t k = i / 32 * 32; k < n && k < i / 32 * 32 + 32; k++)
						most = fmaxf(most, fabsf(x[j][k]));
					float step = cache == KERNEL_CACHE_F32    ? 0
					             : cache == KERNEL_CACHE_BF16 ? fabsf(v) / 256
					                                          : (most / 127 * 1.001f + 0x1p-24f) / 2;
					cr_assert_leq(fabsf(back[i] - v), step, "%s of %u: [%u][%u] %g for %g",
					              names[c / 2], n, j, i, (double)back[i], (double)v);
				}
			}
		}
	}
}

Test(attention, cache_parts_survive_extremes)
{
	const float x[6] = { 3e38f, -3e38f, 0, 1e-40f, -1, NAN };
	float back[6];
	static unsigned char part[PART_MOST];
	for (int s = 0; s < 2; s++) {
		enum kernel_side side = (enum kernel_side)s;
		kernel_cache_store(KERNEL_CACHE_INT8, side, x, 6, 5, part);
		kernel_cache_load(KERNEL_CACHE_INT8, side, part, 6, 5, back);
		for (int i = 0; i < 6; i++)
			cr_assert(number_is_finite(back[i]));
		cr_assert(back[0] == 127 * 65504.0f && back[1] == -back[0] && back[2] == 0);
		kernel_cache_store(KERNEL_CACHE_INT8, side, x + 2, 1, 63, part);
		kernel_cache_load(KERNEL_CACHE_INT8, side, part, 1, 63, back);
		cr_assert_eq(back[0], 0);
	}
}

/* wide, tail: of a key; with a tail the value is the key's first part (latent), else its own, of
 * `value` numbers (0: as many as a key). */
struct attention_case {
	uint32_t heads, rows, wide, tail, first, positions;
	bool moves, sinks;
	uint32_t value;
	float softcap;
};

static const struct attention_case cases[] = {
	{ 1, 1, 16, 2, 0, 1, false, false, 0, 0 }, { 3, 1, 36, 24, 0, 65, false, false, 0, 0 },
	{ 16, 1, 512, 64, 0, 257, false, false, 0, 0 },
	{ 13, 1, 100, 6, 0, 600, false, false, 0, 0 },
	{ 7, 1, 80, 10, 0, 63, false, false, 0, 0 },
	{ 16, 2, 64, 16, 0, 511, false, false, 0, 0 },
	{ 20, 3, 48, 16, 0, 769, false, false, 0, 0 },
	{ 1, 32, 32, 8, 0, 300, false, false, 0, 0 },
	{ 1, 1, 16, 0, 0, 1, false, false, 0, 0 }, { 3, 1, 20, 0, 0, 24, false, true, 0, 0 },
	{ 4, 1, 36, 0, 57, 65, false, true, 0, 0 },
	{ 16, 1, 128, 0, 0, 257, false, true, 0, 0 },
	{ 8, 1, 128, 0, 5, 300, false, false, 0, 0 },
	{ 13, 1, 100, 0, 3, 600, false, false, 0, 0 },
	{ 7, 1, 80, 0, 62, 63, false, true, 0, 0 },
	{ 2, 1, 64, 0, 0, 1030, false, false, 0, 0 },
	{ 8, 2, 128, 0, 0, 1, false, false, 0, 0 },
	{ 1, 16, 20, 0, 0, 241, false, true, 0, 0 },
	{ 3, 5, 36, 0, 0, 257, false, true, 0, 0 }, { 5, 3, 64, 0, 0, 40, false, false, 0, 0 },
	{ 4, 2, 80, 0, 0, 511, false, false, 0, 0 },
	{ 8, 8, 64, 0, 0, 700, false, false, 0, 0 },
	{ 1, 64, 33, 0, 0, 513, false, false, 0, 0 },
	{ 1, 40, 16, 0, 7, 40, true, true, 0, 0 }, { 8, 8, 64, 0, 41, 169, true, true, 0, 0 },
	{ 6, 5, 48, 0, 201, 801, true, false, 0, 0 },
	{ 1, 64, 16, 0, 255, 767, true, false, 0, 0 },
	{ 4, 3, 36, 0, 0, 300, false, true, 20, 0 },
	{ 8, 8, 48, 0, 41, 169, true, true, 80, 0 },
	{ 1, 1, 192, 0, 0, 600, false, false, 128, 0 },
	{ 5, 1, 17, 0, 3, 90, false, false, 33, 0.4f },
	{ 4, 5, 64, 0, 0, 257, false, true, 0, 0.3f },
	{ 16, 2, 64, 16, 0, 300, false, false, 0, 0.5f },
	{ 1, 40, 16, 0, 7, 40, true, true, 0, 1 },
};
#define CASES (sizeof cases / sizeof cases[0])

/* A case with its memory. */
struct setting {
	struct kernel_attention a;
	size_t page_bytes, n; /* n: floats of the answer */
	uint32_t pages;
	unsigned char *cache;
	const void *page[24];
	float *q, *tail, *scratch, sink[KERNEL_LANES];
};

static uint32_t end_of(const struct kernel_attention *a)
{
	return a->positions + a->rows - 1;
}

/* The cache of positions [first, end) of a page's parts; all other bytes are 0xff: NaN in each type. */
static void cache_fill(struct setting *s)
{
	const struct kernel_attention *a = &s->a;
	float x[600];
	memset(s->cache, 0xff, s->page_bytes * s->pages);
	for (uint32_t j = a->first; j < end_of(a); j++) {
		unsigned char *page = s->cache + j / 64 * s->page_bytes;
		fill(x, a->wide);
		kernel_cache_store(a->cache, a->keys, x, a->wide, j % 64, page + a->key_at);
		fill(x, a->tail > 0 ? a->tail : a->value);
		if (a->tail > 0)
			kernel_cache_store(a->cache, a->keys, x, a->tail, j % 64, page + a->tail_at);
		else
			kernel_cache_store(a->cache, KERNEL_BY_NUMBER, x, a->value, j % 64,
			                   page + a->value_at);
	}
}

static void setting_open(struct setting *s, const struct attention_case *c, enum kernel_cache cache)
{
	enum kernel_side keys = c->tail > 0 ? KERNEL_BY_NUMBER : KERNEL_BY_POSITION;
	uint32_t value = c->value > 0 ? c->value : c->wide, most = c->wide > value ? c->wide : value;
	uint32_t lanes = c->heads * c->rows, stride = c->heads * most + 7, n = stride * c->rows;
	size_t key = kernel_cache_bytes(cache, keys, c->wide),
	       more = kernel_cache_bytes(cache, KERNEL_BY_NUMBER, c->tail > 0 ? c->tail : value);
	size_t room = kernel_attention_scratch(lanes, c->wide, c->tail, value);
	s->page_bytes = key + more;
	s->n = n;
	s->pages = (c->positions + c->rows - 2) / 64 + 1;
	s->cache = aligned_alloc(64, s->page_bytes * s->pages);
	s->q = malloc(4 * n), s->tail = malloc(4 * (size_t)c->tail * lanes + 4);
	s->scratch = aligned_alloc(64, (4 * room + 63) / 64 * 64);
	memset(s->scratch, 0xff, 4 * room);
	fill(s->q, n), fill(s->tail, (size_t)c->tail * lanes), fill(s->sink, KERNEL_LANES);
	for (uint32_t i = 0; i < s->pages; i++)
		s->page[i] = s->cache + i * s->page_bytes;
	s->a = (struct kernel_attention){ .cache = cache, .keys = keys, .wide = c->wide, .tail = c->tail,
		.value = value, .tail_at = key, .value_at = c->tail > 0 ? 0 : key, .page = s->page,
		.heads = c->heads, .rows = c->rows, .query = s->q, .query_tail = s->tail,
		.query_head = c->wide, .query_row = stride, .tail_head = c->tail,
		.tail_row = (size_t)c->tail * c->heads, .first = c->first, .positions = c->positions,
		.moves = c->moves, .scale = 0.7f, .softcap = c->softcap, .sink = c->sinks ? s->sink : NULL,
		.out_head = value, .out_row = stride, .scratch = s->scratch };
	cache_fill(s);
}

static void setting_close(struct setting *s)
{
	free(s->cache), free(s->q), free(s->tail), free(s->scratch);
}

static void each_case(void (*check)(struct setting *s, const char *what))
{
	char what[80];
	for (int cache = 0; cache < KERNEL_CACHES; cache++) {
		for (size_t c = 0; c < CASES; c++) {
			struct setting s;
			setting_open(&s, &cases[c], (enum kernel_cache)cache);
			snprintf(what, sizeof what, "%s case %zu", names[cache], c);
			check(&s, what);
			setting_close(&s);
		}
	}
}

/* Row r of two answers; NaN is equal to NaN. */
static void same_row(const struct kernel_attention *a, const float *want, const float *got, uint32_t r,
                     const char *set, const char *what)
{
	for (uint32_t i = 0; i < a->heads * a->value; i++) {
		float x = want[i], y = got[i];
		cr_assert(memcmp(&x, &y, 4) == 0 || (isnan(x) && isnan(y)), "%s %s row %u: %g for %g", set,
		          what, r, (double)y, (double)x);
	}
}

static void check_sets(struct setting *s, const char *what)
{
	struct kernel_attention a = s->a;
	float *want = malloc(4 * s->n), *got = malloc(4 * s->n);
	double *truth = malloc(8 * s->n);
	kernel_truth_attn(&a, truth);
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		a.out = k == 0 ? want : got;
		kernel_attention_run(kernels_at(k), &a);
		for (uint32_t r = 0; r < a.rows; r++) {
			const float *to = a.out + r * a.out_row;
			for (uint32_t i = 0; i < a.heads * a.value; i++)
				cr_assert_lt(fabs((double)to[i] - truth[r * a.heads * a.value + i]), 1e-5,
				             "%s %s row %u", kernels_at(k)->name, what, r);
			same_row(&a, want + r * a.out_row, to, r, kernels_at(k)->name, what);
		}
	}
	free(want), free(got), free(truth);
}

Test(attention, sets_agree_bitwise_and_with_truth_over_every_cache)
{
	each_case(check_sets);
}

/* Rows of a call have the bits of one at a time over a cache that ends with it. The last row's own
 * position holds NaN, which only that row may show. */
static void check_rows(struct setting *s, const char *what)
{
	struct kernel_attention all = s->a;
	float *want = malloc(4 * s->n), *got = malloc(4 * s->n), nan[600];
	uint32_t last = end_of(&all) - 1;
	for (uint32_t i = 0; i < all.wide; i++)
		nan[i] = NAN;
	unsigned char *page = s->cache + last / 64 * s->page_bytes;
	if (all.cache != KERNEL_CACHE_INT8)
		kernel_cache_store(all.cache, all.keys, nan, all.wide, last % 64, page + all.key_at);
	all.out = want;
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		kernel_attention_run(kernels_at(k), &all);
		for (uint32_t r = 0; r < all.rows; r++) {
			struct kernel_attention one = all;
			one.rows = 1, one.first += all.moves ? r : 0, one.positions += r, one.out = got;
			one.query += r * all.query_row, one.query_tail += r * all.tail_row;
			kernel_attention_run(kernels_at(k), &one);
			same_row(&all, want + r * all.out_row, got, r, kernels_at(k)->name, what);
		}
	}
	free(want), free(got);
}

Test(attention, rows_of_a_call_have_the_bits_of_one_at_a_time)
{
	each_case(check_rows);
}

/* Splits one by one or by chunks, their records taken in in waves and by lanes: the same bits. */
static void check_splits(struct setting *s, const char *what)
{
	struct kernel_attention a = s->a;
	uint32_t splits = kernel_attention_splits(&a), lanes = a.heads * a.rows;
	size_t step = kernel_attention_record(lanes, a.value);
	float *want = malloc(4 * s->n), *got = malloc(4 * s->n), *record = malloc(4 * step * 3);
	for (size_t k = 0; kernels_at(k) != NULL && splits > 1; k++) {
		const struct kernels *set = kernels_at(k);
		a.out = want;
		kernel_attention_run(set, &a);
		a.out = got;
		for (uint32_t from = 0, n; from < splits; from += n) {
			uint32_t slot = from > 0, half = lanes / 2;
			n = splits - from < 3 - slot ? splits - from : 3 - slot;
			for (uint32_t i = n; i-- > 0;) /* in any order */
				set->attn(&a, from + i, 1, record + (slot + i) * step, false);
			if (half > 0)
				set->attn_join(&a, 0, half, record, slot + n, from + n == splits);
			set->attn_join(&a, half, lanes - half, record, slot + n, from + n == splits);
		}
		for (uint32_t r = 0; r < a.rows; r++)
			same_row(&a, want + r * a.out_row, got + r * a.out_row, r, set->name, what);
	}
	free(want), free(got), free(record);
}

Test(attention, splits_joined_in_waves_have_the_bits_of_one_call)
{
	each_case(check_splits);
}
