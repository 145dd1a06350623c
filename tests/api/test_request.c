#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "api/api.h"

#include <criterion/criterion.h>
#include <string.h>

static int status_in(enum api_shape shape, const void *body, size_t len, struct api_request *r, struct err *e)
{
	switch (api_request_parse(shape, body, len, r, e)) {
	case 0:
		return 200;
	case ERR_INPUT:
	case ERR_UNSUPPORTED:
		return 400;
	default:
		return 500;
	}
}

static int status_of(const void *body, size_t len, struct api_request *r, struct err *e)
{
	return status_in(API_CHAT, body, len, r, e);
}

static void add_base64(struct buf *out, const json_t *o, const char *key, json_int_t times)
{
	const char *text = json_string_value(json_object_get(o, key));
	struct buf raw = { 0 };
	cr_assert(!text || text_unbase64(&raw, text, strlen(text)) == 0);
	while (text && times-- > 0)
		buf_add(out, raw.bytes, raw.len);
	buf_free(&raw);
}

static void payload(const json_t *row, struct buf *out)
{
	const json_t *g = json_object_get(row, "generate");
	if (!g) {
		add_base64(out, row, "body_b64", 1);
		return;
	}
	add_base64(out, g, "prefix_b64", 1);
	add_base64(out, g, "repeat_b64", json_integer_value(json_object_get(g, "count")));
	add_base64(out, g, "suffix_b64", 1);
}

/* Another model's name is flow's to refuse (404): here it is well formed. */
static bool is_expected(const json_t *row, int status)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(row, "status"), i, v) {
		if (json_integer_value(v) == status || (json_integer_value(v) == 404 && status == 200))
			return true;
	}
	return false;
}

Test(api_request, published_bodies_get_their_status)
{
	struct buf file = { 0 };
	struct err e = { 0 };
	cr_assert_eq(file_read("tests/vectors/http/http_bodies.jsonl", MIB(1), &file, &e), 0, "%s",
		     e.text);
	int rows = 0;
	for (char *line = strtok(file.bytes, "\n"); line; line = strtok(NULL, "\n"), rows++) {
		json_t *row;
		struct buf body = { 0 };
		struct api_request r = { 0 };
		cr_assert_eq(json_read(&row, line, strlen(line), MIB(1), 8, &e), 0, "%s", e.text);
		payload(row, &body);
		int status = status_of(body.bytes, body.len, &r, &e);
		cr_expect(is_expected(row, status), "%s: %d %s",
			  json_string_value(json_object_get(row, "what")), status, e.text);
		api_request_free(&r);
		buf_free(&body);
		json_decref(row);
	}
	cr_expect_eq(rows, 40);
	buf_free(&file);
}

#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define ONE(message) "{\"model\":\"m\",\"messages\":[" message "]}"
#define TOOL(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":{}}}"
#define CHOICE(name) \
	"\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"

static void expect_text(const json_t *row, const char *key, const char *got)
{
	const json_t *want = json_object_get(row, key);
	const char *text = json_is_string(want) ? json_string_value(want) : "";
	if (want)
		cr_expect_str_eq(got ? got : "", text, "%s: %s",
				 json_string_value(json_object_get(row, "name")), key);
}

/* What is kept of a request of any shape is read again as the same. */
static void expect_kept(const char *name, const struct api_request *r)
{
	struct buf once = { 0 }, twice = { 0 };
	struct api_request again = { 0 };
	struct err e = { 0 };
	cr_assert_eq(api_request_write(r, &once, &e), 0, "%s: %s", name, e.text);
	cr_expect_eq(api_request_read_kept(r->shape, once.bytes, once.len, &again, &e), 0, "%s: %s", name, e.text);
	cr_assert_eq(api_request_write(&again, &twice, &e), 0, "%s: %s", name, e.text);
	cr_expect_str_eq(once.bytes, twice.bytes, "%s", name);
	cr_expect_eq(again.shape, r->shape);
	cr_expect(json_equal(again.messages, r->messages), "%s", name);
	api_request_free(&again);
	buf_free(&once);
	buf_free(&twice);
}

