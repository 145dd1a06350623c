/* The ladder: tests asked in turn, the first that decides ends it. Every test has the same null
 * hypothesis and is valid alone, so that the smallest p of FORK_TESTS tests, times FORK_TESTS, is
 * valid whichever of them were run. Only blocks of the body decide; what lies beside it may come
 * from a third (a vision tower, an embedding) and is told apart. */
#include "forks/distance.h"
#include "forks/identical.h"
#include "forks/rungs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct climb {
	const struct fork_sketch *a, *b;
	struct rung_how how;
	struct fork_comparison *out;
	struct fork_detail *d;
	struct rung_pair *pair[FORK_COMPONENTS]; /* [pairs] blocks by place */
	size_t pairs[FORK_COMPONENTS];
	struct rung_map map;   /* of the smallest p; empty: by place */
	struct rung_map tried; /* of the test at hand */
	double information;    /* of the judged blocks of S1: units times parts times dimensions */
};

/* ---- blocks by place ---- */

static int pair_blocks(struct climb *c, struct err *e)
{
	const struct fork_sketch *a = c->a, *b = c->b;
	size_t room = a->blocks < b->blocks ? a->blocks : b->blocks;

	for (int k = 0; k < FORK_COMPONENTS; k++) {
		c->pair[k] = calloc(room + 1, sizeof *c->pair[k]);
		if (!c->pair[k])
			return err_set(e, ERR_NOMEM, "out of memory for %zu blocks", room);
	}
	for (uint32_t i = 0, k = 0; i < a->blocks && k < b->blocks;) {
		int order = fork_sketch_place_order(&a->block[i], &b->block[k]);
		enum fork_component where = a->block[i].component;

		if (order == 0)
			c->pair[where][c->pairs[where]++] = (struct rung_pair){ i, k };
		i += order <= 0;
		k += order >= 0;
	}
	return 0;
}

static uint64_t blocks_of_body(const struct fork_sketch *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->blocks; i++)
		n += s->block[i].component == FORK_BODY;
	return n;
}

/* ---- the tests ---- */

static int by_place(struct climb *c, enum rung_view view, struct rung *out, struct err *e)
{
	return fork_s1_rung(c->a, c->b, c->pair[FORK_BODY], c->pairs[FORK_BODY], view, RUNG_ALL,
			    &c->how, out, e);
}

static int by_units(struct climb *c, enum rung_view view, struct rung *out, struct err *e)
{
	(void)view;
	return fork_s2_rung(c->a, c->b, c->pair[FORK_BODY], c->pairs[FORK_BODY], &c->how, out, e);
}

static bool moved(const struct climb *c, const struct rung_pair *p)
{
	return fork_sketch_place_order(&c->a->block[p->a], &c->b->block[p->b]) != 0;
}

static uint64_t count_moved(const struct climb *c, const struct rung_map *map)
{
	uint64_t n = 0;

	for (size_t i = 0; i < map->pairs; i++)
		n += moved(c, &map->pair[i]);
	return n;
}

static int by_map(struct climb *c, enum rung_view view, struct rung *out, struct err *e)
{
	TRY(fork_map_aligned(c->a, c->b, view, &c->how, &c->tried, e));
	if (count_moved(c, &c->tried) == 0)
		return 0; /* the test by place has asked the same */
	return fork_s1_rung(c->a, c->b, c->tried.pair, c->tried.pairs, view, RUNG_ODD, &c->how, out,
			    e);
}

static int by_matching(struct climb *c, enum rung_view view, struct rung *out, struct err *e)
{
	return fork_s3_rung(c->a, c->b, view, &c->how, out, &c->tried, e);
}

static const struct {
	int (*run)(struct climb *c, enum rung_view view, struct rung *out, struct err *e);
	enum rung_view view;
	const char *nothing; /* why there was nothing to ask */
} tests[FORK_TESTS] = {
	[FORK_TEST_S1] = { by_place, RUNG_RAW, "no block that both models have in one place" },
	[FORK_TEST_S5] = { by_place, RUNG_TOKEN, "no block that both models have in one place" },
	[FORK_TEST_S2] = { by_units, RUNG_RAW, "no block that both models have in one place" },
	[FORK_TEST_MAP] = { by_map, RUNG_RAW, "no block answers one of another place" },
	[FORK_TEST_MAP_TOKEN] = { by_map, RUNG_TOKEN, "no block answers one of another place" },
	[FORK_TEST_S3] = { by_matching, RUNG_RAW, "no blocks of one kind" },
	[FORK_TEST_S3_TOKEN] = { by_matching, RUNG_TOKEN, "no blocks of one kind" },
};

