/* Finding words near a value: one pass over the context for the words of all kinds. */
#include "filters/near.h"
#include "filters/number_read.h"

#include "base/check.h"
#include "base/text.h"
#include "filters/view.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define WORDS_MAX 3000
#define LETTERS_MAX 20000
#define WORD_BYTES 96 /* that a word may have */

struct word {
	const char *text; /* [len] */
	uint8_t len;
	bool tail, more; /* "*text", "text*" */
	enum near_kind kind;
};

/* By first byte: word[first[c]] up to word[first[c + 1]]. */
static struct word word[WORDS_MAX];
static uint16_t first[257];
static char folded_lists[LETTERS_MAX]; /* of the words that vetoes and fillers of numbers are */
static pthread_once_t words_once = PTHREAD_ONCE_INIT;

/* The next word of a list; *list moves behind it. */
static struct word word_next(const char **list, enum near_kind kind)
{
	struct word w = { .text = *list, .len = (uint8_t)strcspn(*list, "|"), .kind = kind };
	*list += w.len + ((*list)[w.len] == '|');
	w.tail = w.text[0] == '*';
	w.text += w.tail;
	w.len = (uint8_t)(w.len - w.tail);
	w.more = w.text[w.len - 1] == '*';
	w.len = (uint8_t)(w.len - w.more);
	return w;
}

/* ---- folding */

/* Letters that people write otherwise who lack them on the keyboard; no mark can be taken off. */
static const char *plain_letter(uint32_t cp)
{
	switch (cp) {
	case 0xE6:
		return "ae";
	case 0xF0:
	case 0x111:
		return "d";
	case 0xF8:
		return "o";
	case 0xFE:
		return "th";
	case 0x127:
		return "h";
	case 0x131:
		return "i";
	case 0x142:
		return "l";
	case 0x153:
		return "oe";
	default:
		return NULL;
	}
}

/* Append cp without the marks that Latin, Greek and Cyrillic letters carry. */
static size_t letter(uint32_t cp, char *out)
{
	const char *plain = plain_letter(cp);
	if (plain) {
		memcpy(out, plain, strlen(plain));
		return strlen(plain);
	}
	bool marked = (cp >= 0xC0 && cp < 0x590) || (cp >= 0x1E00 && cp < 0x2000);
	utf8proc_int32_t buffer[8] = { (utf8proc_int32_t)cp };
	int last = 0;
	utf8proc_ssize_t n = 1;
	if (marked)
		n = utf8proc_decompose_char((utf8proc_int32_t)cp, buffer, 8, UTF8PROC_DECOMPOSE,
					    &last);
	check(n >= 0 && n <= 8);
	size_t len = 0;
	for (utf8proc_ssize_t i = 0; i < n; i++)
		if (!filter_view_mark((uint32_t)buffer[i]))
			len += (size_t)text_utf8_encode((uint32_t)buffer[i], out + len);
	return len;
}

size_t filter_near_fold(const char *s, size_t n, char *out, size_t room)
{
	size_t len = 0;
	for (size_t i = 0; i < n;) {
		uint32_t cp;
		int used = text_utf8_decode(s + i, n - i, &cp);
		i += used > 0 ? (size_t)used : 1;
		if (used <= 0)
			continue;
		struct fold f;
		filter_view_fold(VIEW_CASE, cp, &f);
		for (int k = 0; k < f.n && len + 32 <= room; k++)
			len += letter(f.cp[k], out + len);
	}
	return len;
}

/* ---- sorting */

/* Words of numbers have a comma between two, and accents; those of Arabic, Hindi and the like may
 * have more at either end. */
static size_t fold_lists(const char *const *lists, enum near_kind kind, struct word *out,
			 size_t *used)
{
	size_t n = 0;
	for (size_t i = 0; lists[i]; i++)
		for (const char *list = lists[i]; *list;) {
			size_t len = strcspn(list, ",");
			char *text = folded_lists + *used;
			size_t folded =
				filter_near_fold(list, len, text, sizeof folded_lists - *used);
			check(folded > 0 && folded < 256 &&
			      *used + folded + 64 < sizeof folded_lists);
			struct word *w = &out[n++];
			list += len + (list[len] == ',');
			*used += folded;
			bool joins = (uint8_t)*text >= 0xD6 && (uint8_t)*text != 0xE1;
			w->tail = *text == '*' || joins;
			w->more = text[folded - 1] == '*' || joins;
			w->text = text + (*text == '*');
			w->len = (uint8_t)(folded - (*text == '*') - (text[folded - 1] == '*'));
			w->kind = kind;
		}
	return n;
}

