/* Oniguruma (Ruby syntax) to PCRE2. What reads the same in both passes through; what reads
 * differently is rewritten; what cannot be rewritten is refused by name.
 *
 *   \s \S \w \W \h \H \b \B \v \R \N \O   their character sets differ: spelled out
 *   (?m)                         dot-all there, (?s) here; ^ and $ are always multi-line there
 *   a(?i)b|c                     a(?i:b|c): the options hold to the end of the group
 *   {,n}                         {0,n}
 *   a{2}+ a{1,2}+ a{2}? a+*      (?:a{2})+ and so on: repeated, neither possessive nor lazy
 *   [a[bc]]                      union: flattened
 *   [A&&B]                       (?:(?=A)B)
 *   [^A], A not a plain class    (?:(?!A)(?s:.))
 *   [[:alpha:]]                  Unicode property
 *   \p{Han}                      \p{sc:Han}: else PCRE2 takes all that may occur in the script */
#include "tokenizer/onig.h"

#include <string.h>

#define CLASSES_MAX 8 /* within each other */
#define GROUPS_MAX 64

struct group {
	size_t begin; /* in out */
	int options;  /* groups opened by (?i) and the like: they end with this one */
};

struct reader {
	const char *at, *end;
	struct buf *out;
	struct err *e;
	int classes;
	struct group group[GROUPS_MAX];
	size_t groups;   /* open ones, the whole pattern included */
	size_t atom;     /* begin of what a quantifier here repeats */
	bool quantified; /* it has a quantifier already */
};

static int refuse(struct reader *r, const char *what, const char *at)
{
	size_t n = (size_t)(r->end - at);
	return err_set(r->e, ERR_UNSUPPORTED,
		       "not available in this version: %s in a tokenizer's expression, "
		       "at \"%.*s\"",
		       what, (int)(n > 24 ? 24 : n), at);
}

static bool ahead(const struct reader *r, const char *s)
{
	size_t n = strlen(s);
	return (size_t)(r->end - r->at) >= n && memcmp(r->at, s, n) == 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

/* ---- escapes ---- */

/* A class, or the members of one: plain members can be spliced into a larger class, others are an
 * expression for one character. */
struct members {
	struct buf plain, others;
};

static void members_free(struct members *m)
{
	buf_free(&m->plain);
	buf_free(&m->others);
}

static void add_other(struct members *m, const char *before, const char *inside, size_t len,
		      const char *after)
{
	if (m->others.len)
		buf_add_byte(&m->others, '|');
	buf_add_text(&m->others, before);
	buf_add(&m->others, inside, len);
	buf_add_text(&m->others, after);
}

/* inside, to a class (m) or by itself (out). */
static void put_set(struct reader *r, struct members *m, const char *inside, bool negated)
{
	if (m && negated)
		add_other(m, "[^", inside, strlen(inside), "]");
	else if (m)
		buf_add_text(&m->plain, inside);
	else
		buf_printf(r->out, negated ? "[^%s]" : "[%s]", inside);
}

static int read_property(struct reader *r, struct members *m)
{
	const char *start = r->at - 2, *close;
	bool negated = r->at[-1] == 'P';
	if (r->at >= r->end || *r->at != '{' ||
	    !(close = memchr(r->at, '}', (size_t)(r->end - r->at))))
		return refuse(r, "a property without braces", start);
	const char *name = r->at + 1;
	if (*name == '^') {
		negated = !negated;
		name++;
	}
	size_t n = (size_t)(close - name);
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(name[i]) && name[i] != '_' && name[i] != ' ' && name[i] != '-')
			return refuse(r, "this property", start);
	r->at = close + 1;
	const char *set = onig_property_set(name, n);
	if (set) {
		put_set(r, m, set, negated);
		return 0;
	}
	int script = onig_is_script(name, n, r->e);
	if (script < 0)
		return script;
	buf_printf(m ? &m->plain : r->out, "\\%c{%s%.*s}", negated ? 'P' : 'p', script ? "sc:" : "",
		   (int)n, name);
	return 0;
}

/* Digits of a base, at most so many; -1: none. */
static int64_t read_number(struct reader *r, int base, int most)
{
	int64_t value = -1;
	for (; r->at < r->end && most > 0; r->at++, most--) {
		char c = *r->at;
		int v = is_digit(c)            ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : base;
		if (v >= base)
			break;
		value = (value < 0 ? 0 : value) * base + v;
	}
	return value;
}

