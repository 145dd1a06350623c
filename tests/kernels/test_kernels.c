#include "kernels/kernels.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(kernels, norms_of_all_sets_agree_bitwise_and_with_truth)
{
	static float x[400], gain[400], bias[400], want[400], got[400];
	static double truth[400];
	for (uint32_t c = 0, n = 1; n <= 400; n += n < 40 ? 1 : 37, c++) {
		const float *some_gain = c % 2 ? gain : NULL, *some_bias = c % 3 ? bias : NULL;
		fill(x, n), fill(gain, n), fill(bias, n);
		kernels_at(0)->rmsnorm(x, some_gain, n, 1e-6f, want);
		kernel_truth_rmsnorm(x, some_gain, n, 1e-6, truth);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)want[i] - truth[i]), 2e-6);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			got[n] = 7;
			kernels_at(k)->rmsnorm(x, some_gain, n, 1e-6f, got);
			cr_assert_eq(memcmp(want, got, 4 * n), 0, "rmsnorm %s %u", kernels_at(k)->name, n);
			cr_assert(n == 400 || got[n] == 7);
		}
		for (uint32_t i = 0; i < n; i++)
			x[i] += 3;
		kernels_at(0)->layernorm(x, gain, some_bias, n, 1e-5f, want);
		kernel_truth_layernorm(x, gain, some_bias, n, 1e-5, truth);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)want[i] - truth[i]), 5e-5, "layernorm of %u: %g for %g", n,
			             (double)want[i], truth[i]);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			memcpy(got, x, sizeof got); /* in place */
			got[n < 400 ? n : 0] = n < 400 ? 7 : got[0];
			kernels_at(k)->layernorm(got, gain, some_bias, n, 1e-5f, got);
			cr_assert_eq(memcmp(want, got, 4 * n), 0, "layernorm %s %u", kernels_at(k)->name, n);
			cr_assert(n == 400 || got[n] == 7);
		}
	}
}

/* Of each activation: its bound, relative to the truth and absolute. */
static const struct { const char *row; double relative, absolute; } acts[KERNEL_ACTS] = {
	[KERNEL_ACT_SILU] = { "silu", 3e-7, 1e-30 },
	[KERNEL_ACT_CLAMPED] = { "clamped", 2e-6, 1e-12 },
	[KERNEL_ACT_GELU_TANH] = { "gelu_tanh", 2e-5, 1e-9 },
	[KERNEL_ACT_GELU] = { "gelu", 3e-7, 2e-6 },
	[KERNEL_ACT_RELU2] = { "relu2", 3e-7, 1e-30 },
	[KERNEL_ACT_XIELU] = { "xielu", 1e-6, 1e-6 },
};

static void check_act(enum kernel_act act, const float *x, const float *up, uint32_t n)
{
	const float parameter[4] = { 0.9f, 1.3f, 0.5f, -1e-6f };
	float want[400], got[400];
	double truth[400];
	kernel_truth_act(act, x, up, n, parameter, truth);
	memcpy(want, x, 4 * n);
	kernels_at(0)->act[act](want, up, n, parameter);
	for (uint32_t i = 0; i < n; i++)
		cr_assert_lt(fabs((double)want[i] - truth[i]),
		             acts[act].relative * fabs(truth[i]) + acts[act].absolute, "%s(%g): %g for %g",
		             acts[act].row, (double)x[i], (double)want[i], truth[i]);
	for (size_t k = 1; kernels_at(k) != NULL; k++) {
		memcpy(got, x, 4 * n);
		got[n] = 7;
		kernels_at(k)->act[act](got, up, n, parameter);
		cr_assert_eq(memcmp(want, got, 4 * n), 0, "%s %s %u", acts[act].row, kernels_at(k)->name, n);
		cr_assert_eq(got[n], 7);
	}
}

Test(kernels, activations_of_all_sets_agree_bitwise_and_with_truth)
{
	static float x[399], up[399];
	for (uint32_t n = 1; n < 399; n += n < 40 ? 1 : 37) {
		for (int act = 0; act < KERNEL_ACTS; act++) {
			fill(x, n), fill(up, n);
			for (uint32_t i = 0; i < n; i++)
				x[i] *= i % 5 == 0 ? 90 : i % 5 == 1 ? 1e-3f : 6, up[i] *= 12;
			check_act((enum kernel_act)act, x, up, n);
			if (act != KERNEL_ACT_CLAMPED)
				check_act((enum kernel_act)act, x, NULL, n);
		}
	}
}

