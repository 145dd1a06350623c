/* The interpreter of chat templates: Jinja2 3.1 as transformers sets it up, with every resource
 * bounded. Private to template/.
 *
 *   text -> tokens (jinja_lex.c) -> tree (jinja_parse.c, jinja_statements.c) -> names bound to
 *   places (jinja_scope.c) -> bytes with origins (jinja_run.c, jinja_eval.c)
 *
 * Every byte of every string knows whether it comes from the template or from data.
 * Concatenation, slices and strips keep that; whatever makes new bytes from old ones makes data
 * if any old one was data. */
#ifndef TEMPLATE_JINJA_H
#define TEMPLATE_JINJA_H

#include "base/arena.h"
#include "base/json.h"

#include "base/limits.h"

#define JINJA_NODES_MAX 100000u     /* of one template */
#define JINJA_ARGUMENTS_MAX 1024u   /* of one call: each name is held against the others */
#define JINJA_STEPS_MAX 10000000u   /* of one rendering */
#define JINJA_STRING_BYTES MIB(16)  /* one string, and the output */
#define JINJA_MEMORY_BYTES MIB(256) /* all values of one rendering */
#define JINJA_TREE_DEPTH 200        /* a node above its deepest leaf */
#define JINJA_NESTING 100           /* brackets and blocks while parsing */
#define JINJA_EVAL_DEPTH 1500       /* nodes being evaluated, macros included */
#define JINJA_MACRO_DEPTH 64        /* macros, blocks and recursive loops */
#define JINJA_LOOP_DEPTH 16
#define JINJA_VALUE_DEPTH LIMIT_REQUEST_DEPTH /* lists in lists */
#define JINJA_RANGE_MAX 100000    /* as Jinja's sandbox */
#define JINJA_SLOTS 6             /* parameters of one filter, method or function */
#define JINJA_INTEGER_BITS 65536  /* of a whole number, a multiple of 32 */
#define JINJA_INTEGER_DIGITS 4300 /* that are read or printed, as in Python */

/* ---- values: jinja_value.c, jinja_text.c ---- */

enum jinja_kind {
	J_MISSING, /* a variable that nothing was set to; no expression yields one */
	J_UNDEFINED,
	J_NONE,
	J_BOOL,
	J_INT,
	J_BIG, /* a whole number beyond 64 bits */
	J_FLOAT,
	J_STR,
	J_BYTES,
	J_LIST,
	J_TUPLE,
	J_RANGE,
	J_DICT,
	J_VIEW, /* keys, values or items of a dict */
	J_ITER, /* a generator: true, without length, read once */
	J_NAMESPACE,
	J_MACRO,
	J_FUNCTION,
	J_METHOD,
	J_LOOP,
	J_CYCLER,
	J_JOINER,
	J_SELF,  /* the template's blocks */
	J_BLOCK, /* one of them */
};

struct jinja_text {
	const char *bytes;
	const char *origin; /* [len] 1 data, 0 template; NULL: all as `data` says */
	size_t len;
	bool data;
	bool markup; /* made by safe or escape: `+` escapes what it is joined with */
};

struct jinja_value {
	unsigned char kind;
	bool data; /* scalars: printed as data */
	union {
		bool boolean;
		int64_t integer;
		const struct jinja_big *big;
		double number;
		const struct jinja_text *text; /* STR BYTES */
		struct jinja_list *list;       /* LIST TUPLE */
		const struct jinja_range *range;
		struct jinja_dict *dict; /* DICT NAMESPACE */
		const struct jinja_view *view;
		struct jinja_iter *iter;
		struct jinja_macro *macro;
		struct jinja_loop *loop;
		const struct jinja_callable *function;
		struct jinja_method *method;
		struct jinja_cycler *cycler;
		struct jinja_joiner *joiner;
		const struct jinja_node *block;
		const char *name; /* UNDEFINED: what was looked for */
	};
};
struct jinja_list {
	struct jinja_value *at;
	size_t count, room;
	bool group; /* a pair that groupby made: it has names */
};
struct jinja_range {
	int64_t start, stop, step, count;
};
struct jinja_dict {
	struct jinja_value *key, *value;
	size_t count, room;
};
enum jinja_view_of { JINJA_KEYS, JINJA_VALUES, JINJA_ITEMS };
struct jinja_view {
	struct jinja_dict *dict;
	enum jinja_view_of of;
};
struct jinja_method {
	struct jinja_value self;
	const struct jinja_callable *function;
};
struct jinja_cycler {
	struct jinja_list *items;
	size_t at;
};
struct jinja_joiner {
	struct jinja_value separator;
	bool used;
};

