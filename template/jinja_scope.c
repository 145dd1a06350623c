/* Names to places, as Jinja's compiler finds them: each body that runs by itself has a frame of
 * names, and a name means the nearest frame that uses it, whatever has run so far. What a name is
 * when its frame is entered depends on its first use there:
 *   a parameter     set by whoever enters
 *   a read          what blocks would see: the variables of the caller and of the top level
 *   an assignment   the frame outside, if that has the name, else nothing at all
 * An assignment in some branch of an `if` counts as a read where no frame outside has the name. */
#include "template/jinja.h"

#include <string.h>

enum load { LOAD_PARAMETER, LOAD_RESOLVE, LOAD_ALIAS, LOAD_NOTHING };

struct binder {
	struct jinja *j;
};

static uint32_t hash_of(const char *text, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h ^ h >> 15;
}

struct jinja_name *jinja_name(struct jinja *j, const char *text, size_t len)
{
	struct jinja_name **bucket = &j->names[hash_of(text, len) % 256], *n;
	for (n = *bucket; n; n = n->next)
		if (n->len == len && memcmp(n->text, text, len) == 0)
			return n;
	n = jinja_alloc(j, 1, sizeof *n);
	const char *copy = arena_copy(&j->arena, text, len);
	if (!n || !copy)
		return NULL;
	*n = (struct jinja_name){ .text = copy, .len = len, .next = *bucket };
	*bucket = n;
	return n;
}

/* ---- symbols of one frame ---- */

static int scope_new(struct binder *b, struct jinja_scope *outer, struct jinja_scope **out)
{
	struct jinja_scope *s = jinja_alloc(b->j, 1, sizeof *s);
	if (!s)
		return jinja_no_memory(b->j);
	*s = (struct jinja_scope){ .outer = outer,
				   .loop = -1,
				   .self = -1,
				   .super = -1,
				   .caller = -1,
				   .varargs = -1,
				   .kwargs = -1 };
	*out = s;
	return 0;
}

static struct jinja_symbol *own_symbol(struct jinja_scope *s, const struct jinja_name *name)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->at[i].name == name)
			return &s->at[i];
	return NULL;
}

static bool find_place(struct jinja_scope *s, const struct jinja_name *name,
		       struct jinja_place *out)
{
	*out = (struct jinja_place){ 0 };
	for (; s; s = s->outer, out->hops++) {
		const struct jinja_symbol *x = own_symbol(s, name);
		if (x) {
			out->slot = (unsigned short)(x - s->at);
			return true;
		}
	}
	return false;
}

static int add_symbol(struct binder *b, struct jinja_scope *s, struct jinja_name *name,
		      enum load load, struct jinja_symbol **out)
{
	if (s->count == s->room) {
		unsigned room = s->room ? s->room * 2 : 8;
		if (room > 32768)
			return jinja_fail(b->j, "the template has too many names");
		struct jinja_symbol *grown = jinja_alloc(b->j, room, sizeof *grown);
		if (!grown)
			return jinja_no_memory(b->j);
		if (s->count)
			memcpy(grown, s->at, s->count * sizeof *grown);
		s->at = grown;
		s->room = room;
	}
	TRY(jinja_charge(b->j, s->count / 16));
	*out = &s->at[s->count++];
	**out = (struct jinja_symbol){ .name = name, .load = (unsigned char)load };
	return 0;
}

/* Where an assigned name comes from when the frame is entered. */
static void load_outer(struct jinja_scope *s, struct jinja_symbol *x, enum load otherwise)
{
	x->load =
		(unsigned char)(find_place(s->outer, x->name, &x->outer) ? LOAD_ALIAS : otherwise);
}

static int see_load(struct binder *b, struct jinja_scope *s, struct jinja_name *name)
{
	struct jinja_place place;
	struct jinja_symbol *x;
	return find_place(s, name, &place) ? 0 : add_symbol(b, s, name, LOAD_RESOLVE, &x);
}

