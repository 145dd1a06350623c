/* Attention as operations: projections, the new cache rows, attention over the cache, the gate of
 * its output and the output product. As cpu_attn_gqa.c and cpu_attn_mla.c do, latent attention
 * absorbed for every row. */
#include "engine/cuda.h"

#define LATENT_EPS 1e-6f /* as cpu_attn_mla.c says */

static struct device_rope rope_at(const struct cuda *m, uint32_t table)
{
	const struct model_config *c = &m->config;
	if (table >= c->rope_count)
		return (struct device_rope){ 0 };
	const float *cosine = m->turn[table].at;
	return (struct device_rope){
		.cosine = cosine,
		.sine = cosine + (size_t)c->context_max * m->rope[table].half,
		.half = m->rope[table].half,
		.interleaved = c->ropes[table].interleaved,
	};
}

/* Of sequences that turn by the far table; the near one's where there is none. */
static struct device_rope rope_far(const struct cuda *m, const struct model_layer *l)
{
	bool has = m->config.rope_far > 0 && l->rope != MODEL_NO_ROPE;
	return rope_at(m, has ? l->rope + 1u : l->rope);
}

/* Splits that a row has at most: a window begins anywhere in one. */
static uint32_t splits_of(const struct cuda *m, const struct model_layer *l)
{
	uint32_t kept = l->chunk > 0 ? l->chunk : l->window, all = m->work.splits;
	uint32_t most = kept / KERNEL_SPLIT + 2;
	return kept > 0 && most < all ? most : all;
}

struct attend_args cuda_attend_shape(const struct cuda *m, uint32_t layer, uint32_t rows)
{
	const struct model_config *c = &m->config;
	const struct model_layer *l = &c->layer[layer];
	struct attend_args a = { .heads = l->heads,
				 .scale = l->scale,
				 .softcap = c->attention_softcap,
				 .window = l->window,
				 .chunk = l->chunk,
				 .cache = m->kind,
				 .at = m->page_at[layer],
				 .rows_most = rows,
				 .splits_most = splits_of(m, l),
				 .terms = m->terms };
	a.latent = l->mixer == MODEL_MIX_MLA;
	a.kv_heads = a.latent ? 1 : l->kv_heads;
	a.wide = a.latent ? c->kv_rank : l->head;
	a.value = a.latent ? c->kv_rank : l->value;
	a.tail = a.latent ? c->rope_head : 0;
	a.query_head = a.wide;
	a.query_row = (size_t)l->heads * a.wide;
	a.tail_head = a.latent ? c->nope + c->rope_head : 0;
	a.tail_row = l->heads * a.tail_head;
	a.form = device_attend_form(
		device_choice_find(device_choices(m->device), DEVICE_attend, (uint8_t)m->kind,
				   a.latent ? DEVICE_LATENT : DEVICE_HEADS, rows));
	return a;
}

static void attend_add(struct cuda_maker *k, uint32_t layer, const float *query, const float *tail,
		       float *out)
{
	struct attend_args *a = &cuda_step_add(k, DEVICE_attend)->attend;
	*a = cuda_attend_shape(k->m, layer, k->list->rows);
	a->batch = k->batch;
	a->query = query;
	a->query_tail = tail;
	a->sink = cuda_vector_of(k->m, cuda_host_layer(k->m, layer)->vector[SLOT_SINKS]);
	a->out = out;
	a->record = k->m->work.record;
	a->arrived = k->m->work.arrived;
}

/* ---- projections ---- */

static void project_job(struct cuda_maker *k, const struct kernel_matrix *w, const float *bias,
			float *out, uint32_t stride)
{
	struct device_job *j = cuda_job_add(k, w);
	j->bias = cuda_vector_of(k->m, bias);
	j->x = k->m->work.normed;
	j->x_stride = k->m->config.hidden;
	j->out = out;
	j->out_stride = stride;
}

static uint32_t gates_of(const struct cuda *m, uint32_t layer)
{
	const struct model_layer *l = &m->config.layer[layer];
	return l->gate == MODEL_OUT_NONE   ? 0
	       : l->gate == MODEL_OUT_HEAD ? l->heads
					   : cpu_value_width(&m->config, layer);
}

