#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Unicode 15, table 3-7: the lead byte says how many bytes follow and narrows the range of the
 * second. */
struct utf8_lead {
	int follow; /* -1: no lead byte */
	unsigned char low, high;
};

static struct utf8_lead utf8_lead(unsigned char c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return (struct utf8_lead){ 1, 0x80, 0xbf };
	if (c >= 0xe0 && c <= 0xef)
		return (struct utf8_lead){ 2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf };
	if (c >= 0xf0 && c <= 0xf4)
		return (struct utf8_lead){ 3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf };
	return (struct utf8_lead){ -1, 0, 0 };
}

int text_utf8_decode(const void *s, size_t len, uint32_t *cp)
{
	const unsigned char *p = s;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	struct utf8_lead lead = utf8_lead(p[0]);
	if (lead.follow < 0)
		return -1;
	uint32_t value = p[0] & (0x3fu >> lead.follow);
	for (int i = 1; i <= lead.follow; i++) {
		if ((size_t)i == len)
			return 0;
		if (p[i] < (i == 1 ? lead.low : 0x80) || p[i] > (i == 1 ? lead.high : 0xbf))
			return -i;
		value = value << 6 | (p[i] & 0x3fu);
	}
	*cp = value;
	return lead.follow + 1;
}

int text_utf8_encode(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	int follow = cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
	static const unsigned char mark[] = { 0, 0xc0, 0xe0, 0xf0 };
	out[0] = (char)(mark[follow] | cp >> (6 * follow));
	for (int i = 1; i <= follow; i++)
		out[i] = (char)(0x80 | (cp >> (6 * (follow - i)) & 0x3f));
	return follow + 1;
}

#define BYTES_OF(x) (UINT64_MAX / 255 * (x)) /* eight of them */

/* How many bytes from here on are ASCII, eight at a time: the last few may be left uncounted. */
static size_t ascii_span(const char *p, size_t len)
{
	size_t i = 0;
	for (uint64_t v; i + sizeof v <= len; i += sizeof v) {
		memcpy(&v, p + i, sizeof v);
		if (v & BYTES_OF(0x80))
			break;
	}
	return i;
}

bool text_utf8_valid(const void *s, size_t len)
{
	const char *p = s;
	uint32_t cp;
	for (size_t i = ascii_span(p, len); i < len;) {
		if ((unsigned char)p[i] < 0x80) {
			i++;
			continue;
		}
		int n = text_utf8_decode(p + i, len - i, &cp);
		if (n <= 0)
			return false;
		i += (size_t)n;
	}
	return true;
}

size_t text_utf8_unfinished(const void *s, size_t len)
{
	const unsigned char *p = s;
	uint32_t cp;
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = p[len - back];
		if (c >= 0x80 && c < 0xc0)
			continue;
		return c >= 0xc0 && text_utf8_decode(p + len - back, back, &cp) == 0 ? back : 0;
	}
	return 0;
}

/* Characters that a reader does not see, and that move or hide those that he does. */
static bool is_invisible(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x61c || cp == 0x200b ||
	       cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x2069) || cp == 0xfeff;
}

size_t text_escape(char *out, size_t room, const char *s, size_t len, bool cut)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;
	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		int n = text_utf8_decode(s + i, len - i, &cp);
		if (n == 0 && cut)
			break;
		size_t used = n == 0 ? len - i : (size_t)(n < 0 ? -n : n);
		bool escaped = n <= 0 || is_invisible(cp);
		if (at + (escaped ? 4 * used : used) >= room)
			break;
		for (size_t k = 0; k < used; k++, i++) {
			unsigned char byte = (unsigned char)s[i];
			if (!escaped) {
				out[at++] = (char)byte;
				continue;
			}
			memcpy(out + at, "\\x", 2);
			out[at + 2] = digits[byte >> 4];
			out[at + 3] = digits[byte & 15];
			at += 4;
		}
	}
	out[at] = '\0';
	return at;
}

/* Sixteen bytes, which the compiler works on all at once. */
typedef uint8_t sixteen __attribute__((vector_size(16)));

/* The digits of values below 16. */
static sixteen hex_digits(sixteen v) { return v + '0' + ((sixteen)(v > 9) & ('a' - '9' - 1)); }

