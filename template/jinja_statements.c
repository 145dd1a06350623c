/* Statements: what stands between {% and %}. */
#include "template/jinja.h"

#include <string.h>

static int parse_body(struct jinja_parser *p, const char *const *ends, struct jinja_node **out);

static int end_tag(struct jinja_parser *p)
{
	if (jinja_now(p)->kind != T_BLOCK_END)
		return jinja_parse_fail(p, "the end of the tag");
	p->at++;
	return 0;
}

/* Names, perhaps several, perhaps in brackets; with attribute: also a.b, for namespaces. */
int jinja_parse_target(struct jinja_parser *p, bool attribute, struct jinja_node **out)
{
	struct jinja_node *n, *tuple = NULL, **last = NULL;
	bool bracket = jinja_skip_op(p, OP_LPAREN);
	do {
		if (tuple && jinja_now(p)->kind != T_NAME)
			break; /* a comma at the end */
		if (jinja_now(p)->kind != T_NAME)
			return jinja_parse_fail(p, "a name");
		TRY(jinja_parse_primary(p, &n));
		if (n->kind != N_NAME)
			return jinja_parse_fail(p, "a name that can be set");
		if (attribute && !tuple && jinja_skip_op(p, OP_DOT)) {
			n->kind = N_ATTRIBUTE;
			struct jinja_node *of;
			TRY(jinja_node_new(p, N_NAME, &of));
			of->name = n->name;
			TRY(jinja_node_done(p, of));
			n->a = of;
			if (jinja_now(p)->kind != T_NAME)
				return jinja_parse_fail(p, "an attribute");
			n->name = jinja_now(p)->bytes;
			p->at++;
			*out = n;
			return jinja_node_done(p, n);
		}
		if (!tuple && jinja_at_op(p, OP_COMMA)) {
			TRY(jinja_node_new(p, N_TUPLE, &tuple));
			last = &tuple->list;
		}
		if (last) {
			*last = n;
			last = &n->next;
		}
	} while (jinja_skip_op(p, OP_COMMA));
	*out = tuple ? tuple : n;
	if (bracket)
		TRY(jinja_expect_op(p, OP_RPAREN, "\")\""));
	return jinja_node_done(p, *out);
}

static int parse_if(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL };
	struct jinja_node *n, **last;
	bool open = true;
	TRY(jinja_node_new(p, N_IF, &n));
	for (last = &n->list; open; last = &(*last)->next) {
		struct jinja_node *branch;
		TRY(jinja_node_new(p, N_BRANCH, last));
		branch = *last;
		bool otherwise = jinja_skip_name(p, "else");
		if (!otherwise) {
			p->at++; /* if, elif */
			TRY(jinja_parse_tuple(p, false, &branch->a));
		}
		TRY(end_tag(p));
		TRY(parse_body(p, ends, &branch->list));
		TRY(jinja_node_done(p, branch));
		open = !jinja_skip_name(p, "endif");
		if (open && otherwise)
			return jinja_parse_fail(p, "endif");
	}
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_for(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "else", "endfor", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_FOR, &n));
	p->at++;
	TRY(jinja_parse_target(p, false, &n->a));
	if (!jinja_skip_name(p, "in"))
		return jinja_parse_fail(p, "in");
	TRY(jinja_parse_tuple(p, false, &n->b));
	if (jinja_skip_name(p, "if"))
		TRY(jinja_parse_expression(p, &n->c));
	if (jinja_at_name(p, "recursive"))
		return jinja_refuse(p->j, "recursive loops");
	TRY(end_tag(p));
	if (++p->loops > JINJA_LOOP_DEPTH)
		return jinja_fail(p->j, "loops nest deeper than %d", JINJA_LOOP_DEPTH);
	TRY(parse_body(p, ends, &n->list));
	p->loops--;
	if (jinja_skip_name(p, "else")) {
		TRY(end_tag(p));
		TRY(parse_body(p, ends + 1, &n->list2));
	}
	p->at++; /* endfor */
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_set(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endset", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_SET, &n));
	p->at++;
	TRY(jinja_parse_target(p, true, &n->a));
	if (jinja_skip_op(p, OP_ASSIGN)) {
		TRY(jinja_parse_tuple(p, true, &n->b));
	} else {
		n->kind = N_SET_BLOCK;
		if (jinja_skip_op(p, OP_PIPE))
			TRY(jinja_parse_filters(p, NULL, true, &n->b));
		TRY(end_tag(p));
		TRY(parse_body(p, ends, &n->list));
		p->at++;
	}
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_parameters(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node **last = out;
	TRY(jinja_expect_op(p, OP_LPAREN, "\"(\""));
	for (; !jinja_at_op(p, OP_RPAREN); last = &(*last)->next) {
		struct jinja_node *n;
		if (*out)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\" or \")\""));
		if (jinja_at_op(p, OP_RPAREN))
			break;
		TRY(jinja_node_new(p, N_PARAMETER, &n));
		if (jinja_now(p)->kind != T_NAME)
			return jinja_parse_fail(p, "a parameter");
		n->name = jinja_now(p)->bytes;
		p->at++;
		if (jinja_skip_op(p, OP_ASSIGN))
			TRY(jinja_parse_expression(p, &n->a));
		TRY(jinja_node_done(p, n));
		*last = n;
	}
	p->at++;
	return 0;
}

