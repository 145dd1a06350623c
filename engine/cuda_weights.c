/* Weights of the GPU. What comes from files is checked and packed by the CPU's code into memory of
 * the host; an item that is complete is turned into fragments, copied to the device, and its host
 * memory is given back. So the host holds what is under way, not the model. */
#include "engine/cuda.h"

#include <stdlib.h>
#include <string.h>

#define FLOATS_ALIGN 256 /* bytes */

/* ---- places ---- */

static size_t floats_bytes(size_t n)
{
	return (n * sizeof(float) + FLOATS_ALIGN - 1) / FLOATS_ALIGN * FLOATS_ALIGN;
}

static size_t blocks(uint32_t n) { return ((size_t)n + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK; }

static void vector_note(struct cuda_weights *w, const float *host, size_t n)
{
	if (w->vector)
		w->vector[w->vectors] = (struct cuda_vector){ .host = host, .n = n };
	w->vectors++;
}

static void matrix_note(struct cuda_weights *w, const struct kernel_matrix *host)
{
	if (w->matrix)
		w->matrix[w->matrices] = (struct cuda_matrix){
			.host = host,
			.panel = host->panel,
			.on = { .panel_bytes = fragment_panel_bytes(host->format, host->columns),
				.rows = host->rows,
				.columns = host->columns,
				.format = host->format },
		};
	w->matrices++;
	if (host->scale)
		vector_note(w, host->scale, blocks(host->rows) * blocks(host->columns));
}

/* Everything that the packer has places for, in the order of the plan: counted first, then
 * listed. */
static void places_list(struct cuda *m, const struct model_plan *p)
{
	struct cuda_weights *w = &m->weights;
	uint32_t rows, columns;
	w->matrices = w->vectors = 0;
	for (size_t i = 0; i < p->count; i++) {
		const struct kernel_matrix *part;
		float **v;
		size_t n;
		if (w->first)
			w->first[i] = w->matrices;
		for (size_t j = 0; (v = cpu_vector(m->packer, &p->item[i], j, &n)) != NULL; j++)
			vector_note(w, *v, n);
		for (size_t j = 0;
		     (part = cpu_part(m->packer, &p->item[i], j, &rows, &columns)) != NULL; j++)
			matrix_note(w, part);
	}
	if (w->first)
		w->first[p->count] = w->matrices;
}

static int by_host(const void *a, const void *b)
{
	const char *x = (const char *)((const struct cuda_vector *)a)->host,
		   *y = (const char *)((const struct cuda_vector *)b)->host;
	return x < y ? -1 : x > y;
}

/* Bytes of the tensor as `fill` is given them. */
static uint64_t item_bytes(const struct model_item *it)
{
	if (it->tensor == NULL)
		return UINT64_MAX; /* invented, or several tensors' */
	if (!it->coded)
		return it->tensor->bytes;
	return model_dtype_bytes(it->dtype, it->columns) * it->rows *
	       (it->stack > 0 ? it->stack : 1);
}

static int lists_alloc(struct cuda *m, const struct model_plan *p, struct err *e)
{
	struct cuda_weights *w = &m->weights;
	w->matrix = calloc(w->matrices + 1, sizeof *w->matrix);
	w->vector = calloc(w->vectors + 1, sizeof *w->vector);
	w->first = calloc(p->count + 1, sizeof *w->first);
	w->missing = calloc(p->count + 1, sizeof *w->missing);
	w->kept = calloc(p->count + 1, sizeof *w->kept);
	return w->matrix && w->vector && w->first && w->missing && w->kept
		       ? 0
		       : err_set(e, ERR_NOMEM, "list of weights");
}

/* Where all of it will be, from the beginning of its memory. */
static void places_lay(struct cuda *m)
{
	struct cuda_weights *w = &m->weights;
	size_t panels = 0, floats = 0;
	for (size_t i = 0; i < w->matrices; i++) {
		w->matrix[i].at = panels;
		panels += w->matrix[i].on.panel_bytes * kernel_panels(w->matrix[i].host);
	}
	for (size_t i = 0; i < w->vectors; i++) {
		w->vector[i].at = floats;
		floats += floats_bytes(w->vector[i].n);
	}
	w->panels.bytes = panels + FRAGMENT_K;
	w->floats.bytes = floats + floats_bytes(1); /* device memory of nothing is none */
}

int cuda_place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	struct cuda *m = cuda_of_keeper(k);
	struct cuda_weights *w = &m->weights;
	TRY(cpu_place(&m->packer->backend.keeper, p, scratch, e));
	places_list(m, p);
	TRY(lists_alloc(m, p, e));
	places_list(m, p);
	if (w->vectors > 1)
		qsort(w->vector, w->vectors, sizeof *w->vector, by_host);
	for (size_t i = 0; i < p->count; i++) {
		w->missing[i] = item_bytes(&p->item[i]);
		if (p->item[i].kind == ITEM_TIED)
			w->kept[p->item[i].parent] = true;
	}
	places_lay(m);
	m->backend.weight_bytes = w->panels.bytes + w->floats.bytes;
	TRY(cuda_memory_take(m, p, e));
	for (size_t i = 0; i < w->matrices; i++)
		w->matrix[i].on.at = (unsigned char *)w->panels.at + w->matrix[i].at;
	return cuda_stages_open(m, e);
}

