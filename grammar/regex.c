/* Regular expressions: what is regular, and means the same in ECMAScript and in Python.
 *
 *   alternatives := sequence ('|' sequence)*
 *   sequence     := (atom quantifier?)*
 *   atom         := character | . | \escape | [class] | ^ | $ | \A | \Z | \z | \b | \B
 *                   | (alternatives) | (?:..) | (?<name>..) | (?P<name>..) | (?flags-flags:..)
 *                   | (?=..) | (?!..) | (?<=..) | (?<!..) | (?flags) | (?#..)
 *   quantifier   := ('*' | '+' | '?' | {n} | {n,} | {n,m}) ('?' | '+')?
 *
 * Flags: i (simple case folding), m, s, x; u and a change nothing. (?flags) holds to the end of its
 * group. A possessive quantifier stands behind one character only: X*+ is X*(?!X). */
#include "grammar/regex_in.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* Whether all was read. When the pattern could not grow, reading ended early and that is the
 * error. */
static bool whole(struct regex_reader *r)
{
	if (r->rc == 0)
		r->rc = pattern_done(r->p, r->e);
	return r->rc == 0;
}

uint32_t regex_refuse(struct regex_reader *r, const char *what)
{
	if (whole(r))
		r->rc = err_set(r->e, ERR_UNSUPPORTED,
				"a regular expression with %s is not available (byte %zu)", what,
				r->at);
	return 0;
}

uint32_t regex_wrong(struct regex_reader *r, const char *what)
{
	if (whole(r))
		r->rc = err_set(r->e, ERR_INPUT, "regular expression, byte %zu: %s", r->at, what);
	return 0;
}

int regex_peek(const struct regex_reader *r, size_t ahead)
{
	return r->at + ahead < r->len ? (unsigned char)r->text[r->at + ahead] : -1;
}

