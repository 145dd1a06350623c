/* Private: the threads that serve connections. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "server/connection.h"

/* Start the first. */
int server_workers_start(struct server *s, struct err *e) MUST_USE;
/* All connections have ended: wait for the workers to end. Fine without a start. */
void server_workers_end(struct server *s);

/* Answer a claimed connection with an error, and close. What does not fit into the socket's empty
 * buffer is not waited for. */
void server_worker_refuse(struct connection *c, int status, const char *reason);

#endif
