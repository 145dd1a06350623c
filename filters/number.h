/* Finding numbers and codes: all kinds of a set in one pass. Private to the room.
 *
 * A start is a letter or digit whose left border is free. From there the compact value (letters
 * and digits, separators left out) runs through the shapes of all kinds at once: bit i of a set is
 * shape i. Where shapes may end, what was written is judged: grouping, borders, check, evidence.
 * What is asked of a writing, and where a value ends: docs/filters.md. A start is decided once no
 * later text can change what it gives; until then it holds the stream. */
#ifndef FILTERS_NUMBER_H
#define FILTERS_NUMBER_H

#include "base/arena.h"
#include "filters/automaton.h"
#include "filters/filters.h"
#include "filters/kind.h"

/* Separators between two symbols. Soft ones stand in any grouping; one line break and the hard
 * ones only between groups of four (a comma also as a thousands mark), or where a grouping names
 * them. */
enum separator {
	SEP_NONE,
	SEP_SPACE, /* one or two */
	SEP_DASH,  /* this and the slash also with a space at either side */
	SEP_SLASH,
	SEP_DOT,
	SEP_LOW_LINE,
	SEP_MIDDLE_DOT, /* and bullets */
	SEP_COLON,
	SEP_LINE,
	SEP_COMMA, /* also with a space behind it */
	SEP_PLUS,  /* a space, in a form body: in all groupings */
	SEP_APOSTROPHE,
	SEP_SEMICOLON,
	SEP_BAR,
	SEP_TAB,
	SEP_STAR,
	SEP_TILDE,
	SEP_EQUALS,
	SEP_NUMBER_SIGN,
	SEP_BRACKET, /* the opening one, as before the check digit of Hong Kong */
	SEPARATORS
};
#define SEP_SOFT_LAST SEP_COLON

#define NUMBER_SYMBOLS 62 /* 0-9, A-Z, a-z */
#define NUMBER_BEFORE 64  /* code points before a value in which its words count */
#define NUMBER_AFTER 24   /* and behind it */
#define NUMBER_ALONE 256  /* bytes of a text of which a value may be all */
#define NUMBER_RUN 20     /* digits from which on a run is searched inside */
#define NUMBER_HASH 64    /* longest run of hexadecimal digits that is taken for a digest */
#define NUMBER_HEADER 512 /* bytes of a line that may name columns */
#define NUMBER_PENDING 32
#define NUMBER_SETS_MAX 64 /* words of 64 shapes each */
/* Code points before a start that anything looks at: a long run, and the words before it. */
#define NUMBER_BEHIND (NUMBER_HASH + NUMBER_BEFORE + 2)

/* A rule that looks for a kind. */
struct number_rule {
	uint32_t rule;
	enum filter_context context;
};

/* A kind of the set, with its groupings read. */
struct number_kind {
	const struct kind *row;
	struct kind_grouping *grouping;
	struct number_rule *rule;
	uint32_t groupings, rules;
	bool digits; /* nothing but digits */
};

struct number_shape {
	uint32_t kind;
	uint8_t least, most;
};

/* Who is meant by a word. */
struct number_owner {
	uint32_t kind; /* or WORD_VETO, WORD_FILLER */
	uint32_t next; /* owner + 1 of the same word, or 0 */
};
#define WORD_VETO UINT32_MAX
#define WORD_FILLER (UINT32_MAX - 1)

struct number_word {
	uint32_t owner; /* first, + 1 */
	bool open_front, open_end;
};

/* Compiled, immutable, shared by streams. */
struct number_table {
	struct number_kind *kind;
	size_t kinds;
	struct number_shape *shape;
	size_t shapes, sets; /* sets: words of 64 bits in a set of shapes */
	unsigned length;     /* of the longest value */
	/* Sets of shapes: */
	uint64_t *symbol;    /* [length][NUMBER_SYMBOLS]: that allow this symbol there */
	uint64_t *separator; /* [length][SEPARATORS]: that allow this one before symbol i */
	uint64_t *ends;      /* [length + 1]: that may have so many symbols */
	uint64_t *ends_open; /* [length + 1]: and end with a digit, so that a letter may follow */
	uint64_t *open;      /* that begin with a digit, so that a letter may stand before */
	uint64_t *inside;    /* that are looked for inside longer runs of digits */
	bool any_inside;
	uint32_t decodes; /* FILTER_DECODE_* that some rule allows */
	struct automaton *words;
	struct number_word *word;
	struct number_owner *owner;
	bool starts[256]; /* a value may begin with this byte */
};

/* A match that counts only if the text holds nothing else. */
struct number_pending {
	uint64_t start, end, head, tail; /* view offsets */
	uint32_t rule;
};

/* What is known of the lines up to the cursor: the cells of this one, and the names of columns. */
struct number_lines {
	char line[NUMBER_HEADER], header[NUMBER_HEADER];
	uint16_t length, header_length; /* line: NUMBER_HEADER + 1 when it is longer */
	uint16_t cells[4];              /* separators so far of each kind, outside quotes */
	uint16_t header_cells;
	uint8_t header_separator;
	uint8_t digits; /* in a row at the end of the line so far */
	bool quoted, numbers, text;
};

/* The scanner's state on one window. */
struct number_state {
	bool asleep;         /* as of a probe */
	uint64_t cursor;     /* view offset of the first start that is not decided */
	uint64_t live;       /* what is held from: a view offset, or NOWHERE */
	uint64_t strong_end; /* behind the last value that needed nothing */
	uint64_t covered;    /* behind the last value that was found or waits */
	bool not_alone;      /* the text holds something else */
	struct number_pending pending[NUMBER_PENDING];
	uint32_t pendings;
	struct number_lines lines;
};

/* number_table.c: compile the kinds that the rules name. *out is NULL if they name none. */
int filter_numbers_build(struct number_table **out, const struct filter_rule *const *rule,
			 size_t rules, struct arena *a, struct err *e) MUST_USE;
void filter_numbers_free(struct number_table *t);
/* The most code points that a start, or a value that waits to be alone, is held for. */
uint32_t filter_numbers_width(const struct number_table *t);
/* Groups of four, the last perhaps shorter: a line break or a hard separator may part them. */
bool filter_grouping_fours(const struct kind_grouping *g);
/* The newest version of a name; 0: there is no such kind. */
unsigned filter_kind_version(const char *name);
/* Whether a row is meant by "pan" (its newest version) or "pan/1". */
bool filter_kind_is(const struct kind *k, const char *asked);

#endif
