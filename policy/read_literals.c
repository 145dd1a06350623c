/* The words and phrases of a rule: in the policy, or in a file beside it, one a line. */
#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "policy/rules.h"

#include <stdio.h>
#include <string.h>

const char *const policy_fold_names[] = { "none", "case", "strict", "leet", NULL };
static const char *const folds_later[] = { "leet", NULL };

/* A key that says nothing of a match without words. */
static bool has_words(struct reader *r, const struct toml *m, const struct toml *v, const char *key)
{
	if (!v)
		return false;
	if (!toml_get(m, "literals") && !toml_get(m, "literals_file"))
		policy_problem_at(r, v->line, v->column,
				  "match.%s: only with literals; leave it out, or write literals",
				  key);
	return true;
}

static void read_fold(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *fold = toml_get(m, "fold"), *gap = toml_get(m, "gap_max");
	size_t f;
	int64_t n;
	x->fold = FILTER_FOLD_CASE;
	x->gap_max = 4;
	if (has_words(r, m, fold, "fold") &&
	    policy_read_choice(r, fold, "match.fold", policy_fold_names, folds_later, &f))
		x->fold = (enum filter_fold)f;
	if (gap && x->fold != FILTER_FOLD_STRICT && !(fold && fold->broken))
		policy_problem_at(r, gap->line, gap->column,
				  "match.gap_max: only with fold = \"strict\"; leave it out, or "
				  "write fold = \"strict\"");
	else if (gap && policy_read_integer(r, gap, "match.gap_max", 0, 64, &n))
		x->gap_max = (uint32_t)n;
}

static void read_list(struct reader *r, const struct toml *v, struct policy_rule *x)
{
	if (!policy_read_strings(r, v, "match.literals", &x->literals))
		return;
	if (x->literals.count == 0)
		policy_problem_at(r, v->line, v->column,
				  "match.literals: expected at least one, found none; write "
				  "[\"...\"]");
	for (const struct toml *c = v->first; c; c = c->next)
		if (filter_literal_empty(c->text, x->fold))
			policy_problem_at(r, c->line, c->column,
					  "match.literals: \"%.40s\" is empty after folding; write "
					  "letters or digits, or leave it out",
					  c->text);
}

/* ---- a file */

/* The word of a file's line [text, text + len), or NULL; what is wrong with it is told. */
static const char *word_of(struct reader *r, const struct toml *v, const struct policy_rule *x,
			   const char *text, size_t len, size_t line)
{
	while (len && strchr(" \t\r", text[len - 1]))
		len--;
	while (len && (*text == ' ' || *text == '\t'))
		text++, len--;
	if (len == 0 || *text == '#')
		return NULL;
	char *word = arena_copy(&r->policy->arena, text, len);
	if (!word) {
		r->nomem = true;
		return NULL;
	}
	if (!text_utf8_valid(text, len) || memchr(text, 0, len))
		policy_problem_at(r, v->line, v->column,
				  "match.literals_file: %.60s line %zu: expected UTF-8 text",
				  x->file, line);
	else if (filter_literal_empty(word, x->fold))
		policy_problem_at(r, v->line, v->column,
				  "match.literals_file: %.60s line %zu: \"%.40s\" is empty after "
				  "folding; leave it out",
				  x->file, line, word);
	return word;
}

static void read_words(struct reader *r, const struct toml *v, const struct buf *text,
		       struct policy_rule *x)
{
	size_t lines = 1, line = 0;
	check(text->bytes || text->len == 0);
	for (size_t i = 0; i < text->len; i++)
		lines += text->bytes[i] == '\n';
	x->literals.item = arena_array(&r->policy->arena, lines, sizeof *x->literals.item);
	if (!x->literals.item) {
		r->nomem = true;
		return;
	}
	for (size_t at = 0; at < text->len && !r->nomem;) {
		const char *newline = memchr(text->bytes + at, '\n', text->len - at);
		size_t end = newline ? (size_t)(newline - text->bytes) : text->len;
		const char *word = word_of(r, v, x, text->bytes + at, end - at, ++line);
		if (word)
			x->literals.item[x->literals.count++] = word;
		at = end + 1;
	}
	if (x->literals.count == 0 && !r->nomem)
		policy_problem_at(r, v->line, v->column,
				  "match.literals_file: %.60s has no words; write one a line",
				  x->file);
}

/* A file in the folder of the one that names it. */
static void read_file(struct reader *r, const struct toml *v, struct policy_rule *x)
{
	struct buf text = { 0 };
	struct err e = { 0 };
	char name[LIMIT_NAME_BYTES + 1];
	const char *slash = r->pack ? strrchr(r->pack, '/') : NULL;
	if (!policy_read_string(r, v, "match.literals_file", &x->file))
		return;
	int n = snprintf(name, sizeof name, "%.*s%s", slash ? (int)(slash + 1 - r->pack) : 0,
			 slash ? r->pack : "", x->file);
	if (*x->file == '/' || strstr(x->file, "..") || n >= (int)sizeof name || !*x->file) {
		policy_problem_at(
			r, v->line, v->column,
			"match.literals_file: expected a file in this folder or below it, "
			"found \"%.60s\"",
			x->file);
		return;
	}
	if (!r->packs || !r->packs->read_text) {
		policy_problem_at(r, v->line, v->column,
				  "match.literals_file: there are no files here");
	} else if (r->packs->read_text(r->packs->ctx, name, &text, &e) < 0) {
		policy_problem_at(r, v->line, v->column, "match.literals_file: %.200s", e.text);
	} else {
		x->file_digest = digest_of(text.bytes ? text.bytes : "", text.len);
		read_words(r, v, &text, x);
	}
	buf_free(&text);
}

void policy_read_literals(struct reader *r, const struct toml *m, struct policy_rule *x)
{
	const struct toml *list = toml_get(m, "literals"), *file = toml_get(m, "literals_file");
	read_fold(r, m, x);
	if (list)
		read_list(r, list, x);
	else if (file)
		read_file(r, file, x);
}
