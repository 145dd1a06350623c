/* Template text to tokens, with trim_blocks and lstrip_blocks: the newline after a block goes,
 * and so does white space between a line's start and a block. {%- and -%} strip all white space,
 * {%+ and +%} none. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRACKETS_MAX 100

struct lexer {
	struct jinja *j;
	const char *text;
	size_t len, at;
	int line;
	size_t line_at; /* lines are counted up to here */
	struct jinja_tokens *out;
	char open[BRACKETS_MAX];
	int depth;
};

static void count_lines(struct lexer *x)
{
	for (; x->line_at < x->at && x->line_at < x->len; x->line_at++)
		x->line += x->text[x->line_at] == '\n';
}

static int lex_fail(struct lexer *x, const char *what)
{
	count_lines(x);
	x->j->line = x->line;
	return jinja_fail(x->j, "%s", what);
}

static bool ahead(const struct lexer *x, const char *s)
{
	size_t n = strlen(s);
	return x->len - x->at >= n && memcmp(x->text + x->at, s, n) == 0;
}

static int add(struct lexer *x, enum jinja_token_kind kind, struct jinja_token **out)
{
	struct jinja_tokens *t = x->out;
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		if (room > 4 * JINJA_NODES_MAX)
			return lex_fail(x, "the template has too many tokens");
		struct jinja_token *grown = jinja_alloc(x->j, room, sizeof *grown);
		if (!grown)
			return jinja_no_memory(x->j);
		if (t->count)
			memcpy(grown, t->at, t->count * sizeof *grown);
		t->at = grown;
		t->room = room;
	}
	count_lines(x);
	*out = &t->at[t->count++];
	**out = (struct jinja_token){ .kind = (unsigned char)kind, .line = x->line };
	return 0;
}

static int add_simple(struct lexer *x, enum jinja_token_kind kind)
{
	struct jinja_token *t;
	return add(x, kind, &t);
}

/* White space from x->at on. */
static void skip_space(struct lexer *x)
{
	uint32_t cp;
	for (int n; x->at < x->len; x->at += (size_t)n) {
		n = text_utf8_decode(x->text + x->at, x->len - x->at, &cp);
		if (n <= 0 || !jinja_is_space(cp))
			break;
	}
}

static size_t without_space(const struct lexer *x, size_t begin, size_t end)
{
	size_t n;
	while (end > begin && jinja_is_space(unicode_last(x->text + begin, end - begin, &n)))
		end -= n;
	return end;
}

/* Add text up to a tag. sign: the character after the tag's opening; lstrip: the tag is a block or
 * a comment. */
static int add_data(struct lexer *x, size_t begin, size_t end, char sign, bool lstrip)
{
	struct jinja_token *t;
	size_t stripped = without_space(x, begin, end);
	if (sign == '-') {
		end = stripped;
	} else if (sign != '+' && lstrip) {
		size_t line = end;
		while (line > begin && x->text[line - 1] != '\n')
			line--;
		bool at_start = line > begin || begin == 0 || x->text[begin - 1] == '\n';
		if (at_start && without_space(x, line, end) == line)
			end = line;
	}
	if (end == begin)
		return 0;
	TRY(add(x, T_DATA, &t));
	t->bytes = x->text + begin;
	t->len = end - begin;
	return 0;
}

/* ---- inside tags ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char peek(const struct lexer *x, size_t ahead_by)
{
	return x->at + ahead_by < x->len ? x->text[x->at + ahead_by] : '\0';
}

static bool is_digit_of(char c, int base)
{
	int v = is_digit(c)                          ? c - '0'
		: (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						     : 99;
	return v < base;
}

/* Digits from there on, each perhaps behind one underscore; before: one may come first. */
static size_t digits(const struct lexer *x, size_t from, int base, bool before)
{
	size_t n = from;
	for (;;) {
		bool joined = peek(x, n) == '_' && (n > from || before) &&
			      is_digit_of(peek(x, n + 1), base);
		if (!joined && !is_digit_of(peek(x, n), base))
			return n;
		n += joined ? 2 : 1;
	}
}

/* The end of a number with a point or an exponent, or 0. */
static size_t real_end(const struct lexer *x)
{
	size_t whole = digits(x, 0, 10, false), n = whole;
	if (x->at > 0 && x->text[x->at - 1] == '.')
		return 0;
	if (peek(x, n) == '.' && is_digit(peek(x, n + 1)))
		n = digits(x, n + 1, 10, false);
	size_t exponent = n + 1 + (peek(x, n + 1) == '+' || peek(x, n + 1) == '-');
	if ((peek(x, n) | 32) == 'e' && is_digit(peek(x, exponent)))
		n = digits(x, exponent, 10, false);
	return n > whole ? n : 0;
}

