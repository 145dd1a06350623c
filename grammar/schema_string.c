/* Strings: lengths, patterns and formats, spelled as JSON. A character is written as itself where
 * JSON allows that, else by its one escape; only strings without pattern and format may use any
 * spelling. Lengths beside a pattern: the expression's position automaton (Glushkov), with a rule
 * for each position and number of characters so far. */
#include "grammar/schema_parts.h"
#include "grammar/pattern.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define ZONE "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?" ZONE
#define LABEL "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
#define HOST LABEL "(\\." LABEL "){0,4}"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define MONTH_31 "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
#define MONTH_30 "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
#define FEBRUARY "02-(0[1-9]|1[0-9]|2[0-8])"
#define LEAP "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
#define DAY "[1-9][0-9]{3}-(" MONTH_31 "|" MONTH_30 "|" FEBRUARY ")|" LEAP "-02-29"

static const struct {
	const char *name, *regex;
} formats[] = {
	{ "date", DAY },
	{ "time", TIME },
	{ "date-time", "(" DAY ")T" TIME },
	{ "email", "[A-Za-z0-9]+([._+-][A-Za-z0-9]+){0,5}@" HOST "\\.[a-z]{2,12}" },
	{ "hostname", HOST },
	{ "uuid", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}" },
	{ "ipv4", BYTE "(\\." BYTE "){3}" },
	{ "ipv6",
	  "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|([0-9a-f]{1,4}:){1,6}:[0-9a-f]{1,4}|::([0-9a-f]{1,4})?" },
	{ "uri", "https?://" HOST "(:[1-9][0-9]{1,3})?(/[A-Za-z0-9._~-]+){0,12}/?" },
};

/* ---- a tree of characters as grammar text ---- */

struct writer {
	struct schema *c;
	const struct pattern *p;
	struct buf *out;
};

static void write_escape(struct buf *out, uint32_t cp, bool *any)
{
	static const char of[] = "\"\\\b\f\n\r\t", as[] = "\"\\bfnrt";
	const char *at = cp != 0 ? strchr(of, (int)cp) : NULL;
	buf_add_text(out, *any ? " | " : "");
	*any = true;
	if (at != NULL)
		buf_printf(out, "\"\\\\%s%c\"",
			   as[at - of] == '"' || as[at - of] == '\\' ? "\\" : "", as[at - of]);
	else
		buf_printf(out, "\"\\\\u%04x\"", cp);
}

/* Characters that JSON allows unescaped form one class; each other one is written as its escape.
 * NUL occurs in no text that is read. */
static void write_set(struct writer *w, const struct pattern_node *n)
{
	struct buf raw = { 0 };
	bool any = false;
	buf_add_text(w->out, "(");
	for (uint32_t i = 0; i < n->b; i++) {
		struct pattern_range r = w->p->range[n->a + i];
		for (uint32_t cp = r.lo > 0 ? r.lo : 1; cp <= r.hi && cp <= '\\'; cp++) {
			if (cp < 0x20 || cp == '"' || cp == '\\')
				write_escape(w->out, cp, &any);
		}
		static const struct pattern_range plain[] = { { 0x20, 0x21 },
							      { 0x23, 0x5B },
							      { 0x5D, 0x10FFFF } };
		for (size_t k = 0; k < 3; k++) {
			uint32_t lo = r.lo > plain[k].lo ? r.lo : plain[k].lo,
				 hi = r.hi < plain[k].hi ? r.hi : plain[k].hi;
			if (lo <= hi)
				buf_printf(&raw, "\\U%08X-\\U%08X", lo, hi);
		}
	}
	if (raw.len > 0 || !any)
		buf_printf(w->out, "%s[%s]", any ? " | " : "", raw.len > 0 ? raw.bytes : "");
	w->out->failed |= raw.failed;
	buf_free(&raw);
	buf_add_text(w->out, ")");
}

/* As deep as the expression, whose reader bounded it. */
static int write_node(struct writer *w, uint32_t at)
{
	const struct pattern_node *n = &w->p->node[at];
	if (w->out->len > SCHEMA_OUT_MAX)
		return schema_wrong(w->c, "its rules are longer than 8 MiB");
	switch (n->kind) {
	case PATTERN_EMPTY:
		buf_add_text(w->out, "\"\"");
		return 0;
	case PATTERN_SET:
		write_set(w, n);
		return 0;
	case PATTERN_SEQ:
	case PATTERN_ALT:
		buf_add_text(w->out, "(");
		for (uint32_t c = n->first; c != PATTERN_NONE; c = w->p->node[c].next) {
			if (c != n->first)
				buf_add_text(w->out, n->kind == PATTERN_ALT ? " | " : " ");
			TRY(write_node(w, c));
		}
		buf_add_text(w->out, ")");
		return 0;
	case PATTERN_REPEAT: {
		/* a group, so that repeats of repeats are read as such */
		buf_add_text(w->out, "(");
		TRY(write_node(w, n->first));
		if (n->b == PATTERN_MORE)
			buf_printf(w->out, "){%u,}", n->a);
		else
			buf_printf(w->out, "){%u,%u}", n->a, n->b);
		return 0;
	}
	default:
		return schema_refuse(w->c, "pattern with ^ or $ elsewhere than at the ends");
	}
}

