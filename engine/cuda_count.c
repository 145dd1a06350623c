/* What the passes of the GPU had to read and do, as cpu_forward.c and cpu_jobs.c count it; and the
 * rate that its memory reaches. */
#include "engine/cuda.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define PEAK_ROUNDS 5
#define PEAK_BYTES MIB(2048) /* copied at once; less on a small device */

/* ---- weights ---- */

static void share_add(struct cuda_share *s, const struct device_matrix *w)
{
	uint64_t panels = (w->rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
	if (w->at == NULL)
		return;
	s->bytes += panels * w->panel_bytes;
	s->values += (uint64_t)w->rows * w->columns;
}

static void part_add(const struct cuda *m, struct cuda_share *s, const struct kernel_matrix *w)
{
	struct device_matrix on = cuda_matrix_of(m, w);
	share_add(s, &on);
}

static void network_add(const struct cuda *m, struct cuda_share *s, const struct ffn_weights *w)
{
	part_add(m, s, &w->gate);
	part_add(m, s, &w->up);
	part_add(m, s, &w->down);
}

static void layer_count(struct cuda *m, uint32_t layer)
{
	const struct layer_weights *w = cuda_host_layer(m, layer);
	struct cuda_share *s = &m->fixed[layer];
	for (int i = 0; i < MODEL_SLOTS; i++)
		part_add(m, s, &w->matrix[i]);
	for (uint32_t h = 0; w->key_up != NULL && h < m->config.layer[layer].heads; h++) {
		part_add(m, s, &w->key_up[h]);
		part_add(m, s, &w->value_up[h]);
	}
	network_add(m, s, &w->ffn);
	if (w->expert != NULL)
		network_add(m, &m->each[layer], &w->expert[0]);
}

int cuda_count_ready(struct cuda *m, struct err *e)
{
	uint32_t n = m->config.layers;
	const struct kernel_matrix *whole = cuda_host_layer(m, n)->matrix;
	m->fixed = calloc(n + 1, sizeof *m->fixed);
	m->each = calloc(n + 1, sizeof *m->each);
	if (m->fixed == NULL || m->each == NULL)
		return err_set(e, ERR_NOMEM, "list of layers");
	for (uint32_t i = 0; i < n; i++)
		layer_count(m, i);
	part_add(m, &m->fixed[n], &whole[SLOT_HEAD]);
	m->embed_row = cuda_matrix_of(m, whole[SLOT_EMBED].panel != NULL ? &whole[SLOT_EMBED]
									 : &whole[SLOT_HEAD])
			       .panel_bytes /
		       KERNEL_PANEL;
	return 0;
}

/* ---- passes ---- */

/* Different ones of a layer. */
static uint32_t experts_different(const uint16_t *expert, size_t count)
{
	uint64_t mark[KERNEL_EXPERTS / 64] = { 0 };
	uint32_t n = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t *word = &mark[expert[i] / 64 % (KERNEL_EXPERTS / 64)],
			 bit = 1ull << expert[i] % 64;
		n += (*word & bit) == 0;
		*word |= bit;
	}
	return n;
}

static uint64_t attended(const struct model_layer *l, uint32_t position)
{
	uint32_t all = position + 1;
	if (l->chunk > 0)
		return position % l->chunk + 1;
	return l->window > 0 && l->window < all ? l->window : all;
}

static void attention_count(struct cuda *m, const struct pass *p, uint32_t layer)
{
	const struct model_config *c = &m->config;
	const struct model_layer *l = &c->layer[layer];
	bool mla = l->mixer == MODEL_MIX_MLA;
	uint64_t widths = mla ? 2 * (uint64_t)c->kv_rank + c->rope_head : l->head + l->value,
		 numbers = mla ? c->kv_rank + c->rope_head : l->kv_heads * (l->head + l->value),
		 bytes = numbers * (m->kind == KERNEL_CACHE_BF16 ? 2 : 4);
	for (uint32_t i = 0; i < p->rows; i++) {
		uint64_t n = attended(l, p->position[i]);
		m->traffic.attention_operations += n * 2 * widths * l->heads;
		if (i + 1 == p->rows || p->sequence[i + 1] != p->sequence[i])
			m->traffic.cache_bytes += n * bytes;
	}
}

void cuda_count(struct cuda *m, const struct pass *p, const uint16_t *expert, size_t step)
{
	struct engine_traffic *t = &m->traffic;
	uint32_t layers = m->config.layers, moe = 0;
	size_t slots = (size_t)p->rows * m->config.gate.top_k;
	t->passes++;
	t->rows += p->rows;
	t->weight_bytes += p->rows * m->embed_row + (p->wanted > 0 ? m->fixed[layers].bytes : 0);
	t->operations += 2 * m->fixed[layers].values * p->wanted;
	for (uint32_t l = 0; l < layers; l++) {
		t->weight_bytes += m->fixed[l].bytes;
		t->operations += 2 * m->fixed[l].values * p->rows;
		attention_count(m, p, l);
		if (m->config.layer[l].ffn == MODEL_FFN_DENSE)
			continue;
		uint32_t n = experts_different(expert + moe++ * step, slots);
		t->experts += n;
		t->weight_bytes += n * m->each[l].bytes;
		t->operations += 2 * m->each[l].values * slots;
	}
}

/* ---- the device's own rate ---- */

/* Bytes a second that a copy within the device reads and writes: the best of some. */
static int copy_rate(struct cuda *m, const struct device_buffer *both, size_t bytes, double *rate,
		     struct err *e)
{
	struct device_buffer to = *both, from = *both;
	from.at = (unsigned char *)both->at + bytes;
	to.bytes = from.bytes = bytes;
	*rate = 0;
	for (int i = 0; i < PEAK_ROUNDS; i++) {
		double us;
		TRY(device_clock_start(m->stream, e));
		TRY(device_copy(m->stream, &to, &from, bytes, e));
		TRY(device_clock_stop(m->stream, &us, e));
		double now = us > 0 ? 2e6 * (double)bytes / us : 0;
		*rate = now > *rate ? now : *rate;
	}
	return 0;
}

int cuda_peak(struct backend *b, enum backend_peak what, double *rate, struct err *e)
{
	struct cuda *m = cuda_of(b);
	struct device_buffer both;
	uint64_t bytes;
	if (what != BACKEND_PEAK_READ)
		return err_set(
			e, ERR_UNSUPPORTED,
			"not available in this version: the limit of multiplications of a GPU");
	TRY(device_memory(m->device, &bytes, e));
	bytes = bytes / 4 < PEAK_BYTES ? bytes / 4 : PEAK_BYTES;
	TRY(device_alloc(m->device, 2 * bytes, &both, e));
	int rc = copy_rate(m, &both, bytes / 256 * 256, rate, e);
	device_free(&both);
	return rc;
}
