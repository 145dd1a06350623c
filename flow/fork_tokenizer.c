/* What of a tokenizer decides about ids, as digests: not the spelling, the order of keys, the
 * version that wrote it, padding, truncation or offsets. */
#include "base/limits.h"
#include "flow/fork_facts.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX ((size_t)1 << 22)
#define STEPS_MAX 64 /* of normalisers and the like, nested ones counted */

/* ---- the vocabulary ---- */

struct token {
	uint32_t id;
	bool added;
	struct digest text;
};
struct tokens {
	struct token *at; /* [room] */
	size_t count, room;
};

static void token_add(struct tokens *v, const char *text, size_t len, json_int_t id, bool added)
{
	if (text && id >= 0 && id <= UINT32_MAX && v->count < v->room)
		v->at[v->count++] = (struct token){ .id = (uint32_t)id,
						    .added = added,
						    .text = digest_of(text, len) };
}

/* By id; of equal ones those that were added come first. */
static int by_id(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->added != y->added)
		return x->added ? -1 : 1;
	return memcmp(x->text.bytes, y->text.bytes, sizeof x->text.bytes);
}

static void hash_token(struct sha256 *h, const struct token *t)
{
	const uint8_t id[4] = { (uint8_t)(t->id >> 24), (uint8_t)(t->id >> 16),
				(uint8_t)(t->id >> 8), (uint8_t)t->id };
	sha256_add(h, id, sizeof id);
	sha256_add(h, t->text.bytes, sizeof t->text.bytes);
}

/* Some files have an added token in the vocabulary too, some have not. */
static int hash_tokens(struct flow_tokenizer *x, struct tokens *v, struct err *e)
{
	struct sha256 *all, *core = NULL;
	TRY(sha256_open(&all, e));
	int rc = sha256_open(&core, e);
	qsort(v->at, v->count, sizeof *v->at, by_id);
	bool added = false;
	for (size_t i = 0; rc == 0 && i < v->count; i++) {
		const struct token *t = &v->at[i], *last = i ? t - 1 : NULL;
		bool same_id = last && last->id == t->id;
		added = t->added || (same_id && added);
		if (same_id && digest_equal(&last->text, &t->text))
			continue;
		hash_token(all, t);
		if (!added)
			hash_token(core, t);
		x->tokens++;
	}
	if (rc == 0) {
		x->vocabulary = sha256_take(all);
		x->core = sha256_take(core);
	}
	sha256_close(all);
	sha256_close(core);
	return rc;
}

/* {text: id}, or [[text, score], ...]. */
static int read_vocabulary(struct flow_tokenizer *x, const json_t *vocab, const json_t *added,
			   struct err *e)
{
	struct tokens v = { .room = json_object_size(vocab) + json_array_size(vocab) +
				    json_array_size(added) };
	const json_t *t;
	const char *text;
	size_t i;
	if (v.room > TOKENS_MAX)
		return err_set(e, ERR_INPUT, "%zu tokens", v.room);
	v.at = calloc(v.room + 1, sizeof *v.at);
	if (!v.at)
		return err_set(e, ERR_NOMEM, "out of memory for a vocabulary");
	json_object_foreach((json_t *)(uintptr_t)vocab, text, t)
		token_add(&v, text, strlen(text), json_is_integer(t) ? json_integer_value(t) : -1,
			  false);
	json_array_foreach(vocab, i, t) {
		const json_t *s = json_array_get(t, 0);
		token_add(&v, json_string_value(s), json_string_length(s), (json_int_t)i, false);
	}
	json_array_foreach(added, i, t) {
		const json_t *s = json_object_get(t, "content"), *id = json_object_get(t, "id");
		token_add(&v, json_string_value(s), json_string_length(s),
			  json_is_integer(id) ? json_integer_value(id) : -1, true);
	}
	int rc = hash_tokens(x, &v, e);
	free(v.at);
	return rc;
}

static int by_token_id(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "id")),
		   y = json_integer_value(json_object_get(*(json_t *const *)b, "id"));
	return (x > y) - (x < y);
}

