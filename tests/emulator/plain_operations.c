/* The operations of a device (kernels/operation.h) as plain loops in double, behind the same table as
 * libhallmark_cuda.so: a second witness of what the GPU's backend asks for, independent of how kernels are
 * written, and quick. Device memory is the host's, and begins as NaN. */
#include "base/philox.h"
#include "kernels/device_table.h"
#include "model/layer.h"
#include "tests/emulator/plain_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void norm(const double *x, const struct device_norm *by, bool layer, double eps, uint32_t n,
                 float *out)
{
	double mean = 0, square = 0;
	for (uint32_t i = 0; layer && by->gain && i < n; i++)
		mean += x[i] / n;
	for (uint32_t i = 0; i < n; i++)
		square += (x[i] - mean) * (x[i] - mean) / n;
	double scale = by->gain ? 1 / sqrt(square + eps) : 1;
	for (uint32_t i = 0; i < n; i++)
		out[i] = (float)((x[i] - mean) * scale * (by->gain ? (double)by->gain[i] : 1) +
		                 (by->gain && by->bias ? (double)by->bias[i] : 0));
}

static void norm_floats(float *x, const float *gain, double eps, uint32_t n)
{
	double wide[n + 1], square = 0;
	for (uint32_t i = 0; i < n; i++) {
		wide[i] = (double)x[i];
		square += wide[i] * wide[i] / n;
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] = (float)(wide[i] / sqrt(square + eps) * (gain ? (double)gain[i] : 1));
}

/* What the branch answered for a row. */
static double answer_at(const struct close_rows_args *a, uint32_t row, uint32_t i)
{
	const struct device_slots *s = &a->slots;
	double sum = 0;
	if (a->answer)
		return (double)a->answer[(size_t)row * a->n + i];
	for (uint32_t k = 0; s->down && k < s->top_k; k++) {
		size_t slot = (size_t)row * s->top_k + k;
		sum += (double)s->weight[slot] * (double)s->down[(size_t)s->place[slot] * a->n + i];
	}
	if (s->shared)
		sum += (double)s->shared[(size_t)row * a->n + i] *
		       (s->shared_share ? sigmoid((double)s->shared_share[row]) : 1);
	return sum;
}

static void branch_add(const struct close_rows_args *a, uint32_t row)
{
	double wide[a->n];
	float normed[a->n], *x = a->x + (size_t)row * a->n;
	for (uint32_t i = 0; i < a->n; i++)
		wide[i] = answer_at(a, row, i);
	norm(wide, &a->after, a->layer_norm, (double)a->eps, a->n, normed);
	for (uint32_t i = 0; i < a->n; i++)
		x[i] = (float)(((double)x[i] + (a->after.gain ? (double)normed[i] : wide[i]) *
		                                       (double)a->residual_scale) *
		               (a->scalar ? (double)*a->scalar : 1));
}

static int run_close_rows(void *stream, const void *args)
{
	const struct close_rows_args *a = args;
	(void)stream;
	for (uint32_t row = 0; row < a->batch->rows; row++) {
		double wide[a->n];
		float *x = a->x + (size_t)row * a->n;
		for (uint32_t i = 0; a->embed.at && i < a->n; i++)
			x[i] = (float)(weight(&a->embed, a->batch->token[row], i) * (double)a->embed_scale);
		if (!a->embed.at && !a->early)
			branch_add(a, row);
		for (uint32_t i = 0; i < a->n; i++)
			wide[i] = (double)x[i];
		if (!a->keeps)
			norm(wide, &a->next, a->layer_norm, (double)a->eps, a->n,
			     a->normed + (size_t)row * a->n);
		if (!a->embed.at && a->early)
			branch_add(a, row);
	}
	return 0;
}

static int run_norm_rows(void *stream, const void *args)
{
	const struct norm_rows_args *a = args;
	(void)stream;
	for (uint32_t row = 0; row < a->batch->rows; row++)
		norm_floats(a->x + row * a->stride, a->gain, (double)a->eps, a->n);
	return 0;
}

static int run_gate_value(void *stream, const void *args)
{
	const struct gate_value_args *a = args;
	size_t width = (size_t)a->gates * a->each;
	(void)stream;
	for (size_t i = 0; i < a->batch->rows * width; i++)
		a->value[i] = (float)((double)(a->value[i] * a->scale) *
		                      (a->gate ? sigmoid((double)a->gate[i / a->each]) : 1));
	return 0;
}

