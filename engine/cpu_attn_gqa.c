/* Grouped-query attention: the cache holds the rotated keys of all key heads, then their values.
 * Windows and sinks are arguments of the same computation. Source: arXiv 2305.13245. */
#include "engine/cpu.h"

#include <string.h>

struct shared {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
};

/* Queries, new keys and values, and the logits of the output's gate. */
static void project(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct model_layer *l = cpu_layer(m, layer);
	const struct layer_weights *w = &m->weights.layer[layer];
	struct workspace *r = &m->work;
	uint32_t kv = cpu_kv_width(&m->config, layer), count = 1;
	struct kernel_rows in = { .value = r->normed,
				  .stride = m->config.hidden,
				  .count = p->rows };
	struct job job[4] = { { .w = &w->matrix[SLOT_Q],
				.bias = w->vector[SLOT_Q_BIAS],
				.x = in,
				.in = r->normed_code,
				.out = r->q,
				.stride = cpu_query_width(&m->config, layer) } };
	if (kv > 0)
		job[count++] = (struct job){ .w = &w->matrix[SLOT_K],
					     .bias = w->vector[SLOT_K_BIAS],
					     .x = in,
					     .in = r->normed_code,
					     .out = r->kv,
					     .stride = kv };
	if (kv > 0 && !l->values_are_keys)
		job[count++] = (struct job){ .w = &w->matrix[SLOT_V],
					     .bias = w->vector[SLOT_V_BIAS],
					     .x = in,
					     .in = r->normed_code,
					     .out = r->kv + (size_t)l->kv_heads * l->head,
					     .stride = kv };
	count += cpu_gate_job(m, p, layer, &job[count]);
	cpu_jobs_run(m, job, count);
}

static void clip(float *v, uint32_t n, float bound)
{
	for (uint32_t i = 0; i < n && bound > 0; i++) {
		v[i] = v[i] < bound ? v[i] : bound;
		v[i] = v[i] > -bound ? v[i] : -bound;
	}
}

static void norm_heads(const struct cpu *m, float *v, uint32_t heads, uint32_t width,
		       const float *gain)
{
	for (uint32_t h = 0; h < heads; h++)
		m->kernels->rmsnorm(v + (size_t)h * width, gain, width, m->config.norm_eps,
				    v + (size_t)h * width);
}

/* By the kind of the layer; PLAIN has no gain. */
static void norm_shaped(const struct cpu *m, const struct model_layer *l, float *v, uint32_t heads,
			const float *gain)
{
	if (l->qk_norm == MODEL_QK_FULL)
		norm_heads(m, v, 1, heads * l->head, gain);
	else if (l->qk_norm != MODEL_QK_NONE)
		norm_heads(m, v, heads, l->head, gain);
}

/* Queries or keys of one row: norm, clip, rotate. */
static void shape_heads(const struct cpu *m, const struct pass *p, uint32_t layer, uint32_t row,
			float *v, uint32_t heads, const float *gain)
{
	const struct model_layer *l = cpu_layer(m, layer);
	uint8_t table = cpu_table(p, l, row);
	if (!l->qk_norm_late)
		norm_shaped(m, l, v, heads, gain);
	clip(v, heads * l->head, m->config.clip);
	for (uint32_t h = 0; h < heads; h++)
		cpu_rotate(m, table, v + (size_t)h * l->head, p->position[row]);
	if (l->qk_norm_late)
		norm_shaped(m, l, v, heads, gain);
}

/* A page holds, for each key head, its keys, then for each its values. */
static size_t key_bytes(const struct cpu *m, const struct model_layer *l)
{
	return kernel_cache_bytes(m->kind, KERNEL_BY_POSITION, l->head);
}

static size_t value_bytes(const struct cpu *m, const struct model_layer *l)
{
	return kernel_cache_bytes(m->kind, KERNEL_BY_NUMBER, l->value);
}

