/* The seam, by its two implementations: what one computes the other does too, through the same sequences,
 * sessions and passes. */
#include "kinds.h"
#include "oracle.h"
#include "support.h"

#include "kernels/number.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"

/* ---- logits and experts ---- */

static const char *const cases[] = {
	"deepseek_v32", "glm_moe_dsa", "glm_moe_dsa_shared", "llama4_text", "longcat_flash", "mimo_v2_flash",
	"deepseek_v2_lite", "deepseek_v2_lite_bf16", "deepseek_v2", "deepseek_v3", "deepseek_v3_negbias",
	"deepseek_v3_long", "deepseek_v3_fp8", "llama", "llama_linear", "qwen2", "qwen3", "mistral",
	"qwen3_moe", "qwen2_moe", "mixtral", "olmoe", "glm4_moe", "gpt_oss", "gpt_oss_mxfp4",
	"qwen3_5_moe", "bailing_hybrid",
};

struct outcome {
	float *logits;    /* [length][vocab] */
	uint16_t *expert; /* [moe_layers][length][top_k] */
};

static struct outcome outcome_of(const struct oracle *o, backend_opener *open)
{
	struct engine *m = open_model_with(o->dir, (struct engine_options){ .threads = 2 }, open);
	struct outcome r = { .logits = malloc((size_t)o->length * o->vocab * sizeof *r.logits),
		.expert = calloc((size_t)o->moe_layers * o->length * o->top_k + 1, sizeof *r.expert) };
	struct engine_sequence *s;
	struct err e = { 0 };
	cr_assert_eq(engine_sequence_open(&s, m, o->length, &e), 0, "%s", e.text);
	const struct engine_feed f = { .sequence = s, .token = (const uint32_t *)o->input, .count = o->length,
		.logits = r.logits, .all = true, .expert = o->moe_layers > 0 ? r.expert : NULL };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s: %s", o->dir, e.text);
	engine_sequence_close(s);
	engine_close(m);
	return r;
}

static void outcome_free(struct outcome *r)
{
	free(r->logits);
	free(r->expert);
}

/* All kinds of attention, gates and networks, stored as f32, bf16, fp8 and mxfp4. */
Test(engine_backend, logits_agree_within_rounding_and_experts_exactly)
{
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		struct oracle o;
		double worst = 0;
		oracle_open(&o, cases[c]);
		struct outcome a = outcome_of(&o, backends[0].open), b = outcome_of(&o, backends[1].open);
		for (size_t i = 0; i < (size_t)o.length * o.vocab; i++)
			worst = fmax(worst, fabs((double)a.logits[i] - (double)b.logits[i]));
		cr_assert_leq(worst, 1e-4 * o.logit_std, "%s: off by %g of the logits' deviation", cases[c],
		              worst / o.logit_std);
		size_t experts = (size_t)o.moe_layers * o.length * o.top_k;
		cr_assert_eq(memcmp(a.expert, b.expert, experts * sizeof *a.expert), 0, "%s", cases[c]);
		outcome_free(&a);
		outcome_free(&b);
		oracle_close(&o);
	}
}

/* The same for what no oracle's family does: the pass against the slower truth. */
Test(engine_backend, kinds_of_layers_agree_within_rounding)
{
	enum { N = 40 };
	for (size_t k = 0; kind_at(k) != NULL; k++) {
		float *logits[BACKENDS];
		uint32_t token[N], vocab = 0;
		double worst = 0, square = 0;
		for (size_t b = 0; b < BACKENDS; b++) {
			const struct engine_options two = { .threads = 2 };
			struct engine *m = open_model_with(kind_at(k), two, backends[b].open);
			struct engine_sequence *s;
			struct err e = { 0 };
			vocab = engine_info(m)->vocab;
			for (uint32_t i = 0; i < N; i++)
				token[i] = (i * i * 7 + i) % vocab;
			logits[b] = malloc((size_t)N * vocab * sizeof(float));
			cr_assert_eq(engine_sequence_open(&s, m, N, &e), 0, "%s", e.text);
			const struct engine_feed f = { .sequence = s, .token = token, .count = N,
				.logits = logits[b], .all = true };
			cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s: %s", kind_at(k), e.text);
			engine_sequence_close(s);
			engine_close(m);
		}
		for (size_t i = 0; i < (size_t)N * vocab; i++) {
			double d = (double)logits[1][i];
			worst = fmax(worst, fabs((double)logits[0][i] - d));
			square += d * d / N / vocab;
		}
		cr_assert(square > 1e-4 && worst <= 2e-5 * sqrt(square), "%s: off by %g of %g", kind_at(k), worst,
		          sqrt(square));
		free(logits[0]), free(logits[1]);
	}
}

