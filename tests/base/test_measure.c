#include "base/measure.h"
#include "base/text.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define EACH 50000

/* ---- reading the text back, as the format says ---- */

static const char *line_of(const char *text, const char *begin)
{
	size_t len = strlen(begin);
	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL)
		if (strncmp(at, begin, len) == 0)
			return at;
	return NULL;
}

static double value_of(const struct buf *b, const char *name)
{
	const char *line = line_of(b->bytes, name);
	cr_assert(line, "no line begins with %s in:\n%s", name, b->bytes);
	return strtod(line + strlen(name), NULL);
}

/* The value of the first label of a line, unescaped. */
static void read_label(const char *line, char *out)
{
	const char *at = strchr(line, '"') + 1;
	for (; *at != '"'; at++) {
		cr_assert(*at && *at != '\n', "the label is not closed: %s", line);
		bool escaped = *at == '\\';
		at += escaped;
		*out++ = escaped && *at == 'n' ? '\n' : *at;
	}
	*out = 0;
}

/* ---- adding ---- */

struct shared {
	struct measure_counter counter;
	struct measure_gauge gauge;
	struct measure_histogram waits;
};

static void *add_many(void *arg)
{
	struct shared *s = arg;
	for (int64_t i = 0; i < EACH; i++) {
		measure_add(&s->counter, 2);
		measure_gauge_add(&s->gauge, i % 2 ? -1 : 1);
		measure_note(&s->waits, &measure_waits, i * 1000);
	}
	return NULL;
}

Test(base_measure, concurrent_adds_lose_nothing)
{
	struct shared s = { 0 };
	pthread_t thread[THREADS];
	struct buf b = { 0 };
	struct measure_writer w = { .out = &b };
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, add_many, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	cr_assert_eq(measure_count(&s.counter), 2ull * THREADS * EACH);
	cr_assert_eq(measure_level(&s.gauge), 0);
	measure_write_family(&w, MEASURE_HISTOGRAM, "h", "x");
	measure_write_histogram(&w, NULL, &s.waits, &measure_waits);
	cr_assert_eq(value_of(&b, "h_count "), THREADS * (double)EACH);
	cr_assert_float_eq(value_of(&b, "h_sum "),
			   THREADS * ((double)EACH * (EACH - 1) / 2) / 1000, 1e-6);
	buf_free(&b);
}

static const struct {
	const char *name;
	const struct measure_scale *scale;
} scales[] = { { "moments", &measure_moments },
	       { "waits", &measure_waits },
	       { "tokens", &measure_tokens },
	       { "batches", &measure_batches } };

Test(base_measure, bounds_rise_and_fit)
{
	for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
		const struct measure_scale *s = scales[i].scale;
		cr_assert(s->bounds > 0 && s->bounds <= MEASURE_BOUNDS_MAX, "%s", scales[i].name);
		for (unsigned k = 1; k < s->bounds; k++)
			cr_expect(s->bound[k - 1] < s->bound[k], "%s, bound %u", scales[i].name, k);
		for (unsigned k = s->bounds; k < MEASURE_BOUNDS_MAX; k++)
			cr_expect(s->bound[k] == 0, "%s has more bounds than it says",
				  scales[i].name);
	}
}

/* Every bucket line holds how many of the values are at most its bound, and the last, +Inf, is the
 * count, whatever the values are. */
Test(base_measure, buckets_hold_what_is_at_most_their_bound)
{
	uint64_t value[200];
	for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
		const struct measure_scale *s = scales[i].scale;
		struct measure_histogram h = { 0 };
		struct buf b = { 0 };
		struct measure_writer w = { .out = &b };
		double sum = 0;
		for (size_t k = 0; k < 200; k++) {
			uint64_t bound = s->bound[k % s->bounds];
			value[k] = k < 3 * s->bounds ? bound + k / s->bounds - 1 : k * k * k * 997;
			measure_note(&h, s, (int64_t)value[k]);
			sum += (double)value[k];
		}
		measure_write_family(&w, MEASURE_HISTOGRAM, "h", "x");
		measure_write_histogram(&w, (const char *const[]){ "a", "b", NULL }, &h, s);
		const char *at = b.bytes;
		for (unsigned k = 0; k < s->bounds; k++) {
			uint64_t expected = 0;
			double le;
			int n = 0;
			for (size_t j = 0; j < 200; j++)
				expected += value[j] <= s->bound[k];
			at = line_of(at, "h_bucket{a=\"b\",le=\"");
			cr_assert(at && sscanf(at, "h_bucket{a=\"b\",le=\"%lf\"} %n", &le, &n) == 1 && n);
			cr_expect(le == (double)s->bound[k] / s->per, "%s: %g", scales[i].name, le);
			cr_expect_eq(strtoull(at + n, NULL, 10), expected, "%s, le=%g",
				     scales[i].name, le);
			at = strchr(at, '\n') + 1;
		}
		cr_expect_eq(value_of(&b, "h_bucket{a=\"b\",le=\"+Inf\"} "), 200);
		cr_expect_eq(value_of(&b, "h_count{a=\"b\"} "), 200);
		cr_expect_float_eq(value_of(&b, "h_sum{a=\"b\"} "), sum / s->per, 1e-3);
		buf_free(&b);
	}
}

