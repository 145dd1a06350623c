/* Answers without a model: random logits, leaned towards an end so that most come to one. */
#ifndef TESTS_ENGINE_WALK_H
#define TESTS_ENGINE_WALK_H

#include "engine/sampler.h"

struct walk {
	const struct engine *engine;
	float *logits, *lean; /* [vocab]; lean: what closers gain with every token */
	void *scratch;
	struct token_ids ids; /* of the last answer, without the eos */
	struct buf text;       /* its bytes */
	int rc;                /* of the draw that ended it */
	struct err e;
};

void walk_open(struct walk *w, const struct engine *m);
void walk_close(struct walk *w);
/* Draw until the end or tokens_max; true: it came to its end. */
bool walk_answer(struct walk *w, const struct engine_sampling *s, uint32_t tokens_max);

#endif
