/* A timeline's cache: pages of 64 positions of all layers, out of the engine's pool. */
#include "engine/sequence.h"
#include "engine/engine_in.h"

#include "base/check.h"
#include "base/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pools ---- */

#define SLOTS_EACH 4u /* of state for each session of a step, at most: its own, and snapshots */

/* Bytes of the pages of one full context. */
static uint64_t context_bytes(const struct engine *m)
{
	uint64_t pages = ((uint64_t)m->config.context_max + KERNEL_PAGE - 1) / KERNEL_PAGE;
	return pages * m->backend->page_bytes;
}

/* The default size: a third of the free memory, three quarters if one full context needs that much;
 * at most what all sessions of a step can fill. */
static uint64_t bytes_default(const struct engine *m, uint32_t batch, unsigned share)
{
	bool own = m->backend->memory != NULL; /* nothing else needs a device's */
	uint64_t memory = own ? m->backend->memory(m->backend) : machine_memory(),
		 states = SLOTS_EACH * m->backend->state_bytes, one = context_bytes(m),
		 all = (one + states) * batch, bytes = own ? memory / 10 * 9 : memory / 3;
	if (memory != UINT64_MAX && share > 1) {
		memory /= share;
		bytes /= share;
	}
	one += states > 0 ? one / 7 + states : 0; /* slots_of takes an eighth */
	if (memory == UINT64_MAX || memory < m->backend->page_bytes)
		return one;
	if (bytes < one)
		bytes = one < memory / 4 * 3 ? one : memory / 4 * 3;
	return bytes < all ? bytes : all;
}

/* Slots of state: at most half of the memory, and some for each session. Where the size was not
 * given, a full context comes first: an eighth. */
static uint32_t slots_of(const struct engine *m, uint32_t batch, uint64_t bytes, bool given)
{
	uint64_t most = (uint64_t)SLOTS_EACH * batch, each = m->backend->state_bytes;
	bool enough = given || bytes / 2 >= context_bytes(m);
	uint64_t slots = each == 0 ? 0 : bytes / (enough ? 2 : 8) / each;
	if (each > 0 && slots == 0)
		slots = 1;
	return (uint32_t)(slots < most ? slots : most);
}

int sequence_pool_open(struct engine *m, const struct engine_options *o, struct err *e)
{
	uint32_t batch = o->batch_max > 0 ? o->batch_max : 64;
	uint64_t page = m->backend->page_bytes, each = m->backend->state_bytes,
		 bytes = o->cache_bytes > 0 ? o->cache_bytes
					    : bytes_default(m, batch, o->memory_share);
	uint32_t slots = slots_of(m, batch, bytes, o->cache_bytes > 0);
	uint64_t left = bytes > slots * each ? bytes - slots * each : 0,
		 pages = page > 0 ? left / page : UINT32_MAX;
	if (bytes < page + each && each > 0)
		return err_set(e, ERR_NOMEM,
			       "a cache of %llu bytes: a page of %d tokens needs %llu and a recurrent "
			       "state %llu",
			       (unsigned long long)bytes, KERNEL_PAGE, (unsigned long long)page,
			       (unsigned long long)each);
	if (pages == 0 || pages > UINT32_MAX)
		return err_set(e, pages == 0 ? ERR_NOMEM : ERR_INPUT,
			       "a cache of %llu bytes: a page of %d tokens needs %llu",
			       (unsigned long long)o->cache_bytes, KERNEL_PAGE,
			       (unsigned long long)page);
	if (slots > 0)
		TRY(state_pool_open(&m->states, m->backend, slots, e));
	return cache_pool_open(&m->pages, m->backend, pages, !o->no_prefix_cache, e);
}

/* ---- pages ---- */

static void page_add(struct engine_sequence *s, struct cache_page *page)
{
	s->page[s->held_count] = page->number;
	s->held[s->held_count++] = page;
}

bool sequence_grow(struct engine_sequence *s, uint32_t tokens)
{
	uint32_t want = (tokens + KERNEL_PAGE - 1) / KERNEL_PAGE, had = s->held_count;
	check(tokens <= s->room);
	if (!sequence_state_take(s))
		return false;
	while (s->held_count < want) {
		struct cache_page *page = cache_pool_take(s->engine->pages);
		if (page == NULL)
			break;
		page_add(s, page);
	}
	cache_pool_promise_change(s->engine->pages, (int64_t)had - s->held_count);
	return s->held_count >= want;
}

void sequence_release(struct engine_sequence *s)
{
	uint32_t had = s->held_count;
	while (s->held_count > 0)
		cache_pool_release(s->engine->pages, s->held[--s->held_count]);
	s->kept = 0;
	s->length = 0;
	sequence_state_release(s);
	cache_pool_promise_change(s->engine->pages, had);
}

/* What turns by the far tables is kept apart. */
struct cache_key sequence_key(const struct engine_sequence *s, struct cache_key root)
{
	root.id[0] = s->far ? ~root.id[0] : root.id[0];
	return s->kept == 0 ? root : s->held[s->kept - 1]->self;
}

