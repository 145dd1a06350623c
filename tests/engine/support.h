/* Helpers of the engine's tests. */
#ifndef TESTS_ENGINE_SUPPORT_H
#define TESTS_ENGINE_SUPPORT_H

#include "base/limits.h"
#include "engine/pass.h"
#include "tests/shared/memory.h"

struct engine *open_model(const char *dir, const char *kernels, unsigned threads);

#endif
