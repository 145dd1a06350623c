/* What follows a branch in one row, at once while the row is near: its answer is normed, scaled and
 * added to the residual stream, and the input of the next branch is made, as codes too. What it is
 * for each branch of each layer is a table, struct cpu_close. */
#include "engine/cpu.h"

#include <string.h>

static struct cpu_norm norm_at(const struct layer_weights *w, enum model_slot gain,
			       enum model_slot bias)
{
	return (struct cpu_norm){ w->vector[gain], w->vector[bias] };
}

static struct cpu_norm gain_at(const struct layer_weights *w, enum model_slot gain)
{
	return (struct cpu_norm){ w->vector[gain], NULL };
}

/* Of the input of layer `layer`; past the last: of the head. */
static struct cpu_norm enter_norm(const struct cpu *m, uint32_t layer)
{
	const struct layer_weights *w = &m->weights.layer[layer];
	return layer < m->config.layers ? norm_at(w, SLOT_ATTN_NORM, SLOT_ATTN_NORM_BIAS)
					: norm_at(w, SLOT_NORM, SLOT_NORM_BIAS);
}

struct cpu_close cpu_close_embed(const struct cpu *m)
{
	return (struct cpu_close){ .next = enter_norm(m, 0) };
}

struct cpu_close cpu_close_mixer(const struct cpu *m, uint32_t layer)
{
	const struct model_layer *l = cpu_layer(m, layer);
	const struct layer_weights *w = &m->weights.layer[layer];
	bool parallel = l->residual == MODEL_PARALLEL;
	return (struct cpu_close){
		.answer = m->work.delta,
		.after = gain_at(w, SLOT_ATTN_AFTER),
		.next = norm_at(w, SLOT_FFN_NORM, SLOT_FFN_NORM_BIAS),
		.early = parallel,
		.keeps = parallel && !l->ffn_norm_before,
		.experts = gain_at(w, SLOT_EXPERTS_NORM),
		.router = gain_at(w, SLOT_ROUTER_SCALE),
	};
}

/* Per-layer inputs come between the network and the end of the layer. */
struct cpu_close cpu_close_ffn(const struct cpu *m, uint32_t layer)
{
	const struct layer_weights *w = &m->weights.layer[layer];
	bool last = m->config.per_layer == 0;
	return (struct cpu_close){
		.answer = m->work.delta,
		.after = gain_at(w, SLOT_FFN_AFTER),
		.held = cpu_layer(m, layer)->residual == MODEL_SHORTCUT_END ? m->work.held : NULL,
		.scalar = last ? w->vector[SLOT_LAYER_SCALAR] : NULL,
		.next = last ? enter_norm(m, layer + 1) : (struct cpu_norm){ NULL, NULL },
	};
}

struct cpu_close cpu_close_inputs(const struct cpu *m, uint32_t layer)
{
	const struct layer_weights *w = &m->weights.layer[layer];
	return (struct cpu_close){
		.answer = m->work.delta,
		.after = gain_at(w, SLOT_INPUT_NORM),
		.scalar = w->vector[SLOT_LAYER_SCALAR],
		.next = enter_norm(m, layer + 1),
	};
}

void cpu_row_norm(const struct cpu *m, const float *x, const struct cpu_norm *by, float *out)
{
	uint32_t n = m->config.hidden;
	if (by->gain == NULL) {
		if (out != x)
			memcpy(out, x, n * sizeof *out);
	} else if (m->config.norm == MODEL_NORM_LAYER) {
		m->kernels->layernorm(x, by->gain, by->bias, n, m->config.norm_eps, out);
	} else {
		m->kernels->rmsnorm(x, by->gain, n, m->config.norm_eps, out);
	}
}

/* Row i of x, normed, into a row of `to`. */
static void input_make(struct cpu *m, uint32_t i, const struct cpu_norm *by, float *to,
		       const struct kernel_quant *code)
{
	uint32_t n = m->config.hidden;
	cpu_row_norm(m, m->work.x + (size_t)i * n, by, to + (size_t)i * n);
	cpu_row_quantise(m, to, n, code, i);
}

static void row_scale(float *x, uint32_t n, float by)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] *= by;
}

static void answer_add(struct cpu *m, uint32_t i, const struct cpu_close *c)
{
	uint32_t n = m->config.hidden;
	float *x = m->work.x + (size_t)i * n, *answer = c->answer + (size_t)i * n;
	float scale = m->config.residual_scale;
	if (c->after.gain != NULL)
		cpu_row_norm(m, answer, &c->after, answer);
	if (scale < 1 || scale > 1)
		row_scale(answer, n, scale);
	m->kernels->add(x, answer, n);
	if (c->held != NULL)
		m->kernels->add(x, c->held + (size_t)i * n, n);
	if (c->scalar != NULL)
		row_scale(x, n, *c->scalar);
}

void cpu_row_close(struct cpu *m, uint32_t i, const void *close)
{
	const struct cpu_close *c = close;
	struct workspace *r = &m->work;
	if (c->answer != NULL && !c->early)
		answer_add(m, i, c);
	if (!c->keeps)
		input_make(m, i, &c->next, r->normed, &r->normed_code);
	if (c->experts.gain != NULL)
		input_make(m, i, &c->experts, r->expert_in, &r->expert_code);
	if (c->router.gain != NULL)
		input_make(m, i, &c->router, r->router_in, &r->router_code);
	if (c->answer != NULL && c->early)
		answer_add(m, i, c);
}
