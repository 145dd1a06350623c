#include "kinds.h"
#include "recalling_backend.h"
#include "support.h"
#include "tests/shared/counting.h"

#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bitwise: logits depend on nothing but the tokens before them. */

static const char *const models[] = { "demo/model", "demo/fork-travel-fp8",
	/* chosen positions, chunks, shortcuts, values of another width */
	"tests/vectors/oracles/deepseek_v32", "tests/vectors/oracles/llama4_text",
	"tests/vectors/oracles/longcat_flash", "tests/vectors/oracles/mimo_v2_flash",
	"tests/vectors/oracles/deepseek_v2",
	"tests/vectors/oracles/deepseek_v2_lite_bf16", "tests/vectors/oracles/deepseek_v3",
	"tests/vectors/oracles/qwen3_moe", "tests/vectors/oracles/gpt_oss",
	/* recurrent layers, whose state decays as a whole and by channel */
	"tests/vectors/oracles/qwen3_5_moe", "tests/vectors/oracles/bailing_hybrid",
	/* norms, residuals, tables and activations of their own */
	"tests/vectors/oracles/gemma2", "tests/vectors/oracles/gemma4", "tests/vectors/oracles/cohere2",
	"tests/vectors/oracles/gpt_neox", "tests/vectors/oracles/apertus" };
#define MODELS (sizeof models / sizeof models[0])

/* These, then every kind; NULL past the last. */
static const char *subject(size_t i) { return i < MODELS ? models[i] : kind_at(i - MODELS); }

static uint32_t state = 7;

static uint32_t random_below(uint32_t n)
{
	state = state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(state >> 8) * n >> 24);
}

static void random_tokens(const struct engine *m, uint32_t *token, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		token[i] = random_below(engine_info(m)->tokens_real);
}

/* Logits of all n tokens, in chunks of at most `most` (0: at once). */
static float *logits_of(struct engine *m, const uint32_t *token, uint32_t n, uint32_t most)
{
	uint32_t vocab = engine_info(m)->vocab;
	float *out = malloc((size_t)n * vocab * sizeof *out);
	struct engine_sequence *s;
	struct err e = { 0 };
	cr_assert_eq(engine_sequence_open(&s, m, n, &e), 0, "%s", e.text);
	for (uint32_t at = 0; at < n;) {
		uint32_t count = most == 0 ? n : 1 + random_below(most);
		count = count < n - at ? count : n - at;
		struct engine_feed f = { .sequence = s, .token = token + at, .count = count,
			.logits = out + (size_t)at * vocab, .all = true };
		cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s", e.text);
		at += count;
	}
	cr_assert_eq(engine_sequence_length(s), n);
	engine_sequence_close(s);
	return out;
}

static void check_same(const struct engine *m, const float *want, const float *got, uint32_t n,
                       const char *what)
{
	uint32_t vocab = engine_info(m)->vocab;
	for (uint32_t i = 0; i < n; i++)
		cr_assert_eq(memcmp(want + (size_t)i * vocab, got + (size_t)i * vocab, vocab *
		                    sizeof *want), 0,
		             "%s: row %u differs", what, i);
}

static void check_chunks(const struct backend_kind *b, const char *dir, const uint32_t *token, uint32_t n,
                         const float *want, const struct engine_options *o)
{
	char what[200];
	bool first = strcmp(o->kernels, kernels_at(0)->name) == 0;
	struct engine *m = open_model_with(dir, *o, b->open);
	for (uint32_t most = first ? 6 : 0; most < 12; most += 6) {
		snprintf(what, sizeof what, "%s by %s with %s, %u threads, chunks up to %u", dir, b->name,
		         o->kernels, o->threads, most);
		float *got = logits_of(m, token, n, most);
		check_same(m, want, got, n, what);
		free(got);
	}
	engine_close(m);
}

