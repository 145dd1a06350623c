/* Models in memory under any names and shapes, and the unit vectors that roles find in them. */
#ifndef TESTS_FORKS_SPELLED_H
#define TESTS_FORKS_SPELLED_H

#include "forks/roles.h"
#include "tests/shared/memory.h"

struct spelled {
	struct memory_source memory;
	struct buf header, data;
	json_t *config;
	struct model_values *values;
	struct roles roles;
};

void spelled_init(struct spelled *s);
/* A tensor of F32; its values, to be filled before the next call. Dimensions end with a 0. */
float *spelled_add(struct spelled *s, const char *name, const uint64_t *shape);
/* The name of a pattern with up to two numbers. */
float *spelled_addf(struct spelled *s, const uint64_t *shape, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Open it and find its roles. config: JSON, or NULL. */
void spelled_find(struct spelled *s, const char *config);
/* Unit u of the part, [width]. */
void spelled_unit(struct spelled *s, const struct role_part *p, uint64_t u, float *out);
void spelled_free(struct spelled *s);

#endif
