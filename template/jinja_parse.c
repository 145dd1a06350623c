/* Expressions, by recursive descent with a checked depth. Precedence, loosest first: if, or, and,
 * not, comparison, + -, ~, * / // %, **, unary, then postfix, filters and tests. */
#include "template/jinja.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

const struct jinja_token *jinja_now(const struct jinja_parser *p) { return &p->tokens.at[p->at]; }

bool jinja_at_op(const struct jinja_parser *p, enum jinja_op op)
{
	return jinja_now(p)->kind == T_OPERATOR && jinja_now(p)->op == op;
}

bool jinja_skip_op(struct jinja_parser *p, enum jinja_op op)
{
	bool here = jinja_at_op(p, op);
	p->at += here;
	return here;
}

bool jinja_at_name(const struct jinja_parser *p, const char *name)
{
	return jinja_now(p)->kind == T_NAME && strcmp(jinja_now(p)->bytes, name) == 0;
}

bool jinja_skip_name(struct jinja_parser *p, const char *name)
{
	bool here = jinja_at_name(p, name);
	p->at += here;
	return here;
}

int(jinja_parse_fail)(struct jinja_parser *p, const char *what)
{
	p->j->line = jinja_now(p)->line;
	return jinja_fail(p->j, "%s expected%s%.40s%s", what,
			  jinja_now(p)->kind == T_NAME ? " before \"" : "",
			  jinja_now(p)->kind == T_NAME ? jinja_now(p)->bytes : "",
			  jinja_now(p)->kind == T_NAME ? "\"" : "");
}

int jinja_expect_op(struct jinja_parser *p, enum jinja_op op, const char *what)
{
	return jinja_skip_op(p, op) ? 0 : jinja_parse_fail(p, what);
}

int jinja_node_new(struct jinja_parser *p, enum jinja_node_kind kind, struct jinja_node **out)
{
	p->j->line = jinja_now(p)->line;
	if (++p->nodes > JINJA_NODES_MAX)
		return jinja_fail(p->j, "the template has more than %u nodes", JINJA_NODES_MAX);
	*out = jinja_alloc(p->j, 1, sizeof **out);
	if (!*out)
		return jinja_no_memory(p->j);
	(*out)->kind = (unsigned char)kind;
	(*out)->line = jinja_now(p)->line;
	return 0;
}

int jinja_node_done(struct jinja_parser *p, struct jinja_node *n)
{
	const struct jinja_node *one[] = { n->a, n->b, n->c, n->d };
	unsigned depth = 0;
	for (int i = 0; i < 4; i++)
		if (one[i] && one[i]->depth > depth)
			depth = one[i]->depth;
	for (const struct jinja_node *m = n->list; m; m = m->next)
		depth = m->depth > depth ? m->depth : depth;
	for (const struct jinja_node *m = n->list2; m; m = m->next)
		depth = m->depth > depth ? m->depth : depth;
	n->depth = (unsigned short)(depth + 1);
	return n->depth <= JINJA_TREE_DEPTH
		       ? 0
		       : jinja_fail(p->j, "the template nests deeper than %d", JINJA_TREE_DEPTH);
}

static int make(struct jinja_parser *p, enum jinja_node_kind kind, enum jinja_op op,
		struct jinja_node *a, struct jinja_node *b, struct jinja_node **out)
{
	struct jinja_node *n;
	TRY(jinja_node_new(p, kind, &n));
	n->op = (unsigned char)op;
	n->a = a;
	n->b = b;
	*out = n;
	return jinja_node_done(p, n);
}

int jinja_name_node(struct jinja_parser *p, enum jinja_node_kind kind, struct jinja_node **out)
{
	if (jinja_now(p)->kind != T_NAME)
		return jinja_parse_fail(p, "a name");
	TRY(make(p, kind, OP_NONE, NULL, NULL, out));
	(*out)->name = jinja_now(p)->bytes;
	(*out)->symbol = jinja_name(p->j, jinja_now(p)->bytes, jinja_now(p)->len);
	p->at++;
	return (*out)->symbol ? 0 : jinja_no_memory(p->j);
}

static int enter(struct jinja_parser *p)
{
	return ++p->nesting <= JINJA_NESTING
		       ? 0
		       : jinja_fail(p->j, "the template nests deeper than %d", JINJA_NESTING);
}