/* Extremes, zeros and NaN: the same bits, and NaN shows. */
Test(kernels, activations_of_extremes_agree_bitwise)
{
	const float x[16] = { 0, -0.0f, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f, -1e-40f, NAN, 88.1f,
		-88.1f, 1e19f, -1e19f, 0.875f, -0.875f, 4 }, parameter[4] = { 0.9f, 1.3f, 0.5f, -1e-6f };
	for (int act = 0; act < KERNEL_ACTS + 1; act++) {
		float up[16], want[16], got[16];
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			float *to = k == 0 ? want : got;
			memcpy(to, x, sizeof x);
			for (int i = 0; i < 16; i++)
				up[i] = 1;
			if (act < KERNEL_ACTS)
				kernels_at(k)->act[act](to, up, 16, parameter);
			else
				kernels_at(k)->softcap(to, 16, 30);
			for (int i = 0; i < 16; i++)
				cr_assert(k == 0 || isnan(want[i]) ? isnan(want[i]) == isnan(to[i])
				                                   : memcmp(&want[i], &got[i], 4) == 0,
				          "%s of %g, act %d: %g for %g", kernels_at(k)->name, (double)x[i], act,
				          (double)to[i], (double)want[i]);
			cr_assert(isnan(to[8]) || act == KERNEL_ACT_CLAMPED);
		}
	}
}

Test(kernels, softcap_sets_agree_bitwise_and_with_truth)
{
	static float x[100], want[100], got[100];
	for (uint32_t n = 1; n < 100; n += 7) {
		fill(x, n);
		for (uint32_t i = 0; i < n; i++)
			x[i] *= i % 3 == 0 ? 300 : i % 3 == 1 ? 20 : 1e-3f;
		memcpy(want, x, sizeof x);
		kernels_at(0)->softcap(want, n, 30);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)want[i] / (30 * tanh((double)x[i] / 30)) - 1), 5e-7);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			memcpy(got, x, sizeof x);
			kernels_at(k)->softcap(got, n, 30);
			cr_assert_eq(memcmp(want, got, sizeof got), 0, "%s %u", kernels_at(k)->name, n);
		}
	}
}

Test(kernels, elementwise_sets_agree_bitwise_and_touch_nothing_beyond)
{
	static float x[100], y[100], z[100], want[100], got[100];
	const float *row[3] = { x, y, z }, weight[3] = { 0.3f, -1.7f, 0.01f };
	for (uint32_t n = 1; n < 90; n++) {
		fill(x, 100), fill(y, 100), fill(z, 100);
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			float *to = k == 0 ? want : got;
			memcpy(to, x, sizeof want);
			kernels_at(k)->add(to, y, n);
			cr_assert(to[0] == x[0] + y[0] && memcmp(want, got, k == 0 ? 0 : sizeof got) == 0, "add %u", n);
		}
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			float *to = k == 0 ? want : got;
			memcpy(to, z, sizeof want);
			kernels_at(k)->weighted_sum(row, weight, 1 + n % 3, n, to);
			cr_assert(k == 0 || memcmp(want, got, sizeof got) == 0, "weighted_sum %u", n);
		}
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			float *to = k == 0 ? want : got;
			memcpy(to, x, sizeof want);
			kernels_at(k)->rope_half(to, n / 2 * 2, y, z);
			row[0] = to; /* in place */
			kernels_at(k)->weighted_sum(row, weight, 2, n, to);
			row[0] = x;
			cr_assert(k == 0 || memcmp(want, got, sizeof got) == 0, "rope_half, weighted_sum %u", n);
		}
	}
}

Test(kernels, exp_is_close_and_total)
{
	for (float x = -87.2f; x < 88; x += 0.0173f)
		cr_assert_lt(fabs((double)number_exp(x) / exp((double)x) - 1), 2.5e-7, "%g", (double)x);
	cr_assert(number_exp(0) == 1 && number_exp(-100) == 0 && number_exp(-INFINITY) == 0 &&
	          number_exp(NAN) == 0);
	cr_assert(number_is_finite(number_exp(1000)) && number_is_finite(number_exp(INFINITY)));
}