/* \xHH, \x{H...}, \uHHHH and \0OO, after the letter. */
static int read_code_point(struct reader *r, char kind, struct buf *out)
{
	const char *start = r->at - 2;
	bool braces = kind == 'x' && r->at < r->end && *r->at == '{';
	r->at += braces;
	const char *digits = r->at;
	int64_t value = kind == '0' ? read_number(r, 8, 2)
				    : read_number(r, 16,
						  braces        ? 8
						  : kind == 'u' ? 4
								: 2);
	if (kind == '0' && value < 0)
		value = 0;
	if (braces && (r->at >= r->end || *r->at++ != '}'))
		return refuse(r, "an unfinished \\x{", start);
	if (value < 0 || (kind == 'u' && r->at - digits != 4) || value > 0x10FFFF)
		return refuse(r, "a malformed code point", start);
	if (kind == 'x' && !braces && value > 0x7F)
		return refuse(r, "a byte escape above \\x7F", start);
	buf_printf(out, "\\x{%X}", (unsigned)value);
	return 0;
}

/* After the backslash, within a class (m) or not. */
static int read_escape(struct reader *r, struct members *m)
{
	const char *start = r->at - 1;
	if (r->at >= r->end)
		return refuse(r, "a lone backslash", start);
	char c = *r->at++;
	struct buf *out = m ? &m->plain : r->out;
	const struct onig_escape *set = onig_escape_of(c);
	if (set && m && !set->inside)
		return refuse(r, "this escape within a class", start);
	if (set && m) {
		put_set(r, m, set->inside + (*set->inside == '^'), *set->inside == '^');
		return 0;
	}
	if (set) {
		buf_add_text(out, set->outside);
		return 0;
	}
	if (c == 'p' || c == 'P')
		return read_property(r, m);
	if (c == 'x' || c == 'u' || c == '0')
		return read_code_point(r, c, out);
	bool reference = !m && c >= '1' && c <= '9' && !(r->at < r->end && is_digit(*r->at));
	if (is_alnum(c) && !strchr("tnrfae", c) && !reference)
		return refuse(r, "this escape", start);
	buf_add_byte(out, '\\');
	buf_add_byte(out, (unsigned char)c);
	return 0;
}

/* ---- classes ---- */

static int read_posix(struct reader *r, struct members *m)
{
	const char *start = r->at, *name = r->at + 2, *end;
	bool negated = name < r->end && *name == '^';
	name += negated;
	for (end = name; end < r->end && is_alnum(*end); end++)
		;
	const char *set = onig_posix_set(name, (size_t)(end - name));
	if (!set || r->end - end < 2 || memcmp(end, ":]", 2) != 0)
		return refuse(r, "this POSIX class", start);
	r->at = end + 2;
	put_set(r, m, set, negated);
	return 0;
}

static int read_class(struct reader *r, struct buf *out, bool *plain);

static int read_inner_class(struct reader *r, struct members *m)
{
	struct buf b = { 0 };
	bool plain;
	r->at++;
	int rc = read_class(r, &b, &plain);
	if (rc == 0)
		rc = buf_done(&b, r->e);
	if (rc == 0 && plain)
		buf_add(&m->plain, b.bytes + 1, b.len - 2);
	else if (rc == 0)
		add_other(m, "", b.bytes ? b.bytes : "", b.len, "");
	buf_free(&b);
	return rc;
}

/* One member of a class, after checks for its end and for &&. */
static int read_member(struct reader *r, struct members *m)
{
	const char *start = r->at;
	int rc = 0;
	if (ahead(r, "[:")) {
		rc = read_posix(r, m);
	} else if (*r->at == '[') {
		rc = read_inner_class(r, m);
	} else if (*r->at == '\\') {
		r->at++;
		TRY(read_escape(r, m));
		if (r->at - start == 2 && !onig_escape_of(start[1]))
			return rc; /* a single character: it may begin a range */
		if (start[1] == 'x' || start[1] == 'u' || start[1] == '0')
			return rc;
	} else {
		buf_add_byte(&m->plain, (unsigned char)*r->at++);
		return 0;
	}
	if (rc == 0 && ahead(r, "-")) { /* after a set it is itself */
		buf_add_text(&m->plain, "\\-");
		r->at++;
	}
	return rc;
}

