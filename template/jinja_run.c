/* Statements, frames, and the entry point. */
#include "template/jinja.h"
#include "template/template.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors and limits ---- */

int(jinja_fail)(struct jinja *j, const char *fmt, ...)
{
	char text[400];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(j->e, ERR_INPUT, "template line %d: %s", j->line, text);
}

int(jinja_refuse)(struct jinja *j, const char *fmt, ...)
{
	char text[300];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(j->e, ERR_UNSUPPORTED, "template line %d: not available in this version: %s",
		       j->line, text);
}

int jinja_charge(struct jinja *j, uint64_t steps)
{
	j->steps += steps;
	return j->steps <= JINJA_STEPS_MAX
		       ? 0
		       : jinja_fail(j, "more than %u steps of evaluation", JINJA_STEPS_MAX);
}

void *jinja_alloc(struct jinja *j, size_t count, size_t size)
{
	return arena_array(&j->arena, count, size);
}

int(jinja_no_memory)(struct jinja *j)
{
	if (j->arena.full)
		return jinja_fail(j, "values of more than %zu bytes", JINJA_MEMORY_BYTES);
	return err_set(j->e, ERR_NOMEM, "out of memory for a template");
}

static int enter(struct jinja *j, const struct jinja_node *n)
{
	j->line = n->line;
	if (++j->depth > JINJA_EVAL_DEPTH)
		return jinja_fail(j, "evaluation nests deeper than %d", JINJA_EVAL_DEPTH);
	return jinja_charge(j, 1);
}

/* ---- frames ---- */

static struct jinja_value *slot_of(struct jinja_frame *f, struct jinja_place place)
{
	for (unsigned hops = place.hops; f && hops; hops--)
		f = f->outer;
	check(f != NULL); /* names were bound to frames that there are */
	return &f->slot[place.slot];
}

struct jinja_value *jinja_slot(struct jinja *j, struct jinja_place place)
{
	return slot_of(j->frame, place);
}

void jinja_refresh(struct jinja_frame *f)
{
	for (unsigned i = 0; i < f->scope->count; i++) {
		const struct jinja_symbol *x = &f->scope->at[i];
		static const struct jinja_value missing = { .kind = J_MISSING };
		switch (x->load) {
		case 1:
			f->slot[i] = x->name->value;
			break; /* LOAD_RESOLVE */
		case 2:
			f->slot[i] = *slot_of(f->outer, x->outer);
			break; /* LOAD_ALIAS */
		default:
			f->slot[i] = missing;
			break;
		}
	}
}

int jinja_enter(struct jinja *j, struct jinja_scope *scope, struct jinja_frame *outer)
{
	struct jinja_frame *f = scope->spare;
	if (f) {
		scope->spare = f->next;
	} else {
		f = jinja_alloc(j, 1, sizeof *f);
		if (f)
			f->slot = jinja_alloc(j, scope->count + 1, sizeof *f->slot);
		if (!f || !f->slot)
			return jinja_no_memory(j);
		f->scope = scope;
	}
	f->outer = outer;
	TRY(jinja_charge(j, scope->count / 8));
	jinja_refresh(f);
	j->frame = f;
	return 0;
}

void jinja_leave(struct jinja *j, struct jinja_frame *before)
{
	struct jinja_frame *f = j->frame;
	if (!f->captured) {
		f->next = f->scope->spare;
		f->scope->spare = f;
	}
	j->frame = before;
}

void jinja_capture(struct jinja *j)
{
	for (struct jinja_frame *f = j->frame; f && !f->captured; f = f->outer)
		f->captured = true;
}

/* ---- assignment ---- */

static int set_attribute(struct jinja *j, const struct jinja_node *target,
			 const struct jinja_value *v)
{
	const struct jinja_value *of = jinja_slot(j, target->a->place);
	struct jinja_value key;
	if (of->kind != J_NAMESPACE)
		return jinja_fail(j, "cannot assign attribute on non-namespace object");
	TRY(jinja_str(j, target->name, strlen(target->name), false, &key));
	return jinja_dict_set(j, of->dict, key, *v);
}

