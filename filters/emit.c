/* Releasing bytes. By then every match that covers a byte is known, so what happens to the byte
 * depends on those matches alone. */
#include "base/check.h"
#include "filters/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- matches */

static bool same_match(const struct match *a, const struct match *b)
{
	return a->start == b->start && a->head_end == b->head_end && a->rule == b->rule;
}

/* Of two equal matches a mask shows what both show. */
static void unite(struct match *a, const struct match *b)
{
	a->strong |= b->strong;
	a->head = b->head < a->head ? b->head : a->head;
	a->tail = b->tail > a->tail ? b->tail : a->tail;
}

/* What a pattern finds inside of a strong number is a part of it: a telephone number in a card.
 * Both are known before the first byte that they share goes out. */
static bool yields(const struct filter_stream *f, const struct match *m, const struct match *strong)
{
	return strong->strong && f->set->rule[m->rule].yields && strong->start <= m->start &&
	       m->end <= strong->end;
}

static bool yields_to_any(const struct filter_stream *f, const struct match *m)
{
	for (size_t i = f->match_first; i < f->matches; i++)
		if (yields(f, m, &f->match[i]))
			return true;
	return false;
}

static void drop_yielding(struct filter_stream *f, const struct match *strong)
{
	size_t n = f->match_first;
	for (size_t i = n; i < f->matches; i++)
		if (!yields(f, &f->match[i], strong))
			f->match[n++] = f->match[i];
	f->matches = n;
}

/* Whether a lies in b, which is left alone. */
static bool spared(const struct match *a, const struct match *b)
{
	return b->spare && a->rule == b->rule && a->start >= b->start && a->end <= b->end;
}

/* Of a value that is left alone, nothing inside is a match, whether it was found before or comes
 * later. None of it has gone out: it begins no earlier than the value. */
static bool spare_inside(struct filter_stream *f, const struct match *m)
{
	size_t n = f->match_first;
	for (size_t i = f->match_first; i < f->matches; i++)
		if (spared(m, &f->match[i]))
			return true;
	for (size_t i = f->match_first; i < f->matches; i++)
		if (!spared(&f->match[i], m))
			f->match[n++] = f->match[i];
	f->matches = n;
	return false;
}

/* Windows that find the same head have a tail each: the match grows as far as the longest. */
bool filter_match_add(struct filter_stream *f, const struct match *m)
{
	struct match one = *m;
	one.head_end = one.end;
	check(one.start >= f->base && one.end > one.start);
	if (f->set->rule[m->rule].excepts && spare_inside(f, m))
		return false;
	if (f->set->rule[m->rule].yields && yields_to_any(f, m))
		return false;
	if (m->strong)
		drop_yielding(f, m);
	size_t at = f->matches;
	while (at > f->match_first && f->match[at - 1].start > one.start)
		at--;
	for (size_t i = at; i > f->match_first && f->match[i - 1].start == one.start; i--)
		if (same_match(&f->match[i - 1], &one)) {
			unite(&f->match[i - 1], &one);
			f->match[i - 1].tails += one.tails;
			return one.tails > 0;
		}
	if (f->matches == f->match_room) {
		size_t bigger = f->match_room * 2 + 16;
		struct match *p = realloc(f->match, bigger * sizeof *p);
		if (!p) {
			f->nomem = true;
			return false;
		}
		f->match = p;
		f->match_room = bigger;
	}
	memmove(f->match + at + 1, f->match + at, (f->matches - at) * sizeof *f->match);
	f->match[at] = one;
	f->matches++;
	return true;
}

/* The match of that start, head and rule which may still grow, or NULL. */
static struct match *growing(struct filter_stream *f, const struct match *which)
{
	for (size_t i = f->match_first; i < f->matches; i++)
		if (f->match[i].tails > 0 && same_match(&f->match[i], which))
			return &f->match[i];
	return NULL;
}

