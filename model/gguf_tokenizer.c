/* tokenizer.json and tokenizer_config.json from the metadata of a GGUF file.
 *
 *   tokenizer.ggml.model   gpt2: BPE over bytes; .pre names the pre-tokenizer (gguf_pre.c)
 *                          llama: SentencePiece's BPE: pieces with scores, bytes that are no piece
 *                          by <0xNN>; gemma4: the same with merges
 *   .tokens .token_type    1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
 *   .scores .merges        of which a vocabulary has one
 *
 * SentencePiece joins the two neighbours whose joint piece has the highest score. As merges: every
 * way to cut a piece in two pieces, in the order of the joint piece's score, as the Hugging Face
 * converter orders them (transformers, convert_slow_tokenizer.py, generate_merges). */
#include "model/gguf_tokenizer.h"
#include "model/gguf_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Of a piece with a score, whose cuts are all looked up; the longest of releases has 93. */
#define PIECE_BYTES 256

#define SPACE "\xE2\x96\x81" /* U+2581, which SentencePiece writes for a space */

enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER, TOKEN_UNUSED };

struct vocabulary {
	const struct gguf_model *m;
	const json_t *tokens, *types, *scores, *merges;
	const struct gguf_pre *pre; /* gpt2; NULL: pieces with scores */
	bool prefix;                /* a text begins with a space */
	json_t *vocab, *added;      /* of tokenizer.json */
	json_t *apart;              /* gpt2: tokens that merging does not make */
	struct err *e;
};

static const json_t *ask(const struct gguf_model *m, const char *key)
{
	char name[80];
	snprintf(name, sizeof name, "tokenizer.ggml.%s", key);
	return json_object_get(m->part[0]->meta, name);
}

static int no_memory(const struct gguf_model *m, struct err *e)
{
	return err_set(e, ERR_NOMEM, "%s: tokenizer", m->file);
}

