/* One [[rule]]. */
#include "policy/rules.h"

#include <stdlib.h>
#include <string.h>

const char *const policy_fold_names[] = { "none", "case", "strict", NULL };
const char *const policy_severity_names[] = { "info", "low", "medium", "high", "critical", NULL };

static const char *const phase_names[] = { "input",        "content",
					   "reasoning",    "tool_arguments",
					   "tool_results", "metadata",
					   "output",       NULL };
#define PHASE_OUTPUT POLICY_PHASES /* in phase_names: all that the model says */
static const char *const action_names[] = { "flag",  "notice", "replace", "mask", "redact",
					    "queue", "stop",   "block",   NULL };

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
	};
}

static void read_id(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	const struct toml *v = toml_get(t, "id");
	if (!v) {
		policy_problem_at(r, t->line, t->column, "rule.id is missing");
		return;
	}
	if (!policy_read_string(r, v, "rule.id", &x->id))
		return;
	size_t n = strlen(x->id);
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
	if (n == 0 || n > 100 || strspn(x->id, allowed) != n)
		policy_problem_at(
			r, v->line, v->column,
			"rule.id: expected 1 to 100 letters, digits and . _ / -; found \"%.60s\"",
			x->id);
}

static void read_phases(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	const struct toml *v = toml_get(t, "phase");
	if (!v || (v->kind == TOML_ARRAY && v->count == 0)) {
		policy_problem_at(r, v ? v->line : t->line, v ? v->column : t->column,
				  "rule.phase: expected at least one phase");
		return;
	}
	if (v->kind != TOML_ARRAY) {
		policy_problem_at(r, v->line, v->column, "rule.phase: expected an array of phases");
		return;
	}
	bool named[POLICY_PHASES + 1] = { false };
	for (const struct toml *c = v->first; c; c = c->next) {
		size_t phase;
		if (!policy_read_choice(r, c, "rule.phase", phase_names, &phase))
			continue;
		if (named[phase])
			policy_problem_at(r, c->line, c->column, "rule.phase: %s is named twice",
					  phase_names[phase]);
		named[phase] = true;
	}
	for (size_t i = 0; i < POLICY_PHASES; i++)
		x->phase[i] = named[i] || (named[PHASE_OUTPUT] && i >= POLICY_CONTENT &&
					   i <= POLICY_TOOL_ARGUMENTS);
}

static void read_action(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	const struct toml *v = toml_get(t, "action"), *text = toml_get(t, "replace");
	size_t action;
	if (!v) {
		policy_problem_at(r, t->line, t->column, "rule.action is missing");
		return;
	}
	if (!policy_read_choice(r, v, "rule.action", action_names, &action))
		return;
	x->action = (enum filter_action)action;
	if (x->action == FILTER_NOTICE || x->action == FILTER_QUEUE || x->action == FILTER_STOP)
		policy_problem_at(r, v->line, v->column, "not available in this version: action %s",
				  action_names[action]);
	if (text && policy_read_string(r, text, "rule.replace", &x->replace) &&
	    x->action != FILTER_REDACT && x->action != FILTER_REPLACE)
		policy_problem_at(r, text->line, text->column,
				  "rule.replace: only with action redact or replace");
	if (!text && x->action == FILTER_REPLACE)
		policy_problem_at(r, v->line, v->column, "action replace: rule.replace is missing");
}

/* ---- match */

static void read_literals(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *v = toml_get(m, "literals"), *fold = toml_get(m, "fold"),
			  *gap = toml_get(m, "gap_max");
	x->fold = FILTER_FOLD_CASE;
	x->gap_max = 4;
	size_t f;
	int64_t n;
	if (v && policy_read_strings(r, v, "match.literals", &x->literals) &&
	    x->literals.count == 0)
		policy_problem_at(r, v->line, v->column, "match.literals: expected at least one");
	if (fold && !v)
		policy_problem_at(r, fold->line, fold->column, "match.fold: only with literals");
	if (fold && fold->kind == TOML_STRING && strcmp(fold->text, "leet") == 0)
		policy_problem_at(r, fold->line, fold->column,
				  "not available in this version: fold leet");
	else if (fold && policy_read_choice(r, fold, "match.fold", policy_fold_names, &f))
		x->fold = (enum filter_fold)f;
	if (gap && x->fold != FILTER_FOLD_STRICT)
		policy_problem_at(r, gap->line, gap->column,
				  "match.gap_max: only with fold = \"strict\"");
	else if (gap && policy_read_integer(r, gap, "match.gap_max", 0, 64, &n))
		x->gap_max = (uint32_t)n;
}

static void read_regex(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *v = toml_get(m, "regex"), *repeat = toml_get(m, "repeat_max");
	int64_t n;
	if (repeat && !v)
		policy_problem_at(r, repeat->line, repeat->column,
				  "match.repeat_max: only with regex");
	if (repeat && policy_read_integer(r, repeat, "match.repeat_max", 1, 1024, &n))
		x->repeat_max = (uint32_t)n;
	uint32_t width;
	struct err e = { 0 };
	if (v && policy_read_string(r, v, "match.regex", &x->regex) &&
	    filter_regex_width(x->regex, x->repeat_max, &width, &e) < 0)
		policy_problem_at(r, v->line, v->column, "match.%s", e.text);
}

