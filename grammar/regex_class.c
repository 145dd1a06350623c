/* Characters, escapes and classes of regular expressions. */
#include "grammar/regex_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t code_point(struct regex_reader *r)
{
	uint32_t cp = 0;
	int n = r->at < r->len ? text_utf8_decode(r->text + r->at, r->len - r->at, &cp) : 0;
	if (n <= 0)
		return regex_wrong(r, "not UTF-8");
	r->at += (size_t)n;
	return cp;
}

static uint32_t hex(struct regex_reader *r, int digits)
{
	uint32_t v = 0;
	for (int i = 0; i < digits; i++, r->at++) {
		int digit = text_hex_digit(regex_peek(r, 0));
		if (digit < 0)
			return regex_wrong(r, "hex digits expected");
		v = v << 4 | (uint32_t)digit;
	}
	return v;
}

/* ---- sets that are looked up ---- */

enum known_set { WORDS_WIDE, DIGITS_WIDE, UNASSIGNED };

static void known_make(struct pattern *p, enum known_set which)
{
	uint32_t from = p->ranges;
	switch (which) {
	case WORDS_WIDE: /* all but what certainly is none */
		regex_plain_add(p);
		pattern_range_add(p, 0, '0' - 1);
		pattern_range_add(p, '9' + 1, 'A' - 1);
		pattern_range_add(p, 'Z' + 1, '_' - 1);
		pattern_range_add(p, '_' + 1, 'a' - 1);
		pattern_range_add(p, 'z' + 1, 0x7F);
		pattern_set_negate(p, from);
		break;
	case DIGITS_WIDE:
		regex_category_add(p, REGEX_DIGITS | REGEX_UNASSIGNED);
		break;
	default:
		regex_category_add(p, REGEX_UNASSIGNED);
		break;
	}
}

/* Add the set kept under this name; made by `which`, or as a property where name is one. */
static bool known_add(struct regex_reader *r, const char *name, int which)
{
	struct pattern *p = r->p;
	uint32_t from = p->ranges;
	for (uint32_t i = 0; i < r->knowns; i++) {
		const struct regex_known *k = &r->known[i];
		if (strcmp(k->name, name) != 0)
			continue;
		for (uint32_t n = 0; n < k->ranges; n++)
			pattern_range_add(p, k->range[n].lo, k->range[n].hi);
		return true;
	}
	if (r->knowns == REGEX_KNOWN)
		return false;
	if (which >= 0)
		known_make(p, (enum known_set)which);
	else if (!regex_property_add(p, name))
		return false;
	p->work += which >= 0 ? 1u << 17 : 3u << 18; /* every character was looked at */
	if (p->work > LIMIT_CONSTRAINT_COMPILE)
		regex_refuse(r, "so many sets of Unicode in one constraint");
	struct regex_known *made = &r->known[r->knowns++];
	(void)snprintf(made->name, sizeof made->name, "%s", name);
	made->ranges = p->failed == 0 ? p->ranges - from : 0;
	made->range = calloc(made->ranges + 1, sizeof *made->range);
	if (made->range == NULL)
		p->failed = ERR_NOMEM;
	else if (made->ranges > 0)
		memcpy(made->range, p->range + from, made->ranges * sizeof *made->range);
	return true;
}

/* ---- \d and its like ---- */