enum jinja_op {
	OP_NONE,
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_FLOORDIV,
	OP_MOD,
	OP_POW,
	OP_CONCAT,
	OP_LBRACKET,
	OP_RBRACKET,
	OP_LPAREN,
	OP_RPAREN,
	OP_LBRACE,
	OP_RBRACE,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_ASSIGN,
	OP_DOT,
	OP_COLON,
	OP_PIPE,
	OP_COMMA,
	OP_SEMICOLON,
	OP_IN,
	OP_NOT_IN,
};

struct jinja;
struct jinja_node;
struct jinja_iter;

/* A string or an output in the making. Free with jinja_out_free, or hand over with
 * jinja_out_take. */
struct jinja_out {
	struct buf text, origin;
};
void jinja_put(struct jinja_out *o, const void *bytes, size_t len, bool data);
void jinja_put_text(struct jinja_out *o, const struct jinja_text *t, size_t begin, size_t end);
void jinja_put_times(struct jinja_out *o, const struct jinja_text *t, int64_t times);
int jinja_out_take(struct jinja *j, struct jinja_out *o, struct jinja_value *out) MUST_USE;
void jinja_out_free(struct jinja_out *o);
/* After rc: take the string, or free it and give rc back. */
int jinja_out_done(struct jinja *j, int rc, struct jinja_out *o, struct jinja_value *out) MUST_USE;

struct jinja_value jinja_undefined(const char *name);
struct jinja_value jinja_none(void);
struct jinja_value jinja_bool(bool b, bool data);
struct jinja_value jinja_int(int64_t i, bool data);
struct jinja_value jinja_float(double d, bool data);
/* borrowed bytes */
int jinja_str(struct jinja *j, const char *bytes, size_t len, bool data,
	      struct jinja_value *out) MUST_USE;
int jinja_literal(struct jinja *j, const char *text, struct jinja_value *out) MUST_USE;
/* The string v, marked as safe or not. */
int jinja_mark(struct jinja *j, bool markup, struct jinja_value *v) MUST_USE;
/* t as it is if it is marked, else with & < > and quotes as entities, and marked. */
int jinja_escape(struct jinja *j, const struct jinja_text *t, struct jinja_value *out) MUST_USE;
int jinja_slice(struct jinja *j, const struct jinja_text *t, size_t begin, size_t end,
		struct jinja_value *out) MUST_USE;
int jinja_concat(struct jinja *j, const struct jinja_text *a, const struct jinja_text *b,
		 struct jinja_value *out) MUST_USE;
/* As +: a marked one escapes the other. */
int jinja_add_texts(struct jinja *j, const struct jinja_text *a, const struct jinja_text *b,
		    struct jinja_value *out) MUST_USE;
bool jinja_text_data(const struct jinja_text *t); /* any byte of it */

int jinja_list_new(struct jinja *j, enum jinja_kind kind, struct jinja_value *out) MUST_USE;
int jinja_list_add(struct jinja *j, struct jinja_list *l, struct jinja_value v) MUST_USE;
int jinja_pair(struct jinja *j, struct jinja_value a, struct jinja_value b,
	       struct jinja_value *out) MUST_USE; /* a tuple */
int jinja_dict_new(struct jinja *j, enum jinja_kind kind, struct jinja_value *out) MUST_USE;
bool jinja_hashable(const struct jinja_value *v); /* may be a key */
int jinja_dict_set(struct jinja *j, struct jinja_dict *d, struct jinja_value key,
		   struct jinja_value v) MUST_USE;
/* 1 and *out, or 0. */
int jinja_dict_get(struct jinja *j, const struct jinja_dict *d, struct jinja_value key,
		   struct jinja_value *out) MUST_USE;
int jinja_dict_get_name(struct jinja *j, const struct jinja_dict *d, const char *key,
			struct jinja_value *out) MUST_USE;
int jinja_from_json(struct jinja *j, const json_t *v, bool data, struct jinja_value *out) MUST_USE;

const char *jinja_type_name(const struct jinja_value *v);
bool jinja_truth(const struct jinja_value *v);
bool jinja_is_string(const struct jinja_value *v, const char *text);
bool jinja_is_integer(const struct jinja_value *v); /* BOOL INT BIG */
bool jinja_is_number(const struct jinja_value *v);  /* or FLOAT */
bool jinja_has_data(const struct jinja_value *v);   /* of a scalar or text: any of it is data */
/* 1 equal, 0 not. */
int jinja_equal(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		int depth) MUST_USE;
/* *order -1, 0, 1, or 2 next to what is not a number; an error for what Python does not order. */
int jinja_order(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		int *order, int depth) MUST_USE;
/* 1, 0 */
int jinja_contains(struct jinja *j, const struct jinja_value *in,
		   const struct jinja_value *v) MUST_USE;
