#include "drawn.h"
#include "forks/fit.h"
#include "structured.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct fork_sketch *fitted(const struct drawn *d)
{
	struct fork_sketch *s = drawn_sketch(d);

	cr_assert_eq(fork_fit_blocks(s, 3, NULL, NULL), 0);
	return s;
}

Test(forks_fit, structured_blocks_are_left_out_with_a_reason)
{
	static const struct {
		enum structure what;
		uint8_t unfit;
	} row[] = {
		{ STRUCTURE_IDENTITY, BLOCK_AXES },
		{ STRUCTURE_IDENTITY_NOISE, BLOCK_AXES },
		{ STRUCTURE_IDENTITY_GATE, BLOCK_AXES },
		{ STRUCTURE_CONSTANT, BLOCK_FLAT },
		{ STRUCTURE_CONSTANT_NOISE, BLOCK_FLAT },
		{ STRUCTURE_REPEATED_HALF, BLOCK_REPEATED },
		{ STRUCTURE_REPEATED_NOISE, BLOCK_REPEATED },
		{ STRUCTURE_REPEATED_UNITS, BLOCK_REPEATED },
		{ STRUCTURE_BLOCKS, BLOCK_ORDERED },
		{ STRUCTURE_RAMP, BLOCK_ORDERED },
		{ STRUCTURE_LAST_PART_ZERO, BLOCK_FEW },
		{ STRUCTURE_ZEROS_AT_END, BLOCK_FIT },
	};
	static const struct drawn_shape shape = { FORK_DENSE, 3, 1, 64, 96, 3, 0, DRAWN_NORMAL };

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct drawn *d = drawn_new(&shape, 5);
		struct fork_sketch *s;

		for (size_t k = 0; k < d->blocks; k++)
			structure_block(&d->block[k], row[i].what);
		s = fitted(d);
		for (size_t k = 0; k < s->blocks; k++)
			cr_expect_eq(s->block[k].unfit, row[i].unfit, "%s: %u",
				     structure_name(row[i].what), s->block[k].unfit);
		cr_expect((fork_unfit_reason(row[i].unfit) == NULL) == (row[i].unfit == BLOCK_FIT));
		drawn_sketch_free(s);
		drawn_free(d);
	}
	cr_expect_not_null(fork_unfit_reason(255));
}

Test(forks_fit, plain_blocks_are_fit_and_no_copies)
{
	for (int law = 0; law < DRAWN_LAWS; law++)
		for (uint32_t units = 16; units <= 64; units *= 2) {
			struct drawn_shape shape = { FORK_DENSE, 60, 1, units,
						     16 + units, 3,  0, (enum drawn_law)law };
			struct drawn *d = drawn_new(&shape, units);
			struct fork_sketch *s = fitted(d);

			for (size_t k = 0; k < s->blocks; k++)
				cr_expect(s->block[k].unfit == BLOCK_FIT &&
						  s->block[k].cluster == k,
					  "law %d, %u units: block %zu %u", law, units, k,
					  s->block[k].unfit);
			drawn_sketch_free(s);
			drawn_free(d);
		}
}

Test(forks_fit, near_copies_are_one_cluster)
{
	static const struct drawn_shape shape = { FORK_EXPERT, 2, 4, 24, 32, 3, 0, DRAWN_TRAINED };
	static const uint32_t want[] = { 0, 1, 0, 3, 4, 4, 0, 7 };
	struct drawn *d = drawn_new(&shape, 5);
	struct fork_sketch *s;

	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t p = 0; p < 3; p++)
			memcpy(d->block[i].v[p], d->block[want[i]].v[p], 24 * 32 * sizeof(float));
	drawn_noise(d, 0.7, 9);
	s = fitted(d);
	for (size_t i = 0; i < s->blocks; i++)
		cr_expect_eq(s->block[i].cluster, want[i], "%zu: %u", i, s->block[i].cluster);
	drawn_sketch_free(s);
	drawn_free(d);
}

/* Of one sign, as a library's QR makes it: too small to be seen in any one block. */
Test(forks_fit, a_small_diagonal_in_every_block_is_seen)
{
	const struct drawn_shape shape = { FORK_DENSE, 8, 1, 32, 32, 3, 0, DRAWN_NORMAL };

	for (int with = 0; with < 2; with++) {
		struct drawn *d = drawn_new(&shape, 11);
		struct fork_sketch *s;
		struct err e = { 0 };

		for (size_t i = 0; with && i < d->blocks; i++)
			for (uint32_t p = 0; p < 3; p++)
				for (uint32_t u = 0; u < 32; u++) {
					float *v = d->block[i].v[p] + u * 32;
					double length = 0;

					for (int k = 0; k < 32; k++)
						length += (double)v[k] * (double)v[k];
					v[u] -= (float)(0.1 * sqrt(length));
				}
		s = drawn_sketch(d);
		cr_assert_eq(fork_fit_blocks(s, 1, NULL, &e), 0, "%s", e.text);
		for (size_t i = 0; i < s->blocks; i++)
			cr_expect_eq(s->block[i].unfit, with ? BLOCK_AXES : BLOCK_FIT, "%zu", i);
		drawn_sketch_free(s);
		drawn_free(d);
	}
}
