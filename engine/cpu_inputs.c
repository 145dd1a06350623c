/* Inputs of each layer's own, beside the residual stream (Gemma 3n and 4): a projection of the
 * embedding and a second, narrow embedding of the token, mixed once for all layers; at its end each
 * layer adds what it makes of its part. */
#include "engine/cpu.h"

#include <math.h>

/* Mix row i's parts of all layers: (norm(projected) + embedded * P^1/2) * 2^-1/2. */
static void mix_row(struct cpu *m, uint32_t i, const void *pass)
{
	const struct pass *p = pass;
	const struct layer_weights *w = cpu_whole(m);
	uint32_t width = m->config.per_layer, layers = m->config.layers;
	size_t at = (size_t)i * layers * width;
	float *mixed = m->work.inputs + at, *raw = m->work.inputs_raw + at;
	float grown = sqrtf((float)width), half = sqrtf(0.5f);
	kernel_matrix_row(&w->matrix[SLOT_INPUTS_EMBED], model_token(&m->config, p->token[i]), raw);
	for (uint32_t l = 0; l < layers; l++, mixed += width, raw += width) {
		m->kernels->rmsnorm(mixed, w->vector[SLOT_INPUTS_NORM], width, m->config.norm_eps,
				    mixed);
		for (uint32_t k = 0; k < width; k++)
			mixed[k] = (mixed[k] + raw[k] * grown) * half;
	}
}

/* The projection's input: x * hidden^-1/2, in place of what the first layer reads. */
static void shrink_row(struct cpu *m, uint32_t i, const void *unused)
{
	uint32_t n = m->config.hidden;
	float *to = m->work.normed + (size_t)i * n, by = 1.0f / sqrtf((float)n);
	(void)unused;
	for (uint32_t k = 0; k < n; k++)
		to[k] = m->work.x[(size_t)i * n + k] * by;
	cpu_row_quantise(m, m->work.normed, n, &m->work.normed_code, i);
}

void cpu_inputs_make(struct cpu *m, const struct pass *p)
{
	const struct cpu_close again = cpu_close_embed(m);
	struct job job = {
		.w = &cpu_whole(m)->matrix[SLOT_INPUTS_PROJECTION],
		.x = { .value = m->work.normed, .stride = m->config.hidden, .count = p->rows },
		.in = m->work.normed_code,
		.out = m->work.inputs,
		.stride = (size_t)m->config.layers * m->config.per_layer
	};
	cpu_rows_run(m, p->rows, shrink_row, NULL);
	cpu_jobs_run(m, &job, 1);
	cpu_rows_run(m, p->rows, mix_row, p);
	cpu_rows_run(m, p->rows, cpu_row_close, &again);
}

/* The layer's part passes a gate that reads x; wide_gate holds it. */
static void gate_row(struct cpu *m, uint32_t i, const void *layer)
{
	const uint32_t *l = layer;
	uint32_t n = m->config.per_layer;
	const float *part = m->work.inputs + ((size_t)i * m->config.layers + *l) * n;
	m->kernels->act[cpu_act(m)](m->work.wide_gate + (size_t)i * n, part, n, NULL);
	cpu_row_quantise(m, m->work.wide_gate, n, &m->work.wide_code, i);
}

void cpu_inputs_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct layer_weights *w = &m->weights.layer[layer];
	const struct cpu_close close = cpu_close_inputs(m, layer);
	uint32_t n = m->config.per_layer, hidden = m->config.hidden;
	struct job gate = { .w = &w->matrix[SLOT_INPUT_GATE],
			    .x = { .value = m->work.normed, .stride = hidden, .count = p->rows },
			    .in = m->work.normed_code,
			    .out = m->work.wide_gate,
			    .stride = n };
	struct job up = { .w = &w->matrix[SLOT_INPUT_UP],
			  .x = { .value = m->work.wide_gate, .stride = n, .count = p->rows },
			  .in = m->work.wide_code,
			  .out = m->work.delta,
			  .stride = hidden };
	cpu_jobs_run(m, &gate, 1);
	cpu_rows_run(m, p->rows, gate_row, &layer);
	cpu_jobs_run(m, &up, 1);
	cpu_rows_run(m, p->rows, cpu_row_close, &close);
}
