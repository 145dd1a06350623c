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
	p->at_work++;
	p->account[account].at_work++;
}

void pace_end(struct pace *p, unsigned account)
{
	check(p->at_work > 0 && p->account[account].at_work > 0);
	p->at_work--;
	p->account[account].at_work--;
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

int64_t pace_wait_us(struct pace *p, unsigned account, int64_t now_us)
{
	bool company = p->at_work > p->account[account].at_work;
	int64_t over = company ? settle(p, account, now_us) - PACE_BURST_US : 0;
	return over > 0 ? (over * PACE_SHARE + p->cores - 1) / p->cores : 0;
}
