/* Device form of attention over a paged cache (attn.c is the truth).
 * Bound:   memory at decode: each cache row is read once for the heads that share it; matrix units
 *          and shared memory at prefill.
 * Bytes:   positions*kv_heads*(head + value)*(2 or 4) for each tile of rows (1 row at decode, up to
 *          32 queries at prefill), rows*heads*(head + value)*4, and a record of value + 2 floats
 *          written and read for each split but where one is alone.
 * Launch:  grid rows*heads*splits, block 256; an item is a tile, a key head and a split. Steps of
 *          64 or 128 positions of keys, then of values follow one another by cp.async, up to 3 in
 *          flight; warps share positions of keys, then numbers of values.
 * Order:   s = sum over 16 numbers at a time, ascending, of the queries' first terms, plus that of
 *          their second terms (and of the cache's second ones with the first), times scale; latent:
 *          each sum is that of the even tiles of 16, plus that of the odd ones. Weights of a split
 *          by its largest score (latent: of 64 positions, rescaled); totals by lanes, then a
 *          butterfly. o = sum over 16 positions at a time, ascending, of the weights' first
 *          terms, plus that of the second ones. Splits are joined in order as in attn.c. Queries
 *          are columns of an instruction: who shares it does not matter.
 * Limits:  registers 255, threads 256, local 0, loads 16, mma yes
 * Limits attend_kernel<1, 1, 256, false: registers 255, threads 256, dynamic 114688, blocks 2,
 *          local 0, loads 16, mma yes
 * Shared:  queries, scores, and stages: 113 KiB at most where two stages fit so, else 227.
 * Blocks:  2 a multiprocessor for bf16 values of up to 128 and up to 16 queries, else 1. */
#include "kernels/attend_items.h"

