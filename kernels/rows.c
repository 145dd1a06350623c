/* Row operations: canonical forms. */
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>

/* Lane l holds what x[l], x[l+16], ... gave; the tree of v16_sum. */
static float lanes_sum(float *lane)
{
	for (int width = 8; width >= 1; width /= 2) {
		for (int i = 0; i < width; i++)
			lane[i] += lane[i + width];
	}
	return lane[0];
}

static float sum_of_squares(const float *x, uint32_t n)
{
	float lane[16] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		lane[i % 16] = fmaf(x[i], x[i], lane[i % 16]);
	return lanes_sum(lane);
}

void kernel_rmsnorm_plain(const float *x, const float *gain, uint32_t n, float eps, float *out)
{
	float scale = 1.0f / sqrtf(sum_of_squares(x, n) / (float)n + eps);
	for (uint32_t i = 0; i < n; i++)
		out[i] = gain == NULL ? x[i] * scale : x[i] * scale * gain[i];
}

void kernel_layernorm_plain(const float *x, const float *gain, const float *bias, uint32_t n,
			    float eps, float *out)
{
	float lane[16] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		lane[i % 16] += x[i];
	float mean = lanes_sum(lane) / (float)n;
	for (uint32_t i = 0; i < n; i++)
		out[i] = x[i] - mean;
	float scale = 1.0f / sqrtf(sum_of_squares(out, n) / (float)n + eps);
	for (uint32_t i = 0; i < n; i++) {
		out[i] = out[i] * scale * gain[i];
		if (bias != NULL)
			out[i] += bias[i];
	}
}

/* A block whose largest magnitude is below 2^-100 counts as zero, so that 127 / most is finite. The
 * largest is found by comparing the bits as integers: a NaN is larger than every number, and makes
 * scale and output NaN. */
static void quant_block(const float *x, uint32_t n, int8_t *code, float *scale, int32_t *start)
{
	uint32_t most = 0;
	for (uint32_t j = 0; j < n; j++) {
		uint32_t bits = number_bits(x[j]) & 0x7fffffffu;
		most = bits > most ? bits : most;
	}
	bool some = most >= number_bits(0x1p-100f);
	float inverse = some ? 127.0f / number_from_bits(most) : 0;
	*scale = some ? number_from_bits(most) / 127.0f : 0;
	for (uint32_t j = 0; j < KERNEL_INPUT_BLOCK; j++) {
		float v = j < n ? x[j] * inverse : 0;
		v = v > -127.0f ? v : -127.0f; /* NaN too */
		v = v < 127.0f ? v : 127.0f;
		code[j] = (int8_t)rintf(v);
		start[j / KERNEL_GROUP] = (j % KERNEL_GROUP ? start[j / KERNEL_GROUP] : 0) - 128 * code[j];
	}
}

void kernel_quant_row_plain(const float *x, uint32_t n, const struct kernel_quant *q, uint32_t i)
{
	for (uint32_t k = 0; k < n; k += KERNEL_INPUT_BLOCK) {
		size_t at = i * kernel_quant_columns(n) + k;
		quant_block(x + k, n - k < KERNEL_INPUT_BLOCK ? n - k : KERNEL_INPUT_BLOCK, q->code + at,
			    q->scale + at / KERNEL_INPUT_BLOCK, q->start + at / KERNEL_GROUP);
	}
}

void kernel_rope_interleaved_plain(float *x, uint32_t n, const float *cosine, const float *sine)
{
	for (uint32_t i = 0; i < n / 2; i++) {
		float a = x[2 * i], b = x[2 * i + 1];
		x[2 * i] = a * cosine[i] - b * sine[i];
		x[2 * i + 1] = a * sine[i] + b * cosine[i];
	}
}

void kernel_rope_half_plain(float *x, uint32_t n, const float *cosine, const float *sine)
{
	for (uint32_t i = 0; i < n / 2; i++) {
		float a = x[i], b = x[i + n / 2];
		x[i] = a * cosine[i] - b * sine[i];
		x[i + n / 2] = a * sine[i] + b * cosine[i];
	}
}

void kernel_weighted_sum_plain(const float *const *row, const float *weight, uint32_t count,
			       uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = weight[0] * row[0][i];
	for (uint32_t r = 1; r < count; r++) {
		for (uint32_t i = 0; i < n; i++)
			out[i] += weight[r] * row[r][i];
	}
}

void kernel_add_plain(float *x, const float *y, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] += y[i];
}

uint32_t kernel_argmax_plain(const float *x, uint32_t n)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < n; i++) {
		if (x[i] > x[best])
			best = i;
	}
	return best;
}

void kernel_weigh_plain(const float *x, uint32_t n, float largest, float temperature, float *out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = number_exp((x[i] - largest) / temperature);
}
