/* TOML 1.0 documents: expressions, keys, tables, arrays. Values are read by toml_value.c.
 *
 *   expression   key = value | [key] | [[key]]      each on its own line, '#' starts a comment
 *   key          part ('.' part)*                   part: A-Za-z0-9_- or a one-line string
 *
 * A table is opened by one header, or by dotted keys, or inline, and by only one of these; a header
 * may pass through (and later open) tables that exist only because a longer header named them.
 * Inline tables and arrays written as values are closed for good. Depth is counted over all of it
 * (LIMIT_TOML_DEPTH). */
#include "base/limits.h"
#include "base/text.h"
#include "base/toml_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPENED = 1, /* by its own header */
	DOTTED = 2, /* by a dotted key */
	INLINE = 4, /* {...}: closed */
	TABLES = 8, /* an array of tables made by [[...]] */
};

#define MISTAKES_MAX 1000

struct node {
	struct toml v; /* first, so that a struct toml of ours is a node */
	unsigned flags;
	int depth;
	struct node *last;
};

struct toml_slot {
	const struct node *table;
	struct node *member; /* NULL: free */
};

struct key {
	struct key_part {
		const char *text, *at;
		size_t len;
	} parts[LIMIT_TOML_DEPTH];
	int count;
};

bool toml_ahead(const struct toml_reader *r, const char *bytes)
{
	size_t n = strlen(bytes);
	return (size_t)(r->end - r->at) >= n && memcmp(r->at, bytes, n) == 0;
}

/* Line and column (in code points, both from 1) of `at`; cheap while `at` only grows. */
static void find_place(struct toml_reader *r, const char *at, int *line, int *column)
{
	if (at < r->seen) {
		r->seen = r->begin;
		r->line = r->column = 1;
	}
	for (; r->seen < at; r->seen++) {
		if (*r->seen == '\n') {
			r->line++;
			r->column = 1;
		} else if (((unsigned char)*r->seen & 0xc0) != 0x80) {
			r->column++;
		}
	}
	*line = r->line;
	*column = r->column;
}

int(toml_fail)(struct toml_reader *r, const char *at, const char *fmt, ...)
{
	char what[256];
	int line, column;
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	find_place(r, at, &line, &column);
	r->told++;
	if (r->mistakes)
		r->mistakes->tell(r->mistakes->ctx, line, column, what);
	return err_set(r->e, ERR_INPUT, "line %d, column %d: %s", line, column, what);
}

/* ---- members ---- */

static size_t slot_hash(const struct node *table, const char *key, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)table;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)key[i]) * 0x100000001b3u;
	return (size_t)(h ^ h >> 29);
}

/* The slot that holds the member, or the free one where it belongs. */
static struct toml_slot *find_slot(const struct toml_reader *r, const struct node *table,
				   const char *key, size_t len)
{
	size_t i = slot_hash(table, key, len) & (r->slots_room - 1);

	for (;; i = (i + 1) & (r->slots_room - 1)) {
		struct toml_slot *s = &r->slots[i];
		if (!s->member)
			return s;
		if (s->table == table && s->member->v.key_len == len &&
		    memcmp(s->member->v.key, key, len) == 0)
			return s;
	}
}

static struct node *find(const struct toml_reader *r, const struct node *table,
			 const struct key_part *k)
{
	return r->slots_room ? find_slot(r, table, k->text, k->len)->member : NULL;
}

static int grow_slots(struct toml_reader *r)
{
	struct toml_slot *old = r->slots;
	size_t old_room = r->slots_room, room = old_room ? old_room * 2 : 64;

	r->slots = calloc(room, sizeof(*r->slots));
	if (!r->slots) {
		r->slots = old;
		return err_set(r->e, ERR_NOMEM, "out of memory while reading TOML");
	}
	r->slots_room = room;
	for (size_t i = 0; i < old_room; i++)
		if (old[i].member)
			*find_slot(r, old[i].table, old[i].member->v.key,
				   old[i].member->v.key_len) = old[i];
	free(old);
	return 0;
}

