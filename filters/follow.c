/* Windows of later readings. Nearly all of a text reads the same in all readings, so a later one
 * has a text only near what it reads otherwise than the one before it: there it parts from it, with
 * that window's last characters and every probe where that window's probe stands. A probe sleeps
 * again when what it could find begins so far behind the difference that it cannot see it, for
 * from there on the reading before finds the same.
 *
 * Windows part only when all of them have been scanned up to the same character. What a probe has
 * decided by then is a function of the text up to there (window.c), and so is whether it sleeps:
 * how a text is cut decides when a probe falls asleep, not whether it has when the readings part
 * again. */
#include "filters/stream.h"

#include <string.h>

size_t filter_window_behind(const struct window *w, size_t i, uint32_t n)
{
	for (; n > 0 && i > 0; n--) {
		do
			i--;
		while (i > 0 && ((uint8_t)w->text.bytes[i] & 0xC0) == 0x80);
	}
	return i;
}

/* The view offset n characters behind `at`, or 0 where the text does not reach so far. */
static uint64_t ahead(const struct window *w, uint64_t at, uint32_t n)
{
	size_t i = (size_t)(at - w->base);
	for (; n > 0 && i < w->text.len; n--) {
		do
			i++;
		while (i < w->text.len && ((uint8_t)w->text.bytes[i] & 0xC0) == 0x80);
	}
	return n == 0 ? w->base + i : 0;
}

/* One character more than it looks back: a match is judged by its neighbour too. */
bool filter_window_sleeps(struct window *w, uint32_t behind, uint64_t at)
{
	if (at < w->same + behind + 1)
		return false;
	if (w->same < w->base) /* forgotten: all that looks back so far has gone on */
		return true;
	struct clearance *c = &w->clear[behind % CLEARANCES];
	if (c->behind != behind || c->at == 0)
		*c = (struct clearance){ behind, ahead(w, w->same, behind + 1) };
	return c->at && at >= c->at;
}

size_t filter_window_at(const struct window *w, uint64_t start)
{
	size_t lo = 0, hi = w->text.len;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (w->start[mid] < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t filter_window_clear(const struct window *w, uint64_t differed, uint32_t behind)
{
	size_t lo = filter_window_at(w, differed);
	for (uint32_t n = behind + 1; n > 0 && lo < w->text.len; n--) {
		do
			lo++;
		while (lo < w->text.len && ((uint8_t)w->text.bytes[lo] & 0xC0) == 0x80);
	}
	return w->base + lo;
}

/* The window of the reading before. */
static const struct window *before(const struct window *w) { return w - 1; }

/* Whether a window reads something otherwise than the nearest one before it that is used: no window
 * has a text of its own for readings that no rule of its view allows. */
static bool reads_otherwise(const struct window *w, const bool differs[READINGS])
{
	bool some = differs[w->reading];
	while (w->reading != READING_DIRECT && !before(w)->used) {
		w = before(w);
		some |= differs[w->reading];
	}
	return some;
}

uint64_t filter_window_back(const struct filter_stream *f, const struct window *w, size_t probe)
{
	uint64_t differed = 0;
	while (w->reading != READING_DIRECT && (!w->awake || w->probe[probe].asleep)) {
		differed = w->differed > differed ? w->differed : differed;
		w = before(w);
	}
	uint64_t at = w->probe[probe].cursor,
		 least = differed ? filter_window_clear(w, differed, f->set->probe[probe].behind)
				  : 0;
	return filter_window_end(w) - (at > least ? at : least);
}

static void wake_probe(const struct filter_stream *f, struct window *w, size_t i)
{
	w->probe[i].cursor = filter_window_end(w) - filter_window_back(f, w, i);
	w->probe[i].live = NOWHERE;
}

/* Take over the last characters of the nearest window that has a text. */
static void wake(struct filter_stream *f, struct window *w)
{
	const struct window *from = before(w);
	while (!from->awake)
		from = before(from);
	uint64_t back = 0;
	for (size_t i = 0; i < f->set->probes; i++) {
		uint64_t b = filter_window_reads(f, w, i) ? filter_window_back(f, w, i) : 0;
		back = b > back ? b : back;
	}
	if (filter_secrets_read(f, w) && filter_secrets_back(f, w) > back)
		back = filter_secrets_back(f, w);
	if (w->numbers && filter_numbers_back(f, w) > back)
		back = filter_numbers_back(f, w);
	size_t at = filter_window_behind(from, from->text.len - (size_t)back, f->set->behind);
	filter_window_copy(f, w, from, at, from->text.len);
	w->noise = from->noise;
}

static void part(struct filter_stream *f, struct window *w)
{
	if (!w->awake)
		wake(f, w);
	for (size_t i = 0; i < f->set->probes; i++)
		if (filter_window_reads(f, w, i) && (!w->awake || w->probe[i].asleep))
			wake_probe(f, w, i);
	if (filter_secrets_read(f, w) && (!w->awake || w->secrets.asleep))
		filter_secrets_wake(f, w);
	if (w->numbers && (!w->awake || w->numbers->asleep))
		filter_numbers_wake(f, w);
	filter_window_wake(f, w, true);
	for (size_t i = 0; i < f->set->probes; i++)
		w->probe[i].asleep = !filter_window_reads(f, w, i);
}

void filter_readings_part(struct filter_stream *f, const bool differs[READINGS])
{
	uint32_t views = 0;
	for (int k = 0; k < READING_WINDOWS; k++)
		if (f->window[k].used && reads_otherwise(&f->window[k], differs))
			views |= ((1u << READINGS) - 1) << (k / READINGS * READINGS);
	if (filter_windows_scan(f, views, false) < 0)
		f->engine_limit = true;
	for (int k = 0; k < READING_WINDOWS; k++) {
		struct window *w = &f->window[k];
		if (w->used && reads_otherwise(w, differs))
			part(f, w);
	}
}

void filter_readings_differed(struct filter_stream *f, const bool differs[READINGS],
			      uint64_t raw_end)
{
	for (int k = 0; k < READING_WINDOWS; k++) {
		struct window *w = &f->window[k];
		if (!w->used || !reads_otherwise(w, differs))
			continue;
		w->differed = raw_end;
		w->same = filter_window_end(w);
		memset(w->clear, 0, sizeof w->clear);
	}
}
