/* Private: one request of a connection whose head is complete and good. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include "server/connection.h"

struct exchange;

enum request_end {
	REQUEST_KEEPS,    /* the connection is for another request */
	REQUEST_WAS_LAST, /* it is not, and has been told */
	REQUEST_BROKE,    /* nobody is there to read an answer */
	REQUEST_WAITS,    /* for the rest of its body */
	REQUEST_WHOLE,    /* to be answered, or refused with what was found wrong */
};

/* Decide by the head, and take what has come of the body: REQUEST_WHOLE with one that is empty. */
enum request_end server_request_begin(struct connection *c);

/* Take more of the body, without waiting: REQUEST_WAITS, REQUEST_WHOLE or REQUEST_BROKE. */
enum request_end server_request_take(struct connection *c);

/* A whole request: its answer, or its refusal. */
enum request_end server_request_answer(struct connection *c);

/* The body is not needed any more, or the whole request; what there is of it. */
void server_request_drop_body(struct exchange *x);
/* Nothing of the body is needed any more; what was made of it counts as held until it is
 * dropped. */
void server_request_free_body(struct exchange *x);
void server_request_drop(struct connection *c);

#endif