/* A new last child of a table (k set, not there yet) or an array (k NULL), read at `at`. */
static int add_child(struct toml_reader *r, struct node *parent, const struct key_part *k,
		     const char *at, struct node **out)
{
	struct node *n;

	if (parent->depth >= LIMIT_TOML_DEPTH)
		return toml_fail(r, at, "nested deeper than %d", LIMIT_TOML_DEPTH);
	n = arena_alloc(r->arena, sizeof(*n));
	if (!n)
		return err_set(r->e, ERR_NOMEM, "out of memory while reading TOML");
	n->depth = parent->depth + 1;
	find_place(r, at, &n->v.line, &n->v.column);
	if (k) {
		if (r->slots_used * 2 >= r->slots_room)
			TRY(grow_slots(r));
		n->v.key = k->text;
		n->v.key_len = k->len;
		*find_slot(r, parent, k->text, k->len) = (struct toml_slot){ parent, n };
		r->slots_used++;
	}
	if (parent->last)
		parent->last->v.next = &n->v;
	else
		parent->v.first = &n->v;
	parent->last = n;
	parent->v.count++;
	*out = n;
	return 0;
}

static int add_table(struct toml_reader *r, struct node *parent, const struct key_part *k,
		     unsigned flags, struct node **out)
{
	TRY(add_child(r, parent, k, k->at, out));
	(*out)->v.kind = TOML_TABLE;
	(*out)->flags = flags;
	return 0;
}

/* ---- blanks and keys ---- */

static void skip_blanks(struct toml_reader *r)
{
	while (toml_peek(r) == ' ' || toml_peek(r) == '\t')
		r->at++;
}

static bool skip_newline(struct toml_reader *r)
{
	size_t n = toml_peek(r) == '\n' ? 1 : toml_ahead(r, "\r\n") ? 2 : 0;
	r->at += n;
	return n > 0;
}

static int skip_comment(struct toml_reader *r)
{
	if (toml_peek(r) != '#')
		return 0;
	for (; r->at < r->end; r->at++) {
		int c = toml_peek(r);
		if (c == '\n' || (c == '\r' && toml_ahead(r, "\r\n")))
			break;
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return toml_fail(r, r->at, "control character U+%04X in comment",
					 (unsigned)c);
	}
	return 0;
}

static int skip_lines(struct toml_reader *r)
{
	do {
		skip_blanks(r);
		TRY(skip_comment(r));
	} while (skip_newline(r));
	return 0;
}

