/* What a program takes from outside, injected: a failing run can be repeated from its seed. */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct clock {
	int64_t (*now_us)(void *ctx);    /* microseconds since 1970, UTC; may jump */
	int64_t (*steady_us)(void *ctx); /* microseconds since some time; for deadlines */
	void *ctx;
	/* Names the start of the machine, since when steady times can be compared; NULL: unknown. */
	const char *boot;
};

struct random {
	void (*fill)(void *ctx, void *out,
		     size_t len); /* cannot fail: aborts if the system has no randomness */
	void *ctx;
};

/* A flow announces each step by name ("publish.commit"): a crash test stops it there. Not NULL. */
struct steps {
	void (*at)(void *ctx, const char *step);
	void *ctx;
};

/* Variables of the environment, as getenv(3). */
struct variables {
	const char *(*get)(void *ctx, const char *name);
	void *ctx;
};

struct env {
	struct clock clock;
	struct random random;
	struct steps steps;
	struct variables variables;
};

/* The system's clock and random generator; steps do nothing, unless HALLMARK_CRASH_AT=NAME[:K] is
 * set: then the K-th (default first) arrival at that step kills the process with SIGKILL. */
struct env env_system(void);

/* Microseconds of the clock that condition variables are made to wait by (CLOCK_MONOTONIC). It
 * stands still while the machine sleeps, as env_steady_us does not: what waits by it is measured
 * by it. */
int64_t env_wait_us(void);

/* Processor time of the calling thread. */
int64_t env_thread_us(void);

/* A clock whose two times stand still at *time_us (borrowed; the test advances it). */
struct clock clock_fixed(int64_t *time_us);

/* A seeded generator: the same seed gives the same bytes (ChaCha20). state is caller-owned. */
struct random_seeded {
	uint8_t seed[32];
	uint64_t counter;
};
struct random random_seeded(struct random_seeded *state);

static inline int64_t env_now_us(const struct env *env)
{
	return env->clock.now_us(env->clock.ctx);
}
static inline int64_t env_steady_us(const struct env *env)
{
	return env->clock.steady_us(env->clock.ctx);
}
static inline void env_random(const struct env *env, void *out, size_t len)
{
	env->random.fill(env->random.ctx, out, len);
}
/* The variable's value, or NULL. Borrowed. */
static inline const char *env_variable(const struct env *env, const char *name)
{
	return env->variables.get(env->variables.ctx, name);
}
static inline void env_step(const struct env *env, const char *step)
{
	env->steps.at(env->steps.ctx, step);
}

#endif
