/* Releasing bytes. By then every match that covers a byte is known, so what happens to the byte
 * depends on those matches alone. */
#include "base/check.h"
#include "base/text.h"
#include "filters/stream.h"

#include <stdlib.h>
#include <string.h>

/* ---- matches */

static bool same_match(const struct match *a, const struct match *b)
{
	return a->start == b->start && a->end == b->end && a->rule == b->rule;
}

void filter_match_add(struct filter_stream *f, const struct match *m)
{
	check(m->start >= f->base && m->end > m->start);
	size_t at = f->matches;
	while (at > f->match_first && f->match[at - 1].start > m->start)
		at--;
	for (size_t i = at; i > f->match_first && f->match[i - 1].start == m->start; i--)
		if (same_match(&f->match[i - 1], m))
			return;
	if (f->matches == f->match_room) {
		size_t bigger = f->match_room * 2 + 16;
		struct match *p = realloc(f->match, bigger * sizeof *p);
		if (!p) {
			f->nomem = true;
			return;
		}
		f->match = p;
		f->match_room = bigger;
	}
	memmove(f->match + at + 1, f->match + at, (f->matches - at) * sizeof *f->match);
	f->match[at] = *m;
	f->matches++;
}

static void matches_forget(struct filter_stream *f)
{
	size_t n = 0;
	for (size_t i = f->match_first; i < f->matches; i++)
		if (f->match[i].end > f->base)
			f->match[n++] = f->match[i];
	f->match_first = 0;
	f->matches = n;
}

static const struct rule *rule_of(const struct filter_stream *f, const struct match *m)
{
	return &f->set->rule[m->rule];
}

static bool covers(const struct match *m, uint64_t at) { return m->start <= at && at < m->end; }

/* The strongest match over a byte; among equals the one of the first id, since rules are sorted by
 * id. */
static const struct match *strongest(const struct filter_stream *f, uint64_t at)
{
	const struct match *best = NULL;
	for (size_t i = f->match_first; i < f->matches && f->match[i].start <= at; i++) {
		const struct match *m = &f->match[i];
		if (!covers(m, at))
			continue;
		if (!best || rule_of(f, m)->action > rule_of(f, best)->action ||
		    (rule_of(f, m)->action == rule_of(f, best)->action && m->rule < best->rule))
			best = m;
	}
	return best;
}

/* Whether one match of this action covers both the byte and the one before it. */
static bool joined(const struct filter_stream *f, uint64_t at, enum filter_action action)
{
	for (size_t i = f->match_first; i < f->matches && f->match[i].start < at; i++)
		if (f->match[i].end > at && rule_of(f, &f->match[i])->action == action)
			return true;
	return false;
}

/* ---- findings */

static struct found *finding_new(struct filter_stream *f)
{
	if (!f->found || f->founds == f->found_room) {
		size_t bigger = f->found_room * 2 + 16;
		struct found *p = realloc(f->found, bigger * sizeof *p);
		if (!p) {
			f->nomem = true;
			return NULL;
		}
		f->found = p;
		f->found_room = bigger;
	}
	f->found[f->founds] = (struct found){ 0 };
	return &f->found[f->founds++];
}

static void finding_rule(struct filter_stream *f, struct found *x, uint32_t rule)
{
	uint32_t at = x->rules;
	while (at > 0 && x->rule[at - 1] > rule)
		at--;
	if (at > 0 && x->rule[at - 1] == rule)
		return;
	if (x->rules == x->room) {
		uint32_t bigger = x->room * 2 + 2;
		uint32_t *p = realloc(x->rule, bigger * sizeof *p);
		if (!p) {
			f->nomem = true;
			return;
		}
		x->rule = p;
		x->room = bigger;
	}
	memmove(x->rule + at + 1, x->rule + at, (x->rules - at) * sizeof *x->rule);
	x->rule[at] = rule;
	x->rules++;
}

static void finding_rules(struct filter_stream *f, struct found *x, uint64_t at)
{
	for (size_t i = f->match_first; i < f->matches && f->match[i].start <= at; i++)
		if (covers(&f->match[i], at))
			finding_rule(f, x, f->match[i].rule);
}

void filter_findings_close(struct filter_stream *f)
{
	for (size_t i = 0; i < f->founds; i++)
		free(f->found[i].rule);
	free(f->found);
	free(f->match);
}

/* ---- bytes */

struct step {
	uint64_t at;
	const char *bytes;
	size_t n;
	uint32_t cp;
	const char *as; /* what goes out: U+FFFD for ill-formed bytes, in every mode */
	size_t as_n;
};

static struct step look(const struct filter_stream *f, size_t gone)
{
	struct step s = { .at = f->base, .bytes = f->raw.bytes + gone };
	int n = text_utf8_decode(s.bytes, f->raw.len - gone, &s.cp);
	if (n <= 0)
		s.cp = 0xFFFD;
	s.n = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : f->raw.len - gone;
	s.as = n > 0 ? s.bytes : "\xEF\xBF\xBD";
	s.as_n = n > 0 ? s.n : 3;
	return s;
}

/* A mask shows a byte if every match over it agrees to, or if it is neither letter nor digit. */
static bool shown(const struct filter_stream *f, const struct step *s)
{
	if (!filter_view_alnum(s->cp) && s->cp != 0xFFFD)
		return true;
	for (size_t i = f->match_first; i < f->matches && f->match[i].start <= s->at; i++) {
		const struct match *m = &f->match[i];
		if (covers(m, s->at) && rule_of(f, m)->action == FILTER_MASK && s->at >= m->head &&
		    s->at < m->tail)
			return false;
	}
	return true;
}

