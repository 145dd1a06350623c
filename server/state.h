/* Private: the open server, shared by the thread of server_run and the workers. */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include "serve/host.h"
#include "server/link.h"
#include "server/measures.h"
#include "server/server.h"
#include "base/limits.h"
#include "base/pace.h"

#include <pthread.h>
#include <stdatomic.h>

struct connection;
struct server_lines;

struct listener {
	int fd; /* -1: closed */
	bool admin, local, tls;
	char url[LIMIT_PATH_BYTES + 16];
};

/* Of a file, to see whether it has changed. */
struct tls_stamp {
	uint64_t ino;
	int64_t bytes, changed_ns;
};

#define SERVER_TLS_FILES 4
struct origin_key {
	uint64_t part[3];
};

/* Whose the connections are (origin.h). */
struct origins {
	struct origin **bucket;
	struct link *having;  /* [most + 1]: those that have so many waiting connections */
	size_t buckets, most; /* buckets: a power of two */
	size_t top;           /* none has more */
	uint64_t seed[2];
};

/* Addresses with the same first bits. */
#define SERVER_TRUSTED_MAX 16
struct net_block {
	struct net_peer peer;
	unsigned bits;
};

/* Connections that wait, by how long they may. */
enum table_ring { TABLE_HEADS, TABLE_BODIES, TABLE_IDLE, TABLE_CLOSING, TABLE_RINGS };

struct server_tls {
	char *file[SERVER_TLS_FILES]; /* certificate, key, client CA and CRL; NULL: none */
	pthread_mutex_t lock;         /* of what follows */
	size_t held;                  /* bytes of long bodies */
	struct net_tls *now;
	struct tls_stamp stamp[SERVER_TLS_FILES]; /* of what was read last */
	struct tls_stamp looked[SERVER_TLS_FILES];
};

struct server {
	struct serve_host *host;
	struct net net;
	struct env env;
	struct server_options
		limits; /* with defaults filled in; listener, tls, net, env are not used */
	struct listener listener[SERVER_LISTENERS_MAX];
	unsigned listeners;
	bool asks; /* every request needs a token */
	struct server_tls tls;
	int epoll_fd;
	int pace_fd;          /* a timer: those that were kept waiting may go on */
	int stop_fd, end_fd;  /* event counters: a stop was asked for; the workers are to end */
	atomic_bool stopping; /* no new work */
	atomic_bool operated; /* an operator has ended all answers, and that is recorded */
	atomic_bool cutting;  /* running answers are not waited for */
	atomic_bool aborting; /* running answers are cut off too */
	struct server_measures measures;
	struct server_lines *lines;
	struct serve_look look; /* of the thread that writes lines */
	pthread_t operator;     /* the thread of reloads (operate.c), and what it waits for */
	bool has_operator;
	int operate_fd;
	atomic_bool reload_asked, operate_ends;
	pthread_mutex_t lock;           /* of what follows */
	pthread_cond_t ended;           /* the last worker */
	struct connection *slot, *free; /* [slots], of which the first `used` ever were */
	unsigned slots, used;
	size_t held;          /* bytes of long bodies */
	unsigned intakes;     /* in use */
	struct intake *spare; /* a few that are not: the next request needs one */
	unsigned spares;
	struct link ring[TABLE_RINGS], work;
	struct origins origins;
	struct net_block trusted[SERVER_TRUSTED_MAX]; /* proxies (forwarded.h) */
	unsigned trusted_count;
	unsigned open, requests;   /* connections, and those whose request is worked on */
	unsigned workers, waiting; /* threads, and those of them that wait for an event */
	struct pace pace;          /* what clients have spent (pace.h) */
	struct link paced;         /* connections that are kept waiting for it */
};

int64_t server_now_ms(const struct server *s); /* steady */

#endif
