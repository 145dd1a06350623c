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

/* Where a position's first numbers lie: vectors of sixteen, of which those of a panel follow one
 * another by position (BF16: by pairs). */
static const unsigned char *row_at(enum kernel_cache c, const void *const *page, size_t at,
				   uint32_t position)
{
	uint32_t in = position % KERNEL_PAGE;
	size_t bytes = c == KERNEL_CACHE_F32  ? (size_t)in * 64
		       : c == KERNEL_CACHE_BF16 ? (size_t)(in / 2) * 64
						: (size_t)in * 16;
	return (const unsigned char *)page[position / KERNEL_PAGE] + at + bytes;
}

/* Pairs of two positions, each a half of other pairs. */
static void gather_pair(const uint32_t *low, uint32_t low_shift, const uint32_t *high,
			uint32_t high_shift, size_t panels, uint32_t *to)
{
	for (; panels > 0; panels--) {
		for (int i = 0; i < LANES; i++)
			to[i] = (low[i] >> low_shift & 0xffffu) | high[i] >> high_shift << 16;
		low += LANES * KERNEL_PAGE / 2;
		high += LANES * KERNEL_PAGE / 2;
		to += LANES * KERNEL_PAGE / 2;
	}
}

static void gather_halves(const void *const *page, size_t at, size_t panels,
			  const uint32_t *position, uint32_t n, uint32_t *to)
{
	static const uint32_t none[LANES * KERNEL_PAGE / 2];
	for (uint32_t i = 0; i < n; i += 2, to += LANES) {
		const void *low = row_at(KERNEL_CACHE_BF16, page, at, position[i]);
		if (i + 1 < n)
			gather_pair(low, position[i] % 2 * 16,
				    (const void *)row_at(KERNEL_CACHE_BF16, page, at, position[i + 1]),
				    position[i + 1] % 2 * 16, panels, to);
		for (size_t p = 0; i + 1 == n && p < panels; p++)
			gather_pair((const uint32_t *)low + p * LANES * KERNEL_PAGE / 2,
				    position[i] % 2 * 16, none, 0, 1, to + p * LANES * KERNEL_PAGE / 2);
	}
}

static void gather_wholes(enum kernel_cache c, const void *const *page, size_t at, size_t panels,
			  const uint32_t *position, uint32_t n, unsigned char *to)
{
	size_t bytes = c == KERNEL_CACHE_F32 ? 64 : 16;
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *from = row_at(c, page, at, position[i]);
		for (size_t p = 0; p < panels; p++)
			memcpy(to + (p * KERNEL_PAGE + i) * bytes, from + p * KERNEL_PAGE * bytes,
			       bytes);
	}
}

void kernel_cache_gather(enum kernel_cache c, const void *const *page, size_t at, uint32_t width,
			 const uint32_t *position, uint32_t n, void *to)
{
	size_t numbers = numbers_of(c, KERNEL_BY_NUMBER, width), panels = numbers / KERNEL_PAGE / LANES;
	uint16_t *scale = (uint16_t *)(void *)((unsigned char *)to + numbers);
	check(n <= KERNEL_PAGE);
	if (c == KERNEL_CACHE_BF16)
		gather_halves(page, at, panels, position, n, to);
	else
		gather_wholes(c, page, at, panels, position, n, to);
	for (uint32_t i = 0; c == KERNEL_CACHE_INT8 && i < n; i++) {
		const unsigned char *part =
			(const unsigned char *)page[position[i] / KERNEL_PAGE] + at + numbers;
		for (size_t g = 0; g < groups_of(width); g++)
			memcpy(&scale[g * KERNEL_PAGE + i],
			       part + 2 * (g * KERNEL_PAGE + position[i] % KERNEL_PAGE), 2);
	}
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
