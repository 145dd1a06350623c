/* Private: what the thread of server_run does. */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include "server/state.h"

/* Accept, watch the deadlines and look at clients whose answers take long, until a stop has been
 * asked for and every connection has ended. */
int server_loop_run(struct server *s, struct err *e) MUST_USE;

#endif
