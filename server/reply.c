#include "server/reply.h"
#include "base/text.h"

#include <microhttpd.h>
#include <string.h>

int reply_status(int code)
{
	switch (code) {
	case ERR_INPUT:
	case ERR_UNSUPPORTED:
		return 400;
	case ERR_DENIED:
		return 403;
	case ERR_NOTFOUND:
		return 404;
	case ERR_UNAVAILABLE:
		return 503;
	default:
		return 500;
	}
}

/* The names that OpenAI's clients know. */
static const char *error_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 503:
		return "service_unavailable_error";
	default:
		return status >= 500 ? "server_error" : "invalid_request_error";
	}
}

void reply_error_json(struct buf *out, int status, const char *message, const char *code)
{
	buf_add_text(out, "{\"error\":{\"message\":");
	text_json_string(out, message, strlen(message));
	buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":", error_type(status));
	if (code)
		text_json_string(out, code, strlen(code));
	else
		buf_add_text(out, "null");
	buf_add_text(out, "}}");
}

void reply_raw(struct buf *out, int status, const char *message, bool without_body)
{
	struct buf body = { 0 };
	reply_error_json(&body, status, message, NULL);
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
	reply_error_json(&body, status, message, code);
	buf_add_byte(&body, '\n');
	return reply_body(c, status, "application/json", header, &body);
}
