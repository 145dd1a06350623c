/* The tokens of a request that is not answered. */
#ifndef SERVE_COUNT_H
#define SERVE_COUNT_H

#include "serve/serve.h"

/* Tokens of the prompt that a request of this shape would be answered from, after the rules; 0:
 * they would end it. max_tokens may be missing. Fails as serve_chat_open does. */
int serve_chat_count(struct serve_host *h, enum api_shape shape, const void *body, size_t len,
		     const struct serve_caller *by, uint64_t *tokens, struct err *e) MUST_USE;

#endif