int jinja_assign(struct jinja *j, const struct jinja_node *target, const struct jinja_value *v)
{
	struct jinja_list *items;
	size_t i = 0;
	if (target->kind == N_NAME) {
		*jinja_slot(j, target->place) = *v;
		return 0;
	}
	if (target->kind == N_ATTRIBUTE)
		return set_attribute(j, target, v);
	TRY(jinja_items(j, v, &items));
	TRY(jinja_charge(j, 1));
	for (const struct jinja_node *n = target->list; n; n = n->next, i++)
		if (i >= items->count)
			return jinja_fail(j, "not enough values to unpack (got %zu)", items->count);
	if (i != items->count)
		return jinja_fail(j, "too many values to unpack (expected %zu)", i);
	i = 0;
	for (const struct jinja_node *n = target->list; n; n = n->next)
		TRY(jinja_assign(j, n, &items->at[i++]));
	return 0;
}

/* What the top level sets is seen by blocks. */
static void export_target(struct jinja *j, const struct jinja_node *target)
{
	if (target->kind == N_NAME)
		target->symbol->value = *jinja_slot(j, target->place);
	for (const struct jinja_node *n = target->kind == N_TUPLE ? target->list : NULL; n;
	     n = n->next)
		export_target(j, n);
}

static int assign_statement(struct jinja *j, const struct jinja_node *n,
			    const struct jinja_value *v)
{
	TRY(jinja_assign(j, n->a, v));
	if (n->flags & JINJA_EXPORTED)
		export_target(j, n->a);
	return 0;
}

/* ---- output ---- */

bool jinja_escapes(const struct jinja *j)
{
	return j->lexical & JINJA_VOLATILE ? j->autoescape : j->lexical & JINJA_ESCAPED;
}

int jinja_check_output(struct jinja *j)
{
	if (j->out->text.failed || j->out->origin.failed)
		return jinja_no_memory(j);
	if (j->out->text.len > JINJA_STRING_BYTES)
		return jinja_fail(j, "the output is longer than %zu bytes", JINJA_STRING_BYTES);
	return 0;
}

/* Whether Jinja's compiler knows the expression's value; applied: with filters and tests in it. */
static bool is_constant(const struct jinja_node *n, bool applied)
{
	const struct jinja_node *one[] = { n->a, n->b, n->c, n->d };
	if (n->kind == N_NAME || n->kind == N_CALL || n->kind == N_SPREAD ||
	    n->kind == N_SPREAD_NAMED || (!applied && (n->kind == N_FILTER || n->kind == N_TEST)))
		return false;
	for (int i = 0; i < 4; i++)
		if (one[i] && !is_constant(one[i], applied))
			return false;
	for (const struct jinja_node *m = n->list; m; m = m->next)
		if (!is_constant(m, applied))
			return false;
	return true;
}

/* A constant is made text when the template is compiled: a volatile setting is not known then. */
static int run_print(struct jinja *j, const struct jinja_node *n)
{
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		struct jinja_value v;
		TRY(jinja_eval(j, m, &v));
		bool early = j->lexical & JINJA_VOLATILE && is_constant(m, false);
		if (early ? j->lexical & JINJA_ESCAPED : jinja_escapes(j))
			TRY(jinja_to_markup(j, &v, &v));
		TRY(jinja_print(j, &v, j->out));
	}
	return jinja_check_output(j);
}

static int run_data(struct jinja *j, const struct jinja_node *n)
{
	jinja_put_text(j->out, n->value.text, 0, n->value.text->len);
	return jinja_check_output(j);
}

int jinja_print_block(struct jinja *j, const struct jinja_value *v)
{
	if (v->kind != J_STR)
		return jinja_fail(j, "a block made a value of type '%s', not a string",
				  jinja_type_name(v));
	TRY(jinja_print(j, v, j->out));
	return jinja_check_output(j);
}