/* By id. `normalized` is left out: versions differ in it for the same token. */
static int read_added(struct flow_tokenizer *x, const json_t *added, struct err *e)
{
	static const char *const flags[] = { "special", "lstrip", "rstrip", "single_word" };
	size_t n = json_array_size(added);
	json_t **list = calloc(n + 1, sizeof(json_t *)), *made = json_array();
	int rc = list && made ? 0 : err_set(e, ERR_NOMEM, "out of memory for tokens");
	for (size_t i = 0; rc == 0 && i < n; i++)
		list[i] = json_array_get(added, i);
	if (rc == 0)
		qsort(list, n, sizeof(json_t *), by_token_id);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct obj o = { 0 };
		char said[8] = "";
		if (!json_is_string(json_object_get(list[i], "content")) ||
		    !json_is_integer(json_object_get(list[i], "id")))
			continue;
		for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
			said[k] = json_is_true(json_object_get(list[i], flags[k])) ? '1' : '0';
		obj_share(&o, "id", json_object_get(list[i], "id"));
		obj_share(&o, "content", json_object_get(list[i], "content"));
		obj_text(&o, "flags", said);
		if (json_array_append_new(made, obj_take(&o)) < 0)
			rc = err_set(e, ERR_NOMEM, "out of memory for tokens");
	}
	free(list);
	x->added = made;
	return rc;
}

/* ---- the model ---- */

/* Pairs in their order, written as a list or with a blank between; or scores. */
static int read_ranks(struct flow_tokenizer *x, const json_t *model, struct err *e)
{
	const json_t *pair, *vocab = json_object_get(model, "vocab");
	struct sha256 *h;
	size_t i, k;
	TRY(sha256_open(&h, e));
	json_array_foreach(json_object_get(model, "merges"), i, pair) {
		const json_t *half;
		if (json_is_string(pair))
			sha256_add(h, json_string_value(pair), json_string_length(pair));
		json_array_foreach(pair, k, half) {
			if (k)
				sha256_add(h, " ", 1);
			if (json_is_string(half))
				sha256_add(h, json_string_value(half), json_string_length(half));
		}
		sha256_add(h, "\n", 1);
	}
	json_array_foreach(vocab, i, pair) {
		char score[40];
		int n = snprintf(score, sizeof score, "%.9g\n",
				 json_number_value(json_array_get(pair, 1)));
		sha256_add(h, score, (size_t)n);
	}
	x->merges = sha256_take(h);
	sha256_close(h);
	return 0;
}

/* Without what is absent by another name, or decides nothing. */
static void drop_defaults(json_t *o, const char *const *also, size_t count)
{
	const char *key;
	json_t *v;
	void *next;
	json_object_foreach_safe(o, next, key, v)
	{
		bool empty = json_is_null(v) || json_is_false(v) ||
			     (json_is_string(v) && json_string_length(v) == 0);
		for (size_t i = 0; i < count && !empty; i++)
			empty = strcmp(key, also[i]) == 0;
		if (empty)
			json_object_del(o, key);
	}
}

static int hash_json(const json_t *v, struct sha256 *h, struct err *e)
{
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_set(e, ERR_NOMEM, "out of memory for a tokenizer");
	sha256_add(h, text, strlen(text) + 1);
	free(text);
	return 0;
}

static int read_options(struct flow_tokenizer *x, const json_t *model, struct err *e)
{
	static const char *const apart[] = { "vocab", "merges", "dropout" };
	struct sha256 *h;
	json_t *rest = json_copy((json_t *)(uintptr_t)model);
	TRY(json_ok(rest, e));
	drop_defaults(rest, apart, sizeof apart / sizeof *apart);
	int rc = sha256_open(&h, e);
	if (rc == 0) {
		rc = hash_json(rest, h, e);
		x->model = sha256_take(h);
		sha256_close(h);
	}
	json_decref(rest);
	return rc;
}

/* ---- the steps around it ---- */

static bool is(const json_t *o, const char *key, const char *text)
{
	const char *said = json_string_value(json_object_get(o, key));
	return said && strcmp(said, text) == 0;
}

/* The older spelling of how a Metaspace begins. */
static void rename_prefix(json_t *step)
{
	const json_t *old = json_object_get(step, "add_prefix_space");
	if (is(step, "type", "Metaspace") && json_is_boolean(old) &&
	    !json_object_get(step, "prepend_scheme"))
		json_object_set_new(step, "prepend_scheme",
				    json_string(json_is_true(old) ? "always" : "never"));
	if (is(step, "type", "Metaspace"))
		json_object_del(step, "add_prefix_space");
}

/* One step that is no sequence. Offsets decide nothing, and a pair of texts is never encoded. */
static int hash_step(const json_t *from, struct sha256 *h, struct err *e)
{
	static const char *const apart[] = { "trim_offsets", "str_rep", "pair" };
	static const char *const usual[] = { "use_regex", "split" }; /* true where absent */
	json_t *step = json_copy((json_t *)(uintptr_t)from);
	TRY(json_ok(step, e));
	rename_prefix(step);
	drop_defaults(step, apart, sizeof apart / sizeof *apart);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		const json_t *said = json_object_get(from, usual[i]);
		if (json_is_true(said))
			json_object_del(step, usual[i]);
		else if (json_is_false(said))
			json_object_set_new(step, usual[i], json_string("not"));
	}
	int rc = hash_json(step, h, e);
	json_decref(step);
	return rc;
}

