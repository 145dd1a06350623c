/* close_rows: the sums of a row are those of the truth bit for bit, norms close to it in double. */
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/gpu/parity.h"

#include <string.h>

/* Which of the parts a case has. */
enum part {
	ANSWER = 1,
	SLOTS = 2,
	SHARED = 4,
	SHARE = 8,
	AFTER = 16,
	NEXT = 32,
	LAYER = 64,
	EARLY = 128,
	KEEPS = 256,
	SCALAR = 512,
	BIAS = 1024
};

static const unsigned cases[] = {
	NEXT,
	0,
	ANSWER | NEXT,
	ANSWER | NEXT | SCALAR,
	ANSWER | AFTER | NEXT,
	ANSWER | AFTER | NEXT | SCALAR,
	ANSWER | NEXT | LAYER | BIAS,
	ANSWER | AFTER | NEXT | LAYER | BIAS,
	ANSWER | NEXT | EARLY | LAYER,
	ANSWER | AFTER | NEXT | EARLY,
	ANSWER | KEEPS | EARLY,
	SLOTS | NEXT,
	SLOTS | SHARED | NEXT,
	SLOTS | SHARED,
	SLOTS | SHARED | SHARE | NEXT,
	SLOTS | SHARED | SHARE | AFTER | NEXT | SCALAR,
	SHARED | NEXT,
	SLOTS | EARLY | NEXT,
	ANSWER,
};

struct close_case {
	unsigned parts;
	uint32_t rows, n, top_k;
	const struct device_batch *batch;
	struct parity_buffer answer, down, place, weight, shared, share, x, x_before, normed;
	struct parity_buffer after, after_bias, next, next_bias, scalar;
	float scale;
};

static bool has(const struct close_case *c, unsigned part) { return (c->parts & part) != 0; }

static void make_places(struct parity *p, struct close_case *c)
{
	uint32_t slots = c->rows * c->top_k, *place = parity_host(p, slots * sizeof *place);
	for (uint32_t i = 0; i < slots; i++) {
		uint32_t j = parity_below(p, i + 1);
		place[i] = place[j];
		place[j] = i;
	}
	c->place = parity_input(p, "place", place, slots * sizeof *place);
}

static void make_case(struct parity *p, struct close_case *c)
{
	size_t all = (size_t)c->rows * c->n, slots = (size_t)c->rows * c->top_k;
	c->answer = parity_f32(p, "answer", all, 1);
	c->down = parity_f32(p, "down", slots * c->n, 1);
	c->weight = parity_f32(p, "weight", slots, 0.5f);
	c->shared = parity_f32(p, "shared", all, 1);
	c->share = parity_f32(p, "share", c->rows, 2);
	c->x = parity_f32(p, "x", all, 4);
	c->x_before = parity_input(p, "x before", c->x.host, all * 4);
	c->normed = parity_output(p, "normed", all * 4);
	c->after = parity_f32(p, "gain after", c->n, 1);
	c->after_bias = parity_f32(p, "bias after", c->n, 1);
	c->next = parity_f32(p, "gain", c->n, 1);
	c->next_bias = parity_f32(p, "bias", c->n, 1);
	c->scalar = parity_f32(p, "scalar", 1, 1);
	make_places(p, c);
}

/* Of rows [row, row + rows). */
static struct close_rows_args args_of(const struct close_case *c, const struct device_batch *batch,
				      uint32_t row, uint32_t rows)
{
	size_t from = (size_t)row * c->n, slot = (size_t)row * c->top_k;
	struct close_rows_args a = { .batch = batch,
				     .x = (float *)c->x.at + from,
				     .normed = (float *)c->normed.at + from,
				     .n = c->n,
				     .eps = 1e-5f,
				     .layer_norm = has(c, LAYER),
				     .residual_scale = c->scale,
				     .early = has(c, EARLY),
				     .keeps = has(c, KEEPS),
				     .rows_most = rows };
	if (has(c, ANSWER))
		a.answer = (float *)c->answer.at + from;
	if (has(c, SLOTS))
		a.slots = (struct device_slots){ .down = c->down.at,
						 .place = (uint32_t *)c->place.at + slot,
						 .weight = (float *)c->weight.at + slot,
						 .top_k = c->top_k };
	if (has(c, SHARED))
		a.slots.shared = (float *)c->shared.at + from;
	if (has(c, SHARE))
		a.slots.shared_share = (float *)c->share.at + row;
	if (has(c, AFTER))
		a.after = (struct device_norm){ c->after.at, has(c, BIAS) ? c->after_bias.at : NULL };
	if (has(c, NEXT))
		a.next = (struct device_norm){ c->next.at, has(c, BIAS) ? c->next_bias.at : NULL };
	a.scalar = has(c, SCALAR) ? c->scalar.at : NULL;
	return a;
}

