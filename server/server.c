#include "server/server.h"
#include "server/lines.h"
#include "server/forwarded.h"
#include "server/listen.h"
#include "server/cors.h"
#include "server/loop.h"
#include "server/subject.h"
#include "server/table.h"
#include "server/tls.h"
#include "base/limits.h"
#include "serve/serve.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONNECTIONS_USUAL 16384u
#define CONNECTIONS_MOST 262144u
#define REQUESTS_MOST 10000u /* a thread each */
#define OTHER_FILES 200u     /* descriptors for logs, models, and the server itself */

int64_t server_now_ms(const struct server *s) { return env_steady_us(&s->env) / 1000; }

static unsigned or_default(unsigned value, unsigned fallback) { return value ? value : fallback; }

/* Descriptors are for connections, for those that are turned away, and for the rest of us. */
static unsigned usual_connections(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur < 2 * OTHER_FILES)
		return 64;
	rlim_t room = files.rlim_cur - OTHER_FILES;
	room = room > 2 * SERVER_TURNED_AWAY ? room - SERVER_TURNED_AWAY : room / 2;
	return room < CONNECTIONS_USUAL ? (unsigned)room : CONNECTIONS_USUAL;
}

static void set_limits(struct server_options *l, const struct server_options *o)
{
	l->connections_max = o->connections_max ? o->connections_max : usual_connections();
	l->address_connections_max =
		or_default(o->address_connections_max, l->connections_max - l->connections_max / 8);
	l->requests_max = or_default(o->requests_max, 320);
	l->head_timeout_ms = or_default(o->head_timeout_ms, 10000);
	l->body_timeout_ms = or_default(o->body_timeout_ms, 60000);
	l->idle_timeout_ms = or_default(o->idle_timeout_ms, 75000);
	l->long_bytes_max = o->long_bytes_max ? o->long_bytes_max : MIB(16);
	l->stall_timeout_ms = or_default(o->stall_timeout_ms, 60000);
	l->ping_ms = or_default(o->ping_ms, 15000);
	l->watch = o->watch;
	l->drain_ms = or_default(o->drain_ms, 30000);
	l->subject_header = o->subject_header;
	l->cors = o->cors;
	l->metrics = o->metrics;
	l->access = o->access;
	l->auth = o->auth;
	l->line_addresses = o->line_addresses;
	l->alive = o->alive;
	l->reloading = o->reloading;
	l->alive_ctx = o->alive_ctx;
}

static void look_at_host(void *arg)
{
	struct server *s = arg;
	serve_host_look(s->host, &s->look);
}

void server_lines_renew(struct server *s) { server_lines_reopen(s->lines); }

static int open_lines(struct server *s, const struct server_options *o, struct err *e)
{
	struct server_lines_options lines = {
		.where = o->request_log, .env = &s->env, .each_second = look_at_host, .ctx = s
	};
	return server_lines_open(&s->lines, &lines, e);
}

static int open_parts(struct server *s, const struct server_options *o, struct err *e)
{
	if (o->subject_header && !server_subject_header_ok(o->subject_header))
		return err_set(e, ERR_INPUT,
			       "the field that names persons: \"%.60s\" is no field of a request "
			       "that is free for that (X-Forwarded-User is)",
			       o->subject_header);
	if (o->connections_max > CONNECTIONS_MOST || o->requests_max > REQUESTS_MOST)
		return err_set(e, ERR_INPUT, "at most %u connections and %u requests at once",
			       CONNECTIONS_MOST, REQUESTS_MOST);
	TRY(server_cors_check(o->cors, e));
	TRY(open_lines(s, o, e));
	TRY(server_forwarded_open(s, o, e));
	TRY(server_tls_open(s, o, e));
	TRY(server_listen(s, o, e));
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->operate_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->stop_fd < 0 || s->end_fd < 0 || s->operate_fd < 0)
		return err_errno(e, "wait for connections");
	return server_table_open(s, e);
}

int server_open(struct server **out, struct serve_host *host, const struct server_options *o,
		struct err *e)
{
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory for the server");
	s->host = host;
	s->net = o->net ? *o->net : net_system();
	s->env = o->env ? *o->env : env_system();
	s->epoll_fd = s->pace_fd = s->stop_fd = s->end_fd = s->operate_fd = -1;
	set_limits(&s->limits, o);
	s->asks = o->auth == SERVER_AUTH_TOKENS ||
		  (o->auth == SERVER_AUTH_USUAL && o->access && access_count(o->access, false) > 0);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->tls.lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	int rc = open_parts(s, o, e);
	if (rc < 0)
		server_close(s);
	else
		*out = s;
	return rc;
}

/* What an answer took is kept for the next: by default each thread gives it back to the system, and
 * asks for it again, as soon as it is 128 KiB. */
static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, MIB(1));
	mallopt(M_TRIM_THRESHOLD, MIB(8));
}

int server_run(struct server *s, struct err *e)
{
	keep_memory();
	return server_loop_run(s, e);
}

void server_stop(struct server *s)
{
	atomic_store(&s->stopping, true);
	eventfd_write(s->stop_fd, 1);
}

void server_stop_now(struct server *s)
{
	atomic_store(&s->cutting, true);
	server_stop(s);
}

void server_close(struct server *s)
{
	if (!s)
		return;
	const int fd[] = { s->epoll_fd, s->pace_fd, s->stop_fd, s->end_fd, s->operate_fd };
	server_table_close(s);
	server_lines_close(s->lines); /* the table's end wrote lines */
	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	server_listen_end(s);
	server_tls_close(s);
	pthread_mutex_destroy(&s->tls.lock);
	pthread_cond_destroy(&s->ended);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
