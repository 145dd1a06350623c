/* Private to attend.cu: how the work of a pass is dealt out, how an item lies in shared memory, and
 * how the cache gets there. No bit of a result depends on anything here.
 *
 * A tile is a few rows of a sequence that follow one another. An item is a tile, some heads of it
 * that share a key head, and one split (or, where a tile's rows are not cut, all splits). Its
 * columns are its queries: column c is row c / heads, head c % heads.
 *
 * Positions come in steps, each to a stage of shared memory: rows of numbers as bf16 (an f32 cache
 * has two planes, the second is what the first leaves), 16 bytes more than the numbers take, so
 * that eight rows lie in different banks. */
#ifndef KERNELS_ATTEND_ITEMS_H
#define KERNELS_ATTEND_ITEMS_H

#include "kernels/attend_room.h"
#include "kernels/device_kernel.h"

namespace attend_parts
{

enum {
	QUERIES = 8,      /* columns of a matrix instruction */
	LATENT_TILE = 64, /* positions whose weights are found at once; others: a split */
	HEAD_BYTES = 256, /* of shared memory: struct head */
	STATE_AT = 256,   /* struct columns */
	STATE_BYTES = 1792,
	COLUMNS = 32,         /* of an item at most */
	STAGES_MOST = 4,      /* in flight */
	PAD = 16,             /* bytes between rows */
	FEW_ROWS = 4,         /* of a sequence that decodes, with guesses maybe */
	HALF_ROOM = 112 << 10 /* of two blocks, in a step's kernel too */
};

#ifdef DEVICE_STEP
enum { IN_STEP = 1 };
#else
enum { IN_STEP = 0 };
#endif

struct plan {
	uint32_t share, group, groups; /* heads of a key head, of an item; items of a key head */
	uint32_t rows, columns;        /* of a tile; most of an item, whole instructions */
	uint32_t cut_rows;             /* device_attend_cut_rows */
	uint32_t wide, tail, value;    /* as stored */
	uint32_t query_bytes;          /* of a column, one term */
	uint32_t row_bytes, plane_bytes, stage_bytes;
	uint32_t step, stages; /* positions; steps in flight and in use */
	uint32_t score_bytes;  /* of a column */
	uint32_t query_at, score_at, stage_at, bytes;
};

static __host__ __device__ __forceinline__ uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}
static __host__ __device__ __forceinline__ uint32_t most_of(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}
static __host__ __device__ __forceinline__ uint32_t divided(uint32_t n, uint32_t by)
{
	return (n + by - 1) / by;
}

/* Columns: 8, 16 or 32. More share what is read of the cache, and take more registers; what is
 * rarer is built for 16 at most, and so is a whole step's kernel, which decodes; of latent
 * attention, whose sums are many, it has room for 8. */
static __host__ __device__ __forceinline__ uint32_t columns_most(const struct attend_args &a)
{
	if (IN_STEP && a.latent)
		return QUERIES;
	bool few = IN_STEP || a.latent || a.value > 128 || a.cache == KERNEL_CACHE_F32;
	uint32_t most = few ? 2 * QUERIES : 4 * QUERIES;
	return a.form.queries > 0 && a.form.queries < most ? a.form.queries : most;
}

/* Stages that fit; of attention with keys and values apart, steps as long as two fit. */
static __host__ __device__ __forceinline__ void plan_stages(const struct attend_args &a,
							    uint32_t planes, struct plan *p)
{
	uint32_t whole = a.form.room > 0 ? a.form.room : DEVICE_SHARED_MOST;
	uint32_t stages = a.form.stages > 0 ? a.form.stages : (uint32_t)STAGES_MOST;
	uint32_t room = least(HALF_ROOM, whole), least_step = a.latent ? (uint32_t)LATENT_TILE : 64;
	bool tight = p->columns > 2 * QUERIES ||
		     p->stage_at + 2 * planes * least_step * p->row_bytes > room;
	if (!IN_STEP && (a.form.alone || tight)) /* there two blocks with a stage each take turns */
		room = whole;
	p->step = a.latent ? (uint32_t)LATENT_TILE : 128;
	while (!a.latent && p->step > 16 &&
	       p->stage_at + 2 * planes * p->step * p->row_bytes > room)
		p->step /= 2;
	p->plane_bytes = p->step * p->row_bytes;
	p->stage_bytes = planes * p->plane_bytes;
	p->stages = 1;
	while (p->stages < stages && p->stage_at + (p->stages + 1) * p->stage_bytes <= room)
		p->stages++;
	p->bytes = p->stage_at + p->stages * p->stage_bytes;
}

