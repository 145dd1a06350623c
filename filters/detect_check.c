/* Checks of general detectors. */
#include "filters/detect.h"

#include "base/text.h"
#include "filters/view.h"

#include <string.h>

/* The ending is not that of a file: image@2x.png is no address. */
enum detect_verdict detect_email(struct detect_hit *h)
{
	static const char *const file[] = { "png",  "jpg",  "jpeg", "gif",  "svg",  "webp", "ico",
					    "bmp",  "css",  "js",   "json", "html", "txt",  "pdf",
					    "tiff", "heic", "mp4",  "log",  "xml",  "yaml", "yml" };
	size_t dot = h->end;
	while (dot > h->start && h->text[dot - 1] != '.')
		dot--;
	size_t n = h->end - dot;
	for (size_t i = 0; i < sizeof file / sizeof *file; i++)
		if (strlen(file[i]) == n && strncasecmp(h->text + dot, file[i], n) == 0)
			return DETECT_SKIP;
	return DETECT_YES;
}

/* Four numbers up to 255; not loopback, private, documentation, masks, or what looks like a
 * version. */
enum detect_verdict detect_ip(struct detect_hit *h)
{
	int part[4] = { 0 }, k = 0;
	for (size_t i = h->start; i < h->end; i++) {
		if (h->text[i] == '.')
			k++;
		else
			part[k] = part[k] * 10 + (h->text[i] - '0');
	}
	for (int i = 0; i < 4; i++)
		if (part[i] > 255)
			return DETECT_SKIP;
	int a = part[0], b = part[1], c = part[2];
	bool reserved = a == 0 || a == 10 || a == 127 || a >= 224 ||
			(a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168) ||
			(a == 169 && b == 254) || (a == 100 && b >= 64 && b < 128) ||
			(a == 192 && b == 0 && (c == 2 || c == 0)) ||
			(a == 198 && (b == 18 || b == 19)) || (a == 198 && b == 51 && c == 100) ||
			(a == 203 && b == 0 && c == 113);
	bool version = a < 20 && b < 20 && c < 20 && part[3] < 20;
	return reserved || version ? DETECT_SKIP : DETECT_YES;
}

/* Not the broadcast address, not zeros. */
enum detect_verdict detect_mac(struct detect_hit *h)
{
	return check_same(h->value, h->n) ? DETECT_NO : DETECT_YES;
}

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
