/* Whole passes of a GPU by every way to run a list of operations, on the host emulator: the same bits, and
 * how many launches a token takes. */
#include "support.h"

#include "engine/pass.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"

enum { N = 20, BESIDE = 2, CHUNK = 7 };

/* Of grouped queries, with a window and sinks; of latents, by way of a latent of queries too. An f32 cache
 * has its attention between two kernels. */
static const struct row {
	const char *model;
	enum engine_cache cache;
	uint32_t layers, launches; /* of a token by one kernel, its head among them */
} rows[] = {
	{ "qwen3_moe", ENGINE_CACHE_BF16, 3, 2 },
	{ "qwen3_moe", ENGINE_CACHE_F32, 3, 8 },
	{ "gpt_oss", ENGINE_CACHE_BF16, 4, 2 },
	{ "deepseek_v2_lite", ENGINE_CACHE_BF16, 3, 2 },
	{ "deepseek_v2_lite", ENGINE_CACHE_F32, 3, 8 },
	{ "deepseek_v3", ENGINE_CACHE_BF16, 3, 2 },
};

static struct engine *open_row(const struct row *r)
{
	char dir[100];
	snprintf(dir, sizeof dir, CASES "%s", r->model);
	use_library("libhallmark_cuda.so");
	return open_model_with(dir, (struct engine_options){ .threads = 2, .cache = r->cache }, cuda_open);
}

static void feed(struct engine *m, struct engine_sequence **s, uint32_t at, uint32_t n, float *logits)
{
	struct engine_feed f[BESIDE + 1];
	struct err e = { 0 };
	uint32_t vocab = engine_info(m)->vocab, token[BESIDE + 1][CHUNK];
	for (uint32_t i = 0; i <= BESIDE; i++) {
		for (uint32_t k = 0; k < n; k++)
			token[i][k] = ((at + k) * 37 + i * 17 + 11) % vocab;
		f[i] = (struct engine_feed){ .sequence = s[i], .token = token[i], .count = i == 1 ? n : 1 };
	}
	f[1].logits = logits + (size_t)at * vocab;
	f[1].all = true;
	cr_assert_eq(engine_forward(m, f, BESIDE + 1, &e), 0, "%s", e.text);
}

/* Logits of a text in chunks, beside others that grow by a token with each. */
static float *logits_of(struct engine *m)
{
	float *out = malloc((size_t)N * engine_info(m)->vocab * sizeof *out);
	struct engine_sequence *s[BESIDE + 1];
	struct err e = { 0 };
	for (uint32_t i = 0; i <= BESIDE; i++)
		cr_assert_eq(engine_sequence_open(&s[i], m, N, &e), 0, "%s", e.text);
	for (uint32_t at = 0; at < N; at += CHUNK)
		feed(m, s, at, N - at < CHUNK ? N - at : CHUNK, out);
	for (uint32_t i = 0; i <= BESIDE; i++)
		engine_sequence_close(s[i]);
	return out;
}

/* As launches, as a graph, as launches that overlap, as one kernel. */
Test(engine_cuda_steps, every_way_to_run_a_pass_gives_the_same_bits, .timeout = 300)
{
	static const char *const ways[] = { "launches", "graph", "ahead", "kernel" };
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		float *want = NULL;
		for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
			setenv("HALLMARK_CUDA_STEPS", ways[w], 1);
			struct engine *m = open_row(&rows[r]);
			size_t bytes = (size_t)N * engine_info(m)->vocab * sizeof(float);
			float *got = logits_of(m);
			cr_expect(want == NULL || memcmp(want, got, bytes) == 0, "%s, cache %d: %s", rows[r].model,
			          (int)rows[r].cache, ways[w]);
			if (want == NULL)
				want = got;
			else
				free(got);
			engine_close(m);
		}
		free(want);
	}
}

static uint64_t launches(void)
{
	void *library = dlopen(getenv("HALLMARK_CUDA"), RTLD_NOW | RTLD_LOCAL);
	uint64_t (*count)(void);
	void *symbol = dlsym(library, "emulator_launches");
	memcpy(&count, &symbol, sizeof count);
	return count();
}

Test(engine_cuda_steps, a_token_takes_at_most_four_launches_a_layer, .timeout = 120)
{
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		struct engine *m = open_row(&rows[r]);
		struct engine_sequence *s[BESIDE + 1];
		struct err e = { 0 };
		float *logits = malloc((size_t)N * engine_info(m)->vocab * sizeof *logits);
		for (uint32_t i = 0; i <= BESIDE; i++)
			cr_assert_eq(engine_sequence_open(&s[i], m, N, &e), 0, "%s", e.text);
		feed(m, s, 0, CHUNK, logits);
		uint64_t before = launches();
		feed(m, s, CHUNK, 1, logits);
		uint64_t took = launches() - before;
		cr_expect_eq(engine_info(m)->layers, rows[r].layers, "%s: %u layers", rows[r].model,
		             engine_info(m)->layers);
		cr_expect_eq(took, rows[r].launches, "%s, cache %d: %lu launches", rows[r].model,
		             (int)rows[r].cache, (unsigned long)took);
		cr_expect_leq(took, 4 * rows[r].layers + 1);
		for (uint32_t i = 0; i <= BESIDE; i++)
			engine_sequence_close(s[i]);
		free(logits);
		engine_close(m);
	}
}
