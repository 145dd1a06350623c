#include "server/routes.h"
#include "tests/server/talk.h"
#include "tests/server/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct running start_with(struct tokens *t)
{
	return start((struct server_options){ .access = t->access, .auth = SERVER_AUTH_TOKENS });
}

Test(server_routes, tokens_guard_every_route_but_health)
{
	struct tokens t;
	struct made good;
	char half[160], both[260];
	open_tokens(&t);
	struct running r = start_with(&t);
	make_token(&t, (struct access_grant){ .roles = "user" }, &good);
	snprintf(half, sizeof half, "%.40s\r\n", good.field);
	snprintf(both, sizeof both, "%sx-api-key: other\r\n", good.field);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	expect_status(ask(r.port, "GET /nothing", "", NULL), 404);
	char spaced[160];
	snprintf(spaced, sizeof spaced, "Authorization: Bearer   %s", strstr(good.field, "Bearer ") + 7);
	expect_status(ask(r.port, "GET /v1/models", spaced, NULL), 200);
	static const struct {
		const char *line, *body;
		int good;
	} rows[] = {
		{ "GET /v1/models", NULL, 200 },
		{ "GET /v1/receipts/chatcmpl-w-7", NULL, 200 },
		{ "POST /v1/chat/completions", SAY("hi"), 200 },
		{ "POST /v1/messages/count_tokens", "{}", 200 },
		{ "DELETE /v1/models", NULL, 405 },
	};
	const char *const bad[] = {
		"", "Authorization: Bearer \r\n", half, "Authorization: Bearer sesame2\r\n",
		"Authorization: Basic sesame\r\n", "Authorization: Bearer\r\n", "x-api-key: \r\n",
		"x-api-key: sesame\r\n", both,
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
			expect_status(ask(r.port, rows[i].line, bad[k], rows[i].body), 401);
		memcpy(good.field, "authorization: bearer", 21);
		expect_status(ask(r.port, rows[i].line, good.field, rows[i].body), rows[i].good);
		expect_status(ask(r.port, rows[i].line, good.key, rows[i].body), rows[i].good);
	}
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, a_token_made_or_revoked_counts_from_the_next_request_on)
{
	struct tokens t;
	struct made made;
	char raw[300];
	open_tokens(&t);
	struct running r = start_with(&t);
	expect_status(ask(r.port, "GET /v1/models", "Authorization: Bearer sesame\r\n", NULL), 401);
	make_token(&t, (struct access_grant){ .roles = "user" }, &made);
	snprintf(raw, sizeof raw, "GET /v1/models HTTP/1.1\r\nHost: a\r\n%s\r\n", made.field);
	int fd = dial(r.port);
	for (int i = 0; i < 3; i++) {
		say(fd, raw);
		struct buf b = get_one(fd, false);
		cr_expect_eq(status(&b), i == 2 ? 401 : 200, "%s", b.bytes);
		buf_free(&b);
		if (i == 1) { /* on a connection that was good so far */
			cr_assert_eq(access_token_revoke(t.store, made.grant.id, 5, true, NULL), 0);
			atomic_fetch_add(&t.changes, 1);
		}
	}
	cr_expect(is_closed(fd));
	close(fd);
	stop(&r);
	close_tokens(&t);
}

static const char *const every_method[] = { "GET", "POST", "DELETE", "HEAD" };

