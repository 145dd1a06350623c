/* What the words around a value say: the kind's own words, and vetoes that name another thing. */
#include "filters/number_read.h"
#include "filters/view.h"

#include "base/check.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- folding: small letters without marks; space, '-', '_', '/', '.' and '+' are one space
 * ("C.F." is "c f"), and one stands where a capital follows a small letter */

static bool wordless(uint32_t cp) /* scripts that write no spaces, or join words */
{
	return cp >= 0x590 && !(cp >= 0x1E00 && cp < 0x2000);
}

static bool letter(uint32_t cp) { return cp < 0x80 ? byte_letter((int)cp) : filter_view_alnum(cp); }

static bool word_char(uint32_t cp) { return byte_digit((int)cp) || letter(cp); }

struct folder {
	uint32_t *cp;
	unsigned n, room;
	bool small; /* the character before was a small letter */
};

static void fold_add(struct folder *f, uint32_t cp)
{
	if (f->n < f->room)
		f->cp[f->n++] = cp;
}

static void fold_put(struct folder *f, uint32_t cp)
{
	if (cp == ' ' || cp == '-' || cp == '_' || cp == '/' || cp == '.' || cp == '+') {
		f->small = false;
		if (f->n == 0 || f->cp[f->n - 1] != ' ')
			fold_add(f, ' ');
		return;
	}
	if (cp < 0x80) {
		bool capital = cp >= 'A' && cp <= 'Z';
		if (capital && f->small)
			fold_add(f, ' ');
		f->small = cp >= 'a' && cp <= 'z';
		fold_add(f, capital ? cp + 0x20 : cp);
		return;
	}
	utf8proc_int32_t out[32];
	int last = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, out, 32,
						     UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
							     UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK,
						     &last);
	f->small = utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_LL;
	for (utf8proc_ssize_t i = 0; i < n && i < 32; i++)
		fold_add(f, (uint32_t)out[i]);
}

static void fold_text(struct folder *f, const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		int n = text_utf8_decode(s + i, len - i, &cp);
		if (n <=
		    0) /* the window holds whole characters; the edge of what is looked at may not */
			break;
		fold_put(f, cp);
		i += (size_t)n;
	}
}

/* ---- compiling */

struct entry {
	uint32_t cp[64];
	unsigned n;
	bool open_front, open_end;
	uint32_t owner;
};

struct entries {
	struct entry *entry;
	size_t count, room;
};

static int add_entry(struct entries *all, const char *text, size_t len, uint32_t owner,
		     struct err *e)
{
	if (all->count == all->room) {
		size_t bigger = all->room * 2 + 256;
		struct entry *p = realloc(all->entry, bigger * sizeof *p);
		if (!p)
			return err_set(e, ERR_NOMEM, "out of memory for context words");
		all->entry = p;
		all->room = bigger;
	}
	struct entry *x = &all->entry[all->count++];
	*x = (struct entry){ .owner = owner };
	x->open_front = *text == '*';
	x->open_end = text[len - 1] == '*';
	text += x->open_front;
	len -= (size_t)x->open_front + x->open_end;
	struct folder f = { .cp = x->cp, .room = 64 };
	fold_text(&f, text, len);
	x->n = f.n;
	check(x->n > 0);
	x->open_front |= wordless(x->cp[0]);
	x->open_end |= wordless(x->cp[x->n - 1]);
	return 0;
}

/* A word with spaces stands for the one without them too. */
static int add_word(struct entries *all, const char *word, size_t len, uint32_t owner,
		    struct err *e)
{
	char joined[128];
	size_t n = 0;
	check(len > 0 && len < sizeof joined);
	for (size_t i = 0; i < len; i++)
		if (word[i] != ' ' && word[i] != '-' && word[i] != '/')
			joined[n++] = word[i];
	TRY(add_entry(all, word, len, owner, e));
	return n > 0 && n < len ? add_entry(all, joined, n, owner, e) : 0;
}