Test(kernels, expm1_tanh_and_erf_are_close_and_total)
{
	for (float x = -30; x < 88; x += x < 3 && x > -3 ? 0.000173f : 0.0173f) {
		double em1 = expm1((double)x), t = tanh((double)x);
		cr_assert_lt(fabs((double)number_expm1(x) - em1), 2.4e-7 * fabs(em1) + 1e-30, "%g", (double)x);
		cr_assert_lt(fabs((double)number_tanh(x) - t), 4.8e-7 * fabs(t) + 1e-30, "%g", (double)x);
		cr_assert_lt(fabs((double)number_erf(x) - erf((double)x)), 1.2e-7, "%g", (double)x);
	}
	cr_assert(number_expm1(0) == 0 && number_expm1(-INFINITY) == -1 && isnan(number_expm1(NAN)));
	cr_assert(number_tanh(INFINITY) == 1 && number_tanh(-INFINITY) == -1 && isnan(number_tanh(NAN)));
	cr_assert(number_erf(INFINITY) == 1 && number_erf(-INFINITY) == -1 && isnan(number_erf(NAN)));
	cr_assert(number_is_finite(number_expm1(INFINITY)));
}

Test(kernels, double_functions_are_close)
{
	for (double x = 0.001; x < 1e6; x *= 1.0371) {
		cr_assert_lt(fabs(number_log(x) - log(x)), 1e-15 * (2 + fabs(log(x))));
		cr_assert_lt(fabs(number_sin(x) - sin(x)), 4e-16, "sin %g", x);
		cr_assert_lt(fabs(number_cos(x) - cos(x)), 4e-16, "cos %g", x);
		cr_assert_lt(fabs(number_exp_double(log(x)) / x - 1), 4e-15);
	}
	cr_assert(number_sin(0) == 0 && number_cos(0) == 1 && number_log(1) == 0 && number_exp_double(0) ==
	          1);
}

Test(kernels, rope_layouts_rotate_their_pairs)
{
	const float c[2] = { 0.6f, 0 }, s[2] = { 0.8f, 1 };
	float a[4] = { 1, 2, 3, 4 }, b[4] = { 1, 3, 2, 4 };
	kernels_at(0)->rope_interleaved(a, 4, c, s);
	kernels_at(0)->rope_half(b, 4, c, s);
	cr_assert_float_eq(a[0], 0.6f - 1.6f, 1e-6);
	cr_assert_float_eq(a[1], 0.8f + 1.2f, 1e-6);
	cr_assert(a[2] == -4 && a[3] == 3);
	cr_assert(b[0] == a[0] && b[2] == a[1] && b[1] == a[2] && b[3] == a[3]);
}

static const struct { const char *row; struct kernel_gate g; float score[8]; uint16_t expert[3]; } gates[] = {
	{ "greedy", { .experts = 8, .top_k = 3, .groups = 1, .groups_kept = 1, .scaling = 1 },
	  { 1, 5, 2, 4, 3, 0, -1, 0 },
	  { 1, 3, 4 } },
	{ "ties to the lower id", { .experts = 8, .top_k = 3, .groups = 1, .groups_kept = 1, .scaling = 1 },
	  { 1, 2, 2, 2, 2, 0, 0, 0 }, { 1, 2, 3 } },
	{ "best groups by maximum", { .experts = 8, .top_k = 3, .groups = 4, .groups_kept = 2, .scaling =
	  16 },
	  { 4, -9, 3.5f, 3.4f, 5, -8, 0, 0 }, { 4, 0, 5 } },
	{ "tied groups", { .experts = 8, .top_k = 3, .groups = 4, .groups_kept = 2, .scaling = 1 },
	  { 0, 1, 2, 3, 3, 0, 3, 1 }, { 3, 4, 2 } },
	{ "normalised", { .experts = 8, .top_k = 3, .groups = 1, .groups_kept = 1, .normalise = true,
	  .scaling = 5 },
	  { 1, 5, 2, 4, 3, 0, -1, 0 }, { 1, 3, 4 } },
};

Test(kernels, moe_gate_chooses_and_weighs)
{
	for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
		const struct kernel_gate *g = &gates[i].g;
		uint16_t expert[3];
		float weight[3];
		double p[8], sum = 0;
		kernels_at(0)->moe_gate(g, gates[i].score, 1, expert, weight);
		cr_assert_eq(memcmp(expert, gates[i].expert, sizeof expert), 0, "%s: %u %u %u",
		             gates[i].row, expert[0],
		             expert[1], expert[2]);
		kernel_truth_softmax(gates[i].score, 8, p);
		for (int j = 0; j < 3; j++)
			sum += p[expert[j]];
		for (int j = 0; j < 3; j++) {
			double want = g->normalise ? p[expert[j]] / sum : p[expert[j]] * (double)g->scaling;
			cr_assert_lt(fabs((double)weight[j] - want), 1e-6 * want, "%s", gates[i].row);
		}
	}
}

