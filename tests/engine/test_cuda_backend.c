/* The GPU's backend without a GPU: its lists of operations by plain loops in double (libplain.so), and by the
 * kernels themselves under the emulator (libhallmark_cuda.so); both as make built them. */
#include "kinds.h"
#include "oracle.h"
#include "support.h"

#include "engine/pass.h"
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"
#define PLAIN "libplain.so"
#define EMULATED "libhallmark_cuda.so"

static struct engine *open_on_gpu(const char *dir, struct engine_options o)
{
	o.threads = o.threads ? o.threads : 2;
	return open_model_with(dir, o, cuda_open);
}

/* ---- oracles ---- */

/* Every family that the GPU computes. */
static const char *const cases[] = {
	"deepseek_v2_lite", "deepseek_v2_lite_bf16", "deepseek_v2", "deepseek_v3", "deepseek_v3_negbias",
	"deepseek_v3_long", "deepseek_v3_fp8", "llama", "llama_v5cfg", "llama_linear", "qwen2", "qwen3",
	"mistral", "qwen3_moe", "qwen3_moe_v5cfg", "qwen2_moe", "mixtral", "olmoe", "glm4_moe", "gpt_oss",
	"gpt_oss_mxfp4", "mimo_v2_flash", "glm4_moe_lite", "dots1", "minimax_m2",
	"hunyuan_v1_moe", "granitemoeshared", "gemma2", "cohere2", "gpt_neox", "olmo3", "nemotron", "apertus",
	"phi3_longrope", "ministral3", "ernie4_5_moe",
};

static void check_row(struct engine *m, const struct oracle *o, const char *what, bool exact)
{
	size_t all = (size_t)o->length * o->vocab, experts = (size_t)o->moe_layers * o->length * o->top_k;
	float *logits = malloc(all * sizeof *logits);
	uint16_t *expert = calloc(experts + 1, sizeof *expert);
	struct engine_sequence *s;
	struct err e = { 0 };
	double worst = 0;
	cr_assert_eq(engine_sequence_open(&s, m, o->length, &e), 0, "%s", e.text);
	const struct engine_feed f = { .sequence = s, .token = (const uint32_t *)o->input, .count = o->length,
		.logits = logits, .all = true, .expert = o->moe_layers > 0 ? expert : NULL };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s: %s", what, e.text);
	for (size_t i = 0; i < all; i++) {
		double off = fabs((double)logits[i] - o->logits[i]);
		worst = off > worst || isnan(off) ? off : worst;
	}
	/* the kernels' products round rows to 17 bits (docs/formats.md, section 9) */
	double bound = (strstr(what, "fp8") != NULL ? 3e-4 : 1e-4) * (exact ? 1 : 2);
	cr_expect_leq(worst, bound * o->logit_std, "%s: off by %g of the logits' deviation", what,
	              worst / o->logit_std);
	for (size_t i = 0; i < experts; i++) {
		size_t l = i / (o->length * o->top_k), in = i % (o->length * o->top_k);
		cr_assert_eq(expert[i], o->expert[l * o->batch * o->length * o->top_k + in], "%s: MoE layer %zu",
		             what, l);
	}
	engine_sequence_close(s);
	free(logits);
	free(expert);
}

static void check_oracle(const char *name, const char *library)
{
	struct oracle o;
	use_library(library);
	oracle_open(&o, name);
	struct engine *m = open_on_gpu(o.dir, (struct engine_options){ 0 });
	check_row(m, &o, name, strcmp(library, PLAIN) == 0);
	engine_close(m);
	oracle_close(&o);
}

Test(engine_cuda, the_operations_asked_for_compute_every_family)
{
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
		check_oracle(cases[c], PLAIN);
}

/* The same by the kernels themselves. */
Test(engine_cuda, kernels_compute_every_family, .timeout = 600)
{
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
		check_oracle(cases[c], EMULATED);
}

/* ---- other kinds of layers ---- */

