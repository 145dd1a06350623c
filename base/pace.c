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

void pace_begin(struct pace *p, unsigned account)
{
	if (p->account[account].at_work++ > 0)
		return;
	p->account[account].place = (uint16_t)p->busy;
	p->at[p->busy++] = (uint16_t)account;
}

void pace_end(struct pace *p, unsigned account)
{
	check(p->busy > 0 && p->account[account].at_work > 0);
	if (--p->account[account].at_work > 0)
		return;
	uint16_t place = p->account[account].place, last = p->at[--p->busy];
	p->at[place] = last;
	p->account[last].place = place;
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

/* What the one owes that owes least, of the others at work. */
static int64_t least_of_others(struct pace *p, unsigned account, int64_t now_us)
{
	int64_t least = PACE_DEBT_US;
	for (unsigned i = 0; i < p->busy && least > 0; i++) {
		int64_t debt = p->at[i] == account ? least : settle(p, p->at[i], now_us);
		least = debt < least ? debt : least;
	}
	return least;
}

int64_t pace_wait_us(struct pace *p, unsigned account, int64_t now_us)
{
	bool alone = p->busy == (p->account[account].at_work > 0 ? 1 : 0);
	int64_t over = alone ? 0 : settle(p, account, now_us) - PACE_BURST_US;
	if (over > 0)
		over -= least_of_others(p, account, now_us);
	return over > 0 ? (over * PACE_SHARE + p->cores - 1) / p->cores : 0;
}
