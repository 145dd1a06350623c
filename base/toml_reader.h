/* Private to toml.c (document, tables, keys) and toml_value.c (strings, numbers, date-times). */
#ifndef BASE_TOML_READER_H
#define BASE_TOML_READER_H

#include "base/buf.h"
#include "base/toml.h"

struct toml_slot;

struct toml_reader {
	const char *begin, *at, *end; /* the text and the next byte to read */
	struct arena *arena;
	struct err *e;
	struct buf scratch; /* the string or number being read */
	const char *seen;   /* line and column below belong to this byte */
	int line, column;
	const struct toml_mistakes *mistakes; /* NULL: the first one ends the reading */
	int told;                             /* how many */
	bool lost;                            /* behind this one nothing can be understood */
	struct toml_slot *slots; /* (table, key) -> member; open addressing, power of two */
	size_t slots_room, slots_used;
};

/* The next byte, or -1 at the end. */
static inline int toml_peek(const struct toml_reader *r)
{
	return r->at < r->end ? (unsigned char)*r->at : -1;
}

/* Whether the text goes on with these bytes. */
bool toml_ahead(const struct toml_reader *r, const char *bytes);

/* ERR_INPUT "line L, column C: ..." for the byte `at`; told, where mistakes are gathered. */
int toml_fail(struct toml_reader *r, const char *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
#ifdef __clang_analyzer__
#define toml_fail(r, at, ...) ((toml_fail)(r, at, __VA_ARGS__), ERR_INPUT)
#endif

/* A mistake behind which the reading can go on right there: 0 where mistakes are gathered. */
static inline int toml_forgive(const struct toml_reader *r, int rc)
{
	return rc == ERR_INPUT && r->mistakes ? 0 : rc;
}

/* A quoted string of any of the four kinds, or of the two one-line kinds; the bytes live in the
 * arena. */
int toml_read_string(struct toml_reader *r, bool one_line, const char **text, size_t *len) MUST_USE;

/* Boolean, number or date-time into v. */
int toml_read_scalar(struct toml_reader *r, struct toml *v) MUST_USE;

#endif