static void hex_of_sixteen(const unsigned char *p, char *out)
{
	sixteen v;
	memcpy(&v, p, sizeof v);
	sixteen high = hex_digits(v >> 4), low = hex_digits(v & 15);
	sixteen both[2] = { __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
						    21, 6, 22, 7, 23),
			    __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
						    13, 29, 14, 30, 15, 31) };
	memcpy(out, both, sizeof both);
}

void text_hex(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	size_t i = 0;
	for (; i + sizeof(sixteen) <= len; i += sizeof(sixteen))
		hex_of_sixteen(p + i, out + 2 * i);
	for (; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

int text_hex_digit(int c)
{
	int lower = c | 32;
	return c >= '0' && c <= '9'           ? c - '0'
	       : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
					      : -1;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_unhex(const char *s, size_t n, void *bytes, size_t len)
{
	unsigned char *out = bytes;
	if (n % 2 || n / 2 != len)
		return ERR_INPUT;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);
		if (high < 0 || low < 0)
			return ERR_INPUT;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

bool text_is_name(const char *s, size_t len)
{
	size_t digits = 0;
	for (size_t i = 0; i < len; i++) {
		bool digit = s[i] >= '0' && s[i] <= '9';
		digits += digit;
		if (!digit && !(s[i] && strchr("_.-", s[i])) && !(s[i] >= 'a' && s[i] <= 'z') &&
		    !(s[i] >= 'A' && s[i] <= 'Z'))
			return false;
	}
	return len > 0 && len <= TEXT_NAME_BYTES && digits <= 4;
}

static const char base64_standard[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64_add(struct buf *out, const unsigned char *p, size_t len, const char *alphabet,
		       bool pad)
{
	char text[512];
	size_t n = 0;
	while (len > 0) {
		size_t have = len < 3 ? len : 3;
		uint32_t v = (uint32_t)p[0] << 16;
		v |= have > 1 ? (uint32_t)p[1] << 8 : 0;
		v |= have > 2 ? p[2] : 0;
		text[n] = alphabet[v >> 18];
		text[n + 1] = alphabet[v >> 12 & 63];
		text[n + 2] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		text[n + 3] = have > 2 ? alphabet[v & 63] : '=';
		n += pad ? 4 : have + 1;
		if (n + 4 > sizeof text) {
			buf_add(out, text, n);
			n = 0;
		}
		p += have;
		len -= have;
	}
	buf_add(out, text, n);
}

void text_base64(struct buf *out, const void *bytes, size_t len)
{
	base64_add(out, bytes, len, base64_standard, true);
}

void text_base64_url(struct buf *out, const void *bytes, size_t len)
{
	base64_add(out, bytes, len, base64_url, false);
}

static int base64_value(char c, const char *alphabet)
{
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

/* Decode n digits without padding. A single digit, or set bits below the last whole byte, would be
 * a second spelling, and is refused. */
static int base64_read(struct buf *out, const char *s, size_t n, const char *alphabet)
{
	if (n % 4 == 1)
		return ERR_INPUT;
	size_t begin = out->len;
	uint32_t bits = 0;
	int held = 0;
	for (size_t i = 0; i < n; i++) {
		int v = base64_value(s[i], alphabet);
		if (v < 0)
			goto bad;
		bits = (bits << 6 | (uint32_t)v) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			buf_add_byte(out, (unsigned char)(bits >> held));
			bits &= (1u << held) - 1;
		}
	}
	if (bits)
		goto bad;
	return out->failed ? ERR_NOMEM : 0;
bad:
	out->len = begin;
	if (out->bytes)
		out->bytes[begin] = '\0';
	return ERR_INPUT;
}

int text_unbase64(struct buf *out, const char *s, size_t n)
{
	if (n % 4)
		return ERR_INPUT;
	if (n && s[n - 1] == '=')
		n -= s[n - 2] == '=' ? 2 : 1;
	return base64_read(out, s, n, base64_standard);
}

int text_unbase64_url(struct buf *out, const char *s, size_t n)
{
	return base64_read(out, s, n, base64_url);
}

int text_parse_u64(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	if (n == 0 || (n > 1 && s[0] == '0'))
		return ERR_INPUT;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return ERR_INPUT;
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
			return ERR_INPUT;
	}
	*out = v;
	return 0;
}

int text_parse_i64(const char *s, size_t n, int64_t *out)
{
	bool minus = n > 0 && s[0] == '-';
	uint64_t v;
	TRY(text_parse_u64(s + minus, n - minus, &v));
	if (v > (uint64_t)INT64_MAX + minus || (minus && v == 0))
		return ERR_INPUT;
	*out = minus ? -(int64_t)(v - 1) - 1 : (int64_t)v;
	return 0;
}

int text_parse_double(const char *s, double *out)
{
	/* strtod alone would also take spaces, hexadecimal, "inf" and "nan". */
	if (!*s || s[strspn(s, "0123456789+-.eE")])
		return ERR_INPUT;
	char *end;
	double v = strtod(s, &end);
	if (*end || !isfinite(v))
		return ERR_INPUT;
	*out = v;
	return 0;
}

static void json_escape(struct buf *out, unsigned char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *at = c ? strchr(plain, c) : NULL;
	if (at)
		buf_add(out, (char[]){ '\\', letter[at - plain] }, 2);
	else
		buf_printf(out, "\\u%04x", c);
}

/* Whether all are ASCII that JSON writes as it is. */
static bool is_plain(sixteen v)
{
	uint64_t other[2];
	sixteen is = (sixteen)((v - 0x20 >= 0x60) | (v == '"') | (v == '\\'));
	memcpy(other, &is, sizeof is);
	return !(other[0] | other[1]);
}

/* How many bytes from here on are. */
static size_t plain_span(const unsigned char *p, size_t len)
{
	size_t i = 0;
	sixteen v;
	for (; i + sizeof v <= len; i += sizeof v) {
		memcpy(&v, p + i, sizeof v);
		if (!is_plain(v))
			break;
	}
	if (i < len && len - i < sizeof v) {
		v = (sixteen){ 0 } + ' ';
		memcpy(&v, p + i, len - i);
		if (is_plain(v))
			return len;
	}
	while (i < len && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

void text_json_string(struct buf *out, const void *s, size_t len)
{
	const unsigned char *p = s;
	size_t i = 0, plain = 0; /* p[plain..i) is copied as it stands */
	buf_add_byte(out, '"');
	while (i < len) {
		i += plain_span(p + i, len - i);
		if (i == len)
			break;
		uint32_t cp = 0;
		int n = text_utf8_decode(p + i, len - i, &cp);
		size_t used = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : len - i;
		if (n <= 0 || cp < 0x20 || cp == '"' || cp == '\\') {
			buf_add(out, p + plain, i - plain);
			plain = i + used;
			if (n <= 0)
				buf_add_text(out, "\xef\xbf\xbd");
			else
				json_escape(out, (unsigned char)cp);
		}
		i += used;
	}
	buf_add(out, p + plain, i - plain);
	buf_add_byte(out, '"');
}

void text_time_rfc3339(int64_t time_us, char out[32])
{
	int64_t seconds = time_us / 1000000 - (time_us % 1000000 < 0);
	int64_t days = seconds / 86400 - (seconds % 86400 < 0);
	unsigned second = (unsigned)(seconds - days * 86400) % 86400;
	/* Civil date from days, counted in 400-year eras of years that begin in March (a leap day
	 * comes last). */
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;
	int64_t year = yoe + era * 400 + (month <= 2), day = doy - (153 * mp + 2) / 5 + 1;
	snprintf(out, 32, "%04d-%02u-%02uT%02u:%02u:%02uZ", (int)year, (unsigned)month % 13,
		 (unsigned)day % 32, second / 3600, second / 60 % 60, second % 60);
}

int text_time_parse(const char *text, int64_t *time_us)
{
	char whole[21] = "YYYY-MM-DDT00:00:00Z", again[32];
	size_t len = strlen(text);
	struct tm t = { 0 };
	if (len != strlen("YYYY-MM-DD") && len != strlen(whole))
		return ERR_INPUT;
	memcpy(whole, text, len);
	const char *end = strptime(whole, "%Y-%m-%dT%H:%M:%SZ", &t);
	time_t seconds = end && !*end ? timegm(&t) : -1;
	if (seconds < 0)
		return ERR_INPUT;
	*time_us = (int64_t)seconds * 1000000;
	text_time_rfc3339(*time_us, again); /* one spelling; no 31 February */
	return strcmp(again, whole) == 0 ? 0 : ERR_INPUT;
}

bool text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool text_list_has(const char *list, const char *item, size_t len)
{
	for (const char *at = list;; at++) {
		size_t n = strcspn(at, ",");
		if (n == len && memcmp(at, item, len) == 0)
			return true;
		at += n;
		if (!*at)
			return false;
	}
}
