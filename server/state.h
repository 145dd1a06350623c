/* Private: the open server, shared by accept loop, gate, routes and chats. */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include "base/digest.h"
#include "serve/serve.h"
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>

struct MHD_Daemon;

struct server {
	struct serve_service *service;
	struct net net;
	struct env env;
	struct server_options limits; /* with defaults filled in; its pointers are not used */
	struct digest *tokens;
	size_t tokens_count;
	char address[80];
	int listen_fd;
	struct MHD_Daemon *daemon;
	atomic_bool stopping; /* no new work */
	atomic_bool aborting; /* running answers are cut off too */
	pthread_mutex_t lock; /* of the two counts */
	pthread_cond_t fewer;
	unsigned connections, chats; /* threads that live: one a connection, one a chat */
};

/* Run on a detached thread with all signals blocked; counted in *count (under lock) until
 * server_leave. False when *count has reached max or no thread can be made. */
bool server_enter(struct server *s, unsigned *count, unsigned max, void *(*run)(void *), void *arg);
/* The thread's last act on the server. */
void server_leave(struct server *s, unsigned *count);

int64_t server_now_ms(const struct server *s);

#endif
