/* A guest: a process that writes through the door of the one that holds the lock. It reads the
 * databases and the published log like any reader; what it appends is sent to the host, which
 * numbers it as a worker of its own.
 *
 * One request at a time. The first that fails on the way ends it: of a request that was sent and
 * not answered nobody here knows whether it was recorded, and the sentence says so. */
#include "audit/door_message.h"
#include "audit/guest.h"
#include "net/net.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELLO_MS 10000
#define SEND_MS 30000
#define REPLY_MS 300000 /* the host's disk may be slow; an erasure writes keys.db anew */

struct audit_guest {
	char home[LIMIT_PATH_BYTES], worker[17], host[17];
	pthread_mutex_t turn; /* all below */
	int fd;
	bool gone, unsure; /* the host is; what it had in hand may have been recorded */
};

/* ---- asking ---- */

static int host_gone(struct audit_guest *g, bool sent, const struct err *why, struct err *e)
{
	g->gone = true;
	g->unsure = g->unsure || sent;
	if (sent)
		return err_set(
			e, ERR_UNAVAILABLE,
			"the process that writes to %.200s ended before it answered (%.120s): "
			"`hallmark audit list` tells whether this was recorded",
			g->home, why->text);
	return err_set(e, ERR_UNAVAILABLE,
		       "the process that writes to %.200s ended; nothing was recorded of this: run "
		       "the command again",
		       g->home);
}

static int exchange(struct audit_guest *g, const struct buf *request, int reply_ms,
		    struct door_reply *reply, struct err *e)
{
	struct buf answer = { 0 };
	struct err why = { 0 };
	int rc;

	if (g->gone || net_message_send(g->fd, request->bytes, request->len, SEND_MS, &why) < 0)
		return host_gone(g, false, &why, e);
	rc = net_message_receive(g->fd, DOOR_MESSAGE_BYTES, reply_ms, SEND_MS, &answer, &why);
	if (rc == 0)
		rc = audit_door_reply_read(answer.bytes ? answer.bytes : "", answer.len, reply,
					   &why);
	buf_free(&answer);
	if (rc < 0)
		return host_gone(g, true, &why, e);
	return reply->err.code < 0 ? err_set(e, reply->err.code, "%s", reply->err.text) : 0;
}

static int ask(struct audit_guest *g, const struct door_request *q, struct door_reply *reply,
	       struct err *e)
{
	struct buf request = { 0 };

	int rc = audit_door_request_write(q, &request, e);
	if (rc == 0 && request.len > DOOR_MESSAGE_BYTES)
		rc = err_set(e, ERR_INPUT, "a record of %zu bytes, the limit is %zu", request.len,
			     (size_t)DOOR_MESSAGE_BYTES);
	if (rc == 0) {
		pthread_mutex_lock(&g->turn);
		rc = exchange(g, &request, q->call == DOOR_HELLO ? HELLO_MS : REPLY_MS, reply, e);
		pthread_mutex_unlock(&g->turn);
	}
	buf_wipe(&request);
	return rc;
}

/* ---- coming and going ---- */

int audit_guest_enter(struct audit_guest **out, const char *home, const char *command,
		      struct err *e)
{
	struct door_request q = { .call = DOOR_HELLO, .version = DOOR_VERSION, .command = command };
	struct door_reply reply = { .n = 0 };
	int fd;

	TRY(net_local_connect(home, DOOR_NAME, &fd, e));
	struct audit_guest *g = calloc(1, sizeof *g);
	if (!g) {
		close(fd);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	strncpy(g->home, home, sizeof g->home - 1);
	g->fd = fd;
	pthread_mutex_init(&g->turn, NULL);
	int rc = ask(g, &q, &reply, e);
	if (rc < 0) {
		audit_guest_leave(g);
		return rc;
	}
	strcpy(g->worker, reply.worker);
	strcpy(g->host, reply.host);
	*out = g;
	return 0;
}

bool audit_guest_orphan(struct audit_guest *g)
{
	pthread_mutex_lock(&g->turn);
	bool orphan = g->gone && !g->unsure;
	pthread_mutex_unlock(&g->turn);
	return orphan;
}

void audit_guest_leave(struct audit_guest *g)
{
	if (!g)
		return;
	close(g->fd);
	pthread_mutex_destroy(&g->turn);
	free(g);
}

const char *audit_guest_worker(const struct audit_guest *g) { return g->worker; }
const char *audit_guest_host(const struct audit_guest *g) { return g->host; }

/* ---- calls ---- */

int audit_guest_ready(struct audit_guest *g, struct err *e)
{
	struct door_request q = { .call = DOOR_READY };
	struct door_reply reply = { .n = 0 };

	return ask(g, &q, &reply, e);
}

int audit_guest_reserve(struct audit_guest *g, uint64_t *n, struct err *e)
{
	struct door_request q = { .call = DOOR_RESERVE };
	struct door_reply reply = { .n = 0 };

	TRY(ask(g, &q, &reply, e));
	*n = reply.n;
	return 0;
}

int audit_guest_append(struct audit_guest *g, const struct audit_record *r,
		       struct audit_receipt *out, struct err *e)
{
	struct door_request q = { .call = DOOR_APPEND, .record = *r };
	struct door_reply reply = { .n = 0 };

	TRY(ask(g, &q, &reply, e));
	*out = reply.receipt;
	return 0;
}

int audit_guest_stop(struct audit_guest *g, struct audit_receipt *out, struct err *e)
{
	struct door_request q = { .call = DOOR_STOP };
	struct door_reply reply = { .n = 0 };

	TRY(ask(g, &q, &reply, e));
	*out = reply.receipt;
	return 0;
}

int audit_guest_erase(struct audit_guest *g, const struct erase_request *x,
		      struct audit_receipt *out, struct err *e)
{
	struct door_request q = { .call = DOOR_ERASE,
				  .subject = x->subject,
				  .index = x->index,
				  .ground = x->ground,
				  .actor = x->actor };
	struct door_reply reply = { .n = 0 };

	TRY(ask(g, &q, &reply, e));
	*out = reply.receipt;
	return 0;
}
