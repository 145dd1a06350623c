#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "flow/request.h"

#include <criterion/criterion.h>
#include <string.h>

static int status_of(const void *body, size_t len, struct flow_request *r, struct err *e)
{
	switch (flow_request_parse(body, len, r, e)) {
	case 0:
		return 200;
	case ERR_INPUT:
	case ERR_UNSUPPORTED:
		return 400;
	default:
		return 500;
	}
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
	json_array_foreach(json_object_get(row, "status"), i,
			   v) if (json_integer_value(v) == status ||
				  (json_integer_value(v) == 404 && status == 200)) return true;
	return false;
}

Test(flow_request, published_bodies_get_their_status)
{
	struct buf file = { 0 };
	struct err e = { 0 };
	cr_assert_eq(file_read("tests/vectors/http/http_bodies.jsonl", MIB(1), &file, &e), 0, "%s",
		     e.text);
	int rows = 0;
	for (char *line = strtok(file.bytes, "\n"); line; line = strtok(NULL, "\n"), rows++) {
		json_t *row;
		struct buf body = { 0 };
		struct flow_request r = { 0 };
		cr_assert_eq(json_read(&row, line, strlen(line), MIB(1), 8, &e), 0, "%s", e.text);
		payload(row, &body);
		int status = status_of(body.bytes, body.len, &r, &e);
		cr_expect(is_expected(row, status), "%s: %d %s",
			  json_string_value(json_object_get(row, "what")), status, e.text);
		flow_request_free(&r);
		buf_free(&body);
		json_decref(row);
	}
	cr_expect_eq(rows, 40);
	buf_free(&file);
}

#define FIFTEEN \
	"\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\""
#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define ONE(message) "{\"model\":\"m\",\"messages\":[" message "]}"
#define LATER ERR_UNSUPPORTED

