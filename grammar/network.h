/* Private: rules over bytes: a recursive transition network. Each rule is a small automaton whose
 * edges read a byte, or call a rule. Read-only once open. */
#ifndef GRAMMAR_NETWORK_H
#define GRAMMAR_NETWORK_H

#include "grammar/grammar.h"
#include "grammar/pattern.h"

enum network_kind { NETWORK_BYTE, NETWORK_EMPTY, NETWORK_CALL, NETWORK_MARK };

/* lo of a MARK, which reads nothing: where a scope, or a text that must differ within it, begins
 * and ends. */
enum { NETWORK_SCOPE_BEGIN, NETWORK_SCOPE_END, NETWORK_ONCE_BEGIN, NETWORK_ONCE_END };

struct network_edge {
	uint32_t from, to, rule; /* CALL: to is where it goes on after the rule */
	uint8_t kind, lo, hi;    /* BYTE: lo..hi */
};

struct grammar {
	struct network_edge *edge; /* [edges], sorted by (from, kind) */
	uint32_t *first;           /* [states+1] into edge */
	bool *end;                 /* [states]: the end state of its rule */
	uint32_t *start;           /* [rules] */
	uint32_t *order; /* [rules]: a rule called at another's very beginning has the larger one */
	uint32_t states, edges, rules, root;
	uint8_t class_of[256], class_byte[256]; /* bytes that no edge tells apart; one of each */
	uint32_t classes;
	bool compares;  /* it has marks */
	json_t *unused; /* list, or NULL: of a schema, what is without effect */
};

/* Of all rules of p, starting with rule root. Every state can reach its rule's end. ERR_INPUT:
 * nothing matches, or it is too large. The tree is plain (pattern_is_plain). p is used up: rules
 * are added. */
int network_open(struct grammar **out, struct pattern *p, uint32_t root, struct err *e) MUST_USE;
void network_close(struct grammar *n);

/* network_trim.c: drop what leads nowhere, set n->end; skips: make calls of rules that may be empty
 * skippable. end [rules]: the end state of each. */
int network_trim(struct grammar *n, const uint32_t *end, bool skips, struct err *e) MUST_USE;
/* empty [rules]: out, whether the rule may be empty. */
int network_empty(const struct grammar *n, const uint32_t *end, bool *empty,
		  struct err *e) MUST_USE;
/* call [first[r] .. first[r+1]): the rules that r calls at its very beginning. first [rules+1],
 * call [edges+1]: out. Edges are sorted. */
int network_beginnings(const struct grammar *n, uint32_t *first, uint32_t *call,
		       struct err *e) MUST_USE;
/* Set n->order; edges are sorted. *circle: there is none, since rules are left-recursive. */
int network_order(struct grammar *n, bool *circle, struct err *e) MUST_USE;
/* network_recursion.c: rewrite left-recursive rules; a rule may be added. The edges are then to be
 * trimmed and sorted again. */
int network_recursion(struct grammar *n, uint32_t **end, struct err *e) MUST_USE;

#endif
