/* The door of the process that holds the lock: a local socket, HOME/door. Who comes through it is
 * a guest: a worker of this log, whose records are sealed, hooked, committed and published in the
 * same batches as the host's own. A connection is the lease of its worker: when it ends without a
 * stop record, a `lost` entry closes the worker's numbers.
 *
 * One thread takes connections, one serves each guest. At the end nobody new is let in; what a
 * guest has sent whole is still done and answered. */
#include "audit/door_message.h"
#include "audit/log_in.h"
#include "base/file.h"
#include "base/text.h"
#include "net/net.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUESTS_MAX 64
#define HELLO_MS 10000
#define PAUSE_MS 100 /* after nobody could be let in */
#define MESSAGE_MS 30000 /* from a request's first byte to its last; the same for a reply */

struct guest {
	struct audit_door *door;
	pthread_t thread;
	int fd; /* -1: the place is free */
	bool ended;
	struct log_worker worker;
};

struct audit_door {
	struct audit_log *log;
	int listener, wake;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	struct guest guest[GUESTS_MAX];
};

/* ---- one request ---- */

static int say_hello(struct guest *g, const struct door_request *q, struct door_reply *reply,
		     struct err *e)
{
	if (q->version != DOOR_VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "the process that writes to %.200s takes others' records in version %d "
			       "of its protocol, this program sends version %llu: use the same program",
			       g->door->log->home, DOOR_VERSION, (unsigned long long)q->version);
	strcpy(reply->worker, g->worker.id);
	strcpy(reply->host, g->door->log->self.id);
	return 0;
}

/* The log's own entries are not for guests, and a number counts once it is reserved. */
static int append_for(struct guest *g, const struct audit_record *r, struct audit_receipt *out,
		      struct err *e)
{
	struct audit_log *log = g->door->log;

	pthread_mutex_lock(&log->lock);
	bool reserved = r->n == AUDIT_NEXT || r->n < g->worker.next_n;
	pthread_mutex_unlock(&log->lock);
	if (!reserved)
		return err_set(e, ERR_INPUT, "record %llu was not reserved",
			       (unsigned long long)r->n);
	if (strcmp(r->type, "genesis") == 0 || strcmp(r->type, "lost") == 0)
		return err_set(e, ERR_INPUT, "a %s record is the log's own", r->type);
	return audit_worker_append(log, &g->worker, r, out, NULL, e);
}

static int carry_out(struct guest *g, const struct door_request *q, struct door_reply *reply,
		     struct err *e)
{
	struct audit_log *log = g->door->log;

	switch (q->call) {
	case DOOR_HELLO:
		return say_hello(g, q, reply, e);
	case DOOR_READY:
		return audit_log_ready(log, e);
	case DOOR_RESERVE:
		return audit_worker_reserve(log, &g->worker, &reply->n, e);
	case DOOR_APPEND:
		return append_for(g, &q->record, &reply->receipt, e);
	case DOOR_ERASE:
		return audit_worker_erase(log, &g->worker,
					  &(struct erase_request){ q->subject, q->index, q->ground,
								   q->actor },
					  &reply->receipt, e);
	case DOOR_STOP:
		return audit_worker_stop(log, &g->worker, &reply->receipt, e);
	}
	return err_set(e, ERR_UNSUPPORTED, "not available in this version");
}

/* A request that cannot be read is refused like any other; the connection goes on unless bytes are
 * missing. first: only hello is taken. */
static int serve_one(struct guest *g, bool first)
{
	struct buf bytes = { 0 }, answer = { 0 };
	struct door_request q = { .call = DOOR_HELLO };
	struct door_reply reply = { .n = 0 };
	struct err *e = &reply.err;
	int rc = net_message_receive(g->fd, DOOR_MESSAGE_BYTES, first ? HELLO_MS : -1, MESSAGE_MS,
				     &bytes, e);

	if (rc < 0)
		goto out;
	rc = audit_door_request_read(bytes.bytes ? bytes.bytes : "", bytes.len, &q, e);
	if (rc == 0 && first != (q.call == DOOR_HELLO))
		rc = err_set(e, ERR_INPUT, "hello comes first at the door, and once");
	if (rc == 0)
		rc = carry_out(g, &q, &reply, e);
	if (rc == 0)
		reply.err = (struct err){ 0 }; /* what was tried first may have left its sentence */
	else if (reply.err.code == 0)
		err_set(e, rc, "%s", err_name(rc));
	bool refused_at_first = first && rc < 0;
	rc = audit_door_reply_write(&reply, &answer, NULL);
	if (rc == 0)
		rc = net_message_send(g->fd, answer.bytes, answer.len, MESSAGE_MS, NULL);
	if (rc == 0 && refused_at_first)
		rc = ERR_INPUT;
out:
	audit_door_request_free(&q);
	buf_wipe(&bytes);
	buf_free(&answer);
	return rc;
}

