/* Private to registry/: the tables, and reading a body strictly. */
#ifndef REGISTRY_ROWS_H
#define REGISTRY_ROWS_H

#include "registry/registry.h"

struct registry {
	struct store *store; /* borrowed */
};

/* Refuse tables of a newer program. */
int registry_rows_check(struct store *s, struct err *e) MUST_USE;

/* A release body into plain facts; strict about kinds and lengths. */
int registry_rows_release(const json_t *body, struct registry_release *out, struct err *e) MUST_USE;

#endif