static int by_first_byte(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	return (uint8_t)x->text[0] - (uint8_t)y->text[0];
}

static void words_sort(void)
{
	size_t n = 0, used = 0;
	for (int k = 0; k < NEAR_LISTS; k++)
		for (const char *list = filter_near_words[k]; *list;) {
			check(n < WORDS_MAX);
			word[n++] = word_next(&list, (enum near_kind)k);
		}
	n += fold_lists(filter_vetoes, NEAR_VETO, word + n, &used);
	n += fold_lists(filter_fillers, NEAR_FILLER, word + n, &used);
	check(n < WORDS_MAX);
	qsort(word, n, sizeof *word, by_first_byte);
	for (size_t i = 0; i < n; i++)
		first[(uint8_t)word[i].text[0] + 1]++;
	for (int c = 0; c < 256; c++)
		first[c + 1] = (uint16_t)(first[c + 1] + first[c]);
}

/* ---- words */

/* Scripts that write no spaces: their words have no borders. */
static bool unspaced(uint32_t cp)
{
	return (cp >= 0x2E80 && cp < 0xAC00) || (cp >= 0xF900 && cp < 0xFB00) || cp >= 0x20000 ||
	       (cp >= 0x0E00 && cp < 0x0F00) || (cp >= 0xAC00 && cp < 0xD7B0);
}

static bool joined(uint32_t cp) { return filter_view_alnum(cp) && !unspaced(cp); }

static bool border_left(const char *t, size_t at)
{
	if (at == 0)
		return true;
	if ((uint8_t)t[at - 1] < 0x80)
		return !isalnum((uint8_t)t[at - 1]);
	size_t i = at - 1;
	while (i > 0 && ((uint8_t)t[i] & 0xC0) == 0x80)
		i--;
	uint32_t cp = 0;
	text_utf8_decode(t + i, at - i, &cp);
	return !joined(cp);
}

static bool border_right(const char *t, size_t n, size_t at)
{
	if (at >= n)
		return true;
	if ((uint8_t)t[at] < 0x80)
		return !isalpha((uint8_t)t[at]);
	uint32_t cp = 0;
	text_utf8_decode(t + at, n - at, &cp);
	return !joined(cp);
}

/* Where the word ends that begins at t[at]; 0: another begins there. */
static size_t word_end(const char *t, size_t n, size_t at, const struct word *w)
{
	uint32_t cp = 0;
	text_utf8_decode(t + at, n - at, &cp);
	if (!w->tail && !unspaced(cp) && !border_left(t, at))
		return 0;
	size_t i = at;
	for (const char *p = w->text; p < w->text + w->len; p++) {
		if (*p == ' ')
			i += i < n && strchr(" -_.", t[i]) ? 1 : 0;
		else if (i < n && t[i] == *p)
			i++;
		else
			return 0;
	}
	if (w->more) {
		while (i < n && !border_right(t, n, i))
			do
				i++;
			while (i < n && ((uint8_t)t[i] & 0xC0) == 0x80);
		return i;
	}
	if (unspaced(cp) || border_right(t, n, i))
		return i;
	bool plural = w->kind != NEAR_NUMBER && i < n && t[i] == 's';
	return plural && border_right(t, n, i + 1) ? i + 1 : 0;
}

static void words_find(const char *t, size_t n, bool before, size_t *distance)
{
	for (size_t at = 0; at < n; at++) {
		uint8_t c = (uint8_t)t[at];
		for (uint16_t k = first[c]; k < first[c + 1]; k++) {
			size_t end = word_end(t, n, at, &word[k]);
			if (!end)
				continue;
			size_t d = before ? n - end : at;
			if (d < distance[word[k].kind])
				distance[word[k].kind] = d;
		}
	}
}

/* ---- context */

static size_t back_one(const char *t, size_t at)
{
	do
		at--;
	while (at > 0 && ((uint8_t)t[at] & 0xC0) == 0x80);
	return at;
}

/* To where the line begins, or the parameter of a query: in "id=17&v=..." v is no id. */
static size_t back_in_line(const char *t, size_t at, int left)
{
	for (; at > 0 && left > 0 && !strchr("\n&", t[back_one(t, at)]); left--)
		at = back_one(t, at);
	return at;
}

static size_t ahead(const char *t, size_t len, size_t at, int left)
{
	while (at < len && left-- > 0 && t[at] != '\n')
		do
			at++;
		while (at < len && ((uint8_t)t[at] & 0xC0) == 0x80);
	return at;
}

/* A word behind a value is about it if nothing ends in between, and it is no label of what comes
 * next ("..., phone: ..."). */
