/* Regular expressions: what is regular, and means the same in ECMAScript and in Python.
 *
 *   alternatives := sequence ('|' sequence)*
 *   sequence     := (atom quantifier?)*
 *   atom         := character | . | \escape | [class] | ^ | $
 *                   | (alternatives) | (?:..) | (?<name>..) | (?P<name>..)
 *   quantifier   := ('*' | '+' | '?' | {n} | {n,} | {n,m}) '?'?
 *
 * Where the two differ (\d \w \s beyond ASCII, the characters that . leaves out) the smaller set is
 * taken, so that what is generated satisfies both. */
#include "grammar/pattern.h"

#include "base/limits.h"
#include "base/text.h"

#include <string.h>

struct reader {
	struct pattern *p;
	const char *text;
	size_t len, at;
	int depth;
	struct err *e;
	int rc; /* the first error */
};

/* Whether all was read. When the pattern could not grow, reading ended early and that is the
 * error. */
static bool whole(struct reader *r)
{
	if (r->rc == 0)
		r->rc = pattern_done(r->p, r->e);
	return r->rc == 0;
}

static uint32_t refuse(struct reader *r, const char *what)
{
	if (whole(r))
		r->rc = err_set(r->e, ERR_UNSUPPORTED,
				"a regular expression with %s is not available (byte %zu)", what,
				r->at);
	return 0;
}

static uint32_t wrong(struct reader *r, const char *what)
{
	if (whole(r))
		r->rc = err_set(r->e, ERR_INPUT, "regular expression, byte %zu: %s", r->at, what);
	return 0;
}

static int peek(const struct reader *r, size_t ahead)
{
	return r->at + ahead < r->len ? (unsigned char)r->text[r->at + ahead] : -1;
}

