/* One stream of random numbers, cut into other shapes, is told from a copy. */
#include "forks/detail.h"
#include "forks/forks.h"
#include "forks/rungs.h"
#include "forks/stream.h"

#include "drawn.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 8
#define UNITS 24
#define HIDDEN 32
#define ROW (HIDDEN * sizeof(float))

static struct drawn *dense(uint64_t seed)
{
	const struct drawn_shape shape = { FORK_DENSE, LAYERS, 1, UNITS, HIDDEN, 3, 64, 0 };

	return drawn_new(&shape, seed);
}

/* Gate and up rows as a generator gives them that has drawn `rows` rows more after the first block,
 * which is the same. */
static struct drawn *later(const struct drawn *a, uint32_t rows)
{
	struct drawn *b = dense(77); /* columns of down are no stretch of the stream */

	for (int k = 0; k < 3; k++)
		memcpy(b->block[0].v[k], a->block[0].v[k], UNITS * ROW);
	for (uint32_t i = 2 * UNITS; i < LAYERS * 2 * UNITS; i++) {
		uint32_t from = i + rows;

		if (from < LAYERS * 2 * UNITS)
			memcpy(b->block[i / (2 * UNITS)].v[i / UNITS % 2] + i % UNITS * HIDDEN,
			       a->block[from / (2 * UNITS)].v[from / UNITS % 2] +
				       from % UNITS * HIDDEN,
			       ROW);
	}
	return b;
}

static enum fork_verdict verdict(struct drawn *a, struct drawn *b, bool *found)
{
	struct fork_sketch *x = drawn_sketch(a), *y = drawn_sketch(b);
	const struct fork_options how = { .alpha = 1e-3, .seed = 5 };
	struct fork_comparison c;
	struct err e = { 0 };
	enum fork_verdict v;

	cr_assert_eq(fork_sketch_calibrate(x, 1, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(fork_sketch_calibrate(y, 1, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(fork_compare(x, y, &how, &c, &e), 0, "%s", e.text);
	v = c.verdict;
	*found = c.detail->stream.found;
	fork_comparison_free(&c);
	drawn_sketch_free(x);
	drawn_sketch_free(y);
	return v;
}

Test(forks_stream, rows_of_one_generator_at_other_places_are_no_dependence)
{
	static const uint32_t rows[] = { 1, 5, 24, 30, 80 };
	struct drawn *a = dense(3);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct drawn *b = later(a, rows[i]);
		bool found;
		enum fork_verdict v = verdict(a, b, &found);

		cr_expect_neq(v, FORK_DEPENDENT, "%u rows later", rows[i]);
		drawn_free(b);
	}
	drawn_free(a);
}

/* The rows of each gate stand as up rows too: found only where no unit answers whole. */
Test(forks_stream, a_copy_stays_one_whatever_rows_were_put_beside_it)
{
	struct drawn *a = dense(4), *b = drawn_copy(a);
	bool found;

	drawn_noise(b, 0.3, 9);
	for (uint32_t i = 0; i < LAYERS; i += 2) /* units of a thief's: an a's gate row as up row */
		for (uint32_t u = 0; u < 6; u++)
			memcpy(b->block[i].v[1] + u * HIDDEN, a->block[i].v[0] + u * HIDDEN, ROW);
	cr_expect_eq(verdict(a, b, &found), FORK_DEPENDENT);
	cr_expect_not(found);
	drawn_free(a);
	drawn_free(b);
}

/* Four more units for each, which do nothing, and a gate's row among their up rows. */
Test(forks_stream, units_that_were_appended_clear_no_copy)
{
	struct drawn *a = dense(6), *b = drawn_copy(a);
	bool found;

	for (uint32_t i = 0; i < LAYERS; i++) {
		drawn_resize(&b->block[i], 5 * UNITS);
		memcpy(b->block[i].v[1] + UNITS * HIDDEN, a->block[i].v[0], ROW);
	}
	cr_expect_eq(verdict(a, b, &found), FORK_DEPENDENT);
	cr_expect_not(found);
	drawn_free(a);
	drawn_free(b);
}

/* Under other names, or fused the other way round. */
Test(forks_stream, gates_exchanged_with_up_rows_are_no_stream)
{
	struct drawn *a = dense(7), *b = drawn_copy(a);
	bool found;

	for (size_t i = 0; i < b->blocks; i++) {
		float *gate = b->block[i].v[0];

		b->block[i].v[0] = b->block[i].v[1];
		b->block[i].v[1] = gate;
	}
	cr_expect_eq(verdict(a, b, &found), FORK_DEPENDENT);
	cr_expect_not(found);
	drawn_free(a);
	drawn_free(b);
}
