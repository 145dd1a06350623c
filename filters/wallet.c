/* Wallet addresses. Base58Check carries four bytes of two SHA-256 (Bitcoin's descendants, Tron, XRP
 * with an alphabet of its own); Bech32 and CashAddr have checksums of their own (BIP 173, BIP 350,
 * the specification of Bitcoin Cash), Ethereum the case of its letters (EIP-55), Monero four bytes
 * of Keccak behind blocks of Base58. A Solana address is a bare key and needs a word. */
#include "filters/keccak.h"
#include "filters/near.h"

#include "base/digest.h"

#include <ctype.h>
#include <string.h>

static const char bitcoin58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char ripple58[] = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/* Decode n characters as a number of len bytes; false where it does not fit. */
static bool number58(const char *t, size_t n, const char *alphabet, uint8_t *out, size_t len)
{
	memset(out, 0, len);
	for (size_t i = 0; i < n; i++) {
		const char *p = t[i] ? strchr(alphabet, t[i]) : NULL;
		if (!p)
			return false;
		uint32_t carry = (uint32_t)(p - alphabet);
		for (size_t k = len; k-- > 0;) {
			carry += out[k] * 58u;
			out[k] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			return false;
	}
	return true;
}

/* The same, of exactly len bytes: a first digit stands for each zero in front. */
static bool base58(const char *t, size_t n, const char *alphabet, uint8_t *out, size_t len)
{
	if (!number58(t, n, alphabet, out, len))
		return false;
	size_t zeros = 0, ones = 0;
	while (zeros < len && out[zeros] == 0)
		zeros++;
	while (ones < n && t[ones] == alphabet[0])
		ones++;
	return zeros == ones;
}

static bool checked58(const struct detect_hit *h, const char *alphabet, const char *versions,
		      size_t count)
{
	uint8_t raw[25];
	if (!base58(h->text + h->start, h->end - h->start, alphabet, raw, sizeof raw) ||
	    !memchr(versions, raw[0], count))
		return false;
	struct digest d = digest_of(raw, 21);
	d = digest_of(d.bytes, sizeof d.bytes);
	return memcmp(d.bytes, raw + 21, 4) == 0;
}

static enum detect_verdict verdict(bool yes) { return yes ? DETECT_YES : DETECT_NO; }

static bool worded(const struct detect_hit *h)
{
	struct near near;
	filter_near(h, &near);
	return near.before[NEAR_WALLET] != NEAR_NONE || near.after[NEAR_WALLET] != NEAR_NONE ||
	       filter_near_columns(h) & 1u << NEAR_WALLET;
}

enum detect_verdict detect_btc58(struct detect_hit *h)
{
	return verdict(checked58(h, bitcoin58, "\x00\x05", 2));
}

/* M: scripts; a script address of before, from 3, cannot be told from one of Bitcoin. */
enum detect_verdict detect_ltc58(struct detect_hit *h)
{
	return verdict(checked58(h, bitcoin58, "\x30\x32", 2));
}

enum detect_verdict detect_doge(struct detect_hit *h)
{
	return verdict(checked58(h, bitcoin58, "\x1E\x16", 2));
}

enum detect_verdict detect_trx(struct detect_hit *h)
{
	return verdict(checked58(h, bitcoin58, "\x41", 1));
}

enum detect_verdict detect_xrp(struct detect_hit *h)
{
	return verdict(checked58(h, ripple58, "\x00", 1));
}

enum detect_verdict detect_sol(struct detect_hit *h)
{
	uint8_t key[32];
	return verdict(base58(h->text + h->start, h->end - h->start, bitcoin58, key, sizeof key) &&
		       worded(h));
}

/* ---- Bech32 and CashAddr: one alphabet, two polynomials */

static const char alphabet32[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t polymod(uint32_t c, uint32_t v)
{
	static const uint32_t generator[5] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
					       0x2a1462b3 };
	uint32_t high = c >> 25;
	c = (c & 0x1ffffff) << 5 ^ v;
	for (int i = 0; i < 5; i++)
		c ^= (high >> i & 1) ? generator[i] : 0;
	return c;
}

/* prefix "1" data: the prefix is hashed as its high bits, zero, its low bits. One case only. */
enum detect_verdict detect_bech32(struct detect_hit *h)
{
	const char *t = h->text + h->start;
	size_t n = h->end - h->start, one = 0;
	bool lower = false, upper = false;
	for (size_t i = 0; i < n; i++) {
		lower |= islower((unsigned char)t[i]) != 0;
		upper |= isupper((unsigned char)t[i]) != 0;
	}
	while (one < n && t[one] != '1')
		one++;
	uint32_t c = 1;
	for (size_t i = 0; i < one; i++)
		c = polymod(c, (uint32_t)tolower((unsigned char)t[i]) >> 5);
	c = polymod(c, 0);
	for (size_t i = 0; i < one; i++)
		c = polymod(c, (uint32_t)tolower((unsigned char)t[i]) & 31);
	for (size_t i = one + 1; i < n; i++) {
		const char *p = strchr(alphabet32, tolower((unsigned char)t[i]));
		if (!p || !*p)
			return DETECT_NO;
		c = polymod(c, (uint32_t)(p - alphabet32));
	}
	return verdict(!(lower && upper) && (c == 1 || c == 0x2bc830a3));
}

static uint64_t polymod40(uint64_t c, uint64_t v)
{
	static const uint64_t generator[5] = { 0x98f2bc8e61, 0x79b76d99e2, 0xf33e5fb3c4,
					       0xae2eabe2a8, 0x1e4f43e470 };
	uint64_t high = c >> 35;
	c = (c & 0x07ffffffff) << 5 ^ v;
	for (int i = 0; i < 5; i++)
		c ^= (high >> i & 1) ? generator[i] : 0;
	return c;
}

/* "bitcoincash:" may be left out, and is hashed all the same. */
enum detect_verdict detect_bch(struct detect_hit *h)
{
	static const char prefix[] = "bitcoincash";
	const char *t = h->text + h->start, *colon = memchr(t, ':', h->end - h->start);
	size_t from = colon ? (size_t)(colon - t) + 1 : 0;
	uint64_t c = 1;
	for (size_t i = 0; prefix[i]; i++)
		c = polymod40(c, (uint64_t)prefix[i] & 31);
	c = polymod40(c, 0);
	for (size_t i = from; i < h->end - h->start; i++) {
		const char *p = strchr(alphabet32, tolower((unsigned char)t[i]));
		if (!p || !*p)
			return DETECT_NO;
		c = polymod40(c, (uint64_t)(p - alphabet32));
	}
	return verdict(c == 1);
}

/* ---- Ethereum and Monero */

/* EIP-55: a letter is a capital where the hash of the lower case address has a high bit. An address
 * in one case carries no check and needs a word. */
enum detect_verdict detect_eth(struct detect_hit *h)
{
	const char *t = h->text + h->start + 2;
	if (h->always && !worded(h))
		return DETECT_NO;
	char lower[40];
	bool capitals = false, smalls = false;
	for (size_t i = 0; i < sizeof lower; i++) {
		lower[i] = (char)tolower((unsigned char)t[i]);
		capitals |= isupper((unsigned char)t[i]) != 0;
		smalls |= islower((unsigned char)t[i]) != 0;
	}
	if (!capitals || !smalls)
		return verdict(worded(h));
	uint8_t hash[32];
	filter_keccak256(lower, sizeof lower, hash);
	for (size_t i = 0; i < sizeof lower; i++) {
		int nibble = i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4;
		if (isalpha((unsigned char)t[i]) &&
		    (isupper((unsigned char)t[i]) != 0) != (nibble >= 8))
			return verdict(worded(h));
	}
	return DETECT_YES;
}

/* Blocks of 8 bytes in 11 characters, the last 5 bytes in 7; 69 bytes, or 77 with a payment id. */
enum detect_verdict detect_xmr(struct detect_hit *h)
{
	uint8_t raw[80] = { 0 }, hash[32];
	size_t n = h->end - h->start, len = 0;
	for (size_t i = 0; i < n; i += 11) {
		size_t chars = n - i < 11 ? n - i : 11, bytes = chars == 11 ? 8 : 5;
		if ((chars != 11 && chars != 7) ||
		    !number58(h->text + h->start + i, chars, bitcoin58, raw + len, bytes))
			return DETECT_NO;
		len += bytes;
	}
	if (raw[0] != 18 && raw[0] != 19 && raw[0] != 42)
		return DETECT_NO;
	filter_keccak256(raw, len - 4, hash);
	return verdict(memcmp(hash, raw + len - 4, 4) == 0);
}
