#include "kernels/kernels.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sparse attention: scores of the indexer, the choice, attention over what was chosen. */

#define POSITIONS 900u
#define PAGES ((POSITIONS + 63) / 64)

/* Pages of a cache with keys by number [wide] and tails [tail], then keys of the indexer by position
 * [wide]; what is not written is NaN in each type. */
struct cache {
	enum kernel_cache kind;
	uint32_t wide, tail;
	size_t tail_at, index_at, bytes;
	unsigned char *at;
	const void *page[PAGES];
};

static void cache_open(struct cache *c, enum kernel_cache kind, uint32_t wide, uint32_t tail)
{
	float x[512];
	*c = (struct cache){ .kind = kind, .wide = wide, .tail = tail };
	c->tail_at = kernel_cache_bytes(kind, KERNEL_BY_NUMBER, wide);
	c->index_at = c->tail_at + kernel_cache_bytes(kind, KERNEL_BY_NUMBER, tail);
	c->bytes = c->index_at + kernel_cache_bytes(kind, KERNEL_BY_POSITION, wide);
	c->at = aligned_alloc(64, c->bytes * PAGES);
	memset(c->at, 0xff, c->bytes * PAGES);
	for (uint32_t i = 0; i < PAGES; i++)
		c->page[i] = c->at + i * c->bytes;
	for (uint32_t j = 0; j < POSITIONS; j++) {
		unsigned char *page = c->at + j / 64 * c->bytes;
		fill(x, wide);
		kernel_cache_store(kind, KERNEL_BY_NUMBER, x, wide, j % 64, page);
		fill(x, tail);
		kernel_cache_store(kind, KERNEL_BY_NUMBER, x, tail, j % 64, page + c->tail_at);
		fill(x, wide);
		kernel_cache_store(kind, KERNEL_BY_POSITION, x, wide, j % 64, page + c->index_at);
	}
}

Test(sparse, gathered_positions_are_as_they_were_stored)
{
	for (int kind = 0; kind < KERNEL_CACHES; kind++) {
		for (uint32_t n = 1; n < 100; n += 9) {
			struct cache c;
			float want[100], got[100];
			uint32_t some = 1 + n % 64, position[64];
			enum kernel_cache k = (enum kernel_cache)kind;
			cache_open(&c, k, n, 2);
			size_t bytes = kernel_cache_bytes(k, KERNEL_BY_NUMBER, n);
			unsigned char *to = aligned_alloc(64, bytes + 64);
			memset(to, 0x5a, bytes + 64);
			for (uint32_t i = 0; i < some; i++)
				position[i] = i * 13 + i * n % 2;
			kernel_cache_gather(k, c.page, 0, n, position, some, to);
			for (uint32_t i = 0; i < some; i++) {
				kernel_cache_load(k, KERNEL_BY_NUMBER, c.page[position[i] / 64], n,
				                  position[i] % 64, want);
				kernel_cache_load(k, KERNEL_BY_NUMBER, to, n, i, got);
				cr_assert_eq(memcmp(want, got, 4 * n), 0, "kind %d width %u place %u", kind, n, i);
			}
			for (size_t i = 0; i < 64; i++)
				cr_assert_eq(to[bytes + i], 0x5a);
			free(c.at), free(to);
		}
	}
}

struct call {
	struct cache c;
	struct kernel_attention a;
	float *query, *tail, *out;
	uint32_t chosen[POSITIONS];
};

static void call_open(struct call *s, enum kernel_cache kind, uint32_t heads, uint32_t wide,
                      uint32_t tail)
{
	size_t room = kernel_attention_scratch(heads, wide, tail, wide) * 4;
	cache_open(&s->c, kind, wide, tail);
	s->query = malloc(4 * (size_t)heads * wide), s->tail = malloc(4 * (size_t)heads * tail);
	s->out = malloc(4 * (size_t)heads * wide);
	fill(s->query, (size_t)heads * wide), fill(s->tail, (size_t)heads * tail);
	s->a = (struct kernel_attention){ .cache = kind, .keys = KERNEL_BY_NUMBER, .wide = wide,
		.tail = tail, .value = wide, .tail_at = s->c.tail_at, .page = s->c.page, .heads = heads,
		.rows = 1, .query = s->query, .query_tail = s->tail, .query_head = wide, .tail_head = tail,
		.scale = 0.5f, .out = s->out, .out_head = wide,
		.scratch = aligned_alloc(64, (room + 63) / 64 * 64),
		.gathered = aligned_alloc(64, kernel_attention_gathered(kind, wide, tail)) };
	memset(s->a.gathered, 0xff, kernel_attention_gathered(kind, wide, tail));
}

