#include "base/digest.h"
#include "base/text.h"
#include "tests/server/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

Test(server, without_tokens_only_loopback_is_listened_on)
{
	static const struct {
		const char *address;
		int code;
	} rows[] = {
		{ "0.0.0.0:0", ERR_DENIED },
		{ "[::]:0", ERR_DENIED },
		{ "192.168.1.1:0", ERR_DENIED },
		{ "example.org:0", ERR_DENIED },
		{ "127.0.0.1", ERR_INPUT },
		{ "127.0.0.1:65536", ERR_INPUT },
		{ "127.0.0.1:x", ERR_INPUT },
		{ ":80", ERR_INPUT },
		{ "[::1]", ERR_INPUT },
		{ "[::1", ERR_INPUT },
		{ "", ERR_INPUT },
		{ "localhost:0", 0 },
		{ "127.9.9.9:0", 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct server *s = NULL;
		struct err e = { 0 };
		struct server_options o = { .listener = { { .address = rows[i].address } }, .listeners = 1 };
		int r = server_open(&s, NULL, &o, &e);
		cr_expect_eq(r, rows[i].code, "%s: %d %s", rows[i].address, r, e.text);
		if (r == ERR_DENIED)
			cr_expect(strstr(e.text, "token"), "%s", e.text);
		server_close(s);
	}
}

Test(server, the_route_table_is_all_there_is)
{
	struct running r = start((struct server_options){ 0 });
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	expect_status(ask(r.port, "HEAD /health", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models?limit=2", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models/m", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models/%6d", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models/m/", "", NULL), 404);
	expect_status(ask(r.port, "DELETE /v1/models/m", "", NULL), 405);
	expect_status(ask(r.port, "GET /v1/receipts/chatcmpl-w-7", "", NULL), 200);
	expect_status(ask(r.port, "GET /v1/receipts/w%2F7", "", NULL), 404);
	expect_status(ask(r.port, "GET /v1/receipts/chatcmpl-w-8", "", NULL), 404);
	expect_status(ask(r.port, "GET /v1/receipts/a%20b", "", NULL), 404);
	expect_status(ask(r.port, "GET /v1/receipts/", "", NULL), 404);
	expect_status(ask(r.port, "GET /", "", NULL), 404);
	expect_status(ask(r.port, "GET /canary", "", NULL), 404);
	expect_status(ask(r.port, "GET /v1/models/", "", NULL), 404);
	expect_status(ask(r.port, "GET /v1/chat/completions", "", NULL), 405);
	expect_status(ask(r.port, "OPTIONS /v1/chat/completions", "", NULL), 405);
	expect_status(ask(r.port, "DELETE /v1/models", "", NULL), 405);
	expect_status(ask(r.port, "POST /v1/models", "", "{}"), 405);
	expect_status(ask(r.port, "POST /nothing", "", "{}"), 404);
	expect_status(ask(r.port, "POST /v1/chat/completions", "Content-Length: 2\r\n", NULL), 415);
	expect_status(ask(r.port, "PUT /v1/models", "", NULL), 405);
	stop(&r);
}

Test(server, a_plain_answer_carries_text_record_and_receipt)
{
	struct running r = start((struct server_options){ 0 });
	struct buf b = chat(r.port, SAY("hi"));
	cr_expect_eq(status(&b), 200);
	cr_expect_eq(count(&b, "Hallmark-Record: w/7\r\n"), 1, "%s", b.bytes);
	cr_expect_eq(count(&b, "Hallmark-Receipt: rrrrrrr\r\n"), 1);
	static const char text[] =
		"\"content\":\"p0 \\\"\xc3\xa4\\np1 \\\"\xc3\xa4\\np2 \\\"\xc3\xa4\\n\"";
	cr_expect_eq(count(&b, text), 1, "%s", b.bytes);
	cr_expect_eq(count(&b, "\"finish_reason\":\"stop\""), 1);
	cr_expect_eq(count(&b, "\"total_tokens\":8"), 1);
	buf_free(&b);
	stop(&r);
}

Test(server, a_receipt_of_3_KiB_and_more_is_in_the_document_alone)
{
	struct running r = start((struct server_options){ 0 });
	static const struct {
		const char *say;
		size_t headers;
	} rows[] = { { SAY("receipt=3071"), 1 }, { SAY("receipt=3072"), 0 }, { SAY("receipt=8000"), 0 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = chat(r.port, rows[i].say);
		cr_expect_eq(status(&b), 200);
		cr_expect_eq(count(&b, "Hallmark-Record: w/7\r\n"), 1);
		cr_expect_eq(count(&b, "Hallmark-Receipt: "), rows[i].headers, "%s", rows[i].say);
		cr_expect_eq(count(&b, "\"receipt\":\"rrr"), 1);
		buf_free(&b);
	}
	stop(&r);
}

Test(server, a_stream_has_chunks_a_finish_with_the_receipt_and_done)
{
	struct running r = start((struct server_options){ 0 });
	struct buf b = chat(
		r.port,
		"{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[]}");
	cr_expect_eq(status(&b), 200);
	cr_expect_eq(count(&b, "Hallmark-Record: w/7\r\n"), 1);
	cr_expect_eq(count(&b, "Content-Type: text/event-stream"), 1);
	cr_expect_eq(count(&b, "data: {"), 1 + 3 + 1 + 1, "%s", b.bytes);
	cr_expect_eq(count(&b, "\"usage\":null"), 5);
	cr_expect_eq(count(&b, "\"choices\":[],\"usage\":{\"prompt_tokens\":5"), 1);
	const char *finish = strstr(b.bytes, "\"finish_reason\":\"stop\"");
	cr_assert(finish != NULL);
	const char *hallmark = strstr(finish, "\"hallmark\":{\"record\":\"w/7\"");
	cr_expect(hallmark && hallmark < strchr(finish, '\n'), "%s", b.bytes);
	cr_expect_eq(count(&b, "data: [DONE]\n\n"), 1);
	buf_free(&b);
	stop(&r);
}

#define CALLS                                                                                        \
	"\"tool_calls\":[{\"id\":\"call_0\",\"type\":\"function\",\"function\":{\"name\":\"f\","           \
	"\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"call_1\",\"type\":\"function\",\"function\":"           \
	"{\"name\":\"g\",\"arguments\":\"{}\"}}]"
#define TOKEN(text, bytes)                                                                           \
	"{\"token\":\"" text "\",\"logprob\":-0.5,\"bytes\":[" bytes "],\"top_logprobs\":[{\"token\":"   \
	"\"\xef\xbf\xbd\",\"logprob\":-2,\"bytes\":[195]}]}"

Test(server, parts_and_choices_of_a_plain_answer_stand_where_clients_look)
{
	struct running r = start((struct server_options){ 0 });
	struct buf b = chat(r.port, SAY("rich choices=2 logprobs"));
	static const char *const once[] = {
		"{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"so\",\"refusal\":null,",
		"\"reasoning_content\":\"hm \\\"1\\\"\",\"reasoning\":\"hm \\\"1\\\"\"," CALLS "},",
		"\"logprobs\":{\"content\":[" TOKEN("so", "115,111") "],\"refusal\":null},"
		"\"finish_reason\":\"tool_calls\"},{\"index\":1,\"message\":{\"role\":\"assistant\","
		"\"content\":\"other\",\"refusal\":null},",
		"\"finish_reason\":\"stop\"}],\"usage\"",
		"\"prompt_tokens_details\":{\"cached_tokens\":4},"
		"\"completion_tokens_details\":{\"reasoning_tokens\":2}",
	};
	cr_expect_eq(status(&b), 200);
	for (size_t i = 0; i < sizeof once / sizeof *once; i++)
		cr_expect_eq(count(&b, once[i]), 1, "%s: %s", once[i], b.bytes);
	buf_free(&b);
	b = chat(r.port, SAY("rich"));
	cr_expect_eq(count(&b, "\"logprobs\":null"), 1, "%s", b.bytes);
	buf_free(&b);
	stop(&r);
}

Test(server, parts_and_choices_of_a_stream_are_deltas)
{
	struct running r = start((struct server_options){ 0 });
	struct buf b = chat(r.port, STREAM("rich choices=2 logprobs"));
	static const char *const once[] = {
		"{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},",
		"{\"index\":0,\"delta\":{\"reasoning_content\":\"hm \\\"1\\\"\","
		"\"reasoning\":\"hm \\\"1\\\"\"},\"finish_reason\":null}",
		"{\"index\":0,\"delta\":{\"content\":\"so\"},\"logprobs\":{\"content\":[" TOKEN(
			"so", "115,111") "],\"refusal\":null},",
		"{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_1\",\"type\":\"function\","
		"\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},",
		"{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},",
		"[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"},{\"index\":1,\"delta\":{},"
		"\"finish_reason\":\"stop\"}],\"seed\":9,\"hallmark\"",
	};
	for (size_t i = 0; i < sizeof once / sizeof *once; i++)
		cr_expect_eq(count(&b, once[i]), 1, "%s: %s", once[i], b.bytes);
	cr_expect_eq(count(&b, "data: {"), 2 + 8 + 1, "an empty piece is no event: %s", b.bytes);
	buf_free(&b);
	stop(&r);
}

Test(server, errors_have_their_status_and_hide_what_is_ours)
{
	struct running r = start((struct server_options){ 0 });
	expect_status(chat(r.port, "{}"), 400);
	expect_status(chat(r.port, ""), 400);
	expect_status(chat(r.port, SAY("unknown_field")), 400);
	expect_status(chat(r.port, "{\"model\":\"other\",\"messages\":[]}"), 404);
	expect_status(chat(r.port, SAY("broken")), 500);
	expect_status(chat(r.port, SAY("fail=1")), 500);
	struct buf b = chat(r.port, SAY("busy"));
	cr_expect_eq(status(&b), 503);
	cr_expect_eq(count(&b, "Retry-After: 1\r\n"), 1);
	buf_free(&b);
	b = chat(r.port, STREAM("fail=1"));
	cr_expect_eq(status(&b), 200);
	cr_expect_eq(count(&b, "data: {\"error\":{"), 1, "%s", b.bytes);
	cr_expect_eq(count(&b, "secret") + count(&b, "[DONE]"), 0);
	buf_free(&b);
	stop(&r);
}

Test(server, what_follows_a_request_is_never_answered)
{
	struct running r = start((struct server_options){ 0 });
	static const char *const raw[] = {
		"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n",
		(POST_KEEP
		 "Content-Length: 15\r\n\r\n{\"messages\":[]}GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"),
		"GET / HTTP/9.9\r\n\r\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
		for (int flags = 0; flags <= SHUT; flags++) {
			struct buf b = talk(r.port, raw[i], strlen(raw[i]), flags);
			cr_expect_eq(count(&b, "HTTP/1."), 1, "%zu: %s", i, b.bytes);
			cr_expect_eq(count(&b, "no such route"), 0, "%zu", i);
			buf_free(&b);
		}
	stop(&r);
}

/* A client may shut its sending side and still read: also while the answer takes long. */
Test(server, a_half_closed_client_gets_one_whole_answer)
{
	struct running r = start((struct server_options){ 0 });
	const char *body = SAY("pieces=3 first=1200");
	char raw[400];
	int n = snprintf(raw, sizeof raw, POST "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	expect_status(talk(r.port, raw, (size_t)n, SHUT), 200);
	body = STREAM("pieces=3 first=1200 pause=400");
	n = snprintf(raw, sizeof raw, POST "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	struct buf b = talk(r.port, raw, (size_t)n, SHUT);
	cr_expect_eq(count(&b, "data: [DONE]\n\n"), 1, "%s", b.bytes);
	cr_expect_eq(count(&b, "\"finish_reason\":\"stop\""), 1, "%s", b.bytes);
	buf_free(&b);
	stop(&r);
}

/* read: as much of the answer as has come is taken first, so that the end is a polite one. */
static void leave_early(uint16_t port, const char *body, bool read)
{
	struct buf raw = { 0 };
	buf_printf(&raw, POST "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	int fd = dial(port);
	int before = atomic_load(&fake_counts.opened);
	put(fd, raw.bytes, raw.len);
	wait_for(&fake_counts.opened, before + 1);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[4096];
	while (read && poll(&p, 1, 300) == 1 && recv(fd, part, sizeof part, 0) > 0)
		;
	close(fd);
	buf_free(&raw);
}

Test(server, a_reader_that_leaves_ends_its_chat)
{
	struct running r = start((struct server_options){ 0 });
	int64_t begin = now_ms();
	leave_early(r.port, SAY("pieces=10000 pause=10"), false);
	wait_for(&fake_counts.aborted, 1);
	leave_early(r.port, STREAM("pieces=10000 pause=10"), false);
	wait_for(&fake_counts.aborted, 2);
	leave_early(r.port, SAY("pieces=3 first=30000"), false); /* also before its first token */
	wait_for(&fake_counts.aborted, 3);
	cr_expect_lt(now_ms() - begin, 3000);
	leave_early(r.port, STREAM("pieces=3 first=30000"), false); /* in a stream's silence */
	wait_for(&fake_counts.aborted, 4);
	leave_early(r.port, STREAM("pieces=3 first=30000"), true);
	wait_for(&fake_counts.aborted, 5);
	stop(&r);
}

Test(server, a_silent_stream_is_pinged_between_events)
{
	struct running r = start((struct server_options){ .ping_ms = 50 });
	struct buf b = chat(r.port, STREAM("pieces=2 first=400 pause=300"));
	cr_expect_geq(count(&b, ": ping\n\n"), 6, "%s", b.bytes);
	cr_expect_eq(count(&b, "data: [DONE]\n\n"), 1);
	for (const char *s = b.bytes; (s = strstr(s, ": ping")) != NULL; s++)
		cr_expect(s[-1] == '\n', "a ping inside an event");
	buf_free(&b);
	stop(&r);
}

Test(server, slow_heads_and_bodies_meet_a_deadline)
{
	struct running r =
		start((struct server_options){ .head_timeout_ms = 300, .body_timeout_ms = 300 });
	static const char head[] = "GET /health HTTP/1.1\r\nHo";
	expect_status(talk(r.port, head, sizeof head - 1, 0), 408);
	static const char body[] = POST "Content-Length: 100\r\n\r\n{";
	expect_status(talk(r.port, body, sizeof body - 1, 0), 408);
	expect_status(talk(r.port, body, sizeof body - 1, SHUT), 400);
	struct buf b = talk(r.port, "", 0, 0);
	cr_expect_eq(b.len, 1, "a silent connection is closed without a word");
	buf_free(&b);
	stop(&r);
}

Test(server, a_byte_at_a_time_is_fine_until_the_deadline)
{
	struct running r = start((struct server_options){ .head_timeout_ms = 600 });
	static const char raw[] = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct buf b = { 0 };
	int fd = dial(r.port);
	for (size_t i = 0; i < sizeof raw - 1; i++) {
		put(fd, raw + i, 1);
		usleep(1000);
	}
	get_all(fd, &b);
	cr_expect_eq(status(&b), 200);
	close(fd);
	buf_free(&b);
	int64_t begin = now_ms();
	fd = dial(r.port);
	for (int i = 0; i < 30; i++) {
		put(fd, "G", 1);
		usleep(50000);
	}
	get_all(fd, &b);
	cr_expect_eq(status(&b), 408, "%s", b.bytes);
	cr_expect_lt(now_ms() - begin, 4000);
	close(fd);
	buf_free(&b);
	stop(&r);
}

Test(server, ready_is_503_while_nothing_can_be_answered_and_health_is_not)
{
	struct running r = start((struct server_options){ 0 });
	expect_status(ask(r.port, "GET /ready", "", NULL), 200);
	atomic_store(&fake_counts.unready, 1);
	struct buf b = ask(r.port, "GET /ready", "", NULL);
	cr_expect(status(&b) == 503 && count(&b, "Retry-After: 1\r\n") == 1, "%s", b.bytes);
	cr_expect(count(&b, "{\"status\":\"unready\"}\n") == 1, "a stranger learns no more: %s", b.bytes);
	buf_free(&b);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	atomic_store(&fake_counts.unready, 0);
	expect_status(ask(r.port, "GET /ready", "", NULL), 200);
	int fd = dial(r.port);
	static const char half[] = "GET /ready HTTP/1.1\r\nHost: a\r\n";
	put(fd, half, sizeof half - 1);
	usleep(100000);
	server_stop(r.s);
	usleep(100000);
	put(fd, "\r\n", 2);
	b = get_one(fd, false);
	cr_expect_eq(status(&b), 503, "%s", b.bytes);
	buf_free(&b);
	close(fd);
	stop(&r);
}

Test(server, expect_continue_is_answered_once_and_only_when_waited_for)
{
	struct running r = start((struct server_options){ 0 });
	static const char head[] = POST "Expect: 100-continue\r\nContent-Length: 15\r\n\r\n";
	static const char body[] = "{\"messages\":[]}";
	struct buf b = { 0 };
	char first[64] = { 0 };
	int fd = dial(r.port);
	put(fd, head, sizeof head - 1);
	cr_expect_eq(recv(fd, first, 25, MSG_WAITALL), 25);
	cr_expect_str_eq(first, "HTTP/1.1 100 Continue\r\n\r\n");
	put(fd, body, sizeof body - 1);
	get_all(fd, &b);
	cr_expect_eq(status(&b), 200, "%s", b.bytes);
	close(fd);
	buf_free(&b);
	stop(&r);
}

Test(server, a_large_body_passes_and_a_larger_one_is_413)
{
	struct running r = start((struct server_options){ 0 });
	struct buf body = { 0 };
	buf_add_text(&body, "{\"messages\":\"");
	while (body.len < (8u << 20) - 2)
		buf_add_byte(&body, 'x');
	buf_add_text(&body, "\"}");
	expect_status(chat(r.port, body.bytes), 200);
	buf_add_byte(&body, ' ');
	expect_status(chat(r.port, body.bytes), 413);
	buf_free(&body);
	stop(&r);
}

Test(server, connections_beyond_the_limit_get_503)
{
	struct running r = start((struct server_options){ .connections_max = 2 });
	int held[2] = { dial(r.port), dial(r.port) };
	for (int i = 0; i < 2; i++) {
		static const char body[] = SAY("pieces=1 first=20000");
		char raw[300];
		snprintf(raw, sizeof raw, POST "Content-Length: %zu\r\n\r\n%s", sizeof body - 1, body);
		put(held[i], raw, strlen(raw));
		wait_for(&fake_counts.opened, i + 1);
	}
	struct buf b = ask(r.port, "GET /health", "", NULL);
	cr_expect_eq(status(&b), 503, "%s", b.bytes);
	cr_expect_eq(count(&b, "Retry-After: 1"), 1);
	buf_free(&b);
	close(held[0]);
	close(held[1]);
	wait_for(&fake_counts.aborted, 2);
	struct buf again = ask(r.port, "GET /health", "", NULL);
	for (int i = 0; i < 300 && status(&again) == 503; i++) {
		usleep(100000);
		buf_free(&again);
		again = ask(r.port, "GET /health", "", NULL);
	}
	expect_status(again, 200);
	stop(&r);
}

static void *talk_many(void *arg)
{
	struct running *r = arg;
	for (int i = 0; i < 12; i++) {
		struct buf b = chat(r->port,
				    i % 2 ? SAY("pieces=20 pause=1") : STREAM("pieces=20 pause=1"));
		cr_expect_eq(status(&b), 200, "%s", b.bytes);
		cr_expect_eq(count(&b, "p19"), 1);
		buf_free(&b);
	}
	return NULL;
}

Test(server, many_chats_at_once_do_not_mix)
{
	struct running r = start((struct server_options){ 0 });
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, talk_many, &r), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	stop(&r);
	cr_expect_eq(atomic_load(&fake_counts.ended), 96);
	cr_expect_eq(atomic_load(&fake_counts.aborted), 0);
}

static void *read_stream(void *arg)
{
	struct running *r = arg;
	struct buf *b = malloc(sizeof *b);
	*b = chat(r->port, STREAM("pieces=10 pause=100"));
	return b;
}

Test(server, a_stop_lets_running_answers_end)
{
	struct running r = start((struct server_options){ 0 });
	pthread_t t;
	void *out;
	pthread_create(&t, NULL, read_stream, &r);
	wait_for(&fake_counts.opened, 1);
	int idle = dial(r.port); /* a connection that never speaks does not hold the stop up */
	stop(&r);
	pthread_join(t, &out);
	struct buf *b = out;
	cr_expect_eq(count(b, "data: [DONE]"), 1, "%s", b->bytes);
	cr_expect_eq(atomic_load(&fake_counts.drained), 1);
	close(idle);
	buf_free(b);
	free(b);
}

/* Half a head, and half a body: no request that an answer could belong to. */
Test(server, a_stop_does_not_wait_for_an_upload_that_stalls)
{
	struct running r = start((struct server_options){
		.drain_ms = 20000, .head_timeout_ms = 120000, .body_timeout_ms = 120000 });
	int head = dial(r.port), body = dial(r.port);
	put(head, "POST /v1/chat", 13);
	const char *text = POST "Content-Length: 100\r\n\r\n{";
	put(body, text, strlen(text));
	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL); /* it has read them */
	int64_t begin = now_ms();
	stop(&r);
	cr_expect_lt(now_ms() - begin, 15000, "not as long as an answer may take");
	close(head);
	close(body);
}

Test(server, a_stop_cuts_off_what_does_not_end)
{
	struct running r = start((struct server_options){ .drain_ms = 300 });
	pthread_t t;
	void *out;
	int64_t begin = now_ms();
	leave_early(r.port, SAY("pieces=100 pause=1"), false);
	pthread_create(&t, NULL, read_stream, &r);
	wait_for(&fake_counts.opened, 2);
	stop(&r);
	cr_expect_lt(now_ms() - begin, 3000);
	pthread_join(t, &out);
	struct buf *b = out;
	cr_expect_eq(count(b, "data: [DONE]"), 0);
	buf_free(b);
	free(b);
}

/* A client that takes nothing: the worker stops at the buffer's cap and the connection falls at the
 * stall limit. */
Test(server, a_reader_that_stalls_is_dropped)
{
	struct running r = start((struct server_options){ .stall_timeout_ms = 300 });
	struct buf raw = { 0 };
	const char *body = STREAM("pieces=1000000");
	buf_printf(&raw, POST "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	int fd = dial(r.port);
	put(fd, raw.bytes, raw.len);
	wait_for(&fake_counts.aborted, 1);
	close(fd);
	buf_free(&raw);
	stop(&r);
}

/* Sockets that fail at one call, counted over recv and send. */
struct faulty {
	struct net real;
	atomic_int calls, fail_at;
};

static ssize_t faulty_recv(void *ctx, int fd, void *out, size_t len, int flags)
{
	struct faulty *f = ctx;
	bool fails = atomic_fetch_add(&f->calls, 1) == atomic_load(&f->fail_at);
	return fails ? -EIO : f->real.recv(f->real.ctx, fd, out, len, flags);
}

static ssize_t faulty_send(void *ctx, int fd, const void *bytes, size_t len, int flags)
{
	struct faulty *f = ctx;
	bool fails = atomic_fetch_add(&f->calls, 1) == atomic_load(&f->fail_at);
	return fails ? -EIO : f->real.send(f->real.ctx, fd, bytes, len, flags);
}

Test(server, a_reader_that_sips_is_dropped_too)
{
	struct running r = start((struct server_options){ .stall_timeout_ms = 1500 });
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(r.port) };
	const char *body = STREAM("pieces=1000000");
	int few = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf raw = { 0 };
	char part[300];
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	buf_printf(&raw, POST "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	put(fd, raw.bytes, raw.len);
	for (int64_t end = now_ms() + 25000; now_ms() < end && atomic_load(&fake_counts.aborted) == 0;) {
		usleep(200000); /* always a little sooner than it would count as gone */
		cr_assert_geq(recv(fd, part, sizeof part, MSG_DONTWAIT), -1);
	}
	cr_expect_eq(atomic_load(&fake_counts.aborted), 1, "it is still being waited for");
	close(fd);
	buf_free(&raw);
	stop(&r);
}

Test(server, a_failing_socket_call_ends_only_its_connection)
{
	struct faulty f = { .real = net_system() };
	struct net net = f.real;
	net.ctx = &f;
	net.recv = faulty_recv;
	net.send = faulty_send;
	struct running r = start((struct server_options){ .net = &net });
	int cut = 0;
	for (int at = 0; at < 6; at++) {
		atomic_store(&f.fail_at, at);
		atomic_store(&f.calls, 0);
		struct buf b = chat(r.port, STREAM("pieces=4 pause=20"));
		cut += count(&b, "data: [DONE]") == 0;
		buf_free(&b);
		atomic_store(&f.calls, 1000);
		expect_status(ask(r.port, "GET /health", "", NULL), 200);
	}
	cr_expect_geq(cut, 3);
	stop(&r);
	cr_expect_eq(atomic_load(&fake_counts.opened),
		     atomic_load(&fake_counts.ended) + atomic_load(&fake_counts.aborted));
}

static ssize_t counted_send(void *ctx, int fd, const void *bytes, size_t len, int flags)
{
	struct faulty *f = ctx;
	atomic_fetch_add(&f->calls, 1);
	return f->real.send(f->real.ctx, fd, bytes, len, flags);
}

static int sends_of(struct faulty *f, const struct running *r, const char *body)
{
	atomic_store(&f->calls, 0);
	struct buf b = chat(r->port, body);
	cr_expect_eq(status(&b), 200);
	buf_free(&b);
	return atomic_load(&f->calls);
}

Test(server, an_answer_goes_out_whole_and_a_streams_head_and_end_with_its_events)
{
	struct faulty f = { .real = net_system() };
	struct net net = f.real;
	net.ctx = &f;
	net.send = counted_send;
	struct running r = start((struct server_options){ .net = &net });
	int few = sends_of(&f, &r, STREAM("pieces=1")), more = sends_of(&f, &r, STREAM("pieces=4"));
	cr_expect_eq(sends_of(&f, &r, SAY("pieces=4")), 1);
	cr_expect_eq(more - few, 3);
	cr_expect_eq(few, 3);
	stop(&r);
}

/* ---- what operators ask, at their socket ---- */

static bool says(struct buf b, int code, const char *what)
{
	bool ok = status(&b) == code && strstr(b.bytes, what);
	if (!ok)
		cr_log_error("expected %d and %s: %s", code, what, b.bytes);
	buf_free(&b);
	return ok;
}

Test(server, operators_are_answered_at_their_socket_and_nowhere_else)
{
	struct running r = start_with_admin((struct server_options){ 0 });
	expect_status(ask(r.port, "GET /admin/status", "", NULL), 404);
	expect_status(ask(r.port, "POST /admin/stop", "", "{\"reason\":\"r\"}"), 404);
	cr_expect(says(order("GET /admin/status", "", NULL), 200, "\"models\""));
	cr_expect(says(order("POST /v1/chat/completions", "", "{}"), 404, ""));
	cr_expect(says(order("POST /admin/pause", "", "{\"reason\":\"drill\",\"as\":\"dpo\"}"), 200, "\"dpo, by "));
	cr_expect(says(order("POST /admin/resume", "", "{\"reason\":\"over\",\"model\":\"m\"}"), 200, "uid "));
	cr_expect(says(order("POST /admin/drain", "", "{\"reason\":\"x\",\"model\":\"m\",\"wait_s\":7}"), 200,
		       "7000"));
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	stop(&r);
}

Test(server, orders_that_are_none_are_refused)
{
	static const struct {
		const char *body;
		int status;
		const char *what;
	} rows[] = {
		{ "{}", 400, "reason" },
		{ "[]", 400, "object" },
		{ "{\"reason\":\"r\",\"force\":true}", 400, "force" },
		{ "{\"reason\":7}", 400, "reason" },
		{ "{\"reason\":\"r\",\"model\":\"x\"}", 404, "no model" },
		{ "{\"reason\":\"r\",\"wait_s\":100000}", 400, "wait_s" },
		{ "{\"reason\":\"r\",\"as\":\"\"}", 400, "as" },
		{ "{\"reason\":", 400, "" },
	};
	struct running r = start_with_admin((struct server_options){ 0 });
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect(says(order("POST /admin/stop", "", rows[i].body), rows[i].status, rows[i].what), "row %zu",
			  i);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	stop(&r);
}

Test(server, a_stop_by_an_operator_ends_streams_with_an_error_and_then_the_server)
{
	struct running r = start_with_admin((struct server_options){ 0 });
	pthread_t t;
	void *out;
	pthread_create(&t, NULL, read_stream, &r);
	wait_for(&fake_counts.opened, 1);
	int64_t begin = now_ms();
	cr_expect(says(order("POST /admin/stop", "", "{\"reason\":\"drill\"}"), 200, "\"stop\""));
	pthread_join(t, &out);
	struct buf *b = out;
	cr_expect_eq(count(b, "[DONE]"), 0);
	cr_expect_eq(count(b, "stopped by an operator"), 1, "%s", b->bytes);
	pthread_join(r.thread, NULL);
	cr_expect_lt(now_ms() - begin, 5000);
	server_close(r.s);
	cr_expect_eq(atomic_load(&fake_counts.drained), 0, "the operator's record is the one");
	buf_free(b);
	free(b);
}

Test(server, policies_are_read_again_when_a_signal_a_file_or_an_operator_says_so)
{
	struct running r = start_with_admin((struct server_options){ .watch = true });
	cr_expect(says(order("POST /admin/reload", "", "{}"), 200, "\"operator\""));
	cr_expect_eq(atomic_load(&fake_counts.reloads), 1);
	server_reload(r.s);
	wait_for(&fake_counts.reloads, 2);
	atomic_store(&fake_counts.changed, 1);
	wait_for(&fake_counts.reloads, 3);
	atomic_store(&fake_counts.bad_policy, 1);
	cr_expect(says(order("POST /admin/reload", "", "{}"), 409, "\"ok\":false"));
	stop(&r);
}
