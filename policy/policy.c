/* Reading a policy: [policy], [[rule]], and the packs it extends. */
#include "policy/policy.h"

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
	arena_free(&p->arena);
	free(p);
}

/* ---- [policy] */

static const struct toml *need(struct reader *r, const struct toml *t, const char *key)
{
	const struct toml *v = toml_get(t, key);
	if (!v)
		policy_problem_at(r, t->line, t->column, "policy.%s is missing", key);
	return v;
}

static void read_name(struct reader *r, const struct toml *t, const char **name, uint64_t *version)
{
	const struct toml *v = need(r, t, "name");
	int64_t n;
	if (v && policy_read_string(r, v, "policy.name", name) &&
	    (strlen(*name) == 0 || strlen(*name) > 127))
		policy_problem_at(r, v->line, v->column, "policy.name: expected 1 to 127 bytes");
	v = need(r, t, "version");
	if (v && policy_read_integer(r, v, "policy.version", 1, (int64_t)1 << 53, &n))
		*version = (uint64_t)n;
}

static void read_mode(struct reader *r, const struct toml *t)
{
	const struct toml *v = toml_get(t, "mode");
	size_t mode;
	if (!v) {
		policy_problem_at(r, t->line, t->column,
				  "policy.mode is missing: off, shadow or enforce");
		return;
	}
	if (!policy_read_choice(r, v, "policy.mode", mode_names, &mode))
		return;
	r->policy->mode = (enum policy_mode)mode;
	if (mode == POLICY_CANARY)
		policy_problem_at(r, v->line, v->column,
				  "not available in this version: mode canary");
}

static const struct toml *nth(const struct toml *array, size_t i)
{
	const struct toml *c = array->first;
	while (i-- > 0)
		c = c->next;
	return c;
}

static void read_policy(struct reader *r, const struct toml *t)
{
	static const char *const known[] = { "name",           "version",      "mode", "extends",
					     "retention_days", "jurisdiction", NULL };
	static const char *const later[] = { "canary_percent", "approvals", "overrides", NULL };
	struct policy *p = r->policy;
	int64_t days = 183; /* six months: the least that record-keeping duties demand */
	policy_read_keys(r, t, "policy", known, later);
	read_name(r, t, &p->name, &p->version);
	read_mode(r, t);
	const struct toml *v = toml_get(t, "retention_days");
	if (v)
		policy_read_integer(r, v, "policy.retention_days", 1, 36500, &days);
	p->retention_days = (uint32_t)days;
	v = toml_get(t, "jurisdiction");
	if (v)
		policy_read_strings(r, v, "policy.jurisdiction", &p->jurisdiction);
	v = toml_get(t, "extends");
	if (v && policy_read_strings(r, v, "policy.extends", &p->extends))
		p->extends_line =
			arena_array(&p->arena, p->extends.count + 1, sizeof *p->extends_line);
	else
		p->extends.count = 0;
	for (size_t i = 0; v && p->extends_line && i < p->extends.count; i++)
		p->extends_line[i] = nth(v, i)->line;
	r->nomem |= p->extends.count && !p->extends_line;
}

/* [retention], which may be left out. */
static void read_retention(struct reader *r, const struct toml *root)
{
	static const char *const known[] = { "content", NULL }, *const none[] = { NULL };
	const struct toml *t = toml_get(root, "retention");
	size_t content = POLICY_FULL;
	if (!t)
		return;
	if (t->kind != TOML_TABLE) {
		policy_problem_at(r, t->line, t->column, "retention: expected a table [retention]");
		return;
	}
	policy_read_keys(r, t, "retention", known, none);
	const struct toml *v = toml_get(t, "content");
	if (v && policy_read_choice(r, v, "retention.content", policy_content_names, &content))
		r->policy->content = (enum policy_content)content;
}

/* A pack has a name and a version; it extends nothing and has no mode of its own. */
static void read_pack_head(struct reader *r, const struct toml *t)
{
	static const char *const known[] = { "name", "version", NULL }, *const none[] = { NULL };
	const char *name;
	uint64_t version;
	policy_read_keys(r, t, "policy", known, none);
	read_name(r, t, &name, &version);
}

static void read_rules(struct reader *r, const struct toml *root)
{
	const struct toml *list = toml_get(root, "rule");
	if (!list)
		return;
	if (list->kind != TOML_ARRAY) {
		policy_problem_at(r, list->line, list->column, "rule: expected [[rule]] tables");
		return;
	}
	for (const struct toml *t = list->first; t; t = t->next) {
		if (t->kind == TOML_TABLE)
			policy_read_rule(r, t);
		else
			policy_problem_at(r, t->line, t->column, "rule: expected a table");
	}
}

/* "line L, column C: text" of the TOML reader, as a problem. */
static void toml_problem(struct reader *r, const char *text)
{
	int line = 1, column = 1, used = 0;
	if (sscanf(text, "line %d, column %d: %n", &line, &column, &used) < 2)
		used = 0;
	policy_problem_at(r, line, column, "%.200s", text + used);
}

