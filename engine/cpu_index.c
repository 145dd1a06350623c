/* The indexer of sparse attention: which positions a row attends. Its key is cached behind the
 * latents of the layer's page; its scores over the whole context are most of what a long context
 * costs. Rows with no more positions than may be chosen attend all of them and are not scored.
 * Layers without an indexer of their own attend what the last one before them chose.
 * Source: DeepSeek-V3.2 report, section 2.1. */
#include "engine/cpu.h"

#include <math.h>

#define NORM_EPS 1e-6f  /* of the key's norm, whatever rms_norm_eps says */
#define CHUNK 2048      /* positions that one part of work scores: their keys stay in cache */

struct index {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
	/* Rows scored together: every row from `row` on that chooses, `rows` of them; the longest
	 * has `chunks`. */
	uint32_t row, rows, chunks;
};

bool cpu_row_chooses(const struct cpu *m, uint32_t layer, uint32_t position)
{
	return cpu_layer(m, layer)->index != MODEL_INDEX_NONE && position >= m->config.index_top_k;
}

size_t cpu_index_key_bytes(const struct model_config *c, enum kernel_cache cache, uint32_t layer)
{
	return c->layer[layer].index == MODEL_INDEX_OWN
		       ? kernel_cache_bytes(cache, KERNEL_BY_POSITION, c->index_head)
		       : 0;
}

static size_t key_at(const struct cpu *m, uint32_t layer)
{
	return cpu_layer_bytes(&m->config, m->kind, layer) -
	       cpu_index_key_bytes(&m->config, m->kind, layer);
}

static void project(const struct index *x)
{
	struct cpu *m = x->m;
	const struct model_config *c = &m->config;
	const struct layer_weights *w = &m->weights.layer[x->layer];
	struct workspace *r = &m->work;
	struct kernel_rows in = { .value = r->normed, .stride = c->hidden, .count = x->p->rows };
	struct kernel_rows latent = { .value = r->q_latent,
				      .stride = c->q_rank,
				      .count = x->p->rows };
	struct job job[3] = {
		{ .w = &w->matrix[SLOT_INDEX_Q],
		  .x = latent,
		  .in = r->latent_code,
		  .out = r->index_q,
		  .stride = (size_t)c->index_heads * c->index_head },
		{ .w = &w->matrix[SLOT_INDEX_K],
		  .x = in,
		  .in = r->normed_code,
		  .out = r->index_k,
		  .stride = c->index_head },
		{ .w = &w->matrix[SLOT_INDEX_WEIGHTS],
		  .x = in,
		  .in = r->normed_code,
		  .out = r->index_weight,
		  .stride = c->index_heads },
	};
	cpu_jobs_run(m, job, 3);
}

/* Row i: norm and rotate the key, write it, rotate the queries; the weights take the scales. */
static void place_row(struct cpu *m, uint32_t i, const void *index)
{
	const struct index *x = index;
	const struct model_config *c = &m->config;
	const struct layer_weights *w = &m->weights.layer[x->layer];
	const struct rope_table *t = &m->rope[cpu_layer(m, x->layer)->rope];
	uint32_t position = x->p->position[i], size = 2 * t->half;
	void (*rotate)(float *, uint32_t, const float *, const float *) =
		c->index_interleaved ? m->kernels->rope_interleaved : m->kernels->rope_half;
	const float *cosine = t->cosine + (size_t)position * t->half,
		    *sine = t->sine + (size_t)position * t->half;
	float *k = m->work.index_k + (size_t)i * c->index_head;
	float *q = m->work.index_q + (size_t)i * c->index_heads * c->index_head;
	float *weight = m->work.index_weight + (size_t)i * c->index_heads;
	float scale = (float)(1 / sqrt((double)c->index_heads * c->index_head));
	const void *page = cpu_pages_of(m, x->p, x->layer,
					x->p->sequence[i])[position / KERNEL_PAGE];
	m->kernels->layernorm(k, w->vector[SLOT_INDEX_NORM], w->vector[SLOT_INDEX_NORM_BIAS],
			      c->index_head, NORM_EPS, k);
	rotate(k, size, cosine, sine);
	kernel_cache_store(m->kind, KERNEL_BY_POSITION, k, c->index_head, position % KERNEL_PAGE,
			   (unsigned char *)(uintptr_t)page + key_at(m, x->layer));
	for (uint32_t h = 0; h < c->index_heads; h++, q += c->index_head) {
		rotate(q, size, cosine, sine);
		weight[h] *= scale;
	}
}

/* ---- scores and choice ---- */

static float *scores_of(const struct cpu *m, uint32_t place)
{
	return m->work.index_score + (size_t)place * m->config.context_max;
}

/* One chunk of positions of one row; rows of a chunk follow one another. */
static void score_share(void *ctx, struct part part)
{
	const struct index *x = ctx;
	const struct cpu *m = x->m;
	const struct model_config *c = &m->config;
	for (uint32_t i = part.begin; i < part.end; i++) {
		uint32_t row = x->row + i % x->rows, from = i / x->rows * CHUNK,
			 end = x->p->position[row] + 1;
		const struct kernel_index call = {
			.cache = m->kind,
			.heads = c->index_heads,
			.wide = c->index_head,
			.key_at = key_at(m, x->layer),
			.page = cpu_pages_of(m, x->p, x->layer, x->p->sequence[row]),
			.query = m->work.index_q + (size_t)row * c->index_heads * c->index_head,
			.weight = m->work.index_weight + (size_t)row * c->index_heads,
			.scratch = m->work.scratch + part.worker * m->work.scratch_floats,
		};
		end = end < from + CHUNK ? end : from + CHUNK;
		if (from < end)
			m->kernels->index(&call, from, end, scores_of(m, i % x->rows) + from);
	}
}

static void choose_row(struct cpu *m, uint32_t i, const void *index)
{
	const struct index *x = index;
	uint32_t k = m->config.index_top_k;
	kernel_index_choose(scores_of(m, i), x->p->position[x->row + i] + 1, k,
			    m->work.chosen + (size_t)(x->row + i) * k);
}

/* The next rows that choose, as many as there are scores for; false: none are left. */
static bool rows_take(struct index *x)
{
	const struct pass *p = x->p;
	uint32_t most = 0;
	x->row += x->rows;
	x->rows = 0;
	while (x->row < p->rows && !cpu_row_chooses(x->m, x->layer, p->position[x->row]))
		x->row++;
	for (uint32_t i = x->row; i < p->rows && x->rows < x->m->work.score_rows &&
				  cpu_row_chooses(x->m, x->layer, p->position[i]);
	     i++, x->rows++)
		most = p->position[i] > most ? p->position[i] : most;
	x->chunks = most / CHUNK + 1;
	return x->rows > 0;
}

void cpu_index_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	struct index x = { .m = m, .p = p, .layer = layer };
	if (cpu_layer(m, layer)->index != MODEL_INDEX_OWN)
		return;
	project(&x);
	cpu_rows_run(m, p->rows, place_row, &x);
	while (rows_take(&x)) {
		pool_run_in_order(m->pool, x.rows * x.chunks, score_share, &x);
		cpu_rows_run(m, x.rows, choose_row, &x);
	}
}
