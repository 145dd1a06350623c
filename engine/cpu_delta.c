/* Layers of the gated delta rule: a convolution over the last inputs and a matrix of memory for
 * each value head take the place of attention's cache. Source: arXiv 2412.06464; with decay by
 * channel arXiv 2510.26692.
 *
 *   q|k|v, gate, beta, decay = products of normed (two of them by way of a rank)
 *   mixed = silu(convolution of q|k|v over the row and the ones before it)
 *   q, k = unit vectors of each head, q * key^-1/2; beta = sigmoid; decay = exp(g)
 *   out = the delta rule, row after row                       kernels/delta.h
 *   gate = act(gate) * norm of each head of out; delta = output product
 *
 * Channels of the convolution and columns of a state depend on no others, so that threads share
 * sequences times these; the rows of a sequence are taken in order by one thread. */
#include "engine/cpu.h"

#include <math.h>
#include <string.h>

#define SPAN 512u /* channels of the convolution that are taken together */
#define ROWS 32u  /* rows whose queries and keys stay in the nearest cache */
#define UNIT_EPS 1e-6f

/* A layer of a pass. */
struct delta {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
	const struct layer_weights *w;
	const struct model_delta *c;
	uint32_t keys, values, channels, gates; /* floats of a row: k, v, q|k|v, decays */
	uint32_t items, each;                   /* of a sequence; channels, or panels of one */
};

/* Rows of one sequence that end where its state is saved, or where the pass ends. */
struct stretch {
	uint32_t row, rows;
	bool begins;         /* from nothing */
	float *state, *save; /* the layer's part of the slot, and of that which gets a copy behind
				these rows; NULL: none does */
};

static struct delta delta_of(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct model_delta *c = &m->config.delta;
	uint32_t keys = c->key_heads * c->key, values = c->value_heads * c->value;
	return (struct delta){ .m = m,
			       .p = p,
			       .layer = layer,
			       .w = &m->weights.layer[layer],
			       .c = c,
			       .keys = keys,
			       .values = values,
			       .channels = 2 * keys + values,
			       .gates = c->by_channel ? keys : c->value_heads };
}

/* Stretch 0 or 1 of a sequence; false: there is none. */
static bool stretch_of(const struct delta *d, uint32_t sequence, int which, struct stretch *s)
{
	const struct cpu_recurrent *r = &d->m->recurrent;
	float *save = r->save[sequence];
	uint32_t row = r->row[sequence], end = r->row[sequence + 1],
		 cut = save ? d->p->save_row[sequence] + 1 : end;
	*s = (struct stretch){ .row = which == 0 ? row : cut,
			       .rows = which == 0 ? cut - row : end - cut,
			       .begins = which == 0 && d->p->position[row] == 0,
			       .state = r->state[sequence] + r->at[d->layer],
			       .save = which == 0 && save ? save + r->at[d->layer] : NULL };
	return s->rows > 0;
}

/* ---- products ---- */

static struct job job_of(const struct delta *d, enum model_slot slot, float *out, size_t stride)
{
	return (struct job){ .w = &d->w->matrix[slot],
			     .x = { .value = d->m->work.normed,
				    .stride = d->m->config.hidden,
				    .count = d->p->rows },
			     .in = d->m->work.normed_code,
			     .out = out,
			     .stride = stride };
}

/* The first product of two, which leaves what the second reads. */
static struct job job_low(const struct delta *d, enum model_slot slot, struct cpu_low *low)
{
	struct job j = job_of(d, slot, low->value, low->rank);
	j.code = low->code;
	j.code_row = kernel_quant_columns(low->rank);
	return j;
}

static struct job job_high(const struct delta *d, enum model_slot slot, const struct cpu_low *low,
			   float *out, size_t stride)
{
	struct job j = job_of(d, slot, out, stride);
	j.x.value = low->value;
	j.x.stride = low->rank;
	j.in = low->code;
	return j;
}

