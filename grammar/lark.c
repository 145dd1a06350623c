/* Grammars in Lark's language.
 *
 *   rule         := [!?]* name parameters? ('.' priority)? ':' alternatives
 *   alternatives := alternative ('|' alternative)*   alternative := (item repeat?)* ('->' name)?
 *   item   := name | name '{' value (',' value)* '}' | "text" | "text"i | "a".."z"
 *             | /expression/flags | '(' alternatives ')' | '[' alternatives ']'
 *   repeat := '*' | '+' | '?' | '~' n | '~' n '..' m | '{' n '}' | '{' n? ',' m? '}'
 *   or     := %ignore alternatives | %import common.NAME (-> name)? | %import common (NAME, ..)
 *
 * Comments begin with // or #. Names in capitals are terminals. What decides about trees only
 * (prefixes of names, priorities, aliases) is read and changes nothing. The language is that of the
 * characters: a terminal may be any of its texts, where Lark's lexers might take the longest. What
 * is ignored may stand before, between and behind the terminals of rules. The start rule is
 * `start`, or else the first. */
#include "grammar/lark_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

bool lark_going(const struct lark_reader *r) { return r->rc == 0 && r->p->failed == 0; }

uint32_t lark_line(struct lark_reader *r)
{
	if (r->at < r->counted)
		r->line = 0, r->counted = 0;
	for (; r->counted < r->at && r->counted < r->len; r->counted++)
		r->line += r->text[r->counted] == '\n';
	return r->line + 1;
}

static uint32_t stop(struct lark_reader *r, int code, const char *what, const char *end)
{
	if (r->rc == 0)
		r->rc = pattern_done(r->p, r->e);
	if (r->rc == 0)
		r->rc = err_set(r->e, code, "grammar, line %u: %s%s", lark_line(r), what, end);
	return 0;
}

uint32_t lark_wrong(struct lark_reader *r, const char *what)
{
	return stop(r, ERR_INPUT, what, "");
}

uint32_t lark_refuse(struct lark_reader *r, const char *what)
{
	return stop(r, ERR_UNSUPPORTED, what, " is not available");
}

int lark_peek(const struct lark_reader *r, size_t ahead)
{
	return r->len - r->at > ahead ? (unsigned char)r->text[r->at + ahead] : -1;
}

