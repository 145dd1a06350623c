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

/* Ranges of code points, both ends in, ascending: whether cp is in one of them. */
struct unicode_range {
	uint32_t first, last;
};
bool unicode_within(uint32_t cp, const struct unicode_range *table, size_t count);

/* Of valid UTF-8. The code point that ends at s[len), its length in *size; len >= 1. */
uint32_t unicode_last(const char *s, size_t len, size_t *size);
bool unicode_ends_with_word(const char *s, size_t len);
bool unicode_starts_with_word(const char *s, size_t len);
size_t unicode_spaces_at_end(const char *s, size_t len);   /* bytes */
size_t unicode_spaces_at_start(const char *s, size_t len); /* bytes */

/* One character in another case, one to three code points; returns their count. The full mapping of
 * Unicode but for what depends on its neighbours (the final sigma). */
int unicode_lower(uint32_t cp, uint32_t out[3]);
int unicode_upper(uint32_t cp, uint32_t out[3]);
int unicode_title(uint32_t cp, uint32_t out[3]);
int unicode_fold(uint32_t cp, uint32_t out[3]);    /* for comparing without case */
bool unicode_is_lower(uint32_t cp);                /* property Lowercase */
bool unicode_is_upper(uint32_t cp);                /* property Uppercase */
bool unicode_is_title(uint32_t cp);                /* category Lt */
bool unicode_is_ignored_by_case(uint32_t cp);      /* property Case_Ignorable */

bool unicode_is_decimal(uint32_t cp);              /* category Nd */
int unicode_decimal(uint32_t cp);                  /* its value, or -1 */
bool unicode_is_digit(uint32_t cp);                /* Numeric_Type Digit or Decimal */
bool unicode_is_numeric_or_ideograph(uint32_t cp); /* any Numeric_Type */

#endif
