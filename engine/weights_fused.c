/* Experts of gpt_oss: one tensor for all, gate and up interleaved.
 *
 *   stored wide   experts.gate_up_proj [E, H, 2I], experts.down_proj [E, I, H]: transposed
 *   MXFP4         NAME_blocks [E, rows, K/32, 16] u8, low nibble first, NAME_scales [E, rows, K/32]
 *                 u8: value = LUT[nibble] * 2^(scale - 127); scale 255 is not a number
 *   both          experts.gate_up_proj_bias [E, 2I], experts.down_proj_bias [E, H]
 *
 * MXFP4 values are exact in bf16 and are packed as that. Source: OCP Microscaling Formats 1.0. */
#include "engine/loader.h"

#include "kernels/number.h"

#include <stdlib.h>
#include <string.h>

#define MX_BLOCK 32
#define MX_BYTES 16

/* One of the two tensors: of `rows` outputs and K columns for each expert, which go to `count`
 * matrices in turn. */
struct fused {
	struct loader *l;
	uint32_t layer, rows, columns, count;
	char name[40]; /* "mlp.experts.gate_up_proj" */
	unsigned char *raw, *row;
};

/* Matrix i of expert e. */
static struct kernel_matrix *target(const struct fused *f, struct ffn_weights *w, uint32_t i)
{
	return f->count == 1 ? &w->down : i == 0 ? &w->gate : &w->up;
}

static int targets_alloc(struct fused *f, enum kernel_format format, struct ffn_weights *w)
{
	for (uint32_t i = 0; i < f->count; i++)
		TRY(loader_matrix_alloc(f->l, format, f->rows / f->count, f->columns,
					target(f, w, i)));
	return 0;
}

static int buffers(struct fused *f, size_t raw)
{
	free(f->raw);
	free(f->row);
	f->raw = malloc(raw + 1);
	f->row = malloc((size_t)f->columns * 4 + 1);
	return f->raw == NULL || f->row == NULL
		       ? err_set(f->l->e, ERR_NOMEM, "tensor %s", f->l->name)
		       : 0;
}

/* ---- stored wide ---- */

static int wide_expert(struct fused *f, const struct engine_tensor *t, uint32_t e,
		       struct ffn_weights *w)
{
	enum kernel_format format = loader_format(t);
	size_t bytes = loader_element_bytes(format);
	TRY(targets_alloc(f, format, w));
	TRY(loader_rows(f->l, t, format, (uint64_t)e * f->columns, f->columns, f->raw));
	for (uint32_t r = 0; r < f->rows; r++) {
		for (uint32_t k = 0; k < f->columns; k++)
			memcpy(f->row + k * bytes, f->raw + ((size_t)k * f->rows + r) * bytes,
			       bytes);
		kernel_matrix_put(target(f, w, r % f->count), r / f->count, f->row);
	}
	return 0;
}

