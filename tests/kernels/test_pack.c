#include "kernels/number.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t bytes_of[] = { 4, 2, 2, 1 };
static const char *const stored_names[] = { "f32", "bf16", "f16", "e4m3" };
static const enum kernel_format formats[] = { KERNEL_F32, KERNEL_BF16, KERNEL_FP8, KERNEL_F16, KERNEL_Q8,
	KERNEL_Q4 };
#define EACH(i, a) size_t i = 0; i < sizeof a / sizeof *a; i++

static bool possible(enum kernel_format f, int stored)
{
	return f != KERNEL_FP8 || stored == KERNEL_FROM_E4M3;
}

/* Rows of many magnitudes, zeros and groups of zeros among them, from an odd address on; free one below. */
static unsigned char *values(int stored, uint32_t rows, uint32_t columns, size_t stride, float spread)
{
	unsigned char *all = (unsigned char *)malloc(rows * stride + 1) + 1;
	for (size_t n = 0; n < (size_t)rows * columns; n++) {
		unsigned char *v = all + n / columns * stride;
		size_t i = n % columns;
		float f = n / 32 % 5 == 1 || n % 7 == 0 ? 0 : noise() * powf(2, spread * noise());
		uint16_t half = stored == KERNEL_FROM_BF16 ? number_to_bf16(f) : number_to_f16(f);
		if (stored == KERNEL_FROM_F32)
			memcpy(v + 4 * i, &f, 4);
		else if (stored == KERNEL_FROM_E4M3)
			v[i] = (unsigned char)((number_bits(f) >> 20 & 0x7f) % 0x7f | (f < 0 ? 0x80u : 0));
		else
			memcpy(v + 2 * i, &half, 2);
	}
	return all;
}

static struct kernel_matrix empty(enum kernel_format f, uint32_t rows, uint32_t columns)
{
	struct kernel_matrix w;
	cr_assert_eq(kernel_matrix_alloc(&w, f, rows, columns, NULL), 0);
	memset(w.panel, 0xa5, kernel_panels(&w) * w.panel_bytes); /* packing must reach every byte */
	return w;
}

static void sets_agree(enum kernel_format f, int stored, uint32_t rows, uint32_t columns, float spread)
{
	size_t stride = columns * bytes_of[stored] + 3;
	unsigned char *v = values(stored, rows, columns, stride, spread);
	float scale[3 * 3] = { 0.5f, 3, 0.1f, 1, 2, 7, 0.3f, 0.2f, 11 };
	struct kernel_stored_rows from = { (enum kernel_stored)stored, v, stride, scale, 3 };
	struct kernel_matrix want = empty(f, rows, columns), got = empty(f, rows, columns);
	cr_assert_eq(kernels_at(0)->pack(&want, 0, rows, &from), (uint64_t)rows * columns);
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		memset(got.panel, 0x5a, kernel_panels(&got) * got.panel_bytes);
		for (uint32_t row = 0; row < rows; row += 48) { /* as a loader does */
			uint32_t n = rows - row < 48 ? rows - row : 48;
			struct kernel_stored_rows part = from;
			part.value = v + row * stride;
			part.block_scale = scale + row / 128 * 3;
			cr_assert_eq(kernels_at(k)->pack(&got, row, n, &part), (uint64_t)n * columns);
		}
		size_t bytes = kernel_panels(&got) * got.panel_bytes;
		cr_assert_eq(memcmp(got.panel, want.panel, bytes), 0, "%s: %s from %s, %ux%u",
		             kernels_at(k)->name, kernel_format_name(f), stored_names[stored], rows, columns);
	}
	kernel_matrix_free(&want);
	kernel_matrix_free(&got);
	free(v - 1);
}

Test(pack, every_set_packs_the_same_bytes_from_every_type)
{
	static const uint32_t shapes[][2] = { { 1, 1 }, { 16, 64 }, { 17, 33 }, { 40, 129 }, { 290, 300 },
		{ 16, 31 }, { 33, 63 } };
	for (EACH(f, formats)) {
		for (int stored = 0; stored < 4; stored++) {
			for (EACH(s, shapes)) {
				if (!possible(formats[f], stored))
					continue;
				sets_agree(formats[f], stored, shapes[s][0], shapes[s][1], 2);
				sets_agree(formats[f], stored, shapes[s][0], shapes[s][1], 12);
			}
		}
	}
}