static void put(struct filter_stream *f, struct found *x, const char *bytes, size_t n)
{
	buf_add(&f->out, bytes, n);
	if (x)
		x->pub.replacement_len += (uint32_t)n;
}

static struct found *segment(struct filter_stream *f, const struct step *s, const struct match *m)
{
	const struct rule *r = rule_of(f, m);
	struct found *last = f->founds ? &f->found[f->founds - 1] : NULL;
	if (f->open && last && last->pub.action == r->action && last->pub.end == s->at &&
	    joined(f, s->at, r->action))
		return last;
	struct found *x = finding_new(f);
	if (!x)
		return NULL;
	x->pub.start = x->pub.end = s->at;
	x->pub.action = r->action;
	x->pub.detector = r->detector;
	if (!f->shadow && (r->action == FILTER_REDACT || r->action == FILTER_REPLACE))
		put(f, x, r->replacement, r->replacement_len);
	return x;
}

/* Emit, replace or withhold a byte that some match covers. */
static void covered(struct filter_stream *f, const struct step *s, const struct match *m)
{
	struct found *x = segment(f, s, m);
	if (!x)
		return;
	enum filter_action a = rule_of(f, m)->action;
	finding_rules(f, x, s->at);
	x->pub.end = s->at + s->n;
	f->open = true;
	f->swallow = a != FILTER_FLAG;
	if (f->shadow || a == FILTER_FLAG)
		put(f, x, s->as, s->as_n);
	else if (a == FILTER_MASK)
		put(f, x, shown(f, s) ? s->as : "*", shown(f, s) ? s->as_n : 1);
}

/* Emit a byte that no match covers; a combining mark right behind a withheld span is withheld
 * too. */
static void bare(struct filter_stream *f, const struct step *s)
{
	f->open = false;
	if (!f->swallow || !filter_view_swallowed(s->cp)) {
		f->swallow = false;
		put(f, NULL, s->as, s->as_n);
		return;
	}
	struct found *x = &f->found[f->founds - 1];
	x->pub.end = s->at + s->n;
	if (f->shadow)
		put(f, x, s->as, s->as_n);
}

static void block(struct filter_stream *f, const struct step *s, const struct match *m)
{
	struct found *x = finding_new(f);
	if (!x)
		return;
	x->pub = (struct filter_finding){ .start = s->at,
					  .end = m->end,
					  .action = FILTER_BLOCK,
					  .detector = rule_of(f, m)->detector };
	for (size_t i = f->match_first; i < f->matches && f->match[i].start <= s->at; i++) {
		const struct match *k = &f->match[i];
		if (covers(k, s->at) && rule_of(f, k)->action == FILTER_BLOCK &&
		    k->end > x->pub.end)
			x->pub.end = k->end;
	}
	finding_rules(f, x, s->at);
	f->record.end = FILTER_BLOCKED;
	f->record.end_offset = s->at;
}

/* How many bytes from here on no match covers. */
static size_t run(const struct filter_stream *f, uint64_t limit)
{
	uint64_t end = limit;
	for (size_t i = f->match_first; i < f->matches && f->match[i].start < end; i++)
		if (f->match[i].end > f->base)
			end = f->match[i].start;
	return end > f->base ? (size_t)(end - f->base) : 0;
}

static void advance(struct filter_stream *f, size_t n)
{
	f->base += n;
	while (f->match_first < f->matches && f->match[f->match_first].end <= f->base)
		f->match_first++;
}

void filter_emit_until(struct filter_stream *f, uint64_t limit)
{
	size_t gone = 0;
	while (f->base < limit && !f->nomem) {
		size_t n = f->swallow || f->ill_end > f->base ? 0 : run(f, limit);
		if (n) {
			put(f, NULL, f->raw.bytes + gone, n);
			f->open = false;
		} else {
			struct step s = look(f, gone);
			const struct match *m = strongest(f, s.at);
			if (m && rule_of(f, m)->action == FILTER_BLOCK && !f->shadow) {
				block(f, &s, m);
				break;
			}
			if (m)
				covered(f, &s, m);
			else
				bare(f, &s);
			n = s.n;
		}
		gone += n;
		advance(f, n);
	}
	if (gone) {
		sha256_add(f->seen_hash, f->raw.bytes, gone);
		buf_drop(&f->raw, gone);
		f->fed = f->fed > gone ? f->fed - gone : 0;
	}
	matches_forget(f);
}

/* ---- the record */

static const char *rules_text(struct filter_stream *f, const struct found *x)
{
	struct buf b = { 0 };
	for (uint32_t i = 0; i < x->rules; i++) {
		buf_add_text(&b, i ? "," : "");
		buf_add_text(&b, f->set->rule[x->rule[i]].id);
	}
	const char *text =
		b.failed ? NULL : arena_copy(&f->record_arena, b.bytes ? b.bytes : "", b.len);
	buf_free(&b);
	return text ? text : "";
}

void filter_record_fill(struct filter_stream *f)
{
	arena_free(&f->record_arena);
	struct filter_finding *x = arena_array(&f->record_arena, f->founds + 1, sizeof *x);
	f->record.finding = x;
	f->record.findings = x ? f->founds : 0;
	for (size_t i = 0; x && i < f->founds; i++) {
		x[i] = f->found[i].pub;
		x[i].rules = rules_text(f, &f->found[i]);
	}
}