Test(base_measure, a_clock_that_went_back_counts_as_nothing)
{
	struct measure_histogram h = { 0 };
	struct buf b = { 0 };
	struct measure_writer w = { .out = &b };
	measure_note(&h, &measure_moments, -5);
	measure_write_family(&w, MEASURE_HISTOGRAM, "h", "x");
	measure_write_histogram(&w, NULL, &h, &measure_moments);
	cr_assert_eq(value_of(&b, "h_sum "), 0);
	cr_assert_eq(value_of(&b, "h_count "), 1);
	buf_free(&b);
}

/* ---- the text ---- */

Test(base_measure, any_label_value_comes_back_and_stays_on_its_line)
{
	static const char *const texts[] = {
		"",          "plain",          "a\"b",        "\\",           "\\n",
		"\n",        "a\nb 3\nc{} 4",  "\"} 1\nx 2",  "\\\\\"\"\n\n", "gr\xc3\xbc\xc3\x9f",
		"\t\r \x7f", "\xe2\x82\xac\\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf b = { 0 };
		struct measure_writer w = { .out = &b };
		char read[200];
		measure_write_family(&w, MEASURE_GAUGE, "g", texts[i]);
		measure_write_count(&w, (const char *const[]){ "l", texts[i], NULL }, 7);
		size_t lines = 0;
		for (const char *at = b.bytes; (at = strchr(at, '\n')) != NULL; at++)
			lines++;
		cr_expect_eq(lines, 3, "text %zu: %s", i, b.bytes);
		const char *line = line_of(b.bytes, "g{");
		cr_assert(line);
		read_label(line, read);
		cr_expect_str_eq(read, texts[i]);
		cr_expect(text_ends(b.bytes, "\"} 7\n"));
		buf_free(&b);
	}
}

Test(base_measure, what_is_no_utf8_becomes_replacement_characters)
{
	struct buf b = { 0 };
	struct measure_writer w = { .out = &b };
	measure_write_family(&w, MEASURE_GAUGE, "g", "x");
	measure_write_count(&w, (const char *const[]){ "l", "a\xff\xe2\x82", NULL }, 7);
	cr_assert(text_utf8_valid(b.bytes, b.len));
	cr_assert(line_of(b.bytes, "g{l=\"a\xef\xbf\xbd\xef\xbf\xbd\"} 7"), "%s", b.bytes);
	buf_free(&b);
}

Test(base_measure, both_forms_name_counters_as_their_format_does)
{
	static const struct {
		bool open;
		const char *text;
	} rows[] = {
		{ false, "# HELP c_total Things, \"so\".\n# TYPE c_total counter\nc_total 3\n"
			 "# HELP g A level.\n# TYPE g gauge\ng 0.1\n" },
		{ true, "# HELP c Things, \\\"so\\\".\n# TYPE c counter\nc_total 3\n"
			"# HELP g A level.\n# TYPE g gauge\ng 0.1\n# EOF\n" },
	};
	for (size_t i = 0; i < 2; i++) {
		struct buf b = { 0 };
		struct measure_writer w = { .out = &b, .open_metrics = rows[i].open };
		measure_write_counter(&w, "c", "Things, \"so\".", 3);
		measure_write_gauge(&w, "g", "A level.", 0.1);
		measure_write_end(&w);
		cr_expect_str_eq(b.bytes, rows[i].text);
		buf_free(&b);
	}
}

Test(base_measure, openmetrics_is_written_where_accept_names_it)
{
	static const char prometheus[] =
		"application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5";
	cr_assert(measure_asks_open(prometheus, sizeof prometheus - 1));
	cr_assert_not(measure_asks_open("text/plain", 10));
	cr_assert_not(measure_asks_open("*/*", 3));
	cr_assert_not(measure_asks_open(NULL, 0));
}