/* What the branch answered in f32, in the order of engine/cpu_ffn.c. */
static float answer_at(const struct close_case *c, uint32_t row, uint32_t i)
{
	const float *down = c->down.host, *weight = (float *)c->weight.host + (size_t)row * c->top_k;
	const uint32_t *place = (uint32_t *)c->place.host + (size_t)row * c->top_k;
	size_t at = (size_t)row * c->n + i;
	float sum = 0;
	if (has(c, ANSWER))
		return ((float *)c->answer.host)[at];
	for (uint32_t k = 0; has(c, SLOTS) && k < c->top_k; k++) {
		float part = weight[k] * down[(size_t)place[k] * c->n + i];
		sum = k == 0 ? part : sum + part;
	}
	if (has(c, SHARED)) {
		float shared = ((float *)c->shared.host)[at];
		if (has(c, SHARE))
			shared *= 1.0f / (1.0f + number_exp(0.0f - ((float *)c->share.host)[row]));
		sum = has(c, SLOTS) ? sum + shared : shared;
	}
	return sum;
}

static void norm(const struct close_case *c, const float *x, const struct parity_buffer *gain,
		 const struct parity_buffer *bias, double *out)
{
	if (has(c, LAYER))
		kernel_truth_layernorm(x, gain->host, has(c, BIAS) ? bias->host : NULL, c->n, 1e-5, out);
	else
		kernel_truth_rmsnorm(x, gain->host, c->n, 1e-5, out);
	for (uint32_t i = 0; !has(c, LAYER) && has(c, BIAS) && i < c->n; i++)
		out[i] += (double)((float *)bias->host)[i];
}

/* One row: x after it in f32 (exact without a norm of the answer) and in double, and the next input. */
static void truth_row(struct parity *p, const struct close_case *c, uint32_t row, float *x32, double *x,
		      double *normed)
{
	const float *before = (float *)c->x_before.host + (size_t)row * c->n;
	float scalar = has(c, SCALAR) ? *(float *)c->scalar.host : 1;
	float *answer = parity_host(p, c->n * sizeof *answer);
	double *after = parity_host(p, c->n * sizeof *after);
	bool some = has(c, ANSWER | SLOTS | SHARED);
	for (uint32_t i = 0; i < c->n; i++)
		after[i] = (double)(answer[i] = answer_at(c, row, i));
	if (has(c, AFTER))
		norm(c, answer, &c->after, &c->after_bias, after);
	for (uint32_t i = 0; i < c->n; i++) {
		x32[i] = some ? (before[i] + answer[i] * c->scale) * scalar : before[i];
		x[i] = some ? ((double)before[i] + after[i] * (double)c->scale) * (double)scalar
			    : (double)before[i];
		answer[i] = has(c, EARLY) ? before[i] : (float)x[i];
		normed[i] = has(c, EARLY) ? (double)before[i] : x[i];
	}
	if (has(c, NEXT))
		norm(c, answer, &c->next, &c->next_bias, normed);
}

static void compare_case(struct parity *p, struct close_case *c)
{
	size_t all = (size_t)c->rows * c->n;
	float *x32 = parity_host(p, all * sizeof *x32);
	double *x = parity_host(p, all * sizeof *x), *normed = parity_host(p, all * sizeof *normed);
	for (uint32_t row = 0; row < c->rows; row++)
		truth_row(p, c, row, x32 + (size_t)row * c->n, x + (size_t)row * c->n,
			  normed + (size_t)row * c->n);
	parity_fetch(p, &c->x);
	parity_fetch(p, &c->normed);
	if (!has(c, AFTER))
		parity_equal(p, c->x.host, x32, all * 4, "parts %x, rows %u, n %u, top %u: sums", c->parts,
			     c->rows, c->n, c->top_k);
	parity_expect(p, parity_error(c->x.host, x, all), 2e-6, "parts %x, rows %u, n %u: x", c->parts, c->rows,
		      c->n);
	if (has(c, KEEPS))
		parity_untouched(p, &c->normed, 0, all * 4);
	else
		parity_expect(p, parity_error(c->normed.host, normed, all), 4e-6,
			      "parts %x, rows %u, n %u: normed", c->parts, c->rows, c->n);
}

