/* Questions about characters that the tokenizer and the templates share. */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool unicode_is_space(uint32_t cp);       /* property White_Space */
bool unicode_is_word(uint32_t cp);        /* \w of UTS 18, annex C */
bool unicode_is_numeric(uint32_t cp);     /* category N */
bool unicode_is_punctuation(uint32_t cp); /* category P of Unicode 8, or ASCII punctuation */
bool unicode_has_form(uint32_t cp);       /* false: normalisation forms leave it alone */

/* Of valid UTF-8. The code point that ends at s[len), its length in *size; len >= 1. */
uint32_t unicode_last(const char *s, size_t len, size_t *size);
bool unicode_ends_with_word(const char *s, size_t len);
bool unicode_starts_with_word(const char *s, size_t len);
size_t unicode_spaces_at_end(const char *s, size_t len);   /* bytes */
size_t unicode_spaces_at_start(const char *s, size_t len); /* bytes */

/* One character in the other case, one to three code points; returns their count. Full mapping
 * for the few characters that grow: dotted capital I, sharp s. */
int unicode_lower(uint32_t cp, uint32_t out[3]);
int unicode_upper(uint32_t cp, uint32_t out[3]);

#endif