static void try_row(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *says = json_string_value(json_object_get(row, "says"));
	const json_t *body = json_object_get(row, "body"), *noted = json_object_get(row, "noted");
	const char *shape = json_string_value(json_object_get(row, "shape"));
	const json_t *messages = json_object_get(row, "messages");
	struct api_request r = { 0 };
	struct err e = { 0 };
	int status = status_in(shape ? api_shape_of(shape) : API_CHAT, json_string_value(body),
			       json_string_length(body), &r, &e);
	cr_expect_eq(status, json_integer_value(json_object_get(row, "status")), "%s: %d %s", name, status,
		     e.text);
	cr_expect(!says || strstr(e.text, says), "%s: %s", name, e.text);
	expect_text(row, "param", e.at);
	expect_text(row, "code", e.kind);
	if (noted && status == 200)
		cr_expect(json_equal(r.without_effect, noted), "%s: %s", name,
			  json_dumps(r.without_effect, JSON_COMPACT));
	if (messages && status == 200)
		cr_expect(json_equal(r.messages, messages), "%s: %s", name, json_dumps(r.messages, JSON_COMPACT));
	if (shape && status == 200)
		expect_kept(name, &r);
	api_request_free(&r);
}

static int try_rows(const char *path)
{
	struct buf file = { 0 };
	struct err e = { 0 };
	int rows = 0;
	cr_assert_eq(file_read(path, MIB(1), &file, &e), 0, "%s", e.text);
	for (char *line = strtok(file.bytes, "\n"); line; line = strtok(NULL, "\n"), rows++) {
		json_t *row = NULL;
		cr_assert_eq(json_read(&row, line, strlen(line), MIB(1), 16, &e), 0, "%s", e.text);
		try_row(row);
		json_decref(row);
	}
	buf_free(&file);
	return rows;
}

/* Each line {name, status, body: text}; of a refusal what it says, param and code; of what is taken the
 * fields without effect. A server answers the same: tests/cli/case_requests.py. */
Test(api_request, each_field_has_its_range_and_is_named_when_refused)
{
	cr_expect(try_rows("tests/api/requests.jsonl") > 600);
}

/* Of messages and responses, with the shape, and the messages that are read. */
Test(api_request, each_field_of_other_shapes_has_its_range_and_is_named_when_refused)
{
	cr_expect(try_rows("tests/api/requests_shapes.jsonl") > 150);
}

/* A text that is in many blocks is gathered, not copied once for each of them. */
Test(api_request, a_message_of_many_blocks_is_read_in_linear_time)
{
	struct buf body = { 0 };
	struct api_request r = { 0 };
	struct err e = { 0 };
	buf_add_text(&body, "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[");
	for (int i = 0; i < 30000; i++)
		buf_printf(&body, "%s{\"type\":\"text\",\"text\":\"%0*d\"}", i ? "," : "", 200, i);
	buf_add_text(&body, "]}]}");
	cr_expect_eq(api_request_parse(API_MESSAGES, body.bytes, body.len, &r, &e), 0, "%s", e.text);
	cr_expect_eq(json_string_length(json_object_get(json_array_get(r.messages, 0), "content")),
		     30000 * 201 - 1);
	api_request_free(&r);
	buf_free(&body);
}

/* The limit of a message's tokens is needed where one is made, and not where it is counted. */
Test(api_request, a_prompt_that_is_counted_needs_no_limit)
{
	static const char body[] = "{" HI "}";
	struct api_request r = { 0 };
	struct err e = { 0 };
	cr_expect_eq(api_request_parse(API_MESSAGES, body, sizeof body - 1, &r, &e), ERR_INPUT);
	api_request_free(&r);
	cr_expect_eq(api_request_parse_prompt(API_MESSAGES, body, sizeof body - 1, &r, &e), 0, "%s", e.text);
	api_request_free(&r);
}

/* What is no text of JSON at all. */
Test(api_request, a_byte_order_mark_is_no_json)
{
	struct api_request r = { 0 };
	struct err e = { 0 };
	static const char body[] = "\xef\xbb\xbf{" HI "}";
	cr_expect_eq(api_request_parse(API_CHAT, body, sizeof body - 1, &r, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "byte-order"), "%s", e.text);
	api_request_free(&r);
}