/* Of at most so many columns an item. */
static __host__ __device__ __forceinline__ struct plan plan_with(const struct attend_args &a,
								 uint32_t most)
{
	struct plan p;
	uint32_t tile = a.latent ? (uint32_t)LATENT_TILE : KERNEL_SPLIT,
		 planes = a.cache == KERNEL_CACHE_F32 ? 2 : 1;
	p.share = a.heads / a.kv_heads;
	p.groups = divided(p.share, most);
	p.group = divided(p.share, p.groups);
	p.rows = p.groups > 1 ? 1 : least(most / p.share, a.rows_most);
	/* at least what the kernel computes, however few queries a form asks for */
	p.columns = device_attend_columns(&a);
	while (p.columns < p.rows * p.group)
		p.columns *= 2;
	p.cut_rows = device_attend_cut_rows(&a);
	p.wide = device_cache_width(a.wide);
	p.tail = device_cache_width(a.tail);
	p.value = device_cache_width(a.value);
	p.query_bytes = 2 * (p.wide + p.tail) + PAD;
	p.row_bytes = 2 * most_of(p.wide + p.tail, p.value) + PAD;
	p.score_bytes = 4 * tile + PAD;
	p.query_at = STATE_AT + STATE_BYTES;
	p.score_at = p.query_at + 2 * p.columns * p.query_bytes;
	p.stage_at = (p.score_at + p.columns * p.score_bytes + 127) / 128 * 128;
	plan_stages(a, planes, &p);
	return p;
}

/* Fewer columns where more would leave no room for a stage: on 8.0 and 12.0. */
static __host__ __device__ __forceinline__ struct plan plan_of(const struct attend_args &a)
{
	uint32_t most = columns_most(a), room = a.form.room > 0 ? a.form.room : DEVICE_SHARED_MOST;
	struct plan p = plan_with(a, most);
	while (!IN_STEP && p.bytes > room && most > QUERIES) {
		most /= 2;
		p = plan_with(a, most);
	}
	return p;
}

/* ---- items ---- */

struct tile {
	uint32_t row, rows, sequence, position; /* position: of the first row */
	uint32_t first, last;                   /* positions that any row attends */
	uint32_t begin, end;                    /* splits that hold them */
	bool cut;
};

struct item {
	struct tile tile;
	uint32_t begin, end; /* splits */
	uint32_t key, head;  /* key head; first head */
	uint32_t heads;
};

/* What all threads know, at the beginning of shared memory: registers are few. Who uses a field in
 * a loop copies it first, for copies into shared memory are thought to change it. */
struct head {
	struct plan plan;
	struct item item;
};
static_assert(sizeof(struct head) <= HEAD_BYTES, "the plan and an item");

/* The first of the positions that a row attends; the last is its own. */
static __device__ __forceinline__ uint32_t first_of(const struct attend_args &a, uint32_t position)
{
	if (a.chunk > 0)
		return position - position % a.chunk;
	return a.window > 0 && position + 1 >= a.window ? position + 1 - a.window : 0;
}

/* false: none begins at this row. */
static __device__ bool tile_at(const struct attend_args &a, const struct plan &p, uint32_t row,
			       struct tile *t)
{
	const struct device_batch &b = *a.batch;
	if (row >= b.rows)
		return false;
	bool alone = b.rows == b.sequences; /* decoding: fewer loads wait for each other */
	t->row = row;
	t->sequence = alone ? row : b.sequence[row];
	t->position = b.position[row];
	uint32_t first = alone ? row : b.first_row[t->sequence],
		 end = alone ? row + 1 : b.first_row[t->sequence + 1];
	if ((row - first) % p.rows != 0)
		return false;
	t->rows = least(p.rows, end - row);
	t->first = first_of(a, t->position);
	t->last = t->position + t->rows - 1;
	t->begin = t->first / KERNEL_SPLIT;
	t->end = t->last / KERNEL_SPLIT + 1;
	/* Records are not worth their memory's time where there are enough tiles for all blocks. */
	uint32_t cut = a.form.cut > 0 ? a.form.cut : 4;
	bool many = divided(b.rows, p.rows) * a.kv_heads * p.groups >= cut * gridDim.x;
	t->cut = a.record != nullptr && row + t->rows <= p.cut_rows &&
		 (end - first <= FEW_ROWS || !many);
	return true;
}

/* Where a block is in the list of all items. Each warp counts for itself. */
struct search {
	uint32_t slice, before; /* a row, and the items of the rows before it */
	uint32_t through;       /* lane l: items that begin at rows slice to slice + l */
};

