/* Draws on the device, right after the logits: what they are made of goes up, ids come down in
 * place of rows of logits. engine/sample.c is the truth, and kernels/draw_ids.cu has its bits. */
#include "engine/cuda.h"

#include "base/limits.h"

#include <math.h>
#include <string.h>

#define LIST_BYTES MIB(2) /* of biases and of ids that occurred, of all rows together */

_Static_assert(sizeof(struct engine_seen) == sizeof(struct device_seen), "copied as they are");

static size_t mask_bytes(const struct cuda *m)
{
	return ((size_t)m->config.vocab + 63) / 64 * sizeof(uint64_t);
}

size_t cuda_draws_bytes(const struct cuda *m)
{
	return CUDA_LOGIT_ROWS * (sizeof(struct device_draw) + mask_bytes(m) + 16) + LIST_BYTES;
}

int cuda_draws_open(struct cuda *m, struct err *e)
{
	struct cuda_draws *d = &m->draws;
	struct err ignored = { 0 };
	void *host;
	m->backend.draws = device_supports(m->device, "draw_ids", &ignored) == 0;
	d->bytes = cuda_draws_bytes(m);
	TRY(device_alloc(m->device, d->bytes, &d->on, e));
	TRY(device_pinned(m->device, d->bytes, &host, e));
	d->host = host;
	return 0;
}

void cuda_draws_close(struct cuda *m)
{
	device_free(&m->draws.on);
	device_pinned_free(m->device, m->draws.host);
}

/* Room for so many bytes on both sides: where on the device; *host the other. NULL: none left. */
static const void *room(struct cuda_draws *d, size_t bytes, void **host)
{
	size_t at = (d->used + 15) / 16 * 16;
	if (bytes > d->bytes - at)
		return NULL;
	d->used = at + bytes;
	*host = d->host + at;
	return (const unsigned char *)d->on.at + at;
}

static bool mask_put(struct cuda_draws *d, const struct engine_draw *a, struct device_draw *out)
{
	size_t bytes = ((size_t)a->n + 63) / 64 * sizeof *a->allowed;
	void *to;
	if (a->allowed == NULL)
		return true;
	out->allowed = room(d, bytes, &to);
	if (out->allowed == NULL)
		return false;
	memcpy(to, a->allowed, bytes);
	return true;
}

/* Those of -INFINITY are in the mask. */
static bool biases_put(struct cuda_draws *d, const struct engine_sampling *s,
		       struct device_draw *out)
{
	void *to;
	if (s->bias_count == 0)
		return true;
	out->bias = room(d, s->bias_count * sizeof *out->bias, &to);
	if (out->bias == NULL)
		return false;
	struct device_bias *bias = to;
	for (size_t i = 0; i < s->bias_count; i++) {
		if (!isinf(s->bias[i].bias))
			bias[out->biases++] =
				(struct device_bias){ s->bias[i].id, s->bias[i].bias };
	}
	return true;
}

static bool seen_put(struct cuda_draws *d, const struct engine_draw *a, struct device_draw *out)
{
	void *to;
	if (a->seens == 0)
		return true;
	out->seen = room(d, a->seens * sizeof *out->seen, &to);
	if (out->seen == NULL)
		return false;
	memcpy(to, a->seen, a->seens * sizeof *a->seen);
	out->seens = a->seens;
	return true;
}

static bool draw_put(struct cuda_draws *d, const struct engine_draw *a, struct device_draw *out)
{
	const struct engine_sampling *s = a->sampling;
	struct device_draw made = { .temperature = s->temperature,
				    .top_p = s->top_p,
				    .min_p = s->min_p,
				    .repetition = s->repetition,
				    .presence = s->presence,
				    .frequency = s->frequency,
				    .top_k = s->top_k,
				    .position = a->position,
				    .choice = s->choice,
				    .seed = s->seed };
	if (!mask_put(d, a, &made) || !biases_put(d, s, &made) || !seen_put(d, a, &made))
		return false;
	*out = made;
	return true;
}

/* All draws of a launch are of as many ids. */
static uint64_t draws_put(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count,
			  uint32_t *n)
{
	struct cuda_draws *d = &m->draws;
	struct device_draw *draw = (struct device_draw *)(void *)d->host;
	uint64_t asked = 0;
	d->used = CUDA_LOGIT_ROWS * sizeof *draw;
	for (uint32_t i = 0; i < count; i++) {
		const struct engine_draw *a = p->draw[from + i];
		draw[i] = (struct device_draw){ 0 }; /* the largest, which nobody reads */
		if (a == NULL || (asked != 0 && a->n != *n) || !draw_put(d, a, &draw[i]))
			continue;
		*n = a->n;
		asked |= (uint64_t)1 << i;
	}
	return asked;
}

int cuda_draws_run(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count,
		   uint64_t *asked, struct err *e)
{
	uint32_t n = 0;
	*asked = p->draw == NULL || !m->backend.draws ? 0 : draws_put(m, p, from, count, &n);
	if (*asked == 0)
		return 0;
	const struct draw_ids_args a = { .batch =
						 (const struct device_batch *)(void *)m->work.batch,
					 .logits = m->work.logits,
					 .draw = m->draws.on.at,
					 .weight = m->work.draw,
					 .id = m->work.id,
					 .stride = m->config.vocab,
					 .vocab = n,
					 .wanted_most = count };
	TRY(device_upload(m->stream, &m->draws.on, 0, m->draws.host, m->draws.used, e));
	return device_draw_ids(m->stream, &a, e);
}
