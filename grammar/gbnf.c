/* Grammars in the manner of GBNF.
 *
 *   grammar      := rule*                     rule     := name '::=' alternatives
 *   alternatives := sequence ('|' sequence)*  sequence := (item repeat?)*
 *   item   := "literal" | @"literal" | [class] | [^class] | . | name | '(' alternatives ')'
 *   repeat := '*' | '+' | '?' | {n} | {n,} | {n,m} | {,m}
 *
 * White space and line ends only separate; a rule ends where the next `name ::=` begins. # begins
 * a comment. Escapes in literals and classes: \n \r \t \\ \" \' \[ \] \- \^ \/ \xHH \uHHHH
 * \UHHHHHHHH, each one character. @ before a literal: the control token with this text, drawn as
 * one; without it, its text is drawn in ordinary tokens. The start rule is `root`. Rules that the
 * program writes also have @scope(..), and in it @once(..), whose texts differ within one scope. */
#include "grammar/pattern.h"

#include "base/limits.h"
#include "base/text.h"

#include <string.h>

struct reader {
	struct pattern *p;
	const char *text;
	size_t len, at;
	int depth;
	enum pattern_writer by; /* what a client may not write */
	struct err *e;
	int rc; /* the first error */
};

static uint32_t wrong(struct reader *r, const char *what)
{
	size_t line = 1;
	for (size_t i = 0; i < r->at && i < r->len; i++)
		line += r->text[i] == '\n';
	if (r->rc == 0)
		r->rc = pattern_done(r->p, r->e);
	if (r->rc == 0)
		r->rc = err_set(r->e, ERR_INPUT, "grammar, line %zu: %s", line, what);
	return 0;
}

static int peek(const struct reader *r)
{
	return r->at < r->len ? (unsigned char)r->text[r->at] : -1;
}

static bool going(const struct reader *r) { return r->rc == 0 && r->p->failed == 0; }

static void skip(struct reader *r)
{
	for (; r->at < r->len; r->at++) {
		char c = r->text[r->at];
		if (c == '#') {
			while (r->at + 1 < r->len && r->text[r->at + 1] != '\n')
				r->at++;
		} else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
			return;
		}
	}
}

static bool take(struct reader *r, char c)
{
	if (peek(r) != (unsigned char)c)
		return false;
	r->at++;
	return true;
}

static bool name_byte(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static size_t name_length(const struct reader *r)
{
	size_t n = 0;
	while (r->at + n < r->len && name_byte((unsigned char)r->text[r->at + n]))
		n++;
	return n;
}

/* A rule begins here: name ::= */
static bool rule_begins(const struct reader *r)
{
	struct reader ahead = *r;
	size_t n = name_length(r);
	ahead.at += n;
	skip(&ahead);
	return n > 0 && ahead.len - ahead.at >= 3 && memcmp(ahead.text + ahead.at, "::=", 3) == 0;
}

/* ---- characters ---- */

static uint32_t hex(struct reader *r, int digits)
{
	uint32_t v = 0;
	for (int i = 0; i < digits; i++, r->at++) {
		int digit = text_hex_digit(peek(r));
		if (digit < 0)
			return wrong(r, "hex digits expected");
		v = v << 4 | (uint32_t)digit;
	}
	return v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF) ? wrong(r, "not a character") : v;
}

static uint32_t character(struct reader *r)
{
	static const char from[] = "nrt\\\"'[]-^/", to[] = "\n\r\t\\\"'[]-^/";
	uint32_t cp = 0;
	if (take(r, '\\')) {
		int c = peek(r);
		const char *at = c > 0 ? strchr(from, c) : NULL;
		r->at++;
		if (at)
			return (unsigned char)to[at - from];
		return c == 'x'   ? hex(r, 2)
		       : c == 'u' ? hex(r, 4)
		       : c == 'U' ? hex(r, 8)
				  : wrong(r, "an unknown escape");
	}
	int n = r->at < r->len ? text_utf8_decode(r->text + r->at, r->len - r->at, &cp) : 0;
	if (n <= 0)
		return wrong(r, r->at < r->len ? "not UTF-8" : "it ends too early");
	r->at += (size_t)n;
	return cp;
}

static void edge(struct reader *r, struct pattern_list *list, bool marked)
{
	if (marked)
		pattern_push(r->p, list, pattern_add(r->p, PATTERN_EDGE, 0, 0));
}

static uint32_t literal(struct reader *r, bool marked)
{
	struct pattern_list list = { 0 };
	edge(r, &list, marked);
	while (going(r) && !take(r, '"')) {
		uint32_t cp = character(r), from = r->p->ranges;
		if (r->rc != 0)
			return 0;
		pattern_range_add(r->p, cp, cp);
		pattern_push(r->p, &list, pattern_set_close(r->p, from, false));
	}
	edge(r, &list, marked);
	return pattern_close(r->p, &list, PATTERN_SEQ);
}

static uint32_t class(struct reader *r)
{
	bool negated = take(r, '^');
	uint32_t from = r->p->ranges;
	while (going(r) && !take(r, ']')) {
		uint32_t lo = character(r), hi = lo;
		if (peek(r) == '-' && r->at + 1 < r->len && r->text[r->at + 1] != ']') {
			r->at++;
			hi = character(r);
		}
		if (r->rc == 0 && hi < lo)
			return wrong(r, "a range out of order");
		if (r->rc == 0)
			pattern_range_add(r->p, lo, hi);
	}
	return r->rc == 0 ? pattern_set_close(r->p, from, negated) : 0;
}

/* ---- structure ---- */

static uint32_t alternatives(struct reader *r);