enum { KIND_TOKENS = 40 };

static float *kind_logits(const char *kind, backend_opener *open, uint32_t *vocab)
{
	struct engine *m = open_model_with(kind, (struct engine_options){ .threads = 2 }, open);
	struct engine_sequence *s;
	struct err e = { 0 };
	uint32_t token[KIND_TOKENS];
	*vocab = engine_info(m)->vocab;
	for (uint32_t i = 0; i < KIND_TOKENS; i++)
		token[i] = (i * i * 7 + i) % *vocab;
	float *logits = malloc((size_t)KIND_TOKENS * *vocab * sizeof *logits);
	cr_assert_eq(engine_sequence_open(&s, m, KIND_TOKENS, &e), 0, "%s", e.text);
	const struct engine_feed f = { .sequence = s, .token = token, .count = KIND_TOKENS, .logits = logits,
		.all = true };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s: %s", kind, e.text);
	engine_sequence_close(s);
	engine_close(m);
	return logits;
}

Test(engine_cuda, kinds_of_layers_agree_with_the_processors)
{
	static const char *const some[] = { "parallel", "sandwich", "after", "values", "gates" };
	use_library(PLAIN);
	for (size_t k = 0; k < sizeof some / sizeof some[0]; k++) {
		char name[60];
		uint32_t vocab;
		double worst = 0, square = 0;
		snprintf(name, sizeof name, KIND "%s", some[k]);
		float *a = kind_logits(name, cpu_open, &vocab), *b = kind_logits(name, cuda_open, &vocab);
		for (size_t i = 0; i < (size_t)KIND_TOKENS * vocab; i++) {
			worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
			square += (double)a[i] * (double)a[i] / KIND_TOKENS / vocab;
		}
		cr_expect(square > 1e-4 && worst <= 2e-5 * sqrt(square), "%s: off by %g of %g", name, worst,
		          sqrt(square));
		free(a), free(b);
	}
}

/* ---- batches ---- */

enum { N = 24, MANY = 64 };

/* Logits of a text in chunks of so many tokens, `beside` other texts growing by a token with each. */
static float *logits_of(struct engine *m, const uint32_t *token, uint32_t chunk, uint32_t beside)
{
	uint32_t vocab = engine_info(m)->vocab;
	float *out = malloc((size_t)N * vocab * sizeof *out);
	struct engine_sequence *s[MANY];
	struct err e = { 0 };
	for (uint32_t i = 0; i <= beside; i++)
		cr_assert_eq(engine_sequence_open(&s[i], m, N, &e), 0, "%s", e.text);
	for (uint32_t at = 0; at < N; at += chunk) {
		struct engine_feed f[MANY];
		uint32_t n = N - at < chunk ? N - at : chunk, other[MANY];
		for (uint32_t i = 0; i <= beside; i++) {
			other[i] = (at * 31 + i * 17) % vocab;
			f[i] = (struct engine_feed){ .sequence = s[i], .token = &other[i], .count = 1 };
		}
		f[beside / 2].token = token + at;
		f[beside / 2].count = n;
		f[beside / 2].logits = out + (size_t)at * vocab;
		f[beside / 2].all = true;
		cr_assert_eq(engine_forward(m, f, beside + 1, &e), 0, "%s", e.text);
	}
	for (uint32_t i = 0; i <= beside; i++)
		engine_sequence_close(s[i]);
	return out;
}

static void check_batches(const char *dir, const char *library)
{
	static const struct {
		uint32_t chunk, beside;
	} ways[] = { { 1, 0 }, { 7, 0 }, { 5, 6 }, { 4, MANY - 1 } };
	uint32_t token[N];
	use_library(library);
	struct engine *m = open_on_gpu(dir, (struct engine_options){ 0 });
	size_t bytes = (size_t)N * engine_info(m)->vocab * sizeof(float);
	for (uint32_t i = 0; i < N; i++)
		token[i] = (i * 37 + 11) % engine_info(m)->vocab;
	float *want = logits_of(m, token, N, 0);
	for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
		float *got = logits_of(m, token, ways[w].chunk, ways[w].beside);
		cr_expect_eq(memcmp(want, got, bytes), 0, "%s, %s: chunks of %u beside %u", dir, library,
		             ways[w].chunk, ways[w].beside);
		free(got);
	}
	free(want);
	engine_close(m);
}

