#include "server/reply.h"
#include "api/api.h"
#include "base/text.h"

#include <microhttpd.h>
#include <string.h>

void reply_raw(struct buf *out, int status, const char *message, bool without_body)
{
	struct buf body = { 0 };
	api_error_json(&body, status, message, NULL);
	buf_add_byte(&body, '\n');
	buf_printf(
		out,
		"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s\r\n",
		status, MHD_get_reason_phrase_for((unsigned)status), body.len,
		status == 503 ? "Retry-After: 1\r\n" : "",
		status == 405 ? "Allow: GET, POST\r\n" : "");
	if (!without_body)
		buf_add(out, body.bytes, body.len);
	out->failed |= body.failed;
	buf_free(&body);
}

void reply_common(struct MHD_Response *r, const char *content_type)
{
	MHD_add_response_header(r, "Content-Type", content_type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Connection", "close");
}

bool reply_body(struct MHD_Connection *c, int status, const char *content_type,
		const char *const *header, struct buf *body)
{
	struct MHD_Response *r = NULL;
	if (!body->failed)
		r = MHD_create_response_from_buffer(body->len, body->bytes, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		buf_free(body);
		return false;
	}
	*body = (struct buf){ 0 };
	reply_common(r, content_type);
	for (; header && header[0]; header += 2)
		MHD_add_response_header(r, header[0], header[1]);
	if (status == 503)
		MHD_add_response_header(r, "Retry-After", "1");
	bool ok = MHD_queue_response(c, (unsigned)status, r) == MHD_YES;
	MHD_destroy_response(r);
	return ok;
}

bool reply_error(struct MHD_Connection *c, int status, const char *message, const char *code,
		 const char *const *header)
{
	struct buf body = { 0 };
	api_error_json(&body, status, message, code);
	buf_add_byte(&body, '\n');
	return reply_body(c, status, "application/json", header, &body);
}
