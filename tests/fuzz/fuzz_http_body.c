#include "base/check.h"
#include "base/limits.h"
#include "server/body.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct verdict {
	enum body_result r;
	size_t used;
	int status;
	struct buf body;
};

static struct verdict read_cut(const struct head *h, const char *text, size_t len, size_t step)
{
	struct verdict v = { .r = BODY_MORE };
	struct body b;
	server_body_start(&b, h);
	do {
		size_t left = len - v.used, n = left < step ? left : step, used;
		v.r = server_body_take(&b, text + v.used, n, &used, &v.body);
		check(used <= n && (v.r != BODY_MORE || used == n));
		v.used += used;
	} while (v.r == BODY_MORE && v.used < len);
	check((v.r == BODY_REFUSED) == (b.reason != NULL) && v.body.len <= LIMIT_REQUEST_BYTES);
	v.status = b.status;
	return v;
}

/* What was accepted, written again by another hand, is accepted and the same. */
static void check_again(const struct head *h, const struct verdict *v)
{
	struct buf out = { 0 };
	for (size_t at = 0; at < v->body.len;) {
		size_t n = v->body.len - at < 7 ? v->body.len - at : 7;
		buf_printf(&out, "%zX\r\n", n);
		buf_add(&out, v->body.bytes + at, n);
		buf_add_text(&out, "\r\n");
		at += n;
	}
	buf_add_text(&out, "0\r\n\r\n");
	struct verdict again = read_cut(h, out.bytes, out.len, out.len);
	check(again.r == BODY_WHOLE && again.used == out.len && again.body.len == v->body.len);
	check(v->body.len == 0 || memcmp(again.body.bytes, v->body.bytes, v->body.len) == 0);
	buf_free(&again.body);
	buf_free(&out);
}

/* However the bytes are cut, a body is read the same; it never takes a byte that is not its own.
 * The first byte is the step; the second the length, or over 127 chunks. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct head h;
	if (len < 2)
		return 0;
	const char *text = (const char *)bytes + 2;
	size_t n = len - 2, step = bytes[0] ? bytes[0] : 1;
	h.chunked = bytes[1] > 127;
	h.body_bytes = h.chunked ? 0 : bytes[1];
	struct verdict whole = read_cut(&h, text, n, n ? n : 1), cut = read_cut(&h, text, n, step);
	check(whole.r == cut.r && whole.used == cut.used && whole.status == cut.status);
	check(whole.body.len == cut.body.len);
	check(whole.body.len == 0 || memcmp(whole.body.bytes, cut.body.bytes, whole.body.len) == 0);
	if (!h.chunked)
		check(whole.r != BODY_REFUSED && whole.used == (n < h.body_bytes ? n : (size_t)h.body_bytes));
	if (h.chunked && whole.r == BODY_WHOLE)
		check_again(&h, &whole);
	buf_free(&whole.body);
	buf_free(&cut.body);
	return 0;
}
