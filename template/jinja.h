/* The interpreter of chat templates: a subset of Jinja2 3.1 with every resource bounded. Private
 * to template/.
 *
 *   text -> tokens (jinja_lex.c) -> tree (jinja_parse.c, jinja_statements.c) -> bytes with origins
 *
 * Every byte of every string knows whether it comes from the template or from data.
 * Concatenation, slices and strips keep that; whatever makes new bytes from old ones makes data
 * if any old one was data. */
#ifndef TEMPLATE_JINJA_H
#define TEMPLATE_JINJA_H

#include "base/arena.h"
#include "base/json.h"

#include "base/limits.h"

#define JINJA_NODES_MAX 100000u       /* of one template */
#define JINJA_STEPS_MAX 10000000u     /* of one rendering */
#define JINJA_STRING_BYTES MIB(16)    /* one string, and the output */
#define JINJA_MEMORY_BYTES MIB(256)   /* all values of one rendering */
#define JINJA_TREE_DEPTH 200          /* a node above its deepest leaf */
#define JINJA_NESTING 100             /* brackets and blocks while parsing */
#define JINJA_EVAL_DEPTH 1500         /* nodes being evaluated, macros included */
#define JINJA_MACRO_DEPTH 64
#define JINJA_LOOP_DEPTH 16
#define JINJA_VALUE_DEPTH LIMIT_REQUEST_DEPTH /* lists in lists */
#define JINJA_RANGE_MAX 100000        /* as Jinja's sandbox */
#define JINJA_SLOTS 6                 /* parameters of one filter, method or function */

/* ---- values: jinja_value.c, jinja_text.c ---- */

enum jinja_kind {
	J_UNDEFINED, J_NONE, J_BOOL, J_INT, J_FLOAT, J_STR, J_LIST, J_TUPLE,
	J_RANGE,     /* a list that is not added to another and has no JSON form */
	J_DICT,
	J_VIEW,      /* of a dict: a list that cannot be indexed */
	J_ITER,      /* a generator: true, without length, read once */
	J_NAMESPACE, J_MACRO, J_FUNCTION, J_METHOD, J_LOOP,
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
	bool data;                        /* scalars: printed as data */
	union {
		bool boolean;
		int64_t integer;
		double number;
		const struct jinja_text *text;
		struct jinja_list *list;  /* LIST TUPLE RANGE VIEW ITER */
		struct jinja_dict *dict;  /* DICT NAMESPACE */
		struct jinja_macro *macro;
		struct jinja_loop *loop;
		const struct jinja_callable *function;
		struct jinja_method *method;
		const char *name;         /* UNDEFINED: what was looked for */
	};
};
struct jinja_list {
	struct jinja_value *at;
	size_t count, room, next;         /* next: ITER, read so far */
	const char *shown;                /* RANGE: its text, or NULL; VIEW: what is viewed */
};
struct jinja_dict {
	struct jinja_value *key, *value;
	size_t count, room;
};
struct jinja_method {
	struct jinja_value self;
	const struct jinja_callable *function;
};

struct jinja;
struct jinja_node;

/* A string or an output in the making. Free with jinja_out_free, or hand over with
 * jinja_out_take. */
struct jinja_out {
	struct buf text, origin;
};
void jinja_put(struct jinja_out *o, const void *bytes, size_t len, bool data);
void jinja_put_text(struct jinja_out *o, const struct jinja_text *t, size_t begin, size_t end);
int jinja_out_take(struct jinja *j, struct jinja_out *o, struct jinja_value *out) MUST_USE;
void jinja_out_free(struct jinja_out *o);

struct jinja_value jinja_undefined(const char *name);
struct jinja_value jinja_none(void);
struct jinja_value jinja_bool(bool b, bool data);
struct jinja_value jinja_int(int64_t i, bool data);
struct jinja_value jinja_float(double d, bool data);
/* borrowed bytes */
int jinja_str(struct jinja *j, const char *bytes, size_t len, bool data,
              struct jinja_value *out) MUST_USE;
/* The string v, marked as safe or not. */
int jinja_mark(struct jinja *j, bool markup, struct jinja_value *v) MUST_USE;
/* t as it is if it is marked, else with & < > and quotes as entities, and marked. */
int jinja_escape(struct jinja *j, const struct jinja_text *t, struct jinja_value *out) MUST_USE;
int jinja_slice(struct jinja *j, const struct jinja_text *t, size_t begin, size_t end,
                struct jinja_value *out) MUST_USE;
int jinja_concat(struct jinja *j, const struct jinja_text *a, const struct jinja_text *b,
                 struct jinja_value *out) MUST_USE;
