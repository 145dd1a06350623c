/* Literals: every code point goes through each view's fold into its automata. */
#include "filters/stream.h"

#include <stdlib.h>

static int feed_open(struct feed *feed, const struct automaton *a, enum view v, uint32_t gap_max)
{
	feed->automaton = a;
	feed->view = v;
	feed->gap_max = gap_max;
	for (feed->ring = 1; feed->ring < filter_automaton_longest(a); feed->ring *= 2)
		;
	feed->start = calloc(feed->ring, sizeof *feed->start);
	feed->made = calloc(feed->ring, sizeof *feed->made);
	return feed->start && feed->made ? 0 : ERR_NOMEM;
}

static int feed_add(struct filter_stream *f, enum source s, const struct automaton *a, enum view v,
		    uint32_t gap_max)
{
	struct feed *feed = &f->feed[s][f->feeds[s]++];
	feed->twin = f->feeds[SOURCE_DIRECT] - 1;
	return feed_open(feed, a, v, gap_max);
}

/* The encodings that a source decodes; 0: none, it is the text or hidden in it. */
static uint32_t encodings_of(const struct filter_stream *f, enum source s)
{
	if (s >= SOURCE_RUNS)
		return f->run[s - SOURCE_RUNS].encoding;
	return s == SOURCE_DECODED ? filter_decode_of(READING_MAIL) : 0;
}

static bool wanted(const struct filter_stream *f, const struct group *g, enum source s)
{
	uint32_t encodings = encodings_of(f, s);
	return encodings ? g->decodes & encodings
			 : s == SOURCE_DIRECT || g->fold == FILTER_FOLD_STRICT;
}

static int group_feeds(struct filter_stream *f, const struct group *g)
{
	bool strict = g->fold == FILTER_FOLD_STRICT;
	enum view v = strict ? VIEW_STRICT_A : g->fold == FILTER_FOLD_CASE ? VIEW_CASE : VIEW_RAW;
	for (int s = 0; s < SOURCES; s++)
		if (wanted(f, g, (enum source)s))
			TRY(feed_add(f, (enum source)s, s == SOURCE_REVERSED ? g->a_reversed : g->a,
				     v, g->gap_max));
	for (int s = 0; strict && s < SOURCES; s++)
		if (wanted(f, g, (enum source)s))
			TRY(feed_add(f, (enum source)s, s == SOURCE_REVERSED ? g->b_reversed : g->b,
				     VIEW_STRICT_B, g->gap_max));
	return 0;
}

int filter_feeds_open(struct filter_stream *f)
{
	size_t each = 2 * f->set->groups;
	f->all_feeds = calloc(SOURCES * each + 1, sizeof *f->all_feeds);
	if (!f->all_feeds)
		return ERR_NOMEM;
	for (int s = 0; s < SOURCES; s++)
		f->feed[s] = f->all_feeds + (size_t)s * each;
	for (size_t i = 0; i < f->set->groups; i++)
		TRY(group_feeds(f, &f->set->group[i]));
	return 0;
}

void filter_feeds_close(struct filter_stream *f)
{
	for (int s = 0; s < SOURCES; s++) {
		for (size_t i = 0; i < f->feeds[s]; i++) {
			free(f->feed[s][i].start);
			free(f->feed[s][i].made);
		}
	}
	free(f->all_feeds);
}

static uint32_t slot(const struct feed *feed, uint32_t back)
{
	return (uint32_t)(feed->count - back) & (feed->ring - 1);
}

void filter_feed_found(struct filter_stream *f, const struct feed *feed, uint32_t rule,
		       uint32_t chars, uint64_t end)
{
	uint64_t start = feed->start[slot(feed, chars)];
	uint8_t made = 0;
	for (uint32_t k = 1; k <= chars; k++)
		made |= feed->made[slot(feed, k)];
	if (!(made & ~f->set->rule[rule].decode))
		filter_match_add(f, &(struct match){ .start = start,
							.end = end,
							.head = start,
							.tail = end,
							.rule = rule });
}

static void accept(struct filter_stream *f, const struct feed *feed, uint64_t end)
{
	uint32_t it = 0, rule, chars;
	while (filter_automaton_next_match(feed->automaton, feed->state, &it, &rule, &chars))
		filter_feed_found(f, feed, rule, chars, end);
}

static void keep(struct filter_stream *f, struct feed *feed, uint32_t cp, const struct sign *s)
{
	feed->start[slot(feed, 0)] = s->start;
	feed->made[slot(feed, 0)] = s->made;
	feed->count++;
	feed->separators = feed->noise = 0;
	feed->state = filter_automaton_step(feed->automaton, feed->state, cp);
	if (feed->state)
		accept(f, feed, s->end);
}

