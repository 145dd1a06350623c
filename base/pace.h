/* Budgets of processor time: what clients have others' threads do for them, beside what is shared
 * out already. Each has an account, in debt by what was spent for it; a share of the machine pays
 * that back. Who owes a burst more than somebody else whose requests are worked on is to wait:
 * nobody waits for nobody, nor for one that has as much done.
 *
 * Accounts are found by a keyed hash, and two may share one: memory is bounded whoever comes. Not
 * synchronised; times are those of any steady clock. */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_ACCOUNTS 4096u /* a power of two */
#define PACE_SHARE 20       /* of all cores, this part is one client's */
#define PACE_BURST_US 10000 /* that a client may owe without waiting: an ordinary request */
/* Of debt, the most: a client that has asked for more than that at once waits no longer for it. */
#define PACE_DEBT_US 200000
/* After its last answer a client counts as one whose requests are worked on for as long as that
 * took, and for so long at most: it reads, and asks again. Else the others would do all at once
 * between two of its requests. */
#define PACE_LINGER_US 100000

struct pace {
	uint64_t seed;
	unsigned cores; /* of the machine */
	unsigned busy;  /* accounts of which requests are worked on, or were, and which they are */
	uint16_t at[PACE_ACCOUNTS];
	struct {
		int64_t debt_us, since_us;
		int64_t from_us;  /* when the first of those at work began */
		int64_t until_us; /* it counts as being worked on, where at_work is 0 */
		unsigned at_work;
		uint16_t place; /* in at[], from 1 on; 0: it is not there */
	} account[PACE_ACCOUNTS];
};

/* p is zeroed but for what is given here. */
void pace_init(struct pace *p, uint64_t seed, unsigned cores);

/* The account of the one that these bytes stand for. */
unsigned pace_account(const struct pace *p, const void *key, size_t len);

/* A request of it is worked on from here on, or no longer. */
void pace_begin(struct pace *p, unsigned account, int64_t now_us);
void pace_end(struct pace *p, unsigned account, int64_t now_us);

/* So much was spent for it; negative: less than had been said. */
void pace_spend(struct pace *p, unsigned account, int64_t cpu_us, int64_t now_us);

/* How long it is to wait before the next is done for it; 0: not at all. */
int64_t pace_wait_us(struct pace *p, unsigned account, int64_t now_us);

#endif
