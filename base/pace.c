#include "base/pace.h"

#include "base/check.h"

#include <stdbool.h>

void pace_init(struct pace *p, uint64_t seed, unsigned cores)
{
	p->seed = seed;
	p->cores = cores ? cores : 1;
}

/* A multiplicative hash is enough: whoever finds another's account has both wait. */
unsigned pace_account(const struct pace *p, const void *key, size_t len)
{
	uint64_t h = p->seed;
	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const unsigned char *)key)[i]) * 0x9e3779b97f4a7c15u;
	return (unsigned)(h >> 32) & (PACE_ACCOUNTS - 1);
}

void pace_begin(struct pace *p, unsigned account, int64_t now_us)
{
	if (p->account[account].at_work++ == 0)
		p->account[account].from_us = now_us;
	if (p->account[account].place)
		return;
	p->at[p->busy++] = (uint16_t)account;
	p->account[account].place = (uint16_t)p->busy;
}

void pace_end(struct pace *p, unsigned account, int64_t now_us)
{
	check(p->account[account].at_work > 0);
	if (--p->account[account].at_work > 0)
		return;
	int64_t took = now_us - p->account[account].from_us;
	p->account[account].until_us = now_us + (took < PACE_LINGER_US ? took : PACE_LINGER_US);
}

/* No request of it is worked on, and none was of late. */
static bool is_over(const struct pace *p, unsigned account, int64_t now_us)
{
	return !p->account[account].at_work && now_us >= p->account[account].until_us;
}

static void leave(struct pace *p, unsigned account)
{
	uint16_t place = p->account[account].place, last = p->at[--p->busy];
	p->at[place - 1] = last;
	p->account[last].place = place;
	p->account[account].place = 0;
}

/* What it owes by now. */
static int64_t settle(struct pace *p, unsigned account, int64_t now_us)
{
	int64_t *debt = &p->account[account].debt_us, *since = &p->account[account].since_us;
	int64_t past = now_us > *since ? now_us - *since : 0;
	int64_t paid =
		past > PACE_DEBT_US * PACE_SHARE ? PACE_DEBT_US : past * p->cores / PACE_SHARE;
	*debt = *debt > paid ? *debt - paid : 0;
	*since = *debt ? *since + paid * PACE_SHARE / p->cores
		       : now_us; /* the rest of a division stays */
	return *debt;
}

void pace_spend(struct pace *p, unsigned account, int64_t cpu_us, int64_t now_us)
{
	int64_t debt = settle(p, account, now_us) + cpu_us;
	debt = debt < PACE_DEBT_US ? debt : PACE_DEBT_US;
	p->account[account].debt_us = debt > 0 ? debt : 0;
}

/* What the one owes that owes least, of the others at work; -1: there are none. */
static int64_t least_of_others(struct pace *p, unsigned account, int64_t now_us)
{
	int64_t least = -1;
	for (unsigned i = 0; i < p->busy && least != 0;) {
		unsigned other = p->at[i];
		if (is_over(p, other, now_us)) {
			leave(p, other); /* the last one takes its place */
			continue;
		}
		int64_t debt = other == account ? least : settle(p, other, now_us);
		least = least < 0 || debt < least ? debt : least;
		i++;
	}
	return least;
}

int64_t pace_wait_us(struct pace *p, unsigned account, int64_t now_us)
{
	int64_t over = settle(p, account, now_us) - PACE_BURST_US;
	int64_t least = over > 0 ? least_of_others(p, account, now_us) : -1;
	if (least < 0 || over <= least)
		return 0;
	return ((over - least) * PACE_SHARE + p->cores - 1) / p->cores;
}