static int lex_number(struct lexer *x)
{
	struct jinja_token *t;
	char radix = (char)(peek(x, 1) | 32), *end;
	int base = peek(x, 0) != '0' ? 10
		   : radix == 'x'    ? 16
		   : radix == 'o'    ? 8
		   : radix == 'b'    ? 2
				     : 10;
	size_t real = real_end(x), begin = 0, n = real, used = 0;
	if (!real && base != 10 && digits(x, 2, base, true) > 2) {
		begin = 2;
		n = digits(x, 2, base, true);
	} else if (!real) {
		base = 10;
		n = digits(x, 0, 10, false);
		bool zeros = true;
		for (size_t i = 0; i < n; i++)
			zeros = zeros && (peek(x, i) == '0' || peek(x, i) == '_');
		if (peek(x, 0) == '0' && !zeros)
			return lex_fail(x, "a number that starts with 0");
	}
	char *copy = jinja_alloc(x->j, n + 1, 1);
	if (!copy)
		return jinja_no_memory(x->j);
	for (size_t i = begin; i < n; i++)
		if (peek(x, i) != '_')
			copy[used++] = peek(x, i);
	TRY(add(x, T_NUMBER, &t));
	if (real)
		t->value = jinja_float(strtod(copy, &end), false);
	else
		TRY(jinja_from_digits(x->j, copy, used, base, false, false, &t->value));
	x->at += n;
	return 0;
}

