/* One [[rule]], and the keys that an [[override]] has in common with it. */
#include "policy/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES 100
#define DESCRIPTION_BYTES 300

const char *const policy_severity_names[] = { "info", "low", "medium", "high", "critical", NULL };

static const char *const phase_names[] = { "input",        "content",
					   "reasoning",    "tool_arguments",
					   "tool_results", "metadata",
					   "output",       NULL };
#define PHASE_OUTPUT POLICY_PHASES /* in phase_names: all that the model says */

static const char *const action_names[] = { "flag",  "notice", "replace", "mask", "redact",
					    "queue", "stop",   "block",   NULL };
static const char *const actions_later[] = { "notice", "queue", "stop", NULL };

const char *policy_phase_name(enum policy_phase p) { return phase_names[p]; }

struct filter_rule policy_rule_filter(const struct policy_rule *x)
{
	return (struct filter_rule){
		.id = x->id,
		.action = x->action,
		.replacement = x->replace,
		.literal = x->literals.item,
		.literal_count = x->literals.count,
		.fold = x->fold,
		.gap_max = x->gap_max,
		.regex = x->regex,
		.repeat_max = x->repeat_max,
		.detector = x->detector,
		.context = x->context,
		.decode = x->decode,
		.except = x->except.item,
		.except_count = x->except.count,
	};
}

int policy_rule_build(const struct policy_rule *x, struct err *e)
{
	struct filter_rule rule = policy_rule_filter(x);
	struct filter_set *set;
	TRY(filter_set_build(&set, &rule, 1, e));
	filter_set_free(set);
	return 0;
}

/* ---- keys that an override has too */

bool policy_read_phases(struct reader *r, const struct toml *v, const char *what,
			bool phase[POLICY_PHASES])
{
	uint32_t named;
	if (v->kind == TOML_ARRAY && v->count == 0 && !v->broken) {
		policy_problem_at(
			r, v->line, v->column,
			"%s: expected at least one phase, found none; write [\"output\"], "
			"or another of input, tool_results, metadata",
			what);
		return false;
	}
	if (!policy_read_set(r, v, what, phase_names, &named))
		return false;
	for (int i = 0; i < POLICY_PHASES; i++)
		phase[i] = named >> i & 1 || (named >> PHASE_OUTPUT & 1 && i >= POLICY_CONTENT &&
					      i <= POLICY_TOOL_ARGUMENTS);
	return true;
}

bool policy_read_action(struct reader *r, const struct toml *v, const char *what,
			enum filter_action *out)
{
	size_t action;
	if (!policy_read_choice(r, v, what, action_names, actions_later, &action))
		return false;
	*out = (enum filter_action)action;
	return true;
}

bool policy_read_context(struct reader *r, const struct toml *v, const char *what,
			 enum filter_context *out)
{
	size_t context;
	if (!policy_read_choice(r, v, what, filter_context_names, NULL, &context))
		return false;
	*out = (enum filter_context)context;
	return true;
}

bool policy_read_decode(struct reader *r, const struct toml *v, const char *what, uint32_t *out)
{
	if (!policy_read_set(r, v, what, filter_decode_names, out))
		return false;
	if (!*out)
		*out = FILTER_DECODE_NONE;
	return true;
}

void policy_read_except(struct reader *r, const struct toml *t, struct strings *out)
{
	const struct toml *v = toml_get(t, "except"), *l;
	if (!v || !policy_read_kind(r, v, "except", TOML_TABLE))
		return;
	policy_read_keys(r, v, TABLE_EXCEPT);
	l = toml_get(v, "literals");
	if (!l || !policy_read_strings(r, l, "except.literals", out))
		return;
	for (const struct toml *c = l->first; c; c = c->next)
		if (c->text_len == 0)
			policy_problem_at(r, c->line, c->column,
					  "except.literals: expected a value that is left alone, "
					  "found an empty text; leave it out");
}

bool policy_read_tests(struct reader *r, const struct toml *t, struct strings *hits,
		       struct strings *misses)
{
	const struct toml *v = toml_get(t, "tests");
	size_t before = r->problems->count;
	if (!v)
		return true;
	if (!policy_read_kind(r, v, "tests", TOML_TABLE))
		return false;
	policy_read_keys(r, v, TABLE_TESTS);
	const struct toml *hit = toml_get(v, "hit"), *miss = toml_get(v, "miss");
	bool ok = !hit || policy_read_strings(r, hit, "tests.hit", hits);
	ok &= !miss || policy_read_strings(r, miss, "tests.miss", misses);
	return ok && r->problems->count == before;
}

/* ---- of a rule alone */

