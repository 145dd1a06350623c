/* Completions: what a request may say, and how an answer is written, whole and in chunks. */
#include "api/writer.h"
#include "base/json.h"
#include "base/limits.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

#define ASK(more) "{\"model\":\"m\"," more "}"

static int parse(const char *body, struct api_request *r, struct err *e)
{
	return api_request_parse(API_COMPLETION, body, strlen(body), r, e);
}

Test(api_completion, a_request_says_what_is_wrong_with_it)
{
	static const struct {
		const char *body, *param, *code;
		int rc;
	} rows[] = {
		{ ASK("\"prompt\":\"\""), "", NULL, 0 },
		{ ASK("\"prompt\":[\"a\"]"), "", NULL, 0 },
		{ ASK("\"prompt\":[1,2,4294967295]"), "", NULL, 0 },
		{ ASK("\"prompt\":[[1]]"), "", NULL, 0 },
		{ ASK("\"prompt\":\"a\",\"suffix\":\"\",\"messages\":[],\"best_of\":1"), "", NULL, 0 },
		{ ASK("\"stream\":true"), "prompt", "missing_required_parameter", ERR_INPUT },
		{ ASK("\"prompt\":null"), "prompt", "missing_required_parameter", ERR_INPUT },
		{ ASK("\"prompt\":7"), "prompt", "invalid_type", ERR_INPUT },
		{ ASK("\"prompt\":{}"), "prompt", "invalid_type", ERR_INPUT },
		{ ASK("\"prompt\":[]"), "prompt", "empty_array", ERR_INPUT },
		{ ASK("\"prompt\":[[]]"), "prompt", "invalid_value", ERR_INPUT },
		{ ASK("\"prompt\":[[[1]]]"), "prompt", "invalid_type", ERR_INPUT },
		{ ASK("\"prompt\":[1,\"a\"]"), "prompt", "invalid_type", ERR_INPUT },
		{ ASK("\"prompt\":[true]"), "prompt", "invalid_type", ERR_INPUT },
		{ ASK("\"prompt\":[4294967296]"), "prompt", "integer_above_max_value", ERR_INPUT },
		{ ASK("\"prompt\":[\"a\",\"b\"]"), "prompt", "unsupported_value", ERR_UNSUPPORTED },
		{ ASK("\"prompt\":[[1],[2]]"), "prompt", "unsupported_value", ERR_UNSUPPORTED },
		{ ASK("\"prompt\":\"a\",\"suffix\":\"b\""), "suffix", "unsupported_value", ERR_UNSUPPORTED },
		{ ASK("\"prompt\":\"a\",\"messages\":[{}]"), "messages", "unsupported_value", ERR_UNSUPPORTED },
		{ ASK("\"prompt\":\"a\",\"echo\":1"), "echo", "invalid_type", ERR_INPUT },
		{ ASK("\"prompt\":\"a\",\"echo\":true,\"logprobs\":0"), "echo", "unsupported_value",
		  ERR_UNSUPPORTED },
		{ ASK("\"prompt\":\"a\",\"logprobs\":21"), "logprobs", "integer_above_max_value", ERR_INPUT },
		{ ASK("\"prompt\":\"a\",\"add_special_tokens\":0"), "add_special_tokens", "invalid_type",
		  ERR_INPUT },
		{ ASK("\"prompt\":\"a\",\"n\":2,\"best_of\":3"), "best_of", "unsupported_value",
		  ERR_UNSUPPORTED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct api_request r = { 0 };
		struct err e = { 0 };
		cr_expect_eq(parse(rows[i].body, &r, &e), rows[i].rc, "%s: %s", rows[i].body, e.text);
		cr_expect_str_eq(e.at, rows[i].param, "%s", rows[i].body);
		cr_expect(!rows[i].code || strcmp(e.kind, rows[i].code) == 0, "%s: %s", rows[i].body, e.kind);
		api_request_free(&r);
	}
}

Test(api_completion, fields_of_other_shapes_have_no_effect_and_their_own_have_one)
{
	struct api_request r = { 0 };
	struct err e = { 0 };
	cr_assert_eq(parse(ASK("\"prompt\":[[3]],\"echo\":true,\"add_special_tokens\":false,\"reasoning_effort\":"
			       "\"low\",\"max_completion_tokens\":9"),
			   &r, &e),
		     0, "%s", e.text);
	cr_expect(r.echo && r.bare && r.tokens_max == 16 && json_array_size(r.prompt) == 1);
	cr_expect_eq(json_array_size(r.without_effect), 2);
	api_request_free(&r);
	cr_assert_eq(parse(ASK("\"prompt\":\"a\",\"logprobs\":0,\"n_predict\":-1"), &r, &e), 0);
	cr_expect(r.logprobs && r.top_logprobs == 0 && r.tokens_max == 0);
	cr_expect_eq(json_array_size(r.without_effect), 0);
	api_request_free(&r);
	cr_assert_eq(parse(ASK("\"prompt\":\"a\",\"min_tokens\":20"), &r, &e), 0);
	cr_expect_eq(r.tokens_max, 20);
	api_request_free(&r);
}

Test(api_completion, what_is_kept_is_the_request_again)
{
	static const char *const rows[] = {
		ASK("\"prompt\":\"a\\u00e4\",\"logprobs\":3,\"max_tokens\":7,\"n\":2,\"seed\":4"),
		ASK("\"prompt\":[1,2],\"echo\":true,\"n_predict\":-1,\"stop\":\"x\""),
		ASK("\"prompt\":\"\",\"add_special_tokens\":false,\"guided_regex\":\"a+\""),
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf once = { 0 }, twice = { 0 };
		struct api_request r = { 0 }, again = { 0 };
		struct err e = { 0 };
		cr_assert_eq(parse(rows[i], &r, &e), 0, "%s", e.text);
		cr_assert_eq(api_request_write(&r, &once, &e), 0);
		cr_assert_eq(api_request_read_kept(API_COMPLETION, once.bytes, once.len, &again, &e), 0, "%s",
			     e.text);
		cr_assert_eq(api_request_write(&again, &twice, &e), 0);
		cr_expect_str_eq(once.bytes, twice.bytes);
		cr_expect(json_equal(r.prompt, again.prompt) && r.echo == again.echo && r.bare == again.bare &&
			  r.tokens_max == again.tokens_max && r.top_logprobs == again.top_logprobs);
		api_request_free(&r);
		api_request_free(&again);
		buf_free(&once);
		buf_free(&twice);
	}
}

/* ---- answers ---- */

static struct cleared cleared_of(const char *s) { return (struct cleared){ .bytes = s, .len = strlen(s) }; }

static const json_t *result_of(void)
{
	return json_pack("{s:[s],s:i,s:i,s:i,s:i,s:i,s:{s:s}}", "finish_reasons", "stop", "prompt_tokens", 5,
			 "completion_tokens", 4, "cached_tokens", 0, "reasoning_tokens", 0, "seed", 9, "hallmark",
			 "record", "w/7");
}

/* Two pieces; the third token is no whole text, and a masked number stands before the fourth. */
static void write_answer(struct buf *out, bool stream, uint32_t top)
{
	const struct api_request asked = { .shape = API_COMPLETION,
					   .stream = stream,
					   .include_usage = stream,
					   .logprobs = true,
					   .top_logprobs = top,
					   .n = 1 };
	struct api_answer a = { .facts = { &asked, 17, "cmpl-w-7", "m" } };
	const struct api_alternative other[] = { { cleared_of("b"), -2 }, { cleared_of("\xc3\xa4"), -0.5F } };
	const struct api_token first[] = { { cleared_of("\xc3\xa4"), -0.5F, other, top ? 2 : 0, 0 },
					   { cleared_of("x"), -1, NULL, 0, 2 } },
			       second[] = { { cleared_of("\xe2\x82"), -1, NULL, 0, 3 },
					    { cleared_of(" y"), -1, NULL, 0, 10 } };
	struct api_piece p = { .part = API_CONTENT, .text = cleared_of("\xc3\xa4x"), .token = first,
			       .token_count = 2 };
	const json_t *result = result_of();
	struct err e = { 0 };
	api_answer_begin(out, &a);
	api_answer_piece(out, &a, &p);
	p = (struct api_piece){ .part = API_CONTENT, .text = cleared_of("\xe2\x82\xac[..] y"), .token = second,
				.token_count = 2 };
	api_answer_piece(out, &a, &p);
	cr_assert_eq(api_answer_end(out, &a, result, &e), 0, "%s", e.text);
	api_answer_free(&a);
	json_decref((json_t *)(uintptr_t)result);
}

#define LISTS                                                                                              \
	"\"logprobs\":{\"tokens\":[\"\xc3\xa4\",\"x\",\"bytes:\\\\xe2\\\\x82\",\" y\"],\"token_logprobs\":[-0.5," \
	"-1,-1,-1],\"top_logprobs\":"

Test(api_completion, an_answer_has_lists_side_by_side_and_offsets_in_characters)
{
	struct buf out = { 0 };
	write_answer(&out, false, 2);
	cr_expect(strstr(out.bytes, "\"text\":\"\xc3\xa4x\xe2\x82\xac[..] y\"," LISTS
				    "[{\"b\":-2,\"\xc3\xa4\":-0.5},{\"x\":-1},{\"bytes:\\\\xe2\\\\x82\":-1},"
				    "{\" y\":-1}],\"text_offset\":[0,1,2,7]},\"finish_reason\":\"stop\"}],"
				    "\"usage\":{\"prompt_tokens\":5,"),
		  "%s", out.bytes);
	buf_clear(&out);
	write_answer(&out, false, 0);
	cr_expect(strstr(out.bytes, LISTS "null,\"text_offset\":[0,1,2,7]}"), "%s", out.bytes);
	buf_free(&out);
}

Test(api_completion, a_stream_ends_with_the_reason_the_proof_and_usage)
{
	struct buf out = { 0 };
	write_answer(&out, true, 0);
	cr_expect(strstr(out.bytes, "\"text\":\"\xc3\xa4x\",\"logprobs\":{\"tokens\":[\"\xc3\xa4\",\"x\"],"
				    "\"token_logprobs\":[-0.5,-1],\"top_logprobs\":null,\"text_offset\":[0,1]},"
				    "\"finish_reason\":null}],\"usage\":null}\n\n"),
		  "%s", out.bytes);
	cr_expect(strstr(out.bytes, "\"text_offset\":[2,7]"), "%s", out.bytes);
	const char *end = strstr(out.bytes, "\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}],\"seed\":"
					    "9,\"hallmark\":{\"record\":\"w/7\"},\"usage\":null}\n\n");
	cr_assert(end, "%s", out.bytes);
	cr_expect(strstr(end, "\"choices\":[],\"usage\":{") && strstr(end, "data: [DONE]\n\n"), "%s", end);
	buf_free(&out);
}

static int read_and_write(const struct work *w, struct err *e)
{
	struct api_request r = { 0 };
	int rc = api_request_parse(API_COMPLETION, w->text, w->len, &r, e);
	if (rc == 0)
		rc = api_request_write(&r, &press_answer, e);
	api_request_free(&r);
	return rc;
}

Test(api_completion, requests_under_pressure)
{
	static const char body[] = ASK("\"prompt\":[1,2],\"echo\":true,\"logit_bias\":{\"3\":1},\"x\":1");
	press("a completion", &(struct work){ read_and_write, body, sizeof body - 1, NULL });
}
