/* The input is an answer of another server; its first byte says whether it is a stream and how it is cut.
 * Whole and cut must give the same events, or fail alike. */
#include "api/reader.h"

#include "base/check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void hear(struct buf *all, const struct api_event *v, size_t count)
{
	for (size_t i = 0; i < count; i++, v++) {
		check(v->choice < API_CHOICES);
		buf_printf(all, "%d/%u/%d/%u/", (int)v->kind, v->choice, (int)v->part, v->call);
		if (v->kind == API_EVENT_TEXT)
			buf_add(all, v->text, v->len);
		if (v->kind == API_EVENT_FINISH)
			buf_add_text(all, v->finish_reason);
		check(v->part != API_CALL_NAME || v->call_id);
	}
}

static int read_all(bool stream, const char *text, size_t len, size_t piece, struct buf *all)
{
	struct api_reader *r;
	const struct api_event *event;
	struct err e;
	size_t count;
	check(api_reader_open(&r, stream, &e) == 0);
	int rc = 0;
	for (size_t at = 0; at < len && rc == 0; at += piece) {
		rc = api_reader_push(r, text + at, piece < len - at ? piece : len - at, &event, &count, &e);
		if (rc == 0)
			hear(all, event, count);
	}
	if (rc == 0)
		rc = api_reader_end(r, &event, &count, &e);
	if (rc == 0)
		hear(all, event, count);
	api_reader_close(r);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	const char *text = (const char *)data + 1;
	bool stream = data[0] & 1;
	struct buf whole = { 0 }, bytes = { 0 };
	int a = read_all(stream, text, len - 1, len - 1, &whole);
	int b = read_all(stream, text, len - 1, 1u + (data[0] >> 1), &bytes);
	check(a == b);
	if (a == 0 && whole.len)
		check(whole.len == bytes.len && memcmp(whole.bytes, bytes.bytes, whole.len) == 0);
	buf_free(&whole);
	buf_free(&bytes);
	return 0;
}
