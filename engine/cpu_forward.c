/* One forward pass on the CPU: the rows of all sequences are one batch through the matrices.
 * Nothing of a row's arithmetic depends on the other rows. */
#include "engine/cpu.h"

#include "kernels/number.h"

#include <string.h>

static const struct kernel_matrix *embeddings(const struct cpu *m)
{
	const struct kernel_matrix *own = &cpu_whole(m)->matrix[SLOT_EMBED];
	return own->panel != NULL ? own : &cpu_whole(m)->matrix[SLOT_HEAD];
}

static void embed_row(struct cpu *m, uint32_t i, const void *pass)
{
	const struct pass *p = pass;
	float *x = m->work.x + (size_t)i * m->config.hidden, scale = m->config.embed_scale;
	const struct cpu_close close = cpu_close_embed(m);
	kernel_matrix_row(embeddings(m), model_token(&m->config, p->token[i]), x);
	for (uint32_t k = 0; (scale < 1 || scale > 1) && k < m->config.hidden; k++)
		x[k] *= scale;
	cpu_row_close(m, i, &close);
}

/* One row of logits goes straight to its place; several are products of one matrix read. */
static void logits_run(struct cpu *m, const struct pass *p)
{
	struct workspace *r = &m->work;
	uint32_t step;
	for (uint32_t at = 0; at < p->wanted; at += step) {
		step = r->rows < CPU_LOGIT_ROWS ? r->rows : CPU_LOGIT_ROWS;
		step = p->wanted - at < step ? p->wanted - at : step;
		struct job job = { .w = &cpu_whole(m)->matrix[SLOT_HEAD],
				   .x = { .value = r->normed,
					  .stride = m->config.hidden,
					  .count = step,
					  .pick = p->want + at },
				   .in = r->normed_code,
				   .out = step == 1 ? p->logits[at] : r->logits,
				   .stride = m->config.vocab,
				   .bias = cpu_whole(m)->vector[SLOT_HEAD_BIAS],
				   .scale = m->config.logits_scale,
				   .cap = m->config.logits_softcap,
				   .again = at > 0 };
		cpu_jobs_run(m, &job, 1);
		for (uint32_t i = 0; step > 1 && i < step; i++)
			memcpy(p->logits[at + i], r->logits + (size_t)i * m->config.vocab,
			       m->config.vocab * sizeof(float));
	}
}

/* Cache rows that row i attends in a layer. */
static uint64_t attended(const struct model_layer *l, uint32_t position)
{
	uint32_t all = position + 1;
	if (l->chunk > 0)
		return position % l->chunk + 1;
	return l->window > 0 && l->window < all ? l->window : all;
}

/* Rows that the indexer scores for row i of a layer. */
static uint64_t scored(const struct cpu *m, uint32_t layer, uint32_t position)
{
	bool own = cpu_layer(m, layer)->index == MODEL_INDEX_OWN;
	return own && cpu_row_chooses(m, layer, position) ? position + 1 : 0;
}

/* Operations of all heads on one cache row: its score and the weighing of its value. */
static uint64_t attention_operations(const struct model_config *c, const struct model_layer *l)
{
	uint64_t widths =
		l->mixer == MODEL_MIX_MLA ? 2 * c->kv_rank + c->rope_head : l->head + l->value;
	return 2 * widths * l->heads;
}

/* Bytes of the cache that this pass reads are what the last row of each sequence sees, once. */
static void attention_count(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct model_layer *l = cpu_layer(m, layer);
	uint64_t each = attention_operations(&m->config, l),
		 score = 2 * (uint64_t)m->config.index_heads * m->config.index_head,
		 key = cpu_index_key_bytes(&m->config, m->kind, layer) / KERNEL_PAGE,
		 bytes = cpu_layer_bytes(&m->config, m->kind, l->cache) / KERNEL_PAGE - key;
	for (uint32_t i = 0; i < p->rows; i++) {
		uint64_t n = cpu_row_chooses(m, layer, p->position[i])
				     ? m->config.index_top_k
				     : attended(l, p->position[i]);
		uint64_t index = scored(m, layer, p->position[i]);
		m->traffic.attention_operations += n * each + index * score;
		if (i + 1 == p->rows || p->sequence[i + 1] != p->sequence[i])
			m->traffic.cache_bytes += n * bytes + index * key;
	}
}

