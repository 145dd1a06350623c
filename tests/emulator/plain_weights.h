/* Of plain_operations.c: one weight of a matrix on the device, by the layouts as they are written down. */
#ifndef EMULATOR_PLAIN_WEIGHTS_H
#define EMULATOR_PLAIN_WEIGHTS_H

#include "kernels/fragment.h"

#include <math.h>
#include <string.h>

static float bf16(uint16_t v)
{
	uint32_t bits = (uint32_t)v << 16;
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

static double f16(uint16_t v)
{
	int exponent = v >> 10 & 31, fraction = v & 1023;
	double d = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
	return v & 0x8000 ? -d : d;
}

static double e4m3(uint8_t v)
{
	int exponent = v >> 3 & 15, fraction = v & 7;
	double d = exponent == 0 ? ldexp(fraction, -9) : ldexp(8 + fraction, exponent - 10);
	return v & 0x80 ? -d : d;
}

static double e2m1(unsigned v)
{
	static const double value[] = { 0, 0.5, 1, 1.5, 2, 3, 4, 6 };
	return v & 8 ? -value[v & 7] : value[v & 7];
}

/* Numbers of bf16 in a tile, and their sum. */
static double parts(const unsigned char *panel, size_t tile, size_t n, size_t at)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++) {
		uint16_t v;
		memcpy(&v, panel + ((tile * n + i) * 256 + at) * 2, sizeof v);
		sum += (double)bf16(v);
	}
	return sum;
}

/* w[row][k], as kernels/fragment.h lays it. */
static double weight(const struct device_matrix *w, uint32_t row, uint32_t k)
{
	const unsigned char *panel = (const unsigned char *)w->at + row / 16 * w->panel_bytes;
	size_t lane = row % 8 * 4 + k % 8 / 2, in = k % 16 / 8 * 4 + row % 16 / 8 * 2 + k % 2,
	       at = lane * 8 + in;
	/* scales: of segments of 256 K, [8 g][8 groups][2] */
	const unsigned char *scales = panel + fragment_code_bytes(w->format, w->columns);
	size_t scale_at = k / 256 * 128 + row % 8 * 16 + k / 32 % 8 * 2 + row % 16 / 8;
	uint16_t scale;
	switch (w->format) {
	case KERNEL_BF16:
		return parts(panel, k / 16, 1, at);
	case KERNEL_F16:
		return parts(panel, k / 16, 2, at);
	case KERNEL_F32:
		return parts(panel, k / 16, 3, at);
	case KERNEL_FP8:
		return e4m3(panel[((k / 32 * 32 + lane) * 2 + k / 16 % 2) * 8 + in]) *
		       (double)w->scale[row / 128 * (((size_t)w->columns + 127) / 128) + k / 128];
	case KERNEL_Q8:
		memcpy(&scale, scales + scale_at * 2, sizeof scale);
		return (int8_t)panel[((k / 32 * 32 + lane) * 2 + k / 16 % 2) * 8 + in] * f16(scale);
	default:
		break;
	}
	uint32_t word;
	memcpy(&word, panel + ((k / 64 * 32 + lane) * 4 + k / 16 % 4) * 4, sizeof word);
	unsigned nibble = word >> (in % 2 * 16 + in / 2 * 4) & 15;
	if (w->format == KERNEL_MXFP4)
		return e2m1(nibble) * ldexp(1, scales[scale_at] - 127);
	memcpy(&scale, scales + scale_at * 2, sizeof scale);
	return ((int)nibble - 8) * f16(scale);
}

#endif
