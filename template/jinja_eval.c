/* Expressions. */
#include "template/jinja.h"

#include "base/check.h"

#include <string.h>

/* ---- comparison ---- */

static int compare(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
		   const struct jinja_value *b)
{
	int order = 0, rc;
	switch (op) {
	case OP_EQ:
		return jinja_equal(j, a, b, 0);
	case OP_NE:
		rc = jinja_equal(j, a, b, 0);
		return rc < 0 ? rc : !rc;
	case OP_IN:
		return jinja_contains(j, b, a);
	case OP_NOT_IN:
		rc = jinja_contains(j, b, a);
		return rc < 0 ? rc : !rc;
	default:
		break;
	}
	TRY(jinja_order(j, a, b, &order, 0));
	if (order == 2) /* not a number */
		return 0;
	return op == OP_LT   ? order < 0
	       : op == OP_LE ? order <= 0
	       : op == OP_GT ? order > 0
			     : order >= 0;
}

static int eval_compare(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value left, right;
	int holds = 1;
	TRY(jinja_eval(j, n->a, &left));
	for (const struct jinja_node *o = n->list; o && holds; o = o->next, left = right) {
		TRY(jinja_eval(j, o->a, &right));
		holds = compare(j, (enum jinja_op)o->op, &left, &right);
		TRY(holds);
	}
	*out = jinja_bool(holds, false);
	return 0;
}

/* ---- containers ---- */

static int eval_list(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value made, v;
	TRY(jinja_list_new(j, n->kind == N_TUPLE ? J_TUPLE : J_LIST, &made));
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		TRY(jinja_eval(j, m, &v));
		TRY(jinja_list_add(j, made.list, v));
	}
	*out = made;
	return 0;
}

static int eval_dict(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value made, key, v;
	TRY(jinja_dict_new(j, J_DICT, &made));
	for (const struct jinja_node *m = n->list; m; m = m->next->next) {
		TRY(jinja_eval(j, m, &key));
		TRY(jinja_eval(j, m->next, &v));
		TRY(jinja_dict_set(j, made.dict, key, v));
	}
	*out = made;
	return 0;
}

/* a ~ b: texts; where {% autoescape %} is on, a marked one escapes the others. */
static int eval_concat(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, whole, made;
	struct jinja_list *texts;
	bool markup = false;
	const struct jinja_text *t;
	TRY(jinja_list_new(j, J_LIST, &made));
	texts = made.list;
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		TRY(jinja_eval(j, m, &v));
		TRY(jinja_to_text(j, &v, &t));
		markup = markup || t->markup;
		TRY(jinja_list_add(j, texts, (struct jinja_value){ .kind = J_STR, .text = t }));
	}
	markup = markup && j->lexical == JINJA_ESCAPED;
	TRY(jinja_literal(j, "", &whole));
	for (size_t i = 0; i < texts->count; i++) {
		if (markup)
			TRY(jinja_to_markup(j, &texts->at[i], &texts->at[i]));
		TRY(jinja_concat(j, whole.text, texts->at[i].text, &whole));
	}
	*out = whole;
	return jinja_mark(j, markup, out);
}

/* ---- calls ---- */

static int add_named(struct jinja *j, struct jinja_value key, struct jinja_value v,
		     struct jinja_dict **named)
{
	struct jinja_value names;
	if (key.kind != J_STR)
		return jinja_fail(j, "keywords must be strings");
	if (!*named) {
		TRY(jinja_dict_new(j, J_DICT, &names));
		*named = names.dict;
	}
	int twice = jinja_dict_get(j, *named, key, &names);
	TRY(twice);
	return twice ? jinja_fail(j, "an argument was given twice")
		     : jinja_dict_set(j, *named, key, v);
}

/* *v or **v */
static int spread(struct jinja *j, bool by_name, const struct jinja_value *v,
		  struct jinja_list *positional, struct jinja_dict **named)
{
	struct jinja_list *items;
	if (!by_name) {
		TRY(jinja_items(j, v, &items));
		for (size_t i = 0; i < items->count; i++)
			TRY(jinja_list_add(j, positional, items->at[i]));
		return 0;
	}
	if (v->kind == J_UNDEFINED)
		return jinja_fail_undefined(j, v);
	if (v->kind != J_DICT)
		return jinja_fail(j, "argument after ** must be a mapping, not %s",
				  jinja_type_name(v));
	for (size_t i = 0; i < v->dict->count; i++)
		TRY(add_named(j, v->dict->key[i], v->dict->value[i], named));
	return 0;
}

int jinja_eval_arguments(struct jinja *j, const struct jinja_node *list,
			 struct jinja_list **positional, struct jinja_dict **named)
{
	struct jinja_value values, v, key;
	TRY(jinja_list_new(j, J_LIST, &values));
	*positional = values.list;
	*named = NULL;
	for (const struct jinja_node *n = list; n; n = n->next) {
		bool plain =
			n->kind != N_KEYWORD && n->kind != N_SPREAD && n->kind != N_SPREAD_NAMED;
		TRY(jinja_eval(j, plain ? n : n->a, &v));
		if (plain) {
			TRY(jinja_list_add(j, *positional, v));
		} else if (n->kind != N_KEYWORD) {
			TRY(spread(j, n->kind == N_SPREAD_NAMED, &v, *positional, named));
		} else {
			TRY(jinja_literal(j, n->name, &key));
			TRY(add_named(j, key, v, named));
		}
	}
	return 0;
}

