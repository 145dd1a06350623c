/* The numeric operations, behind one table that is chosen once at start.
 *
 * Every canonical set gives the same bits (engine levels D1 to D3): lanes run over outputs, each
 * output adds its K terms in ascending order by one fma per term (integer formats: one exact
 * integer sum and one fma per group of weights, and one fma per block of inputs), the few
 * horizontal sums have one fixed tree, and exp is our own. The plain set is the canonical form in
 * C; kernels/truth.h holds the same operations in double, for tolerance tests. Operations take
 * explicit shapes and keep no state, so that threads may call them side by side, each on its own
 * panels or rows. The GPU's operations are of a whole batch and have their own table, device.h. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/err.h"
#include "kernels/attention.h"
#include "kernels/delta.h"
#include "kernels/matrix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Expert choice from router logits: the top_k best, ties to the lower id.
 *
 * - SOFTMAX: p = softmax(score), chosen by p, or with a bias by p + bias and ranked by p;
 *   groups > 1: only the groups_kept groups of highest maximum take part. Weights are p,
 *   / (sum + 1e-20), or with a floor / max(sum, floor), if normalise, else * scaling. Source:
 *   DeepSeek-V2 report, section 2.2.
 * - SIGMOID: s = sigmoid(score), chosen by s + bias, or without one by score, ranked by s; a
 *   group counts by the sum of its two best, the others are out. Weights are s, / (sum + 1e-20) if
 *   normalise, then * scaling. Source: DeepSeek-V3 report, section 2.1.2.
 * - TOPK: the best of score, plus bias if there is one; weights are the softmax over those k.
 *
 * An expert_scale multiplies each weight by its expert's in the end, and ranks by the product. */
enum kernel_gate_kind { KERNEL_GATE_SOFTMAX, KERNEL_GATE_SIGMOID, KERNEL_GATE_TOPK };

struct kernel_gate {
	enum kernel_gate_kind kind;
	/* experts <= KERNEL_EXPERTS, groups divides experts */
	uint32_t experts, top_k, groups, groups_kept;
	bool normalise;
	float scaling;
	float floor;               /* SOFTMAX: of the sum; 0: none */
	const float *bias;         /* [experts]; NULL: none */
	const float *expert_scale; /* [experts]; NULL: none */
};

/* Activations of feed-forward networks.
 *
 *   SILU       x * sigmoid(x)
 *   CLAMPED    (u + 1) * g * sigmoid(1.702 g), g = min(x, 7), u = up within +-7 (gpt-oss)
 *   GELU_TANH  x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
 *   GELU       x/2 (1 + erf(x / sqrt(2)))
 *   RELU2      max(x, 0)^2
 *   XIELU      p0 x^2 + p2 x for x > 0, else p1 (expm1(min(x, p3)) - x) + p2 x, where p are the
 *              parameters softplus(alpha_p), beta + softplus(alpha_n), beta, eps */
enum kernel_act {
	KERNEL_ACT_SILU,
	KERNEL_ACT_CLAMPED,
	KERNEL_ACT_GELU_TANH,
	KERNEL_ACT_GELU,
	KERNEL_ACT_RELU2,
	KERNEL_ACT_XIELU,
	KERNEL_ACTS
};

#define KERNEL_EXPERTS 1024
#define KERNEL_TOP_K 64

struct kernels {
	/* "plain", "avx2", "avxvnni", "avx512", "vnni"; of the fast ones "int8-" and these, or
	 * "bf16" */
	const char *name;
	bool canonical; /* false: fast, with bits of its own */
	/* The class of its bits: sets of one regime give the same bits on every machine. "cpu/1" is
	 * the canonical sets', "cpu-fast-int8/1" and "cpu-fast-bf16/2" the fast ones'. The number
	 * grows when a bit of any result changes, of the draw too (docs/formats.md, section 9). */
	const char *regime;
	/* Formats whose products take their rows quantised (kernel_rows.quant): Q8 and Q4, in fast
	 * sets MXFP4 too. */
	bool quantised[KERNEL_FORMATS];

