/* Methods of strings that make other strings. Of a text marked as safe they escape what they add,
 * and what they make is marked. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <string.h>

static int strip(struct jinja *j, const struct jinja_arguments *a, bool left, bool right,
		 struct jinja_value *out)
{
	const struct jinja_text *set;
	size_t begin, end;
	TRY(jinja_arg_text(j, a, 0, &set));
	TRY(jinja_charge(j, set ? a->in.text->len * (set->len / 16 + 1) / 64 : 1));
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

/* ---- split ---- */

static int add_part(struct jinja *j, struct jinja_value *list, const struct jinja_text *t,
		    size_t begin, size_t end)
{
	struct jinja_value part;
	TRY(jinja_charge(j, 1));
	TRY(jinja_slice(j, t, begin, end, &part));
	return jinja_list_add(j, list->list, part);
}

/* At runs of white space, none at the ends; at most `most` cuts, from the left or right. */
static int split_white(struct jinja *j, const struct jinja_text *t, int64_t most, bool right,
		       struct jinja_value *out)
{
	struct jinja_value words;
	TRY(jinja_words(j, t, &words));
	int64_t count = (int64_t)words.list->count;
	*out = words;
	if (most < 0 || count <= most)
		return 0;
	TRY(jinja_list_new(j, J_LIST, out));
	size_t begin, end;
	if (right) {
		const struct jinja_text *last = words.list->at[count - most - 1].text;
		jinja_strip(t, NULL, false, true, &begin, &end);
		TRY(add_part(j, out, t, 0,
			     most ? (size_t)(last->bytes - t->bytes) + last->len : end));
		for (int64_t i = count - most; i < count; i++)
			TRY(jinja_list_add(j, out->list, words.list->at[i]));
		return 0;
	}
	for (int64_t i = 0; i < most; i++)
		TRY(jinja_list_add(j, out->list, words.list->at[i]));
	return add_part(j, out, t, (size_t)(words.list->at[most].text->bytes - t->bytes), t->len);
}

static int split_at(struct jinja *j, const struct jinja_text *t, const struct jinja_text *separator,
		    int64_t most, struct jinja_value *out)
{
	size_t at = 0, found;
	TRY(jinja_list_new(j, J_LIST, out));
	for (; most != 0 && (found = jinja_find(t, separator, at)) != SIZE_MAX; most--) {
		TRY(add_part(j, out, t, at, found));
		at = found + separator->len;
	}
	return add_part(j, out, t, at, t->len);
}

/* Matches from the end: where separators overlap, they differ from those found from the left. */
static int split_at_right(struct jinja *j, const struct jinja_text *t,
			  const struct jinja_text *separator, int64_t most, struct jinja_value *out)
{
	struct jinja_value parts;
	size_t end = t->len;
	TRY(jinja_list_new(j, J_LIST, &parts));
	TRY(jinja_charge(j, t->len * (separator->len / 64 + 1) / 4));
	for (size_t at = end < separator->len ? 0 : end - separator->len + 1;
	     at-- > 0 && most != 0;) {
		if (memcmp(t->bytes + at, separator->bytes, separator->len) != 0)
			continue;
		TRY(add_part(j, &parts, t, at + separator->len, end));
		end = at;
		most--;
		at = at < separator->len ? 0 : at - separator->len + 1;
	}
	TRY(add_part(j, &parts, t, 0, end));
	TRY(jinja_list_new(j, J_LIST, out));
	for (size_t i = parts.list->count; i-- > 0;)
		TRY(jinja_list_add(j, out->list, parts.list->at[i]));
	return 0;
}

static int split(struct jinja *j, const struct jinja_arguments *a, bool right,
		 struct jinja_value *out)
{
	const struct jinja_text *separator, *t = a->in.text;
	int64_t most;
	TRY(jinja_arg_text(j, a, 0, &separator));
	TRY(jinja_arg_int(j, a, 1, -1, &most));
	TRY(jinja_charge(j, t->len / 64));
	if (!separator)
		return split_white(j, t, most, right, out);
	if (!separator->len)
		return jinja_fail(j, "empty separator");
	return right ? split_at_right(j, t, separator, most, out)
		     : split_at(j, t, separator, most, out);
}

static int str_split(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return split(j, a, false, out);
}

static int str_rsplit(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return split(j, a, true, out);
}

static int str_splitlines(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_lines(j, a->in.text, jinja_arg_flag(a, 0, false), out);
}

/* ---- case ---- */

