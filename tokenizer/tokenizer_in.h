/* The interpreter of tokenizer.json: one struct, one file for each stage. Private to tokenizer/.
 * Source: the components of the Hugging Face tokenizers library, whose observable behaviour this
 * follows.
 *
 *   text -> added tokens (normalized: false) -> normalizers on the gaps
 *        -> added tokens (normalized: true)
 *        -> pre-tokenizers -> BPE -> post-processor -> ids        ids -> decoders -> bytes
 *
 * A struct tokenizer is read-only once open. */
#ifndef TOKENIZER_TOKENIZER_IN_H
#define TOKENIZER_TOKENIZER_IN_H

#include "base/arena.h"
#include "base/json.h"
#include "base/limits.h"
#include "tokenizer/onig.h"
#include "tokenizer/tokenizer.h"

#define TOKENIZER_IDS_MAX (1u << 22) /* the largest vocabulary in the field is 262,144 */
#define TOKENIZER_STEPS_MAX 64       /* components of one kind */
#define TOKENIZER_TEXT_BYTES MIB(64) /* one text to encode: offsets fit 32 bits */

struct span {
	const char *bytes;
	size_t len;
};

/* Text with an origin for each byte (1 data, 0 template); origin.bytes is NULL when all is
 * template. */
struct marked {
	struct buf text, origin;
	bool cut; /* something was taken from its start */
};

/* ---- vocabulary and merges: tokenizer_vocab.c ---- */

struct vocab {
	struct span *token; /* [ids], bytes NULL: no such id */
	uint32_t ids;       /* highest id + 1 */
	uint32_t *slot;     /* [slots] id or TOKENIZER_NONE, open addressing on the bytes */
	uint32_t slots, used;
};
struct merge {
	uint32_t left, right, rank, made;
};
struct merges {
	struct merge *slot; /* [slots], made TOKENIZER_NONE: free */
	uint32_t slots;
};
int tokenizer_vocab_open(struct vocab *v, const json_t *vocab, const json_t *added, struct arena *a,
			 struct err *e) MUST_USE;
/* An empty one, with room for so many tokens. */
int tokenizer_vocab_make(struct vocab *v, uint32_t ids, size_t tokens, struct arena *a,
			 struct err *e) MUST_USE;
int tokenizer_vocab_add(struct vocab *v, struct span token, uint32_t id, struct err *e) MUST_USE;
uint32_t tokenizer_vocab_find(const struct vocab *v, const char *bytes,
			      size_t len); /* or TOKENIZER_NONE */
int tokenizer_merges_open(struct merges *m, const json_t *list, const struct vocab *v,
			  struct arena *a, struct err *e) MUST_USE;
int tokenizer_merges_make(struct merges *m, size_t count, struct arena *a, struct err *e) MUST_USE;
void tokenizer_merges_put(struct merges *m, struct merge merge);
/* or NULL */
const struct merge *tokenizer_merges_find(const struct merges *m, uint32_t left, uint32_t right);

/* ---- added tokens: tokenizer_added.c ---- */

struct added {
	struct span content;
	uint32_t id;
	bool special, normalized, lstrip, rstrip, single_word;
	bool blank;   /* only white space and not special: found in data too */
	bool foreign; /* not of the model's vocabulary: merging never makes it */
	bool control; /* not made of data either: special, or longer than a character and not blank */
};
struct trie; /* leftmost-longest over the contents of one kind */
struct found {
	size_t begin, end;
	uint32_t id;
};
struct found_list {
	struct found *at;
	size_t count, room;
};

/* ---- components ---- */

enum step_kind {
	/* normalizers */
	STEP_NFC,
	STEP_NFD,
	STEP_NFKC,
	STEP_NFKD,
	STEP_LOWERCASE,
	STEP_STRIP,
	STEP_PREPEND,
	STEP_REPLACE,
	/* pre-tokenizers */
	STEP_SPLIT,
	STEP_BYTE_LEVEL,
	STEP_DIGITS,
	STEP_METASPACE,
	STEP_PUNCTUATION,
	STEP_WHITESPACE,
	STEP_WHITESPACE_SPLIT,
	/* decoders, beside BYTE_LEVEL, METASPACE, REPLACE */
	STEP_BYTE_FALLBACK,
	STEP_FUSE,
	STEP_STRIP_EDGES,
};
enum behaviour { KEEP_ISOLATED, KEEP_REMOVED, KEEP_WITH_PREVIOUS, KEEP_WITH_NEXT, KEEP_CONTIGUOUS };
enum prepend { PREPEND_ALWAYS, PREPEND_NEVER, PREPEND_FIRST };

