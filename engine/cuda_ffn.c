/* Feed-forward networks as operations: a dense one, or router, choice, experts over the rows that
 * chose them with the shared one beside them, and the end of the layer, which sums a row's slots in
 * rank order. As cpu_ffn.c does. */
#include "engine/cuda.h"

static bool has_network(const struct layer_weights *w) { return w->ffn.down.panel != NULL; }

/* Gate and up of a network, or where it has no gate act(up), of rows that lie as x says. */
static struct device_job *up_job(struct cuda_maker *k, const struct ffn_weights *w,
				 const struct layer_weights *layer, float *out)
{
	bool gated = w->gate.panel != NULL;
	struct device_job *j = cuda_job_add(k, gated ? &w->gate : &w->up);
	j->bias = cuda_vector_of(k->m, gated ? w->gate_bias : w->up_bias);
	if (gated) {
		j->up = cuda_matrix_of(k->m, &w->up);
		j->bias_up = cuda_vector_of(k->m, w->up_bias);
	}
	j->active = true;
	j->act = (uint8_t)cpu_act(k->m->packer);
	j->parameter = cuda_vector_of(k->m, layer->vector[SLOT_ACT]);
	j->x = k->m->work.normed;
	j->x_stride = k->m->config.hidden;
	j->out = out;
	j->out_stride = w->up.rows;
	return j;
}

static struct device_job *down_job(struct cuda_maker *k, const struct ffn_weights *w,
				   const float *in, float *out)
{
	struct device_job *j = cuda_job_add(k, &w->down);
	j->bias = cuda_vector_of(k->m, w->down_bias);
	j->x = in;
	j->x_stride = w->up.rows;
	j->out = out;
	j->out_stride = k->m->config.hidden;
	return j;
}

static struct close_rows_args *end_add(struct cuda_maker *k, uint32_t layer)
{
	const struct layer_weights *w = cuda_host_layer(k->m, layer);
	const struct device_norm after = { cuda_vector_of(k->m, w->vector[SLOT_FFN_AFTER]), NULL };
	struct close_rows_args *a = cuda_close_add(k, after, cuda_enter_norm(k->m, layer + 1));
	a->scalar = cuda_vector_of(k->m, w->vector[SLOT_LAYER_SCALAR]);
	return a;
}

static void dense_list(struct cuda_maker *k, uint32_t layer)
{
	const struct layer_weights *w = cuda_host_layer(k->m, layer);
	const struct cuda_work *r = &k->m->work;
	size_t first = k->jobs;
	up_job(k, &w->ffn, w, r->wide);
	cuda_dense_add(k, first);
	first = k->jobs;
	down_job(k, &w->ffn, r->wide, r->delta);
	cuda_dense_add(k, first);
	end_add(k, layer)->answer = r->delta;
}

/* Router logits, and the logit of the shared expert's gate. */
static void scores_add(struct cuda_maker *k, const struct layer_weights *w)
{
	const struct cuda_work *r = &k->m->work;
	bool gated = k->m->config.shared_gated;
	size_t first = k->jobs;
	for (int i = 0; i < (gated ? 2 : 1); i++) {
		struct device_job *j =
			cuda_job_add(k, &w->matrix[i == 0 ? SLOT_ROUTER : SLOT_SHARED_GATE]);
		j->x = r->normed;
		j->x_stride = k->m->config.hidden;
		j->out = i == 0 ? r->score : r->shared_share;
		j->out_stride = i == 0 ? k->m->config.gate.experts : 1;
	}
	cuda_product_add(k, first);
}

/* The experts of each row into `expert`, and the slots sorted by them. */
static void choice_add(struct cuda_maker *k, const struct layer_weights *w, uint16_t *expert)
{
	const struct cuda_work *r = &k->m->work;
	struct moe_gate_args *a = &cuda_step_add(k, DEVICE_moe_gate)->moe_gate;
	a->batch = k->batch;
	a->gate = k->m->config.gate;
	a->gate.bias = cuda_vector_of(k->m, w->vector[SLOT_ROUTER_BIAS]);
	a->gate.expert_scale = NULL;
	a->score = r->score;
	a->expert = expert;
	a->weight = r->weight;
	a->rows_most = k->list->rows;
	cuda_step_add(k, DEVICE_sort_slots)->sort_slots =
		(struct sort_slots_args){ .batch = k->batch,
					  .expert = expert,
					  .experts = k->m->config.gate.experts,
					  .top_k = k->m->config.gate.top_k,
					  .begin = r->begin,
					  .pick = r->pick,
					  .place = r->place,
					  .active = r->active,
					  .rows_most = k->list->rows };
}

/* Jobs of all experts, of which those run that have slots, and one beside them that always does. */
static void experts_add(struct cuda_maker *k, size_t first)
{
	struct product_args *p = cuda_product_add(k, first);
	p->active = k->m->work.active;
	p->always = k->m->config.gate.experts;
	p->form = cuda_form_of(k, first, DEVICE_EXPERTS);
}

static void networks_add(struct cuda_maker *k, const struct layer_weights *w)
{
	const struct cuda_work *r = &k->m->work;
	uint32_t experts = k->m->config.gate.experts;
	size_t first = k->jobs;
	for (uint32_t e = 0; e < experts; e++) {
		struct device_job *j = up_job(k, &w->expert[e], w, r->gate);
		j->parameter = NULL;
		j->pick = r->pick;
		j->range = r->begin + e;
	}
	if (has_network(w))
		up_job(k, &w->ffn, w, r->wide);
	experts_add(k, first);
	first = k->jobs;
	for (uint32_t e = 0; e < experts; e++)
		down_job(k, &w->expert[e], r->gate, r->down)->range = r->begin + e;
	if (has_network(w))
		down_job(k, &w->ffn, r->wide, r->delta);
	experts_add(k, first);
}

void cuda_ffn_list(struct cuda_maker *k, uint32_t layer, uint32_t moe_layer)
{
	const struct cuda *m = k->m;
	const struct layer_weights *w = cuda_host_layer(m, layer);
	const struct cuda_work *r = &m->work;
	if (m->config.layer[layer].ffn == MODEL_FFN_DENSE) {
		dense_list(k, layer);
		return;
	}
	uint16_t *expert = (uint16_t *)(void *)r->id - (model_moe_layers(&m->config) - moe_layer) *
							       cuda_expert_step(m, k->list->rows);
	scores_add(k, w);
	choice_add(k, w, expert);
	networks_add(k, w);
	end_add(k, layer)->slots =
		(struct device_slots){ .down = r->down,
				       .place = r->place,
				       .expert = expert,
				       .weight = r->weight,
				       .top_k = m->config.gate.top_k,
				       .shared = has_network(w) ? r->delta : NULL,
				       .shared_share =
					       m->config.shared_gated ? r->shared_share : NULL };
}
