/* Filters: streaming detection and redaction whose result does not depend on how the text was cut.
 *
 * For every way of cutting a text into pieces, output, findings and record are equal. Bytes are
 * held back only as long as some rule may still match them, never longer than the rule's width
 * (proved when the set is built). No pre-scan, no flush: a limit or an error ends the stream as
 * blocked. */
#ifndef FILTERS_FILTERS_H
#define FILTERS_FILTERS_H

#include "base/cleared.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By strength: for each byte the strongest action wins. */
enum filter_action {
	FILTER_FLAG,
	FILTER_NOTICE,
	FILTER_REPLACE,
	FILTER_MASK,
	FILTER_REDACT,
	FILTER_QUEUE,
	FILTER_STOP,
	FILTER_BLOCK,
};
const char *filter_action_name(enum filter_action a);
int filter_action_parse(const char *name, enum filter_action *out) MUST_USE; /* ERR_INPUT */

enum filter_fold { FILTER_FOLD_NONE, FILTER_FOLD_CASE, FILTER_FOLD_STRICT };

/* When a detector wants one of its words near a value ("IBAN", "passport"). */
enum filter_context {
	FILTER_CONTEXT_WEAK,   /* where form and check alone are often met by chance */
	FILTER_CONTEXT_ALWAYS, /* for every value */
	FILTER_CONTEXT_ALONE,  /* as weak, but a value that is all of its text needs none */
};
extern const char *const filter_context_names[]; /* by enum filter_context, NULL-terminated */

/* Encodings that a rule looks through: a set of bits. A match counts if the rule allows every
 * encoding that made a character of it or, but for literals, one beside it. 0: none for literals
 * without folding, which mean their bytes, else all. */
enum filter_decode {
	FILTER_DECODE_PERCENT = 1 << 0,   /* %34 */
	FILTER_DECODE_ENTITY = 1 << 1,    /* &#52; &amp; */
	FILTER_DECODE_BACKSLASH = 1 << 2, /* \n \" \u0034 \x34, to depth 4; of Markdown: \. */
	FILTER_DECODE_MARKUP = 1 << 3,    /* <br>, inline tags, emphasis and code marks in a value */
	FILTER_DECODE_QUOTED_PRINTABLE = 1 << 4,
	FILTER_DECODE_BASE64 = 1 << 5, /* and base64url */
	FILTER_DECODE_HEX = 1 << 6,
	FILTER_DECODE_ALL = (1 << 7) - 1,
	FILTER_DECODE_NONE = 1 << 7, /* says that the set is empty; no other bit with it */
};
extern const char *const filter_decode_names[]; /* of bit i, NULL-terminated */

/* One rule; exactly one of literal, regex, detector is given. Strings are borrowed during
 * filter_set_build only. */
struct filter_rule {
	const char *id;
	enum filter_action action;
	const char *replacement;    /* for redact and replace; NULL: "[redacted]" */
	const char *const *literal; /* [literal_count] */
	size_t literal_count;
	enum filter_fold fold; /* view of the literals */
	uint32_t gap_max;      /* strict: dropped separators allowed between two kept characters */
	const char *regex;     /* PCRE2 subset with finite width, on the plain view */
	uint32_t repeat_max;   /* what *, + and {n,} mean; 0: they are refused */
	const char *detector;  /* "pan", or one version of it, "pan/1": filter_detector_known */
	enum filter_context context; /* of a detector */
	uint32_t decode;             /* enum filter_decode */
	const char *const *except;   /* [except_count]: values that are left alone */
	size_t except_count;
};

struct filter_set; /* compiled rules: immutable, shared by threads */

/* Compile; the order of rules does not matter, ids are distinct and without comma. ERR_INPUT names
 * the rule and what is wrong with it (regex position, unbounded width, empty match). */
int filter_set_build(struct filter_set **out, const struct filter_rule *rule, size_t count,
		     struct err *e) MUST_USE;
void filter_set_free(struct filter_set *s);
/* Most source bytes that a stream opened so (enum filter_how) holds at any time, over all rules. */
size_t filter_set_hold(const struct filter_set *s, unsigned how);
/* Whether some rule changes what goes out, or blocks. */
bool filter_set_withholds(const struct filter_set *s);
bool filter_set_knows(const struct filter_set *s, const char *id); /* a rule has this id */
/* A detector has a version, raised when its form, its context words or its check change what it
 * finds. "pan" is the newest one of that name, "pan/1" that one. */
bool filter_detector_known(const char *name);
/* The newest version of a name without one; 0: there is no such detector. */
unsigned filter_detector_version(const char *name);

/* A detector, for people. Strings are static; "" where its table does not say. */
struct filter_detector {
	const char *name;
	unsigned version;         /* the newest */
	const char *what;         /* "payment card number" */
	const char *check;        /* what decides besides its form */
	char context[120];        /* when it needs a word near it */
	const char *const *words; /* those words, NULL-terminated; NULL: none */
	const char *keywords;     /* the same in one text, '|' between them; NULL: none */
	const char *source;       /* where its rule is published */
	const char *example;      /* made up and valid, with its word if it needs one */
};
#define FILTER_DETECTORS_MAX 2048
/* The i-th by name, or NULL; one by its name, or NULL. */
const struct filter_detector *filter_detector_describe(size_t i);
const struct filter_detector *filter_detector_find(const char *name);
/* Whether "pan" or "pan/1" has words, which context "always" wants near every value. */
bool filter_detector_worded(const char *name);

