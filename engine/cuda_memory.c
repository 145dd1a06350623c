/* Memory of the device: counted for the whole model, compared with what there is, and taken before
 * a weight is read. */
#include "engine/cuda.h"

#include <stdio.h>

/* Positions that there must be room for beside the weights, if the context is as long. */
#define LEAST_POSITIONS 4096u
#define MARGIN_BYTES ((uint64_t)64 << 20) /* what the runtime takes beside, on a large device */

struct need {
	uint64_t weights, buffers, cache;
};

static uint64_t need_sum(const struct need *n) { return n->weights + n->buffers + n->cache; }

static uint64_t rope_bytes(const struct cuda *m)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < m->config.rope_count; i++)
		sum += (uint64_t)m->config.context_max * m->rope[i].half * 2 * sizeof(float);
	return sum;
}

static struct need need_of(struct cuda *m)
{
	uint32_t positions =
		m->config.context_max < LEAST_POSITIONS ? m->config.context_max : LEAST_POSITIONS;
	uint64_t pages = (positions + KERNEL_PAGE - 1) / KERNEL_PAGE;
	return (struct need){
		.weights = m->backend.weight_bytes,
		.buffers = cuda_work_lay(m, NULL) + rope_bytes(m) + cuda_draws_bytes(m),
		.cache = pages * m->backend.page_bytes,
	};
}

/* Bytes of the matrices, were they packed so. */
static uint64_t packed_bytes(const struct cuda *m, const struct model_plan *p,
			     enum model_packing packing)
{
	const struct cuda_weights *w = &m->weights;
	uint64_t sum = w->floats.bytes;
	for (size_t i = 0; i < p->count; i++) {
		enum kernel_format f = model_item_format(&p->item[i], packing);
		for (size_t j = w->first[i]; j < w->first[i + 1]; j++)
			sum += (uint64_t)kernel_panels(w->matrix[j].host) *
			       fragment_panel_bytes(f, w->matrix[j].on.columns);
	}
	return sum;
}

/* What would make it fit, in words. */
static void advice(const struct cuda *m, const struct model_plan *p, const struct need *n,
		   uint64_t has, char *out, size_t room)
{
	static const char *const names[] = { "q8", "q4" };
	uint64_t rest = n->buffers + n->cache, bytes = 0;
	for (int i = 0; i < 2; i++) {
		enum model_packing packing = i == 0 ? MODEL_PACKING_Q8 : MODEL_PACKING_Q4;
		bytes = packed_bytes(m, p, packing) + rest;
		if (bytes >= need_sum(n) || bytes > has)
			continue;
		snprintf(out, room, "with --weights %s it needs %.2f GB", names[i],
			 (double)bytes / 1e9);
		return;
	}
	snprintf(out, room, "with --weights q4 it still needs %.2f GB: load a smaller model",
		 (double)(bytes < need_sum(n) ? bytes : need_sum(n)) / 1e9);
}

/* Passes have fewer rows where the model would not fit beside their buffers otherwise. */
static int memory_check(struct cuda *m, const struct model_plan *p, struct err *e)
{
	char words[120];
	uint64_t has, most = p->memory_max;
	struct need need = need_of(m), *n = &need;
	TRY(device_memory(m->device, &has, e));
	has -= has > 16 * MARGIN_BYTES ? MARGIN_BYTES : 0;
	bool limited = most > 0 && most < has;
	has = limited ? most : has;
	while (need_sum(n) > has && cuda_work_less(m))
		need = need_of(m);
	if (need_sum(n) <= has)
		return 0;
	advice(m, p, n, has, words, sizeof words);
	return err_set(
		e, ERR_UNAVAILABLE,
		"%.100s: the model needs %.2f GB of its memory (%llu bytes: weights %.2f GB, "
		"buffers %.2f, the least cache %.2f), %.2f GB (%llu bytes) %s: %s",
		m->name, (double)need_sum(n) / 1e9, (unsigned long long)need_sum(n),
		(double)n->weights / 1e9, (double)n->buffers / 1e9, (double)n->cache / 1e9,
		(double)has / 1e9, (unsigned long long)has, limited ? "are allowed" : "are free",
		words);
}

static int memory_alloc(struct cuda *m, struct err *e)
{
	struct cuda_weights *w = &m->weights;
	TRY(device_alloc(m->device, w->panels.bytes, &w->panels, e));
	TRY(device_alloc(m->device, w->floats.bytes, &w->floats, e));
	return cuda_work_open(m, e);
}

int cuda_memory_take(struct cuda *m, const struct model_plan *p, struct err *e)
{
	struct err why = { 0 };
	TRY(memory_check(m, p, e));
	int rc = memory_alloc(m, &why); /* others may be quicker */
	return rc == 0 ? 0 : err_set(e, ERR_UNAVAILABLE, "%.500s", why.text);
}

uint64_t cuda_memory_free(const struct backend *b)
{
	uint64_t bytes = 0;
	if (device_memory(((const struct cuda *)b)->device, &bytes, NULL) < 0)
		return 0;
	return bytes;
}
