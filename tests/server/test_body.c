#include "base/limits.h"
#include "server/body.h"

#include <criterion/criterion.h>
#include <string.h>

#define CHUNKED UINT64_MAX

static const struct {
	const char *what;
	uint64_t framing; /* Content-Length, or CHUNKED */
	const char *bytes, *body;
	size_t behind; /* bytes that belong to no one */
	enum body_result result;
	int status;
} rows[] = {
	{ "no body", 0, "", "", 0, BODY_WHOLE, 0 },
	{ "no body, more behind", 0, "GET /", "", 5, BODY_WHOLE, 0 },
	{ "counted", 5, "hello", "hello", 0, BODY_WHOLE, 0 },
	{ "counted, more behind", 5, "helloGET /", "hello", 5, BODY_WHOLE, 0 },
	{ "counted, cut short", 5, "hell", "hell", 0, BODY_MORE, 0 },
	{ "one chunk", CHUNKED, "5\r\nhello\r\n0\r\n\r\n", "hello", 0, BODY_WHOLE, 0 },
	{ "more behind", CHUNKED, "5\r\nhello\r\n0\r\n\r\nGET /", "hello", 5, BODY_WHOLE, 0 },
	{ "chunks", CHUNKED, "1\r\na\r\n00000002\r\nbc\r\n0\r\n\r\n", "abc", 0, BODY_WHOLE, 0 },
	{ "hex of both cases", CHUNKED, "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
	  "01234567890123456789", 0, BODY_WHOLE, 0 },
	{ "CRLF inside a chunk", CHUNKED, "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0, BODY_WHOLE, 0 },
	{ "no chunk", CHUNKED, "0\r\n\r\n", "", 0, BODY_WHOLE, 0 },
	{ "many zeros", CHUNKED, "00000000\r\n\r\n", "", 0, BODY_WHOLE, 0 },
	{ "not the last", CHUNKED, "5\r\nhello\r\n", "hello", 0, BODY_MORE, 0 },
	{ "last without its end", CHUNKED, "0\r\n", "", 0, BODY_MORE, 0 },
	{ "nine digits", CHUNKED, "000000005\r\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "seventeen digits", CHUNKED, "FFFFFFFFFFFFFFFFF\r\nx", "", 0, BODY_REFUSED, 400 },
	{ "extension", CHUNKED, "5;x\r\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "extension of the last", CHUNKED, "0;x\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "bare LF behind the size", CHUNKED, "5\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "bare CR behind the size", CHUNKED, "5\rhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "bare LF behind the data", CHUNKED, "5\r\nhello\n0\r\n\r\n", "hello", 0, BODY_REFUSED, 400 },
	{ "longer than it says", CHUNKED, "4\r\nhello\r\n0\r\n\r\n", "hell", 0, BODY_REFUSED, 400 },
	{ "shorter than it says", CHUNKED, "6\r\nhello\r\n0\r\n\r\n", "hello\r", 0, BODY_REFUSED, 400 },
	{ "trailer", CHUNKED, "0\r\nX: y\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "bare LF at the end", CHUNKED, "0\r\n\n", "", 0, BODY_REFUSED, 400 },
	{ "no digits", CHUNKED, "\r\nhello", "", 0, BODY_REFUSED, 400 },
	{ "space", CHUNKED, " 5\r\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "space behind", CHUNKED, "5 \r\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "0x", CHUNKED, "0x5\r\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "sign", CHUNKED, "+5\r\nhello\r\n0\r\n\r\n", "", 0, BODY_REFUSED, 400 },
	{ "a size alone", CHUNKED, "5\r\n", "", 0, BODY_MORE, 0 },
	{ "one byte too many", CHUNKED, "800001\r\n", "", 0, BODY_REFUSED, 413 },
	{ "four gigabytes", CHUNKED, "ffffffff\r\n", "", 0, BODY_REFUSED, 413 },
	{ "too many together", CHUNKED, "1\r\na\r\n800000\r\n", "a", 0, BODY_REFUSED, 413 },
};

static struct body begin(uint64_t framing)
{
	static struct head h;
	struct body b;
	h.chunked = framing == CHUNKED;
	h.body_bytes = h.chunked ? 0 : framing;
	server_body_start(&b, &h);
	return b;
}

Test(server_body, each_row_is_read_the_same_at_every_cut)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].bytes);
		for (size_t cut = 0; cut <= len; cut++) {
			struct body b = begin(rows[i].framing);
			struct buf out = { 0 };
			size_t used, first;
			enum body_result r = server_body_take(&b, rows[i].bytes, cut, &used, &out);
			first = used;
			if (r == BODY_MORE) {
				cr_expect_eq(used, cut, "%s", rows[i].what);
				r = server_body_take(&b, rows[i].bytes + cut, len - cut, &used,
						     &out);
				used += first;
			}
			cr_expect_eq(r, rows[i].result, "%s, cut at %zu: %d", rows[i].what, cut, r);
			cr_expect_eq(b.status, rows[i].status, "%s: %d", rows[i].what, b.status);
			cr_expect_eq((b.reason != NULL), (r == BODY_REFUSED), "%s", rows[i].what);
			cr_expect(r != BODY_WHOLE || len - used == rows[i].behind, "%s: %zu", rows[i].what, used);
			const char *body = out.bytes ? out.bytes : "";
			cr_expect_str_eq(body, rows[i].body, "%s: \"%s\"", rows[i].what, body);
			buf_free(&out);
		}
	}
}

Test(server_body, the_limit_is_exact)
{
	struct body b = begin(CHUNKED);
	struct buf out = { 0 };
	static char half[4u << 20];
	size_t used;
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(server_body_take(&b, "400000\r\n", 8, &used, &out), BODY_MORE);
		cr_assert_eq(server_body_take(&b, half, sizeof half, &used, &out), BODY_MORE);
		cr_assert_eq(server_body_take(&b, "\r\n", 2, &used, &out), BODY_MORE);
	}
	cr_expect_eq(out.len, LIMIT_REQUEST_BYTES);
	cr_expect_eq(server_body_take(&b, "1\r\n", 3, &used, &out), BODY_REFUSED);
	cr_expect_eq(b.status, 413);
	buf_free(&out);
}