int jinja_length(struct jinja *j, const struct jinja_value *v, int64_t *out) MUST_USE;
/* An error that says what is undefined. */
int jinja_fail_undefined(struct jinja *j, const struct jinja_value *v);

/* ---- iterators: jinja_iter.c ---- */

/* 1 and *out, or 0 at the end. */
typedef int jinja_next_function(struct jinja *j, struct jinja_iter *it, struct jinja_value *out);
struct jinja_iter {
	jinja_next_function *next;
	struct jinja_value of;   /* what it walks */
	struct jinja_iter *from; /* what it filters */
	size_t at;
	const void *more; /* what a filter needs */
	bool done;
};
int jinja_iter_new(struct jinja *j, jinja_next_function *next, struct jinja_iter **out) MUST_USE;
/* Over anything iterable; an ITER is its own. */
int jinja_iterate(struct jinja *j, const struct jinja_value *v, struct jinja_iter **out) MUST_USE;
/* From the last item on; *out NULL for what Python's reversed() does not take. */
int jinja_iterate_back(struct jinja *j, const struct jinja_value *v,
		       struct jinja_iter **out) MUST_USE;
int jinja_next(struct jinja *j, struct jinja_iter *it, struct jinja_value *out) MUST_USE;
/* The items of anything iterable, as a list that is not to be changed. An ITER is used up. */
int jinja_items(struct jinja *j, const struct jinja_value *v, struct jinja_list **out) MUST_USE;
bool jinja_iterable(const struct jinja_value *v);
struct jinja_value jinja_range_item(const struct jinja_range *r, int64_t i);

/* ---- whole numbers of any size, and arithmetic: jinja_number.c, jinja_arithmetic.c ---- */

int jinja_binary(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
		 const struct jinja_value *b, struct jinja_value *out) MUST_USE;
int jinja_negate(struct jinja *j, const struct jinja_value *v, struct jinja_value *out) MUST_USE;
/* Of BOOL, INT and BIG as doubles; too large is an error. */
int jinja_to_double(struct jinja *j, const struct jinja_value *v, double *out) MUST_USE;
/* a / b of whole numbers. */
int jinja_divide(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		 double *out) MUST_USE;
/* Towards zero, exactly. */
int jinja_from_double(struct jinja *j, double d, bool data, struct jinja_value *out) MUST_USE;
/* Digits of the base, nothing else; at most JINJA_INTEGER_DIGITS if the base is no power of 2. */
int jinja_from_digits(struct jinja *j, const char *digits, size_t len, int base, bool negative,
		      bool data, struct jinja_value *out) MUST_USE;
/* The digits of BOOL, INT or BIG in base 2, 8, 10 or 16, with a minus sign. */
int jinja_digits(struct jinja *j, const struct jinja_value *v, int base, struct buf *out) MUST_USE;
/* -1, 0, 1 */
int jinja_order_integers(const struct jinja_value *a, const struct jinja_value *b);
/* 2 next to what is not a number; exact for any two numbers. */
int jinja_order_numbers(const struct jinja_value *a, const struct jinja_value *b);
int64_t jinja_bit_length(const struct jinja_value *v);
int64_t jinja_bit_count(const struct jinja_value *v);
/* Whole numbers: + - * // %, and ** with an exponent that is not negative. */
int jinja_integers(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
		   const struct jinja_value *b, struct jinja_value *out) MUST_USE;
/* As int(text, base) and float(text) read them: 1 and *out, 0 if that is no number. */
int jinja_read_integer(struct jinja *j, const struct jinja_text *t, int64_t base,
		       struct jinja_value *out) MUST_USE;
int jinja_read_float(struct jinja *j, const struct jinja_text *t, double *out) MUST_USE;
/* As round(d, places). */
double jinja_round(double d, int64_t places);

/* ---- characters of strings (code points, as Python counts): jinja_text.c ---- */

bool jinja_is_space(uint32_t cp); /* str.isspace */
size_t jinja_characters(const struct jinja_text *t);
size_t jinja_offset(const struct jinja_text *t, size_t character); /* its byte */
/* [begin, end) without leading and trailing characters of the set (NULL: white space). */
void jinja_strip(const struct jinja_text *t, const struct jinja_text *set, bool left, bool right,
		 size_t *begin, size_t *end);
