/* Dense products of the fast regime by cuBLAS, without either: the kernels under the emulator, and
 * build/emulator/libcublas.so in cuBLAS's place, whose sums have an order of their own. */
#include "support.h"

#include "engine/pass.h"
#include "kernels/choice.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASES "tests/vectors/oracles/"
#define EMULATED "libhallmark_cuda.so"
#define MIB32 33554432ull

/* In a list for 128 rows both ways; FEW lack more than an eighth of it. */
enum { TOKENS = 115, BESIDE = 12, FEW = 111 };

static uint32_t tokens = TOKENS;

static char table[] = "/tmp/choice.XXXXXX";
static bool made;

/* The device's table of choices: this form for all formats, of more rows than the fast regime begins with. */
static void choose(const char *form)
{
	static const char *const formats[] = { "f32", "f16", "bf16", "fp8", "q8", "q4", "mxfp4" };
	const struct device_facts here = { .name = "host emulator", .capability = 90 };
	char head[400];
	if (!made)
		cr_assert_geq(mkstemp(table), 0);
	made = true;
	FILE *f = fopen(table, "w");
	device_choice_head(head, sizeof head, &here);
	fputs(head, f);
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		fprintf(f, "product %s fast 4294967295 %s\n", formats[i], form);
	fclose(f);
	setenv("HALLMARK_CUDA_CHOICE", table, 1);
}

/* cuBLAS is there, and computes whatever it can. */
static void use_cublas(void)
{
	char path[4200];
	use_library(EMULATED);
	const char *library = getenv("HALLMARK_CUDA");
	snprintf(path, sizeof path, "%.*s/libcublas.so", (int)(strrchr(library, '/') - library), library);
	setenv("HALLMARK_CUBLAS", path, 1);
	choose("cublas");
}

static void forget_cublas(void)
{
	unlink(table);
}

static const struct {
	const char *model;
	enum model_packing weights;
} models[] = {
	{ CASES "deepseek_v2_lite_bf16", MODEL_PACKING_STORED }, { CASES "llama", MODEL_PACKING_Q8 },
	{ CASES "qwen2", MODEL_PACKING_Q4 },                   { CASES "gemma2", MODEL_PACKING_Q8 },
	{ CASES "gpt_neox", MODEL_PACKING_Q8 },                { CASES "deepseek_v3_fp8", MODEL_PACKING_STORED },
};
enum { MODELS = sizeof models / sizeof models[0] };

/* So far, by the library that stands for cuBLAS. */
static uint64_t products(void)
{
	uint64_t (*count)(void) = NULL;
	void *library = dlopen(getenv("HALLMARK_CUBLAS"), RTLD_NOW | RTLD_LOCAL);
	void *symbol = library ? dlsym(library, "emulator_cublas_products") : NULL;
	cr_assert_not_null(symbol);
	memcpy(&count, &symbol, sizeof count);
	uint64_t n = count();
	dlclose(library);
	return n;
}

static struct engine *open_fast(size_t i, bool fast)
{
	return open_model_with(models[i].model,
	                       (struct engine_options){ .threads = 2, .fast = fast, .weights = models[i].weights },
	                       cuda_open);
}

/* Logits of a text in one pass; beside: another one is in it. */
static float *text_logits(struct engine *m, bool beside, struct err *e)
{
	uint32_t vocab = engine_info(m)->vocab, token[TOKENS];
	float *logits = malloc((size_t)TOKENS * vocab * sizeof *logits), *other = malloc(vocab * sizeof *other);
	struct engine_sequence *s[2];
	for (uint32_t i = 0; i < TOKENS; i++)
		token[i] = (i * i * 7 + i) % vocab;
	for (int i = 0; i < 2; i++)
		cr_assert_eq(engine_sequence_open(&s[i], m, TOKENS, e), 0, "%s", e->text);
	const struct engine_feed f[2] = {
		{ .sequence = s[0], .token = token, .count = tokens, .logits = logits, .all = true },
		{ .sequence = s[1], .token = token + 5, .count = BESIDE, .logits = other },
	};
	int rc = engine_forward(m, f, beside ? 2 : 1, e);
	for (int i = 0; i < 2; i++)
		engine_sequence_close(s[i]);
	free(other);
	if (rc == 0)
		return logits;
	free(logits);
	return NULL;
}

