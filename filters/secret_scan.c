/* Secrets on the text of a window. One automaton looks for all keywords; where one ends, the
 * patterns of its kinds are tried at the place where it began (or a few characters before, for
 * kinds whose keyword stands inside the value). A try that reaches the end of the text stays open
 * and holds. What a try finds is a function of the text: PARTIAL_HARD, as in window.c. */
#include "filters/stream.h"

#include <stdlib.h>
#include <string.h>

static bool lead_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == '~';
}

/* Where a value may begin whose keyword begins at `key`: at most `most` characters before. */
static uint64_t lead_start(const struct window *w, uint64_t key, uint32_t most)
{
	while (most-- > 0 && key > w->base && lead_byte(w->text.bytes[key - 1 - w->base]))
		key--;
	return key;
}

/* View offset `chars` characters before `at`. */
static uint64_t back(const struct window *w, uint64_t at, uint32_t chars)
{
	for (; chars > 0 && at > w->base; chars--)
		do
			at--;
		while (at > w->base && ((uint8_t)w->text.bytes[at - w->base] & 0xC0) == 0x80);
	return at;
}

/* ---- tails */

/* Withhold what has come of an open tail. */
static void tail_grow(struct filter_stream *f, const struct window *w, struct secret_tail_state *t)
{
	uint64_t from = t->at;
	while (t->left > 0 && t->at < filter_window_end(w) &&
	       filter_secret_tail(t->kind, w->text.bytes[t->at - w->base], &t->state)) {
		t->at++;
		t->left--;
	}
	bool over = t->left == 0 || t->at < filter_window_end(w);
	uint64_t end = t->at > from ? w->end[t->at - 1 - w->base] : 0;
	struct match which = { .start = t->start, .head_end = t->head_end, .rule = t->rule };
	filter_match_grow(f, &which, end, over);
	if (over)
		t->left = 0;
}

static void tail_keep(struct filter_stream *f, struct secrets_state *s,
		      const struct secret_tail_state *tail)
{
	if (s->tails == s->tail_room) {
		size_t bigger = s->tail_room * 2 + 4;
		struct secret_tail_state *t = realloc(s->tail, bigger * sizeof *t);
		if (!t) {
			f->nomem = true;
			return;
		}
		s->tail = t;
		s->tail_room = bigger;
	}
	s->tail[s->tails++] = *tail;
}

/* Behind text bytes [a, b) of the window. */
static void tail_open(struct filter_stream *f, const struct window *w, struct secrets_state *s,
		      const struct secret_probe *p, size_t a, size_t b)
{
	enum secret_tail kind = p->kind->tail;
	tail_keep(f, s,
		  &(struct secret_tail_state){
			  .at = w->base + b,
			  .start = w->start[a],
			  .head_end = w->end[b - 1],
			  .rule = p->rule,
			  .kind = kind,
			  .state = filter_secret_tail_state(kind, w->text.bytes + a, b - a),
			  .left = SECRET_TAIL_MAX,
		  });
}

/* ---- tries */

/* A pattern matched: view bytes [a, b) of the window are the secret. */
static bool found(struct filter_stream *f, const struct window *w, struct secrets_state *s,
		  const struct secret_probe *p, size_t a, size_t b)
{
	if (!filter_secret_judge(p->kind, w->text.bytes + a, b - a))
		return false;
	bool tail = p->kind->tail != SECRET_TAIL_NONE;
	if (filter_window_found(f, w, p->rule, &(struct span){ a, b, a, b, tail, false }) && tail &&
	    f->set->rule[p->rule].action != FILTER_BLOCK)
		tail_open(f, w, s, p, a, b);
	return true;
}

/* Returns 1 while the try is open, 0 when it is over, ERR_UNAVAILABLE: a work limit. */
static int try_run(struct filter_stream *f, const struct window *w, struct secrets_state *s,
		   struct secret_try *t, bool final)
{
	const struct secret_probe *p = &f->set->secrets.probe[t->probe];
	uint32_t how = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | (final ? 0 : PCRE2_PARTIAL_HARD) |
		       (w->base ? PCRE2_NOTBOL : 0);
	for (; t->at <= t->key; t->at++) {
		int r = pcre2_match(p->regex->code, (PCRE2_SPTR)w->text.bytes, w->text.len,
				    (size_t)(t->at - w->base), how, f->match_data,
				    f->match_context);
		const PCRE2_SIZE *at = pcre2_get_ovector_pointer(f->match_data);
		if (r == PCRE2_ERROR_PARTIAL)
			return 1;
		if (r == PCRE2_ERROR_NOMATCH)
			continue;
		if (r < 0)
			return ERR_UNAVAILABLE;
		bool group = r > 1 && at[2] != PCRE2_UNSET && at[3] > at[2];
		if (!final && p->kind->tail == SECRET_TAIL_NONE &&
		    filter_window_awaits(w, at[group ? 3 : 1]))
			return 1;
		if (found(f, w, s, p, at[group ? 2 : 0], at[group ? 3 : 1]))
			return 0;
	}
	return 0;
}

static void try_keep(struct filter_stream *f, struct secrets_state *s, const struct secret_try *t)
{
	if (s->tries == s->try_room) {
		size_t bigger = s->try_room * 2 + 16;
		struct secret_try *p = realloc(s->try, bigger * sizeof *p);
		if (!p) {
			f->nomem = true;
			return;
		}
		s->try = p;
		s->try_room = bigger;
	}
	s->try[s->tries++] = *t;
}

