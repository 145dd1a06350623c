#include "drawn.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t drawn_word(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

double drawn_uniform(uint64_t *state)
{
	return ((double)(drawn_word(state) >> 11) + 0.5) * 0x1p-53;
}

double drawn_normal(uint64_t *state)
{
	double r = sqrt(-2 * log(drawn_uniform(state)));

	return r * cos(2 * 3.14159265358979323846 * drawn_uniform(state));
}

uint32_t drawn_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((unsigned __int128)drawn_word(state) * n) >> 64);
}

static void *cleared(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	check(p);
	return p;
}

static float one_value(enum drawn_law law, uint64_t *state)
{
	double x;

	switch (law) {
	case DRAWN_UNIFORM:
		return (float)(2 * drawn_uniform(state) - 1);
	case DRAWN_TRAINED:
		x = drawn_normal(state);
		return (float)(x / sqrt(0.3 + 0.7 * drawn_uniform(state)));
	default:
		return (float)drawn_normal(state);
	}
}

void drawn_redraw(struct drawn_block *b, enum drawn_law law, uint64_t seed)
{
	for (uint32_t p = 0; p < b->parts; p++) {
		float *common = cleared(b->hidden, sizeof *common),
		      *scale = cleared(b->hidden, sizeof *scale);

		for (uint32_t k = 0; k < b->hidden; k++) {
			common[k] = (float)(0.4 * drawn_normal(&seed));
			scale[k] = law == DRAWN_TRAINED ? (float)exp(0.5 * drawn_normal(&seed)) : 1;
		}
		for (uint32_t u = 0; u < b->units; u++) {
			float along = law == DRAWN_TRAINED ? (float)(1 + drawn_normal(&seed)) : 0;

			for (uint32_t k = 0; k < b->hidden; k++)
				b->v[p][(size_t)u * b->hidden + k] =
					scale[k] * (one_value(law, &seed) + along * common[k]);
		}
		free(common);
		free(scale);
	}
}

/* Layers come first in the order of blocks, then kinds. */
static int block_order(const void *x, const void *y)
{
	const struct drawn_block *a = x, *b = y;

	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

void drawn_add(struct drawn *d, const struct drawn_shape *shape, uint64_t seed)
{
	uint32_t each = shape->each ? shape->each : 1;

	check(shape->hidden == d->hidden && shape->parts <= ROLE_PARTS);
	d->block = realloc(d->block, (d->blocks + (size_t)shape->layers * each) * sizeof *d->block);
	check(d->block);
	for (uint32_t i = 0; i < shape->layers * each; i++) {
		struct drawn_block *b = &d->block[d->blocks++];

		*b = (struct drawn_block){ .kind = shape->kind,
					   .layer = i / each,
					   .index = i % each,
					   .units = shape->units,
					   .hidden = shape->hidden,
					   .parts = shape->parts };
		for (uint32_t p = 0; p < b->parts; p++)
			b->v[p] = cleared((size_t)b->units * b->hidden, sizeof(float));
		drawn_redraw(b, shape->law, drawn_word(&seed));
	}
	qsort(d->block, d->blocks, sizeof *d->block, block_order);
}

struct drawn *drawn_new(const struct drawn_shape *shape, uint64_t seed)
{
	struct drawn *d = cleared(1, sizeof *d);

	d->hidden = shape->hidden;
	d->tokens = shape->tokens;
	d->embedding = cleared((size_t)d->tokens * d->hidden, sizeof(float));
	for (size_t i = 0; i < (size_t)d->tokens * d->hidden; i++)
		d->embedding[i] = (float)drawn_normal(&seed);
	drawn_add(d, shape, drawn_word(&seed));
	return d;
}

static float *floats_copy(const float *v, size_t count)
{
	float *out = cleared(count, sizeof *out);

	if (count > 0)
		memcpy(out, v, count * sizeof *out);
	return out;
}

struct drawn *drawn_copy(const struct drawn *d)
{
	struct drawn *out = cleared(1, sizeof *out);

	*out = *d;
	out->embedding = floats_copy(d->embedding, (size_t)d->tokens * d->hidden);
	out->block = cleared(d->blocks, sizeof *out->block);
	for (size_t i = 0; i < d->blocks; i++) {
		struct drawn_block *b = &out->block[i];

		*b = d->block[i];
		for (uint32_t p = 0; p < b->parts; p++)
			b->v[p] = floats_copy(d->block[i].v[p], (size_t)b->units * b->hidden);
	}
	return out;
}

void drawn_free(struct drawn *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t p = 0; p < d->block[i].parts; p++)
			free(d->block[i].v[p]);
	free(d->block);
	free(d->embedding);
	free(d);
}

