/* Building a set: rules in order of their ids, so that no result depends on the order in which they
 * were written. */
#include "filters/set.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const action_name[] = { "flag",   "notice", "replace", "mask",
					   "redact", "queue",  "stop",    "block" };

const char *filter_action_name(enum filter_action a) { return action_name[a]; }

const char *filter_end_name(enum filter_end end)
{
	static const char *const names[] = { "open", "complete", "blocked", "engine_limit",
					     "disconnected" };
	return names[end];
}

int filter_action_parse(const char *name, enum filter_action *out)
{
	for (int i = 0; i <= FILTER_BLOCK; i++)
		if (strcmp(name, action_name[i]) == 0) {
			*out = (enum filter_action)i;
			return 0;
		}
	return ERR_INPUT;
}

const char *const filter_context_names[] = { "weak", "always", "alone", NULL };
const char *const filter_decode_names[] = { "percent",          "entity", "backslash", "markup",
					    "quoted-printable", "base64", "hex",       NULL };

bool filter_set_withholds(const struct filter_set *s)
{
	for (size_t i = 0; i < s->rules; i++)
		if (s->rule[i].action > FILTER_NOTICE)
			return true;
	return false;
}

bool filter_set_knows(const struct filter_set *s, const char *id)
{
	size_t low = 0, high = s->rules;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(id, s->rule[middle].id);
		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

void filter_set_free(struct filter_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->probes; i++)
		filter_regex_free(&s->probe[i].regex);
	for (size_t i = 0; i < s->groups; i++) {
		if (s->group[i].b != s->group[i].a)
			filter_automaton_free(s->group[i].b);
		if (s->group[i].b_reversed != s->group[i].a_reversed)
			filter_automaton_free(s->group[i].b_reversed);
		filter_automaton_free(s->group[i].a);
		filter_automaton_free(s->group[i].a_reversed);
	}
	filter_automaton_free(s->secrets.automaton);
	filter_numbers_free(s->numbers);
	arena_free(&s->arena);
	free(s);
}

/* ---- rules */

static int nomem(struct err *e) { return err_set(e, ERR_NOMEM, "out of memory for the rules"); }

static int rule_check(const struct filter_rule *r, struct err *e)
{
	if (!r->id || !*r->id || strpbrk(r->id, ",\n"))
		return err_set(e, ERR_INPUT, "a rule's id is text without comma and newline");
	if ((r->literal_count > 0) + (r->regex != NULL) + (r->detector != NULL) != 1)
		return err_set(e, ERR_INPUT,
			       "rule %s: exactly one of literals, regex and detector is needed",
			       r->id);
	if (r->action == FILTER_NOTICE || r->action == FILTER_QUEUE || r->action == FILTER_STOP)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: action %s (rule %s)",
			       filter_action_name(r->action), r->id);
	if (r->detector && !filter_detector_known(r->detector))
		return err_set(e, ERR_INPUT, "rule %s: there is no detector \"%s\"", r->id,
			       r->detector);
	if (r->context == FILTER_CONTEXT_ALWAYS && r->detector &&
	    !filter_detector_worded(r->detector))
		return err_set(
			e, ERR_INPUT,
			"rule %s: context \"always\": the detector %s has no words of its own, "
			"and would find nothing",
			r->id, r->detector);
	if (r->decode > FILTER_DECODE_NONE)
		return err_set(e, ERR_INPUT,
			       "rule %s: decode is a set of encodings, or FILTER_DECODE_NONE",
			       r->id);
	if (r->gap_max > GAP_MAX)
		return err_set(e, ERR_INPUT, "rule %s: gap_max is at most %d", r->id, GAP_MAX);
	if (r->replacement && !text_utf8_valid(r->replacement, strlen(r->replacement)))
		return err_set(e, ERR_INPUT, "rule %s: the replacement is not UTF-8", r->id);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(const struct filter_rule *const *)a)->id,
		      (*(const struct filter_rule *const *)b)->id);
}

static int rules_sort(const struct filter_rule **sorted, const struct filter_rule *rule,
		      size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		TRY(rule_check(&rule[i], e));
		sorted[i] = &rule[i];
	}
	qsort(sorted, count, sizeof *sorted, by_id);
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i]->id, sorted[i - 1]->id) == 0)
			return err_set(e, ERR_INPUT, "two rules have the id %s", sorted[i]->id);
	return 0;
}

