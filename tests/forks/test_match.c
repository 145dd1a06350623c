/* Units matched one by one, and the map of blocks by aligned units. */
#include "drawn.h"
#include "forks/match.h"
#include "forks/special.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rung_how how = { .seed = 1, .alpha = 1e-3 };

/* ---- units ---- */

struct sides {
	struct fork_sketch *a, *b;
	struct fork_view va, vb;
	struct match_set sa, sb;
	struct match_room *room;
};

static void sides_open(struct sides *s, const struct drawn *a, const struct drawn *b,
		       enum match_class c)
{
	s->a = drawn_sketch(a);
	s->b = drawn_sketch(b);
	cr_assert_eq(fork_views_open(&s->va, &s->vb, s->a, s->b, RUNG_RAW, NULL), 0);
	cr_assert_eq(fork_match_set(&s->sa, &s->va, c, NULL), 0);
	cr_assert_eq(fork_match_set(&s->sb, &s->vb, c, NULL), 0);
	cr_assert_eq(fork_match_rank(&s->sa, NULL), 0);
	cr_assert_eq(fork_match_rank(&s->sb, NULL), 0);
	cr_assert_eq(fork_match_rooms(&s->room, NULL, 100, NULL), 0);
}

static void sides_close(struct sides *s)
{
	fork_match_rooms_free(s->room, NULL);
	fork_match_set_free(&s->sa);
	fork_match_set_free(&s->sb);
	fork_view_close(&s->va);
	fork_view_close(&s->vb);
	drawn_sketch_free(s->a);
	drawn_sketch_free(s->b);
}

Test(forks_match, independent_blocks_agree_by_chance_as_often_as_the_header_says)
{
	static const struct {
		struct drawn_shape shape;
		enum match_class class;
		double least, most;
	} row[] = {
		{ { FORK_DENSE, 60, 1, 24, 32, 3, 0, DRAWN_NORMAL }, MATCH_MLP3, 0.001, 0.012 },
		{ { FORK_DENSE, 60, 1, 48, 32, 3, 0, DRAWN_TRAINED }, MATCH_MLP3, 0, 0.008 },
		/* an eighth: half of the pairs fit in their signs */
		{ { FORK_ATTENTION, 60, 1, 32, 64, 2, 0, DRAWN_NORMAL },
		  MATCH_ATTENTION,
		  0.1,
		  0.16 },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct drawn *a = drawn_new(&row[i].shape, 1), *b = drawn_new(&row[i].shape, 2);
		struct sides s;
		double sum = 0, pairs;
		uint32_t most = 0;

		sides_open(&s, a, b, row[i].class);
		cr_assert_eq(s.sa.count, 60);
		cr_assert_eq(s.sa.layers, 60);
		for (uint32_t x = 0; x < 60; x++)
			for (uint32_t y = 0; y < 60; y++) {
				uint32_t n = fork_match_count(&s.room[0], &s.sa.at[x], &s.sb.at[y]);

				sum += n;
				most = n > most ? n : most;
			}
		pairs = 60 * 60;
		cr_log_info("row %zu: %g a pair, at most %u", i, sum / pairs, most);
		cr_expect(sum / pairs >= row[i].least && sum / pairs <= row[i].most, "row %zu: %g",
			  i, sum / pairs);
		cr_expect_leq(most, 4);
		sides_close(&s);
		drawn_free(a);
		drawn_free(b);
	}
}

Test(forks_match, units_are_found_whatever_their_order)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 40, 48, 3, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a);
	uint32_t unit[40], place = 0;
	struct sides s;

	/* b: a's units backwards, one of them zero, one twice */
	for (uint32_t p = 0; p < 3; p++) {
		for (uint32_t u = 0; u < 40; u++)
			memcpy(b->block[0].v[p] + u * 48, a->block[0].v[p] + (39 - u) * 48,
			       48 * sizeof(float));
		memset(b->block[0].v[p] + 7 * 48, 0, 48 * sizeof(float));
		memcpy(b->block[0].v[p] + 8 * 48, b->block[0].v[p] + 9 * 48, 48 * sizeof(float));
	}
	sides_open(&s, a, b, MATCH_MLP3);
	cr_expect_eq(s.sb.at[0].live, 39);
	cr_expect_eq(fork_match_count(&s.room[0], &s.sa.at[0], &s.sb.at[0]), 37);
	fork_match_units(&s.room[0], &s.sa.at[0], &s.sb.at[0], unit);
	for (uint32_t u = 0; u < 40; u++)
		if (u < 7 || u > 9) {
			cr_expect_eq(unit[u], 39 - u);
			place++;
		} else {
			cr_expect_eq(unit[u], UINT32_MAX, "%u: %u", u, unit[u]);
		}
	cr_expect_eq(place, 37);
	sides_close(&s);
	drawn_free(a);
	drawn_free(b);
}

