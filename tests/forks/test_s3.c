/* S3 on models that are drawn: every change that keeps some units finds them, independent models
 * have none. */
#include "drawn.h"
#include "forks/rungs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SURE (-40.0) /* ln p */

static const struct rung_how how = { .seed = 1, .alpha = 1e-3 };
static const struct drawn_shape dense = { FORK_DENSE, 4, 1, 64, 96, 3, 96, DRAWN_NORMAL },
				moe = { FORK_EXPERT, 3, 8, 32, 96, 3, 96, DRAWN_NORMAL },
				wide = { FORK_DENSE, 3, 1, 3000, 64, 3, 64, DRAWN_NORMAL },
				heads = { FORK_ATTENTION, 4, 4, 32, 96, 2, 96, DRAWN_NORMAL };

static struct rung s3(const struct drawn *a, const struct drawn *b, enum rung_view view,
		      struct rung_map *map)
{
	struct fork_sketch *x = drawn_sketch(a), *y = drawn_sketch(b);
	struct rung out;

	cr_assert_eq(fork_s3_rung(x, y, view, &how, &out, map, NULL), 0);
	drawn_sketch_free(x);
	drawn_sketch_free(y);
	return out;
}

static double s3_log_p(const struct drawn *a, const struct drawn *b, enum rung_view view)
{
	struct rung_map map;
	struct rung r = s3(a, b, view, &map);
	double log_p = r.log_p;

	fork_rung_free(&r);
	fork_map_free(&map);
	return log_p;
}

static void swap_blocks(struct drawn *d, size_t i, size_t j)
{
	struct drawn_block x = d->block[i], y = d->block[j];

	for (uint32_t p = 0; p < x.parts; p++) {
		d->block[i].v[p] = y.v[p];
		d->block[j].v[p] = x.v[p];
	}
	d->block[i].units = y.units;
	d->block[j].units = x.units;
}

/* Keep the units that `keep` of 8 draws leave. */
static void drop_units(struct drawn_block *b, uint32_t units, uint64_t seed)
{
	while (b->units > units) {
		uint32_t u = drawn_below(&seed, b->units--);

		for (uint32_t p = 0; p < b->parts; p++)
			memmove(b->v[p] + (size_t)u * b->hidden,
				b->v[p] + (size_t)(u + 1) * b->hidden,
				(size_t)(b->units - u) * b->hidden * sizeof(float));
	}
}

static void drop_block(struct drawn *d, size_t i)
{
	for (uint32_t p = 0; p < d->block[i].parts; p++)
		free(d->block[i].v[p]);
	memmove(&d->block[i], &d->block[i + 1], (--d->blocks - i) * sizeof *d->block);
}

/* ---- changes ---- */

