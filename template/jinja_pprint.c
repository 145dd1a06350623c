/* pprint.pformat: values in lines of at most 80 characters, keys in order. */
#include "template/jinja.h"

#include "base/text.h"

#include <string.h>

#define WIDTH 80

struct pretty {
	struct jinja *j;
	struct buf out;
	bool data;
	int level;
};

static bool is_plain_container(const struct jinja_value *v)
{
	return v->kind == J_LIST || (v->kind == J_TUPLE && !v->list->group) || v->kind == J_DICT;
}

/* As pprint's _safe_key: by value, else by the names of their types. */
static int order_keys(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		      int *order)
{
	bool alike = a->kind == b->kind && (a->kind == J_STR || a->kind == J_BYTES);
	if (alike || (jinja_is_number(a) && jinja_is_number(b)))
		return jinja_order(j, a, b, order, 0);
	int names = strcmp(jinja_type_name(a), jinja_type_name(b));
	*order = (names > 0) - (names < 0);
	return names ? 0
		     : jinja_refuse(j, "pprint with several keys of type %s", jinja_type_name(a));
}

/* A copy with the keys in order. */
static int in_order(struct jinja *j, const struct jinja_value *v, int depth,
		    struct jinja_value *out)
{
	struct jinja_value child;
	*out = *v;
	if (!is_plain_container(v))
		return 0;
	if (depth > JINJA_VALUE_DEPTH)
		return jinja_fail(j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
	if (v->kind != J_DICT) {
		TRY(jinja_list_new(j, v->kind, out));
		for (size_t i = 0; i < v->list->count; i++) {
			TRY(in_order(j, &v->list->at[i], depth + 1, &child));
			TRY(jinja_list_add(j, out->list, child));
		}
		return 0;
	}
	TRY(jinja_dict_new(j, J_DICT, out));
	struct jinja_dict *d = out->dict;
	for (size_t i = 0; i < v->dict->count; i++) {
		struct jinja_value key = v->dict->key[i];
		int order = -1;
		TRY(in_order(j, &v->dict->value[i], depth + 1, &child));
		TRY(jinja_dict_set(j, d, key, child));
		for (size_t k = d->count - 1; k > 0; k--) {
			TRY(order_keys(j, &key, &d->key[k - 1], &order));
			if (order >= 0)
				break;
			d->key[k] = d->key[k - 1];
			d->value[k] = d->value[k - 1];
			d->key[k - 1] = key;
			d->value[k - 1] = child;
		}
	}
	return 0;
}

static int repr_of(struct pretty *p, const struct jinja_value *v, const struct jinja_text **out)
{
	struct jinja_value made;
	TRY(jinja_repr(p->j, v, &made));
	p->data = p->data || jinja_text_data(made.text);
	*out = made.text;
	return 0;
}

static void new_line(struct pretty *p, int indent)
{
	buf_add_byte(&p->out, '\n');
	for (int i = 0; i < indent; i++)
		buf_add_byte(&p->out, ' ');
}

/* ---- strings, cut at white space ---- */

struct chunks {
	struct pretty *p;
	const struct jinja_text *t;
	struct jinja_list *made; /* texts of the pieces */
};

static int add_chunk(struct chunks *c, size_t begin, size_t end)
{
	struct jinja_value part, text;
	TRY(jinja_slice(c->p->j, c->t, begin, end, &part));
	TRY(jinja_repr(c->p->j, &part, &text));
	return jinja_list_add(c->p->j, c->made, text);
}

static int repr_length(struct chunks *c, size_t begin, size_t end, int64_t *out)
{
	struct jinja_value part, text;
	TRY(jinja_slice(c->p->j, c->t, begin, end, &part));
	TRY(jinja_repr(c->p->j, &part, &text));
	*out = (int64_t)jinja_characters(text.text);
	return 0;
}

/* Behind the next run of what is no space and the run of spaces after it. */
static size_t part_end(const struct jinja_text *t, size_t at, size_t end)
{
	bool space = false;
	while (at < end) {
		uint32_t cp;
		size_t n = (size_t)text_utf8_decode(t->bytes + at, end - at, &cp);
		if (space && !jinja_is_space(cp))
			break;
		space = jinja_is_space(cp);
		at += n;
	}
	return at;
}

static int cut_line(struct chunks *c, size_t begin, size_t end, bool last, int64_t width,
		    int64_t allowance)
{
	size_t from = begin;
	for (size_t at = begin; at < end;) {
		size_t next = part_end(c->t, at, end);
		int64_t length;
		if (next == end && last)
			width -= allowance;
		TRY(repr_length(c, from, next, &length));
		if (length > width) {
			if (at > from)
				TRY(add_chunk(c, from, at));
			from = at;
		}
		at = next;
	}
	return from < end ? add_chunk(c, from, end) : 0;
}

static int print_string(struct pretty *p, const struct jinja_value *v, int indent, int allowance)
{
	struct jinja_value lines, made;
	struct chunks c = { p, v->text, NULL };
	bool brackets = p->level == 1;
	TRY(jinja_list_new(p->j, J_LIST, &made));
	c.made = made.list;
	TRY(jinja_lines(p->j, v->text, true, &lines));
	indent += brackets;
	allowance += brackets;
	int64_t width = WIDTH - indent;
	for (size_t i = 0; i < lines.list->count; i++) {
		const struct jinja_text *line = lines.list->at[i].text;
		size_t begin = (size_t)(line->bytes - v->text->bytes), end = begin + line->len;
		bool last = i + 1 == lines.list->count;
		int64_t length;
		TRY(repr_length(&c, begin, end, &length));
		if (length <= width - (last ? allowance : 0))
			TRY(add_chunk(&c, begin, end));
		else
			TRY(cut_line(&c, begin, end, last, width, allowance));
	}
	p->data = p->data || jinja_text_data(v->text);
	brackets = brackets && c.made->count != 1;
	if (brackets)
		buf_add_byte(&p->out, '(');
	for (size_t i = 0; i < c.made->count; i++) {
		if (i)
			new_line(p, indent);
		buf_add(&p->out, c.made->at[i].text->bytes, c.made->at[i].text->len);
	}
	if (brackets)
		buf_add_byte(&p->out, ')');
	return 0;
}

/* ---- containers; JINJA_VALUE_DEPTH bounds the recursion: in_order() has been over them ---- */

static int print_pretty(struct pretty *p, const struct jinja_value *v, int indent, int allowance);

static int print_members(struct pretty *p, const struct jinja_value *v, int indent, int allowance)
{
	bool dict = v->kind == J_DICT;
	size_t count = dict ? v->dict->count : v->list->count;
	const char *closing = dict ? "}" : v->kind == J_LIST ? "]" : count == 1 ? ",)" : ")";
	buf_add_byte(&p->out, dict ? '{' : v->kind == J_LIST ? '[' : '(');
	indent++;
	allowance += (int)strlen(closing);
	for (size_t i = 0; i < count; i++) {
		int at = indent;
		if (i) {
			buf_add_byte(&p->out, ',');
			new_line(p, indent);
		}
		if (dict) {
			const struct jinja_text *key;
			TRY(repr_of(p, &v->dict->key[i], &key));
			buf_add(&p->out, key->bytes, key->len);
			buf_add_text(&p->out, ": ");
			at += (int)jinja_characters(key) + 2;
		}
		TRY(print_pretty(p, dict ? &v->dict->value[i] : &v->list->at[i], at,
				 i + 1 == count ? allowance : 1));
	}
	buf_add_text(&p->out, closing);
	return 0;
}

static int print_pretty(struct pretty *p, const struct jinja_value *v, int indent, int allowance)
{
	const struct jinja_text *text;
	bool string = v->kind == J_STR && !v->text->markup;
	int rc = 0;
	TRY(repr_of(p, v, &text));
	if (p->out.len > JINJA_STRING_BYTES)
		return jinja_fail_long(p->j);
	bool fits = (int64_t)jinja_characters(text) <= WIDTH - indent - allowance;
	if (!fits && v->kind == J_BYTES)
		return jinja_refuse(p->j, "pprint of long bytes");
	if (fits || (!string && !is_plain_container(v))) {
		buf_add(&p->out, text->bytes, text->len);
		return 0;
	}
	p->level++;
	if (string && v->text->len)
		rc = print_string(p, v, indent, allowance);
	else if (string)
		buf_add(&p->out, text->bytes, text->len);
	else
		rc = print_members(p, v, indent, allowance);
	p->level--;
	return rc;
}

int jinja_pprint(struct jinja *j, const struct jinja_value *v, struct jinja_value *out)
{
	struct pretty p = { .j = j };
	struct jinja_value sorted;
	struct jinja_out o = { 0 };
	TRY(in_order(j, v, 0, &sorted));
	int rc = print_pretty(&p, &sorted, 0, 0);
	if (rc == 0 && p.out.failed)
		rc = jinja_no_memory(j);
	if (rc == 0)
		jinja_put(&o, p.out.bytes, p.out.len, p.data);
	buf_free(&p.out);
	return jinja_out_done(j, rc, &o, out);
}
