/* Recurrent layers: each set gives the plain one's bits, which are near the truth in double, and cutting
 * a text into calls changes none. */
#include "kernels/kernels.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 23, KEY = 130, VALUE = 150, CHANNELS = 300 };

/* ---- the rule ---- */

struct rule {
	float q[ROWS][KEY], k[ROWS][KEY], v[ROWS][VALUE], beta[ROWS], decay[ROWS][KEY];
};

static struct rule rule;

static void rule_fill(uint32_t key)
{
	fill(&rule.q[0][0], ROWS * KEY), fill(&rule.k[0][0], ROWS * KEY);
	fill(&rule.v[0][0], ROWS * VALUE);
	for (uint32_t t = 0; t < ROWS; t++) {
		kernels_at(0)->unit(rule.q[t], key, 1e-6f, 0.1f);
		kernels_at(0)->unit(rule.k[t], key, 1e-6f, 1);
		rule.beta[t] = 0.5f + 0.5f * noise();
		for (uint32_t j = 0; j < KEY; j++)
			rule.decay[t][j] = 0.9f + 0.1f * noise();
	}
}

static float *zeros(size_t floats)
{
	float *at = aligned_alloc(64, (floats + 15) / 16 * 16 * sizeof *at);
	cr_assert_not_null(at);
	memset(at, 0, floats * sizeof *at);
	return at;
}

/* Rows [from, from + rows), in calls of `part` panels. */
static void rule_run(const struct kernels *k, uint32_t key, uint32_t value, bool by_channel,
                     uint32_t from, uint32_t rows, uint32_t part, float *state, float *out)
{
	const struct kernel_delta d = { .rows = rows, .key = key, .value = value,
		.q = rule.q[from], .k = rule.k[from], .v = rule.v[from], .beta = &rule.beta[from],
		.decay = rule.decay[from], .by_channel = by_channel, .q_row = KEY, .k_row = KEY,
		.v_row = VALUE, .beta_row = 1, .decay_row = KEY, .out_row = VALUE, .state = state,
		.out = out + (size_t)from * VALUE };
	uint32_t panels = (value + 15) / 16;
	for (uint32_t p = 0; p < panels; p += part)
		k->delta(&d, p, panels - p < part ? panels - p : part);
}

static const struct {
	uint32_t key, value;
} shapes[] = { { 128, 128 }, { 1, 1 }, { 3, 17 }, { 16, 8 }, { 24, 40 }, { 130, 150 }, { 64, 16 },
	{ 7, 33 } };

#define SHAPES (sizeof shapes / sizeof shapes[0])

static void check_rule(uint32_t key, uint32_t value, bool by_channel)
{
	size_t floats = kernel_delta_state(key, value);
	static double truth[ROWS * VALUE];
	double *exact = calloc((size_t)key * value, sizeof *exact), worst = 0;
	float *want = zeros(ROWS * VALUE), *state = zeros(floats);
	rule_fill(key);
	rule_run(kernels_at(0), key, value, by_channel, 0, ROWS, 1, state, want);
	const struct kernel_delta d = { .rows = ROWS, .key = key, .value = value, .q = rule.q[0],
		.k = rule.k[0], .v = rule.v[0], .beta = rule.beta, .decay = rule.decay[0],
		.by_channel = by_channel, .q_row = KEY, .k_row = KEY, .v_row = VALUE, .beta_row = 1,
		.decay_row = KEY };
	kernel_truth_delta(&d, exact, truth);
	for (uint32_t i = 0; i < ROWS * value; i++)
		worst = fmax(worst, fabs(truth[i] - (double)want[i / value * VALUE + i % value]));
	cr_assert_lt(worst, 2e-6, "%u %u: off by %g", key, value, worst);
	for (size_t s = 0; kernels_at(s) != NULL; s++) {
		for (uint32_t cut = 1; cut <= ROWS; cut += 5) {
			float *got = zeros(ROWS * VALUE), *mine = zeros(floats);
			for (uint32_t t = 0; t < ROWS; t += cut)
				rule_run(kernels_at(s), key, value, by_channel, t, ROWS - t < cut ? ROWS - t : cut,
				         1 + (uint32_t)s + cut % 3, mine, got);
			cr_assert_eq(memcmp(want, got, ROWS * VALUE * sizeof *got), 0, "%s %u %u cut by %u",
			             kernels_at(s)->name, key, value, cut);
			cr_assert(memcmp(state, mine, floats * sizeof *mine) == 0, "%s %u %u cut by %u: state",
			          kernels_at(s)->name, key, value, cut);
			free(got), free(mine);
		}
	}
	free(exact), free(want), free(state);
}

Test(kernels_delta, rule_sets_and_cuts_agree_bitwise_and_with_truth)
{
	for (size_t i = 0; i < SHAPES; i++) {
		check_rule(shapes[i].key, shapes[i].value, false);
		check_rule(shapes[i].key, shapes[i].value, true);
	}
}

/* ---- the convolution ---- */

static float x[ROWS][CHANNELS + 4], weight[KERNEL_TAPS][CHANNELS];

static void conv_run(const struct kernels *k, uint32_t taps, uint32_t channels, uint32_t cut, float *history,
                     float *out)
{
	for (uint32_t t = 0; t < ROWS; t += cut) {
		const struct kernel_conv c = { .rows = ROWS - t < cut ? ROWS - t : cut, .taps = taps,
			.channels = channels, .weight = weight[0], .history = history, .x = x[t],
			.x_row = CHANNELS + 4, .out = out + (size_t)t * channels, .out_row = channels };
		uint32_t half = channels / 2 / 16 * 16;
		k->conv(&c, half, channels - half);
		k->conv(&c, 0, half);
		kernel_conv_history(&c, 0, half, history);
		kernel_conv_history(&c, half, channels - half, history);
	}
}