enum jinja_case {
	JINJA_UPPER,
	JINJA_LOWER,
	JINJA_CAPITALIZE,
	JINJA_TITLE,
	JINJA_TITLE_FILTER,
	JINJA_SWAP,
	JINJA_FOLD,
};
int jinja_recase(struct jinja *j, const struct jinja_text *t, enum jinja_case c,
		 struct jinja_value *out) MUST_USE;
/* What islower, isupper and istitle say, or 0. */
enum jinja_cases { JINJA_IS_LOWER = 1, JINJA_IS_UPPER = 2, JINJA_IS_TITLE = 4 };
enum jinja_cases jinja_cases(const struct jinja_text *t);
/* Where needle begins in t at or after byte from, or SIZE_MAX. */
size_t jinja_find(const struct jinja_text *t, const struct jinja_text *needle, size_t from);
/* Every occurrence, or the first most; most negative: all. The result is not marked. */
int jinja_replace(struct jinja *j, const struct jinja_text *t, const struct jinja_text *old,
		  const struct jinja_text *new, int64_t most, struct jinja_value *out) MUST_USE;
/* The lines of t, with their ends or without: a list of strings. */
int jinja_lines(struct jinja *j, const struct jinja_text *t, bool keep,
		struct jinja_value *out) MUST_USE;
/* The words of t: a list of strings. */
int jinja_words(struct jinja *j, const struct jinja_text *t, struct jinja_value *out) MUST_USE;
/* To width characters with fill (one character; NULL: spaces); where: '<' '>' '^' for the text. */
int jinja_pad(struct jinja *j, const struct jinja_text *t, int64_t width,
	      const struct jinja_text *fill, char where, struct jinja_value *out) MUST_USE;
bool jinja_is_word(uint32_t cp); /* \w of Python's re */
bool jinja_is_identifier(const char *s, size_t len);

/* ---- printing: jinja_print.c, jinja_json.c, jinja_pprint.c ---- */

/* str(v). Containers are printed as data when anything in them is data. */
int jinja_print(struct jinja *j, const struct jinja_value *v, struct jinja_out *o) MUST_USE;
/* repr(v) */
int jinja_repr(struct jinja *j, const struct jinja_value *v, struct jinja_value *out) MUST_USE;
int jinja_ascii(struct jinja *j, const struct jinja_value *v, struct jinja_value *out) MUST_USE;
int jinja_to_text(struct jinja *j, const struct jinja_value *v,
		  const struct jinja_text **out) MUST_USE;
/* As escape(str(v)). */
int jinja_to_markup(struct jinja *j, const struct jinja_value *v, struct jinja_value *out) MUST_USE;
int jinja_pprint(struct jinja *j, const struct jinja_value *v, struct jinja_value *out) MUST_USE;
void jinja_print_float(double d, char out[64]); /* repr */
/* A way to write values (repr or JSON). */
struct jinja_json_style {
	const char *indent; /* of one level; NULL: one line */
	bool ascii, sort_keys;
	const char *item, *key; /* separators */
};
struct jinja_printer {
	struct jinja *j;
	struct buf out;
	bool data;                           /* anything printed was data */
	const struct jinja_json_style *json; /* NULL: repr */
};
int jinja_print_tree(struct jinja_printer *p, const struct jinja_value *root) MUST_USE;
int jinja_print_repr_scalar(struct jinja_printer *p, const struct jinja_value *v) MUST_USE;
int jinja_print_json_scalar(struct jinja_printer *p, const struct jinja_value *v) MUST_USE;
int jinja_tojson(struct jinja *j, const struct jinja_value *v, const struct jinja_json_style *s,
		 struct jinja_value *out) MUST_USE;
int jinja_strftime(struct jinja *j, const struct jinja_text *format,
		   struct jinja_value *out) MUST_USE;

/* text % values: jinja_percent.c; format(v, spec) and text.format(...): jinja_format.c,
 * jinja_format_text.c */
int jinja_percent(struct jinja *j, const struct jinja_text *t, const struct jinja_value *values,
		  struct jinja_value *out) MUST_USE;
int jinja_format(struct jinja *j, const struct jinja_value *v, const struct jinja_text *spec,
		 struct jinja_value *out) MUST_USE;
int jinja_format_text(struct jinja *j, const struct jinja_text *t, const struct jinja_list *more,
		      const struct jinja_value *named, struct jinja_value *out) MUST_USE;

/* ---- tokens: jinja_lex.c ---- */