/* ---- products ---- */

static double activated(const struct device_job *j, double x, double up, bool has_up)
{
	const float *p = j->parameter;
	double by = has_up ? up : 1;
	switch ((enum kernel_act)j->act) {
	case KERNEL_ACT_SILU:
		return x * sigmoid(x) * by;
	case KERNEL_ACT_CLAMPED:
		x = fmin(x, 7);
		return (fmax(fmin(up, 7), -7) + 1) * x * sigmoid(1.702 * x);
	case KERNEL_ACT_GELU_TANH:
		return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) * by;
	case KERNEL_ACT_GELU:
		return x / 2 * (1 + erf(x / sqrt(2))) * by;
	case KERNEL_ACT_RELU2:
		return fmax(x, 0) * fmax(x, 0) * by;
	default:
		x = x > 0 ? (double)p[0] * x * x + (double)p[2] * x
		          : (double)p[1] * (expm1(fmin(x, (double)p[3])) - x) + (double)p[2] * x;
		return x * by;
	}
}

/* A row of w, once for all rows of x; and its product with one of these. */
static void row_read(const struct device_matrix *w, uint32_t row, double *out)
{
	for (uint32_t k = 0; w->at && k < w->columns; k++)
		out[k] = weight(w, row, k);
}

static double dot(const double *w, uint32_t n, const float *x, const float *bias)
{
	double sum = bias ? (double)*bias : 0;
	for (uint32_t k = 0; k < n; k++)
		sum += w[k] * (double)x[k];
	return sum;
}

static void row_run(const struct device_job *j, uint32_t row, const double *w, const double *up, uint32_t i)
{
	const float *x = j->x + (j->pick ? j->pick[i] : i) * j->x_stride;
	double v = dot(w, j->w.columns, x, j->bias ? j->bias + row : NULL);
	if (j->up.at)
		v = activated(j, v, dot(up, j->w.columns, x, j->bias_up ? j->bias_up + row : NULL), true);
	else if (j->active)
		v = activated(j, v, 0, false);
	v *= j->scale > 0 ? (double)j->scale : 1;
	if (j->cap > 0)
		v = (double)j->cap * tanh(v / (double)j->cap);
	j->out[i * j->out_stride + row] = (float)v;
}

static void job_run(const struct product_args *a, const struct device_job *j)
{
	uint32_t all = a->rows == DEVICE_ROWS_WANTED ? a->batch->wanted : a->batch->rows,
	         from = j->range ? j->range[0] : 0, to = j->range ? j->range[1] : all;
	double *w = malloc(2 * (j->w.columns + 1) * sizeof *w), *up = w + j->w.columns;
	for (uint32_t row = 0; from < to && row < j->w.rows; row++) {
		row_read(&j->w, row, w);
		row_read(&j->up, row, up);
		for (uint32_t i = from; i < to; i++)
			row_run(j, row, w, up, i);
	}
	free(w);
}

static int run_product(void *stream, const void *args)
{
	const struct product_args *a = args;
	(void)stream;
	for (uint32_t i = 0; !a->active && i < a->jobs; i++)
		job_run(a, &a->job[i]);
	for (uint32_t i = 0; a->active && i < a->active[0]; i++)
		job_run(a, &a->job[a->active[1 + i]]);
	for (uint32_t i = a->always; a->active && i < a->jobs; i++)
		job_run(a, &a->job[i]);
	return 0;
}

static int run_product_dense(void *stream, const void *args)
{
	const struct product_dense_args *a = args;
	(void)stream;
	job_run(&(struct product_args){ .batch = a->batch }, &a->job);
	return 0;
}

/* ---- experts ---- */

/* The best of choice that is not taken, the lower of equals. */
static uint32_t best(const double *choice, const bool *out, uint32_t n)
{
	uint32_t at = UINT32_MAX;
	for (uint32_t i = 0; i < n; i++)
		if (!out[i] && (at == UINT32_MAX || choice[i] > choice[at]))
			at = i;
	return at;
}

