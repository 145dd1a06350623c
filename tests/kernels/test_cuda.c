/* The device's operations, run by the host emulator behind the same library interface, against their
 * truth. */
#include "kernels/device.h"
#include "kernels/number.h"
#include "kernels/ops.h"
#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS 500

static uint64_t state = 5;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((state >> 33) % n);
}

static float noise(void) { return (float)below(1u << 24) * 0x1p-23f - 1; }

struct bench {
	struct device *device;
	struct device_stream *stream;
	struct device_buffer batch, score, bias, expert, weight;
};

static struct err e;

static void bench_open(struct bench *b)
{
	*b = (struct bench){ 0 };
	cr_assert_eq(device_open(&b->device, emulated("libhallmark_cuda.so"), &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(b->device, &b->stream, &e), 0, "%s", e.text);
}

static void bench_close(struct bench *b)
{
	device_stream_close(b->stream);
	device_close(b->device);
}

/* ---- moe_gate ---- */

enum scores { NOISE, TIES, MANY_LOWEST, NOT_NUMBERS, EXTREME, KINDS_OF_SCORES };

static float one_score(enum scores kind)
{
	static const float odd[] = { NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1, -1 };
	switch (kind) {
	case TIES:
		return (float)below(3);
	case MANY_LOWEST:
		return below(8) == 0 ? noise() : -INFINITY;
	case NOT_NUMBERS:
		return odd[below(sizeof odd / sizeof odd[0])];
	case EXTREME:
		return noise() * 1e30f;
	default:
		return noise() * 4;
	}
}

/* -0 keeps the sign of a zero score, so that both zeros compete. */
static float one_bias(void)
{
	return below(4) == 0 ? one_score(NOT_NUMBERS) : below(4) == 0 ? noise() : -0.0f;
}

static bool same_weight(float a, float b)
{
	return number_bits(a) == number_bits(b) || (isnan(a) && isnan(b));
}

/* Device against truth, with exact-size buffers, poisoned results and nothing else written. */
static void compare(struct bench *b, struct kernel_gate g, const float *score, uint32_t tokens,
		    const char *row)
{
	static uint16_t want[MOST_TOKENS * KERNEL_TOP_K], got[MOST_TOKENS * KERNEL_TOP_K];
	static float want_weight[MOST_TOKENS * KERNEL_TOP_K], weight[MOST_TOKENS * KERNEL_TOP_K];
	size_t in = (size_t)tokens * g.experts * 4, out = (size_t)tokens * g.top_k;
	kernel_moe_gate_plain(&g, score, tokens, want, want_weight);
	cr_assert_eq(device_alloc(b->device, in, &b->score, &e), 0, "%s", e.text);
	cr_assert_eq(device_alloc(b->device, out * 2, &b->expert, &e), 0, "%s", e.text);
	cr_assert_eq(device_alloc(b->device, out * 4, &b->weight, &e), 0, "%s", e.text);
	cr_assert_eq(device_alloc(b->device, g.experts * 4, &b->bias, &e), 0, "%s", e.text);
	cr_assert_eq(device_upload(b->stream, &b->score, 0, score, in, &e), 0, "%s", e.text);
	if (g.bias != NULL)
		cr_assert_eq(device_upload(b->stream, &b->bias, 0, g.bias, g.experts * 4, &e), 0, "%s",
			     e.text);
	cr_assert_eq(device_fill(b->stream, &b->expert, 0xff, &e), 0, "%s", e.text);
	g.bias = g.bias ? b->bias.at : NULL;
	const struct device_batch batch = { .rows = tokens };
	cr_assert_eq(device_alloc(b->device, sizeof batch, &b->batch, &e), 0, "%s", e.text);
	cr_assert_eq(device_upload(b->stream, &b->batch, 0, &batch, sizeof batch, &e), 0, "%s", e.text);
	const struct moe_gate_args args = { b->batch.at,  g,	      b->score.at,
					    b->expert.at, b->weight.at, tokens + 1 };
	cr_assert_eq(device_moe_gate(b->stream, &args, &e), 0, "%s: %s", row, e.text);
	cr_assert_eq(device_download(b->stream, got, &b->expert, 0, out * 2, &e), 0, "%s", e.text);
	cr_assert_eq(device_download(b->stream, weight, &b->weight, 0, out * 4, &e), 0, "%s", e.text);
	cr_assert_eq(device_wait(b->stream, &e), 0, "%s", e.text);
	for (size_t i = 0; i < out; i++) {
		cr_assert_eq(got[i], want[i], "%s: experts %u token %zu place %zu: %u, expected %u", row,
			     g.experts, i / g.top_k, i % g.top_k, got[i], want[i]);
		cr_assert(same_weight(weight[i], want_weight[i]),
			  "%s: experts %u token %zu place %zu: %a, expected %a", row, g.experts,
			  i / g.top_k, i % g.top_k, (double)weight[i], (double)want_weight[i]);
	}
	device_free(&b->score), device_free(&b->bias), device_free(&b->expert), device_free(&b->weight);
	device_free(&b->batch);
}

static const struct {
	const char *name;
	uint32_t experts, top_k, groups, kept;
} shapes[] = {
	{ "smallest", 1, 1, 1, 1 },
	{ "mixtral", 8, 2, 1, 1 },
	{ "all of few", 12, 12, 1, 1 },
	{ "gpt-oss", 32, 4, 1, 1 },
	{ "one more than a warp", 33, 6, 11, 3 },
	{ "olmoe", 64, 8, 1, 1 },
	{ "odd", 77, 7, 7, 2 },
	{ "v2-lite", 64, 6, 1, 1 },
	{ "v2", 160, 6, 8, 3 },
	{ "v3", 256, 8, 8, 4 },
	{ "more than the groups hold", 40, 30, 8, 2 },
	{ "groups of one", 40, 5, 40, 9 },
	{ "kimi", 384, 8, 1, 1 },
	{ "most", 1024, 64, 1, 1 },
	{ "most, most groups", 1024, 8, 1024, 100 },
	{ "not round", 1000, 9, 20, 6 },
};

static uint32_t tokens_for(uint32_t experts)
{
	static const uint32_t few[] = { 1, 2, 3, 4, 5, 7, 9 };
	return experts > 100 ? few[below(4)] : few[below(7)];
}

Test(cuda, moe_gate_has_the_bits_of_the_truth_on_all_shapes_kinds_and_scores, .timeout = 300)
{
	static float score[9 * KERNEL_EXPERTS], bias[KERNEL_EXPERTS];
	struct bench b;
	bench_open(&b);
	for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
		for (int run = 0; run < 3 * KINDS_OF_SCORES; run++) {
			struct kernel_gate g = { .kind = (enum kernel_gate_kind)(run % 3),
						 .experts = shapes[s].experts,
						 .top_k = shapes[s].top_k,
						 .groups = shapes[s].groups,
						 .groups_kept = shapes[s].kept,
						 .normalise = below(2) != 0,
						 .scaling = 2.5f,
						 .floor = below(2) ? 0.25f : 0,
						 .bias = below(2) ? bias : NULL };
			uint32_t tokens = tokens_for(g.experts);
			for (uint32_t i = 0; i < tokens * g.experts; i++)
				score[i] = one_score((enum scores)(run / 3));
			for (uint32_t i = 0; i < g.experts; i++)
				bias[i] = run / 3 == NOT_NUMBERS ? one_bias() : noise();
			compare(&b, g, score, tokens, shapes[s].name);
		}
	}
	bench_close(&b);
}