static bool take(struct reader *r, const char *word)
{
	size_t n = strlen(word);
	if (r->len - r->at < n || memcmp(r->text + r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

static uint32_t code_point(struct reader *r)
{
	uint32_t cp = 0;
	int n = r->at < r->len ? text_utf8_decode(r->text + r->at, r->len - r->at, &cp) : 0;
	if (n <= 0)
		return wrong(r, "not UTF-8");
	r->at += (size_t)n;
	return cp;
}

/* ---- escapes and classes ---- */

static uint32_t hex(struct reader *r, int digits)
{
	uint32_t v = 0;
	for (int i = 0; i < digits; i++, r->at++) {
		int c = peek(r, 0);
		int lower = c | 32;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			v = v << 4 | (uint32_t)(lower - 'a' + 10);
		else
			return wrong(r, "hex digits expected");
	}
	return v;
}

/* Digits, spaces and word characters: those of both languages, and those of either. */
static const struct pattern_range digits[] = { { '0', '9' } },
				  spaces[] = { { '\t', '\r' }, { ' ', ' ' } },
				  words[] = {
					  { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' }
				  };
static const struct pattern_range digits_wide[] = { { '0', '9' },
						    { 0x660, 0x1C59 },
						    { 0xA620, 0xABFF },
						    { 0xFF10, 0xFF19 },
						    { 0x10000, 0x1FFFF } };
static const struct pattern_range spaces_wide[] = {
	{ 9, 13 },          { 28, 32 },         { 0x85, 0x85 },     { 0xA0, 0xA0 },
	{ 0x1680, 0x1680 }, { 0x180E, 0x180E }, { 0x2000, 0x200A }, { 0x2028, 0x2029 },
	{ 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF }
};
static const struct pattern_range words_wide[] = {
	{ '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' }, { 0x80, 0x10FFFF }
};

static void add_ranges(struct pattern *p, const struct pattern_range *r, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pattern_range_add(p, r[i].lo, r[i].hi);
}

#define ADD(list) add_ranges(p, list, sizeof(list) / sizeof *(list))

/* Add the set of \d and its like; false if c is none of them. What is left out in the end must be
 * the larger set: that of the capital letters, and all in a negated class. */
static bool add_perl(struct pattern *p, int c, bool negated)
{
	bool capital = c == 'D' || c == 'S' || c == 'W', wide = capital != negated;
	uint32_t from = p->ranges;
	switch (c | 32) {
	case 'd':
		wide ? ADD(digits_wide) : ADD(digits);
		break;
	case 's':
		wide ? ADD(spaces_wide) : ADD(spaces);
		break;
	case 'w':
		wide ? ADD(words_wide) : ADD(words);
		break;
	default:
		return false;
	}
	if (capital)
		pattern_set_negate(p, from);
	return true;
}

/* After a backslash: the character meant. */
static uint32_t escape(struct reader *r)
{
	static const char from[] = "nrtfv0", to[] = "\n\r\t\f\v";
	int c = peek(r, 0);
	const char *at = c > 0 ? strchr(from, c) : NULL;
	if (c < 0)
		return wrong(r, "it ends with a backslash");
	if (c >= '1' && c <= '9')
		return refuse(r, "a backreference");
	if (c == '0' && peek(r, 1) >= '0' && peek(r, 1) <= '9')
		return refuse(r, "an octal escape");
	if (c >= 0x80)
		return code_point(r);
	r->at++;
	if (at)
		return (unsigned char)to[at - from];
	if (c == 'x')
		return hex(r, 2);
	if (c == 'u') {
		uint32_t v = hex(r, 4);
		if (v >= 0xD800 && v <= 0xDFFF)
			return refuse(r, "a surrogate");
		return v;
	}
	if (c == 'b' || c == 'B')
		return refuse(r, "a word boundary \\b");
	if (c == 'k')
		return refuse(r, "a backreference");
	if (c == 'p' || c == 'P')
		return refuse(r, "a Unicode property \\p");
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return refuse(r, "an escape of an unknown letter");
	return (uint32_t)c;
}

/* One member of a class: *single tells that it is one character, and may begin a range. */
static uint32_t member(struct reader *r, bool negated, bool *single)
{
	*single = true;
	if (!take(r, "\\"))
		return code_point(r);
	int c = peek(r, 0);
	if (c == 'b')
		return refuse(r, "\\b in a class");
	if (add_perl(r->p, c, negated)) {
		r->at++;
		*single = false;
		return 0;
	}
	return escape(r);
}

static void class_range(struct reader *r, bool negated, uint32_t lo)
{
	bool single;
	uint32_t hi = lo;
	if (peek(r, 0) == '-' && peek(r, 1) != ']' && peek(r, 1) >= 0) {
		r->at++;
		hi = member(r, negated, &single);
		if (r->rc == 0 && (!single || hi < lo))
			wrong(r, "a range out of order");
	}
	if (r->rc == 0)
		pattern_range_add(r->p, lo, hi);
}

static uint32_t class(struct reader *r)
{
	bool negated = take(r, "^"), single;
	if (peek(r, 0) == ']')
		return refuse(r, "an empty class or an unescaped ] first in a class");
	uint32_t from = r->p->ranges;
	while (r->rc == 0 && !take(r, "]")) {
		if (peek(r, 0) < 0)
			return wrong(r, "a class without end");
		if (peek(r, 0) == '[' &&
		    (peek(r, 1) == ':' || peek(r, 1) == '=' || peek(r, 1) == '.'))
			return refuse(r, "a POSIX class");
		uint32_t lo = member(r, negated, &single);
		if (r->rc == 0 && single)
			class_range(r, negated, lo);
		else if (r->rc == 0 && peek(r, 0) == '-' && peek(r, 1) != ']')
			return refuse(r, "a range from a class");
	}
	return r->rc == 0 ? pattern_set_close(r->p, from, negated) : 0;
}

static uint32_t one_character(struct reader *r, uint32_t cp)
{
	uint32_t from = r->p->ranges;
	if (r->rc == 0)
		pattern_range_add(r->p, cp, cp);
	return pattern_set_close(r->p, from, false);
}

static uint32_t any_of_line(struct reader *r)
{
	static const struct pattern_range ends[] = {
		{ '\n', '\n' }, { '\r', '\r' }, { 0x85, 0x85 }, { 0x2028, 0x2029 }
	};
	uint32_t from = r->p->ranges;
	add_ranges(r->p, ends, sizeof ends / sizeof *ends);
	return pattern_set_close(r->p, from, true);
}

/* ---- structure ---- */

static uint32_t alternatives(struct reader *r);

static uint32_t group(struct reader *r)
{
	if (take(r, "?")) {
		if (take(r, "=") || take(r, "!") || take(r, "<=") || take(r, "<!"))
			return refuse(r, "lookaround");
		if (take(r, "P=") || take(r, "P>"))
			return refuse(r, "a backreference");
		if (take(r, "P<") || take(r, "<")) {
			const char *end = memchr(r->text + r->at, '>', r->len - r->at);
			if (!end)
				return wrong(r, "a group's name without end");
			r->at = (size_t)(end - r->text) + 1;
		} else if (!take(r, ":")) {
			return refuse(r, "(?");
		}
	}
	if (++r->depth > LIMIT_CONSTRAINT_NESTING)
		return wrong(r, "groups nest too deeply");
	uint32_t inner = alternatives(r);
	r->depth--;
	return r->rc == 0 && !take(r, ")") ? wrong(r, ") expected") : inner;
}

/* {n}, {n,}, {n,m} at the place; false: it is none, but characters. */
static bool counts(struct reader *r, uint32_t *min, uint32_t *max)
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
		refuse(r, "{,n}");
		return true;
	}
	*min = v[0];
	*max = which == 0 ? v[0] : seen[1] ? v[1] : PATTERN_MORE;
	if (*min > LIMIT_CONSTRAINT_REPEAT ||
	    (*max != PATTERN_MORE && *max > LIMIT_CONSTRAINT_REPEAT))
		wrong(r, "a count is over the limit of 10000");
	else if (*max < *min)
		wrong(r, "counts out of order");
	r->at = i + 1;
	return true;
}

static uint32_t atom(struct reader *r)
{
	uint32_t min, max;
	int c = peek(r, 0);
	if (take(r, "("))
		return group(r);
	if (take(r, "["))
		return class(r);
	if (take(r, "."))
		return any_of_line(r);
	if (take(r, "^"))
		return pattern_add(r->p, PATTERN_BEGIN, 0, 0);
	if (take(r, "$"))
		return pattern_add(r->p, PATTERN_END, 0, 0);
	if (c == '*' || c == '+' || c == '?' || (c == '{' && counts(r, &min, &max)))
		return wrong(r, "nothing to repeat");
	if (!take(r, "\\"))
		return one_character(r, code_point(r));
	c = peek(r, 0);
	if (c == 'A' || c == 'Z' || c == 'z' || c == 'G')
		return refuse(r, "\\A, \\Z or \\G");
	uint32_t from = r->p->ranges;
	if (add_perl(r->p, c, false)) {
		r->at++;
		return pattern_set_close(r->p, from, false);
	}
	return one_character(r, escape(r));
}

static uint32_t quantified(struct reader *r)
{
	uint32_t at = atom(r), min = 0, max = PATTERN_MORE;
	int c = peek(r, 0);
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
	if (r->rc == 0 && r->p->failed == 0 &&
	    (r->p->node[at].kind == PATTERN_BEGIN || r->p->node[at].kind == PATTERN_END))
		return refuse(r, "a repeated anchor");
	if (peek(r, 0) == '+')
		return refuse(r, "a possessive quantifier");
	if (!take(r, "?") && (peek(r, 0) == '*'))
		return wrong(r, "nothing to repeat");
	return r->rc == 0 ? pattern_repeat(r->p, at, min, max) : 0;
}

static uint32_t alternatives(struct reader *r)
{
	struct pattern_list all = { 0 };
	do {
		struct pattern_list one = { 0 };
		while (r->rc == 0 && r->p->failed == 0 && peek(r, 0) >= 0 && peek(r, 0) != '|' &&
		       peek(r, 0) != ')')
			pattern_push(r->p, &one, quantified(r));
		pattern_push(r->p, &all, pattern_close(r->p, &one, PATTERN_SEQ));
	} while (r->rc == 0 && r->p->failed == 0 && take(r, "|"));
	return pattern_close(r->p, &all, PATTERN_ALT);
}

int pattern_regex(struct pattern *p, const char *text, size_t len, uint32_t *root, struct err *e)
{
	struct reader r = { .p = p, .text = text, .len = len, .e = e };
	if (len > LIMIT_CONSTRAINT_REGEX_BYTES)
		return err_set(e, ERR_INPUT, "a regular expression of %zu bytes; the limit is %zu",
			       len, LIMIT_CONSTRAINT_REGEX_BYTES);
	*root = alternatives(&r);
	if (r.rc == 0 && r.at < len)
		wrong(&r, "a ) without (");
	return r.rc < 0 ? r.rc : pattern_done(p, e);
}
