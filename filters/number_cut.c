/* Values cut short. Where the writer of a text did not choose its end, the client may have: it
 * asked for so many tokens, or forced a form. So what reaches that end and lacks at most three
 * symbols of a kind that has a check counts as a value if some symbols make it one: whoever knows
 * the rule of the check has them in a thousand tries, and one missing check digit in none. Its
 * issuer, country, date or whatever else the check knows must be right, so that most numbers at an
 * end stay. Kinds without check stay too: nothing tells which of the endings is meant.
 *
 * Where more is missing, half of a value counts as it: the client may ask again for a few tokens
 * more or less, and what a mask leaves readable of the whole, its end, goes with any front that is
 * longer than what the mask shows. */
#include "filters/number_scan.h"

#include <string.h>

#define MISSING_MAX 3u
#define LEAST 6u        /* symbols that have come */
#define TRIES_MAX 2000u /* endings that are tried */

static bool allows(const struct number_table *t, size_t shape, unsigned at, unsigned symbol)
{
	const uint64_t *sets = &t->symbol[(at * NUMBER_SYMBOLS + symbol) * t->sets];
	return sets[shape / 64] >> (shape % 64) & 1;
}

static unsigned endings(const struct number_table *t, size_t shape, unsigned from, unsigned to)
{
	unsigned product = 1;
	for (unsigned i = from; i < to && product <= TRIES_MAX; i++) {
		unsigned n = 0;
		for (unsigned c = 0; c < 36; c++)
			n += allows(t, shape, i, c);
		product *= n;
	}
	return product;
}

/* Whether v[0..from) has an ending up to `to` that passes the check. */
static bool completes(const struct number_table *t, size_t shape, char *v, unsigned from,
		      unsigned to, kind_check *check)
{
	unsigned at = from, digit[MISSING_MAX] = { 0 };
	v[to] = 0;
	for (;;) {
		if (at == to) {
			if (check(v, to))
				return true;
			at--;
			digit[at - from]++;
			continue;
		}
		unsigned *c = &digit[at - from];
		while (*c < 36 && !allows(t, shape, at, *c))
			++*c;
		if (*c < 36) {
			v[at] = (char)(*c < 10 ? '0' + *c : 'A' + *c - 10);
			if (++at < to)
				digit[at - from] = 0;
			continue;
		}
		if (at == from)
			return false;
		at--;
		digit[at - from]++;
	}
}

/* Of long endings some pass every check. */
static bool may_end(const struct number_table *t, size_t shape, char *v, unsigned from, unsigned to,
		    kind_check *check)
{
	return to - from > MISSING_MAX || endings(t, shape, from, to) > TRIES_MAX ||
	       completes(t, shape, v, from, to, check);
}

/* The groups so far begin this grouping. */
static bool begins(const struct writing *x, const struct kind_grouping *g)
{
	enum separator wild = SEP_NONE;
	if (x->groups > g->groups)
		return false;
	for (unsigned i = 0; i < x->groups; i++) {
		unsigned n = group_length(x, i);
		if (i + 1 == x->groups)
			return n <= g->length[i];
		enum separator sep = x->separator[x->group[i + 1]];
		if (n != g->length[i])
			return false;
		if (g->separator[i] != ' ') {
			if (sep != filter_separator_of(g->separator[i]))
				return false;
			continue;
		}
		if (wild != SEP_NONE && sep != wild)
			return false;
		wild = sep;
	}
	return false;
}

static enum manner manner_so_far(const struct writing *x, const struct number_kind *k,
				 unsigned length)
{
	for (uint32_t i = 0; k->row->grouped != NEED_NEVER && i < k->groupings; i++)
		if (k->grouping[i].symbols == length && begins(x, &k->grouping[i]))
			return MANNER_GROUPED;
	if (x->groups == 1)
		return MANNER_BARE;
	enum separator sep = filter_number_uniform(x);
	/* Letters in front of a number are mostly a word: "is 4539". */
	return k->digits && sep != SEP_NONE && sep <= SEP_SOFT_LAST ? MANNER_LOOSE : MANNER_NONE;
}

static void cut_shape(struct scan *s, size_t shape)
{
	const struct number_shape *sh = &s->t->shape[shape];
	const struct number_kind *k = &s->t->kind[sh->kind];
	struct writing *x = &s->x;
	char v[KIND_LENGTH_MAX + 1];
	memcpy(v, x->value, x->n);
	for (unsigned to = x->n + 1; to <= sh->most && to <= 2 * x->n; to++) {
		enum manner m = to < sh->least ? MANNER_NONE : manner_so_far(x, k, to);
		enum kind_need need = filter_number_need(k->row, m);
		if (need == NEED_NEVER || !may_end(s->t, shape, v, x->n, to, k->row->check) ||
		    filter_number_part(s, k, m))
			continue;
		for (unsigned i = 0; i < s->candidates; i++)
			if (s->candidate[i].kind == sh->kind) {
				/* A value as it stands; but its last digits may be its middle. */
				s->candidate[i].tail = s->candidate[i].end;
				return;
			}
		struct candidate *c = filter_number_place(s, sh->kind, m);
		if (!c)
			return;
		long end = x->at[x->n - 1] + 1;
		*c = (struct candidate){ .kind = sh->kind, .manner = m, .need = need, .n = x->n };
		c->end = c->tail = end;
		unsigned first = k->row->shown_first < x->n ? k->row->shown_first : x->n;
		c->head = first ? x->at[first - 1] + 1 : x->at[0];
		return;
	}
}

void filter_number_cut(struct scan *s, const uint64_t *alive)
{
	if (s->x.n < LEAST)
		return;
	for (size_t w = 0; w < s->t->sets; w++)
		for (uint64_t bits = alive[w]; bits; bits &= bits - 1) {
			size_t shape = w * 64 + (size_t)__builtin_ctzll(bits);
			if (s->t->kind[s->t->shape[shape].kind].row->check)
				cut_shape(s, shape);
		}
}