static bool is_bare(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static int read_key_part(struct toml_reader *r, struct key_part *part)
{
	part->at = r->at;
	if (toml_peek(r) == '"' || toml_peek(r) == '\'')
		return toml_read_string(r, true, &part->text, &part->len);
	while (is_bare(toml_peek(r)))
		r->at++;
	part->len = (size_t)(r->at - part->at);
	if (part->len == 0)
		return toml_fail(r, r->at, "expected a key");
	part->text = arena_copy(r->arena, part->at, part->len);
	return part->text ? 0 : err_set(r->e, ERR_NOMEM, "out of memory while reading TOML");
}

/* Reads also the blanks around the key. */
static int read_key(struct toml_reader *r, struct key *key)
{
	key->count = 0;
	for (;;) {
		skip_blanks(r);
		if (key->count == LIMIT_TOML_DEPTH)
			return toml_fail(r, r->at, "more than %d parts in a key", LIMIT_TOML_DEPTH);
		TRY(read_key_part(r, &key->parts[key->count++]));
		skip_blanks(r);
		if (toml_peek(r) != '.')
			return 0;
		r->at++;
	}
}

/* ---- values ---- */

static int read_value(struct toml_reader *r, struct node *n);

/* The table in which a dotted key's last part lies, made if needed. */
static int walk_dotted(struct toml_reader *r, struct node *table, const struct key *key,
		       struct node **out)
{
	for (int i = 0; i + 1 < key->count; i++) {
		const struct key_part *k = &key->parts[i];
		struct node *next = find(r, table, k);
		if (!next)
			TRY(add_table(r, table, k, DOTTED, &next));
		else if (next->v.kind != TOML_TABLE || next->flags & (OPENED | INLINE))
			return toml_fail(
				r, k->at,
				"\"%.80s\" is defined already, a dotted key cannot extend it",
				k->text);
		next->flags |= DOTTED;
		table = next;
	}
	*out = table;
	return 0;
}

static int read_pair(struct toml_reader *r, struct node *table)
{
	struct key key;
	const struct key_part *last;
	struct node *n;

	TRY(read_key(r, &key));
	last = &key.parts[key.count - 1];
	bool equals = toml_peek(r) == '=';
	if (!equals)
		TRY(toml_forgive(r, toml_fail(r, r->at, "expected '=' after the key")));
	r->at += equals;
	skip_blanks(r);
	TRY(walk_dotted(r, table, &key, &table));
	n = find(r, table, last);
	if (n)
		return toml_fail(r, last->at, "\"%.80s\" is defined already at line %d", last->text,
				 n->v.line);
	TRY(add_child(r, table, last, r->at, &n));
	int rc = equals ? read_value(r, n) : ERR_INPUT;
	n->v.broken = rc < 0;
	return rc;
}

static int read_array(struct toml_reader *r, struct node *array)
{
	const char *open = r->at++;

	array->v.kind = TOML_ARRAY;
	for (;;) {
		struct node *n;
		TRY(skip_lines(r));
		if (toml_peek(r) == ']')
			break;
		if (toml_peek(r) < 0)
			return toml_fail(r, open, "the array is not closed");
		TRY(add_child(r, array, NULL, r->at, &n));
		TRY(read_value(r, n));
		TRY(skip_lines(r));
		if (toml_peek(r) == ',')
			r->at++;
		else if (toml_peek(r) != ']')
			return toml_fail(r, r->at,
					 "expected ',' or ']' in the array that begins at line %d",
					 array->v.line);
	}
	r->at++;
	return 0;
}

/* The lines that an inline table may not have: a mistake, for the first of them. */
static int skip_inline_lines(struct toml_reader *r, bool *said)
{
	skip_blanks(r);
	if (toml_peek(r) != '\n' && toml_peek(r) != '#' && !toml_ahead(r, "\r\n"))
		return 0;
	if (!*said)
		TRY(toml_forgive(
			r, toml_fail(r, r->at,
				     "an inline table stands on one line: write { ... } without a "
				     "line break")));
	*said = true;
	return skip_lines(r);
}

static int read_inline_table(struct toml_reader *r, struct node *table)
{
	bool said = false;
	r->at++;
	table->v.kind = TOML_TABLE;
	TRY(skip_inline_lines(r, &said));
	while (toml_peek(r) != '}' || table->v.count) {
		if (toml_peek(r) == '}') {
			TRY(toml_forgive(r, toml_fail(r, r->at,
						      "expected a key: an inline table has no "
						      "comma before its '}'")));
			break;
		}
		TRY(read_pair(r, table));
		TRY(skip_inline_lines(r, &said));
		if (toml_peek(r) == '}')
			break;
		if (toml_peek(r) != ',')
			return toml_fail(r, r->at,
					 "expected ',' or '}' in the inline table that begins at "
					 "line %d",
					 table->v.line);
		r->at++;
		TRY(skip_inline_lines(r, &said));
	}
	r->at++;
	table->flags |= INLINE;
	return 0;
}

/* Recursion is bounded: each level adds a child, and add_child counts depth. */
static int read_value(struct toml_reader *r, struct node *n)
{
	switch (toml_peek(r)) {
	case '"':
	case '\'':
		n->v.kind = TOML_STRING;
		return toml_read_string(r, false, &n->v.text, &n->v.text_len);
	case '[':
		return read_array(r, n);
	case '{':
		return read_inline_table(r, n);
	default:
		return toml_read_scalar(r, &n->v);
	}
}

/* ---- headers ---- */

/* From the root to the table that holds a header's last part. */
static int walk_header(struct toml_reader *r, struct node *root, const struct key *key,
		       struct node **out)
{
	struct node *table = root;

	for (int i = 0; i + 1 < key->count; i++) {
		const struct key_part *k = &key->parts[i];
		struct node *next = find(r, table, k);
		if (!next)
			TRY(add_table(r, table, k, 0, &next));
		if (next->flags & TABLES)
			next = next->last;
		if (next->v.kind != TOML_TABLE || next->flags & INLINE)
			return toml_fail(r, k->at, "\"%.80s\" is a closed value, not a table",
					 k->text);
		table = next;
	}
	*out = table;
	return 0;
}

static int open_table(struct toml_reader *r, struct node *parent, const struct key_part *k,
		      struct node **out)
{
	*out = find(r, parent, k);
	if (!*out)
		return add_table(r, parent, k, OPENED, out);
	if ((*out)->v.kind != TOML_TABLE || (*out)->flags)
		return toml_fail(r, k->at, "\"%.80s\" is defined already at line %d", k->text,
				 (*out)->v.line);
	(*out)->flags = OPENED;
	find_place(r, k->at, &(*out)->v.line, &(*out)->v.column);
	return 0;
}

static int open_array_table(struct toml_reader *r, struct node *parent, const struct key_part *k,
			    struct node **out)
{
	struct node *array = find(r, parent, k);

	if (!array) {
		TRY(add_child(r, parent, k, k->at, &array));
		array->v.kind = TOML_ARRAY;
		array->flags = TABLES;
	}
	if (!(array->flags & TABLES))
		return toml_fail(r, k->at,
				 "\"%.80s\" is defined already at line %d and is no array of "
				 "tables",
				 k->text, array->v.line);
	TRY(add_child(r, array, NULL, k->at, out));
	(*out)->v.kind = TOML_TABLE;
	(*out)->flags = OPENED;
	return 0;
}

/* A table that belongs to nothing, for what stands under a header that is a mistake. */
static int lost_table(struct toml_reader *r, struct node **out)
{
	*out = arena_alloc(r->arena, sizeof **out);
	if (!*out)
		return err_set(r->e, ERR_NOMEM, "out of memory while reading TOML");
	(*out)->v.kind = TOML_TABLE;
	(*out)->flags = OPENED;
	return 0;
}

static int read_header(struct toml_reader *r, struct node *root, struct node **table)
{
	bool array = toml_ahead(r, "[[");
	const char *close = array ? "]]" : "]";
	struct key key;
	struct node *parent = NULL;

	r->at += array ? 2 : 1;
	TRY(read_key(r, &key));
	if (toml_ahead(r, close)) {
		r->at += strlen(close);
	} else {
		TRY(toml_forgive(r, toml_fail(r, r->at, "expected '%s' after the table's name",
					      close)));
		while (toml_peek(r) == ']')
			r->at++;
	}
	TRY(walk_header(r, root, &key, &parent));
	return (array ? open_array_table : open_table)(r, parent, &key.parts[key.count - 1], table);
}

/* One line's key or header, up to the end of its line. */
static int read_expression(struct toml_reader *r, struct node *root, struct node **table)
{
	if (toml_peek(r) == '[') {
		int rc = read_header(r, root, table);
		if (rc == ERR_INPUT && r->mistakes)
			TRY(lost_table(r, table));
		TRY(rc);
	} else {
		TRY(read_pair(r, *table));
	}
	skip_blanks(r);
	TRY(skip_comment(r));
	if (r->at < r->end && !skip_newline(r))
		return toml_fail(r, r->at, "expected the end of the line");
	return 0;
}

/* Whether a line begins as a key or a header does, by its look; the lines of a value that goes over
 * several begin with quotes, digits and brackets. */
static bool looks_begun(const struct toml_reader *r)
{
	const char *p = r->at;
	size_t open = 0;
	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	for (; p < r->end && *p == '[' && open < 2; p++)
		open++;
	const char *name = p;
	while (p < r->end && (is_bare((unsigned char)*p) || *p == '.'))
		p++;
	if (p == name)
		return false;
	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == r->end || open)
		return p < r->end && *p == ']';
	return *p == '=' || *p == ':' ||
	       (is_bare((unsigned char)*p) && !(*name >= '0' && *name <= '9'));
}

