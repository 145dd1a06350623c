/* Kinds of numbers and codes: cards, accounts, tax and identity numbers. A kind is a row of a
 * table; one scanner (filters/numbers.c) finds all of them at once. How to write a row, and what
 * makes a writing a value: docs/filters.md. */
#ifndef FILTERS_KIND_H
#define FILTERS_KIND_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value needs besides its form and its check, by how it is written. Rule of thumb: less
 * than one chance hit in 1,000 writings of that shape needs nothing; one in 10 (a bare run of
 * digits with one check digit) needs a word; what lies between needs that no veto stands before
 * it; where more than one in 4 passes (no check digit), only a label makes it a value. */
enum kind_need {
	NEED_UNSET,   /* a row says all three: the tests refuse this one */
	NEED_NOTHING, /* shape and check make a chance hit rare enough by themselves */
	NEED_NO_VETO, /* unless a word just before names another thing: order, serial, version ... */
	NEED_WORD,    /* only near one of the kind's words, or, not in other groups, alone where the
			 rule says so */
	NEED_LABEL,   /* only near one of the kind's words: alone, the number may be any */
	NEED_NEVER,   /* this writing is not of the kind */
};

/* For a row: what it needs without separators, in customary groups, in others. */
#define NEEDS(without, customary, other) \
	.bare = NEED_##without, .grouped = NEED_##customary, .loose = NEED_##other

#define KIND_LENGTH_MAX 40u  /* letters and digits of a value */
#define KIND_GROUPS_MAX 16u  /* of a customary grouping */
#define KIND_SHAPES_MAX 128u /* of one form */

/* Whether the check digits, the date and whatever else the rule has are right. v is the value
 * without separators, letters in upper case, n of them, then 0; it has the form. Separators that
 * carry meaning (a Finnish century sign) are not in it. */
typedef bool kind_check(const char *v, size_t n);

/* Designated initialisers; everything is static. Several rows may have one name and version: they
 * act together, each with its own form and needs. */
struct kind {
	/* "de.tax_id": country and number; "pan": of all countries. */
	const char *name;
	unsigned version; /* from 1; raised when what the kind finds changes */

	/* The compact value: '#' digit, 'A' letter, 'X' letter or digit, [A-HJ1-5] one of these, any
	 * other letter or digit itself ([A] and [X] for the letters A and X); {n} and {m,n} repeat the
	 * one before; '|' between forms. Letters count in either case; after a '^' at the front
	 * only capitals do (a kind whose check is weak and whose small letters are words). */
	const char *form;

	/* Customary groupings, '|' between: lengths with the separator between them, one of
	 * - . / _ : + , ( and ' ' for any one separator throughout: "3.3.3-2|4 4 4". NULL: none. */
	const char *groups;

	kind_check *check; /* NULL: the form decides */

	/* Written without separators; in a customary grouping; in other groups with one kind of
	 * separator throughout (NEED_NEVER where the groups carry meaning or the check is weak). */
	enum kind_need bare, grouped, loose;

	/* Context words, NULL-terminated, in the country's languages and English: UTF-8, lower case,
	 * with or without accents. A space stands for a space, '-', '_', '.' or nothing ("tax id" is also
	 * taxId and tax_id); '*' at the end of a word for any ending, at its front for any beginning
	 * ("*nummer"). NULL: no need says NEED_WORD or NEED_LABEL. */
	const char *const *words;

	bool inside;                     /* also looked for inside longer runs of digits */
	uint8_t shown_first, shown_last; /* what a mask leaves readable: letters and digits */

	/* For people: what it is, where the rule is published, and a made-up valid value as it would
	 * be written, with its context word if it needs one. */
	const char *what, *source, *example;
};

/* The tables: rows end with one without name, lists of tables with NULL. Each list has its own
 * file: kinds_general.c, kinds_eu.c, and one for each part of the world. */
extern const struct kind *const kind_tables_general[];
extern const struct kind *const kind_tables_eu[];
extern const struct kind *const kind_tables_europe[]; /* outside the Union */
extern const struct kind *const kind_tables_europe_east[];
extern const struct kind *const kind_tables_north_america[];
extern const struct kind *const kind_tables_latin_america[];
extern const struct kind *const kind_tables_east_asia[];
extern const struct kind *const kind_tables_south_asia[];
extern const struct kind *const kind_tables_middle_east[];
extern const struct kind *const kind_tables_africa[];
extern const struct kind *const kind_tables_pacific[];

/* Row i of all tables, or NULL behind the last. */
const struct kind *kind_at(size_t i);

/* One sequence of symbols; the last may repeat. at[i] has a bit for each symbol that may stand at
 * i: bits 0 to 9 for digits, 10 to 35 for A to Z. */
struct kind_shape {
	uint64_t at[KIND_LENGTH_MAX];
	uint8_t least, most; /* length */
	bool capitals;       /* small letters do not count */
};

/* Lengths of the groups; separator[i] stands between group i and i + 1. */
struct kind_grouping {
	uint8_t length[KIND_GROUPS_MAX];
	char separator[KIND_GROUPS_MAX];
	uint8_t groups, symbols; /* symbols: the sum of the lengths */
};

/* Compile a form; out has room for KIND_SHAPES_MAX. ERR_INPUT says where it is wrong. */
int kind_form(const char *form, struct kind_shape *out, size_t *count, struct err *e) MUST_USE;
/* Read the next grouping from *at (the kind's groups at first) and move *at behind it; groups is 0
 * at the end. ERR_INPUT. */
int kind_groups(const char **at, struct kind_grouping *out, struct err *e) MUST_USE;
/* The bit of a character in kind_shape.at, small letters as capitals; 0 for what is neither letter
 * nor digit of ASCII. */
uint64_t kind_symbol(char c);

#endif
