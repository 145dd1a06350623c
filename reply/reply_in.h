/* The parser of replies: how families write reasoning and tool calls. Private to reply/.
 *
 * The reader looks at one position of the text at a time. A position is decided only when no
 * further byte can change the decision, so that the cutting of the input never shows. Where a
 * marker opens a call, a small program (a table of steps) reads it byte by byte while its parts are
 * staged; success delivers them, failure makes the marker's first byte content and goes on reading
 * right behind it. */
#ifndef REPLY_REPLY_IN_H
#define REPLY_REPLY_IN_H

#include "reply/reply.h"

#include "base/limits.h"

#define REPLY_NAME_BYTES 256
#define REPLY_CALLS_MAX 128
#define REPLY_JSON_DEPTH 64      /* of arguments: bits of json_scan.arrays */
#define REPLY_HOLD_BYTES 4096    /* of a call kept back until it is whole */
#define REPLY_WORD_BYTES KIB(64) /* one key or undecided value; arguments before their name */
#define REPLY_HEADER_BYTES 512   /* from <|start|> or <|channel|> to <|message|> */
#define REPLY_BLANK_BYTES 256    /* white space kept back before a marker */

enum taken { TAKE_MORE, TAKE_DONE, TAKE_FAIL };

/* ---- reply_json.c: JSON one byte at a time ---- */

/* One value of RFC 8259. Zero-initialise. lenient: strings may hold raw control characters. */
struct json_scan {
	uint8_t state, depth, hex;
	bool key; /* the string at hand is a key */
	bool lenient;
	uint64_t arrays;     /* bit d: level d is an array */
	const char *literal; /* rest of true, false, null */
};
/* DONE: this byte ended an object, array, string or literal at the top. Numbers at the top have
 * no end of their own: see json_scan_whole. */
enum taken reply_json_scan_byte(struct json_scan *s, unsigned char c);
bool reply_json_scan_whole(const struct json_scan *s); /* what came so far is one value */
bool reply_json_scan_in_string(const struct json_scan *s);
bool reply_json_scan_wants_key(const struct json_scan *s);   /* a key may begin here */
bool reply_json_scan_wants_value(const struct json_scan *s); /* a value may begin here */
bool reply_json_scan_after_value(const struct json_scan *s); /* a member's value has ended */
bool reply_json_blank(unsigned char c);
/* A byte as it stands in a JSON string: its length, at most 6. */
size_t reply_json_escape(unsigned char c, char out[8]);

/* ---- parts, gathered ---- */

struct part_run {
	enum reply_part part;
	uint32_t call;
	size_t begin, len; /* in the text of struct parts */
	uint64_t place;    /* in the reply's text */
	size_t id;         /* of a name: where its id begins in ids; SIZE_MAX: it has none */
};
struct parts {
	struct buf text, ids; /* ids: each with its NUL */
	struct part_run *run;
	size_t count, room;
	bool failed;
};
void reply_parts_add(struct parts *p, enum reply_part part, uint32_t call, uint64_t place,
		     const void *s, size_t len);
void reply_parts_free(struct parts *p);
/* Give the last name, if it is still here, this id. */
void reply_parts_id(struct parts *p, const char *id, size_t len);

/* ---- reply_call.c: the programs of calls ---- */

enum step_op {
	STEP_LITERAL,   /* exactly text */
	STEP_ONE,       /* text, or that of one of the STEP_OR that follow; go to its `to` */
	STEP_OR,        /* one more way of the step before */
	STEP_BLANK,     /* any white space */
	STEP_QUOTE,     /* a quotation mark, or nothing */
	STEP_ROUTE,     /* if the next byte is the first of text, go to step `to` */
	STEP_GOTO,      /* to step `to` */
	STEP_NAME,      /* a bare name: begins a call */
	STEP_LABEL,     /* a bare word: the id of the call */
	STEP_ID,        /* functions.NAME:INDEX: begins a call */
	STEP_OBJECT,    /* {"name": ..., "arguments": {...}}: a whole call */
	STEP_KEYED,     /* {NAME: {...}}: a whole call */
	STEP_ARGUMENTS, /* a JSON object: arguments of the call */
	STEP_KWARGS,    /* (key=value, ...) as Python writes it: arguments of the call */
	STEP_BRACES,    /* {key:value, ...}, strings between two `text`: arguments of the call */
	STEP_EMPTY, /* if the next byte is the first of text, or none comes: no arguments, go on */
	STEP_OPEN,  /* members follow, and the call is whole where the text ends behind one */
	STEP_KEY,   /* text up to the literal: a member's name */
	STEP_VALUE, /* text up to the literal, or that of a STEP_OR: a value of the schema's type */
	STEP_LINES, /* as VALUE, without a line end at its begin and its end */
	STEP_STRING, /* as VALUE: a string, whatever the schema says */
	STEP_CLOSE,  /* the members are complete */
	STEP_DONE,   /* the call, or list of calls, is whole */
	STEP_END,    /* as DONE, but only at the end of the text */
};
struct call_step {
	enum step_op op;
	const char *text;
	uint8_t to; /* of VALUE, LINES, STRING and their OR: where to go on */
};

