/* Layers of the gated delta rule as the papers write them, one row after another. */
#include "plain_backend.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- states ---- */

/* Of a layer: the inputs of the last conv - 1 rows, and [value_heads][key][value]. */
static size_t layer_numbers(const struct model_delta *d)
{
	return (size_t)(d->conv - 1) * (2 * d->key_heads * d->key + d->value_heads * d->value) +
	       (size_t)d->value_heads * d->key * d->value;
}

uint64_t plain_state_bytes(const struct model_config *c)
{
	for (uint32_t l = 0; l < c->layers; l++) {
		if (c->layer[l].mixer == MODEL_MIX_DELTA)
			return c->layers * layer_numbers(&c->delta) * sizeof(double);
	}
	return 0;
}

int plain_states(struct backend *b, uint64_t count, struct err *e)
{
	struct plain *m = (struct plain *)b;
	pthread_mutex_lock(&m->lock);
	double **more = realloc(m->state, (m->states + count) * sizeof *more);
	m->state = more ? more : m->state;
	for (uint64_t i = 0; more && i < count; i++) {
		double *state = malloc(b->state_bytes);
		check(state != NULL);
		for (size_t j = 0; j < b->state_bytes / sizeof *state; j++)
			state[j] = NAN; /* what was not written is not read */
		m->state[m->states++] = state;
	}
	pthread_mutex_unlock(&m->lock);
	return more ? 0 : err_set(e, ERR_NOMEM, "states");
}

static double *state_of(struct plain *m, uint32_t slot)
{
	pthread_mutex_lock(&m->lock);
	check(slot < m->states);
	double *state = m->state[slot];
	pthread_mutex_unlock(&m->lock);
	return state;
}

void plain_state_copy(struct backend *b, uint32_t from, uint32_t to)
{
	struct plain *m = (struct plain *)b;
	memcpy(state_of(m, to), state_of(m, from), b->state_bytes);
}

void plain_state_begin(struct plain *m, const struct pass *p, uint32_t row)
{
	if (m->backend.state_bytes > 0 && p->position[row] == 0)
		memset(state_of(m, p->state[p->sequence[row]]), 0, m->backend.state_bytes);
}

void plain_state_end(struct plain *m, const struct pass *p, uint32_t row)
{
	uint32_t s = p->sequence[row];
	if (m->backend.state_bytes > 0 && p->save[s] != NO_SAVE && p->save_row[s] == row)
		plain_state_copy(&m->backend, p->state[s], p->save[s]);
}

/* ---- a layer ---- */

#define WIDEST 4096 /* of any vector */

struct line {
	struct plain *m;
	float *const *w; /* [MODEL_SLOTS] */
};

/* y [rows] = w [rows][columns] x */
static void product(const float *w, uint32_t rows, uint32_t columns, const double *x, double *y)
{
	check(rows <= WIDEST && columns <= WIDEST && w != NULL);
	for (uint32_t i = 0; i < rows; i++) {
		y[i] = 0;
		for (uint32_t k = 0; k < columns; k++)
			y[i] += (double)w[(size_t)i * columns + k] * x[k];
	}
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
	return x > 30 ? x : log1p(exp(x));
}

/* By way of a rank, where there is one. */
static void two_products(const struct line *l, enum model_slot low, enum model_slot high, uint32_t rank,
                         uint32_t rows, const double *x, double *y)
{
	double between[WIDEST];
	if (rank > 0)
		product(l->w[low], rank, l->m->config.hidden, x, between);
	product(l->w[high], rows, rank > 0 ? rank : l->m->config.hidden, rank > 0 ? between : x, y);
}

/* One part of q|k|v: its channels, whose history begins at `history`. Rows of it are `all` apart. */
static void convolve(const float *w, uint32_t conv, uint32_t channels, size_t all, double *history, double *x)
{
	for (uint32_t c = 0; c < channels; c++) {
		double now = x[c], sum = (double)w[c * conv + conv - 1] * now;
		for (uint32_t k = 0; k + 1 < conv; k++)
			sum += (double)w[c * conv + k] * history[k * all + c];
		for (uint32_t k = 0; k + 2 < conv; k++)
			history[k * all + c] = history[(k + 1) * all + c];
		history[(conv - 2) * all + c] = now;
		x[c] = sum * sigmoid(sum);
	}
}

