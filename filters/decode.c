/* The escapes, each by a function that looks at the front of a list of characters.
 *
 *   backslash        \n \" \. \u0034 (pairs of surrogates too) \u{34} \U00000034 \x34 \064; in a
 *                    string of a string the backslashes double: up to BACKSLASHES are one
 *                    doubled quotes, as cells of CSV have them, are one
 *   entity           &#52; &#x34; (the semicolon may be missing) &nbsp;
 *   percent          %34; bytes are joined to UTF-8, other bytes are Latin-1
 *   quoted-printable =34 =C2=A0, and a line break behind = is none
 *   markup           inline tags, <br>, comments; * ` ~~ at a letter or digit, _ at the border of a
 *                    word
 * Sources: RFC 8259 section 7, HTML 13.2.5, RFC 3986 section 2.1, RFC 2045 section 6.7, CommonMark
 * 0.31 section 6. */
#include "filters/decode.h"

#include "base/text.h"
#include "filters/filters.h"
#include "filters/view.h"

#include <ctype.h>
#include <string.h>

#define BACKSLASHES 16 /* a quotation mark at depth 4 has 15 */
#define QUOTES 8       /* doubled three times: CSV in CSV in CSV */
#define TAG_MAX 60
#define RUN_MAX 3 /* marks of Markdown in a row: *** is bold and italic */

enum { PARSE_NO = -1, PARSE_MORE = 0 };

/* What an escape becomes, where it is no character. */
#define DROPPED 0xFFFFFFFFu
#define AS_IT_IS 0xFFFFFFFEu

/* The front of a list. */
struct front {
	const struct sign *s;
	int n;
	uint32_t before;
	bool final, query;
};

static char ascii(const struct front *x, int i)
{
	return x->s[i].cp < 0x80 ? (char)x->s[i].cp : '\xff';
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'         ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
					    : 99;
}

/* Read at most `most` digits of a base from *i on; returns how many. */
static int digits(const struct front *x, int *i, int most, int base, uint32_t *v)
{
	int n = 0;
	*v = 0;
	while (n < most && *i < x->n && hex_digit(ascii(x, *i)) < base) {
		*v = *v * (uint32_t)base + (uint32_t)hex_digit(ascii(x, *i));
		n++;
		(*i)++;
	}
	return n;
}

static int scalar(uint32_t cp, int used)
{
	return cp && cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF) ? used : PARSE_NO;
}

/* Exactly n digits of a base. */
static int number(const struct front *x, int *i, int n, int base, uint32_t *v)
{
	if (digits(x, i, n, base, v) == n)
		return 1;
	return *i >= x->n ? PARSE_MORE : PARSE_NO;
}

/* ---- bytes: two hexadecimal digits behind an introducer, joined to UTF-8 */

typedef int byte_parse(const struct front *x, int *i, uint32_t *byte);

static int bytes_parse(const struct front *x, byte_parse *one, uint32_t *cp)
{
	char u[4];
	int i = 0, first = 0;
	uint32_t latin = 0;
	for (int n = 0; n < 4; n++) {
		uint32_t b;
		int r = one(x, &i, &b);
		if (r == PARSE_MORE || (r == PARSE_NO && n == 0))
			return r;
		if (r == PARSE_NO)
			break;
		u[n] = (char)b;
		if (n == 0) {
			first = i;
			latin = b;
		}
		int whole = text_utf8_decode(u, (size_t)n + 1, cp);
		if (whole > 0)
			return scalar(*cp, i);
		if (whole < 0)
			break;
	}
	*cp = latin;
	return scalar(latin, first);
}

static int percent_byte(const struct front *x, int *i, uint32_t *byte)
{
	if (*i >= x->n)
		return PARSE_MORE;
	if (ascii(x, *i) != '%')
		return PARSE_NO;
	(*i)++;
	return number(x, i, 2, 16, byte);
}

/* In the query of an address a plus is a space, where it is written as one. */
static int plus_parse(const struct front *x, uint32_t *cp)
{
	if (!x->query || x->s->made)
		return PARSE_NO;
	*cp = ' ';
	return 1;
}

