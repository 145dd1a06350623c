/* Aho-Corasick over byte classes of folded UTF-8. UTF-8 is self-synchronising, so a
 * suffix that is a prefix of a literal begins at a character. Immutable after build. */
#ifndef FILTERS_AUTOMATON_H
#define FILTERS_AUTOMATON_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct automaton;

struct automaton_literal {
	const uint32_t *cp; /* [n] folded characters */
	size_t n;
	uint32_t rule;
};

/* reversed: the literals are read from their last character. ERR_INPUT: too many. */
int filter_automaton_build(struct automaton **out, const struct automaton_literal *l, size_t count,
			   int reversed, struct err *e) MUST_USE;
void filter_automaton_free(struct automaton *a);

/* The state after one more character; 0 is the start. */
uint32_t filter_automaton_step(const struct automaton *a, uint32_t state, uint32_t cp);
/* The same for one byte of UTF-8. */
uint32_t filter_automaton_byte(const struct automaton *a, uint32_t state, uint8_t byte);
/* Whether a literal ends in this state. */
int filter_automaton_accepts(const struct automaton *a, uint32_t state);
/* Characters at the end of the input that may still grow into a literal. */
uint32_t filter_automaton_live(const struct automaton *a, uint32_t state);
/* The ends of the input that may still grow into a literal, longest first: *it starts as the state;
 * how many characters, how many the shortest of those literals has, and its rule. 0: no more. */
int filter_automaton_next_live(const struct automaton *a, uint32_t *it, uint32_t *chars,
			       uint32_t *whole, uint32_t *rule);
/* Longest literal, in characters. */
uint32_t filter_automaton_longest(const struct automaton *a);

/* The literals that end in this state: *it starts at 0; 0 when there are no more. */
int filter_automaton_next_match(const struct automaton *a, uint32_t state, uint32_t *it,
				uint32_t *rule, uint32_t *chars);

#endif