static void pass_count(struct cpu *m, const struct pass *p)
{
	const struct kernel_matrix *w = embeddings(m);
	m->traffic.passes++;
	m->traffic.rows += p->rows;
	m->traffic.weight_bytes += p->rows * (w->panel_bytes / KERNEL_PANEL);
	for (uint32_t l = 0; l < m->config.layers; l++) {
		if (cpu_layer(m, l)->mixer != MODEL_MIX_DELTA)
			attention_count(m, p, l);
	}
}

/* Numbers of pages become addresses, here and nowhere else: those of every layer, as far as the
 * last row of each sequence needs them. */
static void pages_find(struct cpu *m, const struct pass *p)
{
	size_t all = p->first_page[p->sequences];
	pthread_mutex_lock(&m->cache.lock);
	for (uint32_t i = 0; i < p->rows; i++) {
		if (i + 1 < p->rows && p->sequence[i + 1] == p->sequence[i])
			continue;
		uint32_t first = p->first_page[p->sequence[i]],
			 n = p->position[i] / KERNEL_PAGE + 1;
		for (uint32_t l = 0; l < m->config.layers; l++) {
			for (uint32_t j = first; j < first + n; j++)
				m->work.page[l * all + j] =
					m->cache.page[p->page[j]] + m->page_at[l];
		}
	}
	pthread_mutex_unlock(&m->cache.lock);
}

static void (*const mixers[])(struct cpu *m, const struct pass *p, uint32_t layer) = {
	[MODEL_MIX_GQA] = cpu_attn_gqa_run,
	[MODEL_MIX_MLA] = cpu_attn_mla_run,
	[MODEL_MIX_DELTA] = cpu_delta_run,
};

/* The order of a pass. A row is one token; x is its residual stream, in f32 throughout.
 *
 *   x = embedding; normed = norm(x)                             embed_row
 *   for each layer:
 *     attention: q, k, v = products of normed; rotate; store
 *     the cache row; attend over the cache; delta = output
 *     product                                                   cpu_attn_*_run
 *     x += delta; normed = norm(x)                              cpu_row_close
 *     dense: delta = down(act(gate, up)); x += delta;
 *            normed = norm(x)                                   cpu_ffn_run
 *     MoE:   scores -> experts of each row -> rows sorted by expert -> gate, up, down of each
 *            expert over its rows -> x += weighted sum in rank order (+ shared expert);
 *            normed = norm(x)
 *   logits = head product of normed, for the rows that want them
 *
 * So a norm belongs to the end of the stage before: its gain is that of the next half, and the
 * last one is the model's final norm. What else may stand at the end of a stage (norms of the
 * branch, scales, branches in parallel) is struct cpu_close. Every line is one or two parallel
 * stages over all rows (cpu_jobs.c); between stages all threads wait for one another. Each output
 * belongs to one thread and each sum has one order, so neither threads nor neighbours change a
 * bit. */
static void pass_run(struct cpu *m, const struct pass *p)
{
	uint32_t moe = 0;
	pass_count(m, p);
	pages_find(m, p);
	cpu_states_find(m, p);
	cpu_rows_run(m, p->rows, embed_row, p);
	if (m->config.per_layer > 0)
		cpu_inputs_make(m, p);
	for (uint32_t l = 0; l < m->config.layers; l++) {
		const struct cpu_close close = cpu_close_mixer(m, l);
		mixers[cpu_layer(m, l)->mixer](m, p, l);
		cpu_rows_run(m, p->rows, cpu_row_close, &close);
		cpu_ffn_run(m, p, l, moe);
		moe += cpu_layer(m, l)->ffn != MODEL_FFN_DENSE;
		if (m->config.per_layer > 0)
			cpu_inputs_run(m, p, l);
	}
	logits_run(m, p);
}

int cpu_forward(struct backend *b, const struct pass *p, struct err *e)
{
	struct cpu *m = cpu_of(b);
	struct pool_caller former;
	TRY(cpu_workspace_grow(m, p, e));
	unsigned mode = number_mode_enter();
	pool_enter(m->pool, &former);
	pass_run(m, p);
	pool_leave(&former);
	number_mode_leave(mode);
	return 0;
}