namespace attend_parts
{

/* Of each column, in shared memory. */
struct columns {
	uint32_t first[COLUMNS], last[COLUMNS]; /* positions attended; last < first: no query */
	float largest[COLUMNS], total[COLUMNS]; /* of the split so far */
	float joined_largest[COLUMNS], joined_total[COLUMNS]; /* of the splits so far */
	float rescale[COLUMNS];                               /* latent: of the split's sums */
	float keep[COLUMNS], take[COLUMNS];      /* of the sums joined so far, and of the split's */
	float *target[COLUMNS], factor[COLUMNS]; /* where sums go, and times what; NULL: nowhere */
	uint32_t flag;                           /* the block's */
};
static_assert(sizeof(struct columns) <= STATE_BYTES, "what is known of columns");

/* What an item's functions work on. */
struct work {
	const struct attend_args &a;
	const struct plan &p;
	const struct item &it;
	unsigned char *shared;
	struct columns &c;
};

/* NaN is the largest. */
static __device__ __forceinline__ float larger(float a, float b) { return a > b || a != a ? a : b; }

static __device__ __forceinline__ uint32_t lane_of(void) { return threadIdx.x % WARP; }
static __device__ __forceinline__ uint32_t warp_of(void) { return threadIdx.x / WARP; }

/* ---- queries ---- */

/* Numbers k and k + 1 of a column's query, as keys are stored. */
static __device__ __forceinline__ float2 query_pair(const struct work &w, uint32_t column,
						    uint32_t k)
{
	const struct attend_args &a = w.a;
	uint32_t row = column / w.it.heads, head = w.it.head + column % w.it.heads, n = a.wide;
	if (row >= w.it.tile.rows)
		return make_float2(0, 0);
	row += w.it.tile.row;
	const float *q = a.query + row * a.query_row + head * a.query_head;
	if (k >= w.p.wide) {
		q = a.query_tail + row * a.tail_row + head * a.tail_head;
		k -= w.p.wide;
		n = a.tail;
	}
	return make_float2(k < n ? q[k] : 0, k + 1 < n ? q[k + 1] : 0);
}

/* Queries as two planes of terms, [columns][numbers]; and the columns' own facts. */
static __device__ void load_queries(const struct work &w, uint32_t columns)
{
	uint32_t pairs = (w.p.wide + w.p.tail) / 2, plane = w.p.columns * w.p.query_bytes;
	for (uint32_t i = threadIdx.x; i < columns * pairs; i += DEVICE_THREADS) {
		uint32_t column = i / pairs, k = i % pairs * 2, first, second;
		float2 q = query_pair(w, column, k);
		two_terms(q.x, q.y, &first, &second);
		unsigned char *to = w.shared + w.p.query_at + column * w.p.query_bytes + 2 * k;
		*(uint32_t *)to = first;
		*(uint32_t *)(to + plane) = w.a.terms == 2 ? second : 0;
	}
	for (uint32_t i = threadIdx.x; i < columns; i += DEVICE_THREADS) {
		uint32_t row = i / w.it.heads, position = w.it.tile.position + row;
		bool real = row < w.it.tile.rows;
		w.c.first[i] = real ? first_of(w.a, position) : 1;
		w.c.last[i] = real ? position : 0;
		w.c.joined_largest[i] = -INFINITY;
		w.c.joined_total[i] = 0;
	}
}

/* ---- scores ---- */

/* A lane's row of the four 8x8 matrices of an operand A, which lie by rows. */
static __device__ __forceinline__ uint32_t operand_row(void)
{
	return lane_of() % 8 + lane_of() / 8 % 2 * 8;
}

/* Sums of CHAINS parts of the numbers, each of first and second terms, for N instructions. */
template <int N, int CHAINS> struct parts_of_scores {
	float one[CHAINS][N][4], two[CHAINS][N][4];
};

template <int N, int CHAINS>
static __device__ __forceinline__ float score_of(const struct parts_of_scores<N, CHAINS> &s, int n,
						 int i)
{
	if (CHAINS == 1)
		return s.one[0][n][i] + s.two[0][n][i];
	return (s.one[0][n][i] + s.one[CHAINS - 1][n][i]) +
	       (s.two[0][n][i] + s.two[CHAINS - 1][n][i]);
}

/* 16 positions of keys times N instructions of queries, from column on: to score [column][at...].
 * The lane's second half of numbers lies 16 bytes on. */
template <int N, int PLANES, int CHAINS>
static __device__ __forceinline__ void score_unit(const struct work &w, const unsigned char *keys,
						  uint32_t column, uint32_t at)
{
	uint32_t lane = lane_of(), query_bytes = w.p.query_bytes, plane_bytes = w.p.plane_bytes,
		 score_bytes = w.p.score_bytes, tiles = (w.p.wide + w.p.tail) / 16;
	const unsigned char *key = keys + operand_row() * w.p.row_bytes + lane / 16 * 16;
	const unsigned char *query = w.shared + w.p.query_at +
				     (lane / 16 * w.p.columns + column + lane % 8) * query_bytes +
				     lane / 8 % 2 * 16;
	struct parts_of_scores<N, CHAINS> s;
#pragma unroll
	for (int i = 0; i < CHAINS * N * 4; i++)
		s.one[i / (N * 4)][i / 4 % N][i % 4] = s.two[i / (N * 4)][i / 4 % N][i % 4] = 0;
#pragma unroll 2
	for (uint32_t k = 0; k < tiles; k += CHAINS) {
#pragma unroll
		for (int c = 0; c < CHAINS; c++, key += 32, query += 32) {
			uint32_t x[4], rest[4], q[N][4];
			if (c > 0 && k + c >= tiles)
				break;
			ptx_ldmatrix_x4(x, key);
			if (PLANES == 2)
				ptx_ldmatrix_x4(rest, key + plane_bytes);
#pragma unroll
			for (int n = 0; n < N; n++) {
				ptx_ldmatrix_x4(q[n], query + n * QUERIES * query_bytes);
				ptx_mma_bf16(s.one[c][n], x, q[n]);
				if (w.a.terms == 2)
					ptx_mma_bf16(s.two[c][n], x, q[n] + 2);
				if (PLANES == 2)
					ptx_mma_bf16(s.two[c][n], rest, q[n]);
			}
		}
	}
	unsigned char *to = w.shared + w.p.score_at + (column + lane % 4 * 2) * score_bytes +
			    (at + lane / 4) * 4;
#pragma unroll
	for (int n = 0; n < N; n++, to += QUERIES * score_bytes) {
#pragma unroll
		for (int i = 0; i < 4; i++)
			*(float *)(to + i % 2 * score_bytes + i / 2 * 32) =
				score_of<N, CHAINS>(s, n, i);
	}
}

/* Scores of a step's first `count` positions, to those from `at` on of the columns. Latent keys are
 * long and a step's tiles of positions few. */
template <int NT, int PLANES, int TILE>
static __device__ __forceinline__ void score_step(const struct work &w, const unsigned char *stage,
						  uint32_t count, uint32_t at)
{
	constexpr bool latent = TILE == LATENT_TILE;
	constexpr int N = NT > 1 && !latent ? 2 : 1;
	uint32_t tiles = divided(count, 16), tile_bytes = 16 * w.p.row_bytes;
	for (uint32_t u = warp_of(); u < tiles * (NT / N); u += DEVICE_WARPS) {
		uint32_t tile = u % tiles, column = u / tiles * (N * QUERIES);
		score_unit<N, PLANES, latent ? 2 : 1>(w, stage + tile * tile_bytes, column,
						      at + tile * 16);
	}
}

/* ---- weights ---- */

/* The factors that take a split in, and the state after it; lanes know the same. */
static __device__ __forceinline__ void join_split(const struct work &w, uint32_t column,
						  float largest, float total)
{
	float before = w.c.joined_largest[column], sum = w.c.joined_total[column];
	float now = larger(before, largest);
	float keep = device_exp(before - now), take = device_exp(largest - now);
	__syncwarp();
	if (lane_of() == 0) {
		w.c.keep[column] = keep;
		w.c.take[column] = take;
		w.c.joined_largest[column] = now;
		w.c.joined_total[column] = fmaf(total, take, sum * keep);
	}
}

/* The lane's scores of a column, capped: a loop of its own, for few models need it. */
template <int TILE> static __device__ void cap_column(const struct work &w, float *score)
{
	float cap = w.a.softcap;
#pragma unroll 1
	for (uint32_t i = lane_of() * 2; i < TILE; i += i % 2 ? 2 * WARP - 1 : 1)
		score[i] = cap * device_tanh(score[i] * w.a.scale / cap);
}

/* Scores of a column become weights, two planes of terms in the same place. TILE positions from
 * `from` on; begins: they are the first of the split; ends: the last. */
template <int TILE>
static __device__ void soften_column(const struct work &w, uint32_t column, uint32_t from,
				     bool begins, bool ends)
{
	unsigned char *at = w.shared + w.p.score_at + column * w.p.score_bytes;
	uint32_t lane = lane_of(), first = w.c.first[column], last = w.c.last[column];
	float s[TILE / 32], largest = -INFINITY, sum = 0;
	if (w.a.softcap > 0)
		cap_column<TILE>(w, (float *)at);
#pragma unroll
	for (int i = 0; i < TILE / 32; i += 2) {
		float2 two = *(const float2 *)(at + (2 * lane + 32 * i) * 4);
		s[i] = two.x, s[i + 1] = two.y;
	}
#pragma unroll
	for (int i = 0; i < TILE / 32; i++) {
		uint32_t position = from + 2 * lane + i / 2 * 64 + i % 2;
		s[i] = w.a.softcap > 0 ? s[i] : s[i] * w.a.scale;
		s[i] = position >= first && position <= last ? s[i] : -INFINITY;
		largest = larger(largest, s[i]);
	}
#pragma unroll
	for (int step = WARP / 2; step > 0; step /= 2)
		largest = larger(largest, __shfl_xor_sync(WARP_ALL, largest, step));
	float before = begins ? -INFINITY : w.c.largest[column];
	float total = begins ? 0 : w.c.total[column];
	largest = larger(before, largest);
#pragma unroll
	for (int i = 0; i < TILE / 32; i += 2) {
		uint32_t one, two;
		s[i] = device_exp(s[i] - largest); /* of -inf, and of NaN: 0 */
		s[i + 1] = device_exp(s[i + 1] - largest);
		sum += s[i];
		sum += s[i + 1];
		two_terms(s[i], s[i + 1], &one, &two);
		*(uint32_t *)(at + (2 * lane + 32 * i) * 2) = one;
		*(uint32_t *)(at + (2 * lane + 32 * i) * 2 + 2 * TILE + PAD) = two;
	}
	float rescale = device_exp(before - largest);
	total = fmaf(total, rescale, device_warp_sum(sum));
	if (lane == 0) {
		w.c.largest[column] = largest;
		w.c.total[column] = total;
		w.c.rescale[column] = rescale;
	}
	if (ends)
		join_split(w, column, largest, total);
}

/* ---- sums ---- */

/* A warp's numbers [tile][..] of all columns: 16-number tiles warp, warp + 8, ... */
template <int MT, int NT> struct sums {
	float one[MT][NT][4], two[MT][NT][4];
};

template <int MT, int NT> static __device__ __forceinline__ void zero_sums(float to[MT][NT][4])
{
#pragma unroll
	for (int i = 0; i < MT * NT * 4; i++)
		to[i / (NT * 4)][i / 4 % NT][i % 4] = 0;
}

/* Columns 2 t and 2 t + 1 of an instruction are this lane's. */
static __device__ __forceinline__ uint32_t own_column(int n, int i)
{
	return (uint32_t)n * QUERIES + lane_of() % 4 * 2 + i % 2;
}

template <int MT, int NT>
static __device__ __forceinline__ void rescale_sums(const struct work &w, struct sums<MT, NT> *s)
{
#pragma unroll
	for (int n = 0; n < NT; n++) {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			float by = w.c.rescale[own_column(n, i)];
#pragma unroll
			for (int m = 0; m < MT; m++) {
				s->one[m][n][i] *= by;
				s->two[m][n][i] *= by;
			}
		}
	}
}

