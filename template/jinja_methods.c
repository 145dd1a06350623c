/* Methods of strings, lists and dictionaries. Those that change their object exist only to be
 * refused. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <string.h>

static int list_text(struct jinja *j, struct jinja_list *l, const struct jinja_text *t,
                     size_t begin, size_t end)
{
	struct jinja_value part;
	TRY(jinja_charge(j, 1));
	TRY(jinja_slice(j, t, begin, end, &part));
	return jinja_list_add(j, l, part);
}

/* ---- strings ---- */

static int strip(struct jinja *j, const struct jinja_arguments *a, bool left, bool right,
                 struct jinja_value *out)
{
	const struct jinja_text *set;
	size_t begin, end;
	TRY(jinja_arg_text(j, a, 0, &set));
	jinja_strip(a->in.text, set, left, right, &begin, &end);
	return jinja_slice(j, a->in.text, begin, end, out);
}

static int str_strip(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return strip(j, a, true, true, out);
}

static int str_lstrip(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return strip(j, a, true, false, out);
}

static int str_rstrip(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return strip(j, a, false, true, out);
}

/* At runs of white space, none at the ends. */
static int split_white(struct jinja *j, const struct jinja_text *t, int64_t most,
                       struct jinja_list *l)
{
	size_t at = 0, begin, end;
	for (;; most--) {
		struct jinja_text rest = { .bytes = t->bytes + at, .len = t->len - at };
		jinja_strip(&rest, NULL, true, most == 0, &begin, &end);
		begin += at;
		end += at;
		if (begin >= end)
			return 0;
		if (most == 0)
			return list_text(j, l, t, begin, t->len);
		size_t word = begin;
		uint32_t cp;
		while (word < end) {
			int n = text_utf8_decode(t->bytes + word, end - word, &cp);
			if (jinja_is_space(cp))
				break;
			word += (size_t)n;
		}
		TRY(list_text(j, l, t, begin, word));
		at = word;
	}
}

static int str_split(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *separator, *t = a->in.text;
	int64_t most;
	size_t at = 0, found;
	TRY(jinja_arg_text(j, a, 0, &separator));
	TRY(jinja_arg_int(j, a, 1, -1, &most));
	TRY(jinja_list_new(j, J_LIST, out));
	TRY(jinja_charge(j, t->len / 64));
	if (!separator)
		return split_white(j, t, most < 0 ? INT64_MAX : most, out->list);
	if (!separator->len)
		return jinja_fail(j, "empty separator");
	for (; most != 0 && (found = jinja_find(t, separator, at)) != SIZE_MAX; most--) {
		TRY(list_text(j, out->list, t, at, found));
		at = found + separator->len;
	}
	return list_text(j, out->list, t, at, t->len);
}

static int str_rsplit(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *separator, *t = a->in.text;
	struct jinja_value all;
	int64_t most;
	TRY(jinja_arg_int(j, a, 1, -1, &most));
	TRY(jinja_arg_text(j, a, 0, &separator));
	if (most < 0)
		return str_split(j, a, out);
	if (!separator)
		return jinja_refuse(j, "rsplit at white space with a limit");
	struct jinja_arguments every = { .in = a->in, .slot = { a->slot[0] } };
	TRY(str_split(j, &every, &all));
	size_t parts = all.list->count, kept = (uint64_t)most < parts - 1 ? (size_t)most : parts - 1;
	TRY(jinja_list_new(j, J_LIST, out));
	const struct jinja_text *last = all.list->at[parts - kept - 1].text;
	TRY(list_text(j, out->list, t, 0, (size_t)(last->bytes + last->len - t->bytes)));
	for (size_t i = parts - kept; i < parts; i++)
		TRY(jinja_list_add(j, out->list, all.list->at[i]));
	return 0;
}

/* Methods that would escape their arguments. */
static int refuse_markup(struct jinja *j, const struct jinja_arguments *a, const char *name)
{
	return a->in.text->markup ? jinja_refuse(j, "%s of text marked as safe", name) : 0;
}

static int str_replace(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *old, *new;
	int64_t most;
	TRY(refuse_markup(j, a, "replace"));
	TRY(jinja_arg_text(j, a, 0, &old));
	TRY(jinja_arg_text(j, a, 1, &new));
	TRY(jinja_arg_int(j, a, 2, -1, &most));
	return old && new ? jinja_replace(j, a->in.text, old, new, most, out) :
	       jinja_fail(j, "replace takes two strings");
}

static int str_upper(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_recase(j, a->in.text, JINJA_UPPER, out);
}

static int str_lower(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_recase(j, a->in.text, JINJA_LOWER, out);
}

static int str_title(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_recase(j, a->in.text, JINJA_TITLE, out);
}

static int str_capitalize(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_recase(j, a->in.text, JINJA_CAPITALIZE, out);
}

