#include "net/net.h"
#include "base/text.h"
#include "tests/net/http_site.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define WHOLE "0123456789abcdefghijklmnopqrstuvwxyz"
#define LEN 36

/* What the site does with "Range: bytes=FROM-". */
static enum { HONOURS, IGNORES, LIES_FIRST, LIES_TAG, NO_TOTAL, SHORT_RANGES, PAST_END } manner;
static int break_after; /* bytes of each response's body, then the connection breaks; -1: never */
static const char *tag; /* the current ETag; NULL: none */

/* The connection ends before the length does. */
static void say_part(struct visit *v, const char *status, int from, int to, const char *range)
{
	char head[400];
	int len = to - from, sent = break_after >= 0 && break_after < len ? break_after : len;
	snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n%s%s%s%s\r\n", status,
		 len, tag ? "ETag: " : "", tag ? tag : "", tag ? "\r\n" : "", range);
	site_say(v, head);
	site_say_bytes(v, WHOLE + from, (size_t)sent);
	v->ended = 1;
}

static void answer_ranges(struct visit *v)
{
	const char *range = strstr(v->head, "\r\nRange: bytes="), *only = strstr(v->head, "\r\nIf-Range: ");
	char text[100], wanted[140];
	int from = 0, to = LEN;
	snprintf(wanted, sizeof wanted, "\r\nIf-Range: %s\r\n", tag ? tag : "-");
	bool honours = range && sscanf(range, "\r\nRange: bytes=%d-", &from) == 1 && only &&
		       text_starts(only, wanted) && manner != IGNORES;
	if (!honours) {
		say_part(v, "200 OK", 0, LEN, "");
		return;
	}
	if (from >= LEN || manner == PAST_END) {
		say_part(v, "416 Range Not Satisfiable", 0, 0,
			 manner == PAST_END ? "Content-Range: bytes */5\r\n" : "Content-Range: bytes */36\r\n");
		return;
	}
	if (manner == SHORT_RANGES)
		to = from + 5 < LEN ? from + 5 : LEN;
	snprintf(text, sizeof text, "Content-Range: bytes %d-%d/%s\r\n",
		 manner == LIES_FIRST ? from + 1 : from, to - 1, manner == NO_TOTAL ? "*" : "36");
	const char *mine = tag;
	tag = manner == LIES_TAG ? "\"else\"" : tag;
	say_part(v, "206 Partial Content", from, to, text);
	tag = mine;
}

struct held {
	struct buf bytes;
	int restarts, takes;
};

static int take(void *ctx, const void *bytes, size_t len, struct err *e)
{
	struct held *held = ctx;
	held->takes++;
	buf_add(&held->bytes, bytes, len);
	return buf_done(&held->bytes, e);
}

static int restart(void *ctx, struct err *e)
{
	struct held *held = ctx;
	(void)e;
	held->restarts++;
	buf_clear(&held->bytes);
	return 0;
}

static int status; /* of the last download */

