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
enum source {
	SOURCE_DIRECT,
	SOURCE_DECODED,
	SOURCE_HIDDEN,
	SOURCE_REVERSED,
	SOURCE_RUNS, /* what each run encodes */
	SOURCES = SOURCE_RUNS + RUNS
};

/* One automaton's state on one source of characters. */
struct feed {
	const struct automaton *automaton;
	enum view view;
	uint32_t gap_max, state, separators, noise;
	uint64_t *start; /* [ring] raw starts of the last kept characters */
	uint8_t *made;   /* [ring] what they were decoded from: FILTER_DECODE_* */
	uint64_t count;  /* kept characters so far */
	uint32_t ring;   /* power of two, at least the longest literal */
	size_t twin;     /* of SOURCE_DECODED: the same on SOURCE_DIRECT */
};

/* A code point and the raw bytes it stands for. */
struct place {
	uint32_t cp;
	uint64_t start, end;
};

/* A run of digits that encode a text: run.c. */
struct run {
	uint32_t encoding; /* FILTER_DECODE_BASE64 or _HEX; never changes */
	bool on, open;     /* it may be text; it is long enough to be read */
	bool wide;         /* UTF-16 */
	bool pairs;        /* hexadecimal digits in pairs */
	uint8_t made;      /* encodings of the digits of the next character */
	uint32_t bits;
	int have; /* bits that are no whole byte yet */
	uint32_t digits, line, wrapped, bytes, bad;
	char part[4]; /* bytes that are no whole character yet */
	int part_n;
	uint32_t part_chars, last_chars;
	uint64_t start, part_start, before_start; /* raw: of the run, of part, of the last digit */
	struct sign wait[RUN_WAIT];
	int waits;
};

/* Where among digits the text is. */
struct runs_place {
	bool any;        /* some run is on */
	uint8_t before;  /* what the last character was */
	uint32_t digits; /* of base64 in a row */
};

/* Behind ? or &, and a name and =, up to a space or quote. */
enum query { QUERY_NONE, QUERY_NAME, QUERY_VALUE };

/* Characters that may still become something else in some reading. */
struct batch {
	struct sign wait[DECODE_BATCH];
	int n;
	bool alike;                /* it is the same in all readings: before[0] */
	enum query query;          /* whether they stand in the query of an address */
	uint32_t before[READINGS]; /* the character in front of them */
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
	bool asleep;     /* of a window of a later reading: the reading before decides */
	struct number_lines *lines; /* up to `followed`, where its detector has words; or NULL */
	uint64_t followed;
};

/* Patterns of a kind of secret that are still to be tried from view offsets [at, key]. */
struct secret_try {
	uint32_t probe;
	uint64_t at, key;
};

/* A tail of a match (its raw start, the raw end of its head, its rule), and the view offset that is
 * looked at next. */
struct secret_tail_state {
	uint64_t at, start, head_end;
	uint32_t rule, state, left;
	enum secret_tail kind;
};

/* The search for secrets in one window. */
struct secrets_state {
	bool asleep;     /* as of a probe */
	uint32_t state;  /* of the automaton */
	uint64_t cursor; /* view offset that it has read up to */
	struct secret_try *try;
	size_t tries, try_room;
	struct secret_tail_state *tail;
	size_t tails, tail_room;
};

/* The view offset from which a match with so much look-behind sees only what is the same; 0: not
 * known yet. */
struct clearance {
	uint32_t behind;
	uint64_t at;
};
#define CLEARANCES 4 /* of the last few look-behinds: most probes have the same */

/* A text that probes read: a view of a reading or of a run, with the raw place of each byte. View
 * offsets never move; text.bytes[i] has view offset base + i. */
struct window {
	enum text_view view;
	enum reading reading;
	uint32_t encodings; /* FILTER_DECODE_* of its reading or run; 0: as the text stands */
	bool used;          /* some probe reads it */
	bool awake;         /* it has a text of its own; the direct reading always has */
	uint64_t differed;  /* raw end of what was last read otherwise than in the reading before */
	uint64_t same;      /* view offset where this window's text goes on behind that */
	struct clearance clear[CLEARANCES];
	struct buf text;
	uint64_t *start, *end; /* [room] by byte of text: the raw place of its character */
	uint8_t *made; /* [room] by byte of text: FILTER_DECODE_* that its character came of */
	size_t room;
	uint64_t base;
	uint32_t noise;               /* dropped characters since the last kept one */
	struct probe_state *probe;    /* [set.probes]; those of other views are not used */
	struct number_state *numbers; /* or NULL: numbers are not looked for here */
	struct secrets_state secrets;
};

