/* Private: members of doubly linked rings. A ring is a link of its own that holds no member. */
#ifndef SERVER_LINK_H
#define SERVER_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *prev, *next;
};

static inline void link_init(struct link *l) { l->prev = l->next = l; }

static inline bool link_is_alone(const struct link *l) { return l->next == l; }

static inline void link_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

/* To the end of the ring. */
static inline void link_append(struct link *ring, struct link *l)
{
	l->prev = ring->prev;
	l->next = ring;
	ring->prev->next = l;
	ring->prev = l;
}

#define link_member(type, member, l) ((type *)(void *)((char *)(l)-offsetof(type, member)))

#endif
