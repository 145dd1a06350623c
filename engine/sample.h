/* Private: the draw itself, over logits that masks and penalties were applied to. */
#ifndef ENGINE_SAMPLE_H
#define ENGINE_SAMPLE_H

#include "engine/engine.h"
#include "kernels/kernels.h"

/* As engine_sample, among the ids below n that are set in allowed [(n+63)/64] (NULL: all; at least
 * one). k: NULL is the plain form. weight [n] may be logits itself; id [n]; both unused at
 * temperature 0. */
uint32_t engine_sample_draw(const struct kernels *k, const float *logits, const uint64_t *allowed,
			    uint32_t n, const struct engine_sampling *s, uint32_t position,
			    float *weight, uint32_t *id);

#endif