static int see_store(struct binder *b, struct jinja_scope *s, struct jinja_name *name)
{
	struct jinja_symbol *x = own_symbol(s, name);
	if (!x) {
		TRY(add_symbol(b, s, name, LOAD_NOTHING, &x));
		load_outer(s, x, LOAD_NOTHING);
	}
	x->stored = true;
	return 0;
}

static int see_parameter(struct binder *b, struct jinja_scope *s, struct jinja_name *name,
			 short *slot)
{
	struct jinja_symbol *x = own_symbol(s, name);
	if (!x)
		TRY(add_symbol(b, s, name, LOAD_PARAMETER, &x));
	x->load = LOAD_PARAMETER;
	x->stored = true;
	if (slot)
		*slot = (short)(x - s->at);
	return 0;
}

/* ---- the names that a body uses in its own frame ---- */

static int see(struct binder *b, struct jinja_scope *s, const struct jinja_node *n);

static int see_list(struct binder *b, struct jinja_scope *s, const struct jinja_node *list)
{
	for (const struct jinja_node *n = list; n; n = n->next)
		TRY(see(b, s, n));
	return 0;
}

static int see_target(struct binder *b, struct jinja_scope *s, const struct jinja_node *n,
		      bool parameter)
{
	if (n->kind == N_ATTRIBUTE)
		return see_load(b, s, n->a->symbol);
	if (n->kind == N_NAME)
		return parameter ? see_parameter(b, s, n->symbol, NULL)
				 : see_store(b, s, n->symbol);
	for (const struct jinja_node *m = n->list; m; m = m->next)
		TRY(see_target(b, s, m, parameter));
	return 0;
}

static int see_if(struct binder *b, struct jinja_scope *s, const struct jinja_node *n)
{
	unsigned before = s->count;
	bool *stored = jinja_alloc(b->j, before + 1, sizeof *stored);
	if (!stored)
		return jinja_no_memory(b->j);
	for (unsigned i = 0; i < before; i++)
		stored[i] = s->at[i].stored;
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		if (m->a)
			TRY(see(b, s, m->a));
		TRY(see_list(b, s, m->list));
	}
	for (unsigned i = 0; i < s->count; i++)
		if (s->at[i].stored && (i >= before || !stored[i]))
			load_outer(s, &s->at[i], LOAD_RESOLVE);
	return 0;
}

static int see_expression(struct binder *b, struct jinja_scope *s, const struct jinja_node *n)
{
	const struct jinja_node *one[] = { n->a, n->b, n->c, n->d };
	for (int i = 0; i < 4; i++)
		if (one[i])
			TRY(see(b, s, one[i]));
	return see_list(b, s, n->list);
}

static int see(struct binder *b, struct jinja_scope *s, const struct jinja_node *n)
{
	switch (n->kind) {
	case N_NAME:
		return see_load(b, s, n->symbol);
	case N_IF:
		return see_if(b, s, n);
	case N_MACRO:
		return see_store(b, s, n->symbol);
	case N_SET:
		TRY(see(b, s, n->b));
		return see_target(b, s, n->a, false);
	case N_SET_BLOCK:
		return see_target(b, s, n->a, false);
	case N_FOR:
		return see(b, s, n->b);
	case N_CALL_BLOCK:
	case N_FILTER_BLOCK:
		return see(b, s, n->a);
	case N_WITH:
		for (const struct jinja_node *m = n->list; m; m = m->next)
			TRY(see(b, s, m->b));
		return 0;
	case N_UNAVAILABLE:
		TRY(see(b, s, n->a));
		for (const struct jinja_node *m = n->list; m; m = m->next)
			TRY(see_store(b, s, m->symbol));
		return 0;
	case N_AUTOESCAPE:
	case N_GENERATION:
	case N_BLOCK:
		return 0;
	default:
		return see_expression(b, s, n);
	}
}

/* ---- names used anywhere below, but not after they are set there ---- */

struct wanted {
	const char *const *names;
	unsigned left, found; /* bits of names */
};