static void call_close(struct call *s)
{
	free(s->c.at), free(s->query), free(s->tail), free(s->out), free(s->a.scratch), free(s->a.gathered);
}

/* About one position of `every`; returns how many. */
static uint32_t choose_some(struct call *s, uint32_t end, float every)
{
	uint32_t n = 0;
	for (uint32_t j = 0; j < end; j++) {
		if (n == 0 || (noise() + 1) / 2 * every < 1)
			s->chosen[n++] = j;
	}
	s->a.positions = n;
	s->a.chosen = s->chosen;
	return n;
}

static const struct { uint32_t heads, wide, tail; float every; } shapes[] = {
	{ 1, 16, 2, 3 }, { 3, 14, 8, 1.4f }, { 16, 64, 16, 10 }, { 40, 100, 6, 2 }, { 64, 128, 64, 1.01f },
};
#define SHAPES (sizeof shapes / sizeof *shapes)

Test(sparse, chosen_positions_of_all_sets_agree_bitwise_and_with_truth)
{
	static struct call s;
	static double truth[64 * 128];
	static float want[64 * 128];
	for (size_t i = 0; i < SHAPES * KERNEL_CACHES; i++) {
		uint32_t heads = shapes[i / KERNEL_CACHES].heads, wide = shapes[i / KERNEL_CACHES].wide;
		call_open(&s, (enum kernel_cache)(i % KERNEL_CACHES), heads, wide,
		          shapes[i / KERNEL_CACHES].tail);
		choose_some(&s, POSITIONS - 3, shapes[i / KERNEL_CACHES].every);
		kernel_truth_attn(&s.a, truth);
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			kernel_attention_run(kernels_at(k), &s.a);
			if (k == 0)
				memcpy(want, s.out, 4 * heads * wide);
			cr_assert_eq(memcmp(want, s.out, 4 * heads * wide), 0, "%s case %zu", kernels_at(k)->name,
			             i);
			for (uint32_t d = 0; d < heads * wide; d++)
				cr_assert_lt(fabs((double)s.out[d] - truth[d]), 1e-5, "case %zu", i);
		}
		call_close(&s);
	}
}

Test(sparse, choosing_all_positions_has_the_bits_of_the_call_without)
{
	static struct call s;
	static float want[64 * 128];
	for (size_t i = 0; i < SHAPES * KERNEL_CACHES; i++) {
		uint32_t heads = shapes[i / KERNEL_CACHES].heads, wide = shapes[i / KERNEL_CACHES].wide;
		call_open(&s, (enum kernel_cache)(i % KERNEL_CACHES), heads, wide,
		          shapes[i / KERNEL_CACHES].tail);
		for (uint32_t end = 1; end < POSITIONS; end += 149) {
			cr_assert_eq(choose_some(&s, end, 0.5f), end);
			for (size_t k = 0; kernels_at(k) != NULL; k++) {
				s.a.chosen = NULL;
				kernel_attention_run(kernels_at(k), &s.a);
				memcpy(want, s.out, 4 * heads * wide);
				s.a.chosen = s.chosen;
				kernel_attention_run(kernels_at(k), &s.a);
				cr_assert_eq(memcmp(want, s.out, 4 * heads * wide), 0, "%s case %zu of %u",
				             kernels_at(k)->name, i, end);
			}
		}
		call_close(&s);
	}
}

Test(sparse, splits_of_chosen_positions_join_to_the_bits_of_one_call)
{
	static struct call s;
	static float want[16 * 64];
	call_open(&s, KERNEL_CACHE_BF16, 16, 64, 16);
	choose_some(&s, POSITIONS, 1.2f);
	uint32_t splits = kernel_attention_splits(&s.a);
	size_t step = kernel_attention_record(16, 64);
	float *record = aligned_alloc(64, (4 * step * splits + 63) / 64 * 64);
	cr_assert_geq(splits, 3);
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		kernel_attention_run(kernels_at(k), &s.a);
		memcpy(want, s.out, sizeof want);
		for (uint32_t i = splits; i-- > 0;)
			kernels_at(k)->attn(&s.a, i, 1, record + i * step, false);
		kernels_at(k)->attn_join(&s.a, 0, 16, record, splits, true);
		cr_assert_eq(memcmp(want, s.out, sizeof want), 0, "%s", kernels_at(k)->name);
	}
	free(record);
	call_close(&s);
}