static bool flag(const struct gguf_model *m, const char *key, bool otherwise)
{
	const json_t *v = ask(m, key);
	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

/* A token's text by the key of its id, or NULL. */
static const char *token_of(const struct gguf_model *m, const char *key, json_int_t *id)
{
	const json_t *v = ask(m, key);
	*id = json_is_integer(v) ? json_integer_value(v) : -1;
	return *id < 0 ? NULL : json_string_value(json_array_get(ask(m, "tokens"), (size_t)*id));
}

static int type_of(const struct vocabulary *v, size_t id)
{
	json_int_t bos, eos;
	if (v->types)
		return (int)json_integer_value(json_array_get(v->types, id));
	token_of(v->m, "bos_token_id", &bos);
	token_of(v->m, "eos_token_id", &eos);
	return (json_int_t)id == bos || (json_int_t)id == eos ? TOKEN_CONTROL : TOKEN_NORMAL;
}

/* ---- which tokens ---- */

/* What conversion puts where the vocabulary has no token: "[PAD17]". */
static bool is_hole(const char *token, int type)
{
	return type == TOKEN_UNUSED && text_starts(token, "[PAD") && text_ends(token, "]");
}

static int added_add(struct vocabulary *v, const char *token, size_t id, bool special)
{
	json_t *a = json_pack("{s:I,s:s,s:b,s:b,s:b,s:b,s:b}", "id", (json_int_t)id, "content",
			      token, "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0,
			      "special", special);
	return json_array_append_new(v->added, a) < 0 ? no_memory(v->m, v->e) : 0;
}

static int vocab_add(struct vocabulary *v, const char *token, size_t id)
{
	if (json_object_get(v->vocab, token))
		return err_set(v->e, ERR_INPUT,
			       "%s: token \"%.60s\" is there twice, as %lld and %zu", v->m->file,
			       token,
			       (long long)json_integer_value(json_object_get(v->vocab, token)), id);
	return json_object_set_new_nocheck(v->vocab, token, json_integer((json_int_t)id)) < 0
		       ? no_memory(v->m, v->e)
		       : 0;
}

static int token_add(struct vocabulary *v, size_t id)
{
	const char *token = json_string_value(json_array_get(v->tokens, id));
	int type = type_of(v, id);
	bool control = type == TOKEN_CONTROL || type == TOKEN_UNKNOWN;
	if (!token)
		return err_set(v->e, ERR_INPUT, "%s: tokenizer.ggml.tokens: %zu is no text",
			       v->m->file, id);
	if (is_hole(token, type) || *token == '\0')
		return 0;
	if (control || type == TOKEN_USER)
		TRY(added_add(v, token, id, control));
	if (v->pre && (control || type == TOKEN_USER))
		return json_object_set_new_nocheck(v->apart, token, json_integer((json_int_t)id)) <
				       0
			       ? no_memory(v->m, v->e)
			       : 0;
	return vocab_add(v, token, id);
}

/* A token apart that a merge needs all the same. */
static int apart_use(struct vocabulary *v, const char *token, size_t len)
{
	const json_t *id = json_object_getn(v->apart, token, len);
	if (!id || json_object_getn(v->vocab, token, len))
		return 0;
	return json_object_setn_new_nocheck(v->vocab, token, len,
					    json_integer(json_integer_value(id))) < 0
		       ? no_memory(v->m, v->e)
		       : 0;
}

static int merge_check(struct vocabulary *v, size_t i, struct buf *whole)
{
	const char *text = json_string_value(json_array_get(v->merges, i));
	const char *space = text ? strchr(text, ' ') : NULL;
	if (!space)
		return err_set(v->e, ERR_INPUT, "%s: tokenizer.ggml.merges: %zu is no pair",
			       v->m->file, i);
	buf_clear(whole);
	buf_add(whole, text, (size_t)(space - text));
	buf_add_text(whole, space + 1);
	TRY(buf_done(whole, v->e));
	TRY(apart_use(v, text, (size_t)(space - text)));
	TRY(apart_use(v, space + 1, strlen(space + 1)));
	return apart_use(v, whole->bytes, whole->len);
}

static int tokens_add(struct vocabulary *v)
{
	struct buf whole = { 0 };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < json_array_size(v->tokens); i++)
		rc = token_add(v, i);
	for (size_t i = 0; rc == 0 && i < json_array_size(v->merges); i++)
		rc = merge_check(v, i, &whole);
	buf_free(&whole);
	return rc;
}

/* ---- merges from scores ---- */

struct cut {
	double score;
	uint32_t whole, left, right;  /* ids */
	uint32_t left_len, right_len; /* characters */
};

/* Highest score first, longest left part, longest right part; then by id. */
static int by_score(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;
	if (x->score > y->score || x->score < y->score)
		return x->score > y->score ? -1 : 1;
	if (x->left_len != y->left_len)
		return x->left_len > y->left_len ? -1 : 1;
	if (x->right_len != y->right_len)
		return x->right_len > y->right_len ? -1 : 1;
	return x->whole != y->whole ? (x->whole < y->whole ? -1 : 1) : 0;
}

static uint32_t id_of(const struct vocabulary *v, const char *s, size_t len)
{
	const json_t *id = json_object_getn(v->vocab, s, len);
	return id ? (uint32_t)json_integer_value(id) : UINT32_MAX;
}

/* Every way to cut token id in two. */
static int cuts_add(const struct vocabulary *v, size_t id, struct buf *out)
{
	const char *s = json_string_value(json_array_get(v->tokens, id));
	size_t len = strlen(s), characters = 0, before = 0;
	if (type_of(v, id) != TOKEN_NORMAL || strchr(s, ' '))
		return 0;
	if (len > PIECE_BYTES)
		return err_set(v->e, ERR_INPUT,
			       "%s: tokenizer.ggml.tokens: %zu has %zu bytes, at most %d",
			       v->m->file, id, len, PIECE_BYTES);
	for (size_t i = 0; i < len; i++)
		characters += ((unsigned char)s[i] & 0xC0) != 0x80;
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xC0) == 0x80)
			continue;
		struct cut c = { .score = json_number_value(json_array_get(v->scores, id)),
				 .whole = (uint32_t)id,
				 .left = id_of(v, s, i),
				 .right = id_of(v, s + i, len - i),
				 .left_len = (uint32_t)++before };
		c.right_len = (uint32_t)(characters - before);
		if (c.left != UINT32_MAX && c.right != UINT32_MAX)
			buf_add(out, &c, sizeof c);
	}
	return buf_done(out, v->e);
}

