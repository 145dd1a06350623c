/* A state folder with a service in it whose answerer is a script; chats run to their end. */
#ifndef TESTS_SERVE_SUPPORT_H
#define TESTS_SERVE_SUPPORT_H

#include "base/env.h"
#include "flow/home.h"
#include "serve/chat.h"
#include "tests/base/temp.h"
#include "tests/shared/script.h"

/* A rule of the output phases: "secret" is redacted, "bomb" blocks; "tea" in what comes in. */
extern const char served_rules[];

struct served {
	struct temp temp;
	int64_t time_us;
	struct random_seeded seed;
	struct env env;
	struct flow *flow;
	struct serve_host *host;
	struct serve_service *service; /* the only one of the host */
	struct script *script;
};
/* rules: policy TOML or NULL. */
void served_open(struct served *s, const char *rules);
void served_close(struct served *s);

/* What a chat gave, part by part. */
struct said {
	struct buf content[API_CHOICES], reasoning[API_CHOICES];
	struct buf calls[API_CHOICES];  /* NAME(ARGUMENTS) one after the other */
	struct buf tokens[API_CHOICES]; /* each followed by "|"; alternatives "/TEXT" behind it */
	struct buf ids;                 /* of the calls, each followed by " " */
	struct buf order;               /* the number of the choice of each piece with text */
	size_t pieces;
	int rc; /* SERVE_END or the error */
	struct err err;
	json_t *result;
	char record[96];
};
/* {"model":"m","messages":[...] MORE}, MORE with its leading comma. */
struct said served_say(struct served *s, const char *more);
/* The chat, opened and not run. */
int served_chat(struct served *s, const char *more, struct serve_chat **out, struct err *e);
void said_run(struct said *out, struct serve_chat *c);
void said_free(struct said *x);
/* An operator's action on all models; its report (new reference). */
json_t *served_operate(struct served *s, const char *action);
/* Its text; "" for none. */
const char *text_of(const struct buf *b);

/* The entry of the log that was written last (new reference). */
json_t *served_last(struct served *s);
/* Of the record that was written last: a field's value, or what was retained under a name, as
 * canonical text; until the next call. */
const char *served_field(struct served *s, const char *name);
const char *served_retained(struct served *s, const char *name);

#endif
