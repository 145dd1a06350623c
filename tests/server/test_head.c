#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "server/body.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define POST "POST /v1/chat/completions HTTP/1.1\r\nHost: a.test\r\n"

/* As the server sees it: `cut` bytes first, then all. A head cut short by the end of the stream is
 * 400. */
static int status_of(const char *bytes, size_t len, size_t cut, struct head *h)
{
	memset(h, 0, sizeof *h);
	enum head_result r = cut < len ? server_head_check(h, bytes, cut) : HEAD_MORE;
	if (r == HEAD_MORE)
		r = server_head_check(h, bytes, len);
	return r == HEAD_OK ? 200 : r == HEAD_MORE ? 400 : h->status;
}

/* The same with the body behind the head. One cut short by the end of the stream is 400. */
static int status_with_body(const char *bytes, size_t len, size_t cut, struct head *h)
{
	struct body b;
	struct buf out = { 0 };
	size_t used, at;
	int status = status_of(bytes, len, cut, h);
	if (status != 200)
		return status;
	at = h->bytes;
	server_body_start(&b, h);
	enum body_result r = server_body_take(&b, bytes + at, cut > at ? cut - at : 0, &used, &out);
	at += used;
	if (r == BODY_MORE)
		r = server_body_take(&b, bytes + at, len - at, &used, &out);
	buf_free(&out);
	return r == BODY_WHOLE ? 200 : r == BODY_MORE ? 400 : b.status;
}

static void add_base64(struct buf *out, const json_t *o, const char *key, json_int_t times)
{
	const char *text = json_string_value(json_object_get(o, key));
	struct buf raw = { 0 };
	cr_assert(!text || text_unbase64(&raw, text, strlen(text)) == 0);
	while (text && times-- > 0)
		buf_add(out, raw.bytes, raw.len);
	buf_free(&raw);
}

static void payload(const json_t *row, struct buf *out)
{
	const json_t *g = json_object_get(row, "generate");
	if (!g) {
		add_base64(out, row, "raw_b64", 1);
		return;
	}
	add_base64(out, g, "prefix_b64", 1);
	add_base64(out, g, "repeat_b64", json_integer_value(json_object_get(g, "count")));
	add_base64(out, g, "suffix_b64", 1);
}

static bool is_listed(const json_t *row, int status)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(row, "status"), i, v) {
		if (json_integer_value(v) == status)
			return true;
	}
	return false;
}

Test(server_head, published_faults_are_refused_at_every_cut)
{
	struct buf file = { 0 };
	struct err e = { 0 };
	cr_assert_eq(file_read("tests/vectors/http/http_heads.jsonl", MIB(1), &file, &e), 0, "%s",
		     e.text);
	int rows = 0;
	static struct head h;
	for (char *line = strtok(file.bytes, "\n"); line; line = strtok(NULL, "\n"), rows++) {
		json_t *row;
		struct buf raw = { 0 };
		cr_assert_eq(json_read(&row, line, strlen(line), MIB(1), 8, &e), 0, "%s", e.text);
		payload(row, &raw);
		for (size_t cut = 0; cut <= raw.len; cut++) {
			int status = status_with_body(raw.bytes, raw.len, cut, &h);
			cr_expect(is_listed(row, status), "%s, cut at %zu: %d",
				  json_string_value(json_object_get(row, "what")), cut, status);
		}
		buf_free(&raw);
		json_decref(row);
	}
	cr_expect_eq(rows, 20);
	buf_free(&file);
}

