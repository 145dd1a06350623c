/* First byte: regular expression, grammar or choice. Then its text, up to a NUL, and an answer. A whole
 * answer is also a beginning, and so is each beginning of it; no beginning is ill-formed UTF-8. */
#include "tests/shared/acceptor.h"

#include "base/check.h"
#include "base/text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum grammar_kind kind[] = { GRAMMAR_REGEX, GRAMMAR_RULES, GRAMMAR_CHOICE,
							   GRAMMAR_CALL };
	struct acceptor a;
	struct err e = { 0 };
	if (len < 2 || len > 4096)
		return 0;
	const char *text = (const char *)data + 1, *nul = memchr(text, '\0', len - 1);
	size_t n = nul ? (size_t)(nul - text) : len - 1;
	const char *answer = nul ? nul + 1 : text;
	size_t answer_len = nul ? len - 2 - n : n;
	if (acceptor_open(&a, kind[data[0] % 4], text, n, &e) < 0) {
		check(e.text[0] != '\0');
		return 0;
	}
	bool before = acceptor_takes(&a, answer, answer_len, true);
	for (size_t i = answer_len + 1; i-- > 0;) {
		bool begun = acceptor_takes(&a, answer, i, false);
		check(!before || begun);
		check(!begun || text_utf8_valid(answer, i - text_utf8_unfinished(answer, i)));
		before = begun;
		if (answer_len - i > 64)
			break;
	}
	acceptor_close(&a);
	return 0;
}
