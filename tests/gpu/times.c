/* Each shape timed, beside the share of the rate of copies that its bytes reach. */
#include "tests/gpu/times.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 9    /* the median of which is printed */
#define LAUNCHES 10 /* of one round */

static struct err why;

void times_must(int rc, const struct err *e)
{
	if (rc < 0) {
		fprintf(stderr, "gpu-check: %s\n", e->text);
		exit(1);
	}
}

static void must(int rc) { times_must(rc, &why); }

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double times_us(struct times *t, void (*work)(struct times *t, void *with), void *with)
{
	double us[ROUNDS];
	int rounds = t->small ? 1 : ROUNDS, launches = t->small ? 1 : LAUNCHES;
	work(t, with); /* loads code, wakes the clocks */
	for (int r = 0; r < rounds; r++) {
		must(device_clock_start(t->stream, &why));
		for (int i = 0; i < launches; i++)
			work(t, with);
		must(device_clock_stop(t->stream, &us[r], &why));
		us[r] /= launches;
	}
	qsort(us, (size_t)rounds, sizeof us[0], by_value);
	return us[rounds / 2];
}

void times_choose(struct times *t, struct device_choice_line l, const double *cost)
{
	char line[200];
	for (uint32_t f = 1; f < device_forms((enum device_operation)l.operation); f++) {
		if (cost[f] > 0 && cost[f] < cost[l.form] * (l.form == 0 ? 0.98 : 1))
			l.form = (uint8_t)f;
	}
	device_choice_write(line, sizeof line, &l);
	if (t->choice != NULL)
		fputs(line, t->choice);
}

void times_line(const struct times *t, const char *kernel, const char *shape, double us, double bytes)
{
	double rate = bytes / us * 1e6;
	printf("{\"what\":\"time\",\"operation\":\"%s\",\"shape\":\"%s\",\"us\":%.2f,\"gb_s\":%.1f", kernel,
	       shape, us, rate * 1e-9);
	if (t->ceiling > 0)
		printf(",\"of_copy\":%.3f", rate / t->ceiling);
	printf("}\n");
	fflush(stdout);
}

/* ---- copies ---- */

struct copy {
	struct device_buffer from, to;
};

static void one_copy(struct times *t, void *with)
{
	struct copy *c = with;
	must(device_copy(t->stream, &c->to, &c->from, c->to.bytes, &why));
}

void times_copy(struct times *t)
{
	size_t bytes = t->small ? 1u << 24 : 1u << 30;
	struct copy c;
	must(device_alloc(t->device, bytes, &c.from, &why));
	must(device_alloc(t->device, bytes, &c.to, &why));
	must(device_fill(t->stream, &c.from, 0x5a, &why));
	t->ceiling = 2 * (double)bytes / times_us(t, one_copy, &c) * 1e6;
	device_free(&c.from);
	device_free(&c.to);
	printf("{\"what\":\"copy\",\"gb_s\":%.1f,\"mib\":%zu}\n", t->ceiling * 1e-9, bytes >> 20);
}

/* ---- moe_gate ---- */

static const struct {
	const char *name;
	uint32_t experts, top_k, groups, kept;
	enum kernel_gate_kind kind;
} gates[] = {
	{ "mixtral 8, top 2", 8, 2, 1, 1, KERNEL_GATE_SOFTMAX },
	{ "gpt-oss 128, top 4 of score + bias", 128, 4, 1, 1, KERNEL_GATE_TOPK },
	{ "v2-lite 64, top 6", 64, 6, 1, 1, KERNEL_GATE_SOFTMAX },
	{ "qwen3 128, top 8", 128, 8, 1, 1, KERNEL_GATE_SOFTMAX },
	{ "v3 256, 8 groups, top 8, sigmoid", 256, 8, 8, 4, KERNEL_GATE_SIGMOID },
};
static const uint32_t counts[] = { 1, 8, 512, 65536 };

static void one_gate(struct times *t, void *with) { must(device_moe_gate(t->stream, with, &why)); }

static void time_gate(struct times *t, size_t which, uint32_t tokens)
{
	const size_t experts = gates[which].experts, in = experts * tokens * 4;
	const size_t out = (size_t)tokens * gates[which].top_k;
	const struct device_batch one = { .rows = tokens };
	struct device_buffer batch, score, bias, expert, weight;
	char shape[100];
	must(device_alloc(t->device, sizeof one, &batch, &why));
	must(device_upload(t->stream, &batch, 0, &one, sizeof one, &why));
	must(device_alloc(t->device, in, &score, &why));
	must(device_alloc(t->device, experts * 4, &bias, &why));
	must(device_alloc(t->device, out * 2, &expert, &why));
	must(device_alloc(t->device, out * 4, &weight, &why));
	must(device_fill(t->stream, &score, 0, &why));
	must(device_fill(t->stream, &bias, 0, &why));
	struct moe_gate_args args = {
		.batch = batch.at,
		.gate = { .kind = gates[which].kind,
			  .experts = gates[which].experts,
			  .top_k = gates[which].top_k,
			  .groups = gates[which].groups,
			  .groups_kept = gates[which].kept,
			  .scaling = 1,
			  .bias = gates[which].kind == KERNEL_GATE_SOFTMAX ? NULL : bias.at },
		.score = score.at,
		.expert = expert.at,
		.weight = weight.at,
		.rows_most = tokens
	};
	snprintf(shape, sizeof shape, "%s, tokens %u", gates[which].name, tokens);
	times_line(t, "moe_gate", shape, times_us(t, one_gate, &args), (double)in + (double)out * 6);
	device_free(&batch), device_free(&score), device_free(&bias), device_free(&expert);
	device_free(&weight);
}

void times_all(struct times *t)
{
	char head[400];
	device_choice_head(head, sizeof head, device_info(t->device));
	if (t->choice != NULL)
		fputs(head, t->choice);
	for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
		for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
			if (counts[c] == 1 || !t->small)
				time_gate(t, i, counts[c]);
		}
	}
	times_product(t);
	times_attend(t);
}
