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
	double x[WIDEST];      /* the residual stream */
	double held[WIDEST];   /* what a shortcut adds later */
	double inputs[WIDEST]; /* of each layer's own */
	uint32_t *seen;        /* [seen_count]: positions that the last indexer chose; 0: all */
	uint32_t seen_count;
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

/* gain NULL: without. */
static void norm(const double *x, const float *gain, uint32_t n, double eps, double *y)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (uint32_t i = 0; i < n; i++)
		y[i] = x[i] / sqrt(sum / n + eps) * (gain ? (double)gain[i] : 1);
}

static const struct model_config *config(const struct line *l) { return &l->m->config; }

static const struct model_layer *layer(const struct line *l) { return &l->m->config.layer[l->layer]; }

/* A norm of the whole width, of the config's kind; gain NULL: none. */
static void norm_by(const struct line *l, const double *x, const float *gain, const float *bias, double *y)
{
	const struct model_config *c = config(l);
	double mean = 0;
	for (uint32_t i = 0; c->norm == MODEL_NORM_LAYER && gain && i < c->hidden; i++)
		mean += x[i] / c->hidden;
	for (uint32_t i = 0; i < c->hidden; i++)
		y[i] = x[i] - mean;
	if (gain)
		norm(y, gain, c->hidden, (double)c->norm_eps, y);
	for (uint32_t i = 0; bias && i < c->hidden; i++)
		y[i] += (double)bias[i];
}

static void rotate_as(const struct line *l, double *v, bool interleaved)
{
	const struct rope_table *t = &l->m->rope[layer(l)->rope];
	for (uint32_t i = 0; i < t->half; i++) {
		double c = (double)t->cosine[(size_t)l->position * t->half + i];
		double s = (double)t->sine[(size_t)l->position * t->half + i];
		uint32_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + t->half;
		double x = v[a], y = v[b];
		v[a] = x * c - y * s;
		v[b] = x * s + y * c;
	}
}

static void rotate(const struct line *l, double *v)
{
	if (layer(l)->rope != MODEL_NO_ROPE)
		rotate_as(l, v, config(l)->ropes[layer(l)->rope].interleaved);
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
	return plain_cache_row(l->m, l->p->page[first + position / KERNEL_PAGE], layer(l)->cache, position);
}

/* The first position that this row attends. */
static uint32_t first_seen(const struct line *l)
{
	const struct model_layer *y = layer(l);
	if (y->chunk > 0)
		return l->position / y->chunk * y->chunk;
	return y->window > 0 && l->position >= y->window ? l->position + 1 - y->window : 0;
}

static double capped(double score, double cap) { return cap > 0 ? cap * tanh(score / cap) : score; }

/* What was attended: gated by what the layer reads, and the output product. */
static void attended(const struct line *l, const double *normed, double *all, uint32_t n, double *out)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l);
	double gate[WIDEST];
	uint32_t gates = layer(l)->gate == MODEL_OUT_NONE   ? 0
	                 : layer(l)->gate == MODEL_OUT_HEAD ? layer(l)->heads
	                                                    : n;
	if (gates > 0)
		product(w[SLOT_OUT_GATE], NULL, gates, c->hidden, normed, gate);
	for (uint32_t i = 0; gates > 0 && i < n; i++)
		all[i] /= 1 + exp(-gate[i / (n / gates)]);
	product(w[SLOT_O], w[SLOT_O_BIAS], c->hidden, n, all, out);
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

static void heads_norm(const struct line *l, double *v, uint32_t heads, const float *gain)
{
	const struct model_layer *y = layer(l);
	double eps = (double)config(l)->norm_eps;
	if (y->qk_norm == MODEL_QK_FULL)
		norm(v, gain, heads * y->head, eps, v);
	else if (y->qk_norm != MODEL_QK_NONE)
		for (uint32_t h = 0; h < heads; h++)
			norm(v + h * y->head, gain, y->head, eps, v + h * y->head);
}