static void groups_limit(const struct kernel_gate *g, const double *choice, bool *out)
{
	uint32_t size = g->experts / g->groups;
	double value[KERNEL_EXPERTS];
	bool taken[KERNEL_EXPERTS] = { false };
	for (uint32_t i = 0; i < g->groups; i++) {
		bool none[KERNEL_EXPERTS] = { false };
		uint32_t first = best(choice + i * size, none, size);
		value[i] = choice[i * size + first];
		none[first] = true;
		if (g->kind == KERNEL_GATE_SIGMOID && size > 1)
			value[i] += choice[i * size + best(choice + i * size, none, size)];
	}
	for (uint32_t i = 0; i < g->groups_kept; i++)
		taken[best(value, taken, g->groups)] = true;
	for (uint32_t i = 0; i < g->experts; i++)
		out[i] = !taken[i / size];
}

static void gate_row(const struct kernel_gate *g, const float *score, uint16_t *expert, float *weight_of)
{
	double s[KERNEL_EXPERTS], choice[KERNEL_EXPERTS], largest = -INFINITY, sum = 0, w[KERNEL_TOP_K];
	bool out[KERNEL_EXPERTS] = { false };
	for (uint32_t i = 0; i < g->experts; i++)
		largest = fmax(largest, (double)score[i]);
	for (uint32_t i = 0; i < g->experts; i++)
		sum += exp((double)score[i] - largest);
	for (uint32_t i = 0; i < g->experts; i++) {
		s[i] = g->kind == KERNEL_GATE_SOFTMAX   ? exp((double)score[i] - largest) / sum
		       : g->kind == KERNEL_GATE_SIGMOID ? sigmoid((double)score[i])
		                                        : (double)score[i] + (g->bias ? (double)g->bias[i] : 0);
		choice[i] = g->kind == KERNEL_GATE_SIGMOID && !g->bias ? (double)score[i] : s[i];
		choice[i] += g->kind != KERNEL_GATE_TOPK && g->bias ? (double)g->bias[i] : 0;
	}
	if (g->groups > 1 && g->groups_kept < g->groups)
		groups_limit(g, choice, out);
	for (uint32_t k = 0; k < g->top_k; k++) {
		expert[k] = (uint16_t)best(choice, out, g->experts);
		out[expert[k]] = true;
	}
	for (uint32_t k = 0; g->kind != KERNEL_GATE_TOPK && k < g->top_k; k++) /* ranked by s */
		for (uint32_t i = k; i > 0 && (s[expert[i]] > s[expert[i - 1]] ||
		                               (s[expert[i]] >= s[expert[i - 1]] && expert[i] < expert[i - 1])); i--) {
			uint16_t swap = expert[i];
			expert[i] = expert[i - 1];
			expert[i - 1] = swap;
		}
	double total = 0;
	for (uint32_t k = 0; k < g->top_k; k++) {
		w[k] = g->kind == KERNEL_GATE_TOPK ? exp(s[expert[k]] - s[expert[0]]) : s[expert[k]];
		total += w[k];
	}
	for (uint32_t k = 0; k < g->top_k; k++) {
		bool norms = g->kind == KERNEL_GATE_TOPK || g->normalise;
		w[k] = norms ? w[k] / fmax(total + 1e-20, (double)g->floor) : w[k];
		if (g->kind == KERNEL_GATE_SIGMOID || (g->kind == KERNEL_GATE_SOFTMAX && !g->normalise))
			w[k] *= (double)g->scaling;
		weight_of[k] = (float)w[k];
	}
}

static int run_moe_gate(void *stream, const void *args)
{
	const struct moe_gate_args *a = args;
	const struct kernel_gate *g = &a->gate;
	(void)stream;
	for (uint32_t i = 0; i < a->batch->rows; i++)
		gate_row(g, a->score + (size_t)i * g->experts, a->expert + (size_t)i * g->top_k,
		         a->weight + (size_t)i * g->top_k);
	return 0;
}

static int run_sort_slots(void *stream, const void *args)
{
	const struct sort_slots_args *a = args;
	uint32_t slots = a->batch->rows * a->top_k, place = 0, count = 0;
	(void)stream;
	for (uint32_t e = 0; e < a->experts; e++) {
		a->begin[e] = place;
		for (uint32_t i = 0; i < slots; i++) {
			if (a->expert[i] != e)
				continue;
			a->place[i] = place;
			a->pick[place++] = i / a->top_k;
		}
		if (place > a->begin[e])
			a->active[1 + count++] = e;
	}
	a->begin[a->experts] = place;
	a->active[0] = count;
	return 0;
}

static const float *ranked;
static int by_rank(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return ranked[x] != ranked[y] ? (ranked[x] < ranked[y]) * 2 - 1 : (x > y) - (x < y);
}