/* ---- primary expressions ---- */

static int parse_constant(struct jinja_parser *p, struct jinja_value v, struct jinja_node **out)
{
	TRY(make(p, N_CONST, OP_NONE, NULL, NULL, out));
	(*out)->value = v;
	p->at++;
	return 0;
}

static int parse_name(struct jinja_parser *p, struct jinja_node **out)
{
	const char *name = jinja_now(p)->bytes;
	if (strcmp(name, "true") == 0 || strcmp(name, "True") == 0)
		return parse_constant(p, jinja_bool(true, false), out);
	if (strcmp(name, "false") == 0 || strcmp(name, "False") == 0)
		return parse_constant(p, jinja_bool(false, false), out);
	if (strcmp(name, "none") == 0 || strcmp(name, "None") == 0)
		return parse_constant(p, jinja_none(), out);
	return jinja_name_node(p, N_NAME, out);
}

/* One string, or several beside each other. */
static int parse_strings(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_value v, next;
	TRY(jinja_str(p->j, jinja_now(p)->bytes, jinja_now(p)->len, false, &v));
	while (p->tokens.at[p->at + 1].kind == T_STRING) {
		p->at++;
		TRY(jinja_str(p->j, jinja_now(p)->bytes, jinja_now(p)->len, false, &next));
		TRY(jinja_concat(p->j, v.text, next.text, &v));
	}
	return parse_constant(p, v, out);
}

/* Members up to the closing bracket, which is consumed. */
static int parse_list(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *n, **last;
	TRY(jinja_node_new(p, N_LIST, &n));
	p->at++;
	for (last = &n->list; !jinja_at_op(p, OP_RBRACKET); last = &(*last)->next) {
		if (last != &n->list)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\" or \"]\""));
		if (jinja_at_op(p, OP_RBRACKET))
			break;
		TRY(jinja_parse_expression(p, last));
	}
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_dict(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *n, **last;
	TRY(jinja_node_new(p, N_DICT, &n));
	p->at++;
	for (last = &n->list; !jinja_at_op(p, OP_RBRACE); last = &(*last)->next) {
		if (last != &n->list)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\" or \"}\""));
		if (jinja_at_op(p, OP_RBRACE))
			break;
		TRY(jinja_parse_expression(p, last));
		TRY(jinja_expect_op(p, OP_COLON, "\":\""));
		last = &(*last)->next;
		TRY(jinja_parse_expression(p, last));
	}
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_primary(struct jinja_parser *p, struct jinja_node **out)
{
	const struct jinja_token *t = jinja_now(p);
	switch (t->kind) {
	case T_NAME:
		return parse_name(p, out);
	case T_NUMBER:
		return parse_constant(p, t->value, out);
	case T_STRING:
		return parse_strings(p, out);
	default:
		break;
	}
	if (jinja_at_op(p, OP_LBRACKET))
		return parse_list(p, out);
	if (jinja_at_op(p, OP_LBRACE))
		return parse_dict(p, out);
	if (!jinja_skip_op(p, OP_LPAREN))
		return jinja_parse_fail(p, "an expression");
	if (jinja_skip_op(p, OP_RPAREN))
		return make(p, N_TUPLE, OP_NONE, NULL, NULL, out);
	TRY(jinja_parse_tuple(p, true, out));
	return jinja_expect_op(p, OP_RPAREN, "\")\"");
}

/* ---- postfix ---- */

/* What stands in the brackets of a call so far. */
struct call_arguments {
	bool named, several, by_name;
};

static int parse_argument(struct jinja_parser *p, struct call_arguments *seen,
			  struct jinja_node **out)
{
	const struct jinja_token *next = &p->tokens.at[p->at + (jinja_now(p)->kind != T_END)];
	struct jinja_node *n;
	bool several = jinja_at_op(p, OP_MUL), by_name = jinja_at_op(p, OP_POW);
	if (seen->by_name || (several && seen->several))
		return jinja_parse_fail(p, "\")\"");
	if (several || by_name) {
		p->at++;
		seen->several = seen->several || several;
		seen->by_name = by_name;
		TRY(jinja_parse_expression(p, &n));
		return make(p, several ? N_SPREAD : N_SPREAD_NAMED, OP_NONE, n, NULL, out);
	}
	if (jinja_now(p)->kind == T_NAME && next->kind == T_OPERATOR && next->op == OP_ASSIGN) {
		TRY(jinja_node_new(p, N_KEYWORD, &n));
		n->name = jinja_now(p)->bytes;
		p->at += 2;
		seen->named = true;
		TRY(jinja_parse_expression(p, &n->a));
		*out = n;
		return jinja_node_done(p, n);
	}
	if (seen->named || seen->several)
		return jinja_parse_fail(p, "an argument by name");
	return jinja_parse_expression(p, out);
}