static void heads_shape(const struct line *l, double *v, uint32_t heads, const float *gain)
{
	const struct model_layer *y = layer(l);
	if (!y->qk_norm_late)
		heads_norm(l, v, heads, gain);
	clip(v, heads * y->head, (double)config(l)->clip);
	for (uint32_t h = 0; h < heads; h++)
		rotate(l, v + h * y->head);
	if (y->qk_norm_late)
		heads_norm(l, v, heads, gain);
}

/* The new keys and values. */
static void keep_gqa(const struct line *l, const double *normed)
{
	const struct model_config *c = config(l);
	const struct model_layer *y = layer(l);
	uint32_t keys = y->kv_heads * y->head, values = y->kv_heads * y->value;
	float *const *w = slots(l);
	double kv[WIDEST], *v = kv + keys;
	product(w[SLOT_K], w[SLOT_K_BIAS], keys, c->hidden, normed, kv);
	if (y->values_are_keys)
		memcpy(v, kv, values * sizeof *v);
	else
		product(w[SLOT_V], w[SLOT_V_BIAS], values, c->hidden, normed, v);
	for (uint32_t h = 0; y->value_norm && h < y->kv_heads; h++)
		norm(v + h * y->value, NULL, y->value, (double)c->norm_eps, v + h * y->value);
	heads_shape(l, kv, y->kv_heads, w[SLOT_K_NORM]);
	clip(v, values, (double)c->clip);
	for (uint32_t i = 0; i < keys + values; i++)
		cached(l, l->position)[i] = (float)kv[i];
}

static void temper(const struct line *l, double *q, uint32_t n)
{
	const struct model_temper *t = &config(l)->temper;
	for (uint32_t i = 0; layer(l)->tempered && i < n; i++)
		q[i] *= 1 + t->beta * log(1 + floor(((double)l->position + t->shift) / t->length));
}

/* Head h of the queries over the positions from `first` on. */
static void attend_head(const struct line *l, uint32_t h, const double *q, uint32_t first, double *score,
                        double *out)
{
	const struct model_layer *y = layer(l);
	uint32_t kv = h / (y->heads / y->kv_heads), n = l->position + 1 - first;
	const float *sinks = slots(l)[SLOT_SINKS];
	for (uint32_t j = 0; j < n; j++) {
		const float *key = cached(l, first + j) + kv * y->head;
		score[j] = 0;
		for (uint32_t k = 0; k < y->head; k++)
			score[j] += q[k] * (double)key[k];
		score[j] = capped(score[j] * (double)y->scale, (double)config(l)->attention_softcap);
	}
	softmax(score, n, sinks ? &sinks[h] : NULL);
	for (uint32_t j = 0; j < n; j++) {
		const float *value = cached(l, first + j) + y->kv_heads * y->head + kv * y->value;
		for (uint32_t k = 0; k < y->value; k++)
			out[k] += score[j] * (double)value[k] * (double)config(l)->value_scale;
	}
}

static void attend_gqa(const struct line *l, const double *normed, double *out)
{
	const struct model_config *c = config(l);
	const struct model_layer *y = layer(l);
	uint32_t first = first_seen(l);
	double q[WIDEST], *score = malloc((l->position + 1) * sizeof *score), all[WIDEST] = { 0 };
	float *const *w = slots(l);
	product(w[SLOT_Q], w[SLOT_Q_BIAS], y->heads * y->head, c->hidden, normed, q);
	heads_shape(l, q, y->heads, w[SLOT_Q_NORM]);
	temper(l, q, y->heads * y->head);
	if (y->cache == l->layer)
		keep_gqa(l, normed);
	for (uint32_t h = 0; h < y->heads; h++)
		attend_head(l, h, q + h * y->head, first, score, all + h * y->value);
	free(score);
	attended(l, normed, all, y->heads * y->value, out);
}

