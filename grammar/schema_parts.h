/* Private: what the files of the schema compiler share. */
#ifndef GRAMMAR_SCHEMA_PARTS_H
#define GRAMMAR_SCHEMA_PARTS_H

#include "grammar/grammar.h"

#include <stdbool.h>
#include <stdint.h>

#define SCHEMA_REFS_MAX 4096   /* schemas that are referred to */
#define SCHEMA_STEPS_MAX 50000 /* schemas looked at; a branch counts in every combination */
#define SCHEMA_OUT_MAX (8u << 20)
#define SCHEMA_COMPARED_MAX 5000000u /* values of enum and const, one with another */

enum { /* bits of `type` */
       TYPE_NULL = 1,
       TYPE_BOOLEAN = 2,
       TYPE_INTEGER = 4,
       TYPE_NUMBER = 8,
       TYPE_STRING = 16,
       TYPE_ARRAY = 32,
       TYPE_OBJECT = 64,
       TYPE_ALL = 127
};

/* One compilation. Rules go to out; a rule is written once what it uses has been. */
struct schema {
	const json_t *root;
	const char *prefix;
	struct buf *out;
	json_t *owned; /* array: schemas made on the way */
	const json_t *ref[SCHEMA_REFS_MAX];
	uint32_t ref_rule[SCHEMA_REFS_MAX];
	uint32_t refs, rules, steps, compared;
	int depth;
	bool wrote_char, wrote_string, wrote_number, wrote_value;
	struct buf path; /* of the schema at work, for messages */
	struct err *e;
};

int schema_refuse(struct schema *c, const char *what); /* ERR_UNSUPPORTED with the place */
int schema_wrong(struct schema *c, const char *what);  /* ERR_INPUT with the place */
/* Keep a new reference until the end; NULL stays NULL. */
json_t *schema_own(struct schema *c, json_t *made);

/* schema.c: expression (one alternative list, in parentheses) of values that all parts allow. */
int schema_value(struct schema *c, const json_t *node, struct buf *body) MUST_USE;
uint32_t schema_rule_begin(struct schema *c); /* a number */
void schema_rule_name(const struct schema *c, uint32_t rule, struct buf *body);
void schema_rule_write(struct schema *c, uint32_t rule, const struct buf *body);
/* A text as a grammar literal. */
void schema_literal(struct buf *body, const char *text, size_t len);
int schema_constant(struct schema *c, const json_t *value, struct buf *body) MUST_USE;
/* The node that a $ref names, or NULL. */
const json_t *schema_target(struct schema *c, const char *ref);
/* Names of the shared rules; written when first asked for. */
int schema_shared(struct schema *c, const char *name, struct buf *body) MUST_USE;

/* schema_merge.c */
unsigned schema_types(const json_t *s); /* of `type`, or all that its keywords speak of */
int schema_type_check(struct schema *c, const json_t *s) MUST_USE;
int schema_merge(struct schema *c, const json_t *a, const json_t *b, json_t **out) MUST_USE;
/* 1 or 0, or negative: a keyword that is not available beside enum and const. */
int schema_allows(struct schema *c, const json_t *s, const json_t *value);
/* No value can be valid by both; false also when that is not plain. */
bool schema_disjoint(struct schema *c, const json_t *a, const json_t *b, int depth);
/* As values: 1 and 1.0 are equal. Past SCHEMA_COMPARED_MAX comparisons: false. */
bool schema_equal(struct schema *c, const json_t *a, const json_t *b);

/* schema_object.c, schema_string.c, schema_number.c: values of one type by the keywords of a merged
 * schema. */
int schema_object(struct schema *c, const json_t *s, struct buf *body) MUST_USE;
int schema_array(struct schema *c, const json_t *s, struct buf *body) MUST_USE;
int schema_string(struct schema *c, const json_t *s, struct buf *body) MUST_USE;
int schema_number(struct schema *c, const json_t *s, bool integer, struct buf *body) MUST_USE;
/* minLength and its like: *out unchanged when absent. ERR_INPUT unless a count. */
int schema_count(struct schema *c, const json_t *s, const char *key, uint64_t *out) MUST_USE;

#endif