Test(cuda, moe_gate_has_the_bits_of_the_truth_for_any_number_of_tokens, .timeout = 300)
{
	static const uint32_t counts[] = { 1, 2, 3, 4, 5, 63, 128, 257, 499, 500 };
	static float score[MOST_TOKENS * 48], bias[48];
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < MOST_TOKENS * 48; i++)
		score[i] = one_score(NOISE);
	for (size_t i = 0; i < 48; i++)
		bias[i] = noise();
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct kernel_gate g = { .kind = (enum kernel_gate_kind)(i % 3),
					 .experts = 48,
					 .top_k = 4,
					 .groups = 4,
					 .groups_kept = 2,
					 .scaling = 1,
					 .normalise = true,
					 .bias = i % 2 ? bias : NULL };
		compare(&b, g, score, counts[i], "tokens");
	}
	const struct moe_gate_args none = {
		.gate = { .kind = KERNEL_GATE_SOFTMAX, .experts = 8, .top_k = 2, .groups = 1, .groups_kept = 1 }
	};
	cr_assert_eq(device_moe_gate(b.stream, &none, &e), 0, "%s", e.text);
	bench_close(&b);
}

/* ---- the interface ---- */

Test(cuda, memory_of_the_device_and_of_the_host_is_told_and_taken)
{
	struct bench b;
	struct device_buffer some;
	uint64_t before = 0, after = 0;
	char *host = NULL, back[64];
	void *at;
	bench_open(&b);
	cr_assert_eq(device_memory(b.device, &before, &e), 0, "%s", e.text);
	cr_assert_eq(device_alloc(b.device, 1 << 20, &some, &e), 0, "%s", e.text);
	cr_assert_eq(device_memory(b.device, &after, &e), 0, "%s", e.text);
	cr_assert(after > 0 && after + (1 << 20) <= before);
	cr_assert_eq(device_pinned(b.device, 64, &at, &e), 0, "%s", e.text);
	host = at;
	memset(host, 7, 64);
	cr_assert_eq(device_upload(b.stream, &some, 100, host, 64, &e), 0, "%s", e.text);
	cr_assert_eq(device_download(b.stream, back, &some, 100, 64, &e), 0, "%s", e.text);
	cr_assert_eq(device_wait(b.stream, &e), 0, "%s", e.text);
	cr_assert_eq(memcmp(back, host, 64), 0);
	device_pinned_free(b.device, host);
	device_pinned_free(b.device, NULL);
	device_free(&some);
	bench_close(&b);
}

