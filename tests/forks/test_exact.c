#include "drawn.h"
#include "forks/fit.h"
#include "forks/nulls.h"
#include "forks/rungs.h"
#include "structured.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The exact rungs, each asked of the same pairs. */
static const struct asked {
	const char *name;
	enum rung_view view;
	enum rung_half half;
	bool mantel;
} asked[] = { { "S1", RUNG_RAW, RUNG_ALL, false },
	      { "S5", RUNG_TOKEN, RUNG_ALL, false },
	      { "S2", RUNG_RAW, RUNG_ALL, true },
	      { "S1 even", RUNG_RAW, RUNG_EVEN, false },
	      { "S5 odd", RUNG_TOKEN, RUNG_ODD, false } };
#define ASKED (sizeof asked / sizeof *asked)

static const struct rung_how how = { .seed = 5, .alpha = 1e-6 };

static struct fork_sketch *calibrated(const struct drawn *d)
{
	struct fork_sketch *s = drawn_sketch(d);
	struct err e = { 0 };

	cr_assert_eq(fork_sketch_calibrate(s, 7, NULL, &e), 0, "%s", e.text);
	return s;
}

/* Blocks by their index. */
static struct rung ask(const struct fork_sketch *a, const struct fork_sketch *b,
		       const struct asked *q)
{
	size_t pairs = a->blocks < b->blocks ? a->blocks : b->blocks;
	struct rung_pair *pair = calloc(pairs, sizeof *pair);
	struct err e = { 0 };
	struct rung r;
	int rc;

	cr_assert(pair);
	for (size_t i = 0; i < pairs; i++)
		pair[i].a = pair[i].b = (uint32_t)i;
	rc = q->mantel ? fork_s2_rung(a, b, pair, pairs, &how, &r, &e)
		       : fork_s1_rung(a, b, pair, pairs, q->view, q->half, &how, &r, &e);
	cr_assert_eq(rc, 0, "%s", e.text);
	free(pair);
	return r;
}

static double log_p_of(const struct fork_sketch *a, const struct fork_sketch *b, size_t which)
{
	struct rung r = ask(a, b, &asked[which]);
	double log_p = r.log_p;

	free(r.block);
	return log_p;
}

Test(forks_exact, a_noisy_copy_is_dependent_and_a_stranger_is_not)
{
	static const struct drawn_shape shape = { FORK_DENSE, 8, 1, 24, 32, 3, 64, DRAWN_TRAINED };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a), *c = drawn_new(&shape, 2);
	struct fork_sketch *s = calibrated(a), *t, *u = calibrated(c);

	drawn_noise(b, 0.5, 3);
	t = calibrated(b);
	for (size_t q = 0; q < ASKED; q++) {
		struct rung r = ask(s, t, &asked[q]);

		cr_expect(r.run && r.judged == 8 && r.log_p < -30, "%s: %g", asked[q].name,
			  r.log_p);
		cr_expect(r.effect > 0.5, "%s: %g", asked[q].name, r.effect);
		free(r.block);
		r = ask(s, u, &asked[q]);
		cr_expect(r.judged == 8 && r.log_p > log(1e-3), "%s: %g", asked[q].name, r.log_p);
		free(r.block);
	}
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_sketch_free(u);
	drawn_free(a);
	drawn_free(b);
	drawn_free(c);
}

