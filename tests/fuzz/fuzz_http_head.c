#include "base/check.h"
#include "base/limits.h"
#include "server/head.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_slice(const struct head *h, const char *text, struct head_slice s)
{
	check(!s.bytes || (s.bytes >= text && s.bytes + s.len <= text + h->bytes));
	check(!s.bytes || !memchr(s.bytes, '\r', s.len) || !memchr(s.bytes, '\n', s.len));
}

/* What the rest of the server relies on. */
static void check_accepted(const struct head *h, const char *text)
{
	check(h->bytes >= 4 && memcmp(text + h->bytes - 4, "\r\n\r\n", 4) == 0);
	check(h->path[0] == '/' && !strstr(h->path, "..") && !strstr(h->path, "//") && !strchr(h->path, '%'));
	check(h->body_bytes <= LIMIT_REQUEST_BYTES && !(h->chunked && (h->has_length || h->http10)));
	check(strcmp(h->method, "POST") == 0 ? h->chunked || h->has_length : !h->chunked && h->body_bytes == 0);
	check(h->field[HEAD_HOST].bytes || h->http10);
	check(!(h->says_close && server_head_keeps_open(h)) &&
	      !(h->http10 && !h->says_keep && server_head_keeps_open(h)));
	check_slice(h, text, h->query);
	for (int i = 0; i < HEAD_FIELDS; i++)
		check_slice(h, text, h->field[i]);
}

/* Cut anywhere, a head gets the same verdict. The first byte is the cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct head whole, cut;
	if (len < 1 || len > HEAD_BYTES_MAX)
		return 0;
	const char *text = (const char *)bytes + 1;
	size_t n = len - 1, at = bytes[0] < n ? bytes[0] : n;
	memset(&whole, 0, sizeof whole);
	memset(&cut, 0, sizeof cut);
	enum head_result r = server_head_check(&whole, text, n);
	enum head_result c = server_head_check(&cut, text, at);
	if (c == HEAD_MORE)
		c = server_head_check(&cut, text, n);
	check(r == c && whole.status == cut.status && whole.bytes == cut.bytes);
	check(strcmp(whole.path, cut.path) == 0 && whole.body_bytes == cut.body_bytes);
	check(whole.chunked == cut.chunked &&
	      server_head_keeps_open(&whole) == server_head_keeps_open(&cut));
	if (r == HEAD_REFUSED)
		check(whole.status >= 400 && whole.status < 600 && whole.reason);
	if (r == HEAD_OK)
		check_accepted(&whole, text);
	return 0;
}
