/* Regexes and detectors on the text of a view, matched with PCRE2's PARTIAL_HARD: a full match is
 * reported only if the matcher never reached the end, so that no later text can change it; a
 * partial match says where the earliest open attempt began. */
#include "base/text.h"
#include "filters/number_read.h"
#include "filters/stream.h"

#include <stdlib.h>
#include <string.h>

#define TRIM_BYTES 4096 /* the window moves down in steps of this */

bool filter_window_reads(const struct filter_stream *f, const struct window *w, size_t probe)
{
	const struct probe *p = &f->set->probe[probe];
	return p->view == w->view && (!w->encodings || f->set->rule[p->rule].decode & w->encodings);
}

/* What window k is of. */
static void window_name(struct filter_stream *f, int k)
{
	struct window *w = &f->window[k];
	int of_run = k - READING_WINDOWS;
	if (of_run >= 0) {
		w->view = (enum text_view)(TEXT_PLAIN + of_run % (TEXT_VIEWS - 1));
		w->encodings = f->run[of_run / (TEXT_VIEWS - 1)].encoding;
		return;
	}
	w->view = (enum text_view)(k / READINGS);
	w->reading = (enum reading)(k % READINGS);
	w->encodings = filter_decode_of(w->reading);
	w->awake = w->reading == READING_DIRECT;
}

void filter_window_wake(struct filter_stream *f, struct window *w, bool awake)
{
	uint32_t bit = 1u << (w - f->window);
	w->awake = awake;
	f->awake = awake && w->used ? f->awake | bit : f->awake & ~bit;
	if (!awake)
		buf_clear(&w->text);
}

int filter_windows_open(struct filter_stream *f)
{
	for (int k = 0; k < WINDOWS; k++) {
		struct window *w = &f->window[k];
		window_name(f, k);
		if (w->view == TEXT_RAW && w->reading != READING_DIRECT)
			continue;
		w->used = filter_secrets_read(f, w) || filter_numbers_read(f, w);
		for (size_t i = 0; i < f->set->probes; i++)
			w->used |= filter_window_reads(f, w, i);
		if (!w->used)
			continue;
		filter_window_wake(f, w, w->awake);
		w->probe = calloc(f->set->probes + 1, sizeof *w->probe);
		if (!w->probe)
			return ERR_NOMEM;
		for (size_t i = 0; i < f->set->probes; i++) {
			bool here = filter_window_reads(f, w, i);
			w->probe[i] = (struct probe_state){ .live = NOWHERE,
							    .asleep = !here || !w->awake };
		}
		w->secrets.asleep = !filter_secrets_read(f, w) || !w->awake;
		if (!filter_numbers_read(f, w))
			continue;
		w->numbers = calloc(1, sizeof *w->numbers);
		if (!w->numbers)
			return ERR_NOMEM;
		w->numbers->live = NOWHERE;
		w->numbers->asleep = !w->awake;
	}
	return 0;
}

void filter_windows_close(struct filter_stream *f)
{
	for (int i = 0; filter_stream_reads(f) && i < WINDOWS; i++) {
		struct window *w = &f->window[i];
		buf_free(&w->text);
		free(w->start);
		free(w->end);
		free(w->made);
		for (size_t k = 0; w->probe && k < f->set->probes; k++)
			free(w->probe[k].lines);
		free(w->probe);
		free(w->numbers);
		filter_secrets_close(w);
	}
}

/* ---- text */

static bool bigger(void *list, size_t count, size_t size)
{
	void *p = realloc(*(void **)list, count * size);
	if (p)
		*(void **)list = p;
	return p != NULL;
}

static bool room(struct window *w, size_t more)
{
	size_t need = w->text.len + more;
	if (need <= w->room)
		return true;
	size_t count = need * 2 + 256;
	if (!bigger(&w->start, count, sizeof *w->start) ||
	    !bigger(&w->end, count, sizeof *w->end) || !bigger(&w->made, count, sizeof *w->made))
		return false;
	w->room = count;
	return true;
}

static void keep(struct filter_stream *f, struct window *w, uint32_t cp, const struct sign *s)
{
	char u[4];
	size_t n = (size_t)text_utf8_encode(cp, u);
	if (!room(w, n)) {
		f->nomem = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		w->start[w->text.len + i] = s->start;
		w->end[w->text.len + i] = s->end;
		w->made[w->text.len + i] = s->made;
	}
	buf_add(&w->text, u, n);
	f->nomem |= w->text.failed;
	w->noise = 0;
}

