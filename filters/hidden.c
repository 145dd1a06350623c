/* Sources beside the text as it stands: escapes, tag characters, variation-selector bytes,
 * overrides.
 *
 *   &#DDD; &#xHHH; &name;   %XX   \uXXXX (pairs of surrogates too)   \u{H..}   \xXX
 * Bytes of %XX and \xXX are joined to UTF-8. One layer; an escape is at most ESCAPE_MAX code points
 * long. */
#include "base/text.h"
#include "filters/stream.h"

#include <ctype.h>
#include <string.h>

enum { PARSE_NO = -1, PARSE_MORE = 0 };

static char ascii(const struct escape *x, int i)
{
	return x->wait[i].cp < 0x80 ? (char)x->wait[i].cp : '\xff';
}

/* Read at most `most` digits of a base from *i on; returns how many. */
static int digits(const struct escape *x, int *i, int most, int base, uint32_t *v)
{
	int n = 0;
	*v = 0;
	while (n < most && *i < x->n) {
		char c = ascii(x, *i);
		int d = c >= '0' && c <= '9'         ? c - '0'
			: isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
						     : 99;
		if (d >= base)
			break;
		*v = *v * (uint32_t)base + (uint32_t)d;
		n++;
		(*i)++;
	}
	return n;
}

static int scalar(uint32_t cp, int used)
{
	return cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF) ? used : PARSE_NO;
}

/* Match the introducer `text` at i; PARSE_MORE when the input ends inside it. */
static int intro(const struct escape *x, int i, const char *text)
{
	for (int k = 0; text[k]; k++) {
		if (i + k >= x->n)
			return PARSE_MORE;
		if (ascii(x, i + k) != text[k])
			return PARSE_NO;
	}
	return 1;
}

/* %XX or \xXX groups that make up one UTF-8 character. */
static int bytes_parse(const struct escape *x, const char *start, uint32_t *cp)
{
	char u[4];
	int i = 0;
	for (int n = 0; n < 4; n++) {
		int there = intro(x, i, start);
		if (there != 1)
			return there;
		i += (int)strlen(start);
		uint32_t b;
		int got = digits(x, &i, 2, 16, &b);
		if (got < 2)
			return i >= x->n ? PARSE_MORE : PARSE_NO;
		u[n] = (char)b;
		int r = text_utf8_decode(u, (size_t)n + 1, cp);
		if (r != 0)
			return r > 0 ? i : PARSE_NO;
	}
	return PARSE_NO;
}

static int unicode_parse(const struct escape *x, uint32_t *cp)
{
	int i = 2;
	if (i >= x->n)
		return PARSE_MORE;
	if (ascii(x, i) == '{') {
		i++;
		int got = digits(x, &i, 6, 16, cp);
		if (i >= x->n)
			return PARSE_MORE;
		return got > 0 && ascii(x, i) == '}' ? scalar(*cp, i + 1) : PARSE_NO;
	}
	int got = digits(x, &i, 4, 16, cp);
	if (got < 4)
		return i >= x->n ? PARSE_MORE : PARSE_NO;
	if (*cp < 0xD800 || *cp > 0xDBFF)
		return scalar(*cp, i);
	uint32_t low;
	int there = intro(x, i, "\\u");
	if (there != 1)
		return there;
	i += 2;
	got = digits(x, &i, 4, 16, &low);
	if (got < 4)
		return i >= x->n ? PARSE_MORE : PARSE_NO;
	if (low < 0xDC00 || low > 0xDFFF)
		return PARSE_NO;
	*cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
	return i;
}

static const struct {
	const char *name;
	uint32_t cp;
} entity[] = {
	{ "amp", '&' },      { "lt", '<' },        { "gt", '>' },       { "quot", '"' },
	{ "apos", '\'' },    { "nbsp", 0xA0 },     { "shy", 0xAD },     { "ensp", 0x2002 },
	{ "emsp", 0x2003 },  { "thinsp", 0x2009 }, { "zwnj", 0x200C },  { "zwj", 0x200D },
	{ "lrm", 0x200E },   { "rlm", 0x200F },    { "ndash", 0x2013 }, { "mdash", 0x2014 },
	{ "period", '.' },   { "comma", ',' },     { "lowbar", '_' },   { "hyphen", 0x2010 },
	{ "auml", 0xE4 },    { "ouml", 0xF6 },     { "uuml", 0xFC },    { "Auml", 0xC4 },
	{ "Ouml", 0xD6 },    { "Uuml", 0xDC },     { "szlig", 0xDF },   { "eacute", 0xE9 },
	{ "egrave", 0xE8 },  { "agrave", 0xE0 },   { "aacute", 0xE1 },  { "iacute", 0xED },
	{ "oacute", 0xF3 },  { "uacute", 0xFA },   { "ntilde", 0xF1 },  { "ccedil", 0xE7 },
	{ "aring", 0xE5 },   { "oslash", 0xF8 },   { "zwsp", 0x200B },  { "Tab", '\t' },
	{ "NewLine", '\n' }, { "middot", 0xB7 },   { "num", '#' },      { "sol", '/' },
	{ "colon", ':' },    { "commat", '@' },
};

