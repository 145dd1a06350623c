/* Private: what the files of regular languages share. */
#ifndef GRAMMAR_REGULAR_IN_H
#define GRAMMAR_REGULAR_IN_H

#include "grammar/regular.h"

#define REGULAR_NONE UINT32_MAX

/* Code points of one class. Ranges are sorted and hold every scalar value but NUL once. */
struct regular_range {
	uint32_t lo, hi, class;
};

/* State 0 is the start. Every state has a transition on every class; a state that accepts nothing
 * is one like others. Finished: minimal, no two classes have the same transitions, classes are
 * numbered by their first code point and states in the order of a search by breadth, so that equal
 * languages have equal members. */
struct regular {
	struct regular_range *range; /* [ranges] */
	uint32_t *next;              /* [states][classes] */
	bool *accept;                /* [states] */
	uint32_t ranges, classes, states, room;
	uint64_t *work; /* borrowed */
};

/* One state more, all its transitions REGULAR_NONE. ERR_UNSUPPORTED: too many. */
int regular_state(struct regular *r, bool accept, struct err *e) MUST_USE;
/* Make r minimal, in place. Transitions that are REGULAR_NONE lead to where nothing is accepted. */
int regular_finish(struct regular *r, struct err *e) MUST_USE;
/* regular_minimise.c: the block of each state, numbered from 0; *count of them. */
int regular_blocks(const struct regular *r, uint32_t *block, uint32_t *count,
		   struct err *e) MUST_USE;

static inline int regular_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for the constraint");
}

int regular_large(struct err *e); /* ERR_UNSUPPORTED */

/* The coarsest classes that no set tells apart. set [count]: first range in range, how many.
 * Out: r->range, r->ranges, r->classes. */
struct regular_set {
	uint32_t first, count;
};
int regular_alphabet(struct regular *r, const struct pattern_range *range,
		     const struct regular_set *set, uint32_t count, struct err *e) MUST_USE;
/* REGULAR_NONE: NUL, a surrogate, or beyond the last code point. */
uint32_t regular_class(const struct regular *r, uint32_t cp);
/* Whether every text, or no text, is accepted from this state on. Of a finished one. */
bool regular_state_all(const struct regular *r, uint32_t state);
bool regular_state_none(const struct regular *r, uint32_t state);
/* [states]: regular_state_none of each, to be freed; NULL without memory. */
bool *regular_none_states(const struct regular *r);

#endif
