/* Sampling a token: a pure function of logits, parameters and position.
 *
 * Order: ids that are not allowed are out; temperature; top_k; top_p; min_p; then the inverse of
 * the cumulative distribution over the kept ids in the order (weight descending, id ascending).
 *
 * The weight of an id is e^((logit - largest) / temperature), an f32 in [0, 1], and 1 for the best.
 * It counts in whole units of 2^-40, so that sums are integers and do not depend on the order or
 * the machine that adds them. 2^24 ids fit into 64 bits; an id below 10^-12 of the best is never
 * drawn. With T the sum over the kept ids and r = w0 * 2^32 + w1, the first words of Philox4x32-10
 * with key = seed (low, high) and counter = (position, choice, 0, 0), the id drawn is the first at
 * which the running sum exceeds floor(r * T / 2^64). Words w2 and w3 are kept for watermarks.
 *
 * Sampling rarely needs more than the best ids, so sorting is lazy: weights are counted by their
 * binary exponent, and ids are collected and sorted one band of exponents at a time. */
#include "engine/sample.h"
#include "engine/engine_in.h"
#include "base/philox.h"

#include "kernels/number.h"

#include <math.h>

#define BAND 32     /* ids that a band has at least, while there are more */
#define OUT (-1.0f) /* the weight of what is not allowed */

/* id[0, begin) are ranked, best first; the band [begin, end) holds a heap of `left`, and behind it
 * its ranked ones, best last. */
struct ranking {
	float *weight;     /* [n] unnormalised probability, or OUT */
	uint32_t *id;      /* [n] */
	uint32_t n, count; /* all; those allowed */
	uint32_t begin, end, left;
	uint32_t of[256];   /* how many weights have this exponent */
	uint32_t exponents; /* those below are not yet collected */
	uint64_t whole;     /* weight of all, in units */
};

static bool before(const struct ranking *r, uint32_t a, uint32_t b)
{
	return r->weight[a] != r->weight[b] ? r->weight[a] > r->weight[b] : a < b;
}

static void sift(struct ranking *r, uint32_t at)
{
	uint32_t *heap = r->id + r->begin, moving = heap[at];
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= r->left)
			break;
		if (child + 1 < r->left && before(r, heap[child + 1], heap[child]))
			child++;
		if (!before(r, heap[child], moving))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moving;
}

static void pop(struct ranking *r)
{
	uint32_t *heap = r->id + r->begin, best = heap[0];
	heap[0] = heap[--r->left];
	heap[r->left] = best;
	if (r->left > 0)
		sift(r, 0);
}

/* Put the finished band in order, and collect the next one. */
static void collect(struct ranking *r)
{
	uint32_t last = r->exponents, found = 0;
	while (r->left > 0)
		pop(r);
	for (uint32_t i = r->begin, k = r->end; i + 1 < k; i++) {
		uint32_t moving = r->id[--k];
		r->id[k] = r->id[i];
		r->id[i] = moving;
	}
	while (r->exponents > 0 && found < BAND)
		found += r->of[--r->exponents];
	uint32_t low = r->exponents << 23, span = (last - r->exponents) << 23;
	r->begin = r->end;
	for (uint32_t i = 0; i < r->n; i++) {
		if (number_bits(r->weight[i]) - low < span)
			r->id[r->end++] = i;
	}
	r->left = found;
	for (uint32_t i = found / 2; i-- > 0;)
		sift(r, i);
}

/* The id of rank i < count. Only as much is sorted as is asked for. */
static uint32_t ranked(struct ranking *r, uint32_t i)
{
	while (r->end <= i)
		collect(r);
	while (i >= r->begin && r->end - r->left <= i)
		pop(r);
	return i < r->begin ? r->id[i] : r->id[r->begin + (r->end - 1 - i)];
}

static uint64_t units_at(struct ranking *r, uint32_t i)
{
	return number_to_units(r->weight[ranked(r, i)]);
}

static bool is_allowed(const uint64_t *allowed, uint32_t id)
{
	return allowed == NULL || (allowed[id / 64] >> (id % 64) & 1) != 0;
}

/* Of the allowed ones, NaN passed over; lowest id among equals. UINT32_MAX: all are NaN. */
static uint32_t largest_of(const float *logits, const uint64_t *allowed, uint32_t n)
{
	uint32_t best = UINT32_MAX;
	for (uint32_t i = 0; i < n; i++) {
		if (allowed != NULL && allowed[i / 64] == 0) {
			i |= 63;
			continue;
		}
		if (is_allowed(allowed, i) &&
		    (best == UINT32_MAX ? !isnan(logits[i]) : logits[i] > logits[best]))
			best = i;
	}
	return best;
}

/* The same, faster: the largest of all is usually allowed. */
static uint32_t largest_fast(const struct kernels *k, const float *logits, const uint64_t *allowed,
			     uint32_t n)
{
	uint32_t best = k != NULL ? k->argmax(logits, n) : UINT32_MAX;
	if (best == UINT32_MAX || isnan(logits[best]) || !is_allowed(allowed, best))
		best = largest_of(logits, allowed, n);
	return best;
}