Test(kernels_delta, conv_sets_and_cuts_agree_bitwise_and_with_truth)
{
	static float want[ROWS * CHANNELS], got[ROWS * CHANNELS], first[KERNEL_TAPS * CHANNELS];
	static float after[KERNEL_TAPS * CHANNELS], history[KERNEL_TAPS * CHANNELS];
	static double truth[ROWS * CHANNELS];
	const uint32_t widths[] = { 1, 15, 16, 33, 300 };
	for (uint32_t taps = 2; taps <= KERNEL_TAPS; taps++) {
		uint32_t n = widths[taps % 5];
		fill(x[0], sizeof x / sizeof(float)), fill(weight[0], sizeof weight / sizeof(float));
		fill(first, KERNEL_TAPS * CHANNELS);
		const struct kernel_conv c = { .rows = ROWS, .taps = taps, .channels = n, .weight = weight[0],
			.history = first, .x = x[0], .x_row = CHANNELS + 4 };
		kernel_truth_conv(&c, truth);
		memcpy(after, first, sizeof after);
		conv_run(kernels_at(0), taps, n, ROWS, after, want);
		for (uint32_t i = 0; i < ROWS * n; i++)
			cr_assert_lt(fabs(truth[i] - (double)want[i]), 1e-6, "%u taps", taps);
		for (size_t s = 0; kernels_at(s) != NULL; s++) {
			for (uint32_t cut = 1; cut <= ROWS; cut += 4) {
				memcpy(history, first, sizeof history);
				conv_run(kernels_at(s), taps, n, cut, history, got);
				cr_assert_eq(memcmp(want, got, ROWS * n * sizeof *got), 0, "%s %u taps cut by %u",
				             kernels_at(s)->name, taps, cut);
				cr_assert_eq(memcmp(after, history, (taps - 1) * n * sizeof *history), 0,
				             "%s %u taps cut by %u: history", kernels_at(s)->name, taps, cut);
			}
		}
	}
}

/* ---- gates ---- */

static const float strange[] = { 0, -0.0f, 1e-30f, -1e-30f, 100, -100, 1e30f, -1e30f, INFINITY, -INFINITY,
	NAN };

Test(kernels_delta, decay_sets_agree_bitwise_and_with_truth)
{
	enum { N = 150 };
	static float a[N], bias[N], rate[N], want[N], got[N];
	for (int round = 0; round < 8; round++) {
		enum kernel_decay kind = round % 2 ? KERNEL_DECAY_BOUNDED : KERNEL_DECAY_SOFTPLUS;
		uint32_t n = round < 2 ? N : (uint32_t)(1 + round * 9);
		fill(a, N), fill(bias, N), fill(rate, N);
		for (uint32_t i = 0; i < N; i++) {
			a[i] *= 12;
			rate[i] = 8 * fabsf(rate[i]);
		}
		kernels_at(0)->decay(kind, -5, a, bias, rate, n, want);
		for (uint32_t i = 0; i < n; i++) {
			double truth = kernel_truth_decay(kind, -5, (double)(a[i] + bias[i]), (double)rate[i]);
			double near = (5e-7 - 2e-7 * log(truth)) * truth + 1e-37; /* g is rounded */
			cr_assert(want[i] >= 0 && want[i] <= 1);
			cr_assert_lt(fabs((double)want[i] - truth), near, "%d: %g %g", round, (double)want[i], truth);
		}
		memcpy(a, strange, sizeof strange);
		kernels_at(0)->decay(kind, -5, a, bias, rate, n, want);
		for (size_t s = 1; kernels_at(s) != NULL; s++) {
			memcpy(got, a, sizeof got); /* in place */
			kernels_at(s)->decay(kind, -5, got, bias, rate, n, got);
			cr_assert_eq(memcmp(want, got, n * sizeof *got), 0, "%s", kernels_at(s)->name);
			cr_assert(n == N || memcmp(&got[n], &a[n], (N - n) * sizeof *got) == 0);
		}
	}
}

Test(kernels_delta, unit_and_sigmoid_mul_sets_agree_bitwise_and_with_truth)
{
	enum { N = 150 };
	static float from[N], up[N], want[2][N], got[N];
	for (uint32_t n = 1; n < N; n += 7) {
		double sum = 0;
		fill(from, N), fill(up, N);
		for (uint32_t i = 0; i < n; i++)
			sum += (double)from[i] * (double)from[i];
		memcpy(want[0], from, sizeof from), memcpy(want[1], from, sizeof from);
		kernels_at(0)->unit(want[0], n, 1e-6f, 0.3f);
		kernels_at(0)->sigmoid_mul(want[1], up, n);
		for (uint32_t i = 0; i < n; i++) {
			double v = (double)from[i];
			cr_assert_lt(fabs((double)want[0][i] - v * (double)0.3f / sqrt(sum + 1e-6)), 2e-7);
			cr_assert_lt(fabs((double)want[1][i] - (double)up[i] / (1 + exp(-v))), 2e-7);
		}
		for (size_t s = 1; kernels_at(s) != NULL; s++) {
			memcpy(got, from, sizeof from);
			kernels_at(s)->unit(got, n, 1e-6f, 0.3f);
			cr_assert_eq(memcmp(want[0], got, sizeof got), 0, "unit %s %u", kernels_at(s)->name, n);
			memcpy(got, from, sizeof from);
			kernels_at(s)->sigmoid_mul(got, up, n);
			cr_assert_eq(memcmp(want[1], got, sizeof got), 0, "sigmoid_mul %s %u",
			             kernels_at(s)->name, n);
		}
	}
}