/* Which of the names varargs, kwargs and caller occur between two tokens. */
static unsigned char names_used(const struct jinja_parser *p, size_t begin, size_t end)
{
	static const char *const names[] = { "varargs", "kwargs", "caller" };
	unsigned used = 0;
	for (size_t i = begin; i < end; i++) {
		const struct jinja_token *t = &p->tokens.at[i], *before = t - 1, *after = t + 1;
		bool member = before->kind == T_OPERATOR && before->op == OP_DOT;
		bool set = after->kind == T_OPERATOR && after->op == OP_ASSIGN;
		for (unsigned k = 0; k < 3 && t->kind == T_NAME && !member && !set; k++)
			used |= (unsigned)(strcmp(t->bytes, names[k]) == 0) << k;
	}
	return (unsigned char)used;
}

/* A body that runs elsewhere: break and continue do not reach a loop around it. */
static int parse_separate_body(struct jinja_parser *p, const char *const *ends,
                               struct jinja_node **out)
{
	unsigned loops = p->loops;
	TRY(end_tag(p));
	p->loops = 0;
	TRY(parse_body(p, ends, out));
	p->loops = loops;
	p->at++;
	return 0;
}

static int parse_macro(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endmacro", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_MACRO, &n));
	p->at++;
	if (jinja_now(p)->kind != T_NAME)
		return jinja_parse_fail(p, "the name of a macro");
	n->name = jinja_now(p)->bytes;
	p->at++;
	TRY(parse_parameters(p, &n->list));
	size_t begin = p->at;
	TRY(parse_separate_body(p, ends, &n->list2));
	n->names = names_used(p, begin, p->at);
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_call_block(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endcall", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_CALL_BLOCK, &n));
	p->at++;
	if (jinja_at_op(p, OP_LPAREN))
		TRY(parse_parameters(p, &n->list));
	TRY(jinja_parse_expression(p, &n->a));
	if (n->a->kind != N_CALL)
		return jinja_parse_fail(p, "a call");
	size_t begin = p->at;
	TRY(parse_separate_body(p, ends, &n->list2));
	n->names = names_used(p, begin, p->at);
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_filter_block(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endfilter", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_FILTER_BLOCK, &n));
	p->at++;
	TRY(jinja_parse_filters(p, NULL, true, &n->a));
	TRY(end_tag(p));
	TRY(parse_body(p, ends, &n->list));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_with(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endwith", NULL };
	struct jinja_node *n, **last;
	TRY(jinja_node_new(p, N_SCOPE, &n));
	p->at++;
	for (last = &n->list; jinja_now(p)->kind != T_BLOCK_END; last = &(*last)->next) {
		if (last != &n->list)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\""));
		TRY(jinja_node_new(p, N_SET, last));
		if (jinja_now(p)->kind != T_NAME)
			return jinja_parse_fail(p, "a name");
		TRY(jinja_parse_primary(p, &(*last)->a));
		TRY(jinja_expect_op(p, OP_ASSIGN, "\"=\""));
		TRY(jinja_parse_expression(p, &(*last)->b));
		TRY(jinja_node_done(p, *last));
	}
	TRY(end_tag(p));
	TRY(parse_body(p, ends, &n->list2));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

/* {% generation %}: only its body counts; the tag marks tokens for training. */
static int parse_generation(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endgeneration", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_SCOPE, &n));
	p->at++;
	TRY(end_tag(p));
	TRY(parse_body(p, ends, &n->list2));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_jump(struct jinja_parser *p, struct jinja_node **out)
{
	bool leave = jinja_at_name(p, "break");
	TRY(jinja_node_new(p, leave ? N_BREAK : N_CONTINUE, out));
	if (!p->loops)
		return jinja_fail(p->j, "break or continue outside a loop");
	p->at++;
	return jinja_node_done(p, *out);
}

/* At the tag's first word; the end of the tag is consumed. */
static int parse_statement(struct jinja_parser *p, struct jinja_node **out)
{
	static const struct { const char *word; int (*parse)(struct jinja_parser *,
	                                                     struct jinja_node **); } table[] = {
		{ "if", parse_if }, { "for", parse_for }, { "set", parse_set }, { "macro", parse_macro },
		{ "call", parse_call_block }, { "filter", parse_filter_block }, { "with", parse_with },
		{ "generation", parse_generation }, { "break", parse_jump }, { "continue", parse_jump },
	};
	if (jinja_now(p)->kind != T_NAME)
		return jinja_parse_fail(p, "a statement");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (jinja_at_name(p, table[i].word)) {
			TRY(table[i].parse(p, out));
			return end_tag(p);
		}
	p->j->line = jinja_now(p)->line;
	return jinja_refuse(p->j, "the statement %.40s", jinja_now(p)->bytes);
}

static int parse_print(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_PRINT, &n));
	p->at++;
	TRY(jinja_parse_tuple(p, true, &n->a));
	if (jinja_now(p)->kind != T_PRINT_END)
		return jinja_parse_fail(p, "\"}}\"");
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_data(struct jinja_parser *p, struct jinja_node **out)
{
	TRY(jinja_node_new(p, N_DATA, out));
	TRY(jinja_str(p->j, jinja_now(p)->bytes, jinja_now(p)->len, false, &(*out)->value));
	p->at++;
	return jinja_node_done(p, *out);
}

static bool at_end(const struct jinja_parser *p, const char *const *ends)
{
	for (; ends && *ends; ends++)
		if (jinja_at_name(p, *ends))
			return true;
	return false;
}

/* Statements up to a tag that starts with one of ends; stops at that word. ends NULL: to the end of
 * the text. */
static int parse_body(struct jinja_parser *p, const char *const *ends, struct jinja_node **out)
{
	struct jinja_node **last = out;
	if (++p->nesting > JINJA_NESTING)
		return jinja_fail(p->j, "the template nests deeper than %d", JINJA_NESTING);
	for (;; last = &(*last)->next) {
		if (jinja_now(p)->kind == T_END) {
			while (ends && ends[1]) /* the last one closes the statement */
				ends++;
			if (ends)
				return jinja_parse_fail(p, *ends);
			break;
		}
		if (jinja_now(p)->kind == T_DATA) {
			TRY(parse_data(p, last));
		} else if (jinja_now(p)->kind == T_PRINT_BEGIN) {
			TRY(parse_print(p, last));
		} else {
			p->at++;
			if (at_end(p, ends))
				break;
			TRY(parse_statement(p, last));
		}
	}
	p->nesting--;
	return 0;
}

int jinja_parse(struct jinja *j, const char *text, size_t len, struct jinja_node **body)
{
	struct jinja_parser p = { .j = j };
	TRY(jinja_lex(j, text, len, &p.tokens));
	*body = NULL;
	return parse_body(&p, NULL, body);
}
