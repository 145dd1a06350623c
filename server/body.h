/* Private: the body of a request, taken out of its framing as it comes. Pure. */
#ifndef SERVER_BODY_H
#define SERVER_BODY_H

#include "base/buf.h"
#include "server/head.h"

enum body_result { BODY_MORE, BODY_WHOLE, BODY_REFUSED };

enum body_state {
	BODY_COUNTED, /* Content-Length */
	BODY_SIZE,    /* of a chunk: in its digits */
	BODY_SIZE_LF,
	BODY_DATA,
	BODY_DATA_CR,
	BODY_DATA_LF,
	BODY_END_CR, /* after the last chunk, of size 0 */
	BODY_END_LF,
	BODY_ENDED,
};

struct body {
	enum body_state state;
	uint64_t left;   /* bytes of the body or of the chunk that are still to come */
	uint64_t total;  /* of the chunks begun so far */
	unsigned digits; /* of the open size */
	int status;      /* of a refusal: 400 or 413 */
	const char *reason;
};

/* An accepted head. */
void server_body_start(struct body *b, const struct head *h);

/* Take what belongs to the body out of the next bytes[0..len) and append it to out, which never
 * holds more than LIMIT_REQUEST_BYTES. *used: bytes that belong to the body and its framing; after
 * BODY_WHOLE what follows them belongs to no one yet. The result is the same however the bytes are
 * cut.  Source: RFC 9112, section 7.1, without extensions and trailers. */
enum body_result server_body_take(struct body *b, const char *bytes, size_t len, size_t *used,
				  struct buf *out);

#endif
