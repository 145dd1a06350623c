/* The vocabulary of a model as hashes of its tokens' texts, so that tokens of two models can be
 * told to be the same: the first eight bytes, big-endian, of the SHA-256 of the text as the file
 * spells it.
 *
 *   tokenizer.json   model.vocab {text: id} or [[text, score], ...], and added_tokens; a GGUF file
 *                    shows its tokens so
 *   vocab.json       {text: id}, where there is no tokenizer.json
 *
 * Of texts that come twice the lowest id counts. SentencePiece's and tiktoken's own files are not
 * read: there tokens are told apart by their ids. */
#include "flow/fork_model.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX ((size_t)1 << 22)

struct vocabulary {
	struct fork_token *token; /* [room] */
	size_t count, room;
};

static void token_add(struct vocabulary *v, const json_t *text, const char *key, json_int_t id)
{
	const char *s = key ? key : json_string_value(text);
	size_t len = key ? strlen(key) : json_string_length(text);
	if (!s || id < 0 || id > UINT32_MAX || v->count == v->room)
		return;
	struct digest d = digest_of(s, len);
	uint64_t hash = 0;
	for (int i = 0; i < 8; i++)
		hash = hash << 8 | d.bytes[i];
	v->token[v->count++] = (struct fork_token){ .hash = hash, .id = (uint32_t)id };
}

static int by_hash(const void *a, const void *b)
{
	const struct fork_token *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* {text: id}, or [[text, score], ...]. */
static void vocab_add(struct vocabulary *v, const json_t *vocab)
{
	const char *key;
	json_t *id;
	json_object_foreach((json_t *)(uintptr_t)vocab, key, id)
		token_add(v, NULL, key, json_is_integer(id) ? json_integer_value(id) : -1);
	for (size_t i = 0; i < json_array_size(vocab); i++)
		token_add(v, json_array_get(json_array_get(vocab, i), 0), NULL, (json_int_t)i);
}

static int tokens_take(const json_t *root, bool whole, struct vocabulary *v, struct err *e)
{
	const json_t *vocab =
		whole ? json_object_get(json_object_get(root, "model"), "vocab") : root;
	const json_t *added = whole ? json_object_get(root, "added_tokens") : NULL;
	v->room = json_object_size(vocab) + json_array_size(vocab) + json_array_size(added);
	if (v->room > TOKENS_MAX)
		v->room = 0;
	v->token = calloc(v->room + 1, sizeof *v->token);
	if (!v->token)
		return err_set(e, ERR_NOMEM, "vocabulary");
	vocab_add(v, vocab);
	for (size_t i = 0; i < json_array_size(added); i++) {
		const json_t *t = json_array_get(added, i), *id = json_object_get(t, "id");
		token_add(v, json_object_get(t, "content"), NULL,
			  json_is_integer(id) ? json_integer_value(id) : -1);
	}
	qsort(v->token, v->count, sizeof *v->token, by_hash);
	size_t n = 0;
	for (size_t i = 0; i < v->count; i++)
		if (n == 0 || v->token[i].hash != v->token[n - 1].hash)
			v->token[n++] = v->token[i];
	v->count = n;
	return 0;
}

int flow_fork_tokens(struct source *s, struct fork_token **out, size_t *count, struct err *e)
{
	static const char *const files[] = { "tokenizer.json", "vocab.json" };
	struct vocabulary v = { 0 };
	struct buf b = { 0 };
	json_t *root = NULL;
	int rc = ERR_NOTFOUND;
	*out = NULL;
	*count = 0;
	for (size_t i = 0; i < 2 && rc == ERR_NOTFOUND; i++) {
		struct err why = { 0 };
		buf_clear(&b);
		rc = source_read_file(s, files[i], LIMIT_JSON_BYTES, &b, &why);
		if (rc == 0)
			rc = json_read_as(&root, b.bytes, b.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH,
					  JSON_PYTHON, &why);
		if (rc == 0)
			rc = tokens_take(root, i == 0, &v, &why);
		json_decref(root);
		root = NULL;
		if (rc < 0 && rc != ERR_NOTFOUND && rc != ERR_INPUT)
			TRY_OUT(err_set(e, rc, "%s", why.text));
	}
	rc = 0;
	*out = v.token;
	*count = v.count;
	v.token = NULL;
out:
	free(v.token);
	buf_free(&b);
	return rc;
}