/* ---- lengths beside an expression ---- */

/* Positions are the sets of the expression with repeats written out; bit sets over them. */
#define POSITIONS 512
#define LENGTH 512 /* longest product of positions and length is 512 x 512 */

struct bits {
	uint64_t word[POSITIONS / 64];
};
struct span_of {
	struct bits first, last;
	bool empty;
};

struct glushkov {
	struct schema *c;
	const struct pattern *p;
	uint32_t set[POSITIONS], count; /* node of each position */
	struct bits follow[POSITIONS];
};

static void bits_or(struct bits *a, const struct bits *b)
{
	for (size_t i = 0; i < POSITIONS / 64; i++)
		a->word[i] |= b->word[i];
}

static bool bit_at(const struct bits *b, uint32_t i)
{
	return (b->word[i / 64] >> (i % 64) & 1) != 0;
}

static void follow_add(struct glushkov *g, const struct bits *from, const struct bits *to)
{
	for (uint32_t i = 0; i < g->count; i++) {
		if (bit_at(from, i))
			bits_or(&g->follow[i], to);
	}
}

static void concatenate(struct glushkov *g, struct span_of *a, const struct span_of *b)
{
	follow_add(g, &a->last, &b->first);
	if (a->empty)
		bits_or(&a->first, &b->first);
	if (b->empty)
		bits_or(&a->last, &b->last);
	else
		a->last = b->last;
	a->empty = a->empty && b->empty;
}

static int positions(struct glushkov *g, uint32_t at, struct span_of *out);

static int positions_repeat(struct glushkov *g, const struct pattern_node *n, struct span_of *out)
{
	uint32_t copies = n->b == PATTERN_MORE ? (n->a > 0 ? n->a : 1) : n->b;
	*out = (struct span_of){ .empty = true };
	for (uint32_t i = 0; i < copies; i++) {
		struct span_of one;
		TRY(positions(g, n->first, &one));
		one.empty = one.empty || i >= n->a;
		if (n->b == PATTERN_MORE && i + 1 == copies)
			follow_add(g, &one.last, &one.first);
		concatenate(g, out, &one);
	}
	return 0;
}

static int positions(struct glushkov *g, uint32_t at, struct span_of *out)
{
	const struct pattern_node *n = &g->p->node[at];
	struct span_of one;
	*out = (struct span_of){ .empty = n->kind != PATTERN_ALT && n->kind != PATTERN_SET };
	switch (n->kind) {
	case PATTERN_EMPTY:
		return 0;
	case PATTERN_SET:
		if (g->count == POSITIONS)
			return schema_refuse(
				g->c, "minLength or maxLength beside a pattern of that size");
		g->set[g->count] = at;
		out->first.word[g->count / 64] |= (uint64_t)1 << (g->count % 64);
		out->last = out->first;
		g->count++;
		return 0;
	case PATTERN_SEQ:
		for (uint32_t c = n->first; c != PATTERN_NONE; c = g->p->node[c].next) {
			TRY(positions(g, c, &one));
			concatenate(g, out, &one);
		}
		return 0;
	case PATTERN_ALT:
		for (uint32_t c = n->first; c != PATTERN_NONE; c = g->p->node[c].next) {
			TRY(positions(g, c, &one));
			bits_or(&out->first, &one.first);
			bits_or(&out->last, &one.last);
			out->empty = out->empty || one.empty;
		}
		return 0;
	case PATTERN_REPEAT:
		return positions_repeat(g, n, out);
	default:
		return schema_refuse(g->c, "pattern with ^ or $ elsewhere than at the ends");
	}
}

/* The rule of position i after n characters, n counted up to max, or to min without max. */
static void length_rule(struct glushkov *g, const struct span_of *all, uint32_t first, uint32_t i,
			uint32_t n, uint64_t min, uint64_t max)
{
	uint32_t top = (uint32_t)(max != UINT64_MAX ? max : min), next = n < top ? n + 1 : top;
	struct buf line = { 0 };
	struct writer w = { g->c, g->p, &line };
	const struct bits *to = i == g->count ? &all->first : &g->follow[i];
	bool last = i == g->count ? all->empty : bit_at(&all->last, i);
	buf_add_text(&line, last && n >= min ? "\"\"" : "[]");
	for (uint32_t k = 0; k < g->count && (max == UINT64_MAX || n < max); k++) {
		if (!bit_at(to, k))
			continue;
		buf_add_text(&line, " | ");
		write_set(&w, &g->p->node[g->set[k]]);
		buf_add_text(&line, " ");
		schema_rule_name(g->c, first + next * (g->count + 1) + k, &line);
	}
	schema_rule_write(g->c, first + n * (g->count + 1) + i, &line);
	buf_free(&line);
}

