/* Private: one client's connection. It belongs to the thread that has claimed it (table.h), but for
 * the members behind its lock: while that thread waits for an answer, another one looks whether the
 * client still does. */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/head.h"
#include "server/link.h"
#include "server/state.h"

/* Results beside enum err_code. */
enum {
	CLIENT_GONE = -64, /* or the server stops: close without a word */
};

struct intake {
	struct intake *next_spare;
	size_t have;
	struct head head;
	char bytes[HEAD_BYTES_MAX];
};

enum connection_place {
	CONNECTION_FREE,           /* an empty slot of the table */
	CONNECTION_SHAKES_HANDS,   /* TLS; newly accepted, for its first byte */
	CONNECTION_WAITS_FOR_HEAD, /* for the rest of it, or, newly accepted, for its first byte */
	CONNECTION_WAITS_FOR_BODY, /* for the rest of it */
	CONNECTION_WAITS_FOR_REQUEST, /* for the next one */
	CONNECTION_CLOSING,           /* has had its last answer, waits for the client's end */
	CONNECTION_CLAIMED,           /* belongs to a thread */
};

/* Bytes of a long body that are counted (table.h), and whose. */
struct server_held {
	struct origin *by;
	size_t bytes;
};

struct connection {
	struct server *s;
	struct connection *next_free;
	struct link by_time; /* in the ring of those with its patience, or of those at work */
	struct link *ring;   /* that one; NULL: it does not wait */
	struct link by_kind; /* in a ring of its origin */
	unsigned kind;       /* enum origin_kind */
	struct origin *origin;
	struct origin *asker;             /* whose request is worked on; NULL: none is */
	uint32_t generation;              /* of the slot: counts its connections */
	enum connection_place place, was; /* was: before it was claimed */
	int64_t since_ms;                 /* it waits; for a body: since its first byte */
	int fd;
	struct net_tls_stream *tls;      /* NULL: plain, or nothing has come yet */
	bool writes;                     /* the handshake waits for room to write */
	const struct listener *listener; /* that it came by */
	struct net_peer peer;
	struct net_peer client; /* of the request: another where a proxy passes it on */
	bool turned_away;       /* beyond the limits: its request is answered with 503 */
	bool at_work;           /* counted in the server's requests */
	bool shortly;           /* has one of the last places of its address */
	unsigned requests;
	unsigned account;       /* of what is spent for its client (pace.h) */
	int64_t paid_us;        /* in advance */
	struct link by_pace;    /* among those that are kept waiting */
	struct spent *spent;    /* by the thread that has it; NULL: nobody counts */
	struct intake *in;      /* NULL until something has been read */
	struct exchange *asked; /* whose body is coming, or that is being answered; or NULL */

	pthread_mutex_t lock;      /* of what follows, and of writing */
	void (*cancel)(void *arg); /* ends what its thread waits for; NULL: it cannot be ended */
	void *cancel_arg;
	bool waiting;     /* its thread waits for an answer: look whether the client does too */
	bool ended;       /* the client sends no more: it is gone, or has only shut that side */
	bool gone;        /* the client, or the server cuts off */
	bool answering;   /* the head of an answer has been begun */
	size_t probed;    /* bytes of it that were sent ahead */
	const char *ping; /* into the silence of a stream; NULL: it is none */
	int64_t wrote_ms;
	int64_t waited_ms; /* for the client to take more of this answer */
	uint64_t taken;    /* bytes, since it let us wait first */
};

/* ---- for the thread that has it ---- */

/* All of it, or CLIENT_GONE: also when the client takes nothing for stall_timeout_ms. */
int server_connection_write(struct connection *c, const char *bytes, size_t len) MUST_USE;

/* The client has sent more than the request that is being answered, or has ended sending. */
bool server_connection_has_more(struct connection *c);

/* Have the client looked at until server_connection_attend. cancel (of arg; NULL: nothing yet) is
 * called, once and by any thread, when the client is gone or the server cuts off; at once when that
 * has happened already. */
void server_connection_await(struct connection *c, void (*cancel)(void *arg), void *arg);
void server_connection_attend(struct connection *c);

/* An answer begins: how many bytes of it have been sent ahead, and whether the client has ended
 * sending. */
size_t server_connection_begin(struct connection *c, bool *ended);

/* From here on the answer is a stream, in chunks or not, and its silence is filled with pings; or
 * no longer. */
void server_connection_stream(struct connection *c, bool chunked);
void server_connection_stream_end(struct connection *c);

/* ---- for the one that looks ---- */

/* Every 100 ms, at a claimed connection. */
void server_connection_look(struct connection *c);

#endif
