/* Private: the person who asks. */
#ifndef SERVER_SUBJECT_H
#define SERVER_SUBJECT_H

#include "server/respond.h"

#define SUBJECT_ROOM 257

/* Whether this is a field's name, and none that has a meaning of its own. */
bool server_subject_header_ok(const char *name);

/* The name that the head of the request gives, into out; "": none. ERR_INPUT: it is given twice, or
 * is no name. ERR_DENIED: the caller may not say who asks. */
int server_subject_read(const struct exchange *x, char out[SUBJECT_ROOM], struct err *e) MUST_USE;

#endif
