/* The lists of operations of a pass: one for each number of rows, made once, when all weights are
 * on the device. The order is that of cpu_forward.c; what does not depend on rows lies in jobs,
 * which all lists share. */
#include "engine/cuda.h"

#include <stdlib.h>
#include <string.h>

/* ---- adding ---- */

/* Room for one more of size bytes; false: no memory, and what follows is written over itself. */
static bool grow(struct cuda_maker *k, void **at, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return true;
	size_t want = *room * 2 + 64;
	void *more = realloc(*at, want * size);
	k->failed |= more == NULL;
	if (more == NULL)
		return false;
	*at = more;
	*room = want;
	return true;
}

union cuda_args *cuda_step_add(struct cuda_maker *k, enum device_operation what)
{
	static union cuda_args nowhere;
	struct cuda_list *l = k->list;
	size_t room = l->room;
	if (!grow(k, (void **)&l->step, l->count, &room, sizeof *l->step))
		return &nowhere;
	l->room = (uint32_t)room;
	struct cuda_step *s = &l->step[l->count++];
	memset(s, 0, sizeof *s);
	s->what = what;
	return &s->args;
}

struct device_job *cuda_job_add(struct cuda_maker *k, const struct kernel_matrix *w)
{
	static struct device_job nowhere;
	if (!grow(k, (void **)&k->job, k->jobs, &k->room, sizeof *k->job))
		return &nowhere;
	struct device_job *j = &k->job[k->jobs++];
	memset(j, 0, sizeof *j);
	j->w = cuda_matrix_of(k->m, w);
	return j;
}

/* An expert has some of a pass's rows. */
struct product_form cuda_form_of(const struct cuda_maker *k, size_t first, enum device_class shapes)
{
	uint32_t rows = k->list->rows;
	if (k->jobs == first)
		return (struct product_form){ 0 };
	if (shapes == DEVICE_EXPERTS) {
		const struct kernel_gate *g = &k->m->config.gate;
		rows = (rows * g->top_k + g->experts - 1) / g->experts;
	}
	return device_product_form(device_choice_find(device_choices(k->m->device), DEVICE_product,
						      (uint8_t)k->job[first].w.format, shapes,
						      rows));
}