Test(engine_cuda, neighbours_and_chunks_change_no_bit_of_grouped_queries, .timeout = 600)
{
	check_batches(CASES "gpt_oss", PLAIN);
	check_batches(CASES "gpt_oss", EMULATED);
}

Test(engine_cuda, neighbours_and_chunks_change_no_bit_of_latent_attention, .timeout = 600)
{
	check_batches(CASES "deepseek_v3", PLAIN);
	check_batches(CASES "deepseek_v3", EMULATED);
}

/* ---- facts and refusals ---- */

Test(engine_cuda, facts_name_the_gpu_and_its_bits)
{
	use_library(PLAIN);
	struct engine *m = open_on_gpu(CASES "llama", (struct engine_options){ 0 });
	struct engine *cpu = open_model_with(CASES "llama", (struct engine_options){ 0 }, cpu_open);
	const struct engine_facts *f = engine_info(m);
	cr_expect_str_eq(f->device, "cuda");
	cr_expect_str_eq(f->device_name, "plain operations");
	cr_expect_str_eq(f->kernel_set, "cuda-sm90");
	cr_expect_str_eq(f->regime, "cuda/1");
	cr_expect_str_eq(f->numerics, "canonical");
	cr_expect_not(digest_equal(&f->choice, &engine_info(cpu)->choice));
	engine_close(m);
	engine_close(cpu);
	m = open_on_gpu(CASES "llama", (struct engine_options){ .fast = true });
	cr_expect_str_eq(engine_info(m)->regime, "cuda-fast/1");
	cr_expect_str_eq(engine_info(m)->numerics, "fast");
	engine_close(m);
}

/* ---- the fast regime ---- */

enum { FAST_TOKENS = 80 };

/* So far, of the emulated library that is open. */
static uint64_t launches(void)
{
	uint64_t (*count)(void) = NULL;
	void *library = dlopen(getenv("HALLMARK_CUDA"), RTLD_NOW | RTLD_LOCAL);
	void *symbol = library ? dlsym(library, "emulator_launches") : NULL;
	cr_assert_not_null(symbol);
	memcpy(&count, &symbol, sizeof count);
	uint64_t n = count();
	dlclose(library);
	return n;
}

/* Logits of a text, `each` tokens in a pass, and how many launches that took. */
static float *text_logits(const char *model, bool fast, uint32_t each, uint32_t *vocab, uint64_t *launched)
{
	struct engine *m = open_on_gpu(model, (struct engine_options){ .fast = fast });
	struct engine_sequence *s;
	struct err e = { 0 };
	uint32_t token[FAST_TOKENS];
	*vocab = engine_info(m)->vocab;
	float *logits = malloc((size_t)FAST_TOKENS * *vocab * sizeof *logits);
	for (uint32_t i = 0; i < FAST_TOKENS; i++)
		token[i] = (i * i * 7 + i) % *vocab;
	cr_assert_eq(engine_sequence_open(&s, m, FAST_TOKENS, &e), 0, "%s", e.text);
	*launched = launches();
	for (uint32_t at = 0; at < FAST_TOKENS; at += each) {
		const struct engine_feed f = { .sequence = s, .token = token + at, .count = each,
			.logits = logits + (size_t)at * *vocab, .all = true };
		cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s: %s", model, e.text);
	}
	*launched = launches() - *launched;
	engine_sequence_close(s);
	engine_close(m);
	return logits;
}

