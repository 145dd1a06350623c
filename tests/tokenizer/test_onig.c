#include "tokenizer/onig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(tokenizer_onig, an_expression_without_end_is_refused_before_it_is_translated)
{
	struct onig *r = NULL;
	struct err e = { 0 };
	static char endless[70000];
	memset(endless, 'a', sizeof endless);
	cr_assert_eq(onig_open(&r, endless, sizeof endless, &e), ERR_INPUT);
	cr_assert(strstr(e.text, "70000 bytes"), "%s", e.text);
	cr_assert_eq(onig_open(&r, endless, 1000, &e), 0, "%s", e.text);
	onig_close(r);
}

/* Each begin of an expression, in memory that ends where it does: a sanitizer sees whoever reads on. */
Test(tokenizer_onig, an_expression_cut_anywhere_is_read_or_refused)
{
	static const char *const whole[] = {
		"[?\\]", "[^\\s\\p{L}\\p{N}]+[\\r\\n]*", "(?i:'s|'t)|[[:alpha:]&&[^a-z]]{2,3}?",
		"a\\x{41}\\u0041(?<n>b)(?#c)",
	};
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		for (size_t n = 1; n <= strlen(whole[i]); n++) {
			struct onig *r = NULL;
			struct err e = { 0 };
			char *cut = malloc(n);
			memcpy(cut, whole[i], n);
			int rc = onig_open(&r, cut, n, &e);
			cr_assert(rc == 0 || e.text[0] != 0, "%.*s", (int)n, whole[i]);
			cr_assert(cut[n - 1] != '\\' || rc < 0, "%.*s", (int)n, whole[i]);
			onig_close(r);
			free(cut);
		}
	}
}
