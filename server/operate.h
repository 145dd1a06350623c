/* Private: reloads, asked for by a signal, a file that changed, or an operator. */
#ifndef SERVER_OPERATE_H
#define SERVER_OPERATE_H

#include "base/json.h"
#include "server/state.h"

/* The thread that waits for what asks; ended by server_operate_end. */
int server_operate_start(struct server *s, struct err *e) MUST_USE;
void server_operate_end(struct server *s);

/* As serve_host_reload, and all else that is read from files; and it says on stderr what has
 * changed, or why nothing has. Any thread. */
int server_reload_now(struct server *s, const char *by, json_t **report, struct err *e) MUST_USE;

#endif
