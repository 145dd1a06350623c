/* The tables of kinds: every row, and what a form and a grouping mean. */
#include "filters/kind.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool shape_takes(const struct kind_shape *s, const char *v, size_t n)
{
	if (n < s->least || n > s->most)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(s->at[i] & kind_symbol(v[i])))
			return false;
	return true;
}

static bool form_takes(const char *form, const char *v)
{
	struct kind_shape shape[KIND_SHAPES_MAX];
	size_t shapes;
	struct err e = { 0 };
	cr_assert(kind_form(form, shape, &shapes, &e) == 0, "%s", e.text);
	for (size_t i = 0; i < shapes; i++)
		if (shape_takes(&shape[i], v, strlen(v)))
			return true;
	return false;
}

static const struct {
	const char *form, *takes, *refuses; /* values, spaces between */
} forms[] = {
	{ "###", "000 123", "12 1234 12A" },
	{ "A#X", "A1B z99", "11B AB1" },
	{ "[A]#", "A1 a1", "B1 11" },
	{ "[A-C13-5]#", "A0 C0 10 30 50", "D0 20 60" },
	{ "DE#{3}", "DE123 de123", "DA123 DE12 DE1234" },
	{ "#{2,4}", "12 123 1234", "1 12345" },
	{ "#{1,2}A#{1,2}", "1A1 12A1 1A12 12A12", "A1 1A 123A1" },
	{ "##|A", "12 A", "1 A1" },
};

Test(filters_kinds, forms_say_what_they_take)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		char takes[100], refuses[100], *save = NULL;
		snprintf(takes, sizeof takes, "%s", forms[i].takes);
		snprintf(refuses, sizeof refuses, "%s", forms[i].refuses);
		for (char *v = strtok_r(takes, " ", &save); v; v = strtok_r(NULL, " ", &save))
			cr_expect(form_takes(forms[i].form, v), "%s: %s", forms[i].form, v);
		for (char *v = strtok_r(refuses, " ", &save); v; v = strtok_r(NULL, " ", &save))
			cr_expect_not(form_takes(forms[i].form, v), "%s: %s", forms[i].form, v);
	}
}

Test(filters_kinds, wrong_forms_and_groups_are_refused)
{
	static const char *const form[] = { "",      "a#", "#{",    "#{0}",      "#{3,2}",
					    "#{41}", "[",  "[]",    "[-]",       "#|",
					    "#{2",   "#!", "[Z-A]", "#{20}#{21}" };
	static const char *const groups[] = { "3",    "3-",  "3;3",   "-3",  "3.3.3.",
					      "3 3|", "0.3", "3.3|3", "40.1" };
	struct kind_shape shape[KIND_SHAPES_MAX];
	size_t shapes;
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof form / sizeof *form; i++)
		cr_expect(kind_form(form[i], shape, &shapes, &e) == ERR_INPUT, "%s", form[i]);
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		struct kind_grouping g;
		const char *at = groups[i];
		int r;
		do
			r = kind_groups(&at, &g, &e);
		while (r == 0 && *at);
		cr_expect(r == ERR_INPUT, "%s", groups[i]);
	}
}

/* ---- the rows */

static void row_wrong(const struct kind *k, const char *what)
{
	cr_expect(false, "%s/%u: %s", k->name, k->version, what);
}

static void row_needs(const struct kind *k)
{
	if (!k->bare || !k->grouped || !k->loose)
		row_wrong(k, "bare, grouped and loose are all said");
	bool word = false;
	const enum kind_need need[] = { k->bare, k->grouped, k->loose };
	for (size_t i = 0; i < 3; i++)
		word |= need[i] == NEED_WORD || need[i] == NEED_LABEL;
	if (word && (!k->words || !k->words[0]))
		row_wrong(k, "a need of words has words");
	for (size_t i = 0; k->words && k->words[i]; i++)
		for (const char *c = k->words[i]; *c; c++)
			if (isupper((unsigned char)*c))
				row_wrong(k, "words are lower case");
	if (!k->what || !*k->what || !k->source || !*k->source || !k->example)
		row_wrong(k, "what, source and example are all given");
}

static bool fits(const struct kind *k, const struct kind_shape *shape, size_t shapes, const char *v,
		 size_t n)
{
	for (size_t i = 0; i < shapes; i++)
		if (shape_takes(&shape[i], v, n))
			return !k->check || k->check(v, n);
	return false;
}

/* Whether a part of the example, its separators left out, is a value. */
static bool example_passes(const struct kind *k, const struct kind_shape *shape, size_t shapes)
{
	for (const char *from = k->example; *from; from++) {
		char v[KIND_LENGTH_MAX + 1];
		size_t n = 0;
		for (const char *c = from; *c && n < KIND_LENGTH_MAX; c++) {
			if (!isalnum((unsigned char)*c) || (unsigned char)*c >= 0x80)
				continue;
			v[n++] = (char)toupper((unsigned char)*c);
			v[n] = 0;
			if (fits(k, shape, shapes, v, n))
				return true;
		}
	}
	return false;
}

static void row_groups(const struct kind *k, const struct kind_shape *shape, size_t shapes)
{
	struct err e = { 0 };
	for (const char *at = k->groups; at && *at;) {
		struct kind_grouping g;
		if (kind_groups(&at, &g, &e) < 0) {
			row_wrong(k, e.text);
			return;
		}
		bool fit = false;
		for (size_t i = 0; i < shapes; i++)
			fit |= g.symbols >= shape[i].least && g.symbols <= shape[i].most;
		if (!fit)
			row_wrong(k, "a grouping has no length that the form has");
	}
	if (!k->groups && k->grouped != NEED_NEVER)
		row_wrong(k, "without groups, grouped is never");
}

Test(filters_kinds, every_row_holds)
{
	const struct kind *k;
	for (size_t i = 0; (k = kind_at(i)); i++) {
		struct kind_shape shape[KIND_SHAPES_MAX];
		size_t shapes;
		struct err e = { 0 };
		if (k->version == 0)
			row_wrong(k, "versions count from 1");
		row_needs(k);
		if (kind_form(k->form, shape, &shapes, &e) < 0) {
			row_wrong(k, e.text);
			continue;
		}
		row_groups(k, shape, shapes);
		if (k->example && !example_passes(k, shape, shapes))
			row_wrong(k, "the example fails its own form and check");
	}
}
