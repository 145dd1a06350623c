/* Private: the table of connections, and who has which.
 *
 * A connection that waits for its client belongs to no thread. An event on its descriptor, or its
 * deadline, lets one thread claim it; that thread alone uses it until it is put back or dropped. */
#ifndef SERVER_TABLE_H
#define SERVER_TABLE_H

#include "base/limits.h"
#include "server/connection.h"

/* Of one connection: a client that has more begins another. */
#define SERVER_KEY_PACE (UINT64_MAX - 1) /* of events: of no connection, but the timer of pace.h */
#define SERVER_REQUESTS_EACH 1000u
#define SERVER_TURNED_AWAY 1024u /* most connections beyond connections_max, to be told so */
#define SERVER_OPERATORS 16u     /* and for the operator */
#define SERVER_INTAKES 2048u     /* heads and bodies that are coming at once, of 41 KiB each */
#define SERVER_LIGHT 64u         /* requests without a body beyond requests_max */
#define SERVER_MOMENT_MS 250     /* that a new connection has for its first words */
#define SERVER_SHORT_TOKENS 64u  /* of answers for which the last places of an address are */
#define SERVER_CLOSING_MS 2000   /* for the client to end first: a reset could eat our last bytes */
#define SERVER_CUT_MS 2000       /* for answers that are cut off to say so */
#define SERVER_STOPPING_MS 2000  /* of a server that stops, for the rest of a head or a body */

int server_table_open(struct server *s, struct err *e) MUST_USE;

/* Drop what is left; also when server_table_open failed. */
void server_table_close(struct server *s);

/* A new connection, waiting for a head. It takes fd. Beyond the limits another that is of no use
 * is dropped for it, or it will be turned away; where the table is full it is closed. */
void server_table_add(struct server *s, const struct listener *l, int fd,
		      const struct net_peer *peer);

/* Drop a connection that is of no use, to make a descriptor free. */
bool server_table_make_room(struct server *s);

/* The connection of an event, claimed; NULL when the event is out of date. With the lock held. */
struct connection *server_table_claim(struct server *s, uint64_t key);

/* A connection that has waited too long, claimed, in *place before; NULL: there is none. Those that
 * have said nothing are dropped without a word, as are all when aborting. */
struct connection *server_table_overdue(struct server *s);

/* Let go of all that are between requests or have not begun one. True when none is open. */
bool server_table_drain(struct server *s);

/* Look at the clients of all requests that are worked on. */
void server_table_look(struct server *s);

/* Whether one that was turned away has a place after all, now that it has sent a whole request: of
 * another that has not. */
bool server_table_take_in(struct connection *c);

/* Bodies of more than 64 KiB take part in a sum that is bounded: what is asked in them takes many
 * times their bytes until it has been read, or refused for its length. Of that sum half at most is
 * of one origin. Count `bytes` of c's, of which some may be counted; false: too many are held
 * already. */
#define SERVER_BODY_SMALL KIB(64)
bool server_table_hold(struct connection *c, struct server_held *held, size_t bytes);
void server_table_let_go(struct server *s, struct server_held *held);

/* What a head is read into; to c->in. Where there are too many of them, one that has begun and has
 * not come to its end is dropped, of the origin that has most. NULL: out of memory. */
struct intake *server_table_intake(struct connection *c);

/* Count the request of a claimed connection as worked on, until it is put back or dropped. False:
 * there are requests_max already. *alone: no other worker waits for an event. */
bool server_table_begin_request(struct connection *c, bool *alone);

/* How many there are, by what they do. */
struct server_open_connections {
	unsigned idle, reading, working;
};
void server_table_count(struct server *s, struct server_open_connections *out);

/* The caller of the request is known now: where it has a token, that is whose places the request
 * takes. False: it has all of them already. */
bool server_table_share(struct connection *c);

/* Watch one again that was kept waiting (pace.h); with the lock held. It may be dropped. */
void server_table_watch(struct connection *c);

/* From the thread that has it: wait for the client again, or close. */
void server_table_put(struct connection *c, enum connection_place place);
void server_table_drop(struct connection *c);

#endif