/* ---- filling ---- */

static int item_send(struct cuda *m, size_t i, bool shared, struct err *e)
{
	const struct cuda_weights *w = &m->weights;
	TRY(cuda_send(m, w->first[i], w->first[i + 1], shared, e));
	if (!w->kept[i])
		cuda_forget(m, w->first[i], w->first[i + 1]);
	return 0;
}

/* The thread that brings an item's last bytes sends it on. */
int cuda_fill(struct model_keeper *k, const struct model_item *it, uint64_t at,
	      const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	struct cuda *m = cuda_of_keeper(k);
	struct cuda_weights *w = &m->weights;
	size_t i = cpu_item_index(m->packer, it);
	TRY(cpu_fill(&m->packer->backend.keeper, it, at, bytes, len, scratch, e));
	if (atomic_fetch_sub(&w->missing[i], len) != len)
		return 0;
	return item_send(m, i, false, e);
}

int cuda_invent(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
		struct err *e)
{
	struct cuda *m = cuda_of_keeper(k);
	struct cuda_weights *w = &m->weights;
	size_t i = cpu_item_index(m->packer, it);
	TRY(cpu_invent(&m->packer->backend.keeper, it, seed, number, e));
	w->missing[i] = 0;
	return item_send(m, i, true, e);
}

/* Vectors, and scales, which may have come after what they scale. */
static int floats_send(struct cuda *m, struct err *e)
{
	struct cuda_weights *w = &m->weights;
	for (size_t i = 0; i < w->vectors; i++) {
		const struct cuda_vector *v = &w->vector[i];
		if (v->n > 0)
			TRY(device_upload(m->stream, &w->floats, v->at, v->host,
					  v->n * sizeof(float), e));
	}
	for (size_t i = 0; i < w->matrices; i++)
		w->matrix[i].on.scale = cuda_vector_of(m, w->matrix[i].host->scale);
	return device_wait(m->stream, e);
}

/* What its bytes alone did not show to be complete. */
static int rest_send(struct cuda *m, const struct model_plan *p, struct err *e)
{
	struct cuda_weights *w = &m->weights;
	for (size_t i = 0; i < p->count; i++) {
		if (w->missing[i] > 0)
			TRY(item_send(m, i, true, e));
	}
	return 0;
}

int cuda_finish(struct model_keeper *k, struct err *e)
{
	struct cuda *m = cuda_of_keeper(k);
	TRY(rest_send(m, m->packer->loading.plan, e));
	TRY(floats_send(m, e));
	TRY(cuda_stages_wait(m, e));
	cuda_stages_close(m);
	TRY(cpu_finish(&m->packer->backend.keeper, e));
	TRY(cuda_lists_make(m, e));
	TRY(cuda_count_ready(m, e));
	m->packer->backend.close(&m->packer->backend);
	m->packer = NULL;
	return 0;
}

void cuda_weights_free(struct cuda *m)
{
	struct cuda_weights *w = &m->weights;
	if (w->panels.at)
		device_free(&w->panels);
	if (w->floats.at)
		device_free(&w->floats);
	free(w->matrix);
	free(w->vector);
	free(w->first);
	free((void *)w->missing);
	free(w->kept);
}

/* ---- finding ---- */

struct device_matrix cuda_matrix_of(const struct cuda *m, const struct kernel_matrix *host)
{
	const struct cuda_weights *w = &m->weights;
	size_t from = 0, to = w->matrices;
	if (host == NULL || host->panel == NULL)
		return (struct device_matrix){ 0 };
	while (to - from > 1) {
		size_t middle = (from + to) / 2;
		if (host->panel < w->matrix[middle].panel)
			to = middle;
		else
			from = middle;
	}
	return w->matrix[from].on;
}

const float *cuda_vector_of(const struct cuda *m, const float *host)
{
	const struct cuda_weights *w = &m->weights;
	const struct cuda_vector key = { .host = host };
	const struct cuda_vector *v =
		host == NULL ? NULL : bsearch(&key, w->vector, w->vectors, sizeof key, by_host);
	return v == NULL ? NULL : (const float *)((const char *)w->floats.at + v->at);
}
