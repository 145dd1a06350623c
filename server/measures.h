/* Private: what is counted of connections and requests. */
#ifndef SERVER_MEASURES_H
#define SERVER_MEASURES_H

#include "base/measure.h"

#include <stddef.h>

struct route;
struct server;

/* Why a connection was not taken, or not kept. */
enum server_refused {
	REFUSED_FULL,        /* closed without a word: the table is full */
	REFUSED_CONNECTIONS, /* 503: too many connections */
	REFUSED_REQUESTS,    /* 503: too many requests at once */
	REFUSED_EVICTED,     /* dropped, idle or slow, for another */
	REFUSED_LATE,        /* a deadline has passed: of a head, a body, the next request */
	REFUSED_HANDSHAKE,   /* TLS */
	REFUSED_REASONS,
};

/* What came of reading the policies again. */
enum server_reload {
	RELOAD_REPLACED,  /* one at least */
	RELOAD_UNCHANGED, /* none had changed */
	RELOAD_REFUSED,   /* as policies: none was replaced */
	RELOAD_FAILED,    /* could not be read, or recorded */
	RELOAD_RESULTS,
};

#define SERVER_ROUTES_MAX 64   /* rows of the route table that are told apart */
#define SERVER_STATUSES_MAX 32 /* of server_status_at */

struct server_measures {
	struct measure_counter paced; /* kept waiting: pace.h */
	struct measure_counter accepted, refused[REFUSED_REASONS];
	struct measure_counter reload[RELOAD_RESULTS];
	struct measure_counter bytes_in, bytes_out; /* of requests and answers, without TLS */
	/* The last row: no route, or no head. The last column: nobody was there to be answered. */
	struct measure_counter request[SERVER_ROUTES_MAX + 1][SERVER_STATUSES_MAX + 1];
};

/* One more of them. Any thread. */
void server_count_refused(struct server *s, enum server_refused why);

/* A request is over. route NULL: none was found; status 0: no answer. */
void server_count_request(struct server *s, const struct route *route, int status);

/* All that the server knows of itself, the process and what it serves. */
void server_measures_write(struct server *s, struct measure_writer *w);

#endif