static void project(const struct delta *d)
{
	struct cpu_recurrent *r = &d->m->recurrent;
	struct job first[6], second[2];
	uint32_t n = 0, more = 0;
	first[n++] = job_of(d, SLOT_Q, r->in, d->channels);
	first[n++] = job_of(d, SLOT_K, r->in + d->keys, d->channels);
	first[n++] = job_of(d, SLOT_V, r->in + 2 * (size_t)d->keys, d->channels);
	first[n++] = job_of(d, SLOT_DELTA_BETA, r->beta, d->c->value_heads);
	if (r->gate_low.rank > 0) {
		first[n++] = job_low(d, SLOT_DELTA_GATE_A, &r->gate_low);
		second[more++] = job_high(d, SLOT_DELTA_GATE, &r->gate_low, r->gate, d->values);
	} else {
		first[n++] = job_of(d, SLOT_DELTA_GATE, r->gate, d->values);
	}
	if (r->decay_low.rank > 0) {
		first[n++] = job_low(d, SLOT_DELTA_DECAY_A, &r->decay_low);
		second[more++] = job_high(d, SLOT_DELTA_DECAY, &r->decay_low, r->decay, d->gates);
	} else {
		first[n++] = job_of(d, SLOT_DELTA_DECAY, r->decay, d->gates);
	}
	cpu_jobs_run(d->m, first, n);
	if (more > 0)
		cpu_jobs_run(d->m, second, more);
}

/* ---- the convolution ---- */

static void conv_stretch(const struct delta *d, const struct stretch *s, size_t channel,
			 size_t count)
{
	const struct cpu_recurrent *r = &d->m->recurrent;
	float *history = s->state;
	const struct kernel_conv c = { .rows = s->rows,
				       .taps = d->c->conv,
				       .channels = d->channels,
				       .weight = r->layer[d->layer].conv,
				       .history = history,
				       .x = r->in + (size_t)s->row * d->channels,
				       .out = r->mixed + (size_t)s->row * d->channels,
				       .x_row = d->channels,
				       .out_row = d->channels };
	for (uint32_t k = 0; s->begins && k + 1 < c.taps; k++)
		memset(history + k * c.channels + channel, 0, count * sizeof *history);
	d->m->kernels->conv(&c, channel, count);
	kernel_conv_history(&c, channel, count, history);
	for (uint32_t k = 0; s->save && k + 1 < c.taps; k++)
		memcpy(s->save + k * c.channels + channel, history + k * c.channels + channel,
		       count * sizeof *history);
}

static void conv_share(void *ctx, struct part part)
{
	const struct delta *d = ctx;
	for (uint32_t i = part.begin; i < part.end; i++) {
		size_t channel = (size_t)(i % d->items) * d->each;
		size_t left = d->channels - channel, count = left < d->each ? left : d->each;
		struct stretch s;
		for (int which = 0; which < 2; which++) {
			if (stretch_of(d, i / d->items, which, &s))
				conv_stretch(d, &s, channel, count);
		}
	}
}

/* ---- what the rule reads ---- */

static void ready_row(struct cpu *m, uint32_t i, const void *ctx)
{
	const struct delta *d = ctx;
	const struct kernels *k = m->kernels;
	const struct cpu_recurrent *r = &m->recurrent;
	const struct cpu_delta *l = &r->layer[d->layer];
	float *q = r->mixed + (size_t)i * d->channels, *key = q + d->keys;
	float *decay = r->decay + (size_t)i * d->gates, scale = 1.0f / sqrtf((float)d->c->key);
	for (uint32_t h = 0; h < d->c->key_heads; h++) {
		k->unit(q + (size_t)h * d->c->key, d->c->key, UNIT_EPS, scale);
		k->unit(key + (size_t)h * d->c->key, d->c->key, UNIT_EPS, 1.0f);
	}
	k->sigmoid_mul(r->beta + (size_t)i * d->c->value_heads, r->ones, d->c->value_heads);
	k->decay(d->c->bounded ? KERNEL_DECAY_BOUNDED : KERNEL_DECAY_SOFTPLUS, d->c->bound, decay,
		 d->w->vector[SLOT_DELTA_DT], l->rate, d->gates, decay);
}

/* ---- the rule ---- */

