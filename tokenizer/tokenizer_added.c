/* Added tokens: a trie over their contents, searched leftmost-longest. A control token is
 * recognised only where all its bytes are template text, so that a message cannot forge one. */
#include "tokenizer/tokenizer_in.h"

#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>

struct trie_node {
	uint32_t child, sibling; /* 0: none; the root is nobody's child */
	uint32_t added;          /* index of the token that ends here, or TOKENIZER_NONE */
	unsigned char byte;
};
struct trie {
	struct trie_node *node;
	uint32_t count, room;
	uint32_t root[256];
};

static uint32_t trie_child(const struct trie *t, uint32_t node, unsigned char byte)
{
	if (node == 0)
		return t->root[byte];
	uint32_t c = t->node[node].child;
	while (c && t->node[c].byte != byte)
		c = t->node[c].sibling;
	return c;
}

static int trie_grow(struct trie *t, uint32_t node, unsigned char byte, uint32_t *child,
		     struct err *e)
{
	if (t->count == t->room) {
		uint32_t room = t->room ? t->room * 2 : 64;
		struct trie_node *grown =
			room > (1u << 28) ? NULL : realloc(t->node, room * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_NOMEM, "out of memory for the added tokens");
		t->node = grown;
		t->room = room;
	}
	uint32_t c = t->count++;
	t->node[c] = (struct trie_node){ .added = TOKENIZER_NONE, .byte = byte };
	if (node == 0) {
		t->root[byte] = c;
	} else {
		t->node[c].sibling = t->node[node].child;
		t->node[node].child = c;
	}
	*child = c;
	return 0;
}

static int trie_add(struct trie *t, const char *bytes, size_t len, uint32_t added, struct err *e)
{
	uint32_t at = 0, root;
	if (t->count == 0)
		TRY(trie_grow(t, 0, 0, &root, e)); /* node 0: no token, nobody's child */
	for (size_t i = 0; i < len; i++) {
		uint32_t next = trie_child(t, at, (unsigned char)bytes[i]);
		if (!next)
			TRY(trie_grow(t, at, (unsigned char)bytes[i], &next, e));
		at = next;
	}
	if (len && t->node[at].added == TOKENIZER_NONE)
		t->node[at].added = added;
	return 0;
}

static bool blank(const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		int n = text_utf8_decode(s + i, len - i, &cp);
		if (n <= 0 || (!unicode_is_space(cp) && cp != 0x2581))
			return false;
		i += (size_t)n;
	}
	return len > 0;
}

static bool one_character(const char *s, size_t len)
{
	uint32_t cp;
	return text_utf8_decode(s, len, &cp) == (int)len;
}

static bool flag(const json_t *j, const char *name, bool otherwise)
{
	const json_t *v = json_object_get(j, name);
	return v ? json_is_true(v) : otherwise;
}

int tokenizer_added_open(struct tokenizer *t, const json_t *list, struct err *e)
{
	size_t n = json_array_size(list);
	t->added = arena_array(&t->arena, n, sizeof *t->added);
	t->added_of = arena_array(&t->arena, t->vocab.ids, sizeof *t->added_of);
	if (!t->added || !t->added_of)
		return err_set(e, ERR_NOMEM, "out of memory for the added tokens");
	memset(t->added_of, 0xFF, t->vocab.ids * sizeof *t->added_of);
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(list, i);
		const char *content;
		TRY(json_get_string(j, "content", &content, "tokenizer.json: an added token", e));
		if (!*content)
			continue;
		struct added *a = &t->added[t->added_count];
		*a = (struct added){ .id = (uint32_t)json_integer_value(json_object_get(j, "id")),
				     .special = flag(j, "special", false),
				     .lstrip = flag(j, "lstrip", false),
				     .rstrip = flag(j, "rstrip", false),
				     .single_word = flag(j, "single_word", false) };
		a->normalized = flag(j, "normalized", !a->special);
		a->content.len = strlen(content);
		a->content.bytes = arena_copy(&t->arena, content, a->content.len);
		if (!a->content.bytes)
			return err_set(e, ERR_NOMEM, "out of memory for the added tokens");
		a->blank = !a->special && blank(content, a->content.len);
		a->control = a->special || (!a->blank && !one_character(content, a->content.len));
		a->foreign = tokenizer_vocab_find(&t->vocab, a->content.bytes, a->content.len) ==
			     TOKENIZER_NONE;
		TRY(tokenizer_vocab_add(&t->vocab, a->content, a->id, e));
		t->added_of[a->id] = (uint32_t)t->added_count++;
	}
	return 0;
}