#define RECASE(name, how)                                                       \
	static int str_##name(struct jinja *j, const struct jinja_arguments *a, \
			      struct jinja_value *out)                          \
	{                                                                       \
		return jinja_recase(j, a->in.text, how, out);                   \
	}

RECASE(upper, JINJA_UPPER)
RECASE(lower, JINJA_LOWER)
RECASE(title, JINJA_TITLE)
RECASE(capitalize, JINJA_CAPITALIZE)
RECASE(swapcase, JINJA_SWAP)
RECASE(casefold, JINJA_FOLD)

/* ---- padding ---- */

static int pad(struct jinja *j, const struct jinja_arguments *a, char where,
	       struct jinja_value *out)
{
	const struct jinja_text *fill = NULL;
	struct jinja_value escaped;
	int64_t width;
	TRY(jinja_arg_int(j, a, 0, 0, &width));
	if (a->slot[1] && a->in.text->markup) {
		TRY(jinja_to_markup(j, a->slot[1], &escaped));
		fill = escaped.text;
	} else if (a->slot[1]) {
		TRY(jinja_arg_string(j, a, 1, &fill));
	}
	if (fill && jinja_characters(fill) != 1)
		return jinja_fail(j, "The fill character must be exactly one character long");
	return jinja_pad(j, a->in.text, width, fill, where, out);
}

static int str_center(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return pad(j, a, '^', out);
}

static int str_ljust(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return pad(j, a, '<', out);
}

static int str_rjust(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return pad(j, a, '>', out);
}

static int str_zfill(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	static const struct jinja_text zero = { .bytes = "0", .len = 1 };
	const struct jinja_text *t = a->in.text;
	int64_t width;
	struct jinja_value rest, sign;
	TRY(jinja_arg_int(j, a, 0, 0, &width));
	bool has_sign = t->len && (*t->bytes == '-' || *t->bytes == '+');
	TRY(jinja_slice(j, t, 0, has_sign, &sign));
	TRY(jinja_slice(j, t, has_sign, t->len, &rest));
	TRY(jinja_pad(j, rest.text, width < 0 ? 0 : width - has_sign, &zero, '>', &rest));
	TRY(jinja_concat(j, sign.text, rest.text, out));
	return jinja_mark(j, t->markup, out);
}

static int str_expandtabs(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text;
	struct jinja_out o = { 0 };
	int64_t size, column = 0;
	TRY(jinja_arg_int(j, a, 0, 8, &size));
	int rc = jinja_charge(j, t->len / 16);
	for (size_t at = 0, n; at < t->len && rc == 0; at += n) {
		uint32_t cp;
		n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		if (cp != '\t') {
			jinja_put_text(&o, t, at, at + n);
			column = cp == '\n' || cp == '\r' ? 0 : column + 1;
			continue;
		}
		int64_t spaces = size > 0 ? size - column % size : 0;
		struct jinja_text space = { .bytes = " ",
					    .len = 1,
					    .data = t->origin ? t->origin[at] : t->data };
		if (spaces + (int64_t)o.text.len > (int64_t)JINJA_STRING_BYTES)
			rc = jinja_fail_long(j);
		else
			jinja_put_times(&o, &space, spaces);
		if (rc == 0)
			rc = jinja_charge(j, (uint64_t)spaces / 8);
		column += spaces;
	}
	TRY(jinja_out_done(j, rc, &o, out));
	return jinja_mark(j, t->markup, out);
}

/* ---- joining, replacing, formatting ---- */

static int str_join(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *items;
	struct jinja_value item;
	bool markup = a->in.text->markup;
	TRY(jinja_items(j, a->slot[0], &items));
	TRY(jinja_literal(j, "", out));
	for (size_t i = 0; i < items->count; i++) {
		item = items->at[i];
		if (markup)
			TRY(jinja_to_markup(j, &item, &item));
		if (item.kind != J_STR)
			return jinja_fail(j, "sequence item %zu: expected str instance, %s found",
					  i, jinja_type_name(&item));
		if (i)
			TRY(jinja_concat(j, out->text, a->in.text, out));
		TRY(jinja_concat(j, out->text, item.text, out));
	}
	return jinja_mark(j, markup, out);
}

static int str_replace(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *old, *new;
	int64_t most;
	struct jinja_value made;
	TRY(jinja_arg_string(j, a, 0, &old));
	if (a->in.text->markup) {
		TRY(jinja_to_markup(j, a->slot[1], &made));
		new = made.text;
	} else {
		TRY(jinja_arg_string(j, a, 1, &new));
	}
	TRY(jinja_arg_int(j, a, 2, -1, &most));
	TRY(jinja_replace(j, a->in.text, old, new, most, out));
	return jinja_mark(j, a->in.text->markup, out);
}

