/* Text encodings: UTF-8, hex, base64, decimal. All readers are strict: one spelling per value. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decode one code point of s[0..len).
 *   returns the bytes used (1..4) and sets *cp; 0 if s is a proper prefix of a well-formed sequence
 *   (need more); -n if the first n bytes are one maximal ill-formed subpart (Unicode 15,
 * section 3.9, U+FFFD substitution of maximal subparts). len >= 1. */
int text_utf8_decode(const void *s, size_t len, uint32_t *cp);

/* Encode cp (a scalar value) into out[4]; returns 1..4. */
int text_utf8_encode(uint32_t cp, char out[4]);

bool text_utf8_valid(const void *s, size_t len);

/* Bytes at the end of s[0..len) that are an unfinished, so far well-formed sequence: 0..3. */
size_t text_utf8_unfinished(const void *s, size_t len);

/* s[0..len) into out[room] with a NUL at its end, as far as it fits. What must reach no terminal
 * and no log is written as \xNN: control characters, those that hide or reorder text, bytes that
 * are no UTF-8. Of an unfinished character at the end nothing is written when `cut` says that more
 * stood behind it. Returns the length. What was escaped once is not changed by it again. */
size_t text_escape(char *out, size_t room, const char *s, size_t len, bool cut);

/* Lower-case hex; out holds 2*len + 1. */
void text_hex(const void *bytes, size_t len, char *out);

/* Lower-case hex only; exactly 2*len characters of s[0..n). ERR_INPUT otherwise. */
int text_unhex(const char *s, size_t n, void *bytes, size_t len) MUST_USE;

/* RFC 4648 section 4 with padding, appended to out; _url is section 5 without padding. */
void text_base64(struct buf *out, const void *bytes, size_t len);
void text_base64_url(struct buf *out, const void *bytes, size_t len);

/* Strict inverse of text_base64: standard alphabet, padded, no spaces, zero trailing bits. */
int text_unbase64(struct buf *out, const char *s, size_t n) MUST_USE;
int text_unbase64_url(struct buf *out, const char *s, size_t n) MUST_USE; /* unpadded */

/* Value of a hex digit of either case, or -1. */
int text_hex_digit(int c);

/* Whether s[0..len) is what programs call things: letters, '_', '.', '-', and up to four digits.
 * Names of a client's go into records, which no rule reads: what may be more than a name is not
 * repeated there. */
#define TEXT_NAME_BYTES 96
bool text_is_name(const char *s, size_t len);

/* Decimal without sign, spaces or leading zero ("0" itself is fine); whole string. ERR_INPUT
 * otherwise. */
int text_parse_u64(const char *s, size_t n, uint64_t *out) MUST_USE;
/* The same with one '-' before a number that is not 0. */
int text_parse_i64(const char *s, size_t n, int64_t *out) MUST_USE;

/* A whole NUL-terminated string as a finite double. */
int text_parse_double(const char *s, double *out) MUST_USE;

/* Appends s[0..len) as a JSON string with quotes; ill-formed UTF-8 becomes U+FFFD. */
void text_json_string(struct buf *out, const void *s, size_t len);

/* RFC 3339 UTC with seconds, "2026-11-23T21:25:42Z", of microseconds since 1970. */
void text_time_rfc3339(int64_t time_us, char out[32]);
/* Back from that form, or from a date alone, which is its first second. ERR_INPUT for all else,
 * other offsets and leap seconds among it. */
int text_time_parse(const char *text, int64_t *time_us) MUST_USE;

bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);
/* Whether a list with commas between its items, and nothing else, has this one: [len]. */
bool text_list_has(const char *list, const char *item, size_t len);

#endif
