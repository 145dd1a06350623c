/* Tokenizers for the tests. */
#ifndef TESTS_TOKENIZER_SUPPORT_H
#define TESTS_TOKENIZER_SUPPORT_H

#include "tests/shared/vectors.h"
#include "tokenizer/tokenizer.h"

/* Of a tokenizer.json, which may be compressed. */
struct tokenizer *vector_tokenizer(const char *path);
/* A tokenizer from JSON text written with ' for ". */
int tokenizer_of(struct tokenizer **out, const char *quoted, struct err *e);

#endif
