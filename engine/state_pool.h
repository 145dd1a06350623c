/* Private: who holds the slots of recurrent state: what the recurrent layers know of a text, all
 * layers together, copied whole (engine/backend.h).
 *
 * A sequence steps a slot of its own. Other slots are snapshots: the state at the end of a kept
 * page of the prefix cache, found by that page's key, which no other page ever has. A page
 * without a snapshot serves attention alone, so a prefix goes back to the last page that has
 * one. A state is as large as some hundreds of positions of the cache: snapshots are made where
 * they are likely to be wanted (sequence_state.c), and the least recently used one gives way to
 * whoever needs a slot. One whose page is evicted is never found again and ages out in the same
 * way.
 *
 * Thread-safe. Memory is made when sequences are opened, up to the bound, never later. */
#ifndef ENGINE_STATE_POOL_H
#define ENGINE_STATE_POOL_H

#include "base/err.h"
#include "engine/cache_pool.h"

#define STATE_NONE UINT32_MAX

struct state_pool;

int state_pool_open(struct state_pool **out, struct backend *b, uint32_t slots_max,
		    struct err *e) MUST_USE;
void state_pool_close(struct state_pool *p); /* NULL is fine */

/* A sequence is opened (closed): make memory for its state and two snapshots beside those that
 * there are, as far as the bound allows. */
int state_pool_enter(struct state_pool *p, struct err *e) MUST_USE;
void state_pool_leave(struct state_pool *p);

/* A slot, contents undefined; STATE_NONE: all belong to sequences or are pinned. */
uint32_t state_pool_take(struct state_pool *p);
void state_pool_give(struct state_pool *p, uint32_t slot); /* STATE_NONE is fine */

/* The slot becomes the snapshot of the page with this key; a page that has one keeps it, and the
 * slot goes back. */
void state_pool_keep(struct state_pool *p, struct cache_key page, uint32_t slot);
/* The page's snapshot, pinned until state_pool_unpin; or STATE_NONE. */
uint32_t state_pool_find(struct state_pool *p, struct cache_key page);
void state_pool_unpin(struct state_pool *p, uint32_t slot); /* STATE_NONE is fine */
/* Forget the page's snapshot, unless somebody has gone on from it. */
void state_pool_drop(struct state_pool *p, struct cache_key page);

/* Slots in all; of these, those of sequences, and snapshots. */
uint32_t state_pool_bound(const struct state_pool *p);
void state_pool_count(struct state_pool *p, uint64_t *held, uint64_t *snapshots);

#endif