	/* out[i][row] = sum_k w[row][k] x_i[k] for the rows of panels [panel, panel+panels). Writes
	 * no other row. */
	void (*matmul[KERNEL_FORMATS])(const struct kernel_matrix *w, uint32_t panel,
				       uint32_t panels, const struct kernel_rows *x, float *out,
				       size_t out_stride);
	/* Pack rows [row, row+rows), row a multiple of 16, rows too unless they are the last, into
	 * any format but MXFP4; FP8 takes E4M3 alone (its scales are the caller's to fill). Every
	 * set packs the same bytes. Returns rows*columns, or the index (row-major, from `row`) of
	 * the first value that is not finite, or would not be in the format (bf16, f16, and the
	 * f16 scale of Q8 and Q4), packing being unfinished then. */
	uint64_t (*pack)(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			 const struct kernel_stored_rows *from);
	/* The same into MXFP4; the index is that of a value in a group with scale 255. */
	uint64_t (*pack_mxfp4)(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			       const struct kernel_mxfp4_rows *from);
	/* One row x [n] into row i of q. */
	void (*quant_row)(const float *x, uint32_t n, const struct kernel_quant *q, uint32_t i);
	/* out[i] = x[i] / sqrt(mean(x^2) + eps) * gain[i], i < n; gain NULL: without. In place is
	 * fine. */
	void (*rmsnorm)(const float *x, const float *gain, uint32_t n, float eps, float *out);
	/* out[i] = d[i] / sqrt(mean(d^2) + eps) * gain[i] + bias[i], d = x - mean(x); bias NULL:
	 * none. In place is fine. */
	void (*layernorm)(const float *x, const float *gain, const float *bias, uint32_t n,
			  float eps, float *out);
	/* x[i] = act(x[i]) * up[i], or with up NULL (a network without gate) act(x[i]); CLAMPED
	 * always has an up. parameter: of XIELU. */
	void (*act[KERNEL_ACTS])(float *x, const float *up, uint32_t n, const float *parameter);
	/* x[i] = cap * tanh(x[i] / cap) */
	void (*softcap)(float *x, uint32_t n, float cap);
	/* Rotate n/2 pairs by cos, sin [n/2]: interleaved (2i, 2i+1), half (i, i + n/2). In
	 * place. */
	void (*rope_interleaved)(float *x, uint32_t n, const float *cosine, const float *sine);
	void (*rope_half)(float *x, uint32_t n, const float *cosine, const float *sine);
	/* Attention over splits [split, split + splits): a record of each, or with `together` one
	 * of all, taken in in order. Records follow one another. */
	void (*attn)(const struct kernel_attention *a, uint32_t split, uint32_t splits,
		     float *record, bool together);
	/* Take records 1 to records - 1 into the first, in order; end: then its answer to a->out.
	 * Only of lanes [lane, lane + lanes). */
	void (*attn_join)(const struct kernel_attention *a, uint32_t lane, uint32_t lanes,
			  float *record, uint32_t records, bool end);
	/* Scores of positions [from, to), from a multiple of KERNEL_PAGE, into score [to - from]. */
	void (*index)(const struct kernel_index *x, uint32_t from, uint32_t to, float *score);
	/* score [tokens][experts] -> expert [tokens][top_k] best first, weight [tokens][top_k] */
	void (*moe_gate)(const struct kernel_gate *g, const float *score, uint32_t tokens,
			 uint16_t *expert, float *weight);
	/* out[i] = (...(weight[0] * row[0][i] + weight[1] * row[1][i]) + ...), count >= 1 rows in
	 * rank order. out may be row[0]. */
	void (*weighted_sum)(const float *const *row, const float *weight, uint32_t count,
			     uint32_t n, float *out);
	/* Recurrent layers (kernels/delta.h). Channels [channel, channel + count) of a convolution;
	 * panels [panel, panel + panels) of a state and of what is computed with it. */
	void (*conv)(const struct kernel_conv *c, size_t channel, size_t count);
	void (*delta)(const struct kernel_delta *d, uint32_t panel, uint32_t panels);
	/* out[i] = exp(g) of a[i], bias[i], rate[i] >= 0, and low <= 0. In place is fine. */
	void (*decay)(enum kernel_decay kind, float low, const float *a, const float *bias,
		      const float *rate, uint32_t n, float *out);
	/* x[i] *= scale / sqrt(sum(x^2) + eps) */
	void (*unit)(float *x, uint32_t n, float eps, float scale);
	/* gate[i] = sigmoid(gate[i]) * up[i] */
	void (*sigmoid_mul)(float *gate, const float *up, uint32_t n);
	/* x[i] += y[i] */
	void (*add)(float *x, const float *y, uint32_t n);
	/* Index of the largest, the lowest index among equals; n >= 1. NaN is passed over, but a NaN
	 * at index 0 gives 0. */
	uint32_t (*argmax)(const float *x, uint32_t n);
	/* out[i] = number_exp((x[i] - largest) / temperature): weights of a softmax. In place is
	 * fine. */
	void (*weigh)(const float *x, uint32_t n, float largest, float temperature, float *out);
};

/* The set called name, or with NULL the one that HALLMARK_KERNELS names, or the best canonical one
 * of this machine; fast: the best fast one, which every machine has. ERR_INPUT for an unknown name,
 * ERR_UNSUPPORTED for one that this machine cannot run. */
int kernels_pick(const struct kernels **out, const char *name, bool fast, struct err *e) MUST_USE;

/* Every canonical set this machine can run, plain first; NULL past the last. */
const struct kernels *kernels_at(size_t i);
/* The fast sets likewise: those of "cpu-fast-int8/1", "int8-plain" first, then "bf16". */
const struct kernels *kernels_fast_at(size_t i);

/* All splits of a call, and its answer. */
void kernel_attention_run(const struct kernels *k, const struct kernel_attention *a);

/* Peaks of this machine, for benches: what a set can reach at most. */

/* Multiply-adds a second (counted as 2 operations each) that one thread of this set reaches with
 * registers alone, in the form its matmul of this format uses, measured for about `seconds`. */
double kernels_peak(const struct kernels *k, enum kernel_format f, double seconds);
/* Load every cache line of len bytes once, as fast as the machine can, in one stream or in several:
 * which is faster depends on the machine. Returns a value of the bytes, so that no compiler drops
 * the loads. */
uint64_t kernels_read(const void *at, size_t len, bool streams);

#endif