/* One of 1,200 blocks: enough for 1,000 registered models at 0.001, over all rungs. */
Test(forks_exact, one_copied_block_among_many_is_found)
{
	static const struct drawn_shape shape = {
		FORK_EXPERT, 12, 100, 24, 16, 3, 0, DRAWN_NORMAL
	};
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_new(&shape, 2);
	struct fork_sketch *s, *t;
	struct rung r;

	for (uint32_t p = 0; p < 3; p++)
		for (uint32_t k = 0; k < 24 * 16; k++)
			b->block[700].v[p][k] = a->block[700].v[p][k];
	s = calibrated(a);
	t = calibrated(b);
	r = ask(s, t, &asked[0]);
	cr_expect_eq(r.judged, 1200);
	cr_expect(r.log_fisher > log(1e-4), "%g", r.log_fisher);
	cr_expect(r.log_p < log(1e-3 / 1000 / 10), "%g", r.log_p);
	free(r.block);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

/* A block's p cannot be smaller than its draws allow; more draws are made where they can decide. */
Test(forks_exact, the_best_block_is_drawn_on_until_it_can_reject)
{
	static const struct drawn_shape shape = { FORK_DENSE, 4, 1, 24, 32, 3, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_new(&shape, 2);
	struct rung_pair pair = { 0, 0 };
	struct rung_how strict = { .seed = 5, .alpha = 1e-4 };
	struct fork_sketch *s, *t;
	struct rung r;

	for (uint32_t p = 0; p < 3; p++)
		for (uint32_t k = 0; k < 24 * 32; k++)
			b->block[0].v[p][k] = a->block[0].v[p][k];
	s = calibrated(a);
	t = calibrated(b);
	cr_assert_eq(fork_s2_rung(s, t, &pair, 1, &strict, &r, NULL), 0);
	cr_expect_eq(r.draws, 40000);
	cr_expect(r.log_p <= log(1e-4), "%g", r.log_p);
	free(r.block);
	strict.alpha = 1e-9; /* no number of draws to be had decides */
	cr_assert_eq(fork_s2_rung(s, t, &pair, 1, &strict, &r, NULL), 0);
	cr_expect_eq(r.draws, 4999);
	free(r.block);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

/* Half of the tokens' texts are in both models, at other ids. */
Test(forks_exact, token_vectors_are_over_tokens_that_both_have)
{
	static const struct drawn_shape shape = { FORK_DENSE, 8, 1, 24, 64, 3, 96, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a);
	struct fork_sketch *s = calibrated(a), *t;

	drawn_rotate(b, 3);
	memmove(b->embedding, b->embedding + 48 * 64, 48 * 64 * sizeof(float));
	t = calibrated(b);
	for (uint32_t i = 0; i < 96; i++)
		t->token[i] = i < 48 ? i + 49 : i + 1000;
	for (uint32_t i = 0; i < 96; i++) /* ids say otherwise, and are not asked */
		t->token_id[i] = i < 48 ? i + 500 : 143 - i;
	cr_expect(log_p_of(s, t, 1) < -100, "%g", log_p_of(s, t, 1));
	cr_expect(log_p_of(s, t, 0) > log(1e-3));
	t->tokens_by_id = true; /* without texts they are */
	cr_expect(log_p_of(s, t, 1) > log(1e-3));
	for (uint32_t i = 0; i < 96; i++)
		t->token_id[i] = i < 48 ? i + 48 : i + 500;
	cr_expect(log_p_of(s, t, 1) < -100, "%g", log_p_of(s, t, 1));
	t->token_id[0] = 0;
	for (uint32_t i = 1; i < 96; i++)
		t->token_id[i] = i + 500;
	cr_expect_eq(log_p_of(s, t, 1), 0);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

Test(forks_exact, threads_change_nothing)
{
	static const struct drawn_shape shape = { FORK_DENSE, 9, 1, 24, 32, 3, 64, DRAWN_TRAINED };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_new(&shape, 2);
	struct fork_sketch *s = calibrated(a), *t = calibrated(b);
	struct rung_how pooled = how;
	struct rung_pair pair[9];
	struct rung r, u;

	for (uint32_t i = 0; i < 9; i++)
		pair[i] = (struct rung_pair){ i, i };
	cr_assert_eq(pool_open(&pooled.pool, 3, NULL, NULL), 0);
	cr_assert_eq(fork_s1_rung(s, t, pair, 9, RUNG_RAW, RUNG_ALL, &how, &r, NULL), 0);
	cr_assert_eq(fork_s1_rung(s, t, pair, 9, RUNG_RAW, RUNG_ALL, &pooled, &u, NULL), 0);
	for (size_t i = 0; i < 9; i++)
		cr_expect(r.block[i].log_p == u.block[i].log_p && r.block[i].z == u.block[i].z);
	cr_expect_eq(r.log_p, u.log_p);
	free(r.block);
	free(u.block);
	pool_close(pooled.pool);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

/* Experts that were made of one block share its order: one observation, not eight. */
Test(forks_exact, two_upcycled_models_are_not_accused)
{
	static const struct drawn_shape shape = { FORK_EXPERT, 6, 8, 24, 32, 3, 64, DRAWN_NORMAL };
	uint32_t below = 0;

	for (uint64_t seed = 0; seed < 60; seed++) {
		struct fork_sketch *s[2];
		struct rung r;

		for (uint64_t side = 0; side < 2; side++) {
			struct drawn *d = drawn_new(&shape, 2 * seed + side);

			for (size_t i = 0; i < d->blocks; i++)
				for (uint32_t p = 0; p < 3; p++)
					for (uint32_t k = 0; k < 24 * 32; k++)
						d->block[i].v[p][k] = d->block[i / 8 * 8].v[p][k];
			drawn_noise(d, 0.3, 100 + 2 * seed + side);
			s[side] = calibrated(d);
			drawn_free(d);
		}
		for (size_t i = 0; i < s[0]->blocks; i++)
			cr_assert_eq(s[0]->block[i].cluster, i / 8 * 8);
		r = ask(s[0], s[1], &asked[0]);
		below += r.log_fisher < log(0.05);
		free(r.block);
		drawn_sketch_free(s[0]);
		drawn_sketch_free(s[1]);
	}
	cr_expect(below <= 8, "%u of 60 below 0.05", below); /* 3 expected; once 40 */
}

/* What the suspect does to its own blocks changes neither side's right to be tested. */
Test(forks_exact, a_suspect_cannot_spoil_the_test)
{
	static const struct drawn_shape shape = { FORK_DENSE, 8, 1, 32, 32, 3, 64, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a);
	struct fork_sketch *s = calibrated(a), *t;
	struct rung r;

	for (size_t i = 0; i < b->blocks; i++) /* a tenth of identity in every block */
		for (uint32_t p = 0; p < 3; p++)
			for (uint32_t k = 0; k < 32; k++)
				b->block[i].v[p][k * 33] += 6;
	t = calibrated(b);
	cr_expect(!fork_calibration_of(t, FORK_S1, &t->block[0])->passed);
	r = ask(s, t, &asked[0]);
	cr_expect(r.judged == 8 && r.log_p < -30, "%g of %u", r.log_p, (unsigned)r.judged);
	free(r.block);
	r = ask(t, s, &asked[0]); /* registered so, it is refuted, and the suspect is not asked */
	cr_expect_eq(r.judged, 0);
	cr_expect_not_null(r.block[0].skipped);
	free(r.block);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

/* Where the registered model has one block, the suspect's calibration may speak. */
Test(forks_exact, a_single_block_is_tested_by_the_other_models_order)
{
	static const struct drawn_shape one = { FORK_DENSE, 1, 1, 24, 32, 3, 0, DRAWN_NORMAL },
					six = { FORK_DENSE, 6, 1, 24, 32, 3, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&one, 1), *b = drawn_new(&six, 2);
	struct fork_sketch *s, *t;
	struct rung r;

	for (uint32_t p = 0; p < 3; p++)
		for (uint32_t k = 0; k < 24 * 32; k++)
			b->block[0].v[p][k] = a->block[0].v[p][k];
	s = calibrated(a);
	t = calibrated(b);
	cr_expect(!fork_calibration_of(s, FORK_S1, &s->block[0])->passed);
	r = ask(s, t, &asked[0]);
	cr_expect(r.judged == 1 && r.log_p < -40, "%g", r.log_p);
	free(r.block);
	r = ask(s, s, &asked[0]);
	cr_expect_eq(r.judged, 0);
	free(r.block);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

static struct fork_sketch *structured_model(enum structure what, uint32_t layers,
					    const uint32_t shape[3], bool first_alone,
					    uint64_t seed)
{
	struct drawn_shape s = { shape[2] == 2 ? FORK_ATTENTION : FORK_DENSE,
				 layers,
				 1,
				 shape[0],
				 shape[1],
				 shape[2],
				 64,
				 DRAWN_NORMAL };
	struct drawn *d = drawn_new(&s, seed);
	struct fork_sketch *out;

	for (size_t i = 0; i < d->blocks; i++)
		if (!first_alone || i == 0)
			structure_block(&d->block[i], what);
	out = calibrated(d);
	drawn_free(d);
	return out;
}

/* In every block; and in the first alone, which the model's own pairs then hardly see: there what
 * leaves no trace within the block (a fixed dense orthogonal matrix) is not told from a copy. */
Test(forks_exact, structured_initialisation_in_both_accuses_nobody)
{
	static const uint32_t layers[] = { 1, 3, 10 },
			      shape[][3] = { { 24, 32, 3 }, { 48, 160, 2 } };

	for (int what = 0; what < STRUCTURES; what++)
		for (size_t l = 0; l < 6; l++)
			for (size_t k = 0; k < 2; k++) {
				bool alone = l >= 3;
				struct fork_sketch *s, *t;

				if (alone &&
				    (what == STRUCTURE_HADAMARD || layers[l % 3] == 1 ||
				     what == STRUCTURE_SINUSOID || what == STRUCTURE_WAVES ||
				     what == STRUCTURE_SINUSOID_NOISE))
					continue;
				s = structured_model((enum structure)what, layers[l % 3], shape[k],
						     alone, 1 + 10 * l + 100 * k);
				t = structured_model((enum structure)what, layers[l % 3], shape[k],
						     alone, 2 + 10 * l + 100 * k);
				for (size_t q = 0; q < ASKED; q++)
					cr_expect(log_p_of(s, t, q) > log(1e-4),
						  "%s, %u layers%s, %u units: %s %g",
						  structure_name((enum structure)what),
						  layers[l % 3], alone ? ", the first" : "",
						  shape[k][0], asked[q].name, log_p_of(s, t, q));
				drawn_sketch_free(s);
				drawn_sketch_free(t);
			}
}

Test(forks_exact, structured_experts_in_both_are_no_match)
{
	for (int what = 0; what < STRUCTURES; what++)
		for (uint64_t seed = 1; seed < 7; seed += 2) {
			struct fork_sketch *s[2];
			struct rung_map map;
			struct rung r;

			for (uint64_t side = 0; side < 2; side++) {
				static const struct drawn_shape shape = {
					FORK_EXPERT, 6, 8, 32, 32, 3, 0, DRAWN_NORMAL
				};
				struct drawn *d = drawn_new(&shape, seed + side);

				for (size_t i = 0; i < d->blocks; i++)
					structure_block(&d->block[i], (enum structure)what);
				s[side] = calibrated(d);
				drawn_free(d);
			}
			cr_assert_eq(fork_s3_rung(s[0], s[1], RUNG_RAW, &how, &r, &map, NULL), 0);
			cr_expect(r.log_p > log(1e-4), "%s: %g",
				  structure_name((enum structure)what), r.log_p);
			fork_rung_free(&r);
			fork_map_free(&map);
			drawn_sketch_free(s[0]);
			drawn_sketch_free(s[1]);
		}
}
