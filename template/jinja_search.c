/* Methods of strings that look for something in them, or ask what they are made of. Positions are
 * counted in characters, as Python counts. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <string.h>
#include <utf8proc.h>

/* The part of the string that the arguments start and end leave, as in a slice. */
struct window {
	struct jinja_text text;
	int64_t first; /* character that it begins at */
	bool beyond;   /* begins behind the end: not even nothing is found there */
};

static int window_of(struct jinja *j, const struct jinja_arguments *a, int slot, struct window *w)
{
	const struct jinja_text *t = a->in.text;
	int64_t count = (int64_t)jinja_characters(t), begin, end;
	TRY(jinja_charge(j, t->len / 64));
	TRY(jinja_arg_index(j, a, slot, 0, &begin));
	TRY(jinja_arg_index(j, a, slot + 1, count, &end));
	begin = begin < 0 ? begin + count : begin;
	end = end < 0 ? end + count : end > count ? count : end;
	begin = begin < 0 ? 0 : begin;
	end = end < 0 ? 0 : end;
	w->beyond = begin > end;
	w->first = w->beyond ? 0 : begin;
	size_t from = jinja_offset(t, (size_t)w->first);
	size_t to = w->beyond ? from : jinja_offset(t, (size_t)end);
	w->text =
		(struct jinja_text){ .bytes = t->bytes + from, .len = to - from, .data = t->data };
	return 0;
}

/* Search from the end; the steps charged cover every comparison that may happen. */
static uint64_t find_last_steps(const struct jinja_text *t, const struct jinja_text *needle)
{
	uint64_t places = t->len < needle->len ? 0 : t->len - needle->len + 1;
	return places * (needle->len / 64 + 1) / 4;
}

static size_t find_last(const struct jinja_text *t, const struct jinja_text *needle)
{
	for (size_t at = t->len < needle->len ? 0 : t->len - needle->len + 1; at-- > 0;)
		if (memcmp(t->bytes + at, needle->bytes, needle->len) == 0)
			return at;
	return SIZE_MAX;
}

static int find(struct jinja *j, const struct jinja_arguments *a, bool last, bool must,
		struct jinja_value *out)
{
	const struct jinja_text *needle;
	struct window w;
	TRY(jinja_arg_string(j, a, 0, &needle));
	TRY(window_of(j, a, 1, &w));
	if (last)
		TRY(jinja_charge(j, find_last_steps(&w.text, needle)));
	size_t at = w.beyond ? SIZE_MAX
		    : last   ? find_last(&w.text, needle)
			     : jinja_find(&w.text, needle, 0);
	if (at == SIZE_MAX && must)
		return jinja_fail(j, "substring not found");
	struct jinja_text before = { .bytes = w.text.bytes, .len = at == SIZE_MAX ? 0 : at };
	*out = jinja_int(at == SIZE_MAX ? -1 : w.first + (int64_t)jinja_characters(&before), false);
	return 0;
}

static int str_find(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return find(j, a, false, false, out);
}

static int str_rfind(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return find(j, a, true, false, out);
}

static int str_index(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return find(j, a, false, true, out);
}

static int str_rindex(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return find(j, a, true, true, out);
}

static int str_count(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *needle;
	struct window w;
	int64_t n = 0;
	TRY(jinja_arg_string(j, a, 0, &needle));
	TRY(window_of(j, a, 1, &w));
	if (!needle->len)
		n = w.beyond ? 0 : (int64_t)jinja_characters(&w.text) + 1;
	else
		for (size_t at = 0; (at = jinja_find(&w.text, needle, at)) != SIZE_MAX;
		     at += needle->len)
			n++;
	*out = jinja_int(n, false);
	return 0;
}

static bool has_edge(const struct jinja_text *t, const struct jinja_text *s, bool start)
{
	return s->len <= t->len &&
	       memcmp(t->bytes + (start ? 0 : t->len - s->len), s->bytes, s->len) == 0;
}

static int edge(struct jinja *j, const struct jinja_arguments *a, bool start,
		struct jinja_value *out)
{
	const struct jinja_value *which = a->slot[0];
	struct jinja_list one = { .at = (struct jinja_value *)which, .count = 1 };
	const struct jinja_list *all = which && which->kind == J_TUPLE ? which->list : &one;
	struct window w;
	TRY(window_of(j, a, 1, &w));
	*out = jinja_bool(false, false);
	for (size_t i = 0; i < all->count; i++) {
		if (!which || all->at[i].kind != J_STR)
			return jinja_fail(j, "a string or a tuple of strings expected");
		TRY(jinja_charge(j, all->at[i].text->len / 64 + 1));
		if (!w.beyond && has_edge(&w.text, all->at[i].text, start))
			out->boolean = true;
	}
	return 0;
}

static int str_startswith(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return edge(j, a, true, out);
}

static int str_endswith(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return edge(j, a, false, out);
}

/* removeprefix and removesuffix: the string without s at its start or end, if it is there. */
static int remove_edge(struct jinja *j, const struct jinja_arguments *a, bool start,
		       struct jinja_value *out)
{
	const struct jinja_text *s, *t = a->in.text;
	TRY(jinja_arg_string(j, a, 0, &s));
	TRY(jinja_charge(j, s->len / 64));
	size_t gone = has_edge(t, s, start) ? s->len : 0;
	return jinja_slice(j, t, start ? gone : 0, start ? t->len : t->len - gone, out);
}