enum jinja_token_kind {
	T_END,
	T_DATA,
	T_BLOCK_BEGIN,
	T_BLOCK_END,
	T_PRINT_BEGIN,
	T_PRINT_END,
	T_NAME,
	T_NUMBER,
	T_STRING,
	T_OPERATOR,
};
struct jinja_token {
	unsigned char kind, op;
	int line;
	const char *bytes; /* NAME, DATA, STRING (escapes resolved); NUL-terminated */
	size_t len;
	struct jinja_value value; /* NUMBER */
};
struct jinja_tokens {
	struct jinja_token *at;
	size_t count, room;
};
int jinja_lex(struct jinja *j, const char *text, size_t len, struct jinja_tokens *out) MUST_USE;
/* The character of that name (as \N{...} takes it), or 0. */
uint32_t jinja_named_character(const char *name, size_t len);

/* ---- tree: jinja_parse.c (expressions), jinja_statements.c ---- */

enum jinja_node_kind {
	/* expressions; in brackets which members they use */
	N_CONST, /* value */
	N_NAME,  /* symbol, place */
	N_LIST,
	N_TUPLE, /* list */
	N_DICT,  /* list: key, value, key, value ... */
	N_COND,  /* a if b else c; c may be NULL */
	N_OR,
	N_AND,
	N_NOT,
	N_NEG,
	N_POS,       /* a, b */
	N_COMPARE,   /* a, then list of N_OPERAND */
	N_OPERAND,   /* op, a */
	N_BINARY,    /* op, a, b */
	N_CONCAT,    /* list */
	N_ATTRIBUTE, /* a.name; as a target a is the namespace's N_NAME */
	N_ITEM,      /* a[b] */
	N_SLICE,     /* [b:c:d], any NULL */
	N_CALL,      /* a(list); arguments by name are N_KEYWORD */
	N_KEYWORD,   /* name=a */
	N_SPREAD,
	N_SPREAD_NAMED, /* *a, **a: all items, all members */
	N_FILTER,       /* a|name(list); a NULL in filter blocks: the block's text */
	N_TEST,         /* a is name(list) */
	/* statements */
	N_DATA,   /* value */
	N_PRINT,  /* list of expressions */
	N_IF,     /* list of N_BRANCH */
	N_BRANCH, /* a (NULL: else), list */
	N_FOR, /* target a, iterable b, condition c or NULL, body list, else list2; three scopes */
	N_SET, /* target a, value b */
	N_SET_BLOCK,    /* target a, filters b or NULL, body list */
	N_MACRO,        /* name, symbol, place, list of N_PARAMETER, body list2 */
	N_PARAMETER,    /* name, symbol, place, default a or NULL */
	N_CALL_BLOCK,   /* call a, list of N_PARAMETER, body list2 */
	N_FILTER_BLOCK, /* filters a, body list */
	N_WITH,         /* list of N_SET, then body list2 */
	N_AUTOESCAPE,   /* a, body list */
	N_GENERATION,   /* body list */
	N_BLOCK,        /* name, body list; next_block */
	N_UNAVAILABLE,  /* name of the statement; a, and list of the names that it would set */
	N_BREAK,
	N_CONTINUE,
};
enum {
	JINJA_VARARGS = 1,
	JINJA_KWARGS = 2,
	JINJA_CALLER = 4,   /* that the body of a macro uses */
	JINJA_EXPORTED = 8, /* SET SET_BLOCK MACRO: seen by blocks */
	JINJA_RECURSIVE = 16,
	JINJA_EXTENDED = 32, /* FOR: called again; uses its `loop` */
	JINJA_SCOPED = 64,
	JINJA_REQUIRED = 128, /* BLOCK */
};
/* A name of the template, and what blocks and new scopes find under it. */
struct jinja_name {
	const char *text;
	size_t len;
	struct jinja_value value;
	struct jinja_name *next;
};
struct jinja_place {
	unsigned short hops, slot; /* frames outwards; in that frame */
};
struct jinja_symbol {
	struct jinja_name *name;
	unsigned char load; /* jinja_scope.c: where its first value comes from */
	bool stored;
	struct jinja_place outer; /* seen from the frame outside */
};
struct jinja_scope {
	struct jinja_scope *outer;
	struct jinja_symbol *at;
	unsigned count, room;
	short loop, self, super, caller, varargs, kwargs; /* their slots, or -1 */
	struct jinja_frame *spare;                        /* frames that are done with */
};
struct jinja_node {
	unsigned char kind, op, flags;
	unsigned short depth;
	int line;
	const char *name;
	struct jinja_name *symbol;
	struct jinja_place place;
	const struct jinja_callable *callable; /* FILTER TEST: NULL if there is none of the name */
	struct jinja_node *a, *b, *c, *d, *list, *list2, *next;
	struct jinja_scope *scope, *scope2, *scope3; /* FOR: of the body, condition, else */
	struct jinja_value value;
};
struct jinja_parser {
	struct jinja *j;
	struct jinja_tokens tokens;
	size_t at;
	unsigned nodes, nesting, loops;
	unsigned expressions;             /* being read, one in the other */
	const struct jinja_node *unknown; /* a filter or test in them that there is not */
	bool soft;                        /* filters and tests may be unknown until they are used */
};
int jinja_parse(struct jinja *j, const char *text, size_t len, struct jinja_node **body) MUST_USE;
/* Give every name of the template its place; *root is the scope of the whole. */
int jinja_bind(struct jinja *j, struct jinja_node *body, struct jinja_scope **root) MUST_USE;
struct jinja_name *jinja_name(struct jinja *j, const char *text, size_t len); /* or NULL */

