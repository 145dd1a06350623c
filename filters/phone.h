/* Telephone numbers: numbering plans as data, and the reading of digits by them. Private to the
 * room. */
#ifndef FILTERS_PHONE_H
#define FILTERS_PHONE_H

#include <stdbool.h>
#include <stddef.h>

/* The numbering plan of a country.
 * ranges: "LEAD:LEAST-MOST" or "LEAD:LENGTH", a space between; LEAD is the beginning of a national
 *   significant number (digits and classes "[2-5]"), the lengths are its digits without trunk
 *   prefix. A leading '-' says that the trunk prefix is never dialled, '*' that it may be. */
struct phone_plan {
	const char *country, *code; /* "de", "49" */
	const char *trunk; /* prefixes of a call inside the country, '|' between; "": none */
	const char *ranges;
	const char *source;
};

/* A row of the table, or NULL. */
const struct phone_plan *filter_phone_plan(size_t i);
/* Digits of the country code that v[n] begins with, 0: none is assigned. */
size_t filter_phone_code(const char *v, size_t n);

enum phone_form {
	PHONE_NONE,
	PHONE_SHORT,    /* national, of a plan without a trunk prefix */
	PHONE_TRUNK,    /* national, with its trunk prefix */
	PHONE_ASSIGNED, /* an assigned country code whose plan is not in the table */
	PHONE_WORLD,    /* country code and number of a plan in the table */
};

/* Read v[n], ASCII digits. world: what stands behind "+" or a prefix of international calls;
 * zero: a trunk prefix in brackets, "(0)", stood behind the country code and is left out of v. */
enum phone_form filter_phone_read(const char *v, size_t n, bool world, bool zero);
/* Whether v[n] is a whole number of the North American plan, without the 1. */
bool filter_phone_american(const char *v, size_t n);

#endif