#define READING_WINDOWS (TEXT_VIEWS * READINGS)
#define LATER_READINGS (0x1Eu | 0x1Eu << READINGS | 0x1Eu << 2 * READINGS) /* a set of windows */
#define ALL_WINDOWS UINT32_MAX
#define WINDOWS (READING_WINDOWS + RUNS * (TEXT_VIEWS - 1))

/* Bytes of a window's text: indices into text.bytes. */
struct span {
	size_t start, end, head, tail;
	bool open;   /* a match whatever comes behind it; a tail may follow */
	bool strong; /* a number that needed nothing beside it: what a pattern finds in it is none */
};

struct match {
	uint64_t start, end, head, tail; /* [start, head) and [tail, end) stay under a mask */
	uint32_t rule;
	uint64_t head_end; /* where it ended before it grew by tails */
	uint32_t tails;    /* that may still make it longer */
	bool strong;       /* as of a span */
	bool spare;        /* a value that the rule leaves alone, with all that it finds inside */
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
	bool shadow, json, keys_stay, shaped, cut;
	bool in_string; /* of the JSON, where the views are */
	struct json_out *json_out; /* or NULL: it is not JSON */
	struct steered *steered; /* or NULL */
	struct buf raw, out;
	uint64_t base;    /* raw offset of raw.bytes[0] */
	size_t fed;       /* bytes of raw that the views have seen */
	uint64_t ill_end; /* raw offset behind the last ill-formed byte */
	size_t held_max;

	uint32_t awake; /* set of the windows that are used and have a text: bit k is window k */
	struct feed *all_feeds; /* of all sources */
	struct feed *feed[SOURCES];
	size_t feeds[SOURCES];
	bool feeds_parted; /* SOURCE_DECODED has a state of its own */
	struct batch batch;
	struct runs_place runs;
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
	bool nomem, engine_limit;

	/* Two thirds of all bytes, and there only where there are rules: filter_stream_reads. */
	struct run run[RUNS];
	struct window window[WINDOWS];
};

/* Without rules a text is only hashed, and looked at for ill-formed bytes. */
static inline bool filter_stream_reads(const struct filter_stream *f) { return f->set->rules > 0; }

/* feed.c */
int filter_feeds_open(struct filter_stream *f) MUST_USE;
void filter_feeds_close(struct filter_stream *f);
/* The last reading of a text, READING_MAIL, is SOURCE_DECODED. */
void filter_feeds_put(struct filter_stream *f, enum reading r, const struct sign *s);
void filter_feeds_drop(struct filter_stream *f, enum reading r, unsigned weight);
/* Characters come that the readings read otherwise. */
void filter_feeds_part(struct filter_stream *f);
uint64_t filter_feeds_hold(const struct filter_stream *f);
/* The last characters of a feed, up to raw offset end, are a match of a rule; it counts if the rule
 * allows what they were made of. */
void filter_feed_found(struct filter_stream *f, const struct feed *feed, uint32_t rule,
		       uint32_t chars, uint64_t end);
void filter_source_sign(struct filter_stream *f, enum source s, const struct sign *sign);
void filter_source_put(struct filter_stream *f, enum source s, const struct place *p);
void filter_source_reset(struct filter_stream *f, enum source s);

/* batch.c */
void filter_batch_put(struct filter_stream *f, const struct sign *s);
void filter_batch_finish(struct filter_stream *f);
uint64_t filter_batch_hold(const struct filter_stream *f);

/* run.c */
void filter_runs_open(struct filter_stream *f);
void filter_runs_put(struct filter_stream *f, const struct sign *s);
void filter_runs_finish(struct filter_stream *f);
uint64_t filter_runs_hold(const struct filter_stream *f);

/* hidden.c */
void filter_hidden_put(struct filter_stream *f, const struct place *p);

/* window.c */
int filter_windows_open(struct filter_stream *f) MUST_USE;
/* A window of a run: it begins behind the last characters that another one has before raw offset
 * `start`; all of it has come; what would be found if it had, which changes nothing else. */
void filter_window_begin(struct filter_stream *f, struct window *w, const struct window *before,
			 uint64_t start);
void filter_window_put(struct filter_stream *f, struct window *w, const struct sign *s);
void filter_window_finish(struct filter_stream *f, struct window *w);
void filter_window_peek(struct filter_stream *f, struct window *w);
void filter_raw_put(struct filter_stream *f, const struct sign *s);
void filter_reading_put(struct filter_stream *f, enum reading r, const struct sign *s);
/* Text was dropped in front of s; weight: DECODE_NOISE. */
void filter_reading_drop(struct filter_stream *f, enum reading r, const struct sign *s,
			 unsigned weight);
