/* The numeric operations, behind one table that is chosen once at start.
 *
 * Every set gives the same bits (engine levels D1 to D3): lanes run over outputs, each output adds
 * its K terms in ascending order by one fma per term, the few horizontal sums have one fixed tree,
 * and exp is our own. The plain set is the canonical form in C; kernels/truth.h holds the same
 * operations in double, for tolerance tests. Operations are called with explicit shapes and no
 * hidden state, so that device twins fit the same calls. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- packed weights ---- */

/* Panels of 16 output rows, one after the other; rows beyond the last are zero. Inside a panel, k
 * ascending: F32   [k][16] f32 BF16  [k/2][16] u32: value k in the low half, k+1 in the high half
 * (zero beyond the last) FP8   [k][16] u8 E4M3, and a scale for each block of 128 rows and 128 k
 * (value = fp8 * scale): each output adds a block's terms from zero in f32, in units of 2^-8, then
 * fma(sum, 256 * scale, output) */
enum kernel_format { KERNEL_F32, KERNEL_BF16, KERNEL_FP8, KERNEL_FORMATS };

#define KERNEL_PANEL 16
#define KERNEL_FP8_BLOCK 128

struct kernel_matrix {
	enum kernel_format format;
	uint32_t rows, columns; /* outputs and K */
	size_t panel_bytes;
	unsigned char *panel; /* [panels][panel_bytes], 64-byte aligned, owned */
	float *scale;         /* FP8: [ceil(rows/128)][ceil(columns/128)], owned; else NULL */
};

