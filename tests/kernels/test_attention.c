#include "kernels/kernels.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The cache's types: what they recall, and attention over them. */

static const char *const names[KERNEL_CACHES] = { "f32", "bf16", "int8" };

Test(attention, cache_parts_recall_within_their_step)
{
	float x[100], back[100];
	unsigned char part[400 + 4];
	for (uint32_t n = 1; n <= 100; n++) {
		fill(x, n);
		for (uint32_t i = 0; i < n && i < 32; i++)
			x[i] *= 1e-6f; /* a group of its own, with a subnormal scale */
		for (int c = 0; c < KERNEL_CACHES; c++) {
			size_t bytes = kernel_cache_bytes((enum kernel_cache)c, n);
			cr_assert_eq(bytes % 4, 0);
			memset(part, 0x5a, sizeof part);
			kernel_cache_store((enum kernel_cache)c, x, n, part);
			cr_assert_eq(part[bytes], 0x5a, "%s of %u writes past its end", names[c], n);
			kernel_cache_load((enum kernel_cache)c, part, n, back);
			for (uint32_t i = 0; i < n; i++) {
				float most = 0;
				for (uint32_t k = i / 32 * 32; k < n && k < i / 32 * 32 + 32; k++)
					most = fmaxf(most, fabsf(x[k]));
				float step = c == 0 ? 0 : c == 1 ? fabsf(x[i]) / 256
				                                 : (most / 127 * 1.001f + 0x1p-24f) / 2;
				cr_assert_leq(fabsf(back[i] - x[i]), step, "%s of %u: [%u] %g for %g", names[c],
				              n, i, (double)back[i], (double)x[i]);
			}
		}
	}
}

Test(attention, cache_parts_survive_extremes)
{
	const float x[6] = { 3e38f, -3e38f, 0, 1e-40f, -1, NAN };
	float back[6];
	unsigned char part[24];
	kernel_cache_store(KERNEL_CACHE_INT8, x, 6, part);
	kernel_cache_load(KERNEL_CACHE_INT8, part, 6, back);
	for (int i = 0; i < 6; i++)
		cr_assert(number_is_finite(back[i]));
	cr_assert(back[0] == 127 * 65504.0f && back[1] == -back[0] && back[2] == 0);
	kernel_cache_store(KERNEL_CACHE_INT8, x + 2, 1, part);
	kernel_cache_load(KERNEL_CACHE_INT8, part, 1, back);
	cr_assert_eq(back[0], 0);
}

/* Parts of `width` for all positions, stored; the rest of the pages is 0xff: NaN, if it were read. */
static unsigned char *pages_make(enum kernel_cache c, size_t row_bytes, const uint32_t *width,
                                 uint32_t parts, uint32_t positions)
{
	size_t bytes = row_bytes * ((positions + 63) / 64 * 64);
	unsigned char *cache = malloc(bytes);
	float x[600];
	memset(cache, 0xff, bytes);
	for (uint32_t j = 0; j < positions; j++) {
		unsigned char *at = cache + j * row_bytes;
		for (uint32_t i = 0; i < parts; i++) {
			fill(x, width[i]);
			kernel_cache_store(c, x, width[i], at);
			at += kernel_cache_bytes(c, width[i]);
		}
	}
	return cache;
}

static const struct { uint32_t heads, latent, rope, positions; } latent_cases[] = {
	{ 1, 16, 2, 1 }, { 3, 36, 24, 65 }, { 16, 512, 64, 257 }, { 13, 100, 6, 600 }, { 7, 80, 10, 63 },
};

