#include "server/loop.h"
#include "server/listen.h"
#include "server/operate.h"
#include "server/table.h"
#include "server/tls.h"
#include "server/worker.h"
#include "serve/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100 /* real time, whatever clock the deadlines are read from */
#define WATCH_MS 1000
#define ACCEPTS_AT_ONCE 64

static void accept_some(struct server *s, const struct listener *l)
{
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct net_peer peer = { 0 };
		int fd = s->net.accept(s->net.ctx, l->fd, &peer);
		if (fd >= 0) {
			server_table_add(s, l, fd, &peer);
			continue;
		}
		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		/* Out of descriptors: one is made free, or some will be soon. */
		if (fd != -EAGAIN && !server_table_make_room(s))
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		return;
	}
}

static int64_t real_ms(void) { return env_wait_us() / 1000; }

static void tick(struct server *s)
{
	struct connection *late;
	if (s->limits.alive)
		s->limits.alive(s->limits.alive_ctx, atomic_load(&s->stopping));
	server_table_look(s);
	while ((late = server_table_overdue(s)) != NULL)
		server_worker_refuse(late, 408,
				     late->was == CONNECTION_WAITS_FOR_BODY
					     ? "the body took too long"
					     : "the head took too long");
}

/* Until a stop, or an error of the listening socket. */
static int serve_all(struct server *s, struct err *e)
{
	struct pollfd p[SERVER_LISTENERS_MAX + 1];
	for (unsigned i = 0; i <= s->listeners; i++)
		p[i] = (struct pollfd){ .fd = i < s->listeners ? s->listener[i].fd : s->stop_fd,
					.events = POLLIN };
	int64_t ticked = real_ms(), watched = ticked;
	tick(s);
	while (!atomic_load(&s->stopping)) {
		int64_t left = ticked + TICK_MS - real_ms();
		int n = poll(p, s->listeners + 1, left > 0 ? (int)left : 0);
		if (n < 0 && errno != EINTR)
			return err_errno(e, "wait for connections");
		for (unsigned i = 0; n > 0 && i < s->listeners; i++)
			if (p[i].revents)
				accept_some(s, &s->listener[i]);
		if (real_ms() - ticked >= TICK_MS) {
			tick(s);
			ticked = real_ms();
			if (ticked - watched >= WATCH_MS) {
				server_tls_watch(s);
				watched = ticked;
			}
		}
	}
	return 0;
}

/* The record of a drain, unless an operator's has led here. */
static void end_drain(struct serve_doing *d)
{
	struct err why = { 0 };
	json_t *report = NULL;
	if (d && serve_host_end(d, &report, &why) < 0)
		fprintf(stderr, "hallmark: the end is not recorded: %s\n", why.text);
	const char *error = json_string_value(json_object_get(report, "record_error"));
	if (error)
		fprintf(stderr, "hallmark: the end is not recorded: %s\n", error);
	json_decref(report);
}

/* Running answers end by themselves; after drain_ms, or when that is asked for, they are cut off,
 * and have a moment to say so; then whoever is still there is left. */
static void drain(struct server *s)
{
	static const struct serve_operation op = { .action = "drain",
						   .actor = "signal",
						   .discreet = true,
						   .reason = "the process was told to end" };
	int64_t cut = server_now_ms(s) + s->limits.drain_ms, abort = INT64_MAX;
	struct serve_doing *d = NULL;
	struct err why = { 0 };
	if (!atomic_load(&s->operated) && serve_host_begin(s->host, &op, &d, &why) < 0)
		fprintf(stderr, "hallmark: %s\n", why.text);
	tick(s);
	while (!server_table_drain(s)) {
		int64_t now = server_now_ms(s);
		if (abort == INT64_MAX && (now >= cut || atomic_load(&s->cutting))) {
			abort = now + SERVER_CUT_MS;
			if (d)
				serve_host_cut(d);
		}
		if (now >= abort)
			atomic_store(&s->aborting, true);
		tick(s);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	end_drain(d);
}

int server_loop_run(struct server *s, struct err *e)
{
	int rc = server_workers_start(s, e);
	if (rc == 0)
		rc = server_operate_start(s, e);
	if (rc == 0)
		rc = serve_all(s, e);
	atomic_store(&s->stopping, true);
	server_listen_end(s);
	drain(s);
	server_workers_end(s);
	server_operate_end(s);
	return rc;
}
