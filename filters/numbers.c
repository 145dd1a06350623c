/* The scanner of numbers: from every start through all shapes, and the judgement of what may be a
 * value. The rules that it follows are those of docs/filters.md, "where a value ends". */
#include "filters/number_scan.h"

#include "base/text.h"

#include <string.h>

static bool symbol(int c) { return byte_digit(c) || byte_letter(c); }

/* ---- grouping */

/* Digits of the group that ends with the symbol at i, counted up to most. */
static unsigned digits_back(struct reader *r, long i, unsigned most)
{
	unsigned n = 0;
	while (n < most && byte_digit(reader_at(r, i - (long)n)))
		n++;
	return n;
}

static unsigned digits_on(struct reader *r, long i, unsigned most)
{
	unsigned n = 0;
	while (n < most && byte_digit(reader_at(r, i + (long)n)))
		n++;
	return n;
}

/* Digits of the group that the same separator joins at the front; 0: none. */
static unsigned joined_front(struct scan *s, enum separator sep)
{
	long before = filter_separator_before(&s->r, s->x.at[0], sep);
	return before < 0 ? 0 : digits_back(&s->r, before, KIND_LENGTH_MAX);
}

static unsigned joined_end(struct scan *s, enum separator sep)
{
	long behind;
	if (filter_separator_read(&s->r, s->x.at[s->x.n - 1] + 1, &behind) != sep)
		return 0;
	return digits_on(&s->r, behind, KIND_LENGTH_MAX);
}

/* The one separator of all groups, or SEP_NONE. */
enum separator filter_number_uniform(const struct writing *x)
{
	enum separator sep = x->groups > 1 ? x->separator[x->group[1]] : SEP_NONE;
	for (unsigned g = 2; g < x->groups; g++)
		if (x->separator[x->group[g]] != sep)
			return SEP_NONE;
	return sep;
}

static bool whole(struct scan *s, enum separator sep)
{
	return joined_front(s, sep) == 0 && joined_end(s, sep) == 0;
}

/* Groups from `from` on have the lengths and separators of the grouping. *wild: the separator that
 * its spaces stand for, *lines: line breaks among them. */
static bool lengths_fit(const struct writing *x, const struct kind_grouping *g, unsigned from,
			enum separator *wild, unsigned *lines)
{
	*wild = SEP_NONE;
	*lines = 0;
	if (from + g->groups > x->groups)
		return false;
	for (unsigned i = 0; i < g->groups; i++) {
		unsigned group = from + i;
		if (group_length(x, group) != g->length[i])
			return false;
		if (i + 1 == g->groups)
			return true;
		enum separator sep = x->separator[x->group[group + 1]];
		if (g->separator[i] != ' ') {
			if (sep != filter_separator_of(g->separator[i]))
				return false;
		} else if (sep == SEP_LINE) {
			++*lines;
		} else if (*wild == SEP_NONE) {
			*wild = sep;
		} else if (sep != *wild) {
			return false;
		}
	}
	return true;
}

static bool grouping_fits(struct scan *s, const struct kind_grouping *g)
{
	enum separator wild;
	unsigned lines;
	if (s->x.groups != g->groups || !lengths_fit(&s->x, g, 0, &wild, &lines))
		return false;
	if (lines > 1 || (lines && !filter_grouping_fours(g)))
		return false;
	if (wild <= SEP_DOT || wild == SEP_LOW_LINE || wild == SEP_MIDDLE_DOT)
		return true;
	/* A colon, the space of a form body, and what parts cells too: only where no further number
	 * is joined. */
	return (wild == SEP_COLON || wild == SEP_PLUS || filter_grouping_fours(g)) &&
	       whole(s, wild);
}

/* Three digits each behind the first group. */
static bool thousands(const struct writing *x)
{
	for (unsigned g = 1; g < x->groups; g++)
		if (group_length(x, g) != 3)
			return false;
	return group_length(x, 0) <= 3;
}