void filter_window_copy(struct filter_stream *f, struct window *w, const struct window *from,
			size_t at, size_t end)
{
	size_t n = end - at;
	buf_clear(&w->text);
	w->base = from->base + at;
	if (n == 0)
		return;
	if (!room(w, n)) {
		f->nomem = true;
		return;
	}
	buf_add(&w->text, from->text.bytes + at, n);
	memcpy(w->start, from->start + at, n * sizeof *w->start);
	memcpy(w->end, from->end + at, n * sizeof *w->end);
	memcpy(w->made, from->made + at, n * sizeof *w->made);
	f->nomem |= w->text.failed;
}

/* Too much dropped text in a row: a sign counts as kept, or a match could be held for ever. */
static void drop(struct filter_stream *f, struct window *w, const struct sign *s, unsigned weight)
{
	w->noise += weight;
	if (w->noise > VIEW_NOISE_MAX)
		keep(f, w, 0xFFFD, s);
}

void filter_window_put(struct filter_stream *f, struct window *w, const struct sign *s)
{
	if (!w->used || !w->awake)
		return;
	static const enum view view[TEXT_VIEWS] = { VIEW_RAW, VIEW_PLAIN, VIEW_VALUE };
	if (s->cp < 0x80) { /* itself in every view */
		keep(f, w, s->cp, s);
		return;
	}
	struct fold fold;
	filter_view_fold(view[w->view], s->cp, &fold);
	for (int i = 0; i < fold.n; i++)
		keep(f, w, fold.cp[i], s);
	if (fold.n == 0)
		drop(f, w, s, DECODE_NOISE(s->to - s->from));
}

void filter_raw_put(struct filter_stream *f, const struct sign *s)
{
	filter_window_put(f, &f->window[TEXT_RAW * READINGS], s);
}

void filter_reading_put(struct filter_stream *f, enum reading r, const struct sign *s)
{
	for (int v = TEXT_PLAIN; v < TEXT_VIEWS; v++)
		filter_window_put(f, &f->window[v * READINGS + (int)r], s);
}

void filter_reading_drop(struct filter_stream *f, enum reading r, const struct sign *s,
			 unsigned weight)
{
	for (int v = TEXT_PLAIN; v < TEXT_VIEWS; v++) {
		struct window *w = &f->window[v * READINGS + (int)r];
		if (w->used && w->awake)
			drop(f, w, s, weight);
	}
}

uint64_t filter_window_end(const struct window *w) { return w->base + w->text.len; }

/* ---- matches */

bool filter_window_found(struct filter_stream *f, const struct window *w, uint32_t rule,
			 const struct span *at)
{
	struct match m = { .start = w->start[at->start], .end = w->end[at->end - 1], .rule = rule };
	uint8_t made = 0;
	size_t end = at->end + !at->open;
	for (size_t i = at->start ? at->start - 1 : 0; i < end && i < w->text.len; i++)
		made |= w->made[i];
	if (made & ~f->set->rule[rule].decode)
		return false;
	m.head = at->head > at->start ? w->end[at->head - 1] : m.start;
	m.tail = at->tail < at->end ? w->start[at->tail] : m.end;
	m.spare = filter_excepted(&f->set->rule[rule], w->text.bytes + at->start,
				  at->end - at->start);
	/* What follows a block is not looked at: a tail would end where the text happened to. */
	m.tails = at->open && !m.spare && f->set->rule[rule].action != FILTER_BLOCK;
	m.strong = at->strong;
	return filter_match_add(f, &m) && !m.spare;
}

bool filter_window_awaits(const struct window *w, size_t end)
{
	return w->encodings && end == w->text.len;
}

/* The next byte with which a match may begin. */
static uint64_t first_from(const struct window *w, const struct regex *r, uint64_t at)
{
	if (!r->first_known)
		return at;
	for (size_t i = (size_t)(at - w->base); i < w->text.len; i++) {
		uint8_t c = (uint8_t)w->text.bytes[i];
		if (r->first[c / 8] & (1u << (c % 8)))
			return w->base + i;
	}
	return filter_window_end(w);
}

static uint64_t next_char(const struct window *w, uint64_t at)
{
	size_t i = (size_t)(at - w->base) + 1;
	while (i < w->text.len && ((uint8_t)w->text.bytes[i] & 0xC0) == 0x80)
		i++;
	return w->base + i;
}

/* Whether a window is the text itself from its beginning, neither decoded nor a run. */
static bool is_text(const struct filter_stream *f, const struct window *w)
{
	return w < f->window + READING_WINDOWS && w->reading == READING_DIRECT;
}

