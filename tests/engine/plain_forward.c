/* The forward pass as the papers write it, one row after another. */
#include "plain_backend.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LATENT_EPS 1e-6
#define WIDEST 4096 /* of any vector */

struct line {
	struct plain *m;
	const struct pass *p;
	uint32_t row, position, layer, moe_layer;
	double x[WIDEST]; /* the residual stream */
};

/* ---- vectors ---- */

/* y [rows] = w [rows][columns] x + bias */
static void product(const float *w, const float *bias, uint32_t rows, uint32_t columns, const double *x,
                    double *y)
{
	check(rows <= WIDEST && columns <= WIDEST && w != NULL);
	for (uint32_t i = 0; i < rows; i++) {
		double sum = 0;
		for (uint32_t k = 0; k < columns; k++)
			sum += (double)w[(size_t)i * columns + k] * x[k];
		y[i] = sum + (bias ? (double)bias[i] : 0);
	}
}

static void norm(const double *x, const float *gain, uint32_t n, double eps, double *y)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (uint32_t i = 0; i < n; i++)
		y[i] = x[i] / sqrt(sum / n + eps) * (double)gain[i];
}

static void rotate(const struct line *l, double *v, bool interleaved)
{
	uint32_t half = l->m->rope.half;
	for (uint32_t i = 0; i < half; i++) {
		double c = (double)l->m->rope.cosine[(size_t)l->position * half + i];
		double s = (double)l->m->rope.sine[(size_t)l->position * half + i];
		uint32_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + half;
		double x = v[a], y = v[b];
		v[a] = x * c - y * s;
		v[b] = x * s + y * c;
	}
}

static void clip(double *v, uint32_t n, double bound)
{
	for (uint32_t i = 0; i < n && bound > 0; i++)
		v[i] = fmin(fmax(v[i], -bound), bound);
}

static double dot(const double *a, const double *b, uint32_t n)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static float *const *slots(const struct line *l)
{
	return l->m->layer[l->layer].slot;
}

/* The cache row of an earlier position of the same sequence, or of this one. */
static float *cached(const struct line *l, uint32_t position)
{
	uint32_t first = l->p->first_page[l->p->sequence[l->row]];
	return plain_cache_row(l->m, l->p->page[first + position / KERNEL_PAGE], l->layer, position);
}

/* score [n] -> weights of a softmax; a sink is a logit without a value. */
static void softmax(double *score, uint32_t n, const float *sink)
{
	double most = sink ? (double)*sink : -INFINITY, sum;
	for (uint32_t i = 0; i < n; i++)
		most = fmax(most, score[i]);
	sum = sink ? exp((double)*sink - most) : 0;
	for (uint32_t i = 0; i < n; i++)
		sum += score[i] = exp(score[i] - most);
	for (uint32_t i = 0; i < n; i++)
		score[i] /= sum;
}

/* ---- attention ---- */

static void heads_shape(const struct line *l, double *v, uint32_t heads, const float *gain)
{
	const struct model_config *c = &l->m->config;
	if (c->qk_norm == MODEL_QK_FULL)
		norm(v, gain, heads * c->head, (double)c->norm_eps, v);
	for (uint32_t h = 0; h < heads && c->qk_norm == MODEL_QK_HEAD; h++)
		norm(v + h * c->head, gain, c->head, (double)c->norm_eps, v + h * c->head);
	clip(v, heads * c->head, (double)c->clip);
	for (uint32_t h = 0; h < heads; h++)
		rotate(l, v + h * c->head, false);
}

static void attend_gqa(const struct line *l, const double *normed, double *out)
{
	const struct model_config *c = &l->m->config;
	uint32_t wide = c->kv_heads * c->head, window = model_layer_window(c, l->layer);
	uint32_t first = window > 0 && l->position >= window ? l->position + 1 - window : 0;
	uint32_t n = l->position + 1 - first;
	double q[WIDEST], kv[WIDEST], *score = malloc(n * sizeof *score), all[WIDEST] = { 0 };
	float *const *w = slots(l);
	product(w[SLOT_Q], w[SLOT_Q_BIAS], c->heads * c->head, c->hidden, normed, q);
	product(w[SLOT_K], w[SLOT_K_BIAS], wide, c->hidden, normed, kv);
	product(w[SLOT_V], w[SLOT_V_BIAS], wide, c->hidden, normed, kv + wide);
	heads_shape(l, q, c->heads, w[SLOT_Q_NORM]);
	heads_shape(l, kv, c->kv_heads, w[SLOT_K_NORM]);
	clip(kv + wide, wide, (double)c->clip);
	for (uint32_t i = 0; i < 2 * wide; i++)
		cached(l, l->position)[i] = (float)kv[i];
	for (uint32_t h = 0; h < c->heads; h++) {
		uint32_t at = h / (c->heads / c->kv_heads) * c->head;
		for (uint32_t j = 0; j < n; j++) {
			const float *key = cached(l, first + j) + at;
			score[j] = 0;
			for (uint32_t k = 0; k < c->head; k++)
				score[j] += q[h * c->head + k] * (double)key[k];
			score[j] *= (double)model_attention_scale(c);
		}
		softmax(score, n, w[SLOT_SINKS] ? &w[SLOT_SINKS][h] : NULL);
		for (uint32_t j = 0; j < n; j++) {
			const float *value = cached(l, first + j) + wide + at;
			for (uint32_t k = 0; k < c->head; k++)
				all[h * c->head + k] += score[j] * (double)value[k];
		}
	}
	free(score);
	product(w[SLOT_O], w[SLOT_O_BIAS], c->hidden, c->heads * c->head, all, out);
}