void drawn_noise(struct drawn *d, double share, uint64_t seed)
{
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t p = 0; p < d->block[i].parts; p++) {
			size_t count = (size_t)d->block[i].units * d->block[i].hidden;
			float *v = d->block[i].v[p];
			double squares = 0;

			for (size_t k = 0; k < count; k++)
				squares += (double)v[k] * v[k];
			squares = share * sqrt(squares / (double)count);
			for (size_t k = 0; k < count; k++)
				v[k] += (float)(squares * drawn_normal(&seed));
		}
}

void drawn_shuffle(struct drawn *d, uint64_t seed)
{
	for (size_t i = 0; i < d->blocks; i++) {
		struct drawn_block *b = &d->block[i];

		for (uint32_t u = b->units; u > 1; u--) {
			uint32_t other = drawn_below(&seed, u);

			for (uint32_t p = 0; p < b->parts; p++)
				for (uint32_t k = 0; k < b->hidden; k++) {
					float *x = &b->v[p][(size_t)(u - 1) * b->hidden + k],
					      *y = &b->v[p][(size_t)other * b->hidden + k],
					      old = *x;

					*x = *y;
					*y = old;
				}
		}
	}
}

/* v -= 2 (v . mirror) mirror */
static void reflect(float *v, size_t count, const double *mirror, uint32_t hidden)
{
	for (size_t u = 0; u < count; u++, v += hidden) {
		double along = 0;

		for (uint32_t k = 0; k < hidden; k++)
			along += v[k] * mirror[k];
		for (uint32_t k = 0; k < hidden; k++)
			v[k] -= (float)(2 * along * mirror[k]);
	}
}

/* Every vector's coordinates in another order: orthogonal too, and far from where they were. */
static void reorder(float *v, size_t count, const uint32_t *from, uint32_t hidden)
{
	float *old = cleared(hidden, sizeof *old);

	for (size_t u = 0; u < count; u++, v += hidden) {
		memcpy(old, v, hidden * sizeof *old);
		for (uint32_t k = 0; k < hidden; k++)
			v[k] = old[from[k]];
	}
	free(old);
}

static void turn_all(struct drawn *d, const double *mirror, const uint32_t *from)
{
	for (size_t i = 0; i <= d->blocks; i++) {
		struct drawn_block *b = &d->block[i];

		for (uint32_t p = 0; p < (i < d->blocks ? b->parts : 1); p++) {
			float *v = i < d->blocks ? b->v[p] : d->embedding;
			size_t count = i < d->blocks ? b->units : d->tokens;

			if (from)
				reorder(v, count, from, d->hidden);
			reflect(v, count, mirror, d->hidden);
		}
	}
}

void drawn_rotate(struct drawn *d, uint64_t seed)
{
	double *mirror = cleared(d->hidden, sizeof *mirror);
	uint32_t *from = cleared(d->hidden, sizeof *from);

	for (uint32_t k = 0; k < d->hidden; k++) {
		uint32_t other = drawn_below(&seed, k + 1);

		from[k] = from[other];
		from[other] = k;
	}
	for (int turn = 0; turn < 8; turn++) {
		double squares = 0;

		for (uint32_t k = 0; k < d->hidden; k++) {
			mirror[k] = drawn_normal(&seed);
			squares += mirror[k] * mirror[k];
		}
		for (uint32_t k = 0; k < d->hidden; k++)
			mirror[k] /= sqrt(squares);
		turn_all(d, mirror, turn == 0 ? from : NULL);
	}
	free(from);
	free(mirror);
}

void drawn_resize(struct drawn_block *b, uint32_t units)
{
	size_t row = b->hidden * sizeof(float);

	for (uint32_t p = 0; p < b->parts; p++) {
		b->v[p] = realloc(b->v[p], units * row);
		check(b->v[p]);
		if (units > b->units)
			memset(b->v[p] + (size_t)b->units * b->hidden, 0, (units - b->units) * row);
	}
	b->units = units;
}

/* A unit vector in fixed point; zero stays zero. Returns its length. */
static float fixed_point(const double *v, uint32_t count, int16_t *out)
{
	double squares = 0;

	for (uint32_t k = 0; k < count; k++)
		squares += v[k] * v[k];
	for (uint32_t k = 0; squares > 0 && k < count; k++)
		out[k] = (int16_t)lrint(v[k] / sqrt(squares) * SKETCH_ONE);
	return (float)sqrt(squares);
}

static float raw_vector(const float *v, uint32_t hidden, int16_t *out)
{
	double w[SKETCH_RAW] = { 0 };

	for (uint32_t k = 0; k < hidden; k++) {
		uint64_t seed = SKETCH_SEED ^ k, word = drawn_word(&seed);

		if (hidden <= SKETCH_RAW)
			w[k] = v[k];
		else
			w[word % SKETCH_RAW] += word >> 63 ? -(double)v[k] : (double)v[k];
	}
	return fixed_point(w, hidden < SKETCH_RAW ? hidden : SKETCH_RAW, out);
}

