/* Statements: what stands between {% and %}. */
#include "template/jinja.h"

#include "base/check.h"

#include <string.h>

static int parse_body(struct jinja_parser *p, const char *const *ends, struct jinja_node **out);

static int end_tag(struct jinja_parser *p)
{
	if (jinja_now(p)->kind != T_BLOCK_END)
		return jinja_parse_fail(p, "the end of the tag");
	p->at++;
	return 0;
}

/* The end of a tag that has a body. */
static int open_body(struct jinja_parser *p)
{
	jinja_skip_op(p, OP_COLON);
	return end_tag(p);
}

static int parse_if(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL };
	struct jinja_node *n, **last;
	bool open = true, soft = p->soft;
	TRY(jinja_node_new(p, N_IF, &n));
	p->soft = true;
	for (last = &n->list; open; last = &(*last)->next) {
		struct jinja_node *branch;
		TRY(jinja_node_new(p, N_BRANCH, last));
		branch = *last;
		bool otherwise = jinja_skip_name(p, "else");
		if (!otherwise) {
			p->at++; /* if, elif */
			TRY(jinja_parse_tuple(p, false, &branch->a));
		}
		TRY(open_body(p));
		TRY(parse_body(p, ends, &branch->list));
		TRY(jinja_node_done(p, branch));
		open = !jinja_skip_name(p, "endif");
		if (open && otherwise)
			return jinja_parse_fail(p, "endif");
	}
	p->soft = soft;
	*out = n;
	return jinja_node_done(p, n);
}

/* A body with names of its own, up to the last of ends, which is consumed. One that runs elsewhere
 * (`separate`): break and continue do not reach a loop around it. */
static int parse_scope_body(struct jinja_parser *p, const char *const *ends, bool separate,
			    struct jinja_node **out)
{
	unsigned loops = p->loops;
	bool soft = p->soft;
	p->loops = separate ? 0 : loops;
	p->soft = false;
	TRY(open_body(p));
	TRY(parse_body(p, ends, out));
	p->loops = loops;
	p->soft = soft;
	return 0;
}

static int parse_for(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "else", "endfor", NULL };
	struct jinja_node *n;
	unsigned loops = p->loops;
	bool soft = p->soft;
	TRY(jinja_node_new(p, N_FOR, &n));
	p->at++;
	TRY(jinja_parse_target(p, false, &n->a));
	if (!jinja_skip_name(p, "in"))
		return jinja_parse_fail(p, "in");
	TRY(jinja_parse_tuple(p, false, &n->b));
	p->soft = false;
	if (jinja_skip_name(p, "if"))
		TRY(jinja_parse_expression(p, &n->c));
	p->soft = soft;
	n->flags |= jinja_skip_name(p, "recursive") ? JINJA_RECURSIVE : 0;
	if (++p->loops > JINJA_LOOP_DEPTH)
		return jinja_fail(p->j, "loops nest deeper than %d", JINJA_LOOP_DEPTH);
	TRY(parse_scope_body(p, ends, false, &n->list));
	p->loops = n->flags & JINJA_RECURSIVE ? 0 : loops; /* a recursive one is a function */
	if (jinja_skip_name(p, "else"))
		TRY(parse_scope_body(p, ends + 1, false, &n->list2));
	p->loops = loops;
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
		bool soft = p->soft;
		n->kind = N_SET_BLOCK;
		p->soft = false;
		if (jinja_skip_op(p, OP_PIPE))
			TRY(jinja_parse_filters(p, NULL, true, &n->b));
		p->soft = soft;
		TRY(parse_scope_body(p, ends, false, &n->list));
		p->at++;
	}
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_parameters(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node **last = out;
	bool soft = p->soft, defaults = false;
	unsigned count = 0;
	TRY(jinja_expect_op(p, OP_LPAREN, "\"(\""));
	p->soft = false;
	while (!jinja_at_op(p, OP_RPAREN)) {
		struct jinja_node *n = NULL;
		if (*out)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\" or \")\""));
		TRY(jinja_name_node(p, N_PARAMETER, &n));
		check(n != NULL);
		if (++count > JINJA_ARGUMENTS_MAX)
			return jinja_fail(p->j, "a macro has more than %u parameters",
					  JINJA_ARGUMENTS_MAX);
		for (const struct jinja_node *m = *out; m; m = m->next)
			if (m->symbol == n->symbol)
				return jinja_fail(p->j, "duplicate argument '%.40s'", n->name);
		if (jinja_skip_op(p, OP_ASSIGN)) {
			defaults = true;
			TRY(jinja_parse_expression(p, &n->a));
		} else if (defaults) {
			return jinja_fail(p->j, "non-default argument follows default argument");
		}
		TRY(jinja_node_done(p, n));
		*last = n;
		last = &n->next;
	}
	p->soft = soft;
	p->at++;
	return 0;
}