/* Shared by the two parser files. */
int jinja_parse_expression(struct jinja_parser *p, struct jinja_node **out) MUST_USE;
/* One expression, or several with commas between: `condition` allows a trailing `if`. */
int jinja_parse_tuple(struct jinja_parser *p, bool condition, struct jinja_node **out) MUST_USE;
/* Names that can be set, perhaps several, perhaps in brackets; with attribute: also a.b. */
int jinja_parse_target(struct jinja_parser *p, bool attribute, struct jinja_node **out) MUST_USE;
int jinja_parse_filters(struct jinja_parser *p, struct jinja_node *a, bool first,
			struct jinja_node **out) MUST_USE;
const struct jinja_token *jinja_now(const struct jinja_parser *p);
bool jinja_at_op(const struct jinja_parser *p, enum jinja_op op);
bool jinja_skip_op(struct jinja_parser *p, enum jinja_op op);
bool jinja_at_name(const struct jinja_parser *p, const char *name);
bool jinja_skip_name(struct jinja_parser *p, const char *name);
int jinja_expect_op(struct jinja_parser *p, enum jinja_op op, const char *what) MUST_USE;
int jinja_parse_fail(struct jinja_parser *p, const char *what);
#ifdef __clang_analyzer__ /* sees one file at a time: tell it that this never returns 0 */
#define jinja_parse_fail(p, what) ((jinja_parse_fail)(p, what), ERR_INPUT)
#endif
int jinja_node_new(struct jinja_parser *p, enum jinja_node_kind kind,
		   struct jinja_node **out) MUST_USE;
int jinja_name_node(struct jinja_parser *p, enum jinja_node_kind kind,
		    struct jinja_node **out) MUST_USE; /* of the T_NAME here, consumed */
/* members are set: find its depth */
int jinja_node_done(struct jinja_parser *p, struct jinja_node *n) MUST_USE;

/* ---- evaluation: jinja_run.c (statements), jinja_macro.c, jinja_eval.c (expressions) ---- */

struct jinja_frame {
	struct jinja_frame *outer;
	struct jinja_scope *scope;
	struct jinja_value *slot;
	struct jinja_frame *next; /* spare */
	bool captured; /* a macro or generator was made here or further in: it may be needed later */
};
/* `loop` of a for; jinja_loop.c */
struct jinja_loop {
	struct jinja_value over;
	struct jinja_iter *it;
	struct jinja_value before, current, after; /* MISSING: none */
	int64_t index0, length;                    /* -1: before the first; not known */
	int64_t depth0;
	struct jinja_list *changed;    /* what loop.changed was asked last */
	const struct jinja_node *node; /* of a recursive one */
	struct jinja_frame *frame;     /* around it */
	unsigned char lexical;
};
int jinja_loop_next(struct jinja *j, struct jinja_loop *l, struct jinja_value *out) MUST_USE;
int jinja_loop_length(struct jinja *j, struct jinja_loop *l, int64_t *out) MUST_USE;
int jinja_loop_attribute(struct jinja *j, const struct jinja_value *v, const char *name,
			 struct jinja_value *out) MUST_USE;

struct jinja_macro {
	const char *name;              /* NULL: caller */
	const struct jinja_node *node; /* MACRO CALL_BLOCK GENERATION */
	struct jinja_frame *frame;     /* where it was defined */
	unsigned char lexical;
};
enum jinja_flow { JINJA_ON, JINJA_BREAK, JINJA_CONTINUE };
/* What {% autoescape %} around the text says; VOLATILE: that depends on what runs. */
enum jinja_lexical { JINJA_PLAIN, JINJA_ESCAPED = 1, JINJA_VOLATILE = 2 };

