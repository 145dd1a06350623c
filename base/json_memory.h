/* Where the memory of JSON's values comes from: set for all of the program. */
#ifndef BASE_JSON_MEMORY_H
#define BASE_JSON_MEMORY_H

#include <stdbool.h>

/* Have jansson take memory here, from the first call on, and forget whether there was none. What
 * was made before is freed as what comes later is. */
void json_memory_use(void);
/* Whether an allocation of this thread has failed since: jansson's parser reports that as bad text.
 * starve: one that is not jansson's has. */
bool json_memory_starved(void);
void json_memory_starve(void);

#endif