static int index_one(struct tokenizer *t, uint32_t i, struct onig_scratch *s, struct err *e)
{
	const struct added *a = &t->added[i];
	struct marked m = { 0 };
	if (!a->normalized)
		return trie_add(t->raw, a->content.bytes, a->content.len, i, e);
	buf_add(&m.text, a->content.bytes, a->content.len);
	int rc = buf_done(&m.text, e);
	if (rc == 0)
		rc = tokenizer_normalize(&t->normalizers, s, &m, e);
	if (rc == 0)
		rc = trie_add(t->normal, m.text.bytes, m.text.len, i, e);
	tokenizer_marked_free(&m);
	return rc;
}

int tokenizer_added_index(struct tokenizer *t, struct err *e)
{
	struct onig_scratch s = { 0 };
	int rc = 0;
	t->raw = calloc(1, sizeof *t->raw);
	t->normal = calloc(1, sizeof *t->normal);
	if (!t->raw || !t->normal)
		return err_set(e, ERR_NOMEM, "out of memory for the added tokens");
	for (int special = 1; special >= 0; special--) /* special ones win over equals */
		for (uint32_t i = 0; i < t->added_count && rc == 0; i++)
			if (t->added[i].special == (special == 1))
				rc = index_one(t, i, &s, e);
	onig_scratch_free(&s);
	return rc;
}

void tokenizer_added_close(struct tokenizer *t)
{
	struct trie *both[] = { t->raw, t->normal };
	for (int i = 0; i < 2; i++) {
		if (both[i])
			free(both[i]->node);
		free(both[i]);
	}
}

bool tokenizer_added_is_control(const struct tokenizer *t, uint32_t id)
{
	return id < t->vocab.ids && t->added_of[id] != TOKENIZER_NONE &&
	       t->added[t->added_of[id]].control;
}

bool tokenizer_added_is_foreign(const struct tokenizer *t, uint32_t id)
{
	return id < t->vocab.ids && t->added_of[id] != TOKENIZER_NONE &&
	       t->added[t->added_of[id]].foreign;
}

/* The longest token at text[at..len), or NULL. */
static const struct added *longest(const struct tokenizer *t, const struct trie *trie,
				   const char *text, const char *origin, size_t len, size_t at,
				   size_t *end)
{
	const struct added *best = NULL;
	bool clean = true;
	uint32_t node = 0;
	for (size_t i = at; i < len; i++) {
		node = trie_child(trie, node, (unsigned char)text[i]);
		if (!node)
			break;
		clean = clean && !(origin && origin[i]);
		uint32_t a = trie->node[node].added;
		if (a != TOKENIZER_NONE && (clean || t->added[a].blank))
			best = &t->added[a], *end = i + 1;
	}
	return best;
}

static int add_found(struct found_list *l, struct found f, struct err *e)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 32;
		struct found *grown = realloc(l->at, room * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_NOMEM, "out of memory for added tokens in a text");
		l->at = grown;
		l->room = room;
	}
	l->at[l->count++] = f;
	return 0;
}

int tokenizer_added_find(const struct tokenizer *t, const struct trie *trie, const char *text,
			 const char *origin, size_t len, struct found_list *out, struct err *e)
{
	size_t from = 0; /* end of the last one, white space that it took included; what follows may
	                  * begin before it, and is found nevertheless */
	for (size_t i = 0; i < len && trie->count;) {
		size_t begin = i, end = i;
		const struct added *a = trie->root[(unsigned char)text[i]]
						? longest(t, trie, text, origin, len, i, &end)
						: NULL;
		i = a ? end : i + 1;
		if (!a)
			continue;
		if (a->single_word && (unicode_ends_with_word(text, begin) ||
				       unicode_starts_with_word(text + end, len - end)))
			continue;
		if (a->lstrip && begin > from)
			begin -= unicode_spaces_at_end(text + from, begin - from);
		else if (a->lstrip)
			begin = from;
		if (a->rstrip && end < from) /* within what the one before took: to its end */
			end = from;
		else if (a->rstrip)
			end += unicode_spaces_at_start(text + end, len - end);
		if (begin < end) /* else the one before took all of it */
			TRY(add_found(out, (struct found){ begin, end, a->id }, e));
		from = end;
	}
	return 0;
}