/* Words with a comma between two. */
static int add_lists(struct entries *all, const char *const *list, uint32_t owner, struct err *e)
{
	for (size_t i = 0; list[i]; i++)
		for (const char *word = list[i]; *word;) {
			size_t len = strcspn(word, ",");
			TRY(add_word(all, word, len, owner, e));
			word += len + (word[len] == ',');
		}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	unsigned n = x->n < y->n ? x->n : y->n;
	int c = memcmp(x->cp, y->cp, n * sizeof *x->cp);
	if (c)
		return c;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	int how = 2 * (x->open_front - y->open_front) + (x->open_end - y->open_end);
	if (how)
		return how;
	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

static bool same_word(const struct entry *x, const struct entry *y)
{
	return x->n == y->n && x->open_front == y->open_front && x->open_end == y->open_end &&
	       memcmp(x->cp, y->cp, x->n * sizeof *x->cp) == 0;
}

static int index_words(struct number_table *t, struct entries *all, struct arena *a, struct err *e)
{
	struct automaton_literal *literal = calloc(all->count + 1, sizeof *literal);
	t->word = arena_array(a, all->count + 1, sizeof *t->word);
	t->owner = arena_array(a, all->count + 1, sizeof *t->owner);
	if (!literal || !t->word || !t->owner) {
		free(literal);
		return err_set(e, ERR_NOMEM, "out of memory for context words");
	}
	uint32_t words = 0;
	for (uint32_t i = 0; i < all->count; i++) {
		const struct entry *x = &all->entry[i];
		bool more = i > 0 && same_word(x, x - 1);
		if (!more) {
			literal[words] = (struct automaton_literal){ x->cp, x->n, words };
			t->word[words++] = (struct number_word){ 0, x->open_front, x->open_end };
		}
		t->owner[i] = (struct number_owner){ x->owner, t->word[words - 1].owner };
		t->word[words - 1].owner = i + 1;
	}
	int rc = filter_automaton_build(&t->words, literal, words, 0, e);
	free(literal);
	return rc;
}

static int gather(struct entries *all, const struct number_table *t, struct err *e)
{
	TRY(add_lists(all, filter_vetoes, WORD_VETO, e));
	TRY(add_lists(all, filter_fillers, WORD_FILLER, e));
	for (uint32_t k = 0; k < t->kinds; k++)
		for (size_t i = 0; t->kind[k].row->words && t->kind[k].row->words[i]; i++) {
			const char *word = t->kind[k].row->words[i];
			TRY(add_word(all, word, strlen(word), k, e));
		}
	return 0;
}

int filter_words_build(struct number_table *t, struct arena *a, struct err *e)
{
	struct entries all = { 0 };
	int rc = gather(&all, t, e);
	if (rc == 0) {
		check(all.count > 0);
		qsort(all.entry, all.count, sizeof *all.entry, by_text);
		rc = index_words(t, &all, a, e);
	}
	free(all.entry);
	return rc;
}

/* ---- finding */

/* Two characters of one word: a word may stand right behind Chinese text. */
static bool joined(uint32_t before, uint32_t cp)
{
	return word_char(before) && wordless(before) == wordless(cp);
}

static void hit(struct context_text *x, const struct number_table *t, uint32_t word, unsigned start,
		unsigned end, bool cut_front)
{
	const struct number_word *w = &t->word[word];
	bool inside = start > 0 ? joined(x->cp[start - 1], x->cp[start]) : cut_front;
	if (inside && !w->open_front)
		return;
	while (w->open_front && start > 0 && letter(x->cp[start - 1]) && !wordless(x->cp[start]))
		start--;
	if (!w->open_end && end < x->n && x->cp[end] == 's')
		end++; /* a plural */
	if (!w->open_end && end < x->n && letter(x->cp[end]) && !wordless(x->cp[end]))
		return;
	while (w->open_end && end < x->n && letter(x->cp[end]) && !wordless(x->cp[end]))
		end++;
	if (x->hits < CONTEXT_HITS)
		x->hit[x->hits++] = (struct context_hit){ word, (uint16_t)start, (uint16_t)end };
}

/* cut_front: a letter or digit stands before the text. */
static void find_words(struct context_text *x, const struct number_table *t, bool cut_front)
{
	uint32_t state = 0, word, chars;
	for (unsigned i = 0; i < x->n; i++) {
		uint32_t it = 0;
		state = filter_automaton_step(t->words, state, x->cp[i]);
		if (state == 0)
			continue;
		while (filter_automaton_next_match(t->words, state, &it, &word, &chars))
			hit(x, t, word, i + 1 - chars, i + 1, cut_front);
	}
}

static bool owned(const struct number_table *t, uint32_t word, uint32_t owner)
{
	for (uint32_t o = t->word[word].owner; o; o = t->owner[o - 1].next)
		if (t->owner[o - 1].kind == owner)
			return true;
	return false;
}

/* The longest word of this owner that ends at `end`, or NULL. */
static const struct context_hit *ends_at(const struct context_text *x, const struct number_table *t,
					 uint32_t owner, unsigned end)
{
	const struct context_hit *best = NULL;
	for (unsigned i = 0; i < x->hits; i++)
		if (x->hit[i].end == end && owned(t, x->hit[i].word, owner) &&
		    (!best || x->hit[i].start < best->start))
			best = &x->hit[i];
	return best;
}

static bool stops(uint32_t cp)
{
	return cp == ',' || cp == ';' || cp == '|' || cp == '\t' || cp == '\n' || cp == '{' ||
	       cp == '}' || byte_digit((int)cp);
}

/* A veto labels the value if nothing but fillers and punctuation stands between. */
static void find_veto(struct context_text *x, const struct number_table *t)
{
	unsigned at = x->n;
	x->veto_start = x->veto_end = -1;
	for (;;) {
		while (at > 0 && !letter(x->cp[at - 1]) && !stops(x->cp[at - 1]))
			at--;
		if (at == 0 || stops(x->cp[at - 1]))
			return;
		const struct context_hit *veto = ends_at(x, t, WORD_VETO, at);
		const struct context_hit *filler = ends_at(x, t, WORD_FILLER, at);
		if (veto) {
			x->veto_start = veto->start;
			x->veto_end = veto->end;
			return;
		}
		if (!filler)
			return;
		at = filler->start;
	}
}

/* ---- the three texts */

static long char_before(struct reader *r, long at)
{
	do
		at--;
	while (at > 0 && (reader_at(r, at) & 0xC0) == 0x80);
	return at;
}

/* Where the text before a value begins: so many characters back, in its line; where the value is
 * the first word of its line, the line before belongs to it. */
static long before_start(struct reader *r, long s)
{
	bool words = false, crossed = false;
	long at = s;
	for (int left = NUMBER_BEFORE; at > 0 && left > 0; left--) {
		long p = char_before(r, at);
		int c = reader_at(r, p);
		if (c == '\n' && (words || crossed))
			break;
		crossed |= c == '\n';
		words |= byte_digit(c) || byte_letter(c) || c >= 0x80;
		at = p;
	}
	return at;
}

static void make_before(struct context *c, const struct number_table *t, struct reader *r, long s)
{
	struct context_text *x = &c->before;
	struct folder f = { .cp = x->cp, .room = CONTEXT_CHARS };
	long from = before_start(r, s);
	fold_text(&f, r->text + from, (size_t)(s - from));
	x->n = f.n;
	x->hits = 0;
	int left = reader_at(r, from - 1);
	find_words(x, t, byte_digit(left) || byte_letter(left) || left >= 0xC0);
	find_veto(x, t);
	c->made = true;
}

/* The name of the value's column, if the lines above had one. */
static void make_header(struct context *c, const struct number_table *t,
			const struct number_lines *l)
{
	struct context_text *x = &c->header;
	struct folder f = { .cp = x->cp, .room = CONTEXT_CHARS };
	size_t len;
	const char *column = filter_lines_column(l, &len);
	c->header_made = true;
	x->n = x->hits = 0;
	x->veto_start = x->veto_end = -1;
	if (!column)
		return;
	fold_text(&f, column, len);
	x->n = f.n;
	find_words(x, t, false);
	find_veto(x, t);
}

/* So many characters behind a value, in its line, up to a sign that ends a cell or a sentence. */
static void make_after(struct context *c, const struct number_table *t, struct reader *r, long e)
{
	struct context_text *x = &c->after;
	struct folder f = { .cp = x->cp, .room = CONTEXT_CHARS };
	long at = e;
	for (int left = NUMBER_AFTER; left > 0; left--) {
		int b = reader_at(r, at);
		if (b < 0 || stops((uint32_t)b) || (b == '.' && reader_at(r, at + 1) == ' '))
			break;
		do
			at++;
		while (at < r->len && (r->text[at] & 0xC0) == 0x80);
	}
	int next = reader_at(r, at);
	bool cut = next >= 0 && (byte_letter(next) || next >= 0xC0);
	while (cut && at > e && byte_letter(r->text[at - 1])) /* half a word is none */
		at--;
	fold_text(&f, r->text + e, (size_t)(at - e));
	x->n = f.n;
	x->hits = 0;
	find_words(x, t, false);
}

/* ---- the verdict */

static bool has_own(const struct context_text *x, const struct number_table *t, uint32_t kind)
{
	for (unsigned i = 0; i < x->hits; i++)
		if (owned(t, x->hit[i].word, kind) &&
		    (x->hit[i].end > x->veto_end ||
		     (x->hit[i].end == x->veto_end && x->hit[i].start <= x->veto_start)))
			return true;
	return false;
}

enum evidence filter_words_say(struct context *c, const struct number_table *t, struct reader *r,
			       const struct number_lines *lines, uint32_t kind, long s, long e)
{
	if (!c->made)
		make_before(c, t, r, s);
	if (has_own(&c->before, t, kind))
		return EVIDENCE_OWN;
	if (c->before.veto_end >= 0)
		return EVIDENCE_VETO;
	if (!c->header_made)
		make_header(c, t, lines);
	if (has_own(&c->header, t, kind))
		return EVIDENCE_OWN;
	if (c->header.veto_end >= 0)
		return EVIDENCE_VETO;
	c->after.veto_start = c->after.veto_end = -1;
	make_after(c, t, r, e);
	return has_own(&c->after, t, kind) ? EVIDENCE_OWN : EVIDENCE_NONE;
}

/* ---- lines */

static const char cell_separators[] = "\t|;,"; /* in the order of number_lines.cells */

const char *filter_lines_column(const struct number_lines *l, size_t *len)
{
	char sign = cell_separators[l->header_separator];
	unsigned cells = l->cells[l->header_separator];
	bool quoted = false;
	size_t at = 0, end;
	if (l->header_length == 0 || cells >= l->header_cells)
		return NULL;
	for (; cells > 0 && at < l->header_length; at++) {
		quoted ^= l->header[at] == '"';
		cells -= !quoted && l->header[at] == sign;
	}
	for (end = at; end < l->header_length && (quoted || l->header[end] != sign); end++)
		quoted ^= l->header[end] == '"';
	*len = end - at;
	return l->header + at;
}

/* A line that names columns: two cells or more, no number. */
static bool names_columns(const struct number_lines *l, unsigned *separator)
{
	unsigned most = 0;
	for (unsigned i = 1; i < 4; i++)
		if (l->cells[i] > l->cells[most])
			most = i;
	*separator = most;
	return l->length <= NUMBER_HEADER && l->cells[most] > 0 && !l->numbers && l->text;
}

static void line_end(struct number_lines *l)
{
	unsigned separator;
	bool same = l->header_length && l->cells[l->header_separator] + 1 == l->header_cells;
	if (!same && names_columns(l, &separator)) {
		memcpy(l->header, l->line, l->length);
		l->header_length = l->length;
		l->header_separator = (uint8_t)separator;
		l->header_cells = (uint16_t)(l->cells[separator] + 1);
	} else if (!same) {
		l->header_length = 0;
	}
	memset(l->cells, 0, sizeof l->cells);
	l->length = 0;
	l->digits = 0;
	l->quoted = l->numbers = l->text = false;
}

void filter_lines_put(struct number_lines *l, unsigned char c)
{
	if (c == '\n') {
		line_end(l);
		return;
	}
	if (l->length < NUMBER_HEADER)
		l->line[l->length++] = (char)c;
	else
		l->length = NUMBER_HEADER + 1;
	l->digits = byte_digit(c) ? (uint8_t)(l->digits + (l->digits < 4)) : 0;
	l->numbers |= l->digits == 4;
	l->text |= byte_letter(c) || byte_digit(c) || c >= 0x80;
	if (c == '"')
		l->quoted = !l->quoted;
	else if (!l->quoted && (c == '\t' || c == '|' || c == ';' || c == ',')) {
		uint16_t *cells = &l->cells[strchr(cell_separators, c) - cell_separators];
		*cells = (uint16_t)(*cells + (*cells < UINT16_MAX));
	}
}