static __device__ void search_slice(const struct attend_args &a, const struct plan &p,
				    struct search *s)
{
	struct tile t;
	uint32_t lane = threadIdx.x % WARP, chains = a.kv_heads * p.groups;
	s->through = 0;
	if (tile_at(a, p, s->slice + lane, &t))
		s->through = (t.cut ? t.end - t.begin : 1) * chains;
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		uint32_t other = __shfl_up_sync(WARP_ALL, s->through, step);
		s->through += lane >= step ? other : 0;
	}
}

/* The item of a number that only grows; false: there is none. */
static __device__ bool search_item(const struct attend_args &a, const struct plan &p,
				   struct search *s, uint32_t number, struct item *it)
{
	uint32_t all;
	while (number >= s->before + (all = __shfl_sync(WARP_ALL, s->through, WARP - 1))) {
		s->before += all;
		s->slice += WARP;
		if (s->slice >= a.batch->rows)
			return false;
		search_slice(a, p, s);
	}
	uint32_t in = number - s->before, chains = a.kv_heads * p.groups;
	uint32_t lane = (uint32_t)__ffs((int)__ballot_sync(WARP_ALL, s->through > in)) - 1;
	uint32_t first = __shfl_sync(WARP_ALL, s->through, (int)(lane > 0 ? lane - 1 : 0));
	in -= lane > 0 ? first : 0;
	tile_at(a, p, s->slice + lane, &it->tile);
	it->begin = it->tile.begin + (it->tile.cut ? in / chains : 0);
	it->end = it->tile.cut ? it->begin + 1 : it->tile.end;
	it->key = in % chains / p.groups;
	uint32_t from = in % p.groups * p.group;
	it->head = it->key * p.share + from;
	it->heads = least(p.group, p.share - from);
	return true;
}

/* ---- the cache ---- */

/* Positions of a split that are read: whole steps from the first one that is needed. */
static __device__ __forceinline__ uint32_t split_from(const struct plan &p, const struct tile &t,
						      uint32_t split)
{
	return most_of(split * KERNEL_SPLIT, t.first / p.step * p.step);
}
static __device__ __forceinline__ uint32_t split_to(const struct tile &t, uint32_t split)
{
	return least((split + 1) * KERNEL_SPLIT, t.last + 1);
}

/* The step that is read next. */
struct cursor {
	uint32_t split, at;
	bool values;
	const unsigned char *page; /* lane l < 4: that of the split's positions [64 l, 64 l + 64) */
};

static __device__ void cursor_split(const struct attend_args &a, const struct plan &p,
				    const struct item &it, uint32_t split, struct cursor *c)
{
	const struct device_batch &b = *a.batch;
	uint32_t page = (split * KERNEL_SPLIT / KERNEL_PAGE) +
			threadIdx.x % WARP % (KERNEL_SPLIT / KERNEL_PAGE);
	page = most_of(least(page, it.tile.last / KERNEL_PAGE), it.tile.first / KERNEL_PAGE);
	c->page = b.page_at[b.page[b.first_page[it.tile.sequence] + page]] + a.at;
	c->split = split;
	c->at = split_from(p, it.tile, split);
	c->values = false;
}

static __device__ void cursor_next(const struct attend_args &a, const struct plan &p,
				   const struct item &it, struct cursor *c)
{
	c->at += p.step;
	if (c->at < split_to(it.tile, c->split))
		return;
	if (!a.latent && !c->values) {
		c->values = true;
		c->at = split_from(p, it.tile, c->split);
	} else if (c->split + 1 < it.end) {
		cursor_split(a, p, it, c->split + 1, c);
	} else {
		c->split++;
	}
}

/* Where the numbers of a position lie: two parts one behind the other, in a page. */
struct parts {
	uint32_t first_at, second_at; /* bytes from the layer's part of a page */
	uint32_t first, second;       /* numbers */
};

static __device__ __forceinline__ struct parts parts_of(const struct attend_args &a,
							const struct plan &p, uint32_t key,
							bool values)
{
	uint32_t bytes = a.cache == KERNEL_CACHE_F32 ? 4 : 2;
	if (a.latent)
		return { 0, bytes * KERNEL_PAGE * p.wide, p.wide, p.tail };
	if (!values)
		return { bytes * KERNEL_PAGE * p.wide * key, 0, p.wide, 0 };
	return { bytes * KERNEL_PAGE * (p.wide * a.kv_heads + p.value * key), 0, p.value, 0 };
}

