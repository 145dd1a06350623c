/* inv_i = theta^(-2i/r), scaled by the config's rule in double and rounded once to f32; the angle
 * inv*t and its sine and cosine in double, rounded to f32. (An f32 angle would be off by 1e-4 at
 * position 2000, the largest of all errors of a long prompt.) */
#include "model/rope.h"

#include "kernels/number.h"

#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846

double rope_mscale(double s, double c) { return s <= 1 ? 1 : 0.1 * c * number_log(s) + 1; }

static double span(const struct model_rope *p) { return p->span > 0 ? p->span : p->size; }

/* The (fractional) pair that makes b rotations within the original context. */
static double turning_pair(const struct model_rope *p, double b)
{
	return span(p) * number_log(p->context_original / (2 * PI * b)) /
	       (2 * number_log(p->theta));
}

/* As in the reference implementation low is clamped only from below and high only from above: where
 * even high lies below pair 0, nothing is interpolated. */
void rope_yarn_bounds(const struct model_rope *p, double *low, double *high)
{
	double last = span(p) - 1;
	*low = turning_pair(p, p->beta_fast);
	*high = turning_pair(p, p->beta_slow);
	if (p->truncate) {
		*low = floor(*low);
		*high = ceil(*high);
	}
	*low = fmax(*low, 0);
	*high = fmin(*high, last);
	if (*low == *high)
		*high += 0.001;
}

static double yarn(const struct model_rope *p, double inv, uint32_t i)
{
	double low, high;
	rope_yarn_bounds(p, &low, &high);
	double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
	return inv / p->factor * ramp + inv * (1 - ramp);
}

static double llama3(const struct model_rope *p, double inv)
{
	double wave = 2 * PI / inv, lo = p->context_original / p->low_freq_factor;
	bool step = p->high_freq_factor <= p->low_freq_factor; /* nothing is between */
	if (wave > lo)
		return inv / p->factor;
	if (step || wave < p->context_original / p->high_freq_factor)
		return inv;
	double s = (p->context_original / wave - p->low_freq_factor) /
		   (p->high_freq_factor - p->low_freq_factor);
	return inv * ((1 - s) / p->factor + s);
}

static double frequency(const struct model_rope *p, uint32_t i)
{
	double inv = number_exp_double(-2.0 * i / span(p) * number_log(p->theta));
	switch (p->kind) {
	case MODEL_ROPE_PROPORTIONAL: /* a pair that does not turn has frequency 0 */
		return i < (uint32_t)(p->partial * span(p) / 2) ? inv / p->factor : 0;
	case MODEL_ROPE_LONG:
		return inv / (double)p->divisor[p->far][i];
	case MODEL_ROPE_LINEAR:
		return inv / p->factor;
	case MODEL_ROPE_LLAMA3:
		return llama3(p, inv);
	case MODEL_ROPE_YARN:
		return yarn(p, inv, i);
	default:
		return inv;
	}
}

static double attention_factor(const struct model_rope *p)
{
	if (p->kind == MODEL_ROPE_LONG)
		return p->attention_given ? p->attention_factor
		       : p->factor <= 1
			       ? 1
			       : sqrt(1 + number_log(p->factor) / number_log(p->context_original));
	if (p->kind != MODEL_ROPE_YARN)
		return 1;
	if (p->attention_given)
		return p->attention_factor;
	if (p->mscale > 0 && p->mscale_all_dim > 0)
		return rope_mscale(p->factor, p->mscale) /
		       rope_mscale(p->factor, p->mscale_all_dim);
	return rope_mscale(p->factor, 1) * (p->attn_factor > 0 ? p->attn_factor : 1);
}

int rope_table_open(struct rope_table *t, const struct model_rope *p, struct err *e)
{
	*t = (struct rope_table){ .half = p->size / 2, .factor = (float)attention_factor(p) };
	t->inverse = malloc(t->half * sizeof *t->inverse);
	if (t->inverse == NULL)
		return err_set(e, ERR_NOMEM, "rotary table");
	for (uint32_t i = 0; i < t->half; i++)
		t->inverse[i] = (float)frequency(p, i);
	return 0;
}

int rope_table_grow(struct rope_table *t, uint32_t positions, struct err *e)
{
	if (positions <= t->positions)
		return 0;
	float *cosine = realloc(t->cosine, (size_t)positions * t->half * sizeof *cosine);
	if (cosine != NULL)
		t->cosine = cosine;
	float *sine = realloc(t->sine, (size_t)positions * t->half * sizeof *sine);
	if (sine != NULL)
		t->sine = sine;
	if (cosine == NULL || sine == NULL)
		return err_set(e, ERR_NOMEM, "rotary table of %u positions", positions);
	for (uint32_t at = t->positions; at < positions; at++) {
		for (uint32_t i = 0; i < t->half; i++) {
			double angle = (double)t->inverse[i] * at;
			cosine[(size_t)at * t->half + i] = (float)number_cos(angle) * t->factor;
			sine[(size_t)at * t->half + i] = (float)number_sin(angle) * t->factor;
		}
	}
	t->positions = positions;
	return 0;
}

void rope_table_close(struct rope_table *t)
{
	free(t->inverse);
	free(t->cosine);
	free(t->sine);
	*t = (struct rope_table){ 0 };
}

float model_temper_at(const struct model_temper *t, uint32_t position)
{
	double steps = floor(((double)position + t->shift) / t->length);
	return (float)(1 + t->beta * number_log(1 + steps));
}

float model_attention_scale(const struct model_config *c)
{
	if (c->all.mixer == MODEL_MIX_GQA)
		return (float)(1 / sqrt((double)c->all.head));
	double scale = 1 / sqrt((double)(c->nope + c->rope_head));
	if (c->ropes[0].kind != MODEL_ROPE_DEFAULT && c->ropes[0].mscale_all_dim > 0) {
		double m = rope_mscale(c->ropes[0].factor, c->ropes[0].mscale_all_dim);
		scale *= m * m;
	}
	return (float)scale;
}