static float token_vector(const struct drawn *d, const float *v, int16_t *out)
{
	double w[SKETCH_TOKENS] = { 0 }, mean = 0;

	for (uint32_t t = 0; t < d->tokens; t++) {
		for (uint32_t k = 0; k < d->hidden; k++)
			w[t] += (double)d->embedding[(size_t)t * d->hidden + k] * v[k];
		mean += w[t] / d->tokens;
	}
	for (uint32_t t = 0; t < d->tokens; t++)
		w[t] -= mean;
	return fixed_point(w, d->tokens, out);
}

struct ranked {
	double norm;
	uint32_t unit;
};

static int largest_first(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;

	if (a->norm != b->norm)
		return a->norm > b->norm ? -1 : 1;
	return a->unit < b->unit ? -1 : 1;
}

static int by_place(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

static void choose_units(const struct drawn_block *from, struct sketch_block *to,
			 struct arena *arena)
{
	struct ranked *rank = cleared(from->units, sizeof *rank);
	uint32_t most = from->kind == FORK_DENSE || from->kind == FORK_SHARED ? SKETCH_UNITS
									      : SKETCH_UNITS_MANY,
		 first = from->units <= most ? from->units : most / 2;

	to->first = first;
	to->kept = from->units < most ? from->units : most;
	to->place = arena_array(arena, to->kept, sizeof *to->place);
	check(to->place);
	for (uint32_t u = first; u < from->units; u++) {
		rank[u - first].unit = u;
		for (uint32_t k = 0; k < from->hidden; k++)
			rank[u - first].norm += pow(from->v[0][(size_t)u * from->hidden + k], 2);
	}
	qsort(rank, from->units - first, sizeof *rank, largest_first);
	for (uint32_t i = 0; i < to->kept; i++)
		to->place[i] = i < first ? i : rank[i - first].unit;
	qsort(to->place + first, to->kept - first, sizeof *to->place, by_place);
	free(rank);
}

static void sketch_part_fill(const struct drawn *d, const struct drawn_block *from, uint32_t p,
			     struct sketch_block *b, struct arena *arena)
{
	struct sketch_part *to = &b->part[p];
	uint32_t width = from->hidden < SKETCH_RAW ? from->hidden : SKETCH_RAW;

	to->raw_width = (width + 15) / 16 * 16;
	to->token_width = (d->tokens + 15) / 16 * 16;
	to->raw = arena_array(arena, (size_t)b->kept * to->raw_width, sizeof *to->raw);
	to->norm = arena_array(arena, b->kept, sizeof *to->norm);
	if (d->tokens > 0) {
		to->token =
			arena_array(arena, (size_t)b->kept * to->token_width, sizeof *to->token);
		to->token_norm = arena_array(arena, b->kept, sizeof *to->token_norm);
	}
	check(to->raw && to->norm && ((to->token && to->token_norm) || d->tokens == 0));
	for (uint32_t u = 0; u < b->kept; u++) {
		const float *v = from->v[p] + (size_t)b->place[u] * from->hidden;

		to->norm[u] = raw_vector(v, from->hidden, to->raw + (size_t)u * to->raw_width);
		if (d->tokens > 0)
			to->token_norm[u] =
				token_vector(d, v, to->token + (size_t)u * to->token_width);
	}
}

struct fork_sketch *drawn_sketch(const struct drawn *d)
{
	struct fork_sketch *s = cleared(1, sizeof *s);

	check(d->tokens <= SKETCH_TOKENS);
	s->hidden = d->hidden;
	s->blocks = d->blocks;
	s->block = arena_array(&s->arena, d->blocks, sizeof *s->block);
	check(s->block);
	for (size_t i = 0; i < d->blocks; i++) {
		const struct drawn_block *from = &d->block[i];
		struct sketch_block *to = &s->block[i];
		char name[64];

		snprintf(name, sizeof name, "layers.%u.%d.%u", from->layer, (int)from->kind,
			 from->index);
		*to = (struct sketch_block){ .name = arena_copy(&s->arena, name, strlen(name)),
					     .kind = from->kind,
					     .layer = from->layer,
					     .index = from->index,
					     .units = from->units,
					     .hidden = from->hidden,
					     .parts = from->parts,
					     .cluster = (uint32_t)i,
					     .mean_square = 1 };
		choose_units(from, to, &s->arena);
		for (uint32_t p = 0; p < from->parts; p++)
			sketch_part_fill(d, from, p, to, &s->arena);
		s->layers = from->layer + 1 > s->layers ? from->layer + 1 : s->layers;
	}
	s->tokens = d->tokens;
	for (uint32_t t = 0; t < d->tokens; t++) {
		s->token[t] = t + 1;
		s->token_id[t] = t;
	}
	return s;
}

void drawn_sketch_free(struct fork_sketch *s)
{
	if (!s)
		return;
	arena_free(&s->arena);
	free(s);
}
