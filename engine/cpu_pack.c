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
		return model_item_widens(it) ? KERNEL_FROM_F32 : KERNEL_FROM_E4M3;
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

/* The scale of the FP8 block that stored row `row` of an expert begins with; NULL: none. */
static const float *scale_of(const struct cpu *m, const struct model_item *it, uint32_t expert,
			     uint32_t row)
{
	const float *scale = cpu_item_scale(m, it);
	size_t across = ((size_t)it->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK,
	       down = ((size_t)it->rows + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	return scale == NULL ? NULL : scale + (expert * down + row / KERNEL_FP8_BLOCK) * across;
}

/* One stored row as cpu_pack_stored says. */
static void row_copy(const struct model_item *it, const unsigned char *row, const float *scale,
		     unsigned char *to)
{
	float *wide = (float *)(void *)to;
	if (it->dtype != MODEL_F64 && !model_item_widens(it)) {
		memcpy(to, row, model_dtype_bytes(it->dtype, it->columns));
		return;
	}
	model_dtype_widen(it->dtype, row, it->columns, wide);
	for (size_t k = 0; scale != NULL && k < it->columns; k++)
		wide[k] *= scale[k / KERNEL_FP8_BLOCK];
}

/* GGUF's MXFP4 rows [n] as the kernels take them: codes side by side with the low nibble first, and
 * scales behind all of them. */
static struct kernel_mxfp4_rows mxfp4_apart(const unsigned char *row, size_t stride, uint32_t n,
					    uint32_t columns, unsigned char *out)
{
	size_t groups = columns / KERNEL_GROUP;
	unsigned char *scale = out + n * groups * 16;
	for (uint32_t i = 0; i < n; i++) {
		for (size_t g = 0; g < groups; g++) {
			const unsigned char *b = row + i * stride + g * 17;
			unsigned char *to = out + (i * groups + g) * 16;
			scale[i * groups + g] = b[0];
			for (int j = 0; j < 8; j++) {
				to[j] = (unsigned char)((b[1 + 2 * j] & 15) | b[2 + 2 * j] << 4);
				to[8 + j] =
					(unsigned char)(b[1 + 2 * j] >> 4 | (b[2 + 2 * j] & 0xf0));
			}
		}
	}
	return (struct kernel_mxfp4_rows){ out, scale, groups * 16, groups };
}

/* Rows that the format keeps as they are; scratch has room for as many again. */
static uint64_t exact_pack(struct cpu *m, const struct model_item *it, struct kernel_matrix *w,
			   uint32_t row, uint32_t n, const struct kernel_stored_rows *in,
			   unsigned char *scratch)
{
	const struct kernel_block_rows rows = { in->value, in->stride_bytes };
	if (it->dtype != MODEL_MXFP4)
		return kernel_pack_blocks(w, row, n, &rows);
	const struct kernel_mxfp4_rows apart =
		mxfp4_apart(in->value, in->stride_bytes, n, it->columns, scratch);
	return m->kernels->pack_mxfp4(w, row, n, &apart);
}

/* Stored rows of one matrix, whole units of it. */
struct stored {
	const unsigned char *bytes;
	uint32_t expert, row, rows;
};

/* Pack rows of the part from `row` on, as many as can be at once; returns how many. Rows that lie
 * side by side are packed from where they are, others are gathered a panel at a time. */
static int run_pack(struct cpu *m, const struct model_item *it, const struct stored *s,
		    uint32_t part, uint32_t row, uint32_t end, unsigned char *scratch,
		    uint32_t *done, struct err *e)
{
	uint32_t rows, columns, first = model_part_stored(it, part, row),
				take = it->part[part].take;
	struct kernel_matrix *w =
		cpu_part(m, it, (size_t)s->expert * it->parts + part, &rows, &columns);
	size_t stored = model_dtype_bytes(it->dtype, columns);
	bool exact = model_item_is_exact(it);
	uint32_t run = take - row % take < end - row ? take - row % take : end - row;
	run -= row + run == end ? 0 : run % KERNEL_PANEL;
	struct kernel_stored_rows in = {
		.stored = cpu_pack_stored(it),
		.value = s->bytes + (first - s->row) * stored,
		.stride_bytes = exact ? stored : columns * cpu_pack_element(it),
		.block_scale = scale_of(m, it, s->expert, first),
		.block_stride = ((size_t)columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK,
	};
	*done = run;
	if (run == 0 || it->dtype == MODEL_F64 || it->dtype == MODEL_MXFP4 ||
	    model_item_turn(it) > 0 || model_item_widens(it)) {
		*done = end - row < KERNEL_PANEL ? end - row : KERNEL_PANEL;
		for (uint32_t i = 0; i < *done; i++) {
			uint32_t from = model_part_stored(it, part, row + i);
			row_copy(it, s->bytes + (from - s->row) * stored,
				 scale_of(m, it, s->expert, from), scratch + i * in.stride_bytes);
		}
		in.value = scratch;
		in.block_scale = NULL;
	}
	uint64_t at = exact ? exact_pack(m, it, w, row, *done, &in,
					 scratch + KERNEL_PANEL * in.stride_bytes)
			    : m->kernels->pack(w, row, *done, &in);
	if (at == (uint64_t)*done * columns)
		return 0;
	uint32_t bad = model_part_stored(it, part, row + (uint32_t)(at / columns));
	return cpu_pack_refuse(it, (uint64_t)s->expert * it->rows + bad, at % columns, e);
}

static int matrix_pack(struct cpu *m, const struct model_item *it, uint64_t at,
		       const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		       struct err *e)
{
	size_t stored = model_dtype_bytes(it->dtype, it->columns);
	uint64_t row = at / stored;
	const struct stored s = { .bytes = bytes,
				  .expert = (uint32_t)(row / it->rows),
				  .row = (uint32_t)(row % it->rows),
				  .rows = (uint32_t)(len / stored) };
	for (uint32_t part = 0; part < it->parts; part++) {
		uint32_t end = model_part_before(it, part, s.row + s.rows), done;
		for (uint32_t i = model_part_before(it, part, s.row); i < end; i += done)
			TRY(run_pack(m, it, &s, part, i, end, scratch, &done, e));
	}
	return 0;
}

static struct kernel_matrix *matrix_of(struct cpu *m, const struct model_item *it)
{
	uint32_t rows, columns;
	return cpu_part(m, it, 0, &rows, &columns);
}

/* Rows of a stored head against the embeddings as packed. */
static int tied_compare(struct cpu *m, const struct model_item *it, uint64_t at,
			const unsigned char *bytes, uint64_t len, unsigned char *scratch,
			struct err *e)
{
	const struct model_item *of = &m->loading.plan->item[it->parent];
	const struct kernel_matrix *embed = matrix_of(m, of);
	size_t stored = model_dtype_bytes(it->dtype, it->columns);
	unsigned char *wide = scratch + embed->panel_bytes;
	bool same = it->dtype == of->dtype;
	for (uint64_t i = 0; same && i < len / stored; i += KERNEL_PANEL) {
		uint64_t row = at / stored + i, left = len / stored - i;
		uint32_t n = left < KERNEL_PANEL ? (uint32_t)left : KERNEL_PANEL;
		struct kernel_matrix one = *embed;
		one.panel = scratch;
		one.rows = n;
		struct kernel_stored_rows in = { .stored = cpu_pack_stored(it),
						 .value = bytes + i * stored,
						 .stride_bytes =
							 it->columns * cpu_pack_element(it) };
		if (it->dtype == MODEL_F64) {
			model_dtype_widen(it->dtype, in.value, (size_t)n * it->columns,
					  (float *)(void *)wide);
			in.value = wide;
		}
		uint64_t bad = m->kernels->pack(&one, 0, n, &in);
		if (bad != (uint64_t)n * it->columns)
			return cpu_pack_refuse(it, row + bad / it->columns, bad % it->columns, e);
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
	size_t row = (size_t)model_dtype_bytes(it->dtype, it->columns);
	uint32_t rows, columns;
	for (uint64_t i = 0; i < (uint64_t)it->rows * (it->stack > 0 ? it->stack : 1); i++) {
		float *to = m->loading.scale[it->parent] + i * it->columns;
		uint32_t expert = (uint32_t)(i / it->rows), at = (uint32_t)(i % it->rows), part = 0;
		if (of->format == KERNEL_FP8) {
			while (model_part_before(it, part, at + 1) ==
			       model_part_before(it, part, at))
				part++;
			to = cpu_part(m, of, (size_t)expert * it->parts + part, &rows, &columns)
				     ->scale +
			     (size_t)model_part_before(it, part, at) * it->columns;
		}
		model_dtype_widen(it->dtype, bytes + i * row, it->columns, to);
		for (uint32_t k = 0; k < it->columns; k++) {
			if (!number_is_finite(to[k]))
				return cpu_pack_refuse(it, i, k, e);
		}
	}
	return 0;
}

/* The values come complete; every row goes to the vector that it belongs to. */
static void floats_place(struct cpu *m, const struct model_item *it, const unsigned char *bytes)
{
	size_t row = it->columns * sizeof(float), n;
	float **v;
	for (size_t i = 0; (v = cpu_vector(m, it, i, &n)) != NULL; i++) {
		uint32_t part = (uint32_t)(i % it->parts), rows = model_part_rows(it, part);
		const unsigned char *from = bytes + i / it->parts * it->rows * row;
		for (uint32_t r = 0; r < rows; r++)
			memcpy(*v + (size_t)r * it->columns,
			       from + model_part_stored(it, part, r) * row, row);
	}
}

int cpu_fill(struct model_keeper *k, const struct model_item *it, uint64_t at,
	     const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	struct cpu *m = cpu_of_keeper(k);
	switch (it->kind) {
	case ITEM_FLOATS:
		floats_place(m, it, bytes);
		return 0;
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
	case ITEM_TIED:
		return tied_compare(m, it, at, bytes, len, scratch, e);
	case ITEM_KV_B:
		break;
	}
	for (uint64_t done = 0; done < len; done += it->unit_bytes)
		TRY(cpu_pack_kv_b(m, it, (at + done) / it->unit_bytes, bytes + done, scratch, e));
	return 0;
}
