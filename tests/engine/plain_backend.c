#include "plain_backend.h"

#include "base/check.h"
#include "model/synthetic.h"

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

/* The i-th part of an item. */
static float **place_of(struct plain *m, const struct model_item *it, size_t i)
{
	enum model_slot slot = it->part[i % it->parts].slot;
	struct plain_layer *l = &m->layer[model_slot_is_whole(slot) ? m->config.layers : it->layer];
	uint32_t expert = it->stack > 0 ? (uint32_t)(i / it->parts) : it->expert;
	return expert == MODEL_NO_EXPERT ? &l->slot[slot] : &l->expert[expert][slot - SLOT_GATE];
}

static size_t stacked(const struct model_item *it) { return it->stack > 0 ? it->stack : 1; }

/* Where the row-th stored row goes, of all experts. */
static float *row_of(struct plain *m, const struct model_item *it, uint64_t row)
{
	uint32_t r = (uint32_t)(row % it->rows), part = 0;
	while (model_part_before(it, part, r + 1) == model_part_before(it, part, r))
		part++;
	return *place_of(m, it, row / it->rows * it->parts + part) +
	       (size_t)model_part_before(it, part, r) * it->columns;
}

static int place_item(struct plain *m, size_t i, const struct model_item *it, struct err *e)
{
	if (it->format == KERNEL_Q8 || it->format == KERNEL_Q4)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: %s by the plain backend",
		               kernel_format_name(it->format));
	if (it->kind == ITEM_FP8_SCALES || it->kind == ITEM_BLOCK_SCALES)
		m->scale[i] = zeroed(stacked(it) * it->rows * it->columns, sizeof(float));
	for (size_t j = 0; it->kind != ITEM_TIED && !m->scale[i] && j < stacked(it) * it->parts; j++)
		*place_of(m, it, j) = zeroed((size_t)model_part_rows(it, (uint32_t)(j % it->parts)) * it->columns,
		                             sizeof(float));
	if (it->kind != ITEM_TIED && !m->scale[i])
		m->backend.weight_bytes += stacked(it) * it->rows * it->columns * sizeof(float);
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
		unsigned byte = bytes[i / 2 - at];
		row_of(m, it, i / it->columns)[i % it->columns] =
			mx_value(i % 2 == 0 ? byte & 15u : byte >> 4, scale[i / KERNEL_GROUP]);
	}
}

/* One expert of [E][columns][rows]. */
static void fill_turned(struct plain *m, const struct model_item *it, uint64_t expert,
                        const unsigned char *bytes)
{
	for (uint64_t i = 0; i < (uint64_t)it->rows * it->columns; i++)
		model_dtype_widen(it->dtype, bytes + i * model_dtype_bits(it->dtype) / 8, 1,
		                  row_of(m, it, expert * it->rows + i % it->rows) + i / it->rows);
}

static void fill_rows(struct plain *m, const struct model_item *it, enum model_dtype dtype, uint64_t at,
                      const unsigned char *bytes, uint64_t len)
{
	uint64_t row = model_dtype_bytes(dtype, it->columns);
	for (uint64_t i = 0; i < len / row; i++)
		model_dtype_widen(dtype, bytes + i * row, it->columns, row_of(m, it, at / row + i));
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
		fill_turned(m, it, at / it->group_bytes, bytes);
		return 0;
	case ITEM_FLOATS:
		fill_rows(m, it, MODEL_F32, at, bytes, len);
		return 0;
	case ITEM_FP8_SCALES:
		model_dtype_widen(it->dtype, bytes, len / size, m->scale[i] + at / size);
		return 0;
	case ITEM_TIED: {
		float *want = *place_of(m, &m->plan->item[it->parent], 0), value;
		for (uint64_t j = 0; j < len / size; j++) {
			model_dtype_widen(it->dtype, bytes + j * size, 1, &value);
			if (memcmp(&value, &want[at / size + j], sizeof value) != 0)
				return err_set(e, ERR_INPUT, "lm_head.weight differs from the embeddings");
		}
		return 0;
	}
	default:
		fill_rows(m, it, it->dtype, at, bytes, len);
		return 0;
	}
}

/* Rows [rows][columns] of a matrix, rounded to its format. */
static void part_invent(const struct model_item *it, uint32_t rows, uint32_t columns, uint64_t seed,
                        uint64_t key, float *out)
{
	unsigned exponent = model_sample_exponent(it->class, columns);
	float *sample = malloc(KERNEL_PANEL * sizeof *sample * columns);
	const struct kernels *k = kernels_at(0);
	struct kernel_matrix w;
	check(sample != NULL && kernel_matrix_alloc(&w, it->format, KERNEL_PANEL, columns, NULL) == 0);
	const struct kernel_stored_rows in = { KERNEL_FROM_F32, sample, columns * sizeof *sample, NULL, 0 };
	for (uint32_t row = 0; row < rows; row++) {
		uint32_t panel = row / KERNEL_PANEL;
		bool full = rows - panel * KERNEL_PANEL >= KERNEL_PANEL;
		if (row % KERNEL_PANEL == 0) {
			model_sample_rows(seed, full ? model_sample_pick(seed, key, panel) : 0, exponent, columns,
			                  sample);
			check(k->pack(&w, 0, KERNEL_PANEL, &in) == (uint64_t)KERNEL_PANEL * columns);
		}
		kernel_matrix_row(&w, row % KERNEL_PANEL, out + (size_t)row * columns);
	}
	kernel_matrix_free(&w);
	free(sample);
}

