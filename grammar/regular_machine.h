/* Private: the machine that a tree is determined by; regular_tree.c says how. */
#ifndef GRAMMAR_REGULAR_MACHINE_H
#define GRAMMAR_REGULAR_MACHINE_H

#include "grammar/network_sets.h"
#include "grammar/regex_in.h"
#include "grammar/regular_in.h"

/* The kinds of characters that \b, ^ and $ tell apart; EDGE: the start or the end of the text.
 * ASCII's word characters, those that only Python takes for some, those that are none to both, and
 * what they or other engines do not agree on. */
enum kind { EDGE, WORD, WORD_WIDE, PLAIN, LINE, LINE_WIDE, UNSURE, KINDS };

#define BIT(kind) (1u << (kind))
#define NOT_WORD (BIT(PLAIN) | BIT(LINE) | BIT(LINE_WIDE))

enum edge_kind { READ, SKIP, GUARD };

struct edge {
	uint32_t from, to, node;
	enum edge_kind kind;
};

/* Promises that need no automaton: the next character is of a kind in the mask (EDGE: there may be
 * none). NEWLINE_ENDS: or a newline is the last. */
#define NEXT UINT32_MAX
#define NEWLINE_ENDS BIT(KINDS)
#define NO_PROMISE 0 /* the number of the empty set */

/* The first states of the network: where anything may follow, and where nothing may. */
enum { LOOP, END, START };

struct automaton_of { /* of a lookahead in a context, or of a lookbehind */
	uint32_t node, context;
	uint32_t same; /* of m->look: the first with an equal language, which has r */
	struct regular *r;
	uint32_t *class; /* [classes of the alphabet]: its own */
};

struct machine {
	struct pattern *p;
	struct regular alphabet;
	uint8_t *kind; /* [classes] */
	struct edge *edge;
	uint32_t *first; /* [states+1] into edge */
	uint32_t edges, edge_room, states;
	uint64_t **set; /* [nodes]: bits of classes, made when first asked for */
	uint32_t sets;
	uint32_t *body; /* [nodes]: where the body of a lookahead begins */
	struct network_sets context, promise;
	struct automaton_of *look, *behind;
	uint32_t looks, behinds;
	bool kinds; /* the kind of the last character matters: whether it is the start, ends a line */
	bool token; /* what stands before and behind is not known */
	bool may;   /* of a token: promises left at its end are taken as kept, else as broken */
	bool asked; /* of a token: something asked what stands before it */
	bool *seen; /* [rules]: whose sets were found */
	struct err *e;
	int rc; /* the first error */
};

/* No error yet. */
static inline bool regular_going(const struct machine *m) { return m->rc == 0; }

static inline void regular_no_memory(struct machine *m)
{
	if (regular_going(m))
		m->rc = regular_memory(m->e);
}

void regular_worked(struct machine *m, uint64_t steps); /* an error where it was too much */
/* Room for one more of size bytes at *array, count of them there. False: an error. */
bool regular_grow(struct machine *m, void **array, uint32_t count, size_t size);

/* regular_subset.c: the number of the context at the start of a text: 0. */
uint32_t regular_context_start(struct machine *m);
/* The automaton of what may follow from this state of the network on, in this context. NULL: an
 * error. */
struct regular *regular_determine(struct machine *m, uint32_t start, uint32_t context);
/* For each class of the machine the one of r that holds it. */
uint32_t *regular_classes_of(struct machine *m, const struct regular *r);

#endif
