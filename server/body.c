/* A body is either so many bytes, or chunks:
 *
 *   body   = *chunk last
 *   chunk  = size CRLF data CRLF
 *   last   = 1*8 "0" CRLF CRLF
 *   size   = 1*8 hex digits, not 0; all sizes together at most 8 MiB
 *
 * Extensions (";" after a size) and trailers are refused: nobody here reads them, and they are
 * where two readers of one stream come to differ. */
#include "server/body.h"
#include "base/limits.h"

void server_body_start(struct body *b, const struct head *h)
{
	*b = (struct body){ .state = h->chunked      ? BODY_SIZE
				     : h->body_bytes ? BODY_COUNTED
						     : BODY_ENDED,
			    .left = h->body_bytes };
}

static enum body_result refuse(struct body *b, int status, const char *reason)
{
	b->status = status;
	b->reason = reason;
	return BODY_REFUSED;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum body_result take_size(struct body *b, char c)
{
	int value = hex_value(c);
	if (value >= 0 && b->digits == 8)
		return refuse(b, 400, "a chunk's size has more than 8 digits");
	if (value >= 0) {
		b->left = b->left * 16 + (uint64_t)value;
		b->digits++;
		return BODY_MORE;
	}
	if (c != '\r' || b->digits == 0)
		return refuse(b, 400, "malformed chunk size");
	b->total += b->left;
	if (b->total > LIMIT_REQUEST_BYTES)
		return refuse(b, 413, "the body is longer than 8 MiB");
	b->state = BODY_SIZE_LF;
	return BODY_MORE;
}

/* A byte of the framing. */
static enum body_result take_byte(struct body *b, char c)
{
	static const struct {
		char byte;
		enum body_state next;
	} rows[] = {
		[BODY_DATA_CR] = { '\r', BODY_DATA_LF },
		[BODY_DATA_LF] = { '\n', BODY_SIZE },
		[BODY_END_CR] = { '\r', BODY_END_LF },
		[BODY_END_LF] = { '\n', BODY_ENDED },
	};
	if (b->state == BODY_SIZE)
		return take_size(b, c);
	if (b->state == BODY_SIZE_LF) {
		if (c != '\n')
			return refuse(b, 400, "a line must end in CRLF");
		b->state = b->left ? BODY_DATA : BODY_END_CR;
		b->digits = 0;
		return BODY_MORE;
	}
	if (c != rows[b->state].byte)
		return refuse(b, 400,
			      b->state == BODY_END_CR ? "trailers are not taken"
						      : "a chunk does not end where its size says");
	b->state = rows[b->state].next;
	return b->state == BODY_ENDED ? BODY_WHOLE : BODY_MORE;
}

static size_t take_data(struct body *b, const char *bytes, size_t len, struct buf *out)
{
	size_t n = b->left < len ? (size_t)b->left : len;
	buf_add(out, bytes, n);
	b->left -= n;
	if (b->left == 0)
		b->state = b->state == BODY_COUNTED ? BODY_ENDED : BODY_DATA_CR;
	return n;
}

enum body_result server_body_take(struct body *b, const char *bytes, size_t len, size_t *used,
				  struct buf *out)
{
	enum body_result r = BODY_MORE;
	*used = 0;
	while (r == BODY_MORE && *used < len && b->state != BODY_ENDED) {
		if (b->state == BODY_COUNTED || b->state == BODY_DATA)
			*used += take_data(b, bytes + *used, len - *used, out);
		else
			r = take_byte(b, bytes[(*used)++]);
	}
	return r == BODY_MORE && b->state == BODY_ENDED ? BODY_WHOLE : r;
}
