/* Distances between two models, by layers, and the map that brings them nearest. Private to
 * forks/. */
#ifndef FORKS_DISTANCE_H
#define FORKS_DISTANCE_H

#include "forks/rungs.h"

/* Sums over the vectors of units that stand side by side. */
struct distance_sums {
	double difference, a, b; /* squared lengths, of the difference and of both sides */
	double cosines;
	uint64_t cosined, units, strays; /* strays: vectors that are nothing alike */
};
/* layer: [layers of b + 1], the last for all that lie in no layer. map NULL: by places. A unit's
 * input may be scaled against its output for free: the scale is made equal first. */
int fork_distance_layers(const struct fork_sketch *a, const struct fork_sketch *b,
			 const struct rung_map *map, enum rung_view view,
			 struct distance_sums *layer, struct err *e) MUST_USE;
struct rung_distance fork_distance_of(const struct distance_sums *s, enum rung_view view);

/* The map under which b is most like a: places, layers, or units. With no pairs where the places do
 * best. */
int fork_distance_map(const struct fork_sketch *a, const struct fork_sketch *b, struct pool *pool,
		      struct rung_map *map, struct rung_distance *out, struct err *e) MUST_USE;

#endif
