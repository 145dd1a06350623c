/* Private: what the files of the schema compiler share.
 *
 * A schema as its author wrote it (or as one of these files made it) is called a node. schema_read
 * turns a node into its read form, an object in which draft 4 to 7 and OpenAPI are spelled as
 * 2020-12, annotations are left out, and these keys hold lists, so that merging two is putting
 * lists together: pattern, format, multipleOf, propertyNames, contains (of {schema, min, max}), and
 * the keys below. In read form $ref holds the node it means. */
#ifndef GRAMMAR_SCHEMA_PARTS_H
#define GRAMMAR_SCHEMA_PARTS_H

#include "grammar/grammar.h"

#include <stdbool.h>
#include <stdint.h>

#define SCHEMA_REFS_MAX 4096   /* schemas that are referred to */
#define SCHEMA_STEPS_MAX 50000 /* schemas looked at; a branch counts in every combination */
#define SCHEMA_OUT_MAX (8u << 20)
#define SCHEMA_COMPARED_MAX 5000000u /* values of enum and const, one with another */
#define SCHEMA_NOTES_MAX 32          /* keywords that are listed as without effect */
#define SCHEMA_KEPT_MAX 200          /* patterns that single texts are held against */
#define SCHEMA_REMAINDERS 400        /* largest divisor that has rules for its remainders */
#define SCHEMA_RULES_MAX 20000u      /* of one object or array whose members are counted */

/* Keys of ours, in read forms and in nodes that are made. No keyword of an author begins
 * with U+0001: schema_read refuses that. */
#define KEY_OBJECT "\1object" /* list of {properties, patternProperties, additionalProperties} */
#define KEY_ARRAY "\1array"   /* list of {prefixItems, items} */
#define KEY_EXCLUDED "\1excluded"   /* list of values that are not allowed */
#define KEY_UNMATCHED "\1unmatched" /* list of patterns that must not be found */
#define KEY_FRACTION "\1fraction"   /* true: numbers that are not whole */
#define KEY_REFUSED "\1refused"     /* list of what has no grammar, for messages */

enum { /* bits of `type` */
       TYPE_NULL = 1,
       TYPE_BOOLEAN = 2,
       TYPE_INTEGER = 4,
       TYPE_NUMBER = 8, /* with INTEGER: any number; alone: one that is not whole */
       TYPE_STRING = 16,
       TYPE_ARRAY = 32,
       TYPE_OBJECT = 64,
       TYPE_ALL = 127
};

struct schema_places; /* schema_refs.c */
struct schema_known;  /* schema_rules.c */
struct regular;

/* One compilation. Rules go to out; a rule is written once what it uses has been. */
struct schema {
	const json_t *root;
	const char *prefix;
	struct buf *out;
	json_t *owned;  /* array: schemas made on the way */
	json_t *unused; /* borrowed array of what is without effect, or NULL */
	struct schema_places *places;
	const json_t *node; /* of the author, at work: for messages */
	const json_t *ref[SCHEMA_REFS_MAX];
	uint32_t ref_rule[SCHEMA_REFS_MAX];
	bool ref_opposite[SCHEMA_REFS_MAX]; /* the rule is of what the schema does not allow */
	uint32_t ref_mode[SCHEMA_REFS_MAX]; /* how its values are spelled */
	uint32_t refs, rules, steps, compared;
	int depth;
	struct schema_known *known; /* [known_slots]: rules by their text */
	uint32_t known_slots, known_count;
	uint32_t remainders[SCHEMA_REMAINDERS + 1]; /* of each divisor: its first rule, or 0 */
	bool wrote_char, wrote_string, wrote_number, wrote_value;
	/* Values must have one text each: below uniqueItems, so many deep. ordered: members come in
	 * the order of their names, since branches may have the same ones in another. */
	uint32_t once, ordered;
	bool wrote_once_string, wrote_once_number, wrote_once_value;
	bool opposite;     /* a language is wanted in order to take it away */
	json_t *languages; /* of strings: keywords to their expression */
	json_t *kept;      /* patterns: their place in keep */
	struct regular *keep[SCHEMA_KEPT_MAX];
	uint64_t *work; /* of the whole constraint on languages: regular.h */
	struct err *e;
};

int schema_refuse(struct schema *c, const char *what); /* ERR_UNSUPPORTED with the place */
int schema_wrong(struct schema *c, const char *what);  /* ERR_INPUT with the place */
static inline int schema_no_memory(struct schema *c)
{
	return err_set(c->e, ERR_NOMEM, "out of memory for the schema");
}

/* Keep a new reference until the end; NULL stays NULL. */
json_t *schema_own(struct schema *c, json_t *made);

/* ---- schema.c ---- */

/* Expression (one alternative list, in parentheses) of the values that the node allows. */
int schema_value(struct schema *c, const json_t *node, struct buf *body) MUST_USE;

/* ---- schema_rules.c: text of rules ---- */

uint32_t schema_rule_begin(struct schema *c); /* a number */
void schema_rule_name(const struct schema *c, uint32_t rule, struct buf *body);
void schema_rule_write(struct schema *c, uint32_t rule, const struct buf *body);
/* Write a rule of this body and put its name into out; body is freed. */
int schema_rule_of(struct schema *c, struct buf *body, struct buf *out) MUST_USE;
/* The value of the node as the name of a rule. */
int schema_rule_value(struct schema *c, const json_t *node, struct buf *out) MUST_USE;
/* A text as a grammar literal. */
void schema_literal(struct buf *body, const char *text, size_t len);
int schema_constant(struct schema *c, const json_t *value, struct buf *body) MUST_USE;
/* Names of the shared rules: char, string, integer, number, value; written when first asked for. */
int schema_shared(struct schema *c, const char *name, struct buf *body) MUST_USE;
int schema_shared_object(struct schema *c) MUST_USE;
/* Between elements and members, and behind the colon of a member: with the space that may stand
 * there, but for texts of which equal ones must be equal bytes. */
