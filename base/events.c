/* Lines end in LF, CR or CRLF; an empty one ends an event. A line that lies whole in a piece is
 * taken from there, only what a piece's end cuts is copied. */
#include "base/events.h"
#include "base/limits.h"

#include <string.h>

static size_t most(const struct events *s) { return s->bytes_max ? s->bytes_max : MIB(1); }

static int take_line(struct events *s, const char *line, size_t len, struct err *e)
{
	if (len < 5 || memcmp(line, "data:", 5) != 0)
		return 0;
	size_t skip = len > 5 && line[5] == ' ' ? 6 : 5;
	if (s->data.len + len > most(s))
		return err_set(e, ERR_INPUT, "an event of more than %zu bytes", most(s));
	if (s->has_data)
		buf_add_byte(&s->data, '\n');
	buf_add(&s->data, line + skip, len - skip);
	s->has_data = true;
	return buf_done(&s->data, e);
}

/* A line without its end. */
static int end_line(struct events *s, const char *line, size_t len,
		    int (*data)(void *, const char *, size_t, struct err *), void *ctx,
		    struct err *e)
{
	if (len)
		return take_line(s, line, len, e);
	int rc = s->has_data ? data(ctx, s->data.bytes ? s->data.bytes : "", s->data.len, e) : 0;
	buf_clear(&s->data);
	s->has_data = false;
	return rc;
}

/* The first end of a line, or the end. */
static const char *line_end(const char *at, const char *end)
{
	const char *lf = memchr(at, '\n', (size_t)(end - at));
	const char *stop = lf ? lf : end;
	const char *cr = memchr(at, '\r', (size_t)(stop - at));
	return cr ? cr : stop;
}

int events_push(struct events *s, const void *bytes, size_t len,
		int (*data)(void *ctx, const char *bytes, size_t len, struct err *e), void *ctx,
		struct err *e)
{
	const char *at = bytes, *end = at + len;
	if (at < end && s->after_cr && *at == '\n')
		at++;
	if (len)
		s->after_cr = false;
	while (at < end) {
		const char *stop = line_end(at, end);
		bool cut = s->line.len > 0 || stop == end;
		if (cut)
			buf_add(&s->line, at, (size_t)(stop - at));
		TRY(buf_done(&s->line, e));
		if (s->line.len > most(s))
			return err_set(e, ERR_INPUT, "a line of more than %zu bytes", most(s));
		if (stop == end)
			return 0;
		TRY(end_line(s, cut ? s->line.bytes : at, cut ? s->line.len : (size_t)(stop - at),
			     data, ctx, e));
		buf_clear(&s->line);
		at = stop + 1;
		s->after_cr = *stop == '\r' && at == end;
		if (*stop == '\r' && at < end && *at == '\n')
			at++;
	}
	return 0;
}

bool events_are_whole(const struct events *s) { return !s->line.len && !s->has_data; }

void events_clear(struct events *s)
{
	buf_clear(&s->line);
	buf_clear(&s->data);
	s->has_data = s->after_cr = false;
}

void events_free(struct events *s)
{
	buf_free(&s->line);
	buf_free(&s->data);
	*s = (struct events){ 0 };
}
