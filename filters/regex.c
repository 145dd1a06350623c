#include "filters/regex.h"

#include "filters/filters.h"

#include <stdlib.h>
#include <string.h>

#define TRY_BYTES 2048

pcre2_match_context *filter_regex_context(void)
{
	pcre2_match_context *c = pcre2_match_context_create(NULL);
	if (!c)
		return NULL;
	pcre2_set_match_limit(c, REGEX_MATCH_LIMIT);
	pcre2_set_depth_limit(c, REGEX_DEPTH_LIMIT);
	pcre2_set_heap_limit(c, REGEX_HEAP_KIB);
	return c;
}

void filter_regex_free(struct regex *r)
{
	pcre2_code_free(r->code);
	r->code = NULL;
}

static int compile(struct regex *out, const char *pattern, size_t len, uint32_t how, struct err *e)
{
	pcre2_compile_context *c = pcre2_compile_context_create(NULL);
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory for a regex");
	pcre2_set_newline(c, PCRE2_NEWLINE_LF);
	pcre2_set_bsr(c, PCRE2_BSR_UNICODE);
	int code;
	PCRE2_SIZE at;
	out->code = pcre2_compile((PCRE2_SPTR)pattern, len,
				  how | PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C |
					  PCRE2_MULTILINE | PCRE2_NO_AUTO_CAPTURE,
				  &code, &at, c);
	pcre2_compile_context_free(c);
	if (!out->code) {
		char text[200];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
		return err_set(e, ERR_INPUT, "regex, near byte %zu: %s", (size_t)at, text);
	}
	int r = pcre2_jit_compile(out->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
	/* BADOPTION: a library without JIT; NOMEMORY: also where no memory may be made executable
	 * (MemoryDenyWriteExecute, SELinux). The interpreter finds the same, more slowly. */
	if (r != 0 && r != PCRE2_ERROR_JIT_BADOPTION && r != PCRE2_ERROR_NOMEMORY)
		return err_set(e, ERR_INPUT, "regex: the matcher cannot compile it (error %d)", r);
	return 0;
}

static void facts(struct regex *r)
{
	const uint8_t *map = NULL;
	uint32_t type = 0, unit = 0;
	pcre2_pattern_info(r->code, PCRE2_INFO_MAXLOOKBEHIND, &r->behind);
	pcre2_pattern_info(r->code, PCRE2_INFO_FIRSTBITMAP, &map);
	pcre2_pattern_info(r->code, PCRE2_INFO_FIRSTCODETYPE, &type);
	pcre2_pattern_info(r->code, PCRE2_INFO_FIRSTCODEUNIT, &unit);
	if (map) {
		memcpy(r->first, map, sizeof r->first);
		r->first_known = true;
	} else if (type == 1 && unit < 0x80) {
		/* PCRE2 does not say which case a caseless first unit has: allow both, and the two
		 * letters that fold to ASCII. */
		static const uint8_t folded[] = { 0xC5, 0xE2 }; /* U+017F, U+212A */
		uint8_t both[4] = { (uint8_t)unit, (uint8_t)(unit ^ 0x20), folded[0], folded[1] };
		for (int i = 0; i < 4; i++)
			r->first[both[i] / 8] |= (uint8_t)(1u << (both[i] % 8));
		r->first_known = true;
	}
}

/* ---- worst cases: the pattern's own characters, repeated */

static int tried_once(const struct regex *r, const char *subject, size_t len, pcre2_match_data *m,
		      pcre2_match_context *c, struct err *e)
{
	for (int partial = 0; partial < 2; partial++) {
		uint32_t how =
			PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | (partial ? PCRE2_PARTIAL_HARD : 0);
		int n = pcre2_match(r->code, (PCRE2_SPTR)subject, len, 0, how, m, c);
		if (n < 0 && n != PCRE2_ERROR_NOMATCH && n != PCRE2_ERROR_PARTIAL)
			return err_set(
				e, ERR_INPUT,
				"regex: on %zu bytes made of its own characters it reaches a tenth "
				"of the work limit (error %d)",
				len, n);
	}
	return 0;
}

static int tried_with(const struct regex *r, const char *unit, size_t n, pcre2_match_data *m,
		      pcre2_match_context *c, struct err *e)
{
	char s[TRY_BYTES + 8];
	size_t len = 0;
	while (n > 0 && len + n <= TRY_BYTES) {
		memcpy(s + len, unit, n);
		len += n;
	}
	TRY(tried_once(r, s, len, m, c, e));
	s[len++] = '\x01'; /* few classes hold this: the repetition fails at its very end */
	return tried_once(r, s, len, m, c, e);
}

static int tried_all(const struct regex *r, const char *pattern, pcre2_match_data *m,
		     pcre2_match_context *c, struct err *e)
{
	static const char *const always[] = { "a",   "A",  "0",  " ",  "-", ".",
					      "aA0", "a ", "0 ", "a.", "\n" };
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		TRY(tried_with(r, always[i], strlen(always[i]), m, c, e));
	char word[64];
	size_t w = 0;
	for (const char *p = pattern; *p; p++) {
		if ((unsigned char)*p >= 0x80 || strchr("\\()[]{}|?*+^$", *p))
			continue;
		TRY(tried_with(r, p, 1, m, c, e));
		if (w < sizeof word)
			word[w++] = *p;
	}
	return w ? tried_with(r, word, w, m, c, e) : 0;
}

static int try_worst(const struct regex *r, const char *pattern, struct err *e)
{
	pcre2_match_data *m = pcre2_match_data_create(1, NULL);
	pcre2_match_context *c = filter_regex_context();
	int rc = m && c ? 0 : err_set(e, ERR_NOMEM, "out of memory for a regex");
	if (rc == 0) {
		pcre2_set_match_limit(c, REGEX_MATCH_LIMIT / 10);
		rc = tried_all(r, pattern, m, c, e);
	}
	pcre2_match_data_free(m);
	pcre2_match_context_free(c);
	return rc;
}

static int measured(struct regex *out, const char *pattern, uint32_t repeat_max, uint32_t how,
		    struct err *e)
{
	struct buf finite = { 0 };
	*out = (struct regex){ 0 };
	int r = filter_regex_measure(pattern, repeat_max, &out->width, &finite, e);
	if (r == 0)
		r = compile(out, finite.bytes, finite.len, how, e);
	if (r == 0)
		facts(out);
	buf_free(&finite);
	return r;
}

int filter_regex_compile(struct regex *out, const char *pattern, uint32_t repeat_max, bool tried,
			 struct err *e)
{
	int r = measured(out, pattern, repeat_max, 0, e);
	if (r == 0 && tried)
		r = try_worst(out, pattern, e);
	if (r < 0)
		filter_regex_free(out);
	return r;
}

int filter_regex_compile_anchored(struct regex *out, const char *pattern, struct err *e)
{
	int r = measured(out, pattern, 0, PCRE2_ANCHORED, e);
	if (r < 0)
		filter_regex_free(out);
	return r;
}

int filter_regex_width(const char *regex, uint32_t repeat_max, uint32_t *width, struct err *e)
{
	struct regex r;
	int rc = filter_regex_compile(&r, regex, repeat_max, true, e);
	if (rc < 0)
		return rc;
	*width = r.width;
	filter_regex_free(&r);
	return 0;
}