static void gate_job(struct cuda_maker *k, uint32_t layer)
{
	uint32_t gates = gates_of(k->m, layer);
	if (gates > 0)
		project_job(k, &cuda_host_layer(k->m, layer)->matrix[SLOT_OUT_GATE], NULL,
			    k->m->work.out_gate, gates);
}

static void gqa_project(struct cuda_maker *k, uint32_t layer)
{
	const struct model_layer *l = &k->m->config.layer[layer];
	const struct layer_weights *w = cuda_host_layer(k->m, layer);
	const struct cuda_work *r = &k->m->work;
	uint32_t kv = cpu_kv_width(&k->m->config, layer);
	size_t first = k->jobs;
	project_job(k, &w->matrix[SLOT_Q], w->vector[SLOT_Q_BIAS], r->q,
		    cpu_query_width(&k->m->config, layer));
	if (kv > 0)
		project_job(k, &w->matrix[SLOT_K], w->vector[SLOT_K_BIAS], r->kv, kv);
	if (kv > 0 && !l->values_are_keys)
		project_job(k, &w->matrix[SLOT_V], w->vector[SLOT_V_BIAS],
			    r->kv + (size_t)l->kv_heads * l->head, kv);
	gate_job(k, layer);
	cuda_dense_add(k, first);
}

static void gqa_place_add(struct cuda_maker *k, uint32_t layer)
{
	const struct cuda *m = k->m;
	const struct model_config *c = &m->config;
	const struct model_layer *l = &c->layer[layer];
	const struct layer_weights *w = cuda_host_layer(m, layer);
	struct gqa_place_args *a = &cuda_step_add(k, DEVICE_gqa_place)->gqa_place;
	*a = (struct gqa_place_args){
		.batch = k->batch,
		.q = m->work.q,
		.kv = l->cache == layer ? m->work.kv : NULL,
		.heads = l->heads,
		.kv_heads = l->kv_heads,
		.head = l->head,
		.value = l->value,
		.q_gain = cuda_vector_of(m, w->vector[SLOT_Q_NORM]),
		.k_gain = cuda_vector_of(m, w->vector[SLOT_K_NORM]),
		.qk_norm = (uint8_t)l->qk_norm,
		.norm_late = l->qk_norm_late,
		.value_norm = l->value_norm,
		.values_are_keys = l->values_are_keys,
		.eps = c->norm_eps,
		.clip = c->clip,
		.rope = rope_at(m, l->rope),
		.rope_far = rope_far(m, l),
		.temper_beta = l->tempered ? c->temper.beta : 0,
		.temper_length = c->temper.length,
		.temper_shift = c->temper.shift,
		.cache = m->kind,
		.at = m->page_at[layer],
		.rows_most = k->list->rows,
	};
}

/* By way of a latent where queries have one. */
static void mla_project(struct cuda_maker *k, uint32_t layer)
{
	const struct model_config *c = &k->m->config;
	const struct layer_weights *w = cuda_host_layer(k->m, layer);
	const struct cuda_work *r = &k->m->work;
	size_t first = k->jobs;
	project_job(k, &w->matrix[SLOT_KV_A], w->vector[SLOT_KV_BIAS], r->kv,
		    cpu_kv_width(c, layer));
	if (c->q_rank == 0)
		project_job(k, &w->matrix[SLOT_Q], NULL, r->q, cpu_query_width(c, layer));
	else
		project_job(k, &w->matrix[SLOT_Q_A], w->vector[SLOT_Q_BIAS], r->q_latent,
			    c->q_rank);
	gate_job(k, layer);
	cuda_dense_add(k, first);
	if (c->q_rank == 0)
		return;
	cuda_step_add(k, DEVICE_norm_rows)->norm_rows =
		(struct norm_rows_args){ .batch = k->batch,
					 .x = r->q_latent,
					 .stride = c->q_rank,
					 .n = c->q_rank,
					 .eps = LATENT_EPS,
					 .gain = cuda_vector_of(k->m, w->vector[SLOT_Q_NORM]),
					 .rows_most = k->list->rows };
	first = k->jobs;
	project_job(k, &w->matrix[SLOT_Q], NULL, r->q, cpu_query_width(c, layer));
	k->job[first].x = r->q_latent;
	k->job[first].x_stride = c->q_rank;
	cuda_dense_add(k, first);
}