/* Groups of one length, the last perhaps shorter, and no further one of that length joined. */
static bool equal_groups(struct scan *s, enum separator sep)
{
	unsigned length = group_length(&s->x, 0), last = group_length(&s->x, s->x.groups - 1);
	for (unsigned g = 1; g + 1 < s->x.groups; g++)
		if (group_length(&s->x, g) != length)
			return false;
	if (last > length || joined_front(s, sep) == length)
		return false;
	unsigned next = joined_end(s, sep);
	return last < length ? next == 0 : next != length;
}

static bool all_digits(const struct writing *x)
{
	for (unsigned i = 0; i < x->n; i++)
		if (!byte_digit(x->value[i]))
			return false;
	return true;
}

static enum manner manner_of(struct scan *s, const struct number_kind *k)
{
	if (s->x.groups == 1)
		return MANNER_BARE;
	if (k->row->grouped != NEED_NEVER)
		for (uint32_t i = 0; i < k->groupings; i++)
			if (k->grouping[i].symbols == s->x.n && grouping_fits(s, &k->grouping[i]))
				return MANNER_GROUPED;
	enum separator sep = filter_number_uniform(&s->x);
	if (k->row->loose == NEED_NEVER || sep == SEP_NONE)
		return MANNER_NONE;
	if (sep > SEP_SOFT_LAST && !(k->digits && thousands(&s->x)))
		return MANNER_NONE;
	if (sep == SEP_DOT && s->x.groups == 2 && all_digits(&s->x)) /* a decimal */
		return MANNER_NONE;
	/* Among words, a value with letters has no neighbours to tell it from. */
	if (!k->digits || whole(s, sep) || (sep <= SEP_SOFT_LAST && equal_groups(s, sep)))
		return MANNER_LOOSE;
	return MANNER_NONE;
}

/* ---- judging */

enum kind_need filter_number_need(const struct kind *row, enum manner m)
{
	switch (m) {
	case MANNER_BARE:
		return row->bare;
	case MANNER_GROUPED:
		return row->grouped;
	case MANNER_LOOSE:
		return row->loose;
	case MANNER_INSIDE:
		return NEED_NO_VETO;
	case MANNER_NONE:
		break;
	}
	return NEED_NEVER;
}

/* Letters and digits that may as well be a short hash: its letters are small, from a to f. */
static bool like_hash(struct scan *s)
{
	bool letters = false;
	for (unsigned i = 0; i < s->x.n; i++) {
		int c = reader_at(&s->r, s->x.at[i]);
		if (!byte_digit(c) && (c < 'a' || c > 'f'))
			return false;
		letters |= !byte_digit(c);
	}
	return letters;
}

/* 6.62607015e-34: digits, then an exponent. */
static bool exponent(struct scan *s, long to)
{
	const struct writing *x = &s->x;
	for (unsigned i = 0; i + 1 < x->n; i++)
		if (!byte_digit(x->value[i]))
			return i > 0 && x->value[i] == 'E';
	int c = reader_at(&s->r, to);
	return x->value[x->n - 1] == 'E' && (c == '-' || c == '+' || byte_digit(c));
}

bool filter_number_part(struct scan *s, const struct number_kind *k, enum manner m)
{
	long from = s->x.at[0], to = s->x.at[s->x.n - 1] + 1;
	if (m == MANNER_BARE && (all_digits(&s->x) || exponent(s, to)) &&
	    filter_border_fraction(&s->r, from, to))
		return true;
	/* 5.53797317269614 -87.3: the end of one decimal and the beginning of another. */
	if (m == MANNER_LOOSE && k->digits) {
		long first = s->x.at[s->x.group[1] - 1] + 1;
		if (filter_border_fraction(&s->r, from, first) ||
		    (reader_at(&s->r, to) == '.' && byte_digit(reader_at(&s->r, to + 1))))
			return true;
	}
	if (k->digits && filter_border_telephone(&s->r, from, to))
		return true;
	return filter_border_digest(&s->r, from, to) || filter_border_uuid(&s->r, from, to);
}