/* few: each set with one number of threads, in turn. */
static void check_bits(const struct backend_kind *b, const char *dir, bool few)
{
	enum { N = 20 };
	uint32_t token[N];
	const struct engine_options plain = { .threads = 1, .kernels = "plain" };
	struct engine *m = open_model_with(dir, plain, b->open);
	random_tokens(m, token, N);
	float *want = logits_of(m, token, N, 0);
	engine_close(m);
	for (size_t k = 0; kernels_at(k) != NULL && (b->sets || k == 0); k++) {
		for (unsigned threads = k == 0 || (few && k % 2 == 0) ? 2 : 1; threads <= 2; threads += 1 + few) {
			const struct engine_options o = { .threads = threads, .kernels = kernels_at(k)->name };
			check_chunks(b, dir, token, N, want, &o);
		}
	}
	free(want);
}

Test(engine_forward, chunks_threads_and_sets_give_the_same_bits)
{
	for (size_t b = 0; b < BACKENDS; b++) {
		for (size_t i = 0; subject(i) != NULL; i++)
			check_bits(&backends[b], subject(i), i >= MODELS);
	}
}

/* More than one attention split and pass each; the last has windows. */
static const struct { const char *model; uint32_t n; } long_ones[] = {
	{ "demo/model", 530 }, { "tests/vectors/oracles/qwen3_moe", 530 },
	{ "tests/vectors/oracles/deepseek_v32", 400 },
	{ "tests/vectors/oracles/gpt_oss", 500 }, { "tests/vectors/oracles/qwen3_5_moe", 120 },
	{ "tests/vectors/oracles/bailing_hybrid", 120 },
	{ "tests/vectors/oracles/gemma4", 300 },
};

Test(engine_forward, long_prompts_across_passes_and_splits_give_the_same_bits)
{
	static uint32_t token[530];
	if (kernels_at(1) == NULL)
		cr_skip_test("plain kernels only: too slow for this length");
	for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++) {
		struct engine *m = open_model(long_ones[i].model, kernels_at(1)->name, 1);
		random_tokens(m, token, long_ones[i].n);
		float *want = logits_of(m, token, long_ones[i].n, 0);
		for (size_t k = i == 0; kernels_at(k) != NULL; k++) {
			struct engine *other = open_model(long_ones[i].model, kernels_at(k)->name, 2);
			float *got = logits_of(other, token, long_ones[i].n, 100);
			check_same(m, want, got, long_ones[i].n, kernels_at(k)->name);
			free(got);
			engine_close(other);
		}
		free(want);
		engine_close(m);
	}
}

/* Random schedules: in each pass some of seven sequences take some tokens. */
static void check_schedule(struct engine *m, const char *what)
{
	enum { SEQUENCES = 7, N = 24 };
	uint32_t token[SEQUENCES][N], at[SEQUENCES] = { 0 }, left = SEQUENCES, vocab = engine_info(m)->vocab;
	float *want[SEQUENCES], *got[SEQUENCES];
	struct engine_sequence *s[SEQUENCES];
	struct err e = { 0 };
	for (int i = 0; i < SEQUENCES; i++) {
		random_tokens(m, token[i], N);
		want[i] = logits_of(m, token[i], N, 0);
		got[i] = malloc((size_t)N * vocab * sizeof(float));
		cr_assert_eq(engine_sequence_open(&s[i], m, N, &e), 0, "%s", e.text);
	}
	while (left > 0) {
		struct engine_feed f[SEQUENCES];
		size_t n = 0;
		for (int i = 0; i < SEQUENCES; i++) {
			uint32_t count = random_below(3) == 0 ? 0 : 1 + random_below(5);
			count = count < N - at[i] ? count : N - at[i];
			if (count == 0)
				continue;
			f[n++] = (struct engine_feed){ .sequence = s[i], .token = token[i] + at[i],
				.count = count,
				.logits = got[i] + (size_t)at[i] * vocab, .all = true };
			at[i] += count;
			left -= at[i] == N;
		}
		cr_assert_eq(engine_forward(m, f, n, &e), 0, "%s", e.text);
	}
	for (int i = 0; i < SEQUENCES; i++) {
		check_same(m, want[i], got[i], N, what);
		engine_sequence_close(s[i]);
		free(want[i]), free(got[i]);
	}
}

