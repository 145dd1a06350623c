/* Private: what an answer must match, as a tree: rules over characters. Regular expressions and
 * grammars are read into it (regex.c, grammar.c); network.h turns it into an automaton. */
#ifndef GRAMMAR_PATTERN_H
#define GRAMMAR_PATTERN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_MORE UINT32_MAX /* a repeat without end */
#define PATTERN_NONE UINT32_MAX

/* Children are a list: first, then next of each. */
enum pattern_kind {
	PATTERN_EMPTY,
	PATTERN_SET, /* one character of range[a .. a+b) */
	PATTERN_SEQ,
	PATTERN_ALT,
	PATTERN_REPEAT, /* of its only child, a to b times */
	PATTERN_CALL,   /* rule a */
	PATTERN_EDGE,   /* GRAMMAR_MARK */
	PATTERN_SCOPE,  /* its only child, in which */
	PATTERN_ONCE,   /* the texts of such a child are pairwise different */
	/* what is true or not between two characters; a regular expression's, see regular.h. b: the
	 * weaker meaning, where ECMAScript and Python differ: what holds in either */
	PATTERN_BEGIN, /* ^; a: of a line */
	PATTERN_END,   /* $; a: of a line */
	PATTERN_WORD,  /* \b; a: \B */
	PATTERN_LOOK   /* at its only child; a: PATTERN_LOOK_NOT, _BEHIND */
};

enum { PATTERN_LOOK_NOT = 1, PATTERN_LOOK_BEHIND = 2 };

struct pattern_node {
	enum pattern_kind kind;
	uint32_t first, next, a, b;
};

struct pattern_range {
	uint32_t lo, hi;
}; /* code points, both inclusive */

struct pattern_rule {
	char *name;    /* owned; NULL: made by the compiler */
	uint32_t root; /* PATTERN_NONE: called and not (yet) defined */
};

/* Zero-initialise, free with pattern_free. A failed addition makes it sticky-failed and gives node
 * 0; pattern_done tells. Node 0 is EMPTY once anything was added. */
struct pattern {
	struct pattern_node *node;
	struct pattern_range *range;
	struct pattern_rule *rule;
	uint32_t *slot; /* of rule names: index + 1, or 0 */
	uint32_t nodes, node_room, ranges, range_room, rules, rule_room, slots;
	uint64_t work; /* of regular.h on it so far, at most LIMIT_CONSTRAINT_COMPILE */
	bool lazy;     /* a lazy quantifier was read (regex.c); for who cares to set it back */
	int failed;    /* ERR_NOMEM, or ERR_INPUT: over LIMIT_CONSTRAINT_NODES */
};

uint32_t pattern_add(struct pattern *p, enum pattern_kind kind, uint32_t a, uint32_t b);
/* A node with one child. */
uint32_t pattern_repeat(struct pattern *p, uint32_t child, uint32_t min, uint32_t max);
/* Collect children of a SEQ or ALT in order. */
struct pattern_list {
	uint32_t first, last, count;
};
void pattern_push(struct pattern *p, struct pattern_list *l, uint32_t child);
/* The node of the list: EMPTY, the only child, or a node of this kind. */
uint32_t pattern_close(struct pattern *p, const struct pattern_list *l, enum pattern_kind kind);
/* Sets: add ranges, all after `from` = p->ranges, then close. Surrogates are taken out. */
void pattern_range_add(struct pattern *p, uint32_t lo, uint32_t hi);
uint32_t pattern_set_close(struct pattern *p, uint32_t from, bool negated);
void pattern_set_negate(struct pattern *p, uint32_t from); /* in place, and sorted */
/* The rule called name, made undefined if new; PATTERN_NONE when failed. */
uint32_t pattern_rule(struct pattern *p, const char *name, size_t len);
uint32_t pattern_rule_add(struct pattern *p, uint32_t root); /* nameless */
void pattern_hide(struct pattern *p); /* no rule so far is found by its name any more */
int pattern_done(const struct pattern *p, struct err *e) MUST_USE;
void pattern_free(struct pattern *p);

/* regex.c: Perl's syntax as far as it is regular and the same in ECMAScript and Python. The result
 * may hold BEGIN, END, WORD and LOOK. ERR_UNSUPPORTED names the construct. */
int pattern_regex(struct pattern *p, const char *text, size_t len, uint32_t *root,
		  struct err *e) MUST_USE;
/* Take BEGIN and END away from the ends; search: what is not anchored is padded with any text.
 * Those elsewhere stay. */
int pattern_anchor(struct pattern *p, uint32_t *root, bool search, struct err *e) MUST_USE;
/* Nothing in the tree is decided between characters: network.h takes it as it is. */
bool pattern_is_plain(const struct pattern *p, uint32_t root);

/* gbnf.c: GBNF-like rules, added to p; the start rule is `root`. ERR_INPUT names the line. by: who
 * wrote them: a client may neither compare texts nor name control tokens, a schema's compiler only
 * the first. */
enum pattern_writer { PATTERN_CLIENT, PATTERN_SCHEMA, PATTERN_FRAME };
int pattern_grammar(struct pattern *p, const char *text, size_t len, enum pattern_writer by,
		    struct err *e) MUST_USE;

/* lark.c: a grammar in Lark's language, added to p. *root: a node. ERR_INPUT names the line;
 * ERR_UNSUPPORTED names what is not available. */
int pattern_lark(struct pattern *p, const char *text, size_t len, uint32_t *root,
		 struct err *e) MUST_USE;
/* Whether a client's grammar is meant to be Lark's: no line outside of comments has ::=. */
bool pattern_is_lark(const char *text, size_t len);

#endif