static int percent_parse(const struct front *x, uint32_t *cp)
{
	if (ascii(x, 0) == '+')
		return plus_parse(x, cp);
	return bytes_parse(x, percent_byte, cp);
}

/* Capitals only, as the standard has it: "a=be" is no byte. */
static int mail_byte(const struct front *x, int *i, uint32_t *byte)
{
	if (*i >= x->n)
		return PARSE_MORE;
	/* A soft line break may part the bytes of a character. */
	if (*i > 0 && ascii(x, *i) == '=') {
		int at = *i + 1;
		at += at < x->n && ascii(x, at) == '\r';
		if (at < x->n && ascii(x, at) == '\n')
			*i = at + 1;
		if (at >= x->n || *i >= x->n)
			return PARSE_MORE;
	}
	if (ascii(x, *i) != '=')
		return PARSE_NO;
	for (int k = 1; k <= 2 && *i + k < x->n; k++)
		if (islower((unsigned char)ascii(x, *i + k)))
			return PARSE_NO;
	(*i)++;
	return number(x, i, 2, 16, byte);
}

static int mail_parse(const struct front *x, uint32_t *cp)
{
	if (ascii(x, 0) != '=')
		return PARSE_NO;
	int i = 1;
	while (i < x->n && i < 4 && (ascii(x, i) == ' ' || ascii(x, i) == '\t'))
		i++;
	if (i < x->n && ascii(x, i) == '\r')
		i++;
	if (i >= x->n)
		return PARSE_MORE;
	if (ascii(x, i) == '\n') {
		*cp = DROPPED;
		return i + 1;
	}
	int used = bytes_parse(x, mail_byte, cp);
	/* No mail writes a control character: "ts=1764460800" is a stamp, not 0x17 and a number. */
	bool control = *cp < 0x20 && *cp != '\t' && *cp != '\n' && *cp != '\r';
	return used > 0 && control ? PARSE_NO : used;
}

/* ---- backslashes */

/* Backslashes from i on; 0: none, or too many. */
static int backslashes(const struct front *x, int i)
{
	int n = 0;
	while (i + n < x->n && ascii(x, i + n) == '\\')
		n++;
	return n;
}

static int backslash_byte(const struct front *x, int *i, uint32_t *byte)
{
	int n = backslashes(x, *i);
	if (*i + n >= x->n)
		return PARSE_MORE;
	if (n == 0 || n > BACKSLASHES || ascii(x, *i + n) != 'x')
		return PARSE_NO;
	*i += n + 1;
	return number(x, i, 2, 16, byte);
}

static int octal_byte(const struct front *x, int *i, uint32_t *byte)
{
	int n = backslashes(x, *i);
	if (*i + n >= x->n)
		return PARSE_MORE;
	char c = ascii(x, *i + n);
	if (n == 0 || n > BACKSLASHES || c < '0' || c > '3')
		return PARSE_NO;
	*i += n;
	return number(x, i, 3, 8, byte);
}

/* Behind \u: four digits or {digits}. */
static int unicode_unit(const struct front *x, int *i, uint32_t *cp)
{
	if (*i >= x->n)
		return PARSE_MORE;
	if (ascii(x, *i) != '{')
		return number(x, i, 4, 16, cp);
	(*i)++;
	int got = digits(x, i, 6, 16, cp);
	if (*i >= x->n)
		return PARSE_MORE;
	return got > 0 && ascii(x, (*i)++) == '}' ? 1 : PARSE_NO;
}

static int unicode_parse(const struct front *x, int i, uint32_t *cp)
{
	int r = unicode_unit(x, &i, cp);
	if (r != 1)
		return r;
	if (*cp < 0xD800 || *cp > 0xDBFF)
		return scalar(*cp, i);
	uint32_t low;
	int n = backslashes(x, i);
	if (i + n >= x->n)
		return PARSE_MORE;
	if (n == 0 || n > BACKSLASHES || ascii(x, i + n) != 'u')
		return PARSE_NO;
	i += n + 1;
	r = unicode_unit(x, &i, &low);
	if (r != 1)
		return r;
	if (low < 0xDC00 || low > 0xDFFF)
		return PARSE_NO;
	*cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
	return i;
}

