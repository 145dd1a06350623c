/* [[override]]: what a policy changes of the rules of its packs, and why.
 *
 * An override names rules by id, or by the beginning of ids and '*'; it acts on rules of the packs
 * that its own file extends, at any remove. Those of packs act first, the innermost pack's before
 * those of who extends it; then the policy's own, in the order in which they are written. One that
 * makes a rule find or withhold less says why. The rule as its pack has it is kept: its tests are
 * of that form. */
#include "policy/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES 200

/* ---- reading */

static void read_pattern(struct reader *r, const struct toml *t, struct policy_override *o)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
	const struct toml *v = toml_get(t, "rule");
	if (!v) {
		policy_problem_at(r, t->line, t->column,
				  "override.rule is missing; write rule = \"...\", an id of a "
				  "pack's rule, or the beginning of ids and *");
		return;
	}
	o->rule_line = v->line;
	if (!policy_read_string(r, v, "override.rule", &o->rule))
		return;
	size_t n = strspn(o->rule, allowed);
	n += n > 0 && o->rule[n] == '*';
	n += n == 0 && strcmp(o->rule, "*") == 0;
	if (n > 0 && !o->rule[n])
		return;
	policy_problem_at(r, v->line, v->column,
			  "override.rule: expected an id, or the beginning of ids and one * at the "
			  "end; found \"%.60s\"",
			  o->rule);
	o->rule = "";
}

static void read_reason(struct reader *r, const struct toml *t, struct policy_override *o)
{
	const struct toml *v = toml_get(t, "reason");
	const char *text;
	if (!v || !policy_read_string(r, v, "override.reason", &text))
		return;
	size_t n = strlen(text);
	if (strspn(text, " \t\r\n") == n || n > REASON_BYTES)
		policy_problem_at(r, v->line, v->column,
				  "override.reason: expected 1 to %d bytes, found %zu; write a "
				  "sentence that an auditor understands",
				  REASON_BYTES, n);
	o->reason = text;
}

static void read_action(struct reader *r, const struct toml *t, struct policy_override *o)
{
	const struct toml *v = toml_get(t, "action"), *text = toml_get(t, "replace");
	if (v)
		o->given.action = policy_read_action(r, v, "override.action", &o->action);
	if (!text || !policy_read_string(r, text, "override.replace", &o->replace))
		return;
	if (o->given.action && o->action != FILTER_REDACT && o->action != FILTER_REPLACE)
		policy_problem_at(r, text->line, text->column,
				  "override.replace: only with action redact or replace, found %s; "
				  "leave it out",
				  filter_action_name(o->action));
}

/* What a rule looks for, and where. */
static void read_reach(struct reader *r, const struct toml *t, struct policy_override *o)
{
	const struct toml *phase = toml_get(t, "phase"), *context = toml_get(t, "context"),
			  *decode = toml_get(t, "decode");
	if (phase)
		o->given.phase = policy_read_phases(r, phase, "override.phase", o->phase);
	if (context)
		o->given.context = policy_read_context(r, context, "override.context", &o->context);
	if (decode)
		o->given.decode = policy_read_decode(r, decode, "override.decode", &o->decode);
}

static struct policy_override *override_new(struct reader *r)
{
	struct policy *p = r->policy;
	if (p->overrides == p->override_room) {
		size_t bigger = p->override_room * 2 + 8;
		struct policy_override *o = realloc(p->override, bigger * sizeof *o);
		if (!o) {
			r->nomem = true;
			return NULL;
		}
		p->override = o;
		p->override_room = bigger;
	}
	p->override[p->overrides] = (struct policy_override){ .rule = "", .pack = r->pack };
	return &p->override[p->overrides++];
}

void policy_read_override(struct reader *r, const struct toml *t)
{
	struct policy_override *o = override_new(r);
	if (!o)
		return;
	size_t before = r->problems->count;
	const struct toml *enabled = toml_get(t, "enabled"), *v;
	o->line = o->rule_line = t->line;
	o->pack_line = r->pack_line;
	policy_read_keys(r, t, TABLE_OVERRIDE);
	read_pattern(r, t, o);
	read_reason(r, t, o);
	if (enabled)
		o->given.enabled = policy_read_bool(r, enabled, "override.enabled", &o->enabled);
	read_action(r, t, o);
	read_reach(r, t, o);
	policy_read_except(r, t, &o->except);
	policy_read_tests(r, t, &o->hits, &o->misses);
	v = toml_get(t, "tests");
	if (v && strchr(o->rule, '*'))
		policy_problem_at(r, v->line, v->column,
				  "override.tests: expected one rule that they are of, found "
				  "\"%.60s\"; write an override of one id for them",
				  o->rule);
	if (r->problems->count == before && !enabled && !toml_get(t, "action") &&
	    !toml_get(t, "phase") && !o->given.context && !o->given.decode && !o->replace &&
	    !o->except.count)
		policy_problem_at(
			r, t->line, t->column,
			"override of \"%.60s\": it changes nothing; write enabled, action, "
			"replace, phase, context, decode or except.literals",
			o->rule);
	o->wrong = r->problems->count != before;
}