/* Weights of a step's first `count` positions, those from `at` on of the columns, times values. */
template <int MT, int NT, int PLANES, int TILE>
static __device__ __forceinline__ void weigh_step(const struct work &w, const unsigned char *stage,
						  uint32_t count, uint32_t at,
						  struct sums<MT, NT> *s)
{
	uint32_t lane = lane_of(), bytes = w.p.score_bytes, row_bytes = w.p.row_bytes,
		 plane_bytes = w.p.plane_bytes, width = w.p.value;
	const unsigned char *weight = w.shared + w.p.score_at + lane % 8 * bytes +
				      lane / 16 * (2 * TILE + PAD) + lane / 8 % 2 * 16 + at * 2;
	const unsigned char *value =
		stage + (lane % 8 + lane / 16 * 8) * row_bytes + lane / 8 % 2 * 16 + warp_of() * 32;
	for (uint32_t k = 0; k < divided(count, 16); k++) {
		uint32_t p[NT][4];
#pragma unroll
		for (int n = 0; n < NT; n++)
			ptx_ldmatrix_x4(p[n], weight + n * QUERIES * bytes);
#pragma unroll
		for (int m = 0; m < MT; m++) {
			uint32_t x[4], rest[4];
			if (16 * (warp_of() + m * DEVICE_WARPS) >= width)
				continue;
			ptx_ldmatrix_x4_trans(x, value + m * DEVICE_WARPS * 32);
			if (PLANES == 2)
				ptx_ldmatrix_x4_trans(rest,
						      value + m * DEVICE_WARPS * 32 + plane_bytes);
#pragma unroll
			for (int n = 0; n < NT; n++) {
				ptx_mma_bf16(s->one[m][n], x, p[n]);
				if (w.a.terms == 2)
					ptx_mma_bf16(s->two[m][n], x, p[n] + 2);
				if (PLANES == 2)
					ptx_mma_bf16(s->two[m][n], rest, p[n]);
			}
		}
		weight += 32;
		value += 16 * row_bytes;
	}
}