static int parse_call_arguments(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node **last = out;
	struct call_arguments seen = { 0 };
	unsigned count = 0;
	TRY(jinja_expect_op(p, OP_LPAREN, "\"(\""));
	while (!jinja_at_op(p, OP_RPAREN)) {
		if (*out)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\" or \")\""));
		if (jinja_at_op(p, OP_RPAREN))
			break;
		TRY(parse_argument(p, &seen, last));
		check(*last != NULL);
		if (++count > JINJA_ARGUMENTS_MAX)
			return jinja_fail(p->j, "a call has more than %u arguments",
					  JINJA_ARGUMENTS_MAX);
		for (const struct jinja_node *n = *out; n != *last; n = n->next)
			if (n->kind == N_KEYWORD && (*last)->kind == N_KEYWORD &&
			    strcmp(n->name, (*last)->name) == 0)
				return jinja_fail(p->j, "keyword argument repeated: %.40s",
						  n->name);
		last = &(*last)->next;
	}
	p->at++;
	return 0;
}

/* One index, or a:b:c as N_SLICE. */
static int parse_index(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *part[3] = { 0 }, *n;
	int colons = 0;
	if (!jinja_at_op(p, OP_COLON)) {
		TRY(jinja_parse_expression(p, &part[0]));
		*out = part[0];
		if (!jinja_at_op(p, OP_COLON))
			return 0;
	}
	TRY(jinja_node_new(p, N_SLICE, &n));
	while (colons < 2 && jinja_skip_op(p, OP_COLON)) {
		colons++;
		if (!jinja_at_op(p, OP_COLON) && !jinja_at_op(p, OP_COMMA) &&
		    !jinja_at_op(p, OP_RBRACKET))
			TRY(jinja_parse_expression(p, &part[colons]));
	}
	n->b = part[0];
	n->c = part[1];
	n->d = part[2];
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_subscript(struct jinja_parser *p, struct jinja_node *a, struct jinja_node **out)
{
	struct jinja_node *list, **last = &list, *tuple;
	size_t count = 0;
	p->at++;
	for (list = NULL; !jinja_at_op(p, OP_RBRACKET); last = &(*last)->next, count++) {
		if (count)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\" or \"]\""));
		TRY(parse_index(p, last));
	}
	p->at++;
	if (count != 1) { /* a tuple, which may be empty */
		TRY(jinja_node_new(p, N_TUPLE, &tuple));
		for (const struct jinja_node *n = list; n; n = n->next)
			if (n->kind == N_SLICE)
				return jinja_refuse(p->j, "slices in several dimensions");
		tuple->list = list;
		TRY(jinja_node_done(p, tuple));
		list = tuple;
	}
	return make(p, N_ITEM, OP_NONE, a, list, out);
}

static int parse_dot(struct jinja_parser *p, struct jinja_node *a, struct jinja_node **out)
{
	struct jinja_node *n, *index;
	p->at++;
	if (jinja_now(p)->kind == T_NUMBER && jinja_now(p)->value.kind != J_FLOAT) {
		TRY(parse_constant(p, jinja_now(p)->value, &index));
		return make(p, N_ITEM, OP_NONE, a, index, out);
	}
	if (jinja_now(p)->kind != T_NAME)
		return jinja_parse_fail(p, "a name or number");
	TRY(make(p, N_ATTRIBUTE, OP_NONE, a, NULL, &n));
	n->name = jinja_now(p)->bytes;
	TRY(jinja_str(p->j, n->name, jinja_now(p)->len, false, &n->value));
	p->at++;
	*out = n;
	return 0;
}

