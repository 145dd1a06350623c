/* Latent attention, absorbed for every query, prefill included: the cache holds only the normalised
 * latent and the rotated shared key. Source: DeepSeek-V2 report, section 2.1. */
#include "engine/engine_in.h"

/* q_a_layernorm and kv_a_layernorm keep this eps whatever rms_norm_eps says: the reference class
 * never passes it on. */
#define LATENT_EPS 1e-6f

struct shared {
	struct engine *m;
	uint32_t layer;
};

static struct kernel_rows plain_rows(const float *v, size_t stride, uint32_t n)
{
	return (struct kernel_rows){ .value = v, .stride = stride, .count = n };
}

static void latent_row(struct engine *m, uint32_t i)
{
	struct room *r = &m->room;
	float *q = r->q_latent + (size_t)i * m->config.q_rank;
	m->kernels->rmsnorm(q, r->latent_gain, m->config.q_rank, LATENT_EPS, q);
	row_quantise(m, r->q_latent, m->config.q_rank, &r->latent_code, i);
}

/* Queries and the new cache rows, before rotation. */
static void project(struct engine *m, const struct mla_weights *w)
{
	const struct model_config *c = &m->config;
	struct room *r = &m->room;
	uint32_t kv = c->kv_rank + c->rope_head, q = c->heads * (c->nope + c->rope_head);
	struct kernel_rows in = plain_rows(r->normed, c->hidden, m->n);
	struct kernel_quant x = r->normed_code;
	struct job job[2] = {
		{ .w = &w->kv_a, .bias = w->kv_bias, .x = in, .in = x, .out = r->kv, .stride = kv }
	};
	if (c->q_rank == 0) {
		job[1] = (struct job){ .w = &w->q, .x = in, .in = x, .out = r->q, .stride = q };
		jobs_run(m, job, 2);
	} else {
		job[1] = (struct job){ .w = &w->q_a,
				       .bias = w->q_bias,
				       .x = in,
				       .in = x,
				       .out = r->q_latent,
				       .stride = c->q_rank };
		jobs_run(m, job, 2);
		r->latent_gain = w->q_norm;
		rows_run(m, latent_row);
		in = plain_rows(r->q_latent, c->q_rank, m->n);
		x = r->latent_code;
		job[0] = (struct job){ .w = &w->q, .x = in, .in = x, .out = r->q, .stride = q };
		jobs_run(m, job, 1);
	}
}

static void rotate(const struct engine *m, float *v, const float *cosine, const float *sine)
{
	if (m->config.rope.interleaved)
		m->kernels->rope_interleaved(v, m->config.rope_head, cosine, sine);
	else
		m->kernels->rope_half(v, m->config.rope_head, cosine, sine);
}

/* Row i: rotate the queries, and write its cache row. */
static void place_row(struct engine *m, uint32_t layer, uint32_t i)
{
	const struct model_config *c = &m->config;
	const struct row *row = &m->room.row[i];
	const float *cosine = m->rope.cosine + (size_t)row->position * m->rope.half;
	const float *sine = m->rope.sine + (size_t)row->position * m->rope.half;
	uint32_t head = c->nope + c->rope_head;
	const struct engine_sequence *s = row->sequence;
	const void *page = s->page[(size_t)layer * s->pages + row->position / KERNEL_PAGE];
	unsigned char *to = (unsigned char *)(uintptr_t)page +
			    row->position % KERNEL_PAGE * model_cache_row_bytes(c, m->cache);
	float *kv = m->room.kv + (size_t)i * (c->kv_rank + c->rope_head);
	m->kernels->rmsnorm(kv, m->weights.layer[layer].mla.kv_norm, c->kv_rank, LATENT_EPS, kv);
	rotate(m, kv + c->kv_rank, cosine, sine);
	kernel_cache_store(m->cache, kv, c->kv_rank, to);
	kernel_cache_store(m->cache, kv + c->kv_rank, c->rope_head,
			   to + kernel_cache_bytes(m->cache, c->kv_rank));
	for (uint32_t h = 0; h < c->heads; h++)
		rotate(m, m->room.q + ((size_t)i * c->heads + h) * head + c->nope, cosine, sine);
}

