/* Private: who holds the pages of all caches, of 64 positions of all layers each, counted by
 * reference.
 *
 * Full pages are also kept under what they hold: a page's key is the page before it (at the front:
 * the client's root) and its 64 tokens, compared whole. So a prefix is found page by page, exactly,
 * and only by the client who made it; model, kernel set and numerics are those of the one engine.
 * Kept pages that nobody uses are given up when memory is needed, the longest unused first. A page
 * is always given up before the page in front of it.
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

/* What stands before a page: a client's root, or a kept page. */
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

/* A sequence is opened that will hold so many pages at most: make their memory, as far as the bound
 * allows. */
int cache_pool_promise(struct cache_pool *p, uint32_t pages, struct err *e) MUST_USE;
/* It has taken some of them (negative), or given some back and will want them again. */
void cache_pool_promise_change(struct cache_pool *p, int64_t pages);

/* A page of one's own, contents undefined; NULL: all are in use. */
struct cache_page *cache_pool_take(struct cache_pool *p);
/* The kept page of these 64 tokens after `before`, now also held by the caller; or NULL. */
struct cache_page *cache_pool_find(struct cache_pool *p, struct cache_key before,
				   const uint32_t *token);
/* Keep a page of one's own that is full. Returns the page to hold from now on: another one, if the
 * same was kept already. */
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