/* Behind a mistake in what began at `from`: to the next line that begins something. */
static void resume(struct toml_reader *r, const char *from)
{
	r->at = from;
	do {
		const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
		r->at = newline ? newline + 1 : r->end;
	} while (r->at < r->end && !looks_begun(r));
}

static int read_document(struct toml_reader *r, struct node *root)
{
	struct node *table = root;

	if (toml_ahead(r, "\xef\xbb\xbf"))
		r->at += 3;
	for (;;) {
		int line, column, rc = skip_lines(r);
		const char *from = r->at;
		if (rc == 0 && r->at == r->end)
			return r->told ? ERR_INPUT : 0;
		find_place(r, from, &line, &column);
		if (rc == 0)
			rc = read_expression(r, root, &table);
		if (rc == ERR_INPUT && r->mistakes && !r->lost && r->told < MISTAKES_MAX) {
			resume(r, from);
			r->seen = from; /* places are counted on from here, not from the top */
			r->line = line;
			r->column = column;
		} else {
			TRY(rc);
		}
	}
}

static int check_utf8(struct toml_reader *r)
{
	for (const char *p = r->begin; p < r->end;) {
		uint32_t cp;
		int n = text_utf8_decode(p, (size_t)(r->end - p), &cp);
		if (n <= 0)
			return toml_fail(r, p, "the text is not UTF-8");
		p += n;
	}
	return 0;
}