/* ---- answers ---- */

/* What the sums over all of a row's splits are multiplied by. */
static __device__ __forceinline__ float finish_of(const struct attend_args &a, uint32_t head,
						  float largest, float total)
{
	if (a.sink == nullptr)
		return 1 / total;
	float sink = a.sink[head], now = larger(largest, sink), keep = device_exp(largest - now);
	return keep / (total * keep + device_exp(sink - now));
}

/* Splits of the row at a position. */
static __device__ __forceinline__ uint32_t first_split(const struct attend_args &a,
						       uint32_t position)
{
	return first_of(a, position) / KERNEL_SPLIT;
}

/* A row's records: [splits][value] sums; and [splits][2] largest and total, behind all sums. */
static __device__ __forceinline__ size_t record_of(const struct attend_args &a, uint32_t row,
						   uint32_t head)
{
	return ((size_t)row * a.heads + head) * a.splits_most;
}
static __device__ __forceinline__ float *record_pairs(const struct attend_args &a,
						      const struct plan &p)
{
	return a.record + (size_t)p.cut_rows * a.heads * a.splits_most * a.value;
}

/* Where a column's sums go: to the answer, times a factor, or to a record as they are, which gets
 * its largest and total here. Nowhere if this item has none of the row's splits. */
static __device__ void aim_column(const struct work &w, uint32_t column)
{
	const struct attend_args &a = w.a;
	uint32_t row = column / w.it.heads, head = w.it.head + column % w.it.heads,
		 position = w.it.tile.position + row, begin = first_split(a, position),
		 end = position / KERNEL_SPLIT + 1;
	float largest = w.c.joined_largest[column], total = w.c.joined_total[column];
	w.c.target[column] = nullptr;
	if (row >= w.it.tile.rows || w.it.end <= begin || w.it.begin >= end)
		return;
	row += w.it.tile.row;
	if (!w.it.tile.cut || end - begin == 1) {
		w.c.target[column] = a.out + ((size_t)row * a.heads + head) * a.value;
		w.c.factor[column] = finish_of(a, head, largest, total);
		return;
	}
	size_t record = record_of(a, row, head) + w.it.begin - begin;
	w.c.target[column] = a.record + record * a.value;
	w.c.factor[column] = 1;
	record_pairs(a, w.p)[2 * record] = largest;
	record_pairs(a, w.p)[2 * record + 1] = total;
}