static int wide_load(struct fused *f, struct ffn_weights *expert)
{
	const uint32_t experts = f->l->c->gate.experts;
	const struct engine_tensor *t;
	loader_name(f->l, f->layer, f->name);
	TRY(loader_expect(f->l, (const uint32_t[]){ experts, f->columns, f->rows }, 3, &t));
	if (t->dtype == ENGINE_F8_E4M3)
		return err_set(f->l->e, ERR_UNSUPPORTED,
			       "not available in this version: %s as F8_E4M3", t->name);
	TRY(buffers(f, (size_t)f->columns * f->rows * 4));
	for (uint32_t e = 0; e < experts; e++)
		TRY(wide_expert(f, t, e, &expert[e]));
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

static int mx_row(const struct fused *f, const unsigned char *block, const unsigned char *scale)
{
	for (uint32_t k = 0; k < f->columns; k++) {
		uint8_t byte = block[k / MX_BLOCK * MX_BYTES + k % MX_BLOCK / 2];
		uint16_t v = mx_value(k % 2 == 0 ? byte & 15u : byte >> 4u, scale[k / MX_BLOCK]);
		if ((v & 0x7f80u) == 0x7f80u)
			return err_set(f->l->e, ERR_INPUT, "tensor %s has a non-finite value",
				       f->l->name);
		memcpy(f->row + 2 * (size_t)k, &v, 2);
	}
	return 0;
}

static int mx_expert(struct fused *f, const struct engine_tensor *blocks,
		     const struct engine_tensor *scales, uint32_t e, struct ffn_weights *w)
{
	size_t groups = f->columns / MX_BLOCK, first = (size_t)e * f->rows;
	unsigned char *scale = f->raw + groups * f->rows * MX_BYTES;
	TRY(targets_alloc(f, KERNEL_BF16, w));
	TRY(engine_tensors_bytes(f->l->tensors, blocks, first * groups, groups * f->rows, f->raw,
				 f->l->e));
	TRY(engine_tensors_bytes(f->l->tensors, scales, first, f->rows, scale, f->l->e));
	progress_add(&f->l->progress, groups * f->rows * (MX_BYTES + 1));
	for (uint32_t r = 0; r < f->rows; r++) {
		TRY(mx_row(f, f->raw + r * groups * MX_BYTES, scale + r * groups));
		kernel_matrix_put(target(f, w, r % f->count), r / f->count, f->row);
	}
	return 0;
}

static int mx_load(struct fused *f, struct ffn_weights *expert)
{
	const uint32_t experts = f->l->c->gate.experts, groups = f->columns / MX_BLOCK;
	const uint32_t shape[] = { experts, f->rows, groups, MX_BYTES };
	const struct engine_tensor *blocks, *scales;
	char name[60];
	if (f->columns % MX_BLOCK != 0)
		return err_set(f->l->e, ERR_INPUT, "%s: %u columns are not whole MXFP4 blocks",
			       f->name, f->columns);
	snprintf(name, sizeof name, "%s_scales", f->name);
	loader_name(f->l, f->layer, name);
	TRY(loader_expect(f->l, shape, 3, &scales));
	snprintf(name, sizeof name, "%s_blocks", f->name);
	loader_name(f->l, f->layer, name);
	TRY(loader_expect(f->l, shape, 4, &blocks));
	if (blocks->dtype != ENGINE_U8 || scales->dtype != ENGINE_U8)
		return err_set(f->l->e, ERR_INPUT, "%s: tensor %s and its scales must be U8",
			       blocks->file, blocks->name);
	TRY(buffers(f, (size_t)f->rows * groups * (MX_BYTES + 1)));
	for (uint32_t e = 0; e < experts; e++)
		TRY(mx_expert(f, blocks, scales, e, &expert[e]));
	return 0;
}

/* ---- both ---- */

static float **target_bias(const struct fused *f, struct ffn_weights *w, uint32_t i)
{
	return f->count == 1 ? &w->down_bias : i == 0 ? &w->gate_bias : &w->up_bias;
}

/* Every count-th value of a row, from the i-th on, is matrix i's. */
static int bias_expert(struct fused *f, const float *row, struct ffn_weights *w)
{
	uint32_t n = f->rows / f->count;
	for (uint32_t i = 0; i < f->count; i++) {
		float *bias = *target_bias(f, w, i) = malloc(n * sizeof *bias);
		if (bias == NULL)
			return err_set(f->l->e, ERR_NOMEM, "tensor %s", f->l->name);
		f->l->w->bytes += n * sizeof *bias;
		for (uint32_t r = 0; r < n; r++)
			bias[r] = row[r * f->count + i];
	}
	return 0;
}

static int bias_load(struct fused *f, struct ffn_weights *expert)
{
	const uint32_t experts = f->l->c->gate.experts;
	const struct engine_tensor *t;
	char name[60];
	snprintf(name, sizeof name, "%s_bias", f->name);
	loader_name(f->l, f->layer, name);
	TRY(loader_expect(f->l, (const uint32_t[]){ experts, f->rows }, 2, &t));
	TRY(buffers(f, (size_t)f->rows * 4));
	for (uint32_t e = 0; e < experts; e++) {
		TRY(loader_rows(f->l, t, KERNEL_F32, e, 1, f->raw));
		TRY(bias_expert(f, (const float *)(const void *)f->raw, &expert[e]));
	}
	return 0;
}

static int part_load(struct fused *f, struct ffn_weights *expert)
{
	int r = f->l->c->quantisation == MODEL_QUANT_MXFP4 ? mx_load(f, expert)
							   : wide_load(f, expert);
	if (r == 0 && f->l->c->bias_expert)
		r = bias_load(f, expert);
	free(f->raw);
	free(f->row);
	return r;
}

int loader_fused(struct loader *l, uint32_t layer, struct layer_weights *w)
{
	const struct model_config *c = l->c;
	struct fused up = { .l = l,
			    .layer = layer,
			    .rows = 2 * c->expert_width,
			    .columns = c->hidden,
			    .count = 2,
			    .name = "mlp.experts.gate_up_proj" };
	struct fused down = { .l = l,
			      .layer = layer,
			      .rows = c->hidden,
			      .columns = c->expert_width,
			      .count = 1,
			      .name = "mlp.experts.down_proj" };
	TRY(part_load(&up, w->expert));
	return part_load(&down, w->expert);
}
