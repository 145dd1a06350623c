/* Characters of strings: code points, as Python counts them, and what they are. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <string.h>
#include <utf8proc.h>

bool jinja_is_space(uint32_t cp) { return unicode_is_space(cp) || (cp >= 0x1C && cp <= 0x1F); }

size_t jinja_characters(const struct jinja_text *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->len; i++)
		n += ((unsigned char)t->bytes[i] & 0xC0) != 0x80;
	return n;
}

size_t jinja_offset(const struct jinja_text *t, size_t character)
{
	size_t i = 0;
	for (; i < t->len; i++) {
		bool starts = ((unsigned char)t->bytes[i] & 0xC0) != 0x80;
		if (starts && character-- == 0)
			break;
	}
	return i;
}

static bool in_set(const struct jinja_text *set, const char *c, size_t n, uint32_t cp)
{
	if (!set)
		return jinja_is_space(cp);
	for (size_t at = 0; at < set->len;) {
		uint32_t one;
		size_t size = (size_t)text_utf8_decode(set->bytes + at, set->len - at, &one);
		if (size == n && memcmp(set->bytes + at, c, n) == 0)
			return true;
		at += size;
	}
	return false;
}

void jinja_strip(const struct jinja_text *t, const struct jinja_text *set, bool left, bool right,
		 size_t *begin, size_t *end)
{
	uint32_t cp;
	size_t n;
	*begin = 0;
	*end = t->len;
	while (left && *begin < *end) {
		n = (size_t)text_utf8_decode(t->bytes + *begin, *end - *begin, &cp);
		if (!in_set(set, t->bytes + *begin, n, cp))
			break;
		*begin += n;
	}
	while (right && *end > *begin) {
		cp = unicode_last(t->bytes, *end, &n);
		if (!in_set(set, t->bytes + *end - n, n, cp))
			break;
		*end -= n;
	}
}

static bool is_cased(uint32_t cp)
{
	return unicode_is_lower(cp) || unicode_is_upper(cp) || unicode_is_title(cp);
}

/* Whether `title` starts a word after this character: in Python after any uncased one, in Jinja's
 * filter after a few. */
static bool opens_word(uint32_t cp, enum jinja_case c)
{
	if (c == JINJA_TITLE_FILTER)
		return cp == '-' || cp == '(' || cp == '{' || cp == '[' || cp == '<' ||
		       jinja_is_space(cp);
	return !is_cased(cp);
}

/* Whether the capital sigma that ends at byte `end` is the last letter of a word of several:
 * its small form differs there. What stands before `begin` does not count. */
