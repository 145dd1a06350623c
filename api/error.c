/* Errors as clients of the API know them. */
#include "api/api.h"
#include "base/text.h"

#include <string.h>

int api_error_status(int code)
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

void api_error_json(struct buf *out, int status, const char *message, const char *code)
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