static int parse_call(struct jinja_parser *p, struct jinja_node *a, struct jinja_node **out)
{
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_CALL, &n));
	n->a = a;
	TRY(parse_call_arguments(p, &n->list));
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_postfix(struct jinja_parser *p, struct jinja_node *a, struct jinja_node **out)
{
	for (;;) {
		if (jinja_at_op(p, OP_DOT))
			TRY(parse_dot(p, a, &a));
		else if (jinja_at_op(p, OP_LBRACKET))
			TRY(parse_subscript(p, a, &a));
		else if (jinja_at_op(p, OP_LPAREN))
			TRY(parse_call(p, a, &a));
		else
			break;
	}
	*out = a;
	return 0;
}

/* What is unknown is an error here, unless it stands where it may never be used. */
static int known(struct jinja_parser *p)
{
	const struct jinja_node *n = p->unknown;
	p->unknown = NULL;
	return !n || p->soft ? 0
			     : jinja_fail(p->j, "No %s named '%.60s'",
					  n->kind == N_FILTER ? "filter" : "test", n->name);
}

/* The name of a filter or test, perhaps with dots, which is looked up. */
static int parse_applied_name(struct jinja_parser *p, struct jinja_node *n, bool filter)
{
	size_t begin = p->at, len = 0;
	char name[128];
	do {
		if (jinja_now(p)->kind != T_NAME)
			return jinja_parse_fail(p, filter ? "the name of a filter"
							  : "the name of a test");
		len += (size_t)snprintf(name + len, sizeof name - len, "%s%s",
					p->at > begin ? "." : "", jinja_now(p)->bytes);
		if (len >= sizeof name)
			return jinja_fail(p->j, "the name of a filter or test is too long");
		p->at++;
	} while (jinja_skip_op(p, OP_DOT));
	n->name = arena_copy(&p->j->arena, name, len);
	if (!n->name)
		return jinja_no_memory(p->j);
	n->callable = filter ? jinja_filter_find(name, len) : jinja_test_find(name, len);
	if (!n->callable && !p->unknown)
		p->unknown = n;
	return p->expressions ? 0 : known(p);
}

static int parse_filter(struct jinja_parser *p, struct jinja_node *a, struct jinja_node **out)
{
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_FILTER, &n));
	n->a = a;
	TRY(parse_applied_name(p, n, true));
	if (jinja_at_op(p, OP_LPAREN))
		TRY(parse_call_arguments(p, &n->list));
	*out = n;
	return jinja_node_done(p, n);
}

/* Whether a test's argument may stand here without brackets. */
static bool at_test_argument(const struct jinja_parser *p)
{
	const struct jinja_token *t = jinja_now(p);
	if (t->kind == T_NAME)
		return !jinja_at_name(p, "else") && !jinja_at_name(p, "or") &&
		       !jinja_at_name(p, "and");
	return t->kind == T_STRING || t->kind == T_NUMBER || jinja_at_op(p, OP_LBRACKET) ||
	       jinja_at_op(p, OP_LBRACE);
}

static int parse_test(struct jinja_parser *p, struct jinja_node *a, struct jinja_node **out)
{
	struct jinja_node *n;
	p->at++;
	bool negated = jinja_skip_name(p, "not");
	TRY(jinja_node_new(p, N_TEST, &n));
	n->a = a;
	TRY(parse_applied_name(p, n, false));
	if (jinja_at_op(p, OP_LPAREN)) {
		TRY(parse_call_arguments(p, &n->list));
	} else if (at_test_argument(p)) {
		if (jinja_at_name(p, "is"))
			return jinja_parse_fail(p, "no second test");
		TRY(parse_primary(p, &n->list));
		TRY(parse_postfix(p, n->list, &n->list));
	}
	TRY(jinja_node_done(p, n));
	*out = n;
	return negated ? make(p, N_NOT, OP_NONE, n, NULL, out) : 0;
}

int jinja_parse_filters(struct jinja_parser *p, struct jinja_node *a, bool first,
			struct jinja_node **out)
{
	if (first)
		TRY(parse_filter(p, a, &a));
	for (;;) {
		if (jinja_skip_op(p, OP_PIPE))
			TRY(parse_filter(p, a, &a));
		else if (!first && jinja_at_name(p, "is"))
			TRY(parse_test(p, a, &a));
		else if (!first && jinja_at_op(p, OP_LPAREN))
			TRY(parse_call(p, a, &a));
		else
			break;
	}
	*out = a;
	return 0;
}

