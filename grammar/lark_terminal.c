/* Terminals of Lark's grammars: literals, expressions, and what a token is.
 *
 * A token is a text of its terminal and, behind it, whatever is ignored. What is lazy, or looks
 * around, cannot be taken piece by piece: the whole terminal is then one regular language, of which
 * a lazy one keeps the texts that do not begin with another. */
#include "grammar/lark_in.h"
#include "grammar/regular.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- literals ---- */

static uint32_t hex(struct lark_reader *r, int digits)
{
	uint32_t v = 0;
	for (int i = 0; i < digits; i++, r->at++) {
		int digit = text_hex_digit(lark_peek(r, 0));
		if (digit < 0)
			return lark_wrong(r, "hex digits expected");
		v = v << 4 | (uint32_t)digit;
	}
	return v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF) ? lark_wrong(r, "not a character") : v;
}

/* Lark knows these escapes; a backslash before anything else is a character. */
static uint32_t character(struct lark_reader *r, char quote)
{
	static const char from[] = "nrtf\\", to[] = "\n\r\t\f\\";
	uint32_t cp = 0;
	if (lark_peek(r, 0) == '\\') {
		int c = lark_peek(r, 1);
		const char *at = c > 0 ? strchr(from, c) : NULL;
		if (at != NULL || c == quote) {
			r->at += 2;
			return at != NULL ? (unsigned char)to[at - from] : (uint32_t)c;
		}
		int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
		r->at += digits > 0 ? 2 : 1;
		return digits > 0 ? hex(r, digits) : '\\';
	}
	int n = r->at < r->len ? text_utf8_decode(r->text + r->at, r->len - r->at, &cp) : 0;
	if (n <= 0 || cp == '\n')
		return lark_wrong(r, r->at < r->len && cp != '\n' ? "not UTF-8"
								  : "a string without end");
	r->at += (size_t)n;
	return cp;
}

/* After the quote: the characters as sets. */
static uint32_t string_inside(struct lark_reader *r, char quote, uint32_t *only)
{
	struct pattern_list list = { 0 };
	char end[2] = { quote, '\0' };
	while (lark_going(r) && !lark_take(r, end)) {
		uint32_t from = r->p->ranges;
		*only = character(r, quote);
		if (!lark_going(r))
			return 0;
		pattern_range_add(r->p, *only, *only);
		pattern_push(r->p, &list, pattern_set_close(r->p, from, false));
	}
	*only = list.count == 1 ? *only : PATTERN_NONE;
	return pattern_close(r->p, &list, PATTERN_SEQ);
}

/* Both cases of what was just read, between the quotes: as the expression would. */
static uint32_t string_folded(struct lark_reader *r, size_t begin, size_t end)
{
	struct buf text = { 0 };
	uint32_t root = 0;
	struct lark_reader again = *r;
	buf_add_text(&text, "(?i:");
	again.at = begin;
	while (lark_going(r) && lark_going(&again) && again.at < end) {
		char escape[16];
		(void)snprintf(escape, sizeof escape, "\\u{%x}", character(&again, r->text[end]));
		buf_add_text(&text, escape);
	}
	buf_add_text(&text, ")");
	if (lark_going(r))
		r->rc = buf_done(&text, r->e);
	if (lark_going(r))
		r->rc = pattern_regex(r->p, text.bytes, text.len, &root, r->e);
	buf_free(&text);
	return root;
}

uint32_t lark_string(struct lark_reader *r)
{
	char quote = r->text[r->at++];
	size_t begin = r->at;
	uint32_t lo, hi, at = string_inside(r, quote, &lo);
	if (lark_going(r) && lark_take(r, "i"))
		return string_folded(r, begin, r->at - 2);
	lark_skip(r);
	if (!lark_going(r) || !lark_take(r, ".."))
		return at;
	lark_skip(r);
	quote = (char)lark_peek(r, 0);
	if (quote != '"' && quote != '\'')
		return lark_wrong(r, "a string expected after ..");
	r->at++;
	string_inside(r, quote, &hi);
	if (lark_going(r) && (lo == PATTERN_NONE || hi == PATTERN_NONE || hi < lo))
		return lark_wrong(r, "a range is from one character to a later one");
	uint32_t from = r->p->ranges;
	pattern_range_add(r->p, lo, hi);
	return pattern_set_close(r->p, from, false);
}

