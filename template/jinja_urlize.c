/* The filter urlize: links around what looks like an address. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <string.h>

struct span {
	size_t begin, end; /* bytes of the text */
};
struct urlize {
	struct jinja *j;
	const struct jinja_text *t;            /* escaped */
	const struct jinja_text *rel, *target; /* escaped; NULL: none */
	int64_t limit; /* characters of a link that are shown; INT64_MAX: all */
	const struct jinja_list *schemes;
	bool data;
	struct jinja_out o;
};

static size_t character_at(const struct urlize *u, size_t at, size_t end, uint32_t *cp)
{
	*cp = 0;
	return at < end ? (size_t)text_utf8_decode(u->t->bytes + at, end - at, cp) : 0;
}

static bool is_ascii_letter(uint32_t cp)
{
	return cp < 0x80 && (cp | 32) >= 'a' && (cp | 32) <= 'z';
}

static bool starts(const struct urlize *u, struct span s, const char *with, bool any_case)
{
	size_t n = strlen(with);
	const char *at = u->t->bytes + s.begin;
	return s.end - s.begin >= n &&
	       (any_case ? strncasecmp(at, with, n) : strncmp(at, with, n)) == 0;
}

/* Behind an optional port and path; whether that is the end. */
static bool ends_address(const struct urlize *u, size_t at, size_t end)
{
	uint32_t cp;
	size_t n = character_at(u, at, end, &cp);
	if (cp == ':') {
		int digits = 0;
		at += n;
		for (; digits < 5 && (n = character_at(u, at, end, &cp)) && unicode_is_decimal(cp);
		     at += n)
			digits++;
		if (!digits)
			return false;
		character_at(u, at, end, &cp);
	}
	return at == end || cp == '/' || cp == '?' || cp == '#';
}

struct label {
	size_t begin, end;
	int64_t characters;
	bool letters, hyphens; /* nothing but a to z; some hyphen */
};

/* The label at `at`: word characters, % and -. */
static struct label label_at(const struct urlize *u, size_t at, size_t end)
{
	struct label l = { at, at, 0, true, false };
	uint32_t cp;
	for (size_t n; (n = character_at(u, l.end, end, &cp)) &&
		       (jinja_is_word(cp) || cp == '%' || cp == '-');
	     l.end += n) {
		l.characters++;
		l.letters = l.letters && is_ascii_letter(cp);
		l.hyphens = l.hyphens || cp == '-';
	}
	return l;
}

static bool is_domain(const struct urlize *u, const struct label *l, bool known)
{
	static const char *const names[] = {
		"com", "net", "int", "edu", "gov", "org", "info", "mil"
	};
	struct span s = { l->begin, l->end };
	for (int i = 0; i < 8 && known; i++)
		if (l->end - l->begin == strlen(names[i]) && starts(u, s, names[i], true))
			return true;
	if (known)
		return false;
	if (l->letters && l->characters >= 2 && l->characters <= 63)
		return true;
	struct label rest = label_at(u, l->begin + 4, l->end);
	return starts(u, s, "xn--", true) && !rest.hyphens && rest.characters >= 2 &&
	       rest.characters <= 59;
}

/* Labels with dots between; known: the last is a well-known domain and the others are short. */
static bool is_host(const struct urlize *u, size_t at, size_t end, bool known)
{
	for (bool first = true;; first = false) {
		struct label l = label_at(u, at, end);
		if (!l.characters)
			return false;
		if (l.end == end || u->t->bytes[l.end] != '.')
			return !(known && first) && is_domain(u, &l, known) &&
			       ends_address(u, l.end, end);
		if (known && (l.characters < 2 || l.characters > 63))
			return false;
		at = l.end + 1;
	}
}

