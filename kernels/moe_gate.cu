/* Device form of moe_gate (moe_gate.c, moe_gate_sigmoid.c and moe_gate_topk.c are the truth).
 * Bound:   latency up to some thousand tokens, then memory.
 * Bytes:   tokens*experts*4 read, tokens*top_k*6 written; bias from the cache.
 * Launch:  grid tokens, block 256: a warp per token, first warps first. Shared memory for each
 *          2*experts + max(groups, top_k) floats, as many warps as have it in 48 KiB.
 * Limits:  registers 64, threads 256, local 0
 * Order:   as the truth: sums serial in ascending order, our own exp, no contraction; ids exact,
 *          weights the same bits. The largest is found by an order on bits that repeats what ">"
 *          makes of NaN and of equal values, so no tree of comparisons can differ from a loop. */
#include "kernels/device_kernel.h"

namespace moe_gate_parts
{

/* One warp's shared memory. */
struct scratch {
	float *value;  /* [experts]: what weights are made of */
	float *choice; /* [experts]: what is chosen by; -inf once taken */
	float *group;  /* [groups]; later the chosen ids and their weights, [top_k] */
};

static __device__ __forceinline__ uint32_t lane(void) { return threadIdx.x % WARP; }

/* argmax keeps the first of equals, never moves to a NaN, and never leaves one in first place. */
static __device__ __forceinline__ uint32_t order_of(float x, bool first)
{
	uint32_t bits = __float_as_uint(x + 0.0f); /* -0 as +0 */
	if (x != x)
		return first ? 0xffffffffu : 0;
	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* kernel_argmax_plain of x [n], x[taken] counting as -inf; the same answer in every lane. */
static __device__ uint32_t best_of(const float *x, uint32_t n, uint32_t taken)
{
	uint32_t most = 0, at = 0xffffffffu;
	for (uint32_t i = lane(); i < n; i += WARP) {
		uint32_t order = order_of(i == taken ? -INFINITY : x[i], i == 0);
		if (order > most) {
			most = order;
			at = i;
		}
	}
	uint32_t top = __reduce_max_sync(WARP_ALL, most);
	return __reduce_min_sync(WARP_ALL, most == top ? at : 0xffffffffu);
}

/* Like kernel_gate_softmax, in place. */
static __device__ void softmax(float *p, uint32_t n)
{
	float largest = p[best_of(p, n, n)], sum = 0;
	__syncwarp();
	for (uint32_t i = lane(); i < n; i += WARP)
		p[i] = device_exp(p[i] - largest);
	__syncwarp();
#pragma unroll 8
	for (uint32_t i = 0; i < n; i++)
		sum += p[i];
	__syncwarp();
	for (uint32_t i = lane(); i < n; i += WARP)
		p[i] /= sum;
	__syncwarp();
}

static __device__ void take(float *x, uint32_t at)
{
	__syncwarp();
	if (lane() == 0)
		x[at] = -INFINITY;
	__syncwarp();
}

/* Like kernel_gate_limit_groups. Lane l holds the marks of groups 32*l to 32*l + 31. */
static __device__ void limit_groups(const struct kernel_gate &g, uint32_t best, struct scratch r)
{
	uint32_t size = g.experts / g.groups, kept = 0;
	for (uint32_t i = 0; i < g.groups; i++) {
		const float *member = r.choice + i * size;
		uint32_t first = best_of(member, size, size);
		float sum = 0.0f + member[first];
		if (best > 1 && size > 1) {
			uint32_t second = best_of(member, size, first);
			sum += second == first ? -INFINITY : member[second];
		}
		if (lane() == 0)
			r.group[i] = sum;
	}
	__syncwarp();
	for (uint32_t i = 0; i < g.groups_kept; i++) {
		uint32_t at = best_of(r.group, g.groups, g.groups);
		if (lane() == at / 32)
			kept |= 1u << at % 32;
		take(r.group, at);
	}
	for (uint32_t from = 0; from < g.experts; from += WARP) {
		/* Groups divide the experts, so size is at least 1.
		 * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
		uint32_t i = from + lane(), of = (i < g.experts ? i : g.experts - 1) / size;
		uint32_t marks = __shfl_sync(WARP_ALL, kept, (int)(of / 32));
		if (i < g.experts && !(marks >> of % 32 & 1))
			r.choice[i] = -INFINITY;
	}
	__syncwarp();
}

/* Like kernel_gate_take_best of r.choice; the ids lie in r.group. */
static __device__ uint32_t *take_best(const struct kernel_gate &g, struct scratch r)
{
	uint32_t *id = (uint32_t *)r.group;
	for (uint32_t i = 0; i < g.top_k; i++) {
		uint32_t at = best_of(r.choice, g.experts, g.experts);
		take(r.choice, at);
		if (lane() == 0)
			id[i] = at;
	}
	__syncwarp();
	return id;
}

static __device__ float sum_of(const float *value, const uint32_t *id, uint32_t n)
{
	float sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += value[id[i]];
	return sum;
}

/* Like kernel_gate_order, by one lane: values may be NaN, and then the order of steps counts. */
static __device__ void order(const float *value, uint32_t *id, uint32_t n)
{
	for (uint32_t i = 1; i < n && lane() == 0; i++) {
		uint32_t moved = id[i], at = i;
		float mine = value[moved];
		for (; at > 0 && (mine > value[id[at - 1]] ||
				  (!(mine < value[id[at - 1]]) && moved < id[at - 1]));
		     at--)
			id[at] = id[at - 1];
		id[at] = moved;
	}
	__syncwarp();
}

static __device__ void choose_softmax(const struct kernel_gate &g, const float *score,
				      struct scratch r, uint16_t *expert, float *weight)
{
	for (uint32_t i = lane(); i < g.experts; i += WARP)
		r.value[i] = score[i];
	__syncwarp();
	softmax(r.value, g.experts);
	for (uint32_t i = lane(); i < g.experts; i += WARP)
		r.choice[i] = g.bias == nullptr ? r.value[i] : r.value[i] + g.bias[i];
	__syncwarp();
	if (g.groups > 1)
		limit_groups(g, 1, r);
	uint32_t *id = take_best(g, r);
	if (g.bias != nullptr)
		order(r.value, id, g.top_k);
	float sum = sum_of(r.value, id, g.top_k);
	sum = g.floor > 0 ? (sum > g.floor ? sum : g.floor) : sum + 1e-20f;
	for (uint32_t i = lane(); i < g.top_k; i += WARP) {
		float p = r.value[id[i]];
		expert[i] = (uint16_t)id[i];
		weight[i] = g.normalise ? p / sum : p * g.scaling;
	}
}

/* How many of the chosen sort before the i-th: those of greater s, or of equal s and lower id. A
 * sigmoid is never NaN. Ids can repeat (0, when nothing else is left): then the earlier choice
 * sorts first. */
static __device__ uint32_t rank_of(const float *s, const uint32_t *id, uint32_t n, uint32_t i)
{
	uint32_t rank = 0;
	for (uint32_t j = 0; j < n; j++) {
		float mine = s[id[i]], other = s[id[j]];
		bool earlier = id[j] < id[i] || (id[j] == id[i] && j < i);
		rank += other > mine || (other == mine && earlier);
	}
	return rank;
}

static __device__ void choose_sigmoid(const struct kernel_gate &g, const float *score,
				      struct scratch r, uint16_t *expert, float *weight)
{
	for (uint32_t i = lane(); i < g.experts; i += WARP) {
		r.value[i] = 1.0f / (1.0f + device_exp(0.0f - score[i]));
		r.choice[i] = g.bias == nullptr ? score[i] : r.value[i] + g.bias[i];
	}
	__syncwarp();
	if (g.groups > 1)
		limit_groups(g, 2, r);
	const uint32_t *id = take_best(g, r);
	uint32_t *ordered = (uint32_t *)r.choice; /* all taken that will be */
	for (uint32_t i = lane(); i < g.top_k; i += WARP)
		ordered[rank_of(r.value, id, g.top_k, i)] = id[i];
	__syncwarp();
	float sum = sum_of(r.value, ordered, g.top_k);
	for (uint32_t i = lane(); i < g.top_k; i += WARP) {
		float s = r.value[ordered[i]];
		expert[i] = (uint16_t)ordered[i];
		weight[i] = (g.normalise ? s / (sum + 1e-20f) : s) * g.scaling;
	}
}

static __device__ void choose_topk(const struct kernel_gate &g, const float *score,
				   struct scratch r, uint16_t *expert, float *weight)
{
	for (uint32_t i = lane(); i < g.experts; i += WARP)
		r.choice[i] = r.value[i] = g.bias == nullptr ? score[i] : score[i] + g.bias[i];
	__syncwarp();
	const uint32_t *id = take_best(g, r);
	for (uint32_t i = lane(); i < g.top_k; i += WARP)
		r.choice[i] = r.value[id[i]];
	__syncwarp();
	softmax(r.choice, g.top_k);
	for (uint32_t i = lane(); i < g.top_k; i += WARP) {
		expert[i] = (uint16_t)id[i];
		weight[i] = r.choice[i];
	}
}

static __host__ __device__ uint32_t scratch_floats(const struct kernel_gate &g)
{
	return 2 * g.experts + (g.groups > g.top_k ? g.groups : g.top_k);
}

/* Of a block, with shared memory. */
static __host__ __device__ uint32_t warps_of(const struct kernel_gate &g)
{
	uint32_t warps = DEVICE_SHARED_FREE / (scratch_floats(g) * (uint32_t)sizeof(float));
	return warps < DEVICE_WARPS ? warps : DEVICE_WARPS;
}

static __device__ void choose(const struct moe_gate_args &a, uint32_t token, struct scratch r)
{
	const float *score = a.score + (size_t)token * a.gate.experts;
	uint16_t *expert = a.expert + (size_t)token * a.gate.top_k;
	float *weight = a.weight + (size_t)token * a.gate.top_k;
	if (a.gate.kind == KERNEL_GATE_SOFTMAX)
		choose_softmax(a.gate, score, r, expert, weight);
	else if (a.gate.kind == KERNEL_GATE_SIGMOID)
		choose_sigmoid(a.gate, score, r, expert, weight);
	else
		choose_topk(a.gate, score, r, expert, weight);
}

} /* namespace moe_gate_parts */

/* Few tokens are spread over the blocks; no warp waits for another one. */
static __device__ void moe_gate_block(const struct moe_gate_args &a, unsigned char *shared)
{
	uint32_t warp = threadIdx.x / WARP, warps = moe_gate_parts::warps_of(a.gate);
	float *at = (float *)shared + warp * moe_gate_parts::scratch_floats(a.gate);
	const struct moe_gate_parts::scratch r = { at, at + a.gate.experts,
						   at + 2 * a.gate.experts };
	if (warp >= warps)
		return;
	for (uint32_t token = warp * gridDim.x + blockIdx.x; token < a.batch->rows;
	     token += warps * gridDim.x) {
		moe_gate_parts::choose(a, token, r);
		__syncwarp();
	}
}

static size_t moe_gate_shared(const struct moe_gate_args &a)
{
	return moe_gate_parts::warps_of(a.gate) * moe_gate_parts::scratch_floats(a.gate) *
	       sizeof(float);
}

static bool moe_gate_valid(const struct moe_gate_args &a)
{
	const struct kernel_gate &g = a.gate;
	return g.experts >= 1 && g.experts <= KERNEL_EXPERTS && g.top_k >= 1 &&
	       g.top_k <= g.experts && g.top_k <= KERNEL_TOP_K && g.groups >= 1 &&
	       g.experts % g.groups == 0 && g.groups_kept >= 1 && g.groups_kept <= g.groups &&
	       g.expert_scale == nullptr;
}

#ifndef DEVICE_STEP
static uint32_t moe_gate_blocks(const struct moe_gate_args &a) { return a.rows_most; }
DEVICE_LAUNCH(moe_gate)
#endif