static int str_join(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *items;
	TRY(refuse_markup(j, a, "join"));
	if (!a->slot[0])
		return jinja_fail(j, "join takes an iterable");
	TRY(jinja_items(j, a->slot[0], &items));
	TRY(jinja_str(j, "", 0, false, out));
	for (size_t i = 0; i < items->count; i++) {
		if (items->at[i].kind != J_STR)
			return jinja_fail(j, "sequence item %zu: expected str instance, %s found", i,
			                  jinja_type_name(&items->at[i]));
		if (i)
			TRY(jinja_concat(j, out->text, a->in.text, out));
		TRY(jinja_concat(j, out->text, items->at[i].text, out));
	}
	return 0;
}

static size_t line_end_length(const struct jinja_text *t, size_t at)
{
	uint32_t cp;
	int n = text_utf8_decode(t->bytes + at, t->len - at, &cp);
	if (cp == '\r' && at + 1 < t->len && t->bytes[at + 1] == '\n')
		return 2;
	bool ends = (cp >= 0x0A && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 ||
	    cp == 0x2028 ||
	    cp == 0x2029;
	return ends ? (size_t)n : 0;
}

bool jinja_ends_line(const struct jinja_text *t)
{
	size_t last;
	if (!t->len || t->bytes[t->len - 1] == '\r')
		return false;
	unicode_last(t->bytes, t->len, &last);
	return line_end_length(t, t->len - last) > 0;
}

static int str_splitlines(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text;
	bool keep = jinja_arg_flag(a, 0, false);
	size_t begin = 0;
	TRY(jinja_list_new(j, J_LIST, out));
	TRY(jinja_charge(j, t->len / 16));
	for (size_t at = 0; at < t->len;) {
		size_t n = line_end_length(t, at);
		if (n) {
			TRY(list_text(j, out->list, t, begin, keep ? at + n : at));
			begin = at + n;
		}
		at += n ? n : 1;
		while (at < t->len && ((unsigned char)t->bytes[at] & 0xC0) == 0x80)
			at++;
	}
	return begin < t->len ? list_text(j, out->list, t, begin, t->len) : 0;
}

/* The value of one field: {} {0} {name}. */
static int format_field(struct jinja *j, const struct jinja_arguments *a, const char *s, size_t len,
                        size_t *automatic, struct jinja_value *out)
{
	struct jinja_text name = { .bytes = s, .len = len };
	size_t index = len ? 0 : (*automatic)++;
	bool digits = true;
	int found = 0;
	for (size_t i = 0; i < len; i++) {
		if (strchr(".[:!", s[i]) || (unsigned char)s[i] < ' ')
			return jinja_refuse(j, "format with a field {%.*s}", (int)(len % 40), s);
		digits = digits && s[i] >= '0' && s[i] <= '9' && len < 9;
		index = digits ? index * 10 + (size_t)(s[i] - '0') : 0;
	}
	if (digits && index < a->more->count) {
		*out = a->more->at[index];
		return 0;
	}
	if (!digits && a->named)
		found = jinja_dict_get(j, a->named, (struct jinja_value){ .kind = J_STR, .text = &name }, out);
	TRY(found);
	return found ? 0 : jinja_fail(j, "format has no argument for {%.*s}", (int)(len % 40), s);
}

static int str_format(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text;
	struct jinja_out o = { 0 };
	struct jinja_value v;
	size_t automatic = 0;
	TRY(refuse_markup(j, a, "format"));
	int rc = jinja_charge(j, t->len / 16);
	for (size_t at = 0; at < t->len && rc == 0; at++) {
		char c = t->bytes[at];
		bool twice = at + 1 < t->len && t->bytes[at + 1] == c;
		if (c != '{' && c != '}') {
			jinja_put_text(&o, t, at, at + 1);
		} else if (twice) {
			jinja_put_text(&o, t, at, at + 1);
			at++;
		} else {
			const char *close = c == '{' ? memchr(t->bytes + at, '}', t->len - at) : NULL;
			size_t end = close ? (size_t)(close - t->bytes) : at;
			rc = close ? format_field(j, a, t->bytes + at + 1, end - at - 1, &automatic, &v) :
			             jinja_fail(j, "a single brace in a format string");
			if (rc == 0)
				rc = jinja_print(j, &v, &o);
			if (rc == 0 && o.text.len > JINJA_STRING_BYTES)
				rc = jinja_fail(j, "a string is longer than %zu bytes", JINJA_STRING_BYTES);
			at = end;
		}
	}
	if (rc == 0)
		return jinja_out_take(j, &o, out);
	jinja_out_free(&o);
	return rc;
}

/* ---- lists and dictionaries ---- */

static int list_count(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t n = 0;
	for (size_t i = 0; a->slot[0] && i < a->in.list->count; i++) {
		int equal = jinja_equal(j, &a->in.list->at[i], a->slot[0], 0);
		TRY(equal);
		n += equal;
	}
	*out = jinja_int(n, false);
	return 0;
}

static int list_index(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	for (size_t i = 0; a->slot[0] && i < a->in.list->count; i++) {
		int equal = jinja_equal(j, &a->in.list->at[i], a->slot[0], 0);
		TRY(equal);
		*out = jinja_int((int64_t)i, false);
		if (equal)
			return 0;
	}
	return jinja_fail(j, "the value is not in the list");
}

static int value_copy(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = a->in; /* nothing can change it */
	return 0;
}

static int dict_get(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	if (!a->slot[0])
		return jinja_fail(j, "get takes a key");
	int found = jinja_dict_get(j, a->in.dict, *a->slot[0], out);
	if (found == 0)
		*out = a->slot[1] ? *a->slot[1] : jinja_none();
	return found < 0 ? found : 0;
}

static int dict_keys(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	TRY(jinja_list_new(j, J_VIEW, out));
	*out->list = (struct jinja_list){ a->in.dict->key, a->in.dict->count, a->in.dict->count, 0,
		                          "dict_keys" };
	return 0;
}

static int dict_values(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	TRY(jinja_list_new(j, J_VIEW, out));
	*out->list = (struct jinja_list){ a->in.dict->value, a->in.dict->count, a->in.dict->count, 0,
		                          "dict_values" };
	return 0;
}

static int dict_items(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	TRY(jinja_list_new(j, J_VIEW, out));
	out->list->shown = "dict_items";
	for (size_t i = 0; i < a->in.dict->count; i++) {
		struct jinja_value pair;
		TRY(jinja_charge(j, 1));
		TRY(jinja_list_new(j, J_TUPLE, &pair));
		TRY(jinja_list_add(j, pair.list, a->in.dict->key[i]));
		TRY(jinja_list_add(j, pair.list, a->in.dict->value[i]));
		TRY(jinja_list_add(j, out->list, pair));
	}
	return 0;
}

static const struct jinja_callable string_methods[] = {
	{ "strip", str_strip, { "chars" }, false }, { "lstrip", str_lstrip, { "chars" }, false },
	{ "rstrip", str_rstrip, { "chars" }, false }, { "split", str_split, { "sep", "maxsplit" }, false },
	{ "rsplit", str_rsplit, { "sep", "maxsplit" }, false },
	{ "replace", str_replace, { "old", "new", "count" }, false }, { "upper", str_upper, { 0 }, false },
	{ "lower", str_lower, { 0 }, false }, { "title", str_title, { 0 }, false },
	{ "capitalize", str_capitalize, { 0 }, false }, { "join", str_join, { "iterable" }, false },
	{ "splitlines", str_splitlines, { "keepends" }, false }, { "format", str_format, { 0 }, true },
	{ 0 },
};
/* Known to Python and not here: refused by name rather than taken for undefined. */
static const struct jinja_callable string_refused[] = {
	{ "casefold", NULL, { 0 }, true },
	{ "center", NULL, { 0 }, true },
	{ "encode", NULL, { 0 }, true },
	{ "expandtabs", NULL, { 0 }, true },
	{ "format_map", NULL, { 0 }, true },
	{ "isascii", NULL, { 0 }, true },
	{ "isnumeric", NULL, { 0 }, true },
	{ "isprintable", NULL, { 0 }, true },
	{ "isidentifier", NULL, { 0 }, true },
	{ "istitle", NULL, { 0 }, true },
	{ "ljust", NULL, { 0 }, true },
	{ "rjust", NULL, { 0 }, true },
	{ "swapcase", NULL, { 0 }, true },
	{ "translate", NULL, { 0 }, true },
	{ "zfill", NULL, { 0 }, true },
	{ 0 },
};
static const struct jinja_callable list_methods[] = {
	{ "count", list_count, { "value" }, false }, { "index", list_index, { "value" }, false },
	{ "copy", value_copy, { 0 }, false }, { "append", NULL, { 0 }, true },
	{ "extend", NULL, { 0 }, true }, { "insert", NULL, { 0 }, true }, { "pop", NULL, { 0 }, true },
	{ "remove", NULL, { 0 }, true }, { "clear", NULL, { 0 }, true }, { "sort", NULL, { 0 }, true },
	{ "reverse", NULL, { 0 }, true }, { 0 },
};
static const struct jinja_callable dict_methods[] = {
	{ "get", dict_get, { "key", "default" }, false }, { "items", dict_items, { 0 }, false },
	{ "keys", dict_keys, { 0 }, false }, { "values", dict_values, { 0 }, false },
	{ "copy", value_copy, { 0 }, false }, { "update", NULL, { 0 }, true },
	{ "pop", NULL, { 0 }, true }, { "popitem", NULL, { 0 }, true }, { "clear", NULL, { 0 }, true },
	{ "setdefault", NULL, { 0 }, true }, { 0 },
};

const struct jinja_callable *jinja_method_find(const struct jinja_value *v, const char *name)
{
	const struct jinja_callable *tables[3] = { NULL };
	if (v->kind == J_STR) {
		tables[0] = string_methods;
		tables[1] = jinja_search_methods;
		tables[2] = string_refused;
	} else if (v->kind == J_DICT) {
		tables[0] = dict_methods;
	} else if (v->kind == J_LIST || v->kind == J_TUPLE || v->kind == J_RANGE) {
		tables[0] = list_methods;
	}
	for (int i = 0; i < 3; i++)
		for (const struct jinja_callable *c = tables[i]; c && c->name; c++)
			if (strcmp(name, c->name) == 0)
				return c;
	return NULL;
}
