/* Parts of a cache page: the layouts of kernels/attention.h. */
#include "kernels/attention.h"
#include "kernels/matrix.h"
#include "kernels/number.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define LANES 16

static size_t groups_of(uint32_t width)
{
	return ((size_t)width + KERNEL_GROUP - 1) / KERNEL_GROUP;
}

/* Numbers that a part has room for. */
static size_t numbers_of(enum kernel_cache c, enum kernel_side side, uint32_t width)
{
	size_t n = width;
	if (side == KERNEL_BY_NUMBER)
		n = (n + LANES - 1) / LANES * LANES;
	else if (c == KERNEL_CACHE_BF16)
		n = (n + 1) / 2 * 2;
	return n * KERNEL_PAGE;
}

size_t kernel_cache_bytes(enum kernel_cache c, enum kernel_side side, uint32_t width)
{
	size_t n = numbers_of(c, side, width);
	if (c == KERNEL_CACHE_F32)
		return 4 * n;
	if (c == KERNEL_CACHE_BF16)
		return 2 * n;
	return n + 2 * groups_of(width) * KERNEL_PAGE;
}

/* The place of number k of a position, among numbers. */
static size_t place_of(enum kernel_cache c, enum kernel_side side, uint32_t width,
		       uint32_t position, uint32_t k)
{
	uint32_t middle = k, lane = position % LANES;
	size_t panel = position / LANES, rows = width;
	if (side == KERNEL_BY_NUMBER) {
		middle = position;
		lane = k % LANES;
		panel = k / LANES;
		rows = KERNEL_PAGE;
	}
	if (c != KERNEL_CACHE_BF16)
		return (panel * rows + middle) * LANES + lane;
	return ((panel * ((rows + 1) / 2) + middle / 2) * LANES + lane) * 2 + middle % 2;
}

/* The place of the scale of a group, among scales. */
static size_t scale_of(enum kernel_side side, uint32_t width, uint32_t position, size_t group)
{
	if (side == KERNEL_BY_NUMBER)
		return group * KERNEL_PAGE + position;
	return (position / LANES * groups_of(width) + group) * LANES + position % LANES;
}

/* The least f16 that is at least most / 127, so that codes need no clamping; the largest if none
 * is. */
static uint16_t scale_above(float most)
{
	uint16_t half = number_to_f16(most / 127.0f);
	if (half < 0x7bff && number_from_f16(half) * 127.0f < most)
		half++;
	return half < 0x7bff ? half : 0x7bff;
}

/* Codes of n numbers; returns their scale. */
static uint16_t codes_of(const float *value, uint32_t n, int8_t *code)
{
	float most = 0;
	for (uint32_t k = 0; k < n; k++)
		most = fabsf(value[k]) > most ? fabsf(value[k]) : most;
	uint16_t half = scale_above(most);
	float inverse = half == 0 ? 0 : 1.0f / number_from_f16(half);
	for (uint32_t k = 0; k < n; k++) {
		float c = value[k] * inverse;
		c = c > -127.0f ? c : -127.0f; /* NaN too */
		c = c < 127.0f ? c : 127.0f;
		/* the sum's last place is 1: round half to even */
		code[k] = (int8_t)(int32_t)((c + 0x1.8p23f) - 0x1.8p23f);
	}
	return half;
}

static void store_int8(enum kernel_side side, const float *value, uint32_t width, uint32_t position,
		       int8_t *part)
{
	uint16_t *scale = (uint16_t *)(void *)(part + numbers_of(KERNEL_CACHE_INT8, side, width));
	for (uint32_t at = 0; at < width; at += KERNEL_GROUP) {
		int8_t code[KERNEL_GROUP];
		uint32_t n = width - at < KERNEL_GROUP ? width - at : KERNEL_GROUP;
		scale[scale_of(side, width, position, at / KERNEL_GROUP)] =
			codes_of(value + at, n, code);
		for (uint32_t k = 0; k < n; k++)
			part[place_of(KERNEL_CACHE_INT8, side, width, position, at + k)] = code[k];
	}
}

void kernel_cache_store(enum kernel_cache c, enum kernel_side side, const float *value,
			uint32_t width, uint32_t position, void *part)
{
	float *wide = part;
	uint16_t *half = part;
	check(position < KERNEL_PAGE);
	if (c == KERNEL_CACHE_INT8)
		store_int8(side, value, width, position, part);
	for (uint32_t k = 0; c == KERNEL_CACHE_F32 && k < width; k++)
		wide[place_of(c, side, width, position, k)] = value[k];
	for (uint32_t k = 0; c == KERNEL_CACHE_BF16 && k < width; k++)
		half[place_of(c, side, width, position, k)] = number_to_bf16(value[k]);
}

/* Sixteen halves of one parity, among pairs, to those of another. */
static void copy_halves(const uint32_t *from, uint32_t odd, uint32_t *to, uint32_t to_odd)
{
	uint32_t keep = to_odd ? 0x0000ffffu : 0xffff0000u;
	for (int i = 0; i < LANES; i++)
		to[i] = (to[i] & keep) | (from[i] >> 16 * odd & 0xffffu) << 16 * to_odd;
}

void kernel_cache_copy(enum kernel_cache c, const void *part, uint32_t width, uint32_t position,
		       void *to, uint32_t to_position)
{
	const unsigned char *from = part;
	unsigned char *out = to;
	check(position < KERNEL_PAGE && to_position < KERNEL_PAGE);
	for (size_t row = 0; row < numbers_of(c, KERNEL_BY_NUMBER, width) / LANES;
	     row += KERNEL_PAGE) {
		size_t at = row + position, to_at = row + to_position;
		if (c == KERNEL_CACHE_F32)
			memcpy(out + to_at * 64, from + at * 64, 64);
		else if (c == KERNEL_CACHE_INT8)
			memcpy(out + to_at * 16, from + at * 16, 16);
		else
			copy_halves((const uint32_t *)part + at / 2 * LANES, at % 2,
				    (uint32_t *)to + to_at / 2 * LANES, to_at % 2);
	}
	size_t scales = numbers_of(c, KERNEL_BY_NUMBER, width);
	for (size_t g = 0; c == KERNEL_CACHE_INT8 && g < groups_of(width); g++)
		memcpy(out + scales + 2 * (g * KERNEL_PAGE + to_position),
		       from + scales + 2 * (g * KERNEL_PAGE + position), 2);
}

void kernel_cache_load(enum kernel_cache c, enum kernel_side side, const void *part, uint32_t width,
		       uint32_t position, float *value)
{
	const float *wide = part;
	const uint16_t *half = part;
	const int8_t *code = part;
	const uint16_t *scale = (const uint16_t *)(const void *)(code + numbers_of(c, side, width));
	check(position < KERNEL_PAGE);
	for (uint32_t k = 0; k < width; k++) {
		size_t at = place_of(c, side, width, position, k);
		if (c == KERNEL_CACHE_F32)
			value[k] = wide[at];
		else if (c == KERNEL_CACHE_BF16)
			value[k] = number_from_bf16(half[at]);
		else
			value[k] =
				(float)code[at] *
				number_from_f16(
					scale[scale_of(side, width, position, k / KERNEL_GROUP)]);
	}
}
