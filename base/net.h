/* Sockets, injected: a test can serve bytes from memory, delay them, or fail each call in turn. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who a connection comes from: IPv6, or IPv4 as ::ffff:a.b.c.d. */
struct net_peer {
	uint8_t address[16];
};

struct net {
	int (*listen)(void *ctx, const char *address, uint16_t *port,
		      struct err *e); /* fd; loopback only */
	/* fd or -errno: -EAGAIN when nobody waits; peer may be NULL */
	int (*accept)(void *ctx, int fd, struct net_peer *peer);
	ssize_t (*recv)(void *ctx, int fd, void *out, size_t len, int flags); /* recv(2), -errno */
	ssize_t (*send)(void *ctx, int fd, const void *bytes, size_t len,
			int flags);                         /* send(2), -errno */
	int (*poll_in)(void *ctx, int fd, int timeout_ms);  /* 1 ready, 0 timeout, -errno */
	int (*poll_out)(void *ctx, int fd, int timeout_ms); /* 1 ready, 0 timeout, -errno */
	void (*finish)(void *ctx, int fd);                  /* nothing more to send: FIN */
	void (*close)(void *ctx, int fd);
	void *ctx;
};

struct net net_system(void);

#endif