static int str_removeprefix(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	return remove_edge(j, a, true, out);
}

static int str_removesuffix(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	return remove_edge(j, a, false, out);
}

/* Before, separator, after; without a separator the whole string goes to the side that was searched
 * first. */
static int partition(struct jinja *j, const struct jinja_arguments *a, bool last,
		     struct jinja_value *out)
{
	const struct jinja_text *s, *t = a->in.text;
	TRY(jinja_arg_string(j, a, 0, &s));
	if (!s->len)
		return jinja_fail(j, "empty separator");
	TRY(jinja_charge(j, last ? find_last_steps(t, s) : t->len / 64));
	size_t at = last ? find_last(t, s) : jinja_find(t, s, 0), absent = last ? 0 : t->len;
	size_t cut[4] = { 0, at == SIZE_MAX ? absent : at, at == SIZE_MAX ? absent : at + s->len,
			  t->len };
	TRY(jinja_list_new(j, J_TUPLE, out));
	for (int i = 0; i < 3; i++) {
		struct jinja_value part;
		TRY(jinja_slice(j, t, cut[i], cut[i + 1], &part));
		TRY(jinja_list_add(j, out->list, part));
	}
	return 0;
}

static int str_partition(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return partition(j, a, false, out);
}

static int str_rpartition(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return partition(j, a, true, out);
}

/* ---- what all characters are ---- */

static bool is_letter(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool is_letter_or_number(uint32_t cp) { return jinja_is_word(cp) && cp != '_'; }

static bool is_plain(uint32_t cp) { return cp < 0x80; }

static bool is_shown(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return cp == ' ' || !(c == UTF8PROC_CATEGORY_CN || c >= UTF8PROC_CATEGORY_ZS);
}

static int every(struct jinja *j, const struct jinja_text *t, bool (*holds)(uint32_t), bool empty,
		 struct jinja_value *out)
{
	bool all = t->len > 0 || empty;
	TRY(jinja_charge(j, t->len / 16));
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		at += (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		all = all && holds(cp);
	}
	*out = jinja_bool(all, false);
	return 0;
}

#define EVERY(name, holds, empty)                                               \
	static int str_##name(struct jinja *j, const struct jinja_arguments *a, \
			      struct jinja_value *out)                          \
	{                                                                       \
		return every(j, a->in.text, holds, empty, out);                 \
	}

EVERY(isspace, jinja_is_space, false)
EVERY(isalpha, is_letter, false)
EVERY(isdecimal, unicode_is_decimal, false)
EVERY(isdigit, unicode_is_digit, false)
EVERY(isnumeric, unicode_is_numeric_or_ideograph, false)
EVERY(isalnum, is_letter_or_number, false)
EVERY(isascii, is_plain, true)
EVERY(isprintable, is_shown, true)

static int str_isidentifier(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	*out = jinja_bool(jinja_is_identifier(a->in.text->bytes, a->in.text->len), false);
	return jinja_charge(j, a->in.text->len / 16);
}

#define HAS_CASE(name, which)                                                       \
	static int str_##name(struct jinja *j, const struct jinja_arguments *a,     \
			      struct jinja_value *out)                              \
	{                                                                           \
		*out = jinja_bool((jinja_cases(a->in.text) & (which)) != 0, false); \
		return jinja_charge(j, a->in.text->len / 16);                       \
	}

HAS_CASE(islower, JINJA_IS_LOWER)
HAS_CASE(isupper, JINJA_IS_UPPER)
HAS_CASE(istitle, JINJA_IS_TITLE)

const struct jinja_callable jinja_methods_search[] = {
	{ "find", str_find, "sub start? end?", 0, NULL },
	{ "rfind", str_rfind, "sub start? end?", 0, NULL },
	{ "index", str_index, "sub start? end?", 0, NULL },
	{ "rindex", str_rindex, "sub start? end?", 0, NULL },
	{ "count", str_count, "sub start? end?", 0, NULL },
	{ "startswith", str_startswith, "prefix start? end?", 0, NULL },
	{ "endswith", str_endswith, "suffix start? end?", 0, NULL },
	{ "removeprefix", str_removeprefix, "prefix", 0, NULL },
	{ "removesuffix", str_removesuffix, "suffix", 0, NULL },
	{ "partition", str_partition, "sep", 0, NULL },
	{ "rpartition", str_rpartition, "sep", 0, NULL },
	{ "isspace", str_isspace, "", 0, NULL },
	{ "isalpha", str_isalpha, "", 0, NULL },
	{ "isdecimal", str_isdecimal, "", 0, NULL },
	{ "isdigit", str_isdigit, "", 0, NULL },
	{ "isnumeric", str_isnumeric, "", 0, NULL },
	{ "isalnum", str_isalnum, "", 0, NULL },
	{ "isascii", str_isascii, "", 0, NULL },
	{ "isprintable", str_isprintable, "", 0, NULL },
	{ "isidentifier", str_isidentifier, "", 0, NULL },
	{ "islower", str_islower, "", 0, NULL },
	{ "isupper", str_isupper, "", 0, NULL },
	{ "istitle", str_istitle, "", 0, NULL },
	{ 0 },
};
