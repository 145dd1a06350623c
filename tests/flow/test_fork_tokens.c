/* The vocabulary of a model, for comparing tokens by their texts. */
#include "flow/fork_model.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text)
{
	struct digest d = digest_of(text, strlen(text));
	uint64_t h = 0;
	for (int i = 0; i < 8; i++)
		h = h << 8 | d.bytes[i];
	return h;
}

static const struct {
	const char *row, *file, *text;
	size_t count;
	struct { const char *text; uint32_t id; } has[4];
} files[] = {
	{ "BPE", "tokenizer.json",
	  "{\"model\":{\"vocab\":{\"a\":0,\"\u0120b\":7}},\"added_tokens\":[{\"id\":9,\"content\":\"<s>\"}]}", 3,
	  { { "a", 0 }, { "\u0120b", 7 }, { "<s>", 9 } } },
	{ "unigram", "tokenizer.json", "{\"model\":{\"vocab\":[[\"<unk>\",0.0],[\"x\",-1.5]]}}", 2,
	  { { "<unk>", 0 }, { "x", 1 } } },
	{ "a token that is added and in the list", "tokenizer.json",
	  "{\"model\":{\"vocab\":{\"a\":4}},\"added_tokens\":[{\"id\":4,\"content\":\"a\"}]}", 1, { { "a", 4 } } },
	{ "GPT-2's own file", "vocab.json", "{\"a\":1}", 1, { { "a", 1 } } },
	{ "ids that are none", "tokenizer.json",
	  "{\"model\":{\"vocab\":{\"a\":-1,\"b\":\"2\",\"c\":4294967296,\"d\":3}}}", 1, { { "d", 3 } } },
	{ "a tokenizer.json that is none beside a list", "tokenizer.json", "[]", 0, { { NULL, 0 } } },
	{ "tiktoken", "tiktoken.model", "YQ== 0\nIGI= 5\nCg== 6\n/60= 7", 4,
	  { { "a", 0 }, { "\u0120b", 5 }, { "\u010a", 6 }, { "\u00ff\u0143", 7 } } },
	{ "a line that is none", "qwen.tiktoken", "YQ== 0\nx", 0, { { NULL, 0 } } },
	/* pieces <unk> and \u2581a with a score and a type; then the trainer's settings */
	{ "SentencePiece", "tokenizer.model",
	  "\x0a\x0e\x0a\x05<unk>\x15\x01\x01\x01\x01\x18\x02\x0a\x06\x0a\x04\xe2\x96\x81" "a\x12\x02\x08\x01", 2,
	  { { "<unk>", 0 }, { "\u2581a", 1 } } },
	{ "SentencePiece, cut", "tokenizer.model", "\x0a\x07\x0a\x05<unk>\x0a\x06\x0a\x04\xe2", 0, { { NULL, 0 } } },
	{ "no JSON", "tokenizer.json", "{", 0, { { NULL, 0 } } },
	{ "none", "README.md", "x", 0, { { NULL, 0 } } },
};

Test(flow_fork_tokens, are_told_by_their_texts)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct memory_source m;
		struct fork_token *t;
		struct err e = { 0 };
		size_t n, found = 0;
		memory_init(&m);
		buf_add_text(memory_add(&m, files[i].file), files[i].text);
		cr_assert_eq(flow_fork_tokens(&m.source, &t, &n, &e), 0, "%s: %s", files[i].row, e.text);
		cr_assert_eq(n, files[i].count, "%s: %zu", files[i].row, n);
		for (size_t k = 0; k < n; k++) {
			cr_expect(k == 0 || t[k - 1].hash < t[k].hash, "%s", files[i].row);
			for (size_t j = 0; j < 4 && files[i].has[j].text; j++)
				found += t[k].hash == hash_of(files[i].has[j].text) && t[k].id == files[i].has[j].id;
		}
		cr_expect_eq(found, files[i].count, "%s", files[i].row);
		free(t);
		memory_free(&m);
	}
}
