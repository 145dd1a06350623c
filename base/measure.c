#include "base/measure.h"

/* Bounds grow by steps of 1, 2, 5 or so: a quantile read from them is off by less than a factor of
 * two, and a scrape of all of them stays small. */
const struct measure_scale measure_moments = {
	.per = 1e6,
	.bounds = 16,
	.bound = { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 75000, 100000, 250000,
		   500000, 1000000, 2500000, 10000000 },
};

const struct measure_scale measure_waits = {
	.per = 1e6,
	.bounds = 22,
	.bound = { 1000,      2500,      5000,      10000,     25000,    50000,
		   75000,     100000,    250000,    500000,    750000,   1000000,
		   2500000,   5000000,   10000000,  20000000,  40000000, 80000000,
		   160000000, 320000000, 640000000, 1200000000 },
};

const struct measure_scale measure_tokens = {
	.per = 1,
	.bounds = 19,
	.bound = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000,
		   100000, 200000, 500000, 1000000 },
};

const struct measure_scale measure_batches = {
	.per = 1,
	.bounds = 11,
	.bound = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 },
};

void measure_note(struct measure_histogram *h, const struct measure_scale *scale, int64_t value)
{
	uint64_t v = value > 0 ? (uint64_t)value : 0;
	unsigned i = 0;
	while (i < scale->bounds && v > scale->bound[i])
		i++;
	atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum, v, memory_order_relaxed);
}
