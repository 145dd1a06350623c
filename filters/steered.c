/* Texts whose form the client chose: a regular expression, a grammar or a schema had the model
 * write a number with a separator that no one uses, between digits that are none of it, or with
 * another digit last. So besides what every text is looked at for:
 *
 *   - groups of one length with one separator between them, whatever it is, are one number, and
 *     values of 13 symbols and more are found anywhere inside it;
 *   - where the form says what stands in a value (shaped), it counts also if it lacks its last
 *     symbol or has a wrong one: whoever knows the rule of the check has the right one.
 *
 * In JSON that is said of what stands in one string. Lists of numbers are common there, so the
 * values of a list are groups only if they are single digits, or the form is such a one and nothing
 * is lacking or wrong; and longer runs of digits alone, which may be ids, are searched inside only
 * in such a form. Only kinds that need no word: those of a bank, mostly. A client may have values
 * written in ways that this does not read: docs/trust.md. */
#include "filters/number_scan.h"

#include <stdlib.h>
#include <string.h>

#define KEPT          KIND_LENGTH_MAX
#define GROUP_MAX     8  /* symbols of a group beside others */
#define SEPARATOR_MAX 4  /* characters */
#define WINDOW_LEAST  13 /* of shorter numbers too many pass a check by chance */
#define NEAR_LEAST    12

struct steered_symbol {
	uint64_t start, end; /* raw */
	char c;
};

/* A run of groups. */
struct steered {
	struct steered_symbol symbol[KEPT]; /* its last n symbols */
	unsigned n, total;
	unsigned groups, group, last; /* how many; length of the first ones, and of this one */
	uint32_t separator[SEPARATOR_MAX], now[SEPARATOR_MAX]; /* between them, and since */
	unsigned separators, nows, noise;
	bool listed, now_listed; /* they part values of JSON */
};

size_t filter_steered_bound(void)
{
	return (size_t)KEPT * (1 + SEPARATOR_MAX) * 4 * (1 + VIEW_NOISE_MAX);
}

struct steered *filter_steered_open(void) { return calloc(1, sizeof(struct steered)); }

/* ---- judging */

static void alive_after(const struct number_table *t, const char *v, unsigned n, uint64_t *alive)
{
	memset(alive, 0xFF, t->sets * sizeof *alive);
	for (unsigned i = 0; i < n; i++) {
		const uint64_t *with = &t->symbol[(i * NUMBER_SYMBOLS + symbol_of(v[i])) * t->sets];
		for (size_t w = 0; w < t->sets; w++)
			alive[w] &= with[w];
	}
}

static bool allows(const struct number_table *t, size_t shape, unsigned at, char c)
{
	const uint64_t *sets = &t->symbol[(at * NUMBER_SYMBOLS + symbol_of(c)) * t->sets];
	return sets[shape / 64] >> (shape % 64) & 1;
}

