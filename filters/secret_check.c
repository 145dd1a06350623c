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
	size_t need = n >= 20 ? 6 : digits ? 2 : 3;
	if (letters == 0 || (digits < 2 && turns(v, n) < need))
		return SECRET_NO;
	return turns(v, n) * 8 >= n ? SECRET_LIKELY : SECRET_NO;
}

/* Words that a value made of them, with digits or signs behind, is no secret: "password1". */
static bool only_common_words(const char *v, size_t n)
{
	static const char *const words[] = {
		"password", "passwort", "passwd", "passphrase", "pass", "pwd", "secret",
		"token", "user", "username", "admin", "test", "tests", "testing", "root",
		"guest", "login", "key", "apikey", "api", "my", "the", "your", "some",
		"change", "me", "value", "string", "null", "none", "true", "false", "here",
		"default", "empty", "hidden", "masked", "sample", "foo", "bar", "baz",
		"client", "auth", "access", "bearer", "basic", "postgres", "mysql", "private",
		"public", "new", "old", "db", "database", "account", "session", "enter",
		"input", "text", "type", "config", "env", "demo", "xxx", "undefined",
		"anoncvs", "anonymous", "abc", "xyz", "required", "optional", "credentials",
		"authorization", "confirm", NULL,
	};
	for (size_t i = 0; i < n;) {
		size_t best = 0;
		for (size_t k = 0; words[k]; k++) {
			size_t len = strlen(words[k]);
			if (len > best && len <= n - i && strncasecmp(v + i, words[k], len) == 0)
				best = len;
		}
		if (best == 0 && isalpha((unsigned char)v[i]))
			return false;
		i += best ? best : 1;
	}
	return true;
}

/* Names, calls and paths: words, perhaps with a digit or two behind, joined by . _ - / or ->. */
static bool like_a_name(const char *v, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t letters = 0, digits = 0;
		while (i < n && isalpha((unsigned char)v[i]))
			i++, letters++;
		while (i < n && isdigit((unsigned char)v[i]))
			i++, digits++;
		bool joint = i == n || strchr("._-/:>", v[i]) != NULL;
		if (digits > 2 || !joint || (letters == 0 && digits == 0))
			return false;
		i++;
	}
	return true;
}

/* Whether a value begins like something that is put in later: $NAME, <name>, {name}, [name], %s. */
static bool inserted(const char *v, size_t n) { return n == 0 || strchr("$<{[(%", v[0]) != NULL; }

/* Where nothing else can stand: the form decides. */
enum secret_verdict detect_certain(const char *v, size_t n)
{
	(void)v;
	(void)n;
	return SECRET_PROVED;
}

/* The head of an armored key, which ends with 32 characters of its body. */
enum secret_verdict detect_armor(const char *v, size_t n)
{
	return n < 32 || detect_placeholder(v + n - 32, 32) ? SECRET_NO : SECRET_PROVED;
}

/* A password where only a password stands: in a URL, a connection string, a .netrc. */
enum secret_verdict detect_user_password(const char *v, size_t n)
{
	if (inserted(v, n) || only_common_words(v, n) || detect_placeholder(v, n))
		return SECRET_NO;
	return SECRET_PROVED;
}

/* USER:PASSWORD, each perhaps in quotes or braces. */
enum secret_verdict detect_curl_user(const char *v, size_t n)
{
	const char *colon = memchr(v, ':', n);
	size_t at = colon ? (size_t)(colon - v) : n;
	size_t from = at + 1;
	while (from < n && strchr("\"'", v[from]))
		from++;
	size_t len = n > from ? n - from : 0;
	const char *secret = len ? v + from : v; /* a key without password: KEY: */
	len = len ? len : at;
	if (len > 2 && secret[0] == '{' && secret[1] != '{')
		secret++, len -= 2;
	if (inserted(secret, len) || only_common_words(secret, len))
		return SECRET_NO;
	bool mixed = count_of(secret, len, isdigit) > 0 || turns(secret, len) >= 3;
	if (!mixed || count_of(secret, len, isalpha) == 0 || detect_placeholder(secret, len))
		return SECRET_NO;
	return SECRET_PROVED;
}

/* A password that a person chose, in quotes: letters with digits or signs. */
enum secret_verdict detect_password(const char *v, size_t n)
{
	size_t digits = count_of(v, n, isdigit), letters = count_of(v, n, isalpha), signs = 0;
	for (size_t i = 0; i < n; i++)
		signs += strchr("!@#$%^&*?~+", v[i]) != NULL;
	if (inserted(v, n) || letters == 0 || only_common_words(v, n))
		return SECRET_NO;
	if (digits + signs == 0)
		return n >= 12 && turns(v, n) >= 4 ? SECRET_LIKELY : SECRET_NO;
	return SECRET_LIKELY;
}