/* Beyond 64 rows products have a form of their own there, of two launches: the same answers. */
Test(engine_cuda, many_rows_of_the_fast_regime_take_its_own_form, .timeout = 300)
{
	static const char *const models[] = { CASES "qwen3_moe", CASES "deepseek_v2_lite" };
	use_library(EMULATED);
	for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
		uint32_t vocab;
		uint64_t canonical, own, other;
		float *exact = text_logits(models[i], false, FAST_TOKENS, &vocab, &canonical);
		float *once = text_logits(models[i], true, FAST_TOKENS, &vocab, &own);
		float *cut = text_logits(models[i], true, FAST_TOKENS / 2, &vocab, &other);
		size_t n = (size_t)FAST_TOKENS * vocab;
		double off = distance(once, exact, n), beside = distance(once, cut, n);
		cr_expect(off > 1e-5 && off < 0.05, "%s: %g from the canonical regime", models[i], off);
		cr_expect_leq(beside, 0.05, "%s: %g from passes of few rows", models[i], beside);
		cr_expect_gt(own, canonical, "%s: %d, %d launches", models[i], (int)own, (int)canonical);
		cr_expect_lt(other, 2 * own, "%s: %d, %d launches", models[i], (int)other, (int)own);
		free(exact), free(once), free(cut);
	}
}

static int open_of(const char *dir, const struct engine_options *o, struct engine **m, struct err *e)
{
	struct source *s;
	cr_assert_eq(source_open_folder(&s, dir, e), 0, "%s", e->text);
	int rc = engine_open(m, s, o, e);
	source_close(s);
	return rc;
}

Test(engine_cuda, what_it_does_not_compute_is_refused_by_name)
{
	static const struct {
		const char *model, *words;
	} rows[] = {
		{ "qwen3_5_moe", "layers of the gated delta rule on the GPU (qwen3_5_moe" },
		{ "deepseek_v32", "sparse attention on the GPU" },
		{ "longcat_flash", "experts beside a dense network on the GPU" },
		{ "gemma4", "inputs of each layer on the GPU" },
		{ "gemma4_moe", "experts beside a dense network on the GPU" },
		{ "llama4_text", "weights on what experts read on the GPU" },
	};
	struct engine_options o = { .quiet = true, .threads = 1, .device = ENGINE_CUDA };
	struct engine *m;
	struct err e = { 0 };
	char dir[100];
	use_library(PLAIN);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(dir, sizeof dir, CASES "%s", rows[i].model);
		cr_expect_eq(open_of(dir, &o, &m, &e), ERR_UNSUPPORTED, "%s", rows[i].model);
		cr_expect_not_null(strstr(e.text, rows[i].words), "%s: %s", rows[i].model, e.text);
	}
	o.cache = ENGINE_CACHE_INT8;
	cr_expect_eq(open_of(CASES "llama", &o, &m, &e), ERR_UNSUPPORTED);
	cr_expect_not_null(strstr(e.text, "an int8 cache on the GPU"), "%s", e.text);
}

