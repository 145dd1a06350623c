/* Filters of strings. */
#include "template/jinja.h"

#include "base/text.h"

#include <string.h>

#define RECASE(name, how)                                                          \
	static int filter_##name(struct jinja *j, const struct jinja_arguments *a, \
				 struct jinja_value *out)                          \
	{                                                                          \
		const struct jinja_text *t;                                        \
		TRY(jinja_to_text(j, &a->in, &t));                                 \
		return jinja_recase(j, t, how, out);                               \
	}

RECASE(upper, JINJA_UPPER)
RECASE(lower, JINJA_LOWER)
RECASE(title, JINJA_TITLE_FILTER)
RECASE(capitalize, JINJA_CAPITALIZE)

static int filter_trim(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t, *set;
	size_t begin, end;
	TRY(jinja_to_text(j, &a->in, &t));
	TRY(jinja_arg_text(j, a, 0, &set));
	TRY(jinja_charge(j, set ? t->len * (set->len / 16 + 1) / 64 : 1));
	jinja_strip(t, set, true, true, &begin, &end);
	return jinja_slice(j, t, begin, end, out);
}

static int filter_string(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, &a->in, &t));
	*out = (struct jinja_value){ .kind = J_STR, .text = t };
	return 0;
}

/* Where {% autoescape %} is on, what is not marked is escaped next to what is. */
static int filter_replace(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t, *old, *new;
	struct jinja_value made;
	int64_t most = -1;
	TRY(jinja_to_text(j, &a->in, &t));
	TRY(jinja_to_text(j, a->slot[0], &old));
	TRY(jinja_to_text(j, a->slot[1], &new));
	if (a->slot[2] && a->slot[2]->kind != J_NONE)
		TRY(jinja_arg_int(j, a, 2, -1, &most));
	bool escapes = j->autoescape && (old->markup || new->markup || t->markup);
	if (escapes && (old->markup || (new->markup && !t->markup))) {
		TRY(jinja_escape(j, t, &made));
		t = made.text;
	}
	if (escapes && t->markup) {
		TRY(jinja_escape(j, new, &made));
		new = made.text;
	}
	TRY(jinja_replace(j, t, old, new, most, out));
	return jinja_mark(j, escapes && t->markup, out);
}

static int filter_format(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	struct jinja_value values = { .kind = J_TUPLE, .list = a->more };
	TRY(jinja_to_text(j, &a->in, &t));
	if (a->named && a->named->count) {
		if (a->more->count)
			return jinja_fail(
				j,
				"can't handle positional and keyword arguments at the same time");
		values = (struct jinja_value){ .kind = J_DICT, .dict = a->named };
	}
	return jinja_percent(j, t, &values, out);
}

/* Lines after the first get the indentation; empty ones only with blank. */
static int filter_indent(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text, *indent;
	struct jinja_value with, lines, newline, spaces;
	bool first = jinja_arg_flag(a, 1, false), blank = jinja_arg_flag(a, 2, false);
	struct jinja_value four = jinja_int(4, false), *width = a->slot[0] ? a->slot[0] : &four;
	struct jinja_out o = { 0 };
	if (a->in.kind != J_STR)
		return jinja_fail(j, "indent takes a string, not %s", jinja_type_name(&a->in));
	TRY(jinja_literal(j, " ", &spaces));
	if (width->kind == J_STR)
		spaces = *width;
	else
		TRY(jinja_binary(j, OP_MUL, &spaces, width, &spaces));
	indent = spaces.text;
	TRY(jinja_str(j, "\n", 1, jinja_text_data(t), &newline));
	TRY(jinja_concat(j, t, newline.text, &with));
	TRY(jinja_lines(j, with.text, false, &lines));
	int rc = 0;
	for (size_t i = 0; i < lines.list->count && rc == 0; i++) {
		const struct jinja_text *line = lines.list->at[i].text;
		if (i)
			jinja_put_text(&o, newline.text, 0, 1);
		if (i ? blank || line->len : first)
			jinja_put_text(&o, indent, 0, indent->len);
		jinja_put_text(&o, line, 0, line->len);
		rc = o.text.len > JINJA_STRING_BYTES ? jinja_fail_long(j) : 0;
	}
	TRY(jinja_out_done(j, rc, &o, out));
	return jinja_mark(j, t->markup, out);
}

