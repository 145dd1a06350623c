#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and its like, which stay in libcrypto 3 */
#include "base/digest.h"
#include "base/text.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

struct sha256 {
	SHA256_CTX s;
};

/* The low-level calls of libcrypto: they allocate nothing, cannot fail, and small texts, of which a
 * record has hundreds, take half the time that they take by EVP. libsodium's are in plain C. */
int sha256_open(struct sha256 **out, struct err *e)
{
	*out = malloc(sizeof **out);
	if (!*out)
		return err_set(e, ERR_NOMEM, "out of memory for a hash");
	SHA256_Init(&(*out)->s);
	return 0;
}

void sha256_add(struct sha256 *h, const void *bytes, size_t len)
{
	SHA256_Update(&h->s, bytes, len);
}

struct digest sha256_take(struct sha256 *h)
{
	struct digest d;
	SHA256_Final(d.bytes, &h->s);
	SHA256_Init(&h->s);
	return d;
}

void sha256_close(struct sha256 *h) { free(h); }

struct digest digest_parts(const struct digest_part *part, size_t count)
{
	struct digest d;
	SHA256_CTX s;
	SHA256_Init(&s);
	for (size_t i = 0; i < count; i++)
		SHA256_Update(&s, part[i].bytes, part[i].len);
	SHA256_Final(d.bytes, &s);
	return d;
}

struct digest digest_of(const void *bytes, size_t len)
{
	const struct digest_part all = { bytes, len };
	return digest_parts(&all, 1);
}

struct digest digest_tagged(uint8_t prefix, const void *a, size_t a_len, const void *b,
			    size_t b_len)
{
	const struct digest_part part[] = { { &prefix, 1 }, { a, a_len }, { b, b_len } };
	return digest_parts(part, 3);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void digest_hex(const struct digest *d, char out[65]) { text_hex(d->bytes, sizeof d->bytes, out); }

void digest_text(const struct digest *d, char out[DIGEST_TEXT_ROOM])
{
	memcpy(out, "sha256:", 7);
	digest_hex(d, out + 7);
}

int digest_parse(const char *text, struct digest *out, struct err *e)
{
	if (!text_starts(text, "sha256:"))
		return err_set(e, ERR_INPUT,
			       "expected a digest \"sha256:<64 hex digits>\", found \"%.80s\"",
			       text);
	return digest_parse_hex(text + 7, out, e);
}

int digest_parse_hex(const char *hex, struct digest *out, struct err *e)
{
	if (text_unhex(hex, strlen(hex), out->bytes, sizeof out->bytes) < 0)
		return err_set(e, ERR_INPUT, "expected 64 lower-case hex digits, found \"%.80s\"",
			       hex);
	return 0;
}

/* The stack holds the roots of the full subtrees, largest first: one for each set bit of count. */
static struct digest node_hash(const struct digest *left, const struct digest *right)
{
	return digest_tagged(1, left->bytes, sizeof left->bytes, right->bytes, sizeof right->bytes);
}

void merkle_add(struct merkle *m, const struct digest *leaf_hash)
{
	int top = __builtin_popcountll(m->count);
	struct digest d = *leaf_hash;
	for (uint64_t bits = m->count; bits & 1; bits >>= 1)
		d = node_hash(&m->stack[--top], &d);
	m->stack[top] = d;
	m->count++;
}

struct digest merkle_root(const struct merkle *m)
{
	int top = __builtin_popcountll(m->count);
	if (top == 0)
		return digest_of("", 0);
	struct digest d = m->stack[--top];
	while (top > 0)
		d = node_hash(&m->stack[--top], &d);
	return d;
}
