/* Reading a policy: its file, the packs that it extends, and what shows in all rules together. */
#include "policy/policy.h"

#include "base/check.h"
#include "base/limits.h"
#include "policy/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = { "off", "shadow", "canary", "enforce", NULL };

const char *policy_mode_name(enum policy_mode m) { return mode_names[m]; }

const char *const policy_content_names[] = { "full", "cleaned", "none", NULL };

const char *policy_content_name(enum policy_content c) { return policy_content_names[c]; }

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->rule);
	free(p->override);
	arena_free(&p->arena);
	free(p);
}

/* ---- [policy] */

static const struct toml *need(struct reader *r, const struct toml *t, const char *key,
			       const char *instead)
{
	const struct toml *v = toml_get(t, key);
	if (!v)
		policy_problem_at(r, t->line, t->column, "policy.%s is missing; write %s", key,
				  instead);
	return v;
}

static void read_name(struct reader *r, const struct toml *t, const char **name, uint64_t *version)
{
	const struct toml *v = need(r, t, "name", "name = \"...\"");
	int64_t n;
	if (v && policy_read_string(r, v, "policy.name", name) &&
	    (strlen(*name) == 0 || strlen(*name) > 127))
		policy_problem_at(r, v->line, v->column,
				  "policy.name: expected 1 to 127 bytes, found %zu", strlen(*name));
	v = need(r, t, "version", "version = 1");
	if (v && policy_read_integer(r, v, "policy.version", 1, (int64_t)1 << 53, &n))
		*version = (uint64_t)n;
}

static void read_mode(struct reader *r, const struct toml *t)
{
	static const char *const later[] = { "canary", NULL };
	const struct toml *v = need(r, t, "mode", "mode = \"shadow\", or off, or enforce");
	size_t mode;
	if (v && policy_read_choice(r, v, "policy.mode", mode_names, later, &mode))
		r->policy->mode = (enum policy_mode)mode;
}

static void read_extends(struct reader *r, const struct toml *t, struct strings *out)
{
	const struct toml *v = toml_get(t, "extends");
	if (v && !policy_read_strings(r, v, "policy.extends", out)) {
		out->count = 0;
		r->no_pack = true;
	}
}

/* The line of each pack that policy.extends names. */
static int *extends_lines(struct reader *r, const struct toml *t)
{
	const struct toml *v = toml_get(t, "extends");
	int *lines = arena_array(&r->policy->arena, r->policy->extends.count + 1, sizeof *lines);
	r->nomem |= !lines;
	const struct toml *c = r->policy->extends.count ? v->first : NULL;
	for (size_t i = 0; lines && c; c = c->next)
		lines[i++] = c->line;
	return lines;
}

static void read_policy(struct reader *r, const struct toml *t)
{
	struct policy *p = r->policy;
	int64_t days = 183; /* six months: the least that record-keeping duties demand */
	policy_read_keys(r, t, TABLE_POLICY);
	read_name(r, t, &p->name, &p->version);
	read_mode(r, t);
	const struct toml *v = toml_get(t, "retention_days");
	if (v)
		policy_read_integer(r, v, "policy.retention_days", 1, 36500, &days);
	p->retention_days = (uint32_t)days;
	v = toml_get(t, "jurisdiction");
	if (v)
		policy_read_strings(r, v, "policy.jurisdiction", &p->jurisdiction);
	read_extends(r, t, &p->extends);
	r->extends_lines = extends_lines(r, t);
}

/* [retention], which may be left out. */
static void read_retention(struct reader *r, const struct toml *root)
{
	const struct toml *t = toml_get(root, "retention");
	size_t content = POLICY_FULL;
	if (!t || !policy_read_kind(r, t, "retention", TOML_TABLE))
		return;
	policy_read_keys(r, t, TABLE_RETENTION);
	const struct toml *v = toml_get(t, "content");
	if (v &&
	    policy_read_choice(r, v, "retention.content", policy_content_names, NULL, &content))
		r->policy->content = (enum policy_content)content;
}

/* A pack has a name, a version and packs that it extends, and no mode of its own. */
static void read_pack_head(struct reader *r, const struct toml *t)
{
	struct policy *p = r->policy;
	struct pack *pack = NULL;
	const char *name;
	for (size_t i = 0; i < p->packs; i++)
		if (strcmp(p->pack[i].name, r->pack) == 0)
			pack = &p->pack[i];
	check(pack); /* it is being read */
	policy_read_keys(r, t, TABLE_PACK);
	read_name(r, t, &name, &pack->version);
	read_extends(r, t, &pack->extends);
}

/* Every [[rule]], or [[override]]. One written as [rule] is said and read. */
static void read_list(struct reader *r, const struct toml *root, const char *key,
		      void (*read)(struct reader *, const struct toml *))
{
	const struct toml *list = toml_get(root, key);
	if (!list || list->broken)
		return;
	if (list->kind == TOML_TABLE) {
		policy_problem_at(
			r, list->line, list->column,
			"%s: expected [[%s]], found [%s]; write two brackets on each side", key,
			key, key);
		read(r, list);
		return;
	}
	if (!policy_read_kind(r, list, key, TOML_ARRAY))
		return;
	for (const struct toml *t = list->first; t; t = t->next)
		if (policy_read_kind(r, t, key, TOML_TABLE))
			read(r, t);
}

/* ---- a file */

static void tell_mistake(void *ctx, int line, int column, const char *text)
{
	policy_problem_at(ctx, line, column, "%.220s", text);
}