static int hex_escape(const struct lexer *x, size_t at, int digits_wanted, uint32_t *cp)
{
	*cp = 0;
	for (int i = 0; i < digits_wanted; i++) {
		char c = peek(x, at + (size_t)i);
		int v = is_digit(c)                          ? c - '0'
			: (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
							     : -1;
		if (v < 0)
			return -1;
		*cp = *cp << 4 | (uint32_t)v;
	}
	return *cp > 0x10FFFF || (*cp >= 0xD800 && *cp <= 0xDFFF) ? -1 : 0;
}

/* \N{name} at the backslash. */
static size_t named_escape(const struct lexer *x, size_t at, char **to)
{
	const char *name = x->text + x->at + at + 3;
	const char *close =
		peek(x, at + 2) == '{' ? memchr(name, '}', x->len - x->at - at - 3) : NULL;
	uint32_t cp = close ? jinja_named_character(name, (size_t)(close - name)) : 0;
	if (!cp)
		return 0;
	*to += text_utf8_encode(cp, *to);
	return (size_t)(close - name) + 4;
}

/* A backslash before what is beyond ASCII: Python escapes that first, and then reads its escape as
 * the text that it is. */
static size_t escaped_escape(const struct lexer *x, size_t at, char **to)
{
	uint32_t cp;
	int n = text_utf8_decode(x->text + x->at + at + 1, x->len - x->at - at - 1, &cp);
	*to += sprintf(*to, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
	return (size_t)n + 1;
}

/* One escape at the backslash x->at + at; the bytes it takes, 0 if malformed. */
static size_t lex_escape(const struct lexer *x, size_t at, char **to)
{
	static const char from[] = "\\'\"abfnrtv", made[] = "\\'\"\a\b\f\n\r\t\v";
	char c = peek(x, at + 1);
	const char *simple = c ? strchr(from, c) : NULL;
	int wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t cp = 0;
	if (simple) {
		*(*to)++ = made[simple - from];
		return 2;
	}
	if (c == '\n')
		return 2;
	if (c == 'N')
		return named_escape(x, at, to);
	if ((unsigned char)c >= 0x80)
		return escaped_escape(x, at, to);
	if (wanted) {
		if (hex_escape(x, at + 2, wanted, &cp) < 0)
			return 0;
		*to += text_utf8_encode(cp, *to);
		return (size_t)wanted + 2;
	}
	if (c >= '0' && c <= '7') {
		size_t n = 1;
		for (; n <= 3 && peek(x, at + n) >= '0' && peek(x, at + n) <= '7'; n++)
			cp = cp * 8 + (uint32_t)(peek(x, at + n) - '0');
		*to += text_utf8_encode(cp, *to);
		return n;
	}
	*(*to)++ = '\\'; /* an unknown escape stays */
	return 1;
}

static int lex_string(struct lexer *x)
{
	char quote = peek(x, 0);
	struct jinja_token *t;
	size_t n = 1;
	while (x->at + n < x->len && peek(x, n) != quote)
		n += peek(x, n) == '\\' ? 2 : 1;
	if (x->at + n >= x->len)
		return lex_fail(x, "a string without an end");
	char *bytes = jinja_alloc(x->j, 4 * n + 1, 1), *to = bytes; /* \\é makes \\xe9 */
	if (!bytes)
		return jinja_no_memory(x->j);
	TRY(add(x, T_STRING, &t));
	for (size_t i = 1; i < n;) {
		if (peek(x, i) != '\\') {
			*to++ = peek(x, i++);
			continue;
		}
		size_t used = lex_escape(x, i, &to);
		if (!used)
			return lex_fail(x, "an escape in a string that is malformed or not known");
		i += used;
	}
	t->bytes = bytes;
	t->len = (size_t)(to - bytes);
	x->at += n + 1;
	return 0;
}

static int lex_name(struct lexer *x)
{
	struct jinja_token *t;
	size_t n = 0;
	bool ascii = true;
	for (int size; x->at + n < x->len; n += (size_t)size) {
		char c = peek(x, n);
		uint32_t cp;
		size = 1;
		if (is_digit(c) || c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z'))
			continue;
		size = text_utf8_decode(x->text + x->at + n, x->len - x->at - n, &cp);
		if (cp < 0x80 ||
		    (!jinja_is_word(cp) && !jinja_is_identifier(x->text + x->at, n + (size_t)size)))
			break;
		ascii = false;
	}
	if (!n)
		return lex_fail(x, "an unexpected character in a tag");
	if (!ascii && !jinja_is_identifier(x->text + x->at, n))
		return lex_fail(x, "a character that is in no name");
	TRY(add(x, T_NAME, &t));
	t->bytes = arena_copy(&x->j->arena, x->text + x->at, n);
	t->len = n;
	x->at += n;
	return t->bytes ? 0 : jinja_no_memory(x->j);
}

/* Brackets are matched here so that "}}" inside a dictionary does not end the tag. */
static int balance(struct lexer *x, char c)
{
	const char *opening = strchr("([{", c), *closing = strchr(")]}", c);
	if (opening) {
		if (x->depth == BRACKETS_MAX)
			return lex_fail(x, "brackets nest too deep");
		x->open[x->depth++] = ")]}"[opening - "([{"];
	} else if (closing && (x->depth == 0 || x->open[--x->depth] != c)) {
		return lex_fail(x, "an unexpected closing bracket");
	}
	return 0;
}

static int lex_operator(struct lexer *x)
{
	static const struct {
		const char *text;
		enum jinja_op op;
	} operators[] = {
		{ "//", OP_FLOORDIV }, { "**", OP_POW },      { "==", OP_EQ },
		{ "!=", OP_NE },       { ">=", OP_GE },       { "<=", OP_LE },
		{ "+", OP_ADD },       { "-", OP_SUB },       { "/", OP_DIV },
		{ "*", OP_MUL },       { "%", OP_MOD },       { "~", OP_CONCAT },
		{ "[", OP_LBRACKET },  { "]", OP_RBRACKET },  { "(", OP_LPAREN },
		{ ")", OP_RPAREN },    { "{", OP_LBRACE },    { "}", OP_RBRACE },
		{ ">", OP_GT },        { "<", OP_LT },        { "=", OP_ASSIGN },
		{ ".", OP_DOT },       { ":", OP_COLON },     { "|", OP_PIPE },
		{ ",", OP_COMMA },     { ";", OP_SEMICOLON },
	};
	struct jinja_token *t;
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
		if (!ahead(x, operators[i].text))
			continue;
		if (!operators[i].text[1])
			TRY(balance(x, operators[i].text[0]));
		TRY(add(x, T_OPERATOR, &t));
		t->op = (unsigned char)operators[i].op;
		x->at += strlen(operators[i].text);
		return 0;
	}
	return lex_fail(x, "an unexpected character in a tag");
}

/* The end of a tag, which is "%}" or "}}" with a sign before it; false if it is not here. */
static bool skip_end(struct lexer *x, const char *end, bool block)
{
	char sign = peek(x, 0);
	bool minus = sign == '-', plus = sign == '+' && block;
	x->at += minus || plus;
	if (!ahead(x, end)) {
		x->at -= minus || plus;
		return false;
	}
	x->at += 2;
	if (minus)
		skip_space(x);
	else if (block && !plus && peek(x, 0) == '\n')
		x->at++;
	return true;
}

static int lex_tag(struct lexer *x, bool block)
{
	x->depth = 0;
	TRY(add_simple(x, block ? T_BLOCK_BEGIN : T_PRINT_BEGIN));
	for (;;) {
		skip_space(x);
		if (x->at >= x->len)
			return lex_fail(x, "a tag without an end");
		size_t before = x->at;
		if (x->depth == 0 && skip_end(x, block ? "%}" : "}}", block)) {
			size_t after = x->at;
			x->at = before; /* the end's line is where it stands */
			TRY(add_simple(x, block ? T_BLOCK_END : T_PRINT_END));
			x->at = after;
			return 0;
		}
		char c = peek(x, 0);
		if (is_digit(c))
			TRY(lex_number(x));
		else if (c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
			 (unsigned char)c >= 0x80)
			TRY(lex_name(x));
		else if (c == '\'' || c == '"')
			TRY(lex_string(x));
		else
			TRY(lex_operator(x));
	}
}

/* ---- outside tags ---- */

static int lex_comment(struct lexer *x)
{
	size_t begin = x->at;
	if (begin == x->len) /* nothing behind the opening: Jinja does not miss the end */
		return 0;
	while (x->at < x->len && !ahead(x, "#}"))
		x->at++;
	if (x->at >= x->len)
		return lex_fail(x, "a comment without an end");
	char sign = x->at > begin ? x->text[x->at - 1] : '\0';
	x->at += 2;
	if (sign == '-')
		skip_space(x);
	else if (sign != '+' && peek(x, 0) == '\n')
		x->at++;
	return 0;
}

/* At "{%": its word is `word` and nothing else; moves behind it. *sign: of the opening. */
static bool skip_word_tag(struct lexer *x, const char *word, bool trim, char *sign)
{
	size_t before = x->at;
	x->at += 2;
	*sign = peek(x, 0);
	x->at += *sign == '-' || *sign == '+';
	skip_space(x);
	if (ahead(x, word)) {
		x->at += strlen(word);
		skip_space(x);
		bool minus_only = !trim && peek(x, 0) == '+';
		if (!minus_only && skip_end(x, "%}", trim))
			return true;
	}
	x->at = before;
	return false;
}

static int lex_raw(struct lexer *x)
{
	size_t begin = x->at;
	for (; x->at < x->len; x->at++) {
		size_t end = x->at;
		char sign;
		if (ahead(x, "{%") && skip_word_tag(x, "endraw", true, &sign))
			return add_data(x, begin, end, sign, true);
	}
	return begin == x->len ? 0 : lex_fail(x, "raw without an end");
}

/* Data up to the next tag, then the tag. */
static int lex_next(struct lexer *x)
{
	size_t begin = x->at;
	while (x->at < x->len && !ahead(x, "{%") && !ahead(x, "{{") && !ahead(x, "{#"))
		x->at++;
	if (x->at >= x->len)
		return add_data(x, begin, x->len, '\0', false);
	size_t end = x->at;
	char kind = peek(x, 1), sign = peek(x, 2);
	TRY(add_data(x, begin, end, sign, kind != '{'));
	if (kind == '%' && skip_word_tag(x, "raw", false, &sign))
		return lex_raw(x);
	x->at += sign == '-' || sign == '+' ? 3 : 2;
	return kind == '#' ? lex_comment(x) : lex_tag(x, kind == '%');
}

/* Newlines become "\n", and one at the very end goes. */
static int normalise(struct jinja *j, const char *text, size_t len, struct lexer *x)
{
	char *copy = jinja_alloc(j, len + 1, 1);
	if (!copy)
		return jinja_no_memory(j);
	for (size_t i = 0; i < len; i++) {
		bool cr = text[i] == '\r';
		copy[x->len++] = cr ? '\n' : text[i];
		if (cr && i + 1 < len && text[i + 1] == '\n')
			i++;
	}
	if (x->len && copy[x->len - 1] == '\n')
		x->len--;
	copy[x->len] = '\0';
	x->text = copy;
	return 0;
}

int jinja_lex(struct jinja *j, const char *text, size_t len, struct jinja_tokens *out)
{
	struct lexer x = { .j = j, .line = 1, .out = out };
	if (len > LIMIT_TEMPLATE_BYTES)
		return jinja_fail(j, "the template is longer than %zu bytes", LIMIT_TEMPLATE_BYTES);
	if (!text_utf8_valid(text, len))
		return jinja_fail(j, "the template is not UTF-8");
	TRY(normalise(j, text, len, &x));
	while (x.at < x.len)
		TRY(lex_next(&x));
	TRY(add_simple(&x, T_END));
	return 0;
}