static int take_blocks(struct climb *c, enum fork_test t, const struct rung *r, struct err *e)
{
	struct fork_detail *d = c->d;
	struct fork_block *grown = realloc(d->block, (d->blocks + r->blocks + 1) * sizeof *grown);

	if (!grown)
		return err_set(e, ERR_NOMEM, "out of memory for %zu blocks", r->blocks);
	d->block = grown;
	for (size_t i = 0; i < r->blocks; i++) {
		const struct rung_block *from = &r->block[i];
		const struct sketch_block *a = &c->a->block[from->pair.a],
					  *b = &c->b->block[from->pair.b];
		struct fork_block *to = &d->block[d->blocks++];

		*to = (struct fork_block){
			.test = t,
			.name_a = arena_copy(&d->arena, a->name, strlen(a->name)),
			.name_b = arena_copy(&d->arena, b->name, strlen(b->name)),
			.kind = b->kind,
			.layer = b->layer,
			.index = b->index,
			.log_p = from->log_p,
			.z = from->z,
			.effect = from->effect,
			.draws = from->draws,
			.judged = from->judged,
			.skipped = from->skipped,
		};
		if (!to->name_a || !to->name_b)
			return err_set(e, ERR_NOMEM, "out of memory for the names of blocks");
	}
	return 0;
}

/* The reason that most of the blocks were left out for. */
static const char *usual_reason(const struct rung *r, const char *otherwise)
{
	size_t most = 0;

	for (size_t i = 0; i < r->blocks; i++) {
		size_t same = 0;

		for (size_t k = 0; r->block[i].skipped && k < r->blocks; k++)
			same += r->block[k].skipped == r->block[i].skipped;
		if (same > most) {
			most = same;
			otherwise = r->block[i].skipped;
		}
		if (i > 64) /* of so many the first tell it */
			break;
	}
	return otherwise;
}

static void count_information(struct climb *c, const struct rung *r)
{
	for (size_t i = 0; i < r->blocks; i++) {
		const struct sketch_block *a = &c->a->block[r->block[i].pair.a],
					  *b = &c->b->block[r->block[i].pair.b];
		uint32_t first = a->first < b->first ? a->first : b->first;
		uint64_t wide = a->part[0].raw_width < a->hidden ? a->part[0].raw_width : a->hidden;

		if (r->block[i].judged)
			c->information += (double)(a->parts * first) * (double)wide;
	}
}

static int take_rung(struct climb *c, enum fork_test t, const struct rung *r, struct err *e)
{
	struct fork_test_result *to = &c->d->test[t];

	*to = (struct fork_test_result){
		.run = r->run,
		.tested = r->run && r->judged > 0,
		.log_p = r->judged > 0 ? fmin(r->log_p, 0) : 0,
		.log_fisher = r->log_fisher,
		.log_smallest = r->log_smallest,
		.stouffer = r->stouffer,
		.effect = r->effect,
		.judged = r->judged,
		.skipped = r->skipped,
		.draws = r->draws,
	};
	if (!to->tested)
		to->reason = usual_reason(r, tests[t].nothing);
	if (t == FORK_TEST_S1)
		count_information(c, r);
	return take_blocks(c, t, r, e);
}

static bool decided(const struct fork_detail *d) { return fork_ladder_log_p(d) <= log(d->alpha); }

/* Keep the map of the test with the smallest p. */
static void keep_best(struct climb *c, enum fork_test t)
{
	struct fork_detail *d = c->d;

	if (t != FORK_TEST_S1 && !(d->test[t].log_p < d->test[d->best].log_p)) {
		fork_map_free(&c->tried);
		return;
	}
	d->best = t;
	fork_map_free(&c->map);
	c->map = c->tried;
	c->tried = (struct rung_map){ 0 };
}

static int ask(struct climb *c, enum fork_test t, struct err *e)
{
	struct rung r = { 0 };
	int rc = tests[t].run(c, tests[t].view, &r, e);

	if (rc == 0)
		rc = take_rung(c, t, &r, e);
	fork_rung_free(&r);
	if (rc == 0)
		keep_best(c, t);
	return rc;
}

static const char *not_needed(struct fork_detail *d, const char *why)
{
	char text[80];

	snprintf(text, sizeof text, "not needed: %s", why);
	return arena_copy(&d->arena, text, strlen(text));
}

