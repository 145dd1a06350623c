#include "engine/backend.h"
#include "engine/cache_pool.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_PAGES 16u
#define BUCKETS_MAX 65536u

/* Pages made together. */
struct slab {
	struct slab *next;
	struct cache_page page[];
};

struct cache_pool {
	pthread_mutex_t lock;
	struct backend *backend;
	uint64_t bound, made, promised, free_count, idle_count, serial;
	bool keep;
	struct slab *slab;
	struct cache_page *free;            /* hold nothing */
	struct cache_page *oldest, *newest; /* kept, and held by no sequence */
	struct cache_page **bucket;
	uint32_t buckets; /* a power of two */
};

int cache_pool_open(struct cache_pool **out, struct backend *b, uint64_t pages_max, bool keep,
		    struct err *e)
{
	struct cache_pool *p = calloc(1, sizeof *p);
	*out = NULL;
	check(pages_max <= UINT32_MAX);
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "cache");
	for (p->buckets = 64; p->buckets < BUCKETS_MAX && p->buckets < pages_max;)
		p->buckets *= 2;
	p->bucket = calloc(p->buckets, sizeof *p->bucket);
	if (p->bucket == NULL) {
		free(p);
		return err_set(e, ERR_NOMEM, "cache");
	}
	pthread_mutex_init(&p->lock, NULL);
	p->backend = b;
	p->bound = pages_max;
	p->keep = keep;
	*out = p;
	return 0;
}

void cache_pool_close(struct cache_pool *p)
{
	if (p == NULL)
		return;
	for (struct slab *s = p->slab, *next; s != NULL; s = next) {
		next = s->next;
		free(s);
	}
	pthread_mutex_destroy(&p->lock);
	free(p->bucket);
	free(p);
}

/* ---- memory ---- */

static void free_add(struct cache_pool *p, struct cache_page *page)
{
	page->chain = p->free;
	p->free = page;
	p->free_count++;
}

/* The new pages are taken in the order of their numbers. */
static int slab_make(struct cache_pool *p, uint64_t pages, struct err *e)
{
	struct slab *s = calloc(1, sizeof *s + pages * sizeof *s->page);
	if (!s)
		return err_set(e, ERR_NOMEM, "cache of %llu pages", (unsigned long long)pages);
	int rc = p->backend->pages(p->backend, pages, e);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->next = p->slab;
	p->slab = s;
	for (uint64_t i = pages; i-- > 0;) {
		s->page[i].number = (uint32_t)(p->made + i);
		free_add(p, &s->page[i]);
	}
	p->made += pages;
	return 0;
}

static int promise(struct cache_pool *p, uint32_t pages, struct err *e)
{
	uint64_t left = p->bound - p->made, want = p->promised + pages;
	if (want > p->free_count && left > 0) {
		want -= p->free_count;
		want = want < SLAB_PAGES ? SLAB_PAGES : want;
		TRY(slab_make(p, want < left ? want : left, e));
	}
	p->promised += pages;
	return 0;
}

int cache_pool_promise(struct cache_pool *p, uint32_t pages, struct err *e)
{
	pthread_mutex_lock(&p->lock);
	int r = promise(p, pages, e);
	pthread_mutex_unlock(&p->lock);
	return r;
}

void cache_pool_promise_change(struct cache_pool *p, int64_t pages)
{
	pthread_mutex_lock(&p->lock);
	p->promised += (uint64_t)pages;
	pthread_mutex_unlock(&p->lock);
}

/* ---- what is kept ---- */

static bool key_equal(struct cache_key a, struct cache_key b)
{
	return a.id[0] == b.id[0] && a.id[1] == b.id[1];
}

static struct cache_page **bucket_of(struct cache_pool *p, struct cache_key before,
				     const uint32_t *token)
{
	uint64_t h = before.id[0] ^ before.id[1] * 0x9E3779B97F4A7C15u;
	for (int i = 0; i < KERNEL_PAGE; i++) {
		h = (h ^ token[i]) * 0xD6E8FEB86659FD93u;
		h ^= h >> 32;
	}
	return &p->bucket[h & (p->buckets - 1)];
}

