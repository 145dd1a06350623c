/* Arena: many small allocations, freed at once. Not for several threads. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

/* Zero-initialise ({0}); bytes_max 0 means no cap. */
struct arena {
	struct arena_chunk *chunks;
	size_t used_bytes, bytes_max;
	bool full; /* the cap refused an allocation */
};

/* Zeroed memory aligned for any object, or NULL when memory or the cap is exhausted. size 0 gives a
 * unique address. */
void *arena_alloc(struct arena *a, size_t size);

/* count * size with overflow check. */
void *arena_array(struct arena *a, size_t count, size_t size);

/* A NUL-terminated copy of len bytes, or NULL. */
char *arena_copy(struct arena *a, const void *bytes, size_t len);

/* Free everything and return to the zero state; the cap stays. */
void arena_free(struct arena *a);

#endif
