/* Judging a proposed match: its value, its context, its check. */
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

/* Where a match's context begins: five words or DETECT_BEFORE code points back, in its line. */
static size_t context_start(const struct detect_hit *h)
{
	size_t at = h->start;
	int words = 0;
	/* One code point less, since the check of a word also reads its left neighbour. */
	for (int left = DETECT_BEFORE - 1; at > 0 && left > 0; left--) {
		size_t before = at;
		do
			before--;
		while (before > 0 && ((unsigned char)h->text[before] & 0xC0) == 0x80);
		bool space = h->text[before] == ' ';
		if (h->text[before] == '\n' ||
		    (space && at < h->start && h->text[at] != ' ' && ++words >= 5))
			break;
		at = before;
	}
	return at;
}

static bool word_at(const struct detect_hit *h, size_t at, const char *word, size_t n)
{
	if (strncasecmp(h->text + at, word, n) != 0)
		return false;
	if ((unsigned char)word[0] >= 0x80)
		return true;
	bool left = at == 0 || !isalnum((unsigned char)h->text[at - 1]);
	bool right = at + n >= h->start || !isalpha((unsigned char)h->text[at + n]) ||
		     h->text[at + n] == 's';
	return left && right;
}

static bool context(const struct detect_hit *h, const char *const *words)
{
	size_t from = context_start(h);
	for (size_t i = 0; words[i]; i++) {
		size_t n = strlen(words[i]);
		for (size_t at = from; at + n <= h->start; at++)
			if (word_at(h, at, words[i], n))
				return true;
	}
	return false;
}

enum detect_verdict filter_detector_judge(const struct detector *d, struct detect_hit *h)
{
	h->head = h->start;
	h->tail = h->end;
	value(h);
	if (d->context && (h->bare || !d->context_bare || h->always) && !context(h, d->context))
		return DETECT_NO;
	enum detect_verdict v = d->check ? d->check(h) : DETECT_YES;
	if (v == DETECT_YES && h->tail > h->end)
		h->tail = h->end;
	return v;
}