/* Tokens of two models overlap: vectors over those in common are what they would be if both had
 * only these. */
Test(forks_match, a_view_has_the_tokens_that_both_have)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 20, 16, 3, 64, DRAWN_NORMAL };
	struct drawn *d = drawn_new(&shape, 1);
	struct fork_sketch *a = drawn_sketch(d), *b = drawn_sketch(d), *small;
	struct fork_view va, vb;

	for (uint32_t t = 0; t < 64; t++) {
		b->token[t] = t < 40 ? t + 1 : t + 1000;
		b->token_id[t] += 500;
	}
	cr_assert_eq(fork_views_open(&va, &vb, a, b, RUNG_TOKEN, NULL), 0);
	d->tokens = 40;
	small = drawn_sketch(d);
	cr_assert_eq(va.part[0][0].width, 48);
	cr_assert_eq(small->block[0].part[0].token_width, 48);
	for (uint32_t i = 0; i < 20 * 48; i++) {
		cr_expect_leq(abs(va.part[0][0].v[i] - small->block[0].part[0].token[i]), 2);
		cr_expect_eq(va.part[0][0].v[i], vb.part[0][0].v[i]);
	}
	fork_view_close(&va);
	fork_view_close(&vb);
	for (uint32_t t = 20; t < 64; t++)
		b->token[t] = t + 1000;
	cr_assert_eq(fork_views_open(&va, &vb, a, b, RUNG_TOKEN, NULL), 0);
	cr_expect_eq(va.part[0][0].width, 0);
	fork_view_close(&va);
	fork_view_close(&vb);
	b->tokens_by_id = true;
	cr_assert_eq(fork_views_open(&va, &vb, a, b, RUNG_TOKEN, NULL), 0);
	cr_expect_eq(vb.part[0][2].width, 0);
	fork_view_close(&va);
	fork_view_close(&vb);
	drawn_sketch_free(a);
	drawn_sketch_free(b);
	drawn_sketch_free(small);
	drawn_free(d);
}

/* ---- blocks ---- */

#define LAYERS 6
#define EACH 3 /* experts of a layer */

/* b has layer from[l] of a in layer l, -1: drawn anew; `experts`: its experts in another order. */
static struct drawn *relayered(const struct drawn *a, const int *from, uint32_t layers,
			       bool experts)
{
	struct drawn_shape shape = { FORK_EXPERT, layers, EACH, 32, 48, 3, 48, DRAWN_TRAINED };
	struct drawn *b = drawn_new(&shape, 77);

	for (size_t i = 0; i < b->blocks; i++) {
		struct drawn_block *y = &b->block[i];
		uint32_t index = experts ? (y->index + y->layer + 1) % EACH : y->index;

		if (from[y->layer] < 0)
			continue;
		for (uint32_t p = 0; p < 3; p++)
			memcpy(y->v[p], a->block[(uint32_t)from[y->layer] * EACH + index].v[p],
			       sizeof(float) * 32 * 48);
	}
	memcpy(b->embedding, a->embedding, sizeof(float) * 48 * 48);
	return b;
}

