/* From stored bytes to panels. Runs on several threads, each with units of its own. */
#include "engine/cpu.h"

#include "kernels/number.h"

#include <string.h>

enum kernel_stored cpu_pack_stored(const struct model_item *it)
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

size_t cpu_pack_element(const struct model_item *it)
{
	enum kernel_stored s = cpu_pack_stored(it);
	return s == KERNEL_FROM_F32 ? 4 : s == KERNEL_FROM_E4M3 ? 1 : 2;
}

int cpu_pack_refuse(const struct model_item *it, uint64_t row, uint64_t column, struct err *e)
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

static int floats_pack(const struct model_item *it, const unsigned char *bytes, float *out,
		       struct err *e)
{
	size_t n = (size_t)it->rows * it->columns;
	model_dtype_widen(it->dtype, bytes, n, out);
	for (size_t i = 0; i < n; i++) {
		if (!number_is_finite(out[i]))
			return cpu_pack_refuse(it, i / it->columns, i % it->columns, e);
	}
	return 0;
}

static int rows_pack(struct cpu *m, const struct model_item *it, struct kernel_matrix *w,
		     uint32_t row, uint32_t rows, const void *value, struct err *e)
{
	size_t blocks = ((size_t)it->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	const float *scale = cpu_item_scale(m, it);
	const struct kernel_stored_rows in = {
		.stored = cpu_pack_stored(it),
		.value = value,
		.stride_bytes = it->columns * cpu_pack_element(it),
		.block_scale = scale == NULL ? NULL : scale + row / KERNEL_FP8_BLOCK * blocks,
		.block_stride = blocks,
	};
	uint64_t at = m->kernels->pack(w, row, rows, &in);
	return at == (uint64_t)rows * it->columns
		       ? 0
		       : cpu_pack_refuse(it, row + at / it->columns, at % it->columns, e);
}

static struct kernel_matrix *matrix_of(struct cpu *m, const struct model_item *it)
{
	uint32_t rows, columns;
	return cpu_part(m, it, 0, &rows, &columns);
}

static int matrix_pack(struct cpu *m, const struct model_item *it, uint64_t at,
		       const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		       struct err *e)
{
	size_t stored = (size_t)it->columns * model_dtype_bits(it->dtype) / 8;
	uint32_t row = (uint32_t)(at / stored), rows = (uint32_t)(len / stored);
	struct kernel_matrix *w = matrix_of(m, it);
	if (it->dtype != MODEL_F64)
		return rows_pack(m, it, w, row, rows, bytes, e);
	for (uint32_t i = 0; i < rows; i += KERNEL_PANEL) {
		uint32_t n = rows - i < KERNEL_PANEL ? rows - i : KERNEL_PANEL;
		model_dtype_widen(it->dtype, bytes + i * stored, (size_t)n * it->columns,
				  (float *)(void *)scratch);
		TRY(rows_pack(m, it, w, row + i, n, scratch, e));
	}
	return 0;
}

/* Rows of a stored head against the embeddings as packed. */
static int tied_compare(struct cpu *m, const struct model_item *it, uint64_t at,
			const unsigned char *bytes, uint64_t len, unsigned char *scratch,
			struct err *e)
{
	const struct model_item *of = &m->loading.plan->item[it->parent];
	const struct kernel_matrix *embed = matrix_of(m, of);
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
		TRY(rows_pack(m, it, &one, 0, n, value, e));
		same = memcmp(scratch, embed->panel + row / KERNEL_PANEL * embed->panel_bytes,
			      embed->panel_bytes) == 0;
	}
	return same ? 0
		    : err_set(e, ERR_INPUT,
			      "%s: lm_head.weight differs from the embeddings it is tied to",
			      it->tensor->file);
}

/* Native FP8 keeps its block scales beside the panels; else they are for packing alone. */
static int fp8_scales_pack(struct cpu *m, const struct model_item *it, const unsigned char *bytes,
			   struct err *e)
{
	const struct model_item *of = &m->loading.plan->item[it->parent];
	return floats_pack(it, bytes,
			   of->format == KERNEL_FP8 ? matrix_of(m, of)->scale
						    : m->loading.scale[it->parent],
			   e);
}

int cpu_fill(struct model_keeper *k, const struct model_item *it, uint64_t at,
	     const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	struct cpu *m = cpu_of_keeper(k);
	switch (it->kind) {
	case ITEM_FLOATS:
		return floats_pack(it, bytes, *cpu_floats(m, it), e);
	case ITEM_FP8_SCALES:
		return fp8_scales_pack(m, it, bytes, e);
	case ITEM_MATRIX:
		return matrix_pack(m, it, at, bytes, len, scratch, e);
	case ITEM_TRANSPOSED:
		return cpu_pack_transposed(m, it, at / it->group_bytes, bytes, scratch, e);
	case ITEM_BLOCKS:
		return cpu_pack_blocks(m, it, at, bytes, len, scratch, e);
	case ITEM_BLOCK_SCALES:
		memcpy(m->loading.mx_scale[it->parent] + at, bytes, len);
		return 0;
	case ITEM_BIASES:
		return cpu_pack_biases(m, it, bytes, e);
	case ITEM_TIED:
		return tied_compare(m, it, at, bytes, len, scratch, e);
	case ITEM_KV_B:
		break;
	}
	for (uint64_t done = 0; done < len; done += it->unit_bytes)
		TRY(cpu_pack_kv_b(m, it, (at + done) / it->unit_bytes, bytes + done, scratch, e));
	return 0;
}