static void change_none(struct drawn *d) { drawn_noise(d, 0.05, 3); }
static void change_order(struct drawn *d) { drawn_shuffle(d, 5); }
static void change_rotated(struct drawn *d)
{
	drawn_shuffle(d, 5);
	drawn_rotate(d, 6);
}
static void change_composed(struct drawn *d)
{
	drawn_noise(d, 0.57, 7);
	drawn_rotate(d, 6);
	drawn_shuffle(d, 5);
	drawn_noise(d, 0.12, 8); /* as four bits do */
}
static void change_narrow(struct drawn *d)
{
	drawn_shuffle(d, 4);
	for (size_t i = 0; i < d->blocks; i++)
		drop_units(&d->block[i], d->block[i].units * 5 / 8, i);
}
static void change_layers(struct drawn *d)
{
	swap_blocks(d, 0, d->blocks - 1);
	drop_block(d, 1);
	drawn_shuffle(d, 5);
}
static void scale_unit(struct drawn_block *b, uint32_t p, uint32_t u, double by)
{
	for (uint32_t k = 0; k < b->hidden; k++)
		b->v[p][(size_t)u * b->hidden + k] *= (float)by;
}
static void change_signs(struct drawn *d)
{
	uint64_t seed = 9;

	drawn_shuffle(d, 5);
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t u = 0; u < d->block[i].units; u++) {
			double by = drawn_word(&seed) % 2 ? -1 : 1;

			scale_unit(&d->block[i], d->block[i].parts - 2, u, by);
			scale_unit(&d->block[i], d->block[i].parts - 1, u, by);
		}
}
static void change_scaled(struct drawn *d)
{
	uint64_t seed = 10;

	drawn_shuffle(d, 5);
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t u = 0; u < d->block[i].units; u++) {
			double by = exp(drawn_normal(&seed));

			scale_unit(&d->block[i], d->block[i].parts - 2, u, by);
			scale_unit(&d->block[i], d->block[i].parts - 1, u, 1 / by);
		}
}
/* Of two neighbouring blocks their average, and one of them gone. */
static void change_merged(struct drawn *d)
{
	for (size_t i = 0; i + 1 < d->blocks; i++) {
		struct drawn_block *x = &d->block[i], *y = &d->block[i + 1];

		for (uint32_t p = 0; p < x->parts; p++)
			for (size_t k = 0; k < (size_t)x->units * x->hidden; k++)
				x->v[p][k] = (x->v[p][k] + y->v[p][k]) / 2;
		drop_block(d, i + 1);
		if (d->block[i].index != 0)
			d->block[i].index /= 2;
	}
	drawn_shuffle(d, 5);
}
static void change_one_left(struct drawn *d)
{
	drawn_shuffle(d, 5);
	for (size_t i = 1; i < d->blocks; i++)
		drawn_redraw(&d->block[i], DRAWN_NORMAL, 100 + i);
}

static const struct {
	const char *name;
	void (*change)(struct drawn *d);
	bool raw, token; /* found so */
} change[] = {
	{ "5 % of noise", change_none, true, true },
	{ "units in another order", change_order, true, true },
	{ "rotated, in another order", change_rotated, false, true },
	{ "57 % of noise, rotated, other order, four bits", change_composed, false, true },
	{ "any 5 of 8 units, in another order", change_narrow, true, true },
	{ "a layer gone, two exchanged, other order", change_layers, true, true },
	{ "inputs and outputs negated", change_signs, true, true },
	{ "inputs scaled against outputs", change_scaled, true, true },
	{ "two blocks averaged", change_merged, true, true },
	{ "a single block kept", change_one_left, true, true },
};

static void try_changes(const char *what, const struct drawn_shape *shape)
{
	struct drawn *a = drawn_new(shape, 11);

	for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
		struct drawn *b = drawn_copy(a);
		double raw, token;

		change[i].change(b);
		raw = s3_log_p(a, b, RUNG_RAW);
		token = s3_log_p(a, b, RUNG_TOKEN);
		cr_log_info("%s, %s: ln p %.4g, by tokens %.4g", what, change[i].name, raw, token);
		cr_expect_eq(raw < SURE, change[i].raw, "%s, %s: %g", what, change[i].name, raw);
		cr_expect_eq(token < SURE, change[i].token, "%s, %s: %g", what, change[i].name,
			     token);
		drawn_free(b);
	}
	drawn_free(a);
}

Test(forks_s3, every_change_is_found)
{
	try_changes("dense", &dense);
	try_changes("experts", &moe);
	try_changes("heads", &heads);
	try_changes("3,000 units", &wide);
}