static int parse(const char *text, size_t len, struct arena *a,
		 const struct toml_mistakes *mistakes, struct toml **root, struct err *e)
{
	struct toml_reader r = { .begin = text,
				 .at = text,
				 .end = text + len,
				 .arena = a,
				 .e = e,
				 .mistakes = mistakes,
				 .seen = text,
				 .line = 1,
				 .column = 1 };
	struct node *n;
	int rc;

	*root = NULL;
	if (len > LIMIT_TOML_BYTES)
		return err_set(e, ERR_INPUT, "the TOML text has %zu bytes, more than %zu", len,
			       LIMIT_TOML_BYTES);
	n = arena_alloc(a, sizeof(*n));
	if (!n)
		return err_set(e, ERR_NOMEM, "out of memory while reading TOML");
	n->v.kind = TOML_TABLE;
	n->v.line = n->v.column = 1;
	n->flags = OPENED;
	rc = check_utf8(&r);
	if (rc == 0) {
		rc = read_document(&r, n);
		if (rc == 0 || (rc == ERR_INPUT && mistakes))
			*root = &n->v;
	}
	free(r.slots);
	buf_free(&r.scratch);
	return rc;
}

int toml_parse(const char *text, size_t len, struct arena *a, struct toml **root, struct err *e)
{
	return parse(text, len, a, NULL, root, e);
}

int toml_parse_all(const char *text, size_t len, struct arena *a,
		   const struct toml_mistakes *mistakes, struct toml **root, struct err *e)
{
	return parse(text, len, a, mistakes, root, e);
}

const struct toml *toml_get(const struct toml *table, const char *key)
{
	size_t len = strlen(key);

	for (const struct toml *m = table->first; m; m = m->next)
		if (m->key && m->key_len == len && memcmp(m->key, key, len) == 0)
			return m;
	return NULL;
}
