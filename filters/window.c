/* Regexes and detectors on the text of a view, matched with PCRE2's PARTIAL_HARD: a full match is
 * reported only if the matcher never reached the end, so that no later text can change it; a
 * partial match says where the earliest open attempt began. */
#include "base/text.h"
#include "filters/stream.h"

#include <stdlib.h>
#include <string.h>

#define TRIM_BYTES 4096 /* the window moves down in steps of this */

static bool room(struct window *w, size_t more)
{
	size_t need = w->text.len + more;
	if (need <= w->room)
		return true;
	size_t bigger = need * 2 + 256;
	uint64_t *start = realloc(w->start, bigger * sizeof *start);
	if (start)
		w->start = start;
	uint64_t *end = realloc(w->end, bigger * sizeof *end);
	if (end)
		w->end = end;
	if (!start || !end)
		return false;
	w->room = bigger;
	return true;
}

static void window_put(struct filter_stream *f, struct window *w, uint32_t cp,
		       const struct place *p)
{
	char u[4];
	size_t n = (size_t)text_utf8_encode(cp, u);
	if (!room(w, n)) {
		f->nomem = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		w->start[w->text.len + i] = p->start;
		w->end[w->text.len + i] = p->end;
	}
	buf_add(&w->text, u, n);
	f->nomem |= w->text.failed;
}

void filter_windows_put(struct filter_stream *f, const struct place *p)
{
	if (f->set->raw)
		window_put(f, &f->rawtext, p->cp, p);
	if (!f->set->plain)
		return;
	struct fold fold;
	filter_view_fold(VIEW_PLAIN, p->cp, &fold);
	for (int i = 0; i < fold.n; i++)
		window_put(f, &f->plain, fold.cp[i], p);
	if (fold.n) {
		f->plain.noise = 0;
	} else if (++f->plain.noise > VIEW_NOISE_MAX) {
		/* Too many dropped characters in a row: one counts as kept, or a match could be
		 * held for ever. */
		f->plain.noise = 0;
		window_put(f, &f->plain, 0xFFFD, p);
	}
}

static uint64_t window_end(const struct window *w) { return w->base + w->text.len; }

static const struct window *window_of(const struct filter_stream *f, const struct probe *p)
{
	return p->raw ? &f->rawtext : &f->plain;
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
	return window_end(w);
}

static uint64_t next_char(const struct window *w, uint64_t at)
{
	size_t i = (size_t)(at - w->base) + 1;
	while (i < w->text.len && ((uint8_t)w->text.bytes[i] & 0xC0) == 0x80)
		i++;
	return w->base + i;
}

static uint64_t full(struct filter_stream *f, const struct window *w, const struct probe *p,
		     size_t s, size_t e)
{
	struct detect_hit h = { .text = w->text.bytes,
				.len = w->text.len,
				.start = s,
				.end = e,
				.head = s,
				.tail = e };
	enum detect_verdict v = p->detector ? filter_detector_judge(p->detector, &h) : DETECT_YES;
	if (v == DETECT_NO)
		return next_char(w, w->base + s);
	if (v == DETECT_YES) {
		struct match m = { .start = w->start[s],
				   .end = w->end[h.end - 1],
				   .rule = p->rule };
		m.head = h.head > s ? w->end[h.head - 1] : m.start;
		m.tail = h.tail < h.end ? w->start[h.tail] : m.end;
		filter_match_add(f, &m);
	}
	return w->base + h.end;
}

static int probe_scan(struct filter_stream *f, const struct probe *p, struct probe_state *state,
		      bool final)
{
	const struct window *w = window_of(f, p);
	uint32_t how = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | (final ? 0 : PCRE2_PARTIAL_HARD) |
		       (w->base ? PCRE2_NOTBOL : 0);
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(f->match_data);
	state->live = NOWHERE;
	for (;;) {
		state->cursor = first_from(w, &p->regex, state->cursor);
		if (state->cursor >= window_end(w))
			return 0;
		int r = pcre2_match(p->regex.code, (PCRE2_SPTR)w->text.bytes, w->text.len,
				    (size_t)(state->cursor - w->base), how, f->match_data,
				    f->match_context);
		if (r == PCRE2_ERROR_NOMATCH) {
			state->cursor = window_end(w);
			return 0;
		}
		if (r == PCRE2_ERROR_PARTIAL) {
			state->cursor = w->base + at[0];
			if (at[0] < w->text.len)
				state->live = state->cursor;
			return 0;
		}
		if (r < 0)
			return ERR_UNAVAILABLE;
		state->cursor = full(f, w, p, at[0], at[1]);
	}
}

/* Forget what no probe will look at again, but keep `behind` characters before the first cursor. */
static void trim(struct filter_stream *f, struct window *w, bool raw)
{
	uint64_t keep = window_end(w);
	for (size_t i = 0; i < f->set->probes; i++)
		if (f->set->probe[i].raw == raw && f->probe[i].cursor < keep)
			keep = f->probe[i].cursor;
	size_t n = (size_t)(keep - w->base);
	for (uint32_t left = f->set->behind; left > 0 && n > 0; left--) {
		do
			n--;
		while (n > 0 && ((uint8_t)w->text.bytes[n] & 0xC0) == 0x80);
	}
	if (n < TRIM_BYTES)
		return;
	size_t stay = w->text.len - n;
	memmove(w->start, w->start + n, stay * sizeof *w->start);
	memmove(w->end, w->end + n, stay * sizeof *w->end);
	buf_drop(&w->text, n);
	w->base += n;
}

int filter_windows_scan(struct filter_stream *f, bool final)
{
	for (size_t i = 0; i < f->set->probes; i++)
		TRY(probe_scan(f, &f->set->probe[i], &f->probe[i], final));
	trim(f, &f->plain, false);
	trim(f, &f->rawtext, true);
	return 0;
}

uint64_t filter_windows_hold(const struct filter_stream *f)
{
	uint64_t hold = NOWHERE;
	for (size_t i = 0; i < f->set->probes; i++) {
		if (f->probe[i].live == NOWHERE)
			continue;
		const struct window *w = window_of(f, &f->set->probe[i]);
		uint64_t start = w->start[f->probe[i].live - w->base];
		hold = start < hold ? start : hold;
	}
	return hold;
}

void filter_windows_close(struct filter_stream *f)
{
	struct window *w[] = { &f->plain, &f->rawtext };
	for (int i = 0; i < 2; i++) {
		buf_free(&w[i]->text);
		free(w[i]->start);
		free(w[i]->end);
	}
}