static bool is_ipv4(const struct urlize *u, size_t at, size_t end)
{
	uint32_t cp;
	for (int part = 0; part < 4; part++) {
		int digits = 0;
		size_t n;
		if (part) {
			n = character_at(u, at, end, &cp);
			if (cp != '.')
				return false;
			at += n;
		}
		for (; digits < 3 && (n = character_at(u, at, end, &cp)) && unicode_is_decimal(cp);
		     at += n)
			digits++;
		if (!digits)
			return false;
	}
	return ends_address(u, at, end);
}

/* [a:b:...]: two groups with colons, then up to six whose colons may be missing. */
static bool is_ipv6(const struct urlize *u, size_t at, size_t end)
{
	const char *s = u->t->bytes;
	if (at == end || s[at++] != '[')
		return false;
	for (int group = 0; group < 8; group++) {
		for (int digits = 0;
		     digits < 4 && at < end && strchr("0123456789abcdefABCDEF", s[at]) && s[at];
		     digits++)
			at++;
		bool colon = at < end && s[at] == ':';
		if (group < 2 && !colon)
			return false;
		at += colon;
		if (group >= 2 && at < end && s[at] == ']')
			break;
	}
	return at < end && s[at] == ']' && ends_address(u, at + 1, end);
}

static bool is_link(const struct urlize *u, struct span s)
{
	size_t scheme = starts(u, s, "https://", true) ? 8 : starts(u, s, "http://", true) ? 7 : 0;
	size_t www = starts(u, s, "www.", true) ? 4 : 0, at = s.begin + scheme;
	if ((scheme || www) && is_host(u, s.begin + (scheme ? scheme : www), s.end, false))
		return true;
	if (is_host(u, s.begin, s.end, true))
		return true;
	return scheme && (is_ipv4(u, at, s.end) || is_ipv6(u, at, s.end));
}

static bool is_mail(const struct urlize *u, struct span s)
{
	const char *text = u->t->bytes;
	size_t sign = s.end, dot = s.end, at;
	uint32_t cp;
	while (sign > s.begin && text[sign - 1] != '@')
		sign--;
	while (dot > sign && text[dot - 1] != '.')
		dot--;
	if (sign < s.begin + 2 || dot <= sign || dot == s.end)
		return false;
	for (at = sign; at < s.end; at += character_at(u, at, s.end, &cp)) {
		character_at(u, at, s.end, &cp);
		bool loose = at > sign && at < dot && (cp == '.' || cp == '-');
		if (!jinja_is_word(cp) && !loose)
			return false;
	}
	return dot > sign + 1;
}

/* ---- output ---- */

static void put(struct urlize *u, const char *text)
{
	jinja_put(&u->o, text, strlen(text), u->data);
}

static void put_span(struct urlize *u, struct span s)
{
	jinja_put_text(&u->o, u->t, s.begin, s.end);
}

static void put_link(struct urlize *u, const char *before, struct span s, bool attributes,
		     struct span shown)
{
	struct jinja_text text = { .bytes = u->t->bytes + shown.begin,
				   .len = shown.end - shown.begin };
	put(u, "<a href=\"");
	put(u, before);
	put_span(u, s);
	put(u, "\"");
	for (int i = 0; i < 2 && attributes; i++) {
		const struct jinja_text *value = i ? u->target : u->rel;
		if (!value)
			continue;
		put(u, i ? " target=\"" : " rel=\"");
		jinja_put_text(&u->o, value, 0, value->len);
		put(u, "\"");
	}
	put(u, ">");
	bool cut = attributes && (int64_t)jinja_characters(&text) > u->limit;
	if (cut)
		shown.end = shown.begin + jinja_offset(&text, (size_t)u->limit);
	put_span(u, shown);
	put(u, cut ? "...</a>" : "</a>");
}

