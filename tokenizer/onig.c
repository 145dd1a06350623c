/* Compile and match translated expressions with PCRE2's JIT. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/onig.h"
#include "tokenizer/tokenizer.h"

#include "base/limits.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_LIMIT 10000000u /* backtracking steps of one match */
#define STACK_BYTES ((size_t)8 << 20)

struct onig {
	pcre2_code *code;
};

static int compile(struct onig **out, const char *pattern, size_t len, uint32_t options,
		   struct err *e)
{
	int code = 0;
	size_t at = 0;
	struct onig *r = calloc(1, sizeof *r);
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (r && context) {
		pcre2_set_newline(context, PCRE2_NEWLINE_LF);
		pcre2_set_parens_nest_limit(context, 50);
		r->code = pcre2_compile((PCRE2_SPTR)pattern, len, options | PCRE2_UTF, &code, &at,
					context);
	}
	pcre2_compile_context_free(context);
	if (!r || !r->code) {
		PCRE2_UCHAR text[120];
		onig_close(r);
		if (code == 0 || code == PCRE2_ERROR_HEAP_FAILED)
			return err_set(e, ERR_NOMEM, "out of memory for a tokenizer's expression");
		pcre2_get_error_message(code, text, sizeof text);
		return err_set(e, ERR_INPUT,
			       "a tokenizer's expression does not compile: %s (at byte %zu)",
			       (const char *)text, at);
	}
	(void)pcre2_jit_compile(r->code,
				PCRE2_JIT_COMPLETE); /* without a JIT the interpreter matches */
	*out = r;
	return 0;
}

int onig_open(struct onig **out, const char *pattern, size_t len, struct err *e)
{
	struct buf here = { 0 };
	if (len > LIMIT_EXPRESSION_BYTES)
		return err_set(e, ERR_INPUT, "an expression of %zu bytes; the limit is %zu", len,
			       LIMIT_EXPRESSION_BYTES);
	int rc = onig_translate(pattern, len, &here, e);
	if (rc == 0)
		rc = compile(out, here.bytes ? here.bytes : "", here.len,
			     PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, e);
	buf_free(&here);
	return rc;
}

int onig_is_script(const char *name, size_t len, struct err *e)
{
	char pattern[48];
	int code;
	size_t at;
	for (size_t i = 0; i < len; i++)
		if (!((name[i] | 32) >= 'a' && (name[i] | 32) <= 'z') && name[i] != '_')
			return 0;
	if (len > 32)
		return 0;
	int n = snprintf(pattern, sizeof pattern, "\\p{sc:%.*s}", (int)len, name);
	pcre2_code *c = pcre2_compile((PCRE2_SPTR)pattern, (size_t)n, PCRE2_UTF, &code, &at, NULL);
	pcre2_code_free(c);
	if (!c && code == PCRE2_ERROR_HEAP_FAILED)
		return err_set(e, ERR_NOMEM, "out of memory for a tokenizer's expression");
	return c != NULL;
}

int onig_open_literal(struct onig **out, const char *text, size_t len, struct err *e)
{
	return compile(out, text, len, PCRE2_LITERAL, e);
}

void onig_close(struct onig *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	free(r);
}

void onig_scratch_free(struct onig_scratch *s)
{
	pcre2_match_data_free(s->data);
	pcre2_match_context_free(s->context);
	pcre2_jit_stack_free(s->stack);
	*s = (struct onig_scratch){ 0 };
}

static int prepare(struct onig_scratch *s, struct err *e)
{
	if (s->data)
		return 0;
	s->data = pcre2_match_data_create(1, NULL);
	s->context = pcre2_match_context_create(NULL);
	if (!s->data || !s->context) {
		onig_scratch_free(s);
		return err_set(e, ERR_NOMEM, "out of memory for matching");
	}
	pcre2_set_match_limit(s->context, MATCH_LIMIT);
	return 0;
}

/* On the 32 KiB that it has of the thread's own stack, and on a large one where that is too small:
 * mapping that for every text would make other threads wait. */
static int match(const struct onig *r, struct onig_scratch *s, const char *text, size_t len,
		 size_t from)
{
	PCRE2_SPTR bytes = (PCRE2_SPTR)text;
	int rc = pcre2_match(r->code, bytes, len, from, PCRE2_NO_UTF_CHECK, s->data, s->context);
	if (rc != PCRE2_ERROR_JIT_STACKLIMIT || s->stack)
		return rc;
	s->stack = pcre2_jit_stack_create(64 << 10, STACK_BYTES, NULL);
	if (!s->stack)
		return PCRE2_ERROR_NOMEMORY;
	pcre2_jit_stack_assign(s->context, NULL, s->stack);
	return pcre2_match(r->code, bytes, len, from, PCRE2_NO_UTF_CHECK, s->data, s->context);
}

static size_t next_character(const char *text, size_t len, size_t at)
{
	do
		at++;
	while (at < len && ((unsigned char)text[at] & 0xC0) == 0x80);
	return at;
}

int onig_next(const struct onig *r, struct onig_scratch *s, const char *text, size_t len,
	      struct onig_scan *at, size_t *begin, size_t *end, struct err *e)
{
	TRY(prepare(s, e));
	while (len && at->from <= len) {
		int rc = match(r, s, text, len, at->from);
		if (rc == PCRE2_ERROR_NOMATCH)
			return 0;
		if (rc == PCRE2_ERROR_NOMEMORY)
			return err_set(e, ERR_NOMEM, "out of memory for matching");
		if (rc < 0)
			return err_set(
				e, ERR_INPUT,
				"a tokenizer's expression needs too many steps on this text (%d)",
				rc);
		const size_t *range = pcre2_get_ovector_pointer(s->data);
		if (range[1] == range[0] && at->any && at->last == range[1]) {
			at->from = next_character(text, len, at->from);
			continue;
		}
		*at = (struct onig_scan){ range[1], range[1], true };
		*begin = range[0];
		*end = range[1];
		return 1;
	}
	return 0;
}

void tokenizer_unicode_version(char out[24])
{
	out[0] = 0;
	if (pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, NULL) <= 24)
		(void)pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, out);
}
