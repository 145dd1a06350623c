/* tiktoken.model, the tokenizer file of Kimi.
 *
 *   file := (line LF)*      line := BASE64 ' ' RANK | empty
 *
 * Each line is a token's bytes and its rank, which is its id. Valid: ranks are 0 to n-1, each once;
 * tokens are distinct, not empty and at most TOKEN_BYTES long; every single byte is a token.
 * Behind the ranks come 256 special ids, named by added_tokens_decoder of tokenizer_config.json
 * where it does, else "<|reserved_token_ID|>".
 *
 * Two neighbours merge when their bytes together are a token, lowest rank first: so each way to cut
 * a token into two tokens is a merge with the rank of the whole, and a piece that is a token is
 * taken as it is. Tokens are kept in the byte-level alphabet, as in tokenizer.json. */
#include "tokenizer/tokenizer_in.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPECIALS 256
#define TOKEN_BYTES 1024
#define CUTS_MAX (1u << 23) /* about ten times those of the largest file in the field */

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
static const char pattern[] = "[\\p{Han}]+"
			      "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" SHORT
			      "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" SHORT "|\\p{N}{1,3}"
			      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
			      "|\\s*[\\r\\n]+"
			      "|\\s+(?!\\S)"
			      "|\\s+";

struct reading {
	struct tokenizer *t;
	struct span *token; /* [tokens], in the order of the file */
	uint32_t *rank;     /* [tokens] */
	uint32_t tokens;
	struct err *e;
};

static int wrong(struct reading *r, size_t line, const char *what)
{
	return err_set(r->e, ERR_INPUT, "tiktoken.model, line %zu: %s", line, what);
}

/* Bytes in the byte-level alphabet, in the arena. */
static int keep_token(struct reading *r, const struct buf *bytes, struct span *out)
{
	struct buf text = { 0 };
	for (size_t i = 0; i < bytes->len; i++) {
		char c[4];
		int n = text_utf8_encode(tokenizer_byte_to_level((unsigned char)bytes->bytes[i]),
					 c);
		buf_add(&text, c, (size_t)n);
	}
	out->bytes = text.failed ? NULL : arena_copy(&r->t->arena, text.bytes, text.len);
	out->len = text.len;
	buf_free(&text);
	return out->bytes ? 0 : err_set(r->e, ERR_NOMEM, "out of memory for tiktoken.model");
}

static int read_line(struct reading *r, const char *s, size_t len, size_t line, struct buf *bytes)
{
	const char *space = memchr(s, ' ', len);
	size_t n = space ? (size_t)(space - s) : len;
	uint64_t rank;
	buf_clear(bytes);
	if (!space || text_parse_u64(space + 1, len - n - 1, &rank) < 0)
		return wrong(r, line, "no rank");
	if (text_unbase64(bytes, s, n) < 0)
		return wrong(r, line, "the token is not base64");
	if (bytes->len == 0 || bytes->len > TOKEN_BYTES)
		return wrong(r, line, "the token is empty or too long");
	if (rank >= TOKENIZER_IDS_MAX - 2 * SPECIALS)
		return wrong(r, line, "the rank is too high");
	r->rank[r->tokens] = (uint32_t)rank;
	return keep_token(r, bytes, &r->token[r->tokens++]);
}

static int read_lines(struct reading *r, const char *text, size_t len)
{
	struct buf bytes = { 0 };
	size_t line = 0, most = 1;
	int rc = 0;
	for (size_t i = 0; i < len; i++)
		most += text[i] == '\n';
	most = most < TOKENIZER_IDS_MAX ? most : TOKENIZER_IDS_MAX;
	r->token = calloc(most, sizeof *r->token);
	r->rank = calloc(most, sizeof *r->rank);
	if (!r->token || !r->rank)
		return err_set(r->e, ERR_NOMEM, "out of memory for tiktoken.model");
	while (len && rc == 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len, whole = n + (end != NULL);
		line++;
		n -= n && text[n - 1] == '\r';
		if (n && r->tokens == most)
			rc = wrong(r, line, "too many tokens");
		else if (n)
			rc = read_line(r, text, n, line, &bytes);
		text += whole;
		len -= whole;
	}
	buf_free(&bytes);
	return rc;
}

static int fill_vocabulary(struct reading *r, uint32_t ids)
{
	struct vocab *v = &r->t->vocab;
	TRY(tokenizer_vocab_make(v, ids, (size_t)r->tokens + (ids - r->tokens), &r->t->arena,
				 r->e));
	for (uint32_t i = 0; i < r->tokens; i++) {
		uint32_t rank = r->rank[i];
		if (rank >= r->tokens)
			return err_set(r->e, ERR_INPUT, "tiktoken.model: rank %u of %u tokens",
				       rank, r->tokens);
		if (v->token[rank].bytes)
			return err_set(r->e, ERR_INPUT, "tiktoken.model: rank %u is used twice",
				       rank);
		if (tokenizer_vocab_find(v, r->token[i].bytes, r->token[i].len) != TOKENIZER_NONE)
			return err_set(r->e, ERR_INPUT,
				       "tiktoken.model: the token of rank %u is there twice", rank);
		TRY(tokenizer_vocab_add(v, r->token[i], rank, r->e));
	}
	for (unsigned b = 0; b < 256; b++) {
		char c[4];
		int n = text_utf8_encode(tokenizer_byte_to_level((unsigned char)b), c);
		if (tokenizer_vocab_find(v, c, (size_t)n) == TOKENIZER_NONE)
			return err_set(r->e, ERR_INPUT, "tiktoken.model: no token for byte %u", b);
	}
	return 0;
}