/* Whether some last symbol makes v[0..n) pass. */
static bool completes(const struct number_table *t, size_t shape, char *v, unsigned n,
		      kind_check *check)
{
	static const char all[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	for (const char *c = all; *c; c++) {
		v[n - 1] = *c;
		if (allows(t, shape, n - 1, *c) && check(v, n))
			return true;
	}
	return false;
}

/* Symbols [from, from + n) are a value of a kind, or most of one. */
static void found(struct filter_stream *f, const struct number_kind *k, unsigned from, unsigned n,
		  bool most)
{
	const struct steered_symbol *s = f->steered->symbol + from;
	unsigned first = k->row->shown_first, last = most ? 0 : k->row->shown_last;
	struct match m = { .start = s[0].start, .end = s[n - 1].end };
	m.head = first && first <= n ? s[first - 1].end : m.start;
	m.tail = last && last <= n ? s[n - last].start : m.end;
	for (uint32_t i = 0; i < k->rules; i++) {
		m.rule = k->rule[i].rule;
		if (k->rule[i].context != FILTER_CONTEXT_ALWAYS)
			filter_match_add(f, &m);
	}
}

static bool wanted(const struct number_kind *k, unsigned n)
{
	return k->row->check && k->row->bare <= NEED_NO_VETO && (n >= WINDOW_LEAST || !k->digits);
}

/* Symbols [from, from + n); near: all of a run, which may lack its last symbol or have a wrong
 * one. */
static void judge(struct filter_stream *f, unsigned from, unsigned n, bool near)
{
	const struct number_table *t = f->set->numbers;
	uint64_t alive[NUMBER_SETS_MAX];
	char as[KEPT + 2], v[KEPT + 2];
	if (n - near > t->length)
		return;
	for (unsigned i = 0; i < n; i++) {
		as[i] = f->steered->symbol[from + i].c;
		v[i] = (char)(as[i] >= 'a' ? as[i] - 0x20 : as[i]);
	}
	v[n] = 0;
	alive_after(t, as, near ? n - 1 : n, alive);
	for (size_t shape = 0; shape < t->shapes; shape++) {
		const struct number_shape *sh = &t->shape[shape];
		const struct number_kind *k = &t->kind[sh->kind];
		bool whole = n >= sh->least && n <= sh->most;
		bool longer = near && n + 1 >= sh->least && n + 1 <= sh->most;
		if (!(alive[shape / 64] >> (shape % 64) & 1) || !wanted(k, n + near))
			continue;
		char last = v[n - 1];
		bool passes = whole && allows(t, shape, n - 1, as[n - 1]) && k->row->check(v, n);
		bool most = !passes && whole && near && completes(t, shape, v, n, k->row->check);
		v[n - 1] = last;
		v[n + 1] = 0;
		most |= !passes && longer && allows(t, shape, n - 1, as[n - 1]) &&
			completes(t, shape, v, n + 1, k->row->check);
		v[n] = 0;
		if (passes || most)
			found(f, k, from, n, most);
	}
}

static unsigned digits_in(const struct steered *st, unsigned from)
{
	unsigned n = 0;
	for (unsigned i = from; i < st->n; i++)
		n += st->symbol[i].c >= '0' && st->symbol[i].c <= '9';
	return n;
}

/* Values that end with the symbol that came last. */
static void windows(struct filter_stream *f)
{
	struct steered *st = f->steered;
	if (st->listed || (f->json && !f->shaped && st->groups == 1))
		return;
	if (st->n < WINDOW_LEAST || digits_in(st, st->n - WINDOW_LEAST) < WINDOW_LEAST - 4)
		return;
	for (unsigned from = 0; from + WINDOW_LEAST <= st->n; from++)
		judge(f, from, st->n - from, false);
}

/* The run is over behind its first n symbols. */
static void end_run(struct filter_stream *f, unsigned n)
{
	const struct steered *st = f->steered;
	bool digits = st->group == 1 && st->last <= 1, list = st->groups > 1 && st->listed;
	if (st->total != st->n || n < NEAR_LEAST || digits_in(st, 0) < NEAR_LEAST - 4)
		return;
	if (!list || digits || f->shaped)
		judge(f, 0, n, f->shaped && (!list || digits));
}

/* ---- runs */

/* Forget all but the last n symbols. */
static void keep_last(struct steered *st, unsigned n)
{
	memmove(st->symbol, st->symbol + st->n - n, n * sizeof *st->symbol);
	st->n = st->total = n;
}

static bool same_separator(const struct steered *st)
{
	return st->nows == st->separators && st->now_listed == st->listed &&
	       memcmp(st->now, st->separator, st->nows * sizeof *st->now) == 0;
}

static void set_separator(struct steered *st)
{
	memcpy(st->separator, st->now, sizeof st->now);
	st->separators = st->nows;
	st->listed = st->now_listed;
	st->group = st->last;
	st->groups = 2;
	st->last = 0;
}

/* A symbol behind a separator. */
static void next_group(struct filter_stream *f)
{
	struct steered *st = f->steered;
	if (st->last > GROUP_MAX) {
		end_run(f, st->n);
		*st = (struct steered){ .groups = 1 };
	} else if (st->groups == 1) {
		set_separator(st);
	} else if (st->last == st->group && same_separator(st)) {
		st->groups++;
		st->last = 0;
	} else {
		end_run(f, st->n);
		keep_last(st, st->last);
		set_separator(st);
	}
	st->nows = 0;
	st->now_listed = false;
}

/* This group is longer than the ones before: it begins a run of its own. */
static void long_group(struct filter_stream *f)
{
	struct steered *st = f->steered;
	end_run(f, st->n - st->last);
	keep_last(st, st->last);
	st->groups = 1;
	st->listed = false;
}

static void put_symbol(struct filter_stream *f, char c, const struct sign *s)
{
	struct steered *st = f->steered;
	if (st->groups == 0)
		*st = (struct steered){ .groups = 1 };
	else if (st->nows)
		next_group(f);
	else if (st->groups > 1 && st->last == st->group)
		long_group(f);
	if (st->n == KEPT)
		memmove(st->symbol, st->symbol + 1, --st->n * sizeof *st->symbol);
	st->symbol[st->n++] = (struct steered_symbol){ s->start, s->end, c };
	st->total++;
	st->last++;
	st->noise = 0;
	windows(f);
}

static void put_separator(struct filter_stream *f, uint32_t cp, bool in_text)
{
	struct steered *st = f->steered;
	if (st->groups == 0)
		return;
	st->now_listed |= !in_text;
	if (st->nows < SEPARATOR_MAX) {
		st->now[st->nows++] = cp;
		return;
	}
	end_run(f, st->n);
	*st = (struct steered){ 0 };
}

void filter_steered_put(struct filter_stream *f, const struct sign *s, bool in_text)
{
	struct fold fold = { .cp = { s->cp }, .n = 1 };
	if (s->cp >= 0x80)
		filter_view_fold(VIEW_VALUE, s->cp, &fold);
	for (int i = 0; i < fold.n; i++) {
		uint32_t c = fold.cp[i];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			put_symbol(f, (char)c, s);
		else
			put_separator(f, c, in_text);
	}
	if (fold.n == 0 && f->steered->groups && ++f->steered->noise > VIEW_NOISE_MAX)
		filter_steered_finish(f);
}

void filter_steered_finish(struct filter_stream *f)
{
	if (f->steered->groups)
		end_run(f, f->steered->n);
	*f->steered = (struct steered){ 0 };
}

uint64_t filter_steered_hold(const struct filter_stream *f)
{
	return f->steered && f->steered->groups ? f->steered->symbol[0].start : NOWHERE;
}