static void logits_adjust(const struct device_draw *d, float *logit)
{
	for (uint32_t i = 0; i < d->biases; i++)
		logit[d->bias[i].id] += d->bias[i].bias;
	for (uint32_t i = 0; i < d->seens; i++) {
		float *x = &logit[d->seen[i].id];
		float by = d->repetition != 0 ? d->repetition : 1;
		*x = *x > 0 ? *x / by : *x * by;
		*x -= d->seen[i].drawn > 0 ? d->presence + d->frequency * (float)d->seen[i].drawn : 0;
	}
}

/* Of `count` ranked ids with their weights, by the first words of Philox. */
static uint32_t draw_ranked(const struct device_draw *d, const uint32_t *id, const float *w, uint32_t count)
{
	const uint32_t key[] = { (uint32_t)d->seed, (uint32_t)(d->seed >> 32) };
	const uint32_t counter[] = { d->position, d->choice, 0, 0 };
	uint32_t most = d->top_k > 0 && d->top_k < count ? d->top_k : count, kept = 0, word[4], i = 0;
	double whole = 0, total = 0, sum = 0;
	bool by_sum = d->top_p > 0 && d->top_p < 1;
	for (uint32_t k = 0; k < most; k++)
		whole += (double)w[id[k]];
	while (kept < most && (kept == 0 || (!(by_sum && total >= (double)d->top_p * whole) &&
					     !(w[id[kept]] < d->min_p))))
		total += (double)w[id[kept++]];
	philox_block(key, counter, word);
	double target = ((double)word[0] + (double)word[1] * 0x1p-32) * 0x1p-32 * total;
	while (i + 1 < kept && (sum += (double)w[id[i]]) <= target)
		i++;
	return id[i];
}

static uint32_t draw_row(const struct draw_ids_args *a, const struct device_draw *d, float *w)
{
	uint32_t *id = malloc(a->vocab * sizeof *id), count = 0, drawn;
	logits_adjust(d, w);
	for (uint32_t i = 0; id != NULL && i < a->vocab; i++) {
		if (!isnan(w[i]) && (d->allowed == NULL || (d->allowed[i / 64] >> i % 64 & 1) != 0))
			id[count++] = i;
	}
	ranked = w;
	if (count > 0)
		qsort(id, count, sizeof *id, by_rank);
	drawn = count > 0 ? id[0] : UINT32_MAX;
	for (uint32_t i = count; d->temperature > 0 && i-- > 0;)
		w[id[i]] = expf((w[id[i]] - w[id[0]]) / d->temperature);
	drawn = d->temperature > 0 && count > 0 ? draw_ranked(d, id, w, count) : drawn;
	free(id);
	return drawn;
}

static int run_draw_ids(void *stream, const void *args)
{
	const struct draw_ids_args *a = args;
	(void)stream;
	for (uint32_t i = 0; i < a->batch->wanted; i++) {
		float *w = a->weight + (size_t)i * a->vocab;
		memcpy(w, a->logits + i * a->stride, a->vocab * sizeof *w);
		a->id[i] = draw_row(a, &a->draw[i], w);
	}
	return 0;
}

/* ---- attention ---- */

static double rounded(enum kernel_cache c, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	bits += 0x7fff + (bits >> 16 & 1);
	return c == KERNEL_CACHE_F32 ? (double)v : (double)bf16((uint16_t)(bits >> 16));
}

/* Where `width` numbers of a position of the i-th part lie; parts behind one another from byte `at` on. */
static void *part_at(const struct device_batch *b, uint32_t sequence, uint32_t position, size_t bytes)
{
	return b->page_at[b->page[b->first_page[sequence] + position / KERNEL_PAGE]] + bytes;
}

static void store(enum kernel_cache c, void *part, uint32_t position, uint32_t width, const float *v)
{
	size_t row = (size_t)position % KERNEL_PAGE * device_cache_width(width);
	for (uint32_t i = 0; i < device_cache_width(width); i++) {
		float value = i < width ? (float)rounded(c, v[i]) : 0;
		uint32_t bits;
		memcpy(&bits, &value, sizeof bits);
		if (c == KERNEL_CACHE_F32)
			((float *)part)[row + i] = value;
		else
			((uint16_t *)part)[row + i] = (uint16_t)(bits >> 16);
	}
}

