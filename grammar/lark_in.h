/* Private: what the files of the reader of Lark's grammars share. */
#ifndef GRAMMAR_LARK_IN_H
#define GRAMMAR_LARK_IN_H

#include "grammar/pattern.h"

#define LARK_PARAMETERS 16
#define LARK_IGNORED 16
#define LARK_INSTANCES 1000 /* of templates */

/* What is known of a rule of the pattern, by its number. */
struct lark_symbol {
	bool terminal; /* its texts are tokens */
	/* of a terminal: an expression in it is lazy; once all is read: its language is decided as
	 * a whole, it may be empty, its first characters are known */
	bool lazy, complex, empty, begun, visiting, visited;
	/* of a terminal: the rule of it and what is ignored behind it; 0: none yet */
	uint32_t token;
	uint32_t line; /* of its first mention */
};

struct lark_span {
	size_t at, len;
};

/* A template, and one use of it. */
struct lark_template {
	struct lark_span name, parameter[LARK_PARAMETERS];
	uint32_t parameters;
	size_t body;
};

struct lark_instance {
	struct lark_span name;
	uint32_t argument[LARK_PARAMETERS]; /* rules */
	uint32_t arguments, rule;
};

/* What all readers of one grammar share: that of the text, and that of the common terminals. */
struct lark {
	struct pattern *p;
	struct lark_symbol *symbol; /* [symbols]; rules beyond have none */
	uint32_t symbols;
	uint32_t ignore; /* the rule of what may stand between tokens; PATTERN_NONE: nothing */
	uint32_t ignored[LARK_IGNORED], ignores; /* terminals */
	struct pattern begin;                    /* ranges: what tokens of rules begin with */
	bool common;                             /* the common terminals were read */
};

struct lark_reader {
	struct lark *l;
	struct pattern *p;
	const char *text, *prefix; /* prefix: of every name */
	size_t len, at;
	int depth;
	size_t counted; /* lines up to here: */
	uint32_t line;  /* line - 1 */
	bool terminal;  /* within a terminal: */
	uint32_t work;  /* its rule */
	uint32_t first; /* the first rule, or PATTERN_NONE */
	struct lark_template *template;
	struct lark_instance *instance;
	uint32_t templates, instances;
	const struct lark_template *within; /* whose body is read, with these arguments */
	const struct lark_instance *with;
	struct err *e;
	int rc; /* the first error */
};

uint32_t lark_wrong(struct lark_reader *r, const char *what);
uint32_t lark_refuse(struct lark_reader *r, const char *what);
bool lark_going(const struct lark_reader *r);
int lark_peek(const struct lark_reader *r, size_t ahead); /* -1 at the end */
bool lark_take(struct lark_reader *r, const char *word);
void lark_skip(struct lark_reader *r); /* white space and comments */
uint32_t lark_line(struct lark_reader *r);
/* Of a rule; NULL: out of memory, and the pattern has failed. */
struct lark_symbol *lark_symbol(struct lark *l, uint32_t rule);

/* lark_terminal.c: nodes of "text", "a".."z" and /expression/, the place behind them. *lazy is set
 * where an expression is. */
uint32_t lark_string(struct lark_reader *r);
uint32_t lark_expression(struct lark_reader *r, bool *lazy);
bool lark_string_skip(struct lark_reader *r); /* over either; false: no end */
/* The rule of terminal `rule` and of what is ignored behind it. */
uint32_t lark_token(struct lark *l, uint32_t rule);
/* Make the rules of all tokens, now that all is read. */
int lark_tokens(struct lark *l, struct err *e) MUST_USE;

/* lark_ignore.c: note how a text that stands in a rule begins; make the rule of what is ignored,
 * once all terminals were visited. */
void lark_begins_text(struct lark *l, uint32_t node);
int lark_ignore(struct lark *l, struct err *e) MUST_USE;
/* Visit the terminals of all tokens: may they be empty, are they lazy, or decided as a whole. */
int lark_visit(struct lark *l, struct err *e) MUST_USE;

/* lark_common.c: the terminals of `%import common`. */
extern const char lark_common[];

#endif
