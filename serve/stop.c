/* Stop strings where rules withhold text. The answerer would end the answer where the model wrote
 * one, in what was withheld too: "stop": ["4111 1"] would say of a masked number whether the guess
 * is right, one guess a request. So there the answerer gets no stop strings, and they are looked
 * for in what the client sees, text by text: content, reasoning, arguments. Where one begins the
 * choice ends, as everywhere; the model has written a little more by then, which is scanned and not
 * sent. */
#include "serve/completion.h"

#include <string.h>

/* The earliest stop string in the text, or SIZE_MAX. */
static size_t stop_find(const struct api_request *q, const struct buf *text, const char **which)
{
	size_t first = SIZE_MAX;
	for (size_t i = 0; i < q->stop_count && text->len; i++) {
		size_t len = strlen(q->stop[i]);
		const char *at = len ? memmem(text->bytes, text->len, q->stop[i], len) : NULL;
		if (at && (size_t)(at - text->bytes) < first)
			first = (size_t)(at - text->bytes), *which = q->stop[i];
	}
	return first;
}

/* How many bytes at the end are a proper prefix of a stop string. */
static size_t stop_begun(const struct api_request *q, const struct buf *text)
{
	size_t most = 0;
	for (size_t i = 0; i < q->stop_count; i++) {
		size_t len = strlen(q->stop[i]), n = len < text->len + 1 ? len : text->len + 1;
		for (; n-- > most + 1;)
			if (memcmp(text->bytes + text->len - n, q->stop[i], n) == 0)
				most = n;
	}
	return most;
}

int serve_stop_take(struct serve_stop *s, const struct api_request *q, bool counts, bool last,
		    struct cleared *text, struct err *e)
{
	buf_drop(&s->text, s->given);
	s->given = 0;
	buf_add(&s->text, text->bytes, text->len);
	TRY(buf_done(&s->text, e));
	size_t at = counts ? stop_find(q, &s->text, &s->which) : SIZE_MAX;
	s->found = at != SIZE_MAX;
	s->given = s->found          ? at
		   : last || !counts ? s->text.len
				     : s->text.len - stop_begun(q, &s->text);
	s->out += s->given;
	text->bytes = s->text.bytes ? s->text.bytes : "";
	text->len = s->given;
	return 0;
}

uint64_t serve_stop_source(const struct serve_stop *s, const struct filter_record *r)
{
	uint64_t source = 0, out = 0;
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		if (x->action <= FILTER_NOTICE)
			continue;
		if (out + (x->start - source) >= s->out)
			break;
		out += x->start - source + x->replacement_len;
		source = x->end;
	}
	return s->out > out ? source + (s->out - out) : source;
}