Test(engine_forward, neighbours_in_the_batch_change_no_bit)
{
	for (size_t i = 0; subject(i) != NULL; i++) {
		struct engine *m = open_model(subject(i), NULL, 2);
		for (int round = 0; round < 3; round++)
			check_schedule(m, subject(i));
		engine_close(m);
	}
}

Test(engine_forward, fresh_memory_is_never_read)
{
	enum { N = 70 };
	uint32_t token[N];
	if (!COUNTING)
		cr_skip_test("the sanitizer's malloc");
	for (size_t i = 0; subject(i) != NULL; i++) {
		struct engine *m = open_model(subject(i), NULL, 2);
		random_tokens(m, token, N);
		float *want = logits_of(m, token, N, 5);
		engine_close(m);
		counting_poison(true);
		m = open_model(subject(i), NULL, 2);
		float *got = logits_of(m, token, N, 9);
		counting_poison(false);
		check_same(m, want, got, N, subject(i));
		free(want), free(got);
		engine_close(m);
	}
}

/* ---- weights and caches of every type ---- */

static struct engine *open_packed(const char *dir, const char *kernels, unsigned threads,
                                  enum model_packing weights, enum engine_cache cache)
{
	const struct engine_options o = { .threads = threads, .kernels = kernels, .weights = weights,
		.cache = cache, .cache_bytes = MIB(256) };
	return open_model_with(dir, o, cpu_open);
}

static void check_allocates_nothing(struct engine *m)
{
	struct engine_sequence *s[2];
	float *logits = malloc(2 * sizeof *logits * engine_info(m)->vocab);
	struct err e = { 0 };
	const uint32_t token = 300;
	for (int i = 0; i < 2; i++)
		cr_assert_eq(engine_sequence_open(&s[i], m, 400, &e), 0, "%s", e.text);
	struct engine_feed f[2] = { { .sequence = s[0], .token = &token, .count = 1, .logits = logits },
		{ .sequence = s[1], .token = &token, .count = 1, .logits = logits + engine_info(m)->vocab } };
	cr_assert_eq(engine_forward(m, f, 2, &e), 0, "%s", e.text);
	size_t before = counting_calls();
	for (int i = 0; i < 300; i++)
		cr_assert_eq(engine_forward(m, f, 1 + (size_t)i % 2, &e), 0, "%s", e.text);
	cr_assert_eq(counting_calls() - before, 0, "%zu allocations in 300 passes", counting_calls() -
	             before);
	engine_sequence_close(s[0]), engine_sequence_close(s[1]);
	free(logits);
	engine_close(m);
}

Test(engine_forward, decoding_allocates_nothing)
{
	if (!COUNTING)
		cr_skip_test("the sanitizer's malloc");
	check_allocates_nothing(open_model("demo/model", NULL, 2));
	check_allocates_nothing(open_packed("demo/model", NULL, 2, MODEL_PACKING_Q8,
	                                    ENGINE_CACHE_INT8));
}

static const struct { enum model_packing weights; enum engine_cache cache; } packed[] = {
	{ MODEL_PACKING_Q8, ENGINE_CACHE_F32 }, { MODEL_PACKING_Q4, ENGINE_CACHE_BF16 },
	{ MODEL_PACKING_STORED, ENGINE_CACHE_INT8 }, { MODEL_PACKING_BF16, ENGINE_CACHE_BF16 },
};
static const char *const packed_models[] = { "demo/model", "tests/vectors/oracles/qwen3_moe",
	"tests/vectors/oracles/gpt_oss_mxfp4", "tests/vectors/oracles/deepseek_v2",
	"tests/vectors/oracles/qwen3_5_moe", "tests/vectors/oracles/bailing_hybrid",
	"tests/vectors/oracles/deepseek_v32", "tests/vectors/oracles/llama4_text",
	"tests/vectors/oracles/longcat_flash" };