/* The two bf16 terms of two numbers. */
static __device__ __forceinline__ void two_terms(float low, float high, uint32_t *first,
						 uint32_t *second)
{
	*first = ptx_bf16_pair(low, high);
	*second = ptx_bf16_pair(low - device_bf16_low(*first), high - device_bf16_high(*first));
}

/* Eight numbers of an f32 cache. */
static __device__ __forceinline__ void fill_f32(const unsigned char *from, bool whole,
						unsigned char *to, uint32_t plane_bytes)
{
	float4 a = make_float4(0, 0, 0, 0), b = a;
	uint4 first, second;
	if (whole) {
		a = __ldcg((const float4 *)from);
		b = __ldcg((const float4 *)from + 1);
	}
	two_terms(a.x, a.y, &first.x, &second.x);
	two_terms(a.z, a.w, &first.y, &second.y);
	two_terms(b.x, b.y, &first.z, &second.z);
	two_terms(b.z, b.w, &first.w, &second.w);
	*(uint4 *)to = first;
	*(uint4 *)(to + plane_bytes) = second;
}

/* Bring the cursor's step to a stage; positions that no row of the tile attends are zeros, whatever
 * lies there. Lanes of a warp have neighbouring places, and all a last one: numbers of a row are a
 * multiple of 16, and so are positions of a step. */
template <int PLANES>
static __device__ __forceinline__ void fill(const struct attend_args &a, const struct plan &p,
					    const struct item &it, const struct cursor &c,
					    unsigned char *stage)
{
	const struct parts from = parts_of(a, p, it.key, c.values);
	uint32_t step = p.step, row_bytes = p.row_bytes, plane_bytes = p.plane_bytes,
		 first = it.tile.first, last = it.tile.last;
	uint32_t places = (from.first + from.second) / 8, row = threadIdx.x / places,
		 place = threadIdx.x % places, rows = DEVICE_THREADS / places,
		 rest = DEVICE_THREADS % places;
	while (row < step) {
		uint32_t position = c.at + row, k = 8 * place, width = from.first;
		uint32_t at = from.first_at;
		const unsigned char *page =
			(const unsigned char *)__shfl_sync(WARP_ALL, (unsigned long long)c.page,
							   (int)(position / KERNEL_PAGE %
								 (KERNEL_SPLIT / KERNEL_PAGE)));
		if (k >= width) {
			k -= width;
			width = from.second;
			at = from.second_at;
		}
		at += (position % KERNEL_PAGE * width + k) * (PLANES == 2 ? 4 : 2);
		bool whole = position >= first && position <= last;
		unsigned char *to = stage + row * row_bytes + place * 16;
		if (PLANES == 2)
			fill_f32(page + at, whole, to, plane_bytes);
		else
			ptx_copy_async16(to, page + at, whole);
		row += rows;
		place += rest;
		if (place >= places) {
			place -= places;
			row++;
		}
	}
}

/* ---- the stages ---- */

struct ring {
	struct cursor next;
	uint32_t used, begun; /* steps */
};

template <int PLANES>
static __device__ __forceinline__ void ring_fill(const struct attend_args &a, const struct plan &p,
						 const struct item &it, unsigned char *shared,
						 struct ring *r)
{
	if (r->next.split < it.end) {
		fill<PLANES>(a, p, it, r->next,
			     shared + p.stage_at + r->begun % p.stages * p.stage_bytes);
		cursor_next(a, p, it, &r->next);
	}
	r->begun++;
	ptx_copy_commit();
}

template <int PLANES>
static __device__ void ring_begin(const struct attend_args &a, const struct plan &p,
				  const struct item &it, unsigned char *shared, struct ring *r)
{
	r->used = r->begun = 0;
	cursor_split(a, p, it, it.begin, &r->next);
	while (r->begun + 1 < p.stages)
		ring_fill<PLANES>(a, p, it, shared, r);
}

/* The next step's stage, once it is there for all. The one used before is filled anew: so nobody
 * reads it any more who comes here. */
template <int PLANES>
static __device__ const unsigned char *ring_next(const struct attend_args &a, const struct plan &p,
						 const struct item &it, unsigned char *shared,
						 struct ring *r)
{
	if (p.stages == 2)
		ptx_copy_wait<0>();
	else if (p.stages == 3)
		ptx_copy_wait<1>();
	else if (p.stages == 4)
		ptx_copy_wait<2>();
	__syncthreads();
	ring_fill<PLANES>(a, p, it, shared, r);
	if (p.stages == 1) {
		ptx_copy_wait<0>();
		__syncthreads();
	}
	return shared + p.stage_at + r->used++ % p.stages * p.stage_bytes;
}

} /* namespace attend_parts */

#endif