/* low: the query's latent, where there is one. */
static void latent_query(const struct line *l, const double *normed, double *low, double *q)
{
	const struct model_config *c = &l->m->config;
	uint32_t head = c->nope + c->rope_head, heads = layer(l)->heads;
	float *const *w = slots(l);
	if (c->q_rank == 0) {
		product(w[SLOT_Q], NULL, heads * head, c->hidden, normed, q);
	} else {
		product(w[SLOT_Q_A], w[SLOT_Q_BIAS], c->q_rank, c->hidden, normed, low);
		norm(low, w[SLOT_Q_NORM], c->q_rank, LATENT_EPS, low);
		product(w[SLOT_Q], NULL, heads * head, c->q_rank, low, q);
	}
	for (uint32_t h = 0; h < heads; h++)
		rotate(l, q + h * head + c->nope);
	temper(l, q, heads * head);
}

/* The indexer's new key, behind the latent of its cache row. */
static void keep_index(const struct line *l, const double *normed)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l), *to = cached(l, l->position) + c->kv_rank + c->rope_head;
	double key[WIDEST], mean = 0;
	product(w[SLOT_INDEX_K], NULL, c->index_head, c->hidden, normed, key);
	for (uint32_t i = 0; i < c->index_head; i++)
		mean += key[i] / c->index_head;
	for (uint32_t i = 0; i < c->index_head; i++)
		key[i] -= mean;
	norm(key, w[SLOT_INDEX_NORM], c->index_head, LATENT_EPS, key);
	for (uint32_t i = 0; i < c->index_head; i++)
		key[i] += (double)w[SLOT_INDEX_NORM_BIAS][i];
	rotate_as(l, key, c->index_interleaved);
	for (uint32_t i = 0; i < c->index_head; i++)
		to[i] = (float)key[i];
}

static double index_score(const struct line *l, const double *q, const double *weight, uint32_t position)
{
	const struct model_config *c = config(l);
	const float *key = cached(l, position) + c->kv_rank + c->rope_head;
	double sum = 0;
	for (uint32_t h = 0; h < c->index_heads; h++) {
		double s = 0;
		for (uint32_t i = 0; i < c->index_head; i++)
			s += q[h * c->index_head + i] * (double)key[i];
		sum += weight[h] * fmax(s, 0);
	}
	return sum;
}

/* Which positions the layer attends: the best, in order; of equals the first. */
static void index_run(struct line *l, const double *normed, const double *low)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l);
	uint32_t n = l->position + 1;
	double q[WIDEST], weight[WIDEST], *score = malloc(n * sizeof *score);
	keep_index(l, normed);
	product(w[SLOT_INDEX_Q], NULL, c->index_heads * c->index_head, c->q_rank, low, q);
	product(w[SLOT_INDEX_WEIGHTS], NULL, c->index_heads, c->hidden, normed, weight);
	for (uint32_t h = 0; h < c->index_heads; h++)
		rotate_as(l, q + h * c->index_head, c->index_interleaved);
	for (uint32_t j = 0; j < n; j++)
		score[j] = index_score(l, q, weight, j);
	l->seen = realloc(l->seen, n * sizeof *l->seen);
	l->seen_count = 0;
	for (uint32_t j = 0; n > c->index_top_k && j < n; j++) {
		uint32_t better = 0;
		for (uint32_t i = 0; i < n; i++)
			better += score[i] > score[j] || (!(score[i] < score[j]) && i < j);
		if (better < c->index_top_k)
			l->seen[l->seen_count++] = j;
	}
	free(score);
}

