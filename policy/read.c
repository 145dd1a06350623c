/* Values of the strict schema: wrong types and unknown keys are problems with their line. */
#include "policy/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void policy_problems_free(struct policy_problems *p)
{
	free(p->item);
	*p = (struct policy_problems){ 0 };
}

void policy_problem_at(struct reader *r, int line, int column, const char *fmt, ...)
{
	struct policy_problems *p = r->problems;
	struct policy_problem *item = realloc(p->item, (p->count + 1) * sizeof *item);
	if (!item) {
		r->nomem = true;
		return;
	}
	p->item = item;
	struct policy_problem *x = &item[p->count++];
	x->line = r->pack ? r->pack_line : line;
	x->column = r->pack ? 1 : column;
	int n = r->pack ? snprintf(x->text, sizeof x->text, "%.80s line %d: ", r->pack, line) : 0;
	va_list args;
	va_start(args, fmt);
	vsnprintf(x->text + n, sizeof x->text - (size_t)n, fmt, args);
	va_end(args);
}

static const char *kind_name(enum toml_kind k)
{
	static const char *const name[] = { "a string",    "an integer",  "a float", "a boolean",
					    "a date-time", "a date-time", "a date",  "a time",
					    "an array",    "a table" };
	return name[k];
}

static bool kind(struct reader *r, const struct toml *v, const char *what, enum toml_kind want)
{
	if (v->kind == want)
		return true;
	policy_problem_at(r, v->line, v->column, "%s: expected %s, found %s", what, kind_name(want),
			  kind_name(v->kind));
	return false;
}

bool policy_read_string(struct reader *r, const struct toml *v, const char *what, const char **out)
{
	if (!kind(r, v, what, TOML_STRING))
		return false;
	if (memchr(v->text, 0, v->text_len)) {
		policy_problem_at(r, v->line, v->column, "%s: the character U+0000 is not accepted",
				  what);
		return false;
	}
	*out = arena_copy(&r->policy->arena, v->text, v->text_len);
	r->nomem |= *out == NULL;
	return *out != NULL;
}

bool policy_read_strings(struct reader *r, const struct toml *v, const char *what,
			 struct strings *out)
{
	if (!kind(r, v, what, TOML_ARRAY))
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
	if (!kind(r, v, what, TOML_INTEGER))
		return false;
	if (v->integer < least || v->integer > most) {
		policy_problem_at(r, v->line, v->column, "%s: expected %jd to %jd, found %jd", what,
				  (intmax_t)least, (intmax_t)most, (intmax_t)v->integer);
		return false;
	}
	*out = v->integer;
	return true;
}

bool policy_read_choice(struct reader *r, const struct toml *v, const char *what,
			const char *const *names, size_t *out)
{
	const char *s;
	char all[120] = "";
	if (!policy_read_string(r, v, what, &s))
		return false;
	for (size_t i = 0; names[i]; i++) {
		if (strcmp(names[i], s) == 0) {
			*out = i;
			return true;
		}
		size_t n = strlen(all);
		snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", names[i]);
	}
	policy_problem_at(r, v->line, v->column, "%s: expected one of %s; found \"%.40s\"", what,
			  all, s);
	return false;
}

static bool among(const char *const *names, const struct toml *k)
{
	for (size_t i = 0; names[i]; i++)
		if (strlen(names[i]) == k->key_len && memcmp(names[i], k->key, k->key_len) == 0)
			return true;
	return false;
}

void policy_read_keys(struct reader *r, const struct toml *table, const char *what,
		      const char *const *known, const char *const *later)
{
	for (const struct toml *k = table->first; k; k = k->next) {
		if (among(known, k))
			continue;
		if (among(later, k))
			policy_problem_at(r, k->line, k->column,
					  "not available in this version: %s%s%s", what,
					  *what ? "." : "", k->key);
		else
			policy_problem_at(r, k->line, k->column, "unknown key %s%s%.60s", what,
					  *what ? "." : "", k->key);
	}
}
