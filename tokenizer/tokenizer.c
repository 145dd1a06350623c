/* tokenizer.json as a whole: open, encode, decode. */
#include "tokenizer/tokenizer_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void token_ids_free(struct token_ids *ids)
{
	free(ids->id);
	*ids = (struct token_ids){ 0 };
}

int token_ids_add(struct token_ids *ids, uint32_t id, struct err *e)
{
	if (ids->most > 0 && ids->count == ids->most)
		return err_set(e, ERR_INPUT, "the text has more than %zu tokens", ids->most);
	if (ids->count == ids->room) {
		size_t room = ids->room ? ids->room * 2 : 64;
		uint32_t *grown = realloc(ids->id, room * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_NOMEM, "out of memory for token ids");
		ids->id = grown;
		ids->room = room;
	}
	ids->id[ids->count++] = id;
	return 0;
}

/* ---- opening ---- */

static bool empty_or_null(const json_t *v)
{
	return !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
}

static int refuse(const char *what, const char *value, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		       "not available in this version: tokenizer.json: %s %.60s", what, value);
}

void tokenizer_find_bytes(struct tokenizer *t)
{
	for (unsigned b = 0; b < 256; b++) {
		char name[8];
		snprintf(name, sizeof name, "<0x%02X>", b);
		t->byte_id[b] = tokenizer_vocab_find(&t->vocab, name, 6);
	}
}

static int check_model(const json_t *m, struct err *e)
{
	const char *type = json_string_value(json_object_get(m, "type"));
	const json_t *dropout = json_object_get(m, "dropout");
	if (!json_is_object(m))
		return err_set(e, ERR_INPUT, "tokenizer.json: no model");
	if (type ? strcmp(type, "BPE") != 0 : !json_is_array(json_object_get(m, "merges")))
		return refuse("model", type ? type : "without a type", e);
	if (dropout && !json_is_null(dropout))
		return refuse("model with", "dropout", e);
	if (!empty_or_null(json_object_get(m, "continuing_subword_prefix")))
		return refuse("model with", "continuing_subword_prefix", e);
	if (!empty_or_null(json_object_get(m, "end_of_word_suffix")))
		return refuse("model with", "end_of_word_suffix", e);
	if (!json_is_object(json_object_get(m, "vocab")) ||
	    !json_is_array(json_object_get(m, "merges")))
		return err_set(e, ERR_INPUT, "tokenizer.json: the model has no vocab or no merges");
	return 0;
}

static int check_switches(const json_t *m, struct err *e)
{
	static const char *const names[] = { "byte_fallback", "fuse_unk", "ignore_merges" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const json_t *v = json_object_get(m, names[i]);
		if (v && !json_is_null(v) && !json_is_boolean(v))
			return err_set(e, ERR_INPUT,
				       "tokenizer.json: model: %s is neither true nor false",
				       names[i]);
	}
	return 0;
}

static int open_model(struct tokenizer *t, const json_t *j, struct err *e)
{
	const json_t *m = json_object_get(j, "model"), *added = json_object_get(j, "added_tokens");
	const json_t *unk = json_object_get(m, "unk_token");
	TRY(check_model(m, e));
	TRY(check_switches(m, e));
	if (added && !json_is_null(added) && !json_is_array(added))
		return err_set(e, ERR_INPUT, "tokenizer.json: added_tokens is not a list");
	TRY(tokenizer_vocab_open(&t->vocab, json_object_get(m, "vocab"), added, &t->arena, e));
	TRY(tokenizer_merges_open(&t->merges, json_object_get(m, "merges"), &t->vocab, &t->arena,
				  e));
	t->byte_fallback = json_is_true(json_object_get(m, "byte_fallback"));
	t->fuse_unk = json_is_true(json_object_get(m, "fuse_unk"));
	t->ignore_merges = json_is_true(json_object_get(m, "ignore_merges"));
	t->unk = TOKENIZER_NONE;
	if (json_is_string(unk)) {
		t->unk = tokenizer_vocab_find(&t->vocab, json_string_value(unk),
					      json_string_length(unk));
		if (t->unk == TOKENIZER_NONE)
			return err_set(e, ERR_INPUT,
				       "tokenizer.json: unk_token is not in the vocabulary");
	}
	tokenizer_find_bytes(t);
	return tokenizer_added_open(t, added, e);
}

