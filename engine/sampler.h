/* Private: sampling for one answer: masks, penalties, the draw, and the state that it changes.
 *
 * draw is a pure function of (logits, position, accepted ids); accept moves on by one id. So a
 * drafted token is verified by drawing at its position and comparing. Allocates nothing after open
 * (a constraint's cache of masks grows to its bound). */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H

#include "engine/pass.h"

#include <stdatomic.h>

struct sampler;

/* Parameters are checked (ERR_INPUT). prompt: for the repetition penalty. tokens_max: ids that will
 * be accepted at most. */
int sampler_open(struct sampler **out, const struct engine *m, const struct engine_sampling *s,
		 const uint32_t *prompt, size_t count, uint32_t tokens_max, struct err *e) MUST_USE;
void sampler_close(struct sampler *s);
/* The id at this position. ERR_INPUT: logits not finite; or a dead end, nothing is
 * allowed by constraint and bans together. scratch: vocab entries of 8 bytes. top: out, may be
 * NULL. Thread-safe between different samplers. */
int sampler_draw(struct sampler *s, const float *logits, uint32_t position, void *scratch,
		 uint32_t *id, struct engine_logprob *top, struct err *e) MUST_USE;
/* The same draw, for a backend to make, without a constraint: valid until the next call. false:
 * nothing is allowed, as sampler_draw will say. */
bool sampler_ask(struct sampler *s, uint32_t position, struct engine_draw *out);
void sampler_accept(struct sampler *s, uint32_t id);
/* Whether the answer ends with this token, its own text left out, once it may. */
bool sampler_ends(const struct engine_facts *f, const struct engine_sampling *s, uint32_t id);
/* Whether there is a constraint. Its mask is most of a draw's work, and may take half a second: so
 * it can be made beforehand, for the ids accepted so far, by another thread than the one that
 * draws, one at a time. From the first call on accept looks at the constraint no more: is_complete
 * holds after a prepare. only_look: no draw follows. work: steps at most, then 1, and another call
 * goes on; 0: as many as it takes. stop: as soon as it is set, ERR_UNAVAILABLE; NULL: never.
 * ERR_INPUT: as of sampler_draw. */
bool sampler_is_constrained(const struct sampler *s);
int sampler_prepare(struct sampler *s, bool only_look, uint32_t work, const atomic_bool *stop,
		    struct err *e) MUST_USE;
/* The constraint is complete and nothing may follow: the answer ends here (as if by eos). */
bool sampler_is_complete(const struct sampler *s);

#endif
