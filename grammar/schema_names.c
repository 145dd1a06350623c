/* Strings that are none of some names: a trie of these, each of whose branches may be left. */
#include "grammar/schema_parts.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct branch {
	uint32_t lo, hi, offset, rule;
}; /* names [lo, hi) share offset bytes */

struct names {
	const char **name; /* [count], sorted */
	uint32_t count;
	bool escaped; /* there are others, which need escapes */
	struct branch *todo;
	uint32_t todos, room;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names that need escapes are spelled otherwise than any other name here. */
static bool is_raw(const char *name)
{
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < 0x20 || *name == '"' || *name == '\\')
			return false;
	}
	return true;
}

static bool branch_push(struct names *n, struct branch b)
{
	if (n->todos == n->room) {
		uint32_t room = n->room * 2 + 16;
		struct branch *more = realloc(n->todo, room * sizeof *more);
		if (more == NULL)
			return false;
		n->todo = more;
		n->room = room;
	}
	n->todo[n->todos++] = b;
	return true;
}

/* The rule of one branch: the end unless a name ends here, a character that no name goes on with
 * and then anything, or a character that one does. */
static bool branch_write(struct schema *c, struct names *n, struct branch b)
{
	struct buf body = { 0 }, others = { 0 };
	uint32_t i = b.lo;
	bool ends = i < b.hi && n->name[i][b.offset] == '\0', ok = true;
	buf_add_text(&body, ends ? "[]" : "\"\\\"\"");
	for (i += ends; i < b.hi && ok;) {
		uint32_t cp, next = i;
		const char *at = n->name[i] + b.offset;
		int len = text_utf8_decode(at, strnlen(at, 4), &cp);
		len = len > 0 ? len : 1;
		while (next < b.hi && strncmp(n->name[next] + b.offset, at, (size_t)len) == 0)
			next++;
		uint32_t rule = schema_rule_begin(c);
		ok = branch_push(n, (struct branch){ i, next, b.offset + (uint32_t)len, rule });
		buf_printf(&others, "\\U%08X", cp);
		buf_printf(&body, " | [\\U%08X] ", cp);
		schema_rule_name(c, rule, &body);
		i = next;
	}
	buf_add_text(&body, " | [^\"\\\\\\x00-\\x1F");
	buf_add_buf(&body, &others);
	buf_add_text(&body, "] [^\"\\\\\\x00-\\x1F]* \"\\\"\"");
	schema_rule_write(c, b.rule, &body);
	buf_free(&body);
	buf_free(&others);
	return ok;
}

/* A string that is no name in the list. */
static int trie_write(struct schema *c, struct names *n, struct buf *out)
{
	bool ok = true;
	if (n->count == 0 && !n->escaped)
		return schema_shared(c, "string", out);
	qsort(n->name, n->count, sizeof *n->name, by_text);
	uint32_t rule = schema_rule_begin(c);
	ok = branch_push(n, (struct branch){ 0, n->count, 0, rule });
	while (ok && n->todos > 0 && c->out->len <= SCHEMA_OUT_MAX)
		ok = branch_write(c, n, n->todo[--n->todos]);
	if (c->out->len > SCHEMA_OUT_MAX)
		return schema_wrong(c, "its rules are longer than 8 MiB");
	buf_add_text(out, "\"\\\"\" ");
	schema_rule_name(c, rule, out);
	return ok ? buf_done(out, c->e) : err_set(c->e, ERR_NOMEM, "out of memory for the schema");
}

int schema_other_string(struct schema *c, const json_t *names, struct buf *out)
{
	struct names n = { .name = calloc(json_array_size(names) + 1, sizeof *n.name) };
	const json_t *one;
	size_t i;
	int rc = n.name == NULL ? schema_no_memory(c) : 0;
	json_array_foreach((json_t *)names, i, one) {
		if (rc == 0 && json_is_string(one) && is_raw(json_string_value(one)))
			n.name[n.count++] = json_string_value(one);
		else
			n.escaped = n.escaped || json_is_string(one);
	}
	if (rc == 0)
		rc = trie_write(c, &n, out);
	free(n.name);
	free(n.todo);
	return rc;
}
