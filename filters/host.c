/* Addresses of machines: IPv4, IPv6, MAC and EUI-64. What is reserved for no one, for everyone or
 * for examples is no one's address; four numbers are more often a version than an address, so they
 * need a word, a port, a scheme, or numbers that versions do not have. */
#include "filters/near.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c) { return isxdigit((unsigned char)c); }

/* ---- IPv4 */

/* Reserved by RFC 6890 and the registries it names. */
static bool reserved4(const int part[4])
{
	int a = part[0], b = part[1], c = part[2];
	return a == 0 || a == 10 || a == 127 || a >= 224 || (a == 172 && b >= 16 && b < 32) ||
	       (a == 192 && b == 168) || (a == 169 && b == 254) ||
	       (a == 100 && b >= 64 && b < 128) || (a == 192 && b == 0 && (c == 2 || c == 0)) ||
	       (a == 198 && (b == 18 || b == 19)) || (a == 198 && b == 51 && c == 100) ||
	       (a == 203 && b == 0 && c == 113);
}

/* Four numbers of up to three digits without leading zeros. */
static bool parts4(const char *t, size_t n, int part[4])
{
	size_t i = 0;
	for (int k = 0; k < 4; k++) {
		size_t from = i;
		part[k] = 0;
		for (; i < n && is_digit(t[i]); i++)
			part[k] = i - from < 3 ? part[k] * 10 + (t[i] - '0') : 999;
		if (i == from || part[k] > 255 || (i - from > 1 && t[from] == '0'))
			return false;
		if (k < 3 && (i == n || t[i++] != '.'))
			return false;
	}
	return i == n;
}

/* A port, a length of a network, a scheme or a user before it. */
static bool as_host(const struct detect_hit *h)
{
	char before = h->start > 0 ? h->text[h->start - 1] : 0;
	char before2 = h->start > 1 ? h->text[h->start - 2] : 0;
	if (before == '@' || (before == '/' && before2 == '/'))
		return true;
	size_t i = h->end + 1;
	while (i < h->len && i < h->end + 6 && is_digit(h->text[i]))
		i++;
	size_t digits = i - h->end - 1;
	bool ends = i >= h->len || !isalnum((unsigned char)h->text[i]);
	if (i + 1 < h->len && h->text[i] == '.' && is_digit(h->text[i + 1]))
		ends = false;
	if (h->end >= h->len || digits == 0 || !ends)
		return false;
	if (h->text[h->end] == ':')
		return digits >= 2 && !(i < h->len && h->text[i] == ':');
	return h->text[h->end] == '/' && digits <= 2;
}

/* Versions of four parts seldom begin beyond 31, and then have parts of two digits. */
static bool unlike_version(const int part[4])
{
	return part[0] >= 32 &&
	       (part[0] >= 100 || part[1] >= 100 || part[2] >= 100 || part[3] >= 100);
}

/* "10.11.12.13-2ubuntu4" is a package, "192.0.2.1-192.0.2.9" a range. */
static bool joined4(const struct detect_hit *h)
{
	bool left = h->start > 1 && h->text[h->start - 1] == '-' &&
		    isalnum((unsigned char)h->text[h->start - 2]);
	bool right = h->end + 1 < h->len && h->text[h->end] == '-' &&
		     isalnum((unsigned char)h->text[h->end + 1]);
	size_t dots = 0;
	for (size_t i = h->start;
	     left && i > 1 && (is_digit(h->text[i - 2]) || h->text[i - 2] == '.'); i--)
		dots += h->text[i - 2] == '.';
	left = left && dots != 3;
	dots = 0;
	for (size_t i = h->end + 1;
	     right && i < h->len && (is_digit(h->text[i]) || h->text[i] == '.'); i++)
		dots += h->text[i] == '.';
	return left || (right && dots < 3);
}