/* S1 is asked of identical models too: hashes are no proof. */
static int ask_all(struct climb *c, struct err *e)
{
	struct fork_detail *d = c->d;
	const char *ended = d->same_all ? "every tensor has the same values" : NULL;

	for (enum fork_test t = 0; t < FORK_TESTS; t++) {
		if (ended && t != FORK_TEST_S1) {
			d->test[t].reason = not_needed(d, ended);
			continue;
		}
		TRY(ask(c, t, e));
		if (!d->all_rungs && !ended && decided(d))
			ended = t == FORK_TEST_S1 ? "s1 decides" : fork_test_name(t);
	}
	return 0;
}

/* ---- beside the tests ---- */

/* What lies beside the body, compared on its own: whose tower it is. */
static int ask_beside(struct climb *c, enum fork_component k, struct err *e)
{
	struct fork_beside *to = &c->d->beside[k];
	struct rung r = { 0 };

	if (c->pairs[k] == 0)
		return 0;
	TRY(fork_s1_rung(c->a, c->b, c->pair[k], c->pairs[k], RUNG_RAW, RUNG_ALL, &c->how, &r, e));
	*to = (struct fork_beside){
		.blocks = r.judged,
		.log_p = fmin(r.log_p, 0),
		.effect = r.effect,
		.tested = r.judged > 0,
	};
	fork_rung_free(&r);
	return 0;
}

/* Of two that depend: the map under which they are nearest, in place of the one that decided, if
 * that is another. What moved nothing but units passes no more for a change. */
static int find_nearest(struct climb *c, struct err *e)
{
	struct rung_distance now, far;
	struct rung_map map;

	if (c->d->same_all || !decided(c->d))
		return 0;
	if (!fork_distance(c->a, c->b, c->map.pairs > 0 ? &c->map : NULL, &now))
		now.cosine = 0;
	TRY(fork_distance_map(c->a, c->b, c->how.pool, &map, &far, e));
	if (map.pairs == 0 ||
	    far.cosine * (double)far.units <= 1.01 * now.cosine * (double)now.units) {
		fork_map_free(&map);
		return 0;
	}
	fork_map_free(&c->map);
	c->map = map;
	return 0;
}

static int take_map(struct climb *c, struct err *e)
{
	struct fork_detail *d = c->d;

	d->mapped = c->map.pairs;
	d->moved = count_moved(c, &c->map);
	if (c->map.layers == 0 || !decided(d))
		return 0;
	d->layers = c->map.layers;
	d->layer = arena_array(&d->arena, d->layers, sizeof *d->layer);
	if (!d->layer)
		return err_set(e, ERR_NOMEM, "out of memory for a map of %u layers", d->layers);
	memcpy(d->layer, c->map.layer, d->layers * sizeof *d->layer);
	return 0;
}

/* How far they are apart, over the map or by place. */
static void measure(struct climb *c)
{
	const struct rung_map *map = c->map.pairs > 0 && decided(c->d) ? &c->map : NULL;
	struct fork_s4 s4 = fork_s4_effect(c->a, c->b, map);
	struct rung_distance far;

	c->out->effect = c->out->relative_l2 = NAN;
	if (fork_distance(c->a, c->b, map, &far)) {
		c->out->effect = far.cosine;
		c->out->relative_l2 = far.relative_l2;
		c->d->realigned = map || far.view == RUNG_TOKEN;
	}
	c->d->s4_run = s4.run;
	c->d->s4_effect = s4.effect;
	c->d->s4_unrelated = s4.unrelated_mean;
	c->d->s4_high = s4.unrelated_high;
	c->d->s4_layers = s4.layers;
}

static const char *const power_sentence[] = {
	"too few blocks of both models could be judged: that nothing was found says nothing",
	("a copy in the same order would have shown, however it was trained on; one whose units "
	 "were put in another order, or whose residual stream was rotated, might not have; "
	 "training on the outputs of a model never shows"),
	("a copy would have shown, trained on, merged, rounded, its units in another order, or "
	 "rotated; training on the outputs of a model never shows"),
};

/* Plain dependence shifts the sum of the cosines of all judged units by their mean cosine times
 * their number; what such a sum of independent ones strays by is 1 over the root of all terms. */
