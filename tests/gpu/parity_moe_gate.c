/* moe_gate: the same experts, and weights of the same bits. */
#include "kernels/ops.h"
#include "tests/gpu/parity.h"

#include <math.h>
#include <string.h>

static const struct {
	uint32_t experts, top_k, groups, kept;
} shapes[] = {
	{ 8, 2, 1, 1 },   { 32, 4, 1, 1 },  { 64, 6, 1, 1 },  { 64, 8, 1, 1 },     { 77, 7, 7, 2 },
	{ 128, 8, 1, 1 }, { 160, 6, 8, 3 }, { 256, 8, 8, 4 }, { 384, 8, 1, 1 },    { 512, 10, 1, 1 },
	{ 1, 1, 1, 1 },   { 40, 5, 40, 9 }, { 33, 6, 11, 3 }, { 1000, 64, 20, 9 }, { 1024, 8, 1, 1 },
};

/* Every fourth token's scores are quarters, so that many tie. */
static void fill_scores(struct parity *p, float *score, uint32_t tokens, uint32_t experts)
{
	for (uint32_t t = 0; t < tokens; t++) {
		for (uint32_t i = 0; i < experts; i++, score++)
			*score = t % 4 == 3 ? rintf(parity_noise(p) * 4) / 4 : parity_noise(p) * 3;
	}
}

static void one_shape(struct parity *p, struct kernel_gate g, uint32_t tokens)
{
	bool biased = parity_below(p, 3) > 0;
	const struct device_batch batch = { .rows = tokens };
	size_t out = (size_t)tokens * g.top_k;
	struct parity_buffer score = parity_zeros(p, "score", (size_t)tokens * g.experts * 4);
	struct parity_buffer bias = parity_f32(p, "bias", g.experts, 0.5f);
	struct parity_buffer expert = parity_output(p, "expert", out * 2);
	struct parity_buffer weight = parity_output(p, "weight", out * 4);
	uint16_t *expert_truth = parity_host(p, out * 2);
	float *weight_truth = parity_host(p, out * 4);
	fill_scores(p, score.host, tokens, g.experts);
	parity_upload(p, &score);
	g.bias = biased ? bias.host : NULL;
	kernel_moe_gate_plain(&g, score.host, tokens, expert_truth, weight_truth);
	g.bias = biased ? bias.at : NULL;
	PARITY_RUN(p, moe_gate,
		   (&(struct moe_gate_args){ parity_input(p, "batch", &batch, sizeof batch).at, g, score.at,
					     expert.at, weight.at, tokens + 1 }));
	parity_fetch(p, &expert);
	parity_fetch(p, &weight);
	parity_equal(p, expert.host, expert_truth, out * 2, "experts %u, top %u, groups %u, tokens %u: ids",
		     g.experts, g.top_k, g.groups, tokens);
	parity_equal(p, weight.host, weight_truth, out * 4,
		     "experts %u, top %u, groups %u, tokens %u: weights", g.experts, g.top_k, g.groups, tokens);
}

void parity_moe_gate(struct parity *p)
{
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		for (int kind = 0; kind < 3; kind++) {
			const struct kernel_gate g = { .kind = (enum kernel_gate_kind)kind,
						       .experts = shapes[i].experts,
						       .top_k = shapes[i].top_k,
						       .groups = shapes[i].groups,
						       .groups_kept = shapes[i].kept,
						       .normalise = parity_below(p, 2) != 0,
						       .scaling = 2.5f,
						       .floor = parity_below(p, 2) ? 0.4f : 0 };
			one_shape(p, g, parity_size(p, 9, 20000));
			if (shapes[i].experts == 1024) /* more than all warps take at once */
				one_shape(p, g, parity_pick(p, 50, 20000));
		}
	}
}
