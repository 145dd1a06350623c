#include "base/check.h"
#include "server/head.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Cut anywhere, a head gets the same verdict; what is accepted survives its canonical form.
 * The first byte is the cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct head whole, cut, again;
	if (len < 1 || len > HEAD_BYTES_MAX)
		return 0;
	const char *text = (const char *)bytes + 1;
	size_t n = len - 1, at = bytes[0] < n ? bytes[0] : n;
	memset(&whole, 0, sizeof whole);
	memset(&cut, 0, sizeof cut);
	enum head_result r = head_check(&whole, text, n);
	enum head_result c = head_check(&cut, text, at);
	if (c == HEAD_MORE)
		c = head_check(&cut, text, n);
	check(r == c && whole.status == cut.status && whole.bytes == cut.bytes);
	if (r == HEAD_REFUSED)
		check(whole.status >= 400 && whole.status < 600 && whole.reason);
	if (r != HEAD_OK)
		return 0;
	struct buf out = {0};
	head_write(&whole, &out);
	memset(&again, 0, sizeof again);
	check(!out.failed && head_check(&again, out.bytes, out.len) == HEAD_OK);
	check(again.bytes == out.len && strcmp(again.path, whole.path) == 0);
	check(again.body_bytes == whole.body_bytes && strcmp(again.method, whole.method) == 0);
	buf_free(&out);
	return 0;
}
