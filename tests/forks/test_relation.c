/* Matrices rounded as libraries round them, and others. */
#include "forks/relation.h"
#include "drawn.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 100
#define COLUMNS 1280

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
		b[i] = a[i] = bf16((float)(0.02 * toy_normal(&seed)));
}

static enum fork_rounding found(size_t columns)
{
	float x[ROWS * 200], y[ROWS * 200];

	if (columns == COLUMNS)
		return fork_relation_rounding(a, b, ROWS, COLUMNS);
	for (size_t r = 0; r < ROWS; r++) {
		memcpy(x + r * columns, a + r * COLUMNS, columns * sizeof *x);
		memcpy(y + r * columns, b + r * COLUMNS, columns * sizeof *y);
	}
	return fork_relation_rounding(x, y, ROWS, columns);
}

static float largest_of(size_t rows, size_t columns, size_t r0, size_t c0)
{
	float max = 0;

	for (size_t r = r0; r < ROWS && r < r0 + rows; r++)
		for (size_t c = c0; c < COLUMNS && c < c0 + columns; c++)
			max = fmaxf(max, fabsf(a[r * COLUMNS + c]));
	return max;
}

/* b = levels of a over groups of rows x columns. */
static void rounded(size_t rows, size_t columns, float levels, float (*level)(float), float widen)
{
	for (size_t i = 0; i < ROWS; i += rows)
		for (size_t k = 0; k < COLUMNS; k += columns) {
			float s = widen * largest_of(rows, columns, i, k) / levels;

			for (size_t r = i; r < ROWS && r < i + rows; r++)
				for (size_t c = k; c < COLUMNS && c < k + columns; c++)
					b[r * COLUMNS + c] =
						bf16(level(a[r * COLUMNS + c] / s) * s);
		}
}

Test(forks_relation, int8_is_recognised_by_row_and_by_group)
{
	parent();
	for (size_t r = 0; r < ROWS; r++) {
		float s = largest_of(1, 200, r, 0) / 127;

		for (size_t c = 0; c < 200; c++)
			b[r * COLUMNS + c] = bf16(rintf(a[r * COLUMNS + c] / s) * s);
	}
	cr_expect_eq(found(200), FORK_ROUNDED_INT8, "a narrow matrix, by row");
	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		a[i] *= 1.001f;
	rounded(1, COLUMNS, 127, rintf, 1);
	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		a[i] = bf16(a[i]);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_INT8, "rounded before the parent was stored");
	parent();
	rounded(1, 32, 127, rintf, 1);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_INT8, "groups of 32");
	rounded(ROWS, COLUMNS, 127, rintf, 1.37f);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_INT8, "one scale that nobody knows");
}

Test(forks_relation, fp8_is_recognised_whatever_its_scale)
{
	parent();
	rounded(128, 128, 448, fork_relation_e4m3, 1);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_FP8, "blocks");
	rounded(128, 128, 448, fork_relation_e4m3, 1.37f);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_FP8, "blocks of another scale");
	rounded(ROWS, COLUMNS, 448, fork_relation_e4m3, 1);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_FP8, "one scale");
}

Test(forks_relation, four_bits_are_recognised)
{
	parent();
	rounded(1, 128, 7, rintf, 1);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_INT4, "groups of 128");
	rounded(1, 32, 8, rintf, 1);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_INT4, "groups of 32");
	rounded(1, 16, 7, rintf, 1);
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_INT4, "groups of 16");
}

Test(forks_relation, a_narrower_float_is_recognised)
{
	static struct relation_scratch scratch;
	uint64_t seed = 8;

	for (size_t i = 0; i < ROWS * COLUMNS; i++) {
		a[i] = (float)(0.02 * toy_normal(&seed));
		b[i] = bf16(a[i]);
	}
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_NARROW);
	cr_expect_eq(fork_relation_rank(a, b, ROWS, COLUMNS, &scratch), 0);
}

Test(forks_relation, other_changes_are_not_rounding)
{
	uint64_t seed = 6;

	parent();
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_NOT, "nothing changed");
	for (double share = 1e-3; share < 0.5; share *= 3) {
		for (size_t i = 0; i < ROWS * COLUMNS; i++)
			b[i] = bf16((float)(a[i] + share * 0.02 * toy_normal(&seed)));
		cr_expect_eq(found(COLUMNS), FORK_ROUNDED_NOT, "noise of %g", share);
	}
	for (double kept = 0.8; kept > 0.1; kept -= 0.2) {
		for (size_t i = 0; i < ROWS * COLUMNS; i++)
			b[i] = drawn_uniform(&seed) < kept ? a[i] : 0;
		cr_expect_eq(found(COLUMNS), FORK_ROUNDED_NOT, "pruned to %g", kept);
	}
	rounded(1, COLUMNS, 127, rintf, 1);
	for (size_t i = 0; i < ROWS * COLUMNS; i += 20)
		b[i] += bf16((float)(0.01 * toy_normal(&seed)));
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_NOT, "rounded, and one value in twenty moved");
	for (size_t i = 0; i < ROWS * COLUMNS; i++) { /* a is of 4 bits itself */
		a[i] = rintf(a[i] * 200) / 200;
		b[i] = a[i] + (drawn_uniform(&seed) < 0.1 ? 0.005f : 0);
	}
	cr_expect_eq(found(COLUMNS), FORK_ROUNDED_NOT, "a has no more levels");
}

static void add_low_rank(int rank, double size, uint64_t seed)
{
	static float left[ROWS][64], right[64][COLUMNS];

	for (int k = 0; k < rank; k++) {
		for (size_t r = 0; r < ROWS; r++)
			left[r][k] = (float)toy_normal(&seed);
		for (size_t c = 0; c < COLUMNS; c++)
			right[k][c] = (float)toy_normal(&seed);
	}
	for (size_t r = 0; r < ROWS; r++)
		for (size_t c = 0; c < COLUMNS; c++) {
			double sum = 0;

			for (int k = 0; k < rank; k++)
				sum += left[r][k] * right[k][c];
			b[r * COLUMNS + c] =
				bf16((float)(a[r * COLUMNS + c] + 0.02 * size * sum / sqrt(rank)));
		}
}

Test(forks_relation, the_rank_of_an_adapter_is_found)
{
	struct relation_scratch *scratch = malloc(sizeof *scratch);
	uint64_t seed = 9;

	parent();
	for (int rank = 1; rank <= 32; rank *= 2) {
		add_low_rank(rank, 0.1, 40);
		cr_expect_eq(fork_relation_rank(a, b, ROWS, COLUMNS, scratch), (uint32_t)rank,
			     "%d: %u", rank, fork_relation_rank(a, b, ROWS, COLUMNS, scratch));
	}
	add_low_rank(8, 1e-5, 40);
	cr_expect_eq(fork_relation_rank(a, b, ROWS, COLUMNS, scratch), 0, "below what BF16 keeps");
	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		b[i] = bf16((float)(a[i] + 0.002 * toy_normal(&seed)));
	cr_expect_eq(fork_relation_rank(a, b, ROWS, COLUMNS, scratch), 0, "full rank");
	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		b[i] = drawn_uniform(&seed) < 0.2 ? 0 : bf16(a[i] * 1.02f);
	cr_expect_eq(fork_relation_rank(a, b, ROWS, COLUMNS, scratch), 0, "zeros");
	free(scratch);
}

Test(forks_relation, e4m3_rounds_to_even_and_saturates)
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
		cr_expect_eq(fork_relation_e4m3(row[i].in), row[i].out, "%g gives %g", row[i].in,
			     fork_relation_e4m3(row[i].in));
}