/* The same without quotes, where a name or a call of a program may stand as well. */
enum secret_verdict detect_password_bare(const char *v, size_t n)
{
	bool short_name = n < 20 && count_of(v, n, isdigit) > 0 && !memchr(v, '.', n) &&
			  !memchr(v, '_', n) && !memchr(v, '-', n) && !memchr(v, '/', n);
	if (like_a_name(v, n) && !short_name)
		return SECRET_NO;
	return detect_password(v, n);
}

/* A token: random characters, not names joined by signs; a UUID is one. */
enum secret_verdict detect_token(const char *v, size_t n)
{
	size_t digits = count_of(v, n, isdigit), part = 0, best = 0;
	if (like_a_name(v, n) || only_common_words(v, n) || count_of(v, n, isalpha) == 0)
		return SECRET_NO;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && isalnum((unsigned char)v[i])) {
			part++;
			continue;
		}
		size_t mixed = turns(v + i - part, part);
		best = mixed > best ? mixed : best;
		part = 0;
	}
	if (n < 20 && count_of(v, n, isxdigit) == n)
		return SECRET_NO; /* short digests stand everywhere */
	bool uuid = n == 36 && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-';
	if (uuid)
		return SECRET_LIKELY;
	return best >= 3 && (digits >= 2 || turns(v, n) >= 6) && turns(v, n) * 8 >= n &&
			       detect_entropy(v, n) >= 2.75
		       ? SECRET_LIKELY
		       : SECRET_NO;
}

/* What stands in a header of authorization: shorter than a token in code may be. */
enum secret_verdict detect_header(const char *v, size_t n)
{
	if (like_a_name(v, n) || only_common_words(v, n) || count_of(v, n, isdigit) < 2 ||
	    count_of(v, n, isalpha) == 0 || strncmp(v, "AWS4-HMAC", 9) == 0)
		return SECRET_NO;
	return SECRET_LIKELY;
}

/* Sentry: JSON in base64 that says when it was issued, then a signature. */
enum secret_verdict detect_sentry(const char *v, size_t n)
{
	char text[16];
	size_t len = n > 7 ? decode(v + 7, n - 7, text, sizeof text) : 0;
	return json_begins(text, len) ? SECRET_LIKELY : SECRET_NO;
}

/* Values that their makers print in documentation and programs, which open nothing: keys of Google,
 * passwords of NuGet's manual. The first bytes of their SHA-256. */
bool detect_published(const char *v, size_t n)
{
	static const uint8_t known[][8] = {
		{ 0xf5, 0x6e, 0x32, 0x34, 0x94, 0xa6, 0xff, 0xc2 },
		{ 0x20, 0x37, 0xab, 0xca, 0xff, 0xb2, 0xb7, 0x77 },
		{ 0x3f, 0x37, 0x0c, 0x9d, 0xd8, 0x22, 0x5c, 0x63 },
		{ 0xe4, 0xa5, 0x54, 0x2b, 0xb7, 0xfd, 0x7b, 0x67 },
		{ 0xa1, 0x9f, 0x89, 0xab, 0x35, 0x55, 0xea, 0xc1 },
		{ 0x0b, 0x47, 0x6b, 0xdf, 0x9a, 0xcf, 0x21, 0x23 },
		{ 0xeb, 0x54, 0x0d, 0x2b, 0x6e, 0xe2, 0xa0, 0xa4 },
		{ 0x37, 0xf8, 0xf0, 0x9b, 0xdf, 0x12, 0xc2, 0xf2 },
		{ 0x87, 0x31, 0x26, 0x1c, 0xb7, 0x2d, 0x86, 0x26 },
		{ 0x49, 0xf7, 0x77, 0xdb, 0x99, 0x5e, 0x82, 0x60 },
		{ 0x27, 0xa9, 0xa4, 0x29, 0x31, 0xdf, 0xf7, 0xeb },
		{ 0xdc, 0x0f, 0xcf, 0x04, 0x6c, 0x61, 0x64, 0x0c },
		{ 0x4c, 0x98, 0x24, 0x2d, 0xca, 0xdc, 0x8b, 0x29 },
		{ 0xea, 0x9b, 0xb1, 0x08, 0x2c, 0xf9, 0x56, 0x63 },
		{ 0x3a, 0x8b, 0x61, 0xd0, 0xf6, 0x36, 0xb0, 0x07 },
		{ 0xa6, 0xc8, 0x14, 0xbc, 0x55, 0x5a, 0xe6, 0x2c },
		{ 0xdb, 0xa7, 0x2c, 0x00, 0xf4, 0x1f, 0x4e, 0x4c },
		{ 0xa0, 0x70, 0x2b, 0xc9, 0x1d, 0x69, 0x9f, 0x60 },
	};
	struct digest d = digest_of(v, n);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (memcmp(d.bytes, known[i], sizeof known[i]) == 0)
			return true;
	return false;
}

/* A password of a package source: whatever it says, but for %VARIABLE%. */
enum secret_verdict detect_nuget(const char *v, size_t n)
{
	bool variable = n > 2 && v[0] == '%' && v[n - 1] == '%';
	return variable ? SECRET_NO : SECRET_LIKELY;
}
