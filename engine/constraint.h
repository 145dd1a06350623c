/* Private: a compiled constraint as the sampler uses it. */
#ifndef ENGINE_CONSTRAINT_H
#define ENGINE_CONSTRAINT_H

#include "engine/engine.h"

#include <stdatomic.h>

/* How far an answer has come: a cache of the ids accepted so far. Zero at the start. */
struct constraint_place {
	uint64_t generation;       /* of the automaton's numbers; 0: none yet */
	uint32_t at, steps;        /* configuration after so many ids */
	uint64_t exact_generation; /* the same of the exact automaton, where there is one */
	uint32_t exact_at, exact_steps;
	/* How much a call may do: steps of work (0: as many as it takes), and until when. */
	uint32_t work;
	const atomic_bool *stop; /* NULL: never */
};

/* What may come after id [count] (the ids accepted so far, no eos among them; those before the ones
 * of the last call with this place are the same). mask: out, [engine_constraint_words] bits, the
 * ids that may be drawn, eos not among them. ERR_INPUT: a limit of the automaton is reached, by
 * name. 1: the work that is allowed did not suffice; another call goes on from there.
 * ERR_UNAVAILABLE: it was stopped. Thread-safe. */
struct constraint_state {
	bool ends;    /* the answer may end here */
	bool goes_on; /* it may go on */
	bool limited; /* something was left out because it nests too deeply or in too many ways */
};
int engine_constraint_mask(struct engine_constraint *c, struct constraint_place *p,
			   const uint32_t *id, uint32_t count, uint64_t *mask,
			   struct constraint_state *out, struct err *e) MUST_USE;
/* The same without the mask. */
int engine_constraint_look(struct engine_constraint *c, struct constraint_place *p,
			   const uint32_t *id, uint32_t count, struct constraint_state *out,
			   struct err *e) MUST_USE;
uint32_t engine_constraint_words(
	const struct engine_constraint *c); /* (ids of the tokenizer + 63) / 64 */
const struct engine *engine_constraint_engine(const struct engine_constraint *c);

#endif