Test(api_request, fields_arrive_as_sent)
{
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be \\u00e4\"},"
		"{\"role\":\"user\",\"name\":\"x\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
		"{\"type\":\"text\",\"text\":\"b\"}]}],\"stream\":true,"
		"\"stream_options\":{\"include_usage\":true},\"temperature\":0.5,\"top_p\":0.25,\"min_p\":0.125,"
		"\"top_k\":7,\"seed\":42,\"max_completion_tokens\":2000000,\"stop\":[\"a\",\"b\"],"
		"\"user\":\"u\",\"store\":true,\"user\\u0000\":1}";
	struct api_request r = { 0 };
	struct err e = { 0 };
	cr_expect_eq(api_request_parse(API_CHAT, body, sizeof body - 1, &r, &e), ERR_INPUT, "NUL in a key");
	api_request_free(&r);
	struct buf good = { 0 };
	buf_add(&good, body, sizeof body - 1 - strlen(",\"user\\u0000\":1}"));
	buf_add_byte(&good, '}');
	cr_assert_eq(api_request_parse(API_CHAT, good.bytes, good.len, &r, &e), 0, "%s", e.text);
	cr_expect_str_eq(r.model, "m");
	cr_assert_eq(json_array_size(r.messages), 2);
	const json_t *m = json_array_get(r.messages, 1);
	cr_expect_str_eq(json_string_value(json_object_get(m, "content")), "a\nb");
	cr_expect_eq(json_object_size(m), 2);
	const json_t *first = json_array_get(r.messages, 0);
	cr_expect_str_eq(json_string_value(json_object_get(first, "content")), "be \xc3\xa4");
	cr_expect(r.stream && r.include_usage && r.has_seed);
	cr_expect(r.temperature == 0.5 && r.top_p == 0.25 && r.min_p == 0.125);
	cr_expect(r.top_k == 7 && r.seed == 42 && r.tokens_max == LIMIT_CONTEXT_TOKENS);
	cr_assert_eq(r.stop_count, 2);
	cr_expect_str_eq(r.stop[1], "b");
	struct buf names = { 0 };
	cr_assert_eq(json_write(r.without_effect, 0, &names, &e), 0);
	cr_expect_str_eq(names.bytes, "[\"messages.name\",\"user\",\"store\"]");
	api_request_free(&r);
	buf_free(&names);
	buf_free(&good);
}

/* A JSON number is a number: one beyond 64 bits is the nearest double. */
Test(api_request, integers_beyond_64_bits_arrive_in_schemas)
{
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":"
		"\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":"
		"{\"n\":{\"type\":\"integer\",\"maximum\":18446744073709551615}}}}}]}";
	struct api_request r = { 0 };
	struct err e = { 0 };
	struct buf text = { 0 };
	cr_assert_eq(api_request_parse(API_CHAT, body, sizeof body - 1, &r, &e), 0, "%s", e.text);
	cr_assert_eq(json_write(r.tools, 0, &text, &e), 0);
	cr_expect(strstr(text.bytes, "\"maximum\":18446744073709552000.0"), "%s", text.bytes);
	buf_free(&text);
	api_request_free(&r);
}

Test(api_request, defaults_are_the_published_ones)
{
	struct api_request r = { 0 };
	cr_assert_eq(api_request_parse(API_CHAT, "{" HI "}", strlen("{" HI "}"), &r, NULL), 0);
	cr_expect(r.temperature == 1 && r.top_p == 1 && r.min_p == 0 && r.top_k == 0 &&
		  r.tokens_max == 0);
	cr_expect(!r.stream && !r.include_usage && !r.has_seed && r.stop_count == 0);
	cr_expect_eq(json_array_size(r.without_effect), 0);
	api_request_free(&r);
}

static int parse_repeated(const char *prefix, const char *repeat, size_t times, const char *suffix)
{
	struct buf b = { 0 };
	struct api_request r = { 0 };
	struct err e = { 0 };
	buf_add_text(&b, prefix);
	for (size_t i = 0; i < times; i++)
		buf_add_text(&b, repeat);
	buf_add_text(&b, suffix);
	int code = api_request_parse(API_CHAT, b.bytes, b.len, &r, &e);
	api_request_free(&r);
	buf_free(&b);
	return code;
}

