/* Files of tests/vectors. */
#ifndef TESTS_SHARED_VECTORS_H
#define TESTS_SHARED_VECTORS_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>

struct token_ids;

/* A whole file, decompressed when its name ends in .xz; the test fails when it is missing. */
struct buf vector_read(const char *path);
/* One JSON value, NUL in strings allowed. New reference. */
json_t *vector_json(const char *text, size_t len);
bool ids_equal(const struct token_ids *ids, const json_t *expected);

#endif