static void want(struct wanted *w, const struct jinja_name *name, bool load)
{
	for (unsigned i = 0; w->names[i]; i++)
		if (w->names[i][0] == name->text[0] && w->left >> i & 1 &&
		    strcmp(w->names[i], name->text) == 0) {
			w->found |= load ? 1u << i : 0;
			w->left &= load ? w->left : ~(1u << i);
		}
}

static void find_undeclared(struct wanted *w, const struct jinja_node *n);

static void undeclared_list(struct wanted *w, const struct jinja_node *list)
{
	for (const struct jinja_node *n = list; n; n = n->next)
		find_undeclared(w, n);
}

static void undeclared_target(struct wanted *w, const struct jinja_node *n)
{
	if (n->kind == N_NAME)
		want(w, n->symbol, false);
	else if (n->kind == N_TUPLE)
		for (const struct jinja_node *m = n->list; m; m = m->next)
			undeclared_target(w, m);
}

static void find_undeclared(struct wanted *w, const struct jinja_node *n)
{
	const struct jinja_node *one[] = { n->a, n->b, n->c, n->d };
	switch (n->kind) {
	case N_NAME:
		want(w, n->symbol, true);
		return;
	case N_BLOCK:
		return;
	case N_SET:
	case N_SET_BLOCK:
	case N_FOR:
		undeclared_target(w, n->a);
		one[0] = NULL;
		break;
	case N_PARAMETER:
		want(w, n->symbol, false);
		break;
	case N_FILTER_BLOCK: /* the body comes first */
		undeclared_list(w, n->list);
		find_undeclared(w, n->a);
		return;
	case N_UNAVAILABLE:
		find_undeclared(w, n->a);
		return;
	default:
		break;
	}
	if (n->kind == N_FOR) { /* its condition comes last */
		find_undeclared(w, n->b);
		undeclared_list(w, n->list);
		undeclared_list(w, n->list2);
		if (n->c)
			find_undeclared(w, n->c);
		return;
	}
	for (int i = 0; i < 4; i++)
		if (one[i])
			find_undeclared(w, one[i]);
	undeclared_list(w, n->list);
	undeclared_list(w, n->list2);
}

static unsigned undeclared(const struct jinja_node *list, const char *const *names)
{
	struct wanted w = { names, 7, 0 };
	undeclared_list(&w, list);
	return w.found;
}

/* ---- binding ---- */

static int bind_node(struct binder *b, struct jinja_scope *s, struct jinja_node *n, bool top);

static int bind_list(struct binder *b, struct jinja_scope *s, struct jinja_node *list, bool top)
{
	for (struct jinja_node *n = list; n; n = n->next)
		TRY(bind_node(b, s, n, top));
	return 0;
}

static int bind_name(struct binder *b, struct jinja_scope *s, struct jinja_node *n)
{
	return find_place(s, n->symbol, &n->place)
		       ? 0
		       : jinja_fail(b->j, "the name %.40s has no place", n->name);
}

static bool has_scoped_block(const struct jinja_node *list)
{
	for (const struct jinja_node *n = list; n; n = n->next)
		if ((n->kind == N_BLOCK && n->flags & JINJA_SCOPED) || has_scoped_block(n->list) ||
		    has_scoped_block(n->list2))
			return true;
	return false;
}

/* No part of a loop may set `loop`. */
static bool sets_loop(const struct jinja_node *n)
{
	static const char *const names[] = { "loop", NULL };
	struct wanted w = { names, 1, 0 };
	if (!n)
		return false;
	if (n->kind == N_SET || n->kind == N_SET_BLOCK || n->kind == N_FOR)
		undeclared_target(&w, n->a);
	for (const struct jinja_node *m = n->list; m && w.left; m = m->next)
		w.left = sets_loop(m) ? 0 : w.left;
	for (const struct jinja_node *m = n->list2; m && w.left; m = m->next)
		w.left = sets_loop(m) ? 0 : w.left;
	return !w.left;
}

