/* Every operation of the GPU against its truth, then timed: a plain program, for a machine with little on
 * it. check [TOKENS]   no shape of more than TOKENS tokens Prints one table. The ceiling is the rate of a
 * large copy within the device's memory, bytes read and written. Exit 1: no device, an error, or a result
 * that differs. */
#include "kernels/device.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 9    /* the median of which is printed */
#define LAUNCHES 10 /* of one round */
#define POISON 0xff

static struct device *device;
static struct device_stream *stream;
static struct err why;
static double ceiling; /* bytes a second */
static int wrong;

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "gpu-check: %s\n", why.text);
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Microseconds of one call of work, LAUNCHES in a row: the median of ROUNDS. */
static double time_us(void (*work)(void *), void *with)
{
	double us[ROUNDS];
	work(with); /* loads code, wakes the clocks */
	for (int r = 0; r < ROUNDS; r++) {
		must(device_clock_start(stream, &why));
		for (int i = 0; i < LAUNCHES; i++)
			work(with);
		must(device_clock_stop(stream, &us[r], &why));
		us[r] /= LAUNCHES;
	}
	qsort(us, ROUNDS, sizeof us[0], by_value);
	return us[ROUNDS / 2];
}

static void line(const char *kernel, const char *shape, double error, bool ids, double us, double bytes)
{
	double rate = bytes / us * 1e6;
	printf("%-10s %-44s %9.2g  %-5s %10.2f %9.1f  %6.3f\n", kernel, shape, error,
	       ids ? "equal" : "WRONG", us, rate * 1e-9, rate / ceiling);
}

/* ---- the ceiling ---- */

struct copy {
	struct device_buffer from, to;
};

static void one_copy(void *with)
{
	struct copy *c = with;
	must(device_copy(stream, &c->to, &c->from, c->to.bytes, &why));
}

static void measure_ceiling(void)
{
	uint64_t memory = device_info(device)->memory_bytes;
	size_t bytes = (size_t)(memory >> 33 ? 1u << 30 : 1u << 24);
	struct copy c;
	must(device_alloc(device, bytes, &c.from, &why));
	must(device_alloc(device, bytes, &c.to, &why));
	must(device_fill(stream, &c.from, 0x5a, &why));
	ceiling = 2 * (double)bytes / time_us(one_copy, &c) * 1e6;
	device_free(&c.from);
	device_free(&c.to);
	printf("ceiling: %.1f GB/s, a copy of %zu MiB within the device\n", ceiling * 1e-9, bytes >> 20);
}

/* ---- moe_gate ---- */

static const struct gate_case {
	const char *name;
	struct kernel_gate g;
} gates[] = {
	{ "mixtral 8, top 2",
	  { .kind = KERNEL_GATE_SOFTMAX,
	    .experts = 8,
	    .top_k = 2,
	    .groups = 1,
	    .groups_kept = 1,
	    .normalise = true,
	    .scaling = 1 } },
	{ "gpt-oss 128, top 4 of score + bias",
	  { .kind = KERNEL_GATE_TOPK,
	    .experts = 128,
	    .top_k = 4,
	    .groups = 1,
	    .groups_kept = 1,
	    .scaling = 1 } },
	{ "v2-lite 64, top 6",
	  { .kind = KERNEL_GATE_SOFTMAX,
	    .experts = 64,
	    .top_k = 6,
	    .groups = 1,
	    .groups_kept = 1,
	    .scaling = 1 } },
	{ "v2 160, 8 groups, top 6",
	  { .kind = KERNEL_GATE_SOFTMAX,
	    .experts = 160,
	    .top_k = 6,
	    .groups = 8,
	    .groups_kept = 3,
	    .scaling = 16 } },
	{ "qwen3 128, top 8",
	  { .kind = KERNEL_GATE_SOFTMAX,
	    .experts = 128,
	    .top_k = 8,
	    .groups = 1,
	    .groups_kept = 1,
	    .normalise = true,
	    .scaling = 1 } },
	{ "v3 256, 8 groups, top 8, sigmoid",
	  { .kind = KERNEL_GATE_SIGMOID,
	    .experts = 256,
	    .top_k = 8,
	    .groups = 8,
	    .groups_kept = 4,
	    .normalise = true,
	    .scaling = 2.5f } },
	{ "kimi 384, top 8, sigmoid",
	  { .kind = KERNEL_GATE_SIGMOID,
	    .experts = 384,
	    .top_k = 8,
	    .groups = 1,
	    .groups_kept = 1,
	    .normalise = true,
	    .scaling = 2.827f } },
	{ "most 1000, 20 groups, top 64",
	  { .kind = KERNEL_GATE_SOFTMAX,
	    .experts = 1000,
	    .top_k = 64,
	    .groups = 20,
	    .groups_kept = 9,
	    .scaling = 1 } },
};
static const uint32_t counts[] = { 1, 8, 512, 65536 };

struct gate {
	struct kernel_gate host, at_device;
	uint32_t tokens;
	float *score, *weight, *weight_truth;
	uint16_t *expert, *expert_truth;
	struct device_buffer d_score, d_bias, d_expert, d_weight;
};

