#include "tests/engine/text_vectors.h"

#include "base/text.h"

#include <criterion/criterion.h>
#include <string.h>

#define FOLDER "tests/vectors/tokenizers/"

/* Calls f for each line of a JSONL file. */
static size_t each_line(const char *path, void (*f)(const json_t *row, size_t line, void *ctx), void *ctx)
{
	struct buf b = vector_read(path);
	size_t lines = 0;
	for (char *at = b.bytes, *end; at < b.bytes + b.len && (end = strchr(at, '\n')); at = end + 1) {
		json_t *row = vector_json(at, (size_t)(end - at));
		f(row, lines++, ctx);
		json_decref(row);
	}
	buf_free(&b);
	return lines;
}

static void check_case(const json_t *row, size_t line, void *ctx)
{
	struct engine_tokenizer *t = ctx;
	struct err e = { 0 };
	struct engine_ids ids = { 0 };
	struct buf text = { 0 };
	const json_t *in = json_object_get(row, "text"), *decoded = json_object_get(row, "decoded");
	int rc = engine_tokenizer_encode(t, json_string_value(in), json_string_length(in), true, false, &ids, &e);
	cr_assert_eq(rc, 0, "line %zu: %s", line, e.text);
	cr_expect(ids_equal(&ids, json_object_get(row, "ids")), "line %zu: ids differ", line);
	cr_assert_eq(engine_tokenizer_decode(t, ids.id, ids.count, false, &text, &e), 0);
	cr_expect(text.len == json_string_length(decoded) &&
	          memcmp(text.bytes ? text.bytes : "", json_string_value(decoded), text.len) == 0,
	          "line %zu: decoded text differs", line);
	engine_ids_free(&ids);
	buf_free(&text);
}

Test(tokenizer, ids_and_text_of_released_tokenizers_are_exact)
{
	static const char *const names[] = { "qwen3", "deepseek_v3" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[200];
		snprintf(path, sizeof path, FOLDER "%s.tokenizer.json.xz", names[i]);
		struct engine_tokenizer *t = vector_tokenizer(path);
		snprintf(path, sizeof path, FOLDER "%s.cases.jsonl", names[i]);
		cr_assert_geq(each_line(path, check_case, t), 400);
		engine_tokenizer_close(t);
	}
}

static void check_sample(const json_t *row, size_t line, void *ctx)
{
	struct engine_tokenizer *t = ctx;
	struct err e = { 0 };
	struct engine_ids ids = { 0 };
	struct buf text = { 0 };
	const json_t *in = json_object_get(row, "prompt"), *out = json_object_get(row, "output_ids");
	int rc = engine_tokenizer_encode(t, json_string_value(in), json_string_length(in), true, false, &ids, &e);
	cr_assert_eq(rc, 0, "%s", e.text);
	cr_expect(ids_equal(&ids, json_object_get(row, "prompt_ids")), "line %zu", line);
	ids.count = 0;
	for (size_t i = 0; i < json_array_size(out); i++) {
		uint32_t id = (uint32_t)json_integer_value(json_array_get(out, i));
		cr_assert_eq(engine_tokenizer_decode(t, &id, 1, true, &text, &e), 0);
	}
	cr_expect_str_eq(text.bytes, json_string_value(json_object_get(row, "text")), "line %zu", line);
	engine_ids_free(&ids);
	buf_free(&text);
}

Test(tokenizer, prompts_and_answers_of_the_demo_model_are_exact)
{
	struct engine_tokenizer *t = vector_tokenizer("demo/model/tokenizer.json");
	cr_assert_eq(each_line("demo/model/samples.jsonl", check_sample, t), 12);
	engine_tokenizer_close(t);
}
