/* The accepted grammar, a subset of PCRE2 whose every match has a finite width:
 *   alternatives := sequence { "|" sequence }
 *   sequence     := { atom [ quantifier ] }
 *   atom         := character | "." | "^" | "$" | class | escape | group
 *   group        := "(" [ kind ] alternatives ")"
 *   kind         := "?:" | "?" flags [ ":" ] | "?=" | "?!" | "?<=" | "?<!" | "?<name>" | "?P<name>"
 *   quantifier   := ( "?" | "*" | "+" | "{n}" | "{n,}" | "{n,m}" ) [ "?" | "+" ]
 *
 * Refused: back-references, recursion, conditionals, verbs, callouts, \A \G \K \C \R \X \Z \Q \E,
 * other inline options. */
#include "filters/regex.h"

#include <ctype.h>
#include <string.h>

#define GROUPS_MAX 64      /* nesting */
#define WIDTH_CAP 1000000u /* sums stay far below 2^32 */

/* A piece of the pattern: code points matched, and the most inspected from its start. */
struct span {
	uint32_t min, max, reach;
};

enum group_kind { GROUP_PLAIN, GROUP_AHEAD, GROUP_BEHIND };

/* An open group: what its alternatives gave so far, and the sequence being read. */
struct group {
	enum group_kind kind;
	bool extended, any; /* (?x); an alternative is complete */
	struct span done, here;
	struct span atom; /* last atom: not yet joined to here, for a quantifier may follow */
	bool atom_open;
};

struct parser {
	const char *s;
	size_t at;
	uint32_t repeat_max;
	struct group group[GROUPS_MAX];
	int depth;
	struct buf *finite;
	struct err *e;
};

static int refuse(struct parser *p, size_t at, const char *what)
{
	return err_set(p->e, ERR_INPUT, "regex, character %zu: %s", at + 1, what);
}

static uint32_t cap(uint64_t v) { return v > WIDTH_CAP ? WIDTH_CAP : (uint32_t)v; }

static struct span join(struct span a, struct span b)
{
	uint32_t reach = cap((uint64_t)a.max + b.reach);
	return (struct span){ cap((uint64_t)a.min + b.min), cap((uint64_t)a.max + b.max),
			      reach > a.reach ? reach : a.reach };
}

static struct span either(struct span a, struct span b)
{
	return (struct span){ a.min < b.min ? a.min : b.min, a.max > b.max ? a.max : b.max,
			      a.reach > b.reach ? a.reach : b.reach };
}

static struct span repeat(struct span a, uint32_t min, uint32_t max)
{
	if (max == 0)
		return (struct span){ 0, 0, 0 };
	return (struct span){ cap((uint64_t)a.min * min), cap((uint64_t)a.max * max),
			      cap((uint64_t)a.max * (max - 1) + a.reach) };
}

static struct group *top(struct parser *p) { return &p->group[p->depth]; }

static void settle(struct group *g)
{
	if (g->atom_open)
		g->here = join(g->here, g->atom);
	g->atom_open = false;
}

static void atom(struct parser *p, struct span a)
{
	settle(top(p));
	top(p)->atom = a;
	top(p)->atom_open = true;
}

static void end_alternative(struct group *g)
{
	settle(g);
	g->done = g->any ? either(g->done, g->here) : g->here;
	g->any = true;
	g->here = (struct span){ 0, 0, 0 };
}

static void copy(struct parser *p, size_t from, size_t to)
{
	if (p->finite)
		buf_add(p->finite, p->s + from, to - from);
}

/* ---- quantifiers */

static bool number(const char *s, size_t *at, uint32_t *v)
{
	size_t start = *at;
	*v = 0;
	while (isdigit((unsigned char)s[*at]) && *at - start < 5)
		*v = *v * 10 + (uint32_t)(s[(*at)++] - '0');
	return *at > start && !isdigit((unsigned char)s[*at]);
}

/* s[at] == '{': n, n, or n,m; false if it is a plain brace. */
static bool braces(const char *s, size_t *at, uint32_t *min, uint32_t *max, bool *open)
{
	size_t i = *at + 1;
	*open = false;
	if (!number(s, &i, min))
		return false;
	*max = *min;
	if (s[i] == ',') {
		i++;
		*open = s[i] == '}';
		if (!*open && !number(s, &i, max))
			return false;
	}
	if (s[i] != '}')
		return false;
	*at = i + 1;
	return true;
}