struct product_args cuda_product_of(const struct cuda_maker *k, size_t first)
{
	struct product_args p = {
		.batch = k->batch,
		.job = k->at == NULL ? NULL : k->at + first,
		.jobs = (uint32_t)(k->jobs - first),
		.rows = DEVICE_ROWS_ALL,
		.rows_most = k->list->rows,
		.terms = k->m->terms,
	};
	for (size_t i = first; i < k->jobs; i++)
		p.panels += (k->job[i].w.rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
	p.form = cuda_form_of(k, first, DEVICE_DENSE);
	return p;
}

/* May many rows take the fast regime's own form? Then the jobs get the tiles of their rows, the
 * same in all lists. */
bool cuda_product_is_fast(const struct cuda_maker *k, size_t first)
{
	const struct cuda *m = k->m;
	struct device_job *job = &k->job[first];
	uint32_t jobs = (uint32_t)(k->jobs - first), rows = m->backend.rows_max,
		 slots = rows * m->config.gate.top_k;
	if (k->failed || k->list->rows <= CUDA_FAST_ROWS || m->work.tile_bytes == 0 ||
	    device_tiles_place(job, jobs, rows, slots, NULL) > m->work.tile_bytes)
		return false;
	(void)device_tiles_place(job, jobs, rows, slots, m->work.tiles);
	return true;
}

struct product_args *cuda_product_add(struct cuda_maker *k, size_t first)
{
	struct product_args *p = &cuda_step_add(k, DEVICE_product)->product;
	*p = cuda_product_of(k, first);
	p->fast = cuda_product_is_fast(k, first);
	return p;
}

/* ---- between branches ---- */

struct device_norm cuda_norm_of(const struct cuda *m, const struct layer_weights *w,
				enum model_slot gain, enum model_slot bias)
{
	return (struct device_norm){ cuda_vector_of(m, w->vector[gain]),
				     cuda_vector_of(m, w->vector[bias]) };
}

struct device_norm cuda_enter_norm(const struct cuda *m, uint32_t layer)
{
	const struct layer_weights *w = cuda_host_layer(m, layer);
	return layer < m->config.layers ? cuda_norm_of(m, w, SLOT_ATTN_NORM, SLOT_ATTN_NORM_BIAS)
					: cuda_norm_of(m, w, SLOT_NORM, SLOT_NORM_BIAS);
}

struct close_rows_args *cuda_close_add(struct cuda_maker *k, struct device_norm after,
				       struct device_norm next)
{
	const struct cuda *m = k->m;
	struct close_rows_args *a = &cuda_step_add(k, DEVICE_close_rows)->close_rows;
	*a = (struct close_rows_args){
		.batch = k->batch,
		.x = m->work.x,
		.normed = m->work.normed,
		.n = m->config.hidden,
		.eps = m->config.norm_eps,
		.layer_norm = m->config.norm == MODEL_NORM_LAYER,
		.after = after,
		.next = next,
		.residual_scale = m->config.residual_scale,
		.rows_most = k->list->rows,
	};
	return a;
}

static void embed_add(struct cuda_maker *k)
{
	const struct layer_weights *w = cuda_host_layer(k->m, k->m->config.layers);
	struct close_rows_args *a =
		cuda_close_add(k, (struct device_norm){ NULL, NULL }, cuda_enter_norm(k->m, 0));
	a->embed =
		cuda_matrix_of(k->m, w->matrix[SLOT_EMBED].panel != NULL ? &w->matrix[SLOT_EMBED]
									 : &w->matrix[SLOT_HEAD]);
	a->embed_scale = k->m->config.embed_scale;
}

static void mixer_close_add(struct cuda_maker *k, uint32_t layer)
{
	const struct model_layer *l = &k->m->config.layer[layer];
	const struct layer_weights *w = cuda_host_layer(k->m, layer);
	const struct device_norm after = { cuda_vector_of(k->m, w->vector[SLOT_ATTN_AFTER]), NULL };
	bool parallel = l->residual == MODEL_PARALLEL;
	struct close_rows_args *a =
		cuda_close_add(k, after, cuda_norm_of(k->m, w, SLOT_FFN_NORM, SLOT_FFN_NORM_BIAS));
	a->answer = k->m->work.delta;
	a->early = parallel;
	a->keeps = parallel && !l->ffn_norm_before;
}

static void head_make(struct cuda_maker *k)
{
	const struct cuda *m = k->m;
	const struct model_config *c = &m->config;
	const struct layer_weights *w = cuda_host_layer(m, c->layers);
	size_t first = k->jobs;
	bool scaled = c->logits_scale < 1 || c->logits_scale > 1 || c->logits_softcap > 0;
	struct device_job *j = cuda_job_add(k, &w->matrix[SLOT_HEAD]);
	j->bias = cuda_vector_of(m, w->vector[SLOT_HEAD_BIAS]);
	j->x = m->work.normed;
	j->x_stride = c->hidden;
	j->pick = (const uint32_t *)(const void *)(m->work.batch + m->batch.want);
	j->out = m->work.logits;
	j->out_stride = c->vocab;
	j->scale = scaled ? c->logits_scale : 0;
	j->cap = c->logits_softcap;
	k->list->head.what = DEVICE_product;
	k->list->head.args.product = cuda_product_of(k, first);
	struct product_args *p = &k->list->head.args.product;
	p->rows = DEVICE_ROWS_WANTED;
	p->rows_most = p->rows_most < CUDA_LOGIT_ROWS ? p->rows_most : CUDA_LOGIT_ROWS;
}

static int list_make(struct cuda_maker *k, struct cuda_list *l, struct err *e)
{
	uint32_t moe = 0;
	k->list = l;
	k->jobs = 0;
	l->count = 0;
	embed_add(k);
	for (uint32_t i = 0; i < k->m->config.layers; i++) {
		cuda_mixer_list(k, i);
		mixer_close_add(k, i);
		cuda_ffn_list(k, i, moe);
		moe += k->m->config.layer[i].ffn != MODEL_FFN_DENSE;
	}
	head_make(k);
	return k->failed ? err_set(e, ERR_NOMEM, "list of a pass") : 0;
}

/* ---- giving ---- */

/* One kernel, where that runs the list: a barrier takes less time than a launch, and products begin
 * ahead of it. HALLMARK_CUDA_STEPS=launches, graph, ahead or kernel, for measuring; no bit depends
 * on it. */
static enum device_steps_way way_wanted(void)
{
	static const char *const names[] = { [DEVICE_STEPS_LAUNCHES] = "launches",
					     [DEVICE_STEPS_GRAPH] = "graph",
					     [DEVICE_STEPS_AHEAD] = "ahead",
					     [DEVICE_STEPS_KERNEL] = "kernel" };
	const char *given = getenv("HALLMARK_CUDA_STEPS");
	for (int i = 0; given && i <= DEVICE_STEPS_KERNEL; i++) {
		if (strcmp(given, names[i]) == 0)
			return (enum device_steps_way)i;
	}
	return DEVICE_STEPS_KERNEL;
}

/* A way that cannot run the list, as one kernel many rows, is replaced by the next simpler one. */
static int list_open(struct cuda *m, struct cuda_list *l, const struct device_step *step,
		     struct err *e)
{
	enum device_steps_way way = way_wanted();
	int rc = device_steps_open(m->stream, step, l->count, way, &l->steps, e);
	if (rc == ERR_UNSUPPORTED && way == DEVICE_STEPS_KERNEL)
		rc = device_steps_open(m->stream, step, l->count, DEVICE_STEPS_GRAPH, &l->steps, e);
	if (rc == ERR_UNSUPPORTED)
		rc = device_steps_open(m->stream, step, l->count, DEVICE_STEPS_LAUNCHES, &l->steps,
				       e);
	return rc;
}

/* The device keeps the arguments. */
static int list_give(struct cuda *m, struct cuda_list *l, struct err *e)
{
	struct device_step *step = malloc(l->count * sizeof *step);
	if (!step)
		return err_set(e, ERR_NOMEM, "list of a pass");
	for (uint32_t i = 0; i < l->count; i++)
		step[i] = (struct device_step){ l->step[i].what, &l->step[i].args };
	int rc = list_open(m, l, step, e);
	free(step);
	free(l->step);
	l->step = NULL;
	l->room = 0;
	return rc;
}

/* The first list is made twice: where the jobs lie is known once they are counted. */
static int lists_fill(struct cuda *m, struct cuda_maker *k, struct err *e)
{
	TRY(list_make(k, &m->list[0], e));
	size_t bytes = k->jobs * sizeof *k->job;
	TRY(device_alloc(m->device, bytes, &m->jobs, e));
	k->at = m->jobs.at;
	for (uint32_t i = 0; i < m->lists; i++) {
		TRY(list_make(k, &m->list[i], e));
		TRY(list_give(m, &m->list[i], e));
		k->full = cuda_dense_wants(m, m->list[i].rows);
		m->full[i].rows = m->list[i].rows;
		if (k->full) {
			TRY(list_make(k, &m->full[i], e));
			TRY(list_give(m, &m->full[i], e));
		}
		k->full = false;
	}
	TRY(device_upload(m->stream, &m->jobs, 0, k->job, bytes, e));
	return device_wait(m->stream, e);
}

int cuda_lists_make(struct cuda *m, struct err *e)
{
	struct cuda_maker k = { .m = m,
				.batch = (const struct device_batch *)(void *)m->work.batch };
	int rc = lists_fill(m, &k, e);
	free(k.job);
	return rc;
}

void cuda_lists_free(struct cuda *m)
{
	for (uint32_t i = 0; i < CUDA_BUCKETS; i++) {
		device_steps_close(m->list[i].steps);
		free(m->list[i].step);
		device_steps_close(m->full[i].steps);
		free(m->full[i].step);
	}
	device_free(&m->jobs);
}
