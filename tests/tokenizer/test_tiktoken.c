/* tiktoken.model against the tiktoken library's ids, and files that are wrong. */
#include "support.h"

#include "base/text.h"

#include <criterion/criterion.h>
#include <string.h>

#define FOLDER "tests/vectors/tokenizers/tiktoken"

static struct tokenizer *open_folder(void)
{
	struct tokenizer *t = NULL;
	struct buf ranks = vector_read(FOLDER "/tiktoken.model");
	struct buf names = vector_read(FOLDER "/tokenizer_config.json");
	json_t *config = vector_json(names.bytes, names.len);
	struct err e = { 0 };
	cr_assert_eq(tokenizer_open_tiktoken(&t, ranks.bytes, ranks.len, config, &e), 0, "%s", e.text);
	json_decref(config);
	buf_free(&ranks);
	buf_free(&names);
	return t;
}

static uint32_t id_of(const struct tokenizer *t, const char *token)
{
	return tokenizer_find(t, token, strlen(token));
}

Test(tokenizer_tiktoken, ids_and_texts_are_those_of_the_library)
{
	struct tokenizer *t = open_folder();
	struct buf b = vector_read(FOLDER "/cases.jsonl");
	struct err e = { 0 };
	int rows = 0;
	for (char *at = b.bytes, *end; (end = strchr(at, '\n')); at = end + 1, rows++) {
		json_t *row = vector_json(at, (size_t)(end - at)), *text = json_object_get(row, "text");
		const char *s = json_string_value(text);
		for (int special = 0; special < 2; special++) {
			struct token_ids ids = { 0 };
			struct buf out = { 0 };
			const json_t *expected = json_object_get(row, special ? "special" : "ids");
			int rc = tokenizer_encode(t, s, json_string_length(text), special, true, &ids, &e);
			cr_assert_eq(rc, 0, "%s", e.text);
			cr_expect(ids_equal(&ids, expected), "special %d: %s", special, s);
			cr_assert_eq(tokenizer_decode(t, ids.id, ids.count, false, &out, &e), 0);
			cr_expect_str_eq(out.bytes ? out.bytes : "", s);
			buf_free(&out);
			token_ids_free(&ids);
		}
		json_decref(row);
	}
	cr_expect_eq(rows, 200);
	buf_free(&b);
	tokenizer_close(t);
}

Test(tokenizer_tiktoken, names_of_special_tokens_come_from_the_config_or_are_reserved)
{
	struct tokenizer *t = open_folder();
	cr_expect_eq(tokenizer_ids(t), 2605 + 256);
	cr_expect_eq(id_of(t, "[BOS]"), 2605);
	cr_expect_eq(id_of(t, "<|reserved_token_2610|>"), 2610);
	cr_expect_eq(id_of(t, "[PAD]"), 2860);
	cr_expect(tokenizer_is_special(t, 2610));
	cr_expect(tokenizer_is_special(t, 2605));
	cr_expect(!tokenizer_is_special(t, 2617), "a tool marker stays in decoded text");
	cr_expect(!tokenizer_is_special(t, 100));
	tokenizer_close(t);
}

/* All bytes, then these lines. */
static int open_lines(const char *lines, const char *config, struct err *e)
{
	struct tokenizer *t = NULL;
	struct buf b = { 0 };
	json_t *j = config ? vector_json(config, strlen(config)) : NULL;
	for (unsigned i = 0; i < 256; i++) {
		text_base64(&b, &(unsigned char){ (unsigned char)i }, 1);
		buf_printf(&b, " %u\n", i);
	}
	buf_add_text(&b, lines);
	int rc = tokenizer_open_tiktoken(&t, b.bytes, b.len, j, e);
	tokenizer_close(t);
	json_decref(j);
	buf_free(&b);
	return rc;
}

Test(tokenizer_tiktoken, wrong_files_are_refused_with_a_reason)
{
	static const struct { const char *lines, *config, *says; } rows[] = {
		{ "YWI= 256\n", NULL, NULL },
		{ "YWI= 256\r\n\nYmM= 257", NULL, NULL },
		{ "YWI=\n", NULL, "line 257: no rank" },
		{ "YWI= x\n", NULL, "no rank" },
		{ "YWI= -1\n", NULL, "no rank" },
		{ "YWI= 0256\n", NULL, "no rank" },
		{ "YWI 256\n", NULL, "not base64" },
		{ "YW_= 256\n", NULL, "not base64" },
		{ " 256\n", NULL, "empty" },
		{ "YWI= 257\n", NULL, "rank 257 of 257" },
		{ "YWI= 99999999\n", NULL, "too high" },
		{ "YWI= 255\n", NULL, "used twice" },
		{ "YWI= 256\nYWI= 257\n", NULL, "there twice" },
		{ "YWI= 256\n", "{\"added_tokens_decoder\":{\"5\":{\"content\":\"x\"}}}", "added token 5" },
		{ "YWI= 256\n", "{\"added_tokens_decoder\":{\"9999\":{\"content\":\"x\"}}}", "added token 9999" },
		{ "YWI= 256\n", "{\"added_tokens_decoder\":{\"257\":{}}}", "content" },
		{ "YWI= 256\n", "{\"added_tokens_decoder\":{\"257\":{\"content\":\"[EOS]\"}}}", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = { 0 };
		int rc = open_lines(rows[i].lines, rows[i].config, &e);
		cr_expect_eq(rc, rows[i].says ? ERR_INPUT : 0, "%s: %s", rows[i].lines, e.text);
		cr_expect(!rows[i].says || strstr(e.text, rows[i].says), "%s: %s", rows[i].lines, e.text);
	}
	struct tokenizer *t;
	struct err e = { 0 };
	cr_expect_eq(tokenizer_open_tiktoken(&t, "YQ== 0\n", 7, NULL, &e), ERR_INPUT);
	cr_expect_not_null(strstr(e.text, "no token for byte 0"), "%s", e.text);
}

Test(tokenizer_tiktoken, a_token_longer_than_the_limit_is_refused)
{
	struct buf bytes = { 0 }, line = { 0 };
	struct err e = { 0 };
	for (int i = 0; i < 1025; i++)
		buf_add_byte(&bytes, 'a');
	text_base64(&line, bytes.bytes, 1025);
	buf_add_text(&line, " 256\n");
	cr_expect_eq(open_lines(line.bytes, NULL, &e), ERR_INPUT);
	cr_expect_not_null(strstr(e.text, "too long"), "%s", e.text);
	buf_free(&bytes);
	buf_free(&line);
}