/* ---- guests ---- */

static void *guest_main(void *arg)
{
	struct guest *g = arg;
	struct audit_log *log = g->door->log;
	struct err ignored;
	bool first = true;

	while (serve_one(g, first) == 0)
		first = false;
	/* Where this fails, the next opening closes the worker. */
	(void)!audit_workers_close(log, g->worker.id, &ignored);
	audit_numbers_free(&g->worker.numbers);
	shutdown(g->fd, SHUT_RDWR); /* it is closed when its place is needed */
	pthread_mutex_lock(&g->door->lock);
	g->ended = true;
	pthread_mutex_unlock(&g->door->lock);
	return NULL;
}

/* The signals of a program are its own threads' business. */
static int start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

static void reap(struct guest *g)
{
	pthread_join(g->thread, NULL);
	close(g->fd);
	*g = (struct guest){ .door = g->door, .fd = -1 };
}

/* A free place, or NULL; places of guests that left are made free. The acceptor's alone. */
static struct guest *find_place(struct audit_door *d)
{
	struct guest *place = NULL;

	for (size_t i = 0; i < GUESTS_MAX; i++) {
		struct guest *g = &d->guest[i];
		pthread_mutex_lock(&d->lock);
		bool ended = g->ended;
		pthread_mutex_unlock(&d->lock);
		if (ended)
			reap(g);
		if (!place && g->fd < 0)
			place = g;
	}
	return place;
}

static void refuse(int fd)
{
	struct door_reply reply = { .n = 0 };
	struct buf answer = { 0 };

	err_set(&reply.err, ERR_UNAVAILABLE, "%d commands write through this process already",
		GUESTS_MAX);
	if (audit_door_reply_write(&reply, &answer, NULL) == 0)
		(void)!net_message_send(fd, answer.bytes, answer.len, 0, NULL);
	buf_free(&answer);
	close(fd);
}

/* false: nobody could be, as where there are no descriptors left. */
static bool let_in(struct audit_door *d)
{
	struct guest *g;
	int fd;

	if (net_local_accept(d->listener, &fd, NULL) < 0)
		return false;
	g = find_place(d);
	if (!g) {
		refuse(fd);
		return true;
	}
	audit_worker_choose(d->log, &g->worker);
	pthread_mutex_lock(&d->lock);
	g->fd = fd;
	if (start_thread(&g->thread, guest_main, g) != 0) {
		close(fd);
		g->fd = -1;
	}
	pthread_mutex_unlock(&d->lock);
	return true;
}

static void *door_main(void *arg)
{
	struct audit_door *d = arg;

	for (;;) {
		struct pollfd p[2] = { { .fd = d->listener, .events = POLLIN },
				       { .fd = d->wake, .events = POLLIN } };
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return NULL;
		if (!let_in(d)) /* who waits still waits: poll would return at once */
			poll(&p[1], 1, PAUSE_MS);
	}
}

/* ---- opening and closing ---- */

static int open_sockets(struct audit_door *d, struct err *e)
{
	d->wake = eventfd(0, EFD_CLOEXEC);
	if (d->wake < 0)
		return err_errno(e, "the door of %s", d->log->home);
	return net_local_listen(d->log->home, DOOR_NAME, &d->listener, e);
}

static void free_door(struct audit_door *d)
{
	if (d->listener >= 0)
		close(d->listener);
	if (d->wake >= 0)
		close(d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int audit_door_open(struct audit_door **out, struct audit_log *log, struct err *e)
{
	struct audit_door *d = calloc(1, sizeof *d);

	*out = NULL;
	if (!d)
		return err_set(e, ERR_NOMEM, "out of memory");
	d->log = log;
	d->listener = d->wake = -1;
	pthread_mutex_init(&d->lock, NULL);
	for (size_t i = 0; i < GUESTS_MAX; i++)
		d->guest[i] = (struct guest){ .door = d, .fd = -1 };
	int rc = open_sockets(d, e);
	if (rc == 0 && start_thread(&d->thread, door_main, d) != 0)
		rc = err_set(e, ERR_NOMEM, "no thread for the door of %s", log->home);
	if (rc < 0) {
		free_door(d);
		return rc;
	}
	*out = d;
	return 0;
}

void audit_door_close(struct audit_door *d)
{
	char path[LIMIT_PATH_BYTES];
	const uint64_t one = 1;

	if (!d)
		return;
	if (file_join(path, d->log->home, DOOR_NAME, NULL) == 0)
		unlink(path);
	(void)!write(d->wake, &one, sizeof one);
	pthread_join(d->thread, NULL);
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (d->guest[i].fd >= 0)
			shutdown(d->guest[i].fd, SHUT_RD); /* after what has come */
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (d->guest[i].fd >= 0)
			reap(&d->guest[i]);
	free_door(d);
}
