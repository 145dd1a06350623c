/* Stored groups in the arithmetic of Q8 and Q4 keep every value. */
#include "kernels/number.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t block_bytes(enum kernel_format f) { return f == KERNEL_Q8 ? KERNEL_Q8_BLOCK : KERNEL_Q4_BLOCK; }

/* Any codes, and finite scales of either sign, zero among them. */
static unsigned char *random_blocks(enum kernel_format f, size_t n)
{
	unsigned char *all = malloc(n * block_bytes(f));
	for (size_t i = 0; i < n; i++) {
		unsigned char *b = all + i * block_bytes(f);
		uint16_t half = number_to_f16(i % 9 == 0 ? 0 : noise() * 0.01f);
		memcpy(b, &half, 2);
		for (size_t j = 2; j < block_bytes(f); j++)
			b[j] = (unsigned char)(int)(128 + 127.9f * noise());
		b[2] = i % 3 ? b[2] : 0x80; /* code -128 of Q8, -8 of Q4 */
	}
	return all;
}

static float value_of(enum kernel_format f, const unsigned char *row, uint32_t k)
{
	const unsigned char *b = row + k / 32 * block_bytes(f);
	uint16_t half;
	memcpy(&half, b, 2);
	int code = f == KERNEL_Q8 ? (int8_t)b[2 + k % 32] : (b[2 + k % 16] >> (k % 32 / 16 * 4) & 15) - 8;
	return number_from_f16(half) * (float)code;
}

static const uint32_t shapes[][2] = { { 1, 32 }, { 16, 64 }, { 17, 96 }, { 40, 160 }, { 130, 512 } };

static void products_agree(const struct kernel_matrix *w)
{
	enum { COUNT = 5, STRIDE = 512 };
	static float x[COUNT * STRIDE], want[COUNT * 130], got[COUNT * 130];
	fill(x, COUNT * STRIDE);
	struct kernel_quant q = quant_of(kernels_at(0), x, STRIDE, COUNT, w->columns);
	struct kernel_rows rows = { x, STRIDE, COUNT, NULL, &q, NULL };
	kernels_at(0)->matmul[w->format](w, 0, kernel_panels(w), &rows, want, w->rows);
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		kernels_at(k)->matmul[w->format](w, 0, kernel_panels(w), &rows, got, w->rows);
		cr_assert_eq(memcmp(got, want, COUNT * w->rows * sizeof *got), 0, "%s: %s %ux%u",
			     kernels_at(k)->name, kernel_format_name(w->format), w->rows, w->columns);
	}
	quant_free(&q);
}

Test(pack_blocks, every_value_comes_back_and_all_sets_multiply_with_it)
{
	static const enum kernel_format formats[] = { KERNEL_Q8, KERNEL_Q4 };
	for (size_t i = 0; i < 2; i++) {
		for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
			enum kernel_format f = formats[i];
			uint32_t rows = shapes[s][0], columns = shapes[s][1];
			size_t stride = columns / 32 * block_bytes(f);
			unsigned char *blocks = random_blocks(f, rows * (size_t)columns / 32);
			struct kernel_matrix w;
			cr_assert_eq(kernel_matrix_alloc(&w, f, rows, columns, NULL), 0);
			memset(w.panel, 0xa5, kernel_panels(&w) * w.panel_bytes);
			for (uint32_t row = 0; row < rows; row += 48) {
				uint32_t n = rows - row < 48 ? rows - row : 48;
				struct kernel_block_rows from = { blocks + row * stride, stride };
				cr_assert_eq(kernel_pack_blocks(&w, row, n, &from), (uint64_t)n * columns);
			}
			for (uint32_t r = 0; r < rows; r++)
				for (uint32_t k = 0; k < columns; k++)
					cr_assert(kernel_matrix_at(&w, r, k) ==
							  value_of(f, blocks + r * stride, k),
						  "%s %ux%u: %u, %u", kernel_format_name(f), rows, columns, r, k);
			products_agree(&w);
			kernel_matrix_free(&w);
			free(blocks);
		}
	}
}

/* Groups as quantising makes them: the largest code is there, so packing the values gives the same
 * bytes, the padding too. */
Test(pack_blocks, groups_with_a_full_code_pack_as_their_values_do)
{
	static const enum kernel_format formats[] = { KERNEL_Q8, KERNEL_Q4 };
	for (size_t i = 0; i < 2; i++) {
		enum kernel_format f = formats[i];
		enum { ROWS = 21, COLUMNS = 96 };
		size_t stride = COLUMNS / 32 * block_bytes(f);
		unsigned char *blocks = random_blocks(f, ROWS * COLUMNS / 32);
		static float value[ROWS * COLUMNS];
		struct kernel_matrix a, b;
		for (size_t g = 0; g < ROWS * COLUMNS / 32; g++) {
			unsigned char *p = blocks + g * block_bytes(f);
			uint16_t half = number_to_f16(0.001f + fabsf(noise()));
			memcpy(p, &half, 2);
			for (size_t j = 2; f == KERNEL_Q8 && j < block_bytes(f); j++)
				p[j] = p[j] == 0x80 ? 0x81 : p[j];
			p[5] = f == KERNEL_Q8 ? 127 : p[5] & 0xf0;
		}
		for (uint32_t r = 0; r < ROWS; r++)
			for (uint32_t k = 0; k < COLUMNS; k++)
				value[r * COLUMNS + k] = value_of(f, blocks + r * stride, k);
		cr_assert_eq(kernel_matrix_alloc(&a, f, ROWS, COLUMNS, NULL), 0);
		cr_assert_eq(kernel_matrix_alloc(&b, f, ROWS, COLUMNS, NULL), 0);
		struct kernel_stored_rows wide = { KERNEL_FROM_F32, value, COLUMNS * 4, NULL, 0 };
		struct kernel_block_rows from = { blocks, stride };
		cr_assert_eq(kernels_at(0)->pack(&a, 0, ROWS, &wide), ROWS * COLUMNS);
		cr_assert_eq(kernel_pack_blocks(&b, 0, ROWS, &from), ROWS * COLUMNS);
		cr_assert_eq(memcmp(a.panel, b.panel, kernel_panels(&a) * a.panel_bytes), 0, "%s",
			     kernel_format_name(f));
		kernel_matrix_free(&a);
		kernel_matrix_free(&b);
		free(blocks);
	}
}

Test(pack_blocks, a_scale_that_is_not_finite_is_named)
{
	static const enum kernel_format formats[] = { KERNEL_Q8, KERNEL_Q4 };
	for (size_t i = 0; i < 2; i++) {
		enum kernel_format f = formats[i];
		unsigned char *blocks = random_blocks(f, 17 * 2);
		struct kernel_matrix w;
		cr_assert_eq(kernel_matrix_alloc(&w, f, 17, 64, NULL), 0);
		blocks[(16 * 2 + 1) * block_bytes(f) + 1] = 0x7c;
		struct kernel_block_rows from = { blocks, 2 * block_bytes(f) };
		cr_assert_eq(kernel_pack_blocks(&w, 0, 17, &from), 16 * 64 + 32);
		kernel_matrix_free(&w);
		free(blocks);
	}
}
