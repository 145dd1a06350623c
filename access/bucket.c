/* Of any stretch of time that lasts T minutes, a bucket of N a minute gives at most N + N T: what
 * it held when the stretch began, and what came in. */
#include "access/bucket.h"

#define ONE 60000000 /* microseconds of a minute: so a rate a minute is one a microsecond */
#define DEBT_MAX 60  /* minutes: what is owed beyond it is forgotten */

static void fill(struct access_bucket *b, uint64_t rate, int64_t now_us)
{
	int64_t full = (int64_t)rate * ONE, passed = now_us - b->at_us;
	if (!b->begun || passed < 0) {
		b->level = b->begun ? b->level : full;
		b->at_us = b->begun ? b->at_us : now_us;
		b->begun = true;
		return;
	}
	b->at_us = now_us;
	int64_t most = (int64_t)ONE * (DEBT_MAX + 1);
	b->level += (int64_t)rate * (passed < most ? passed : most);
	b->level = b->level < full ? b->level : full;
}

static uint64_t until(const struct access_bucket *b, uint64_t rate, int64_t level)
{
	int64_t missing = level - b->level;
	return missing <= 0 ? 0 : ((uint64_t)missing + rate - 1) / rate;
}

uint64_t access_bucket_take(struct access_bucket *b, uint64_t rate, int64_t now_us)
{
	fill(b, rate, now_us);
	uint64_t wait = until(b, rate, ONE);
	if (!wait)
		b->level -= ONE;
	return wait;
}

uint64_t access_bucket_wait_us(struct access_bucket *b, uint64_t rate, int64_t now_us)
{
	fill(b, rate, now_us);
	return until(b, rate, 1);
}

void access_bucket_owe(struct access_bucket *b, uint64_t rate, uint64_t n, int64_t now_us)
{
	fill(b, rate, now_us);
	int64_t least = -(int64_t)rate * ONE * DEBT_MAX;
	uint64_t room = (uint64_t)(b->level - least) / ONE;
	b->level = n < room ? b->level - (int64_t)n * ONE : least;
}

uint64_t access_bucket_left(struct access_bucket *b, uint64_t rate, int64_t now_us,
			    uint64_t *full_us)
{
	fill(b, rate, now_us);
	*full_us = until(b, rate, (int64_t)rate * ONE);
	return b->level > 0 ? (uint64_t)b->level / ONE : 0;
}
