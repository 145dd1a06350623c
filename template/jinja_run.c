/* Statements, scopes and macros; and the entry point. */
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
	return j->steps <= JINJA_STEPS_MAX ? 0 : jinja_fail(j, "more than %u steps of evaluation",
	                                                    JINJA_STEPS_MAX);
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

/* ---- variables ---- */

static int push_frame(struct jinja *j, struct jinja_frame *outer)
{
	struct jinja_frame *f = jinja_alloc(j, 1, sizeof *f);
	if (!f)
		return jinja_no_memory(j);
	f->outer = outer;
	j->frame = f;
	return 0;
}

/* Leave the innermost frame. Its memory is reused, since loops make a frame for each iteration. */
static void pop_frame(struct jinja *j, struct jinja_frame *outer)
{
	struct jinja_frame *f = j->frame;
	while (f->first && !f->captured) {
		struct jinja_variable *x = f->first;
		f->first = x->next;
		x->next = j->unused;
		j->unused = x;
	}
	j->frame = outer;
}

int jinja_set(struct jinja *j, const char *name, struct jinja_value v)
{
	uint64_t steps = 0;
	struct jinja_variable *x = j->frame->first;
	for (; x && strcmp(x->name, name) != 0; x = x->next)
		steps++;
	TRY(jinja_charge(j, steps / 8));
	if (!x) {
		x = j->unused;
		if (x)
			j->unused = x->next;
		else if (!(x = jinja_alloc(j, 1, sizeof *x)))
			return jinja_no_memory(j);
		x->name = name;
		x->next = j->frame->first;
		j->frame->first = x;
	}
	x->value = v;
	return 0;
}

int jinja_lookup(struct jinja *j, const char *name, struct jinja_value *out)
{
	uint64_t steps = 0;
	for (const struct jinja_frame *f = j->frame; f; f = f->outer)
		for (const struct jinja_variable *x = f->first; x; x = x->next, steps++)
			if (strcmp(x->name, name) == 0) {
				*out = x->value;
				return jinja_charge(j, steps / 8);
			}
	/* what a template sets itself is harmless; anything else of this form is Python's */
	if (name[0] == '_' && name[1] == '_')
		return jinja_refuse(j, "the name %.40s: names may not start with __", name);
	if (strcmp(name, "self") == 0) /* the template's blocks, of which there are none */
		return jinja_dict_new(j, J_NAMESPACE, out);
	const struct jinja_callable *function = jinja_function_find(name);
	*out = function ? (struct jinja_value){ .kind = J_FUNCTION, .function = function } :
	    jinja_undefined(name);
	return jinja_charge(j, steps / 8);
}

static int assign_attribute(struct jinja *j, const struct jinja_node *target,
                            const struct jinja_value *v)
{
	struct jinja_value of, key;
	TRY(jinja_lookup(j, target->a->name, &of));
	if (of.kind != J_NAMESPACE)
		return jinja_fail(j, "cannot assign attribute on non-namespace object");
	TRY(jinja_str(j, target->name, strlen(target->name), false, &key));
	return jinja_dict_set(j, of.dict, key, *v);
}

int jinja_assign(struct jinja *j, const struct jinja_node *target, const struct jinja_value *v)
{
	struct jinja_list *items;
	size_t i = 0;
	if (target->kind == N_NAME)
		return jinja_set(j, target->name, *v);
	if (target->kind == N_ATTRIBUTE)
		return assign_attribute(j, target, v);
	TRY(jinja_items(j, v, &items));
	for (const struct jinja_node *n = target->list; n; n = n->next, i++) {
		if (i >= items->count)
			return jinja_fail(j, "not enough values to unpack (got %zu)", items->count);
		TRY(jinja_set(j, n->name, items->at[i]));
	}
	return i == items->count ? 0 : jinja_fail(j, "too many values to unpack (expected %zu)", i);
}

/* ---- statements ---- */

static int check_output(struct jinja *j)
{
	if (j->out->text.failed || j->out->origin.failed)
		return jinja_no_memory(j);
	if (j->out->text.len > JINJA_STRING_BYTES)
		return jinja_fail(j, "the output is longer than %zu bytes", JINJA_STRING_BYTES);
	return 0;
}

static int run_print(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	TRY(jinja_eval(j, n->a, &v));
	TRY(jinja_print(j, &v, j->out));
	return check_output(j);
}

static int run_data(struct jinja *j, const struct jinja_node *n)
{
	jinja_put_text(j->out, n->value.text, 0, n->value.text->len);
	return check_output(j);
}

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

/* The items for which the loop's own condition holds. */
static int select_items(struct jinja *j, const struct jinja_node *n, struct jinja_list **items)
{
	struct jinja_value kept, v;
	struct jinja_frame *outer = j->frame;
	if (!n->c)
		return 0;
	TRY(jinja_list_new(j, J_LIST, &kept));
	for (size_t i = 0; i < (*items)->count; i++) {
		TRY(push_frame(j, outer));
		TRY(jinja_assign(j, n->a, &(*items)->at[i]));
		TRY(jinja_eval(j, n->c, &v));
		if (jinja_truth(&v))
			TRY(jinja_list_add(j, kept.list, (*items)->at[i]));
	}
	j->frame = outer;
	*items = kept.list;
	return 0;
}

