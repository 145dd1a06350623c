#include "plain_backend.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct plain *of(struct backend *b)
{
	return (struct plain *)b;
}

static struct plain *keeper_of(struct model_keeper *k)
{
	return (struct plain *)k; /* the first member of the first member */
}

static void *zeroed(size_t count, size_t size)
{
	void *p = calloc(count + 1, size);
	check(p != NULL);
	return p;
}

/* ---- weights ---- */

static bool is_whole(enum model_slot s)
{
	return s == SLOT_EMBED || s == SLOT_HEAD || s == SLOT_NORM;
}

static float **place_of(struct plain *m, const struct model_item *it)
{
	struct plain_layer *l = &m->layer[is_whole(it->slot) ? m->config.layers : it->layer];
	return it->expert == MODEL_NO_EXPERT ? &l->slot[it->slot] : &l->expert[it->expert][it->slot - SLOT_GATE];
}

/* Matrix or bias `part` of an expert in a tensor of all experts. */
static float **fused_place(struct plain *m, const struct model_item *it, uint32_t expert, uint32_t part)
{
	int bias = it->kind == ITEM_BIASES ? SLOT_GATE_BIAS - SLOT_GATE : 0;
	int which = it->count == 1 ? SLOT_DOWN - SLOT_GATE : (int)part;
	return &m->layer[it->layer].expert[expert][bias + which];
}

static int place_item(struct plain *m, size_t i, const struct model_item *it, struct err *e)
{
	uint32_t experts = m->config.gate.experts;
	if (it->format == KERNEL_Q8 || it->format == KERNEL_Q4)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: %s by the plain backend",
		               kernel_format_name(it->format));
	if (it->kind == ITEM_FP8_SCALES || it->kind == ITEM_BLOCK_SCALES) {
		m->scale[i] = zeroed((size_t)it->rows * it->columns, sizeof(float));
	} else if (it->kind == ITEM_TRANSPOSED || it->kind == ITEM_BLOCKS || it->kind == ITEM_BIASES) {
		size_t n = it->kind == ITEM_BIASES ? it->columns : (size_t)it->rows * it->columns;
		for (uint32_t x = 0; x < experts * it->count; x++)
			*fused_place(m, it, x / it->count, x % it->count) = zeroed(n / it->count, sizeof(float));
	} else if (it->kind != ITEM_TIED) {
		*place_of(m, it) = zeroed((size_t)it->rows * it->columns, sizeof(float));
		m->backend.weight_bytes += (uint64_t)it->rows * it->columns * sizeof(float);
	}
	return 0;
}

static int place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	struct plain *m = keeper_of(k);
	*scratch = 0;
	m->plan = p;
	m->items = p->count;
	m->layer = zeroed(m->config.layers + 1, sizeof *m->layer);
	m->scale = zeroed(p->count, sizeof *m->scale);
	for (uint32_t l = 0; l < m->config.layers; l++)
		m->layer[l].expert = zeroed(m->config.gate.experts, sizeof *m->layer[l].expert);
	for (size_t i = 0; i < p->count; i++)
		TRY(place_item(m, i, &p->item[i], e));
	return 0;
}

