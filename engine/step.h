/* Private: sessions that wait at the same time share a forward pass. */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "engine/engine.h"

#include <pthread.h>

struct step_request;

struct stepper {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct step_request *first, **last; /* waiting */
	bool leading;                       /* a thread is running a pass for others */
};

void step_open(struct stepper *s);
void step_close(struct stepper *s);

/* As engine_forward of one feed, together with whoever else is waiting: the first to come leads,
 * the others wait for it. Logits are the same as alone (level D1). */
int step_forward(struct engine *m, const struct engine_feed *feed, struct err *e) MUST_USE;

#endif
