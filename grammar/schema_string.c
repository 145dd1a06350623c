/* Strings: lengths, patterns and formats, spelled as JSON. A character is written as itself where
 * JSON allows that, else by its one escape; only strings without pattern and format may use any
 * spelling. One expression alone is written as it is; all else is a regular language
 * (schema_language.c). */
#include "grammar/regular.h"
#include "grammar/schema_parts.h"

#include "base/json.h"
#include "base/limits.h"

#include <string.h>

/* Of the rules of one string that has a maxLength; and characters that tell how large they are. */
#define LANGUAGE_BYTES (1u << 19)
#define PROBE 60

#define ZONE "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define CLOCK "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?"
#define TIME CLOCK ZONE
#define LABEL "[A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20}){0,2}"
#define HOST LABEL "(\\." LABEL "){0,3}"
#define DOMAIN LABEL "(\\." LABEL "){0,2}\\.[A-Za-z]{2,12}"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4 BYTE "(\\." BYTE "){3}"
#define MONTH_31 "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
#define MONTH_30 "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
#define FEBRUARY "02-(0[1-9]|1[0-9]|2[0-8])"
#define LEAP "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
#define DAY "([1-9][0-9]{3}-(" MONTH_31 "|" MONTH_30 "|" FEBRUARY ")|" LEAP "-02-29)"
#define H16 "[0-9A-Fa-f]{1,4}"
#define IPV6                                                                                  \
	"((" H16 ":){7}" H16 "|(" H16 ":){1,6}:" H16 "|(" H16 ":){1,5}(:" H16 "){2}|(" H16    \
	":){1,4}(:" H16 "){3}|(" H16 ":){1,3}(:" H16 "){4}|(" H16 ":){1,2}(:" H16 "){5}|" H16 \
	":(:" H16 "){6}|:(:" H16 "){1,7}|(" H16 ":){1,7}:|::)"
#define PCHAR "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define PATH_CHAR "([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
#define QUERY "([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*"
#define TAIL "(\\?" QUERY ")?(#" QUERY ")?"
#define USER "([A-Za-z0-9._~!$&'()*+,;=:-]+@)?"
/* Few states, so that lengths can be counted beside them. */
#define AUTHORITY USER "[A-Za-z0-9]+([.-][A-Za-z0-9]+)*(:[0-9]{1,5})?"
#define URI                                              \
	"([a-z][a-z0-9+.-]*://" AUTHORITY "(/" PATH_CHAR \
	"*)?|(mailto|urn|tel|data):" PCHAR PATH_CHAR "*)" TAIL
#define RELATIVE "((/" PCHAR PATH_CHAR "*|/)|[A-Za-z0-9._~!$&'()*+,;=@-]+(/" PATH_CHAR "*)?)"
#define ICHAR "\\u00a1-\\ud7ff\\uf900-\\ufdcf"
#define IRI_CHAR "([A-Za-z0-9._~!$&'()*+,;=:@/" ICHAR "-]|%[0-9A-Fa-f]{2})"
#define DURATION_TIME \
	"T([0-9]+H([0-9]+M([0-9]+(\\.[0-9]+)?S)?)?|[0-9]+M([0-9]+(\\.[0-9]+)?S)?|[0-9]+(\\.[0-9]+)?S)"
#define DURATION_DATE "([0-9]+D|[0-9]+M([0-9]+D)?|[0-9]+Y([0-9]+M([0-9]+D)?)?)"
#define POINTER "(/([^/~]|~[01])*)*"

#define VARIABLES "\\{[+#./;?&]?[A-Za-z0-9_]+(,[A-Za-z0-9_]+)*\\}"
/* Expressions with groups two deep, which all languages read alike. */
#define RE_CHARACTER "([A-Za-z0-9 _@%&=:;,<>\"'/~!.-]|\\\\[dwsDWSnt.\\\\/^$*+?()\\[\\]{}|-])"
#define RE_CLASS "\\[\\^?(a-z|A-Z|0-9|[A-Za-z0-9_.@+%]|\\\\[dws.-])+\\]"
#define RE_COUNTED                \
	"([*+?]\\?"               \
	"?|\\{[0-9]{1,2},?\\}\\?" \
	"?)?"