Test(cuda, a_library_or_a_device_that_is_not_there_is_named)
{
	struct device *d = NULL;
	cr_assert_eq(device_open(&d, "/nowhere/lib.so", &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "no device found: cannot read /nowhere/lib.so"), "%s", e.text);
	setenv("HALLMARK_CUDA", "/nowhere/other.so", 1);
	cr_assert_eq(device_open(&d, NULL, &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "/nowhere/other.so"), "%s", e.text);
	unsetenv("HALLMARK_CUDA");
	cr_assert_eq(device_open(&d, NULL, &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "no libhallmark_cuda.so beside the program"), "%s", e.text);
	cr_assert_eq(device_open(&d, "README.md", &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "README.md"), "%s", e.text);
	cr_assert_eq(device_open(&d, emulated("libfaults.so"), &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "has no hallmark_cuda"), "%s", e.text);
	setenv("EMULATOR_NO_DEVICE", "1", 1);
	cr_assert_eq(device_open(&d, emulated("libhallmark_cuda.so"), &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "no device found: no CUDA-capable device"), "%s", e.text);
	unsetenv("EMULATOR_NO_DEVICE");
	cr_assert_eq(device_open_at(&d, emulated("libhallmark_cuda.so"), 3, &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "no device found: GPU 3: "), "%s", e.text);
	setenv("EMULATOR_CAPABILITY", "70", 1);
	cr_assert_eq(device_open(&d, emulated("libhallmark_cuda.so"), &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text,
				  "not available in this version: host emulator (compute capability 7.0; "
				  "the library has code for 8.0, 9.0, 10.0, 12.0)"),
			   "%s", e.text);
}

/* An id beyond the experts would be written: the launch does not happen. */
Test(cuda, a_shape_against_the_rules_is_a_broken_invariant, .signal = SIGABRT)
{
	struct bench b;
	bench_open(&b);
	const struct moe_gate_args more = {
		.gate = { .kind = KERNEL_GATE_SOFTMAX, .experts = 8, .top_k = 9, .groups = 1, .groups_kept = 1 },
		.rows_most = 1,
	};
	(void)!device_moe_gate(b.stream, &more, &e);
}

Test(cuda, operations_that_are_not_there_are_refused_by_name)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(device_supports(b.device, "moe_gate", &e), 0);
	cr_assert_eq(device_supports(b.device, "rmsnorm", &e), ERR_UNSUPPORTED);
	cr_assert_str_eq(e.text, "not available in this version: rmsnorm on the GPU");
	bench_close(&b);
}

Test(cuda, memory_moves_between_host_and_device_and_runs_out_with_a_sentence)
{
	struct bench b;
	struct device_buffer one, two, none = { 0 };
	char text[12] = "hello, gate", back[12] = "";
	double us = -1;
	bench_open(&b);
	cr_assert_eq(device_info(b.device)->capability, 90);
	cr_assert_str_eq(device_info(b.device)->name, "host emulator");
	cr_assert_eq(device_alloc(b.device, (size_t)1 << 40, &one, &e), ERR_NOMEM);
	cr_assert_not_null(strstr(e.text, "1099511627776 bytes"), "%s", e.text);
	cr_assert_eq(device_alloc(b.device, 12, &one, &e), 0);
	cr_assert_eq(device_alloc(b.device, 20, &two, &e), 0);
	cr_assert_eq(device_clock_start(b.stream, &e), 0);
	cr_assert_eq(device_upload(b.stream, &one, 7, text + 7, 5, &e), 0);
	cr_assert_eq(device_upload(b.stream, &one, 0, text, 7, &e), 0);
	cr_assert_eq(device_copy(b.stream, &two, &one, 12, &e), 0);
	cr_assert_eq(device_fill(b.stream, &one, 'x', &e), 0);
	cr_assert_eq(device_download(b.stream, back, &two, 0, 12, &e), 0);
	cr_assert_eq(device_clock_stop(b.stream, &us, &e), 0);
	cr_assert_eq(device_wait(b.stream, &e), 0);
	cr_assert_str_eq(back, text);
	cr_assert(us >= 0);
	cr_assert_eq(device_download(b.stream, back, &one, 11, 1, &e), 0);
	cr_assert_eq(back[0], 'x');
	device_free(&one), device_free(&two), device_free(&none);
	cr_assert_eq(one.at, NULL);
	bench_close(&b);
}
