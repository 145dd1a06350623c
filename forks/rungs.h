/* The rungs of the ladder that look at sketches: what each is asked, and what it answers. Private
 * to forks/. The ladder itself is ladder.c.
 *
 *   S1  aligned trace: unit i of a against unit i of b; raw vectors. Exact.
 *   S5  the same over token vectors: survives rotations of the residual stream. Exact.
 *   S2  Mantel: units that are alike in one model are alike in the other. Exact.
 *   MAP S1 and S5 again over a map of layers and experts that was found on the even units, tested
 *       on the odd ones: dropped, inserted, repeated, exchanged layers and experts. Exact, for
 *       the map does not know the units that are tested.
 *   S3  match agreement: each part of the units matched on its own; how many agree. Survives any
 *       order of units, and over token vectors rotations too. Calibrated, conservative.
 *   S4  similarity of the tokens' geometry under the query projections. An effect, never a p. */
#ifndef FORKS_RUNGS_H
#define FORKS_RUNGS_H

#include "forks/sketch.h"

enum rung_view { RUNG_RAW, RUNG_TOKEN };
enum rung_half { RUNG_ALL, RUNG_EVEN, RUNG_ODD }; /* of the units, by their place */

/* A pair of blocks of equal kind (or, of an upcycled model, of any), by their indices. */
struct rung_pair {
	uint32_t a, b;
};

/* Everything drawn follows from seed. */
struct rung_how {
	uint64_t seed;
	double alpha;      /* of one rung: a block's test is extended until it could reject at it */
	struct pool *pool; /* or NULL */
};

struct rung_block {
	struct rung_pair pair;
	double log_p; /* natural logarithm; 0 where it states none */
	double z, effect;
	uint64_t draws;      /* 0: the exact bound was enough */
	bool judged;         /* calibrated, not constant: its p counts */
	const char *skipped; /* why not; static text, or NULL */
};

struct rung {
	bool run;
	double log_p; /* of the rung: twice the smaller of the two below */
	double log_fisher, log_smallest, stouffer; /* smallest: Bonferroni over the judged blocks */
	double effect;
	uint64_t judged, skipped, draws;
	struct rung_block *block; /* [blocks] owned */
	size_t blocks;
};
void fork_rung_free(struct rung *r);

/* The exact tests over given pairs. *out is filled also where nothing is judged (log_p 0). */
int fork_s1_rung(const struct fork_sketch *a, const struct fork_sketch *b,
		 const struct rung_pair *pair, size_t pairs, enum rung_view view,
		 enum rung_half half, const struct rung_how *how, struct rung *out,
		 struct err *e) MUST_USE;
int fork_s2_rung(const struct fork_sketch *a, const struct fork_sketch *b,
		 const struct rung_pair *pair, size_t pairs, const struct rung_how *how,
		 struct rung *out, struct err *e) MUST_USE;

/* Which block of b answers which of a, and which unit which. */
struct rung_map {
	struct rung_pair *pair; /* [pairs] */
	size_t pairs;
	int32_t *layer; /* [layers of b] the layer of a that it answers, -1: none */
	uint32_t layers;
	/* [pairs] unit lists: of each kept unit of b the kept unit of a, UINT32_MAX: none; NULL
	 * where units are aligned. */
	uint32_t **unit;
	uint64_t tried; /* pairs of blocks that were looked at */
};
void fork_map_free(struct rung_map *m);

/* Layers and experts by what their even units say, every pair of layers looked at: order reversed,
 * repeated, shifted, inserted or dropped, experts exchanged or merged, dense ones upcycled. */
int fork_map_aligned(const struct fork_sketch *a, const struct fork_sketch *b, enum rung_view view,
		     const struct rung_how *how, struct rung_map *out, struct err *e) MUST_USE;
/* S3, and the map that it found. */
int fork_s3_rung(const struct fork_sketch *a, const struct fork_sketch *b, enum rung_view view,
		 const struct rung_how *how, struct rung *out, struct rung_map *map,
		 struct err *e) MUST_USE;

/* S4: mean over the layers (as map->layer has them; NULL: by number) and the spread among layers of
 * one model that do not answer each other: what no relation looks like. run false: no layers. */
struct fork_s4 {
	bool run;
	double effect, unrelated_mean, unrelated_high; /* 95th percentile */
	uint32_t layers;
};
struct fork_s4 fork_s4_effect(const struct fork_sketch *a, const struct fork_sketch *b,
			      const struct rung_map *map);

/* How far b is from a, over the units that the map (or, NULL, their places) put side by side:
 * ||b - a|| / ||a|| and the mean cosine, estimated from sketches: from the raw vectors, or from the
 * token ones where these are far more alike (rotated). false: nothing in common. */
struct rung_distance {
	double relative_l2, cosine;
	double square; /* ||b - a||^2 over the mean of ||a||^2 and ||b||^2 */
	double strays; /* share of the vectors that are nothing alike */
	uint64_t units;
	enum rung_view view;
};
bool fork_distance(const struct fork_sketch *a, const struct fork_sketch *b,
		   const struct rung_map *map, struct rung_distance *out);

#endif
