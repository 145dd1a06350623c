/* What both kinds of attention have in common: the gate of what was attended, and the output
 * product. */
#include "engine/cpu.h"

#include "kernels/number.h"

#include <string.h>

struct answer {
	uint32_t layer, width, gates; /* floats of a row: attended, and logits of its gate */
};

static uint32_t gates_of(const struct cpu *m, uint32_t layer)
{
	const struct model_layer *l = cpu_layer(m, layer);
	return l->gate == MODEL_OUT_NONE   ? 0
	       : l->gate == MODEL_OUT_HEAD ? l->heads
					   : cpu_value_width(&m->config, layer);
}

uint32_t cpu_gate_job(struct cpu *m, const struct pass *p, uint32_t layer, struct job *job)
{
	uint32_t gates = gates_of(m, layer);
	if (gates == 0)
		return 0;
	*job = (struct job){
		.w = &m->weights.layer[layer].matrix[SLOT_OUT_GATE],
		.x = { .value = m->work.normed, .stride = m->config.hidden, .count = p->rows },
		.in = m->work.normed_code,
		.out = m->work.out_gate,
		.stride = gates
	};
	return 1;
}

/* value[j] *= sigmoid(gate[j / each]). Spends the gate. */
static void gate_row(const struct cpu *m, float *value, float *gate, uint32_t gates, uint32_t each)
{
	if (each == 1) {
		m->kernels->sigmoid_mul(gate, value, gates);
		memcpy(value, gate, gates * sizeof *value);
		return;
	}
	for (uint32_t i = 0; i < gates; i++) {
		const float *own = value + (size_t)i * each;
		float share = 1.0f / (1.0f + number_exp(0.0f - gate[i]));
		m->kernels->weighted_sum(&own, &share, 1, each, value + (size_t)i * each);
	}
}

static void answer_row(struct cpu *m, uint32_t i, const void *ctx)
{
	const struct answer *a = ctx;
	float *value = m->work.value + (size_t)i * a->width, scale = m->config.value_scale;
	bool scaled = cpu_layer(m, a->layer)->mixer == MODEL_MIX_GQA && (scale < 1 || scale > 1);
	for (uint32_t j = 0; scaled && j < a->width; j++)
		value[j] *= scale;
	if (a->gates > 0)
		gate_row(m, value, m->work.out_gate + (size_t)i * a->gates, a->gates,
			 a->width / a->gates);
	cpu_row_quantise(m, m->work.value, a->width, &m->work.value_code, i);
}

void cpu_attended_run(struct cpu *m, const struct pass *p, uint32_t layer)
{
	const struct layer_weights *w = &m->weights.layer[layer];
	const struct answer a = { layer, cpu_value_width(&m->config, layer), gates_of(m, layer) };
	struct job out = { .w = &w->matrix[SLOT_O],
			   .bias = w->vector[SLOT_O_BIAS],
			   .x = { .value = m->work.value, .stride = a.width, .count = p->rows },
			   .in = m->work.value_code,
			   .out = m->work.delta,
			   .stride = m->config.hidden };
	cpu_rows_run(m, p->rows, answer_row, &a);
	cpu_jobs_run(m, &out, 1);
}