Test(forks_s3, threads_change_nothing)
{
	struct drawn *a = drawn_new(&moe, 11), *b = drawn_copy(a);
	struct fork_sketch *x, *y;
	struct rung_how pooled = how;
	struct rung r[2];
	struct rung_map map[2], aligned[2];

	change_layers(b);
	drawn_noise(b, 0.5, 3);
	x = drawn_sketch(a);
	y = drawn_sketch(b);
	cr_assert_eq(pool_open(&pooled.pool, 3, NULL, NULL), 0);
	for (int i = 0; i < 2; i++) {
		const struct rung_how *with = i ? &pooled : &how;

		cr_assert_eq(fork_s3_rung(x, y, RUNG_TOKEN, with, &r[i], &map[i], NULL), 0);
		cr_assert_eq(fork_map_aligned(x, y, RUNG_RAW, with, &aligned[i], NULL), 0);
	}
	cr_assert_eq(r[0].blocks, r[1].blocks);
	for (size_t i = 0; i < r[0].blocks; i++)
		cr_expect(r[0].block[i].log_p == r[1].block[i].log_p &&
			  r[0].block[i].pair.a == r[1].block[i].pair.a);
	cr_expect_eq(r[0].log_p, r[1].log_p);
	cr_assert_eq(map[0].pairs, map[1].pairs);
	cr_expect_gt(map[0].pairs, 0);
	for (size_t i = 0; i < map[0].pairs; i++)
		cr_expect_arr_eq(map[0].unit[i], map[1].unit[i],
				 y->block[map[0].pair[i].b].kept * sizeof *map[0].unit[i]);
	cr_assert_eq(aligned[0].pairs, aligned[1].pairs);
	cr_expect_arr_eq(aligned[0].pair, aligned[1].pair,
			 aligned[0].pairs * sizeof *aligned[0].pair);
	for (int i = 0; i < 2; i++) {
		fork_rung_free(&r[i]);
		fork_map_free(&map[i]);
		fork_map_free(&aligned[i]);
	}
	pool_close(pooled.pool);
	drawn_sketch_free(x);
	drawn_sketch_free(y);
	drawn_free(a);
	drawn_free(b);
}

/* Other widths of the residual stream and other kinds: only tokens tell. */
Test(forks_s3, upcycled_and_cut_models_are_found_by_tokens)
{
	static const struct drawn_shape shape = { FORK_EXPERT, 4, 3, 64, 96, 3, 96, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&dense, 11), *b = drawn_new(&shape, 12);

	for (size_t i = 0; i < b->blocks; i++)
		for (uint32_t p = 0; p < 3; p++)
			memcpy(b->block[i].v[p], a->block[b->block[i].layer].v[p],
			       sizeof(float) * 64 * 96);
	memcpy(b->embedding, a->embedding, sizeof(float) * 96 * 96);
	drawn_noise(b, 0.2, 3);
	drawn_shuffle(b, 4);
	cr_expect_lt(s3_log_p(a, b, RUNG_RAW), SURE);
	cr_expect_lt(s3_log_p(a, b, RUNG_TOKEN), SURE);
	/* the last dimensions of the residual stream gone */
	drawn_rotate(b, 5);
	for (size_t i = 0; i <= b->blocks; i++)
		for (uint32_t p = 0; p < (i < b->blocks ? 3u : 1u); p++) {
			float *v = i < b->blocks ? b->block[i].v[p] : b->embedding;

			for (size_t u = 0; u < (i < b->blocks ? 64 : 96); u++)
				memmove(v + u * 80, v + u * 96, 80 * sizeof(float));
			if (i < b->blocks)
				b->block[i].hidden = 80;
		}
	b->hidden = 80;
	cr_expect_lt(s3_log_p(a, b, RUNG_TOKEN), SURE);
	drawn_free(a);
	drawn_free(b);
}

/* ---- independent models ---- */

static void null_structured(struct drawn *d)
{
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t p = 0; p < d->block[i].parts; p++)
			for (uint32_t u = 0; u < d->block[i].units; u++)
				d->block[i].v[p][(size_t)u * d->block[i].hidden +
						 u % d->block[i].hidden] += 40;
}
static void null_structured_half(struct drawn *d)
{
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t p = 0; p < d->block[i].parts; p++)
			for (uint32_t u = 0; u < d->block[i].units / 3; u++)
				d->block[i].v[p][(size_t)u * d->block[i].hidden + u] += 40;
}
static void null_zeros(struct drawn *d)
{
	for (size_t i = 0; i < d->blocks; i++)
		drawn_resize(&d->block[i], d->block[i].units / 4),
			drawn_resize(&d->block[i], d->block[i].units * 4);
}
static void null_doubled(struct drawn *d)
{
	for (size_t i = 0; i < d->blocks; i++)
		for (uint32_t p = 0; p < d->block[i].parts; p++)
			for (uint32_t u = 1; u < d->block[i].units / 2; u++)
				memcpy(d->block[i].v[p] + (size_t)u * d->block[i].hidden,
				       d->block[i].v[p], d->block[i].hidden * sizeof(float));
}
static void null_plain(struct drawn *d) { (void)d; }

