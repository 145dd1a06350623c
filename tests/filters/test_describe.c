/* What the program says of its detectors. */
#include "filters/filters.h"

#include <criterion/criterion.h>
#include <string.h>

/* The example is what people see of a detector: it must be one. */
Test(filters_describe, every_detector_says_what_it_is_and_finds_its_example)
{
	const struct filter_detector *d;
	const char *before = "";
	size_t i = 0;
	for (; (d = filter_detector_describe(i)); i++) {
		struct filter_rule rule = { .id = "r", .action = FILTER_FLAG, .detector = d->name };
		struct filter_set *set;
		struct filter_stream *f;
		struct cleared c;
		struct err e = { 0 };
		cr_expect(*d->what && *d->source && *d->example && *d->check && *d->context, "%s",
			  d->name);
		cr_expect_lt(strcmp(before, d->name), 0, "%s before %s", before, d->name);
		cr_expect_eq(filter_detector_version(d->name), d->version, "%s", d->name);
		cr_expect_eq(filter_detector_find(d->name), d);
		before = d->name;
		cr_assert_eq(filter_set_build(&set, &rule, 1, &e), 0, "%s", e.text);
		cr_assert_eq(filter_stream_open(&f, set, 0, &e), 0, "%s", e.text);
		cr_assert_eq(filter_stream_push(f, d->example, strlen(d->example), &c, &e),
			     FILTER_OPEN);
		cr_assert_eq(filter_stream_end(f, &c, &e), FILTER_COMPLETE);
		cr_expect_gt(filter_stream_record(f)->findings, 0, "%s: %s", d->name, d->example);
		filter_stream_close(f);
		filter_set_free(set);
	}
	cr_expect_gt(i, 500);
	cr_expect_lt(i, FILTER_DETECTORS_MAX);
	cr_expect_null(filter_detector_find("none"));
	cr_expect_null(filter_detector_find("pan/1"));
}

Test(filters_describe, only_detectors_with_words_can_want_one_always)
{
	static const struct {
		const char *name;
		bool worded;
	} rows[] = { { "pan", true },    { "pan/1", true }, { "secret.github_pat", true },
		     { "email", false }, { "none", false }, { "unicode.tags", false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct filter_rule rule = { .id = "r",
					    .detector = rows[i].name,
					    .context = FILTER_CONTEXT_ALWAYS };
		struct filter_set *set;
		cr_expect_eq(filter_detector_worded(rows[i].name), rows[i].worded, "%s",
			     rows[i].name);
		if (filter_detector_known(rows[i].name)) {
			int rc = filter_set_build(&set, &rule, 1, NULL);
			cr_expect_eq(rc == 0, rows[i].worded, "%s", rows[i].name);
			if (rc == 0)
				filter_set_free(set);
		}
	}
}
