#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "api/api.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_calls(const json_t *calls)
{
	size_t i;
	json_t *call;
	json_array_foreach(calls, i, call) {
		const json_t *function = json_object_get(call, "function");
		check(json_is_string(json_object_get(call, "id")));
		check(json_string_length(json_object_get(function, "name")) > 0);
		check(json_is_object(json_object_get(function, "arguments")));
	}
}

static void check_messages(const struct api_request *r)
{
	size_t i;
	json_t *message;
	bool ids = json_is_array(r->prompt) && json_array_size(r->prompt) >= 1;
	check(json_array_size(r->messages) >= 1 || ids || json_is_string(r->prompt));
	check((r->form == API_COMPLETION) == (r->prompt != NULL));
	json_array_foreach(r->messages, i, message) {
		const json_t *content = json_object_get(message, "content");
		check(json_is_string(json_object_get(message, "role")));
		check(json_is_string(content));
		check(text_utf8_valid(json_string_value(content), json_string_length(content)));
		check_calls(json_object_get(message, "tool_calls"));
	}
}

static void check_sampling(const struct api_request *r)
{
	check(r->temperature >= 0 && r->temperature <= 2 && r->top_p >= 0 && r->top_p <= 1);
	check(r->min_p >= 0 && r->min_p <= 1 && r->tokens_max <= LIMIT_CONTEXT_TOKENS);
	check(r->n >= 1 && r->n <= 8 && r->repetition > 0 && r->top_logprobs <= 20);
	check(r->frequency >= -2 && r->frequency <= 2 && r->presence >= -2 && r->presence <= 2);
	check(r->stop_count <= API_STOPS && r->ban_count <= API_BANS && r->stop_ids <= API_STOP_IDS);
	check(!r->usage_each || r->include_usage);
	check(r->bias_count <= API_BIASES && (!r->include_usage || r->stream));
	for (size_t i = 0; i < r->stop_count; i++)
		check(r->stop[i][0]);
	for (size_t i = 0; i < r->ban_count; i++)
		check(r->ban[i][0]);
	for (size_t i = 0; i < r->bias_count; i++)
		check(r->bias[i].bias >= -100 && r->bias[i].bias <= 100);
}

static void check_form(const struct api_request *r)
{
	check(json_array_size(r->tools) <= API_TOOLS);
	check(r->tool_choice != API_TOOLS_NAMED || (r->tool_name && r->tools));
	check(r->tool_choice != API_TOOLS_REQUIRED || r->tools);
	check(!r->constraint || r->constraint_field);
}

/* What is kept for a replay is taken again, and the same is kept of that. A schema that came as text and is
 * no JSON has no answer to replay. */
static void check_written(const struct api_request *r)
{
	struct buf once = { 0 }, twice = { 0 };
	struct api_request again = { 0 };
	struct err e = { 0 };
	int rc = api_request_write(r, &once, &e);
	check(rc == 0 || (rc == ERR_INPUT && r->constraint == API_CONSTRAINT_SCHEMA));
	if (rc < 0)
		return buf_free(&once);
	check(api_request_read_kept(r->shape, once.bytes, once.len, &again, &e) == 0);
	check(api_request_write(&again, &twice, &e) == 0);
	check(once.len == twice.len && memcmp(once.bytes, twice.bytes, once.len) == 0);
	api_request_free(&again);
	buf_free(&once);
	buf_free(&twice);
}

/* The first byte is the shape. What is accepted lies in its documented range; what is refused has a
 * sentence. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct api_request r = {0};
	struct err e = {0};
	enum api_shape shape = len ? (enum api_shape)(bytes[0] % API_SHAPES) : API_CHAT;
	size_t at = len > 0;
	int code = api_request_parse(shape, bytes + at, len - at, &r, &e);
	if (code == 0) {
		check(r.model && r.model[0]);
		check_sampling(&r);
		check_form(&r);
		check_messages(&r);
		check_written(&r);
	} else {
		check((code == ERR_INPUT || code == ERR_UNSUPPORTED) && e.text[0]);
	}
	api_request_free(&r);
	return 0;
}