static int rule_copy(struct filter_set *s, struct rule *to, const struct filter_rule *from,
		     struct err *e)
{
	const char *text = from->replacement ? from->replacement : "[redacted]";
	bool none = from->literal_count && from->fold == FILTER_FOLD_NONE;
	to->action = from->action;
	to->context = from->context;
	to->decode = from->decode ? from->decode : none ? FILTER_DECODE_NONE : FILTER_DECODE_ALL;
	to->id = arena_copy(&s->arena, from->id, strlen(from->id));
	to->replacement = arena_copy(&s->arena, text, strlen(text));
	to->replacement_len = (uint32_t)strlen(text);
	const char *detector = from->detector ? from->detector : "";
	to->detector = arena_copy(&s->arena, detector, strcspn(detector, "/"));
	for (size_t i = 0; from->detector && filter_detector_contact(i); i++)
		to->yields |= filter_detector_is(filter_detector_contact(i), from->detector);
	if (!to->id || !to->replacement || !to->detector)
		return nomem(e);
	return filter_except_copy(s, to, from, e);
}

static void widen(struct filter_set *s, size_t bytes)
{
	if (bytes > s->width)
		s->width = bytes;
}

/* A kept character, or the dropped one that is one too many, has so many bytes at most. What is
 * dropped in front of it counts against VIEW_NOISE_MAX: one for a character, and one for each 16
 * characters (bytes, for they are ASCII) of an escape. */
size_t filter_set_spread(uint32_t decode, uint32_t gap_max)
{
	if (!(decode & FILTER_DECODE_ALL))
		return 4 * (1 + (size_t)gap_max + VIEW_NOISE_MAX);
	size_t most = decode & FILTER_DECODE_RUNS ? RUN_CHAR_MAX : DECODE_SIGN_MAX;
	return most * (1 + (size_t)gap_max) + 16 * VIEW_NOISE_MAX;
}

/* ---- regexes and detectors */

static int probe_add(struct filter_set *s, const char *regex, uint32_t repeat_max,
		     const struct detector *d, uint32_t rule, struct err *e)
{
	struct probe *p = &s->probe[s->probes];
	int r = filter_regex_compile(&p->regex, regex, repeat_max, d == NULL, e);
	if (r < 0)
		return err_prefix(e, "rule %s", s->rule[rule].id);
	s->probes++;
	p->detector = d;
	p->rule = rule;
	p->view = !d ? TEXT_PLAIN : d->raw ? TEXT_RAW : TEXT_VALUE;
	p->behind = d && d->check ? DETECT_BEFORE : 0;
	if (p->regex.behind > p->behind)
		p->behind = p->regex.behind;
	/* Two more: the one that filter_window_sleeps looks at, and one that is never the first. */
	if (p->behind + 2 > s->context)
		s->context = p->behind + 2;
	if (p->view == TEXT_RAW) {
		widen(s, (size_t)p->regex.width * 4);
		return 0;
	}
	uint32_t decode = s->rule[rule].decode & FILTER_DECODE_ALL;
	s->decodes |= decode;
	/* Decoded text is held until the character behind it has come: filter_window_awaits. */
	widen(s, ((size_t)p->regex.width + (decode != 0)) * filter_set_spread(decode, 0));
	return 0;
}

static int probes_build(struct filter_set *s, const struct filter_rule **rule, struct err *e)
{
	size_t rows = 0;
	while (filter_detector_at(rows))
		rows++;
	s->probe = arena_array(&s->arena, s->rules * rows + 1, sizeof *s->probe);
	if (!s->probe)
		return nomem(e);
	for (uint32_t i = 0; i < s->rules; i++) {
		if (rule[i]->regex)
			TRY(probe_add(s, rule[i]->regex, rule[i]->repeat_max, NULL, i, e));
		for (size_t k = 0; rule[i]->detector && k < rows; k++) {
			const struct detector *d = filter_detector_at(k);
			if (filter_detector_is(d, rule[i]->detector))
				TRY(probe_add(s, d->regex, 0, d, i, e));
		}
	}
	return 0;
}

static int numbers_build(struct filter_set *s, const struct filter_rule *const *rule, struct err *e)
{
	uint32_t width;
	TRY(filter_numbers_build(&s->numbers, rule, s->rules, &s->arena, e));
	if (!s->numbers)
		return 0;
	width = filter_numbers_width(s->numbers);
	for (size_t i = 0; i < s->numbers->kinds; i++)
		for (uint32_t r = 0; r < s->numbers->kind[i].rules; r++) {
			uint32_t decode = s->rule[s->numbers->kind[i].rule[r].rule].decode;
			s->numbers->decodes |= decode & FILTER_DECODE_ALL;
			widen(s, width * filter_set_spread(decode, 0));
		}
	s->decodes |= s->numbers->decodes;
	if (s->context < NUMBER_BEHIND + 2)
		s->context = NUMBER_BEHIND + 2;
	return 0;
}

