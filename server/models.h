/* Private: which of the served models a caller may use. */
#ifndef SERVER_MODELS_H
#define SERVER_MODELS_H

#include "server/respond.h"
#include "serve/serve.h"

/* Whether a caller may use it, under the policy that it has now. */
bool server_model_allowed(const struct access_caller *c, const struct serve_service *s);
/* The model of that name, or NULL: not here, or not for this caller, which look alike. NULL or "":
 * the one there is for it; NULL where there are several. */
struct serve_service *server_model_find(const struct exchange *x, const char *name);
/* What a client is told where there is none. */
int server_model_missing(struct exchange *x, const char *name) MUST_USE;

#endif
