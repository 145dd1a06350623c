/* The regex grammar of finite width, and compiled regexes. */
#ifndef FILTERS_REGEX_H
#define FILTERS_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/buf.h"
#include "base/err.h"

#include <pcre2.h>
#include <stdbool.h>
#include <stdint.h>

#define REGEX_WIDTH_MAX 1024u /* code points, look-ahead included */
#define REGEX_MATCH_LIMIT 50000u
#define REGEX_DEPTH_LIMIT 1000u
#define REGEX_HEAP_KIB 1024u

struct regex {
	pcre2_code *code;
	uint32_t width;    /* most code points a try inspects from its start */
	uint32_t behind;   /* code points inspected before the start */
	bool first_known;  /* a match must begin with one of these bytes */
	uint8_t first[32]; /* bitmap */
};

/* Parse: greatest width, and the pattern with *, + and {n,} made finite (appended to finite; may be
 * NULL). */
int filter_regex_measure(const char *pattern, uint32_t repeat_max, uint32_t *width,
			 struct buf *finite, struct err *e) MUST_USE;

/* Compile for streaming; tried: first run worst cases made from the pattern's own characters. */
int filter_regex_compile(struct regex *out, const char *pattern, uint32_t repeat_max, bool tried,
			 struct err *e) MUST_USE;
/* The same for a pattern of ours that is tried at given places, where a match then begins. */
int filter_regex_compile_anchored(struct regex *out, const char *pattern, struct err *e) MUST_USE;
void filter_regex_free(struct regex *r);

/* A match context with the limits of this room, or NULL. */
pcre2_match_context *filter_regex_context(void);

#endif
