/* gqa_place and mla_place: queries and cache rows like those of the CPU's engine (its order of operations,
 * in f32: the same bits where there is no norm); zeros behind a cache row's numbers, and nothing else
 * written. */
#include "kernels/number.h"
#include "tests/gpu/parity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define AT 64 /* bytes of a page before the layer's part */
#define BEHIND 32
#define MOST 512

enum { NORM_NONE, NORM_HEAD, NORM_FULL, NORM_PLAIN };

struct place_case {
	uint32_t heads, kv_heads, head, value, half;
	uint8_t qk_norm;
	bool late, value_norm, values_are_keys, interleaved, tempered, far, no_rows, gains;
	float clip;
};

static const struct place_case cases[] = {
	{ 8, 2, 128, 128, 64, NORM_HEAD, 0, 0, 0, 0, 0, 0, 0, 1, 0 },
	{ 4, 4, 64, 64, 32, NORM_NONE, 0, 0, 0, 0, 0, 1, 0, 0, 0.8f },
	{ 6, 2, 80, 80, 16, NORM_FULL, 0, 0, 0, 0, 1, 0, 0, 1, 0 },
	{ 5, 1, 20, 33, 10, NORM_NONE, 0, 1, 0, 1, 1, 0, 0, 0, 0 },
	{ 4, 2, 96, 96, 48, NORM_HEAD, 1, 1, 1, 0, 0, 1, 0, 1, 1.5f },
	{ 3, 1, 256, 256, 64, NORM_PLAIN, 0, 0, 1, 1, 0, 0, 0, 0, 0 },
	{ 16, 4, 64, 32, 0, NORM_PLAIN, 1, 0, 0, 0, 1, 0, 1, 0, 0 },
	{ 2, 2, 512, 512, 256, NORM_FULL, 0, 1, 0, 1, 0, 1, 0, 1, 2 },
};

struct latent_case {
	uint32_t heads, nope, rope_head, kv_rank, half;
	bool interleaved, tempered, far;
};

static const struct latent_case latents[] = {
	{ 16, 128, 64, 512, 32, 1, 0, 0 }, { 5, 24, 16, 48, 8, 0, 1, 1 }, { 3, 1, 24, 36, 12, 1, 1, 0 },
	{ 20, 64, 2, 500, 1, 0, 0, 1 },    { 2, 32, 32, 64, 0, 0, 0, 0 },
};

/* Both tables of a layer. */
struct ropes {
	struct parity_buffer buffer[4];
	struct device_rope there[2];
	uint32_t half;
	bool interleaved;
};

static void ropes_open(struct parity *p, struct ropes *r, const struct parity_batch *b)
{
	uint32_t positions = 0;
	for (uint32_t i = 0; i < b->host.rows; i++)
		positions = b->host.position[i] >= positions ? b->host.position[i] + 1 : positions;
	for (int i = 0; i < 4; i++)
		r->buffer[i] = parity_f32(p, "rotary table", (size_t)positions * r->half, 0.6f);
	for (int i = 0; i < 2; i++)
		r->there[i] = (struct device_rope){ r->half ? r->buffer[2 * i].at : NULL,
						    r->buffer[2 * i + 1].at, r->half, r->interleaved };
}

static void rotate(const struct ropes *r, const struct parity_batch *b, uint32_t row, float *x)
{
	int far = b->host.far != NULL && b->host.far[b->host.sequence[row]] != 0;
	size_t at = (size_t)b->host.position[row] * r->half;
	const float *c = (const float *)r->buffer[2 * far].host + at,
		    *s = (const float *)r->buffer[2 * far + 1].host + at;
	for (uint32_t i = 0; i < r->half; i++) {
		uint32_t one = r->interleaved ? 2 * i : i, two = r->interleaved ? 2 * i + 1 : i + r->half;
		float x1 = x[one], x2 = x[two];
		x[one] = x1 * c[i] - x2 * s[i];
		x[two] = x1 * s[i] + x2 * c[i];
	}
}

static float scale_of(const float *x, uint32_t n, float eps)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return (float)(1 / sqrt(sum / n + (double)eps));
}

static void norm(float *x, uint32_t n, float scale, const float *gain)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] = gain == NULL ? x[i] * scale : x[i] * scale * gain[i];
}

