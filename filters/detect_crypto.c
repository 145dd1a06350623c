/* Wallet addresses: Base58Check (two SHA-256) and Bech32, Bech32m (BIP 173, BIP 350). */
#include "base/digest.h"
#include "filters/detect.h"

#include <ctype.h>
#include <string.h>

enum detect_verdict detect_base58(struct detect_hit *h)
{
	static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	uint8_t raw[25] = { 0 };
	for (size_t i = h->start; i < h->end; i++) {
		const char *p = strchr(alphabet, h->text[i]);
		if (!p)
			return DETECT_NO;
		uint32_t carry = (uint32_t)(p - alphabet);
		for (int k = 24; k >= 0; k--) {
			carry += raw[k] * 58u;
			raw[k] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			return DETECT_NO;
	}
	struct digest d = digest_of(raw, 21);
	d = digest_of(d.bytes, sizeof d.bytes);
	return memcmp(d.bytes, raw + 21, 4) == 0 ? DETECT_YES : DETECT_NO;
}

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

/* The human-readable part is bc: expanded it is 3 3 0 2 3. */
enum detect_verdict detect_bech32(struct detect_hit *h)
{
	static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	static const uint32_t bc[] = { 3, 3, 0, 2, 3 };
	uint32_t c = 1;
	for (int i = 0; i < 5; i++)
		c = polymod(c, bc[i]);
	for (size_t i = h->start + 3; i < h->end; i++) {
		const char *p = strchr(alphabet, tolower((unsigned char)h->text[i]));
		if (!p || !*p)
			return DETECT_NO;
		c = polymod(c, (uint32_t)(p - alphabet));
	}
	return c == 1 || c == 0x2bc830a3 ? DETECT_YES : DETECT_NO;
}
