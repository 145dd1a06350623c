/* The request head (RFC 9112, stricter):
 *
 *   head   = method SP target SP version CRLF *(name ":" OWS value OWS CRLF) CRLF
 *            at most 32 KiB and 100 fields
 *   target = "/" *printable, no "#", at most 8 KiB; its path is decoded once and then holds no %,
 *            "..", "//", backslash or control byte
 *   value  = *(HTAB / 20-7E / 80-FF)
 *
 * Every line ends in CRLF; a bare CR or LF, NUL, another control byte or a folded line is refused.
 * Framing is by one Content-Length of digits, or by Transfer-Encoding: chunked alone (body.c). */
#include "server/head.h"
#include "base/limits.h"

#include <string.h>
#include <strings.h>

static enum head_result refuse(struct head *h, int status, const char *reason)
{
	h->status = status;
	h->reason = reason;
	return HEAD_REFUSED;
}

static bool is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return len > 0;
}

static bool slice_is(struct head_slice s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.bytes, text, s.len) == 0;
}

/* ---- request line ---- */

static enum head_result check_method(struct head *h, const char *s, size_t len)
{
	static const char *const taken[] = { "GET", "POST", "DELETE", "HEAD", "OPTIONS" };
	static const char *const known[] = { "PUT", "PATCH", "TRACE", "CONNECT" };
	struct head_slice method = { s, len };
	if (!is_token(s, len))
		return refuse(h, 400, "malformed request line");
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		if (len == strlen(taken[i]) && memcmp(s, taken[i], len) == 0) {
			memcpy(h->method, s, len);
			return HEAD_OK;
		}
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slice_is(method, known[i]))
			return refuse(h, 405, "method not allowed");
	return refuse(h, 501, "unknown method");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Into h->path; false for a bad escape or a NUL. */
