#include "forks/distance.h"
#include "forks/kinship.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LAYER_NEARER 0.5 /* a layer is one model's where it is half as far from it as from others */
#define LAYERS_LEAST 0.1 /* share of the layers that makes a parent */
#define LAYERS_CLEAR 0.7 /* share that must be one model's */

int fork_squares(const struct fork_sketch *const *model, size_t models, struct pool *pool,
		 double *square, struct err *e)
{
	for (size_t i = 0; i < models; i++)
		for (size_t j = 0; j <= i; j++) {
			struct rung_distance d = { 0 };
			struct rung_map map = { 0 };

			if (i != j)
				TRY(fork_distance_map(model[j], model[i], pool, &map, &d, e));
			fork_map_free(&map);
			square[i * models + j] = square[j * models + i] = i == j        ? 0
									  : d.units > 0 ? d.square
											: NAN;
		}
	return 0;
}

/* Sums of all pairs of the parents and b, the last, layer by layer. */
struct mixing {
	const struct fork_sketch *const *parent;
	const struct fork_sketch *b;
	size_t parents;
	struct rung_map map[FORK_MIX_PARENTS]; /* of b onto each */
	enum rung_view view[FORK_MIX_PARENTS];
	struct distance_sums *to_b[FORK_MIX_PARENTS]; /* [layers of b + 1] */
	struct distance_sums
		*between[FORK_MIX_PARENTS][FORK_MIX_PARENTS]; /* of the first's layers */
};

static void mixing_close(struct mixing *m)
{
	for (size_t i = 0; i < m->parents; i++) {
		fork_map_free(&m->map[i]);
		free(m->to_b[i]);
		for (size_t j = 0; j < i; j++)
			free(m->between[i][j]);
	}
}

static int sums_between(const struct fork_sketch *a, const struct fork_sketch *b,
			const struct rung_map *map, enum rung_view view, struct distance_sums **out,
			struct err *e)
{
	*out = calloc((size_t)b->layers + 1, sizeof **out);
	if (!*out)
		return err_set(e, ERR_NOMEM, "out of memory for %u layers", b->layers);
	return fork_distance_layers(a, b, map && map->pairs > 0 ? map : NULL, view, *out, e);
}

static int mixing_open(struct mixing *m, struct pool *pool, struct err *e)
{
	for (size_t i = 0; i < m->parents; i++) {
		struct rung_distance d;

		TRY(fork_distance_map(m->parent[i], m->b, pool, &m->map[i], &d, e));
		m->view[i] = d.view;
		TRY(sums_between(m->parent[i], m->b, &m->map[i], d.view, &m->to_b[i], e));
		for (size_t j = 0; j < i; j++)
			TRY(sums_between(m->parent[j], m->parent[i], NULL, RUNG_RAW,
					 &m->between[i][j], e));
	}
	return 0;
}

/* The layer of parent i that lies in layer l of b, -1: none. */
static int32_t layer_of(const struct mixing *m, size_t i, uint32_t l)
{
	if (m->map[i].pairs > 0)
		return m->map[i].layer[l];
	return l < m->parent[i]->layers ? (int32_t)l : -1;
}

static void sums_add(struct distance_sums *to, const struct distance_sums *from)
{
	to->difference += from->difference;
	to->a += from->a;
	to->b += from->b;
	to->cosined += from->cosined;
}

/* Squared lengths of all pairs in one layer of b, or (all layers) added up where every parent has
 * its layer there. */
struct mix_squares {
	struct distance_sums to_b[FORK_MIX_PARENTS], between[FORK_MIX_PARENTS][FORK_MIX_PARENTS];
	bool whole; /* all parents have the same layer here */
};

static void squares_of_layer(const struct mixing *m, uint32_t l, struct mix_squares *out)
{
	out->whole = true;
	for (size_t i = 0; i < m->parents; i++) {
		int32_t at = l < m->b->layers ? layer_of(m, i, l) : (int32_t)m->parent[i]->layers;

		out->to_b[i] = m->to_b[i][l];
		out->whole &= at >= 0 && out->to_b[i].cosined > 0;
		for (size_t j = 0; j < i && out->whole; j++) {
			int32_t other = l < m->b->layers ? layer_of(m, j, l)
							 : (int32_t)m->parent[j]->layers;

			out->whole &= at == other;
			if (out->whole)
				out->between[i][j] = m->between[i][j][at];
			out->whole &= out->between[i][j].cosined > 0;
		}
	}
}

/* Of a vector, on the average. */
static double square_of(const struct distance_sums *s)
{
	return s->cosined > 0 ? fmax(0, s->difference) / (double)s->cosined : NAN;
}

static double square_of_b(const struct distance_sums *s)
{
	return s->cosined > 0 ? s->b / (double)s->cosined : NAN;
}

/* residual: over ||b||. */
static bool mix_fit(const struct mixing *m, const struct mix_squares *from, double *weight,
		    double *residual, bool *mixed)
{
	double square[(FORK_MIX_PARENTS + 1) * (FORK_MIX_PARENTS + 1)] = { 0 };
	struct kin_squares s = { square, (uint32_t)m->parents + 1 };
	struct kin_fit fit = { .count = (uint32_t)m->parents };

	for (uint32_t i = 0; i < m->parents; i++) {
		fit.model[i] = i;
		square[i * s.models + m->parents] = square[m->parents * s.models + i] =
			square_of(&from->to_b[i]);
		for (uint32_t j = 0; j < i; j++)
			square[i * s.models + j] = square[j * s.models + i] =
				square_of(&from->between[i][j]);
	}
	if (!fork_kin_fit(&s, &fit))
		return false;
	memcpy(weight, fit.weight, m->parents * sizeof *weight);
	*residual = sqrt(fit.residual / square_of_b(&from->to_b[0]));
	if (mixed)
		*mixed = fork_kin_mixed(&s, &fit);
	return true;
}

