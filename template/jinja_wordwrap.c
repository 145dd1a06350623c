/* The filter wordwrap: lines as Python's textwrap cuts them. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <string.h>

/* Characters [begin, end) of a line. */
struct chunk {
	int64_t begin, end;
};
struct wrap {
	struct jinja *j;
	const struct jinja_text *t;
	uint32_t *character; /* [count + 1] the last is 0 */
	size_t *byte;        /* [count + 1] where each begins */
	int64_t count, width;
	bool hyphens_cut, break_long, break_hyphens;
	struct chunk *chunk;
	size_t chunks;
};

static uint32_t at(const struct wrap *w, int64_t i)
{
	return i < 0 || i >= w->count ? 0 : w->character[i];
}

static bool is_white(uint32_t c) { return c == ' ' || (c >= 9 && c <= 13); }

static bool is_letter(uint32_t c) { return c && jinja_is_word(c) && !unicode_is_decimal(c); }

static bool is_word_or_punctuation(uint32_t c)
{
	return c && (jinja_is_word(c) || (c < 0x80 && strchr("!\"'&.,?", (int)c)));
}

/* The end of two hyphens or more at i that a word follows, or i. */
static int64_t dash_end(const struct wrap *w, int64_t i)
{
	int64_t end = i;
	while (at(w, end) == '-')
		end++;
	return end - i >= 2 && at(w, end) && jinja_is_word(at(w, end)) ? end : i;
}

/* Whether a word may be cut behind the hyphen at i. */
static bool cuts_at_hyphen(const struct wrap *w, int64_t i)
{
	bool before = is_letter(at(w, i - 1)) &&
		      (is_letter(at(w, i - 2)) || (at(w, i - 2) == '-' && is_letter(at(w, i - 3))));
	bool after = is_letter(at(w, i + 1)) &&
		     (is_letter(at(w, i + 2)) || (at(w, i + 2) == '-' && is_letter(at(w, i + 3))));
	return at(w, i) == '-' && before && after;
}

/* The end of the piece that begins at i: white space, a dash, or a word to where it may be cut. */
static int64_t chunk_end(const struct wrap *w, int64_t i)
{
	int64_t end = i;
	if (is_white(at(w, i))) {
		while (is_white(at(w, end)))
			end++;
		return end;
	}
	if (w->hyphens_cut && is_word_or_punctuation(at(w, i - 1)) && dash_end(w, i) > i)
		return dash_end(w, i);
	for (end = i + 1; end < w->count && !is_white(at(w, end)); end++) {
		if (w->hyphens_cut && cuts_at_hyphen(w, end))
			return end + 1;
		if (w->hyphens_cut && is_word_or_punctuation(at(w, end - 1)) &&
		    dash_end(w, end) > end)
			break;
	}
	return end;
}

static int read_line(struct wrap *w)
{
	size_t n = w->t->len;
	TRY(jinja_charge(w->j, n));
	w->character = jinja_alloc(w->j, n + 1, sizeof *w->character);
	w->byte = jinja_alloc(w->j, n + 1, sizeof *w->byte);
	w->chunk = jinja_alloc(w->j, n + 1, sizeof *w->chunk);
	if (!w->character || !w->byte || !w->chunk)
		return jinja_no_memory(w->j);
	for (size_t i = 0; i < n;) {
		w->byte[w->count] = i;
		i += (size_t)text_utf8_decode(w->t->bytes + i, n - i, &w->character[w->count++]);
	}
	w->byte[w->count] = n;
	for (int64_t i = 0; i < w->count;) {
		int64_t end = chunk_end(w, i);
		w->chunk[w->chunks++] = (struct chunk){ i, end };
		i = end;
	}
	return 0;
}

static bool is_blank(const struct wrap *w, const struct chunk *c)
{
	for (int64_t i = c->begin; i < c->end; i++)
		if (!jinja_is_space(w->character[i]))
			return false;
	return true;
}

/* How much of a word that is too long for any line goes on this one. */
static int64_t cut_of(const struct wrap *w, const struct chunk *c, int64_t room)
{
	if (!w->break_hyphens || c->end - c->begin <= room)
		return room;
	int64_t hyphen = c->begin + room - 1;
	while (hyphen > c->begin && w->character[hyphen] != '-')
		hyphen--;
	if (hyphen <= c->begin)
		return room;
	for (int64_t i = c->begin; i < hyphen; i++)
		if (w->character[i] != '-')
			return hyphen + 1 - c->begin;
	return room;
}

/* The lines of one line of the text, added to the list. */
static int wrap_line(struct wrap *w, struct jinja_list *lines)
{
	size_t first = lines->count;
	TRY(read_line(w));
	for (size_t i = 0; i < w->chunks;) {
		if (lines->count > first && is_blank(w, &w->chunk[i]) && ++i == w->chunks)
			break;
		int64_t begin = w->chunk[i].begin, end = begin;
		size_t from = i;
		while (i < w->chunks && w->chunk[i].end - begin <= w->width)
			end = w->chunk[i++].end;
		struct chunk last = { begin, begin }; /* what goes if it is blank */
		if (i > from)
			last = w->chunk[i - 1];
		struct chunk *c = i < w->chunks ? &w->chunk[i] : NULL;
		if (c && c->end - c->begin > w->width && w->break_long) {
			int64_t take = cut_of(w, c, w->width - (end - begin));
			last = (struct chunk){ c->begin, c->begin + take };
			c->begin += take;
			end = c->begin;
		} else if (c && c->end - c->begin > w->width && i == from) {
			last = *c;
			end = c->end;
			i++;
		}
		TRY(jinja_charge(w->j, 1));
		if (is_blank(w, &last))
			end = last.begin;
		struct jinja_value line;
		if (end == begin)
			continue;
		TRY(jinja_slice(w->j, w->t, w->byte[begin], w->byte[end], &line));
		TRY(jinja_list_add(w->j, lines, line));
	}
	return 0;
}

int jinja_filter_wordwrap(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value paragraphs, lines, newline;
	const struct jinja_text *between;
	int64_t width;
	TRY(jinja_arg_int(j, a, 0, 79, &width));
	TRY(jinja_arg_text(j, a, 2, &between));
	if (a->in.kind != J_STR)
		return jinja_fail(j, "wordwrap takes a string, not %s", jinja_type_name(&a->in));
	TRY(jinja_str(j, "\n", 1, jinja_text_data(a->in.text), &newline));
	between = between ? between : newline.text;
	TRY(jinja_lines(j, a->in.text, false, &paragraphs));
	TRY(jinja_literal(j, "", out));
	for (size_t i = 0; i < paragraphs.list->count; i++) {
		struct wrap w = { .j = j, .t = paragraphs.list->at[i].text, .width = width };
		w.hyphens_cut = !a->slot[3] || (a->slot[3]->kind == J_BOOL && a->slot[3]->boolean);
		w.break_long = jinja_arg_flag(a, 1, true);
		w.break_hyphens = jinja_arg_flag(a, 3, true);
		if (width <= 0)
			return jinja_fail(j, "invalid width %lld (must be > 0)", (long long)width);
		TRY(jinja_list_new(j, J_LIST, &lines));
		TRY(wrap_line(&w, lines.list));
		if (i)
			TRY(jinja_concat(j, out->text, between, out));
		for (size_t k = 0; k < lines.list->count; k++) {
			if (k)
				TRY(jinja_concat(j, out->text, between, out));
			TRY(jinja_concat(j, out->text, lines.list->at[k].text, out));
		}
	}
	return 0;
}