static int put_schemes(struct urlize *u, struct span s)
{
	for (size_t i = 0; u->schemes && i < u->schemes->count; i++) {
		const struct jinja_text *scheme = u->schemes->at[i].text;
		bool begins = s.end - s.begin > scheme->len &&
			      memcmp(u->t->bytes + s.begin, scheme->bytes, scheme->len) == 0;
		if (begins && i + 1 < u->schemes->count)
			return jinja_refuse(u->j, "urlize with several extra_schemes");
		if (begins) {
			int64_t limit = u->limit;
			u->limit = INT64_MAX;
			put_link(u, "", s, true, s);
			u->limit = limit;
			return 0;
		}
	}
	put_span(u, s);
	return 0;
}

static int put_middle(struct urlize *u, struct span s)
{
	struct span rest = { s.begin + 7, s.end };
	bool at = memchr(u->t->bytes + s.begin, '@', s.end - s.begin);
	bool colon = memchr(u->t->bytes + s.begin, ':', s.end - s.begin);
	if (s.begin == s.end)
		return 0;
	bool link = is_link(u, s);
	if (link && u->limit < 0)
		return jinja_fail(u->j, "trim_url_limit is a number of characters");
	if (link)
		put_link(u,
			 starts(u, s, "https://", false) || starts(u, s, "http://", false)
				 ? ""
				 : "https://",
			 s, true, s);
	else if (starts(u, s, "mailto:", false) && is_mail(u, rest))
		put_link(u, "", s, false, rest);
	else if (at && !starts(u, s, "www.", false) && !starts(u, s, "@", false) && !colon &&
		 is_mail(u, s))
		put_link(u, "mailto:", s, false, s);
	else
		return put_schemes(u, s);
	return 0;
}

/* ---- words ---- */

static size_t count_of(const struct urlize *u, struct span s, const char *what)
{
	struct jinja_text t = { .bytes = u->t->bytes + s.begin, .len = s.end - s.begin };
	struct jinja_text needle = { .bytes = what, .len = strlen(what) };
	size_t n = 0;
	for (size_t at = 0; (at = jinja_find(&t, &needle, at)) != SIZE_MAX; at += needle.len)
		n++;
	return n;
}

/* Brackets and stops around the word stay outside; brackets that it opens itself stay in. */
static int put_word(struct urlize *u, struct span s)
{
	static const char *const opening[] = { "(", "<", "&lt;" }, *const closing[] = { ")", ">",
											"&gt;" };
	static const char *const ends[] = { ")", ">", ".", ",", "&gt;" };
	struct span head = { s.begin, s.begin }, middle = s;
	for (bool more = true; more;) {
		more = false;
		for (int i = 0; i < 3 && !more; i++)
			if (starts(u, middle, opening[i], false)) {
				middle.begin += strlen(opening[i]);
				more = true;
			}
	}
	head.end = middle.begin;
	for (bool more = true; more;) {
		more = false;
		for (int i = 0; i < 5 && !more; i++) {
			size_t n = strlen(ends[i]);
			if (middle.end - middle.begin >= n &&
			    memcmp(u->t->bytes + middle.end - n, ends[i], n) == 0) {
				middle.end -= n;
				more = true;
			}
		}
	}
	for (int i = 0; i < 3; i++) {
		struct span tail = { middle.end, s.end };
		size_t opened = count_of(u, middle, opening[i]),
		       closed = count_of(u, tail, closing[i]);
		if (opened <= count_of(u, middle, closing[i]))
			continue;
		struct jinja_text needle = { .bytes = closing[i], .len = strlen(closing[i]) };
		for (size_t k = 0; k < opened && k < closed; k++) {
			struct jinja_text whole = { .bytes = u->t->bytes, .len = s.end };
			middle.end = jinja_find(&whole, &needle, middle.end) + needle.len;
		}
	}
	put_span(u, head);
	TRY(put_middle(u, middle));
	put_span(u, (struct span){ middle.end, s.end });
	return u->o.text.len > JINJA_STRING_BYTES ? jinja_fail_long(u->j) : 0;
}