static void clip(float *x, uint32_t n, float bound)
{
	for (uint32_t i = 0; i < n && bound > 0; i++)
		x[i] = fmaxf(fminf(x[i], bound), -bound);
}

static float temper(uint32_t position)
{
	return (float)(1 + 0.3 * log(1 + floor(((double)position + 2) / 7)));
}

/* ---- what is stored ---- */

/* Compares one cache row, then poisons its twin, so that what is left is not the operation's. */
static double compare_row(enum kernel_cache cache, unsigned char *at, const float *truth, uint32_t n,
			  double *most)
{
	uint32_t width = device_cache_width(n), bytes = cache == KERNEL_CACHE_F32 ? 4 : 2;
	for (uint32_t k = 0; k < width; k++) {
		float got = cache == KERNEL_CACHE_F32 ? ((float *)(void *)at)[k]
						      : number_from_bf16(((uint16_t *)(void *)at)[k]);
		float want = k < n ? truth[k] : 0;
		if (cache == KERNEL_CACHE_BF16)
			want = number_from_bf16(number_to_bf16(want));
		double error = number_bits(got) == number_bits(want) ? 0 : fabs((double)got - (double)want);
		*most = error <= *most ? *most : error; /* NaN stays */
		if (k >= n && number_bits(got) != 0)
			*most = INFINITY;
	}
	memset(at, 0xff, (size_t)width * bytes);
	return *most;
}

/* ---- gqa_place ---- */

struct placed {
	const struct place_case *c;
	enum kernel_cache cache;
	struct parity_batch batch;
	struct ropes ropes;
	struct parity_buffer q, kv, q_gain, k_gain;
	struct gqa_place_args args;
};

static void placed_open(struct parity *p, struct placed *s)
{
	const struct place_case *c = s->c;
	uint32_t bytes = s->cache == KERNEL_CACHE_F32 ? 4 : 2, factor = parity_pick(p, 1, 20);
	size_t wide = device_cache_width(c->head) + device_cache_width(c->value);
	parity_batch(p,
		     &(struct parity_shape){ .sequences = 3 * factor,
					     .rows_most = 3 * factor,
					     .past_most = 150,
					     .page_bytes = AT + BEHIND + 64 * c->kv_heads * wide * bytes,
					     .far = c->far },
		     &s->batch);
	uint32_t rows = s->batch.host.rows;
	s->ropes.half = c->half, s->ropes.interleaved = c->interleaved;
	ropes_open(p, &s->ropes, &s->batch);
	s->q = parity_f32(p, "queries", (size_t)rows * c->heads * c->head, 1);
	s->kv = parity_f32(p, "keys and values", (size_t)rows * c->kv_heads * (c->head + c->value), 1);
	s->q_gain = parity_f32(p, "gains of queries", (size_t)c->heads * c->head, 1);
	s->k_gain = parity_f32(p, "gains of keys", (size_t)c->kv_heads * c->head, 1);
	s->args = (struct gqa_place_args){ .batch = s->batch.at, .q = s->q.at,
		.kv = c->no_rows ? NULL : s->kv.at, .heads = c->heads, .kv_heads = c->kv_heads,
		.head = c->head, .value = c->value, .q_gain = c->gains ? s->q_gain.at : NULL,
		.k_gain = c->gains ? s->k_gain.at : NULL, .qk_norm = c->qk_norm, .norm_late = c->late,
		.value_norm = c->value_norm, .values_are_keys = c->values_are_keys, .eps = 1e-5f,
		.clip = c->clip, .rope = s->ropes.there[0], .rope_far = s->ropes.there[1],
		.temper_beta = c->tempered ? 0.3 : 0, .temper_length = 7, .temper_shift = 2,
		.cache = s->cache, .at = AT, .rows_most = rows };
}

/* All heads of a row's queries or keys. */
static void shape(const struct placed *s, uint32_t row, float *x, uint32_t heads, const float *gain)
{
	const struct place_case *c = s->c;
	if (c->qk_norm == NORM_FULL)
		norm(x, heads * c->head, scale_of(x, heads * c->head, 1e-5f), gain);
	for (uint32_t h = 0; h < heads; h++, x += c->head) {
		bool each = c->qk_norm == NORM_HEAD || c->qk_norm == NORM_PLAIN;
		if (each && !c->late)
			norm(x, c->head, scale_of(x, c->head, 1e-5f), gain);
		clip(x, c->head, c->clip);
		rotate(&s->ropes, &s->batch, row, x);
		if (each && c->late)
			norm(x, c->head, scale_of(x, c->head, 1e-5f), gain);
	}
}

