/* Words near a value, by what they announce. Private to the room. */
#ifndef FILTERS_NEAR_H
#define FILTERS_NEAR_H

#include "filters/detect.h"

#include <stddef.h>
#include <stdint.h>

#define NEAR_NONE SIZE_MAX
#define NEAR_AFTER \
	24 /* code points behind a value; a regex that asks for them looks ahead so far */
#define NEAR_AHEAD "(?=(?s:.{0,24}))"

enum near_kind {
	NEAR_PHONE,   /* telephone, call, Handy */
	NEAR_CONTACT, /* contact, "my number" */
	NEAR_NUMBER,  /* number, alone: it may be any */
	NEAR_OTHER,   /* a number of another thing: order, invoice, version */
	NEAR_HOST,    /* client, address, login */
	NEAR_FROM,    /* from, seen: said of hosts, and of much else */
	NEAR_VERSION, /* version, kernel, section */
	NEAR_BIRTH,
	NEAR_PLATE,
	NEAR_WALLET,
	NEAR_HOME, /* address, lives at */
	NEAR_LISTS,
	NEAR_VETO = NEAR_LISTS, /* what numbers know as names of other things (number_read.h) */
	NEAR_FILLER,            /* what may stand between those and a value */
	NEAR_KINDS,
};

/* Bytes between the nearest word of each kind and the value, NEAR_NONE where there is none; the
 * texts are folded: lower case, without accents. */
struct near {
	size_t before[NEAR_KINDS], after[NEAR_KINDS];
	char left[DETECT_BEFORE * 8 + 64]; /* the text before the value in its line */
	size_t left_len;
	bool labelled; /* a veto is the label of the value: it counts as NEAR_OTHER */
};

void filter_near(const struct detect_hit *h, struct near *out);
/* Bit k: the line that names the columns of a table has a word of kind k over the value. The table
 * is followed from its beginning (number_words.c), as for kinds. */
uint32_t filter_near_columns(const struct detect_hit *h);
/* Whether the value is a number of another thing: between the word for it and the value stand no
 * comma and no word but "number", "is" and the like. */
bool filter_near_other(const struct near *near);
/* Words of each kind, '|' between: lower case, no accents. A '*' at an end stands for any letters,
 * a space for a space, '-', '_', '.' or nothing. */
extern const char *const filter_near_words[NEAR_LISTS];
/* What a word is compared as: s[n] in lower case and without accents; returns the length. */
size_t filter_near_fold(const char *s, size_t n, char *out, size_t room);
/* Whether nothing but spaces, quotes and full stops is in the text besides the value. */
bool filter_near_alone(const struct detect_hit *h);

#endif
