/* One forward pass on the GPU: the batch goes up in one copy, the operations of the list for so
 * many rows run in order, and experts and ids or logits come down in one copy. */
#include "engine/cuda.h"

#include <string.h>

int cuda_lost(struct cuda *m, int rc, struct err *e)
{
	struct err why = { 0 };
	if (rc == 0)
		return 0;
	m->backend.lost = true;
	if (e != NULL)
		why = *e;
	return err_set(e, ERR_UNAVAILABLE,
		       "the GPU failed, and computes nothing more until the program is started "
		       "again: %.400s",
		       why.text[0] ? why.text : m->name);
}

/* cuBLAS computes all rows of its list, so it is for passes that lack an eighth at most. */
static const struct cuda_list *list_for(const struct cuda *m, uint32_t rows)
{
	uint32_t i = 0;
	while (i + 1 < m->lists && m->list[i].rows < rows)
		i++;
	bool nearly = rows >= m->list[i].rows / 8 * 7;
	return nearly && m->full[i].steps != NULL ? &m->full[i] : &m->list[i];
}

/* Experts of a pass with this list, in front of its ids. */
static size_t expert_bytes(const struct cuda *m, const struct cuda_list *l)
{
	return model_moe_layers(&m->config) * cuda_expert_step(m, l->rows) * sizeof(uint16_t);
}

static size_t row_bytes(const struct cuda *m) { return m->config.vocab * sizeof(float); }

/* Bytes of `back` before the logits, and before the ids. */
static size_t logits_at(const struct cuda *m)
{
	return m->work.back_bytes - CUDA_LOGIT_ROWS * row_bytes(m);
}
static size_t ids_at(const struct cuda *m)
{
	return logits_at(m) - CUDA_LOGIT_ROWS * sizeof(uint32_t);
}

/* Bring down bytes [at, end) of what goes back. */
static int bring(struct cuda *m, size_t at, size_t end, struct err *e)
{
	size_t begin =
		(size_t)((unsigned char *)m->work.expert - (unsigned char *)m->work.memory.at);
	if (at == end)
		return 0;
	return device_download(m->stream, m->back + at, &m->work.memory, begin + at, end - at, e);
}

/* An id after which nothing is asked, so that its logits are the last. */
static bool ends(const struct engine_draw *a, uint32_t id)
{
	bool any = false;
	for (uint32_t i = 0; i < a->eos_count; i++)
		any |= a->eos[i] == id;
	for (size_t i = 0; i < a->sampling->stop_ids; i++)
		any |= a->sampling->stop_id[i] == id;
	return any;
}

/* Ids of the rows that were drawn; the logits of the others, where not all have come already. A row
 * of numbers that are not finite has no id: the host's draw tells of it. */
static int hand_out(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count,
		    uint64_t asked, struct err *e)
{
	const uint32_t *id = (const uint32_t *)(const void *)(m->back + ids_at(m));
	uint64_t whole = ~asked; /* rows whose logits are handed out */
	for (uint32_t i = 0; i < count && asked != 0; i++) {
		size_t at = logits_at(m) + i * row_bytes(m);
		if ((asked >> i & 1) != 0) {
			*p->drawn[from + i] = id[i];
			bool too = id[i] == UINT32_MAX || ends(p->draw[from + i], id[i]);
			whole |= (uint64_t)too << i;
		}
		if ((whole >> i & 1) != 0)
			TRY(bring(m, at, at + row_bytes(m), e));
	}
	if (asked != 0)
		TRY(device_wait(m->stream, e));
	for (uint32_t i = 0; i < count; i++) {
		if ((whole >> i & 1) != 0)
			memcpy(p->logits[from + i], m->back + logits_at(m) + i * row_bytes(m),
			       row_bytes(m));
	}
	return 0;
}

static int head_run(struct cuda *m, const struct pass *p, const struct cuda_list *l, struct err *e)
{
	uint32_t most = l->head.args.product.rows_most, count;
	size_t first = ids_at(m) - expert_bytes(m, l), logits = logits_at(m);
	for (uint32_t at = 0; at < p->wanted; at += count) {
		uint64_t asked;
		count = p->wanted - at < most ? p->wanted - at : most;
		if (at > 0)
			TRY(cuda_want_send(m, p, at, count, e));
		TRY(device_run(m->stream, l->head.what, &l->head.args, e));
		TRY(cuda_draws_run(m, p, at, count, &asked, e));
		TRY(bring(m, at > 0 ? ids_at(m) : first,
			  asked != 0 ? logits : logits + count * row_bytes(m), e));
		TRY(device_wait(m->stream, e));
		TRY(hand_out(m, p, at, count, asked, e));
	}
	if (p->wanted > 0)
		return 0;
	TRY(bring(m, first, ids_at(m), e));
	return device_wait(m->stream, e);
}

/* The experts that the rows chose, without what lies between the layers; counted too. */
static void experts_hand_out(struct cuda *m, const struct pass *p, const struct cuda_list *l)
{
	size_t step = cuda_expert_step(m, l->rows), each = (size_t)p->rows * m->config.gate.top_k;
	uint32_t layers = model_moe_layers(&m->config);
	const uint16_t *from =
		(const uint16_t *)(const void *)(m->back + ids_at(m)) - layers * step;
	cuda_count(m, p, from, step);
	for (uint32_t i = 0; p->expert != NULL && i < layers; i++)
		memcpy(p->expert + i * each, from + i * step, each * sizeof *from);
}

static int pass_run(struct cuda *m, const struct pass *p, struct err *e)
{
	const struct cuda_list *l = list_for(m, p->rows);
	TRY(cuda_batch_send(m, p, e));
	TRY(device_steps_run(l->steps, e));
	TRY(head_run(m, p, l, e));
	experts_hand_out(m, p, l);
	return 0;
}

int cuda_forward(struct backend *b, const struct pass *p, struct err *e)
{
	struct cuda *m = cuda_of(b);
	if (m->backend.lost)
		return cuda_lost(m, ERR_IO, e);
	int rc = cuda_cache_know(m, e);
	if (rc == ERR_NOMEM)
		return rc;
	return cuda_lost(m, rc < 0 ? rc : pass_run(m, p, e), e);
}
