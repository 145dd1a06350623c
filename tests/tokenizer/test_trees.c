/* The trees of the bytes of tokens. */
#include "base/file.h"
#include "base/limits.h"
#include "tokenizer/tokenizer_in.h"

#include <criterion/criterion.h>
#include <string.h>

/* Decoders in the manner of sentencepiece: the first token of a text loses its space. */
static const char pieces[] =
	"{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,"
	"\"<s>\":1,\"</s>\":2,\"<0x0A>\":3,\"<0xC3>\":4,\"<0xA9>\":5,\"\xE2\x96\x81\":6,\"a\":7,"
	"\"\xE2\x96\x81" "a\":8,\"b\":9,\"ab\":10,\"\xE2\x96\x81\xE2\x96\x81\":11},\"merges\":[]},"
	"\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"special\":true},{\"id\":2,\"content\":\"</s>\","
	"\"special\":true}],\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":"
	"{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
	"{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}}";

/* The node that the bytes lead to, or NULL. */
static const struct token_node *tree_find(const struct token_tree *t, const char *bytes, size_t len)
{
	const struct token_node *found = NULL;
	uint32_t i = 0, end = t->nodes;
	for (size_t at = 0; at < len; at++) {
		while (i < end && t->node[i].byte != (unsigned char)bytes[at])
			i = t->node[i].end;
		if (i == end)
			return NULL;
		cr_assert_eq(t->node[i].depth, at + 1);
		found = &t->node[i];
		end = found->end;
		i++;
	}
	return found;
}

/* What a token adds to a text is what the tree says of it, at the start and after another token. */
static void trees_check(const struct tokenizer *k, uint32_t before)
{
	struct token_trees *w = NULL;
	struct err e = { 0 };
	size_t seen = 0;
	cr_assert_eq(token_trees_open(&w, k, &e), 0, "%s", e.text);
	for (uint32_t id = 0; id < w->ids; id++) {
		for (int first = 0; first < 2; first++) {
			const struct token_tree *t = token_trees_at(w, first);
			const uint32_t ids[] = { before, id };
			struct buf with = { 0 }, without = { 0 };
			if (k->vocab.token[id].bytes == NULL)
				continue;
			cr_assert_eq(tokenizer_decode(k, ids, 1, false, &without, &e), 0);
			cr_assert_eq(tokenizer_decode(k, ids + first, first ? 1 : 2, false, &with, &e), 0);
			size_t skip = first ? 0 : without.len, len = t->offset[id + 1] - t->offset[id];
			cr_assert_eq(with.len - skip, len, "token %u, first %d", id, first);
			cr_assert(len == 0 || memcmp(with.bytes + skip, t->bytes + t->offset[id], len) == 0);
			bool outside = (w->outside[id / 64] >> (id % 64) & 1) != 0;
			const struct token_node *node = tree_find(t, t->bytes + t->offset[id], len);
			bool member = false;
			for (uint32_t i = node ? node->token : TOKENIZER_NONE; i != TOKENIZER_NONE; i = t->same[i])
				member = member || i == id;
			cr_assert_eq(member, !outside && len > 0, "token %u, first %d", id, first);
			seen += member;
			buf_free(&with);
			buf_free(&without);
		}
	}
	cr_assert_gt(seen, 10);
	token_trees_close(w);
}

Test(tokenizer_trees, trees_hold_the_bytes_that_decoding_gives)
{
	struct tokenizer *k;
	struct err e = { 0 };
	struct buf file = { 0 };
	cr_assert_eq(tokenizer_open(&k, pieces, strlen(pieces), &e), 0, "%s", e.text);
	trees_check(k, 7);
	tokenizer_close(k);
	cr_assert_eq(file_read("demo/model/tokenizer.json", MIB(16), &file, &e), 0, "%s", e.text);
	cr_assert_eq(tokenizer_open(&k, file.bytes, file.len, &e), 0, "%s", e.text);
	trees_check(k, tokenizer_find(k, "a", 1));
	tokenizer_close(k);
	buf_free(&file);
}
