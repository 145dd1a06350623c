/* The CPU's backend: opening, the memory of its cache, and the table of its functions. */
#include "engine/cpu.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES MIB(2)

/* ---- the cache ---- */

/* Memory for `count` pages together, with huge pages where it is large. */
int cpu_slab_alloc(size_t page_bytes, uint64_t count, void **out, struct err *e)
{
	size_t bytes, align = 64;
	if (__builtin_mul_overflow(page_bytes, count, &bytes) || bytes > SIZE_MAX / 2)
		return err_set(e, ERR_NOMEM, "cache of %llu pages", (unsigned long long)count);
	if (bytes >= 2 * HUGE_BYTES) {
		align = HUGE_BYTES;
		bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
	}
	*out = aligned_alloc(align, bytes);
	if (!*out)
		return err_set(e, ERR_NOMEM, "cache: %zu bytes for %llu pages", bytes,
			       (unsigned long long)count);
	if (align == HUGE_BYTES)
		(void)!madvise(*out, bytes, MADV_HUGEPAGE); /* a wish */
	return 0;
}

/* Places for the addresses of so many more pages, and of a slab. */
static int tables_grow(struct cpu_cache *c, uint64_t count, struct err *e)
{
	if (c->count + count > c->capacity) {
		uint64_t want = (c->count + count) * 2;
		unsigned char **page = realloc(c->page, want * sizeof *page);
		if (!page)
			return err_set(e, ERR_NOMEM, "list of cache pages");
		c->page = page;
		c->capacity = want;
	}
	void **slab = realloc(c->slab, (c->slabs + 1) * sizeof *slab);
	if (!slab)
		return err_set(e, ERR_NOMEM, "list of cache pages");
	c->slab = slab;
	return 0;
}

static int pages_make(struct cpu *m, uint64_t count, struct err *e)
{
	struct cpu_cache *c = &m->cache;
	void *slab;
	TRY(tables_grow(c, count, e));
	TRY(cpu_slab_alloc(m->backend.page_bytes, count, &slab, e));
	for (uint64_t i = 0; i < count; i++)
		c->page[c->count++] = (unsigned char *)slab + i * m->backend.page_bytes;
	c->slab[c->slabs++] = slab;
	return 0;
}

static int cpu_pages(struct backend *b, uint64_t count, struct err *e)
{
	struct cpu *m = cpu_of(b);
	pthread_mutex_lock(&m->cache.lock);
	int rc = pages_make(m, count, e);
	pthread_mutex_unlock(&m->cache.lock);
	return rc;
}

static void cpu_page_copy(struct backend *b, uint32_t from, uint32_t to)
{
	struct cpu *m = cpu_of(b);
	pthread_mutex_lock(&m->cache.lock);
	check(from < m->cache.count && to < m->cache.count && from != to);
	const unsigned char *source = m->cache.page[from];
	unsigned char *target = m->cache.page[to];
	pthread_mutex_unlock(&m->cache.lock);
	memcpy(target, source, b->page_bytes);
}

static void cache_free(struct cpu_cache *c)
{
	for (size_t i = 0; i < c->slabs; i++)
		free(c->slab[i]);
	free(c->slab);
	free(c->page);
	pthread_mutex_destroy(&c->lock);
}

/* ---- the backend ---- */

static int cpu_positions(struct backend *b, uint32_t count, struct err *e)
{
	struct cpu *m = cpu_of(b);
	for (uint32_t i = 0; i < m->config.rope_count; i++)
		TRY(rope_table_grow(&m->rope[i], count, e));
	return 0;
}

static void cpu_load(const struct backend *b, struct engine_traffic *out)
{
	*out = ((const struct cpu *)b)->traffic;
}

static void cpu_close(struct backend *b)
{
	struct cpu *m = cpu_of(b);
	cpu_workspace_free(&m->work);
	cpu_delta_free(m);
	cpu_weights_free(m);
	for (uint32_t i = 0; i < MODEL_ROPES; i++)
		rope_table_close(&m->rope[i]);
	cache_free(&m->cache);
	free(m);
}

int cpu_open(struct backend **out, const struct backend_order *o, struct err *e)
{
	struct cpu *m = calloc(1, sizeof *m);
	int rc = 0;
	if (!m)
		return err_set(e, ERR_NOMEM, "model");
	*m = (struct cpu){
		.backend = { .keeper = { .place = cpu_place,
					 .fill = cpu_fill,
					 .invent = cpu_invent,
					 .finish = cpu_finish },
			     .device = "cpu",
			     .device_name = m->name,
			     .set = o->kernels->name,
			     .numerics = o->kernels->canonical ? "canonical" : "fast",
			     .regime = o->kernels->regime,
			     .pages = cpu_pages,
			     .page_copy = cpu_page_copy,
			     .states = cpu_states,
			     .state_copy = cpu_state_copy,
			     .positions = cpu_positions,
			     .forward = cpu_forward,
			     .load = cpu_load,
			     .peak = cpu_peak,
			     .close = cpu_close },
		.config = *o->config,
		.kernels = o->kernels,
		.pool = o->pool,
		.most = cpu_most_of(o->config),
		.kind = o->cache,
	};
	m->backend.page_bytes = cpu_page_layout(&m->config, m->kind, m->page_at);
	m->backend.state_bytes = cpu_state_layout(&m->config, &m->recurrent);
	m->backend.rows_max = cpu_rows_max(&m->config, &m->most);
	machine_processor(m->name, sizeof m->name);
	pthread_mutex_init(&m->cache.lock, NULL);
	for (uint32_t i = 0; i < m->config.rope_count && rc == 0; i++)
		rc = rope_table_open(&m->rope[i], &m->config.ropes[i], e);
	if (rc < 0) {
		cpu_close(&m->backend);
		return rc;
	}
	*out = &m->backend;
	return 0;
}