Test(engine_forward, packed_weights_and_caches_give_the_same_bits)
{
	enum { N = 40 };
	uint32_t token[N];
	const size_t all = 4 * sizeof packed_models / sizeof packed_models[0];
	for (size_t i = 0; i < all || kind_at(i - all) != NULL; i++) {
		const char *dir = i < all ? packed_models[i / 4] : kind_at(i - all);
		struct engine *m = open_packed(dir, NULL, 1, packed[i % 4].weights, packed[i % 4].cache);
		random_tokens(m, token, N);
		float *want = logits_of(m, token, N, 0);
		check_schedule(m, dir);
		engine_close(m);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			m = open_packed(dir, kernels_at(k)->name, 2, packed[i % 4].weights,
			                packed[i % 4].cache);
			float *got = logits_of(m, token, N, 9);
			check_same(m, want, got, N, kernels_at(k)->name);
			free(got);
			engine_close(m);
		}
		free(want);
	}
}

/* Logits of token n and the `steps` after it, one by one; before them the prompt in chunks of at most
 * `most`. With a neighbour, whose tokens are the same but later, in every pass. */
static float *decoded(struct engine *m, const uint32_t *token, uint32_t n, uint32_t steps, uint32_t most,
                      bool neighbour)
{
	uint32_t vocab = engine_info(m)->vocab;
	float *out = malloc((size_t)steps * vocab * sizeof *out), *other = malloc(vocab * sizeof *out);
	struct engine_sequence *s[2];
	struct err e = { 0 };
	for (int i = 0; i < 2; i++)
		cr_assert_eq(engine_sequence_open(&s[i], m, n + steps, &e), 0, "%s", e.text);
	for (uint32_t at = 0, count; at < n + steps; at += count) {
		count = at >= n ? 1 : n - at < most ? n - at : 1 + random_below(most);
		struct engine_feed f[2] = {
			{ .sequence = s[1], .token = token + 3, .count = 1, .logits = other },
			{ .sequence = s[0], .token = token + at, .count = count,
			  .logits = at < n ? NULL : out + (size_t)(at - n) * vocab },
		};
		cr_assert_eq(engine_forward(m, f + !neighbour, 1 + (size_t)neighbour, &e), 0, "%s", e.text);
	}
	engine_sequence_close(s[0]), engine_sequence_close(s[1]);
	free(other);
	return out;
}

/* Lists of chosen positions that take two splits, of which the last is short. */
Test(engine_forward, choices_of_several_splits_give_the_same_bits)
{
	static const char *const dir = "tests/vectors/oracles/deepseek_v32";
	static uint32_t token[420];
	if (kernels_at(1) == NULL)
		cr_skip_test("plain kernels only: too slow for this length");
	model_changes = "{\"index_topk\":300}";
	for (int cache = 0; cache < 3; cache++) {
		struct engine *m = open_packed(dir, kernels_at(1)->name, 1, MODEL_PACKING_STORED,
		                               (enum engine_cache)cache);
		random_tokens(m, token, 420);
		float *want = decoded(m, token, 400, 4, 400, false);
		engine_close(m);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			m = open_packed(dir, kernels_at(k)->name, k % 2 ? 2 : 5, MODEL_PACKING_STORED,
			                (enum engine_cache)cache);
			float *got = decoded(m, token, 400, 4, 90, k % 2 == 0);
			check_same(m, want, got, 4, kernels_at(k)->name);
			free(got);
			engine_close(m);
		}
		free(want);
	}
	model_changes = NULL;
}

/* Several splits and their records, with every kind of attention, window, sink and cache. */
Test(engine_forward, decoding_after_long_prompts_gives_the_same_bits)
{
	static const char *const dirs[] = { "tests/vectors/oracles/qwen3_moe",
		"tests/vectors/oracles/gpt_oss", "tests/vectors/oracles/deepseek_v2",
		"tests/vectors/oracles/mistral", "tests/vectors/oracles/deepseek_v32", KIND "values",
		KIND "sandwich" };
	static uint32_t token[640];
	if (kernels_at(1) == NULL)
		cr_skip_test("plain kernels only: too slow for this length");
	for (size_t i = 0; i < 3 * sizeof dirs / sizeof dirs[0]; i++) {
		const char *dir = dirs[i / 3];
		struct engine *m = open_packed(dir, kernels_at(1)->name, 1, MODEL_PACKING_STORED,
		                               (enum engine_cache)(i % 3));
		uint32_t room = engine_info(m)->context_max, n = room < 640 ? room - 4 : 600;
		random_tokens(m, token, 640);
		float *want = decoded(m, token, n, 4, n, false);
		engine_close(m);
		for (unsigned threads = 2; threads <= 5; threads += 3) {
			m = open_packed(dir, NULL, threads, MODEL_PACKING_STORED, (enum engine_cache)(i % 3));
			float *got = decoded(m, token, n, 4, 90, threads == 5);
			check_same(m, want, got, 4, dir);
			free(got);
			engine_close(m);
		}
		free(want);
	}
}