/* Of each head: the key rows transposed, then the value rows, each a matrix of its own. */
static void latent_invent(struct plain *m, const struct model_item *it, uint64_t seed, uint64_t number)
{
	const struct model_config *c = &m->config;
	uint32_t rank = c->kv_rank;
	float *out = *place_of(m, it, 0), *turned = malloc(rank * sizeof *turned * c->nope);
	check(turned != NULL);
	for (uint32_t h = 0; h < it->rows / (c->nope + c->value); h++) {
		part_invent(it, rank, c->nope, seed, model_sample_key(number, 2 * h), turned);
		for (size_t i = 0; i < (size_t)rank * c->nope; i++)
			out[i % c->nope * rank + i / c->nope] = turned[i];
		out += (size_t)c->nope * rank;
		part_invent(it, c->value, rank, seed, model_sample_key(number, 2 * h + 1), out);
		out += (size_t)c->value * rank;
	}
	free(turned);
}

static int invent(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
                  struct err *e)
{
	struct plain *m = keeper_of(k);
	if (it->kind == ITEM_KV_B) {
		latent_invent(m, it, seed, number);
		return 0;
	}
	if (it->kind != ITEM_MATRIX && it->kind != ITEM_FLOATS)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: such weights invented");
	for (size_t i = 0; i < stacked(it) * it->parts; i++) {
		uint32_t rows = model_part_rows(it, (uint32_t)(i % it->parts));
		uint64_t key = model_sample_key(number, i);
		if (it->kind == ITEM_FLOATS)
			model_sample_floats(seed, key, it->gain, (size_t)rows * it->columns, *place_of(m, it, i));
		else
			part_invent(it, rows, it->columns, seed, key, *place_of(m, it, i));
	}
	return 0;
}

/* Scales of FP8 blocks come before or after what they scale, so they are multiplied in the end. */
static int finish(struct model_keeper *k, struct err *e)
{
	struct plain *m = keeper_of(k);
	(void)e;
	for (size_t i = 0; i < m->items; i++) {
		const struct model_item *it = &m->plan->item[i], *w = &m->plan->item[it->parent];
		size_t across = it->columns;
		for (uint64_t j = 0; it->kind == ITEM_FP8_SCALES && j < stacked(w) * w->rows; j++) {
			const float *scale = m->scale[i] + (j / w->rows * it->rows +
			                                    j % w->rows / KERNEL_FP8_BLOCK) * across;
			float *row = row_of(m, w, j);
			for (uint32_t n = 0; n < w->columns; n++)
				row[n] *= scale[n / KERNEL_FP8_BLOCK];
		}
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
	for (uint32_t i = 0; i < of(b)->config.rope_count; i++)
		TRY(rope_table_grow(&of(b)->rope[i], count, e));
	return 0;
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
	for (uint64_t i = 0; i < m->states; i++)
		free(m->state[i]);
	free(m->layer), free(m->scale), free(m->page), free(m->state);
	for (uint32_t i = 0; i < m->config.rope_count; i++)
		rope_table_close(&m->rope[i]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* Floats of the widest cache row. */
static uint32_t widest(const struct model_config *c)
{
	uint32_t most = c->kv_rank + c->rope_head + c->index_head;
	for (uint32_t i = 0; i < c->layers; i++) {
		uint32_t n = c->layer[i].kv_heads * (c->layer[i].head + c->layer[i].value);
		most = n > most ? n : most;
	}
	return most;
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
	m->width = widest(c);
	m->backend = (struct backend){
		.keeper = { .place = place, .fill = fill, .invent = invent, .finish = finish },
		.device = "test", .device_name = "", .set = "plain", .numerics = "double",
		.regime = "test/1", .rows_max = PLAIN_ROWS,
		.page_bytes = (uint64_t)c->layers * KERNEL_PAGE * m->width * sizeof(float),
		.state_bytes = plain_state_bytes(c), .states = plain_states, .state_copy = plain_state_copy,
		.pages = pages, .page_copy = page_copy, .positions = positions, .forward = plain_forward,
		.load = load, .peak = peak, .close = close_plain,
	};
	pthread_mutex_init(&m->lock, NULL);
	for (uint32_t i = 0; i < c->rope_count; i++)
		TRY(rope_table_open(&m->rope[i], &m->config.ropes[i], e));
	*out = &m->backend;
	return 0;
}