int jinja_call(struct jinja *j, const struct jinja_value *f, struct jinja_list *positional,
	       struct jinja_dict *named, struct jinja_value *out)
{
	struct jinja_value none = jinja_none(), self = *f;
	bool any = positional->count || named;
	switch (self.kind) {
	case J_MACRO:
		return jinja_call_macro(j, self.macro, positional, named, out);
	case J_FUNCTION:
		return jinja_apply(j, self.function, &none, positional, named, out);
	case J_METHOD:
		return jinja_apply(j, self.method->function, &self.method->self, positional, named,
				   out);
	case J_LOOP:
		if (!self.loop->node)
			return jinja_fail(
				j,
				"The loop must have the 'recursive' marker to be called recursively.");
		if (positional->count != 1 || named)
			return jinja_fail(j, "a loop is called with what it goes over");
		return jinja_run_recursive(j, self.loop, &positional->at[0], out);
	case J_JOINER:
		if (any)
			return jinja_fail(j, "a joiner takes no arguments");
		if (self.joiner->used)
			*out = self.joiner->separator;
		else
			TRY(jinja_literal(j, "", out));
		self.joiner->used = true;
		return 0;
	case J_BLOCK:
		return any ? jinja_fail(j, "a block takes no arguments")
			   : jinja_run_block(j, self.block, out);
	case J_UNDEFINED:
		return jinja_fail_undefined(j, &self);
	default:
		return jinja_fail(j, "'%s' object is not callable", jinja_type_name(f));
	}
}

/* Calls, filters and tests: an operand and its arguments. */
static int eval_applied(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v;
	struct jinja_list *positional;
	struct jinja_dict *named;
	TRY(jinja_eval(j, n->a, &v));
	TRY(jinja_eval_arguments(j, n->list, &positional, &named));
	j->line = n->line;
	if (n->kind == N_CALL)
		return jinja_call(j, &v, positional, named, out);
	if (!n->callable)
		return jinja_fail(j, "No %s named '%.60s' found",
				  n->kind == N_FILTER ? "filter" : "test", n->name);
	return jinja_apply(j, n->callable, &v, positional, named, out);
}

/* ---- dispatch ---- */

static int eval_choice(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v;
	TRY(jinja_eval(j, n->kind == N_COND ? n->b : n->a, &v));
	bool truth = jinja_truth(&v);
	*out = v;
	switch (n->kind) {
	case N_NOT:
		*out = jinja_bool(!truth, false);
		return 0;
	case N_AND:
		return truth ? jinja_eval(j, n->b, out) : 0;
	case N_OR:
		return truth ? 0 : jinja_eval(j, n->b, out);
	default:
		break;
	}
	if (truth || n->c)
		return jinja_eval(j, truth ? n->a : n->c, out);
	*out = jinja_undefined("an inline if without else");
	return 0;
}

static int eval_slice(struct jinja *j, const struct jinja_node *n, const struct jinja_value *v,
		      struct jinja_value *out)
{
	const struct jinja_node *part[3] = { n->b, n->c, n->d };
	struct jinja_value bounds[3];
	const struct jinja_value *given[3] = { NULL };
	for (int i = 0; i < 3; i++)
		if (part[i]) {
			TRY(jinja_eval(j, part[i], &bounds[i]));
			given[i] = &bounds[i];
		}
	return jinja_slice_value(j, v, given, out);
}

static int eval_access(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, w;
	TRY(jinja_eval(j, n->a, &v));
	if (n->kind == N_ATTRIBUTE)
		return jinja_attribute(j, &v, n->value.text, out);
	if (n->b->kind == N_SLICE)
		return eval_slice(j, n->b, &v, out);
	TRY(jinja_eval(j, n->b, &w));
	if (n->kind == N_BINARY)
		return jinja_binary(j, (enum jinja_op)n->op, &v, &w, out);
	return jinja_subscript(j, &v, &w, out);
}

static int eval_sign(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, zero = jinja_int(0, false);
	TRY(jinja_eval(j, n->a, &v));
	if (n->kind == N_NEG)
		return jinja_negate(j, &v, out);
	*out = v;
	return v.kind == J_FLOAT ? 0 : jinja_binary(j, OP_ADD, &zero, &v, out);
}

static int eval_name(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	*out = *jinja_slot(j, n->place);
	if (out->kind == J_MISSING)
		*out = jinja_undefined(n->name);
	return 0;
}

static int eval_one(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	switch (n->kind) {
	case N_CONST:
		*out = n->value;
		return 0;
	case N_NAME:
		return eval_name(j, n, out);
	case N_LIST:
	case N_TUPLE:
		return eval_list(j, n, out);
	case N_DICT:
		return eval_dict(j, n, out);
	case N_COND:
	case N_OR:
	case N_AND:
	case N_NOT:
		return eval_choice(j, n, out);
	case N_NEG:
	case N_POS:
		return eval_sign(j, n, out);
	case N_COMPARE:
		return eval_compare(j, n, out);
	case N_CONCAT:
		return eval_concat(j, n, out);
	case N_BINARY:
	case N_ATTRIBUTE:
	case N_ITEM:
		return eval_access(j, n, out);
	default:
		check(n->kind == N_CALL || n->kind == N_FILTER || n->kind == N_TEST);
		return eval_applied(j, n, out);
	}
}

int jinja_eval(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	j->line = n->line;
	if (++j->depth > JINJA_EVAL_DEPTH)
		return jinja_fail(j, "evaluation nests deeper than %d", JINJA_EVAL_DEPTH);
	TRY(jinja_charge(j, 1));
	TRY(eval_one(j, n, out));
	j->depth--;
	return 0;
}