static int parse_macro(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endmacro", NULL };
	struct jinja_node *n;
	p->at++;
	TRY(jinja_name_node(p, N_MACRO, &n));
	TRY(parse_parameters(p, &n->list));
	TRY(parse_scope_body(p, ends, true, &n->list2));
	p->at++;
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
	for (const struct jinja_node *m = n->a->list; m; m = m->next)
		if (m->kind == N_KEYWORD && strcmp(m->name, "caller") == 0)
			return jinja_fail(p->j, "keyword argument repeated: caller");
	TRY(parse_scope_body(p, ends, true, &n->list2));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_filter_block(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endfilter", NULL };
	struct jinja_node *n;
	bool soft = p->soft;
	TRY(jinja_node_new(p, N_FILTER_BLOCK, &n));
	p->at++;
	p->soft = false;
	TRY(jinja_parse_filters(p, NULL, true, &n->a));
	p->soft = soft;
	TRY(parse_scope_body(p, ends, false, &n->list));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_with(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endwith", NULL };
	struct jinja_node *n, **last;
	TRY(jinja_node_new(p, N_WITH, &n));
	p->at++;
	for (last = &n->list; jinja_now(p)->kind != T_BLOCK_END; last = &(*last)->next) {
		if (last != &n->list)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\""));
		TRY(jinja_node_new(p, N_SET, last));
		TRY(jinja_parse_target(p, false, &(*last)->a));
		TRY(jinja_expect_op(p, OP_ASSIGN, "\"=\""));
		TRY(jinja_parse_expression(p, &(*last)->b));
		TRY(jinja_node_done(p, *last));
	}
	TRY(parse_scope_body(p, ends, false, &n->list2));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

static int parse_autoescape(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endautoescape", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_AUTOESCAPE, &n));
	p->at++;
	TRY(jinja_parse_expression(p, &n->a));
	TRY(parse_scope_body(p, ends, false, &n->list));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

/* {% generation %}: only its body counts; the tag marks tokens for training. */
static int parse_generation(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endgeneration", NULL };
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_GENERATION, &n));
	p->at++;
	TRY(parse_scope_body(p, ends, true, &n->list2));
	p->at++;
	*out = n;
	return jinja_node_done(p, n);
}

/* A required block without inheritance is never found; its own body may hold white space only. */
static int check_required(struct jinja_parser *p, const struct jinja_node *n)
{
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		size_t begin = 0, end = 0;
		if (m->kind == N_DATA)
			jinja_strip(m->value.text, NULL, true, true, &begin, &end);
		if (m->kind != N_DATA || begin < end)
			return jinja_fail(
				p->j, "Required blocks can only contain comments or whitespace");
	}
	return 0;
}

