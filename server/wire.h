/* Private: the bytes of one connection, plain or through TLS. Nothing here waits. For the thread
 * that has the connection; while another may look at it (connection.h), with the connection's lock.
 */
#ifndef SERVER_WIRE_H
#define SERVER_WIRE_H

#include "server/connection.h"

/* A handshake that goes on. */
enum wire_shake {
	WIRE_SHAKEN, /* done: a head may come */
	WIRE_WAITS,  /* for the descriptor: c->writes says for what */
	WIRE_PLAIN,  /* the client speaks plain HTTP; it can be told so */
	WIRE_FAILED,
};
enum wire_shake server_wire_shake(struct connection *c);

/* As recv(2) and send(2) with MSG_DONTWAIT, and with -errno. */
ssize_t server_wire_recv(struct connection *c, void *out, size_t len) MUST_USE;
/* Of TLS, bytes that cannot be read yet count too, as they are. */
ssize_t server_wire_peek(struct connection *c, void *out, size_t len) MUST_USE;
ssize_t server_wire_send(struct connection *c, const void *bytes, size_t len) MUST_USE;

/* There are bytes of which no event will tell. */
bool server_wire_has_pending(const struct connection *c);

/* Nothing more will be sent. */
void server_wire_finish(struct connection *c);

/* What came behind the last answer is read and forgotten: -EAGAIN when there is no more now. */
ssize_t server_wire_forget(struct connection *c) MUST_USE;

/* Close the descriptor. politely: TLS is told that this is the end. */
void server_wire_close(struct connection *c, bool politely);

#endif