static void mix_layer(const struct mixing *m, uint32_t l, struct fork_mix_layer *out,
		      struct mix_squares *all)
{
	struct mix_squares here = { 0 };

	*out = (struct fork_mix_layer){ .parent = -1, .layer = -1, .near = NAN, .next = NAN };
	squares_of_layer(m, l, &here);
	for (size_t i = 0; i < m->parents; i++) {
		double far = sqrt(square_of(&here.to_b[i]) / square_of_b(&here.to_b[i]));

		if (here.to_b[i].cosined == 0 || !(far <= 1))
			continue;
		if (out->parent >= 0 && far >= out->near) {
			out->next = fmin(out->next, far); /* of NaN: the other */
			continue;
		}
		out->next = out->near;
		out->near = out->residual = far;
		out->parent = (int)i;
		out->layer = l < m->b->layers ? layer_of(m, i, l) : -1;
	}
	if (!here.whole)
		return;
	mix_fit(m, &here, out->weight, &out->residual, NULL);
	all->whole = true;
	for (size_t i = 0; i < m->parents; i++) {
		sums_add(&all->to_b[i], &here.to_b[i]);
		for (size_t j = 0; j < i; j++)
			sums_add(&all->between[i][j], &here.between[i][j]);
	}
}

int fork_mix(const struct fork_sketch *const *parent, size_t parents, const struct fork_sketch *b,
	     struct pool *pool, struct fork_mix *out, struct err *e)
{
	struct mixing m = { .parent = parent, .b = b, .parents = parents };
	struct mix_squares all = { 0 };
	struct fork_mix_layer rest;
	int rc;

	*out = (struct fork_mix){ .layers = b->layers };
	if (parents < 1 || parents > FORK_MIX_PARENTS)
		return err_set(e, ERR_USAGE, "a mix of %zu models: 1 to %d are looked at", parents,
			       FORK_MIX_PARENTS);
	out->layer = calloc((size_t)b->layers + 1, sizeof *out->layer);
	if (!out->layer)
		return err_set(e, ERR_NOMEM, "out of memory for %u layers", b->layers);
	TRY_OUT(mixing_open(&m, pool, e));
	for (uint32_t l = 0; l <= b->layers; l++)
		mix_layer(&m, l, l < b->layers ? &out->layer[l] : &rest, &all);
	out->nearest = INFINITY;
	for (size_t i = 0; i < parents; i++)
		if (all.whole)
			out->nearest = fmin(out->nearest, sqrt(square_of(&all.to_b[i]) /
							       square_of_b(&all.to_b[i])));
	out->fitted = all.whole && mix_fit(&m, &all, out->weight, &out->residual, &out->mixed);
	for (uint32_t l = 0; l <= b->layers; l++)
		out->units += m.to_b[0][l].units;
out:
	mixing_close(&m);
	if (rc < 0)
		fork_mix_free(out);
	return rc;
}

/* Of how many layers each is the nearest by far; true: of at least two, and nearly of all. */
static bool layers_shared_out(const struct fork_mix *m, double *share)
{
	uint32_t layers = 0, clear = 0, several = 0;

	for (uint32_t l = 0; l < m->layers; l++) {
		const struct fork_mix_layer *at = &m->layer[l];

		layers += at->parent >= 0;
		if (at->parent < 0 || at->near >= LAYER_NEARER * at->next) /* NaN: no other is like it */
			continue;
		clear++;
		share[at->parent]++;
	}
	for (int i = 0; i < FORK_MIX_PARENTS && clear > 0; i++) {
		share[i] /= clear;
		several += share[i] >= LAYERS_LEAST;
	}
	return several >= 2 && clear >= LAYERS_CLEAR * layers;
}

int fork_kin_layers(const struct fork_sketch *const *model, size_t models, struct pool *pool,
		    struct fork_kinship *kin, struct err *e)
{
	const struct fork_sketch *parent[FORK_MIX_PARENTS];
	double share[FORK_MIX_PARENTS] = { 0 };
	size_t of[FORK_MIX_PARENTS], count = 0;
	struct fork_mix m;

	for (size_t i = 0; i + 1 < models; i++) {
		size_t at;

		if (!isfinite(kin[i].l2) ||
		    (count == FORK_MIX_PARENTS && kin[i].l2 >= kin[of[count - 1]].l2))
			continue;
		at = count < FORK_MIX_PARENTS ? count++ : count - 1;
		for (; at > 0 && kin[of[at - 1]].l2 > kin[i].l2; at--)
			of[at] = of[at - 1];
		of[at] = i;
	}
	if (count < 2)
		return 0;
	for (size_t i = 0; i < count; i++)
		parent[i] = model[of[i]];
	TRY(fork_mix(parent, count, model[models - 1], pool, &m, e));
	if (layers_shared_out(&m, share)) {
		for (size_t i = 0; i + 1 < models; i++) {
			kin[i].kin = FORK_KIN_UNTOLD;
			kin[i].weight = 0;
		}
		for (size_t i = 0; i < count; i++) {
			if (share[i] < LAYERS_LEAST)
				continue;
			kin[of[i]].kin = FORK_KIN_MIXED;
			kin[of[i]].weight = share[i];
		}
	}
	fork_mix_free(&m);
	return 0;
}

void fork_mix_free(struct fork_mix *m)
{
	free(m->layer);
	*m = (struct fork_mix){ 0 };
}