static int quantifier(struct parser *p)
{
	size_t start = p->at;
	char c = p->s[p->at];
	uint32_t min = c == '+', max = 1;
	bool open = c != '?';
	if (c == '{') {
		if (!braces(p->s, &p->at, &min, &max, &open))
			return refuse(p, start, "a literal { is written \\{");
	} else {
		p->at++;
	}
	struct group *g = top(p);
	if (!g->atom_open)
		return refuse(p, start, "nothing to repeat");
	if (open && p->repeat_max == 0)
		return refuse(p, start, "unbounded repeat: give {n,m}, or repeat_max in the rule");
	if (open)
		max = p->repeat_max > min ? p->repeat_max : min;
	if (max < min)
		return refuse(p, start, "the bounds of this repeat are in the wrong order");
	if (open && p->finite)
		buf_printf(p->finite, "{%u,%u}", min, max);
	else
		copy(p, start, p->at);
	g->here = join(g->here, repeat(g->atom, min, max));
	g->atom_open = false;
	if (p->s[p->at] == '?' || p->s[p->at] == '+') {
		copy(p, p->at, p->at + 1);
		p->at++;
	}
	return 0;
}

/* ---- atoms */

static const struct span one = { 1, 1, 1 }, edge = { 0, 0, 1 };

static int escape(struct parser *p, bool in_class)
{
	size_t start = p->at;
	char c = p->s[p->at + 1];
	if (c == 0)
		return refuse(p, start, "a backslash ends the regex");
	p->at += 2;
	if (isalnum((unsigned char)c) &&
	    !strchr(in_class ? "dDwWsShHvVntrfeaxpPb" : "dDwWsShHvVntrfeaxpPbBz", c))
		return refuse(p, start,
			      isdigit((unsigned char)c) ? "back-references are refused"
							: "this escape is refused");
	if ((c == 'x' || c == 'p' || c == 'P') && p->s[p->at] == '{') {
		const char *close = strchr(p->s + p->at, '}');
		if (!close)
			return refuse(p, start, "} is missing");
		p->at = (size_t)(close - p->s) + 1;
	} else if (c == 'p' || c == 'P') {
		p->at += p->s[p->at] != 0;
	} else if (c == 'x') {
		for (int i = 0; i < 2 && isxdigit((unsigned char)p->s[p->at]); i++)
			p->at++;
	}
	copy(p, start, p->at);
	if (!in_class)
		atom(p, c == 'b' || c == 'B' || c == 'z' ? edge : one);
	return 0;
}

static int class(struct parser *p)
{
	size_t start = p->at++;
	p->at += p->s[p->at] == '^';
	p->at += p->s[p->at] == ']'; /* a first ] is itself */
	copy(p, start, p->at);
	while (p->s[p->at] != ']') {
		size_t here = p->at;
		if (p->s[p->at] == 0)
			return refuse(p, start, "] is missing");
		if (p->s[p->at] == '\\') {
			TRY(escape(p, true));
			continue;
		}
		if (p->s[p->at] == '[' && p->s[p->at + 1] == ':') {
			const char *close = strstr(p->s + p->at + 2, ":]");
			if (!close)
				return refuse(p, here, ":] is missing");
			p->at = (size_t)(close - p->s) + 1;
		}
		p->at++;
		copy(p, here, p->at);
	}
	copy(p, p->at, p->at + 1);
	p->at++;
	atom(p, one);
	return 0;
}

/* ---- groups */

/* After "(?": flags i m s x with "-" before those taken away. ")" ends the group at once. */
static int flags(struct parser *p, bool *extended, bool *closed)
{
	bool on = true;
	for (;; p->at++) {
		char c = p->s[p->at];
		if (c == '-' && on)
			on = false;
		else if (c == 'x')
			*extended = on;
		else if (c == ':' || c == ')') {
			*closed = c == ')';
			p->at++;
			return 0;
		} else if (c == 0 || !strchr("ims", c)) {
			return refuse(p, p->at,
				      "only the inline options i, m, s and x are accepted");
		}
	}
}

static int group_name(struct parser *p)
{
	const char *close = strchr(p->s + p->at, '>');
	if (!close || close == p->s + p->at)
		return refuse(p, p->at, "a group's name ends with >");
	for (const char *c = p->s + p->at; c < close; c++)
		if (!isalnum((unsigned char)*c) && *c != '_')
			return refuse(p, p->at, "a group's name has letters, digits and _");
	p->at = (size_t)(close - p->s) + 1;
	return 0;
}

