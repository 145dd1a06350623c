/* Speculative decoding by prompt lookup: the draft is what followed the last occurrence of the
 * latest tokens (n-grams of 4 down to 2). Source: A. Saxena, "Prompt Lookup Decoding", 2023. */
#include "engine/scheduler.h"

#include <string.h>

#define NGRAM_MAX 4u
#define NGRAM_MIN 2u
#define LOOK_BACK 8192u /* tokens, so that a step's cost has a bound */

uint32_t engine_draft_lookup(const uint32_t *token, uint32_t count, uint32_t most, uint32_t *out)
{
	uint32_t from = count > LOOK_BACK ? count - LOOK_BACK : 0;
	for (uint32_t n = NGRAM_MAX; n >= NGRAM_MIN; n--) {
		if (count < n + 1)
			continue;
		const uint32_t *last = token + count - n;
		for (uint32_t at = count - n; at-- > from;) { /* the latest first */
			if (memcmp(token + at, last, n * sizeof *token) != 0)
				continue;
			uint32_t left = count - (at + n), got = left < most ? left : most;
			memmove(out, token + at + n, got * sizeof *token);
			return got;
		}
	}
	return 0;
}
