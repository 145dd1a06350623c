/* Dense products of many rows in the fast regime: cuBLAS's, where it can be loaded and the table of
 * choices (kernels/choice.h) asks for it from so many rows on. Experts are not among them: their
 * rows would have to be known on the host; nor is what is narrow, or of one head.
 *
 * Their bits are those of the library's version, which the regime therefore names, whether or not a
 * pass is long enough; so a record says what it takes to compute it again, and another machine, or
 * this one with another version, is known before a model is opened. */
#include "engine/cuda.h"

#include "base/limits.h"

#include <stdio.h>

#define WORKSPACE_BYTES MIB(32) /* what cuBLAS recommends for compute capability 9.0 */

bool cuda_dense_name(const struct device *d, bool fast, struct engine_means *out)
{
	char version[24] = "";
	bool wanted = false;
	for (uint32_t i = 0; fast && i < device_choices(d)->lines; i++) {
		const struct device_choice_line *l = &device_choices(d)->line[i];
		wanted |= device_choice_cublas(device_choices(d), KERNEL_FORMATS, l->rows);
	}
	bool there = wanted && device_dense_version(d, version, sizeof version);
	snprintf(out->set, sizeof out->set, "cuda-sm%u", device_info(d)->capability);
	snprintf(out->regime, sizeof out->regime, "%s%s%s", fast ? "cuda-fast/1" : "cuda/1",
		 there ? "+cublas-" : "", version);
	return there;
}

int cuda_dense_open(struct cuda *m, struct err *e)
{
	struct err why = { 0 };
	if (!m->cublas || device_dense_open(m->stream, &why) == 0)
		return 0;
	return err_set(e, ERR_UNAVAILABLE,
		       "%.300s (HALLMARK_CUBLAS set to nothing computes without it)", why.text);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

bool cuda_dense_wants(const struct cuda *m, uint32_t rows)
{
	return m->cublas && rows > CUDA_FAST_ROWS &&
	       device_choice_cublas(device_choices(m->device), KERNEL_FORMATS, rows);
}

static bool some_list_wants(const struct cuda *m)
{
	bool wants = false;
	for (uint32_t i = 0; i < m->lists; i++)
		wants |= cuda_dense_wants(m, m->list[i].rows);
	return wants;
}

/* Room for what is dense in a layer, by the model's widths; a matrix that is larger all the same
 * takes the other form. */
void cuda_dense_size(struct cuda *m)
{
	struct cuda_dense *d = &m->work.dense;
	const struct model_config *c = &m->config;
	size_t hidden = DEVICE_DENSE_COLUMNS((size_t)c->hidden), rows = m->backend.rows_max;
	size_t wide = DEVICE_DENSE_COLUMNS((size_t)m->most.wide);
	size_t value = DEVICE_DENSE_COLUMNS((size_t)m->most.value);
	size_t rank = DEVICE_DENSE_COLUMNS((size_t)c->q_rank);
	size_t from_hidden = larger(larger(m->most.query, m->most.kv),
				    larger(m->most.gates, larger(c->q_rank, m->most.wide)));
	*d = (struct cuda_dense){ 0 };
	if (!some_list_wants(m))
		return;
	d->weight_bytes = larger(larger(from_hidden * hidden, m->most.query * rank),
				 c->hidden * larger(wide, value)) *
			  sizeof(uint16_t);
	d->row_bytes = rows * larger(larger(hidden, wide), larger(value, rank)) * sizeof(uint16_t);
	d->up_bytes = rows * m->most.wide * sizeof(float);
	d->workspace_bytes = WORKSPACE_BYTES;
}

static bool matrix_fits(const struct cuda_maker *k, const struct device_matrix *w)
{
	const struct cuda_dense *d = &k->m->work.dense;
	size_t columns = DEVICE_DENSE_COLUMNS((size_t)w->columns);
	return w->at == NULL ||
	       (device_choice_cublas(device_choices(k->m->device), w->format, k->list->rows) &&
		fragment_parts(w->format) == 1 && w->rows * columns * 2 <= d->weight_bytes &&
		k->list->rows * columns * 2 <= d->row_bytes);
}

static bool job_fits(const struct cuda_maker *k, const struct device_job *j)
{
	size_t up = j->up.at == NULL ? 0 : (size_t)k->list->rows * j->w.rows * sizeof(float);
	return matrix_fits(k, &j->w) && matrix_fits(k, &j->up) && up <= k->m->work.dense.up_bytes;
}

static bool all_fit(const struct cuda_maker *k, size_t first)
{
	bool fit = !k->failed && k->full;
	for (size_t i = first; i < k->jobs && fit; i++)
		fit = job_fits(k, &k->job[i]);
	return fit;
}

void cuda_dense_add(struct cuda_maker *k, size_t first)
{
	const struct cuda_dense *d = &k->m->work.dense;
	if (!all_fit(k, first)) {
		(void)cuda_product_add(k, first);
		return;
	}
	(void)cuda_product_is_fast(k, first); /* in shorter lists, whose jobs these are too */
	for (size_t i = first; i < k->jobs; i++)
		cuda_step_add(k, DEVICE_product_dense)->product_dense = (struct product_dense_args){
			.batch = k->batch,
			.job = k->job[i],
			.rows_most = k->list->rows,
			.rows_ready = i > first && device_tiles_shared(&k->job[i], &k->job[i - 1]),
			.weights = d->weights,
			.rows = d->rows,
			.up = d->up,
			.workspace = d->workspace,
			.workspace_bytes = d->workspace_bytes,
		};
}
