#include "base/digest.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *hex_of(struct digest d)
{
	static char hex[65];
	digest_hex(&d, hex);
	return hex;
}

Test(base_digest, sha256_gives_the_published_vectors)
{
	/* FIPS 180-2, appendix B, and the empty message. */
	static const char *const rows[][2] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
		cr_expect_str_eq(hex_of(digest_of(rows[r][0], strlen(rows[r][0]))), rows[r][1]);
	struct sha256 *h = NULL;
	cr_assert_eq(sha256_open(&h, NULL), 0);
	for (int i = 0; i < 100000; i++)
		sha256_add(h, "aaaaaaaaaa", 10);
	cr_expect_str_eq(hex_of(sha256_take(h)),
			 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	sha256_add(h, "abc", 3);
	cr_expect_str_eq(hex_of(sha256_take(h)), rows[1][1], "a taken hash starts anew");
	sha256_close(h);
}

Test(base_digest, tagged_hash_is_the_hash_of_the_concatenation)
{
	struct digest a = digest_tagged(1, "left", 4, "right", 5),
		      b = digest_of("\001leftright", 10);
	cr_expect(digest_equal(&a, &b));
	a = digest_tagged(0, "leaf", 4, NULL, 0);
	b = digest_of("\0leaf", 5);
	cr_expect(digest_equal(&a, &b));
}

Test(base_digest, text_has_one_spelling)
{
	struct digest d = digest_of("abc", 3), back;
	char text[DIGEST_TEXT_ROOM];
	struct err e = { 0 };
	digest_text(&d, text);
	cr_expect_str_eq(text,
			 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	cr_assert_eq(digest_parse(text, &back, &e), 0);
	cr_expect(digest_equal(&d, &back));
	cr_expect_eq(digest_parse(text + 7, &back, &e), ERR_INPUT, "no prefix");
	cr_expect_eq(digest_parse_hex(text, &back, &e), ERR_INPUT, "prefix");
	text[10] = 'A';
	cr_expect_eq(digest_parse(text, &back, &e), ERR_INPUT, "upper case");
	text[70] = '\0';
	cr_expect_eq(digest_parse(text, &back, &e), ERR_INPUT, "short");
}

/* MTH of RFC 6962, section 2.1, as written there; at most 8 levels for the sizes below. */
static struct digest naive_root(const struct digest *leaves, size_t n)
{
	if (n == 0)
		return digest_of("", 0);
	if (n == 1)
		return leaves[0];
	size_t k = 1;
	while (k * 2 < n)
		k *= 2;
	struct digest left = naive_root(leaves, k), right = naive_root(leaves + k, n - k);
	return digest_tagged(1, left.bytes, 32, right.bytes, 32);
}

Test(base_digest, merkle_root_equals_the_recursive_definition)
{
	struct digest leaves[200];
	struct merkle m = { 0 };
	for (size_t n = 0; n < 200; n++) {
		struct digest root = merkle_root(&m), naive = naive_root(leaves, n);
		cr_assert(digest_equal(&root, &naive), "%zu leaves", n);
		leaves[n] = digest_tagged(0, &n, sizeof n, NULL, 0);
		merkle_add(&m, &leaves[n]);
	}
}

Test(base_digest, merkle_root_gives_the_known_answers_of_certificate_transparency)
{
	/* The eight leaves and roots used by the reference log's tests. */
	static const struct {
		const char *leaf;
		size_t len;
		const char *root;
	} rows[] = {
		{ "", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
		{ "\x00", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
		{ "\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
		{ "\x20\x21", 2,
		  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ "\x30\x31", 2,
		  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
		{ "\x40\x41\x42\x43", 4,
		  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
		{ "\x50\x51\x52\x53\x54\x55\x56\x57", 8,
		  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
		{ "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
		  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
	};
	struct merkle m = { 0 };
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		struct digest leaf = digest_tagged(0, rows[r].leaf, rows[r].len, NULL, 0);
		merkle_add(&m, &leaf);
		cr_expect_str_eq(hex_of(merkle_root(&m)), rows[r].root, "%zu leaves", r + 1);
	}
}
