#include "kernels/truth.h"

#include "base/check.h"

#include <math.h>

/* Input k of row i: for the integer formats as it was quantised. */
static double input(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t i,
		    uint32_t k)
{
	size_t at = x->pick ? x->pick[i] : i, wide = kernel_quant_columns(w->columns);
	if (!kernel_is_integer(w->format))
		return (double)x->value[at * x->stride + k];
	return (double)x->quant->code[at * wide + k] *
	       (double)x->quant->scale[(at * wide + k) / KERNEL_INPUT_BLOCK];
}

void kernel_truth_matmul(const struct kernel_matrix *w, const struct kernel_rows *x, double *out)
{
	for (uint32_t i = 0; i < x->count; i++) {
		for (uint32_t row = 0; row < w->rows; row++) {
			double sum = 0;
			for (uint32_t k = 0; k < w->columns; k++)
				sum += (double)kernel_matrix_at(w, row, k) * input(w, x, i, k);
			out[(size_t)i * w->rows + row] = sum;
		}
	}
}

void kernel_truth_rmsnorm(const float *x, const float *gain, uint32_t n, double eps, double *out)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	for (uint32_t i = 0; i < n; i++)
		out[i] = (double)x[i] / sqrt(sum / n + eps) * (gain == NULL ? 1 : (double)gain[i]);
}

void kernel_truth_layernorm(const float *x, const float *gain, const float *bias, uint32_t n,
			    double eps, double *out)
{
	double mean = 0, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		mean += (double)x[i] / n;
	for (uint32_t i = 0; i < n; i++)
		sum += ((double)x[i] - mean) * ((double)x[i] - mean);
	for (uint32_t i = 0; i < n; i++)
		out[i] = ((double)x[i] - mean) / sqrt(sum / n + eps) * (double)gain[i] +
			 (bias == NULL ? 0 : (double)bias[i]);
}

static double clamped(double x, double up)
{
	double g = fmin(x, 7), u = fmax(fmin(up, 7), -7);
	return (u + 1) * g / (1 + exp(-1.702 * g));
}

static double act_of(enum kernel_act act, double x, const float *p)
{
	switch (act) {
	case KERNEL_ACT_SILU:
		return x / (1 + exp(-x));
	case KERNEL_ACT_GELU_TANH:
		return x / 2 * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
	case KERNEL_ACT_GELU:
		return x / 2 * erfc(-x * 0.70710678118654752);
	case KERNEL_ACT_RELU2:
		return fmax(x, 0) * fmax(x, 0);
	case KERNEL_ACT_XIELU:
		if (x > 0)
			return (double)p[0] * x * x + (double)p[2] * x;
		return (double)p[1] * (expm1(fmin(x, (double)p[3])) - x) + (double)p[2] * x;
	default:
		return x;
	}
}

void kernel_truth_act(enum kernel_act act, const float *x, const float *up, uint32_t n,
		      const float *parameter, double *out)
{
	for (uint32_t i = 0; i < n; i++) {
		if (act == KERNEL_ACT_CLAMPED)
			out[i] = clamped((double)x[i], (double)up[i]);
		else
			out[i] = act_of(act, (double)x[i], parameter) *
				 (up == NULL ? 1 : (double)up[i]);
	}
}

#define WIDTH_MOST 4096

/* Number k of a part of position j. */
static void cached(const struct kernel_attention *a, enum kernel_side side, size_t at, uint32_t n,
		   uint32_t j, float *out)
{
	j = a->chosen != NULL ? a->chosen[j] : j;
	const unsigned char *page = a->page[j / KERNEL_PAGE];
	check(n <= WIDTH_MOST);
	kernel_cache_load(a->cache, side, page + at, n, j % KERNEL_PAGE, out);
}