static bool entity_begins(const char *name)
{
	for (size_t k = 0; k < sizeof entity / sizeof *entity; k++)
		if (text_starts(entity[k].name, name))
			return true;
	return false;
}

static int entity_parse(const struct escape *x, uint32_t *cp)
{
	int i = 1;
	if (i >= x->n)
		return PARSE_MORE;
	if (ascii(x, i) != '#') {
		char name[ESCAPE_MAX] = "";
		while (i < x->n && isalnum((unsigned char)ascii(x, i)) && i < 8) {
			name[i - 1] = ascii(x, i);
			i++;
		}
		if (i >= x->n)
			return entity_begins(name) ? PARSE_MORE : PARSE_NO;
		for (size_t k = 0; ascii(x, i) == ';' && k < sizeof entity / sizeof *entity; k++)
			if (strcmp(name, entity[k].name) == 0) {
				*cp = entity[k].cp;
				return i + 1;
			}
		return PARSE_NO;
	}
	if (++i >= x->n)
		return PARSE_MORE;
	bool hex = (ascii(x, i) | 32) == 'x';
	i += hex;
	int got = digits(x, &i, hex ? 8 : 9, hex ? 16 : 10, cp);
	if (i >= x->n)
		return PARSE_MORE;
	return got > 0 && ascii(x, i) == ';' ? scalar(*cp, i + 1) : PARSE_NO;
}

/* Parse the front of the queue: an escape's length and code point, no escape, or too early to
 * say. */
static int escape_parse(const struct escape *x, uint32_t *cp)
{
	switch (ascii(x, 0)) {
	case '%':
		return bytes_parse(x, "%", cp);
	case '&':
		return entity_parse(x, cp);
	case '\\':
		if (x->n < 2)
			return PARSE_MORE;
		if (ascii(x, 1) == 'x')
			return bytes_parse(x, "\\x", cp);
		return ascii(x, 1) == 'u' ? unicode_parse(x, cp) : PARSE_NO;
	default:
		return PARSE_NO;
	}
}

static void escape_drain(struct filter_stream *f, bool final)
{
	struct escape *x = &f->escape;
	while (x->n > 0) {
		uint32_t cp;
		int used = escape_parse(x, &cp);
		if (used == PARSE_MORE && !final && x->n <= ESCAPE_MAX - 1)
			return;
		struct place p = x->wait[0];
		if (used > 0) {
			p.cp = cp;
			p.end = x->wait[used - 1].end;
		} else {
			used = 1;
		}
		x->n -= used;
		memmove(x->wait, x->wait + used, (size_t)x->n * sizeof *x->wait);
		filter_source_put(f, SOURCE_ESCAPED, &p);
	}
}

void filter_escape_put(struct filter_stream *f, const struct place *p)
{
	f->escape.wait[f->escape.n++] = *p;
	escape_drain(f, false);
}

void filter_escape_finish(struct filter_stream *f) { escape_drain(f, true); }

/* ---- tag characters and selectors */

static int selector_byte(uint32_t cp)
{
	if (cp >= 0xFE00 && cp <= 0xFE0F)
		return (int)(cp - 0xFE00);
	return cp >= 0xE0100 && cp <= 0xE01EF ? (int)(cp - 0xE0100) + 16 : -1;
}

static void selector_put(struct filter_stream *f, const struct place *p, int byte)
{
	struct hidden *h = &f->hidden;
	if (h->n == 0)
		h->start = p->start;
	h->utf8[h->n++] = (char)byte;
	uint32_t cp;
	int r = text_utf8_decode(h->utf8, (size_t)h->n, &cp);
	if (r == 0)
		return;
	h->n = 0;
	if (r < 0)
		filter_source_reset(f, SOURCE_HIDDEN);
	else
		filter_source_put(f, SOURCE_HIDDEN, &(struct place){ cp, h->start, p->end });
}

/* The first character after an override takes the override's start, so that the span of a match
 * covers the override too. */
static void reversed_put(struct filter_stream *f, const struct place *p)
{
	struct hidden *h = &f->hidden;
	if (p->cp == 0x202E || p->cp == 0x202C || p->cp == '\n') {
		filter_source_reset(f, SOURCE_REVERSED);
		h->reversed = p->cp == 0x202E;
		h->lead = h->reversed ? p->start : NOWHERE;
		h->lead_noise = 0;
		return;
	}
	if (!h->reversed)
		return;
	struct place q = *p;
	if (h->lead != NOWHERE && !filter_view_noise(p->cp))
		q.start = h->lead;
	filter_source_put(f, SOURCE_REVERSED, &q);
	if (!filter_view_noise(p->cp) || ++h->lead_noise > VIEW_NOISE_MAX)
		h->lead = NOWHERE;
}

void filter_hidden_put(struct filter_stream *f, const struct place *p)
{
	int byte = selector_byte(p->cp);
	reversed_put(f, p);
	if (byte >= 0) {
		selector_put(f, p, byte);
		return;
	}
	f->hidden.n = 0;
	if (p->cp >= 0xE0020 && p->cp <= 0xE007E)
		filter_source_put(f, SOURCE_HIDDEN,
				  &(struct place){ p->cp - 0xE0000, p->start, p->end });
	else if (p->cp != 0xE0001 && p->cp != 0xE007F)
		filter_source_reset(f, SOURCE_HIDDEN);
}
