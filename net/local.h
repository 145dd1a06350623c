/* Private: local sockets that a server listens at. */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

#include "base/err.h"

#include <stdint.h>

/* Listen at this path, mode 0600: as net's listen_local. */
int net_local_claim(const char *path, int *fd, struct err *e) MUST_USE;

/* Who is at the other end of a connection that came in. ERR_CONFLICT: neither this user nor root,
 * and this is not root either. */
int net_local_peer(int fd, uint32_t *uid, struct err *e) MUST_USE;

#endif