static double load(enum kernel_cache c, const void *part, uint32_t position, uint32_t width, uint32_t i)
{
	size_t at = (size_t)position % KERNEL_PAGE * device_cache_width(width) + i;
	return c == KERNEL_CACHE_F32 ? (double)((const float *)part)[at]
	                             : (double)bf16(((const uint16_t *)part)[at]);
}

static size_t part_bytes(enum kernel_cache c, uint32_t width)
{
	return (size_t)device_cache_width(width) * KERNEL_PAGE * (c == KERNEL_CACHE_F32 ? 4 : 2);
}

static void rotate(const struct device_rope *near, const struct device_rope *far,
                   const struct device_batch *b, uint32_t row, float *v)
{
	const struct device_rope *r = b->far && b->far[b->sequence[row]] ? far : near;
	for (uint32_t i = 0; r->cosine && i < r->half; i++) {
		uint32_t x = r->interleaved ? 2 * i : i, y = r->interleaved ? 2 * i + 1 : i + r->half;
		double cosine = (double)r->cosine[(size_t)b->position[row] * r->half + i],
		       sine = (double)r->sine[(size_t)b->position[row] * r->half + i], vx = (double)v[x],
		       vy = (double)v[y];
		v[x] = (float)(vx * cosine - vy * sine);
		v[y] = (float)(vy * cosine + vx * sine);
	}
}

static double temper(double beta, uint32_t length, uint32_t shift, uint32_t position)
{
	return beta > 0 ? 1 + beta * log(1 + floor((double)(position + shift) / length)) : 1;
}

static void clip(float *v, uint32_t n, float most)
{
	for (uint32_t i = 0; most > 0 && i < n; i++)
		v[i] = fmaxf(fminf(v[i], most), -most);
}

static void norm_heads(const struct gqa_place_args *a, float *v, uint32_t heads, const float *gain)
{
	if (a->qk_norm == MODEL_QK_FULL)
		norm_floats(v, gain, (double)a->eps, heads * a->head);
	for (uint32_t h = 0; a->qk_norm == MODEL_QK_HEAD || a->qk_norm == MODEL_QK_PLAIN ? h < heads : false; h++)
		norm_floats(v + (size_t)h * a->head, gain, (double)a->eps, a->head);
}

static void shape_heads(const struct gqa_place_args *a, uint32_t row, float *v, uint32_t heads,
                        const float *gain)
{
	if (!a->norm_late)
		norm_heads(a, v, heads, gain);
	clip(v, heads * a->head, a->clip);
	for (uint32_t h = 0; h < heads; h++)
		rotate(&a->rope, &a->rope_far, a->batch, row, v + (size_t)h * a->head);
	if (a->norm_late)
		norm_heads(a, v, heads, gain);
}

static void gqa_cache(const struct gqa_place_args *a, uint32_t row)
{
	const struct device_batch *b = a->batch;
	uint32_t position = b->position[row], n = a->kv_heads;
	float *k = a->kv + (size_t)row * n * (a->head + a->value), *v = k + (size_t)n * a->head;
	unsigned char *to = part_at(b, b->sequence[row], position, a->at);
	if (a->values_are_keys)
		memcpy(v, k, (size_t)n * a->value * sizeof *v);
	for (uint32_t h = 0; a->value_norm && h < n; h++)
		norm_floats(v + (size_t)h * a->value, NULL, (double)a->eps, a->value);
	clip(v, n * a->value, a->clip);
	shape_heads(a, row, k, n, a->k_gain);
	for (uint32_t h = 0; h < n; h++) {
		store(a->cache, to + h * part_bytes(a->cache, a->head), position, a->head, k + (size_t)h * a->head);
		store(a->cache, to + n * part_bytes(a->cache, a->head) + h * part_bytes(a->cache, a->value), position,
		      a->value, v + (size_t)h * a->value);
	}
}

static int run_gqa_place(void *stream, const void *args)
{
	const struct gqa_place_args *a = args;
	(void)stream;
	for (uint32_t row = 0; row < a->batch->rows; row++) {
		float *q = a->q + (size_t)row * a->heads * a->head;
		shape_heads(a, row, q, a->heads, a->q_gain);
		for (uint32_t i = 0; i < a->heads * a->head; i++)
			q[i] = (float)((double)q[i] * temper(a->temper_beta, a->temper_length, a->temper_shift,
			                                     a->batch->position[row]));
		if (a->kv)
			gqa_cache(a, row);
	}
	return 0;
}

