/* Attention of a pass over its threads. A block is a few neighbouring rows of one sequence; a unit
 * is a block with the heads that share keys, which the kernel takes at once. Where units are many
 * each is one part of work. Where they are few (one sequence decoding) units are cut into chunks of
 * splits, each split leaving its record, and a second stage takes the records in in order: bits are
 * those of one thread. Records of all splits need not fit: they come in waves. */
#include "engine/cpu.h"

#include "base/check.h"

#define UNITS 4 /* for each thread: with fewer the splits are shared out */
#define PARTS 8 /* for each thread, about */

/* Splits [from, from + count) of all units, whose records begin at place `slot` of a unit's. */
struct wave {
	uint32_t from, count, slot, chunk; /* chunk: splits of one part */
};

struct attend {
	struct cpu *m;
	const struct pass *p;
	uint32_t layer;
	const struct cpu_heads *heads;
	uint32_t blocks, units;
	size_t record; /* floats, at most */
	uint32_t room; /* records of a unit */
	struct wave wave;
};

/* The first of the cache rows that the row at a position attends; the last is its own. */
static uint32_t first_of(const struct model_layer *l, uint32_t position)
{
	if (l->chunk > 0)
		return position - position % l->chunk;
	return l->window > 0 && position + 1 >= l->window ? position + 1 - l->window : 0;
}

/* A window moves with its row; else neighbours begin alike. */
static bool moves_at(const struct model_layer *l, uint32_t position)
{
	return l->chunk == 0 && l->window > 0 && position + 1 >= l->window;
}

/* How many of the rows from i on may share a call: of one sequence, and with equally many
 * splits. A row that chooses its positions shares none. */
static uint32_t block_take(const struct attend *t, uint32_t i)
{
	const struct pass *p = t->p;
	const struct model_layer *l = cpu_layer(t->m, t->layer);
	uint32_t n = 1, most = t->heads->rows, first = first_of(l, p->position[i]);
	bool moves = moves_at(l, p->position[i]);
	uint32_t split = (p->position[i] - first) / KERNEL_SPLIT;
	while (n < most && i + n < p->rows && p->sequence[i + n] == p->sequence[i] &&
	       !cpu_row_chooses(t->m, t->layer, p->position[i + n]) &&
	       (moves ||
		(!moves_at(l, p->position[i + n]) && first_of(l, p->position[i + n]) == first &&
		 (p->position[i + n] - first) / KERNEL_SPLIT == split)))
		n++;
	return n;
}

static void blocks_find(struct attend *t)
{
	struct cpu_block *block = t->m->work.block;
	t->blocks = 0;
	for (uint32_t i = 0; i < t->p->rows; i += block[t->blocks++].rows)
		block[t->blocks] = (struct cpu_block){ i, block_take(t, i) };
}

/* Unit u as a call. */
static struct kernel_attention unit_of(const struct attend *t, uint32_t u, unsigned worker)
{
	const struct cpu *m = t->m;
	struct cpu_block b = m->work.block[u / t->heads->groups];
	const struct model_layer *l = cpu_layer(m, t->layer);
	uint32_t position = t->p->position[b.row];
	struct kernel_attention a = {
		.cache = m->kind,
		.page = cpu_pages_of(m, t->p, t->layer, t->p->sequence[b.row]),
		.rows = b.rows,
		.first = first_of(l, position),
		.moves = moves_at(l, position),
		.positions = position + 1,
		.scale = l->scale,
		.softcap = m->config.attention_softcap,
		.scratch = m->work.scratch + worker * m->work.scratch_floats,
	};
	if (cpu_row_chooses(m, t->layer, position)) {
		a.positions = m->config.index_top_k;
		a.chosen = m->work.chosen + (size_t)b.row * a.positions;
		a.gathered = m->work.gathered + worker * m->work.gathered_bytes;
	}
	t->heads->shape(m, t->layer, b.row, u % t->heads->groups, &a);
	return a;
}

static void unit_share(void *ctx, struct part part)
{
	const struct attend *t = ctx;
	for (uint32_t u = part.begin; u < part.end; u++) {
		struct kernel_attention a = unit_of(t, u, part.worker);
		kernel_attention_run(t->m->kernels, &a);
	}
}