static bool ends_word(const struct jinja_text *t, size_t begin, size_t end)
{
	uint32_t cp = 0;
	size_t at = end - 2, n;
	bool ignored = true;
	while (at > begin && ignored) {
		cp = unicode_last(t->bytes, at, &n);
		at -= n;
		ignored = unicode_is_ignored_by_case(cp);
	}
	if (ignored || !is_cased(cp))
		return false;
	for (at = end, ignored = true; ignored && at < t->len;) {
		at += (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		ignored = unicode_is_ignored_by_case(cp);
	}
	return ignored || !is_cased(cp);
}

int jinja_recase(struct jinja *j, const struct jinja_text *t, enum jinja_case c,
		 struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	bool data = jinja_text_data(t), start = true;
	size_t alone = 0; /* the filter lowers what stands behind a word's first letter by itself */
	TRY(jinja_charge(j, t->len / 16));
	for (size_t at = 0; at < t->len;) {
		uint32_t cp, made[3];
		char bytes[4];
		int n;
		at += (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		if (c == JINJA_FOLD)
			n = unicode_fold(cp, made);
		else if (c == JINJA_UPPER || (c == JINJA_TITLE_FILTER && start) ||
			 (c == JINJA_SWAP && unicode_is_lower(cp)))
			n = unicode_upper(cp, made);
		else if (c == JINJA_SWAP && !unicode_is_upper(cp))
			n = (int)(made[0] = cp, 1);
		else if (start && (c == JINJA_TITLE || c == JINJA_CAPITALIZE))
			n = unicode_title(cp, made);
		else
			n = unicode_lower(cp, made);
		if (cp == 0x3A3 && made[0] == 0x3C3 && c != JINJA_FOLD && ends_word(t, alone, at))
			made[0] = 0x3C2;
		alone = start && c == JINJA_TITLE_FILTER ? at : alone;
		for (int i = 0; i < n; i++)
			jinja_put(&o, bytes, (size_t)text_utf8_encode(made[i], bytes), data);
		start = (c == JINJA_TITLE || c == JINJA_TITLE_FILTER) && opens_word(cp, c);
	}
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, t->markup && c != JINJA_TITLE_FILTER, out);
}

enum jinja_cases jinja_cases(const struct jinja_text *t)
{
	unsigned seen = 0;
	bool titled = true, inside = false; /* every run of letters: a large one, then small ones */
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		at += (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		bool up = unicode_is_upper(cp) || unicode_is_title(cp), low = unicode_is_lower(cp);
		seen |= up ? 1u : low ? 2u : 0u;
		seen |= unicode_is_title(cp) ? 4u : 0u;
		titled = titled && !(up && inside) && !(low && !inside);
		inside = up || low;
	}
	return (enum jinja_cases)((seen == 1 ? JINJA_IS_UPPER : 0) |
				  (seen == 2 ? JINJA_IS_LOWER : 0) |
				  (seen && titled ? JINJA_IS_TITLE : 0));
}

/* The length of the line end at byte `at`, or 0. */
static size_t line_end_length(const struct jinja_text *t, size_t at)
{
	uint32_t cp;
	int n = text_utf8_decode(t->bytes + at, t->len - at, &cp);
	if (cp == '\r' && at + 1 < t->len && t->bytes[at + 1] == '\n')
		return 2;
	bool ends = (cp >= 0x0A && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 ||
		    cp == 0x2028 || cp == 0x2029;
	return ends ? (size_t)n : 0;
}

static int list_part(struct jinja *j, struct jinja_list *l, const struct jinja_text *t,
		     size_t begin, size_t end)
{
	struct jinja_value part;
	TRY(jinja_charge(j, 1));
	TRY(jinja_slice(j, t, begin, end, &part));
	return jinja_list_add(j, l, part);
}

int jinja_lines(struct jinja *j, const struct jinja_text *t, bool keep, struct jinja_value *out)
{
	size_t begin = 0;
	TRY(jinja_list_new(j, J_LIST, out));
	TRY(jinja_charge(j, t->len / 16));
	for (size_t at = 0; at < t->len;) {
		size_t n = line_end_length(t, at);
		if (n) {
			TRY(list_part(j, out->list, t, begin, keep ? at + n : at));
			begin = at + n;
		}
		at += n ? n : 1;
		while (at < t->len && ((unsigned char)t->bytes[at] & 0xC0) == 0x80)
			at++;
	}
	return begin < t->len ? list_part(j, out->list, t, begin, t->len) : 0;
}

int jinja_words(struct jinja *j, const struct jinja_text *t, struct jinja_value *out)
{
	size_t begin = 0;
	uint32_t cp;
	TRY(jinja_list_new(j, J_LIST, out));
	TRY(jinja_charge(j, t->len / 16));
	for (size_t at = 0, n; at < t->len; at += n) {
		n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		if (!jinja_is_space(cp))
			continue;
		if (at > begin)
			TRY(list_part(j, out->list, t, begin, at));
		begin = at + n;
	}
	return begin < t->len ? list_part(j, out->list, t, begin, t->len) : 0;
}

int jinja_pad(struct jinja *j, const struct jinja_text *t, int64_t width,
	      const struct jinja_text *fill, char where, struct jinja_value *out)
{
	struct jinja_text space = { .bytes = " ", .len = 1 };
	struct jinja_out o = { 0 };
	int64_t room = width - (int64_t)jinja_characters(t);
	TRY(jinja_charge(j, t->len / 64));
	if (room <= 0)
		return jinja_slice(j, t, 0, t->len, out);
	if (room > (int64_t)JINJA_STRING_BYTES)
		return jinja_fail_long(j);
	TRY(jinja_charge(j, (uint64_t)room / 4));
	/* Python puts the odd one of a width to the left of the text where width is odd too */
	int64_t left = where == '<' ? 0 : where == '>' ? room : room / 2 + (room & width & 1);
	jinja_put_times(&o, fill ? fill : &space, left);
	jinja_put_text(&o, t, 0, t->len);
	jinja_put_times(&o, fill ? fill : &space, room - left);
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, t->markup, out);
}

bool jinja_is_word(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return cp == '_' || (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
	       unicode_is_digit(cp) || unicode_is_numeric_or_ideograph(cp);
}

/* Properties XID_Start and XID_Continue: categories, but for a few characters. */
static bool in_identifier(uint32_t cp, bool first)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	bool letter = (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
		      c == UTF8PROC_CATEGORY_NL || cp == '_';
	if (cp == 0x37A || cp == 0x2E2F || (cp >= 0xFC5E && cp <= 0xFC63) || cp == 0xFDFA ||
	    cp == 0xFDFB || (cp >= 0xFE70 && cp <= 0xFE7E && cp % 2 == 0))
		return false;
	if (cp == 0x2118 || cp == 0x212E || cp == 0x1885 || cp == 0x1886)
		return true;
	if (first)
		return letter && cp != 0xE33 && cp != 0xEB3 && cp != 0xFF9E && cp != 0xFF9F;
	return letter || c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC ||
	       c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_PC || cp == 0xB7 ||
	       cp == 0x387 || (cp >= 0x1369 && cp <= 0x1371) || cp == 0x19DA;
}

bool jinja_is_identifier(const char *s, size_t len)
{
	for (size_t at = 0; at < len;) {
		uint32_t cp;
		int n = text_utf8_decode(s + at, len - at, &cp);
		if (n <= 0 || !in_identifier(cp, at == 0))
			return false;
		at += (size_t)n;
	}
	return len > 0;
}
