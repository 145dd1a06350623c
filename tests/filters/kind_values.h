/* Rows of kinds' values for tests: what is right, and what is not. */
#ifndef TESTS_FILTERS_KIND_VALUES_H
#define TESTS_FILTERS_KIND_VALUES_H

#include "filters/kind.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Compact values with spaces between; each '?' of a wrong one stands for every digit. */
struct kind_values {
	const char *kind, *valid, *wrong;
};

static bool kind_form_takes(const struct kind *k, const char *v)
{
	struct kind_shape shape[KIND_SHAPES_MAX];
	size_t shapes, n = strlen(v);
	struct err e = { 0 };
	cr_assert(kind_form(k->form, shape, &shapes, &e) == 0, "%s: %s", k->name, e.text);
	for (size_t i = 0; i < shapes; i++) {
		size_t at = 0;
		while (at < n && at < shape[i].most && (shape[i].at[at] & kind_symbol(v[at])))
			at++;
		if (at == n && n >= shape[i].least)
			return true;
	}
	return false;
}

/* By any row of that name. */
static bool kind_takes(const char *name, const char *v)
{
	const struct kind *k;
	bool known = false;
	for (size_t i = 0; (k = kind_at(i)); i++) {
		if (strcmp(k->name, name) != 0)
			continue;
		known = true;
		if (kind_form_takes(k, v) && (!k->check || k->check(v, strlen(v))))
			return true;
	}
	cr_expect(known, "%s: no such kind", name);
	return false;
}

static void kind_refuses(const char *name, const char *v)
{
	char any[64], *place[4];
	size_t places = 0;
	snprintf(any, sizeof any, "%s", v);
	for (char *c = any; *c; c++)
		if (*c == '?' && places < 4)
			place[places++] = c;
	unsigned ways = 1;
	for (size_t i = 0; i < places; i++)
		ways *= 10;
	for (unsigned w = 0; w < ways; w++) {
		unsigned rest = w;
		for (size_t i = 0; i < places; i++, rest /= 10)
			*place[i] = (char)('0' + rest % 10);
		cr_expect_not(kind_takes(name, any), "%s: %s is not valid", name, any);
	}
}

static void kind_rows_hold(const struct kind_values *row, size_t rows)
{
	for (size_t i = 0; i < rows; i++) {
		char valid[200], wrong[200], *save = NULL;
		snprintf(valid, sizeof valid, "%s", row[i].valid);
		snprintf(wrong, sizeof wrong, "%s", row[i].wrong);
		for (char *v = strtok_r(valid, " ", &save); v; v = strtok_r(NULL, " ", &save))
			cr_expect(kind_takes(row[i].kind, v), "%s: %s is valid", row[i].kind, v);
		for (char *v = strtok_r(wrong, " ", &save); v; v = strtok_r(NULL, " ", &save))
			kind_refuses(row[i].kind, v);
	}
}

static void kind_tables_have_rows(const struct kind *const *table, const struct kind_values *row,
				  size_t rows)
{
	for (; *table; table++)
		for (const struct kind *k = *table; k->name; k++) {
			bool here = false;
			for (size_t i = 0; i < rows; i++)
				here |= strcmp(row[i].kind, k->name) == 0;
			cr_expect(here, "%s has no values", k->name);
		}
}

#endif
