/* From each kind of constraint to one network: rules are collected in a pattern, those of its frame
 * around them, and the pattern becomes a network. */
#include "grammar/network.h"
#include "grammar/grammar.h"
#include "grammar/regular.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>

#define TEXT_NESTING (5 * LIMIT_CONSTRAINT_NESTING) /* a schema in another is two deeper, or more */

static int json_text(json_t **out, const char *text, size_t len, struct err *e)
{
	return json_read_as(out, text, len, LIMIT_CONSTRAINT_BYTES, TEXT_NESTING, JSON_WIDE, e);
}

static int compile_grammar(struct pattern *p, const struct buf *rules, uint32_t *root,
			   struct err *e)
{
	TRY(buf_done(rules, e));
	TRY(pattern_grammar(p, rules->bytes, rules->len, PATTERN_SCHEMA, e));
	*root = pattern_rule(p, "root", 4);
	return pattern_done(p, e);
}

static int compile_schema(struct pattern *p, const char *text, size_t len, json_t *unused,
			  uint32_t *root, struct err *e)
{
	json_t *schema;
	struct buf rules = { 0 };
	TRY(json_text(&schema, text, len, e));
	int rc = schema_grammar(schema, "root", &rules, unused, &p->work, e);
	json_decref(schema);
	if (rc == 0)
		rc = compile_grammar(p, &rules, root, e);
	buf_free(&rules);
	return rc;
}

static int compile_object(struct pattern *p, uint32_t *root, struct err *e)
{
	struct buf rules = { 0 };
	int rc = schema_grammar_object("root", &rules, e);
	if (rc == 0)
		rc = compile_grammar(p, &rules, root, e);
	buf_free(&rules);
	return rc;
}

static int compile_regex(struct pattern *p, const char *text, size_t len, uint32_t *root,
			 struct err *e)
{
	uint32_t node;
	TRY(pattern_regex(p, text, len, &node, e));
	TRY(pattern_anchor(p, &node, false, e));
	if (!pattern_is_plain(p, node)) {
		struct regular *r;
		TRY(regular_tree(&r, p, node, false, e));
		int rc = regular_pattern(r, p, &node, e);
		regular_close(r);
		TRY(rc);
	}
	*root = pattern_rule_add(p, node);
	return pattern_done(p, e);
}

static int compile_lark(struct pattern *p, const char *text, size_t len, uint32_t *root,
			struct err *e)
{
	uint32_t node;
	TRY(pattern_lark(p, text, len, &node, e));
	*root = pattern_rule_add(p, node);
	return pattern_done(p, e);
}

/* One text as a sequence of characters. */
static uint32_t choice_text(struct pattern *p, const char *text, size_t len)
{
	struct pattern_list list = { 0 };
	for (size_t i = 0; i < len && p->failed == 0;) {
		uint32_t cp, from = p->ranges;
		i += (size_t)text_utf8_decode(text + i, len - i, &cp); /* json_read checked it */
		pattern_range_add(p, cp, cp);
		pattern_push(p, &list, pattern_set_close(p, from, false));
	}
	return pattern_close(p, &list, PATTERN_SEQ);
}

static int compile_choice(struct pattern *p, const char *text, size_t len, uint32_t *root,
			  struct err *e)
{
	struct pattern_list all = { 0 };
	json_t *list, *one;
	size_t i;
	int rc = 0;
	TRY(json_text(&list, text, len, e));
	if (!json_is_array(list) || json_array_size(list) == 0)
		rc = err_set(e, ERR_INPUT, "a choice is a list of strings, and not empty");
	json_array_foreach(list, i, one) {
		if (rc == 0 && !json_is_string(one))
			rc = err_set(e, ERR_INPUT, "choice %zu is not a string", i);
		if (rc == 0)
			pattern_push(p, &all,
				     choice_text(p, json_string_value(one),
						 json_string_length(one)));
	}
	json_decref(list);
	TRY(rc);
	*root = pattern_rule_add(p, pattern_close(p, &all, PATTERN_ALT));
	return pattern_done(p, e);
}

static int compile(struct pattern *p, const struct grammar_text *t, json_t *unused, uint32_t *root,
		   struct err *e)
{
	enum grammar_kind kind = t->kind;
	const char *text = t->text;
	size_t len = t->len;
	if (kind != GRAMMAR_JSON_OBJECT && len > LIMIT_CONSTRAINT_BYTES)
		return err_set(e, ERR_INPUT, "a constraint of %zu bytes; the limit is %zu", len,
			       LIMIT_CONSTRAINT_BYTES);
	switch (kind) {
	case GRAMMAR_JSON_OBJECT:
		return compile_object(p, root, e);
	case GRAMMAR_SCHEMA:
		return compile_schema(p, text, len, unused, root, e);
	case GRAMMAR_REGEX:
		return compile_regex(p, text, len, root, e);
	case GRAMMAR_CHOICE:
		return compile_choice(p, text, len, root, e);
	case GRAMMAR_RULES:
		if (pattern_is_lark(text, len))
			return compile_lark(p, text, len, root, e);
		/* fall through */
	case GRAMMAR_CALL:
		TRY(pattern_grammar(p, text, len,
				    kind == GRAMMAR_CALL ? PATTERN_FRAME : PATTERN_CLIENT, e));
		*root = pattern_rule(p, "root", 4);
		return 0;
	default:
		return err_set(e, ERR_INPUT, "constraint kind %d", (int)kind);
	}
}

/* The frame's rules around what was compiled, whose root is *root before and the frame's after. */
static int enclose(struct pattern *p, const struct grammar_text *t, uint32_t *root, struct err *e)
{
	pattern_hide(p);
	uint32_t answer = pattern_rule(p, "answer", 6);
	uint32_t call = pattern_add(p, PATTERN_CALL, *root, 0);
	TRY(pattern_done(p, e));
	p->rule[answer].root = call;
	TRY(pattern_grammar(p, t->frame, t->frame_len, PATTERN_FRAME, e));
	*root = pattern_rule(p, "root", 4);
	return pattern_done(p, e);
}

int grammar_open(struct grammar **out, const struct grammar_text *t, struct err *e)
{
	struct pattern p = { 0 };
	struct grammar *n = NULL;
	uint32_t root = 0;
	json_t *unused = json_array();
	int rc = unused ? compile(&p, t, unused, &root, e)
			: err_set(e, ERR_NOMEM, "out of memory for the constraint");
	*out = NULL;
	if (rc == 0 && t->frame)
		rc = enclose(&p, t, &root, e);
	if (rc == 0)
		rc = network_open(&n, &p, root, e);
	pattern_free(&p);
	if (rc == 0 && json_array_size(unused) > 0)
		n->unused = json_incref(unused);
	json_decref(unused);
	*out = n;
	return rc;
}

const json_t *grammar_without_effect(const struct grammar *g) { return g->unused; }

void grammar_close(struct grammar *g) { network_close(g); }

bool grammar_compares(const struct grammar *g) { return g->compares; }