/* At the end of some members: there must be one. */
static int members_end(struct reader *r, const struct members *m, const char *start)
{
	TRY(buf_done(&m->plain, r->e));
	TRY(buf_done(&m->others, r->e));
	return m->plain.len || m->others.len ? 0 : refuse(r, "an empty class", start);
}

/* Members up to && or ], which is consumed. *more: it was &&. */
static int read_members(struct reader *r, struct members *m, bool *more)
{
	const char *start = r->at;
	*more = false;
	if (ahead(r, "]") && memchr(r->at + 1, ']', (size_t)(r->end - r->at - 1))) {
		buf_add_text(&m->plain, "\\]"); /* first, it is itself */
		r->at++;
	}
	while (r->at < r->end) {
		if (*r->at == ']') {
			r->at++;
			return members_end(r, m, start);
		}
		if (ahead(r, "&&")) {
			r->at += 2;
			*more = true;
			return members_end(r, m, start);
		}
		TRY(read_member(r, m));
	}
	return refuse(r, "an unfinished class", start);
}

/* The members as an expression for one character. */
static void put_members(struct buf *out, const struct members *m)
{
	if (m->others.len)
		buf_add_text(out, "(?:");
	if (m->plain.len) {
		buf_add_byte(out, '[');
		buf_add(out, m->plain.bytes, m->plain.len);
		buf_add_text(out, m->others.len ? "]|" : "]");
	}
	if (m->others.len) {
		buf_add(out, m->others.bytes, m->others.len);
		buf_add_byte(out, ')');
	}
}

/* After the first operand of &&: (?:(?=first)(?=second)third). */
static int read_intersection(struct reader *r, struct members *first, struct buf *out)
{
	struct members m = *first;
	bool more = true;
	int rc = 0;
	*first = (struct members){ 0 };
	buf_add_text(out, "(?:");
	while (more && rc == 0) {
		buf_add_text(out, "(?=");
		put_members(out, &m);
		buf_add_byte(out, ')');
		members_free(&m);
		m = (struct members){ 0 };
		rc = read_members(r, &m, &more);
	}
	put_members(out, &m);
	buf_add_byte(out, ')');
	members_free(&m);
	return rc;
}

/* After '['. *plain: the result is a class of plain members, not negated. */
static int read_class(struct reader *r, struct buf *out, bool *plain)
{
	const char *start = r->at - 1;
	struct members m = { 0 };
	struct buf all = { 0 };
	bool negated = r->at < r->end && *r->at == '^', more = false;
	if (++r->classes > CLASSES_MAX)
		return refuse(r, "classes nested this deep", start);
	r->at += negated;
	int rc = read_members(r, &m, &more);
	*plain = !negated && !more && !m.others.len;
	bool simple = !more && !m.others.len;
	if (rc == 0 && more)
		rc = read_intersection(r, &m, &all);
	else if (rc == 0)
		put_members(&all, &m);
	if (rc == 0)
		rc = buf_done(&all, r->e);
	if (rc == 0 && negated && simple)
		buf_printf(out, "[^%s", all.bytes + 1);
	else if (rc == 0 && negated)
		buf_printf(out, "(?:(?!%s)(?s:.))", all.bytes);
	else if (rc == 0)
		buf_add(out, all.bytes, all.len);
	members_free(&m);
	buf_free(&all);
	r->classes--;
	return rc;
}

/* ---- groups ---- */

static void begin_atom(struct reader *r)
{
	r->atom = r->out->len;
	r->quantified = false;
}

static int open_group(struct reader *r, const char *start)
{
	if (r->groups == GROUPS_MAX)
		return refuse(r, "groups nested this deep", start);
	r->group[r->groups++] = (struct group){ .begin = r->out->len };
	return 0;
}

static void end_options(struct reader *r)
{
	struct group *g = &r->group[r->groups - 1];
	for (; g->options > 0; g->options--)
		buf_add_byte(r->out, ')');
}

static void close_group(struct reader *r)
{
	end_options(r);
	r->atom = r->out->len;
	r->quantified = false;
	if (r->groups > 1) /* else one too many: PCRE2 says so */
		r->atom = r->group[--r->groups].begin;
	buf_add_byte(r->out, ')');
	r->at++;
}