template <int MT, int NT>
static __device__ __forceinline__ void store_sums(const struct work &w, const float sum[MT][NT][4])
{
	if (threadIdx.x < NT * QUERIES)
		aim_column(w, threadIdx.x);
	__syncthreads();
#pragma unroll
	for (int n = 0; n < NT; n++) {
#pragma unroll
		for (int odd = 0; odd < 2; odd++) {
			uint32_t number = 16 * warp_of() + lane_of() / 4;
			float factor = w.c.factor[own_column(n, odd)];
			float *to = w.c.target[own_column(n, odd)];
#pragma unroll
			for (int m = 0; m < MT; m++, number += 16 * DEVICE_WARPS) {
				if (to != nullptr && number < w.a.value)
					to[number] = sum[m][n][odd] * factor;
				if (to != nullptr && number + 8 < w.a.value)
					to[number + 8] = sum[m][n][odd + 2] * factor;
			}
		}
	}
}

/* ---- records ---- */

/* The largest of those of the lanes up to this one. */
static __device__ __forceinline__ float larger_before(float v)
{
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		float other = __shfl_up_sync(WARP_ALL, v, step);
		v = lane_of() >= step ? larger(other, v) : v;
	}
	return v;
}

/* All records of a row's head, by a warp: numbers lane, lane + 32, ... are a lane's. Factors of 32
 * records at a time, each lane those of one; then their sums in order. */
