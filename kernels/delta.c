/* Recurrent layers: canonical forms. */
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>

/* Row t of x, or of the history before it. */
static const float *conv_row(const struct kernel_conv *c, ptrdiff_t t)
{
	return t >= 0 ? c->x + (size_t)t * c->x_row
		      : c->history + (size_t)(t + (ptrdiff_t)c->taps - 1) * c->channels;
}

void kernel_conv_plain(const struct kernel_conv *c, size_t channel, size_t count)
{
	for (uint32_t t = 0; t < c->rows; t++) {
		for (size_t i = channel; i < channel + count; i++) {
			float sum = 0;
			for (uint32_t k = 0; k < c->taps; k++)
				sum = fmaf(c->weight[k * c->channels + i],
					   conv_row(c, (ptrdiff_t)t + k - c->taps + 1)[i], sum);
			c->out[t * c->out_row + i] = sum / (1.0f + number_exp(0.0f - sum));
		}
	}
}

void kernel_conv_history(const struct kernel_conv *c, size_t channel, size_t count, float *history)
{
	for (uint32_t k = 0; k + 1 < c->taps; k++)
		memmove(history + k * c->channels + channel,
			conv_row(c, (ptrdiff_t)c->rows + k - c->taps + 1) + channel,
			count * sizeof *history);
}

void kernel_sigmoid_mul_plain(float *gate, const float *up, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		gate[i] = 1.0f / (1.0f + number_exp(0.0f - gate[i])) * up[i];
}

/* Lane l adds x[l], x[l+16], ...; then the tree of v16_sum. */
void kernel_unit_plain(float *x, uint32_t n, float eps, float scale)
{
	float lane[16] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		lane[i % 16] = fmaf(x[i], x[i], lane[i % 16]);
	for (int width = 8; width >= 1; width /= 2) {
		for (int i = 0; i < width; i++)
			lane[i] += lane[i + width];
	}
	float by = 1.0f / sqrtf(lane[0] + eps) * scale;
	for (uint32_t i = 0; i < n; i++)
		x[i] *= by;
}

/* log(1 + e^x) = max(x, 0) + log1p(y), y = e^-|x|: the series of atanh in s = y / (2 + y). */
static float softplus(float x)
{
	float y = number_exp(x > 0 ? 0.0f - x : x), s = y / (2.0f + y), s2 = s * s;
	float p = 0x1.111112p-4f; /* 1/15 */
	p = fmaf(p, s2, 0x1.3b13b2p-4f);
	p = fmaf(p, s2, 0x1.745d18p-4f);
	p = fmaf(p, s2, 0x1.c71c72p-4f);
	p = fmaf(p, s2, 0x1.24924ap-3f);
	p = fmaf(p, s2, 0x1.99999ap-3f);
	p = fmaf(p, s2, 0x1.555556p-2f);
	p = fmaf(p, s2, 1.0f);
	return fmaf(s + s, p, x > 0 ? x : 0.0f);
}

void kernel_decay_plain(enum kernel_decay kind, float low, const float *a, const float *bias,
			const float *rate, uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i++) {
		float x = a[i] + bias[i];
		if (kind == KERNEL_DECAY_SOFTPLUS)
			out[i] = number_exp((0.0f - rate[i]) * softplus(x));
		else
			out[i] = number_exp(low / (1.0f + number_exp((0.0f - rate[i]) * x)));
	}
}

/* One row for one column of a panel: sum_j a[j] * s[16 j]. */
static float column_sum(const float *a, const float *s, uint32_t key)
{
	float part[4] = { 0 };
	for (uint32_t j = 0; j < key; j++)
		part[j % 4] = fmaf(a[j], s[16 * (size_t)j], part[j % 4]);
	return (part[0] + part[2]) + (part[1] + part[3]);
}

static void column_step(const struct kernel_delta *d, uint32_t t, uint32_t column, float *s)
{
	const float *k = d->k + t * d->k_row, *decay = d->decay + t * d->decay_row;
	float kept[KERNEL_DELTA_KEY];
	for (uint32_t j = 0; j < d->key; j++)
		kept[j] = k[j] * decay[d->by_channel ? j : 0];
	float u = d->beta[t * d->beta_row] *
		  (d->v[t * d->v_row + column] - column_sum(kept, s, d->key));
	for (uint32_t j = 0; j < d->key; j++)
		s[16 * (size_t)j] = fmaf(k[j], u, s[16 * (size_t)j] * decay[d->by_channel ? j : 0]);
	d->out[t * d->out_row + column] = column_sum(d->q + t * d->q_row, s, d->key);
}

void kernel_delta_plain(const struct kernel_delta *d, uint32_t panel, uint32_t panels)
{
	uint32_t end = (panel + panels) * 16 < d->value ? (panel + panels) * 16 : d->value;
	for (uint32_t i = panel * 16; i < end; i++) {
		float *s = d->state + (size_t)(i / 16) * 16 * d->key + i % 16;
		for (uint32_t t = 0; t < d->rows; t++)
			column_step(d, t, i, s);
	}
}