/* Asked for by name it is the GPU or nothing; where the CPU is allowed it says why it computes. */
Test(engine_cuda, without_a_gpu_the_processor_computes_only_where_that_was_allowed)
{
	struct engine_options o = { .quiet = true, .threads = 1, .device = ENGINE_CUDA };
	struct engine *m;
	struct err e = { 0 };
	setenv("HALLMARK_CUDA", "/nowhere/lib.so", 1);
	cr_assert_eq(open_of(CASES "llama", &o, &m, &e), ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(e.text, "no GPU can be used here: no device found: cannot read /nowhere"), "%s",
	                   e.text);
	for (int auto_too = 0; auto_too < 2; auto_too++) {
		o.device = auto_too ? ENGINE_AUTO : ENGINE_CUDA_ELSE_CPU;
		cr_assert_eq(open_of(CASES "llama", &o, &m, &e), 0, "%s", e.text);
		cr_expect_str_eq(engine_info(m)->device, "cpu");
		cr_expect_not_null(strstr(engine_info(m)->notes, "computes on the CPU: no GPU can be used here: "),
		                   "%s", engine_info(m)->notes);
		engine_close(m);
	}
	use_library(PLAIN);
	o.gpu = 1;
	o.device = ENGINE_CUDA;
	cr_assert_eq(open_of(CASES "llama", &o, &m, &e), ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(e.text, "GPU 1"), "%s", e.text);
	o.gpu = 0;
	o.device = ENGINE_AUTO;
	cr_assert_eq(open_of(CASES "llama", &o, &m, &e), 0, "%s", e.text);
	cr_expect_not_null(strstr(engine_info(m)->notes, "computes on plain operations\n"), "%s",
	                   engine_info(m)->notes);
	engine_close(m);
	o.device = ENGINE_CUDA_ELSE_CPU;
	cr_assert_eq(open_of(CASES "gemma4", &o, &m, &e), 0, "%s", e.text);
	cr_expect_not_null(strstr(engine_info(m)->notes, "computes on the CPU: "), "%s", engine_info(m)->notes);
	cr_expect_not_null(strstr(engine_info(m)->notes, "inputs of each layer"), "%s", engine_info(m)->notes);
	engine_close(m);
}

/* Before a weight is read, with the bytes and with what would fit. */
Test(engine_cuda, too_little_memory_is_told_with_what_would_fit)
{
	struct engine_options o = { .quiet = true, .threads = 1, .device = ENGINE_CUDA };
	struct engine *m;
	struct err e = { 0 };
	unsigned long long need = 0;
	use_library(PLAIN);
	o.memory_max = 1000;
	cr_assert_eq(open_of("demo/model", &o, &m, &e), ERR_UNAVAILABLE);
	cr_assert_eq(sscanf(strchr(e.text, '('), "(%llu bytes", &need), 1, "%s", e.text);
	cr_expect_not_null(strstr(e.text, "(1000 bytes) are allowed: with --weights q4 it still needs"), "%s",
	                   e.text);
	o.memory_max = need - 1;
	cr_assert_eq(open_of("demo/model", &o, &m, &e), ERR_UNAVAILABLE);
	cr_expect_not_null(strstr(e.text, "with --weights q8 it needs"), "%s", e.text);
	o.weights = MODEL_PACKING_Q8;
	cr_assert_eq(open_of("demo/model", &o, &m, &e), 0, "%s", e.text);
	engine_close(m);
	o.weights = MODEL_PACKING_STORED;
	o.memory_max = need;
	cr_assert_eq(open_of("demo/model", &o, &m, &e), 0, "%s", e.text);
	engine_close(m);
}

/* ---- devices of other compute capabilities ---- */

/* No kernel of whole steps, no products of warpgroups, less shared memory: the same bits. */
Test(engine_cuda, devices_of_other_capabilities_give_the_same_bits, .timeout = 120)
{
	static const char *const capability[] = { "90", "80", "100", "120" };
	uint64_t want = 0;
	use_library(EMULATED);
	for (size_t i = 0; i < sizeof capability / sizeof capability[0]; i++) {
		char set[20];
		setenv("EMULATOR_CAPABILITY", capability[i], 1);
		struct engine *m = open_on_gpu(CASES "deepseek_v2_lite_bf16", (struct engine_options){ 0 });
		struct engine_request q = request_of(3, 2);
		for (int k = 0; k < 3; k++)
			long_prompt[k] %= engine_info(m)->vocab;
		struct engine_session *s = must_open(m, &q);
		struct err e = { 0 };
		while (next_of(s, &e) == ENGINE_GOING)
			continue;
		size_t count;
		const uint32_t *ids = engine_session_ids(s, &count);
		uint64_t got = hash_of(ids, count * sizeof *ids) ^ hash_of_last(m, s);
		want = i == 0 ? got : want;
		cr_expect_eq(count, 2);
		cr_expect_eq(got, want, "compute capability %s", capability[i]);
		snprintf(set, sizeof set, "cuda-sm%s", capability[i]);
		cr_expect_str_eq(engine_info(m)->kernel_set, set);
		engine_session_close(s);
		engine_close(m);
	}
}

