/* Unit vectors: summed dimension by dimension, then brought to unit length and fixed point. A sum
 * is over the dimensions in their order, whatever panels they come in: the same everywhere. */
#include "forks/sketch_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 256 /* dimensions whose embeddings stay in the cache */

typedef float f32x4 __attribute__((vector_size(16), aligned(4)));

uint32_t fork_unit_raw_width(uint64_t width)
{
	return width > SKETCH_RAW ? SKETCH_RAW : (uint32_t)(width + 15) / 16 * 16;
}

int fork_unit_sum_open(struct unit_sum *u, uint32_t units, uint64_t width, bool token,
		       const struct basis *basis, struct err *e)
{
	*u = (struct unit_sum){
		.basis = basis,
		.units = units,
		.stride = (units + TILE_UNITS - 1) / TILE_UNITS * TILE_UNITS,
		.raw_width = fork_unit_raw_width(width),
		.plain = width <= SKETCH_RAW,
	};
	u->raw = calloc((size_t)u->raw_width * u->stride, sizeof *u->raw);
	u->squares = calloc(u->stride, sizeof *u->squares);
	if (token && basis->tokens)
		u->token = calloc((size_t)u->stride * basis->stride, sizeof *u->token);
	if (u->raw && u->squares && (u->token || !token || !basis->tokens))
		return 0;
	fork_unit_sum_free(u);
	return err_set(e, ERR_NOMEM, "out of memory for the vectors of %u units", units);
}

void fork_unit_sum_clear(struct unit_sum *u)
{
	memset(u->raw, 0, (size_t)u->raw_width * u->stride * sizeof *u->raw);
	memset(u->squares, 0, u->stride * sizeof *u->squares);
	if (u->token)
		memset(u->token, 0, (size_t)u->stride * u->basis->stride * sizeof *u->token);
}

void fork_unit_sum_free(struct unit_sum *u)
{
	free(u->raw);
	free(u->token);
	free(u->squares);
	*u = (struct unit_sum){ 0 };
}

static void raw_add(const struct unit_sum *u, uint64_t dimension, const float *x)
{
	unsigned place = u->plain ? (unsigned)dimension : u->basis->bucket[dimension];
	float sign = !u->plain && place & BASIS_NEGATIVE ? -1 : 1;
	float *out = u->raw + (size_t)(place & ~BASIS_NEGATIVE) * u->stride;
	f32x4 s = { sign, sign, sign, sign };

	if (u->plain)
		out = u->raw + (size_t)dimension * u->stride;
	for (uint32_t i = 0; i < u->stride; i += 4) {
		f32x4 *to = (f32x4 *)(void *)(out + i), v = *(const f32x4 *)(const void *)(x + i);

		*to += s * v;
		for (uint32_t k = 0; k < 4; k++)
			u->squares[i + k] += (double)v[k] * v[k];
	}
}

static void tokens_add(const struct unit_sum *u, uint64_t dimension, uint32_t count, const float *x)
{
	void (*tile)(const struct tile *t) =
		__builtin_cpu_supports("avx2") ? fork_tile_avx2 : fork_tile_plain;
	const struct basis *b = u->basis;

	for (uint32_t from = 0; from < count; from += CHUNK)
		for (uint32_t i = 0; i < u->stride; i += TILE_UNITS)
			for (uint32_t t = 0; t < b->stride; t += TILE_TOKENS)
				tile(&(struct tile){
					.out = u->token + (size_t)i * b->stride + t,
					.x = x + (size_t)from * u->stride + i,
					.y = b->embedding + (dimension + from) * b->stride + t,
					.out_stride = b->stride,
					.x_stride = u->stride,
					.y_stride = b->stride,
					.count = count - from < CHUNK ? count - from : CHUNK,
				});
}

void fork_unit_sum_add(struct unit_sum *u, uint64_t dimension, uint32_t count, const float *x)
{
	for (uint32_t k = 0; k < count; k++)
		raw_add(u, dimension + k, x + (size_t)k * u->stride);
	if (u->token)
		tokens_add(u, dimension, count, x);
}

double fork_unit_quantise(const double *v, uint32_t n, int16_t *out)
{
	double squares = 0, length, scale;

	for (uint32_t i = 0; i < n; i++)
		squares += v[i] * v[i];
	length = sqrt(squares);
	scale = squares > 0 ? SKETCH_ONE / length : 0;
	for (uint32_t i = 0; i < n; i++)
		out[i] = (int16_t)lrint(v[i] * scale);
	return length;
}

/* v[0..n) of a unit, n numbers `step` apart. false: not finite. */
static bool quantise_floats(const float *v, size_t step, uint32_t n, int16_t *out, float *length)
{
	double wide[SKETCH_RAW > SKETCH_TOKENS ? SKETCH_RAW : SKETCH_TOKENS];
	bool finite = true;

	for (uint32_t i = 0; i < n; i++) {
		wide[i] = v[i * step];
		finite = finite && isfinite(wide[i]);
	}
	if (!finite)
		return false;
	*length = (float)fork_unit_quantise(wide, n, out);
	return isfinite(*length);
}

bool fork_unit_sum_take(const struct unit_sum *u, struct sketch_part *part, uint32_t at,
			double *squares)
{
	for (uint32_t i = 0; i < u->units; i++, at++) {
		if (!quantise_floats(u->raw + i, u->stride, part->raw_width,
				     part->raw + (size_t)at * part->raw_width, &part->norm[at]))
			return false;
		if (part->token_width &&
		    !quantise_floats(u->token + (size_t)i * u->basis->stride, 1, part->token_width,
				     part->token + (size_t)at * part->token_width,
				     &part->token_norm[at]))
			return false;
		*squares += u->squares[i];
	}
	return true;
}

int fork_sketch_place_order(const struct sketch_block *a, const struct sketch_block *b)
{
	const uint32_t x[] = { a->component, a->layer, a->kind, a->index },
		       y[] = { b->component, b->layer, b->kind, b->index };

	for (size_t i = 0; i < sizeof x / sizeof *x; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

uint32_t fork_sketch_unit_at(const struct sketch_block *b, uint32_t place)
{
	uint32_t lo = 0, hi = b->kept;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->place[mid] == place)
			return mid;
		if (b->place[mid] < place)
			lo = mid + 1;
		else
			hi = mid;
	}
	return UINT32_MAX;
}
