/* Buckets of addresses, in memory that does not grow: sets of four places each, and an address has
 * one of the four of its set. Where another needs it, the one whose bucket is fullest goes, which
 * loses the least: a full one is as good as none. Which set an address has is keyed, so that nobody
 * can choose addresses that push a certain one out. */
#include "access/live.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 4
#define SETS 8192 /* 1.5 MiB; 32,768 addresses at once */
#define LOCKS 64

struct place {
	uint8_t address[16];
	bool used;
	struct access_bucket bucket;
};

struct access_addresses {
	uint8_t key[crypto_shorthash_KEYBYTES];
	pthread_mutex_t lock[LOCKS];
	struct place place[SETS][WAYS];
};

int access_addresses_open(struct access_addresses **out, const struct env *env, struct err *e)
{
	struct access_addresses *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ERR_NOMEM, "out of memory for addresses");
	env_random(env, m->key, sizeof m->key);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&m->lock[i], NULL);
	*out = m;
	return 0;
}

void access_addresses_close(struct access_addresses *m)
{
	for (size_t i = 0; m && i < LOCKS; i++)
		pthread_mutex_destroy(&m->lock[i]);
	free(m);
}

/* Whoever has one IPv6 address has the 2^64 beside it. */
static void client_of(const uint8_t address[16], uint8_t out[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	memcpy(out, address, 16);
	if (memcmp(address, mapped, sizeof mapped) != 0)
		memset(out + 8, 0, 8);
}

static struct place *place_in(struct place set[WAYS], const uint8_t client[16], uint64_t rate,
			      int64_t now_us)
{
	struct place *best = &set[0];
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < WAYS; i++) {
		uint64_t full_us = 0;
		if (set[i].used && memcmp(set[i].address, client, 16) == 0)
			return &set[i];
		if (set[i].used)
			(void)access_bucket_left(&set[i].bucket, rate, now_us, &full_us);
		if (full_us < least) {
			best = &set[i];
			least = full_us;
		}
	}
	*best = (struct place){ .used = true };
	memcpy(best->address, client, 16);
	return best;
}

uint64_t access_addresses_take(struct access_addresses *m, const uint8_t address[16], uint64_t rate,
			       int64_t now_us)
{
	uint8_t client[16], hash[crypto_shorthash_BYTES];
	uint64_t n;
	client_of(address, client);
	crypto_shorthash(hash, client, sizeof client, m->key);
	memcpy(&n, hash, sizeof n);
	size_t set = (size_t)(n % SETS);
	pthread_mutex_t *lock = &m->lock[set % LOCKS];
	pthread_mutex_lock(lock);
	struct place *p = place_in(m->place[set], client, rate, now_us);
	uint64_t wait = access_bucket_take(&p->bucket, rate, now_us);
	pthread_mutex_unlock(lock);
	return wait;
}