static void read_id(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
	const struct toml *v = toml_get(t, "id");
	if (!v) {
		policy_problem_at(r, t->line, t->column,
				  "rule.id is missing; write id = \"...\", which findings name");
		return;
	}
	x->id_line = v->line;
	if (!policy_read_string(r, v, "rule.id", &x->id))
		return;
	size_t n = strlen(x->id);
	if (n == 0 || n > ID_BYTES || strspn(x->id, allowed) != n)
		policy_problem_at(
			r, v->line, v->column,
			"rule.id: expected 1 to %d letters, digits and . _ / -; found \"%.60s\"",
			ID_BYTES, x->id);
}

static void read_description(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	const struct toml *v = toml_get(t, "description");
	if (v && policy_read_string(r, v, "rule.description", &x->description) &&
	    strlen(x->description) > DESCRIPTION_BYTES)
		policy_problem_at(r, v->line, v->column,
				  "rule.description: expected at most %d bytes, found %zu; write "
				  "one sentence",
				  DESCRIPTION_BYTES, strlen(x->description));
}

static void read_phases(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	const struct toml *v = toml_get(t, "phase");
	if (v)
		policy_read_phases(r, v, "rule.phase", x->phase);
	else
		policy_problem_at(r, t->line, t->column,
				  "rule.phase is missing; expected at least one phase: write phase "
				  "= [\"input\", \"output\"]");
}

static void read_action(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	const struct toml *v = toml_get(t, "action"), *text = toml_get(t, "replace");
	bool known = v && policy_read_action(r, v, "rule.action", &x->action);
	if (!v)
		policy_problem_at(r, t->line, t->column,
				  "rule.action is missing; write action = \"redact\", or flag, "
				  "replace, mask, block");
	if (text && policy_read_string(r, text, "rule.replace", &x->replace) && known &&
	    x->action != FILTER_REDACT && x->action != FILTER_REPLACE)
		policy_problem_at(
			r, text->line, text->column,
			"rule.replace: only with action redact or replace, found %s; leave it out",
			filter_action_name(x->action));
	if (!text && known && x->action == FILTER_REPLACE)
		policy_problem_at(r, v->line, v->column,
				  "action replace: rule.replace is missing; write replace = "
				  "\"...\", what stands in its place");
}

/* ---- match */

/* A key of a match that says nothing without another key. */
static void only_with(struct reader *r, const struct toml *m, const char *key, const char *other)
{
	const struct toml *v = toml_get(m, key);
	if (v && !toml_get(m, other))
		policy_problem_at(r, v->line, v->column,
				  "match.%s: only with %s; leave it out, or write %s", key, other,
				  other);
}

static void read_regex(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *v = toml_get(m, "regex"), *repeat = toml_get(m, "repeat_max");
	int64_t n;
	only_with(r, m, "repeat_max", "regex");
	if (repeat && policy_read_integer(r, repeat, "match.repeat_max", 1, 1024, &n))
		x->repeat_max = (uint32_t)n;
	else if (repeat)
		x->repeat_max = 1; /* there, if only wrong: a repeat is not missing it */
	uint32_t width;
	struct err e = { 0 };
	if (v && policy_read_string(r, v, "match.regex", &x->regex) &&
	    filter_regex_width(x->regex, x->repeat_max, &width, &e) < 0)
		policy_problem_at(r, v->line, v->column, "match.%s", e.text);
}

static void no_detector(struct reader *r, const struct toml *v, const char *name)
{
	const char *names[FILTER_DETECTORS_MAX + 1];
	size_t n = 0;
	char base[64];
	const char *slash = strchr(name, '/');
	snprintf(base, sizeof base, "%.*s", slash ? (int)(slash - name) : 60, name);
	unsigned version = slash ? filter_detector_version(base) : 0;
	if (version) {
		policy_problem_at(r, v->line, v->column,
				  "match.detector: there is no \"%.60s\" in this version; write "
				  "\"%s/%u\", or \"%s\" for the newest",
				  name, base, version, base);
		return;
	}
	for (; n < FILTER_DETECTORS_MAX && filter_detector_describe(n); n++)
		names[n] = filter_detector_describe(n)->name;
	names[n] = NULL;
	const char *near = policy_nearest(base, names);
	policy_problem_at(r, v->line, v->column,
			  "match.detector: there is no detector \"%.60s\"; %s%s%s", name,
			  near ? "did you mean \"" : "see `hallmark policy detectors`",
			  near ? near : "", near ? "\"?" : "");
}

