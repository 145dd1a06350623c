/* Feed-forward half of a layer: one dense network, or experts grouped over the rows that chose
 * them. A row's slots are summed in rank order, then the shared expert is added. */
#include "engine/cpu.h"

#include "kernels/number.h"

#include <string.h>

static void dense_jobs(struct cpu *m, const struct pass *p, const struct ffn_weights *w,
		       struct job *job)
{
	const struct workspace *r = &m->work;
	*job = (struct job){
		.w = &w->gate,
		.up = &w->up,
		.bias = w->gate_bias,
		.bias_up = w->up_bias,
		.x = { .value = r->normed, .stride = m->config.hidden, .count = p->rows },
		.in = r->normed_code,
		.out = r->wide_gate,
		.out_up = r->wide_up,
		.stride = w->gate.rows,
		.code = r->wide_code,
		.code_row = kernel_quant_columns(w->gate.rows)
	};
}

static void down_job(struct cpu *m, const struct pass *p, const struct ffn_weights *w, float *out,
		     struct job *job)
{
	*job = (struct job){
		.w = &w->down,
		.bias = w->down_bias,
		.x = { .value = m->work.wide_gate, .stride = w->gate.rows, .count = p->rows },
		.in = m->work.wide_code,
		.out = out,
		.stride = m->config.hidden
	};
}

static void dense_run(struct cpu *m, const struct pass *p, const struct ffn_weights *w)
{
	dense_jobs(m, p, w, m->work.job);
	cpu_jobs_run(m, m->work.job, 1);
	down_job(m, p, w, m->work.delta, m->work.job);
	cpu_jobs_run(m, m->work.job, 1);
}

/* Counting sort of slots by expert, stable: begin[e] .. begin[e+1] are its places, pick[place] the
 * row. */
static void sort_slots(struct cpu *m, const struct pass *p)
{
	struct workspace *r = &m->work;
	uint32_t experts = m->config.gate.experts, k = m->config.gate.top_k, slots = p->rows * k;
	memset(r->begin, 0, (experts + 1) * sizeof *r->begin);
	for (uint32_t i = 0; i < slots; i++)
		r->begin[r->expert[i] + 1]++;
	for (uint32_t e = 0; e < experts; e++)
		r->begin[e + 1] += r->begin[e];
	for (uint32_t i = 0; i < slots; i++) {
		r->place[i] = r->begin[r->expert[i]]++;
		r->pick[r->place[i]] = i / k;
	}
	memmove(r->begin + 1, r->begin, experts * sizeof *r->begin);
	r->begin[0] = 0;
}

/* Gate and up of every chosen expert and of the shared one; returns the number of jobs. */
static uint32_t up_jobs(struct cpu *m, const struct pass *p, const struct layer_weights *w)
{
	struct workspace *r = &m->work;
	uint32_t count = 0;
	size_t codes = kernel_quant_columns(m->config.expert_width);
	for (uint32_t e = 0; e < m->config.gate.experts; e++) {
		uint32_t n = r->begin[e + 1] - r->begin[e];
		size_t at = (size_t)r->begin[e] * m->config.expert_width;
		if (n == 0)
			continue;
		r->job[count++] =
			(struct job){ .w = &w->expert[e].gate,
				      .up = &w->expert[e].up,
				      .bias = w->expert[e].gate_bias,
				      .bias_up = w->expert[e].up_bias,
				      .x = { .value = r->normed,
					     .stride = m->config.hidden,
					     .count = n,
					     .pick = r->pick + r->begin[e] },
				      .in = r->normed_code,
				      .out = r->gate + at,
				      .out_up = r->up + at,
				      .stride = m->config.expert_width,
				      .code = cpu_quant_at(&r->gate_code, r->begin[e], codes, 0),
				      .code_row = codes };
	}
	m->traffic.experts += count;
	if (m->config.shared_width > 0)
		dense_jobs(m, p, &w->ffn, &r->job[count++]);
	return count;
}