Test(forks_match, layers_are_found_wherever_they_are)
{
	static const struct {
		const char *name;
		int from[2 * LAYERS];
		uint32_t layers;
	} row[] = {
		{ "as they are", { 0, 1, 2, 3, 4, 5 }, 6 },
		{ "first dropped", { 1, 2, 3, 4, 5 }, 5 },
		{ "two in the middle dropped", { 0, 1, 4, 5 }, 4 },
		{ "last dropped", { 0, 1, 2, 3, 4 }, 5 },
		{ "random ones inserted", { -1, 0, 1, -1, 2, 3, 4, 5 }, 8 },
		{ "repeated", { 0, 1, 2, 3, 2, 3, 4, 5 }, 8 },
		{ "reversed", { 5, 4, 3, 2, 1, 0 }, 6 },
		{ "in any order", { 3, 0, 5, 1, 4, 2 }, 6 },
		{ "one left", { -1, -1, 4 }, 3 },
		{ "none", { -1, -1, -1, -1 }, 4 },
	};
	static const struct drawn_shape shape = { FORK_EXPERT, LAYERS, EACH, 32,
						  48,          3,      48,   DRAWN_TRAINED };

	for (size_t i = 0; i < 4 * sizeof row / sizeof *row; i++) {
		bool experts = i % 2, token = i / 2 % 2;
		const int *from = row[i / 4].from;
		struct drawn *a = drawn_new(&shape, 3),
			     *b = relayered(a, from, row[i / 4].layers, experts);
		struct fork_sketch *x, *y;
		struct rung_map map;
		size_t pairs = 0;
		uint32_t of[LAYERS] = { 0 };

		drawn_noise(b, 0.5, 4);
		if (token)
			drawn_rotate(b, 5);
		x = drawn_sketch(a);
		y = drawn_sketch(b);
		cr_assert_eq(fork_map_aligned(x, y, token ? RUNG_TOKEN : RUNG_RAW, &how, &map,
					      NULL),
			     0);
		for (uint32_t l = 0; l < row[i / 4].layers; l++) {
			cr_expect_eq(map.layer[l], from[l], "%s: layer %u is %d", row[i / 4].name,
				     l, map.layer[l]);
			if (from[l] >= 0 && !of[from[l]]++)
				pairs += EACH;
		}
		cr_expect_eq(map.pairs, pairs, "%s: %zu pairs", row[i / 4].name, map.pairs);
		for (size_t k = 0; k < map.pairs; k++) {
			const struct sketch_block *p = &x->block[map.pair[k].a],
						  *q = &y->block[map.pair[k].b];

			cr_expect_eq((int)p->layer, from[q->layer]);
			cr_expect_eq(p->index,
				     experts ? (q->index + q->layer + 1) % EACH : q->index);
		}
		fork_map_free(&map);
		drawn_sketch_free(x);
		drawn_sketch_free(y);
		drawn_free(a);
		drawn_free(b);
	}
}

/* The units at odd places may be anything: the map is the same, for it has not looked at them. */
Test(forks_match, a_map_does_not_know_the_units_that_are_tested)
{
	static const struct drawn_shape shape = { FORK_EXPERT, LAYERS, EACH, 32,
						  48,          3,      48,   DRAWN_TRAINED };
	static const int from[] = { 2, 0, 1, 5 };
	struct drawn *a = drawn_new(&shape, 3), *b = relayered(a, from, 4, true);
	struct fork_sketch *x = drawn_sketch(a), *y;
	struct rung_map map[2];
	uint64_t seed = 5;

	for (int i = 0; i < 2; i++) {
		drawn_noise(b, i == 0 ? 1 : 0, 4);
		for (size_t k = 0; k < b->blocks && i == 1; k++)
			for (uint32_t p = 0; p < 3; p++)
				for (uint32_t n = 0; n < 32 * 48; n++)
					if (n / 48 % 2)
						b->block[k].v[p][n] = (float)drawn_normal(&seed);
		y = drawn_sketch(b);
		cr_assert_eq(fork_map_aligned(x, y, RUNG_RAW, &how, &map[i], NULL), 0);
		drawn_sketch_free(y);
	}
	cr_expect_gt(map[0].pairs, 0);
	cr_assert_eq(map[0].pairs, map[1].pairs);
	cr_expect_arr_eq(map[0].pair, map[1].pair, map[0].pairs * sizeof *map[0].pair);
	fork_map_free(&map[0]);
	fork_map_free(&map[1]);
	drawn_sketch_free(x);
	drawn_free(a);
	drawn_free(b);
}