struct step {
	enum step_kind kind;
	struct onig *pattern; /* REPLACE, SPLIT, BYTE_LEVEL with use_regex */
	/* PREPEND, REPLACE: what is put there; METASPACE: the replacement */
	struct span text;
	enum behaviour behaviour;
	enum prepend prepend; /* METASPACE */
	bool invert, prefix_space, split, left, right;
	uint32_t start, stop; /* STRIP_EDGES: most characters taken from each end */
};
struct steps_list {
	struct step at[TOKENIZER_STEPS_MAX];
	size_t count;
};

struct tokenizer {
	struct arena arena;
	struct vocab vocab;
	struct merges merges;
	struct added *added; /* [added_count] */
	size_t added_count;
	uint32_t *added_of;        /* [ids] index into added, or TOKENIZER_NONE */
	struct trie *raw, *normal; /* added tokens with normalized false and true */
	struct steps_list normalizers, pre, decoders;
	struct token_ids before, after; /* post-processor: ids around the text */
	uint32_t byte_id[256];          /* of <0xNN>, or TOKENIZER_NONE */
	uint32_t unk;                   /* or TOKENIZER_NONE */
	bool byte_fallback, fuse_unk, ignore_merges;
	size_t fused; /* decoders from this index on see the joined text */
	bool spaced;  /* no decoder at all: tokens are joined by spaces */
};

/* tokenizer_added.c */
int tokenizer_added_open(struct tokenizer *t, const json_t *list, struct err *e) MUST_USE;
/* after the normalizers are known */
int tokenizer_added_index(struct tokenizer *t, struct err *e) MUST_USE;
void tokenizer_added_close(struct tokenizer *t);
/* Occurrences in text[0..len), leftmost-longest, each wholly outside data unless blank. origin
 * may be NULL. */
int tokenizer_added_find(const struct tokenizer *t, const struct trie *trie, const char *text,
			 const char *origin, size_t len, struct found_list *out,
			 struct err *e) MUST_USE;
/* A control token: ordinary text must not become it. */
bool tokenizer_added_is_control(const struct tokenizer *t, uint32_t id);
bool tokenizer_added_is_foreign(const struct tokenizer *t, uint32_t id);

/* tokenizer_load.c: the components from JSON; unknown ones are refused by name. */
int tokenizer_steps_load_normalizer(struct tokenizer *t, const json_t *j, struct err *e) MUST_USE;
int tokenizer_steps_load_pre(struct tokenizer *t, const json_t *j, struct err *e) MUST_USE;
int tokenizer_steps_load_decoder(struct tokenizer *t, const json_t *j, struct err *e) MUST_USE;
int tokenizer_steps_load_post(struct tokenizer *t, const json_t *j, struct err *e) MUST_USE;
void tokenizer_steps_close(struct steps_list *l);

/* tokenizer_normal.c: all normalizers on one gap, origins carried along. */
int tokenizer_normalize(const struct steps_list *l, struct onig_scratch *s, struct marked *text,
			struct err *e) MUST_USE;
void tokenizer_marked_free(struct marked *m);

/* tokenizer_pre.c: text -> pieces. */
/* first: stands at the start of the whole input */
struct piece {
	uint32_t begin, end;
	bool first;
};
struct pieces {
	struct buf text;
	struct piece *at;
	size_t count, room;
};
int tokenizer_pieces_add(struct pieces *p, size_t begin, size_t end, bool first,
			 struct err *e) MUST_USE;
void tokenizer_pieces_free(struct pieces *p);
/* p holds one piece on entry. */
int tokenizer_pre_tokenize(const struct steps_list *l, struct onig_scratch *s, struct pieces *p,
			   struct err *e) MUST_USE;
/* The byte-level alphabet: byte -> code point and back (TOKENIZER_NONE: not of the alphabet). */
uint32_t tokenizer_byte_to_level(unsigned char byte);
uint32_t tokenizer_level_to_byte(uint32_t cp);

/* tokenizer_bpe.c */
struct bpe_symbol {
	uint32_t id;
	int32_t prev, next;
	bool gone;
};
struct bpe_merge {
	uint32_t rank, at, made;
};
struct bpe_scratch {
	struct bpe_symbol *symbol;
	struct bpe_merge *heap;
	size_t symbol_room, heap_room, heap_count;
	bool guarded; /* the text holds data: no control token is made of it */
};
int tokenizer_bpe_encode(const struct tokenizer *t, struct bpe_scratch *s, const char *text,
			 size_t len, struct token_ids *out, struct err *e) MUST_USE;
void tokenizer_bpe_scratch_free(struct bpe_scratch *s);

/* tokenizer.c */
int token_ids_add(struct token_ids *ids, uint32_t id, struct err *e) MUST_USE;
void tokenizer_find_bytes(struct tokenizer *t); /* byte_id, from the vocabulary */

#endif