/* Count what is dropped: after more than the gap allows, no match that began earlier can go on. */
static void drop(struct feed *feed, unsigned separators, unsigned noise)
{
	feed->separators += separators;
	feed->noise += noise;
	if (feed->separators > feed->gap_max || feed->noise > VIEW_NOISE_MAX)
		feed->state = 0;
}

static void feed_put(struct filter_stream *f, struct feed *feed, const struct fold *fold,
		     const struct sign *s, bool backwards)
{
	if (fold->n == 0 && feed->state) {
		bool noise = filter_view_noise(s->cp);
		drop(feed, !noise, noise ? DECODE_NOISE(s->to - s->from) : 0);
	}
	for (int i = 0; i < fold->n; i++)
		keep(f, feed, fold->cp[backwards ? fold->n - 1 - i : i], s);
}

void filter_source_sign(struct filter_stream *f, enum source s, const struct sign *sign)
{
	struct fold fold[VIEWS];
	bool have[VIEWS] = { false };
	for (size_t i = 0; i < f->feeds[s]; i++) {
		struct feed *feed = &f->feed[s][i];
		if (!have[feed->view])
			filter_view_fold(feed->view, sign->cp, &fold[feed->view]);
		have[feed->view] = true;
		feed_put(f, feed, &fold[feed->view], sign, s == SOURCE_REVERSED);
	}
}

void filter_source_put(struct filter_stream *f, enum source s, const struct place *p)
{
	filter_source_sign(f, s,
			   &(struct sign){
				   .cp = p->cp, .to = 1, .start = p->start, .end = p->end });
}

void filter_source_reset(struct filter_stream *f, enum source s)
{
	for (size_t i = 0; i < f->feeds[s]; i++)
		f->feed[s][i].state = 0;
}

/* ---- the decoded source: it has states of its own only where they differ from the direct one's */

static void twin_copy(struct feed *to, const struct feed *from)
{
	to->state = from->state;
	to->separators = from->separators;
	to->noise = from->noise;
	to->count = from->count;
	uint32_t live = filter_automaton_live(from->automaton, from->state);
	for (uint32_t k = 1; k <= live; k++) {
		to->start[slot(to, k)] = from->start[slot(from, k)];
		to->made[slot(to, k)] = 0;
	}
}

static bool twin_same(const struct feed *a, const struct feed *b)
{
	if (a->state != b->state ||
	    (a->state && (a->separators != b->separators || a->noise != b->noise)))
		return false;
	uint32_t live = filter_automaton_live(a->automaton, a->state);
	for (uint32_t k = 1; k <= live; k++)
		if (a->start[slot(a, k)] != b->start[slot(b, k)] || a->made[slot(a, k)])
			return false;
	return true;
}

void filter_feeds_part(struct filter_stream *f)
{
	for (size_t i = 0; !f->feeds_parted && i < f->feeds[SOURCE_DECODED]; i++) {
		struct feed *feed = &f->feed[SOURCE_DECODED][i];
		twin_copy(feed, &f->feed[SOURCE_DIRECT][feed->twin]);
	}
	f->feeds_parted = f->feeds[SOURCE_DECODED] > 0;
}

static void feeds_join(struct filter_stream *f)
{
	for (size_t i = 0; i < f->feeds[SOURCE_DECODED]; i++) {
		const struct feed *feed = &f->feed[SOURCE_DECODED][i];
		if (!twin_same(feed, &f->feed[SOURCE_DIRECT][feed->twin]))
			return;
	}
	f->feeds_parted = false;
}

void filter_feeds_put(struct filter_stream *f, enum reading r, const struct sign *s)
{
	if (r == READING_DIRECT)
		filter_source_sign(f, SOURCE_DIRECT, s);
	if (r != READING_MAIL || !f->feeds_parted)
		return;
	filter_source_sign(f, SOURCE_DECODED, s);
	feeds_join(f);
}

void filter_feeds_drop(struct filter_stream *f, enum reading r, unsigned weight)
{
	for (size_t i = 0; r == READING_MAIL && i < f->feeds[SOURCE_DECODED]; i++)
		drop(&f->feed[SOURCE_DECODED][i], 0, weight);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t filter_feeds_hold(const struct filter_stream *f)
{
	uint64_t hold = NOWHERE;
	for (int s = 0; s < SOURCES; s++)
		for (size_t i = 0; i < f->feeds[s]; i++) {
			const struct feed *feed = &f->feed[s][i];
			if (s == SOURCE_DECODED && !f->feeds_parted)
				break;
			if (feed->state == 0)
				continue;
			uint32_t live = filter_automaton_live(feed->automaton, feed->state);
			if (live)
				hold = least(hold, feed->start[slot(feed, live)]);
		}
	if (f->hidden.n)
		hold = least(hold, f->hidden.start);
	return least(hold, f->hidden.lead);
}
