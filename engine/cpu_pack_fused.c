/* Packing experts that come as one tensor for all, transposed or as MXFP4; the layouts are in
 * model/weights_layers.c. */
#include "engine/cpu.h"

#include "base/check.h"
#include "kernels/number.h"

#include <string.h>

/* ---- stored wide ---- */

/* Transpose sixteen outputs of a part at a time into rows. */
static int transposed_rows(struct cpu *m, const struct model_item *it, uint64_t expert,
			   uint32_t part, uint32_t row, const unsigned char *bytes,
			   unsigned char *scratch, struct err *e)
{
	uint32_t rows, columns, size = (uint32_t)cpu_pack_element(it);
	struct kernel_matrix *w =
		cpu_part(m, it, (size_t)expert * it->parts + part, &rows, &columns);
	uint32_t n = rows - row < KERNEL_PANEL ? rows - row : KERNEL_PANEL;
	size_t stored = model_dtype_bits(it->dtype) / 8;
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *from = bytes + model_part_stored(it, part, row + i) * stored;
		unsigned char *to = scratch + (size_t)i * columns * size;
		for (size_t k = 0; k < columns; k++, from += it->rows * stored, to += size) {
			if (it->dtype == MODEL_F64)
				model_dtype_widen(it->dtype, from, 1, (float *)(void *)to);
			else
				memcpy(to, from, size);
		}
	}
	const struct kernel_stored_rows in = { .stored = cpu_pack_stored(it),
					       .value = scratch,
					       .stride_bytes = (size_t)columns * size };
	check(columns > 0);
	uint64_t at = m->kernels->pack(w, row, n, &in);
	return at == (uint64_t)n * columns
		       ? 0
		       : cpu_pack_refuse(it, expert * columns + at % columns,
					 model_part_stored(it, part,
							   row + (uint32_t)(at / columns)),
					 e);
}

int cpu_pack_transposed(struct cpu *m, const struct model_item *it, uint64_t expert,
			const unsigned char *bytes, unsigned char *scratch, struct err *e)
{
	for (uint32_t part = 0; part < it->parts; part++) {
		for (uint32_t row = 0; row < model_part_rows(it, part); row += KERNEL_PANEL)
			TRY(transposed_rows(m, it, expert, part, row, bytes, scratch, e));
	}
	return 0;
}

/* ---- MXFP4 ---- */

static uint16_t mx_value(unsigned nibble, uint8_t scale)
{
	float v = number_from_e2m1((uint8_t)nibble) * number_from_e8m0(scale);
	return (uint16_t)(number_bits(v) >> 16);
}

/* One row as bf16; infinite where scale 255 says "not a number". */
static void mx_row(const unsigned char *block, const unsigned char *scale, uint32_t columns,
		   unsigned char *out)
{
	for (size_t k = 0; k < columns; k++) {
		uint8_t byte = block[k / 2], s = scale[k / KERNEL_GROUP];
		uint16_t v = mx_value(k % 2 == 0 ? byte & 15u : byte >> 4u, s);
		v = s == 255 ? 0x7f80 : v;
		memcpy(out + 2 * k, &v, 2);
	}
}

/* n rows of matrix `part` from its row on; block and scale are those of the first one. */
static uint64_t mx_rows(struct cpu *m, const struct model_item *it, struct kernel_matrix *w,
			uint32_t row, uint32_t n, const struct kernel_mxfp4_rows *in,
			unsigned char *scratch)
{
	const struct kernel_stored_rows wide = { .stored = KERNEL_FROM_BF16,
						 .value = scratch,
						 .stride_bytes = (size_t)it->columns * 2 };
	if (w->format == KERNEL_MXFP4)
		return m->kernels->pack_mxfp4(w, row, n, in);
	for (uint32_t i = 0; i < n; i += KERNEL_PANEL) {
		uint32_t some = n - i < KERNEL_PANEL ? n - i : KERNEL_PANEL;
		for (uint32_t j = 0; j < some; j++)
			mx_row(in->block + (i + j) * in->block_stride,
			       in->scale + (i + j) * in->scale_stride, it->columns,
			       scratch + j * wide.stride_bytes);
		uint64_t at = m->kernels->pack(w, row + i, some, &wide);
		if (at != (uint64_t)some * it->columns)
			return (uint64_t)i * it->columns + at;
	}
	return (uint64_t)n * it->columns;
}

int cpu_pack_blocks(struct cpu *m, const struct model_item *it, uint64_t at,
		    const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	size_t block = it->columns / 2, scale = it->columns / KERNEL_GROUP;
	uint64_t first = at / block, expert = first / it->rows, base = expert * it->rows;
	uint32_t stored = (uint32_t)(first - base), end = stored + (uint32_t)(len / block);
	for (uint32_t part = 0; part < it->parts; part++) {
		uint32_t rows, columns, row = model_part_before(it, part, stored);
		uint32_t n = model_part_before(it, part, end) - row,
			 from = model_part_stored(it, part, row);
		const struct kernel_mxfp4_rows in = {
			.block = bytes + (from - stored) * block,
			.scale = m->loading.mx_scale[cpu_item_index(m, it)] + (base + from) * scale,
			.block_stride = block * it->parts,
			.scale_stride = scale * it->parts,
		};
		struct kernel_matrix *w =
			cpu_part(m, it, (size_t)expert * it->parts + part, &rows, &columns);
		check(it->parts == 1 || it->part[part].take == 1); /* one after the other */
		uint64_t bad = mx_rows(m, it, w, row, n, &in, scratch);
		if (bad != (uint64_t)n * columns)
			return cpu_pack_refuse(
				it,
				base + model_part_stored(it, part, row + (uint32_t)(bad / columns)),
				bad % columns, e);
	}
	return 0;
}
