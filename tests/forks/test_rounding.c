#include "forks/rounding.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define ROWS 100
#define COLUMNS 200

static float a[ROWS * COLUMNS], b[ROWS * COLUMNS];

static float bf16(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
	memcpy(&v, &bits, 4);
	return v;
}

static void parent(void)
{
	uint64_t seed = 5;

	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		a[i] = bf16((float)(0.02 * toy_normal(&seed)));
}

static bool fits(const float *scale)
{
	struct rounding r = { 0 };

	fork_rounding_add(&r, a, b, ROWS, COLUMNS, scale);
	cr_expect_eq(r.values, ROWS * COLUMNS);
	return fork_rounding_fits(&r);
}

static void round_rows(float levels)
{
	for (size_t r = 0; r < ROWS; r++) {
		float max = 0;

		for (size_t c = 0; c < COLUMNS; c++)
			max = fmaxf(max, fabsf(a[r * COLUMNS + c]));
		for (size_t c = 0; c < COLUMNS; c++)
			b[r * COLUMNS + c] =
				bf16(rintf(a[r * COLUMNS + c] / (max / levels)) * (max / levels));
	}
}

Test(forks_rounding, int8_by_row_is_recognised)
{
	parent();
	round_rows(127);
	cr_expect(fits(NULL));
}

Test(forks_rounding, other_changes_are_not)
{
	uint64_t seed = 6;

	parent();
	round_rows(7); /* int4 */
	cr_expect_not(fits(NULL), "4 bits");
	for (double share = 1e-3; share < 0.3; share *= 10) {
		for (size_t i = 0; i < ROWS * COLUMNS; i++)
			b[i] = bf16((float)(a[i] + share * 0.02 * toy_normal(&seed)));
		cr_expect_not(fits(NULL), "noise of %g", share);
	}
	round_rows(127);
	for (size_t i = 0; i < ROWS * COLUMNS; i += 20)
		b[i] += 0.01f;
	cr_expect_not(fits(NULL), "rounded, and one value in twenty moved");
}

Test(forks_rounding, fp8_blocks_are_recognised_with_either_scale)
{
	float scale[2] = { 0.0002f, 0.0003f };

	parent();
	for (size_t i = 0; i < ROWS * COLUMNS; i++) {
		float s = scale[i % COLUMNS / ROUNDING_BLOCK];

		b[i] = fork_rounding_e4m3(a[i] / s) * s;
	}
	cr_expect(fits(scale));
	cr_expect_not(fits(NULL), "another scale");
	for (size_t block = 0; block < 2; block++) {
		scale[block] = 0;
		for (size_t i = 0; i < ROWS * COLUMNS; i++)
			if (i % COLUMNS / ROUNDING_BLOCK == block)
				scale[block] = fmaxf(scale[block], fabsf(a[i]) / 448);
	}
	for (size_t i = 0; i < ROWS * COLUMNS; i++) {
		float s = scale[i % COLUMNS / ROUNDING_BLOCK];

		b[i] = bf16(fork_rounding_e4m3(a[i] / s) * s);
	}
	cr_expect(fits(NULL), "stored as BF16 again");
}

Test(forks_rounding, e4m3_rounds_to_even_and_saturates)
{
	static const struct {
		float in, out;
	} row[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 1.0625f, 1 },
		{ 1.1875f, 1.25f },
		{ 1.07f, 1.125f },
		{ -17, -16 },
		{ -19, -20 },
		{ 448, 448 },
		{ 460, 448 },
		{ 1e30f, 448 },
		{ -1e30f, -448 },
		{ 0x1p-6f, 0x1p-6f },
		{ 0x1p-9f, 0x1p-9f },
		{ 0x1p-10f, 0 },
		{ 0x1.8p-10f, 0x1p-9f },
		{ 0x1.4p-8f, 0x1p-8f },
		{ 240, 240 },
		{ 232, 224 },
		{ 0x1.fp-7f, 0x1p-6f },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		cr_expect_eq(fork_rounding_e4m3(row[i].in), row[i].out, "%g gives %g", row[i].in,
			     fork_rounding_e4m3(row[i].in));
}