/* If all allowed logits are NaN, the first of them; the caller sees that it is NaN. */
static uint32_t best_of(const struct kernels *k, const float *logits, const uint64_t *allowed,
			uint32_t n)
{
	uint32_t best = largest_fast(k, logits, allowed, n);
	for (uint32_t i = 0; best == UINT32_MAX && i < n; i++) {
		if (is_allowed(allowed, i))
			best = i;
	}
	return best == UINT32_MAX ? 0 : best;
}

/* Weights of those allowed, in place or not; OUT for the others. */
static void weigh_masked(float *weight, const float *logits, const uint64_t *allowed, uint32_t n,
			 float largest, float temperature)
{
	for (uint32_t i = 0; i < n; i++)
		weight[i] = is_allowed(allowed, i) ? number_exp((logits[i] - largest) / temperature)
						   : OUT;
}

static bool is_sparse(const uint64_t *allowed, uint32_t n)
{
	uint32_t count = 0;
	for (uint32_t i = 0; allowed != NULL && i <= (n - 1) / 64; i++)
		count += (uint32_t)__builtin_popcountll(allowed[i]);
	return allowed != NULL && count < n / 32;
}

/* Compute the weights, their sum and the counts of their exponents; one by one where few are
 * allowed. */
static void weigh(struct ranking *r, const struct kernels *k, const float *logits,
		  const uint64_t *allowed, float largest, float temperature)
{
	if (k == NULL || is_sparse(allowed, r->n))
		weigh_masked(r->weight, logits, allowed, r->n, largest, temperature);
	else
		k->weigh(logits, r->n, largest, temperature, r->weight);
	for (uint32_t i = 0; i < r->n; i++) {
		if (!is_allowed(allowed, i)) {
			r->weight[i] = OUT;
			continue;
		}
		r->whole += number_to_units(r->weight[i]);
		r->of[number_bits(r->weight[i]) >> 23 & 255]++;
		r->count++;
	}
	r->exponents = 256;
}

/* A whole number from 0 to below total. */
static uint64_t target_below(uint64_t total, const struct engine_sampling *s, uint32_t position)
{
	const uint32_t counter[4] = { position, s->choice, 0, 0 };
	const uint32_t key[2] = { (uint32_t)s->seed, (uint32_t)(s->seed >> 32) };
	uint32_t w[4];
	philox_block(key, counter, w);
	uint64_t drawn = (uint64_t)w[0] << 32 | w[1];
	return (uint64_t)((unsigned __int128)drawn * total >> 64);
}

/* The least whole number that is not below p * whole, for p in (0, 1): p is a fraction of a power
 * of two, and the product is exact. */
static uint64_t share_of(float p, uint64_t whole)
{
	uint32_t bits = number_bits(p), exponent = bits >> 23, normal = exponent > 0;
	unsigned __int128 product = (bits & 0x7fffffu) | normal << 23;
	uint32_t shift = 149 - (exponent - normal);
	product *= whole;
	if (shift > 127)
		return product > 0;
	return (uint64_t)((product + (((unsigned __int128)1 << shift) - 1)) >> shift);
}

/* How many of the best stay, and their total weight. */
static uint32_t keep(struct ranking *r, const struct engine_sampling *s, uint64_t *total)
{
	uint32_t most = s->top_k > 0 && s->top_k < r->count ? s->top_k : r->count, i;
	bool by_sum = s->top_p > 0 && s->top_p < 1;
	uint64_t sum = 0, whole = most == r->count ? r->whole : 0, enough;
	for (i = 0; most < r->count && i < most; i++)
		whole += units_at(r, i);
	*total = whole;
	if (!by_sum && !(s->min_p > 0)) /* nothing more to cut, so nothing more to sort */
		return most;
	enough = by_sum ? share_of(s->top_p, whole) : UINT64_MAX;
	for (i = 0; i < most; i++) {
		float w = r->weight[ranked(r, i)];
		if (i > 0 && (sum >= enough || w < s->min_p)) /* the best has 1 */
			break;
		sum += number_to_units(w);
	}
	*total = sum;
	return i;
}

uint32_t engine_sample_draw(const struct kernels *k, const float *logits, const uint64_t *allowed,
			    uint32_t n, const struct engine_sampling *s, uint32_t position,
			    float *weight, uint32_t *id)
{
	struct ranking r = { .weight = weight, .id = id, .n = n };
	uint64_t total, sum = 0;
	uint32_t best = best_of(k, logits, allowed, n);
	if (!(s->temperature > 0) || id == NULL || !number_is_finite(logits[best]))
		return best;
	weigh(&r, k, logits, allowed, logits[best], s->temperature);
	if (r.count == 0)
		return 0;
	uint32_t kept = keep(&r, s, &total);
	uint64_t target = target_below(total, s, position);
	for (uint32_t i = 0; i < kept; i++) {
		sum += units_at(&r, i);
		if (sum > target)
			return ranked(&r, i);
	}
	return ranked(&r, kept - 1);
}

uint32_t engine_sample(const struct engine *m, const float *logits, uint32_t vocab,
		       uint32_t tokens_real, const struct engine_sampling *s, uint32_t position,
		       void *scratch)
{
	const struct kernels *k = m != NULL ? m->kernels : NULL;
	uint32_t n = tokens_real > 0 && tokens_real < vocab ? tokens_real : vocab;
	uint32_t *id = scratch != NULL ? (uint32_t *)scratch + n : NULL; /* none at temperature 0 */
	return engine_sample_draw(k, logits, NULL, n, s, position, scratch, id);
}
