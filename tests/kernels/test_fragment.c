/* The GPU's layout of weights, read back by the words of kernels/fragment.h, against the CPU's. */
#include "kernels/fragment.h"
#include "kernels/number.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t shapes[][2] = { { 1, 32 }, { 16, 64 }, { 17, 96 }, { 40, 288 }, { 33, 512 },
	{ 150, 544 } };
/* all but MXFP4, whose groups are whole */
static const uint32_t ragged[][2] = { { 1, 1 }, { 15, 17 }, { 31, 33 }, { 5, 63 }, { 18, 130 }, { 3, 257 } };
#define EACH(i, a) size_t i = 0; i < sizeof a / sizeof *a; i++

/* Place of (row, k) in its tile: lane and which of its eight values. */
static size_t lane_of(uint32_t row, uint32_t k) { return 4 * (row % 8) + k % 8 / 2; }
static size_t value_of(uint32_t row, uint32_t k) { return 4 * (k % 16 / 8) + 2 * (row % 16 / 8) + k % 2; }

static float half_at(const unsigned char *at, bool bf16)
{
	uint16_t half;
	memcpy(&half, at, 2);
	return bf16 ? number_from_bf16(half) : number_from_f16(half);
}

/* The code of (row, k) alone, as a number. */
static float code_at(enum kernel_format f, const unsigned char *panel, uint32_t row, uint32_t k)
{
	size_t lane = lane_of(row, k), value = value_of(row, k);
	uint32_t word;
	double sum = 0; /* of the largest numbers parts alone exceed a float */
	if (f == KERNEL_FP8 || f == KERNEL_Q8) {
		unsigned char b = panel[k / 32 * 512 + lane * 16 + k % 32 / 16 * 8 + value];
		return f == KERNEL_FP8 ? number_from_e4m3(b) : (float)(int8_t)b;
	}
	if (f == KERNEL_Q4 || f == KERNEL_MXFP4) {
		memcpy(&word, panel + k / 64 * 512 + lane * 16 + k % 64 / 16 * 4, 4);
		word = word >> (4 * (value / 2) + 16 * (value % 2)) & 15;
		return f == KERNEL_Q4 ? (float)word - 8 : number_from_e2m1((uint8_t)word);
	}
	uint32_t parts = fragment_parts(f);
	for (uint32_t p = 0; p < parts; p++)
		sum += (double)half_at(panel + (k / 16 * parts + p) * 512 + lane * 16 + 2 * value, true);
	return (float)sum;
}

static float value_at(const struct kernel_matrix *w, const unsigned char *packed, uint32_t row, uint32_t k)
{
	enum kernel_format f = w->format;
	const unsigned char *panel = packed + row / 16 * fragment_panel_bytes(f, w->columns);
	const unsigned char *scales = panel + fragment_code_bytes(f, w->columns);
	size_t scale = ((k / 256 * 8 + row % 8) * 8 + k % 256 / 32) * 2 + row % 16 / 8;
	float code = code_at(f, panel, row, k);
	if (f == KERNEL_Q8 || f == KERNEL_Q4)
		return code * half_at(scales + 2 * scale, false);
	if (f == KERNEL_MXFP4)
		return code * number_from_e8m0(scales[scale]);
	return f == KERNEL_FP8 ? code * w->scale[row / 128 * ((w->columns + 127) / 128) + k / 128] : code;
}

static unsigned char *packed_in(const struct kernel_matrix *w, uint32_t step, int poison)
{
	size_t bytes = fragment_panel_bytes(w->format, w->columns);
	uint32_t panels = kernel_panels(w);
	unsigned char *at = malloc(panels * bytes + 1);
	memset(at, poison, panels * bytes + 1);
	for (uint32_t p = 0; p < panels; p += step)
		fragment_pack(w, p, panels - p < step ? panels - p : step, at + p * bytes);
	cr_assert_eq(at[panels * bytes], poison);
	return at;
}

static void compare(enum kernel_format f, uint32_t rows, uint32_t columns)
{
	struct kernel_matrix w = random_matrix(f, rows, columns);
	size_t bytes = fragment_panel_bytes(f, columns);
	unsigned char *whole = packed_in(&w, 100, 0x5a), *parts = packed_in(&w, 1, 0xa5);
	cr_assert_eq(bytes % 512, 0);
	cr_assert_eq(memcmp(whole, parts, kernel_panels(&w) * bytes), 0, "%s %ux%u", kernel_format_name(f), rows,
	             columns);
	for (uint32_t row = 0; row < rows; row++) {
		for (uint32_t k = 0; k < columns; k++) {
			float want = kernel_matrix_at(&w, row, k), got = value_at(&w, whole, row, k);
			cr_assert_eq(number_bits(want), number_bits(got), "%s %ux%u at %u, %u: %a, expected %a",
			             kernel_format_name(f), rows, columns, row, k, (double)got, (double)want);
		}
	}
	for (uint32_t row = 0; row < kernel_panels(&w) * 16; row++) {
		for (uint32_t k = row < rows ? columns : 0; k < columns || k % 16 != 0; k++) {
			float code = code_at(f, whole + row / 16 * bytes, row, k);
			cr_assert(code >= 0 && code <= 0, "%s %ux%u at %u, %u", kernel_format_name(f), rows, columns,
			          row, k);
		}
	}
	free(whole);
	free(parts);
	kernel_matrix_free(&w);
}

Test(fragment, every_value_lies_where_its_lane_finds_it_and_what_is_beyond_is_zero)
{
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		for (EACH(s, shapes))
			compare((enum kernel_format)f, shapes[s][0], shapes[s][1]);
		for (EACH(s, ragged)) {
			if (f != KERNEL_MXFP4)
				compare((enum kernel_format)f, ragged[s][0], ragged[s][1]);
		}
	}
}

/* Rounding the largest numbers up would give infinity, and then no number. */
Test(fragment, f32_is_the_sum_of_three_bf16_numbers_to_its_ends)
{
	static const float v[] = { 0x1.fffffep127f, -0x1.fffffep127f, 0x1.ff0001p127f, 0x1.234568p-100f, -0.0f,
		0x1.fffffep-1f, 0x1.010101p0f, 3 };
	struct kernel_matrix w;
	cr_assert_eq(kernel_matrix_alloc(&w, KERNEL_F32, 8, 1, NULL), 0);
	memcpy(w.panel, v, sizeof v);
	unsigned char *at = packed_in(&w, 1, 0);
	for (uint32_t row = 0; row < 8; row++) {
		float got = code_at(KERNEL_F32, at, row, 0);
		cr_assert(got >= v[row] && got <= v[row], "%a: %a", (double)v[row], (double)got);
	}
	free(at);
	kernel_matrix_free(&w);
}

Test(fragment, panels_that_a_matrix_lacks_are_a_broken_invariant, .signal = SIGABRT)
{
	struct kernel_matrix w = random_matrix(KERNEL_BF16, 20, 16);
	static unsigned char out[4096];
	fragment_pack(&w, 1, 2, out);
}