/* Row by row, each a pass of its own, gives the same bits. */
static void compare_alone(struct parity *p, struct close_case *c)
{
	const struct device_batch one = { .rows = 1 };
	const struct device_batch *batch = parity_input(p, "batch of one", &one, sizeof one).at;
	size_t all = (size_t)c->rows * c->n * 4;
	float *x = parity_host(p, all), *normed = parity_host(p, all);
	memcpy(x, c->x.host, all);
	memcpy(normed, c->normed.host, all);
	memcpy(c->x.host, c->x_before.host, all);
	parity_upload(p, &c->x);
	parity_poison(p, &c->normed);
	for (uint32_t row = c->rows; row-- > 0;) {
		const struct close_rows_args a = args_of(c, batch, row, 1);
		PARITY_RUN(p, close_rows, &a);
	}
	parity_fetch(p, &c->x);
	parity_fetch(p, &c->normed);
	parity_equal(p, c->x.host, x, all, "parts %x, n %u: rows alone: x", c->parts, c->n);
	parity_equal(p, c->normed.host, normed, all, "parts %x, n %u: rows alone: normed", c->parts, c->n);
}

/* ---- embeddings ---- */

/* x has the bits of the matrix's row times the scale, whatever the format. */
static void compare_embedded(struct parity *p, enum kernel_format format, uint32_t n, uint32_t vocab)
{
	struct parity_batch batch;
	const struct parity_shape s = { .sequences = 2, .rows_most = parity_pick(p, 12, 300), .vocab = vocab };
	const struct kernel_matrix *w = parity_matrix(p, format, vocab, n, 1);
	parity_batch(p, &s, &batch);
	size_t all = (size_t)batch.host.rows * n;
	struct parity_buffer x = parity_output(p, "x", all * 4), normed = parity_output(p, "normed", all * 4);
	struct parity_buffer gain = parity_f32(p, "gain", n, 1);
	float *row = parity_host(p, all * sizeof *row);
	double *truth = parity_host(p, all * sizeof *truth);
	const struct close_rows_args a = { .batch = batch.at,
					   .embed = parity_device_matrix(p, w),
					   .embed_scale = 1.5f,
					   .x = x.at,
					   .normed = normed.at,
					   .n = n,
					   .eps = 1e-6f,
					   .next = { gain.at, NULL },
					   .rows_most = 2 * s.rows_most };
	PARITY_RUN(p, close_rows, &a);
	for (uint32_t i = 0; i < batch.host.rows; i++) {
		kernel_matrix_row(w, batch.host.token[i], row + (size_t)i * n);
		for (uint32_t k = 0; k < n; k++)
			row[(size_t)i * n + k] *= 1.5f;
		kernel_truth_rmsnorm(row + (size_t)i * n, gain.host, n, 1e-6, truth + (size_t)i * n);
	}
	parity_fetch(p, &x);
	parity_fetch(p, &normed);
	parity_equal(p, x.host, row, all * 4, "embedded, format %d, n %u", (int)format, n);
	parity_expect(p, parity_error(normed.host, truth, all), 4e-6, "embedded, format %d, n %u: normed",
		      (int)format, n);
}

void parity_close_rows(struct parity *p)
{
	static const uint32_t widths[] = { 1, 3, 4, 64, 101, 1024, 1028, 1500, 2047, 2880 };
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		struct close_case c = { .parts = cases[i / 2],
					.n = widths[(i / 2 + i % 2 * 5) % 10],
					.top_k = 1 + parity_below(p, p->large ? KERNEL_TOP_K : 9),
					.scale = i % 3 == 0 ? 1 : 0.375f };
		struct parity_batch batch;
		const struct parity_shape s = { .sequences = 2,
						.rows_most = parity_pick(p, c.n < 1500 ? 20 : 5, 200) };
		if (p->large && i % 2)
			c.n = 2048 * (1 + parity_below(p, 4));
		parity_batch(p, &s, &batch);
		c.rows = batch.host.rows;
		make_case(p, &c);
		const struct close_rows_args a = args_of(&c, batch.at, 0, 2 * s.rows_most);
		PARITY_RUN(p, close_rows, &a);
		compare_case(p, &c);
		if (c.n % 4 == 0)
			compare_alone(p, &c);
	}
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		compare_embedded(p, (enum kernel_format)f, 96, 61);
		compare_embedded(p, (enum kernel_format)f, 544, 200);
	}
	compare_embedded(p, KERNEL_BF16, 97, 61); /* rows that begin anywhere */
}