int jinja_run_captured(struct jinja *j, const struct jinja_node *list, struct jinja_value *out)
{
	struct jinja_out made = { 0 }, *before = j->out;
	j->out = &made;
	int rc = jinja_run(j, list);
	j->out = before;
	return jinja_out_done(j, rc, &made, out);
}

/* ---- loops ---- */

static int run_if(struct jinja *j, const struct jinja_node *n)
{
	for (const struct jinja_node *b = n->list; b; b = b->next) {
		struct jinja_value v;
		if (b->a)
			TRY(jinja_eval(j, b->a, &v));
		if (!b->a || jinja_truth(&v))
			return jinja_run(j, b->list);
	}
	return 0;
}

/* The next item for which the loop's own condition holds. */
struct condition {
	const struct jinja_node *node;
	struct jinja_frame *frame; /* of the condition */
	unsigned char lexical;
};

static int next_that_holds(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	const struct condition *c = it->more;
	struct jinja_frame *before = j->frame;
	unsigned char lexical = j->lexical;
	struct jinja_value v;
	for (bool holds = false; !holds; holds = jinja_truth(&v)) {
		int more = jinja_next(j, it->from, out);
		if (more != 1)
			return more;
		j->frame = c->frame;
		j->lexical = c->lexical;
		TRY(jinja_assign(j, c->node->a, out));
		TRY(jinja_eval(j, c->node->c, &v));
		j->frame = before;
		j->lexical = lexical;
	}
	return 1;
}

static int add_condition(struct jinja *j, const struct jinja_node *n, struct jinja_iter **it)
{
	struct jinja_frame *outer = j->frame;
	struct jinja_iter *from = *it;
	struct condition *c = jinja_alloc(j, 1, sizeof *c);
	if (!c)
		return jinja_no_memory(j);
	TRY(jinja_enter(j, n->scope2, outer));
	*c = (struct condition){ n, j->frame, j->lexical };
	j->frame = outer; /* the frame is not given back: it lives as long as the iterator */
	TRY(jinja_iter_new(j, next_that_holds, it));
	(*it)->from = from;
	(*it)->more = c;
	return 0;
}

/* *whole: some turn came to its end; one that was left by continue or break does not count. */
static int run_turns(struct jinja *j, const struct jinja_node *n, struct jinja_loop *loop,
		     struct jinja_iter *it, bool *whole)
{
	struct jinja_frame *frame = j->frame;
	struct jinja_value item;
	bool fresh = true;
	*whole = false;
	for (;;) {
		int more = loop ? jinja_loop_next(j, loop, &item) : jinja_next(j, it, &item);
		TRY(more);
		if (!more)
			return 0;
		if (!fresh)
			jinja_refresh(frame);
		fresh = false;
		TRY(jinja_charge(j, 1 + frame->scope->count / 8));
		if (loop)
			frame->slot[n->scope->loop] =
				(struct jinja_value){ .kind = J_LOOP, .loop = loop };
		TRY(jinja_assign(j, n->a, &item));
		TRY(jinja_run(j, n->list));
		enum jinja_flow flow = j->flow;
		j->flow = JINJA_ON;
		*whole = *whole || flow == JINJA_ON;
		if (flow == JINJA_BREAK)
			return 0;
	}
}

