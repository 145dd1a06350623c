/* Stored values as f32: F32, BF16, F16, F64, the blocks of blocks.c, and FP8 E4M3 (OCP: bias 7, no
 * infinity, 0x7f and 0xff NaN) in blocks of 128x128 that are multiplied with NAME_scale_inv. Data
 * may lie unaligned, so it is copied, never cast. */
#include "model/tensors_in.h"

#include "kernels/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last dimension, 1 for rank 0. */
static uint64_t columns_of(const struct model_tensor *t)
{
	return t->rank == 0 ? 1 : t->shape[t->rank - 1];
}

/* The product of the others. */
static uint64_t rows_of(const struct model_tensor *t)
{
	uint64_t rows = 1;
	for (int i = 0; i + 1 < t->rank; i++)
		rows *= t->shape[i]; /* cannot overflow unless the tensor is empty */
	return rows;
}

/* The stored bytes of rows [row, row+rows). */
static int read_bytes(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
		      uint64_t rows, void *out, struct err *e)
{
	uint64_t row_bytes = model_dtype_bytes(w->dtype, columns_of(w));
	if (row > rows_of(w) || rows > rows_of(w) - row)
		return err_set(e, ERR_INPUT, "tensor %s: rows %llu+%llu of %llu", w->name,
			       (unsigned long long)row, (unsigned long long)rows,
			       (unsigned long long)rows_of(w));
	if (columns_of(w) % model_dtype_block(w->dtype) != 0)
		return err_set(e, ERR_UNSUPPORTED, "tensor %s: rows of %llu %s values", w->name,
			       (unsigned long long)columns_of(w), model_dtype_name(w->dtype));
	if (rows == 0 || row_bytes == 0)
		return 0;
	if (t->source == NULL)
		return err_set(e, ERR_UNSUPPORTED, "tensor %s: only its header is open", w->name);
	return source_read(t->source, w->file, w->begin + row * row_bytes, out, rows * row_bytes,
			   e);
}

/* Small floats without a branch, so that compilers make vectors of the loops: `rest` is the number
 * without its sign, of `mantissa` bits and below `special`, from where on it is none. What is
 * subnormal is an integer times the smallest one. */
static inline float small_float(uint32_t rest, uint32_t sign, unsigned mantissa, uint32_t bias,
				float least)
{
	uint32_t normal = (rest << (23 - mantissa)) + (bias << 23);
	uint32_t tiny = number_bits((float)(int32_t)rest * least);
	uint32_t is_tiny = 0u - (uint32_t)(rest >> mantissa == 0);
	return number_from_bits((tiny & is_tiny) | (normal & ~is_tiny) | sign << 31);
}

static inline float from_half(uint16_t h)
{
	uint32_t rest = h & 0x7fffu, special = 0u - (uint32_t)(rest >= 0x7c00u);
	float v = small_float(rest, h >> 15, 10, 112, 0x1p-24f);
	return number_from_bits(number_bits(v) + (special & 112u << 23));
}

static inline float from_e4m3(uint8_t b)
{
	uint32_t rest = b & 0x7fu, special = 0u - (uint32_t)(rest == 0x7fu);
	float v = small_float(rest, b >> 7, 3, 120, 0x1p-9f);
	return number_from_bits((number_bits(v) & ~special) | (special & 0x7fc00000u) |
				(uint32_t)(b >> 7) << 31);
}

/* Loops of a fixed length are made vectors of without more code. */
#define WIDEN(value)                                \
	size_t i = 0;                               \
	for (; i + 32 <= n; i += 32)                \
		for (size_t k = i; k < i + 32; k++) \
			out[k] = value;             \
	for (size_t k = i; k < n; k++)              \
	out[k] = value

static inline uint16_t half_at(const unsigned char *raw, size_t k)
{
	uint16_t half;
	memcpy(&half, raw + 2 * k, 2);
	return half;
}