static void read_detector(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *v = toml_get(m, "detector"), *context = toml_get(m, "context");
	if (v && policy_read_string(r, v, "match.detector", &x->detector) &&
	    !filter_detector_known(x->detector))
		no_detector(r, v, x->detector);
	only_with(r, m, "context", "detector");
	if (context && policy_read_context(r, context, "match.context", &x->context) &&
	    x->context == FILTER_CONTEXT_ALWAYS && x->detector &&
	    filter_detector_known(x->detector) && !filter_detector_worded(x->detector))
		policy_problem_at(
			r, context->line, context->column,
			"match.context: expected weak or alone, found \"always\": %.60s has "
			"no words of its own, and would find nothing",
			x->detector);
}

/* A match by a key that is not built, or by one whose name is misspelt: said already. */
static bool said_kind(const struct toml *m, const char *const *kinds)
{
	const struct policy_table *t = &policy_tables[TABLE_MATCH];
	for (const struct toml *k = m->first; k; k = k->next) {
		const char *near = policy_nearest(k->key, t->known);
		for (size_t i = 0; t->later[i]; i++)
			if (strcmp(t->later[i], k->key) == 0)
				return true;
		for (size_t i = 0; near && kinds[i]; i++)
			if (strcmp(kinds[i], near) == 0)
				return true;
	}
	return false;
}

static void read_match(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	static const char *const kinds[] = { "literals", "literals_file", "regex", "detector",
					     NULL };
	const struct toml *m = toml_get(t, "match"), *decode;
	const char *found[2] = { NULL, NULL };
	size_t n = 0;
	if (!m)
		policy_problem_at(r, t->line, t->column,
				  "rule.match is missing; expected a table: write match = { "
				  "detector = \"...\" }, or literals, or regex");
	if (!m || !policy_read_kind(r, m, "rule.match", TOML_TABLE))
		return;
	policy_read_keys(r, m, TABLE_MATCH);
	policy_read_literals(r, m, x);
	read_regex(r, m, x);
	read_detector(r, m, x);
	decode = toml_get(m, "decode");
	bool bytes = x->literals.count && x->fold == FILTER_FOLD_NONE;
	x->decode = bytes ? FILTER_DECODE_NONE : FILTER_DECODE_ALL;
	if (decode)
		policy_read_decode(r, decode, "match.decode", &x->decode);
	for (size_t i = 0; kinds[i]; i++)
		if (toml_get(m, kinds[i]) && n++ < 2)
			found[n - 1] = kinds[i];
	if (n > 1)
		policy_problem_at(
			r, m->line, m->column,
			"rule.match: expected exactly one of literals, regex and detector; "
			"found %s and %s: write a rule for each",
			found[0], found[1]);
	else if (n == 0 && !said_kind(m, kinds))
		policy_problem_at(
			r, m->line, m->column,
			"rule.match: expected exactly one of literals, regex and detector; "
			"found none: write one of them");
}

/* Whether a mistake of TOML stands in one of its keys, of which the rule then knows nothing. */
static bool has_broken(const struct toml *t)
{
	bool broken = t->broken;
	for (const struct toml *v = t->first; v; v = v->next) {
		broken |= v->broken;
		for (const struct toml *c = v->first; c; c = c->next)
			broken |= c->broken; /* match.regex = ... */
	}
	return broken;
}

static struct policy_rule *rule_new(struct reader *r)
{
	struct policy *p = r->policy;
	if (p->rules == p->rule_room) {
		size_t bigger = p->rule_room * 2 + 16;
		struct policy_rule *rule = realloc(p->rule, bigger * sizeof *rule);
		if (!rule) {
			r->nomem = true;
			return NULL;
		}
		p->rule = rule;
		p->rule_room = bigger;
	}
	p->rule[p->rules] = (struct policy_rule){ .id = "", .pack = r->pack };
	return &p->rule[p->rules++];
}

void policy_read_rule(struct reader *r, const struct toml *t)
{
	struct policy_rule *x = rule_new(r);
	if (!x)
		return;
	size_t before = r->problems->count, n;
	struct err e = { 0 };
	x->line = x->id_line = t->line;
	policy_read_keys(r, t, TABLE_RULE);
	read_id(r, t, x);
	read_description(r, t, x);
	const struct toml *severity = toml_get(t, "severity"), *controls = toml_get(t, "controls");
	if (severity &&
	    policy_read_choice(r, severity, "rule.severity", policy_severity_names, NULL, &n))
		x->severity = policy_severity_names[n];
	if (controls)
		policy_read_strings(r, controls, "rule.controls", &x->controls);
	read_phases(r, t, x);
	read_action(r, t, x);
	read_match(r, t, x);
	policy_read_except(r, t, &x->except);
	x->tests_wrong = !policy_read_tests(r, t, &x->hits, &x->misses);
	if (r->problems->count == before && !r->nomem && !has_broken(t) &&
	    policy_rule_build(x, &e) < 0)
		policy_problem_at(r, t->line, t->column, "%s", e.text);
}