/* What the row's keys and values became. */
static double compare_cache(const struct placed *s, uint32_t row, double *most)
{
	const struct place_case *c = s->c;
	const struct device_batch *b = &s->batch.host;
	uint32_t position = b->position[row], bytes = s->cache == KERNEL_CACHE_F32 ? 4 : 2;
	uint32_t wide = device_cache_width(c->head) * bytes, deep = device_cache_width(c->value) * bytes;
	unsigned char *page = parity_page(&s->batch, b->sequence[row], position) + AT;
	float *k = (float *)s->kv.host + (size_t)row * c->kv_heads * (c->head + c->value),
	      *v = k + (size_t)c->kv_heads * c->head;
	if (c->values_are_keys)
		memcpy(v, k, (size_t)c->kv_heads * c->head * sizeof *v);
	for (uint32_t h = 0; h < c->kv_heads && c->value_norm; h++)
		norm(v + h * c->value, c->value, scale_of(v + h * c->value, c->value, 1e-5f), NULL);
	clip(v, c->kv_heads * c->value, c->clip);
	shape(s, row, k, c->kv_heads, c->gains ? s->k_gain.host : NULL);
	for (uint32_t h = 0; h < c->kv_heads; h++) {
		compare_row(s->cache, page + 64 * h * wide + position % 64 * wide, k + h * c->head, c->head,
			    most);
		compare_row(s->cache, page + 64 * c->kv_heads * wide + 64 * h * deep + position % 64 * deep,
			    v + h * c->value, c->value, most);
	}
	return *most;
}

static double *as_double(struct parity *p, const float *x, size_t n)
{
	double *out = parity_host(p, n * sizeof *out);
	for (size_t i = 0; i < n; i++)
		out[i] = (double)x[i];
	return out;
}

static void one_placing(struct parity *p, const struct place_case *c, enum kernel_cache cache)
{
	struct placed s = { .c = c, .cache = cache };
	bool normed = c->qk_norm != NORM_NONE || c->value_norm;
	char what[100];
	double most = 0;
	placed_open(p, &s);
	uint32_t rows = s.batch.host.rows;
	size_t n = (size_t)rows * c->heads * c->head;
	float *q = parity_host(p, n * sizeof *q);
	memcpy(q, s.q.host, n * sizeof *q);
	snprintf(what, sizeof what, "heads %u/%u of %u and %u, %s, rows %u", c->heads, c->kv_heads, c->head,
		 c->value, cache == KERNEL_CACHE_F32 ? "f32" : "bf16", rows);
	for (uint32_t i = 0; i < rows; i++) {
		float *own = q + (size_t)i * c->heads * c->head;
		shape(&s, i, own, c->heads, c->gains ? s.q_gain.host : NULL);
		for (uint32_t k = 0; k < c->heads * c->head && c->tempered; k++)
			own[k] *= temper(s.batch.host.position[i]);
	}
	PARITY_RUN(p, gqa_place, &s.args);
	parity_fetch(p, &s.q);
	parity_fetch(p, &s.batch.pages);
	parity_expect(p, parity_error(s.q.host, as_double(p, q, n), n), c->qk_norm ? 2e-6 : 0, "%s: queries",
		      what);
	for (uint32_t i = 0; i < rows && !c->no_rows; i++)
		compare_cache(&s, i, &most);
	parity_expect(p, most, !normed ? 0 : cache == KERNEL_CACHE_F32 ? 1e-5 : 4e-2, "%s: the cache", what);
	parity_untouched(p, &s.batch.pages, 0, s.batch.pages.bytes);
}

void parity_gqa_place(struct parity *p)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		one_placing(p, &cases[i], KERNEL_CACHE_F32);
		one_placing(p, &cases[i], KERNEL_CACHE_BF16);
	}
}

/* ---- mla_place ---- */