/* 0, or ERR_UNAVAILABLE: a work limit */
int filter_windows_scan(struct filter_stream *f, uint32_t which, bool final) MUST_USE;
void filter_window_wake(struct filter_stream *f, struct window *w, bool awake);
uint64_t filter_windows_hold(const struct filter_stream *f);
void filter_windows_close(struct filter_stream *f);
uint64_t filter_window_end(const struct window *w);
/* Bytes [start, end) of a window's text are a match of a rule; a mask leaves [start, head) and
 * [tail, end) readable. It counts if the rule allows what the characters were made of; false: it
 * does not, or was known. */
bool filter_window_found(struct filter_stream *f, const struct window *w, uint32_t rule,
			 const struct span *at);
/* Whether a match that ends at this index of the text must wait for the character behind it, which
 * may be made of what its rule does not allow. */
bool filter_window_awaits(const struct window *w, size_t end);

/* secret_scan.c */
int filter_secrets_scan(struct filter_stream *f, struct window *w, bool final) MUST_USE;
/* View offset of the first character that a secret may still begin with. */
uint64_t filter_secrets_live(const struct filter_stream *f, const struct window *w);
void filter_secrets_close(struct window *w);
/* As filter_window_reads and filter_window_back of a probe, and to wake it. */
bool filter_secrets_read(const struct filter_stream *f, const struct window *w);
void filter_secrets_begin(const struct filter_stream *f, struct window *w);
uint64_t filter_secrets_back(const struct filter_stream *f, const struct window *w);
void filter_secrets_wake(struct filter_stream *f, struct window *w);

/* numbers.c: decide the starts of a window as far as its text allows. */
void filter_numbers_scan(struct filter_stream *f, struct window *w, bool final);
/* As filter_window_reads and filter_window_back of a probe, and to wake it. */
bool filter_numbers_read(const struct filter_stream *f, const struct window *w);
void filter_numbers_begin(const struct filter_stream *f, struct window *w);
uint64_t filter_numbers_back(const struct filter_stream *f, const struct window *w);
void filter_numbers_wake(struct filter_stream *f, struct window *w);

/* follow.c: windows of later readings, which have a text only where they differ. */
/* Characters come of which differs[r] reads some otherwise than the reading before it. */
void filter_readings_part(struct filter_stream *f, const bool differs[READINGS]);
/* They have come; raw_end: of the last. */
void filter_readings_differed(struct filter_stream *f, const bool differs[READINGS],
			      uint64_t raw_end);
/* Whether a match that begins at view offset `at` belongs to the reading before: nothing that was
 * read otherwise lies within `behind` characters of it. Then the probe sleeps. */
bool filter_window_sleeps(struct window *w, uint32_t behind, uint64_t at);
/* Bytes from where a probe goes on in this window, or would if it woke now, to the end. */
uint64_t filter_window_back(const struct filter_stream *f, const struct window *w, size_t probe);
/* The index of its first byte that comes of raw offset `start` or later. */
size_t filter_window_at(const struct window *w, uint64_t start);
/* The first view offset of a window from which a match cannot see what ends at raw offset
 * `differed`: filter_window_sleeps of a later window says the same of its text. */
uint64_t filter_window_clear(const struct window *w, uint64_t differed, uint32_t behind);
/* The index of the character n before the one at index i, or 0. */
size_t filter_window_behind(const struct window *w, size_t i, uint32_t n);
/* Whether a probe reads a window at all. */
bool filter_window_reads(const struct filter_stream *f, const struct window *w, size_t probe);
/* Make bytes [at, end) of another window the text of w, at the same view offsets. */
void filter_window_copy(struct filter_stream *f, struct window *w, const struct window *from,
			size_t at, size_t end);

/* steered.c: the client chose the form of the text. */
struct steered *filter_steered_open(void);
size_t filter_steered_bound(void); /* bytes that it may hold, where one is a byte of source */
/* in_text: not a mark or a number of JSON. */
void filter_steered_put(struct filter_stream *f, const struct sign *s, bool in_text);
void filter_steered_finish(struct filter_stream *f); /* the text, or what can be read of it */
uint64_t filter_steered_hold(const struct filter_stream *f);

/* cut.c: the text ends here, and its writer did not choose so. */
int filter_windows_cut(struct filter_stream *f) MUST_USE;
void filter_feeds_cut(struct filter_stream *f);

/* emit.c */
/* head_end is set to end. Returns whether it is new, or may grow by one more tail. */
bool filter_match_add(struct filter_stream *f, const struct match *m);
/* The match of that start, head_end and rule goes on to raw offset end (0: no further); over: one
 * of its tails ends there. */
void filter_match_grow(struct filter_stream *f, const struct match *which, uint64_t end, bool over);
/* It has one more tail. */
void filter_match_share(struct filter_stream *f, const struct match *which);
/* Sets record.end when a block begins. final: nothing comes behind limit. */
void filter_emit_until(struct filter_stream *f, uint64_t limit, bool final);
void filter_findings_close(struct filter_stream *f);
void filter_record_fill(struct filter_stream *f);

#endif
