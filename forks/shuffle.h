/* Uniform random permutations of up to SHUFFLE_UNITS_MAX things, some millions a second: the inner
 * loop of every p-value. */
#ifndef FORKS_SHUFFLE_H
#define FORKS_SHUFFLE_H

#include "forks/draws.h"

#define SHUFFLE_UNITS_MAX 1024 /* six factors of at most 2^10 fit one 64-bit word */
#define SHUFFLE_BATCH 6
#define SHUFFLE_WORDS_MAX ((SHUFFLE_UNITS_MAX / SHUFFLE_BATCH + 2) & ~1)

/* Whether a word must be rejected for exact uniformity: `count` dice of top, top-1, ... sides were
 * drawn from it and left `low`. At most one word in 2^64 / top^count is. Source: Brackett-Rozinsky
 * and Lemire, "Batched Ranged Random Integer Generation", 2024. */
static inline int shuffle_refuses(uint64_t low, uint32_t top, uint32_t count)
{
	uint64_t product = 1;

	for (uint32_t i = 0; i < count; i++)
		product *= top - i;
	return low < product && low < -product % product;
}

/* One step of Fisher-Yates from the top: the upper half of word * top is a die in [0, top), the
 * lower half the next word. */
static inline uint64_t shuffle_step(uint64_t word, uint16_t *place, uint32_t top)
{
	unsigned __int128 wide = (unsigned __int128)word * top;
	uint32_t die = (uint32_t)(wide >> 64);
	uint16_t moved = place[die];

	place[die] = place[top - 1];
	place[top - 1] = moved;
	return (uint64_t)wide;
}

/* 0 if a word was rejected. All words are generated before the steps, so that the processor
 * overlaps the two. */
static inline int shuffle_try(struct philox *g, uint16_t *place, uint32_t n)
{
	uint64_t words[SHUFFLE_WORDS_MAX], word,
		most = (uint64_t)n * n * n * n * n * n; /* at most 2^60 */
	uint32_t top = n, used = 0, last;

	philox_fill(g, words, (n / SHUFFLE_BATCH + 2) & ~1u);
	for (uint32_t i = 0; i < n; i++)
		place[i] = (uint16_t)i;
	for (; top > SHUFFLE_BATCH; top -= SHUFFLE_BATCH) {
		word = shuffle_step(words[used++], place, top);
		word = shuffle_step(word, place, top - 1);
		word = shuffle_step(word, place, top - 2);
		word = shuffle_step(word, place, top - 3);
		word = shuffle_step(word, place, top - 4);
		word = shuffle_step(word, place, top - 5);
		if (word < most && shuffle_refuses(word, top, SHUFFLE_BATCH))
			return 0;
	}
	last = top;
	/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): at least two words are made */
	for (word = words[used]; top > 1; top--)
		word = shuffle_step(word, place, top);
	return !shuffle_refuses(word, last, last);
}

/* place[0..n) becomes a uniform random permutation of 0..n-1. 1 <= n <= SHUFFLE_UNITS_MAX. A
 * refused word repeats the whole. */
static inline void shuffle(struct philox *g, uint16_t *place, uint32_t n)
{
	while (!shuffle_try(g, place, n))
		;
}

#endif
