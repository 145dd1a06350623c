/* Private: whose the connections are. All of an origin share its places: an address of IPv4, the
 * /64 of one of IPv6 (a household or a machine has that many), a local user, or, for requests, who
 * a token stands for. With the server's lock held. */
#ifndef SERVER_ORIGIN_H
#define SERVER_ORIGIN_H

#include "server/connection.h"

/* How little a waiting connection is missed when another needs its place. */
enum origin_kind {
	ORIGIN_BETWEEN, /* has had its answer */
	ORIGIN_SILENT,  /* has said nothing yet */
	ORIGIN_BEGUN,   /* a head or a body is coming */
	ORIGIN_KINDS,
};

struct origin {
	struct origin *next; /* of the same bucket */
	struct origin_key key;
	unsigned open;                  /* connections */
	unsigned at_work;               /* requests */
	unsigned held;                  /* by somebody who is about to use it */
	size_t long_bytes;              /* of its bodies: server_table_hold */
	bool trusted;                   /* a proxy: all may come by it */
	unsigned waiting;               /* connections in kind[] */
	struct link by_waiting;         /* among those that have as many */
	struct link kind[ORIGIN_KINDS]; /* those that came first, first */
};

int server_origins_open(struct server *s, size_t connections, struct err *e) MUST_USE;
void server_origins_close(struct server *s);

struct origin_key server_origin_of(const struct net_peer *peer);

/* The one of this key, made if need be; NULL: out of memory. One that has neither a connection nor
 * a request, and that nobody holds, is to be given back. */
struct origin *server_origin_get(struct server *s, const struct origin_key *key);
void server_origin_give_back(struct server *s, struct origin *o);

/* Have c wait as this kind, behind those that do; one that is of it keeps its place. */
void server_origin_wait(struct connection *c, enum origin_kind kind);
void server_origin_leave(struct connection *c);

/* The connection that is missed least, from `least` on, and of those the one that came first. o: of
 * this one; NULL: of those that have most that wait. One that has just come gets a moment to say
 * what it wants, unless `asks`: the other has said it. NULL: none. */
struct connection *server_origin_least(struct server *s, struct origin *o, enum origin_kind least,
				       bool asks);

#endif