static void widen_f16(const unsigned char *restrict raw, size_t n, float *restrict out)
{
	WIDEN(from_half(half_at(raw, k)));
}

static void widen_bf16(const unsigned char *restrict raw, size_t n, float *restrict out)
{
	WIDEN(number_from_bf16(half_at(raw, k)));
}

static void widen_e4m3(const unsigned char *restrict raw, size_t n, float *restrict out)
{
	WIDEN(from_e4m3(raw[k]));
}

/* The upper byte of a half. */
static void widen_e5m2(const unsigned char *restrict raw, size_t n, float *restrict out)
{
	WIDEN(from_half((uint16_t)(raw[k] << 8)));
}

static void widen_f64(const unsigned char *raw, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++) {
		double wide;
		memcpy(&wide, raw + 8 * i, 8);
		out[i] = (float)wide;
	}
}

static void widen_e8m0(const unsigned char *raw, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = raw[i] == 255 ? NAN : number_from_e8m0(raw[i]);
}

static void widen_f4(const unsigned char *raw, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = number_from_e2m1((uint8_t)(raw[i / 2] >> i % 2 * 4));
}

void model_dtype_widen(enum model_dtype type, const unsigned char *raw, size_t n, float *out)
{
	static void (*const widen[MODEL_DTYPES])(const unsigned char *raw, size_t n, float *out) = {
		[MODEL_F64] = widen_f64,      [MODEL_BF16] = widen_bf16,
		[MODEL_F16] = widen_f16,      [MODEL_F8_E4M3] = widen_e4m3,
		[MODEL_F8_E5M2] = widen_e5m2, [MODEL_F8_E8M0] = widen_e8m0,
		[MODEL_F4] = widen_f4,
	};
	if (type == MODEL_F32)
		memcpy(out, raw, 4 * n);
	else if (type >= MODEL_Q8_0)
		model_blocks_widen(type, raw, n, out);
	else if (widen[type])
		widen[type](raw, n, out);
}

bool model_dtype_is_float(enum model_dtype d)
{
	return d == MODEL_F32 || d == MODEL_F64 || d == MODEL_BF16 || d == MODEL_F16 ||
	       d == MODEL_F8_E4M3 || (d >= MODEL_Q8_0 && d <= MODEL_MXFP4);
}

bool model_dtype_has_values(enum model_dtype d)
{
	return model_dtype_is_float(d) || d == MODEL_F8_E5M2 || d == MODEL_F8_E8M0 ||
	       d == MODEL_F4 || (d >= MODEL_Q4_1 && d <= MODEL_IQ4_XS);
}

static int finite_check(const struct model_tensor *w, uint64_t row, const float *v, size_t n,
			struct err *e)
{
	uint64_t columns = columns_of(w);
	for (size_t i = 0; i < n; i++) {
		if (!number_is_finite(v[i]))
			return err_set(
				e, ERR_INPUT,
				"%s: tensor %s has a non-finite value at row %llu, column %llu",
				w->file, w->name, (unsigned long long)(row + i / columns),
				(unsigned long long)(i % columns));
	}
	return 0;
}

/* Rows of turned heads: whole heads are read, and each row is taken from where it is stored. */
static int turned_read(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
		       uint64_t rows, unsigned char *out, struct err *e)
{
	uint64_t turn = w->turn, half = turn / 2, first = row / turn * turn;
	uint64_t end = (row + rows + turn - 1) / turn * turn, last = rows_of(w);
	size_t bytes = (size_t)model_dtype_bytes(w->dtype, columns_of(w));
	end = end < last ? end : last;
	if (row > last || rows > last - row)
		return read_bytes(t, w, row, rows, out, e); /* says why not */
	unsigned char *raw = calloc((size_t)(end - first) + 1, bytes + 1);
	if (raw == NULL)
		return err_set(e, ERR_NOMEM, "tensor %s", w->name);
	int rc = read_bytes(t, w, first, end - first, raw, e);
	for (uint64_t i = 0; rc == 0 && i < rows; i++) {
		uint64_t in = (row + i) % turn;
		uint64_t at = (row + i) / turn * turn - first + in % half * 2 + in / half;
		memcpy(out + i * bytes, raw + at * bytes, bytes);
	}
	free(raw);
	return rc;
}