/* Follow the lines of the text up to a view offset: a table names its columns once. Later readings
 * are read too rarely for that. */
static void follow_lines(struct filter_stream *f, const struct window *w, const struct probe *p,
			 struct probe_state *state, uint64_t to)
{
	if (!is_text(f, w) || !p->detector || !p->detector->words)
		return;
	if (!state->lines)
		state->lines = calloc(1, sizeof *state->lines);
	f->nomem |= !state->lines;
	for (; state->lines && state->followed < to; state->followed++)
		filter_lines_put(state->lines,
				 (unsigned char)w->text.bytes[state->followed - w->base]);
}

static uint64_t full(struct filter_stream *f, const struct window *w, const struct probe *p,
		     struct probe_state *state, size_t s, size_t e)
{
	follow_lines(f, w, p, state, w->base + s);
	struct detect_hit h = { .text = w->text.bytes,
				.len = w->text.len,
				.start = s,
				.end = e,
				.head = s,
				.tail = e,
				.always = f->set->rule[p->rule].context == FILTER_CONTEXT_ALWAYS,
				.lines = state->lines,
				.first = w->base == 0 && is_text(f, w),
				.alone = f->set->rule[p->rule].context == FILTER_CONTEXT_ALONE };
	enum detect_verdict v = p->detector ? filter_detector_judge(p->detector, &h) : DETECT_YES;
	if (v == DETECT_NO)
		return next_char(w, w->base + s);
	if (v == DETECT_YES)
		filter_window_found(f, w, p->rule,
				    &(struct span){ h.start, h.end, h.head, h.tail, false, false });
	return w->base + h.end;
}

static bool sleeps(struct window *w, const struct probe *p, uint64_t at)
{
	return w->reading != READING_DIRECT && filter_window_sleeps(w, p->behind, at);
}

static int probe_find(struct filter_stream *f, struct window *w, const struct probe *p,
		      struct probe_state *state, bool final)
{
	uint32_t how = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | (final ? 0 : PCRE2_PARTIAL_HARD) |
		       (w->base ? PCRE2_NOTBOL : 0);
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(f->match_data);
	state->live = NOWHERE;
	for (;;) {
		state->cursor = first_from(w, &p->regex, state->cursor);
		state->asleep = sleeps(w, p, state->cursor);
		if (state->asleep || state->cursor >= filter_window_end(w))
			return 0;
		int r = pcre2_match(p->regex.code, (PCRE2_SPTR)w->text.bytes, w->text.len,
				    (size_t)(state->cursor - w->base), how, f->match_data,
				    f->match_context);
		if (r < 0 && r != PCRE2_ERROR_NOMATCH && r != PCRE2_ERROR_PARTIAL)
			return ERR_UNAVAILABLE;
		state->cursor = r == PCRE2_ERROR_NOMATCH ? filter_window_end(w) : w->base + at[0];
		state->asleep = sleeps(w, p, state->cursor);
		if (state->asleep || r == PCRE2_ERROR_NOMATCH)
			return 0;
		if (r == PCRE2_ERROR_PARTIAL || (!final && filter_window_awaits(w, at[1]))) {
			if (at[0] < w->text.len)
				state->live = state->cursor;
			return 0;
		}
		state->cursor = full(f, w, p, state, at[0], at[1]);
	}
}

static int probe_scan(struct filter_stream *f, struct window *w, const struct probe *p,
		      struct probe_state *state, bool final)
{
	int rc = probe_find(f, w, p, state, final);
	follow_lines(f, w, p, state, state->cursor);
	return rc;
}

/* Forget what no probe will look at again, but keep `behind` characters before the first place
 * where one will go on. */
static void trim(struct filter_stream *f, struct window *w)
{
	uint64_t first = filter_window_end(w);
	for (size_t i = 0; i < f->set->probes; i++) {
		if (!filter_window_reads(f, w, i))
			continue;
		uint64_t at = filter_window_end(w) - filter_window_back(f, w, i);
		first = at < first ? at : first;
	}
	if (filter_secrets_read(f, w)) {
		uint64_t at = filter_window_end(w) - filter_secrets_back(f, w);
		first = at < first ? at : first;
	}
	if (w->numbers) {
		uint64_t at = filter_window_end(w) - filter_numbers_back(f, w);
		first = at < first ? at : first;
	}
	if (first - w->base < TRIM_BYTES)
		return;
	size_t n = filter_window_behind(w, (size_t)(first - w->base), f->set->behind);
	if (n < TRIM_BYTES)
		return;
	size_t stay = w->text.len - n;
	memmove(w->start, w->start + n, stay * sizeof *w->start);
	memmove(w->end, w->end + n, stay * sizeof *w->end);
	memmove(w->made, w->made + n, stay * sizeof *w->made);
	buf_drop(&w->text, n);
	w->base += n;
}