bool lark_string_skip(struct lark_reader *r)
{
	char end = r->text[r->at++];
	for (; r->at < r->len && r->text[r->at] != '\n'; r->at++) {
		if (r->text[r->at] == '\\' && r->at + 1 < r->len)
			r->at++;
		else if (r->text[r->at] == end)
			break;
	}
	bool ended = r->at < r->len && r->text[r->at] == end;
	r->at += ended;
	return ended;
}

uint32_t lark_expression(struct lark_reader *r, bool *lazy)
{
	size_t begin = r->at + 1;
	struct buf text = { 0 };
	uint32_t root = 0;
	if (!lark_string_skip(r))
		return lark_wrong(r, "an expression without end");
	size_t end = r->at - 1, flags = r->at;
	while (lark_peek(r, 0) > 0 && strchr("imsxu", lark_peek(r, 0)) != NULL)
		r->at++;
	if (lark_peek(r, 0) == 'l')
		return lark_refuse(r, "the flag l");
	buf_printf(&text, "(?%.*s:", (int)(r->at - flags), r->text + flags);
	buf_add(&text, r->text + begin, end - begin);
	/* a comment of (?x) would reach to the bracket */
	buf_add_text(&text, memchr(r->text + flags, 'x', r->at - flags) != NULL ? "\n)" : ")");
	int rc = buf_done(&text, r->e);
	r->p->lazy = false;
	if (rc == 0)
		rc = pattern_regex(r->p, text.bytes, text.len, &root, r->e);
	*lazy = *lazy || r->p->lazy;
	buf_free(&text);
	if (rc < 0 && rc != ERR_NOMEM)
		err_prefix(r->e, "grammar, line %u", lark_line(r));
	r->rc = rc;
	return root;
}

/* ---- tokens ---- */

uint32_t lark_token(struct lark *l, uint32_t rule)
{
	struct lark_symbol *s = lark_symbol(l, rule);
	if (s == NULL)
		return 0;
	if (s->token == 0) {
		uint32_t made = pattern_rule_add(l->p, PATTERN_NONE);
		s = lark_symbol(l, rule);
		if (s != NULL)
			s->token = made;
		return made;
	}
	return s->token;
}

static int about(const struct lark *l, uint32_t rule, int code, const char *what, struct err *e)
{
	const char *name = l->p->rule[rule].name;
	return err_set(e, code, "grammar, line %u: the terminal %.64s %s", l->symbol[rule].line,
		       name != NULL ? name : "(without name)", what);
}

/* Of a tree: decided as a whole, since it looks around or is lazy; may be empty. */
struct facts {
	bool complex, lazy, empty;
};

static int terminal_visit(struct lark *l, uint32_t rule, int depth, struct err *e);

/* Recursion is as deep as terminals and their expressions nest. */
static int tree_visit(struct lark *l, uint32_t node, struct facts *f, int depth, struct err *e)
{
	const struct pattern_node n = l->p->node[node];
	bool all = n.kind != PATTERN_ALT;
	if (n.kind == PATTERN_CALL) {
		TRY(terminal_visit(l, n.a, depth + 1, e));
		const struct lark_symbol *s = &l->symbol[n.a];
		*f = (struct facts){ f->complex || s->complex, f->lazy || s->lazy, s->empty };
		return 0;
	}
	f->complex = f->complex || n.kind >= PATTERN_BEGIN;
	for (uint32_t c = n.first; c != PATTERN_NONE; c = l->p->node[c].next) {
		TRY(tree_visit(l, c, f, depth, e));
		all = n.kind == PATTERN_ALT ? all || f->empty : all && f->empty;
	}
	f->empty = n.kind != PATTERN_SET && (all || (n.kind == PATTERN_REPEAT && n.a == 0));
	return 0;
}