/* Whether nothing is left of a literal by its fold: it would match nowhere, and is refused. */
bool filter_literal_empty(const char *text, enum filter_fold fold);
/* Check one regex alone: its greatest width in code points, or ERR_INPUT with the reason. */
int filter_regex_width(const char *regex, uint32_t repeat_max, uint32_t *width,
		       struct err *e) MUST_USE;

/* The version of what is ours besides detectors: views, confusables, the grammar of regexes. It
 * only grows; a policy bundle states it as the least that it needs. */
unsigned filter_tables(void);
/* What does the matching here, for the log, "NAME-VERSION" and spaces: the above, the confusables
 * behind it, and the libraries: "unicode-15.0.0 confusables-17.0.0 pcre2-10.42 tables-2". Static
 * storage. */
const char *filter_tables_version(void);

/* A decided span of the source text. rules: the ids that cover it, sorted, joined by ','. */
struct filter_finding {
	uint64_t start, end; /* raw bytes of the source */
	enum filter_action action;
	const char *rules;
	const char *detector;     /* of the strongest rule, or "" */
	uint32_t replacement_len; /* bytes emitted in its place */
};

enum filter_end { FILTER_OPEN, FILTER_COMPLETE, FILTER_BLOCKED, FILTER_LIMIT, FILTER_ABORTED };
/* As the record of a text has it: "complete", "blocked", "engine_limit", "disconnected"; "open". */
const char *filter_end_name(enum filter_end end);

/* The truthful scan record of one stream. Ranges are of the source, in bytes, half-open. After a
 * block, seen and scanned end where the blocking span ends: how much more had arrived depends on
 * the cuts, and nobody looked at it. Ill-formed bytes go out as U+FFFD, one for each maximal
 * subpart, in shadow too: output is always UTF-8. */
struct filter_record {
	uint64_t seen; /* bytes received */
	struct digest seen_digest;
	uint64_t scanned;       /* [0, scanned) passed through all views and rules */
	uint64_t released;      /* [0, released) was decided: emitted or withheld */
	uint64_t emitted_bytes; /* handed out, replacements included */
	struct digest emitted_digest;
	uint64_t ill_formed; /* bytes that became U+FFFD */
	size_t hold_bound;
	enum filter_end end;
	uint64_t end_offset;                  /* where a block began */
	const struct filter_finding *finding; /* sorted by start, disjoint */
	size_t findings;
	bool shadow; /* findings are what would have been done: every byte was emitted */
};

struct filter_stream; /* one text; not for several threads */

enum filter_how {
	FILTER_SHADOW = 1, /* record findings, change no byte */
	/* The text is one JSON value: rules see its strings unescaped, and what they leave of it is
	 * JSON again: replacements are escaped, marks between strings and numbers stay, a number
	 * that is changed becomes a string, a key that is changed gets a number behind it ("#2")
	 * from the second of its object on. What cannot be changed so is blocked: what stands
	 * deeper than 128 brackets, and behind the first 128 bytes of one number. */
	FILTER_JSON = 2,
	FILTER_KEYS_STAY = 4, /* a rule that would change a key of the JSON blocks */
	/* A reader may have had the text written in his form: numbers are read in groups with any
	 * separator, and with FILTER_SHAPED also with a last symbol that is missing or wrong
	 * (steered.c). */
	FILTER_STEERED = 8,
	FILTER_SHAPED = 16,
};
/* how: enum filter_how, or-ed. The set must outlive the stream. */
int filter_stream_open(struct filter_stream **out, const struct filter_set *s, unsigned how,
		       struct err *e) MUST_USE;
/* Take a piece; *out is what may go out now (possibly empty, borrowed until the next call). Returns
 * an enum filter_end: FILTER_OPEN, or FILTER_BLOCKED / FILTER_LIMIT after which nothing more comes
 * out. */
int filter_stream_push(struct filter_stream *f, const void *bytes, size_t len, struct cleared *out,
		       struct err *e) MUST_USE;
/* Before the end, where the writer of the text does not end it by himself (a limit, a constraint):
 * what stands there and lacks little of a match counts as one. */
void filter_stream_cut(struct filter_stream *f);
/* End of text: release what is held. FILTER_COMPLETE, FILTER_BLOCKED or FILTER_LIMIT. */
int filter_stream_end(struct filter_stream *f, struct cleared *out, struct err *e) MUST_USE;
/* The reader is gone: nothing more is released. */
void filter_stream_abort(struct filter_stream *f);
size_t filter_stream_held(const struct filter_stream *f); /* source bytes held now */
size_t filter_stream_held_max(
	const struct filter_stream *f); /* longest so far: depends on the cuts */
/* Valid until close; complete after end, block or abort. */
const struct filter_record *filter_stream_record(struct filter_stream *f);
void filter_stream_close(struct filter_stream *f);

#endif
