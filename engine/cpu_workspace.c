/* Buffers of a pass. They grow to the largest batch seen and stay: no allocation after that. */
#include "engine/cpu.h"

#include "base/limits.h"

#include <stdlib.h>

#define ROWS_MAX 512             /* rows of one pass at most; longer feeds take several */
#define WORKSPACE_BYTES MIB(384) /* fewer rows where a model is very wide */
#define RECORD_BYTES MIB(16)     /* of attention's splits: more come in waves */
#define SCORE_BYTES MIB(16)      /* of the indexer's scores: more rows come later */

/* Aligned for vectors, a cache line longer so that whole-vector reads at an end stay inside. */
int cpu_buffer(void **p, size_t count, size_t size, struct err *e)
{
	size_t bytes;
	free(*p);
	*p = NULL;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return err_set(e, ERR_NOMEM, "buffers of a pass");
	*p = aligned_alloc(64, (bytes + 127) / 64 * 64);
	return *p == NULL ? err_set(e, ERR_NOMEM, "buffers of a pass: %zu bytes", bytes) : 0;
}

#define BUFFER(field, count) \
	TRY(cpu_buffer((void **)&r->field, (size_t)(count), sizeof *r->field, e))

int cpu_buffer_quant(struct kernel_quant *q, size_t rows, uint32_t columns, struct err *e)
{
	size_t n = rows * kernel_quant_columns(columns);
	TRY(cpu_buffer((void **)&q->code, n, 1, e));
	TRY(cpu_buffer((void **)&q->scale, n / KERNEL_INPUT_BLOCK, sizeof *q->scale, e));
	return cpu_buffer((void **)&q->start, n / KERNEL_GROUP, sizeof *q->start, e);
}

static uint32_t at_least_one(uint32_t n) { return n > 0 ? n : 1; }

static int workspace_attention(struct cpu *m, size_t n, struct err *e)
{
	struct workspace *r = &m->work;
	const struct model_config *c = &m->config;
	BUFFER(q_latent, n * at_least_one(c->q_rank));
	BUFFER(q, n * at_least_one(m->most.query));
	BUFFER(kv, n * at_least_one(m->most.kv));
	BUFFER(q_up, n * m->most.heads * at_least_one(c->kv_rank));
	BUFFER(attended, n * m->most.heads * at_least_one(c->kv_rank));
	BUFFER(value, n * at_least_one(m->most.value));
	BUFFER(out_gate, n * at_least_one(m->most.gates));
	return 0;
}

/* Of sparse attention. The first row's scores always have room. */
static int workspace_index(struct cpu *m, size_t n, struct err *e)
{
	struct workspace *r = &m->work;
	const struct model_config *c = &m->config;
	size_t rows = SCORE_BYTES / sizeof(float) / c->context_max;
	r->score_rows = (uint32_t)(rows < 1 ? 1 : rows < n ? rows : n);
	r->gathered_bytes = kernel_attention_gathered(m->kind, c->kv_rank, c->rope_head);
	BUFFER(index_q, n * c->index_heads * c->index_head);
	BUFFER(index_k, n * c->index_head);
	BUFFER(index_weight, n * c->index_heads);
	BUFFER(index_score, (size_t)r->score_rows * c->context_max);
	BUFFER(chosen, n * c->index_top_k);
	BUFFER(gathered, r->gathered_bytes * pool_threads(m->pool));
	return 0;
}

static size_t scratch_floats(const struct model_config *c)
{
	size_t attention = cpu_heads_scratch(c),
	       index = (kernel_index_scratch(c->index_heads, c->index_head) + 15) / 16 * 16;
	return attention > index ? attention : index;
}

static int workspace_codes(struct cpu *m, size_t n, struct err *e)
{
	struct workspace *r = &m->work;
	const struct model_config *c = &m->config;
	TRY(cpu_buffer_quant(&r->normed_code, n, c->hidden, e));
	TRY(cpu_buffer_quant(&r->latent_code, n, at_least_one(c->q_rank), e));
	TRY(cpu_buffer_quant(&r->value_code, n, at_least_one(m->most.value), e));
	TRY(cpu_buffer_quant(&r->gate_code, n * at_least_one(c->gate.top_k),
			    at_least_one(c->expert_width), e));
	if (c->experts_on_input)
		TRY(cpu_buffer_quant(&r->slot_code, n * c->gate.top_k, c->hidden, e));
	if (m->most.both) {
		TRY(cpu_buffer_quant(&r->expert_code, n, c->hidden, e));
		TRY(cpu_buffer_quant(&r->router_code, n, c->hidden, e));
	}
	return cpu_buffer_quant(&r->wide_code, n, at_least_one(m->most.wide), e);
}