static int open_all(struct tokenizer *t, const json_t *j, struct err *e)
{
	TRY(open_model(t, j, e));
	TRY(tokenizer_steps_load_normalizer(t, json_object_get(j, "normalizer"), e));
	TRY(tokenizer_steps_load_pre(t, json_object_get(j, "pre_tokenizer"), e));
	TRY(tokenizer_steps_load_decoder(t, json_object_get(j, "decoder"), e));
	TRY(tokenizer_steps_load_post(t, json_object_get(j, "post_processor"), e));
	return tokenizer_added_index(t, e);
}

int tokenizer_open(struct tokenizer **out, const void *json, size_t len, struct err *e)
{
	json_t *j = NULL;
	int rc = json_read_as(&j, json, len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON, e);
	*out = NULL;
	if (rc < 0)
		return err_prefix(e, "tokenizer.json");
	struct tokenizer *t = calloc(1, sizeof *t);
	rc = t ? open_all(t, j, e) : err_set(e, ERR_NOMEM, "out of memory for the tokenizer");
	json_decref(j);
	if (rc < 0) {
		tokenizer_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

void tokenizer_close(struct tokenizer *t)
{
	if (!t)
		return;
	tokenizer_added_close(t);
	tokenizer_steps_close(&t->normalizers);
	tokenizer_steps_close(&t->pre);
	tokenizer_steps_close(&t->decoders);
	token_ids_free(&t->before);
	token_ids_free(&t->after);
	arena_free(&t->arena);
	free(t);
}

/* ---- encoding ---- */

struct encoder {
	const struct tokenizer *t;
	struct onig_scratch scratch;
	struct bpe_scratch bpe;
	struct token_ids *out;
	struct err *e;
};

/* Text without added tokens. */
static int encode_plain(struct encoder *c, const char *text, size_t len, bool first)
{
	struct pieces p = { 0 };
	buf_add(&p.text, text, len);
	int rc = buf_done(&p.text, c->e);
	if (rc == 0)
		rc = tokenizer_pieces_add(&p, 0, len, first, c->e);
	if (rc == 0)
		rc = tokenizer_pre_tokenize(&c->t->pre, &c->scratch, &p, c->e);
	for (size_t i = 0; i < p.count && rc == 0; i++)
		rc = tokenizer_bpe_encode(c->t, &c->bpe, p.text.bytes + p.at[i].begin,
					  p.at[i].end - p.at[i].begin, c->out, c->e);
	tokenizer_pieces_free(&p);
	return rc;
}

/* Text between added tokens that are found before normalisation. */
static int encode_gap(struct encoder *c, const char *text, const char *origin, size_t len,
		      bool first)
{
	struct marked m = { 0 };
	struct found_list found = { 0 };
	size_t at = 0;
	if (!len)
		return 0;
	buf_add(&m.text, text, len);
	if (origin)
		buf_add(&m.origin, origin, len);
	int rc = m.text.failed || m.origin.failed
			 ? err_set(c->e, ERR_NOMEM, "out of memory for a text")
			 : 0;
	if (rc == 0)
		rc = tokenizer_normalize(&c->t->normalizers, &c->scratch, &m, c->e);
	if (rc == 0)
		rc = tokenizer_added_find(c->t, c->t->normal, m.text.bytes, m.origin.bytes,
					  m.text.len, &found, c->e);
	first = first && !m.cut;
	for (size_t i = 0; i < found.count && rc == 0; i++) {
		if (found.at[i].begin > at)
			rc = encode_plain(c, m.text.bytes + at, found.at[i].begin - at,
					  first && at == 0);
		if (rc == 0)
			rc = token_ids_add(c->out, found.at[i].id, c->e);
		at = found.at[i].end;
	}
	if (rc == 0 && at < m.text.len)
		rc = encode_plain(c, m.text.bytes + at, m.text.len - at, first && at == 0);
	free(found.at);
	tokenizer_marked_free(&m);
	return rc;
}

static int encode_text(struct encoder *c, const char *text, const char *origin, size_t len)
{
	struct found_list found = { 0 };
	size_t at = 0;
	int rc = tokenizer_added_find(c->t, c->t->raw, text, origin, len, &found, c->e);
	for (size_t i = 0; i < found.count && rc == 0; i++) {
		if (found.at[i].begin > at)
			rc = encode_gap(c, text + at, origin ? origin + at : NULL,
					found.at[i].begin - at, at == 0);
		if (rc == 0)
			rc = token_ids_add(c->out, found.at[i].id, c->e);
		at = found.at[i].end;
	}
	if (rc == 0)
		rc = encode_gap(c, text + at, origin ? origin + at : NULL, len - at, at == 0);
	free(found.at);
	return rc;
}

static int add_all(struct token_ids *out, const struct token_ids *ids, struct err *e)
{
	for (size_t i = 0; i < ids->count; i++)
		TRY(token_ids_add(out, ids->id[i], e));
	return 0;
}

int tokenizer_encode_marked(const struct tokenizer *t, const char *text, const char *origin,
			    size_t len, bool post, struct token_ids *out, struct err *e)
{
	struct encoder c = { .t = t, .bpe.guarded = origin != NULL, .out = out, .e = e };
	int rc = 0;
	if (len > TOKENIZER_TEXT_BYTES)
		return err_set(e, ERR_INPUT, "a text of %zu bytes is longer than %zu", len,
			       TOKENIZER_TEXT_BYTES);
	if (!text_utf8_valid(text, len))
		return err_set(e, ERR_INPUT, "the text to encode is not UTF-8");
	if (post)
		rc = add_all(out, &t->before, e);
	if (rc == 0 && len)
		rc = encode_text(&c, text, origin, len);
	if (rc == 0 && post)
		rc = add_all(out, &t->after, e);
	onig_scratch_free(&c.scratch);
	tokenizer_bpe_scratch_free(&c.bpe);
	return rc;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool special,
		     bool post, struct token_ids *out, struct err *e)
{
	char *data = NULL;
	if (!special) { /* every byte is data: no control token is seen in it */
		data = malloc(len + 1);
		if (!data)
			return err_set(e, ERR_NOMEM, "out of memory for a text");
		memset(data, 1, len + 1);
	}
	int rc = tokenizer_encode_marked(t, text, data, len, post, out, e);
	free(data);
	return rc;
}

int tokenizer_decode(const struct tokenizer *t, const uint32_t *id, size_t count, bool skip_special,
		     struct buf *out, struct err *e)
{
	struct tokenizer_decode_state s = { 0 };
	for (size_t i = 0; i < count; i++)
		TRY(tokenizer_decode_token(t, &s, id[i], skip_special, out, e));
	return 0;
}

/* ---- what the tokens are ---- */

uint32_t tokenizer_ids(const struct tokenizer *t) { return t->vocab.ids; }

size_t tokenizer_bytes_max(const struct tokenizer *t)
{
	size_t most = 0;
	for (uint32_t i = 0; i < t->vocab.ids; i++)
		most = t->vocab.token[i].len > most ? t->vocab.token[i].len : most;
	return most;
}

uint32_t tokenizer_find(const struct tokenizer *t, const char *token, size_t len)
{
	return tokenizer_vocab_find(&t->vocab, token, len);
}

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id)
{
	return id < t->vocab.ids && t->added_of[id] != TOKENIZER_NONE &&
	       t->added[t->added_of[id]].special;
}

size_t tokenizer_control(const struct tokenizer *t, size_t at, struct tokenizer_control *out)
{
	while (at < t->added_count && !t->added[at].control)
		at++;
	if (at == t->added_count)
		return 0;
	const struct added *a = &t->added[at];
	*out = (struct tokenizer_control){ a->content.bytes, a->content.len, a->id, a->special };
	return at + 1;
}
