/* Draws that a GPU's pass makes itself, on the host emulator: the ids that logits give, in place of them. */
#include "support.h"

#include "engine/pass.h"
#include "engine/sample.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"

enum { ROWS = 7, UNASKED = 3 };

static struct engine *open_row(void)
{
	use_library("libhallmark_cuda.so");
	return open_model_with(CASES "llama", (struct engine_options){ .threads = 2 }, cuda_open);
}

static uint64_t launches(void)
{
	void *library = dlopen(getenv("HALLMARK_CUDA"), RTLD_NOW | RTLD_LOCAL);
	uint64_t (*count)(void);
	void *symbol = dlsym(library, "emulator_launches");
	memcpy(&count, &symbol, sizeof count);
	return count();
}

/* Rows of one pass, each a sequence; all but one of them ask. */
static void pass_of(struct engine *m, const struct engine_draw *ask, float *logits, uint32_t *drawn)
{
	struct engine_sequence *s[ROWS];
	struct engine_feed f[ROWS];
	struct err e = { 0 };
	uint32_t token[ROWS], vocab = engine_info(m)->vocab;
	for (uint32_t i = 0; i < ROWS; i++) {
		cr_assert_eq(engine_sequence_open(&s[i], m, 4, &e), 0, "%s", e.text);
		token[i] = (i * 37 + 5) % vocab;
		f[i] = (struct engine_feed){ .sequence = s[i], .token = &token[i], .count = 1,
			.logits = logits + (size_t)i * vocab, .draw = ask == NULL || i == UNASKED ? NULL : &ask[i],
			.drawn = &drawn[i] };
		drawn[i] = 12345;
	}
	cr_assert_eq(engine_forward(m, f, ROWS, &e), 0, "%s", e.text);
	for (uint32_t i = 0; i < ROWS; i++)
		engine_sequence_close(s[i]);
}

Test(engine_cuda_draw, ids_come_in_place_of_logits_for_those_who_ask, .timeout = 60)
{
	static const struct engine_sampling how[ROWS] = {
		{ .temperature = 0 },
		{ .temperature = 1, .top_p = 1, .seed = 7 },
		{ .temperature = 0.7f, .top_p = 0.9f, .top_k = 20, .seed = 1ull << 40 },
		{ .temperature = 1 },
		{ .temperature = 2, .min_p = 0.2f, .choice = 3, .seed = 9 },
		{ .temperature = 1.5f, .top_p = 1, .repetition = 1.3f, .presence = 2, .frequency = 0.5f },
		{ .temperature = 1, .top_p = 1, .seed = 4 },
	};
	static const struct engine_seen seen[] = { { 3, 0 }, { 17, 2 }, { 90, 1 } };
	static uint64_t few[1024] = { 1ull << 9 | 1ull << 61 };
	struct engine *m = open_row();
	uint32_t vocab = engine_info(m)->vocab, drawn[ROWS], work[4096];
	float *want = malloc(ROWS * vocab * sizeof *want), *got = malloc(ROWS * vocab * sizeof *got),
	      weight[4096];
	struct engine_draw ask[ROWS];
	cr_assert_leq(vocab, 4096);
	pass_of(m, NULL, want, drawn);
	for (uint32_t i = 0; i < ROWS; i++)
		ask[i] = (struct engine_draw){ .sampling = &how[i], .n = vocab - 5, .position = 10 + i };
	ask[5].seen = seen, ask[5].seens = 3;
	ask[6].allowed = few;
	memset(got, 0x7f, ROWS * vocab * sizeof *got);
	pass_of(m, ask, got, drawn);
	for (uint32_t i = 0; i < ROWS; i++) {
		float *row = want + (size_t)i * vocab, poison;
		memset(&poison, 0x7f, sizeof poison);
		if (i == UNASKED) {
			cr_expect_eq(memcmp(row, got + (size_t)i * vocab, vocab * sizeof *row), 0);
			cr_expect_eq(drawn[i], 12345);
			continue;
		}
		for (uint32_t k = 0; k < vocab; k++)
			cr_assert_eq(memcmp(&got[i * vocab + k], &poison, sizeof poison), 0, "row %u came", i);
		for (uint32_t k = 0; i == 5 && k < 3; k++) {
			float *x = &row[seen[k].id];
			*x = *x > 0 ? *x / how[i].repetition : *x * how[i].repetition;
			*x -= seen[k].drawn > 0 ? how[i].presence : 0;
			*x -= how[i].frequency * (float)seen[k].drawn;
		}
		uint32_t id = engine_sample_draw(NULL, row, ask[i].allowed, ask[i].n, &how[i], 10 + i, weight, work);
		cr_expect_eq(drawn[i], id, "row %u: %u, expected %u", i, drawn[i], id);
	}
	free(want), free(got);
	engine_close(m);
}

