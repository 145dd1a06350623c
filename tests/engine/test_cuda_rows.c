/* Passes of many rows on a GPU, without one: how many a pass has, and that no bit depends on it. */
#include "support.h"

#include "engine/pass.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"
#define PLAIN "libplain.so"
#define EMULATED "libhallmark_cuda.so"

enum { LONG = 600, BEYOND = 520, LAST = 5 };

static uint64_t passes(struct engine *m)
{
	struct engine_traffic t;
	engine_traffic(m, &t);
	return t.passes;
}

/* Feed a text in pieces; returns the logits of its last tokens. */
static float *last_logits(struct engine *m, uint32_t count, uint32_t each)
{
	uint32_t vocab = engine_info(m)->vocab, token[LONG];
	float *out = malloc((size_t)LAST * vocab * sizeof *out);
	struct engine_sequence *s;
	struct err e = { 0 };
	for (uint32_t i = 0; i < count; i++)
		token[i] = (i * i * 7 + i) % vocab;
	cr_assert_eq(engine_sequence_open(&s, m, count, &e), 0, "%s", e.text);
	for (uint32_t at = 0; at < count; at += each) {
		uint32_t n = count - at < each ? count - at : each;
		bool ends = at + n == count;
		const struct engine_feed f = { .sequence = s, .token = token + at, .count = n,
			.skip = ends ? n - LAST : 0, .all = ends, .logits = ends ? out : NULL };
		cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s", e.text);
	}
	engine_sequence_close(s);
	return out;
}

static uint64_t passes_of(struct engine *m, uint32_t count)
{
	uint64_t before = passes(m);
	free(last_logits(m, count, count));
	return passes(m) - before;
}

/* Where memory is short the model comes first. */
Test(engine_cuda_rows, a_pass_has_as_many_rows_as_memory_allows, .timeout = 120)
{
	struct engine_options o = { .threads = 2 };
	struct source *s;
	struct engine *m;
	struct err e = { 0 };
	unsigned long long need = 0;
	use_library(PLAIN);
	m = open_model_with(CASES "qwen3_moe", o, cuda_open);
	cr_expect_eq(passes_of(m, LONG), 1);
	engine_close(m);
	o = (struct engine_options){ .quiet = true, .threads = 1, .device = ENGINE_CUDA, .memory_max = 1000 };
	cr_assert_eq(source_open_folder(&s, CASES "qwen3_moe", &e), 0, "%s", e.text);
	cr_assert_eq(engine_open(&m, s, &o, &e), ERR_UNAVAILABLE);
	cr_assert_eq(sscanf(strchr(e.text, '('), "(%llu bytes", &need), 1, "%s", e.text);
	o.memory_max = need;
	cr_assert_eq(engine_open(&m, s, &o, &e), 0, "%s", e.text);
	cr_expect_eq(passes_of(m, LONG), 2);
	engine_close(m);
	source_close(s);
}

/* Of the kernels: a pass may have more rows than the largest list of before. */
Test(engine_cuda_rows, a_pass_of_many_rows_gives_the_bits_of_small_ones, .timeout = 300)
{
	use_library(EMULATED);
	model_changes = "{\"max_position_embeddings\":1024}";
	struct engine *m = open_model_with(CASES "llama", (struct engine_options){ .threads = 2 }, cuda_open);
	uint64_t before = passes(m);
	float *want = last_logits(m, BEYOND, BEYOND);
	cr_expect_eq(passes(m) - before, 1);
	float *got = last_logits(m, BEYOND, 64);
	cr_expect_eq(memcmp(want, got, (size_t)LAST * engine_info(m)->vocab * sizeof(float)), 0);
	free(got), free(want);
	engine_close(m);
}

/* A prompt that nobody waits for takes one pass there, and several on a CPU, where a pass of so many rows
 * takes seconds. */
Test(engine_cuda_rows, a_prompt_alone_takes_all_rows_of_a_pass, .timeout = 120)
{
	backend_opener *const open[] = { cuda_open, cpu_open };
	use_library(PLAIN);
	for (int i = 0; i < 2; i++) {
		struct engine *m =
			open_model_with(CASES "qwen3_moe", (struct engine_options){ .threads = 2 }, open[i]);
		struct engine_request q = request_of(LONG, 1);
		struct err e = { 0 };
		for (uint32_t k = 0; k < LONG; k++)
			long_prompt[k] %= engine_info(m)->vocab;
		struct engine_session *s = must_open(m, &q);
		while (next_of(s, &e) == ENGINE_GOING)
			;
		cr_expect_eq(passes(m), i == 0 ? 1 : 3, "%d passes", (int)passes(m));
		engine_session_close(s);
		engine_close(m);
	}
}
