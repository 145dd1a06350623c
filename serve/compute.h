/* Private to serve/: how the engine computes, from words to its options and back. */
#ifndef SERVE_COMPUTE_H
#define SERVE_COMPUTE_H

#include "engine/engine.h"
#include "serve/serve.h"

const char *serve_weights_name(enum model_packing w);
const char *serve_cache_name(enum engine_cache c);

#endif