#define RE_ATOMS "((" RE_CHARACTER "|" RE_CLASS ")" RE_COUNTED ")+"
#define RE_GROUP "\\((\\?:)?" RE_ATOMS "(\\|" RE_ATOMS ")*\\)" RE_COUNTED
#define RE_OUTER \
	"\\((\\?:)?(" RE_ATOMS "|" RE_GROUP ")+(\\|(" RE_ATOMS "|" RE_GROUP ")+)*\\)" RE_COUNTED

static const struct {
	const char *name, *regex;
} formats[] = {
	{ "date", DAY },
	{ "time", TIME },
	{ "date-time", DAY "T" TIME },
	{ "duration", "P(" DURATION_DATE "(" DURATION_TIME ")?|" DURATION_TIME "|[0-9]+W)" },
	{ "email", "[A-Za-z0-9_+-]+([._+-][A-Za-z0-9]+){0,5}@" DOMAIN },
	{ "idn-email", "[A-Za-z0-9_+-]+([._+-][A-Za-z0-9]+){0,5}@" DOMAIN },
	{ "hostname", HOST },
	{ "idn-hostname", "[a-z0-9]{1,20}(\\.[a-z]{1,20}){0,4}" },
	{ "uuid", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}" },
	{ "ipv4", IPV4 },
	{ "ipv6", IPV6 },
	{ "uri", URI },
	{ "uri-reference", "(" URI "|" RELATIVE TAIL "|#" QUERY "|\\?" QUERY "(#" QUERY ")?)" },
	{ "iri", "([a-z][a-z0-9+.-]*://" AUTHORITY "(/" IRI_CHAR "*)?)" },
	{ "iri-reference", "([a-z][a-z0-9+.-]*://" AUTHORITY ")?/" PCHAR "(" IRI_CHAR ")*" },
	{ "json-pointer", POINTER },
	{ "relative-json-pointer", "[0-9](#|" POINTER ")" },
	{ "uri-template",
	  "(https?://" HOST ")?(/([A-Za-z0-9._~-]|" VARIABLES ")*)+(" VARIABLES ")?" },
	{ "regex", "\\^?(" RE_ATOMS "|" RE_OUTER ")+\\$?" },
};

const char *schema_format(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (name != NULL && strcmp(name, formats[i].name) == 0)
			return formats[i].regex;
	}
	return NULL;
}

bool schema_format_known(const char *name) { return schema_format(name) != NULL; }

/* ---- a tree of characters as grammar text ---- */

struct writer {
	struct schema *c;
	const struct pattern *p;
	struct buf *out;
};

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
		regular_write_set(w->out, &w->p->range[n->a], n->b);
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
	default: /* not plain: the caller checked */
		return schema_wrong(w->c, "pattern");
	}
}

/* ---- strings ---- */

/* One expression as it is; 0: it has to be a language. */
static int expression(struct schema *c, const char *regex, size_t len, bool search,
		      struct buf *body)
{
	struct pattern p = { .work = *c->work };
	struct err ignored;
	uint32_t root;
	struct writer w = { c, &p, body };
	int rc = pattern_regex(&p, regex, len, &root, &ignored);
	*c->work = p.work;
	if (rc == 0)
		rc = pattern_anchor(&p, &root, search, &ignored);
	if (rc < 0 || !pattern_is_plain(&p, root)) {
		pattern_free(&p);
		return 0;
	}
	buf_add_text(body, "\"\\\"\" ");
	rc = write_node(&w, root);
	buf_add_text(body, " \"\\\"\"");
	pattern_free(&p);
	return rc < 0 ? rc : 1;
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

/* What the keywords say, as a text: equal ones have one rule. */
static json_t *language_key(struct schema *c, const json_t *s)
{
	static const char *const keys[] = { "pattern",    "format",    KEY_UNMATCHED,
					    KEY_EXCLUDED, "minLength", "maxLength" };
	json_t *own = json_object(), *key;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (json_object_get(s, keys[i]) != NULL)
			json_object_set(own, keys[i], json_object_get(s, keys[i]));
	}
	struct buf text = { 0 };
	int rc = json_write(own, 0, &text, c->e);
	key = rc == 0 ? schema_own(c, json_stringn(text.bytes, text.len)) : NULL;
	buf_free(&text);
	json_decref(own);
	return key;
}

