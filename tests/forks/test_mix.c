/* Distances, mixes and kinship of models that are drawn. */
#include "drawn.h"
#include "forks/distance.h"
#include "forks/mix.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *kin_name(enum fork_kin k)
{
	static const char *const name[FORK_KINS] = {
		[FORK_KIN_UNTOLD] = "dependent", [FORK_KIN_PARENT] = "parent",
		[FORK_KIN_MIXED] = "mixed",      [FORK_KIN_BEYOND] = "beyond-parent",
		[FORK_KIN_SIBLING] = "sibling",
	};

	return name[k];
}

#define LAYERS 4
#define ROOM 12

static const struct drawn_shape shape = { FORK_DENSE, LAYERS, 1, 48, 160, 3, 64, DRAWN_TRAINED };

/* The model names of one test, drawn as a family. */
struct family {
	struct drawn *m[ROOM];
	struct fork_sketch *s[ROOM];
	const struct fork_sketch *list[ROOM];
	uint32_t count;
};

static uint32_t add(struct family *f, struct drawn *m)
{
	f->m[f->count] = m;
	return f->count++;
}

static uint32_t base(struct family *f, uint64_t seed) { return add(f, drawn_new(&shape, seed)); }

static uint32_t child(struct family *f, uint32_t of, double change, uint64_t seed)
{
	struct drawn *m = drawn_copy(f->m[of]);

	drawn_noise(m, change, seed);
	return add(f, m);
}

/* sum of weight[i] * model i, in the layers from `from` on; the others are model 0's. */
static uint32_t mix(struct family *f, const uint32_t *of, const double *weight, uint32_t count,
		    uint32_t from)
{
	struct drawn *m = drawn_copy(f->m[of[0]]);

	for (size_t i = 0; i < m->blocks; i++)
		for (uint32_t p = 0; p < m->block[i].parts && m->block[i].layer >= from; p++)
			for (size_t k = 0; k < (size_t)48 * 160; k++) {
				double sum = 0;

				for (uint32_t n = 0; n < count; n++)
					sum += weight[n] * (double)f->m[of[n]]->block[i].v[p][k];
				m->block[i].v[p][k] = (float)sum;
			}
	return add(f, m);
}

static void sketches(struct family *f)
{
	for (uint32_t i = 0; i < f->count; i++)
		f->list[i] = f->s[i] = drawn_sketch(f->m[i]);
}

static void family_free(struct family *f)
{
	for (uint32_t i = 0; i < f->count; i++) {
		drawn_free(f->m[i]);
		drawn_sketch_free(f->s[i]);
	}
	*f = (struct family){ 0 };
}

static double true_l2(const struct drawn *a, const struct drawn *b)
{
	double difference = 0, squares = 0;

	for (size_t i = 0; i < a->blocks; i++)
		for (uint32_t p = 0; p < 3; p++)
			for (size_t k = 0; k < (size_t)48 * 160; k++) {
				double x = a->block[i].v[p][k], y = b->block[i].v[p][k];

				difference += (y - x) * (y - x);
				squares += x * x;
			}
	return sqrt(difference / squares);
}

/* ---- distances ---- */

Test(forks_distance, a_sketch_knows_how_far_the_weights_are)
{
	static const double change[] = { 0, 0.005, 0.05, 0.3, 1 };
	struct family f = { 0 };

	base(&f, 1);
	for (uint32_t i = 0; i < 5; i++)
		child(&f, 0, change[i], i);
	sketches(&f);
	for (uint32_t i = 0; i < 5; i++) {
		struct rung_distance d;
		double really = true_l2(f.m[0], f.m[i + 1]);

		cr_assert(fork_distance(f.s[0], f.s[i + 1], NULL, &d));
		cr_log_info("%g: %g, really %g, cosine %g", change[i], d.relative_l2, really,
			    d.cosine);
		cr_expect(fabs(d.relative_l2 - really) <= 0.05 * really + 0.0005, "%g: %g %g",
			  change[i], d.relative_l2, really);
		cr_expect(change[i] > 0 || d.relative_l2 == 0);
		cr_expect_eq(d.units, LAYERS * 48);
		cr_expect_eq((int)d.view, RUNG_RAW);
	}
	family_free(&f);
}

