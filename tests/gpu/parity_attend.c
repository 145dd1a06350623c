/* attend: near its truth in double; and a row has the bits that it has alone, cut into splits or not. */
#include "kernels/attend_room.h"
#include "kernels/number.h"
#include "kernels/choice.h"
#include "tests/gpu/parity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define AT 96       /* bytes of a page before the layer's part */
#define BEHIND 32   /* and after it */

struct attend_case {
	const char *name;
	bool latent;
	uint32_t heads, kv_heads, wide, tail, value, window, chunk;
	bool sinks;
	float softcap;
	uint32_t sequences, rows_most, past_most;
};

static const struct attend_case cases[] = {
	{ "eight heads a key", 0, 8, 1, 128, 0, 128, 0, 0, 0, 0, 3, 5, 600 },
	{ "a head a key, window", 0, 4, 4, 64, 0, 64, 100, 0, 0, 0, 2, 9, 500 },
	{ "three heads a key, sinks", 0, 6, 2, 80, 0, 80, 0, 0, 1, 0, 2, 6, 300 },
	{ "odd widths, softcap", 0, 5, 1, 20, 0, 33, 0, 0, 0, 3, 2, 5, 300 },
	{ "narrow values", 0, 2, 1, 192, 0, 128, 0, 0, 0, 0, 1, 4, 400 },
	{ "twenty heads a key", 0, 20, 1, 64, 0, 64, 0, 0, 1, 0, 2, 2, 300 },
	{ "forty heads a key", 0, 40, 1, 32, 0, 32, 70, 0, 0, 0, 1, 3, 300 },
	{ "chunks", 0, 4, 2, 32, 0, 32, 0, 96, 0, 0, 2, 12, 400 },
	{ "values of 256", 0, 4, 2, 256, 0, 256, 0, 0, 0, 0, 1, 6, 290 },
	{ "values of 512", 0, 2, 1, 512, 0, 512, 0, 0, 0, 0, 1, 3, 260 },
	{ "latent", 1, 16, 1, 512, 64, 512, 0, 0, 0, 0, 2, 2, 300 },
	{ "latent, chunks", 1, 5, 1, 48, 16, 48, 0, 300, 0, 0, 2, 6, 600 },
	{ "latent, odd widths", 1, 20, 1, 36, 24, 36, 90, 0, 0, 2, 1, 5, 300 },
	{ "across splits", 0, 2, 1, 32, 0, 32, 0, 0, 0, 0, 4, 40, 250 },
	{ "latent, across splits", 1, 3, 1, 32, 16, 32, 200, 0, 0, 0, 2, 30, 450 },
	{ "first positions", 0, 4, 2, 16, 0, 16, 0, 0, 1, 0, 4, 3, 0 },
};

/* A case with its memory. */
struct setting {
	const struct attend_case *c;
	enum kernel_cache cache;
	uint32_t bytes; /* of a cache's number */
	size_t page_bytes;
	struct parity_batch batch;
	struct parity_buffer query, tail, sink, out, record, arrived;
	struct attend_args args;
};

static uint32_t first_of(const struct attend_case *c, uint32_t position)
{
	if (c->chunk > 0)
		return position / c->chunk * c->chunk;
	return c->window > 0 && position + 1 > c->window ? position + 1 - c->window : 0;
}

/* Where a position's key (part 0), its second part (1) or value (2) of key head h lies. */
static unsigned char *cached(const struct setting *s, uint32_t sequence, uint32_t t, uint32_t h, int part)
{
	const struct attend_case *c = s->c;
	size_t wide = device_cache_width(c->wide), tail = device_cache_width(c->tail),
	       value = device_cache_width(c->value), at = h * 64 * wide + t % 64 * wide;
	if (part == 1)
		at = 64 * wide + t % 64 * tail;
	if (part == 2 && !c->latent)
		at = c->kv_heads * 64 * wide + h * 64 * value + t % 64 * value;
	return parity_page(&s->batch, sequence, t) + AT + at * s->bytes;
}

