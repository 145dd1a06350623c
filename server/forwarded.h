/* Private: for whom a proxy in front asks. */
#ifndef SERVER_FORWARDED_H
#define SERVER_FORWARDED_H

#include "server/connection.h"

#define SERVER_SHARE_ROOM 64

/* The proxies that are believed, out of the options. */
int server_forwarded_open(struct server *s, const struct server_options *o, struct err *e) MUST_USE;

bool server_forwarded_trusts(const struct server *s, const struct net_peer *peer);

/* Whose the request is of which the head is there: to c->client. */
void server_forwarded_read(struct connection *c);

/* Who shares places with others as a text: the address, or the /64 of one of IPv6, or a local
 * user. */
void server_forwarded_share(const struct connection *c, char out[SERVER_SHARE_ROOM]);

#endif
