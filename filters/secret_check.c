/* Checks of secrets: checksums, parts that must decode, values that are too like words. */
#include "base/digest.h"
#include "base/text.h"
#include "filters/secret.h"

#include <ctype.h>
#include <string.h>

/* ---- checksums */

static uint32_t crc32(const char *v, size_t n)
{
	uint32_t c = UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		c ^= (uint8_t)v[i];
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0xEDB88320u : 0);
	}
	return ~c;
}

/* GitHub and npm: the last six characters are the CRC-32 of those before, behind the prefix, in
 * base 62 with leading zeros. A value that fails is still likely: a token mistyped is one. */
enum secret_verdict detect_crc62(const char *v, size_t n)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *from = memchr(v, '_', n);
	if (!from || n - (size_t)(from + 1 - v) < 7)
		return SECRET_LIKELY;
	from++;
	size_t body = n - (size_t)(from - v) - 6;
	uint32_t c = crc32(from, body);
	for (size_t i = n; i > n - 6; c /= 62)
		if (v[--i] != digits[c % 62])
			return SECRET_LIKELY;
	return SECRET_PROVED;
}

/* Bech32 (BIP 173) of a text with its human-readable part. */
enum secret_verdict detect_bech32_key(const char *v, size_t n)
{
	static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	static const uint32_t generator[5] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
					       0x2a1462b3 };
	char text[128];
	uint8_t sum[256];
	size_t len = 0, one = 0;
	if (n >= sizeof text)
		return SECRET_LIKELY;
	for (size_t i = 0; i < n; i++) {
		text[i] = (char)tolower((unsigned char)v[i]);
		one = text[i] == '1' ? i : one;
	}
	for (size_t i = 0; i < one; i++)
		sum[len++] = (uint8_t)text[i] >> 5;
	sum[len++] = 0;
	for (size_t i = 0; i < one; i++)
		sum[len++] = (uint8_t)text[i] & 31;
	for (size_t i = one + 1; i < n; i++) {
		const char *p = strchr(alphabet, text[i]);
		if (!p)
			return SECRET_LIKELY;
		sum[len++] = (uint8_t)(p - alphabet);
	}
	uint32_t c = 1;
	for (size_t i = 0; i < len; i++) {
		uint32_t high = c >> 25;
		c = (c & 0x1ffffff) << 5 ^ sum[i];
		for (int k = 0; k < 5; k++)
			c ^= (high >> k & 1) ? generator[k] : 0;
	}
	return c == 1 ? SECRET_PROVED : SECRET_LIKELY;
}

/* Base58Check of a private key in wallet import format: version 0x80, 32 bytes, perhaps 0x01, and
 * four bytes of the doubled SHA-256. */
enum secret_verdict detect_wif(const char *v, size_t n)
{
	static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	uint8_t raw[38] = { 0 };
	size_t size = v[0] == '5' ? 37 : 38;
	for (size_t i = 0; i < n; i++) {
		const char *p = strchr(alphabet, v[i]);
		if (!p)
			return SECRET_NO;
		uint32_t carry = (uint32_t)(p - alphabet);
		for (size_t k = size; k-- > 0;) {
			carry += raw[k] * 58u;
			raw[k] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			return SECRET_NO;
	}
	struct digest d = digest_of(raw, size - 4);
	d = digest_of(d.bytes, sizeof d.bytes);
	bool is = raw[0] == 0x80 && memcmp(d.bytes, raw + size - 4, 4) == 0;
	return is ? SECRET_PROVED : SECRET_NO;
}

/* ---- parts that decode */

/* The first bytes of base64 or base64url, as far as n characters give; returns how many. */
static size_t decode(const char *v, size_t n, char *out, size_t room)
{
	uint32_t bits = 0, have = 0;
	size_t len = 0;
	for (size_t i = 0; i < n && len < room; i++) {
		char c = v[i];
		uint32_t d = c >= 'A' && c <= 'Z'    ? (uint32_t)(c - 'A')
			     : c >= 'a' && c <= 'z'  ? (uint32_t)(c - 'a') + 26
			     : c >= '0' && c <= '9'  ? (uint32_t)(c - '0') + 52
			     : c == '+' || c == '-'  ? 62
			     : c == '/' || c == '_'  ? 63
						     : 64;
		if (d == 64)
			break;
		bits = bits << 6 | d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[len++] = (char)(bits >> have & 0xFF);
		}
	}
	return len;
}

