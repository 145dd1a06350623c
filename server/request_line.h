/* Private: the line about one request, and its counting. */
#ifndef SERVER_REQUEST_LINE_H
#define SERVER_REQUEST_LINE_H

#include "server/respond.h"

/* Give the request its id and note when it began. */
void server_line_begin(struct exchange *x);

/* It is over, answered or not. Called once, by the thread that has its connection. */
void server_line_end(struct exchange *x);

/* One whose head was refused, or that was turned away before it was looked at. */
void server_line_refused(struct connection *c, int status, const char *reason);

#endif