static int try_new(struct filter_stream *f, const struct window *w, struct secrets_state *s,
		   uint32_t probe, uint64_t key, bool final)
{
	const struct secret_kind *k = f->set->secrets.probe[probe].kind;
	struct secret_try t = { probe, lead_start(w, key, k->lead), key };
	int r = try_run(f, w, s, &t, final);
	if (r > 0)
		try_keep(f, s, &t);
	return r < 0 ? r : 0;
}

/* Open the tries of all keywords that end where the automaton is. */
static int keywords(struct filter_stream *f, const struct window *w, struct secrets_state *s,
		    bool final)
{
	const struct secrets *all = &f->set->secrets;
	uint32_t it = 0, keyword, chars;
	while (filter_automaton_next_match(all->automaton, s->state, &it, &keyword, &chars))
		for (uint32_t i = all->first[keyword]; i < all->first[keyword + 1]; i++)
			TRY(try_new(f, w, s, all->probe_of[i], back(w, s->cursor, chars), final));
	return 0;
}

static uint32_t step(const struct automaton *a, uint32_t state, char c)
{
	return filter_automaton_byte(a, state, (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
}

int filter_secrets_scan(struct filter_stream *f, struct window *w, bool final)
{
	struct secrets_state *s = &w->secrets;
	const struct automaton *a = f->set->secrets.automaton;
	size_t open = 0;
	for (size_t i = 0; i < s->tries; i++) {
		int r = try_run(f, w, s, &s->try[i], final);
		if (r < 0)
			return r;
		if (r > 0)
			s->try[open++] = s->try[i];
	}
	s->tries = open;
	for (uint64_t end = filter_window_end(w); s->cursor < end;) {
		s->state = step(a, s->state, w->text.bytes[s->cursor++ - w->base]);
		if (s->state && filter_automaton_accepts(a, s->state))
			TRY(keywords(f, w, s, final));
	}
	open = 0;
	for (size_t i = 0; i < s->tails; i++) {
		tail_grow(f, w, &s->tail[i]);
		if (s->tail[i].left > 0)
			s->tail[open++] = s->tail[i];
	}
	s->tails = open;
	s->asleep = w->reading != READING_DIRECT && s->tails == 0 &&
		    filter_window_sleeps(w, f->set->secrets.behind, filter_secrets_live(f, w));
	return 0;
}

/* The first place of the window where a match may begin that is not decided. */
uint64_t filter_secrets_live(const struct filter_stream *f, const struct window *w)
{
	const struct secrets_state *s = &w->secrets;
	const struct secrets *all = &f->set->secrets;
	uint64_t key = back(w, s->cursor, filter_automaton_live(all->automaton, s->state));
	uint64_t live = lead_start(w, key, all->lead);
	for (size_t i = 0; i < s->tries; i++)
		if (s->try[i].at < live)
			live = s->try[i].at;
	return live;
}

bool filter_secrets_read(const struct filter_stream *f, const struct window *w)
{
	return f->set->secrets.automaton && w->view == TEXT_VALUE &&
	       (!w->encodings || f->set->secrets.decodes & w->encodings);
}

void filter_secrets_begin(const struct filter_stream *f, struct window *w)
{
	struct secrets_state *s = &w->secrets;
	s->asleep = !filter_secrets_read(f, w);
	s->state = 0;
	s->cursor = filter_window_end(w);
	s->tries = s->tails = 0;
}

/* The window whose search decides for w, and the first of its places that w's text shares. */
static const struct window *decides(const struct filter_stream *f, const struct window *w,
				    uint64_t *from)
{
	uint64_t differed = 0;
	for (; w->reading != READING_DIRECT && (!w->awake || w->secrets.asleep); w--)
		differed = w->differed > differed ? w->differed : differed;
	*from = differed ? filter_window_clear(w, differed, f->set->secrets.behind) : 0;
	return w;
}

uint64_t filter_secrets_back(const struct filter_stream *f, const struct window *w)
{
	uint64_t from;
	w = decides(f, w, &from);
	uint64_t live = filter_secrets_live(f, w);
	return filter_window_end(w) - (live > from ? live : from);
}

/* Go on where the window stands that decided so far. */
void filter_secrets_wake(struct filter_stream *f, struct window *w)
{
	uint64_t from;
	const struct window *d = decides(f, w, &from);
	const struct automaton *a = f->set->secrets.automaton;
	struct secrets_state *s = &w->secrets;
	uint64_t end = filter_window_end(w), shift = end - filter_window_end(d);
	s->cursor = end;
	s->state = d->secrets.state;
	s->tries = s->tails = 0;
	s->asleep = false;
	if (back(d, d->secrets.cursor, filter_automaton_live(a, s->state)) < from) {
		s->state = 0;
		for (uint64_t at = from; at < filter_window_end(d); at++)
			s->state = step(a, s->state, d->text.bytes[at - d->base]);
	}
	for (size_t i = 0; i < d->secrets.tails; i++) {
		struct secret_tail_state t = d->secrets.tail[i];
		struct match which = { .start = t.start, .head_end = t.head_end, .rule = t.rule };
		t.at += shift;
		filter_match_share(f, &which);
		tail_keep(f, s, &t);
	}
	for (size_t i = 0; i < d->secrets.tries; i++) {
		struct secret_try t = d->secrets.try[i];
		if (t.key < from)
			continue;
		t.at = (t.at > from ? t.at : from) + shift;
		t.key += shift;
		try_keep(f, s, &t);
	}
}

void filter_secrets_close(struct window *w)
{
	free(w->secrets.try);
	free(w->secrets.tail);
}
