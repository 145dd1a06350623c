/* Private: short answers: JSON bodies and OpenAI error objects. */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include "base/buf.h"

struct MHD_Connection;
struct MHD_Response;

/* A whole HTTP/1.1 error response, for the gate; without_body for HEAD. */
void reply_raw(struct buf *out, int status, const char *message, bool without_body);

/* Fields that every answer carries. */
void reply_common(struct MHD_Response *r, const char *content_type);

/* Queue body (taken over and emptied) or an error. False when the connection should be dropped.
 * header: {name, value} pairs ended by NULL; may be NULL. */
bool reply_body(struct MHD_Connection *c, int status, const char *content_type,
		const char *const *header, struct buf *body);
bool reply_error(struct MHD_Connection *c, int status, const char *message, const char *code,
		 const char *const *header);

#endif