static const struct {
	const char *body;
	int code;
	const char *says; /* part of the sentence */
} cases[] = {
	{ "{" HI "}", 0, "" },
	{ "", ERR_INPUT, "JSON" },
	{ "\xef\xbb\xbf{" HI "}", ERR_INPUT, "byte-order" },
	{ "{" HI "}{}", ERR_INPUT, "JSON" },
	{ "{" HI ",\"model\":\"m\"}", ERR_INPUT, "JSON" },
	{ "{" HI ",\"\\u006dodel\":\"m\"}", ERR_INPUT, "JSON" },
	{ "{" HI ",\"seed\":1,\"s\\u0065ed\":1}", ERR_INPUT, "JSON" },
	{ "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", ERR_INPUT,
	  "\"model\" is missing" },
	{ "{\"model\":\"m\",\"messages\":[]}", ERR_INPUT, "messages" },
	{ "{\"model\":\"\",\"messages\":[]}", ERR_INPUT, "model" },
	{ "{\"model\":null,\"messages\":null}", ERR_INPUT, "model" },
	{ "{" HI ",\"temperature\":2}", 0, "" },
	{ "{" HI ",\"temperature\":2.1}", ERR_INPUT, "temperature" },
	{ "{" HI ",\"temperature\":-0.1}", ERR_INPUT, "temperature" },
	{ "{" HI ",\"temperature\":null}", 0, "" },
	{ "{" HI ",\"temperature\":true}", ERR_INPUT, "temperature" },
	{ "{" HI ",\"temperature\":Infinity}", ERR_INPUT, "JSON" },
	{ "{" HI ",\"top_p\":0}", ERR_INPUT, "top_p" },
	{ "{" HI ",\"top_p\":0.5,\"min_p\":0.1,\"top_k\":-1}", 0, "" },
	{ "{" HI ",\"top_k\":-2}", ERR_INPUT, "top_k" },
	{ "{" HI ",\"top_k\":2147483648}", ERR_INPUT, "top_k" },
	{ "{" HI ",\"seed\":9223372036854775807}", 0, "" },
	{ "{" HI ",\"seed\":9223372036854775808}", ERR_INPUT, "JSON" },
	{ "{" HI ",\"seed\":-1}", ERR_INPUT, "seed" },
	{ "{" HI ",\"max_tokens\":0}", ERR_INPUT, "max_tokens" },
	{ "{" HI ",\"max_tokens\":1,\"max_completion_tokens\":1}", 0, "" },
	{ "{" HI ",\"max_tokens\":1,\"max_completion_tokens\":2}", ERR_INPUT, "differ" },
	{ "{" HI ",\"stop\":\"x\"}", 0, "" },
	{ "{" HI ",\"stop\":null}", 0, "" },
	{ "{" HI ",\"stop\":\"\"}", ERR_INPUT, "stop" },
	{ "{" HI ",\"stop\":1}", ERR_INPUT, "stop" },
	{ "{" HI ",\"stop\":[" FIFTEEN ",\"g\"]}", 0, "" },
	{ "{" HI ",\"stop\":[" FIFTEEN ",\"g\",\"h\"]}", ERR_INPUT, "16" },
	{ "{" HI ",\"n\":1}", 0, "" },
	{ "{" HI ",\"n\":2}", LATER, "n over 1" },
	{ "{" HI ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", 0, "" },
	{ "{\"stream_options\":{\"include_usage\":true},\"stream\":true," HI "}", 0, "" },
	{ "{" HI ",\"stream_options\":{\"include_usage\":true}}", ERR_INPUT, "stream" },
	{ "{" HI ",\"stream\":true,\"stream_options\":{\"x\":true}}", ERR_INPUT, "x" },
	{ "{" HI ",\"stream\":true,\"stream_options\":[]}", ERR_INPUT, "stream_options" },
	{ "{" HI ",\"frequency_penalty\":0,\"presence_penalty\":0.0}", 0, "" },
	{ "{" HI ",\"frequency_penalty\":0.5}", LATER, "frequency_penalty" },
	{ "{" HI ",\"presence_penalty\":3}", ERR_INPUT, "presence_penalty" },
	{ "{" HI ",\"logprobs\":false}", 0, "" },
	{ "{" HI ",\"logprobs\":true}", LATER, "logprobs" },
	{ "{" HI ",\"logprobs\":1}", ERR_INPUT, "logprobs" },
	{ "{" HI ",\"logit_bias\":{}}", 0, "" },
	{ "{" HI ",\"logit_bias\":{\"5\":1}}", LATER, "logit_bias" },
	{ "{" HI ",\"logit_bias\":{\"5\":101}}", ERR_INPUT, "logit_bias" },
	{ "{" HI ",\"tools\":[]}", 0, "" },
	{ "{" HI ",\"tools\":[{}]}", LATER, "not available in this version: tools" },
	{ "{" HI ",\"tool_choice\":\"none\"}", 0, "" },
	{ "{" HI ",\"tool_choice\":\"auto\"}", LATER, "tool_choice" },
	{ "{" HI ",\"response_format\":{\"type\":\"text\"}}", 0, "" },
	{ "{" HI ",\"response_format\":{\"type\":\"json_object\"}}", LATER, "json_object" },
	{ "{" HI ",\"response_format\":\"text\"}", ERR_INPUT, "response_format" },
	{ "{" HI ",\"modalities\":[\"text\"]}", 0, "" },
	{ "{" HI ",\"modalities\":[\"text\",\"audio\"]}", LATER, "modalities" },
	{ "{" HI ",\"audio\":{}}", LATER, "not available in this version: audio" },
	{ "{" HI ",\"chat_template_kwargs\":{}}", LATER, "chat_template_kwargs" },
	{ "{" HI ",\"frobnicate\":1}", LATER, "not available in this version: frobnicate" },
	{ "{" HI ",\"user\":1}", ERR_INPUT, "user" },
	{ "{" HI ",\"metadata\":{\"a\":1}}", ERR_INPUT, "metadata" },
	{ "{" HI ",\"metadata\":{\"a\":\"1\",\"a\":\"2\"}}", ERR_INPUT, "JSON" },
	{ ONE("{\"role\":\"tool\",\"content\":\"x\"}"), LATER, "tool" },
	{ ONE("{\"role\":\"root\",\"content\":\"x\"}"), ERR_INPUT, "root" },
	{ ONE("{\"role\":\"user\"}"), ERR_INPUT, "content" },
	{ ONE("{\"role\":\"user\",\"content\":[]}"), ERR_INPUT, "content" },
	{ ONE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}"), LATER, "image_url" },
	{ ONE("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":1}]}"), ERR_INPUT,
	  "parts" },
	{ ONE("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"x\":1}]}"),
	  ERR_INPUT, "x" },
	{ ONE("{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":null,\"tool_calls\":[]}"), 0,
	  "" },
	{ ONE("{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{}]}"), LATER,
	  "tool_calls" },
	{ ONE("{\"role\":\"user\",\"content\":\"a\",\"x\":1}"), LATER, "x" },
	{ ONE("7"), ERR_INPUT, "item 0" },
};

