/* Vocabulary (bytes -> id -> bytes) and merges (pair of ids -> rank and product), both open
 * addressing. */
#include "tokenizer/tokenizer_in.h"

#include "base/check.h"

#include <string.h>

static uint64_t hash_bytes(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, then mixed */
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static uint32_t power_of_two(size_t least)
{
	uint32_t n = 16;
	while (n < least && n < (1u << 30))
		n *= 2;
	return n;
}

static uint32_t *find_slot(const struct vocab *v, const char *bytes, size_t len)
{
	uint32_t i = (uint32_t)hash_bytes(bytes, len) & (v->slots - 1);
	for (;; i = (i + 1) & (v->slots - 1)) {
		uint32_t id = v->slot[i];
		if (id == TOKENIZER_NONE ||
		    (v->token[id].len == len && memcmp(v->token[id].bytes, bytes, len) == 0))
			return &v->slot[i];
	}
}

uint32_t tokenizer_vocab_find(const struct vocab *v, const char *bytes, size_t len)
{
	return *find_slot(v, bytes, len);
}

int tokenizer_vocab_add(struct vocab *v, struct span token, uint32_t id, struct err *e)
{
	check(id < v->ids && v->used < v->slots / 2);
	uint32_t *slot = find_slot(v, token.bytes, token.len);
	if (*slot == id)
		return 0;
	if (*slot != TOKENIZER_NONE || v->token[id].bytes)
		return err_set(e, ERR_INPUT,
			       "tokenizer.json: token \"%.*s\" and id %u are each used twice",
			       (int)(token.len > 60 ? 60 : token.len), token.bytes, id);
	v->token[id] = token;
	*slot = id;
	v->used++;
	return 0;
}

/* The highest id of both lists, for the size of the table. */
static int highest_id(const json_t *vocab, const json_t *added, uint32_t *ids, struct err *e)
{
	json_int_t high = -1;
	const char *key;
	json_t *value;
	size_t i;
	json_object_foreach((json_t *)vocab, key, value) {
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return err_set(e, ERR_INPUT,
				       "tokenizer.json: the id of \"%.60s\" is not a number from 0",
				       key);
		high = json_integer_value(value) > high ? json_integer_value(value) : high;
	}
	json_array_foreach((json_t *)added, i, value) {
		const json_t *id = json_object_get(value, "id");
		if (!json_is_integer(id) || json_integer_value(id) < 0)
			return err_set(e, ERR_INPUT, "tokenizer.json: added token %zu has no id",
				       i);
		high = json_integer_value(id) > high ? json_integer_value(id) : high;
	}
	if (high >= TOKENIZER_IDS_MAX)
		return err_set(e, ERR_INPUT, "tokenizer.json: id %lld is beyond %u",
			       (long long)high, TOKENIZER_IDS_MAX);
	*ids = (uint32_t)(high + 1);
	return 0;
}

int tokenizer_vocab_make(struct vocab *v, uint32_t ids, size_t tokens, struct arena *a,
			 struct err *e)
{
	v->ids = ids;
	v->slots = power_of_two(2 * tokens + 2);
	v->token = arena_array(a, v->ids, sizeof *v->token);
	v->slot = arena_array(a, v->slots, sizeof *v->slot);
	if (!v->token || !v->slot)
		return err_set(e, ERR_NOMEM, "out of memory for the vocabulary");
	memset(v->slot, 0xFF, v->slots * sizeof *v->slot);
	return 0;
}

int tokenizer_vocab_open(struct vocab *v, const json_t *vocab, const json_t *added, struct arena *a,
			 struct err *e)
{
	const char *key;
	json_t *value;
	uint32_t ids = 0;
	TRY(highest_id(vocab, added, &ids, e));
	TRY(tokenizer_vocab_make(v, ids, json_object_size(vocab) + json_array_size(added), a, e));
	json_object_foreach((json_t *)vocab, key, value) {
		size_t len = strlen(key);
		struct span token = { arena_copy(a, key, len), len };
		if (!token.bytes)
			return err_set(e, ERR_NOMEM, "out of memory for the vocabulary");
		TRY(tokenizer_vocab_add(v, token, (uint32_t)json_integer_value(value), e));
	}
	return 0;
}

static struct merge *merge_slot(const struct merges *m, uint32_t left, uint32_t right)
{
	uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
	uint32_t i = (uint32_t)(h >> 32) & (m->slots - 1);
	while (m->slot[i].made != TOKENIZER_NONE &&
	       (m->slot[i].left != left || m->slot[i].right != right))
		i = (i + 1) & (m->slots - 1);
	return &m->slot[i];
}

const struct merge *tokenizer_merges_find(const struct merges *m, uint32_t left, uint32_t right)
{
	const struct merge *s = merge_slot(m, left, right);
	return s->made == TOKENIZER_NONE ? NULL : s;
}

/* "a b" with exactly one space, or ["a", "b"]. */
static int split_merge(const json_t *j, struct span *left, struct span *right, size_t rank,
		       struct err *e)
{
	const char *text = json_string_value(j), *space = text ? strchr(text, ' ') : NULL;
	if (space && !strchr(space + 1, ' ')) {
		*left = (struct span){ text, (size_t)(space - text) };
		*right = (struct span){ space + 1, strlen(space + 1) };
		return 0;
	}
	const char *a = json_string_value(json_array_get(j, 0)),
		   *b = json_string_value(json_array_get(j, 1));
	if (!a || !b || json_array_size(j) != 2)
		return err_set(e, ERR_INPUT, "tokenizer.json: merge %zu is not a pair", rank);
	*left = (struct span){ a, strlen(a) };
	*right = (struct span){ b, strlen(b) };
	return 0;
}

static int add_merge(struct merges *m, const json_t *j, size_t rank, const struct vocab *v,
		     struct buf *whole, struct err *e)
{
	struct span left = { 0 }, right = { 0 };
	TRY(split_merge(j, &left, &right, rank, e));
	buf_clear(whole);
	buf_add(whole, left.bytes, left.len);
	buf_add(whole, right.bytes, right.len);
	TRY(buf_done(whole, e));
	uint32_t l = tokenizer_vocab_find(v, left.bytes, left.len),
		 r = tokenizer_vocab_find(v, right.bytes, right.len);
	uint32_t made =
		whole->len ? tokenizer_vocab_find(v, whole->bytes, whole->len) : TOKENIZER_NONE;
	if (l == TOKENIZER_NONE || r == TOKENIZER_NONE || made == TOKENIZER_NONE)
		return err_set(
			e, ERR_INPUT,
			"tokenizer.json: merge %zu has a part or a product outside the vocabulary",
			rank);
	/* the last of equal pairs wins */
	tokenizer_merges_put(m, (struct merge){ l, r, (uint32_t)rank, made });
	return 0;
}

int tokenizer_merges_make(struct merges *m, size_t count, struct arena *a, struct err *e)
{
	m->slots = power_of_two(2 * count + 2);
	m->slot = arena_array(a, m->slots, sizeof *m->slot);
	if (!m->slot)
		return err_set(e, ERR_NOMEM, "out of memory for the merges");
	memset(m->slot, 0xFF, m->slots * sizeof *m->slot);
	return 0;
}

void tokenizer_merges_put(struct merges *m, struct merge merge)
{
	*merge_slot(m, merge.left, merge.right) = merge;
}

int tokenizer_merges_open(struct merges *m, const json_t *list, const struct vocab *v,
			  struct arena *a, struct err *e)
{
	struct buf whole = { 0 };
	int rc = 0;
	if (json_array_size(list) > TOKENIZER_IDS_MAX)
		return err_set(e, ERR_INPUT, "tokenizer.json: more than %u merges",
			       TOKENIZER_IDS_MAX);
	TRY(tokenizer_merges_make(m, json_array_size(list), a, e));
	for (size_t i = 0; i < json_array_size(list) && rc == 0; i++)
		rc = add_merge(m, json_array_get(list, i), i, v, &whole, e);
	buf_free(&whole);
	return rc;
}
