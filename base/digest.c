#include "base/digest.h"
#include "base/check.h"
#include "base/text.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
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

/* The digest of prefix (NULL: none), a and b. OpenSSL is faster, but may run out of memory. */
static bool digest_fast(struct digest *d, const uint8_t *prefix, const void *a, size_t a_len,
			const void *b, size_t b_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex2(ctx, md(), NULL) == 1 &&
		  EVP_DigestUpdate(ctx, prefix, prefix != NULL) == 1 &&
		  EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
		  EVP_DigestFinal_ex(ctx, d->bytes, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		ERR_clear_error();
	return ok;
}

/* libsodium allocates nothing: this cannot fail. */
static void digest_sure(struct digest *d, const uint8_t *prefix, const void *a, size_t a_len,
			const void *b, size_t b_len)
{
	crypto_hash_sha256_state s;
	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, prefix, prefix != NULL);
	crypto_hash_sha256_update(&s, a, a_len);
	crypto_hash_sha256_update(&s, b, b_len);
	crypto_hash_sha256_final(&s, d->bytes);
}

struct digest digest_of(const void *bytes, size_t len)
{
	struct digest d;
	if (!digest_fast(&d, NULL, bytes, len, NULL, 0))
		digest_sure(&d, NULL, bytes, len, NULL, 0);
	return d;
}

struct digest digest_tagged(uint8_t prefix, const void *a, size_t a_len, const void *b,
			    size_t b_len)
{
	struct digest d;
	if (!digest_fast(&d, &prefix, a, a_len, b, b_len))
		digest_sure(&d, &prefix, a, a_len, b, b_len);
	return d;
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
