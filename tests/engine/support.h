/* Helpers of the engine's tests. */
#ifndef TESTS_ENGINE_SUPPORT_H
#define TESTS_ENGINE_SUPPORT_H

#include "base/limits.h"
#include "engine/backend.h"
#include "tests/shared/memory.h"

struct engine *open_model(const char *dir, const char *kernels, unsigned threads);
/* Members that replace those of config.json in whatever open_model_with opens, as a JSON object;
 * NULL: none. */
extern const char *model_changes;
/* By a backend of one's choice; quiet. dir may name a kind (kinds.h). */
struct engine *open_model_with(const char *dir, struct engine_options o, backend_opener *open);

/* As engine_constraint_open, without a frame. */
int constrain(struct engine_constraint **out, const struct engine *m, enum grammar_kind kind,
	      const char *text, size_t len, struct err *e);

/* The first `count` tokens of a prompt that never repeats for long, and so many tokens after them. */
extern uint32_t long_prompt[1800];
struct engine_request request_of(uint32_t count, uint32_t tokens);
struct engine_session *must_open(struct engine *m, const struct engine_request *q);
int next_of(struct engine_session *s, struct err *e);
uint64_t hash_of(const void *bytes, size_t len);
/* The root of the mean square of what differs, as a share of b's own. */
double distance(const float *a, const float *b, size_t n);
/* Of the last token's logits; 0: a GPU drew it, and kept none. */
uint64_t hash_of_last(const struct engine *m, const struct engine_session *s);

/* Every backend there is, for what must hold in each. */
struct backend_kind {
	const char *name;
	backend_opener *open;
	bool sets; /* computes by the kernel sets of the host */
};
extern const struct backend_kind backends[];
#define BACKENDS 2
#define RECALLING 2 /* one more, which has a recurrent state: recalling_backend.h */
#define CUDA 3      /* and one that needs a library: */

/* GPUs are what this library says, which make built beside the tests: "libplain.so", whose operations are
 * plain loops in double, or "libhallmark_cuda.so", the kernels under the emulator. */
void use_library(const char *name);

#endif
