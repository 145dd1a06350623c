/* Values that a rule leaves alone. Two writings are of one value if they are the same but for case,
 * spaces, and the separators between digits: "+44 7700-900963" is "+447700900963", and "a.b@c.de"
 * is not "ab@c.de". */
#include "base/text.h"
#include "filters/set.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(uint32_t cp) { return cp >= '0' && cp <= '9'; }

static bool is_separator(uint32_t cp) { return cp < 0x80 && cp && strchr("-./_()", (int)cp); }

/* Code points of a text in the views of values and of case, without spaces. */
static void read_points(const char *text, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len;) {
		uint32_t cp;
		struct fold value, folded;
		int n = text_utf8_decode(text + at, len - at, &cp);
		at += n > 0 ? (size_t)n : 1;
		filter_view_fold(VIEW_VALUE, n > 0 ? cp : 0xFFFD, &value);
		for (int i = 0; i < value.n; i++) {
			filter_view_fold(VIEW_CASE, value.cp[i], &folded);
			for (int k = 0; k < folded.n; k++)
				if (folded.cp[k] > ' ')
					buf_add(out, &folded.cp[k], sizeof folded.cp[k]);
		}
	}
}

/* Leave out separators that stand between two digits, other separators beside them. */
static size_t join_digits(uint32_t *cp, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		size_t next = i;
		while (next < n && is_separator(cp[next]))
			next++;
		if (next > i && kept > 0 && is_digit(cp[kept - 1]) && next < n &&
		    is_digit(cp[next]))
			i = next;
		cp[kept++] = cp[i];
	}
	return kept;
}

/* The value that a text is a writing of: code points, of a buffer that the caller frees. */
static size_t value_of(const char *text, size_t len, struct buf *out)
{
	buf_clear(out);
	read_points(text, len, out);
	return out->failed ? 0 : join_digits((uint32_t *)(void *)out->bytes, out->len / 4);
}

int filter_except_copy(struct filter_set *s, struct rule *to, const struct filter_rule *from,
		       struct err *e)
{
	struct buf value = { 0 };
	to->except = arena_array(&s->arena, from->except_count + 1, sizeof *to->except);
	int rc = to->except ? 0 : ERR_NOMEM;
	for (size_t i = 0; i < from->except_count && rc == 0; i++) {
		size_t n = value_of(from->except[i], strlen(from->except[i]), &value);
		uint32_t *cp = arena_array(&s->arena, n + 1, sizeof *cp);
		rc = cp && !value.failed ? 0 : ERR_NOMEM;
		if (rc == 0 && n == 0) {
			buf_free(&value);
			return err_set(e, ERR_INPUT,
				       "rule %s: except.literals: \"%.40s\" is empty; leave it out",
				       from->id, from->except[i]);
		}
		if (rc == 0) {
			memcpy(cp, value.bytes, n * sizeof *cp);
			to->except[to->excepts++] = (struct excepted){ cp, n };
		}
	}
	buf_free(&value);
	return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "out of memory for the rules");
}

bool filter_excepted(const struct rule *r, const char *text, size_t len)
{
	struct buf value = { 0 };
	if (r->excepts == 0)
		return false;
	size_t n = value_of(text, len, &value);
	bool found = false;
	for (size_t i = 0; i < r->excepts && n > 0 && !found; i++)
		found = r->except[i].n == n &&
			memcmp(r->except[i].cp, value.bytes, n * sizeof(uint32_t)) == 0;
	buf_free(&value);
	return found;
}
