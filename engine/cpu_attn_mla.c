/* Latent attention, absorbed for every query, prefill included: the cache holds only the normalised
 * latent and the rotated shared key. Source: DeepSeek-V2 report, section 2.1. */
#include "engine/cpu.h"

/* q_a_layernorm and kv_a_layernorm keep this eps whatever rms_norm_eps says: the reference class
 * never passes it on. */
#define LATENT_EPS 1e-6f

struct shared {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
};

static struct kernel_rows plain_rows(const float *v, size_t stride, uint32_t n)
{
	return (struct kernel_rows){ .value = v, .stride = stride, .count = n };
}

static void latent_row(struct cpu *m, uint32_t i, const void *gain)
{
	struct workspace *r = &m->work;
	float *q = r->q_latent + (size_t)i * m->config.q_rank;
	m->kernels->rmsnorm(q, gain, m->config.q_rank, LATENT_EPS, q);
	cpu_row_quantise(m, r->q_latent, m->config.q_rank, &r->latent_code, i);
}

/* Queries and the new cache rows, before rotation. */
static void project(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct model_config *c = &m->config;
	const struct layer_weights *w = &m->weights.layer[layer];
	struct workspace *r = &m->work;
	uint32_t kv = cpu_kv_width(c, layer), q = cpu_query_width(c, layer);
	struct kernel_rows in = plain_rows(r->normed, c->hidden, p->rows);
	struct kernel_quant x = r->normed_code;
	struct job job[3] = {
		{ .w = &w->matrix[SLOT_KV_A],
		  .bias = w->vector[SLOT_KV_BIAS],
		  .x = in,
		  .in = x,
		  .out = r->kv,
		  .stride = kv },
		{ .w = &w->matrix[SLOT_Q], .x = in, .in = x, .out = r->q, .stride = q },
	};
	uint32_t count = 2 + cpu_gate_job(m, p, layer, &job[2]);
	if (c->q_rank == 0) {
		cpu_jobs_run(m, job, count);
	} else {
		job[1] = (struct job){ .w = &w->matrix[SLOT_Q_A],
				       .bias = w->vector[SLOT_Q_BIAS],
				       .x = in,
				       .in = x,
				       .out = r->q_latent,
				       .stride = c->q_rank };
		cpu_jobs_run(m, job, count);
		cpu_rows_run(m, p->rows, latent_row, w->vector[SLOT_Q_NORM]);
		in = plain_rows(r->q_latent, c->q_rank, p->rows);
		x = r->latent_code;
		job[0] = (struct job){
			.w = &w->matrix[SLOT_Q], .x = in, .in = x, .out = r->q, .stride = q
		};
		cpu_jobs_run(m, job, 1);
	}
}

/* A page holds its latents, then their rotary keys. */
static size_t latent_bytes(const struct cpu *m)
{
	return kernel_cache_bytes(m->kind, KERNEL_BY_NUMBER, m->config.kv_rank);
}

/* Row i: rotate the queries, and write its cache row. */
static void place_row(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t i)
{
	const struct model_config *c = &m->config;
	const struct model_layer *l = cpu_layer(m, layer);
	uint32_t position = p->position[i];
	uint8_t table = cpu_table(p, l, i);
	uint32_t head = c->nope + c->rope_head;
	const void *page = cpu_pages_of(m, p, layer, p->sequence[i])[position / KERNEL_PAGE];
	unsigned char *to = (unsigned char *)(uintptr_t)page;
	float *kv = m->work.kv + (size_t)i * (c->kv_rank + c->rope_head);
	m->kernels->rmsnorm(kv, m->weights.layer[layer].vector[SLOT_KV_NORM], c->kv_rank,
			    LATENT_EPS, kv);
	cpu_rotate(m, table, kv + c->kv_rank, position);
	kernel_cache_store(m->kind, KERNEL_BY_NUMBER, kv, c->kv_rank, position % KERNEL_PAGE, to);
	kernel_cache_store(m->kind, KERNEL_BY_NUMBER, kv + c->kv_rank, c->rope_head,
			   position % KERNEL_PAGE, to + latent_bytes(m));
	float *q = m->work.q + (size_t)i * l->heads * head;
	for (uint32_t h = 0; h < l->heads; h++)
		cpu_rotate(m, table, q + (size_t)h * head + c->nope, position);
	float factor = l->tempered ? model_temper_at(&c->temper, position) : 1;
	for (uint32_t j = 0; l->tempered && j < l->heads * head; j++)
		q[j] *= factor;
}

/* W_UK^T q_nope of every head, or W_UV of what it attended. */
static void per_head(struct cpu *m, uint32_t rows, uint32_t heads, const struct kernel_matrix *w,
		     const float *in, uint32_t in_head, float *out, uint32_t out_head)
{
	for (uint32_t h = 0; h < heads; h++)
		m->work.job[h] = (struct job){ .w = &w[h],
					       .x = plain_rows(in + (size_t)h * in_head,
							       (size_t)heads * in_head, rows),
					       .out = out + (size_t)h * out_head,
					       .stride = (size_t)heads * out_head };
	cpu_jobs_run(m, m->work.job, heads);
}

/* The heads of group `group`. */
static void shape_call(const struct cpu *m, uint32_t layer, uint32_t row, uint32_t group,
		       struct kernel_attention *a)
{
	const struct model_config *c = &m->config;
	uint32_t heads = c->layer[layer].heads;
	struct cpu_heads h = cpu_heads_of(c, layer);
	uint32_t head = group * h.heads, left = heads - head;
	size_t width = c->nope + c->rope_head, at = (size_t)row * heads + head;
	a->keys = KERNEL_BY_NUMBER;
	a->wide = a->value = c->kv_rank;
	a->tail = c->rope_head;
	a->tail_at = latent_bytes(m);
	a->heads = left < h.heads ? left : h.heads;
	a->query = m->work.q_up + at * c->kv_rank;
	a->query_tail = m->work.q + at * width + c->nope;
	a->out = m->work.attended + at * c->kv_rank;
	a->query_head = a->out_head = c->kv_rank;
	a->query_row = a->out_row = (size_t)heads * c->kv_rank;
	a->tail_head = width;
	a->tail_row = heads * width;
}

static void place_share(void *ctx, struct part part)
{
	const struct shared *s = ctx;
	for (uint32_t i = part.begin; i < part.end; i++)
		place_row(s->m, s->p, s->layer, i);
}

void cpu_attn_mla_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct model_config *c = &m->config;
	const struct layer_weights *w = &m->weights.layer[layer];
	struct workspace *r = &m->work;
	struct shared s = { m, p, layer };
	struct cpu_heads heads = cpu_heads_of(c, layer);
	uint32_t n = c->layer[layer].heads;
	heads.shape = shape_call;
	project(m, p, layer);
	pool_run(m->pool, p->rows, place_share, &s);
	per_head(m, p->rows, n, w->key_up, r->q, c->nope + c->rope_head, r->q_up, c->kv_rank);
	cpu_index_run(m, p, layer);
	cpu_attend_run(m, p, layer, &heads);
	per_head(m, p->rows, n, w->value_up, r->attended, c->kv_rank, r->value, c->value);
	cpu_attended_run(m, p, layer);
}