/* Read one file: the policy itself or a pack. */
static void read_file(struct reader *r, const char *text, size_t len)
{
	static const char *const all[] = { "policy", "retention", "rule", NULL },
				 *const of_pack[] = { "policy", "rule", NULL };
	static const char *const later[] = { "watermark", "label", "notice", NULL };
	struct arena arena = { .bytes_max = LIMIT_TOML_BYTES * 16 };
	struct toml *root;
	struct err e = { 0 };
	if (len > LIMIT_TOML_BYTES) {
		policy_problem_at(r, 1, 1, "the file has %zu bytes, %zu are accepted", len,
				  (size_t)LIMIT_TOML_BYTES);
	} else if (toml_parse(text, len, &arena, &root, &e) < 0) {
		toml_problem(r, e.text);
	} else {
		const struct toml *t = toml_get(root, "policy");
		policy_read_keys(r, root, "", r->pack ? of_pack : all, later);
		if (!t || t->kind != TOML_TABLE)
			policy_problem_at(r, t ? t->line : 1, t ? t->column : 1,
					  "expected a table [policy]");
		else if (r->pack)
			read_pack_head(r, t);
		else
			read_policy(r, t);
		if (!r->pack)
			read_retention(r, root);
		read_rules(r, root);
	}
	arena_free(&arena);
}

/* ---- packs */

static void read_pack(struct reader *r, const char *name, const struct policy_packs *packs,
		      struct pack *out)
{
	struct buf given = { 0 };
	struct err e = { 0 };
	const char *text = policy_pack_text(name);
	size_t len = text ? strlen(text) : 0;
	int line = r->pack_line;
	if (!text && policy_pack_later(name)) {
		policy_problem_at(r, line, 1, "not available in this version: %s", name);
	} else if (!text && (!packs || packs->read(packs->ctx, name, &given, &e) < 0)) {
		policy_problem_at(r, line, 1, "there is no pack \"%.80s\"%s%.100s", name,
				  e.text[0] ? ": " : "", e.text);
	} else {
		if (!text) {
			text = given.bytes ? given.bytes : "";
			len = given.len;
			r->nomem |= given.failed;
		}
		r->pack = name;
		out->name = name;
		out->digest = digest_of(text, len);
		r->policy->packs++;
		read_file(r, text, len);
	}
	r->pack = NULL;
	buf_free(&given);
}

static void read_packs(struct reader *r, const struct policy_packs *packs)
{
	struct policy *p = r->policy;
	p->pack = arena_array(&p->arena, p->extends.count + 1, sizeof *p->pack);
	if (!p->pack || r->nomem) {
		r->nomem = true;
		return;
	}
	for (size_t i = 0; i < p->extends.count; i++) {
		bool twice = false;
		for (size_t k = 0; k < i; k++)
			twice |= strcmp(p->extends.item[i], p->extends.item[k]) == 0;
		r->pack_line = p->extends_line[i];
		if (twice)
			policy_problem_at(r, r->pack_line, 1, "policy.extends names %.80s twice",
					  p->extends.item[i]);
		else
			read_pack(r, p->extends.item[i], packs, &p->pack[p->packs]);
	}
}

/* ---- the whole */

void policy_coverage(const struct policy *p, size_t rules[POLICY_PHASES])
{
	for (int phase = 0; phase < POLICY_PHASES; phase++) {
		rules[phase] = 0;
		for (size_t i = 0; i < p->rules; i++)
			rules[phase] += p->rule[i].phase[phase];
	}
	if (rules[POLICY_METADATA] == 0)
		rules[POLICY_METADATA] = rules[POLICY_INPUT];
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct policy_rule *)a)->id, ((const struct policy_rule *)b)->id);
}

static void check_rules(struct reader *r)
{
	struct policy *p = r->policy;
	if (p->rules)
		qsort(p->rule, p->rules, sizeof *p->rule, by_id);
	for (size_t i = 0; i < p->rules; i++) {
		const struct policy_rule *x = &p->rule[i], *y = x + 1;
		bool same = i + 1 < p->rules && *x->id && strcmp(x->id, y->id) == 0;
		const struct policy_rule *later =
			same && (x->pack || (!y->pack && y->line > x->line)) ? y : x;
		if (same)
			policy_problem_at(r, later->line, 1, "two rules have the id %s%s%s", x->id,
					  x->pack || y->pack ? ", one in " : "",
					  x->pack   ? x->pack
					  : y->pack ? y->pack
						    : "");
		if (p->mode == POLICY_ENFORCE && *x->id &&
		    (x->hits.count < TESTS_LEAST || x->misses.count < TESTS_LEAST))
			policy_problem_at(
				r, x->line, 1,
				"rule %s: an enforced rule has at least %d tests.hit and %d tests.miss; "
				"found %zu and %zu",
				x->id, TESTS_LEAST, TESTS_LEAST, x->hits.count, x->misses.count);
	}
}

static int by_line(const void *a, const void *b)
{
	const struct policy_problem *x = a, *y = b;
	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->column > y->column) - (x->column < y->column);
}

int policy_parse(struct policy **out, const char *text, size_t len,
		 const struct policy_packs *packs, struct policy_problems *problems, struct err *e)
{
	*out = NULL;
	*problems = (struct policy_problems){ 0 };
	struct policy *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory for a policy");
	struct reader r = { .policy = p, .problems = problems };
	p->name = "";
	p->source = digest_of(text, len);
	read_file(&r, text, len);
	read_packs(&r, packs);
	check_rules(&r);
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