/* Quotes are escaped by doubling in a cell of CSV: a run of them is one. */
static int quotes_parse(const struct front *x, uint32_t *cp)
{
	int n = 0;
	while (n < QUOTES && n < x->n && ascii(x, n) == '"')
		n++;
	if (n == x->n && n < QUOTES)
		return PARSE_MORE;
	*cp = '"';
	return n > 1 ? n : PARSE_NO;
}

static int backslash_parse(const struct front *x, uint32_t *cp)
{
	static const char letter[] = "ntrbfv", control[] = "\n\t\r\b\f\v";
	int n = backslashes(x, 0), i = n;
	if (n == 0)
		return quotes_parse(x, cp);
	if (n > BACKSLASHES) {
		*cp = AS_IT_IS;
		return n;
	}
	if (i >= x->n)
		return PARSE_MORE;
	char c = ascii(x, i++);
	const char *at = strchr(letter, c);
	int r = PARSE_NO;
	if (c == 'u') {
		r = unicode_parse(x, i, cp);
	} else if (c == 'x') {
		r = bytes_parse(x, backslash_byte, cp);
	} else if (c == 'U') {
		r = number(x, &i, 8, 16, cp);
		r = r == 1 ? scalar(*cp, i) : r;
	} else if (c >= '0' && c <= '3') {
		r = bytes_parse(x, octal_byte, cp);
	} else if (c && at) {
		*cp = (uint32_t)control[at - letter];
		r = i;
	} else if (ispunct((unsigned char)c) && (unsigned char)c < 0x80) {
		*cp = (uint32_t)c;
		r = i;
	}
	if (r != PARSE_NO)
		return r;
	*cp = AS_IT_IS;
	return n;
}

/* ---- entities */

static const struct {
	const char *name;
	uint32_t cp;
} entity[] = {
	{ "amp", '&' },
	{ "lt", '<' },
	{ "gt", '>' },
	{ "quot", '"' },
	{ "apos", '\'' },
	{ "nbsp", 0xA0 },
	{ "shy", 0xAD },
	{ "ensp", 0x2002 },
	{ "emsp", 0x2003 },
	{ "emsp13", 0x2004 },
	{ "emsp14", 0x2005 },
	{ "numsp", 0x2007 },
	{ "puncsp", 0x2008 },
	{ "thinsp", 0x2009 },
	{ "hairsp", 0x200A },
	{ "zwnj", 0x200C },
	{ "zwj", 0x200D },
	{ "lrm", 0x200E },
	{ "rlm", 0x200F },
	{ "zwsp", 0x200B },
	{ "hyphen", 0x2010 },
	{ "dash", 0x2010 },
	{ "ndash", 0x2013 },
	{ "mdash", 0x2014 },
	{ "horbar", 0x2015 },
	{ "minus", 0x2212 },
	{ "period", '.' },
	{ "comma", ',' },
	{ "lowbar", '_' },
	{ "UnderBar", '_' },
	{ "plus", '+' },
	{ "equals", '=' },
	{ "sol", '/' },
	{ "bsol", '\\' },
	{ "colon", ':' },
	{ "semi", ';' },
	{ "num", '#' },
	{ "commat", '@' },
	{ "lpar", '(' },
	{ "rpar", ')' },
	{ "lsqb", '[' },
	{ "rsqb", ']' },
	{ "lbrack", '[' },
	{ "rbrack", ']' },
	{ "lcub", '{' },
	{ "rcub", '}' },
	{ "lbrace", '{' },
	{ "rbrace", '}' },
	{ "vert", '|' },
	{ "verbar", '|' },
	{ "excl", '!' },
	{ "quest", '?' },
	{ "ast", '*' },
	{ "midast", '*' },
	{ "percnt", '%' },
	{ "dollar", '$' },
	{ "grave", '`' },
	{ "Tab", '\t' },
	{ "NewLine", '\n' },
	{ "middot", 0xB7 },
	{ "centerdot", 0xB7 },
	{ "bull", 0x2022 },
	{ "auml", 0xE4 },
	{ "ouml", 0xF6 },
	{ "uuml", 0xFC },
	{ "Auml", 0xC4 },
	{ "Ouml", 0xD6 },
	{ "Uuml", 0xDC },
	{ "szlig", 0xDF },
	{ "eacute", 0xE9 },
	{ "egrave", 0xE8 },
	{ "ecirc", 0xEA },
	{ "agrave", 0xE0 },
	{ "aacute", 0xE1 },
	{ "acirc", 0xE2 },
	{ "iacute", 0xED },
	{ "oacute", 0xF3 },
	{ "ocirc", 0xF4 },
	{ "uacute", 0xFA },
	{ "ntilde", 0xF1 },
	{ "ccedil", 0xE7 },
	{ "aring", 0xE5 },
	{ "oslash", 0xF8 },
	{ "aelig", 0xE6 },
	{ "ZeroWidthSpace", 0x200B },
};
#define ENTITIES (int)(sizeof entity / sizeof *entity)
#define ENTITY_NAME_MAX 14

