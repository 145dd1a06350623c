/* draw_ids against a slow truth: all ids sorted, whole numbers summed one by one. */
#include "base/philox.h"
#include "kernels/number.h"
#include "tests/gpu/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	float weight;
	uint32_t id;
};

static int better(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static uint64_t share(float p, uint64_t whole)
{
	int exponent; /* p is m * 2^(exponent - 24), m whole */
	uint64_t m = (uint64_t)ldexpf(frexpf(p, &exponent), 24);
	unsigned __int128 product = (unsigned __int128)m * whole, one = 1;
	int shift = 24 - exponent;
	return shift > 127 ? 1 : (uint64_t)((product + (one << shift) - 1) >> shift);
}

/* How many of the ranked stay, and their units. */
static uint32_t cut(const struct device_draw *d, const struct entry *e, uint32_t count, uint64_t *total)
{
	uint64_t whole = 0, enough = UINT64_MAX;
	uint32_t most = d->top_k > 0 && d->top_k < count ? d->top_k : count, i;
	for (i = 0; i < most; i++)
		whole += number_to_units(e[i].weight);
	if (d->top_p > 0 && d->top_p < 1)
		enough = share(d->top_p, whole);
	*total = 0;
	for (i = 0; i < most; i++) {
		if (i > 0 && (*total >= enough || (d->min_p > 0 && e[i].weight < d->min_p)))
			break;
		*total += number_to_units(e[i].weight);
	}
	return i;
}

static void adjust(const struct device_draw *d, const struct device_bias *bias,
		   const struct device_seen *seen, float *logit)
{
	for (uint32_t i = 0; i < d->biases; i++)
		logit[bias[i].id] += bias[i].bias;
	for (uint32_t i = 0; i < d->seens; i++) {
		float *x = &logit[seen[i].id];
		if (d->repetition != 0 && d->repetition != 1)
			*x = *x > 0 ? *x / d->repetition : *x * d->repetition;
		if (seen[i].drawn > 0) {
			*x -= d->presence;
			*x -= d->frequency * (float)seen[i].drawn;
		}
	}
}

/* Of adjusted logits. */
static uint32_t draw(struct parity *p, const struct device_draw *d, const uint64_t *allowed,
		     const float *logit, uint32_t n)
{
	struct entry *e = parity_host(p, n * sizeof *e);
	uint32_t count = 0, best = UINT32_MAX, i, w[4];
	uint64_t total, sum = 0;
	for (i = 0; i < n; i++) {
		if (allowed && !(allowed[i / 64] >> i % 64 & 1))
			continue;
		if (!isnan(logit[i]) && (best == UINT32_MAX || logit[i] > logit[best]))
			best = i;
	}
	if (best == UINT32_MAX || !(d->temperature > 0))
		return best;
	for (i = 0; i < n; i++) {
		if (!allowed || (allowed[i / 64] >> i % 64 & 1))
			e[count++] = (struct entry){ number_exp((logit[i] - logit[best]) / d->temperature), i };
	}
	qsort(e, count, sizeof *e, better);
	cut(d, e, count, &total);
	philox_block((uint32_t[2]){ (uint32_t)d->seed, (uint32_t)(d->seed >> 32) },
		     (uint32_t[4]){ d->position, d->choice, 0, 0 }, w);
	uint64_t target = (uint64_t)((unsigned __int128)((uint64_t)w[0] << 32 | w[1]) * total >> 64);
	for (i = 0; (sum += number_to_units(e[i].weight)) <= target; i++)
		;
	return e[i].id;
}

struct drawing {
	uint32_t n, rows;
	float *logit; /* [rows][n] */
	struct device_draw *d;
	uint32_t *truth;
};

/* Coarse logits tie often; a few are infinitely small or no number. */
static void make_logits(struct parity *p, float *x, uint32_t n)
{
	uint32_t kind = parity_below(p, 4);
	for (uint32_t i = 0; i < n; i++) {
		x[i] = parity_normal(p) * (kind == 0 ? 30 : 3);
		if (kind == 1)
			x[i] = rintf(x[i]);
		if (kind == 2 && parity_below(p, 9) == 0)
			x[i] = parity_below(p, 2) ? -INFINITY : NAN;
	}
	x[parity_below(p, n)] = 0;
	if (isnan(x[0]))
		x[0] = 1;
}

static float one_of(struct parity *p, float a, float b, float c, float d)
{
	const float choice[] = { a, b, c, d };
	return choice[parity_below(p, 4)];
}

static void make_draw(struct parity *p, struct drawing *all, uint32_t row)
{
	uint32_t n = all->n, words = (n + 63) / 64, biases = parity_below(p, 2) * 5;
	float *logit = all->logit + (size_t)row * n, *work = parity_host(p, n * sizeof *work);
	struct device_draw *d = &all->d[row];
	uint64_t *allowed = parity_host(p, words * sizeof *allowed);
	struct device_bias bias[5];
	struct device_seen *seen = parity_host(p, n * sizeof *seen);
	make_logits(p, logit, n);
	*d = (struct device_draw){ .temperature = one_of(p, 0, 0.3f, 1, 2.5f),
				   .top_p = one_of(p, 1, 0.9f, 0.1f, 0),
				   .min_p = one_of(p, 0, 0, 0.05f, 1.5f),
				   .repetition = one_of(p, 0, 1, 1.3f, 0.7f),
				   .presence = one_of(p, 0, 0, 0.5f, -1),
				   .frequency = one_of(p, 0, 0, 0.25f, 0.1f),
				   .top_k = parity_below(p, 2) * (1 + parity_below(p, 2 + n / 2)),
				   .position = parity_below(p, 1u << 30),
				   .choice = parity_below(p, 3),
				   .seed = (uint64_t)parity_below(p, UINT32_MAX) << 32 | parity_below(p, UINT32_MAX),
				   .biases = biases };
	if (row == 1) { /* a share of less than a unit, however many there are */
		d->temperature = 1;
		d->top_p = 1e-38f;
	}
	for (uint32_t i = 0; i < biases; i++)
		bias[i] = (struct device_bias){ parity_below(p, n), parity_normal(p) * 4 };
	for (uint32_t i = 0; d->repetition > 1 && i < n; i += 1 + parity_below(p, 40))
		seen[d->seens++] = (struct device_seen){ i, parity_below(p, 4) };
	for (uint32_t i = 0; i < n; i++)
		allowed[i / 64] |= (uint64_t)(parity_below(p, 3) > 0 || logit[i] == 0) << i % 64;
	bool masked = parity_below(p, 2) != 0;
	memcpy(work, logit, n * sizeof *work);
	adjust(d, bias, seen, work);
	all->truth[row] = draw(p, d, masked ? allowed : NULL, work, n);
	if (all->truth[row] == UINT32_MAX || isinf(logit[all->truth[row]]))
		all->truth[row] = UINT32_MAX;
	d->allowed = masked ? parity_input(p, "allowed", allowed, words * sizeof *allowed).at : NULL;
	d->bias = biases ? parity_input(p, "bias", bias, sizeof bias).at : NULL;
	d->seen = d->seens ? parity_input(p, "seen", seen, d->seens * sizeof *seen).at : NULL;
}

static void draw_rows(struct parity *p, uint32_t rows, uint32_t n)
{
	struct drawing all = { .n = n,
			       .rows = rows,
			       .logit = parity_host(p, (size_t)rows * n * sizeof(float)),
			       .d = parity_host(p, rows * sizeof(struct device_draw)),
			       .truth = parity_host(p, rows * sizeof(uint32_t)) };
	const struct device_batch batch = { .rows = rows, .wanted = rows };
	struct parity_buffer id = parity_output(p, "id", rows * sizeof(uint32_t));
	for (uint32_t i = 0; i < rows; i++)
		make_draw(p, &all, i);
	PARITY_RUN(p, draw_ids,
		   (&(struct draw_ids_args){
			   .batch = parity_input(p, "batch", &batch, sizeof batch).at,
			   .logits = parity_input(p, "logits", all.logit, (size_t)rows * n * 4).at,
			   .draw = parity_input(p, "draws", all.d, rows * sizeof *all.d).at,
			   .weight = parity_output(p, "weights", (size_t)rows * n * 4).at,
			   .id = id.at,
			   .stride = n,
			   .vocab = n,
			   .wanted_most = rows }));
	parity_fetch(p, &id);
	parity_equal(p, id.host, all.truth, id.bytes, "%u draws from %u", rows, n);
}

void parity_draw_ids(struct parity *p)
{
	static const uint32_t sizes[] = { 1, 2, 31, 64, 65, 257, 500, 1500 };
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		draw_rows(p, parity_pick(p, 24, 300), sizes[i]);
	if (p->large)
		draw_rows(p, 64, 151936);
}
