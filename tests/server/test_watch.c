/* What is counted and said of requests, and who may read it. */
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "tests/base/temp.h"
#include "tests/server/talk.h"
#include "tests/server/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- who may look ---- */

static struct tokens watchers;

static struct running start_watched(enum server_metrics metrics, const char *lines)
{
	open_tokens(&watchers);
	put_token(&watchers, "monitor", "monitor");
	put_token(&watchers, "user", "user");
	put_token(&watchers, "operator", "operator");
	return start((struct server_options){
		.access = watchers.access, .metrics = metrics, .request_log = lines });
}

static void stop_watched(struct running *r)
{
	stop(r);
	close_tokens(&watchers);
}

#define AS(name) "Authorization: Bearer " name "\r\n"

Test(server_watch, metrics_are_for_whom_the_option_says)
{
	static const struct {
		enum server_metrics who;
		int nobody, user, monitor;
	} rows[] = {
		{ SERVER_METRICS_TOKENS, 401, 403, 200 },
		{ SERVER_METRICS_OPEN, 200, 200, 200 },
		{ SERVER_METRICS_ADMIN, 404, 404, 404 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct running r = start_watched(rows[i].who, NULL);
		expect_status(ask(r.port, "GET /metrics", "", NULL), rows[i].nobody);
		expect_status(ask(r.port, "GET /metrics", AS("user"), NULL), rows[i].user);
		expect_status(ask(r.port, "GET /metrics", AS("monitor"), NULL), rows[i].monitor);
		stop_watched(&r);
	}
}

Test(server_watch, without_tokens_nobody_scrapes_but_where_it_is_open)
{
	struct running r = start((struct server_options){ 0 });
	expect_status(ask(r.port, "GET /metrics", "", NULL), 401);
	stop_watched(&r);
	r = start((struct server_options){ .metrics = SERVER_METRICS_OPEN });
	expect_status(ask(r.port, "GET /metrics", "", NULL), 200);
	stop_watched(&r);
}

Test(server_watch, details_of_readiness_are_for_monitors_and_operators)
{
	struct running r = start_watched(SERVER_METRICS_TOKENS, NULL);
	atomic_store(&fake_counts.unready, 1);
	static const struct {
		const char *as;
		int details;
	} rows[] = {
		{ "", 0 }, { AS("user"), 0 }, { AS("nobody"), 0 }, { AS("monitor"), 1 }, { AS("operator"), 1 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = ask(r.port, "GET /ready", rows[i].as, NULL);
		cr_expect_eq(status(&b), 503);
		cr_expect_eq(count(&b, "\"name\":\"log\",\"ok\":false,\"detail\":\"no \\\"log\\\"\""),
			     rows[i].details, "%s: %s", rows[i].as, b.bytes);
		buf_free(&b);
	}
	atomic_store(&fake_counts.unready, 0);
	stop_watched(&r);
}

/* ---- what is counted ---- */

static double sample(uint16_t port, const char *name)
{
	struct buf b = ask(port, "GET /metrics", AS("monitor"), NULL);
	char wanted[200];
	snprintf(wanted, sizeof wanted, "\n%s ", name);
	const char *line = strstr(b.bytes, wanted);
	double value = line ? strtod(line + strlen(wanted), NULL) : -1;
	buf_free(&b);
	return value;
}

#define REQUESTS(route, method, shape, status)                                       \
	"hallmark_http_requests_total{route=\"" route "\",method=\"" method          \
	"\",shape=\"" shape "\",status=\"" status "\"}"

Test(server_watch, requests_are_counted_by_route_and_status)
{
	struct running r = start_watched(SERVER_METRICS_TOKENS, NULL);
	for (int i = 0; i < 3; i++)
		expect_status(ask(r.port, "GET /health", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models", "", NULL), 401);
	expect_status(ask(r.port, "GET /v1/models", AS("monitor"), NULL), 403);
	expect_status(ask(r.port, "GET /nothing", "", NULL), 404);
	expect_status(ask(r.port, "GET /v1/models/a%20b", AS("user"), NULL), 404);
	expect_status(ask(r.port, "POST /v1/chat/completions", AS("user"), SAY("hi")), 200);
	struct buf b = talk(r.port, "GET / HTTP/1.1\n", 15, SHUT);
	cr_expect_eq(status(&b), 400);
	buf_free(&b);
	usleep(100000);
	cr_expect_eq(sample(r.port, REQUESTS("/health", "GET", "", "200")), 3);
	cr_expect_eq(sample(r.port, REQUESTS("/v1/models", "GET", "", "401")), 1);
	cr_expect_eq(sample(r.port, REQUESTS("/v1/models", "GET", "", "403")), 1);
	cr_expect_eq(sample(r.port, REQUESTS("/v1/models/", "GET", "", "404")), 1);
	cr_expect_eq(sample(r.port, REQUESTS("none", "none", "", "404")), 1);
	cr_expect_eq(sample(r.port, REQUESTS("none", "none", "", "400")), 1);
	cr_expect_eq(sample(r.port, REQUESTS("/v1/chat/completions", "POST", "chat", "200")), 1);
	cr_expect_eq(sample(r.port, "hallmark_access_refusals_total{reason=\"unauthenticated\"}"), 1);
	cr_expect_eq(sample(r.port, "hallmark_access_refusals_total{reason=\"forbidden\"}"), 1);
	cr_expect_geq(sample(r.port, "hallmark_connections_accepted_total"), 9);
	cr_expect_geq(sample(r.port, "hallmark_connections{state=\"working\"}"), 1, "this one");
	cr_expect_gt(sample(r.port, "hallmark_sent_bytes_total"), 1000);
	cr_expect_gt(sample(r.port, "process_resident_memory_bytes"), 1e6);
	cr_expect_gt(sample(r.port, "process_open_fds"), 3);
	stop_watched(&r);
}

Test(server_watch, a_client_that_went_away_is_counted_without_an_answer)
{
	struct running r = start_watched(SERVER_METRICS_TOKENS, NULL);
	int fd = dial(r.port);
	static const char begun[] = POST AS("user") "Content-Length: 100\r\n\r\n{";
	put(fd, begun, sizeof begun - 1);
	usleep(100000);
	struct linger off = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	close(fd);
	usleep(300000);
	cr_expect_eq(sample(r.port, REQUESTS("/v1/chat/completions", "POST", "chat", "none")), 1);
	stop_watched(&r);
}

Test(server_watch, openmetrics_comes_with_its_type_and_end)
{
	struct running r = start_watched(SERVER_METRICS_OPEN, NULL);
	struct buf b = ask(r.port, "GET /metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n", NULL);
	cr_expect_eq(count(&b, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"), 1);
	cr_expect(text_ends(b.bytes, "\n# EOF\n"), "%s", b.bytes);
	buf_free(&b);
	b = ask(r.port, "GET /metrics", "", NULL);
	cr_expect_eq(count(&b, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), 1);
	cr_expect_eq(count(&b, "# EOF"), 0);
	buf_free(&b);
	stop_watched(&r);
}

/* ---- lines ---- */

static struct temp temp;

static void read_lines(json_t **out)
{
	struct buf text = { 0 };
	struct err e = { 0 };
	*out = json_array();
	cr_assert_eq(file_read(temp_path(&temp, "lines"), 1 << 24, &text, &e), 0, "%s", e.text);
	for (char *at = text.bytes; at && *at;) {
		char *end = strchr(at, '\n');
		json_t *line = NULL;
		cr_assert(end, "a line without its end");
		cr_assert_eq(json_read(&line, at, (size_t)(end - at), 1 << 16, 4, &e), 0, "%s: %.*s", e.text,
			     (int)(end - at), at);
		json_array_append_new(*out, line);
		at = end + 1;
	}
	buf_free(&text);
}

static const char *text_in(const json_t *lines, size_t i, const char *key)
{
	const char *s = json_string_value(json_object_get(json_array_get(lines, i), key));
	return s ? s : "";
}

static json_int_t number_in(const json_t *lines, size_t i, const char *key)
{
	return json_integer_value(json_object_get(json_array_get(lines, i), key));
}

/* The line in which a member has this value: lines of several connections come in any order. */
static size_t with(const json_t *lines, const char *key, const char *value)
{
	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(text_in(lines, i, key), value) == 0)
			return i;
	cr_assert(false, "no line whose %s is %s", key, value);
	return 0;
}

Test(server_watch, every_request_has_a_line_and_no_client_writes_one)
{
	json_t *lines;
	temp_open(&temp);
	struct running r = start_watched(SERVER_METRICS_TOKENS, temp_path(&temp, "lines"));
	expect_status(ask(r.port, "GET /health", "X-Request-Id: their-7\r\n", NULL), 200);
	expect_status(ask(r.port, "POST /v1/chat/completions", AS("user"), SAY("hi")), 200);
	expect_status(ask(r.port, "GET /x%22%7D%20%7B%22time%22:1%7D%E2%80%AE", "", NULL), 404);
	expect_status(ask(r.port, "GET /ready", "X-Request-Id: a b\"\\c\r\n", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models", AS("none"), NULL), 401);
	struct buf b = talk(r.port, "GET /\x01 HTTP/1.1\r\n\r\n", 19, SHUT);
	buf_free(&b);
	stop_watched(&r);
	read_lines(&lines);
	cr_assert_eq(json_array_size(lines), 6);
	size_t i = with(lines, "client_request", "their-7");
	cr_expect_str_eq(text_in(lines, i, "route"), "/health");
	cr_expect_eq(number_in(lines, i, "status"), 200);
	cr_expect_str_eq(text_in(lines, i, "outcome"), "answered");
	cr_expect_str_eq(text_in(lines, i, "address"), "", "not unless asked for");
	cr_expect_eq(strlen(text_in(lines, i, "time")), 24);
	i = with(lines, "shape", "chat");
	cr_expect_str_eq(text_in(lines, i, "token"), "tok_user");
	cr_expect_gt(number_in(lines, i, "bytes_in"), 50);
	cr_expect_gt(number_in(lines, i, "bytes_out"), 100);
	i = with(lines, "path", "/x\"} {\"time\":1}\\xe2\\x80\\xae");
	cr_expect_eq(number_in(lines, i, "status"), 404);
	i = with(lines, "route", "/ready");
	cr_expect_str_eq(text_in(lines, i, "client_request"), "", "no such id is repeated");
	i = with(lines, "route", "/v1/models");
	cr_expect_eq(number_in(lines, i, "status"), 401);
	cr_expect_str_eq(text_in(lines, i, "outcome"), "refused");
	cr_expect_str_eq(text_in(lines, i, "error"), "invalid_api_key");
	size_t head = 0;
	while (number_in(lines, head, "status") != 400 && head < 5)
		head++;
	cr_expect_eq(number_in(lines, head, "status"), 400);
	cr_expect_neq(text_in(lines, head, "reason")[0], 0);
	json_decref(lines);
	temp_close(&temp);
}

/* However long it is: it is answered, and its line is written. */
Test(server_watch, no_request_is_too_long_for_an_answer_and_a_line)
{
	static const struct {
		size_t path, field;
		int status;
	} rows[] = { { 3000, 0, 404 }, { 8100, 0, 404 }, { 8400, 0, 414 }, { 40000, 0, 414 },
		     { 10, 32000, 404 }, { 10, 33000, 431 } };
	json_t *lines;
	temp_open(&temp);
	struct running r = start_watched(SERVER_METRICS_TOKENS, temp_path(&temp, "lines"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf raw = { 0 };
		buf_add_text(&raw, "GET /");
		for (size_t k = 0; k < rows[i].path; k += 3)
			buf_add_text(&raw, "%ff"); /* of all that may stand there it has the longest line */
		buf_printf(&raw, " HTTP/1.1\r\nHost: a\r\nX-Request-Id: %0128d\r\nX-Long: %0*d\r\n\r\n", 7,
			   (int)rows[i].field, 7);
		struct buf b = talk(r.port, raw.bytes, raw.len, SHUT);
		cr_expect_eq(status(&b), rows[i].status, "row %zu: %.100s", i, b.bytes);
		buf_free(&b);
		buf_free(&raw);
	}
	stop_watched(&r);
	read_lines(&lines);
	cr_expect_eq(json_array_size(lines), sizeof rows / sizeof *rows);
	json_decref(lines);
	temp_close(&temp);
}

Test(server_watch, an_answer_is_called_as_its_line_is)
{
	json_t *lines;
	temp_open(&temp);
	struct running r = start_watched(SERVER_METRICS_TOKENS, temp_path(&temp, "lines"));
	struct buf b = ask(r.port, "GET /health", "", NULL);
	const char *id = strstr(b.bytes, "X-Request-Id: req_");
	cr_assert(id, "%s", b.bytes);
	stop_watched(&r);
	read_lines(&lines);
	cr_expect_eq(strncmp(id + 14, text_in(lines, 0, "request"), 28), 0);
	json_decref(lines);
	buf_free(&b);
	temp_close(&temp);
}

Test(server_watch, refused_requests_do_not_fill_the_disk)
{
	json_t *lines;
	temp_open(&temp);
	struct running r = start_watched(SERVER_METRICS_OPEN, temp_path(&temp, "lines"));
	for (int i = 0; i < 400; i++) {
		struct buf b = ask(r.port, "GET /nothing", "", NULL);
		buf_free(&b);
	}
	for (int i = 0; i < 3; i++)
		expect_status(ask(r.port, "GET /health", "", NULL), 200);
	double left_out = sample(r.port, "hallmark_request_lines_total{result=\"refused\"}");
	stop_watched(&r);
	read_lines(&lines);
	size_t refused = 0, good = 0, said = 0;
	for (size_t i = 0; i < json_array_size(lines); i++) {
		refused += number_in(lines, i, "status") == 404;
		good += strcmp(text_in(lines, i, "route"), "/health") == 0;
		said += (size_t)number_in(lines, i, "refused");
	}
	cr_expect(refused >= 200 && refused < 400, "%zu", refused);
	cr_expect_eq(good, 3, "others have theirs");
	cr_expect_eq(said, 400 - refused, "what was left out is said");
	cr_expect_eq(left_out, 400 - (double)refused);
	json_decref(lines);
	temp_close(&temp);
}