/* Mean KL divergence of p from q, both of n logits. */
static double divergence(const float *p, const float *q, uint32_t n)
{
	double most_p = -INFINITY, most_q = -INFINITY, sum_p = 0, sum_q = 0, kl = 0;
	for (uint32_t i = 0; i < n; i++) {
		most_p = fmax(most_p, (double)p[i]);
		most_q = fmax(most_q, (double)q[i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		sum_p += exp((double)p[i] - most_p);
		sum_q += exp((double)q[i] - most_q);
	}
	double shift = most_q + log(sum_q) - most_p - log(sum_p);
	for (uint32_t i = 0; i < n; i++)
		kl += exp((double)p[i] - most_p) / sum_p * ((double)p[i] - (double)q[i] + shift);
	return kl;
}

/* Numerics `fast` too: every set of a regime, any threads and chunks, beside neighbours or not; and not far
 * from the canonical ones. */
Test(engine_forward, fast_sets_of_a_regime_give_the_same_bits)
{
	enum { N = 40 };
	static const char *const dir = "tests/vectors/oracles/gpt_oss_mxfp4";
	uint32_t token[N];
	struct engine *m = open_model(dir, NULL, 1);
	random_tokens(m, token, N);
	uint32_t vocab = engine_info(m)->vocab;
	float *exact = logits_of(m, token, N, 0), *want = NULL;
	engine_close(m);
	const char *regime = "";
	for (size_t k = 0; kernels_fast_at(k) != NULL; k++) {
		const char *name = kernels_fast_at(k)->name;
		bool first = strcmp(regime, kernels_fast_at(k)->regime) != 0;
		regime = kernels_fast_at(k)->regime;
		for (unsigned threads = 1; threads <= 3; threads += 2) {
			m = open_model(dir, name, threads);
			cr_assert_str_eq(engine_info(m)->regime, regime);
			cr_assert_str_eq(engine_info(m)->numerics, "fast");
			if (first && threads == 1) {
				double kl = 0;
				free(want);
				want = logits_of(m, token, N, 0);
				for (uint32_t i = 0; i < N; i++)
					kl += divergence(exact + (size_t)i * vocab, want + (size_t)i * vocab, vocab) / N;
				cr_assert(kl > 0 && kl < 0.01, "%s: mean divergence %g", name, kl);
			}
			float *got = logits_of(m, token, N, 9);
			check_same(m, want, got, N, name);
			free(got);
			check_schedule(m, dir);
			engine_close(m);
		}
	}
	free(want), free(exact);
}

Test(engine_forward, smaller_caches_change_little)
{
	enum { N = 60 };
	uint32_t token[N];
	struct engine *m = open_packed("demo/model", NULL, 1, MODEL_PACKING_STORED, ENGINE_CACHE_F32);
	uint32_t vocab = engine_info(m)->vocab;
	random_tokens(m, token, N);
	float *want = logits_of(m, token, N, 0);
	cr_assert_str_eq(engine_info(m)->cache, "f32");
	engine_close(m);
	for (int c = ENGINE_CACHE_BF16; c <= ENGINE_CACHE_INT8; c++) {
		double kl = 0;
		m = open_packed("demo/model", NULL, 1, MODEL_PACKING_STORED, (enum engine_cache)c);
		cr_assert_str_eq(engine_info(m)->cache, c == ENGINE_CACHE_BF16 ? "bf16" : "int8");
		float *got = logits_of(m, token, N, 0);
		for (uint32_t i = 0; i < N; i++)
			kl += divergence(want + (size_t)i * vocab, got + (size_t)i * vocab, vocab) / N;
		cr_assert(kl > 0 && kl < 0.01, "%s: mean divergence %g", engine_info(m)->cache, kl);
		free(got);
		engine_close(m);
	}
	free(want);
}

Test(engine_forward, traffic_counts_each_matrix_once_a_pass)
{
	struct engine *m = open_packed("demo/model", NULL, 2, MODEL_PACKING_Q8, ENGINE_CACHE_BF16);
	struct engine_traffic t;
	uint32_t token[3] = { 300, 301, 302 };
	float *logits = logits_of(m, token, 3, 0);
	const struct engine_facts *f = engine_info(m);
	engine_traffic(m, &t);
	cr_assert(t.passes == 1 && t.rows == 3);
	cr_assert(t.weight_bytes > 0 && t.weight_bytes <= f->weight_bytes);
	cr_assert(t.experts >= f->moe_layers * f->experts_per_token &&
	          t.experts <= 3 * (uint64_t)f->moe_layers * f->experts_per_token);
	cr_assert(t.operations > 0 && t.cache_bytes > 0 && t.cache_bytes % (3 * f->layers) == 0);
	free(logits);
	engine_close(m);
}

/* Each page of 64 repeats the first: what is read and multiplied is that of so long a sequence. */
Test(engine_forward, repeated_sequence_reads_as_much_as_a_long_one)
{
	struct engine *m = open_packed("demo/model", NULL, 2, MODEL_PACKING_Q8, ENGINE_CACHE_BF16);
	const struct engine_facts *f = engine_info(m);
	struct engine_traffic t[3];
	struct engine_sequence *s;
	struct err e = { 0 };
	uint32_t token[64];
	float *logits = malloc(sizeof *logits * f->vocab);
	random_tokens(m, token, 64);
	cr_assert_eq(engine_sequence_open(&s, m, 400, &e), 0, "%s", e.text);
	struct engine_feed feed = { .sequence = s, .token = token, .count = 63, .logits = logits };
	cr_assert_eq(engine_forward(m, &feed, 1, &e), 0, "%s", e.text);
	cr_assert_eq(engine_sequence_repeat(s, 300, &e), ERR_INPUT);
	feed.count = 1;
	engine_traffic(m, &t[0]);
	cr_assert_eq(engine_forward(m, &feed, 1, &e), 0, "%s", e.text);
	engine_traffic(m, &t[1]);
	cr_assert_eq(engine_sequence_repeat(s, 401, &e), ERR_INPUT);
	cr_assert_eq(engine_sequence_repeat(s, 319, &e), 0, "%s", e.text);
	cr_assert_eq(engine_sequence_length(s), 319);
	cr_assert_eq(engine_forward(m, &feed, 1, &e), 0, "%s", e.text);
	engine_traffic(m, &t[2]);
	cr_assert_eq(t[2].cache_bytes - t[1].cache_bytes, 5 * (t[1].cache_bytes - t[0].cache_bytes));
	cr_assert_eq(t[2].attention_operations - t[1].attention_operations,
	             5 * (t[1].attention_operations - t[0].attention_operations));
	for (uint32_t i = 0; i < f->vocab; i++)
		cr_assert(isfinite(logits[i]));
	engine_sequence_close(s);
	free(logits);
	engine_close(m);
}

Test(engine_forward, truncated_sequence_continues_with_the_same_bits)
{
	enum { N = 20 };
	uint32_t token[N];
	struct engine *m = open_model("tests/vectors/oracles/deepseek_v2", NULL, 1);
	struct engine_sequence *s;
	struct err e = { 0 };
	random_tokens(m, token, N);
	float *want = logits_of(m, token, N, 0), *got = malloc(sizeof *got * N * engine_info(m)->vocab);
	cr_assert_eq(engine_sequence_open(&s, m, N, &e), 0);
	struct engine_feed f = { .sequence = s, .token = token, .count = N, .logits = got, .all = true };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0);
	cr_assert_eq(engine_sequence_truncate(s, N + 1, &e), ERR_INPUT);
	cr_assert_eq(engine_sequence_truncate(s, 7, &e), 0);
	f.token += 7, f.count -= 7, f.logits += 7 * engine_info(m)->vocab;
	memset(f.logits, 0, sizeof *got * f.count * engine_info(m)->vocab);
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0);
	check_same(m, want, got, N, "after truncation");
	engine_sequence_close(s);
	free(want), free(got);
	engine_close(m);
}