static inline uint32_t kernel_panels(const struct kernel_matrix *w)
{
	return (w->rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
}

/* Zeroed panels (and scales) for a shape; ERR_NOMEM. Free with kernel_matrix_free, which also takes
 * a zeroed struct. */
int kernel_matrix_alloc(struct kernel_matrix *w, enum kernel_format format, uint32_t rows,
			uint32_t columns, struct err *e) MUST_USE;
void kernel_matrix_free(struct kernel_matrix *w);
/* Put one row: columns values in storage form (f32, u16 bf16 or u8 e4m3), at any alignment. */
void kernel_matrix_put(struct kernel_matrix *w, uint32_t row, const void *values);
/* One value back as f32 (the block scale applied), for tests and embeddings. */
float kernel_matrix_at(const struct kernel_matrix *w, uint32_t row, uint32_t column);
/* Bytes held. */
uint64_t kernel_matrix_bytes(const struct kernel_matrix *w);

/* Input rows: row i is value + (pick ? pick[i] : i) * stride. */
struct kernel_rows {
	const float *value;
	size_t stride; /* floats */
	uint32_t count;
	const uint32_t *pick; /* [count] or NULL */
};

/* ---- operations ---- */

/* Latent attention (MLA, absorbed) of one query position over a paged cache.
 * Source: DeepSeek-V2 report, section 2.1. */
#define KERNEL_PAGE 64 /* positions of a cache page */
#define KERNEL_SPLIT \
	256 /* positions of an attention split; partial results are combined in position order */
#define KERNEL_HEADS 16 /* heads of one call at most */

struct kernel_mla {
	uint32_t latent, rope;   /* widths of a cache row [latent | rope] */
	const float *query;      /* [heads][latent], W_UK^T q_nope */
	const float *query_rope; /* [heads][rope], rotated */
	size_t query_stride, query_rope_stride, out_stride; /* floats from head to head */
	const float *const *page; /* [ceil(positions/64)] pages of [64][latent+rope] f32 */
	uint32_t positions;       /* cache rows to attend, this position included; at least 1 */
	float scale;              /* of q.k */
	float *out;               /* [heads][latent] */
	float *scratch; /* kernel_mla_scratch floats, 64-byte aligned, this thread's own */
};

/* Grouped-query attention of one query position over a paged cache: the query heads that share one
 * key and value head. Source: arXiv 2305.13245; sinks: gpt-oss model card. */
struct kernel_gqa {
	uint32_t head;                   /* width of a head */
	const float *query;              /* [heads][head], rotated */
	size_t query_stride, out_stride; /* floats from head to head */
	const float *const *page;        /* pages of [64][row] f32 */
	size_t row, key_at, value_at;    /* a cache row's floats; where its key and value lie */
	uint32_t first, positions;       /* rows [first, positions) are attended; at least one */
	float scale;                     /* of q.k */
	const float *sink;               /* [heads]: a logit without a value; NULL: none */
	float *out;                      /* [heads][head] */
	float *scratch; /* kernel_gqa_scratch floats, 64-byte aligned, this thread's own */
};

/* Expert choice from router logits: the top_k best, ties to the lower id.
 *
 * - SOFTMAX: p = softmax(score); groups > 1: only the groups_kept groups of highest maximum take
 *   part. Weights are p, / (sum + 1e-20) if normalise, else * scaling. Source: DeepSeek-V2 report,
 *   section 2.2.
 * - SIGMOID: s = sigmoid(score), chosen by s + bias, ranked by s; a group counts by the sum of its
 *   two best, the others are out. Weights are s, / (sum + 1e-20) if normalise, then * scaling.
 *   Source: DeepSeek-V3 report, section 2.1.2.
 * - TOPK: the best of score + bias; weights are the softmax over those k. */
enum kernel_gate_kind { KERNEL_GATE_SOFTMAX, KERNEL_GATE_SIGMOID, KERNEL_GATE_TOPK };

struct kernel_gate {
	enum kernel_gate_kind kind;
	uint32_t experts, top_k, groups,
		groups_kept; /* experts <= KERNEL_EXPERTS, groups divides experts */
	bool normalise;
	float scaling;
	const float *bias; /* [experts]; SIGMOID and TOPK need it */
};

#define KERNEL_EXPERTS 1024
#define KERNEL_TOP_K 64

struct kernels {
	const char *name; /* "plain", "avx2", "avx512" */

	/* out[i][row] = sum_k w[row][k] x_i[k] for the rows of panels [panel, panel+panels). Writes
	 * no other row. */
	void (*matmul[KERNEL_FORMATS])(const struct kernel_matrix *w, uint32_t panel,
				       uint32_t panels, const struct kernel_rows *x, float *out,
				       size_t out_stride);
	/* out[i] = x[i] / sqrt(mean(x^2) + eps) * gain[i], i < n. In place is fine. */
	void (*rmsnorm)(const float *x, const float *gain, uint32_t n, float eps, float *out);
	/* gate[i] = silu(gate[i]) * up[i] */
	void (*silu_mul)(float *gate, const float *up, uint32_t n);
	/* gate[i] = (u + 1) * g * sigmoid(1.702 g), g = min(gate[i], 7), u = up[i] within +-7 */
	void (*clamped_mul)(float *gate, const float *up, uint32_t n);
	/* Rotate n/2 pairs by cos, sin [n/2]: interleaved (2i, 2i+1), half (i, i + n/2). In place.
	 */
	void (*rope_interleaved)(float *x, uint32_t n, const float *cosine, const float *sine);
	void (*rope_half)(float *x, uint32_t n, const float *cosine, const float *sine);
	/* The first `heads` (<= KERNEL_HEADS) heads of a->query. */
	void (*attn_mla)(const struct kernel_mla *a, uint32_t heads);
	void (*attn_gqa)(const struct kernel_gqa *a, uint32_t heads);
	/* score [tokens][experts] -> expert [tokens][top_k] best first, weight [tokens][top_k] */
	void (*moe_gate)(const struct kernel_gate *g, const float *score, uint32_t tokens,
			 uint16_t *expert, float *weight);
	/* out[i] = (...(weight[0] * row[0][i] + weight[1] * row[1][i]) + ...), count >= 1 rows in
	 * rank order */
	void (*weighted_sum)(const float *const *row, const float *weight, uint32_t count,
			     uint32_t n, float *out);
	/* x[i] += y[i] */
	void (*add)(float *x, const float *y, uint32_t n);
	/* Index of the largest, the lowest index among equals; n >= 1. */
	uint32_t (*argmax)(const float *x, uint32_t n);
};

/* Floats of scratch that attn_mla and attn_gqa need. */
size_t kernel_mla_scratch(uint32_t latent, uint32_t rope);
size_t kernel_gqa_scratch(uint32_t head);

/* The set called name ("plain", "avx2", "avx512"), or with NULL the one that HALLMARK_KERNELS
 * names, or the best of this machine. ERR_INPUT for an unknown name, ERR_UNSUPPORTED for one that
 * this machine cannot run. */
int kernels_pick(const struct kernels **out, const char *name, struct err *e) MUST_USE;

/* Every set this machine can run, plain first; NULL past the last. */
const struct kernels *kernels_at(size_t i);

#endif