/* ---- literals */

struct folded {
	struct automaton_literal *item;
	size_t count;
};

/* folded: of the call, reused by the next. */
static int fold_literal(struct filter_set *s, enum view v, const char *text, struct buf *folded,
			struct automaton_literal *out, struct err *e)
{
	size_t len = strlen(text);
	buf_clear(folded);
	for (size_t at = 0; at < len;) {
		uint32_t c;
		int n = text_utf8_decode(text + at, len - at, &c);
		if (n <= 0)
			return err_set(e, ERR_INPUT, "a literal is not UTF-8");
		at += (size_t)n;
		struct fold f;
		filter_view_fold(v, c, &f);
		buf_add(folded, f.cp, (size_t)f.n * sizeof *f.cp);
	}
	TRY(buf_done(folded, e));
	out->n = folded->len / sizeof *out->cp;
	if (out->n == 0)
		return err_set(e, ERR_INPUT, "the literal \"%.60s\" is empty after folding", text);
	uint32_t *cp = arena_array(&s->scratch, out->n, sizeof *cp);
	if (!cp)
		return nomem(e);
	memcpy(cp, folded->bytes, folded->len);
	out->cp = cp;
	return 0;
}

bool filter_literal_empty(const char *text, enum filter_fold fold)
{
	enum view v = fold == FILTER_FOLD_STRICT ? VIEW_STRICT_A
		      : fold == FILTER_FOLD_CASE ? VIEW_CASE
						 : VIEW_RAW;
	size_t len = strlen(text);
	uint32_t c;
	struct fold f;
	for (size_t at = 0, n; at < len; at += n) {
		int bytes = text_utf8_decode(text + at, len - at, &c);
		n = bytes > 0 ? (size_t)bytes : len - at;
		filter_view_fold(v, c, &f);
		if (bytes > 0 && f.n > 0)
			return false;
	}
	return true;
}

static bool in_group(const struct group *g, const struct filter_rule *r)
{
	return r->literal_count > 0 && r->fold == g->fold &&
	       (r->fold != FILTER_FOLD_STRICT || r->gap_max == g->gap_max);
}

/* Whether a literal is one of those that its rule leaves out, by the rule's own fold. */
static int left_out(struct filter_set *s, const struct filter_rule *rule, enum view v,
		    struct buf *folded, const struct automaton_literal *l, bool *out, struct err *e)
{
	*out = false;
	for (size_t i = 0; i < rule->except_count && !*out; i++) {
		struct automaton_literal x;
		TRY(fold_literal(s, v, rule->except[i], folded, &x, e));
		*out = x.n == l->n && memcmp(x.cp, l->cp, x.n * sizeof *x.cp) == 0;
	}
	return 0;
}

/* The literals of one rule, behind those that are there. */
static int fold_rule(struct filter_set *s, const struct filter_rule *rule, uint32_t index,
		     enum view v, struct buf *folded, struct folded *out, struct err *e)
{
	size_t before = out->count;
	for (size_t k = 0; k < rule->literal_count; k++) {
		struct automaton_literal *l = &out->item[out->count];
		bool skip;
		l->rule = index;
		if (fold_literal(s, v, rule->literal[k], folded, l, e) < 0 ||
		    left_out(s, rule, v, folded, l, &skip, e) < 0)
			return err_prefix(e, "rule %s", rule->id);
		out->count += !skip;
	}
	return out->count > before
		       ? 0
		       : err_set(e, ERR_INPUT,
				 "rule %s: except.literals leaves none of its literals", rule->id);
}

/* All literals of a group in one view, with their greatest number of characters. */
static int fold_group(struct filter_set *s, const struct group *g, const struct filter_rule **rule,
		      enum view v, struct folded *out, struct err *e)
{
	size_t total = 0;
	for (size_t i = 0; i < s->rules; i++)
		total += in_group(g, rule[i]) ? rule[i]->literal_count : 0;
	out->item = arena_array(&s->scratch, total, sizeof *out->item);
	out->count = 0;
	if (!out->item)
		return nomem(e);
	struct buf folded = { 0 };
	int rc = 0;
	for (uint32_t i = 0; i < s->rules && rc == 0; i++)
		if (in_group(g, rule[i]))
			rc = fold_rule(s, rule[i], i, v, &folded, out, e);
	buf_free(&folded);
	return rc;
}

