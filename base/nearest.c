/* The word that was meant: see nearest.h. */
#include "base/nearest.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NEAR_BYTES 64 /* longer words are near to nothing */

static char plain(char c) { return c == '-' || c == ' ' ? '_' : (char)tolower((unsigned char)c); }

bool nearest_same(const char *a, const char *b)
{
	while (*a && plain(*a) == plain(*b))
		a++, b++;
	return !*a && !*b;
}

/* Insertions, deletions, changes, and exchanges of neighbours that make b of a. */
static size_t distance(const char *a, const char *b)
{
	size_t row[3][NEAR_BYTES + 1], n = strlen(a), m = strlen(b);
	if (n > NEAR_BYTES || m > NEAR_BYTES)
		return SIZE_MAX;
	for (size_t k = 0; k <= m; k++)
		row[0][k] = k;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
		now[0] = i;
		for (size_t k = 1; k <= m; k++) {
			bool same = plain(a[i - 1]) == plain(b[k - 1]);
			size_t best = before[k - 1] + !same;
			best = before[k] + 1 < best ? before[k] + 1 : best;
			best = now[k - 1] + 1 < best ? now[k - 1] + 1 : best;
			if (i > 1 && k > 1 && plain(a[i - 1]) == plain(b[k - 2]) &&
			    plain(a[i - 2]) == plain(b[k - 1]) && two[k - 2] + 1 < best)
				best = two[k - 2] + 1;
			now[k] = best;
		}
	}
	return row[n % 3][m];
}

/* The name behind the country or kind: "tax_id" of "de.tax_id", "pii-eu" of "packs/pii-eu". */
static const char *last_part(const char *name)
{
	const char *part = name;
	for (const char *c = name; *c; c++)
		if ((*c == '.' || *c == '/') && c[1])
			part = c + 1;
	return part;
}

const char *nearest_name(const char *found, const char *const *names)
{
	const char *best = NULL;
	size_t least = 0;
	for (size_t k = 0; names[k]; k++) {
		size_t n = strlen(found), m = strlen(names[k]);
		size_t away = distance(found, names[k]);
		if (away && nearest_same(found, last_part(names[k])))
			away = 1;
		if (away <= ((n > m ? n : m) + 1) / 3 && (!best || away < least)) {
			best = names[k];
			least = away;
		}
	}
	return best;
}