/* Each cut of a token into two tokens: counted, or put into the table. */
static size_t cut_tokens(struct tokenizer *t, uint32_t tokens, bool put)
{
	size_t count = 0;
	for (uint32_t id = 0; id < tokens; id++) {
		struct span s = t->vocab.token[id];
		for (size_t i = 1; i < s.len; i++) {
			if (((unsigned char)s.bytes[i] & 0xC0) == 0x80)
				continue;
			uint32_t left = tokenizer_vocab_find(&t->vocab, s.bytes, i);
			uint32_t right = tokenizer_vocab_find(&t->vocab, s.bytes + i, s.len - i);
			if (left == TOKENIZER_NONE || right == TOKENIZER_NONE)
				continue;
			if (put)
				tokenizer_merges_put(&t->merges,
						     (struct merge){ left, right, id, id });
			count++;
		}
	}
	return count;
}

/* ---- special tokens ---- */

static json_t *reserved(uint32_t id)
{
	char name[40];
	snprintf(name, sizeof name, "<|reserved_token_%u|>", id);
	return json_pack("{s:s,s:b,s:b}", "content", name, "special", 1, "normalized", 0);
}

/* The list of added tokens, as tokenizer.json has it; *ids: behind the last. */
static int list_specials(struct reading *r, const json_t *config, json_t *list, uint32_t *ids)
{
	const json_t *named = json_object_get(config, "added_tokens_decoder");
	const char *key;
	json_t *value;
	uint64_t id;
	*ids = r->tokens + SPECIALS;
	json_object_foreach((json_t *)named, key, value) {
		if (text_parse_u64(key, strlen(key), &id) < 0 || !json_is_object(value) ||
		    id < r->tokens || id >= r->tokens + 2 * SPECIALS)
			return err_set(
				r->e, ERR_INPUT,
				"tokenizer_config.json: added token %.40s is not behind the %u of "
				"tiktoken.model",
				key, r->tokens);
		*ids = id >= *ids ? (uint32_t)id + 1 : *ids;
	}
	for (uint32_t i = r->tokens; i < *ids; i++) {
		char name[16];
		snprintf(name, sizeof name, "%u", i);
		const json_t *known = json_object_get(named, name);
		json_t *added = known                      ? json_copy((json_t *)known)
				: i < r->tokens + SPECIALS ? reserved(i)
							   : NULL;
		if (known || added) {
			if (!added || json_object_set_new(added, "id", json_integer(i)) < 0 ||
			    json_array_append_new(list, added) < 0)
				return err_set(r->e, ERR_NOMEM, "out of memory for tiktoken.model");
		}
	}
	return 0;
}

static int open_steps(struct tokenizer *t, struct err *e)
{
	struct obj sequence = { 0 }, split = { 0 }, regex = { 0 }, levels = { 0 }, back = { 0 };
	struct arr steps = { 0 };
	json_t *pre = NULL, *decoder = NULL;
	int rc;
	obj_text(&regex, "Regex", pattern);
	obj_text(&split, "type", "Split");
	obj_object(&split, "pattern", &regex);
	obj_text(&split, "behavior", "Isolated");
	obj_bool(&split, "invert", false);
	arr_object(&steps, &split);
	obj_text(&levels, "type", "ByteLevel");
	obj_bool(&levels, "add_prefix_space", false);
	obj_bool(&levels, "use_regex", false);
	arr_object(&steps, &levels);
	obj_text(&sequence, "type", "Sequence");
	obj_array(&sequence, "pretokenizers", &steps);
	obj_text(&back, "type", "ByteLevel");
	TRY_OUT(obj_done(&sequence, &pre, e));
	TRY_OUT(obj_done(&back, &decoder, e));
	TRY_OUT(tokenizer_steps_load_pre(t, pre, e));
	TRY_OUT(tokenizer_steps_load_decoder(t, decoder, e));
out:
	obj_free(&back);
	json_decref(pre);
	json_decref(decoder);
	return rc;
}

static int open_all(struct reading *r, const char *text, size_t len, const json_t *config,
		    json_t *list)
{
	struct tokenizer *t = r->t;
	uint32_t ids = 0;
	TRY(read_lines(r, text, len));
	TRY(list_specials(r, config, list, &ids));
	TRY(fill_vocabulary(r, ids));
	size_t cuts = cut_tokens(t, r->tokens, false);
	if (cuts > CUTS_MAX)
		return err_set(r->e, ERR_INPUT, "tiktoken.model: more than %u ways to merge",
			       CUTS_MAX);
	TRY(tokenizer_merges_make(&t->merges, cuts, &t->arena, r->e));
	cut_tokens(t, r->tokens, true);
	t->ignore_merges = true;
	t->unk = TOKENIZER_NONE;
	tokenizer_find_bytes(t);
	TRY(tokenizer_added_open(t, list, r->e));
	TRY(open_steps(t, r->e));
	return tokenizer_added_index(t, r->e);
}

int tokenizer_open_tiktoken(struct tokenizer **out, const char *text, size_t len,
			    const json_t *config, struct err *e)
{
	struct reading r = { .t = calloc(1, sizeof *r.t), .e = e };
	json_t *list = json_array();
	*out = NULL;
	int rc = r.t && list ? open_all(&r, text, len, config, list)
			     : err_set(e, ERR_NOMEM, "out of memory for tiktoken.model");
	free(r.token);
	free(r.rank);
	json_decref(list);
	if (rc < 0)
		tokenizer_close(r.t);
	else
		*out = r.t;
	return rc;
}