/* The body for each item of v, in a frame inside j->frame. */
static int run_loop(struct jinja *j, const struct jinja_node *n, const struct jinja_value *v,
		    int64_t depth0)
{
	struct jinja_frame *outer = j->frame;
	struct jinja_loop *loop = NULL;
	struct jinja_iter *it;
	bool whole;
	TRY(jinja_iterate(j, v, &it));
	if (n->c)
		TRY(add_condition(j, n, &it));
	if (n->flags & JINJA_EXTENDED) {
		loop = jinja_alloc(j, 1, sizeof *loop);
		if (!loop)
			return jinja_no_memory(j);
		*loop = (struct jinja_loop){ .over = *v,
					     .it = it,
					     .index0 = -1,
					     .length = -1,
					     .depth0 = depth0,
					     .frame = outer,
					     .lexical = j->lexical,
					     .node = n->flags & JINJA_RECURSIVE ? n : NULL };
		if (n->c)
			loop->over = (struct jinja_value){ .kind = J_ITER, .iter = it };
	}
	TRY(jinja_enter(j, n->scope, outer));
	TRY(run_turns(j, n, loop, it, &whole));
	jinja_leave(j, outer);
	if (whole || !n->list2)
		return 0;
	TRY(jinja_enter(j, n->scope3, outer));
	TRY(jinja_run(j, n->list2));
	jinja_leave(j, outer);
	return 0;
}

/* loop(items): the body again, for other items, as a string. */
int jinja_run_recursive(struct jinja *j, const struct jinja_loop *l, const struct jinja_value *over,
			struct jinja_value *out)
{
	struct jinja_frame *before = j->frame;
	struct jinja_out made = { 0 }, *out_before = j->out;
	unsigned char lexical = j->lexical;
	if (++j->macros > JINJA_MACRO_DEPTH)
		return jinja_fail(j, "loops recur deeper than %d", JINJA_MACRO_DEPTH);
	j->frame = l->frame;
	j->lexical = l->lexical;
	j->out = &made;
	int rc = run_loop(j, l->node, over, l->depth0 + 1);
	bool marked = jinja_escapes(j);
	j->out = out_before;
	j->frame = before;
	j->lexical = lexical;
	j->macros--;
	TRY(jinja_out_done(j, rc, &made, out));
	return jinja_mark(j, marked, out);
}

static int run_for(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value over;
	TRY(jinja_eval(j, n->b, &over));
	return run_loop(j, n, &over, 0);
}

/* ---- bodies ---- */

/* Filters of a block: the innermost N_FILTER has no operand, and gets the block's text. */
static int apply_filters(struct jinja *j, const struct jinja_node *n, struct jinja_value *v)
{
	const struct jinja_node *chain[JINJA_TREE_DEPTH];
	size_t count = 0;
	for (; n; n = n->a) {
		check(count < JINJA_TREE_DEPTH);
		chain[count++] = n;
	}
	while (count) {
		struct jinja_list *positional;
		struct jinja_dict *named;
		const struct jinja_node *f = chain[--count];
		if (!f->callable)
			return jinja_fail(j, "No filter named '%.60s'", f->name);
		TRY(jinja_eval_arguments(j, f->list, &positional, &named));
		TRY(jinja_apply(j, f->callable, v, positional, named, v));
	}
	return 0;
}

/* A set or filter block's text, filtered; false if a break or continue left it. */
static int run_filtered(struct jinja *j, const struct jinja_node *n,
			const struct jinja_node *filters, bool filter_block, struct jinja_value *v)
{
	struct jinja_frame *outer = j->frame;
	TRY(jinja_enter(j, n->scope, outer));
	TRY(jinja_run_captured(j, n->list, v));
	if (j->flow == JINJA_ON) {
		if (filter_block || filters)
			TRY(jinja_mark(j, jinja_escapes(j), v));
		TRY(apply_filters(j, filters, v));
	}
	jinja_leave(j, outer);
	return j->flow == JINJA_ON;
}

static int run_set(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	TRY(jinja_eval(j, n->b, &v));
	return assign_statement(j, n, &v);
}

static int run_set_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	const struct jinja_text *t;
	int done = run_filtered(j, n, n->b, false, &v);
	if (done != 1)
		return done;
	if (j->autoescape) {
		TRY(jinja_to_text(j, &v, &t));
		v = (struct jinja_value){ .kind = J_STR, .text = t };
		TRY(jinja_mark(j, true, &v));
	}
	return assign_statement(j, n, &v);
}