static int merges_write(const struct vocabulary *v, const struct cut *c, size_t n, json_t *out)
{
	struct buf text = { 0 };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_clear(&text);
		buf_printf(&text, "%s %s", json_string_value(json_array_get(v->tokens, c[i].left)),
			   json_string_value(json_array_get(v->tokens, c[i].right)));
		rc = buf_done(&text, v->e);
		if (rc == 0 && json_array_append_new(out, json_string_nocheck(text.bytes)) < 0)
			rc = no_memory(v->m, v->e);
	}
	buf_free(&text);
	return rc;
}

static int merges_make(const struct vocabulary *v, json_t **out)
{
	struct buf cuts = { 0 };
	int rc = 0;
	*out = NULL;
	if (v->merges) {
		*out = json_incref((json_t *)(uintptr_t)v->merges);
		return 0;
	}
	json_t *list = json_array();
	for (size_t i = 0; rc == 0 && i < json_array_size(v->tokens); i++)
		rc = cuts_add(v, i, &cuts);
	size_t n = cuts.len / sizeof(struct cut);
	struct cut *c = (struct cut *)(void *)cuts.bytes;
	if (rc == 0 && n > 1)
		qsort(c, n, sizeof *c, by_score);
	if (rc == 0)
		rc = list ? merges_write(v, c, n, list) : no_memory(v->m, v->e);
	buf_free(&cuts);
	if (rc < 0)
		json_decref(list);
	else
		*out = list;
	return rc;
}

/* ---- the parts of tokenizer.json ---- */

static json_t *replace(const char *from, const char *to)
{
	return json_pack("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String", from,
			 "content", to);
}

static json_t *normalizer(const struct vocabulary *v)
{
	if (v->pre)
		return v->pre->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
	if (!v->prefix)
		return replace(" ", SPACE);
	return json_pack("{s:s,s:[{s:s,s:s},o]}", "type", "Sequence", "normalizers", "type",
			 "Prepend", "prepend", SPACE, replace(" ", SPACE));
}

static json_t *decoder(const struct vocabulary *v)
{
	if (v->pre)
		return json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0,
				 "trim_offsets", 1, "use_regex", 0);
	json_t *d = json_pack("{s:s,s:[o,{s:s},{s:s}]}", "type", "Sequence", "decoders",
			      replace(SPACE, " "), "type", "ByteFallback", "type", "Fuse");
	if (v->prefix)
		json_array_append_new(json_object_get(d, "decoders"),
				      json_pack("{s:s,s:s,s:i,s:i}", "type", "Strip", "content",
						" ", "start", 1, "stop", 0));
	return d;
}

static void special_add(json_t *single, json_t *tokens, const char *token, json_int_t id)
{
	json_array_append_new(single, json_pack("{s:{s:s,s:i}}", "SpecialToken", "id", token,
						"type_id", 0));
	json_object_set_new(tokens, token,
			    json_pack("{s:s,s:[I],s:[s]}", "id", token, "ids", id, "tokens",
				      token));
}

/* The tokens that a text begins and ends with. */
static json_t *post_processor(const struct vocabulary *v)
{
	json_int_t bos, eos;
	const char *first = token_of(v->m, "bos_token_id", &bos),
		   *last = token_of(v->m, "eos_token_id", &eos);
	bool begins = flag(v->m, "add_bos_token", v->pre ? v->pre->bos : true) && first,
	     ends = flag(v->m, "add_eos_token", false) && last;
	if (!begins && !ends)
		return json_null();
	json_t *single = json_array(), *tokens = json_object();
	if (begins)
		special_add(single, tokens, first, bos);
	json_array_append_new(single,
			      json_pack("{s:{s:s,s:i}}", "Sequence", "id", "A", "type_id", 0));
	if (ends)
		special_add(single, tokens, last, eos);
	return json_pack("{s:s,s:o,s:o}", "type", "TemplateProcessing", "single", single,
			 "special_tokens", tokens);
}