static int parse_block(struct jinja_parser *p, struct jinja_node **out)
{
	static const char *const ends[] = { "endblock", NULL };
	struct jinja_node *n;
	p->at++;
	TRY(jinja_name_node(p, N_BLOCK, &n));
	n->flags |= jinja_skip_name(p, "scoped") ? JINJA_SCOPED : 0;
	n->flags |= jinja_skip_name(p, "required") ? JINJA_REQUIRED : 0;
	for (const struct jinja_node *b = p->j->blocks; b; b = b->b)
		if (b->symbol == n->symbol)
			return jinja_fail(p->j, "block '%.40s' defined twice", n->name);
	TRY(parse_scope_body(p, ends, true, &n->list));
	p->at++;
	if (n->flags & JINJA_REQUIRED)
		TRY(check_required(p, n));
	jinja_skip_name(p, n->name);
	TRY(jinja_node_done(p, n));
	n->b = p->j->blocks;
	p->j->blocks = n;
	*out = n;
	return 0;
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

static int parse_print_statement(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *n, **last;
	TRY(jinja_node_new(p, N_PRINT, &n));
	p->at++;
	for (last = &n->list; jinja_now(p)->kind != T_BLOCK_END; last = &(*last)->next) {
		if (last != &n->list)
			TRY(jinja_expect_op(p, OP_COMMA, "\",\""));
		TRY(jinja_parse_expression(p, last));
	}
	*out = n;
	return jinja_node_done(p, n);
}

/* with context, without context, ignore missing: two words, or nothing. */
static void skip_words(struct jinja_parser *p, const char *first, const char *second)
{
	const struct jinja_token *next = &p->tokens.at[p->at + (jinja_now(p)->kind != T_END)];
	if (jinja_at_name(p, first) && next->kind == T_NAME && strcmp(next->bytes, second) == 0)
		p->at += 2;
}

static void skip_context(struct jinja_parser *p)
{
	size_t before = p->at;
	skip_words(p, "with", "context");
	if (p->at == before)
		skip_words(p, "without", "context");
}

static int parse_imported_names(struct jinja_parser *p, struct jinja_node **last)
{
	for (bool more = true; more; last = &(*last)->next) {
		size_t before = p->at;
		skip_context(p);
		if (p->at > before && *last == NULL)
			return 0;
		if (jinja_now(p)->kind == T_NAME && jinja_now(p)->bytes[0] == '_')
			return jinja_parse_fail(p, "a name that does not start with _");
		TRY(jinja_name_node(p, N_NAME, last));
		if (jinja_skip_name(p, "as"))
			TRY(jinja_name_node(p, N_NAME, last));
		skip_context(p);
		more = jinja_skip_op(p, OP_COMMA);
	}
	return 0;
}

/* include, import, from and extends: there is nothing to load from, which is an error once one is
 * reached. */
static int parse_unavailable(struct jinja_parser *p, struct jinja_node **out)
{
	struct jinja_node *n;
	TRY(jinja_node_new(p, N_UNAVAILABLE, &n));
	n->name = jinja_now(p)->bytes;
	p->at++;
	TRY(jinja_parse_expression(p, &n->a));
	if (strcmp(n->name, "include") == 0)
		skip_words(p, "ignore", "missing");
	if (strcmp(n->name, "import") == 0) {
		if (!jinja_skip_name(p, "as"))
			return jinja_parse_fail(p, "as");
		TRY(jinja_name_node(p, N_NAME, &n->list));
	}
	if (strcmp(n->name, "from") == 0) {
		if (!jinja_skip_name(p, "import"))
			return jinja_parse_fail(p, "import");
		TRY(parse_imported_names(p, &n->list));
	} else if (strcmp(n->name, "extends") != 0) {
		skip_context(p);
	}
	*out = n;
	return jinja_node_done(p, n);
}

/* At the tag's first word; the end of the tag is consumed. */
static int parse_statement(struct jinja_parser *p, struct jinja_node **out)
{
	static const struct {
		const char *word;
		int (*parse)(struct jinja_parser *, struct jinja_node **);
	} table[] = {
		{ "if", parse_if },
		{ "for", parse_for },
		{ "set", parse_set },
		{ "macro", parse_macro },
		{ "call", parse_call_block },
		{ "filter", parse_filter_block },
		{ "with", parse_with },
		{ "autoescape", parse_autoescape },
		{ "generation", parse_generation },
		{ "block", parse_block },
		{ "print", parse_print_statement },
		{ "break", parse_jump },
		{ "continue", parse_jump },
		{ "include", parse_unavailable },
		{ "import", parse_unavailable },
		{ "from", parse_unavailable },
		{ "extends", parse_unavailable },
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
	TRY(jinja_parse_tuple(p, true, &n->list));
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