/* A window of digits inside [0, n) that is grouped as the kind is: it is found at its own start. */
static bool better_inside(struct scan *s, const struct number_kind *k)
{
	struct writing *x = &s->x;
	for (unsigned from = 0; from < x->groups; from++)
		for (uint32_t i = 0; i < k->groupings; i++) {
			const struct kind_grouping *g = &k->grouping[i];
			enum separator wild;
			unsigned lines, first = x->group[from];
			char v[KIND_LENGTH_MAX + 1];
			if (g->symbols >= x->n || !lengths_fit(x, g, from, &wild, &lines))
				continue;
			memcpy(v, x->value + first, g->symbols);
			v[g->symbols] = 0;
			if (!k->row->check || k->row->check(v, g->symbols))
				return true;
		}
	return false;
}

static void set_ends(struct candidate *c, const struct writing *x, const struct kind *row)
{
	c->n = x->n;
	c->end = x->at[x->n - 1] + 1;
	c->head = row->shown_first ? x->at[row->shown_first - 1] + 1 : x->at[0];
	c->tail = row->shown_last ? x->at[x->n - row->shown_last] : c->end;
}

/* The candidate of this kind, or a new one; NULL: there is a better one already. */
struct candidate *filter_number_place(struct scan *s, uint32_t kind, enum manner m)
{
	for (unsigned i = 0; i < s->candidates; i++)
		if (s->candidate[i].kind == kind)
			return m == MANNER_LOOSE && s->candidate[i].manner != MANNER_LOOSE
				       ? NULL
				       : &s->candidate[i];
	if (s->candidates == CANDIDATES)
		return NULL;
	return &s->candidate[s->candidates++];
}

static void judge(struct scan *s, uint32_t kind)
{
	const struct number_kind *k = &s->t->kind[kind];
	enum manner m = manner_of(s, k);
	enum kind_need need = filter_number_need(k->row, m);
	if (need == NEED_NEVER || (k->row->check && !k->row->check(s->x.value, s->x.n)))
		return;
	if (filter_number_part(s, k, m) || (m == MANNER_LOOSE && k->digits && better_inside(s, k)))
		return;
	bool stamp = all_digits(&s->x) && filter_border_stamp(s->x.value, s->x.n);
	if (m == MANNER_BARE && (stamp || (need == NEED_NO_VETO && like_hash(s))))
		need = NEED_WORD;
	struct candidate *c = filter_number_place(s, kind, m);
	if (!c)
		return;
	*c = (struct candidate){ .kind = kind, .manner = m, .need = need };
	set_ends(c, &s->x, k->row);
}

static void judge_all(struct scan *s, const uint64_t *alive, const uint64_t *ends)
{
	uint32_t last = UINT32_MAX;
	s->x.value[s->x.n] = 0;
	for (size_t w = 0; w < s->t->sets; w++)
		for (uint64_t bits = alive[w] & ends[w]; bits; bits &= bits - 1) {
			uint32_t kind = s->t->shape[w * 64 + (size_t)__builtin_ctzll(bits)].kind;
			if (kind != last) /* the shapes of a kind stand together */
				judge(s, kind);
			last = kind;
		}
}

/* ---- walking */

static bool keep_alive(uint64_t *alive, const uint64_t *with, size_t sets)
{
	uint64_t any = 0;
	for (size_t w = 0; w < sets; w++)
		any |= alive[w] &= with[w];
	return any != 0;
}

static void take_symbol(struct writing *x, int c, long at, enum separator sep)
{
	if (x->n == 0 || sep != SEP_NONE)
		x->group[x->groups++] = (uint8_t)x->n;
	x->separator[x->n] = (uint8_t)sep;
	x->at[x->n] = at;
	x->value[x->n++] = (char)(c >= 'a' ? c - 0x20 : c);
}

static const uint64_t *symbols(const struct number_table *t, unsigned n, int c)
{
	return &t->symbol[(n * NUMBER_SYMBOLS + symbol_of(c)) * t->sets];
}

/* Follow the value from `start` and collect candidates, until no shape is alive or the text says
 * no more. */