template <int MT>
static __device__ void join_row(const struct attend_args &a, const struct plan &p, uint32_t row,
				uint32_t head, uint32_t records)
{
	const float *pair = record_pairs(a, p) + 2 * record_of(a, row, head),
		    *from = a.record + record_of(a, row, head) * a.value + lane_of();
	float largest = -INFINITY, total = 0, sum[4 * MT];
#pragma unroll
	for (int k = 0; k < 4 * MT; k++)
		sum[k] = 0;
	for (uint32_t i = 0; i < records; i += WARP) {
		bool real = i + lane_of() < records;
		float m = real ? pair[2 * (i + lane_of())] : -INFINITY;
		float l = real ? pair[2 * (i + lane_of()) + 1] : 0;
		float now = larger(largest, larger_before(m));
		float before = __shfl_up_sync(WARP_ALL, now, 1);
		before = lane_of() == 0 ? largest : before;
		float keep = device_exp(before - now), take = device_exp(m - now);
		largest = __shfl_sync(WARP_ALL, now, WARP - 1);
#pragma unroll 4
		for (uint32_t j = 0; j < least(records - i, WARP); j++, from += a.value) {
			float kept = __shfl_sync(WARP_ALL, keep, (int)j),
			      taken = __shfl_sync(WARP_ALL, take, (int)j);
			total = fmaf(__shfl_sync(WARP_ALL, l, (int)j), taken, total * kept);
#pragma unroll
			for (int k = 0; k < 4 * MT; k++) {
				float o = lane_of() + 32 * k < a.value ? from[32 * k] : 0;
				sum[k] = fmaf(o, taken, sum[k] * kept);
			}
		}
	}
	float factor = finish_of(a, head, largest, total);
	float *to = a.out + ((size_t)row * a.heads + head) * a.value + lane_of();
#pragma unroll
	for (int k = 0; k < 4 * MT; k++) {
		if (lane_of() + 32 * k < a.value)
			to[32 * k] = sum[k] * factor;
	}
}

/* Say that this item's records are written. The last of the items of a tile and its heads to say so
 * joins them. */
template <int MT> static __device__ void arrive(const struct work &w)
{
	const struct tile &t = w.it.tile;
	uint32_t *arrived = w.a.arrived + (size_t)t.row * w.a.heads + w.it.head;
	__syncthreads();
	if (threadIdx.x == 0) {
		bool last = ptx_add_acquire_release(arrived, 1) + 1 == t.end - t.begin;
		if (last)
			*arrived = 0;
		w.c.flag = last;
	}
	__syncthreads();
	if (w.c.flag == 0)
		return;
	for (uint32_t i = warp_of(); i < t.rows * w.it.heads; i += DEVICE_WARPS) {
		uint32_t row = i / w.it.heads, position = t.position + row;
		uint32_t records = position / KERNEL_SPLIT + 1 - first_split(w.a, position);
		if (records > 1)
			join_row<MT>(w.a, w.p, t.row + row, w.it.head + i % w.it.heads, records);
	}
}

/* ---- an item ---- */

template <int NT, int TILE>
static __device__ __forceinline__ void soften(const struct work &w, uint32_t from, bool begins,
					      bool ends)
{
	__syncthreads();
	for (uint32_t c = warp_of(); c < NT * QUERIES; c += DEVICE_WARPS)
		soften_column<TILE>(w, c, from, begins, ends);
}

/* One split's sums, and its factors in the columns. Steps of keys, then of values; latent: each
 * step is both. */
template <int MT, int NT, int PLANES, int TILE>
static __device__ __forceinline__ void split_sums(const struct work &w, uint32_t split,
						  struct ring *r, struct sums<MT, NT> *s)
{
	constexpr bool latent = TILE == LATENT_TILE;
	uint32_t from = split_from(w.p, w.it.tile, split), to = split_to(w.it.tile, split),
		 begin = split * KERNEL_SPLIT, keys = divided(to - from, w.p.step);
	for (uint32_t i = 0; i < (latent ? keys : 2 * keys); i++) {
		uint32_t at = from + (i < keys ? i : i - keys) * w.p.step;
		uint32_t count = least(w.p.step, to - at), in = latent ? 0 : at - begin;
		if (!latent && i == keys)
			soften<NT, TILE>(w, begin, true, true);
		if (i == (latent ? 0 : keys)) {
			zero_sums<MT, NT>(s->one);
			zero_sums<MT, NT>(s->two);
		}
		const unsigned char *stage = ring_next<PLANES>(w.a, w.p, w.it, w.shared, r);
		if (i < keys)
			score_step<NT, PLANES, TILE>(w, stage, count, in);
		if (latent) {
			soften<NT, TILE>(w, at, i == 0, i + 1 == keys);
			__syncthreads();
			rescale_sums<MT, NT>(w, s);
		}
		if (latent || i >= keys)
			weigh_step<MT, NT, PLANES, TILE>(w, stage, count, in, s);
	}
}

