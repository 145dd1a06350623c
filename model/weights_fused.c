/* Experts of gpt_oss: one tensor for all, gate and up interleaved.
 *
 *   stored wide   experts.gate_up_proj [E, H, 2I], experts.down_proj [E, I, H]: transposed
 *   MXFP4         NAME_blocks [E, rows, K/32, 16] u8, low nibble first, NAME_scales [E, rows, K/32]
 *                 u8: value = LUT[nibble] * 2^(scale - 127); scale 255 is not a number
 *   both          experts.gate_up_proj_bias [E, 2I], experts.down_proj_bias [E, H]
 *
 * MXFP4 values are exact in bf16. Source: OCP Microscaling Formats 1.0. */
#include "model/weights_loader.h"

#include "base/check.h"
#include "kernels/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MX_BYTES 16 /* of a block of 32 codes */

/* ---- stored wide ---- */

/* Sixteen outputs at a time are put in rows: those of matrix `part` are every count-th. */
static int turned_rows(struct loader *l, const struct item *it, uint64_t expert, uint32_t part,
		       uint32_t row, const unsigned char *bytes, unsigned char *scratch,
		       struct err *e)
{
	uint32_t rows, columns, size = (uint32_t)item_element_bytes(it);
	struct kernel_matrix *w =
		loader_part(l, it, (size_t)expert * it->count + part, &rows, &columns);
	uint32_t n = rows - row < KERNEL_PANEL ? rows - row : KERNEL_PANEL;
	size_t stored = model_dtype_bits(it->dtype) / 8;
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *from = bytes + ((row + i) * it->count + part) * stored;
		unsigned char *to = scratch + (size_t)i * columns * size;
		for (size_t k = 0; k < columns; k++, from += it->rows * stored, to += size) {
			if (it->dtype == MODEL_F64)
				model_dtype_widen(it->dtype, from, 1, (float *)(void *)to);
			else
				memcpy(to, from, size);
		}
	}
	const struct kernel_stored_rows in = { .stored = item_stored(it),
					       .value = scratch,
					       .stride_bytes = (size_t)columns * size };
	check(columns > 0);
	uint64_t at = l->kernels->pack(w, row, n, &in);
	return at == (uint64_t)n * columns
		       ? 0
		       : item_refuse(it, expert * columns + at % columns,
				     (row + at / columns) * it->count + part, e);
}

int item_pack_turned(struct loader *l, const struct item *it, uint64_t expert,
		     const unsigned char *bytes, unsigned char *scratch, struct err *e)
{
	for (uint32_t part = 0; part < it->count; part++) {
		for (uint32_t row = 0; row < it->rows / it->count; row += KERNEL_PANEL)
			TRY(turned_rows(l, it, expert, part, row, bytes, scratch, e));
	}
	return 0;
}

/* ---- MXFP4 ---- */