Test(api_request, limits_of_shape_are_exact)
{
	/* 128 bytes of key are looked at; one more is malformed, however it is escaped. */
	cr_expect_eq(parse_repeated("{" HI ",\"", "a", 128, "\":1}"), 0);
	cr_expect_eq(parse_repeated("{" HI ",\"", "a", 129, "\":1}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\u0061", 128, "\":1}"), 0);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\u0061", 129, "\":1}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\ud83d\\ude00", 32, "\":1}"), 0);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\ud83d\\ude00", 33, "\":1}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"x\":[1", ",1", 99999, "]}"), 0);
	cr_expect_eq(parse_repeated("{" HI ",\"x\":[1", ",1", 100000, "]}"), ERR_INPUT);
	char closed[LIMIT_REQUEST_DEPTH + 3] = "";
	memset(closed, ']', LIMIT_REQUEST_DEPTH - 1);
	strcat(closed, "}");
	cr_expect_eq(parse_repeated("{" HI ",\"x\":", "[", LIMIT_REQUEST_DEPTH - 1, closed), 0);
	memset(closed, ']', LIMIT_REQUEST_DEPTH);
	strcpy(closed + LIMIT_REQUEST_DEPTH, "}");
	cr_expect_eq(parse_repeated("{" HI ",\"x\":", "[", LIMIT_REQUEST_DEPTH, closed), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"x\":[", "[{}],", 100000, "1]}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"user\":\"", "x", (8u << 20), "\"}"), ERR_INPUT);
#define TURN "{\"role\":\"user\",\"content\":\"\"}"
	cr_expect_eq(parse_repeated("{\"model\":\"m\",\"messages\":[" TURN, "," TURN, 4095, "]}"), 0);
	cr_expect_eq(parse_repeated("{\"model\":\"m\",\"messages\":[" TURN, "," TURN, 4096, "]}"),
		     ERR_INPUT);
}

/* What a template and the engine get of a conversation with calls. */
Test(api_request, calls_and_tools_arrive_in_the_form_that_templates_take)
{
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"be brief\"},"
		"{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
		"\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": [1]}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"name\":\"f\",\"content\":\"7\"}],"
		"\"tools\":[" TOOL("f") "]," CHOICE("f") ",\"n\":3,\"parallel_tool_calls\":false,"
		"\"logit_bias\":{\"7\":-100,\"9\":0.5},\"chat_template_kwargs\":{\"enable_thinking\":false}}";
	struct api_request r = { 0 };
	struct err e = { 0 };
	struct buf text = { 0 };
	cr_assert_eq(api_request_parse(API_CHAT, body, sizeof body - 1, &r, &e), 0, "%s", e.text);
	cr_assert_eq(json_write(r.messages, 0, &text, &e), 0);
	cr_expect_str_eq(
		text.bytes,
		"[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"assistant\",\"content\":\"\","
		"\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":"
		"{\"name\":\"f\",\"arguments\":{\"a\":[1]}}}]},{\"role\":\"tool\",\"content\":\"7\","
		"\"tool_call_id\":\"c1\",\"name\":\"f\"}]");
	cr_expect(json_array_size(r.tools) == 1 && r.tool_choice == API_TOOLS_NAMED && r.one_call);
	cr_expect_str_eq(r.tool_name, "f");
	cr_assert_eq(r.bias_count, 2);
	cr_expect(r.bias[0].id == 7 && r.bias[0].bias == -100 && r.bias[1].bias == 0.5F && r.n == 3);
	cr_expect(json_is_false(json_object_get(r.template_kwargs, "enable_thinking")));
	api_request_free(&r);
	buf_free(&text);
}

#define NAMED(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"

Test(api_request, of_the_tools_those_that_are_allowed_are_left)
{
	struct api_request r = { 0 };
	struct err e = { 0 };
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
		"\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
		"\"required\",\"tools\":[" NAMED("h") "," NAMED("f") "]}},"
		"\"tools\":[" NAMED("f") "," NAMED("g") "," NAMED("h") "]}";
	cr_assert_eq(api_request_parse(API_CHAT, body, strlen(body), &r, &e), 0, "%s", e.text);
	cr_assert(json_array_size(r.tools) == 2 && r.tool_choice == API_TOOLS_REQUIRED);
	static const char *const left[] = { "f", "h" };
	for (size_t i = 0; i < 2; i++) {
		const json_t *function = json_object_get(json_array_get(r.tools, i), "function");
		cr_expect_str_eq(json_string_value(json_object_get(function, "name")), left[i]);
	}
	api_request_free(&r);
}

