/* Judging a proposed match: its value, its check. */
#include "filters/detect.h"

#include <ctype.h>
#include <string.h>

static void value(struct detect_hit *h)
{
	h->n = 0;
	h->bare = true;
	for (size_t i = h->start; i < h->end; i++) {
		unsigned char c = (unsigned char)h->text[i];
		if (!isalnum(c) || c >= 0x80)
			h->bare = false;
		else if (h->n < DETECT_VALUE_MAX)
			h->value[h->n++] = (char)toupper(c);
	}
	h->value[h->n] = 0;
}

enum detect_verdict filter_detector_judge(const struct detector *d, struct detect_hit *h)
{
	h->head = h->start;
	h->tail = h->end;
	value(h);
	enum detect_verdict v = d->check ? d->check(h) : DETECT_YES;
	if (v == DETECT_YES && h->tail > h->end)
		h->tail = h->end;
	return v;
}
