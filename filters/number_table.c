/* Compiling the kinds of a set: shapes side by side, as bits. */
#include "filters/number_read.h"

#include "base/text.h"

#include <string.h>

static int nomem(struct err *e) { return err_set(e, ERR_NOMEM, "out of memory for the kinds"); }

/* ---- names */

static bool named(const struct kind *k, const char *name, size_t len)
{
	return strlen(k->name) == len && memcmp(k->name, name, len) == 0;
}

unsigned filter_kind_version(const char *name)
{
	const struct kind *k;
	unsigned newest = 0;
	for (size_t i = 0; (k = kind_at(i)); i++)
		if (named(k, name, strlen(name)) && k->version > newest)
			newest = k->version;
	return newest;
}

bool filter_kind_is(const struct kind *k, const char *asked)
{
	const char *slash = strchr(asked, '/');
	uint64_t version;
	if (!named(k, asked, slash ? (size_t)(slash - asked) : strlen(asked)))
		return false;
	if (!slash)
		return k->version == filter_kind_version(asked);
	return text_parse_u64(slash + 1, strlen(slash + 1), &version) == 0 && version == k->version;
}

/* ---- kinds */

static int read_groupings(struct number_kind *k, struct arena *a, struct err *e)
{
	size_t most = 1;
	for (const char *c = k->row->groups; c && *c; c++)
		most += *c == '|';
	k->grouping = arena_array(a, most, sizeof *k->grouping);
	if (!k->grouping)
		return nomem(e);
	for (const char *at = k->row->groups; at && *at;)
		TRY(kind_groups(&at, &k->grouping[k->groupings++], e));
	return 0;
}

static int add_kind(struct number_table *t, const struct kind *row, struct arena *a, struct err *e)
{
	struct number_kind *k = &t->kind[t->kinds++];
	k->row = row;
	return read_groupings(k, a, e);
}

/* Kinds in the order of the tables, whatever the order of the rules. */
static int choose_kinds(struct number_table *t, const struct filter_rule *const *rule, size_t rules,
			struct arena *a, struct err *e)
{
	const struct kind *row;
	size_t rows = 0;
	while (kind_at(rows))
		rows++;
	t->kind = arena_array(a, rows + 1, sizeof *t->kind);
	if (!t->kind)
		return nomem(e);
	for (size_t i = 0; (row = kind_at(i)); i++) {
		struct number_kind *k = &t->kind[t->kinds];
		uint32_t users = 0;
		for (size_t r = 0; r < rules; r++)
			users += rule[r]->detector && filter_kind_is(row, rule[r]->detector);
		if (!users)
			continue;
		k->rule = arena_array(a, users, sizeof *k->rule);
		if (!k->rule)
			return nomem(e);
		for (uint32_t r = 0; r < rules; r++)
			if (rule[r]->detector && filter_kind_is(row, rule[r]->detector))
				k->rule[k->rules++] = (struct number_rule){ r, rule[r]->context };
		TRY(add_kind(t, row, a, e));
	}
	return 0;
}

/* ---- shapes */

struct shapes {
	struct kind_shape *shape;
	uint32_t *kind;
	size_t count, room;
};

static int add_shapes(struct shapes *all, struct number_table *t, uint32_t kind, struct arena *a,
		      struct err *e)
{
	size_t n;
	if (all->room - all->count < KIND_SHAPES_MAX) {
		size_t room = all->room * 2 + KIND_SHAPES_MAX;
		struct kind_shape *shape = arena_array(a, room, sizeof *shape);
		uint32_t *kinds = arena_array(a, room, sizeof *kinds);
		if (!shape || !kinds)
			return nomem(e);
		if (all->count) {
			memcpy(shape, all->shape, all->count * sizeof *shape);
			memcpy(kinds, all->kind, all->count * sizeof *kinds);
		}
		*all = (struct shapes){ shape, kinds, all->count, room };
	}
	if (kind_form(t->kind[kind].row->form, &all->shape[all->count], &n, e) < 0)
		return err_prefix(e, "detector %s", t->kind[kind].row->name);
	t->kind[kind].digits = true;
	for (size_t i = all->count; i < all->count + n; i++) {
		all->kind[i] = kind;
		for (unsigned k = 0; k < all->shape[i].most; k++)
			t->kind[kind].digits &= all->shape[i].at[k] < 1u << 10;
		if (all->shape[i].most > t->length)
			t->length = all->shape[i].most;
	}
	all->count += n;
	return 0;
}

static void put(uint64_t *sets, size_t shape) { sets[shape / 64] |= UINT64_C(1) << (shape % 64); }

static void put_symbols(struct number_table *t, const struct kind_shape *s, size_t shape)
{
	for (unsigned i = 0; i < s->most; i++)
		for (unsigned c = 0; c < NUMBER_SYMBOLS; c++) {
			unsigned bit = c < 36 ? c : c - 26;
			if (s->at[i] >> bit & 1 && !(c >= 36 && s->capitals))
				put(&t->symbol[(i * NUMBER_SYMBOLS + c) * t->sets], shape);
		}
	for (unsigned n = s->least; n <= s->most; n++) {
		put(&t->ends[n * t->sets], shape);
		if (s->at[n - 1] < 1u << 10)
			put(&t->ends_open[n * t->sets], shape);
	}
	if (s->at[0] < 1u << 10)
		put(t->open, shape);
}

static void put_separator(struct number_table *t, unsigned before, enum separator s, size_t shape)
{
	put(&t->separator[(before * SEPARATORS + s) * t->sets], shape);
}