/* ---- operators ---- */

static int parse_unary(struct jinja_parser *p, bool filters, struct jinja_node **out)
{
	struct jinja_node *n = NULL;
	bool minus = jinja_at_op(p, OP_SUB), plus = jinja_at_op(p, OP_ADD);
	TRY(enter(p));
	if (minus || plus) {
		p->at++;
		TRY(parse_unary(p, false, &n));
		TRY(make(p, minus ? N_NEG : N_POS, OP_NONE, n, NULL, &n));
	} else {
		TRY(parse_primary(p, &n));
	}
	TRY(parse_postfix(p, n, &n));
	if (filters)
		TRY(jinja_parse_filters(p, n, false, &n));
	p->nesting--;
	*out = n;
	return 0;
}

static enum jinja_op op_of(const struct jinja_parser *p, const enum jinja_op *ops)
{
	for (; *ops; ops++)
		if (jinja_at_op(p, *ops))
			return *ops;
	return OP_NONE;
}

static int parse_power(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *left, *right;
	TRY(parse_unary(p, true, &left));
	while (jinja_skip_op(p, OP_POW)) {
		TRY(parse_unary(p, true, &right));
		TRY(make(p, N_BINARY, OP_POW, left, right, &left));
	}
	*out = left;
	return 0;
}

static int parse_product(struct jinja_parser *p, struct jinja_node **out)
{
	static const enum jinja_op ops[] = { OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_NONE };
	struct jinja_node *left, *right;
	TRY(parse_power(p, &left));
	for (enum jinja_op op; (op = op_of(p, ops));) {
		p->at++;
		TRY(parse_power(p, &right));
		TRY(make(p, N_BINARY, op, left, right, &left));
	}
	*out = left;
	return 0;
}