static void walk(struct scan *s, long start)
{
	const struct number_table *t = s->t;
	uint64_t alive[NUMBER_SETS_MAX];
	int c = reader_at(&s->r, start);
	s->x.n = s->x.groups = s->candidates = 0;
	memcpy(alive, symbols(t, 0, c), t->sets * sizeof *alive);
	if (byte_letter(reader_at(&s->r, start - 1)) && !keep_alive(alive, t->open, t->sets))
		return;
	take_symbol(&s->x, c, start, SEP_NONE);
	for (;;) {
		long at = s->x.at[s->x.n - 1] + 1;
		enum separator sep = SEP_NONE;
		int next = reader_at(&s->r, at);
		if (next < 0 && s->r.touched)
			return;
		if (!byte_digit(next))
			judge_all(s, alive,
				  (byte_letter(next) ? t->ends_open : t->ends) + s->x.n * t->sets);
		if (next >= 0 && !symbol(next)) {
			sep = filter_separator_read(&s->r, at, &at);
			if (sep == SEP_NONE)
				return;
			next = reader_at(&s->r, at);
		}
		if (next < 0 && s->f->cut && s->r.final)
			filter_number_cut(s, alive);
		if (s->x.n == t->length || next < 0)
			return;
		if (!keep_alive(alive, &t->separator[(s->x.n * SEPARATORS + sep) * t->sets],
				t->sets) ||
		    !symbol(next) || !keep_alive(alive, symbols(t, s->x.n, next), t->sets))
			return;
		take_symbol(&s->x, next, at, sep);
	}
}

/* ---- what becomes of candidates */

/* Whether a value that is all of its text may do without a word. Eleven digits have a dozen
 * countries, so that most of such numbers pass some check; four numbers with dots are a version or
 * an address, and groups that nobody writes a date. */
static bool may_stand_alone(struct scan *s, const struct candidate *c, long start)
{
	unsigned digits = 0, dots = 0;
	for (long at = start; at < c->end; at++) {
		digits += byte_digit(reader_at(&s->r, at));
		dots += reader_at(&s->r, at) == '.';
	}
	bool eleven = c->manner == MANNER_BARE && c->end - start == 11 && digits == 11;
	bool version = dots == 3 && (long)digits + (long)dots == c->end - start;
	return c->need == NEED_WORD && c->manner != MANNER_LOOSE && c->evidence == EVIDENCE_NONE &&
	       !eleven && !version;
}

static bool counts(const struct candidate *c, const struct number_rule *rule, bool may_alone,
		   bool *alone)
{
	enum kind_need need = c->need;
	if (rule->context == FILTER_CONTEXT_ALWAYS && need < NEED_WORD)
		need = NEED_WORD;
	*alone = false;
	if (need == NEED_NOTHING)
		return true;
	if (c->evidence == EVIDENCE_OWN)
		return true;
	if (need == NEED_NO_VETO)
		return c->evidence == EVIDENCE_NONE;
	*alone = rule->context == FILTER_CONTEXT_ALONE && may_alone;
	return *alone;
}

static void wait_alone(struct scan *s, const struct number_pending *p)
{
	if (s->state->not_alone)
		return;
	if (s->state->pendings < NUMBER_PENDING) {
		s->state->pending[s->state->pendings++] = *p;
		return;
	}
	s->state->not_alone = true;
	s->state->pendings = 0;
}

static void commit(struct scan *s, const struct candidate *c, long start)
{
	const struct number_kind *k = &s->t->kind[c->kind];
	uint64_t base = s->w->base, end = base + (uint64_t)c->end;
	bool may_alone = may_stand_alone(s, c, start);
	for (uint32_t i = 0; i < k->rules; i++) {
		bool alone;
		if (!counts(c, &k->rule[i], may_alone, &alone))
			continue;
		struct span at = { (size_t)start,   (size_t)c->end, (size_t)c->head,
				   (size_t)c->tail, false,          c->need == NEED_NOTHING };
		if (alone)
			wait_alone(s,
				   &(struct number_pending){ base + at.start, end, base + at.head,
							     base + at.tail, k->rule[i].rule });
		else
			filter_window_found(s->f, s->w, k->rule[i].rule, &at);
		if (end > s->state->covered)
			s->state->covered = end;
		if (c->need == NEED_NOTHING && end > s->state->strong_end)
			s->state->strong_end = end;
	}
}

/* Ask the words, then take all candidates at once: nothing is done while later text may still
 * change something. False: it may. evidence_at: where the words before are read from. */