void filter_match_grow(struct filter_stream *f, const struct match *which, uint64_t end, bool over)
{
	struct match *m = growing(f, which);
	if (!m)
		return;
	if (end > m->end)
		m->end = m->tail = end;
	m->tails -= over;
}

void filter_match_share(struct filter_stream *f, const struct match *which)
{
	struct match *m = growing(f, which);
	if (m)
		m->tails++;
}

static void matches_forget(struct filter_stream *f)
{
	size_t n = 0;
	for (size_t i = f->match_first; i < f->matches; i++)
		if (f->match[i].end > f->base || f->match[i].tails > 0)
			f->match[n++] = f->match[i];
	f->match_first = 0;
	f->matches = n;
}

static const struct rule *rule_of(const struct filter_stream *f, const struct match *m)
{
	return &f->set->rule[m->rule];
}

/* Whether a match changes what goes out. */
static bool changes(const struct filter_stream *f, const struct match *m)
{
	return !f->shadow && rule_of(f, m)->action > FILTER_NOTICE;
}

static bool covers(const struct match *m, uint64_t at)
{
	return !m->spare && m->start <= at && at < m->end;
}

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
		if (covers(&f->match[i], at) && rule_of(f, &f->match[i])->action == action)
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
	enum json_part part;
	const char *as; /* what goes out: U+FFFD for ill-formed bytes, in every mode */
	size_t as_n;
};