template <int MT, int NT, int PLANES, int TILE>
static __device__ void run_item(const struct attend_args &a, unsigned char *shared)
{
	const struct plan &p = ((const struct head *)shared)->plan;
	const struct item &it = ((const struct head *)shared)->item;
	const struct work w = { a, p, it, shared, *(struct columns *)(shared + STATE_AT) };
	struct ring r;
	struct sums<MT, NT> s;
	float joined[MT][NT][4];
	ring_begin<PLANES>(a, p, it, shared, &r);
	load_queries(w, NT * QUERIES);
	zero_sums<MT, NT>(joined);
	for (uint32_t split = it.begin; split < it.end; split++) {
		split_sums<MT, NT, PLANES, TILE>(w, split, &r, &s);
#pragma unroll
		for (int n = 0; n < NT; n++) {
#pragma unroll
			for (int i = 0; i < 4; i++) {
				uint32_t c = own_column(n, i);
				float keep = w.c.keep[c], take = w.c.take[c];
#pragma unroll
				for (int m = 0; m < MT; m++)
					/* A split has a key at least.
					 * NOLINTNEXTLINE(clang-analyzer-core.*) */
					joined[m][n][i] = fmaf(s.one[m][n][i] + s.two[m][n][i],
							       take, joined[m][n][i] * keep);
			}
		}
	}
	store_sums<MT, NT>(w, joined);
	if (it.tile.cut && it.tile.end - it.tile.begin > 1)
		arrive<MT>(w);
}

/* As few columns as an item has, of what is built for its kind: columns_most. */
template <int MT, int PLANES, int TILE, bool WIDE>
static __device__ __forceinline__ void pick_columns(const struct attend_args &a,
						    unsigned char *shared)
{
	constexpr bool step = IN_STEP && TILE == LATENT_TILE;
	constexpr bool narrow = (MT <= 2 || TILE == LATENT_TILE) && PLANES == 1;
	const struct item &it = ((const struct head *)shared)->item;
	uint32_t columns = it.tile.rows * it.heads;
	if (step || (narrow && columns <= QUERIES))
		run_item<MT, narrow ? 1 : 2, PLANES, TILE>(a, shared);
	else if (!WIDE || columns <= 2 * QUERIES)
		run_item<MT, 2, PLANES, TILE>(a, shared);
	else
		run_item<MT, WIDE ? 4 : 2, PLANES, TILE>(a, shared);
}

/* All items of a block. MT: 128 numbers of a value each; TILE: LATENT_TILE or a split; WIDE: up to
 * 32 columns, else up to 16. */
template <int MT, int PLANES, int TILE, bool WIDE>
static __device__ void attend_all(const struct attend_args &a, unsigned char *shared)
{
	struct head *head = (struct head *)shared;
	struct search s = {};
	struct item it;
	if (threadIdx.x == 0)
		head->plan = plan_of(a);
	__syncthreads();
	search_slice(a, head->plan, &s);
	for (uint32_t i = blockIdx.x; search_item(a, head->plan, &s, i, &it); i += gridDim.x) {
		__syncthreads(); /* the item before may be read still */
		if (threadIdx.x == 0)
			head->item = it;
		__syncthreads();
		pick_columns<MT, PLANES, TILE, WIDE>(a, shared);
	}
}

/* `what` with the parameters of attend_all for these args. */
#define ATTEND_VALUES(a, what, planes)                                   \
	((a).latent         ? what(4, planes, attend_parts::LATENT_TILE) \
	 : (a).value <= 128 ? what(1, planes, KERNEL_SPLIT)              \
	 : (a).value <= 256 ? what(2, planes, KERNEL_SPLIT)              \
			    : what(4, planes, KERNEL_SPLIT))
#define ATTEND_PICK(a, what) \
	((a).cache == KERNEL_CACHE_F32 ? ATTEND_VALUES(a, what, 2) : ATTEND_VALUES(a, what, 1))

} /* namespace attend_parts */