/* Whatever a client sends it back as, an assistant's reasoning is one text, and what is not used is named. */
Test(api_request, reasoning_of_the_history_is_one_text_of_any_name)
{
#define PARTS(list) "\"content\":[" list "]"
	static const struct {
		const char *said, *thought, *content, *note;
	} rows[] = {
		{ "\"content\":\"x\",\"reasoning\":\"hm\"", "hm", "x", NULL },
		{ "\"content\":\"x\",\"thinking\":\"hm\"", "hm", "x", NULL },
		{ "\"content\":\"x\",\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"", "hm", "x", NULL },
		{ "\"content\":\"x\",\"reasoning\":\"hm\",\"reasoning_content\":null", "hm", "x", NULL },
		{ "\"content\":\"x\",\"reasoning\":\"b\",\"reasoning_content\":\"a\"", "a", "x", "messages.reasoning" },
		{ "\"content\":null,\"reasoning\":\"hm\"", "hm", "", NULL },
		{ "\"content\":\"x\",\"reasoning\":\"\"", NULL, "x", NULL },
		{ PARTS("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"},"
			"{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\"y\"}"),
		  "hm", "x\ny", NULL },
		{ PARTS("{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"h\"},"
			"{\"type\":\"text\",\"text\":\"m\"}]}"),
		  "hm", "", NULL },
		{ PARTS("{\"type\":\"reasoning\",\"text\":\"hm\"},{\"type\":\"text\",\"text\":\"x\"}"), "hm", "x", NULL },
		{ "\"content\":\"x\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\"},"
		  "{\"type\":\"reasoning.encrypted\",\"data\":\"AA\"}]",
		  "hm", "x", NULL },
		{ "\"content\":\"x\",\"reasoning\":\"hm\",\"reasoning_details\":[{\"type\":\"reasoning.summary\","
		  "\"summary\":\"short\"}]",
		  "hm", "x", "messages.reasoning_details" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct api_request r = { 0 };
		struct err e = { 0 };
		struct buf body = { 0 };
		buf_printf(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",%s}]}", rows[i].said);
		cr_assert_eq(api_request_parse(API_CHAT, body.bytes, body.len, &r, &e), 0, "%s: %s", rows[i].said, e.text);
		const json_t *m = json_array_get(r.messages, 0);
		const char *thought = json_string_value(json_object_get(m, "reasoning_content"));
		cr_expect(thought ? rows[i].thought && strcmp(thought, rows[i].thought) == 0 : !rows[i].thought, "%s",
			  rows[i].said);
		cr_expect_str_eq(json_string_value(json_object_get(m, "content")), rows[i].content);
		cr_expect_eq(json_object_size(m), thought ? 3 : 2, "no other name: the rules read this one");
		const char *note = json_string_value(json_array_get(r.without_effect, 0));
		cr_expect(note ? rows[i].note && strcmp(note, rows[i].note) == 0 : !rows[i].note, "%s: %s",
			  rows[i].said, note ? note : "(none)");
		api_request_free(&r);
		buf_free(&body);
	}
}

Test(api_request, a_constraint_arrives_as_text_of_its_kind)
{
	static const struct {
		const char *field, *text;
		enum api_constraint_kind kind;
	} rows[] = {
		{ "\"response_format\":{\"type\":\"json_object\"}", "", API_CONSTRAINT_OBJECT },
		{ "\"guided_json\":\"{}\"", "{}", API_CONSTRAINT_SCHEMA },
		{ "\"guided_json\":{\"type\":\"null\"}", "{\"type\":\"null\"}", API_CONSTRAINT_SCHEMA },
		{ "\"guided_choice\":[\"a\"]", "[\"a\"]", API_CONSTRAINT_CHOICE },
		{ "\"structured_outputs\":{\"grammar\":\"root\"}", "root", API_CONSTRAINT_GRAMMAR },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct api_request r = { 0 };
		struct err e = { 0 };
		char body[400];
		int n = snprintf(body, sizeof body, "{" HI ",%s}", rows[i].field);
		cr_assert_eq(api_request_parse(API_CHAT, body, (size_t)n, &r, &e), 0, "%s", e.text);
		cr_expect_eq(r.constraint, rows[i].kind, "%s", rows[i].field);
		cr_expect_str_eq(r.constraint_text.bytes ? r.constraint_text.bytes : "", rows[i].text);
		api_request_free(&r);
	}
}

/* What was cut off goes to the template as a text, in an object, which all of them take. */
Test(api_request, arguments_that_are_no_object_are_a_text_in_one)
{
	static const char *const broken[] = { "{\\\"a\\\": \\\"x", "[1]", "7", "f(x)" };
	static const char *const texts[] = { "{\"a\": \"x", "[1]", "7", "f(x)" };
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		struct api_request r = { 0 };
		struct err e = { 0 };
		struct buf b = { 0 };
		buf_printf(&b,
			   "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","
			   "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"%s\"}}]}]}",
			   broken[i]);
		cr_assert_eq(api_request_parse(API_CHAT, b.bytes, b.len, &r, &e), 0, "%s: %s", broken[i], e.text);
		const json_t *call = json_array_get(
			json_object_get(json_array_get(r.messages, 0), "tool_calls"), 0);
		const json_t *given = json_object_get(json_object_get(call, "function"), "arguments");
		cr_assert_eq(json_object_size(given), 1);
		cr_expect_str_eq(json_string_value(json_object_get(given, "INVALID_JSON")), texts[i]);
		api_request_free(&r);
		buf_free(&b);
	}
}