static int write_lengths(struct schema *c, const struct pattern *p, uint32_t root, uint64_t min,
			 uint64_t max, struct buf *out)
{
	struct glushkov *g = calloc(1, sizeof *g);
	struct span_of all;
	uint64_t top = max != UINT64_MAX ? max : min;
	if (g == NULL)
		return err_set(c->e, ERR_NOMEM, "out of memory for the schema");
	g->c = c;
	g->p = p;
	int rc = positions(g, root, &all);
	if (rc == 0 && (top > LENGTH || (top + 1) * (g->count + 1) > 20000))
		rc = schema_refuse(c, "minLength or maxLength beside a pattern of that size");
	uint32_t first = c->rules + 1;
	if (rc == 0)
		c->rules += (uint32_t)(top + 1) * (g->count + 1);
	for (uint32_t n = 0; rc == 0 && n <= top; n++) {
		for (uint32_t i = 0; i <= g->count && c->out->len <= SCHEMA_OUT_MAX; i++)
			length_rule(g, &all, first, i, n, min, max);
	}
	if (rc == 0 && c->out->len > SCHEMA_OUT_MAX)
		rc = schema_wrong(c, "its rules are longer than 8 MiB");
	if (rc == 0)
		schema_rule_name(c, first + g->count, out);
	free(g);
	return rc;
}

/* ---- strings ---- */

static int expression(struct schema *c, const char *regex, size_t len, bool search, uint64_t min,
		      uint64_t max, struct buf *body)
{
	struct pattern p = { 0 };
	uint32_t root;
	struct writer w = { c, &p, body };
	buf_add_text(body, "\"\\\"\" ");
	int rc = pattern_regex(&p, regex, len, &root, c->e);
	if (rc == 0)
		rc = pattern_anchor(&p, &root, search, c->e);
	if (rc == 0)
		rc = min == 0 && max == UINT64_MAX ? write_node(&w, root)
						   : write_lengths(c, &p, root, min, max, body);
	buf_add_text(body, " \"\\\"\"");
	pattern_free(&p);
	return rc < 0 ? rc : buf_done(body, c->e);
}

static int format_regex(struct schema *c, const json_t *format, const char **out)
{
	const char *name = json_string_value(format);
	*out = NULL;
	if (name == NULL)
		return schema_wrong(c, "format is not a string");
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (strcmp(name, formats[i].name) == 0)
			*out = formats[i].regex;
	}
	char what[100];
	(void)snprintf(what, sizeof what, "format %.64s", name);
	return *out == NULL ? schema_refuse(c, what) : 0;
}

static int plain_string(struct schema *c, uint64_t min, uint64_t max, struct buf *body)
{
	if (min == 0 && max == UINT64_MAX)
		return schema_shared(c, "string", body);
	if (min > LIMIT_CONSTRAINT_REPEAT)
		return schema_refuse(c, "minLength over 10000");
	if (max > LIMIT_CONSTRAINT_REPEAT && max != UINT64_MAX)
		max = LIMIT_CONSTRAINT_REPEAT; /* shorter strings are valid too */
	buf_add_text(body, "\"\\\"\" ");
	TRY(schema_shared(c, "char", body));
	if (max == UINT64_MAX)
		buf_printf(body, "{%llu,}", (unsigned long long)min);
	else
		buf_printf(body, "{%llu,%llu}", (unsigned long long)min, (unsigned long long)max);
	buf_add_text(body, " \"\\\"\"");
	return buf_done(body, c->e);
}

int schema_string(struct schema *c, const json_t *s, struct buf *body)
{
	const json_t *pattern = json_object_get(s, "pattern"),
		     *format = json_object_get(s, "format");
	uint64_t min = 0, max = UINT64_MAX;
	const char *regex;
	TRY(schema_count(c, s, "minLength", &min));
	TRY(schema_count(c, s, "maxLength", &max));
	if (min > max) {
		buf_add_text(body, "[]");
		return buf_done(body, c->e);
	}
	if (pattern != NULL && format != NULL)
		return schema_refuse(c, "pattern beside format");
	if (pattern != NULL && !json_is_string(pattern))
		return schema_wrong(c, "pattern is not a string");
	if (pattern != NULL)
		return expression(c, json_string_value(pattern), json_string_length(pattern), true,
				  min, max, body);
	if (format == NULL)
		return plain_string(c, min, max, body);
	TRY(format_regex(c, format, &regex));
	if (regex == NULL)
		return ERR_UNSUPPORTED;
	return expression(c, regex, strlen(regex), false, min, max, body);
}
