/* Private: who holds the pages of all caches, of 64 positions of all layers each, counted by
 * reference.
 *
 * Prefix cache: full pages are also kept (cached) by content. A page's key is the page before it
 * (for the first one: a group's root) and its 64 tokens, compared in full. So a prefix is found
 * page by page, exactly, and only within the group that made it; model, kernel set and numerics are
 * those of the one engine. Kept pages that no sequence holds are evicted when memory is needed,
 * least recently used first, and a page always before the page in front of it.
 *
 * Thread-safe. Memory is made when sequences are opened, up to the bound, never later. */
#ifndef ENGINE_CACHE_POOL_H
#define ENGINE_CACHE_POOL_H

#include "base/err.h"
#include "kernels/attention.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_pool;
struct backend;

/* What precedes a page: a group's root, or a kept page. */
struct cache_key {
	uint64_t id[2];
};

struct cache_page {
	uint32_t number; /* the backend's */
	uint32_t users;  /* sequences that hold it */
	bool kept;       /* stands in the table */
	struct cache_key self, before;
	uint32_t token[KERNEL_PAGE]; /* of a kept page */
	struct cache_page *chain;    /* next of a bucket, or of the free pages */
	struct cache_page *older, *newer;
};

/* At most pages_max (< 2^32) pages, whose memory the backend makes. keep: keep full pages for
 * others. */
int cache_pool_open(struct cache_pool **out, struct backend *b, uint64_t pages_max, bool keep,
		    struct err *e) MUST_USE;
void cache_pool_close(struct cache_pool *p); /* NULL is fine; all pages must be back */

/* Reserve: a sequence is opened that will hold at most so many pages. Make their memory, as far as
 * the bound allows. */
int cache_pool_promise(struct cache_pool *p, uint32_t pages, struct err *e) MUST_USE;
/* Change the reservation: the sequence has taken some of them (negative), or has given some back
 * and will need them again. */
void cache_pool_promise_change(struct cache_pool *p, int64_t pages);

/* A new page, contents undefined; NULL: all are in use. */
struct cache_page *cache_pool_take(struct cache_pool *p);
/* The kept page of these 64 tokens after `before`, now also held by the caller; or NULL. */
struct cache_page *cache_pool_find(struct cache_pool *p, struct cache_key before,
				   const uint32_t *token);
/* Put a full page into the prefix cache. Returns the page to hold from now on: another one, if an
 * equal page is there already. */
struct cache_page *cache_pool_keep(struct cache_pool *p, struct cache_page *page,
				   struct cache_key before, const uint32_t *token);
/* Give a page back; the pages of a sequence from the last to the first. */
void cache_pool_release(struct cache_pool *p, struct cache_page *page);

/* Pages that take can give. */
uint64_t cache_pool_available(struct cache_pool *p);
/* Pages that hold something, kept ones included; and the bound. */
uint64_t cache_pool_used(struct cache_pool *p);
uint64_t cache_pool_bound(const struct cache_pool *p);
bool cache_pool_keeps(const struct cache_pool *p);

#endif
