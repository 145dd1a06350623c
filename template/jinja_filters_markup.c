/* Filters of HTML and of addresses, and the methods of texts marked as safe. */
#include "template/jinja.h"

#include "base/text.h"

#include <string.h>

static int filter_escape(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_to_markup(j, &a->in, out);
}

static int filter_forceescape(struct jinja *j, const struct jinja_arguments *a,
			      struct jinja_value *out)
{
	const struct jinja_text *t;
	struct jinja_value plain;
	TRY(jinja_to_text(j, &a->in, &t));
	plain = (struct jinja_value){ .kind = J_STR, .text = t };
	TRY(jinja_mark(j, false, &plain));
	return jinja_escape(j, plain.text, out);
}

static int filter_safe(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, &a->in, &t));
	*out = (struct jinja_value){ .kind = J_STR, .text = t };
	return jinja_mark(j, true, out);
}

/* ---- entities ---- */

static const struct {
	const char *name, *text;
} entities[] = {
#include "template/jinja_entities.inc"
};

/* The text of the entity s[0..len), without its semicolon; bare: it has none. */
static const char *entity(const char *s, size_t len, bool bare)
{
	size_t low = 0, high = sizeof entities / sizeof *entities;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const char *name = entities[middle].name + (*entities[middle].name == '*');
		int order = strncmp(name, s, len);
		order = order ? order : name[len] != '\0';
		if (order == 0)
			return !bare || *entities[middle].name == '*' ? entities[middle].text
								      : NULL;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* What the number of a character reference stands for: 0 for nothing at all. */
static uint32_t reference(uint64_t n)
{
	static const uint16_t windows[32] = {
		0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021,
		0x2C6,  0x2030, 0x160,  0x2039, 0x152,  0x8D,   0x17D,  0x8F,
		0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
		0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
	};
	if (n == 0 || n > 0x10FFFF || (n >= 0xD800 && n < 0xE000))
		return 0xFFFD;
	if (n >= 0x80 && n < 0xA0)
		return windows[n - 0x80];
	bool invalid = n < 9 || n == 11 || (n > 13 && n < 32) || n == 0x7F ||
		       (n >= 0xFDD0 && n <= 0xFDEF) || (n & 0xFFFE) == 0xFFFE;
	return invalid ? 0 : (uint32_t)n;
}

static bool is_digit_of(char c, int base)
{
	return (c >= '0' && c <= '9') || (base == 16 && (c | 32) >= 'a' && (c | 32) <= 'f');
}

/* &#65; &#x41; at `at`: its length, 0 if there is none. */
static size_t numeric_length(const struct jinja_text *t, size_t at, uint32_t *cp)
{
	size_t i = at + 2;
	int base = i < t->len && (t->bytes[i] | 32) == 'x' ? 16 : 10;
	uint64_t n = 0;
	i += base == 16;
	size_t first = i;
	for (; i < t->len && is_digit_of(t->bytes[i], base); i++) {
		char c = t->bytes[i];
		n = n > 0x110000 ? n
				 : n * (unsigned)base +
					   (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	*cp = reference(n);
	return i == first ? 0 : i - at + (i < t->len && t->bytes[i] == ';');
}

/* &name; at `at`, or the longest known name without one: its length, 0 if there is none. */
static size_t named_length(const struct jinja_text *t, size_t at, const char **text)
{
	size_t n = 0, characters = 0;
	const char *s = t->bytes + at + 1;
	while (at + 1 + n < t->len && characters < 32 && !memchr("\t\n\f <&#;", s[n], 8)) {
		n++;
		characters++;
		while (at + 1 + n < t->len && ((unsigned char)s[n] & 0xC0) == 0x80)
			n++;
	}
	if (n && at + 1 + n < t->len && s[n] == ';' && (*text = entity(s, n, false)))
		return n + 2;
	for (; n > 1; n--)
		if ((*text = entity(s, n, true)))
			return n + 1;
	return 0;
}

static int unescape(struct jinja *j, const struct jinja_text *t, struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	TRY(jinja_charge(j, t->len / 4));
	for (size_t at = 0; at < t->len;) {
		size_t n = 0;
		uint32_t cp = 0;
		const char *text = NULL;
		char bytes[5] = "";
		if (t->bytes[at] == '&' && at + 1 < t->len)
			n = t->bytes[at + 1] == '#' ? numeric_length(t, at, &cp)
						    : named_length(t, at, &text);
		if (!n) {
			jinja_put_text(&o, t, at, at + 1);
			at++;
			continue;
		}
		size_t len = text ? strlen(text) : cp ? (size_t)text_utf8_encode(cp, bytes) : 0;
		jinja_put(&o, text ? text : bytes, len, t->origin ? t->origin[at] : t->data);
		at += n;
	}
	return jinja_out_take(j, &o, out);
}

/* Without tags and comments, white space as single spaces, entities as characters. */
static int strip_tags(struct jinja *j, const struct jinja_text *t, struct jinja_value *out)
{
	static const struct jinja_text comment = { .bytes = "-->", .len = 3 };
	struct jinja_out o = { 0 };
	struct jinja_value made, words, space;
	size_t at = 0;
	TRY(jinja_charge(j, t->len / 16));
	for (const char *tag;
	     (tag = at < t->len ? memchr(t->bytes + at, '<', t->len - at) : NULL);) {
		size_t begin = (size_t)(tag - t->bytes), end;
		if (t->len - begin >= 4 && memcmp(tag, "<!--", 4) == 0) {
			end = jinja_find(t, &comment, begin + 4);
			end = end == SIZE_MAX ? end : end + 3;
		} else {
			const char *close = memchr(tag, '>', t->len - begin);
			end = close ? (size_t)(close - t->bytes) + 1 : SIZE_MAX;
		}
		if (end == SIZE_MAX)
			break;
		jinja_put_text(&o, t, at, begin);
		at = end;
	}
	jinja_put_text(&o, t, at, t->len);
	TRY(jinja_out_take(j, &o, &made));
	TRY(jinja_words(j, made.text, &words));
	TRY(jinja_str(j, " ", 1, jinja_text_data(t), &space));
	TRY(jinja_literal(j, "", &made));
	for (size_t i = 0; i < words.list->count; i++) {
		if (i)
			TRY(jinja_concat(j, made.text, space.text, &made));
		TRY(jinja_concat(j, made.text, words.list->at[i].text, &made));
	}
	return unescape(j, made.text, out);
}

static int filter_striptags(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, &a->in, &t));
	return strip_tags(j, t, out);
}

static int markup_unescape(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out)
{
	return unescape(j, a->in.text, out);
}

static int markup_escape(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_to_markup(j, a->slot[0], out);
}

/* ---- xmlattr ---- */

static int put_attribute(struct jinja *j, const struct jinja_value *key,
			 const struct jinja_value *v, struct jinja_value *sum)
{
	struct jinja_value name, value, quote, end;
	if (key->kind != J_STR)
		return jinja_fail(j, "expected string, got '%s'", jinja_type_name(key));
	for (size_t i = 0; i < key->text->len; i++)
		if (memchr(" \t\n\r\f\v/>=", key->text->bytes[i], 9))
			return jinja_fail(j, "Invalid character in attribute name");
	TRY(jinja_to_markup(j, key, &name));
	TRY(jinja_to_markup(j, v, &value));
	TRY(jinja_literal(j, "=\"", &quote));
	TRY(jinja_literal(j, "\"", &end));
	TRY(jinja_concat(j, sum->text, name.text, sum));
	TRY(jinja_concat(j, sum->text, quote.text, sum));
	TRY(jinja_concat(j, sum->text, value.text, sum));
	return jinja_concat(j, sum->text, end.text, sum);
}

static int filter_xmlattr(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value space, sum;
	bool first = true;
	if (a->in.kind == J_UNDEFINED)
		return jinja_fail_undefined(j, &a->in);
	if (a->in.kind != J_DICT)
		return jinja_fail(j, "xmlattr takes a dictionary");
	TRY(jinja_literal(j, " ", &space));
	TRY(jinja_literal(j, "", &sum));
	for (size_t i = 0; i < a->in.dict->count; i++) {
		const struct jinja_value *v = &a->in.dict->value[i];
		if (v->kind == J_NONE || v->kind == J_UNDEFINED)
			continue;
		if (!first || jinja_arg_flag(a, 0, true))
			TRY(jinja_concat(j, sum.text, space.text, &sum));
		first = false;
		TRY(put_attribute(j, &a->in.dict->key[i], v, &sum));
	}
	*out = sum;
	return jinja_mark(j, j->autoescape, out);
}

/* ---- urlencode ---- */

static int quote(struct jinja *j, const struct jinja_value *v, bool query, struct jinja_out *o)
{
	static const char hex[] = "0123456789ABCDEF";
	const struct jinja_text *t = v->text;
	if (v->kind != J_BYTES)
		TRY(jinja_to_text(j, v, &t));
	TRY(jinja_charge(j, t->len / 8));
	for (size_t i = 0; i < t->len; i++) {
		unsigned char c = (unsigned char)t->bytes[i];
		bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
			     (c && strchr("_.-~", c)) || (c == '/' && !query);
		char spelled[3] = { '%', hex[c >> 4], hex[c & 15] };
		bool data = t->origin ? t->origin[i] : t->data;
		if (plain)
			jinja_put_text(o, t, i, i + 1);
		else
			jinja_put(o, query && c == ' ' ? "+" : spelled, query && c == ' ' ? 1 : 3,
				  data);
	}
	return o->text.len > JINJA_STRING_BYTES ? jinja_fail_long(j) : 0;
}

static int quote_pairs(struct jinja *j, const struct jinja_value *v, struct jinja_out *o)
{
	struct jinja_value pairs = *v;
	struct jinja_list *l, *pair;
	struct jinja_view items = { v->dict, JINJA_ITEMS };
	if (v->kind == J_DICT)
		pairs = (struct jinja_value){ .kind = J_VIEW, .view = &items };
	TRY(jinja_items(j, &pairs, &l));
	for (size_t i = 0; i < l->count; i++) {
		TRY(jinja_items(j, &l->at[i], &pair));
		if (pair->count != 2)
			return jinja_fail(j, "urlencode takes pairs");
		if (i)
			jinja_put(o, "&", 1, false);
		TRY(quote(j, &pair->at[0], true, o));
		jinja_put(o, "=", 1, false);
		TRY(quote(j, &pair->at[1], true, o));
	}
	return 0;
}

static int filter_urlencode(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	bool single = a->in.kind == J_STR || !jinja_iterable(&a->in);
	int rc = single ? quote(j, &a->in, false, &o) : quote_pairs(j, &a->in, &o);
	return jinja_out_done(j, rc, &o, out);
}

const struct jinja_callable jinja_filters_markup[] = {
	{ "escape", filter_escape, "", 0, NULL },
	{ "e", filter_escape, "", 0, NULL },
	{ "forceescape", filter_forceescape, "", 0, NULL },
	{ "safe", filter_safe, "", 0, NULL },
	{ "striptags", filter_striptags, "", 0, NULL },
	{ "xmlattr", filter_xmlattr, "autospace?", JINJA_BY_NAME, NULL },
	{ "urlencode", filter_urlencode, "", 0, NULL },
	{ "urlize", jinja_filter_urlize, "trim_url_limit? nofollow? target? rel? extra_schemes?",
	  JINJA_BY_NAME, NULL },
	{ 0 },
};
const struct jinja_callable jinja_methods_markup[] = {
	{ "striptags", filter_striptags, "", 0, NULL },
	{ "unescape", markup_unescape, "", 0, NULL },
	{ "escape", markup_escape, "s", 0, NULL },
	{ 0 },
};
