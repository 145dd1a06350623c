/* Private: one request of a connection whose head is complete and good. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include "server/connection.h"

enum request_end {
	REQUEST_KEEPS,    /* the connection is for another request */
	REQUEST_WAS_LAST, /* it is not, and has been told */
	REQUEST_BROKE,    /* nobody is there to read an answer */
};

/* Take the body, answer. */
enum request_end server_request_run(struct connection *c);

#endif
