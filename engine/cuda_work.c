/* Buffers of a pass in device memory: one allocation for the largest pass, made before a weight is
 * read. Nothing is allocated afterwards. */
#include "engine/cuda.h"

#include "base/limits.h"

#include <stdlib.h>

/* Rows of one pass at most. A pass reads nearly all experts from some 64 rows on, so each doubling
 * halves the bytes of a long prompt; beyond, matrix units are the limit anyway. Rows beyond the
 * second number are had only for a sixteenth of the device, and never at the model's expense. */
#define ROWS_MAX 2048u
#define ROWS_ENOUGH 512u
#define WORK_BYTES MIB(512)     /* or a sixteenth of the device, if that is more */
#define PAGE_NUMBERS (1u << 16) /* that a pass's own memory holds; more go into another */

/* The next part of the memory that is laid out. */
struct lay {
	unsigned char *at; /* NULL: counted only */
	size_t used;
};

static void *part(struct lay *l, size_t count, size_t size)
{
	unsigned char *at = l->at == NULL ? NULL : l->at + l->used;
	l->used += (count * size + 255) / 256 * 256;
	return at;
}

#define FLOATS(field, count) w->field = part(l, (size_t)(count), sizeof(float))

static void lay_attention(struct cuda *m, struct lay *l)
{
	struct cuda_work *w = &m->work;
	const struct model_config *c = &m->config;
	size_t n = m->backend.rows_max, records = 0;
	FLOATS(q_latent, n * c->q_rank);
	FLOATS(q, n * m->most.query);
	FLOATS(kv, n * m->most.kv);
	FLOATS(q_up, n * m->most.heads * c->kv_rank);
	FLOATS(attended, n * m->most.heads * c->kv_rank);
	FLOATS(value, n * m->most.value);
	FLOATS(out_gate, n * m->most.gates);
	w->splits = c->context_max / KERNEL_SPLIT + 1;
	for (uint32_t i = 0; i < m->lists; i++) {
		for (uint32_t layer = 0; layer < c->layers; layer++) {
			struct attend_args a = cuda_attend_shape(m, layer, m->list[i].rows);
			size_t some = device_attend_records(&a);
			records = some > records ? some : records;
		}
	}
	FLOATS(record, records);
	w->arrived = part(l, n * m->most.heads, sizeof *w->arrived);
}

static void lay_experts(struct cuda *m, struct lay *l)
{
	struct cuda_work *w = &m->work;
	const struct model_config *c = &m->config;
	size_t n = m->backend.rows_max, slots = n * c->gate.top_k;
	FLOATS(score, n * c->gate.experts);
	FLOATS(weight, slots);
	FLOATS(gate, slots * c->expert_width);
	FLOATS(down, slots * c->hidden);
	FLOATS(wide, n * m->most.wide);
	FLOATS(shared_share, n);
	w->pick = part(l, slots, sizeof *w->pick);
	w->place = part(l, slots, sizeof *w->place);
	w->begin = part(l, c->gate.experts + 1, sizeof *w->begin);
	w->active = part(l, c->gate.experts + 1, sizeof *w->active);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Tiles of the rows of a product (device_tiles_place): of the experts' slots and what stands beside
 * them, or of the widest rows of attention. What does not fit takes the other form. */
static void lay_tiles(struct cuda *m, struct lay *l)
{
	struct cuda_work *w = &m->work;
	const struct model_config *c = &m->config;
	size_t n = m->backend.rows_max, slots = n * c->gate.top_k + 16 * (c->gate.experts + 2);
	size_t wide = larger(c->hidden, larger(m->most.wide, m->most.value));
	size_t heads = (size_t)m->most.heads * larger(c->kv_rank, m->most.query / m->most.heads);
	w->tile_bytes = 0;
	if (m->terms != 1 || device_info(m->device)->capability != 90 || n <= CUDA_FAST_ROWS)
		return;
	w->tile_bytes = larger(slots * (larger(c->hidden, c->expert_width) + 64) + n * (wide + 64),
			       n * (heads + m->most.heads * 64)) *
			sizeof(uint16_t);
	w->tiles = part(l, w->tile_bytes, 1);
}

static void lay_dense(struct cuda *m, struct lay *l)
{
	struct cuda_dense *d = &m->work.dense;
	cuda_dense_size(m);
	d->weights = part(l, d->weight_bytes, 1);
	d->rows = part(l, d->row_bytes, 1);
	d->up = part(l, d->up_bytes, 1);
	d->workspace = part(l, d->workspace_bytes, 1);
}

/* What goes back. The experts of a smaller pass end there too. */
static void lay_answer(struct cuda *m, struct lay *l)
{
	struct cuda_work *w = &m->work;
	size_t slots = model_moe_layers(&m->config) * cuda_expert_step(m, m->backend.rows_max);
	size_t logits = (size_t)CUDA_LOGIT_ROWS * m->config.vocab * sizeof(float);
	size_t experts = (slots * sizeof *w->expert + 255) / 256 * 256;
	size_t ids = CUDA_LOGIT_ROWS * sizeof *w->id;
	unsigned char *at = part(l, experts + ids + logits, 1);
	w->back_bytes = experts + ids + logits;
	w->expert = (uint16_t *)(void *)at;
	w->id = at == NULL ? NULL : (uint32_t *)(void *)(at + experts);
	w->logits = at == NULL ? NULL : (float *)(void *)(at + experts + ids);
	FLOATS(draw, (size_t)CUDA_LOGIT_ROWS * m->config.vocab);
}

/* The arrays of a pass, behind its head. */
static size_t lay_batch(struct cuda *m)
{
	struct cuda_batch *b = &m->batch;
	size_t n = m->backend.rows_max, row = (n + 1) * sizeof(uint32_t),
	       pages = ((size_t)m->config.context_max / KERNEL_PAGE + 1) * n;
	size_t *each[] = { &b->token,      &b->position, &b->sequence, &b->first_row,
			   &b->first_page, &b->far,      &b->want };
	row = (row + 15) / 16 * 16;
	size_t at = (sizeof(struct device_batch) + 15) / 16 * 16;
	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++, at += row)
		*each[i] = at;
	b->page = at;
	b->pages = pages < PAGE_NUMBERS ? pages : PAGE_NUMBERS;
	return at + b->pages * sizeof(uint32_t);
}