enum detect_verdict detect_ip(struct detect_hit *h)
{
	int part[4];
	if (!parts4(h->text + h->start, h->end - h->start, part) || reserved4(part) || joined4(h))
		return DETECT_SKIP;
	if (as_host(h) && !h->always)
		return DETECT_YES;
	struct near near;
	filter_near(h, &near);
	size_t version = near.before[NEAR_VERSION], host = near.before[NEAR_HOST];
	if (host < version)
		return DETECT_YES;
	if (version != NEAR_NONE || near.after[NEAR_VERSION] != NEAR_NONE)
		return DETECT_SKIP;
	uint32_t column = filter_near_columns(h);
	if (column & 1u << NEAR_HOST)
		return DETECT_YES;
	if (column & 1u << NEAR_VERSION)
		return DETECT_SKIP;
	if (h->always)
		return DETECT_SKIP;
	bool small = part[0] < 20 && part[1] < 20 && part[2] < 20 && part[3] < 20;
	bool seen = near.before[NEAR_FROM] != NEAR_NONE || near.after[NEAR_HOST] != NEAR_NONE;
	return unlike_version(part) || (seen && !small) ? DETECT_YES : DETECT_SKIP;
}

/* ---- IPv6 */

/* Global unicast (2000::/3) but for examples (2001:db8::/32, 3fff::/20); and what carries an IPv4
 * address of someone: mapped, translated (RFC 6052), 6to4 and Teredo are unicast anyway. */
static bool of_someone(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF },
			     translated[12] = { 0, 0x64, 0xFF, 0x9B };
	if ((a[0] & 0xE0) == 0x20) {
		bool example = (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0D && a[3] == 0xB8) ||
			       (a[0] == 0x3F && a[1] == 0xFF && a[2] < 0x10);
		return !example;
	}
	int part[4] = { a[12], a[13], a[14], a[15] };
	return (memcmp(a, mapped, 12) == 0 || memcmp(a, translated, 12) == 0) && !reserved4(part);
}

/* Groups of a length of their own: 8 groups of two hex digits are an EUI-64, not an address. */
static bool pairs_only(const char *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((i % 3 == 2) != (t[i] == ':'))
			return false;
	return true;
}

static bool parse6(const char *t, size_t n)
{
	char text[64];
	uint8_t a[16];
	if (n >= sizeof text || pairs_only(t, n))
		return false;
	memcpy(text, t, n);
	text[n] = 0;
	return inet_pton(AF_INET6, text, a) == 1 && of_someone(a);
}

/* The regex takes hex digits, colons and dots as they come: a key may stand before the address
 * ("add:2001:..."), a colon or a full stop behind it. */
enum detect_verdict detect_ip6(struct detect_hit *h)
{
	struct near near;
	if (h->always) {
		filter_near(h, &near);
		if (near.before[NEAR_HOST] == NEAR_NONE &&
		    !(filter_near_columns(h) & 1u << NEAR_HOST))
			return DETECT_SKIP;
	}
	size_t start = h->start, end = h->end, zone = start;
	while (zone < end && h->text[zone] != '%')
		zone++;
	for (int keys = 0; keys < 2; keys++) {
		for (size_t stop = zone; stop > start && stop + 2 >= zone; stop--) {
			if (!parse6(h->text + start, stop - start))
				continue;
			h->start = h->head = start;
			h->end = h->tail = stop == zone ? end : stop;
			return DETECT_YES;
		}
		while (start < zone && is_hex(h->text[start]))
			start++;
		start += start < zone;
	}
	return DETECT_SKIP;
}

/* ---- MAC and EUI-64 */

/* Not the broadcast address, not zeros; decimal pairs may be times and need a word. */
enum detect_verdict detect_mac(struct detect_hit *h)
{
	bool same = true, decimal = true;
	for (size_t i = 0; i < h->n; i++) {
		same &= h->value[i] == h->value[0];
		decimal &= is_digit(h->value[i]);
	}
	if (same)
		return DETECT_NO;
	if (!decimal)
		return DETECT_YES;
	struct near near;
	filter_near(h, &near);
	return near.before[NEAR_HOST] != NEAR_NONE ? DETECT_YES : DETECT_NO;
}
