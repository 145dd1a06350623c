/* Private: what the threads of connections, and those that work beside, spend for a client
 * (base/pace.h). While others' requests are worked on, one that has spent more than its share is
 * kept waiting: its connections are not watched until it may go on, so that no thread waits with
 * them; of those, one after another goes on. What is spent while an answer is made is the passes'
 * to share out, and not counted. */
#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include "server/connection.h"

/* By one thread, for the connection that it has. */
struct spent {
	int64_t since_us; /* of its processor time */
};

int server_pace_open(struct server *s, struct err *e) MUST_USE;

/* From the thread that has c: what it does from here on is its client's. *mine is valid while the
 * thread has it. */
void server_pace_on(struct connection *c, struct spent *mine);
/* Not what follows. more_us: was spent by others for it. */
void server_pace_off(struct connection *c, int64_t more_us);
/* Nor what has happened since: it was waited for. */
void server_pace_skip(struct connection *c);

/* Whose c is has become known; while no request of it is worked on. */
void server_pace_known(struct connection *c);

/* The timer has come: watch some that may go on. */
void server_pace_resume(struct server *s);

/* ---- with the server's lock held ---- */

/* What was spent until now is to be paid. */
void server_pace_settle(struct connection *c);

/* Whether c, which is put back, is kept waiting. */
bool server_pace_holds(struct connection *c);

#endif