bool jinja_text_data(const struct jinja_text *t); /* any byte of it */

int jinja_list_new(struct jinja *j, enum jinja_kind kind, struct jinja_value *out) MUST_USE;
int jinja_list_add(struct jinja *j, struct jinja_list *l, struct jinja_value v) MUST_USE;
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
/* 1 equal, 0 not. */
int jinja_equal(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
                int depth) MUST_USE;
/* *order -1, 0, 1, or 2 next to what is not a number; an error for what Python does not order. */
int jinja_order(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
                int *order, int depth) MUST_USE;
/* 1, 0 */
int jinja_contains(struct jinja *j, const struct jinja_value *in,
                   const struct jinja_value *v) MUST_USE;
/* The items of anything iterable, as a list that is not to be changed. An ITER is used up. */
int jinja_items(struct jinja *j, const struct jinja_value *v, struct jinja_list **out) MUST_USE;
int jinja_length(struct jinja *j, const struct jinja_value *v, int64_t *out) MUST_USE;

/* ---- characters of strings (code points, as Python counts): jinja_text.c ---- */

bool jinja_is_space(uint32_t cp);     /* str.isspace */
size_t jinja_characters(const struct jinja_text *t);
size_t jinja_offset(const struct jinja_text *t, size_t character); /* its byte */
/* [begin, end) without leading and trailing characters of the set (NULL: white space). */
void jinja_strip(const struct jinja_text *t, const struct jinja_text *set, bool left, bool right,
                 size_t *begin, size_t *end);
bool jinja_ends_line(const struct jinja_text *t); /* one that a newline does not join */
enum jinja_case {
	JINJA_UPPER, JINJA_LOWER, JINJA_CAPITALIZE, JINJA_TITLE, JINJA_TITLE_FILTER, JINJA_SWAP,
	JINJA_FOLD,
};
int jinja_recase(struct jinja *j, const struct jinja_text *t, enum jinja_case c,
                 struct jinja_value *out) MUST_USE;
/* What islower, isupper and istitle say, or 0. */
enum jinja_cases { JINJA_IS_LOWER = 1, JINJA_IS_UPPER = 2, JINJA_IS_TITLE = 4 };
enum jinja_cases jinja_cases(const struct jinja_text *t);
/* Where needle begins in t at or after byte from, or SIZE_MAX. */
size_t jinja_find(const struct jinja_text *t, const struct jinja_text *needle, size_t from);
/* Every occurrence, or the first most; most negative: all. */
int jinja_replace(struct jinja *j, const struct jinja_text *t, const struct jinja_text *old,
                  const struct jinja_text *new, int64_t most, struct jinja_value *out) MUST_USE;

/* ---- printing: jinja_print.c ---- */

/* str(v). Containers are printed as data when anything in them is data. */
int jinja_print(struct jinja *j, const struct jinja_value *v, struct jinja_out *o) MUST_USE;
/* repr(v) */
int jinja_repr(struct jinja *j, const struct jinja_value *v, struct jinja_out *o) MUST_USE;
int jinja_to_text(struct jinja *j, const struct jinja_value *v,
                  const struct jinja_text **out) MUST_USE;
struct jinja_json_style {
	int indent; /* -1: one line */
	bool ascii, sort_keys;
	const char *item, *key; /* separators */
};
int jinja_tojson(struct jinja *j, const struct jinja_value *v, const struct jinja_json_style *s,
                 struct jinja_value *out) MUST_USE;
int jinja_strftime(struct jinja *j, const struct jinja_text *format,
                   struct jinja_value *out) MUST_USE;

/* text % values: jinja_format.c */
int jinja_percent(struct jinja *j, const struct jinja_text *t, const struct jinja_value *values,
                  struct jinja_value *out) MUST_USE;

/* ---- tokens: jinja_lex.c ---- */

enum jinja_token_kind {
	T_END, T_DATA, T_BLOCK_BEGIN, T_BLOCK_END, T_PRINT_BEGIN, T_PRINT_END, T_NAME, T_INTEGER, T_FLOAT,
	T_STRING, T_OPERATOR,
};
enum jinja_op {
	OP_NONE, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW, OP_CONCAT, OP_LBRACKET,
	OP_RBRACKET, OP_LPAREN, OP_RPAREN, OP_LBRACE, OP_RBRACE, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,
	OP_ASSIGN, OP_DOT, OP_COLON, OP_PIPE, OP_COMMA, OP_IN, OP_NOT_IN,
};
struct jinja_token {
	unsigned char kind, op;
	int line;
	const char *bytes;  /* NAME, DATA, STRING (escapes resolved); NUL-terminated */
	size_t len;
	union { int64_t integer; double number; };
};
struct jinja_tokens { struct jinja_token *at; size_t count, room; };
int jinja_lex(struct jinja *j, const char *text, size_t len, struct jinja_tokens *out) MUST_USE;

