/* Feed-forward half of a layer: a dense network, or experts grouped over the rows that chose them,
 * with a shared expert or a dense network beside them. A row's slots are summed in rank order. */
#include "engine/cpu.h"

#include "base/check.h"
#include "kernels/number.h"

#include <string.h>

/* What one layer does, with the rows that its experts and its router read. */
struct half {
	struct cpu *m;
	const struct layer_weights *w;
	const struct model_layer *l;
	uint32_t rows;
	const float *expert_in, *router_in; /* [rows][hidden] */
	struct kernel_quant expert_code, router_code;
	float *sum; /* [rows][hidden]: of the experts; spent input, or what is held */
	struct kernel_gate gate;
	struct cpu_close close;
};

static bool has_network(const struct layer_weights *w) { return w->ffn.down.panel != NULL; }

/* The dense network or the shared expert; act(up) alone where there is no gate. */
static void dense_job(const struct half *h, struct job *job)
{
	const struct workspace *r = &h->m->work;
	const struct ffn_weights *w = &h->w->ffn;
	bool gated = w->gate.panel != NULL;
	*job = (struct job){
		.w = gated ? &w->gate : &w->up,
		.up = gated ? &w->up : NULL,
		.bias = gated ? w->gate_bias : w->up_bias,
		.bias_up = w->up_bias,
		.active = true,
		.parameter = h->w->vector[SLOT_ACT],
		.x = { .value = r->normed, .stride = h->m->config.hidden, .count = h->rows },
		.in = r->normed_code,
		.out = r->wide_gate,
		.out_up = r->wide_up,
		.stride = w->up.rows,
		.code = r->wide_code,
		.code_row = kernel_quant_columns(w->up.rows)
	};
}

static void down_job(const struct half *h, struct job *job)
{
	const struct workspace *r = &h->m->work;
	const struct ffn_weights *w = &h->w->ffn;
	*job = (struct job){ .w = &w->down,
			     .bias = w->down_bias,
			     .x = { .value = r->wide_gate, .stride = w->up.rows, .count = h->rows },
			     .in = r->wide_code,
			     .out = r->delta,
			     .stride = h->m->config.hidden };
}

static void dense_run(const struct half *h)
{
	dense_job(h, h->m->work.job);
	cpu_jobs_run(h->m, h->m->work.job, 1);
	down_job(h, h->m->work.job);
	cpu_jobs_run(h->m, h->m->work.job, 1);
}

/* Counting sort of slots by expert, stable: begin[e] .. begin[e+1] are its places, pick[place] the
 * row. */
