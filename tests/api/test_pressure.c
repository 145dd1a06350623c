/* Out of memory at any allocation: tests/shared/press.h. */
#include "api/reader.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static void tell(const struct api_event *v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(&press_answer, "%d %u %d %.*s %s\n", (int)v[i].kind, v[i].choice, (int)v[i].part,
		           (int)v[i].len, v[i].text ? v[i].text : "", v[i].finish_reason ? v[i].finish_reason : "");
}

/* Byte by byte. */
static int read_answer(const struct work *w, struct err *e)
{
	struct api_reader *r = NULL;
	const struct api_event *v;
	size_t count;
	int rc = api_reader_open(&r, *(const bool *)w->more, e);
	for (size_t i = 0; i <= w->len && rc == 0; i++) {
		rc = i < w->len ? api_reader_push(r, (const char *)w->text + i, 1, &v, &count, e) :
			          api_reader_end(r, &v, &count, e);
		if (rc == 0)
			tell(v, count);
	}
	api_reader_close(r);
	return rc;
}

Test(api_pressure, answers_are_read)
{
	static const char stream[] =
		": ping\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one, long enough for a line to grow\"}}]}\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
		"data: [DONE]\n\n";
	static const char plain[] =
		"{\"choices\":[{\"index\":0,\"message\":{\"content\":\"two\"},\"finish_reason\":\"length\"}]}";
	press("a stream", &(struct work){ read_answer, stream, sizeof stream - 1, &(bool){ true } });
	press("a plain answer", &(struct work){ read_answer, plain, sizeof plain - 1, &(bool){ false } });
}