/* Scores repeat, so that there are ties. */
Test(kernels, moe_gate_sets_agree_bitwise)
{
	static float score[3 * 300], bias[300], weight[2][3 * 8];
	static uint16_t expert[2][3 * 8];
	const uint32_t sizes[] = { 8, 60, 128, 256, 300 };
	for (int kind = KERNEL_GATE_SOFTMAX; kind <= KERNEL_GATE_TOPK; kind++) {
		for (size_t c = 0; c < 2 * sizeof sizes / sizeof *sizes; c++) {
			struct kernel_gate g = { .kind = (enum kernel_gate_kind)kind, .experts = sizes[c / 2],
				.top_k = 6, .groups = c % 2 ? 4 : 1, .groups_kept = c % 2 ? 3 : 1,
				.normalise = c % 3 == 0, .scaling = 2.5f, .bias = bias };
			fill(bias, 300), fill(score, 900);
			for (size_t i = 0; i < 900; i++)
				score[i] = rintf(score[i] * 20) / 4;
			for (size_t k = 0; kernels_at(k) != NULL; k++) {
				kernels_at(k)->moe_gate(&g, score, 3, expert[k > 0], weight[k > 0]);
				cr_assert(k == 0 || (memcmp(expert[0], expert[1], 3 * 6 * 2) == 0 &&
				                     memcmp(weight[0], weight[1], 3 * 6 * 4) == 0),
				          "%s kind %d case %zu", kernels_at(k)->name, kind, c);
			}
		}
	}
}

/* Groups of two: { -5, -5.1 } and { -9, -0.1 } by their biased scores' sum. A kept expert whose biased
 * score is negative must still win over those of dropped groups. */