static int run_turn(struct jinja *j, const struct jinja_node *n, struct jinja_loop *loop,
                    struct jinja_frame **frame)
{
	struct jinja_frame *outer = j->frame;
	TRY(jinja_charge(j, 1));
	if (*frame && !(*frame)->captured)
		j->frame = *frame;
	else
		TRY(push_frame(j, outer));
	*frame = j->frame;
	TRY(jinja_set(j, "loop", (struct jinja_value){ .kind = J_LOOP, .loop = loop }));
	TRY(jinja_assign(j, n->a, &loop->items->at[loop->index]));
	TRY(jinja_run(j, n->list));
	pop_frame(j, outer);
	return 0;
}

static int run_for(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value over;
	struct jinja_list *items;
	struct jinja_frame *outer = j->frame, *turn = NULL;
	TRY(jinja_eval(j, n->b, &over));
	TRY(jinja_items(j, &over, &items));
	TRY(select_items(j, n, &items));
	struct jinja_loop *loop = jinja_alloc(j, 1, sizeof *loop);
	if (!loop)
		return jinja_no_memory(j);
	loop->items = items;
	for (; loop->index < items->count && j->flow != JINJA_BREAK; loop->index++) {
		TRY(run_turn(j, n, loop, &turn));
		if (j->flow == JINJA_CONTINUE)
			j->flow = JINJA_ON;
	}
	j->flow = JINJA_ON;
	if (items->count)
		return 0;
	TRY(push_frame(j, outer));
	TRY(jinja_run(j, n->list2));
	j->frame = outer;
	return 0;
}

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
		TRY(jinja_eval_arguments(j, f->list, &positional, &named));
		TRY(jinja_apply_filter(j, f->name, v, positional, named, v));
	}
	return 0;
}

int jinja_run_captured(struct jinja *j, const struct jinja_node *list, struct jinja_value *out)
{
	struct jinja_out made = { 0 }, *before = j->out;
	struct jinja_frame *outer = j->frame;
	int rc = push_frame(j, outer);
	j->out = &made;
	if (rc == 0)
		rc = jinja_run(j, list);
	j->out = before;
	j->frame = outer;
	if (rc == 0)
		return jinja_out_take(j, &made, out);
	jinja_out_free(&made);
	return rc;
}

static int run_set(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	TRY(jinja_eval(j, n->b, &v));
	return jinja_assign(j, n->a, &v);
}

static int run_set_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	TRY(jinja_run_captured(j, n->list, &v));
	TRY(apply_filters(j, n->b, &v));
	return jinja_assign(j, n->a, &v);
}

/* What a filter or call block makes is not turned into text. */
static int print_block(struct jinja *j, const struct jinja_value *v)
{
	if (v->kind != J_STR)
		return jinja_fail(j, "a block made a value of type '%s', not a string", jinja_type_name(v));
	TRY(jinja_print(j, v, j->out));
	return check_output(j);
}

static int run_filter_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	TRY(jinja_run_captured(j, n->list, &v));
	TRY(apply_filters(j, n->a, &v));
	return print_block(j, &v);
}

static int make_macro(struct jinja *j, const struct jinja_node *n, const char *name,
                      struct jinja_value *out)
{
	struct jinja_macro *m = jinja_alloc(j, 1, sizeof *m);
	if (!m)
		return jinja_no_memory(j);
	*m = (struct jinja_macro){ name, n->list, n->list2, n->names, j->frame };
	for (struct jinja_frame *f = j->frame; f && !f->captured; f = f->outer)
		f->captured = true;
	*out = (struct jinja_value){ .kind = J_MACRO, .macro = m };
	return 0;
}

static int run_macro(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value m;
	TRY(make_macro(j, n, n->name, &m));
	return jinja_set(j, n->name, m);
}

static int run_call_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value caller, key, f, v, made;
	struct jinja_list *positional;
	struct jinja_dict *named;
	TRY(make_macro(j, n, "caller", &caller));
	TRY(jinja_eval(j, n->a->a, &f));
	TRY(jinja_eval_arguments(j, n->a->list, &positional, &named));
	if (!named) {
		TRY(jinja_dict_new(j, J_DICT, &made));
		named = made.dict;
	}
	TRY(jinja_str(j, "caller", 6, false, &key));
	TRY(jinja_dict_set(j, named, key, caller));
	TRY(jinja_call(j, &f, positional, named, &v));
	return print_block(j, &v);
}

/* with: the values are those outside, the names are seen inside. */
static int run_scope(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_frame *outer = j->frame, *inner;
	struct jinja_value v;
	TRY(push_frame(j, outer));
	inner = j->frame;
	for (const struct jinja_node *s = n->list; s; s = s->next) {
		j->frame = outer;
		TRY(jinja_eval(j, s->b, &v));
		j->frame = inner;
		TRY(jinja_assign(j, s->a, &v));
	}
	TRY(jinja_run(j, n->list2));
	j->frame = outer;
	return 0;
}

