#include "tests/shared/vectors.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "tokenizer/tokenizer.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>

static void decompress(const char *path, struct buf *out)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	char chunk[65536];
	la_ssize_t n = -1;
	archive_read_support_filter_xz(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_filename(a, path, sizeof chunk) == ARCHIVE_OK &&
	    archive_read_next_header(a, &entry) == ARCHIVE_OK)
		while ((n = archive_read_data(a, chunk, sizeof chunk)) > 0)
			buf_add(out, chunk, (size_t)n);
	archive_read_free(a);
	cr_assert_eq(n, 0, "cannot decompress %s", path);
}

struct buf vector_read(const char *path)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	if (text_ends(path, ".xz"))
		decompress(path, &b);
	else
		cr_assert_eq(file_read(path, MIB(64), &b, &e), 0, "%s", e.text);
	return b;
}

json_t *vector_json(const char *text, size_t len)
{
	json_error_t error;
	json_t *j = json_loadb(text, len, JSON_ALLOW_NUL, &error);
	cr_assert_not_null(j, "%s", error.text);
	return j;
}

bool ids_equal(const struct token_ids *ids, const json_t *expected)
{
	if (ids->count != json_array_size(expected))
		return false;
	for (size_t i = 0; i < ids->count; i++)
		if ((json_int_t)ids->id[i] != json_integer_value(json_array_get(expected, i)))
			return false;
	return true;
}