static int str_format(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value named = { .kind = J_DICT, .dict = a->named };
	return jinja_format_text(j, a->in.text, a->more, a->named ? &named : NULL, out);
}

static int str_format_map(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list none = { 0 };
	return jinja_format_text(j, a->in.text, &none, a->slot[0], out);
}

/* ---- tables of characters ---- */

/* The code point that a key of a table names. */
static int key_character(struct jinja *j, const struct jinja_value *key, struct jinja_value *out)
{
	uint32_t cp;
	*out = *key;
	if (key->kind == J_INT || key->kind == J_BOOL || key->kind == J_BIG)
		return 0;
	if (key->kind != J_STR)
		return jinja_fail(j, "keys in translate table must be strings or integers");
	if (jinja_characters(key->text) != 1)
		return jinja_fail(j, "string keys in translate table must be of length 1");
	text_utf8_decode(key->text->bytes, key->text->len, &cp);
	*out = jinja_int(cp, jinja_text_data(key->text));
	return 0;
}

static int maketrans_texts(struct jinja *j, const struct jinja_arguments *a, struct jinja_dict *d)
{
	const struct jinja_text *from, *to, *gone = NULL;
	TRY(jinja_arg_string(j, a, 0, &from));
	TRY(jinja_arg_string(j, a, 1, &to));
	if (a->slot[2])
		TRY(jinja_arg_string(j, a, 2, &gone));
	if (jinja_characters(from) != jinja_characters(to))
		return jinja_fail(j, "the first two maketrans arguments must have equal length");
	for (size_t i = 0, k = 0; i < from->len;) {
		uint32_t x, y;
		i += (size_t)text_utf8_decode(from->bytes + i, from->len - i, &x);
		k += (size_t)text_utf8_decode(to->bytes + k, to->len - k, &y);
		TRY(jinja_dict_set(j, d, jinja_int(x, jinja_text_data(from)),
				   jinja_int(y, jinja_text_data(to))));
	}
	for (size_t i = 0; gone && i < gone->len;) {
		uint32_t x;
		i += (size_t)text_utf8_decode(gone->bytes + i, gone->len - i, &x);
		TRY(jinja_dict_set(j, d, jinja_int(x, jinja_text_data(gone)), jinja_none()));
	}
	return 0;
}

static int str_maketrans(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	TRY(jinja_dict_new(j, J_DICT, out));
	if (a->slot[1])
		return maketrans_texts(j, a, out->dict);
	if (a->slot[0]->kind != J_DICT)
		return jinja_fail(j,
				  "if you give only one argument to maketrans it must be a dict");
	for (size_t i = 0; i < a->slot[0]->dict->count; i++) {
		struct jinja_value key;
		TRY(key_character(j, &a->slot[0]->dict->key[i], &key));
		TRY(jinja_dict_set(j, out->dict, key, a->slot[0]->dict->value[i]));
	}
	return 0;
}

/* What stands for one character of t: *out its text, or NULL for nothing. */
static int translated(struct jinja *j, const struct jinja_value *table, uint32_t cp, bool data,
		      struct jinja_value *out, bool *same)
{
	struct jinja_value key = jinja_int(cp, data), v;
	char bytes[4];
	int found = table->kind == J_UNDEFINED ? jinja_fail_undefined(j, table)
					       : jinja_item(j, table, &key, &v);
	TRY(found);
	*same = !found;
	if (!found && table->kind != J_DICT && table->kind != J_LIST && table->kind != J_TUPLE &&
	    table->kind != J_STR && table->kind != J_RANGE && table->kind != J_BYTES)
		return jinja_fail(j, "'%s' object is not subscriptable", jinja_type_name(table));
	if (!found)
		return 0;
	data = data || jinja_has_data(&v);
	if (v.kind == J_NONE)
		return jinja_literal(j, "", out);
	if (v.kind == J_STR) {
		*out = v;
		return data ? jinja_str(j, v.text->bytes, v.text->len, true, out) : 0;
	}
	if ((v.kind != J_INT && v.kind != J_BOOL) || v.integer < 0 || v.integer > 0x10FFFF)
		return jinja_fail(j, "character mapping must be an integer, None or str");
	uint32_t made = v.kind == J_BOOL ? v.boolean : (uint32_t)v.integer;
	if (made >= 0xD800 && made < 0xE000)
		return jinja_refuse(j, "half of a surrogate pair");
	size_t n = (size_t)text_utf8_encode(made, bytes);
	const char *copy = arena_copy(&j->arena, bytes, n);
	return copy ? jinja_str(j, copy, n, data, out) : jinja_no_memory(j);
}