/* "(?" then i, m and -, then ':' or ')'. */
static int read_options(struct reader *r, const char *start)
{
	struct buf b = { 0 };
	for (; r->at < r->end && (*r->at == 'i' || *r->at == 'm' || *r->at == '-'); r->at++)
		buf_add_byte(&b, (unsigned char)(*r->at == 'm' ? 's' : *r->at));
	if (r->at >= r->end || (*r->at != ':' && *r->at != ')')) {
		buf_free(&b);
		return refuse(r, "this kind of group", start);
	}
	int rc = 0;
	if (*r->at++ == ':')
		rc = open_group(r, start);
	else
		r->group[r->groups - 1].options++;
	buf_add_text(r->out, "(?");
	buf_add_buf(r->out, &b);
	buf_add_byte(r->out, ':');
	buf_free(&b);
	begin_atom(r);
	return rc;
}

/* At '('. */
static int read_group(struct reader *r)
{
	static const char *const same[] = { "(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!" };
	const char *start = r->at;
	if (ahead(r, "(*"))
		return refuse(r, "a verb", r->at);
	if (ahead(r, "(?#")) {
		const char *close = memchr(r->at, ')', (size_t)(r->end - r->at));
		r->at = close ? close + 1 : r->end;
		return close ? 0 : refuse(r, "an unfinished comment", start);
	}
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (ahead(r, same[i])) {
			TRY(open_group(r, start));
			r->at += strlen(same[i]);
			buf_add_text(r->out, same[i]);
			begin_atom(r);
			return 0;
		}
	if (ahead(r, "(?<"))
		return refuse(r, "a named group", start);
	if (ahead(r, "(?")) {
		r->at += 2;
		return read_options(r, start);
	}
	TRY(open_group(r, start));
	buf_add_byte(r->out, '(');
	r->at++;
	begin_atom(r);
	return 0;
}

/* ---- quantifiers ---- */

/* Put a group around an atom that already has a quantifier, so that it can get another one. */
static void wrap_atom(struct reader *r)
{
	struct buf kept = { 0 };
	buf_add(&kept, r->out->bytes + r->atom, r->out->len - r->atom);
	r->out->len = r->atom;
	buf_add_text(r->out, "(?:");
	buf_add_buf(r->out, &kept);
	buf_add_byte(r->out, ')');
	buf_free(&kept);
}

/* At '{': the end of an interval, or NULL where both dialects read a brace. */
static const char *interval_end(const struct reader *r, bool *comma, bool *low)
{
	const char *p = r->at + 1;
	bool high = false;
	*comma = *low = false;
	for (; p < r->end && (is_digit(*p) || (*p == ',' && !*comma)); p++) {
		if (*p == ',')
			*comma = true;
		else if (*comma)
			high = true;
		else
			*low = true;
	}
	return p < r->end && *p == '}' && (*low || high) ? p + 1 : NULL;
}

static void read_quantifier(struct reader *r)
{
	bool comma = false, low = false;
	const char *end = *r->at == '{' ? interval_end(r, &comma, &low) : r->at + 1;
	if (!end) {
		begin_atom(r);
		buf_add_text(r->out, "\\{");
		r->at++;
		return;
	}
	if (r->quantified)
		wrap_atom(r);
	r->quantified = true;
	if (*r->at == '{') {
		buf_add_text(r->out, low ? "{" : "{0");
		buf_add(r->out, r->at + 1, (size_t)(end - r->at - 1));
		r->at = end;
		if (!comma || !ahead(r, "?"))
			return;
	} else {
		buf_add_byte(r->out, (unsigned char)*r->at++);
	}
	if (ahead(r, "?") || ahead(r, "+")) /* lazy, possessive */
		buf_add_byte(r->out, (unsigned char)*r->at++);
}

int onig_translate(const char *pattern, size_t len, struct buf *out, struct err *e)
{
	struct reader r = { .at = pattern, .end = pattern + len, .out = out, .e = e, .groups = 1 };
	bool plain;
	while (r.at < r.end && !out->failed) {
		char c = *r.at;
		if (c == '(') {
			TRY(read_group(&r));
			continue;
		}
		if (c == ')') {
			close_group(&r);
			continue;
		}
		if (strchr("*+?{", c) && c) {
			read_quantifier(&r);
			continue;
		}
		begin_atom(&r);
		if (c == '\\' || c == '[')
			r.at++;
		if (c == '\\') {
			TRY(read_escape(&r, NULL));
		} else if (c == '[') {
			TRY(read_class(&r, out, &plain));
		} else {
			do
				buf_add_byte(out, (unsigned char)*r.at++);
			while (r.at < r.end && ((unsigned char)*r.at & 0xC0) == 0x80);
		}
	}
	end_options(&r);
	return buf_done(out, e);
}
