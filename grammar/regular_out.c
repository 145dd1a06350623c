/* A regular language as rules: one for each state, which ends or reads a character and goes on with
 * the rule of the next. The automaton takes such calls, last in their rule, without a stack. */
#include "grammar/regular_in.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define SHARED_FROM 8 /* ranges: larger sets that several states read are rules of their own */

/* What one state reads on its way to each other. */
struct step {
	uint32_t to, first, count; /* range [first .. first+count) */
};

struct writer {
	const struct regular *r;
	struct step *step; /* [states]: of the state at work, those that are read */
	uint32_t steps;
	uint32_t *of; /* [states]: step + 1 */
	struct pattern_range *range;
};

static void writer_free(struct writer *w)
{
	free(w->step);
	free(w->of);
	free(w->range);
}

static bool writer_open(struct writer *w, const struct regular *r)
{
	*w = (struct writer){ .r = r,
			      .step = calloc((size_t)r->states + 1, sizeof *w->step),
			      .of = calloc((size_t)r->states + 1, sizeof *w->of),
			      .range = calloc((size_t)r->ranges + 1, sizeof *w->range) };
	return w->step != NULL && w->of != NULL && w->range != NULL;
}

/* Sort the ranges by where the state leads; states that accept nothing are left out. */
static void writer_take(struct writer *w, uint32_t state, const bool *none)
{
	const struct regular *r = w->r;
	const uint32_t *next = r->next + (size_t)state * r->classes;
	uint32_t at = 0;
	for (uint32_t i = 0; i < w->steps; i++)
		w->of[w->step[i].to] = 0;
	w->steps = 0;
	for (uint32_t i = 0; i < r->ranges; i++) {
		uint32_t to = next[r->range[i].class];
		if (none[to])
			continue;
		if (w->of[to] == 0) {
			w->step[w->steps++] = (struct step){ to, 0, 0 };
			w->of[to] = w->steps;
		}
		w->step[w->of[to] - 1].count++;
	}
	for (uint32_t i = 0; i < w->steps; i++) {
		w->step[i].first = at;
		at += w->step[i].count;
		w->step[i].count = 0;
	}
	for (uint32_t i = 0; i < r->ranges; i++) {
		uint32_t to = next[r->range[i].class];
		if (none[to])
			continue;
		struct step *s = &w->step[w->of[to] - 1];
		struct pattern_range *to_be = &w->range[s->first + s->count];
		if (s->count > 0 && to_be[-1].hi + 1 == r->range[i].lo)
			to_be[-1].hi = r->range[i].hi;
		else
			w->range[s->first + s->count++] =
				(struct pattern_range){ r->range[i].lo, r->range[i].hi };
	}
}

/* ---- as a tree ---- */

static uint32_t state_tree(struct writer *w, struct pattern *p, uint32_t state, uint32_t rules)
{
	struct pattern_list all = { 0 };
	if (w->r->accept[state])
		pattern_push(p, &all, pattern_add(p, PATTERN_EMPTY, 0, 0));
	for (uint32_t i = 0; i < w->steps && p->failed == 0; i++) {
		struct pattern_list one = { 0 };
		struct step s = w->step[i];
		uint32_t from = p->ranges;
		for (uint32_t k = s.first; k < s.first + s.count; k++)
			pattern_range_add(p, w->range[k].lo, w->range[k].hi);
		pattern_push(p, &one, pattern_set_close(p, from, false));
		pattern_push(p, &one, pattern_add(p, PATTERN_CALL, rules + s.to, 0));
		pattern_push(p, &all, pattern_close(p, &one, PATTERN_SEQ));
	}
	if (all.count == 0) /* a set without characters */
		return pattern_add(p, PATTERN_SET, 0, 0);
	return pattern_close(p, &all, PATTERN_ALT);
}

int regular_pattern(const struct regular *r, struct pattern *p, uint32_t *root, struct err *e)
{
	struct writer w = { 0 };
	bool *none = regular_none_states(r);
	uint32_t rules = p->rules;
	int rc = none != NULL && writer_open(&w, r) ? 0 : regular_memory(e);
	for (uint32_t s = 0; rc == 0 && s < r->states && p->failed == 0; s++)
		pattern_rule_add(p, PATTERN_NONE);
	for (uint32_t s = 0; rc == 0 && s < r->states && p->failed == 0; s++) {
		writer_take(&w, s, none);
		uint32_t tree = state_tree(&w, p, s, rules);
		if (p->failed == 0)
			p->rule[rules + s].root = tree;
	}
	*root = pattern_add(p, PATTERN_CALL, rules, 0);
	writer_free(&w);
	free(none);
	return rc < 0 ? rc : pattern_done(p, e);
}

/* ---- as text: the inside of a JSON string, or as it is ---- */

static void escape_write(struct buf *out, uint32_t cp, bool *any)
{
	static const char of[] = "\"\\\b\f\n\r\t", as[] = "\"\\bfnrt";
	const char *at = strchr(of, (int)cp);
	buf_add_text(out, *any ? " | " : "");
	*any = true;
	if (at != NULL)
		buf_printf(out, "\"\\\\%s%c\"",
			   as[at - of] == '"' || as[at - of] == '\\' ? "\\" : "", as[at - of]);
	else
		buf_printf(out, "\"\\\\u%04x\"", cp);
}