bool lark_take(struct lark_reader *r, const char *word)
{
	size_t n = strlen(word);
	if (r->len - r->at < n || memcmp(r->text + r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

void lark_skip(struct lark_reader *r)
{
	for (; r->at < r->len; r->at++) {
		int c = lark_peek(r, 0);
		if (c == '#' || (c == '/' && lark_peek(r, 1) == '/')) {
			while (r->at + 1 < r->len && r->text[r->at + 1] != '\n')
				r->at++;
		} else if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f') {
			return;
		}
	}
}

static bool name_byte(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* The name at the place; a '-' may stand inside, as llguidance has it. */
static struct lark_span name_here(const struct lark_reader *r)
{
	size_t n = 0;
	int c = lark_peek(r, 0);
	if (c < 0 || !name_byte(c) || (c >= '0' && c <= '9'))
		return (struct lark_span){ r->at, 0 };
	while (name_byte(lark_peek(r, n)) ||
	       (lark_peek(r, n) == '-' && name_byte(lark_peek(r, n + 1))))
		n++;
	return (struct lark_span){ r->at, n };
}

static struct lark_span name_take(struct lark_reader *r)
{
	struct lark_span name = name_here(r);
	if (name.len == 0)
		lark_wrong(r, "a name expected");
	r->at += name.len;
	lark_skip(r);
	return name;
}

static bool is_terminal(const struct lark_reader *r, struct lark_span name)
{
	size_t i = 0;
	while (i < name.len && r->text[name.at + i] == '_')
		i++;
	return i < name.len && r->text[name.at + i] >= 'A' && r->text[name.at + i] <= 'Z';
}

static bool same_name(const struct lark_reader *r, struct lark_span a, struct lark_span b)
{
	return a.len == b.len && memcmp(r->text + a.at, r->text + b.at, a.len) == 0;
}

/* ---- symbols ---- */

struct lark_symbol *lark_symbol(struct lark *l, uint32_t rule)
{
	if (l->p->failed != 0 || rule == PATTERN_NONE)
		return NULL;
	if (rule >= l->symbols) {
		uint32_t room = (rule / 256 + 1) * 256;
		struct lark_symbol *more = realloc(l->symbol, room * sizeof *more);
		if (more == NULL) {
			l->p->failed = ERR_NOMEM;
			return NULL;
		}
		memset(more + l->symbols, 0, (room - l->symbols) * sizeof *more);
		l->symbol = more;
		l->symbols = room;
	}
	return &l->symbol[rule];
}

/* The rule with prefix and name, noted as a terminal or not. */
static uint32_t symbol_named(struct lark_reader *r, const char *prefix, const char *text,
			     struct lark_span name)
{
	struct buf full = { 0 };
	buf_add_text(&full, prefix);
	buf_add(&full, text + name.at, name.len);
	if (lark_going(r))
		r->rc = buf_done(&full, r->e);
	uint32_t rule = lark_going(r) ? pattern_rule(r->p, full.bytes, full.len) : PATTERN_NONE;
	buf_free(&full);
	struct lark_symbol *s = lark_symbol(r->l, rule);
	if (s == NULL)
		return PATTERN_NONE;
	struct lark_reader at = *r;
	at.text = text;
	s->terminal = is_terminal(&at, name);
	if (s->line == 0)
		s->line = lark_line(r);
	return rule;
}

static void define(struct lark_reader *r, uint32_t rule, uint32_t root)
{
	if (!lark_going(r) || rule == PATTERN_NONE)
		return;
	if (r->p->rule[rule].root != PATTERN_NONE)
		lark_wrong(r, "the rule is defined twice");
	else
		r->p->rule[rule].root = root;
}

static uint32_t call(struct lark_reader *r, uint32_t rule)
{
	return pattern_add(r->p, PATTERN_CALL, rule, 0);
}

/* A terminal without name, as a token where a rule is read. Plain text needs no rule. */
static uint32_t token_node(struct lark_reader *r, uint32_t node, bool text, bool lazy)
{
	struct pattern_list list = { 0 };
	if (!lark_going(r) || r->terminal)
		return node;
	if (text) {
		lark_begins_text(r->l, node);
		pattern_push(r->p, &list, node);
		if (r->l->ignore != PATTERN_NONE && r->p->node[node].kind != PATTERN_EMPTY)
			pattern_push(r->p, &list, call(r, r->l->ignore));
		return pattern_close(r->p, &list, PATTERN_SEQ);
	}
	uint32_t rule = pattern_rule_add(r->p, node);
	struct lark_symbol *s = lark_symbol(r->l, rule);
	if (s == NULL)
		return 0;
	*s = (struct lark_symbol){ .terminal = true, .lazy = lazy, .line = lark_line(r) };
	return call(r, lark_token(r->l, rule));
}

/* ---- items ---- */

static uint32_t alternatives(struct lark_reader *r);

/* A parameter of the template at work: what it was given; PATTERN_NONE: it is none. */
static uint32_t parameter(const struct lark_reader *r, struct lark_span name)
{
	for (uint32_t i = 0; r->within != NULL && i < r->within->parameters; i++) {
		if (same_name(r, r->within->parameter[i], name))
			return r->with->argument[i];
	}
	return PATTERN_NONE;
}

static uint32_t value_rule(struct lark_reader *r);

/* A use of a template: a rule of its own for the same arguments. */
static uint32_t instance_rule(struct lark_reader *r, struct lark_span name)
{
	struct lark_instance one = { .name = name };
	struct buf key = { 0 };
	buf_printf(&key, "%.*s{", (int)name.len, r->text + name.at);
	do {
		lark_skip(r);
		if (one.arguments == LARK_PARAMETERS)
			lark_wrong(r, "a template has at most 16 arguments");
		if (!lark_going(r))
			break;
		one.argument[one.arguments] = value_rule(r);
		buf_printf(&key, "%u,", one.argument[one.arguments++]);
		lark_skip(r);
	} while (lark_going(r) && lark_take(r, ","));
	if (lark_going(r) && !lark_take(r, "}"))
		lark_wrong(r, "} expected");
	if (lark_going(r))
		r->rc = buf_done(&key, r->e);
	uint32_t before = r->p->rules;
	one.rule = lark_going(r) ? pattern_rule(r->p, key.bytes, key.len) : PATTERN_NONE;
	buf_free(&key);
	if (!lark_going(r) || one.rule < before)
		return one.rule;
	if (r->instances == LARK_INSTANCES) {
		lark_wrong(r, "templates are used in more than 1000 ways");
		return PATTERN_NONE;
	}
	if (r->instances % 64 == 0) {
		struct lark_instance *more =
			realloc(r->instance, (r->instances + 64) * sizeof *more);
		if (more == NULL) {
			r->p->failed = ERR_NOMEM;
			return PATTERN_NONE;
		}
		r->instance = more;
	}
	r->instance[r->instances++] = one;
	return one.rule;
}

/* The rule that a name stands for where a rule is read: of a terminal, its token's. */
static uint32_t name_rule(struct lark_reader *r)
{
	struct lark_span name = name_here(r);
	r->at += name.len;
	uint32_t rule = parameter(r, name);
	if (rule != PATTERN_NONE)
		return rule;
	if (lark_peek(r, 0) == '{' && !(lark_peek(r, 1) >= '0' && lark_peek(r, 1) <= '9') &&
	    lark_peek(r, 1) != ',') {
		if (r->terminal) {
			lark_refuse(r, "a template in a terminal");
			return PATTERN_NONE;
		}
		if (++r->depth > LIMIT_CONSTRAINT_NESTING)
			lark_wrong(r, "templates nest too deeply");
		r->at++;
		rule = lark_going(r) ? instance_rule(r, name) : PATTERN_NONE;
		r->depth--;
		return rule;
	}
	rule = symbol_named(r, r->prefix, r->text, name);
	if (rule == PATTERN_NONE || r->terminal || !r->l->symbol[rule].terminal)
		return rule;
	return lark_token(r->l, rule);
}

/* An argument of a template, or a number of it that is the same for the same text. */
static uint32_t value_rule(struct lark_reader *r)
{
	bool lazy = false;
	int c = lark_peek(r, 0);
	size_t begin = r->at;
	uint32_t node;
	if (name_here(r).len > 0)
		return name_rule(r);
	if (c == '"' || c == '\'') {
		node = lark_string(r);
		node = token_node(r, node, true, false);
	} else if (c == '/') {
		node = lark_expression(r, &lazy);
		node = token_node(r, node, false, lazy);
	} else {
		lark_wrong(r, "a name, a string or an expression expected");
		return PATTERN_NONE;
	}
	if (!lark_going(r))
		return PATTERN_NONE;
	uint32_t before = r->p->rules, rule = pattern_rule(r->p, r->text + begin, r->at - begin);
	if (rule != PATTERN_NONE && rule >= before)
		r->p->rule[rule].root = node;
	return rule;
}

/* What other readers of Lark's language have, and this one has not. */
static uint32_t item_other(struct lark_reader *r)
{
	static const struct {
		const char *begin, *what;
	} others[] = {
		{ "%json", "%json (use a schema)" },
		{ "%regex", "%regex" },
		{ "%lark", "%lark" },
		{ "<", "a special token <..>" },
		{ "@", "a reference to another grammar" },
		{ "&", "the intersection &" },
		{ "~", "the complement ~" },
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (lark_take(r, others[i].begin))
			return lark_refuse(r, others[i].what);
	}
	return lark_wrong(r, "a name, a string, an expression or a group expected");
}

static uint32_t group(struct lark_reader *r, const char *end)
{
	if (++r->depth > LIMIT_CONSTRAINT_NESTING)
		return lark_wrong(r, "groups nest too deeply");
	uint32_t at = alternatives(r);
	r->depth--;
	if (lark_going(r) && !lark_take(r, end))
		return lark_wrong(r, *end == ')' ? ") expected" : "] expected");
	return at;
}

static uint32_t item(struct lark_reader *r)
{
	bool lazy = false;
	int c = lark_peek(r, 0);
	uint32_t node;
	if (name_here(r).len > 0)
		return call(r, name_rule(r));
	if (c == '"' || c == '\'') {
		node = lark_string(r);
		return token_node(r, node, true, false);
	}
	if (c == '/') {
		node = lark_expression(r, &lazy);
		if (r->terminal && lazy)
			r->l->symbol[r->work].lazy = true;
		return token_node(r, node, false, lazy);
	}
	if (lark_take(r, "("))
		return group(r, ")");
	if (lark_take(r, "["))
		return pattern_repeat(r->p, group(r, "]"), 0, 1);
	return item_other(r);
}

/* ---- repeats ---- */

static bool number(struct lark_reader *r, uint32_t *out)
{
	bool seen = false;
	lark_skip(r);
	for (*out = 0; lark_peek(r, 0) >= '0' && lark_peek(r, 0) <= '9'; seen = true, r->at++) {
		*out = *out * 10 + (uint32_t)(lark_peek(r, 0) - '0');
		if (*out > LIMIT_CONSTRAINT_REPEAT) {
			lark_wrong(r, "a count is over the limit of 10000");
			return false;
		}
	}
	lark_skip(r);
	return seen;
}

/* Counts behind '~' (between: "..") or '{' (between: ","). */
static void counts(struct lark_reader *r, const char *between, uint32_t *min, uint32_t *max)
{
	bool seen = number(r, min), more = false;
	*max = *min;
	if (lark_going(r) && lark_take(r, between)) {
		more = true;
		if (!number(r, max)) {
			*max = PATTERN_MORE;
			seen = seen && *between == ',';
		} else {
			seen = seen || *between == ',';
		}
	}
	if (lark_going(r) && !seen)
		lark_wrong(r, "a count expected");
	if (lark_going(r) && more && *max < *min)
		lark_wrong(r, "counts out of order");
}

/* '?' before a name is the prefix of the next rule. */
static bool is_optional(const struct lark_reader *r)
{
	int next = lark_peek(r, 1);
	return lark_peek(r, 0) == '?' && !(next >= 'a' && next <= 'z') && next != '_';
}

static uint32_t repeated(struct lark_reader *r)
{
	uint32_t at = item(r), min, max;
	int depth = r->depth;
	for (lark_skip(r); lark_going(r); lark_skip(r)) {
		min = 0;
		max = PATTERN_MORE;
		if (lark_take(r, "+")) {
			min = 1;
		} else if (is_optional(r)) {
			max = 1;
			r->at++;
		} else if (lark_take(r, "~")) {
			counts(r, "..", &min, &max);
		} else if (lark_take(r, "{")) {
			counts(r, ",", &min, &max);
			if (lark_going(r) && !lark_take(r, "}"))
				lark_wrong(r, "} expected");
		} else if (!lark_take(r, "*")) {
			break;
		}
		at = pattern_repeat(r->p, at, min, max);
		if (++r->depth > LIMIT_CONSTRAINT_NESTING)
			return lark_wrong(r, "repeats nest too deeply");
	}
	r->depth = depth;
	return at;
}

/* ---- rules ---- */

/* A head of a rule is at the place: its end, behind the colon; 0: there is none. */
static size_t head_end(const struct lark_reader *r)
{
	struct lark_reader ahead = *r;
	while (lark_peek(&ahead, 0) == '!' || lark_peek(&ahead, 0) == '?')
		ahead.at++;
	struct lark_span name = name_here(&ahead);
	ahead.at += name.len;
	lark_skip(&ahead);
	if (lark_take(&ahead, "{")) {
		int c = lark_peek(&ahead, 0);
		for (; name_byte(c) || c == ',' || c == ' '; c = lark_peek(&ahead, 0))
			ahead.at++;
		if (!lark_take(&ahead, "}"))
			return 0;
		lark_skip(&ahead);
	}
	if (lark_take(&ahead, ".")) {
		ahead.at += lark_peek(&ahead, 0) == '-';
		while (lark_peek(&ahead, 0) >= '0' && lark_peek(&ahead, 0) <= '9')
			ahead.at++;
		lark_skip(&ahead);
	}
	return name.len > 0 && lark_take(&ahead, ":") ? ahead.at : 0;
}

static bool body_ends(const struct lark_reader *r)
{
	int c = lark_peek(r, 0);
	static const char *const directives[] = { "%ignore",   "%import", "%declare",
						  "%override", "%extend", "%llguidance" };
	if (c < 0 || c == '|' || c == ')' || c == ']')
		return true;
	for (size_t i = 0; c == '%' && i < sizeof directives / sizeof *directives; i++) {
		struct lark_reader ahead = *r;
		if (lark_take(&ahead, directives[i]))
			return true;
	}
	return head_end(r) > 0;
}

static uint32_t alternatives(struct lark_reader *r)
{
	struct pattern_list all = { 0 };
	do {
		struct pattern_list one = { 0 };
		for (lark_skip(r); lark_going(r) && !body_ends(r); lark_skip(r)) {
			if (lark_take(r, "->")) {
				lark_skip(r);
				name_take(r);
				break;
			}
			pattern_push(r->p, &one, repeated(r));
		}
		pattern_push(r->p, &all, pattern_close(r->p, &one, PATTERN_SEQ));
	} while (lark_going(r) && lark_take(r, "|"));
	return pattern_close(r->p, &all, PATTERN_ALT);
}

/* Over the body of a template, which is read when it is used. */
static void body_skip(struct lark_reader *r)
{
	for (lark_skip(r); lark_going(r) && r->at < r->len; lark_skip(r)) {
		int c = lark_peek(r, 0);
		size_t name = name_here(r).len;
		if (c != '|' && c != ')' && c != ']' && body_ends(r))
			return;
		if (c == '"' || c == '\'' || c == '/') {
			if (!lark_string_skip(r))
				lark_wrong(r, "a string without end");
		} else {
			r->at += name > 0 ? name : 1;
		}
	}
}

static void template_read(struct lark_reader *r, struct lark_span name, size_t body)
{
	struct lark_template t = { .name = name, .body = body };
	do {
		lark_skip(r);
		if (t.parameters == LARK_PARAMETERS)
			lark_wrong(r, "a template has at most 16 parameters");
		else
			t.parameter[t.parameters++] = name_take(r);
	} while (lark_going(r) && lark_take(r, ","));
	if (lark_going(r) && !lark_take(r, "}"))
		lark_wrong(r, "} expected");
	if (r->templates % 64 == 0) {
		struct lark_template *more =
			realloc(r->template, (r->templates + 64) * sizeof *more);
		if (more == NULL) {
			r->p->failed = ERR_NOMEM;
			return;
		}
		r->template = more;
	}
	r->template[r->templates++] = t;
	r->at = body;
	body_skip(r);
}

static void rule(struct lark_reader *r)
{
	size_t body = head_end(r);
	if (body == 0) {
		lark_wrong(r, "a rule `name: ..` or a directive expected");
		return;
	}
	while (lark_take(r, "!") || lark_take(r, "?"))
		;
	struct lark_span name = name_take(r);
	if (lark_take(r, "{")) {
		template_read(r, name, body);
		return;
	}
	uint32_t at = symbol_named(r, r->prefix, r->text, name);
	if (at == PATTERN_NONE)
		return;
	if (r->first == PATTERN_NONE)
		r->first = at;
	r->l->symbol[at].line = lark_line(r);
	r->terminal = r->l->symbol[at].terminal;
	r->work = at;
	r->at = body;
	uint32_t root = alternatives(r);
	r->terminal = false;
	define(r, at, root);
}

/* Bodies of templates in use, which may use others. */
static void instances_read(struct lark_reader *r)
{
	for (uint32_t i = 0; i < r->instances && lark_going(r); i++) {
		struct lark_instance one = r->instance[i];
		const struct lark_template *t = NULL;
		for (uint32_t k = 0; k < r->templates && t == NULL; k++) {
			if (same_name(r, r->template[k].name, one.name))
				t = &r->template[k];
		}
		r->at = one.name.at;
		if (t == NULL || t->parameters != one.arguments) {
			lark_wrong(r, t == NULL ? "the template is not defined"
						: "the template has another number of parameters");
			return;
		}
		r->at = t->body;
		r->within = t;
		r->with = &one;
		uint32_t root = alternatives(r);
		r->within = NULL;
		define(r, one.rule, root);
	}
}

/* ---- directives ---- */

static void text_read(struct lark_reader *r);

static void common_read(struct lark_reader *r)
{
	struct lark_reader own = { .l = r->l,
				   .p = r->p,
				   .text = lark_common,
				   .prefix = "common__",
				   .len = strlen(lark_common),
				   .first = PATTERN_NONE,
				   .e = r->e };
	if (r->l->common)
		return;
	r->l->common = true;
	text_read(&own);
	r->rc = own.rc;
}

/* One name of the common terminals, under the name `as`. */
static void import_one(struct lark_reader *r, struct lark_span name, struct lark_span as)
{
	common_read(r);
	uint32_t from = symbol_named(r, "common__", r->text, name);
	if (!lark_going(r) || from == PATTERN_NONE)
		return;
	if (r->p->rule[from].root == PATTERN_NONE) {
		lark_wrong(r, "the common terminals have none of that name");
		return;
	}
	uint32_t to = symbol_named(r, r->prefix, r->text, as.len > 0 ? as : name);
	if (to == PATTERN_NONE)
		return;
	r->l->symbol[to].terminal = true;
	define(r, to, call(r, from));
}

static void import(struct lark_reader *r)
{
	lark_skip(r);
	struct lark_span none = { 0, 0 };
	if (!lark_take(r, "common")) {
		lark_refuse(r, "%import of another grammar than common");
		return;
	}
	lark_skip(r);
	if (lark_take(r, "(")) {
		do {
			lark_skip(r);
			import_one(r, name_take(r), none);
			lark_skip(r);
		} while (lark_going(r) && lark_take(r, ","));
		if (lark_going(r) && !lark_take(r, ")"))
			lark_wrong(r, ") expected");
		return;
	}
	if (!lark_take(r, ".")) {
		lark_wrong(r, "%import common.NAME expected");
		return;
	}
	struct lark_span name = name_take(r), as = none;
	if (lark_going(r) && lark_take(r, "->")) {
		lark_skip(r);
		as = name_take(r);
	}
	if (lark_going(r))
		import_one(r, name, as);
}

static void ignore(struct lark_reader *r)
{
	uint32_t made = pattern_rule_add(r->p, PATTERN_NONE);
	struct lark_symbol *s = lark_symbol(r->l, made);
	if (s == NULL)
		return;
	*s = (struct lark_symbol){ .terminal = true, .line = lark_line(r) };
	r->terminal = true;
	r->work = made;
	uint32_t root = alternatives(r);
	r->terminal = false;
	define(r, made, root);
	lark_token(r->l, made); /* a token too, with more of the same behind it */
	if (r->l->ignores == LARK_IGNORED)
		lark_wrong(r, "more than 16 lines of %ignore");
	else
		r->l->ignored[r->l->ignores++] = made;
}

static void directive(struct lark_reader *r)
{
	if (lark_take(r, "%ignore"))
		ignore(r);
	else if (lark_take(r, "%import"))
		import(r);
	else if (lark_take(r, "%declare"))
		lark_refuse(r, "%declare");
	else if (lark_take(r, "%override") || lark_take(r, "%extend"))
		lark_refuse(r, "%override or %extend");
	else if (lark_take(r, "%llguidance"))
		lark_refuse(r, "%llguidance");
	else
		lark_wrong(r, "an unknown directive");
}

static void text_read(struct lark_reader *r)
{
	for (lark_skip(r); lark_going(r) && r->at < r->len; lark_skip(r)) {
		if (lark_peek(r, 0) == '%')
			directive(r);
		else
			rule(r);
	}
	instances_read(r);
}

/* ---- from outside ---- */

/* Give the rule of what is ignored its alternatives, and look whether all rules are there. */
static int finish(struct lark_reader *r, uint32_t *root)
{
	struct lark *l = r->l;
	struct pattern *p = r->p;
	struct pattern_list whole = { 0 };
	if (l->ignore != PATTERN_NONE)
		pattern_push(p, &whole, call(r, l->ignore));
	uint32_t before = p->rules, start = pattern_rule(p, "start", 5);
	TRY(pattern_done(p, r->e));
	if (start >= before) {
		p->rule[start].root = pattern_add(p, PATTERN_EMPTY, 0, 0);
		start = r->first;
	}
	if (start == PATTERN_NONE)
		return err_set(r->e, ERR_INPUT, "grammar: there is no rule");
	const struct lark_symbol *first = lark_symbol(l, start);
	if (first != NULL && first->terminal)
		start = lark_token(l, start);
	TRY(lark_visit(l, r->e));
	if (l->ignore != PATTERN_NONE)
		TRY(lark_ignore(l, r->e));
	TRY(lark_tokens(l, r->e));
	for (uint32_t i = 0; i < p->rules; i++) {
		if (p->rule[i].root == PATTERN_NONE)
			return err_set(r->e, ERR_INPUT, "grammar, line %u: %.64s is not defined",
				       i < l->symbols ? l->symbol[i].line : 0,
				       p->rule[i].name != NULL ? p->rule[i].name : "a rule");
	}
	pattern_push(p, &whole, call(r, start));
	*root = pattern_close(p, &whole, PATTERN_SEQ);
	return pattern_done(p, r->e);
}

int pattern_lark(struct pattern *p, const char *text, size_t len, uint32_t *root, struct err *e)
{
	struct lark l = { .p = p, .ignore = PATTERN_NONE };
	struct lark_reader r = { .l = &l,
				 .p = p,
				 .text = text,
				 .prefix = "",
				 .len = len,
				 .first = PATTERN_NONE,
				 .e = e };
	if (memmem(text, len, "%ignore", 7) != NULL)
		l.ignore = pattern_rule_add(p, PATTERN_NONE);
	text_read(&r);
	int rc = r.rc < 0 ? r.rc : pattern_done(p, e);
	if (rc == 0)
		rc = finish(&r, root);
	free(l.symbol);
	pattern_free(&l.begin);
	free(r.template);
	free(r.instance);
	return rc;
}

bool pattern_is_lark(const char *text, size_t len)
{
	for (size_t i = 0; i + 2 < len; i++) {
		if (text[i] == '#' || (text[i] == '/' && text[i + 1] == '/')) {
			while (i + 1 < len && text[i] != '\n')
				i++;
		} else if (memcmp(text + i, "::=", 3) == 0) {
			return false;
		}
	}
	return true;
}
