/* Grouped-query attention: the cache holds the rotated keys of all key heads, then their values.
 * Windows and sinks are arguments of the same computation. Source: arXiv 2305.13245. */
#include "engine/cpu.h"

#include <string.h>

struct shared {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
	uint32_t rows; /* of a block: neighbours that may share a call */
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

/* Bytes of a key or a value part, and of a page's 64 of them. A page holds, for each key head, its
 * keys, then for each its values: attention reads them in one run. */
static size_t part_bytes(const struct cpu *m)
{
	return kernel_cache_bytes(m->kind, m->config.head);
}

static void place_row(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t i)
{
	const struct model_config *c = &m->config;
	const struct gqa_weights *w = &m->weights.layer[layer].gqa;
	uint32_t position = p->position[i];
	uint32_t half = c->kv_heads * c->head;
	size_t part = part_bytes(m);
	const void *page = cpu_pages_of(m, p, layer, p->sequence[i])[position / KERNEL_PAGE];
	unsigned char *to = (unsigned char *)(uintptr_t)page + position % KERNEL_PAGE * part;
	float *kv = m->work.kv + (size_t)i * 2 * half;
	shape_heads(m, m->work.q + (size_t)i * c->heads * c->head, c->heads, w->q_norm, position);
	shape_heads(m, kv, c->kv_heads, w->k_norm, position);
	if (c->clip > 0)
		clip(kv + half, half, c->clip);
	for (uint32_t h = 0; h < 2 * c->kv_heads; h++)
		kernel_cache_store(m->kind, kv + (size_t)h * c->head, c->head,
				   to + h * KERNEL_PAGE * part);
}

/* How many rows may share a call, so that SIMD lanes do not stay empty; one where every row is of
 * another sequence, so that there is work for all threads. */
static uint32_t block_rows(const struct cpu *m, const struct pass *p)
{
	uint32_t rows = KERNEL_HEADS / (m->config.heads / m->config.kv_heads);
	bool neighbours = false;
	for (uint32_t i = 1; i < p->rows && !neighbours; i++)
		neighbours = p->sequence[i] == p->sequence[i - 1];
	return neighbours && rows > 0 ? rows : 1;
}

/* How many of rows [i, end) may share a call: of one sequence, within one split, nothing out of the
 * window. */
static uint32_t block_take(const struct pass *p, uint32_t i, uint32_t end, uint32_t window)
{
	uint32_t n = 1;
	while (i + n < end && p->sequence[i + n] == p->sequence[i] &&
	       p->position[i + n] / KERNEL_SPLIT == p->position[i] / KERNEL_SPLIT &&
	       (window == 0 || p->position[i + n] < window))
		n++;
	return n;
}

/* The query heads of key head `kv` in rows [i, i + rows), in calls of at most KERNEL_HEADS. */
static void attend(const struct shared *s, uint32_t i, uint32_t rows, uint32_t kv, float *scratch)
{
	const struct cpu *m = s->m;
	const struct model_config *c = &m->config;
	uint32_t group = c->heads / c->kv_heads, window = model_layer_window(c, s->layer);
	uint32_t position = s->p->position[i];
	size_t part = part_bytes(m);
	const float *sinks = m->weights.layer[s->layer].gqa.sinks;
	for (uint32_t h = kv * group; h < (kv + 1) * group; h += KERNEL_HEADS) {
		uint32_t left = (kv + 1) * group - h;
		size_t at = ((size_t)i * c->heads + h) * c->head;
		struct kernel_gqa a = {
			.head = c->head,
			.query = m->work.q + at,
			.query_stride = c->head,
			.out_stride = c->head,
			.rows = rows,
			.query_row = (size_t)c->heads * c->head,
			.out_row = (size_t)c->heads * c->head,
			.page = cpu_pages_of(m, s->p, s->layer, s->p->sequence[i]),
			.cache = m->kind,
			.row_bytes = part,
			.key_at = kv * KERNEL_PAGE * part,
			.value_at = (c->kv_heads + kv) * KERNEL_PAGE * part,
			.first = window > 0 && position >= window ? position + 1 - window : 0,
			.positions = position + 1,
			.scale = m->attention_scale,
			.sink = sinks == NULL ? NULL : sinks + h,
			.out = m->work.value + at,
			.scratch = scratch,
		};
		m->kernels->attn_gqa(&a, left < KERNEL_HEADS ? left : KERNEL_HEADS);
	}
}

/* An item is a key head in a block of rows. */
static uint32_t attend_items(const struct shared *s)
{
	return (s->p->rows + s->rows - 1) / s->rows * s->m->config.kv_heads;
}

static void attend_share(void *ctx, struct part part)
{
	const struct shared *s = ctx;
	const struct cpu *m = s->m;
	uint32_t groups = m->config.kv_heads, rows = s->rows;
	uint32_t window = model_layer_window(&m->config, s->layer);
	float *scratch = m->work.scratch + part.worker * m->work.scratch_floats;
	for (uint32_t item = part.begin; item < part.end; item++) {
		uint32_t i = item / groups * rows, all = s->p->rows;
		uint32_t end = i + rows < all ? i + rows : all;
		for (uint32_t n; i < end; i += n) {
			n = block_take(s->p, i, end, window);
			attend(s, i, n, item % groups, scratch);
		}
	}
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
	struct shared s = { m, p, layer, block_rows(m, p) };
	project(m, p, w);
	pool_run(m->pool, p->rows, place_share, &s);
	pool_run_in_order(m->pool, attend_items(&s), attend_share, &s);
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
