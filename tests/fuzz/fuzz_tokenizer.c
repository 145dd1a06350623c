/* First line of the input: a tokenizer.json, or an expression after '/'. The rest: a text to encode
 * and decode. Whatever the tokenizer, its ids must decode, and ordinary text must not become a special
 * token. */
#include "tokenizer/tokenizer.h"
#include "tokenizer/onig.h"

#include "base/check.h"
#include "base/text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void match(const char *pattern, size_t n, const char *text, size_t len)
{
	struct onig *r = NULL;
	struct onig_scratch s = { 0 };
	struct onig_scan scan = { 0 };
	size_t begin = 0, end = 0, at = 0;
	struct err e;
	if (!text_utf8_valid(pattern, n) || onig_open(&r, pattern, n, &e) < 0)
		return;
	while (onig_next(r, &s, text, len, &scan, &begin, &end, &e) > 0) {
		check(begin >= at && end >= begin && end <= len);
		at = end;
	}
	onig_scratch_free(&s);
	onig_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *line = (const char *)data, *newline = len ? memchr(line, '\n', len) : NULL;
	size_t n = newline ? (size_t)(newline - line) : len;
	const char *text = newline ? newline + 1 : "";
	size_t text_len = newline ? len - n - 1 : 0;
	struct tokenizer *t = NULL;
	struct err e;
	if (!text_utf8_valid(text, text_len))
		return 0;
	if (n && *line == '/') {
		match(line + 1, n - 1, text, text_len);
		return 0;
	}
	if (tokenizer_open(&t, line, n, &e) < 0)
		return 0;
	struct token_ids ids = { 0 };
	struct buf out = { 0 };
	for (int special = 0; special < 2; special++)
		if (tokenizer_encode(t, text, text_len, special, true, &ids, &e) == 0)
			check(tokenizer_decode(t, ids.id, ids.count, special, &out, &e) == 0);
	token_ids_free(&ids);
	buf_free(&out);
	tokenizer_close(t);
	return 0;
}
