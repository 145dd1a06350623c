/* Macros, call blocks, and the `loop` of a for. */
#include "template/jinja.h"

#include "base/check.h"

#include <string.h>

/* ---- macros ---- */

int jinja_make_macro(struct jinja *j, const struct jinja_node *n, const char *name,
		     struct jinja_value *out)
{
	struct jinja_macro *m = jinja_alloc(j, 1, sizeof *m);
	if (!m)
		return jinja_no_memory(j);
	*m = (struct jinja_macro){ name, n, j->frame, j->lexical };
	jinja_capture(j);
	*out = (struct jinja_value){ .kind = J_MACRO, .macro = m };
	return 0;
}

/* The named arguments of one call, each to be used at most once. */
struct named {
	const struct jinja_dict *all; /* or NULL */
	struct jinja_dict rest;
};

static int take_named(struct jinja *j, struct named *n, const char *name, struct jinja_value *out)
{
	int found = jinja_dict_get_name(j, &n->rest, name, out);
	if (found != 1)
		return found;
	size_t i = 0;
	check(n->rest.key != NULL); /* it was found */
	while (!jinja_is_string(&n->rest.key[i], name))
		i++;
	for (; i + 1 < n->rest.count; i++) {
		n->rest.key[i] = n->rest.key[i + 1];
		n->rest.value[i] = n->rest.value[i + 1];
	}
	n->rest.count--;
	return 1;
}

/* Arguments without a parameter: caller, kwargs and varargs, if the body uses those names. */
static int bind_rest(struct jinja *j, const struct jinja_macro *m, size_t parameters,
		     const struct jinja_list *positional, struct named *named)
{
	const struct jinja_scope *s = m->node->scope;
	struct jinja_value *slot = j->frame->slot, v;
	if (s->caller >= 0) {
		int found = take_named(j, named, "caller", &v);
		TRY(found);
		slot[s->caller] = found && v.kind != J_NONE ? v : jinja_undefined("caller");
	}
	if (named->rest.count && !(m->node->flags & JINJA_KWARGS)) {
		check(named->rest.key != NULL);
		const struct jinja_text *first = named->rest.key[0].text;
		return jinja_fail(j, "macro %.40s takes no argument by the name %.*s",
				  m->name ? m->name : "caller",
				  (int)(first->len < 60 ? first->len : 60), first->bytes);
	}
	if (m->node->flags & JINJA_KWARGS) {
		TRY(jinja_dict_new(j, J_DICT, &v));
		*v.dict = named->rest;
		slot[s->kwargs] = v;
	}
	if (positional->count > parameters && !(m->node->flags & JINJA_VARARGS))
		return jinja_fail(j, "macro %.40s takes not more than %zu arguments",
				  m->name ? m->name : "caller", parameters);
	if (!(m->node->flags & JINJA_VARARGS))
		return 0;
	TRY(jinja_list_new(j, J_TUPLE, &v));
	for (size_t i = parameters; i < positional->count; i++)
		TRY(jinja_list_add(j, v.list, positional->at[i]));
	slot[s->varargs] = v;
	return 0;
}

/* All that is given first, then the defaults in order: they may use each other. */
static int bind_parameters(struct jinja *j, const struct jinja_macro *m,
			   const struct jinja_list *positional, const struct jinja_dict *all)
{
	struct named named = { .all = all };
	size_t i = 0;
	for (size_t k = 0; all && k < all->count; k++)
		TRY(jinja_dict_set(j, &named.rest, all->key[k], all->value[k]));
	for (const struct jinja_node *p = m->node->list; p; p = p->next, i++) {
		struct jinja_value *slot = &j->frame->slot[p->place.slot];
		if (i < positional->count)
			*slot = positional->at[i];
		else
			TRY(take_named(j, &named, p->name, slot));
	}
	TRY(bind_rest(j, m, i, positional, &named));
	for (const struct jinja_node *p = m->node->list; p; p = p->next) {
		struct jinja_value *slot = &j->frame->slot[p->place.slot],
				   v = jinja_undefined(p->name);
		if (slot->kind != J_MISSING)
			continue;
		if (p->a)
			TRY(jinja_eval(j, p->a, &v));
		*slot = v;
	}
	return 0;
}

