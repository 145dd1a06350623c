/* Philox4x32-10, a counter-based generator: draw number d of stream s is a pure function of (seed,
 * domain, s, d), so that any draw can be recomputed alone. domain says what a draw is for and keeps
 * the streams of one seed apart. Source: Salmon et al.,
 * "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

struct philox {
	uint32_t key[2], counter[4]; /* counter: block, draw, stream, domain */
};

static inline void philox_block(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
	uint32_t k0 = key[0], k1 = key[1], x0 = counter[0], x1 = counter[1], x2 = counter[2],
		 x3 = counter[3];

	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)0xd2511f53u * x0, b = (uint64_t)0xcd9e8d57u * x2;

		x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
		x1 = (uint32_t)b;
		x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
		x3 = (uint32_t)a;
		k0 += 0x9e3779b9u;
		k1 += 0xbb67ae85u;
	}
	out[0] = x0;
	out[1] = x1;
	out[2] = x2;
	out[3] = x3;
}

static inline struct philox philox_open(uint64_t seed, uint32_t domain, uint32_t stream,
					uint32_t draw)
{
	struct philox g = { .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
			    .counter = { 0, draw, stream, domain } };

	return g;
}

/* The next count words; count is even. */
static inline void philox_fill(struct philox *g, uint64_t *words, uint32_t count)
{
	for (uint32_t i = 0; i < count; i += 2) {
		uint32_t out[4];

		philox_block(g->key, g->counter, out);
		g->counter[0]++;
		words[i] = (uint64_t)out[1] << 32 | out[0];
		words[i + 1] = (uint64_t)out[3] << 32 | out[2];
	}
}

/* A single word: the first half of the next block. */
static inline uint64_t philox_next(struct philox *g)
{
	uint64_t words[2];

	philox_fill(g, words, 2);
	return words[0];
}

#endif