static void unit(double *x, uint32_t n, double scale)
{
	double sum = 1e-6;
	for (uint32_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (uint32_t i = 0; i < n; i++)
		x[i] *= scale / sqrt(sum);
}

/* g of decay i, from what was projected for it. */
static double decay(const struct line *l, double f, uint32_t i, uint32_t head)
{
	const struct model_delta *d = &l->m->config.delta;
	double a = exp((double)l->w[SLOT_DELTA_A][head]), x = f + (double)l->w[SLOT_DELTA_DT][i];
	return d->bounded ? (double)d->bound * sigmoid(a * x) : -a * softplus(x);
}

/* state [key][value]; f: what was projected for the head's decays. */
static void rule(const struct line *l, uint32_t head, const double *q, const double *k, const double *v,
                 double beta, const double *f, double *state, double *out)
{
	const struct model_delta *d = &l->m->config.delta;
	for (uint32_t j = 0; j < d->key; j++) {
		uint32_t i = d->by_channel ? head * d->key + j : head;
		double kept = exp(decay(l, f[i], i, head));
		for (uint32_t c = 0; c < d->value; c++)
			state[j * d->value + c] *= kept;
	}
	for (uint32_t c = 0; c < d->value; c++) {
		double read = 0, sum = 0;
		for (uint32_t j = 0; j < d->key; j++)
			read += k[j] * state[j * d->value + c];
		for (uint32_t j = 0; j < d->key; j++)
			sum += q[j] * (state[j * d->value + c] += k[j] * beta * (v[c] - read));
		out[c] = sum;
	}
}

/* RMS norm with the layer's gain, times act(gate). */
static void answer(const struct line *l, const double *gate, double *x)
{
	const struct model_config *c = &l->m->config;
	double sum = 0;
	for (uint32_t i = 0; i < c->delta.value; i++)
		sum += x[i] * x[i];
	for (uint32_t i = 0; i < c->delta.value; i++) {
		x[i] *= (double)l->w[SLOT_DELTA_NORM][i] / sqrt(sum / c->delta.value + (double)c->norm_eps);
		x[i] *= sigmoid(gate[i]) * (c->delta.gate_sigmoid ? 1 : gate[i]);
	}
}

void plain_delta(struct plain *m, const struct pass *p, uint32_t row, uint32_t layer, const double *normed,
                 double *out)
{
	const struct line line = { m, m->layer[layer].slot }, *l = &line;
	const struct model_config *c = &m->config;
	const struct model_delta *d = &c->delta;
	uint32_t keys = d->key_heads * d->key, values = d->value_heads * d->value, all = 2 * keys + values;
	double x[3 * WIDEST], gate[WIDEST], beta[WIDEST], f[WIDEST], said[WIDEST];
	float *const *w = l->w;
	double *state = state_of(m, p->state[p->sequence[row]]) + layer * layer_numbers(d);
	product(w[SLOT_Q], keys, c->hidden, normed, x);
	product(w[SLOT_K], keys, c->hidden, normed, x + keys);
	product(w[SLOT_V], values, c->hidden, normed, x + 2 * keys);
	product(w[SLOT_DELTA_BETA], d->value_heads, c->hidden, normed, beta);
	two_products(l, SLOT_DELTA_GATE_A, SLOT_DELTA_GATE, d->gate_rank, values, normed, gate);
	two_products(l, SLOT_DELTA_DECAY_A, SLOT_DELTA_DECAY, d->decay_rank,
	             d->by_channel ? keys : d->value_heads, normed, f);
	convolve(w[SLOT_DELTA_CONV_Q], d->conv, keys, all, state, x);
	convolve(w[SLOT_DELTA_CONV_K], d->conv, keys, all, state + keys, x + keys);
	convolve(w[SLOT_DELTA_CONV_V], d->conv, values, all, state + 2 * keys, x + 2 * keys);
	state += (size_t)(d->conv - 1) * all;
	for (uint32_t h = 0; h < d->key_heads; h++) {
		unit(x + h * d->key, d->key, 1 / sqrt(d->key));
		unit(x + keys + h * d->key, d->key, 1);
	}
	for (uint32_t h = 0; h < d->value_heads; h++) {
		uint32_t key = d->tiled ? h % d->key_heads : h / (d->value_heads / d->key_heads);
		uint32_t from = key * d->key, at = h * d->value;
		rule(l, h, x + from, x + keys + from, x + 2 * keys + at, sigmoid(beta[h]), f,
		     state + (size_t)h * d->key * d->value, said + at);
		answer(l, gate + at, said + at);
	}
	product(w[SLOT_O], c->hidden, values, said, out);
}
