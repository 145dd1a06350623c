#include "net/net.h"
#include "base/text.h"
#include "tests/net/http_site.h"
#include "tests/base/temp.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n"

static struct http *client(const char *ca_file)
{
	struct http *h = NULL;
	struct err e = { 0 };
	cr_assert_eq(http_open(&h, &(struct http_options){ .ca_file = ca_file }, &e), 0, "%s", e.text);
	return h;
}

/* "http://127.0.0.1:PORT/path", in one of a few buffers. */
static const char *at(const char *scheme, const char *host, const struct site *s, const char *path)
{
	static char text[8][400];
	static int next;
	char *out = text[next++ % 8];
	snprintf(out, sizeof text[0], "%s://%s:%u%s", scheme, host, (unsigned)s->port, path);
	return out;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- requests and responses ---- */

static void answer_plain(struct visit *v)
{
	if (text_starts(v->path, "/head"))
		site_say(v, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
	else if (text_starts(v->path, "/chunks"))
		site_say(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: no\r\n\r\n");
	else if (text_starts(v->path, "/early"))
		site_say(v, "HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n"
			    "HTTP/1.1 200 OK\r\nX-Name:  a b \t\r\nContent-Length: 2\r\n\r\nok");
	else if (text_starts(v->path, "/gone"))
		site_say(v, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nwhat");
	else
		site_say(v, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static int collect(void *ctx, const void *bytes, size_t len, struct err *e)
{
	buf_add(ctx, bytes, len);
	return buf_done(ctx, e);
}

Test(net_http, a_request_is_sent_as_said_and_its_response_read)
{
	static struct site s;
	struct http_response r = { 0 };
	struct err e = { 0 };
	site_open(&s, answer_plain, NULL);
	struct http *h = client(NULL);
	static const char *const field[] = { "X-A", "b: c", "X-Empty", "", NULL };
	struct http_request q = { .method = "POST",
				  .url = at("http", "127.0.0.1", &s, "/x?y=1"),
				  .field = field,
				  .authorization = "Bearer t",
				  .body = "a\0b",
				  .body_bytes = 3 };
	cr_assert_eq(http_do(h, &q, &r, &e), 0, "%s", e.text);
	cr_expect_eq(r.status, 200);
	cr_expect_str_eq(r.body.bytes, "ok");
	static const char *const lines[] = { "POST /x?y=1 HTTP/1.1\r\n", "\r\nX-A: b: c\r\n", "\r\nX-Empty:\r\n",
					     "\r\nAuthorization: Bearer t\r\n", "\r\nContent-Length: 3\r\n" };
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		cr_expect(strstr(s.head[0], lines[i]), "%s in %s", lines[i], s.head[0]);
	cr_expect(!strstr(s.head[0], "Content-Type"), "%s", s.head[0]);
	struct buf got = { 0 };
	q = (struct http_request){ .url = at("http", "127.0.0.1", &s, "/chunks"), .ctx = &got, .sink = collect };
	cr_assert_eq(http_do(h, &q, &r, &e), 0, "%s", e.text);
	cr_expect(got.len == 5 && memcmp(got.bytes, "abcde", 5) == 0);
	cr_expect(r.body.len == 0 && !http_field(&r, "X-Late"), "a trailer is no field");
	q = (struct http_request){ .url = at("http", "127.0.0.1", &s, "/early") };
	cr_assert_eq(http_do(h, &q, &r, &e), 0, "%s", e.text);
	cr_expect_str_eq(http_field(&r, "x-name"), "a b");
	cr_expect_null(http_field(&r, "X-Early"), "that of an interim response");
	q = (struct http_request){ .method = "HEAD", .url = at("http", "127.0.0.1", &s, "/head") };
	cr_assert_eq(http_do(h, &q, &r, &e), 0, "%s", e.text);
	cr_expect_str_eq(http_field(&r, "Content-Length"), "99");
	q = (struct http_request){ .url = at("http", "127.0.0.1", &s, "/gone"), .ctx = &got, .sink = collect };
	cr_assert_eq(http_do(h, &q, &r, &e), 0, "%s", e.text);
	cr_expect_eq(r.status, 404);
	cr_expect_str_eq(r.body.bytes, "what");
	cr_expect_eq(got.len, 5, "an error's body is no content");
	cr_expect_eq(atomic_load(&s.connections), 1, "the connection is kept");
	buf_free(&got);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}

Test(net_http, what_cannot_be_a_request_is_refused_before_it_is_sent)
{
	static struct site s;
	site_open(&s, answer_plain, NULL);
	struct http *h = client(NULL);
	static const struct {
		const char *url;
		int code;
	} urls[] = {
		{ "ftp://127.0.0.1/", ERR_UNSUPPORTED },   { "file:///etc/passwd", ERR_UNSUPPORTED },
		{ "gopher://127.0.0.1/", ERR_UNSUPPORTED }, { "127.0.0.1/x", ERR_INPUT },
		{ "http://", ERR_INPUT },                  { "http://u:p@127.0.0.1/", ERR_INPUT },
		{ "http://127.0.0.1/a b", ERR_INPUT },     { "http://127.0.0.1/\r\nX: y", ERR_INPUT },
		{ "http://127.0.0.1:99999/", ERR_INPUT },  { "", ERR_INPUT },
	};
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct http_response r = { 0 };
		struct err e = { 0 };
		int rc = http_do(h, &(struct http_request){ .url = urls[i].url }, &r, &e);
		cr_expect_eq(rc, urls[i].code, "%s: %d %s", urls[i].url, rc, e.text);
		http_response_free(&r);
	}
	static const char *const fields[][3] = {
		{ "X", "a\r\nY: b", NULL }, { "X\r\nY", "b", NULL },	   { "", "b", NULL },
		{ "X Y", "b", NULL },	    { "Authorization", "b", NULL }, { "host", "b", NULL },
		{ "Cookie", "b", NULL },    { "Content-Length", "3", NULL },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		struct http_response r = { 0 };
		struct http_request q = { .url = at("http", "127.0.0.1", &s, "/"), .field = fields[i] };
		cr_expect_eq(http_do(h, &q, &r, NULL), ERR_INPUT, "%s", fields[i][0]);
		http_response_free(&r);
	}
	struct http_response r = { 0 };
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/"), .authorization = "a\nb" };
	cr_expect_eq(http_do(h, &q, &r, NULL), ERR_INPUT);
	cr_expect_eq(atomic_load(&s.requests), 0);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}

Test(net_http, nothing_is_taken_from_the_environment)
{
	static struct site s, proxy;
	struct temp t;
	temp_open(&t);
	FILE *f = fopen(temp_path(&t, ".netrc"), "w");
	fputs("machine 127.0.0.1 login me password secret\n", f);
	fclose(f);
	site_open(&s, answer_plain, NULL);
	site_open(&proxy, answer_plain, NULL);
	setenv("HOME", t.dir, 1);
	setenv("http_proxy", at("http", "127.0.0.1", &proxy, ""), 1);
	setenv("ALL_PROXY", at("http", "127.0.0.1", &proxy, ""), 1);
	struct http *h = client(NULL);
	struct http_response r = { 0 };
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/") };
	cr_expect_eq(http_do(h, &q, &r, NULL), 0);
	cr_expect(atomic_load(&s.requests) == 1 && atomic_load(&proxy.requests) == 0);
	cr_expect(!strstr(s.head[0], "Authorization"), "%s", s.head[0]);
	http_close(h);
	const char *through = at("http", "127.0.0.1", &proxy, "");
	cr_assert_eq(http_open(&h, &(struct http_options){ .proxy = through }, NULL), 0);
	cr_expect_eq(http_do(h, &q, &r, NULL), 0);
	cr_expect(atomic_load(&s.requests) == 1 && atomic_load(&proxy.requests) == 1, "asked for");
	http_response_free(&r);
	http_close(h);
	site_close(&s);
	site_close(&proxy);
	temp_close(&t);
}

/* ---- TLS ---- */

Test(net_http, only_a_valid_chain_for_this_host_is_talked_to)
{
	static const struct {
		const char *certificate, *ca, *host;
		int code;
		const char *says;
	} rows[] = {
		{ "good.pem", "ca.pem", "127.0.0.1", 0, "" },
		{ "good.pem", "ca.pem", "localhost", 0, "" },
		{ "good.pem", NULL, "127.0.0.1", ERR_VERIFY, "unable to get local issuer" },
		{ "good.pem", "alone.pem", "127.0.0.1", ERR_VERIFY, "unable to get local issuer" },
		{ "expired.pem", "ca.pem", "127.0.0.1", ERR_VERIFY, "expired" },
		{ "other.pem", "ca.pem", "127.0.0.1", ERR_VERIFY, "matches" },
		{ "other.pem", "ca.pem", "localhost", ERR_VERIFY, "localhost" },
		{ "alone.pem", "ca.pem", "127.0.0.1", ERR_VERIFY, "self-signed" },
		{ "alone.pem", "alone.pem", "127.0.0.1", 0, "" },
	};
	struct temp t;
	char certificate[LIMIT_PATH_BYTES];
	temp_open(&t);
	site_certificates(t.dir);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct site s;
		struct http_response r = { 0 };
		struct err e = { 0 };
		snprintf(certificate, sizeof certificate, "%s", temp_path(&t, rows[i].certificate));
		site_open(&s, answer_plain, certificate);
		struct http *h = client(rows[i].ca ? temp_path(&t, rows[i].ca) : NULL);
		struct http_request q = { .url = at("https", rows[i].host, &s, "/?secret"), .authorization = "k" };
		int rc = http_do(h, &q, &r, &e);
		cr_expect_eq(rc, rows[i].code, "%zu: %d %s", i, rc, e.text);
		cr_expect(strstr(e.text, rows[i].says) && !strstr(e.text, "secret"), "%zu: %s", i, e.text);
		cr_expect_eq(atomic_load(&s.requests), rc == 0, "nothing is said to a stranger");
		http_response_free(&r);
		http_close(h);
		site_close(&s);
	}
	struct http *h;
	cr_expect_eq(http_open(&h, &(struct http_options){ .ca_file = "/nothing/here" }, NULL), ERR_NOTFOUND);
	temp_close(&t);
}

Test(net_http, plain_bytes_on_a_tls_port_are_an_error)
{
	static struct site s;
	struct http_response r = { 0 };
	struct err e = { 0 };
	site_open(&s, answer_plain, NULL);
	struct http *h = client(NULL);
	struct http_request q = { .url = at("https", "127.0.0.1", &s, "/"), .total_ms = 2000 };
	cr_expect_eq(http_do(h, &q, &r, &e), ERR_UNAVAILABLE, "%s", e.text);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}

/* ---- redirects ---- */

static char elsewhere[200];

static void answer_redirect(struct visit *v)
{
	char text[600];
	const char *to = elsewhere;
	if (text_starts(v->path, "/loop"))
		to = "/loop";
	else if (text_starts(v->path, "/near"))
		to = "near2/../end?x";
	else if (text_starts(v->path, "/end") || strcmp(v->path, "/") == 0) {
		site_say(v, OK "Content-Length: 3\r\n\r\nend");
		v->ended = 1;
		return;
	}
	int status = text_starts(v->path, "/307") ? 307 : text_starts(v->path, "/303") ? 303 : 302;
	snprintf(text, sizeof text,
		 "HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmove",
		 status, to);
	site_say(v, text);
	v->ended = 1;
}

static int follow(struct http *h, struct http_request q, struct http_response *r, struct err *e)
{
	q.authorization = "Bearer secret";
	*e = (struct err){ 0 };
	return http_do(h, &q, r, e);
}

Test(net_http, redirects_are_followed_as_far_as_allowed)
{
	static struct site s;
	struct http_response r = { 0 };
	struct err e;
	struct buf got = { 0 };
	site_open(&s, answer_redirect, NULL);
	struct http *h = client(NULL);
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/near"),
				  .redirects_max = 1,
				  .ctx = &got,
				  .sink = collect };
	cr_expect_eq(follow(h, q, &r, &e), 0, "%s", e.text);
	cr_expect(got.len == 3 && memcmp(got.bytes, "end", 3) == 0, "the body of a redirect is no content");
	cr_expect(text_starts(s.head[1], "GET /end?x HTTP/1.1\r\n"), "%s", s.head[1]);
	cr_expect(strstr(s.head[1], "Authorization: Bearer secret"), "the same origin");
	q.url = at("http", "127.0.0.1", &s, "/loop");
	q.redirects_max = 4;
	int before = atomic_load(&s.requests);
	cr_expect_eq(follow(h, q, &r, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "more than 4 redirects"), "%s", e.text);
	cr_expect_eq(atomic_load(&s.requests) - before, 5);
	q.redirects_max = 0;
	cr_expect_eq(follow(h, q, &r, &e), 0);
	cr_expect(r.status == 302 && strcmp(http_field(&r, "Location"), "/loop") == 0);
	q.redirects_max = 4;
	q.method = "POST";
	cr_expect_eq(follow(h, q, &r, &e), 0);
	cr_expect_eq(r.status, 302, "only GET and HEAD are led on");
	buf_free(&got);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}

Test(net_http, credentials_stay_with_their_origin)
{
	static struct site s, other;
	struct http_response r = { 0 };
	struct err e;
	site_open(&s, answer_redirect, NULL);
	site_open(&other, answer_redirect, NULL);
	struct http *h = client(NULL);
	static const char *const field[] = { "X-Open", "1", NULL };
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/away"), .field = field, .redirects_max = 3 };
	static const char *const hosts[] = { "127.0.0.1", "localhost" }; /* another port, another name */
	for (int i = 0; i < 2; i++) {
		snprintf(elsewhere, sizeof elsewhere, "%s", at("http", hosts[i], &other, "/end"));
		cr_expect_eq(follow(h, q, &r, &e), 0, "%s", e.text);
		cr_expect(strstr(s.head[i], "Bearer secret"), "%s", s.head[i]);
		cr_expect(!strstr(other.head[i], "secret") && strstr(other.head[i], "X-Open: 1"), "%s",
			  other.head[i]);
	}
	snprintf(elsewhere, sizeof elsewhere, "http://me:word@127.0.0.1:%u/end", (unsigned)other.port);
	cr_expect_eq(follow(h, q, &r, &e), ERR_INPUT);
	snprintf(elsewhere, sizeof elsewhere, "file:///etc/passwd");
	cr_expect_eq(follow(h, q, &r, &e), ERR_UNSUPPORTED);
	cr_expect_eq(atomic_load(&other.requests), 2);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
	site_close(&other);
}

Test(net_http, a_redirect_never_leaves_tls)
{
	static struct site s, plain;
	struct http_response r = { 0 };
	struct err e;
	struct temp t;
	temp_open(&t);
	site_certificates(t.dir);
	char certificate[LIMIT_PATH_BYTES];
	snprintf(certificate, sizeof certificate, "%s", temp_path(&t, "good.pem"));
	site_open(&s, answer_redirect, certificate);
	site_open(&plain, answer_redirect, NULL);
	struct http *h = client(temp_path(&t, "ca.pem"));
	struct http_request q = { .url = at("https", "127.0.0.1", &s, "/away"), .redirects_max = 3 };
	snprintf(elsewhere, sizeof elsewhere, "%s", at("http", "127.0.0.1", &plain, "/end"));
	cr_expect_eq(follow(h, q, &r, &e), ERR_UNSUPPORTED);
	cr_expect(strstr(e.text, "from https to http"), "%s", e.text);
	cr_expect_eq(atomic_load(&plain.connections), 0);
	snprintf(elsewhere, sizeof elsewhere, "%s", at("https", "localhost", &s, "/end"));
	cr_expect_eq(follow(h, q, &r, &e), 0, "%s", e.text);
	cr_expect(!strstr(s.head[2], "secret"), "%s", s.head[2]);
	q.url = at("http", "127.0.0.1", &plain, "/away");
	cr_expect_eq(follow(h, q, &r, &e), 0, "into TLS is fine: %s", e.text);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
	site_close(&plain);
	temp_close(&t);
}

/* ---- caps and deadlines ---- */

static void drip(struct visit *v)
{
	for (int i = 0; i < 200 && !v->ended && !atomic_load(&v->site->stopping); i++) {
		site_say(v, "x");
		usleep(20000);
	}
	v->ended = 1;
}

static void repeat(struct visit *v, const char *text, int times)
{
	for (int i = 0; i < times && !v->ended; i++)
		site_say(v, text);
}

static void answer_badly(struct visit *v)
{
	v->ended = 1;
	if (text_starts(v->path, "/big"))
		site_say(v, OK "Content-Length: 2000\r\n\r\n");
	else if (text_starts(v->path, "/endless")) {
		v->ended = 0;
		site_say(v, OK "\r\n");
		repeat(v, "xxxxxxxxxxxxxxxx", 1000000);
	} else if (text_starts(v->path, "/fields")) {
		v->ended = 0;
		site_say(v, "HTTP/1.1 200 OK\r\n");
		repeat(v, "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 100000);
	} else if (text_starts(v->path, "/longfield")) {
		v->ended = 0;
		site_say(v, "HTTP/1.1 200 OK\r\nX: ");
		repeat(v, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", 100000);
	} else if (text_starts(v->path, "/short"))
		site_say(v, OK "Content-Length: 10\r\n\r\nabc");
	else if (text_starts(v->path, "/cutchunk"))
		site_say(v, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nab");
	else if (text_starts(v->path, "/badchunk"))
		site_say(v, OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nab");
	else if (text_starts(v->path, "/badlength"))
		site_say(v, OK "Content-Length: ten\r\n\r\nabc");
	else if (text_starts(v->path, "/twolengths"))
		site_say(v, OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc");
	else if (text_starts(v->path, "/nothttp"))
		site_say(v, "SSH-2.0-OpenSSH\r\n");
	else if (text_starts(v->path, "/silent"))
		usleep(1500000);
	else if (text_starts(v->path, "/slowhead")) {
		v->ended = 0;
		site_say(v, "HTTP/1.1 200 OK\r\nX: ");
		drip(v);
	} else if (text_starts(v->path, "/slow")) {
		v->ended = 0;
		site_say(v, OK "\r\n");
		drip(v);
	}
}

Test(net_http, bad_and_endless_responses_end_with_a_sentence)
{
	static const struct {
		const char *path;
		int code;
		const char *says;
	} rows[] = {
		{ "/big", ERR_INPUT, "longer than what is taken" },
		{ "/endless", ERR_INPUT, "more than 1000 bytes" },
		{ "/fields", ERR_INPUT, "more than 4096 bytes of fields" },
		{ "/longfield", ERR_NOMEM, "more than 100 KiB" },
		{ "/short", ERR_UNAVAILABLE, "shorter than its length" },
		{ "/cutchunk", ERR_UNAVAILABLE, "" },
		{ "/badchunk", ERR_UNAVAILABLE, "" },
		{ "/badlength", ERR_INPUT, "malformed" },
		{ "/twolengths", ERR_INPUT, "two lengths" },
		{ "/nothttp", ERR_INPUT, "not HTTP" },
		{ "/none", ERR_UNAVAILABLE, "without a response" },
		{ "/silent", ERR_UNAVAILABLE, "stalled" },
		{ "/slow", ERR_UNAVAILABLE, "stalled: fewer than 1000 bytes in 500 ms" },
		{ "/slowhead", ERR_UNAVAILABLE, "stalled" },
	};
	static struct site s;
	site_open(&s, answer_badly, NULL);
	struct http *h = client(NULL);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_response r = { 0 };
		struct err e = { 0 };
		struct http_request q = { .url = at("http", "127.0.0.1", &s, rows[i].path),
					  .body_bytes_max = 1000,
					  .field_bytes_max = 4096,
					  .stall_ms = 500,
					  .stall_bytes = 1000 };
		int64_t begin = now_ms();
		int rc = http_do(h, &q, &r, &e);
		cr_expect_eq(rc, rows[i].code, "%s: %d %s", rows[i].path, rc, e.text);
		cr_expect(strstr(e.text, rows[i].says), "%s: %s", rows[i].path, e.text);
		cr_expect(text_starts(e.text, "http://127.0.0.1:"), "%s", e.text);
		cr_expect_lt(now_ms() - begin, 2500, "%s", rows[i].path);
		http_response_free(&r);
	}
	http_close(h);
	site_close(&s);
}

static bool cancel_later(void *ctx)
{
	int *left = ctx;
	return --*left < 0;
}

Test(net_http, the_total_deadline_and_a_cancel_hold_however_it_drips)
{
	static struct site s;
	struct http_response r = { 0 };
	struct err e = { 0 };
	site_open(&s, answer_badly, NULL);
	struct http *h = client(NULL);
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/slow"), .total_ms = 400 };
	int64_t begin = now_ms();
	cr_expect_eq(http_do(h, &q, &r, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "more than 400 ms"), "%s", e.text);
	cr_expect_lt(now_ms() - begin, 1500);
	int left = 3;
	q.total_ms = 0;
	q.ctx = &left;
	q.is_cancelled = cancel_later;
	cr_expect_eq(http_do(h, &q, &r, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "cancelled"), "%s", e.text);
	cr_expect_lt(now_ms() - begin, 2500);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}

Test(net_http, an_injected_clock_decides_the_deadlines)
{
	static struct site s;
	struct http_response r = { 0 };
	struct err e = { 0 };
	struct http *h;
	int64_t time_us = 1;
	site_open(&s, answer_plain, NULL);
	struct http_options o = { .clock = clock_fixed(&time_us) };
	cr_assert_eq(http_open(&h, &o, &e), 0);
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/"), .total_ms = 1 };
	cr_expect_eq(http_do(h, &q, &r, &e), 0, "time stands still: %s", e.text);
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}

static int refuse(void *ctx, const void *bytes, size_t len, struct err *e)
{
	(void)ctx, (void)bytes, (void)len;
	return err_set(e, ERR_CONFLICT, "the disk is full");
}

static int refuse_404(void *ctx, const struct http_response *r, struct err *e)
{
	(void)ctx;
	return r->status == 404 ? err_set(e, ERR_NOTFOUND, "no such blob") : 0;
}

Test(net_http, what_a_call_returns_ends_the_request)
{
	static struct site s;
	struct http_response r = { 0 };
	struct err e = { 0 };
	site_open(&s, answer_plain, NULL);
	struct http *h = client(NULL);
	struct http_request q = { .url = at("http", "127.0.0.1", &s, "/"), .sink = refuse, .begin = refuse_404 };
	cr_expect_eq(http_do(h, &q, &r, &e), ERR_CONFLICT);
	cr_expect_str_eq(e.text, "the disk is full");
	q.url = at("http", "127.0.0.1", &s, "/gone");
	cr_expect_eq(http_do(h, &q, &r, &e), ERR_NOTFOUND);
	cr_expect_str_eq(e.text, "no such blob");
	http_response_free(&r);
	http_close(h);
	site_close(&s);
}