static void shape_latent(const struct latent_case *c, const struct ropes *r, const struct parity_batch *b,
			 uint32_t row, float *q)
{
	float factor = temper(b->host.position[row]);
	for (uint32_t h = 0; h < c->heads; h++, q += c->nope + c->rope_head) {
		rotate(r, b, row, q + c->nope);
		for (uint32_t k = 0; k < c->nope + c->rope_head && c->tempered; k++)
			q[k] *= factor;
	}
}

static double compare_latents(const struct latent_case *c, enum kernel_cache cache, const struct ropes *r,
			      const struct parity_batch *b, float *kv, const float *gain)
{
	uint32_t bytes = cache == KERNEL_CACHE_F32 ? 4 : 2, wide = device_cache_width(c->kv_rank) * bytes,
		 tail = device_cache_width(c->rope_head) * bytes;
	double most = 0;
	for (uint32_t i = 0; i < b->host.rows; i++, kv += c->kv_rank + c->rope_head) {
		uint32_t position = b->host.position[i];
		unsigned char *page = parity_page(b, b->host.sequence[i], position) + AT;
		norm(kv, c->kv_rank, scale_of(kv, c->kv_rank, 1e-6f), gain);
		rotate(r, b, i, kv + c->kv_rank);
		compare_row(cache, page + position % 64 * wide, kv, c->kv_rank, &most);
		compare_row(cache, page + 64 * wide + position % 64 * tail, kv + c->kv_rank, c->rope_head,
			    &most);
	}
	return most;
}

static void one_latent(struct parity *p, const struct latent_case *c, enum kernel_cache cache)
{
	struct parity_batch b;
	struct ropes r = { .half = c->half, .interleaved = c->interleaved };
	uint32_t bytes = cache == KERNEL_CACHE_F32 ? 4 : 2, factor = parity_pick(p, 1, 20);
	size_t wide = device_cache_width(c->kv_rank) + device_cache_width(c->rope_head);
	char what[100];
	parity_batch(p,
		     &(struct parity_shape){ .sequences = 3 * factor, .rows_most = 3 * factor,
					     .past_most = 150, .page_bytes = AT + BEHIND + 64 * wide * bytes,
					     .far = c->far },
		     &b);
	ropes_open(p, &r, &b);
	uint32_t rows = b.host.rows, each = c->heads * (c->nope + c->rope_head);
	size_t n = (size_t)rows * each;
	struct parity_buffer q = parity_f32(p, "queries", n, 1);
	struct parity_buffer kv = parity_f32(p, "latents", (size_t)rows * (c->kv_rank + c->rope_head), 1);
	struct parity_buffer gain = parity_f32(p, "gains", c->kv_rank, 1);
	float *want = parity_host(p, n * sizeof *want);
	memcpy(want, q.host, n * sizeof *want);
	for (uint32_t i = 0; i < rows; i++)
		shape_latent(c, &r, &b, i, want + (size_t)i * each);
	PARITY_RUN(p, mla_place,
		   (&(struct mla_place_args){ .batch = b.at, .q = q.at, .kv = kv.at, .heads = c->heads,
			.nope = c->nope, .rope_head = c->rope_head, .kv_rank = c->kv_rank,
			.kv_gain = gain.at, .eps = 1e-6f, .rope = r.there[0], .rope_far = r.there[1],
			.temper_beta = c->tempered ? 0.3 : 0, .temper_length = 7, .temper_shift = 2,
			.cache = cache, .at = AT, .rows_most = rows }));
	parity_fetch(p, &q);
	parity_fetch(p, &b.pages);
	snprintf(what, sizeof what, "heads %u of %u+%u, rank %u, %s, rows %u", c->heads, c->nope,
		 c->rope_head, c->kv_rank, cache == KERNEL_CACHE_F32 ? "f32" : "bf16", rows);
	parity_equal(p, q.host, want, n * sizeof *want, "%s: queries", what);
	parity_expect(p, compare_latents(c, cache, &r, &b, kv.host, gain.host),
		      cache == KERNEL_CACHE_F32 ? 1e-5 : 4e-2, "%s: the cache", what);
	parity_untouched(p, &b.pages, 0, b.pages.bytes);
}

void parity_mla_place(struct parity *p)
{
	for (size_t i = 0; i < sizeof latents / sizeof latents[0]; i++) {
		one_latent(p, &latents[i], KERNEL_CACHE_F32);
		one_latent(p, &latents[i], KERNEL_CACHE_BF16);
	}
}