/* Types of JSON Schema, as a set; 0: not known. */
enum {
	KIND_STRING = 1,
	KIND_INTEGER = 2,
	KIND_NUMBER = 4,
	KIND_BOOLEAN = 8,
	KIND_NULL = 16,
	KIND_ARRAY = 32,
	KIND_OBJECT = 64
};

enum value_state { VALUE_BEGIN, VALUE_GATHER, VALUE_STRING, VALUE_JSON };

/* A value as Python or Gemma writes it: reply_literal.c. */
struct literal {
	uint8_t state, depth, digits, quotes;
	bool key, triple;     /* the string at hand is a key; stands between three marks */
	char quote;           /* its mark; 0: the fence */
	uint64_t dict, tuple; /* bit d: what level d is */
	uint64_t filled;      /* bit d: level d has an element */
	uint32_t code;        /* of an escape */
	size_t matched;       /* bytes of the fence */
	const char *fence;    /* of Gemma's strings; NULL: Python */
};

struct call {
	const struct call_step *program;
	struct parts *out;
	const json_t *tools, *parameters; /* parameters: the schema of the call at hand, or NULL */
	bool lone; /* nothing marks the call: only an exact one of a known tool is one */
	uint32_t first, count; /* index of the first call; calls begun */
	size_t fed;            /* bytes of the program's text so far */
	size_t delivered;      /* of these, up to the last that went into arguments */
	uint8_t at;
	uint32_t alive;           /* of a step and its OR: those that may still match */
	size_t matched;           /* bytes of a literal, or of the terminator of text */
	bool named, begun, ended; /* of the call at hand: its name, arguments begun and ended */
	bool whole;               /* it is complete, whatever follows */
	bool open;                /* its members may end anywhere between two */
	struct json_scan scan;
	struct literal literal;
	struct buf word, late; /* name, key or value being read; arguments before their name */
	struct buf id;         /* an id before its name */
	uint8_t field;         /* of an object: the member at hand */
	uint8_t base;          /* of an object: the depth of its members */
	bool reading;          /* its value */
	bool member;           /* arguments have a member already */
	uint8_t kinds;         /* of the member at hand */
	enum value_state value;
	bool bare;    /* the value at hand is no JSON */
	bool newline; /* a line end of it waits */
	bool seen;    /* it has had a byte */
};
void reply_call_begin(struct call *c, const struct call_step *program, uint8_t at,
		      struct parts *out, uint32_t first);
/* A call whose name is known: arguments follow. */
bool reply_call_name(struct call *c, const char *name, size_t len);
enum taken reply_call_byte(struct call *c, unsigned char byte);
bool reply_call_end(struct call *c); /* the text ends here of itself: is it whole? */
void reply_call_free(struct call *c);
bool reply_bare(unsigned char c); /* a byte of a name that stands without quotes */

/* For the readers of parts of a call: false where it is broken or too long. */
void reply_call_next(struct call *c);                            /* another call begins */
bool reply_call_give(struct call *c, const char *s, size_t len); /* of the arguments */
bool reply_call_text(struct call *c, const char *s, size_t len); /* inside a JSON string */
bool reply_call_word(struct call *c, const char *s, size_t len, size_t most);
/* A byte of JSON that goes into the arguments. */
enum taken reply_call_json(struct call *c, unsigned char byte);
bool reply_call_json_text(struct call *c, const char *s, size_t len); /* one whole value */

/* ---- reply_object.c: {"name": ..., "arguments": ...} ---- */

enum taken reply_object_byte(struct call *c, unsigned char byte);

/* ---- reply_member.c: members whose values are text ---- */

bool reply_member_key(struct call *c); /* the key in word is complete */
bool reply_member_byte(struct call *c, enum step_op op, unsigned char byte);
bool reply_member_end(struct call *c, enum step_op op);
bool reply_members_close(struct call *c);
/* The types that a schema allows, as far as its first 1000 parts tell; root: where its references
 * lead. */
