/* Memory of recurrent layers: slots of state, buffers of a pass, and what is made of their weights.
 *
 * A slot holds, for each layer of the gated delta rule, the last inputs of its convolution,
 * [conv - 1][q|k|v], rounded up to whole vectors, and then the state of each value head as
 * kernels/delta.h lays it out. */
#include "engine/cpu.h"

#include "base/check.h"
#include "kernels/number.h"

#include <stdlib.h>
#include <string.h>

static uint32_t channels_of(const struct model_delta *d)
{
	return 2 * d->key_heads * d->key + d->value_heads * d->value;
}

static uint32_t decays_of(const struct model_delta *d)
{
	return d->value_heads * (d->by_channel ? d->key : 1);
}

/* Floats of a layer's part of a slot. */
static size_t layer_floats(const struct model_delta *d)
{
	size_t history = ((size_t)(d->conv - 1) * channels_of(d) + 15) / 16 * 16;
	return history + d->value_heads * kernel_delta_state(d->key, d->value);
}

uint64_t cpu_state_layout(const struct model_config *c, struct cpu_recurrent *r)
{
	size_t floats = 0;
	for (uint32_t l = 0; l < c->layers; l++) {
		r->at[l] = floats;
		floats += c->layer[l].mixer == MODEL_MIX_DELTA ? layer_floats(&c->delta) : 0;
	}
	if (floats > 0)
		r->history =
			layer_floats(&c->delta) -
			c->delta.value_heads * kernel_delta_state(c->delta.key, c->delta.value);
	return floats * sizeof(float);
}

/* ---- slots ---- */

static int slots_make(struct cpu *m, uint64_t count, struct err *e)
{
	struct cpu_recurrent *r = &m->recurrent;
	float **more = realloc(r->slot, (r->slots + count) * sizeof *more);
	if (!more)
		return err_set(e, ERR_NOMEM, "list of states");
	r->slot = more;
	for (uint64_t made = 0; made < count; made++) {
		void *slot;
		int rc = cpu_slab_alloc(m->backend.state_bytes, 1, &slot, e);
		while (rc < 0 && made > 0)
			free(more[r->slots + --made]);
		TRY(rc);
		more[r->slots + made] = slot;
	}
	r->slots += count;
	return 0;
}

int cpu_states(struct backend *b, uint64_t count, struct err *e)
{
	struct cpu *m = cpu_of(b);
	pthread_mutex_lock(&m->cache.lock);
	int rc = slots_make(m, count, e);
	pthread_mutex_unlock(&m->cache.lock);
	return rc;
}

/* Under the lock. */
static float *slot_at(const struct cpu *m, uint32_t slot)
{
	check(slot < m->recurrent.slots);
	return m->recurrent.slot[slot];
}

struct copy {
	const unsigned char *from;
	unsigned char *to;
	size_t bytes;
};

static void copy_share(void *ctx, struct part part)
{
	const struct copy *c = ctx;
	size_t begin = c->bytes * part.begin / part.count, end = c->bytes * part.end / part.count;
	memcpy(c->to + begin, c->from + begin, end - begin);
}

void cpu_state_copy(struct backend *b, uint32_t from, uint32_t to)
{
	struct cpu *m = cpu_of(b);
	pthread_mutex_lock(&m->cache.lock);
	check(from != to);
	struct copy c = { .from = (const unsigned char *)slot_at(m, from),
			  .to = (unsigned char *)slot_at(m, to),
			  .bytes = b->state_bytes };
	pthread_mutex_unlock(&m->cache.lock);
	pool_run(m->pool, c.bytes >> 18 > 0 ? 4 * pool_threads(m->pool) : 1, copy_share, &c);
}

void cpu_states_find(struct cpu *m, const struct pass *p)
{
	struct cpu_recurrent *r = &m->recurrent;
	if (m->backend.state_bytes == 0)
		return;
	for (uint32_t i = 0; i < p->rows; i++) {
		if (i == 0 || p->sequence[i] != p->sequence[i - 1])
			r->row[p->sequence[i]] = i;
	}
	r->row[p->sequences] = p->rows;
	pthread_mutex_lock(&m->cache.lock);
	for (uint32_t s = 0; s < p->sequences; s++) {
		r->state[s] = slot_at(m, p->state[s]);
		r->save[s] = p->save[s] == NO_SAVE ? NULL : slot_at(m, p->save[s]);
	}
	pthread_mutex_unlock(&m->cache.lock);
}

/* ---- buffers ---- */

static int low_grow(struct cpu *m, struct cpu_low *low, uint32_t rank, size_t n, struct err *e)
{
	low->rank = rank;
	if (rank == 0)
		return 0;
	TRY(cpu_buffer((void **)&low->value, n * rank, sizeof *low->value, e));
	return m->quantises ? cpu_buffer_quant(&low->code, n, rank, e) : 0;
}