static float *must_compute(size_t i, bool fast, bool beside, uint32_t *vocab)
{
	struct err e = { 0 };
	struct engine *m = open_fast(i, fast);
	*vocab = engine_info(m)->vocab;
	float *logits = text_logits(m, beside, &e);
	cr_assert_not_null(logits, "%s: %s", models[i].model, e.text);
	engine_close(m);
	return logits;
}

/* Near to the canonical regime, other bits than the regime's own form, and the same in company. */
Test(engine_cuda_dense, cublas_computes_dense_products_of_many_rows, .timeout = 300)
{
	double most = 0; /* of some, rounding for the head takes the difference away */
	for (size_t i = 0; i < MODELS; i++) {
		uint32_t vocab;
		use_cublas();
		float *exact = must_compute(i, false, false, &vocab);
		uint64_t before = products();
		float *with = must_compute(i, true, false, &vocab);
		cr_expect_gt(products(), before + 5, "%s: %d products", models[i].model, (int)(products() - before));
		float *company = must_compute(i, true, true, &vocab);
		size_t n = (size_t)TOKENS * vocab;
		setenv("HALLMARK_CUBLAS", "", 1);
		float *without = must_compute(i, true, false, &vocab);
		double off = distance(with, exact, n), other = distance(with, without, n);
		cr_expect(off > 1e-5 && off < 0.05, "%s: %g from the canonical regime", models[i].model, off);
		most = other > most ? other : most;
		cr_expect(other < 0.05, "%s: %g from the regime's own form", models[i].model, other);
		cr_expect_eq(memcmp(with, company, n * sizeof *with), 0, "%s: in company", models[i].model);
		free(exact), free(with), free(company), free(without);
	}
	cr_expect_gt(most, 0);
	forget_cublas();
}

/* In every way that a pass is run; and no pass of few rows knows of it. */
Test(engine_cuda_dense, graphs_and_launches_give_the_same_bits, .timeout = 300)
{
	static const char *const ways[] = { "launches", "graph", "ahead", "kernel" };
	uint32_t vocab;
	float *first = NULL;
	use_cublas();
	for (size_t w = 0; w < 4; w++) {
		setenv("HALLMARK_CUDA_STEPS", ways[w], 1);
		float *logits = must_compute(0, true, false, &vocab);
		if (first == NULL)
			first = logits;
		cr_expect_eq(memcmp(first, logits, (size_t)TOKENS * vocab * sizeof *first), 0, "%s", ways[w]);
		if (first != logits)
			free(logits);
	}
	free(first);
	forget_cublas();
}

static void check_without(size_t i)
{
	uint32_t vocab;
	float *with = must_compute(i, true, false, &vocab);
	cr_expect_eq(products(), 0);
	setenv("HALLMARK_CUBLAS", "", 1);
	float *without = must_compute(i, true, false, &vocab);
	cr_expect_eq(memcmp(with, without, (size_t)tokens * vocab * sizeof *with), 0, "%s", models[i].model);
	free(with), free(without);
}

/* The built-in table has cuBLAS beside the longest lists alone; and it computes all rows of its list, so
 * passes that lack many of them have none. The others are as they were. */
Test(engine_cuda_dense, shorter_passes_keep_their_form, .timeout = 120)
{
	for (size_t i = 0; i < MODELS; i += 3) {
		use_cublas();
		unsetenv("HALLMARK_CUDA_CHOICE");
		check_without(i);
	}
	use_cublas();
	tokens = FEW;
	check_without(0);
	forget_cublas();
}

/* ---- its name ---- */

static void check_regime(bool fast, const char *regime)
{
	struct engine_means means;
	struct err e = { 0 };
	struct engine_options o = { .device = ENGINE_CUDA, .fast = fast };
	struct engine *m = open_fast(1, fast);
	cr_expect_str_eq(engine_info(m)->regime, regime);
	cr_expect_str_eq(engine_info(m)->kernel_set, "cuda-sm90");
	cr_expect_eq(engine_means(&o, &means, &e), 0, "%s", e.text);
	cr_expect_str_eq(means.regime, regime);
	cr_expect_str_eq(means.set, "cuda-sm90");
	engine_close(m);
}

