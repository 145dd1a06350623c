/* Device form of what begins a pass or follows a branch (engine/cpu_close.c, and sum_slots and
 * shared_row of engine/cpu_ffn.c, are the truth).
 * Bound:   latency up to some hundred rows, then memory.
 * Bytes:   a row: n*4 for each of x read, x written, normed written, answer or slot or shared
 *          read; gains from the cache. embed: a row of the matrix in place of x and answer.
 * Launch:  grid rows, block 256; a row is a block's.
 * Order:   slots in rank order by one product and one sum each, the shared expert behind them:
 *          the bits of the truth. Squares and means: a thread's fours in ascending order, lanes
 *          by butterfly, warps by a tree, whatever the number of rows and of blocks.
 * Limits:  registers 64, threads 256, local 0
 * Shared:  n*4 + 592 bytes: the row between two passes over it, its choice of experts.
 * Blocks:  4 blocks a multiprocessor at least up to n = 12,000; one is enough for decoding. */
#include "kernels/device_kernel.h"

namespace close_rows_parts
{

struct scratch {
	float *room;     /* [8] for sums */
	uint32_t *place; /* [KERNEL_TOP_K] */
	float *weight;   /* [KERNEL_TOP_K] */
	float *kept;     /* [n], padded to fours */
};

#define CLOSE_SCRATCH (32 + KERNEL_TOP_K * 8)

static __device__ __forceinline__ struct scratch scratch_at(unsigned char *shared)
{
	uint32_t *place = (uint32_t *)(shared + 32);
	return { (float *)shared, place, (float *)(place + KERNEL_TOP_K),
		 (float *)(shared + CLOSE_SCRATCH) };
}

static __host__ __device__ __forceinline__ bool has_answer(const struct close_rows_args &a)
{
	return a.answer != nullptr || a.slots.down != nullptr || a.slots.shared != nullptr;
}

/* The row's slots into shared memory, so that their rows can all be asked for at once. */
static __device__ __forceinline__ void slots_fetch(const struct close_rows_args &a, uint32_t row,
						   struct scratch r)
{
	uint32_t k = a.slots.top_k;
	if (a.slots.down == nullptr)
		return;
	__syncthreads(); /* the row before is done with them */
	for (uint32_t j = threadIdx.x; j < k; j += DEVICE_THREADS) {
		r.place[j] = a.slots.place[(size_t)row * k + j];
		r.weight[j] = a.slots.weight[(size_t)row * k + j];
	}
	__syncthreads();
}

template <bool whole>
static __device__ __forceinline__ struct device_four slots_four(const struct close_rows_args &a,
								float share, uint32_t row,
								struct scratch r, uint32_t i)
{
	const struct device_slots &s = a.slots;
	struct device_four sum = { { 0, 0, 0, 0 } };
	uint32_t slots = s.down == nullptr ? 0 : s.top_k;
#pragma unroll 4
	for (uint32_t k = 0; k < slots; k++) {
		const struct device_four f =
			device_four_load<whole>(s.down + (size_t)r.place[k] * a.n, i, a.n);
#pragma unroll
		for (uint32_t j = 0; j < 4; j++)
			sum.v[j] = k == 0 ? r.weight[k] * f.v[j] : sum.v[j] + r.weight[k] * f.v[j];
	}
	if (s.shared != nullptr) {
		const struct device_four f =
			device_four_load<whole>(s.shared + (size_t)row * a.n, i, a.n);
#pragma unroll
		for (uint32_t j = 0; j < 4; j++) {
			float add = s.shared_share == nullptr ? f.v[j] : share * f.v[j];
			sum.v[j] = slots == 0 ? add : sum.v[j] + add;
		}
	}
	return sum;
}

template <bool whole>
static __device__ __forceinline__ struct device_four answer_four(const struct close_rows_args &a,
								 float share, uint32_t row,
								 struct scratch r, uint32_t i)
{
	if (a.answer != nullptr)
		return device_four_load<whole>(a.answer + (size_t)row * a.n, i, a.n);
	return slots_four<whole>(a, share, row, r, i);
}

/* x += what the branch answered; the new x lies in kept too. */
template <bool whole>
static __device__ void answer_add(const struct close_rows_args &a, uint32_t row, struct scratch r)
{
	float *x = a.x + (size_t)row * a.n, share = 1, scalar = 1;
	struct device_measure by = { 0, 1 };
	bool after = a.after.gain != nullptr;
	slots_fetch(a, row, r);
	if (a.slots.shared_share != nullptr)
		share = 1.0f / (1.0f + device_exp(0.0f - a.slots.shared_share[row]));
	if (a.scalar != nullptr)
		scalar = *a.scalar;
	if (after) {
		for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS)
			device_four_store<true>(r.kept, i, a.n,
						answer_four<whole>(a, share, row, r, i));
		by = device_measure_row(r.kept, a.n, a.eps, a.layer_norm, r.room);
	}
	for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS) {
		struct device_four f = after ? device_four_load<true>(r.kept, i, a.n)
					     : answer_four<whole>(a, share, row, r, i);
		struct device_four sum = device_four_load<whole>(x, i, a.n);
		if (after)
			f = device_normed<whole>(f, by, a.after.gain, a.after.bias, i, a.n);
#pragma unroll
		for (uint32_t j = 0; j < 4; j++)
			sum.v[j] = (sum.v[j] + f.v[j] * a.residual_scale) * scalar;
		device_four_store<whole>(x, i, a.n, sum);
		device_four_store<true>(r.kept, i, a.n, sum);
	}
}