static const struct {
	const char *what, *head;
	int status;
} cases[] = {
	{ "plain GET", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
	{ "port and upper case", "GET /health HTTP/1.1\r\nHOST: A-b.test:8080\r\n\r\n", 200 },
	{ "IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200 },
	{ "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 200 },
	{ "POST with a length", POST "Content-Length: 0\r\n\r\n", 200 },
	{ "expectation", POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 200 },
	{ "white space around a value", "GET / HTTP/1.1\r\nHost:\t a \t\r\n\r\n", 200 },
	{ "bytes above 7F in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n", 200 },
	{ "query", "GET /v1/models?a=%ff%00 HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
	{ "fragment", "GET /v1/models?a=1#b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "escaped path", "GET /v1%2Fmodels?x=.. HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
	{ "limit of the body", POST "Content-Length: 8388608\r\n\r\n", 200 },
	{ "one byte more", POST "Content-Length: 8388609\r\n\r\n", 413 },
	{ "length beyond 64 bits", POST "Content-Length: 18446744073709551617\r\n\r\n", 413 },
	{ "signed length", POST "Content-Length: +5\r\n\r\n", 400 },
	{ "list of lengths", POST "Content-Length: 5, 5\r\n\r\n", 400 },
	{ "length with a space inside", POST "Content-Length: 5 5\r\n\r\n", 400 },
	{ "POST without a length", POST "\r\n", 411 },
	{ "GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400 },
	{ "chunked", POST "Transfer-Encoding: Chunked\r\n\r\n", 200 },
	{ "chunked GET", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "chunked beside a length", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "chunked from 1.0",
	  "POST / HTTP/1.0\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "chunked and more", POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501 },
	{ "Chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	  400 },
	{ "unknown coding", POST "Transfer-Encoding: gzip\r\n\r\n", 501 },
	{ "Host missing", "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400 },
	{ "Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "Host with a bad port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400 },
	{ "Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400 },
	{ "two Authorization",
	  "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", 400 },
	{ "two Content-Type",
	  POST "Content-Type: a\r\nContent-Type: a\r\nContent-Length: 0\r\n\r\n", 400 },
	{ "two Origin", "GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nOrigin: a\r\n\r\n", 400 },
	{ "Content-Encoding", POST "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 415 },
	{ "other expectation", POST "Expect: 101\r\nContent-Length: 0\r\n\r\n", 417 },
	{ "folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400 },
	{ "space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
	{ "no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400 },
	{ "bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400 },
	{ "DEL", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400 },
	{ "tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400 },
	{ "no version", "GET /\r\n\r\n", 400 },
	{ "lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
	{ "PUT", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
	{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501 },
	{ "HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
	{ "lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "absolute target", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "dot dot", "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "escaped dots", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "double slash", "GET //a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "escaped twice", "GET /%2561 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "escaped NUL", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "half an escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "escape across the query", "GET /%4?1 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	{ "raw UTF-8 in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
};

Test(server_head, each_rule_of_the_table_holds_at_every_cut)
{
	static struct head h;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].head);
		for (size_t cut = 0; cut <= len; cut++) {
			int status = status_of(cases[i].head, len, cut, &h);
			cr_expect_eq(status, cases[i].status, "%s, cut at %zu: %d", cases[i].what,
				     cut, status);
		}
	}
}

static int status_of_long(size_t target, size_t fields, size_t value)
{
	static struct head h;
	struct buf b = { 0 };
	buf_add_text(&b, "GET /");
	for (size_t i = 1; i < target; i++)
		buf_add_byte(&b, 'a');
	buf_add_text(&b, " HTTP/1.1\r\nHost: a\r\n");
	for (size_t i = 1; i < fields; i++) {
		buf_add_text(&b, "X: ");
		for (size_t k = 0; k < value; k++)
			buf_add_byte(&b, 'v');
		buf_add_text(&b, "\r\n");
	}
	buf_add_text(&b, "\r\n");
	int status = status_of(b.bytes, b.len, b.len / 2, &h);
	buf_free(&b);
	return status;
}

Test(server_head, limits_are_exact)
{
	cr_expect_eq(status_of_long(HEAD_TARGET_MAX, 1, 0), 200);
	cr_expect_eq(status_of_long(HEAD_TARGET_MAX + 1, 1, 0), 414);
	cr_expect_eq(status_of_long(100000, 1, 0), 414);
	cr_expect_eq(status_of_long(1, HEAD_FIELDS_MAX, 1), 200);
	cr_expect_eq(status_of_long(1, HEAD_FIELDS_MAX + 1, 1), 431);
	/* "GET / HTTP/1.1" CRLF, "Host: a" CRLF and the blank line are 27 bytes, "X: " and CRLF
	 * five. */
	cr_expect_eq(status_of_long(1, 2, HEAD_BYTES_MAX - 27 - 5), 200);
	cr_expect_eq(status_of_long(1, 2, HEAD_BYTES_MAX - 27 - 5 + 1), 431);
}

Test(server_head, a_full_buffer_is_never_asked_for_more)
{
	static struct head h;
	static char bytes[HEAD_BYTES_MAX];
	memset(bytes, 'a', sizeof bytes);
	memcpy(bytes, "GET / HTTP/1.1\r\nX: ", 19);
	bytes[sizeof bytes - 1] = '\r';
	cr_expect_eq(server_head_check(&h, bytes, sizeof bytes), HEAD_REFUSED);
	cr_expect_eq(h.status, 431);
}