static int str_translate(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text;
	struct jinja_out o = { 0 };
	int rc = 0;
	for (size_t at = 0, n; at < t->len && rc == 0; at += n) {
		uint32_t cp;
		struct jinja_value v;
		bool same;
		n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		rc = translated(j, a->slot[0], cp, t->origin ? t->origin[at] : t->data, &v, &same);
		if (rc == 0 && same)
			jinja_put_text(&o, t, at, at + n);
		else if (rc == 0)
			jinja_put_text(&o, v.text, 0, v.text->len);
		if (rc == 0 && o.text.len > JINJA_STRING_BYTES)
			rc = jinja_fail_long(j);
	}
	TRY(jinja_out_done(j, rc, &o, out));
	return jinja_mark(j, t->markup, out);
}

/* ---- bytes ---- */

static int codec_of(struct jinja *j, const struct jinja_arguments *a, uint32_t *most)
{
	const struct jinja_text *name = NULL, *errors = NULL;
	static const struct {
		const char *name;
		uint32_t most;
	} known[] = {
		{ "utf-8", 0x10FFFF }, { "utf8", 0x10FFFF }, { "ascii", 0x7F },
		{ "latin-1", 0xFF },   { "latin1", 0xFF },   { "iso-8859-1", 0xFF },
		{ "us-ascii", 0x7F },
	};
	if (a->slot[0])
		TRY(jinja_arg_string(j, a, 0, &name));
	if (a->slot[1])
		TRY(jinja_arg_string(j, a, 1, &errors));
	struct jinja_value strict = { .kind = J_STR, .text = errors };
	if (errors && !jinja_is_string(&strict, "strict"))
		return jinja_refuse(j, "encoding with errors that are not strict");
	*most = name ? 0 : 0x10FFFF;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
		if (name->len == strlen(known[i].name) &&
		    strncasecmp(name->bytes, known[i].name, name->len) == 0)
			*most = known[i].most;
	return *most ? 0 : jinja_refuse(j, "the encoding %.*s", (int)(name->len % 40), name->bytes);
}

static int str_encode(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text;
	struct jinja_out o = { 0 };
	uint32_t most, cp;
	TRY(codec_of(j, a, &most));
	int rc = jinja_charge(j, t->len / 16);
	for (size_t at = 0, n; at < t->len && rc == 0; at += n) {
		n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		char byte = (char)cp;
		if (cp > most)
			rc = jinja_fail(j, "the codec can't encode character U+%04X", cp);
		else if (most == 0xFF)
			jinja_put(&o, &byte, 1, t->origin ? t->origin[at] : t->data);
		else
			jinja_put_text(&o, t, at, at + n);
	}
	TRY(jinja_out_done(j, rc, &o, out));
	out->kind = J_BYTES;
	return 0;
}

static int bytes_decode(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t = a->in.text;
	struct jinja_out o = { 0 };
	uint32_t most;
	TRY(codec_of(j, a, &most));
	TRY(jinja_charge(j, t->len / 16));
	if (most > 0xFF && !text_utf8_valid(t->bytes, t->len))
		return jinja_fail(j, "the codec can't decode these bytes");
	for (size_t i = 0; i < t->len; i++) {
		char bytes[4];
		unsigned char c = (unsigned char)t->bytes[i];
		if (c > most && most <= 0xFF) {
			jinja_out_free(&o);
			return jinja_fail(j, "the codec can't decode byte 0x%02x", c);
		}
		if (most == 0xFF)
			jinja_put(&o, bytes, (size_t)text_utf8_encode(c, bytes),
				  t->origin ? t->origin[i] : t->data);
		else
			jinja_put_text(&o, t, i, i + 1);
	}
	return jinja_out_take(j, &o, out);
}

static int bytes_hex(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	const struct jinja_text *t = a->in.text;
	TRY(jinja_charge(j, t->len / 8));
	for (size_t i = 0; i < t->len; i++) {
		char hex[3];
		text_hex(t->bytes + i, 1, hex);
		jinja_put(&o, hex, 2, t->origin ? t->origin[i] : t->data);
	}
	return jinja_out_take(j, &o, out);
}

