#include "server/gate.h"
#include "server/routes.h"
#include "server/state.h"
#include "base/limits.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100 /* how soon a stop is noticed */
#define LIBRARY_POOL \
	KIB(192) /* a connection's memory in the library: a receipt travels in a header */

/* ---- threads ---- */

int64_t server_now_ms(const struct server *s) { return env_now_us(&s->env) / 1000; }

/* Signals belong to the thread that runs server_run. */
static void block_signals(sigset_t *before)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static bool start_detached(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	sigset_t before;
	block_signals(&before);
	bool ok = pthread_create(&thread, NULL, run, arg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok)
		pthread_detach(thread);
	return ok;
}

bool server_enter(struct server *s, unsigned *count, unsigned max, void *(*run)(void *), void *arg)
{
	pthread_mutex_lock(&s->lock);
	bool room = *count < max;
	*count += room;
	pthread_mutex_unlock(&s->lock);
	if (room && start_detached(run, arg))
		return true;
	if (room)
		server_leave(s, count);
	return false;
}

void server_leave(struct server *s, unsigned *count)
{
	pthread_mutex_lock(&s->lock);
	--*count;
	pthread_cond_broadcast(&s->fewer);
	pthread_mutex_unlock(&s->lock);
}

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

static int copy_tokens(struct server *s, const char *const *tokens, struct err *e)
{
	size_t count = 0;
	while (tokens && tokens[count])
		count++;
	s->tokens = calloc(count + 1, sizeof *s->tokens);
	if (!s->tokens)
		return err_set(e, ERR_NOMEM, "out of memory for tokens");
	for (; s->tokens_count < count; s->tokens_count++)
		TRY(digest_parse_hex(tokens[s->tokens_count], &s->tokens[s->tokens_count], e));
	return 0;
}

static unsigned or_default(unsigned value, unsigned fallback) { return value ? value : fallback; }

static void set_limits(struct server_options *l, const struct server_options *o)
{
	l->connections_max = or_default(o->connections_max, 64);
	l->head_timeout_ms = or_default(o->head_timeout_ms, 10000);
	l->body_timeout_ms = or_default(o->body_timeout_ms, 60000);
	l->stall_timeout_ms = or_default(o->stall_timeout_ms, 60000);
	l->ping_ms = or_default(o->ping_ms, 15000);
	l->drain_ms = or_default(o->drain_ms, 30000);
}

/* The library gets no listening socket, no deadlines of its own and no bytes of a client: the gate
 * has them all. Its error log stays off: it complains of TCP options on the gate's socket pairs. */
static int start_library(struct server *s, struct err *e)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;
	sigset_t before;
	block_signals(&before);
	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, routes_answer, s,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIBRARY_POOL,
				     MHD_OPTION_CONNECTION_LIMIT, s->limits.connections_max * 2 + 8,
				     MHD_OPTION_NOTIFY_COMPLETED, routes_completed, s,
				     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return s->daemon ? 0 : err_set(e, ERR_IO, "start libmicrohttpd: %s", strerror(errno));
}

static int open_parts(struct server *s, const struct server_options *o, struct err *e)
{
	if (o->connections_max > 10000)
		return err_set(e, ERR_INPUT, "connections: expected at most 10000, found %u",
			       o->connections_max);
	TRY(copy_tokens(s, o->token_sha256, e));
	TRY(listen_on(s, o->address, e));
	return start_library(s, e);
}

int server_open(struct server **out, struct serve_service *service, const struct server_options *o,
		struct err *e)
{
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory for the server");
	s->service = service;
	s->net = o->net ? *o->net : net_system();
	s->env = o->env ? *o->env : env_system();
	s->listen_fd = -1;
	set_limits(&s->limits, o);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->fewer, NULL);
	int r = open_parts(s, o, e);
	if (r < 0)
		server_close(s);
	else
		*out = s;
	return r;
}

const char *server_address(const struct server *s) { return s->address; }

/* ---- running ---- */

static void nap(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };
	nanosleep(&t, NULL);
}

static int accept_one(struct server *s, struct err *e)
{
	int ready = s->net.poll_in(s->net.ctx, s->listen_fd, TICK_MS);
	if (ready == -EINTR || ready == 0)
		return 0;
	if (ready < 0)
		return err_set(e, ERR_IO, "wait for connections: %s", strerror(-ready));
	int fd = s->net.accept(s->net.ctx, s->listen_fd);
	if (fd >= 0)
		gate_take(s, fd);
	else
		nap(fd == -EINTR || fd == -ECONNABORTED
			    ? 0
			    : 20); /* out of descriptors: some will be closed */
	return 0;
}

static bool is_quiet(struct server *s, int64_t wait_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += wait_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	int r = 0;
	pthread_mutex_lock(&s->lock);
	while (s->connections + s->chats > 0 && r == 0)
		r = pthread_cond_timedwait(&s->fewer, &s->lock, &until);
	bool quiet = s->connections + s->chats == 0;
	pthread_mutex_unlock(&s->lock);
	return quiet;
}

/* Running answers end by themselves, or after drain_ms at their next piece of text. */
static void drain(struct server *s)
{
	serve_service_drain(s->service);
	bool quiet = is_quiet(s, s->limits.drain_ms);
	atomic_store(&s->aborting, !quiet);
	while (!quiet)
		quiet = is_quiet(s, 1000);
}

int server_run(struct server *s, struct err *e)
{
	int r = 0;
	while (!atomic_load(&s->stopping) && r == 0)
		r = accept_one(s, e);
	atomic_store(&s->stopping, true);
	s->net.close(s->net.ctx, s->listen_fd);
	s->listen_fd = -1;
	drain(s);
	return r;
}

void server_stop(struct server *s) { atomic_store(&s->stopping, true); }

void server_close(struct server *s)
{
	if (!s)
		return;
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	if (s->listen_fd >= 0)
		s->net.close(s->net.ctx, s->listen_fd);
	pthread_cond_destroy(&s->fewer);
	pthread_mutex_destroy(&s->lock);
	free(s->tokens);
	free(s);
}