int model_tensors_bytes(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
			uint64_t rows, void *out, struct err *e)
{
	return w->turn > 0 ? turned_read(t, w, row, rows, out, e)
			   : read_bytes(t, w, row, rows, out, e);
}

/* Read stored values without applying block scales. */
static int values_read(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
		       uint64_t rows, float *out, struct err *e)
{
	size_t n;
	if (!model_dtype_is_float(w->dtype))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: tensor %s is %s, not a supported weight type", w->file, w->name,
			       model_dtype_name(w->dtype));
	if (__builtin_mul_overflow(rows, columns_of(w), &n) || n > SIZE_MAX / 8)
		return err_set(e, ERR_INPUT, "tensor %s: %llu rows", w->name,
			       (unsigned long long)rows);
	unsigned char *raw = calloc(model_dtype_bytes(w->dtype, n) + 1, 1);
	if (raw == NULL)
		return err_set(e, ERR_NOMEM, "tensor %s", w->name);
	int r = model_tensors_bytes(t, w, row, rows, raw, e);
	if (r == 0) {
		model_dtype_widen(w->dtype, raw, n, out);
		r = finite_check(w, row, out, n, e);
	}
	free(raw);
	return r;
}

/* The block scales of an FP8 tensor as f32, [ceil(rows/128)][ceil(columns/128)], malloc'ed. Their
 * tensor's existence, type and shape are checked; ERR_INPUT if one is not finite. */
static int read_scales(struct model_tensors *t, const struct model_tensor *w, float **out,
		       struct err *e)
{
	char name[600];
	uint64_t rows, columns;
	*out = NULL;
	snprintf(name, sizeof name, "%s_scale_inv", w->name);
	const struct model_tensor *s = model_tensors_find(t, name);
	if (s == NULL)
		return err_set(e, ERR_INPUT, "%s: tensor %s is F8_E4M3 and %s is missing", w->file,
			       w->name, name);
	rows = (rows_of(w) + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	columns = (columns_of(w) + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	if (w->rank != 2 || s->rank != 2 || s->shape[0] != rows || s->shape[1] != columns)
		return err_set(e, ERR_INPUT,
			       "%s: tensor %s must be [%llu, %llu], a scale for each 128x128 block",
			       s->file, name, (unsigned long long)rows,
			       (unsigned long long)columns);
	if (s->dtype != MODEL_F32 && s->dtype != MODEL_BF16)
		return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s is %s, not F32 or BF16", s->file,
			       name, model_dtype_name(s->dtype));
	*out = malloc((rows * columns + 1) * sizeof **out);
	if (*out == NULL)
		return err_set(e, ERR_NOMEM, "tensor %s", name);
	int r = values_read(t, s, 0, rows, *out, e);
	if (r < 0) {
		free(*out);
		*out = NULL;
	}
	return r;
}

int model_tensors_read(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
		       uint64_t rows, float *out, struct err *e)
{
	uint64_t columns = columns_of(w),
		 blocks = (columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	float *scale;
	TRY(values_read(t, w, row, rows, out, e));
	if (w->dtype != MODEL_F8_E4M3)
		return 0;
	TRY(read_scales(t, w, &scale, e));
	for (uint64_t i = 0; i < rows; i++) {
		const float *s = scale + (row + i) / KERNEL_FP8_BLOCK * blocks;
		for (uint64_t k = 0; k < columns; k++)
			out[i * columns + k] *= s[k / KERNEL_FP8_BLOCK];
	}
	free(scale);
	return finite_check(w, row, out, rows * columns, e);
}
