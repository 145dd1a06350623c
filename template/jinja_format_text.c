/* text.format(...): fields {name.attribute[item]!conversion:spec}, found as the sandbox does. */
#include "template/jinja.h"

#include <string.h>

struct formatting {
	struct jinja *j;
	const struct jinja_list *more;
	const struct jinja_value *named; /* a mapping, or NULL */
	bool markup;
	int64_t automatic; /* the next number; -1: fields are numbered by hand */
};

static int format_span(struct formatting *f, const struct jinja_text *t, int depth,
		       struct jinja_value *out);

/* The text's number; -1 if it is none. */
static int64_t number_of(const struct jinja_text *t, size_t begin, size_t end)
{
	int64_t n = end > begin ? 0 : -1;
	for (size_t i = begin; i < end && n >= 0; i++)
		n = t->bytes[i] >= '0' && t->bytes[i] <= '9' && n < 100000000
			    ? n * 10 + t->bytes[i] - '0'
			    : -1;
	return n;
}

/* What the field's first part names. */
static int first_value(struct formatting *f, const struct jinja_text *t, size_t end,
		       struct jinja_value *out)
{
	int64_t n = number_of(t, 0, end);
	struct jinja_value key;
	bool alone = end == t->len; /* Python numbers only fields without attributes */
	if ((!end && alone) || n >= 0) {
		bool by_hand = end != 0;
		if (alone && (by_hand ? f->automatic > 0 : f->automatic < 0))
			return jinja_fail(
				f->j, "cannot switch between automatic and manual field numbering");
		n = by_hand ? n : f->automatic;
		if (alone)
			f->automatic = by_hand ? -1 : f->automatic + 1;
		if (n >= (int64_t)f->more->count)
			return jinja_fail(f->j, "Replacement index %lld out of range",
					  (long long)n);
		*out = f->more->at[n];
		return 0;
	}
	TRY(jinja_slice(f->j, t, 0, end, &key));
	int found = f->named ? jinja_item(f->j, f->named, &key, out) : 0;
	TRY(found);
	return found ? 0
		     : jinja_fail(f->j, "format has no argument {%.*s}", (int)(end % 40), t->bytes);
}

/* .name or [item] at *at, of *v. */
static int follow(struct formatting *f, const struct jinja_text *t, size_t *at,
		  struct jinja_value *v)
{
	bool item = t->bytes[*at] == '[';
	size_t begin = ++*at, end = begin;
	struct jinja_value key, of = *v;
	while (end < t->len &&
	       (item ? t->bytes[end] != ']' : t->bytes[end] != '.' && t->bytes[end] != '['))
		end++;
	if (end == begin || (item && end == t->len))
		return jinja_fail(f->j, "Empty attribute in format string");
	*at = end + item;
	if (item && *at < t->len && t->bytes[*at] != '.' && t->bytes[*at] != '[')
		return jinja_fail(f->j, "Only '.' or '[' may follow ']' in format field specifier");
	TRY(jinja_slice(f->j, t, begin, end, &key));
	int64_t n = item ? number_of(t, begin, end) : -1;
	if (n >= 0)
		key = jinja_int(n, false);
	return item ? jinja_subscript(f->j, &of, &key, v) : jinja_attribute(f->j, &of, key.text, v);
}

static int convert(struct formatting *f, char how, struct jinja_value *v)
{
	struct jinja_value from = *v;
	const struct jinja_text *t;
	if (how == 'r')
		return jinja_repr(f->j, &from, v);
	if (how == 'a')
		return jinja_ascii(f->j, &from, v);
	if (how != 's')
		return jinja_fail(f->j, "Unknown conversion specifier %c", how);
	TRY(jinja_to_text(f->j, &from, &t));
	*v = (struct jinja_value){ .kind = J_STR, .text = t };
	return jinja_mark(f->j, false, v);
}

/* The field between braces, field[0..len). */
static int format_field(struct formatting *f, const struct jinja_text *field, int depth,
			struct jinja_value *out)
{
	size_t end = 0, first = 0;
	struct jinja_value v, spec;
	while (end < field->len && field->bytes[end] != '!' && field->bytes[end] != ':') {
		if (field->bytes[end] == '[')
			while (end < field->len && field->bytes[end] != ']')
				end++;
		end += end < field->len;
	}
	struct jinja_text name = *field;
	name.len = end;
	while (first < end && name.bytes[first] != '.' && name.bytes[first] != '[')
		first++;
	TRY(first_value(f, &name, first, &v));
	while (first < end)
		TRY(follow(f, &name, &first, &v));
	if (end < field->len && field->bytes[end] == '!') {
		if (end + 1 == field->len || (end + 2 < field->len && field->bytes[end + 2] != ':'))
			return jinja_fail(f->j, "expected ':' after conversion specifier");
		TRY(convert(f, field->bytes[end + 1], &v));
		end += 2;
	}
	end += end < field->len;
	TRY(jinja_slice(f->j, field, end, field->len, &spec));
	TRY(format_span(f, spec.text, depth - 1, &spec));
	if (f->markup && v.kind == J_STR && v.text->markup) {
		*out = v;
		return spec.text->len
			       ? jinja_fail(f->j, "Unsupported format specification for Markup.")
			       : 0;
	}
	TRY(jinja_format(f->j, &v, spec.text, out));
	return f->markup ? jinja_to_markup(f->j, out, out) : 0;
}

/* Where the field that begins behind the brace at `at` ends; t->len if it does not. */
static size_t field_end(const struct jinja_text *t, size_t at)
{
	int depth = 1;
	bool item = false; /* in [...], where braces mean nothing */
	for (; at < t->len; at++) {
		char c = t->bytes[at];
		item = c == '[' || (item && c != ']');
		depth += item ? 0 : c == '{' ? 1 : c == '}' ? -1 : 0;
		if (!depth)
			break;
	}
	return at;
}

static int format_span(struct formatting *f, const struct jinja_text *t, int depth,
		       struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	int rc = depth < 0 ? jinja_fail(f->j, "Max string recursion exceeded")
			   : jinja_charge(f->j, t->len / 16 + 1);
	for (size_t at = 0; at < t->len && rc == 0; at++) {
		char c = t->bytes[at];
		struct jinja_value v;
		if (c != '{' && c != '}') {
			jinja_put_text(&o, t, at, at + 1);
		} else if (at + 1 < t->len && t->bytes[at + 1] == c) {
			jinja_put_text(&o, t, at, at + 1);
			at++;
		} else {
			struct jinja_text field = { .bytes = t->bytes + at + 1,
						    .data = t->data,
						    .origin =
							    t->origin ? t->origin + at + 1 : NULL };
			size_t end = c == '{' ? field_end(t, at + 1) : t->len;
			field.len = end < t->len ? end - at - 1 : 0;
			rc = end == t->len
				     ? jinja_fail(f->j, "Single brace encountered in format string")
				     : format_field(f, &field, depth, &v);
			if (rc == 0)
				jinja_put_text(&o, v.text, 0, v.text->len);
			if (rc == 0 && o.text.len > JINJA_STRING_BYTES)
				rc = jinja_fail_long(f->j);
			at = end;
		}
	}
	return jinja_out_done(f->j, rc, &o, out);
}

int jinja_format_text(struct jinja *j, const struct jinja_text *t, const struct jinja_list *more,
		      const struct jinja_value *named, struct jinja_value *out)
{
	struct formatting f = { j, more, named, t->markup, 0 };
	TRY(format_span(&f, t, 2, out));
	return jinja_mark(j, t->markup, out);
}