/* Distances from the source: none where the format holds it, else half a step. */
Test(pack, values_come_back)
{
	static float v[40 * 96], back[96];
	for (size_t i = 0; i < 40 * 96; i++)
		v[i] = number_from_bf16(number_to_bf16(noise()));
	for (EACH(f, formats)) {
		if (formats[f] == KERNEL_FP8)
			continue;
		struct kernel_matrix w = empty(formats[f], 40, 96);
		struct kernel_stored_rows from = { KERNEL_FROM_F32, v, 96 * 4, NULL, 0 };
		cr_assert_eq(kernels_at(0)->pack(&w, 0, 40, &from), 40 * 96);
		for (uint32_t r = 0; r < 40; r++) {
			kernel_matrix_row(&w, r, back);
			for (uint32_t k = 0; k < 96; k++) {
				float most = 0, sign = 1;
				for (uint32_t j = k / 32 * 32; j < k / 32 * 32 + 32; j++) {
					if (fabsf(v[r * 96 + j]) > most || v[r * 96 + j] == most)
						most = fabsf(v[r * 96 + j]), sign = v[r * 96 + j];
				}
				float step = formats[f] == KERNEL_Q8 ? 0.51f * most / 127 :
				             formats[f] == KERNEL_Q4 ? 0.51f * most / 8 :
				             formats[f] == KERNEL_F16 ? 5e-4f : 0;
				if (formats[f] == KERNEL_Q4 && v[r * 96 + k] * sign < 0)
					step *= 2; /* the far end has seven steps */
				cr_assert_leq(fabsf(back[k] - v[r * 96 + k]), step, "%s row %u column %u",
				              kernel_format_name(formats[f]), r, k);
			}
		}
		kernel_matrix_free(&w);
	}
}

Test(pack, the_first_value_that_is_not_finite_is_named)
{
	static const size_t at[] = { 0, 31, 32, 63, 64, 69, 70, 16 * 70, 16 * 70 + 69, 39 * 70 + 69 };
	for (EACH(f, formats)) {
		for (int stored = 0; stored < 4; stored++) {
			for (EACH(i, at)) {
				if (!possible(formats[f], stored))
					continue;
				unsigned char *v = values(stored, 40, 70, 70 * bytes_of[stored], 1);
				static const uint32_t bad[] = { 0xff800000u, 0xff80u, 0xfc00u, 0xffu };
				for (size_t n = at[i]; n < 40 * 70; n += 777) /* others behind it */
					memcpy(v + n * bytes_of[stored], &bad[stored], bytes_of[stored]);
				struct kernel_stored_rows from = { (enum kernel_stored)stored, v,
					70 * bytes_of[stored], NULL, 0 };
				struct kernel_matrix w = empty(formats[f], 40, 70);
				for (size_t k = 0; kernels_at(k) != NULL; k++)
					cr_assert_eq(kernels_at(k)->pack(&w, 0, 40, &from), at[i],
					             "%s: %s from %s, %zu", kernels_at(k)->name,
					             kernel_format_name(formats[f]), stored_names[stored], at[i]);
				kernel_matrix_free(&w);
				free(v - 1);
			}
		}
	}
}

/* The largest that each format takes, and the next. */
Test(pack, values_beyond_the_format_are_refused)
{
	static const struct { enum kernel_format f; float most, over; } rows[] = {
		{ KERNEL_F32, 0x1.fffffep127f, INFINITY }, { KERNEL_BF16, 0x1.fefffep127f, 0x1.ffp127f },
		{ KERNEL_F16, 65519, 65520 }, { KERNEL_Q8, 8321039, 8321040 }, { KERNEL_Q4, -524159, -524160 },
	};
	for (EACH(i, rows)) {
		struct kernel_matrix w = empty(rows[i].f, 1, 3);
		float v[3] = { 1, rows[i].most, -0.0f };
		struct kernel_stored_rows from = { KERNEL_FROM_F32, v, 12, NULL, 0 };
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			v[1] = rows[i].most;
			cr_assert_eq(kernels_at(k)->pack(&w, 0, 1, &from), 3, "%s", kernel_format_name(rows[i].f));
			cr_assert(number_is_finite(kernel_matrix_at(&w, 0, 1)));
			v[1] = rows[i].over;
			cr_assert_eq(kernels_at(k)->pack(&w, 0, 1, &from), 1, "%s", kernel_format_name(rows[i].f));
		}
		kernel_matrix_free(&w);
	}
}

Test(pack, block_scales_multiply_on_the_way_to_other_formats)
{
	unsigned char v[2 * 130];
	const float scale[4] = { 2, 3, 5, 7 };
	memset(v, 0x38, sizeof v); /* one */
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		struct kernel_matrix w = empty(KERNEL_BF16, 144, 130);
		struct kernel_stored_rows from = { KERNEL_FROM_E4M3, v, 0, scale, 2 };
		cr_assert_eq(kernels_at(k)->pack(&w, 0, 144, &from), 144 * 130);
		cr_assert(kernel_matrix_at(&w, 127, 127) == 2 && kernel_matrix_at(&w, 0, 128) == 3);
		cr_assert(kernel_matrix_at(&w, 128, 0) == 5 && kernel_matrix_at(&w, 143, 129) == 7);
		kernel_matrix_free(&w);
	}
}