static bool settle(struct scan *s, long start, long evidence_at)
{
	bool wanted = false;
	for (unsigned i = 0; i < s->candidates && !s->r.touched; i++) {
		struct candidate *c = &s->candidate[i];
		const struct number_kind *k = &s->t->kind[c->kind];
		wanted = c->need != NEED_NOTHING;
		for (uint32_t n = 0; n < k->rules; n++)
			wanted |= k->rule[n].context == FILTER_CONTEXT_ALWAYS;
		if (wanted)
			c->evidence = filter_words_say(&s->context, s->t, &s->r, &s->state->lines,
						       c->kind, evidence_at, c->end);
	}
	if (s->r.touched)
		return false;
	uint64_t strong = s->state->strong_end, base = s->w->base;
	for (unsigned i = 0; i < s->candidates; i++)
		if (base + (uint64_t)s->candidate[i].end > strong)
			commit(s, &s->candidate[i], start);
	return true;
}

/* ---- runs of digits longer than the kind */

/* The first digit of the run that holds i, or the one so far before it as anything looks; -1: the
 * run is shorter than NUMBER_RUN. */
static long long_run(struct scan *s, long i)
{
	unsigned back = digits_back(&s->r, i - 1, NUMBER_HASH);
	return back + digits_on(&s->r, i, NUMBER_RUN) >= NUMBER_RUN ? i - (long)back : -1;
}

static void walk_inside(struct scan *s, long start)
{
	uint64_t alive[NUMBER_SETS_MAX];
	s->x.n = s->x.groups = s->candidates = 0;
	memcpy(alive, s->t->inside, s->t->sets * sizeof *alive);
	for (long at = start;; at++) {
		int c = reader_at(&s->r, at);
		if (!byte_digit(c) || s->x.n == s->t->length ||
		    !keep_alive(alive, symbols(s->t, s->x.n, c), s->t->sets))
			return;
		take_symbol(&s->x, c, at, SEP_NONE);
		s->x.value[s->x.n] = 0;
		if (s->x.n != 15 && s->x.n != 16)
			continue;
		const uint64_t *ends = s->t->ends + s->x.n * s->t->sets;
		for (size_t w = 0; w < s->t->sets; w++)
			for (uint64_t bits = alive[w] & ends[w]; bits; bits &= bits - 1) {
				uint32_t k =
					s->t->shape[w * 64 + (size_t)__builtin_ctzll(bits)].kind;
				const struct kind *row = s->t->kind[k].row;
				if (s->candidates == CANDIDATES ||
				    (row->check && !row->check(s->x.value, s->x.n)))
					continue;
				struct candidate *c2 = &s->candidate[s->candidates++];
				*c2 = (struct candidate){ .kind = k,
							  .manner = MANNER_INSIDE,
							  .need = NEED_NO_VETO };
				set_ends(c2, &s->x, row);
			}
	}
}

static bool decide_inside(struct scan *s, long start)
{
	long run = long_run(s, start);
	if (s->r.touched)
		return false;
	if (run < 0)
		return true;
	walk_inside(s, start);
	if (s->candidates == 0)
		return !s->r.touched;
	long end = start + (long)digits_on(&s->r, start, NUMBER_HASH);
	bool code = byte_letter(reader_at(&s->r, run - 1)) || byte_letter(reader_at(&s->r, end));
	if (code || filter_border_fraction(&s->r, run, end))
		return !s->r.touched;
	return settle(s, start, run);
}

/* ---- starts */

/* False: later text may change what this start gives. */
static bool decide(struct scan *s, long start)
{
	int c = reader_at(&s->r, start), left = reader_at(&s->r, start - 1);
	s->context.made = s->context.header_made = false;
	if (s->t->any_inside && byte_digit(c) && !decide_inside(s, start))
		return false;
	if (byte_digit(left) || (byte_letter(left) && byte_letter(c)))
		return true;
	walk(s, start);
	return !s->r.touched && settle(s, start, start);
}

/* A letter or digit that no value covers: the text is not of values alone. */
static void see_alone(struct number_state *st, const struct reader *r, long i, uint64_t at)
{
	uint32_t cp;
	int n = text_utf8_decode(r->text + i, (size_t)(r->len - i), &cp);
	bool other = n > 0 && filter_view_alnum(cp);
	if (at >= NUMBER_ALONE || (other && at >= st->covered))
		st->not_alone = true;
	if (st->not_alone)
		st->pendings = 0;
}