static float noise(void)
{
	static uint64_t state = 1;
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (float)(int32_t)(state >> 32) * 0x1p-31f;
}

static void *need(size_t bytes)
{
	void *at = malloc(bytes);
	if (at == NULL)
		must(err_set(&why, ERR_NOMEM, "out of memory"));
	return at;
}

/* Every fourth token's scores are quarters, so that many tie. */
static void gate_fill(struct gate *x)
{
	size_t in = (size_t)x->tokens * x->host.experts;
	float *bias = need(x->host.experts * 4);
	for (uint32_t i = 0; i < x->host.experts; i++)
		bias[i] = noise();
	for (size_t i = 0; i < in; i++)
		x->score[i] = i / x->host.experts % 4 == 3 ? rintf(noise() * 4) / 4 : noise() * 3;
	must(device_upload(stream, &x->d_bias, 0, bias, x->host.experts * 4, &why));
	must(device_upload(stream, &x->d_score, 0, x->score, in * 4, &why));
	must(device_fill(stream, &x->d_expert, POISON, &why));
	must(device_fill(stream, &x->d_weight, POISON, &why));
	must(device_wait(stream, &why));
	if (x->host.kind == KERNEL_GATE_SOFTMAX) {
		free(bias);
		bias = NULL;
	}
	x->host.bias = bias;
	x->at_device = x->host;
	x->at_device.bias = bias == NULL ? NULL : x->d_bias.at;
}

static void gate_open(struct gate *x, const struct kernel_gate *g, uint32_t tokens)
{
	size_t in = (size_t)tokens * g->experts, out = (size_t)tokens * g->top_k;
	*x = (struct gate){ .host = *g, .tokens = tokens };
	x->score = need(in * 4);
	x->weight = need(out * 4);
	x->weight_truth = need(out * 4);
	x->expert = need(out * 2);
	x->expert_truth = need(out * 2);
	must(device_alloc(device, in * 4, &x->d_score, &why));
	must(device_alloc(device, g->experts * 4, &x->d_bias, &why));
	must(device_alloc(device, out * 2, &x->d_expert, &why));
	must(device_alloc(device, out * 4, &x->d_weight, &why));
	gate_fill(x);
}

static void gate_close(struct gate *x)
{
	free((void *)(uintptr_t)x->host.bias);
	free(x->score), free(x->weight), free(x->weight_truth), free(x->expert), free(x->expert_truth);
	device_free(&x->d_score), device_free(&x->d_bias), device_free(&x->d_expert),
		device_free(&x->d_weight);
}

static void one_gate(void *with)
{
	struct gate *x = with;
	const struct moe_gate_args args = { x->at_device, x->d_score.at, x->tokens, x->d_expert.at,
					    x->d_weight.at };
	must(device_moe_gate(stream, &args, &why));
}

static void check_gate(const struct gate_case *c, uint32_t tokens)
{
	struct gate x;
	char shape[100];
	double most = 0;
	gate_open(&x, &c->g, tokens);
	size_t in = (size_t)tokens * c->g.experts, out = (size_t)tokens * c->g.top_k;
	one_gate(&x);
	must(device_download(stream, x.expert, &x.d_expert, 0, out * 2, &why));
	must(device_download(stream, x.weight, &x.d_weight, 0, out * 4, &why));
	must(device_wait(stream, &why));
	kernel_moe_gate_plain(&x.host, x.score, tokens, x.expert_truth, x.weight_truth);
	for (size_t i = 0; i < out; i++) {
		double error = fabs((double)x.weight[i] / (double)x.weight_truth[i] - 1);
		bool same = number_bits(x.weight[i]) == number_bits(x.weight_truth[i]);
		if (!same && !(error <= most)) /* NaN too */
			most = error;
	}
	bool ids = memcmp(x.expert, x.expert_truth, out * 2) == 0;
	wrong += !ids || most != 0;
	snprintf(shape, sizeof shape, "%s, tokens %u", c->name, tokens);
	line("moe_gate", shape, most, ids, time_us(one_gate, &x), (double)in * 4 + (double)out * 6);
	gate_close(&x);
}

int main(int argc, char **argv)
{
	uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : UINT64_MAX;
	must(device_open(&device, NULL, &why));
	must(device_stream_open(device, &stream, &why));
	const struct device_facts *f = device_info(device);
	printf("device: %s, %u multiprocessors, %.1f GiB, CUDA driver %u.%u, library %u.%u\n", f->name,
	       f->multiprocessors, (double)f->memory_bytes / (double)(1u << 30), f->driver / 1000,
	       f->driver % 1000 / 10, f->runtime / 1000, f->runtime % 1000 / 10);
	measure_ceiling();
	printf("%-10s %-44s %9s  %-5s %10s %9s  %6s\n", "kernel", "shape", "max error", "ids", "us", "GB/s",
	       "of it");
	for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
		for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
			if (counts[c] <= most)
				check_gate(&gates[i], counts[c]);
		}
	}
	device_stream_close(stream);
	device_close(device);
	if (wrong != 0)
		printf("gpu-check: %d shapes differ from the truth\n", wrong);
	else
		printf("gpu-check: all shapes have the bits of the truth\n");
	return wrong != 0;
}
