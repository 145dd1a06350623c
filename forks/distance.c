/* Distances between models, from the sums of squares and products of their units' vectors. raw *
 * norm is linear in the weights and keeps lengths on the average, so that the differences of two
 * such vectors have the lengths of the weights' differences: exact where these are zero, within
 * 1 / 4096 of a unit's length by the fixed point. */
#include "forks/distance.h"

#include "forks/match.h"

#include <math.h>
#include <stdlib.h>

#define ALIKE 0.8      /* mean cosine from which on tokens are not asked */
#define STRAY 0.25     /* a cosine below it: a unit beside one that is another */
#define STRAYS_MOST 40 /* a map is looked for if more than one in so many is */

/* The two models, one view of both. */
struct distance {
	struct fork_view va, vb;
	struct distance_sums *layer;
};

static int32_t product(const struct view_part *x, uint32_t i, const struct view_part *y, uint32_t j)
{
	struct dots_side u = { x->v + (size_t)i * x->width, 1, x->width },
			 v = { y->v + (size_t)j * y->width, 1, y->width };
	int32_t out;

	fork_dots(&u, &v, fork_view_width(x, y), &out);
	return out;
}

/* Half of it for each side, so that the distance is symmetric: the root of how much the input of
 * b's unit is larger than a's, against its output. */
static double free_scale(const struct distance *d, struct rung_pair pair, uint32_t i, uint32_t j)
{
	const struct sketch_block *a = &d->va.sketch->block[pair.a];
	const struct view_part *x, *y;
	double up, down;

	if (a->parts < 2 || (a->parts == 2 && a->kind != FORK_ATTENTION))
		return 1; /* what lies between is no product */
	x = &d->va.part[pair.a][a->parts - 2];
	y = &d->vb.part[pair.b][a->parts - 2];
	if (x[0].width == 0 || x[1].width == 0 || y[0].width == 0 || y[1].width == 0)
		return 1;
	up = (double)y[0].norm[j] / (double)x[0].norm[i];
	down = (double)y[1].norm[j] / (double)x[1].norm[i];
	return up > 0 && down > 0 && isfinite(up) && isfinite(down) ? sqrt(sqrt(up / down)) : 1;
}

/* Unit i of a and unit j of b. mapped: negated together with another part is the same unit. */
static void add_unit(struct distance *d, struct rung_pair pair, uint32_t i, uint32_t j, bool mapped,
		     struct distance_sums *s)
{
	const struct sketch_block *a = &d->va.sketch->block[pair.a];
	double scale = free_scale(d, pair, i, j);
	bool some = false;

	for (uint32_t p = 0; p < a->parts; p++) {
		const struct view_part *x = &d->va.part[pair.a][p], *y = &d->vb.part[pair.b][p];
		double na, nb, xx, yy, xy;

		if (x->width == 0 || y->width == 0)
			continue;
		na = (double)x->norm[i] * x->scale;
		nb = (double)y->norm[j] * y->scale;
		if (na == 0 && nb == 0)
			continue;
		if (p + 2 >= a->parts) {
			double by = p + 2 == a->parts ? scale : 1 / scale;

			na *= by;
			nb /= by;
		}
		xx = product(x, i, x, i);
		yy = product(y, j, y, j);
		xy = product(x, i, y, j);
		if (mapped && xy < 0)
			xy = -xy;
		s->difference += na * na * xx + nb * nb * yy - 2 * (na * nb * xy);
		s->a += na * na * xx;
		s->b += nb * nb * yy;
		if (xx > 0 && yy > 0) {
			s->cosines += xy / sqrt(xx * yy);
			s->cosined++;
			s->strays += xy < STRAY * sqrt(xx * yy);
		}
		some = true;
	}
	s->units += some;
}

static void add_pair(struct distance *d, struct rung_pair pair, const uint32_t *unit)
{
	const struct sketch_block *a = &d->va.sketch->block[pair.a],
				  *b = &d->vb.sketch->block[pair.b];
	uint32_t first = a->first < b->first ? a->first : b->first,
		 layer = b->layer < d->vb.sketch->layers ? b->layer : d->vb.sketch->layers;

	if (a->parts != b->parts)
		return;
	for (uint32_t j = 0; j < (unit ? b->kept : first); j++)
		if (!unit || unit[j] < a->kept)
			add_unit(d, pair, unit ? unit[j] : j, j, unit != NULL, &d->layer[layer]);
}

/* Blocks of the body of equal kind, layer and index. */
static void add_places(struct distance *d)
{
	const struct fork_sketch *a = d->va.sketch, *b = d->vb.sketch;
	uint32_t i = 0, j = 0;

	while (i < a->blocks && j < b->blocks) {
		int order = fork_sketch_place_order(&a->block[i], &b->block[j]);

		if (order == 0 && a->block[i].component == FORK_BODY)
			add_pair(d, (struct rung_pair){ i, j }, NULL);
		i += order <= 0;
		j += order >= 0;
	}
}