int jinja_call_macro(struct jinja *j, const struct jinja_macro *m,
		     const struct jinja_list *positional, const struct jinja_dict *named,
		     struct jinja_value *out)
{
	struct jinja_frame *before = j->frame;
	unsigned char lexical = j->lexical;
	if (++j->macros > JINJA_MACRO_DEPTH)
		return jinja_fail(j, "macros call each other deeper than %d", JINJA_MACRO_DEPTH);
	j->lexical = m->lexical;
	TRY(jinja_enter(j, m->node->scope, m->frame));
	TRY(bind_parameters(j, m, positional, named));
	TRY(jinja_run_captured(j, m->node->list2, out));
	jinja_leave(j, before);
	j->lexical = lexical;
	j->macros--;
	return jinja_mark(j, j->autoescape, out);
}

int jinja_run_call_block(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value caller, key, f, v, made;
	struct jinja_list *positional;
	struct jinja_dict *named;
	TRY(jinja_make_macro(j, n, NULL, &caller));
	TRY(jinja_eval(j, n->a->a, &f));
	TRY(jinja_eval_arguments(j, n->a->list, &positional, &named));
	if (!named) {
		TRY(jinja_dict_new(j, J_DICT, &made));
		named = made.dict;
	}
	TRY(jinja_literal(j, "caller", &key));
	int twice = jinja_dict_get(j, named, key, &v);
	TRY(twice);
	if (twice)
		return jinja_fail(j, "got multiple values for keyword argument 'caller'");
	TRY(jinja_dict_set(j, named, key, caller));
	j->line = n->line;
	TRY(jinja_call(j, &f, positional, named, &v));
	return jinja_print_block(j, &v);
}

int jinja_macro_attribute(struct jinja *j, const struct jinja_macro *m, const char *name,
			  struct jinja_value *out)
{
	static const struct {
		const char *name;
		unsigned flag;
	} flags[] = {
		{ "catch_kwargs", JINJA_KWARGS },
		{ "catch_varargs", JINJA_VARARGS },
		{ "caller", JINJA_CALLER },
	};
	bool explicit_caller = false;
	for (const struct jinja_node *p = m->node->list; p; p = p->next)
		explicit_caller = explicit_caller || strcmp(p->name, "caller") == 0;
	*out = jinja_undefined(name);
	for (int i = 0; i < 3; i++)
		if (strcmp(name, flags[i].name) == 0)
			*out = jinja_bool(m->node->flags & flags[i].flag, false);
	if (strcmp(name, "explicit_caller") == 0)
		*out = jinja_bool(explicit_caller, false);
	if (strcmp(name, "name") == 0 && !m->name)
		*out = jinja_none();
	else if (strcmp(name, "name") == 0)
		return jinja_literal(j, m->name, out);
	if (strcmp(name, "arguments") != 0)
		return 0;
	TRY(jinja_list_new(j, J_TUPLE, out));
	for (const struct jinja_node *p = m->node->list; p; p = p->next) {
		struct jinja_value v;
		TRY(jinja_literal(j, p->name, &v));
		TRY(jinja_list_add(j, out->list, v));
	}
	return 0;
}

/* ---- loops ---- */

int jinja_loop_next(struct jinja *j, struct jinja_loop *l, struct jinja_value *out)
{
	if (l->after.kind != J_MISSING) {
		*out = l->after;
		l->after.kind = J_MISSING;
	} else {
		int more = jinja_next(j, l->it, out);
		if (more != 1)
			return more;
	}
	l->index0++;
	l->before = l->current;
	l->current = *out;
	return 1;
}

/* The item after this one, without going on to it: 1, or 0. */
static int peek(struct jinja *j, struct jinja_loop *l)
{
	if (l->after.kind != J_MISSING)
		return 1;
	int more = jinja_next(j, l->it, &l->after);
	if (more != 1)
		l->after.kind = J_MISSING;
	return more;
}