static int download(const struct site *s, struct held *held, struct http_part *part, unsigned tries,
		    struct err *e)
{
	struct http *h = NULL;
	struct http_response r = { 0 };
	char url[60];
	cr_assert_eq(http_open(&h, &(struct http_options){ 0 }, e), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/x", (unsigned)s->port);
	struct http_download d = { .request = { .url = url, .sink = take, .total_ms = 5000 },
				   .ctx = held,
				   .restart = restart,
				   .tries_max = tries };
	int rc = http_download(h, &d, part, &r, e);
	status = r.status;
	http_response_free(&r);
	http_close(h);
	return rc;
}

/* held = -1: nothing; else so many bytes of a file with this ETag. */
static const struct {
	const char *what;
	int manner, break_after, held;
	const char *held_tag, *tag;
	int code, restarts, requests;
	const char *says;
} rows[] = {
	{ "all at once", HONOURS, -1, 0, "", "\"a\"", 0, 0, 1, "" },
	{ "broken off thrice", HONOURS, 10, 0, "", "\"a\"", 0, 0, 4, "" },
	{ "taken up", HONOURS, -1, 7, "\"a\"", "\"a\"", 0, 0, 1, "" },
	{ "taken up and broken off", HONOURS, 20, 7, "\"a\"", "\"a\"", 0, 0, 2, "" },
	{ "has changed", HONOURS, -1, 7, "\"b\"", "\"a\"", 0, 1, 1, "" },
	{ "ranges are ignored", IGNORES, -1, 7, "\"a\"", "\"a\"", 0, 1, 1, "" },
	{ "no validator", HONOURS, -1, 7, "", "\"a\"", 0, 1, 1, "" },
	{ "no validator at all", HONOURS, -1, 0, "", NULL, 0, 0, 1, "" },
	{ "a weak one", HONOURS, 10, 0, "", "W/\"a\"", ERR_UNAVAILABLE, 3, 4, "shorter" },
	{ "all is held", HONOURS, -1, LEN, "\"a\"", "\"a\"", 0, 0, 1, "" },
	{ "more is held than there is", PAST_END, -1, 9, "\"a\"", "\"a\"", 0, 1, 2, "" },
	{ "short ranges", SHORT_RANGES, -1, 20, "\"a\"", "\"a\"", 0, 0, 4, "" },
	{ "another part", LIES_FIRST, -1, 7, "\"a\"", "\"a\"", ERR_INPUT, 0, 1, "another part" },
	{ "part of something else", LIES_TAG, -1, 7, "\"a\"", "\"a\"", ERR_INPUT, 0, 1, "has changed" },
	{ "no total", NO_TOTAL, -1, 7, "\"a\"", "\"a\"", ERR_INPUT, 0, 1, "how long" },
	{ "nothing comes", HONOURS, 0, 0, "", "\"a\"", ERR_UNAVAILABLE, 0, 3, "shorter" },
};

Test(net_http_download, a_download_goes_on_where_it_ended_or_begins_anew)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct site s;
		struct held held = { 0 };
		struct http_part part = { .bytes = (uint64_t)rows[i].held };
		struct err e = { 0 };
		manner = rows[i].manner;
		break_after = rows[i].break_after;
		tag = rows[i].tag;
		snprintf(part.etag, sizeof part.etag, "%s", rows[i].held_tag);
		buf_add(&held.bytes, WHOLE, (size_t)rows[i].held);
		site_open(&s, answer_ranges, NULL);
		int rc = download(&s, &held, &part, 3, &e);
		cr_expect_eq(rc, rows[i].code, "%s: %d %s", rows[i].what, rc, e.text);
		cr_expect(rc < 0 || status / 100 == 2, "%s: %d", rows[i].what, status);
		cr_expect(strstr(e.text, rows[i].says), "%s: %s", rows[i].what, e.text);
		cr_expect_eq(held.restarts, rows[i].restarts, "%s: %d", rows[i].what, held.restarts);
		cr_expect_eq(atomic_load(&s.requests), rows[i].requests, "%s: %d", rows[i].what,
			     atomic_load(&s.requests));
		cr_expect_eq(part.bytes, held.bytes.len, "%s", rows[i].what);
		cr_expect(rc < 0 || (held.bytes.len == LEN && memcmp(held.bytes.bytes, WHOLE, LEN) == 0), "%s",
			  rows[i].what);
		buf_free(&held.bytes);
		site_close(&s);
	}
}

static void answer_404(struct visit *v)
{
	site_say(v, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
	v->ended = 1;
}

Test(net_http_download, another_status_is_a_result_and_loses_nothing)
{
	static struct site s;
	struct held held = { 0 };
	struct http_part part = { .bytes = 7, .etag = "\"a\"" };
	struct err e = { 0 };
	site_open(&s, answer_404, NULL);
	cr_expect_eq(download(&s, &held, &part, 0, &e), 0, "%s", e.text);
	cr_expect_eq(status, 404);
	cr_expect(part.bytes == 7 && held.restarts == 0 && held.takes == 0);
	cr_expect_eq(atomic_load(&s.requests), 1);
	site_close(&s);
}
