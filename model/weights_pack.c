/* From stored bytes to what the list says. Runs on several threads, each with units of its own. */
#include "model/weights_loader.h"

#include "base/check.h"
#include "kernels/number.h"

#include <string.h>

enum kernel_stored item_stored(const struct item *it)
{
	switch (it->dtype) {
	case MODEL_BF16:
		return KERNEL_FROM_BF16;
	case MODEL_F16:
		return KERNEL_FROM_F16;
	case MODEL_F8_E4M3:
		return it->kind == ITEM_KV_B ? KERNEL_FROM_F32 : KERNEL_FROM_E4M3;
	default:
		return KERNEL_FROM_F32;
	}
}

size_t item_element_bytes(const struct item *it)
{
	enum kernel_stored s = item_stored(it);
	return s == KERNEL_FROM_F32 ? 4 : s == KERNEL_FROM_E4M3 ? 1 : 2;
}

int item_refuse(const struct item *it, uint64_t row, uint64_t column, struct err *e)
{
	bool narrower =
		it->format == KERNEL_Q8 || it->format == KERNEL_Q4 ||
		(it->format == KERNEL_BF16 && it->dtype != MODEL_BF16 && it->dtype != MODEL_U8);
	return err_set(e, ERR_INPUT,
		       "%s: tensor %s has a non-finite value%s%s at row %llu, column %llu",
		       it->tensor->file, it->tensor->name,
		       narrower ? " (or one too large) for " : "",
		       narrower ? kernel_format_name(it->format) : "", (unsigned long long)row,
		       (unsigned long long)column);
}

static int floats_pack(const struct item *it, const unsigned char *bytes, float *out, struct err *e)
{
	size_t n = (size_t)it->rows * it->columns;
	model_dtype_widen(it->dtype, bytes, n, out);
	for (size_t i = 0; i < n; i++) {
		if (!number_is_finite(out[i]))
			return item_refuse(it, i / it->columns, i % it->columns, e);
	}
	return 0;
}

static int rows_pack(struct loader *l, const struct item *it, struct kernel_matrix *w, uint32_t row,
		     uint32_t rows, const void *value, struct err *e)
{
	size_t blocks = ((size_t)it->columns + MODEL_FP8_BLOCK - 1) / MODEL_FP8_BLOCK;
	const struct kernel_stored_rows in = {
		.stored = item_stored(it),
		.value = value,
		.stride_bytes = it->columns * item_element_bytes(it),
		.block_scale =
			it->scale == NULL ? NULL : it->scale + row / MODEL_FP8_BLOCK * blocks,
		.block_stride = blocks,
	};
	uint64_t at = l->kernels->pack(w, row, rows, &in);
	return at == (uint64_t)rows * it->columns
		       ? 0
		       : item_refuse(it, row + at / it->columns, at % it->columns, e);
}

static int matrix_pack(struct loader *l, const struct item *it, uint64_t at,
		       const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		       struct err *e)
{
	size_t stored = (size_t)it->columns * model_dtype_bits(it->dtype) / 8;
	uint32_t row = (uint32_t)(at / stored), rows = (uint32_t)(len / stored);
	if (it->dtype != MODEL_F64)
		return rows_pack(l, it, it->to.matrix, row, rows, bytes, e);
	for (uint32_t i = 0; i < rows; i += KERNEL_PANEL) {
		uint32_t n = rows - i < KERNEL_PANEL ? rows - i : KERNEL_PANEL;
		model_dtype_widen(it->dtype, bytes + i * stored, (size_t)n * it->columns,
				  (float *)(void *)scratch);
		TRY(rows_pack(l, it, it->to.matrix, row + i, n, scratch, e));
	}
	return 0;
}

/* Rows of a stored head against the embeddings as packed. */
static int tied_compare(struct loader *l, const struct item *it, uint64_t at,
			const unsigned char *bytes, uint64_t len, unsigned char *scratch,
			struct err *e)
{
	const struct item *of = &l->item[it->parent];
	const struct kernel_matrix *embed = of->to.matrix;
	size_t stored = (size_t)it->columns * model_dtype_bits(it->dtype) / 8;
	unsigned char *wide = scratch + embed->panel_bytes;
	bool same = it->dtype == of->dtype;
	for (uint64_t i = 0; same && i < len / stored; i += KERNEL_PANEL) {
		uint64_t row = at / stored + i, left = len / stored - i;
		uint32_t n = left < KERNEL_PANEL ? (uint32_t)left : KERNEL_PANEL;
		struct kernel_matrix one = *embed;
		one.panel = scratch;
		one.rows = n;
		const void *value = bytes + i * stored;
		if (it->dtype == MODEL_F64) {
			model_dtype_widen(it->dtype, value, (size_t)n * it->columns,
					  (float *)(void *)wide);
			value = wide;
		}
		TRY(rows_pack(l, it, &one, 0, n, value, e));
		same = memcmp(scratch, embed->panel + row / KERNEL_PANEL * embed->panel_bytes,
			      embed->panel_bytes) == 0;
	}
	return same ? 0
		    : err_set(e, ERR_INPUT,
			      "%s: lm_head.weight differs from the embeddings it is tied to",
			      it->tensor->file);
}

static int block_scales_copy(struct loader *l, const struct item *it, uint64_t at,
			     const unsigned char *bytes, uint64_t len)
{
	memcpy(l->item[it->parent].mx_scale + at, bytes, len);
	return 0;
}

int item_pack(struct loader *l, const struct item *it, uint64_t at, const unsigned char *bytes,
	      uint64_t len, unsigned char *scratch, struct err *e)
{
	switch (it->kind) {
	case ITEM_FLOATS:
		return floats_pack(it, bytes, *it->to.floats, e);
	case ITEM_FP8_SCALES:
		return floats_pack(it, bytes, l->item[it->parent].scale, e);
	case ITEM_MATRIX:
		return matrix_pack(l, it, at, bytes, len, scratch, e);
	case ITEM_TURNED:
		return item_pack_turned(l, it, at / it->group_bytes, bytes, scratch, e);
	case ITEM_BLOCKS:
		return item_pack_blocks(l, it, at, bytes, len, scratch, e);
	case ITEM_BLOCK_SCALES:
		return block_scales_copy(l, it, at, bytes, len);
	case ITEM_BIASES:
		return item_pack_biases(l, it, bytes, e);
	case ITEM_TIED:
		return tied_compare(l, it, at, bytes, len, scratch, e);
	case ITEM_KV_B:
		break;
	}
	for (uint64_t done = 0; done < len; done += it->unit_bytes)
		TRY(item_pack_kv_b(l, it, (at + done) / it->unit_bytes, bytes + done, scratch, e));
	return 0;
}
