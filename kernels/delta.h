/* Recurrent layers: shapes of a call. The operations are in the table, kernels.h.
 *
 * Nothing here depends on how a text is cut into calls: the step of one token is the only form, and
 * a call of several tokens takes the steps in order while the state lies in the nearest cache. The
 * chunked form of the literature was rejected: its sums run over the tokens of a chunk, so that a
 * row's bits would depend on where chunks begin. */
#ifndef KERNELS_DELTA_H
#define KERNELS_DELTA_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_DELTA_KEY 256 /* numbers of a key at most */
#define KERNEL_TAPS 8        /* of a convolution at most */

/* A causal convolution of each channel by itself, then SiLU, for rows that follow one another:
 *
 *   out[t][c] = silu(sum_k weight[k][c] * x[t - taps + 1 + k][c]), k ascending, one fma each
 *
 * Rows before the first are history [taps - 1][channels], the oldest first; it is not changed
 * (kernel_conv_history). */
struct kernel_conv {
	uint32_t rows, taps; /* taps: 2 to KERNEL_TAPS */
	size_t channels;     /* of weight and history: floats from row to row */
	const float *weight; /* [taps][channels] */
	const float *history;
	const float *x; /* [rows][x_row] */
	float *out;     /* [rows][out_row], not x */
	size_t x_row, out_row;
};

/* After a call, for channels [channel, channel + count): the history that the next row needs. */
void kernel_conv_history(const struct kernel_conv *c, size_t channel, size_t count, float *history);

/* Retention of a state from what was projected for it: exp(g), within [0, 1]. */
enum kernel_decay {
	KERNEL_DECAY_SOFTPLUS, /* g = -rate * softplus(a + bias) */
	KERNEL_DECAY_BOUNDED   /* g = low * sigmoid(rate * (a + bias)) */
};

/* The gated delta rule for the rows of one sequence and one value head (source: Yang, Kautz,
 * Hatamizadeh, Gated Delta Networks, arXiv 2412.06464; decay by channel: Kimi Linear, arXiv
 * 2510.26692). Column i of the state belongs to number i of the value, and no column reads another.
 * For each row, with state S [key][value]:
 *
 *   r[i] = sum_j (k[j] * decay[j]) * S[j][i]
 *   u[i] = beta * (v[i] - r[i])
 *   S[j][i] = fma(k[j], u[i], S[j][i] * decay[j])
 *   out[i] = sum_j q[j] * S[j][i]
 *
 * A sum over j is four sums of j mod 4, each ascending by one fma, then (0 + 2) + (1 + 3). The
 * state lies in panels of sixteen columns, [ceil(value/16)][key][16], 64-byte aligned; columns
 * beyond value are zero. */
struct kernel_delta {
	uint32_t rows, key, value; /* rows >= 1; key <= KERNEL_DELTA_KEY */
	const float *q, *k, *v;    /* [rows][key] twice, [rows][value] */
	const float *beta;         /* [rows] */
	const float *decay;        /* [rows][key] by_channel, else [rows] */
	int by_channel;
	size_t q_row, k_row, v_row, beta_row, decay_row, out_row; /* floats from row to row */
	float *state;
	float *out; /* [rows][value] */
};

static inline size_t kernel_delta_state(uint32_t key, uint32_t value) /* floats of a state */
{
	return (size_t)(value + 15) / 16 * 16 * key;
}

#endif