static json_t *model_part(const struct vocabulary *v, json_t *merges)
{
	json_int_t unk;
	const char *unknown = v->pre ? NULL : token_of(v->m, "unknown_token_id", &unk);
	return json_pack("{s:s,s:s?,s:b,s:b,s:b,s:O,s:O}", "type", "BPE", "unk_token",
			 unknown && json_object_get(v->vocab, unknown) ? unknown : NULL, "fuse_unk",
			 !v->pre, "byte_fallback", !v->pre, "ignore_merges",
			 v->pre && v->pre->whole, "vocab", v->vocab, "merges", merges);
}

static int text_write(const struct vocabulary *v, struct buf *out)
{
	json_t *merges = NULL;
	TRY(merges_make(v, &merges));
	json_t *whole =
		json_pack("{s:s,s:O,s:o,s:o,s:o,s:o,s:o}", "version", "1.0", "added_tokens",
			  v->added, "normalizer", normalizer(v), "pre_tokenizer",
			  v->pre ? model_gguf_pre_tokenizer(v->pre) : json_null(), "post_processor",
			  post_processor(v), "decoder", decoder(v), "model", model_part(v, merges));
	int rc = whole ? json_write(whole, 0, out, v->e) : no_memory(v->m, v->e);
	json_decref(whole);
	json_decref(merges);
	if (rc == 0 && out->len > LIMIT_JSON_BYTES)
		rc = err_set(v->e, ERR_INPUT, "%s: a tokenizer of %zu bytes, at most %zu",
			     v->m->file, out->len, LIMIT_JSON_BYTES);
	return rc;
}

/* ---- whole ---- */

static int list_check(const struct vocabulary *v, const json_t *list, const char *name, bool needed)
{
	if (!list && !needed)
		return 0;
	if (json_is_array(list) && json_array_size(list) == json_array_size(v->tokens))
		return 0;
	return err_set(v->e, ERR_INPUT,
		       "%s: tokenizer.ggml.%s is no list with a value for each of "
		       "the %zu tokens",
		       v->m->file, name, json_array_size(v->tokens));
}

static int kind_read(struct vocabulary *v, const char *model)
{
	const char *pre = json_string_value(ask(v->m, "pre"));
	bool scored = strcmp(model, "llama") == 0, joined = strcmp(model, "gemma4") == 0;
	if (!scored && !joined && strcmp(model, "gpt2") != 0)
		return err_set(
			v->e, ERR_UNSUPPORTED,
			"%s: tokenizer.ggml.model \"%.60s\" is not available in this version",
			v->m->file, model);
	if (!json_is_array(v->tokens))
		return err_set(v->e, ERR_INPUT, "%s: tokenizer.ggml.tokens is no list", v->m->file);
	TRY(list_check(v, v->types, "token_type", false));
	v->prefix = flag(v->m, "add_space_prefix", scored);
	if (scored) {
		v->merges = NULL;
		return list_check(v, v->scores, "scores", true);
	}
	if (!json_is_array(v->merges))
		return err_set(v->e, ERR_INPUT, "%s: tokenizer.ggml.merges is no list", v->m->file);
	if (joined)
		return 0;
	v->pre = model_gguf_pre(pre ? pre : "default");
	return v->pre ? 0
		      : err_set(v->e, ERR_UNSUPPORTED,
				"%s: tokenizer.ggml.pre \"%.60s\" is not available in this version",
				v->m->file, pre);
}