static void take_pending(struct scan *s)
{
	for (uint32_t i = 0; i < s->state->pendings; i++) {
		const struct number_pending *p = &s->state->pending[i];
		uint64_t b = s->w->base;
		filter_window_found(s->f, s->w, p->rule,
				    &(struct span){ p->start - b, p->end - b, p->head - b,
						    p->tail - b, false, false });
	}
	s->state->pendings = 0;
}

void filter_numbers_scan(struct filter_stream *f, struct window *w, bool final)
{
	struct number_state *st = w->numbers;
	struct scan s; /* large: each start sets what it uses */
	s.t = f->set->numbers;
	s.state = st;
	s.f = f;
	s.w = w;
	long i = (long)(st->cursor - w->base);
	s.r = (struct reader){ .text = w->text.bytes, .len = (long)w->text.len, .final = final };
	st->live = NOWHERE;
	for (; i < s.r.len; i++) {
		unsigned char c = (unsigned char)s.r.text[i];
		s.r.touched = false;
		if (s.t->starts[c] && !decide(&s, i)) {
			st->live = w->base + (uint64_t)i;
			break;
		}
		if (!st->not_alone)
			see_alone(st, &s.r, i, w->base + (uint64_t)i);
		filter_lines_put(&st->lines, c);
	}
	st->cursor = w->base + (uint64_t)i;
	if (final)
		take_pending(&s);
	else if (st->pendings && st->pending[0].start < st->live)
		st->live = st->pending[0].start;
	st->asleep = w->reading != READING_DIRECT && st->pendings == 0 &&
		     filter_window_sleeps(w, NUMBER_BEHIND, st->cursor);
}

/* ---- windows of later readings */

bool filter_numbers_read(const struct filter_stream *f, const struct window *w)
{
	return f->set->numbers && w->view == TEXT_VALUE &&
	       (!w->encodings || f->set->numbers->decodes & w->encodings);
}

void filter_numbers_begin(const struct filter_stream *f, struct window *w)
{
	(void)f;
	if (w->numbers)
		*w->numbers =
			(struct number_state){ .cursor = filter_window_end(w), .live = NOWHERE };
}

/* The window whose scan decides for w, and the first of its places that w's text shares. */
static const struct window *decides(const struct window *w, uint64_t *from)
{
	uint64_t differed = 0;
	for (; w->reading != READING_DIRECT && (!w->awake || !w->numbers || w->numbers->asleep);
	     w--)
		differed = w->differed > differed ? w->differed : differed;
	*from = differed ? filter_window_clear(w, differed, NUMBER_BEHIND) : 0;
	return w;
}

uint64_t filter_numbers_back(const struct filter_stream *f, const struct window *w)
{
	uint64_t from;
	(void)f;
	w = decides(w, &from);
	const struct number_state *st = w->numbers;
	uint64_t at = st->cursor > from ? st->cursor : from;
	if (st->pendings && st->pending[0].start < at)
		at = st->pending[0].start;
	return filter_window_end(w) - at;
}

static uint64_t moved(uint64_t at, uint64_t shift)
{
	bool before = (int64_t)shift < 0 && at < -shift;
	return at == 0 || before ? 0 : at + shift;
}

/* Go on where the window stands that decided so far; what waits there is that window's own. */
void filter_numbers_wake(struct filter_stream *f, struct window *w)
{
	uint64_t from;
	const struct window *d = decides(w, &from);
	struct number_state *st = w->numbers;
	uint64_t shift = filter_window_end(w) - filter_window_end(d);
	(void)f;
	*st = *d->numbers;
	st->cursor = (st->cursor > from ? st->cursor : from) + shift;
	st->strong_end = moved(st->strong_end, shift);
	st->covered = moved(st->covered, shift);
	st->live = NOWHERE;
	st->asleep = false;
	for (uint32_t i = 0; i < st->pendings; i++) {
		struct number_pending *p = &st->pending[i];
		p->start += shift;
		p->end += shift;
		p->head += shift;
		p->tail += shift;
	}
}