static int parse_concat(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *first, *n, **last;
	TRY(parse_product(p, &first));
	*out = first;
	if (!jinja_at_op(p, OP_CONCAT))
		return 0;
	TRY(jinja_node_new(p, N_CONCAT, &n));
	n->list = first;
	for (last = &first->next; jinja_skip_op(p, OP_CONCAT); last = &(*last)->next)
		TRY(parse_product(p, last));
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_sum(struct jinja_parser *p, struct jinja_node **out)
{
	static const enum jinja_op ops[] = { OP_ADD, OP_SUB, OP_NONE };
	struct jinja_node *left, *right;
	TRY(parse_concat(p, &left));
	for (enum jinja_op op; (op = op_of(p, ops));) {
		p->at++;
		TRY(parse_concat(p, &right));
		TRY(make(p, N_BINARY, op, left, right, &left));
	}
	*out = left;
	return 0;
}

/* A comparison here, `in` and `not in` included; consumed. */
static enum jinja_op skip_comparison(struct jinja_parser *p)
{
	static const enum jinja_op ops[] = { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_NONE };
	enum jinja_op op = op_of(p, ops);
	const struct jinja_token *next = &p->tokens.at[p->at + (jinja_now(p)->kind != T_END)];
	if (op) {
		p->at++;
		return op;
	}
	if (jinja_skip_name(p, "in"))
		return OP_IN;
	if (jinja_at_name(p, "not") && next->kind == T_NAME && strcmp(next->bytes, "in") == 0) {
		p->at += 2;
		return OP_NOT_IN;
	}
	return OP_NONE;
}

static int parse_comparison(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *first, *n, **last;
	TRY(parse_sum(p, &first));
	*out = first;
	enum jinja_op op = skip_comparison(p);
	if (!op)
		return 0;
	TRY(jinja_node_new(p, N_COMPARE, &n));
	n->a = first;
	for (last = &n->list; op; op = skip_comparison(p), last = &(*last)->next) {
		struct jinja_node *right;
		TRY(parse_sum(p, &right));
		TRY(make(p, N_OPERAND, op, right, NULL, last));
	}
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_not(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *n;
	if (!jinja_skip_name(p, "not"))
		return parse_comparison(p, out);
	TRY(enter(p));
	TRY(parse_not(p, &n));
	p->nesting--;
	return make(p, N_NOT, OP_NONE, n, NULL, out);
}

static int parse_and(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *left, *right;
	TRY(parse_not(p, &left));
	while (jinja_skip_name(p, "and")) {
		TRY(parse_not(p, &right));
		TRY(make(p, N_AND, OP_NONE, left, right, &left));
	}
	*out = left;
	return 0;
}

static int parse_or(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *left, *right;
	TRY(parse_and(p, &left));
	while (jinja_skip_name(p, "or")) {
		TRY(parse_and(p, &right));
		TRY(make(p, N_OR, OP_NONE, left, right, &left));
	}
	*out = left;
	return 0;
}

int jinja_parse_expression(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *value, *n;
	const struct jinja_node *unknown = p->unknown;
	TRY(enter(p));
	p->expressions++;
	TRY(parse_or(p, &value));
	while (jinja_skip_name(p, "if")) {
		TRY(jinja_node_new(p, N_COND, &n));
		n->a = value;
		TRY(parse_or(p, &n->b));
		if (jinja_skip_name(p, "else"))
			TRY(jinja_parse_expression(p, &n->c));
		TRY(jinja_node_done(p, n));
		value = n;
		p->unknown = unknown; /* what is in these matters when it is used */
	}
	p->nesting--;
	*out = value;
	return --p->expressions ? 0 : known(p);
}

/* Whether a tuple without brackets ends here. */
static bool at_tuple_end(const struct jinja_parser *p)
{
	return jinja_at_op(p, OP_RPAREN) || jinja_now(p)->kind == T_BLOCK_END ||
	       jinja_now(p)->kind == T_PRINT_END;
}

int jinja_parse_tuple(struct jinja_parser *p, bool condition, struct jinja_node **out)
{
	struct jinja_node *first, *n, **last;
	p->expressions++;
	TRY(condition ? jinja_parse_expression(p, &first) : parse_or(p, &first));
	*out = first;
	if (jinja_at_op(p, OP_COMMA)) {
		TRY(jinja_node_new(p, N_TUPLE, &n));
		n->list = first;
		for (last = &first->next; jinja_skip_op(p, OP_COMMA); last = &(*last)->next) {
			if (at_tuple_end(p))
				break;
			TRY(condition ? jinja_parse_expression(p, last) : parse_or(p, last));
		}
		*out = n;
		TRY(jinja_node_done(p, n));
	}
	return --p->expressions ? 0 : known(p);
}

/* A name, or names in a tuple, and so on. */
static int check_target(struct jinja_parser *p, const struct jinja_node *n, bool attribute,
			int depth)
{
	bool namespaced = attribute && n->kind == N_ATTRIBUTE && n->value.kind == J_MISSING;
	if (n->kind == N_NAME || namespaced)
		return 0;
	if (n->kind != N_TUPLE || depth > JINJA_NESTING)
		return jinja_parse_fail(p, "a name that can be set");
	for (const struct jinja_node *m = n->list; m; m = m->next)
		TRY(check_target(p, m, attribute, depth + 1));
	return 0;
}

static int parse_target_part(struct jinja_parser *p, bool attribute, struct jinja_node **out)
{
	struct jinja_node *name;
	TRY(parse_primary(p, &name));
	*out = name;
	if (!attribute || name->kind != N_NAME || !jinja_skip_op(p, OP_DOT))
		return 0;
	TRY(make(p, N_ATTRIBUTE, OP_NONE, name, NULL, out));
	if (jinja_now(p)->kind != T_NAME)
		return jinja_parse_fail(p, "an attribute");
	(*out)->name = jinja_now(p)->bytes;
	p->at++;
	return 0;
}

int jinja_parse_target(struct jinja_parser *p, bool attribute, struct jinja_node **out)
{
	struct jinja_node *n, **last;
	TRY(parse_target_part(p, attribute, &n));
	*out = n;
	if (jinja_at_op(p, OP_COMMA)) {
		TRY(jinja_node_new(p, N_TUPLE, out));
		(*out)->list = n;
		for (last = &n->next; jinja_skip_op(p, OP_COMMA); last = &(*last)->next) {
			if (at_tuple_end(p))
				break;
			TRY(parse_target_part(p, attribute, last));
		}
		TRY(jinja_node_done(p, *out));
	}
	return check_target(p, *out, attribute, 0);
}
