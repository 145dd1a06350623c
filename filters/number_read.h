/* Reading the text of a window around a value. Private to the room. */
#ifndef FILTERS_NUMBER_READ_H
#define FILTERS_NUMBER_READ_H

#include "filters/number.h"

/* Indices are of the window's bytes; what lies before it is further back than anything looks. */
struct reader {
	const char *text;
	long len;
	bool final;   /* the text ends here */
	bool touched; /* something depends on what comes behind the window */
};

/* The byte at i, -1 outside the text. */
static inline int reader_at(struct reader *r, long i)
{
	if (i >= 0 && i < r->len)
		return (unsigned char)r->text[i];
	r->touched |= i >= 0 && !r->final;
	return -1;
}

static inline bool byte_digit(int c) { return c >= '0' && c <= '9'; }
static inline bool byte_letter(int c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static inline bool byte_hex(int c)
{
	return byte_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The separator that begins at `at`, and *behind the index behind it. SEP_NONE: there is none. */
enum separator filter_separator_read(struct reader *r, long at, long *behind);
/* The last symbol before a separator of this kind that ends at `at`; -1: there is none. */
long filter_separator_before(struct reader *r, long at, enum separator want);
/* The separator that a character in a grouping stands for. */
enum separator filter_separator_of(char c);

/* ---- number_border.c: what a run of symbols is part of */

/* [s, e) lies in a digest: a run of 32, 40, 56 or 64 hexadecimal digits, letters among them. */
bool filter_border_digest(struct reader *r, long s, long e);
bool filter_border_uuid(struct reader *r, long s, long e);
/* The digits from s are the fraction of a decimal; e: where they end. */
bool filter_border_fraction(struct reader *r, long s, long e);
/* The digits of [s, e) belong to a telephone number: + and at most 15 digits. */
bool filter_border_telephone(struct reader *r, long s, long e);
/* 12 or 14 digits that tell a minute or second of the years 1970 to 2099. */
bool filter_border_stamp(const char *v, size_t n);

/* ---- number_words.c: what the words around a value say */

#define CONTEXT_HITS 128
#define CONTEXT_CHARS 256

struct context_hit {
	uint32_t word;
	uint16_t start, end; /* folded characters */
};

/* Folded text and the words in it. */
struct context_text {
	uint32_t cp[CONTEXT_CHARS];
	unsigned n, hits;
	struct context_hit hit[CONTEXT_HITS];
	int veto_start, veto_end; /* the veto that labels what follows; -1: none */
};

/* What surrounds a start; filled when it is first asked. */
struct context {
	bool made, header_made;
	struct context_text before, header, after;
};

enum evidence { EVIDENCE_NONE, EVIDENCE_OWN, EVIDENCE_VETO };

/* What is said of a value [s, e) of a kind. */
enum evidence filter_words_say(struct context *c, const struct number_table *t, struct reader *r,
			       const struct number_lines *lines, uint32_t kind, long s, long e);
/* The next byte of the text. */
void filter_lines_put(struct number_lines *l, unsigned char c);
/* The name of the column that the line is in, [*len], quotes included; NULL: no line above names
 * columns. */
const char *filter_lines_column(const struct number_lines *l, size_t *len);

/* Compile the words of the table's kinds, the vetoes and the fillers. */
int filter_words_build(struct number_table *t, struct arena *a, struct err *e) MUST_USE;
extern const char *const filter_vetoes[], *const filter_fillers[];

#endif