static void weigh_power(struct climb *c)
{
	const struct fork_test_result *t = c->d->test;
	struct fork_power *p = &c->out->power;
	uint64_t a = blocks_of_body(c->a), b = blocks_of_body(c->b);
	double strays = sqrt(2 * log(2 * FORK_TESTS / c->d->alpha));

	p->blocks = t[FORK_TEST_S1].judged;
	p->cosine = c->information > 0 ? fmin(1, strays / sqrt(c->information)) : 1;
	p->plain = p->blocks > 0 && 2 * p->blocks >= (a < b ? a : b) && p->cosine <= 0.25;
	p->permuted = p->plain && t[FORK_TEST_S3].tested;
	p->rotated = p->plain && (t[FORK_TEST_S5].tested || t[FORK_TEST_S2].tested) &&
		     t[FORK_TEST_S3_TOKEN].tested;
	p->can_see = p->plain && p->permuted && p->rotated;
	p->sentence = power_sentence[p->plain + p->can_see];
	if (c->d->stream.found) {
		p->can_see = false;
		p->sentence = "both models' first weights are one stream of random numbers, cut "
			      "into other shapes, as one seed of a library gives; beside "
			      "that no dependence can be told";
	} else if (c->d->same_all || decided(c->d)) { /* tests that were not needed were not asked */
		p->can_see = true;
		p->sentence = "a dependence was found";
	}
}

/* Where something was found: not if all of it is one stream of random numbers. */
static int look_for_stream(struct climb *c, struct err *e)
{
	const struct rung_map *map = c->map.pairs > 0 ? &c->map : NULL;

	if (c->d->same_all || (!decided(c->d) && c->out->identical == 0))
		return 0;
	return fork_stream_look(c->a, c->b, map ? map->pair : c->pair[FORK_BODY],
				map ? map->pairs : c->pairs[FORK_BODY], map ? map->unit : NULL,
				&c->d->stream, e);
}

static int take_calibrations(struct climb *c, struct err *e)
{
	const struct fork_calibrations *of[2] = { c->a->calibrations, c->b->calibrations };
	struct fork_detail *d = c->d;
	size_t room = (of[0] ? of[0]->count : 0) + (of[1] ? of[1]->count : 0);

	d->calibration = arena_array(&d->arena, room + 1, sizeof *d->calibration);
	if (!d->calibration)
		return err_set(e, ERR_NOMEM, "out of memory for %zu calibrations", room);
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; of[i] && k < of[i]->count; k++)
			d->calibration[d->calibrations++] = of[i]->at[k];
		if (i == 0)
			d->calibrations_a = d->calibrations;
	}
	d->notes_a = arena_copy(&d->arena, c->a->notes, c->a->notes ? strlen(c->a->notes) : 0);
	d->notes_b = arena_copy(&d->arena, c->b->notes, c->b->notes ? strlen(c->b->notes) : 0);
	if (!d->notes_a || !d->notes_b)
		return err_set(e, ERR_NOMEM, "out of memory for what was left out");
	return 0;
}

/* ---- the whole ---- */

static int climb_all(struct climb *c, struct err *e)
{
	TRY(fork_tensors_pair(c->a, c->b, c->d, e));
	fork_tensors_sum(c->out);
	TRY(pair_blocks(c, e));
	TRY(ask_all(c, e));
	TRY(ask_beside(c, FORK_TOWER, e));
	TRY(ask_beside(c, FORK_DRAFT, e));
	TRY(find_nearest(c, e));
	TRY(take_map(c, e));
	TRY(look_for_stream(c, e));
	measure(c);
	weigh_power(c);
	TRY(take_calibrations(c, e));
	fork_verdict_draw(c->out);
	return 0;
}

int fork_compare(const struct fork_sketch *a, const struct fork_sketch *b,
		 const struct fork_options *how, struct fork_comparison *out, struct err *e)
{
	struct climb c = {
		.a = a,
		.b = b,
		.out = out,
		.how = { .seed = how->seed, .alpha = how->alpha / FORK_TESTS, .pool = how->pool },
	};
	int rc;

	*out = (struct fork_comparison){ 0 };
	if (!(how->alpha > 0 && how->alpha < 1))
		return err_set(e, ERR_INPUT, "alpha must lie between 0 and 1, not %g", how->alpha);
	c.d = out->detail = calloc(1, sizeof *c.d);
	if (!c.d)
		return err_set(e, ERR_NOMEM, "out of memory for a comparison");
	c.d->alpha = how->alpha;
	c.d->seed = how->seed;
	c.d->all_rungs = how->all_rungs;
	rc = climb_all(&c, e);
	fork_map_free(&c.map);
	fork_map_free(&c.tried);
	for (int k = 0; k < FORK_COMPONENTS; k++)
		free(c.pair[k]);
	if (rc < 0)
		fork_comparison_free(out);
	return rc;
}
