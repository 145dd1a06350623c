/* Checks of general detectors. */
#include "filters/detect.h"

#include "base/text.h"
#include "filters/view.h"

#include <string.h>

/* ---- invisible text, on the raw view */

static uint32_t first_cp(const struct detect_hit *h, size_t at)
{
	uint32_t cp = 0;
	text_utf8_decode(h->text + at, h->len - at, &cp);
	return cp;
}

/* Tag characters are legitimate in the flags of England, Scotland and Wales: after U+1F3F4, closed
 * by U+E007F. */
enum detect_verdict detect_tags(struct detect_hit *h)
{
	if (first_cp(h, h->start) != 0x1F3F4)
		return DETECT_YES;
	return first_cp(h, h->end - 4) == 0xE007F && h->end - h->start > 8 ? DETECT_SKIP
									   : DETECT_NO;
}

/* Two selectors in a row are never legitimate: the regex alone decides. */
enum detect_verdict detect_selectors(struct detect_hit *h)
{
	return h->end > h->start ? DETECT_YES : DETECT_NO;
}

/* An override is legitimate in right-to-left text: the nearest letter before it decides. */
enum detect_verdict detect_bidi(struct detect_hit *h)
{
	size_t at = h->start;
	for (int left = DETECT_BEFORE; at > 0 && left > 0; left--) {
		do
			at--;
		while (at > 0 && ((unsigned char)h->text[at] & 0xC0) == 0x80);
		uint32_t cp = first_cp(h, at);
		if (filter_view_rtl(cp))
			return DETECT_SKIP;
		if (filter_view_alnum(cp) || cp == '\n')
			break;
	}
	return DETECT_YES;
}
