/* Values as text: str, repr, json.dumps, and dates. Origins: a container that holds any data is
 * printed as data. */
#include "template/jinja.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* Python's repr: the fewest digits that read back as the same number, an exponent from 1e16 and
 * below 1e-4. */
static void print_float(double d, char out[64])
{
	char digits[32];
	if (isnan(d) || isinf(d)) {
		strcpy(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
		return;
	}
	int precision = 1;
	do
		snprintf(digits, sizeof digits, "%.*e", precision - 1, d);
	while (strtod(digits, NULL) != d && ++precision <= 17);
	int exponent = atoi(strchr(digits, 'e') + 1);
	if (exponent >= -4 && exponent < 16) {
		int after = precision - 1 - exponent;
		snprintf(out, 64, "%.*f", after > 1 ? after : 1, d);
		return;
	}
	*strchr(digits, 'e') = '\0';
	snprintf(out, 64, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
}

static void put(struct buf *out, const char *text)
{
	buf_add_text(out, text);
}

/* ---- walking containers without recursion ---- */

struct place {
	const struct jinja_value *v;
	size_t index;
};
/* A way to write values (repr or JSON); index counts the children of a container from 0. */
struct printer {
	struct jinja *j;
	struct buf out;
	bool data;  /* anything printed was data */
	const struct jinja_json_style *json; /* NULL: repr */
	int depth;
};

static size_t children(const struct jinja_value *v)
{
	return v->kind == J_DICT ? v->dict->count : v->list->count;
}

static bool is_container(const struct jinja_value *v)
{
	return v->kind >= J_LIST && v->kind <= J_VIEW && v->kind != J_RANGE;
}

static void repr_string(struct printer *p, const struct jinja_text *t)
{
	char quote = memchr(t->bytes, '\'', t->len) && !memchr(t->bytes, '"', t->len) ? '"' : '\'';
	buf_add_byte(&p->out, (unsigned char)quote);
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		size_t n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
		bool shown = cp == ' ' || !(c == UTF8PROC_CATEGORY_CN || c >= UTF8PROC_CATEGORY_ZS);
		if (cp == (unsigned char)quote || cp == '\\')
			buf_printf(&p->out, "\\%c", (char)cp);
		else if (cp == '\n' || cp == '\r' || cp == '\t')
			put(&p->out, cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : "\\t");
		else if (shown)
			buf_add(&p->out, t->bytes + at, n);
		else
			buf_printf(&p->out, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
		at += n;
	}
	buf_add_byte(&p->out, (unsigned char)quote);
}

static void repr_markup(struct printer *p, const struct jinja_text *t)
{
	put(&p->out, "Markup(");
	repr_string(p, t);
	put(&p->out, ")");
}

static void json_quoted(struct printer *p, const struct jinja_text *t)
{
	static const char from[] = "\"\\\b\f\n\r\t", made[] = "\"\\bfnrt";
	buf_add_byte(&p->out, '"');
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		size_t n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		const char *simple = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;
		if (simple)
			buf_printf(&p->out, "\\%c", made[simple - from]);
		else if (cp < 0x20 || (p->json->ascii && cp > 0x7E && cp < 0x10000 && cp != 0x7F))
			buf_printf(&p->out, "\\u%04x", cp);
		else if (p->json->ascii && cp >= 0x10000)
			buf_printf(&p->out, "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10),
			           0xDC00 + ((cp - 0x10000) & 0x3FF));
		else
			buf_add(&p->out, t->bytes + at, n);
		at += n;
	}
	buf_add_byte(&p->out, '"');
}

static int print_scalar(struct printer *p, const struct jinja_value *v)
{
	char number[64];
	bool json = p->json != NULL;
	p->data = p->data || v->data || (v->kind == J_STR && jinja_text_data(v->text));
	TRY(jinja_charge(p->j, v->kind == J_STR ? 1 + v->text->len / 16 : 1));
	switch (v->kind) {
	case J_NONE: put(&p->out, json ? "null" : "None"); return 0;
	case J_BOOL:
		put(&p->out, json ? (v->boolean ? "true" : "false") : v->boolean ? "True" : "False");
		return 0;
	case J_INT: buf_printf(&p->out, "%lld", (long long)v->integer); return 0;
	case J_FLOAT:
		print_float(v->number, number);
		if (json && !isfinite(v->number))
			strcpy(number, isnan(v->number) ? "NaN" : v->number < 0 ? "-Infinity" : "Infinity");
		put(&p->out, number);
		return 0;
	case J_STR:
		if (json)
			json_quoted(p, v->text);
		else if (v->text->markup)
			repr_markup(p, v->text);
		else
			repr_string(p, v->text);
		return 0;
	case J_UNDEFINED:
		if (json)
			return jinja_fail(p->j, "'%.60s' is undefined: it has no JSON form", v->name);
		put(&p->out, "Undefined");
		return 0;
	case J_RANGE:
		if (json)
			return jinja_fail(p->j, "Object of type range is not JSON serializable");
		if (!v->list->shown)
			return jinja_refuse(p->j, "the text of a slice of a range");
		put(&p->out, v->list->shown);
		return 0;
	default: return jinja_refuse(p->j, "the text of a %s", jinja_type_name(v));
	}
}

static void json_newline(struct printer *p, int depth)
{
	if (p->json && p->json->indent >= 0) {
		buf_add_byte(&p->out, '\n');
		for (int i = 0; i < p->json->indent * depth; i++)
			buf_add_byte(&p->out, ' ');
	}
}

/* Keys of JSON objects are strings: Python writes scalar keys as strings. */
static int print_key(struct printer *p, const struct jinja_value *key)
{
	bool quoted = p->json && key->kind != J_STR;
	if (quoted && key->kind > J_STR)
		return jinja_fail(p->j, "keys must be str, int, float, bool or None, not %s",
		                  jinja_type_name(key));
	if (is_container(key))
		return jinja_refuse(p->j, "the text of a dictionary with a %s as key", jinja_type_name(key));
	if (quoted)
		buf_add_byte(&p->out, '"');
	TRY(print_scalar(p, key));
	if (quoted)
		buf_add_byte(&p->out, '"');
	put(&p->out, p->json ? p->json->key : ": ");
	return 0;
}

static int print_opening(struct printer *p, const struct jinja_value *v)
{
	if (v->kind == J_VIEW && p->json)
		return jinja_fail(p->j, "Object of type %s is not JSON serializable", v->list->shown);
	p->data = p->data || v->data;
	if (v->kind == J_VIEW) {
		put(&p->out, v->list->shown);
		put(&p->out, "(");
	}
	put(&p->out, v->kind == J_DICT ? "{" : v->kind == J_TUPLE && !p->json ? "(" : "[");
	return 0;
}

static void print_closing(struct printer *p, const struct jinja_value *v, int depth)
{
	if (children(v))
		json_newline(p, depth);
	if (v->kind == J_TUPLE && !p->json)
		put(&p->out, v->list->count == 1 ? ",)" : ")");
	else
		put(&p->out, v->kind == J_DICT ? "}" : "]");
	if (v->kind == J_VIEW)
		put(&p->out, ")");
}

static int print_tree(struct printer *p, const struct jinja_value *root)
{
	struct place stack[JINJA_VALUE_DEPTH];
	int depth = 0;
	if (!is_container(root))
		return print_scalar(p, root);
	stack[depth++] = (struct place){ root, 0 };
	TRY(print_opening(p, root));
	while (depth) {
		struct place *at = &stack[depth - 1];
		size_t i = at->index++;
		if (p->out.len > JINJA_STRING_BYTES)
			return jinja_fail(p->j, "a string is longer than %zu bytes", JINJA_STRING_BYTES);
		if (i == children(at->v)) {
			print_closing(p, at->v, --depth);
			continue;
		}
		if (i)
			put(&p->out, p->json ? p->json->item : ", ");
		json_newline(p, depth);
		if (at->v->kind == J_DICT)
			TRY(print_key(p, &at->v->dict->key[i]));
		const struct jinja_value *v = at->v->kind == J_DICT ? &at->v->dict->value[i] :
		    &at->v->list->at[i];
		if (!is_container(v)) {
			TRY(print_scalar(p, v));
			continue;
		}
		if (depth == JINJA_VALUE_DEPTH)
			return jinja_fail(p->j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
		stack[depth++] = (struct place){ v, 0 };
		TRY(print_opening(p, v));
	}
	return 0;
}

int jinja_repr(struct jinja *j, const struct jinja_value *v, struct jinja_out *o)
{
	struct printer p = { .j = j };
	int rc = print_tree(&p, v);
	if (rc == 0)
		jinja_put(o, p.out.bytes, p.out.len, p.data);
	if (rc == 0 && p.out.failed)
		rc = jinja_no_memory(j);
	buf_free(&p.out);
	return rc;
}

int jinja_print(struct jinja *j, const struct jinja_value *v, struct jinja_out *o)
{
	if (v->kind == J_STR) {
		TRY(jinja_charge(j, v->text->len / 64));
		jinja_put_text(o, v->text, 0, v->text->len);
		return 0;
	}
	if (v->kind == J_UNDEFINED)
		return 0;
	return jinja_repr(j, v, o);
}

int jinja_to_text(struct jinja *j, const struct jinja_value *v, const struct jinja_text **out)
{
	struct jinja_out o = { 0 };
	struct jinja_value made;
	if (v->kind == J_STR) {
		*out = v->text;
		return 0;
	}
	int rc = jinja_print(j, v, &o);
	if (rc < 0) {
		jinja_out_free(&o);
		return rc;
	}
	TRY(jinja_out_take(j, &o, &made));
	*out = made.text;
	return 0;
}

/* ---- JSON ---- */

/* A copy with the keys of every dictionary in order; depth-checked. */
static int sort_keys(struct jinja *j, const struct jinja_value *v, int depth,
                     struct jinja_value *out)
{
	*out = *v;
	if (depth > JINJA_VALUE_DEPTH)
		return jinja_fail(j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
	if (!is_container(v))
		return 0;
	if (v->kind != J_DICT) {
		TRY(jinja_list_new(j, v->kind, out));
		for (size_t i = 0; i < v->list->count; i++) {
			struct jinja_value child;
			TRY(sort_keys(j, &v->list->at[i], depth + 1, &child));
			TRY(jinja_list_add(j, out->list, child));
		}
		return 0;
	}
	TRY(jinja_dict_new(j, J_DICT, out));
	for (size_t i = 0; i < v->dict->count; i++) {
		struct jinja_dict *d = out->dict;
		struct jinja_value key = v->dict->key[i], child;
		int order = 0;
		TRY(sort_keys(j, &v->dict->value[i], depth + 1, &child));
		TRY(jinja_dict_set(j, d, key, child));
		for (size_t k = d->count - 1; k > 0; k--) { /* insertion: dictionaries are short */
			TRY(jinja_order(j, &d->key[k - 1], &key, &order, 0));
			if (order <= 0)
				break;
			struct jinja_value other = d->value[k - 1];
			d->key[k] = d->key[k - 1];
			d->value[k] = other;
			d->key[k - 1] = key;
			d->value[k - 1] = child;
		}
	}
	return 0;
}

int jinja_tojson(struct jinja *j, const struct jinja_value *v, const struct jinja_json_style *s,
                 struct jinja_value *out)
{
	struct printer p = { .j = j, .json = s };
	struct jinja_out o = { 0 };
	struct jinja_value sorted = *v;
	if (s->sort_keys)
		TRY(sort_keys(j, v, 0, &sorted));
	int rc = print_tree(&p, &sorted);
	if (rc == 0 && p.out.failed)
		rc = jinja_no_memory(j);
	if (rc == 0) {
		jinja_put(&o, p.out.bytes, p.out.len, p.data);
		rc = jinja_out_take(j, &o, out);
	}
	buf_free(&p.out);
	return rc;
}

/* ---- dates ---- */

int jinja_strftime(struct jinja *j, const struct jinja_text *format, struct jinja_value *out)
{
	static const char known[] = "aAbBcdeDFHIjmMnpRStTuUwWxXyYZ%";
	int64_t seconds = j->now_us / 1000000 - (j->now_us % 1000000 < 0);
	time_t when = (time_t)seconds;
	struct tm tm;
	struct jinja_out o = { 0 };
	if (!gmtime_r(&when, &tm))
		return jinja_fail(j, "the clock is out of range");
	for (size_t i = 0; i < format->len; i++) {
		char directive[4] = { '%' }, text[64];
		size_t n = 1;
		if (format->bytes[i] != '%' || i + 1 == format->len) {
			jinja_put_text(&o, format, i, i + 1);
			continue;
		}
		if (format->bytes[i + 1] == '-' && i + 2 < format->len)
			directive[n++] = format->bytes[++i];
		directive[n] = format->bytes[++i];
		if (!strchr(known, directive[n]) || !directive[n]) {
			jinja_out_free(&o);
			return jinja_refuse(j, "strftime_now with %%%c", directive[n]);
		}
		size_t len = strftime(text, sizeof text, directive, &tm);
		jinja_put(&o, text, directive[n] == 'Z' ? 0 : len, jinja_text_data(format)); /* a naive time */
	}
	return jinja_out_take(j, &o, out);
}