static double score(const struct kernel_attention *a, uint32_t r, uint32_t h, uint32_t j)
{
	const float *q = a->query + r * a->query_row + h * a->query_head;
	float key[WIDTH_MOST];
	double sum = 0;
	cached(a, a->keys, a->key_at, a->wide, j, key);
	for (uint32_t k = 0; k < a->wide; k++)
		sum += (double)q[k] * (double)key[k];
	if (a->tail > 0)
		cached(a, a->keys, a->tail_at, a->tail, j, key);
	for (uint32_t k = 0; k < a->tail; k++)
		sum += (double)a->query_tail[r * a->tail_row + h * a->tail_head + k] *
		       (double)key[k];
	sum *= (double)a->scale;
	return a->softcap > 0 ? (double)a->softcap * tanh(sum / (double)a->softcap) : sum;
}

static void attend(const struct kernel_attention *a, uint32_t r, uint32_t h, double *out)
{
	double largest = a->sink == NULL ? -INFINITY : (double)a->sink[h], total = 0;
	uint32_t first = a->first + (a->moves ? r : 0), end = a->positions + r;
	float value[WIDTH_MOST];
	for (uint32_t j = first; j < end; j++)
		largest = fmax(largest, score(a, r, h, j));
	for (uint32_t d = 0; d < a->value; d++)
		out[d] = 0;
	for (uint32_t j = first; j < end; j++) {
		double p = exp(score(a, r, h, j) - largest);
		total += p;
		cached(a, KERNEL_BY_NUMBER, a->value_at, a->value, j, value);
		for (uint32_t d = 0; d < a->value; d++)
			out[d] += p * (double)value[d];
	}
	total += a->sink == NULL ? 0 : exp((double)a->sink[h] - largest);
	for (uint32_t d = 0; d < a->value; d++)
		out[d] /= total;
}

void kernel_truth_attn(const struct kernel_attention *a, double *out)
{
	for (uint32_t lane = 0; lane < a->rows * a->heads; lane++)
		attend(a, lane / a->heads, lane % a->heads, out + (size_t)lane * a->value);
}

void kernel_truth_softmax(const float *score, uint32_t n, double *p)
{
	double largest = -INFINITY, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		largest = fmax(largest, (double)score[i]);
	for (uint32_t i = 0; i < n; i++)
		sum += p[i] = exp((double)score[i] - largest);
	for (uint32_t i = 0; i < n; i++)
		p[i] /= sum;
}

void kernel_truth_conv(const struct kernel_conv *c, double *out)
{
	for (uint32_t t = 0; t < c->rows; t++) {
		for (size_t i = 0; i < c->channels; i++) {
			double sum = 0;
			for (uint32_t k = 0; k < c->taps; k++) {
				uint32_t at = t + k; /* in history, then x */
				const float *x = at + 1 < c->taps
							 ? c->history + at * c->channels
							 : c->x + (at + 1 - c->taps) * c->x_row;
				sum += (double)c->weight[k * c->channels + i] * (double)x[i];
			}
			out[t * c->channels + i] = sum / (1 + exp(-sum));
		}
	}
}

void kernel_truth_delta(const struct kernel_delta *d, double *state, double *out)
{
	for (uint32_t t = 0; t < d->rows; t++) {
		const float *k = d->k + t * d->k_row, *decay = d->decay + t * d->decay_row;
		for (uint32_t i = 0; i < d->value; i++) {
			double *s = state + (size_t)i * d->key, read = 0, sum = 0;
			for (uint32_t j = 0; j < d->key; j++) {
				s[j] *= (double)decay[d->by_channel ? j : 0];
				read += (double)k[j] * s[j];
			}
			double u = (double)d->beta[t * d->beta_row] *
				   ((double)d->v[t * d->v_row + i] - read);
			for (uint32_t j = 0; j < d->key; j++) {
				s[j] += (double)k[j] * u;
				sum += (double)d->q[t * d->q_row + j] * s[j];
			}
			out[(size_t)t * d->value + i] = sum;
		}
	}
}

double kernel_truth_decay(enum kernel_decay kind, double low, double a, double rate)
{
	if (kind == KERNEL_DECAY_BOUNDED)
		return exp(low / (1 + exp(-rate * a)));
	return exp(-rate * (fmax(a, 0) + log1p(exp(-fabs(a)))));
}
