/* What differs from pass to pass: struct device_batch and its arrays, one piece of pinned memory
 * that goes up in one copy. Only where a pass has very many pages do their numbers go by
 * themselves. */
#include "engine/cuda.h"

#include <string.h>

static void *host_at(struct cuda *m, size_t at) { return m->batch.host + at; }

static const void *device_at(const struct cuda *m, size_t at) { return m->work.batch + at; }

static int send(struct cuda *m, size_t at, size_t bytes, struct err *e)
{
	size_t begin = (size_t)(m->work.batch - (unsigned char *)m->work.memory.at);
	return device_upload(m->stream, &m->work.memory, begin + at, host_at(m, at), bytes, e);
}

/* Ids that stand for what is seen or heard are looked up as another. */
static void rows_set(struct cuda *m, const struct pass *p)
{
	const struct cuda_batch *b = &m->batch;
	uint32_t *token = host_at(m, b->token), *first_row = host_at(m, b->first_row);
	for (uint32_t i = 0; i < p->rows; i++)
		token[i] = model_token(&m->config, p->token[i]);
	memcpy(host_at(m, b->position), p->position, p->rows * sizeof(uint32_t));
	memcpy(host_at(m, b->sequence), p->sequence, p->rows * sizeof(uint32_t));
	memcpy(host_at(m, b->first_page), p->first_page, (p->sequences + 1) * sizeof(uint32_t));
	for (uint32_t i = p->rows; i-- > 0;)
		first_row[p->sequence[i]] = i;
	first_row[p->sequences] = p->rows;
	uint8_t *far = host_at(m, b->far);
	for (uint32_t i = 0; p->far != NULL && i < p->sequences; i++)
		far[i] = p->far[i];
}

static void want_set(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count)
{
	((struct device_batch *)host_at(m, 0))->wanted = count;
	if (count > 0)
		memcpy(host_at(m, m->batch.want), p->want + from, count * sizeof(uint32_t));
}

/* Numbers of more pages than the batch has room for. */
static int more_send(struct cuda *m, const uint32_t *page, size_t pages, struct err *e)
{
	struct cuda_batch *b = &m->batch;
	if (pages > b->more_pages) {
		void *host;
		device_free(&b->more);
		device_pinned_free(m->device, b->more_host);
		b->more_host = NULL;
		b->more_pages = 0;
		TRY(device_alloc(m->device, 2 * pages * sizeof *page, &b->more, e));
		TRY(device_pinned(m->device, 2 * pages * sizeof *page, &host, e));
		b->more_host = host;
		b->more_pages = 2 * pages;
	}
	memcpy(b->more_host, page, pages * sizeof *page);
	return device_upload(m->stream, &b->more, 0, b->more_host, pages * sizeof *page, e);
}

int cuda_batch_send(struct cuda *m, const struct pass *p, struct err *e)
{
	const struct cuda_batch *b = &m->batch;
	size_t pages = p->first_page[p->sequences], here = pages <= b->pages ? pages : 0;
	if (here < pages)
		TRY(more_send(m, p->page, pages, e));
	*(struct device_batch *)host_at(m, 0) = (struct device_batch){
		.rows = p->rows,
		.sequences = p->sequences,
		.token = device_at(m, b->token),
		.position = device_at(m, b->position),
		.sequence = device_at(m, b->sequence),
		.page = here < pages ? b->more.at : device_at(m, b->page),
		.first_page = device_at(m, b->first_page),
		.first_row = device_at(m, b->first_row),
		.want = device_at(m, b->want),
		.far = p->far == NULL ? NULL : device_at(m, b->far),
		.page_at = m->cache.table.at,
	};
	rows_set(m, p);
	want_set(m, p, 0, p->wanted < CUDA_LOGIT_ROWS ? p->wanted : CUDA_LOGIT_ROWS);
	memcpy(host_at(m, b->page), p->page, here * sizeof *p->page);
	return send(m, 0, b->page + here * sizeof *p->page, e);
}

int cuda_want_send(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count,
		   struct err *e)
{
	want_set(m, p, from, count);
	TRY(send(m, 0, sizeof(struct device_batch), e));
	return send(m, m->batch.want, count * sizeof(uint32_t), e);
}