static int entity_named(const struct front *x, uint32_t *cp)
{
	char name[ENTITY_NAME_MAX + 1] = "";
	int i = 1;
	while (i < x->n && i <= ENTITY_NAME_MAX && isalnum((unsigned char)ascii(x, i))) {
		name[i - 1] = ascii(x, i);
		i++;
	}
	for (int k = 0; k < ENTITIES; k++) {
		if (i >= x->n && text_starts(entity[k].name, name))
			return PARSE_MORE;
		if (i < x->n && ascii(x, i) == ';' && strcmp(name, entity[k].name) == 0) {
			*cp = entity[k].cp;
			return i + 1;
		}
	}
	return PARSE_NO;
}

static int entity_parse(const struct front *x, uint32_t *cp)
{
	if (ascii(x, 0) != '&')
		return PARSE_NO;
	int i = 2;
	if (x->n < 2)
		return PARSE_MORE;
	if (ascii(x, 1) != '#')
		return entity_named(x, cp);
	bool hex = i < x->n && (ascii(x, i) | 32) == 'x';
	i += hex;
	int got = digits(x, &i, 9, hex ? 16 : 10, cp);
	if (i >= x->n)
		return PARSE_MORE;
	return got > 0 ? scalar(*cp, i + (ascii(x, i) == ';')) : PARSE_NO;
}

/* ---- markup */

static const char *const inline_tag[] = {
	"a",    "abbr",   "b",      "bdi", "bdo", "big",  "br",   "code", "data", "del",
	"em",   "font",   "i",      "ins", "kbd", "mark", "nobr", "s",    "samp", "small",
	"span", "strike", "strong", "sub", "sup", "time", "tt",   "u",    "var",  "wbr",
};
#define INLINE_TAGS (int)(sizeof inline_tag / sizeof *inline_tag)

/* Behind <!-- : up to the first -->. */
static int comment_parse(const struct front *x)
{
	static const char open[] = "<!--";
	for (int i = 1; i < 4; i++)
		if (i >= x->n)
			return PARSE_MORE;
		else if (ascii(x, i) != open[i])
			return PARSE_NO;
	for (int i = 6; i < TAG_MAX; i++)
		if (i >= x->n)
			return PARSE_MORE;
		else if (ascii(x, i) == '\xff')
			return PARSE_NO;
		else if (ascii(x, i) == '>' && ascii(x, i - 1) == '-' && ascii(x, i - 2) == '-')
			return i + 1;
	return PARSE_NO;
}

/* name="value" ... up to the >: without one in sight of a = it is no tag. */
static int attributes_parse(const struct front *x, int i)
{
	char quote = 0;
	bool equals = false;
	for (; i < TAG_MAX; i++) {
		if (i >= x->n)
			return PARSE_MORE;
		char c = ascii(x, i);
		if (c == '\xff')
			return PARSE_NO;
		if (quote) {
			quote = c == quote ? 0 : quote;
			continue;
		}
		if (c == '>')
			return i + 1;
		if (c == '=')
			equals = true;
		else if (c == '"' || c == '\'')
			quote = c;
		if (quote && !equals)
			return PARSE_NO;
		if (!equals && !isalpha((unsigned char)c) && c != ' ' && c != '-' && c != '/')
			return PARSE_NO;
	}
	return PARSE_NO;
}

