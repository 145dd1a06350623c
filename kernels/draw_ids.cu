/* Device form of the draw (engine/sample.c; biases and penalties of engine/sampler.c), right after
 * the head's product in a pass (engine/cuda_draw.c).
 * Bound:   latency of up to a dozen passes over a row of logits, from the second cache.
 * Bytes:   a row: vocab*4 read, vocab*4 written, then vocab*4 read by each pass: one for greedy
 *          draws, three to find a place for top_k, top_p and the draw, one for min_p.
 * Launch:  grid wanted, block 256; a row is a block's.
 * Limits:  registers 64, threads 256, local 0
 * Shared:  12 KiB of sums by a weight's bits.
 * Order:   weights count in whole units, so sums are exact in any order. The order of ranks is that
 *          of weights and, among equals, of ids; a place in it is found by the bits of its weight,
 *          ten at a time from the highest, then by id among equals. */
#include "kernels/device_kernel.h"

namespace draw_ids_parts
{

#define DRAW_BINS 1024
#define DRAW_OWN (DRAW_BINS / DEVICE_THREADS)
#define DRAW_OUT (-1.0f) /* the weight of what is not allowed: its bits are above all others */

typedef unsigned long long units; /* of atomicAdd */

/* A place in the order of ranks: the weight that is there, and what comes before all of it. */
struct place {
	uint32_t bits;
	uint32_t count; /* of those before; only where the search was by count */
	units sum;
};

struct scratch {
	units sum[DRAW_BINS];
	uint32_t count[DRAW_BINS];
	units warp[DEVICE_WARPS];
	struct place found;
	uint32_t best;
};

struct row {
	struct device_draw d;
	const float *logits;
	float *weight;
	uint32_t n;
	struct scratch *s;
};

static __device__ __forceinline__ units units_of(float weight) { return (units)(weight * 0x1p40f); }

static __device__ __forceinline__ bool is_allowed(const struct row &r, uint32_t i)
{
	return r.d.allowed == nullptr || (r.d.allowed[i / 64] >> (i % 64) & 1) != 0;
}

/* Of all threads, the same in each. */
static __device__ units block_units(units v, struct scratch *s)
{
	units sum = 0;
#pragma unroll
	for (int step = WARP / 2; step > 0; step /= 2)
		v += __shfl_xor_sync(WARP_ALL, v, step);
	__syncthreads();
	if (threadIdx.x % WARP == 0)
		s->warp[threadIdx.x / WARP] = v;
	__syncthreads();
	for (uint32_t i = 0; i < DEVICE_WARPS; i++)
		sum += s->warp[i];
	return sum;
}

/* What the threads before this one have. */
static __device__ units units_before(units v, struct scratch *s)
{
	uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
	units sum = v;
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		units other = __shfl_up_sync(WARP_ALL, sum, step);
		sum += lane >= step ? other : 0;
	}
	__syncthreads();
	if (lane == WARP - 1)
		s->warp[warp] = sum;
	__syncthreads();
	sum -= v;
	for (uint32_t i = 0; i < warp; i++)
		sum += s->warp[i];
	return sum;
}

/* ---- logits ---- */

static __device__ float penalised(const struct device_draw &d, float logit, uint32_t drawn)
{
	if (d.repetition != 0 && d.repetition != 1)
		logit = logit > 0 ? logit / d.repetition : logit * d.repetition;
	if (drawn > 0) {
		logit -= d.presence;
		logit -= d.frequency * (float)drawn;
	}
	return logit;
}

/* Biases of one id are added in their order, by whose is the first. */
static __device__ void add_biases(const struct row &r)
{
	const struct device_bias *b = r.d.bias;
	for (uint32_t i = threadIdx.x; i < r.d.biases; i += DEVICE_THREADS) {
		uint32_t first = 0;
		while (b[first].id != b[i].id)
			first++;
		for (uint32_t j = i; first == i && j < r.d.biases; j++) {
			if (b[j].id == b[i].id && b[j].id < r.n)
				r.weight[b[j].id] += b[j].bias;
		}
	}
}

/* The logits with biases and penalties, in the row of weights. */
static __device__ void adjust(const struct row &r)
{
	for (uint32_t i = threadIdx.x; i < r.n; i += DEVICE_THREADS)
		r.weight[i] = r.logits[i];
	__syncthreads();
	add_biases(r);
	__syncthreads();
	for (uint32_t i = threadIdx.x; i < r.d.seens; i += DEVICE_THREADS) {
		const struct device_seen seen = r.d.seen[i];
		if (seen.id < r.n)
			r.weight[seen.id] = penalised(r.d, r.weight[seen.id], seen.drawn);
	}
	__syncthreads();
}

