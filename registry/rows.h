/* Private to registry/: the tables, and reading a body strictly. */
#ifndef REGISTRY_ROWS_H
#define REGISTRY_ROWS_H

#include "registry/registry.h"

struct registry {
	struct store *store; /* borrowed */
};

/* Refuse tables of a newer program. */
int registry_rows_check(struct store *s, struct err *e) MUST_USE;
/* Whether the tables have what version 3 brought: a reader finds older ones as they are. */
int registry_rows_newer(struct store_tx *tx, bool *newer, struct err *e) MUST_USE;

/* A release body into plain facts; strict about kinds and lengths. */
int registry_rows_release(const json_t *body, struct registry_release *out, struct err *e) MUST_USE;

struct registry_edge {
	uint64_t index; /* of the entry, and the place of the parent in it */
	int64_t pos;
	char parent[DIGEST_TEXT_ROOM], child[DIGEST_TEXT_ROOM];
	const char *name, *relation; /* borrowed; of the child */
	const char *basis;           /* what tells its direction; NULL: not said, so it is firm */
};
#define REGISTRY_PRESUMED_BASIS "registered" /* the order of registration and nothing else */

/* Keeps the edges free of cycles: one that goes against firm ones is not added. */
int registry_edge_add(struct store_tx *tx, const struct registry_edge *edge,
		      struct err *e) MUST_USE;

#endif
