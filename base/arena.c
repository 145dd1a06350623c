#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Allocations come from the first chunk of the list; each is four times the one before it, up to
 * CHUNK_BYTES, for many an arena holds a few hundred bytes. A large one gets a chunk of its own,
 * put second, so that what is left in the first is not lost. */
struct arena_chunk {
	struct arena_chunk *next;
	size_t used, room;
	alignas(max_align_t) unsigned char bytes[];
};

#define FIRST_BYTES ((size_t)1 << 10)
#define CHUNK_BYTES ((size_t)64 << 10)
#define LARGE_BYTES (CHUNK_BYTES / 4)
#define ALIGNMENT alignof(max_align_t)

static size_t next_room(const struct arena *a, size_t size)
{
	size_t room = a->chunks ? a->chunks->room * 4 : FIRST_BYTES;
	while (room < size)
		room *= 4;
	return room < CHUNK_BYTES ? room : CHUNK_BYTES;
}

static struct arena_chunk *chunk_add(struct arena *a, size_t size)
{
	size_t room = size > LARGE_BYTES ? size : next_room(a, size);
	struct arena_chunk *c = calloc(1, sizeof *c + room);
	if (!c)
		return NULL;
	c->room = room;
	struct arena_chunk **at = size > LARGE_BYTES && a->chunks ? &a->chunks->next : &a->chunks;
	c->next = *at;
	*at = c;
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size_t rounded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	if (a->bytes_max &&
	    (a->used_bytes > a->bytes_max || rounded > a->bytes_max - a->used_bytes)) {
		a->full = true;
		return NULL;
	}
	struct arena_chunk *c = a->chunks;
	if (!c || rounded > c->room - c->used)
		c = chunk_add(a, rounded);
	if (!c)
		return NULL;
	void *p = c->bytes + c->used;
	c->used += rounded;
	a->used_bytes += rounded;
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_alloc(a, bytes);
}

char *arena_copy(struct arena *a, const void *bytes, size_t len)
{
	char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;
	if (p && len)
		memcpy(p, bytes, len);
	return p;
}

void arena_free(struct arena *a)
{
	for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){ .bytes_max = a->bytes_max };
}