static int run_filter_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	int done = run_filtered(j, n, n->a, true, &v);
	return done == 1 ? jinja_print_block(j, &v) : done;
}

static int run_macro(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value m;
	TRY(jinja_make_macro(j, n, n->name, &m));
	*jinja_slot(j, n->place) = m;
	if (n->flags & JINJA_EXPORTED)
		n->symbol->value = m;
	return 0;
}

/* with: the values are those outside, the names are seen inside. */
static int run_with(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_frame *outer = j->frame, *inner;
	struct jinja_value v;
	TRY(jinja_enter(j, n->scope, outer));
	inner = j->frame;
	for (const struct jinja_node *s = n->list; s; s = s->next) {
		j->frame = outer;
		TRY(jinja_eval(j, s->b, &v));
		j->frame = inner;
		TRY(jinja_assign(j, s->a, &v));
	}
	TRY(jinja_run(j, n->list2));
	jinja_leave(j, outer);
	return 0;
}

static int run_autoescape(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_frame *outer = j->frame;
	unsigned char lexical = j->lexical;
	bool before = j->autoescape;
	struct jinja_value v;
	TRY(jinja_enter(j, n->scope, outer));
	TRY(jinja_eval(j, n->a, &v));
	j->autoescape = jinja_truth(&v);
	j->lexical = (unsigned char)(!is_constant(n->a, true)
					     ? lexical | JINJA_VOLATILE
					     : (lexical & JINJA_VOLATILE) |
						       (j->autoescape ? JINJA_ESCAPED : 0));
	TRY(jinja_run(j, n->list));
	j->autoescape = before;
	j->lexical = lexical;
	jinja_leave(j, outer);
	return 0;
}

static int run_generation(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value caller, v;
	struct jinja_list none = { 0 };
	TRY(jinja_make_macro(j, n, NULL, &caller));
	TRY(jinja_call_macro(j, caller.macro, &none, NULL, &v));
	return jinja_print_block(j, &v);
}

int jinja_run_block(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_frame *before = j->frame;
	unsigned char lexical = j->lexical;
	if (++j->macros > JINJA_MACRO_DEPTH)
		return jinja_fail(j, "blocks call each other deeper than %d", JINJA_MACRO_DEPTH);
	j->lexical = JINJA_PLAIN;
	TRY(jinja_enter(j, n->scope, NULL));
	if (n->scope->self >= 0)
		j->frame->slot[n->scope->self] = (struct jinja_value){ .kind = J_SELF };
	if (n->scope->super >= 0)
		j->frame->slot[n->scope->super] = jinja_undefined("super");
	TRY(jinja_run_captured(j, n->list, out));
	jinja_leave(j, before);
	j->lexical = lexical;
	j->macros--;
	return jinja_mark(j, j->autoescape, out);
}

/* Whether a scoped block sees symbol i of f, a frame around it: it is set, and not further in. */
static bool is_lent(const struct jinja *j, const struct jinja_frame *f, unsigned i)
{
	const struct jinja_symbol *x = &f->scope->at[i];
	for (const struct jinja_frame *g = j->frame; g != f; g = g->outer)
		for (unsigned k = 0; k < g->scope->count; k++)
			if (g->scope->at[k].name == x->name && g->scope->at[k].stored)
				return false;
	return x->stored && f->slot[i].kind != J_MISSING;
}

/* What the frames around have set is seen by a scoped block as if the top level had. */
static int run_scoped_block(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_list before = { 0 };
	size_t at = 0;
	for (struct jinja_frame *f = j->frame; f; f = f->outer)
		for (unsigned i = 0; i < f->scope->count; i++) {
			TRY(jinja_charge(j, 1));
			if (!is_lent(j, f, i))
				continue;
			TRY(jinja_list_add(j, &before, f->scope->at[i].name->value));
			f->scope->at[i].name->value = f->slot[i];
		}
	TRY(jinja_run_block(j, n, out));
	for (struct jinja_frame *f = j->frame; f; f = f->outer)
		for (unsigned i = 0; i < f->scope->count; i++)
			if (is_lent(j, f, i)) {
				check(at < before.count);
				f->scope->at[i].name->value = before.at[at++];
			}
	return 0;
}