/* What a sequence holds, or NULL. */
static const json_t *items_of(const json_t *step)
{
	static const char *const lists[] = { "normalizers", "pretokenizers", "processors",
					     "decoders" };
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		const json_t *list = json_object_get(step, lists[i]);
		if (json_is_array(list) && is(step, "type", "Sequence"))
			return list;
	}
	return NULL;
}

/* Sequences in sequences are one; one of one step is the step. byte_level: what stands for a
 * ByteLevel of that part, whose options do nothing there; NULL: they count. */
static int hash_part(const json_t *part, const char *byte_level, struct sha256 *h, struct err *e)
{
	const json_t *open[STEPS_MAX] = { part };
	size_t count = 1, taken = 0;
	while (count && taken++ < 8 * STEPS_MAX) {
		const json_t *step = open[--count], *items = items_of(step);
		size_t n = json_array_size(items);
		if (items && count + n <= STEPS_MAX) {
			while (n--)
				open[count++] = json_array_get(items, n);
			continue;
		}
		if (byte_level && is(step, "type", "ByteLevel"))
			sha256_add(h, byte_level, strlen(byte_level));
		else if (json_is_object(step))
			TRY(hash_step(step, h, e));
	}
	sha256_add(h, "\n", 1);
	return 0;
}

static int read_steps(struct flow_tokenizer *x, const json_t *root, struct err *e)
{
	static const struct {
		const char *key, *byte_level; /* after the model it moves offsets, and no more */
	} parts[] = { { "normalizer", NULL },
		      { "pre_tokenizer", NULL },
		      { "post_processor", "" },
		      { "decoder", "bytes" } };
	struct sha256 *h;
	int rc = 0;
	TRY(sha256_open(&h, e));
	for (size_t i = 0; rc == 0 && i < sizeof parts / sizeof *parts; i++)
		rc = hash_part(json_object_get(root, parts[i].key), parts[i].byte_level, h, e);
	x->steps = sha256_take(h);
	sha256_close(h);
	return rc;
}

/* ---- all of it ---- */

/* A text, or an added token with its text in it. */
static int read_special(struct flow_tokenizer *x, const json_t *config, struct err *e)
{
	static const char *const names[] = { "bos_token", "eos_token", "unk_token" };
	struct obj o = { .json = json_object() };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const json_t *v = json_object_get(config, names[i]);
		const json_t *text = json_is_object(v) ? json_object_get(v, "content") : v;
		if (json_is_string(text))
			obj_share(&o, names[i], text);
	}
	return obj_done(&o, &x->special, e);
}

static int read_json(struct flow_tokenizer *x, const json_t *root, struct err *e)
{
	const json_t *model = json_object_get(root, "model");
	const json_t *added = json_object_get(root, "added_tokens");
	if (!json_is_object(model)) {
		snprintf(x->problem, sizeof x->problem, "it has no model");
		return 0;
	}
	TRY(read_vocabulary(x, json_object_get(model, "vocab"), added, e));
	TRY(read_added(x, added, e));
	TRY(read_ranks(x, model, e));
	TRY(read_options(x, model, e));
	return read_steps(x, root, e);
}

int flow_tokenizer_read(struct flow_tokenizer *x, struct source *s, const json_t *config,
			struct err *e)
{
	static const char *const others[] = { "tokenizer.model", "tekken.json", "spiece.model",
					      "vocab.json" };
	struct buf b = { 0 };
	struct err why;
	json_t *root = NULL;
	TRY(read_special(x, config, e));
	int rc = flow_json_file_read(s, "tokenizer.json", LIMIT_JSON_BYTES, &root, &why, e);
	bool there = rc == 1 || (rc == 0 && why.code != ERR_NOTFOUND);
	if (there)
		x->file = "tokenizer.json";
	if (there && rc == 0)
		snprintf(x->problem, sizeof x->problem, "%.150s", why.text);
	if (rc == 1)
		rc = read_json(x, root, e);
	json_decref(root);
	for (size_t i = 0; rc >= 0 && !x->file && i < sizeof others / sizeof *others; i++) {
		rc = flow_text_read(s, others[i], LIMIT_JSON_BYTES, &b, &why, e);
		if (rc == 1) {
			x->file = others[i];
			x->bytes = digest_of(b.bytes, b.len);
		}
	}
	buf_free(&b);
	return rc < 0 ? rc : 0;
}

void flow_tokenizer_free(struct flow_tokenizer *x)
{
	json_decref(x->added);
	json_decref(x->special);
	*x = (struct flow_tokenizer){ 0 };
}
