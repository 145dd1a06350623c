/* Rotary tables, built once on the host, so that every back end uses the same bits. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "model/config.h"

struct rope_table {
	uint32_t half, positions; /* pairs; positions filled */
	float *inverse;           /* [half] frequencies */
	float *cosine, *sine;     /* [positions][half], times the attention factor */
	float factor;
};

int rope_table_open(struct rope_table *t, const struct model_rope *p, struct err *e) MUST_USE;
/* Make the tables at least this many positions long. They may move. */
int rope_table_grow(struct rope_table *t, uint32_t positions, struct err *e) MUST_USE;
void rope_table_close(struct rope_table *t);

/* YaRN's m(s, c): 1 if s <= 1, else 0.1 c ln s + 1. Source: arXiv 2309.00071, section 3.4. */
double rope_mscale(double s, double c);
/* Bounds of YaRN's ramp, in pairs. */
void rope_yarn_bounds(const struct model_rope *p, double *low, double *high);

/* What a tempered layer multiplies its queries by. */
float model_temper_at(const struct model_temper *t, uint32_t position);

/* Of q.k: head^-1/2; latent: (nope + rope)^-1/2, times m(factor, mscale_all_dim)^2
 * where the rotation is scaled, in whichever manner. */
float model_attention_scale(const struct model_config *c);

#endif
