/* Characters on their way to the readings. One that may begin an escape opens a batch; it goes on
 * until every reading knows what its first characters are. Then these go to all windows and feeds
 * together, so that all of them stand at the same place of the source, and a reading that differs
 * here from the one before it can begin where that one stands.
 *
 * Which characters go together is a function of the text alone: a batch is looked at after each of
 * its characters. At DECODE_BATCH characters it is taken as if the text ended. */
#include "base/check.h"
#include "filters/stream.h"

#include <string.h>

/* The first n characters of a batch are the same in both. */
static bool same(const struct decoded *a, const struct decoded *b, int n)
{
	int i = 0;
	for (; i < a->n && a->sign[i].to <= n; i++)
		if (i >= b->n || b->sign[i].to > n || a->sign[i].cp != b->sign[i].cp)
			return false;
	return i >= b->n || b->sign[i].to > n;
}

/* How many characters of the batch no reading will change or read together with later ones. */
static int settled(const struct decoded *d, int n)
{
	for (int r = 0; r < READINGS; r++)
		n = d[r].settled < n ? d[r].settled : n;
	for (int r = 0; r < READINGS && n > 0;) {
		if (n < DECODE_BATCH && d[r].inside[n]) {
			n--;
			r = 0;
		} else {
			r++;
		}
	}
	return n;
}

static enum query query_behind(enum query q, uint32_t cp)
{
	switch (cp) {
	case '?':
	case '&':
		return QUERY_NAME;
	case '=':
		return q == QUERY_NONE ? q : QUERY_VALUE;
	case '"':
	case '\'':
	case '<':
	case '>':
		return QUERY_NONE;
	default:
		return cp <= ' ' ? QUERY_NONE : q;
	}
}

/* Give one reading's first n characters to `put`, dropped ones as weights. */
static void hand_out(struct filter_stream *f, enum reading r, const struct decoded *d, int n)
{
	int at = 0;
	bool runs = r == READING_PERCENT && f->set->decodes & FILTER_DECODE_RUNS;
	for (int i = 0; i <= d->n; i++) {
		bool more = i < d->n && d->sign[i].to <= n;
		const struct sign *next = more ? &d->sign[i] : &f->batch.wait[n - 1];
		unsigned noise = 0;
		while (at < (more ? d->sign[i].from : n))
			noise += d->dropped[++at];
		if (noise) {
			filter_reading_drop(f, r, next, noise);
			filter_feeds_drop(f, r, noise);
		}
		if (!more)
			break;
		filter_reading_put(f, r, &d->sign[i]);
		filter_feeds_put(f, r, &d->sign[i]);
		if (runs)
			filter_runs_put(f, &d->sign[i]);
		f->batch.before[r] = d->sign[i].cp;
		at = d->sign[i].to;
	}
}

static void emit(struct filter_stream *f, const struct decoded *d, int n)
{
	struct batch *b = &f->batch;
	bool differs[READINGS] = { false }, any = false;
	for (int r = 1; r < READINGS; r++) {
		differs[r] = !same(&d[r], &d[r - 1], n);
		any |= differs[r];
	}
	if (any) {
		filter_readings_part(f, differs);
		filter_feeds_part(f);
	}
	for (int r = 0; r < READINGS; r++)
		hand_out(f, (enum reading)r, &d[r], n);
	if (any)
		filter_readings_differed(f, differs, b->wait[n - 1].end);
	for (int i = 0; i < n; i++)
		b->query = query_behind(b->query, b->wait[i].cp);
	b->n -= n;
	memmove(b->wait, b->wait + n, (size_t)b->n * sizeof *b->wait);
	for (int i = 0; i < b->n; i++) {
		b->wait[i].from = (uint8_t)i;
		b->wait[i].to = (uint8_t)(i + 1);
	}
}

static void look(struct filter_stream *f, bool final)
{
	struct batch *b = &f->batch;
	struct decoded d[READINGS];
	for (int r = 1; b->alike && r < READINGS; r++)
		b->before[r] = b->before[0];
	b->alike = false;
	while (b->n > 0) {
		bool whole = final || b->n == DECODE_BATCH;
		filter_decode(f->set->decodes, b->wait, b->n, b->before, whole,
			      b->query == QUERY_VALUE, d);
		int n = settled(d, b->n);
		if (n == 0)
			return;
		emit(f, d, n);
	}
}

void filter_batch_put(struct filter_stream *f, const struct sign *s)
{
	struct batch *b = &f->batch;
	bool plus = s->cp == '+' && b->query != QUERY_VALUE;
	if (b->n == 0 && (plus || !filter_decode_opens(s->cp, f->set->decodes))) {
		b->query = query_behind(b->query, s->cp);
		filter_reading_put(f, READING_DIRECT, s);
		filter_feeds_put(f, READING_DIRECT, s);
		for (int r = 1; r < READINGS && f->awake & LATER_READINGS; r++)
			filter_reading_put(f, (enum reading)r, s);
		if (f->feeds_parted)
			filter_feeds_put(f, READING_MAIL, s);
		b->before[0] = s->cp;
		b->alike = true;
		if (f->set->decodes & FILTER_DECODE_RUNS)
			filter_runs_put(f, s);
		return;
	}
	b->wait[b->n] = *s;
	b->wait[b->n].from = (uint8_t)b->n;
	b->wait[b->n].to = (uint8_t)(b->n + 1);
	b->n++;
	look(f, false);
}

void filter_batch_finish(struct filter_stream *f)
{
	look(f, true);
	check(f->batch.n == 0);
}

uint64_t filter_batch_hold(const struct filter_stream *f)
{
	return f->batch.n ? f->batch.wait[0].start : NOWHERE;
}
