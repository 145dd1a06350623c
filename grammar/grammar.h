/* Grammar: what a text must match, from a JSON Schema, a regular expression, a list or a grammar to
 * a network of rules over bytes, and the automaton that runs it. */
#ifndef GRAMMAR_GRAMMAR_H
#define GRAMMAR_GRAMMAR_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a text must match, whole. JSON_OBJECT: any object (text is not read). SCHEMA: JSON Schema
 * 2020-12, the subset of docs/formats.md; others are refused by keyword. REGEX: anchored at both
 * ends. CHOICE: a JSON list of strings. RULES: GBNF-like, start symbol `root`. CALL: the same, and
 * it may name control tokens, as @"text": never for what a client wrote. */
enum grammar_kind { /* clang-format off */
	GRAMMAR_JSON_OBJECT, GRAMMAR_SCHEMA, GRAMMAR_REGEX, GRAMMAR_CHOICE,
	GRAMMAR_RULES, GRAMMAR_CALL /* clang-format on */
};

#define GRAMMAR_MARK 0xFF /* the byte before and after the text of a control token; in no UTF-8 */

/* What a text must match, and what stands around it. frame: rules of kind CALL in which a rule
 * named `answer`, not defined there, is that text (of any kind; its own rules are not seen by the
 * frame's); NULL: nothing does. */
struct grammar_text {
	enum grammar_kind kind;
	const char *text; /* [len] */
	size_t len;
	const char *frame; /* [frame_len], or NULL */
	size_t frame_len;
};

/* Compiled: a recursive transition network over bytes. Read-only. */
struct grammar;
/* ERR_INPUT with place and reason; ERR_UNSUPPORTED names the keyword or construct. */
int grammar_open(struct grammar **out, const struct grammar_text *t, struct err *e) MUST_USE;
void grammar_close(struct grammar *g); /* NULL is fine */
/* Whether texts within one answer are compared: see automaton_open_exact. */
bool grammar_compares(const struct grammar *g);
/* Of a schema: keywords and formats that are annotations, "KEYWORD at #/PLACE" each, the first of
 * them. A list, borrowed; NULL where there are none. */
const json_t *grammar_without_effect(const struct grammar *g);

/* ---- a grammar at work ---- */

/* A deterministic automaton over bytes, built lazily; configurations are numbered. Not for several
 * threads. g is borrowed. */
struct automaton;

enum { /* configurations with a meaning; AUTOMATON_FULL is none, but a call for reset */
       AUTOMATON_FULL,
       AUTOMATON_DEAD,
       AUTOMATON_LIMIT,
       AUTOMATON_START
};

int automaton_open(struct automaton **out, const struct grammar *g, struct err *e) MUST_USE;
/* Of a grammar that compares texts of an answer with each other, the plain automaton takes too
 * much: answers in which they are equal. The exact one remembers them, and takes what can become an
 * answer. It is slow, and has no rows: for what automaton_touches, and automaton_meets. */
int automaton_open_exact(struct automaton **out, const struct grammar *g, struct err *e) MUST_USE;
void automaton_close(struct automaton *a);
/* Forget all configurations: memory back, numbers invalid. Work is counted from here. */
void automaton_reset(struct automaton *a);
/* What it remembers takes so much. */
size_t automaton_bytes(const struct automaton *a);
/* As reset, and gives the memory back. ERR_NOMEM: nothing may be asked of it any more. */
int automaton_release(struct automaton *a) MUST_USE;
/* Configurations so far; ids are below it. */
uint32_t automaton_count(const struct automaton *a);

/* After one more byte. DEAD: no answer goes on so. LIMIT: only with rules deeper in each other than
 * LIMIT_CONSTRAINT_DEPTH (those are left out where others go on), or in more ways than
 * LIMIT_CONSTRAINT_ITEMS. FULL: memory or work since the
 * reset is used up. */
/* [256]: the class of each byte, and what automaton_take would say for a class, AUTOMATON_FULL
 * where it is not known yet. The row is borrowed until the next automaton_take; at is no
 * configuration with a meaning but START. */
const uint8_t *automaton_classes(const struct automaton *a);
const uint32_t *automaton_row(const struct automaton *a, uint32_t at);
uint32_t automaton_take(struct automaton *a, uint32_t at, uint8_t byte);
/* Until the next call: after so many more steps of work (UINT32_MAX: never), or once *stop (NULL:
 * never), automaton_take says FULL without being it: it is held, keeps what it knows, and goes on
 * when more is allowed. spend: count work that was done for it; false: it is held. */
void automaton_allow(struct automaton *a, uint32_t work, const atomic_bool *stop);
bool automaton_spend(struct automaton *a, uint32_t work);
bool automaton_is_held(const struct automaton *a);
bool automaton_accepts(const struct automaton *a, uint32_t at); /* it may end here */
bool automaton_goes_on(const struct automaton *a, uint32_t at); /* some byte may follow */

/* Of a plain automaton: the last byte began or ended a text that is compared, or may have. */
bool automaton_touches(const struct automaton *a, uint32_t at);
/* Of an exact one: set [256] bits: the bytes with which a text that is compared would go on as one
 * before it. All others lead to what the plain automaton says, until automaton_touches. */
void automaton_meets(struct automaton *a, uint32_t at, uint64_t set[4]);

/* ---- rules of a schema ---- */

/* Append the rules (GRAMMAR_RULES' language, one a line) of the JSON texts that are valid by the
 * schema: the start rule is named `prefix`, all others begin with `prefix-`. prefix: letters,
 * digits and '-'. Every text of the grammar is valid; not every valid text is of the grammar
 * (properties come in the order of the schema, white space is at most one space after ':' and
 * ','). ERR_UNSUPPORTED names the keyword and its place; ERR_INPUT: not a schema, or nothing can
 * satisfy it. unused: a list to which keywords without effect are added, or NULL. work: steps on
 * the languages of strings, added to; ERR_UNSUPPORTED over LIMIT_CONSTRAINT_COMPILE: schemas of one
 * constraint share it. */
int schema_grammar(const json_t *schema, const char *prefix, struct buf *rules, json_t *unused,
		   uint64_t *work, struct err *e) MUST_USE;
/* The same of the strings that are valid, as they are, without quotation marks: but for those in
 * which the regular expression `avoid` matches somewhere. */
int schema_grammar_text(const json_t *schema, const char *prefix, const char *avoid,
			struct buf *rules, json_t *unused, uint64_t *work, struct err *e) MUST_USE;
/* The same for any JSON object. */
int schema_grammar_object(const char *prefix, struct buf *rules, struct err *e) MUST_USE;

#endif
