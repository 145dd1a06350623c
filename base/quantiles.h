/* Quantiles of measured times: any number of values in fixed memory, each kept to within 0.8 %. */
#ifndef BASE_QUANTILES_H
#define BASE_QUANTILES_H

#include <stdint.h>

#define QUANTILES_STEPS 64  /* within a power of two */
#define QUANTILES_POWERS 48 /* of two: microseconds up to nine years */

/* Zero-initialise. Not for several threads. */
struct quantiles {
	uint64_t count, most; /* most: the largest, exactly */
	double sum;
	uint64_t bucket[QUANTILES_POWERS][QUANTILES_STEPS];
};

void quantiles_add(struct quantiles *q, uint64_t value);
/* The smallest value that at least this share (0 to 1) of all is not above: the middle of its
 * bucket, at most the largest. 0 where there is none. */
double quantiles_at(const struct quantiles *q, double share);
double quantiles_mean(const struct quantiles *q); /* 0 where there is none */

#endif