void regular_write_set(struct buf *out, const struct pattern_range *range, uint32_t count)
{
	static const struct pattern_range plain[] = { { 0x20, 0x21 },
						      { 0x23, 0x5B },
						      { 0x5D, 0x10FFFF } };
	bool any = false, open = false;
	buf_add_text(out, "(");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t cp = range[i].lo > 0 ? range[i].lo : 1;
		for (; cp <= range[i].hi && cp <= '\\'; cp++) {
			if (cp < 0x20 || cp == '"' || cp == '\\')
				escape_write(out, cp, &any);
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		for (size_t k = 0; k < sizeof plain / sizeof *plain; k++) {
			uint32_t lo = range[i].lo > plain[k].lo ? range[i].lo : plain[k].lo,
				 hi = range[i].hi < plain[k].hi ? range[i].hi : plain[k].hi;
			if (lo > hi)
				continue;
			buf_add_text(out, open ? "" : any ? " | [" : "[");
			open = true;
			buf_printf(out, lo == hi ? "\\U%08X" : "\\U%08X-\\U%08X", lo, hi);
		}
	}
	buf_add_text(out, open ? "])" : any ? ")" : "[])");
}

static void plain_set_write(struct buf *out, const struct pattern_range *range, uint32_t count)
{
	buf_add_text(out, "[");
	for (uint32_t i = 0; i < count; i++)
		if (range[i].hi > 0)
			buf_printf(out, "\\U%08X-\\U%08X", range[i].lo > 0 ? range[i].lo : 1,
				   range[i].hi);
	buf_add_text(out, "]");
}

/* Sets that were written as rules; a set that was seen before is not written again. */
struct shared {
	json_t *sets; /* text: number */
	uint32_t count;
	bool plain; /* characters stand as they are */
};

static int step_write(struct shared *sh, const struct pattern_range *range, uint32_t count,
		      const char *prefix, struct buf *line, struct buf *rules)
{
	struct buf set = { 0 };
	if (sh->plain)
		plain_set_write(&set, range, count);
	else
		regular_write_set(&set, range, count);
	if (count < SHARED_FROM) {
		buf_add_buf(line, &set);
		buf_free(&set);
		return 0;
	}
	const json_t *known = set.failed ? NULL : json_object_get(sh->sets, set.bytes);
	uint32_t number = known != NULL ? (uint32_t)json_integer_value(known) : sh->count++;
	bool ok = !set.failed;
	if (ok && known == NULL) {
		buf_printf(rules, "%s-s%u ::= ", prefix, number);
		buf_add_buf(rules, &set);
		buf_add_text(rules, "\n");
		ok = json_object_set_new(sh->sets, set.bytes, json_integer(number)) == 0;
	}
	buf_printf(line, "%s-s%u", prefix, number);
	buf_free(&set);
	return ok ? 0 : ERR_NOMEM;
}

static int state_write(struct writer *w, struct shared *sh, uint32_t state, const char *prefix,
		       struct buf *rules, struct err *e)
{
	struct buf line = { 0 };
	int rc = 0;
	if (state == 0)
		buf_printf(&line, "%s ::= ", prefix);
	else
		buf_printf(&line, "%s-%u ::= ", prefix, state);
	bool any = w->r->accept[state];
	buf_add_text(&line, any ? "\"\"" : w->steps == 0 ? "[]" : "");
	for (uint32_t i = 0; i < w->steps && rc == 0; i++) {
		struct step s = w->step[i];
		buf_add_text(&line, any ? " | " : "");
		any = true;
		rc = step_write(sh, w->range + s.first, s.count, prefix, &line, rules);
		if (s.to == 0)
			buf_printf(&line, " %s", prefix);
		else
			buf_printf(&line, " %s-%u", prefix, s.to);
	}
	buf_add_text(&line, "\n");
	buf_add_buf(rules, &line);
	rules->failed |= line.failed;
	buf_free(&line);
	return rc < 0 ? regular_memory(e) : 0;
}

static int rules_write(const struct regular *r, bool plain, const char *prefix, struct buf *rules,
		       struct err *e)
{
	struct writer w = { 0 };
	struct shared sh = { json_object(), 0, plain };
	bool *none = regular_none_states(r);
	int rc = none != NULL && sh.sets != NULL && writer_open(&w, r) ? 0 : regular_memory(e);
	if (rc == 0)
		rc = regular_charge(r, (uint64_t)r->states * r->ranges, e);
	for (uint32_t s = 0; rc == 0 && s < r->states; s++) {
		if (none[s] && s != 0)
			continue;
		writer_take(&w, s, none);
		rc = state_write(&w, &sh, s, prefix, rules, e);
		if (rc == 0 && rules->len > REGULAR_RULES_BYTES)
			rc = regular_large(e);
	}
	json_decref(sh.sets);
	writer_free(&w);
	free(none);
	return rc < 0 ? rc : buf_done(rules, e);
}

int regular_rules(const struct regular *r, const char *prefix, struct buf *rules, struct err *e)
{
	return rules_write(r, false, prefix, rules, e);
}

int regular_rules_plain(const struct regular *r, const char *prefix, struct buf *rules,
			struct err *e)
{
	return rules_write(r, true, prefix, rules, e);
}
