/* Values of the strict schema. A problem is a sentence: what was expected, what was found, and what
 * to write instead. */
#include "policy/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_MAX 1000 /* of one policy: nobody reads on */

void policy_problems_free(struct policy_problems *p)
{
	free(p->item);
	*p = (struct policy_problems){ 0 };
}

static struct policy_problem *problem_new(struct reader *r)
{
	struct policy_problems *p = r->problems;
	if (p->count == PROBLEMS_MAX)
		return NULL;
	struct policy_problem *item = realloc(p->item, (p->count + 1) * sizeof *item);
	if (!item) {
		r->nomem = true;
		return NULL;
	}
	p->item = item;
	return &item[p->count++];
}

int policy_problem_add(struct policy_problems *p, int line, int column, const char *text,
		       struct err *e)
{
	struct reader r = { .problems = p };
	policy_problem_at(&r, line, column, "%s", text);
	return r.nomem ? err_set(e, ERR_NOMEM, "out of memory for a policy") : 0;
}

void policy_problem_at(struct reader *r, int line, int column, const char *fmt, ...)
{
	struct policy_problem *x = problem_new(r);
	if (!x)
		return;
	x->line = r->pack ? r->pack_line : line;
	x->column = r->pack ? 1 : column;
	int n = r->pack ? snprintf(x->text, sizeof x->text, "%.80s line %d: ", r->pack, line) : 0;
	va_list args;
	va_start(args, fmt);
	vsnprintf(x->text + n, sizeof x->text - (size_t)n, fmt, args);
	va_end(args);
}

/* ---- kinds */

static const char *kind_name(enum toml_kind k)
{
	static const char *const name[] = { "a string",      "an integer",  "a float",
					    "true or false", "a date-time", "a date-time",
					    "a date",        "a time",      "an array",
					    "a table" };
	return name[k];
}

/* What stands there, in a few characters. */
static void describe(const struct toml *v, char *out, size_t room)
{
	if (v->kind == TOML_STRING)
		snprintf(out, room, "the string \"%.40s\"", v->text);
	else if (v->kind == TOML_INTEGER)
		snprintf(out, room, "the integer %jd", (intmax_t)v->integer);
	else if (v->kind == TOML_BOOL)
		snprintf(out, room, "%s", v->boolean ? "true" : "false");
	else
		snprintf(out, room, "%s", kind_name(v->kind));
}

/* The same value in the kind that is wanted, or an example of that kind. */
static void rewrite(const struct toml *v, enum toml_kind want, char *out, size_t room)
{
	bool text = v->kind == TOML_STRING;
	if (want == TOML_ARRAY && text)
		snprintf(out, room, "[\"%.40s\"]", v->text);
	else if (want == TOML_INTEGER && text && v->text_len &&
		 strspn(v->text, "0123456789") == v->text_len)
		snprintf(out, room, "%.40s, without quotes", v->text);
	else if (want == TOML_INTEGER)
		snprintf(out, room, "a whole number without quotes");
	else if (want == TOML_STRING && v->kind == TOML_INTEGER)
		snprintf(out, room, "\"%jd\"", (intmax_t)v->integer);
	else if (want == TOML_BOOL)
		snprintf(out, room, "true or false, without quotes");
	else if (want == TOML_TABLE)
		snprintf(out, room, "{ KEY = VALUE }");
	else
		snprintf(out, room, "%s", want == TOML_ARRAY ? "[\"...\"]" : "\"...\"");
}

bool policy_read_kind(struct reader *r, const struct toml *v, const char *what, enum toml_kind want)
{
	char found[80], instead[80];
	if (v->broken)
		return false;
	if (v->kind == want)
		return true;
	describe(v, found, sizeof found);
	rewrite(v, want, instead, sizeof instead);
	policy_problem_at(r, v->line, v->column, "%s: expected %s, found %s; write %s", what,
			  kind_name(want), found, instead);
	return false;
}

bool policy_read_string(struct reader *r, const struct toml *v, const char *what, const char **out)
{
	if (!policy_read_kind(r, v, what, TOML_STRING))
		return false;
	if (memchr(v->text, 0, v->text_len)) {
		policy_problem_at(r, v->line, v->column,
				  "%s: the character U+0000 is not accepted; leave it out", what);
		return false;
	}
	*out = arena_copy(&r->policy->arena, v->text, v->text_len);
	r->nomem |= *out == NULL;
	return *out != NULL;
}

bool policy_read_strings(struct reader *r, const struct toml *v, const char *what,
			 struct strings *out)
{
	if (!policy_read_kind(r, v, what, TOML_ARRAY))
		return false;
	out->item = arena_array(&r->policy->arena, v->count + 1, sizeof *out->item);
	if (!out->item) {
		r->nomem = true;
		return false;
	}
	bool ok = true;
	out->count = 0;
	for (const struct toml *c = v->first; c; c = c->next) {
		const char *s;
		if (policy_read_string(r, c, what, &s))
			out->item[out->count++] = s;
		else
			ok = false;
	}
	return ok;
}

