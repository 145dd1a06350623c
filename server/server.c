#include "server/server.h"
#include "server/loop.h"
#include "server/table.h"
#include "base/limits.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int64_t server_now_ms(const struct server *s) { return env_steady_us(&s->env) / 1000; }

/* ---- opening ---- */

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "HOST:PORT" or "[HOST]:PORT" into host[64] without brackets. */
static int split_address(const char *text, char host[64], uint16_t *port, struct err *e)
{
	bool bracket = text[0] == '[';
	const char *begin = text + bracket;
	const char *end = bracket ? strchr(begin, ']') : strrchr(begin, ':');
	const char *colon = bracket && end ? end + 1 : end;
	uint64_t number;
	if (!end || *colon != ':' || end == begin || end - begin >= 64 ||
	    text_parse_u64(colon + 1, strlen(colon + 1), &number) < 0 || number > 65535)
		return err_set(
			e, ERR_INPUT,
			"listen address: expected HOST:PORT as in 127.0.0.1:8080, found \"%.100s\"",
			text);
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	*port = (uint16_t)number;
	if (!is_loopback(host))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: a non-loopback listener (%.64s): "
			       "listen on 127.0.0.1 and put a TLS proxy in front",
			       host);
	return 0;
}

static int listen_on(struct server *s, const char *address, struct err *e)
{
	char host[64];
	uint16_t port;
	TRY(split_address(address ? address : "127.0.0.1:8080", host, &port, e));
	s->listen_fd = s->net.listen(s->net.ctx, host, &port, e);
	if (s->listen_fd < 0)
		return s->listen_fd;
	const char *shown = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	snprintf(s->address, sizeof s->address, strchr(shown, ':') ? "[%s]:%u" : "%s:%u", shown,
		 (unsigned)port);
	return 0;
}

static unsigned or_default(unsigned value, unsigned fallback) { return value ? value : fallback; }

static void set_limits(struct server_options *l, const struct server_options *o)
{
	l->connections_max = or_default(o->connections_max, 256);
	l->address_connections_max =
		or_default(o->address_connections_max, l->connections_max - l->connections_max / 8);
	l->requests_max = or_default(o->requests_max, 64);
	l->head_timeout_ms = or_default(o->head_timeout_ms, 10000);
	l->body_timeout_ms = or_default(o->body_timeout_ms, 60000);
	l->idle_timeout_ms = or_default(o->idle_timeout_ms, 75000);
	l->long_bytes_max = o->long_bytes_max ? o->long_bytes_max : MIB(16);
	l->stall_timeout_ms = or_default(o->stall_timeout_ms, 60000);
	l->ping_ms = or_default(o->ping_ms, 15000);
	l->drain_ms = or_default(o->drain_ms, 30000);
	l->known = o->known;
	l->known_ctx = o->known_ctx;
}

static int open_parts(struct server *s, const struct server_options *o, struct err *e)
{
	if (o->connections_max > 10000 || o->requests_max > 10000)
		return err_set(e, ERR_INPUT, "connections and requests: at most 10000 each");
	TRY(listen_on(s, o->address, e));
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->stop_fd < 0 || s->end_fd < 0)
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
	s->listen_fd = s->epoll_fd = s->stop_fd = s->end_fd = -1;
	set_limits(&s->limits, o);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	int rc = open_parts(s, o, e);
	if (rc < 0)
		server_close(s);
	else
		*out = s;
	return rc;
}

const char *server_address(const struct server *s) { return s->address; }

int server_run(struct server *s, struct err *e) { return server_loop_run(s, e); }

void server_stop(struct server *s)
{
	atomic_store(&s->stopping, true);
	eventfd_write(s->stop_fd, 1);
}

void server_close(struct server *s)
{
	if (!s)
		return;
	const int fd[] = { s->epoll_fd, s->stop_fd, s->end_fd };
	server_table_close(s);
	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	if (s->listen_fd >= 0)
		s->net.close(s->net.ctx, s->listen_fd);
	pthread_cond_destroy(&s->ended);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