/* Units in another order, scaled inside, layers exchanged: the map makes the distance what it was. */
Test(forks_distance, a_map_undoes_what_keeps_the_function)
{
	static const char *const name[] = { "layers exchanged", "other order", "rotated",
					    "scaled" };

	for (int way = 0; way < 4; way++) {
		struct family f = { 0 };
		struct rung_distance d;
		struct rung_map map;
		struct drawn_block *x, *y, old;

		base(&f, 1);
		child(&f, 0, 0.1, 2);
		x = &f.m[1]->block[1];
		y = &f.m[1]->block[2];
		old = *x;
		if (way == 0)
			for (uint32_t p = 0; p < 3; p++) {
				x->v[p] = y->v[p];
				y->v[p] = old.v[p];
			}
		if (way == 1 || way == 2)
			drawn_shuffle(f.m[1], 3);
		if (way == 2)
			drawn_rotate(f.m[1], 4);
		for (uint32_t p = 1; p < 3 && way == 3; p++)
			for (uint32_t k = 0; k < 48 * 160; k++)
				x->v[p][k] *= p == 1 ? 7 : 1.0f / 7;
		sketches(&f);
		cr_assert_eq(fork_distance_map(f.s[0], f.s[1], NULL, &map, &d, NULL), 0);
		cr_log_info("%s: %g, cosine %g", name[way], d.relative_l2, d.cosine);
		cr_expect(fabs(d.relative_l2 - 0.1) < 0.01, "%s: %g", name[way], d.relative_l2);
		cr_expect_eq(map.pairs > 0, way < 3, "%s", name[way]);
		cr_expect_eq(d.units, LAYERS * 48, "%s: %d", name[way], (int)d.units);
		fork_map_free(&map);
		family_free(&f);
	}
}

/* ---- mixes ---- */

static void expect_mix(const struct family *f, const uint32_t *of, const double *weight,
		       uint32_t count, uint32_t suspect, double within, bool mixed,
		       const char *name)
{
	const struct fork_sketch *parent[FORK_MIX_PARENTS];
	struct fork_mix m;

	for (uint32_t i = 0; i < count; i++)
		parent[i] = f->s[of[i]];
	cr_assert_eq(fork_mix(parent, count, f->s[suspect], NULL, &m, NULL), 0);
	cr_expect(m.fitted, "%s", name);
	for (uint32_t i = 0; i < count; i++) {
		cr_log_info("%s: weight %g (%g), residual %g, nearest %g, mixed %d", name,
			    m.weight[i], weight[i], m.residual, m.nearest, m.mixed);
		cr_expect(fabs(m.weight[i] - weight[i]) < within, "%s: %g for %g", name,
			  m.weight[i], weight[i]);
	}
	cr_expect_eq(m.mixed, mixed, "%s", name);
	fork_mix_free(&m);
}

