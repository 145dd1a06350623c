#include "server/routes.h"
#include "tests/server/talk.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Who holds which token, while the server asks. */
struct tokens {
	const char *_Atomic name[2];
	atomic_int fails;
};

static int find_token(void *ctx, const struct digest *token, struct access_caller *out)
{
	struct tokens *t = ctx;
	if (atomic_load(&t->fails))
		return atomic_load(&t->fails);
	for (size_t i = 0; i < 2; i++) {
		const char *name = t->name[i];
		struct digest d = digest_of(name ? name : "", name ? strlen(name) : 0);
		if (name && memcmp(&d, token, sizeof d) == 0) {
			*out = access_nobody(NULL);
			snprintf(out->handle, sizeof out->handle, "token:%s", name);
			snprintf(out->id, sizeof out->id, "tok_%016zx", i);
			return 1;
		}
	}
	return 0;
}

static struct running start_with(struct tokens *t)
{
	return start((struct server_options){ .known = find_token, .known_ctx = t });
}

Test(server_routes, tokens_guard_every_route_but_health)
{
	struct tokens t = { .name = { "other", "sesame" } };
	struct running r = start_with(&t);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	expect_status(ask(r.port, "GET /nothing", "", NULL), 404);
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
	static const char *const bad[] = {
		"", "Authorization: Bearer \r\n", "Authorization: Bearer sesam\r\n",
		"Authorization: Bearer sesame2\r\n", "Authorization: Basic sesame\r\n", "Authorization: Bearer\r\n",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
			expect_status(ask(r.port, rows[i].line, bad[k], rows[i].body), 401);
		expect_status(ask(r.port, rows[i].line, "Authorization: bearer sesame\r\n", rows[i].body),
			      rows[i].good);
	}
	stop(&r);
}

Test(server_routes, a_token_made_or_revoked_counts_from_the_next_request_on)
{
	static const char raw[] = "GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sesame\r\n\r\n";
	struct tokens t = { 0 };
	struct running r = start_with(&t);
	expect_status(ask(r.port, "GET /v1/models", "Authorization: Bearer sesame\r\n", NULL), 401);
	t.name[0] = "sesame";
	int fd = dial(r.port);
	for (int i = 0; i < 3; i++) {
		say(fd, raw);
		struct buf b = get_one(fd, false);
		cr_expect_eq(status(&b), i == 2 ? 401 : 200, "%s", b.bytes);
		buf_free(&b);
		if (i == 1)
			t.name[0] = NULL; /* on a connection that was good so far */
	}
	cr_expect(is_closed(fd));
	close(fd);
	atomic_store(&t.fails, ERR_UNAVAILABLE);
	expect_status(ask(r.port, "GET /v1/models", "Authorization: Bearer sesame\r\n", NULL), 503);
	atomic_store(&t.fails, ERR_IO);
	expect_status(ask(r.port, "GET /v1/models", "Authorization: Bearer sesame\r\n", NULL), 500);
	expect_status(ask(r.port, "GET /health", "Authorization: Bearer sesame\r\n", NULL), 200);
	stop(&r);
}

Test(server_routes, what_is_not_listed_is_404_and_what_needs_a_token_is_401_without)
{
	struct tokens t = { 0 };
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
}

Test(server_routes, what_a_route_needs_decides)
{
	static const struct access_caller user = { .permissions = ACCESS_INFER, .scopes = ACCESS_CHAT },
					  monitor = { .permissions = ACCESS_METRICS };
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
	struct tokens t = { .name = { "other", "sesame" } };
	struct running r = start((struct server_options){ .known = find_token, .known_ctx = &t, .requests_max = 8 });
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
}