/* At "(": which kind; *closed when it is options for the rest of the enclosing group. */
static int group_head(struct parser *p, enum group_kind *kind, bool *extended, bool *closed)
{
	const char *s = p->s + p->at + 1;
	*kind = GROUP_PLAIN;
	if (s[0] == '*')
		return refuse(p, p->at, "verbs are refused");
	if (s[0] != '?') {
		p->at += 1;
		return 0;
	}
	size_t skip = s[1] == 'P' ? 3 : 2;
	bool angle = p->s[p->at + skip] == '<';
	char after = angle ? p->s[p->at + skip + 1] : 0;
	if (s[1] == '=' || s[1] == '!') {
		*kind = GROUP_AHEAD;
		p->at += 3;
	} else if (s[1] == '<' && (after == '=' || after == '!')) {
		*kind = GROUP_BEHIND;
		p->at += 4;
	} else if (angle) {
		p->at += skip + 1;
		return group_name(p);
	} else {
		p->at += 2;
		if (p->s[p->at] != ':' && !strchr("imsx-", p->s[p->at]))
			return refuse(p, p->at, "this kind of group is refused");
		return flags(p, extended, closed);
	}
	return 0;
}

static int group_open(struct parser *p)
{
	size_t start = p->at;
	enum group_kind kind;
	bool closed = false, extended = top(p)->extended;
	TRY(group_head(p, &kind, &extended, &closed));
	copy(p, start, p->at);
	if (closed) {
		settle(top(p));
		top(p)->extended = extended;
		return 0;
	}
	if (p->depth + 1 >= GROUPS_MAX)
		return refuse(p, start, "too many nested groups");
	settle(top(p));
	p->group[++p->depth] = (struct group){ .kind = kind, .extended = extended };
	return 0;
}

static int group_close(struct parser *p)
{
	if (p->depth == 0)
		return refuse(p, p->at, "unmatched )");
	struct group *g = top(p);
	end_alternative(g);
	struct span a = g->done;
	if (g->kind == GROUP_AHEAD)
		a = (struct span){ 0, 0, a.reach };
	if (g->kind == GROUP_BEHIND)
		a = (struct span){ 0, 0, a.reach > a.max ? a.reach - a.max : 0 };
	p->depth--;
	copy(p, p->at, p->at + 1);
	p->at++;
	atom(p, a);
	return 0;
}

/* ---- the whole */

static int plain(struct parser *p)
{
	size_t start = p->at;
	unsigned char c = (unsigned char)p->s[p->at++];
	while (c >= 0x80 && ((unsigned char)p->s[p->at] & 0xC0) == 0x80)
		p->at++;
	copy(p, start, p->at);
	atom(p, c == '^' ? (struct span){ 0, 0, 0 } : c == '$' ? edge : one);
	return 0;
}

/* Spaces and comments under (?x). */
static bool skipped(struct parser *p)
{
	size_t start = p->at;
	char c = p->s[p->at];
	if (!top(p)->extended || (!strchr(" \t\n\v\f\r", c) && c != '#'))
		return false;
	if (c == '#')
		while (p->s[p->at] && p->s[p->at] != '\n')
			p->at++;
	else
		p->at++;
	copy(p, start, p->at);
	return true;
}

static int step(struct parser *p)
{
	switch (p->s[p->at]) {
	case '\\':
		return escape(p, false);
	case '[':
		return class(p);
	case '(':
		return group_open(p);
	case ')':
		return group_close(p);
	case '|':
		end_alternative(top(p));
		copy(p, p->at, p->at + 1);
		p->at++;
		return 0;
	case '?':
	case '*':
	case '+':
	case '{':
		return quantifier(p);
	default:
		return plain(p);
	}
}

int filter_regex_measure(const char *pattern, uint32_t repeat_max, uint32_t *width,
			 struct buf *finite, struct err *e)
{
	struct parser p = { .s = pattern, .repeat_max = repeat_max, .finite = finite, .e = e };
	while (p.s[p.at])
		if (!skipped(&p))
			TRY(step(&p));
	if (p.depth > 0)
		return refuse(&p, p.at, ") is missing");
	end_alternative(&p.group[0]);
	struct span all = p.group[0].done;
	if (all.min == 0)
		return err_set(e, ERR_INPUT, "regex: it matches the empty text");
	uint32_t most = all.reach > all.max ? all.reach : all.max;
	if (most > REGEX_WIDTH_MAX)
		return err_set(e, ERR_INPUT,
			       "regex: it may inspect %u code points, %u are accepted", most,
			       REGEX_WIDTH_MAX);
	*width = most;
	return finite ? buf_done(finite, e) : 0;
}