static bool decode_path(struct head *h, const char *s, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];
		if (c == '%') {
			int high = i + 2 < len ? hex_digit(s[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(s[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || c == '%' || c == '\\')
			return false;
		h->path[n++] = (char)c;
	}
	h->path[n] = 0;
	return true;
}

static enum head_result check_target(struct head *h, const char *s, size_t len)
{
	if (len > HEAD_TARGET_MAX)
		return refuse(h, 414, "target longer than 8 KiB");
	if (len == 0 || s[0] != '/')
		return refuse(h, 400, "the target must start with /");
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f || s[i] == '#')
			return refuse(h, 400, "the target holds a byte that must be escaped");
	const char *query = memchr(s, '?', len);
	if (query)
		h->query = (struct head_slice){ query + 1, (size_t)(s + len - query - 1) };
	if (!decode_path(h, s, query ? (size_t)(query - s) : len))
		return refuse(h, 400, "malformed path");
	if (strstr(h->path, "..") || strstr(h->path, "//"))
		return refuse(h, 400, "the path must not hold .. or //");
	return HEAD_OK;
}

static enum head_result check_version(struct head *h, const char *s, size_t len)
{
	h->http10 = len == 8 && memcmp(s, "HTTP/1.0", 8) == 0;
	if (h->http10 || (len == 8 && memcmp(s, "HTTP/1.1", 8) == 0))
		return HEAD_OK;
	bool well_formed = len == 8 && memcmp(s, "HTTP/", 5) == 0 && s[5] >= '0' && s[5] <= '9' &&
			   s[6] == '.' && s[7] >= '0' && s[7] <= '9';
	return well_formed ? refuse(h, 505, "HTTP version not supported")
			   : refuse(h, 400, "malformed request line");
}

static enum head_result check_request_line(struct head *h, const char *s, size_t len)
{
	const char *end = s + len;
	const char *target = memchr(s, ' ', len);
	if (!target)
		return refuse(h, 400, "malformed request line");
	target++;
	const char *version = memchr(target, ' ', (size_t)(end - target));
	if (!version)
		return refuse(h, 400, "malformed request line");
	enum head_result r = check_method(h, s, (size_t)(target - 1 - s));
	if (r == HEAD_OK)
		r = check_target(h, target, (size_t)(version - target));
	return r == HEAD_OK ? check_version(h, version + 1, (size_t)(end - version - 1)) : r;
}

/* ---- fields ---- */

static bool all_digits(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return len > 0;
}

static enum head_result check_length(struct head *h)
{
	struct head_slice v = h->field[HEAD_LENGTH];
	if (!all_digits(v.bytes, v.len))
		return refuse(h, 400, "Content-Length must be digits");
	for (size_t i = 0; i < v.len; i++) {
		h->body_bytes = h->body_bytes * 10 + (uint64_t)(v.bytes[i] - '0');
		if (h->body_bytes > LIMIT_REQUEST_BYTES)
			return refuse(h, 413, "the body is longer than 8 MiB");
	}
	h->has_length = true;
	return HEAD_OK;
}

static bool is_host_byte(char c, bool bracket)
{
	if (hex_digit(c) >= 0)
		return true;
	if (bracket)
		return c == ':' || c == '.';
	return (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '-' || c == '.' || c == '_';
}

/* name or [IPv6], then an optional port; nothing that a URL would read as a user part or a path. */
static enum head_result check_host(struct head *h)
{
	struct head_slice v = h->field[HEAD_HOST];
	const char *s = v.bytes, *end = v.bytes + v.len;
	bool bracket = s < end && *s == '[';
	const char *begin = s += bracket;
	while (s < end && is_host_byte(*s, bracket))
		s++;
	bool ok = s > begin && s - begin <= 255;
	if (bracket)
		ok = ok && s < end && *s++ == ']';
	if (ok && s < end)
		ok = *s == ':' && end - s <= 6 && all_digits(s + 1, (size_t)(end - s - 1));
	return ok ? HEAD_OK : refuse(h, 400, "malformed Host");
}

static struct head_slice trim(struct head_slice s)
{
	while (s.len && (s.bytes[0] == ' ' || s.bytes[0] == '\t')) {
		s.bytes++;
		s.len--;
	}
	while (s.len && (s.bytes[s.len - 1] == ' ' || s.bytes[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* A list of tokens; empty members are allowed. */
static enum head_result check_connection(struct head *h)
{
	struct head_slice v = h->field[HEAD_CONNECTION];
	for (const char *end = v.bytes + v.len, *comma; v.bytes <= end; v.bytes = comma + 1) {
		comma = memchr(v.bytes, ',', (size_t)(end - v.bytes));
		comma = comma ? comma : end;
		struct head_slice option =
			trim((struct head_slice){ v.bytes, (size_t)(comma - v.bytes) });
		if (option.len && !is_token(option.bytes, option.len))
			return refuse(h, 400, "malformed Connection");
		h->says_close |= slice_is(option, "close");
		h->says_keep |= slice_is(option, "keep-alive");
	}
	return HEAD_OK;
}

static const struct {
	const char *name;
	enum head_result (*check)(struct head *h);
	bool may_repeat;
} fields[HEAD_FIELDS] = {
	[HEAD_HOST] = { "Host", check_host, false },
	[HEAD_LENGTH] = { "Content-Length", check_length, false },
	[HEAD_AUTHORIZATION] = { "Authorization", NULL, false },
	[HEAD_API_KEY] = { "x-api-key", NULL, false },
	[HEAD_TYPE] = { "Content-Type", NULL, false },
	[HEAD_ORIGIN] = { "Origin", NULL, false },
	[HEAD_ASKS_METHOD] = { "Access-Control-Request-Method", NULL, false },
	[HEAD_ASKS_FIELDS] = { "Access-Control-Request-Headers", NULL, false },
	[HEAD_TRANSFER] = { "Transfer-Encoding", NULL, false },
	[HEAD_EXPECT] = { "Expect", NULL, false },
	[HEAD_ENCODING] = { "Content-Encoding", NULL, false },
	[HEAD_CONNECTION] = { "Connection", check_connection, true },
	[HEAD_REQUEST_ID] = { "X-Request-Id", NULL, true },
	[HEAD_ACCEPT] = { "Accept", NULL, true },
	[HEAD_FORWARDED_FOR] = { "X-Forwarded-For", NULL, true },
};

static enum head_result check_field(struct head *h, const char *s, size_t len)
{
	if (h->lines > HEAD_FIELDS_MAX + 1) /* and the request line */
		return refuse(h, 431, "more than 100 header fields");
	const char *colon = memchr(s, ':', len);
	struct head_slice name = { s, colon ? (size_t)(colon - s) : 0 };
	if (!is_token(name.bytes, name.len))
		return refuse(h, 400, "malformed header field");
	struct head_slice value = trim((struct head_slice){ colon + 1, len - name.len - 1 });
	for (int i = 0; i < HEAD_FIELDS; i++) {
		if (!slice_is(name, fields[i].name))
			continue;
		if (h->field[i].bytes && !fields[i].may_repeat)
			return refuse(h, 400, "a header field that may occur once occurs twice");
		h->field[i] = value;
		return fields[i].check ? fields[i].check(h) : HEAD_OK;
	}
	return HEAD_OK;
}

/* ---- the whole ---- */

/* Rules over several fields, when the blank line has been seen. */
static enum head_result check_whole(struct head *h)
{
	const struct head_slice *f = h->field;
	bool is_post = strcmp(h->method, "POST") == 0;
	if (!f[HEAD_HOST].bytes && !h->http10)
		return refuse(h, 400, "Host is missing");
	if (f[HEAD_TRANSFER].bytes && (h->has_length || h->http10))
		return refuse(h, 400,
			      "Transfer-Encoding beside Content-Length, or from an old client");
	h->chunked = f[HEAD_TRANSFER].bytes && slice_is(f[HEAD_TRANSFER], "chunked");
	if (f[HEAD_TRANSFER].bytes && !h->chunked)
		return refuse(h, 501, "unknown Transfer-Encoding");
	if (f[HEAD_EXPECT].bytes && !slice_is(f[HEAD_EXPECT], "100-continue"))
		return refuse(h, 417, "unknown expectation");
	if (f[HEAD_ENCODING].bytes)
		return refuse(h, 415, "Content-Encoding is not taken on a request");
	bool has_body = h->chunked || h->body_bytes > 0;
	if (is_post && !h->has_length && !h->chunked)
		return refuse(h, 411, "Content-Length is missing");
	if (!is_post && has_body)
		return refuse(h, 400, "this method takes no body");
	h->expects_continue = f[HEAD_EXPECT].bytes && has_body && !h->http10;
	return HEAD_OK;
}

/* A byte at i of the open line; HEAD_OK if a line may go on there. */
static enum head_result check_byte(struct head *h, const char *bytes, size_t i, size_t len)
{
	unsigned char c = (unsigned char)bytes[i];
	if (c == '\n')
		return i > h->line && bytes[i - 1] == '\r'
			       ? HEAD_OK
			       : refuse(h, 400, "a line must end in CRLF");
	if (c == '\r')
		return i + 1 == len || bytes[i + 1] == '\n' ? HEAD_OK : refuse(h, 400, "a bare CR");
	if ((c < 0x20 && !(c == '\t' && h->lines > 0)) || c == 0x7f)
		return refuse(h, 400, "a control byte in the head");
	return HEAD_OK;
}

enum head_result server_head_check(struct head *h, const char *bytes, size_t len)
{
	size_t end = len < HEAD_BYTES_MAX ? len : HEAD_BYTES_MAX;
	enum head_result r = HEAD_OK;
	for (; r == HEAD_OK && h->scanned < end; h->scanned++) {
		size_t i = h->scanned;
		if (bytes[i] == '\r' && i + 1 == len && len < HEAD_BYTES_MAX)
			return HEAD_MORE; /* looked at again with the byte after it */
		r = check_byte(h, bytes, i, len);
		if (r != HEAD_OK || bytes[i] != '\n')
			continue;
		const char *line = bytes + h->line;
		size_t line_len = i - 1 - h->line;
		if (h->lines > 0 && line_len == 0) {
			h->bytes = i + 1;
			return check_whole(h);
		}
		r = h->lines++ == 0 ? check_request_line(h, line, line_len)
				    : check_field(h, line, line_len);
		h->line = i + 1;
	}
	if (r == HEAD_OK && h->lines == 0 && end > HEAD_TARGET_MAX + 64)
		return refuse(h, 414, "request line longer than 8 KiB");
	if (r == HEAD_OK && end == HEAD_BYTES_MAX)
		return refuse(h, 431, "head longer than 32 KiB");
	return r == HEAD_OK ? HEAD_MORE : r;
}

void server_head_start(struct head *h) { memset(h, 0, offsetof(struct head, path) + 1); }

bool server_head_keeps_open(const struct head *h)
{
	return !h->says_close && (!h->http10 || h->says_keep);
}

unsigned server_head_find(const struct head *h, const char *bytes, const char *name,
			  struct head_slice *out)
{
	const char *end = bytes + h->bytes, *at = memchr(bytes, '\n', h->bytes);
	size_t len = strlen(name);
	unsigned found = 0;
	*out = (struct head_slice){ 0 };
	while (at && ++at < end) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		if (!next)
			break;
		if ((size_t)(next - at) > len && at[len] == ':' &&
		    strncasecmp(at, name, len) == 0) {
			const char *value = at + len + 1, *last = next - 1; /* at the CR */
			while (value < last && (*value == ' ' || *value == '\t'))
				value++;
			while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
				last--;
			*out = (struct head_slice){ value, (size_t)(last - value) };
			found++;
		}
		at = next;
	}
	return found;
}