/* Larger numbers have larger ones, both zeros the same, NaN 0. */
static __device__ __forceinline__ uint32_t order_of(float x)
{
	uint32_t bits = __float_as_uint(x + 0.0f);
	if (x != x)
		return 0;
	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The largest that is allowed, the lowest id among equals; if all are NaN the lowest. */
static __device__ uint32_t best_of(const struct row &r)
{
	uint32_t most = 0, at = UINT32_MAX;
	for (uint32_t i = threadIdx.x; i < r.n; i += DEVICE_THREADS) {
		uint32_t order = is_allowed(r, i) ? order_of(r.weight[i]) : 0;
		if (is_allowed(r, i) && (at == UINT32_MAX || order > most)) {
			most = order;
			at = i;
		}
	}
	uint32_t top = __reduce_max_sync(WARP_ALL, most);
	at = __reduce_min_sync(WARP_ALL, most == top ? at : UINT32_MAX);
	__syncthreads();
	if (threadIdx.x % WARP == 0)
		r.s->warp[threadIdx.x / WARP] = (units)top << 32 | (uint32_t)~at;
	__syncthreads();
	units best = r.s->warp[0];
	for (uint32_t i = 1; i < DEVICE_WARPS; i++)
		best = r.s->warp[i] > best ? r.s->warp[i] : best;
	at = ~(uint32_t)best;
	return at == UINT32_MAX ? 0 : at;
}

/* ---- places in the order of ranks ---- */

/* The first place at which the running sum (of counts or of units) reaches goal, for which it does;
 * of one level of bits: ten at `shift` of the weights that begin with `prefix`. */
static __device__ void find_level(const struct row &r, bool by_count, units goal, int shift,
				  uint32_t prefix)
{
	struct scratch *s = r.s;
	const struct place before = s->found;
	units own = 0;
	for (uint32_t i = threadIdx.x; i < DRAW_BINS; i += DEVICE_THREADS)
		s->sum[i] = s->count[i] = 0;
	__syncthreads();
	for (uint32_t i = threadIdx.x; i < r.n; i += DEVICE_THREADS) {
		uint32_t bits = __float_as_uint(r.weight[i]);
		if (bits >> 31 || bits >> shift >> 10 != prefix)
			continue;
		uint32_t at = DRAW_BINS - 1 - (bits >> shift) % DRAW_BINS; /* the largest first */
		units u = units_of(r.weight[i]);
		if (u > 0)
			atomicAdd(&s->sum[at], u);
		if (by_count)
			atomicAdd(&s->count[at], 1u);
	}
	__syncthreads();
	uint32_t first = threadIdx.x * DRAW_OWN;
	for (uint32_t i = first; i < first + DRAW_OWN; i++)
		own += by_count ? s->count[i] : s->sum[i];
	units sum = units_before(own, s) + (by_count ? before.count : before.sum);
	units sums = 0, counts = before.count;
	if (sum < goal && sum + own >= goal) {
		uint32_t i = first;
		for (units next; (next = sum + (by_count ? s->count[i] : s->sum[i])) < goal; i++)
			sum = next;
		for (uint32_t j = 0; j < i; j++) {
			sums += s->sum[j];
			counts += s->count[j];
		}
		s->found.bits = prefix << 10 | (DRAW_BINS - 1 - i);
		s->found.count = (uint32_t)counts;
		s->found.sum = before.sum + sums;
	}
	__syncthreads();
}

static __device__ struct place find(const struct row &r, bool by_count, units goal)
{
	__syncthreads();
	if (threadIdx.x == 0)
		r.s->found = {};
	__syncthreads();
	for (int shift = 20; shift >= 0; shift -= 10)
		find_level(r, by_count, goal, shift, shift == 20 ? 0 : r.s->found.bits);
	return r.s->found;
}

/* The id of those with these bits before which there are `skip`; each warp looks through a part. */
static __device__ uint32_t find_id(const struct row &r, uint32_t bits, units skip)
{
	uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
	uint32_t part = (r.n - 1) / DEVICE_WARPS / WARP * WARP + WARP, count = 0;
	uint32_t from = warp * part, end = from + part < r.n ? from + part : r.n;
	for (uint32_t i = from + lane; i < end; i += WARP)
		count += __float_as_uint(r.weight[i]) == bits;
	count = __reduce_add_sync(WARP_ALL, count);
	__syncthreads();
	if (lane == 0)
		r.s->warp[warp] = count;
	__syncthreads();
	for (uint32_t i = 0; i < warp; i++)
		skip -= r.s->warp[i]; /* beyond: wraps to more than any count */
	if (skip < count) {
		uint32_t left = (uint32_t)skip;
		for (uint32_t at = from;; at += WARP) {
			bool same = at + lane < end && __float_as_uint(r.weight[at + lane]) == bits;
			uint32_t lanes = __ballot_sync(WARP_ALL, same);
			uint32_t here = (uint32_t)__popc(lanes);
			if (left >= here) {
				left -= here;
				continue;
			}
			if (same && (uint32_t)__popc(lanes & ((1u << lane) - 1)) == left)
				r.s->best = at + lane;
			break;
		}
	}
	__syncthreads();
	return r.s->best;
}

/* ---- the draw ---- */

/* base/philox.h, the first two words: 2^32 times the first, plus the second. */
static __device__ units philox(const struct device_draw &d)
{
	uint32_t k0 = (uint32_t)d.seed, k1 = (uint32_t)(d.seed >> 32);
	uint32_t x0 = d.position, x1 = d.choice, x2 = 0, x3 = 0;
#pragma unroll 1
	for (int round = 0; round < 10; round++) {
		units a = (units)0xd2511f53u * x0, b = (units)0xcd9e8d57u * x2;
		x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
		x1 = (uint32_t)b;
		x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
		x3 = (uint32_t)a;
		k0 += 0x9e3779b9u;
		k1 += 0xbb67ae85u;
	}
	return (units)x0 << 32 | x1;
}

/* share_of of engine/sample.c. */
static __device__ units share_of(float p, units whole)
{
	uint32_t bits = __float_as_uint(p), exponent = bits >> 23, normal = exponent > 0;
	unsigned __int128 product = (bits & 0x7fffffu) | normal << 23;
	uint32_t shift = 149 - (exponent - normal);
	product *= whole;
	if (shift > 127)
		return product > 0;
	return (units)((product + (((unsigned __int128)1 << shift) - 1)) >> shift);
}

/* Weights in place of the adjusted logits; how many are allowed, and their units. */
static __device__ units weigh(const struct row &r, float largest, units *count)
{
	units whole = 0, allowed = 0;
	for (uint32_t i = threadIdx.x; i < r.n; i += DEVICE_THREADS) {
		bool in = is_allowed(r, i);
		float w = in ? device_exp((r.weight[i] - largest) / r.d.temperature) : DRAW_OUT;
		r.weight[i] = w;
		whole += in ? units_of(w) : 0;
		allowed += in;
	}
	*count = block_units(allowed, r.s);
	return block_units(whole, r.s);
}

/* Units of those that stay: sums of the first ranks, so the fewest ranks have the least sum. */
static __device__ units kept(const struct row &r, units whole, units count)
{
	units total, sum = 0;
	if (r.d.top_k > 0 && r.d.top_k < count) {
		const struct place p = find(r, true, r.d.top_k);
		whole = p.sum + (r.d.top_k - p.count) * units_of(__uint_as_float(p.bits));
	}
	total = whole;
	if (r.d.top_p > 0 && r.d.top_p < 1) {
		units enough = share_of(r.d.top_p, whole);
		const struct place p = find(r, false, enough);
		units u = units_of(__uint_as_float(p.bits));
		units reached = p.sum + (enough - p.sum + u - 1) / u * u;
		total = reached < total ? reached : total;
	}
	if (r.d.min_p > 0) {
		for (uint32_t i = threadIdx.x; i < r.n; i += DEVICE_THREADS)
			sum += r.weight[i] >= r.d.min_p ? units_of(r.weight[i]) : 0;
		sum = block_units(sum, r.s);
		sum = sum > units_of(1) ? sum : units_of(1); /* the best stays */
		total = sum < total ? sum : total;
	}
	return total;
}

static __device__ uint32_t drawn(const struct row &r)
{
	units count;
	adjust(r);
	if (!(r.d.temperature > 0) && r.d.allowed == nullptr && r.weight[0] != r.weight[0])
		return 0; /* the CPU's argmax stays there */
	uint32_t best = best_of(r);
	float largest = r.weight[best];
	__syncthreads();
	if (!(r.d.temperature > 0) || !(fabsf(largest) < INFINITY))
		return best;
	units whole = weigh(r, largest, &count);
	__syncthreads();
	units total = kept(r, whole, count);
	units target = (units)((unsigned __int128)philox(r.d) * total >> 64);
	const struct place p = find(r, false, target + 1);
	return find_id(r, p.bits, (target - p.sum) / units_of(__uint_as_float(p.bits)));
}

} /* namespace draw_ids_parts */

static __device__ void draw_ids_block(const struct draw_ids_args &a, unsigned char *shared)
{
	uint32_t wanted = a.batch->wanted;
	for (uint32_t i = blockIdx.x; i < wanted; i += gridDim.x) {
		const struct draw_ids_parts::row r = { a.draw[i], a.logits + i * a.stride,
						       a.weight + (size_t)i * a.vocab, a.vocab,
						       (struct draw_ids_parts::scratch *)shared };
		__syncthreads();
		uint32_t id = draw_ids_parts::drawn(r);
		if (threadIdx.x == 0)
			a.id[i] = fabsf(r.logits[id]) < INFINITY ? id : UINT32_MAX;
	}
}

static size_t draw_ids_shared(const struct draw_ids_args &)
{
	return sizeof(struct draw_ids_parts::scratch);
}

static bool draw_ids_valid(const struct draw_ids_args &a)
{
	return a.vocab > 0 && a.vocab < 1u << 24 && a.vocab <= a.stride;
}

#ifndef DEVICE_STEP
static uint32_t draw_ids_blocks(const struct draw_ids_args &a) { return a.wanted_most; }
DEVICE_LAUNCH(draw_ids)
#endif
