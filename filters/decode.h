/* Decoding: what a piece of text says once its escapes are read. Pure functions of a short list of
 * characters; who collects them, and when they are enough, is batch.c's.
 *
 * The readings form a chain; each decodes what the one before does and more. So a writing that can
 * be meant in two ways is read in both: in "?a=41" the last reading sees an A, the others do not,
 * and no decoding hides a value from the readings before it. */
#ifndef FILTERS_DECODE_H
#define FILTERS_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum reading {
	READING_DIRECT,  /* as it stands */
	READING_ESCAPES, /* backslashes, entities */
	READING_PERCENT, /* and percent, two layers of both */
	READING_MARKUP,  /* and marks of Markdown and HTML inside words and numbers */
	READING_MAIL,    /* and quoted-printable */
	READINGS
};

/* Not of readings, but of runs of digits: run.c. */
#define FILTER_DECODE_RUNS (FILTER_DECODE_BASE64 | FILTER_DECODE_HEX)
#define RUNS 5          /* four of base64, one of hexadecimal digits */
#define RUN_MIN 16      /* digits of a run that is read */
#define RUN_SIGN_MAX 6  /* characters that a digit may be written with */
#define RUN_LINE 8      /* digits of a line that a run goes on behind */
#define RUN_WRAP_MAX 12 /* signs between two lines of a run */
#define RUN_CHAR_MAX 80 /* characters that one of four bytes is written with: 8 digits, 2 lines */
#define RUN_WAIT 16     /* characters of a run before it opens */

#define DECODE_BATCH 128   /* characters that are looked at together */
#define DECODE_SIGN_MAX 64 /* of them (all ASCII) that may make up one decoded character */

/* A character, the raw bytes it stands for, the encodings (FILTER_DECODE_*) that made it, and which
 * characters of the batch it came of. */
struct sign {
	uint32_t cp;
	uint8_t made, from, to;
	uint64_t start, end;
};

/* A batch in one reading. */
struct decoded {
	struct sign sign[DECODE_BATCH];
	int n;
	int settled;                   /* characters of the batch that no later one can change */
	bool inside[DECODE_BATCH + 1]; /* position i lies inside of an escape */
	uint8_t dropped[DECODE_BATCH + 1]; /* weight of what was dropped and ended at position i */
};

/* How much a dropped piece of text counts against VIEW_NOISE_MAX: one for each 16 characters. */
#define DECODE_NOISE(chars) (((unsigned)(chars) + 15) / 16)

/* Whether cp may begin an escape of these encodings. */
bool filter_decode_opens(uint32_t cp, uint32_t encodings);
/* Read in[0..n) in every reading. before: the characters in front of the batch. final: nothing
 * follows. query: it stands in the query of an address. */
void filter_decode(uint32_t encodings, const struct sign *in, int n,
		   const uint32_t before[READINGS], bool final, bool query,
		   struct decoded out[READINGS]);
/* The encodings of a reading. */
uint32_t filter_decode_of(enum reading r);

#endif