/* Recurrent layers keep their last state alone. */
Test(engine_forward, truncating_a_state_is_to_nothing_or_refused)
{
	enum { N = 20 };
	uint32_t token[N];
	struct engine *m = open_model_with("tests/vectors/oracles/deepseek_v2",
	                                   (struct engine_options){ .threads = 1 }, recalling_open);
	struct engine_sequence *s;
	struct err e = { 0 };
	random_tokens(m, token, N);
	float *want = logits_of(m, token, N, 0), *got = calloc((size_t)N * engine_info(m)->vocab, sizeof *got);
	float *cut = logits_of(m, token, N, 3);
	check_same(m, want, cut, N, "cut");
	cr_assert_eq(engine_sequence_open(&s, m, N, &e), 0);
	struct engine_feed f = { .sequence = s, .token = token, .count = N, .logits = got, .all = true };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0);
	cr_assert_eq(engine_sequence_truncate(s, N + 1, &e), ERR_INPUT);
	cr_assert_eq(engine_sequence_truncate(s, 7, &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "recurrent"), "%s", e.text);
	cr_assert_eq(engine_sequence_truncate(s, N, &e), 0);
	cr_assert_eq(engine_sequence_truncate(s, 0, &e), 0);
	f.skip = 5; /* logits of those behind */
	f.logits = got + 5 * engine_info(m)->vocab;
	memset(f.logits, 0, sizeof *got * (N - 5) * engine_info(m)->vocab);
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0);
	check_same(m, want, got, N, "from nothing");
	engine_sequence_close(s);
	free(want), free(got), free(cut);
	engine_close(m);
}

