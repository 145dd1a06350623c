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
	return feed->start ? 0 : ERR_NOMEM;
}

static int group_feeds(struct filter_stream *f, const struct group *g)
{
	if (g->fold != FILTER_FOLD_STRICT)
		return feed_open(&f->feed[SOURCE_DIRECT][f->direct_feeds++], g->a,
				 g->fold == FILTER_FOLD_CASE ? VIEW_CASE : VIEW_RAW, 0);
	for (int s = 0; s < SOURCES; s++) {
		size_t at = s == SOURCE_DIRECT ? f->direct_feeds : f->feeds;
		const struct automaton *a = s == SOURCE_REVERSED ? g->a_reversed : g->a;
		const struct automaton *b = s == SOURCE_REVERSED ? g->b_reversed : g->b;
		TRY(feed_open(&f->feed[s][at], a, VIEW_STRICT_A, g->gap_max));
		TRY(feed_open(&f->feed[s][at + 1], b, VIEW_STRICT_B, g->gap_max));
	}
	f->direct_feeds += 2;
	f->feeds += 2;
	return 0;
}

int filter_feeds_open(struct filter_stream *f)
{
	for (int s = 0; s < SOURCES; s++) {
		f->feed[s] = calloc(2 * f->set->groups + 1, sizeof *f->feed[s]);
		if (!f->feed[s])
			return ERR_NOMEM;
	}
	for (size_t i = 0; i < f->set->groups; i++)
		TRY(group_feeds(f, &f->set->group[i]));
	f->hidden.lead = NOWHERE;
	return 0;
}

void filter_feeds_close(struct filter_stream *f)
{
	for (int s = 0; s < SOURCES; s++) {
		for (size_t i = 0; f->feed[s] && i < 2 * f->set->groups; i++)
			free(f->feed[s][i].start);
		free(f->feed[s]);
	}
}

static size_t feeds_of(const struct filter_stream *f, enum source s)
{
	return s == SOURCE_DIRECT ? f->direct_feeds : f->feeds;
}

static void accept(struct filter_stream *f, const struct feed *feed, uint64_t end)
{
	uint32_t it = 0, rule, chars;
	while (filter_automaton_next_match(feed->automaton, feed->state, &it, &rule, &chars)) {
		uint64_t start = feed->start[(feed->count - chars) & (feed->ring - 1)];
		filter_match_add(f, &(struct match){ start, end, start, end, rule, false });
	}
}

static void keep(struct filter_stream *f, struct feed *feed, uint32_t cp, const struct place *p)
{
	feed->start[feed->count & (feed->ring - 1)] = p->start;
	feed->count++;
	feed->separators = feed->noise = 0;
	feed->state = filter_automaton_step(feed->automaton, feed->state, cp);
	if (feed->state)
		accept(f, feed, p->end);
}

/* Count a dropped character: after more than the gap allows, no match that began earlier can go
 * on. */
static void drop(struct feed *feed, bool noise)
{
	if (noise)
		feed->noise++;
	else
		feed->separators++;
	if (feed->separators > feed->gap_max || feed->noise > VIEW_NOISE_MAX)
		feed->state = 0;
}

static void feed_put(struct filter_stream *f, struct feed *feed, const struct fold *fold,
		     const struct place *p, bool backwards)
{
	if (fold->n == 0) {
		if (feed->state)
			drop(feed, filter_view_noise(p->cp));
		return;
	}
	for (int i = 0; i < fold->n; i++)
		keep(f, feed, fold->cp[backwards ? fold->n - 1 - i : i], p);
}

void filter_source_put(struct filter_stream *f, enum source s, const struct place *p)
{
	struct fold fold[VIEWS];
	bool have[VIEWS] = { false };
	for (size_t i = 0; i < feeds_of(f, s); i++) {
		struct feed *feed = &f->feed[s][i];
		if (!have[feed->view])
			filter_view_fold(feed->view, p->cp, &fold[feed->view]);
		have[feed->view] = true;
		feed_put(f, feed, &fold[feed->view], p, s == SOURCE_REVERSED);
	}
}

void filter_source_reset(struct filter_stream *f, enum source s)
{
	for (size_t i = 0; i < feeds_of(f, s); i++)
		f->feed[s][i].state = 0;
}

void filter_feeds_put(struct filter_stream *f, const struct place *p)
{
	filter_source_put(f, SOURCE_DIRECT, p);
	if (!f->set->strict)
		return;
	filter_escape_put(f, p);
	filter_hidden_put(f, p);
}

void filter_feeds_finish(struct filter_stream *f)
{
	if (f->set->strict)
		filter_escape_finish(f);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t filter_feeds_hold(const struct filter_stream *f)
{
	uint64_t hold = NOWHERE;
	for (int s = 0; s < SOURCES; s++)
		for (size_t i = 0; i < feeds_of(f, (enum source)s); i++) {
			const struct feed *feed = &f->feed[s][i];
			uint32_t live = filter_automaton_live(feed->automaton, feed->state);
			if (live)
				hold = least(hold,
					     feed->start[(feed->count - live) & (feed->ring - 1)]);
		}
	if (f->escape.n)
		hold = least(hold, f->escape.wait[0].start);
	if (f->hidden.n)
		hold = least(hold, f->hidden.start);
	return least(hold, f->hidden.lead);
}