uint8_t reply_kinds(const json_t *schema, const json_t *root);
/* Where a local reference leads, or NULL. */
const json_t *reply_referred(const json_t *root, const char *ref);
/* The schema of a tool's parameters; *known: there is such a tool. */
const json_t *reply_tool_parameters(const json_t *tools, const char *name, size_t len, bool *known);

/* ---- reply_literal.c ---- */

void reply_literal_begin(struct literal *l, const char *fence);
/* A byte of a value in brackets, which goes into the arguments as JSON. DONE: it is whole. */
enum taken reply_literal_byte(struct call *c, unsigned char byte);

/* ---- reply_syntax.c: the families ---- */

enum mark_kind {
	MARK_NONE,
	MARK_THINK,
	MARK_UNTHINK,
	MARK_SECTION,     /* before a list of calls */
	MARK_SECTION_END, /* behind calls: dropped */
	MARK_CALL,
	MARK_SHOW,     /* before the answer, where a family marks it: dropped */
	MARK_SHOW_END, /* behind it */
};
struct mark {
	const char *text;
	enum mark_kind kind;
	const struct call_step *program;
	uint8_t at;  /* its step */
	uint8_t how; /* MARK_ALONE, MARK_INSIDE, MARK_LINE */
};
enum {
	MARK_ALONE = 1,  /* opens a call only as the first thing of a reply */
	MARK_INSIDE = 2, /* only in a section, or behind another call */
	MARK_LINE = 4,   /* a whole call ends reasoning where it begins a line of it */
	MARK_KNOWN = 8   /* only for a tool of the request, where it has tools */
};
/* The markers of a family, up to one without text. */
const struct mark *reply_marks(enum reply_syntax s);
/* What follows the header of a call in harmony. */
extern const struct call_step reply_harmony_call[];

/* ---- reply.c, reply_harmony.c ---- */

enum reply_mode { REPLY_TEXT, REPLY_CALL, REPLY_GAP, REPLY_BODY };
/* What came before the white space that is held. */
enum reply_before { BEFORE_NOTHING, BEFORE_CONTENT, BEFORE_REASONING, BEFORE_CALL };

struct reply {
	enum reply_syntax syntax;
	const json_t *tools; /* borrowed; NULL: none */
	const struct mark *marks;
	enum reply_mode mode;
	bool framed;    /* as in reply_options */
	bool reasoning; /* inside it */
	bool thought;   /* it has begun, ended or can no longer begin */
	bool unclosed;  /* a call ended it: its own end may follow */
	bool spoken;    /* content was given out */
	bool section;   /* a section of calls is open and has had one */
	bool shown;     /* behind a MARK_SHOW */
	bool raw_body;  /* harmony: a message that could not be understood */
	bool ended, committed, cut;
	bool half; /* the text was cut off inside a mark */
	char last; /* the last byte that was given out */
	enum reply_before before;
	struct buf text;  /* input from the first undecided byte on */
	uint64_t base;    /* where text begins in all the input */
	size_t at, next;  /* in text: the undecided byte; the call's next byte */
	size_t body;      /* harmony: bytes of a call's header, from `at` */
	uint64_t call_at; /* in all the input: where the call begins */
	const struct mark *call_mark;
	struct buf blank;  /* white space, and a section's marker, not given out yet */
	uint64_t blank_at; /* where it begins in all the input */
	size_t blank_keep; /* where the marker begins in it; SIZE_MAX: none */
	size_t hold;
	size_t unbegun; /* most bytes that may wait for an end of reasoning that nothing began */
	size_t unbegun_seen; /* of these, already searched */
	uint32_t calls;
	struct parts out, stage;
	struct call call;
	struct reply_event *event;
	size_t event_room;
};

/* One step of reading; false: nothing more can be decided. end: no further text will come. */
bool reply_step_harmony(struct reply *r, bool end);
/* len bytes of text from s on, as text or as white space that waits. */
void reply_emit(struct reply *r, const char *s, size_t len);
void reply_emit_rest(struct reply *r); /* all that is there */
void reply_blank(struct reply *r, const char *s, size_t len);
void reply_settle_content(struct reply *r);
void reply_settle_call(struct reply *r);
/* Read a call from text[at] on with this program, whose input begins skip bytes later. */
void reply_open_call(struct reply *r, const struct mark *m, size_t skip);

#endif
