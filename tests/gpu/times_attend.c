/* Attention timed while it decodes, in every form: one row a sequence over a cache that is full, by context
 * and batch. The form that is best for all shapes of a kind together is written down. */
#include "tests/gpu/times.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct err why;

static void must(int rc) { times_must(rc, &why); }

static const struct attend_shape {
	const char *name;
	bool latent;
	uint32_t heads, kv_heads, wide, tail, value;
} shapes[] = {
	{ "deepseek-v2-lite", true, 16, 1, 512, 64, 512 },
	{ "qwen3-30b-a3b", false, 32, 4, 128, 0, 128 },
	{ "olmoe", false, 16, 16, 128, 0, 128 },
	{ "gpt-oss-20b", false, 64, 8, 64, 0, 64 },
};

#define BUFFERS 16
#define FORMS 16 /* more than there are */

struct decode {
	struct device_buffer memory[BUFFERS];
	uint32_t buffers;
	struct attend_args args;
};

static void *on_device(struct times *t, struct decode *d, const void *from, size_t bytes)
{
	struct device_buffer *b = &d->memory[d->buffers++];
	must(device_alloc(t->device, bytes, b, &why));
	if (from != NULL)
		must(device_upload(t->stream, b, 0, from, bytes, &why));
	else
		must(device_fill(t->stream, b, 0, &why));
	must(device_wait(t->stream, &why));
	return b->at;
}

static void *need(size_t bytes)
{
	void *at = malloc(bytes);
	if (at == NULL)
		must(err_set(&why, ERR_NOMEM, "out of memory"));
	return at;
}

/* A row for each of n sequences, at position context - 1; page p lies at p * page_bytes. */
static const struct device_batch *make_batch(struct times *t, struct decode *d, uint32_t n, uint32_t context,
					     size_t page_bytes)
{
	uint32_t each = (context + KERNEL_PAGE - 1) / KERNEL_PAGE, pages = n * each;
	uint32_t *number = need(((size_t)pages + n + 1) * 4), *last = need(n * 4);
	unsigned char **at = need(pages * sizeof *at);
	unsigned char *cache = on_device(t, d, NULL, pages * page_bytes);
	struct device_batch b = { .rows = n, .sequences = n };
	for (uint32_t i = 0; i < pages; i++)
		at[i] = cache + i * page_bytes;
	b.page_at = on_device(t, d, at, pages * sizeof *at);
	for (uint32_t i = 0; i < pages + n + 1; i++)
		number[i] = i;
	b.page = on_device(t, d, number, pages * sizeof *number);
	b.sequence = on_device(t, d, number, n * 4);
	b.token = b.sequence;
	b.first_row = on_device(t, d, number, (n + 1) * sizeof *number);
	for (uint32_t i = 0; i <= n; i++)
		number[i] = i * each;
	b.first_page = on_device(t, d, number, (n + 1) * sizeof *number);
	for (uint32_t i = 0; i < n; i++)
		last[i] = context - 1;
	b.position = on_device(t, d, last, n * 4);
	free(number), free(last), free(at);
	return on_device(t, d, &b, sizeof b);
}

static void one_attend(struct times *t, void *with) { must(device_attend(t->stream, with, &why)); }

/* cost: each form's time as a share of the library's own choice's is added to it. */
static void time_attend(struct times *t, const struct attend_shape *s, uint32_t n, uint32_t context,
			double cost[FORMS])
{
	struct decode d = { 0 };
	size_t query = (size_t)s->heads * (s->wide + s->tail);
	size_t row = 2u * (device_cache_width(s->wide) + (s->latent ? device_cache_width(s->tail)
								      : device_cache_width(s->value)));
	size_t page_bytes = KERNEL_PAGE * row * (s->latent ? 1 : s->kv_heads);
	struct attend_args *a = &d.args;
	*a = (struct attend_args){ .latent = s->latent,
				   .heads = s->heads,
				   .kv_heads = s->kv_heads,
				   .wide = s->wide,
				   .tail = s->tail,
				   .value = s->value,
				   .query_row = query,
				   .query_head = s->wide + s->tail,
				   .tail_row = query,
				   .tail_head = s->wide + s->tail,
				   .scale = 1 / sqrtf((float)s->wide),
				   .cache = KERNEL_CACHE_BF16,
				   .rows_most = n,
				   .splits_most = (context + KERNEL_SPLIT - 1) / KERNEL_SPLIT,
				   .terms = 2 };
	a->batch = make_batch(t, &d, n, context, page_bytes);
	a->query = on_device(t, &d, NULL, n * query * 4);
	a->query_tail = a->query + s->wide;
	a->out = on_device(t, &d, NULL, (size_t)n * s->heads * s->value * 4);
	a->record = on_device(t, &d, NULL, device_attend_records(a) * 4);
	a->arrived = on_device(t, &d, NULL, (size_t)n * s->heads * 4);
	double first = 1;
	for (uint32_t f = 0; f < device_forms(DEVICE_attend) && f < FORMS; f++) {
		char shape[120];
		a->form = device_attend_form(f);
		double us = times_us(t, one_attend, a);
		first = f == 0 ? us : first;
		cost[f] += us / first;
		snprintf(shape, sizeof shape, "%s, batch %u, context %u, %s", s->name, n, context,
			 device_form_name(DEVICE_attend, f));
		times_line(t, "attend", shape, us, (double)n * context * (double)page_bytes / KERNEL_PAGE);
	}
	for (uint32_t i = 0; i < d.buffers; i++)
		device_free(&d.memory[i]);
}

/* All shapes of a kind with n sequences. */
static void time_kind(struct times *t, bool latent, uint32_t n)
{
	static const uint32_t contexts[] = { 512, 2048, 8192 };
	double cost[FORMS] = { 0 };
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		for (size_t c = 0; c < sizeof contexts / sizeof *contexts; c++) {
			if (shapes[i].latent != latent || (n == 64 && contexts[c] > 2048))
				continue;
			if (!t->small)
				time_attend(t, &shapes[i], n, contexts[c], cost);
			else if (i == 1 && c == 0)
				time_attend(t, &shapes[i], n, 70, cost);
		}
	}
	times_choose(t, (struct device_choice_line){ DEVICE_attend, KERNEL_CACHE_BF16,
						      latent ? DEVICE_LATENT : DEVICE_HEADS, 0, n },
		     cost);
}

void times_attend(struct times *t)
{
	static const uint32_t sequences[] = { 1, 16, 64 };
	for (size_t i = 0; i < (t->small ? 1 : sizeof sequences / sizeof *sequences); i++) {
		time_kind(t, true, sequences[i]);
		time_kind(t, false, sequences[i]);
	}
}