/* Panels [panel, panel + panels) of a value head, for the rows of a stretch. */
static void rule_stretch(const struct delta *d, const struct stretch *s, uint32_t head,
			 uint32_t panel, uint32_t panels)
{
	const struct cpu_recurrent *r = &d->m->recurrent;
	const struct model_delta *c = d->c;
	uint32_t key_head = c->tiled ? head % c->key_heads : head / (c->value_heads / c->key_heads);
	size_t floats = (size_t)panels * KERNEL_PANEL * c->key,
	       at = r->history + head * kernel_delta_state(c->key, c->value),
	       begin = at + (size_t)panel * KERNEL_PANEL * c->key;
	struct kernel_delta k = { .key = c->key,
				  .value = c->value,
				  .by_channel = c->by_channel,
				  .q_row = d->channels,
				  .k_row = d->channels,
				  .v_row = d->channels,
				  .beta_row = c->value_heads,
				  .decay_row = d->gates,
				  .out_row = d->values,
				  .state = s->state + at };
	if (s->begins)
		memset(s->state + begin, 0, floats * sizeof(float));
	for (uint32_t row = s->row; row < s->row + s->rows; row += k.rows) {
		uint32_t left = s->row + s->rows - row;
		k.rows = left < ROWS ? left : ROWS;
		k.q = r->mixed + (size_t)row * d->channels + (size_t)key_head * c->key;
		k.k = k.q + d->keys;
		k.v = r->mixed + (size_t)row * d->channels + 2 * (size_t)d->keys +
		      (size_t)head * c->value;
		k.beta = r->beta + (size_t)row * c->value_heads + head;
		k.decay = r->decay + (size_t)row * d->gates +
			  (size_t)head * (c->by_channel ? c->key : 1);
		k.out = r->out + (size_t)row * d->values + (size_t)head * c->value;
		d->m->kernels->delta(&k, panel, panels);
	}
	if (s->save)
		memcpy(s->save + begin, s->state + begin, floats * sizeof(float));
}

static void rule_share(void *ctx, struct part part)
{
	const struct delta *d = ctx;
	uint32_t panels = (d->c->value + KERNEL_PANEL - 1) / KERNEL_PANEL,
		 shares = d->items / d->c->value_heads;
	for (uint32_t i = part.begin; i < part.end; i++) {
		uint32_t item = i % d->items, head = item / shares, panel = item % shares * d->each,
			 left = panels - panel;
		struct stretch s;
		for (int which = 0; which < 2; which++) {
			if (stretch_of(d, i / d->items, which, &s))
				rule_stretch(d, &s, head, panel, left < d->each ? left : d->each);
		}
	}
}

/* ---- the answer ---- */

static void answer_row(struct cpu *m, uint32_t i, const void *ctx)
{
	const struct delta *d = ctx;
	const struct cpu_recurrent *r = &m->recurrent;
	uint32_t n = d->c->value;
	for (uint32_t h = 0; h < d->c->value_heads; h++) {
		float *out = r->out + (size_t)i * d->values + (size_t)h * n;
		m->kernels->rmsnorm(out, d->w->vector[SLOT_DELTA_NORM], n, m->config.norm_eps, out);
	}
	float *out = r->out + (size_t)i * d->values, *gate = r->gate + (size_t)i * d->values;
	if (d->c->gate_sigmoid)
		m->kernels->sigmoid_mul(gate, out, d->values);
	else
		m->kernels->act[KERNEL_ACT_SILU](gate, out, d->values, NULL);
	cpu_row_quantise(m, r->gate, d->values, &r->gate_code, i);
}

/* A state is read and written whole; every number of it costs a product for the decay and three
 * multiply-adds a row. */
static void delta_count(const struct delta *d)
{
	uint64_t numbers = (uint64_t)d->c->value_heads * kernel_delta_state(d->c->key, d->c->value);
	d->m->traffic.cache_bytes +=
		d->p->sequences * (numbers + d->m->recurrent.history) * sizeof(float);
	d->m->traffic.attention_operations += 7 * numbers * d->p->rows;
}

/* Parts of the value heads' states: as many as keep all threads busy, and no more, since each reads
 * the queries and keys of its rows anew. */
static void rule_items(struct delta *d)
{
	uint32_t panels = (d->c->value + KERNEL_PANEL - 1) / KERNEL_PANEL,
		 some = d->p->sequences * d->c->value_heads;
	d->each = some >= 4 * pool_threads(d->m->pool) ? panels : 2;
	d->items = d->c->value_heads * ((panels + d->each - 1) / d->each);
}

void cpu_delta_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	struct delta d = delta_of(m, p, layer);
	delta_count(&d);
	project(&d);
	d.each = SPAN;
	d.items = (d.channels + SPAN - 1) / SPAN;
	pool_run(m->pool, p->sequences * d.items, conv_share, &d);
	cpu_rows_run(m, p->rows, ready_row, &d);
	rule_items(&d);
	pool_run(m->pool, p->sequences * d.items, rule_share, &d);
	cpu_rows_run(m, p->rows, answer_row, &d);
	struct job out = job_of(&d, SLOT_O, m->work.delta, m->config.hidden);
	out.x.value = m->recurrent.gate;
	out.x.stride = d.values;
	out.in = m->recurrent.gate_code;
	cpu_jobs_run(m, &out, 1);
}
