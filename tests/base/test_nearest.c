#include "base/nearest.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const names[] = { "listen",   "tls-cert", "request-timeout",
				     "de.tax_id", "wait",     NULL };

static const struct {
	const char *found, *meant;
} cases[] = {
	{ "listn", "listen" },       { "lsiten", "listen" },  { "tls_cert", "tls-cert" },
	{ "TLS-Cert", "tls-cert" },  { "tax_id", "de.tax_id" }, { "request-timout", "request-timeout" },
	{ "await", "wait" },         { "policy", NULL },      { "", NULL },
	{ "xyz", NULL },
};

Test(nearest, names_what_was_meant_and_nothing_far)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *near = nearest_name(cases[i].found, names);
		cr_assert(cases[i].meant ? near && strcmp(near, cases[i].meant) == 0 : !near,
			  "%s: %s", cases[i].found, near ? near : "nothing");
	}
}

Test(nearest, a_word_longer_than_any_name_is_near_to_nothing)
{
	char word[300];
	memset(word, 'l', sizeof word - 1);
	word[sizeof word - 1] = 0;
	cr_assert_null(nearest_name(word, names));
}

Test(nearest, case_and_joints_do_not_make_another_word)
{
	cr_assert(nearest_same("Cache Size", "cache-size") && nearest_same("cache_size", "cache-size"));
	cr_assert(!nearest_same("cache", "cache-size") && !nearest_same("cache-size", "cache"));
}
