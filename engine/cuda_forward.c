/* One forward pass on the GPU: the batch goes up in one copy, the operations of the list for so
 * many rows run in order, and experts and logits come down in one copy. */
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

static const struct cuda_list *list_for(const struct cuda *m, uint32_t rows)
{
	uint32_t i = 0;
	while (i + 1 < m->lists && m->list[i].rows < rows)
		i++;
	return &m->list[i];
}

/* Experts of a pass with this list, in front of its logits. */
static size_t expert_bytes(const struct cuda *m, const struct cuda_list *l)
{
	return model_moe_layers(&m->config) * cuda_expert_step(m, l->rows) * sizeof(uint16_t);
}

/* Bring down the last `before` bytes in front of the logits, and so many rows of these. */
static int bring(struct cuda *m, size_t before, uint32_t rows, struct err *e)
{
	size_t at = m->work.back_bytes - (size_t)CUDA_LOGIT_ROWS * m->config.vocab * sizeof(float) -
		    before;
	size_t bytes = before + (size_t)rows * m->config.vocab * sizeof(float);
	unsigned char *first = (unsigned char *)m->work.expert;
	size_t begin = (size_t)(first - (unsigned char *)m->work.memory.at);
	if (bytes > 0)
		TRY(device_download(m->stream, m->back + at, &m->work.memory, begin + at, bytes,
				    e));
	return device_wait(m->stream, e);
}

static const float *back_logits(const struct cuda *m)
{
	return (const float *)(const void *)(m->back + m->work.back_bytes) -
	       (size_t)CUDA_LOGIT_ROWS * m->config.vocab;
}

static int head_run(struct cuda *m, const struct pass *p, const struct cuda_list *l, struct err *e)
{
	const float *logits = back_logits(m);
	uint32_t vocab = m->config.vocab, most = l->head.args.product.rows_most, count;
	for (uint32_t at = 0; at < p->wanted; at += count) {
		count = p->wanted - at < most ? p->wanted - at : most;
		if (at > 0)
			TRY(cuda_want_send(m, p, at, count, e));
		TRY(device_run(m->stream, l->head.what, &l->head.args, e));
		TRY(bring(m, at > 0 ? 0 : expert_bytes(m, l), count, e));
		for (uint32_t i = 0; i < count; i++)
			memcpy(p->logits[at + i], logits + (size_t)i * vocab,
			       vocab * sizeof *logits);
	}
	return p->wanted > 0 ? 0 : bring(m, expert_bytes(m, l), 0, e);
}

/* The experts that the rows chose, without what lies between the layers; counted too. */
static void experts_hand_out(struct cuda *m, const struct pass *p, const struct cuda_list *l)
{
	size_t step = cuda_expert_step(m, l->rows), each = (size_t)p->rows * m->config.gate.top_k;
	uint32_t layers = model_moe_layers(&m->config);
	const uint16_t *from = (const uint16_t *)(const void *)back_logits(m) - layers * step;
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
