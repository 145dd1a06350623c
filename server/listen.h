/* Private: where the server listens. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include "server/state.h"

/* Bind and listen, at each or at none. */
int server_listen(struct server *s, const struct server_options *o, struct err *e) MUST_USE;

/* Take no more connections. Once is enough. */
void server_listen_end(struct server *s);

#endif
