/* Private: the gate between a client's socket and the library. */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

struct server;

/* Serve one request on the accepted socket, on its own thread, and close it. Takes the socket. */
void gate_take(struct server *s, int fd);

#endif
