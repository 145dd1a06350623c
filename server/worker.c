/* All workers wait for events on the same set of descriptors; who gets one serves that connection
 * until it has nothing more to say. Reading a head or a body never blocks, so whoever sends slowly,
 * says nonsense or only holds a connection open costs no thread. Before a worker takes on a
 * request, which may take long, it sees to it that another one waits. No request is handed from one
 * thread to another: that would cost more than many an answer. */
#include "server/worker.h"
#include "server/forwarded.h"
#include "server/pace.h"
#include "server/request.h"
#include "server/request_line.h"
#include "server/respond.h"
#include "server/table.h"
#include "server/wire.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Workers that wait for as long as it takes. More of them end when nothing came for one in that
 * time, and not at once: those that a batch of records wakes together are all needed again. */
#define SPARE 16
#define SPARE_MS 1000
#define KEY_END UINT64_MAX

static void *work(void *arg);

/* Signals belong to the thread that runs server_run. */
static bool start_thread(struct server *s)
{
	pthread_t thread;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool ok = pthread_create(&thread, NULL, work, s) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok)
		pthread_detach(thread);
	return ok;
}

/* See to it that somebody waits for events. False: no thread can be made. */
static bool ensure_waiting(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	bool ok = s->waiting > 0;
	if (!ok && start_thread(s)) {
		ok = true;
		s->workers++;
		s->waiting++;
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

void server_worker_refuse(struct connection *c, int status, const char *reason)
{
	struct server *s = c->s;
	struct buf out = { 0 };
	if (c->asked) { /* its line tells */
		c->asked->answered = status;
		c->asked->reason = reason;
	} else {
		server_line_refused(c, status, reason);
	}
	server_respond_refusal(&out, s, status, reason,
			       c->in && strcmp(c->in->head.method, "HEAD") == 0);
	ssize_t n = out.failed ? -1 : server_wire_send(c, out.bytes, out.len);
	if (n >= 0 && n == (ssize_t)out.len) {
		server_wire_finish(c);
		server_table_put(c, CONNECTION_CLOSING);
	} else {
		server_table_drop(c);
	}
	buf_free(&out);
}

/* From here on this thread may have to wait: another one looks for events. Where no thread can be
 * made, nobody does until this one is done. whole: the request, with its body. False: refused. */
static bool may_work(struct connection *c, bool whole)
{
	bool alone = false;
	if ((whole && !server_table_take_in(c)) || !server_table_begin_request(c, &alone)) {
		server_count_refused(c->s, c->turned_away ? REFUSED_CONNECTIONS : REFUSED_REQUESTS);
		server_worker_refuse(c, 503,
				     c->turned_away ? "too many connections"
						    : "too many requests at once");
		return false;
	}
	if (alone)
		(void)ensure_waiting(c->s);
	return true;
}

/* What is to become of the connection. */
static void conclude(struct connection *c, enum request_end end)
{
	if (end == REQUEST_WAITS && server_wire_has_pending(c))
		end = server_request_take(c);
	if (end == REQUEST_WHOLE)
		end = server_request_answer(c);
	if (end == REQUEST_WAITS) {
		server_table_put(c, CONNECTION_WAITS_FOR_BODY);
	} else if (end == REQUEST_KEEPS) {
		server_table_put(c, CONNECTION_WAITS_FOR_REQUEST);
	} else if (end == REQUEST_WAS_LAST) {
		server_wire_finish(c);
		server_table_put(c, CONNECTION_CLOSING);
	} else {
		server_table_drop(c);
	}
}

/* A whole, good head; and perhaps its body. */
static void serve_request(struct connection *c)
{
	const struct head *h = &c->in->head;
	server_forwarded_read(c);
	server_pace_known(c);
	bool whole = !h->chunked && c->in->have >= h->bytes + h->body_bytes;
	if (may_work(c, whole))
		conclude(c, server_request_begin(c));
}

/* More of a body. Reading it is no work: nobody is kept waiting by a slow one. */
static void take_body(struct connection *c)
{
	enum request_end end = server_request_take(c);
	if (end != REQUEST_WHOLE || may_work(c, true))
		conclude(c, end);
}

/* More of a head, or its end. n: result of recv. */
static void take_head(struct connection *c, ssize_t n)
{
	struct intake *in = c->in;
	if (n == -EAGAIN || n == -EINTR) {
		server_table_put(c, c->was);
		return;
	}
	if (n < 0 || (n == 0 && in->have == 0)) {
		server_table_drop(c);
		return;
	}
	in->have += (size_t)n;
	enum head_result r = n ? server_head_check(&in->head, in->bytes, in->have) : HEAD_REFUSED;
	if (r == HEAD_OK)
		serve_request(c);
	else if (r == HEAD_MORE)
		server_table_put(c, CONNECTION_WAITS_FOR_HEAD);
	else
		server_worker_refuse(c, n ? in->head.status : 400,
				     n ? in->head.reason : "the head is cut short");
}

/* What comes after the last answer is read and forgotten. */
static void wait_for_end(struct connection *c)
{
	ssize_t n = server_wire_forget(c);
	if (n > 0 || n == -EAGAIN || n == -EINTR)
		server_table_put(c, CONNECTION_CLOSING);
	else
		server_table_drop(c);
}

/* False: the connection has been put back, or is no more. */
static bool shake_hands(struct connection *c)
{
	switch (server_wire_shake(c)) {
	case WIRE_SHAKEN:
		c->was = CONNECTION_WAITS_FOR_HEAD; /* its deadline is the handshake's */
		return true;
	case WIRE_WAITS:
		server_table_put(c, CONNECTION_SHAKES_HANDS);
		return false;
	case WIRE_PLAIN:
		server_count_refused(c->s, REFUSED_HANDSHAKE);
		server_worker_refuse(c, 400, "this port speaks TLS: ask with https://");
		return false;
	default:
		server_count_refused(c->s, REFUSED_HANDSHAKE);
		server_table_drop(c);
		return false;
	}
}

static void serve_event(struct connection *c)
{
	if (c->was == CONNECTION_SHAKES_HANDS && !shake_hands(c))
		return;
	if (c->was == CONNECTION_CLOSING) {
		wait_for_end(c);
		return;
	}
	if (c->was == CONNECTION_WAITS_FOR_BODY) {
		take_body(c);
		return;
	}
	c->in = c->in ? c->in : server_table_intake(c);
	if (!c->in) {
		server_worker_refuse(c, 503, "out of memory");
		return;
	}
	size_t have = c->in->have;
	take_head(c, server_wire_recv(c, c->in->bytes + have, sizeof c->in->bytes - have));
}

/* Wait for one event; the caller is among those that wait. False: it is one too many. */
static bool wait_for_event(struct server *s, bool spare, struct epoll_event *event)
{
	int n;
	do
		n = epoll_wait(s->epoll_fd, event, 1, spare ? SPARE_MS : -1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		event->data.u64 = KEY_END;
	if (n != 0)
		return true;
	pthread_mutex_lock(&s->lock);
	bool ends = s->waiting > SPARE;
	s->waiting -= ends;
	pthread_mutex_unlock(&s->lock);
	return !ends && wait_for_event(s, false, event);
}

/* Serve one event. False: the workers are to end, or are more than are of use. */
static bool work_once(struct server *s, bool *spare)
{
	struct epoll_event event;
	if (!wait_for_event(s, *spare, &event))
		return false;
	bool ends = event.data.u64 == KEY_END;
	bool resumes = !ends && event.data.u64 == SERVER_KEY_PACE;
	struct spent mine;
	if (resumes)
		server_pace_resume(s);
	pthread_mutex_lock(&s->lock);
	s->waiting--;
	struct connection *c = ends || resumes ? NULL : server_table_claim(s, event.data.u64);
	pthread_mutex_unlock(&s->lock);
	if (c) {
		server_pace_on(c, &mine);
		serve_event(c);
	}
	pthread_mutex_lock(&s->lock);
	*spare = s->waiting >= SPARE;
	s->waiting += !ends;
	pthread_mutex_unlock(&s->lock);
	return !ends;
}

static void *work(void *arg)
{
	struct server *s = arg;
	bool spare = false;
	while (work_once(s, &spare))
		;
	pthread_mutex_lock(&s->lock);
	if (--s->workers == 0)
		pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int server_workers_start(struct server *s, struct err *e)
{
	struct epoll_event ending = { EPOLLIN, { .u64 = KEY_END } };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->end_fd, &ending) < 0)
		return err_errno(e, "wait for connections");
	return ensure_waiting(s) ? 0 : err_set(e, ERR_IO, "no thread can be made");
}

void server_workers_end(struct server *s)
{
	eventfd_write(s->end_fd, 1); /* never read: it wakes them all */
	pthread_mutex_lock(&s->lock);
	while (s->workers > 0)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
