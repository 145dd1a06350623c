/* Access: who asks. Tokens of 256 random bits of which only the SHA-256 is kept, the roles and
 * bindings they stand for, their limits, and what each has used. It knows base alone. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- what there is to allow ---- */

/* A bit each. A route names those of which one suffices; 0 lets nobody in. */
enum access_permission {
	ACCESS_INFER = 1u << 0,        /* ask the models, read one's own receipts */
	ACCESS_RECEIPTS_ALL = 1u << 1, /* read any receipt */
	ACCESS_METRICS = 1u << 2,
	ACCESS_OPERATE = 1u << 3, /* reload, stop, pause, drain */
	ACCESS_TOKENS = 1u << 4,  /* make and revoke tokens */
	ACCESS_OPEN = 1u << 5,    /* of a route alone: whoever asks, with a token or without */
};

/* Of what INFER allows: a token may be bound to some. A route that names none is for all. */
enum access_scope {
	ACCESS_CHAT = 1u << 0,
	ACCESS_COMPLETIONS = 1u << 1,
	ACCESS_RESPONSES = 1u << 2,
	ACCESS_MESSAGES = 1u << 3,
	ACCESS_TOKENIZE = 1u << 4, /* texts into tokens and back; templates */
	ACCESS_SCOPES_ALL = (1u << 5) - 1,
};

/* Roles are named sets of permissions: "user", "auditor", "monitor", "operator", "admin"; scopes
 * "chat", "completions", "responses", "messages", "tokenize". list: names with commas between them.
 * ERR_INPUT: one is none of these. */
int access_roles_read(const char *list, unsigned *permissions, struct err *e) MUST_USE;
int access_scopes_read(const char *list, unsigned *scopes, struct err *e) MUST_USE;

/* ---- who asks ---- */

#define ACCESS_ID_ROOM 24

struct access_token; /* a token in use: its limits and counts */

/* What a request's token stands for. */
struct access_caller {
	char id[ACCESS_ID_ROOM];    /* "tok_" and 16 hex digits; "": nobody said who they are */
	char handle[64];            /* printable; goes into the record of an answer; or "" */
	unsigned permissions;       /* of enum access_permission */
	unsigned scopes;            /* of enum access_scope */
	struct access_token *token; /* until access_close; NULL: none was asked for */
};

/* Whoever asks where no token is asked for: all models, nothing else. */
struct access_caller access_nobody(void);

#endif