const struct jinja_callable jinja_methods_bytes[] = {
	{ "decode", bytes_decode, "encoding? errors?", JINJA_BY_NAME, NULL },
	{ "hex", bytes_hex, "", 0, NULL },
	{ "capitalize", NULL, "*", 0, NULL },
	{ "center", NULL, "*", 0, NULL },
	{ "count", NULL, "*", 0, NULL },
	{ "endswith", NULL, "*", 0, NULL },
	{ "expandtabs", NULL, "*", 0, NULL },
	{ "find", NULL, "*", 0, NULL },
	{ "fromhex", NULL, "*", 0, NULL },
	{ "index", NULL, "*", 0, NULL },
	{ "isalnum", NULL, "*", 0, NULL },
	{ "isalpha", NULL, "*", 0, NULL },
	{ "isascii", NULL, "*", 0, NULL },
	{ "isdigit", NULL, "*", 0, NULL },
	{ "islower", NULL, "*", 0, NULL },
	{ "isspace", NULL, "*", 0, NULL },
	{ "istitle", NULL, "*", 0, NULL },
	{ "isupper", NULL, "*", 0, NULL },
	{ "join", NULL, "*", 0, NULL },
	{ "ljust", NULL, "*", 0, NULL },
	{ "lower", NULL, "*", 0, NULL },
	{ "lstrip", NULL, "*", 0, NULL },
	{ "maketrans", NULL, "*", 0, NULL },
	{ "partition", NULL, "*", 0, NULL },
	{ "removeprefix", NULL, "*", 0, NULL },
	{ "removesuffix", NULL, "*", 0, NULL },
	{ "replace", NULL, "*", 0, NULL },
	{ "rfind", NULL, "*", 0, NULL },
	{ "rindex", NULL, "*", 0, NULL },
	{ "rjust", NULL, "*", 0, NULL },
	{ "rpartition", NULL, "*", 0, NULL },
	{ "rsplit", NULL, "*", 0, NULL },
	{ "rstrip", NULL, "*", 0, NULL },
	{ "split", NULL, "*", 0, NULL },
	{ "splitlines", NULL, "*", 0, NULL },
	{ "startswith", NULL, "*", 0, NULL },
	{ "strip", NULL, "*", 0, NULL },
	{ "swapcase", NULL, "*", 0, NULL },
	{ "title", NULL, "*", 0, NULL },
	{ "translate", NULL, "*", 0, NULL },
	{ "upper", NULL, "*", 0, NULL },
	{ "zfill", NULL, "*", 0, NULL },
	{ 0 },
};

const struct jinja_callable jinja_methods_str[] = {
	{ "strip", str_strip, "chars?", 0, NULL },
	{ "lstrip", str_lstrip, "chars?", 0, NULL },
	{ "rstrip", str_rstrip, "chars?", 0, NULL },
	{ "split", str_split, "sep? maxsplit?", JINJA_BY_NAME, NULL },
	{ "rsplit", str_rsplit, "sep? maxsplit?", JINJA_BY_NAME, NULL },
	{ "splitlines", str_splitlines, "keepends?", JINJA_BY_NAME, NULL },
	{ "replace", str_replace, "old new count?", 0, NULL },
	{ "upper", str_upper, "", 0, NULL },
	{ "lower", str_lower, "", 0, NULL },
	{ "title", str_title, "", 0, NULL },
	{ "capitalize", str_capitalize, "", 0, NULL },
	{ "swapcase", str_swapcase, "", 0, NULL },
	{ "casefold", str_casefold, "", 0, NULL },
	{ "join", str_join, "iterable", 0, NULL },
	{ "center", str_center, "width fillchar?", 0, NULL },
	{ "ljust", str_ljust, "width fillchar?", 0, NULL },
	{ "rjust", str_rjust, "width fillchar?", 0, NULL },
	{ "zfill", str_zfill, "width", 0, NULL },
	{ "expandtabs", str_expandtabs, "tabsize?", JINJA_BY_NAME, NULL },
	{ "format", str_format, "*", JINJA_BY_NAME, NULL },
	{ "format_map", str_format_map, "mapping", 0, NULL },
	{ "translate", str_translate, "table", 0, NULL },
	{ "maketrans", str_maketrans, "x y? z?", 0, NULL },
	{ "encode", str_encode, "encoding? errors?", JINJA_BY_NAME, NULL },
	{ 0 },
};