static void latent_query(const struct line *l, const double *normed, double *q)
{
	const struct model_config *c = &l->m->config;
	uint32_t head = c->nope + c->rope_head;
	float *const *w = slots(l);
	double low[WIDEST];
	if (c->q_rank == 0) {
		product(w[SLOT_Q], NULL, c->heads * head, c->hidden, normed, q);
	} else {
		product(w[SLOT_Q_A], w[SLOT_Q_BIAS], c->q_rank, c->hidden, normed, low);
		norm(low, w[SLOT_Q_NORM], c->q_rank, LATENT_EPS, low);
		product(w[SLOT_Q], NULL, c->heads * head, c->q_rank, low, q);
	}
	for (uint32_t h = 0; h < c->heads; h++)
		rotate(l, q + h * head + c->nope, c->rope.interleaved);
}

/* Unabsorbed: keys and values of a head are made from the latents. */
static void attend_mla(const struct line *l, const double *normed, double *out)
{
	const struct model_config *c = &l->m->config;
	uint32_t head = c->nope + c->rope_head, n = l->position + 1, made = c->nope + c->value;
	double q[WIDEST], kv[WIDEST], latent[WIDEST], up[WIDEST], all[WIDEST] = { 0 };
	double *score = malloc(n * sizeof *score), *value = malloc(n * sizeof *value * c->value);
	float *const *w = slots(l);
	latent_query(l, normed, q);
	product(w[SLOT_KV_A], w[SLOT_KV_BIAS], c->kv_rank + c->rope_head, c->hidden, normed, kv);
	norm(kv, w[SLOT_KV_NORM], c->kv_rank, LATENT_EPS, kv);
	rotate(l, kv + c->kv_rank, c->rope.interleaved);
	for (uint32_t i = 0; i < c->kv_rank + c->rope_head; i++)
		cached(l, l->position)[i] = (float)kv[i];
	for (uint32_t h = 0; h < c->heads; h++) {
		const float *w_up = w[SLOT_KV_B] + (size_t)h * made * c->kv_rank;
		for (uint32_t j = 0; j < n; j++) {
			const float *row = cached(l, j);
			for (uint32_t i = 0; i < c->kv_rank + c->rope_head; i++)
				latent[i] = (double)row[i];
			product(w_up, NULL, made, c->kv_rank, latent, up);
			memcpy(value + (size_t)j * c->value, up + c->nope, c->value * sizeof *up);
			score[j] = (double)model_attention_scale(c) *
			           (dot(q + h * head, up, c->nope) +
			            dot(q + h * head + c->nope, latent + c->kv_rank, c->rope_head));
		}
		softmax(score, n, NULL);
		for (uint32_t j = 0; j < n; j++) {
			for (uint32_t k = 0; k < c->value; k++)
				all[h * c->value + k] += score[j] * value[(size_t)j * c->value + k];
		}
	}
	free(score), free(value);
	product(w[SLOT_O], w[SLOT_O_BIAS], c->hidden, c->heads * c->value, all, out);
}

/* ---- feed-forward ---- */

static double act(const struct model_config *c, double gate, double up)
{
	if (c->activation == MODEL_ACT_SILU)
		return gate / (1 + exp(-gate)) * up;
	gate = fmin(gate, 7);
	up = fmin(fmax(up, -7), 7);
	return (up + 1) * gate / (1 + exp(-1.702 * gate));
}