size_t cuda_work_lay(struct cuda *m, unsigned char *at)
{
	struct cuda_work *w = &m->work;
	struct lay all = { .at = at }, *l = &all;
	size_t n = m->backend.rows_max, hidden = m->config.hidden;
	FLOATS(x, n * hidden);
	FLOATS(normed, n * hidden);
	FLOATS(delta, n * hidden);
	lay_attention(m, l);
	lay_experts(m, l);
	lay_tiles(m, l);
	lay_dense(m, l);
	lay_answer(m, l);
	m->batch.bytes = lay_batch(m);
	w->batch = part(l, m->batch.bytes, 1);
	return all.used;
}

static void buckets_set(struct cuda *m)
{
	static const uint32_t rows[CUDA_BUCKETS] = { 1,  2,  4,   8,   16,  24,   32,
						     48, 64, 128, 256, 512, 1024, 2048 };
	m->lists = 0;
	for (int i = 0; i < CUDA_BUCKETS && rows[i] <= m->backend.rows_max; i++)
		m->list[m->lists++].rows = rows[i];
}

static void rows_set(struct cuda *m, uint32_t rows)
{
	m->backend.rows_max = m->backend.rows_alone = rows;
	buckets_set(m);
}

static bool too_large(struct cuda *m)
{
	uint64_t most = device_info(m->device)->memory_bytes / 16;
	if (m->backend.rows_max <= ROWS_ENOUGH && most < WORK_BYTES)
		most = WORK_BYTES;
	return m->backend.rows_max > 32 && cuda_work_lay(m, NULL) > most;
}

/* The most rows, of those that are powers of two, whose buffers stay within bounds. */
void cuda_work_size(struct cuda *m)
{
	rows_set(m, ROWS_MAX);
	while (too_large(m))
		rows_set(m, m->backend.rows_max / 2);
}

bool cuda_work_less(struct cuda *m)
{
	if (m->backend.rows_max <= ROWS_ENOUGH)
		return false;
	rows_set(m, m->backend.rows_max / 2);
	return true;
}

static int ropes_open(struct cuda *m, struct err *e)
{
	for (uint32_t i = 0; i < m->config.rope_count; i++) {
		size_t bytes = (size_t)m->config.context_max * m->rope[i].half * 2 * sizeof(float);
		TRY(device_alloc(m->device, bytes > 0 ? bytes : 1, &m->turn[i], e));
	}
	return 0;
}

int cuda_work_open(struct cuda *m, struct err *e)
{
	struct cuda_work *w = &m->work;
	void *host;
	TRY(device_alloc(m->device, cuda_work_lay(m, NULL), &w->memory, e));
	(void)cuda_work_lay(m, w->memory.at);
	TRY(ropes_open(m, e));
	struct device_buffer arrived = w->memory;
	arrived.at = w->arrived;
	arrived.bytes = (size_t)m->backend.rows_max * m->most.heads * sizeof *w->arrived;
	if (arrived.bytes > 0)
		TRY(device_fill(m->stream, &arrived, 0, e));
	TRY(device_pinned(m->device, m->batch.bytes, &host, e));
	m->batch.host = host;
	TRY(cuda_draws_open(m, e));
	TRY(device_pinned(m->device, w->back_bytes, &host, e));
	m->back = host;
	return 0;
}

void cuda_work_close(struct cuda *m)
{
	device_free(&m->work.memory);
	cuda_draws_close(m);
	device_free(&m->batch.more);
	for (uint32_t i = 0; i < MODEL_ROPES; i++)
		device_free(&m->turn[i]);
	device_pinned_free(m->device, m->batch.host);
	device_pinned_free(m->device, m->batch.more_host);
	device_pinned_free(m->device, m->back);
}
