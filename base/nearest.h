/* The word that was meant: for sentences about an unknown name. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stdbool.h>

/* Whether two words are one, whatever the case of their letters; '-', '_' and ' ' are alike. */
bool nearest_same(const char *a, const char *b);

/* Of names (ended by NULL) the nearest to what was found, by insertions, deletions, changes and
 * exchanges of neighbours; a name whose part behind its last '.' or '/' is that word is near too.
 * NULL: more than a third of the letters would have to change. Borrowed from names. */
const char *nearest_name(const char *found, const char *const *names);

#endif
