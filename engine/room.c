/* Buffers of a pass. They grow to the largest batch seen and stay: no allocation after that. */
#include "engine/engine_in.h"

#include <stdlib.h>

/* Aligned for vectors, a cache line longer so that whole-vector reads at an end stay inside. */
static int room_array(void **p, size_t count, size_t size, struct err *e)
{
	size_t bytes;
	free(*p);
	*p = NULL;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return err_set(e, ERR_NOMEM, "buffers of a pass");
	*p = aligned_alloc(64, (bytes + 127) / 64 * 64);
	return *p == NULL ? err_set(e, ERR_NOMEM, "buffers of a pass: %zu bytes", bytes) : 0;
}

#define ROOM(field, count) TRY(room_array((void **)&r->field, (size_t)(count), sizeof *r->field, e))

static int room_quant(struct kernel_quant *q, size_t rows, uint32_t columns, struct err *e)
{
	size_t n = rows * kernel_quant_columns(columns);
	TRY(room_array((void **)&q->code, n, 1, e));
	TRY(room_array((void **)&q->scale, n / KERNEL_INPUT_BLOCK, sizeof *q->scale, e));
	return room_array((void **)&q->start, n / KERNEL_GROUP, sizeof *q->start, e);
}

static bool is_integer(const struct engine *m)
{
	return m->weights.values[KERNEL_Q8] + m->weights.values[KERNEL_Q4] > 0;
}

static uint32_t at_least_one(uint32_t n) { return n > 0 ? n : 1; }

static int room_attention(struct room *r, const struct model_config *c, size_t n, struct err *e)
{
	bool mla = c->attention == MODEL_ATTN_MLA;
	uint32_t query = mla ? c->nope + c->rope_head : c->head, value = mla ? c->value : c->head;
	ROOM(q_latent, n * at_least_one(c->q_rank));
	ROOM(q, n * c->heads * query);
	ROOM(kv, n * model_cache_width(c));
	ROOM(q_up, n * c->heads * at_least_one(c->kv_rank));
	ROOM(attended, n * c->heads * at_least_one(c->kv_rank));
	ROOM(value, n * c->heads * value);
	return 0;
}

static uint32_t value_width(const struct model_config *c)
{
	return c->heads * (c->attention == MODEL_ATTN_MLA ? c->value : c->head);
}

static uint32_t wide_width(const struct model_config *c)
{
	return at_least_one(c->ffn > c->shared_width ? c->ffn : c->shared_width);
}

static int room_codes(struct room *r, const struct model_config *c, size_t n, struct err *e)
{
	TRY(room_quant(&r->normed_code, n, c->hidden, e));
	TRY(room_quant(&r->latent_code, n, at_least_one(c->q_rank), e));
	TRY(room_quant(&r->value_code, n, value_width(c), e));
	TRY(room_quant(&r->gate_code, n * at_least_one(c->gate.top_k),
		       at_least_one(c->expert_width), e));
	return room_quant(&r->wide_code, n, wide_width(c), e);
}

/* The most rows, of those that are powers of two, whose buffers stay within bounds. */
uint32_t room_rows_max(const struct engine *m)
{
	const struct model_config *c = &m->config;
	size_t slot = 2 * (size_t)c->expert_width + c->hidden, n = ROWS_MAX;
	size_t row = 3 * (size_t)c->hidden + c->gate.top_k * slot + 2 * (size_t)wide_width(c) +
		     (size_t)c->heads * (2 * (size_t)c->kv_rank + 512);
	while (n > 32 && n * row * sizeof(float) > ROOM_BYTES)
		n /= 2;
	return (uint32_t)n;
}

static size_t scratch_floats(const struct model_config *c)
{
	size_t n = c->attention == MODEL_ATTN_MLA ? kernel_mla_scratch(c->kv_rank, c->rope_head)
						  : kernel_gqa_scratch(c->head);
	return (n + 15) / 16 * 16;
}

static int room_ffn(struct room *r, const struct model_config *c, size_t n, struct err *e)
{
	size_t slots = n * at_least_one(c->gate.top_k), wide = wide_width(c);
	ROOM(score, n * at_least_one(c->gate.experts));
	ROOM(expert, slots);
	ROOM(weight, slots);
	ROOM(pick, slots);
	ROOM(place, slots);
	ROOM(begin, c->gate.experts + 1);
	ROOM(gate, slots * at_least_one(c->expert_width));
	ROOM(up, slots * at_least_one(c->expert_width));
	ROOM(down, slots * c->hidden);
	ROOM(wide_gate, n * wide);
	ROOM(wide_up, n * wide);
	ROOM(shared_share, n);
	return 0;
}

int room_grow(struct engine *m, uint32_t rows, struct err *e)
{
	struct room *r = &m->room;
	const struct model_config *c = &m->config;
	uint32_t n = 1;
	if (rows <= r->rows)
		return 0;
	while (n < rows)
		n *= 2;
	r->rows = 0;
	ROOM(row, n);
	ROOM(x, (size_t)n * c->hidden);
	ROOM(normed, (size_t)n * c->hidden);
	ROOM(delta, (size_t)n * c->hidden);
	TRY(room_attention(r, c, n, e));
	TRY(room_ffn(r, c, n, e));
	if (is_integer(m))
		TRY(room_codes(r, c, n, e));
	ROOM(job, c->gate.experts + c->heads + 3);
	ROOM(want, n);
	ROOM(logits, (size_t)(n < LOGIT_ROWS_MAX ? n : LOGIT_ROWS_MAX) * c->vocab);
	r->scratch_floats = scratch_floats(c);
	ROOM(scratch, r->scratch_floats * pool_threads(m->pool));
	r->rows = n;
	return 0;
}

void room_free(struct room *r)
{
	void *all[] = { r->row,     r->x,           r->normed,   r->delta, r->q_latent, r->q,
			r->kv,      r->q_up,        r->attended, r->value, r->score,    r->expert,
			r->weight,  r->pick,        r->place,    r->begin, r->gate,     r->up,
			r->down,    r->wide_gate,   r->wide_up,  r->job,   r->want,     r->logits,
			r->scratch, r->shared_share };
	struct kernel_quant codes[] = { r->normed_code, r->latent_code, r->value_code,
					r->gate_code, r->wide_code };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		free(codes[i].code);
		free(codes[i].scale);
		free(codes[i].start);
	}
	*r = (struct room){ 0 };
}