static double number_at(const struct setting *s, const unsigned char *at, uint32_t k)
{
	if (s->cache == KERNEL_CACHE_F32)
		return (double)((const float *)(const void *)at)[k];
	return (double)number_from_bf16(((const uint16_t *)(const void *)at)[k]);
}

static void store(const struct setting *s, struct parity *p, unsigned char *at, uint32_t n)
{
	for (uint32_t k = 0; k < device_cache_width(n); k++) {
		float v = k < n ? parity_normal(p) : 0;
		if (s->cache == KERNEL_CACHE_F32)
			((float *)(void *)at)[k] = v;
		else
			((uint16_t *)(void *)at)[k] = number_to_bf16(v);
	}
}

/* The positions that some row attends; all other bytes stay poisoned. */
static void fill_cache(struct setting *s, struct parity *p)
{
	const struct device_batch *b = &s->batch.host;
	for (uint32_t i = 0; i < b->sequences; i++) {
		uint32_t from = first_of(s->c, b->position[b->first_row[i]]),
			 to = b->position[b->first_row[i + 1] - 1];
		for (uint32_t t = from; t <= to; t++) {
			for (uint32_t h = 0; h < s->c->kv_heads; h++) {
				store(s, p, cached(s, i, t, h, 0), s->c->wide);
				if (s->c->tail > 0)
					store(s, p, cached(s, i, t, h, 1), s->c->tail);
				if (!s->c->latent)
					store(s, p, cached(s, i, t, h, 2), s->c->value);
			}
		}
	}
	parity_upload(p, &s->batch.pages);
}

static void setting_open(struct parity *p, struct setting *s)
{
	const struct attend_case *c = s->c;
	uint32_t wide = device_cache_width(c->wide), tail = device_cache_width(c->tail),
		 value = c->latent ? 0 : device_cache_width(c->value);
	uint32_t past = c->past_most * parity_pick(p, 1, 5);
	s->bytes = s->cache == KERNEL_CACHE_F32 ? 4 : 2;
	s->page_bytes = AT + (size_t)64 * s->bytes * (c->kv_heads * (wide + value) + tail) + BEHIND;
	parity_batch(p,
		     &(struct parity_shape){ .sequences = c->sequences * parity_pick(p, 1, 2),
					     .rows_most = c->rows_most * parity_pick(p, 1, 4),
					     .past_most = past,
					     .page_bytes = s->page_bytes },
		     &s->batch);
	fill_cache(s, p);
	uint32_t rows = s->batch.host.rows, splits = (past + s->batch.host.rows) / 256 + 2;
	size_t floats = (size_t)rows * c->heads;
	s->query = parity_f32(p, "queries", floats * c->wide, 1);
	s->tail = parity_f32(p, "second parts of queries", floats * c->tail, 1);
	s->sink = parity_f32(p, "sinks", c->heads, 2);
	s->out = parity_output(p, "out", floats * c->value * sizeof(float));
	s->arrived = parity_zeros(p, "arrived", floats * sizeof(uint32_t));
	s->args = (struct attend_args){ .batch = s->batch.at, .latent = c->latent, .heads = c->heads,
		.kv_heads = c->kv_heads, .wide = c->wide, .tail = c->tail, .value = c->value,
		.query = s->query.at, .query_tail = s->tail.at, .query_row = (size_t)c->heads * c->wide,
		.query_head = c->wide, .tail_row = (size_t)c->heads * c->tail, .tail_head = c->tail,
		.scale = 1.5f / sqrtf((float)(c->wide + c->tail)), .softcap = c->softcap,
		.sink = c->sinks ? s->sink.at : NULL, .window = c->window, .chunk = c->chunk,
		.cache = s->cache, .at = AT, .out = s->out.at, .arrived = s->arrived.at,
		.rows_most = rows, .splits_most = splits };
	s->record = parity_output(p, "records", device_attend_records(&s->args) * sizeof(float));
	s->args.record = s->record.at;
}

/* ---- truth ---- */