static bool same_folded(const struct folded *a, const struct folded *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->item[i].n != b->item[i].n ||
		    memcmp(a->item[i].cp, b->item[i].cp, a->item[i].n * sizeof *a->item[i].cp) != 0)
			return false;
	return true;
}

/* The second of the two strict views: most words are the same in both, and share the automata. */
static int second_view(struct filter_set *s, struct group *g, const struct filter_rule **rule,
		       const struct folded *first, struct err *e)
{
	struct folded f;
	TRY(fold_group(s, g, rule, VIEW_STRICT_B, &f, e));
	if (same_folded(first, &f)) {
		g->b = g->a;
		g->b_reversed = g->a_reversed;
		return 0;
	}
	TRY(filter_automaton_build(&g->b, f.item, f.count, 0, e));
	return filter_automaton_build(&g->b_reversed, f.item, f.count, 1, e);
}

static int group_build(struct filter_set *s, struct group *g, const struct filter_rule **rule,
		       struct err *e)
{
	bool strict = g->fold == FILTER_FOLD_STRICT;
	struct folded f;
	enum view v = strict ? VIEW_STRICT_A : g->fold == FILTER_FOLD_CASE ? VIEW_CASE : VIEW_RAW;
	TRY(fold_group(s, g, rule, v, &f, e));
	TRY(filter_automaton_build(&g->a, f.item, f.count, 0, e));
	size_t longest = filter_automaton_longest(g->a);
	if (strict) {
		s->strict = true;
		TRY(filter_automaton_build(&g->a_reversed, f.item, f.count, 1, e));
		TRY(second_view(s, g, rule, &f, e));
		if (filter_automaton_longest(g->b) > longest)
			longest = filter_automaton_longest(g->b);
	}
	for (size_t i = 0; i < s->rules; i++)
		g->decodes |= in_group(g, rule[i]) ? s->rule[i].decode & FILTER_DECODE_ALL : 0;
	s->decodes |= g->decodes;
	widen(s, g->fold == FILTER_FOLD_NONE && !g->decodes
			 ? longest * 4
			 : longest * filter_set_spread(g->decodes, strict ? g->gap_max : 0));
	return 0;
}

static int groups_build(struct filter_set *s, const struct filter_rule **rule, struct err *e)
{
	s->group = arena_array(&s->arena, s->rules + 1, sizeof *s->group);
	if (!s->group)
		return nomem(e);
	for (size_t i = 0; i < s->rules; i++) {
		bool known = rule[i]->literal_count == 0;
		for (size_t k = 0; k < s->groups && !known; k++)
			known = in_group(&s->group[k], rule[i]);
		if (known)
			continue;
		struct group *g = &s->group[s->groups++];
		g->fold = rule[i]->fold;
		g->gap_max = rule[i]->gap_max;
		TRY(group_build(s, g, rule, e));
	}
	return 0;
}

/* ---- the whole */

static int build(struct filter_set *s, const struct filter_rule *rule, size_t count, struct err *e)
{
	const struct filter_rule **sorted = arena_array(&s->arena, count + 1, sizeof *sorted);
	s->rule = arena_array(&s->arena, count + 1, sizeof *s->rule);
	if (!sorted || !s->rule)
		return nomem(e);
	TRY(rules_sort(sorted, rule, count, e));
	s->rules = count;
	s->width = 3; /* an unfinished character */
	for (size_t i = 0; i < count; i++)
		TRY(rule_copy(s, &s->rule[i], sorted[i], e));
	TRY(probes_build(s, sorted, e));
	TRY(numbers_build(s, sorted, e));
	TRY(filter_set_secrets(s, sorted, e));
	TRY(groups_build(s, sorted, e));
	s->behind = s->context;
	/* A run that is read later than it began wants what stands in front of it. */
	s->behind += s->decodes & FILTER_DECODE_RUNS ? RUN_MIN * RUN_SIGN_MAX : 0;
	s->width += s->decodes ? (size_t)DECODE_BATCH * 4 + RUN_MIN * RUN_SIGN_MAX : 0;
	return 0;
}

int filter_set_build(struct filter_set **out, const struct filter_rule *rule, size_t count,
		     struct err *e)
{
	*out = NULL;
	struct filter_set *s = calloc(1, sizeof *s);
	if (!s)
		return nomem(e);
	int r = build(s, rule, count, e);
	arena_free(&s->scratch);
	if (r < 0) {
		filter_set_free(s);
		return r;
	}
	*out = s;
	return 0;
}