uint32_t sequence_adopt(struct engine_sequence *s, struct cache_key root, const uint32_t *token,
			uint32_t count)
{
	uint32_t had = s->length, held = s->held_count;
	if (s->length % KERNEL_PAGE != 0 || s->held_count != s->kept ||
	    s->kept != s->length / KERNEL_PAGE)
		return 0;
	while (s->length + KERNEL_PAGE < count) { /* one token stays, to be computed */
		struct cache_page *page =
			cache_pool_find(s->engine->pages, sequence_key(s, root), token + s->length);
		if (page == NULL)
			break;
		page_add(s, page);
		s->kept++;
		s->length += KERNEL_PAGE;
	}
	if (s->engine->states)
		sequence_state_adopt(s, had);
	cache_pool_promise_change(s->engine->pages, (int64_t)held - s->held_count);
	return s->length - had;
}

void sequence_keep(struct engine_sequence *s, struct cache_key root, const uint32_t *token,
		   uint32_t shared)
{
	uint32_t most = s->length < shared ? s->length : shared;
	while ((s->kept + 1) * KERNEL_PAGE <= most) {
		struct cache_page *mine = s->held[s->kept];
		struct cache_page *page =
			cache_pool_keep(s->engine->pages, mine, sequence_key(s, root),
					token + (size_t)s->kept * KERNEL_PAGE);
		if (page == mine && !page->kept)
			return; /* nothing is kept at all */
		s->page[s->kept] = page->number;
		s->held[s->kept++] = page;
	}
}

/* ---- timelines ---- */

static int tables_make(struct engine_sequence *s, struct err *e)
{
	s->page = malloc(s->pages * sizeof *s->page);
	s->held = malloc(s->pages * sizeof *s->held);
	return s->page == NULL || s->held == NULL ? err_set(e, ERR_NOMEM, "sequence") : 0;
}

int sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
		  struct err *e)
{
	*out = NULL;
	if (tokens_max == 0 || tokens_max > m->config.context_max)
		return err_set(e, ERR_INPUT, "a sequence of %u tokens: the model's context is %u",
			       tokens_max, m->config.context_max);
	struct engine_sequence *s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "sequence");
	s->engine = m;
	s->room = tokens_max;
	s->pages = (tokens_max + KERNEL_PAGE - 1) / KERNEL_PAGE;
	s->state = (struct sequence_state){ .slot = STATE_NONE, .save = STATE_NONE,
					    .restore = STATE_NONE };
	int r = tables_make(s, e);
	if (r == 0 && m->states)
		r = state_pool_enter(m->states, e);
	if (r == 0) {
		r = cache_pool_promise(m->pages, s->pages, e);
		if (r < 0 && m->states)
			state_pool_leave(m->states);
	}
	if (r < 0) {
		free(s->page);
		free(s->held);
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

static int positions_ready(struct engine *m, uint32_t positions, struct err *e)
{
	pool_hold(m->pool);
	int r = m->backend->positions(m->backend, positions, e);
	pool_release(m->pool);
	return r;
}

/* A sequence of the numeric interface holds all its pages from the start: it cannot be
 * preempted. */
int engine_sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
			 struct err *e)
{
	struct engine_sequence *s;
	*out = NULL;
	TRY(sequence_open(&s, m, tokens_max, e));
	s->far = m->config.rope_far > 0 && tokens_max > m->config.rope_far;
	int r = positions_ready(m, tokens_max, e);
	if (r == 0 && !sequence_state_take(s))
		r = err_set(e, ERR_NOMEM,
			    "a sequence needs a recurrent state of %llu bytes: all %u slots are "
			    "in use",
			    (unsigned long long)m->backend->state_bytes,
			    state_pool_bound(m->states));
	if (r == 0 && !sequence_grow(s, tokens_max))
		r = err_set(
			e, ERR_NOMEM,
			"a sequence of %u tokens needs %u pages of cache: %llu of %llu are left",
			tokens_max, s->pages,
			(unsigned long long)cache_pool_available(m->pages) + s->held_count,
			(unsigned long long)cache_pool_bound(m->pages));
	if (r < 0) {
		engine_sequence_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void engine_sequence_close(struct engine_sequence *s)
{
	if (s == NULL)
		return;
	sequence_release(s);
	cache_pool_promise_change(s->engine->pages, -(int64_t)s->pages);
	if (s->engine->states)
		state_pool_leave(s->engine->states);
	free(s->page);
	free(s->held);
	free(s);
}

uint32_t engine_sequence_length(const struct engine_sequence *s) { return s->length; }

int engine_sequence_repeat(struct engine_sequence *s, uint32_t length, struct err *e)
{
	struct backend *b = s->engine->backend;
	if (s->length < KERNEL_PAGE || length < s->length || length > s->room)
		return err_set(e, ERR_INPUT, "cannot repeat %u tokens to %u: %d to %u can be",
			       s->length, length, KERNEL_PAGE, s->room);
	pool_hold(s->engine->pool);
	for (uint32_t i = 1; i * KERNEL_PAGE < length; i++)
		b->page_copy(b, s->page[0], s->page[i]);
	pool_release(s->engine->pool);
	s->length = s->state.at = length;
	return 0;
}

int engine_sequence_truncate(struct engine_sequence *s, uint32_t length, struct err *e)
{
	if (length > s->length)
		return err_set(e, ERR_INPUT, "cannot truncate %u tokens to %u", s->length, length);
	if (s->engine->states && length != 0 && length != s->length)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: to truncate %u tokens to %u in a model "
			       "with recurrent layers, which keep the last state alone",
			       s->length, length);
	s->state.at = length == 0 ? 0 : s->state.at;
	s->length = length;
	return 0;
}