static uint16_t mx_value(unsigned nibble, uint8_t scale)
{
	static const float lut[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
	float power = scale > 0 ? number_from_bits((uint32_t)scale << 23) : 0x1p-127f;
	uint32_t bits = number_bits(lut[nibble & 7] * power);
	return (uint16_t)(bits >> 16 | (nibble & 8u) << 12);
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
static uint64_t mx_rows(struct loader *l, const struct item *it, struct kernel_matrix *w,
			uint32_t row, uint32_t n, const struct kernel_mxfp4_rows *in,
			unsigned char *scratch)
{
	const struct kernel_stored_rows wide = { .stored = KERNEL_FROM_BF16,
						 .value = scratch,
						 .stride_bytes = (size_t)it->columns * 2 };
	if (w->format == KERNEL_MXFP4)
		return l->kernels->pack_mxfp4(w, row, n, in);
	for (uint32_t i = 0; i < n; i += KERNEL_PANEL) {
		uint32_t some = n - i < KERNEL_PANEL ? n - i : KERNEL_PANEL;
		for (uint32_t j = 0; j < some; j++)
			mx_row(in->block + (i + j) * in->block_stride,
			       in->scale + (i + j) * in->scale_stride, it->columns,
			       scratch + j * wide.stride_bytes);
		uint64_t at = l->kernels->pack(w, row + i, some, &wide);
		if (at != (uint64_t)some * it->columns)
			return (uint64_t)i * it->columns + at;
	}
	return (uint64_t)n * it->columns;
}

int item_pack_blocks(struct loader *l, const struct item *it, uint64_t at,
		     const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		     struct err *e)
{
	size_t block = it->columns / 2, scale = it->columns / KERNEL_GROUP;
	uint64_t first = at / block, expert = first / it->rows, stored = len / block;
	uint32_t row = (uint32_t)(first % it->rows) / it->count, n = (uint32_t)(stored / it->count);
	for (uint32_t part = 0; part < it->count; part++) {
		uint32_t rows, columns;
		const struct kernel_mxfp4_rows in = {
			.block = bytes + part * block,
			.scale = it->mx_scale + (first + part) * scale,
			.block_stride = block * it->count,
			.scale_stride = scale * it->count,
		};
		struct kernel_matrix *w =
			loader_part(l, it, (size_t)expert * it->count + part, &rows, &columns);
		uint64_t bad = mx_rows(l, it, w, row, n, &in, scratch);
		if (bad != (uint64_t)n * columns)
			return item_refuse(it, first + bad / columns * it->count + part,
					   bad % columns, e);
	}
	return 0;
}

/* ---- biases ---- */

static float **target_bias(const struct item *it, uint32_t expert, uint32_t part)
{
	struct ffn_weights *w = &it->to.expert[expert];
	return it->count == 1 ? &w->down_bias : part == 0 ? &w->gate_bias : &w->up_bias;
}

/* Every count-th value of an expert's row, from the part-th on, is matrix part's. */
int item_pack_biases(struct loader *l, const struct item *it, const unsigned char *bytes,
		     struct err *e)
{
	size_t size = model_dtype_bits(it->dtype) / 8;
	for (uint32_t i = 0; i < l->c->gate.experts; i++) {
		for (uint32_t r = 0; r < it->columns; r++) {
			float *to = *target_bias(it, i, r % it->count) + r / it->count;
			model_dtype_widen(it->dtype, bytes + ((size_t)i * it->columns + r) * size,
					  1, to);
			if (!number_is_finite(*to))
				return item_refuse(it, i, r, e);
		}
	}
	return 0;
}

/* ---- the list ---- */

static int add_wide(struct loader *l, uint32_t layer, const char *name, struct item *it)
{
	const uint32_t shape[] = { l->c->gate.experts, it->columns, it->rows };
	it->kind = ITEM_TURNED;
	loader_name(l, layer, name);
	return loader_add(l, it, shape, 3);
}

static int add_blocks(struct loader *l, uint32_t layer, const char *name, struct item *it)
{
	const uint32_t experts = l->c->gate.experts, groups = it->columns / KERNEL_GROUP;
	const uint32_t shape[] = { experts, it->rows, groups, MX_BYTES };
	char part[60];
	if (it->columns % KERNEL_GROUP != 0)
		return err_set(l->e, ERR_INPUT, "%s: %u columns are not whole MXFP4 blocks", name,
			       it->columns);
	it->kind = ITEM_BLOCKS;
	snprintf(part, sizeof part, "%s_blocks", name);
	loader_name(l, layer, part);
	TRY(loader_add(l, it, shape, 4));
	const struct item scales = { .kind = ITEM_BLOCK_SCALES,
				     .class = WEIGHT_VECTOR,
				     .rows = experts * it->rows,
				     .columns = groups,
				     .parent = l->count - 1 };
	snprintf(part, sizeof part, "%s_scales", name);
	loader_name(l, layer, part);
	return loader_add(l, &scales, shape, 3);
}

static int add_biases(struct loader *l, uint32_t layer, const char *name, const struct item *of)
{
	const uint32_t shape[] = { l->c->gate.experts, of->rows };
	struct item it = *of;
	char part[60];
	it.kind = ITEM_BIASES;
	it.class = WEIGHT_VECTOR;
	it.rows = l->c->gate.experts;
	it.columns = of->rows;
	snprintf(part, sizeof part, "%s_bias", name);
	loader_name(l, layer, part);
	TRY(loader_add(l, &it, shape, 2));
	for (uint32_t i = 0; i < l->c->gate.experts; i++) {
		for (uint32_t j = 0; j < of->count; j++) {
			float **bias = target_bias(&it, i, j);
			*bias = calloc(of->rows / of->count + 1, sizeof **bias);
			if (*bias == NULL)
				return err_set(l->e, ERR_NOMEM, "tensor %s", l->name);
		}
	}
	return 0;
}

static int add_part(struct loader *l, uint32_t layer, const char *name, struct item *it)
{
	TRY(l->c->quantisation == MODEL_QUANT_MXFP4 ? add_blocks(l, layer, name, it)
						    : add_wide(l, layer, name, it));
	return l->c->bias_expert ? add_biases(l, layer, name, it) : 0;
}

int loader_fused(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	const struct model_config *c = l->c;
	struct item up = { .class = WEIGHT_EXPERT,
			   .rows = 2 * c->expert_width,
			   .columns = c->hidden,
			   .count = 2,
			   .to.expert = w->expert };
	struct item down = { .class = WEIGHT_EXPERT,
			     .rows = c->hidden,
			     .columns = c->expert_width,
			     .count = 1,
			     .to.expert = w->expert };
	TRY(add_part(l, layer, "mlp.experts.gate_up_proj", &up));
	return add_part(l, layer, "mlp.experts.down_proj", &down);
}
