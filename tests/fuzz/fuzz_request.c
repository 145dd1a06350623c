#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "flow/request.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_messages(const struct flow_request *r)
{
	size_t i;
	json_t *message;
	check(json_array_size(r->messages) >= 1);
	json_array_foreach(r->messages, i, message) {
		const json_t *content = json_object_get(message, "content");
		check(json_object_size(message) == 2 && json_is_string(json_object_get(message, "role")));
		check(json_is_string(content));
		check(text_utf8_valid(json_string_value(content), json_string_length(content)));
	}
}

/* What is accepted lies in its documented range; what is refused has a sentence. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct flow_request r = {0};
	struct err e = {0};
	int code = flow_request_parse(bytes, len, &r, &e);
	if (code == 0) {
		check(r.model && r.model[0]);
		check(r.temperature >= 0 && r.temperature <= 2 && r.top_p > 0 && r.top_p <= 1);
		check(r.min_p >= 0 && r.min_p <= 1 && r.tokens_max <= LIMIT_CONTEXT_TOKENS);
		check(r.stop_count <= FLOW_REQUEST_STOPS && (!r.include_usage || r.stream));
		for (size_t i = 0; i < r.stop_count; i++)
			check(r.stop[i][0]);
		check_messages(&r);
	} else {
		check((code == ERR_INPUT || code == ERR_UNSUPPORTED) && e.text[0]);
	}
	flow_request_free(&r);
	return 0;
}
