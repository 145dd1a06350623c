#include "kernels/kernels.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(kernels, rmsnorm_and_silu_sets_agree_bitwise_and_with_truth)
{
	static float x[400], gain[400], want[400], got[400];
	static double truth[400];
	for (uint32_t n = 1; n <= 400; n += n < 40 ? 1 : 37) {
		fill(x, n);
		fill(gain, n);
		kernels_at(0)->rmsnorm(x, gain, n, 1e-6f, want);
		kernel_truth_rmsnorm(x, gain, n, 1e-6, truth);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)want[i] - truth[i]), 2e-6);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			got[n] = 7;
			kernels_at(k)->rmsnorm(x, gain, n, 1e-6f, got);
			cr_assert_eq(memcmp(want, got, 4 * n), 0, "rmsnorm %s %u", kernels_at(k)->name, n);
			cr_assert(n == 400 || got[n] == 7);
		}
		for (uint32_t i = 0; i < n; i++)
			x[i] *= 100;
		kernel_truth_silu_mul(x, gain, n, truth);
		memcpy(want, x, sizeof x);
		kernels_at(0)->silu_mul(want, gain, n);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)want[i] - truth[i]), 3e-7 * fabs(truth[i]) + 1e-30);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			memcpy(got, x, sizeof x);
			kernels_at(k)->silu_mul(got, gain, n);
			cr_assert_eq(memcmp(want, got, 4 * n), 0, "silu %s %u", kernels_at(k)->name, n);
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

Test(kernels, clamped_mul_sets_agree_bitwise_and_with_truth)
{
	static float x[100], up[100], want[100], got[100];
	static double truth[100];
	for (uint32_t n = 1; n <= 100; n += 7) {
		fill(x, n), fill(up, n);
		for (uint32_t i = 0; i < n; i++)
			x[i] *= 12, up[i] *= 12; /* some are clamped */
		kernel_truth_clamped_mul(x, up, n, truth);
		memcpy(want, x, sizeof x);
		kernels_at(0)->clamped_mul(want, up, n);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_lt(fabs((double)want[i] - truth[i]), 2e-6 * fabs(truth[i]) + 1e-12);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			memcpy(got, x, sizeof x);
			kernels_at(k)->clamped_mul(got, up, n);
			cr_assert_eq(memcmp(want, got, 4 * n), 0, "%s %u", kernels_at(k)->name, n);
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