bool regex_take(struct regex_reader *r, const char *word)
{
	size_t n = strlen(word);
	if (r->len - r->at < n || memcmp(r->text + r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

/* ---- groups ---- */

static uint32_t alternatives(struct regex_reader *r);

/* Its inside and the bracket at its end. */
static uint32_t group_end(struct regex_reader *r)
{
	unsigned flags = r->flags;
	if (++r->depth > LIMIT_CONSTRAINT_NESTING)
		return regex_wrong(r, "groups nest too deeply");
	uint32_t inner = alternatives(r);
	r->depth--;
	r->flags = flags;
	return r->rc == 0 && !regex_take(r, ")") ? regex_wrong(r, ") expected") : inner;
}

static uint32_t look(struct regex_reader *r, unsigned kind)
{
	bool wide = r->wide;
	r->wide = (kind & PATTERN_LOOK_NOT) != 0 ? !wide : wide;
	uint32_t inner = group_end(r), at = pattern_add(r->p, PATTERN_LOOK, kind, 0);
	r->wide = wide;
	if (r->p->failed == 0)
		r->p->node[at].first = inner;
	return at;
}

/* Letters up to ')' or ':'. False: there are others. */
static bool flags_read(struct regex_reader *r, unsigned *flags)
{
	bool off = false;
	for (; regex_peek(r, 0) != ')' && regex_peek(r, 0) != ':'; r->at++) {
		int c = regex_peek(r, 0);
		unsigned bit = c == 'i'   ? REGEX_CASE
			       : c == 'm' ? REGEX_LINES
			       : c == 's' ? REGEX_DOT
			       : c == 'x' ? REGEX_SPACE
					  : 0;
		if (c == '-' && !off)
			off = true;
		else if (bit == 0 && c != 'u' && c != 'a')
			return false;
		*flags = off ? *flags & ~bit : *flags | bit;
	}
	return true;
}

static uint32_t group_flags(struct regex_reader *r)
{
	unsigned flags = r->flags, before = r->flags;
	if (!flags_read(r, &flags))
		return regex_refuse(r, "(?");
	r->flags = flags;
	if (regex_take(r, ")"))
		return pattern_add(r->p, PATTERN_EMPTY, 0, 0);
	r->at++;
	uint32_t inner = group_end(r);
	r->flags = before;
	return inner;
}

static uint32_t group(struct regex_reader *r)
{
	static const struct {
		const char *begin;
		unsigned kind;
	} looks[] = { { "=", 0 },
		      { "!", PATTERN_LOOK_NOT },
		      { "<=", PATTERN_LOOK_BEHIND },
		      { "<!", PATTERN_LOOK_BEHIND | PATTERN_LOOK_NOT } };
	if (!regex_take(r, "?"))
		return group_end(r);
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		if (regex_take(r, looks[i].begin))
			return look(r, looks[i].kind);
	}
	if (regex_take(r, "P=") || regex_take(r, "P>") || regex_take(r, "("))
		return regex_refuse(r, "a backreference");
	if (regex_take(r, ">"))
		return regex_refuse(r, "an atomic group");
	bool comment = regex_take(r, "#");
	if (comment || regex_take(r, "P<") || regex_take(r, "<")) {
		const char *end = memchr(r->text + r->at, comment ? ')' : '>', r->len - r->at);
		if (!end)
			return regex_wrong(r, comment ? "a comment without end"
						      : "a group's name without end");
		r->at = (size_t)(end - r->text) + 1;
		return comment ? pattern_add(r->p, PATTERN_EMPTY, 0, 0) : group_end(r);
	}
	return group_flags(r);
}

/* ---- quantifiers ---- */

/* {n}, {n,}, {n,m} at the place; false: it is none, but characters. */
static bool counts(struct regex_reader *r, uint32_t *min, uint32_t *max)
{
	size_t i = r->at + 1, begin = i;
	uint32_t v[2] = { 0, 0 };
	int which = 0;
	bool seen[2] = { false, false };
	for (; i < r->len && r->text[i] != '}'; i++) {
		char c = r->text[i];
		if (c == ',' && which == 0) {
			which = 1;
		} else if (c >= '0' && c <= '9') {
			v[which] = v[which] > LIMIT_CONSTRAINT_REPEAT
					   ? v[which]
					   : v[which] * 10 + (uint32_t)(c - '0');
			seen[which] = true;
		} else {
			return false;
		}
	}
	if (i >= r->len || i == begin)
		return false;
	if (!seen[0]) {
		regex_refuse(r, "{,n}");
		return true;
	}
	*min = v[0];
	*max = which == 0 ? v[0] : seen[1] ? v[1] : PATTERN_MORE;
	if (*min > LIMIT_CONSTRAINT_REPEAT ||
	    (*max != PATTERN_MORE && *max > LIMIT_CONSTRAINT_REPEAT))
		regex_wrong(r, "a count is over the limit of 10000");
	else if (*max < *min)
		regex_wrong(r, "counts out of order");
	r->at = i + 1;
	return true;
}

/* White space and comments of (?x). */
static void skip_space(struct regex_reader *r)
{
	while ((r->flags & REGEX_SPACE) != 0 && r->at < r->len) {
		int c = regex_peek(r, 0);
		if (c == '#') {
			while (r->at < r->len && regex_peek(r, 0) != '\n')
				r->at++;
		} else if (c == ' ' || (c >= '\t' && c <= '\r')) {
			r->at++;
		} else {
			return;
		}
	}
}

static uint32_t anchor(struct regex_reader *r, enum pattern_kind kind, unsigned a)
{
	return pattern_add(r->p, kind, a, r->wide);
}

/* The start, of which Python's \A and ECMAScript's ^ are one spelling each; of lines with m. */
static uint32_t atom(struct regex_reader *r)
{
	uint32_t min, max;
	int c = regex_peek(r, 0);
	bool lines = (r->flags & REGEX_LINES) != 0;
	if (regex_take(r, "("))
		return group(r);
	if (regex_take(r, "["))
		return regex_class(r);
	if (regex_take(r, "."))
		return regex_dot(r);
	if (regex_take(r, "^"))
		return anchor(r, PATTERN_BEGIN, lines);
	if (regex_take(r, "$"))
		return anchor(r, PATTERN_END, lines);
	if (c == '*' || c == '+' || c == '?' || (c == '{' && counts(r, &min, &max)))
		return regex_wrong(r, "nothing to repeat");
	if (!regex_take(r, "\\"))
		return regex_character(r);
	if (regex_take(r, "A"))
		return anchor(r, PATTERN_BEGIN, 0);
	if (regex_take(r, "Z") || regex_take(r, "z"))
		return anchor(r, PATTERN_END, 0);
	if (regex_take(r, "b"))
		return anchor(r, PATTERN_WORD, 0);
	if (regex_take(r, "B"))
		return anchor(r, PATTERN_WORD, 1);
	return regex_escape(r);
}

/* One or more: X*+ is X*(?!X), and a full count ends it too. Only of one character. */
static uint32_t possessive(struct regex_reader *r, uint32_t at, uint32_t again, uint32_t min,
			   uint32_t max)
{
	struct pattern_list rest = { 0 }, fewer = { 0 }, both = { 0 };
	uint32_t not = pattern_add(r->p, PATTERN_LOOK, PATTERN_LOOK_NOT, 0);
	if (r->p->failed != 0)
		return 0;
	r->p->node[not ].first = again;
	uint32_t copy = pattern_add(r->p, PATTERN_SET, r->p->node[at].a, r->p->node[at].b);
	if (max == PATTERN_MORE || min < max) {
		pattern_push(r->p, &fewer,
			     pattern_repeat(r->p, at, min, max == PATTERN_MORE ? max : max - 1));
		pattern_push(r->p, &fewer, not );
		pattern_push(r->p, &both, pattern_close(r->p, &fewer, PATTERN_SEQ));
	}
	if (max != PATTERN_MORE) {
		pattern_push(r->p, &rest, pattern_repeat(r->p, copy, max, max));
		pattern_push(r->p, &both, pattern_close(r->p, &rest, PATTERN_SEQ));
	}
	return pattern_close(r->p, &both, PATTERN_ALT);
}

/* The atom from `begin` on read again, for what must not follow: with the larger meaning. */
static uint32_t read_again(struct regex_reader *r, size_t begin, uint32_t at)
{
	size_t end = r->at;
	if (r->p->failed != 0 || r->p->node[at].kind != PATTERN_SET || r->text[begin] == '(')
		return regex_refuse(r, "a possessive quantifier of more than one character");
	r->at = begin;
	r->wide = !r->wide;
	uint32_t again = atom(r);
	r->wide = !r->wide;
	r->at = end;
	return again;
}

static uint32_t quantified(struct regex_reader *r)
{
	size_t begin = r->at;
	uint32_t at = atom(r), min = 0, max = PATTERN_MORE;
	skip_space(r);
	int c = regex_peek(r, 0);
	if (r->rc != 0 || (c != '*' && c != '+' && c != '?' && c != '{'))
		return at;
	if (c == '{') {
		if (!counts(r, &min, &max))
			return at;
	} else {
		min = c == '+';
		max = c == '?' ? 1 : PATTERN_MORE;
		r->at++;
	}
	if (r->rc == 0 && r->p->failed == 0 && r->text[begin] != '(' &&
	    r->p->node[at].kind >= PATTERN_BEGIN && r->p->node[at].kind <= PATTERN_WORD)
		return regex_refuse(r, "a repeated anchor");
	if (regex_take(r, "+")) {
		uint32_t again = read_again(r, begin, at);
		return r->rc == 0 ? possessive(r, at, again, min, max) : 0;
	}
	if (regex_take(r, "?"))
		r->p->lazy = true;
	else if (regex_peek(r, 0) == '*')
		return regex_wrong(r, "nothing to repeat");
	return r->rc == 0 ? pattern_repeat(r->p, at, min, max) : 0;
}

static uint32_t alternatives(struct regex_reader *r)
{
	struct pattern_list all = { 0 };
	do {
		struct pattern_list one = { 0 };
		for (skip_space(r); r->rc == 0 && r->p->failed == 0 && regex_peek(r, 0) >= 0 &&
				    regex_peek(r, 0) != '|' && regex_peek(r, 0) != ')';
		     skip_space(r))
			pattern_push(r->p, &one, quantified(r));
		pattern_push(r->p, &all, pattern_close(r->p, &one, PATTERN_SEQ));
	} while (r->rc == 0 && r->p->failed == 0 && regex_take(r, "|"));
	return pattern_close(r->p, &all, PATTERN_ALT);
}

int pattern_regex(struct pattern *p, const char *text, size_t len, uint32_t *root, struct err *e)
{
	if (len > LIMIT_CONSTRAINT_REGEX_BYTES)
		return err_set(e, ERR_INPUT, "a regular expression of %zu bytes; the limit is %zu",
			       len, LIMIT_CONSTRAINT_REGEX_BYTES);
	struct regex_reader r = { .p = p, .text = text, .len = len, .e = e };
	*root = alternatives(&r);
	if (r.rc == 0 && r.at < len)
		regex_wrong(&r, "a ) without (");
	for (uint32_t i = 0; i < r.knowns; i++)
		free(r.known[i].range);
	return r.rc < 0 ? r.rc : pattern_done(p, e);
}
