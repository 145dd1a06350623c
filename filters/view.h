/* Views: pure functions of one code point, so that every folded character keeps its raw place.
 * Source: policy room's design, "views of the text"; UAX #15, UTS #39, DerivedCoreProperties
 * (Default_Ignorable_Code_Point). */
#ifndef FILTERS_VIEW_H
#define FILTERS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum view { VIEW_RAW, VIEW_CASE, VIEW_STRICT_A, VIEW_STRICT_B, VIEW_PLAIN, VIEW_VALUE, VIEWS };

/* How many ignorable characters and marks may lie between two kept characters of a match. It bounds
 * how many bytes are held. */
#define VIEW_NOISE_MAX 16

#define FOLD_MAX 128 /* U+FDFA has 18 characters in NFKC; each may grow by folding */

struct fold {
	uint32_t cp[FOLD_MAX];
	int n;
};

/* What view v makes of cp: n code points, 0 if it is dropped. */
void filter_view_fold(enum view v, uint32_t cp, struct fold *out);

bool filter_view_ignorable(uint32_t cp); /* invisible: dropped by every view but the raw one */
bool filter_view_mark(uint32_t cp);      /* a mark that strict folding strips */
bool filter_view_noise(uint32_t cp);     /* ignorable or mark: counted against VIEW_NOISE_MAX */
bool filter_view_space(uint32_t cp);      /* space of any kind */
bool filter_view_alnum(uint32_t cp);      /* letter or number of any script */
bool filter_view_rtl(uint32_t cp);        /* strong right-to-left letter */
/* Withheld after a withheld span, so that no orphan mark is left. */
bool filter_view_swallowed(uint32_t cp);

#endif