Test(engine_backend, facts_name_the_one_that_computes)
{
	struct engine *cpu = open_model_with(CASES "llama", (struct engine_options){ .threads = 1 },
	                                     backends[0].open);
	struct engine *other = open_model_with(CASES "llama", (struct engine_options){ .threads = 1 },
	                                       backends[1].open);
	cr_assert_str_eq(engine_info(cpu)->numerics, "canonical");
	cr_assert_str_eq(engine_info(other)->numerics, "double");
	cr_assert_str_eq(engine_info(cpu)->regime, "cpu/1");
	cr_assert_str_eq(engine_info(other)->regime, "test/1");
	cr_assert_not(digest_equal(&engine_info(cpu)->choice, &engine_info(other)->choice));
	engine_close(cpu);
	engine_close(other);
}

/* ---- answers ---- */

enum { ANSWER = 16 };

static void answer_of(struct engine *m, const uint32_t *prompt, uint32_t count, uint32_t *id)
{
	struct engine_request q = { .prompt = prompt, .count = count,
		.sampling = { .top_p = 1, .tokens_max = ANSWER, .ignore_eos = true } };
	struct engine_session *s;
	struct err e = { 0 };
	const char *text;
	size_t len, n;
	int finish;
	cr_assert_eq(engine_session_open(&s, m, &q, &e), 0, "%s", e.text);
	do
		finish = engine_session_next(s, &text, &len, &e);
	while (finish == ENGINE_GOING);
	cr_assert_eq(finish, ENGINE_LENGTH, "%s", e.text);
	memcpy(id, engine_session_ids(s, &n), ANSWER * sizeof *id);
	cr_assert_eq(n, ANSWER);
	engine_session_close(s);
}

/* The oracles' margins are wider than what the two differ by. */
Test(engine_backend, greedy_answers_have_the_same_tokens)
{
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		uint32_t id[BACKENDS][ANSWER];
		struct oracle o;
		oracle_open(&o, cases[c]);
		for (size_t b = 0; b < BACKENDS; b++) {
			const struct engine_options two = { .threads = 2 };
			struct engine *m = open_model_with(o.dir, two, backends[b].open);
			answer_of(m, (const uint32_t *)o.input, o.prefix, id[b]);
			engine_close(m);
		}
		uint32_t n = o.greedy_count < ANSWER ? o.greedy_count : ANSWER;
		cr_assert_eq(memcmp(id[0], id[1], n * sizeof *id[0]), 0, "%s", cases[c]);
		oracle_close(&o);
	}
}

/* ---- pages ---- */

struct bench {
	struct model_config config;
	struct pool *pool;
	struct backend *backend;
};

