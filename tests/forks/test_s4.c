#include "drawn.h"
#include "forks/rungs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define LAYERS 5
#define HIDDEN 48
#define TOKENS 60

/* A sketch with nothing but the Gram matrices of random queries [rows][HIDDEN]. */
static struct fork_sketch *queries(uint64_t seed, uint32_t rows, double noise, const int *from,
				   bool other_tokens)
{
	struct fork_sketch *s = calloc(1, sizeof *s);
	static float e[TOKENS][HIDDEN], x[TOKENS];

	s->layers = LAYERS;
	s->layer = arena_array(&s->arena, LAYERS, sizeof *s->layer);
	s->tokens = TOKENS;
	for (uint32_t t = 0; t < TOKENS; t++)
		s->token[t] = other_tokens && t > 39 ? t + 500 : t;
	for (uint64_t t = 0, state = 7; t < TOKENS; t++)
		for (uint32_t k = 0; k < HIDDEN; k++)
			e[t][k] = (float)drawn_normal(&state);
	for (uint32_t l = 0; l < LAYERS; l++) {
		uint64_t state = seed + 1000u * (uint64_t)from[l], own = seed + l + 77;

		s->layer[l].tokens = arena_array(&s->arena, TOKENS * TOKENS, sizeof(float));
		for (uint32_t r = 0; r < rows; r++) {
			double q[HIDDEN];

			for (uint32_t k = 0; k < HIDDEN; k++)
				q[k] = drawn_normal(&state) + noise * drawn_normal(&own);
			for (uint32_t t = 0; t < TOKENS; t++) {
				x[t] = 0;
				for (uint32_t k = 0; k < HIDDEN; k++)
					x[t] += (float)(e[t][k] * q[k]);
			}
			for (uint32_t t = 0; t < TOKENS * TOKENS; t++)
				s->layer[l].tokens[t] += x[t / TOKENS] * x[t % TOKENS];
		}
	}
	return s;
}

static const int in_order[] = { 0, 1, 2, 3, 4 }, backwards[] = { 4, 3, 2, 1, 0 };

Test(forks_s4, a_copy_is_alike_and_others_are_what_unrelated_layers_are)
{
	struct fork_sketch *a = queries(1, 8, 0, in_order, false),
			   *copy = queries(1, 8, 0.3, in_order, true),
			   *other = queries(2, 8, 0, in_order, false),
			   *none = calloc(1, sizeof *none);
	struct fork_s4 s = fork_s4_effect(a, copy, NULL), n = fork_s4_effect(a, other, NULL);

	cr_expect(s.run && n.run);
	cr_expect_eq(s.layers, LAYERS);
	cr_log_info("copy %g, other %g, unrelated %g to %g", s.effect, n.effect, s.unrelated_mean,
		    s.unrelated_high);
	cr_expect_gt(s.effect, 0.75);
	cr_expect_gt(s.effect, s.unrelated_high + 0.3);
	cr_expect_lt(n.effect, n.unrelated_high + 0.1);
	cr_expect(fabs(fork_s4_effect(a, a, NULL).effect - 1) < 1e-9);
	cr_expect_not(fork_s4_effect(a, none, NULL).run);
	drawn_sketch_free(a);
	drawn_sketch_free(copy);
	drawn_sketch_free(other);
	drawn_sketch_free(none);
}

Test(forks_s4, layers_are_compared_as_the_map_has_them)
{
	struct fork_sketch *a = queries(1, 8, 0, in_order, false),
			   *b = queries(1, 8, 0, backwards, false);
	int32_t layer[] = { 4, 3, -1, 1, 0 };
	struct rung_map map = { .layer = layer, .layers = LAYERS };
	struct fork_s4 s = fork_s4_effect(a, b, &map);

	cr_expect_eq(s.layers, LAYERS - 1);
	cr_expect(fabs(s.effect - 1) < 1e-6);
	cr_expect_lt(fork_s4_effect(a, b, NULL).effect, 0.7);
	drawn_sketch_free(a);
	drawn_sketch_free(b);
}