static const struct pattern_range digits[] = { { '0', '9' } },
				  spaces[] = { { '\t', '\r' }, { ' ', ' ' } },
				  words[] = {
					  { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' }
				  };
static const struct pattern_range spaces_wide[] = {
	{ 9, 13 },          { 28, 32 },         { 0x85, 0x85 },     { 0xA0, 0xA0 },
	{ 0x1680, 0x1680 }, { 0x180E, 0x180E }, { 0x2000, 0x200A }, { 0x2028, 0x2029 },
	{ 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF }
};

static void add_ranges(struct pattern *p, const struct pattern_range *range, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pattern_range_add(p, range[i].lo, range[i].hi);
}

#define ADD(list) add_ranges(r->p, list, sizeof(list) / sizeof *(list))

/* Add the set of \d and its like; false if c is none of them. A capital letter is all but the other
 * set. */
static bool add_perl(struct regex_reader *r, int c, bool wide)
{
	bool capital = c == 'D' || c == 'S' || c == 'W', large = capital != wide;
	uint32_t from = r->p->ranges;
	switch (c) {
	case 'd':
	case 'D':
		large ? (void)known_add(r, "\\d", DIGITS_WIDE) : ADD(digits);
		break;
	case 's':
	case 'S':
		large ? ADD(spaces_wide) : ADD(spaces);
		break;
	case 'w':
	case 'W':
		large ? (void)known_add(r, "\\w", WORDS_WIDE) : ADD(words);
		break;
	default:
		return false;
	}
	if (capital)
		pattern_set_negate(r->p, from);
	return true;
}

/* After \p or \P: {Name}, {^Name} or one letter. What another version of Unicode may have is in
 * neither. */
static void property(struct regex_reader *r, bool negated, bool wide)
{
	char name[64] = { 0 };
	size_t n = 1;
	uint32_t from = r->p->ranges;
	bool braces = regex_take(r, "{");
	if (braces) {
		if (regex_take(r, "^"))
			negated = !negated;
		n = 0;
		while (n < sizeof name && regex_peek(r, n) >= 0 && regex_peek(r, n) != '}')
			n++;
	}
	if (n == 0 || n == sizeof name || r->len - r->at < n + braces) {
		regex_wrong(r, "the name of a property expected");
		return;
	}
	memcpy(name, r->text + r->at, n);
	bool full = r->knowns >= REGEX_KNOWN - REGEX_OWN;
	if (full || !known_add(r, name, -1)) {
		regex_refuse(r, full ? "as many sets of Unicode" : "a property \\p of that name");
		return;
	}
	if (negated != wide)
		known_add(r, "Cn", UNASSIGNED);
	if (negated)
		pattern_set_negate(r->p, from);
	r->at += n + braces;
}

/* A set after a backslash, \d or \p; false: it is none. */
static bool add_set(struct regex_reader *r, bool wide)
{
	int c = regex_peek(r, 0);
	if (c == 'p' || c == 'P') {
		r->at++;
		property(r, c == 'P', wide);
		return true;
	}
	if (!add_perl(r, c, wide))
		return false;
	r->at++;
	return true;
}

/* ---- single characters ---- */

/* After \u: four digits, a pair of surrogates, or {digits}. */
static uint32_t unicode_escape(struct regex_reader *r)
{
	uint32_t v = 0;
	if (regex_take(r, "{")) {
		for (; text_hex_digit(regex_peek(r, 0)) >= 0 && v <= 0x10FFFF; r->at++)
			v = v << 4 | (uint32_t)text_hex_digit(regex_peek(r, 0));
		if (v > 0x10FFFF || !regex_take(r, "}"))
			return regex_wrong(r, "a code point in braces expected");
	} else {
		v = hex(r, 4);
		if (v >= 0xD800 && v <= 0xDBFF && regex_take(r, "\\u")) {
			uint32_t low = hex(r, 4);
			if (low < 0xDC00 || low > 0xDFFF)
				return regex_refuse(r, "a surrogate");
			v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return v >= 0xD800 && v <= 0xDFFF ? regex_refuse(r, "a surrogate") : v;
}

/* After a backslash: the character meant. */
static uint32_t escape(struct regex_reader *r)
{
	static const char from[] = "nrtfv0", to[] = "\n\r\t\f\v";
	int c = regex_peek(r, 0), letter = regex_peek(r, 1) | 32;
	const char *at = c > 0 ? strchr(from, c) : NULL;
	if (c < 0)
		return regex_wrong(r, "it ends with a backslash");
	if (c >= '1' && c <= '9')
		return regex_refuse(r, "a backreference");
	if (c == '0' && regex_peek(r, 1) >= '0' && regex_peek(r, 1) <= '9')
		return regex_refuse(r, "an octal escape");
	if (c >= 0x80)
		return code_point(r);
	r->at++;
	if (at)
		return (unsigned char)to[at - from];
	if (c == 'x')
		return hex(r, 2);
	if (c == 'u')
		return unicode_escape(r);
	if (c == 'U')
		return hex(r, 8);
	if (c == 'c' && letter >= 'a' && letter <= 'z') {
		r->at++;
		return (uint32_t)(letter - 'a' + 1);
	}
	if (c == 'k')
		return regex_refuse(r, "a backreference");
	if (c == 'G' || c == 'R' || c == 'X' || c == 'K')
		return regex_refuse(r, "\\G, \\R, \\X or \\K");
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return regex_refuse(r, "an escape of an unknown letter");
	return (uint32_t)c;
}

/* Close the set of ranges behind from: its other cases too, where asked for. */
static uint32_t set_close(struct regex_reader *r, uint32_t from, bool negated)
{
	bool wide = r->wide != negated;
	if (r->rc != 0)
		return 0;
	if ((r->flags & REGEX_CASE) != 0) {
		r->p->work += regex_fold_cost(r->p, from, wide);
		if (r->p->work > LIMIT_CONSTRAINT_COMPILE)
			return regex_refuse(r, "that many characters in two cases");
		regex_fold(r->p, from, wide);
	}
	return pattern_set_close(r->p, from, negated);
}

static uint32_t one_character(struct regex_reader *r, uint32_t cp)
{
	uint32_t from = r->p->ranges;
	if (r->rc == 0 && cp > 0x10FFFF)
		return regex_wrong(r, "not a character");
	if (r->rc == 0)
		pattern_range_add(r->p, cp, cp);
	return set_close(r, from, false);
}

uint32_t regex_character(struct regex_reader *r) { return one_character(r, code_point(r)); }

uint32_t regex_escape(struct regex_reader *r)
{
	uint32_t from = r->p->ranges;
	if (add_set(r, r->wide))
		return set_close(r, from, false);
	return one_character(r, escape(r));
}

uint32_t regex_dot(struct regex_reader *r)
{
	static const struct pattern_range ends[] = {
		{ '\n', '\n' }, { '\r', '\r' }, { 0x85, 0x85 }, { 0x2028, 0x2029 }
	};
	uint32_t from = r->p->ranges;
	if ((r->flags & REGEX_DOT) == 0)
		add_ranges(r->p, ends, r->wide ? 1 : sizeof ends / sizeof *ends);
	return pattern_set_close(r->p, from, true);
}

/* ---- classes ---- */

/* After [: of POSIX. */
static void posix_class(struct regex_reader *r, bool wide)
{
	static const struct {
		const char *name;
		struct pattern_range range[4];
	} sets[] = {
		{ "alnum", { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } } },
		{ "alpha", { { 'A', 'Z' }, { 'a', 'z' } } },
		{ "ascii", { { 0, 0x7F } } },
		{ "blank", { { ' ', ' ' }, { '\t', '\t' } } },
		{ "cntrl", { { 0, 0x1F }, { 0x7F, 0x7F } } },
		{ "digit", { { '0', '9' } } },
		{ "graph", { { '!', '~' } } },
		{ "lower", { { 'a', 'z' } } },
		{ "print", { { ' ', '~' } } },
		{ "punct", { { '!', '/' }, { ':', '@' }, { '[', '`' }, { '{', '~' } } },
		{ "space", { { '\t', '\r' }, { ' ', ' ' } } },
		{ "upper", { { 'A', 'Z' } } },
		{ "word", { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
		{ "xdigit", { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } } },
	};
	(void)wide;
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "[:%s:]", sets[i].name);
		if (!regex_take(r, name))
			continue;
		for (int k = 0; k < 4 && sets[i].range[k].hi > 0; k++)
			pattern_range_add(r->p, sets[i].range[k].lo, sets[i].range[k].hi);
		return;
	}
	regex_refuse(r, "a POSIX class of that name");
}

/* One member of a class: *single tells that it is one character, and may begin a range. */
static uint32_t member(struct regex_reader *r, bool wide, bool *single)
{
	*single = true;
	if (!regex_take(r, "\\"))
		return code_point(r);
	if (regex_take(r, "b"))
		return '\b';
	if (regex_peek(r, 0) == 'B')
		return regex_refuse(r, "\\B in a class");
	if (add_set(r, wide)) {
		*single = false;
		return 0;
	}
	uint32_t cp = escape(r);
	return cp > 0x10FFFF ? regex_wrong(r, "not a character") : cp;
}

static void class_range(struct regex_reader *r, bool wide, uint32_t lo)
{
	bool single;
	uint32_t hi = lo;
	if (regex_peek(r, 0) == '-' && regex_peek(r, 1) != ']' && regex_peek(r, 1) >= 0) {
		r->at++;
		hi = member(r, wide, &single);
		if (r->rc == 0 && (!single || hi < lo))
			regex_wrong(r, "a range out of order");
	}
	if (r->rc == 0)
		pattern_range_add(r->p, lo, hi);
}

/* What two dialects read as an operation on sets. */
static bool is_operation(const struct regex_reader *r)
{
	int c = regex_peek(r, 0);
	return (c == '&' || c == '~' || c == '|') && regex_peek(r, 1) == c;
}

static void class_member(struct regex_reader *r, bool wide)
{
	bool single;
	int next = regex_peek(r, 1);
	if (regex_peek(r, 0) == '[' && next == ':') {
		posix_class(r, wide);
		return;
	}
	if (regex_peek(r, 0) == '[' && (next == '=' || next == '.'))
		regex_refuse(r, "a POSIX class of that name");
	if (is_operation(r))
		regex_refuse(r, "an operation on classes");
	uint32_t lo = r->rc == 0 ? member(r, wide, &single) : 0;
	if (r->rc == 0 && single)
		class_range(r, wide, lo);
	else if (r->rc == 0 && regex_peek(r, 0) == '-' && regex_peek(r, 1) != ']')
		regex_refuse(r, "a range from a class");
}

uint32_t regex_class(struct regex_reader *r)
{
	bool negated = regex_take(r, "^");
	uint32_t from = r->p->ranges;
	if (regex_peek(r, 0) == ']') {
		/* ECMAScript's empty class, where Python finds no other end of it */
		if (memchr(r->text + r->at + 1, ']', r->len - r->at - 1) != NULL)
			return regex_refuse(r, "an unescaped ] first in a class");
		r->at++;
		return pattern_set_close(r->p, from, negated);
	}
	while (r->rc == 0 && r->p->failed == 0 && !regex_take(r, "]")) {
		if (regex_peek(r, 0) < 0)
			return regex_wrong(r, "a class without end");
		class_member(r, r->wide != negated);
	}
	return set_close(r, from, negated);
}
