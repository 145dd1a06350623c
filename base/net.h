/* Sockets, injected: a test can serve bytes from memory, delay them, or fail each call in turn. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct net {
	int (*listen)(void *ctx, const char *address, uint16_t *port,
		      struct err *e);     /* fd; loopback only */
	int (*accept)(void *ctx, int fd); /* fd or -errno */
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
