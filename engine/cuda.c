/* The GPU's backend: opening, what depends on positions, and the table of its functions. */
#include "engine/cuda.h"

#include <stdio.h>
#include <stdlib.h>

/* Rows [from, to) of a table of cosines or sines, behind `at` bytes of the device's. */
static int turn_send(struct cuda *m, uint32_t table, const float *rows, size_t at, uint32_t from,
		     uint32_t to, struct err *e)
{
	size_t row = m->rope[table].half * sizeof *rows;
	if (row == 0)
		return 0;
	return device_upload(m->stream, &m->turn[table], at + from * row,
			     (const char *)rows + from * row, (to - from) * row, e);
}

static int table_ready(struct cuda *m, uint32_t i, uint32_t count, struct err *e)
{
	struct rope_table *t = &m->rope[i];
	uint32_t most = m->config.context_max, had = m->turns[i];
	count = count < most ? count : most;
	if (count <= had)
		return 0;
	TRY(rope_table_grow(t, count, e));
	TRY(turn_send(m, i, t->cosine, 0, had, count, e));
	TRY(turn_send(m, i, t->sine, (size_t)most * t->half * sizeof(float), had, count, e));
	m->turns[i] = count;
	return device_wait(m->stream, e);
}

static int cuda_positions(struct backend *b, uint32_t count, struct err *e)
{
	struct cuda *m = cuda_of(b);
	if (m->backend.lost)
		return cuda_lost(m, ERR_IO, e);
	for (uint32_t i = 0; i < m->config.rope_count; i++) {
		int rc = table_ready(m, i, count, e);
		if (rc < 0)
			return rc == ERR_NOMEM ? rc : cuda_lost(m, rc, e);
	}
	return 0;
}

/* No layer that this backend computes has state. */
static int cuda_states(struct backend *b, uint64_t count, struct err *e)
{
	(void)b, (void)count;
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: states on the GPU");
}

static void cuda_state_copy(struct backend *b, uint32_t from, uint32_t to)
{
	(void)b, (void)from, (void)to;
}

static void cuda_load(const struct backend *b, struct engine_traffic *out)
{
	*out = ((const struct cuda *)b)->traffic;
}

static void cuda_close(struct backend *b)
{
	struct cuda *m = cuda_of(b);
	if (m->packer)
		m->packer->backend.close(&m->packer->backend);
	if (m->device) {
		cuda_stages_close(m);
		cuda_lists_free(m);
		device_stream_close(m->stream);
		cuda_cache_free(m);
		cuda_work_close(m);
		cuda_weights_free(m);
	}
	for (uint32_t i = 0; i < MODEL_ROPES; i++)
		rope_table_close(&m->rope[i]);
	pthread_mutex_destroy(&m->stage_lock);
	pthread_cond_destroy(&m->stage_free);
	device_close(m->device);
	free(m->fixed);
	free(m->each);
	free(m);
}

/* ---- opening ---- */

static int packer_open(struct cuda *m, const struct backend_order *o, struct err *e)
{
	struct backend *packer;
	TRY(cpu_open(&packer, o, e));
	m->packer = cpu_of(packer);
	m->packer->passes = true;
	return 0;
}

/* What keeps a GPU from being used lies here, not in the model. */
static int device_find(struct device **out, struct device_stream **stream, uint32_t which,
		       struct err *e)
{
	struct err why = { 0 };
	if (device_open_at(out, NULL, which, &why) < 0)
		return err_set(e, ERR_UNAVAILABLE, "no GPU can be used here: %.500s", why.text);
	if (device_stream_open(*out, stream, &why) == 0)
		return 0;
	device_close(*out);
	*out = NULL;
	return err_set(e, ERR_UNAVAILABLE, "no GPU can be used here: %.500s", why.text);
}

int cuda_means(uint32_t which, bool fast, struct engine_means *out, struct err *e)
{
	struct device *d;
	struct device_stream *s;
	TRY(device_find(&d, &s, which, e));
	(void)cuda_dense_name(d, fast, out);
	device_stream_close(s);
	device_close(d);
	return 0;
}

static int parts_open(struct cuda *m, const struct backend_order *o, struct err *e)
{
	TRY(device_find(&m->device, &m->stream, o->which, e));
	snprintf(m->name, sizeof m->name, "%s", device_info(m->device)->name);
	m->cublas = cuda_dense_name(m->device, o->fast, &m->means);
	TRY(cuda_check(m, e));
	TRY(cuda_dense_open(m, e));
	for (uint32_t i = 0; i < m->config.rope_count; i++)
		TRY(rope_table_open(&m->rope[i], &m->config.ropes[i], e));
	m->backend.page_bytes = cuda_page_layout(m);
	cuda_work_size(m);
	return packer_open(m, o, e);
}

int cuda_open(struct backend **out, const struct backend_order *o, struct err *e)
{
	struct cuda *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ERR_NOMEM, "model");
	*m = (struct cuda){
		.backend = { .keeper = { .place = cuda_place,
					 .fill = cuda_fill,
					 .invent = cuda_invent,
					 .finish = cuda_finish },
			     .device = "cuda",
			     .layout = "cuda/1",
			     .device_name = m->name,
			     .set = m->means.set,
			     .numerics = o->fast ? "fast" : "canonical",
			     .regime = m->means.regime,
			     .pages = cuda_pages,
			     .page_copy = cuda_page_copy,
			     .states = cuda_states,
			     .state_copy = cuda_state_copy,
			     .positions = cuda_positions,
			     .memory = cuda_memory_free,
			     .forward = cuda_forward,
			     .load = cuda_load,
			     .peak = cuda_peak,
			     .close = cuda_close },
		.config = *o->config,
		.pool = o->pool,
		.most = cpu_most_of(o->config),
		.kind = o->cache,
		.terms = o->fast ? 1 : 2,
	};
	pthread_mutex_init(&m->cache.lock, NULL);
	pthread_mutex_init(&m->stage_lock, NULL);
	pthread_cond_init(&m->stage_free, NULL);
	int rc = parts_open(m, o, e);
	if (rc < 0) {
		cuda_close(&m->backend);
		return rc;
	}
	*out = &m->backend;
	return 0;
}
