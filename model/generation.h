/* What a model's generation_config.json says of sampling: defaults for requests that do not say
 * themselves. */
#ifndef MODEL_GENERATION_H
#define MODEL_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

struct model_generation {
	bool greedy; /* do_sample: false: the likeliest token, whatever temperature says */
	bool has_temperature, has_top_p, has_top_k, has_min_p, has_repetition, has_tokens_max;
	double temperature, top_p, min_p; /* 0..2, 0..1, 0..1 */
	double repetition;                /* over 0, to 10 */
	uint32_t top_k;                   /* 0: off */
	uint32_t tokens_max;              /* max_new_tokens, from 1 */
};

/* Private to model/: read the members. One that cannot be used has no effect, which the notes say:
 * the model computes all the same. A number of tokens beyond all contexts is none. */
struct config_reader;
void model_generation_read(struct config_reader *r, struct model_generation *out);

#endif
