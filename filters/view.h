/* Views: pure functions of one code point, so that every folded character keeps its raw place.
 * Source: policy room's design, "views of the text"; UAX #15, UTS #39, DerivedCoreProperties
 * (Default_Ignorable_Code_Point). */
#ifndef FILTERS_VIEW_H
#define FILTERS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum view { VIEW_RAW, VIEW_CASE, VIEW_STRICT_A, VIEW_STRICT_B, VIEW_PLAIN, VIEWS };

/* Dropped between two kept characters: how many ignorables and marks a live match survives. It
 * bounds what may be held. */
#define VIEW_NOISE_MAX 16

#define FOLD_MAX 128 /* U+FDFA has 18 characters in NFKC; each may grow by folding */

struct fold {
	uint32_t cp[FOLD_MAX];
	int n;
};

/* What view v makes of cp: n code points, 0 if it is dropped. */
void view_fold(enum view v, uint32_t cp, struct fold *out);

bool view_ignorable(uint32_t cp); /* invisible: dropped by every view but the raw one */
bool view_mark(uint32_t cp);      /* a mark that strict folding strips */
bool view_noise(uint32_t cp);     /* ignorable or mark: counted against VIEW_NOISE_MAX */
bool view_swallowed(
	uint32_t cp);         /* withheld after a withheld span, so that no orphan mark is left */
bool view_alnum(uint32_t cp); /* letter or number of any script */
bool view_rtl(uint32_t cp);   /* strong right-to-left letter */

#endif