static int parse_many(const char *field, const char *form, int count, const char *end)
{
	struct buf b = { 0 };
	struct api_request r = { 0 };
	struct err e = { 0 };
	buf_printf(&b, "{" HI ",%s", field);
	for (int i = 0; i < count; i++) {
		buf_add_text(&b, i ? "," : "");
		buf_printf(&b, form, i); /* NOLINT: the forms below */
	}
	buf_add_text(&b, end);
	int code = api_request_parse(API_CHAT, b.bytes, b.len, &r, &e);
	cr_expect(code == 0 || strstr(e.text, "at most"), "%s", e.text);
	api_request_free(&r);
	buf_free(&b);
	return code;
}

/* Arguments are a text in the body, and count like the rest of it, all calls together. */
Test(api_request, values_of_arguments_are_counted_with_the_body)
{
	struct buf b = { 0 };
	struct api_request r;
	struct err e = { 0 };
	for (int twice = 0; twice < 2; twice++) {
		buf_clear(&b);
		buf_add_text(&b, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
		for (int call = 0; call <= twice; call++) {
			buf_printf(&b, "%s{\"id\":\"c\",\"function\":{\"name\":\"f\",", call ? "," : "");
			buf_add_text(&b, "\"arguments\":\"{\\\"a\\\":[0");
			for (int i = 0; i < 70000; i++)
				buf_add_text(&b, ",0");
			buf_add_text(&b, "]}\"}}");
		}
		buf_add_text(&b, "]}]}");
		int rc = api_request_parse(API_CHAT, b.bytes, b.len, &r, &e);
		cr_expect_eq(rc, twice ? ERR_INPUT : 0, "%d calls: %s", twice + 1, e.text);
		cr_expect(!twice || strstr(e.text, "more than 131072 values"), "%s", e.text);
		api_request_free(&r);
	}
	buf_free(&b);
}

Test(api_request, lists_that_cost_work_are_bounded)
{
#define TOOLS(count) \
	parse_many("\"tools\":[", "{\"type\":\"function\",\"function\":{\"name\":\"f%d\"}}", count, "]}")
#define BIASES(count) parse_many("\"logit_bias\":{", "\"%d\":1", count, "}}")
#define BANS(count) parse_many("\"bad_words\":[", "\"w%d\"", count, "]}")
	cr_expect_eq(TOOLS(128), 0);
	cr_expect_eq(TOOLS(129), ERR_INPUT);
	cr_expect_eq(BIASES(4096), 0);
	cr_expect_eq(BIASES(4097), ERR_INPUT);
	cr_expect_eq(BIASES(99999), ERR_INPUT);
	cr_expect_eq(BANS(64), 0);
	cr_expect_eq(BANS(65), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"guided_regex\":\"", "a", 256 << 10, "\"}"), 0);
	cr_expect_eq(parse_repeated("{" HI ",\"guided_regex\":\"", "a", (256 << 10) + 1, "\"}"),
		     ERR_INPUT);
}