int model_gguf_tokenizer(const struct gguf_model *m, struct buf *out, struct err *e)
{
	const char *model = json_string_value(ask(m, "model"));
	struct vocabulary v = { .m = m,
				.tokens = ask(m, "tokens"),
				.types = ask(m, "token_type"),
				.scores = ask(m, "scores"),
				.merges = ask(m, "merges"),
				.vocab = json_object(),
				.added = json_array(),
				.apart = json_object(),
				.e = e };
	int rc = 0;
	if (!model || strcmp(model, "none") == 0)
		goto out;
	if (!v.vocab || !v.added || !v.apart)
		TRY_OUT(no_memory(m, e));
	TRY_OUT(kind_read(&v, model));
	TRY_OUT(tokens_add(&v));
	TRY_OUT(text_write(&v, out));
out:
	json_decref(v.vocab);
	json_decref(v.added);
	json_decref(v.apart);
	return rc;
}

/* Templates by name, of which tool_use is for requests with tools. */
static void templates_add(const struct gguf_model *m, struct obj *o)
{
	const json_t *meta = m->part[0]->meta;
	const char *one = json_string_value(json_object_get(meta, "tokenizer.chat_template"));
	const char *tools =
		json_string_value(json_object_get(meta, "tokenizer.chat_template.tool_use"));
	if (one && tools)
		obj_add(o, "chat_template",
			json_pack("[{s:s,s:s},{s:s,s:s}]", "name", "default", "template", one,
				  "name", "tool_use", "template", tools));
	else if (one)
		obj_text(o, "chat_template", one);
}

int model_gguf_tokenizer_config(const struct gguf_model *m, struct buf *out, struct err *e)
{
	static const struct {
		const char *from, *to;
	} keys[] = {
		{ "bos_token_id", "bos_token" },       { "eos_token_id", "eos_token" },
		{ "unknown_token_id", "unk_token" },   { "padding_token_id", "pad_token" },
		{ "seperator_token_id", "sep_token" }, { "mask_token_id", "mask_token" },
	};
	struct obj o = { 0 };
	json_t *made = NULL;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		json_int_t id;
		const char *token = token_of(m, keys[i].from, &id);
		if (token)
			obj_text(&o, keys[i].to, token);
	}
	templates_add(m, &o);
	TRY(obj_done(&o, &made, e));
	int rc = json_object_size(made) > 0 ? json_write(made, 0, out, e) : 0;
	json_decref(made);
	return rc;
}

/* ---- ends ---- */

/* Tokens that end an answer wherever they are in a vocabulary, as llama.cpp has them. */
static const char *const ends[] = {
	"<|eot_id|>",    "<|im_end|>", "<|end|>", "<|return|>",    "<|call|>",
	"<end_of_turn>", "<|eom_id|>", "<EOT>",   "<|endoftext|>", "<turn|>",
};

static int end_add(json_t *list, json_int_t id, struct err *e)
{
	const json_t *one;
	size_t i;
	json_array_foreach(list, i, one)
		if (json_integer_value(one) == id)
			return 0;
	if (i == 8 || id < 0)
		return 0;
	return json_array_append_new(list, json_integer(id)) < 0 ? err_set(e, ERR_NOMEM, "ends")
								 : 0;
}

static bool has_control(const struct vocabulary *v, const char *token, size_t *id)
{
	for (*id = 0; *id < json_array_size(v->tokens); ++*id) {
		const char *t = json_string_value(json_array_get(v->tokens, *id));
		if (t && strcmp(t, token) == 0)
			return type_of(v, *id) == TOKEN_CONTROL || type_of(v, *id) == TOKEN_USER;
	}
	return false;
}

int model_gguf_ends(const struct gguf_model *m, json_t *list, struct err *e)
{
	static const char *const keys[] = { "eos_token_id", "eot_token_id", "eom_token_id" };
	const struct vocabulary v = { .m = m,
				      .tokens = ask(m, "tokens"),
				      .types = ask(m, "token_type") };
	size_t id, other;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (json_is_integer(ask(m, keys[i])))
			TRY(end_add(list, json_integer_value(ask(m, keys[i])), e));
	/* of gpt-oss <|end|> ends a message, and not the answer */
	bool harmony = has_control(&v, "<|return|>", &id) && has_control(&v, "<|call|>", &other);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (harmony && strcmp(ends[i], "<|end|>") == 0)
			continue;
		if (has_control(&v, ends[i], &id))
			TRY(end_add(list, (json_int_t)id, e));
	}
	return 0;
}