static float *records_of(const struct attend *t, uint32_t unit)
{
	return t->m->work.record + (size_t)unit * t->room * t->record;
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t chunks_of(const struct wave *w) { return (w->count + w->chunk - 1) / w->chunk; }

static void splits_share(void *ctx, struct part part)
{
	const struct attend *t = ctx;
	const struct wave *w = &t->wave;
	for (uint32_t i = part.begin; i < part.end; i++) {
		uint32_t unit = i / chunks_of(w), chunk = i % chunks_of(w) * w->chunk;
		struct kernel_attention a = unit_of(t, unit, part.worker);
		uint32_t splits = kernel_attention_splits(&a), from = w->from + chunk;
		uint32_t to = least(splits, least(from + w->chunk, w->from + w->count));
		size_t step = kernel_attention_record(a.heads * a.rows, a.value);
		if (from < to)
			t->m->kernels->attn(&a, from, to - from,
					    records_of(t, unit) + (w->slot + chunk) * step, false);
	}
}

static void join_share(void *ctx, struct part part)
{
	const struct attend *t = ctx;
	const struct wave *w = &t->wave;
	for (uint32_t i = part.begin; i < part.end; i++) {
		struct kernel_attention a = unit_of(t, i / PARTS, part.worker);
		uint32_t splits = kernel_attention_splits(&a), lanes = a.heads * a.rows;
		uint32_t lane = lanes * (i % PARTS) / PARTS, end = lanes * (i % PARTS + 1) / PARTS;
		if (lane < end && w->from < splits)
			t->m->kernels->attn_join(&a, lane, end - lane, records_of(t, i / PARTS),
						 w->slot + least(splits - w->from, w->count),
						 w->from + w->count >= splits);
	}
}

/* Find the most splits of a unit, and how many records there is room for. */
static uint32_t splits_most(struct attend *t)
{
	uint32_t most = 0, rows = 0;
	for (uint32_t b = 0; b < t->blocks; b++) {
		struct kernel_attention a = unit_of(t, b * t->heads->groups, 0);
		uint32_t n = kernel_attention_splits(&a);
		most = n > most ? n : most;
		rows = a.rows > rows ? a.rows : rows;
	}
	t->record = kernel_attention_record(rows * t->heads->heads, t->heads->value);
	size_t room = t->m->work.record_floats / t->record / t->units;
	t->room = room < most ? (uint32_t)room : most;
	return most;
}

static void waves_run(struct attend *t, uint32_t splits)
{
	uint32_t threads = pool_threads(t->m->pool);
	for (uint32_t from = 0; from < splits; from += t->wave.count) {
		uint32_t slot = from > 0;
		struct wave w = { from, least(splits - from, t->room - slot), slot, 1 };
		w.chunk += w.count * t->units / (PARTS * threads);
		t->wave = w;
		pool_run_in_order(t->m->pool, t->units * chunks_of(&w), splits_share, t);
		pool_run(t->m->pool, t->units * PARTS, join_share, t);
	}
}

void cpu_attend_run(struct cpu *m, const struct pass *p, uint32_t layer, const struct cpu_heads *h)
{
	struct attend t = { .m = m, .p = p, .layer = layer, .heads = h };
	uint32_t threads = pool_threads(m->pool), splits = 1;
	blocks_find(&t);
	t.units = t.blocks * h->groups;
	check(t.units > 0); /* a pass has rows */
	if (t.units < UNITS * threads && m->work.record != NULL)
		splits = splits_most(&t);
	if (splits > 1 && t.room > 1)
		waves_run(&t, splits);
	else
		pool_run_in_order(m->pool, t.units, unit_share, &t);
}

/* ---- memory ---- */

static uint32_t divided(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

struct cpu_heads cpu_heads_of(const struct model_config *c, uint32_t layer)
{
	const struct model_layer *l = &c->layer[layer];
	bool mla = l->mixer == MODEL_MIX_MLA;
	uint32_t group = mla ? l->heads : l->heads / l->kv_heads;
	uint32_t calls = divided(group, KERNEL_LANES),
		 lanes = mla ? CPU_LATENT_LANES : KERNEL_LANES;
	struct cpu_heads h = {
		.wide = mla ? c->kv_rank : l->head,
		.tail = mla ? c->rope_head : 0,
		.value = mla ? c->kv_rank : l->value,
		.heads = divided(group, calls),
		.groups = (mla ? 1 : l->kv_heads) * calls,
	};
	h.rows = h.heads < lanes ? lanes / h.heads : 1;
	h.lanes = h.rows * h.heads;
	return h;
}

static bool attends(const struct model_config *c, uint32_t layer)
{
	return c->layer[layer].mixer != MODEL_MIX_DELTA;
}

size_t cpu_heads_scratch(const struct model_config *c)
{
	size_t most = 0;
	for (uint32_t i = 0; i < c->layers; i++) {
		if (!attends(c, i))
			continue;
		struct cpu_heads h = cpu_heads_of(c, i);
		size_t n = kernel_attention_scratch(h.lanes, h.wide, h.tail, h.value);
		most = n > most ? n : most;
	}
	return (most + 15) / 16 * 16;
}

size_t cpu_heads_records(const struct model_config *c, unsigned threads, size_t bytes_max)
{
	size_t splits = c->context_max / KERNEL_SPLIT + 1, floats = 0,
	       most = bytes_max / sizeof(float);
	for (uint32_t i = 0; i < c->layers; i++) {
		if (!attends(c, i))
			continue;
		struct cpu_heads h = cpu_heads_of(c, i);
		size_t n = kernel_attention_record(h.heads, h.value);
		floats = n > floats ? n : floats;
	}
	if (threads == 1 || splits == 1 || floats == 0)
		return 0;
	return splits < most / (UNITS * threads) / floats ? splits * UNITS * threads * floats
							  : most;
}
