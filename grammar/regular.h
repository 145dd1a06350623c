/* Private: regular languages over characters, as values. A language is a set of texts; a text is a
 * sequence of Unicode scalar values other than NUL. Kept as its minimal deterministic automaton
 * over classes of code points, so that all that can be asked of it is decided exactly.
 *
 * A result goes to *out, NULL where it fails, and is closed by the caller; operands are borrowed.
 * work: the steps that one constraint has taken so far, for all its languages; every operation adds
 * to it, and it outlives what is made with it: a result adds to that of its first operand.
 * ERR_UNSUPPORTED: the language needs more than LIMIT_CONSTRAINT_STATES states, or *work went over
 * LIMIT_CONSTRAINT_COMPILE. */
#ifndef GRAMMAR_REGULAR_H
#define GRAMMAR_REGULAR_H

#include "grammar/pattern.h"

#include "base/buf.h"

#include <jansson.h>

#define REGULAR_RULES_BYTES (8u << 20) /* of rules as text, with what stands there before */

struct regular;

/* ---- from what ---- */

/* The texts that a regular expression (regex.c) matches: whole, or somewhere in them (search).
 * Lookahead, lookbehind, \b and anchors may stand anywhere in it. ERR_INPUT, ERR_UNSUPPORTED as
 * pattern_regex. */
int regular_regex(struct regular **out, const char *text, size_t len, bool search, uint64_t *work,
		  struct err *e) MUST_USE;
/* The same of a tree that is read already; p grows by nodes, and counts the work. No EDGE; a CALL's
 * rule does not call itself. */
int regular_tree(struct regular **out, struct pattern *p, uint32_t root, bool search,
		 struct err *e) MUST_USE;
/* The texts that the tree matches wherever in a text they stand. shortest: without those that begin
 * with another, as a lazy expression finds them. ERR_UNSUPPORTED where it depends on what stands
 * before or behind; a few texts that do are left out. */
int regular_token(struct regular **out, struct pattern *p, uint32_t root, bool shortest,
		  struct err *e) MUST_USE;
/* The texts of a JSON list of strings; others in the list are passed over. */
int regular_texts(struct regular **out, const json_t *list, uint64_t *work, struct err *e) MUST_USE;
/* Every text of min to max characters; max UINT64_MAX: without end. min > max: none. */
int regular_length(struct regular **out, uint64_t min, uint64_t max, uint64_t *work,
		   struct err *e) MUST_USE;

/* ---- from others ---- */

int regular_intersect(struct regular **out, const struct regular *a, const struct regular *b,
		      struct err *e) MUST_USE;
int regular_unite(struct regular **out, const struct regular *a, const struct regular *b,
		  struct err *e) MUST_USE;
int regular_subtract(struct regular **out, const struct regular *a, const struct regular *b,
		     struct err *e) MUST_USE;
int regular_complement(struct regular **out, const struct regular *a, struct err *e) MUST_USE;
void regular_close(struct regular *r); /* NULL is fine */
/* Add steps to the work of r's constraint. ERR_UNSUPPORTED: that was too much. */
int regular_charge(const struct regular *r, uint64_t steps, struct err *e) MUST_USE;

/* ---- questions ---- */

bool regular_is_empty(const struct regular *r); /* no text at all */
bool regular_is_all(const struct regular *r);   /* every text */
bool regular_equal(const struct regular *a, const struct regular *b);
/* text: UTF-8. Ill-formed text is in no language. */
bool regular_holds(const struct regular *r, const char *text, size_t len);
/* How many texts: up to most; most where there are that many or more, without end too. */
uint64_t regular_count(const struct regular *r, uint64_t most);
/* All texts as a new JSON list of strings, if they are at most `most`: by length, then by code
 * points. *out NULL, with 0: there are more. */
int regular_list(json_t **out, const struct regular *r, uint64_t most, struct err *e) MUST_USE;

/* ---- out ---- */

/* As a tree: *root is a node that calls new rules of p. */
int regular_pattern(const struct regular *r, struct pattern *p, uint32_t *root,
		    struct err *e) MUST_USE;
/* Append rules (GRAMMAR_RULES' language, one a line) of the language as the inside of a JSON
 * string, between its quotes: a character is written as itself where JSON allows that, else by its
 * one escape, so that equal texts are equal bytes. The start rule is named `prefix`, all others
 * begin with `prefix-`. */
int regular_rules(const struct regular *r, const char *prefix, struct buf *rules,
		  struct err *e) MUST_USE;
/* The same of its texts as they are. */
int regular_rules_plain(const struct regular *r, const char *prefix, struct buf *rules,
			struct err *e) MUST_USE;
/* One character of the set as regular_rules writes it, in parentheses, NUL left out: it occurs in
 * no text that is read. */
void regular_write_set(struct buf *out, const struct pattern_range *range, uint32_t count);

#endif
