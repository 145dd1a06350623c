/* Patterns of model names: which are well-formed, and what each matches. */
#include "support.h"

#include <string.h>

static const struct {
	const char *models, *name;
	bool matches;
} rows[] = {
	{ "acme/bank", "acme/bank", true },
	{ "acme/bank", "acme/bank2", false },
	{ "acme/bank", "acme/ban", false },
	{ "acme/*", "acme/bank", true },
	{ "acme/*", "acme2/bank", false },
	{ "acme/*", "acm/bank", false },
	{ "acme/*", "bigbank/acme", false },
	{ "acme/bank-*", "acme/bank-7b", true },
	{ "acme/bank-*", "acme/bank-", true },
	{ "acme/bank-*", "acme/bank", false },
	{ "acme*/bank", "acme-labs/bank", true },
	{ "acme*/bank", "acme/bank", true },
	{ "*/*", "any/thing", true },
	{ "*/bank", "any/bank", true },
	{ "*/bank", "any/other", false },
	{ "Qwen/*", "qwen/QWEN3", true },
	{ "a/b,acme/*", "acme/x", true },
	{ "a/b,acme/*", "a/b", true },
	{ "a/b,acme/*", "a/bb", false },
	{ "acme/*", "acme", false },
	{ "", "acme/bank", false },
};

Test(signing_models, patterns_match_whole_names)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(signing_models_match(rows[i].models, rows[i].name), rows[i].matches,
			     "\"%s\" and %s", rows[i].models, rows[i].name);
}

static const char *const bad[] = {
	"",	  "acme",	"acme/",      "/bank",	 "a/b/c",	"acme/*,",   ",acme/*",
	"a/b,,c/d", "acme/b*k",	"*acme/bank", "acme/**", "acme/ba nk", "acme/\n",	 "ac\xc3\xa9/m",
};

Test(signing_models, what_is_no_pattern_is_refused)
{
	char long_list[600];
	struct err e = { 0 };
	memset(long_list, 'a', sizeof long_list - 1);
	long_list[sizeof long_list - 1] = 0;
	memcpy(long_list, "a/", 2);
	expect(ERR_INPUT, signing_models_check(long_list, &e));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(signing_models_check(bad[i], &e), ERR_INPUT, "\"%s\"", bad[i]);
	for (size_t i = 0; i + 1 < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(signing_models_check(rows[i].models, &e), 0, "\"%s\"", rows[i].models);
}