static void check_latent(enum kernel_cache cache, size_t c)
{
	uint32_t heads = latent_cases[c].heads, width[2] = { latent_cases[c].latent,
		latent_cases[c].rope }, positions = latent_cases[c].positions;
	size_t row = kernel_cache_bytes(cache, width[0]) + kernel_cache_bytes(cache, width[1]);
	unsigned char *block = pages_make(cache, row, width, 2, positions);
	float *q = malloc(4 * heads * (width[0] + width[1])), *out = malloc(8 * heads * width[0]);
	float *scratch = aligned_alloc(64, (4 * kernel_mla_scratch(width[0], width[1]) + 63) & ~(size_t)63);
	double *truth = malloc(8 * heads * width[0]);
	const void *page[16];
	fill(q, heads * (width[0] + width[1]));
	for (uint32_t i = 0; i < (positions + 63) / 64; i++)
		page[i] = block + i * 64 * row;
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		float *to = out + (k > 0 ? heads * width[0] : 0);
		struct kernel_mla a = { .cache = cache, .latent = width[0], .rope = width[1], .query = q,
			.query_rope = q + heads * width[0], .query_stride = width[0],
			.query_rope_stride = width[1], .out_stride = width[0], .page = page,
			.row_bytes = row, .positions = positions, .scale = 0.7f, .out = to,
			.scratch = scratch };
		kernels_at(k)->attn_mla(&a, heads);
		kernel_truth_attn_mla(&a, heads, truth);
		for (size_t i = 0; i < heads * width[0]; i++)
			cr_assert_lt(fabs((double)to[i] - truth[i]), 1e-5, "%s %s case %zu",
			             kernels_at(k)->name, names[cache], c);
		cr_assert_eq(memcmp(to, out, 4 * heads * width[0]), 0, "%s %s case %zu",
		             kernels_at(k)->name, names[cache], c);
	}
	free(block), free(q), free(out), free(scratch), free(truth);
}

static const struct { uint32_t heads, head, first, positions; bool sinks; } grouped_cases[] = {
	{ 1, 16, 0, 1, false }, { 3, 20, 0, 24, true }, { 4, 36, 57, 65, true },
	{ 16, 128, 0, 257, true }, { 8, 128, 5, 300, false }, { 13, 100, 3, 600, false },
};

static void check_grouped(enum kernel_cache cache, size_t c)
{
	uint32_t heads = grouped_cases[c].heads, head = grouped_cases[c].head,
		width[2] = { head, head }, positions = grouped_cases[c].positions;
	size_t part = kernel_cache_bytes(cache, head), n = (size_t)heads * head;
	unsigned char *block = pages_make(cache, 2 * part, width, 2, positions);
	float *q = malloc(4 * n), *out = malloc(8 * n), sink[16];
	float *scratch = aligned_alloc(64, (4 * kernel_gqa_scratch(head) + 63) & ~(size_t)63);
	double *truth = malloc(8 * n);
	const void *page[16];
	memset(block, 0xff, 2 * part * grouped_cases[c].first); /* outside the window */
	fill(q, n), fill(sink, 16);
	for (uint32_t i = 0; i < (positions + 63) / 64; i++)
		page[i] = block + i * 64 * 2 * part;
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		float *to = out + (k > 0 ? n : 0);
		struct kernel_gqa a = { .cache = cache, .head = head, .query = q, .query_stride = head,
			.out_stride = head, .page = page, .row_bytes = 2 * part, .value_at = part,
			.first = grouped_cases[c].first, .positions = positions, .scale = 0.7f,
			.sink = grouped_cases[c].sinks ? sink : NULL, .out = to, .scratch = scratch };
		kernels_at(k)->attn_gqa(&a, heads);
		kernel_truth_attn_gqa(&a, heads, truth);
		for (size_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)to[i] - truth[i]), 1e-5, "%s %s case %zu",
			             kernels_at(k)->name, names[cache], c);
		cr_assert_eq(memcmp(to, out, 4 * n), 0, "%s %s case %zu", kernels_at(k)->name,
		             names[cache], c);
	}
	free(block), free(q), free(out), free(scratch), free(truth);
}

Test(attention, sets_agree_bitwise_and_with_truth_over_every_cache)
{
	for (int cache = 0; cache < KERNEL_CACHES; cache++) {
		for (size_t c = 0; c < sizeof latent_cases / sizeof latent_cases[0]; c++)
			check_latent((enum kernel_cache)cache, c);
		for (size_t c = 0; c < sizeof grouped_cases / sizeof grouped_cases[0]; c++)
			check_grouped((enum kernel_cache)cache, c);
	}
}