/* Before a weight is read, with the cache that would fit. */
Test(engine_cuda, attention_that_a_block_has_no_room_for_is_refused_by_name)
{
	struct engine_options o = { .quiet = true, .threads = 1, .device = ENGINE_CUDA };
	struct engine *m;
	struct err e = { 0 };
	unsigned need = 0, less = 0;
	char room[20];
	use_library(EMULATED);
	setenv("EMULATOR_SHARED", "9000", 1);
	cr_assert_eq(open_of(CASES "deepseek_v2_lite", &o, &m, &e), ERR_UNSUPPORTED);
	const char *what = strstr(e.text, "not available");
	cr_assert_eq(sscanf(what != NULL ? what : "",
			    "not available in this version: attention to latents of %*u numbers in f32 on the GPU "
			    "host emulator (deepseek_v2): it needs %u bytes of shared memory, a block has 9000",
			    &need),
		     1, "%s", e.text);
	snprintf(room, sizeof room, "%u", need - 1);
	setenv("EMULATOR_SHARED", room, 1);
	cr_assert_eq(open_of(CASES "deepseek_v2_lite", &o, &m, &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "; --cache bf16 needs "), "%s", e.text);
	less = (unsigned)atoi(strstr(e.text, "bf16 needs ") + 11);
	cr_expect(less > 9000 && less < need, "%s", e.text);
	o.cache = ENGINE_CACHE_BF16;
	snprintf(room, sizeof room, "%u", less - 1);
	setenv("EMULATOR_SHARED", room, 1);
	cr_assert_eq(open_of(CASES "deepseek_v2_lite", &o, &m, &e), ERR_UNSUPPORTED);
	cr_expect_null(strstr(e.text, "--cache"), "%s", e.text);
	setenv("EMULATOR_SHARED", "3000", 1);
	cr_assert_eq(open_of(CASES "llama", &o, &m, &e), ERR_UNSUPPORTED);
	cr_expect_not_null(strstr(e.text, "attention to keys of "), "%s", e.text);
}

/* ---- a device that is lost ---- */

/* The answer under way ends with an error, and so does what comes later: nothing computes any more. */
Test(engine_cuda, a_device_that_is_lost_ends_what_runs_and_what_comes)
{
	struct engine_request q = request_of(20, 30);
	struct engine_session *s;
	struct err e = { 0 };
	int rc;
	use_library(PLAIN);
	setenv("EMULATOR_LOSE_AFTER", "100", 1);
	struct engine *m = open_on_gpu(CASES "llama", (struct engine_options){ 0 });
	for (uint32_t i = 0; i < 20; i++)
		long_prompt[i] %= engine_info(m)->vocab;
	s = must_open(m, &q);
	do
		rc = next_of(s, &e);
	while (rc == ENGINE_GOING);
	size_t count;
	(void)engine_session_ids(s, &count);
	cr_assert_eq(rc, ERR_UNAVAILABLE, "%d: %s", rc, e.text);
	cr_expect_not_null(strstr(e.text, "the GPU failed"), "%s", e.text);
	cr_expect_not_null(strstr(e.text, "the device is lost"), "%s", e.text);
	cr_expect(count > 0 && count < 30, "%zu", count);
	engine_session_close(s);
	rc = engine_session_open(&s, m, &q, &e);
	if (rc == 0) {
		do
			rc = next_of(s, &e);
		while (rc == ENGINE_GOING);
		engine_session_close(s);
	}
	cr_expect_eq(rc, ERR_UNAVAILABLE, "%d: %s", rc, e.text);
	engine_close(m);
}
