/* Private: the certificate that new connections get, read again when its files change. */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include "server/state.h"

/* Where the options name no certificate there is no TLS. */
int server_tls_open(struct server *s, const struct server_options *o, struct err *e) MUST_USE;
void server_tls_close(struct server *s);

/* What a new connection is to use; to be closed with net_tls_close. Any thread. */
struct net_tls *server_tls_share(struct server *s);

/* Once a second: read the files again if they have changed. */
void server_tls_watch(struct server *s);

#endif