/* ---- tree: jinja_parse.c (expressions), jinja_statements.c ---- */

enum jinja_node_kind {
	/* expressions; in brackets which members they use */
	N_CONST,   /* value */
	N_NAME,    /* name */
	N_LIST, N_TUPLE, /* list */
	N_DICT,    /* list: key, value, key, value ... */
	N_COND,    /* a if b else c; c may be NULL */
	N_OR, N_AND, N_NOT, N_NEG, N_POS, /* a, b */
	N_COMPARE, /* a, then list of N_OPERAND */
	N_OPERAND, /* op, a */
	N_BINARY,  /* op, a, b */
	N_CONCAT,  /* list */
	N_ATTRIBUTE, /* a.name */
	N_ITEM,    /* a[b] */
	N_SLICE,   /* a[b:c:d], any NULL */
	N_CALL,    /* a(list); arguments by name are N_KEYWORD */
	N_KEYWORD, /* name=a */
	N_SPREAD, N_SPREAD_NAMED, /* *a, **a: all items, all members */
	N_FILTER,  /* a|name(list); a NULL in filter blocks: the block's text */
	N_TEST,    /* a is name(list) */
	/* statements */
	N_DATA,    /* value */
	N_PRINT,   /* a */
	N_IF,      /* list of N_BRANCH */
	N_BRANCH,  /* a (NULL: else), list */
	N_FOR,     /* target a, iterable b, condition c or NULL, body list, else list2 */
	N_SET,     /* target a, value b */
	N_SET_BLOCK, /* target a, filters b or NULL, body list */
	N_MACRO,   /* name, list of N_PARAMETER, body list2 */
	N_PARAMETER, /* name, default a or NULL */
	N_CALL_BLOCK, /* call a, list of N_PARAMETER, body list2 */
	N_FILTER_BLOCK, /* filters a, body list */
	N_SCOPE,   /* with: list of N_SET, then body list2 */
	N_BREAK, N_CONTINUE,
};
enum { JINJA_VARARGS = 1, JINJA_KWARGS = 2, JINJA_CALLER = 4 };
struct jinja_node {
	unsigned char kind, op;
	unsigned short depth;
	int line;
	const char *name;
	unsigned char names; /* MACRO CALL_BLOCK: JINJA_VARARGS ... that the body uses */
	struct jinja_node *a, *b, *c, *d, *list, *list2, *next;
	struct jinja_value value;
};
struct jinja_parser {
	struct jinja *j;
	struct jinja_tokens tokens;
	size_t at;
	unsigned nodes, nesting, loops;
};
int jinja_parse(struct jinja *j, const char *text, size_t len, struct jinja_node **body) MUST_USE;
/* Shared by the two parser files. */
int jinja_parse_expression(struct jinja_parser *p, struct jinja_node **out) MUST_USE;
/* without a trailing `if` */
int jinja_parse_no_condition(struct jinja_parser *p, struct jinja_node **out) MUST_USE;
int jinja_parse_tuple(struct jinja_parser *p, bool condition, struct jinja_node **out) MUST_USE;
int jinja_parse_target(struct jinja_parser *p, bool attribute, struct jinja_node **out) MUST_USE;
int jinja_parse_filters(struct jinja_parser *p, struct jinja_node *a, bool first,
                        struct jinja_node **out) MUST_USE;
int jinja_parse_primary(struct jinja_parser *p, struct jinja_node **out) MUST_USE;
int jinja_parse_call_arguments(struct jinja_parser *p, struct jinja_node **out) MUST_USE;
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
/* members are set: find its depth */
int jinja_node_done(struct jinja_parser *p, struct jinja_node *n) MUST_USE;

/* ---- evaluation: jinja_run.c (statements), jinja_eval.c (expressions), jinja_call.c ---- */

struct jinja_variable {
	const char *name;
	struct jinja_value value;
	struct jinja_variable *next;
};
struct jinja_frame {
	struct jinja_frame *outer;
	struct jinja_variable *first;
	bool captured; /* a macro was defined here or further in: it may be needed later */
};
struct jinja_loop {
	struct jinja_list *items;
	size_t index;
};
struct jinja_macro {
	const char *name;
	const struct jinja_node *parameters, *body;
	unsigned char names;
	struct jinja_frame *frame; /* where it was defined */
};
enum jinja_flow { JINJA_ON, JINJA_BREAK, JINJA_CONTINUE };

