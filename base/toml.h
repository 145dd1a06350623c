/* TOML 1.0 reader. Strict: duplicate keys, redefinitions, bad UTF-8 and control characters are
 * refused with line and column. Source: toml.io/en/v1.0.0. */
#ifndef BASE_TOML_H
#define BASE_TOML_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum toml_kind {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOL,
	TOML_OFFSET_DATETIME,
	TOML_LOCAL_DATETIME,
	TOML_LOCAL_DATE,
	TOML_LOCAL_TIME,
	TOML_ARRAY,
	TOML_TABLE,
};

/* A value and where it stands (both from 1). Children of arrays and tables are a list in source
 * order. */
struct toml {
	enum toml_kind kind;
	bool broken; /* toml_parse_all: a mistake stands in it, its other members say nothing */
	int line, column;
	const char *key;  /* in a table: NUL-terminated key; in an array NULL */
	size_t key_len;   /* keys may hold NUL */
	const char *text; /* string bytes, or a date-time as normalised RFC 3339 text */
	size_t text_len;
	int64_t integer;
	double number;
	bool boolean;
	struct toml *first, *next; /* children; siblings */
	size_t count;              /* children */
};

/* Parse text[0..len). *root is a table living in the arena. On ERR_INPUT the sentence starts "line
 * L, column C: ". */
int toml_parse(const char *text, size_t len, struct arena *a, struct toml **root,
	       struct err *e) MUST_USE;

/* Told of each mistake, in the order in which they are met. */
struct toml_mistakes {
	void (*tell)(void *ctx, int line, int column, const char *text);
	void *ctx;
};

/* As toml_parse, for a text whose writer wants to know all that is wrong with it: goes on behind a
 * mistake, at the next line that begins a key or a table, and gives what could be read. ERR_INPUT
 * when there was a mistake, with *root set; without it where nothing could be read. Ends at the
 * 1,000th. */
int toml_parse_all(const char *text, size_t len, struct arena *a,
		   const struct toml_mistakes *mistakes, struct toml **root,
		   struct err *e) MUST_USE;

/* Member of a table, or NULL. */
const struct toml *toml_get(const struct toml *table, const char *key);

#endif
