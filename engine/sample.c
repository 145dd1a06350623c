/* Drawing a token: a pure function of logits, parameters and position.
 *
 * Order: padding ids are out; temperature; top_k; top_p; min_p; then the inverse of the cumulative
 * distribution over the kept ids in the order (probability descending, id ascending), at u = (w0 *
 * 2^21 + w1 / 2^11) / 2^53 where w are the words of Philox4x32-10 with key = seed (low, high) and
 * counter = (position, choice, 0, 0). */
#include "engine/engine.h"
#include "engine/philox.h"

#include "kernels/number.h"

#include <math.h>

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c[4] = { counter[0], counter[1], counter[2], counter[3] },
		 k[2] = { key[0], key[1] };
	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
		uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
				     (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a };
		for (int i = 0; i < 4; i++)
			c[i] = next[i];
		k[0] += 0x9E3779B9u;
		k[1] += 0xBB67AE85u;
	}
	for (int i = 0; i < 4; i++)
		out[i] = c[i];
}

struct candidate {
	float weight; /* logit over temperature, then unnormalised probability */
	uint32_t id;
};

/* A heap of those not yet ranked, entry[0..left); the ranked ones follow, best last: rank i is
 * entry[count-1-i]. */
struct ranking {
	struct candidate *entry;
	uint32_t count, left;
	double whole; /* weight of all, added in the order of ids */
};

static bool before(const struct candidate *a, const struct candidate *b)
{
	return a->weight != b->weight ? a->weight > b->weight : a->id < b->id;
}

static void sift(struct ranking *r, uint32_t at)
{
	struct candidate moving = r->entry[at];
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= r->left)
			break;
		if (child + 1 < r->left && before(&r->entry[child + 1], &r->entry[child]))
			child++;
		if (!before(&r->entry[child], &moving))
			break;
		r->entry[at] = r->entry[child];
		at = child;
	}
	r->entry[at] = moving;
}

/* The i-th best. Only as much is sorted as is asked for. */
static const struct candidate *ranked(struct ranking *r, uint32_t i)
{
	while (r->count - r->left <= i) {
		struct candidate best = r->entry[0];
		r->entry[0] = r->entry[--r->left];
		r->entry[r->left] = best;
		if (r->left > 0)
			sift(r, 0);
	}
	return &r->entry[r->count - 1 - i];
}

static void rank_all(struct ranking *r, const float *logits, float temperature, uint32_t n)
{
	float largest = -INFINITY;
	for (uint32_t i = 0; i < n; i++)
		largest = logits[i] > largest ? logits[i] : largest;
	for (uint32_t i = 0; i < n; i++)
		r->entry[i] =
			(struct candidate){ number_exp((logits[i] - largest) / temperature), i };
	for (uint32_t i = 0; i < n; i++)
		r->whole += (double)r->entry[i].weight;
	r->count = r->left = n;
	for (uint32_t i = n / 2; i-- > 0;)
		sift(r, i);
}

static double uniform(const struct engine_sampling *s, uint32_t position)
{
	const uint32_t counter[4] = { position, s->choice, 0, 0 };
	const uint32_t key[2] = { (uint32_t)s->seed, (uint32_t)(s->seed >> 32) };
	uint32_t w[4];
	philox4x32(counter, key, w);
	return ((double)w[0] * 0x1p21 + (double)(w[1] >> 11)) * 0x1p-53;
}

/* How many of the best stay, and their total weight. */
static uint32_t keep(struct ranking *r, const struct engine_sampling *s, double *total)
{
	uint32_t most = s->top_k > 0 && s->top_k < r->count ? s->top_k : r->count, i;
	double sum = 0, whole = 0, least = (double)s->min_p * (double)ranked(r, 0)->weight;
	if (most == r->count)
		whole = r->whole;
	for (i = 0; most < r->count && i < most; i++)
		whole += (double)ranked(r, i)->weight;
	*total = whole;
	if (s->top_p >= 1 && s->min_p <= 0) /* nothing more to cut, so nothing more to sort */
		return most;
	for (i = 0; i < most; i++) {
		double w = (double)ranked(r, i)->weight;
		if (i > 0 && ((s->top_p < 1 && sum >= (double)s->top_p * whole) || w < least))
			break;
		sum += w;
	}
	*total = sum;
	return i;
}

uint32_t engine_sample(const float *logits, uint32_t vocab, uint32_t tokens_real,
		       const struct engine_sampling *s, uint32_t position, void *scratch)
{
	uint32_t n = tokens_real > 0 && tokens_real < vocab ? tokens_real : vocab, best = 0;
	struct ranking r = { .entry = scratch };
	double total, sum = 0;
	if (!(s->temperature > 0)) {
		for (uint32_t i = 1; i < n; i++)
			best = logits[i] > logits[best] ? i : best;
		return best;
	}
	rank_all(&r, logits, s->temperature, n);
	uint32_t kept = keep(&r, s, &total);
	double target = uniform(s, position) * total;
	for (uint32_t i = 0; i < kept; i++) {
		sum += (double)ranked(&r, i)->weight;
		if (sum > target)
			return ranked(&r, i)->id;
	}
	return ranked(&r, kept - 1)->id;
}