static int run_one(struct jinja *j, const struct jinja_node *n)
{
	switch (n->kind) {
	case N_DATA: return run_data(j, n);
	case N_PRINT: return run_print(j, n);
	case N_IF: return run_if(j, n);
	case N_FOR: return run_for(j, n);
	case N_SET: return run_set(j, n);
	case N_SET_BLOCK: return run_set_block(j, n);
	case N_MACRO: return run_macro(j, n);
	case N_CALL_BLOCK: return run_call_block(j, n);
	case N_FILTER_BLOCK: return run_filter_block(j, n);
	case N_SCOPE: return run_scope(j, n);
	case N_BREAK: j->flow = JINJA_BREAK; return 0;
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

/* ---- macros ---- */

/* Bind arguments without a parameter to varargs and kwargs, if the body uses those names. */
static int bind_rest(struct jinja *j, const struct jinja_macro *m, size_t parameters,
                     const struct jinja_list *positional, const struct jinja_dict *rest)
{
	struct jinja_value more, v = jinja_undefined("caller"), named = { .kind = J_DICT };
	struct jinja_dict others = { 0 };
	bool has_caller = false;
	for (size_t i = 0; i < rest->count; i++)
		if ((m->names & JINJA_CALLER) && jinja_is_string(&rest->key[i], "caller")) {
			v = rest->value[i];
			has_caller = true;
		} else {
			TRY(jinja_dict_set(j, &others, rest->key[i], rest->value[i]));
		}
	if (others.count && !(m->names & JINJA_KWARGS))
		return jinja_fail(j, "macro %.40s got an argument by an unknown name", m->name);
	if (positional->count > parameters && !(m->names & JINJA_VARARGS))
		return jinja_fail(j, "macro %.40s takes not more than %zu arguments", m->name, parameters);
	TRY(jinja_list_new(j, J_TUPLE, &more));
	for (size_t i = parameters; i < positional->count; i++)
		TRY(jinja_list_add(j, more.list, positional->at[i]));
	TRY(jinja_dict_new(j, J_DICT, &named));
	*named.dict = others;
	if (m->names & JINJA_CALLER || has_caller)
		TRY(jinja_set(j, "caller", v));
	if (m->names & JINJA_KWARGS)
		TRY(jinja_set(j, "kwargs", named));
	return m->names & JINJA_VARARGS ? jinja_set(j, "varargs", more) : 0;
}

static bool is_parameter(const struct jinja_macro *m, const struct jinja_value *name)
{
	for (const struct jinja_node *p = m->parameters; p; p = p->next)
		if (jinja_is_string(name, p->name))
			return true;
	return false;
}

static int bind_parameters(struct jinja *j, const struct jinja_macro *m,
                           const struct jinja_list *positional, const struct jinja_dict *named)
{
	size_t i = 0;
	struct jinja_value v;
	struct jinja_dict rest = { 0 };
	for (const struct jinja_node *p = m->parameters; p; p = p->next, i++) {
		int found = named ? jinja_dict_get_name(j, named, p->name, &v) : 0;
		TRY(found);
		if (found && i < positional->count)
			return jinja_fail(j, "macro %.40s got %.40s twice", m->name, p->name);
		if (i < positional->count)
			v = positional->at[i];
		else if (!found && p->a)
			TRY(jinja_eval(j, p->a, &v));
		else if (!found)
			v = jinja_undefined(p->name);
		TRY(jinja_set(j, p->name, v));
	}
	for (size_t k = 0; named && k < named->count; k++)
		if (!is_parameter(m, &named->key[k]))
			TRY(jinja_dict_set(j, &rest, named->key[k], named->value[k]));
	return bind_rest(j, m, i, positional, &rest);
}

int jinja_call_macro(struct jinja *j, const struct jinja_macro *m,
                     const struct jinja_list *positional,
                     const struct jinja_dict *named, struct jinja_value *out)
{
	struct jinja_frame *before = j->frame;
	if (++j->macros > JINJA_MACRO_DEPTH)
		return jinja_fail(j, "macros call each other deeper than %d", JINJA_MACRO_DEPTH);
	TRY(push_frame(j, m->frame));
	TRY(bind_parameters(j, m, positional, named));
	TRY(jinja_run_captured(j, m->body, out));
	j->frame = before;
	j->macros--;
	return 0;
}

/* ---- entry ---- */

/* Top-level variables: strings named *_token are the model's own and count as template text, all
 * else is data. */
static int set_variables(struct jinja *j, const json_t *vars)
{
	const char *name;
	json_t *v;
	json_object_foreach((json_t *)vars, name, v) {
		size_t n = strlen(name);
		bool token = json_is_string(v) && n > 6 && strcmp(name + n - 6, "_token") == 0;
		struct jinja_value value;
		TRY(jinja_from_json(j, v, !token, &value));
		TRY(jinja_set(j, name, value));
	}
	return 0;
}

static int render(struct jinja *j, const char *text, size_t len, const json_t *vars)
{
	struct jinja_node *body;
	TRY(jinja_parse(j, text, len, &body));
	TRY(push_frame(j, NULL));
	TRY(set_variables(j, vars));
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
