#include "tests/server/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/hallmark-listen.XXXXXX", path[80], unix_path[90];

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	snprintf(unix_path, sizeof unix_path, "unix:%s", path);
}

static void remove_dir(void) { cr_expect_eq(rmdir(dir), 0, "something is left in %s", dir); }

static struct buf ask_local(const char *line)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct buf out = { 0 };
	char raw[200];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(a.sun_path, path, strlen(path));
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	snprintf(raw, sizeof raw, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", line);
	say(fd, raw);
	get_all(fd, &out);
	buf_add_byte(&out, 0);
	close(fd);
	return out;
}

Test(server_listen, each_listener_has_the_routes_of_its_kind, .init = make_dir, .fini = remove_dir)
{
	struct running r = start((struct server_options){
		.listener = { { "127.0.0.1:0", false }, { unix_path, true }, { "127.0.0.2:0", false } },
		.listeners = 3 });
	cr_expect_str_eq(server_url(r.s, 1), unix_path);
	cr_expect(strncmp(server_url(r.s, 0), "http://127.0.0.1:", 17) == 0);
	cr_expect(strncmp(server_url(r.s, 2), "http://127.0.0.2:", 17) == 0);
	cr_expect_null(server_url(r.s, 3));
	expect_status(ask(r.port, "GET /v1/models", "", NULL), 200);
	expect_status(ask_local("GET /health"), 200);
	expect_status(ask_local("GET /v1/models"), 404);
	stop(&r);
}

Test(server_listen, a_public_unix_socket_has_the_public_routes, .init = make_dir, .fini = remove_dir)
{
	struct running r = start((struct server_options){
		.listener = { { "127.0.0.1:0", false }, { unix_path, false } }, .listeners = 2 });
	expect_status(ask_local("GET /v1/models"), 200);
	stop(&r);
}

Test(server_listen, all_listen_or_none_does, .init = make_dir, .fini = remove_dir)
{
	struct server *s = NULL;
	struct err e = { 0 };
	struct server_options o = { .listener = { { unix_path, false }, { "127.0.0.1:0", true } },
				    .listeners = 2 };
	cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_UNSUPPORTED, "an admin listener that all can reach");
	o.listener[1] = (struct server_listener){ unix_path, true };
	cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_CONFLICT, "twice the same");
	o.listeners = SERVER_LISTENERS_MAX + 1;
	cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_INPUT);
}

Test(server_listen, the_operator_is_answered_when_all_places_are_taken, .init = make_dir, .fini = remove_dir)
{
	struct running r = start((struct server_options){
		.listener = { { "127.0.0.1:0", false }, { unix_path, true } },
		.listeners = 2,
		.connections_max = 2,
		.requests_max = 1 });
	int fd[8], before = atomic_load(&fake_counts.opened);
	static const char slow[] = SAY("pieces=1 first=2000");
	char head[200];
	snprintf(head, sizeof head, POST "Content-Length: %zu\r\n\r\n", strlen(slow));
	fd[0] = dial(r.port);
	say(fd[0], head);
	say(fd[0], slow);
	wait_for(&fake_counts.opened, before + 1);
	for (int i = 1; i < 8; i++)
		fd[i] = dial(r.port);
	expect_status(ask_local("GET /health"), 200);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	stop(&r);
}
