/* Whether two models look alike only because their first weights are one stream of random numbers,
 * cut into other shapes: what the usual seed of a library gives to models of other widths or
 * vocabularies. Rows of one then stand in the other under another role (a gate's among the up
 * rows), which no change of a model brings about, while hardly a unit answers one in all its parts.
 * Private to forks/. */
#ifndef FORKS_STREAM_H
#define FORKS_STREAM_H

#include "forks/sketch.h"

struct rung_pair;

struct fork_stream {
	uint64_t looked, crossed; /* rows of b looked up in a; found there under other roles only */
	uint64_t units, agreed;   /* kept units of the model with fewer; those of b whose parts are
				     all like those of the unit of a that they are beside */
	bool found;
};

/* pair [pairs]: blocks side by side; unit: as in rung_map, or NULL: units by their places. */
int fork_stream_look(const struct fork_sketch *a, const struct fork_sketch *b,
		     const struct rung_pair *pair, size_t pairs, uint32_t *const *unit,
		     struct fork_stream *out, struct err *e) MUST_USE;

#endif