/* ---- the indexer ---- */

static double index_truth(const struct cache *c, const struct kernel_index *x, uint32_t j)
{
	double sum = 0;
	float key[512];
	kernel_cache_load(c->kind, KERNEL_BY_POSITION, c->at + j / 64 * c->bytes + c->index_at, x->wide,
	                  j % 64, key);
	for (uint32_t h = 0; h < x->heads; h++) {
		double s = 0;
		for (uint32_t k = 0; k < x->wide; k++)
			s += (double)x->query[h * x->wide + k] * (double)key[k];
		sum += (double)x->weight[h] * fmax(s, 0);
	}
	return sum;
}

Test(sparse, index_scores_of_all_sets_agree_bitwise_and_with_truth)
{
	static const uint32_t heads[] = { 1, 3, 8, 13, 64 }, wides[] = { 2, 11, 33, 128 };
	static float query[64 * 128], weight[64], want[POSITIONS], got[POSITIONS + 1];
	for (size_t i = 0; i < 20 * KERNEL_CACHES; i++) {
		struct cache c;
		struct kernel_index x = { .heads = heads[i % 5], .wide = wides[i / 5 % 4], .query = query,
			.weight = weight };
		x.cache = (enum kernel_cache)(i / 20);
		cache_open(&c, x.cache, x.wide, 2);
		fill(query, sizeof query / 4), fill(weight, 64);
		x.page = c.page, x.key_at = c.index_at;
		x.scratch = malloc(4 * kernel_index_scratch(x.heads, x.wide));
		kernels_at(0)->index(&x, 0, POSITIONS - 5, want);
		for (uint32_t j = 0; j < POSITIONS - 5; j++)
			cr_assert_lt(fabs((double)want[j] - index_truth(&c, &x, j)), 2e-5, "case %zu position %u",
			             i, j);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			for (uint32_t from = 0, to; from < POSITIONS - 5; from = to) {
				to = from + 64 * (1 + (uint32_t)i % 4);
				to = to < POSITIONS - 5 ? to : POSITIONS - 5;
				got[to] = 7;
				kernels_at(k)->index(&x, from, to, got + from);
				cr_assert_eq(got[to], 7);
			}
			cr_assert_eq(memcmp(want, got, 4 * (POSITIONS - 5)), 0, "%s case %zu", kernels_at(k)->name, i);
		}
		free(c.at), free(x.scratch);
	}
}

/* Better: larger, or equal and earlier; NaN is least. */
static bool better(const float *score, uint32_t a, uint32_t b)
{
	bool nan_a = isnan(score[a]), nan_b = isnan(score[b]);
	if (nan_a || nan_b)
		return nan_a == nan_b ? a < b : nan_b;
	return score[a] == score[b] ? a < b : score[a] > score[b];
}

Test(sparse, choice_is_of_the_best_and_of_equals_of_the_lowest)
{
	static float score[300];
	static uint32_t chosen[300];
	for (int c = 0; c < 60; c++) {
		uint32_t n = 1 + (uint32_t)((noise() + 1) * 149), k = 1 + (uint32_t)((noise() + 1) / 2 * (float)(n - 1));
		fill(score, n);
		for (uint32_t i = 0; i < n; i++) {
			score[i] = c % 3 == 0 ? rintf(score[i] * 4) / 4 : score[i] * 1e-3f;
			if (c % 5 == 0 && i % 7 == 0)
				score[i] = i % 2 ? NAN : -INFINITY;
			if (c % 4 == 0 && i % 3 == 0)
				score[i] = i % 2 ? 0.0f : -0.0f;
		}
		kernel_index_choose(score, n, k, chosen);
		bool in[300] = { false };
		for (uint32_t i = 0; i < k; i++) {
			cr_assert(chosen[i] < n && (i == 0 || chosen[i] > chosen[i - 1]));
			in[chosen[i]] = true;
		}
		for (uint32_t a = 0; a < n; a++) {
			for (uint32_t b = 0; b < n; b++)
				cr_assert(!in[a] || in[b] || better(score, a, b), "case %d: %u before %u", c, a, b);
		}
	}
}
