#include "engine/onig.h"

#include <criterion/criterion.h>
#include <string.h>

Test(engine_onig, an_expression_without_end_is_refused_before_it_is_translated)
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