static uint32_t group(struct reader *r)
{
	if (++r->depth > LIMIT_CONSTRAINT_NESTING)
		return wrong(r, "groups nest too deeply");
	uint32_t at = alternatives(r);
	r->depth--;
	return r->rc == 0 && !take(r, ')') ? wrong(r, ") expected") : at;
}

/* After @: a control token, a scope, or a text that is once in its scope. */
static uint32_t marked(struct reader *r)
{
	static const struct {
		const char *word;
		enum pattern_kind kind;
	} marks[] = { { "scope(", PATTERN_SCOPE }, { "once(", PATTERN_ONCE } };
	if (take(r, '"'))
		return r->by == PATTERN_FRAME ? literal(r, true)
					      : wrong(r, "control tokens have no place here");
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		size_t n = strlen(marks[i].word);
		if (r->len - r->at < n || memcmp(r->text + r->at, marks[i].word, n) != 0)
			continue;
		r->at += n;
		uint32_t child = group(r), at = pattern_add(r->p, marks[i].kind, 0, 0);
		if (r->p->failed == 0)
			r->p->node[at].first = child;
		return at;
	}
	return wrong(r, "a literal, scope( or once( expected after @");
}

static uint32_t item(struct reader *r)
{
	uint32_t at;
	if (take(r, '"'))
		return literal(r, false);
	if (r->by != PATTERN_CLIENT && take(r, '@'))
		return marked(r);
	if (take(r, '['))
		return class(r);
	if (take(r, '.')) {
		uint32_t from = r->p->ranges;
		return pattern_set_close(r->p, from, true);
	}
	if (take(r, '('))
		return group(r);
	size_t n = name_length(r);
	if (n == 0)
		return wrong(r, "a literal, a class, a group or a rule's name expected");
	at = pattern_add(r->p, PATTERN_CALL, pattern_rule(r->p, r->text + r->at, n), 0);
	r->at += n;
	return at;
}

/* A number before stop; false: none. */
static bool number(struct reader *r, uint32_t *out)
{
	bool seen = false;
	skip(r);
	for (*out = 0; peek(r) >= '0' && peek(r) <= '9'; seen = true, r->at++) {
		*out = *out * 10 + (uint32_t)(peek(r) - '0');
		if (*out > LIMIT_CONSTRAINT_REPEAT) {
			wrong(r, "a count is over the limit of 10000");
			return false;
		}
	}
	skip(r);
	return seen;
}

static void counts(struct reader *r, uint32_t *min, uint32_t *max)
{
	bool seen = number(r, min);
	*max = *min;
	if (take(r, ','))
		*max = number(r, max) ? *max : PATTERN_MORE;
	else if (!seen)
		wrong(r, "a count expected");
	if (r->rc == 0 && !take(r, '}'))
		wrong(r, "} expected");
	if (r->rc == 0 && *max < *min)
		wrong(r, "counts out of order");
}

static uint32_t repeated(struct reader *r)
{
	uint32_t at = item(r), min = 0, max = PATTERN_MORE;
	for (skip(r); going(r); skip(r)) {
		if (take(r, '*'))
			min = 0, max = PATTERN_MORE;
		else if (take(r, '+'))
			min = 1, max = PATTERN_MORE;
		else if (take(r, '?'))
			min = 0, max = 1;
		else if (take(r, '{'))
			counts(r, &min, &max);
		else
			break;
		at = pattern_repeat(r->p, at, min, max);
		if (++r->depth > LIMIT_CONSTRAINT_NESTING)
			return wrong(r, "repeats nest too deeply");
	}
	return at;
}

static uint32_t alternatives(struct reader *r)
{
	struct pattern_list all = { 0 };
	do {
		struct pattern_list one = { 0 };
		for (skip(r); going(r) && peek(r) >= 0 && peek(r) != '|' && peek(r) != ')';
		     skip(r)) {
			if (rule_begins(r))
				break;
			int depth = r->depth;
			pattern_push(r->p, &one, repeated(r));
			r->depth = depth;
		}
		pattern_push(r->p, &all, pattern_close(r->p, &one, PATTERN_SEQ));
	} while (going(r) && take(r, '|'));
	return pattern_close(r->p, &all, PATTERN_ALT);
}

static void rule(struct reader *r)
{
	size_t n = name_length(r), begin = r->at;
	if (!rule_begins(r)) {
		wrong(r, "name ::= expected");
		return;
	}
	uint32_t at = pattern_rule(r->p, r->text + begin, n);
	r->at += n;
	skip(r);
	r->at += 3;
	if (at == PATTERN_NONE)
		return;
	if (r->p->rule[at].root != PATTERN_NONE) {
		wrong(r, "the rule is defined twice");
		return;
	}
	uint32_t root = alternatives(r);
	if (going(r))
		r->p->rule[at].root = root;
}

int pattern_grammar(struct pattern *p, const char *text, size_t len, enum pattern_writer by,
		    struct err *e)
{
	struct reader r = { .p = p, .text = text, .len = len, .by = by, .e = e };
	for (skip(&r); going(&r) && r.at < len; skip(&r))
		rule(&r);
	if (r.rc < 0)
		return r.rc;
	TRY(pattern_done(p, e));
	for (uint32_t i = 0; i < p->rules; i++) {
		if (p->rule[i].root == PATTERN_NONE)
			return err_set(e, ERR_INPUT, "grammar: the rule %.64s is not defined",
				       p->rule[i].name);
	}
	uint32_t rules = p->rules, root = pattern_rule(p, "root", 4);
	TRY(pattern_done(p, e));
	return root < rules ? 0 : err_set(e, ERR_INPUT, "grammar: there is no rule called root");
}
