#include "base/events.h"

#include <criterion/criterion.h>
#include <string.h>

static int keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct buf *out = ctx;
	(void)e;
	if (len == 4 && memcmp(bytes, "stop", 4) == 0)
		return ERR_DENIED;
	buf_add_byte(out, '<');
	buf_add(out, bytes, len);
	buf_add_byte(out, '>');
	return 0;
}

static const struct {
	const char *stream, *events;
	bool whole;
} cases[] = {
	{ "data: a\n\ndata: b\n\n", "<a><b>", true },
	{ "data:a\r\n\r\ndata:  b\r\n\r\n", "<a>< b>", true },
	{ "data: a\r\rdata: b\r\r", "<a><b>", true },
	{ ": ping\n\ndata: a\n\n: ping\n\n", "<a>", true },
	{ "event: x\ndata: a\nid: 3\n\n", "<a>", true },
	{ "data: a\ndata: b\n\n", "<a\nb>", true },
	{ "data\n\ndata:\n\n", "<>", true },
	{ "data: a\n", "", false },
	{ "data: a", "", false },
	{ "data: a\n\ndat", "<a>", false },
	{ "", "", true },
	{ "\n\n\n", "", true },
};

Test(events, are_the_same_however_they_are_cut)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *s = cases[i].stream;
		for (size_t step = 1; step <= strlen(s) + 1; step++) {
			struct events r = { 0 };
			struct buf out = { 0 };
			for (size_t at = 0; at < strlen(s); at += step) {
				size_t n = strlen(s) - at < step ? strlen(s) - at : step;
				cr_assert_eq(events_push(&r, s + at, n, keep, &out, NULL), 0);
			}
			cr_assert_str_eq(out.bytes ? out.bytes : "", cases[i].events, "case %zu, step %zu",
					 i, step);
			cr_assert_eq(events_are_whole(&r), cases[i].whole, "case %zu, step %zu", i, step);
			buf_free(&out);
			events_free(&r);
		}
	}
}

Test(events, what_the_reader_refuses_ends_the_piece)
{
	struct events r = { 0 };
	struct buf out = { 0 };
	const char *s = "data: a\n\ndata: stop\n\ndata: b\n\n";
	cr_assert_eq(events_push(&r, s, strlen(s), keep, &out, NULL), ERR_DENIED);
	cr_assert_str_eq(out.bytes, "<a>");
	events_clear(&r);
	cr_assert(events_are_whole(&r));
	buf_free(&out);
	events_free(&r);
}

Test(events, longer_than_the_limit_is_refused)
{
	struct events r = { .bytes_max = 16 };
	struct buf out = { 0 };
	const char *line = "data: 0123456789012345\n", *two = "data: 01234567\n";
	cr_assert_eq(events_push(&r, line, strlen(line), keep, &out, NULL), ERR_INPUT);
	events_clear(&r);
	cr_assert_eq(events_push(&r, two, strlen(two), keep, &out, NULL), 0);
	cr_assert_eq(events_push(&r, two, strlen(two), keep, &out, NULL), ERR_INPUT);
	events_clear(&r);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(events_push(&r, "xy", 2, keep, &out, NULL), 0);
	cr_assert_eq(events_push(&r, "xy", 2, keep, &out, NULL), ERR_INPUT);
	buf_free(&out);
	events_free(&r);
}