bool filter_grouping_fours(const struct kind_grouping *g)
{
	for (unsigned i = 0; i + 1 < g->groups; i++)
		if (g->length[i] != 4 || g->separator[i] != ' ')
			return false;
	return g->length[g->groups - 1] <= 4;
}

static void put_grouping(struct number_table *t, const struct kind_grouping *g, size_t shape)
{
	unsigned before = 0, last = filter_grouping_fours(g) ? SEPARATORS - 1 : SEP_SOFT_LAST;
	for (unsigned i = 0; i + 1 < g->groups; i++) {
		before += g->length[i];
		if (g->separator[i] != ' ')
			put_separator(t, before, filter_separator_of(g->separator[i]), shape);
		for (unsigned s = 1; g->separator[i] == ' ' && s <= last; s++)
			put_separator(t, before, (enum separator)s, shape);
		if (g->separator[i] == ' ')
			put_separator(t, before, SEP_PLUS, shape);
	}
}

static void put_separators(struct number_table *t, const struct number_kind *k,
			   const struct kind_shape *s, size_t shape)
{
	for (unsigned i = 1; i < s->most; i++) {
		put_separator(t, i, SEP_NONE, shape);
		if (k->row->loose == NEED_NEVER)
			continue;
		for (unsigned sep = 1; sep <= SEP_SOFT_LAST; sep++)
			put_separator(t, i, (enum separator)sep, shape);
		if (k->digits) { /* thousands marks */
			put_separator(t, i, SEP_COMMA, shape);
			put_separator(t, i, SEP_APOSTROPHE, shape);
		}
	}
	for (uint32_t g = 0; k->row->grouped != NEED_NEVER && g < k->groupings; g++)
		if (k->grouping[g].symbols >= s->least && k->grouping[g].symbols <= s->most)
			put_grouping(t, &k->grouping[g], shape);
}

static void put_starts(struct number_table *t)
{
	for (unsigned c = 0; c < NUMBER_SYMBOLS; c++) {
		char byte = (char)(c < 10 ? '0' + c : c < 36 ? 'A' + c - 10 : 'a' + c - 36);
		for (size_t w = 0; w < t->sets; w++)
			t->starts[(unsigned char)byte] |= t->symbol[c * t->sets + w] != 0;
	}
}

static int make_sets(struct number_table *t, struct arena *a, struct err *e)
{
	t->sets = (t->shapes + 63) / 64;
	if (t->sets > NUMBER_SETS_MAX)
		return err_set(e, ERR_INPUT, "too many kinds in one set: %zu shapes", t->shapes);
	size_t n = t->length + 1;
	t->symbol = arena_array(a, n * NUMBER_SYMBOLS * t->sets, sizeof *t->symbol);
	t->separator = arena_array(a, n * SEPARATORS * t->sets, sizeof *t->separator);
	t->ends = arena_array(a, n * t->sets, sizeof *t->ends);
	t->ends_open = arena_array(a, n * t->sets, sizeof *t->ends_open);
	t->open = arena_array(a, t->sets, sizeof *t->open);
	t->inside = arena_array(a, t->sets, sizeof *t->inside);
	t->shape = arena_array(a, t->shapes, sizeof *t->shape);
	return t->symbol && t->separator && t->ends && t->ends_open && t->open && t->inside &&
			       t->shape
		       ? 0
		       : nomem(e);
}

static int compile(struct number_table *t, struct arena *a, struct arena *scratch, struct err *e)
{
	struct shapes all = { 0 };
	for (uint32_t k = 0; k < t->kinds; k++)
		TRY(add_shapes(&all, t, k, scratch, e));
	t->shapes = all.count;
	TRY(make_sets(t, a, e));
	for (size_t i = 0; i < all.count; i++) {
		const struct number_kind *k = &t->kind[all.kind[i]];
		t->shape[i] =
			(struct number_shape){ all.kind[i], all.shape[i].least, all.shape[i].most };
		put_symbols(t, &all.shape[i], i);
		put_separators(t, k, &all.shape[i], i);
		if (k->row->inside)
			put(t->inside, i);
		t->any_inside |= k->row->inside;
	}
	put_starts(t);
	return filter_words_build(t, a, e);
}

int filter_numbers_build(struct number_table **out, const struct filter_rule *const *rule,
			 size_t rules, struct arena *a, struct err *e)
{
	struct arena scratch = { 0 };
	struct number_table *t = arena_array(a, 1, sizeof *t);
	*out = NULL;
	if (!t)
		return nomem(e);
	TRY(choose_kinds(t, rule, rules, a, e));
	if (t->kinds == 0)
		return 0;
	int rc = compile(t, a, &scratch, e);
	arena_free(&scratch);
	if (rc == 0)
		*out = t;
	return rc;
}

void filter_numbers_free(struct number_table *t)
{
	if (t)
		filter_automaton_free(t->words);
}

static bool any_alone(const struct number_table *t)
{
	for (size_t k = 0; k < t->kinds; k++)
		for (uint32_t i = 0; i < t->kind[k].rules; i++)
			if (t->kind[k].rule[i].context == FILTER_CONTEXT_ALONE)
				return true;
	return false;
}

/* A symbol takes four code points at most, with the separator before it; a line break between
 * groups of four three more. Behind the value a start looks at words, a further group and the rest
 * of a digest. What may be all of a text waits for as much of it as "alone" allows. */
uint32_t filter_numbers_width(const struct number_table *t)
{
	return t->length * 4 + 32 + NUMBER_HASH + (any_alone(t) ? NUMBER_ALONE : 0);
}