static double score(const struct setting *s, uint32_t row, uint32_t h, uint32_t t)
{
	const struct attend_case *c = s->c;
	uint32_t sequence = s->batch.host.sequence[row], key = h / (c->heads / c->kv_heads);
	const float *q = (const float *)s->query.host + ((size_t)row * c->heads + h) * c->wide,
		    *tail = (const float *)s->tail.host + ((size_t)row * c->heads + h) * c->tail;
	const unsigned char *at = cached(s, sequence, t, key, 0);
	double sum = 0;
	for (uint32_t k = 0; k < c->wide; k++)
		sum += (double)q[k] * number_at(s, at, k);
	at = cached(s, sequence, t, key, 1);
	for (uint32_t k = 0; k < c->tail; k++)
		sum += (double)tail[k] * number_at(s, at, k);
	sum *= (double)s->args.scale;
	return c->softcap > 0 ? (double)c->softcap * tanh(sum / (double)c->softcap) : sum;
}

static void truth_head(const struct setting *s, uint32_t row, uint32_t h, double *p, double *out)
{
	const struct attend_case *c = s->c;
	uint32_t position = s->batch.host.position[row], from = first_of(c, position);
	double sink = (double)((const float *)s->sink.host)[h], largest = c->sinks ? sink : -INFINITY,
	       total = 0;
	for (uint32_t t = from; t <= position; t++) {
		p[t] = score(s, row, h, t);
		largest = fmax(largest, p[t]);
	}
	memset(out, 0, c->value * sizeof *out);
	for (uint32_t t = from; t <= position; t++) {
		const unsigned char *at = cached(s, s->batch.host.sequence[row], t,
						 h / (c->heads / c->kv_heads), c->latent ? 0 : 2);
		p[t] = exp(p[t] - largest);
		total += p[t];
		for (uint32_t d = 0; d < c->value; d++)
			out[d] += p[t] * number_at(s, at, d);
	}
	total += c->sinks ? exp(sink - largest) : 0;
	for (uint32_t d = 0; d < c->value; d++)
		out[d] /= total;
}

static double *truth_of(struct parity *p, const struct setting *s)
{
	const struct device_batch *b = &s->batch.host;
	double *out = parity_host(p, (size_t)b->rows * s->c->heads * s->c->value * sizeof *out), *weight;
	uint32_t most = 0;
	for (uint32_t i = 0; i < b->rows; i++)
		most = b->position[i] > most ? b->position[i] : most;
	weight = parity_host(p, (most + 1) * sizeof *weight);
	for (uint32_t i = 0; i < b->rows; i++) {
		for (uint32_t h = 0; h < s->c->heads; h++)
			truth_head(s, i, h, weight, out + ((size_t)i * s->c->heads + h) * s->c->value);
	}
	return out;
}

/* ---- the same bits ---- */

static void same_in_parts(struct parity *p, struct setting *s, const unsigned char *want, const char *what)
{
	const struct device_batch *b = &s->batch.host;
	size_t row_bytes = (size_t)s->c->heads * s->c->value * sizeof(float);
	for (uint32_t i = 0, rows; i < b->rows; i += rows) {
		uint32_t end = b->first_row[b->sequence[i] + 1];
		struct attend_args a = s->args;
		rows = 1 + parity_below(p, 3);
		rows = rows < end - i ? rows : end - i;
		a.batch = parity_part(p, &s->batch, i, rows);
		a.rows_most = rows;
		a.query += i * a.query_row;
		a.query_tail += i * a.tail_row;
		a.out += i * (size_t)s->c->heads * s->c->value;
		parity_poison(p, &s->record);
		PARITY_RUN(p, attend, &a);
	}
	parity_fetch(p, &s->out);
	parity_equal(p, s->out.host, want, b->rows * row_bytes, "%s: in parts of a few rows", what);
}

static void same_uncut(struct parity *p, struct setting *s, const unsigned char *want, const char *what)
{
	struct attend_args a = s->args;
	a.record = NULL;
	parity_poison(p, &s->out);
	PARITY_RUN(p, attend, &a);
	parity_fetch(p, &s->out);
	parity_equal(p, s->out.host, want, s->out.bytes, "%s: splits one after the other", what);
}