Test(flow_request, each_field_has_its_range_and_is_named_when_refused)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_request r = { 0 };
		struct err e = { 0 };
		int code = flow_request_parse(cases[i].body, strlen(cases[i].body), &r, &e);
		cr_expect_eq(code, cases[i].code, "%s: %d %s", cases[i].body, code, e.text);
		cr_expect(strstr(e.text, cases[i].says) != NULL, "%s: %s", cases[i].body, e.text);
		flow_request_free(&r);
	}
}

Test(flow_request, fields_arrive_as_sent)
{
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be \\u00e4\"},"
		"{\"role\":\"user\",\"name\":\"x\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
		"{\"type\":\"text\",\"text\":\"b\"}]}],\"stream\":true,"
		"\"stream_options\":{\"include_usage\":true},\"temperature\":0.5,\"top_p\":0.25,\"min_p\":0.125,"
		"\"top_k\":7,\"seed\":42,\"max_completion_tokens\":2000000,\"stop\":[\"a\",\"b\"],"
		"\"user\":\"u\",\"store\":true,\"user\\u0000\":1}";
	struct flow_request r = { 0 };
	struct err e = { 0 };
	cr_expect_eq(flow_request_parse(body, sizeof body - 1, &r, &e), ERR_INPUT, "NUL in a key");
	flow_request_free(&r);
	struct buf good = { 0 };
	buf_add(&good, body, sizeof body - 1 - strlen(",\"user\\u0000\":1}"));
	buf_add_byte(&good, '}');
	cr_assert_eq(flow_request_parse(good.bytes, good.len, &r, &e), 0, "%s", e.text);
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
	flow_request_free(&r);
	buf_free(&names);
	buf_free(&good);
}

Test(flow_request, defaults_are_the_published_ones)
{
	struct flow_request r = { 0 };
	cr_assert_eq(flow_request_parse("{" HI "}", strlen("{" HI "}"), &r, NULL), 0);
	cr_expect(r.temperature == 1 && r.top_p == 1 && r.min_p == 0 && r.top_k == 0 &&
		  r.tokens_max == 0);
	cr_expect(!r.stream && !r.include_usage && !r.has_seed && r.stop_count == 0);
	cr_expect_eq(json_array_size(r.without_effect), 0);
	flow_request_free(&r);
}

static int parse_repeated(const char *prefix, const char *repeat, size_t times, const char *suffix)
{
	struct buf b = { 0 };
	struct flow_request r = { 0 };
	struct err e = { 0 };
	buf_add_text(&b, prefix);
	for (size_t i = 0; i < times; i++)
		buf_add_text(&b, repeat);
	buf_add_text(&b, suffix);
	int code = flow_request_parse(b.bytes, b.len, &r, &e);
	flow_request_free(&r);
	buf_free(&b);
	return code;
}

Test(flow_request, limits_of_shape_are_exact)
{
	/* 128 bytes of key are looked at (and refused by name); one more is malformed, however it
	 * is escaped. */
	cr_expect_eq(parse_repeated("{" HI ",\"", "a", 128, "\":1}"), ERR_UNSUPPORTED);
	cr_expect_eq(parse_repeated("{" HI ",\"", "a", 129, "\":1}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\u0061", 128, "\":1}"), ERR_UNSUPPORTED);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\u0061", 129, "\":1}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\ud83d\\ude00", 32, "\":1}"), ERR_UNSUPPORTED);
	cr_expect_eq(parse_repeated("{" HI ",\"", "\\ud83d\\ude00", 33, "\":1}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"tools\":[1", ",1", 99999, "]}"), ERR_UNSUPPORTED);
	cr_expect_eq(parse_repeated("{" HI ",\"tools\":[1", ",1", 100000, "]}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"x\":", "[", 31, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"),
		     ERR_UNSUPPORTED);
	cr_expect_eq(parse_repeated("{" HI ",\"x\":", "[", 32, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"),
		     ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"x\":[", "[{}],", 100000, "1]}"), ERR_INPUT);
	cr_expect_eq(parse_repeated("{" HI ",\"user\":\"", "x", (8u << 20), "\"}"), ERR_INPUT);
#define TURN "{\"role\":\"user\",\"content\":\"\"}"
	cr_expect_eq(parse_repeated("{\"model\":\"m\",\"messages\":[" TURN, "," TURN, 4095, "]}"), 0);
	cr_expect_eq(parse_repeated("{\"model\":\"m\",\"messages\":[" TURN, "," TURN, 4096, "]}"),
		     ERR_INPUT);
}