static int tag_parse(const struct front *x)
{
	int i = 1, n = 0;
	char name[8] = "";
	if (x->n > 1 && ascii(x, 1) == '!')
		return comment_parse(x);
	i += i < x->n && ascii(x, i) == '/';
	while (i < x->n && n < 7 && isalpha((unsigned char)ascii(x, i)))
		name[n++] = (char)tolower((unsigned char)ascii(x, i++));
	for (int k = 0; k < INLINE_TAGS; k++) {
		if (i >= x->n && text_starts(inline_tag[k], name))
			return PARSE_MORE;
		if (i < x->n && strcmp(name, inline_tag[k]) == 0)
			return attributes_parse(x, i);
	}
	return PARSE_NO;
}

static bool mark_sign(char c) { return c && strchr("*_`~", c); }

static bool space(uint32_t cp) { return cp <= 0x20 || (cp >= 0x80 && filter_view_space(cp)); }

static bool one_of(uint32_t cp, const char *set) { return cp && cp < 0x80 && strchr(set, (int)cp); }

/* Whether a run of marks between two characters stands for no sign: stars and backticks where they
 * touch a letter or digit; underscores only at the border of words, for a name of a program or a
 * token holds them. */
static bool is_emphasis(char mark, uint32_t left, uint32_t right)
{
	if (mark != '_')
		return filter_view_alnum(left) || filter_view_alnum(right);
	bool opens = (space(left) || one_of(left, "([{\"'*`~|>,;:")) && !space(right);
	bool closes = (space(right) || one_of(right, ")]}\"'*`~|<,;:.!?")) && !space(left);
	return opens != closes;
}

static int marks_parse(const struct front *x, uint32_t *cp)
{
	char mark = ascii(x, 0);
	int n = 1;
	while (n < x->n && n <= RUN_MAX && ascii(x, n) == mark)
		n++;
	int next = n; /* behind marks of other kinds */
	while (next < x->n && next < n + RUN_MAX && mark_sign(ascii(x, next)))
		next++;
	if (next >= x->n && n <= RUN_MAX && !x->final)
		return PARSE_MORE;
	bool drop = n <= RUN_MAX && is_emphasis(mark, x->before, next < x->n ? x->s[next].cp : 0);
	*cp = drop && (mark != '~' || n == 2) ? DROPPED : AS_IT_IS;
	return n;
}

static int markup_parse(const struct front *x, uint32_t *cp)
{
	char c = ascii(x, 0);
	if (c == '<') {
		*cp = DROPPED;
		return tag_parse(x);
	}
	return mark_sign(c) ? marks_parse(x, cp) : PARSE_NO;
}

/* ---- readings */

struct stage {
	uint32_t encoding;
	int (*parse)(const struct front *x, uint32_t *cp);
};

#define BACKSLASH                                        \
	{                                                \
		FILTER_DECODE_BACKSLASH, backslash_parse \
	}
#define ENTITY                                     \
	{                                          \
		FILTER_DECODE_ENTITY, entity_parse \
	}
#define PERCENT                                      \
	{                                            \
		FILTER_DECODE_PERCENT, percent_parse \
	}
#define MARKUP                                     \
	{                                          \
		FILTER_DECODE_MARKUP, markup_parse \
	}
#define MAIL                                               \
	{                                                  \
		FILTER_DECODE_QUOTED_PRINTABLE, mail_parse \
	}
#define STAGES 7

/* From the outermost writing inwards: a JSON string holds a letter, which holds HTML, which holds
 * an address. A reading begins where another one has come; quoted-printable is read before what it
 * wraps, so that reading begins anew. */
static const struct {
	enum reading from;
	struct stage stage[STAGES];
} readings[READINGS] = {
	[READING_ESCAPES] = { READING_DIRECT, { BACKSLASH, ENTITY } },
	[READING_PERCENT] = { READING_ESCAPES, { PERCENT, ENTITY, PERCENT } },
	[READING_MARKUP] = { READING_PERCENT, { MARKUP } },
	[READING_MAIL] = { READING_DIRECT,
			   { BACKSLASH, MAIL, ENTITY, PERCENT, ENTITY, PERCENT, MARKUP } },
};