/* The most rows, of those that are powers of two, whose buffers stay within bounds. */
uint32_t cpu_rows_max(const struct model_config *c, const struct cpu_most *most)
{
	size_t slot = 2 * (size_t)c->expert_width + c->hidden, n = ROWS_MAX;
	size_t row = 3 * (size_t)c->hidden + c->gate.top_k * slot + 2 * (size_t)most->wide +
		     (size_t)most->heads * (2 * (size_t)c->kv_rank + 512);
	while (n > 32 && n * row * sizeof(float) > WORKSPACE_BYTES)
		n /= 2;
	return (uint32_t)n;
}

static int workspace_ffn(struct cpu *m, size_t n, struct err *e)
{
	struct workspace *r = &m->work;
	const struct model_config *c = &m->config;
	size_t slots = n * at_least_one(c->gate.top_k), wide = at_least_one(m->most.wide);
	BUFFER(score, n * at_least_one(c->gate.experts));
	BUFFER(expert, slots);
	BUFFER(weight, slots);
	BUFFER(pick, slots);
	BUFFER(place, slots);
	BUFFER(begin, c->gate.experts + 1);
	BUFFER(gate, slots * at_least_one(c->expert_width));
	BUFFER(up, slots * at_least_one(c->expert_width));
	BUFFER(down, slots * c->hidden);
	BUFFER(wide_gate, n * wide);
	BUFFER(wide_up, n * wide);
	BUFFER(shared_share, n);
	if (m->most.both) {
		BUFFER(expert_in, n * c->hidden);
		BUFFER(router_in, n * c->hidden);
	}
	if (m->most.shortcut)
		BUFFER(held, n * c->hidden);
	if (c->per_layer > 0) {
		BUFFER(inputs, n * c->layers * c->per_layer);
		BUFFER(inputs_raw, n * c->layers * c->per_layer);
	}
	return 0;
}

static int rows_grow(struct cpu *m, uint32_t rows, struct err *e)
{
	struct workspace *r = &m->work;
	const struct model_config *c = &m->config;
	uint32_t n = 1;
	while (n < rows)
		n *= 2;
	r->rows = 0;
	BUFFER(x, (size_t)n * c->hidden);
	BUFFER(normed, (size_t)n * c->hidden);
	BUFFER(delta, (size_t)n * c->hidden);
	TRY(workspace_attention(m, n, e));
	TRY(workspace_ffn(m, n, e));
	if (c->index_top_k > 0)
		TRY(workspace_index(m, n, e));
	if (m->quantises)
		TRY(workspace_codes(m, n, e));
	TRY(cpu_delta_grow(m, n, e));
	BUFFER(job, c->gate.experts + m->most.heads + 3);
	BUFFER(logits, (size_t)(n < CPU_LOGIT_ROWS ? n : CPU_LOGIT_ROWS) * c->vocab);
	BUFFER(block, n);
	r->scratch_floats = scratch_floats(c);
	BUFFER(scratch, r->scratch_floats * pool_threads(m->pool));
	r->record_floats = cpu_heads_records(c, pool_threads(m->pool), RECORD_BYTES);
	if (r->record_floats > 0)
		BUFFER(record, r->record_floats);
	r->rows = n;
	return 0;
}

static int pages_grow(struct cpu *m, uint32_t pages, struct err *e)
{
	struct workspace *r = &m->work;
	r->pages = 0;
	BUFFER(page, (size_t)pages * m->config.layers);
	r->pages = pages;
	return 0;
}

int cpu_workspace_grow(struct cpu *m, const struct pass *p, struct err *e)
{
	if (p->rows > m->work.rows)
		TRY(rows_grow(m, p->rows, e));
	uint32_t pages = p->first_page[p->sequences];
	return pages > m->work.pages ? pages_grow(m, pages, e) : 0;
}

void cpu_workspace_free(struct workspace *r)
{
	void *all[] = { r->page,    r->x,      r->normed,    r->delta,     r->q_latent,
			r->q,       r->kv,     r->q_up,      r->attended,  r->value,
			r->score,   r->expert, r->weight,    r->pick,      r->place,
			r->begin,   r->gate,   r->up,        r->down,      r->wide_gate,
			r->wide_up, r->job,    r->logits,    r->scratch,   r->shared_share,
			r->block,   r->record, r->out_gate,  r->expert_in, r->router_in,
			r->held,    r->inputs, r->inputs_raw,  r->index_q,   r->index_k,
			r->index_weight, r->index_score, r->chosen, r->gathered };
	struct kernel_quant codes[] = { r->normed_code, r->latent_code, r->value_code, r->gate_code,
					r->wide_code,   r->slot_code,   r->expert_code, r->router_code };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		free(codes[i].code);
		free(codes[i].scale);
		free(codes[i].start);
	}
	*r = (struct workspace){ 0 };
}