int jinja_loop_length(struct jinja *j, struct jinja_loop *l, int64_t *out)
{
	if (l->length < 0 && l->over.kind != J_ITER) {
		TRY(jinja_length(j, &l->over, &l->length));
	} else if (l->length < 0) {
		struct jinja_value rest = { .kind = J_ITER, .iter = l->it },
				   list = { .kind = J_LIST };
		TRY(jinja_items(j, &rest, &list.list));
		TRY(jinja_iterate(j, &list, &l->it));
		l->length =
			(int64_t)list.list->count + l->index0 + 1 + (l->after.kind != J_MISSING);
	}
	*out = l->length;
	return 0;
}

static int loop_cycle(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	if (!a->more->count)
		return jinja_fail(j, "no items for cycling given");
	if (a->named)
		return jinja_fail(j, "cycle takes no argument by name");
	*out = a->more->at[a->in.loop->index0 % (int64_t)a->more->count];
	return 0;
}

static int loop_changed(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_loop *l = a->in.loop;
	struct jinja_value last = { .kind = J_TUPLE, .list = l->changed }, now;
	if (a->named)
		return jinja_fail(j, "changed takes no argument by name");
	TRY(jinja_list_new(j, J_TUPLE, &now));
	for (size_t i = 0; i < a->more->count; i++)
		TRY(jinja_list_add(j, now.list, a->more->at[i]));
	int same = l->changed ? jinja_equal(j, &last, &now, 0) : 0;
	TRY(same);
	if (!same)
		l->changed = now.list;
	*out = jinja_bool(!same, false);
	return 0;
}

static const struct jinja_callable loop_methods[] = {
	{ "cycle", loop_cycle, "*", JINJA_BY_NAME, NULL },
	{ "changed", loop_changed, "*", JINJA_BY_NAME, NULL },
	{ 0 },
};

static int loop_number(struct jinja *j, struct jinja_loop *l, const char *name, bool *found,
		       struct jinja_value *out)
{
	int64_t length = 0;
	bool back = strcmp(name, "revindex") == 0 || strcmp(name, "revindex0") == 0 ||
		    strcmp(name, "length") == 0;
	if (back)
		TRY(jinja_loop_length(j, l, &length));
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
		{ "index", l->index0 + 1 },
		{ "index0", l->index0 },
		{ "revindex", length - l->index0 },
		{ "revindex0", length - l->index0 - 1 },
		{ "length", length },
		{ "depth", l->depth0 + 1 },
		{ "depth0", l->depth0 },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !*found; i++)
		if (strcmp(name, numbers[i].name) == 0) {
			*out = jinja_int(numbers[i].value, false);
			*found = true;
		}
	return 0;
}

int jinja_loop_attribute(struct jinja *j, const struct jinja_value *v, const char *name,
			 struct jinja_value *out)
{
	struct jinja_loop *l = v->loop;
	bool found = false;
	TRY(loop_number(j, l, name, &found, out));
	if (found)
		return 0;
	*out = jinja_undefined(name);
	if (strcmp(name, "first") == 0) {
		*out = jinja_bool(l->index0 == 0, false);
	} else if (strcmp(name, "last") == 0) {
		int more = peek(j, l);
		TRY(more);
		*out = jinja_bool(!more, false);
	} else if (strcmp(name, "previtem") == 0) {
		*out = l->index0 > 0 ? l->before : jinja_undefined("loop.previtem");
	} else if (strcmp(name, "nextitem") == 0) {
		TRY(peek(j, l));
		*out = l->after.kind != J_MISSING ? l->after : jinja_undefined("loop.nextitem");
	} else {
		const struct jinja_callable *c = jinja_table_find(loop_methods, name, strlen(name));
		struct jinja_method *m = c ? jinja_alloc(j, 1, sizeof *m) : NULL;
		if (c && !m)
			return jinja_no_memory(j);
		if (c) {
			*m = (struct jinja_method){ *v, c };
			*out = (struct jinja_value){ .kind = J_METHOD, .method = m };
		}
	}
	return 0;
}