/* Every form on a device; two of them, others for each case, on the emulator. */
static void same_in_forms(struct parity *p, struct setting *s, const unsigned char *want, const char *what)
{
	uint32_t forms = device_forms(DEVICE_attend), first = 1, count = forms - 1;
	if (!p->large) {
		first = 1 + (uint32_t)(s->c - cases) * 2 % (forms - 1);
		count = 2;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t form = 1 + (first - 1 + i) % (forms - 1);
		struct attend_args a = s->args;
		a.form = device_attend_form(form);
		parity_poison(p, &s->out);
		PARITY_RUN(p, attend, &a);
		parity_fetch(p, &s->out);
		parity_equal(p, s->out.host, want, s->out.bytes, "%s: form %s", what,
			     device_form_name(DEVICE_attend, form));
	}
}

/* Twice in one list: an f32 cache's attention stands beside the kernel of whole steps, in a graph. */
static void same_in_a_list(struct parity *p, struct setting *s, const unsigned char *want, const char *what)
{
	const struct device_step twice[2] = { { DEVICE_attend, &s->args }, { DEVICE_attend, &s->args } };
	struct device_steps *l = NULL;
	parity_poison(p, &s->out);
	if (p->rc == 0)
		p->rc = device_steps_open(p->stream, twice, 2, DEVICE_STEPS_KERNEL, &l, &p->err);
	if (p->rc == 0)
		p->rc = device_steps_run(l, &p->err);
	parity_failed(p, "a list of attention");
	device_steps_close(l);
	parity_fetch(p, &s->out);
	parity_equal(p, s->out.host, want, s->out.bytes, "%s: twice in a list", what);
}

static void one_case(struct parity *p, const struct attend_case *c, enum kernel_cache cache, uint32_t terms)
{
	struct setting s = { .c = c, .cache = cache };
	char what[100];
	setting_open(p, &s);
	s.args.terms = terms;
	if (device_attend_room(&s.args) > device_info(p->device)->shared_bytes) {
		parity_true(p, device_attend(p->stream, &s.args, &p->err) == ERR_UNSUPPORTED, "%s: refused",
			    c->name);
		return;
	}
	snprintf(what, sizeof what, "%s, %s, terms %u, rows %u", c->name,
		 cache == KERNEL_CACHE_F32 ? "f32" : "bf16", terms, s.batch.host.rows);
	PARITY_RUN(p, attend, &s.args);
	parity_fetch(p, &s.out);
	parity_fetch(p, &s.arrived);
	for (size_t i = 0; i < s.arrived.bytes; i++) {
		if (((const unsigned char *)s.arrived.host)[i] != 0)
			parity_true(p, false, "%s: counters are not zero again", what);
	}
	double bound = terms == 1 ? 3e-2 : cache == KERNEL_CACHE_F32 ? 8e-5 : 4e-5;
	parity_expect(p, parity_error(s.out.host, truth_of(p, &s), s.out.bytes / sizeof(float)), bound, "%s",
		      what);
	unsigned char *want = parity_host(p, s.out.bytes);
	memcpy(want, s.out.host, s.out.bytes);
	parity_poison(p, &s.out);
	same_in_parts(p, &s, want, what);
	same_uncut(p, &s, want, what);
	same_in_forms(p, &s, want, what);
	if (device_info(p->device)->capability == 90 && (p->large || c == &cases[1]))
		same_in_a_list(p, &s, want, what);
}

/* Where a device has less room than 9.0, cases that fit either are the same ones. */
void parity_attend(struct parity *p)
{
	bool less = device_info(p->device)->shared_bytes < 227 * 1024;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (less && !p->large && cases[i].wide < 192)
			continue;
		one_case(p, &cases[i], KERNEL_CACHE_BF16, 2);
		one_case(p, &cases[i], i % 3 ? KERNEL_CACHE_F32 : KERNEL_CACHE_BF16, 1 + i / 2 % 2);
	}
}
