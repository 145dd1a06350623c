/* The order of version names. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#include <stdbool.h>

/* Below, at or over 0, for any two texts; 0 for equal ones alone. From the lowest:
 *   other names ("2026-11-29", "beta"), runs of digits by their value ("r9" before "r10");
 *   pre-releases ("2.0.0-rc.1"), so that none is taken for the best while there is a release;
 *   releases ("1.9.0" before "1.10.0"; "v1.2" is 1.2.0; what follows "+" decides last).
 * Source: Semantic Versioning 2.0.0, section 11; the first two lines are ours. */
int version_compare(const char *a, const char *b);

/* Whether a text reads as a version: it begins with a digit, or with "v" and a digit. */
bool version_like(const char *text);

#endif