static int run_mla_place(void *stream, const void *args)
{
	const struct mla_place_args *a = args;
	const struct device_batch *b = a->batch;
	(void)stream;
	for (uint32_t row = 0; row < b->rows; row++) {
		uint32_t position = b->position[row], head = a->nope + a->rope_head;
		float *kv = a->kv + (size_t)row * (a->kv_rank + a->rope_head), *q = a->q + (size_t)row * a->heads * head;
		unsigned char *to = part_at(b, b->sequence[row], position, a->at);
		norm_floats(kv, a->kv_gain, (double)a->eps, a->kv_rank);
		rotate(&a->rope, &a->rope_far, b, row, kv + a->kv_rank);
		store(a->cache, to, position, a->kv_rank, kv);
		store(a->cache, to + part_bytes(a->cache, a->kv_rank), position, a->rope_head, kv + a->kv_rank);
		for (uint32_t h = 0; h < a->heads; h++)
			rotate(&a->rope, &a->rope_far, b, row, q + (size_t)h * head + a->nope);
		for (uint32_t i = 0; i < a->heads * head; i++)
			q[i] = (float)((double)q[i] *
			               temper(a->temper_beta, a->temper_length, a->temper_shift, position));
	}
	return 0;
}

static uint32_t first_of(const struct attend_args *a, uint32_t position)
{
	if (a->chunk > 0)
		return position - position % a->chunk;
	return a->window > 0 && position + 1 >= a->window ? position + 1 - a->window : 0;
}

static void attend_head(const struct attend_args *a, uint32_t row, uint32_t head)
{
	const struct device_batch *b = a->batch;
	uint32_t position = b->position[row], first = first_of(a, position), kv = head / (a->heads / a->kv_heads);
	const float *q = a->query + row * a->query_row + head * a->query_head,
	            *tail = a->tail ? a->query_tail + row * a->tail_row + head * a->tail_head : NULL;
	size_t keys = part_bytes(a->cache, a->wide), key_at = kv * keys, tail_at = keys,
	       value_at = a->latent ? 0 : a->kv_heads * keys + kv * part_bytes(a->cache, a->value);
	double *score = malloc((position + 1) * sizeof *score), total = 0,
	       largest = a->sink ? (double)a->sink[head] : -INFINITY;
	for (uint32_t t = first; t <= position; t++) {
		const unsigned char *page = part_at(b, b->sequence[row], t, a->at);
		double s = 0;
		for (uint32_t i = 0; i < a->wide; i++)
			s += (double)q[i] * load(a->cache, page + key_at, t, a->wide, i);
		for (uint32_t i = 0; i < a->tail; i++)
			s += (double)tail[i] * load(a->cache, page + tail_at, t, a->tail, i);
		s *= (double)a->scale;
		score[t] = a->softcap > 0 ? (double)a->softcap * tanh(s / (double)a->softcap) : s;
		largest = fmax(largest, score[t]);
	}
	for (uint32_t t = first; t <= position; t++)
		total += exp(score[t] - largest);
	total += a->sink ? exp((double)a->sink[head] - largest) : 0;
	for (uint32_t i = 0; i < a->value; i++) {
		double sum = 0;
		for (uint32_t t = first; t <= position; t++) {
			const unsigned char *page = part_at(b, b->sequence[row], t, a->at);
			sum += exp(score[t] - largest) / total * load(a->cache, page + value_at, t, a->value, i);
		}
		a->out[((size_t)row * a->heads + head) * a->value + i] = (float)sum;
	}
	free(score);
}

static int run_attend(void *stream, const void *args)
{
	const struct attend_args *a = args;
	(void)stream;
	for (uint32_t row = 0; row < a->batch->rows; row++)
		for (uint32_t h = 0; h < a->heads; h++)
			attend_head(a, row, h);
	return 0;
}

/* ---- the table ---- */

static const char *why(int error)
{
	return error == 2 ? "out of memory" : "the device is lost";
}

static int open_nth(uint32_t which, struct device_facts *out)
{
	*out = (struct device_facts){ .name = "plain operations", .capability = 90, .multiprocessors = 1,
		.memory_bytes = (uint64_t)1 << 30, .driver = 13000, .runtime = 13000, .shared_bytes = 227 << 10 };
	return which == 0 ? 0 : 1;
}