template <bool whole>
static __device__ void x_keep(const struct close_rows_args &a, uint32_t row, struct scratch r)
{
	for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS)
		device_four_store<true>(r.kept, i, a.n,
					device_four_load<whole>(a.x + (size_t)row * a.n, i, a.n));
}

template <bool whole>
static __device__ void embed(const struct close_rows_args &a, uint32_t row, struct scratch r)
{
	uint32_t token = a.batch->token[row];
	for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS) {
		struct device_four f = { { 0, 0, 0, 0 } };
#pragma unroll
		for (uint32_t j = 0; j < 4; j++) {
			if (whole || i + j < a.n)
				f.v[j] = device_matrix_at(a.embed, token, i + j) * a.embed_scale;
		}
		device_four_store<whole>(a.x + (size_t)row * a.n, i, a.n, f);
		device_four_store<true>(r.kept, i, a.n, f);
	}
}

/* normed = next(kept) */
template <bool whole>
static __device__ void input_make(const struct close_rows_args &a, uint32_t row, struct scratch r)
{
	struct device_measure by = { 0, 1 };
	if (a.next.gain != nullptr)
		by = device_measure_row(r.kept, a.n, a.eps, a.layer_norm, r.room);
	for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS) {
		struct device_four f = device_four_load<true>(r.kept, i, a.n);
		if (a.next.gain != nullptr)
			f = device_normed<whole>(f, by, a.next.gain, a.next.bias, i, a.n);
		device_four_store<whole>(a.normed + (size_t)row * a.n, i, a.n, f);
	}
}

/* Two steps in either order. One copy of each in the code: unrolled, the compiler takes minutes. */
template <bool whole>
static __device__ void close_row(const struct close_rows_args &a, uint32_t row, struct scratch r)
{
	bool answered = has_answer(a);
	if (a.embed.at != nullptr)
		embed<whole>(a, row, r);
	else if (!answered || a.early)
		x_keep<whole>(a, row, r);
#pragma unroll 1
	for (uint32_t step = 0; step < 2; step++) {
		bool adds = step == (a.early ? 1 : 0);
		if (adds && answered)
			answer_add<whole>(a, row, r);
		if (!adds && !a.keeps)
			input_make<whole>(a, row, r);
	}
}

} /* namespace close_rows_parts */

static __device__ void close_rows_block(const struct close_rows_args &a, unsigned char *shared)
{
	const struct close_rows_parts::scratch r = close_rows_parts::scratch_at(shared);
	uint32_t rows = a.batch->rows;
	for (uint32_t row = blockIdx.x; row < rows; row += gridDim.x) {
		if (a.n % 4 == 0)
			close_rows_parts::close_row<true>(a, row, r);
		else
			close_rows_parts::close_row<false>(a, row, r);
	}
}

static size_t close_rows_shared(const struct close_rows_args &a)
{
	return CLOSE_SCRATCH + ((size_t)a.n + 3) / 4 * 16;
}

static bool close_rows_valid(const struct close_rows_args &a)
{
	const struct device_slots &s = a.slots;
	const void *four[] = { a.answer,     s.down,       s.shared,    a.x,        a.normed,
			       a.after.gain, a.after.bias, a.next.gain, a.next.bias };
	for (const void *at : four) {
		if (!device_aligned(at))
			return false;
	}
	if (s.down != nullptr && (s.top_k == 0 || s.top_k > KERNEL_TOP_K || a.answer != nullptr))
		return false;
	if (a.embed.at != nullptr && (a.embed.columns != a.n || close_rows_parts::has_answer(a)))
		return false;
	return a.n > 0 && close_rows_shared(a) <= DEVICE_SHARED_MOST;
}

#ifndef DEVICE_STEP
static uint32_t close_rows_blocks(const struct close_rows_args &a) { return a.rows_most; }
DEVICE_LAUNCH(close_rows)
#endif
