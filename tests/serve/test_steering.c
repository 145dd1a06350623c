/* What a request says of the form of its answer: the table of what the rules are told. */
#include "base/limits.h"
#include "filters/filters.h"
#include "tests/serve/support.h"

#include <string.h>

#define TOOL(more, schema)                                                                      \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"" more ",\"parameters\":{" \
	"\"type\":\"object\",\"properties\":{\"a\":" schema "}}}}]"
#define PLAIN_TOOL TOOL("", "{\"type\":\"boolean\"}")
#define STRICT ",\"strict\":true"
#define SHAPED "{\"type\":\"string\",\"maxLength\":3}"
#define FORM(schema)                                                                            \
	",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":" schema "}}"

Test(serve_steering, tells_who_writes_and_whether_ends_are_fixed)
{
	static const struct {
		const char *more;
		unsigned steering;
	} rows[] = {
		{ "", 0 },
		{ PLAIN_TOOL, 0 },
		{ TOOL("", SHAPED), 0 },
		{ TOOL(STRICT, "{\"type\":\"boolean\"}"), FILTER_STEERED },
		{ TOOL(STRICT, SHAPED), FILTER_STEERED | FILTER_SHAPED },
		{ TOOL(STRICT, SHAPED) ",\"tool_choice\":\"none\"", 0 },
		{ PLAIN_TOOL ",\"tool_choice\":\"required\"", FILTER_STEERED },
		{ TOOL("", SHAPED) ",\"tool_choice\":\"required\"", FILTER_STEERED | FILTER_SHAPED },
		{ ",\"response_format\":{\"type\":\"json_object\"}", FILTER_STEERED },
		{ FORM("{\"type\":\"boolean\"}"), FILTER_STEERED },
		{ FORM(SHAPED), FILTER_STEERED | FILTER_SHAPED },
		{ FORM("{\"type\":\"boolean\"}") PLAIN_TOOL, FILTER_STEERED },
		{ FORM("{\"type\":\"boolean\"}") TOOL("", SHAPED), FILTER_STEERED | FILTER_SHAPED },
		{ FORM(SHAPED) PLAIN_TOOL, FILTER_STEERED | FILTER_SHAPED },
		{ ",\"response_format\":{\"type\":\"json_object\"}" TOOL("", SHAPED),
		  FILTER_STEERED | FILTER_SHAPED },
		{ ",\"guided_choice\":[\"a\"]", FILTER_STEERED | FILTER_SHAPED },
		{ ",\"bad_words\":[\"a\"]", FILTER_STEERED | FILTER_SHAPED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct api_request r = { 0 };
		struct err e = { 0 };
		struct buf body = { 0 };
		buf_printf(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}",
			   rows[i].more);
		cr_assert_eq(api_request_parse(API_CHAT, body.bytes, body.len, &r, &e), 0, "%s: %s", rows[i].more, e.text);
		cr_expect_eq(serve_steering(&r), rows[i].steering, "%s: %x", rows[i].more, serve_steering(&r));
		api_request_free(&r);
		buf_free(&body);
	}
}
