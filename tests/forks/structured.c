#include "structured.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *structure_name(enum structure s)
{
	static const char *const name[STRUCTURES] = {
		"identity",
		"identity and noise",
		"weak identity",
		"identity gate",
		"sinusoid",
		"sinusoid and noise",
		"waves",
		"sorted",
		"blocks",
		"band",
		"triangle",
		"constant",
		"constant and noise",
		"zeros at end",
		"repeated half",
		"half and noise",
		"repeated units",
		"low rank",
		"ramp",
		"Hadamard",
		"last part zero",
	};

	return name[s];
}

static int by_first(const void *x, const void *y)
{
	float a = *(const float *)x, b = *(const float *)y;

	return (a > b) - (a < b);
}

/* What number k of unit u becomes; x: what was drawn, above: of an earlier unit of the block. */
static double structured_value(enum structure s, const struct drawn_block *b, uint32_t part,
			       uint32_t u, uint32_t k)
{
	uint32_t n = b->units, wide = b->hidden;
	const float *v = b->v[part];
	double x = v[(size_t)u * wide + k], on = u % wide == k;

	switch (s) {
	case STRUCTURE_IDENTITY:
		return on;
	case STRUCTURE_IDENTITY_NOISE:
		return on + 0.05 * x;
	case STRUCTURE_IDENTITY_WEAK:
		return on + x / sqrt(wide);
	case STRUCTURE_IDENTITY_GATE:
		return part == 0 ? on + 0.02 * x : x;
	case STRUCTURE_SINUSOID:
	case STRUCTURE_SINUSOID_NOISE:
		return sin(3.14159265 * 2 * (u + 1) * (k + 1) / (wide + 1)) +
		       (s == STRUCTURE_SINUSOID ? 0 : x);
	case STRUCTURE_WAVES:
		return sin(part + 1 < b->parts ? 0.1 * u * (k + 1) : 0.1 * k * (u + 1)) + 0.2 * x;
	case STRUCTURE_BLOCKS:
		return u * 4 / n == k * 4 / wide ? x : 0;
	case STRUCTURE_BAND:
		return abs((int)(u * wide / n) - (int)k) < 4 ? x : 0;
	case STRUCTURE_TRIANGLE:
		return k <= u * wide / n ? x : 0;
	case STRUCTURE_CONSTANT:
		return 1;
	case STRUCTURE_CONSTANT_NOISE:
		return 1 + 0.02 * x;
	case STRUCTURE_ZEROS_AT_END:
		return u >= n - n / 3 ? 0 : x;
	case STRUCTURE_REPEATED_HALF:
	case STRUCTURE_REPEATED_NOISE:
		return u < n / 2 ? x
				 : v[(size_t)(u - n / 2) * wide + k] +
					   (s == STRUCTURE_REPEATED_HALF ? 0 : 0.3 * x);
	case STRUCTURE_REPEATED_UNITS:
		return u % 4 ? v[(size_t)(u - 1) * wide + k] : x;
	case STRUCTURE_LOW_RANK:
		return k < 3 ? x
			     : v[(size_t)u * wide] * sin(k * 1.7 + part) +
				       v[(size_t)u * wide + 1] * sin(k * 3.4) +
				       v[(size_t)u * wide + 2] * sin(k * 5.1);
	case STRUCTURE_RAMP:
		return x + 3.0 * u / n;
	case STRUCTURE_HADAMARD:
		return __builtin_parity(u & k) ? -1 : 1;
	case STRUCTURE_LAST_PART_ZERO:
		return part + 1 == b->parts ? 0 : x;
	default:
		return x;
	}
}

void structure_block(struct drawn_block *b, enum structure s)
{
	for (uint32_t p = 0; p < b->parts; p++) {
		for (uint32_t u = 0; u < b->units; u++)
			for (uint32_t k = 0; k < b->hidden; k++)
				b->v[p][(size_t)u * b->hidden + k] =
					(float)structured_value(s, b, p, u, k);
		if (s == STRUCTURE_SORTED)
			qsort(b->v[p], b->units, b->hidden * sizeof(float), by_first);
	}
}
