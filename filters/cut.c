/* The end of a text that its writer did not choose: a limit of tokens, or a constraint. What stands
 * there may be most of what a rule withholds, "Project Larksp" or "e.murphy@fernbank.exam", and the
 * rest is quickly guessed. So what is still open there counts as a match where at least three
 * quarters of the shortest text that it could become have come, or what tells it from other text
 * (the sign of an address). A mask shows nothing of it: which places those are is not known. */
#include "filters/stream.h"

#include <string.h>

#define LEAST 4       /* characters: of less nothing can be said */
#define LEAST_SHAPE 7 /* the shortest match of a detector whose length says something */

/* The sign of an address, with something behind it. */
static bool tells_address(const char *s, size_t len) { return memchr(s, '@', len - 1) != NULL; }

/* A number as one dials it, and eight digits of it. */
static bool tells_phone(const char *s, size_t len)
{
	unsigned digits = 0;
	for (size_t i = 0; i < len; i++) {
		if (!s[i] || !strchr("0123456789+ ().-/", s[i]))
			return false;
		digits += s[i] >= '0' && s[i] <= '9';
	}
	return digits >= 8 && strchr("+0(", s[0]);
}

/* Detectors whose shortest match says nothing of the ones that are meant. */
static const struct {
	const char *name;
	bool (*tells)(const char *s, size_t len);
} tells[] = { { "email", tells_address }, { "url", tells_address }, { "phone", tells_phone } };

/* Whether so many characters are most of what takes at least `of`. */
static bool most_of(uint32_t chars, uint32_t of) { return chars >= LEAST && 4 * chars >= 3 * of; }

static uint32_t count_chars(const char *s, size_t len)
{
	uint32_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += ((uint8_t)s[i] & 0xC0) != 0x80;
	return n;
}

static uint32_t least_of(const struct regex *r)
{
	uint32_t least = 0;
	return pcre2_pattern_info(r->code, PCRE2_INFO_MINLENGTH, &least) == 0 ? least : 0;
}

static void take(struct filter_stream *f, const struct window *w, uint32_t rule, size_t at)
{
	size_t end = w->text.len;
	filter_window_found(f, w, rule, &(struct span){ at, end, at, end, false, false });
}

/* ---- regexes */

/* What is open in text[0..len) is most of a match. */
static bool is_most(const struct probe *p, const char *text, size_t len)
{
	uint32_t least = least_of(&p->regex);
	const char *name = p->detector ? p->detector->name : "";
	for (size_t i = 0; i < sizeof tells / sizeof *tells; i++)
		if (strcmp(name, tells[i].name) == 0)
			return tells[i].tells(text, len);
	return (!p->detector || least >= LEAST_SHAPE) && most_of(count_chars(text, len), least);
}

/* Each place from the first open one on where a match may have begun. */
static int cut_probe(struct filter_stream *f, const struct window *w, const struct probe *p,
		     uint64_t live)
{
	const PCRE2_SIZE *found = pcre2_get_ovector_pointer(f->match_data);
	uint32_t how = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | PCRE2_PARTIAL_HARD |
		       (w->base ? PCRE2_NOTBOL : 0);
	for (size_t at = (size_t)(live - w->base); at < w->text.len;) {
		int r = pcre2_match(p->regex.code, (PCRE2_SPTR)w->text.bytes, w->text.len, at, how,
				    f->match_data, f->match_context);
		if (r != PCRE2_ERROR_PARTIAL)
			return r < 0 && r != PCRE2_ERROR_NOMATCH ? ERR_UNAVAILABLE : 0;
		at = found[0];
		if (at < w->text.len && is_most(p, w->text.bytes + at, w->text.len - at)) {
			take(f, w, p->rule, at);
			return 0;
		}
		for (at++; at < w->text.len && ((uint8_t)w->text.bytes[at] & 0xC0) == 0x80;)
			at++;
	}
	return 0;
}

static void cut_secrets(struct filter_stream *f, const struct window *w)
{
	const struct secrets_state *s = &w->secrets;
	for (size_t i = 0; i < s->tries; i++) {
		const struct secret_probe *p = &f->set->secrets.probe[s->try[i].probe];
		size_t at = (size_t)(s->try[i].at - w->base);
		uint32_t chars = count_chars(w->text.bytes + at, w->text.len - at);
		if (most_of(chars, least_of(p->regex)))
			take(f, w, p->rule, at);
	}
}

int filter_windows_cut(struct filter_stream *f)
{
	for (int k = 0; k < WINDOWS; k++) {
		const struct window *w = &f->window[k];
		if (!w->used || !w->awake)
			continue;
		for (size_t i = 0; i < f->set->probes; i++)
			if (!w->probe[i].asleep && w->probe[i].live != NOWHERE)
				TRY(cut_probe(f, w, &f->set->probe[i], w->probe[i].live));
		if (!w->secrets.asleep)
			cut_secrets(f, w);
	}
	return 0;
}

/* ---- literals */

static void cut_feed(struct filter_stream *f, const struct feed *feed)
{
	uint32_t it = feed->state, chars, whole, rule;
	while (filter_automaton_next_live(feed->automaton, &it, &chars, &whole, &rule))
		if (most_of(chars, whole))
			filter_feed_found(f, feed, rule, chars, f->base + f->fed);
}

void filter_feeds_cut(struct filter_stream *f)
{
	for (int s = 0; s < SOURCES; s++)
		for (size_t i = 0; i < f->feeds[s] && (s != SOURCE_DECODED || f->feeds_parted); i++)
			cut_feed(f, &f->feed[s][i]);
}
