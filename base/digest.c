#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and its like, which stay in libcrypto 3 */
#include "base/digest.h"
#include "base/check.h"
#include "base/text.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* Fetched once: EVP_sha256() would look the implementation up again for every hash. */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_md;

static void fetch(void)
{
	sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	check(sha256_md != NULL);
}

static const EVP_MD *md(void)
{
	check(pthread_once(&fetched, fetch) == 0);
	return sha256_md;
}

int sha256_open(struct sha256 **out, struct err *e)
{
	struct sha256 *h = malloc(sizeof *h);
	if (h)
		h->ctx = EVP_MD_CTX_new();
	if (!h || !h->ctx || EVP_DigestInit_ex2(h->ctx, md(), NULL) != 1) {
		sha256_close(h);
		ERR_clear_error();
		return err_set(e, ERR_NOMEM, "out of memory for a hash");
	}
	*out = h;
	return 0;
}

void sha256_add(struct sha256 *h, const void *bytes, size_t len)
{
	check(EVP_DigestUpdate(h->ctx, bytes, len) == 1);
}

struct digest sha256_take(struct sha256 *h)
{
	struct digest d;
	check(EVP_DigestFinal_ex(h->ctx, d.bytes, NULL) == 1);
	check(EVP_DigestInit_ex2(h->ctx, md(), NULL) == 1);
	return d;
}

void sha256_close(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

/* The low-level calls of libcrypto: they allocate nothing, cannot fail, and small texts, of which a
 * record has hundreds, take half the time that they take by EVP. libsodium's are in plain C. */
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