int cpu_delta_grow(struct cpu *m, size_t n, struct err *e)
{
	struct cpu_recurrent *r = &m->recurrent;
	const struct model_delta *d = &m->config.delta;
	size_t channels = channels_of(d), values = (size_t)d->value_heads * d->value;
	const struct {
		void **to;
		size_t count, size;
	} all[] = {
		{ (void **)&r->in, n * channels, sizeof(float) },
		{ (void **)&r->mixed, n * channels, sizeof(float) },
		{ (void **)&r->gate, n * values, sizeof(float) },
		{ (void **)&r->out, n * values, sizeof(float) },
		{ (void **)&r->beta, n * d->value_heads, sizeof(float) },
		{ (void **)&r->decay, n * decays_of(d), sizeof(float) },
		{ (void **)&r->row, n + 1, sizeof *r->row },
		{ (void **)&r->state, n, sizeof *r->state },
		{ (void **)&r->save, n, sizeof *r->save },
	};
	if (m->backend.state_bytes == 0)
		return 0;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		TRY(cpu_buffer(all[i].to, all[i].count, all[i].size, e));
	TRY(low_grow(m, &r->gate_low, d->gate_rank, n, e));
	TRY(low_grow(m, &r->decay_low, d->decay_rank, n, e));
	return m->quantises ? cpu_buffer_quant(&r->gate_code, n, (uint32_t)values, e) : 0;
}

/* ---- weights ---- */

/* [channels][conv] of q, k and v, turned to [conv][q|k|v]. */
static void conv_turn(const struct model_delta *d, const struct layer_weights *w, float *out)
{
	static const enum model_slot slot[3] = { SLOT_DELTA_CONV_Q, SLOT_DELTA_CONV_K,
						 SLOT_DELTA_CONV_V };
	size_t all = channels_of(d), begin = 0;
	for (int i = 0; i < 3; i++) {
		size_t n =
			i < 2 ? (size_t)d->key_heads * d->key : (size_t)d->value_heads * d->value;
		for (size_t c = 0; c < n; c++) {
			for (uint32_t k = 0; k < d->conv; k++)
				out[k * all + begin + c] = w->vector[slot[i]][c * d->conv + k];
		}
		begin += n;
	}
}

static int layer_ready(struct cpu *m, uint32_t layer, struct err *e)
{
	const struct model_delta *d = &m->config.delta;
	const struct layer_weights *w = &m->weights.layer[layer];
	struct cpu_delta *t = &m->recurrent.layer[layer];
	uint32_t decays = decays_of(d), each = decays / d->value_heads;
	t->conv = malloc((size_t)d->conv * channels_of(d) * sizeof *t->conv);
	t->rate = malloc(decays * sizeof *t->rate);
	if (!t->conv || !t->rate)
		return err_set(e, ERR_NOMEM, "a recurrent layer");
	conv_turn(d, w, t->conv);
	for (uint32_t i = 0; i < decays; i++) {
		double a = (double)w->vector[SLOT_DELTA_A][i / each];
		t->rate[i] = (float)number_exp_double(a < 80 ? a > -80 ? a : -80 : 80);
	}
	return 0;
}

int cpu_delta_ready(struct cpu *m, struct err *e)
{
	struct cpu_recurrent *r = &m->recurrent;
	if (m->backend.state_bytes == 0)
		return 0;
	r->layer = calloc(m->config.layers, sizeof *r->layer);
	r->ones = malloc(m->config.delta.value_heads * sizeof *r->ones);
	if (!r->layer || !r->ones)
		return err_set(e, ERR_NOMEM, "recurrent layers");
	for (uint32_t i = 0; i < m->config.delta.value_heads; i++)
		r->ones[i] = 1;
	for (uint32_t l = 0; l < m->config.layers; l++) {
		if (cpu_layer(m, l)->mixer == MODEL_MIX_DELTA)
			TRY(layer_ready(m, l, e));
	}
	return 0;
}

static void quant_free(struct kernel_quant *q)
{
	free(q->code);
	free(q->scale);
	free(q->start);
}

void cpu_delta_free(struct cpu *m)
{
	struct cpu_recurrent *r = &m->recurrent;
	void *all[] = { r->in,  r->mixed, r->gate, r->out,  r->beta,           r->decay,
			r->row, r->state, r->save, r->ones, r->gate_low.value, r->decay_low.value };
	for (uint32_t l = 0; r->layer && l < m->config.layers; l++) {
		free(r->layer[l].conv);
		free(r->layer[l].rate);
	}
	free(r->layer);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	quant_free(&r->gate_low.code);
	quant_free(&r->decay_low.code);
	quant_free(&r->gate_code);
	for (uint64_t i = 0; i < r->slots; i++)
		free(r->slot[i]);
	free(r->slot);
}