Test(engine_forward, bad_feeds_are_refused_and_append_nothing)
{
	struct engine *m = open_model("tests/vectors/oracles/deepseek_v2", NULL, 1);
	struct engine *other = open_model("tests/vectors/oracles/deepseek_v2", NULL, 1);
	struct engine_sequence *s, *foreign, *unused;
	struct err e = { 0 };
	const uint32_t good[3] = { 1, 2, 3 }, bad[2] = { 1, 180 };
	cr_assert_eq(engine_sequence_open(&s, m, 4, &e), 0);
	cr_assert_eq(engine_sequence_open(&foreign, other, 4, &e), 0);
	cr_assert_eq(engine_sequence_open(&unused, m, 641, &e), ERR_INPUT);
	cr_assert_eq(engine_sequence_open(&unused, m, 0, &e), ERR_INPUT);
	struct engine_feed twice[2] = { { .sequence = s, .token = good, .count = 1 },
		{ .sequence = s, .token = good, .count = 1 } };
	cr_assert_eq(engine_forward(m, twice, 2, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "twice"), "%s", e.text);
	cr_assert_eq(engine_forward(m, &(struct engine_feed){ .sequence = s, .token = bad, .count = 2 }, 1,
	                            &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "180"), "%s", e.text);
	cr_assert_eq(engine_forward(m, &(struct engine_feed){ .sequence = foreign, .token = good, .count =
		1 }, 1, &e),
	             ERR_INPUT);
	cr_assert_eq(engine_sequence_length(s), 0);
	cr_assert_eq(engine_forward(m, &(struct engine_feed){ .sequence = s, .token = good, .count = 3 },
	                            1, &e), 0);
	cr_assert_eq(engine_forward(m, &(struct engine_feed){ .sequence = s, .token = good, .count = 2 },
	                            1, &e), ERR_INPUT);
	cr_assert_eq(engine_sequence_length(s), 3);
	cr_assert_eq(engine_forward(m, NULL, 0, &e), 0);
	engine_sequence_close(s), engine_sequence_close(foreign);
	engine_close(m), engine_close(other);
}