/* Whether a text begins like a JSON object. */
static bool json_begins(const char *s, size_t n)
{
	size_t i = 1;
	if (n < 2 || s[0] != '{')
		return false;
	while (i < n && strchr(" \t\r\n", s[i]))
		i++;
	return i < n && s[i] == '"';
}

/* A JSON web token: its header decodes to an object. */
enum secret_verdict detect_jwt(const char *v, size_t n)
{
	char text[16];
	const char *dot = memchr(v, '.', n);
	size_t len = decode(v, dot ? (size_t)(dot - v) : n, text, sizeof text);
	return json_begins(text, len) ? SECRET_PROVED : SECRET_NO;
}

static size_t unreadable(const char *s, size_t n)
{
	size_t bad = 0;
	for (size_t i = 0; i < n; i++)
		bad += (uint8_t)s[i] < 0x20 || (uint8_t)s[i] == 0x7F;
	return bad;
}

/* Basic authentication: NAME:PASSWORD in base64. */
enum secret_verdict detect_basic_auth(const char *v, size_t n)
{
	char text[256];
	size_t len = decode(v, n, text, sizeof text);
	const char *colon = memchr(text, ':', len);
	if (!colon || unreadable(text, len) > 0)
		return SECRET_NO;
	size_t at = (size_t)(colon - text);
	if (at + 1 < len && detect_placeholder(text + at + 1, len - at - 1))
		return SECRET_NO;
	return SECRET_PROVED;
}

/* ---- values like words */

/* How often letters, digits and case change, which words and names seldom do. */
static size_t turns(const char *v, size_t n)
{
	size_t changes = 0;
	int before = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)v[i];
		int kind = isdigit(c) ? 1 : isupper(c) ? 2 : islower(c) ? 3 : 0;
		/* A capital that begins a word is none. */
		if (before && kind && kind != before && !(before == 2 && kind == 3))
			changes++;
		before = kind;
	}
	return changes;
}

static size_t count_of(const char *v, size_t n, int (*is)(int))
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += is((unsigned char)v[i]) != 0;
	return count;
}

/* A random token: characters of several kinds, mixed. */
enum secret_verdict detect_mixed(const char *v, size_t n)
{
	size_t digits = count_of(v, n, isdigit), letters = count_of(v, n, isalpha);
	if (letters == 0 || (digits < 2 && turns(v, n) < 6))
		return SECRET_NO;
	return turns(v, n) * 8 >= n ? SECRET_LIKELY : SECRET_NO;
}

/* A password that a person chose: letters with digits or signs, no name, path or call. */
enum secret_verdict detect_password(const char *v, size_t n)
{
	size_t digits = count_of(v, n, isdigit), letters = count_of(v, n, isalpha);
	size_t signs = 0;
	for (size_t i = 0; i < n; i++)
		signs += v[i] && strchr("!@#$%^&*?~+=", v[i]) != NULL;
	if (digits + signs == 0 || (letters == 0 && signs == 0))
		return SECRET_NO;
	return SECRET_LIKELY;
}

/* A password of a package source: whatever it says, but for %VARIABLE%. */
enum secret_verdict detect_nuget(const char *v, size_t n)
{
	bool variable = n > 2 && v[0] == '%' && v[n - 1] == '%';
	return variable || detect_entropy(v, n) < 1 ? SECRET_NO : SECRET_LIKELY;
}

/* Sentry: JSON in base64 that says when it was issued, then a signature. */
enum secret_verdict detect_sentry(const char *v, size_t n)
{
	char text[16];
	size_t len = n > 7 ? decode(v + 7, n - 7, text, sizeof text) : 0;
	return json_begins(text, len) ? SECRET_LIKELY : SECRET_NO;
}

/* Keys of Google that its own documentation and programs print, which open nothing: the first bytes
 * of their SHA-256. */
enum secret_verdict detect_published(const char *v, size_t n)
{
	static const uint8_t known[][4] = {
		{ 0, 0, 0, 0 },
	};
	struct digest d = digest_of(v, n);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (memcmp(d.bytes, known[i], sizeof known[i]) == 0)
			return SECRET_NO;
	return SECRET_LIKELY;
}
