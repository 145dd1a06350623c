/* Private: which pages of other origins may read what is answered (CORS). Without the option none
 * may, and nothing says so. Source: the Fetch standard, section 3.2. */
#ifndef SERVER_CORS_H
#define SERVER_CORS_H

#include "server/respond.h"

/* ERR_INPUT: not "*", and not a list of origins with commas between them. NULL is fine. */
int server_cors_check(const char *origins, struct err *e) MUST_USE;

/* What an answer to x says of it, appended to the fields of its head. */
void server_cors_add(const struct exchange *x, struct buf *out);

/* Whether x is a page's question before its request: it comes without a token. */
bool server_cors_asks(const struct exchange *x);
/* The answer to that; the route is listed. */
int server_cors_answer(struct exchange *x) MUST_USE;

#endif