static int terminal_visit(struct lark *l, uint32_t rule, int depth, struct err *e)
{
	struct facts f = { 0 };
	if (rule >= l->symbols || !l->symbol[rule].terminal)
		return err_set(e, ERR_INPUT, "grammar: a terminal refers to the rule %.64s",
			       l->p->rule[rule].name);
	if (l->p->rule[rule].root == PATTERN_NONE)
		return about(l, rule, ERR_INPUT, "is not defined", e);
	if (l->symbol[rule].visiting)
		return about(l, rule, ERR_INPUT, "refers to itself", e);
	if (l->symbol[rule].visited)
		return 0;
	if (depth > LIMIT_CONSTRAINT_NESTING)
		return about(l, rule, ERR_INPUT, "nests too deeply", e);
	l->symbol[rule].visiting = true;
	TRY(tree_visit(l, l->p->rule[rule].root, &f, depth, e));
	struct lark_symbol *s = &l->symbol[rule];
	s->visiting = false;
	s->visited = true;
	s->lazy = s->lazy || f.lazy;
	s->complex = f.complex || s->lazy;
	s->empty = f.empty;
	return 0;
}

/* The terminal's language as a whole. */
static int terminal_decide(struct lark *l, uint32_t rule, bool lazy, uint32_t *node, struct err *e)
{
	struct regular *r;
	bool empty;
	TRY(regular_token(&r, l->p, l->p->rule[rule].root, lazy, e));
	int rc = regular_pattern(r, l->p, node, e);
	empty = regular_holds(r, "", 0);
	regular_close(r);
	return rc == 0 && empty ? about(l, rule, ERR_INPUT, "can be empty", e) : rc;
}

int lark_visit(struct lark *l, struct err *e)
{
	for (uint32_t rule = 0; rule < l->symbols; rule++) {
		if (l->symbol[rule].terminal && l->symbol[rule].token != 0)
			TRY(terminal_visit(l, rule, 0, e));
	}
	return 0;
}

int lark_tokens(struct lark *l, struct err *e)
{
	for (uint32_t rule = 0; rule < l->symbols; rule++) {
		struct lark_symbol s = l->symbol[rule];
		struct pattern_list list = { 0 };
		if (!s.terminal || s.token == 0)
			continue;
		uint32_t node = pattern_add(l->p, PATTERN_CALL, rule, 0);
		TRY(pattern_done(l->p, e));
		if (l->symbol[rule].complex)
			TRY(terminal_decide(l, rule, l->symbol[rule].lazy, &node, e));
		else if (l->symbol[rule].empty)
			return about(l, rule, ERR_INPUT, "can be empty", e);
		pattern_push(l->p, &list, node);
		if (l->ignore != PATTERN_NONE)
			pattern_push(l->p, &list, pattern_add(l->p, PATTERN_CALL, l->ignore, 0));
		uint32_t root = pattern_close(l->p, &list, PATTERN_SEQ);
		TRY(pattern_done(l->p, e));
		l->p->rule[s.token].root = root;
	}
	/* what is left of terminals that were decided as a whole, or that no rule uses */
	uint32_t none = pattern_add(l->p, PATTERN_EMPTY, 0, 0);
	for (uint32_t rule = 0; rule < l->symbols && rule < l->p->rules; rule++) {
		const struct lark_symbol *s = &l->symbol[rule];
		if (s->terminal && (s->complex || !s->visited) &&
		    l->p->rule[rule].root != PATTERN_NONE)
			l->p->rule[rule].root = none;
	}
	return pattern_done(l->p, e);
}