/* The rule of a language, written when first asked for. */
static int language_rule(struct schema *c, const json_t *s, struct buf *body)
{
	const json_t *key = language_key(c, s), *known;
	if (key == NULL || (c->languages == NULL && (c->languages = json_object()) == NULL))
		return schema_no_memory(c);
	known = json_object_get(c->languages, json_string_value(key));
	if (known == NULL) {
		struct regular *r;
		struct buf own = { 0 };
		TRY(schema_language_read(c, s, &r));
		int rc = schema_language_write(c, r, &own);
		if (rc == 0)
			json_object_set_new(c->languages, json_string_value(key),
					    json_stringn(own.bytes, own.len));
		buf_free(&own);
		TRY(rc);
		known = json_object_get(c->languages, json_string_value(key));
	}
	buf_add_text(body, known != NULL ? json_string_value(known) : "");
	return known != NULL ? buf_done(body, c->e) : schema_no_memory(c);
}

static json_t *shortened(struct schema *c, const json_t *s, uint64_t max)
{
	json_t *own = schema_own(c, json_copy((json_t *)s));
	if (own != NULL)
		json_object_set_new(own, "maxLength", json_integer((json_int_t)max));
	return own;
}

/* Rules grow with maxLength. Where those of a large one would be too many, shorter strings are
 * valid too: how much shorter is told by the rules of short ones. */
static int by_language(struct schema *c, const json_t *s, uint64_t min, uint64_t max,
		       struct buf *body)
{
	static const uint64_t more[] = { 10000, 1000, 250, PROBE };
	size_t bytes;
	if (max == UINT64_MAX || max - min <= PROBE)
		return language_rule(c, s, body);
	int rc = schema_language_bytes(c, shortened(c, s, min + PROBE), &bytes);
	if (rc == ERR_UNSUPPORTED)
		return language_rule(c, shortened(c, s, min + PROBE / 4), body);
	TRY(rc);
	for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
		uint64_t least = max - min < more[i] ? max - min : more[i];
		if (least <= PROBE || bytes / (min + PROBE) * (min + least) <= LANGUAGE_BYTES)
			return language_rule(c, shortened(c, s, min + least), body);
	}
	return language_rule(c, s, body);
}

static int string_write(struct schema *c, const json_t *s, struct buf *body)
{
	const json_t *pattern = json_object_get(s, "pattern"),
		     *format = json_object_get(s, "format"),
		     *excluded = json_object_get(s, KEY_EXCLUDED);
	size_t expressions = json_array_size(pattern) + json_array_size(format);
	uint64_t min = 0, max = UINT64_MAX;
	TRY(schema_count(c, s, "minLength", &min));
	TRY(schema_count(c, s, "maxLength", &max));
	if (min > max) {
		buf_add_text(body, "[]");
		return buf_done(body, c->e);
	}
	bool lengths = min > 0 || max != UINT64_MAX,
	     others = json_object_get(s, KEY_UNMATCHED) != NULL;
	if (expressions == 0 && !others && excluded == NULL)
		return plain_string(c, min, max, body);
	if (expressions == 0 && !others && !lengths)
		return schema_other_string(c, excluded, body);
	if (expressions == 1 && !others && !lengths && excluded == NULL) {
		const json_t *one = json_array_get(pattern != NULL ? pattern : format, 0);
		const char *text = json_string_value(one);
		if (text == NULL)
			return schema_wrong(c, "pattern is not a string");
		text = pattern != NULL ? text : schema_format(text);
		int rc = expression(c, text, strlen(text), pattern != NULL, body);
		if (rc != 0)
			return rc < 0 ? rc : buf_done(body, c->e);
	}
	return by_language(c, s, min, max, body);
}

int schema_string(struct schema *c, const json_t *s, struct buf *body)
{
	struct buf own = { 0 };
	int rc = string_write(c, s, &own);
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : schema_rule_of(c, &own, body);
}