uint32_t filter_decode_of(enum reading r)
{
	uint32_t all = 0;
	for (; r != READING_DIRECT; r = readings[r].from)
		for (int i = 0; i < STAGES; i++)
			all |= readings[r].stage[i].encoding;
	return all;
}

bool filter_decode_opens(uint32_t cp, uint32_t encodings)
{
	switch (cp) {
	case '\\':
	case '"':
		return encodings & FILTER_DECODE_BACKSLASH;
	case '&':
		return encodings & FILTER_DECODE_ENTITY;
	case '%':
	case '+':
		return encodings & FILTER_DECODE_PERCENT;
	case '=':
		return encodings & FILTER_DECODE_QUOTED_PRINTABLE;
	case '<':
	case '*':
	case '_':
	case '`':
	case '~':
		return encodings & FILTER_DECODE_MARKUP;
	default:
		return false;
	}
}

/* Put what `used` characters from x->s on became at d->sign[*n]. */
static void put(struct decoded *d, int *n, const struct sign *s, int used, uint32_t cp,
		uint32_t encoding)
{
	if (cp == AS_IT_IS) {
		memmove(&d->sign[*n], s, (size_t)used * sizeof *s);
		*n += used;
		return;
	}
	struct sign whole = *s;
	whole.cp = cp;
	whole.to = s[used - 1].to;
	whole.end = s[used - 1].end;
	for (int i = 0; i < used; i++)
		whole.made |= s[i].made;
	whole.made |= (uint8_t)encoding;
	for (int i = whole.from + 1; i < whole.to; i++)
		d->inside[i] = true;
	if (cp == DROPPED)
		d->dropped[whole.to] += (uint8_t)DECODE_NOISE(whole.to - whole.from);
	else
		d->sign[(*n)++] = whole;
}

static void stage_run(struct decoded *d, const struct stage *stage, uint32_t before, bool final,
		      bool query)
{
	int n = 0, i = 0;
	uint32_t left = before;
	while (i < d->n) {
		struct front x = { d->sign + i, d->n - i, left, final, query };
		uint32_t cp = AS_IT_IS;
		int used = filter_decode_opens(x.s->cp, stage->encoding) ? stage->parse(&x, &cp)
									 : PARSE_NO;
		if (used == PARSE_MORE && !final) {
			if (x.s->from < d->settled)
				d->settled = x.s->from;
			break;
		}
		if (used <= 0 || x.s[used - 1].to - x.s->from > DECODE_SIGN_MAX) {
			used = used <= 0 ? 1 : used;
			cp = AS_IT_IS;
		}
		left = cp == DROPPED ? left : x.s[used - 1].cp;
		put(d, &n, x.s, used, cp, stage->encoding);
		i += used;
	}
	d->n = n;
}

static void copy(struct decoded *to, const struct decoded *from, int n)
{
	memcpy(to->sign, from->sign, (size_t)from->n * sizeof *to->sign);
	memcpy(to->inside, from->inside, (size_t)n + 1);
	memcpy(to->dropped, from->dropped, (size_t)n + 1);
	to->n = from->n;
	to->settled = from->settled;
}

void filter_decode(uint32_t encodings, const struct sign *in, int n,
		   const uint32_t before[READINGS], bool final, bool query,
		   struct decoded out[READINGS])
{
	struct decoded *direct = &out[READING_DIRECT];
	memcpy(direct->sign, in, (size_t)n * sizeof *in);
	memset(direct->inside, 0, (size_t)n + 1);
	memset(direct->dropped, 0, (size_t)n + 1);
	direct->n = direct->settled = n;
	for (int r = 1; r < READINGS; r++) {
		copy(&out[r], &out[readings[r].from], n);
		const struct stage *stage = readings[r].stage;
		for (int i = 0; i < STAGES && stage[i].parse; i++)
			if (stage[i].encoding & encodings)
				stage_run(&out[r], &stage[i], before[r], final, query);
	}
}
