/* Random values for models of a published shape.
 *
 * For every width and spread there are MODEL_SAMPLES samples of 16 rows; each panel of 16 rows of a
 * matrix repeats one of them, chosen by seed, matrix and panel. So a keeper can pack the samples
 * once and copy them as fast as memory, and values do not depend on threads. They have a standard
 * deviation near 1/sqrt(columns), a power of two; norm gains are 1, other vectors are small. */
#ifndef MODEL_SYNTHETIC_H
#define MODEL_SYNTHETIC_H

#include "model/weights.h"

#define MODEL_SAMPLES 64

/* What the values of a matrix or a vector depend on beside the seed: the i-th of the number-th item
 * of the plan (from 1). Second vectors of an expert have the complement. */
static inline uint64_t model_sample_key(uint64_t number, uint64_t i) { return (number << 20) + i; }

/* The sample that a panel of the matrix with this key repeats. A last panel that is not full is the
 * first rows of sample 0 instead. */
uint32_t model_sample_pick(uint64_t seed, uint64_t key, uint32_t panel);
/* The spread of a matrix with so many columns: values are about 2^-exponent. */
unsigned model_sample_exponent(enum weight_class class, uint32_t columns);
/* A sample in f32, [16][columns]. */
void model_sample_rows(uint64_t seed, uint32_t sample, unsigned exponent, uint32_t columns,
		       float *value);
/* As MXFP4: codes [16][columns/2], then scales [16][columns/32]. */
void model_sample_mxfp4(uint64_t seed, uint32_t sample, unsigned exponent, uint32_t columns,
			unsigned char *bytes);
/* As E4M3: codes [16][columns] of magnitudes near 1, for blocks whose scale is 2^-exponent. */
void model_sample_e4m3(uint64_t seed, uint32_t sample, uint32_t columns, unsigned char *bytes);
/* A vector [n]; gain: of a norm. */
void model_sample_floats(uint64_t seed, uint64_t key, bool gain, size_t n, float *out);

#endif