/* The unit at raw[gone..), which the views have seen: so it is whole, or the text's last. */
static struct step look(const struct filter_stream *f, size_t gone)
{
	struct json_unit u;
	bool in_string = f->json && f->json_out->place.in_string;
	const char *bytes = f->raw.bytes + gone;
	filter_unit(&in_string, f->json, bytes, f->raw.len - gone, true, &u);
	return (struct step){ .at = f->base,
			      .bytes = bytes,
			      .n = u.n,
			      .cp = u.cp,
			      .part = u.part,
			      .as = u.ill ? "\xEF\xBF\xBD" : bytes,
			      .as_n = u.ill ? 3 : u.n };
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

/* The replacement of a rule; in JSON it stands in a string. */
static void put_replacement(struct filter_stream *f, struct found *x, const struct rule *r)
{
	char escape[8];
	if (!f->json) {
		put(f, x, r->replacement, r->replacement_len);
		return;
	}
	for (size_t i = 0; i < r->replacement_len; i++) {
		const char *c = &r->replacement[i];
		if (*c == '"' || *c == '\\')
			put(f, x, "\\", 1);
		if ((unsigned char)*c < 0x20)
			put(f, x, escape, (size_t)sprintf(escape, "\\u%04x", (unsigned)*c));
		else
			put(f, x, c, 1);
	}
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
	if (f->json && changes(f, m)) {
		x->pub.replacement_len = f->json_out->owed;
		f->json_out->owed = 0;
		f->json_out->key_changed = true;
	}
	if (!f->shadow && (r->action == FILTER_REDACT || r->action == FILTER_REPLACE))
		put_replacement(f, x, r);
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

/* ---- JSON */

/* The finding that a byte added behind it belongs to. */
static struct found *last_change(struct filter_stream *f)
{
	for (size_t i = f->founds; i > 0; i--)
		if (f->found[i - 1].pub.action > FILTER_NOTICE)
			return &f->found[i - 1];
	return NULL;
}

/* A number or word begins: whether it goes out as a string is decided now, so that all of it that
 * may be changed must be known. Returns whether it is. */
static bool enter_bare(struct filter_stream *f, size_t gone, uint64_t limit, bool final)
{
	size_t len = (size_t)(limit - f->base), at = 0;
	bool in_string = false, quoted = false;
	struct json_unit u;
	for (; at < len && at < JSON_BARE_MAX; at += u.n) {
		filter_unit(&in_string, true, f->raw.bytes + gone + at, len - at, true, &u);
		if (u.part != JSON_BARE)
			break;
		const struct match *m = strongest(f, f->base + at);
		quoted |= m && changes(f, m);
	}
	if (at == len && at < JSON_BARE_MAX && !final)
		return false;
	f->json_out->bare = true;
	f->json_out->quoted = quoted;
	if (quoted) {
		put(f, NULL, "\"", 1);
		f->json_out->owed = 1;
	}
	return true;
}

static void leave_bare(struct filter_stream *f)
{
	if (f->json_out->quoted)
		put(f, last_change(f), "\"", 1);
	f->json_out->bare = f->json_out->quoted = false;
	f->json_out->owed = 0;
}

/* A mark goes by: keys that a rule changed are told apart by a number, and no finding reaches over
 * it. */
static void pass_mark(struct filter_stream *f, const struct step *s)
{
	struct json_out *j = f->json_out;
	char number[16];
	if (s->cp == '"' && j->place.in_key && j->key_changed) {
		unsigned nth = filter_json_count_key(&j->place);
		if (nth > 1)
			put(f, last_change(f), number,
			    (size_t)snprintf(number, sizeof number, "#%u", nth));
	}
	j->key_changed = false;
	filter_json_mark(&j->place, s->cp);
	f->open = false;
}

/* What comes before a unit of JSON; false: it must wait. */
static bool prepare(struct filter_stream *f, const struct step *s, size_t gone, uint64_t limit,
		    bool final)
{
	struct json_out *j = f->json_out;
	if (s->part != JSON_BARE && j->bare)
		leave_bare(f);
	if (s->part == JSON_BARE && !j->bare)
		return enter_bare(f, gone, limit, final);
	if (s->part == JSON_MARK)
		pass_mark(f, s);
	return true;
}

/* Whether a match ends the text: its rule says so, or what it changes cannot be changed and be
 * JSON. */
static bool blocks(const struct filter_stream *f, const struct step *s, const struct match *m)
{
	const struct json_out *j = f->json_out;
	if (!changes(f, m))
		return false;
	if (rule_of(f, m)->action == FILTER_BLOCK)
		return true;
	if (!f->json || s->part == JSON_MARK)
		return false;
	return (s->part == JSON_BARE && !j->quoted) || filter_json_too_deep(&j->place) ||
	       (f->keys_stay && j->place.in_key);
}

/* ---- going on */

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
	while (f->match_first < f->matches && f->match[f->match_first].end <= f->base &&
	       f->match[f->match_first].tails == 0)
		f->match_first++;
}

/* The unit at raw[gone..): how many bytes are done with; 0: it waits, or the text is blocked. */
static size_t emit_unit(struct filter_stream *f, size_t gone, uint64_t limit, bool final)
{
	struct step s = look(f, gone);
	if (f->json && !prepare(f, &s, gone, limit, final))
		return 0;
	const struct match *m = strongest(f, s.at);
	if (m && blocks(f, &s, m)) {
		block(f, &s, m);
		return 0;
	}
	if (m && (!f->json || s.part != JSON_MARK || rule_of(f, m)->action <= FILTER_NOTICE))
		covered(f, &s, m);
	else
		bare(f, &s);
	return s.n;
}

void filter_emit_until(struct filter_stream *f, uint64_t limit, bool final)
{
	size_t gone = 0;
	while (f->base < limit && !f->nomem) {
		size_t n = f->json || f->swallow || f->ill_end > f->base ? 0 : run(f, limit);
		if (n) {
			put(f, NULL, f->raw.bytes + gone, n);
			f->open = false;
		} else {
			n = emit_unit(f, gone, limit, final);
		}
		if (n == 0)
			break;
		gone += n;
		advance(f, n);
	}
	if (final && f->json && f->record.end == FILTER_OPEN)
		leave_bare(f);
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
	struct filter_finding *x =
		f->founds ? arena_array(&f->record_arena, f->founds, sizeof *x) : NULL;
	f->record.finding = x;
	f->record.findings = x ? f->founds : 0;
	for (size_t i = 0; x && i < f->founds; i++) {
		x[i] = f->found[i].pub;
		x[i].rules = rules_text(f, &f->found[i]);
	}
}
