/* The state of one stream. Private to the room.
 *
 * Bytes enter a window [base, ...) of raw text. Every complete code point goes to the views: text
 * windows for regexes, feeds for the literal automata. Bytes that a view may still match are held;
 * the others are released in order, and by then every match that touches them is known. So what
 * happens to a byte is a function of the text alone. */
#ifndef FILTERS_STREAM_H
#define FILTERS_STREAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "filters/json.h"
#include "filters/set.h"

#define NOWHERE UINT64_MAX

/* Where the characters of a feed come from. */
enum source { SOURCE_DIRECT, SOURCE_ESCAPED, SOURCE_HIDDEN, SOURCE_REVERSED, SOURCES };

/* One automaton's state on one source of characters. */
struct feed {
	const struct automaton *automaton;
	enum view view;
	uint32_t gap_max, state, separators, noise;
	uint64_t *start; /* [ring] raw starts of the last kept characters */
	uint64_t count;  /* kept characters so far */
	uint32_t ring;   /* power of two, at least the longest literal */
};

/* A code point and the raw bytes it stands for. */
struct place {
	uint32_t cp;
	uint64_t start, end;
};

/* Code points that may still become an escape. */
struct escape {
	struct place wait[ESCAPE_MAX + 1];
	int n;
};

/* Bytes hidden in variation selectors, and the lead of an override. */
struct hidden {
	char utf8[4];
	int n;
	uint64_t start;
	bool reversed; /* inside U+202E */
	uint64_t lead; /* raw start of the override, until its first character */
	uint32_t lead_noise;
};

struct probe_state {
	uint64_t cursor; /* view offset from where to try */
	uint64_t live;   /* view offset of a match that is still open, or NOWHERE */
};

/* Patterns of a kind of secret that are still to be tried from view offsets [at, key]. */
struct secret_try {
	uint32_t probe;
	uint64_t at, key;
};

/* The tail of a match (its raw start, and rule): view offset that is looked at next. */
struct secret_tail_state {
	uint64_t at, start;
	uint32_t rule, dashes, left;
	enum secret_tail kind;
};

/* The search for secrets in one window. */
struct secrets_state {
	uint32_t state;  /* of the automaton */
	uint64_t cursor; /* view offset that it has read up to */
	struct secret_try *try;
	size_t tries, try_room;
	struct secret_tail_state *tail;
	size_t tails, tail_room;
};

/* A text that probes read: a view, with the raw place of each byte. View offsets count from the
 * start of the stream and never move; text.bytes[i] has view offset base + i. */
struct window {
	enum text_view view;
	struct buf text;
	uint64_t *start, *end; /* [room] by byte of text: the raw place of its character */
	uint8_t *made;         /* [room] by byte of text: FILTER_DECODE_* that its character came of */
	size_t room;
	uint64_t base;
	uint32_t noise;            /* dropped characters since the last kept one */
	struct probe_state *probe; /* [set.probes]; those of other views are not used */
	struct secrets_state secrets;
};

#define WINDOWS 3

/* Bytes of a window's text: indices into text.bytes. */
struct span {
	size_t start, end, head, tail;
	bool open; /* a tail may follow */
};

struct match {
	uint64_t start, end, head, tail; /* [start, head) and [tail, end) stay under a mask */
	uint32_t rule;
	bool open; /* a tail may still make it longer */
};

struct found {
	struct filter_finding pub;
	uint32_t *rule; /* sorted */
	uint32_t rules, room;
};

/* How a text that is JSON goes out. */
struct json_out {
	struct json_place place;
	bool bare, quoted; /* inside a number or word, which goes out as a string */
	bool key_changed;
	uint32_t owed; /* bytes that went out before the finding that they belong to */
};

struct filter_stream {
	const struct filter_set *set;
	bool shadow, json, keys_stay;
	bool in_string; /* of the JSON, where the views are */
	struct json_out *json_out;
	struct buf raw, out;
	uint64_t base;    /* raw offset of raw.bytes[0] */
	size_t fed;       /* bytes of raw that the views have seen */
	uint64_t ill_end; /* raw offset behind the last ill-formed byte */
	size_t held_max;

	struct window window[WINDOWS];
	struct feed *feed[SOURCES];
	size_t feeds; /* of each source but SOURCE_DIRECT */
	size_t direct_feeds;
	struct escape escape;
	struct hidden hidden;
	pcre2_match_data *match_data;
	pcre2_match_context *match_context;
	pcre2_jit_stack *jit_stack;

	struct match *match; /* sorted by start; [match_first, matches) are not over */
	size_t match_first, matches, match_room;
	struct found *found;
	size_t founds, found_room;
	bool open, swallow; /* the last finding may go on; a mark after it is withheld */

	struct sha256 *seen_hash, *emitted_hash;
	struct filter_record record;
	struct arena record_arena;
	bool nomem;
};

/* feed.c */
int filter_feeds_open(struct filter_stream *f) MUST_USE;
void filter_feeds_close(struct filter_stream *f);
void filter_feeds_put(struct filter_stream *f, const struct place *p);
void filter_feeds_finish(struct filter_stream *f);
uint64_t filter_feeds_hold(const struct filter_stream *f);
void filter_source_put(struct filter_stream *f, enum source s, const struct place *p);
void filter_source_reset(struct filter_stream *f, enum source s);

/* hidden.c */
void filter_escape_put(struct filter_stream *f, const struct place *p);
void filter_escape_finish(struct filter_stream *f);
void filter_hidden_put(struct filter_stream *f, const struct place *p);

/* window.c */
int filter_windows_open(struct filter_stream *f) MUST_USE;
void filter_windows_put(struct filter_stream *f, const struct place *p);
/* 0, or ERR_UNAVAILABLE: a work limit */
int filter_windows_scan(struct filter_stream *f, bool final) MUST_USE;
uint64_t filter_windows_hold(const struct filter_stream *f);
void filter_windows_close(struct filter_stream *f);
uint64_t filter_window_end(const struct window *w);
/* Bytes [start, end) of a window's text are a match of a rule; a mask leaves [start, head) and
 * [tail, end) readable. It counts if the rule allows what the characters were made of; false: it
 * does not, or was known. */
bool filter_window_found(struct filter_stream *f, const struct window *w, uint32_t rule,
			 const struct span *at);

/* secret_scan.c */
int filter_secrets_scan(struct filter_stream *f, struct window *w, bool final) MUST_USE;
/* View offset of the first character that a secret may still begin with. */
uint64_t filter_secrets_live(const struct filter_stream *f, const struct window *w);
void filter_secrets_close(struct window *w);

/* emit.c */
/* false: it is there already, or memory ran out. */
bool filter_match_add(struct filter_stream *f, const struct match *m);
/* The open match of a rule goes on to raw offset end (0: no further); over: it ends there. */
void filter_match_grow(struct filter_stream *f, uint64_t start, uint32_t rule, uint64_t end,
		       bool over);
/* Sets record.end when a block begins. final: nothing comes behind limit. */
void filter_emit_until(struct filter_stream *f, uint64_t limit, bool final);
void filter_findings_close(struct filter_stream *f);
void filter_record_fill(struct filter_stream *f);

#endif