/* w: of PLAIN_FFN */
static void network(const struct model_config *c, float *const *w, uint32_t width, const double *x, double *y)
{
	double gate[WIDEST], up[WIDEST];
	product(w[0], w[SLOT_GATE_BIAS - SLOT_GATE], width, c->hidden, x, gate);
	product(w[SLOT_UP - SLOT_GATE], w[SLOT_UP_BIAS - SLOT_GATE], width, c->hidden, x, up);
	for (uint32_t i = 0; i < width; i++)
		gate[i] = act(c, gate[i], up[i]);
	product(w[SLOT_DOWN - SLOT_GATE], w[SLOT_DOWN_BIAS - SLOT_GATE], c->hidden, width, gate, y);
}

static void experts(const struct line *l, const double *normed, double *out)
{
	const struct model_config *c = &l->m->config;
	float *const *w = slots(l);
	struct kernel_gate gate = c->gate;
	double wide[WIDEST], part[WIDEST], share = 1;
	float score[WIDEST], weight[KERNEL_TOP_K];
	uint16_t expert[KERNEL_TOP_K];
	gate.bias = w[SLOT_ROUTER_BIAS];
	product(w[SLOT_ROUTER], NULL, gate.experts, c->hidden, normed, wide);
	for (uint32_t i = 0; i < gate.experts; i++)
		score[i] = (float)wide[i];
	kernels_at(0)->moe_gate(&gate, score, 1, expert, weight);
	memset(out, 0, c->hidden * sizeof *out);
	for (uint32_t j = 0; j < gate.top_k; j++) {
		network(c, l->m->layer[l->layer].expert[expert[j]], c->expert_width, normed, part);
		for (uint32_t i = 0; i < c->hidden; i++)
			out[i] += (double)weight[j] * part[i];
	}
	if (l->p->expert)
		memcpy(l->p->expert + ((size_t)l->moe_layer * l->p->rows + l->row) * gate.top_k, expert,
		       gate.top_k * sizeof *expert);
	if (c->shared_width == 0)
		return;
	if (c->shared_gated) {
		product(w[SLOT_SHARED_GATE], NULL, 1, c->hidden, normed, &share);
		share = 1 / (1 + exp(-share));
	}
	network(c, w + SLOT_GATE, c->shared_width, normed, part);
	for (uint32_t i = 0; i < c->hidden; i++)
		out[i] += share * part[i];
}

/* ---- a row ---- */

static void add(double *x, const double *y, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] += y[i];
}

static void layer_run(struct line *l)
{
	const struct model_config *c = &l->m->config;
	double normed[WIDEST], delta[WIDEST];
	norm(l->x, slots(l)[SLOT_ATTN_NORM], c->hidden, (double)c->norm_eps, normed);
	if (c->attention == MODEL_ATTN_MLA)
		attend_mla(l, normed, delta);
	else
		attend_gqa(l, normed, delta);
	add(l->x, delta, c->hidden);
	norm(l->x, slots(l)[SLOT_FFN_NORM], c->hidden, (double)c->norm_eps, normed);
	if (model_layer_is_moe(c, l->layer)) {
		experts(l, normed, delta);
		l->moe_layer++;
	} else {
		network(c, slots(l) + SLOT_GATE, c->ffn, normed, delta);
	}
	add(l->x, delta, c->hidden);
}

static void logits_write(const struct line *l, float *out)
{
	const struct model_config *c = &l->m->config;
	float *const *w = l->m->layer[c->layers].slot;
	double normed[WIDEST], *y = malloc(c->vocab * sizeof *y);
	norm(l->x, w[SLOT_NORM], c->hidden, (double)c->norm_eps, normed);
	product(w[SLOT_HEAD], NULL, c->vocab, c->hidden, normed, y);
	for (uint32_t i = 0; i < c->vocab; i++)
		out[i] = (float)y[i];
	free(y);
}

int plain_forward(struct backend *b, const struct pass *p, struct err *e)
{
	struct plain *m = (struct plain *)b;
	const struct model_config *c = &m->config;
	float *const *w = m->layer[c->layers].slot;
	const float *embed = w[SLOT_EMBED] ? w[SLOT_EMBED] : w[SLOT_HEAD];
	(void)e;
	check(p->rows > 0 && p->rows <= PLAIN_ROWS);
	for (uint32_t i = 0, wanted = 0; i < p->rows; i++) {
		struct line l = { .m = m, .p = p, .row = i, .position = p->position[i] };
		for (uint32_t k = 0; k < c->hidden; k++)
			l.x[k] = (double)embed[(size_t)p->token[i] * c->hidden + k];
		for (; l.layer < c->layers; l.layer++)
			layer_run(&l);
		if (wanted < p->wanted && p->want[wanted] == i)
			logits_write(&l, p->logits[wanted++]);
	}
	m->traffic.passes++;
	m->traffic.rows += p->rows;
	return 0;
}
