/* Files for the tests of tokenizer and templates. */
#ifndef TESTS_ENGINE_TEXT_VECTORS_H
#define TESTS_ENGINE_TEXT_VECTORS_H

#include "engine/engine.h"
#include "template/template.h"

/* A whole file, decompressed when its name ends in .xz; the test fails when it is missing. */
struct buf vector_read(const char *path);
/* One JSON value, NUL in strings allowed. New reference. */
json_t *vector_json(const char *text, size_t len);
struct tokenizer *vector_tokenizer(const char *path);
/* A tokenizer from JSON text written with ' for ". */
int tokenizer_of(struct tokenizer **out, const char *quoted, struct err *e);
bool ids_equal(const struct token_ids *ids, const json_t *expected);

/* Render with these variables (JSON), at a fixed time; as template_render. */
int vector_render(const char *template, const char *variables, struct buf *out, struct buf *origin,
                  struct err *e);

#endif