static size_t after_len(const char *t, size_t n)
{
	size_t i = 0;
	while (i < n && !strchr(",;|\t\"\'{}[]<>=:/.", t[i]))
		i++;
	return i < n && strchr("=:/", t[i]) ? 0 : i;
}

/* ---- columns */

uint32_t filter_near_columns(const struct detect_hit *h)
{
	char name[NUMBER_HEADER + 64];
	size_t distance[NEAR_KINDS], len;
	const char *column = h->lines ? filter_lines_column(h->lines, &len) : NULL;
	if (!column)
		return 0;
	pthread_once(&words_once, words_sort);
	size_t n = filter_near_fold(column, len, name, sizeof name);
	uint32_t kinds = 0;
	for (int k = 0; k < NEAR_KINDS; k++)
		distance[k] = NEAR_NONE;
	words_find(name, n, true, distance);
	for (int k = 0; k < NEAR_KINDS; k++)
		kinds |= (uint32_t)(distance[k] != NEAR_NONE) << k;
	return kinds;
}

/* The longest word of a kind that ends at `end`: where it starts; NEAR_NONE if there is none. */
static size_t ends_at(const char *t, size_t end, enum near_kind kind)
{
	for (size_t at = end > WORD_BYTES ? end - WORD_BYTES : 0; at < end; at++)
		for (uint16_t k = first[(uint8_t)t[at]]; k < first[(uint8_t)t[at] + 1]; k++)
			if (word[k].kind == kind && word_end(t, end, at, &word[k]) == end)
				return at;
	return NEAR_NONE;
}

/* No letter, no mark of one, and nothing that parts cells or clauses. Digits before the value are
 * of its own number, or of one beside it under the same label. */
static bool punctuation(const char *t, size_t at)
{
	if ((uint8_t)t[at] < 0x80)
		return !isalpha((uint8_t)t[at]) && !strchr(",;|{}\t", t[at]);
	uint32_t cp = 0;
	text_utf8_decode(t + at, 4, &cp);
	return !filter_view_alnum(cp) && !filter_view_mark(cp);
}

/* The distance of a word that is a veto for numbers, if it labels the value: nothing stands between
 * but fillers and punctuation (number_words.c). */
static size_t labelled(const char *t, size_t n)
{
	for (size_t at = n;;) {
		while (at > 0 && punctuation(t, back_one(t, at)))
			at = back_one(t, at);
		if (at == 0)
			return NEAR_NONE;
		if (ends_at(t, at, NEAR_VETO) != NEAR_NONE)
			return n - at;
		at = ends_at(t, at, NEAR_FILLER);
		if (at == NEAR_NONE)
			return NEAR_NONE;
	}
}

void filter_near(const struct detect_hit *h, struct near *out)
{
	pthread_once(&words_once, words_sort);
	for (int k = 0; k < NEAR_KINDS; k++) {
		out->before[k] = out->after[k] = NEAR_NONE;
	}
	/* One code point less, since the border of a word also reads its left neighbour. */
	size_t from = back_in_line(h->text, h->start, DETECT_BEFORE - 1);
	out->left_len =
		filter_near_fold(h->text + from, h->start - from, out->left, sizeof out->left - 1);
	words_find(out->left, out->left_len, true, out->before);
	size_t label = labelled(out->left, out->left_len);
	out->labelled = label != NEAR_NONE;
	if (label < out->before[NEAR_OTHER])
		out->before[NEAR_OTHER] = label;
	char right[NEAR_AFTER * 8 + 64];
	size_t to = ahead(h->text, h->len, h->end, NEAR_AFTER);
	size_t n = filter_near_fold(h->text + h->end, to - h->end, right, sizeof right);
	words_find(right, after_len(right, n), false, out->after);
}

bool filter_near_other(const struct near *near)
{
	size_t d = near->before[NEAR_OTHER];
	if (d == NEAR_NONE)
		return false;
	if (near->labelled)
		return true;
	int words = near->before[NEAR_NUMBER] < d ? -1 : 0;
	size_t letters = 0;
	for (size_t i = near->left_len - d; i < near->left_len; i++) {
		unsigned char c = (unsigned char)near->left[i];
		if (strchr(",;|", c))
			return false;
		letters = isalpha(c) || c >= 0x80 ? letters + 1 : 0;
		words += letters == 4;
	}
	return words <= 0;
}

static bool blank(const char *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t[i] == 0 || !strchr(" \t\r\n\"'.,;!?", t[i]))
			return false;
	return true;
}

bool filter_near_alone(const struct detect_hit *h)
{
	return h->alone && h->first && h->start <= 8 && h->len - h->end <= 8 &&
	       blank(h->text, h->start) && blank(h->text + h->end, h->len - h->end);
}