/* Unabsorbed: keys and values of a head are made from the latents. */
static void attend_mla(struct line *l, const double *normed, double *out)
{
	const struct model_config *c = &l->m->config;
	uint32_t head = c->nope + c->rope_head, n = l->position + 1, made = c->nope + c->value,
	         heads = layer(l)->heads;
	double q[WIDEST], low[WIDEST], kv[WIDEST], latent[WIDEST], up[WIDEST], all[WIDEST] = { 0 };
	double *score = malloc(n * sizeof *score), *value = malloc(n * sizeof *value * c->value);
	float *const *w = slots(l);
	latent_query(l, normed, low, q);
	product(w[SLOT_KV_A], w[SLOT_KV_BIAS], c->kv_rank + c->rope_head, c->hidden, normed, kv);
	norm(kv, w[SLOT_KV_NORM], c->kv_rank, LATENT_EPS, kv);
	rotate(l, kv + c->kv_rank);
	for (uint32_t i = 0; i < c->kv_rank + c->rope_head; i++)
		cached(l, l->position)[i] = (float)kv[i];
	if (layer(l)->index == MODEL_INDEX_OWN)
		index_run(l, normed, low);
	n = l->seen_count > 0 ? l->seen_count : n;
	for (uint32_t h = 0; h < heads; h++) {
		const float *w_up = w[SLOT_KV_B] + (size_t)h * made * c->kv_rank;
		for (uint32_t j = 0; j < n; j++) {
			const float *row = cached(l, l->seen_count > 0 ? l->seen[j] : j);
			for (uint32_t i = 0; i < c->kv_rank + c->rope_head; i++)
				latent[i] = (double)row[i];
			product(w_up, NULL, made, c->kv_rank, latent, up);
			memcpy(value + (size_t)j * c->value, up + c->nope, c->value * sizeof *up);
			score[j] = (double)layer(l)->scale *
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
	attended(l, normed, all, heads * c->value, out);
}

/* ---- feed-forward ---- */

static double xielu(double x, const float *p)
{
	double above = (double)p[0], below = (double)p[1], beta = (double)p[2];
	return x > 0 ? above * x * x + beta * x : below * (expm1(fmin(x, (double)p[3])) - x) + beta * x;
}

static double act(const struct model_config *c, double x, const float *parameter)
{
	switch (c->activation) {
	case MODEL_ACT_GELU:
		return x / 2 * (1 + erf(x / sqrt(2)));
	case MODEL_ACT_GELU_TANH:
		return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
	case MODEL_ACT_RELU2:
		return fmax(x, 0) * fmax(x, 0);
	case MODEL_ACT_XIELU:
		return xielu(x, parameter);
	case MODEL_ACT_GPT_OSS:
		return fmin(x, 7) / (1 + exp(-1.702 * fmin(x, 7)));
	default:
		return x / (1 + exp(-x));
	}
}

/* w: of PLAIN_FFN */
static void network(const struct line *l, float *const *w, uint32_t width, const double *x, double *y)
{
	const struct model_config *c = config(l);
	const float *parameter = slots(l)[SLOT_ACT];
	double gate[WIDEST], up[WIDEST];
	product(w[SLOT_UP - SLOT_GATE], w[SLOT_UP_BIAS - SLOT_GATE], width, c->hidden, x, up);
	if (w[0])
		product(w[0], w[SLOT_GATE_BIAS - SLOT_GATE], width, c->hidden, x, gate);
	for (uint32_t i = 0; i < width; i++) {
		if (c->activation == MODEL_ACT_GPT_OSS)
			up[i] = fmin(fmax(up[i], -7), 7) + 1;
		up[i] = w[0] ? act(c, gate[i], parameter) * up[i] : act(c, up[i], parameter);
	}
	product(w[SLOT_DOWN - SLOT_GATE], w[SLOT_DOWN_BIAS - SLOT_GATE], c->hidden, width, up, y);
}

/* The experts' sum: asked by what the router reads. */
static void experts(struct line *l, const double *asked, const double *read, double *out)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l);
	struct kernel_gate gate = c->gate;
	double wide[WIDEST], part[WIDEST], scaled[WIDEST];
	float score[WIDEST], weight[KERNEL_TOP_K];
	uint16_t expert[KERNEL_TOP_K];
	gate.bias = w[SLOT_ROUTER_BIAS];
	gate.expert_scale = w[SLOT_EXPERT_SCALE];
	product(w[SLOT_ROUTER], NULL, gate.experts, c->hidden, asked, wide);
	for (uint32_t i = 0; i < gate.experts; i++)
		score[i] = (float)wide[i];
	kernels_at(0)->moe_gate(&gate, score, 1, expert, weight);
	memset(out, 0, c->hidden * sizeof *out);
	for (uint32_t j = 0; j < gate.top_k; j++) {
		double in = c->experts_on_input ? (double)weight[j] : 1;
		for (uint32_t i = 0; i < c->hidden; i++)
			part[i] = scaled[i] = read[i] * in;
		if (expert[j] < gate.experts - c->zero_experts)
			network(l, l->m->layer[l->layer].expert[expert[j]], c->expert_width, scaled, part);
		for (uint32_t i = 0; i < c->hidden; i++)
			out[i] += (double)weight[j] / in * part[i];
	}
	if (l->p->expert)
		memcpy(l->p->expert + ((size_t)l->moe_layer * l->p->rows + l->row) * gate.top_k, expert,
		       gate.top_k * sizeof *expert);
	l->moe_layer++;
}