Test(engine_cuda_dense, the_regime_names_the_library_and_its_version)
{
	use_cublas();
	check_regime(true, "cuda-fast/1+cublas-99.1.2");
	check_regime(false, "cuda/1");
	setenv("EMULATOR_CUBLAS_VERSION", "13.0.2", 1);
	check_regime(true, "cuda-fast/1+cublas-13.0.2");
	unsetenv("HALLMARK_CUDA_CHOICE"); /* the built-in table asks for it too, from 1,024 rows on */
	check_regime(true, "cuda-fast/1+cublas-13.0.2");
	choose("auto");
	check_regime(true, "cuda-fast/1");
	choose("cublas");
	setenv("HALLMARK_CUBLAS", "/nowhere/libcublas.so", 1);
	check_regime(true, "cuda-fast/1");
	forget_cublas();
}

/* ---- what goes wrong ---- */

static int open_named(const char *dir, uint64_t memory, struct engine **m, struct err *e)
{
	const struct engine_options o = { .quiet = true, .threads = 1, .device = ENGINE_CUDA, .fast = true,
		.weights = MODEL_PACKING_Q8, .memory_max = memory };
	struct source *s;
	cr_assert_eq(source_open_folder(&s, dir, e), 0, "%s", e->text);
	int rc = engine_open(m, s, &o, e);
	source_close(s);
	return rc;
}

static unsigned long long bytes_needed(void)
{
	unsigned long long need = 0;
	struct engine *m;
	struct err e = { 0 };
	cr_assert_eq(open_named(CASES "llama", 1000, &m, &e), ERR_UNAVAILABLE);
	cr_assert_eq(sscanf(strchr(e.text, '('), "(%llu bytes", &need), 1, "%s", e.text);
	return need;
}

/* Its workspace and a matrix and its rows in bf16 are counted, where some pass takes them. */
Test(engine_cuda_dense, memory_is_counted_where_the_table_asks_for_it)
{
	use_cublas();
	unsigned long long with = bytes_needed();
	choose("auto");
	unsigned long long never = bytes_needed();
	choose("cublas");
	setenv("HALLMARK_CUBLAS", "", 1);
	cr_expect_eq(bytes_needed(), never);
	cr_expect_gt(with, never + MIB32, "%llu with, %llu without", with, never);
	cr_expect_lt(with, never + 2 * MIB32, "%llu with, %llu without", with, never);
	forget_cublas();
}

Test(engine_cuda_dense, a_library_that_does_not_open_or_multiply_is_told_of)
{
	struct engine *m;
	struct err e = { 0 };
	use_cublas();
	setenv("EMULATOR_CUBLAS_FAILS", "0", 1);
	cr_assert_eq(open_named(CASES "llama", 0, &m, &e), ERR_UNAVAILABLE, "%s", e.text);
	cr_expect_not_null(strstr(e.text, "begin with cuBLAS: cuBLAS: the library was not initialized"), "%s",
	                   e.text);
	cr_expect_not_null(strstr(e.text, "HALLMARK_CUBLAS set to nothing"), "%s", e.text);
	setenv("EMULATOR_CUBLAS_FAILS", "1", 1); /* while the graph is recorded */
	cr_assert_lt(open_named(CASES "llama", 0, &m, &e), 0);
	cr_expect_not_null(strstr(e.text, "cuBLAS: the function failed to launch"), "%s", e.text);
	setenv("HALLMARK_CUDA_STEPS", "launches", 1); /* in a pass: the device counts as lost */
	setenv("EMULATOR_CUBLAS_FAILS", "3", 1);
	cr_assert_eq(open_named(CASES "llama", 0, &m, &e), 0, "%s", e.text);
	cr_expect_null(text_logits(m, false, &e));
	cr_expect_not_null(strstr(e.text, "the GPU failed"), "%s", e.text);
	cr_expect_not_null(strstr(e.text, "cuBLAS: the function failed to launch"), "%s", e.text);
	engine_close(m);
	forget_cublas();
}
