/* Private: one timeline, and the pages that hold its cache. */
#ifndef ENGINE_SEQUENCE_H
#define ENGINE_SEQUENCE_H

#include "engine/cache_pool.h"
#include "engine/pass.h"

struct engine_sequence {
	struct engine *engine;
	uint32_t length, room;    /* tokens held; tokens_max */
	uint32_t pages;           /* at most */
	uint32_t *page;           /* [pages], as far as held: numbers of the backend's pages */
	struct cache_page **held; /* [pages] */
	uint32_t held_count;
	uint32_t kept;                 /* of these, the first ones that are kept for others */
	const struct engine_feed *fed; /* guards against the same sequence twice in a call */
};

/* Opened without pages: they are reserved, and taken as it grows. */
int sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
		  struct err *e) MUST_USE;
/* Hold pages for this many tokens in all; false: no page was left, some may have been added. */
bool sequence_grow(struct engine_sequence *s, uint32_t tokens);
/* Give all pages back. */
void sequence_release(struct engine_sequence *s);
/* Take pages from the prefix cache, as far as they hold token [count] before its last one. The
 * length must be a multiple of 64 and all held pages kept. Returns the tokens gained. */
uint32_t sequence_adopt(struct engine_sequence *s, struct cache_key root, const uint32_t *token,
			uint32_t count);
/* Keep the pages that have become full of token [length], of the first `shared` ones. */
void sequence_keep(struct engine_sequence *s, struct cache_key root, const uint32_t *token,
		   uint32_t shared);
/* The key for the first page that is not kept: what precedes it. */
struct cache_key sequence_key(const struct engine_sequence *s, struct cache_key root);

/* The pool of all sequences of the engine, as its options say. */
struct engine_options;
int sequence_pool_open(struct engine *m, const struct engine_options *o, struct err *e) MUST_USE;

#endif