/* A list of encodings; an empty one is a choice too. */
static void read_decode(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *v = toml_get(m, "decode");
	x->decode = v ? 0 : FILTER_DECODE_ALL;
	if (!v)
		return;
	if (v->kind != TOML_ARRAY) {
		policy_problem_at(r, v->line, v->column,
				  "match.decode: expected an array of encodings");
		return;
	}
	for (const struct toml *c = v->first; c; c = c->next) {
		size_t bit;
		if (!policy_read_choice(r, c, "match.decode", filter_decode_names, &bit))
			continue;
		if (x->decode & 1u << bit)
			policy_problem_at(r, c->line, c->column, "match.decode: %s is named twice",
					  filter_decode_names[bit]);
		x->decode |= 1u << bit;
	}
	if (!x->decode)
		x->decode = FILTER_DECODE_NONE;
}

static void read_detector(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *v = toml_get(m, "detector"), *context = toml_get(m, "context");
	size_t c;
	if (v && policy_read_string(r, v, "match.detector", &x->detector) &&
	    !filter_detector_known(x->detector))
		policy_problem_at(r, v->line, v->column,
				  "match.detector: there is no detector \"%.60s\"", x->detector);
	if (context && !v)
		policy_problem_at(r, context->line, context->column,
				  "match.context: only with detector");
	if (context && policy_read_choice(r, context, "match.context", filter_context_names, &c))
		x->context = (enum filter_context)c;
}

static void read_match(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	static const char *const known[] = { "literals",   "fold",     "gap_max", "regex",
					     "repeat_max", "detector", "context", "decode",
					     NULL };
	static const char *const later[] = { "literals_file", "tail",   "tail_max",
					     "min_strength",  "secret", "tokens",
					     "all",           "any",    "none",
					     "classifier",    NULL };
	const struct toml *m = toml_get(t, "match");
	if (!m || m->kind != TOML_TABLE) {
		policy_problem_at(r, m ? m->line : t->line, m ? m->column : t->column,
				  "rule.match: expected a table");
		return;
	}
	policy_read_keys(r, m, "match", known, later);
	read_literals(r, m, x);
	read_regex(r, m, x);
	read_detector(r, m, x);
	read_decode(r, m, x);
	int kinds = (toml_get(m, "detector") != NULL) + (toml_get(m, "literals") != NULL) +
		    (toml_get(m, "regex") != NULL);
	bool later_kind = false;
	for (size_t i = 0; later[i]; i++)
		later_kind |= toml_get(m, later[i]) != NULL;
	if (kinds > 1 || (kinds == 0 && !later_kind))
		policy_problem_at(
			r, m->line, m->column,
			"rule.match: expected exactly one of literals, regex and detector");
}

static void read_tests(struct reader *r, const struct toml *t, struct policy_rule *x)
{
	static const char *const known[] = { "hit", "miss", NULL };
	static const char *const later[] = { "file", NULL };
	const struct toml *v = toml_get(t, "tests");
	if (!v)
		return;
	if (v->kind != TOML_TABLE) {
		policy_problem_at(r, v->line, v->column, "rule.tests: expected a table");
		return;
	}
	policy_read_keys(r, v, "tests", known, later);
	const struct toml *hit = toml_get(v, "hit"), *miss = toml_get(v, "miss");
	if (hit)
		policy_read_strings(r, hit, "tests.hit", &x->hits);
	if (miss)
		policy_read_strings(r, miss, "tests.miss", &x->misses);
}

/* Build the rule alone, since only filters can judge folds and widths. Problems are reported at the
 * rule's line. */
static void check_build(struct reader *r, const struct toml *t, const struct policy_rule *x)
{
	struct filter_rule rule = policy_rule_filter(x);
	struct filter_set *set;
	struct err e = { 0 };
	if (filter_set_build(&set, &rule, 1, &e) < 0)
		policy_problem_at(r, t->line, t->column, "%s", e.text);
	else
		filter_set_free(set);
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
	static const char *const known[] = { "id",      "severity", "phase", "match", "action",
					     "replace", "controls", "tests", NULL };
	static const char *const later[] = { "context", "when",         "except",
					     "valid",   "jurisdiction", NULL };
	struct policy_rule *x = rule_new(r);
	if (!x)
		return;
	size_t before = r->problems->count, n;
	x->line = t->line;
	policy_read_keys(r, t, "rule", known, later);
	read_id(r, t, x);
	const struct toml *severity = toml_get(t, "severity"), *controls = toml_get(t, "controls");
	if (severity && policy_read_choice(r, severity, "rule.severity", policy_severity_names, &n))
		x->severity = policy_severity_names[n];
	if (controls)
		policy_read_strings(r, controls, "rule.controls", &x->controls);
	read_phases(r, t, x);
	read_action(r, t, x);
	read_match(r, t, x);
	read_tests(r, t, x);
	if (r->problems->count == before && !r->nomem)
		check_build(r, t, x);
}