static int bind_for(struct binder *b, struct jinja_scope *s, struct jinja_node *n)
{
	static const char *const names[] = { "loop", NULL };
	b->j->line = n->line;
	if (sets_loop(n))
		return jinja_fail(b->j, "Can't assign to special loop variable in for-loop target");
	TRY(scope_new(b, s, &n->scope));
	TRY(scope_new(b, s, &n->scope2));
	TRY(scope_new(b, s, &n->scope3));
	/* targets have the same slots in the frames of the body and of the condition: they come first */
	TRY(see_target(b, n->scope, n->a, true));
	if (n->flags & JINJA_RECURSIVE || undeclared(n->list, names) || has_scoped_block(n)) {
		struct jinja_name *loop = jinja_name(b->j, "loop", 4);
		if (!loop)
			return jinja_no_memory(b->j);
		n->flags |= JINJA_EXTENDED;
		TRY(see_parameter(b, n->scope, loop, &n->scope->loop));
	}
	TRY(see_list(b, n->scope, n->list));
	TRY(bind_node(b, n->scope, n->a, false));
	if (n->c) {
		TRY(see_target(b, n->scope2, n->a, true));
		TRY(see(b, n->scope2, n->c));
		TRY(bind_node(b, n->scope2, n->c, false));
	}
	TRY(see_list(b, n->scope3, n->list2));
	TRY(bind_node(b, s, n->b, false));
	TRY(bind_list(b, n->scope, n->list, false));
	return bind_list(b, n->scope3, n->list2, false);
}

static int bind_special(struct binder *b, struct jinja_node *n, unsigned used, unsigned bit,
			const char *name, short *slot)
{
	struct jinja_name *symbol = jinja_name(b->j, name, strlen(name));
	if (!symbol)
		return jinja_no_memory(b->j);
	for (const struct jinja_node *p = n->list; p; p = p->next) {
		if (p->symbol != symbol)
			continue; /* else it is a parameter like any other */
		n->flags |= (unsigned char)(bit & used & JINJA_CALLER);
		return !(bit & used & JINJA_CALLER) || p->a
			       ? 0
			       : jinja_fail(
					 b->j,
					 "the argument caller must be omitted or be given a default");
	}
	if (!(used & bit))
		return 0;
	n->flags |= (unsigned char)bit;
	return see_parameter(b, n->scope, symbol, slot);
}

/* The body and parameters of a macro or call block. */
static int bind_macro(struct binder *b, struct jinja_scope *s, struct jinja_node *n)
{
	static const char *const names[] = { "varargs", "kwargs", "caller", NULL };
	unsigned used = undeclared(n->list2, names); /* as JINJA_VARARGS ... */
	b->j->line = n->line;
	TRY(scope_new(b, s, &n->scope));
	for (struct jinja_node *p = n->list; p; p = p->next)
		TRY(see_parameter(b, n->scope, p->symbol, NULL));
	for (struct jinja_node *p = n->list; p; p = p->next)
		if (p->a)
			TRY(see(b, n->scope, p->a));
	TRY(see_list(b, n->scope, n->list2));
	TRY(bind_special(b, n, used, JINJA_CALLER, "caller", &n->scope->caller));
	TRY(bind_special(b, n, used, JINJA_KWARGS, "kwargs", &n->scope->kwargs));
	TRY(bind_special(b, n, used, JINJA_VARARGS, "varargs", &n->scope->varargs));
	TRY(bind_list(b, n->scope, n->list, false));
	return bind_list(b, n->scope, n->list2, false);
}

static int bind_body(struct binder *b, struct jinja_scope *s, struct jinja_node *n,
		     struct jinja_node *list)
{
	TRY(scope_new(b, s, &n->scope));
	TRY(see_list(b, n->scope, list));
	return bind_list(b, n->scope, list, false);
}