static const struct {
	const char *name;
	void (*change)(struct drawn *d);
} null[] = {
	{ "plain", null_plain },
	{ "every unit along an axis", null_structured },
	{ "a third of the units along axes", null_structured_half },
	{ "three quarters of the units zero", null_zeros },
	{ "half of the units one", null_doubled },
};

Test(forks_s3, independent_models_of_any_kind_have_no_small_p)
{
	static const struct drawn_shape shape[] = {
		{ FORK_DENSE, 3, 1, 48, 32, 3, 40, DRAWN_NORMAL },
		{ FORK_DENSE, 3, 1, 48, 32, 2, 40, DRAWN_TRAINED },
		{ FORK_EXPERT, 2, 6, 16, 32, 3, 40, DRAWN_TRAINED },
		{ FORK_ATTENTION, 3, 2, 32, 32, 2, 40, DRAWN_TRAINED },
		{ FORK_DENSE, 1, 1, 64, 64, 3, 40, DRAWN_UNIFORM },
	};

	for (size_t n = 0; n < sizeof null / sizeof *null; n++)
		for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
			for (uint64_t seed = 0; seed < 20; seed++) {
				struct drawn *a = drawn_new(&shape[s], 2 * seed),
					     *b = drawn_new(&shape[s], 2 * seed + 1);

				null[n].change(a);
				null[n].change(b);
				cr_expect_gt(s3_log_p(a, b, RUNG_RAW), -3, "%s, shape %zu",
					     null[n].name, s);
				memcpy(b->embedding, a->embedding,
				       sizeof(float) * b->tokens * b->hidden);
				cr_expect_gt(s3_log_p(a, b, RUNG_TOKEN), -3, "%s, shape %zu",
					     null[n].name, s);
				drawn_free(a);
				drawn_free(b);
			}
}

/* One stream of random numbers fills gate, up and down of both models, but of 60 and of 64 units:
 * gate rows are the same, up rows too though shifted, down columns are not. */
Test(forks_s3, one_stream_of_random_numbers_in_other_shapes_is_no_copy)
{
	static const struct drawn_shape shape[] = {
		{ FORK_DENSE, 3, 1, 64, 96, 3, 0, DRAWN_NORMAL },
		{ FORK_DENSE, 3, 1, 60, 96, 3, 0, DRAWN_NORMAL },
	};
	struct drawn *m[2];

	for (int i = 0; i < 2; i++) {
		m[i] = drawn_new(&shape[i], 1);
		for (size_t l = 0; l < 3; l++) {
			struct drawn_block *b = &m[i]->block[l];
			uint64_t seed = 100 + l; /* anew in each layer: the worst case */

			for (uint32_t p = 0; p < 2; p++)
				for (uint32_t k = 0; k < b->units * b->hidden; k++)
					b->v[p][k] = (float)drawn_normal(&seed);
			for (uint32_t k = 0; k < b->hidden; k++) /* a matrix [hidden][units] */
				for (uint32_t u = 0; u < b->units; u++)
					b->v[2][(size_t)u * b->hidden + k] =
						(float)drawn_normal(&seed);
		}
	}
	cr_expect_gt(s3_log_p(m[0], m[1], RUNG_RAW), -1);
	cr_expect_gt(s3_log_p(m[1], m[0], RUNG_RAW), -1);
	drawn_free(m[0]);
	drawn_free(m[1]);
}
