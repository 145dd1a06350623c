#include "forks/forks.h"

#include <criterion/criterion.h>
#include <math.h>

Test(forks_holm, table)
{
	static const struct {
		const char *name;
		double p[4];
		size_t count;
		uint64_t hypotheses;
		double alpha;
		bool reject[4];
	} row[] = {
		{ "textbook",
		  { 0.01, 0.04, 0.03, 0.005 },
		  4,
		  4,
		  0.05,
		  { true, false, false, true } },
		{ "each at its own divisor",
		  { 0.0125, 0.016, 0.025, 0.05 },
		  4,
		  4,
		  0.05,
		  { true, true, true, true } },
		{ "a gap stops it, later ones fall too",
		  { 0.013, 0.001, 0.04, 0.049 },
		  4,
		  4,
		  0.05,
		  { true, true, false, false } },
		{ "first fails, so all do",
		  { 0.02, 0.02, 0.02, 0.02 },
		  4,
		  4,
		  0.05,
		  { false, false, false, false } },
		{ "hypotheses not listed count",
		  { 0.001, 0.004, 0.9, 1 },
		  4,
		  40,
		  0.05,
		  { true, false, false, false } },
		{ "fewer hypotheses than p", { 0.02, 0.03 }, 2, 1, 0.05, { true, true } },
		{ "one", { 0.001 }, 1, 1, 0.001, { true } },
		{ "identical has p 0", { 0, 0.5 }, 2, 100, 0.001, { true, false } },
		{ "not a number is no evidence", { NAN, 0.0001 }, 2, 2, 0.05, { false, true } },
		{ "none", { 0 }, 0, 5, 0.05, { false } },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		double log_p[4];
		bool reject[4];

		for (size_t k = 0; k < row[i].count; k++)
			log_p[k] = log(row[i].p[k]);
		fork_holm(log_p, row[i].count, row[i].hypotheses, row[i].alpha, NULL, reject);
		for (size_t k = 0; k < row[i].count; k++)
			cr_expect_eq(reject[k], row[i].reject[k], "%s, p[%zu]", row[i].name, k);
	}
}

/* Whatever else is registered: a copy's p-value is no double. */
Test(forks_holm, registering_more_models_never_clears_a_copy)
{
	static const uint64_t registered[] = { 1, 45, 1000, 1000000, UINT64_MAX };
	double log_p[2] = { -1, -2000 }, threshold[2];
	bool reject[2];

	for (size_t i = 0; i < sizeof registered / sizeof *registered; i++) {
		fork_holm(log_p, 2, registered[i], 1e-3, threshold, reject);
		cr_expect(reject[1] && !reject[0], "%zu", i);
	}
}

Test(forks_holm, the_threshold_of_each_is_that_of_its_place)
{
	static const double log_p[4] = { -1, -20, -5, NAN };
	double threshold[4];
	bool reject[4];

	fork_holm(log_p, 4, 10, 0.01, threshold, reject);
	cr_expect_float_eq(threshold[1], log(0.01 / 10), 1e-12);
	cr_expect_float_eq(threshold[2], log(0.01 / 9), 1e-12);
	cr_expect_float_eq(threshold[0], log(0.01 / 8), 1e-12);
	cr_expect(isnan(threshold[3]));
	cr_expect(reject[1] && !reject[2] && !reject[0] && !reject[3]);
}
