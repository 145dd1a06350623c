#include "engine/state_pool.h"
#include "engine/backend.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS_EACH 3u /* of an open sequence */

enum state_use { STATE_FREE, STATE_HELD, STATE_SNAPSHOT };

struct slot {
	enum state_use use;
	uint32_t pins;
	bool used; /* a snapshot that was gone on from */
	struct cache_key page;
	uint32_t chain;        /* next of a bucket, or of the free ones */
	uint32_t older, newer; /* of snapshots */
};

struct state_pool {
	pthread_mutex_t lock;
	struct backend *backend;
	uint32_t bound, made, sequences, held, snapshots;
	uint32_t free, oldest, newest;
	struct slot *slot; /* [bound] */
	uint32_t *bucket;  /* [buckets] */
	uint32_t buckets;  /* a power of two */
};

int state_pool_open(struct state_pool **out, struct backend *b, uint32_t slots_max, struct err *e)
{
	struct state_pool *p = calloc(1, sizeof *p);
	*out = p;
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "slots of state");
	pthread_mutex_init(&p->lock, NULL);
	p->backend = b;
	p->bound = slots_max;
	p->free = p->oldest = p->newest = STATE_NONE;
	for (p->buckets = 16; p->buckets < slots_max;)
		p->buckets *= 2;
	p->slot = calloc(slots_max, sizeof *p->slot);
	p->bucket = malloc(p->buckets * sizeof *p->bucket);
	if (p->slot == NULL || p->bucket == NULL) {
		state_pool_close(p);
		*out = NULL;
		return err_set(e, ERR_NOMEM, "slots of state");
	}
	for (uint32_t i = 0; i < p->buckets; i++)
		p->bucket[i] = STATE_NONE;
	return 0;
}

void state_pool_close(struct state_pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->slot);
	free(p->bucket);
	free(p);
}

/* ---- memory ---- */

static void free_add(struct state_pool *p, uint32_t i)
{
	p->slot[i].use = STATE_FREE;
	p->slot[i].chain = p->free;
	p->free = i;
}

static int slots_make(struct state_pool *p, uint32_t count, struct err *e)
{
	TRY(p->backend->states(p->backend, count, e));
	for (uint32_t i = count; i-- > 0;)
		free_add(p, p->made + i);
	p->made += count;
	return 0;
}

int state_pool_enter(struct state_pool *p, struct err *e)
{
	int rc = 0;
	pthread_mutex_lock(&p->lock);
	uint64_t want = ((uint64_t)p->sequences + 1) * SLOTS_EACH + p->snapshots;
	want = want < p->bound ? want : p->bound;
	if (want > p->made)
		rc = slots_make(p, (uint32_t)want - p->made, e);
	p->sequences += rc == 0;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

void state_pool_leave(struct state_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->sequences--;
	pthread_mutex_unlock(&p->lock);
}

/* ---- snapshots ---- */

static uint32_t *bucket_of(struct state_pool *p, struct cache_key page)
{
	uint64_t h = (page.id[0] ^ page.id[1] << 17) * 0x9E3779B97F4A7C15u;
	return &p->bucket[h >> 32 & (p->buckets - 1)];
}

static uint32_t lookup(struct state_pool *p, struct cache_key page)
{
	uint32_t i = *bucket_of(p, page);
	while (i != STATE_NONE &&
	       (p->slot[i].page.id[0] != page.id[0] || p->slot[i].page.id[1] != page.id[1]))
		i = p->slot[i].chain;
	return i;
}

static void age_add(struct state_pool *p, uint32_t i)
{
	p->slot[i].older = p->newest;
	p->slot[i].newer = STATE_NONE;
	*(p->newest != STATE_NONE ? &p->slot[p->newest].newer : &p->oldest) = i;
	p->newest = i;
}

static void age_remove(struct state_pool *p, uint32_t i)
{
	const struct slot *s = &p->slot[i];
	*(s->older != STATE_NONE ? &p->slot[s->older].newer : &p->oldest) = s->newer;
	*(s->newer != STATE_NONE ? &p->slot[s->newer].older : &p->newest) = s->older;
}

static void snapshot_drop(struct state_pool *p, uint32_t i)
{
	uint32_t *at = bucket_of(p, p->slot[i].page);
	while (*at != i)
		at = &p->slot[*at].chain;
	*at = p->slot[i].chain;
	age_remove(p, i);
	p->snapshots--;
	free_add(p, i);
}

/* Drop the least recently used snapshot that nobody is about to go on from. */
static void give_up(struct state_pool *p)
{
	uint32_t i = p->oldest;
	while (i != STATE_NONE && p->slot[i].pins > 0)
		i = p->slot[i].newer;
	if (i != STATE_NONE)
		snapshot_drop(p, i);
}

void state_pool_keep(struct state_pool *p, struct cache_key page, uint32_t i)
{
	pthread_mutex_lock(&p->lock);
	check(p->slot[i].use == STATE_HELD);
	p->held--;
	if (lookup(p, page) != STATE_NONE) {
		free_add(p, i);
	} else {
		uint32_t *bucket = bucket_of(p, page);
		p->slot[i] = (struct slot){ .use = STATE_SNAPSHOT, .page = page, .chain = *bucket };
		*bucket = i;
		age_add(p, i);
		p->snapshots++;
	}
	pthread_mutex_unlock(&p->lock);
}

uint32_t state_pool_find(struct state_pool *p, struct cache_key page)
{
	pthread_mutex_lock(&p->lock);
	uint32_t i = lookup(p, page);
	if (i != STATE_NONE) {
		p->slot[i].pins++;
		p->slot[i].used = true;
		age_remove(p, i);
		age_add(p, i);
	}
	pthread_mutex_unlock(&p->lock);
	return i;
}

void state_pool_unpin(struct state_pool *p, uint32_t i)
{
	if (i == STATE_NONE)
		return;
	pthread_mutex_lock(&p->lock);
	check(p->slot[i].use == STATE_SNAPSHOT && p->slot[i].pins > 0);
	p->slot[i].pins--;
	pthread_mutex_unlock(&p->lock);
}

void state_pool_drop(struct state_pool *p, struct cache_key page)
{
	pthread_mutex_lock(&p->lock);
	uint32_t i = lookup(p, page);
	if (i != STATE_NONE && p->slot[i].pins == 0 && !p->slot[i].used)
		snapshot_drop(p, i);
	pthread_mutex_unlock(&p->lock);
}

/* ---- slots ---- */

uint32_t state_pool_take(struct state_pool *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->free == STATE_NONE)
		give_up(p);
	uint32_t i = p->free;
	if (i != STATE_NONE) {
		p->free = p->slot[i].chain;
		p->slot[i] = (struct slot){ .use = STATE_HELD };
		p->held++;
	}
	pthread_mutex_unlock(&p->lock);
	return i;
}

void state_pool_give(struct state_pool *p, uint32_t i)
{
	if (i == STATE_NONE)
		return;
	pthread_mutex_lock(&p->lock);
	check(p->slot[i].use == STATE_HELD);
	p->held--;
	free_add(p, i);
	pthread_mutex_unlock(&p->lock);
}

uint32_t state_pool_bound(const struct state_pool *p) { return p->bound; }

void state_pool_count(struct state_pool *p, uint64_t *held, uint64_t *snapshots)
{
	pthread_mutex_lock(&p->lock);
	*held = p->held;
	*snapshots = p->snapshots;
	pthread_mutex_unlock(&p->lock);
}