static void shared(const struct line *l, const double *normed, double *out)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l);
	double share = 1, part[WIDEST];
	if (c->shared_width == 0)
		return;
	if (c->shared_gated) {
		product(w[SLOT_SHARED_GATE], NULL, 1, c->hidden, normed, &share);
		share = 1 / (1 + exp(-share));
	}
	network(l, w + SLOT_GATE, c->shared_width, normed, part);
	for (uint32_t i = 0; i < c->hidden; i++)
		out[i] += share * part[i];
}

/* normed: what the dense network reads; the norms of experts and router are of x. */
static void feed(struct line *l, const double *normed, double *out)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l);
	double sum[WIDEST], read[WIDEST], asked[WIDEST];
	if (layer(l)->ffn == MODEL_FFN_EXPERTS) {
		experts(l, normed, normed, out);
		shared(l, normed, out);
		return;
	}
	network(l, w + SLOT_GATE, layer(l)->width, normed, out);
	if (layer(l)->ffn == MODEL_FFN_DENSE)
		return;
	norm_by(l, w[SLOT_EXPERTS_NORM] ? l->x : normed, w[SLOT_EXPERTS_NORM], NULL, read);
	norm_by(l, w[SLOT_ROUTER_SCALE] ? l->x : read, w[SLOT_ROUTER_SCALE], NULL, asked);
	experts(l, asked, read, sum);
	norm_by(l, out, w[SLOT_DENSE_AFTER], NULL, out);
	norm_by(l, sum, w[SLOT_EXPERTS_AFTER], NULL, sum);
	for (uint32_t i = 0; i < c->hidden; i++) {
		if (layer(l)->residual == MODEL_SHORTCUT_BEGIN)
			l->held[i] = sum[i];
		else
			out[i] += sum[i];
	}
}

/* ---- a row ---- */

/* x += scale * after(answer) */
static void add(struct line *l, double *answer, const float *after)
{
	norm_by(l, answer, after, NULL, answer);
	for (uint32_t i = 0; i < config(l)->hidden; i++)
		l->x[i] += answer[i] * (double)config(l)->residual_scale;
}

static void inputs_add(struct line *l)
{
	const struct model_config *c = config(l);
	float *const *w = slots(l);
	const double *part = l->inputs + (size_t)l->layer * c->per_layer;
	double gate[WIDEST], up[WIDEST];
	product(w[SLOT_INPUT_GATE], NULL, c->per_layer, c->hidden, l->x, gate);
	for (uint32_t i = 0; i < c->per_layer; i++)
		gate[i] = act(c, gate[i], NULL) * part[i];
	product(w[SLOT_INPUT_UP], NULL, c->hidden, c->per_layer, gate, up);
	norm_by(l, up, w[SLOT_INPUT_NORM], NULL, up);
	for (uint32_t i = 0; i < c->hidden; i++)
		l->x[i] += up[i];
}