static int window_scan(struct filter_stream *f, struct window *w, bool final)
{
	bool any = w->reading == READING_DIRECT;
	for (size_t i = 0; i < f->set->probes; i++) {
		if (w->probe[i].asleep)
			continue;
		TRY(probe_scan(f, w, &f->set->probe[i], &w->probe[i], final));
		any |= !w->probe[i].asleep;
	}
	if (!w->secrets.asleep) {
		TRY(filter_secrets_scan(f, w, final));
		any |= !w->secrets.asleep;
	}
	if (w->numbers && !w->numbers->asleep) {
		filter_numbers_scan(f, w, final);
		any |= !w->numbers->asleep;
	}
	if (!any)
		filter_window_wake(f, w, false);
	return 0;
}

int filter_windows_scan(struct filter_stream *f, uint32_t which, bool final)
{
	for (uint32_t set = f->awake & which; set; set &= set - 1)
		TRY(window_scan(f, &f->window[__builtin_ctz(set)], final));
	for (uint32_t set = f->awake; set; set &= set - 1)
		if (f->window[__builtin_ctz(set)].text.len >= TRIM_BYTES)
			trim(f, &f->window[__builtin_ctz(set)]);
	return 0;
}

/* ---- windows of runs */

void filter_window_begin(struct filter_stream *f, struct window *w, const struct window *before,
			 uint64_t start)
{
	if (!w->used)
		return;
	size_t end = filter_window_at(before, start);
	filter_window_copy(f, w, before, filter_window_behind(before, end, f->set->context), end);
	w->noise = 0;
	filter_window_wake(f, w, true);
	/* A border: what the run encodes does not touch what stands in front of it. */
	filter_window_put(f, w, &(struct sign){ .cp = ' ', .start = start, .end = start });
	for (size_t i = 0; i < f->set->probes; i++)
		w->probe[i] = (struct probe_state){ .cursor = filter_window_end(w),
						    .live = NOWHERE,
						    .asleep = !filter_window_reads(f, w, i) };
	filter_secrets_begin(f, w);
	filter_numbers_begin(f, w);
}

void filter_window_finish(struct filter_stream *f, struct window *w)
{
	if (!w->used || !w->awake)
		return;
	if (window_scan(f, w, true) < 0)
		f->engine_limit = true;
	filter_window_wake(f, w, false);
}

void filter_window_peek(struct filter_stream *f, struct window *w)
{
	if (!w->used || !w->awake)
		return;
	for (size_t i = 0; i < f->set->probes; i++) {
		struct probe_state state = w->probe[i];
		if (!state.asleep && probe_find(f, w, &f->set->probe[i], &state, true) < 0)
			f->engine_limit = true;
		w->probe[i].lines = state.lines;
	}
	if (w->numbers) {
		struct number_state state = *w->numbers;
		filter_numbers_scan(f, w, true);
		*w->numbers = state;
	}
}

static uint64_t earlier(const struct window *w, uint64_t at, uint64_t hold)
{
	uint64_t start = at < filter_window_end(w) ? w->start[at - w->base] : NOWHERE;
	return start < hold ? start : hold;
}

uint64_t filter_windows_hold(const struct filter_stream *f)
{
	uint64_t hold = NOWHERE;
	for (uint32_t set = f->awake; set; set &= set - 1) {
		const struct window *w = &f->window[__builtin_ctz(set)];
		for (size_t i = 0; i < f->set->probes; i++)
			if (!w->probe[i].asleep && w->probe[i].live != NOWHERE)
				hold = earlier(w, w->probe[i].live, hold);
		if (!w->secrets.asleep)
			hold = earlier(w, filter_secrets_live(f, w), hold);
		/* Characters that the reading drops behind an open tail are of it if it goes on. */
		if (w->secrets.tails > 0 && w->text.len > 0 && w->end[w->text.len - 1] < hold)
			hold = w->end[w->text.len - 1];
		if (w->numbers && !w->numbers->asleep && w->numbers->live != NOWHERE)
			hold = earlier(w, w->numbers->live, hold);
	}
	return hold;
}
