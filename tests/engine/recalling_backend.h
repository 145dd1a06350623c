/* The CPU's backend with a recurrent state laid over it, of any model: a hash of all tokens of a text, of
 * which the logits of a row get a little. So a state that belongs to another place of a text shows in the
 * logits, whatever went wrong above the seam; and the pass itself is held to what engine/backend.h says. */
#ifndef TESTS_ENGINE_RECALLING_BACKEND_H
#define TESTS_ENGINE_RECALLING_BACKEND_H

#include "engine/backend.h"

/* What a slot is said to take, in pages of the cache; before opening. */
extern uint64_t recalling_pages;

/* A backend_opener. */
int recalling_open(struct backend **out, const struct backend_order *o, struct err *e) MUST_USE;

#endif