struct jinja {
	struct arena arena;
	struct err *e;
	char *heap, *heap_origin; /* the chunk that strings are made in */
	size_t heap_len, heap_room;
	uint64_t steps;
	unsigned depth, macros;
	int line; /* of the node being evaluated */
	int64_t now_us;
	struct jinja_out *out;
	struct jinja_frame *frame;
	struct jinja_name *names[256]; /* by hash */
	struct jinja_node *blocks;     /* all, linked by `b` */
	enum jinja_flow flow;
	unsigned char lexical; /* enum jinja_lexical */
	bool autoescape;       /* what the one being run says */
};

int jinja_fail(struct jinja *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* not available in this version */
int jinja_refuse(struct jinja *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
int jinja_charge(struct jinja *j, uint64_t steps) MUST_USE;
/* NULL: use jinja_no_memory */
void *jinja_alloc(struct jinja *j, size_t count, size_t size);
int jinja_no_memory(struct jinja *j);
#ifdef __clang_analyzer__ /* these never return 0 either */
#define jinja_fail(j, ...) ((jinja_fail)(j, __VA_ARGS__), ERR_INPUT)
#define jinja_refuse(j, ...) ((jinja_refuse)(j, __VA_ARGS__), ERR_UNSUPPORTED)
#define jinja_no_memory(j) ((jinja_no_memory)(j), ERR_INPUT)
#define jinja_fail_undefined(j, v) ((jinja_fail_undefined)(j, v), ERR_INPUT)
#endif
int jinja_fail_long(struct jinja *j); /* a string longer than JINJA_STRING_BYTES */

int jinja_enter(struct jinja *j, struct jinja_scope *scope, struct jinja_frame *outer) MUST_USE;
/* Load the first values of the frame's names again: the next turn of a loop. */
void jinja_refresh(struct jinja_frame *f);
void jinja_leave(struct jinja *j, struct jinja_frame *before);
void jinja_capture(struct jinja *j); /* the frames stay */
struct jinja_value *jinja_slot(struct jinja *j, struct jinja_place place);
int jinja_assign(struct jinja *j, const struct jinja_node *target,
		 const struct jinja_value *v) MUST_USE;
int jinja_run(struct jinja *j, const struct jinja_node *list) MUST_USE;
/* What the statements print, as a string. */
int jinja_run_captured(struct jinja *j, const struct jinja_node *list,
		       struct jinja_value *out) MUST_USE;
int jinja_run_recursive(struct jinja *j, const struct jinja_loop *l, const struct jinja_value *over,
			struct jinja_value *out) MUST_USE;
int jinja_run_block(struct jinja *j, const struct jinja_node *n, struct jinja_value *out) MUST_USE;
bool jinja_escapes(const struct jinja *j); /* printing does, here */
int jinja_check_output(struct jinja *j) MUST_USE;
/* Print v, which must be a string: what a filter or call block makes is not turned into text. */
int jinja_print_block(struct jinja *j, const struct jinja_value *v) MUST_USE;
int jinja_make_macro(struct jinja *j, const struct jinja_node *n, const char *name,
		     struct jinja_value *out) MUST_USE;
int jinja_run_call_block(struct jinja *j, const struct jinja_node *n) MUST_USE;
int jinja_eval(struct jinja *j, const struct jinja_node *n, struct jinja_value *out) MUST_USE;
/* Arguments are positional (a list) and named (a dict, or NULL). */
int jinja_call_macro(struct jinja *j, const struct jinja_macro *m,
		     const struct jinja_list *positional, const struct jinja_dict *named,
		     struct jinja_value *out) MUST_USE;
int jinja_macro_attribute(struct jinja *j, const struct jinja_macro *m, const char *name,
			  struct jinja_value *out) MUST_USE;
int jinja_call(struct jinja *j, const struct jinja_value *f, struct jinja_list *positional,
	       struct jinja_dict *named, struct jinja_value *out) MUST_USE;
/* The arguments of a call, filter or test, evaluated; *named is NULL when there are none. */
int jinja_eval_arguments(struct jinja *j, const struct jinja_node *list,
			 struct jinja_list **positional, struct jinja_dict **named) MUST_USE;

/* ---- members: jinja_access.c ---- */

int jinja_attribute(struct jinja *j, const struct jinja_value *v, const struct jinja_text *name,
		    struct jinja_value *out) MUST_USE;
/* Whether Python's object has the attribute itself: 1, 0, or an error. */
int jinja_has_attribute(struct jinja *j, const struct jinja_value *v,
			const struct jinja_text *name) MUST_USE;
int jinja_subscript(struct jinja *j, const struct jinja_value *v, const struct jinja_value *key,
		    struct jinja_value *out) MUST_USE;
/* v[key] as Python does it: 1, or 0 where it raises LookupError or TypeError. */
int jinja_item(struct jinja *j, const struct jinja_value *v, const struct jinja_value *key,
	       struct jinja_value *out) MUST_USE;
/* The bounds of a slice as Python's slice.indices makes them; NULL: not given. */
int jinja_slice_bounds(struct jinja *j, const struct jinja_value *const bound[3], int64_t count,
		       int64_t out[3]) MUST_USE;
int jinja_slice_value(struct jinja *j, const struct jinja_value *v,
		      const struct jinja_value *const bound[3], struct jinja_value *out) MUST_USE;
/* "a.b.0", 0 or None as map(attribute=) reads them; otherwise (may be NULL) stands in for what is
 * missing. */
int jinja_path(struct jinja *j, const struct jinja_value *v, const struct jinja_value *path,
	       const struct jinja_value *otherwise, struct jinja_value *out) MUST_USE;

/* ---- what can be called: jinja_call.c ---- */

/* Arguments of a filter, test, method or function, bound to its parameters. */
struct jinja_arguments {
	struct jinja_value in;                 /* what it works on */
	struct jinja_value *slot[JINJA_SLOTS]; /* NULL: not given */
	struct jinja_list *more;               /* all positional arguments */
	struct jinja_dict *named;              /* all named ones, or NULL */
};
typedef int jinja_function(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out);
enum {
	JINJA_BY_NAME = 1,  /* its arguments may be given by name */
	JINJA_PROPERTY = 2, /* an attribute: called when it is looked at */
};
struct jinja_callable {
	const char *name;
	jinja_function *call; /* NULL: refused by name */
	/* Names in order with one space between, "?" behind those that may be missing; "*": any. */
	const char *parameters;
	unsigned flags;
	const char *shown; /* repr, or NULL: Python's has an address */
};
int jinja_apply(struct jinja *j, const struct jinja_callable *c, const struct jinja_value *in,
		struct jinja_list *positional, struct jinja_dict *named,
		struct jinja_value *out) MUST_USE;
/* or NULL */
const struct jinja_callable *jinja_filter_find(const char *name, size_t len);
const struct jinja_callable *jinja_test_find(const char *name, size_t len);
const struct jinja_callable *jinja_method_find(const struct jinja_value *v, const char *name,
					       size_t len);
const struct jinja_callable *jinja_table_find(const struct jinja_callable *table, const char *name,
					      size_t len);
int jinja_set_globals(struct jinja *j) MUST_USE;
jinja_function jinja_filter_wordwrap, jinja_filter_urlize;
/* up to one without name */
extern const struct jinja_callable jinja_filters_text[], jinja_filters_number[],
	jinja_filters_list[], jinja_filters_choose[], jinja_filters_markup[], jinja_tests[];
extern const struct jinja_callable jinja_functions[], jinja_class_dict[];
extern const struct jinja_callable jinja_methods_str[], jinja_methods_search[],
	jinja_methods_bytes[], jinja_methods_int[], jinja_methods_float[], jinja_methods_list[],
	jinja_methods_tuple[], jinja_methods_range[], jinja_methods_dict[], jinja_methods_view[],
	jinja_methods_cycler[], jinja_methods_joiner[], jinja_methods_markup[];

/* Arguments with a default; the wrong type is an error that names the parameter. */
/* NULL: None or not given */
int jinja_arg_text(struct jinja *j, const struct jinja_arguments *a, int i,
		   const struct jinja_text **out) MUST_USE;
/* neither None nor absent */
int jinja_arg_string(struct jinja *j, const struct jinja_arguments *a, int i,
		     const struct jinja_text **out) MUST_USE;
/* absent: otherwise; none: None too */
int jinja_arg_int(struct jinja *j, const struct jinja_arguments *a, int i, int64_t otherwise,
		  int64_t *out) MUST_USE;
int jinja_arg_index(struct jinja *j, const struct jinja_arguments *a, int i, int64_t otherwise,
		    int64_t *out) MUST_USE;
bool jinja_arg_flag(const struct jinja_arguments *a, int i, bool otherwise);

#endif
