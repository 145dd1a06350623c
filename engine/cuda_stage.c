/* The way of weights to the device: fragments are packed into pieces of pinned memory, each with a
 * stream of its own, so that one is packed while others are copied. */
#include "engine/cuda.h"

#include "base/limits.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define STAGE_BYTES MIB(8) /* or one panel, if that is more */

int cuda_stages_open(struct cuda *m, struct err *e)
{
	m->stage_bytes = STAGE_BYTES;
	for (size_t i = 0; i < m->weights.matrices; i++) {
		size_t n = m->weights.matrix[i].on.panel_bytes;
		m->stage_bytes = n > m->stage_bytes ? n : m->stage_bytes;
	}
	if (m->backend.weight_bytes < CUDA_STAGES * m->stage_bytes)
		m->stage_bytes = m->backend.weight_bytes;
	for (int i = 0; i < CUDA_STAGES; i++) {
		TRY(device_stream_open(m->device, &m->stage[i].stream, e));
		TRY(device_pinned(m->device, m->stage_bytes, &m->stage[i].bytes, e));
	}
	return 0;
}

int cuda_stages_wait(struct cuda *m, struct err *e)
{
	for (int i = 0; i < CUDA_STAGES; i++)
		TRY(device_wait(m->stage[i].stream, e));
	return 0;
}

void cuda_stages_close(struct cuda *m)
{
	for (int i = 0; i < CUDA_STAGES; i++) {
		device_stream_close(m->stage[i].stream);
		device_pinned_free(m->device, m->stage[i].bytes);
		m->stage[i] = (struct cuda_stage){ 0 };
	}
}

/* A stage whose last copy is done; waits for one. */
static int stage_take(struct cuda *m, struct cuda_stage **out, struct err *e)
{
	struct cuda_stage *s = NULL;
	pthread_mutex_lock(&m->stage_lock);
	while (!s) {
		for (unsigned i = 0; i < CUDA_STAGES && !s; i++) {
			unsigned at = (m->stage_next + i) % CUDA_STAGES;
			if (m->stage[at].taken)
				continue;
			s = &m->stage[at];
			m->stage_next = at + 1;
		}
		if (!s)
			pthread_cond_wait(&m->stage_free, &m->stage_lock);
	}
	s->taken = true;
	pthread_mutex_unlock(&m->stage_lock);
	*out = s;
	return device_wait(s->stream, e);
}

static void stage_give(struct cuda *m, struct cuda_stage *s)
{
	pthread_mutex_lock(&m->stage_lock);
	s->taken = false;
	pthread_cond_signal(&m->stage_free);
	pthread_mutex_unlock(&m->stage_lock);
}

/* ---- packing ---- */

struct packing {
	const struct cuda_matrix *of;
	uint32_t panel;
	unsigned char *to;
	uint32_t panels;
};

static void packing_share(void *ctx, struct part part)
{
	const struct packing *k = ctx;
	uint32_t from = part_item(&part, part.begin, k->panels),
		 end = part_item(&part, part.end, k->panels);
	if (from < end)
		fragment_pack(k->of->host, k->panel + from, end - from,
			      k->to + from * k->of->on.panel_bytes);
}

static void pack(struct cuda *m, struct packing *k, bool shared)
{
	uint32_t parts = 4 * pool_threads(m->pool);
	if (!shared || k->panels < parts)
		fragment_pack(k->of->host, k->panel, k->panels, k->to);
	else
		pool_run(m->pool, parts, packing_share, k);
}

static int panels_send(struct cuda *m, const struct cuda_matrix *x, uint32_t panel, uint32_t panels,
		       bool shared, struct err *e)
{
	struct cuda_stage *s = NULL;
	int rc = stage_take(m, &s, e);
	if (rc == 0) {
		struct packing k = { x, panel, s->bytes, panels };
		pack(m, &k, shared);
		rc = device_upload(s->stream, &m->weights.panels, x->at + panel * x->on.panel_bytes,
				   s->bytes, panels * x->on.panel_bytes, e);
	}
	stage_give(m, s);
	return rc;
}

/* Host memory of the panels goes back to the system, as far as whole pages are theirs. */
static void panels_forget(const struct kernel_matrix *w)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)w->panel,
		  end = from + kernel_panels(w) * w->panel_bytes;
	from = (from + page - 1) / page * page;
	end = end / page * page;
	if (from < end)
		(void)!madvise((void *)from, end - from, MADV_DONTNEED); /* a wish */
}

int cuda_send(struct cuda *m, size_t first, size_t last, bool shared, struct err *e)
{
	for (size_t i = first; i < last; i++) {
		const struct cuda_matrix *x = &m->weights.matrix[i];
		uint32_t all = kernel_panels(x->host),
			 most = (uint32_t)(m->stage_bytes / x->on.panel_bytes);
		for (uint32_t at = 0; at < all; at += most) {
			uint32_t n = all - at < most ? all - at : most;
			TRY(panels_send(m, x, at, n, shared, e));
		}
	}
	return 0;
}

void cuda_forget(const struct cuda *m, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		panels_forget(m->weights.matrix[i].host);
}