static uint32_t down_jobs(struct cpu *m, const struct pass *p, const struct layer_weights *w)
{
	struct workspace *r = &m->work;
	uint32_t count = 0;
	size_t codes = kernel_quant_columns(m->config.expert_width);
	for (uint32_t e = 0; e < m->config.gate.experts; e++) {
		uint32_t n = r->begin[e + 1] - r->begin[e];
		if (n == 0)
			continue;
		r->job[count++] = (struct job){
			.w = &w->expert[e].down,
			.bias = w->expert[e].down_bias,
			.x = { .value = r->gate + (size_t)r->begin[e] * m->config.expert_width,
			       .stride = m->config.expert_width,
			       .count = n },
			.in = cpu_quant_at(&r->gate_code, r->begin[e], codes, 0),
			.out = r->down + (size_t)r->begin[e] * m->config.hidden,
			.stride = m->config.hidden
		};
	}
	if (m->config.shared_width > 0)
		down_job(m, p, &w->ffn, r->delta, &r->job[count++]);
	return count;
}

/* x += the slots in rank order + shared (which lies in delta); then the norm, written where the sum
 * was. */
static void sum_row(struct cpu *m, uint32_t i, const void *gain)
{
	struct workspace *r = &m->work;
	uint32_t k = m->config.gate.top_k, n = m->config.hidden;
	const float *slot[KERNEL_TOP_K];
	float *delta = r->delta + (size_t)i * n,
	      *sum = r->normed + (size_t)i * n; /* normed is spent */
	for (uint32_t j = 0; j < k; j++)
		slot[j] = r->down + (size_t)r->place[i * k + j] * n;
	m->kernels->weighted_sum(slot, r->weight + (size_t)i * k, k, n, sum);
	if (m->config.shared_gated) {
		float share = 1.0f / (1.0f + number_exp(0.0f - r->shared_share[i]));
		const float *shared = delta;
		m->kernels->weighted_sum(&shared, &share, 1, n, delta);
	}
	if (m->config.shared_width > 0)
		m->kernels->add(sum, delta, n);
	cpu_row_add(m, i, sum, gain);
}

static void gate_row(struct cpu *m, uint32_t i, const void *gate)
{
	struct workspace *r = &m->work;
	const struct kernel_gate *g = gate;
	m->kernels->moe_gate(g, r->score + (size_t)i * g->experts, 1,
			     r->expert + (size_t)i * g->top_k, r->weight + (size_t)i * g->top_k);
}

/* Router logits, and the logit of the shared expert's gate; then the choice. */
static void route(struct cpu *m, const struct pass *p, const struct layer_weights *w)
{
	struct workspace *r = &m->work;
	uint32_t experts = m->config.gate.experts;
	struct kernel_rows in = { .value = r->normed,
				  .stride = m->config.hidden,
				  .count = p->rows };
	struct job job[2] = {
		{ .w = &w->matrix[SLOT_ROUTER],
		  .x = in,
		  .in = r->normed_code,
		  .out = r->score,
		  .stride = experts },
		{ .w = &w->matrix[SLOT_SHARED_GATE],
		  .x = in,
		  .in = r->normed_code,
		  .out = r->shared_share,
		  .stride = 1 },
	};
	cpu_jobs_run(m, job, m->config.shared_gated ? 2 : 1);
	struct kernel_gate gate = m->config.gate;
	gate.bias = w->vector[SLOT_ROUTER_BIAS];
	cpu_rows_run(m, p->rows, gate_row, &gate);
}

void cpu_ffn_run(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t moe_layer,
		 const float *gain)
{
	const struct layer_weights *w = &m->weights.layer[layer];
	struct workspace *r = &m->work;
	if (w->expert == NULL) {
		dense_run(m, p, &w->ffn);
		cpu_rows_run(m, p->rows, cpu_row_close, gain);
		return;
	}
	route(m, p, w);
	if (p->expert != NULL)
		memcpy(p->expert + (size_t)moe_layer * p->rows * m->config.gate.top_k, r->expert,
		       (size_t)p->rows * m->config.gate.top_k * sizeof *p->expert);
	sort_slots(m, p);
	cpu_jobs_run(m, r->job, up_jobs(m, p, w));
	cpu_jobs_run(m, r->job, down_jobs(m, p, w));
	cpu_rows_run(m, p->rows, sum_row, gain);
}