bool policy_read_integer(struct reader *r, const struct toml *v, const char *what, int64_t least,
			 int64_t most, int64_t *out)
{
	if (!policy_read_kind(r, v, what, TOML_INTEGER))
		return false;
	if (v->integer < least || v->integer > most) {
		policy_problem_at(
			r, v->line, v->column,
			"%s: expected %jd to %jd, found %jd; write a number of that range", what,
			(intmax_t)least, (intmax_t)most, (intmax_t)v->integer);
		return false;
	}
	*out = v->integer;
	return true;
}

bool policy_read_bool(struct reader *r, const struct toml *v, const char *what, bool *out)
{
	if (!policy_read_kind(r, v, what, TOML_BOOL))
		return false;
	*out = v->boolean;
	return true;
}

/* ---- choices */

static bool listed(const char *const *names, const char *s)
{
	for (size_t i = 0; names && names[i]; i++)
		if (strcmp(names[i], s) == 0)
			return true;
	return false;
}

/* "a, b, c", without those that are not built. */
static void list_names(const char *const *names, const char *const *later, char *out, size_t room)
{
	size_t n = 0;
	*out = 0;
	for (size_t i = 0; names[i] && n < room; i++)
		if (!listed(later, names[i]))
			n += (size_t)snprintf(out + n, room - n, "%s%s", n ? ", " : "", names[i]);
}

bool policy_read_choice(struct reader *r, const struct toml *v, const char *what,
			const char *const *names, const char *const *later, size_t *out)
{
	const char *s;
	char all[160];
	if (!policy_read_string(r, v, what, &s))
		return false;
	for (*out = 0; names[*out]; (*out)++) {
		if (strcmp(names[*out], s) != 0)
			continue;
		if (!listed(later, s))
			return true;
		policy_problem_at(r, v->line, v->column, "not available in this version: %s \"%s\"",
				  what, s);
		return false;
	}
	list_names(names, later, all, sizeof all);
	const char *near = policy_nearest(s, names);
	bool meant = near && !listed(later, near);
	policy_problem_at(r, v->line, v->column, "%s: expected one of %s; found \"%.40s\"%s%s%s",
			  what, all, s, meant ? "; did you mean \"" : "", meant ? near : "",
			  meant ? "\"?" : "");
	return false;
}

bool policy_read_set(struct reader *r, const struct toml *v, const char *what,
		     const char *const *names, uint32_t *set)
{
	if (!policy_read_kind(r, v, what, TOML_ARRAY))
		return false;
	bool ok = true;
	*set = 0;
	for (const struct toml *c = v->first; c; c = c->next) {
		size_t i;
		if (!policy_read_choice(r, c, what, names, NULL, &i)) {
			ok = false;
			continue;
		}
		if (*set & 1u << i)
			policy_problem_at(r, c->line, c->column,
					  "%s: \"%s\" is named twice; leave one out", what,
					  names[i]);
		*set |= 1u << i;
	}
	return ok;
}

/* ---- keys */

/* How a table is begun. */
static const char *table_form(const struct policy_table *t)
{
	static const char *const form[][2] = {
		{ "policy", "[policy]" },       { "retention", "[retention]" },
		{ "rule", "[[rule]]" },         { "override", "[[override]]" },
		{ "match", "match = { ... }" }, { "tests", "tests = { ... }" },
	};
	for (size_t i = 0; i < sizeof form / sizeof *form; i++)
		if (strcmp(form[i][0], t->name) == 0)
			return form[i][1];
	return t->name;
}

static void unknown_key(struct reader *r, const struct toml *k, const struct policy_table *t)
{
	char all[160];
	const char *dot = *t->name ? "." : "";
	const char *near = policy_nearest(k->key, t->known);
	const struct policy_table *home = policy_table_of(k->key);
	if (near) {
		policy_problem_at(r, k->line, k->column, "unknown key %s%s%.60s; did you mean %s?",
				  t->name, dot, k->key,
				  *t->name ? near
					   : table_form(&(struct policy_table){ near, 0, 0 }));
		return;
	}
	if (home) {
		policy_problem_at(r, k->line, k->column,
				  "unknown key %s%s%.60s: %.60s belongs in %s", t->name, dot,
				  k->key, k->key, table_form(home));
		return;
	}
	list_names(t->known, NULL, all, sizeof all);
	policy_problem_at(r, k->line, k->column, "unknown key %s%s%.60s; expected one of %s",
			  t->name, dot, k->key, all);
}

void policy_read_keys(struct reader *r, const struct toml *v, int table)
{
	const struct policy_table *t = &policy_tables[table];
	for (const struct toml *k = v->first; k; k = k->next) {
		bool whole = strlen(k->key) == k->key_len; /* a key may hold U+0000 */
		if (whole && listed(t->known, k->key))
			continue;
		if (whole && listed(t->later, k->key))
			policy_problem_at(r, k->line, k->column,
					  "not available in this version: %s%s%s", t->name,
					  *t->name ? "." : "", k->key);
		else
			unknown_key(r, k, t);
	}
}
