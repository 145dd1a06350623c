/* The scan from one start, shared by numbers.c and number_cut.c. Private to the room. */
#ifndef FILTERS_NUMBER_SCAN_H
#define FILTERS_NUMBER_SCAN_H

#include "filters/number_read.h"
#include "filters/stream.h"

/* How a value is written. */
enum manner { MANNER_NONE, MANNER_BARE, MANNER_GROUPED, MANNER_LOOSE, MANNER_INSIDE };

/* A value that may count, the best of its kind from one start. */
struct candidate {
	uint32_t kind;
	enum manner manner;
	enum kind_need need;
	enum evidence evidence;
	long end, head, tail; /* bytes of the window, as in struct span */
	unsigned n;
};

#define CANDIDATES 64 /* kinds that one start may give */

/* The compact value from a start, as far as it was read. */
struct writing {
	char value[KIND_LENGTH_MAX + 1];
	long at[KIND_LENGTH_MAX];           /* of each symbol */
	uint8_t separator[KIND_LENGTH_MAX]; /* enum separator before it */
	uint8_t group[KIND_LENGTH_MAX + 1]; /* first symbol of each group */
	unsigned n, groups;
};

struct scan {
	const struct number_table *t;
	struct number_state *state;
	struct filter_stream *f;
	const struct window *w;
	struct reader r;
	struct writing x;
	struct context context;
	struct candidate candidate[CANDIDATES];
	unsigned candidates;
};

static inline unsigned symbol_of(int c)
{
	return (unsigned)(byte_digit(c) ? c - '0' : c >= 'a' ? c - 'a' + 36 : c - 'A' + 10);
}

static inline unsigned group_length(const struct writing *x, unsigned g)
{
	return (g + 1 < x->groups ? x->group[g + 1] : x->n) - x->group[g];
}

/* numbers.c */
/* The one separator of all groups, or SEP_NONE. */
enum separator filter_number_uniform(const struct writing *x);
enum kind_need filter_number_need(const struct kind *row, enum manner m);
/* What is written is part of something else: a decimal, a telephone number, a digest. */
bool filter_number_part(struct scan *s, const struct number_kind *k, enum manner m);
/* The candidate of this kind, or a new one; NULL: there is a better one already. */
struct candidate *filter_number_place(struct scan *s, uint32_t kind, enum manner m);

/* number_cut.c: what was read from the start reaches the end of a text that its writer did not
 * choose; alive: the shapes that it may still become. */
void filter_number_cut(struct scan *s, const uint64_t *alive);

#endif
