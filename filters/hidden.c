/* Sources beside the text as it stands: tag characters, variation-selector bytes, overrides. */
#include "base/text.h"
#include "filters/stream.h"

static int selector_byte(uint32_t cp)
{
	if (cp >= 0xFE00 && cp <= 0xFE0F)
		return (int)(cp - 0xFE00);
	return cp >= 0xE0100 && cp <= 0xE01EF ? (int)(cp - 0xE0100) + 16 : -1;
}

static void selector_put(struct filter_stream *f, const struct place *p, int byte)
{
	struct hidden *h = &f->hidden;
	if (h->n == 0)
		h->start = p->start;
	h->utf8[h->n++] = (char)byte;
	uint32_t cp;
	int r = text_utf8_decode(h->utf8, (size_t)h->n, &cp);
	if (r == 0)
		return;
	h->n = 0;
	if (r < 0)
		filter_source_reset(f, SOURCE_HIDDEN);
	else
		filter_source_put(f, SOURCE_HIDDEN, &(struct place){ cp, h->start, p->end });
}

/* The first character after an override takes the override's start, so that the span of a match
 * covers the override too. */
static void reversed_put(struct filter_stream *f, const struct place *p)
{
	struct hidden *h = &f->hidden;
	if (p->cp == 0x202E || p->cp == 0x202C || p->cp == '\n') {
		filter_source_reset(f, SOURCE_REVERSED);
		h->reversed = p->cp == 0x202E;
		h->lead = h->reversed ? p->start : NOWHERE;
		h->lead_noise = 0;
		return;
	}
	if (!h->reversed)
		return;
	struct place q = *p;
	if (h->lead != NOWHERE && !filter_view_noise(p->cp))
		q.start = h->lead;
	filter_source_put(f, SOURCE_REVERSED, &q);
	if (!filter_view_noise(p->cp) || ++h->lead_noise > VIEW_NOISE_MAX)
		h->lead = NOWHERE;
}

void filter_hidden_put(struct filter_stream *f, const struct place *p)
{
	int byte = selector_byte(p->cp);
	reversed_put(f, p);
	if (byte >= 0) {
		selector_put(f, p, byte);
		return;
	}
	f->hidden.n = 0;
	if (p->cp >= 0xE0020 && p->cp <= 0xE007E)
		filter_source_put(f, SOURCE_HIDDEN,
				  &(struct place){ p->cp - 0xE0000, p->start, p->end });
	else if (p->cp != 0xE0001 && p->cp != 0xE007F)
		filter_source_reset(f, SOURCE_HIDDEN);
}
