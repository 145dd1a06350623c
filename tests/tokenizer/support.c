#include "support.h"

#include <criterion/criterion.h>

struct tokenizer *vector_tokenizer(const char *path)
{
	struct tokenizer *t = NULL;
	struct err e = { 0 };
	struct buf b = vector_read(path);
	cr_assert_eq(tokenizer_open(&t, b.bytes, b.len, &e), 0, "%s", e.text);
	buf_free(&b);
	return t;
}

int tokenizer_of(struct tokenizer **out, const char *quoted, struct err *e)
{
	struct buf b = { 0 };
	for (const char *p = quoted; *p; p++)
		buf_add_byte(&b, *p == '\'' ? '"' : (unsigned char)*p);
	int rc = tokenizer_open(out, b.bytes, b.len, e);
	buf_free(&b);
	return rc;
}
