/* Small models of random weights, one for each kind of thing that a layer may do and today's families in
 * tests/vectors/oracles do not: what must hold of every model is held to these too. */
#ifndef TESTS_ENGINE_KINDS_H
#define TESTS_ENGINE_KINDS_H

#include "engine/backend.h"

#define KIND "kind:" /* begins their names where a folder is expected: open_model_with */

/* The i-th one's name, with KIND; NULL past the last. */
const char *kind_at(size_t i);
struct engine *kind_open(const char *name, const struct engine_options *o, backend_opener *open);

#endif