static int enter(uint32_t which)
{
	(void)which;
	return 0;
}

static int memory(uint64_t *bytes)
{
	*bytes = (uint64_t)1 << 30;
	return 0;
}

/* Aligned as a device's; all bytes set make NaN. */
static int take(void **out, size_t bytes)
{
	size_t room = (bytes + 255) / 256 * 256;
	*out = room > (size_t)1 << 30 ? NULL : aligned_alloc(256, room);
	if (*out)
		memset(*out, 0xff, bytes);
	return *out ? 0 : 2;
}

static int give(void *at)
{
	free(at);
	return 0;
}

static int stream_open(void **out)
{
	*out = malloc(1);
	return 0;
}

static bool no_cublas(char *out, size_t room)
{
	(void)room;
	out[0] = '\0';
	return false;
}

static int nothing(void *stream)
{
	(void)stream;
	return 0;
}

static int copy(void *stream, enum device_way way, void *to, const void *from, size_t bytes)
{
	(void)stream, (void)way;
	memmove(to, from, bytes);
	return 0;
}

static int fill(void *stream, void *to, uint8_t byte, size_t bytes)
{
	(void)stream;
	memset(to, byte, bytes);
	return 0;
}

static int clock_stop(void *stream, double *us)
{
	(void)stream;
	*us = 1;
	return 0;
}

/* EMULATOR_LOSE_AFTER=N: operation N + 1 fails, and all that follow. */
static int lost(void)
{
	static unsigned long count;
	const char *most = getenv("EMULATOR_LOSE_AFTER");
	return most != NULL && ++count > strtoul(most, NULL, 10);
}

#define COUNTED(name)                                             \
	static int counted_##name(void *stream, const void *args) \
	{                                                         \
		return lost() ? 1 : run_##name(stream, args);     \
	}
DEVICE_OPERATIONS(COUNTED)

static bool is_lost(int error)
{
	return error == 1;
}

#define ROW(name) { #name, counted_##name, sizeof(struct name##_args) },
static const struct device_row operations[] = { DEVICE_OPERATIONS(ROW) };

/* Lists: the operations one after the other, whatever way is asked for. */
struct list {
	uint32_t count;
	struct device_step step[];
};

static int steps_close(void *steps)
{
	struct list *l = steps;
	for (uint32_t i = 0; i < l->count; i++)
		free((void *)(uintptr_t)l->step[i].args);
	free(l);
	return 0;
}

static int steps_open(void *stream, const struct device_step *step, uint32_t count,
                      enum device_steps_way way, void **out)
{
	struct list *l = calloc(1, sizeof *l + count * sizeof *step);
	(void)stream, (void)way;
	if (l == NULL)
		return 2;
	for (uint32_t i = 0; i < count; i++) {
		size_t bytes = operations[step[i].operation].args_bytes;
		void *args = malloc(bytes);
		if (args == NULL) {
			steps_close(l);
			return 2;
		}
		memcpy(args, step[i].args, bytes);
		l->step[l->count++] = (struct device_step){ step[i].operation, args };
	}
	*out = l;
	return 0;
}

static int steps_run(void *stream, void *steps)
{
	struct list *l = steps;
	int error = 0;
	for (uint32_t i = 0; i < l->count && error == 0; i++)
		error = operations[l->step[i].operation].run(stream, l->step[i].args);
	return error;
}

__attribute__((visibility("default"))) const struct device_table *hallmark_cuda(void);
const struct device_table *hallmark_cuda(void)
{
	static const uint32_t capabilities[] = { 90, 0 };
	static const struct device_table table = {
		.version = DEVICE_TABLE_VERSION, .capability = capabilities, .out_of_memory = 2, .invalid = -1,
		.unsupported = -2, .old_driver = -3, .lost = is_lost,
		.operation = operations, .operations = DEVICE_OPERATION_COUNT, .why = why, .open = open_nth,
		.enter = enter, .memory = memory, .pinned = take, .pinned_free = give, .alloc = take, .free = give,
		.stream_open = stream_open, .stream_close = give, .wait = nothing, .copy = copy, .fill = fill,
		.clock_start = nothing, .clock_stop = clock_stop, .steps_open = steps_open,
		.steps_run = steps_run, .steps_close = steps_close,
		.dense_version = no_cublas, .dense_open = nothing,
	};
	return &table;
}