int fork_distance_layers(const struct fork_sketch *a, const struct fork_sketch *b,
			 const struct rung_map *map, enum rung_view view,
			 struct distance_sums *layer, struct err *e)
{
	struct distance d = { .layer = layer };

	for (uint32_t l = 0; l <= b->layers; l++)
		layer[l] = (struct distance_sums){ 0 };
	TRY(fork_views_open(&d.va, &d.vb, a, b, view, e));
	if (!map)
		add_places(&d);
	for (size_t i = 0; map && i < map->pairs; i++)
		add_pair(&d, map->pair[i], map->unit ? map->unit[i] : NULL);
	fork_view_close(&d.va);
	fork_view_close(&d.vb);
	return 0;
}

struct rung_distance fork_distance_of(const struct distance_sums *s, enum rung_view view)
{
	struct rung_distance out = { .view = view, .units = s->units };
	double difference = fmax(0, s->difference);

	if (s->cosined == 0 || s->a <= 0)
		return (struct rung_distance){ .view = view };
	out.relative_l2 = sqrt(difference / s->a);
	out.square = difference / ((s->a + s->b) / 2);
	out.cosine = s->cosines / (double)s->cosined;
	out.strays = (double)s->strays / (double)s->cosined;
	return out;
}

static int distance_in(const struct fork_sketch *a, const struct fork_sketch *b,
		       const struct rung_map *map, enum rung_view view, struct rung_distance *out,
		       struct err *e)
{
	struct distance_sums *layer = calloc((size_t)b->layers + 1, sizeof *layer), all = { 0 };
	int rc;

	if (!layer)
		return err_set(e, ERR_NOMEM, "out of memory for %u layers", b->layers);
	rc = fork_distance_layers(a, b, map, view, layer, e);
	for (uint32_t l = 0; rc == 0 && l <= b->layers; l++) {
		all.difference += layer[l].difference;
		all.a += layer[l].a;
		all.b += layer[l].b;
		all.cosines += layer[l].cosines;
		all.cosined += layer[l].cosined;
		all.units += layer[l].units;
		all.strays += layer[l].strays;
	}
	free(layer);
	*out = fork_distance_of(&all, view);
	return rc;
}

static int distance_either(const struct fork_sketch *a, const struct fork_sketch *b,
			   const struct rung_map *map, struct rung_distance *out, struct err *e)
{
	struct rung_distance token;

	TRY(distance_in(a, b, map, RUNG_RAW, out, e));
	if (out->cosine >= ALIKE)
		return 0;
	TRY(distance_in(a, b, map, RUNG_TOKEN, &token, e));
	if (token.cosine > 0.2 && token.cosine > 2 * fabs(out->cosine))
		*out = token;
	return 0;
}

bool fork_distance(const struct fork_sketch *a, const struct fork_sketch *b,
		   const struct rung_map *map, struct rung_distance *out)
{
	*out = (struct rung_distance){ 0 };
	return distance_either(a, b, map, out, NULL) == 0 && out->units > 0;
}

/* What the map shows of b in a: a map of the likest units alone has fewer. */
static double shown(const struct rung_distance *d) { return d->cosine * (double)d->units; }

/* Take this map if it brings them nearer by as much as counts. */
static int map_better(const struct fork_sketch *a, const struct fork_sketch *b,
		      struct rung_map *best, struct rung_distance *out, struct rung_map *other,
		      struct err *e)
{
	struct rung_distance d = { 0 };
	int rc = distance_either(a, b, other, &d, e);

	if (rc == 0 && d.units > 0 && shown(&d) > 1.01 * shown(out)) {
		fork_map_free(best);
		*best = *other;
		*out = d;
		return 0;
	}
	fork_map_free(other);
	return rc;
}

static bool may_be_better(const struct rung_distance *d)
{
	return d->units == 0 || d->strays * STRAYS_MOST > 1;
}

int fork_distance_map(const struct fork_sketch *a, const struct fork_sketch *b, struct pool *pool,
		      struct rung_map *map, struct rung_distance *out, struct err *e)
{
	const struct rung_how how = { .pool = pool };
	struct rung_map other;
	int rc;

	*map = (struct rung_map){ 0 };
	TRY_OUT(distance_either(a, b, NULL, out, e));
	for (enum rung_view v = RUNG_RAW; v <= RUNG_TOKEN && may_be_better(out); v++) {
		TRY_OUT(fork_map_aligned(a, b, v, &how, &other, e));
		TRY_OUT(map_better(a, b, map, out, &other, e));
	}
	for (enum rung_view v = RUNG_RAW; v <= RUNG_TOKEN && may_be_better(out); v++) {
		struct rung r;

		TRY_OUT(fork_s3_rung(a, b, v, &how, &r, &other, e));
		fork_rung_free(&r);
		TRY_OUT(map_better(a, b, map, out, &other, e));
	}
	return 0;
out:
	fork_map_free(map);
	return rc;
}
