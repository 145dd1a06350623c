/* Inner products of many int16 vectors: the inner loop of what matches units. Exact, so that both
 * forms give the same on every machine. Private to forks/. */
#ifndef FORKS_DOTS_H
#define FORKS_DOTS_H

#include <stdbool.h>
#include <stdint.h>

/* Vectors of `width` numbers, a multiple of 16, [rows][stride]. */
struct dots_side {
	const int16_t *v;
	uint32_t rows, stride;
};

/* out[i * b.rows + j] = sum over k < width of a[i][k] * b[j][k]. The caller's numbers keep the sums
 * below 2^31 (unit vectors of sketch.h do). */
void fork_dots(const struct dots_side *a, const struct dots_side *b, uint32_t width, int32_t *out);

/* The sum over i of a[i] * b[i]; as many rows. Any eight of these products add up to less than
 * 2^31. */
int64_t fork_dots_trace(const struct dots_side *a, const struct dots_side *b, uint32_t width);

/* Where |v| is largest, the first of them; n > 0. */
uint32_t fork_dots_largest(const int32_t *v, uint32_t n);

/* The forms, for tests; the functions above pick. */
bool fork_dots_has_vnni(void);
void fork_dots_plain(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		     int32_t *out);
void fork_dots_avx2(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		    int32_t *out);
void fork_dots_vnni(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		    int32_t *out);
int64_t fork_dots_trace_plain(const struct dots_side *a, const struct dots_side *b, uint32_t width);
int64_t fork_dots_trace_avx2(const struct dots_side *a, const struct dots_side *b, uint32_t width);
uint32_t fork_dots_largest_plain(const int32_t *v, uint32_t n);
uint32_t fork_dots_largest_avx2(const int32_t *v, uint32_t n);

#endif