static int bind_with(struct binder *b, struct jinja_scope *s, struct jinja_node *n)
{
	TRY(scope_new(b, s, &n->scope));
	for (struct jinja_node *m = n->list; m; m = m->next)
		TRY(see_target(b, n->scope, m->a, true));
	TRY(see_list(b, n->scope, n->list2));
	for (struct jinja_node *m = n->list; m; m = m->next) {
		TRY(bind_node(b, n->scope, m->a, false));
		TRY(bind_node(b, s, m->b, false));
	}
	return bind_list(b, n->scope, n->list2, false);
}

static int bind_expression(struct binder *b, struct jinja_scope *s, struct jinja_node *n, bool top)
{
	struct jinja_node *one[] = { n->a, n->b, n->c, n->d };
	for (int i = 0; i < 4; i++)
		if (one[i])
			TRY(bind_node(b, s, one[i], top));
	return bind_list(b, s, n->list, top);
}

static int bind_node(struct binder *b, struct jinja_scope *s, struct jinja_node *n, bool top)
{
	n->flags |= top && (n->kind == N_SET || n->kind == N_SET_BLOCK || n->kind == N_MACRO)
			    ? JINJA_EXPORTED
			    : 0;
	switch (n->kind) {
	case N_NAME:
		return bind_name(b, s, n);
	case N_PARAMETER:
		TRY(bind_name(b, s, n));
		return n->a ? bind_node(b, s, n->a, false) : 0;
	case N_FOR:
		return bind_for(b, s, n);
	case N_SET_BLOCK:
		TRY(bind_node(b, s, n->a, false));
		TRY(bind_body(b, s, n, n->list));
		/* names in these filters must be known otherwise, as in Jinja */
		return n->b ? bind_node(b, n->scope, n->b, false) : 0;
	case N_MACRO:
		TRY(bind_name(b, s, n));
		return bind_macro(b, s, n);
	case N_GENERATION:
		return bind_macro(b, s, n);
	case N_CALL_BLOCK:
		TRY(bind_macro(b, s, n));
		return bind_node(b, s, n->a, false);
	case N_FILTER_BLOCK:
		TRY(scope_new(b, s, &n->scope));
		TRY(see_list(b, n->scope, n->list));
		TRY(see(b, n->scope, n->a));
		TRY(bind_node(b, n->scope, n->a, false));
		return bind_list(b, n->scope, n->list, false);
	case N_WITH:
		return bind_with(b, s, n);
	case N_AUTOESCAPE:
		TRY(scope_new(b, s, &n->scope));
		TRY(see(b, n->scope, n->a));
		TRY(see_list(b, n->scope, n->list));
		TRY(bind_node(b, n->scope, n->a, false));
		return bind_list(b, n->scope, n->list, false);
	case N_UNAVAILABLE:
		return bind_node(b, s, n->a, false);
	case N_BLOCK:
		return 0; /* by itself, from jinja_bind */
	default:
		return bind_expression(b, s, n, top);
	}
}

static int bind_self(struct binder *b, struct jinja_scope *s, const struct jinja_node *list,
		     bool block)
{
	static const char *const names[] = { "self", "super", NULL };
	unsigned used = undeclared(list, names);
	struct jinja_name *self = jinja_name(b->j, "self", 4),
			  *super = jinja_name(b->j, "super", 5);
	if (!self || !super)
		return jinja_no_memory(b->j);
	if (used & 1)
		TRY(see_parameter(b, s, self, &s->self));
	return block && used & 2 ? see_parameter(b, s, super, &s->super) : 0;
}

int jinja_bind(struct jinja *j, struct jinja_node *body, struct jinja_scope **root)
{
	struct binder b = { j };
	TRY(scope_new(&b, NULL, root));
	TRY(bind_self(&b, *root, body, false));
	TRY(see_list(&b, *root, body));
	TRY(bind_list(&b, *root, body, true));
	for (struct jinja_node *n = j->blocks; n; n = n->b) {
		TRY(scope_new(&b, NULL, &n->scope));
		TRY(bind_self(&b, n->scope, n->list, true));
		TRY(see_list(&b, n->scope, n->list));
		TRY(bind_list(&b, n->scope, n->list, false));
	}
	return 0;
}
