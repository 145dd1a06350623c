/* The vocabulary of a model as hashes of its tokens' texts, so that tokens of two models can be
 * told to be the same: the first eight bytes, big-endian, of the SHA-256 of the text as
 * tokenizer.json spells it. The first file that is there and can be read:
 *
 *   tokenizer.json   model.vocab {text: id} or [[text, score], ...], and added_tokens; a GGUF
 *                    file shows its tokens so
 *   vocab.json       {text: id}
 *   tokenizer.model, tiktoken.model, qwen.tiktoken
 *                    SentencePiece's ModelProto: field 1, repeated, is a piece, whose field 1 is
 *                    its text; else lines of tiktoken, "BASE64 ID", whose bytes are spelled as
 *                    GPT-2 spells them: those that print as they are, the others from U+0100 on
 *
 * Of texts that come twice the lowest id counts. Where there is none of these, tokens are told
 * apart by their ids. */
#include "base/text.h"
#include "flow/fork_model.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX ((size_t)1 << 22)

struct vocabulary {
	struct fork_token *token; /* [room] */
	size_t count, room;
	bool failed; /* no memory */
};

static void token_add(struct vocabulary *v, const char *s, size_t len, json_int_t id)
{
	if (!s || id < 0 || id > UINT32_MAX || v->count == TOKENS_MAX || v->failed)
		return;
	if (v->count == v->room) {
		size_t room = v->room * 2 + 1024;
		struct fork_token *more = realloc(v->token, room * sizeof *more);
		v->failed = !more;
		if (!more)
			return;
		v->token = more;
		v->room = room;
	}
	struct digest d = digest_of(s, len);
	uint64_t hash = 0;
	for (int i = 0; i < 8; i++)
		hash = hash << 8 | d.bytes[i];
	v->token[v->count++] = (struct fork_token){ .hash = hash, .id = (uint32_t)id };
}

static void json_token(struct vocabulary *v, const json_t *text, const json_t *id)
{
	token_add(v, json_string_value(text), json_string_length(text),
		  json_is_integer(id) ? json_integer_value(id) : -1);
}

static int by_hash(const void *a, const void *b)
{
	const struct fork_token *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* ---- JSON ---- */

/* {text: id}, or [[text, score], ...]. */
static void vocab_add(struct vocabulary *v, const json_t *vocab)
{
	const char *key;
	json_t *id;
	json_object_foreach((json_t *)(uintptr_t)vocab, key, id)
		token_add(v, key, strlen(key), json_is_integer(id) ? json_integer_value(id) : -1);
	for (size_t i = 0; i < json_array_size(vocab); i++) {
		const json_t *text = json_array_get(json_array_get(vocab, i), 0);
		token_add(v, json_string_value(text), json_string_length(text), (json_int_t)i);
	}
}

static int json_tokens(struct vocabulary *v, const struct buf *b, struct err *e)
{
	json_t *root = NULL;
	TRY(json_read_as(&root, b->bytes, b->len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON,
			 e));
	const json_t *model = json_object_get(root, "model"),
		     *added = json_object_get(root, "added_tokens");
	vocab_add(v, json_is_object(model) ? json_object_get(model, "vocab") : root);
	for (size_t i = 0; i < json_array_size(added); i++) {
		const json_t *t = json_array_get(added, i);
		json_token(v, json_object_get(t, "content"), json_object_get(t, "id"));
	}
	json_decref(root);
	return 0;
}

/* ---- SentencePiece ---- */

struct fields {
	const unsigned char *at, *end;
};

static bool varint(struct fields *f, uint64_t *out)
{
	*out = 0;
	for (int shift = 0; shift < 64 && f->at < f->end; shift += 7) {
		unsigned char c = *f->at++;
		*out |= (uint64_t)(c & 127) << shift;
		if (c < 128)
			return true;
	}
	return false;
}

/* The next field, `in` being its bytes where it has a length; false: the end, or no field. */
static bool field_next(struct fields *f, uint64_t *number, struct fields *in)
{
	uint64_t key, len = 0, ignored;
	*in = (struct fields){ NULL, NULL };
	if (!varint(f, &key))
		return false;
	*number = key >> 3;
	switch (key & 7) {
	case 0:
		return varint(f, &ignored);
	case 1:
		len = 8;
		break;
	case 2:
		if (!varint(f, &len))
			return false;
		break;
	case 5:
		len = 4;
		break;
	default:
		return false;
	}
	if (len > (uint64_t)(f->end - f->at))
		return false;
	if ((key & 7) == 2)
		*in = (struct fields){ f->at, f->at + len };
	f->at += len;
	return true;
}

static void piece_tokens(struct vocabulary *v, const struct buf *b)
{
	struct fields f = { (const unsigned char *)b->bytes,
			    (const unsigned char *)b->bytes + b->len },
		      piece, text;
	uint64_t number;
	json_int_t id = 0;
	while (field_next(&f, &number, &piece)) {
		if (number != 1 || !piece.at)
			continue;
		while (field_next(&piece, &number, &text))
			if (number == 1 && text.at)
				token_add(v, (const char *)text.at, (size_t)(text.end - text.at),
					  id);
		id++;
	}
	if (f.at != f.end)
		v->count = 0; /* no such file */
}

/* ---- tiktoken ---- */

static bool prints(unsigned byte)
{
	return (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
}

static void spell(const struct buf *bytes, struct buf *out)
{
	char utf8[4];
	for (size_t i = 0; i < bytes->len; i++) {
		unsigned byte = (unsigned char)bytes->bytes[i], before = 0;
		for (unsigned k = 0; k < byte; k++)
			before += !prints(k);
		int n = text_utf8_encode(prints(byte) ? byte : 256 + before, utf8);
		buf_add(out, utf8, (size_t)n);
	}
}

/* Whether all lines are such; those before one that is not count for nothing. */
static bool line_tokens(struct vocabulary *v, const struct buf *b)
{
	struct buf bytes = { 0 }, text = { 0 };
	const char *at = b->bytes, *end = b->bytes + b->len;
	bool good = b->len > 0;
	while (good && at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at)), *stop = line ? line : end;
		const char *space = memchr(at, ' ', (size_t)(stop - at));
		uint64_t id;
		buf_clear(&bytes);
		buf_clear(&text);
		good = space && text_unbase64(&bytes, at, (size_t)(space - at)) == 0 &&
		       text_parse_u64(space + 1, (size_t)(stop - space) - 1, &id) == 0 &&
		       id <= UINT32_MAX;
		if (good) {
			spell(&bytes, &text);
			token_add(v, text.bytes ? text.bytes : "", text.len, (json_int_t)id);
		}
		at = stop + (line != NULL);
	}
	v->failed = v->failed || bytes.failed || text.failed;
	buf_free(&bytes);
	buf_free(&text);
	return good;
}