Test(forks_mix, weights_are_what_the_models_were_mixed_by)
{
	static const struct {
		const char *name;
		uint32_t of[3];
		double weight[3];
		uint32_t count;
		bool mixed;
	} row[] = {
		{ "average", { 1, 2 }, { 0.5, 0.5 }, 2, true },
		{ "linear", { 1, 2, 3 }, { 0.2, 0.3, 0.5 }, 3, true },
		{ "task arithmetic", { 0, 1, 2 }, { -0.4, 0.8, 0.6 }, 3, true },
		{ "with the base", { 0, 1 }, { 0.3, 0.7 }, 2, true },
		{ "one alone", { 1, 2 }, { 1, 0 }, 2, false },
		{ "further the same way", { 0, 1 }, { -0.5, 1.5 }, 2, false },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		for (int noisy = 0; noisy < 2; noisy++) {
			struct family f = { 0 };
			uint32_t suspect;

			base(&f, 1);
			child(&f, 0, 0.10, 2);
			child(&f, 0, 0.10, 3);
			child(&f, 0, 0.12, 4);
			suspect = mix(&f, row[i].of, row[i].weight, row[i].count, 0);
			drawn_noise(f.m[suspect], noisy ? 0.01 : 0, 5);
			sketches(&f);
			expect_mix(&f, row[i].of, row[i].weight, row[i].count, suspect,
				   noisy ? 0.04 : 0.015, row[i].mixed, row[i].name);
			family_free(&f);
		}
}

/* The first two layers of one, the last two of another, with one repeated. */
Test(forks_mix, layers_of_several_models_are_told_apart)
{
	struct family f = { 0 };
	struct drawn_shape longer = shape;
	static const struct {
		uint32_t of, layer;
	} from[] = { { 0, 0 }, { 0, 1 }, { 1, 1 }, { 1, 2 }, { 0, 3 } };
	const struct fork_sketch *parent[2];
	struct fork_mix m;

	base(&f, 1);
	child(&f, 0, 0.2, 2);
	longer.layers = 5;
	add(&f, drawn_new(&longer, 9));
	for (uint32_t l = 0; l < 5; l++)
		for (uint32_t p = 0; p < 3; p++)
			memcpy(f.m[2]->block[l].v[p], f.m[from[l].of]->block[from[l].layer].v[p],
			       48 * 160 * sizeof(float));
	drawn_noise(f.m[2], 0.01, 3);
	sketches(&f);
	parent[0] = f.s[0];
	parent[1] = f.s[1];
	cr_assert_eq(fork_mix(parent, 2, f.s[2], NULL, &m, NULL), 0);
	cr_assert_eq(m.layers, 5);
	for (uint32_t l = 0; l < 5; l++) {
		cr_expect_eq(m.layer[l].parent, (int)from[l].of, "%u: %d", l, m.layer[l].parent);
		cr_expect_eq(m.layer[l].layer, (int)from[l].layer, "%u: %d", l, m.layer[l].layer);
	}
	fork_mix_free(&m);
	family_free(&f);
}

/* ---- kinship ---- */

static void expect_kin(const struct family *f, const enum fork_kin *kin, const double *weight,
		       const char *name)
{
	double square[ROOM * ROOM];
	struct fork_kinship out[ROOM];

	cr_assert_eq(fork_squares(f->list, f->count, NULL, square, NULL), 0);
	cr_assert(fork_kinship(square, f->count, out));
	for (uint32_t i = 0; i + 1 < f->count; i++) {
		cr_log_info("%s: %u %s weight %.3f l2 %.3f branch %.3f", name, i,
			    kin_name(out[i].kin), out[i].weight, out[i].l2, out[i].branch);
		cr_expect_str_eq(kin_name(out[i].kin), kin_name(kin[i]), "%s: %u is %s", name, i,
				 kin_name(out[i].kin));
		cr_expect(fabs(out[i].weight - (weight ? weight[i] : 0)) < 0.05, "%s: %u %g", name,
			  i, out[i].weight);
	}
}

#define P FORK_KIN_PARENT
#define B FORK_KIN_BEYOND
#define S FORK_KIN_SIBLING
#define M FORK_KIN_MIXED
#define U FORK_KIN_UNTOLD

Test(forks_kinship, a_child_of_the_base_has_siblings_beyond_it)
{
	struct family f = { 0 };

	base(&f, 1);
	child(&f, 0, 0.1, 2);
	child(&f, 0, 0.05, 3);
	child(&f, 0, 0.08, 4);
	sketches(&f);
	expect_kin(&f, (enum fork_kin[]){ P, B, B }, NULL, "child of the base");
	family_free(&f);
}

Test(forks_kinship, a_grandchild_has_the_base_beyond_its_parent)
{
	struct family f = { 0 };

	base(&f, 1);
	child(&f, 0, 0.1, 2);
	child(&f, 0, 0.05, 3);
	child(&f, 1, 0.08, 4);
	sketches(&f);
	expect_kin(&f, (enum fork_kin[]){ B, P, B }, NULL, "grandchild");
	family_free(&f);
}

/* Rounded only: what the squares to the others differ by is noise. */
Test(forks_kinship, what_was_hardly_changed_is_a_child)
{
	static const double change[] = { 0.01, 0.003, 0.0005 };

	for (uint32_t i = 0; i < 3; i++) {
		struct family f = { 0 };

		base(&f, 1);
		child(&f, 0, 0.3, 2);
		child(&f, 0, 0.2, 3);
		child(&f, 1, 0.25, 4);
		child(&f, 1, change[i], 5);
		sketches(&f);
		expect_kin(&f, (enum fork_kin[]){ B, P, B, B }, NULL, "rounded");
		family_free(&f);
	}
}

/* The base itself is not among the registered. */
Test(forks_kinship, children_of_an_unknown_base_are_siblings)
{
	struct family f = { 0 };
	struct drawn *unknown;

	base(&f, 1);
	child(&f, 0, 0.1, 2);
	child(&f, 0, 0.12, 3);
	child(&f, 0, 0.08, 4);
	unknown = f.m[0];
	memmove(f.m, f.m + 1, 3 * sizeof *f.m);
	f.count = 3;
	sketches(&f);
	expect_kin(&f, (enum fork_kin[]){ S, S }, NULL, "unknown base");
	family_free(&f);
	drawn_free(unknown);
}

/* A base lies in the middle of its children, but as far from their mean as they say. */
Test(forks_kinship, the_base_of_registered_children_is_no_mix)
{
	struct family f = { 0 };
	struct drawn *swap;

	base(&f, 1);
	for (uint64_t i = 0; i < 5; i++)
		child(&f, 0, 0.1, 2 + i);
	swap = f.m[0];
	f.m[0] = f.m[5];
	f.m[5] = swap;
	sketches(&f);
	expect_kin(&f, (enum fork_kin[]){ P, U, U, U, U }, NULL, "the base itself");
	family_free(&f);
}

Test(forks_kinship, a_mix_has_its_parents_with_weights)
{
	for (int way = 0; way < 5; way++) {
		static const char *const name[] = { "two of three", "three", "with the base known",
						    "then rounded", "further trained" };
		static const double weight[][3] = { { 0.6, 0.4, 0 },
						    { 0.3, 0.3, 0.4 },
						    { 0.5, 0.5, 0 },
						    { 0.5, 0.5, 0 },
						    { 0.5, 0.5, 0 } };
		struct family f = { 0 };
		struct drawn *unknown;
		uint32_t m;

		base(&f, 1);
		child(&f, 0, 0.1, 2);
		child(&f, 0, 0.1, 3);
		child(&f, 0, 0.08, 4);
		m = mix(&f, (uint32_t[]){ 1, 2, 3 }, weight[way], 3, 0);
		drawn_noise(f.m[m], way == 3 ? 0.12 : way == 4 ? 0.03 : 0, 7);
		if (way == 2 || way == 3) {
			sketches(&f);
			expect_kin(&f, (enum fork_kin[]){ U, M, M, U },
				   (double[]){ 0, 0.5, 0.5, 0 }, name[way]);
			family_free(&f);
			continue;
		}
		unknown = f.m[0];
		memmove(f.m, f.m + 1, 4 * sizeof *f.m);
		f.count = 4;
		sketches(&f);
		expect_kin(&f, (enum fork_kin[]){ M, M, way == 1 ? M : U }, weight[way], name[way]);
		family_free(&f);
		drawn_free(unknown);
	}
}

/* Layers of two children, as stacking makes them; their base may be known. */
Test(forks_kinship, layers_of_two_models_are_a_mix)
{
	static const struct {
		const char *name;
		uint32_t second; /* whose the last layers are */
	} row[] = { { "stacked", 2 }, { "with the base", 0 }, { "a child", 1 }, { "frozen", 1 } };

	for (int way = 0; way < 4; way++) {
		struct family f = { 0 };
		double square[ROOM * ROOM];
		struct fork_kinship kin[ROOM];
		uint32_t m;

		base(&f, 1);
		child(&f, 0, 0.2, 2);
		child(&f, 0, 0.2, 3);
		for (size_t i = 0; i < 2 && way == 3; i++) /* what its parent never trained */
			for (uint32_t p = 0; p < 3; p++)
				memcpy(f.m[1]->block[i].v[p], f.m[0]->block[i].v[p],
				       sizeof(float) * 48 * 160);
		m = mix(&f, (uint32_t[]){ 1, row[way].second }, (double[]){ 0, 1 }, 2, 2);
		drawn_noise(f.m[m], way == 3 ? 0 : 0.02, 5);
		sketches(&f);
		cr_assert_eq(fork_squares(f.list, f.count, NULL, square, NULL), 0);
		cr_assert(fork_kinship(square, f.count, kin));
		cr_assert_eq(fork_kin_layers(f.list, f.count, NULL, kin, NULL), 0);
		for (uint32_t i = 0; i < 3; i++)
			cr_log_info("%s: %u %s %g", row[way].name, i, kin_name(kin[i].kin),
				    kin[i].weight);
		for (uint32_t i = 0; i < 3 && way < 2; i++) {
			bool in = i == 1 || i == row[way].second;

			cr_expect_eq(kin[i].kin == FORK_KIN_MIXED, in, "%s: %u", row[way].name, i);
			cr_expect(fabs(kin[i].weight - (in ? 0.5 : 0)) < 0.05, "%s: %u %g",
				  row[way].name, i, kin[i].weight);
		}
		cr_expect(way < 2 || kin[1].kin == FORK_KIN_PARENT);
		family_free(&f);
	}
}

Test(forks_kinship, nothing_in_common_is_no_kinship)
{
	const double square[] = { 0, 0.1, NAN, 0.1, 0, NAN, NAN, NAN, 0 };
	struct fork_kinship out[2];

	cr_expect_not(fork_kinship(square, 3, out));
	cr_expect_not(fork_kinship(square, 1, out));
}