/* Whether the route takes the method, as a request line and body. */
static bool line_of(const struct route *route, size_t method, char line[200], const char **body)
{
	const char *m = every_method[method];
	snprintf(line, 200, "%s %s%s", m, route->path, route->is_prefix ? "x" : "");
	*body = strcmp(m, "POST") == 0 ? "{}" : NULL;
	return strcmp(m, route->method) == 0 || (strcmp(m, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Every row of the table, each with every method and with the tokens of all roles. */
Test(server_routes, every_route_is_401_without_a_token_403_with_another_role_and_405_else)
{
	static const char *const roles[] = { "user", "auditor", "monitor", "operator" };
	struct tokens t;
	struct made made[4];
	open_tokens(&t);
	struct running r = start_with(&t);
	for (size_t i = 0; i < 4; i++) {
		struct access_grant g = { .roles = "" };
		strcpy(g.roles, roles[i]);
		make_token(&t, g, &made[i]);
	}
	const struct route *route;
	for (size_t n = 0; (route = server_route_at(n)) != NULL; n++) {
		if (route->place == ROUTE_ADMIN || route->needs & ACCESS_OPEN)
			continue;
		for (size_t m = 0; m < 4; m++) {
			char line[200];
			const char *body;
			bool taken = line_of(route, m, line, &body);
			expect_status(ask(r.port, line, "", body), 401);
			for (size_t i = 0; i < 4; i++) {
				unsigned may;
				cr_assert_eq(access_roles_read(roles[i], &may, NULL), 0);
				struct buf b = ask(r.port, line, made[i].field, body);
				if (!(may & route->needs))
					cr_expect_eq(status(&b), 403, "%s %s: %s", roles[i], line, b.bytes);
				else if (!taken)
					cr_expect_eq(status(&b), 405, "%s %s: %s", roles[i], line, b.bytes);
				else
					cr_expect(status(&b) != 401 && status(&b) != 403 && status(&b) != 405,
						  "%s %s: %s", roles[i], line, b.bytes);
				buf_free(&b);
			}
		}
	}
	stop(&r);
	close_tokens(&t);
}

/* Who may connect there is the operator, by the kernel's word: nobody is asked for a token, and one
 * that is sent changes nothing. */
Test(server_routes, at_the_operators_socket_its_own_routes_are_taken_405_or_else_404)
{
	static const char *const fields[] = { "", "Authorization: Bearer sesame2\r\n" };
	struct tokens t;
	open_tokens(&t);
	struct running r = start_with_admin(
		(struct server_options){ .access = t.access, .auth = SERVER_AUTH_TOKENS });
	const struct route *route;
	size_t own = 0;
	for (size_t n = 0; (route = server_route_at(n)) != NULL; n++) {
		own += route->place == ROUTE_ADMIN;
		for (size_t m = 0; m < 8; m++) {
			char line[200];
			const char *body;
			bool taken = line_of(route, m % 4, line, &body);
			struct buf b = order(line, fields[m / 4], body);
			if (route->place == ROUTE_PUBLIC)
				cr_expect_eq(status(&b), 404, "%s: %s", line, b.bytes);
			else if (!taken)
				cr_expect_eq(status(&b), 405, "%s: %s", line, b.bytes);
			else /* an order without a reason is none, and this server goes on */
				cr_expect(status(&b) == 200 || status(&b) == 400, "%s: %s", line, b.bytes);
			buf_free(&b);
		}
		char line[200];
		snprintf(line, sizeof line, "GET %s%s", route->path, route->is_prefix ? "" : "y");
		expect_status(order(line, "", NULL), 404);
		snprintf(line, sizeof line, "GET %.*s", (int)strlen(route->path) - 2, route->path);
		expect_status(order(line, "", NULL), 404);
	}
	cr_expect_geq(own, 6);
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, what_is_the_operators_is_404_elsewhere_for_every_method_and_role)
{
	static const char *const roles[] = { "", "user", "auditor", "monitor", "operator", "admin" };
	struct tokens t;
	struct made made[6] = { 0 };
	open_tokens(&t);
	struct running r = start_with_admin(
		(struct server_options){ .access = t.access, .auth = SERVER_AUTH_TOKENS });
	for (size_t i = 1; i < 6; i++) {
		struct access_grant g = { .roles = "" };
		strcpy(g.roles, roles[i]);
		make_token(&t, g, &made[i]);
	}
	const struct route *route;
	for (size_t n = 0; (route = server_route_at(n)) != NULL; n++) {
		for (size_t m = 0; m < 24 && strncmp(route->path, "/admin/", 7) == 0; m++) {
			char line[200];
			const char *body;
			(void)line_of(route, m % 4, line, &body);
			expect_status(ask(r.port, line, made[m / 4].field, body), 404);
		}
	}
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, another_user_of_the_machine_is_no_operator)
{
	struct running r = start_with_admin((struct server_options){ 0 });
	expect_status(order("GET /admin/status", "", NULL), 200);
	pid_t other = geteuid() == 0 ? fork() : -1;
	if (other == 0)
		_exit(setresuid(65534, 65534, 65534) == 0 && !may_order() ? 0 : 1);
	int ended = 1;
	if (other > 0)
		cr_expect(waitpid(other, &ended, 0) == other && ended == 0, "it connected");
	stop(&r);
}

Test(server_routes, what_is_not_listed_is_404_and_what_needs_a_token_is_401_without)
{
	struct tokens t;
	open_tokens(&t);
	struct running r = start_with(&t);
	const struct route *route;
	size_t n = 0, open = 0;
	for (; (route = server_route_at(n)) != NULL; n++) {
		char line[200];
		snprintf(line, sizeof line, "%s %s%s", route->method, route->path, route->is_prefix ? "x" : "");
		expect_status(ask(r.port, line, "", strcmp(route->method, "POST") == 0 ? "{}" : NULL),
			      route->place == ROUTE_ADMIN     ? 404
			      : route->needs & ACCESS_OPEN ? 200
							   : 401);
		open += (route->needs & ACCESS_OPEN) != 0;
		/* a neighbour of each: longer, shorter, without the rest of a prefix */
		snprintf(line, sizeof line, "GET %s%s", route->path, route->is_prefix ? "" : "y");
		expect_status(ask(r.port, line, "", NULL), 404);
		snprintf(line, sizeof line, "GET %.*s", (int)strlen(route->path) - 2, route->path);
		expect_status(ask(r.port, line, "", NULL), 404);
		snprintf(line, sizeof line, "GET /x%s", route->path);
		expect_status(ask(r.port, line, "", NULL), 404);
	}
	cr_expect(n >= 4 && open == 2, "only /health and /ready are open");
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, what_a_route_needs_decides)
{
	static const struct access_caller user = { .id = "tok_u", .permissions = ACCESS_INFER,
						 .scopes = ACCESS_CHAT },
					  monitor = { .id = "tok_m", .permissions = ACCESS_METRICS },
					  nobody = { .permissions = ACCESS_INFER, .scopes = ACCESS_CHAT };
	static const struct {
		unsigned needs, scope;
		const struct access_caller *caller;
		int status;
	} rows[] = {
		{ ACCESS_OPEN, 0, NULL, 0 },
		{ ACCESS_OPEN, 0, &monitor, 0 },
		{ ACCESS_INFER, 0, NULL, 401 },
		{ ACCESS_INFER, 0, &user, 0 },
		{ ACCESS_INFER, 0, &monitor, 403 },
		{ ACCESS_INFER, ACCESS_CHAT, &user, 0 },
		{ ACCESS_INFER, ACCESS_MESSAGES, &user, 403 },
		{ ACCESS_INFER | ACCESS_METRICS, 0, &monitor, 0 },
		{ ACCESS_OPERATE, 0, &monitor, 403 },
		{ ACCESS_INFER, ACCESS_CHAT, &nobody, 0 },
		{ ACCESS_METRICS, 0, &nobody, 401 }, /* a token would do */
		{ 0, 0, &user, 403 }, /* a row that says nothing lets nobody in */
		{ 0, 0, NULL, 401 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(server_route_refuses(&(struct route){ .needs = rows[i].needs,
								   .scope = rows[i].scope },
						  rows[i].caller),
			     rows[i].status, "%zu", i);
}

static int ask_slowly(uint16_t port, const char *token, const char *body)
{
	struct buf raw = { 0 };
	int fd = dial(port);
	buf_printf(&raw, POST "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s", token,
		   strlen(body), body);
	put(fd, raw.bytes, raw.len);
	buf_free(&raw);
	return fd;
}

/* The body comes after the head, so that its caller is known before. */
static int ask_in_two(uint16_t port, const char *token, const char *body)
{
	char head[300];
	int fd = dial(port);
	snprintf(head, sizeof head, POST "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n", token,
		 strlen(body));
	say(fd, head);
	usleep(30000);
	say(fd, body);
	return fd;
}

Test(server_routes, places_are_shared_out_by_token_and_not_by_the_address_behind_which_all_are)
{
	static const char slow[] = SAY("pieces=1 first=1500"), brief[] = "{\"max_tokens\":5," MESSAGE("hi");
	struct tokens t;
	open_tokens(&t);
	put_token(&t, "sesame", "user");
	put_token(&t, "other", "user");
	struct running r = start((struct server_options){ .access = t.access, .requests_max = 8 });
	int fd[9], before = atomic_load(&fake_counts.opened);
	for (int i = 0; i < 6; i++)
		fd[i] = i % 2 ? ask_slowly(r.port, "sesame", slow) : ask_in_two(r.port, "sesame", slow);
	wait_for(&fake_counts.opened, before + 6);
	fd[6] = ask_slowly(r.port, "sesame", slow); /* the last place of a token is for what is short */
	struct buf b = get_one(fd[6], false);
	cr_expect_eq(status(&b), 503, "%s", b.bytes);
	buf_free(&b);
	fd[7] = ask_slowly(r.port, "other", slow); /* from the same address */
	wait_for(&fake_counts.opened, before + 7);
	fd[8] = ask_in_two(r.port, "sesame", brief);
	b = get_one(fd[8], false);
	cr_expect_eq(status(&b), 200, "%s", b.bytes);
	buf_free(&b);
	for (int i = 0; i < 9; i++)
		close(fd[i]);
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, limits_answer_429_and_say_when_to_ask_again)
{
	struct tokens t;
	struct made two, none, gone;
	open_tokens(&t);
	struct running r = start_with(&t);
	make_token(&t, (struct access_grant){ .roles = "user", .limits.requests_per_minute = 2 }, &two);
	make_token(&t, (struct access_grant){ .roles = "user", .limits.tokens_per_minute = 1 }, &none);
	make_token(&t, (struct access_grant){ .roles = "user", .limits.budget = 8 }, &gone);
	for (int i = 0; i < 3; i++) {
		struct buf b = ask(r.port, "GET /v1/models", two.field, NULL);
		cr_expect_eq(status(&b), i < 2 ? 200 : 429, "%s", b.bytes);
		cr_expect(strstr(b.bytes, "x-ratelimit-limit-requests: 2\r\n"), "%s", b.bytes);
		cr_expect(strstr(b.bytes, i == 0 ? "x-ratelimit-remaining-requests: 1\r\n"
						 : "x-ratelimit-remaining-requests: 0\r\n"), "%s", b.bytes);
		cr_expect_eq(count(&b, "Retry-After: 30\r\n") + count(&b, "Retry-After: 29\r\n"), i == 2, "%s",
			     b.bytes);
		cr_expect_eq(count(&b, "\"code\":\"rate_limit_exceeded\""), i == 2, "%s", b.bytes);
		buf_free(&b);
	}
	/* an answer has 8 tokens: 5 of the prompt, 3 drawn */
	for (int i = 0; i < 2; i++) {
		expect_status(ask(r.port, "POST /v1/chat/completions", none.field, SAY("hi")), i ? 429 : 200);
		expect_status(ask(r.port, "POST /v1/chat/completions", gone.field, STREAM("hi")), i ? 429 : 200);
	}
	expect_status(ask(r.port, "GET /v1/models", gone.field, NULL), 200); /* draws nothing */
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, answers_at_once_are_counted_and_a_stream_that_is_cut_short_gives_its_place_back)
{
	struct tokens t;
	struct made one;
	char raw[600];
	static const char body[] = STREAM("pieces=1000 pause=20");
	open_tokens(&t);
	struct running r = start_with(&t);
	make_token(&t, (struct access_grant){ .roles = "user", .limits.streams = 1 }, &one);
	int opened = atomic_load(&fake_counts.opened), aborted = atomic_load(&fake_counts.aborted);
	int fd = dial(r.port);
	snprintf(raw, sizeof raw, POST "%sContent-Length: %zu\r\n\r\n%s", one.field, strlen(body), body);
	say(fd, raw);
	wait_for(&fake_counts.opened, opened + 1);
	expect_status(ask(r.port, "POST /v1/chat/completions", one.field, SAY("hi")), 429);
	close(fd);
	wait_for(&fake_counts.aborted, aborted + 1);
	int last = 0;
	for (int i = 0; i < 100 && last != 200; i++) { /* the place comes back after the record */
		struct buf b = ask(r.port, "POST /v1/chat/completions", one.field, SAY("hi"));
		last = status(&b);
		buf_free(&b);
	}
	cr_expect_eq(last, 200);
	stop(&r);
	access_close(t.access);
	t.access = NULL;
	json_t *report;
	cr_assert_eq(access_usage_list(t.store, 0, INT64_MAX / 2, &report, NULL), 0);
	json_int_t refused = 0, requests = 0, drawn = 0;
	size_t i;
	json_t *row;
	json_array_foreach(json_object_get(report, "usage"), i, row) {
		refused += json_integer_value(json_object_get(row, "refused"));
		requests += json_integer_value(json_object_get(row, "requests"));
		drawn += json_integer_value(json_object_get(row, "completion_tokens"));
	}
	cr_expect(refused >= 1 && requests == 2, "%lld %lld", (long long)refused, (long long)requests);
	cr_expect(drawn >= 4, "3 of the whole answer, and those of the other: %lld", (long long)drawn);
	json_decref(report);
	close_tokens(&t);
}

Test(server_routes, scopes_models_and_policies_bind)
{
	struct tokens t;
	struct made made;
	static const struct {
		struct access_grant grant;
		int status, models;
	} rows[] = {
		{ { .roles = "user" }, 200, 1 },
		{ { .roles = "user", .scopes = "messages,tokenize" }, 403, 1 },
		{ { .roles = "user", .models = "x,m" }, 200, 1 },
		{ { .roles = "user", .models = "x" }, 403, 0 },
		{ { .roles = "user", .policy = "p" }, 200, 1 },
		{ { .roles = "user", .policy = "q" }, 403, 0 },
		{ { .roles = "auditor" }, 403, 0 },
	};
	open_tokens(&t);
	struct running r = start_with(&t);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		make_token(&t, rows[i].grant, &made);
		struct buf b = ask(r.port, "POST /v1/chat/completions", made.field, SAY("hi"));
		cr_expect_eq(status(&b), rows[i].status, "%zu: %s", i, b.bytes);
		buf_free(&b);
		b = ask(r.port, "GET /v1/models", made.field, NULL);
		cr_expect_eq(count(&b, "\"id\":\"m\""), rows[i].models, "%zu: %s", i, b.bytes);
		buf_free(&b);
	}
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, without_being_asked_nobody_may_infer_and_a_token_still_counts)
{
	struct tokens t;
	struct made monitor;
	open_tokens(&t);
	make_token(&t, (struct access_grant){ .roles = "monitor" }, &monitor);
	struct running r = start((struct server_options){ .access = t.access, .auth = SERVER_AUTH_NONE });
	expect_status(chat(r.port, SAY("hi")), 200);
	expect_status(ask(r.port, "GET /v1/models", "Authorization: Bearer unused\r\n", NULL), 200);
	expect_status(ask(r.port, "GET /v1/models", monitor.field, NULL), 403);
	stop(&r);
	r = start((struct server_options){ .access = t.access }); /* one was made */
	expect_status(ask(r.port, "GET /v1/models", "", NULL), 401);
	stop(&r);
	close_tokens(&t);
}

Test(server_routes, strangers_are_let_in_by_tokens_alone)
{
	struct tokens t;
	struct made made;
	struct err e = { 0 };
	struct server *s;
	open_tokens(&t);
	struct server_options o = { .listener = { { "http://0.0.0.0:0", false } },
				    .listeners = 1, .access = t.access };
	cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_DENIED);
	cr_expect(strstr(e.text, "token new"), "%s", e.text);
	o.auth = SERVER_AUTH_TOKENS;
	cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_DENIED);
	make_token(&t, (struct access_grant){ .roles = "user" }, &made);
	o.auth = SERVER_AUTH_NONE;
	cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_DENIED);
	o.auth = SERVER_AUTH_USUAL;
	cr_assert_eq(server_open(&s, NULL, &o, &e), 0, "%s", e.text);
	server_close(s);
	close_tokens(&t);
}