/* W_UK^T q_nope of every head, or W_UV of what it attended. */
static void per_head(struct engine *m, const struct kernel_matrix *w, const float *in,
		     uint32_t in_head, float *out, uint32_t out_head)
{
	uint32_t heads = m->config.heads;
	for (uint32_t h = 0; h < heads; h++)
		m->room.job[h] = (struct job){ .w = &w[h],
					       .x = plain_rows(in + (size_t)h * in_head,
							       (size_t)heads * in_head, m->n),
					       .out = out + (size_t)h * out_head,
					       .stride = (size_t)heads * out_head };
	jobs_run(m, m->room.job, heads);
}

/* Heads [first, first+16) of row i. */
static void attend(const struct shared *s, uint32_t i, uint32_t first, float *scratch)
{
	const struct engine *m = s->m;
	const struct model_config *c = &m->config;
	const struct row *row = &m->room.row[i];
	size_t head = c->nope + c->rope_head, at = (size_t)i * c->heads + first;
	struct kernel_mla a = {
		.latent = c->kv_rank,
		.rope = c->rope_head,
		.query = m->room.q_up + at * c->kv_rank,
		.query_rope = m->room.q + at * head + c->nope,
		.query_stride = c->kv_rank,
		.query_rope_stride = head,
		.out_stride = c->kv_rank,
		.page = row->sequence->page + (size_t)s->layer * row->sequence->pages,
		.cache = m->cache,
		.row_bytes = model_cache_row_bytes(c, m->cache),
		.positions = row->position + 1,
		.scale = m->attention_scale,
		.out = m->room.attended + at * c->kv_rank,
		.scratch = scratch,
	};
	m->kernels->attn_mla(&a, c->heads - first < KERNEL_HEADS ? c->heads - first : KERNEL_HEADS);
}

static uint32_t head_groups(const struct engine *m)
{
	return (m->config.heads + KERNEL_HEADS - 1) / KERNEL_HEADS;
}

static void attend_share(void *ctx, struct part part)
{
	const struct shared *s = ctx;
	uint32_t groups = head_groups(s->m);
	float *scratch = s->m->room.scratch + part.worker * s->m->room.scratch_floats;
	for (uint32_t i = part.begin; i < part.end; i++)
		attend(s, i / groups, i % groups * KERNEL_HEADS, scratch);
}

static void place_share(void *ctx, struct part part)
{
	const struct shared *s = ctx;
	for (uint32_t i = part.begin; i < part.end; i++)
		place_row(s->m, s->layer, i);
}

static void value_row(struct engine *m, uint32_t i)
{
	row_quantise(m, m->room.value, m->config.heads * m->config.value, &m->room.value_code, i);
}

void attn_mla_run(struct engine *m, uint32_t layer)
{
	const struct model_config *c = &m->config;
	const struct mla_weights *w = &m->weights.layer[layer].mla;
	struct room *r = &m->room;
	struct shared s = { m, layer };
	project(m, w);
	pool_run(m->pool, m->n, place_share, &s);
	per_head(m, w->key_up, r->q, c->nope + c->rope_head, r->q_up, c->kv_rank);
	pool_run_in_order(m->pool, m->n * head_groups(m), attend_share, &s);
	per_head(m, w->value_up, r->attended, c->kv_rank, r->value, c->value);
	rows_run(m, value_row);
	struct job out = { .w = &w->o,
			   .bias = w->o_bias,
			   .x = plain_rows(r->value, (size_t)c->heads * c->value, m->n),
			   .in = r->value_code,
			   .out = r->delta,
			   .stride = c->hidden };
	jobs_run(m, &out, 1);
}