static int put_words(struct urlize *u)
{
	const struct jinja_text *t = u->t;
	size_t begin = 0;
	uint32_t cp;
	TRY(jinja_charge(u->j, t->len));
	for (size_t at = 0, n; at < t->len; at += n) {
		n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		if (!jinja_is_space(cp))
			continue;
		TRY(put_word(u, (struct span){ begin, at }));
		put_span(u, (struct span){ at, at + n });
		begin = at + n;
	}
	return put_word(u, (struct span){ begin, t->len });
}

/* ---- arguments ---- */

/* The words of rel, nofollow and noopener, each once and in order. */
static int rel_of(struct jinja *j, const struct jinja_arguments *a, const struct jinja_text **out)
{
	struct jinja_value words, given, sum, space;
	TRY(jinja_literal(j, "", &given));
	if (a->slot[3] && jinja_truth(a->slot[3])) {
		if (a->slot[3]->kind != J_STR)
			return jinja_fail(j, "rel is a string");
		given = *a->slot[3];
	}
	TRY(jinja_words(j, given.text, &words));
	for (int i = 0; i < 2; i++) {
		struct jinja_value word;
		TRY(jinja_literal(j, i ? "noopener" : "nofollow", &word));
		if (i || jinja_arg_flag(a, 1, false))
			TRY(jinja_list_add(j, words.list, word));
	}
	struct jinja_list none = { 0 };
	struct jinja_value unique;
	TRY(jinja_apply(j, jinja_filter_find("unique", 6), &words, &none, NULL, &unique));
	TRY(jinja_apply(j, jinja_filter_find("sort", 4), &unique, &none, NULL, &words));
	TRY(jinja_literal(j, "", &sum));
	TRY(jinja_literal(j, " ", &space));
	for (size_t i = 0; i < words.list->count; i++) {
		if (i)
			TRY(jinja_concat(j, sum.text, space.text, &sum));
		TRY(jinja_concat(j, sum.text, words.list->at[i].text, &sum));
	}
	TRY(jinja_escape(j, sum.text, &sum));
	*out = sum.text;
	return 0;
}

/* name: or name:/ or name://, of two characters or more. */
static bool is_scheme(const struct jinja_text *t)
{
	size_t end = t->len, slashes = 0, at = 0;
	int64_t characters = 0;
	while (end && t->bytes[end - 1] == '/' && slashes < 2) {
		end--;
		slashes++;
	}
	if (!end || t->bytes[end - 1] != ':')
		return false;
	for (end--; at < end; characters++) {
		uint32_t cp;
		at += (size_t)text_utf8_decode(t->bytes + at, end - at, &cp);
		if (!jinja_is_word(cp) && cp != '.' && cp != '+' && cp != '-')
			return false;
	}
	return characters >= 2;
}

int jinja_filter_urlize(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct urlize u = { .j = j, .limit = INT64_MAX };
	struct jinja_value text, target;
	struct jinja_list *schemes = NULL;
	TRY(jinja_to_markup(j, &a->in, &text));
	u.t = text.text;
	u.data = jinja_text_data(u.t);
	if (a->slot[0] && jinja_is_integer(a->slot[0]))
		TRY(jinja_arg_int(j, a, 0, 0, &u.limit));
	else if (a->slot[0] && a->slot[0]->kind != J_NONE)
		u.limit = -1; /* an error once there is a link */
	TRY(rel_of(j, a, &u.rel));
	if (a->slot[2] && jinja_truth(a->slot[2])) {
		TRY(jinja_to_markup(j, a->slot[2], &target));
		u.target = target.text;
	}
	if (a->slot[4] && a->slot[4]->kind != J_NONE)
		TRY(jinja_items(j, a->slot[4], &schemes));
	for (size_t i = 0; schemes && i < schemes->count; i++)
		if (schemes->at[i].kind != J_STR || !is_scheme(schemes->at[i].text))
			return jinja_fail(j, "not a valid URI scheme prefix");
	u.schemes = schemes;
	int rc = put_words(&u);
	TRY(jinja_out_done(j, rc, &u.o, out));
	return jinja_mark(j, j->autoescape, out);
}
