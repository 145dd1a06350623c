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
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	case 503:
		return "service_unavailable_error";
	default:
		return status >= 500 ? "server_error" : "invalid_request_error";
	}
}

/* Anthropic's; 529 is its own status for what HTTP calls 503. */
static const char *anthropic_type(int status)
{
	static const struct {
		int status;
		const char *type;
	} types[] = { { 401, "authentication_error" }, { 402, "billing_error" },
		      { 403, "permission_error" },     { 404, "not_found_error" },
		      { 408, "timeout_error" },        { 413, "request_too_large" },
		      { 429, "rate_limit_error" },     { 503, "overloaded_error" },
		      { 504, "timeout_error" },        { 529, "overloaded_error" } };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].status == status)
			return types[i].type;
	return status >= 500 ? "api_error" : "invalid_request_error";
}

static void add_text(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, ",\"%s\":", key);
	if (text && *text)
		text_json_string(out, text, strlen(text));
	else
		buf_add_text(out, "null");
}

static void anthropic_error(struct buf *out, const struct api_error *error)
{
	buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\"",
		   anthropic_type(error->status));
	add_text(out, "message", error->message);
	buf_add_byte(out, '}');
	add_text(out, "request_id", error->request_id);
	buf_add_byte(out, '}');
}

void api_error_json(struct buf *out, enum api_shape shape, const struct api_error *error)
{
	if (shape == API_MESSAGES) {
		anthropic_error(out, error);
		return;
	}
	buf_add_text(out, "{\"error\":{\"message\":");
	text_json_string(out, error->message, strlen(error->message));
	buf_printf(out, ",\"type\":\"%s\"", error_type(error->status));
	add_text(out, "param", error->param);
	add_text(out, "code", error->code);
	buf_add_text(out, "}}");
}