/* The new keys and values of row i: shaped, and stored. */
static void cache_row(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t i)
{
	const struct model_layer *l = cpu_layer(m, layer);
	uint32_t position = p->position[i], at = position % KERNEL_PAGE,
		 keys = l->kv_heads * l->head, values = l->kv_heads * l->value;
	const void *page = cpu_pages_of(m, p, layer, p->sequence[i])[position / KERNEL_PAGE];
	unsigned char *to = (unsigned char *)(uintptr_t)page;
	float *k = m->work.kv + (size_t)i * (keys + values), *v = k + keys;
	if (l->values_are_keys)
		memcpy(v, k, values * sizeof *v);
	if (l->value_norm)
		norm_heads(m, v, l->kv_heads, l->value, NULL);
	clip(v, values, m->config.clip);
	shape_heads(m, p, layer, i, k, l->kv_heads, m->weights.layer[layer].vector[SLOT_K_NORM]);
	for (uint32_t h = 0; h < l->kv_heads; h++, to += key_bytes(m, l))
		kernel_cache_store(m->kind, KERNEL_BY_POSITION, k + (size_t)h * l->head, l->head,
				   at, to);
	for (uint32_t h = 0; h < l->kv_heads; h++, to += value_bytes(m, l))
		kernel_cache_store(m->kind, KERNEL_BY_NUMBER, v + (size_t)h * l->value, l->value,
				   at, to);
}

static void place_row(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t i)
{
	const struct model_layer *l = cpu_layer(m, layer);
	uint32_t n = l->heads * l->head;
	float *q = m->work.q + (size_t)i * n;
	shape_heads(m, p, layer, i, q, l->heads, m->weights.layer[layer].vector[SLOT_Q_NORM]);
	if (l->tempered) {
		float factor = model_temper_at(&m->config.temper, p->position[i]);
		for (uint32_t j = 0; j < n; j++)
			q[j] *= factor;
	}
	if (l->cache == layer)
		cache_row(m, p, layer, i);
}

/* The heads of group `group`: key head by key head, each in as many calls as it takes. */
static void shape_call(const struct cpu *m, uint32_t layer, uint32_t row, uint32_t group,
		       struct kernel_attention *a)
{
	const struct model_layer *l = cpu_layer(m, layer);
	struct cpu_heads h = cpu_heads_of(&m->config, layer);
	uint32_t calls = h.groups / l->kv_heads, kv = group / calls, share = l->heads / l->kv_heads,
		 first = group % calls * h.heads, left = share - first;
	uint32_t head = kv * share + first;
	size_t at = (size_t)row * l->heads + head;
	const float *sinks = m->weights.layer[layer].vector[SLOT_SINKS];
	a->keys = KERNEL_BY_POSITION;
	a->wide = l->head;
	a->value = l->value;
	a->key_at = kv * key_bytes(m, l);
	a->value_at = l->kv_heads * key_bytes(m, l) + kv * value_bytes(m, l);
	a->heads = left < h.heads ? left : h.heads;
	a->query = m->work.q + at * l->head;
	a->out = m->work.value + at * l->value;
	a->query_head = l->head;
	a->out_head = l->value;
	a->query_row = (size_t)l->heads * l->head;
	a->out_row = (size_t)l->heads * l->value;
	a->sink = sinks == NULL ? NULL : sinks + head;
}

static void place_share(void *ctx, struct part part)
{
	const struct shared *s = ctx;
	for (uint32_t i = part.begin; i < part.end; i++)
		place_row(s->m, s->p, s->layer, i);
}

void cpu_attn_gqa_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	struct shared s = { m, p, layer };
	struct cpu_heads heads = cpu_heads_of(&m->config, layer);
	heads.shape = shape_call;
	project(m, p, layer);
	pool_run(m->pool, p->rows, place_share, &s);
	cpu_attend_run(m, p, layer, &heads);
	cpu_attended_run(m, p, layer);
}