struct jinja {
	struct arena arena;
	struct err *e;
	char *heap, *heap_origin;  /* the chunk that strings are made in */
	size_t heap_len, heap_room;
	uint64_t steps;
	unsigned depth, macros;
	int line;                  /* of the node being evaluated */
	int64_t now_us;
	struct jinja_out *out;
	struct jinja_frame *frame;
	struct jinja_variable *unused; /* of frames that are gone, to use again */
	enum jinja_flow flow;
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
#endif

int jinja_set(struct jinja *j, const char *name, struct jinja_value v) MUST_USE;
int jinja_lookup(struct jinja *j, const char *name, struct jinja_value *out) MUST_USE;
int jinja_run(struct jinja *j, const struct jinja_node *list) MUST_USE;
int jinja_run_captured(struct jinja *j, const struct jinja_node *list,
                       struct jinja_value *out) MUST_USE;
int jinja_assign(struct jinja *j, const struct jinja_node *target,
                 const struct jinja_value *v) MUST_USE;
int jinja_eval(struct jinja *j, const struct jinja_node *n, struct jinja_value *out) MUST_USE;
/* Arguments are positional (a list) and named (a dict, or NULL). */
int jinja_call_macro(struct jinja *j, const struct jinja_macro *m,
                     const struct jinja_list *positional,
                     const struct jinja_dict *named, struct jinja_value *out) MUST_USE;
int jinja_call(struct jinja *j, const struct jinja_value *f, struct jinja_list *positional,
               struct jinja_dict *named, struct jinja_value *out) MUST_USE;
/* The arguments of a call, filter or test, evaluated; *named is NULL when there are none. */
int jinja_eval_arguments(struct jinja *j, const struct jinja_node *list,
                         struct jinja_list **positional, struct jinja_dict **named) MUST_USE;
int jinja_binary(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
                 const struct jinja_value *b, struct jinja_value *out) MUST_USE;
int jinja_attribute(struct jinja *j, const struct jinja_value *v, const char *name,
                    struct jinja_value *out) MUST_USE;
int jinja_subscript(struct jinja *j, const struct jinja_value *v, const struct jinja_value *key,
                    struct jinja_value *out) MUST_USE;
/* "a.b.0" as map(attribute=) reads it; otherwise (may be NULL) stands in for what is missing. */
int jinja_path(struct jinja *j, const struct jinja_value *v, const struct jinja_text *path,
               const struct jinja_value *otherwise, struct jinja_value *out) MUST_USE;

/* Arguments of a filter, test, method or function, bound to its parameters. */
struct jinja_arguments {
	struct jinja_value in;                    /* what it works on */
	struct jinja_value *slot[JINJA_SLOTS];    /* NULL: not given */
	struct jinja_list *more;                  /* with rest: all positional arguments */
	struct jinja_dict *named;                 /* with rest: all named ones */
};
typedef int jinja_function(struct jinja *j, const struct jinja_arguments *a,
                           struct jinja_value *out);
struct jinja_callable {
	const char *name;
	jinja_function *call;                     /* NULL: refused */
	const char *parameter[JINJA_SLOTS];       /* in order */
	bool rest;                                /* takes any */
};
int jinja_apply(struct jinja *j, const struct jinja_callable *c, const struct jinja_value *in,
                struct jinja_list *positional,
                struct jinja_dict *named, struct jinja_value *out) MUST_USE;
int jinja_apply_filter(struct jinja *j, const char *name, const struct jinja_value *in,
                       struct jinja_list *positional,
                       struct jinja_dict *named, struct jinja_value *out) MUST_USE;
int jinja_apply_test(struct jinja *j, const char *name, const struct jinja_value *in,
                     struct jinja_list *positional, struct jinja_dict *named, bool *out) MUST_USE;
/* up to one without name */
extern const struct jinja_callable jinja_filters_text[], jinja_filters_list[];
extern const struct jinja_callable jinja_search_methods[];
/* or NULL */
const struct jinja_callable *jinja_method_find(const struct jinja_value *v, const char *name);
/* or NULL */
const struct jinja_callable *jinja_function_find(const char *name);

/* Arguments with a default; the wrong type is an error that names the parameter. */
/* NULL */
int jinja_arg_text(struct jinja *j, const struct jinja_arguments *a, int i,
                   const struct jinja_text **out) MUST_USE;
int jinja_arg_int(struct jinja *j, const struct jinja_arguments *a, int i, int64_t otherwise,
                  int64_t *out) MUST_USE;
bool jinja_arg_flag(const struct jinja_arguments *a, int i, bool otherwise);

#endif