#ifdef DEVICE_STEP
/* The kernel of a whole step has 128 registers a thread: others' sums do not fit in them. */
static bool attend_in_step(const struct attend_args &a)
{
	return (a.latent || a.value <= 128) && a.cache == KERNEL_CACHE_BF16;
}

static size_t attend_shared(const struct attend_args &a) { return attend_parts::plan_of(a).bytes; }

/* A kernel has one of the two. */
template <bool latent>
static __device__ __forceinline__ void attend_step(const struct attend_args &a,
						   unsigned char *shared)
{
	if constexpr (latent)
		attend_parts::attend_all<4, 1, attend_parts::LATENT_TILE, false>(a, shared);
	else
		attend_parts::attend_all<1, 1, KERNEL_SPLIT, false>(a, shared);
}
#endif

static bool attend_valid(const struct attend_args &a)
{
	bool heads = a.heads > 0 && a.kv_heads > 0 && a.heads % a.kv_heads == 0;
	bool widths = a.wide > 0 && a.value > 0 && a.wide <= DEVICE_ATTEND_WIDTH &&
		      a.value <= DEVICE_ATTEND_WIDTH && a.tail <= DEVICE_ATTEND_WIDTH;
	bool parts = a.latent ? a.kv_heads == 1 && a.value == a.wide : a.tail == 0;
	bool cache = a.cache == KERNEL_CACHE_F32 || a.cache == KERNEL_CACHE_BF16;
	return heads && widths && parts && cache && a.at % 16 == 0 && a.rows_most > 0 &&
	       a.splits_most > 0 && (a.terms == 1 || a.terms == 2) && a.kv_heads <= 1024 &&
	       a.form.queries % 8 == 0 && a.form.stages != 1 && a.form.stages <= 4 &&
	       device_attend_room(&a) <= DEVICE_SHARED_MOST;
}

#ifndef DEVICE_STEP
/* The blocks of 113 KiB that a multiprocessor holds: on 8.0 there is room for one, which then may
 * have all registers. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define ATTEND_BLOCKS 1
#else
#define ATTEND_BLOCKS 2
#endif

/* A kernel for each kind, so that each has its own registers. */
template <int MT, int PLANES, int TILE, bool WIDE>
static __global__ void __launch_bounds__(DEVICE_THREADS,
					 MT == 1 && PLANES == 1 && !WIDE ? ATTEND_BLOCKS : 1)
	attend_kernel(const __grid_constant__ struct attend_args a)
{
	SHARED_DYNAMIC(unsigned char, shared);
	ptx_launch_next();
	ptx_launch_wait();
	attend_parts::attend_all<MT, PLANES, TILE, WIDE>(a, shared);
}

extern "C" int attend_cuda(void *stream, const struct attend_args *a)
{
#define ATTEND_KERNEL(MT, PLANES, TILE) attend_kernel<MT, PLANES, TILE, false>
	if (!attend_valid(*a))
		return cudaErrorInvalidValue;
	struct attend_args with = *a;
	if (with.form.room == 0 || with.form.room > device_shared_most)
		with.form.room = device_shared_most;
	const struct attend_parts::plan p = attend_parts::plan_of(with);
	if (p.bytes > device_shared_most)
		return cudaErrorNotSupported;
	/* As many as run at once: items are dealt out, and a block that waits for room in shared
	 * memory to find none left would only delay. */
	size_t items = (size_t)a->rows_most * a->heads * a->splits_most;
	bool wide = p.columns > 2 * attend_parts::QUERIES;
	bool two = a->value <= 128 && !a->latent && a->cache == KERNEL_CACHE_BF16 && !wide &&
		   p.bytes <= attend_parts::HALF_ROOM;
	uint32_t most = (two ? 2 : 1) * device_multiprocessors;
	void (*kernel)(const struct attend_args) = ATTEND_PICK(*a, ATTEND_KERNEL);
	if (wide)
		kernel = attend_kernel<1, 1, KERNEL_SPLIT, true>;
	const cudaLaunchConfig_t launch =
		device_launch(stream, items < most ? (uint32_t)items : most, p.bytes);
	cudaError_t error =
		cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
				     (int)p.bytes);
	return error == cudaSuccess ? cudaLaunchKernelEx(&launch, kernel, with) : error;
}
#endif
