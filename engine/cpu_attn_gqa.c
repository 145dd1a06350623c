/* Grouped-query attention: the cache holds the rotated keys of all key heads, then their values.
 * Windows and sinks are arguments of the same computation. Source: arXiv 2305.13245. */
#include "engine/cpu.h"

#include <string.h>

struct shared {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
};

static void project(struct cpu *m, const struct pass *p, const struct gqa_weights *w)
{
	const struct model_config *c = &m->config;
	struct workspace *r = &m->work;
	uint32_t q = c->heads * c->head, kv = c->kv_heads * c->head;
	struct kernel_rows in = { .value = r->normed, .stride = c->hidden, .count = p->rows };
	struct kernel_quant x = r->normed_code;
	struct job job[3] = {
		{ .w = &w->q, .bias = w->q_bias, .x = in, .in = x, .out = r->q, .stride = q },
		{ .w = &w->k, .bias = w->k_bias, .x = in, .in = x, .out = r->kv, .stride = 2 * kv },
		{ .w = &w->v,
		  .bias = w->v_bias,
		  .x = in,
		  .in = x,
		  .out = r->kv + kv,
		  .stride = 2 * kv },
	};
	cpu_jobs_run(m, job, 3);
}

static void clip(float *v, uint32_t n, float bound)
{
	for (uint32_t i = 0; i < n; i++) {
		v[i] = v[i] < bound ? v[i] : bound;
		v[i] = v[i] > -bound ? v[i] : -bound;
	}
}

/* Queries or keys of one row: norm, clip, rotate. */
static void shape_heads(const struct cpu *m, float *v, uint32_t heads, const float *gain,
			uint32_t position)
{
	const struct model_config *c = &m->config;
	const float *cosine = m->rope.cosine + (size_t)position * m->rope.half;
	const float *sine = m->rope.sine + (size_t)position * m->rope.half;
	if (c->qk_norm == MODEL_QK_FULL)
		m->kernels->rmsnorm(v, gain, heads * c->head, c->norm_eps, v);
	for (uint32_t h = 0; h < heads && c->qk_norm == MODEL_QK_HEAD; h++)
		m->kernels->rmsnorm(v + (size_t)h * c->head, gain, c->head, c->norm_eps,
				    v + (size_t)h * c->head);
	if (c->clip > 0)
		clip(v, heads * c->head, c->clip);
	for (uint32_t h = 0; h < heads; h++)
		m->kernels->rope_half(v + (size_t)h * c->head, c->rope.size, cosine, sine);
}

/* A page holds, for each key head, its keys, then for each its values. */
static size_t key_bytes(const struct cpu *m)
{
	return kernel_cache_bytes(m->kind, KERNEL_BY_POSITION, m->config.head);
}

static size_t value_bytes(const struct cpu *m)
{
	return kernel_cache_bytes(m->kind, KERNEL_BY_NUMBER, m->config.head);
}

static void place_row(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t i)
{
	const struct model_config *c = &m->config;
	const struct gqa_weights *w = &m->weights.layer[layer].gqa;
	uint32_t position = p->position[i];
	uint32_t half = c->kv_heads * c->head;
	size_t key = key_bytes(m), value = value_bytes(m);
	const void *page = cpu_pages_of(m, p, layer, p->sequence[i])[position / KERNEL_PAGE];
	unsigned char *to = (unsigned char *)(uintptr_t)page;
	float *kv = m->work.kv + (size_t)i * 2 * half;
	shape_heads(m, m->work.q + (size_t)i * c->heads * c->head, c->heads, w->q_norm, position);
	shape_heads(m, kv, c->kv_heads, w->k_norm, position);
	if (c->clip > 0)
		clip(kv + half, half, c->clip);
	for (uint32_t h = 0; h < c->kv_heads; h++, to += key)
		kernel_cache_store(m->kind, KERNEL_BY_POSITION, kv + (size_t)h * c->head, c->head,
				   position % KERNEL_PAGE, to);
	for (uint32_t h = 0; h < c->kv_heads; h++, to += value)
		kernel_cache_store(m->kind, KERNEL_BY_NUMBER, kv + half + (size_t)h * c->head,
				   c->head, position % KERNEL_PAGE, to);
}

/* The heads of group `group`: key head by key head, each in as many calls as it takes. */
static void shape_call(const struct cpu *m, uint32_t layer, uint32_t row, uint32_t group,
		       struct kernel_attention *a)
{
	const struct model_config *c = &m->config;
	struct cpu_heads h = cpu_heads_of(c);
	uint32_t calls = h.groups / c->kv_heads, kv = group / calls, share = c->heads / c->kv_heads,
		 first = group % calls * h.heads, left = share - first;
	uint32_t head = kv * share + first;
	size_t at = ((size_t)row * c->heads + head) * c->head;
	const float *sinks = m->weights.layer[layer].gqa.sinks;
	a->keys = KERNEL_BY_POSITION;
	a->wide = a->value = c->head;
	a->key_at = kv * key_bytes(m);
	a->value_at = c->kv_heads * key_bytes(m) + kv * value_bytes(m);
	a->heads = left < h.heads ? left : h.heads;
	a->query = m->work.q + at;
	a->out = m->work.value + at;
	a->query_head = a->out_head = c->head;
	a->query_row = a->out_row = (size_t)c->heads * c->head;
	a->sink = sinks == NULL ? NULL : sinks + head;
}

static void place_share(void *ctx, struct part part)
{
	const struct shared *s = ctx;
	for (uint32_t i = part.begin; i < part.end; i++)
		place_row(s->m, s->p, s->layer, i);
}

static void value_row(struct cpu *m, uint32_t i, const void *ctx)
{
	(void)ctx;
	cpu_row_quantise(m, m->work.value, m->config.heads * m->config.head, &m->work.value_code,
			 i);
}

void cpu_attn_gqa_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct model_config *c = &m->config;
	const struct gqa_weights *w = &m->weights.layer[layer].gqa;
	struct shared s = { m, p, layer };
	struct cpu_heads heads = cpu_heads_of(c);
	heads.shape = shape_call;
	project(m, p, w);
	pool_run(m->pool, p->rows, place_share, &s);
	cpu_attend_run(m, p, layer, &heads);
	cpu_rows_run(m, p->rows, value_row, NULL);
	struct job out = { .w = &w->o,
			   .bias = w->o_bias,
			   .x = { .value = m->work.value,
				  .stride = (size_t)c->heads * c->head,
				  .count = p->rows },
			   .in = m->work.value_code,
			   .out = m->work.delta,
			   .stride = c->hidden };
	cpu_jobs_run(m, &out, 1);
}
