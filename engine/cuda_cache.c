/* The cache of the GPU: pages of device memory in slabs, and the list of where they are. Pages may
 * be made while a pass runs; the device's list is brought up to date between passes. */
#include "engine/cuda.h"

#include "base/check.h"

#include <stdlib.h>

static size_t width_bytes(const struct cuda *m, uint32_t width)
{
	size_t each = m->kind == KERNEL_CACHE_BF16 ? 2 : 4;
	return (size_t)device_cache_width(width) * KERNEL_PAGE * each;
}

/* Of a page, in one layer; 0: it attends another one's. */
static size_t layer_bytes(const struct cuda *m, uint32_t layer)
{
	const struct model_config *c = &m->config;
	const struct model_layer *l = &c->layer[layer];
	if (cpu_kv_width(c, layer) == 0)
		return 0;
	if (l->mixer == MODEL_MIX_MLA)
		return width_bytes(m, c->kv_rank) + width_bytes(m, c->rope_head);
	return l->kv_heads * (width_bytes(m, l->head) + width_bytes(m, l->value));
}

uint64_t cuda_page_layout(struct cuda *m)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < m->config.layers; i++) {
		uint32_t whose = m->config.layer[i].cache;
		m->page_at[i] = whose == i ? bytes : m->page_at[whose];
		bytes += layer_bytes(m, i);
	}
	return bytes;
}

/* ---- making ---- */

static int tables_grow(struct cuda_cache *c, uint64_t count, struct err *e)
{
	if (c->count + count > c->capacity) {
		uint64_t want = (c->count + count) * 2;
		unsigned char **page = realloc(c->page, want * sizeof *page);
		if (!page)
			return err_set(e, ERR_NOMEM, "list of cache pages");
		c->page = page;
		c->capacity = want;
	}
	struct device_buffer *slab = realloc(c->slab, (c->slabs + 1) * sizeof *slab);
	if (!slab)
		return err_set(e, ERR_NOMEM, "list of cache pages");
	c->slab = slab;
	return 0;
}

static int pages_make(struct cuda *m, uint64_t count, struct err *e)
{
	struct cuda_cache *c = &m->cache;
	size_t bytes;
	TRY(tables_grow(c, count, e));
	if (__builtin_mul_overflow(m->backend.page_bytes, count, &bytes))
		return err_set(e, ERR_NOMEM, "cache of %llu pages", (unsigned long long)count);
	TRY(device_alloc(m->device, bytes, &c->slab[c->slabs], e));
	unsigned char *at = c->slab[c->slabs++].at;
	for (uint64_t i = 0; i < count; i++)
		c->page[c->count++] = at + i * m->backend.page_bytes;
	return 0;
}

int cuda_pages(struct backend *b, uint64_t count, struct err *e)
{
	struct cuda *m = cuda_of(b);
	if (m->backend.lost)
		return cuda_lost(m, ERR_IO, e);
	pthread_mutex_lock(&m->cache.lock);
	int rc = pages_make(m, count, e);
	pthread_mutex_unlock(&m->cache.lock);
	return rc == ERR_NOMEM ? rc : cuda_lost(m, rc, e);
}

/* ---- knowing ---- */

/* The list of `capacity` of them; called with the lock held and nothing running. */
static int table_grow(struct cuda *m, struct err *e)
{
	struct cuda_cache *c = &m->cache;
	size_t bytes = c->capacity * sizeof *c->page;
	if (c->table.bytes >= bytes)
		return 0;
	device_free(&c->table);
	c->known = 0;
	return device_alloc(m->device, bytes, &c->table, e);
}

static int pages_know(struct cuda *m, struct err *e)
{
	struct cuda_cache *c = &m->cache;
	if (c->known == c->count)
		return 0;
	TRY(table_grow(m, e));
	size_t from = c->known * sizeof *c->page;
	TRY(device_upload(m->stream, &c->table, from, c->page + c->known,
			  (c->count - c->known) * sizeof *c->page, e));
	TRY(device_wait(m->stream, e)); /* the host's list may move */
	c->known = c->count;
	return 0;
}

int cuda_cache_know(struct cuda *m, struct err *e)
{
	pthread_mutex_lock(&m->cache.lock);
	int rc = pages_know(m, e);
	pthread_mutex_unlock(&m->cache.lock);
	return rc;
}

/* ---- copying ---- */

static struct device_buffer page_of(struct cuda *m, uint32_t page)
{
	return (struct device_buffer){ m->device, m->cache.page[page], m->backend.page_bytes };
}

/* Passes that follow come after it. */
void cuda_page_copy(struct backend *b, uint32_t from, uint32_t to)
{
	struct cuda *m = cuda_of(b);
	pthread_mutex_lock(&m->cache.lock);
	check(from < m->cache.count && to < m->cache.count && from != to);
	struct device_buffer source = page_of(m, from), target = page_of(m, to);
	pthread_mutex_unlock(&m->cache.lock);
	if (device_copy(m->stream, &target, &source, source.bytes, NULL) < 0)
		m->backend.lost = true;
}

void cuda_cache_free(struct cuda *m)
{
	struct cuda_cache *c = &m->cache;
	for (size_t i = 0; i < c->slabs; i++)
		device_free(&c->slab[i]);
	device_free(&c->table);
	free(c->slab);
	free(c->page);
	pthread_mutex_destroy(&c->lock);
}