Test(pack, mxfp4_comes_back_exactly_and_scale_255_is_named)
{
	static const double value[8] = { 0, 0.5, 1, 1.5, 2, 3, 4, 6 };
	unsigned char block[19 * 32], scale[19 * 2];
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (unsigned char)(127 + 128 * noise());
	for (size_t i = 0; i < sizeof scale; i++)
		scale[i] = (unsigned char)(i * 7 % 255);
	struct kernel_mxfp4_rows from = { block, scale, 32, 2 };
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		struct kernel_matrix w = empty(KERNEL_MXFP4, 19, 64);
		cr_assert_eq(kernels_at(k)->pack_mxfp4(&w, 0, 19, &from), 19 * 64);
		for (uint32_t i = 0; i < 19 * 64; i++) {
			unsigned code = block[i / 2] >> i % 2 * 4 & 15;
			double want = value[code & 7] * (code & 8 ? -1 : 1) * ldexp(1, scale[i / 32] - 127);
			cr_assert_eq((double)kernel_matrix_at(&w, i / 64, i % 64), want, "%u", i);
		}
		scale[33] = 255;
		cr_assert_eq(kernels_at(k)->pack_mxfp4(&w, 0, 19, &from), 33 * 32);
		scale[33] = 0;
		kernel_matrix_free(&w);
	}
}

Test(quant, sets_agree_and_codes_are_near)
{
	static float x[400];
	for (uint32_t n = 1; n <= 400; n++) {
		for (uint32_t i = 0; i < n; i++)
			x[i] = i / 128 % 3 == 1 ? 0 : noise() * powf(2, 20 * noise());
		struct kernel_quant want = quant_of(kernels_at(0), x, n, 1, n);
		size_t wide = kernel_quant_columns(n);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			struct kernel_quant got = quant_of(kernels_at(k), x, n, 1, n);
			cr_assert_eq(memcmp(got.code, want.code, wide), 0, "%s %u", kernels_at(k)->name, n);
			cr_assert_eq(memcmp(got.scale, want.scale, wide / 32), 0, "%s %u", kernels_at(k)->name, n);
			cr_assert_eq(memcmp(got.start, want.start, wide / 8), 0, "%s %u", kernels_at(k)->name, n);
			quant_free(&got);
		}
		for (uint32_t i = 0; i < wide; i++) {
			float back = want.scale[i / 128] * (float)want.code[i];
			cr_assert_leq(fabsf(back - (i < n ? x[i] : 0)), 0.5001f * want.scale[i / 128]);
		}
		for (uint32_t g = 0; g < wide / 32; g++) {
			int32_t sum = 0;
			for (int j = 0; j < 32; j++)
				sum += want.code[32 * g + (uint32_t)j];
			cr_assert_eq(want.start[g], -128 * sum);
		}
		quant_free(&want);
	}
}

Test(quant, rows_that_are_not_numbers_stay_alike_and_harmless)
{
	static const float odd[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f, -1e-33f, 0x1p-100f };
	float x[64] = { 0 };
	struct kernel_matrix w = random_matrix(KERNEL_Q8, 16, 64);
	for (EACH(i, odd)) {
		float want[16], got[16];
		x[5] = odd[i], x[40] = 1;
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			struct kernel_quant q = quant_of(kernels_at(k), x, 64, 1, 64);
			struct kernel_rows rows = { x, 64, 1, NULL, &q, NULL };
			kernels_at(k)->matmul[KERNEL_Q8](&w, 0, 1, &rows, got, 16);
			if (k == 0)
				memcpy(want, got, sizeof want);
			for (int j = 0; j < 16; j++)
				cr_assert(memcmp(&got[j], &want[j], 4) == 0 || (isnan(got[j]) && isnan(want[j])),
				          "%s: %g", kernels_at(k)->name, (double)odd[i]);
			quant_free(&q);
		}
		cr_assert(!number_is_finite(odd[i]) == isnan(want[0]) || isinf(want[0]));
	}
	kernel_matrix_free(&w);
}

Test(number, halves_round_to_even)
{
	for (uint32_t h = 0; h < 65536; h++) { /* every f16 comes back; so do points beside it */
		float f = number_from_f16((uint16_t)h);
		if ((h & 0x7c00) == 0x7c00)
			continue;
		cr_assert_eq(number_to_f16(f), h);
		float next = number_from_f16((uint16_t)(h + 1));
		if ((h & 0x7fff) < 0x7bff) {
			cr_assert_eq(number_to_f16((f + next) / 2), h + (h & 1), "%x", h);
			cr_assert_eq(number_to_f16(f + (next - f) * 0.4375f), h, "%x", h);
		}
	}
	cr_assert(number_to_f16(65520) == 0x7c00 && number_to_f16(-65519) == 0xfbff);
	cr_assert(number_to_f16(1e-9f) == 0 && (number_to_f16(NAN) & 0x7fff) > 0x7c00);
	cr_assert(number_to_bf16(1.00390625f) == 0x3f80 && number_to_bf16(1.01171875f) == 0x3f82);
	cr_assert((number_to_bf16(number_from_bits(0x7fffffff)) & 0x7fff) > 0x7f80);
}