static void bench_open(struct bench *t, const char *dir, backend_opener *open)
{
	struct source *s;
	struct err e = { 0 };
	struct model_formats formats;
	const struct kernels *k;
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(model_config_read(&t->config, s, &e), 0, "%s", e.text);
	cr_assert_eq(pool_open(&t->pool, 2, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(kernels_pick(&k, NULL, false, &e), 0, "%s", e.text);
	const struct backend_order o = { .config = &t->config, .kernels = k, .pool = t->pool };
	const struct weights_order w = { .config = &t->config, .quiet = true, .pool = t->pool };
	cr_assert_eq(open(&t->backend, &o, &e), 0, "%s", e.text);
	cr_assert_eq(model_weights_load(&formats, &w, s, &t->backend->keeper, &e), 0, "%s", e.text);
	source_close(s);
}

static void bench_close(struct bench *t)
{
	t->backend->close(t->backend);
	pool_close(t->pool);
}

/* Tokens [count] at [position, ..) of a sequence that lies in these pages [3]; logits of the last.
 * Passes of three rows. */
static void run(struct bench *t, const uint32_t *token, uint32_t position, uint32_t count,
                const uint32_t *page, float *logits)
{
	const uint32_t first_page[2] = { 0, 3 }, sequence[3] = { 0, 0, 0 };
	struct err e = { 0 };
	for (uint32_t at = 0; at < count; at += 3) {
		uint32_t n = count - at < 3 ? count - at : 3, where[3], want = n - 1;
		for (uint32_t i = 0; i < n; i++)
			where[i] = position + at + i;
		const struct pass p = { .rows = n, .sequences = 1, .wanted = at + n == count, .token = token + at,
			.position = where, .sequence = sequence, .page = page, .first_page = first_page,
			.want = &want, .logits = &logits };
		cr_assert_eq(t->backend->forward(t->backend, &p, &e), 0, "%s", e.text);
	}
}

/* A copied page holds what the other held: a line that goes on in the copy has the same bits, and what it
 * writes there is not seen in the first. */
static void check_copies(const struct backend_kind *b, const char *dir)
{
	enum { PROMPT = 70, MORE = 4 };
	uint32_t token[PROMPT + MORE], page[3] = { 2, 0, 1 }, copy[3] = { 2, 3, 1 };
	struct bench t;
	struct err e = { 0 };
	bench_open(&t, dir, b->open);
	size_t bytes = t.config.vocab * sizeof(float);
	float *want = malloc(bytes), *got = malloc(bytes);
	for (uint32_t i = 0; i < PROMPT + MORE; i++)
		token[i] = (i * 37 + 11) % t.config.vocab;
	cr_assert_eq(t.backend->pages(t.backend, 1, &e), 0, "%s", e.text);
	cr_assert_eq(t.backend->pages(t.backend, 3, &e), 0, "%s", e.text);
	cr_assert_eq(t.backend->positions(t.backend, PROMPT + MORE, &e), 0, "%s", e.text);
	run(&t, token, 0, PROMPT, page, got);
	t.backend->page_copy(t.backend, page[1], copy[1]);
	run(&t, token + PROMPT, PROMPT, MORE, page, want);
	token[PROMPT] ^= 1; /* another text, in the copy */
	run(&t, token + PROMPT, PROMPT, MORE, copy, got);
	cr_assert_neq(memcmp(want, got, bytes), 0, "%s, %s", b->name, dir);
	token[PROMPT] ^= 1;
	run(&t, token + PROMPT + MORE - 1, PROMPT + MORE - 1, 1, page, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: the first page", b->name, dir);
	run(&t, token + PROMPT, PROMPT, MORE, copy, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: the copy", b->name, dir);
	free(want);
	free(got);
	bench_close(&t);
}

Test(engine_backend, a_line_goes_on_in_copied_pages_with_the_same_bits)
{
	use_library("libplain.so");
	for (size_t b = 0; b <= CUDA; b++) {
		if (b == RECALLING)
			continue;
		check_copies(&backends[b], CASES "deepseek_v2");
		check_copies(&backends[b], CASES "qwen3_moe");
		check_copies(&backends[b], CASES "gpt_oss");
	}
}

/* ---- states ---- */

/* Tokens [count] at [position, ..) with the state of slot `state`, which goes to slot `save` after the
 * row of position `after`. */
static void run_state(struct bench *t, const uint32_t *token, uint32_t position, uint32_t count,
                      uint32_t state, uint32_t save, uint32_t after, float *logits)
{
	const uint32_t first_page[2] = { 0, 2 }, page[2] = { 1, 0 }, sequence[7] = { 0 };
	struct err e = { 0 };
	for (uint32_t at = 0; at < count; at += 7) {
		uint32_t n = count - at < 7 ? count - at : 7, where[7], want = n - 1, row = after - position - at;
		for (uint32_t i = 0; i < n; i++)
			where[i] = position + at + i;
		const uint32_t here = row < n ? save : NO_SAVE;
		const struct pass p = { .rows = n, .sequences = 1, .wanted = at + n == count, .token = token + at,
			.position = where, .sequence = sequence, .page = page, .first_page = first_page,
			.state = &state, .save_row = &row, .save = &here, .want = &want, .logits = &logits };
		cr_assert_eq(t->backend->forward(t->backend, &p, &e), 0, "%s", e.text);
	}
}

/* What was saved in the middle of a pass, and a copy of it, is the state of the text up to there. */
static void check_states(const struct backend_kind *b, const char *dir)
{
	enum { PROMPT = 40, CUT = 17, MORE = 3 };
	uint32_t token[PROMPT + MORE];
	struct bench t;
	struct err e = { 0 };
	bench_open(&t, dir, b->open);
	size_t bytes = t.config.vocab * sizeof(float);
	float *want = malloc(bytes), *got = malloc(bytes);
	for (uint32_t i = 0; i < PROMPT + MORE; i++)
		token[i] = (i * 37 + 11) % t.config.vocab;
	cr_assert_gt(t.backend->state_bytes, 0);
	cr_assert_eq(t.backend->pages(t.backend, 2, &e), 0, "%s", e.text);
	cr_assert_eq(t.backend->states(t.backend, 1, &e), 0, "%s", e.text);
	cr_assert_eq(t.backend->states(t.backend, 3, &e), 0, "%s", e.text);
	cr_assert_eq(t.backend->positions(t.backend, PROMPT + MORE, &e), 0, "%s", e.text);
	run_state(&t, token, 0, PROMPT, 2, 1, CUT - 1, want);
	t.backend->state_copy(t.backend, 1, 3);
	run_state(&t, token + CUT, CUT, PROMPT - CUT, 1, NO_SAVE, 0, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: saved", b->name, dir);
	run_state(&t, token + CUT, CUT, PROMPT - CUT, 3, NO_SAVE, 0, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: the copy", b->name, dir);
	run_state(&t, token + PROMPT, PROMPT, MORE, 2, 0, PROMPT, want);
	run_state(&t, token + PROMPT, PROMPT, MORE, 3, NO_SAVE, 0, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: the first", b->name, dir);
	run_state(&t, token + PROMPT + 1, PROMPT + 1, MORE - 1, 0, NO_SAVE, 0, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: saved after the first row", b->name, dir);
	run_state(&t, token, 0, PROMPT, 0, NO_SAVE, 0, got); /* from nothing, whatever lies there */
	run_state(&t, token + PROMPT, PROMPT, MORE, 0, NO_SAVE, 0, got);
	cr_assert_eq(memcmp(want, got, bytes), 0, "%s, %s: anew", b->name, dir);
	free(want), free(got);
	bench_close(&t);
}

Test(engine_backend, a_state_that_was_saved_goes_on_with_the_same_bits)
{
	for (size_t b = 0; b < BACKENDS; b++) {
		check_states(&backends[b], CASES "qwen3_5_moe");
		check_states(&backends[b], CASES "bailing_hybrid");
	}
}

/* ---- refusals ---- */

Test(engine_backend, what_a_backend_lacks_is_refused_by_name)
{
	struct engine_options o = { .threads = 1, .weights = MODEL_PACKING_Q8, .quiet = true };
	struct source *s;
	struct engine *m;
	struct err e = { 0 };
	double rate;
	cr_assert_eq(source_open_folder(&s, CASES "llama", &e), 0, "%s", e.text);
	cr_assert_eq(engine_open_with(&m, s, &o, backends[1].open, &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "q8 by the plain backend"), "%s", e.text);
	o.weights = MODEL_PACKING_STORED;
	o.cache = ENGINE_CACHE_INT8;
	cr_assert_eq(engine_open_with(&m, s, &o, backends[1].open, &e), ERR_UNSUPPORTED);
	o.cache = ENGINE_CACHE_F32;
	cr_assert_eq(engine_open_with(&m, s, &o, backends[1].open, &e), 0, "%s", e.text);
	cr_assert_eq(engine_peak_read(m, &rate, &e), ERR_UNSUPPORTED);
	engine_close(m);
	source_close(s);
}