static void read_root(struct reader *r, const struct toml *root)
{
	const struct toml *t = toml_get(root, "policy");
	policy_read_keys(r, root, r->pack ? TABLE_PACK_TOP : TABLE_TOP);
	if (!t)
		policy_problem_at(r, 1, 1, "expected a table [policy], found none; write it first");
	else if (policy_read_kind(r, t, "policy", TOML_TABLE))
		(r->pack ? read_pack_head : read_policy)(r, t);
	if (!r->pack)
		read_retention(r, root);
	read_list(r, root, "rule", policy_read_rule);
	read_list(r, root, "override", policy_read_override);
}

void policy_read_file(struct reader *r, const char *text, size_t len)
{
	struct arena arena = { .bytes_max = LIMIT_TOML_BYTES * 16 };
	struct toml_mistakes mistakes = { tell_mistake, r };
	struct toml *root;
	struct err e = { 0 };
	if (len > LIMIT_TOML_BYTES) {
		policy_problem_at(r, 1, 1, "the file has %zu bytes, %zu are accepted", len,
				  (size_t)LIMIT_TOML_BYTES);
		return;
	}
	size_t before = r->problems->count;
	int rc = toml_parse_all(text, len, &arena, &mistakes, &root, &e);
	if (rc < 0 && r->problems->count == before)
		policy_problem_at(r, 1, 1, "%.220s", e.text);
	if (root)
		read_root(r, root);
	arena_free(&arena);
}

/* ---- the whole */

void policy_coverage(const struct policy *p, size_t rules[POLICY_PHASES])
{
	for (int phase = 0; phase < POLICY_PHASES; phase++) {
		rules[phase] = 0;
		for (size_t i = 0; i < p->rules; i++)
			rules[phase] += p->rule[i].phase[phase] && !p->rule[i].off;
	}
	if (rules[POLICY_METADATA] == 0)
		rules[POLICY_METADATA] = rules[POLICY_INPUT];
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct policy_rule *)a)->id, ((const struct policy_rule *)b)->id);
}

static void check_same_id(struct reader *r, const struct policy_rule *x,
			  const struct policy_rule *y)
{
	bool second = x->pack || (!y->pack && y->id_line > x->id_line);
	const struct policy_rule *later = second ? y : x, *first = second ? x : y;
	if (!*x->id || strcmp(x->id, y->id) != 0)
		return;
	if (first->pack || later->pack)
		policy_problem_at(
			r, later->id_line, 1,
			"rule.id: two rules have the id %s, one in %s; give this one another",
			later->id, first->pack ? first->pack : later->pack);
	else
		policy_problem_at(
			r, later->id_line, 1,
			"rule.id: two rules have the id %s, the other at line %d; give one "
			"of them another",
			later->id, first->id_line);
}

static void check_tested(struct reader *r, const struct policy_rule *x)
{
	if (*x->id && !x->tests_wrong &&
	    (x->hits.count < TESTS_LEAST || x->misses.count < TESTS_LEAST))
		policy_problem_at(
			r, x->line, 1,
			"rule %s: an enforced rule has at least %d tests.hit and %d tests.miss; "
			"found %zu and %zu: write more, or mode = \"shadow\"",
			x->id, TESTS_LEAST, TESTS_LEAST, x->hits.count, x->misses.count);
}

/* What shows in all rules together, sorted by id. A pack's rule is where its pack is named. */
static void check_rules(struct reader *r)
{
	struct policy *p = r->policy;
	if (p->rules)
		qsort(p->rule, p->rules, sizeof *p->rule, by_id);
	for (size_t i = 0; i < p->rules; i++) {
		if (i + 1 < p->rules)
			check_same_id(r, &p->rule[i], &p->rule[i + 1]);
		if (p->mode == POLICY_ENFORCE)
			check_tested(r, &p->rule[i]); /* no override has acted yet */
	}
}

static int by_line(const void *a, const void *b)
{
	const struct policy_problem *x = a, *y = b;
	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->column > y->column) - (x->column < y->column);
}

static void read_all(struct reader *r, const char *text, size_t len)
{
	policy_read_file(r, text, len);
	policy_read_packs(r, r->extends_lines);
	check_rules(r);
	policy_apply_overrides(r);
}

int policy_parse(struct policy **out, const char *text, size_t len,
		 const struct policy_packs *packs, struct policy_problems *problems, struct err *e)
{
	*out = NULL;
	*problems = (struct policy_problems){ 0 };
	struct policy *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory for a policy");
	struct reader r = { .policy = p, .problems = problems, .packs = packs };
	p->name = "";
	p->source = digest_of(text, len);
	size_t header = strlen(BUNDLE_HEADER);
	if (len >= header && memcmp(text, BUNDLE_HEADER, header) == 0)
		policy_problem_at(&r, 1, 1,
				  "expected the text of a policy, found a bundle; name the file "
				  "that it was compiled from");
	else
		read_all(&r, text, len);
	if (problems->count > 1)
		qsort(problems->item, problems->count, sizeof *problems->item, by_line);
	if (r.nomem || problems->count) {
		policy_free(p);
		return r.nomem ? err_set(e, ERR_NOMEM, "out of memory for a policy")
			       : err_set(e, ERR_INPUT, "line %d: %s", problems->item[0].line,
					 problems->item[0].text);
	}
	*out = p;
	return 0;
}