static struct cache_page *lookup(struct cache_pool *p, struct cache_key before,
				 const uint32_t *token)
{
	struct cache_page *page = *bucket_of(p, before, token);
	while (page != NULL && !(key_equal(page->before, before) &&
				 memcmp(page->token, token, sizeof page->token) == 0))
		page = page->chain;
	return page;
}

static void idle_add(struct cache_pool *p, struct cache_page *page)
{
	page->older = p->newest;
	page->newer = NULL;
	*(p->newest != NULL ? &p->newest->newer : &p->oldest) = page;
	p->newest = page;
	p->idle_count++;
}

static void idle_remove(struct cache_pool *p, struct cache_page *page)
{
	*(page->older != NULL ? &page->older->newer : &p->oldest) = page->newer;
	*(page->newer != NULL ? &page->newer->older : &p->newest) = page->older;
	p->idle_count--;
}

/* Evict the least recently used page. */
static void give_up(struct cache_pool *p)
{
	struct cache_page *page = p->oldest;
	struct cache_page **at = bucket_of(p, page->before, page->token);
	while (*at != page)
		at = &(*at)->chain;
	*at = page->chain;
	idle_remove(p, page);
	page->kept = false;
	free_add(p, page);
}

/* ---- pages ---- */

static void hold(struct cache_pool *p, struct cache_page *page)
{
	if (page->users++ == 0)
		idle_remove(p, page);
}

static void let_go(struct cache_pool *p, struct cache_page *page)
{
	check(page->users > 0);
	if (--page->users > 0)
		return;
	if (page->kept)
		idle_add(p, page);
	else
		free_add(p, page);
}

struct cache_page *cache_pool_take(struct cache_pool *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->free == NULL && p->oldest != NULL)
		give_up(p);
	struct cache_page *page = p->free;
	if (page != NULL) {
		p->free = page->chain;
		p->free_count--;
		page->users = 1;
	}
	pthread_mutex_unlock(&p->lock);
	return page;
}

struct cache_page *cache_pool_find(struct cache_pool *p, struct cache_key before,
				   const uint32_t *token)
{
	if (!p->keep)
		return NULL;
	pthread_mutex_lock(&p->lock);
	struct cache_page *page = lookup(p, before, token);
	if (page != NULL)
		hold(p, page);
	pthread_mutex_unlock(&p->lock);
	return page;
}

struct cache_page *cache_pool_keep(struct cache_pool *p, struct cache_page *page,
				   struct cache_key before, const uint32_t *token)
{
	if (!p->keep)
		return page;
	check(page->users == 1 && !page->kept);
	pthread_mutex_lock(&p->lock);
	struct cache_page *same = lookup(p, before, token);
	if (same != NULL) {
		hold(p, same);
		let_go(p, page);
		page = same;
	} else {
		struct cache_page **bucket = bucket_of(p, before, token);
		memcpy(page->token, token, sizeof page->token);
		page->before = before;
		page->self = (struct cache_key){ { ++p->serial, 0 } };
		page->kept = true;
		page->chain = *bucket;
		*bucket = page;
	}
	pthread_mutex_unlock(&p->lock);
	return page;
}

void cache_pool_release(struct cache_pool *p, struct cache_page *page)
{
	pthread_mutex_lock(&p->lock);
	let_go(p, page);
	pthread_mutex_unlock(&p->lock);
}

uint64_t cache_pool_available(struct cache_pool *p)
{
	pthread_mutex_lock(&p->lock);
	uint64_t n = p->free_count + p->idle_count;
	pthread_mutex_unlock(&p->lock);
	return n;
}

uint64_t cache_pool_used(struct cache_pool *p)
{
	pthread_mutex_lock(&p->lock);
	uint64_t n = p->made - p->free_count;
	pthread_mutex_unlock(&p->lock);
	return n;
}

uint64_t cache_pool_bound(const struct cache_pool *p) { return p->bound; }
bool cache_pool_keeps(const struct cache_pool *p) { return p->keep; }