static int filter_default(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	bool missing =
		a->in.kind == J_UNDEFINED || (jinja_arg_flag(a, 1, false) && !jinja_truth(&a->in));
	if (missing && !a->slot[0])
		return jinja_literal(j, "", out);
	*out = missing ? *a->slot[0] : a->in;
	return 0;
}

static int filter_center(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	int64_t width;
	TRY(jinja_to_text(j, &a->in, &t));
	TRY(jinja_arg_int(j, a, 0, 80, &width));
	return jinja_pad(j, t, width, NULL, '^', out);
}

static int filter_wordcount(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	const struct jinja_text *t;
	int64_t count = 0;
	bool inside = false;
	TRY(jinja_to_text(j, &a->in, &t));
	TRY(jinja_charge(j, t->len / 16));
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		at += (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		bool word = jinja_is_word(cp);
		count += word && !inside;
		inside = word;
	}
	*out = jinja_int(count, false);
	return 0;
}

/* ---- truncate ---- */

static int cut_words(struct jinja *j, const struct jinja_text *t, int64_t length, bool killwords,
		     struct jinja_value *out)
{
	struct jinja_value end = jinja_int(length, false);
	const struct jinja_value *const bound[3] = { NULL, &end, NULL };
	struct jinja_value whole = { .kind = J_STR, .text = t };
	TRY(jinja_slice_value(j, &whole, bound, out));
	if (killwords)
		return 0;
	const struct jinja_text *cut = out->text;
	size_t space = cut->len;
	while (space > 0 && cut->bytes[space - 1] != ' ')
		space--;
	return space ? jinja_slice(j, cut, 0, space - 1, out) : 0;
}

static int filter_truncate(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out)
{
	struct jinja_value dots, cut;
	int64_t length, leeway = 5, end_length, size;
	TRY(jinja_literal(j, "...", &dots));
	struct jinja_value end = a->slot[2] ? *a->slot[2] : dots;
	TRY(jinja_arg_int(j, a, 0, 255, &length));
	if (a->slot[3] && a->slot[3]->kind != J_NONE)
		TRY(jinja_arg_int(j, a, 3, 5, &leeway));
	TRY(jinja_length(j, &end, &end_length));
	if (length < end_length || leeway < 0)
		return jinja_fail(j, "expected length >= %lld and leeway >= 0",
				  (long long)end_length);
	TRY(jinja_length(j, &a->in, &size));
	*out = a->in;
	if (size <= length + leeway)
		return 0;
	if (a->in.kind != J_STR)
		return jinja_fail(j, "truncate takes a string, not %s", jinja_type_name(&a->in));
	TRY(cut_words(j, a->in.text, length - end_length, jinja_arg_flag(a, 1, false), &cut));
	return jinja_binary(j, OP_ADD, &cut, &end, out);
}

const struct jinja_callable jinja_filters_text[] = {
	{ "trim", filter_trim, "chars?", JINJA_BY_NAME, NULL },
	{ "default", filter_default, "default_value? boolean?", JINJA_BY_NAME, NULL },
	{ "d", filter_default, "default_value? boolean?", JINJA_BY_NAME, NULL },
	{ "upper", filter_upper, "", 0, NULL },
	{ "lower", filter_lower, "", 0, NULL },
	{ "title", filter_title, "", 0, NULL },
	{ "capitalize", filter_capitalize, "", 0, NULL },
	{ "replace", filter_replace, "old new count?", JINJA_BY_NAME, NULL },
	{ "string", filter_string, "", 0, NULL },
	{ "format", filter_format, "*", JINJA_BY_NAME, NULL },
	{ "indent", filter_indent, "width? first? blank?", JINJA_BY_NAME, NULL },
	{ "center", filter_center, "width?", JINJA_BY_NAME, NULL },
	{ "wordcount", filter_wordcount, "", 0, NULL },
	{ "truncate", filter_truncate, "length? killwords? end? leeway?", JINJA_BY_NAME, NULL },
	{ "wordwrap", jinja_filter_wordwrap,
	  "width? break_long_words? wrapstring? break_on_hyphens?", JINJA_BY_NAME, NULL },
	{ 0 },
};
