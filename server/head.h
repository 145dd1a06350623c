/* Private: the head of a request, checked byte by byte. Pure. */
#ifndef SERVER_HEAD_H
#define SERVER_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_BYTES_MAX 32768u /* request line, fields and blank line */
#define HEAD_TARGET_MAX 8192u
#define HEAD_FIELDS_MAX 100u

struct head_slice {
	const char *bytes; /* into the head; NULL: absent */
	size_t len;
};

/* Fields that mean something to us; each but the last four occurs at most once. */
enum head_field {
	HEAD_HOST,
	HEAD_LENGTH,
	HEAD_AUTHORIZATION,
	HEAD_API_KEY,
	HEAD_TYPE,
	HEAD_ORIGIN,
	HEAD_ASKS_METHOD, /* these two: of a page's question before its request */
	HEAD_ASKS_FIELDS,
	HEAD_TRANSFER,
	HEAD_EXPECT,
	HEAD_ENCODING,
	HEAD_CONNECTION,
	HEAD_REQUEST_ID, /* what the client calls the request */
	HEAD_ACCEPT,
	HEAD_FORWARDED_FOR, /* the last one */
	HEAD_FIELDS,
};

enum head_result { HEAD_OK, HEAD_MORE, HEAD_REFUSED };

/* Zero-initialise ({0}) before the first byte, or begin with server_head_start. */
struct head {
	int status;         /* of a refusal: 400, 405, 411, 413, 414, 415, 417, 431, 501 or 505 */
	const char *reason; /* of a refusal; static */
	char method[8];
	struct head_slice query; /* after the "?", as it was sent */
	bool http10, has_length, chunked, expects_continue;
	bool says_close, says_keep; /* options of Connection */
	uint64_t body_bytes;        /* Content-Length, <= LIMIT_REQUEST_BYTES */
	struct head_slice field[HEAD_FIELDS];
	size_t bytes;                   /* of the whole head, once it is complete */
	size_t line, scanned, lines;    /* start of the open line; bytes looked at; lines closed */
	char path[HEAD_TARGET_MAX + 1]; /* decoded once, without the query */
};

/* Zeros, but for what is written later: a head that is never sent touches little memory. */
void server_head_start(struct head *h);

/* Look at the first len bytes of a connection; called again with the same, longer buffer after
 * HEAD_MORE. A fault is reported with the line that holds it, without waiting for the rest; what
 * follows the head is not read. HEAD_OK: slices point into bytes. Never HEAD_MORE for len >=
 * HEAD_BYTES_MAX. Source: RFC 9112. */
enum head_result server_head_check(struct head *h, const char *bytes, size_t len);

/* How often a field of this name, in any case, stands in an accepted head of these bytes; *out is
 * the last. */
unsigned server_head_find(const struct head *h, const char *bytes, const char *name,
			  struct head_slice *out);

/* Whether the client would send another request on this connection. */
bool server_head_keeps_open(const struct head *h);

#endif
