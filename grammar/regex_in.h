/* Private: what the two halves of the reader of regular expressions share.
 *
 * Engines differ in places. What is read must satisfy ECMAScript and Python both, so the smaller
 * set is taken; behind (?! and (?<!, where what matches is left out, the larger: `wide`. */
#ifndef GRAMMAR_REGEX_IN_H
#define GRAMMAR_REGEX_IN_H

#include "grammar/pattern.h"

enum { REGEX_CASE = 1, REGEX_LINES = 2, REGEX_DOT = 4, REGEX_SPACE = 8 }; /* i, m, s, x */
#define REGEX_KNOWN 35 /* sets of Unicode that one expression may name */
#define REGEX_OWN 3    /* of them for \d and its like */

struct regex_reader {
	struct pattern *p;
	const char *text;
	size_t len, at;
	int depth;
	unsigned flags; /* at work, REGEX_ */
	bool wide;
	struct err *e;
	int rc; /* the first error */
	struct regex_known {
		char name[64];
		struct pattern_range *range;
		uint32_t ranges;
	} known[REGEX_KNOWN]; /* sets that were looked up */
	uint32_t knowns;
};

uint32_t regex_refuse(struct regex_reader *r, const char *what);
uint32_t regex_wrong(struct regex_reader *r, const char *what);
int regex_peek(const struct regex_reader *r, size_t ahead); /* -1 at the end */
bool regex_take(struct regex_reader *r, const char *word);

/* regex_class.c: the node of one character, of an escape behind its backslash, of a class behind
 * its bracket, of the dot. */
uint32_t regex_character(struct regex_reader *r);
uint32_t regex_escape(struct regex_reader *r);
uint32_t regex_class(struct regex_reader *r);
uint32_t regex_dot(struct regex_reader *r);

/* regex_unicode.c: ranges of code points are added to p. By category: bits 1 << utf8proc's. */
void regex_category_add(struct pattern *p, uint32_t categories);
/* By the property's name, as ECMAScript, Perl and PCRE2 write it: "L", "Lu", "Script=Greek",
 * "Alphabetic". False: no such property. */
bool regex_property_add(struct pattern *p, const char *name);
/* Ranges from `from` on, and their other cases. wide: all that some engine takes for one. */
void regex_fold(struct pattern *p, uint32_t from, bool wide);
uint64_t regex_fold_cost(const struct pattern *p, uint32_t from, bool wide); /* in characters */
/* What is certainly no word character beyond ASCII; what certainly is one to Python only. */
void regex_plain_add(struct pattern *p);
void regex_letters_add(struct pattern *p);
#define REGEX_UNASSIGNED (1u << 0) /* category Cn: another version of Unicode may have it */
#define REGEX_DIGITS (1u << 9)     /* category Nd */

#endif
