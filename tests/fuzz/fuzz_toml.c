#include "base/check.h"
#include "base/limits.h"
#include "base/toml.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Walks the tree without recursion deeper than the reader allows; touches every byte that it hands out. */
static size_t walk(const struct toml *v, int depth)
{
	size_t sum = v->key_len + v->text_len, count = 0;

	check(depth <= LIMIT_TOML_DEPTH);
	check(v->line >= 1 && v->column >= 1);
	if (v->text)
		check(v->text[v->text_len] == 0);
	for (const struct toml *m = v->first; m; m = m->next, count++)
		sum += walk(m, depth + 1);
	check(count == v->count);
	return sum;
}

static void count_one(void *ctx, int line, int column, const char *text)
{
	check(line >= 1 && column >= 1 && *text);
	++*(int *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena arena = {0};
	struct toml *root;
	struct err e = {0};
	int rc = toml_parse((const char *)bytes, len, &arena, &root, &e);

	int mistakes = 0;
	struct toml_mistakes listener = { count_one, &mistakes };
	struct toml *all;

	if (rc == 0)
		check(walk(root, 0) < SIZE_MAX);
	else
		check(rc == ERR_INPUT && strncmp(e.text, "line ", 5) == 0);
	check(toml_parse_all((const char *)bytes, len, &arena, &listener, &all, NULL) == rc);
	check((mistakes == 0) == (rc == 0));
	if (all)
		check(walk(all, 0) < SIZE_MAX);
	arena_free(&arena);
	return 0;
}