static void sort_slots(const struct half *h)
{
	struct workspace *r = &h->m->work;
	uint32_t experts = h->gate.experts, k = h->gate.top_k, slots = h->rows * k;
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

/* Experts that compute; those behind them return their input. */
static uint32_t experts_own(const struct half *h)
{
	return h->gate.experts - h->m->config.zero_experts;
}

/* The inputs of a row's experts times their weights, in the place of their answers. */
static void weigh_inputs(struct cpu *m, uint32_t i, const void *half)
{
	const struct half *h = half;
	struct workspace *r = &m->work;
	uint32_t k = h->gate.top_k, n = m->config.hidden;
	const float *input = h->expert_in + (size_t)i * n;
	for (uint32_t j = 0; j < k; j++) {
		uint32_t place = r->place[i * k + j];
		float *weight = &r->weight[(size_t)i * k + j];
		m->kernels->weighted_sum(&input, weight, 1, n, r->down + (size_t)place * n);
		cpu_row_quantise(m, r->down, n, &r->slot_code, place);
		*weight = 1;
	}
}

/* What the experts read whose slots begin at `first`. */
static void expert_input(const struct half *h, uint32_t first, struct job *job)
{
	const struct workspace *r = &h->m->work;
	uint32_t n = h->m->config.hidden;
	if (h->m->config.experts_on_input) {
		job->x.value = r->down + (size_t)first * n;
		job->in = cpu_quant_at(&r->slot_code, first, kernel_quant_columns(n), 0);
		return;
	}
	job->x.value = h->expert_in;
	job->x.pick = r->pick + first;
	job->in = h->expert_code;
}

/* Gate and up of every chosen expert and of the network beside them; returns the number of jobs. */
static uint32_t up_jobs(const struct half *h)
{
	struct cpu *m = h->m;
	struct workspace *r = &m->work;
	uint32_t count = 0;
	size_t codes = kernel_quant_columns(m->config.expert_width);
	for (uint32_t e = 0; e < experts_own(h); e++) {
		uint32_t n = r->begin[e + 1] - r->begin[e];
		size_t at = (size_t)r->begin[e] * m->config.expert_width;
		if (n == 0)
			continue;
		r->job[count] =
			(struct job){ .w = &h->w->expert[e].gate,
				      .up = &h->w->expert[e].up,
				      .bias = h->w->expert[e].gate_bias,
				      .bias_up = h->w->expert[e].up_bias,
				      .x = { .stride = m->config.hidden, .count = n },
				      .out = r->gate + at,
				      .out_up = r->up + at,
				      .stride = m->config.expert_width,
				      .code = cpu_quant_at(&r->gate_code, r->begin[e], codes, 0),
				      .code_row = codes };
		expert_input(h, r->begin[e], &r->job[count++]);
	}
	m->traffic.experts += count;
	if (has_network(h->w))
		dense_job(h, &r->job[count++]);
	return count;
}

static uint32_t down_jobs(const struct half *h)
{
	struct cpu *m = h->m;
	struct workspace *r = &m->work;
	uint32_t count = 0;
	size_t codes = kernel_quant_columns(m->config.expert_width);
	for (uint32_t e = 0; e < experts_own(h); e++) {
		uint32_t n = r->begin[e + 1] - r->begin[e];
		if (n == 0)
			continue;
		r->job[count++] = (struct job){
			.w = &h->w->expert[e].down,
			.bias = h->w->expert[e].down_bias,
			.x = { .value = r->gate + (size_t)r->begin[e] * m->config.expert_width,
			       .stride = m->config.expert_width,
			       .count = n },
			.in = cpu_quant_at(&r->gate_code, r->begin[e], codes, 0),
			.out = r->down + (size_t)r->begin[e] * m->config.hidden,
			.stride = m->config.hidden
		};
	}
	if (has_network(h->w))
		down_job(h, &r->job[count++]);
	return count;
}

/* The slots of a row in rank order. */
static void sum_slots(const struct half *h, uint32_t i)
{
	struct workspace *r = &h->m->work;
	uint32_t k = h->gate.top_k, n = h->m->config.hidden;
	const float *slot[KERNEL_TOP_K];
	for (uint32_t j = 0; j < k; j++)
		slot[j] = r->expert[i * k + j] < experts_own(h)
				  ? r->down + (size_t)r->place[i * k + j] * n
				  : h->expert_in + (size_t)i * n;
	h->m->kernels->weighted_sum(slot, r->weight + (size_t)i * k, k, n, h->sum + (size_t)i * n);
}

/* The answer of a row is the experts' and the shared expert's (which lies in delta). */
static void shared_row(struct cpu *m, uint32_t i, const void *half)
{
	const struct half *h = half;
	uint32_t n = m->config.hidden;
	float *delta = m->work.delta + (size_t)i * n;
	sum_slots(h, i);
	if (m->config.shared_gated) {
		float share = 1.0f / (1.0f + number_exp(0.0f - m->work.shared_share[i]));
		const float *shared = delta;
		m->kernels->weighted_sum(&shared, &share, 1, n, delta);
	}
	if (has_network(h->w))
		m->kernels->add(h->sum + (size_t)i * n, delta, n);
	cpu_row_close(m, i, &h->close);
}

/* The answer of a row is the dense network's, to which the experts' is added now or, where it is
 * held, with a later layer's. */
static void both_row(struct cpu *m, uint32_t i, const void *half)
{
	const struct half *h = half;
	uint32_t n = m->config.hidden;
	float *delta = m->work.delta + (size_t)i * n, *sum = h->sum + (size_t)i * n;
	const struct cpu_norm dense = { h->w->vector[SLOT_DENSE_AFTER], NULL },
			      experts = { h->w->vector[SLOT_EXPERTS_AFTER], NULL };
	sum_slots(h, i);
	cpu_row_norm(m, delta, &dense, delta);
	cpu_row_norm(m, sum, &experts, sum);
	if (h->l->residual != MODEL_SHORTCUT_BEGIN)
		m->kernels->add(delta, sum, n);
	cpu_row_close(m, i, &h->close);
}

static void gate_row(struct cpu *m, uint32_t i, const void *half)
{
	struct workspace *r = &m->work;
	const struct kernel_gate *g = &((const struct half *)half)->gate;
	m->kernels->moe_gate(g, r->score + (size_t)i * g->experts, 1,
			     r->expert + (size_t)i * g->top_k, r->weight + (size_t)i * g->top_k);
}

/* Router logits, and the logit of the shared expert's gate; then the choice. */
static void route(const struct half *h)
{
	struct workspace *r = &h->m->work;
	uint32_t hidden = h->m->config.hidden;
	struct job job[2] = {
		{ .w = &h->w->matrix[SLOT_ROUTER],
		  .x = { .value = h->router_in, .stride = hidden, .count = h->rows },
		  .in = h->router_code,
		  .out = r->score,
		  .stride = h->gate.experts },
		{ .w = &h->w->matrix[SLOT_SHARED_GATE],
		  .x = { .value = r->normed, .stride = hidden, .count = h->rows },
		  .in = r->normed_code,
		  .out = r->shared_share,
		  .stride = 1 },
	};
	cpu_jobs_run(h->m, job, h->m->config.shared_gated ? 2 : 1);
	cpu_rows_run(h->m, h->rows, gate_row, h);
}

static void experts_run(const struct half *h, const struct pass *p, uint32_t moe_layer)
{
	struct workspace *r = &h->m->work;
	uint32_t k = h->gate.top_k;
	route(h);
	if (p->expert != NULL)
		memcpy(p->expert + (size_t)moe_layer * p->rows * k, r->expert,
		       (size_t)p->rows * k * sizeof *p->expert);
	sort_slots(h);
	if (h->m->config.experts_on_input)
		cpu_rows_run(h->m, h->rows, weigh_inputs, h);
	cpu_jobs_run(h->m, r->job, up_jobs(h));
	cpu_jobs_run(h->m, r->job, down_jobs(h));
}

/* Experts read the row's own norm where it has one, else what the network beside them reads; the
 * router likewise. */
static struct half half_of(struct cpu *m, const struct pass *p, uint32_t layer)
{
	struct workspace *r = &m->work;
	const struct layer_weights *w = &m->weights.layer[layer];
	bool own = w->vector[SLOT_EXPERTS_NORM] != NULL,
	     asked = w->vector[SLOT_ROUTER_SCALE] != NULL;
	struct half h = {
		.m = m,
		.w = w,
		.l = cpu_layer(m, layer),
		.rows = p->rows,
		.expert_in = own ? r->expert_in : r->normed,
		.expert_code = own ? r->expert_code : r->normed_code,
		.gate = m->config.gate,
		.close = cpu_close_ffn(m, layer),
	};
	h.router_in = asked ? r->router_in : h.expert_in;
	h.router_code = asked ? r->router_code : h.expert_code;
	h.sum = h.l->residual == MODEL_SHORTCUT_BEGIN ? r->held : own ? r->expert_in : r->normed;
	h.gate.bias = w->vector[SLOT_ROUTER_BIAS];
	h.gate.expert_scale = w->vector[SLOT_EXPERT_SCALE];
	if (h.l->ffn == MODEL_FFN_EXPERTS)
		h.close.answer = h.sum;
	check(m->config.zero_experts == 0 || h.sum != h.expert_in || h.l->ffn == MODEL_FFN_DENSE);
	return h;
}

void cpu_ffn_run(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t moe_layer)
{
	const struct half h = half_of(m, p, layer);
	if (h.l->ffn == MODEL_FFN_DENSE) {
		dense_run(&h);
		cpu_rows_run(m, p->rows, cpu_row_close, &h.close);
		return;
	}
	experts_run(&h, p, moe_layer);
	cpu_rows_run(m, p->rows, h.l->ffn == MODEL_FFN_BOTH ? both_row : shared_row, &h);
}