static void layer_run(struct line *l)
{
	const struct model_config *c = config(l);
	const struct model_layer *y = layer(l);
	float *const *w = slots(l);
	double normed[WIDEST], delta[WIDEST], second[WIDEST];
	norm_by(l, l->x, w[SLOT_ATTN_NORM], w[SLOT_ATTN_NORM_BIAS], normed);
	if (y->mixer == MODEL_MIX_DELTA)
		plain_delta(l->m, l->p, l->row, l->layer, normed, delta);
	else if (y->mixer == MODEL_MIX_MLA)
		attend_mla(l, normed, delta);
	else
		attend_gqa(l, normed, delta);
	if (y->residual == MODEL_PARALLEL) {
		if (y->ffn_norm_before)
			norm_by(l, l->x, w[SLOT_FFN_NORM], w[SLOT_FFN_NORM_BIAS], normed);
		feed(l, normed, second);
		add(l, delta, w[SLOT_ATTN_AFTER]);
	} else {
		add(l, delta, w[SLOT_ATTN_AFTER]);
		norm_by(l, l->x, w[SLOT_FFN_NORM], w[SLOT_FFN_NORM_BIAS], normed);
		feed(l, normed, second);
	}
	add(l, second, w[SLOT_FFN_AFTER]);
	for (uint32_t i = 0; y->residual == MODEL_SHORTCUT_END && i < c->hidden; i++)
		l->x[i] += l->held[i];
	if (c->per_layer > 0)
		inputs_add(l);
	for (uint32_t i = 0; w[SLOT_LAYER_SCALAR] && i < c->hidden; i++)
		l->x[i] *= (double)*w[SLOT_LAYER_SCALAR];
}

/* The residual stream's beginning, and the inputs of all layers. */
static void embed(struct line *l, float *const *w, uint32_t token)
{
	const struct model_config *c = config(l);
	const float *from = w[SLOT_EMBED] ? w[SLOT_EMBED] : w[SLOT_HEAD];
	uint32_t width = c->per_layer, all = c->layers * width;
	double small[WIDEST];
	for (uint32_t k = 0; k < c->hidden; k++) {
		l->x[k] = (double)from[(size_t)token * c->hidden + k] * (double)c->embed_scale;
		small[k] = l->x[k] / sqrt(c->hidden);
	}
	if (all == 0)
		return;
	product(w[SLOT_INPUTS_PROJECTION], NULL, all, c->hidden, small, l->inputs);
	for (uint32_t i = 0; i < all; i += width)
		norm(l->inputs + i, w[SLOT_INPUTS_NORM], width, (double)c->norm_eps, l->inputs + i);
	for (uint32_t i = 0; i < all; i++)
		l->inputs[i] = (l->inputs[i] +
		                (double)w[SLOT_INPUTS_EMBED][(size_t)token * all + i] * sqrt(width)) / sqrt(2);
}

static void logits_write(const struct line *l, float *out)
{
	const struct model_config *c = &l->m->config;
	float *const *w = l->m->layer[c->layers].slot;
	double normed[WIDEST], *y = malloc(c->vocab * sizeof *y);
	norm_by(l, l->x, w[SLOT_NORM], w[SLOT_NORM_BIAS], normed);
	product(w[SLOT_HEAD], w[SLOT_HEAD_BIAS], c->vocab, c->hidden, normed, y);
	for (uint32_t i = 0; i < c->vocab; i++)
		out[i] = (float)capped(y[i] * (double)c->logits_scale, (double)c->logits_softcap);
	free(y);
}

int plain_forward(struct backend *b, const struct pass *p, struct err *e)
{
	struct plain *m = (struct plain *)b;
	const struct model_config *c = &m->config;
	(void)e;
	check(p->rows > 0 && p->rows <= PLAIN_ROWS);
	for (uint32_t i = 0, wanted = 0; i < p->rows; i++) {
		struct line l = { .m = m, .p = p, .row = i, .position = p->position[i] };
		plain_state_begin(m, p, i);
		embed(&l, m->layer[c->layers].slot, model_token(c, p->token[i]));
		for (; l.layer < c->layers; l.layer++)
			layer_run(&l);
		plain_state_end(m, p, i);
		if (wanted < p->wanted && p->want[wanted] == i)
			logits_write(&l, p->logits[wanted++]);
		free(l.seen);
	}
	m->traffic.passes++;
	m->traffic.rows += p->rows;
	return 0;
}