static int run_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	if (n->flags & JINJA_REQUIRED)
		return jinja_fail(j, "Required block '%.40s' not found", n->name);
	TRY(n->flags & JINJA_SCOPED ? run_scoped_block(j, n, &v) : jinja_run_block(j, n, &v));
	return jinja_print_block(j, &v);
}

static int run_one(struct jinja *j, const struct jinja_node *n)
{
	switch (n->kind) {
	case N_DATA:
		return run_data(j, n);
	case N_PRINT:
		return run_print(j, n);
	case N_IF:
		return run_if(j, n);
	case N_FOR:
		return run_for(j, n);
	case N_SET:
		return run_set(j, n);
	case N_SET_BLOCK:
		return run_set_block(j, n);
	case N_MACRO:
		return run_macro(j, n);
	case N_CALL_BLOCK:
		return jinja_run_call_block(j, n);
	case N_FILTER_BLOCK:
		return run_filter_block(j, n);
	case N_WITH:
		return run_with(j, n);
	case N_AUTOESCAPE:
		return run_autoescape(j, n);
	case N_GENERATION:
		return run_generation(j, n);
	case N_BLOCK:
		return run_block(j, n);
	case N_UNAVAILABLE:
		return jinja_refuse(j, "%.20s: there are no other templates", n->name);
	case N_BREAK:
		j->flow = JINJA_BREAK;
		return 0;
	default:
		check(n->kind == N_CONTINUE);
		j->flow = JINJA_CONTINUE;
		return 0;
	}
}

int jinja_run(struct jinja *j, const struct jinja_node *list)
{
	for (const struct jinja_node *n = list; n && j->flow == JINJA_ON; n = n->next) {
		TRY(enter(j, n));
		TRY(run_one(j, n));
		j->depth--;
	}
	return 0;
}

/* ---- entry ---- */

/* Top-level variables: strings named *_token are the model's own and count as template text, all
 * else is data. */
static int set_variables(struct jinja *j, const json_t *vars)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)vars, key, v) {
		size_t n = strlen(key);
		bool token = json_is_string(v) && n > 6 && strcmp(key + n - 6, "_token") == 0;
		struct jinja_name *name = jinja_name(j, key, n);
		if (!name)
			return jinja_no_memory(j);
		TRY(jinja_from_json(j, v, !token, &name->value));
	}
	return 0;
}

static int render(struct jinja *j, const char *text, size_t len, const json_t *vars)
{
	struct jinja_node *body;
	struct jinja_scope *root;
	TRY(jinja_parse(j, text, len, &body));
	TRY(jinja_bind(j, body, &root));
	TRY(jinja_set_globals(j));
	TRY(set_variables(j, vars));
	TRY(jinja_enter(j, root, NULL));
	if (root->self >= 0)
		j->frame->slot[root->self] = (struct jinja_value){ .kind = J_SELF };
	return jinja_run(j, body);
}

int template_render(const char *text, size_t len, const json_t *vars, int64_t now_us,
		    struct buf *out, struct buf *origin, struct err *e)
{
	struct jinja_out made = { 0 };
	struct jinja j = { .e = e, .now_us = now_us, .out = &made, .line = 1 };
	j.arena.bytes_max = JINJA_MEMORY_BYTES;
	int rc = render(&j, text, len, vars);
	if (rc == 0 && out) {
		buf_add(out, made.text.bytes, made.text.len);
		rc = buf_done(out, e);
	}
	if (rc == 0 && origin) {
		buf_add(origin, made.origin.bytes, made.origin.len);
		rc = buf_done(origin, e);
	}
	jinja_out_free(&made);
	arena_free(&j.arena);
	return rc;
}