/* ---- acting */

static bool names(const struct policy_override *o, const char *id)
{
	size_t n = strlen(o->rule);
	return n > 0 && o->rule[n - 1] == '*' ? strncmp(o->rule, id, n - 1) == 0
					      : strcmp(o->rule, id) == 0;
}

/* The first thing by which a rule finds or withholds less than before, or NULL. */
static const char *weaker(const struct policy_rule *was, const struct policy_rule *is)
{
	if (is->off)
		return was->off ? NULL : "it is switched off";
	if (is->action < was->action)
		return "its action is weaker";
	for (int i = 0; i < POLICY_PHASES; i++)
		if (was->phase[i] && !is->phase[i])
			return "a phase is left out";
	/* weak is between always and alone */
	static const int finds[] = {
		[FILTER_CONTEXT_ALWAYS] = 0, [FILTER_CONTEXT_WEAK] = 1, [FILTER_CONTEXT_ALONE] = 2
	};
	if (finds[is->context] < finds[was->context])
		return "a word is needed more often";
	if (was->decode & FILTER_DECODE_ALL & ~is->decode)
		return "an encoding is left out";
	if (is->except.count > was->except.count)
		return "values are left alone";
	return NULL;
}

static bool add_except(struct policy *p, struct policy_rule *x, const struct strings *more)
{
	struct strings both = { .count = x->except.count + more->count };
	both.item = arena_array(&p->arena, both.count + 1, sizeof *both.item);
	if (!both.item)
		return false;
	for (size_t i = 0; i < both.count; i++)
		both.item[i] =
			i < x->except.count ? x->except.item[i] : more->item[i - x->except.count];
	x->except = both;
	return true;
}

/* Give a rule what the override says; its tests go with it. */
static bool change(struct policy *p, struct policy_rule *x, const struct policy_override *o)
{
	if (!x->original) {
		struct policy_rule *kept = arena_alloc(&p->arena, sizeof *kept);
		if (!kept)
			return false;
		*kept = *x;
		x->original = kept;
		x->hits = x->misses = (struct strings){ 0 };
	}
	x->last = o;
	if (o->given.enabled)
		x->off = !o->enabled;
	if (o->given.action)
		x->action = o->action;
	if (o->replace)
		x->replace = o->replace;
	if (o->given.phase)
		memcpy(x->phase, o->phase, sizeof x->phase);
	/* "always" for all that it can be: a detector without words would find nothing. */
	if (o->given.context && x->detector &&
	    (o->context != FILTER_CONTEXT_ALWAYS || strcmp(o->rule, x->id) == 0 ||
	     filter_detector_worded(x->detector)))
		x->context = o->context;
	if (o->given.decode)
		x->decode = o->decode;
	if (o->hits.count || o->misses.count) {
		x->hits = o->hits;
		x->misses = o->misses;
	}
	return !o->except.count || add_except(p, x, &o->except);
}

static void not_found(struct reader *r, const struct policy_override *o)
{
	struct policy *p = r->policy;
	const char **ids = arena_array(&p->arena, p->rules + 1, sizeof *ids);
	size_t n = 0;
	if (!ids) {
		r->nomem = true;
		return;
	}
	for (size_t i = 0; i < p->rules; i++) {
		if (names(o, p->rule[i].id)) {
			policy_problem_at(r, o->rule_line, 1,
					  "override.rule: \"%.60s\" is no rule of a pack that this "
					  "file extends; change the rule itself",
					  p->rule[i].id);
			return;
		}
		if (policy_pack_reaches(p, o->pack, p->rule[i].pack))
			ids[n++] = p->rule[i].id;
	}
	ids[n] = NULL;
	char pack[64];
	snprintf(pack, sizeof pack, "packs/%.*s", (int)strcspn(o->rule, "/"), o->rule);
	if (n == 0 || (policy_pack_text(pack) && !policy_pack_read(p, pack))) {
		policy_problem_at(r, o->rule_line, 1,
				  "override.rule: no pack that extends names has a rule \"%.60s\"; "
				  "write extends = [\"%s\"]",
				  o->rule, policy_pack_text(pack) ? pack : "packs/NAME");
		return;
	}
	const char *near = policy_nearest(o->rule, ids);
	policy_problem_at(r, o->rule_line, 1,
			  "override.rule: no rule of the packs has the id \"%.60s\"%s%.60s%s",
			  o->rule,
			  near ? "; did you mean \"" : "; see `hallmark policy packs NAME`",
			  near ? near : "", near ? "\"?" : "");
}

