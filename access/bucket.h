/* Private: a bucket that fills by so many a minute, and holds as many. Pure; the lock is its
 * owner's. */
#ifndef ACCESS_BUCKET_H
#define ACCESS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise: full. In units of which one thing has 60,000,000, so that a microsecond fills it
 * by `rate` of them, exactly. */
struct access_bucket {
	int64_t level, at_us;
	bool begun;
};

/* rate: a minute, 1 to ACCESS_RATE_MAX. now_us: a steady clock's; one that stands fills nothing. */

/* Take one, if it is there: 0, or how long to wait until it is. */
uint64_t access_bucket_take(struct access_bucket *b, uint64_t rate, int64_t now_us);
/* 0 while anything is in it, or how long to wait. */
uint64_t access_bucket_wait_us(struct access_bucket *b, uint64_t rate, int64_t now_us);
/* Take n, which may leave less than nothing: what came of a request is known after it. */
void access_bucket_owe(struct access_bucket *b, uint64_t rate, uint64_t n, int64_t now_us);
/* Whole things in it, and until it is full. */
uint64_t access_bucket_left(struct access_bucket *b, uint64_t rate, int64_t now_us,
			    uint64_t *full_us);

#endif
