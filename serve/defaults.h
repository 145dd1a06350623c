/* Private to serve/: what a model's files say of sampling, for requests that do not. */
#ifndef SERVE_DEFAULTS_H
#define SERVE_DEFAULTS_H

#include "api/api.h"
#include "model/generation.h"

/* Fill in what the client did not give; *from is a new list of the names of those fields. */
int serve_defaults_apply(const struct model_generation *g, struct api_request *q, json_t **from,
			 struct err *e) MUST_USE;
/* "temperature 0.6, top_p 0.95", appended; nothing where nothing is said. */
void serve_defaults_say(const struct model_generation *g, struct buf *out);

#endif