static int model_tokens(struct vocabulary *v, const struct buf *b, struct err *e)
{
	(void)e;
	if (line_tokens(v, b))
		return 0;
	v->count = 0;
	piece_tokens(v, b);
	return 0;
}

/* ---- whole ---- */

static int tokens_read(struct source *s, struct vocabulary *v, struct err *e)
{
	static const struct {
		const char *name;
		int (*take)(struct vocabulary *v, const struct buf *b, struct err *e);
	} files[] = {
		{ "tokenizer.json", json_tokens },   { "vocab.json", json_tokens },
		{ "tokenizer.model", model_tokens }, { "tiktoken.model", model_tokens },
		{ "qwen.tiktoken", model_tokens },
	};
	struct buf b = { 0 };
	int rc = 0;
	for (size_t i = 0; i < sizeof files / sizeof *files && v->count == 0; i++) {
		struct err why = { 0 };
		buf_clear(&b);
		rc = source_read_file(s, files[i].name, LIMIT_JSON_BYTES, &b, &why);
		if (rc == 0)
			rc = files[i].take(v, &b, &why);
		if (v->failed)
			rc = err_set(&why, ERR_NOMEM, "vocabulary");
		if (rc < 0 && rc != ERR_NOTFOUND && rc != ERR_INPUT)
			TRY_OUT(err_set(e, rc, "%s", why.text));
	}
	rc = 0;
out:
	buf_free(&b);
	return rc;
}

int flow_fork_tokens(struct source *s, struct fork_token **out, size_t *count, struct err *e)
{
	struct vocabulary v = { 0 };
	size_t n = 0;
	*out = NULL;
	*count = 0;
	int rc = tokens_read(s, &v, e);
	if (rc < 0) {
		free(v.token);
		return rc;
	}
	if (v.count > 0)
		qsort(v.token, v.count, sizeof *v.token, by_hash);
	for (size_t i = 0; i < v.count; i++)
		if (n == 0 || v.token[i].hash != v.token[n - 1].hash)
			v.token[n++] = v.token[i];
	*out = v.token;
	*count = n;
	return 0;
}
