/* Built-in detectors: a regex on the value (or raw) view proposes, a check in C decides before the
 * action. */
#ifndef FILTERS_DETECT_H
#define FILTERS_DETECT_H

#include "filters/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DETECT_VALUE_MAX 64
#define DETECT_BEFORE 64 /* code points before a match that a context word may lie in */

enum detect_verdict {
	DETECT_NO,   /* try again one code point further */
	DETECT_SKIP, /* legitimate use: continue behind it */
	DETECT_YES,
};

struct number_lines; /* number.h: the names of columns */

/* A proposed match in a window of view text. A check may shorten it at both ends, and says what a
 * mask shows. */
struct detect_hit {
	const char *text;
	size_t len;        /* of the window */
	size_t start, end; /* bytes; in, out */
	size_t head, tail; /* out: a mask leaves [start, head) and [tail, end) readable */
	char value[DETECT_VALUE_MAX + 1]; /* its ASCII letters and digits, in upper case */
	size_t n;                         /* of value; longer matches are cut off */
	bool bare;                        /* nothing but letters and digits */
	bool always;                      /* the rule wants a word near every value */
	bool first; /* the window begins where the text does */
	const struct number_lines *lines; /* up to the match; NULL: not followed */
	bool alone; /* the rule asks for no word where the value is all of its text */
};

typedef enum detect_verdict detect_check(struct detect_hit *h);

struct detector {
	const char *name;
	unsigned version; /* from 1: filter_detector_known */
	const char *regex;
	detect_check *check; /* NULL: the shape decides */
	bool raw;            /* on the raw view */
	/* For people, in the first row of a name: what it is, where the rule is published, a made-up
	 * valid value with its word if it needs one; when it needs one of its words, NULL: never. */
	const char *what, *source, *example, *needs;
	unsigned words; /* 1 + enum near_kind (near.h); 0: it has none */
};

/* A row of the table, or NULL; rows of one name and version act together. */
const struct detector *filter_detector_at(size_t i);
/* Those of the table of contacts and places (detect_contact.c). */
const struct detector *filter_detector_contact(size_t i);
/* Whether a row is meant by "pan" (its newest version) or "pan/1". */
bool filter_detector_is(const struct detector *d, const char *asked);
/* Fill value, n and bare, then check. */
enum detect_verdict filter_detector_judge(const struct detector *d, struct detect_hit *h);

detect_check detect_tags, detect_selectors, detect_bidi;
detect_check detect_email, detect_phone, detect_ip, detect_ip6, detect_mac;
detect_check detect_btc58, detect_ltc58, detect_doge, detect_trx, detect_xrp, detect_sol,
	detect_bech32, detect_bch, detect_eth, detect_xmr;
detect_check detect_birth, detect_plate, detect_plate_shape, detect_street;

#endif
