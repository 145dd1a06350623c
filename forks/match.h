/* Which units of two blocks are the same, whatever their order: each part of the units is matched
 * on its own, and two units agree where every part says the same. Private to forks/.
 *
 * By a part, two units are each other's nearest where each has its largest |cosine| at the other,
 * and no other is as near: units that are zero or doubled are nobody's. Signs must fit too: the
 * gate's is positive, and those of the other two are equal, for a unit's input and output may be
 * negated together. Two independent blocks of n units have 1 / 32 n agreements of three parts on
 * the average, and 1/8 of two. */
#ifndef FORKS_MATCH_H
#define FORKS_MATCH_H

#include "forks/view.h"

#include "base/pool.h"

/* A block as it is matched: its parts that have vectors. */
struct match_block {
	uint32_t index; /* in the sketch */
	const struct sketch_block *of;
	uint32_t parts, live; /* live: no part is zero */
	struct view_part part[ROLE_PARTS];
	uint16_t *rank; /* [live] units by the product of their norms, descending: neither order
			   nor scaling of the parts against each other changes it */
};

/* Blocks of the body that may answer one another: attention or not, of equal parts. */
enum match_class { MATCH_MLP3, MATCH_MLP2, MATCH_ATTENTION, MATCH_CLASSES };
struct match_set {
	struct match_block *at;
	uint32_t count, layers; /* layers: of different number */
	struct arena arena;
};
int fork_match_set(struct match_set *out, const struct fork_view *v, enum match_class c,
		   struct err *e) MUST_USE;
/* Fill live and rank of every block: what a search needs, not a map of aligned units. */
int fork_match_rank(struct match_set *s, struct err *e) MUST_USE;
void fork_match_set_free(struct match_set *s);

/* What one thread needs. */
struct match_hit {
	uint32_t at; /* in the set */
	uint32_t agree;
};
struct match_room {
	int32_t *sum[ROLE_PARTS];                  /* [units of b][units of a] */
	uint16_t row[ROLE_PARTS][SKETCH_UNITS];    /* nearest in a of b's unit */
	uint16_t column[ROLE_PARTS][SKETCH_UNITS]; /* and the other way */
	int16_t *gathered;
	struct match_hit *hit; /* [hits] of the last search */
	uint32_t hits, *probed;
	int32_t *near; /* of each probe and block of a */
};
/* Rooms for the threads of the pool (NULL: one), for sets of up to `blocks`. */
int fork_match_rooms(struct match_room **out, const struct pool *pool, uint32_t blocks,
		     struct err *e) MUST_USE;
void fork_match_rooms_free(struct match_room *r, const struct pool *pool);

/* How many units agree. */
uint32_t fork_match_count(struct match_room *r, const struct match_block *a,
			  const struct match_block *b);
/* For each kept unit of b that of a, UINT32_MAX: none. [b->of->kept]. After what all parts say
 * together; at least two of them must say it alone. */
void fork_match_units(struct match_room *r, const struct match_block *a,
		      const struct match_block *b, uint32_t *unit);
/* All blocks of a (but `skip`) where units of b are found: r->hit, by place. Every block is looked
 * at, by few units first. probes: fork_match_probes. */
void fork_match_search(struct match_room *r, const struct match_set *a, uint32_t skip,
		       const struct match_block *b, uint32_t probes);
/* How many of a block's units may say which blocks are looked at closer, for all of b against all
 * of a within a budget of products; 0: there are so few that all are. */
uint32_t fork_match_probes(const struct match_set *a, const struct match_set *b);

/* m->layer: for each layer of b the layer of a that most of the pairs say. */
int fork_map_layers(struct rung_map *m, const struct rung_pair *pair, size_t pairs,
		    const struct fork_sketch *a, const struct fork_sketch *b,
		    struct err *e) MUST_USE;

#endif