/* A row whose list has no room on the device, or that counts other ids, gets its logits. */
Test(engine_cuda_draw, what_is_not_drawn_has_its_logits, .timeout = 60)
{
	static const struct engine_sampling greedy;
	static struct engine_seen many[400000];
	struct engine *m = open_row();
	uint32_t vocab = engine_info(m)->vocab, drawn[ROWS];
	float *want = malloc(ROWS * vocab * sizeof *want), *got = malloc(ROWS * vocab * sizeof *got);
	struct engine_draw ask[ROWS];
	pass_of(m, NULL, want, drawn);
	for (uint32_t i = 0; i < ROWS; i++)
		ask[i] = (struct engine_draw){ .sampling = &greedy, .n = vocab };
	ask[1].seen = many, ask[1].seens = 400000;
	ask[4].n = vocab - 1;
	pass_of(m, ask, got, drawn);
	for (uint32_t i = 0; i < ROWS; i++) {
		bool told = i == 1 || i == 4;
		cr_expect_eq(drawn[i] == UINT32_MAX, told, "row %u: %u", i, drawn[i]);
		if (told)
			cr_expect_eq(memcmp(want + i * vocab, got + i * vocab, vocab * sizeof *got), 0, "row %u", i);
	}
	free(want), free(got);
	engine_close(m);
}

/* The logits that a record names come with the id that ends an answer. */
Test(engine_cuda_draw, an_id_that_ends_the_answer_comes_with_its_logits, .timeout = 60)
{
	struct engine *m = open_row();
	uint32_t vocab = engine_info(m)->vocab, drawn[ROWS], best[ROWS];
	float *want = malloc(ROWS * vocab * sizeof *want), *got = malloc(ROWS * vocab * sizeof *got);
	struct engine_draw ask[ROWS];
	pass_of(m, NULL, want, drawn);
	for (uint32_t i = 0; i < ROWS; i++)
		best[i] = engine_sample(NULL, want + i * vocab, vocab, vocab, &(struct engine_sampling){ 0 }, 0, NULL);
	const struct engine_sampling greedy = { .stop_id = &best[1], .stop_ids = 1 };
	for (uint32_t i = 0; i < ROWS; i++)
		ask[i] = (struct engine_draw){ .sampling = &greedy, .n = vocab, .eos = &best[5], .eos_count = 1 };
	memset(got, 0x7f, ROWS * vocab * sizeof *got);
	pass_of(m, ask, got, drawn);
	for (uint32_t i = 0; i < ROWS; i++) {
		bool told = i == UNASKED || best[i] == best[1] || best[i] == best[5];
		cr_expect_eq(memcmp(want + i * vocab, got + i * vocab, vocab * sizeof *got) == 0, told, "row %u", i);
		cr_expect(i == UNASKED || drawn[i] == best[i]);
	}
	free(want), free(got);
	engine_close(m);
}

/* ---- sessions ---- */

enum { TOKENS = 5, PROMPT = 6 };

static uint64_t answer(struct engine *m, struct engine_sampling how, bool logprobs, uint32_t *ids)
{
	static uint32_t prompt[PROMPT];
	struct err e = { 0 };
	size_t count;
	int rc;
	uint64_t before = launches();
	for (uint32_t i = 0; i < PROMPT; i++)
		prompt[i] = (i * i * 7 + i) % engine_info(m)->vocab;
	how.tokens_max = TOKENS;
	how.ignore_eos = true;
	how.logprobs = logprobs;
	struct engine_request q = { .prompt = prompt, .count = PROMPT, .sampling = how };
	struct engine_session *s = must_open(m, &q);
	do
		rc = next_of(s, &e);
	while (rc == ENGINE_GOING);
	cr_assert_eq(rc, ENGINE_LENGTH, "%s", e.text);
	const uint32_t *id = engine_session_ids(s, &count);
	cr_assert_eq(count, TOKENS);
	cr_assert_not_null(engine_session_logits(s));
	memcpy(ids, id, sizeof *ids * TOKENS);
	engine_session_close(s);
	return launches() - before;
}

/* Log-probabilities need the logits: then the host draws, as it does the last token that has room. */
Test(engine_cuda_draw, answers_are_those_of_the_hosts_draws, .timeout = 120)
{
	static const struct engine_bias bias[] = { { 40, 3 }, { 41, -INFINITY }, { 40, 1 }, { 7, -2 } };
	static const struct engine_sampling how[] = {
		{ .top_p = 1 },
		{ .temperature = 1.2f, .top_p = 0.95f, .seed = 3 },
		{ .temperature = 1, .top_k = 12, .min_p = 0.01f, .seed = 1234567890123 },
		{ .temperature = 1.4f, .top_p = 1, .repetition = 1.2f, .presence = 0.5f, .frequency = 0.3f, .seed = 8 },
		{ .temperature = 1, .top_p = 1, .bias = bias, .bias_count = 4, .tokens_min = 3, .seed = 2 },
		{ .repetition = 1.5f, .bias = bias, .bias_count = 4 },
	};
	struct engine *m = open_row();
	for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
		uint32_t got[TOKENS], want[TOKENS];
		uint64_t drawing = answer(m, how[i], false, got), reading = answer(m, how[i], true, want);
		cr_expect_eq(memcmp(got, want, sizeof got), 0, "sampling %zu", i);
		cr_expect_eq(drawing, reading + TOKENS - 1, "sampling %zu: %lu launches, %lu without draws", i,
		             (unsigned long)drawing, (unsigned long)reading);
	}
	engine_close(m);
}