const char *schema_comma(const struct schema *c);
const char *schema_space(const struct schema *c);

/* ---- schema_refs.c: places, identifiers, references ---- */

int schema_places_open(struct schema *c) MUST_USE;
void schema_places_close(struct schema_places *p); /* NULL is fine */
/* Whether the author wrote the node, and not one of these files. */
bool schema_is_authors(const struct schema *c, const json_t *node);
/* Where the author's node stands, as a JSON pointer: appended. */
void schema_place(const struct schema *c, const json_t *node, struct buf *out);
/* The node that a reference in an author's node means. */
int schema_target(struct schema *c, const json_t *node, const char *ref,
		  const json_t **out) MUST_USE;

/* ---- schema_read.c ---- */

/* node: an object. *out is owned by c. */
int schema_read(struct schema *c, const json_t *node, const json_t **out) MUST_USE;
unsigned schema_type_bit(const char *name); /* 0: none of the seven */

/* ---- schema_not.c ---- */

/* A node of the values that the node does not allow. */
int schema_not(struct schema *c, const json_t *node, const json_t **out) MUST_USE;
/* if, then, else and dependent keywords of a read form as a list of nodes that must all hold. */
int schema_conditions(struct schema *c, const json_t *s, const json_t **out) MUST_USE;
/* A list of nodes of which no two hold at once, for those of a oneOf. s: the read form that has it,
 * for its discriminator. */
int schema_exclusive(struct schema *c, const json_t *s, const json_t **out) MUST_USE;

/* ---- schema_merge.c: of read forms ---- */

unsigned schema_types(const json_t *s); /* of `type`, or all that its keywords speak of */
/* Two that must both hold, without branches ($ref, allOf, anyOf, oneOf, not, if ...). */
int schema_merge(struct schema *c, const json_t *a, const json_t *b, json_t **out) MUST_USE;
/* A node that allows what both nodes do; NULL: no constraint. New reference. */
json_t *schema_both(const json_t *a, const json_t *b);
/* No value can be valid by both nodes; false also when that is not plain. */
bool schema_disjoint(struct schema *c, const json_t *a, const json_t *b, int depth);
/* What the layers of an object say about a member of this name: NULL, or a node. New reference. */
json_t *schema_member(const json_t *s, const char *name);

/* ---- schema_allows.c ---- */

/* 1 or 0, or negative: that cannot be decided. s: a read form; node: any. */
int schema_allows(struct schema *c, const json_t *s, const json_t *value);
int schema_node_allows(struct schema *c, const json_t *node, const json_t *value);
/* As values: 1 and 1.0 are equal. Past SCHEMA_COMPARED_MAX comparisons: false. */
bool schema_equal(struct schema *c, const json_t *a, const json_t *b);
unsigned schema_type_of(const json_t *value);
int schema_compare(const json_t *a, const json_t *b); /* numbers: less, equal, greater */

/* ---- schema_object.c, schema_array.c, schema_string.c, schema_number.c: values of one type by a
 * merged read form ---- */

int schema_object(struct schema *c, const json_t *s, struct buf *body) MUST_USE;
int schema_array(struct schema *c, const json_t *s, struct buf *body) MUST_USE;
int schema_string(struct schema *c, const json_t *s, struct buf *body) MUST_USE;
enum schema_numbers { NUMBER_ANY, NUMBER_WHOLE, NUMBER_FRACTION /* not whole */ };
int schema_number(struct schema *c, const json_t *s, enum schema_numbers kind,
		  struct buf *body) MUST_USE;
/* Whether number is a multiple, as floating point decides it. */
bool schema_is_multiple(const json_t *number, const json_t *of);
/* minLength and its like: *out unchanged when absent. ERR_INPUT unless a count. */
int schema_count(struct schema *c, const json_t *s, const char *key, uint64_t *out) MUST_USE;
/* schema_names.c: a string, with its quotes, that is none of the list's. */
int schema_other_string(struct schema *c, const json_t *names, struct buf *out) MUST_USE;
/* schema_language.c: the strings that a node, or a read form, allows, as a language. */
int schema_language(struct schema *c, const json_t *node, struct regular **out) MUST_USE;
int schema_language_read(struct schema *c, const json_t *s, struct regular **out) MUST_USE;
/* The language of an expression, kept until the end: borrowed. */
int schema_language_kept(struct schema *c, const char *regex, bool search,
			 struct regular **out) MUST_USE;
/* How many bytes its rules have. s: NULL: out of memory. */
int schema_language_bytes(struct schema *c, const json_t *s, size_t *bytes) MUST_USE;
/* A string of the language, with its quotes; r is closed. */
int schema_language_write(struct schema *c, struct regular *r, struct buf *out) MUST_USE;
bool schema_format_known(const char *name);
const char *schema_format(const char *name); /* its expression, anchored; NULL: not known */
/* Whether pattern, format and the unmatched of a read form allow the text; 1, 0 or negative. */
int schema_text_allows(struct schema *c, const json_t *s, const char *text, size_t len);
void schema_kept_free(struct schema *c); /* what these two keep */
/* Whether the pattern is found in the text; 1, 0 or negative. */
int schema_matches(struct schema *c, const char *pattern, const char *text, size_t len);

#endif