static float mx_value(unsigned nibble, float power)
{
	static const float lut[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
	return (nibble & 8 ? -lut[nibble & 7] : lut[nibble & 7]) * power;
}

/* Codes from byte `at` of [E][rows][columns/2] on. */
static void fill_blocks(struct plain *m, const struct model_item *it, uint64_t at, const unsigned char *bytes,
                        uint64_t len)
{
	const float *scale = m->scale[it - m->plan->item + 1]; /* its scales follow it */
	for (uint64_t i = at * 2; i < (at + len) * 2; i++) {
		uint64_t row = i / it->columns, column = i % it->columns, r = row % it->rows;
		float *to = *fused_place(m, it, (uint32_t)(row / it->rows), (uint32_t)(r % it->count));
		unsigned byte = bytes[i / 2 - at];
		to[r / it->count * it->columns + column] =
			mx_value(i % 2 == 0 ? byte & 15u : byte >> 4, scale[i / KERNEL_GROUP]);
	}
}

/* One expert of [E][columns][rows]. */
static void fill_turned(struct plain *m, const struct model_item *it, uint32_t expert,
                        const unsigned char *bytes)
{
	for (uint64_t i = 0; i < (uint64_t)it->rows * it->columns; i++) {
		uint64_t r = i % it->rows, column = i / it->rows;
		float *to = *fused_place(m, it, expert, (uint32_t)(r % it->count));
		model_dtype_widen(it->dtype, bytes + i * model_dtype_bits(it->dtype) / 8, 1,
		                  to + r / it->count * it->columns + column);
	}
}

static void fill_biases(struct plain *m, const struct model_item *it, const unsigned char *bytes)
{
	for (uint64_t i = 0; i < (uint64_t)it->rows * it->columns; i++) {
		uint64_t r = i % it->columns;
		float *to = *fused_place(m, it, (uint32_t)(i / it->columns), (uint32_t)(r % it->count));
		model_dtype_widen(it->dtype, bytes + i * model_dtype_bits(it->dtype) / 8, 1, to + r / it->count);
	}
}

static int fill(struct model_keeper *k, const struct model_item *it, uint64_t at, const unsigned char *bytes,
                uint64_t len, unsigned char *scratch, struct err *e)
{
	struct plain *m = keeper_of(k);
	size_t i = (size_t)(it - m->plan->item), size = model_dtype_bits(it->dtype) / 8;
	(void)scratch;
	switch (it->kind) {
	case ITEM_BLOCKS:
		fill_blocks(m, it, at, bytes, len);
		return 0;
	case ITEM_BLOCK_SCALES:
		for (uint64_t j = 0; j < len; j++)
			m->scale[i][at + j] = ldexpf(1, bytes[j] - 127);
		return 0;
	case ITEM_TRANSPOSED:
		fill_turned(m, it, (uint32_t)(at / it->group_bytes), bytes);
		return 0;
	case ITEM_BIASES:
		fill_biases(m, it, bytes);
		return 0;
	case ITEM_FP8_SCALES:
		model_dtype_widen(it->dtype, bytes, len / size, m->scale[i] + at / size);
		return 0;
	case ITEM_TIED: {
		float *want = *place_of(m, &m->plan->item[it->parent]), value;
		for (uint64_t j = 0; j < len / size; j++) {
			model_dtype_widen(it->dtype, bytes + j * size, 1, &value);
			if (memcmp(&value, &want[at / size + j], sizeof value) != 0)
				return err_set(e, ERR_INPUT, "lm_head.weight differs from the embeddings");
		}
		return 0;
	}
	default:
		model_dtype_widen(it->dtype, bytes, len / size, *place_of(m, it) + at / size);
		return 0;
	}
}

/* Scales of FP8 blocks come before or after what they scale, so they are multiplied in the end. */
static int finish(struct model_keeper *k, struct err *e)
{
	struct plain *m = keeper_of(k);
	(void)e;
	for (size_t i = 0; i < m->items; i++) {
		const struct model_item *it = &m->plan->item[i], *w = &m->plan->item[it->parent];
		size_t blocks = it->columns;
		float *value = it->kind == ITEM_FP8_SCALES ? *place_of(m, w) : NULL;
		for (size_t j = 0; value && j < (size_t)w->rows * w->columns; j++)
			value[j] *= m->scale[i][j / w->columns / KERNEL_FP8_BLOCK * blocks +
			                        j % w->columns / KERNEL_FP8_BLOCK];
		free(m->scale[i]);
		m->scale[i] = NULL;
	}
	m->plan = NULL;
	return 0;
}

/* ---- pages ---- */

float *plain_cache_row(struct plain *m, uint32_t page, uint32_t layer, uint32_t position)
{
	pthread_mutex_lock(&m->lock);
	check(page < m->pages);
	float *at = m->page[page];
	pthread_mutex_unlock(&m->lock);
	return at + ((size_t)layer * KERNEL_PAGE + position % KERNEL_PAGE) * m->width;
}

static int pages(struct backend *b, uint64_t count, struct err *e)
{
	struct plain *m = of(b);
	pthread_mutex_lock(&m->lock);
	float **more = realloc(m->page, (m->pages + count) * sizeof *more);
	if (more)
		m->page = more;
	for (uint64_t i = 0; more && i < count; i++) {
		float *page = malloc(b->page_bytes);
		check(page != NULL);
		for (size_t j = 0; j < b->page_bytes / sizeof(float); j++)
			page[j] = NAN; /* what was not written is not read */
		m->page[m->pages++] = page;
	}
	pthread_mutex_unlock(&m->lock);
	return more ? 0 : err_set(e, ERR_NOMEM, "pages");
}

static void page_copy(struct backend *b, uint32_t from, uint32_t to)
{
	memcpy(plain_cache_row(of(b), to, 0, 0), plain_cache_row(of(b), from, 0, 0), b->page_bytes);
}

/* ---- the rest ---- */

static int positions(struct backend *b, uint32_t count, struct err *e)
{
	return rope_table_grow(&of(b)->rope, count, e);
}

static void load(const struct backend *b, struct engine_traffic *out)
{
	*out = ((const struct plain *)b)->traffic;
}

static int peak(struct backend *b, enum backend_peak what, double *rate, struct err *e)
{
	(void)b, (void)what, (void)rate;
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: limits of the plain backend");
}

static void layer_free(struct plain_layer *l, uint32_t experts)
{
	for (int s = 0; s < MODEL_SLOTS; s++)
		free(l->slot[s]);
	for (uint32_t x = 0; l->expert && x < experts; x++) {
		for (int s = 0; s < PLAIN_FFN; s++)
			free(l->expert[x][s]);
	}
	free(l->expert);
}

static void close_plain(struct backend *b)
{
	struct plain *m = of(b);
	for (uint32_t l = 0; m->layer && l <= m->config.layers; l++)
		layer_free(&m->layer[l], m->config.gate.experts);
	for (size_t i = 0; m->scale && i < m->items; i++)
		free(m->scale[i]);
	for (uint64_t i = 0; i < m->pages; i++)
		free(m->page[i]);
	free(m->layer), free(m->scale), free(m->page);
	rope_table_close(&m->rope);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int plain_open(struct backend **out, const struct backend_order *o, struct err *e)
{
	const struct model_config *c = o->config;
	struct plain *m = zeroed(1, sizeof *m);
	if (o->cache != KERNEL_CACHE_F32) {
		free(m);
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: this cache by the plain backend");
	}
	m->config = *c;
	m->width = c->attention == MODEL_ATTN_MLA ? c->kv_rank + c->rope_head : 2 * c->kv_heads * c->head;
	m->backend = (struct backend){
		.keeper = { .place = place, .fill = fill, .finish = finish },
		.device = "test", .device_name = "", .set = "plain", .numerics = "double",
		.regime = "test/1", .rows_max = PLAIN_ROWS,
		.page_bytes = (uint64_t)c->layers * KERNEL_PAGE * m->width * sizeof(float),
		.pages = pages, .page_copy = page_copy, .positions = positions, .forward = plain_forward,
		.load = load, .peak = peak, .close = close_plain,
	};
	pthread_mutex_init(&m->lock, NULL);
	*out = &m->backend;
	return rope_table_open(&m->rope, &m->config.rope, e);
}