static void mla_place_add(struct cuda_maker *k, uint32_t layer)
{
	const struct cuda *m = k->m;
	const struct model_config *c = &m->config;
	const struct model_layer *l = &c->layer[layer];
	struct mla_place_args *a = &cuda_step_add(k, DEVICE_mla_place)->mla_place;
	*a = (struct mla_place_args){
		.batch = k->batch,
		.q = m->work.q,
		.kv = m->work.kv,
		.heads = l->heads,
		.nope = c->nope,
		.rope_head = c->rope_head,
		.kv_rank = c->kv_rank,
		.kv_gain = cuda_vector_of(m, cuda_host_layer(m, layer)->vector[SLOT_KV_NORM]),
		.eps = LATENT_EPS,
		.rope = rope_at(m, l->rope),
		.rope_far = rope_far(m, l),
		.temper_beta = l->tempered ? c->temper.beta : 0,
		.temper_length = c->temper.length,
		.temper_shift = c->temper.shift,
		.cache = m->kind,
		.at = m->page_at[layer],
		.rows_most = k->list->rows,
	};
}

/* W_UK^T q_nope of every head, or W_UV of what it attended. */
static void heads_add(struct cuda_maker *k, uint32_t heads, const struct kernel_matrix *w,
		      const float *in, uint32_t in_head, float *out, uint32_t out_head)
{
	size_t first = k->jobs;
	for (uint32_t h = 0; h < heads; h++) {
		struct device_job *j = cuda_job_add(k, &w[h]);
		j->x = in + (size_t)h * in_head;
		j->x_stride = (size_t)heads * in_head;
		j->out = out + (size_t)h * out_head;
		j->out_stride = (size_t)heads * out_head;
	}
	cuda_product_add(k, first);
}

/* ---- a layer ---- */

static void attended_add(struct cuda_maker *k, uint32_t layer)
{
	const struct cuda *m = k->m;
	const struct model_layer *l = &m->config.layer[layer];
	const struct layer_weights *w = cuda_host_layer(m, layer);
	uint32_t gates = gates_of(m, layer), width = cpu_value_width(&m->config, layer);
	float scale = l->mixer == MODEL_MIX_GQA ? m->config.value_scale : 1;
	size_t first = k->jobs;
	if (gates > 0 || scale < 1 || scale > 1)
		cuda_step_add(k, DEVICE_gate_value)->gate_value =
			(struct gate_value_args){ .batch = k->batch,
						  .value = m->work.value,
						  .gate = gates > 0 ? m->work.out_gate : NULL,
						  .gates = gates > 0 ? gates : width,
						  .each = gates > 0 ? width / gates : 1,
						  .scale = scale,
						  .rows_most = k->list->rows };
	struct device_job *j = cuda_job_add(k, &w->matrix[SLOT_O]);
	j->bias = cuda_vector_of(m, w->vector[SLOT_O_BIAS]);
	j->x = m->work.value;
	j->x_stride = width;
	j->out = m->work.delta;
	j->out_stride = m->config.hidden;
	cuda_dense_add(k, first);
}

void cuda_mixer_list(struct cuda_maker *k, uint32_t layer)
{
	const struct model_config *c = &k->m->config;
	const struct layer_weights *w = cuda_host_layer(k->m, layer);
	const struct cuda_work *r = &k->m->work;
	uint32_t heads = c->layer[layer].heads;
	if (c->layer[layer].mixer == MODEL_MIX_GQA) {
		gqa_project(k, layer);
		gqa_place_add(k, layer);
		attend_add(k, layer, r->q, NULL, r->value);
	} else {
		mla_project(k, layer);
		mla_place_add(k, layer);
		heads_add(k, heads, w->key_up, r->q, c->nope + c->rope_head, r->q_up, c->kv_rank);
		attend_add(k, layer, r->q_up, r->q + c->nope, r->attended);
		heads_add(k, heads, w->value_up, r->attended, c->kv_rank, r->value, c->value);
	}
	attended_add(k, layer);
}
