/* Values as text: str, repr and ascii, and the walk that JSON shares. Origins: a container that
 * holds any data is printed as data. */
#include "template/jinja.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Python's repr: the fewest digits that read back as the same number, an exponent from 1e16 and
 * below 1e-4. */
void jinja_print_float(double d, char out[64])
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

/* ---- scalars ---- */

static void repr_string(struct jinja_printer *p, const struct jinja_text *t)
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
			buf_add_text(&p->out, cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : "\\t");
		else if (shown)
			buf_add(&p->out, t->bytes + at, n);
		else
			buf_printf(&p->out,
				   cp < 0x100     ? "\\x%02x"
				   : cp < 0x10000 ? "\\u%04x"
						  : "\\U%08x",
				   cp);
		at += n;
	}
	buf_add_byte(&p->out, (unsigned char)quote);
}

static void repr_bytes(struct jinja_printer *p, const struct jinja_text *t)
{
	char quote = memchr(t->bytes, '\'', t->len) && !memchr(t->bytes, '"', t->len) ? '"' : '\'';
	buf_printf(&p->out, "b%c", quote);
	for (size_t i = 0; i < t->len; i++) {
		unsigned char c = (unsigned char)t->bytes[i];
		if (c == (unsigned char)quote || c == '\\')
			buf_printf(&p->out, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			buf_add_text(&p->out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
		else
			buf_printf(&p->out, c < ' ' || c > '~' ? "\\x%02x" : "%c", c);
	}
	buf_add_byte(&p->out, (unsigned char)quote);
}

static void repr_range(struct jinja_printer *p, const struct jinja_range *r)
{
	buf_printf(&p->out, "range(%lld, %lld", (long long)r->start, (long long)r->stop);
	if (r->step != 1)
		buf_printf(&p->out, ", %lld", (long long)r->step);
	buf_add_byte(&p->out, ')');
}

/* Objects whose text has no address in it. */
static int repr_object(struct jinja_printer *p, const struct jinja_value *v)
{
	int64_t length;
	switch (v->kind) {
	case J_MACRO:
		if (v->macro->name)
			buf_printf(&p->out, "<Macro '%s'>", v->macro->name);
		else
			buf_add_text(&p->out, "<Macro anonymous>");
		return 0;
	case J_LOOP:
		TRY(jinja_loop_length(p->j, v->loop, &length));
		buf_printf(&p->out, "<LoopContext %lld/%lld>", (long long)v->loop->index0 + 1,
			   (long long)length);
		return 0;
	case J_SELF:
		buf_add_text(&p->out, "<TemplateReference None>");
		return 0;
	case J_FUNCTION:
		if (!v->function->shown)
			break;
		buf_add_text(&p->out, v->function->shown);
		return 0;
	default:
		break;
	}
	return jinja_refuse(p->j, "the text of a %s", jinja_type_name(v));
}

int jinja_print_repr_scalar(struct jinja_printer *p, const struct jinja_value *v)
{
	char number[64];
	switch (v->kind) {
	case J_NONE:
		buf_add_text(&p->out, "None");
		return 0;
	case J_BOOL:
		buf_add_text(&p->out, v->boolean ? "True" : "False");
		return 0;
	case J_INT:
	case J_BIG:
		return jinja_digits(p->j, v, 10, &p->out);
	case J_FLOAT:
		jinja_print_float(v->number, number);
		buf_add_text(&p->out, number);
		return 0;
	case J_STR:
		if (v->text->markup)
			buf_add_text(&p->out, "Markup(");
		repr_string(p, v->text);
		if (v->text->markup)
			buf_add_byte(&p->out, ')');
		return 0;
	case J_BYTES:
		repr_bytes(p, v->text);
		return 0;
	case J_MISSING:
	case J_UNDEFINED:
		buf_add_text(&p->out, "Undefined");
		return 0;
	case J_RANGE:
		repr_range(p, v->range);
		return 0;
	default:
		return repr_object(p, v);
	}
}

static int print_scalar(struct jinja_printer *p, const struct jinja_value *v)
{
	p->data = p->data || jinja_has_data(v);
	TRY(jinja_charge(p->j, v->kind == J_STR || v->kind == J_BYTES ? 1 + v->text->len / 16 : 1));
	return p->json ? jinja_print_json_scalar(p, v) : jinja_print_repr_scalar(p, v);
}

/* ---- walking containers without recursion ---- */

struct place {
	struct jinja_value v;
	size_t index;            /* of the child that is next */
	struct jinja_value part; /* a pair that the walk made */
};

static bool is_container(const struct jinja_printer *p, const struct jinja_value *v)
{
	return v->kind == J_LIST || v->kind == J_TUPLE || v->kind == J_DICT ||
	       (!p->json && (v->kind == J_VIEW || v->kind == J_NAMESPACE));
}

static size_t children(const struct jinja_value *v)
{
	return v->kind == J_DICT || v->kind == J_NAMESPACE ? v->dict->count
	       : v->kind == J_VIEW                         ? v->view->dict->count
							   : v->list->count;
}

static void json_newline(struct jinja_printer *p, int depth)
{
	if (!p->json || !p->json->indent)
		return;
	buf_add_byte(&p->out, '\n');
	for (int i = 0; i < depth; i++)
		buf_add_text(&p->out, p->json->indent);
}

static const char *opening_of(const struct jinja_printer *p, const struct jinja_value *v)
{
	static const char *const views[] = { "dict_keys([", "dict_values([", "dict_items([" };
	switch (v->kind) {
	case J_VIEW:
		return views[v->view->of];
	case J_NAMESPACE:
		return "<Namespace {";
	case J_DICT:
		return "{";
	case J_TUPLE:
		return p->json ? "[" : "(";
	default:
		return "[";
	}
}

static void print_closing(struct jinja_printer *p, const struct jinja_value *v, int depth)
{
	if (children(v))
		json_newline(p, depth);
	if (v->kind == J_TUPLE && !p->json)
		buf_add_text(&p->out, v->list->count == 1 ? ",)" : ")");
	else
		buf_add_text(&p->out, v->kind == J_DICT        ? "}"
				      : v->kind == J_VIEW      ? "])"
				      : v->kind == J_NAMESPACE ? "}>"
							       : "]");
}

/* Keys of JSON objects are strings: Python writes scalar keys as strings. */
static int print_json_key(struct jinja_printer *p, const struct jinja_value *key)
{
	bool quoted = key->kind != J_STR;
	if (quoted && !jinja_is_number(key) && key->kind != J_NONE)
		return jinja_fail(p->j, "keys must be str, int, float, bool or None, not %s",
				  jinja_type_name(key));
	if (quoted)
		buf_add_byte(&p->out, '"');
	TRY(print_scalar(p, key));
	if (quoted)
		buf_add_byte(&p->out, '"');
	return 0;
}

/* A key that is a tuple: its text by itself. It nests no deeper than the values that hold it. */
static int print_key(struct jinja_printer *p, const struct jinja_value *key)
{
	struct jinja_value text;
	if (p->json)
		TRY(print_json_key(p, key));
	else if (!is_container(p, key))
		TRY(print_scalar(p, key));
	if (!p->json && is_container(p, key)) {
		if (++p->j->depth > JINJA_EVAL_DEPTH)
			return jinja_fail(p->j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
		TRY(jinja_repr(p->j, key, &text));
		p->j->depth--;
		p->data = p->data || jinja_text_data(text.text);
		buf_add(&p->out, text.text->bytes, text.text->len);
	}
	buf_add_text(&p->out, p->json ? p->json->key : ": ");
	return 0;
}

/* The i-th child, its key printed. */
static int next_child(struct jinja_printer *p, struct place *at, size_t i,
		      const struct jinja_value **out)
{
	struct jinja_value *v = &at->v;
	const struct jinja_dict *d = v->kind == J_VIEW ? v->view->dict : v->dict;
	if (v->kind == J_DICT || v->kind == J_NAMESPACE) {
		TRY(print_key(p, &d->key[i]));
		*out = &d->value[i];
	} else if (v->kind != J_VIEW) {
		*out = &v->list->at[i];
	} else if (v->view->of == JINJA_ITEMS) {
		TRY(jinja_pair(p->j, d->key[i], d->value[i], &at->part));
		*out = &at->part;
	} else {
		*out = v->view->of == JINJA_KEYS ? &d->key[i] : &d->value[i];
	}
	return 0;
}

int jinja_print_tree(struct jinja_printer *p, const struct jinja_value *root)
{
	struct place stack[JINJA_VALUE_DEPTH];
	int depth = 0;
	if (!is_container(p, root))
		return print_scalar(p, root);
	stack[depth++] = (struct place){ .v = *root };
	p->data = p->data || root->data;
	buf_add_text(&p->out, opening_of(p, root));
	while (depth) {
		struct place *at = &stack[depth - 1];
		const struct jinja_value *child;
		size_t i = at->index++;
		if (p->out.len > JINJA_STRING_BYTES)
			return jinja_fail_long(p->j);
		if (i == children(&at->v)) {
			print_closing(p, &at->v, --depth);
			continue;
		}
		if (i)
			buf_add_text(&p->out, p->json ? p->json->item : ", ");
		json_newline(p, depth);
		TRY(next_child(p, at, i, &child));
		if (!is_container(p, child)) {
			TRY(print_scalar(p, child));
			continue;
		}
		if (depth == JINJA_VALUE_DEPTH)
			return jinja_fail(p->j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
		stack[depth++] = (struct place){ .v = *child };
		p->data = p->data || child->data;
		buf_add_text(&p->out, opening_of(p, child));
	}
	return 0;
}

/* ---- str, repr, ascii ---- */

static int print_repr(struct jinja *j, const struct jinja_value *v, struct jinja_out *o)
{
	struct jinja_printer p = { .j = j };
	int rc = jinja_print_tree(&p, v);
	if (rc == 0)
		jinja_put(o, p.out.bytes, p.out.len, p.data);
	if (rc == 0 && p.out.failed)
		rc = jinja_no_memory(j);
	buf_free(&p.out);
	return rc;
}

int jinja_repr(struct jinja *j, const struct jinja_value *v, struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	int rc = print_repr(j, v, &o);
	return jinja_out_done(j, rc, &o, out);
}

int jinja_ascii(struct jinja *j, const struct jinja_value *v, struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	TRY(jinja_repr(j, v, out));
	const struct jinja_text *t = out->text;
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		char escape[16];
		size_t n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		int len = snprintf(escape, sizeof escape,
				   cp < 0x100     ? "\\x%02x"
				   : cp < 0x10000 ? "\\u%04x"
						  : "\\U%08x",
				   cp);
		if (cp < 0x80)
			jinja_put_text(&o, t, at, at + n);
		else
			jinja_put(&o, escape, (size_t)len, t->origin ? t->origin[at] : t->data);
		at += n;
	}
	return jinja_out_take(j, &o, out);
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
	return print_repr(j, v, o);
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
	TRY(jinja_out_done(j, rc, &o, &made));
	*out = made.text;
	return 0;
}

int jinja_to_markup(struct jinja *j, const struct jinja_value *v, struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, v, &t));
	return jinja_escape(j, t, out);
}