Test(kernels, moe_gate_sigmoid_corrects_the_choice_not_the_weight)
{
	const float score[6] = { 2, 1, 0, -1, 3, 0.5f }, bias[6] = { -5, -5, -2, -2, -9, 1 };
	struct kernel_gate g = { .kind = KERNEL_GATE_SIGMOID, .experts = 6, .top_k = 2, .groups = 3,
		.groups_kept = 1, .normalise = true, .scaling = 2.5f, .bias = bias };
	uint16_t id[2];
	float weight[2];
	double s[6];
	for (int i = 0; i < 6; i++)
		s[i] = 1 / (1 + exp(-(double)score[i]));
	kernels_at(0)->moe_gate(&g, score, 1, id, weight); /* sums -8.4, -3.2, -6.4 */
	cr_assert(id[0] == 2 && id[1] == 3, "%u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[0], 2.5 * s[2] / (s[2] + s[3]), 1e-6);
	g.groups = g.groups_kept = 1;
	g.normalise = false;
	kernels_at(0)->moe_gate(&g, score, 1, id, weight); /* best choices 5 and 2 */
	cr_assert(id[0] == 5 && id[1] == 2, "%u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[1], 2.5 * s[2], 1e-6);
	const float reversed[6] = { -9, -9, 3, -9, -9, -3 }; /* 5 is chosen first, 2 weighs more */
	kernels_at(0)->moe_gate(&g, reversed, 1, id, weight);
	cr_assert(id[0] == 2 && id[1] == 5 && weight[0] > weight[1], "%u %u", id[0], id[1]);
}

Test(kernels, moe_gate_topk_softens_the_chosen_only)
{
	const float score[4] = { 1, 2, 3, 0 }, bias[4] = { 0, 0.5f, -2, 4 };
	struct kernel_gate g = { .kind = KERNEL_GATE_TOPK, .experts = 4, .top_k = 2, .groups = 1,
		.groups_kept = 1, .scaling = 1, .bias = bias };
	uint16_t id[2];
	float weight[2];
	kernels_at(0)->moe_gate(&g, score, 1, id, weight);
	cr_assert(id[0] == 3 && id[1] == 1, "%u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[0], 1 / (1 + exp(-1.5)), 1e-6);
	cr_assert_float_eq((double)(weight[0] + weight[1]), 1, 1e-6);
}

Test(kernels, moe_gate_softmax_is_corrected_floored_and_scaled)
{
	const float score[4] = { 3, 2, 1, 0 }, bias[4] = { -1, 0, 0, 0.5f }, scale[4] = { 1, 3, 1, 7 };
	struct kernel_gate g = { .kind = KERNEL_GATE_SOFTMAX, .experts = 4, .top_k = 2, .groups = 1,
		.groups_kept = 1, .scaling = 1, .normalise = true, .bias = bias };
	uint16_t id[2];
	float weight[2];
	double p[4];
	kernel_truth_softmax(score, 4, p);
	kernels_at(0)->moe_gate(&g, score, 1, id, weight); /* 3 is chosen first, 1 weighs more */
	cr_assert(id[0] == 1 && id[1] == 3, "%u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[0], p[1] / (p[1] + p[3]), 1e-6);
	g.floor = 0.9f;
	kernels_at(0)->moe_gate(&g, score, 1, id, weight);
	cr_assert_float_eq((double)weight[0], p[1] / 0.9, 1e-6);
	g.floor = 0.01f;
	g.expert_scale = scale;
	kernels_at(0)->moe_gate(&g, score, 1, id, weight);
	cr_assert(id[0] == 1 && id[1] == 3, "%u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[0], 3 * p[1] / (p[1] + p[3]), 1e-6);
	cr_assert_float_eq((double)weight[1], 7 * p[3] / (p[1] + p[3]), 1e-6);
	g = (struct kernel_gate){ .kind = KERNEL_GATE_TOPK, .experts = 4, .top_k = 2, .groups = 1,
		.groups_kept = 1, .scaling = 1 };
	kernels_at(0)->moe_gate(&g, score, 1, id, weight);
	cr_assert(id[0] == 0 && id[1] == 1, "%u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[0], 1 / (1 + exp(-1.0)), 1e-6);
}

Test(kernels, moe_gate_sigmoid_without_bias_chooses_by_score)
{
	const float score[4] = { 40, 2, 41, 0 }, scale[4] = { 3, 1, 1, 1 };
	struct kernel_gate g = { .kind = KERNEL_GATE_SIGMOID, .experts = 4, .top_k = 1, .groups = 1,
		.groups_kept = 1, .scaling = 1 };
	uint16_t id[2];
	float weight[2];
	kernels_at(0)->moe_gate(&g, score, 1, id, weight); /* both sigmoids are 1 */
	cr_assert(id[0] == 2 && weight[0] == 1, "%u %g", id[0], (double)weight[0]);
	g.kind = KERNEL_GATE_TOPK, g.top_k = 2, g.expert_scale = scale;
	kernels_at(0)->moe_gate(&g, score, 1, id, weight);
	cr_assert(id[0] == 0 && id[1] == 2, "ranked by what is applied: %u %u", id[0], id[1]);
	cr_assert_float_eq((double)weight[0], 3 / (1 + exp(1)), 1e-6);
	cr_assert_float_eq((double)weight[1], 1 / (1 + exp(-1)), 1e-6);
}

Test(kernels, argmax_prefers_the_lowest_index)
{
	const float x[6] = { -1, 3, 2, 3, -7, 3 };
	cr_assert_eq(kernels_at(0)->argmax(x, 6), 1);
	cr_assert_eq(kernels_at(0)->argmax(x, 1), 0);
}

Test(kernels, pick_obeys_the_name_and_refuses_others)
{
	const struct kernels *k, *plain;
	struct err e = { 0 };
	cr_assert_eq(kernels_pick(&k, "plain", false, &e), 0);
	cr_assert_str_eq(k->name, "plain");
	cr_assert_eq(kernels_pick(&k, NULL, true, &e), 0);
	cr_assert(!k->canonical || k == (kernels_pick(&plain, NULL, false, &e) == 0 ? plain : NULL));
	cr_assert_eq(kernels_pick(&k, "sse9", false, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "sse9"));
	setenv("HALLMARK_KERNELS", "plain", 1);
	cr_assert_eq(kernels_pick(&k, NULL, false, &e), 0);
	cr_assert_str_eq(k->name, "plain");
	setenv("HALLMARK_KERNELS", "quick", 1);
	cr_assert_eq(kernels_pick(&k, NULL, false, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "HALLMARK_KERNELS=quick"));
	unsetenv("HALLMARK_KERNELS");
	size_t last = 0;
	while (kernels_at(last + 1) != NULL)
		last++;
	cr_assert_eq(kernels_pick(&k, NULL, false, &e), 0);
	cr_assert_eq(k, kernels_at(last));
}
