/* Private to audit/: what is said at the door (door_message.c). */
#ifndef AUDIT_DOOR_MESSAGE_H
#define AUDIT_DOOR_MESSAGE_H

#include "audit/audit.h"
#include "base/limits.h"

#define DOOR_NAME "door"
#define DOOR_VERSION 1
#define DOOR_MESSAGE_BYTES (LIMIT_JSON_BYTES + MIB(1)) /* the largest record, in its frame */

enum door_call { DOOR_HELLO, DOOR_READY, DOOR_RESERVE, DOOR_APPEND, DOOR_ERASE, DOOR_STOP };

struct door_request {
	enum door_call call;
	uint64_t version;           /* HELLO */
	const char *command;        /* HELLO: "release create" */
	struct audit_record record; /* APPEND */
	const char *subject;        /* ERASE: or NULL, and then: */
	uint64_t index;
	const char *ground, *actor;
	/* What was read: owns all that the others point to. */
	json_t *message;
	struct audit_field *field;
};

/* A code below 0: the error that the call would have returned, with its sentence. */
struct door_reply {
	struct err err;
	char worker[17], host[17];    /* HELLO */
	uint64_t n;                   /* RESERVE */
	struct audit_receipt receipt; /* APPEND, ERASE, STOP */
};

int audit_door_request_write(const struct door_request *q, struct buf *out, struct err *e) MUST_USE;
/* ERR_INPUT: malformed. To be freed also then. */
int audit_door_request_read(const void *bytes, size_t len, struct door_request *out,
			    struct err *e) MUST_USE;
void audit_door_request_free(struct door_request *q);

int audit_door_reply_write(const struct door_reply *r, struct buf *out, struct err *e) MUST_USE;
int audit_door_reply_read(const void *bytes, size_t len, struct door_reply *out,
			  struct err *e) MUST_USE;

#endif
