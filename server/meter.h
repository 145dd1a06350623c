/* Private: what a request's token may do and uses up. */
#ifndef SERVER_METER_H
#define SERVER_METER_H

#include "server/respond.h"

struct serve_chat;

/* Count a request of its address, before anybody asks who sends it, and one of its token. 0, 1: it
 * has been answered with 429, or a negative result of server_respond_error. */
int server_meter_address(struct exchange *x) MUST_USE;
int server_meter_request(struct exchange *x) MUST_USE;
/* As serve_caller.may_ask, of an exchange: ERR_UNAVAILABLE of the kind SERVER_RATE_LIMIT, which
 * is answered with 429, and when to ask again. */
#define SERVER_RATE_LIMIT "rate_limit_exceeded"
int server_meter_person(void *exchange, const char *handle, struct err *e) MUST_USE;
int server_meter_refuse_person(struct exchange *x, const struct api_error *error) MUST_USE;
/* A token that is known was refused. */
void server_meter_refused(const struct exchange *x);

/* One answer, from its request on. */
struct server_meter {
	struct access_token *token; /* NULL: nothing is counted */
	const char *model;          /* NULL: none has begun */
	const char *over;           /* why it has to end now; NULL: it has not */
	uint64_t prompt, completion;
	bool begun;
};
/* As server_meter_request: whether an answer may begin. */
int server_meter_begin(struct server_meter *m, struct exchange *x) MUST_USE;
/* What has been drawn since, also of an answer that is cut short. */
void server_meter_count(struct server_meter *m, const struct serve_chat *chat);
/* chat: NULL: none was opened. */
void server_meter_end(struct server_meter *m, const struct serve_chat *chat);

/* What is left of a minute, as OpenAI's servers say it. */
void server_meter_fields(struct buf *out, const struct access_state *s);

#endif