/* Change every rule that is named; say what is wrong with that. */
static void apply(struct reader *r, const struct policy_override *o)
{
	struct policy *p = r->policy;
	size_t found = 0, detectors = 0;
	const char *why = NULL, *which = NULL;
	for (size_t i = 0; i < p->rules; i++) {
		struct policy_rule *x = &p->rule[i], was = *x;
		if (!names(o, x->id) || !policy_pack_reaches(p, o->pack, x->pack))
			continue;
		found++;
		detectors += x->detector != NULL;
		if (!change(p, x, o)) {
			r->nomem = true;
			return;
		}
		if (!why && (why = weaker(&was, x)))
			which = x->id;
	}
	if (!found && *o->rule && !r->no_pack)
		not_found(r, o);
	if (found && !detectors && o->given.context)
		policy_problem_at(
			r, o->line, 1,
			"override of \"%.60s\": context is of detectors, and no such rule "
			"has one; leave it out",
			o->rule);
	if (why && !o->reason)
		policy_problem_at(
			r, o->line, 1,
			"override of \"%.60s\": reason is missing; it makes %.60s find or "
			"withhold less (%s): write reason = \"...\"",
			o->rule, which, why);
}

/* What a rule has become must still be one, if it was one and the override is. */
static void check_changed(struct reader *r, struct policy_rule *x)
{
	struct err e = { 0 };
	bool text = x->action == FILTER_REDACT || x->action == FILTER_REPLACE;
	if (x->last->wrong || (r->problems->count && policy_rule_build(x->original, &e) < 0))
		return;
	if (!text && x->last->replace)
		policy_problem_at(r, x->last->line, 1,
				  "override of \"%.60s\": replace is only with action redact or "
				  "replace, found %s; leave it out",
				  x->id, filter_action_name(x->action));
	else if (!text)
		x->replace = NULL; /* of the action that it had */
	if (x->action == FILTER_REPLACE && !x->replace)
		policy_problem_at(r, x->last->line, 1,
				  "override of \"%.60s\": action replace needs replace = \"...\"",
				  x->id);
	else if (!x->off && policy_rule_build(x, &e) < 0)
		policy_problem_at(r, x->last->line, 1, "override: %s", e.text);
}

/* Problems of an override stand where it does. */
static void stand_in(struct reader *r, const struct policy_override *o)
{
	r->pack = o->pack;
	r->pack_line = o->pack_line;
}

/* By pack from the last that was read to the first, for who extends is read before whom he extends;
 * then the policy's own. */
static void sort_by_pack(struct policy *p)
{
	struct policy_override *sorted = calloc(p->overrides + 1, sizeof *sorted);
	size_t n = 0;
	for (size_t k = p->packs + 1; sorted && k-- > 0;)
		for (size_t i = 0; i < p->overrides; i++) {
			const char *pack = p->override[i].pack,
				   *turn = k ? p->pack[k - 1].name : NULL;
			if (pack && turn ? strcmp(pack, turn) == 0 : pack == turn)
				sorted[n++] = p->override[i];
		}
	if (!sorted)
		return;
	free(p->override);
	p->override = sorted;
	p->override_room = p->overrides + 1;
}

void policy_apply_overrides(struct reader *r)
{
	struct policy *p = r->policy;
	if (!p->overrides)
		return;
	sort_by_pack(p);
	for (size_t i = 0; i < p->overrides && !r->nomem; i++) {
		stand_in(r, &p->override[i]);
		apply(r, &p->override[i]);
	}
	for (size_t i = 0; i < p->rules && !r->nomem; i++)
		if (p->rule[i].original) {
			stand_in(r, p->rule[i].last);
			check_changed(r, &p->rule[i]);
		}
	r->pack = NULL;
}
